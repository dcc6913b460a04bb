//! Queries by their answers: MySQL statements run through the lowered SQL in SQLite, against what MySQL answers.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use p2pdb_model::catalog::{COLUMN_KEY, COLUMN_OVERRIDES, COLUMN_VERSION, physical_column, sqlite_collation};
use p2pdb_model::{Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{self, Args, Context, bind_slot, coerce, context};
use p2pdb_sql::field::Field;
use p2pdb_sql::front::{Compiled, Front, Literal, split_statements};
use p2pdb_sql::functions::{self, Accumulator};
use p2pdb_sql::plan::{Insert, InsertRows, Plan, PlanKind, Query, SessionCommand, Slot};
use p2pdb_sql::present::{Cell, cell};
use p2pdb_sql::zone::Zone;
use p2pdb_sql::{collate, virtuals};
use rusqlite::functions::{Aggregate, Context as Sql, FunctionFlags, WindowAggregate};
use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef as Borrowed};
use rusqlite::{Connection, ToSql};

#[allow(dead_code)]
mod schema_world;
mod script;
use schema_world::World as Schema;

/// 2024-05-06 07:08:09.123456 UTC.
const NOW_US: i64 = 1_714_979_289_123_456;

struct World {
    schema: Schema,
    front: Front,
    db: Connection,
}

struct Out(Value);

impl ToSql for Out {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match &self.0 {
            Value::Null => ToSqlOutput::Owned(Owned::Null),
            Value::Int(i) => ToSqlOutput::Owned(Owned::Integer(*i)),
            Value::Real(r) => ToSqlOutput::Owned(Owned::Real(*r)),
            Value::Text(t) => ToSqlOutput::Borrowed(Borrowed::Text(t.as_bytes())),
            Value::Blob(b) => ToSqlOutput::Borrowed(Borrowed::Blob(b)),
        })
    }
}

