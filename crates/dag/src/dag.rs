//! The state of the DAG and the one way to extend it.
//!
//! [`Dag::check`] says whether a block may be applied now, [`Dag::append`] applies it: it checks what can only be
//! checked with the parents at hand, gives the block its place, and computes what it had not seen.
//!
//! Rules of admission (rules 1), the same on every node:
//! * only the realm's genesis block has no parents;
//! * `prev` is by the same author and has the seq before;
//! * the stamp is greater than every parent's;
//! * no parent is in the causal past of another parent or of `prev`. (`prev` itself may lie in the past of a
//!   parent: others build on one's blocks.) So a block names exactly the edge of what its author built on.
//!
//! Memory: branches and heads, and the last blocks' places and unseen lists, bounded by [`RECENT_BLOCKS_MAX`] and
//! [`RECENT_ENTRIES_MAX`].

use std::collections::{BTreeMap, HashMap, VecDeque};

use p2pdb_block::{Block, VerifiedBlock};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_model::{RealmId, Stamp};
use thiserror::Error;

use crate::CLOCK_DRIFT_MS_MAX;
use crate::frontier::Tip;
use crate::heads::Head;
use crate::ids::{BlockNo, BranchNo, ChainId, Place};
use crate::past::{Past, Unseen};
use crate::pending::Waits;
use crate::store::{DagStore, Found};

/// Greatest number of recent blocks whose places are at hand.
pub const RECENT_BLOCKS_MAX: usize = 65_536;
/// Greatest number of entries in the unseen lists of recent blocks.
pub const RECENT_ENTRIES_MAX: usize = 1 << 20;
/// A gap of at most this many blocks is walked in memory; a longer one is answered per branch by the store.
const GAP_WALK_MAX: u64 = 4_096;

/// A linear run of blocks of one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its number.
    pub no: BranchNo,
    /// Its chain.
    pub chain: ChainId,
    /// The block of another branch that it goes on from, when it began with a fork.
    pub fork: Option<Place>,
    /// Seq of its first block.
    pub first_seq: u64,
    /// Its last block.
    pub tip: Tip,
    /// Number of its last block.
    pub tip_no: BlockNo,
    /// Stamp of its last block.
    pub tip_stamp: Stamp,
}

/// A chain that forked, for `p2pdb.forks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The chain.
    pub chain: ChainId,
    /// Per branch: the last seq shared with the branch it left (0 for the first branch) and its tip.
    pub branches: Vec<(u64, Tip)>,
}

/// Why a block cannot be part of the log, found with its parents at hand; every node finds the same.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No parents, yet not the realm's genesis block.
    #[error("a block without parents that is not the genesis block of this realm")]
    OtherGenesis,
    /// `prev` is by another author.
    #[error("prev is a block of another author")]
    ForeignPrev,
    /// The seq does not follow `prev`'s.
    #[error("seq {is} follows seq {prev}")]
    SeqGap {
        /// The block's seq.
        is: u64,
        /// The seq of its `prev`.
        prev: u64,
    },
    /// The stamp is not greater than a parent's.
    #[error("the stamp is not greater than that of the parent {0}")]
    StampNotAfter(Cid),
    /// A parent is in the past of another parent.
    #[error("the parent {0} lies in the past of another parent")]
    RedundantParent(Cid),
}

/// Why a block was not appended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error<E> {
    /// It can never be part of the log.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A parent is not applied yet.
    #[error("the parent {0} is not here yet")]
    MissingParent(Cid),
    /// It is applied already.
    #[error("the block {0} is applied already")]
    Known(Cid),
    /// Reading the log failed: a fault of this node.
    #[error("reading the log failed: {0}")]
    Fault(E),
}

/// A block that was appended: what the store writes down with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its name.
    pub cid: Cid,
    /// Its author.
    pub author: NodeId,
    /// Its clock.
    pub stamp: Stamp,
    /// Where it stands.
    pub place: Place,
    /// Its chain.
    pub chain: ChainId,
    /// Its branch, when it is the first block of it.
    pub new_branch: Option<Branch>,
    /// What it had not seen of the blocks applied before it.
    pub unseen: Unseen,
    /// An earlier block whose stored unseen list is equal, so that a reference can be stored instead.
    pub unseen_same_as: Option<BlockNo>,
    /// Heads that it replaced.
    pub heads_gone: Vec<Cid>,
}

