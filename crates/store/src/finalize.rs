//! The end of a local transaction: what its statements did to the tables becomes changes for the log.
//!
//! The effects are in the tables already. [`Merger::finalize`] takes the captured rows, joins them to one net change per
//! row (an insert and a delete of the same row is nothing; a delete and an insert of the same key, as REPLACE does, is an
//! update), and one more for edits of counters, sets and maps, leaves out what changed nothing, sets the rows' hidden columns, and gives the changes. When the block
//! is sealed and in the log, [`Merger::record`] writes the change index and decides about displaced rows.
//!
//! A local transaction has seen everything in the tables, so each of its writes wins and settles what was a conflict.
//! That the result is what merging the block would give is held by a test over random worlds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use p2pdb_block::ChangeIndex;
use p2pdb_merge::cell;
use p2pdb_model::cell::{delta, number_as, number_in};
use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::decimal::Decimal;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::{CellEdit, CellKind, Change, Value, ValueRef};
use sha2::{Digest, Sha256};

use crate::apply::Merger;
use crate::capture::{CaptureOp, Captured};
use crate::connection::Connection;
use crate::displaced::{BIRTHS, HISTORY, Image, Place, Run, SIBLINGS, hidden};
use crate::displaced_settle::Todo;
use crate::error::{Result, StoreError};
use crate::index::{At, IsAncestor, LOST_DELETE, Origin, tx_sql};
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::materialize_plan::{Slot, TablePlan};

/// Length of what tells apart two rows of one key that are not the same row, bytes.
const DISTINGUISHER_BYTES: usize = 8;

/// A local transaction as changes for the log.
#[derive(Default)]
pub struct LocalChanges {
    /// The transaction.
    pub tx: TxNo,
    /// The layouts that the changes name by index.
    pub layouts: Vec<Layout>,
    /// The changes, one per row. Empty: nothing happened, and nothing is to be logged.
    pub changes: Vec<Change>,
    /// Per change, its table's number and its row.
    touched: Vec<(i64, Ident)>,
    recompute: Vec<(ObjectId, Ident)>,
    todo: Todo,
}

impl std::fmt::Debug for LocalChanges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalChanges").field("tx", &self.tx).field("changes", &self.changes).finish()
    }
}

/// How a local transaction ran.
pub struct Local<'a> {
    /// Its number, and the stamp, author and position that its block will have. The CID is not known yet.
    pub origin: Origin,
    /// Foreign keys were checked when its statements ran.
    pub foreign_key_checks: bool,
    /// Was this key of this table drawn from AUTO_INCREMENT?
    pub generated: &'a dyn Fn(ObjectId, &Value) -> bool,
}

/// One physical row through the transaction.
struct Life {
    table: ObjectId,
    old: Option<Vec<Value>>,
    new: Option<Vec<Value>>,
    rowid: i64,
    /// Counters (indexes into the plan's columns) to which something was assigned, not only added.
    assigned: Vec<usize>,
}

/// A row as the transaction left it; nothing of one that it deleted.
#[derive(Clone, Copy, Default)]
struct Written<'a> {
    rowid: i64,
    raw: &'a [Value],
    /// See [`Life::assigned`].
    assigned: &'a [usize],
}

/// What became of a row.
enum Net {
    Insert,
    Update(Image),
    Delete(Image),
}

impl Merger {
    /// Turns the captured changes of a local transaction into changes for the log, and completes its rows.
    ///
    /// Call when no more statements of the transaction follow, before its block is sealed. The origin's stamp, author
    /// and position must be those of the block that will carry it.
    pub fn finalize(
        &mut self,
        db: &Connection,
        local: &Local<'_>,
        captured: Vec<Captured>,
    ) -> Result<LocalChanges> {
        let was_on = db.capture.as_ref().is_some_and(|c| c.set(false));
        let done = self.finalize_uncaptured(db, local, captured);
        if let Some(capture) = &db.capture {
            capture.set(was_on);
        }
        done
    }

