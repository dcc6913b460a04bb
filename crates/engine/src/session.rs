//! A client's session: which statement runs where, and what a transaction has read.
//!
//! Reads run on the session's own connection, in the caller's thread. Writes go to the writer: an autocommit statement as
//! a job of its own, a transaction by a lease from its first write on (`docs/transactions.md`). What cannot be done
//! at once is a [`Progress::Waiting`]; the embedder waits in its own way and calls [`Session::resume`].

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use p2pdb_model::{Catalog, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::field::{Field, FieldKind, FieldType};
use p2pdb_sql::front::{Literal, LiteralKind, Scope};
use p2pdb_sql::plan::{
    Call, CallFunction, Note, NoteLevel, PlanKind, Query, ReadSet, Scalar, SessionCommand,
};
use p2pdb_sql::session::{Isolation, SessionState, UserVariable};
use p2pdb_store::{PooledReader, TxNo};

use crate::api::{Outcome, SessionOptions, Sink};
use crate::calls;
use crate::core::{Core, Handle};
use crate::engine::Inner;
use crate::error::store_to_sql;
use crate::job::{Done, EndLease, Job, LeaseJob, StatementJob};
use crate::queue::LeaseId;
use crate::read_set::Reads;
use crate::run::{self, RunOn};
use crate::statement::{Bound, Statement};
use crate::wait::{Taker, Wait, handoff};
use crate::words;

/// Statements that a session may keep by PREPARE … FROM.
pub const NAMED_STATEMENTS_MAX: usize = 1_024;

/// Steps of SQLite's machine in a microsecond, about: what statements that write cost is known as time only.
const STEPS_PER_US: u64 = 50;

/// What came of a call.
pub enum Progress {
    /// The statement is over.
    Done(Result<Outcome, SqlError>),
    /// It waits; call [`Session::resume`] when the wait is ready.
    Waiting(Wait),
}

/// Where the session's transaction stands.
enum Transaction {
    /// None is open.
    None,
    /// Open, has written nothing.
    Reading(Snapshot),
    /// Holds the writer.
    Writing(LeaseId),
    /// The writer was taken away (idle for too long): the next statement gets 1213.
    Lost,
}

#[derive(Default)]
struct Snapshot {
    /// The snapshot's catalog, its last transaction and what was read, once something was.
    begun: Option<(Arc<Catalog>, TxNo)>,
    reads: Reads,
    read_only: bool,
    /// Savepoints set before the first write, in order.
    savepoints: Vec<String>,
    /// Begun by BEGIN rather than by autocommit = 0.
    explicit: bool,
}

enum Waiting {
    Statement(Taker<Done>),
    Lease { taker: Taker<Result<LeaseId, SqlError>>, bound: Bound },
    Commit { taker: Taker<Result<Option<String>, SqlError>>, then: Then },
    Call { taker: Taker<calls::Answer>, bound: Bound },
}

/// What to do after a COMMIT.
enum Then {
    /// Report it.
    Report,
    /// Report this error, of a statement that commits before it looks.
    Fail(SqlError),
    /// Run this statement (an implicit commit came before it).
    Run(Bound),
    /// The commands behind it.
    Commands(VecDeque<SessionCommand>, Bound),
}

/// See [`Session::prove`].
struct Unproven {
    catalog: Arc<Catalog>,
    snapshot: TxNo,
    reads: Reads,
}

/// A client's session.
pub struct Session {
    inner: Arc<Inner>,
    core: Option<Box<Core>>,
    handle: Arc<Handle>,
    reader: Option<PooledReader>,
    transaction: Transaction,
    /// SET TRANSACTION for the next one: isolation, read only.
    next: (Option<Isolation>, Option<bool>),
    isolation: Isolation,
    /// What the open transaction read in its snapshot before it began to write, until that is proven to hold still. The
    /// reader stays in the snapshot as long.
    unproven: Option<Unproven>,
    /// The statement at the writer is DROP DATABASE.
    drops_database: bool,
    waiting: Option<Waiting>,
    named: HashMap<String, Statement>,
    /// LOCK TABLES is in force.
    tables_locked: bool,
}

impl Session {
    pub(crate) fn new(inner: Arc<Inner>, core: Box<Core>) -> Self {
        let handle = core.handle.clone();
        Session {
            inner,
            handle,
            isolation: core.state.isolation,
            core: Some(core),
            reader: None,
            transaction: Transaction::None,
            next: (None, None),
            unproven: None,
            drops_database: false,
            waiting: None,
            named: HashMap::new(),
            tables_locked: false,
        }
    }

    fn core(&self) -> &Core {
        self.core
            .as_ref()
            .expect("invariant: the core is here whenever the session is not waiting for a statement")
    }

    fn state(&mut self) -> &mut SessionState {
        &mut self
            .core
            .as_mut()
            .expect("invariant: the core is here whenever the session is not waiting for a statement")
            .state
    }

    /// The SQL state: variables, current database, warnings.
    pub fn sql_state(&self) -> &SessionState {
        &self.core().state
    }

    /// Inside a transaction, as the protocol's status flag says it.
    pub fn in_transaction(&self) -> bool {
        match &self.transaction {
            Transaction::None => false,
            Transaction::Reading(s) => s.explicit || s.begun.is_some(),
            Transaction::Writing(_) | Transaction::Lost => true,
        }
    }

    /// `autocommit`.
    pub fn autocommit(&self) -> bool {
        self.core().state.autocommit
    }

    /// The connection was killed: close it.
    pub fn killed(&self) -> bool {
        self.handle.connection_killed()
    }

    fn catalog(&self) -> Arc<Catalog> {
        match &self.transaction {
            Transaction::Reading(Snapshot { begun: Some((catalog, _)), .. }) => catalog.clone(),
            _ => self.inner.published.load().catalog.clone(),
        }
    }

    /// Compiles one statement.
    ///
    /// # Errors
    /// Whatever is wrong with the text: syntax (also a second statement), names, types; 1235 for what is not supported.
    pub fn prepare(&mut self, text: &str) -> Result<Statement, SqlError> {
        if text.trim_end_matches(|c: char| c == ';' || c.is_whitespace()).contains(';')
            && let [_, second, ..] = self.split(text)[..]
        {
            let at = second.as_ptr() as usize - text.as_ptr() as usize;
            return Err(SqlError::syntax(second, 1 + text[..at].matches('\n').count() as u64));
        }
        let catalog = self.catalog();
        match self.inner.compile(text.into(), &self.core().state, &catalog, None) {
            // A schema statement commits what is open also when it fails.
            Err(e) if self.in_transaction() && e.code != SYNTAX_ERROR && is_schema_statement(text) => {
                let commit = self.inner.compile("COMMIT".into(), &self.core().state, &catalog, None)?;
                Ok(commit.failing(e))
            }
            other => other,
        }
    }

    /// Cuts a text of several statements apart.
    pub fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        p2pdb_sql::front::split_statements(text, self.core().state.sql_mode)
    }

    /// The statement may run for long: better not on a thread that others need.
    pub fn is_long(&self, statement: &Statement) -> bool {
        let plan = statement.likely_plan();
        match &plan.kind {
            PlanKind::Query(q) => !q.short && self.inner.was_long(&plan),
            // Outside of a transaction it runs in the writer's thread.
            PlanKind::Insert(_) | PlanKind::Modify(_) => {
                matches!(self.transaction, Transaction::Writing(_)) && self.inner.was_long(&plan)
            }
            PlanKind::Ddl(_) | PlanKind::Session(_) => false,
        }
    }

    /// Runs a statement. An error ends the statement, not the transaction (but for 1213, which rolls it back).
    pub fn start(&mut self, statement: &Statement, params: Vec<Literal>, sink: &mut dyn Sink) -> Progress {
        debug_assert!(self.waiting.is_none(), "a session runs one statement at a time");
        if params.len() != statement.params() {
            return Progress::Done(Err(SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE")));
        }
        self.handle.take_kill();
        if let Some(reader) = &self.reader {
            reader.clear_interrupt();
        }
        {
            let mut doing = self.handle.doing.lock();
            doing.0 = Some(statement.text().clone());
            if doing.1 != self.core().state.database {
                doing.1.clone_from(&self.core().state.database);
            }
        }
        self.handle.since_us.store(self.inner.clock.now_us(), Ordering::Relaxed);
        let mut bound = Bound { statement: statement.clone(), params: params.into() };
        if let Transaction::Lost = self.transaction {
            self.transaction = Transaction::None;
            return self.finish(Err(deadlock("the transaction was idle for too long")));
        }
        if let Some(e) = statement.fails() {
            return self.commit(Then::Fail(e.clone()), sink);
        }
        // Compiled against another schema than this statement will see: once more.
        let catalog = self.catalog();
        match self.fitting(&bound, &catalog) {
            Ok(Some(fitting)) => bound.statement = fitting,
            Ok(None) => {}
            Err(e) => return self.finish(Err(e)),
        }
        if !bound.statement.compiled().plan.keeps_warnings {
            self.state().clear_warnings();
        }
        self.state().calls.clear();
        self.answer_calls(bound, sink)
    }

    /// Answers what the statement asks of the session (locks by name, SLEEP), one by one, then runs it.
    fn answer_calls(&mut self, bound: Bound, sink: &mut dyn Sink) -> Progress {
        let statement = bound.statement.clone();
        while let Some(call) = statement.compiled().plan.calls.get(self.core().state.calls.len()) {
            match self.call(call, &bound) {
                Ok(Ok(value)) => self.state().calls.push(value),
                Ok(Err(taker)) => {
                    self.inner.queue.nudge();
                    self.heed_kill();
                    return self.wait_on(&taker.clone(), Waiting::Call { taker, bound });
                }
                Err(e) => return self.finish(Err(e)),
            }
        }
        self.run(bound, sink)
    }

    /// The answer to a call, or what it waits for.
    fn call(&mut self, call: &Call, bound: &Bound) -> Result<Result<Value, Taker<calls::Answer>>, SqlError> {
        let mut args = Vec::with_capacity(call.args.len());
        for arg in &call.args {
            let (value, ty) = self.scalar(arg, bound)?;
            args.push((!value.is_null()).then(|| words::text(&ty, (&value).into())));
        }
        *self.handle.interrupt.lock() = None;
        let mut args = args.into_iter();
        let mut next = || args.next().flatten();
        let (id, now_us) = (self.handle.id, self.inner.clock.now_us());
        let after = |seconds: f64| now_us.saturating_add((seconds * 1e6) as u64);
        let seconds = |text: Option<String>| text.map(|t| t.trim().parse::<f64>().unwrap_or(0.0));
        let calls = &self.inner.calls;
        Ok(match call.function {
            CallFunction::Sleep => match seconds(next()) {
                Some(0.0) => Ok(Value::Int(0)),
                Some(s) if s > 0.0 => Err(calls.sleep(id, after(s))),
                _ => return Err(SqlError::new(1210, "HY000", "Incorrect arguments to sleep.")),
            },
            CallFunction::GetLock => {
                let name = calls::lock_name(next())?;
                // Below zero is for ever.
                let until_us = match seconds(next()).unwrap_or(0.0) {
                    s if s < 0.0 => u64::MAX,
                    s => after(s),
                };
                calls.lock(id, name, now_us, until_us)?
            }
            CallFunction::ReleaseLock => Ok(calls.unlock(id, &calls::lock_name(next())?)),
            CallFunction::ReleaseAllLocks => Ok(Value::from_u64(calls.unlock_all(id))),
            CallFunction::IsFreeLock => {
                Ok(Value::Int(i64::from(calls.owner(&calls::lock_name(next())?).is_none())))
            }
            CallFunction::IsUsedLock => {
                Ok(calls.owner(&calls::lock_name(next())?).map_or(Value::Null, Value::from_u64))
            }
        })
    }

    /// The statement as these parameters and this catalog want it; `None`: as it is.
    fn fitting(&self, bound: &Bound, catalog: &Catalog) -> Result<Option<Statement>, SqlError> {
        let statement = &bound.statement;
        let state = &self.core().state;
        if bound.params.is_empty() {
            if statement.epoch() == catalog.epoch {
                return Ok(None);
            }
            return self.inner.compile(statement.text().clone(), state, catalog, None).map(Some);
        }
        let scope = Scope::of(state, catalog);
        if let Some(typed) = statement.typed(&scope, &bound.params) {
            return Ok(Some(typed));
        }
        let kinds = bound.kinds().unwrap_or_default();
        let typed = self.inner.compile(statement.text().clone(), state, catalog, Some(&kinds))?;
        statement.keep_typed(scope, kinds, &typed);
        Ok(Some(typed))
    }

    fn run(&mut self, bound: Bound, sink: &mut dyn Sink) -> Progress {
        let statement = bound.statement.clone();
        match &statement.compiled().plan.kind {
            PlanKind::Query(q) => self.query(q, bound, sink),
            PlanKind::Insert(_) => self.write(bound),
            PlanKind::Modify(m) if !m.truncate => self.write(bound),
            PlanKind::Modify(_) | PlanKind::Ddl(_) => {
                self.drops_database = drops_database(bound.statement.text());
                self.commit(Then::Run(bound), sink)
            }
            PlanKind::Session(commands) => self.commands(commands.clone().into(), bound, sink),
        }
    }

    /// Goes on after a wait.
    pub fn resume(&mut self, sink: &mut dyn Sink) -> Progress {
        match self.waiting.take() {
            None => Progress::Done(Err(SqlError::new(1105, "HY000", "nothing to resume"))),
            Some(Waiting::Statement(taker)) => match taker.take() {
                Some((core, result)) => {
                    self.core = Some(core);
                    if result.is_ok() && std::mem::take(&mut self.drops_database) {
                        self.leave_dropped_database();
                    }
                    self.finish(result)
                }
                None => self.wait_on(&taker.clone(), Waiting::Statement(taker)),
            },
            Some(Waiting::Lease { taker, bound }) => match taker.take() {
                Some(Ok(lease)) => self.leased(lease, bound, sink),
                Some(Err(e)) => self.finish(Err(e)),
                None => self.wait_on(&taker.clone(), Waiting::Lease { taker, bound }),
            },
            Some(Waiting::Call { taker, bound }) => match taker.take() {
                Some(Ok(value)) => {
                    self.state().calls.push(value);
                    self.answer_calls(bound, sink)
                }
                Some(Err(e)) => self.finish(Err(e)),
                None => self.wait_on(&taker.clone(), Waiting::Call { taker, bound }),
            },
            Some(Waiting::Commit { taker, then }) => match taker.take() {
                Some(Ok(gtid)) => self.committed(gtid, then, sink),
                Some(Err(e)) => self.finish(Err(e)),
                None => self.wait_on(&taker.clone(), Waiting::Commit { taker, then }),
            },
        }
    }

    fn wait_on<T: Send + 'static>(&mut self, taker: &Taker<T>, waiting: Waiting) -> Progress {
        let wait = Wait::on(taker);
        self.waiting = Some(waiting);
        Progress::Waiting(wait)
    }

    /// Without its current database after it was dropped here, as in MySQL.
    fn leave_dropped_database(&mut self) {
        let catalog = self.inner.published.load().catalog.clone();
        let state = self.state();
        if state.database.as_ref().is_some_and(|d| catalog.database(d).is_none()) {
            state.database = None;
        }
    }

    /// Every statement ends here: bookkeeping of what the next one may ask.
    fn finish(&mut self, result: Result<Outcome, SqlError>) -> Progress {
        self.handle.doing.lock().0 = None;
        *self.handle.interrupt.lock() = None;
        let state = self.state();
        let result = match result {
            Ok(mut outcome) => {
                state.row_count = if outcome.has_rows { -1 } else { outcome.affected as i64 };
                outcome.warnings = state.warning_count.min(u64::from(u16::MAX)) as u16;
                Ok(outcome)
            }
            Err(e) => {
                state.row_count = -1;
                state.warn(Note { level: NoteLevel::Error, code: e.code, message: e.message.clone() });
                Err(e)
            }
        };
        Progress::Done(result)
    }

    // ---- reading

    fn query(&mut self, q: &Query, bound: Bound, sink: &mut dyn Sink) -> Progress {
        if let Transaction::Writing(lease) = self.transaction {
            return self.query_on_writer(lease, bound, sink);
        }
        let inside = !self.core().state.autocommit || self.in_transaction();
        if q.locking.is_some() && inside {
            return self.lease(bound);
        }
        if inside && let Transaction::None = self.transaction {
            self.transaction = Transaction::Reading(self.fresh_snapshot(false));
        }
        let result = if bound.statement.fields().is_empty() {
            unseen(self.query_on_reader(q, &bound, &mut Unseen))
        } else {
            self.query_on_reader(q, &bound, sink)
        };
        self.finish(result)
    }

    fn query_on_reader(
        &mut self,
        q: &Query,
        bound: &Bound,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, SqlError> {
        let plan = bound.statement.compiled().plan.clone();
        self.rows_on_reader(q, &plan.fields, bound, sink)
    }

    fn rows_on_reader(
        &mut self,
        q: &Query,
        fields: &[Field],
        bound: &Bound,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, SqlError> {
        self.open_reader()?;
        self.open_snapshot()?;
        let mut reader = self.reader.take().ok_or_else(|| SqlError::new(1105, "HY000", "no reader"))?;
        *self.handle.interrupt.lock() = Some(reader.interrupt_handle());
        let mut core = self.core.take().expect("invariant: the core is here while a statement begins");
        let catalog = self.catalog();
        let on = RunOn { inner: &self.inner, connection: &reader, catalog: &catalog };
        let reads = match &mut self.transaction {
            Transaction::Reading(s) => Some(&mut s.reads),
            _ => None,
        };
        let result = run::rows(&on, &mut core, q, fields, bound, reads, sink);
        self.core = Some(core);
        if let Transaction::Reading(s) = &mut self.transaction
            && !keeps_snapshot(self.isolation)
            && s.begun.take().is_some()
        {
            s.reads = Reads::default();
            reader.end().map_err(|e| store_to_sql(&e))?;
        }
        self.reader = Some(reader);
        result
    }

    fn query_on_writer(&mut self, lease: LeaseId, bound: Bound, sink: &mut dyn Sink) -> Progress {
        if let Err(e) = self.prove(lease) {
            return self.abandon(e);
        }
        let inner = self.inner.clone();
        let result = self.at_writer(lease, |core, writer| {
            let PlanKind::Query(q) = &bound.statement.compiled().plan.kind else {
                return Err(SqlError::new(1105, "HY000", "not a query"));
            };
            let catalog = writer.catalog.clone();
            let on = RunOn { inner: &inner, connection: &writer.db, catalog: &catalog };
            let fields = bound.statement.fields();
            if fields.is_empty() {
                return unseen(run::rows(&on, core, q, fields, &bound, None, &mut Unseen));
            }
            run::rows(&on, core, q, fields, &bound, None, sink)
        });
        self.finish(result)
    }

    fn open_reader(&mut self) -> Result<(), SqlError> {
        if self.reader.is_none() {
            self.reader = Some(self.inner.reader().map_err(|e| e.to_sql())?);
        }
        Ok(())
    }

    /// Inside a transaction: opens the snapshot at its first read.
    fn open_snapshot(&mut self) -> Result<(), SqlError> {
        let Transaction::Reading(s) = &mut self.transaction else { return Ok(()) };
        if s.begun.is_none()
            && let Some(reader) = &mut self.reader
        {
            let catalog = self.inner.published.load().catalog.clone();
            let last = reader.begin().map_err(|e| store_to_sql(&e))?;
            s.begun = Some((catalog, last));
        }
        Ok(())
    }

    fn fresh_snapshot(&mut self, explicit: bool) -> Snapshot {
        let (isolation, read_only) = std::mem::take(&mut self.next);
        self.isolation = isolation.unwrap_or(self.core().state.isolation);
        let read_only = read_only.unwrap_or(self.core().state.read_only);
        Snapshot { explicit, read_only, ..Snapshot::default() }
    }

    // ---- writing

    fn write(&mut self, bound: Bound) -> Progress {
        match &self.transaction {
            Transaction::Writing(lease) => {
                let lease = *lease;
                self.write_on_lease(lease, &bound)
            }
            Transaction::Reading(s) if s.read_only => self.finish(Err(SqlError::new(
                1792,
                "25006",
                "Cannot execute statement in a READ ONLY transaction.",
            ))),
            Transaction::None if self.core().state.autocommit => self.submit(bound),
            _ => self.lease(bound),
        }
    }

    /// Hands an autocommit statement to the writer.
    fn submit(&mut self, bound: Bound) -> Progress {
        let (giver, taker) = handoff();
        let core = self.core.take().expect("invariant: the core is here while a statement begins");
        let deadline_us = self.inner.lock_deadline_us(&core.state);
        let job = StatementJob { core, bound, deadline_us, giver };
        match self.inner.queue.push(Job::Statement(job)) {
            Ok(()) => {
                self.heed_kill();
                self.wait_on(&taker.clone(), Waiting::Statement(taker))
            }
            Err(job) => {
                if let Job::Statement(job) = job {
                    self.core = Some(job.core);
                }
                self.finish(Err(self.inner.no_room()))
            }
        }
    }

    /// Asks for the writer; the statement goes on when it is granted.
    fn lease(&mut self, bound: Bound) -> Progress {
        if let Transaction::None = self.transaction {
            self.transaction = Transaction::Reading(self.fresh_snapshot(false));
        }
        let (giver, taker) = handoff();
        let deadline_us = self.inner.lock_deadline_us(&self.core().state);
        let account = self.core().account;
        let job = LeaseJob { session: self.handle.id, account, deadline_us, giver };
        match self.inner.queue.push(Job::Lease(job)) {
            Ok(()) => {
                self.heed_kill();
                self.wait_on(&taker.clone(), Waiting::Lease { taker, bound })
            }
            Err(_) => self.finish(Err(self.inner.no_room())),
        }
    }

    /// A KILL may have come just before the job stood in the queue, where it looks for it.
    fn heed_kill(&self) {
        if self.handle.is_killed() {
            self.inner.interrupt_wait(self.handle.id);
        }
    }

    /// The writer is ours: is what the transaction has read still so?
    fn leased(&mut self, lease: LeaseId, bound: Bound, sink: &mut dyn Sink) -> Progress {
        let reading = std::mem::replace(&mut self.transaction, Transaction::Writing(lease));
        let Transaction::Reading(Snapshot { begun, reads, savepoints, .. }) = reading else {
            return self.abandon(SqlError::new(1105, "HY000", "the transaction ended while it waited"));
        };
        match begun {
            Some((catalog, snapshot)) if keeps_snapshot(self.isolation) => {
                self.unproven = Some(Unproven { catalog, snapshot, reads });
                // Otherwise when it reads on, and row by row when it writes.
                if self.isolation == Isolation::Serializable
                    && let Err(e) = self.prove(lease)
                {
                    return self.abandon(e);
                }
            }
            _ => self.end_snapshot(),
        }
        for name in savepoints {
            if let Err(e) = self.at_writer(lease, |_, w| w.set_savepoint(&name)) {
                return self.abandon(e);
            }
        }
        // The newest schema counts from here on.
        let catalog = self.inner.published.load().catalog.clone();
        let mut bound = bound;
        if bound.statement.epoch() != catalog.epoch {
            let (text, kinds) = (bound.statement.text().clone(), bound.kinds());
            match self.inner.compile(text, &self.core().state, &catalog, kinds.as_deref()) {
                Ok(fresh) => bound.statement = fresh,
                Err(e) => return self.finish(Err(e)),
            }
        }
        match &bound.statement.compiled().plan.kind {
            PlanKind::Query(_) => self.query_on_writer(lease, bound, sink),
            _ => self.write_on_lease(lease, &bound),
        }
    }

    fn write_on_lease(&mut self, lease: LeaseId, bound: &Bound) -> Progress {
        let begun_us = self.inner.clock.now_us();
        let progress = self.write_proven_on_lease(lease, bound);
        let took_us = self.inner.clock.now_us().saturating_sub(begun_us);
        self.inner.note_cost(&bound.statement.compiled().plan, took_us.saturating_mul(STEPS_PER_US));
        progress
    }

    fn write_proven_on_lease(&mut self, lease: LeaseId, bound: &Bound) -> Progress {
        let Some(unproven) = self.unproven.take() else {
            let result = self.at_writer(lease, |core, writer| writer.statement(core, bound));
            return self.finish(result);
        };
        let reader = self.reader.take();
        let mut lost = false;
        let result = self.at_writer(lease, |core, writer| {
            let mark = writer.db.capture_mark();
            let outcome = writer.statement(core, bound)?;
            lost = writer.overwrote(mark, &unproven.reads, unproven.snapshot, reader.as_deref(), core)?;
            Ok(outcome)
        });
        self.reader = reader;
        if lost {
            return self.abandon(deadlock("a row that it has read and now writes was changed meanwhile"));
        }
        match self.transaction {
            Transaction::Writing(_) => self.unproven = Some(unproven),
            _ => self.end_snapshot(),
        }
        self.finish(result)
    }

    /// Before the transaction reads anything at the newest state: is all that it has read in its snapshot still so? From
    /// then on it can only read what fits to it, since it holds the writer.
    fn prove(&mut self, lease: LeaseId) -> Result<(), SqlError> {
        let Some(Unproven { catalog, snapshot, reads }) = self.unproven.take() else { return Ok(()) };
        let reader = self.reader.take();
        let now_us = self.inner.clock.now_us();
        let still = self.at_writer(lease, |core, writer| {
            let Some(reader) = &reader else { return Ok(true) };
            // Conditions call functions that want a context; what they warn of was said when they were read.
            execute::enter(execute::Context::new(&core.state, now_us as i64));
            let hold = reads.still_hold(&catalog, snapshot, reader, writer, &core.state);
            execute::leave();
            hold.map_err(|e| store_to_sql(&e))
        });
        self.reader = reader;
        self.end_snapshot();
        if still? { Ok(()) } else { Err(deadlock("what it has read was changed meanwhile")) }
    }

    /// Runs something at the writer that this session holds.
    fn at_writer<T>(
        &mut self,
        lease: LeaseId,
        f: impl FnOnce(&mut Core, &mut crate::writer::Writer) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if !self.inner.queue.use_lease(lease) {
            self.transaction = Transaction::None;
            self.end_snapshot();
            return Err(deadlock("the transaction was idle for too long"));
        }
        let inner = self.inner.clone();
        let mut core = self.core.take().expect("invariant: the core is here while a statement runs");
        let result = {
            let mut writer = inner.writer.lock();
            *self.handle.interrupt.lock() = Some(writer.db.interrupt_handle());
            let result = f(&mut core, &mut writer);
            *self.handle.interrupt.lock() = None;
            writer.db.clear_interrupt();
            if writer.db.check().is_err() {
                // SQLite took the whole transaction back (disk full, interrupt): so do we.
                self.transaction = Transaction::Lost;
            }
            result
        };
        self.core = Some(core);
        inner.queue.unuse_lease(lease, inner.clock.now_us());
        if let Transaction::Lost = self.transaction {
            self.transaction = Transaction::None;
            self.end_snapshot();
            self.end(lease, false);
        }
        result
    }

    /// Rolls back and reports why.
    fn abandon(&mut self, error: SqlError) -> Progress {
        self.rollback();
        self.finish(Err(error))
    }

    // ---- ending

    /// Commits what is open, then does what follows.
    fn commit(&mut self, then: Then, sink: &mut dyn Sink) -> Progress {
        self.end_snapshot();
        match std::mem::replace(&mut self.transaction, Transaction::None) {
            Transaction::Writing(lease) => match self.end(lease, true) {
                Some(taker) => self.wait_on(&taker.clone(), Waiting::Commit { taker, then }),
                None => self.finish(Err(deadlock("the transaction was idle for too long"))),
            },
            Transaction::Reading(_) | Transaction::None => self.committed(None, then, sink),
            Transaction::Lost => self.finish(Err(deadlock("the transaction was idle for too long"))),
        }
    }

    fn committed(&mut self, gtid: Option<String>, then: Then, sink: &mut dyn Sink) -> Progress {
        match then {
            Then::Report => self.finish(Ok(Outcome { gtid, ..Outcome::default() })),
            Then::Fail(e) => self.finish(Err(e)),
            Then::Run(bound) => self.submit(bound),
            Then::Commands(commands, bound) => self.commands(commands, bound, sink),
        }
    }

    fn end(&mut self, lease: LeaseId, commit: bool) -> Option<Taker<Result<Option<String>, SqlError>>> {
        let (giver, taker) = handoff();
        self.inner.queue.end_lease(lease, EndLease { commit, giver }).ok().map(|()| taker)
    }

    fn end_snapshot(&mut self) {
        self.unproven = None;
        if let Some(reader) = &mut self.reader
            && reader.end().is_err()
        {
            // A connection that cannot end its snapshot is not used again.
            self.reader = None;
        }
    }

    /// Rolls the open transaction back. Never fails: what cannot be undone here is undone by the writer.
    fn rollback(&mut self) {
        if let Transaction::Writing(lease) = std::mem::replace(&mut self.transaction, Transaction::None) {
            // The writer rolls back when it sees this; nobody has to wait for it.
            self.end(lease, false);
        }
        self.end_snapshot();
    }

    /// COM_RESET_CONNECTION: rolls back, forgets everything but who it is.
    pub fn reset(&mut self) {
        self.rollback();
        self.inner.calls.forget(self.handle.id);
        self.named.clear();
        self.tables_locked = false;
        self.next = (None, None);
        self.state().reset();
    }

    /// COM_CHANGE_USER, after its authentication.
    ///
    /// # Errors
    /// 1045 when the account may not be used at this node, 1049 for an unknown database.
    pub fn change_user(&mut self, options: &SessionOptions) -> Result<(), SqlError> {
        self.rollback();
        self.inner.calls.forget(self.handle.id);
        self.named.clear();
        self.tables_locked = false;
        self.next = (None, None);
        let core = self.inner.new_core(options)?;
        self.handle = core.handle.clone();
        self.core = Some(core);
        Ok(())
    }

    // ---- commands

    fn commands(
        &mut self,
        mut commands: VecDeque<SessionCommand>,
        bound: Bound,
        sink: &mut dyn Sink,
    ) -> Progress {
        let mut outcome = Outcome::default();
        while let Some(command) = commands.pop_front() {
            match command {
                SessionCommand::Commit { chain, release: _ } => {
                    if chain {
                        commands.push_front(SessionCommand::Begin { read_only: false, snapshot: false });
                    }
                    let then =
                        if commands.is_empty() { Then::Report } else { Then::Commands(commands, bound) };
                    return self.commit(then, sink);
                }
                SessionCommand::Begin { read_only, snapshot } => {
                    if !matches!(self.transaction, Transaction::None) {
                        commands.push_front(SessionCommand::Begin { read_only, snapshot });
                        return self.commit(Then::Commands(commands, bound), sink);
                    }
                    self.tables_locked = false;
                    let mut fresh = self.fresh_snapshot(true);
                    fresh.read_only |= read_only;
                    self.transaction = Transaction::Reading(fresh);
                    if snapshot && let Err(e) = self.open_reader().and_then(|()| self.open_snapshot()) {
                        return self.abandon(e);
                    }
                }
                SessionCommand::Rollback { chain, release: _ } => {
                    self.rollback();
                    if chain {
                        commands.push_front(SessionCommand::Begin { read_only: false, snapshot: false });
                    }
                }
                // UNLOCK TABLES commits only what LOCK TABLES has locked: dumps send it inside their snapshot.
                SessionCommand::UnlockTables if !self.tables_locked => {}
                SessionCommand::LockTables { .. } | SessionCommand::UnlockTables
                    if !matches!(self.transaction, Transaction::None) =>
                {
                    self.tables_locked = matches!(command, SessionCommand::LockTables { .. });
                    return self.commit(
                        if commands.is_empty() { Then::Report } else { Then::Commands(commands, bound) },
                        sink,
                    );
                }
                SessionCommand::Execute { name, using } => return self.execute(&name, &using, sink),
                SessionCommand::SetVariable { global: false, ref name, .. }
                    if name == "autocommit" && self.in_transaction() && !self.core().state.autocommit =>
                {
                    // Turning autocommit on commits.
                    self.state().autocommit = true;
                    commands.push_front(command);
                    return self.commit(Then::Commands(commands, bound), sink);
                }
                other => {
                    if let Err(e) = self.command(other, &bound, &mut outcome) {
                        return self.finish(Err(e));
                    }
                }
            }
        }
        self.finish(Ok(outcome))
    }

    fn execute(&mut self, name: &str, using: &[String], sink: &mut dyn Sink) -> Progress {
        let Some(statement) = self.named.get(name).cloned() else {
            let message = format!("Unknown prepared statement handler ({name}) given to EXECUTE");
            return self.finish(Err(SqlError::new(1243, "HY000", message)));
        };
        let state = &self.core().state;
        let params: Vec<Literal> = using.iter().map(|v| literal(state.user_variables.get(v))).collect();
        if let PlanKind::Session(commands) = &statement.compiled().plan.kind
            && commands.iter().any(|c| matches!(c, SessionCommand::Execute { .. }))
        {
            return self.finish(Err(SqlError::new(
                1295,
                "HY000",
                "This command is not supported in the prepared statement protocol yet",
            )));
        }
        self.start(&statement, params, sink)
    }

    fn command(
        &mut self,
        command: SessionCommand,
        bound: &Bound,
        outcome: &mut Outcome,
    ) -> Result<(), SqlError> {
        match command {
            SessionCommand::Use(name) => {
                let catalog = self.catalog();
                self.state().use_database(&catalog, &name)?;
                outcome.schema_changed = self.state().database.clone();
            }
            SessionCommand::SetVariable { global, name, value } => {
                let value = match value {
                    Some(scalar) => Some(self.scalar(&scalar, bound)?),
                    None => None,
                };
                let value = value.as_ref().map(|(v, ty)| (v, &ty.kind));
                let notes = self.state().set_variable(global, &name, value)?;
                for note in notes {
                    self.state().warn(note);
                }
                if !global {
                    let shown = match self.state().system_variable(&name, false)? {
                        Value::Text(t) => t,
                        Value::Int(n) => n.to_string(),
                        _ => String::new(),
                    };
                    outcome.variables_changed.push((name, shown));
                }
            }
            SessionCommand::SetUser { name, value } => {
                let (value, ty) = self.scalar(&value, bound)?;
                self.state().set_user_variable(&name, value, ty);
            }
            SessionCommand::SetNames(charset, collation) => {
                self.state().set_names(&charset, collation.as_deref())?;
            }
            SessionCommand::NextTransaction { isolation, read_only } => {
                if self.in_transaction() {
                    return Err(SqlError::new(
                        1568,
                        "25001",
                        "Transaction characteristics can't be changed while a transaction is in progress",
                    ));
                }
                if let Some(level) = isolation.as_deref().and_then(Isolation::from_name) {
                    self.next.0 = Some(level);
                }
                self.next.1 = read_only.or(self.next.1);
            }
            SessionCommand::Savepoint(name) => self.savepoint(&name)?,
            SessionCommand::RollbackTo(name) => self.end_savepoint(&name, true)?,
            SessionCommand::Release(name) => self.end_savepoint(&name, false)?,
            SessionCommand::Kill { id, query_only } => {
                if !self.inner.kill(id, query_only) {
                    return Err(SqlError::new(1094, "HY000", format!("Unknown thread id: {id}")));
                }
                if id == self.handle.id {
                    return Err(SqlError::new(1317, "70100", "Query execution was interrupted"));
                }
            }
            SessionCommand::Prepare { name, text } => {
                let (Value::Text(text), _) = self.scalar(&text, bound)? else {
                    return Err(SqlError::new(
                        1064,
                        "42000",
                        "You have an error in your SQL syntax near 'NULL'",
                    ));
                };
                self.named.remove(&name);
                if self.named.len() >= NAMED_STATEMENTS_MAX {
                    return Err(SqlError::new(
                        1461,
                        "42000",
                        format!(
                            "Can't create more than max_prepared_stmt_count statements (current value: {NAMED_STATEMENTS_MAX})"
                        ),
                    ));
                }
                let statement = self.prepare(&text)?;
                self.named.insert(name, statement);
            }
            SessionCommand::Deallocate(name) => {
                if self.named.remove(&name).is_none() {
                    let message =
                        format!("Unknown prepared statement handler ({name}) given to DEALLOCATE PREPARE");
                    return Err(SqlError::new(1243, "HY000", message));
                }
            }
            SessionCommand::LockTables { .. } | SessionCommand::ReadLock => self.tables_locked = true,
            SessionCommand::UnlockTables => self.tables_locked = false,
            SessionCommand::Nothing => {}
            SessionCommand::Fail(error) => return Err(error),
            SessionCommand::Begin { .. }
            | SessionCommand::Commit { .. }
            | SessionCommand::Rollback { .. }
            | SessionCommand::Execute { .. } => {}
        }
        Ok(())
    }

    fn savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        let autocommit = self.core().state.autocommit;
        match &mut self.transaction {
            Transaction::Writing(lease) => {
                let lease = *lease;
                self.at_writer(lease, |_, w| w.set_savepoint(name))
            }
            Transaction::Reading(s) => {
                s.savepoints.retain(|n| !n.eq_ignore_ascii_case(name));
                s.savepoints.push(name.to_owned());
                Ok(())
            }
            Transaction::None if !autocommit => {
                let mut snapshot = self.fresh_snapshot(false);
                snapshot.savepoints.push(name.to_owned());
                self.transaction = Transaction::Reading(snapshot);
                Ok(())
            }
            // As MySQL: each statement is a transaction, so the savepoint is gone at once.
            Transaction::None | Transaction::Lost => Ok(()),
        }
    }

    /// ROLLBACK TO and RELEASE: `undo` says which.
    fn end_savepoint(&mut self, name: &str, undo: bool) -> Result<(), SqlError> {
        let unknown = || SqlError::new(1305, "42000", format!("SAVEPOINT {name} does not exist"));
        match &mut self.transaction {
            Transaction::Writing(lease) => {
                let lease = *lease;
                let found = self.at_writer(lease, |_, w| w.end_savepoint(name, undo))?;
                if found { Ok(()) } else { Err(unknown()) }
            }
            Transaction::Reading(s) => {
                let i = s.savepoints.iter().position(|n| n.eq_ignore_ascii_case(name)).ok_or_else(unknown)?;
                s.savepoints.truncate(if undo { i + 1 } else { i });
                Ok(())
            }
            Transaction::None | Transaction::Lost => Err(unknown()),
        }
    }

    // ---- single values

    fn scalar(&mut self, scalar: &Scalar, bound: &Bound) -> Result<(Value, FieldType), SqlError> {
        match scalar {
            Scalar::Slot(slot) => {
                let core = self.core();
                let random = self.inner.random();
                let virtuals = run::no_virtuals;
                let args = execute::Args {
                    literals: &bound.statement.compiled().literals,
                    params: &bound.params,
                    session: &core.state,
                    now_us: self.inner.clock.now_us() as i64,
                    random,
                    drawn: Default::default(),
                    virtuals: &virtuals,
                };
                execute::bind_typed(slot, &args)
            }
            Scalar::Query(q) => {
                let query = Query {
                    sql: q.sql.clone(),
                    slots: q.slots.clone(),
                    reads: ReadSet::default(),
                    locking: None,
                    short: true,
                    found_rows: None,
                    into: Vec::new(),
                };
                let mut first = OneValue(Value::Null);
                let fields = std::slice::from_ref(&q.field);
                let result = match self.transaction {
                    Transaction::Writing(lease) => {
                        // Not rolled back here: the next statement that reads or writes would find the same.
                        self.prove(lease)?;
                        let inner = self.inner.clone();
                        self.at_writer(lease, |core, writer| {
                            let catalog = writer.catalog.clone();
                            let on = RunOn { inner: &inner, connection: &writer.db, catalog: &catalog };
                            run::rows(&on, core, &query, fields, bound, None, &mut first)
                        })
                    }
                    _ => self.rows_on_reader(&query, fields, bound, &mut first),
                };
                result?;
                Ok((first.0, q.field.ty.clone()))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What waits for its turn is not done any more.
        let withdrawn = self.inner.queue.withdraw(self.handle.id).is_some();
        if let Some(Waiting::Lease { taker, .. }) = self.waiting.take()
            && !withdrawn
            && let Ok(lease) = taker.wait()
        {
            self.end(lease, false);
        }
        self.rollback();
        self.inner.calls.forget(self.handle.id);
        self.inner.forget(self.handle.id);
    }
}

/// MySQL's number for a syntax error, which commits nothing.
const SYNTAX_ERROR: u16 = 1064;

fn drops_database(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    words.next().is_some_and(|w| w.eq_ignore_ascii_case("drop"))
        && words
            .next()
            .is_some_and(|w| w.eq_ignore_ascii_case("database") || w.eq_ignore_ascii_case("schema"))
}

/// Begins with a word that schema statements begin with.
fn is_schema_statement(text: &str) -> bool {
    let word = text.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    ["create", "alter", "drop", "rename", "truncate"].iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// All reads of a transaction see one state.
fn keeps_snapshot(level: Isolation) -> bool {
    matches!(level, Isolation::RepeatableRead | Isolation::Serializable)
}

/// 1213: the transaction was rolled back; a retry will do.
pub(crate) fn deadlock(why: &str) -> SqlError {
    SqlError::new(
        1213,
        "40001",
        format!("Deadlock found when trying to get lock; try restarting transaction ({why})"),
    )
}

/// A user variable as a parameter.
fn literal(variable: Option<&UserVariable>) -> Literal {
    let Some(v) = variable else { return Literal::null() };
    match (&v.value, &v.ty.kind) {
        (Value::Null, _) => Literal::null(),
        (Value::Int(n), _) => Literal::int(*n),
        (Value::Real(n), _) => Literal::double(*n),
        (Value::Text(t), _) => Literal::text(t.clone()),
        (Value::Blob(b), FieldKind::Decimal) => {
            let digits = |n: u32| u8::try_from(n).unwrap_or(65).min(65);
            let kind = LiteralKind::Decimal(digits(v.ty.length), v.ty.decimals.min(30));
            Literal { kind, value: Value::Blob(b.clone()) }
        }
        (Value::Blob(b), _) => match v.value.as_u64().filter(|_| v.ty.unsigned) {
            Some(n) => Literal::uint(n),
            None => Literal::bytes(b.clone()),
        },
    }
}

/// The outcome of DO: its row is nobody's.
fn unseen(result: Result<Outcome, SqlError>) -> Result<Outcome, SqlError> {
    result.map(|o| Outcome { has_rows: false, ..o })
}

/// Lets rows go by.
struct Unseen;

impl Sink for Unseen {
    fn columns(&mut self, _: &[Field]) -> Result<(), SqlError> {
        Ok(())
    }
    fn row(&mut self, _: &[Field], _: &[ValueRef<'_>]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Keeps the first column of the last row.
struct OneValue(Value);

impl Sink for OneValue {
    fn columns(&mut self, _: &[Field]) -> Result<(), SqlError> {
        Ok(())
    }
    fn row(&mut self, _: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        self.0 = row.first().map_or(Value::Null, |v| v.to_value());
        ControlFlow::Continue(())
    }
}