impl Placed {
    /// Its causal past.
    pub fn past(&self) -> Past {
        Past::new(self.place, self.unseen.clone())
    }
}

#[derive(Clone, Debug)]
struct Recent {
    place: Place,
    unseen: Unseen,
    /// The block whose stored list this one shares (itself, if none).
    holder: BlockNo,
    /// Entries counted against the limit (0 when shared).
    counted: usize,
}

/// Heads, branches and recent blocks.
#[derive(Clone, Debug)]
pub struct Dag {
    realm: RealmId,
    next: BlockNo,
    branches: Vec<Branch>,
    /// First block of a chain -> its branches.
    chains: BTreeMap<Cid, Vec<BranchNo>>,
    tips: HashMap<Cid, BranchNo>,
    /// Branches by the number of their tip: which advanced after a given block.
    by_tip: BTreeMap<BlockNo, BranchNo>,
    heads: BTreeMap<Cid, Head>,
    recent: VecDeque<Recent>,
    recent_entries: usize,
}

impl Dag {
    /// The empty DAG of this realm.
    pub fn new(realm: RealmId) -> Self {
        Self::load(realm, BlockNo(1), Vec::new(), Vec::new())
    }

    /// The DAG as a store kept it: the number of the next block, the branches in the order of their numbers, and
    /// the heads.
    pub fn load(realm: RealmId, next: BlockNo, branches: Vec<Branch>, heads: Vec<Head>) -> Self {
        let mut dag = Dag {
            realm,
            next,
            branches: Vec::new(),
            chains: BTreeMap::new(),
            tips: HashMap::new(),
            by_tip: BTreeMap::new(),
            heads: heads.into_iter().map(|h| (h.cid, h)).collect(),
            recent: VecDeque::new(),
            recent_entries: 0,
        };
        for b in branches {
            dag.add_branch(b);
        }
        dag
    }

    fn add_branch(&mut self, b: Branch) {
        assert_eq!(b.no.0 as usize, self.branches.len(), "branches are loaded in the order of their numbers");
        self.chains.entry(b.chain.first).or_default().push(b.no);
        self.tips.insert(b.tip.cid, b.no);
        self.by_tip.insert(b.tip_no, b.no);
        self.branches.push(b);
    }

    /// The realm.
    pub fn realm(&self) -> RealmId {
        self.realm
    }

    /// The number that the next block will get.
    pub fn next_no(&self) -> BlockNo {
        self.next
    }

    /// True before the genesis block.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    /// The heads, ascending by CID.
    pub fn heads(&self) -> impl ExactSizeIterator<Item = &Head> {
        self.heads.values()
    }

    /// All branches, by number.
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// The branch with this number.
    pub fn branch(&self, no: BranchNo) -> Option<&Branch> {
        self.branches.get(no.0 as usize)
    }

    /// The branches of the chain that begins with this block.
    pub fn branches_of_chain(&self, first: &Cid) -> impl Iterator<Item = &Branch> {
        self.chains.get(first).into_iter().flatten().map(|b| &self.branches[b.0 as usize])
    }

    /// The branches of this author's chains.
    pub fn branches_of_author(&self, author: NodeId) -> impl Iterator<Item = &Branch> {
        self.branches.iter().filter(move |b| b.chain.author == author)
    }

    /// The chains that forked.
    pub fn forks(&self) -> Vec<Fork> {
        let forked = self.chains.values().filter(|b| b.len() > 1);
        forked
            .map(|numbers| {
                let branches: Vec<&Branch> = numbers.iter().map(|b| &self.branches[b.0 as usize]).collect();
                Fork {
                    chain: branches[0].chain,
                    branches: branches.iter().map(|b| (b.fork.map_or(0, |f| f.seq), b.tip)).collect(),
                }
            })
            .collect()
    }

    /// The greatest stamp of any head: the floor for the next local stamp.
    pub fn stamp_floor(&self) -> Stamp {
        self.heads.values().map(|h| h.stamp).max().unwrap_or_default()
    }

