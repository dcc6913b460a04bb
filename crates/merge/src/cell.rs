//! One cell that is not a plain register, as the merge of its writes: `[counter]`, `[set]`, `[map]`, `[max]`, `[min]`.
//!
//! A write *assigns* a value or *edits* what is there. An assignment overrules every write that its author had seen;
//! nothing overrules a write that its author had not seen, but by the rule of the cell's kind:
//!
//! * counter: the last assignment in write order, plus every increment that no assignment had seen;
//! * set: the elements that some write put in and no write that saw it took out;
//! * map: the members likewise; of several values of one key that did not see each other the last in write order;
//! * max, min: of the assignments that no other saw the greatest, the least; any value beats NULL.
//!
//! JSON is taken in the normal form in which it is stored (`model::json`); elements are equal when their texts are. What is
//! no array counts as the array of itself, what is no object as the object whose member `""` it is, and what is no JSON
//! as a string: nothing is ever lost, and a cell that is read again has the elements that went into it.
//! Not here: which writes are of the row (`row`), and who writes an edit (`store::finalize`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use p2pdb_model::cell::{delta_in, number_as, number_in, rounded_for};
use p2pdb_model::decimal::Decimal;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::{CellEdit, CellKind, SqlType, Value, json};
use serde_json::value::RawValue;

/// What a write does to the cell.
#[derive(Clone, Copy, Debug)]
pub enum Write<'a> {
    /// It holds this from here on.
    Assign(&'a Value),
    /// What it holds is edited.
    Edit(&'a CellEdit),
}

/// A column as far as its cells depend on it.
#[derive(Clone, Copy, Debug)]
pub struct CellRule<'a> {
    /// How its cells merge.
    pub kind: CellKind,
    /// Its type.
    pub ty: &'a SqlType,
    /// What a cell holds to which nothing was ever assigned.
    pub unwritten: &'a Value,
}

/// What the writes of one cell amount to.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedCell {
    /// What it holds. A counter out of its type's range is the text of its digits.
    pub value: Value,
    /// The write that names the cell's version: the one that won, or the last where several count.
    pub version: usize,
    /// Writes that nobody who wrote later had seen, and of which the value shows nothing.
    pub lost: Vec<usize>,
}

