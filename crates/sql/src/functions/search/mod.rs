//! Full-text search (MATCH … AGAINST): how a text becomes words, and the functions that generated SQL calls.
//!
//! The index beneath is SQLite's FTS5. It sees no text, only *keys*: each word of a text as hexadecimal digits that are the
//! same for words which are equal under the column's collation. So SQLite's tokenizer has nothing to decide, and the beginning of
//! a word is the beginning of its key. Words that cannot be searched for, because they are too short, too long or
//! stopwords, are there as well, marked, since they count in phrases.
//!
//! Words are runs of letters, digits and `_`, as in InnoDB's built-in parser. What a query means is `query.rs`, which rows it
//! finds and how well they match `rank.rs`. All of it is the same on every node under one rules number.

mod query;
mod rank;

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use p2pdb_model::types::Collation;
use p2pdb_model::{Value, ValueRef};

use super::{Answer, Row, int_of, str_of, text};
use crate::collate;
use crate::error::SqlError;
use query::{Query, parse};

pub use rank::Found;

/// Shorter words are not searched for, in characters (`innodb_ft_min_token_size`).
pub const WORD_CHARS_MIN: usize = 3;

/// Longer words are not searched for, in characters (`innodb_ft_max_token_size`).
pub const WORD_CHARS_MAX: usize = 84;

/// Words that are not searched for: those of `information_schema.INNODB_FT_DEFAULT_STOPWORD`.
pub const STOPWORDS: [&str; 35] = [
    "a", "about", "an", "are", "as", "at", "be", "by", "com", "de", "en", "for", "from", "how", "i", "in",
    "is", "it", "la", "of", "on", "or", "that", "the", "this", "to", "was", "what", "when", "where", "who",
    "will", "with", "und", "www",
];

/// What the key of a word begins with that is not searched for: no hexadecimal digit.
const UNSEARCHED: char = 'z';

pub(super) const FUNCTIONS: &[Row] = &[
    ("p_ft_words", 2, |a| match a[0] {
        ValueRef::Null => Ok(Value::Null),
        _ => text(keys_of(str_of(&a[0]), collate::by_id(int_of(&a[1])))),
    }),
    ("p_ft_terms", 3, |a| of_query(a, |q| Value::Text(q.terms()))),
    ("p_ft_phrases", 3, |a| of_query(a, |q| Value::Text(q.phrases()))),
    ("p_ft_rank", 2, |a| {
        // A row that an outer join made up is not found.
        let (ValueRef::Int(row), ValueRef::Blob(found)) = (a[0], a[1]) else { return Ok(Value::Real(0.0)) };
        Ok(Value::Real(Found(found).rank(row).unwrap_or_default()))
    }),
    ("p_ft_expanded", 3, |a| match a[0] {
        ValueRef::Null => Ok(Value::Null),
        _ => text(expanded(str_of(&a[0]), str_of(&a[2]), collate::by_id(int_of(&a[1])))),
    }),
    ("p_ft_rows", 1, |a| match a[0] {
        ValueRef::Blob(found) => text(Found(found).rows()),
        _ => text("[]"),
    }),
];

/// The aggregate that puts a result together: the rows that hold the terms and phrases of a query, by their numbers.
pub(super) fn result() -> Box<dyn super::aggregate::Accumulator> {
    Box::new(rank::Result::default())
}

/// How the text behind AGAINST is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// IN NATURAL LANGUAGE MODE, and without a mode.
    Natural,
    /// IN BOOLEAN MODE.
    Boolean,
}

type Compiled = (String, i64, i64, Arc<Query>);

thread_local! {
    /// The query that was asked for last: a statement asks several times.
    static LAST: RefCell<Option<Compiled>> = const { RefCell::new(None) };
}

/// The query `(text, mode, collation)` that the arguments begin with.
fn query_of(a: &[ValueRef<'_>]) -> Result<Arc<Query>, SqlError> {
    let (text, mode, collation) = (str_of(&a[0]), int_of(&a[1]), int_of(&a[2]));
    let known = LAST.with_borrow(|last| {
        let same = last.as_ref().filter(|l| l.0 == text && l.1 == mode && l.2 == collation);
        same.map(|l| l.3.clone())
    });
    if let Some(query) = known {
        return Ok(query);
    }
    let as_what = if mode == 0 { Mode::Natural } else { Mode::Boolean };
    let query = Arc::new(parse(text, as_what, collate::by_id(collation))?);
    LAST.set(Some((text.to_owned(), mode, collation, query.clone())));
    Ok(query)
}

fn of_query(a: &[ValueRef<'_>], f: impl Fn(&Query) -> Value) -> Answer {
    Ok(f(&*query_of(a)?))
}

/// The words of a text, in order.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty())
}

/// What is searched for WITH QUERY EXPANSION: the words of `text`, too, each once, in the order of their keys.
fn expanded(query: &str, text: &str, collation: Collation) -> String {
    let mut known: HashSet<String> = words(query).map(|w| Key::of(w, collation).text).collect();
    let keyed = words(text).map(|w| (Key::of(w, collation), w));
    let mut more: Vec<_> = keyed.filter(|(k, _)| k.is_searched() && known.insert(k.text.clone())).collect();
    more.sort();
    let mut out = query.to_owned();
    for (_, word) in more {
        out.push(' ');
        out.push_str(word);
    }
    out
}

/// A word as the index has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Hexadecimal digits; of words that are not searched for, with [`UNSEARCHED`] before them.
    text: String,
}

