//! Forks: two blocks of one author behind the same block, because two copies of a node wrote with one key. Both branches are
//! kept and merged; whoever runs the nodes is told once, when the later branch is committed here.

use p2pdb_dag::Placed;
use p2pdb_model::{Cid, NodeId};
use p2pdb_store::{BranchNo, Connection, StoreError};

/// A fork that came to light with a block.
#[derive(Debug)]
pub(crate) struct Forked {
    author: NodeId,
    seq: u64,
    /// The block that was here first.
    held: Option<Cid>,
    /// The one that came.
    came: Cid,
}

impl Forked {
    /// The fork that this block makes, if any.
    pub(crate) fn by(placed: &Placed, db: &Connection) -> Result<Option<Self>, StoreError> {
        let Some(from) = placed.new_branch.and_then(|b| b.fork) else { return Ok(None) };
        let seq = from.seq + 1;
        let held = db.block_at(BranchNo(from.branch.0), seq)?.map(|(_, cid)| cid);
        Ok(Some(Forked { author: placed.author, seq, held, came: placed.cid }))
    }

    pub(crate) fn warn(&self) {
        let held = self.held.map_or_else(|| "another block".to_owned(), |cid| cid.to_string());
        tracing::warn!(
            author = %self.author,
            seq = self.seq,
            "a chain has forked: {held} and {} are both block {} of node {}, so two copies of that node have \
             written; both branches are kept and merged (p2pdb.forks): stop one of the copies, and let it join \
             with a ticket in a new directory",
            self.came,
            self.seq,
            self.author
        );
    }
}
