//! Forms of expressions that MySQL has and `sqlparser` does not read; each is read into the tree of an equal one.

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, SearchModifier, UnaryOperator,
};
use sqlparser::dialect::{Dialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::dialect::P2pdbDialect;

type Parsed = Result<Expr, ParserError>;

/// An operator whose right side is not what follows from how tightly it binds.
pub(super) fn infix(parser: &mut Parser<'_>, left: &Expr) -> Option<Parsed> {
    if parser.consume_token(&Token::Assignment) {
        // As far to the right as it goes.
        return Some(parser.parse_expr().map(|right| Expr::BinaryOp {
            left: Box::new(left.clone()),
            op: BinaryOperator::Assignment,
            right: Box::new(right),
        }));
    }
    let keyword = |n: usize| match &parser.peek_nth_token_ref(n).token {
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => Keyword::NoKeyword,
    };
    let negated = keyword(0) == Keyword::NOT;
    let what = keyword(usize::from(negated));
    if !matches!(what, Keyword::IN | Keyword::BETWEEN | Keyword::REGEXP | Keyword::RLIKE) {
        return None;
    }
    (0..=usize::from(negated)).for_each(|_| parser.advance_token());
    let expr = Box::new(left.clone());
    if matches!(what, Keyword::REGEXP | Keyword::RLIKE) {
        let pattern = parser.parse_subexpr(P2pdbDialect.prec_value(Precedence::Like));
        let regexp = what == Keyword::REGEXP;
        return Some(pattern.map(|p| Expr::RLike { negated, expr, pattern: Box::new(p), regexp }));
    }
    Some(if what == Keyword::IN { is_in(parser, expr, negated) } else { between(parser, expr, negated) })
}

/// The right side of IN: a query, or a list that may begin with one in parentheses.
fn is_in(parser: &mut Parser<'_>, expr: Box<Expr>, negated: bool) -> Parsed {
    parser.expect_token(&Token::LParen)?;
    let query = parser.maybe_parse(|p| {
        let query = p.parse_query()?;
        p.expect_token(&Token::RParen)?;
        Ok(query)
    })?;
    if let Some(subquery) = query {
        return Ok(Expr::InSubquery { expr, subquery, negated });
    }
    let list = parser.parse_comma_separated(Parser::parse_expr)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::InList { expr, list, negated })
}

/// `low AND high`: the one without predicates, the other up to the next comparison.
fn between(parser: &mut Parser<'_>, expr: Box<Expr>, negated: bool) -> Parsed {
    let low = Box::new(parser.parse_subexpr(P2pdbDialect.prec_value(Precedence::Between))?);
    parser.expect_keyword(Keyword::AND)?;
    let high = Box::new(parser.parse_subexpr(P2pdbDialect.prec_value(Precedence::Eq))?);
    Ok(Expr::Between { expr, negated, low, high })
}

/// Reads one of the forms, or nothing. `sign` is how tightly a sign binds.
pub(super) fn prefix(parser: &mut Parser<'_>, sign: u8) -> Option<Parsed> {
    let (first, second) = (&parser.peek_token_ref().token, &parser.peek_nth_token_ref(1).token);
    let paren = *second == Token::LParen;
    let keyword = match first {
        Token::ExclamationMark => return Some(signed(parser, UnaryOperator::BangNot, sign)),
        Token::Minus => return Some(signed(parser, UnaryOperator::Minus, sign)),
        Token::Plus => return Some(signed(parser, UnaryOperator::Plus, sign)),
        Token::Tilde => return Some(signed(parser, UnaryOperator::BitwiseNot, sign)),
        Token::LParen if paren && is_query_in_parentheses(parser) => {
            parser.advance_token();
            return Some(parser.parse_query().and_then(|q| {
                parser.expect_token(&Token::RParen)?;
                Ok(Expr::Subquery(q))
            }));
        }
        Token::Word(w) if w.quote_style.is_none() => w.keyword,
        _ => return None,
    };
    match keyword {
        // `BINARY x` binds like a sign, not to the whole expression that follows.
        Keyword::BINARY => {
            parser.advance_token();
            Some(parser.parse_subexpr(sign).map(|e| cast(e, DataType::Binary(None))))
        }
        Keyword::MATCH => Some(match_against(parser)),
        Keyword::INTERVAL if paren => parser.maybe_parse(interval_call).transpose(),
        Keyword::CHAR if paren => parser.maybe_parse(char_using).transpose(),
        _ if paren && is_weight_string(first) => parser.maybe_parse(weight_string).transpose(),
        Keyword::CAST if paren => parser.maybe_parse(|p| cast_charset(p, Keyword::AS)).transpose(),
        Keyword::CONVERT if paren => parser.maybe_parse(|p| cast_charset(p, Keyword::NoKeyword)).transpose(),
        _ => None,
    }
}

