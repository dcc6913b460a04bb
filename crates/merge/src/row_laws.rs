//! Laws of [`crate::row`] over random histories that honest nodes could have written, and the rules one by one.

use std::convert::Infallible;

use p2pdb_model::ColumnTag;
use quickcheck::{Arbitrary, Gen, quickcheck};

use crate::row::*;

/// Changes of one key with, per change, what its author had seen (its past, closed).
#[derive(Clone, Debug)]
struct World {
    changes: Vec<RowWrite>,
    past: Vec<Vec<usize>>,
    /// Deletes that do not count for anybody who writes, and do at the end.
    void: Vec<bool>,
}

impl World {
    fn new() -> Self {
        World { changes: Vec::new(), past: Vec::new(), void: Vec::new() }
    }

    fn merge(&self) -> MergedRow {
        self.merge_of(&(0..self.changes.len()).collect::<Vec<_>>())
    }

    /// Merges a subset; indexes in the result are the subset's.
    fn merge_of(&self, set: &[usize]) -> MergedRow {
        let changes: Vec<_> = set.iter().map(|i| self.changes[*i].clone()).collect();
        let mut saw = |a: usize, b: usize| Ok::<_, Infallible>(self.past[set[a]].contains(&set[b]));
        merge_row(&changes, &|_| false, &mut saw).unwrap()
    }

    fn plain(&self) -> MergedRow {
        let mut saw = |a: usize, b: usize| Ok::<_, Infallible>(self.past[a].contains(&b));
        merge_from(&self.changes, 0, false, &|_| false, &mut saw).unwrap()
    }

    fn add(&mut self, kind: WriteKind, columns: &[u32], past: &[usize]) -> usize {
        let mut closed: Vec<usize> = past.iter().flat_map(|p| self.past[*p].clone()).collect();
        closed.extend(past);
        closed.sort_unstable();
        closed.dedup();
        self.past.push(closed);
        self.changes.push(RowWrite {
            kind,
            columns: columns.iter().map(|c| ColumnTag(*c)).collect(),
            key_columns: Vec::new(),
            effect: false,
            weak: false,
            orphan: false,
        });
        self.void.push(false);
        self.changes.len() - 1
    }
}

const COLUMNS: [u32; 3] = [1, 2, 3];

impl Arbitrary for World {
    fn arbitrary(g: &mut Gen) -> Self {
        const NODES: usize = 3;
        let mut world = World::new();
        let mut views: [Vec<usize>; NODES] = Default::default();
        for _ in 0..usize::arbitrary(g) % 12 {
            let node = usize::arbitrary(g) % NODES;
            if u8::arbitrary(g) % 3 == 0 {
                let other = views[usize::arbitrary(g) % NODES].clone();
                views[node].extend(other);
                views[node].sort_unstable();
                views[node].dedup();
            }
            // Effects of deletes that do not count for anybody who writes, because the other row lives; at the end they count.
            // The same of deletes that are void until then.
            let counting = |i: &usize| {
                world.changes[*i].kind != WriteKind::Delete || !(world.changes[*i].effect || world.void[*i])
            };
            let seen: Vec<usize> = views[node].iter().copied().filter(counting).collect();
            let live = !world.merge_of(&seen).units.is_empty();
            let (kind, columns) = match (live, u8::arbitrary(g) % 4) {
                (true, 3) => (WriteKind::Update, Vec::new()),
                (false, n) => (WriteKind::Insert { generated: n == 0 }, COLUMNS.to_vec()),
                (true, 0) => (WriteKind::Delete, Vec::new()),
                (true, _) => (WriteKind::Update, vec![*g.choose(&COLUMNS).unwrap_or(&1)]),
            };
            let change = world.add(kind, &columns, &views[node].clone());
            if matches!(kind, WriteKind::Insert { .. }) && u8::arbitrary(g) % 4 == 0 {
                world.changes[change].key_columns = vec![ColumnTag(2)];
            }
            let effect = matches!(kind, WriteKind::Update | WriteKind::Delete);
            world.changes[change].effect = effect && bool::arbitrary(g);
            world.changes[change].weak = !effect && bool::arbitrary(g);
            world.changes[change].orphan = effect && u8::arbitrary(g) % 4 == 0;
            world.void[change] = kind == WriteKind::Delete && u8::arbitrary(g) % 3 == 0;
            views[node].push(change);
        }
        world
    }
}

