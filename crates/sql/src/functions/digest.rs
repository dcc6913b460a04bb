//! STATEMENT_DIGEST and STATEMENT_DIGEST_TEXT: a statement with its values taken out (MySQL 8.0 manual, "Performance Schema
//! Statement Digests and Sampling"; the rules of reduction are those of the server's `sql_digest.cc`).
//!
//! The text is MySQL's. The digest is the SHA-256 of that text; MySQL's own is one of the numbers that its grammar gives to
//! tokens. Not here: optimizer hints, which the lexer takes for comments.

use p2pdb_model::ids::hex;
use p2pdb_model::{Catalog, ValueRef};
use sha2::{Digest, Sha256};

use super::{Answer, Row, any_null, str_of, text};
use crate::error::SqlError;
use crate::execute::context;
use crate::front::lexer::{Lexer, Quoting, Raw, RawToken, unquote};
use crate::front::{Front, split_statements};
use crate::session::SqlMode;
use crate::statement::reserved::is_keyword;

/// What of a statement counts: bytes, as MySQL counts its tokens (`max_digest_length`).
const DIGEST_BYTES_MAX: usize = 1024;
/// A token in MySQL's count.
const TOKEN_BYTES: usize = 2;

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_statement_digest", 1, |a| match any_null(a) {
        true => Ok(p2pdb_model::Value::Null),
        false => text(hex(&Sha256::digest(of_argument(a)?.as_bytes()))),
    }),
    ("p_statement_digest_text", 1, |a| -> Answer {
        match any_null(a) {
            true => Ok(p2pdb_model::Value::Null),
            false => text(of_argument(a)?),
        }
    }),
];

fn of_argument(args: &[ValueRef<'_>]) -> Result<String, SqlError> {
    let (sql, mode) = (str_of(&args[0]), context::read(|c| c.sql_mode));
    let unread = |e: SqlError| {
        let message = format!("Could not parse argument to digest function: \"{}\".", e.message);
        SqlError::new(3676, "HY000", message)
    };
    is_statement(sql, mode).map_err(unread)?;
    Ok(digest_text(sql, mode))
}

/// Whether it can be read at all; its names need not be there.
fn is_statement(sql: &str, mode: SqlMode) -> Result<(), SqlError> {
    let statements = split_statements(sql, mode);
    let (first, second) = (statements.first(), statements.get(1));
    if let Some(second) = second {
        return Err(SqlError::syntax(second, 1));
    }
    let Some(first) = first else { return Err(SqlError::new(1065, "42000", "Query was empty")) };
    let mut session = crate::bind::generated::nobody();
    session.sql_mode = mode;
    match Front::new(1).compile(first, &session, &Catalog::default()) {
        Err(e) if matches!(e.code, 1064 | 1065) => Err(e),
        _ => Ok(()),
    }
}

/// A token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// A literal.
    Value,
    /// Several, between commas.
    Values,
    /// A literal in parentheses.
    Single,
    /// Several such, between commas.
    Singles,
    /// Several literals in parentheses.
    Multiple,
    /// Several such, between commas.
    Multiples,
    /// IN and literals in parentheses.
    In,
    /// The sign of a variable; no space follows it.
    At,
    /// A name.
    Name(String),
    /// A keyword, operator or mark.
    Mark(String),
}

impl Piece {
    fn is(&self, mark: &str) -> bool {
        matches!(self, Piece::Mark(m) if m == mark)
    }

    /// An expression follows it, so that a sign is a sign.
    fn begins_expression(&self) -> bool {
        #[rustfmt::skip]
        const BEGIN: [&str; 42] = [
            "(", ",", "EVERY", "AT", "STARTS", "ENDS", "DEFAULT", "RETURN", "IF", "ELSEIF", "CASE", "WHEN", "THEN", "ELSE",
            "WHILE", "UNTIL", "SELECT", "OR", "||", "XOR", "AND", "&&", "NOT", "BETWEEN", "LIKE", "RLIKE", "|", "&", "<<",
            ">>", "+", "-", "INTERVAL", "*", "/", "%", "DIV", "MOD", "^", "=", "<=>", "!=",
        ];
        matches!(self, Piece::Mark(m) if BEGIN.contains(&m.as_str())
            || matches!(m.as_str(), "<" | ">" | "<=" | ">="))
    }

    fn text(&self) -> String {
        match self {
            Piece::Value => "?".to_owned(),
            Piece::Values => "?, ...".to_owned(),
            Piece::Single => "(?)".to_owned(),
            Piece::Singles => "(?) /* , ... */".to_owned(),
            Piece::Multiple => "(...)".to_owned(),
            Piece::Multiples => "(...) /* , ... */".to_owned(),
            Piece::In => "IN (...)".to_owned(),
            Piece::At => "@".to_owned(),
            Piece::Name(name) => format!("`{name}`"),
            Piece::Mark(mark) => mark.clone(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Piece::Name(name) => TOKEN_BYTES * 2 + name.len(),
            _ => TOKEN_BYTES,
        }
    }
}

/// What has been read.
#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    /// The last one (1), the one before it (2) …
    fn last(&self, n: usize) -> Option<&Piece> {
        self.0.len().checked_sub(n).map(|at| &self.0[at])
    }

