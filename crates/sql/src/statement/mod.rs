//! Statements: from tokens to a plan.
//!
//! [`compile_statement`] is the entry. It reads the statement's own grammar with `sqlparser`'s [`Parser`] as a cursor
//! over tokens, because MySQL's statements are many and `sqlparser` knows half of them; expressions and queries inside
//! are `sqlparser`'s, bound by [`crate::bind`].
//!
//! Statements that are recognised but not served are refused by name (1235) in [`refuse`]; words that begin no
//! statement of MySQL are a syntax error.

use std::sync::Arc;

use p2pdb_model::Catalog;
use p2pdb_model::catalog::View;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::ddl;
use crate::dml;
use crate::error::SqlError;
use crate::explain::{Explain, Format};
use crate::field::Field;
use crate::front::Source;
use crate::front::dialect::P2pdbDialect;
use crate::plan::{
    Coerce, InsertMode, InsertRows, ModifyStep, Note, NoteLevel, Plan, PlanKind, ReadSet, SessionCommand,
    Slot,
};
use crate::session::{SessionState, SqlMode};

pub(crate) mod calls;
mod checksum;
pub mod cursor;
mod program;
mod refuse;
pub mod reserved;
mod set;
mod show;
mod transaction;

pub use cursor::Cursor;
pub(crate) use set::scalar;
pub(crate) use transaction::eat_user_variable;

/// What a statement is compiled against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The schema.
    pub catalog: &'a Catalog,
    /// Current database, sql_mode, collation of literals.
    pub session: &'a SessionState,
    /// The text that the tokens were made of: their spans point into it.
    pub text: &'a str,
    /// Which lifted literal or parameter stands where.
    pub source: &'a Source<'a>,
}

impl Context<'_> {
    /// The database of a name that may have none.
    ///
    /// # Errors
    /// 1046.
    pub fn database(&self, given: Option<String>) -> Result<String, SqlError> {
        match given {
            Some(name) => Ok(name),
            None => self.session.database_or_err().map(str::to_owned),
        }
    }
}

/// Compiles the statement that the parser stands before, to its end (the end of the tokens, `;` excluded).
///
/// Literals lifted by the front arrive as placeholder tokens in INSERT, REPLACE, UPDATE, DELETE and SELECT only; all
/// other statements are given with their literals.
///
/// # Errors
/// 1064 and everything that binding can say.
pub fn compile_statement(parser: &mut Parser<'_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let ansi_quotes = cx.session.sql_mode.has(SqlMode::ANSI_QUOTES);
    let c = &mut Cursor::new(parser, cx.text, ansi_quotes);
    let word = match c.token(0) {
        Token::Word(w) if w.quote_style.is_none() => w.value.to_ascii_lowercase(),
        Token::EOF if let Some(at) = crate::front::begins_empty(cx.text, cx.session.sql_mode) => {
            let line = cx.text[..at].matches('\n').count() as u64 + 1;
            return Err(SqlError::syntax(&cx.text[at..], line));
        }
        // A comment by itself is a statement that does nothing.
        Token::EOF if cx.text.contains(|c: char| !c.is_whitespace() && c != ';') => {
            return Ok(commands(vec![SessionCommand::Nothing]));
        }
        Token::EOF | Token::SemiColon => return Err(SqlError::new(1065, "42000", "Query was empty")),
        Token::LParen => String::from("select"),
        _ => return Err(c.error()),
    };
    if ["create", "alter", "drop", "rename", "grant", "revoke", "set"].contains(&word.as_str())
        && let Some(plan) = ddl::account::compile(c, cx)?
    {
        c.end()?;
        return Ok(plan);
    }
    let plan = match word.as_str() {
        "set" => set::set(c, cx),
        "begin" | "start" | "commit" | "rollback" | "savepoint" | "release" => transaction::transaction(c),
        "use" | "kill" | "lock" | "unlock" | "flush" | "prepare" | "execute" | "deallocate" => {
            transaction::session(c, cx)
        }
        "show" => show::show(c, cx),
        "describe" | "desc" | "explain" => explain(c, cx),
        "checksum" => checksum::checksum(c, cx),
        "check" | "analyze" | "optimize" | "repair" => show::maintain(c, cx),
        "select" | "with" | "values" | "table" => query(c, cx),
        "create" | "alter" | "drop" | "rename" => match ddl::compile(c, cx)? {
            Some(plan) => Ok(plan),
            None if c.eat("drop prepare") => {
                Ok(commands(vec![SessionCommand::Deallocate(c.name()?.to_lowercase())]))
            }
            None => refuse::refuse(c),
        },
        "insert" | "replace" => dml::insert(c, cx),
        "update" => dml::update(c, cx),
        "delete" => dml::delete(c, cx),
        "truncate" => dml::truncate(c, cx),
        "do" => calls::do_(c, cx),
        "call" => program::call(c, cx),
        "signal" | "resignal" | "get" => program::alone(c, cx),
        _ => refuse::refuse(c),
    }?;
    c.end()?;
    Ok(plan)
}

