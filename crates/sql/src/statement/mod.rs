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
use crate::field::Field;
use crate::front::Source;
use crate::front::dialect::P2pdbDialect;
use crate::plan::{Note, NoteLevel, Plan, PlanKind, SessionCommand};
use crate::session::{SessionState, SqlMode};

pub(crate) mod calls;
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
        "check" | "analyze" | "optimize" => show::maintain(c, cx),
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

/// EXPLAIN of a table, or of a query: SQLite's own EXPLAIN QUERY PLAN under its own column names, because its steps are
/// not MySQL's and a made-up `possible_keys` would be a lie.
fn explain(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.skip();
    if c.eat("analyze") {
        return Err(SqlError::unsupported("EXPLAIN ANALYZE"));
    }
    if c.eat("format") {
        c.expect_token(&Token::Eq)?;
        let format = c.word_or_string()?;
        if !format.eq_ignore_ascii_case("traditional") {
            return Err(SqlError::unsupported(format!("EXPLAIN FORMAT={}", format.to_uppercase())));
        }
    } else {
        c.eat_one(&["extended", "partitions"]);
    }
    if ["insert", "replace", "update", "delete"].iter().any(|w| c.is(w)) {
        return Err(SqlError::unsupported("EXPLAIN of a statement that writes"));
    }
    if !["select", "with", "values"].iter().any(|w| c.is(w)) && c.token(0) != &Token::LParen {
        c.eat("table");
        return show::describe(c, cx);
    }
    let Plan { kind: PlanKind::Query(query), .. } = query(c, cx)? else {
        return Err(c.error());
    };
    let int = |name: &str| Field::expression(name, crate::virtuals::Ty::Int.field());
    let detail = Field::expression("detail", crate::virtuals::Ty::Long.field());
    let fields = vec![int("id"), int("parent"), int("notused"), detail];
    let query =
        crate::plan::Query { sql: format!("EXPLAIN QUERY PLAN {}", query.sql), found_rows: None, ..query };
    Ok(Plan { fields: Arc::from(fields), ..Plan::new(PlanKind::Query(query)) })
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
