//! Makes `sqlparser`'s tokens of ours, with their places in the text, and lifts literals.
//!
//! What `sqlparser` reads differently from MySQL is put right here: `||` is OR unless sql_mode says otherwise, `"x"` is
//! text, `MOD` is an operator after an operand, `LOCK IN SHARE MODE` is `FOR SHARE`, `@'x'` is a word.

use p2pdb_model::Value;
use p2pdb_model::decimal::Decimal;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Word};

use super::lexer::{Lexer, Quoting, Raw, RawToken, unquote};
use super::literal::{Literal, LiteralKind};
use crate::error::SqlError;
use crate::session::SqlMode;
use crate::statement::reserved::is_reserved;

/// A place that carries a value: which literal or parameter stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// The n-th literal.
    Literal(usize),
    /// The n-th `?`.
    Param(usize),
}

/// A token's place.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Line and column (characters), from 1.
    pub location: Location,
    /// Byte range.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
    /// The value that stands here.
    pub lifted: Option<Lifted>,
}

/// Tokens and places, one place per token.
#[derive(Debug, Default)]
pub struct Tokens {
    /// For the parser.
    pub tokens: Vec<TokenWithSpan>,
    /// Their places.
    pub places: Vec<Place>,
    /// How deep a tree may become: open parentheses, and operators since the last comma.
    pub depth: usize,
    /// Parentheses and signs or NOTs that stand inside of each other.
    pub nesting: usize,
}

/// A raw token that may be an operand's end, so that a minus after it is binary.
pub fn ends_operand(t: &RawToken, text: &str) -> bool {
    match t.kind {
        Raw::Op => &text[t.start..t.end] == ")",
        Raw::Word => !is_reserved(&text[t.start..t.end]) || is_value(&text[t.start..t.end]),
        Raw::Semicolon | Raw::Bad => false,
        _ => true,
    }
}

/// A reserved word that is a value by itself.
fn is_value(word: &str) -> bool {
    const VALUES: [&str; 12] = [
        "TRUE",
        "FALSE",
        "NULL",
        "CURRENT_DATE",
        "CURRENT_TIME",
        "CURRENT_TIMESTAMP",
        "CURRENT_USER",
        "LOCALTIME",
        "LOCALTIMESTAMP",
        "UTC_DATE",
        "UTC_TIME",
        "UTC_TIMESTAMP",
    ];
    VALUES.iter().any(|v| v.eq_ignore_ascii_case(word))
}

/// The literal of one raw token (of text: its first piece), or `None` for other tokens.
pub fn literal(t: &RawToken, text: &str, quoting: Quoting) -> Option<Literal> {
    let s = &text[t.start..t.end];
    Some(match t.kind {
        Raw::Text => Literal::text(unquote(s, quoting.backslash)),
        Raw::National => Literal::text(unquote(&s[1..], quoting.backslash)),
        Raw::Integer => integer(s, false),
        Raw::Decimal => decimal(s),
        Raw::Float => Literal::double(s.parse().unwrap_or(0.0)),
        Raw::Hex | Raw::Bits => Literal { kind: LiteralKind::Hex, value: Value::Blob(bits(s)?) },
        _ => return None,
    })
}

fn integer(s: &str, negative: bool) -> Literal {
    match s.parse::<i128>() {
        Ok(n) if n <= i128::from(u64::MAX) => {
            let n = if negative { -n } else { n };
            match (i64::try_from(n), u64::try_from(n)) {
                (Ok(n), _) => Literal::int(n),
                (_, Ok(n)) => Literal::uint(n),
                _ => decimal_value(Decimal::new(n, 0)),
            }
        }
        _ => {
            let d = Decimal::parse_prefix(s).0;
            decimal_value(if negative { d.negated() } else { d })
        }
    }
}

fn decimal(s: &str) -> Literal {
    decimal_value(Decimal::parse_prefix(s).0)
}

fn decimal_value(d: Decimal) -> Literal {
    let scale = d.scale().min(30);
    let precision = (d.whole_digits() + scale).clamp(1, 65);
    let kind = LiteralKind::Decimal(precision as u8, scale as u8);
    Literal { kind, value: Value::Blob(d.encode()) }
}

/// Minus a numeric literal.
pub fn negated(l: Literal, text: &str) -> Literal {
    match (l.kind, l.value) {
        (LiteralKind::SmallInt | LiteralKind::Int | LiteralKind::UInt, _) => integer(text, true),
        (LiteralKind::Double, Value::Real(r)) => Literal::double(-r),
        (kind @ LiteralKind::Decimal(..), Value::Blob(b)) => {
            let d = Decimal::decode(&b).unwrap_or(Decimal::ZERO).negated();
            Literal { kind, value: Value::Blob(d.encode()) }
        }
        (kind, value) => Literal { kind, value },
    }
}