/// SELECT and its kin.
fn query(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    if !crate::bind::statement::is_query(c.parser()) {
        return dml::with(c, cx);
    }
    crate::bind::statement::compile(c.parser(), cx)
}

/// EXPLAIN of a table, or of a statement: SQLite's own plan of it, in MySQL's columns ([`crate::explain`]).
fn explain(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.skip();
    let analyze = c.eat("analyze");
    let mut format = if analyze { Format::Tree } else { Format::Traditional };
    if c.eat("format") {
        c.expect_token(&Token::Eq)?;
        let name = c.word_or_string()?;
        format = match name.to_ascii_lowercase().as_str() {
            "traditional" => Format::Traditional,
            "tree" => Format::Tree,
            "json" => Format::Json,
            _ => {
                return Err(SqlError::new(1791, "HY000", format!("Unknown EXPLAIN format name: '{name}'")));
            }
        };
    } else {
        c.eat_one(&["extended", "partitions"]);
    }
    if analyze && format != Format::Tree {
        let name = if format == Format::Json { "JSON" } else { "TRADITIONAL" };
        return Err(SqlError::unsupported(format!("EXPLAIN ANALYZE with {name} format")));
    }
    if c.eat("for connection") {
        return Err(SqlError::unsupported("EXPLAIN FOR CONNECTION"));
    }
    cx.source.note_aliases();
    let plan = match ["insert", "replace", "update", "delete"].into_iter().find(|w| c.is(w)) {
        Some("insert" | "replace") => dml::insert(c, cx)?,
        Some("update") => dml::update(c, cx)?,
        Some(_) => dml::delete(c, cx)?,
        None if c.is("select") || c.is("with") || c.is("values") || c.token(0) == &Token::LParen => {
            query(c, cx)?
        }
        None => {
            c.eat("table");
            return show::describe(c, cx);
        }
    };
    let nothing = || "SELECT 1".to_owned();
    let mut reads = ReadSet::default();
    let (sql, slots, writes, apart) = match plan.kind {
        PlanKind::Query(q) => {
            reads = q.reads;
            (q.sql, q.slots, None, false)
        }
        PlanKind::Insert(insert) => {
            let verb = if insert.mode == InsertMode::Replace { "REPLACE" } else { "INSERT" };
            let (sql, slots) = match insert.rows {
                InsertRows::Select { query, values: false, .. } => (query.sql, query.slots),
                _ => (nothing(), Vec::new()),
            };
            (sql, slots, Some((verb, vec![insert.table])), true)
        }
        PlanKind::Modify(modify) => {
            let verb = if modify.update { "UPDATE" } else { "DELETE" };
            let mut tables: Vec<_> = modify.steps.iter().map(|s| s.table).collect();
            tables.dedup();
            let first = modify.steps.into_iter().next();
            let (sql, slots) = match first {
                Some(ModifyStep { collect: Some((sql, slots)), .. } | ModifyStep { sql, slots, .. }) => {
                    (sql, slots)
                }
                None => (nothing(), Vec::new()),
            };
            (sql, slots, Some((verb, tables)), false)
        }
        _ => return Err(c.error()),
    };
    if analyze && writes.is_some() {
        return Err(SqlError::unsupported("EXPLAIN ANALYZE of a statement that writes"));
    }
    let mut explain = Explain::new(format, cx.catalog, cx.source.take_aliases(), writes, apart);
    explain.analyzed = analyze.then(|| sql.clone());
    // The plan by itself does not depend on values, and reads nothing.
    let unknown = Slot { source: crate::plan::Source::Const(p2pdb_model::Value::Null), coerce: Coerce::None };
    let query = crate::plan::Query {
        functions: analyze && crate::plan::calls_functions(&sql),
        sql: format!("EXPLAIN QUERY PLAN {sql}"),
        slots: if analyze { slots } else { vec![unknown; slots.len()] },
        reads: if analyze { reads } else { ReadSet::default() },
        locking: None,
        short: false,
        found_rows: None,
        into: Vec::new(),
        explain: Some(Arc::new(explain)),
    };
    let calls = if analyze { plan.calls } else { Vec::new() };
    Ok(Plan { fields: Arc::from(Explain::fields(format)), calls, ..Plan::new(PlanKind::Query(query)) })
}

