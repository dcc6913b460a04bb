//! A connection to the realm's file: prepared statements by text, parameters, rows, errors.
//!
//! [`Connection`] is what readers and the writer have in common; both deref to it. Statements are prepared once
//! per text and kept ([`STATEMENTS_MAX`]). A statement that fails leaves the capture as it was before it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use p2pdb_model::ColumnTag;
use rusqlite::StatementStatus;
use rusqlite::wal::CheckpointMode;

use crate::capture::{Capture, Captured, Installed};
use crate::error::{Result, StoreError};
use crate::functions::ErrorSlot;
use crate::index::GreatestKeys;
use crate::log_read::LogCache;
use crate::query::{Flow, Params, Row};
use crate::sqlite::Bind;

/// Prepared statements kept per connection.
pub const STATEMENTS_MAX: usize = 256;

/// How often SQLite asks whether to go on, in steps of its virtual machine.
pub const PROGRESS_STEPS: u64 = 1000;

/// What a statement cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Rows given to the callback.
    pub rows: u64,
    /// Steps of SQLite's virtual machine.
    pub steps: u64,
}

/// How far a checkpoint came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// Pages in the write-ahead log.
    pub log_pages: u64,
    /// Of these, pages now in the database file.
    pub moved_pages: u64,
}

/// A connection, used by one thread at a time.
pub struct Connection {
    // Before `db`: the hook must go before the connection is closed.
    _hook: Option<Installed>,
    pub(crate) capture: Option<Arc<Capture>>,
    pub(crate) db: rusqlite::Connection,
    slot: ErrorSlot,
    control: Arc<Control>,
    pub(crate) log_cache: RefCell<LogCache>,
    pub(crate) greatest: RefCell<GreatestKeys>,
}

/// As long as it lives, all that is read on a connection is of one state.
pub struct OneState<'a>(Option<&'a Connection>);

impl Drop for OneState<'_> {
    fn drop(&mut self) {
        if let Some(db) = self.0
            && let Err(e) = db.execute("COMMIT", ())
        {
            tracing::error!(error = %e, "a read could not be ended");
        }
    }
}

/// What the progress handler looks at.
#[derive(Debug, Default)]
struct Control {
    interrupted: AtomicBool,
    late: Late,
    /// 0: no budget.
    budget: AtomicU64,
    used: AtomicU64,
}

/// Says when a statement has taken too long.
#[derive(Default)]
struct Late(Mutex<Option<Arc<dyn Fn() -> bool + Send + Sync>>>);

impl std::fmt::Debug for Late {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Late")
    }
}

impl Late {
    fn is(&self) -> bool {
        self.0.lock().unwrap_or_else(|p| p.into_inner()).as_ref().is_some_and(|late| late())
    }
}

/// Stops what a connection is doing, from any thread.
#[derive(Clone)]
pub struct InterruptHandle {
    control: Arc<Control>,
}

impl InterruptHandle {
    /// Stops the running statement, or the next one to run for long, with [`StoreError::Interrupted`]; stays in
    /// force until [`Connection::clear_interrupt`], so that an interrupt between two statements is not lost.
    ///
    /// On the writer this costs the whole SQLite transaction: SQLite rolls it back when it interrupts a
    /// statement that writes.
    pub fn interrupt(&self) {
        self.control.interrupted.store(true, Relaxed);
    }
}

