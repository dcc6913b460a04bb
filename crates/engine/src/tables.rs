//! What running a statement asks of the tables that it writes: the writer's, or a session's own temporary ones.

use std::sync::Arc;

use p2pdb_model::catalog::Table;
use p2pdb_model::change::SchemaChange;
use p2pdb_model::{Catalog, ColumnTag, ObjectId, Value};
use p2pdb_store::{
    Connection, Decision, Found, Savepoint, StoreError, TableChecks, TemporaryWriter, TxNo, Violation,
};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::logged::Ancestry;
use crate::writer::Writer;

/// What columns are to hold.
pub(crate) type Cells = [(p2pdb_model::ColumnTag, Value)];

/// What came of giving a row that waits other values.
pub(crate) enum Mended {
    /// No row that waits has the key.
    Nothing,
    /// Several do.
    Several,
    /// The row is visible anyway.
    Visible,
    /// It is written, and is there or not.
    Written(p2pdb_store::Standing),
}

/// See the module.
pub(crate) trait Tables {
    fn db(&self) -> &Connection;

    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError>;

    fn now_us(&self) -> u64;

    fn random(&self) -> [u8; 16];

    /// The catalog without temporary tables.
    fn base(&self) -> Arc<Catalog>;

    fn savepoint(&mut self) -> Result<Savepoint, StoreError>;

    fn rollback_to(&mut self, savepoint: Savepoint) -> Result<(), StoreError>;

    fn release(&mut self, savepoint: Savepoint) -> Result<(), StoreError>;

    /// These are the tables that all sessions see.
    fn is_shared(&self) -> bool;

    /// No fault has taken the SQLite transaction back.
    fn is_alive(&self) -> bool;

    /// What goes into the hidden version of the rows that are written.
    fn version(&mut self) -> Result<TxNo, EngineError>;

    /// This node's share of a permanent table's AUTO_INCREMENT values (see [`Writer::id_share`]).
    fn id_share(&mut self, table: &Table) -> Result<Option<(u64, u64)>, StoreError>;

    fn raise_id_floor(&mut self, table: ObjectId, id: u64);

    /// The columns that an insert of the account that writes may not give values to, and what they hold then.
    fn left_out(&mut self, table: &Table) -> Result<Vec<(ColumnTag, Value)>, EngineError>;

    fn note_generated(&mut self, table: ObjectId, id: u64);

    /// The table was emptied by TRUNCATE: its AUTO_INCREMENT values begin anew.
    fn restart_ids(&mut self, table: &Table) -> Result<(), StoreError>;

    /// A reference or claim that what was captured since `mark` violates; carries referential actions out.
    fn violation(&mut self, mark: usize, foreign_keys: bool) -> Result<Option<Violation>, StoreError>;

    /// The CHECKs of the table that SQLite knows by this name; `catalog` has the temporary tables, too.
    fn checks(&mut self, catalog: &Catalog, name: &str) -> Result<Option<TableChecks>, StoreError>;

    fn schema(&mut self, changes: Vec<SchemaChange>) -> Result<(), EngineError>;

    /// The writer; none where only temporary tables are.
    fn writer(&mut self) -> Option<&mut Writer>;

    /// The tables of this name that are gone, as far as drops are.
    fn dropped_named(&self, database: &str, name: &str) -> Result<Vec<Arc<Table>>, EngineError>;

    /// Carries a decision about a conflict out.
    fn resolve(&mut self, table: ObjectId, key: &[Value], how: Decision) -> Result<Found<()>, EngineError>;

    /// Gives the displaced row of this key other values, and says where it is then.
    fn mend(
        &mut self,
        table: ObjectId,
        key: &[Value],
        cells: &Cells,
        checks: bool,
    ) -> Result<Mended, EngineError>;
}

