//! What a person decides about a conflict, as a change for the log.
//!
//! Most of it is plain SQL: to write the value that lost, to delete the row that was kept, to move the obstacle away. Two
//! things are not. A value or row that won is not settled by writing it again, as a statement that changes nothing logs nothing:
//! [`Decision::Keep`] writes it all the same. And no statement reaches a displaced row: [`Decision::Discard`] deletes it.

use std::collections::BTreeSet;

use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::{CellKind, RowKey, Value, ValueRef};

use crate::adrift::void_inserts;
use crate::apply::Merger;
use crate::conflicts::key_now;
use crate::connection::Connection;
use crate::displaced::{Run, Stored};
use crate::error::Result;
use crate::index::IsAncestor;
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::materialize_plan::{TablePlan, equals_columns};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// What is shown of the row is right; what lost is forgotten.
    Keep,
    /// The displaced row goes.
    Discard,
    /// As that; where several rows wait under the key, one of them.
    DiscardOne,
}

/// What a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// Nothing.
    Nothing,
    /// Several rows that wait, and each is told apart by the key that it was born with.
    Several,
    /// This.
    One(T),
}

impl<T> Found<T> {
    /// Of those that have a key now, and those that were born with it: these where there are none of the others.
    pub(crate) fn of(now: Vec<T>, born: Vec<T>) -> Self {
        let mut found = if now.is_empty() { born } else { now }.into_iter();
        match (found.next(), found.next()) {
            (Some(one), None) => Found::One(one),
            (Some(_), Some(_)) => Found::Several,
            (None, _) => Found::Nothing,
        }
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Found::Nothing => Found::Nothing,
            Found::Several => Found::Several,
            Found::One(one) => Found::One(f(one)),
        }
    }
}

impl Merger {
    /// The identities that a row with this primary key may have, that of the present one first. A table without a
    /// primary key is asked for the hidden id.
    pub fn identities(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &[Value],
    ) -> Result<Vec<RowKey>> {
        let run = Run::new(db, is_ancestor, &mut self.cache);
        let Some(plan) = run.plans.plan(db, table)? else {
            return self.dropped_identities(db, is_ancestor, table, key);
        };
        let mut found: Vec<Ident> =
            run.with_key(&plan, key)?.into_iter().map(|stored| stored.image.ident).collect();
        found.push(Ident::of(key));
        let mut keys = Vec::new();
        for ident in found {
            let key = ident.to_key()?;
            if !keys.contains(&key) && db.has_changes(plan.no, &ident, TxNo(i64::MAX as u64))? {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// The change that carries a decision out, with its layout. The row is the one that has this key now, or else the one that was
    /// born with it.
    pub fn decide(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &[Value],
        decision: Decision,
    ) -> Result<Found<(Layout, RowChange)>> {
        if decision == Decision::Discard {
            let dropped = self.discard_dropped(db, is_ancestor, table, key)?;
            if dropped != Found::Nothing {
                return Ok(dropped);
            }
        }
        let void = match decision {
            Decision::Discard => void_inserts(db)?.remove(&table).unwrap_or_default(),
            Decision::Keep | Decision::DiscardOne => BTreeSet::new(),
        };
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        let Some(plan) = run.plans.plan(db, table)? else { return Ok(Found::Nothing) };
        let rows = run.with_key(&plan, key)?;
        let born = [Ident::of(key)];
        if decision == Decision::Keep {
            let now: Vec<Ident> = rows.into_iter().map(|stored| stored.image.ident).collect();
            for ident in if now.is_empty() { &born[..] } else { &now[..] } {
                if let Some(kept) = run.keep(&plan, ident)? {
                    return Ok(Found::One(kept));
                }
            }
            return Ok(Found::Nothing);
        }
        let mut now: BTreeSet<Ident> =
            rows.into_iter().filter(Stored::waits).map(|stored| stored.image.ident).collect();
        for ident in void {
            if let Some((image, _)) = run.hanging_on_void(&plan, &ident)?
                && key_now(&plan, &image)?.0 == key
            {
                now.insert(ident);
            }
        }
        let mut found = Vec::new();
        for ident in now {
            found.extend(run.discard(&plan, &ident)?);
        }
        if decision == Decision::DiscardOne {
            found.truncate(1);
        }
        let born = if found.is_empty() { run.discard(&plan, &born[0])? } else { None };
        Ok(Found::of(found, born.into_iter().collect()))
    }
}

impl Run<'_> {
    /// The rows that have this primary key now, visible ones first.
    pub(crate) fn with_key(&self, plan: &TablePlan, key: &[Value]) -> Result<Vec<Stored>> {
        // The columns of the primary key, also where it takes prefixes of them.
        let tags: Vec<ColumnTag> = plan.table.primary_columns().iter().map(|c| c.tag).collect();
        if tags.is_empty() || tags.len() != key.len() {
            return Ok(Vec::new());
        }
        let params: Vec<ValueRef<'_>> = key.iter().map(Into::into).collect();
        let by_key = |all: &str| format!("{all} WHERE {}", equals_columns(&tags));
        let mut rows = self.visible_where(plan, &by_key(&plan.sql.all), &params)?;
        rows.extend(self.displaced_where(plan, &by_key(&plan.sql.all_displaced), &params)?);
        Ok(rows)
    }

    fn keep(&mut self, plan: &TablePlan, ident: &Ident) -> Result<Option<(Layout, RowChange)>> {
        let Some(stored) = self.visible_of(plan, ident)? else { return Ok(None) };
        let siblings = self.db.siblings_of(plan.no, ident)?;
        let mut columns: Vec<usize> = Vec::new();
        for (i, column) in plan.columns.iter().enumerate() {
            // Counters and sets lose nothing; greatest and least values do so by their nature.
            let settled = matches!(column.kind, CellKind::Register | CellKind::Map);
            if settled && siblings.iter().any(|(tag, _)| *tag == i64::from(column.tag.0)) {
                columns.push(i);
            }
        }
        for reference in &plan.references {
            if self.db.bent_by(reference.id)?.iter().any(|b| b.ident == *ident) {
                columns.extend(&reference.columns);
            }
        }
        if columns.is_empty() {
            if siblings.is_empty() && !self.has_dropped_cells((plan.table.id, plan.no), ident)? {
                return Ok(None);
            }
            // A delete that lost, or what was written to a column that is gone: any write of the row says that the row is wanted, best one that moves nothing.
            let plain = |i: &usize| plan.columns[*i].stored && plan.columns[*i].kind == CellKind::Register;
            let all = (0..plan.columns.len()).filter(plain);
            columns.extend(all.min_by_key(|i| plan.constrained[*i]));
        }
        columns.sort_unstable();
        columns.dedup();
        if columns.is_empty() {
            return Ok(None);
        }
        let tags: Vec<ColumnTag> = columns.iter().map(|c| plan.columns[*c].tag).collect();
        let values = columns.iter().map(|c| stored.image.values[*c].clone()).collect();
        let change = RowChange::Update { layout: 0, key: ident.to_key()?, values, cause: None };
        Ok(Some((Layout(plan.table.id, 0, tags), change)))
    }

    fn discard(&mut self, plan: &TablePlan, ident: &Ident) -> Result<Option<(Layout, RowChange)>> {
        let waits = self.displaced_of(plan, ident)?.iter().any(Stored::waits);
        let waits = waits || self.hanging_on_void(plan, ident)?.is_some();
        let change = RowChange::Delete { layout: 0, key: ident.to_key()?, cause: None };
        Ok(waits.then(|| (Layout(plan.table.id, 0, Vec::new()), change)))
    }
}
