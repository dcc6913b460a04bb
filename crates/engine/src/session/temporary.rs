//! Statements about the session's temporary tables (`docs/transactions.md`, Temporary tables).
//!
//! What writes temporary tables only, and reads nothing that the writer alone sees, runs on the session's reader, without
//! the writer. Everything else runs at the writer, on copies that live for the statement; what it did to them is done
//! again on the reader. ROLLBACK plays the reader's writes backwards.

use std::ops::ControlFlow;
use std::sync::Arc;

use p2pdb_model::ObjectId;
use p2pdb_model::catalog::Table;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::plan::{InsertRows, Note, NoteLevel, Plan, PlanKind, Then};
use p2pdb_store::{Captured, Reader, StoreError};

use super::reading::keeps_snapshot;
use super::{Flow, STEPS_PER_US, Session, Transaction};
use crate::api::Outcome;
use crate::core::Core;
use crate::error::{DISK_FULL, store_to_sql};
use crate::statement::Bound;
use crate::tables::OwnTables;
use crate::temporary::TEMPORARY_TABLES_MAX;
use crate::writer::Writer;
use crate::{constraints, functions, local, run};

/// How a statement stands to the session's temporary tables.
pub(super) struct Use {
    /// Those that it names.
    pub(super) tables: Vec<Arc<Table>>,
    /// It writes no permanent table.
    pub(super) writes_own: bool,
    /// It reads permanent tables.
    pub(super) reads_others: bool,
}

impl Session {
    /// `None`: it has nothing to do with temporary tables.
    pub(super) fn own_use(&self, plan: &Plan) -> Option<Use> {
        let core = self.core();
        let tables = core.temporary.used_by(plan);
        if tables.is_empty() {
            return None;
        }
        let own = |id: &ObjectId| tables.iter().any(|t| t.id == *id);
        let (reads, writes) = match &plan.kind {
            PlanKind::Query(q) => (q.reads.all(), Vec::new()),
            PlanKind::Insert(i) => {
                let mut reads = i.reads.all();
                if let InsertRows::Select { query, .. } = &i.rows {
                    reads.extend(query.reads.all());
                }
                (reads, vec![i.table])
            }
            PlanKind::Modify(m) => (m.reads.all(), m.steps.iter().map(|s| s.table).collect()),
            PlanKind::Ddl(_) | PlanKind::Session(_) | PlanKind::Program(_) => (Vec::new(), Vec::new()),
        };
        let writes_own = writes.iter().all(own);
        let reads_others = plan.functions || reads.iter().any(|id| !own(id));
        Some(Use { tables, writes_own, reads_others })
    }

    /// INSERT, UPDATE or DELETE with temporary tables in it.
    pub(super) fn write_with_own(&mut self, bound: Bound, own: &Use) -> Flow {
        match &self.transaction {
            Transaction::Writing(lease) if !own.writes_own || own.reads_others => {
                let lease = *lease;
                self.write_on_lease(lease, &bound)
            }
            _ if own.writes_own => {
                let result = self.write_own(&bound, own.reads_others, false);
                self.finish(result)
            }
            Transaction::Reading(s) if s.read_only => self.refuse_to_write(),
            Transaction::None if self.core().state.autocommit => {
                if self.next_is_read_only() {
                    return self.refuse_to_write();
                }
                // A transaction of this one statement.
                self.lease(bound, true)
            }
            _ => self.lease(bound, false),
        }
    }

