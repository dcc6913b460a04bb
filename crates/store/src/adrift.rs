//! Work that hangs on what is void: changes of a row whose INSERT does not count, and rows of a table whose CREATE does not.
//!
//! Neither is in a table, so nothing of it is kept beside the log: it is read from there when `p2pdb.conflicts` is, and found
//! from the void transactions and schema changes. All of it comes back by itself when what it hangs on counts again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use p2pdb_merge::{MergedRow, RowWrite, Standing, WriteKind, merge_row};
use p2pdb_model::change::{RowChange, SchemaChange};
use p2pdb_model::ids::{ObjectId, ObjectKind};
use p2pdb_model::{Catalog, Change};

use crate::apply::{Merger, ident_of};
use crate::conflicts::{Conflict, Rule, key_now, side};
use crate::connection::Connection;
use crate::displaced::{Image, Run};
use crate::error::{Result, StoreError};
use crate::index::{IsAncestor, Loaded, saw};
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::materialize::PlanCache;
use crate::materialize_plan::TablePlan;
use crate::objects::{Held, Schema};
use crate::query::{Flow, NEXT, STOP};

/// Row keys of a table that are read at once.
const CHUNK: i64 = 500;

impl Schema {
    /// The schema as it would be if nothing were void that puts something there, and the tables that are in it and not in this
    /// one, because their CREATE, or that of their database, does not count. `None` where there is no such table.
    pub(crate) fn with_void(&self, is_ancestor: IsAncestor<'_>) -> Result<Option<(Schema, Vec<ObjectId>)>> {
        let is_put = |h: &Held| matches!(&*h.change, SchemaChange::Put { .. });
        if !self.held.iter().any(|h| !h.accepted && is_put(h)) {
            return Ok(None);
        }
        let counts = |id: ObjectId| {
            self.held
                .iter()
                .any(|h| h.accepted && matches!(&*h.change, SchemaChange::Put { id: i, .. } if *i == id))
        };
        let mut all = self.clone();
        all.held.iter_mut().for_each(|h| h.accepted |= is_put(h));
        let all = all.merged(is_ancestor)?;
        let tables = all.live.iter().filter(|o| o.kind == ObjectKind::Table);
        let void = tables
            .filter(|o| self.catalog.table_by_id(o.id).is_none() && !(counts(o.id) && counts(o.parent)));
        let void: Vec<ObjectId> = void.map(|o| o.id).collect();
        Ok((!void.is_empty()).then_some((all, void)))
    }
}

impl Merger {
    /// The catalog as it would be if no CREATE were void, where that makes a difference: the names of tables that only
    /// [`Rule::VoidTable`] knows.
    pub fn catalog_with_void(&self, is_ancestor: IsAncestor<'_>) -> Result<Option<Arc<Catalog>>> {
        Ok(self.cache.schema.with_void(is_ancestor)?.map(|(schema, _)| schema.catalog))
    }

