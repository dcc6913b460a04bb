//! What a person decides about a conflict, as a change for the log.
//!
//! Most of it is plain SQL: to write the value that lost, to delete the row that was kept, to move the obstacle away. Two
//! things are not. A value or row that won is not settled by writing it again, as a statement that changes nothing logs nothing:
//! [`Decision::Keep`] writes it all the same. And no statement reaches a displaced row: [`Decision::Discard`] deletes it.

use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::{CellKind, RowKey, Value, ValueRef};

use crate::apply::Merger;
use crate::connection::Connection;
use crate::displaced::{Place, Run};
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
        let mut found = Vec::new();
        // The columns of the primary key, also where it takes prefixes of them.
        let tags: Vec<ColumnTag> = plan.table.primary_columns().iter().map(|c| c.tag).collect();
        let of_key: Vec<usize> = tags.iter().filter_map(|tag| plan.column(*tag)).collect();
        if !of_key.is_empty() && of_key.len() == key.len() {
            let params: Vec<ValueRef<'_>> = key.iter().map(Into::into).collect();
            let by_key = format!("{} WHERE {}", plan.sql.all, equals_columns(&tags));
            let visible = run.visible_where(&plan, &by_key, &params)?;
            found.extend(visible.into_iter().map(|s| s.image.ident));
            for stored in run.displaced_where(&plan, &plan.sql.all_displaced, &[])? {
                if of_key.iter().zip(key).all(|(k, v)| stored.image.values[*k] == *v) {
                    found.push(stored.image.ident);
                }
            }
        }
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

    /// The change that carries a decision out, with its layout; `None` where there is nothing to decide.
    pub fn decide(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &[Value],
        decision: Decision,
    ) -> Result<Option<(Layout, RowChange)>> {
        if decision == Decision::Discard
            && let Some(delete) = self.discard_dropped(db, is_ancestor, table, key)?
        {
            return Ok(Some(delete));
        }
        for key in self.identities(db, is_ancestor, table, key)? {
            let ident = Ident::of(&key.0);
            let mut run = Run::new(db, is_ancestor, &mut self.cache);
            let Some(plan) = run.plans.plan(db, table)? else { return Ok(None) };
            let decided = match decision {
                Decision::Keep => run.keep(&plan, &ident, key)?,
                Decision::Discard => run.discard(&plan, &ident, key)?,
            };
            if decided.is_some() {
                return Ok(decided);
            }
        }
        Ok(None)
    }
}

impl Run<'_> {
    fn keep(&mut self, plan: &TablePlan, ident: &Ident, key: RowKey) -> Result<Option<(Layout, RowChange)>> {
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
        let change = RowChange::Update { layout: 0, key, values, cause: None };
        Ok(Some((Layout(plan.table.id, 0, tags), change)))
    }

    fn discard(
        &mut self,
        plan: &TablePlan,
        ident: &Ident,
        key: RowKey,
    ) -> Result<Option<(Layout, RowChange)>> {
        // Rows that wait behind a visible one of their key go with it, when that is deleted.
        let waits = self.displaced_of(plan, ident)?.into_iter().any(|s| match s.place {
            Place::Displaced { unit, .. } => unit == TxNo(0),
            Place::Visible => false,
        });
        let waits = waits || self.hanging_on_void(plan, ident)?.is_some();
        let change = RowChange::Delete { layout: 0, key, cause: None };
        Ok(waits.then(|| (Layout(plan.table.id, 0, Vec::new()), change)))
    }
}
