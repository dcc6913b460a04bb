//! Queries: on the session's own connection, or at the writer once the transaction holds it; and the snapshot that the
//! reads of a transaction share.

use std::ops::ControlFlow;

use p2pdb_model::ValueRef;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::field::Field;
use p2pdb_sql::plan::{PlanKind, Query};
use p2pdb_sql::session::Isolation;
use p2pdb_store::PooledReader;

use super::temporary::with_copies;
use super::{Progress, Session, Snapshot, Transaction};
use crate::api::{Outcome, Sink};
use crate::error::store_to_sql;
use crate::queue::LeaseId;
use crate::read_set::{Reads, Seen};
use crate::run::{self, RunOn};
use crate::statement::Bound;

impl Session {
    pub(super) fn query(&mut self, q: &Query, bound: Bound, sink: &mut dyn Sink) -> Progress {
        let own = self.own_use(&bound.statement.compiled().plan);
        let only_own = own.as_ref().is_some_and(|o| !o.reads_others);
        if let Transaction::Writing(lease) = self.transaction
            && !only_own
        {
            return self.query_on_writer(lease, bound, sink);
        }
        let inside = !self.core().state.autocommit || self.in_transaction();
        if let Some(how) = q.locking.filter(|_| inside && !only_own) {
            return self.lock(how, bound, sink);
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

    pub(super) fn query_on_reader(
        &mut self,
        q: &Query,
        bound: &Bound,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, SqlError> {
        let plan = bound.statement.compiled().plan.clone();
        self.rows_on_reader(q, &plan.fields, bound, sink)
    }

    pub(super) fn rows_on_reader(
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
        let catalog = core.catalog(&self.base_catalog());
        let on = RunOn { inner: &self.inner, connection: &reader, catalog: &catalog };
        let reads = match &mut self.transaction {
            Transaction::Reading(s) => Some(&mut s.reads),
            _ => None,
        };
        let result = run::rows(&on, &mut core, q, fields, bound, reads, sink);
        self.core = Some(core);
        if let Transaction::Reading(s) = &mut self.transaction
            && !keeps_snapshot(self.isolation)
            && let Some((_, at)) = s.begun.take()
        {
            self.seen.read(std::mem::take(&mut s.reads), at);
            reader.end().map_err(|e| store_to_sql(&e))?;
        }
        self.reader = Some(reader);
        result
    }

    pub(super) fn query_on_writer(&mut self, lease: LeaseId, bound: Bound, sink: &mut dyn Sink) -> Progress {
        if let Err(e) = self.prove(lease) {
            return self.abandon(e);
        }
        let inner = self.inner.clone();
        let plan = bound.statement.compiled().plan.clone();
        let own = self.own_use(&plan).map(|o| o.tables).unwrap_or_default();
        let reader = self.reader.take();
        let mut seen = std::mem::take(&mut self.seen);
        let mut reads = (!seen.is_empty()).then(Reads::default);
        let result = self.at_writer(lease, |core, writer| {
            let PlanKind::Query(q) = &plan.kind else {
                return Err(SqlError::new(1105, "HY000", "not a query"));
            };
            with_copies(core, writer, reader.as_deref(), &own, |core, writer| {
                let catalog = core.catalog(&writer.catalog);
                let on = RunOn { inner: &inner, connection: &writer.db, catalog: &catalog };
                let fields = bound.statement.fields();
                let done = if fields.is_empty() {
                    unseen(run::rows(&on, core, q, fields, &bound, reads.as_mut(), &mut Unseen))?
                } else {
                    run::rows(&on, core, q, fields, &bound, reads.as_mut(), sink)?
                };
                if let Some(reads) = &reads {
                    execute::enter(execute::Context::new(&core.state, inner.clock.now_us() as i64));
                    let read = seen.read_on(reads, writer);
                    execute::leave();
                    read.map_err(|e| store_to_sql(&e))?;
                }
                Ok(done)
            })
        });
        self.seen = seen;
        self.put_reader(reader);
        self.finish(result.map(|(outcome, _)| outcome))
    }

    /// Takes the reader back that was lent to a statement at the writer. The transaction may be over.
    pub(super) fn put_reader(&mut self, reader: Option<PooledReader>) {
        self.reader = reader;
        if let Transaction::None = self.transaction {
            self.end_snapshot();
            self.end_own(false);
        }
    }

    pub(super) fn open_reader(&mut self) -> Result<(), SqlError> {
        if self.reader.is_none() {
            self.reader = Some(self.inner.reader().map_err(|e| e.to_sql())?);
        }
        Ok(())
    }

    /// Inside a transaction: opens the snapshot at its first read.
    pub(super) fn open_snapshot(&mut self) -> Result<(), SqlError> {
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

    pub(super) fn fresh_snapshot(&mut self, explicit: bool) -> Snapshot {
        let (isolation, read_only) = std::mem::take(&mut self.next);
        self.isolation = isolation.unwrap_or(self.core().state.isolation);
        self.seen = Seen::default();
        let read_only = read_only.unwrap_or(self.core().state.read_only);
        Snapshot { explicit, read_only, ..Snapshot::default() }
    }
}

/// All reads of a transaction see one state.
pub(super) fn keeps_snapshot(level: Isolation) -> bool {
    matches!(level, Isolation::RepeatableRead | Isolation::Serializable)
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
