//! Statements that write, the lease of the writer that a transaction holds from its first write on, and how a
//! transaction ends.

use p2pdb_model::change::SchemaChange;
use p2pdb_sql::command::Command;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::plan::{Ddl, Locking, PlanKind, Query, Touches};
use p2pdb_sql::session::Isolation;

use super::reading::keeps_snapshot;
use super::temporary::with_copies;
use super::{After, Flow, STEPS_PER_US, Session, Snapshot, Then, Transaction, Unproven, Waiting};
use crate::api::{Outcome, Sink};
use crate::core::Core;
use crate::error::store_to_sql;
use crate::job::{EndLease, Job, LeaseJob, StatementJob};
use crate::local;
use crate::program::functions;
use crate::queue::LeaseId;
use crate::read_set::Blind;
use crate::statement::Bound;
use crate::wait::{Taker, handoff};
use crate::writer::Writer;

impl Session {
    pub(super) fn write(&mut self, bound: Bound) -> Flow {
        if let Some(own) = self.own_use(&bound.statement.compiled().plan) {
            return self.write_with_own(bound, &own);
        }
        match &self.transaction {
            Transaction::Writing(lease) => {
                let lease = *lease;
                self.write_on_lease(lease, &bound)
            }
            Transaction::Reading(s) if s.read_only => self.refuse_to_write(),
            Transaction::None if self.core().state.autocommit => self.submit(bound, After::default()),
            Transaction::None if self.begins_read_only() => self.refuse_to_write(),
            _ => self.lease(bound, false),
        }
    }

    /// Hands an autocommit statement to the writer.
    pub(super) fn submit(&mut self, bound: Bound, then: After) -> Flow {
        if self.next_is_read_only() {
            return self.refuse_to_write();
        }
        let (giver, taker) = handoff();
        let core = self.core.take().expect("invariant: the core is here while a statement begins");
        let deadline_us = self.inner.lock_deadline_us(&core.state);
        let job = StatementJob { core, bound, deadline_us, giver };
        match self.inner.queue.push(Job::Statement(job)) {
            Ok(()) => {
                self.heed_kill();
                self.wait_on(&taker.clone(), Waiting::Statement { taker, then })
            }
            Err(job) => {
                if let Job::Statement(job) = job {
                    self.core = Some(job.core);
                }
                self.finish(Err(self.inner.no_room()))
            }
        }
    }

    /// Asks for the writer; the statement goes on when it is granted. `single`: it is a transaction by itself.
    pub(super) fn lease(&mut self, bound: Bound, single: bool) -> Flow {
        if let Transaction::None = self.transaction {
            self.transaction = Transaction::Reading(self.fresh_snapshot(false));
        }
        let (job, taker) = self.lease_job();
        match self.inner.queue.push(job) {
            Ok(()) => {
                self.heed_kill();
                self.wait_on(&taker.clone(), Waiting::Lease { taker, bound, single })
            }
            Err(_) if single => self.abandon(self.inner.no_room()),
            Err(_) => self.finish(Err(self.inner.no_room())),
        }
    }

    fn lease_job(&self) -> (Job, Taker<Result<LeaseId, SqlError>>) {
        let (giver, taker) = handoff();
        let deadline_us = self.inner.lock_deadline_us(&self.core().state);
        let account = self.core().account;
        (Job::Lease(LeaseJob { session: self.handle.id, account, deadline_us, giver }), taker)
    }

