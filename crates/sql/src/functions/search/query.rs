//! What stands behind AGAINST: words and phrases in natural language mode, an expression in boolean mode.
//!
//! Boolean mode is read by the grammar of InnoDB's own parser (`fts0pars.y`, `fts0blex.l`), as far as the manual describes it and a
//! server shows it: `+ - > < ~` before a word, phrase or group, `*` behind a word, `@distance` behind a phrase. A word that has
//! separators in it is several words under one operator.

use std::collections::HashMap;

use p2pdb_model::types::Collation;

use super::{Key, Mode, WORD_CHARS_MAX, WORD_CHARS_MIN, words};
use crate::error::SqlError;

/// Words that one query may have: each row is judged by all of them.
pub(super) const QUERY_WORDS_MAX: usize = 10_000;

/// How deep groups may be nested.
const DEPTH_MAX: usize = 31;

/// An operator before a word, phrase or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// None.
    None,
    /// `+`
    Must,
    /// `-`
    MustNot,
    /// `>`
    More,
    /// `<`
    Less,
    /// `~`
    Negate,
}

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// A word: the number of its term.
    Term(usize),
    /// A phrase: the number of the phrase, if there is anything to look for, and the terms that count for the rank.
    Phrase(Option<usize>, Vec<usize>),
    /// What belongs to one operator.
    Under(Op, Vec<Node>),
    /// Several words that were written as one.
    Words(Vec<Node>),
    /// A group.
    Group(Vec<Node>),
}

/// A query, ready to be looked up.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Query {
    /// The first and last key of each term.
    terms: Vec<(String, String)>,
    /// The numbers of the terms.
    numbers: HashMap<(String, String), usize>,
    /// Phrases in FTS5's own language.
    phrases: Vec<String>,
    /// What it says.
    pub(super) nodes: Vec<Node>,
}

impl Query {
    /// `[[number, first key, last key], …]`.
    pub(super) fn terms(&self) -> String {
        let one = |(n, (from, to)): (usize, &(String, String))| format!("[{n},\"{from}\",\"{to}\"]");
        format!("[{}]", self.terms.iter().enumerate().map(one).collect::<Vec<_>>().join(","))
    }

    /// `[[number, expression], …]`; numbered on from the terms.
    pub(super) fn phrases(&self) -> String {
        let one =
            |(n, p): (usize, &String)| format!("[{},\"{}\"]", n + self.terms.len(), p.replace('"', "\\\""));
        format!("[{}]", self.phrases.iter().enumerate().map(one).collect::<Vec<_>>().join(","))
    }

    /// How many terms there are; the numbers of phrases follow.
    pub(super) fn terms_count(&self) -> usize {
        self.terms.len()
    }

    /// What counts as one word for ranks: the key that the term begins with.
    pub(super) fn word(&self, term: usize) -> &str {
        self.terms.get(term).map_or("", |t| &t.0)
    }

    fn term(&mut self, key: &Key, prefix: bool) -> usize {
        // Behind every key that begins with this one.
        let last = if prefix { format!("{}g", key.text) } else { key.text.clone() };
        let range = (key.text.clone(), last);
        let next = self.terms.len();
        let number = *self.numbers.entry(range.clone()).or_insert(next);
        if number == next {
            self.terms.push(range);
        }
        number
    }

    fn phrase(&mut self, text: &str, distance: Option<u64>, collation: Collation) -> Node {
        // Words in front that are not searched for count for nothing; those behind do.
        let all: Vec<Key> =
            words(text).map(|w| Key::of(w, collation)).skip_while(|k| !k.is_searched()).collect();
        let searched: Vec<&Key> = all.iter().filter(|k| k.is_searched()).collect();
        let terms: Vec<usize> = searched.iter().map(|k| self.term(k, false)).collect();
        let quoted = |keys: &[&Key], between: &str, quote: &str| {
            let keys: Vec<String> = keys.iter().map(|k| format!("{quote}{}{quote}", k.text)).collect();
            keys.join(between)
        };
        let expression = match (distance, searched.len()) {
            (_, 0) => return Node::Phrase(None, terms),
            (Some(_), 1) => return Node::Term(terms[0]),
            // Both ends are among the words that the distance counts.
            (Some(n), _) if n < 2 => return Node::Phrase(None, terms),
            (Some(n), _) => format!("NEAR({}, {})", quoted(&searched, " ", "\""), n.min(1 << 20) - 2),
            (None, _) if all.len() == 1 => return Node::Term(terms[0]),
            (None, _) => format!("\"{}\"", quoted(&all.iter().collect::<Vec<_>>(), " ", "")),
        };
        self.phrases.push(expression);
        Node::Phrase(Some(self.phrases.len() - 1), terms)
    }
}

