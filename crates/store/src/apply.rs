//! Applying: the changes of a block, or of verdicts, become rows. Never fails on what a block says.
//!
//! [`Merger`] is the merged state's keeper, next to the [`Writer`](crate::Writer): it holds the schema and the plans.
//! All its writing happens inside the writer's SQLite transaction; after a rollback call [`Merger::rolled_back`].
//!
//! * [`Merger::apply`] takes an arriving block that is already in the log, with verdicts.
//! * [`Merger::finalize`] and [`Merger::record`] take local transactions, whose effects are in the tables already
//!   (`finalize.rs`).
//! * [`Merger::rejudge`] takes transactions whose verdict changed.
//!
//! A row change that names a table or row that is not there is kept in the index and has no effect; when the table
//! appears, or the verdict that took the row away changes, the row is recomputed from the index. How one row is merged
//! is in `apply_row`.

use std::collections::BTreeSet;
use std::sync::Arc;

use p2pdb_block::ChangeIndex;
use p2pdb_merge::assigned;
use p2pdb_model::catalog::table_of_physical;
use p2pdb_model::change::{Layout, RowChange, SchemaChange};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::{Body, Catalog, Change, Value, ValueRef};

use crate::beside::gives;
use crate::connection::Connection;
use crate::displaced::{MISFIT, Run, WEAK};
use crate::error::{Result, StoreError};
use crate::fingerprint::{Fingerprint, by_schema};
use crate::index::{At, IsAncestor, Origin, SCHEMA_TABLE};
use crate::index_ident::Ident;
use crate::log::{BlockNo, TxNo};
use crate::materialize::PlanCache;
use crate::materialize_plan::TablePlan;
use crate::meaning::Meaning;
use crate::objects::{Held, Schema, object_ident};
use crate::query::NEXT;

/// Number of the code that makes tables of a log. A store whose tables stand by another one makes them anew when it is opened
/// ([`Merger::merge_anew`]), so it is raised with each change of a rule of merging. (On which rules members agree is another number,
/// in the log.)
pub const MERGE: u32 = 8;

/// Keeps the merged tables. See the module.
pub struct Merger {
    pub(crate) cache: PlanCache,
    /// The schema as of the last commit.
    committed: Arc<Schema>,
    /// Local transactions whose block is not in the log yet.
    pub(crate) unsealed: Vec<Origin>,
}

/// What applying amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Row changes of accepted transactions that had no effect, because their table or row is not there.
    pub adrift: u64,
    /// The catalog is another one.
    pub schema_changed: bool,
}

/// A layout of a block with what this node needs to apply it.
pub(crate) struct LayoutPlan {
    pub no: i64,
    pub plan: Option<Arc<TablePlan>>,
    /// Per column of the plan, the place of its value in a change.
    pub places: Vec<Option<usize>>,
    /// UPDATE for the columns that the table has, by rowid; made when first needed.
    pub update: Option<String>,
    /// The table is gone, or columns are that the layout names: what is written goes into the index of that.
    beside: Option<Vec<ColumnTag>>,
}

impl LayoutPlan {
    fn new(run: &mut Run<'_>, layout: &Layout) -> Result<Self> {
        let plan = run.plans.plan(run.db, layout.table())?;
        let no = match &plan {
            Some(plan) => plan.no,
            None => run.db.table_no(layout.table())?,
        };
        for tag in layout.columns() {
            // Values of a column that is not there: should it come, the table is written again.
            if plan.as_ref().is_some_and(|p| p.column(*tag).is_none()) {
                let sql = "INSERT OR IGNORE INTO col (tbl, tag, added) VALUES (?1, ?2, 0)";
                run.db.execute(sql, [ValueRef::Int(no), ValueRef::Int(i64::from(tag.0))])?;
            }
        }
        let places = plan.iter().flat_map(|p| &p.columns);
        let place = |tag| layout.columns().iter().rposition(|t| *t == tag);
        let places = places.map(|c| if c.stored { place(c.tag) } else { None }).collect();
        let dropped = run.plans.schema.dropped.get(&layout.table());
        let beside = dropped.and_then(|d| {
            let gone = layout.columns().iter().copied().filter(|tag| d.columns.contains_key(tag));
            let gone: Vec<ColumnTag> = gone.collect();
            (!d.table.is_empty() || !gone.is_empty()).then_some(gone)
        });
        Ok(Self { no, plan, places, update: None, beside })
    }