quickcheck! {
    fn short_cuts_change_nothing(world: World) -> bool {
        let (short, plain) = (world.merge(), world.plain());
        (short.units, short.outvoted) == (plain.units, plain.outvoted)
    }

    fn no_write_is_lost_without_trace(world: World) -> bool {
        let merged = world.merge();
        (0..world.changes.len()).all(|w| {
            // An effect keeps no row from a delete that has not seen it.
            let deleted = (0..world.changes.len()).any(|d| {
                world.changes[d].kind == WriteKind::Delete
                    && (world.past[d].contains(&w) || world.changes[w].effect)
            });
            world.changes[w].columns.iter().all(|column| {
                let overwritten = (0..world.changes.len()).any(|x| {
                    world.past[x].contains(&w) && world.changes[x].columns.contains(column)
                });
                let shown = merged.units.iter().any(|u| {
                    u.cells.iter().chain(&u.siblings).any(|c| c.change == w && c.column == *column)
                });
                let beaten = world.changes[w].effect
                    && (0..world.changes.len()).any(|x| {
                        let meets = |c: &ColumnTag| world.changes[w].columns.contains(c);
                        !world.changes[x].effect && world.changes[x].columns.iter().any(meets)
                    });
                // It was of a row that is void, which somebody else says.
                let elsewhere = world.changes[w].orphan && merged.adrift.contains(&w);
                shown || overwritten || deleted || beaten || elsewhere
            })
        })
    }

    fn what_every_delete_saw_whole_is_gone(world: World) -> bool {
        // A delete by somebody who had seen everything leaves no user-given row.
        let mut world = world;
        world.changes.iter_mut().for_each(|c| {
            c.key_columns.clear();
            if let WriteKind::Insert { generated } = &mut c.kind {
                *generated = false;
            }
        });
        let all: Vec<usize> = (0..world.changes.len()).collect();
        if world.merge().units.is_empty() {
            return true;
        }
        world.add(WriteKind::Delete, &[], &all);
        world.merge().units.is_empty() && world.plain().units.is_empty()
    }

    fn a_weak_insert_overwrites_nothing(world: World) -> bool {
        // Whatever it had seen and however late it is: rows of others hold what they would if it said nothing.
        let mut silent = world.clone();
        silent.changes.iter_mut().filter(|c| c.weak).for_each(|c| c.columns.clear());
        let (with, without) = (world.merge().units, silent.merge().units);
        with.len() == without.len()
            && with.iter().zip(&without).all(|(a, b)| {
                (a.standing, a.founder, a.weak) == (b.standing, b.founder, b.weak)
                    && (a.weak || a.cells == b.cells)
            })
    }

    fn among_weak_inserts_the_first_is_the_row_and_none_stands_before_another(world: World) -> bool {
        let units = world.merge().units;
        let is_weak = |c: &&Cell| world.changes[c.change].weak;
        let first = |u: &Unit| u.cells.iter().filter(is_weak).map(|c| c.change).max();
        units.iter().all(|u| {
            first(u).is_none_or(|shown| u.siblings.iter().filter(is_weak).all(|s| shown <= s.change))
        }) && units.windows(2).all(|two| {
            two[1].standing == Standing::Superseded || !two[0].weak || two[1].weak
        })
    }

    fn at_most_one_unit_is_primary_and_it_comes_first(world: World) -> bool {
        let units = world.merge().units;
        units.iter().enumerate().all(|(n, u)| (n == 0) == (u.standing == Standing::Primary))
    }
}

const INSERT: WriteKind = WriteKind::Insert { generated: false };
const GENERATED: WriteKind = WriteKind::Insert { generated: true };

fn cell(unit: &Unit, column: u32) -> usize {
    unit.cells.iter().find(|c| c.column == ColumnTag(column)).map(|c| c.change).expect("a cell")
}

#[test]
fn a_concurrent_edit_keeps_a_deleted_row_with_all_its_cells() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1, 2], &[]);
    let d = w.add(WriteKind::Delete, &[], &[i]);
    let e = w.add(WriteKind::Update, &[2], &[i]);
    let m = w.merge();
    assert_eq!((cell(&m.units[0], 1), cell(&m.units[0], 2)), (i, e));
    assert_eq!(m.units[0].lost_deletes, [d]);
    // An edit by somebody who has seen both settles it.
    w.add(WriteKind::Update, &[1], &[d, e]);
    assert!(w.merge().units[0].lost_deletes.is_empty());
}