    /// The applied block of this name; heads and tips are answered from memory.
    pub fn find<S: DagStore>(&self, cid: &Cid, store: &S) -> Result<Option<Found>, S::Error> {
        if let Some(h) = self.heads.get(cid) {
            return Ok(Some(Found { place: h.place, stamp: h.stamp, author: h.author }));
        }
        if let Some(b) = self.tips.get(cid) {
            let b = &self.branches[b.0 as usize];
            let place = Place { no: b.tip_no, branch: b.no, seq: b.tip.seq };
            return Ok(Some(Found { place, stamp: b.tip_stamp, author: b.chain.author }));
        }
        store.find(cid)
    }

    /// The causal past of an applied block.
    pub fn past<S: DagStore>(&self, place: Place, store: &S) -> Result<Past, S::Error> {
        Ok(Past::new(place, self.unseen(place.no, store)?))
    }

    /// The causal past of a block that would be written now, on all heads.
    pub fn past_of_now(&self) -> Past {
        Past::new(Place { no: self.next, branch: BranchNo::NONE, seq: 0 }, Unseen::NONE)
    }

    /// True when the block at `a` lies strictly in the causal past of the block at `b`.
    pub fn is_ancestor<S: DagStore>(&self, a: Place, b: Place, store: &S) -> Result<bool, S::Error> {
        if a.no >= b.no {
            return Ok(false);
        }
        if a.branch == b.branch {
            return Ok(a.seq < b.seq);
        }
        Ok(self.past(b, store)?.contains(a))
    }

    fn recent(&self, no: BlockNo) -> Option<&Recent> {
        let first = self.recent.front()?.place.no.0;
        self.recent.get(usize::try_from(no.0.checked_sub(first)?).ok()?)
    }

    fn unseen<S: DagStore>(&self, no: BlockNo, store: &S) -> Result<Unseen, S::Error> {
        match self.recent(no) {
            Some(r) => Ok(r.unseen.clone()),
            None => store.unseen(no),
        }
    }

    /// The greatest seq of this branch numbered at most `no`; 0 when there is none.
    fn last_seq_at<S: DagStore>(&self, branch: BranchNo, no: BlockNo, store: &S) -> Result<u64, S::Error> {
        let b = &self.branches[branch.0 as usize];
        if b.tip_no <= no { Ok(b.tip.seq) } else { store.last_seq_at(branch, no) }
    }

    /// What a block waits for before it can be appended, by the local time `now_ms`: empty when for nothing.
    pub fn check<S: DagStore>(
        &self,
        block: &Block,
        now_ms: u64,
        store: &S,
    ) -> Result<Waits, Error<S::Error>> {
        if self.find(&block.cid(), store).map_err(Error::Fault)?.is_some() {
            return Err(Error::Known(block.cid()));
        }
        if block.header().is_root() && block.cid() != self.realm.0 {
            return Err(Refusal::OtherGenesis.into());
        }
        let mut waits = Waits::default();
        for p in block.header().all_parents() {
            let missing = self.find(p, store).map_err(Error::Fault)?.is_none();
            if missing && !fault::on(Fault::ParentNotAwaited) {
                waits.missing.push(*p);
            }
        }
        let ahead_ms = block.stamp().millis();
        if ahead_ms > now_ms.saturating_add(CLOCK_DRIFT_MS_MAX) {
            waits.until_ms = Some(ahead_ms - CLOCK_DRIFT_MS_MAX);
        }
        Ok(waits)
    }

