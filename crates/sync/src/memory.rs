//! A log in memory, without tables: for tests, examples, and the light nodes of a simulation.
//!
//! It does with blocks what an engine does: verifies them, keeps those that wait for parents, appends the others in causal
//! order. Blocks are shared: however many logs hold one, its bytes and its verdict are there once, on a [`Shelf`].
//!
//! Not here: who may write, clocks (nothing waits for the local time), tables.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

use p2pdb_block::{FullBlock, verify_runs};
use p2pdb_dag::{BlockNo, ChainId, Cover, Dag, DagStore, Frontier, MemStore, Pending, Place, Tip, Want};
use p2pdb_model::RealmId;
use p2pdb_model::ids::Cid;

use crate::message::{StateProof, WireBlock};
use crate::source::{BlockSource, Received, Scan};

/// A block that is whole and verified.
#[derive(Debug)]
pub struct HeldBlock {
    /// The block.
    pub block: FullBlock,
    /// Its bytes.
    pub wire: Arc<WireBlock>,
}

impl HeldBlock {
    /// Of a block that was made here or verified.
    pub fn new(block: FullBlock) -> Arc<Self> {
        let bodies = block.parts().iter().map(|p| p.bytes.clone()).collect();
        let wire = Arc::new(WireBlock::new(block.bytes().to_vec(), bodies));
        Arc::new(Self { block, wire })
    }
}

/// Verified blocks by name; one for each log, or one for many.
#[derive(Debug, Default)]
pub struct Shelf(HashMap<Cid, Arc<HeldBlock>>);

impl Shelf {
    /// Puts a verified block there.
    pub fn put(&mut self, held: Arc<HeldBlock>) {
        self.0.insert(held.block.cid(), held);
    }

    /// These blocks, if all are here with these very bytes.
    fn all(&self, blocks: &[Received]) -> Option<Vec<Arc<HeldBlock>>> {
        let equal = |r: &Received| {
            // The name stands for the envelope, not for the bodies.
            let held = self.0.get(&r.block.cid())?;
            let bodies = held.wire.1.iter().map(|b| b.as_slice());
            bodies.eq(r.bodies.iter().map(Vec::as_slice)).then(|| held.clone())
        };
        blocks.iter().map(equal).collect()
    }

    /// Verifies signatures, in runs as an engine does, and bodies.
    fn verify(&mut self, blocks: Vec<Received>, realm: &RealmId) -> Result<Vec<Arc<HeldBlock>>, String> {
        let (mut decoded, mut bodies) = (Vec::with_capacity(blocks.len()), BTreeMap::new());
        for r in blocks {
            bodies.insert(r.block.cid(), r.bodies);
            decoded.push(r.block);
        }
        let mut out = Vec::with_capacity(decoded.len());
        for verified in verify_runs(decoded, realm) {
            let block = verified.map_err(|(_, e)| e.to_string())?;
            let parts = bodies.get(&block.cid()).cloned().unwrap_or_default();
            let full = block.with_bodies(parts).map_err(|_| "bad bodies".to_owned())?;
            let held = HeldBlock::new(full);
            self.put(held.clone());
            out.push(held);
        }
        Ok(out)
    }
}

/// See the module.
#[derive(Debug)]
pub struct MemoryLog {
    dag: Dag,
    store: MemStore,
    held: Vec<(Place, Arc<HeldBlock>)>,
    pending: Pending<Arc<HeldBlock>>,
    digest: Cell<Option<[u8; 32]>>,
    /// What [`BlockSource::state`] says.
    pub state: Option<StateProof>,
}

/// A read of memory.
fn sure<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

impl MemoryLog {
    /// Without blocks.
    pub fn new(realm: RealmId) -> Self {
        Self {
            dag: Dag::new(realm),
            store: MemStore::new(),
            held: Vec::new(),
            pending: Pending::new(),
            digest: Cell::new(None),
            state: None,
        }
    }

    /// A log that holds the first `blocks` of these, as after the restore of a backup; nothing waits in it.
    pub fn prefix(&self, blocks: usize) -> Self {
        if blocks >= self.held.len() {
            let (dag, store, held) = (self.dag.clone(), self.store.clone(), self.held.clone());
            return Self { dag, store, held, digest: self.digest.clone(), ..Self::new(self.dag.realm()) };
        }
        let mut log = Self::new(self.dag.realm());
        for (_, held) in &self.held[..blocks] {
            // Refused by none, since this log took it in the same order.
            let _ = log.append(held.clone());
        }
        log
    }

    /// How many blocks are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// True before the genesis block.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The DAG.
    pub fn dag(&self) -> &Dag {
        &self.dag
    }

