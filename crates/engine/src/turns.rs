//! Turns at the writer: groups, leases, and what is told to whom after a commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use p2pdb_access::Access;
use p2pdb_block::FullBlock;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::ObjectId;
use p2pdb_model::{AccountId, Catalog, Stamp};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::plan::{Ddl, PlanKind, Then};

use crate::api::Outcome;
use crate::core::Core;
use crate::engine::Inner;
use crate::error::{DISK_FULL, EngineError};
use crate::job::{After, Done, EndLease, Job, StatementJob};
use crate::queue::LeaseId;
use crate::statement::Bound;
use crate::wait::Giver;
use crate::writer::Writer;

/// Jobs that share a group at most.
const GROUP_JOBS_MAX: usize = 512;

impl Inner {
    /// Runs this job and those behind it that may share its group, then commits once.
    pub(crate) fn group(&self, first: Job) {
        let mut writer = self.writer.lock();
        let unsyncable = self.unsyncable.get().map(|why| EngineError::Refused(why.clone()));
        if let Err(e) = unsyncable.map_or_else(|| writer.begin(), Err) {
            first.fail(e.to_sql());
            return;
        }
        let mut done: Vec<(Giver<Done>, Done)> = Vec::new();
        let mut afters: Vec<After> = Vec::new();
        let mut job = Some(first);
        // The account of which was just found that it may write.
        let mut may_write: Option<AccountId> = None;
        let mut n = 0;
        while let Some(next) = job {
            let alone = next.is_alone();
            match next {
                Job::Statement(StatementJob { mut core, bound, giver, .. }) => {
                    let result = match may_write {
                        Some(account) if account == core.account => Ok(()),
                        _ => self.may_write(&writer, core.account),
                    };
                    may_write = result.is_ok().then_some(core.account);
                    let result =
                        result.and_then(|()| self.autocommit(&mut writer, &mut core, (bound, alone)));
                    if alone && result.is_err() {
                        // Its first half may be sealed already.
                        writer.rollback();
                        drop(writer);
                        giver.give((core, result));
                        return;
                    }
                    done.push((giver, (core, result)));
                }
                Job::Task(task) => {
                    afters.push((task.run)(&mut writer));
                    may_write = None;
                }
                Job::Lease(_) => unreachable!("a lease never joins a group"),
            }
            n += 1;
            // A fault took the SQLite transaction back: nobody may join it any more.
            if alone || writer.is_broken() || n >= GROUP_JOBS_MAX {
                break;
            }
            job = self.queue.next_of_group(self.clock.now_us());
        }
        let committed = if let Some(why) = writer.why_broken() {
            writer.rollback();
            // They fell with the one that met the fault, which is everybody's.
            let fault = done.iter().find_map(|(_, (_, r))| r.as_ref().err().filter(|e| e.code == DISK_FULL));
            match fault {
                Some(e) => Err(EngineError::Full(e.message.clone())),
                None => Err(EngineError::RolledBack(why)),
            }
        } else {
            writer.commit_unsynced()
        };
        let gtid = match &committed {
            Ok(made) => made.last().map(|b| self.gtid(&writer, b)),
            Err(_) => None,
        };
        let tell: After = Box::new(move |synced| {
            for (giver, (core, result)) in done {
                let result = match synced {
                    Ok(()) => result.map(|outcome| Outcome { gtid: gtid.clone(), ..outcome }),
                    // Who failed anyway hears why it failed.
                    Err(e) => Err(result.err().unwrap_or_else(|| e.to_sql())),
                };
                giver.give((core, result));
            }
            for after in afters {
                after(synced);
            }
        });
        match committed {
            Ok(made) => self.committed(writer, made, tell),
            Err(e) => {
                drop(writer);
                tracing::error!(error = %e, "a group could not be committed; nothing of it was");
                self.commit_failed(&e);
                tell(Err(&e));
            }
        }
    }

    fn commit_failed(&self, e: &EngineError) {
        self.counters.groups_failed.fetch_add(1, Ordering::Relaxed);
        self.health.lock().failed = Some((self.clock.now_ms(), e.to_string()));
    }