    fn finalize_uncaptured(
        &mut self,
        db: &Connection,
        local: &Local<'_>,
        captured: Vec<Captured>,
    ) -> Result<LocalChanges> {
        let lives = self.lives(db, captured)?;
        let never = |_, _| Ok(false);
        let mut run = Run::new(db, &never, &mut self.cache);
        // Others of the block that is open. A transaction that came to nothing may have left its number to an arriving one.
        let (tx, position) = (local.origin.tx.0, u64::from(local.origin.position));
        let stale = fault::on(Fault::StaleVersion);
        self.unsealed.retain(|o| o.tx.0 < tx && (o.tx.0 + position >= tx || stale));
        self.unsealed.push(local.origin);
        self.unsealed.iter().for_each(|o| run.know(o));
        let mut f = Finalize {
            local,
            out: LocalChanges { tx: local.origin.tx, ..LocalChanges::default() },
            layouts: HashMap::new(),
            moved: HashMap::new(),
            away: HashSet::new(),
        };
        if lives.iter().any(|l| l.old.is_none() && l.new.is_some()) {
            for life in &lives {
                if let (Some(old), Some(new)) = (&life.old, &life.new)
                    && let Some(plan) = run.plans.plan(db, life.table)?
                {
                    let ident = plan.captured(old)?.ident;
                    if plan.implied_ident(&plan.captured(new)?.values).as_ref() != Some(&ident) {
                        f.away.insert((life.table, ident));
                    }
                }
            }
        }
        // Deleted rows by identity: an insert of the same key takes them up again.
        let mut gone: BTreeMap<(ObjectId, Ident), Image> = BTreeMap::new();
        for life in lives.iter().filter(|l| l.new.is_none()) {
            let (Some(plan), Some(old)) = (run.plans.plan(db, life.table)?, &life.old) else { continue };
            let image = plan.captured(old)?;
            gone.insert((life.table, image.ident.clone()), image);
        }
        for life in lives {
            let Some(plan) = run.plans.plan(db, life.table)? else { continue };
            match (life.old, life.new) {
                (None, Some(new)) => {
                    let fresh = f.new_image(&mut run, &plan, &new)?;
                    match gone.remove(&(life.table, fresh.ident.clone())) {
                        Some(old) => {
                            let all: Vec<usize> = plan.counters.iter().map(|c| c.0).collect();
                            f.row(
                                &mut run,
                                &plan,
                                Net::Update(old),
                                fresh,
                                Written { rowid: life.rowid, raw: &new, assigned: &all },
                            )?;
                        }
                        None => {
                            f.row(
                                &mut run,
                                &plan,
                                Net::Insert,
                                fresh,
                                Written { rowid: life.rowid, raw: &new, assigned: &life.assigned },
                            )?;
                        }
                    }
                }
                (Some(old), Some(new)) => {
                    let old = plan.captured(&old)?;
                    let mut image = plan.captured(&new)?;
                    image.ident = old.ident.clone();
                    f.row(
                        &mut run,
                        &plan,
                        Net::Update(old),
                        image,
                        Written { rowid: life.rowid, raw: &new, assigned: &life.assigned },
                    )?;
                }
                // Deletes come last: an insert may take the row up again.
                (_, None) => {}
            }
        }
        if fault::on(Fault::DeleteNotLogged) {
            gone.clear();
        }
        for ((table, _), old) in gone {
            if let Some(plan) = run.plans.plan(db, table)? {
                let image = old.clone();
                f.row(&mut run, &plan, Net::Delete(old), image, Written::default())?;
            }
        }
        f.out.todo = std::mem::take(&mut run.todo);
        run.finish()?;
        Ok(f.out)
    }