/// The bytes of `x'…'`, `0x…`, `b'…'`, `0b…`; `None` when the digits are wrong.
pub fn bits(s: &str) -> Option<Vec<u8>> {
    let hex = matches!(s.as_bytes(), [b'x' | b'X', ..] | [b'0', b'x', ..]);
    let digits = &s[2..];
    let digits = if s.as_bytes().get(1) == Some(&b'\'') { digits.strip_suffix('\'')? } else { digits };
    if hex {
        if digits.len() % 2 == 1 {
            // `x'abc'` is an error, `0xabc` is not.
            return s.starts_with('0').then(|| p2pdb_model::ids::unhex(&format!("0{digits}")))?;
        }
        return p2pdb_model::ids::unhex(digits);
    }
    let pad = (8 - digits.len() % 8) % 8;
    let all: String = "0".repeat(pad) + digits;
    all.as_bytes()
        .chunks(8)
        .map(|c| c.iter().try_fold(0u8, |n, b| matches!(b, b'0' | b'1').then(|| n << 1 | (b - b'0'))))
        .collect()
}

/// Counts lines and columns along with bytes.
struct Locator<'a> {
    text: &'a str,
    at: usize,
    line: u64,
    column: u64,
}

impl Locator<'_> {
    fn locate(&mut self, to: usize) -> Location {
        for c in self.text[self.at..to].chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.at = to;
        Location { line: self.line, column: self.column }
    }
}

/// Makes the tokens of one statement (to its end or `;`). With `lift`, literals and parameters are numbered in the
/// order in which [`super::key`] numbers them, and a minus before a number becomes part of it.
///
/// # Errors
/// 1064 for text that is no token.
pub fn tokenize(text: &str, mode: SqlMode, lift: bool) -> Result<Tokens, SqlError> {
    tokens_of(text, mode, lift, false)
}

/// The same for a text with the body of a stored program: `;` is a token like any other.
///
/// # Errors
/// 1064 for text that is no token.
pub fn tokenize_program(text: &str, mode: SqlMode) -> Result<Tokens, SqlError> {
    tokens_of(text, mode, false, true)
}