    /// Writes temporary tables on the reader. `alone`: it is no part of a transaction.
    pub(super) fn write_own(
        &mut self,
        bound: &Bound,
        reads_others: bool,
        alone: bool,
    ) -> Result<Outcome, SqlError> {
        let inside = !alone && (!self.core().state.autocommit || self.is_open());
        if inside && let Transaction::None = self.transaction {
            self.transaction = Transaction::Reading(self.fresh_snapshot(false));
        }
        self.open_own_reader()?;
        if let Transaction::Reading(s) = &mut self.transaction {
            s.own = true;
        }
        let plan = bound.statement.compiled().plan.clone();
        if reads_others {
            self.open_snapshot()?;
            if let Transaction::Reading(s) = &mut self.transaction {
                let (insert, modify) = match &plan.kind {
                    PlanKind::Insert(i) => (Some(i), None),
                    PlanKind::Modify(m) => (None, Some(m)),
                    _ => (None, None),
                };
                let rows = insert.and_then(|i| match &i.rows {
                    InsertRows::Select { query, .. } => Some(&query.reads),
                    InsertRows::Values(_) => None,
                });
                let all = [insert.map(|i| &i.reads), rows, modify.map(|m| &m.reads)];
                for table in all.into_iter().flatten().flat_map(|r| r.all()) {
                    s.reads.table(table);
                }
            }
        }
        let base = self.base_catalog();
        let mut reader = self.reader.take().ok_or_else(|| SqlError::new(1105, "HY000", "no reader"))?;
        let mut core = self.core.take().expect("invariant: the core is here while a statement begins");
        if let Transaction::Reading(s) = &mut self.transaction
            && reads_others
        {
            core.reads = Some(std::mem::take(&mut s.reads));
        }
        let begun_us = self.inner.clock.now_us();
        // Not interrupted by KILL: SQLite would take back more than this statement.
        *self.handle.interrupt.lock() = None;
        reader.clear_interrupt();
        let ran = match reader.write_temporary() {
            Ok(writer) => {
                let mut tables = OwnTables { inner: &self.inner, writer, base };
                let result = local::run(&mut tables, &mut core, bound);
                let ended = tables.writer.end(result.is_ok());
                (result, ended)
            }
            Err(e) => (Err(store_to_sql(&e)), Ok(())),
        };
        if let (Transaction::Reading(s), Some(reads)) = (&mut self.transaction, core.reads.take()) {
            s.reads = reads;
        }
        self.core = Some(core);
        let took_us = self.inner.clock.now_us().saturating_sub(begun_us);
        self.inner.note_cost(&plan, took_us.saturating_mul(STEPS_PER_US));
        if let Transaction::Reading(s) = &mut self.transaction
            && !keeps_snapshot(self.isolation)
            && let Some((_, at)) = s.begun.take()
        {
            self.seen.read(std::mem::take(&mut s.reads), at);
            reader.end().map_err(|e| store_to_sql(&e))?;
        }
        if !inside {
            reader.keep();
        }
        self.reader = Some(reader);
        let (result, ended) = ran;
        self.ended(ended)?;
        result.map_err(|e| match (e.code, self.core().temporary.used_by(&plan).first()) {
            (DISK_FULL, Some(t)) => SqlError::new(1114, "HY000", format!("The table '{}' is full", t.name)),
            _ => e,
        })
    }

    /// After the reader's SQLite transaction was taken back by a fault nobody knows what is in the tables.
    fn ended(&mut self, ended: Result<(), StoreError>) -> Result<(), SqlError> {
        ended.map_err(|e| {
            self.forget_own();
            store_to_sql(&e)
        })
    }

    /// [`Session::define_own`] as a statement of its own.
    pub(super) fn defined_own(&mut self, bound: &Bound) -> Flow {
        let tracks = self.tracks_state();
        let result = self.define_own(bound).map(|outcome| Outcome { state_changed: tracks, ..outcome });
        self.finish(result)
    }

