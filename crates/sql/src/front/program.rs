//! Where statements end: at `;`, but for those inside of the body of a stored program.
//!
//! A body is no matter of counting words (`IF` is a function and a clause, too): the grammar of
//! [`crate::routine`] says where it ends. A definition that is wrong is one statement to the end of the text, as MySQL's
//! parser never comes to what is behind it.

use p2pdb_model::types::Collation;
use sqlparser::tokenizer::Token;

use super::lexer::{Lexer, Quoting, Raw};
use super::source::Source;
use super::{parse, tokens};
use crate::ddl::routine;
use crate::error::SqlError;
use crate::session::SqlMode;
use crate::statement::Cursor;

/// Tokens that stand before PROCEDURE, FUNCTION or TRIGGER in a definition, at most.
const HEAD_TOKENS_MAX: usize = 16;

/// The text begins with the definition of a stored program.
pub(super) fn is_definition(text: &str, mode: SqlMode) -> bool {
    let words = Lexer::new(text, Quoting::from(mode)).take(HEAD_TOKENS_MAX);
    let words: Vec<(Raw, &str)> = words.map(|t| (t.kind, &text[t.start..t.end])).collect();
    let is = |n: usize, word: &str| {
        words.get(n).is_some_and(|(k, w)| *k == Raw::Word && w.eq_ignore_ascii_case(word))
    };
    if !is(0, "create") {
        return false;
    }
    let mut n = 1;
    if is(n, "or") && is(n + 1, "replace") {
        n += 2;
    }
    if is(n, "definer") {
        // `= user @host`, in any quotes, or CURRENT_USER().
        n += 2;
        while n < words.len() && !["procedure", "function", "trigger", "event"].iter().any(|w| is(n, w)) {
            if is(n, "view") || is(n, "sql") || words[n].0 == Raw::Semicolon {
                return false;
            }
            n += 1;
        }
    }
    ["procedure", "function", "trigger"].iter().any(|w| is(n, w))
}

/// Splits a text into its statements at `;`, without the separators. Empty ones at the end are left out; one before another
/// statement is, with all that follows, what is wrong. A statement's comments stay with it.
pub fn split_statements(text: &str, mode: SqlMode) -> Vec<&str> {
    let mut out = Vec::new();
    // One statement, as nearly always: no need to read it to its end.
    if !text.contains(';') {
        out.extend(Lexer::new(text, mode.into()).next().map(|_| text.trim()));
        return out;
    }
    let (mut from, mut any) = (0, false);
    let mut skip_to = 0;
    for t in Lexer::new(text, mode.into()) {
        if t.start < skip_to {
            continue;
        }
        if t.kind == Raw::Semicolon {
            if any {
                out.push(text[from..t.start].trim());
            } else {
                // It is wrong, or there is nothing but `;` to the end: that is found out once.
                if begins_empty(&text[t.start..], mode).is_some() {
                    out.push(text[t.start..].trim());
                }
                return out;
            }
            from = t.end;
            any = false;
        } else {
            if !any && is_definition(&text[from..], mode) {
                skip_to = from + definition_bytes(&text[from..], mode);
            }
            any = true;
        }
    }
    if any {
        out.push(text[from..].trim());
    }
    out
}

/// Where the text's first token is, when that is a `;` and a statement follows: MySQL has no empty statements but at the end.
pub(crate) fn begins_empty(text: &str, mode: SqlMode) -> Option<usize> {
    let mut tokens = Lexer::new(text, mode.into());
    let first = tokens.next().filter(|t| t.kind == Raw::Semicolon)?;
    tokens.any(|t| t.kind != Raw::Semicolon).then_some(first.start)
}

/// What the beginning of a text is.
enum Read {
    /// It holds a whole definition, which ends here.
    Whole(usize),
    /// The definition goes on behind it.
    Part,
    /// It is wrong, or what stands behind the definition is.
    Wrong,
}

