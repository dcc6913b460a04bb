//! The end of a local transaction: what its statements did to the tables becomes changes for the log.
//!
//! The effects are in the tables already. [`Merger::finalize`] takes the captured rows, joins them to one net change per
//! row (an insert and a delete of the same row is nothing; a delete and an insert of the same key, as REPLACE does, is an
//! update), and one more for edits of counters, sets and maps, leaves out what changed nothing, sets the rows' hidden columns, and gives the changes. When the block
//! is sealed and in the log, [`Merger::record`] writes the change index and decides about displaced rows.
//!
//! A local transaction has seen everything in the tables, so each of its writes wins and settles what was a conflict.
//! That the result is what merging the block would give is held by a test over random worlds.

pub(crate) mod kept;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use p2pdb_block::ChangeIndex;
use p2pdb_merge::cell;
use p2pdb_model::cell::{delta, number_as, number_in};
use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::decimal::Decimal;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::{AccountId, CellEdit, CellKind, Change, RowKey, Value, ValueRef};
use sha2::{Digest, Sha256};

use crate::apply::Merger;
use crate::capture::{CaptureOp, Captured};
use crate::connection::Connection;
use crate::displaced::{BIRTHS, HISTORY, Image, Place, Run, SIBLINGS, WEAK, WHOLE, hidden};
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

/// What is asked about inserts of these columns into a table, of rows with this owner.
pub type OfInserts<'a, T> = &'a dyn Fn(ObjectId, &[ColumnTag], Option<AccountId>) -> T;

/// How a local transaction ran.
pub struct Local<'a> {
    /// Its number, and the stamp, author and position that its block will have. The CID is not known yet.
    pub origin: Origin,
    /// As for [`Merger::record`].
    pub is_ancestor: IsAncestor<'a>,
    /// Whether foreign keys were checked.
    pub foreign_keys: ForeignKeys,
    /// Was this key of this table drawn from AUTO_INCREMENT?
    pub generated: &'a dyn Fn(ObjectId, &Value) -> bool,
    /// Are they weak?
    pub weak: OfInserts<'a, bool>,
    /// Which of the columns may they not name? These are left out where they hold what nobody has to write.
    pub not_insertable: OfInserts<'a, Vec<ColumnTag>>,
}

/// Whether the statements of a transaction checked foreign keys; some may have, and others not.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForeignKeys {
    checked: bool,
    unchecked: bool,
}

impl ForeignKeys {
    /// One more statement did, or did not.
    pub fn note(&mut self, checked: bool) {
        self.checked |= checked;
        self.unchecked |= !checked;
    }

    /// Some of what it wrote was checked.
    fn checked_some(self) -> bool {
        self.checked || !self.unchecked
    }
}

/// One physical row through the transaction.
struct Life {
    table: ObjectId,
    old: Option<Vec<Value>>,
    new: Option<Vec<Value>>,
    rowid: i64,
    /// Counters (indexes into the plan's columns) to which something was assigned, not only added.
    assigned: Vec<usize>,
    /// Which life's end ended this one.
    cause: Option<usize>,
    /// Columns that foreign keys have changed, and through which life.
    effects: Vec<(usize, usize)>,
}

impl Life {
    fn of(table: ObjectId) -> Self {
        Life { table, old: None, new: None, rowid: 0, assigned: Vec::new(), cause: None, effects: Vec::new() }
    }
}

/// A row as the transaction left it; nothing of one that it deleted.
#[derive(Clone, Copy, Default)]
struct Written<'a> {
    rowid: i64,
    raw: &'a [Value],
    /// See [`Life::assigned`].
    assigned: &'a [usize],
    /// See [`Life::effects`].
    effects: &'a [(usize, usize)],
}

