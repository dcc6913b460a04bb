//! What a local statement must respect beyond SQLite's own unique keys: foreign keys, and the claims of displaced rows.
//!
//! [`Merger::check`] looks at the rows that a statement has changed, at the statement's end. References are looked up
//! among the visible rows, so parent and child may come in one statement. ON DELETE / ON UPDATE CASCADE and SET NULL are
//! carried out here as further changes of the transaction, captured and logged like any others; RESTRICT and NO ACTION
//! refuse, also when the statement puts the parent back (as InnoDB does for REPLACE). A displaced row keeps its claims:
//! a statement may not take a value that it waits for (DESIGN §6). What references claim that come back is asked in `claims_bent`.
//!
//! A violation is data for the caller, who words it as MySQL would and rolls the statement back. Not here: NOT NULL and
//! CHECK, which are expressions (`sql`).

use std::collections::HashMap;
use std::sync::Arc;

use p2pdb_model::catalog::{physical_column, physical_table};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::schema::ReferentialAction;
use p2pdb_model::{Value, ValueRef};

use crate::apply::Merger;
use crate::capture::{CaptureOp, Captured};
use crate::connection::Connection;
use crate::displaced::Run;
use crate::error::Result;
use crate::index_ident::Ident;
use crate::materialize_plan::{Dependent, Slot, TablePlan};

/// Levels of foreign keys that a change goes down (MySQL's limit, error 3008).
pub const CASCADE_DEPTH_MAX: usize = 15;

/// Why a statement must be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A row refers to a parent that is not there (1452).
    NoParent {
        /// The child table.
        table: ObjectId,
        /// Index into its `foreign_keys`.
        foreign_key: usize,
        /// The values without a parent.
        values: Vec<Value>,
    },
    /// A row that is referred to would go or change its key (1451).
    HasChildren {
        /// The child table.
        table: ObjectId,
        /// Index into its `foreign_keys`.
        foreign_key: usize,
        /// The parent's values.
        values: Vec<Value>,
    },
    /// A displaced row claims this value (1062; the row is in `p2pdb.conflicts`).
    Claimed {
        /// The table.
        table: ObjectId,
        /// The unique index.
        index: ObjectId,
        /// The values.
        values: Vec<Value>,
    },
    /// Foreign keys lead further down than [`CASCADE_DEPTH_MAX`].
    TooDeep {
        /// The table at which it stopped.
        table: ObjectId,
    },
}

/// One thing to look up, or to carry out.
enum Task {
    Claim(usize, Vec<Value>, Option<Ident>),
    /// The same of a key with generated columns: of the row with this rowid.
    ClaimAt(usize, i64, Option<Ident>),
    Child(To, Vec<Value>),
    /// The parent's old values, and the new ones if it is there still; which captured change that was; and the children, by rowid,
    /// that the statement has set to the old values after it.
    Parent(usize, Vec<Value>, Option<Vec<Value>>, usize, Vec<i64>),
}

/// Where a child's values point.
#[derive(Clone, Copy)]
enum To {
    /// By this one of the plan's references.
    Reference(usize),
    /// To a table that is not there, by this one of the table's foreign keys.
    Gone(usize),
}

/// What a table asks of each of its visible rows by CHECKs, the same as when the row is merged.
pub struct TableChecks {
    /// The table.
    pub table: ObjectId,
    /// Per CHECK, the query that finds row `?1` if it violates it.
    pub violated: Vec<(ObjectId, String)>,
}

impl Merger {
    /// The CHECKs of the table that SQLite knows by this name.
    pub fn checks(&mut self, db: &Connection, name: &str) -> Result<Option<TableChecks>> {
        let Some(table) = self.cache.by_name(name) else { return Ok(None) };
        let Some(plan) = self.cache.plan(db, table)? else { return Ok(None) };
        let violated = plan.checks.iter().map(|c| (c.id, c.violated_visible.clone())).collect();
        Ok(Some(TableChecks { table, violated }))
    }

