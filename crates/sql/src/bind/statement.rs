//! SELECT and its sisters as statements: from the parser to a [`Plan`].

use std::sync::Arc;

use p2pdb_model::Value;
use sqlparser::ast::Query as Ast;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::Binder;
use crate::error::SqlError;
use crate::front::dialect::P2pdbDialect;
use crate::plan::{Coerce, OutTarget, Plan, PlanKind, Query, Slot, Source};
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
    let Some((tokens, variables)) = into_variables(parser, cx)? else {
        return compile_rows(parser, cx);
    };
    let mut rest = Parser::new(&P2pdbDialect).with_tokens_with_locations(tokens);
    let mut plan = compile_rows(&mut rest, cx)?;
    while parser.peek_token_ref().token != Token::EOF {
        parser.advance_token();
    }
    let PlanKind::Query(query) = &mut plan.kind else { return Err(syntax_error(parser, cx.text)) };
    if plan.fields.len() != variables.len() {
        let message = "The used SELECT statements have a different number of columns";
        return Err(SqlError::new(1222, "21000", message));
    }
    query.into = variables.into_iter().zip(plan.fields.iter().map(|f| f.ty.clone())).collect();
    plan.fields = Arc::from([]);
    Ok(plan)
}

/// What INTO calls a local variable by its number; no name of MySQL begins like this.
pub(crate) const INTO_LOCAL: &str = "\u{1}into";

/// The variables of `INTO @a, @b` in a SELECT, and its tokens without them.
#[allow(clippy::type_complexity)]
fn into_variables(
    parser: &Parser<'_>,
    cx: &Context<'_>,
) -> Result<Option<(Vec<TokenWithSpan>, Vec<OutTarget>)>, SqlError> {
    // Most statements have none, and may have very many tokens.
    if !cx.text.as_bytes().windows(4).any(|w| w.eq_ignore_ascii_case(b"into")) {
        return Ok(None);
    }
    let all: Vec<TokenWithSpan> = (0..)
        .map(|n| parser.peek_nth_token_no_skip(n))
        .scan(false, |ended, t| {
            let before = std::mem::replace(ended, t.token == Token::EOF);
            (!before).then_some(t)
        })
        .filter(|t| !matches!(t.token, Token::Whitespace(_)))
        .collect();
    let at = |n: usize| &all[n.min(all.len() - 1)];
    let word = |n: usize| match &at(n).token {
        Token::Word(w) if w.quote_style.is_none() => Some(w),
        _ => None,
    };
    let mut tokens = Vec::new();
    let mut variables: Vec<OutTarget> = Vec::new();
    let (mut n, mut depth) = (0, 0);
    loop {
        match &at(n).token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::EOF => break,
            Token::Word(w) if depth == 0 && w.keyword == Keyword::INTO && w.quote_style.is_none() => {
                if !variables.is_empty() {
                    return Err(syntax_error(parser, cx.text));
                }
                let file = |w: &Word| ["outfile", "dumpfile"].iter().any(|f| w.value.eq_ignore_ascii_case(f));
                if word(n + 1).is_some_and(file) {
                    return Err(SqlError::unsupported("SELECT ... INTO OUTFILE"));
                }
                loop {
                    let user = word(n + 1).and_then(|w| w.value.strip_prefix('@'));
                    match user.filter(|w| !w.starts_with('@')) {
                        Some(name) => {
                            let name = name.trim_matches(['`', '\'', '"']).to_lowercase();
                            variables.push(OutTarget::User(name));
                        }
                        None => {
                            if let Token::Word(w) = &at(n + 1).token
                                && let Some(local) = w.value.strip_prefix(INTO_LOCAL)
                            {
                                variables.push(OutTarget::Local(local.parse().unwrap_or(usize::MAX)));
                                n += 2;
                                if at(n).token != Token::Comma {
                                    break;
                                }
                                continue;
                            }
                            let name = match &at(n + 1).token {
                                Token::Word(w) if !w.value.starts_with('@') => &w.value,
                                _ => return Err(syntax_error(parser, cx.text)),
                            };
                            let Some(locals) = cx.session.locals_in_sight() else {
                                return Err(match at(n + 2).token {
                                    Token::Period => syntax_error(parser, cx.text),
                                    _ => undeclared(name),
                                });
                            };
                            // `NEW.x`
                            let row = match (&at(n + 2).token, &at(n + 3).token) {
                                (Token::Period, Token::Word(w)) => Some(format!("{name}.{}", w.value)),
                                _ => None,
                            };
                            n += if row.is_some() { 2 } else { 0 };
                            let name = row.as_deref().unwrap_or(name);
                            let local = locals.names.find(name).ok_or_else(|| undeclared(name))?;
                            variables.push(OutTarget::Local(local));
                        }
                    }
                    n += 2;
                    if at(n).token != Token::Comma {
                        break;
                    }
                }
                continue;
            }
            _ => {}
        }
        tokens.push(at(n).clone());
        n += 1;
    }
    if variables.is_empty() {
        return Ok(None);
    }
    tokens.push(at(n).clone());
    Ok(Some((tokens, variables)))
}