/// What became of a row.
enum Net {
    Insert,
    Update(Image),
    /// The effect of a change of the block, perhaps.
    Delete(Image, Option<u32>),
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
        let mut run = Run::new(db, local.is_ancestor, &mut self.cache);
        // Others of the block that is open. A transaction that came to nothing may have left its number to an arriving one.
        let (tx, position) = (local.origin.tx.0, u64::from(local.origin.position));
        let stale = fault::on(Fault::StaleVersion);
        self.unsealed.retain(|o| o.tx.0 < tx && (o.tx.0 + position >= tx || stale));
        self.unsealed.push(local.origin);
        self.unsealed.iter().for_each(|o| run.know(o));
        let sealed = sealed_values(&mut run, &lives)?;
        let mut f = Finalize {
            local,
            out: LocalChanges { tx: local.origin.tx, ..LocalChanges::default() },
            layouts: HashMap::new(),
            shape: None,
            moved: HashMap::new(),
            inserts: HashMap::new(),
            sealed,
            away: HashSet::new(),
            late: Vec::new(),
            unsealed: self.unsealed.iter().map(|o| o.tx).collect(),
            overruled: Vec::new(),
            referring: BTreeMap::new(),
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
        let mut gone: BTreeMap<(ObjectId, Ident), (Image, usize)> = BTreeMap::new();
        let causes: Vec<Option<usize>> = lives.iter().map(|l| l.cause).collect();
        // Where the change of a life is, as far as others are its effects.
        let mut places: Vec<Option<u32>> = vec![None; lives.len()];
        for (n, life) in lives.iter().enumerate().filter(|(_, l)| l.new.is_none()) {
            let (Some(plan), Some(old)) = (run.plans.plan(db, life.table)?, &life.old) else { continue };
            let image = plan.captured(old)?;
            gone.insert((life.table, image.ident.clone()), (image, n));
        }
        let mut last: Option<Arc<TablePlan>> = None;
        for (n, life) in lives.into_iter().enumerate() {
            let plan = match last.take() {
                Some(plan) if plan.table.id == life.table => plan,
                _ => match run.plans.plan(db, life.table)? {
                    Some(plan) => plan,
                    None => continue,
                },
            };
            let plan = &**last.insert(plan);
            let (before, late) = (f.out.changes.len(), f.late.len());
            match (life.old, life.new) {
                (None, Some(mut new)) => {
                    let fresh = f.new_image(&mut run, plan, &mut new)?;
                    let before = match gone.is_empty() {
                        true => None,
                        false => gone.remove(&(life.table, fresh.ident.clone())),
                    };
                    match before {
                        Some((old, _)) => {
                            let all: Vec<usize> = plan.counters.iter().map(|c| c.0).collect();
                            f.row(
                                &mut run,
                                plan,
                                Net::Update(old),
                                fresh,
                                Written { rowid: life.rowid, raw: &new, assigned: &all, effects: &[] },
                            )?;
                        }
                        None => {
                            f.row(
                                &mut run,
                                plan,
                                Net::Insert,
                                fresh,
                                Written {
                                    rowid: life.rowid,
                                    raw: &new,
                                    assigned: &life.assigned,
                                    effects: &[],
                                },
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
                        plan,
                        Net::Update(old),
                        image,
                        Written {
                            rowid: life.rowid,
                            raw: &new,
                            assigned: &life.assigned,
                            effects: &life.effects,
                        },
                    )?;
                }
                // Deletes come last: an insert may take the row up again.
                (_, None) => {}
            }
            if f.out.changes.len() > before {
                places[n] = Some(f.out.changes.len() as u32 - 1);
            }
            f.late[late..].iter_mut().for_each(|l| l.life = n);
        }
        if fault::on(Fault::DeleteNotLogged) {
            gone.clear();
        }
        // Effects after their causes.
        let mut gone: Vec<_> =
            gone.into_iter().map(|((table, _), (old, n))| (depth(n, &causes), table, old, n)).collect();
        gone.sort_by_key(|g| g.0);
        for (_, table, old, n) in gone {
            if let Some(plan) = run.plans.plan(db, table)? {
                let image = old.clone();
                let cause = causes[n].and_then(|c| places[c]);
                f.row(&mut run, &plan, Net::Delete(old, cause), image, Written::default())?;
                places[n] = Some(f.out.changes.len() as u32 - 1);
            }
        }
        f.push_effects(&mut run, &mut places)?;
        f.push_stayed(&mut run)?;
        f.push_references(&mut run)?;
        f.out.todo = std::mem::take(&mut run.todo);
        run.finish()?;
        Ok(f.out)
    }

    /// Follows each physical row from its first to its last captured state.
    fn lives(&mut self, db: &Connection, captured: Vec<Captured>) -> Result<Vec<Life>> {
        let mut lives: Vec<Life> = Vec::with_capacity(captured.len());
        let mut at: HashMap<(ObjectId, i64), usize> = HashMap::new();
        let mut last: Option<(Arc<str>, ObjectId, Option<Arc<TablePlan>>)> = None;
        // Nothing happens to a row twice where all are new.
        let all_new = captured.iter().all(|c| c.op == CaptureOp::Insert);
        // Per captured change.
        let mut lives_of: Vec<usize> = Vec::with_capacity(captured.len());
        for c in captured {
            let table = match &last {
                Some((name, id, _)) if Arc::ptr_eq(name, &c.table) || *name == c.table => *id,
                _ => {
                    let id = self.cache.by_name(&c.table).ok_or_else(|| {
                        StoreError::Corrupt(format!("a change of {}, which is not in the schema", c.table))
                    })?;
                    last = Some((c.table.clone(), id, self.cache.plan(db, id)?));
                    id
                }
            };
            let plan = last.as_ref().and_then(|l| l.2.as_deref());
            let assigned = match plan {
                Some(plan) => assigned(plan, &c),
                None => Vec::new(),
            };
            match c.op {
                CaptureOp::Insert => {
                    if !all_new {
                        at.insert((table, c.new_rowid), lives.len());
                    }
                    lives_of.push(lives.len());
                    lives.push(Life { new: Some(c.new), rowid: c.new_rowid, assigned, ..Life::of(table) });
                }
                CaptureOp::Update => {
                    let known = at.remove(&(table, c.old_rowid));
                    let n = known.unwrap_or_else(|| {
                        lives.push(Life { old: Some(c.old.clone()), ..Life::of(table) });
                        lives.len() - 1
                    });
                    if let Some(plan) = plan {
                        let cause = c.cause.and_then(|at| lives_of.get(at)).copied();
                        note_effects(plan, &mut lives[n].effects, (&c.old, &c.new), cause);
                    }
                    lives_of.push(n);
                    lives[n].assigned.extend(assigned);
                    lives[n].new = Some(c.new);
                    lives[n].rowid = c.new_rowid;
                    at.insert((table, c.new_rowid), n);
                }
                CaptureOp::Delete => {
                    let n = at.remove(&(table, c.old_rowid)).unwrap_or_else(|| {
                        lives.push(Life { old: Some(c.old), assigned, ..Life::of(table) });
                        lives.len() - 1
                    });
                    lives[n].new = None;
                    lives[n].cause = c.cause.and_then(|at| lives_of.get(at)).copied();
                    lives_of.push(n);
                }
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
            let entries = local.touched.iter().zip(spans);
            let entries = entries
                .map(|((table, ident), span)| (*table, ident, At { tx: local.tx, offset: span.offset }));
            db.index_changes(&entries.collect::<Vec<_>>())?;
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

/// How far down the effects of effects this life's end is.
fn depth(life: usize, causes: &[Option<usize>]) -> usize {
    let chain = std::iter::successors(causes[life], |c| causes[*c]);
    // A life is never its own cause; the bound is for the reader.
    chain.take(causes.len()).count()
}

/// Which columns of a row a foreign key has changed last.
fn note_effects(
    plan: &TablePlan,
    effects: &mut Vec<(usize, usize)>,
    (old, new): (&[Value], &[Value]),
    cause: Option<usize>,
) {
    for (at, slot) in plan.slots.iter().enumerate() {
        if let Slot::Column(i) = slot
            && old.get(at) != new.get(at)
        {
            effects.retain(|(e, _)| e != i);
            effects.extend(cause.map(|c| (*i, c)));
        }
    }
}

/// An update through a foreign key.
struct Late {
    table: ObjectId,
    image: Image,
    columns: Vec<usize>,
    cause: usize,
    life: usize,
}

/// The counters that this change assigns to.
fn assigned(plan: &TablePlan, c: &Captured) -> Vec<usize> {
    let adjusted = |i: usize| c.adjusted.as_ref().is_some_and(|a| a.contains(&plan.columns[i].tag));
    let changed = |slot: usize| c.op == CaptureOp::Insert || c.old.get(slot) != c.new.get(slot);
    let counters = plan.counters.iter().filter(|(i, slot)| changed(*slot) && !adjusted(*i));
    counters.map(|(i, _)| *i).collect()
}

/// The sealed columns, by table and place, that some new row of the transaction has a value in.
fn sealed_values(run: &mut Run<'_>, lives: &[Life]) -> Result<HashSet<(i64, usize)>> {
    let mut out = HashSet::new();
    // The table of the rows before, and where its sealed columns stand in a captured row.
    let mut table: Option<(ObjectId, i64)> = None;
    let mut slots: Vec<(usize, usize)> = Vec::new();
    for life in lives.iter().filter(|l| l.old.is_none()) {
        let Some(new) = &life.new else { continue };
        if table.is_none_or(|(id, _)| id != life.table) {
            let Some(plan) = run.plans.plan(run.db, life.table)? else { continue };
            table = Some((life.table, plan.no));
            slots.clear();
            slots.extend(plan.slots.iter().enumerate().filter_map(|(at, slot)| match slot {
                Slot::Column(i) if plan.columns[*i].sealed => Some((at, *i)),
                _ => None,
            }));
        }
        let Some((_, no)) = table else { continue };
        let given = slots.iter().filter(|(at, _)| new.get(*at).is_some_and(|v| !v.is_null()));
        out.extend(given.map(|(_, i)| (no, *i)));
    }
    Ok(out)
}

/// How rows are inserted into a table: weakly, and without which columns. A key is always named, a sealed column where one of
/// the transaction's rows has a value in it: of the others nobody needs to read it, and no revocation of that reaches them.
fn how(
    plan: &TablePlan,
    local: &Local<'_>,
    owner: Option<AccountId>,
    sealed: &HashSet<(i64, usize)>,
) -> (bool, Vec<usize>) {
    let key = plan.table.primary().map(|p| p.def.parts.as_slice()).unwrap_or_default();
    let stored: Vec<ColumnTag> = plan.columns.iter().filter(|c| c.stored).map(|c| c.tag).collect();
    let mut left_out = (local.not_insertable)(plan.table.id, &stored, owner);
    let empty = plan.columns.iter().enumerate().filter(|(i, c)| c.sealed && !sealed.contains(&(plan.no, *i)));
    let empty: Vec<ColumnTag> = empty.map(|(_, c)| c.tag).filter(|c| !left_out.contains(c)).collect();
    left_out.extend(empty);
    left_out.retain(|tag| key.iter().all(|p| p.column != *tag));
    let named: Vec<ColumnTag> = stored.into_iter().filter(|tag| !left_out.contains(tag)).collect();
    let left_out = left_out.into_iter().filter_map(|tag| plan.column(tag)).collect();
    ((local.weak)(plan.table.id, &named, owner), left_out)
}

/// Whose row it is, as its column says.
fn owner_in(plan: &TablePlan, values: &[Value]) -> Result<Option<AccountId>> {
    match plan.owner.map(|i| &values[i]) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let named = if let Value::Text(id) = value { AccountId::from_hex(id) } else { None };
            named.map(Some).ok_or_else(|| StoreError::Owner(plan.sql.name.clone()))
        }
    }
}

struct Finalize<'a> {
    local: &'a Local<'a>,
    out: LocalChanges,
    layouts: HashMap<Layout, u32>,
    /// The last insert's table, whether its key is not written out, its columns in order, and its layout; of one that names
    /// all columns.
    shape: Option<(i64, bool, Rc<[usize]>, u32)>,
    /// Tables in which some row's identity is not its key.
    moved: HashMap<i64, bool>,
    /// How rows are inserted into tables, as far as somebody asked: weakly, and without which columns.
    inserts: HashMap<(i64, Option<AccountId>), (bool, Vec<usize>)>,
    /// See [`sealed_values`].
    sealed: HashSet<(i64, usize)>,
    /// Rows that this transaction has put under another key than they were born with: `_k` may not say so yet.
    away: HashSet<(ObjectId, Ident)>,
    /// Updates through foreign keys, to be logged after what caused them.
    late: Vec<Late>,
    /// The transactions of the block that is open, this one too.
    unsealed: HashSet<TxNo>,
    /// Deletes of rows that were deleted now, from which something had kept them: where each is, and its row.
    overruled: Vec<(At, ObjectId, Ident)>,
    /// References that were written: table, place among the plan's, and the parent's values.
    referring: BTreeMap<(ObjectId, usize, Ident), Vec<Value>>,
}

impl Finalize<'_> {
    /// A row that was inserted: what it holds, and who it is. Takes the columns' values, and leaves the hidden ones.
    fn new_image(&mut self, run: &mut Run<'_>, plan: &TablePlan, row: &mut [Value]) -> Result<Image> {
        let tx = self.local.origin.tx;
        let mut values = vec![Value::Null; plan.columns.len()];
        let mut key = ValueRef::Null;
        for (slot, value) in plan.slots.iter().zip(row) {
            match slot {
                Slot::Column(i) => values[*i] = std::mem::take(value),
                Slot::Key => key = (&*value).into(),
                _ => {}
            }
        }
        let writers = plan.columns.iter().map(|c| if c.stored { tx } else { TxNo(0) }).collect();
        let owner = owner_in(plan, &values)?.map(RowKey::owner_part);
        let ident = match key {
            ValueRef::Null => self.birth_ident(run, plan, &values, owner)?,
            given => match (Ident::from_sql(given)?, owner) {
                (ident, None) => ident,
                (ident, Some(owner)) => {
                    let mut key = ident.to_key()?.0;
                    key.push(owner);
                    Ident::of(&key)
                }
            },
        };
        Ok(Image { ident, values, writers, flags: 0 })
    }

    /// The identity of a new row: its primary key, unless that is, or was, another row's.
    fn birth_ident(
        &mut self,
        run: &mut Run<'_>,
        plan: &TablePlan,
        values: &[Value],
        owner: Option<Value>,
    ) -> Result<Ident> {
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
            key.extend(owner);
            return Ok(Ident::of(&key));
        }
        let natural = key.len();
        key.extend(owner);
        let ident = Ident::of(&key);
        if self.is_taken(run, plan, &ident)? {
            // A row that was born with this key lives on under another.
            let o = &self.local.origin;
            let mut h = Sha256::new();
            h.update(o.author.0);
            h.update(o.stamp.0.to_be_bytes());
            h.update(o.position.to_be_bytes());
            h.update((self.out.changes.len() as u64).to_be_bytes());
            key.insert(natural, Value::Blob(h.finalize()[..DISTINGUISHER_BYTES].to_vec()));
            return Ok(Ident::of(&key));
        }
        Ok(ident)
    }

    fn is_taken(&mut self, run: &mut Run<'_>, plan: &TablePlan, ident: &Ident) -> Result<bool> {
        if !self.away.is_empty() && self.away.contains(&(plan.table.id, ident.clone())) {
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
        let Written { rowid, raw, assigned, effects } = written;
        let tx = self.local.origin.tx;
        match net {
            Net::Insert => {
                let local = self.local;
                let owner = owner_in(plan, &image.values)?;
                let known = self.inserts.entry((plan.no, owner));
                let (weak, left_out) = known.or_insert_with(|| how(plan, local, owner, &self.sealed));
                image.flags |= if *weak { WEAK } else { 0 };
                let as_made =
                    |i: &&usize| Some(**i) == plan.owner || image.values[**i] == plan.columns[**i].unwritten;
                for &i in left_out.iter().filter(as_made) {
                    image.writers[i] = TxNo(0);
                }
                if !run.db.is_beyond(plan.no, &image.ident)?
                    && run.db.has_counting_changes(plan.no, &image.ident, tx)?
                {
                    image.flags |= HISTORY;
                    self.reconsider_deletes(run, plan, &image)?;
                }
                self.complete(run, plan, rowid, &mut image, raw)?;
                let f = run.hash(plan, &image, Place::Visible)?;
                run.add(plan, f);
                self.shown(run, plan, &image, rowid)?;
                self.note_references(plan, &image, None);
                let edits = self.counted_from_zero(plan, &mut image, assigned);
                let ident = image.ident.clone();
                self.push_insert(plan, image)?;
                self.push_edits(plan, ident, edits)
            }
            Net::Update(old) => {
                let changed: Vec<usize> = (0..plan.columns.len())
                    .filter(|i| plan.columns[*i].stored && image.values[*i] != old.values[*i])
                    .collect();
                let changed = self.with_held(run, plan, &old, changed)?;
                if plan.owner.is_some_and(|i| changed.contains(&i)) {
                    return Err(StoreError::Owner(plan.sql.name.clone()));
                }
                image.flags = old.flags;
                image.writers.clone_from(&old.writers);
                changed.iter().for_each(|i| image.writers[*i] = tx);
                let mut edits: Vec<(usize, CellEdit)> = Vec::new();
                for &i in &changed {
                    let edit = self.edit_of(plan, i, &old, &image, assigned);
                    edits.extend(edit.map(|e| (i, e)));
                }
                let is_effect = |c: &usize| effects.iter().any(|(e, _)| e == c);
                if changed.iter().any(is_effect) {
                    image.flags |= HISTORY;
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
                let unsettled = (old.flags & SIBLINGS != 0 && !edits.is_empty()) || old.flags & WHOLE != 0;
                let bent = || run.db.is_bent(plan.no, &image.ident);
                if unsettled
                    || (old.flags & (HISTORY | BIRTHS) != 0 && (bent()? || run.any_displaced(plan)?))
                {
                    self.out.recompute.push((plan.table.id, image.ident.clone()));
                }
                self.reconsider_deletes(run, plan, &image)?;
                let rest: Vec<usize> =
                    changed.into_iter().filter(|i| !edits.iter().any(|(e, _)| e == i)).collect();
                let ident = image.ident.clone();
                let (late, rest): (Vec<usize>, Vec<usize>) = rest.into_iter().partition(is_effect);
                self.note_references(plan, &image, Some(&rest));
                if !late.is_empty() {
                    let mut causes: Vec<usize> = effects.iter().map(|(_, c)| *c).collect();
                    causes.sort_unstable();
                    causes.dedup();
                    for cause in causes {
                        let through = |c: &&usize| effects.contains(&(**c, cause));
                        let columns: Vec<usize> = late.iter().filter(through).copied().collect();
                        if !columns.is_empty() {
                            let (table, image) = (plan.table.id, image.clone());
                            self.late.push(Late { table, image, columns, cause, life: 0 });
                        }
                    }
                }
                if !rest.is_empty() {
                    self.push_update(plan, image, &rest, None)?;
                }
                self.push_edits(plan, ident, edits)
            }
            Net::Delete(old, cause) => {
                let f = run.hash(plan, &old, Place::Visible)?;
                run.subtract(plan, f);
                run.left(plan, &old, Place::Visible)?;
                // What it makes of earlier deletes is worked out from what they were.
                if old.flags & (SIBLINGS | HISTORY | BIRTHS) == SIBLINGS {
                    run.db.drop_siblings(plan.no, &old.ident)?;
                }
                if old.flags & (HISTORY | BIRTHS) != 0 {
                    self.out.recompute.push((plan.table.id, old.ident.clone()));
                }
                if old.flags & HISTORY != 0 && cause.is_none() {
                    let overruled = run.db.outvoted_of(plan.no, &old.ident)?.into_iter();
                    self.overruled.extend(overruled.map(|at| (at, plan.table.id, old.ident.clone())));
                }
                let layout = self.layout(Layout(plan.table.id, 0, Vec::new()));
                let key = old.ident.to_key()?;
                self.push(plan, old.ident, RowChange::Delete { layout, key, cause });
                Ok(())
            }
        }
    }

    /// Beside a delete of this row that does not count, a change of it may turn whether others do.
    fn reconsider_deletes(&mut self, run: &Run<'_>, plan: &TablePlan, image: &Image) -> Result<()> {
        if image.flags & HISTORY != 0 && !run.db.outvoted_of(plan.no, &image.ident)?.is_empty() {
            self.out.recompute.push((plan.table.id, image.ident.clone()));
        }
        Ok(())
    }

    /// These columns; of a row that a CHECK decides as a whole also those joined to them of which something is held back: the author saw
    /// what the row shows, and nothing else of it is to move by what they change.
    fn with_held(
        &self,
        run: &Run<'_>,
        plan: &TablePlan,
        old: &Image,
        changed: Vec<usize>,
    ) -> Result<Vec<usize>> {
        let any = fault::on(Fault::UniqueWrittenAlong);
        if old.flags & WHOLE == 0 && !any {
            return Ok(changed);
        }
        let lost = run.db.siblings_of(plan.no, &old.ident)?;
        let held = |c: &usize| any || lost.iter().any(|(tag, _)| *tag == i64::from(plan.columns[*c].tag.0));
        let joined = changed.iter().filter_map(|c| plan.whole_of(*c)).flat_map(|w| &w.held).copied();
        let mut all: Vec<usize> = joined.filter(held).chain(changed.iter().copied()).collect();
        all.sort_unstable();
        all.dedup();
        Ok(all)
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

    /// Counters of a new row that a statement counts up from nothing (INSERT … ON DUPLICATE KEY UPDATE n = n + …): what they
    /// hold is an increment. Where the column begins with zero by itself nothing is assigned to it, so that nothing which is
    /// assigned elsewhere is lost; else the zero is.
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
                let column = &plan.columns[i];
                if column.history.is_none() && (column.unwritten.is_null() || column.unwritten == zero) {
                    image.writers[i] = TxNo(0);
                }
                image.values[i] = zero;
                edits.push((i, CellEdit::Add(delta(&n))));
            }
        }
        edits
    }

    /// What a visible row may change for others.
    fn shown(&self, run: &mut Run<'_>, plan: &TablePlan, image: &Image, rowid: i64) -> Result<()> {
        run.shown(plan, image, rowid, self.local.foreign_keys.unchecked)
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
        let of_key = || primary.iter().filter_map(|p| plan.column(p.column));
        let (is_key, generated) = match primary {
            [_] => of_key().next().map_or((false, false), |c| {
                let natural = &image.values[c];
                (image.ident.is_of(natural), (self.local.generated)(plan.table.id, natural))
            }),
            _ => {
                let natural: Vec<Value> = of_key().map(|c| image.values[c].clone()).collect();
                (!natural.is_empty() && Ident::of(&natural) == image.ident, false)
            }
        };
        let named = |i: &usize| plan.columns[*i].stored && image.writers[*i] != TxNo(0);
        let whole = (0..plan.columns.len()).all(|i| !plan.columns[i].stored || named(&i));
        let (columns, layout) = match &self.shape {
            // Rows come many of a kind.
            Some((no, with_key, columns, layout)) if whole && (*no, *with_key) == (plan.no, is_key) => {
                (columns.clone(), *layout)
            }
            _ => {
                let mut columns: Vec<usize> = of_key().collect();
                let key_columns = if is_key { columns.len() as u32 } else { 0 };
                let rest = (0..plan.columns.len()).filter(|i| named(i) && !columns.contains(i));
                let rest: Vec<usize> = rest.collect();
                columns.extend(rest);
                let tags: Vec<ColumnTag> = columns.iter().map(|c| plan.columns[*c].tag).collect();
                let layout = self.layout(Layout(plan.table.id, key_columns, tags));
                let columns: Rc<[usize]> = columns.into();
                if whole {
                    self.shape = Some((plan.no, is_key, columns.clone(), layout));
                }
                (columns, layout)
            }
        };
        let key = if is_key { None } else { Some(image.ident.to_key()?) };
        let values = columns.iter().map(|c| std::mem::take(&mut image.values[*c])).collect();
        self.push(plan, image.ident, RowChange::Insert { layout, key, generated, values });
        Ok(())
    }

    fn push_update(
        &mut self,
        plan: &TablePlan,
        mut image: Image,
        changed: &[usize],
        cause: Option<u32>,
    ) -> Result<()> {
        let tags = changed.iter().map(|c| plan.columns[*c].tag).collect();
        let layout = self.layout(Layout(plan.table.id, 0, tags));
        let values = changed.iter().map(|c| std::mem::take(&mut image.values[*c])).collect();
        let key = image.ident.to_key()?;
        self.push(plan, image.ident, RowChange::Update { layout, key, values, cause });
        Ok(())
    }

    /// Logs the updates through foreign keys, each after its cause.
    fn push_effects(&mut self, run: &mut Run<'_>, places: &mut [Option<u32>]) -> Result<()> {
        let mut open = std::mem::take(&mut self.late);
        while !open.is_empty() {
            let waits = |l: &Late| open.iter().any(|o| o.life == l.cause && o.life != l.life);
            // Those that hold each other up go as they are.
            let next = open.iter().position(|l| !waits(l)).unwrap_or_default();
            let Late { table, image, columns, cause, life } = open.remove(next);
            let Some(plan) = run.plans.plan(run.db, table)? else { continue };
            let cause = places[cause];
            if cause.is_none() {
                // What caused it came to nothing (a parent that REPLACE put back): a change like any other.
                self.out.recompute.push((table, image.ident.clone()));
            }
            self.push_update(&plan, image, &columns, cause)?;
            places[life] = Some(self.out.changes.len() as u32 - 1);
        }
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
