//! Who owns a unique value: the live row with the least priority (DESIGN §6 step 5); [`crate::visible`] decides by it.
//!
//! A row has one priority for all its unique keys: the greatest write among the cells of its unique columns. Since a
//! displaced row keeps its claims, ownership looks only at live rows and their values, never at who is displaced:
//! there are no chains, and the work for one changed row is one look-up per unique key.

use p2pdb_model::change::WriteOrder;

/// A row's place in the queue for its unique values. Less is stronger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority {
    /// One of these writes is a weak insert's: it stands behind all whose writes are not.
    pub weak: bool,
    /// The greatest write among the cells of its unique columns; `None` (strongest) when no write set any of them.
    pub write: Option<WriteOrder>,
    /// The encoded row key: decides between rows written by one transaction.
    pub key: Vec<u8>,
}

impl Priority {
    /// The priority of the row `key` whose unique cells have these writes, `weak` when a weak insert's is among them.
    pub fn new(writes: impl IntoIterator<Item = WriteOrder>, weak: bool, key: Vec<u8>) -> Self {
        Self { weak, write: writes.into_iter().max(), key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pdb_model::change::Position;
    use p2pdb_model::ids::{Cid, NodeId};
    use p2pdb_model::stamp::Stamp;

    #[test]
    fn the_row_whose_latest_unique_write_is_earliest_comes_first() {
        let at = |n| WriteOrder {
            stamp: Stamp(n),
            author: NodeId([0; 32]),
            block: Cid::default(),
            position: Position { transaction: 0, change: 0 },
        };
        let a = Priority::new([at(1), at(9)], false, vec![1]);
        let b = Priority::new([at(5), at(3)], false, vec![2]);
        let tie = Priority::new([at(5)], false, vec![3]);
        let unwritten = Priority::new([], false, vec![4]);
        // Who may only add comes after everybody, and among themselves the earliest.
        let (weak, later) = (Priority::new([at(1)], true, vec![5]), Priority::new([at(2)], true, vec![0]));
        let wanted = [&unwritten, &b, &tie, &a, &weak, &later];
        let mut all = [&a, &later, &tie, &unwritten, &weak, &b];
        all.sort();
        assert_eq!(all, wanted);
    }
}
