//! Numbers and names of blocks and chains.

use std::fmt;

use p2pdb_model::ids::{Cid, NodeId};
use serde::{Deserialize, Serialize};

/// A block's number on this node, from 1, in the order of application: parents have smaller ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BlockNo(pub u64);

/// A branch's number on this node, from 0, in the order of appearance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BranchNo(pub u32);

impl BranchNo {
    /// No branch: the place of a block that is not made yet ([`crate::Dag::past_of_now`]).
    pub const NONE: BranchNo = BranchNo(u32::MAX);
}

/// Where a block stands on this node: enough to answer questions of ancestry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Its number.
    pub no: BlockNo,
    /// Its branch.
    pub branch: BranchNo,
    /// Its number in its chain.
    pub seq: u64,
}

/// A chain: the blocks of one author that are linked by `prev`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ChainId {
    /// Its author.
    pub author: NodeId,
    /// CID of its first block.
    pub first: Cid,
}

impl ChainId {
    /// The chain's name in GTID sets: a UUID of the first 16 bytes of its first block's digest.
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        let digest = self.first.hash().digest();
        let n = digest.len().min(16);
        bytes[..n].copy_from_slice(&digest[..n]);
        Uuid(bytes)
    }
}

/// 16 bytes in the textual form of a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, b) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{b:02x}")?;
        }
        Ok(())
    }
}
