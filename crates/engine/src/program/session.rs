//! A session that runs stored procedures: each statement of theirs runs like one that the client sent.
//!
//! There is no recursion: what a statement leads to is a [`Flow`], and [`Session::go_on`] goes from one to the next. How
//! deep procedures call each other, also through EXECUTE, is limited by [`Core::running`].

use std::sync::Arc;

use p2pdb_model::{Catalog, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::{Field, FieldType};
use p2pdb_sql::plan::{PlanKind, Query, Scalar};

use super::{End, Host, Kept, Machine, Step};
use crate::api::{Outcome, Sink};
use crate::core::Core;
use crate::engine::Inner;
use crate::session::{Progress, Session};
use crate::statement::Bound;
use crate::wait::Wait;

/// What a statement has led to.
pub(crate) enum Flow {
    /// It is over.
    Done(Result<Outcome, SqlError>),
    /// It waits.
    Waiting(Wait),
    /// A program begins; its machine is the session's last one.
    Program,
}

/// A stored procedure that is running.
pub(crate) struct Running {
    machine: Machine,
    /// The CALL around it.
    around: Option<Bound>,
}

impl Host for Session {
    fn inner(&self) -> Arc<Inner> {
        self.inner.clone()
    }

    fn core(&mut self) -> &mut Core {
        self.core_mut()
    }

    fn catalog(&mut self) -> Arc<Catalog> {
        Session::catalog(self)
    }

    fn must_lock(&self, query: &Query) -> bool {
        Session::must_lock(self, query)
    }

    fn scalar(&mut self, scalar: &Scalar) -> Result<(Value, FieldType), SqlError> {
        // It has neither literals nor parameters but those of the CALL.
        let bound = match &self.call_params {
            Some(bound) => bound.clone(),
            None => return Err(super::lost()),
        };
        self.scalar_of(scalar, &bound)
    }
}

impl Session {
    /// Begins a CALL.
    pub(crate) fn call_program(&mut self, bound: Bound) -> Flow {
        let statement = bound.statement.clone();
        let PlanKind::Program(call) = &statement.compiled().plan.kind else {
            return Flow::Done(Err(super::lost()));
        };
        let around = self.call_params.replace(bound);
        match Machine::call(self, call) {
            Ok(machine) => {
                self.machines.push(Running { machine, around });
                Flow::Program
            }
            Err(e) => {
                self.call_params = around;
                self.finish(Err(e))
            }
        }
    }

    /// Goes on with what a statement has led to, until the client's statement is over or waits.
    pub(crate) fn go_on(&mut self, mut flow: Flow, sink: &mut dyn Sink) -> Progress {
        loop {
            flow = match flow {
                Flow::Waiting(wait) => return Progress::Waiting(wait),
                Flow::Program => self.step(None, sink),
                Flow::Done(result) => {
                    let result = match self.opens() {
                        true => result,
                        false => result.and_then(|outcome| self.give(outcome, sink)),
                    };
                    self.come_back();
                    if self.machines.is_empty() {
                        return Progress::Done(result);
                    }
                    self.step(Some(result), sink)
                }
            };
        }
    }

    /// The statement that runs opens a cursor.
    pub(crate) fn opens(&self) -> bool {
        self.machines.last().is_some_and(|r| r.machine.opens())
    }

    /// Runs `f` with where the rows of the statement go that runs: to the client, or into a cursor.
    pub(crate) fn with_sink(
        &mut self,
        sink: &mut dyn Sink,
        f: impl FnOnce(&mut Self, &mut dyn Sink) -> Flow,
    ) -> Flow {
        if !self.opens() {
            return f(self, sink);
        }
        let mut rows = Kept::new(&self.budget);
        match f(self, &mut rows) {
            Flow::Done(Ok(outcome)) => Flow::Done(match outcome.kept {
                Some(_) => Ok(outcome),
                None => rows.whole().map(|rows| Outcome { kept: Some(rows), ..outcome }),
            }),
            other => other,
        }
    }

    /// Gives the client what rows it has not seen yet, and the end of one of several results.
    fn give(&mut self, mut outcome: Outcome, sink: &mut dyn Sink) -> Result<Outcome, SqlError> {
        if let Some(kept) = outcome.kept.take() {
            kept.give(sink)?;
            outcome.has_rows = true;
        }
        if outcome.has_rows && !self.machines.is_empty() {
            let mut end = self.result_end();
            if sink.tells() {
                end.news = self.transaction_news();
            }
            if sink.end(&outcome, end).is_break() {
                return Err(crate::engine::interrupted());
            }
        }
        Ok(outcome)
    }

    fn step(&mut self, event: Option<Result<Outcome, SqlError>>, sink: &mut dyn Sink) -> Flow {
        let Some(mut running) = self.machines.pop() else { return Flow::Done(Err(super::lost())) };
        match running.machine.step(self, event) {
            Step::Run(bound) => {
                self.machines.push(running);
                self.core_mut().handle.counted.query();
                self.with_sink(sink, |session, sink| session.begin(bound, sink))
            }
            Step::Done(result) => {
                self.end_program(running);
                self.note_touched();
                let result = result.map(|end| self.call_ended(end));
                self.note_end();
                Flow::Done(result)
            }
        }
    }

    /// The session is what it was before this program.
    fn end_program(&mut self, mut running: Running) {
        running.machine.abandon(self.core_mut());
        self.call_params = running.around;
    }

    /// Ends every program, as it is.
    pub(crate) fn end_programs(&mut self) {
        while let Some(running) = self.machines.pop() {
            self.end_program(running);
        }
    }

    fn call_ended(&mut self, end: End) -> Outcome {
        let End { outcome, mut out, .. } = end;
        out.sort_by_key(|(n, ..)| *n);
        let field = |v: &p2pdb_sql::routine::Variable| Field::expression(&v.name, v.ty.clone());
        let out = out.into_iter().map(|(_, v, value)| (field(&v), value)).collect();
        let warnings = self.core_mut().state.end_warnings().min(u64::from(u16::MAX)) as u16;
        let Outcome { affected, gtid, schema_changed, state_changed, variables_changed, .. } = outcome;
        Outcome {
            affected,
            warnings,
            out,
            gtid,
            schema_changed,
            state_changed,
            variables_changed,
            ..Outcome::default()
        }
    }
}
