//! How the cells of a column merge, and edits: changes of a cell that say what to do to its value rather than what it
//! becomes, so that concurrent ones all count. The rules are in `docs/merge.md`, section 2.
//!
//! The kind comes from a tag in the column's COMMENT (`'pieces in stock [counter]'`), which every MySQL tool dumps and
//! restores. Not here: how edits are merged (`merge::cell`), and how a statement comes to be one (`store::finalize`).

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::decimal::Decimal;
use crate::json;
use crate::types::SqlType;
use crate::value::Value;

/// Characters of an account's id in a column that says whose rows they are.
const OWNER_CHARS: u32 = 32;

/// How concurrent writes of a cell merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// The greatest in write order wins.
    #[default]
    Register,
    /// `[counter]`: increments from every side add up.
    Counter,
    /// `[set]`: a JSON array whose elements are added and removed one by one.
    Set,
    /// `[map]`: a JSON object merged key by key.
    Map,
    /// `[max]`: of concurrent values the greatest wins.
    Max,
    /// `[min]`: of concurrent values the least wins.
    Min,
    /// `[owner]`: the account whose row it is, as the row's key says ([`crate::RowKey::owner`]); nobody changes it.
    Owner,
}

impl CellKind {
    /// Every kind that has a tag.
    pub const TAGGED: [CellKind; 6] =
        [CellKind::Counter, CellKind::Set, CellKind::Map, CellKind::Max, CellKind::Min, CellKind::Owner];

    /// The tag that asks for it; none for a register.
    pub fn tag(self) -> Option<&'static str> {
        match self {
            CellKind::Register => None,
            CellKind::Counter => Some("[counter]"),
            CellKind::Set => Some("[set]"),
            CellKind::Map => Some("[map]"),
            CellKind::Max => Some("[max]"),
            CellKind::Min => Some("[min]"),
            CellKind::Owner => Some("[owner]"),
        }
    }

    /// The kinds whose tags stand in a comment, upper or lower case.
    pub fn tags_in(comment: &str) -> impl Iterator<Item = CellKind> {
        let comment = comment.to_ascii_lowercase();
        CellKind::TAGGED.into_iter().filter(move |k| k.tag().is_some_and(|t| comment.contains(t)))
    }

    /// A word in brackets, at the beginning or the end of a comment, that is no tag and looks like one that was mistyped; and that tag.
    /// A unit (`[m]`, `[kg]`) or a remark is none.
    pub fn mistyped(comment: &str) -> Option<(&str, &'static str)> {
        let comment = comment.trim();
        let first = comment.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(word, _)| word);
        let last = comment.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')).map(|(_, word)| word);
        let known = || CellKind::TAGGED.iter().filter_map(|k| k.tag()).chain(["[sealed]"]);
        for word in [first, last].into_iter().flatten() {
            let lower = word.to_ascii_lowercase();
            if lower.len() < 3 || !lower.bytes().all(|b| b.is_ascii_alphabetic()) {
                continue;
            }
            if known().any(|tag| tag[1..tag.len() - 1] == lower) {
                continue;
            }
            // One letter is wrong; of a short one only one too much, as too many words are near it.
            let looks_like = |tag: &&str| {
                let name = &tag[1..tag.len() - 1];
                match name.len() {
                    3 => lower.len() == 4 && edits(&lower, name) == 1,
                    _ => edits(&lower, name) == 1,
                }
            };
            if let Some(tag) = known().find(looks_like) {
                return Some((word, tag));
            }
        }
        None
    }

    /// The kind of a column of this type with this comment: that of the first of its tags that the type allows.
    pub fn of(ty: &SqlType, comment: &str) -> CellKind {
        if !comment.contains('[') {
            return CellKind::Register;
        }
        CellKind::tags_in(comment).find(|k| k.allows(ty)).unwrap_or_default()
    }

    /// A column of this type may be of this kind: counters are exact numbers, sets and maps are JSON, and what has a
    /// greatest value has an order that is the same for everybody.
    pub fn allows(self, ty: &SqlType) -> bool {
        match self {
            CellKind::Register => true,
            CellKind::Owner => match ty {
                SqlType::Char { chars, .. } | SqlType::VarChar { chars, .. } => *chars >= OWNER_CHARS,
                _ => false,
            },
            CellKind::Counter => matches!(ty, SqlType::Int { .. } | SqlType::Decimal { .. }),
            CellKind::Set | CellKind::Map => matches!(ty, SqlType::Json),
            CellKind::Max | CellKind::Min => matches!(
                ty,
                SqlType::Int { .. }
                    | SqlType::Decimal { .. }
                    | SqlType::Float { .. }
                    | SqlType::Double { .. }
                    | SqlType::Date
                    | SqlType::Time { .. }
                    | SqlType::DateTime { .. }
                    | SqlType::Timestamp { .. }
                    | SqlType::Year
            ),
        }
    }

    /// Statements log edits of such cells.
    pub fn is_edited(self) -> bool {
        matches!(self, CellKind::Counter | CellKind::Set | CellKind::Map)
    }
}

