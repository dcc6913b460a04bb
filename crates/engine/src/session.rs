//! A client's session: which statement runs where, and what a transaction has read.
//!
//! Reads run on the session's own connection, in the caller's thread. Writes go to the writer: an autocommit statement as
//! a job of its own, a transaction by a lease from its first write on (`docs/transactions.md`). What cannot be done
//! at once is a [`Flow::Waiting`]; the embedder waits in its own way and calls [`Session::resume`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use p2pdb_model::{Catalog, GtidSet, ObjectId, Value};
use p2pdb_sql::command::Command;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::{Field, FieldType};
use p2pdb_sql::front::{Literal, Scope};
use p2pdb_sql::plan::{Call, CallFunction, Plan, PlanKind, SessionCommand, Touches};
use p2pdb_sql::session::{Isolation, SessionState};
use p2pdb_sql::virtuals::is_virtual_database;
use p2pdb_store::{PooledReader, TxNo};

use crate::api::{Outcome, SessionOptions, Sink};
use crate::calls;
use crate::core::{Core, Handle};
use crate::engine::Inner;
use crate::job::Done;
use crate::program::{Budget, Flow, Running, functions};
use crate::queue::LeaseId;
use crate::read_set::{Reads, Seen};
use crate::statement::{Bound, Statement};
use crate::wait::{Taker, Wait};
use crate::words;
use locked::Locked;
use news::News;
pub use news::TransactionNews;
use preparing::SYNTAX_ERROR;
pub(crate) use preparing::fails_committed;

mod commands;
mod locked;
mod news;
mod preparing;
mod reading;
mod temporary;
mod writing;

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
    /// Temporary tables were written.
    own: bool,
    /// Something was read.
    used: bool,
    /// It is the snapshot of FLUSH TABLES WITH READ LOCK.
    read_lock: bool,
}

enum Waiting {
    Statement {
        taker: Taker<Done>,
        then: After,
    },
    /// `single`: the statement is a transaction by itself.
    Lease {
        taker: Taker<Result<LeaseId, SqlError>>,
        bound: Bound,
        single: bool,
    },
    Commit {
        taker: Taker<Result<Option<String>, SqlError>>,
        then: Then,
    },
    Call {
        taker: Taker<calls::Answer>,
        bound: Bound,
    },
}

/// What to do after a COMMIT.
enum Then {
    /// Report it.
    Report,
    /// Report this error, of a statement that commits before it looks.
    Fail(SqlError),
    /// Run this statement (an implicit commit came before it).
    Run(Bound),
    /// It was the transaction of one statement, which had this outcome.
    Done(Outcome),
    /// The commands behind it.
    Commands(Box<Rest>),
}

impl Then {
    /// Another transaction begins at once, like the one that ends.
    fn begins(&self) -> bool {
        matches!(self, Then::Commands(rest) if matches!(rest.commands.front(), Some(SessionCommand::Begin { .. })))
    }
}

/// The commands of a statement that are still to be carried out.
struct Rest {
    commands: VecDeque<SessionCommand>,
    /// What the assignments among them assign, where that was worked out before the first one was made.
    values: VecDeque<Option<(Value, FieldType)>>,
    bound: Bound,
    /// What came of those before.
    outcome: Outcome,
    /// The last of those before has turned autocommit on.
    turned_on: bool,
}

/// What the session does when a statement at the writer has gone well.
#[derive(Default)]
struct After {
    /// The statement itself, about temporary tables.
    own: Option<Bound>,
    /// It drops the current database.
    leaves_database: bool,
    /// It is DROP DATABASE.
    drops_database: bool,
}

/// See [`Session::prove`].
struct Unproven {
    catalog: Arc<Catalog>,
    snapshot: TxNo,
    reads: Reads,
}

