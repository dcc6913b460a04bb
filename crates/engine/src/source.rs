//! The log as `sync` reads it.
//!
//! A view of the state after the last commit that is durable: the DAG's branches and heads from what was published,
//! everything else from a read connection. It never waits for the writer.

use p2pdb_block::Proof;
use p2pdb_dag::{BlockNo, BranchNo, ChainId, Cover, Frontier, Place, Tip, Want};
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_store::{self as store, PooledReader, StoreError};
use p2pdb_sync::{BlockSource, Scan, StateProof, WireBlock};

use crate::engine::Engine;
use crate::logged::{self, Logged};

/// A block's record, envelope and bodies.
type Held = (store::BlockRecord, Vec<u8>, Vec<Vec<u8>>);

/// See the module. Make one per use; it keeps a read connection for as long as it lives.
pub struct LogView {
    engine: Engine,
    reader: PooledReader,
}

impl Engine {
    /// The log, to be read by sync.
    ///
    /// # Errors
    /// When no read connection can be had.
    pub fn log_view(&self) -> Result<LogView, StoreError> {
        Ok(LogView { engine: self.clone(), reader: self.inner.readers.get()? })
    }
}

impl BlockSource for LogView {
    type Error = StoreError;

    fn frontier(&self) -> Result<Frontier, StoreError> {
        Ok(self.engine.inner.durable.load().frontier().clone())
    }

    fn frontier_digest(&self) -> Result<[u8; 32], StoreError> {
        Ok(self.engine.inner.durable.load().frontier_digest())
    }

    fn state(&self) -> Result<Option<StateProof>, StoreError> {
        // No proof is better than a wait: the next round brings one.
        let state = self.engine.inner.state().ok();
        Ok(state
            .filter(|s| s.comparable)
            .map(|s| StateProof { frontier: s.frontier, fingerprint: s.fingerprint }))
    }

    fn heads(&self) -> Result<Vec<Cid>, StoreError> {
        Ok(self.engine.inner.durable.load().heads.iter().map(|h| h.cid).collect())
    }

    fn serves(&self) -> bool {
        self.engine.is_member(&self.engine.node())
    }

    fn holds(&self, cid: &Cid) -> Result<bool, StoreError> {
        let durable = self.engine.inner.durable.load();
        Ok(durable.dag().find(cid, &Logged(&self.reader))?.is_some())
    }

    fn knows(&self, cid: &Cid) -> Result<bool, StoreError> {
        let inner = &self.engine.inner;
        Ok(inner.waiting.lock().contains(cid) || inner.refused.lock().contains(cid) || self.holds(cid)?)
    }

    fn wants(&self, theirs: &Frontier) -> Result<Vec<Want>, StoreError> {
        let mut wants = self.engine.inner.durable.load().dag().wants(theirs, &Logged(&self.reader))?;
        let refused = self.engine.inner.refused.lock();
        wants.retain(|w| !refused.contains(&w.tip.cid));
        Ok(wants)
    }

    fn cover(&self, theirs: &Frontier) -> Result<Cover, StoreError> {
        self.engine.inner.durable.load().dag().cover(theirs, &Logged(&self.reader))
    }

    fn first_uncovered(&self, cover: &Cover) -> Result<Option<BlockNo>, StoreError> {
        self.engine.inner.durable.load().dag().first_uncovered(cover, &Logged(&self.reader))
    }

    fn rungs(&self, chain: &ChainId, tip: &Tip, seqs: &[u64]) -> Result<Vec<Tip>, StoreError> {
        let durable = self.engine.inner.durable.load();
        let dag = durable.dag();
        let logged = Logged(&self.reader);
        let mut rungs = Vec::new();
        let Some(found) = dag.find(&tip.cid, &logged)? else { return Ok(rungs) };
        let mut wanted: Vec<u64> = seqs.iter().copied().filter(|s| *s <= tip.seq).collect();
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        let mut at = found.place;
        for seq in wanted {
            // Down over fork points to the branch that holds this seq.
            while let Some(branch) = dag.branch(at.branch)
                && seq < branch.first_seq
                && let Some(fork) = branch.fork
            {
                at = fork;
            }
            debug_assert!(dag.branch(at.branch).is_none_or(|b| b.chain.first == chain.first));
            if let Some((_, cid)) = p2pdb_dag::DagStore::block_at(&logged, at.branch, seq)? {
                rungs.push(Tip { seq, cid });
            }
        }
        rungs.reverse();
        Ok(rungs)
    }

    fn scan(
        &self,
        cover: &Cover,
        from: BlockNo,
        bytes_max: usize,
        blocks_max: usize,
    ) -> Result<Scan, StoreError> {
        let durable = self.engine.inner.durable.load().blocks;
        let mut out = Scan::default();
        let mut bytes = 0;
        let mut found: Vec<Held> = Vec::new();
        self.reader.scan_blocks(logged::no(from), |b| {
            if b.record.no.0 > durable {
                return Ok(store::STOP);
            }
            let place =
                Place { no: BlockNo(b.record.no.0), branch: BranchNo(b.record.branch.0), seq: b.record.seq };
            if cover.covers(place) {
                return Ok(store::NEXT);
            }
            if found.len() >= blocks_max || (bytes >= bytes_max && !found.is_empty()) {
                out.next = Some(place.no);
                return Ok(store::STOP);
            }
            // What goes over the wire is hashed: better nothing than damage, for which this node would be banned.
            let bodies = self.reader.sound_bodies(b.record.no, &b.record.cid, b.envelope);
            let bodies = match bodies.inspect_err(|e| self.engine.inner.tell_damage(e)) {
                Ok(bodies) => bodies,
                Err(StoreError::BlockAt { .. }) if !found.is_empty() => {
                    out.next = Some(place.no);
                    return Ok(store::STOP);
                }
                Err(e) => return Err(e),
            };
            bytes += b.envelope.len() + bodies.iter().map(Vec::len).sum::<usize>();
            found.push((b.record, b.envelope.to_vec(), bodies));
            Ok(store::NEXT)
        })?;
        // A chain goes out only up to a block that its own signature vouches for.
        if out.next.is_none() {
            self.cut_unproven(&mut found)?;
        }
        for (_, envelope, bodies) in found {
            out.blocks.push(WireBlock::new(envelope, bodies));
        }
        Ok(out)
    }

    fn tips_of(&self, author: &NodeId) -> Result<Vec<(ChainId, Tip)>, StoreError> {
        let frontier = self.frontier()?;
        let chains = frontier.chains().iter().filter(|c| c.chain.author == *author);
        Ok(chains.flat_map(|c| c.tips.iter().map(|t| (c.chain, *t))).collect())
    }
}

impl LogView {
    /// Takes off, from the end of the log, blocks that only a later block vouched for which is not held any more.
    /// (Blocks are stored vouched only together with the block that vouches for them, so this finds something only
    /// in a log that lost its end.)
    fn cut_unproven(&self, found: &mut Vec<Held>) -> Result<(), StoreError> {
        while let Some((record, _, _)) = found.last()
            && record.proof == Proof::Vouched
            && self.reader.block_at(record.branch, record.seq + 1)?.is_none()
        {
            found.pop();
        }
        Ok(())
    }
}
