//! Blocks that wait: for parents or bodies that are not here yet, or for the local clock.
//!
//! The room is bounded in blocks and bytes, in all and per author, because what waits came from others. When it
//! is full, the author who takes most of it gives way, with its block furthest ahead (greatest stamp), which may
//! be the very one that asks for room. Nothing is lost by that: catch-up brings it again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use p2pdb_model::Stamp;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{Cid, NodeId};

/// Greatest number of blocks that wait.
pub const PENDING_BLOCKS_MAX: usize = 65_536;
/// Greatest number of blocks of one author that wait.
pub const PENDING_BLOCKS_PER_AUTHOR_MAX: usize = 16_384;
/// Greatest size of all that waits, bytes.
pub const PENDING_BYTES_MAX: usize = 256 << 20;

/// What a block waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Parents that are not applied and bodies that are not here.
    pub missing: Vec<Cid>,
    /// Not before this local time, milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
}

#[derive(Debug)]
struct Entry<T> {
    author: NodeId,
    stamp: Stamp,
    bytes: usize,
    missing: HashSet<Cid>,
    until_ms: Option<u64>,
    item: T,
}

#[derive(Debug, Default)]
struct Share {
    bytes: usize,
    order: BTreeSet<(Stamp, Cid)>,
}

/// Blocks that wait, with whatever the caller keeps for each.
#[derive(Debug)]
pub struct Pending<T> {
    entries: HashMap<Cid, Entry<T>>,
    /// Missing block or body -> the blocks that wait for it.
    waiting_for: HashMap<Cid, HashSet<Cid>>,
    timers: BTreeSet<(u64, Cid)>,
    authors: HashMap<NodeId, Share>,
    bytes: usize,
    limits: (usize, usize, usize),
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self::with_limits(PENDING_BLOCKS_MAX, PENDING_BLOCKS_PER_AUTHOR_MAX, PENDING_BYTES_MAX)
    }
}

impl<T> Pending<T> {
    /// An empty room with the limits of the constants.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty room with other limits: blocks, blocks per author, bytes.
    pub fn with_limits(blocks_max: usize, blocks_per_author_max: usize, bytes_max: usize) -> Self {
        Pending {
            entries: HashMap::new(),
            waiting_for: HashMap::new(),
            timers: BTreeSet::new(),
            authors: HashMap::new(),
            bytes: 0,
            limits: (blocks_max, blocks_per_author_max, bytes_max),
        }
    }

    /// How many blocks wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True when this block waits.
    pub fn contains(&self, cid: &Cid) -> bool {
        self.entries.contains_key(cid)
    }