    /// Applies a block whose parents are applied. The caller writes down what is returned; when that fails, it
    /// loads the DAG again from what is written.
    pub fn append<S: DagStore>(
        &mut self,
        block: &VerifiedBlock,
        store: &S,
    ) -> Result<Placed, Error<S::Error>> {
        let cid = block.cid();
        let header = block.header();
        if self.find(&cid, store).map_err(Error::Fault)?.is_some() {
            return Err(Error::Known(cid));
        }
        if header.is_root() && cid != self.realm.0 {
            return Err(Refusal::OtherGenesis.into());
        }
        let mut parents: Vec<(Cid, Found)> = Vec::with_capacity(1 + header.parents.len());
        for p in header.all_parents() {
            match self.find(p, store).map_err(Error::Fault)? {
                Some(found) => parents.push((*p, found)),
                None if fault::on(Fault::ParentNotAwaited) => {}
                None => return Err(Error::MissingParent(*p)),
            }
        }
        let prev = header.prev.and_then(|prev| parents.iter().find(|p| p.0 == prev)).map(|p| p.1);
        if let Some(prev) = prev {
            if prev.author != header.author {
                return Err(Refusal::ForeignPrev.into());
            }
            if prev.place.seq + 1 != header.seq {
                return Err(Refusal::SeqGap { is: header.seq, prev: prev.place.seq }.into());
            }
        }
        if let Some((p, _)) = parents.iter().find(|(_, f)| f.stamp >= header.stamp) {
            return Err(Refusal::StampNotAfter(*p).into());
        }
        let mut pasts = Vec::with_capacity(parents.len());
        for (_, f) in &parents {
            pasts.push(self.past(f.place, store).map_err(Error::Fault)?);
        }
        self.check_antichain(&parents, &pasts, header.prev)?;
        let (unseen, same_as) = self.unseen_of(&pasts, store).map_err(Error::Fault)?;

        let no = self.next;
        let tip = Tip { seq: header.seq, cid };
        let extends = prev.filter(|p| self.branches[p.place.branch.0 as usize].tip_no == p.place.no);
        let new_branch = extends.is_none().then(|| Branch {
            no: BranchNo(self.branches.len() as u32),
            chain: match prev {
                Some(p) => self.branches[p.place.branch.0 as usize].chain,
                None => ChainId { author: header.author, first: cid },
            },
            fork: prev.map(|p| p.place),
            first_seq: header.seq,
            tip,
            tip_no: no,
            tip_stamp: header.stamp,
        });
        let branch = match (&new_branch, extends) {
            (Some(b), _) => b.no,
            (None, Some(p)) => p.place.branch,
            (None, None) => unreachable!("a block that extends no branch begins one"),
        };
        match new_branch {
            Some(b) => self.add_branch(b),
            None => self.advance(branch, tip, no, header.stamp),
        }
        let place = Place { no, branch, seq: header.seq };
        let heads_gone: Vec<Cid> =
            header.all_parents().filter(|p| self.heads.remove(p).is_some()).copied().collect();
        self.heads.insert(cid, Head { cid, place, stamp: header.stamp, author: header.author });
        self.next = BlockNo(no.0 + 1);
        self.remember(place, unseen.clone(), same_as);
        Ok(Placed {
            cid,
            author: header.author,
            stamp: header.stamp,
            place,
            chain: self.branches[branch.0 as usize].chain,
            new_branch,
            unseen,
            unseen_same_as: same_as,
            heads_gone,
        })
    }

    fn advance(&mut self, branch: BranchNo, tip: Tip, no: BlockNo, stamp: Stamp) {
        let b = &mut self.branches[branch.0 as usize];
        self.tips.remove(&b.tip.cid);
        self.by_tip.remove(&b.tip_no);
        (b.tip, b.tip_no, b.tip_stamp) = (tip, no, stamp);
        self.tips.insert(tip.cid, branch);
        self.by_tip.insert(no, branch);
    }

    fn remember(&mut self, place: Place, unseen: Unseen, same_as: Option<BlockNo>) {
        let counted = if same_as.is_some() { 0 } else { unseen.entries().len() };
        self.recent_entries += counted;
        self.recent.push_back(Recent { place, unseen, holder: same_as.unwrap_or(place.no), counted });
        while self.recent.len() > RECENT_BLOCKS_MAX
            || (self.recent_entries > RECENT_ENTRIES_MAX && self.recent.len() > 1)
        {
            if let Some(r) = self.recent.pop_front() {
                self.recent_entries -= r.counted;
            }
        }
    }

    fn check_antichain(
        &self,
        parents: &[(Cid, Found)],
        pasts: &[Past],
        prev: Option<Cid>,
    ) -> Result<(), Refusal> {
        // No head lies in the past of anything.
        let inner = parents.iter().filter(|(c, _)| Some(*c) != prev && !self.heads.contains_key(c));
        for (cid, found) in inner {
            if pasts.iter().any(|p| p.contains(found.place)) {
                return Err(Refusal::RedundantParent(*cid));
            }
        }
        Ok(())
    }