    /// The change writes to something that was dropped.
    fn is_beside(&self, layout: &Layout, change: &RowChange) -> bool {
        let Some(gone) = &self.beside else { return false };
        gone.is_empty() || gone.iter().any(|tag| gives(change, layout, *tag))
    }
}

/// What the column shows that says whose row it is: whom the row's key names.
pub(crate) fn owner_of(ident: &Ident) -> Result<Value> {
    Ok(ident.to_key()?.owner().map_or(Value::Null, |owner| Value::Text(owner.to_hex())))
}

/// How the transaction of a change was judged.
#[derive(Clone, Copy)]
struct Judged {
    accepted: bool,
    /// Its inserts into this table are weak.
    weak: bool,
}

/// The identity of the row that a change names.
pub(crate) fn ident_of(change: &RowChange, layout: &Layout) -> Option<Ident> {
    match change {
        RowChange::Insert { key: Some(key), .. }
        | RowChange::Update { key, .. }
        | RowChange::Edit { key, .. }
        | RowChange::Delete { key, .. } => Some(Ident::of(&key.0)),
        RowChange::Insert { key: None, values, .. } => {
            let n = layout.key_columns();
            if n == 0 { None } else { values.get(..n).map(Ident::of) }
        }
    }
}

impl Merger {
    /// Reads the schema from the log. `meaning` says what must be known of MySQL.
    pub fn load(db: &Connection, is_ancestor: IsAncestor<'_>, meaning: Meaning) -> Result<Self> {
        let schema = Arc::new(Schema::load(db, is_ancestor, &meaning)?);
        Ok(Self { cache: PlanCache::new(schema.clone(), meaning), committed: schema, unsealed: Vec::new() })
    }