/// A client's session.
pub struct Session {
    pub(crate) inner: Arc<Inner>,
    core: Option<Box<Core>>,
    handle: Arc<Handle>,
    reader: Option<PooledReader>,
    transaction: Transaction,
    /// What the client hears of it, and what SET TRANSACTION has set for it.
    news: News,
    /// What the transaction that begins takes over from the one before it (AND CHAIN): isolation, read only.
    chained: Option<(Isolation, bool)>,
    isolation: Isolation,
    /// What the open transaction read in its snapshot before it began to write, until that is proven to hold still. The
    /// reader stays in the snapshot as long.
    unproven: Option<Unproven>,
    /// What the open transaction has read, if it is READ COMMITTED.
    seen: Seen,
    waiting: Option<Waiting>,
    named: HashMap<String, Statement>,
    /// The current databases of those who run a statement that was prepared in another one, and within how many programs.
    away: Vec<(usize, Option<String>)>,
    /// LOCK TABLES is in force.
    locked: Locked,
    /// Per savepoint, how much was written to temporary tables before it.
    own_savepoints: Vec<(String, usize)>,
    /// Stored procedures that are running, each called by the one before.
    pub(crate) machines: Vec<Running>,
    /// The CALL that is running.
    pub(crate) call_params: Option<Bound>,
    /// What the rows take that wait in the session.
    pub(crate) budget: Budget,
}

impl Session {
    pub(crate) fn new(inner: Arc<Inner>, core: Box<Core>) -> Self {
        let handle = core.handle.clone();
        Session {
            inner,
            handle,
            budget: core.budget.clone(),
            isolation: core.state.isolation,
            news: News::new(&core.state),
            core: Some(core),
            reader: None,
            transaction: Transaction::None,
            chained: None,
            unproven: None,
            seen: Seen::default(),
            waiting: None,
            named: HashMap::new(),
            away: Vec::new(),
            locked: Locked::default(),
            own_savepoints: Vec::new(),
            machines: Vec::new(),
            call_params: None,
        }
    }

    fn core(&self) -> &Core {
        self.core
            .as_ref()
            .expect("invariant: the core is here whenever the session is not waiting for a statement")
    }

    pub(crate) fn core_mut(&mut self) -> &mut Core {
        self.core
            .as_mut()
            .expect("invariant: the core is here whenever the session is not waiting for a statement")
    }

    fn state(&mut self) -> &mut SessionState {
        &mut self.core_mut().state
    }

    /// The SQL state: variables, current database, warnings.
    pub fn sql_state(&self) -> &SessionState {
        &self.core().state
    }

    /// Inside a transaction, as the protocol's status flag says it.
    pub fn in_transaction(&self) -> bool {
        match &self.transaction {
            Transaction::None => false,
            Transaction::Reading(s) => !s.read_lock && (s.explicit || s.used || s.own),
            Transaction::Writing(_) => true,
        }
    }

    /// FLUSH TABLES WITH READ LOCK is in force: what looks like a transaction is its snapshot.
    fn has_read_lock(&self) -> bool {
        matches!(&self.transaction, Transaction::Reading(s) if s.read_lock)
    }

    /// A transaction is open, also one in which nothing was done yet, of which the status flag says nothing.
    fn is_open(&self) -> bool {
        !matches!(self.transaction, Transaction::None)
    }

    /// The open transaction takes no writes, or the next one.
    fn is_read_only(&self) -> bool {
        match &self.transaction {
            Transaction::None => self.begins_read_only(),
            Transaction::Reading(s) => s.read_only,
            Transaction::Writing(_) => false,
        }
    }

    /// Inside a transaction that takes no writes, as the protocol's status flag says it.
    pub fn in_read_only_transaction(&self) -> bool {
        self.in_transaction() && self.is_read_only()
    }

    /// How the session stands between two results.
    pub fn result_end(&self) -> crate::api::ResultEnd {
        crate::api::ResultEnd {
            in_transaction: self.in_transaction(),
            read_only: self.in_read_only_transaction(),
            autocommit: self.autocommit(),
            news: TransactionNews::default(),
        }
    }

    /// What the client has not heard yet of its transaction; it is heard now.
    pub fn transaction_news(&mut self) -> TransactionNews {
        self.note_touched();
        self.news.take()
    }