/// What is done to a cell's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellEdit {
    /// This is added; see [`delta`].
    Add(Value),
    /// Elements go in and out of a set, each as JSON in normal form.
    Set {
        /// Those that go in.
        added: Vec<String>,
        /// Those that go out.
        removed: Vec<String>,
    },
    /// Members of an object get values and go.
    Map {
        /// Keys with their new values, as JSON in normal form.
        put: Vec<(String, String)>,
        /// Keys that go.
        removed: Vec<String>,
    },
}

const ADD: u8 = 0;
const SET: u8 = 1;
const MAP: u8 = 2;

impl CellEdit {
    /// What is wrong with its form: statements log each change in one way, so that every node makes the same of it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), &'static str> {
        let sorted = |keys: &mut dyn Iterator<Item = &String>| {
            let keys: Vec<&String> = keys.collect();
            keys.windows(2).all(|w| json::order(w[0], w[1]).is_lt())
        };
        let normal = |t: &String| json::is_normal(t);
        match self {
            CellEdit::Add(by) => match delta_in(by) {
                Some(n) if delta(&n) == *by => Ok(()),
                _ => Err("an increment that is no number in normal form"),
            },
            CellEdit::Set { added, removed } => {
                if !added.iter().chain(removed).all(normal) {
                    return Err("an element that is not JSON in normal form");
                }
                let sorted = sorted(&mut added.iter()) && sorted(&mut removed.iter());
                sorted.then_some(()).ok_or("elements out of order")
            }
            CellEdit::Map { put, removed } => {
                if !put.iter().all(|(_, v)| normal(v)) {
                    return Err("a member that is not JSON in normal form");
                }
                let sorted = sorted(&mut put.iter().map(|(k, _)| k)) && sorted(&mut removed.iter());
                sorted.then_some(()).ok_or("members out of order")
            }
        }
    }
}

impl Serialize for CellEdit {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            CellEdit::Add(by) => {
                let mut t = s.serialize_tuple(2)?;
                t.serialize_element(&ADD)?;
                t.serialize_element(by)?;
                t.end()
            }
            CellEdit::Set { added, removed } => {
                let mut t = s.serialize_tuple(3)?;
                t.serialize_element(&SET)?;
                t.serialize_element(added)?;
                t.serialize_element(removed)?;
                t.end()
            }
            CellEdit::Map { put, removed } => {
                let mut t = s.serialize_tuple(3)?;
                t.serialize_element(&MAP)?;
                t.serialize_element(put)?;
                t.serialize_element(removed)?;
                t.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for CellEdit {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = CellEdit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an edit: an array that begins with its kind")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut a: A) -> Result<CellEdit, A::Error> {
                let short = || de::Error::custom("an edit with an element missing");
                let kind: u8 = a.next_element()?.ok_or_else(short)?;
                let edit = match kind {
                    ADD => CellEdit::Add(a.next_element()?.ok_or_else(short)?),
                    SET => CellEdit::Set {
                        added: a.next_element()?.ok_or_else(short)?,
                        removed: a.next_element()?.ok_or_else(short)?,
                    },
                    MAP => CellEdit::Map {
                        put: a.next_element()?.ok_or_else(short)?,
                        removed: a.next_element()?.ok_or_else(short)?,
                    },
                    _ => return Err(de::Error::custom(format_args!("unknown kind of edit {kind}"))),
                };
                match a.next_element::<de::IgnoredAny>()? {
                    None => Ok(edit),
                    Some(_) => Err(de::Error::custom("an edit with too many elements")),
                }
            }
        }
        d.deserialize_seq(V)
    }
}