    /// A locking read in a transaction: takes the writer first. Where another transaction has it, NOWAIT gives up, and SKIP
    /// LOCKED finds nothing, as if that one had locked every row; but what takes a value of it waits. `single`: it is a
    /// transaction by itself.
    pub(super) fn lock(&mut self, how: Locking, single: bool, bound: Bound, sink: &mut dyn Sink) -> Flow {
        let shows = match &bound.statement.compiled().plan.kind {
            PlanKind::Query(q) => !q.into.is_empty() || !bound.statement.fields().is_empty(),
            _ => false,
        };
        let gives_up = how.nowait || (how.skip_locked && shows);
        if !gives_up {
            return self.lease(bound, single);
        }
        if let Transaction::None = self.transaction {
            self.transaction = Transaction::Reading(self.fresh_snapshot(false));
        }
        let (job, taker) = self.lease_job();
        match self.inner.queue.push_unless_held(job) {
            Ok(true) => {
                self.heed_kill();
                self.wait_on(&taker.clone(), Waiting::Lease { taker, bound, single })
            }
            Ok(false) if how.nowait => {
                if single {
                    self.rollback();
                }
                self.finish(Err(SqlError::new(
                    3572,
                    "HY000",
                    "Statement aborted because lock(s) could not be acquired immediately and NOWAIT is set.",
                )))
            }
            Ok(false) => {
                if single {
                    self.rollback();
                }
                let fields = bound.statement.fields();
                self.state().found_rows = 0;
                let has_rows = !fields.is_empty();
                let shown = if has_rows { sink.columns(fields) } else { Ok(()) };
                self.finish(shown.map(|()| Outcome { has_rows, ..Outcome::default() }))
            }
            Err(_) if single => self.abandon(self.inner.no_room()),
            Err(_) => self.finish(Err(self.inner.no_room())),
        }
    }

    /// The query locks what it reads, and the session holds no lock yet. By itself a statement locks nothing that outlives
    /// it, and in a READ ONLY transaction FOR SHARE is a read like any other.
    pub(crate) fn must_lock(&self, q: &Query) -> bool {
        q.locking.is_some_and(|how| !how.share || !self.is_read_only())
            && !q.reads.is_empty()
            && (!self.autocommit() || self.is_open())
            && !matches!(self.transaction, Transaction::Writing(_))
            && !self.is_of_own(q)
    }

    /// A KILL may have come just before the job stood in the queue, where it looks for it.
    pub(super) fn heed_kill(&self) {
        if self.handle.is_killed() {
            self.inner.interrupt_wait(self.handle.id);
        }
    }

    /// The writer is ours: is what the transaction has read still so?
    pub(super) fn leased(&mut self, lease: LeaseId, bound: Bound, sink: &mut dyn Sink) -> Flow {
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
        if bound.is_unsaid() {
            return self.finish(Ok(Outcome::default()));
        }
        // The newest schema counts from here on.
        let catalog = self.catalog();
        let inner = self.inner.clone();
        let access = inner.published.load().access.clone();
        let bound = match inner.compiled_for(bound, self.core_mut(), &catalog, &access) {
            Ok(bound) => bound,
            Err(e) => return self.finish(Err(e)),
        };
        let plan = bound.statement.compiled().plan.clone();
        match &plan.kind {
            PlanKind::Query(q) if !functions::writes(&plan.calls) => self.query(q, bound, sink),
            PlanKind::Session(commands) => self.begin_commands(commands.clone().into(), bound, sink),
            PlanKind::Program(_) => self.call_program(bound),
            _ => self.write_on_lease(lease, &bound),
        }
    }

    pub(super) fn write_on_lease(&mut self, lease: LeaseId, bound: &Bound) -> Flow {
        let begun_us = self.inner.clock.now_us();
        let result = self.statement_on_lease(lease, bound);
        let took_us = self.inner.clock.now_us().saturating_sub(begun_us);
        self.inner.note_cost(&bound.statement.compiled().plan, took_us.saturating_mul(STEPS_PER_US));
        self.finish(result)
    }

    pub(super) fn statement_on_lease(&mut self, lease: LeaseId, bound: &Bound) -> Result<Outcome, SqlError> {
        let plan = bound.statement.compiled().plan.clone();
        // Triggers and functions read there.
        if self.runs_programs(&plan) {
            self.prove(lease)?;
        }
        let own = self.own_use(&plan).map(|o| o.tables).unwrap_or_default();
        let unproven = self.unproven.take();
        let seen = std::mem::take(&mut self.seen);
        let mut reader = self.reader.take();
        let (mut lost, mut unknown) = (false, false);
        let result = self.at_writer(lease, |core, writer| {
            core.blind = (!seen.is_empty()).then(Blind::default);
            let mark = writer.db.capture_mark();
            local::atomic(writer, |writer| {
                let write = |core: &mut Core, writer: &mut Writer| local::statement(writer, core, bound);
                let (outcome, changes) = with_copies(core, writer, reader.as_deref(), &own, write)?;
                if let Some(u) = &unproven {
                    lost = writer.overwrote(mark, &u.reads, u.snapshot, reader.as_deref(), core)?;
                } else if let Some(blind) = core.blind.take() {
                    lost = writer.overwrote_blindly(mark, &seen, &blind)?;
                }
                if let Some(reader) = reader.as_mut().filter(|_| !lost && !changes.is_empty()) {
                    // What it did to the copies is done once more, or all of it is taken back.
                    reader.redo(&changes).inspect_err(|_| unknown = true).map_err(|e| store_to_sql(&e))?;
                }
                writer.fits()?;
                Ok(outcome)
            })
        });
        self.put_reader(reader);
        self.seen = seen;
        if lost {
            self.rollback();
            return Err(deadlock("a row that it has read and now writes was changed meanwhile"));
        }
        if let Transaction::Writing(_) = self.transaction {
            self.unproven = unproven;
        }
        if unknown {
            self.forget_own();
        }
        result
    }