#[test]
fn a_row_that_is_referred_to_is_kept_and_nothing_else() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1], &[]);
    let d = w.add(WriteKind::Delete, &[], &[i]);
    let touch = w.add(WriteKind::Update, &[], &[i]);
    let m = w.merge();
    assert_eq!(
        (cell(&m.units[0], 1), m.outvoted.as_slice(), m.units[0].lost_deletes.as_slice()),
        (i, &[d][..], &[d][..])
    );
    // Who refers to it once more has not said that the delete was wrong.
    w.add(WriteKind::Update, &[], &[d, touch]);
    assert_eq!(w.merge().units[0].lost_deletes, [d]);
    w.add(WriteKind::Update, &[1], &[d, touch]);
    let m = w.merge();
    assert_eq!((m.outvoted.as_slice(), m.units[0].lost_deletes.len()), (&[d][..], 0));
}

#[test]
fn an_effect_loses_to_a_write_that_it_has_not_seen() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1, 2], &[]);
    let own = w.add(WriteKind::Update, &[1], &[i]);
    let effect = w.add(WriteKind::Update, &[1, 2], &[i]);
    w.changes[effect].effect = true;
    let m = w.merge();
    assert_eq!((cell(&m.units[0], 1), cell(&m.units[0], 2)), (own, i), "as a whole");
    assert!(m.units[0].siblings.is_empty());
    // One that has seen it wins.
    let later = w.add(WriteKind::Update, &[1], &[own, effect]);
    w.changes[later].effect = true;
    assert_eq!(cell(&w.merge().units[0], 1), later);
}

#[test]
fn an_effect_keeps_no_row_and_an_edit_on_top_of_it_does() {
    let mut w = World::new();
    let insert = w.add(WriteKind::Insert { generated: false }, &COLUMNS, &[]);
    let effect = w.add(WriteKind::Update, &[1], &[insert]);
    w.changes[effect].effect = true;
    let delete = w.add(WriteKind::Delete, &[], &[insert]);
    let merged = w.merge();
    assert!(merged.units.is_empty() && merged.outvoted.is_empty());
    let edit = w.add(WriteKind::Update, &[2], &[effect]);
    let merged = w.merge();
    assert_eq!((merged.units.len(), merged.outvoted), (1, vec![delete]));
    assert!(merged.units[0].cells.iter().any(|c| c.change == effect));
    assert!(
        w.merge_of(&[insert, delete]).units.is_empty()
            && w.merge_of(&[insert, effect, edit]).units.len() == 1
    );
}

#[test]
fn who_changed_a_row_knowing_of_an_effect_that_did_not_count_keeps_it_when_it_counts() {
    let mut w = World::new();
    let insert = w.add(WriteKind::Insert { generated: false }, &COLUMNS, &[]);
    let effect = w.add(WriteKind::Delete, &[], &[insert]);
    w.changes[effect].effect = true;
    let knowing = w.add(WriteKind::Update, &[2], &[effect]);
    let merged = w.merge();
    assert_eq!((merged.units.len(), merged.outvoted), (1, vec![effect]));
    assert!(merged.units[0].cells.iter().any(|c| c.change == knowing));
    // Nobody else does.
    assert!(w.merge_of(&[insert, effect]).units.is_empty());
}

/// A row that goes along with another, is inserted again and then deleted for itself: insert, effect, insert, delete.
fn taken_along_and_deleted_again() -> (World, [usize; 4]) {
    let mut w = World::new();
    let first = w.add(INSERT, &COLUMNS, &[]);
    let effect = w.add(WriteKind::Delete, &[], &[first]);
    w.changes[effect].effect = true;
    let again = w.add(INSERT, &COLUMNS, &[effect]);
    let delete = w.add(WriteKind::Delete, &[], &[again]);
    (w, [first, effect, again, delete])
}

#[test]
fn a_delete_fails_where_an_edit_keeps_what_only_an_effect_had_taken_before() {
    let (mut w, [first, effect, again, delete]) = taken_along_and_deleted_again();
    let edit = w.add(WriteKind::Update, &[2], &[first]);
    // Whether the effect counts or not, the edited row lives.
    assert_eq!(w.merge().outvoted, [effect, delete]);
    assert_eq!(w.merge_of(&[first, again, delete, edit]).outvoted, [2]);
    // It is another row where somebody had deleted the first one for itself,
    w.changes[effect].effect = false;
    assert_eq!(w.merge().outvoted, [effect]);
    // and nothing keeps what somebody deletes who has seen the edit.
    w.changes[effect].effect = true;
    w.add(WriteKind::Delete, &[], &[delete, edit]);
    assert!(w.merge().outvoted.is_empty());
}