/// How long the definition is that a text begins with; all of it when it is wrong.
///
/// It ends at one of the `;`, so beginnings of the text are read that do, each twice as long as the one before: what stands
/// far behind the definition is not looked at. Where the last one goes too far, the place is between it and the one before.
fn definition_bytes(text: &str, mode: SqlMode) -> usize {
    let mut ends = Lexer::new(text, mode.into()).filter(|t| t.kind == Raw::Semicolon).map(|t| t.start);
    let mut known: Vec<usize> = Vec::new();
    // The definition does not end at the first `part` of them.
    let (mut part, mut wrong) = (0, None);
    loop {
        let next = match wrong {
            Some(wrong) => part + (wrong - part) / 2,
            None => (part * 2).max(1),
        };
        while known.len() < next {
            let Some(end) = ends.next().or_else(|| (known.last() != Some(&text.len())).then_some(text.len()))
            else {
                break;
            };
            known.push(end);
        }
        let next = next.min(known.len());
        if next == part {
            return text.len();
        }
        match read_definition(&text[..known[next - 1]], mode) {
            Read::Whole(end) => return end,
            Read::Part => part = next,
            Read::Wrong => wrong = Some(next),
        }
    }
}

fn read_definition(text: &str, mode: SqlMode) -> Read {
    let read = read_program(text, mode, |c, source| {
        let skimmed = routine::skim(c, source, Collation::Utf8mb4_0900AiCi);
        Ok(match (skimmed, c.token(0)) {
            (Ok(_), Token::EOF | Token::SemiColon) => Read::Whole(source.range(0, c.mark()).end),
            (Err(_), Token::EOF) => Read::Part,
            _ => Read::Wrong,
        })
    });
    read.unwrap_or(Read::Wrong)
}

/// Reads a text with the body of a stored program, with as much stack as it takes.
///
/// # Errors
/// 1064 for what is no token, 1436 for what is nested too deeply, and those of `read`.
pub(crate) fn read_program<T>(
    text: &str,
    mode: SqlMode,
    read: impl FnOnce(&mut Cursor<'_, '_>, &Source<'_>) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let mut tokens = tokens::tokenize_program(text, mode)?;
    let source = Source::new(text, &tokens, &[], None);
    parse(&mut tokens, |parser| {
        let mut c = Cursor::new(parser, text, mode.has(SqlMode::ANSI_QUOTES));
        read(&mut c, &source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_split_outside_of_quotes() {
        let got = split_statements("a; 'x;y' ;/* ; */ -- ;\nb;; ;", SqlMode::DEFAULT);
        assert_eq!(got, ["a", "'x;y'", "/* ; */ -- ;\nb"]);
        assert_eq!(split_statements("a; /* b */ ; c; d", SqlMode::DEFAULT), ["a", "; c; d"]);
        assert_eq!(split_statements("; a; b", SqlMode::DEFAULT), ["; a; b"]);
        assert_eq!(split_statements(" ; ;", SqlMode::DEFAULT), [""; 0]);
    }

    #[test]
    fn a_text_of_semicolons_is_read_once() {
        assert_eq!(split_statements(&";".repeat(1_000_000), SqlMode::DEFAULT), [""; 0]);
    }

    #[test]
    fn bodies_are_not_split() {
        let p = "CREATE PROCEDURE p(a INT) BEGIN IF a THEN SELECT IF(a, 1, 2); END IF; DROP TABLE IF EXISTS t; END";
        let f = "create definer = `a`@'%' function f() returns int return case 1 when 1 then 2 end";
        let t = "CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW l: REPEAT SET @a = 1; UNTIL 1 END REPEAT l";
        let text = format!("SELECT 1; {p};{f};\n{t} ; SELECT 2");
        assert_eq!(split_statements(&text, SqlMode::DEFAULT), ["SELECT 1", p, f, t, "SELECT 2"]);
    }

    #[test]
    fn a_definition_ends_where_it_does_whatever_stands_behind_it() {
        let p = "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; SELECT 3; SELECT 4; END";
        let deep = format!("INSERT INTO t VALUES ({}1{})", "(".repeat(5000), ")".repeat(5000));
        for behind in [deep.as_str(), "SELECT x'0g'", "CREATE PROCEDURE q() BEGIN"] {
            let text = format!("{p};{behind}");
            assert_eq!(split_statements(&text, SqlMode::DEFAULT), [p, behind]);
        }
    }

    #[test]
    fn a_text_of_many_definitions_is_read_once() {
        let n = 10_000;
        let text = "CREATE PROCEDURE a() BEGIN DO 1; DO 2; END;".repeat(n);
        assert_eq!(split_statements(&text, SqlMode::DEFAULT).len(), n);
    }

    #[test]
    fn a_wrong_definition_is_one_statement() {
        let text = "CREATE PROCEDURE p() BEGIN IF 1; SELECT 1; SELECT 2";
        assert_eq!(split_statements(text, SqlMode::DEFAULT), [text]);
    }
}
