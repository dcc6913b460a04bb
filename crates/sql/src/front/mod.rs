//! The front door of SQL: text to plan, with a cache of plans by shape.
//!
//! Literals are lifted out of SELECT, INSERT, UPDATE and the like, so that statements that differ only in their values
//! share a plan. The binder says which literals it turned into slots; the others are *pinned*: a plan serves only
//! statements with the same values there (`ORDER BY 1`, `CAST(x AS CHAR(10))`, the name of a column without alias).
//! So a literal can never be lifted where its value decides the meaning.
//!
//! What a plan depends on besides its text is part of the key: the catalog's epoch, current database, sql_mode,
//! collation of literals, `div_precision_increment` and the kinds of parameters.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use p2pdb_model::{Catalog, Value};
use sqlparser::parser::Parser;

pub mod binary;
pub mod dialect;
pub(crate) mod forms;
pub mod key;
pub mod lexer;
pub mod literal;
mod program;
pub mod source;
pub mod tokens;

pub use literal::{Literal, LiteralKind};
pub(crate) use program::begins_empty;
pub(crate) use program::read_program;
pub use program::split_statements;
pub use source::Source;

use crate::bind;
use crate::error::SqlError;
use crate::plan::{Plan, PlanKind, SessionCommand, Touches};
use crate::routine::Expression;
use crate::session::SessionState;
use crate::statement;
use lexer::{Lexer, Quoting, Raw};

/// Shapes that one cache holds.
pub const SHAPES_MAX: usize = 1024;
/// Plans of one shape that differ in pinned literals.
pub const VARIANTS_MAX: usize = 8;
/// Statements longer than this are large, bytes.
pub const CACHED_BYTES_MAX: usize = 8 * 1024;
/// Shapes of large statements that one cache holds: INSERT of the same number of rows again and again.
pub const LARGE_SHAPES_MAX: usize = 2;
/// Large statements longer than this are not cached, bytes.
pub const LARGE_BYTES_MAX: usize = 1024 * 1024;
/// Large statements with more literals than this are not cached: a plan takes some 200 bytes for each.
pub const LARGE_LITERALS_MAX: usize = 10_000;
/// Parentheses and operators that may stand around an expression.
pub const DEPTH_MAX: usize = 3000;
/// Parentheses and signs inside of each other.
pub const NESTING_MAX: usize = 150;
/// Calls inside of each other that the parser makes; several for each level of nesting.
const PARSER_DEPTH_MAX: usize = 2000;
/// Stack that must be left when a statement is compiled, bytes.
const STACK_LEFT_BYTES: usize = 256 * 1024;
/// Stack per level of nesting, bytes.
const STACK_LEVEL_BYTES: usize = 16 * 1024;

/// What a plan depends on besides the statement's text and the kinds of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    epoch: u64,
    sql_mode: u64,
    collation: (u16, bool),
    div_precision_increment: u8,
    safe_updates: bool,
    select_limit: u64,
    database: Option<Cow<'a, str>>,
}

impl<'a> Scope<'a> {
    /// That of this session, with this catalog.
    pub fn of(session: &'a SessionState, catalog: &Catalog) -> Self {
        Scope {
            epoch: catalog.epoch,
            sql_mode: session.sql_mode.0,
            collation: (session.collation.id(), session.narrow_charset()),
            div_precision_increment: session.div_precision_increment,
            safe_updates: session.safe_updates,
            select_limit: session.select_limit,
            database: session.database.as_deref().map(Cow::Borrowed),
        }
    }

    /// The same, to keep.
    pub fn into_owned(self) -> Scope<'static> {
        let Scope {
            epoch,
            sql_mode,
            collation,
            div_precision_increment,
            safe_updates,
            select_limit,
            database,
        } = self;
        let database = database.map(|d| Cow::Owned(d.into_owned()));
        Scope { epoch, sql_mode, collation, div_precision_increment, safe_updates, select_limit, database }
    }

    fn push(&self, key: &mut Vec<u8>) {
        key.extend_from_slice(&self.epoch.to_le_bytes());
        key.extend_from_slice(&self.sql_mode.to_le_bytes());
        key.extend_from_slice(&self.collation.0.to_le_bytes());
        key.push(u8::from(self.collation.1));
        key.push(self.div_precision_increment);
        key.push(u8::from(self.safe_updates));
        key.extend_from_slice(&self.select_limit.to_le_bytes());
        key.extend_from_slice(self.database.as_deref().unwrap_or("").as_bytes());
        key.push(0);
    }
}

