//! One row as the merge of its accepted changes.
//!
//! The identity of a row (its key at birth) may be born more than once: inserted, deleted and inserted again, or
//! inserted on two nodes that could not see each other. An insert that finds no live row of its key *founds* an
//! incarnation; an insert that finds one (possible only when the delete between them was voided) joins it.
//!
//! * An update or delete *aims* at the row that its author could see: the visible unit of its causal past.
//! * A delete removes what its author had seen of the row it aims at, and the older incarnations which that row had
//!   superseded. A founder lives while some change that aims at it was removed by no delete: a concurrent edit keeps
//!   the row, with all its cells. An update that is the effect of another row's change keeps none.
//! * Live user-given founders are one unit and merge cell by cell, where their keys are of the same columns; each live founder
//!   with a generated key is a unit.
//!   A live founder that a younger live founder had seen is superseded: kept, shown as a conflict, never visible.
//! * Of several units the one founded first is visible.
//! * A *weak* insert adds and never overwrites. It supersedes nothing, its unit stands behind all others, and in a unit with an
//!   insert that is not weak its values lose; where all are weak the first is the row, and the others' values lose.
//! * A cell of a plain register holds the greatest write in write order. Maximal writes (seen by no later write of the
//!   cell) that did not win are its siblings. The writes of other cells are handed to [`crate::cell`].
//!
//! * The effect of another row's change yields: where a change that is none wrote one of its columns at the same time, it
//!   has no effect. The delete that is an effect may count or not (the caller leaves those out that do not); who changed the
//!   row knowing of it saw that it did not count, and so keeps the row if it counts later.
//!
//! An update or delete whose author's row is not among the accepted changes aims at nothing and has no effect. One that had seen
//! its row deleted, and no other, was written while that delete was void: it aims at the row that was deleted last, and so keeps it,
//! as any edit does that a delete has not seen.

use std::collections::BTreeMap;

use p2pdb_model::ColumnTag;

/// What a change does to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// A new row.
    Insert {
        /// Its key came from AUTO_INCREMENT.
        generated: bool,
    },
    /// New values for some columns.
    Update,
    /// Edits of some columns.
    Edit,
    /// The row goes.
    Delete,
}

/// A change as the merge sees it: what it does and which columns it writes.
#[derive(Clone, Debug)]
pub struct RowWrite {
    /// What it does.
    pub kind: WriteKind,
    /// The columns that it writes; a value's place in the change is its place here. An update of none refers to the row:
    /// it keeps it, as any edit does, and settles nothing.
    pub columns: Vec<ColumnTag>,
    /// Of an insert: the columns that its key is of, if it is of columns. Two keys that look the same mean two rows where they
    /// are of different columns.
    pub key_columns: Vec<ColumnTag>,
    /// An effect of a change of another row: its values never beat a concurrent write, and it keeps no row.
    pub effect: bool,
    /// An insert whose author may add and not overwrite: its values never beat another write of its row.
    pub weak: bool,
    /// Its author saw an insert of this key that does not count: where there is no other row for it to aim at, it was that one.
    pub orphan: bool,
}

/// Why a unit is, or is not, the visible row of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// The row of this key.
    Primary,
    /// Another row with the same generated key was founded before it, or one whose key is of other columns.
    Generated,
    /// The row was deleted and its key inserted again by someone who had not seen a concurrent edit of it.
    Superseded,
}

/// The winner of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The column.
    pub column: ColumnTag,
    /// Index of the change that wrote it.
    pub change: usize,
    /// Place of the value in that change.
    pub place: usize,
}

/// A live row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its standing.
    pub standing: Standing,
    /// The first of its founders, by write order: names the unit.
    pub founder: usize,
    /// Its cells, by column.
    pub cells: Vec<Cell>,
    /// Maximal writes that did not win, by column, then write order (equal values included).
    pub siblings: Vec<Cell>,
    /// The columns whose writes are merged by [`crate::cell`], each with all its writes in write order.
    pub joint: Vec<Vec<Cell>>,
    /// Deletes that a concurrent edit has overruled and that no later change of the row had seen.
    pub lost_deletes: Vec<usize>,
    /// Its row is a weak insert's.
    pub weak: bool,
}