    /// CREATE and DROP TEMPORARY TABLE; ALTER TABLE and its like of a temporary table, after their commit.
    pub(super) fn define_own(&mut self, bound: &Bound) -> Result<Outcome, SqlError> {
        let plan = bound.statement.compiled().plan.clone();
        let PlanKind::Ddl(ddl) = &plan.kind else { return Ok(Outcome::default()) };
        if let Transaction::Reading(s) = &self.transaction
            && s.read_only
        {
            return Err(read_only());
        }
        if matches!(self.transaction, Transaction::None) && self.next_is_read_only() {
            return Err(read_only());
        }
        let base = self.base_catalog();
        let (tables, altered) = self.core().temporary.changed(&ddl.temporary, &base);
        if tables.len() > TEMPORARY_TABLES_MAX.max(self.core().temporary.len()) {
            let message = format!("A session may have at most {TEMPORARY_TABLES_MAX} temporary tables");
            return Err(SqlError::new(1105, "HY000", message));
        }
        for note in &plan.notes {
            self.state().warn(note.clone());
        }
        if altered.is_empty() {
            return Ok(Outcome::default());
        }
        self.open_own_reader()?;
        let open = self.is_open();
        let (default, stamp) =
            (functions::meaning().default, p2pdb_model::Stamp::from_millis(self.inner.clock.now_ms()));
        let now_us = self.inner.clock.now_us();
        let core = self.core.as_mut().expect("invariant: the core is here while a statement begins");
        let reader = self.reader.as_mut().ok_or_else(|| SqlError::new(1105, "HY000", "no reader"))?;
        // As of a permanent table: by the session's sql_mode, with warnings.
        run::in_context(
            core,
            now_us,
            |c| c.writes = true,
            |core| constraints::present(reader, &ddl.checks, |e| run::failed(e, core)),
        )?;
        let (mut made, mut dropped) = (false, false);
        for a in &altered {
            let done = match (&a.before, &a.after) {
                (None, Some(t)) => {
                    made = true;
                    reader.create_temporary(t)
                }
                (Some(t), None) => {
                    dropped = true;
                    reader.drop_temporary(t.id)
                }
                (Some(before), Some(after)) => {
                    reader.reshape_temporary(before, after, &|c| default(c, stamp))
                }
                (None, None) => Ok(()),
            };
            done.map_err(|e| match e {
                StoreError::Constraint(_) => {
                    SqlError::new(1062, "23000", "Duplicate entry for a unique key".to_owned())
                }
                e => store_to_sql(&e),
            })?;
        }
        let own = &mut self.core_mut().temporary;
        own.put(tables);
        own.made |= made && open;
        own.dropped |= dropped && open;
        let [Then::Statement(text)] = ddl.then.as_slice() else { return Ok(Outcome::default()) };
        let filled = self.fill_own(text);
        if filled.is_err() {
            // CREATE TABLE … AS SELECT makes the table with its rows, or not at all.
            let new: Vec<ObjectId> = altered
                .iter()
                .filter(|a| a.before.is_none())
                .filter_map(|a| Some(a.after.as_ref()?.id))
                .collect();
            self.drop_own(&new);
        }
        filled
    }

    /// The INSERT behind CREATE TEMPORARY TABLE … AS SELECT.
    fn fill_own(&mut self, text: &str) -> Result<Outcome, SqlError> {
        let catalog = self.catalog();
        let statement = self.inner.compile(text.into(), &self.core().state, &catalog, None)?;
        let bound = Bound { statement, params: Arc::default() };
        let own = self.own_use(&bound.statement.compiled().plan);
        match (&self.transaction, own) {
            (Transaction::Writing(lease), Some(Use { reads_others: true, .. })) => {
                let lease = *lease;
                self.statement_on_lease(lease, &bound)
            }
            (_, own) => self.write_own(&bound, own.is_some_and(|o| o.reads_others), false),
        }
    }

    fn drop_own(&mut self, ids: &[ObjectId]) {
        let base = self.base_catalog();
        let changes: Vec<_> =
            ids.iter().map(|id| p2pdb_model::change::SchemaChange::Drop { id: *id }).collect();
        let (tables, _) = self.core().temporary.changed(&changes, &base);
        if let Some(reader) = &self.reader {
            for id in ids {
                if let Err(e) = reader.drop_temporary(*id) {
                    tracing::warn!(error = %e, "a temporary table could not be dropped");
                }
            }
        }
        self.core_mut().temporary.put(tables);
    }

    fn open_own_reader(&mut self) -> Result<(), SqlError> {
        if self.reader.is_none() {
            // The tables went with the reader that they were on.
            self.forget_own();
        }
        self.open_reader()?;
        match &mut self.reader {
            Some(reader) => reader.hold_temporary().map_err(|e| store_to_sql(&e)),
            None => Ok(()),
        }
    }