/// The number in a cell of an exact numeric type; `None` for NULL and what is no number of that type.
pub fn number_in(ty: &SqlType, value: &Value) -> Option<Decimal> {
    match (ty, value) {
        (SqlType::Decimal { .. }, Value::Blob(b)) => Decimal::decode(b),
        (SqlType::Int { .. }, Value::Int(n)) => Some(Decimal::from(*n)),
        (SqlType::Int { .. }, Value::Blob(_)) => value.as_u64().map(Decimal::from),
        _ => None,
    }
}

/// A number with as many digits behind the point as the type has.
pub fn rounded_for(ty: &SqlType, n: &Decimal) -> Decimal {
    match ty {
        SqlType::Decimal { scale, .. } => n.rounded(i32::from(*scale)),
        _ => n.rounded(0),
    }
}

/// The stored form of a number in a column of an exact numeric type; `None` when it is out of the type's range.
pub fn number_as(ty: &SqlType, n: &Decimal) -> Option<Value> {
    match ty {
        SqlType::Int { size, unsigned, .. } => {
            let n = rounded_for(ty, n).to_i128()?;
            let (least, greatest) = size.range(*unsigned);
            if n < least || n > greatest {
                return None;
            }
            i64::try_from(n).map(Value::Int).ok().or_else(|| u64::try_from(n).ok().map(Value::from_u64))
        }
        SqlType::Decimal { precision, scale, unsigned } => {
            let n = rounded_for(ty, n);
            let (precision, scale) = (u32::from(*precision), u32::from(*scale));
            let fits = n.whole_digits() + scale <= precision && !(*unsigned && n.signum() < 0);
            fits.then(|| Value::Blob(n.encode()))
        }
        _ => None,
    }
}

/// The amount of an [`CellEdit::Add`]: an integer, or a decimal in its stored form.
pub fn delta(by: &Decimal) -> Value {
    let small = by.is_whole().then(|| by.to_i128()).flatten().and_then(|n| i64::try_from(n).ok());
    small.map_or_else(|| Value::Blob(by.encode()), Value::Int)
}

/// Reads [`delta`].
pub fn delta_in(by: &Value) -> Option<Decimal> {
    match by {
        Value::Int(n) => Some(Decimal::from(*n)),
        Value::Blob(b) => Decimal::decode(b),
        _ => None,
    }
}