/// Reads a query.
///
/// # Errors
/// 1064 in boolean mode; 1235 for too many words.
pub(super) fn parse(text: &str, mode: Mode, collation: Collation) -> Result<Query, SqlError> {
    if words(text).nth(QUERY_WORDS_MAX).is_some() {
        let what = format!("a full-text query of more than {QUERY_WORDS_MAX} words");
        return Err(SqlError::unsupported(what));
    }
    let mut query = Query::default();
    let mut parser = Parser { tokens: tokens(text, mode), at: 0, query: &mut query, collation };
    let nodes = parser.list(0)?;
    if parser.peek().is_some() {
        return Err(parser.unexpected());
    }
    query.nodes = nodes;
    Ok(query)
}

#[derive(Clone, Debug, PartialEq)]
enum Token<'t> {
    /// One of `*()+-<>~@`.
    Sign(char),
    Number(&'t str),
    Word(&'t str),
    Quoted(&'t str),
}

/// In natural language nothing but quotes says anything.
fn tokens(text: &str, mode: Mode) -> Vec<Token<'_>> {
    let is_sign = |c: char| mode == Mode::Boolean && "*()+-<>~@".contains(c);
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            ' ' | '\t' | '\n' | '\r' | '%' => after,
            '"' => match after.split_once('"') {
                Some((quoted, after)) if !quoted.contains('\n') => {
                    out.push(Token::Quoted(quoted));
                    after
                }
                // A quote without its other one says nothing.
                _ => after,
            },
            c if is_sign(c) => {
                out.push(Token::Sign(c));
                after
            }
            _ => {
                let ends = |c: char| is_sign(c) || matches!(c, ' ' | '\t' | '\n' | '\r' | '%' | '"');
                let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
                let number = word.bytes().all(|b| b.is_ascii_digit());
                out.push(if number { Token::Number(word) } else { Token::Word(word) });
                after
            }
        };
    }
    out
}

struct Parser<'t, 'q> {
    tokens: Vec<Token<'t>>,
    at: usize,
    query: &'q mut Query,
    collation: Collation,
}