    /// What was done since the last time counts for the open transaction.
    pub(crate) fn note_touched(&mut self) {
        let core = self.core_mut();
        let (touched, autocommit) = (std::mem::take(&mut core.touched), core.state.autocommit);
        self.news.touch(touched, autocommit);
    }

    /// The client hears of changes to the session's state.
    pub(crate) fn tracks_state(&self) -> bool {
        let tracked = self.sql_state().system_variable("session_track_state_change", false);
        tracked.is_ok_and(|v| v == Value::Int(1))
    }

    /// `autocommit`.
    pub fn autocommit(&self) -> bool {
        self.core().state.autocommit
    }

    /// The connection was killed: close it.
    pub fn killed(&self) -> bool {
        self.handle.connection_killed()
    }

    /// The schema that the next statement sees.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.core().catalog(&self.base_catalog())
    }

    /// The same without temporary tables.
    fn base_catalog(&self) -> Arc<Catalog> {
        match &self.transaction {
            Transaction::Reading(Snapshot { begun: Some((catalog, _)), .. }) => catalog.clone(),
            _ => self.inner.published.load().catalog.clone(),
        }
    }

    /// The default values of the columns of a table of the current database, as [`p2pdb_sql::ddl::defaults::of_fields`] has them.
    pub fn defaults(&self, table: &str, fields: &[Field]) -> Vec<Value> {
        p2pdb_sql::ddl::defaults::of_fields(&self.catalog(), self.sql_state(), table, fields)
    }

    /// Cuts a text of several statements apart.
    pub fn split<'t>(&self, text: &'t str) -> Vec<&'t str> {
        p2pdb_sql::front::split_statements(text, self.core().state.sql_mode)
    }

    /// The statement may run for long: better not on a thread that others need.
    pub fn is_long(&self, statement: &Statement) -> bool {
        let plan = statement.likely_plan();
        // Outside of a transaction what writes runs in the writer's thread.
        let writes_here =
            matches!(self.transaction, Transaction::Writing(_)) || !self.core().temporary.is_empty();
        match &plan.kind {
            PlanKind::Query(q) if !functions::writes(&plan.calls) => {
                plan.functions || (!q.short && self.inner.was_long(&plan))
            }
            PlanKind::Query(_) => writes_here,
            PlanKind::Insert(_) | PlanKind::Modify(_) => {
                writes_here && (self.runs_programs(&plan) || self.inner.was_long(&plan))
            }
            PlanKind::Ddl(d) => !d.then.is_empty() || !d.temporary.is_empty(),
            PlanKind::Session(commands) => {
                let executed = |c: &SessionCommand| match c {
                    // Not EXECUTE again: that cannot be prepared.
                    SessionCommand::Execute { name, .. } => {
                        self.named.get(name).is_some_and(|s| self.is_long(s))
                    }
                    _ => false,
                };
                looks_up(&plan) || commands.iter().any(executed)
            }
            PlanKind::Program(_) => true,
        }
    }

    /// Triggers or stored functions run when it runs.
    fn runs_programs(&self, plan: &Plan) -> bool {
        let fires = |table: ObjectId| {
            let catalog = self.catalog();
            catalog.table_by_id(table).is_some_and(|t| !t.triggers.is_empty())
        };
        let fires = match &plan.kind {
            PlanKind::Insert(i) => fires(i.table),
            PlanKind::Modify(m) => m.steps.iter().any(|s| fires(s.table)),
            _ => false,
        };
        fires || plan.functions || functions::writes(&plan.calls)
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
        let now_us = self.inner.clock.now_us();
        let core = self.core_mut();
        core.deadline_us = match core.state.max_execution_time_ms {
            0 => 0,
            ms => now_us.saturating_add(ms.saturating_mul(1_000)),
        };
        self.handle.counted.question();
        let bound = Bound { statement: statement.clone(), params: params.into() };
        let flow = self.begin(bound, sink);
        self.go_on(flow, sink)
    }

    /// Counts something of the protocol that is no statement, such as preparing one; `None`: of no kind of its own.
    pub fn count(&self, command: Option<Command>) {
        self.handle.counted.query();
        self.handle.counted.command(command);
    }

    /// Counts what a statement of the protocol is, beside what it runs.
    pub fn count_kind(&self, command: Command) {
        self.handle.counted.command(Some(command));
    }

    /// Counts a statement of the client that [`Self::prepare`] has refused.
    pub fn count_refused(&self, text: &str, why: &SqlError) {
        self.handle.counted.question();
        if why.code != SYNTAX_ERROR {
            self.handle.counted.command(Command::of(text));
        }
    }

    /// Runs a statement of the client, or one of the stored procedure that is running.
    pub(crate) fn begin(&mut self, mut bound: Bound, sink: &mut dyn Sink) -> Flow {
        let statement = bound.statement.clone();
        self.handle.counted.command(statement.command());
        if let Some(e) = statement.fails() {
            self.state().clear_warnings();
            return self.fail_committed(e.clone(), statement.command(), sink);
        }
        if let Some(home) = statement.home()
            && *home != self.core().state.database
        {
            let away = std::mem::replace(&mut self.state().database, home.clone());
            self.away.push((self.machines.len(), away));
        }
        // Compiled against another schema than this statement will see: once more.
        let catalog = self.catalog();
        match self.fitting(&bound, &catalog) {
            Ok(Some(fitting)) => bound.statement = fitting,
            Ok(None) => {}
            Err(e) => {
                self.state().clear_warnings();
                return self.fail(e, &statement, sink);
            }
        }
        let earlier = bound.statement.compiled().plan.earlier_warnings;
        self.state().begin_warnings(earlier);
        self.state().calls.clear();
        self.answer_calls(bound, sink)
    }

    /// Answers what the statement asks of the session (locks by name, SLEEP), one by one, then runs it.
    fn answer_calls(&mut self, bound: Bound, sink: &mut dyn Sink) -> Flow {
        let statement = bound.statement.clone();
        if functions::writes(&statement.compiled().plan.calls) {
            return self.write(bound);
        }
        while let Some(call) = statement.compiled().plan.calls.get(self.core().state.calls.len()) {
            match self.call(call, &bound) {
                Ok(Ok(value)) => self.state().calls.push((value, FieldType::int())),
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
            let (value, ty) = self.scalar_of(arg, bound)?;
            args.push((!value.is_null()).then(|| words::text(&ty, (&value).into())));
        }
        let mut args = args.into_iter();
        let mut next = || args.next().flatten();
        let (id, now_us) = (self.handle.id, self.inner.clock.now_us());
        let after = |seconds: f64| now_us.saturating_add((seconds * 1e6) as u64);
        let seconds = |text: Option<String>| text.map(|t| t.trim().parse::<f64>().unwrap_or(0.0));
        let calls = &self.inner.calls;
        Ok(match call.function {
            CallFunction::Routine(_) => {
                return Err(SqlError::unsupported("waiting beside a stored function that writes"));
            }
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
            CallFunction::WaitForGtids => {
                let Some(set) = next() else { return Ok(Ok(Value::Null)) };
                let set = GtidSet::parse(&set).ok_or_else(|| SqlError::malformed_gtid_set(&set))?;
                // Without an end, and with 0, it waits for ever.
                let until_us = match seconds(next()).unwrap_or(0.0) {
                    s if s < 0.0 => {
                        let what = "Incorrect arguments to WAIT_FOR_EXECUTED_GTID_SET.";
                        return Err(SqlError::new(1210, "HY000", what));
                    }
                    0.0 => u64::MAX,
                    s => after(s),
                };
                if set.is_subset(&self.inner.published.load().frontier().gtid_set()) {
                    return Ok(Ok(Value::Int(0)));
                }
                Err(calls.await_gtids(id, set, until_us))
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
            if bound.is_unsaid() || statement.epoch() == catalog.epoch {
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

    fn run(&mut self, bound: Bound, sink: &mut dyn Sink) -> Flow {
        let statement = bound.statement.clone();
        let plan = &statement.compiled().plan;
        if let Err(e) = self.core_mut().may(&plan.needs).and_then(|()| self.locked.may_write(&plan.kind)) {
            return self.fail(e, &statement, sink);
        }
        self.core_mut().touched |= plan.touches;
        let locking = plan.value_queries().into_iter().find(|q| self.must_lock(q)).and_then(|q| q.locking);
        if let Some(how) = locking {
            return match self.is_read_only() {
                true => self.refuse_to_write(),
                false => self.lock(how, false, bound, sink),
            };
        }
        match &plan.kind {
            PlanKind::Query(_) if plan.commits => self.commit(Then::Run(bound), sink),
            PlanKind::Query(q) => {
                // What CHECKSUM TABLE did not find; what else is said of a query is said while it runs.
                for note in plan.notes.iter().filter(|n| n.level == p2pdb_sql::plan::NoteLevel::Error) {
                    self.core_mut().state.warn(note.clone());
                }
                self.query(q, bound, sink)
            }
            PlanKind::Insert(_) => self.write(bound),
            PlanKind::Modify(m) if !m.truncate => self.write(bound),
            PlanKind::Modify(_) | PlanKind::Ddl(_) if self.has_read_lock() && !is_quiet(plan) => {
                self.refuse_to_write()
            }
            PlanKind::Modify(_) => self.commit(Then::Run(bound), sink),
            PlanKind::Ddl(_) if is_quiet(plan) => self.defined_own(&bound),
            PlanKind::Ddl(_) => self.commit(Then::Run(bound), sink),
            PlanKind::Session(commands) => self.begin_commands(commands.clone().into(), bound, sink),
            PlanKind::Program(_) => self.call_program(bound),
        }
    }

    /// Goes on after a wait.
    pub fn resume(&mut self, sink: &mut dyn Sink) -> Progress {
        let flow = self.with_sink(sink, |session, sink| session.resume_statement(sink));
        self.go_on(flow, sink)
    }

    fn resume_statement(&mut self, sink: &mut dyn Sink) -> Flow {
        match self.waiting.take() {
            None => Flow::Done(Err(SqlError::new(1105, "HY000", "nothing to resume"))),
            Some(Waiting::Statement { taker, then }) => match taker.take() {
                Some((mut core, mut result)) => {
                    // It was a transaction of its own.
                    core.touched = Touches::default();
                    self.core = Some(core);
                    if let (Ok(_), Some(own)) = (&result, then.own) {
                        result = self.define_own(&own);
                    }
                    if let Ok(outcome) = &mut result {
                        outcome.database_dropped = then.drops_database;
                        if then.leaves_database && self.leave_dropped_database() {
                            outcome.schema_changed = Some(String::new());
                        }
                    }
                    self.finish(result)
                }
                None => self.wait_on(&taker.clone(), Waiting::Statement { taker, then }),
            },
            Some(Waiting::Lease { taker, bound, single }) => match taker.take() {
                Some(Ok(lease)) => match single {
                    false => self.leased(lease, bound, sink),
                    true => match self.leased(lease, bound, sink) {
                        Flow::Done(Ok(outcome)) => self.commit(Then::Done(outcome), sink),
                        Flow::Done(Err(e)) => {
                            self.rollback();
                            Flow::Done(Err(e))
                        }
                        waiting => waiting,
                    },
                },
                Some(Err(e)) => {
                    if single {
                        return self.abandon(e);
                    }
                    self.finish(Err(e))
                }
                None => self.wait_on(&taker.clone(), Waiting::Lease { taker, bound, single }),
            },
            Some(Waiting::Call { taker, bound }) => match taker.take() {
                Some(Ok(value)) => {
                    self.state().calls.push((value, FieldType::int()));
                    self.answer_calls(bound, sink)
                }
                Some(Err(e)) => self.finish(Err(e)),
                None => self.wait_on(&taker.clone(), Waiting::Call { taker, bound }),
            },
            Some(Waiting::Commit { taker, then }) => match taker.take() {
                Some(Ok(gtid)) => self.committed(gtid, then, sink),
                Some(Err(e)) => self.commit_failed(&then, e),
                None => self.wait_on(&taker.clone(), Waiting::Commit { taker, then }),
            },
        }
    }

    fn wait_on<T: Send + 'static>(&mut self, taker: &Taker<T>, waiting: Waiting) -> Flow {
        let wait = Wait::on(taker);
        self.waiting = Some(waiting);
        Flow::Waiting(wait)
    }

    /// The statement is over: what was the current database before it was run in its own is that again.
    pub(crate) fn come_back(&mut self) {
        let programs = self.machines.len();
        while let Some((_, away)) = self.away.pop_if(|(within, _)| *within >= programs) {
            self.state().database = away;
        }
    }

    /// Without its current database after it was dropped here, as in MySQL; whether that is the one that the client has.
    fn leave_dropped_database(&mut self) -> bool {
        let catalog = self.inner.published.load().catalog.clone();
        let core = self.core.as_mut().expect("invariant: the core is here once a statement is over");
        let away = self.away.iter_mut().map(|(_, database)| database);
        let mut is_clients = None;
        for database in away.chain([&mut core.state.database]) {
            let is_gone = |d: &String| catalog.database(d).is_none() && !is_virtual_database(d);
            let dropped = database.as_ref().is_some_and(is_gone);
            if dropped {
                *database = None;
            }
            is_clients.get_or_insert(dropped);
        }
        is_clients == Some(true)
    }

    /// Every statement ends here: bookkeeping of what the next one may ask.
    pub(crate) fn finish(&mut self, result: Result<Outcome, SqlError>) -> Flow {
        self.note_end();
        self.note_touched();
        let shows = !self.opens();
        let result = match result {
            Ok(mut outcome) => {
                let has_rows = outcome.has_rows || outcome.kept.is_some();
                if has_rows && shows {
                    self.news.send_rows();
                }
                let state = self.state();
                state.row_count = if has_rows { -1 } else { outcome.affected as i64 };
                outcome.warnings = state.end_warnings().min(u64::from(u16::MAX)) as u16;
                Ok(outcome)
            }
            Err(e) => {
                let state = self.state();
                state.end_warnings();
                state.failed(&e);
                Err(e)
            }
        };
        Flow::Done(result)
    }

    /// Nothing runs that others could see or stop.
    pub(crate) fn note_end(&mut self) {
        if self.machines.is_empty() {
            self.handle.doing.lock().0 = None;
        }
        *self.handle.interrupt.lock() = None;
    }

    /// Rolls back, and gives up what the session holds.
    fn forget(&mut self) {
        self.end_programs();
        self.call_params = None;
        self.waiting = None;
        self.rollback();
        self.come_back();
        self.forget_own();
        self.inner.calls.forget(self.handle.id);
        self.named.clear();
        self.locked.unlock();
    }

    /// COM_RESET_CONNECTION: rolls back, forgets everything but who it is.
    pub fn reset(&mut self) {
        self.forget();
        self.state().reset();
        self.news = News::new(self.sql_state());
        let published = self.inner.published.load();
        let now = p2pdb_model::Stamp::from_millis(self.inner.clock.now_ms());
        let account = self.core().account;
        self.state().roles = crate::roles::begin(&published.access, account, now);
    }

    /// COM_CHANGE_USER, after its authentication.
    ///
    /// # Errors
    /// 1045 when the account may not be used at this node, 1049 for an unknown database.
    pub fn change_user(&mut self, options: &SessionOptions) -> Result<(), SqlError> {
        self.forget();
        let core = self.inner.new_core(options)?;
        self.handle = core.handle.clone();
        self.budget = core.budget.clone();
        self.news = News::new(&core.state);
        self.core = Some(core);
        Ok(())
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

/// The single values that a statement asks for are looked up in tables, or computed by stored functions.
fn looks_up(plan: &Plan) -> bool {
    plan.functions || plan.scalars().iter().any(|s| s.query().is_some_and(|q| !q.short))
}

/// A schema statement that commits nothing: one of temporary tables alone.
fn is_quiet(plan: &Plan) -> bool {
    matches!(&plan.kind, PlanKind::Ddl(ddl) if ddl.quiet)
}