fn borrowed(v: Borrowed<'_>) -> ValueRef<'_> {
    match v {
        Borrowed::Null => ValueRef::Null,
        Borrowed::Integer(i) => ValueRef::Int(i),
        Borrowed::Real(r) => ValueRef::Real(r),
        Borrowed::Text(t) => ValueRef::Text(std::str::from_utf8(t).expect("UTF-8")),
        Borrowed::Blob(b) => ValueRef::Blob(b),
    }
}

fn failed(e: SqlError) -> rusqlite::Error {
    context::leave_error(e);
    rusqlite::Error::UserFunctionError("see the context".into())
}

fn arguments<'a>(ctx: &'a Sql<'_>) -> Vec<ValueRef<'a>> {
    (0..ctx.len()).map(|i| borrowed(ctx.get_raw(i))).collect()
}

struct Glue(functions::AggregateFunction);

struct State(RefCell<Box<dyn Accumulator>>);

impl std::panic::UnwindSafe for Glue {}
impl std::panic::RefUnwindSafe for Glue {}
impl std::panic::UnwindSafe for State {}
impl std::panic::RefUnwindSafe for State {}

impl Aggregate<State, Out> for Glue {
    fn init(&self, _: &mut Sql<'_>) -> rusqlite::Result<State> {
        Ok(State(RefCell::new((self.0.make)())))
    }
    fn step(&self, ctx: &mut Sql<'_>, s: &mut State) -> rusqlite::Result<()> {
        s.0.get_mut().step(&arguments(ctx)).map_err(failed)
    }
    fn finalize(&self, _: &mut Sql<'_>, s: Option<State>) -> rusqlite::Result<Out> {
        let s = s.unwrap_or_else(|| State(RefCell::new((self.0.make)())));
        s.0.borrow().value().map(Out).map_err(failed)
    }
}

impl WindowAggregate<State, Out> for Glue {
    fn value(&self, s: Option<&mut State>) -> rusqlite::Result<Out> {
        match s {
            Some(s) => s.0.borrow().value().map(Out).map_err(failed),
            None => (self.0.make)().value().map(Out).map_err(failed),
        }
    }
    fn inverse(&self, ctx: &mut Sql<'_>, s: &mut State) -> rusqlite::Result<()> {
        s.0.get_mut().inverse(&arguments(ctx)).map_err(failed)
    }
}

fn open() -> Connection {
    let db = Connection::open_in_memory().expect("SQLite");
    for (name, f) in collate::all() {
        db.create_collation(name, f).expect("collation");
    }
    for f in functions::all() {
        let call = f.call;
        let mut flags = FunctionFlags::SQLITE_UTF8;
        if f.deterministic {
            flags |= FunctionFlags::SQLITE_DETERMINISTIC;
        }
        db.create_scalar_function(f.name, f.args, flags, move |ctx| {
            call(&arguments(ctx)).map(Out).map_err(failed)
        })
        .expect("function");
    }
    for f in functions::aggregates() {
        db.create_window_function(f.name, f.args, FunctionFlags::SQLITE_UTF8, Glue(*f)).expect("aggregate");
    }
    db
}

impl World {
    fn new() -> Self {
        World { schema: Schema::new(), front: Front::default(), db: open() }
    }

    fn compile(&mut self, sql: &str) -> Result<Compiled, SqlError> {
        self.front.compile(sql, &self.schema.session, &self.schema.catalog)
    }

    fn bind(&self, slots: &[Slot], literals: &[Literal]) -> Result<Vec<Out>, SqlError> {
        let rows = |name: &str, args: &[Option<String>]| {
            virtuals::rows_json(name, args, &self.schema.catalog, &self.schema.session, &schema_world::Nobody)
        };
        let args = Args {
            literals,
            params: &[],
            session: &self.schema.session,
            now_us: NOW_US,
            random: [7; 16],
            drawn: Default::default(),
            virtuals: &rows,
        };
        slots.iter().map(|s| bind_slot(s, &args).map(Out)).collect()
    }

    fn error(&self, sql: &str, e: &rusqlite::Error) -> SqlError {
        execute::take_error().unwrap_or_else(|| SqlError::new(1105, "HY000", format!("{e} in {sql}")))
    }

    fn rows(&self, q: &Query, literals: &[Literal]) -> Result<Vec<Vec<Value>>, SqlError> {
        let values = self.bind(&q.slots, literals)?;
        let mut s = self.db.prepare(&q.sql).map_err(|e| self.error(&q.sql, &e))?;
        let n = s.column_count();
        let mut rows =
            s.query(rusqlite::params_from_iter(values.iter())).map_err(|e| self.error(&q.sql, &e))?;
        let mut out = Vec::new();
        while let Some(r) = rows.next().map_err(|e| self.error(&q.sql, &e))? {
            out.push((0..n).map(|i| borrowed(r.get_ref(i).expect("column")).to_value()).collect());
        }
        Ok(out)
    }

    fn insert(&self, plan: &Plan, i: &Insert, literals: &[Literal]) -> Result<(), SqlError> {
        let rows: Vec<Vec<Value>> = match &i.rows {
            InsertRows::Values(rows) => {
                let mut out = Vec::new();
                for r in rows {
                    out.push(self.bind(r, literals)?.into_iter().map(|o| o.0).collect());
                }
                out
            }
            InsertRows::Select { query, coerce: how, types, .. } => {
                let mut out = Vec::new();
                for row in self.rows(query, literals)? {
                    let cells = row.into_iter().zip(how).zip(types.iter());
                    out.push(cells.map(|((v, h), f)| coerce::apply(h, v, f)).collect::<Result<Vec<_>, _>>()?);
                }
                out
            }
        };
        let _ = plan;
        for mut row in rows {
            row.push(Value::Int(1));
            if i.needs_key {
                row.push(Value::Blob(vec![0; 16]));
            }
            let mut all: Vec<Out> = row.into_iter().map(Out).collect();
            all.extend(self.bind(&i.extra, literals)?);
            self.db
                .execute(&i.sql, rusqlite::params_from_iter(all.iter()))
                .map_err(|e| self.error(&i.sql, &e))?;
        }
        Ok(())
    }

    fn create_tables(&mut self) {
        for t in self.schema.catalog.tables() {
            let rowid = t.rowid_column().map(|c| c.tag);
            let mut columns: Vec<String> = t
                .columns
                .iter()
                .filter(|c| c.def.generated.is_none())
                .map(|c| {
                    let name = physical_column(c.tag);
                    let collate =
                        sqlite_collation(&c.def.ty).map(|n| format!(" COLLATE \"{n}\"")).unwrap_or_default();
                    if Some(c.tag) == rowid {
                        format!("{name} INTEGER PRIMARY KEY")
                    } else {
                        format!("{name}{collate}")
                    }
                })
                .collect();
            columns.push(format!("{COLUMN_VERSION}, {COLUMN_OVERRIDES}, {COLUMN_KEY}"));
            let sql = format!("CREATE TABLE IF NOT EXISTS {} ({})", t.physical(), columns.join(", "));
            self.db.execute_batch(&sql).expect("table");
        }
    }

    fn run(&mut self, sql: &str) -> Result<String, SqlError> {
        execute::enter(Context::new(&self.schema.session, NOW_US));
        let result = self.run_inner(sql);
        let context = execute::leave();
        let mut out = result?;
        for w in context.warnings {
            out.push_str(&format!("{:?} {}: {}\n", w.level, w.code, w.message));
        }
        Ok(out)
    }

    fn run_inner(&mut self, sql: &str) -> Result<String, SqlError> {
        let Compiled { plan, literals } = self.compile(sql)?;
        let mut out = String::new();
        match &plan.kind {
            PlanKind::Query(q) => {
                let names: Vec<&str> = plan.fields.iter().map(|f| f.name.as_str()).collect();
                out.push_str(&format!("[{}]\n", names.join("|")));
                for row in self.rows(q, &literals)? {
                    let cells: Vec<String> =
                        row.iter().zip(plan.fields.iter()).map(|(v, f)| shown(f, v)).collect();
                    out.push_str(&format!("{}\n", cells.join("|")));
                }
            }
            PlanKind::Insert(i) => self.insert(&plan, i, &literals)?,
            PlanKind::Ddl(_) => {
                self.schema.run(sql)?;
                self.create_tables();
            }
            PlanKind::Session(all) => {
                for c in all {
                    if let SessionCommand::Fail(e) = c {
                        return Err(e.clone());
                    }
                }
                self.schema.run(sql)?;
            }
            PlanKind::Modify(_) | PlanKind::Program(_) => panic!("not in these scripts: {sql}"),
        }
        Ok(out)
    }
}

fn shown(f: &Field, v: &Value) -> String {
    match cell(&f.ty, ValueRef::from(v), Zone::default()) {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(i) => i.to_string(),
        Cell::UInt(u) => u.to_string(),
        Cell::Float(r) => p2pdb_sql::execute::convert::float_text(r),
        Cell::Double(r) => p2pdb_sql::execute::convert::real_text(r),
        Cell::Text(t) => t.into_owned(),
        Cell::Bytes(b) => format!("x'{}'", p2pdb_model::ids::hex(&b)),
        Cell::Date(d) => d.to_string(),
        Cell::DateTime(t, fsp) => {
            let mut s = String::new();
            t.format(fsp, &mut s).expect("text");
            s
        }
        Cell::Time(t, fsp) => {
            let mut s = String::new();
            t.format(fsp, &mut s).expect("text");
            s
        }
    }
}

fn golden(name: &str) {
    let mut world = World::new();
    script::golden(&format!("query/{name}"), |sqls| {
        let mut out = String::new();
        for sql in split_statements(sqls, world.schema.session.sql_mode) {
            let first = world.run(sql);
            if sql.trim_start().get(..6).is_some_and(|w| w.eq_ignore_ascii_case("select")) {
                // The second time from the cache.
                assert_eq!(world.run(sql), first, "{sql}");
            }
            match first {
                Ok(text) => out.push_str(&text),
                Err(e) => out.push_str(&format!("{e}\n")),
            }
        }
        out
    });
}

#[test]
fn expressions_have_mysqls_values() {
    golden("expressions.txt");
}

#[test]
fn functions_have_mysqls_values() {
    golden("functions.txt");
}

#[test]
fn queries_have_mysqls_rows() {
    golden("queries.txt");
}

#[test]
fn errors_have_mysqls_numbers() {
    golden("errors.txt");
}

#[test]
fn statements_that_differ_in_lifted_literals_share_a_plan() {
    let mut w = World::new();
    w.run("CREATE DATABASE d").expect("database");
    w.run("USE d").expect("use");
    w.run("CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(10))").expect("table");
    let plan = |w: &mut World, sql: &str| w.compile(sql).expect("compiles").plan;
    let a = plan(&mut w, "SELECT b FROM t WHERE a = 1");
    let b = plan(&mut w, "SELECT b FROM t WHERE a = 22");
    assert!(std::sync::Arc::ptr_eq(&a, &b));
    let c = plan(&mut w, "SELECT b FROM t ORDER BY 1");
    assert!(!matches!(w.compile("SELECT b FROM t ORDER BY 2"), Ok(p) if std::sync::Arc::ptr_eq(&p.plan, &c)));
    let d = plan(&mut w, "SELECT a + 1 FROM t");
    let e = plan(&mut w, "SELECT a + 2 FROM t");
    assert_eq!((d.fields[0].name.as_str(), e.fields[0].name.as_str()), ("a + 1", "a + 2"));
    let PlanKind::Query(q) = &a.kind else { panic!("a query") };
    assert!(q.short && q.reads.keys.len() == 1 && q.reads.tables.is_empty(), "{:?}", q.reads);
}

#[test]
fn comparisons_with_literals_of_other_types_use_indexes() {
    let mut w = World::new();
    for sql in [
        "CREATE DATABASE d",
        "USE d",
        "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10), d DATE, c DECIMAL(10,2), b BIGINT UNSIGNED, e ENUM('x','y'), ts TIMESTAMP NULL)",
        "CREATE TABLE u (v VARCHAR(10))",
    ] {
        w.run(sql).expect("schema");
    }
    let t = w.schema.catalog.table("d", "t").expect("table").clone();
    for c in t.columns.iter().skip(1) {
        let (name, table) = (c.physical(), t.physical());
        w.db.execute_batch(&format!("CREATE INDEX i_{name} ON {table} ({name})")).expect("index");
    }
    for condition in [
        "id = 1",
        "id = '1'",
        "id = 1.5",
        "id > '3'",
        "id IN (1, '2')",
        "v = 'a'",
        "v > 'a'",
        "v IN ('a', 'b')",
        "v BETWEEN 'a' AND 'c'",
        "d = '2024-01-01'",
        "d >= 20240101",
        "c = 1.5",
        "c = '1.50'",
        "c > 1",
        "b = 5",
        "b > '18446744073709551614'",
        "e = 'x'",
        "ts < '2024-01-01'",
        "v = (SELECT 'a')",
        "v IN (SELECT v FROM u)",
        "id = @x + 0",
    ] {
        let sql = format!("SELECT * FROM t WHERE {condition}");
        let plan = w.compile(&sql).expect("compiles").plan;
        let PlanKind::Query(q) = &plan.kind else { panic!("a query") };
        let mut s = w.db.prepare(&format!("EXPLAIN QUERY PLAN {}", q.sql)).expect("plan");
        let none = q.slots.iter().map(|_| Out(Value::Null)).collect::<Vec<_>>();
        let rows: Vec<String> = s
            .query_map(rusqlite::params_from_iter(none.iter()), |r| r.get(3))
            .expect("rows")
            .collect::<Result<_, _>>()
            .expect("text");
        assert!(rows.iter().any(|r| r.starts_with("SEARCH a1")), "{condition}: {rows:?} in {}", q.sql);
    }
}

mod junk {
    use super::*;
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    #[derive(Clone, Debug)]
    struct Mutated(String);

    impl Arbitrary for Mutated {
        fn arbitrary(g: &mut Gen) -> Self {
            let seeds: Vec<String> = ["expressions.txt", "functions.txt", "queries.txt", "errors.txt"]
                .iter()
                .filter_map(|n| {
                    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/query").join(n)).ok()
                })
                .flat_map(|t| {
                    t.lines().filter_map(|l| l.strip_prefix("> ").map(str::to_owned)).collect::<Vec<_>>()
                })
                .collect();
            let mut t: Vec<char> = g.choose(&seeds).cloned().unwrap_or_default().chars().collect();
            for _ in 0..usize::arbitrary(g) % 4 {
                if t.is_empty() {
                    break;
                }
                let at = usize::arbitrary(g) % t.len();
                match u8::arbitrary(g) % 4 {
                    0 => {
                        t.remove(at);
                    }
                    1 => t.insert(at, char::arbitrary(g)),
                    2 => t.truncate(at),
                    _ => {
                        let piece = t[at..].to_vec();
                        t.extend(piece);
                    }
                }
            }
            Mutated(t.into_iter().collect())
        }
    }

    fn world() -> World {
        let mut w = World::new();
        for sql in [
            "CREATE DATABASE d",
            "USE d",
            "CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(20), c DECIMAL(10,2), d DATETIME, e DOUBLE)",
        ] {
            w.run(sql).expect("schema");
        }
        w
    }

    #[test]
    fn no_text_makes_the_front_panic() {
        let w = RefCell::new(world());
        fn any(s: String) -> bool {
            thread_local!(static W: RefCell<World> = RefCell::new(world()));
            W.with(|w| {
                let _ = w.borrow_mut().compile(&s);
            });
            true
        }
        fn mutated(s: Mutated) -> bool {
            any(s.0)
        }
        drop(w);
        QuickCheck::new().tests(300).quickcheck(any as fn(String) -> bool);
        QuickCheck::new().tests(3000).quickcheck(mutated as fn(Mutated) -> bool);
    }

    #[test]
    fn deep_nesting_is_an_error_and_long_chains_are_not() {
        let mut w = world();
        for (text, code) in [
            (format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000)), Some(1436)),
            (format!("SELECT {}1", "-".repeat(100_000)), None),
            (format!("SELECT 1{}", "+1".repeat(100_000)), Some(1436)),
            (format!("SELECT {}1", "NOT ".repeat(2_900)), Some(1436)),
            (format!("SELECT {}1{}", "(".repeat(300), ")".repeat(300)), Some(1436)),
        ] {
            let got = w.compile(&text).map(|_| ()).map_err(|e| e.code);
            if let Some(code) = code {
                assert_eq!(got, Err(code), "{}", &text[..20]);
            }
        }
        assert!(w.compile(&format!("SELECT {}1{}", "(".repeat(140), ")".repeat(140))).is_ok());
        assert!(w.compile(&format!("SELECT 1{}", "+1".repeat(900))).is_ok());
        let chain = vec!["id = 1"; 1400].join(" OR ");
        assert!(w.run(&format!("SELECT id FROM t WHERE {chain}")).is_ok());
    }

    #[test]
    fn lists_may_hold_very_many_values() {
        let mut w = world();
        let many = |n: u32, item: &dyn Fn(u32) -> String| (1..=n).map(item).collect::<Vec<_>>().join(",");
        for list in [
            format!("id IN ({})", many(100_000, &|i| i.to_string())),
            format!("CONCAT('v', id) IN ({})", many(100_000, &|i| format!("'v{i}'"))),
            format!("(id, 1) IN ({})", many(20_000, &|i| format!("({i}, 1)"))),
        ] {
            let found = w.run(&format!("SELECT id FROM t WHERE {list}")).expect("runs");
            let all = w.run("SELECT id FROM t WHERE id > 0").expect("runs");
            assert_eq!(found, all, "{}", &list[..40]);
        }
    }
}