    /// An autocommit statement inside the group.
    fn autocommit(
        &self,
        writer: &mut Writer,
        core: &mut Core,
        (bound, alone): (Bound, bool),
    ) -> Result<Outcome, SqlError> {
        if core.handle.take_kill() {
            return Err(SqlError::new(1317, "70100", "Query execution was interrupted"));
        }
        let catalog = core.catalog(&writer.catalog);
        let bound = self.compiled_for(bound, core, &catalog, &writer.access)?;
        if !alone
            && let PlanKind::Ddl(d) = &bound.statement.compiled().plan.kind
            && d.is_alone()
        {
            // The schema has changed since it took its place here: in a group with others it could not be taken back.
            let message = "Table definition has changed, please retry transaction";
            return Err(SqlError::new(1412, "HY000", message));
        }
        let ddl = matches!(&bound.statement.compiled().plan.kind, PlanKind::Ddl(_));
        if ddl {
            writer.seal_open().map_err(|e| e.to_sql())?;
        }
        let whole = match &bound.statement.compiled().plan.kind {
            PlanKind::Ddl(d) => d.whole,
            _ => None,
        };
        let before = whole.map(|(table, _)| writer.waiting(table)).transpose().map_err(|e| e.to_sql())?;
        // Its only statement: what is taken back when it fails is the transaction.
        core.copies = Some(Vec::new());
        let outcome = writer.transaction(core.account, |w| crate::local::run(w, core, &bound));
        core.copies = None;
        let outcome = outcome?;
        if ddl {
            writer.seal_open().map_err(|e| e.to_sql())?;
        }
        if let PlanKind::Ddl(d) = &bound.statement.compiled().plan.kind
            && !d.then.is_empty()
        {
            let outcome = self.then(writer, core, d)?;
            whole.zip(before).map_or(Ok(()), |(whole, before)| all_stay(writer, whole, &before))?;
            return Ok(outcome);
        }
        whole.zip(before).map_or(Ok(()), |(whole, before)| all_stay(writer, whole, &before))?;
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        Ok(outcome)
    }

    /// What comes behind a schema statement, which is alone in its group: when it fails, the schema is as it was.
    fn then(&self, writer: &mut Writer, core: &mut Core, ddl: &Ddl) -> Result<Outcome, SqlError> {
        let mut outcome = Outcome::default();
        for step in &ddl.then {
            let text = match step {
                Then::Statement(text) => text,
                Then::Number(numbering) => {
                    writer.transaction(core.account, |w| {
                        crate::local::atomic(w, |w| crate::local::number(w, core, numbering))
                    })?;
                    continue;
                }
            };
            let catalog = writer.catalog.clone();
            let statement = self.compile(text.as_str().into(), &core.state, &catalog, None)?;
            let bound = Bound { statement, params: Arc::default() };
            let schema = matches!(&bound.statement.compiled().plan.kind, PlanKind::Ddl(_));
            if schema {
                writer.seal_open().map_err(|e| e.to_sql())?;
            }
            let made = writer.transaction(core.account, |w| crate::local::statement(w, core, &bound))?;
            if schema {
                writer.seal_open().map_err(|e| e.to_sql())?;
            } else {
                outcome = made;
            }
        }
        if ddl.counts {
            outcome.info = format!("Records: {}  Duplicates: 0  Warnings: 0", outcome.affected);
        }
        Ok(outcome)
    }

    /// The statement, compiled against this schema. Where its names may mean something else than when it was asked for, the
    /// account is asked again.
    pub(crate) fn compiled_for(
        &self,
        bound: Bound,
        core: &mut Core,
        catalog: &Catalog,
        access: &Arc<Access>,
    ) -> Result<Bound, SqlError> {
        if bound.statement.epoch() == catalog.epoch {
            return Ok(bound);
        }
        let kinds = bound.kinds();
        let text = bound.statement.text().clone();
        let statement = self.compile(text, &core.state, catalog, kinds.as_deref())?;
        let now = Stamp::from_millis(self.clock.now_ms());
        let needs = &statement.compiled().plan.needs;
        core.powers.check(access, core.account, &core.state, now, needs, self.node)?;
        Ok(Bound { statement, params: bound.params })
    }

