//! What sync reads from the log. The engine implements it over `p2pdb_dag::Dag` and the store.

use std::fmt;

use p2pdb_block::DecodedBlock;
use p2pdb_dag::{BlockNo, ChainId, Cover, Frontier, Tip, Want};
use p2pdb_model::ids::{Cid, NodeId};

use crate::message::{StateProof, WireBlock};

/// Reads of the log. An error is a fault of this node (its disk), never of a peer.
///
/// "Held" means applied: what waits for parents or for the clock is not held and not in the frontier.
pub trait BlockSource {
    /// A fault.
    type Error: fmt::Display;

    /// How far every chain is held.
    fn frontier(&self) -> Result<Frontier, Self::Error>;

    /// [`Frontier::digest`] of it; asked often, so keep it.
    fn frontier_digest(&self) -> Result<[u8; 32], Self::Error>;

    /// The last pair of frontier digest and table fingerprint, if there is one.
    fn state(&self) -> Result<Option<StateProof>, Self::Error>;

    /// The heads of the DAG.
    fn heads(&self) -> Result<Vec<Cid>, Self::Error>;

    /// True when this block is held.
    fn holds(&self, cid: &Cid) -> Result<bool, Self::Error>;

    /// False while this node is no member in its own view of the log: it cannot tell who is one, so it gives nothing away.
    fn serves(&self) -> bool {
        true
    }

    /// True when this block is held, waits here (for parents or the clock), or is refused: it need not come again.
    fn knows(&self, cid: &Cid) -> Result<bool, Self::Error> {
        self.holds(cid)
    }

    /// `Dag::wants`: tips of the other side that are neither held nor refused.
    fn wants(&self, theirs: &Frontier) -> Result<Vec<Want>, Self::Error>;

    /// `Dag::cover`: which of our blocks the holder of these tips has.
    fn cover(&self, theirs: &Frontier) -> Result<Cover, Self::Error>;

    /// `Dag::first_uncovered`: where serving begins; `None` when there is nothing to serve.
    fn first_uncovered(&self, cover: &Cover) -> Result<Option<BlockNo>, Self::Error>;

    /// The blocks at these seqs on the branch that ends in `tip` (which is held), across fork points downwards;
    /// seqs that do not exist are left out.
    fn rungs(&self, chain: &ChainId, tip: &Tip, seqs: &[u64]) -> Result<Vec<Tip>, Self::Error>;

    /// Blocks from this number on, in the order of numbers, without those covered, until their bytes reach
    /// `bytes_max` or their number `blocks_max`. At least one block if there is any, so progress is made even when
    /// one is larger than the budget. A chain is served only up to a block whose own signature was verified.
    fn scan(
        &self,
        cover: &Cover,
        from: BlockNo,
        bytes_max: usize,
        blocks_max: usize,
    ) -> Result<Scan, Self::Error>;

    /// The tips of all chains of this author.
    fn tips_of(&self, author: &NodeId) -> Result<Vec<(ChainId, Tip)>, Self::Error> {
        let frontier = self.frontier()?;
        let chains = frontier.chains().iter().filter(|c| c.chain.author == *author);
        Ok(chains.flat_map(|c| c.tips.iter().map(|t| (c.chain, *t))).collect())
    }
}

/// A stretch of the log.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The blocks.
    pub blocks: Vec<WireBlock>,
    /// Where to go on; `None` when the log's end was reached.
    pub next: Option<BlockNo>,
}

/// A block from a peer: canonical and within limits, not verified, its bodies as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The block.
    pub block: DecodedBlock,
    /// As many bodies as its header lists; their CIDs are not checked.
    pub bodies: Vec<Vec<u8>>,
}
