//! Statements: from tokens to a plan.
//!
//! [`compile_statement`] is the entry. It reads the statement's own grammar with `sqlparser`'s [`Parser`] as a cursor
//! over tokens, because MySQL's statements are many and `sqlparser` knows half of them; expressions and queries inside
//! are `sqlparser`'s, bound by [`crate::bind`].

use p2pdb_model::Catalog;
use sqlparser::parser::Parser;

use crate::error::SqlError;
use crate::plan::Plan;
use crate::session::SessionState;

/// What a statement is compiled against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The schema.
    pub catalog: &'a Catalog,
    /// Current database, sql_mode, collation of literals.
    pub session: &'a SessionState,
    /// The statement's text without its terminator.
    pub text: &'a str,
}

/// Compiles the statement that the parser stands before, to its end (the end of the tokens, `;` excluded).
///
/// Literals lifted by the front arrive as placeholder tokens in INSERT, REPLACE, UPDATE, DELETE and SELECT only; all
/// other statements are given with their literals.
///
/// # Errors
/// 1064 and everything that binding can say.
pub fn compile_statement(parser: &mut Parser<'_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let _ = (parser, cx);
    Err(SqlError::unsupported("this statement"))
}
