//! Stored functions: where SQLite calls one while it runs a statement, and where one is called before the statement.
//!
//! A function that only reads is an SQLite function like any other, `p_routine`. It needs the session and the connection
//! that the statement runs on, which [`lend`] leaves with the thread for as long as SQLite works. A function that writes
//! cannot run in the middle of a query; it is called once, before the statement that it stands in
//! ([`CallFunction::Routine`]), at the writer.

use std::cell::RefCell;
use std::sync::Arc;

use p2pdb_model::{Catalog, ObjectId, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::plan::{Call, CallFunction, PlanKind};
use p2pdb_store::Connection;
use scoped_tls::scoped_thread_local;

use super::inside::{self, At, Inside};
use super::{Kept, Machine, Result};
use crate::api::Outcome;
use crate::core::Core;
use crate::run::{self, RunOn};
use crate::statement::Bound;
use crate::tables::Tables;

struct Lent {
    core: Core,
    catalog: Arc<Catalog>,
}

scoped_thread_local!(static CONNECTION: Connection);

thread_local! {
    static LENT: RefCell<Option<Lent>> = const { RefCell::new(None) };
}

/// Runs `f`, in which SQLite works on this connection and may call stored functions, which see `catalog`; `None`: it calls
/// none.
pub(crate) fn lend<T>(
    catalog: Option<Arc<Catalog>>,
    core: &mut Core,
    connection: &Connection,
    f: impl FnOnce() -> T,
) -> T {
    let Some(catalog) = catalog else { return f() };
    let hollow = core.hollow();
    let lent = Lent { core: std::mem::replace(core, hollow), catalog };
    let before = LENT.with(|l| l.borrow_mut().replace(lent));
    let result = CONNECTION.set(connection, f);
    let lent = LENT.with(|l| std::mem::replace(&mut *l.borrow_mut(), before));
    if let Some(lent) = lent {
        *core = lent.core;
    }
    result
}

fn nowhere() -> SqlError {
    SqlError::unsupported("a stored function here")
}

/// `p_routine(id, argument, …)`.
pub(crate) fn call(args: &[ValueRef<'_>]) -> Result<Value> {
    let (Some(ValueRef::Text(id)), true) = (args.first(), CONNECTION.is_set()) else { return Err(nowhere()) };
    let id = ObjectId::from_hex(id).ok_or_else(nowhere)?;
    let Some(mut lent) = LENT.with(|l| l.borrow_mut().take()) else { return Err(nowhere()) };
    let result = CONNECTION.with(|connection| {
        let at = At::Query(connection, lent.catalog.clone());
        let args = args[1..].iter().map(|a| (a.to_value(), None)).collect();
        function(&mut lent.core, at, &lent.catalog.clone(), id, args)
    });
    LENT.with(|l| *l.borrow_mut() = Some(lent));
    result.map(|(value, _)| value)
}

/// Calls a function with these arguments: those without a type are in the form of the parameter already.
fn function(
    core: &mut Core,
    at: At<'_>,
    catalog: &Catalog,
    id: ObjectId,
    args: Vec<(Value, Option<FieldType>)>,
) -> Result<(Value, FieldType)> {
    if core.running.contains(&Some(id)) {
        let message = "Recursive stored functions and triggers are not allowed.";
        return Err(SqlError::new(1424, "HY000", message));
    }
    let loaded = core.programs.routine(catalog, id)?;
    let variables = loaded.program.variables.iter();
    let args = args.into_iter().zip(variables).map(|((v, ty), to)| (v, ty.unwrap_or_else(|| to.ty.clone())));
    let args: Vec<(Value, FieldType)> = args.collect();
    let mut host = Inside { core, at, word: "function", bound: None };
    let end = inside::run(&mut host, |host| Machine::start(host, loaded, args, Vec::new()));
    end?.value.ok_or_else(super::lost)
}

/// The plan calls functions that write.
pub(crate) fn writes(calls: &[Call]) -> bool {
    calls.iter().any(|c| matches!(c.function, CallFunction::Routine(_)))
}

/// Calls the functions that stand in a statement and write, before it runs.
pub(crate) fn before(w: &mut dyn Tables, core: &mut Core, bound: &Bound) -> Result<()> {
    let statement = bound.statement.clone();
    core.state.calls.clear();
    for call in &statement.compiled().plan.calls {
        let CallFunction::Routine(id) = call.function else {
            return Err(SqlError::unsupported("waiting beside a stored function that writes"));
        };
        let mut args = Vec::new();
        for arg in &call.args {
            let mut host = Inside { core, at: At::Writer(w), word: "function", bound: Some(bound.clone()) };
            let (value, ty) = super::Host::scalar(&mut host, arg)?;
            args.push((value, Some(ty)));
        }
        let catalog = core.catalog(&w.base());
        let value = function(core, At::Writer(w), &catalog, id, args)?;
        core.state.calls.push(value);
    }
    Ok(())
}

/// A query whose functions write, at the writer; its rows go with the outcome.
pub(crate) fn query(w: &mut dyn Tables, core: &mut Core, bound: &Bound) -> Result<Outcome> {
    let plan = bound.statement.compiled().plan.clone();
    let PlanKind::Query(q) = &plan.kind else { return Err(super::lost()) };
    let inner = core.inner.clone();
    let catalog = core.catalog(&w.base());
    let on = RunOn { inner: &inner, connection: w.db(), catalog: &catalog };
    let mut rows = Kept::new(&core.budget);
    let outcome = run::rows(&on, core, q, &plan.fields, bound, &mut rows)?;
    let rows = rows.whole()?;
    Ok(Outcome { has_rows: false, kept: (!plan.fields.is_empty()).then_some(rows), ..outcome })
}
