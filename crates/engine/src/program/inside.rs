//! Programs that run inside of a statement: triggers at the writer, functions wherever the statement runs.
//!
//! They run to their end in the thread of the statement and in its transaction, and see what it has done so far. What
//! would end the transaction or give rows to the client is refused when they are created; what only shows when they
//! run, here.

use std::sync::Arc;

use p2pdb_model::{Catalog, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::field::{Field, FieldType};
use p2pdb_sql::plan::{EarlierWarnings, PlanKind, Query, Scalar, SessionCommand};
use p2pdb_store::Connection;

use super::{End, Host, Kept, Machine, Result, Step, functions};
use crate::api::{Outcome, Sink};
use crate::core::Core;
use crate::engine::Inner;
use crate::powers::lacking;
use crate::run::{self, OneValue, RunOn};
use crate::statement::Bound;
use crate::tables::Tables;

/// Programs inside of programs inside of statements.
const DEPTH_MAX: usize = 32;
/// Stack that must be left for one more, bytes.
const STACK_LEFT_BYTES: usize = 512 * 1024;
/// Stack that is added when it is not, bytes.
const STACK_MORE_BYTES: usize = 4 * 1024 * 1024;

/// Where the statement runs.
pub(crate) enum At<'a> {
    /// At the writer, which it may use.
    Writer(&'a mut dyn Tables),
    /// On a connection that is in the middle of a query: only to read.
    Query(&'a Connection, Arc<Catalog>),
}

/// See the module.
pub(crate) struct Inside<'c, 'w> {
    pub(crate) core: &'c mut Core,
    pub(crate) at: At<'w>,
    /// `function` or `trigger`.
    pub(crate) word: &'static str,
    /// The statement whose literals and parameters values may name.
    pub(crate) bound: Option<Bound>,
}

impl Host for Inside<'_, '_> {
    fn inner(&self) -> Arc<Inner> {
        self.core.inner.clone()
    }

    fn core(&mut self) -> &mut Core {
        self.core
    }

    fn catalog(&mut self) -> Arc<Catalog> {
        match &self.at {
            At::Writer(w) => self.core.catalog(&w.base()),
            At::Query(_, catalog) => catalog.clone(),
        }
    }

    fn scalar(&mut self, scalar: &Scalar) -> Result<(Value, FieldType)> {
        match scalar {
            Scalar::Slot(slot) => {
                let core = &*self.core;
                let bound = self.bound.as_ref();
                let args = execute::Args {
                    literals: bound.map_or(&[], |b| &b.statement.compiled().literals),
                    params: bound.map_or(&[], |b| &b.params),
                    session: &core.state,
                    now_us: core.inner.clock.now_us() as i64,
                    random: core.inner.random(),
                    drawn: Default::default(),
                    virtuals: &run::no_virtuals,
                };
                execute::bind_typed(slot, &args)
            }
            Scalar::Query(q) => {
                let mut first = OneValue::default();
                let (found, fields) = (self.core.state.found_rows, std::slice::from_ref(&q.field));
                let bound = self.bound.clone().unwrap_or_else(Bound::nothing);
                self.query(&q.query, fields, &bound, &mut first)?;
                self.core.state.found_rows = found;
                Ok((first.0, q.field.ty.clone()))
            }
        }
    }
}

impl Inside<'_, '_> {
    fn query(&mut self, q: &Query, fields: &[Field], bound: &Bound, sink: &mut dyn Sink) -> Result<Outcome> {
        // At the writer everything is locked that could be.
        if q.locking.is_some() && self.core.copies.is_none() && matches!(self.at, At::Query(..)) {
            return Err(SqlError::unsupported("a locking read in a stored function that only reads"));
        }
        let inner = self.core.inner.clone();
        let catalog = self.catalog();
        let connection = match &self.at {
            At::Writer(w) => w.db(),
            At::Query(connection, _) => *connection,
        };
        let on = RunOn { inner: &inner, connection, catalog: &catalog };
        run::rows(&on, self.core, q, fields, bound, sink)
    }

    /// Runs a statement of the program; `opens`: for a cursor, which takes its rows.
    fn statement(&mut self, bound: &Bound, opens: bool) -> Result<Outcome> {
        self.core.handle.counted.query();
        self.core.handle.counted.command(bound.statement.command());
        let plan = bound.statement.compiled().plan.clone();
        self.core.may(&plan.needs)?;
        self.core.touched |= plan.touches;
        if plan.earlier_warnings == EarlierWarnings::Cleared {
            self.core.state.clear_warnings();
        }
        let writes = functions::writes(&plan.calls);
        if !plan.calls.is_empty() && !writes {
            return Err(SqlError::unsupported(format!("waiting in a {}", self.word)));
        }
        let outcome = match &plan.kind {
            // Without columns: SELECT … INTO, or DO.
            PlanKind::Query(_) if !plan.fields.is_empty() && !opens => {
                let message = format!("Not allowed to return a result set from a {}", self.word);
                return Err(SqlError::new(1415, "0A000", message));
            }
            PlanKind::Query(_) if writes => match &mut self.at {
                At::Writer(w) => crate::local::statement(*w, self.core, bound)?,
                At::Query(..) => {
                    let what = "a stored function that writes in one that is called by a query";
                    return Err(SqlError::unsupported(what));
                }
            },
            PlanKind::Query(q) => {
                let mut rows = Kept::new(&self.core.budget);
                let outcome = self.query(q, &plan.fields, bound, &mut rows)?;
                let kept = if opens { Some(rows.whole()?) } else { None };
                Outcome { has_rows: false, kept, ..outcome }
            }
            PlanKind::Insert(_) => self.write(bound)?,
            PlanKind::Modify(m) if !m.truncate => self.write(bound)?,
            PlanKind::Modify(_) | PlanKind::Ddl(_) => return Err(no_commit()),
            PlanKind::Session(commands) => {
                for command in commands {
                    self.command(command)?;
                }
                Outcome::default()
            }
            PlanKind::Program(_) => return Err(super::lost()),
        };
        self.core.state.row_count = outcome.affected as i64;
        Ok(outcome)
    }

    fn write(&mut self, bound: &Bound) -> Result<Outcome> {
        match &mut self.at {
            At::Writer(w) => {
                let plan = &bound.statement.compiled().plan;
                if self.core.temporary.used_by(plan).is_empty() != w.is_shared() {
                    return Err(SqlError::unsupported(format!(
                        "temporary and other tables in one statement and its {}s",
                        self.word
                    )));
                }
                crate::local::statement(*w, self.core, bound)
            }
            At::Query(..) => Err(SqlError::unsupported(
                "a stored function that writes, where it may be called more than once",
            )),
        }
    }

    fn command(&mut self, command: &SessionCommand) -> Result<()> {
        match command {
            SessionCommand::SetUser { name, value } => {
                let (value, ty) = self.scalar(value)?;
                self.core.state.set_user_variable(name, value, ty)?;
            }
            SessionCommand::SetVariable { name, .. } if name == "autocommit" => return Err(no_commit()),
            SessionCommand::SetVariable { global, name, value } => {
                let value = match value {
                    Some(v) => Some(self.scalar(v)?),
                    None => None,
                };
                self.core.set_variable(*global, name, value.as_ref())?;
            }
            SessionCommand::SetNames(charset, collation) => {
                self.core.state.set_names(charset, collation.as_deref())?;
            }
            SessionCommand::Holds(privilege, _) if self.core.holds(*privilege) => {}
            SessionCommand::Holds(_, words) => return Err(lacking(words)),
            SessionCommand::FlushStatus => self.core.handle.counted.begin_anew(),
            SessionCommand::Nothing => {}
            SessionCommand::Fail(e) => return Err(e.clone()),
            SessionCommand::Savepoint(_) | SessionCommand::RollbackTo(_) | SessionCommand::Release(_) => {
                return Err(SqlError::unsupported(format!("SAVEPOINT in a {}", self.word)));
            }
            SessionCommand::Prepare { .. }
            | SessionCommand::Execute { .. }
            | SessionCommand::Deallocate(_) => {
                let message = "Dynamic SQL is not allowed in stored function or trigger";
                return Err(SqlError::new(1336, "0A000", message));
            }
            _ => return Err(no_commit()),
        }
        Ok(())
    }
}

/// 1422.
fn no_commit() -> SqlError {
    let message = "Explicit or implicit commit is not allowed in stored function or trigger.";
    SqlError::new(1422, "HY000", message)
}

/// Runs a machine to its end. What the statement around may ask afterwards is as it was.
pub(crate) fn run(
    host: &mut Inside<'_, '_>,
    begin: impl FnOnce(&mut Inside<'_, '_>) -> Result<Machine>,
) -> Result<End> {
    if host.core.inside >= DEPTH_MAX {
        return Err(p2pdb_sql::front::too_deep());
    }
    let state = &mut host.core.state;
    let before = (state.last_insert_id, state.row_count, state.found_rows, state.insert_id);
    let warnings = (std::mem::take(&mut state.warnings), std::mem::take(&mut state.warning_count));
    let calls = std::mem::take(&mut state.calls);
    host.core.inside += 1;
    let result = stacker::maybe_grow(STACK_LEFT_BYTES, STACK_MORE_BYTES, || {
        let mut machine = begin(host)?;
        let result = steps(&mut machine, host);
        machine.abandon(host.core);
        result
    });
    host.core.inside -= 1;
    let state = &mut host.core.state;
    (state.last_insert_id, state.row_count, state.found_rows, state.insert_id) = before;
    (state.warnings, state.warning_count) = warnings;
    state.calls = calls;
    result
}

fn steps(machine: &mut Machine, host: &mut Inside<'_, '_>) -> Result<End> {
    let mut event = None;
    loop {
        match machine.step(host, event.take()) {
            Step::Done(result) => return *result,
            Step::Run(bound) => event = Some(host.statement(&bound, machine.opens())),
        }
    }
}
