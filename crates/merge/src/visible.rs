//! Which live rows are visible: steps 4 to 6 as one function of all live rows (`docs/merge.md`, sections 5 to 7).
//!
//! This is the rule itself, which looks at every row. The store decides only the rows that changed and those that depend
//! on them (`displaced_settle`); over its random worlds both are held to be the same.
//!
//! * A row that its table cannot hold is displaced, claims nothing and is nobody's parent.
//! * Of the others, each unique value belongs to the one with the least [`Priority`], visible or not. Who does not own all
//!   its values is displaced.
//! * Of those that do, the visible ones are the greatest set in which each reference leads to a visible row.
//! * A key with a NULL claims nothing and refers to nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::claim::Priority;

/// Values of a key of some kind `K` (which unique key, which parent columns), NULL where there is none. Values are equal
/// here when they are under the key's collation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<K> {
    /// Which key.
    pub of: K,
    /// Its values.
    pub values: Vec<Option<Vec<u8>>>,
}

impl<K> Key<K> {
    fn is_whole(&self) -> bool {
        self.values.iter().all(Option::is_some)
    }
}

/// A live row, after steps 1 to 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live<K> {
    /// Its table can hold it.
    pub fits: bool,
    /// Its place in the queue for unique values.
    pub priority: Priority,
    /// Its values of the unique keys.
    pub claims: Vec<Key<K>>,
    /// Its values of the columns that others refer to.
    pub offers: Vec<Key<K>>,
    /// What it refers to.
    pub references: Vec<Key<K>>,
}

/// What becomes of a live row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is in its table.
    Visible,
    /// Its table cannot hold it: type, NOT NULL, CHECK.
    Misfit,
    /// Another row owns one of its unique values.
    Unique,
    /// A row that it refers to is not visible.
    Reference,
}

/// Decides all live rows, by their names. A row that is named twice counts once.
pub fn visible<R: Clone + Ord, K: Ord>(rows: impl IntoIterator<Item = (R, Live<K>)>) -> BTreeMap<R, Outcome> {
    let rows: BTreeMap<R, Live<K>> = rows.into_iter().collect();
    let mut owners: BTreeMap<&Key<K>, &Priority> = BTreeMap::new();
    for row in rows.values().filter(|r| r.fits) {
        for claim in row.claims.iter().filter(|c| c.is_whole()) {
            let least = owners.entry(claim).or_insert(&row.priority);
            *least = (*least).min(&row.priority);
        }
    }
    let own = |row: &Live<K>, claim: &Key<K>| !claim.is_whole() || owners[claim] == &row.priority;
    let mut decided: BTreeMap<R, Outcome> = BTreeMap::new();
    for (name, row) in &rows {
        let outcome = match row {
            row if !row.fits => Outcome::Misfit,
            row if !row.claims.iter().all(|c| own(row, c)) => Outcome::Unique,
            _ => Outcome::Visible,
        };
        decided.insert(name.clone(), outcome);
    }
    loop {
        let shown = || rows.iter().filter(|(name, _)| decided[name] == Outcome::Visible);
        let offered: BTreeSet<&Key<K>> = shown().flat_map(|(_, r)| &r.offers).collect();
        let holds = |k: &Key<K>| !k.is_whole() || offered.contains(k);
        let orphans: Vec<R> =
            shown().filter(|(_, r)| !r.references.iter().all(holds)).map(|(name, _)| name.clone()).collect();
        if orphans.is_empty() {
            return decided;
        }
        for name in orphans {
            decided.insert(name, Outcome::Reference);
        }
    }
}

#[cfg(test)]
mod tests {
    use p2pdb_model::change::{Position, WriteOrder};
    use p2pdb_model::ids::{Cid, NodeId};
    use p2pdb_model::stamp::Stamp;
    use quickcheck::{Arbitrary, Gen, TestResult, quickcheck};

    use super::*;

    /// A row of a small world: few values, NULLs among them, and writes of one transaction.
    #[derive(Clone, Debug)]
    struct Row {
        fits: bool,
        weak: bool,
        written: u8,
        unique: [Option<u8>; 2],
        refers: [Option<u8>; 2],
    }

    impl Arbitrary for Row {
        fn arbitrary(g: &mut Gen) -> Self {
            let few = |g: &mut Gen, n: u8| match u8::arbitrary(g) % (n + 1) {
                0 => None,
                v => Some(v),
            };
            Row {
                fits: !u8::arbitrary(g).is_multiple_of(6),
                weak: u8::arbitrary(g).is_multiple_of(4),
                written: u8::arbitrary(g) % 4,
                unique: [few(g, 4), few(g, 3)],
                refers: [few(g, 4), few(g, 7)],
            }
        }
    }

    type World = BTreeMap<u8, Live<u8>>;

    /// Two unique keys, the second of two columns; a reference to the first of them, and one to the row's name.
    fn live(name: u8, row: &Row) -> Live<u8> {
        let bytes = |v: Option<u8>| v.map(|v| vec![v]);
        let key = |of, values: &[Option<u8>]| Key { of, values: values.iter().copied().map(bytes).collect() };
        let write = WriteOrder {
            stamp: Stamp(u64::from(row.written)),
            author: NodeId([0; 32]),
            block: Cid::default(),
            position: Position { transaction: 0, change: 0 },
        };
        let [a, b] = row.unique;
        Live {
            fits: row.fits,
            // Nobody ever wrote the keys of some rows.
            priority: Priority::new((row.written > 0).then_some(write), row.weak, vec![name]),
            claims: vec![key(0, &[a]), key(1, &[a, b])],
            offers: vec![key(0, &[a]), key(2, &[Some(name)])],
            references: vec![key(0, &[row.refers[0]]), key(2, &[row.refers[1]])],
        }
    }

