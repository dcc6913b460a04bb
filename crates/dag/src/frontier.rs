//! Frontiers: how far each chain is held, in names that mean the same on every node.
//!
//! The set of applied blocks is causally closed, so the tips of all branches describe it completely. Two nodes
//! with equal frontiers hold the same blocks.

use std::collections::BTreeMap;

use p2pdb_model::GtidSet;
use p2pdb_model::ids::Cid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dag::Dag;
use crate::ids::{BlockNo, ChainId, Place};
use crate::store::DagStore;

/// The last block of a branch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tip {
    /// Its number in the chain.
    pub seq: u64,
    /// Its name.
    pub cid: Cid,
}

/// How far one chain is held.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ChainFrontier {
    /// The chain.
    pub chain: ChainId,
    /// The tips of its branches, ascending; more than one when it forked.
    pub tips: Vec<Tip>,
}

/// How far every chain is held; in ascending order of chains.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Frontier {
    chains: Vec<ChainFrontier>,
}

/// Blocks of one branch that the other side holds and this side may lack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Want {
    /// The chain.
    pub chain: ChainId,
    /// The first seq that this side lacks, unless the chain forked below it.
    pub from_seq: u64,
    /// The other side's tip.
    pub tip: Tip,
    /// This side holds another block, or none that it can tell, at the tip's seq: the chain forked, or this side
    /// is ahead on it. Step down the [`ladder`] to the fork point.
    pub forked: bool,
}

impl Frontier {
    /// From chains in any order; tips of a chain named twice are put together.
    pub fn new(chains: impl IntoIterator<Item = ChainFrontier>) -> Self {
        let mut all: BTreeMap<ChainId, Vec<Tip>> = BTreeMap::new();
        for c in chains {
            all.entry(c.chain).or_default().extend(c.tips);
        }
        let chains = all.into_iter().map(|(chain, mut tips)| {
            tips.sort_unstable();
            tips.dedup();
            ChainFrontier { chain, tips }
        });
        Frontier { chains: chains.collect() }
    }

    /// The chains, ascending.
    pub fn chains(&self) -> &[ChainFrontier] {
        &self.chains
    }

    /// The tips of a chain; empty when nothing of it is held.
    pub fn tips(&self, chain: &ChainId) -> &[Tip] {
        let i = self.chains.binary_search_by_key(chain, |c| c.chain);
        i.map(|i| self.chains[i].tips.as_slice()).unwrap_or_default()
    }

    /// A digest: equal exactly for equal frontiers (sha2-256 over chains and tips).
    pub fn digest(&self) -> [u8; 32] {
        let mut h = Sha256::new();
        h.update(b"p2pdb/frontier/v1\0");
        for c in &self.chains {
            h.update(c.chain.first.to_bytes());
            h.update((c.tips.len() as u64).to_be_bytes());
            for t in &c.tips {
                h.update(t.seq.to_be_bytes());
                h.update(t.cid.to_bytes());
            }
        }
        h.finalize().into()
    }

    /// The frontier as a MySQL GTID set (`uuid:1-seq,…`): the UUID is [`ChainId::uuid`], the interval reaches to
    /// the highest branch. For clients, people and monitoring: forks need the CIDs.
    pub fn gtid_set(&self) -> GtidSet {
        let mut set = GtidSet::default();
        for c in &self.chains {
            if let Some(seq) = c.tips.iter().map(|t| t.seq).max() {
                set.add(c.chain.uuid().0, 1, seq);
            }
        }
        set
    }

    /// What `theirs` names that this frontier does not. Without the log in hand a tip below our own cannot be
    /// told from a fork; [`Dag::wants`] can.
    pub fn lacks(&self, theirs: &Frontier) -> Vec<Want> {
        let mut wants = Vec::new();
        for c in &theirs.chains {
            let mine = self.tips(&c.chain);
            let highest = mine.iter().map(|t| t.seq).max().unwrap_or(0);
            for tip in c.tips.iter().filter(|t| !mine.contains(t)) {
                let forked = tip.seq <= highest || mine.len() > 1;
                let from_seq = highest.min(tip.seq.saturating_sub(1)) + 1;
                wants.push(Want { chain: c.chain, from_seq, tip: *tip, forked });
            }
        }
        wants
    }
}