fn signed(parser: &mut Parser<'_>, op: UnaryOperator, sign: u8) -> Parsed {
    parser.advance_token();
    let expr = Box::new(parser.parse_subexpr(sign)?);
    Ok(Expr::UnaryOp { op, expr })
}

/// `((SELECT …) UNION …)`: a query whose first part is in parentheses, too, and something of the query follows that.
fn is_query_in_parentheses(parser: &Parser<'_>) -> bool {
    let at = parser.get_current_index();
    let Some(open) = (at..=at + 2).find(|n| std::ptr::eq(parser.token_at(*n), parser.peek_token_ref()))
    else {
        return false;
    };
    let mut rest =
        (open + 1..).map(|n| &parser.token_at(n).token).filter(|t| !matches!(t, Token::Whitespace(_)));
    let word = |t: Option<&Token>| match t {
        Some(Token::Word(w)) if w.quote_style.is_none() => w.keyword,
        _ => Keyword::NoKeyword,
    };
    let mut depth = 0;
    let first = rest.by_ref().find(|t| {
        depth += usize::from(**t == Token::LParen);
        **t != Token::LParen
    });
    if !matches!(word(first), Keyword::SELECT | Keyword::WITH | Keyword::VALUES | Keyword::TABLE) {
        return false;
    }
    while depth > 0 {
        match rest.next() {
            Some(Token::LParen) => depth += 1,
            Some(Token::RParen) => depth -= 1,
            None | Some(Token::EOF) => return false,
            _ => {}
        }
    }
    matches!(
        word(rest.next()),
        Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::ORDER | Keyword::LIMIT
    )
}

/// The call that MATCH … AGAINST an expression is read into; no name of a function is like this. Its arguments: the mode, what is
/// searched for, the columns. AGAINST a literal has a form of its own.
const MATCH: &str = "match against";

/// It stands for MATCH … AGAINST.
pub(crate) fn is_match(f: &Function) -> bool {
    matches!(f.name.0.as_slice(), [only] if only.as_ident().is_some_and(|i| i.value == MATCH))
}

/// `MATCH (columns) AGAINST (what mode)`; the parentheses around columns may be left out.
fn match_against(parser: &mut Parser<'_>) -> Parsed {
    parser.advance_token();
    let paren = parser.consume_token(&Token::LParen);
    let columns = parser.parse_comma_separated(|p| p.parse_object_name(false))?;
    if paren {
        parser.expect_token(&Token::RParen)?;
    }
    parser.expect_keyword(Keyword::AGAINST)?;
    parser.expect_token(&Token::LParen)?;
    // IN is about the mode.
    let what = parser.parse_subexpr(P2pdbDialect.prec_value(Precedence::Between))?;
    let natural = [Keyword::IN, Keyword::NATURAL, Keyword::LANGUAGE, Keyword::MODE];
    let mode = if parser.parse_keywords(&[Keyword::IN, Keyword::BOOLEAN, Keyword::MODE]) {
        Some(SearchModifier::InBooleanMode)
    } else {
        let _ = parser.parse_keywords(&natural);
        let expanded = parser.parse_keywords(&[Keyword::WITH, Keyword::QUERY, Keyword::EXPANSION]);
        expanded.then_some(SearchModifier::WithQueryExpansion)
    };
    parser.expect_token(&Token::RParen)?;
    if let Expr::Value(match_value) = what {
        return Ok(Expr::MatchAgainst { columns, match_value, opt_search_modifier: mode });
    }
    let mode = mode.map_or_else(String::new, |m| m.to_string());
    let mut args = vec![Expr::Identifier(Ident::new(mode)), what];
    args.extend(columns.into_iter().map(|c| Expr::CompoundIdentifier(identifiers(&c))));
    Ok(call(MATCH, args))
}

/// The parts of a name.
pub(crate) fn identifiers(name: &ObjectName) -> Vec<Ident> {
    name.0.iter().filter_map(|p| p.as_ident()).cloned().collect()
}

/// `x SOUNDS LIKE y`, after x.
pub(super) fn sounds_like(parser: &mut Parser<'_>, left: &Expr, precedence: u8) -> Option<Parsed> {
    if !is_sounds_like(parser) {
        return None;
    }
    parser.advance_token();
    parser.advance_token();
    let soundex = |e: Expr| call("SOUNDEX", vec![e]);
    Some(parser.parse_subexpr(precedence).map(|right| Expr::BinaryOp {
        left: Box::new(soundex(left.clone())),
        op: BinaryOperator::Eq,
        right: Box::new(soundex(right)),
    }))
}