    /// Without temporary tables from now on.
    pub(super) fn forget_own(&mut self) {
        self.own_savepoints.clear();
        if let Some(reader) = self.reader.take_if(|r| r.holds_temporary()) {
            drop(reader);
        }
        if let Some(core) = &mut self.core {
            core.temporary = Default::default();
        }
    }

    /// The transaction has ended: what it wrote to temporary tables stays, or is taken back.
    pub(super) fn end_own(&mut self, keep: bool) {
        self.own_savepoints.clear();
        let Some(reader) = self.reader.as_mut().filter(|r| r.holds_temporary()) else { return };
        let ended = match keep {
            true => {
                reader.keep();
                Ok(())
            }
            false => reader.undo(0),
        };
        if let Err(e) = self.ended(ended) {
            tracing::error!(error = %e.message, "what was written to temporary tables could not be taken back");
        }
        if let Some(core) = &mut self.core {
            let own = &mut core.temporary;
            let said = [
                (own.made, 1751, "The creation of some temporary tables could not be rolled back."),
                (
                    own.dropped,
                    1752,
                    "Some temporary tables were dropped, but these operations could not be rolled back.",
                ),
            ];
            (own.made, own.dropped) = (false, false);
            for (_, code, message) in said.into_iter().filter(|(so, ..)| *so && !keep) {
                core.state.warn(Note { level: NoteLevel::Warning, code, message: message.to_owned() });
            }
        }
    }

    /// SAVEPOINT, for what is written to temporary tables.
    pub(super) fn mark_own(&mut self, name: &str) {
        let Some(reader) = self.reader.as_ref().filter(|r| r.holds_temporary()) else { return };
        let mark = reader.capture_mark();
        self.own_savepoints.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.own_savepoints.push((name.to_owned(), mark));
    }

    /// ROLLBACK TO (`undo`) and RELEASE. A savepoint set before there were any temporary tables is older than all that was
    /// written to them.
    pub(super) fn end_mark_own(&mut self, name: &str, undo: bool) -> Result<(), SqlError> {
        let at = self.own_savepoints.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
        let mark = at.map_or(0, |i| self.own_savepoints[i].1);
        self.own_savepoints.truncate(at.map_or(0, |i| if undo { i + 1 } else { i }));
        match &mut self.reader {
            Some(reader) if undo && reader.holds_temporary() => {
                let undone = reader.undo(mark);
                self.ended(undone)
            }
            _ => Ok(()),
        }
    }
}

/// Runs `f` at the writer with copies of these temporary tables, and gives what it changed in them.
pub(super) fn with_copies<T>(
    core: &mut Core,
    writer: &mut Writer,
    reader: Option<&Reader>,
    tables: &[Arc<Table>],
    f: impl FnOnce(&mut Core, &mut Writer) -> Result<T, SqlError>,
) -> Result<(T, Vec<Captured>), SqlError> {
    core.copies = Some(tables.iter().map(|t| t.id).collect());
    let Some(reader) = reader.filter(|_| !tables.is_empty()) else {
        return f(core, writer).map(|t| (t, Vec::new()));
    };
    let mark = writer.db.capture_mark();
    let mut flow = ControlFlow::Continue(());
    for t in tables {
        if let Err(e) = writer.db.copy_temporary(reader, t) {
            flow = ControlFlow::Break(store_to_sql(&e));
            break;
        }
    }
    let result = match flow {
        ControlFlow::Continue(()) => f(core, writer),
        ControlFlow::Break(e) => Err(e),
    };
    let changes = writer.db.take_temporary(mark);
    if writer.db.check().is_ok() {
        let capture = writer.db.set_capture(false);
        let dropped: Result<(), StoreError> = tables.iter().try_for_each(|t| writer.db.drop_temporary(t.id));
        writer.db.set_capture(capture);
        dropped.map_err(|e| store_to_sql(&e))?;
    }
    result.map(|t| (t, changes))
}

pub(super) fn read_only() -> SqlError {
    SqlError::new(1792, "25006", "Cannot execute statement in a READ ONLY transaction.")
}