    /// The blocks that wait.
    pub fn cids(&self) -> impl Iterator<Item = Cid> + '_ {
        self.entries.keys().copied()
    }

    /// What is kept for a block that waits.
    pub fn get_mut(&mut self, cid: &Cid) -> Option<&mut T> {
        self.entries.get_mut(cid).map(|e| &mut e.item)
    }

    /// What is missing and does not itself wait here: what to ask peers for, at most `max` of them.
    pub fn wanted(&self, max: usize) -> Vec<Cid> {
        let mut wanted: Vec<Cid> =
            self.waiting_for.keys().filter(|c| !self.entries.contains_key(c)).copied().collect();
        wanted.sort_unstable();
        wanted.truncate(max);
        wanted
    }

    /// Keeps a block until nothing is missing; `bytes` is its size with all that `item` holds. A block that
    /// waits already is left as it is. Returns the blocks that had to give way (perhaps this one).
    pub fn insert(
        &mut self,
        cid: Cid,
        author: NodeId,
        stamp: Stamp,
        bytes: usize,
        waits: Waits,
        item: T,
    ) -> Vec<(Cid, T)> {
        if self.entries.contains_key(&cid) {
            return Vec::new();
        }
        let missing: HashSet<Cid> = waits.missing.into_iter().collect();
        for m in &missing {
            self.waiting_for.entry(*m).or_default().insert(cid);
        }
        if let Some(t) = waits.until_ms {
            self.timers.insert((t, cid));
        }
        let share = self.authors.entry(author).or_default();
        share.bytes += bytes;
        share.order.insert((stamp, cid));
        self.bytes += bytes;
        let entry = Entry { author, stamp, bytes, missing, until_ms: waits.until_ms, item };
        self.entries.insert(cid, entry);
        self.evict(author)
    }

    fn evict(&mut self, newest: NodeId) -> Vec<(Cid, T)> {
        let (blocks_max, per_author_max, bytes_max) = self.limits;
        let mut out = Vec::new();
        loop {
            let author = if self.authors.get(&newest).is_some_and(|s| s.order.len() > per_author_max) {
                newest
            } else if self.bytes > bytes_max {
                match self.authors.iter().max_by_key(|(a, s)| (s.bytes, **a)) {
                    Some((a, _)) => *a,
                    None => return out,
                }
            } else if self.entries.len() > blocks_max {
                match self.authors.iter().max_by_key(|(a, s)| (s.order.len(), **a)) {
                    Some((a, _)) => *a,
                    None => return out,
                }
            } else {
                return out;
            };
            let last = self.authors.get(&author).and_then(|s| s.order.last().copied());
            let Some((_, cid)) = last else { return out };
            if let Some(item) = self.remove(&cid) {
                out.push((cid, item));
            }
        }
    }

    /// Takes a block out, whatever it waits for.
    pub fn remove(&mut self, cid: &Cid) -> Option<T> {
        let e = self.entries.remove(cid)?;
        for m in &e.missing {
            if let Some(list) = self.waiting_for.get_mut(m) {
                list.remove(cid);
                if list.is_empty() {
                    self.waiting_for.remove(m);
                }
            }
        }
        if let Some(t) = e.until_ms {
            self.timers.remove(&(t, *cid));
        }
        self.bytes -= e.bytes;
        if let Some(share) = self.authors.get_mut(&e.author) {
            share.bytes -= e.bytes;
            share.order.remove(&(e.stamp, *cid));
            if share.order.is_empty() {
                self.authors.remove(&e.author);
            }
        }
        Some(e.item)
    }

    /// A block was applied, or a body came: takes out the blocks that now wait for nothing, in write order.
    pub fn arrived(&mut self, cid: &Cid) -> Vec<(Cid, T)> {
        let waiting = self.waiting_for.remove(cid).unwrap_or_default();
        if fault::on(Fault::WaitingForgotten) {
            return Vec::new();
        }
        let mut ready = Vec::new();
        for w in waiting {
            if let Some(e) = self.entries.get_mut(&w) {
                e.missing.remove(cid);
                if e.missing.is_empty() && e.until_ms.is_none() {
                    ready.push(w);
                }
            }
        }
        self.take(ready)
    }

    /// The local clock went on: takes out the blocks that now wait for nothing, in write order.
    pub fn due(&mut self, now_ms: u64) -> Vec<(Cid, T)> {
        let mut ready = Vec::new();
        while let Some(&(t, cid)) = self.timers.first()
            && t <= now_ms
        {
            self.timers.pop_first();
            if let Some(e) = self.entries.get_mut(&cid) {
                e.until_ms = None;
                if e.missing.is_empty() {
                    ready.push(cid);
                }
            }
        }
        self.take(ready)
    }

    /// When [`Pending::due`] should be called next, milliseconds since the Unix epoch.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.timers.first().map(|t| t.0)
    }

    fn take(&mut self, mut ready: Vec<Cid>) -> Vec<(Cid, T)> {
        ready.sort_by_key(|c| self.entries.get(c).map(|e| (e.stamp, e.author, *c)));
        ready.into_iter().filter_map(|c| Some((c, self.remove(&c)?))).collect()
    }

    /// How many blocks and bytes of each author wait, most bytes first (for `p2pdb.pending`).
    pub fn by_author(&self) -> Vec<(NodeId, usize, usize)> {
        let per_author: BTreeMap<_, _> =
            self.authors.iter().map(|(a, s)| (*a, (s.order.len(), s.bytes))).collect();
        let mut out: Vec<_> = per_author.into_iter().map(|(a, (n, b))| (a, n, b)).collect();
        out.sort_by_key(|(_, _, b)| std::cmp::Reverse(*b));
        out
    }
}