    /// The blocks held, in the order in which they were appended.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = &Arc<HeldBlock>> {
        self.held.iter().map(|h| &h.1)
    }

    /// The blocks from the one with this index on.
    pub fn blocks_from(&self, index: usize) -> impl ExactSizeIterator<Item = &Arc<HeldBlock>> {
        self.held[index.min(self.held.len())..].iter().map(|h| &h.1)
    }

    /// How many blocks wait for parents.
    pub fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// True when this block waits.
    pub fn awaits(&self, cid: &Cid) -> bool {
        self.pending.contains(cid)
    }

    /// Appends a block whose parents are held.
    ///
    /// # Errors
    /// Why it cannot be part of the log.
    pub fn append(&mut self, held: Arc<HeldBlock>) -> Result<(), String> {
        let placed = self.dag.append(&held.block, &self.store).map_err(|e| e.to_string())?;
        self.store.insert(&placed);
        self.held.push((placed.place, held));
        self.digest.set(None);
        Ok(())
    }

    /// Takes a delivery in, as an engine does: the blocks of it that wait.
    ///
    /// # Errors
    /// What is wrong with the sender.
    pub fn take(&mut self, blocks: Vec<Received>, shelf: &mut Shelf) -> Result<Vec<Cid>, String> {
        let realm = self.dag.realm();
        let blocks = match shelf.all(&blocks) {
            Some(held) => held,
            None => shelf.verify(blocks, &realm)?,
        };
        let mut waiting = Vec::new();
        for held in blocks {
            let block = &held.block;
            let cid = block.cid();
            match self.dag.check(block, u64::MAX, &self.store) {
                Err(p2pdb_dag::Error::Known(_)) => {}
                Err(e) => return Err(e.to_string()),
                Ok(waits) if waits.missing.is_empty() => {
                    self.append(held)?;
                    self.release(cid)?;
                }
                Ok(waits) => {
                    let (author, stamp, bytes) = (block.author(), block.stamp(), held.wire.size_bytes());
                    self.pending.insert(cid, author, stamp, bytes, waits, held);
                    waiting.push(cid);
                }
            }
        }
        waiting.retain(|c| self.pending.contains(c));
        Ok(waiting)
    }

    fn release(&mut self, cid: Cid) -> Result<(), String> {
        let mut ready = self.pending.arrived(&cid);
        while let Some((cid, held)) = ready.pop() {
            if sure(self.dag.find(&cid, &self.store)).is_none() {
                self.append(held)?;
            }
            ready.extend(self.pending.arrived(&cid));
        }
        Ok(())
    }
}

impl BlockSource for MemoryLog {
    type Error = Infallible;

    fn frontier(&self) -> Result<Frontier, Infallible> {
        Ok(self.dag.frontier())
    }

    fn frontier_digest(&self) -> Result<[u8; 32], Infallible> {
        let digest = self.digest.get().unwrap_or_else(|| self.dag.frontier().digest());
        self.digest.set(Some(digest));
        Ok(digest)
    }

    fn state(&self) -> Result<Option<StateProof>, Infallible> {
        Ok(self.state)
    }

    fn heads(&self) -> Result<Vec<Cid>, Infallible> {
        Ok(self.dag.heads().map(|h| h.cid).collect())
    }

    fn holds(&self, cid: &Cid) -> Result<bool, Infallible> {
        Ok(self.dag.find(cid, &self.store)?.is_some())
    }

    fn knows(&self, cid: &Cid) -> Result<bool, Infallible> {
        Ok(self.pending.contains(cid) || self.holds(cid)?)
    }

    fn wants(&self, theirs: &Frontier) -> Result<Vec<Want>, Infallible> {
        self.dag.wants(theirs, &self.store)
    }

    fn cover(&self, theirs: &Frontier) -> Result<Cover, Infallible> {
        self.dag.cover(theirs, &self.store)
    }

    fn first_uncovered(&self, cover: &Cover) -> Result<Option<BlockNo>, Infallible> {
        self.dag.first_uncovered(cover, &self.store)
    }

    fn rungs(&self, _: &ChainId, tip: &Tip, seqs: &[u64]) -> Result<Vec<Tip>, Infallible> {
        let mut out = Vec::new();
        let Some(found) = self.dag.find(&tip.cid, &self.store)? else { return Ok(out) };
        for seq in seqs.iter().filter(|s| **s <= tip.seq) {
            let mut branch = self.dag.branch(found.place.branch);
            while let Some(b) = branch {
                if *seq >= b.first_seq {
                    if let Some((_, cid)) = self.store.block_at(b.no, *seq)? {
                        out.push(Tip { seq: *seq, cid });
                    }
                    break;
                }
                branch = b.fork.and_then(|f| self.dag.branch(f.branch));
            }
        }
        Ok(out)
    }

    fn scan(
        &self,
        cover: &Cover,
        from: BlockNo,
        bytes_max: usize,
        blocks_max: usize,
    ) -> Result<Scan, Infallible> {
        let (mut scan, mut bytes) = (Scan::default(), 0);
        let first = usize::try_from(from.0.saturating_sub(1)).unwrap_or(usize::MAX);
        for (i, (place, held)) in self.held.iter().enumerate().skip(first) {
            if cover.covers(*place) {
                continue;
            }
            if bytes >= bytes_max || scan.blocks.len() >= blocks_max {
                scan.next = Some(BlockNo(i as u64 + 1));
                break;
            }
            bytes += held.wire.size_bytes();
            scan.blocks.push(WireBlock::clone(&held.wire));
        }
        Ok(scan)
    }
}