fn tokens_of(text: &str, mode: SqlMode, lift: bool, program: bool) -> Result<Tokens, SqlError> {
    let quoting = Quoting::from(mode);
    let mut out = Tokens::default();
    let mut at = Locator { text, at: 0, line: 1, column: 1 };
    let mut literals = 0;
    let mut params = 0;
    let (mut open, mut operators, mut prefixes) = (0usize, 0usize, 0usize);
    let raw: Vec<RawToken> =
        Lexer::new(text, quoting).take_while(|t| program || t.kind != Raw::Semicolon).collect();
    let mut i = 0;
    while let Some(t) = raw.get(i) {
        let start = at.locate(t.start);
        let s = &text[t.start..t.end];
        let mut end = t.end;
        let mut lifted = None;
        let before = i.checked_sub(1).map(|n| &raw[n]);
        let after_operand = before.is_some_and(|b| ends_operand(b, text));
        let mut take = 1;
        let token = match t.kind {
            Raw::Word if after_operand && s.eq_ignore_ascii_case("mod") => Token::Mod,
            Raw::Word if s.eq_ignore_ascii_case("table") && begins_query(before, text) => {
                // `TABLE t` is `SELECT * FROM t`.
                let stop = at.locate(t.end);
                push(&mut out, Token::make_keyword("SELECT"), start, stop, t.start, t.end, None);
                push(&mut out, Token::Mul, start, stop, t.start, t.end, None);
                Token::make_keyword("FROM")
            }
            Raw::Word if is_lock_in_share_mode(&raw[i..], text) => {
                take = 4;
                end = raw[i + 3].end;
                push(&mut out, Token::make_keyword("FOR"), start, at.locate(t.end), t.start, t.end, None);
                Token::make_keyword("SHARE")
            }
            Raw::Word if is_locked_table_list(before, &raw[i..], text) => {
                // `FOR UPDATE OF a, b`: the parser knows one name.
                take = locked_tables(&raw[i..], text);
                end = raw[i + take - 1].end;
                push(&mut out, Token::make_keyword("OF"), start, at.locate(t.end), t.start, t.end, None);
                let first = &raw[i + 1];
                let name = &text[first.start..first.end];
                match first.kind {
                    Raw::Quoted => Token::make_word(&unquote(name, false), name.chars().next()),
                    _ => Token::make_word(name, None),
                }
            }
            Raw::Word => unit_word(s).unwrap_or_else(|| Token::make_word(s, None)),
            Raw::Quoted => Token::make_word(&unquote(s, false), s.chars().next()),
            Raw::Variable => Token::Word(Word {
                value: variable_name(s, quoting.backslash),
                quote_style: None,
                keyword: Keyword::NoKeyword,
            }),
            Raw::Param => {
                lifted = Some(Lifted::Param(params));
                params += 1;
                Token::Placeholder("?".to_owned())
            }
            Raw::Text | Raw::National => {
                let mut value = unquote(if t.kind == Raw::National { &s[1..] } else { s }, quoting.backslash);
                while let Some(next) = raw.get(i + take).filter(|n| n.kind == Raw::Text) {
                    value.push_str(&unquote(&text[next.start..next.end], quoting.backslash));
                    end = next.end;
                    take += 1;
                }
                Token::SingleQuotedString(value)
            }
            Raw::Integer | Raw::Decimal | Raw::Float => Token::Number(s.to_owned(), false),
            Raw::Hex | Raw::Bits => match bits(s) {
                Some(b) => Token::HexStringLiteral(p2pdb_model::ids::hex(&b)),
                None => return Err(bad(text, t, start)),
            },
            Raw::Op if s == "-" && lift && !after_operand && next_is_number(&raw, i) => {
                let n = &raw[i + 1];
                take = 2;
                end = n.end;
                Token::Number(format!("-{}", &text[n.start..n.end]), false)
            }
            Raw::Op => match operator(s, mode) {
                Some(token) => token,
                None => return Err(bad(text, t, start)),
            },
            Raw::Semicolon => Token::SemiColon,
            Raw::Bad => return Err(bad(text, t, start)),
        };
        let is_literal =
            matches!(token, Token::SingleQuotedString(_) | Token::Number(..) | Token::HexStringLiteral(_));
        if is_literal && lift {
            lifted = Some(Lifted::Literal(literals));
            literals += 1;
        }
        match &token {
            Token::LParen => open += 1,
            Token::RParen => open = open.saturating_sub(1),
            Token::Comma | Token::SemiColon => operators = 0,
            Token::Period => {}
            Token::Word(w) if !deepens(w.keyword) => {}
            Token::Word(_) => operators += 1,
            _ if t.kind == Raw::Op => operators += 1,
            _ => {}
        }
        let prefix = match t.kind {
            Raw::Op => matches!(s, "-" | "+" | "!" | "~") && !after_operand,
            Raw::Word => s.eq_ignore_ascii_case("not") || s.eq_ignore_ascii_case("case"),
            _ => false,
        };
        prefixes = if prefix {
            prefixes + 1
        } else if s == "(" {
            prefixes
        } else {
            0
        };
        out.depth = out.depth.max(open + operators);
        out.nesting = out.nesting.max(open + prefixes);
        let stop = at.locate(end);
        push(&mut out, token, start, stop, t.start, end, lifted);
        i += take;
    }
    Ok(out)
}

/// MySQL's compound units of INTERVAL and EXTRACT, each with the unit of other databases that stands for it in the parser,
/// which does not know them. All are reserved words of MySQL.
pub const COMPOUND_UNITS: [(&str, Keyword); 11] = [
    ("SECOND_MICROSECOND", Keyword::CENTURY),
    ("MINUTE_MICROSECOND", Keyword::DECADE),
    ("MINUTE_SECOND", Keyword::DOW),
    ("HOUR_MICROSECOND", Keyword::DOY),
    ("HOUR_SECOND", Keyword::EPOCH),
    ("HOUR_MINUTE", Keyword::ISODOW),
    ("DAY_MICROSECOND", Keyword::ISOYEAR),
    ("DAY_SECOND", Keyword::JULIAN),
    ("DAY_MINUTE", Keyword::MILLENNIUM),
    ("DAY_HOUR", Keyword::MILLISECOND),
    ("YEAR_MONTH", Keyword::NANOSECOND),
];

/// A compound unit, or a word that must not be taken for the one that stands in for it.
fn unit_word(s: &str) -> Option<Token> {
    let word = |keyword| Token::Word(Word { value: s.to_owned(), quote_style: None, keyword });
    if let Some((_, k)) = COMPOUND_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(s)) {
        return Some(word(*k));
    }
    let Token::Word(w) = Token::make_word(s, None) else { return None };
    COMPOUND_UNITS.iter().any(|(_, k)| *k == w.keyword).then(|| word(Keyword::NoKeyword))
}

fn push(
    out: &mut Tokens,
    token: Token,
    start: Location,
    stop: Location,
    from: usize,
    to: usize,
    lifted: Option<Lifted>,
) {
    out.tokens.push(TokenWithSpan { token, span: Span { start, end: stop } });
    out.places.push(Place { location: start, start: from, end: to, lifted });
}

