//! What waits for the writer.

use p2pdb_sql::error::SqlError;
use p2pdb_sql::plan::PlanKind;

use crate::api::Outcome;
use crate::core::Core;
use crate::error::EngineError;
use crate::queue::LeaseId;
use crate::statement::Bound;
use crate::wait::Giver;
use crate::writer::Writer;

/// A session's core comes back with what became of its statement.
pub(crate) type Done = (Box<Core>, Result<Outcome, SqlError>);

/// An autocommit statement.
pub(crate) struct StatementJob {
    pub(crate) core: Box<Core>,
    pub(crate) bound: Bound,
    pub(crate) deadline_us: u64,
    pub(crate) giver: Giver<Done>,
}

/// A transaction at its first write.
pub(crate) struct LeaseJob {
    /// The session's connection id.
    pub(crate) session: u64,
    pub(crate) account: p2pdb_model::AccountId,
    pub(crate) deadline_us: u64,
    pub(crate) giver: Giver<Result<LeaseId, SqlError>>,
}

/// Something that the node itself does at the writer: arriving blocks, admissions. It runs inside the group's SQLite
/// transaction and hands over what to do when the group has (`Ok`) or has not (`Err`) been committed.
pub(crate) type After = Box<dyn FnOnce(Result<(), &EngineError>) + Send>;
pub(crate) struct TaskJob {
    pub(crate) run: Box<dyn FnOnce(&mut Writer) -> After + Send>,
}

/// See the module.
pub(crate) enum Job {
    Statement(StatementJob),
    Lease(LeaseJob),
    Task(TaskJob),
}

impl Job {
    pub(crate) fn is_lease(&self) -> bool {
        matches!(self, Job::Lease(_))
    }

    /// Shares its group with nobody: it is taken back as a whole where it fails at its end ([`p2pdb_sql::plan::Ddl::is_alone`]).
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self, Job::Statement(j)
            if matches!(&j.bound.statement.compiled().plan.kind, PlanKind::Ddl(d) if d.is_alone()))
    }

    pub(crate) fn deadline_us(&self) -> u64 {
        match self {
            Job::Statement(j) => j.deadline_us,
            Job::Lease(j) => j.deadline_us,
            Job::Task(_) => u64::MAX,
        }
    }

    /// It belongs to the session with this connection id.
    pub(crate) fn is_of(&self, session: u64) -> bool {
        match self {
            Job::Statement(j) => j.core.handle.id == session,
            Job::Lease(j) => j.session == session,
            Job::Task(_) => false,
        }
    }

    /// Answers with this error, changing nothing.
    pub(crate) fn fail(self, error: SqlError) {
        match self {
            Job::Statement(j) => j.giver.give((j.core, Err(error))),
            Job::Lease(j) => j.giver.give(Err(error)),
            Job::Task(_) => {}
        }
    }
}

/// How a transaction that holds the writer ends.
pub(crate) struct EndLease {
    pub(crate) commit: bool,
    pub(crate) giver: Giver<Result<Option<String>, SqlError>>,
}

impl std::fmt::Debug for EndLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EndLease {{ commit: {} }}", self.commit)
    }
}
