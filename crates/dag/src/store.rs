//! What the DAG reads from whoever keeps the blocks, and a keeper in memory for tests and examples.

use std::collections::HashMap;
use std::convert::Infallible;

use p2pdb_model::Stamp;
use p2pdb_model::ids::{Cid, NodeId};

use crate::dag::Placed;
use crate::ids::{BlockNo, BranchNo, Place};
use crate::past::Unseen;

/// A block that is held and applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it stands.
    pub place: Place,
    /// Its clock.
    pub stamp: Stamp,
    /// Its author.
    pub author: NodeId,
}

/// Reads of applied blocks. Each is one look-up by an index. An error is a fault of this node.
pub trait DagStore {
    /// A fault.
    type Error;

    /// The applied block of this name.
    fn find(&self, cid: &Cid) -> Result<Option<Found>, Self::Error>;

    /// What the block with this number had not seen, as [`Placed::unseen`] gave it.
    fn unseen(&self, no: BlockNo) -> Result<Unseen, Self::Error>;

    /// The greatest seq of a block of this branch numbered at most `no`; 0 when there is none.
    fn last_seq_at(&self, branch: BranchNo, no: BlockNo) -> Result<u64, Self::Error>;

    /// The block at this seq of this branch (not of the branch it forked from).
    fn block_at(&self, branch: BranchNo, seq: u64) -> Result<Option<(BlockNo, Cid)>, Self::Error>;
}

/// Keeps what [`crate::Dag::append`] returns in memory.
#[derive(Clone, Debug, Default)]
pub struct MemStore {
    by_cid: HashMap<Cid, Found>,
    blocks: Vec<(Cid, Unseen)>,
    branches: HashMap<BranchNo, Vec<(u64, BlockNo)>>,
}

impl MemStore {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps an appended block.
    pub fn insert(&mut self, placed: &Placed) {
        let place = placed.place;
        assert_eq!(place.no.0, self.blocks.len() as u64 + 1, "blocks are kept in the order of their numbers");
        self.by_cid.insert(placed.cid, Found { place, stamp: placed.stamp, author: placed.author });
        self.blocks.push((placed.cid, placed.unseen.clone()));
        self.branches.entry(place.branch).or_default().push((place.seq, place.no));
    }

    /// The name of the block with this number.
    pub fn cid(&self, no: BlockNo) -> Option<Cid> {
        let i = usize::try_from(no.0.checked_sub(1)?).ok()?;
        self.blocks.get(i).map(|b| b.0)
    }
}

impl DagStore for MemStore {
    type Error = Infallible;

    fn find(&self, cid: &Cid) -> Result<Option<Found>, Infallible> {
        Ok(self.by_cid.get(cid).copied())
    }

    fn unseen(&self, no: BlockNo) -> Result<Unseen, Infallible> {
        Ok(self.blocks[no.0 as usize - 1].1.clone())
    }

    fn last_seq_at(&self, branch: BranchNo, no: BlockNo) -> Result<u64, Infallible> {
        let blocks = self.branches.get(&branch).map(Vec::as_slice).unwrap_or_default();
        let n = blocks.partition_point(|(_, n)| *n <= no);
        Ok(n.checked_sub(1).map_or(0, |i| blocks[i].0))
    }

    fn block_at(&self, branch: BranchNo, seq: u64) -> Result<Option<(BlockNo, Cid)>, Infallible> {
        let blocks = self.branches.get(&branch).map(Vec::as_slice).unwrap_or_default();
        let found = blocks.binary_search_by_key(&seq, |b| b.0).ok().map(|i| blocks[i].1);
        Ok(found.and_then(|no| Some((no, self.cid(no)?))))
    }
}
