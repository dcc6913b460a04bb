//! A statement's text as the binder sees it: which literal stands where, which of them it looked at.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};

use p2pdb_model::ids::ObjectId;
use sqlparser::tokenizer::{Location, Span, Token};

use crate::explain::Alias;
use crate::needs::Recorder;

use super::literal::{Literal, LiteralKind};
use super::tokens::{Lifted, Place, Tokens};

/// See the module. Literals that the binder turns into slots are free to differ between statements that share a plan;
/// all others are pinned: they are part of the plan's meaning.
#[derive(Debug, Default)]
pub struct Source<'a> {
    /// The text.
    pub text: &'a str,
    literals: &'a [Literal],
    params: Option<&'a [LiteralKind]>,
    places: Vec<Place>,
    depth_delta: Vec<i8>,
    commas: Vec<bool>,
    words: Vec<Option<String>>,
    index: HashMap<(u64, u64), usize>,
    free: RefCell<BTreeSet<usize>>,
    pinned: RefCell<BTreeSet<usize>>,
    /// What the statement needs to be granted.
    pub needs: Recorder,
    /// See [`crate::plan::Touches::is_unsafe`].
    pub is_unsafe: Cell<bool>,
    aliases: RefCell<Option<Vec<Alias>>>,
}

impl<'a> Source<'a> {
    /// The source of these tokens. `params` are the kinds of the parameters, where they are known.
    pub fn new(
        text: &'a str,
        tokens: &Tokens,
        literals: &'a [Literal],
        params: Option<&'a [LiteralKind]>,
    ) -> Self {
        let index = tokens
            .places
            .iter()
            .enumerate()
            .map(|(i, p)| ((p.location.line, p.location.column), i))
            .collect();
        let delta = |t: &Token| match t {
            Token::LParen => 1,
            Token::RParen => -1,
            _ => 0,
        };
        Source {
            text,
            literals,
            params,
            places: tokens.places.clone(),
            depth_delta: tokens.tokens.iter().map(|t| delta(&t.token)).collect(),
            commas: tokens.tokens.iter().map(|t| t.token == Token::Comma).collect(),
            words: tokens
                .tokens
                .iter()
                .map(|t| match &t.token {
                    Token::Word(w) if w.quote_style.is_none() => Some(w.value.to_ascii_uppercase()),
                    _ => None,
                })
                .collect(),
            index,
            ..Source::default()
        }
    }

    /// The names that tables get from now on are asked for by [`Source::take_aliases`].
    pub fn note_aliases(&self) {
        *self.aliases.borrow_mut() = Some(Vec::new());
    }

    /// A table got a name in the SQLite text.
    pub fn alias(&self, sql: &str, shown: &str, table: Option<ObjectId>) {
        if let Some(aliases) = &mut *self.aliases.borrow_mut() {
            aliases.push(Alias { sql: sql.to_owned(), shown: shown.to_owned(), table });
        }
    }

    /// The names that tables got.
    pub fn take_aliases(&self) -> Vec<Alias> {
        self.aliases.take().unwrap_or_default()
    }

    fn at(&self, location: Location) -> Option<usize> {
        self.index.get(&(location.line, location.column)).copied()
    }

    /// Where in the text the tokens from `from` to before `to` stand.
    pub fn range(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let end = self.places.len();
        let (Some(first), Some(last)) = (self.places.get(from), to.min(end).checked_sub(1)) else {
            return self.text.len()..self.text.len();
        };
        first.start..self.places[last].end.max(first.start)
    }

    /// What value stands at this place, if the text's literals were lifted.
    pub fn lifted(&self, span: Span) -> Option<Lifted> {
        self.places[self.at(span.start)?].lifted
    }

    /// The n-th literal.
    pub fn literal(&self, n: usize) -> Option<&'a Literal> {
        self.literals.get(n)
    }

    /// The kind of the n-th parameter.
    pub fn param(&self, n: usize) -> LiteralKind {
        self.params.and_then(|p| p.get(n)).copied().unwrap_or(LiteralKind::Unknown)
    }

    /// The n-th literal became a slot.
    pub fn free(&self, n: usize) {
        self.free.borrow_mut().insert(n);
    }

    /// The value of the n-th literal decided something.
    pub fn pin(&self, n: usize) {
        self.pinned.borrow_mut().insert(n);
    }

    /// The literals whose values the plan depends on.
    pub fn pins(&self) -> Vec<usize> {
        let (free, pinned) = (self.free.borrow(), self.pinned.borrow());
        (0..self.literals.len()).filter(|n| pinned.contains(n) || !free.contains(n)).collect()
    }

    /// The texts of the select list that follows this SELECT token, with their literals pinned when asked for by
    /// [`Source::pin_range`]. Each is the token range and the text.
    pub fn select_items(&self, select: Span) -> Vec<(std::ops::Range<usize>, &'a str)> {
        let Some(start) = self.at(select.start) else { return Vec::new() };
        let mut i = start + 1;
        while self.words.get(i).is_some_and(|w| w.as_deref().is_some_and(is_modifier)) {
            i += 1;
        }
        let mut items = Vec::new();
        let mut from = i;
        let mut depth = 0i32;
        let mut case = 0u32;
        while i < self.places.len() {
            let word = self.words[i].as_deref();
            match word {
                Some("CASE") => case += 1,
                Some("END") => case = case.saturating_sub(1),
                _ => {}
            }
            let ends = depth == 0 && case == 0 && word.is_some_and(is_clause) && i > from;
            depth += i32::from(self.depth_delta[i]);
            if ends || depth < 0 {
                break;
            }
            if depth == 0 && self.commas[i] {
                items.push(from..i);
                from = i + 1;
            }
            i += 1;
        }
        items.push(from..i);
        items
            .into_iter()
            .map(|r| {
                let text =
                    match (self.places.get(r.start), r.end.checked_sub(1).and_then(|e| self.places.get(e))) {
                        (Some(a), Some(b)) if a.start <= b.end => &self.text[a.start..b.end],
                        _ => "",
                    };
                (r, text)
            })
            .collect()
    }

    /// Pins the literals in a range of tokens.
    pub fn pin_range(&self, range: std::ops::Range<usize>) {
        for p in self.places.get(range).unwrap_or_default() {
            if let Some(Lifted::Literal(n)) = p.lifted {
                self.pin(n);
            }
        }
    }
}

fn is_modifier(w: &str) -> bool {
    matches!(
        w,
        "ALL"
            | "DISTINCT"
            | "DISTINCTROW"
            | "HIGH_PRIORITY"
            | "STRAIGHT_JOIN"
            | "SQL_SMALL_RESULT"
            | "SQL_BIG_RESULT"
            | "SQL_BUFFER_RESULT"
            | "SQL_NO_CACHE"
            | "SQL_CACHE"
            | "SQL_CALC_FOUND_ROWS"
    )
}

fn is_clause(w: &str) -> bool {
    matches!(
        w,
        "FROM"
            | "WHERE"
            | "GROUP"
            | "HAVING"
            | "ORDER"
            | "LIMIT"
            | "UNION"
            | "EXCEPT"
            | "INTERSECT"
            | "INTO"
            | "FOR"
            | "WINDOW"
            | "LOCK"
    )
}
