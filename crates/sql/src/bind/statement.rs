//! SELECT and its sisters as statements: from the parser to a [`Plan`].

use std::sync::Arc;

use sqlparser::ast::Query as Ast;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::Binder;
use crate::error::SqlError;
use crate::plan::{Plan, PlanKind, Query};
use crate::statement::Context;

/// The statement at the parser's place is a query: SELECT, VALUES, TABLE, parentheses, or WITH before one of them.
pub fn is_query(parser: &Parser<'_>) -> bool {
    let word = |t: &Token| match t {
        Token::Word(w) if w.quote_style.is_none() => Some(w.keyword),
        _ => None,
    };
    match &parser.peek_token_ref().token {
        Token::LParen => true,
        t => match word(t) {
            Some(Keyword::SELECT | Keyword::VALUES | Keyword::TABLE) => true,
            Some(Keyword::WITH) => {
                let mut depth = 0;
                for n in 1.. {
                    match &parser.peek_nth_token_ref(n).token {
                        Token::EOF => break,
                        Token::LParen => depth += 1,
                        Token::RParen => depth -= 1,
                        t if depth == 0 => match word(t) {
                            Some(Keyword::SELECT | Keyword::VALUES | Keyword::TABLE) => return true,
                            Some(Keyword::UPDATE | Keyword::DELETE | Keyword::INSERT | Keyword::REPLACE) => {
                                return false;
                            }
                            _ => {}
                        },
                        _ => {}
                    }
                }
                true
            }
            _ => false,
        },
    }
}

/// Compiles the query at the parser's place, to the end of the tokens.
///
/// # Errors
/// 1064 and everything that binding can say.
pub fn compile(parser: &mut Parser<'_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let mut query = parse_query(parser, cx)?;
    if parser.peek_token_ref().token != Token::EOF {
        return Err(syntax_error(parser, cx.text));
    }
    let calls = crate::statement::calls::take(&mut query, cx)?;
    Ok(Plan { calls, ..plan(&query, cx)? })
}

/// Parses a query, with MySQL's syntax error.
///
/// # Errors
/// 1064, 1436.
pub fn parse_query(parser: &mut Parser<'_>, cx: &Context<'_>) -> Result<Box<Ast>, SqlError> {
    parser.parse_query().map_err(|e| match e {
        ParserError::RecursionLimitExceeded => crate::front::too_deep(),
        _ => syntax_error(parser, cx.text),
    })
}

/// 1064 at the parser's place.
pub fn syntax_error(parser: &Parser<'_>, text: &str) -> SqlError {
    let t = parser.peek_token_ref();
    if t.token == Token::EOF {
        return SqlError::syntax("", text.lines().count().max(1) as u64);
    }
    let (line, column) = (t.span.start.line, t.span.start.column);
    let start = text.split_inclusive('\n').take(line.saturating_sub(1) as usize).map(str::len).sum::<usize>();
    let rest = text.get(start..).unwrap_or("");
    let at = rest.char_indices().nth(column.saturating_sub(1) as usize).map_or(rest.len(), |(i, _)| i);
    SqlError::syntax(&rest[at..], line.max(1))
}

/// The plan of a parsed query.
///
/// # Errors
/// Everything that binding can say.
pub fn plan(query: &Ast, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let mut b = Binder::new(cx.catalog, cx.session, cx.source);
    let mut q = b.query(query, None)?;
    if cx.session.select_limit != u64::MAX && query.limit_clause.is_none() {
        let list: Vec<String> = (0..q.columns.len()).map(|i| format!("c{i}")).collect();
        let n = i64::try_from(cx.session.select_limit).unwrap_or(i64::MAX);
        q.sql = format!("SELECT {} FROM ({}) LIMIT {n}", list.join(","), q.sql);
    }
    let keeps_warnings = b.keeps_warnings;
    let done = b.finish();
    let short = done.reads.tables.is_empty() && done.reads.conditions.is_empty();
    let found_rows = q.found_rows.map(|(sql, slots)| (sql, done.slots[..slots].to_vec()));
    Ok(Plan {
        kind: PlanKind::Query(Query {
            sql: q.sql,
            slots: done.slots,
            reads: done.reads,
            locking: q.locking,
            short,
            found_rows,
        }),
        params: 0,
        fields: Arc::from(q.columns),
        notes: done.notes,
        calls: Vec::new(),
        keeps_warnings,
    })
}
