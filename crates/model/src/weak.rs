//! Which inserts of a transaction are weak: they add, and never overwrite (`docs/security.md`, section 3).
//!
//! Who may write follows from grants, so it is `access` that finds them; what becomes of such rows is `merge`'s, and `store` keeps
//! the answer with the verdict.

use crate::ids::ObjectId;

/// The tables into which a transaction inserts weakly, each with whether that is of rows that are its account's own ([`RowKey::owner`])
/// or of all others; in ascending order, each once.
///
/// [`RowKey::owner`]: crate::RowKey::owner
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeakInserts(Vec<(ObjectId, bool)>);

/// Bytes of an entry: the table, and 1 for own rows.
const ENTRY_BYTES: usize = 17;

impl WeakInserts {
    /// None is weak.
    pub const NONE: WeakInserts = WeakInserts(Vec::new());

    /// True when none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Inserts of these rows into this table are weak.
    pub fn add(&mut self, table: ObjectId, own: bool) {
        if let Err(at) = self.0.binary_search(&(table, own)) {
            self.0.insert(at, (table, own));
        }
    }

    /// Whether inserts of these rows into this table are weak.
    pub fn has(&self, table: ObjectId, own: bool) -> bool {
        self.0.binary_search(&(table, own)).is_ok()
    }

    /// As a store keeps it.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(table, own)| table.0.into_iter().chain([u8::from(*own)])).collect()
    }

    /// Reads [`WeakInserts::to_bytes`]; `None` for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (entries, []) = bytes.as_chunks::<ENTRY_BYTES>() else { return None };
        let entry = |e: &[u8; ENTRY_BYTES]| {
            let (own, table) = e.split_last()?;
            (*own < 2).then_some((ObjectId::from_slice(table)?, *own == 1))
        };
        let tables = entries.iter().map(entry).collect::<Option<Vec<_>>>()?;
        tables.is_sorted_by(|a, b| a < b).then_some(WeakInserts(tables))
    }
}

impl FromIterator<(ObjectId, bool)> for WeakInserts {
    fn from_iter<T: IntoIterator<Item = (ObjectId, bool)>>(tables: T) -> Self {
        let mut weak = WeakInserts::NONE;
        tables.into_iter().for_each(|(t, own)| weak.add(t, own));
        weak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_give_back_what_they_were_made_of_and_nothing_else_is_taken() {
        let (a, b) = (ObjectId([1; 16]), ObjectId([2; 16]));
        let weak: WeakInserts = [(b, false), (a, true), (b, false)].into_iter().collect();
        assert!(
            weak.has(a, true) && weak.has(b, false) && !weak.has(b, true) && !weak.has(ObjectId::ROOT, false)
        );
        assert_eq!(WeakInserts::from_bytes(&weak.to_bytes()), Some(weak.clone()));
        assert_eq!(WeakInserts::from_bytes(&[]), Some(WeakInserts::NONE));
        let mut turned = weak.to_bytes();
        turned.rotate_left(ENTRY_BYTES);
        let mut neither = weak.to_bytes();
        neither[ENTRY_BYTES - 1] = 2;
        for bad in [&weak.to_bytes()[..31], &turned, &neither] {
            assert_eq!(WeakInserts::from_bytes(bad), None);
        }
    }
}