pub(super) fn is_sounds_like(parser: &Parser<'_>) -> bool {
    let sounds = matches!(&parser.peek_token_ref().token,
        Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case("sounds"));
    let like = matches!(&parser.peek_nth_token_ref(1).token, Token::Word(w) if w.keyword == Keyword::LIKE);
    sounds && like
}

/// `INTERVAL(n, n1, …)`: with one argument it is `INTERVAL (n) DAY`.
fn interval_call(parser: &mut Parser<'_>) -> Parsed {
    let args = arguments(parser)?;
    parser.expect_token(&Token::RParen)?;
    if args.len() < 2 {
        return Err(ParserError::ParserError("INTERVAL of one argument".to_owned()));
    }
    Ok(call("INTERVAL", args))
}

fn is_weight_string(t: &Token) -> bool {
    matches!(t, Token::Word(w) if w.value.eq_ignore_ascii_case("weight_string"))
}

/// `WEIGHT_STRING(x AS CHAR(n))`, which MySQL writes with three numbers behind x, and `WEIGHT_STRING(x AS BINARY(n))`, which is of
/// as many bytes.
fn weight_string(parser: &mut Parser<'_>) -> Parsed {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let e = parser.parse_expr()?;
    parser.expect_keyword(Keyword::AS)?;
    let binary = parser.parse_keyword(Keyword::BINARY);
    if !binary {
        parser.expect_keyword(Keyword::CHAR)?;
    }
    parser.expect_token(&Token::LParen)?;
    let n = parser.parse_literal_uint()?;
    parser.expect_token(&Token::RParen)?;
    parser.expect_token(&Token::RParen)?;
    if n == 0 {
        return Err(ParserError::ParserError("no characters".to_owned()));
    }
    let number = |n: u64| Expr::value(sqlparser::ast::Value::Number(n.to_string(), false));
    let args = match binary {
        true => vec![cast(e, DataType::Binary(Some(n)))],
        false => vec![e, number(0), number(n), number(0)],
    };
    Ok(call("WEIGHT_STRING", args))
}

/// `CHAR(n, … USING charset)`.
fn char_using(parser: &mut Parser<'_>) -> Parsed {
    let args = arguments(parser)?;
    parser.expect_keyword(Keyword::USING)?;
    let charset = charset_name(parser)?;
    parser.expect_token(&Token::RParen)?;
    Ok(using(call("CHAR", args), charset))
}

/// `CAST(x AS CHAR CHARACTER SET c)` and `CONVERT(x, CHAR CHARACTER SET c)`.
fn cast_charset(parser: &mut Parser<'_>, separator: Keyword) -> Parsed {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    let e = parser.parse_expr()?;
    match separator {
        Keyword::NoKeyword => parser.expect_token(&Token::Comma).map(|_| ())?,
        k => parser.expect_keyword(k).map(|_| ())?,
    }
    let ty = parser.parse_data_type()?;
    let charset = if parser.parse_keyword(Keyword::BINARY) {
        Ident::new("binary")
    } else {
        if !parser.parse_keyword(Keyword::CHARSET) {
            parser.expect_keywords(&[Keyword::CHARACTER, Keyword::SET])?;
        }
        charset_name(parser)?
    };
    parser.expect_token(&Token::RParen)?;
    let text = matches!(ty, DataType::Char(_) | DataType::Character(_));
    if !text {
        return Err(ParserError::ParserError("CHARACTER SET of what is no text".to_owned()));
    }
    Ok(using(cast(e, ty), charset))
}

/// The name and opening parenthesis of a call, and its arguments.
fn arguments(parser: &mut Parser<'_>) -> Result<Vec<Expr>, ParserError> {
    parser.advance_token();
    parser.expect_token(&Token::LParen)?;
    parser.parse_comma_separated(Parser::parse_expr)
}

fn charset_name(parser: &mut Parser<'_>) -> Result<Ident, ParserError> {
    parser.parse_identifier()
}

fn cast(e: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(e), data_type, format: None }
}

fn using(e: Expr, charset: Ident) -> Expr {
    Expr::Convert {
        is_try: false,
        expr: Box::new(e),
        data_type: None,
        charset: Some(ObjectName::from(vec![charset])),
        target_before_value: false,
        styles: Vec::new(),
    }
}

fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|e| FunctionArg::Unnamed(FunctionArgExpr::Expr(e))).collect();
    let list = FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
