//! What a local transaction logs to keep rows that it does not write: the parents that it refers to, and what stays behind when a
//! row goes whose earlier delete did not count.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::schema::ReferentialAction;
use p2pdb_model::{Change, Value};

use super::Finalize;
use crate::displaced::{Image, Run};
use crate::effects::Effect;
use crate::error::Result;
use crate::index_ident::Ident;
use crate::materialize_plan::TablePlan;

/// Rows up a chain of references that a new reference keeps.
pub(crate) const REFERRED_LEVELS_MAX: usize = 15;

impl Finalize<'_> {
    /// The row's references that were written are to be logged: all, or those over some of these columns.
    pub(super) fn note_references(&mut self, plan: &TablePlan, image: &Image, columns: Option<&[usize]>) {
        if !self.local.foreign_keys.checked_some() {
            return;
        }
        for (n, reference) in plan.references.iter().enumerate().filter(|(_, r)| r.holds_on()) {
            if columns.is_some_and(|all| !reference.columns.iter().any(|c| all.contains(c))) {
                continue;
            }
            if let Some(key) = plan.key_of(&reference.columns, image) {
                let key: Vec<Value> = key.iter().map(|v| v.to_value()).collect();
                self.referring.entry((plan.table.id, n, Ident::of(&key))).or_insert(key);
            }
        }
    }

    /// Logs that rows are referred to: a delete elsewhere that has not seen it does not take the parent away, nor what
    /// that refers to.
    pub(super) fn push_references(&mut self, run: &mut Run<'_>) -> Result<()> {
        let mut known: HashSet<(ObjectId, Ident)> = HashSet::new();
        let mut open: VecDeque<(Arc<TablePlan>, Image, usize)> = VecDeque::new();
        for ((table, n, _), key) in std::mem::take(&mut self.referring) {
            let Some(plan) = run.plans.plan(run.db, table)? else { continue };
            if let Some((parent, image)) = run.parent(&plan.references[n], &key)? {
                open.push_back((parent, image, 1));
            }
        }
        let written: HashSet<(i64, Ident)> = self.out.touched.iter().cloned().collect();
        while let Some((plan, image, level)) = open.pop_front() {
            if !known.insert((plan.table.id, image.ident.clone())) {
                continue;
            }
            // What this transaction has written is kept by that.
            if !written.contains(&(plan.no, image.ident.clone())) {
                let layout = self.layout(Layout(plan.table.id, 0, Vec::new()));
                let key = image.ident.to_key()?;
                let change = RowChange::Update { layout, key, values: Vec::new(), cause: None };
                self.reconsider_deletes(run, &plan, &image)?;
                self.push(&plan, image.ident.clone(), change);
            }
            if level < REFERRED_LEVELS_MAX {
                for reference in &plan.references {
                    let key = plan.key_of(&reference.columns, &image);
                    let key = key.map(|k| k.iter().map(|v| v.to_value()).collect::<Vec<_>>());
                    if reference.on_delete != ReferentialAction::SetNull
                        && let Some(key) = key
                        && let Some((parent, image)) = run.parent(reference, &key)?
                    {
                        open.push_back((parent, image, level + 1));
                    }
                }
            }
        }
        Ok(())
    }

    /// Logs what stays of what deletes had taken along that did not count.
    ///
    /// With the row they count again, since nothing keeps it any more. What its foreign keys take along now is deleted by this
    /// transaction itself; what is left (the key was dropped, or is not checked) its author means to keep.
    pub(super) fn push_stayed(&mut self, run: &mut Run<'_>) -> Result<()> {
        for (at, table, ident) in std::mem::take(&mut self.overruled) {
            let origin = run.db.origin(at.tx)?;
            let body = run.db.body(origin.block)?;
            for effect in body.effects_of(origin.position, (table, &ident)) {
                let Some(plan) = run.plans.plan(run.db, effect.table)? else { continue };
                let Some(image) = run.live_of(&plan, &effect.ident)? else { continue };
                self.push_kept(&plan, image, effect)?;
            }
        }
        Ok(())
    }

    /// Keeps a live row from this effect, as far as this transaction has not done so by what it writes.
    fn push_kept(&mut self, plan: &TablePlan, image: Image, effect: &Effect) -> Result<()> {
        let (mut written, mut columns) = (false, HashSet::<ColumnTag>::new());
        for ((no, ident), change) in self.out.touched.iter().zip(&self.out.changes) {
            if let Change::Row(row) = change
                && (*no, ident) == (plan.no, &effect.ident)
            {
                written = true;
                columns.extend(self.out.layouts[row.layout()].columns());
            }
        }
        let kept = effect.columns.iter().filter(|tag| !columns.contains(tag));
        let kept: Vec<usize> = kept.filter_map(|tag| plan.column(*tag)).collect();
        if effect.columns.is_empty() != kept.is_empty() || (written && kept.is_empty()) {
            return Ok(());
        }
        self.out.recompute.push((plan.table.id, effect.ident.clone()));
        self.push_update(plan, image, &kept, None)
    }
}