impl Connection {
    /// Holds the newest state for several reads, whatever is committed from now on. Inside a transaction that is its own.
    ///
    /// # Errors
    /// SQLite's.
    pub fn one_state(&self) -> Result<OneState<'_>> {
        if !self.db.is_autocommit() {
            return Ok(OneState(None));
        }
        self.execute("BEGIN", ())?;
        let held = OneState(Some(self));
        // SQLite takes the state with the first read.
        self.last_block()?;
        Ok(held)
    }

    /// Takes over an open SQLite connection on which nothing has been prepared yet.
    pub(crate) fn new(
        mut db: rusqlite::Connection,
        slot: ErrorSlot,
        capture: Option<Arc<Capture>>,
    ) -> Result<Self> {
        let hook = capture.as_ref().map(|c| Installed::new(&db, c));
        db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        let control = Arc::new(Control::default());
        let seen = control.clone();
        db.progress_handler(
            PROGRESS_STEPS as i32,
            Some(move || {
                let used = seen.used.fetch_add(PROGRESS_STEPS, Relaxed) + PROGRESS_STEPS;
                let budget = seen.budget.load(Relaxed);
                seen.interrupted.load(Relaxed) || (budget > 0 && used > budget) || seen.late.is()
            }),
        )?;
        Ok(Self {
            _hook: hook,
            capture,
            db,
            slot,
            control,
            log_cache: RefCell::default(),
            greatest: RefCell::default(),
        })
    }

    /// A handle to stop this connection from elsewhere.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle { control: self.control.clone() }
    }

    /// Ends the effect of [`InterruptHandle::interrupt`].
    pub fn clear_interrupt(&self) {
        self.control.interrupted.store(false, Relaxed);
    }

    /// From here on a statement fails with [`StoreError::StepBudget`] as soon as this says that it is late; `None` for as
    /// long as it takes.
    pub fn set_late(&self, late: Option<Arc<dyn Fn() -> bool + Send + Sync>>) {
        *self.control.late.0.lock().unwrap_or_else(|p| p.into_inner()) = late;
    }

    /// From here on statements may together use about this many steps before [`StoreError::StepBudget`]; `None`
    /// for no limit. Counted in units of [`PROGRESS_STEPS`].
    pub fn set_step_budget(&self, steps: Option<u64>) {
        self.control.used.store(0, Relaxed);
        self.control.budget.store(steps.unwrap_or(0), Relaxed);
    }

    /// Runs a statement that returns no rows; says how many rows it changed.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<u64> {
        let mark = self.mark();
        let mut statement = self.prepare(sql, &params)?;
        let changed = statement.raw_execute().map_err(|e| self.undone(mark, e))?;
        self.check_capture(&statement)?;
        Ok(changed as u64)
    }

    /// Runs several statements without parameters (DDL). Not while capture is on.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        self.db.execute_batch(sql).map_err(|e| self.fault(e))
    }

    /// Runs a statement and gives each row to `each`, until there are no more or it says [`STOP`](crate::STOP).
    pub fn query(
        &self,
        sql: &str,
        params: impl Params,
        mut each: impl FnMut(&Row<'_>) -> Result<Flow>,
    ) -> Result<Cost> {
        let mark = self.mark();
        let mut statement = self.prepare(sql, &params)?;
        let columns = statement.column_count();
        let mut rows = 0;
        let mut cursor = statement.raw_query();
        while let Some(row) = cursor.next().map_err(|e| self.undone(mark, e))? {
            rows += 1;
            if each(&Row::new(row, columns))?.is_break() {
                break;
            }
        }
        drop(cursor);
        let steps = statement.reset_status(StatementStatus::VmStep);
        self.check_capture(&statement)?;
        Ok(Cost { rows, steps: u64::try_from(steps).unwrap_or_default() })
    }

    /// The first row, as `f` reads it, if there is one.
    pub fn query_one<T>(
        &self,
        sql: &str,
        params: impl Params,
        f: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut f = Some(f);
        let mut found = None;
        self.query(sql, params, |row| {
            if let Some(f) = f.take() {
                found = Some(f(row)?);
            }
            Ok(crate::query::STOP)
        })?;
        Ok(found)
    }

    /// Names of a statement's result columns; also shows that SQLite accepts it.
    pub fn columns(&self, sql: &str) -> Result<Vec<String>> {
        let statement = self.db.prepare_cached(sql).map_err(|e| self.fault(e))?;
        Ok(statement.column_names().map(str::to_owned).collect())
    }

    /// The rowid of the last row inserted on this connection.
    pub fn last_insert_rowid(&self) -> i64 {
        self.db.last_insert_rowid()
    }

    /// Throws prepared statements away: after DDL, so that none keeps an old plan.
    pub fn forget_statements(&self) {
        self.db.flush_prepared_statement_cache();
    }

    fn prepare(&self, sql: &str, params: &impl Params) -> Result<rusqlite::CachedStatement<'_>> {
        let mut statement = self.db.prepare_cached(sql).map_err(|e| self.fault(e))?;
        let wanted = statement.parameter_count();
        if wanted != params.count() {
            return Err(rusqlite::Error::InvalidParameterCount(params.count(), wanted).into());
        }
        for i in 0..wanted {
            statement.raw_bind_parameter(i + 1, Bind(params.at(i)))?;
        }
        Ok(statement)
    }

    /// Moves what it can from the write-ahead log into the database file, without waiting for anybody.
    pub(crate) fn run_checkpoint(&self) -> Result<CheckpointReport> {
        let result = self.db.wal_checkpoint_v2(Some("main"), CheckpointMode::PASSIVE);
        let (log, moved) = result.map_err(|e| self.fault(e))?;
        let pages = |n: i32| u64::try_from(n).unwrap_or_default();
        Ok(CheckpointReport { log_pages: pages(log), moved_pages: pages(moved) })
    }

    /// From here on changes can be captured. Before anything that writes is prepared.
    pub(crate) fn install(&mut self, capture: Arc<Capture>) {
        self._hook = Some(Installed::new(&self.db, &capture));
        self.capture = Some(capture);
    }

    /// Turns the capture of changes on or off; says what it was. Off at the beginning of each transaction of the writer.
    pub fn set_capture(&self, on: bool) -> bool {
        self.capture.as_ref().is_some_and(|c| c.set(on))
    }

    /// How many changes are captured: a place for [`Connection::captured_since`] and [`Connection::take_captured`].
    pub fn capture_mark(&self) -> usize {
        self.mark()
    }

    /// Takes out the changes captured since `mark`, in the order in which they happened.
    ///
    /// Take at the end of a local transaction, when no savepoint inside it can be rolled back to any more.
    pub fn take_captured(&self, mark: usize) -> Vec<Captured> {
        self.capture.as_ref().map_or_else(Vec::new, |c| c.take(mark))
    }

    /// Says of the changes captured since `mark` that they came from a statement that adds to these columns, rather than
    /// assigning to them.
    pub fn mark_adjusted(&self, mark: usize, columns: &Arc<[ColumnTag]>) {
        if let Some(capture) = &self.capture {
            capture.adjusted(mark, columns);
        }
    }

    /// The same, those of temporary tables only.
    pub fn take_temporary(&self, mark: usize) -> Vec<Captured> {
        self.capture.as_ref().map_or_else(Vec::new, |c| c.take_temporary(mark))
    }

    /// Looks at the changes captured since `mark`.
    pub fn captured_since<T>(&self, mark: usize, f: impl FnOnce(&[Captured]) -> T) -> T {
        match &self.capture {
            Some(capture) => capture.with(mark, f),
            None => f(&[]),
        }
    }

    fn mark(&self) -> usize {
        self.capture.as_ref().map_or(0, |c| c.mark())
    }

    /// A statement failed in SQLite, which has undone it: its captured changes go as well.
    fn undone(&self, mark: usize, e: rusqlite::Error) -> StoreError {
        if let Some(capture) = &self.capture {
            capture.truncate(mark);
        }
        self.fault(e)
    }

    /// A statement that writes went through: were all its changes captured? If not, its rows are there until the
    /// caller rolls back, and so is the fault. (Reads, and rolling back itself, are not held up.)
    fn check_capture(&self, statement: &rusqlite::Statement<'_>) -> Result<()> {
        match &self.capture {
            Some(capture) if !statement.readonly() => capture.check(),
            _ => Ok(()),
        }
    }

    /// Makes SQLite's error ours: a function's own error, the budget, the rest by code.
    pub(crate) fn fault(&self, e: rusqlite::Error) -> StoreError {
        if let Some(raised) = self.slot.lock().unwrap_or_else(|p| p.into_inner()).take() {
            return StoreError::Function(raised);
        }
        match StoreError::from(e) {
            StoreError::Interrupted if !self.control.interrupted.load(Relaxed) => {
                StoreError::StepBudget(self.control.budget.load(Relaxed))
            }
            e => e,
        }
    }
}