    /// Checks the rows captured since `mark`, the place before the statement, and carries out referential actions.
    /// Capture must be on. `foreign_keys` is `foreign_key_checks`; claims are checked always.
    pub fn check(&mut self, db: &Connection, mark: usize, foreign_keys: bool) -> Result<Option<Violation>> {
        match self.check_written(db, mark, foreign_keys)? {
            None => self.returns(db, mark),
            refused => Ok(refused),
        }
    }

    fn check_written(
        &mut self,
        db: &Connection,
        mark: usize,
        foreign_keys: bool,
    ) -> Result<Option<Violation>> {
        let Some(capture) = db.capture.clone() else { return Ok(None) };
        let never = |_, _| Ok(false);
        let mut next = mark;
        let mut children: Vec<(Arc<TablePlan>, To, Vec<Value>)> = Vec::new();
        for _ in 0..=CASCADE_DEPTH_MAX {
            // Nothing may be asked of SQLite while the captured list is looked at: first the tables, then the rows.
            let mut names: Vec<Arc<str>> = Vec::new();
            capture.with(next, |list| {
                for c in list {
                    if !names.contains(&c.table) {
                        names.push(c.table.clone());
                    }
                }
            });
            let mut plans: HashMap<Arc<str>, (Arc<TablePlan>, bool)> = HashMap::new();
            for name in names {
                let Some(id) = self.cache.by_name(&name) else { continue };
                let mut run = Run::new(db, &never, &mut self.cache);
                let Some(plan) = run.plans.plan(db, id)? else { continue };
                let claims = !plan.uniques.is_empty() && run.any_displaced(&plan)?;
                let alone =
                    plan.references.is_empty() && plan.parentless.is_empty() && plan.dependents.is_empty();
                let refers = foreign_keys && !alone;
                if claims || refers {
                    plans.insert(name, (plan, claims));
                }
            }
            if plans.is_empty() {
                return orphan(db, children);
            }
            let end = capture.mark();
            let tasks = capture.with(next, |list| tasks(next, list, &plans, foreign_keys));
            next = end;
            for (plan, task) in tasks {
                let violation = match task {
                    Task::Claim(unique, key, ident) => self.claim(db, &plan, unique, key, ident)?,
                    Task::ClaimAt(unique, rowid, ident) => {
                        let run = Run::new(db, &never, &mut self.cache);
                        match run.key_at(&plan, unique, rowid)? {
                            Some(key) => self.claim(db, &plan, unique, key, ident)?,
                            None => None,
                        }
                    }
                    Task::Child(reference, key) => {
                        children.push((plan, reference, key));
                        None
                    }
                    Task::Parent(dependent, old, new, cause, later) => {
                        let mark = capture.mark();
                        let refused = parent(db, &plan.dependents[dependent], old, new, &later)?;
                        capture.effects(mark, cause);
                        refused
                    }
                };
                if violation.is_some() {
                    return Ok(violation);
                }
            }
            if capture.mark() == next {
                return orphan(db, children);
            }
        }
        if capture.mark() > next {
            let name = capture.with(next, |list| list.first().map(|c| c.table.clone()));
            if let Some(table) = name.and_then(|n| self.cache.by_name(&n)) {
                return Ok(Some(Violation::TooDeep { table }));
            }
        }
        orphan(db, children)
    }

    fn claim(
        &mut self,
        db: &Connection,
        plan: &TablePlan,
        unique: usize,
        values: Vec<Value>,
        ident: Option<Ident>,
    ) -> Result<Option<Violation>> {
        let never = |_, _| Ok(false);
        let run = Run::new(db, &never, &mut self.cache);
        let key: Vec<ValueRef<'_>> = values.iter().map(Into::into).collect();
        let unique = &plan.uniques[unique];
        let others = run.displaced_where(plan, &unique.find_displaced, &key)?;
        let claimed = others.iter().any(|o| ident.as_ref() != Some(&o.image.ident));
        Ok(claimed.then(|| Violation::Claimed { table: plan.table.id, index: unique.id, values }))
    }
}