    /// Rows of tables whose CREATE is void.
    pub(crate) fn void_tables(
        &self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<Flow> {
        let Some((schema, tables)) = self.cache.schema.with_void(is_ancestor)? else { return Ok(NEXT) };
        let (schema, meaning) = (Arc::new(schema), &self.cache.meaning);
        let mut cache = PlanCache::new(schema.clone(), meaning.clone());
        let mut run = Run::new(db, is_ancestor, &mut cache);
        for table in tables {
            let Some(no) = db.table_no_if_known(table)? else { continue };
            let Some(table) = schema.catalog.table_by_id(table) else { continue };
            let plan = TablePlan::build(db, table, &schema, meaning, false)?;
            let mut after = None;
            loop {
                let idents = db.idents_after(no, after.as_ref(), CHUNK)?;
                for ident in &idents {
                    let loaded = db.load_changes(no, ident, is_ancestor)?;
                    let merged = run.merged(&plan, &loaded)?;
                    let row = run.row_of_changes(&plan, ident, &merged, &loaded)?;
                    let row = match row {
                        Some((image, last)) => Some((image, last, Rule::VoidTable)),
                        None => run
                            .hanging(&plan, ident, loaded)?
                            .map(|(image, last)| (image, last, Rule::VoidInsert)),
                    };
                    if let Some((image, last, rule)) = row
                        && each(&run.void_conflict(&plan, &image, last, rule)?)?.is_break()
                    {
                        return Ok(STOP);
                    }
                }
                match idents.into_iter().next_back() {
                    Some(last) => after = Some(last),
                    None => break,
                }
            }
        }
        Ok(NEXT)
    }
}

/// The rows that void transactions have inserted, by table.
pub(crate) fn void_inserts(db: &Connection) -> Result<BTreeMap<ObjectId, BTreeSet<Ident>>> {
    let mut void = Vec::new();
    db.scan_void(TxNo(0), |tx, _| {
        void.push(tx);
        Ok(NEXT)
    })?;
    let mut found: BTreeMap<ObjectId, BTreeSet<Ident>> = BTreeMap::new();
    for tx in void {
        let origin = db.origin(tx)?;
        let stored = db.body(origin.block)?;
        let Some(tx) = stored.body.transactions().get(origin.position as usize) else { continue };
        for change in tx.changes() {
            if let Change::Row(change @ RowChange::Insert { .. }) = change
                && let Some(layout) = stored.body.layouts().get(change.layout())
                && let Some(ident) = ident_of(change, layout)
            {
                found.entry(layout.table()).or_default().insert(ident);
            }
        }
    }
    Ok(found)
}

impl Run<'_> {
    /// Rows of a table that accepted changes mean, and whose INSERT is void.
    pub(crate) fn void_row_conflicts(
        &mut self,
        plan: &TablePlan,
        idents: &BTreeSet<Ident>,
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<Flow> {
        for ident in idents {
            if let Some((image, last)) = self.hanging_on_void(plan, ident)?
                && each(&self.void_conflict(plan, &image, last, Rule::VoidInsert)?)?.is_break()
            {
                return Ok(STOP);
            }
        }
        Ok(NEXT)
    }

    /// The row as it would be if its void INSERT counted, where somebody's accepted change hangs on that, and the last such
    /// change. Not once somebody who has seen that change has written to the row that is there.
    pub(crate) fn hanging_on_void(
        &mut self,
        plan: &TablePlan,
        ident: &Ident,
    ) -> Result<Option<(Image, TxNo)>> {
        let (accepted, _) = self.counting(plan.no, ident)?;
        self.hanging(plan, ident, accepted)
    }

    pub(crate) fn hanging(
        &mut self,
        plan: &TablePlan,
        ident: &Ident,
        accepted: Vec<Loaded>,
    ) -> Result<Option<(Image, TxNo)>> {
        if !accepted.iter().any(|l| l.write.orphan) {
            return Ok(None);
        }
        let merged = self.merged(plan, &accepted)?;
        let is_work = |l: &Loaded| {
            l.write.orphan
                && matches!(l.write.kind, WriteKind::Update | WriteKind::Edit)
                && !l.write.columns.is_empty()
        };
        let mut hanging = Vec::new();
        for &change in merged.adrift.iter().filter(|c| is_work(&accepted[**c])) {
            let mut settled = false;
            for (later, _) in accepted.iter().enumerate().filter(|(n, _)| !merged.adrift.contains(n)) {
                settled = settled || self.saw_loaded(&accepted[later], &accepted[change])?;
            }
            if !settled {
                hanging.push(accepted[change].at);
            }
        }
        if hanging.is_empty() {
            return Ok(None);
        }
        let mut all = accepted;
        for insert in self.db.void_inserts_of(plan.no, ident)? {
            let mut seen = false;
            for l in all.iter().filter(|l| hanging.contains(&l.at)) {
                seen = seen || self.saw_loaded(l, &insert)?;
            }
            if seen {
                all.push(insert);
            }
        }
        all.iter_mut().for_each(|l| l.write.orphan = false);
        all.sort_by_key(|l| l.origin.order(l.at.offset));
        let merged = self.merged(plan, &all)?;
        let last = all.iter().rev().find(|l| hanging.contains(&l.at)).map(|l| l.at.tx);
        let row = self.row_of_changes(plan, ident, &merged, &all)?;
        // Nothing is left of it where somebody has deleted the row since.
        Ok(row.zip(last).map(|((image, _), last)| (image, last)))
    }

    pub(crate) fn saw_loaded(&self, later: &Loaded, earlier: &Loaded) -> Result<bool> {
        saw((&later.origin, later.at.offset), (&earlier.origin, earlier.at.offset), self.is_ancestor)
    }

    /// These changes of a row, in write order, as rows.
    pub(crate) fn merged(&self, plan: &TablePlan, loaded: &[Loaded]) -> Result<MergedRow> {
        let writes: Vec<RowWrite> = loaded.iter().map(|l| l.write.clone()).collect();
        let mut ask = |a: usize, b: usize| self.saw_loaded(&loaded[a], &loaded[b]);
        let joint = |tag| plan.is_joint(tag);
        merge_row::<StoreError>(&writes, &joint, &mut ask)
    }

    /// The row of this key that these changes make, and who wrote it last.
    fn row_of_changes(
        &self,
        plan: &TablePlan,
        ident: &Ident,
        merged: &MergedRow,
        loaded: &[Loaded],
    ) -> Result<Option<(Image, TxNo)>> {
        let Some(unit) = merged.units.iter().find(|u| u.standing == Standing::Primary) else {
            return Ok(None);
        };
        let mut image = self.image_of(plan, ident, unit, loaded)?;
        self.joint_cells(plan, unit, loaded, &mut image)?;
        let last = self.last_writer(&image)?.unwrap_or(loaded[unit.founder].at.tx);
        Ok(Some((image, last)))
    }

    fn void_conflict(&self, plan: &TablePlan, image: &Image, last: TxNo, rule: Rule) -> Result<Conflict> {
        Ok(Conflict {
            table: plan.table.id,
            key: image.ident.to_key()?,
            now: key_now(plan, image)?,
            columns: Vec::new(),
            rule,
            winner: None,
            loser: Some(side(self.db, last, None)?),
            row: Some(self.whole_row(plan, image)?),
            kept_row: None,
        })
    }
}
