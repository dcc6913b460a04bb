//! Heads, and what to do when there are more of them than one block can name.

use p2pdb_block::PARENTS_MAX;
use p2pdb_model::Stamp;
use p2pdb_model::ids::{Cid, NodeId};

use crate::ids::Place;

/// A block that no applied block names as parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name.
    pub cid: Cid,
    /// Where it stands.
    pub place: Place,
    /// Its clock.
    pub stamp: Stamp,
    /// Its author.
    pub author: NodeId,
}

/// Deals the heads out to blocks to be written one after another by an author whose chain ends in `prev`: each
/// group is the `parents` of one block. All but the last group are for empty merge blocks; the last one is for
/// the block with content, which thereby has all heads in its past. One (possibly empty) group is the usual case.
pub fn merge_groups(heads: &[Cid], prev: Option<Cid>) -> Vec<Vec<Cid>> {
    let mut others: Vec<Cid> = heads.iter().copied().filter(|h| Some(*h) != prev).collect();
    others.sort_unstable();
    if others.is_empty() {
        return vec![Vec::new()];
    }
    others.chunks(PARENTS_MAX).map(<[Cid]>::to_vec).collect()
}