fn orphan(db: &Connection, children: Vec<(Arc<TablePlan>, To, Vec<Value>)>) -> Result<Option<Violation>> {
    for (plan, to, values) in children {
        let (foreign_key, is_there) = match to {
            To::Reference(n) => {
                let reference = &plan.references[n];
                let parent = db.query_one(&reference.parent_exists, &values[..], |_| Ok(()))?;
                (reference.number, parent.is_some())
            }
            To::Gone(number) => (number, false),
        };
        if !is_there {
            return Ok(Some(Violation::NoParent { table: plan.table.id, foreign_key, values }));
        }
    }
    Ok(None)
}

fn tasks(
    from: usize,
    list: &[Captured],
    plans: &HashMap<Arc<str>, (Arc<TablePlan>, bool)>,
    foreign_keys: bool,
) -> Vec<(Arc<TablePlan>, Task)> {
    let mut tasks = Vec::new();
    for (place, c) in list.iter().enumerate() {
        let Some((plan, claims)) = plans.get(&c.table) else { continue };
        let (old, new) = (columns(plan, &c.old), columns(plan, &c.new));
        let changed = |of: &[usize]| c.op != CaptureOp::Update || of.iter().any(|i| old[*i] != new[*i]);
        if *claims && c.op != CaptureOp::Delete && plan.uniques.iter().any(|u| changed(&u.sources)) {
            // A new row is nobody who waits, also where its key is the one that a waiting row was born with.
            let ident = match c.op {
                CaptureOp::Insert if fault::on(Fault::WaitingKeyTaken) => identity(plan, &c.new),
                CaptureOp::Insert => None,
                _ => identity(plan, &c.old),
            };
            for (n, unique) in plan.uniques.iter().enumerate() {
                if unique.generated {
                    tasks.push((plan.clone(), Task::ClaimAt(n, c.new_rowid, ident.clone())));
                } else if let Some(key) = key(&new, &unique.columns) {
                    tasks.push((plan.clone(), Task::Claim(n, key, ident.clone())));
                }
            }
        }
        if !foreign_keys {
            continue;
        }
        if c.op != CaptureOp::Insert {
            for (n, dependent) in plan.dependents.iter().enumerate() {
                if changed(&dependent.columns)
                    && let Some(before) = key(&old, &dependent.columns)
                {
                    let after = (c.op == CaptureOp::Update)
                        .then(|| dependent.columns.iter().map(|i| new[*i].clone()).collect());
                    let later = set_later(dependent, &before, &list[place + 1..], plans);
                    tasks.push((plan.clone(), Task::Parent(n, before, after, from + place, later)));
                }
            }
        }
        if c.op != CaptureOp::Delete {
            for (n, reference) in plan.references.iter().enumerate() {
                if changed(&reference.columns)
                    && let Some(key) = key(&new, &reference.columns)
                {
                    tasks.push((plan.clone(), Task::Child(To::Reference(n), key)));
                }
            }
            // Whatever the statement changes, as in MySQL.
            for (number, columns) in &plan.parentless {
                if let Some(key) = key(&new, columns) {
                    tasks.push((plan.clone(), Task::Child(To::Gone(*number), key)));
                }
            }
        }
    }
    tasks
}

/// Children, by rowid, that were set to these values of a parent: behind what became of it, as REPLACE of several rows does, and so
/// nothing of it reaches them.
fn set_later(
    dependent: &Dependent,
    values: &[Value],
    list: &[Captured],
    plans: &HashMap<Arc<str>, (Arc<TablePlan>, bool)>,
) -> Vec<i64> {
    let of = |c: &Captured| {
        let (plan, _) = plans.get(&c.table).filter(|(p, _)| p.table.id == dependent.child)?;
        let reference = plan.references.iter().find(|r| r.number == dependent.number)?;
        let at = |row: &[Value]| key(&columns(plan, row), &reference.columns);
        let was = if c.op == CaptureOp::Insert { None } else { at(&c.old) };
        (c.op != CaptureOp::Delete && was.as_deref() != Some(values) && at(&c.new).as_deref() == Some(values))
            .then_some(c.new_rowid)
    };
    list.iter().filter_map(of).collect()
}

