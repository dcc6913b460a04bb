//! The causal past of a block, as a question that is answered in nanoseconds.
//!
//! Blocks are numbered in causal order, so the past of block `b` is a subset of the blocks numbered below it.
//! [`Unseen`] lists, per branch of which some block below `b` is not in `b`'s past, the greatest sequence number
//! of that branch that is. A branch is linear, so one number says it all; a branch not listed was seen as far as
//! this node held it. On a node in touch with its peers the list holds what was in flight, mostly nothing.

use std::sync::Arc;

use p2pdb_model::fault::{self, Fault};

use crate::ids::{BlockNo, BranchNo, Place};

/// What a block had not seen of what this node had applied before it: per branch, the last seq it had seen
/// (0: nothing), in ascending order of branches. Cheap to clone; equal lists of neighbours are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen(Option<Arc<[(BranchNo, u64)]>>);

impl Unseen {
    /// Nothing was missed.
    pub const NONE: Unseen = Unseen(None);

    /// From entries in strictly ascending order of branches.
    pub(crate) fn from_sorted(entries: Vec<(BranchNo, u64)>) -> Self {
        debug_assert!(entries.windows(2).all(|w| w[0].0 < w[1].0));
        Unseen((!entries.is_empty()).then(|| entries.into()))
    }

    /// The entries, ascending by branch.
    pub fn entries(&self) -> &[(BranchNo, u64)] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The last seq of this branch that was seen, where something of it was not.
    pub fn get(&self, branch: BranchNo) -> Option<u64> {
        let entries = self.entries();
        entries.binary_search_by_key(&branch, |e| e.0).ok().map(|i| entries[i].1)
    }

    /// The form in which a store keeps it: varints, branches as differences; empty for nothing missed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries().len() * 4);
        let mut last = 0;
        for (branch, seq) in self.entries() {
            write_varint(&mut out, u64::from(branch.0 - last));
            write_varint(&mut out, *seq);
            last = branch.0;
        }
        out
    }

    /// Reads [`Unseen::to_bytes`]; `None` when the bytes are damaged.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut entries: Vec<(BranchNo, u64)> = Vec::new();
        while !bytes.is_empty() {
            let step = u32::try_from(read_varint(&mut bytes)?).ok()?;
            let seq = read_varint(&mut bytes)?;
            let branch = match entries.last() {
                Some((_, _)) if step == 0 => return None,
                Some((last, _)) => BranchNo(last.0.checked_add(step)?),
                None => BranchNo(step),
            };
            entries.push((branch, seq));
        }
        Some(Self::from_sorted(entries))
    }
}

fn write_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(first & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        n |= part << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// The causal past of one block. Cheap to clone and to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    place: Place,
    unseen: Unseen,
}

impl Past {
    /// The past of the block at `place`, which had not seen `unseen`.
    pub fn new(place: Place, unseen: Unseen) -> Self {
        Past { place, unseen }
    }

    /// The block whose past it is.
    pub fn place(&self) -> Place {
        self.place
    }

    /// What the block had not seen.
    pub fn unseen(&self) -> &Unseen {
        &self.unseen
    }

    /// True when the block at `other` lies strictly in the causal past.
    pub fn contains(&self, other: Place) -> bool {
        if other.no >= self.place.no {
            return false;
        }
        if other.branch == self.place.branch {
            return other.seq < self.place.seq;
        }
        fault::on(Fault::EverythingSeen) || self.unseen.get(other.branch).is_none_or(|seen| other.seq <= seen)
    }

    /// True when the block at `other` is the block itself or lies in its past.
    pub fn contains_or_is(&self, other: Place) -> bool {
        other.no == self.place.no || self.contains(other)
    }

    /// True when everything that this node had applied before the block is in its past.
    pub fn is_everything_before(&self) -> bool {
        self.unseen.entries().is_empty()
    }

    /// The number of the block whose past it is.
    pub fn no(&self) -> BlockNo {
        self.place.no
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_lists_round_trip_and_damage_is_noticed() {
        let lists = [vec![], vec![(0, 0)], vec![(0, 5), (1, 0), (300, u64::MAX)], vec![(u32::MAX, 1 << 40)]];
        for list in lists {
            let u = Unseen::from_sorted(list.into_iter().map(|(b, s)| (BranchNo(b), s)).collect());
            let bytes = u.to_bytes();
            assert_eq!(Unseen::from_bytes(&bytes), Some(u));
            if !bytes.is_empty() {
                assert_eq!(Unseen::from_bytes(&bytes[..bytes.len() - 1]), None);
            }
        }
        assert_eq!(Unseen::from_bytes(&[1, 1, 0, 1]), None, "a branch listed twice");
    }
}