    /// Follows each physical row from its first to its last captured state.
    fn lives(&mut self, db: &Connection, captured: Vec<Captured>) -> Result<Vec<Life>> {
        let mut lives: Vec<Life> = Vec::with_capacity(captured.len());
        let mut at: HashMap<(ObjectId, i64), usize> = HashMap::new();
        let mut last: Option<(Arc<str>, ObjectId)> = None;
        for c in captured {
            let table = match &last {
                Some((name, id)) if *name == c.table => *id,
                _ => {
                    let id = self.cache.by_name(&c.table).ok_or_else(|| {
                        StoreError::Corrupt(format!("a change of {}, which is not in the schema", c.table))
                    })?;
                    last = Some((c.table.clone(), id));
                    id
                }
            };
            let assigned = match self.cache.plan(db, table)? {
                Some(plan) => assigned(&plan, &c),
                None => Vec::new(),
            };
            match c.op {
                CaptureOp::Insert => {
                    at.insert((table, c.new_rowid), lives.len());
                    lives.push(Life { table, old: None, new: Some(c.new), rowid: c.new_rowid, assigned });
                }
                CaptureOp::Update => {
                    let known = at.remove(&(table, c.old_rowid));
                    let n = known.unwrap_or_else(|| {
                        lives.push(Life {
                            table,
                            old: Some(c.old),
                            new: None,
                            rowid: 0,
                            assigned: Vec::new(),
                        });
                        lives.len() - 1
                    });
                    lives[n].assigned.extend(assigned);
                    lives[n].new = Some(c.new);
                    lives[n].rowid = c.new_rowid;
                    at.insert((table, c.new_rowid), n);
                }
                CaptureOp::Delete => match at.remove(&(table, c.old_rowid)) {
                    Some(n) => lives[n].new = None,
                    None => lives.push(Life { table, old: Some(c.old), new: None, rowid: 0, assigned }),
                },
            }
        }
        Ok(lives)
    }

    /// After the block is in the log: indexes the changes of its local transactions, in the order of the block, and
    /// decides what they let in or out.
    pub fn record(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        transactions: Vec<LocalChanges>,
        index: &ChangeIndex,
    ) -> Result<()> {
        self.unsealed.clear();
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        let mut recompute = Vec::new();
        for local in transactions {
            let position = db.origin(local.tx)?.position;
            let spans = index.transaction(position);
            assert_eq!(spans.len(), local.touched.len(), "the block holds the changes that were made for it");
            for ((table, ident), span) in local.touched.iter().zip(spans) {
                db.index_change(*table, ident, At { tx: local.tx, offset: span.offset })?;
            }
            run.todo.append(local.todo);
            recompute.extend(local.recompute);
        }
        for (table, ident) in recompute {
            if let Some(plan) = run.plans.plan(db, table)? {
                run.recompute(&plan, &ident)?;
            }
        }
        run.settle()?;
        run.finish().map(drop)
    }
}

/// The counters that this change assigns to.
fn assigned(plan: &TablePlan, c: &Captured) -> Vec<usize> {
    let adjusted = |i: usize| c.adjusted.as_ref().is_some_and(|a| a.contains(&plan.columns[i].tag));
    let changed = |slot: usize| c.op == CaptureOp::Insert || c.old.get(slot) != c.new.get(slot);
    let counters = plan.counters.iter().filter(|(i, slot)| changed(*slot) && !adjusted(*i));
    counters.map(|(i, _)| *i).collect()
}

/// These columns, and those that a CHECK joins them to.
fn with_joined(plan: &TablePlan, changed: Vec<usize>) -> Vec<usize> {
    if plan.checks.is_empty() {
        return changed;
    }
    let mut all: Vec<usize> =
        changed.iter().flat_map(|c| plan.joined[*c].iter().copied().chain([*c])).collect();
    all.sort_unstable();
    all.dedup();
    all
}

struct Finalize<'a> {
    local: &'a Local<'a>,
    out: LocalChanges,
    layouts: HashMap<Layout, u32>,
    /// Tables in which some row's identity is not its key.
    moved: HashMap<i64, bool>,
    /// Rows that this transaction has put under another key than they were born with: `_k` may not say so yet.
    away: HashSet<(ObjectId, Ident)>,
}

