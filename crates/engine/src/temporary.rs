//! The temporary tables of a session: their definitions, their AUTO_INCREMENT values, and the catalog with them in it.
//!
//! A session with temporary tables sees every catalog with its own tables laid over it, under an epoch that no other
//! catalog has, so that plans are never shared by mistake.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use p2pdb_model::catalog::Table;
use p2pdb_model::change::SchemaChange;
use p2pdb_model::temporary::{Altered, TemporaryTables};
use p2pdb_model::{Catalog, ObjectId};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::plan::{Insert, InsertRows, Modify, Plan, PlanKind};
use p2pdb_store::{Connection, StoreError};

use crate::core::Core;
use crate::logged;

/// Temporary tables of one session.
pub(crate) const TEMPORARY_TABLES_MAX: usize = 1_024;

/// Epochs of catalogs with temporary tables: above all epochs of a writer.
static EPOCHS: AtomicU64 = AtomicU64::new(1 << 62);

/// See the module.
#[derive(Default)]
pub(crate) struct Temporary {
    tables: TemporaryTables,
    /// The last catalog that was asked for, and the epoch of the one beneath it.
    seen: RefCell<Option<(u64, Arc<Catalog>)>>,
    /// Greatest AUTO_INCREMENT value in use, per table.
    ids: HashMap<ObjectId, u64>,
    /// The open transaction made, dropped some: ROLLBACK says that they stay so.
    pub(crate) made: bool,
    pub(crate) dropped: bool,
}

impl Core {
    /// A catalog as this session sees it.
    pub(crate) fn catalog(&self, base: &Arc<Catalog>) -> Arc<Catalog> {
        self.temporary.over(base)
    }

    /// 1235 when SQL would read a temporary table where it is not: only programs come to that, whose statements nobody knew
    /// when the writer was asked for.
    pub(crate) fn may_read(&self, sql: &str) -> Result<(), SqlError> {
        let Some(copies) = self.copies.as_ref().filter(|_| !self.temporary.is_empty()) else { return Ok(()) };
        let missing = self.temporary.named_in(&[sql]).into_iter().find(|t| !copies.contains(&t.id));
        missing.map_or(Ok(()), |t| {
            let what = format!("the temporary table '{}' in a trigger or function at the writer", t.name);
            Err(SqlError::unsupported(what))
        })
    }
}

impl Temporary {
    fn over(&self, base: &Arc<Catalog>) -> Arc<Catalog> {
        // What was dropped may be written back by a ROLLBACK: a new table must have another id, and so another epoch.
        if self.tables.is_empty() && !self.dropped {
            return base.clone();
        }
        let seen = &mut *self.seen.borrow_mut();
        match seen {
            Some((epoch, catalog)) if *epoch == base.epoch => catalog.clone(),
            _ => {
                let epoch = EPOCHS.fetch_add(1, Ordering::Relaxed);
                let catalog = Arc::new(base.with_temporary(epoch, self.tables.iter()));
                *seen = Some((base.epoch, catalog.clone()));
                catalog
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.tables.len()
    }

    /// The tables with these changes, which the caller carries out.
    pub(crate) fn changed(
        &self,
        changes: &[SchemaChange],
        base: &Catalog,
    ) -> (TemporaryTables, Vec<Altered>) {
        let mut tables = self.tables.clone();
        let altered = tables.apply(changes, base);
        (tables, altered)
    }

    /// These are the tables from now on.
    pub(crate) fn put(&mut self, tables: TemporaryTables) {
        self.ids.retain(|id, _| tables.iter().any(|t| t.id == *id));
        self.tables = tables;
        *self.seen.borrow_mut() = None;
    }

    /// Those that any of a plan's SQL names. Their names in SQLite are in no other text.
    pub(crate) fn used_by(&self, plan: &Plan) -> Vec<Arc<Table>> {
        if self.tables.is_empty() {
            return Vec::new();
        }
        self.named_in(&texts(plan))
    }

    /// The same for SQL at hand.
    pub(crate) fn named_in(&self, texts: &[&str]) -> Vec<Arc<Table>> {
        let named = |t: &&Arc<Table>| {
            let name = t.physical();
            texts.iter().any(|text| text.contains(&name))
        };
        self.tables.iter().filter(named).cloned().collect()
    }

    /// The greatest AUTO_INCREMENT value in use, and the greatest possible.
    pub(crate) fn id_share(&mut self, db: &Connection, table: &Table) -> Result<(u64, u64), StoreError> {
        let high = logged::id_max(table);
        if let Some(floor) = self.ids.get(&table.id) {
            return Ok((*floor, high));
        }
        let floor = logged::greatest_id(db, table, &[table.physical()], 0, high)?;
        self.ids.insert(table.id, floor);
        Ok((floor, high))
    }

    pub(crate) fn raise_id_floor(&mut self, table: ObjectId, id: u64) {
        if let Some(floor) = self.ids.get_mut(&table) {
            *floor = (*floor).max(id);
        }
    }

    /// What the table was declared with does not count any more either.
    pub(crate) fn restart_ids(&mut self, table: ObjectId) {
        if self.tables.iter().any(|t| t.id == table) {
            self.ids.insert(table, 0);
        }
    }

    /// The next AUTO_INCREMENT value, for SHOW; `None` for a table of others.
    pub(crate) fn next_id(&self, db: &Connection, id: ObjectId) -> Option<u64> {
        let table = self.tables.iter().find(|t| t.id == id)?;
        let floor = match self.ids.get(&id) {
            Some(floor) => *floor,
            None => {
                logged::greatest_id(db, table, &[table.physical()], 0, logged::id_max(table)).unwrap_or(0)
            }
        };
        Some(floor.saturating_add(1))
    }
}

/// Every SQLite text of a plan.
fn texts(plan: &Plan) -> Vec<&str> {
    match &plan.kind {
        PlanKind::Query(q) => vec![&q.sql],
        PlanKind::Insert(Insert { sql, rows, .. }) => match rows {
            InsertRows::Values(_) => vec![sql],
            InsertRows::Select { query, .. } => vec![sql, &query.sql],
        },
        PlanKind::Modify(Modify { steps, .. }) => steps
            .iter()
            .flat_map(|s| std::iter::once(s.sql.as_str()).chain(s.collect.as_ref().map(|c| c.0.as_str())))
            .collect(),
        PlanKind::Ddl(_) | PlanKind::Session(_) | PlanKind::Program(_) => Vec::new(),
    }
}
