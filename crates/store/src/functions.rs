//! SQL functions and collations, as their owner hands them over at open.
//!
//! The store knows no function by name. Whoever opens it passes a [`Functions`]; every connection registers
//! all of it, so that an index with a collation reads the same everywhere. A function's error comes back to the
//! caller of the statement as it was raised ([`StoreError::Function`](crate::StoreError::Function)), not as text.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex};

use p2pdb_model::{Value, ValueRef};
use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::Value as OwnedSql;

use crate::error::{FunctionError, Result};
use crate::sqlite::{from_sql, into_sql};

/// A scalar function's body.
pub type ScalarFn = Arc<dyn Fn(&[ValueRef<'_>]) -> Result<Value, FunctionError> + Send + Sync>;

/// Makes the state of an aggregate for one group.
pub type AggregateFn = Arc<dyn Fn() -> Box<dyn AggregateState> + Send + Sync>;

/// A collation's comparison.
pub type CollationFn = Arc<dyn Fn(&str, &str) -> Ordering + Send + Sync>;

/// Any number of arguments.
pub const VARIADIC: i32 = -1;

/// A scalar function.
#[derive(Clone)]
pub struct ScalarFunction {
    /// Its name in SQL.
    pub name: String,
    /// Number of arguments, or [`VARIADIC`].
    pub args: i32,
    /// Gives the same result for the same arguments: may stand in an index and be computed once a statement.
    pub deterministic: bool,
    /// What it does.
    pub call: ScalarFn,
}

/// An aggregate, also usable as a window function.
#[derive(Clone)]
pub struct AggregateFunction {
    /// Its name in SQL.
    pub name: String,
    /// Number of arguments, or [`VARIADIC`].
    pub args: i32,
    /// Makes the state of a group.
    pub new: AggregateFn,
}

/// An aggregate over one group or window.
pub trait AggregateState: Send {
    /// Takes a row in.
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), FunctionError>;
    /// Takes the oldest row out again, for window frames that move. `args` are those of its `step`.
    fn inverse(&mut self, args: &[ValueRef<'_>]) -> Result<(), FunctionError>;
    /// The result so far. For a group without rows it is asked of a fresh state.
    fn value(&mut self) -> Result<Value, FunctionError>;
}

/// A collation for text.
#[derive(Clone)]
pub struct CollationSequence {
    /// Its name in SQL.
    pub name: String,
    /// A total order of strings, the same on every node.
    pub compare: CollationFn,
}

/// Everything that is registered on each connection.
#[derive(Clone, Default)]
pub struct Functions {
    /// Scalar functions.
    pub scalars: Vec<ScalarFunction>,
    /// Aggregates.
    pub aggregates: Vec<AggregateFunction>,
    /// Collations.
    pub collations: Vec<CollationSequence>,
}

/// Where an error waits for the statement that it ends.
pub(crate) type ErrorSlot = Arc<Mutex<Option<FunctionError>>>;

/// Most calls have few arguments: these need no allocation.
const ARGS_INLINE: usize = 8;

impl Functions {
    pub(crate) fn register(&self, db: &rusqlite::Connection, slot: &ErrorSlot) -> Result<()> {
        let base = FunctionFlags::SQLITE_UTF8;
        for f in &self.scalars {
            let mut flags = base;
            if f.deterministic {
                flags |= FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
            }
            let (call, slot) = (f.call.clone(), slot.clone());
            db.create_scalar_function(f.name.as_str(), f.args, flags, move |ctx| {
                result(&slot, with_args(ctx, |args| call(args)))
            })?;
        }
        for f in &self.aggregates {
            let glue = Glue { new: f.new.clone(), slot: slot.clone() };
            let flags = base | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
            db.create_window_function(f.name.as_str(), f.args, flags, glue)?;
        }
        for c in &self.collations {
            crate::collation::register(db, c)?;
        }
        Ok(())
    }
}

/// Calls `f` with the arguments as model values.
fn with_args<T>(
    ctx: &Context<'_>,
    f: impl FnOnce(&[ValueRef<'_>]) -> Result<T, FunctionError>,
) -> Result<T, FunctionError> {
    let n = ctx.len();
    if n <= ARGS_INLINE {
        let mut args = [ValueRef::Null; ARGS_INLINE];
        for (i, arg) in args.iter_mut().enumerate().take(n) {
            *arg = from_sql(ctx.get_raw(i))?;
        }
        f(&args[..n])
    } else {
        let args: Result<Vec<_>> = (0..n).map(|i| from_sql(ctx.get_raw(i))).collect();
        f(&args?)
    }
}

/// Puts an error aside and tells SQLite that there was one.
fn result<T: IntoSql>(slot: &ErrorSlot, r: Result<T, FunctionError>) -> rusqlite::Result<T::Sql> {
    r.map(IntoSql::into).map_err(|e| {
        let text = e.to_string();
        // The lock is never held across a call of foreign code, so it cannot be poisoned by one.
        *slot.lock().unwrap_or_else(|p| p.into_inner()) = Some(e);
        rusqlite::Error::UserFunctionError(text.into())
    })
}

trait IntoSql {
    type Sql;
    fn into(self) -> Self::Sql;
}

impl IntoSql for Value {
    type Sql = OwnedSql;
    fn into(self) -> OwnedSql {
        into_sql(self)
    }
}

impl IntoSql for () {
    type Sql = ();
    fn into(self) {}
}

/// The state of a group; after a panic in it SQLite fails the statement and drops it unused.
struct State(AssertUnwindSafe<Box<dyn AggregateState>>);

impl UnwindSafe for State {}
impl RefUnwindSafe for State {}

struct Glue {
    new: AggregateFn,
    slot: ErrorSlot,
}

impl Glue {
    fn fresh(&self) -> State {
        State(AssertUnwindSafe((self.new)()))
    }
}

impl Aggregate<State, OwnedSql> for Glue {
    fn init(&self, _: &mut Context<'_>) -> rusqlite::Result<State> {
        Ok(self.fresh())
    }

    fn step(&self, ctx: &mut Context<'_>, state: &mut State) -> rusqlite::Result<()> {
        result(&self.slot, with_args(ctx, |args| state.0.step(args)))
    }

    fn finalize(&self, _: &mut Context<'_>, state: Option<State>) -> rusqlite::Result<OwnedSql> {
        let mut state = state.unwrap_or_else(|| self.fresh());
        result(&self.slot, state.0.value())
    }
}

impl WindowAggregate<State, OwnedSql> for Glue {
    fn value(&self, state: Option<&mut State>) -> rusqlite::Result<OwnedSql> {
        match state {
            Some(state) => result(&self.slot, state.0.value()),
            None => result(&self.slot, self.fresh().0.value()),
        }
    }

    fn inverse(&self, ctx: &mut Context<'_>, state: &mut State) -> rusqlite::Result<()> {
        result(&self.slot, with_args(ctx, |args| state.0.inverse(args)))
    }
}