/// What the changes of one row key amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergedRow {
    /// The live rows; the primary one first. Empty: no row.
    pub units: Vec<Unit>,
    /// Changes that aim at nothing among the accepted changes.
    pub adrift: Vec<usize>,
    /// Deletes from which a change that they had not seen keeps the row, whatever effects of other rows' changes do to it.
    pub outvoted: Vec<usize>,
}

/// Merges the accepted changes of one row key, given in ascending write order.
///
/// `saw(a, b)` is asked only with `a > b`. For a history in which everybody had seen everything the cost is one
/// question per change; it grows with the square of the number of changes that are concurrent. `joint` says which
/// columns are no plain registers; those that an edit writes never are.
pub fn merge_row<E>(
    changes: &[RowWrite],
    joint: &dyn Fn(ColumnTag) -> bool,
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<MergedRow, E> {
    let start = settled_prefix(changes, saw)?;
    merge_from(changes, start, true, joint, saw)
}

/// [`merge_row`] with its short cuts as arguments, so that a test can do without them.
pub(crate) fn merge_from<E>(
    changes: &[RowWrite],
    start: usize,
    short_cuts: bool,
    joint: &dyn Fn(ColumnTag) -> bool,
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<MergedRow, E> {
    let none = vec![Vec::new(); changes.len()];
    let (aims, aimed, kills, killed, gone) = (none.clone(), none.clone(), none.clone(), none.clone(), none);
    Merge { changes, start, aims, aimed, kills, killed, gone, past: Vec::new(), joint, ask: saw }
        .run(short_cuts)
}

/// How many leading changes may be left out: all up to a delete that had seen everything before it and that
/// everything after it had seen. Whatever had seen that delete saw them, too: with later changes that had, and no other
/// ones, they stay settled.
pub fn settled_prefix<E>(
    changes: &[RowWrite],
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<usize, E> {
    /// Deletes tried, from the youngest.
    const TRIES_MAX: usize = 4;
    // An effect may not have counted for those who had seen it.
    let settles = |i: &usize| changes[*i].kind == WriteKind::Delete && !changes[*i].effect;
    let deletes = (0..changes.len()).rev().filter(settles);
    'next: for d in deletes.take(TRIES_MAX) {
        // A delete aims at one of several rows with the same generated key, so it may not have removed all. There
        // is only one row when the generated insert came first and every other insert had seen it. The same of keys that are
        // of different columns.
        if !same_key_columns(&changes[..d]) {
            continue;
        }
        for (j, change) in changes[..d].iter().enumerate() {
            let alone = match change.kind {
                WriteKind::Insert { generated: true } => j == 0,
                WriteKind::Insert { generated: false } => {
                    // A weak one takes no other's place.
                    changes[0].kind != WriteKind::Insert { generated: true } || (saw(j, 0)? && !change.weak)
                }
                WriteKind::Update | WriteKind::Edit | WriteKind::Delete => true,
            };
            if !alone {
                continue 'next;
            }
        }
        for j in d + 1..changes.len() {
            if !saw(j, d)? {
                continue 'next;
            }
            // Who changes a row after the delete, and saw no later insert, saw that the delete was void.
            let mut has_row = changes[j].orphan || matches!(changes[j].kind, WriteKind::Insert { .. });
            for (i, change) in changes.iter().enumerate().take(j).skip(d + 1) {
                has_row = has_row || (matches!(change.kind, WriteKind::Insert { .. }) && saw(j, i)?);
            }
            if !has_row {
                continue 'next;
            }
        }
        for j in (0..d).rev() {
            if !saw(d, j)? {
                continue 'next;
            }
        }
        return Ok(d + 1);
    }
    Ok(0)
}

/// All inserts among these have keys of the same columns.
fn same_key_columns(changes: &[RowWrite]) -> bool {
    let mut inserts = changes.iter().filter(|c| matches!(c.kind, WriteKind::Insert { .. }));
    let first = inserts.next();
    inserts.all(|c| first.is_some_and(|f| f.key_columns == c.key_columns))
}

struct Merge<'a, E> {
    changes: &'a [RowWrite],
    start: usize,
    /// Per change, the founders at which it aims (an insert: itself, and what it joined).
    aims: Vec<Vec<usize>>,
    /// The other way about: per founder, the changes that aim at it.
    aimed: Vec<Vec<usize>>,
    /// Per delete, the founders from which it removes.
    kills: Vec<Vec<usize>>,
    /// The other way about: per founder, the deletes that remove from it.
    killed: Vec<Vec<usize>>,
    /// Per delete, the founders that were gone where its author was.
    gone: Vec<Vec<usize>>,
    /// Per change from `start` on, what its author had seen of those before it; empty until [`Self::look_back`].
    past: Vec<Seen>,
    joint: &'a dyn Fn(ColumnTag) -> bool,
    ask: &'a mut dyn FnMut(usize, usize) -> Result<bool, E>,
}

/// A set of changes, a bit each.
#[derive(Clone, Default)]
struct Seen(Vec<u64>);

impl Seen {
    fn add(&mut self, c: usize) {
        if self.0.len() <= c / 64 {
            self.0.resize(c / 64 + 1, 0);
        }
        self.0[c / 64] |= 1 << (c % 64);
    }

    fn add_all(&mut self, others: &Seen) {
        if self.0.len() < others.0.len() {
            self.0.resize(others.0.len(), 0);
        }
        self.0.iter_mut().zip(&others.0).for_each(|(word, other)| *word |= other);
    }

    fn has(&self, c: usize) -> bool {
        self.0.get(c / 64).is_some_and(|word| word >> (c % 64) & 1 == 1)
    }
}

/// The founders that live, as seen from some set of changes.
struct View {
    /// Units of founders that are not superseded, each ascending; by first founder.
    units: Vec<Vec<usize>>,
    /// Live founders that a younger one supersedes.
    superseded: Vec<usize>,
}

impl<E> Merge<'_, E> {
    fn run(mut self, short_cuts: bool) -> Result<MergedRow, E> {
        let all: Vec<usize> = (self.start..self.changes.len()).collect();
        let simple = all.iter().all(|i| {
            matches!(
                self.changes[*i].kind,
                WriteKind::Insert { generated: false } | WriteKind::Update | WriteKind::Edit
            )
        });
        if simple && short_cuts && same_key_columns(&self.changes[self.start..]) {
            return self.run_simple(&all);
        }
        self.look_back()?;
        for &c in &all {
            let mut past: Vec<usize> =
                all[..c - self.start].iter().copied().filter(|b| self.past[c - self.start].has(*b)).collect();
            let mut view = self.view(&past)?;
            let founds = matches!(self.changes[c].kind, WriteKind::Insert { .. });
            // Its author saw the row: what had taken it along did not count there, because the row that it belonged to lived, or a
            // delete was void. The last, and those before it until there is a row.
            let orphan = self.changes[c].orphan;
            while view.units.is_empty()
                && !founds
                && let Some(last) = past.iter().rposition(|b| self.changes[*b].kind == WriteKind::Delete)
                && (self.changes[past[last]].effect || !orphan)
            {
                past.remove(last);
                view = self.view(&past)?;
            }
            let visible = view.units.first().cloned().unwrap_or_default();
            match self.changes[c].kind {
                WriteKind::Insert { .. } => self.aim(c, [visible, vec![c]].concat()),
                WriteKind::Update | WriteKind::Edit => self.aim(c, visible),
                WriteKind::Delete => {
                    let mut kills = visible.clone();
                    for &s in &view.superseded {
                        for &v in &visible {
                            if v > s && !kills.contains(&s) && self.saw(v, s)? {
                                kills.push(s);
                            }
                        }
                    }
                    let is_gone = |i: &usize| {
                        matches!(self.changes[*i].kind, WriteKind::Insert { .. })
                            && !view.superseded.contains(i)
                            && !view.units.iter().any(|u| u.contains(i))
                    };
                    self.gone[c] = past.iter().copied().filter(is_gone).collect();
                    self.aim(c, visible);
                    kills.iter().for_each(|f| self.killed[*f].push(c));
                    self.kills[c] = kills;
                }
            }
        }
        self.conclude(&all)
    }

    /// Whoever had seen a change had seen what its author had: a history in which everybody had seen everything takes one question for
    /// each change.
    fn look_back(&mut self) -> Result<(), E> {
        for c in self.start..self.changes.len() {
            let mut past = Seen::default();
            for b in (self.start..c).rev() {
                if !past.has(b) && (self.ask)(c, b)? {
                    past.add(b);
                    past.add_all(&self.past[b - self.start]);
                }
            }
            self.past.push(past);
        }
        Ok(())
    }

    fn saw(&mut self, later: usize, earlier: usize) -> Result<bool, E> {
        match self.past.get(later - self.start) {
            Some(past) => Ok(past.has(earlier)),
            None => (self.ask)(later, earlier),
        }
    }

    fn aim(&mut self, change: usize, founders: Vec<usize>) {
        founders.iter().for_each(|f| self.aimed[*f].push(change));
        self.aims[change] = founders;
    }

    /// No deletes, no generated keys, keys of the same columns: one unit with every change that had seen an insert.
    fn run_simple(&mut self, all: &[usize]) -> Result<MergedRow, E> {
        let is_insert = |c: usize| matches!(self.changes[c].kind, WriteKind::Insert { .. });
        let inserts: Vec<usize> = all.iter().copied().filter(|c| is_insert(*c)).collect();
        let mut merged = MergedRow::default();
        let mut members = Vec::with_capacity(all.len());
        for &c in all {
            let mut sees = matches!(self.changes[c].kind, WriteKind::Insert { .. });
            for &i in inserts.iter().take_while(|i| **i < c) {
                if sees {
                    break;
                }
                sees = self.saw(c, i)?;
            }
            if sees { members.push(c) } else { merged.adrift.push(c) }
        }
        if let Some(&founder) = inserts.first() {
            merged.units.push(self.unit(Standing::Primary, founder, &members, Vec::new())?);
        }
        Ok(merged)
    }

    fn conclude(&mut self, all: &[usize]) -> Result<MergedRow, E> {
        let view = self.view(all)?;
        let mut merged = MergedRow::default();
        let is_delete = |c: usize| self.changes[c].kind == WriteKind::Delete;
        merged.adrift = all.iter().copied().filter(|c| self.aims[*c].is_empty()).collect();
        let mut parts: Vec<(Standing, Vec<usize>)> = Vec::new();
        for (n, unit) in view.units.iter().enumerate() {
            let standing = if n == 0 { Standing::Primary } else { Standing::Generated };
            parts.push((standing, unit.clone()));
        }
        let shown: Vec<usize> = view.units.concat();
        parts.extend(
            self.superseded_groups(&view.superseded, &shown)?.into_iter().map(|g| (Standing::Superseded, g)),
        );
        for (standing, founders) in parts {
            let aims_here = |c: usize| self.aims[c].iter().any(|f| founders.contains(f));
            let members: Vec<usize> =
                all.iter().copied().filter(|c| !is_delete(*c) && aims_here(*c)).collect();
            let mut lost = Vec::new();
            for &d in all {
                if !is_delete(d) || !self.kills[d].iter().any(|f| founders.contains(f)) {
                    continue;
                }
                let mut seen = false;
                for &m in members.iter().rev().take_while(|m| **m > d) {
                    // Neither who needs the row nor who may only add has decided.
                    let decides = !self.is_touch(m) && !self.changes[m].weak;
                    seen = seen || (decides && self.saw(m, d)?);
                }
                if !seen {
                    lost.push(d);
                }
            }
            let founder = founders.iter().copied().min().unwrap_or_default();
            merged.units.push(self.unit(standing, founder, &members, lost)?);
        }
        for &d in all.iter().filter(|d| is_delete(**d)) {
            if self.is_outvoted(d)? {
                merged.outvoted.push(d);
            }
        }
        Ok(merged)
    }

    /// A change that this delete had not seen keeps what it aimed at, and nobody has deleted that for itself who had seen the change.
    ///
    /// What was gone for its author as the effect of something alone is as good as what it aimed at: if that effect does not count, it is.
    fn is_outvoted(&mut self, delete: usize) -> Result<bool, E> {
        for f in [self.kills[delete].as_slice(), &self.gone[delete]].concat() {
            let (mut before, mut keep) = (Vec::new(), Vec::new());
            for x in self.aimed[f].clone() {
                if self.keeps(x) {
                    let seen = x < delete && self.saw(delete, x)?;
                    if seen { before.push(x) } else { keep.push(x) }
                }
            }
            if keep.is_empty() {
                continue;
            }
            if self.gone[delete].contains(&f) {
                let past = self.past[delete - self.start].clone();
                if !self.any_left(&before, f, &|d| past.has(d))? {
                    continue;
                }
            }
            if self.any_left(&keep, f, &|_| true)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// One of these changes of the founder `f` is left: nobody among `within` who had seen it has deleted that for itself.
    fn any_left(&mut self, changes: &[usize], f: usize, within: &dyn Fn(usize) -> bool) -> Result<bool, E> {
        'next: for &x in changes {
            for d in x + 1..self.changes.len() {
                if within(d) && self.deletes_for_itself(d, f) && self.saw(d, x)? {
                    continue 'next;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// A delete that is no effect, of a row with this founder; also where that was gone already, as the effect of something.
    fn deletes_for_itself(&self, c: usize, founder: usize) -> bool {
        !self.is_effect_delete(c) && (self.kills[c].contains(&founder) || self.gone[c].contains(&founder))
    }

    /// Superseded founders that live by a change of their own (one that aims at no shown row), grouped where a change
    /// aims at several.
    fn superseded_groups(&mut self, superseded: &[usize], shown: &[usize]) -> Result<Vec<Vec<usize>>, E> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for &s in superseded {
            let mut own = false;
            for x in self.aimed[s].clone() {
                own = own
                    || (!self.aims[x].iter().any(|f| shown.contains(f))
                        && self.keeps(x)
                        && !self.removed(x, s, &|_| true)?);
            }
            if !own {
                continue;
            }
            let linked =
                |g: &Vec<usize>| self.aimed[s].iter().any(|x| self.aims[*x].iter().any(|f| g.contains(f)));
            let (mut together, apart): (Vec<_>, Vec<_>) = groups.into_iter().partition(linked);
            let mut group: Vec<usize> = together.drain(..).flatten().collect();
            group.push(s);
            group.sort_unstable();
            groups = apart;
            groups.push(group);
        }
        groups.sort();
        Ok(groups)
    }

    /// Did a delete among `within` remove `x` as a change of the founder `f`?
    fn removed(&mut self, x: usize, f: usize, within: &dyn Fn(usize) -> bool) -> Result<bool, E> {
        for n in 0..self.killed[f].len() {
            let d = self.killed[f][n];
            if d > x && within(d) && self.saw(d, x)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn view(&mut self, past: &[usize]) -> Result<View, E> {
        let mut seen = Seen::default();
        past.iter().for_each(|b| seen.add(*b));
        let within = |c: usize| seen.has(c);
        let mut alive = Vec::new();
        for &i in past {
            if !matches!(self.changes[i].kind, WriteKind::Insert { .. }) {
                continue;
            }
            for n in 0..self.aimed[i].len() {
                let x = self.aimed[i][n];
                if within(x) && self.keeps(x) && !self.removed(x, i, &within)? {
                    alive.push(i);
                    break;
                }
            }
        }
        let (mut live, mut superseded) = (Vec::new(), Vec::new());
        'next: for &i in &alive {
            for &j in &alive {
                // Only a founder supersedes; an insert that joined a row is part of it, and a weak one joins what lives.
                let founds = self.aims[j].len() == 1 && !self.changes[j].weak;
                if j > i && founds && self.saw(j, i)? {
                    superseded.push(i);
                    continue 'next;
                }
            }
            live.push(i);
        }
        let mut units: Vec<Vec<usize>> = Vec::new();
        for &i in &live {
            let given = |x: usize| self.changes[x].kind == WriteKind::Insert { generated: false };
            let same = |x: usize| self.changes[x].key_columns == self.changes[i].key_columns;
            let linked = |u: &Vec<usize>| {
                u.iter().any(|o| {
                    (given(*o) && given(i) && same(*o))
                        || self.aims[i].contains(o)
                        || self.aims[*o].contains(&i)
                })
            };
            let (together, apart): (Vec<_>, Vec<_>) = units.into_iter().partition(linked);
            let mut unit: Vec<usize> = together.concat();
            unit.push(i);
            unit.sort_unstable();
            units = apart;
            units.push(unit);
        }
        // Weak ones stand behind all others.
        units.sort_by_cached_key(|u| (u.iter().all(|i| self.changes[*i].weak), u.clone()));
        Ok(View { units, superseded })
    }

    /// A row lives by this change: by every one but deletes, and effects, which are nobody's wish for the row.
    fn keeps(&self, c: usize) -> bool {
        match self.changes[c].kind {
            WriteKind::Insert { .. } | WriteKind::Edit => true,
            WriteKind::Update => !self.changes[c].effect,
            WriteKind::Delete => false,
        }
    }

    /// The row went along with another.
    fn is_effect_delete(&self, c: usize) -> bool {
        self.changes[c].kind == WriteKind::Delete && self.changes[c].effect
    }

    /// The change says nothing of the row but that it is needed.
    fn is_touch(&self, c: usize) -> bool {
        self.changes[c].kind == WriteKind::Update && self.changes[c].columns.is_empty()
    }

    /// The effects among a row's changes of which some column was written by a change that is none, neither having seen
    /// the other: they do not count as a whole.
    fn beaten(&mut self, members: &[usize]) -> Result<Vec<usize>, E> {
        let mut beaten = Vec::new();
        for &w in members.iter().filter(|m| self.changes[**m].effect) {
            let others = |m: &&usize| !self.changes[**m].effect && !self.changes[**m].weak;
            for &o in members.iter().filter(others) {
                let meets = |c: &ColumnTag| self.changes[w].columns.contains(c);
                if self.changes[o].columns.iter().any(meets) && !self.saw(w.max(o), w.min(o))? {
                    beaten.push(w);
                    break;
                }
            }
        }
        Ok(beaten)
    }

    fn unit(
        &mut self,
        standing: Standing,
        founder: usize,
        members: &[usize],
        lost_deletes: Vec<usize>,
    ) -> Result<Unit, E> {
        let mut writes: BTreeMap<ColumnTag, Vec<Cell>> = BTreeMap::new();
        let beaten = self.beaten(members)?;
        let is_insert = |m: &&usize| matches!(self.changes[**m].kind, WriteKind::Insert { .. });
        let all_weak = members.iter().filter(is_insert).all(|m| self.changes[*m].weak);
        let first = members.iter().find(is_insert).copied().filter(|_| all_weak);
        let yields = |c: &Cell| self.changes[c.change].weak && Some(c.change) != first;
        for &change in members.iter().filter(|m| !beaten.contains(m)) {
            for (place, &column) in self.changes[change].columns.iter().enumerate() {
                let of_column = writes.entry(column).or_default();
                // A column listed twice in one change: the last value counts.
                of_column.pop_if(|c| c.change == change);
                of_column.push(Cell { column, change, place });
            }
        }
        let (mut cells, mut siblings) = (Vec::with_capacity(writes.len()), Vec::new());
        let mut joint = Vec::new();
        for (column, of_column) in writes {
            let (yielding, of_column): (Vec<Cell>, Vec<Cell>) = of_column.into_iter().partition(yields);
            for w in yielding {
                let mut seen = false;
                for later in of_column.iter().filter(|later| later.change > w.change) {
                    seen = seen || self.saw(later.change, w.change)?;
                }
                if !seen {
                    siblings.push(w);
                }
            }
            let edits = |c: &Cell| self.changes[c.change].kind == WriteKind::Edit;
            if (self.joint)(column) || of_column.iter().any(edits) {
                joint.push(of_column);
                continue;
            }
            let Some((winner, rest)) = of_column.split_last() else { continue };
            cells.push(*winner);
            for (n, w) in rest.iter().enumerate() {
                let mut seen = false;
                for later in &of_column[n + 1..] {
                    seen = seen || self.saw(later.change, w.change)?;
                }
                if !seen {
                    siblings.push(*w);
                }
            }
        }
        siblings.sort_unstable();
        Ok(Unit { standing, founder, cells, siblings, joint, lost_deletes, weak: first.is_some() })
    }
}