    /// Before the transaction reads anything at the newest state: is all that it has read in its snapshot still so? From
    /// then on it can only read what fits to it, since it holds the writer. If not, it is rolled back (1213).
    pub(super) fn prove(&mut self, lease: LeaseId) -> Result<(), SqlError> {
        let Some(Unproven { catalog, snapshot, reads }) = self.unproven.take() else { return Ok(()) };
        let reader = self.reader.take();
        let now_us = self.inner.clock.now_us();
        let still = self.at_writer(lease, |core, writer| {
            let Some(reader) = &reader else { return Ok(false) };
            // Conditions call functions that want a context; what they warn of was said when they were read.
            execute::enter(execute::Context::new(&core.state, now_us as i64));
            let hold = reads.still_hold(&catalog, snapshot, reader, writer, &core.state);
            execute::leave();
            hold.map_err(|e| store_to_sql(&e))
        });
        self.put_reader(reader);
        self.end_snapshot();
        match still {
            Ok(true) => Ok(()),
            // What was to be proven is gone: the transaction must not go on without it.
            still => {
                self.rollback();
                Err(still.err().unwrap_or_else(|| deadlock("what it has read was changed meanwhile")))
            }
        }
    }

    /// Runs something at the writer that this session holds.
    pub(super) fn at_writer<T>(
        &mut self,
        lease: LeaseId,
        f: impl FnOnce(&mut Core, &mut Writer) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        if !self.inner.queue.use_lease(lease) {
            self.rollback();
            return Err(deadlock(TAKEN_BACK));
        }
        let inner = self.inner.clone();
        let mut core = self.core.take().expect("invariant: the core is here while a statement runs");
        core.copies = Some(Vec::new());
        let (result, lost) = {
            let mut writer = inner.writer.lock();
            *self.handle.interrupt.lock() = Some(writer.db.interrupt_handle());
            let result = f(&mut core, &mut writer);
            *self.handle.interrupt.lock() = None;
            writer.db.clear_interrupt();
            // SQLite took the whole transaction back (disk full, interrupt): so do we.
            let lost = writer.db.check().is_err();
            (result, lost)
        };
        (core.copies, core.reads, core.blind) = (None, None, None);
        self.core = Some(core);
        inner.queue.unuse_lease(lease, inner.clock.now_us());
        if lost {
            // The transaction keeps the lease that ends here, and so ends with 1213 at the next statement: who did not heed
            // this error would otherwise commit the rest of the transaction piece by piece.
            self.end_snapshot();
            self.end_own(false);
            self.end(lease, false);
        }
        result
    }

    /// Rolls back and reports why.
    pub(super) fn abandon(&mut self, error: SqlError) -> Flow {
        self.rollback();
        self.finish(Err(error))
    }

    /// Commits what is open, then does what follows.
    pub(super) fn commit(&mut self, then: Then, sink: &mut dyn Sink) -> Flow {
        self.end_snapshot();
        self.over(then.begins());
        match std::mem::replace(&mut self.transaction, Transaction::None) {
            Transaction::Writing(lease) => match self.end(lease, true) {
                Some(taker) => self.wait_on(&taker.clone(), Waiting::Commit { taker, then }),
                None => self.commit_failed(&then, deadlock(TAKEN_BACK)),
            },
            Transaction::Reading(_) | Transaction::None => self.committed(None, then, sink),
        }
    }