impl<'t> Parser<'t, '_> {
    fn peek(&self) -> Option<&Token<'t>> {
        self.tokens.get(self.at)
    }

    fn eat(&mut self, sign: char) -> bool {
        let is_it = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(is_it);
        is_it
    }

    fn unexpected(&self) -> SqlError {
        let what = match self.peek() {
            None => "$end".to_owned(),
            Some(Token::Sign(c)) => format!("'{c}'"),
            Some(Token::Number(_)) => "FTS_NUMB".to_owned(),
            Some(Token::Word(_)) => "FTS_TERM".to_owned(),
            Some(Token::Quoted(_)) => "FTS_TEXT".to_owned(),
        };
        SqlError::new(1064, "42000", format!("syntax error, unexpected {what}"))
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, SqlError> {
        if depth > DEPTH_MAX {
            return Err(SqlError::new(1064, "42000", "syntax error, too many nested sub-expressions"));
        }
        let mut nodes = Vec::new();
        while self.peek().is_some_and(|t| *t != Token::Sign(')')) {
            let op = match self.peek() {
                Some(Token::Sign('+')) => Op::Must,
                Some(Token::Sign('-')) => Op::MustNot,
                Some(Token::Sign('>')) => Op::More,
                Some(Token::Sign('<')) => Op::Less,
                Some(Token::Sign('~')) => Op::Negate,
                _ => Op::None,
            };
            self.at += usize::from(op != Op::None);
            let node = if self.eat('(') {
                let inner = self.list(depth + 1)?;
                if !self.eat(')') {
                    return Err(self.unexpected());
                }
                (!inner.is_empty()).then_some(Node::Group(inner))
            } else {
                self.operand()?
            };
            match op {
                Op::None => nodes.extend(node),
                op => nodes.push(Node::Under(op, node.into_iter().collect())),
            }
        }
        Ok(nodes)
    }

    /// A word or phrase; `None` where it holds no word.
    fn operand(&mut self) -> Result<Option<Node>, SqlError> {
        // Stars in front count for nothing.
        while self.eat('*') {}
        match self.peek().cloned() {
            Some(Token::Number(word) | Token::Word(word)) => {
                self.at += 1;
                let prefix = self.eat('*');
                Ok(self.word(word, prefix))
            }
            Some(Token::Quoted(text)) => {
                self.at += 1;
                let distance = match self.eat('@') {
                    true => Some(self.distance()?),
                    false => None,
                };
                Ok(Some(self.query.phrase(text, distance, self.collation)))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn distance(&mut self) -> Result<u64, SqlError> {
        let Some(Token::Number(n)) = self.peek() else { return Err(self.unexpected()) };
        let n = n.parse().unwrap_or(u64::MAX);
        self.at += 1;
        Ok(n)
    }

    fn word(&mut self, text: &str, prefix: bool) -> Option<Node> {
        let mut found: Vec<&str> = Vec::new();
        for word in words(text) {
            let chars = word.chars().count();
            // The first one is kept, and finds nothing if it is too short.
            let kept = if found.is_empty() { true } else { chars >= WORD_CHARS_MIN };
            if kept && chars <= WORD_CHARS_MAX {
                found.push(word);
            }
        }
        let last = found.len().checked_sub(1)?;
        let mut nodes = Vec::with_capacity(found.len());
        for (n, word) in found.into_iter().enumerate() {
            let prefix = prefix && n == last;
            let key = if prefix { Key::bare(word, self.collation) } else { Key::of(word, self.collation) };
            // A word that is not searched for is in the index, but not to be found.
            let key = if key.is_searched() { key } else { Key { text: "!".to_owned() } };
            nodes.push(Node::Term(self.query.term(&key, prefix)));
        }
        if nodes.len() == 1 { nodes.pop() } else { Some(Node::Words(nodes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Query, SqlError> {
        parse(text, Mode::Boolean, Collation::Utf8mb4Bin)
    }

    #[test]
    fn what_innodb_refuses_is_refused() {
        for text in [
            "++data",
            "data+",
            "(data",
            "+~foo",
            "foo**",
            "*",
            "+(",
            "+",
            "foo)",
            "foo@2",
            "\"foo bar\" @x",
            "\"a b\" @",
            "\"a b\"*",
        ] {
            assert_eq!(read(text).map_err(|e| e.code), Err(1064), "{text}");
        }
        assert_eq!(read(&"(".repeat(100_000)).map_err(|e| e.code), Err(1064));
    }

    #[test]
    fn what_innodb_takes_is_read() {
        for text in [
            "",
            "()",
            "+()",
            "\"data",
            "+ data",
            "*data",
            "\"\"",
            "foo \"\" bar",
            "((foo))",
            "foo%bar",
            "+foo, +bar",
            "...",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_phrase_begins_with_its_first_word_that_is_searched_for() {
        let q = read("\"the quick xx fox\"").unwrap();
        let key = |w: &str| Key::of(w, Collation::Utf8mb4Bin).text;
        assert_eq!(q.phrases, [format!("\"{} {} {}\"", key("quick"), key("xx"), key("fox"))]);
        assert_eq!(q.terms.len(), 2);
        let near = read("\"quick the fox\" @5").unwrap();
        assert_eq!(near.phrases, [format!("NEAR(\"{}\" \"{}\", 3)", key("quick"), key("fox"))]);
    }

    #[test]
    fn a_query_has_an_end() {
        let words = |n: usize| (0..n).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ");
        for mode in [Mode::Natural, Mode::Boolean] {
            let most = parse(&words(QUERY_WORDS_MAX), mode, Collation::Utf8mb4Bin).unwrap();
            // The first ten are too short to be searched for, and all the same.
            assert_eq!(most.terms.len(), QUERY_WORDS_MAX - 9);
            let more = parse(&words(QUERY_WORDS_MAX + 1), mode, Collation::Utf8mb4Bin);
            assert_eq!(more.map_err(|e| e.code), Err(1235));
        }
    }

    #[test]
    fn the_same_word_is_one_term() {
        let q = read("foo +foo foo* bar").unwrap();
        assert_eq!(q.terms.len(), 3);
        let natural = parse("+foo -(the) foo \"foo bar\" ba*", Mode::Natural, Collation::Utf8mb4Bin).unwrap();
        assert_eq!((natural.terms.len(), natural.phrases.len(), natural.nodes.len()), (3, 1, 5));
    }
}