    fn world(rows: &[Row]) -> World {
        rows.iter().take(8).enumerate().map(|(n, r)| (n as u8 + 1, live(n as u8 + 1, r))).collect()
    }

    fn decide(world: &World) -> BTreeMap<u8, Outcome> {
        visible(world.clone())
    }

    /// Every reference of these rows leads to one of them.
    fn holds_itself(world: &World, rows: &BTreeSet<u8>) -> bool {
        let offered: BTreeSet<_> = rows.iter().flat_map(|r| &world[r].offers).collect();
        rows.iter().flat_map(|r| &world[r].references).all(|k| !k.is_whole() || offered.contains(k))
    }

    quickcheck! {
        fn rows_are_decided_alike_in_any_order_and_given_twice(rows: Vec<Row>, parts: Vec<bool>) -> bool {
            let world = world(&rows);
            let to = |left: bool| {
                let part = |n: &u8| parts.get(usize::from(*n)).copied().unwrap_or_default() == left;
                world.iter().filter(|(n, _)| part(n)).map(|(n, r)| (*n, r.clone())).collect::<Vec<_>>()
            };
            let (a, b) = (to(true), to(false));
            let wanted = decide(&world);
            let all = |parts: &[&Vec<(u8, Live<u8>)>]| visible(parts.iter().flat_map(|p| p.iter().cloned()));
            all(&[&a, &b]) == wanted
                && all(&[&b, &a]) == wanted
                && all(&[&b, &a, &b, &a]) == wanted
                && visible(world.into_iter().rev()) == wanted
        }

        fn visible_rows_keep_all_promises(rows: Vec<Row>) -> bool {
            let world = world(&rows);
            let decided = decide(&world);
            let shown: BTreeSet<u8> =
                decided.iter().filter(|(_, o)| **o == Outcome::Visible).map(|(n, _)| *n).collect();
            let claims: Vec<_> =
                shown.iter().flat_map(|n| &world[n].claims).filter(|c| c.is_whole()).collect();
            let distinct: BTreeSet<_> = claims.iter().collect();
            distinct.len() == claims.len()
                && shown.iter().all(|n| world[n].fits)
                && holds_itself(&world, &shown)
        }

        fn no_row_is_displaced_without_its_reason(rows: Vec<Row>) -> bool {
            let world = world(&rows);
            let decided = decide(&world);
            decided.iter().all(|(name, outcome)| {
                let row = &world[name];
                let stronger = world.values().any(|o| {
                    o.fits && o.priority < row.priority
                        && o.claims.iter().any(|c| c.is_whole() && row.claims.contains(c))
                });
                match outcome {
                    Outcome::Misfit => !row.fits,
                    Outcome::Unique => row.fits && stronger,
                    Outcome::Visible | Outcome::Reference => row.fits && !stronger,
                }
            })
        }

        fn the_visible_rows_are_the_greatest_set_that_holds_itself(rows: Vec<Row>) -> bool {
            let world = world(&rows);
            let decided = decide(&world);
            let owners: Vec<u8> = decided
                .iter()
                .filter(|(_, o)| matches!(o, Outcome::Visible | Outcome::Reference))
                .map(|(n, _)| *n)
                .collect();
            // The union of all sets of owners that hold themselves.
            let mut greatest = BTreeSet::new();
            for bits in 0..1u32 << owners.len() {
                let set: BTreeSet<u8> =
                    owners.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, n)| *n).collect();
                if holds_itself(&world, &set) {
                    greatest.extend(set);
                }
            }
            decided.iter().all(|(n, o)| (*o == Outcome::Visible) == greatest.contains(n))
        }

        fn who_fits_not_might_as_well_not_be_there(rows: Vec<Row>) -> bool {
            let world = world(&rows);
            let mut wanted = decide(&world);
            wanted.retain(|_, o| *o != Outcome::Misfit);
            decide(&world.into_iter().filter(|(_, r)| r.fits).collect()) == wanted
        }

        /// A row that comes, or comes back, takes nothing from rows before it in the queue; when it goes, all is as before.
        fn the_last_in_the_queue_displaces_nobody(rows: Vec<Row>) -> TestResult {
            let mut world = world(&rows);
            let last = world.iter().filter(|(_, r)| r.fits).max_by(|a, b| a.1.priority.cmp(&b.1.priority));
            let Some(last) = last.map(|(n, _)| *n) else { return TestResult::discard() };
            let with = decide(&world);
            world.remove(&last);
            let without = decide(&world);
            let kept = without.iter().all(|(n, o)| match o {
                // It may be somebody's parent.
                Outcome::Reference => matches!(with[n], Outcome::Reference | Outcome::Visible),
                o => with[n] == *o,
            });
            TestResult::from_bool(kept)
        }
    }

    #[test]
    fn ties_and_nulls_are_decided_as_the_specification_says() {
        let row =
            |written, a, b| Row { fits: true, weak: false, written, unique: [a, b], refers: [None, None] };
        let one = Some(1);
        // One transaction wrote both: the key of the row decides.
        let tie = world(&[row(2, one, None), row(2, one, None)]);
        assert_eq!(decide(&tie).into_values().collect::<Vec<_>>(), [Outcome::Visible, Outcome::Unique]);
        // NULLs are no values.
        let nulls = world(&[row(2, None, one), row(2, None, one)]);
        assert_eq!(decide(&nulls).into_values().collect::<Vec<_>>(), [Outcome::Visible; 2]);
        // What nobody wrote comes first.
        let unwritten = world(&[row(1, one, None), row(0, one, None)]);
        assert_eq!(decide(&unwritten).into_values().collect::<Vec<_>>(), [Outcome::Unique, Outcome::Visible]);
    }
}
