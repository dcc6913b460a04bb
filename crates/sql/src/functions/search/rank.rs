//! Which rows a query finds, and how well they match: InnoDB's ranks.
//!
//! A word weighs tf · idf² in a row: how often it is there, and log10(rows of the table / rows with the word). Boolean mode
//! adds 1 for `>`, takes 1 for `<` and `~`. Expressions are worked off as InnoDB does it, left to right into a set of rows,
//! what `+` stands before in a second pass and what `-` stands before in a third. Nothing depends on other rows
//! but the counts of words, so each row is judged by itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use p2pdb_model::{Value, ValueRef};

use super::super::{Answer, int_of, str_of};
use super::query::{Node, Op, Query};
use crate::error::SqlError;
use crate::functions::aggregate::Accumulator;

/// The weight of a word that every row holds: log10 of nearly one, so that it is found at all.
const IDF_OF_ALL: f64 = 1.0001;

/// Bytes of a row in a result: its rowid and rank.
const ENTRY_BYTES: usize = 12;

/// A result as the aggregate gave it: rows in ascending order, each with its rank.
pub struct Found<'b>(pub &'b [u8]);

impl Found<'_> {
    fn entry(&self, n: usize) -> Option<(i64, f64)> {
        let at = self.0.get(n * ENTRY_BYTES..(n + 1) * ENTRY_BYTES)?;
        let (row, rank) = at.split_at(8);
        Some((i64::from_be_bytes(row.try_into().ok()?), f64::from(f32::from_be_bytes(rank.try_into().ok()?))))
    }

    /// The rank of this row, if it is among the found.
    pub fn rank(&self, row: i64) -> Option<f64> {
        let (mut low, mut high) = (0, self.0.len() / ENTRY_BYTES);
        while low < high {
            let middle = (low + high) / 2;
            let (found, rank) = self.entry(middle)?;
            match found.cmp(&row) {
                std::cmp::Ordering::Equal => return Some(rank),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// The rows whose rank is not 0, as a JSON array.
    pub fn rows(&self) -> String {
        let entries = (0..self.0.len() / ENTRY_BYTES).filter_map(|n| self.entry(n));
        let rows: Vec<String> = entries.filter(|e| e.1 != 0.0).map(|e| e.0.to_string()).collect();
        format!("[{}]", rows.join(","))
    }
}

/// What a row holds of a term: how often the first of its words, by their keys.
#[derive(Clone, Debug)]
struct Held {
    first: String,
    times: i64,
    /// How many different words of the term there are.
    words: u32,
}

/// The aggregate's state: `(query, mode, collation, rows of the table, number, row, key, times)` for each term and each phrase in
/// each row.
#[derive(Default)]
pub(super) struct Result {
    query: Option<Arc<Query>>,
    rows: i64,
    /// Per row, what it holds of which term, and which phrases.
    found: BTreeMap<i64, HashMap<usize, Held>>,
    /// Per term, in how many rows its words are.
    counts: HashMap<usize, i64>,
}

impl Accumulator for Result {
    fn step(&mut self, a: &[ValueRef<'_>]) -> std::result::Result<(), SqlError> {
        if self.query.is_none() {
            self.query = Some(super::query_of(a)?);
            self.rows = int_of(&a[3]);
        }
        let (number, row, key, times) = (int_of(&a[4]) as usize, int_of(&a[5]), str_of(&a[6]), int_of(&a[7]));
        *self.counts.entry(number).or_default() += 1;
        let held = self.found.entry(row).or_default();
        match held.get_mut(&number) {
            Some(h) if h.first.as_str() <= key => h.words += 1,
            Some(h) => *h = Held { first: key.to_owned(), times, words: h.words + 1 },
            None => {
                held.insert(number, Held { first: key.to_owned(), times, words: 1 });
            }
        }
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> std::result::Result<(), SqlError> {
        Err(SqlError::unsupported("MATCH over a window"))
    }

    fn value(&self) -> Answer {
        let mut out = Vec::with_capacity(self.found.len() * ENTRY_BYTES);
        if let Some(query) = &self.query {
            let judge = Judge::new(query, self.rows, &self.counts);
            for (row, held) in &self.found {
                if let Some(rank) = judge.rank(held) {
                    out.extend_from_slice(&row.to_be_bytes());
                    out.extend_from_slice(&rank.to_be_bytes());
                }
            }
        }
        Ok(Value::Blob(out))
    }
}

/// What is the same for all rows.
struct Judge<'q> {
    query: &'q Query,
    /// Per word, idf.
    weights: HashMap<&'q str, f64>,
}

impl<'q> Judge<'q> {
    fn new(query: &'q Query, rows: i64, counts: &HashMap<usize, i64>) -> Self {
        // A word counts as often as it is looked up.
        let mut lookups: HashMap<usize, i64> = HashMap::new();
        count_lookups(&query.nodes, counts, &mut lookups);
        let mut totals: HashMap<&str, i64> = HashMap::new();
        for (term, times) in lookups {
            *totals.entry(query.word(term)).or_default() +=
                times * counts.get(&term).copied().unwrap_or_default();
        }
        let weight = |n: i64| match n {
            n if n == rows => IDF_OF_ALL.log10(),
            n => (rows as f64 / n as f64).log10(),
        };
        let found = totals.into_iter().filter(|(_, n)| *n > 0);
        Judge { query, weights: found.map(|(word, n)| (word, weight(n))).collect() }
    }

    /// The rank of a row, if it is found.
    fn rank(&self, held: &HashMap<usize, Held>) -> Option<f32> {
        let mut state = State::default();
        let visit = Visit { judge: self, held };
        visit.nodes(Op::None, &self.query.nodes, Pass::First, &mut Marks::new(), &mut state);
        if !state.is_in {
            return None;
        }
        let mut rank = state.rank;
        for (word, times) in &state.words {
            let idf = self.weights.get(word).copied().unwrap_or_default();
            rank += (*times as f64 * idf * idf) as f32;
        }
        Some(rank)
    }

    fn term(&self, op: Op, term: usize, held: &HashMap<usize, Held>, state: &mut State<'q>) {
        let found = held.get(&term);
        state.take(op, found.is_some(), 0.0);
        if matches!(op, Op::More | Op::Less | Op::Negate) {
            // Each word that begins with a prefix raises or lowers.
            (1..found.map_or(1, |h| h.words)).for_each(|_| state.take(op, true, 0.0));
        }
        if let Some(h) = found {
            state.word(self.query.word(term), h.times);
        }
    }
}

fn count_lookups(nodes: &[Node], counts: &HashMap<usize, i64>, lookups: &mut HashMap<usize, i64>) {
    for node in nodes {
        match node {
            Node::Term(term) => *lookups.entry(*term).or_default() += 1,
            Node::Phrase(_, terms) => {
                for term in terms {
                    *lookups.entry(*term).or_default() += 1;
                    // Behind a word that is nowhere the others are not looked up.
                    if !counts.contains_key(term) {
                        break;
                    }
                }
            }
            Node::Under(_, nodes) | Node::Words(nodes) | Node::Group(nodes) => {
                count_lookups(nodes, counts, lookups);
            }
        }
    }
}

/// Where a row stands in one set of rows.
#[derive(Default)]
struct State<'q> {
    /// The row is in the set.
    is_in: bool,
    /// What operators gave it.
    rank: f32,
    /// The words for which it is there.
    words: BTreeMap<&'q str, i64>,
    /// Something with `+` was worked off.
    narrowed: bool,
}

impl<'q> State<'q> {
    /// The row does or does not hold what stands behind the operator.
    fn take(&mut self, op: Op, holds: bool, rank: f32) {
        match op {
            Op::Must => {
                let stays = holds && (self.is_in || !self.narrowed);
                if stays {
                    self.rank = if self.is_in { (self.rank + rank).clamp(-1.0, 1.0) } else { rank };
                } else {
                    self.words.clear();
                    self.rank = 0.0;
                }
                self.is_in = stays;
                self.narrowed = true;
            }
            _ if !holds => {}
            Op::MustNot => {
                self.is_in = false;
                self.rank = 0.0;
                self.words.clear();
            }
            Op::Negate => self.change(-1.0),
            Op::None | Op::More | Op::Less => {
                if !self.is_in {
                    (self.is_in, self.rank) = (true, rank);
                }
                match op {
                    Op::More => self.change(1.0),
                    Op::Less => self.change(-1.0),
                    _ => {}
                }
            }
        }
    }

    fn change(&mut self, by: f32) {
        if self.is_in {
            self.rank = (self.rank + by).clamp(-1.0, 1.0);
        }
    }

    fn word(&mut self, word: &'q str, times: i64) {
        if self.is_in {
            self.words.entry(word).or_insert(times);
        }
    }
}

/// The passes over a list: what `+` and `-` stand before comes last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    First,
    Must,
    MustNot,
}

/// The nodes that were worked off, by their addresses in the tree.
struct Marks(HashSet<*const Node>);

impl Marks {
    fn new() -> Self {
        Marks(HashSet::new())
    }

    fn set(&mut self, node: &Node) {
        self.0.insert(node);
    }

    fn is_set(&self, node: &Node) -> bool {
        self.0.contains(&std::ptr::from_ref(node))
    }
}

/// Works an expression off for one row.
struct Visit<'v, 'q> {
    judge: &'v Judge<'q>,
    held: &'v HashMap<usize, Held>,
}

impl<'q> Visit<'_, 'q> {
    /// One list in one pass; says whether something was left for later passes.
    fn nodes(&self, op: Op, nodes: &'q [Node], pass: Pass, marks: &mut Marks, state: &mut State<'q>) -> bool {
        let (mut left, mut left_below) = (false, false);
        // What lists stood under when something in them was left.
        let mut under: Vec<Op> = vec![Op::None; nodes.len()];
        for (n, node) in nodes.iter().enumerate() {
            let (own, inner) = match node {
                Node::Under(own, inner) => (*own, inner),
                Node::Words(inner) => (op, inner),
                leaf => {
                    left |= self.leaf(op, leaf, pass, marks, state);
                    continue;
                }
            };
            if pass != Pass::First {
                // A list inside of a list is not gone into again.
                continue;
            }
            left_below |= self.nodes(own, inner, Pass::First, marks, state);
            if left_below {
                under[n] = op;
            }
        }
        if left_below {
            for pass in [Pass::Must, Pass::MustNot] {
                for (node, under) in nodes.iter().zip(&under) {
                    let (own, inner) = match node {
                        Node::Under(own, inner) => (*own, inner),
                        Node::Words(inner) => (op, inner),
                        _ => continue,
                    };
                    if pass == Pass::MustNot || *under != Op::MustNot {
                        self.nodes(own, inner, pass, marks, state);
                    }
                }
            }
        }
        left
    }

    /// A word, phrase or group; says whether it was left for a later pass.
    fn leaf(&self, op: Op, node: &'q Node, pass: Pass, marks: &mut Marks, state: &mut State<'q>) -> bool {
        if marks.is_set(node) {
            return false;
        }
        let due = match op {
            Op::Must => Pass::Must,
            Op::MustNot => Pass::MustNot,
            _ => Pass::First,
        };
        if pass != due {
            return pass == Pass::First;
        }
        marks.set(node);
        match node {
            Node::Term(term) => self.judge.term(op, *term, self.held, state),
            Node::Phrase(phrase, terms) => {
                let number = phrase.map(|p| p + self.judge.query.terms_count());
                let holds = number.is_some_and(|n| self.held.contains_key(&n));
                state.take(op, holds, 0.0);
                if holds {
                    for term in terms {
                        if let Some(h) = self.held.get(term) {
                            state.word(self.judge.query.word(*term), h.times);
                        }
                    }
                }
            }
            Node::Group(nodes) => {
                let mut inner = State::default();
                self.nodes(Op::None, nodes, Pass::First, marks, &mut inner);
                state.take(op, inner.is_in, inner.rank);
                if inner.is_in {
                    inner.words.iter().for_each(|(word, times)| state.word(word, *times));
                }
            }
            Node::Under(..) | Node::Words(_) => {}
        }
        false
    }
}