/// The plan's columns out of a captured row; empty for an empty row.
pub(crate) fn columns(plan: &TablePlan, row: &[Value]) -> Vec<Value> {
    if row.is_empty() {
        return Vec::new();
    }
    let mut values = vec![Value::Null; plan.columns.len()];
    for (slot, value) in plan.slots.iter().zip(row) {
        if let Slot::Column(i) = slot {
            values[*i] = value.clone();
        }
    }
    values
}

pub(crate) fn key(values: &[Value], columns: &[usize]) -> Option<Vec<Value>> {
    let key: Vec<Value> = columns.iter().map(|c| values[*c].clone()).collect();
    (!key.iter().any(Value::is_null)).then_some(key)
}

/// Who a captured row is, as far as it says.
fn identity(plan: &TablePlan, row: &[Value]) -> Option<Ident> {
    let at = plan.slots.iter().position(|s| *s == Slot::Key)?;
    plan.ident(row.get(at)?.into(), &columns(plan, row)).ok()
}

/// A parent that went, or whose referenced values changed.
fn parent(
    db: &Connection,
    dependent: &Dependent,
    old: Vec<Value>,
    new: Option<Vec<Value>>,
    later: &[i64],
) -> Result<Option<Violation>> {
    let action = if new.is_some() { dependent.on_update } else { dependent.on_delete };
    let child = physical_table(dependent.child);
    let set = |from: usize, value: &dyn Fn(usize) -> String| {
        let one = |(n, t): (usize, &ColumnTag)| format!("{} = {}", physical_column(*t), value(from + n));
        dependent.child_columns.iter().enumerate().map(one).collect::<Vec<_>>()
    };
    let mut same = set(1, &|n| format!("?{n}")).join(" AND ");
    if !later.is_empty() {
        let rows: Vec<String> = later.iter().map(i64::to_string).collect();
        same = format!("{same} AND rowid NOT IN ({})", rows.join(", "));
    }
    // A NULL that the children cannot take over (of a unique key, mostly), or be set to (one side made the key, another took
    // NULL away), is as if the key were restricted.
    let takes = |new: &Vec<Value>| {
        new.iter().zip(&dependent.required).all(|(v, required)| !(*required && v.is_null()))
    };
    let action = match (action, &new) {
        (ReferentialAction::Cascade, Some(new)) if !takes(new) => ReferentialAction::Restrict,
        (ReferentialAction::SetNull, _) if dependent.required.contains(&true) => ReferentialAction::Restrict,
        _ => action,
    };
    match (action, new) {
        (ReferentialAction::NoAction | ReferentialAction::Restrict, _) => {
            let found = match later.is_empty() {
                true => db.query_one(&dependent.find_visible, &old[..], |_| Ok(()))?,
                false => {
                    let sql = format!("SELECT 1 FROM {child} WHERE {same} LIMIT 1");
                    db.query_one(&sql, &old[..], |_| Ok(()))?
                }
            };
            let (table, foreign_key) = (dependent.child, dependent.number);
            return Ok(found.map(|()| Violation::HasChildren { table, foreign_key, values: old }));
        }
        (ReferentialAction::Cascade, None) => {
            db.execute(&format!("DELETE FROM {child} WHERE {same}"), &old[..])?;
        }
        (ReferentialAction::Cascade, Some(new)) => {
            let assign = set(old.len() + 1, &|n| format!("?{n}")).join(", ");
            let params: Vec<Value> = old.into_iter().chain(new).collect();
            db.execute(&format!("UPDATE {child} SET {assign} WHERE {same}"), params)?;
        }
        (ReferentialAction::SetNull, _) => {
            let assign = set(1, &|_| "NULL".to_owned()).join(", ");
            db.execute(&format!("UPDATE {child} SET {assign} WHERE {same}"), &old[..])?;
        }
    }
    Ok(None)
}