/// Letters to put in, take out, replace or exchange with their neighbour, to get from one word to the other.
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_looks_like_a_tag_is_told_from_prose() {
        let found = |comment| CellKind::mistyped(comment).map(|(_, tag)| tag);
        for (comment, tag) in [
            ("[couner]", "[counter]"),
            ("pieces in stock [conuter]", "[counter]"),
            ("[Counters] of visits", "[counter]"),
            ("[sett]", "[set]"),
            ("[maps]", "[map]"),
            ("[seald]", "[sealed]"),
            ("[owners]", "[owner]"),
        ] {
            assert_eq!(found(comment), Some(tag), "{comment}");
        }
        for comment in [
            "[counter]",
            "[COUNTER] pieces",
            "width [mm]",
            "[kg]",
            "[ms]",
            "[mbp]",
            "see [1]",
            "[not a counter]",
            "a [couner] inside",
            "couner",
            "[]",
            "[centre]",
            "[country]",
            "[other]",
            "[deprecated]",
            "[€]",
            "[min",
            "[sealed]",
        ] {
            assert_eq!(found(comment), None, "{comment}");
        }
    }

    use crate::types::IntSize;

    fn int(size: IntSize, unsigned: bool) -> SqlType {
        SqlType::Int { size, unsigned, width: None, zerofill: false }
    }

    #[test]
    fn a_tag_counts_where_its_type_allows_it() {
        let big = int(IntSize::Big, false);
        let double = SqlType::Double { unsigned: false, digits: None };
        for (ty, comment, want) in [
            (&big, "stock [counter]", CellKind::Counter),
            (&big, "[Counter]", CellKind::Counter),
            (&big, "a [set] of things", CellKind::Register),
            (&big, "counter", CellKind::Register),
            (&SqlType::Json, "[set]", CellKind::Set),
            (&SqlType::Json, "[map] of names", CellKind::Map),
            (&SqlType::Json, "[counter]", CellKind::Register),
            (&double, "[counter]", CellKind::Register),
            (&double, "[max]", CellKind::Max),
            (&SqlType::Date, "[min]", CellKind::Min),
        ] {
            assert_eq!(CellKind::of(ty, comment), want, "{comment}");
        }
    }

    #[test]
    fn an_edit_has_one_form() {
        let texts = |all: &[&str]| all.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let set =
            |added: &[&str], removed: &[&str]| CellEdit::Set { added: texts(added), removed: texts(removed) };
        let map = |put: &[(&str, &str)], removed: &[&str]| CellEdit::Map {
            put: put.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            removed: texts(removed),
        };
        let tenth = Decimal::parse("0.1").expect("a number").encode();
        let whole = Decimal::parse("7").expect("a number").encode();
        for edit in [
            CellEdit::Add(Value::Int(-3)),
            CellEdit::Add(Value::Blob(tenth)),
            set(&["1", "\"a\""], &["null"]),
            map(&[("", "1"), ("b", "{}"), ("aa", "[1, 2]")], &["c", "aa"]),
        ] {
            assert_eq!(edit.check(), Ok(()), "{edit:?}");
        }
        for edit in [
            CellEdit::Add(Value::Null),
            CellEdit::Add(Value::Real(1.0)),
            CellEdit::Add(Value::Blob(vec![])),
            CellEdit::Add(Value::Blob(whole)),
            set(&["1, 2"], &[]),
            set(&[], &["}"]),
            set(&["2", "1"], &[]),
            set(&["1", "1"], &[]),
            map(&[("a", "1, \"b\": 2")], &[]),
            map(&[("a", "1"), ("a", "2")], &[]),
            map(&[], &["aa", "b"]),
        ] {
            assert!(edit.check().is_err(), "{edit:?}");
        }
    }

    #[test]
    fn numbers_come_back_and_ranges_hold() {
        let decimal = SqlType::Decimal { precision: 4, scale: 2, unsigned: true };
        for (ty, text, held) in [
            (&int(IntSize::Tiny, false), "127", true),
            (&int(IntSize::Tiny, false), "128", false),
            (&int(IntSize::Tiny, false), "-128", true),
            (&int(IntSize::Big, true), "18446744073709551615", true),
            (&int(IntSize::Big, true), "18446744073709551616", false),
            (&int(IntSize::Big, true), "-1", false),
            (&decimal, "99.99", true),
            (&decimal, "100", false),
            (&decimal, "-0.01", false),
        ] {
            let n = Decimal::parse(text).expect("a number");
            let stored = number_as(ty, &n);
            assert_eq!(stored.is_some(), held, "{text}");
            if let Some(stored) = stored {
                assert_eq!(number_in(ty, &stored), Some(n.clone()), "{text}");
            }
            assert_eq!(delta_in(&delta(&n)), Some(n), "{text}");
        }
        let rounded = number_as(&decimal, &Decimal::parse("1.005").expect("a number"));
        assert_eq!(rounded, Some(Value::Blob(Decimal::parse("1.01").expect("a number").encode())));
    }
}