/// 1327.
fn undeclared(name: &str) -> SqlError {
    SqlError::new(1327, "42000", format!("Undeclared variable: {name}"))
}

fn compile_rows(parser: &mut Parser<'_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
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

/// A whole query with its binder. One that assigns to variables may be bound twice: a variable is read as what will have been
/// assigned to it.
pub(crate) fn bound<'a>(
    query: &Ast,
    binder: impl Fn() -> Binder<'a>,
) -> Result<(crate::bind::BoundQuery, Binder<'a>), SqlError> {
    let mut first = binder();
    let q = first.query(query, None)?;
    if !first.widened {
        return Ok((q, first));
    }
    let mut second = Binder { assigned: first.assigned, ..binder() };
    Ok((second.query(query, None)?, second))
}

/// The plan of a parsed query.
///
/// # Errors
/// Everything that binding can say.
pub fn plan(query: &Ast, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let (mut q, b) = bound(query, || Binder::new(cx.catalog, cx.session, cx.source))?;
    if cx.session.select_limit != u64::MAX && query.limit_clause.is_none() {
        let list: Vec<String> = (0..q.columns.len()).map(|i| format!("c{i}")).collect();
        let n = i64::try_from(cx.session.select_limit).unwrap_or(i64::MAX);
        q.sql = format!("SELECT {} FROM ({}) LIMIT {n}", list.join(","), q.sql);
    }
    let earlier_warnings = b.earlier_warnings;
    // Of a derived table, perhaps: there is but one lock to take.
    let locking = q.locking.or(b.locking);
    let mut done = b.finish();
    if done.slots.len() > NUMBERED_FREELY && q.found_rows.is_none() {
        q.sql = in_order(&q.sql, &mut done);
    }
    let short = done.reads.tables.is_empty() && done.reads.conditions.is_empty();
    let found_rows = q.found_rows.map(|sql| {
        // Without LIMIT the last parameters may be missing.
        let slots = used(&sql, done.slots.clone());
        (sql, slots)
    });
    let slots = used(&q.sql, done.slots);
    let query = PlanKind::Query(Query {
        functions: crate::plan::calls_functions(&q.sql),
        sql: q.sql,
        slots,
        reads: done.reads,
        locking,
        short,
        found_rows,
        into: Vec::new(),
        explain: None,
    });
    Ok(Plan { fields: Arc::from(q.columns), notes: done.notes, earlier_warnings, ..Plan::new(query) })
}

