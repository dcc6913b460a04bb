//! A row that waits is given other values: what an UPDATE of it would log, which no statement reaches.
//!
//! Written by the row's identity, as [`Merger::mend`] gives it, and merged like an arriving change; [`Merger::standing`] says
//! afterwards whether the row is where it belongs, or what it still meets. Which rows wait before and after a change of the
//! schema says [`Merger::waiting`]. Not here: who may do that, and what to answer.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::schema::ReferentialAction;
use p2pdb_model::{RowKey, Value};

use crate::apply::Merger;
use crate::conflicts::Rule;
use crate::connection::Connection;
use crate::displaced::{Image, Place, Run, Stored};
use crate::error::Result;
use crate::finalize::kept::REFERRED_LEVELS_MAX;
use crate::index::IsAncestor;
use crate::index_ident::Ident;
use crate::materialize_plan::TablePlan;
use crate::obstacles::Obstacle;
use crate::query::NEXT;
use crate::resolve::Found;

/// What there is to be given other values.
pub enum Mending {
    /// No row that waits has this key.
    Nothing,
    /// Several rows that wait have this key.
    Several,
    /// The row of this key is visible.
    Visible,
    /// These changes do it, to the row with this identity.
    Changes(RowKey, Vec<Layout>, Vec<RowChange>),
}

/// The rows of a table that wait.
#[derive(Debug, Default)]
pub struct Waiting(BTreeSet<Ident>);

/// Where a row is.
pub enum Standing {
    /// In its table.
    Visible,
    /// It waits, for these.
    Waits(Vec<Obstacle>),
}

impl Merger {
    /// The changes that give the displaced row of this key these values, with the references that they write.
    pub fn mend(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &[Value],
        cells: &[(ColumnTag, Value)],
        foreign_key_checks: bool,
    ) -> Result<Mending> {
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        let Some(plan) = run.plans.plan(db, table)? else { return Ok(Mending::Nothing) };
        let rows = run.with_key(&plan, key)?;
        let visible = rows.iter().any(|stored| stored.place == Place::Visible);
        let now: Vec<Stored> = rows.into_iter().filter(Stored::waits).collect();
        let born = match visible {
            true => Vec::new(),
            false => run.displaced_of(&plan, &Ident::of(key))?,
        };
        let stored = match Found::of(now, born.into_iter().filter(Stored::waits).collect()) {
            Found::One(stored) => stored,
            Found::Several => return Ok(Mending::Several),
            Found::Nothing if visible => return Ok(Mending::Visible),
            Found::Nothing => return Ok(Mending::Nothing),
        };
        let key = stored.image.ident.to_key()?;
        let (layouts, changes) = run.mended(&plan, stored.image, &key, cells, foreign_key_checks)?;
        Ok(Mending::Changes(key, layouts, changes))
    }

    /// Where the row of this identity is now, and why.
    pub fn standing(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &RowKey,
    ) -> Result<Standing> {
        let ident = Ident::of(&key.0);
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        let Some(plan) = run.plans.plan(db, table)? else { return Ok(Standing::Waits(Vec::new())) };
        if run.visible_of(&plan, &ident)?.is_some() {
            return Ok(Standing::Visible);
        }
        match run.displaced_of(&plan, &ident)?.into_iter().find(Stored::waits) {
            Some(stored) => Ok(Standing::Waits(run.obstacles(&plan, &stored)?)),
            None => Ok(Standing::Waits(Vec::new())),
        }
    }

    /// The rows of this table that wait now.
    pub fn waiting(&mut self, db: &Connection, table: ObjectId) -> Result<Waiting> {
        let mut waiting = Waiting::default();
        if let Some(plan) = self.cache.plan(db, table)? {
            db.query(&plan.sql.waiting, (), |r| {
                waiting.0.insert(Ident::from_sql(r.get(0)?)?);
                Ok(NEXT)
            })?;
        }
        Ok(waiting)
    }

    /// What a row meets that did not wait `before`, also where another one that did is back in its place. Without `parents`, that a
    /// parent is not there does not count.
    pub fn newly_waits(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        before: &Waiting,
        parents: bool,
    ) -> Result<Option<Obstacle>> {
        let now = self.waiting(db, table)?;
        if now.0.is_subset(&before.0) {
            return Ok(None);
        }
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        let Some(plan) = run.plans.plan(db, table)? else { return Ok(None) };
        for ident in now.0.difference(&before.0) {
            for stored in run.displaced_of(&plan, ident)? {
                let met = run.obstacles(&plan, &stored)?;
                let counts = met.into_iter().find(|o| parents || o.rule != Rule::Reference);
                if counts.is_some() {
                    return Ok(counts);
                }
            }
        }
        Ok(None)
    }
}

impl Run<'_> {
    fn mended(
        &mut self,
        plan: &TablePlan,
        mut image: Image,
        key: &RowKey,
        cells: &[(ColumnTag, Value)],
        foreign_key_checks: bool,
    ) -> Result<(Vec<Layout>, Vec<RowChange>)> {
        let mut written: Vec<usize> = Vec::new();
        for (tag, value) in cells {
            let Some(i) = plan.column(*tag) else { continue };
            image.values[i] = value.clone();
            written.push(i);
        }
        let mut columns = written.clone();
        columns.sort_unstable();
        columns.dedup();
        let tags = columns.iter().map(|c| plan.columns[*c].tag).collect();
        let values = columns.iter().map(|c| image.values[*c].clone()).collect();
        let mut layouts = vec![Layout(plan.table.id, 0, tags)];
        let mut changes = vec![RowChange::Update { layout: 0, key: key.clone(), values, cause: None }];
        if !foreign_key_checks {
            return Ok((layouts, changes));
        }
        // Who writes a reference keeps the parent, and what that refers to.
        let mut open: VecDeque<(Arc<TablePlan>, Image, usize)> = VecDeque::new();
        for reference in plan.references.iter().filter(|r| r.holds_on()) {
            if reference.columns.iter().any(|c| written.contains(c))
                && let Some(key) = plan.key_of(&reference.columns, &image)
            {
                let key: Vec<Value> = key.iter().map(|v| v.to_value()).collect();
                open.extend(self.parent(reference, &key)?.map(|(plan, image)| (plan, image, 1)));
            }
        }
        let mut known: HashSet<(ObjectId, Ident)> = HashSet::from([(plan.table.id, image.ident.clone())]);
        while let Some((plan, image, level)) = open.pop_front() {
            if !known.insert((plan.table.id, image.ident.clone())) {
                continue;
            }
            let layout = layouts.len() as u32;
            layouts.push(Layout(plan.table.id, 0, Vec::new()));
            let key = image.ident.to_key()?;
            changes.push(RowChange::Update { layout, key, values: Vec::new(), cause: None });
            for reference in plan.references.iter().filter(|_| level < REFERRED_LEVELS_MAX) {
                if reference.on_delete != ReferentialAction::SetNull
                    && let Some(key) = plan.key_of(&reference.columns, &image)
                {
                    let key: Vec<Value> = key.iter().map(|v| v.to_value()).collect();
                    open.extend(self.parent(reference, &key)?.map(|(plan, image)| (plan, image, level + 1)));
                }
            }
        }
        Ok((layouts, changes))
    }
}
