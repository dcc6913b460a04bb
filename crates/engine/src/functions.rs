//! MySQL's functions and collations, handed from `sql` to the store.

use std::sync::{Arc, OnceLock};

use p2pdb_model::catalog::{Check, Table};
use p2pdb_model::{SqlType, Value, ValueRef};
use p2pdb_sql::ddl::conversion;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{Sealer, looks};
use p2pdb_sql::{collate, execute, functions as sql};
use p2pdb_store::{
    self as store, AggregateFunction, AggregateState, CollationSequence, Conversion, ConversionOf, Converted,
    FunctionError, Functions, ScalarFunction,
};

/// All of them; made once.
pub(crate) fn all() -> Arc<Functions> {
    static ALL: OnceLock<Arc<Functions>> = OnceLock::new();
    ALL.get_or_init(|| Arc::new(build())).clone()
}

/// What opens cells of sealed columns for the indexes of one store, once it is there; and what sessions have of it.
pub(crate) type Opener = Arc<OnceLock<(Arc<dyn Sealer>, Arc<dyn Sealer>)>>;

/// All of them for the store of a node, of which this opens sealed cells. In other stores nothing is kept of them.
pub(crate) fn opening(opener: &Opener) -> Arc<Functions> {
    let mut functions = Functions::clone(&all());
    functions.scalars.retain(|f| f.name != looks::OF_CELL && f.name != looks::OF_VALUE);
    functions.scalars.extend(look_functions(opener));
    Arc::new(functions)
}

fn look_functions(opener: &Opener) -> [ScalarFunction; 2] {
    type Call = fn(Option<&dyn Sealer>, &[ValueRef<'_>]) -> Result<Value, SqlError>;
    let all: [(&str, Call, bool); 2] =
        [(looks::OF_CELL, looks::cell, false), (looks::OF_VALUE, looks::value, true)];
    all.map(|(name, call, of_sessions)| {
        let opener = opener.clone();
        ScalarFunction {
            name: name.to_owned(),
            args: 4,
            deterministic: true,
            call: Arc::new(move |args: &[ValueRef<'_>]| {
                let sealer = opener.get().map(|(all, sessions)| if of_sessions { sessions } else { all });
                call(sealer.map(|sealer| &**sealer), args).map_err(boxed)
            }),
        }
    })
}

fn build() -> Functions {
    let scalars = sql::all().iter().map(|f| {
        let f = *f;
        ScalarFunction {
            name: f.name.to_owned(),
            args: f.args,
            deterministic: f.deterministic,
            call: Arc::new(move |args: &[ValueRef<'_>]| f.run(args).map_err(boxed)),
        }
    });
    let stored = ScalarFunction {
        name: "p_routine".to_owned(),
        args: -1,
        deterministic: false,
        call: Arc::new(|args: &[ValueRef<'_>]| crate::program::functions::call(args).map_err(boxed)),
    };
    let aggregates = sql::aggregates().iter().map(|a| {
        let new = a.make;
        AggregateFunction {
            name: a.name.to_owned(),
            args: a.args,
            new: Arc::new(move || Box::new(State(new())) as Box<dyn AggregateState>),
        }
    });
    let collations = collate::all().into_iter().map(|(name, compare)| CollationSequence {
        name: name.to_owned(),
        compare: Arc::new(move |a: &str, b: &str| compare(a, b)),
    });
    Functions {
        scalars: scalars.chain([stored]).chain(look_functions(&Opener::default())).collect(),
        aggregates: aggregates.collect(),
        collations: collations.collect(),
    }
}

/// What the store is told of MySQL's meaning: what cells hold that nothing was ever written to, what becomes of values
/// in another type, and what CHECKs say. All are the same on every node, whatever sessions say.
pub(crate) fn meaning() -> store::Meaning {
    let conversion: ConversionOf = Arc::new(|from: &SqlType, to: &SqlType| {
        if conversion::keeps(from, to) {
            return None;
        }
        let (from, to) = (from.clone(), to.clone());
        let convert: Conversion = Arc::new(move |value| {
            let (value, lossy) = conversion::convert(&from, &to, value);
            Converted { value, lossy }
        });
        Some(convert)
    });
    let check = |table: &Arc<Table>, check: &Check| p2pdb_sql::dml::lower_check(table, check).ok();
    store::Meaning {
        default: Arc::new(p2pdb_sql::ddl::defaults::unwritten),
        conversion,
        check: Arc::new(check),
        generated: Arc::new(p2pdb_sql::bind::generated::indexed),
        words: Arc::new(p2pdb_sql::bind::search::words),
        look: Arc::new(looks::of_cell),
        renamed: Arc::new(p2pdb_sql::ddl::renamed),
    }
}

/// Runs something in which CHECKs may be evaluated, outside of any session: by the default sql_mode, which is strict, and
/// in UTC.
pub(crate) fn by_rules<T>(f: impl FnOnce() -> T) -> T {
    let outer = execute::leave();
    execute::enter(execute::Context { writes: true, ..execute::Context::default() });
    let result = f();
    execute::leave();
    execute::enter(outer);
    result
}

fn boxed(e: SqlError) -> FunctionError {
    Box::new(e)
}

struct State(Box<dyn sql::Accumulator>);

impl AggregateState for State {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), FunctionError> {
        self.0.step(args).map_err(boxed)
    }
    fn inverse(&mut self, args: &[ValueRef<'_>]) -> Result<(), FunctionError> {
        self.0.inverse(args).map_err(boxed)
    }
    fn value(&mut self) -> Result<Value, FunctionError> {
        self.0.value().map_err(boxed)
    }
}
