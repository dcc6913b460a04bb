//! Deciding which rows are visible: what they hold themselves (step 4), UNIQUE (step 5) and references (step 6), for the
//! rows that changed and those that depend on them.
//!
//! Who owns a unique value depends only on the live rows and their values, so each candidate is decided by itself. A row
//! that owns its values is visible unless a row that it refers to is not; the visible rows are the greatest set of
//! which that is true, so that rows which refer to each other in a circle hold each other. Rows that may come back are
//! put in first, with the displaced rows that wait for them, and then what has no parent is taken out again, downward.
//!
//! The order of work is of no consequence: the result is a function of the live rows.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use p2pdb_model::Value;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::ObjectId;

use crate::displaced::{CLAIMS_MAX, Image, Place, Reason, Run, Stored};
use crate::error::Result;
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::materialize_plan::TablePlan;
use crate::query::NEXT;

/// What a run has to decide before it ends.
#[derive(Default)]
pub(crate) struct Todo {
    /// Rows whose keys changed: they and their contenders are decided anew.
    seeds: Vec<(ObjectId, Ident)>,
    /// Unique values that a row no longer has: (table, number of the key, values).
    released: Vec<(ObjectId, usize, Vec<Value>)>,
    /// Visible rows that were put in and whose parents are to be looked for.
    checks: VecDeque<(ObjectId, i64)>,
    /// Values that children may refer to and that went: (parent table, number of the dependent, values).
    vanished: VecDeque<(ObjectId, usize, Vec<Value>)>,
    /// Visible rows that displaced children may have waited for.
    appeared: Vec<(ObjectId, i64)>,
    /// Rows that are to be merged anew, because a delete whose effects they bear counts now, or no longer.
    effects: VecDeque<(ObjectId, Ident)>,
    /// Values of live rows that came or went: (parent table, number of the dependent, values).
    keys: VecDeque<(ObjectId, usize, Vec<Value>)>,
}

impl Todo {
    pub(crate) fn seed(&mut self, table: ObjectId, ident: Ident) {
        self.seeds.push((table, ident));
    }

    /// Adds what another run left to decide.
    pub(crate) fn append(&mut self, other: Todo) {
        self.seeds.extend(other.seeds);
        self.released.extend(other.released);
        self.checks.extend(other.checks);
        self.vanished.extend(other.vanished);
        self.appeared.extend(other.appeared);
        self.effects.extend(other.effects);
        self.keys.extend(other.keys);
    }

    pub(crate) fn effect(&mut self, table: ObjectId, ident: Ident) {
        self.effects.push_back((table, ident));
    }

    pub(crate) fn key(&mut self, table: ObjectId, dependent: usize, values: Vec<Value>) {
        self.keys.push_back((table, dependent, values));
    }

    pub(crate) fn next_effect(&mut self) -> Option<(ObjectId, Ident)> {
        self.effects.pop_front()
    }

    pub(crate) fn next_key(&mut self) -> Option<(ObjectId, usize, Vec<Value>)> {
        self.keys.pop_front()
    }

    pub(crate) fn open_checks(&self) -> Vec<(ObjectId, i64)> {
        self.checks.iter().copied().collect()
    }

    pub(crate) fn check(&mut self, table: ObjectId, rowid: i64) {
        self.checks.push_back((table, rowid));
    }
}