/// The slots up to the last that the SQL names: SQLite takes no more. Those between that it does not name, which came of
/// what was bound and then said in another way, are not made.
pub(crate) fn used(sql: &str, mut slots: Vec<Slot>) -> Vec<Slot> {
    let mut named = vec![false; slots.len()];
    each_parameter(sql, |_, n| {
        if let Some(named) = n.checked_sub(1).and_then(|n| named.get_mut(n)) {
            *named = true;
        }
    });
    slots.truncate(named.iter().rposition(|named| *named).map_or(0, |last| last + 1));
    for (slot, _) in slots.iter_mut().zip(&named).filter(|(_, named)| !**named) {
        *slot = Slot { source: Source::Const(Value::Null), coerce: Coerce::None };
    }
    slots
}

/// The greatest number of a parameter in SQL text.
fn parameters(sql: &str) -> usize {
    let mut most = 0;
    each_parameter(sql, |_, n| most = most.max(n));
    most
}

/// The parameters of SQL text: what stands before each since the one before, and its number; gives what follows the last.
fn each_parameter<'s>(sql: &'s str, mut each: impl FnMut(&'s str, usize)) -> &'s str {
    let mut quoted = None;
    let mut from = 0;
    for (i, c) in sql.char_indices() {
        match (quoted, c) {
            (None, '\'' | '"' | '`') => quoted = Some(c),
            (Some(q), _) if q == c => quoted = None,
            (None, '?') => {
                let digits = sql[i + 1..].bytes().take_while(u8::is_ascii_digit).count();
                let end = i + 1 + digits;
                each(&sql[from..i], sql[i + 1..end].parse().unwrap_or(0));
                from = end;
            }
            _ => {}
        }
    }
    &sql[from..]
}

/// Up to so many parameters are numbered as they come.
const NUMBERED_FREELY: usize = 256;

/// The SQL with its parameters numbered in the order in which the text names them. For one that is smaller than another
/// before it SQLite looks through all those before: too long for a list of a hundred thousand.
fn in_order(sql: &str, done: &mut super::Finished) -> String {
    let mut order: Vec<usize> = Vec::with_capacity(done.slots.len());
    let mut new = vec![0; done.slots.len() + 1];
    let mut take = |n: usize| {
        if new.get(n) == Some(&0) {
            order.push(n);
            new[n] = order.len();
        }
    };
    each_parameter(sql, |_, n| take(n));
    (1..=done.slots.len()).for_each(&mut take);
    let renumbered = |sql: &str| {
        let mut out = String::with_capacity(sql.len());
        let rest = each_parameter(sql, |before, n| {
            out.push_str(before);
            out.push('?');
            out.push_str(&new.get(n).unwrap_or(&n).to_string());
        });
        out + rest
    };
    for c in &mut done.reads.conditions {
        c.sql = renumbered(&c.sql).into();
        c.params = parameters(&c.sql);
    }
    let out = renumbered(sql);
    done.slots = order.iter().map(|n| done.slots[n - 1].clone()).collect();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Coerce, ConditionRead, ReadSet, Slot, Source};

    #[test]
    fn parameters_are_numbered_as_the_text_names_them() {
        let slot = |n| Slot { source: Source::Literal(n), coerce: Coerce::None };
        let read = ConditionRead {
            table: p2pdb_model::ObjectId::ROOT,
            sql: "a IN (?1,?2) AND ?2 IS ?2".into(),
            params: 2,
        };
        let mut done = super::super::Finished {
            slots: (1..=4).map(slot).collect(),
            reads: ReadSet { conditions: vec![read], ..ReadSet::default() },
            notes: Vec::new(),
        };
        let sql = in_order("SELECT ?3,'?9',`?8` WHERE a IN (?1,?2) AND b=?3", &mut done);
        assert_eq!(sql, "SELECT ?1,'?9',`?8` WHERE a IN (?2,?3) AND b=?1");
        assert_eq!(done.slots, [slot(3), slot(1), slot(2), slot(4)]);
        assert_eq!(&*done.reads.conditions[0].sql, "a IN (?2,?3) AND ?3 IS ?3");
        assert_eq!(done.reads.conditions[0].params, 3);
    }
}