    /// The merged schema, changes of the open transaction included.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.cache.schema.catalog
    }

    /// The SQLite transaction was committed.
    pub fn committed(&mut self) {
        self.committed = self.cache.schema.clone();
    }

    /// The SQLite transaction, or a part of it, was rolled back to where the schema was the committed one.
    pub fn rolled_back(&mut self) {
        self.cache.set_schema(self.committed.clone());
        self.unsealed.clear();
    }

    /// Applies a block that was appended to the log in this SQLite transaction: indexes all its changes, and merges
    /// those of accepted transactions. Also the way of local schema statements.
    pub fn apply(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        block: BlockNo,
        body: &Body,
        index: &ChangeIndex,
    ) -> Result<Applied> {
        let epoch = self.catalog().epoch;
        if body.transactions().is_empty() {
            return Ok(Applied::default());
        }
        let first = db.transactions_of(block)?.start;
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        run.has_seen = db.has_seen_all(block).then_some((block, TxNo(first)));
        let mut layouts: Vec<Option<LayoutPlan>> = Vec::new();
        for (n, tx) in body.transactions().iter().enumerate() {
            let no = TxNo(first + n as u64);
            let origin = db.origin(no)?;
            let (verdict, weak) = db.judgement(no)?.unwrap_or_default();
            let accepted = verdict.is_accepted();
            let mut schema_changes = Vec::new();
            let spans = index.transaction(n as u32);
            for (change, span) in tx.changes().iter().zip(spans) {
                let at = At { tx: no, offset: span.offset };
                match change {
                    Change::Schema(change) => {
                        db.index_change(SCHEMA_TABLE, &object_ident(change), at)?;
                        let change = Arc::new(SchemaChange::clone(change));
                        schema_changes.push(Held { at, origin, accepted, change });
                    }
                    Change::Row(change) => {
                        if !schema_changes.is_empty() {
                            run.change_schema(std::mem::take(&mut schema_changes), no)?;
                            layouts.clear();
                        }
                        let l = change.layout();
                        let Some(layout) = body.layouts().get(l) else { continue };
                        if layouts.len() <= l {
                            layouts.resize_with(l + 1, || None);
                        }
                        if layouts[l].is_none() {
                            layouts[l] = Some(LayoutPlan::new(&mut run, layout)?);
                        }
                        let Some(plan) = &mut layouts[l] else { continue };
                        let last = spans.len() > 2 && at.offset == spans[spans.len() - 1].offset;
                        let merged = accepted && !(last && fault::on(Fault::HalfATransaction));
                        let mut how = Judged { accepted: merged, weak: false };
                        if !weak.is_empty() {
                            let own = db.is_own(change.owner(), no)?;
                            how.weak = weak.has(layout.table(), own);
                        }
                        run.arrive(plan, layout, change, &origin, at, how)?;
                    }
                    Change::Access(_) => {}
                }
            }
            if !schema_changes.is_empty() {
                run.change_schema(schema_changes, no)?;
                layouts.clear();
            }
        }
        run.settle()?;
        let adrift = run.finish()?;
        Ok(Applied { adrift, schema_changed: self.catalog().epoch != epoch })
    }

    /// Recomputes every row and object that these transactions touched, after their verdicts were changed in the log.
    pub fn rejudge(&mut self, db: &Connection, is_ancestor: IsAncestor<'_>, txs: &[TxNo]) -> Result<Applied> {
        let epoch = self.catalog().epoch;
        self.cache.settled.clear();
        let mut rows: BTreeSet<(ObjectId, Ident)> = BTreeSet::new();
        let mut newest = TxNo(0);
        for tx in txs {
            newest = newest.max(*tx);
            let origin = db.origin(*tx)?;
            let stored = db.body(origin.block)?;
            let Some(tx) = stored.body.transactions().get(origin.position as usize) else { continue };
            for change in tx.changes() {
                if let Change::Row(change) = change
                    && let Some(layout) = stored.body.layouts().get(change.layout())
                    && let Some(ident) = ident_of(change, layout)
                {
                    rows.insert((layout.table(), ident));
                }
            }
        }
        let schema = self.cache.schema.rejudged(db, is_ancestor)?;
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        if let Some(schema) = schema {
            // Rows of now are older than a column that comes with this.
            let next = TxNo(db.last_tx()?.0 + 1).max(newest);
            let (old, schema) = (run.plans.schema.clone(), Arc::new(schema));
            run.index_drops(&old, &schema, None)?;
            run.reshape(schema, next)?;
        }
        for (table, ident) in &rows {
            if let Some(plan) = run.plans.plan(db, *table)? {
                run.recompute(&plan, ident)?;
            }
        }
        if !fault::on(Fault::AbsentForgotten) {
            run.reconsider_all_effects(rows)?;
        }
        run.settle()?;
        let adrift = run.finish()?;
        Ok(Applied { adrift, schema_changed: self.catalog().epoch != epoch })
    }

    /// Makes all tables anew, block by block as they came: those of this store stand as other code merged them ([`MERGE`]).
    pub fn merge_anew(&mut self, db: &Connection, is_ancestor: IsAncestor<'_>) -> Result<()> {
        let mut tables = BTreeSet::new();
        db.query("SELECT name FROM sqlite_schema WHERE type = 'table'", (), |r| {
            tables.extend(table_of_physical(r.text(0)?));
            Ok(NEXT)
        })?;
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        tables.into_iter().try_for_each(|id| run.drop_table(id))?;
        for derived in ["chg", "sibling", "bent", "fingerprint", "beside", "col"] {
            db.execute(&format!("DELETE FROM {derived}"), ())?;
        }
        db.greatest.take();
        let expressions = self.cache.schema.expressions.clone();
        self.cache.set_schema(Arc::new(Schema { expressions, ..Schema::default() }));
        for no in 1..=db.last_block()?.0 {
            let stored = db.body(BlockNo(no))?;
            self.apply(db, is_ancestor, BlockNo(no), &stored.body, &stored.index)?;
        }
        Ok(())
    }

    /// What each column of a table holds where no change ever wrote it.
    pub fn unwritten(&mut self, db: &Connection, table: ObjectId) -> Result<Vec<(ColumnTag, Value)>> {
        let plan = self.cache.plan(db, table)?;
        Ok(plan.iter().flat_map(|p| &p.columns).map(|c| (c.tag, c.unwritten.clone())).collect())
    }

    /// The fingerprint of every MySQL schema, by name.
    pub fn fingerprints(&self, db: &Connection) -> Result<Vec<(String, Fingerprint)>> {
        by_schema(db, self.catalog(), &self.cache.schema.live)
    }

    /// Works a table's fingerprint out from its rows: (kept, counted), which are equal unless something is damaged.
    pub fn recount(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
    ) -> Result<(Fingerprint, Fingerprint)> {
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        let plan = run.plans.plan(db, table)?;
        let plan = plan.ok_or_else(|| StoreError::NotFound(format!("table {table}")))?;
        Ok((db.table_fingerprint(plan.no)?, run.count(&plan)?))
    }
}

