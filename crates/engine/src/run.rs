//! Running a query: slots to values, SQLite rows to the sink, errors and warnings to the session.

use std::ops::ControlFlow;
use std::sync::Arc;

use p2pdb_model::{Catalog, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{self, Args, Context};
use p2pdb_sql::explain::{Explain, Step};
use p2pdb_sql::field::Field;
use p2pdb_sql::plan::{Coerce, OutTarget, Query, Slot};
use p2pdb_sql::session::UserVariable;
use p2pdb_store::{Connection, NEXT, STOP, StoreError};

use crate::api::{Outcome, Sink};
use crate::core::Core;
use crate::engine::Inner;
use crate::environment::Environment;
use crate::error::store_to_sql;
use crate::program::functions::lend;
use crate::read_set::Reads;
use crate::statement::Bound;

/// Columns of a result row that need no allocation.
const COLUMNS_INLINE: usize = 16;

/// Where a query runs.
pub(crate) struct RunOn<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) connection: &'a Connection,
    pub(crate) catalog: &'a Arc<Catalog>,
}

/// Keeps the first column of the last row.
#[derive(Default)]
pub(crate) struct OneValue(pub(crate) Value);

impl Sink for OneValue {
    fn columns(&mut self, _: &[Field]) -> Result<(), SqlError> {
        Ok(())
    }
    fn row(&mut self, _: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        self.0 = row.first().map_or(Value::Null, |v| v.to_value());
        ControlFlow::Continue(())
    }
}

/// For slots that cannot name a virtual table.
pub(crate) fn no_virtuals(name: &str, _: &[Option<String>]) -> Result<String, SqlError> {
    Err(SqlError::new(1105, "HY000", format!("no virtual table {name} here")))
}

/// Values of slots.
pub(crate) fn bind(
    on: &RunOn<'_>,
    core: &Core,
    slots: &[Slot],
    bound: &Bound,
) -> Result<Vec<Value>, SqlError> {
    if slots.is_empty() {
        return Ok(Vec::new());
    }
    let virtuals = |name: &str, args: &[Option<String>]| {
        let environment = Environment {
            inner: on.inner,
            connection: on.connection,
            catalog: on.catalog,
            temporary: &core.temporary,
            account: core.account,
            state: &core.state,
        };
        p2pdb_sql::virtuals::rows_json(name, args, on.catalog, &core.state, &environment)
    };
    let args = Args {
        literals: &bound.statement.compiled().literals,
        params: &bound.params,
        session: &core.state,
        now_us: on.inner.clock.now_us() as i64,
        random: on.inner.random(),
        drawn: Default::default(),
        virtuals: &virtuals,
    };
    slots.iter().map(|slot| execute::bind_slot(slot, &args)).collect()
}

/// Enters the thread's statement context for as long as `f` runs; its warnings go to the session.
pub(crate) fn in_context<T>(
    core: &mut Core,
    now_us: u64,
    prepare: impl FnOnce(&mut Context),
    f: impl FnOnce(&mut Core) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let mut context = Context::new(&core.state, now_us as i64);
    prepare(&mut context);
    // A program inside of a statement has statements of its own.
    let around = (core.inside > 0).then(execute::leave);
    execute::enter(context);
    let result = f(core);
    let left = execute::leave();
    if let Some(around) = around {
        execute::enter(around);
    }
    for note in left.warnings {
        core.state.warn(note);
    }
    if let Some(id) = left.last_insert_id {
        core.state.last_insert_id = id;
    }
    for (name, value, code) in left.variables {
        let ty = code.field_type(core.state.collation);
        core.state.user_variables.insert(name, UserVariable { value, ty });
    }
    result
}

/// A failure of SQLite while a statement ran: the function's own error where there is one.
pub(crate) fn failed(e: &StoreError, core: &Core) -> SqlError {
    if let Some(error) = execute::take_error() {
        return error;
    }
    if let StoreError::Function(f) = e
        && let Some(error) = f.downcast_ref::<SqlError>()
    {
        return error.clone();
    }
    if matches!(e, StoreError::Interrupted) {
        core.handle.take_kill();
    }
    store_to_sql(e)
}

/// Records the keys and tables that a query reads; its conditions come when their parameters are known.
fn note_reads(
    on: &RunOn<'_>,
    core: &Core,
    q: &Query,
    bound: &Bound,
    reads: &mut Reads,
) -> Result<(), SqlError> {
    for (table, key) in &q.reads.keys {
        if !on.catalog.is_temporary(*table) {
            reads.key(*table, bind(on, core, key, bound)?);
        }
    }
    for table in q.reads.tables.iter().filter(|t| !on.catalog.is_temporary(**t)) {
        reads.table(*table);
    }
    Ok(())
}