    pub(super) fn commit_failed(&mut self, then: &Then, error: SqlError) -> Flow {
        if matches!(then, Then::Commands(rest) if rest.turned_on) {
            self.state().autocommit = false;
        }
        self.abandon(error)
    }

    pub(super) fn committed(&mut self, gtid: Option<String>, then: Then, sink: &mut dyn Sink) -> Flow {
        self.end_own(true);
        match then {
            Then::Done(outcome) => self.finish(Ok(Outcome { gtid, ..outcome })),
            Then::Report => self.finish(Ok(Outcome { gtid, ..Outcome::default() })),
            Then::Fail(e) => self.finish(Err(e)),
            Then::Run(bound) => self.run_committed(bound, sink),
            Then::Commands(mut rest) => {
                rest.turned_on = false;
                rest.outcome.gtid = gtid.or(rest.outcome.gtid);
                self.commands(*rest, sink)
            }
        }
    }

    /// What commits before it runs.
    fn run_committed(&mut self, bound: Bound, sink: &mut dyn Sink) -> Flow {
        let plan = bound.statement.compiled().plan.clone();
        match &plan.kind {
            PlanKind::Query(q) => self.query(q, bound, sink),
            PlanKind::Modify(_) if self.own_use(&plan).is_some() => {
                let result = self.write_own(&bound, false, true);
                self.finish(result)
            }
            PlanKind::Ddl(d) if !d.temporary.is_empty() && d.changes.is_empty() => self.defined_own(&bound),
            PlanKind::Ddl(d) => {
                let then = After {
                    own: (!d.temporary.is_empty()).then(|| bound.clone()),
                    leaves_database: self.drops_current_database(d),
                    drops_database: bound.statement.command() == Some(Command::DROP_DB),
                };
                self.submit(bound, then)
            }
            _ => self.submit(bound, After::default()),
        }
    }

    fn drops_current_database(&self, ddl: &Ddl) -> bool {
        let catalog = self.catalog();
        let current = self.away.iter().map(|(_, database)| database).chain([&self.core().state.database]);
        let mut current = current.flatten().filter_map(|d| catalog.database(d));
        current.any(|database| {
            ddl.changes.iter().any(|change| matches!(change, SchemaChange::Drop { id } if *id == database.id))
        })
    }

    pub(super) fn end(
        &mut self,
        lease: LeaseId,
        commit: bool,
    ) -> Option<Taker<Result<Option<String>, SqlError>>> {
        let (giver, taker) = handoff();
        self.inner.queue.end_lease(lease, EndLease { commit, giver }).ok().map(|()| taker)
    }

    pub(super) fn end_snapshot(&mut self) {
        self.unproven = None;
        if let Some(reader) = &mut self.reader
            && reader.end().is_err()
        {
            // A connection that cannot end its snapshot is not used again.
            self.reader = None;
        }
    }

    /// Rolls the open transaction back. Never fails: what cannot be undone here is undone by the writer.
    pub(super) fn rollback(&mut self) {
        self.end_by_rollback(false);
    }

    /// The same; `begins`: see [`Self::over`].
    pub(super) fn end_by_rollback(&mut self, begins: bool) {
        if let Transaction::Writing(lease) = std::mem::replace(&mut self.transaction, Transaction::None) {
            // The writer rolls back when it sees this; nobody has to wait for it.
            self.end(lease, false);
        }
        self.end_snapshot();
        self.end_own(false);
        self.over(begins);
    }

    /// The transaction is over, however it ended. `begins`: what SET TRANSACTION has set holds for the one that follows at once.
    pub(super) fn over(&mut self, begins: bool) {
        if let Some(core) = &mut self.core {
            core.touched = Touches::default();
        }
        self.news.end();
        if !begins {
            self.news.forget_once();
            self.chained = None;
        }
    }
}

/// Why there is no transaction any more where there was one.
const TAKEN_BACK: &str = "the transaction was rolled back before: it was idle for too long, or a statement was interrupted or met \
                          an error of the disk";

/// 1213: the transaction was rolled back; a retry will do.
fn deadlock(why: &str) -> SqlError {
    SqlError::new(
        1213,
        "40001",
        format!("Deadlock found when trying to get lock; try restarting transaction ({why})"),
    )
}