/// Sequence numbers at which to compare two branches that differ at `top`, to find where they part: `top`, then
/// steps that double, down to `bottom` (the last seq known to be common, or 1). At most 66 of them.
pub fn ladder(top: u64, bottom: u64) -> Vec<u64> {
    let mut rungs = vec![top];
    let mut step = 1u64;
    while let Some(next) = top.checked_sub(step).filter(|n| *n > bottom) {
        rungs.push(next);
        let Some(doubled) = step.checked_mul(2) else { break };
        step = doubled;
    }
    if bottom < top {
        rungs.push(bottom);
    }
    rungs
}

/// Which of this node's blocks the holder of a frontier has.
#[derive(Clone, Debug, Default)]
pub struct Cover {
    /// By branch number: the seq up to which all of it is held; 0 for nothing.
    seqs: Vec<u64>,
    /// Tips that this node does not hold: the other side is ahead there, or on another branch.
    unknown: Vec<(ChainId, Tip)>,
}

impl Cover {
    /// True when the other side holds the block at this place. Where it named tips that are unknown here it may
    /// hold more.
    pub fn covers(&self, place: Place) -> bool {
        self.seqs.get(place.branch.0 as usize).is_some_and(|seq| place.seq <= *seq)
    }

    /// Tips that this node does not hold.
    pub fn unknown(&self) -> &[(ChainId, Tip)] {
        &self.unknown
    }

    fn add(&mut self, dag: &Dag, mut at: Place) {
        loop {
            let seq = &mut self.seqs[at.branch.0 as usize];
            let covered = *seq >= at.seq;
            *seq = (*seq).max(at.seq);
            match dag.branch(at.branch).and_then(|b| b.fork) {
                Some(fork) if !covered => at = fork,
                _ => return,
            }
        }
    }
}

impl Dag {
    /// The frontier of what is applied.
    pub fn frontier(&self) -> Frontier {
        Frontier::new(self.branches().iter().map(|b| ChainFrontier { chain: b.chain, tips: vec![b.tip] }))
    }

    /// What the holder of `theirs` has of this node's blocks. Every block not covered is missing over there or
    /// hidden behind an unknown tip; sent in the order of numbers, parents come first.
    pub fn cover<S: DagStore>(&self, theirs: &Frontier, store: &S) -> Result<Cover, S::Error> {
        let mut cover = Cover { seqs: vec![0; self.branches().len()], unknown: Vec::new() };
        for c in theirs.chains() {
            for tip in &c.tips {
                // The store may be newer than this DAG, which then knows nothing of a branch that has begun since.
                match self.find(&tip.cid, store)?.filter(|f| self.branch(f.place.branch).is_some()) {
                    Some(found) => cover.add(self, found.place),
                    None => cover.unknown.push((c.chain, *tip)),
                }
            }
        }
        Ok(cover)
    }

    /// The least number of a block that is not covered: where to begin sending. `None` when all are.
    pub fn first_uncovered<S: DagStore>(
        &self,
        cover: &Cover,
        store: &S,
    ) -> Result<Option<BlockNo>, S::Error> {
        let mut least: Option<BlockNo> = None;
        for b in self.branches() {
            let seq = cover.seqs.get(b.no.0 as usize).copied().unwrap_or(0);
            if seq < b.tip.seq {
                let next = (seq + 1).max(b.first_seq);
                let no =
                    if next == b.tip.seq { Some(b.tip_no) } else { store.block_at(b.no, next)?.map(|x| x.0) };
                least = match (least, no) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
            }
        }
        Ok(least)
    }

    /// What the holder of `theirs` has that this node lacks: exact, because every tip named is looked up.
    pub fn wants<S: DagStore>(&self, theirs: &Frontier, store: &S) -> Result<Vec<Want>, S::Error> {
        let mut wants = Vec::new();
        for w in self.frontier().lacks(theirs) {
            if self.find(&w.tip.cid, store)?.is_none() {
                wants.push(w);
            }
        }
        Ok(wants)
    }
}