    /// 1290 when this node may not write, and why.
    pub(crate) fn may_write(&self, writer: &Writer, account: AccountId) -> Result<(), SqlError> {
        let read_only = |why: &str| {
            let message = format!(
                "The MySQL server is running with the --read-only option so it cannot execute this statement ({why})"
            );
            Err(SqlError::new(1290, "HY000", message))
        };
        if let Some(why) = self.refuses_writes(writer.keeps()) {
            return read_only(&why);
        }
        let now = Stamp::next(writer.dag.stamp_floor(), self.clock.now_ms());
        match writer.access.role(self.node) {
            None => read_only("this node is not a member of the realm, or was removed from it"),
            Some(role) if !role.writes() => {
                read_only(&format!("this node is a {} of the realm", role.name()))
            }
            Some(_) if !writer.access.may_act(self.node, account, now) => {
                read_only("the account has not delegated to this node")
            }
            Some(_) => Ok(()),
        }
    }

    /// Gives the writer to a transaction.
    pub(crate) fn grant(&self, job: Job, lease: LeaseId) {
        let Job::Lease(job) = job else { unreachable!("only a lease is granted") };
        let mut writer = self.writer.lock();
        let begun =
            writer.begin().and_then(|()| writer.enter(job.account).inspect_err(|_| writer.rollback()));
        let begun = begun.map_err(|e| e.to_sql()).and_then(|()| {
            self.may_write(&writer, job.account).inspect_err(|_| {
                writer.undo();
                writer.rollback();
            })
        });
        drop(writer);
        match begun {
            Ok(()) => job.giver.give(Ok(lease)),
            Err(e) => {
                let (giver, _) = crate::wait::handoff();
                // Nobody holds it: the next job's turn.
                let ended = self.queue.end_lease(lease, EndLease { commit: false, giver });
                debug_assert!(ended.is_ok());
                job.giver.give(Err(e));
            }
        }
    }

    /// The holder ended its transaction.
    pub(crate) fn end_lease(&self, end: EndLease) {
        let mut writer = self.writer.lock();
        if !writer.db.in_transaction() {
            end.giver.give(Ok(None));
            return;
        }
        if !end.commit && !fault::on(Fault::RollbackCommits) {
            writer.undo();
            writer.rollback();
            end.giver.give(Ok(None));
            return;
        }
        let ended = match writer.leave() {
            Ok(()) => writer.commit_unsynced(),
            Err(e) => {
                writer.rollback();
                Err(e)
            }
        };
        match ended {
            Ok(made) => {
                let gtid = made.last().map(|b| self.gtid(&writer, b));
                self.counters.transactions.fetch_add(1, Ordering::Relaxed);
                let tell = move |synced: Result<(), &EngineError>| {
                    end.giver.give(synced.map(|()| gtid).map_err(EngineError::to_sql));
                };
                self.committed(writer, made, Box::new(tell));
            }
            Err(e) => {
                drop(writer);
                tracing::error!(error = %e, "a transaction could not be committed; nothing of it was");
                self.commit_failed(&e);
                end.giver.give(Err(e.to_sql()));
            }
        }
    }

    /// The holder was idle for too long while others waited.
    pub(crate) fn expire_lease(&self) {
        let mut writer = self.writer.lock();
        if writer.db.in_transaction() {
            writer.undo();
            writer.rollback();
        }
    }

    fn gtid(&self, writer: &Writer, block: &FullBlock) -> String {
        let chain = writer.dag.find(&block.cid(), &crate::logged::Logged(&writer.db)).ok().flatten();
        let branch = chain.and_then(|f| writer.dag.branch(f.place.branch));
        branch.map_or_else(String::new, |b| format!("{}:{}", b.chain.uuid(), block.seq()))
    }
}

/// A schema statement has made no row leave this table, by itself or for one that came back: the error that MySQL gives if one had to.
/// `parents`: also for want of its parent.
fn all_stay(
    writer: &mut Writer,
    (table, parents): (ObjectId, bool),
    before: &p2pdb_store::Waiting,
) -> Result<(), SqlError> {
    let Some(obstacle) = writer.newly_waits(table, before, parents).map_err(|e| e.to_sql())? else {
        return Ok(());
    };
    let catalog = writer.catalog.clone();
    let Some(table) = catalog.table_by_id(table) else { return Ok(()) };
    Err(crate::decide::meets(&catalog, table, &obstacle))
}