/// Runs a query and gives its rows to the sink; records what it read, if [`Core::reads`] wants to know.
pub(crate) fn rows(
    on: &RunOn<'_>,
    core: &mut Core,
    q: &Query,
    fields: &[Field],
    bound: &Bound,
    sink: &mut dyn Sink,
) -> Result<Outcome, SqlError> {
    core.may_read(&q.sql)?;
    if let Some(mut reads) = core.reads.take() {
        let noted = note_reads(on, core, q, bound, &mut reads);
        core.reads = Some(reads);
        noted?;
    }
    let now_us = on.inner.clock.now_us();
    in_context(
        core,
        now_us,
        |_| (),
        |core| {
            let values = bind(on, core, &q.slots, bound)?;
            if let Some(reads) = &mut core.reads {
                let permanent = q.reads.conditions.iter().filter(|c| !on.catalog.is_temporary(c.table));
                permanent.for_each(|c| reads.condition(c, &values, &core.state));
            }
            if !q.into.is_empty() {
                return into_variables(on, core, q, &values);
            }
            if let Some(explain) = &q.explain {
                return explained(on, core, q, explain, &values, fields, sink);
            }
            sink.columns(fields)?;
            let n = fields.len();
            let mut sent = 0u64;
            let query = || {
                on.connection.query(&q.sql, &values, |row| {
                    sent += 1;
                    let flow = if n <= COLUMNS_INLINE {
                        let mut refs = [ValueRef::Null; COLUMNS_INLINE];
                        for (i, r) in refs.iter_mut().enumerate().take(n) {
                            *r = row.get(i)?;
                        }
                        sink.row(fields, &refs[..n])
                    } else {
                        let refs: Result<Vec<ValueRef<'_>>, StoreError> =
                            (0..n).map(|i| row.get(i)).collect();
                        sink.row(fields, &refs?)
                    };
                    Ok(if flow.is_break() { STOP } else { NEXT })
                })
            };
            let cost = lend(q.functions.then(|| on.catalog.clone()), core, on.connection, query);
            let cost = cost.map_err(|e| failed(&e, core))?;
            on.inner.note_cost(&bound.statement.compiled().plan, cost.steps);
            core.state.found_rows = match &q.found_rows {
                None => sent,
                Some((sql, slots)) => {
                    let values = bind(on, core, slots, bound)?;
                    let count = on.connection.query_one(sql, &values, |row| row.int(0));
                    count.map_err(|e| failed(&e, core))?.unwrap_or(0) as u64
                }
            };
            Ok(Outcome { affected: 0, has_rows: true, ..Outcome::default() })
        },
    )
}

/// EXPLAIN: SQLite's plan, as MySQL would show one.
fn explained(
    on: &RunOn<'_>,
    core: &mut Core,
    q: &Query,
    explain: &Explain,
    values: &[Value],
    fields: &[Field],
    sink: &mut dyn Sink,
) -> Result<Outcome, SqlError> {
    let mut steps = Vec::new();
    let read = on.connection.query(&q.sql, values, |row| {
        let detail = match row.get(3)? {
            ValueRef::Text(t) => t.to_owned(),
            _ => String::new(),
        };
        steps.push(Step { id: row.int(0)?, parent: row.int(1)?, detail });
        Ok(NEXT)
    });
    read.map_err(|e| failed(&e, core))?;
    let mut measured = None;
    if let Some(sql) = &explain.analyzed {
        let mut rows = 0u64;
        let begun = on.inner.clock.now_us();
        let query = || {
            on.connection.query(sql, values, |_| {
                rows += 1;
                Ok(NEXT)
            })
        };
        let run = lend(q.functions.then(|| on.catalog.clone()), core, on.connection, query);
        run.map_err(|e| failed(&e, core))?;
        measured = Some((on.inner.clock.now_us().saturating_sub(begun), rows));
    }
    sink.columns(fields)?;
    for row in explain.rows(&steps, measured) {
        let row: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
        if sink.row(fields, &row).is_break() {
            break;
        }
    }
    Ok(Outcome { has_rows: true, ..Outcome::default() })
}

/// SELECT … INTO: the one row goes to user variables.
fn into_variables(on: &RunOn<'_>, core: &mut Core, q: &Query, values: &[Value]) -> Result<Outcome, SqlError> {
    let mut found: Option<Vec<Value>> = None;
    let mut more = false;
    let query = || {
        on.connection.query(&q.sql, values, |row| {
            if found.is_some() {
                more = true;
                return Ok(STOP);
            }
            found = Some(row.to_values()?);
            Ok(NEXT)
        })
    };
    let cost = lend(q.functions.then(|| on.catalog.clone()), core, on.connection, query);
    cost.map_err(|e| failed(&e, core))?;
    if more {
        return Err(SqlError::new(1172, "42000", "Result consisted of more than one row"));
    }
    let Some(row) = found else {
        execute::context::warn(1329, "No data - zero rows fetched, selected, or processed");
        return Ok(Outcome::default());
    };
    for ((target, from), value) in q.into.iter().zip(row) {
        match target {
            OutTarget::User(name) => {
                let ty = from.of_variable();
                let value = execute::convert::convert_typed(value, from, &ty)?;
                core.state.set_user_variable(name, value, ty)?;
            }
            OutTarget::Local(n) => {
                let to = core.state.locals.as_ref().and_then(|l| l.targets.get(*n).cloned());
                let Some(to) = to else { continue };
                let value = execute::coerce::apply(&Coerce::Column(to), value, from)?;
                core.state.assigned.push((*n, value));
            }
            OutTarget::Param(_) => {}
        }
    }
    Ok(Outcome { affected: 1, ..Outcome::default() })
}