impl Run<'_> {
    /// A row is gone from where it lay, or lost these values. Call after it was removed.
    pub(crate) fn left(&mut self, plan: &TablePlan, image: &Image, place: Place) -> Result<()> {
        let unit = match place {
            Place::Visible => TxNo(0),
            Place::Displaced { unit, .. } => unit,
        };
        if unit == TxNo(0) {
            self.keys_changed(plan, image)?;
        }
        let claimed = match place {
            Place::Visible => true,
            Place::Displaced { reason, unit } => reason as u8 <= CLAIMS_MAX && unit == TxNo(0),
        };
        if claimed && self.any_displaced(plan)? {
            let image = &self.generate(plan, image)?;
            for (n, unique) in plan.uniques.iter().enumerate() {
                if let Some(key) = plan.key_of(&unique.columns, image) {
                    let key = key.into_iter().map(|v| v.to_value()).collect();
                    self.todo.released.push((plan.table.id, n, key));
                }
            }
        }
        if place == Place::Visible {
            self.vanish(plan, image);
        }
        Ok(())
    }

    fn vanish(&mut self, plan: &TablePlan, image: &Image) {
        for (n, dependent) in plan.dependents.iter().enumerate() {
            if let Some(key) = plan.key_of(&dependent.columns, image) {
                let key = key.into_iter().map(|v| v.to_value()).collect();
                self.todo.vanished.push_back((plan.table.id, n, key));
            }
        }
    }

    /// A row was put into the visible table because nothing stood in its way.
    ///
    /// `orphan`: nobody has looked for its parents yet.
    pub(crate) fn shown(&mut self, plan: &TablePlan, image: &Image, rowid: i64, orphan: bool) -> Result<()> {
        if !plan.checks.is_empty() || self.any_displaced(plan)? {
            self.todo.seeds.push((plan.table.id, image.ident.clone()));
        }
        if orphan && !plan.references.is_empty() {
            self.todo.checks.push_back((plan.table.id, rowid));
        }
        if !plan.dependents.is_empty() && self.may_be_awaited(plan, image)? {
            self.keys_changed(plan, image)?;
        }
        for dependent in &plan.dependents {
            if let Some(child) = self.need(dependent.child)?
                && self.any_displaced(&child)?
            {
                self.todo.appeared.push((plan.table.id, rowid));
                break;
            }
        }
        Ok(())
    }

    /// Puts a row aside until [`Run::settle`] has decided.
    pub(crate) fn put_pending(&mut self, plan: &TablePlan, image: &Image) -> Result<()> {
        self.displace(plan, image, Reason::Pending, TxNo(0))?;
        if !plan.dependents.is_empty() && self.may_be_awaited(plan, image)? {
            self.keys_changed(plan, image)?;
        }
        self.todo.seeds.push((plan.table.id, image.ident.clone()));
        Ok(())
    }

    /// The row of this identity that takes part: the visible one, or the displaced one that has claims.
    fn taking_part(&self, plan: &TablePlan, ident: &Ident) -> Result<Option<Stored>> {
        if let Some(visible) = self.visible_of(plan, ident)? {
            return Ok(Some(visible));
        }
        let displaced = self.displaced_of(plan, ident)?;
        Ok(displaced.into_iter().find(|s| {
            matches!(s.place, Place::Displaced { reason, unit } if unit == TxNo(0)
                && (reason as u8 <= CLAIMS_MAX || reason.is_its_own()))
        }))
    }

    fn need(&mut self, id: ObjectId) -> Result<Option<Arc<TablePlan>>> {
        self.plans.plan(self.db, id)
    }

    /// Somebody may refer to this row otherwise than by what his columns read.
    fn may_be_awaited(&mut self, plan: &TablePlan, image: &Image) -> Result<bool> {
        Ok(self.any_bent()? || plan.implied_ident(&image.values).is_some_and(|i| i != image.ident))
    }

    /// Decides everything that is open.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.settle_effects()?;
        let mut up = VecDeque::new();
        let candidates = self.candidates()?;
        // First what rows hold themselves, since who fails there has no claims that others could lose to.
        for (table, ident) in &candidates {
            let Some(plan) = self.need(*table)? else { continue };
            let Some(stored) = self.taking_part(&plan, ident)? else { continue };
            match (stored.place, self.misfit(&plan, &stored)?) {
                (Place::Visible, Some(reason)) => self.take_out(&plan, &stored, reason)?,
                (Place::Displaced { .. }, Some(reason)) => self.set_reason(&plan, &stored, reason)?,
                // It fits again, and has its claims back.
                (Place::Displaced { reason, .. }, None) if reason.is_its_own() => {
                    self.set_reason(&plan, &stored, Reason::Unique)?;
                }
                (_, None) => {}
            }
        }
        for (table, ident) in candidates {
            let Some(plan) = self.need(table)? else { continue };
            let Some(stored) = self.taking_part(&plan, &ident)? else { continue };
            let owns = match stored.place {
                Place::Displaced { reason, .. } if reason.is_its_own() => continue,
                _ => self.owns_its_values(&plan, &stored.image)?,
            };
            match (stored.place, owns) {
                (Place::Visible, false) => self.take_out(&plan, &stored, Reason::Unique)?,
                (Place::Visible, true) => {}
                (Place::Displaced { .. }, true) => up.push_back((table, stored.rowid)),
                (Place::Displaced { .. }, false) => self.set_reason(&plan, &stored, Reason::Unique)?,
            }
        }
        for (table, rowid) in std::mem::take(&mut self.todo.appeared) {
            let Some(plan) = self.need(table)? else { continue };
            if let Some(stored) = self.visible(&plan, rowid)? {
                self.waiting_for(&plan, &stored.image, &mut up)?;
            }
        }
        self.bring_back(up)?;
        self.take_out_orphans()
    }

    /// The rows to decide: seeds, their contenders, and contenders for released values.
    fn candidates(&mut self) -> Result<Vec<(ObjectId, Ident)>> {
        let mut known = HashSet::new();
        let mut list = Vec::new();
        let mut add = |table: ObjectId, ident: Ident| {
            if known.insert((table, ident.clone())) {
                list.push((table, ident));
            }
        };
        for (table, ident) in std::mem::take(&mut self.todo.seeds) {
            let Some(plan) = self.need(table)? else { continue };
            if let Some(stored) = self.taking_part(&plan, &ident)? {
                for unique in &plan.uniques {
                    let Some(key) = plan.key_of(&unique.columns, &stored.image) else { continue };
                    for other in self.contenders(&plan, unique, &key)? {
                        add(table, other.image.ident);
                    }
                }
                add(table, ident);
            }
        }
        for (table, number, key) in std::mem::take(&mut self.todo.released) {
            let Some(plan) = self.need(table)? else { continue };
            let Some(unique) = plan.uniques.get(number) else { continue };
            let key: Vec<_> = key.iter().map(Into::into).collect();
            for other in self.displaced_where(&plan, &unique.find_displaced, &key)? {
                add(table, other.image.ident);
            }
        }
        Ok(list)
    }

    fn take_out(&mut self, plan: &TablePlan, stored: &Stored, reason: Reason) -> Result<()> {
        self.remove(plan, stored)?;
        self.displace(plan, &stored.image, reason, TxNo(0))?;
        self.vanish(plan, &stored.image);
        Ok(())
    }

    /// Displaced rows that refer to this one.
    fn waiting_for(
        &mut self,
        plan: &TablePlan,
        image: &Image,
        up: &mut VecDeque<(ObjectId, i64)>,
    ) -> Result<()> {
        if fault::on(Fault::ChildrenForgotten) {
            return Ok(());
        }
        for dependent in &plan.dependents {
            let Some(key) = plan.key_of(&dependent.columns, image) else { continue };
            let Some(child) = self.need(dependent.child)? else { continue };
            if !self.any_displaced(&child)? {
                continue;
            }
            self.db.query(&dependent.find_displaced, key, |r| {
                up.push_back((dependent.child, r.int(0)?));
                Ok(NEXT)
            })?;
        }
        Ok(())
    }

    fn bring_back(&mut self, mut up: VecDeque<(ObjectId, i64)>) -> Result<()> {
        while let Some((table, rowid)) = up.pop_front() {
            let Some(plan) = self.need(table)? else { continue };
            // It may be in the list twice.
            let Some(stored) = self.displaced(&plan, rowid)? else { continue };
            self.remove(&plan, &stored)?;
            let Some(rowid) = self.show_if_free(&plan, &stored.image)? else {
                // Only a row that does not own its values finds its place taken, and those were taken out.
                tracing::error!(table = plan.sql.name, "a row that owns its keys found them taken");
                self.displace(&plan, &stored.image, Reason::Unique, TxNo(0))?;
                continue;
            };
            self.todo.checks.push_back((table, rowid));
            self.waiting_for(&plan, &stored.image, &mut up)?;
        }
        Ok(())
    }

    fn take_out_orphans(&mut self) -> Result<()> {
        if fault::on(Fault::ReferencesUnchecked) {
            self.todo.checks.clear();
            self.todo.vanished.clear();
        }
        loop {
            if let Some((table, rowid)) = self.todo.checks.pop_front() {
                let Some(plan) = self.need(table)? else { continue };
                if plan.references.is_empty() {
                    continue;
                }
                let Some(stored) = self.visible(&plan, rowid)? else { continue };
                if !self.has_parents(&plan, &stored.image)? {
                    self.take_out(&plan, &stored, Reason::Reference)?;
                }
            } else if let Some((table, number, key)) = self.todo.vanished.pop_front() {
                self.look_for_orphans(table, number, &key)?;
            } else {
                return Ok(());
            }
        }
    }

    /// Every reference of the row leads to a visible row.
    pub(crate) fn has_parents(&self, plan: &TablePlan, image: &Image) -> Result<bool> {
        for reference in &plan.references {
            let Some(key) = plan.key_of(&reference.columns, image) else { continue };
            if self.db.query_one(&reference.parent_exists, key, |_| Ok(()))?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn look_for_orphans(&mut self, table: ObjectId, number: usize, key: &[Value]) -> Result<()> {
        let Some(plan) = self.need(table)? else { return Ok(()) };
        let Some(dependent) = plan.dependents.get(number) else { return Ok(()) };
        let child = dependent.child;
        let mut children = Vec::new();
        self.db.query(&dependent.find_visible, key, |r| {
            children.push((child, r.int(0)?));
            Ok(NEXT)
        })?;
        self.todo.checks.extend(children);
        Ok(())
    }
}