impl Tables for Writer {
    fn db(&self) -> &Connection {
        &self.db
    }

    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.db.execute(sql, values)
    }

    fn now_us(&self) -> u64 {
        self.clock.now_us()
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes
    }

    fn base(&self) -> Arc<Catalog> {
        self.catalog.clone()
    }

    fn savepoint(&mut self) -> Result<Savepoint, StoreError> {
        self.db.savepoint()
    }

    fn rollback_to(&mut self, savepoint: Savepoint) -> Result<(), StoreError> {
        self.db.rollback_to(savepoint)
    }

    fn release(&mut self, savepoint: Savepoint) -> Result<(), StoreError> {
        self.db.release(savepoint)
    }

    fn is_alive(&self) -> bool {
        self.db.check().is_ok()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn version(&mut self) -> Result<TxNo, EngineError> {
        self.tx_site().map(|s| s.no)
    }

    fn id_share(&mut self, table: &Table) -> Result<Option<(u64, u64)>, StoreError> {
        Writer::id_share(self, table)
    }

    fn raise_id_floor(&mut self, table: ObjectId, id: u64) {
        Writer::raise_id_floor(self, table, id);
    }

    fn left_out(&mut self, table: &Table) -> Result<Vec<(ColumnTag, Value)>, EngineError> {
        Writer::left_out(self, table)
    }

    fn note_generated(&mut self, table: ObjectId, id: u64) {
        Writer::note_generated(self, table, id);
    }

    fn restart_ids(&mut self, table: &Table) -> Result<(), StoreError> {
        if let Some(declared) = table.def.auto_increment {
            self.db.put_meta(&p2pdb_store::meta::emptied(table.id), &declared.to_be_bytes())?;
        }
        self.forget_ids(table.id);
        Ok(())
    }

    fn violation(&mut self, mark: usize, foreign_keys: bool) -> Result<Option<Violation>, StoreError> {
        self.note_foreign_key_checks(foreign_keys);
        let Writer { merger, db, .. } = self;
        merger.check(db, mark, foreign_keys)
    }

    fn checks(&mut self, _: &Catalog, name: &str) -> Result<Option<TableChecks>, StoreError> {
        let Writer { merger, db, .. } = self;
        merger.checks(db, name)
    }

    fn schema(&mut self, changes: Vec<SchemaChange>) -> Result<(), EngineError> {
        Writer::schema(self, changes)
    }

    fn writer(&mut self) -> Option<&mut Writer> {
        Some(self)
    }

    fn dropped_named(&self, database: &str, name: &str) -> Result<Vec<Arc<Table>>, EngineError> {
        let ancestry = Ancestry::new(&self.dag, &self.db);
        Ok(self.merger.dropped_named(&|a, b| ancestry.ask(a, b), database, name)?)
    }

    fn resolve(&mut self, table: ObjectId, key: &[Value], how: Decision) -> Result<Found<()>, EngineError> {
        Writer::resolve(self, table, key, how)
    }

    fn mend(
        &mut self,
        table: ObjectId,
        key: &[Value],
        cells: &Cells,
        checks: bool,
    ) -> Result<Mended, EngineError> {
        Writer::mend(self, table, key, cells, checks)
    }
}

/// A session's temporary tables, on its reader.
pub(crate) struct OwnTables<'r> {
    pub(crate) inner: &'r Inner,
    pub(crate) writer: TemporaryWriter<'r>,
    pub(crate) base: Arc<Catalog>,
}

impl Tables for OwnTables<'_> {
    fn db(&self) -> &Connection {
        self.writer.db()
    }

    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        self.writer.check()?;
        self.writer.db().execute(sql, values)
    }

    fn now_us(&self) -> u64 {
        self.inner.clock.now_us()
    }

    fn random(&self) -> [u8; 16] {
        self.inner.random()
    }

    fn base(&self) -> Arc<Catalog> {
        self.base.clone()
    }

    fn savepoint(&mut self) -> Result<Savepoint, StoreError> {
        self.writer.savepoint()
    }

    fn rollback_to(&mut self, savepoint: Savepoint) -> Result<(), StoreError> {
        self.writer.rollback_to(savepoint)
    }

    fn release(&mut self, savepoint: Savepoint) -> Result<(), StoreError> {
        self.writer.release(savepoint)
    }

    fn is_alive(&self) -> bool {
        self.writer.check().is_ok()
    }

    fn is_shared(&self) -> bool {
        false
    }

    /// Nobody asks for versions of rows that no other session sees.
    fn version(&mut self) -> Result<TxNo, EngineError> {
        Ok(TxNo(0))
    }

    // What belongs to permanent tables is not here: a statement comes here only when it writes none.

    fn id_share(&mut self, _: &Table) -> Result<Option<(u64, u64)>, StoreError> {
        Ok(None)
    }

    fn raise_id_floor(&mut self, _: ObjectId, _: u64) {}

    fn left_out(&mut self, _: &Table) -> Result<Vec<(ColumnTag, Value)>, EngineError> {
        Ok(Vec::new())
    }

    fn note_generated(&mut self, _: ObjectId, _: u64) {}

    fn restart_ids(&mut self, _: &Table) -> Result<(), StoreError> {
        Ok(())
    }

    fn violation(&mut self, _: usize, _: bool) -> Result<Option<Violation>, StoreError> {
        Ok(None)
    }

    fn checks(&mut self, catalog: &Catalog, name: &str) -> Result<Option<TableChecks>, StoreError> {
        let mut own = catalog.tables().filter(|t| catalog.is_temporary(t.id));
        let Some(table) = own.find(|t| t.physical() == name) else { return Ok(None) };
        let enforced = table.checks.iter().filter(|c| c.def.enforced);
        let violated = enforced.filter_map(|check| {
            let condition = p2pdb_sql::dml::lower_check(table, check).ok()?;
            Some((check.id, format!("SELECT 1 FROM {name} WHERE rowid = ?1 AND NOT ({condition})")))
        });
        Ok(Some(TableChecks { table: table.id, violated: violated.collect() }))
    }

    fn schema(&mut self, _: Vec<SchemaChange>) -> Result<(), EngineError> {
        Err(EngineError::State("a change of the schema outside of the writer".to_owned()))
    }

    fn writer(&mut self) -> Option<&mut Writer> {
        None
    }

    fn dropped_named(&self, _: &str, _: &str) -> Result<Vec<Arc<Table>>, EngineError> {
        Ok(Vec::new())
    }

    fn mend(&mut self, _: ObjectId, _: &[Value], _: &Cells, _: bool) -> Result<Mended, EngineError> {
        Ok(Mended::Nothing)
    }

    fn resolve(&mut self, _: ObjectId, _: &[Value], _: Decision) -> Result<Found<()>, EngineError> {
        Err(EngineError::State("a decision outside of the writer".to_owned()))
    }
}