/// A compiled statement with the values of its literals.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The plan, shared with other statements of its shape.
    pub plan: Arc<Plan>,
    /// The literals that its slots name.
    pub literals: Vec<Literal>,
}

#[derive(Debug)]
struct Variant {
    pins: Vec<(usize, Literal)>,
    plan: Arc<Plan>,
}

/// Compiles statements and remembers the plans. One per session or worker; not shared.
#[derive(Debug)]
pub struct Front {
    cache: Shapes,
    large: Shapes,
    key: Vec<u8>,
}

type Shapes = LruCache<Box<[u8]>, Vec<Variant>>;

impl Default for Front {
    fn default() -> Self {
        Front::new(SHAPES_MAX)
    }
}

impl Front {
    /// A front with a cache of this many shapes.
    pub fn new(shapes_max: usize) -> Self {
        let cache = |n| LruCache::new(NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN));
        Front { cache: cache(shapes_max), large: cache(LARGE_SHAPES_MAX), key: Vec::new() }
    }

    /// Compiles one statement (see [`split_statements`]) whose parameters, if any, have no known kinds: for text, and
    /// for PREPARE.
    ///
    /// # Errors
    /// 1064, 1065 and everything that binding can say.
    pub fn compile(
        &mut self,
        text: &str,
        session: &SessionState,
        catalog: &Catalog,
    ) -> Result<Compiled, SqlError> {
        self.compile_with(text, session, catalog, None)
    }

    /// Compiles one statement for parameters of these kinds: for EXECUTE. A parameter is then treated as a literal of
    /// its kind.
    ///
    /// # Errors
    /// As [`Front::compile`].
    pub fn compile_with(
        &mut self,
        text: &str,
        session: &SessionState,
        catalog: &Catalog,
        params: Option<&[LiteralKind]>,
    ) -> Result<Compiled, SqlError> {
        let quoting = Quoting::from(session.sql_mode);
        let head = Head::of(text, quoting);
        if !head.cached || text.len() > LARGE_BYTES_MAX || session.locals_in_sight().is_some() {
            let mut literals = Vec::new();
            if head.lifts {
                self.key.clear();
                key::shape(text, session, &mut self.key, &mut literals);
                finite(&literals, text, quoting)?;
            }
            let (plan, _) = compile_now(text, session, catalog, &literals, params, head.lifts)?;
            return Ok(Compiled { plan: Arc::new(plan), literals });
        }
        self.key.clear();
        session_key(&mut self.key, session, catalog, params);
        let mut literals = Vec::new();
        key::shape(text, session, &mut self.key, &mut literals);
        finite(&literals, text, quoting)?;
        let large = text.len() > CACHED_BYTES_MAX;
        if large && literals.len() > LARGE_LITERALS_MAX {
            let (plan, _) = compile_now(text, session, catalog, &literals, params, true)?;
            return Ok(Compiled { plan: Arc::new(plan), literals });
        }
        let cache = if large { &mut self.large } else { &mut self.cache };
        if let Some(variants) = cache.get(self.key.as_slice()) {
            let fits = |v: &&Variant| v.pins.iter().all(|(n, l)| literals.get(*n) == Some(l));
            if let Some(v) = variants.iter().find(fits) {
                return Ok(Compiled { plan: v.plan.clone(), literals });
            }
        }
        let (plan, pins) = compile_now(text, session, catalog, &literals, params, true)?;
        let plan = Arc::new(plan);
        if !matches!(&plan.kind, PlanKind::Ddl(_)) && !is_failure(&plan) {
            let pins = pins.into_iter().filter_map(|n| Some((n, literals.get(n)?.clone()))).collect();
            let variant = Variant { pins, plan: plan.clone() };
            match cache.get_mut(self.key.as_slice()) {
                Some(variants) => {
                    if variants.len() >= VARIANTS_MAX {
                        variants.remove(0);
                    }
                    variants.push(variant);
                }
                None => {
                    cache.put(self.key.as_slice().into(), vec![variant]);
                }
            }
        }
        Ok(Compiled { plan, literals })
    }

    /// Forgets every plan.
    pub fn clear(&mut self) {
        self.cache.clear();
        self.large.clear();
    }

    /// How many shapes are remembered.
    pub fn len(&self) -> usize {
        self.cache.len() + self.large.len()
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// 1367 for a number too large for a double.
fn finite(literals: &[Literal], text: &str, quoting: Quoting) -> Result<(), SqlError> {
    if literals.iter().all(|l| !matches!(l.value, Value::Real(r) if !r.is_finite())) {
        return Ok(());
    }
    let number = |t: &lexer::RawToken| text[t.start..t.end].parse().is_ok_and(|n: f64| !n.is_finite());
    let found = Lexer::new(text, quoting).find(|t| t.kind == Raw::Float && number(t));
    Err(SqlError::illegal_double(found.map_or("", |t| &text[t.start..t.end])))
}

fn is_failure(plan: &Plan) -> bool {
    matches!(&plan.kind, PlanKind::Session(c) if c.iter().any(|c| matches!(c, SessionCommand::Fail(_))))
}

/// What a statement's first word says about it.
struct Head {
    lifts: bool,
    cached: bool,
}

impl Head {
    fn of(text: &str, quoting: Quoting) -> Self {
        let first = Lexer::new(text, quoting).find(|t| &text[t.start..t.end] != "(");
        let is = |words: &[&str]| {
            first.is_some_and(|t| {
                t.kind == Raw::Word && words.iter().any(|w| text[t.start..t.end].eq_ignore_ascii_case(w))
            })
        };
        let lifts = is(&["select", "insert", "update", "delete", "replace", "with", "values", "table"]);
        Head { lifts, cached: lifts || is(&["begin", "commit", "rollback"]) }
    }
}

/// Compiles one statement of a stored program, which is not kept: its variables are the session's
/// [`SessionState::locals`].
///
/// # Errors
/// As [`Front::compile`].
pub fn compile_alone(text: &str, session: &SessionState, catalog: &Catalog) -> Result<Compiled, SqlError> {
    let quoting = Quoting::from(session.sql_mode);
    let head = Head::of(text, quoting);
    let mut literals = Vec::new();
    if head.lifts {
        key::shape(text, session, &mut Vec::new(), &mut literals);
        finite(&literals, text, quoting)?;
    }
    let (plan, _) = compile_now(text, session, catalog, &literals, None, head.lifts)?;
    Ok(Compiled { plan: Arc::new(plan), literals })
}

/// What a compiled text depends on besides its [`Scope`]: the types of the user variables in it.
pub fn variables_key(text: &str, session: &SessionState) -> Vec<u8> {
    let mut key = Vec::new();
    if text.contains('@') {
        key::shape(text, session, &mut key, &mut Vec::new());
    }
    key
}

/// Compiles an expression of a stored program.
///
/// # Errors
/// As [`Front::compile`]; 1241 for a row.
pub fn compile_expression(
    text: &str,
    session: &SessionState,
    catalog: &Catalog,
) -> Result<Expression, SqlError> {
    let mut tokens = tokens::tokenize(text, session.sql_mode, false)?;
    let source = Source::new(text, &tokens, &[], None);
    parse(&mut tokens, |parser| {
        let cx = statement::Context { catalog, session, text, source: &source };
        let ansi_quotes = session.sql_mode.has(crate::session::SqlMode::ANSI_QUOTES);
        let mut c = statement::Cursor::new(parser, text, ansi_quotes);
        let e = c.expr()?;
        c.end()?;
        let scalar = statement::scalar(&e, &cx)?;
        let mut touches = scalar.query().map(Touches::of_query).unwrap_or_default();
        touches.is_unsafe = source.is_unsafe.get();
        Ok(Expression { scalar, needs: source.needs.take(catalog), touches })
    })
}

/// Reads tokens with a parser, with as much stack as their nesting takes.
///
/// # Errors
/// 1436 for what is nested too deeply, and those of `read`.
fn parse<T>(
    tokens: &mut tokens::Tokens,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    if tokens.depth > DEPTH_MAX || tokens.nesting > NESTING_MAX {
        return Err(too_deep());
    }
    let all = std::mem::take(&mut tokens.tokens);
    let stack = STACK_LEFT_BYTES + tokens.depth * STACK_LEVEL_BYTES;
    stacker::maybe_grow(stack, stack * 2, || {
        let mut parser = Parser::new(&dialect::P2pdbDialect)
            .with_recursion_limit(PARSER_DEPTH_MAX)
            .with_tokens_with_locations(all);
        read(&mut parser)
    })
}

fn session_key(key: &mut Vec<u8>, session: &SessionState, catalog: &Catalog, params: Option<&[LiteralKind]>) {
    Scope::of(session, catalog).push(key);
    for kind in params.unwrap_or_default() {
        key::push_kind(key, *kind);
    }
    key.push(u8::from(params.is_some()));
}

/// Compiles without a cache. The second value names the literals that the plan depends on.
fn compile_now(
    text: &str,
    session: &SessionState,
    catalog: &Catalog,
    literals: &[Literal],
    params: Option<&[LiteralKind]>,
    lift: bool,
) -> Result<(Plan, Vec<usize>), SqlError> {
    let program = !lift && program::is_definition(text, session.sql_mode);
    let mut tokens = if program {
        tokens::tokenize_program(text, session.sql_mode)?
    } else {
        tokens::tokenize(text, session.sql_mode, lift)?
    };
    let source = Source::new(text, &tokens, literals, params);
    let count = tokens.places.iter().filter(|p| matches!(p.lifted, Some(tokens::Lifted::Param(_)))).count();
    let mut plan = parse(&mut tokens, |parser| {
        let cx = statement::Context { catalog, session, text, source: &source };
        if bind::statement::is_query(parser) {
            return bind::statement::compile(parser, &cx);
        }
        statement::compile_statement(parser, &cx)
    })?;
    plan.params = count;
    plan.note_functions();
    plan.note_touches(source.is_unsafe.get());
    plan.needs = source.needs.take(catalog);
    Ok((plan, source.pins()))
}

/// 1436: nested too deeply.
pub fn too_deep() -> SqlError {
    SqlError::new(1436, "HY000", "Thread stack overrun: the statement is nested too deeply")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::Globals;

    #[test]
    fn the_cache_is_bounded_and_forgets_the_oldest() {
        let session = SessionState::new(Arc::new(Globals::default()), 1, "u", "h", "u@%");
        let catalog = Catalog::default();
        let mut front = Front::new(2);
        for text in ["SELECT 1 AS a", "SELECT 1 AS b", "SELECT 1 AS c"] {
            front.compile(text, &session, &catalog).expect("compiles");
        }
        assert_eq!(front.len(), 2);
    }

    #[test]
    fn large_statements_have_few_places_and_share_plans_too() {
        let session = SessionState::new(Arc::new(Globals::default()), 1, "u", "h", "u@%");
        let catalog = Catalog::default();
        let mut front = Front::default();
        let mut plan = |text: &str| front.compile(text, &session, &catalog).expect("compiles").plan;
        let query = |value: usize, count: usize| {
            let list = vec![value.to_string(); count].join(",");
            format!("SELECT table_name AS c FROM information_schema.tables WHERE version IN ({list})")
        };
        let first = plan(&query(1, 5_000));
        assert!(query(1, 5_000).len() > CACHED_BYTES_MAX);
        assert!(Arc::ptr_eq(&first, &plan(&query(2, 5_000))));
        (0..LARGE_SHAPES_MAX).for_each(|n| drop(plan(&query(1, 5_001 + n))));
        assert!(!Arc::ptr_eq(&first, &plan(&query(1, 5_000))), "it was the oldest");
        let many = query(1, LARGE_LITERALS_MAX + 1);
        assert!(!Arc::ptr_eq(&plan(&many), &plan(&many)), "too many literals");
    }

    #[test]
    fn a_plan_serves_only_statements_with_the_same_pinned_literals() {
        let session = SessionState::new(Arc::new(Globals::default()), 1, "u", "h", "u@%");
        let catalog = Catalog::default();
        let mut front = Front::default();
        let mut name =
            |text: &str| front.compile(text, &session, &catalog).expect("compiles").plan.fields[0].clone();
        for _ in 0..2 {
            assert_eq!(name("SELECT CAST('abcdef' AS CHAR(3)) AS x").ty.length, 3);
            assert_eq!(name("SELECT CAST('abcdef' AS CHAR(4)) AS x").ty.length, 4);
            assert_eq!(name("SELECT 'a'").name, "a");
            assert_eq!(name("SELECT 'b'").name, "b");
        }
    }

    #[test]
    fn parameters_take_the_kinds_that_they_are_executed_with() {
        let session = SessionState::new(Arc::new(Globals::default()), 1, "u", "h", "u@%");
        let catalog = Catalog::default();
        let mut front = Front::default();
        let text = "SELECT ? + ?";
        let prepared = front.compile(text, &session, &catalog).expect("compiles").plan;
        assert_eq!((prepared.params, &prepared.fields[0].ty.kind), (2, &crate::field::FieldKind::Double));
        let kinds = [LiteralKind::SmallInt, LiteralKind::Decimal(3, 1)];
        let run = front.compile_with(text, &session, &catalog, Some(&kinds)).expect("compiles").plan;
        assert_eq!(
            (&run.fields[0].ty.kind, run.fields[0].ty.decimals),
            (&crate::field::FieldKind::Decimal, 1)
        );
    }
}