impl Key {
    fn of(word: &str, collation: Collation) -> Self {
        let mut text = String::new();
        if !is_searched(word, collation) {
            text.push(UNSEARCHED);
        }
        write_digits(&mut text, &collate::word_key(word, collation));
        Key { text }
    }

    /// The same without regard to what is searched for: the beginning of keys.
    fn bare(word: &str, collation: Collation) -> Self {
        let mut text = String::new();
        write_digits(&mut text, &collate::word_key(word, collation));
        Key { text }
    }

    fn is_searched(&self) -> bool {
        !self.text.starts_with(UNSEARCHED)
    }
}

fn write_digits(out: &mut String, bytes: &[u8]) {
    for b in bytes {
        // Writing to a text does not fail.
        let _ = write!(out, "{b:02x}");
    }
}

fn is_searched(word: &str, collation: Collation) -> bool {
    let chars = word.chars().take(WORD_CHARS_MAX + 1).count();
    (WORD_CHARS_MIN..=WORD_CHARS_MAX).contains(&chars) && !is_stopword(word, collation)
}

/// Stopwords are compared without case, and as the collation compares.
fn is_stopword(word: &str, collation: Collation) -> bool {
    thread_local! {
        static KEYS: RefCell<Vec<(Collation, HashSet<Vec<u8>>)>> = const { RefCell::new(Vec::new()) };
    }
    // None is longer; `ß` is two letters to most collations.
    const STOPWORD_CHARS_MAX: usize = 5;
    if word.chars().nth(STOPWORD_CHARS_MAX).is_some() {
        return false;
    }
    let key = collate::word_key(&word.to_lowercase(), collation);
    KEYS.with_borrow_mut(|all| {
        if let Some((_, keys)) = all.iter().find(|(c, _)| *c == collation) {
            return keys.contains(&key);
        }
        let keys: HashSet<Vec<u8>> = STOPWORDS.iter().map(|w| collate::word_key(w, collation)).collect();
        let is_one = keys.contains(&key);
        all.push((collation, keys));
        is_one
    })
}

/// The keys of a text's words, with blanks between them.
fn keys_of(text: &str, collation: Collation) -> String {
    let mut out = String::with_capacity(text.len() * 4);
    for word in words(text) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&Key::of(word, collation).text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of texts.
    fn collations() -> impl Iterator<Item = Collation> {
        Collation::ALL.into_iter().filter(|c| *c != Collation::Binary)
    }

    #[test]
    fn a_text_falls_into_runs_of_letters_and_digits() {
        let found: Vec<&str> = words("It's o'clock: foo-bar_baz 12, naïve...Straße 東京").collect();
        assert_eq!(found, ["It", "s", "o", "clock", "foo", "bar_baz", "12", "naïve", "Straße", "東京"]);
        assert_eq!(words(" .,-").count(), 0);
    }

    #[test]
    fn keys_are_equal_exactly_where_words_are() {
        let words = [
            "cafe", "café", "CAFE", "Café", "strasse", "straße", "STRASE", "tutor", "Tutör", "ø", "o", "a1",
            "a2",
        ];
        for collation in collations() {
            let cs = collation == Collation::Utf8mb4_0900AsCs;
            for a in words {
                for b in words {
                    // Words are compared without case also under as_cs, as in InnoDB.
                    let (x, y) = if cs { (a.to_lowercase(), b.to_lowercase()) } else { (a.into(), b.into()) };
                    let equal = collate::function(collation)(&x, &y).is_eq();
                    assert_eq!(
                        Key::of(a, collation) == Key::of(b, collation),
                        equal,
                        "{a} {b} {collation:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_beginning_of_a_word_is_the_beginning_of_its_key() {
        for collation in collations() {
            for word in
                ["tutorial", "Übermut", "a1b2c3", "straßenbahn", "x_y_z", "東京都", "naïveté", "βήτα9a"]
            {
                let whole = Key::bare(word, collation).text;
                for (end, _) in word.char_indices().skip(1) {
                    let part = Key::bare(&word[..end], collation).text;
                    assert!(whole.starts_with(&part), "{word} {end} {collation:?}");
                }
            }
        }
    }

    #[test]
    fn short_and_long_words_and_stopwords_are_not_searched_for() {
        let is = |w: &str| Key::of(w, Collation::Utf8mb4_0900AiCi).is_searched();
        assert!(!is("ab") && is("abc") && is(&"x".repeat(84)) && !is(&"x".repeat(85)));
        assert!(!is("The") && !is("wíth") && is("and"));
        assert!(!Key::of("THE", Collation::Utf8mb4Bin).is_searched());
    }
}