#[test]
fn a_delete_that_failed_before_does_not_make_the_next_one_count() {
    let mut w = World::new();
    let row = w.add(INSERT, &COLUMNS, &[]);
    let delete = w.add(WriteKind::Delete, &[], &[row]);
    let edit = w.add(WriteKind::Update, &[1], &[row]);
    // Who sees both deletes the row once more; somebody else has seen neither.
    let again = w.add(WriteKind::Delete, &[], &[delete, edit]);
    let other = w.add(WriteKind::Update, &[2], &[row]);
    assert_eq!(w.merge().outvoted, [delete, again]);
    // Nor if it goes as the effect of something, and is inserted before it is deleted.
    w.changes[again].effect = true;
    let insert = w.add(INSERT, &COLUMNS, &[again]);
    let last = w.add(WriteKind::Delete, &[], &[insert]);
    assert_eq!(w.merge().outvoted, [delete, again, last]);
    w.add(WriteKind::Delete, &[], &[last, other]);
    assert!(w.merge().outvoted.is_empty());
}

#[test]
fn who_saw_a_row_that_is_void_aims_at_none_that_was_deleted_before() {
    let (mut w, [.., delete]) = taken_along_and_deleted_again();
    let edit = w.add(WriteKind::Update, &[2], &[delete]);
    w.changes[edit].orphan = true;
    for merged in [w.merge(), w.plain()] {
        assert!(merged.units.is_empty() && merged.outvoted.is_empty(), "{merged:?}");
        assert!(merged.adrift.contains(&edit));
    }
}

#[test]
fn two_inserts_of_a_given_key_merge_cell_by_cell() {
    let mut w = World::new();
    let a = w.add(INSERT, &[1, 2], &[]);
    let b = w.add(INSERT, &[1, 3], &[]);
    let m = w.merge();
    assert_eq!(m.units.len(), 1);
    let u = &m.units[0];
    assert_eq!((cell(u, 1), cell(u, 2), cell(u, 3)), (b, a, b));
    assert_eq!(u.siblings, [Cell { column: ColumnTag(1), change: a, place: 0 }]);
}

#[test]
fn two_inserts_of_a_generated_key_are_two_rows_and_edits_follow_their_own() {
    let mut w = World::new();
    let a = w.add(GENERATED, &[1], &[]);
    let b = w.add(GENERATED, &[1], &[]);
    let e = w.add(WriteKind::Update, &[1], &[b]);
    let m = w.merge();
    assert_eq!((cell(&m.units[0], 1), cell(&m.units[1], 1)), (a, e));
    assert_eq!(m.units[1].standing, Standing::Generated);
    // Deleting the visible one lets the other take its place.
    w.add(WriteKind::Delete, &[], &[a, b, e]);
    let m = w.merge();
    assert_eq!((m.units.len(), cell(&m.units[0], 1)), (1, e));
    assert_eq!(m.units[0].standing, Standing::Primary);
}

#[test]
fn an_old_edit_stays_with_the_incarnation_that_it_saw() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1, 2], &[]);
    let d = w.add(WriteKind::Delete, &[], &[i]);
    let again = w.add(INSERT, &[1, 2], &[d]);
    let e = w.add(WriteKind::Update, &[1], &[i]);
    let m = w.merge();
    assert_eq!((cell(&m.units[0], 1), cell(&m.units[0], 2)), (again, again));
    assert_eq!(m.units[1].standing, Standing::Superseded);
    assert_eq!((cell(&m.units[1], 1), cell(&m.units[1], 2)), (e, i));
    // A delete of the row by somebody who has seen both removes both.
    w.add(WriteKind::Delete, &[], &[again, e]);
    assert!(w.merge().units.is_empty());
}

#[test]
fn replacing_a_row_on_both_sides_merges_the_replacements() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1], &[]);
    let (d1, d2) = (w.add(WriteKind::Delete, &[], &[i]), w.add(WriteKind::Delete, &[], &[i]));
    let a = w.add(INSERT, &[1], &[d1]);
    let b = w.add(INSERT, &[1], &[d2]);
    let m = w.merge();
    assert_eq!((m.units.len(), cell(&m.units[0], 1), m.units[0].siblings.len()), (1, b, 1));
    assert_eq!(m.units[0].siblings[0].change, a);
}

