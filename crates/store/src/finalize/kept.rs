//! What a local transaction logs to keep rows that it does not write: the parents that it refers to, and what stays behind when a
//! row goes whose earlier delete did not count.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::schema::ReferentialAction;
use p2pdb_model::{Change, Value};

use super::Finalize;
use crate::displaced::{Image, Run};
use crate::effects::Effect;
use crate::error::Result;
use crate::index::{Origin, saw};
use crate::index_ident::Ident;
use crate::log::TxNo;
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
        let overruled = std::mem::take(&mut self.overruled);
        if overruled.is_empty() {
            return Ok(());
        }
        let mut written = self.written();
        for (at, table, ident) in overruled {
            let origin = run.db.origin(at.tx)?;
            let body = run.db.body(origin.block)?;
            let mut seen: HashSet<(ObjectId, Ident)> = HashSet::new();
            let mut open = vec![(table, ident)];
            while let Some((table, ident)) = open.pop() {
                for effect in body.effects_of(origin.position, (table, &ident)) {
                    let plan = run.plans.plan(run.db, effect.table)?;
                    let live = match plan {
                        Some(plan) => run.live_of(&plan, &effect.ident)?.map(|image| (plan, image)),
                        None => None,
                    };
                    match live {
                        Some((plan, image)) => {
                            self.push_kept(run, (&plan, image), (effect, &origin), &mut written)?
                        }
                        // What is gone, or was in a table that is, had effects of its own.
                        None if seen.insert((effect.table, effect.ident.clone())) => {
                            open.push((effect.table, effect.ident.clone()));
                        }
                        None => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// What this transaction has written so far.
    fn written(&self) -> HashMap<(i64, Ident), Written> {
        let mut all: HashMap<(i64, Ident), Written> = HashMap::new();
        for (row, change) in self.out.touched.iter().zip(&self.out.changes) {
            if let Change::Row(change) = change {
                let written = all.entry(row.clone()).or_default();
                written.keeps = written.keeps || change.cause().is_none();
                written.columns.extend(self.out.layouts[change.layout()].columns());
            }
        }
        all
    }

    /// Keeps a live row from this effect of an earlier transaction, where nothing else does.
    fn push_kept(
        &mut self,
        run: &mut Run<'_>,
        (plan, image): (&TablePlan, Image),
        (effect, origin): (&Effect, &Origin),
        written: &mut HashMap<(i64, Ident), Written>,
    ) -> Result<()> {
        let written = written.entry((plan.no, effect.ident.clone())).or_default();
        let mut kept = Vec::new();
        if effect.columns.is_empty() {
            if written.keeps || !run.takes_along(plan.no, effect, origin)? {
                return Ok(());
            }
        } else {
            for tag in effect.columns.iter().filter(|tag| !written.columns.contains(tag)) {
                if let Some(i) = plan.column(*tag)
                    && self.is_overwritten(run, image.writers[i], origin)?
                {
                    kept.push(i);
                }
            }
            if kept.is_empty() {
                return Ok(());
            }
        }
        written.keeps = true;
        written.columns.extend(kept.iter().map(|i| plan.columns[*i].tag));
        self.out.recompute.push((plan.table.id, effect.ident.clone()));
        self.push_update(plan, image, &kept, None)
    }

    /// An effect of that transaction overwrites what this one wrote.
    fn is_overwritten(&self, run: &Run<'_>, writer: TxNo, effect: &Origin) -> Result<bool> {
        if writer == TxNo(0) {
            return Ok(true);
        }
        if self.unsealed.contains(&writer) {
            return Ok(false);
        }
        saw((effect, u32::MAX), (&run.db.origin(writer)?, 0), run.is_ancestor)
    }
}

/// What a transaction did to a row.
#[derive(Default)]
struct Written {
    /// Something that keeps it, or deletes it for itself.
    keeps: bool,
    columns: HashSet<ColumnTag>,
}
