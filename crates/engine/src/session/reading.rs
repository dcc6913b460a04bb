//! Queries: on the session's own connection, or at the writer once the transaction holds it; and the snapshot that the
//! reads of a transaction share.

use std::ops::ControlFlow;
use std::sync::Arc;

use p2pdb_model::{ObjectId, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::field::Field;
use p2pdb_sql::plan::{Query, Touches};
use p2pdb_sql::session::Isolation;
use p2pdb_store::PooledReader;

use super::temporary::with_copies;
use super::{Flow, Session, Snapshot, Transaction};
use crate::api::{Outcome, Sink};
use crate::error::store_to_sql;
use crate::queue::LeaseId;
use crate::read_set::{Reads, Seen};
use crate::run::{self, RunOn};
use crate::statement::Bound;

impl Session {
    pub(super) fn query(&mut self, q: &Query, bound: Bound, sink: &mut dyn Sink) -> Flow {
        let inside = !self.core().state.autocommit || self.is_open();
        if let Some(how) = q.locking
            && !matches!(self.transaction, Transaction::Writing(_))
            && !self.is_of_own(q)
        {
            // In a READ ONLY transaction FOR SHARE is a read like any other: with the writer it could write. By itself a
            // locking read waits for nobody and holds nothing; NOWAIT and SKIP LOCKED ask whether another transaction does.
            match self.is_read_only() {
                true if !how.share && !q.reads.is_empty() => return self.refuse_to_write(),
                false if inside || how.nowait || how.skip_locked => {
                    return self.lock(how, !inside, bound, sink);
                }
                _ => {}
            }
        }
        // What SET TRANSACTION said is used up by what reads a table.
        if !inside && !q.reads.is_empty() {
            self.news.forget_once();
        }
        let plan = bound.statement.compiled().plan.clone();
        let result = if plan.fields.is_empty() {
            // The row of DO is nobody's.
            let outcome = self.rows(q, &plan.fields, &bound, &mut Unseen);
            outcome.map(|o| Outcome { has_rows: false, ..o })
        } else {
            self.rows(q, &plan.fields, &bound, sink)
        };
        self.finish(result)
    }

    /// It reads temporary tables only.
    pub(super) fn is_of_own(&self, q: &Query) -> bool {
        let own = self.core().temporary.named_in(&[&q.sql]);
        let is_own = |id: &ObjectId| own.iter().any(|t| t.id == *id);
        !own.is_empty() && !q.functions && q.reads.all().iter().all(is_own)
    }

    /// The rows of a query, where the transaction stands: the one way for statements, cursors and single values.
    pub(super) fn rows(
        &mut self,
        q: &Query,
        fields: &[Field],
        bound: &Bound,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, SqlError> {
        match self.transaction {
            Transaction::Writing(lease) if !self.is_of_own(q) => {
                self.rows_at_writer(lease, q, fields, bound, sink)
            }
            Transaction::None if !self.core().state.autocommit && (q.functions || !q.reads.is_empty()) => {
                self.transaction = Transaction::Reading(self.fresh_snapshot(false));
                self.rows_on_reader(q, fields, bound, sink)
            }
            _ => self.rows_on_reader(q, fields, bound, sink),
        }
    }

    fn rows_on_reader(
        &mut self,
        q: &Query,
        fields: &[Field],
        bound: &Bound,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, SqlError> {
        self.open_reader()?;
        // One that reads no table says nothing of what is there.
        if q.functions || !q.reads.is_empty() || q.reads_realm() {
            self.open_snapshot()?;
        }
        let mut reader = self.reader.take().ok_or_else(|| SqlError::new(1105, "HY000", "no reader"))?;
        let mut core = self.core.take().expect("invariant: the core is here while a statement begins");
        let catalog = core.catalog(&self.base_catalog());
        let on = RunOn { inner: &self.inner, connection: &reader, catalog: &catalog };
        if let Transaction::Reading(s) = &mut self.transaction {
            core.reads = Some(std::mem::take(&mut s.reads));
        }
        *self.handle.interrupt.lock() = Some(reader.interrupt_handle());
        if core.deadline_us > 0 {
            let (clock, deadline_us) = (self.inner.clock.clone(), core.deadline_us);
            reader.set_late(Some(Arc::new(move || clock.now_us() > deadline_us)));
        }
        let result = run::rows(&on, &mut core, q, fields, bound, sink);
        if core.deadline_us > 0 {
            reader.set_late(None);
        }
        *self.handle.interrupt.lock() = None;
        if let (Transaction::Reading(s), Some(reads)) = (&mut self.transaction, core.reads.take()) {
            s.reads = reads;
        }
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

    fn rows_at_writer(
        &mut self,
        lease: LeaseId,
        q: &Query,
        fields: &[Field],
        bound: &Bound,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, SqlError> {
        self.prove(lease)?;
        let inner = self.inner.clone();
        let own = self.core().temporary.named_in(&[&q.sql]);
        let reader = self.reader.take();
        let mut seen = std::mem::take(&mut self.seen);
        let result = self.at_writer(lease, |core, writer| {
            core.reads = (!seen.is_empty()).then(Reads::default);
            let rows = with_copies(core, writer, reader.as_deref(), &own, |core, writer| {
                let catalog = core.catalog(&writer.catalog);
                let on = RunOn { inner: &inner, connection: &writer.db, catalog: &catalog };
                run::rows(&on, core, q, fields, bound, sink)
            });
            if let (Some(reads), Ok(_)) = (core.reads.take(), &rows) {
                execute::enter(execute::Context::new(&core.state, inner.clock.now_us() as i64));
                let read = seen.read_on(&reads, writer);
                execute::leave();
                read.map_err(|e| store_to_sql(&e))?;
            }
            rows
        });
        self.seen = seen;
        self.put_reader(reader);
        result.map(|(outcome, _)| outcome)
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
            s.used = true;
        }
        Ok(())
    }

    /// Will the transaction that begins next be READ ONLY?
    pub(super) fn begins_read_only(&self) -> bool {
        self.news.once().read_only.unwrap_or(self.core().state.read_only)
    }

    /// May a statement that is a transaction by itself not write? Where it runs, what SET TRANSACTION said is used up.
    pub(super) fn next_is_read_only(&mut self) -> bool {
        let read_only = self.begins_read_only();
        if !read_only {
            self.news.forget_once();
        }
        read_only
    }

    /// 1792, or 1223 under a read lock, of a statement that so has done nothing.
    pub(super) fn refuse_to_write(&mut self) -> Flow {
        self.core_mut().touched = Touches::default();
        let read_lock = || {
            let message = "Can't execute the query because you have a conflicting read lock";
            SqlError::new(1223, "HY000", message)
        };
        let error = if self.has_read_lock() { read_lock() } else { super::temporary::read_only() };
        self.finish(Err(error))
    }

    pub(super) fn fresh_snapshot(&mut self, explicit: bool) -> Snapshot {
        let (isolation, read_only) = self.chained.take().unwrap_or_else(|| {
            let isolation = self.news.once().isolation.unwrap_or(self.core().state.isolation);
            (isolation, self.begins_read_only())
        });
        self.isolation = isolation;
        self.seen = Seen::default();
        Snapshot { explicit, read_only, ..Snapshot::default() }
    }
}

/// All reads of a transaction see one state.
pub(super) fn keeps_snapshot(level: Isolation) -> bool {
    matches!(level, Isolation::RepeatableRead | Isolation::Serializable)
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