/// Merges the writes of a cell, at least one, given in ascending write order. `saw(a, b)`, asked with `a > b`: had the author of write `a`
/// seen write `b`?
pub fn merge_cell<E>(
    rule: CellRule<'_>,
    writes: &[Write<'_>],
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<MergedCell, E> {
    let kind = kind_in_effect(rule.kind, writes, saw)?;
    let mut cell = Cell { rule, writes, saw };
    match kind {
        CellKind::Counter => cell.counter(),
        CellKind::Set => cell.set(),
        CellKind::Map => cell.map(),
        _ => cell.register(),
    }
}

/// By which kind's rule the writes are merged in a column of this kind. After the tag was taken away, or changed, edits in
/// the log that no assignment saw still mean what they say.
pub fn kind_in_effect<E>(
    kind: CellKind,
    writes: &[Write<'_>],
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<CellKind, E> {
    if kind.is_edited() {
        return Ok(kind);
    }
    let assignments = assignments(writes);
    for (w, write) in writes.iter().enumerate().rev() {
        let Write::Edit(edit) = write else { continue };
        if !is_overruled(w, &assignments, saw)? {
            return Ok(match edit {
                CellEdit::Add(_) => CellKind::Counter,
                CellEdit::Set { .. } => CellKind::Set,
                CellEdit::Map { .. } => CellKind::Map,
            });
        }
    }
    Ok(kind)
}

/// The assignments, in write order.
fn assignments(writes: &[Write<'_>]) -> Vec<usize> {
    (0..writes.len()).filter(|w| matches!(writes[*w], Write::Assign(_))).collect()
}

/// True when one of these writes, given in ascending order, is later than this one and had seen it.
fn is_overruled<E>(
    write: usize,
    by: &[usize],
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<bool, E> {
    for &later in &by[by.partition_point(|w| *w <= write)..] {
        if saw(later, write)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The writes of a cell that no assignment saw, in write order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingWrites {
    /// Assignments. The last of them is the last of all assignments.
    pub assigned: Vec<usize>,
    /// Edits.
    pub edited: Vec<usize>,
}

/// Sorts the writes of a cell; see [`merge_cell`].
pub fn standing_writes<E>(
    writes: &[Write<'_>],
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<StandingWrites, E> {
    let mut standing = StandingWrites { assigned: Vec::new(), edited: Vec::new() };
    let assignments = assignments(writes);
    for (w, write) in writes.iter().enumerate() {
        if !is_overruled(w, &assignments, saw)? {
            match write {
                Write::Assign(_) => standing.assigned.push(w),
                Write::Edit(_) => standing.edited.push(w),
            }
        }
    }
    Ok(standing)
}

struct Cell<'a, E> {
    rule: CellRule<'a>,
    writes: &'a [Write<'a>],
    saw: &'a mut dyn FnMut(usize, usize) -> Result<bool, E>,
}

impl<E> Cell<'_, E> {
    fn last(&self) -> usize {
        self.writes.len().saturating_sub(1)
    }

    fn assigned(&self, w: usize) -> Option<&Value> {
        match self.writes[w] {
            Write::Assign(value) => Some(value),
            Write::Edit(_) => None,
        }
    }

    fn is_overruled(&mut self, write: usize, by: &[usize]) -> Result<bool, E> {
        is_overruled(write, by, self.saw)
    }

    /// What the cell holds before its edits: the last assignment, or what it holds unwritten.
    fn base(&self) -> &Value {
        let last = (0..self.writes.len()).rev().find_map(|w| self.assigned(w));
        last.unwrap_or(self.rule.unwritten)
    }

    /// Whether a set or map that is empty is NULL: the last write says so.
    fn ends_in_null(&self) -> bool {
        matches!(self.writes.last(), Some(Write::Assign(Value::Null)))
    }

    fn register(&mut self) -> Result<MergedCell, E> {
        let mut standing = standing_writes(self.writes, self.saw)?.assigned;
        let greater = |a: &Value, b: &Value| match (a.is_null(), b.is_null(), self.rule.kind) {
            (true, _, CellKind::Max | CellKind::Min) => false,
            (false, true, CellKind::Max | CellKind::Min) => true,
            (_, _, CellKind::Max) => a > b,
            (_, _, CellKind::Min) => a < b,
            _ => false,
        };
        // The last in write order, unless another is greater.
        let mut best = standing.len().saturating_sub(1);
        for n in (0..best).rev() {
            let (a, b) = (self.assigned(standing[n]), self.assigned(standing[best]));
            if a.zip(b).is_some_and(|(a, b)| greater(a, b)) {
                best = n;
            }
        }
        let version = if standing.is_empty() { self.last() } else { standing.remove(best) };
        let value = self.assigned(version).unwrap_or(self.rule.unwritten).clone();
        Ok(MergedCell { value, version, lost: standing })
    }

    fn counter(&mut self) -> Result<MergedCell, E> {
        let StandingWrites { assigned: mut lost, edited } = standing_writes(self.writes, self.saw)?;
        lost.pop();
        lost.retain(|w| self.assigned(*w) != Some(self.base()));
        let mut sum: Option<Decimal> = None;
        for w in edited {
            let Write::Edit(edit @ CellEdit::Add(_)) = self.writes[w] else { continue };
            match amount(self.rule.ty, edit) {
                Some(by) => sum = Some(sum.map_or(by.clone(), |s| s.add(&by))),
                None => lost.push(w),
            }
        }
        let value = match sum {
            None => self.base().clone(),
            Some(sum) => counted(self.rule.ty, self.base(), &sum),
        };
        lost.sort_unstable();
        Ok(MergedCell { value, version: self.last(), lost })
    }

    fn set(&mut self) -> Result<MergedCell, E> {
        let mut takers = Takers { assignments: assignments(self.writes), of: HashMap::new() };
        for (w, write) in self.writes.iter().enumerate() {
            if let Write::Edit(CellEdit::Set { removed, .. }) = write
                && !fault::on(Fault::TakenForgotten)
            {
                takers.add(w, removed.iter());
            }
        }
        // What it holds unwritten, everybody has seen.
        let unwritten = elements(self.rule.unwritten).into_iter().filter(|e| !takers.any(e));
        let mut alive: BTreeSet<Key> = unwritten.map(Key).collect();
        for w in 0..self.writes.len() {
            let put = match self.writes[w] {
                Write::Assign(value) => elements(value),
                Write::Edit(CellEdit::Set { added, .. }) => added.clone(),
                Write::Edit(_) => Vec::new(),
            };
            let overruled = self.is_overruled(w, &takers.assignments)?;
            for element in put {
                if !overruled && !self.is_overruled(w, takers.of(&element))? {
                    alive.insert(Key(element));
                }
            }
        }
        let value = match alive.is_empty() && self.ends_in_null() {
            true => Value::Null,
            false => Value::Text(array(alive.into_iter())),
        };
        Ok(MergedCell { value, version: self.last(), lost: Vec::new() })
    }

    fn map(&mut self) -> Result<MergedCell, E> {
        let mut takers = Takers { assignments: assignments(self.writes), of: HashMap::new() };
        for (w, write) in self.writes.iter().enumerate() {
            if let Write::Edit(CellEdit::Map { put, removed }) = write {
                takers.add(w, removed.iter().chain(put.iter().map(|(k, _)| k)));
            }
        }
        // What it holds unwritten, everybody has seen.
        let unwritten = members(self.rule.unwritten).into_iter().filter(|(k, _)| !takers.any(k));
        let mut alive: BTreeMap<Key, Vec<(Option<usize>, String)>> =
            unwritten.map(|(k, v)| (Key(k), vec![(None, v)])).collect();
        for w in 0..self.writes.len() {
            let put = match self.writes[w] {
                Write::Assign(value) => members(value),
                Write::Edit(CellEdit::Map { put, .. }) => put.clone(),
                Write::Edit(_) => Vec::new(),
            };
            let overruled = self.is_overruled(w, &takers.assignments)?;
            for (key, value) in put {
                if !overruled && !self.is_overruled(w, takers.of(&key))? {
                    alive.entry(Key(key)).or_default().push((Some(w), value));
                }
            }
        }
        // Of several values of a key the last in write order wins.
        let (mut shown, mut lost) = (Vec::with_capacity(alive.len()), Vec::new());
        for (key, mut values) in alive {
            let Some((_, won)) = values.pop() else { continue };
            lost.extend(values.into_iter().filter(|(_, v)| *v != won).filter_map(|(w, _)| w));
            shown.push((key.0, won));
        }
        let value = match shown.is_empty() && self.ends_in_null() {
            true => Value::Null,
            false => Value::Text(object(shown.into_iter())),
        };
        lost.sort_unstable();
        lost.dedup();
        Ok(MergedCell { value, version: self.last(), lost })
    }
}

/// What an edit adds to a counter of this type, rounded as the type is; `None` when it adds nothing to such a column.
pub fn amount(ty: &SqlType, edit: &CellEdit) -> Option<Decimal> {
    let CellEdit::Add(by) = edit else { return None };
    let by = delta_in(by).filter(|_| CellKind::Counter.allows(ty))?;
    Some(rounded_for(ty, &by))
}

/// The writes that take things out of a set or map, each list in ascending order.
struct Takers<'a> {
    /// They take out everything.
    assignments: Vec<usize>,
    /// The edits, by element or key.
    of: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Takers<'a> {
    fn add(&mut self, write: usize, takes: impl Iterator<Item = &'a String>) {
        takes.for_each(|t| self.of.entry(t).or_default().push(write));
    }

    fn of(&self, what: &str) -> &[usize] {
        self.of.get(what).map_or(&[], Vec::as_slice)
    }

    fn any(&self, what: &str) -> bool {
        !self.assignments.is_empty() || self.of.contains_key(what)
    }
}

/// What a cell holds to which this is all that was ever written.
pub fn assigned(rule: CellRule<'_>, value: Value) -> Value {
    match (rule.kind, &value) {
        (CellKind::Set, _) => normal_set(&value),
        (CellKind::Map, Value::Text(_)) => Value::Text(object(members(&value).into_iter())),
        _ => value,
    }
}

/// A counter's value: what it holds, and what is added to it. NULL counts from zero. Out of the type's range it is the text
/// of the number's digits.
pub fn counted(ty: &SqlType, base: &Value, sum: &Decimal) -> Value {
    let base = match base {
        // Out of range before.
        Value::Text(digits) => Decimal::parse(digits),
        base => number_in(ty, base),
    };
    let sum = rounded_for(ty, sum);
    let total = base.map_or(sum.clone(), |b| rounded_for(ty, &b).add(&sum));
    number_as(ty, &total).unwrap_or_else(|| Value::Text(total.to_string()))
}

/// Texts in JSON's normal order: by length in bytes, then by bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key(String);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        json::order(&self.0, &other.0)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A text that no statement gives is one string.
fn document(t: &str) -> String {
    if json::is_normal(t) { t.to_owned() } else { serde_json::Value::String(t.to_owned()).to_string() }
}

/// The elements of a set's value, in normal order, each once; none of NULL.
pub fn elements(value: &Value) -> Vec<String> {
    let Value::Text(t) = value else { return Vec::new() };
    let parsed: Option<Vec<Box<RawValue>>> = serde_json::from_str(t).ok();
    let mut elements: Vec<Key> = match parsed {
        Some(all) => all.iter().map(|r| Key(document(r.get()))).collect(),
        None => vec![Key(document(t))],
    };
    elements.sort_unstable();
    elements.dedup();
    elements.into_iter().map(|k| k.0).collect()
}

/// The members of a map's value, in normal order; none of NULL.
pub fn members(value: &Value) -> Vec<(String, String)> {
    let Value::Text(t) = value else { return Vec::new() };
    let members: Option<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(t).ok();
    let mut members: Vec<(String, String)> = match members {
        Some(all) => all.into_iter().map(|(k, v)| (k, document(v.get()))).collect(),
        None => vec![(String::new(), document(t))],
    };
    members.sort_unstable_by(|a, b| json::order(&a.0, &b.0));
    members
}

/// What a write that lost would have the cell hold, as far as the cell holds something else; `None` where it does not.
pub fn lost_value(kind: CellKind, write: Write<'_>, held: &Value) -> Option<Value> {
    let put = match write {
        Write::Assign(value) if value == held && kind != CellKind::Counter => return None,
        Write::Assign(value) if kind != CellKind::Map => return Some(value.clone()),
        Write::Edit(CellEdit::Add(by)) => return delta_in(by).map(|by| Value::Text(by.to_string())),
        Write::Edit(CellEdit::Set { added, .. }) => {
            return Some(Value::Text(array(added.iter().cloned().map(Key))));
        }
        Write::Assign(value) => members(value),
        Write::Edit(CellEdit::Map { put, .. }) => put.clone(),
    };
    let held = members(held);
    let other = |(k, v): &(String, String)| held.iter().any(|(h, is)| h == k && is != v);
    let lost: Vec<(String, String)> = put.into_iter().filter(other).collect();
    (!lost.is_empty()).then(|| Value::Text(object(lost.into_iter())))
}

fn array(elements: impl Iterator<Item = Key>) -> String {
    let elements: Vec<String> = elements.map(|k| k.0).collect();
    format!("[{}]", elements.join(", "))
}

fn object(members: impl Iterator<Item = (String, String)>) -> String {
    let members: Vec<String> =
        members.map(|(k, v)| format!("{}: {v}", serde_json::Value::String(k))).collect();
    format!("{{{}}}", members.join(", "))
}

/// A set's value as it is stored: every element once, in normal order.
pub fn normal_set(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        value => Value::Text(array(elements(value).into_iter().map(Key))),
    }
}

/// What makes one value of a set or map out of another, by somebody who sees it; `None` where it is an assignment
/// (from or to NULL, or another kind of cell).
pub fn edit(kind: CellKind, old: &Value, new: &Value) -> Option<CellEdit> {
    if old.is_null() || new.is_null() {
        return None;
    }
    match kind {
        CellKind::Set => {
            let (old, new) = (elements(old), elements(new));
            let (was, is): (HashSet<&String>, HashSet<&String>) =
                (old.iter().collect(), new.iter().collect());
            let added = new.iter().filter(|e| !was.contains(e)).cloned().collect();
            let removed = old.iter().filter(|e| !is.contains(e)).cloned().collect();
            Some(CellEdit::Set { added, removed })
        }
        CellKind::Map => {
            let (old, new) = (members(old), members(new));
            let was: HashMap<&String, &String> = old.iter().map(|(k, v)| (k, v)).collect();
            let is: HashSet<&String> = new.iter().map(|(k, _)| k).collect();
            let removed = old.iter().filter(|(k, _)| !is.contains(k)).map(|(k, _)| k.clone()).collect();
            let put = new.iter().filter(|(k, v)| was.get(k) != Some(&v)).cloned().collect();
            Some(CellEdit::Map { put, removed })
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "cell_laws.rs"]
mod laws;