#[test]
fn an_edit_that_was_made_while_the_delete_was_void_keeps_the_row_when_it_counts() {
    let mut w = World::new();
    let born = w.add(WriteKind::Insert { generated: false }, &COLUMNS, &[]);
    let deleted = w.add(WriteKind::Delete, &[], &[born]);
    let edited = w.add(WriteKind::Update, &[2], &[deleted]);
    for merged in [w.merge(), w.plain()] {
        let [unit] = merged.units.as_slice() else { panic!("one row: {merged:?}") };
        assert_eq!(unit.cells.iter().map(|c| c.change).collect::<Vec<_>>(), [born, edited, born]);
        assert_eq!(merged.outvoted, [deleted]);
        assert!(unit.lost_deletes.is_empty(), "who edited it had seen the delete: no conflict");
    }
    // Unless it was of another row, which does not count.
    w.changes[edited].orphan = true;
    for merged in [w.merge(), w.plain()] {
        assert!(merged.units.is_empty(), "{merged:?}");
        assert_eq!(merged.adrift, [edited]);
    }
}

#[test]
fn a_weak_insert_loses_to_one_that_is_not_whatever_their_order() {
    for weak_first in [true, false] {
        let mut w = World::new();
        let (a, b) = (w.add(INSERT, &[1, 2], &[]), w.add(INSERT, &[1], &[]));
        let (weak, strong) = if weak_first { (a, b) } else { (b, a) };
        w.changes[weak].weak = true;
        let m = w.merge();
        let [unit] = m.units.as_slice() else { panic!("one row: {m:?}") };
        assert!(unit.cells.iter().all(|c| c.change == strong), "{unit:?}");
        assert!(!unit.weak && unit.siblings.iter().all(|c| c.change == weak) && !unit.siblings.is_empty());
    }
}

#[test]
fn of_two_weak_inserts_the_earlier_is_the_row_and_an_update_of_it_counts() {
    let mut w = World::new();
    let first = w.add(INSERT, &[1, 2], &[]);
    let second = w.add(INSERT, &[1, 2, 3], &[]);
    let update = w.add(WriteKind::Update, &[2], &[second]);
    w.changes[first].weak = true;
    w.changes[second].weak = true;
    let m = w.merge();
    assert_eq!((cell(&m.units[0], 1), cell(&m.units[0], 2), m.units[0].cells.len()), (first, update, 2));
    assert!(m.units[0].weak);
    let lost: Vec<_> = m.units[0].siblings.iter().map(|c| (c.column.0, c.change)).collect();
    assert_eq!(lost, [(1, second), (2, first), (3, second)], "what the update had seen is settled");
}

#[test]
fn a_weak_insert_after_a_delete_does_not_replace_the_row_that_an_edit_keeps() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1, 2], &[]);
    let d = w.add(WriteKind::Delete, &[], &[i]);
    let e = w.add(WriteKind::Update, &[1], &[i]);
    let again = w.add(INSERT, &[1, 2], &[d]);
    w.changes[again].weak = true;
    let m = w.merge();
    let [unit] = m.units.as_slice() else { panic!("one row: {m:?}") };
    assert_eq!((cell(unit, 1), cell(unit, 2)), (e, i));
    assert_eq!(unit.lost_deletes, [d], "and nobody who may has decided about the delete");
}

#[test]
fn a_generated_key_is_the_row_of_who_may_overwrite() {
    let mut w = World::new();
    let weak = w.add(GENERATED, &[1], &[]);
    let strong = w.add(GENERATED, &[1], &[]);
    w.changes[weak].weak = true;
    let m = w.merge();
    assert_eq!((cell(&m.units[0], 1), cell(&m.units[1], 1)), (strong, weak));
    assert_eq!((m.units[0].standing, m.units[1].standing), (Standing::Primary, Standing::Generated));
}

#[test]
fn an_edit_whose_insert_is_void_has_no_effect() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1], &[]);
    let e = w.add(WriteKind::Update, &[1], &[i]);
    assert_eq!(w.merge_of(&[e]), MergedRow { adrift: vec![0], ..MergedRow::default() });
}

#[test]
fn an_insert_over_a_row_whose_delete_is_void_overwrites_it() {
    let mut w = World::new();
    let i = w.add(INSERT, &[1], &[]);
    let d = w.add(WriteKind::Delete, &[], &[i]);
    let again = w.add(INSERT, &[1], &[d]);
    let m = w.merge_of(&[i, again]);
    assert_eq!((m.units.len(), cell(&m.units[0], 1)), (1, 1));
    assert!(m.units[0].siblings.is_empty());
}