    /// What a block on these parents has not seen of all that is applied now, and the block that holds an equal
    /// list already.
    ///
    /// The parent numbered highest has seen everything up to itself but for its own list. So only branches in
    /// that list and branches that advanced after it can be unseen; for those the other parents are asked too.
    fn unseen_of<S: DagStore>(
        &self,
        pasts: &[Past],
        store: &S,
    ) -> Result<(Unseen, Option<BlockNo>), S::Error> {
        let Some(top) = pasts.iter().max_by_key(|p| p.no()) else {
            return Ok((self.everything_unseen(), None));
        };
        if pasts.len() == 1 && self.lists_all_after(top) {
            // Nothing else makes it see more, and what it has not seen stays where it was.
            let holder = self.recent(top.no()).map(|r| r.holder);
            let shared = holder.filter(|_| !top.is_everything_before());
            return Ok((top.unseen().clone(), shared));
        }
        let others = || pasts.iter().filter(|p| p.no() != top.no());
        let mut unseen: BTreeMap<BranchNo, u64> = top.unseen().entries().iter().copied().collect();
        for (branch, seq) in self.advanced_after(top.no(), store)? {
            unseen.entry(branch).or_insert(seq);
        }
        if unseen.is_empty() {
            return Ok((Unseen::NONE, None));
        }
        let mut entries = Vec::with_capacity(unseen.len());
        for (branch, mut seen) in unseen {
            let tip_seq = self.branches[branch.0 as usize].tip.seq;
            for p in others() {
                if seen >= tip_seq {
                    break;
                }
                seen = seen.max(self.seen(p, branch, store)?);
            }
            if seen < tip_seq {
                entries.push((branch, seen));
            }
        }
        if entries == top.unseen().entries() {
            let holder = self.recent(top.no()).map(|r| r.holder).filter(|_| !entries.is_empty());
            // Without the holder at hand the list is written once more.
            return Ok((top.unseen().clone(), holder));
        }
        Ok((Unseen::from_sorted(entries), None))
    }

    /// Every branch that advanced after the block is in its list already.
    fn lists_all_after(&self, past: &Past) -> bool {
        let entries = past.unseen().entries();
        if entries.len() >= self.branches.len() / 4 {
            // Both in the order of branches: those that are not listed have gone no further.
            let mut listed = entries.iter().map(|e| e.0).peekable();
            return self.branches.iter().all(|b| listed.next_if_eq(&b.no).is_some() || b.tip_no <= past.no());
        }
        let after = BlockNo(past.no().0 + 1);
        self.by_tip.range(after..).all(|(_, b)| past.unseen().get(*b).is_some())
    }

    fn everything_unseen(&self) -> Unseen {
        Unseen::from_sorted(self.branches.iter().map(|b| (b.no, 0)).collect())
    }

    /// The branches with blocks numbered above `no`, each with its last seq at or below `no`.
    fn advanced_after<S: DagStore>(&self, no: BlockNo, store: &S) -> Result<Vec<(BranchNo, u64)>, S::Error> {
        let after = BlockNo(no.0 + 1);
        if after >= self.next {
            return Ok(Vec::new());
        }
        let walk = self.next.0 - after.0 <= GAP_WALK_MAX && self.recent(after).is_some();
        if !walk {
            let advanced = self.by_tip.range(after..).map(|(_, b)| *b);
            return advanced.map(|b| Ok((b, store.last_seq_at(b, no)?))).collect();
        }
        let from = self.recent.len() - (self.next.0 - after.0) as usize;
        let mut firsts: BTreeMap<BranchNo, u64> = BTreeMap::new();
        for r in self.recent.range(from..) {
            firsts.entry(r.place.branch).or_insert_with(|| {
                let first_seq = self.branches[r.place.branch.0 as usize].first_seq;
                if r.place.seq == first_seq { 0 } else { r.place.seq - 1 }
            });
        }
        Ok(firsts.into_iter().collect())
    }

    /// How far the block whose past is given (or the block itself) had seen this branch.
    fn seen<S: DagStore>(&self, past: &Past, branch: BranchNo, store: &S) -> Result<u64, S::Error> {
        if past.place().branch == branch {
            return Ok(past.place().seq);
        }
        match past.unseen().get(branch) {
            Some(seq) => Ok(seq),
            None => self.last_seq_at(branch, past.no(), store),
        }
    }
}
