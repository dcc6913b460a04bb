//! Which inserts of a transaction are weak: they add, and never overwrite (`docs/security.md`, section 3).
//!
//! Who may write follows from grants, so it is `access` that finds them; what becomes of such rows is `merge`'s, and `store` keeps
//! the answer with the verdict.

use crate::ids::ObjectId;

/// The tables into which a transaction inserts weakly; in ascending order, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeakInserts(Vec<ObjectId>);

impl WeakInserts {
    /// None is weak.
    pub const NONE: WeakInserts = WeakInserts(Vec::new());

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Inserts into this table are weak.
    pub fn add(&mut self, table: ObjectId) {
        if let Err(at) = self.0.binary_search(&table) {
            self.0.insert(at, table);
        }
    }

    /// Whether inserts into this table are weak.
    pub fn has(&self, table: ObjectId) -> bool {
        self.0.binary_search(&table).is_ok()
    }

    /// As a store keeps it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|table| table.0).collect()
    }

    /// Reads [`WeakInserts::to_bytes`]; `None` for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tables, []) = bytes.as_chunks::<16>() else { return None };
        let tables: Vec<ObjectId> = tables.iter().map(|t| ObjectId(*t)).collect();
        tables.is_sorted_by(|a, b| a < b).then_some(WeakInserts(tables))
    }
}

impl FromIterator<ObjectId> for WeakInserts {
    fn from_iter<T: IntoIterator<Item = ObjectId>>(tables: T) -> Self {
        let mut weak = WeakInserts::NONE;
        tables.into_iter().for_each(|t| weak.add(t));
        weak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_give_back_what_they_were_made_of_and_nothing_else_is_taken() {
        let (a, b) = (ObjectId([1; 16]), ObjectId([2; 16]));
        let weak: WeakInserts = [b, a, b].into_iter().collect();
        assert!(weak.has(a) && weak.has(b) && !weak.has(ObjectId::ROOT));
        assert_eq!(WeakInserts::from_bytes(&weak.to_bytes()), Some(weak.clone()));
        assert_eq!(WeakInserts::from_bytes(&[]), Some(WeakInserts::NONE));
        let mut turned = weak.to_bytes();
        turned.rotate_left(16);
        for bad in [&weak.to_bytes()[..31], &turned, &[a.0, a.0].concat()] {
            assert_eq!(WeakInserts::from_bytes(bad), None);
        }
    }
}