impl Run<'_> {
    pub(crate) fn change_schema(&mut self, changes: Vec<Held>, tx: TxNo) -> Result<()> {
        let counts = changes.iter().any(|c| c.accepted);
        let next = self.plans.schema.with(changes, self.is_ancestor)?;
        let (old, next) = (self.plans.schema.clone(), Arc::new(next));
        self.index_drops(&old, &next, Some(tx))?;
        if counts {
            // Rows that this transaction has written before are older than a column that it adds.
            self.reshape(next, TxNo(tx.0 + 1))
        } else {
            self.plans.set_schema(next);
            Ok(())
        }
    }

    /// One row change of a block.
    fn arrive(
        &mut self,
        layout_plan: &mut LayoutPlan,
        layout: &Layout,
        change: &RowChange,
        origin: &Origin,
        at: At,
        Judged { accepted, weak }: Judged,
    ) -> Result<()> {
        let Some(ident) = ident_of(change, layout) else {
            self.adrift += u64::from(accepted);
            return Ok(());
        };
        let fresh = matches!(change, RowChange::Insert { .. })
            && (self.db.is_beyond(layout_plan.no, &ident)?
                || !self.db.has_changes(layout_plan.no, &ident, TxNo(i64::MAX as u64))?);
        self.db.index_change(layout_plan.no, &ident, at)?;
        self.forget_standing(layout_plan.no, &ident);
        if layout_plan.is_beside(layout, change) && !fault::on(Fault::BesideForgotten) {
            self.db.put_beside(layout_plan.no, &ident)?;
        }
        if !accepted {
            return Ok(());
        }
        let Some(plan) = layout_plan.plan.clone() else {
            self.adrift += 1;
            return if fresh {
                Ok(())
            } else {
                self.came_to_absent(layout_plan.no, (layout.table(), &ident), at)
            };
        };
        match change {
            RowChange::Insert { values, .. } if fresh => {
                self.insert_fresh(&plan, &layout_plan.places, values, (ident, weak), (origin, at))
            }
            RowChange::Insert { .. } if fault::on(Fault::SecondInsertIgnored) => Ok(()),
            RowChange::Insert { .. } => self.recompute(&plan, &ident),
            RowChange::Update { cause: Some(_), .. } => self.recompute(&plan, &ident),
            RowChange::Update { values, .. } => self.update(&plan, layout_plan, values, &ident, origin, at),
            RowChange::Edit { edits, .. } => self.edit(&plan, layout_plan, edits, &ident, origin, at),
            RowChange::Delete { .. } if fault::on(Fault::DeleteForgotten) => Ok(()),
            RowChange::Delete { cause: Some(cause), .. } => {
                let counts = match self.db.cause(origin, *cause)? {
                    Some(cause) if cause.is_delete => self.stands(&cause, at.tx)?,
                    _ => true,
                };
                match counts {
                    true => self.delete(&plan, &ident, origin, at),
                    false => self.recompute(&plan, &ident),
                }
            }
            RowChange::Delete { .. } => self.delete(&plan, &ident, origin, at),
        }
    }

    fn insert_fresh(
        &mut self,
        plan: &TablePlan,
        places: &[Option<usize>],
        values: &[Value],
        (ident, weak): (Ident, bool),
        change: (&Origin, At),
    ) -> Result<()> {
        let given = |place: &Option<usize>| place.and_then(|p| values.get(p));
        let tx = change.1.tx;
        let mut image = crate::displaced::Image {
            ident,
            values: Vec::with_capacity(places.len()),
            writers: places.iter().map(|p| if given(p).is_some() { tx } else { TxNo(0) }).collect(),
            flags: if weak { WEAK } else { 0 },
        };
        for (i, place) in places.iter().enumerate() {
            let value = match given(place) {
                _ if plan.owner == Some(i) => owner_of(&image.ident)?,
                Some(value) => {
                    let (value, misfit) = self.present(&plan.columns[i], value, change)?;
                    image.flags |= if misfit { MISFIT } else { 0 };
                    assigned(plan.columns[i].rule(), value)
                }
                None => plan.columns[i].unwritten.clone(),
            };
            image.values.push(value);
        }
        if !plan.references.is_empty() && !self.has_parents(plan, &image)? {
            return self.recompute(plan, &image.ident);
        }
        match self.show_if_free(plan, &image)? {
            Some(rowid) => self.shown(plan, &image, rowid, false),
            None => self.put_pending(plan, &image),
        }
    }
}