/// The result columns of a view, found by compiling its SELECT.
///
/// # Errors
/// 1356 when a table or column that it reads is gone, and those of binding.
pub fn view_fields(catalog: &Catalog, session: &SessionState, view: &View) -> Result<Vec<Field>, SqlError> {
    let source = Source::default();
    let mut fields = crate::bind::Binder::new(catalog, session, &source).view_query(view)?.columns;
    for (f, name) in fields.iter_mut().zip(&view.def.columns) {
        f.name.clone_from(name);
    }
    Ok(fields)
}

/// A plan of session commands.
pub(crate) fn commands(commands: Vec<SessionCommand>) -> Plan {
    Plan::new(PlanKind::Session(commands))
}

/// A note for the warning list.
pub(crate) fn note(error: SqlError) -> Note {
    Note { level: NoteLevel::Note, code: error.code, message: error.message }
}

/// Parses an expression of the schema.
pub(crate) fn expression_text(text: &str) -> Result<sqlparser::ast::Expr, SqlError> {
    let wrong = |_| SqlError::syntax(text, 1);
    let tokens = crate::front::tokens::tokenize(text, SqlMode(0), false)?.tokens;
    let mut parser = Parser::new(&P2pdbDialect).with_tokens_with_locations(tokens);
    parser.parse_expr().map_err(wrong)
}

/// Parses a query of the schema, or one that we write ourselves.
pub(crate) fn query_text(text: &str) -> Result<sqlparser::ast::Query, SqlError> {
    let wrong = |_| SqlError::syntax(text, 1);
    let tokens = crate::front::tokens::tokenize(text, SqlMode(0), false)?.tokens;
    let mut parser = Parser::new(&P2pdbDialect).with_tokens_with_locations(tokens);
    parser.parse_query().map(|q| *q).map_err(wrong)
}

/// Binds and lowers a query: the one place where this half of the crate meets the other.
///
/// # Errors
/// Those of binding.
pub(crate) fn compile_query(
    query: &sqlparser::ast::Query,
    cx: &Context<'_>,
) -> Result<(crate::plan::Query, Vec<Field>), SqlError> {
    let plan = crate::bind::statement::plan(query, cx)?;
    match plan.kind {
        PlanKind::Query(q) => Ok((q, plan.fields.to_vec())),
        _ => Err(SqlError::unsupported("this query")),
    }
}