    fn cut(&mut self, n: usize) {
        self.0.truncate(self.0.len().saturating_sub(n));
    }

    /// `last` follows one of these and a comma.
    fn continues(&self, list: &[Piece]) -> bool {
        self.last(1).is_some_and(|p| p.is(",")) && self.last(2).is_some_and(|p| list.contains(p))
    }

    fn value(&mut self) {
        let piece = match self.continues(&[Piece::Value, Piece::Values]) {
            true => {
                self.cut(2);
                Piece::Values
            }
            false => Piece::Value,
        };
        self.0.push(piece);
    }

    /// A number; its signs are part of it.
    fn number(&mut self) {
        let sign = |p: &Piece| p.is("-") || p.is("+");
        while self.last(1).is_some_and(sign) && self.last(2).is_some_and(Piece::begins_expression) {
            self.cut(1);
        }
        self.value();
    }

    fn close(&mut self) {
        let open = self.last(2).is_some_and(|p| p.is("("));
        let (one, more) = match self.last(1) {
            Some(Piece::Value) if open => (Piece::Single, Piece::Singles),
            Some(Piece::Values) if open => (Piece::Multiple, Piece::Multiples),
            _ => return self.0.push(Piece::Mark(")".to_owned())),
        };
        self.cut(2);
        let piece = if self.continues(&[one.clone(), more.clone()]) {
            self.cut(2);
            more
        } else if self.last(1).is_some_and(|p| p.is("IN")) {
            self.cut(1);
            Piece::In
        } else {
            one
        };
        self.0.push(piece);
    }

    /// NULL is a value where an expression is, and a word where a type's or a condition's is.
    fn null_is_value(&self) -> bool {
        let begins = |p: &Piece| {
            p.begins_expression() || ["WHERE", "HAVING", "DISTINCTROW", "!", "~"].iter().any(|m| p.is(m))
        };
        match self.last(1) {
            Some(p) if p.is("NOT") => self.last(2).is_some_and(begins),
            Some(p) => begins(p),
            None => false,
        }
    }
}

/// The statement with its values taken out.
fn digest_text(sql: &str, mode: SqlMode) -> String {
    let quoting = Quoting::from(mode);
    let tokens: Vec<RawToken> = Lexer::new(sql, quoting).collect();
    let written = |n: usize| tokens.get(n).map_or("", |t| &sql[t.start..t.end]);
    let mut pieces = Pieces::default();
    let mut depth = 0_usize;
    // Where a list of ORDER BY or GROUP BY is: how many parentheses are open around it.
    let mut by: Option<usize> = None;
    for (n, t) in tokens.iter().enumerate() {
        let word = written(n);
        let after_point = n > 0 && written(n - 1) == "." && tokens[n - 1].end == t.start;
        match t.kind {
            Raw::Integer if by == Some(depth) && is_item(&pieces, written(n + 1)) => {
                pieces.0.push(Piece::Mark(word.to_owned()));
            }
            Raw::Integer | Raw::Decimal | Raw::Float | Raw::Hex | Raw::Bits => pieces.number(),
            Raw::Text | Raw::National | Raw::Param => pieces.value(),
            Raw::Quoted => pieces.0.push(Piece::Name(unquote(word, false))),
            Raw::Variable => {
                let name = word.trim_start_matches('@');
                let system = word.starts_with("@@");
                (0..if system { 2 } else { 1 }).for_each(|_| pieces.0.push(Piece::At));
                match name.chars().next() {
                    Some('`') => pieces.0.push(Piece::Name(unquote(name, false))),
                    _ if system => pieces.0.push(keyword(name).unwrap_or(Piece::Name(name.to_owned()))),
                    _ => pieces.value(),
                }
            }
            Raw::Word => {
                let behind = sql[t.end..].chars().next();
                let point = behind == Some('.') && written(n + 1) == ".";
                let literal =
                    || tokens.get(n + 1).is_some_and(|t| matches!(t.kind, Raw::Text | Raw::Hex | Raw::Bits));
                if after_point || point {
                    pieces.0.push(Piece::Name(word.to_owned()));
                } else if word.starts_with('_') && literal() {
                    pieces.0.push(Piece::Mark("(_charset)".to_owned()));
                } else if word.eq_ignore_ascii_case("null") && pieces.null_is_value() {
                    pieces.value();
                } else {
                    let called = if behind == Some('(') { function(word) } else { None };
                    let piece =
                        called.or_else(|| keyword(word)).unwrap_or_else(|| Piece::Name(word.to_owned()));
                    by = match &piece {
                        p if p.is("BY") => Some(depth),
                        p if p.is("ASC") || p.is("DESC") => by,
                        Piece::Mark(_) if by == Some(depth) => None,
                        _ => by,
                    };
                    pieces.0.push(piece);
                }
            }
            Raw::Op if word == ")" => {
                depth = depth.saturating_sub(1);
                by = by.filter(|b| *b <= depth);
                pieces.close();
            }
            Raw::Op => {
                depth += usize::from(word == "(");
                let mark = if word == "<>" { "!=" } else { word };
                pieces.0.push(Piece::Mark(mark.to_owned()));
            }
            Raw::Semicolon if n + 1 == tokens.len() => {}
            Raw::Semicolon | Raw::Bad => pieces.0.push(Piece::Mark(word.to_owned())),
        }
    }
    shown(&pieces.0)
}

