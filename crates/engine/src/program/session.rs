//! A session that runs stored procedures: each statement of theirs runs like one that the client sent.

use std::sync::Arc;

use p2pdb_model::{Catalog, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::{Field, FieldType};
use p2pdb_sql::plan::{PlanKind, Scalar};

use super::{End, Host, Machine, Step, cursor};
use crate::api::{Outcome, ResultEnd, Sink};
use crate::core::Core;
use crate::engine::Inner;
use crate::session::{Progress, Session};
use crate::statement::Bound;

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

    fn scalar(&mut self, scalar: &Scalar) -> Result<(Value, FieldType), SqlError> {
        // It has neither literals nor parameters but those of the CALL.
        let bound = match &self.call_params {
            Some(bound) => bound.clone(),
            None => return Err(super::lost()),
        };
        self.value_of(scalar, &bound)
    }

    fn rows(&mut self, bound: &Bound, rows: &mut cursor::Rows) -> Result<(), SqlError> {
        self.rows_of(bound, rows)?;
        if rows.is_full() { Err(cursor::too_large()) } else { Ok(()) }
    }
}

impl Session {
    /// Begins a CALL.
    pub(crate) fn call_program(&mut self, bound: Bound, sink: &mut dyn Sink) -> Progress {
        let statement = bound.statement.clone();
        let PlanKind::Program(call) = &statement.compiled().plan.kind else {
            return Progress::Done(Err(super::lost()));
        };
        let before = self.call_params.replace(bound);
        let machine = Machine::call(self, call);
        match machine {
            Ok(machine) => {
                self.machines.push((machine, before));
                self.step_machine(None, sink)
            }
            Err(e) => {
                self.call_params = before;
                self.finish(Err(e))
            }
        }
    }

    /// A statement is over: goes on with the program that it belongs to, if it does.
    pub(crate) fn go_on(&mut self, mut progress: Progress, sink: &mut dyn Sink) -> Progress {
        loop {
            if let Progress::Done(Ok(outcome)) = &mut progress
                && let Some(kept) = self.core_mut().kept.take()
            {
                outcome.has_rows = true;
                if let Err(e) = kept.give(sink) {
                    progress = Progress::Done(Err(e));
                }
            }
            let result = match progress {
                Progress::Waiting(_) => return progress,
                Progress::Done(result) if self.machines.is_empty() => return Progress::Done(result),
                Progress::Done(result) => result,
            };
            let result = match result {
                Ok(outcome) if outcome.has_rows => self.end_result(&outcome, sink).map(|()| outcome),
                other => other,
            };
            progress = self.step_machine(Some(result), sink);
        }
    }

    /// One of several results is over.
    fn end_result(&mut self, outcome: &Outcome, sink: &mut dyn Sink) -> Result<(), SqlError> {
        let end = ResultEnd { in_transaction: self.in_transaction(), autocommit: self.autocommit() };
        if sink.end(outcome, end).is_break() {
            return Err(crate::engine::interrupted());
        }
        Ok(())
    }

    fn step_machine(&mut self, event: Option<Result<Outcome, SqlError>>, sink: &mut dyn Sink) -> Progress {
        let Some((mut machine, before)) = self.machines.pop() else {
            return Progress::Done(Err(super::lost()));
        };
        match machine.step(self, event) {
            Step::Run(bound) => {
                self.machines.push((machine, before));
                self.begin(bound, sink)
            }
            Step::Done(result) => {
                machine.abandon(self.core_mut());
                self.call_params = before;
                let result = result.map(|end| self.call_ended(end));
                self.note_end();
                Progress::Done(result)
            }
        }
    }

    fn call_ended(&mut self, end: End) -> Outcome {
        let End { outcome, mut out, .. } = end;
        out.sort_by_key(|(n, ..)| *n);
        let field = |v: &p2pdb_sql::routine::Variable| Field {
            name: v.name.clone(),
            org_name: String::new(),
            table: String::new(),
            org_table: String::new(),
            database: String::new(),
            ty: v.ty.clone(),
            not_null: false,
            primary_key: false,
            unique_key: false,
            multiple_key: false,
            auto_increment: false,
        };
        let out = out.into_iter().map(|(_, v, value)| (field(&v), value)).collect();
        let warnings = self.core_mut().state.warning_count.min(u64::from(u16::MAX)) as u16;
        Outcome { affected: outcome.affected, warnings, out, ..Outcome::default() }
    }
}