/// Words that make a tree one level deeper.
fn deepens(k: Keyword) -> bool {
    matches!(
        k,
        Keyword::AND
            | Keyword::OR
            | Keyword::XOR
            | Keyword::NOT
            | Keyword::DIV
            | Keyword::CASE
            | Keyword::WHEN
            | Keyword::LIKE
            | Keyword::IS
            | Keyword::IN
            | Keyword::BETWEEN
            | Keyword::REGEXP
            | Keyword::RLIKE
            | Keyword::COLLATE
            | Keyword::SELECT
            | Keyword::JOIN
            | Keyword::STRAIGHT_JOIN
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
    )
}

/// A query may begin after this token.
fn begins_query(before: Option<&RawToken>, text: &str) -> bool {
    let Some(b) = before else { return true };
    let s = &text[b.start..b.end];
    s == "(" || ["union", "except", "intersect", "all"].iter().any(|w| s.eq_ignore_ascii_case(w))
}

fn next_is_number(raw: &[RawToken], i: usize) -> bool {
    raw.get(i + 1).is_some_and(|n| matches!(n.kind, Raw::Integer | Raw::Decimal | Raw::Float))
}

fn is_lock_in_share_mode(raw: &[RawToken], text: &str) -> bool {
    raw.len() >= 4
        && ["lock", "in", "share", "mode"]
            .iter()
            .zip(raw)
            .all(|(w, t)| t.kind == Raw::Word && text[t.start..t.end].eq_ignore_ascii_case(w))
}

/// `OF` after FOR UPDATE or FOR SHARE, before a name.
fn is_locked_table_list(before: Option<&RawToken>, raw: &[RawToken], text: &str) -> bool {
    let word = |t: &RawToken, w: &str| t.kind == Raw::Word && text[t.start..t.end].eq_ignore_ascii_case(w);
    raw.len() >= 2
        && word(&raw[0], "of")
        && before.is_some_and(|b| word(b, "update") || word(b, "share"))
        && matches!(raw[1].kind, Raw::Word | Raw::Quoted)
}

/// How many tokens `OF a, b, …` are.
fn locked_tables(raw: &[RawToken], text: &str) -> usize {
    let mut n = 2;
    while let (Some(comma), Some(name)) = (raw.get(n), raw.get(n + 1)) {
        let list = &text[comma.start..comma.end] == "," && matches!(name.kind, Raw::Word | Raw::Quoted);
        if !list {
            break;
        }
        n += 2;
    }
    n
}

fn bad(text: &str, t: &RawToken, at: Location) -> SqlError {
    SqlError::syntax(&text[t.start..], at.line)
}

/// The name of a variable token with its `@`s and without quotes.
pub fn variable_name(s: &str, backslash: bool) -> String {
    let at = s.len() - s.trim_start_matches('@').len();
    let (ats, name) = s.split_at(at.min(2));
    match name.as_bytes().first() {
        Some(b'`') => format!("{ats}{}", unquote(name, false)),
        Some(b'\'' | b'"') => format!("{ats}{}", unquote(name, backslash)),
        _ => s.to_owned(),
    }
}

fn operator(s: &str, mode: SqlMode) -> Option<Token> {
    Some(match s {
        "," => Token::Comma,
        "(" => Token::LParen,
        ")" => Token::RParen,
        "." => Token::Period,
        "=" => Token::Eq,
        "<" => Token::Lt,
        ">" => Token::Gt,
        "<=" => Token::LtEq,
        ">=" => Token::GtEq,
        "<>" | "!=" => Token::Neq,
        "<=>" => Token::Spaceship,
        "+" => Token::Plus,
        "-" => Token::Minus,
        "*" => Token::Mul,
        "/" => Token::Div,
        "%" => Token::Mod,
        "||" if mode.has(SqlMode::PIPES_AS_CONCAT) => Token::StringConcat,
        "||" => Token::make_keyword("OR"),
        "&&" => Token::make_keyword("AND"),
        "&" => Token::Ampersand,
        "|" => Token::Pipe,
        "^" => Token::Caret,
        "~" => Token::Tilde,
        "!" => Token::ExclamationMark,
        "<<" => Token::ShiftLeft,
        ">>" => Token::ShiftRight,
        ":=" => Token::Assignment,
        ":" => Token::Colon,
        "->" => Token::Arrow,
        "->>" => Token::LongArrow,
        "{" => Token::LBrace,
        "}" => Token::RBrace,
        "[" => Token::LBracket,
        "]" => Token::RBracket,
        _ => return None,
    })
}