impl Finalize<'_> {
    /// A row that was inserted: what it holds, and who it is.
    fn new_image(&mut self, run: &mut Run<'_>, plan: &TablePlan, row: &[Value]) -> Result<Image> {
        let tx = self.local.origin.tx;
        let mut values = vec![Value::Null; plan.columns.len()];
        let mut key = ValueRef::Null;
        for (slot, value) in plan.slots.iter().zip(row) {
            match slot {
                Slot::Column(i) => values[*i] = value.clone(),
                Slot::Key => key = value.into(),
                _ => {}
            }
        }
        let writers = plan.columns.iter().map(|c| if c.stored { tx } else { TxNo(0) }).collect();
        let ident = match key {
            ValueRef::Null => self.birth_ident(run, plan, &values)?,
            given => Ident::from_sql(given)?,
        };
        Ok(Image { ident, values, writers, flags: 0 })
    }

    /// The identity of a new row: its primary key, unless that is, or was, another row's.
    fn birth_ident(&mut self, run: &mut Run<'_>, plan: &TablePlan, values: &[Value]) -> Result<Ident> {
        let primary = plan.table.primary().map(|p| p.def.parts.as_slice()).unwrap_or_default();
        let columns: Option<Vec<usize>> = primary.iter().map(|p| plan.column(p.column)).collect();
        let columns = columns.filter(|c| !c.is_empty()).ok_or_else(|| {
            StoreError::Corrupt(format!("a row of {} without primary key and hidden id", plan.sql.name))
        })?;
        let mut key: Vec<Value> = columns.iter().map(|c| values[*c].clone()).collect();
        if plan.rekeyed {
            // Keys of another primary key may look the same.
            let mut h = Sha256::new();
            columns.iter().for_each(|c| h.update(plan.columns[*c].tag.0.to_be_bytes()));
            key.push(Value::Blob(h.finalize()[..DISTINGUISHER_BYTES].to_vec()));
            return Ok(Ident::of(&key));
        }
        let ident = Ident::of(&key);
        if self.is_taken(run, plan, &ident)? {
            // A row that was born with this key lives on under another.
            let o = &self.local.origin;
            let mut h = Sha256::new();
            h.update(o.author.0);
            h.update(o.stamp.0.to_be_bytes());
            h.update(o.position.to_be_bytes());
            h.update((self.out.changes.len() as u64).to_be_bytes());
            key.push(Value::Blob(h.finalize()[..DISTINGUISHER_BYTES].to_vec()));
            return Ok(Ident::of(&key));
        }
        Ok(ident)
    }

    fn is_taken(&mut self, run: &mut Run<'_>, plan: &TablePlan, ident: &Ident) -> Result<bool> {
        if self.away.contains(&(plan.table.id, ident.clone())) {
            return Ok(true);
        }
        let moved = match self.moved.get(&plan.no) {
            Some(moved) => *moved,
            None => {
                let sql = format!("SELECT 1 FROM {} WHERE _k IS NOT NULL LIMIT 1", plan.sql.name);
                let moved = run.db.query_one(&sql, (), |_| Ok(()))?.is_some();
                self.moved.insert(plan.no, moved);
                moved
            }
        };
        if moved && !run.visible_where(plan, &plan.sql.get_by_ident, &[ident.sql()])?.is_empty() {
            return Ok(true);
        }
        Ok(run.any_displaced(plan)? && !run.displaced_of(plan, ident)?.is_empty())
    }

    fn row(
        &mut self,
        run: &mut Run<'_>,
        plan: &TablePlan,
        net: Net,
        mut image: Image,
        written: Written<'_>,
    ) -> Result<()> {
        let Written { rowid, raw, assigned } = written;
        let tx = self.local.origin.tx;
        match net {
            Net::Insert => {
                if run.db.has_changes(plan.no, &image.ident, tx)? {
                    image.flags |= HISTORY;
                }
                self.complete(run, plan, rowid, &mut image, raw)?;
                let f = run.hash(plan, &image, Place::Visible)?;
                run.add(plan, f);
                self.shown(run, plan, &image, rowid)?;
                let edits = self.counted_from_zero(plan, &mut image, assigned);
                let ident = image.ident.clone();
                self.push_insert(plan, image)?;
                self.push_edits(plan, ident, edits)
            }
            Net::Update(old) => {
                let changed: Vec<usize> = (0..plan.columns.len())
                    .filter(|i| plan.columns[*i].stored && image.values[*i] != old.values[*i])
                    .collect();
                let changed = with_joined(plan, changed);
                image.flags = old.flags;
                image.writers.clone_from(&old.writers);
                changed.iter().for_each(|i| image.writers[*i] = tx);
                let mut edits: Vec<(usize, CellEdit)> = Vec::new();
                for &i in &changed {
                    let edit = self.edit_of(plan, i, &old, &image, assigned);
                    edits.extend(edit.map(|e| (i, e)));
                }
                if !changed.is_empty() && old.flags & SIBLINGS != 0 {
                    self.settle_siblings(run, plan, &mut image, &changed)?;
                }
                self.complete(run, plan, rowid, &mut image, raw)?;
                if changed.is_empty() {
                    return Ok(());
                }
                let before = run.hash(plan, &old, Place::Visible)?;
                let after = run.hash(plan, &image, Place::Visible)?;
                run.subtract(plan, before);
                run.add(plan, after);
                if changed.iter().any(|c| plan.constrained[*c]) {
                    run.left(plan, &old, Place::Visible)?;
                    self.shown(run, plan, &image, rowid)?;
                }
                // An edit overrules only what it names: what has lost before may still stand.
                let unsettled = old.flags & SIBLINGS != 0 && !edits.is_empty();
                if unsettled || (old.flags & (HISTORY | BIRTHS) != 0 && run.any_displaced(plan)?) {
                    self.out.recompute.push((plan.table.id, image.ident.clone()));
                }
                let rest: Vec<usize> =
                    changed.into_iter().filter(|i| !edits.iter().any(|(e, _)| e == i)).collect();
                let ident = image.ident.clone();
                if !rest.is_empty() {
                    self.push_update(plan, image, &rest)?;
                }
                self.push_edits(plan, ident, edits)
            }
            Net::Delete(old) => {
                let f = run.hash(plan, &old, Place::Visible)?;
                run.subtract(plan, f);
                run.left(plan, &old, Place::Visible)?;
                if old.flags & SIBLINGS != 0 {
                    run.db.drop_siblings(plan.no, &old.ident)?;
                }
                if old.flags & (HISTORY | BIRTHS) != 0 {
                    self.out.recompute.push((plan.table.id, old.ident.clone()));
                }
                let layout = self.layout(Layout(plan.table.id, 0, Vec::new()));
                let key = old.ident.to_key()?;
                self.push(plan, old.ident, RowChange::Delete { layout, key });
                Ok(())
            }
        }
    }

    /// The edit that a change of this column is; `None` where it is an assignment.
    fn edit_of(
        &self,
        plan: &TablePlan,
        i: usize,
        old: &Image,
        new: &Image,
        assigned: &[usize],
    ) -> Option<CellEdit> {
        let (column, old, new) = (&plan.columns[i], &old.values[i], &new.values[i]);
        if column.kind != CellKind::Counter {
            return cell::edit(column.kind, old, new);
        }
        if assigned.contains(&i) {
            return None;
        }
        let by = number_in(&column.ty, new)?.sub(&number_in(&column.ty, old)?);
        Some(CellEdit::Add(delta(&by)))
    }

    /// Counters of a new row that a statement counts up from nothing (INSERT … ON DUPLICATE KEY UPDATE n = n + …): the row
    /// begins with zero, and what they hold is an increment.
    fn counted_from_zero(
        &self,
        plan: &TablePlan,
        image: &mut Image,
        assigned: &[usize],
    ) -> Vec<(usize, CellEdit)> {
        let mut edits = Vec::new();
        for &(i, _) in plan.counters.iter().filter(|(i, _)| !assigned.contains(i)) {
            let ty = &plan.columns[i].ty;
            let zero = number_as(ty, &Decimal::ZERO);
            if let (Some(n), Some(zero)) = (number_in(ty, &image.values[i]), zero) {
                image.values[i] = zero;
                edits.push((i, CellEdit::Add(delta(&n))));
            }
        }
        edits
    }

    /// What a visible row may change for others.
    fn shown(&self, run: &mut Run<'_>, plan: &TablePlan, image: &Image, rowid: i64) -> Result<()> {
        run.shown(plan, image, rowid, !self.local.foreign_key_checks)
    }

    /// Sets the hidden columns, where the statement has not set them so.
    fn complete(
        &self,
        run: &Run<'_>,
        plan: &TablePlan,
        rowid: i64,
        image: &mut Image,
        raw: &[Value],
    ) -> Result<()> {
        let (version, overrides) = hidden(plan, &image.writers, image.flags);
        let implied = plan.implied_ident(&image.values).is_some_and(|i| i == image.ident);
        let key = if implied { ValueRef::Null } else { image.ident.sql() };
        let overrides = overrides.as_deref().map_or(ValueRef::Null, ValueRef::Blob);
        let as_wanted = plan.slots.iter().zip(raw).all(|(slot, value)| match slot {
            Slot::Version => ValueRef::from(value) == tx_sql(version),
            Slot::Overrides => ValueRef::from(value) == overrides,
            Slot::Key => ValueRef::from(value) == key,
            _ => true,
        });
        if as_wanted {
            return Ok(());
        }
        run.db.execute(&plan.sql.set_hidden, [ValueRef::Int(rowid), tx_sql(version), overrides, key])?;
        Ok(())
    }

    /// A local write has seen all siblings of the cells that it writes.
    fn settle_siblings(
        &self,
        run: &Run<'_>,
        plan: &TablePlan,
        image: &mut Image,
        changed: &[usize],
    ) -> Result<()> {
        let mut left = false;
        for (tag, at) in run.db.siblings_of(plan.no, &image.ident)? {
            if tag == LOST_DELETE || changed.iter().any(|c| i64::from(plan.columns[*c].tag.0) == tag) {
                run.db.drop_sibling(plan.no, &image.ident, tag, at)?;
            } else {
                left = true;
            }
        }
        if !left {
            image.flags &= !SIBLINGS;
        }
        Ok(())
    }

    fn layout(&mut self, layout: Layout) -> u32 {
        if let Some(n) = self.layouts.get(&layout) {
            return *n;
        }
        let n = self.out.layouts.len() as u32;
        self.out.layouts.push(layout.clone());
        self.layouts.insert(layout, n);
        n
    }

    fn push(&mut self, plan: &TablePlan, ident: Ident, change: RowChange) {
        self.out.touched.push((plan.no, ident));
        self.out.changes.push(Change::Row(change));
    }

    fn push_insert(&mut self, plan: &TablePlan, mut image: Image) -> Result<()> {
        let primary = plan.table.primary().map(|p| p.def.parts.as_slice()).unwrap_or_default();
        let mut columns: Vec<usize> = primary.iter().filter_map(|p| plan.column(p.column)).collect();
        let natural: Vec<Value> = columns.iter().map(|c| image.values[*c].clone()).collect();
        let is_key = !natural.is_empty() && Ident::of(&natural) == image.ident;
        let (key_columns, key) =
            if is_key { (columns.len() as u32, None) } else { (0, Some(image.ident.to_key()?)) };
        let rest = (0..plan.columns.len()).filter(|i| plan.columns[*i].stored && !columns.contains(i));
        let rest: Vec<usize> = rest.collect();
        columns.extend(rest);
        let generated = match natural.as_slice() {
            [one] => (self.local.generated)(plan.table.id, one),
            _ => false,
        };
        let tags: Vec<ColumnTag> = columns.iter().map(|c| plan.columns[*c].tag).collect();
        let layout = self.layout(Layout(plan.table.id, key_columns, tags));
        let values = columns.iter().map(|c| std::mem::take(&mut image.values[*c])).collect();
        self.push(plan, image.ident, RowChange::Insert { layout, key, generated, values });
        Ok(())
    }

    fn push_update(&mut self, plan: &TablePlan, mut image: Image, changed: &[usize]) -> Result<()> {
        let tags = changed.iter().map(|c| plan.columns[*c].tag).collect();
        let layout = self.layout(Layout(plan.table.id, 0, tags));
        let values = changed.iter().map(|c| std::mem::take(&mut image.values[*c])).collect();
        let key = image.ident.to_key()?;
        self.push(plan, image.ident, RowChange::Update { layout, key, values });
        Ok(())
    }

    fn push_edits(&mut self, plan: &TablePlan, ident: Ident, edits: Vec<(usize, CellEdit)>) -> Result<()> {
        if edits.is_empty() {
            return Ok(());
        }
        let tags = edits.iter().map(|(i, _)| plan.columns[*i].tag).collect();
        let layout = self.layout(Layout(plan.table.id, 0, tags));
        let key = ident.to_key()?;
        let edits = edits.into_iter().map(|(_, e)| e).collect();
        self.push(plan, ident, RowChange::Edit { layout, key, edits });
        Ok(())
    }
}