fn shown(pieces: &[Piece]) -> String {
    let (mut out, mut bytes, mut joined) = (String::new(), 0, true);
    for p in pieces {
        bytes += p.bytes();
        if bytes > DIGEST_BYTES_MAX {
            break;
        }
        if !joined {
            out.push(' ');
        }
        out += &p.text();
        joined = *p == Piece::At;
    }
    out
}

/// A number by itself in a list of GROUP BY or ORDER BY names an item of the select list.
fn is_item(pieces: &Pieces, next: &str) -> bool {
    let begins = pieces.last(1).is_some_and(|p| p.is("BY") || p.is(","));
    let operator = !matches!(next, "" | "," | ")" | ";") && !next.starts_with(char::is_alphabetic);
    let operator = operator
        || [
            "DIV", "MOD", "AND", "OR", "XOR", "IN", "IS", "LIKE", "BETWEEN", "NOT", "RLIKE", "REGEXP",
            "COLLATE",
        ]
        .iter()
        .any(|w| w.eq_ignore_ascii_case(next));
    begins && !operator
}

/// Several words of one meaning are one token, with one text.
fn keyword(word: &str) -> Option<Piece> {
    let upper = word.to_ascii_uppercase();
    let mark = match upper.as_str() {
        "ANY" => "SOME",
        "CHAR" => "CHARACTER",
        "COLUMNS" => "FIELDS",
        "CURRENT_DATE" => "CURDATE",
        "CURRENT_TIME" => "CURTIME",
        "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP" => "NOW",
        "BIGINT" => "INT8",
        "DATABASE" => "SCHEMA",
        "DATABASES" => "SCHEMAS",
        "DAY" => "SQL_TSI_DAY",
        "DEC" => "DECIMAL",
        "DESCRIBE" => "EXPLAIN",
        "DISTINCT" => "DISTINCTROW",
        "DOUBLE" => "FLOAT8",
        "FLOAT" => "FLOAT4",
        "GEOMCOLLECTION" => "GEOMETRYCOLLECTION",
        "HOUR" => "SQL_TSI_HOUR",
        "INT" | "INT4" => "INTEGER",
        "INT1" => "TINYINT",
        "INT2" => "SMALLINT",
        "INT3" | "MEDIUMINT" => "MIDDLEINT",
        "IO_THREAD" => "RELAY_THREAD",
        "MINUTE" => "SQL_TSI_MINUTE",
        "MONTH" => "SQL_TSI_MONTH",
        "NDB" => "NDBCLUSTER",
        "QUARTER" => "SQL_TSI_QUARTER",
        "REGEXP" => "RLIKE",
        "SECOND" => "SQL_TSI_SECOND",
        "SQL_TSI_WEEK" => "WEEK",
        "SQL_TSI_YEAR" => "YEAR",
        "USER" => "SYSTEM_USER",
        "VARCHAR" => "VARCHARACTER",
        other if is_keyword(other) => other,
        _ => return None,
    };
    Some(Piece::Mark(mark.to_owned()))
}

/// Words that are more than names only where a parenthesis follows at once.
fn function(word: &str) -> Option<Piece> {
    let upper = word.to_ascii_uppercase();
    let mark = match upper.as_str() {
        "MID" | "SUBSTR" => "SUBSTRING",
        "SESSION_USER" => "SYSTEM_USER",
        "STD" | "STDDEV" => "STDDEV_POP",
        "VARIANCE" => "VAR_POP",
        "ADDDATE" | "BIT_AND" | "BIT_OR" | "BIT_XOR" | "CAST" | "COUNT" | "CURDATE" | "CURTIME"
        | "DATE_ADD" | "DATE_SUB" | "EXTRACT" | "GROUP_CONCAT" | "JSON_ARRAYAGG" | "JSON_OBJECTAGG"
        | "MAX" | "MIN" | "NOW" | "POSITION" | "STDDEV_POP" | "STDDEV_SAMP" | "ST_COLLECT" | "SUBDATE"
        | "SUBSTRING" | "SUM" | "SYSDATE" | "SYSTEM_USER" | "TRIM" | "VAR_POP" | "VAR_SAMP" => &upper,
        _ => return None,
    };
    Some(Piece::Mark(mark.to_owned()))
}
