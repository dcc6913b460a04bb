//! JSON: MySQL's normal form, paths and functions.
//!
//! Normal form (rules 1): members sorted by length of the key in bytes, then by bytes; of equal keys the last; `": "` and
//! `", "` between parts. Numbers are 64-bit integers, signed or unsigned, or doubles.

use std::cmp::Ordering;
use std::fmt::Write;

use p2pdb_model::{Value, ValueRef};
use serde_json::Value as Json;

use super::{Answer, Row, any_null, str_of, text, truth};
use crate::error::SqlError;
use crate::execute::convert;
use crate::types::{Class, TypeCode};

/// Nesting of JSON documents.
const DEPTH_MAX: usize = 100;

macro_rules! strict {
    ($f:expr) => {
        |a| if any_null(a) { Ok(Value::Null) } else { $f(a) }
    };
}

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_to_json", 3, |a| {
        if any_null(a) {
            // An SQL NULL inside of a document.
            return Ok(Value::Null);
        }
        if super::int_of(&a[2]) == 1 {
            return text(if super::int_of(&a[0]) == 0 { "false" } else { "true" });
        }
        text(from_sql(a[0], TypeCode::unpack(super::int_of(&a[1])))?)
    }),
    (
        "p_json_parse",
        2,
        strict!(|a: &[ValueRef<'_>]| match normalise(str_of(&a[0])) {
            Ok(t) => text(t),
            Err((what, at)) => Err(SqlError::new(
                3141,
                "22032",
                format!(
                    "Invalid JSON text in argument 1 to function {}: \"{what}\" at position {at}.",
                    str_of(&a[1])
                ),
            )),
        }),
    ),
    ("p_json_valid", 1, strict!(|a: &[ValueRef<'_>]| truth(normalise(str_of(&a[0])).is_ok()))),
    (
        "p_json_cmp",
        2,
        strict!(|a: &[ValueRef<'_>]| { Ok(Value::Int(compare(&doc(&a[0])?, &doc(&a[1])?) as i64)) }),
    ),
    (
        "p_json_extract",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let d = doc(&a[0])?;
            let mut found = Vec::new();
            let mut many = a.len() > 2;
            for p in &a[1..] {
                let path = Path::parse(str_of(p))?;
                many |= path.many();
                path.find(&d, &mut found);
            }
            Ok(match found.as_slice() {
                [] => Value::Null,
                [one] if !many => Value::Text(write(one)),
                all => Value::Text(write(&Json::Array(all.iter().map(|j| (*j).clone()).collect()))),
            })
        }),
    ),
    (
        "p_json_unquote",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            let t = str_of(&a[0]);
            if t.len() >= 2 && t.starts_with('"') && t.ends_with('"') {
                if let Ok(Json::String(s)) = serde_json::from_str(t) {
                    return text(s);
                }
                return Err(bad_text("json_unquote", t));
            }
            text(t)
        }),
    ),
    ("p_json_quote", 1, strict!(|a: &[ValueRef<'_>]| text(write(&Json::String(str_of(&a[0]).to_owned()))))),
    ("p_json_array", -1, |a| {
        let items: Vec<&str> =
            a.iter().map(|v| if matches!(v, ValueRef::Null) { "null" } else { str_of(v) }).collect();
        text(format!("[{}]", items.join(", ")))
    }),
    ("p_json_object", -1, |a| {
        if a.iter().step_by(2).any(|k| matches!(k, ValueRef::Null)) {
            return Err(SqlError::new(3158, "22032", "JSON documents may not contain NULL member names."));
        }
        let pairs = a.chunks(2).filter_map(|p| match p {
            [k, ValueRef::Null] => Some((str_of(k), "null")),
            [k, v] => Some((str_of(k), str_of(v))),
            _ => None,
        });
        text(object(pairs)?)
    }),
    (
        "p_json_type",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            text(match doc(&a[0])? {
                Json::Null => "NULL",
                Json::Bool(_) => "BOOLEAN",
                Json::Number(n) if n.is_i64() => "INTEGER",
                Json::Number(n) if n.is_u64() => "UNSIGNED INTEGER",
                Json::Number(_) => "DOUBLE",
                Json::String(_) => "STRING",
                Json::Array(_) => "ARRAY",
                Json::Object(_) => "OBJECT",
            })
        }),
    ),
    (
        "p_json_length",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let d = doc(&a[0])?;
            Ok(at_path(&d, a.get(1))?.map_or(Value::Null, |j| {
                Value::Int(match j {
                    Json::Array(l) => l.len() as i64,
                    Json::Object(o) => o.len() as i64,
                    _ => 1,
                })
            }))
        }),
    ),
    ("p_json_depth", 1, strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(depth(&doc(&a[0])?) as i64)))),
    (
        "p_json_keys",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let d = doc(&a[0])?;
            Ok(match at_path(&d, a.get(1))? {
                Some(Json::Object(o)) => {
                    let mut keys: Vec<&String> = o.keys().collect();
                    keys.sort_by(|a, b| key_order(a, b));
                    Value::Text(write(&Json::Array(
                        keys.into_iter().map(|k| Json::String(k.clone())).collect(),
                    )))
                }
                _ => Value::Null,
            })
        }),
    ),
    ("p_json_set", -1, |a| change(a, true, true)),
    ("p_json_insert", -1, |a| change(a, true, false)),
    ("p_json_replace", -1, |a| change(a, false, true)),
    ("p_json_array_append", -1, |a| {
        if a.iter().enumerate().any(|(i, v)| (i == 0 || i % 2 == 1) && matches!(v, ValueRef::Null)) {
            return Ok(Value::Null);
        }
        let mut d = doc(&a[0])?;
        for pair in a[1..].chunks(2) {
            let [p, v] = pair else { break };
            let path = Path::parse(str_of(p))?.single()?;
            let v = if matches!(v, ValueRef::Null) { Json::Null } else { doc(v)? };
            if let Some(place) = path.find_mut(&mut d) {
                match place {
                    Json::Array(l) => l.push(v),
                    other => *other = Json::Array(vec![other.take(), v]),
                }
            }
        }
        text(write(&d))
    }),
    (
        "p_json_remove",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let mut d = doc(&a[0])?;
            for p in &a[1..] {
                let mut path = Path::parse(str_of(p))?.single()?;
                let Some(last) = path.legs.pop() else {
                    return Err(SqlError::new(
                        3153,
                        "42000",
                        "The path expression '$' is not allowed in this context.",
                    ));
                };
                match (path.find_mut(&mut d), last) {
                    (Some(Json::Object(o)), Leg::Key(k)) => {
                        o.remove(&k);
                    }
                    (Some(Json::Array(l)), Leg::Index(i)) if i < l.len() => {
                        l.remove(i);
                    }
                    (Some(Json::Array(l)), Leg::Last(n)) if n < l.len() => {
                        let at = l.len() - 1 - n;
                        l.remove(at);
                    }
                    _ => {}
                }
            }
            text(write(&d))
        }),
    ),
    ("p_json_contains", 2, strict!(|a: &[ValueRef<'_>]| truth(contains(&doc(&a[0])?, &doc(&a[1])?)))),
    (
        "p_json_member",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let (v, d) = (doc(&a[0])?, doc(&a[1])?);
            truth(match &d {
                Json::Array(l) => l.iter().any(|x| compare(x, &v).is_eq()),
                other => compare(other, &v).is_eq(),
            })
        }),
    ),
    (
        "p_json_pretty",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            let mut out = String::new();
            pretty(&doc(&a[0])?, 0, &mut out);
            text(out)
        }),
    ),
    (
        "p_json_merge_patch",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let mut d = doc(&a[0])?;
            for p in &a[1..] {
                merge_patch(&mut d, doc(p)?);
            }
            text(write(&d))
        }),
    ),
    (
        "p_json_merge_preserve",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let mut d = doc(&a[0])?;
            for p in &a[1..] {
                d = merge_preserve(d, doc(p)?);
            }
            text(write(&d))
        }),
    ),
];

fn bad_text(function: &str, t: &str) -> SqlError {
    let (what, at) = normalise(t).err().unwrap_or(("Invalid value.".to_owned(), 0));
    SqlError::new(
        3141,
        "22032",
        format!("Invalid JSON text in argument 1 to function {function}: \"{what}\" at position {at}."),
    )
}

fn doc(v: &ValueRef<'_>) -> Result<Json, SqlError> {
    let t = str_of(v);
    serde_json::from_str(t).map_err(|_| bad_text("json", t))
}

/// The normal form of a text, or what is wrong with it and where.
///
/// # Errors
/// MySQL's words and the byte position.
pub fn normalise(t: &str) -> Result<String, (String, usize)> {
    match serde_json::from_str::<Json>(t) {
        Ok(j) if depth(&j) <= DEPTH_MAX => Ok(write(&j)),
        Ok(_) => Err(("The JSON document exceeds the maximum depth.".to_owned(), 0)),
        Err(e) => {
            let line_start: usize =
                t.split_inclusive('\n').take(e.line().saturating_sub(1)).map(str::len).sum();
            let back = usize::from(!e.is_eof());
            let at = (line_start + e.column().saturating_sub(back)).min(t.len());
            let what = if t.trim().is_empty() {
                "The document is empty."
            } else if e.is_eof() && t.trim_end().ends_with('{') {
                "Missing a name for object member."
            } else if e.is_eof() {
                "Missing a comma or closing bracket after a value."
            } else {
                "Invalid value."
            };
            Err((what.to_owned(), if t.trim().is_empty() { 0 } else { at }))
        }
    }
}

/// The JSON text of an SQL value: text becomes a string, numbers numbers, dates strings.
///
/// # Errors
/// 3144 for bytes.
pub fn from_sql(v: ValueRef<'_>, from: TypeCode) -> Result<String, SqlError> {
    Ok(match (v, from.class) {
        (ValueRef::Null, _) => "null".to_owned(),
        (ValueRef::Text(t), Class::Json) => t.to_owned(),
        (_, Class::Real | Class::Float) => {
            let r = convert::to_real(v, from)?.unwrap_or(0.0);
            number(r)
        }
        (_, c) if c.is_number() && c != Class::Bit => {
            convert::to_text(v, TypeCode { zerofill: false, ..from })?
                .map(|t| t.into_owned())
                .unwrap_or_default()
        }
        (_, Class::Bytes) => {
            return Err(SqlError::new(
                3144,
                "22032",
                "Cannot create a JSON value from a string with CHARACTER SET 'binary'.",
            ));
        }
        (_, Class::Date | Class::Text | Class::Null) => {
            quoted(&convert::to_text(v, from)?.unwrap_or_default())
        }
        // Times carry six digits in JSON.
        _ => quoted(&convert::to_text(v, TypeCode { decimals: 6, ..from })?.unwrap_or_default()),
    })
}

fn quoted(t: &str) -> String {
    write(&Json::String(t.to_owned()))
}

fn number(r: f64) -> String {
    let t = convert::real_text(r);
    if t.contains(['.', 'e']) { t } else { t + ".0" }
}

fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The normal form of a document.
pub fn write(j: &Json) -> String {
    let mut out = String::new();
    write_to(j, &mut out);
    out
}

fn write_scalar(j: &Json, out: &mut String) {
    match j {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), ..) => {
                let _ = write!(out, "{i}");
            }
            (_, Some(u), _) => {
                let _ = write!(out, "{u}");
            }
            (.., r) => out.push_str(&number(r.unwrap_or(0.0))),
        },
        Json::String(s) => {
            out.push('"');
            for c in s.chars() {
                match c {
                    '"' => out.push_str("\\\""),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    '\u{8}' => out.push_str("\\b"),
                    '\u{c}' => out.push_str("\\f"),
                    c if u32::from(c) < 32 => {
                        let _ = write!(out, "\\u{:04x}", u32::from(c));
                    }
                    c => out.push(c),
                }
            }
            out.push('"');
        }
        Json::Array(_) | Json::Object(_) => {}
    }
}

fn sorted(o: &serde_json::Map<String, Json>) -> Vec<(&String, &Json)> {
    let mut all: Vec<_> = o.iter().collect();
    all.sort_by(|a, b| key_order(a.0, b.0));
    all
}

fn write_to(j: &Json, out: &mut String) {
    match j {
        Json::Array(l) => {
            out.push('[');
            for (i, x) in l.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_to(x, out);
            }
            out.push(']');
        }
        Json::Object(o) => {
            out.push('{');
            for (i, (k, v)) in sorted(o).into_iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write_scalar(&Json::String(k.clone()), out);
                out.push_str(": ");
                write_to(v, out);
            }
            out.push('}');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn pretty(j: &Json, level: usize, out: &mut String) {
    let indent = |n: usize, out: &mut String| out.push_str(&"  ".repeat(n));
    match j {
        Json::Array(l) if !l.is_empty() => {
            out.push_str("[\n");
            for (i, x) in l.iter().enumerate() {
                if i > 0 {
                    out.push_str(",\n");
                }
                indent(level + 1, out);
                pretty(x, level + 1, out);
            }
            out.push('\n');
            indent(level, out);
            out.push(']');
        }
        Json::Object(o) if !o.is_empty() => {
            out.push_str("{\n");
            for (i, (k, v)) in sorted(o).into_iter().enumerate() {
                if i > 0 {
                    out.push_str(",\n");
                }
                indent(level + 1, out);
                write_scalar(&Json::String(k.clone()), out);
                out.push_str(": ");
                pretty(v, level + 1, out);
            }
            out.push('\n');
            indent(level, out);
            out.push('}');
        }
        other => write_to(other, out),
    }
}

/// An object of members whose values are JSON texts.
///
/// # Errors
/// 3141 for a value that is none.
pub fn object<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Result<String, SqlError> {
    let mut map = serde_json::Map::new();
    for (k, v) in pairs {
        let v = serde_json::from_str(v).map_err(|_| bad_text("json_object", v))?;
        map.insert(k.to_owned(), v);
    }
    Ok(write(&Json::Object(map)))
}

fn depth(j: &Json) -> usize {
    match j {
        Json::Array(l) => 1 + l.iter().map(depth).max().unwrap_or(0),
        Json::Object(o) => 1 + o.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

/// MySQL's order of JSON values: by type, then by value.
pub fn compare(a: &Json, b: &Json) -> Ordering {
    let rank = |j: &Json| match j {
        Json::Null => 0,
        Json::Number(_) => 1,
        Json::String(_) => 2,
        Json::Object(_) => 3,
        Json::Array(_) => 4,
        Json::Bool(_) => 5,
    };
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => match (whole(x), whole(y)) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => x.as_f64().unwrap_or(0.0).total_cmp(&y.as_f64().unwrap_or(0.0)),
        },
        (Json::String(x), Json::String(y)) => x.cmp(y),
        (Json::Bool(x), Json::Bool(y)) => x.cmp(y),
        (Json::Array(x), Json::Array(y)) => x
            .iter()
            .zip(y)
            .map(|(x, y)| compare(x, y))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| x.len().cmp(&y.len())),
        (Json::Object(x), Json::Object(y)) => x.len().cmp(&y.len()).then_with(|| {
            sorted(x)
                .into_iter()
                .zip(sorted(y))
                .map(|((k, v), (l, w))| key_order(k, l).then_with(|| compare(v, w)))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        }),
        _ => rank(a).cmp(&rank(b)),
    }
}

fn whole(n: &serde_json::Number) -> Option<i128> {
    n.as_i64().map(i128::from).or_else(|| n.as_u64().map(i128::from))
}

fn contains(target: &Json, candidate: &Json) -> bool {
    match (target, candidate) {
        (Json::Array(t), Json::Array(c)) => c.iter().all(|c| t.iter().any(|t| contains(t, c))),
        (Json::Array(t), c) => t.iter().any(|t| contains(t, c)),
        (Json::Object(t), Json::Object(c)) => c.iter().all(|(k, v)| t.get(k).is_some_and(|t| contains(t, v))),
        (t, c) => compare(t, c).is_eq(),
    }
}

fn merge_patch(target: &mut Json, patch: Json) {
    let Json::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Json::Object(serde_json::Map::new());
    }
    if let Json::Object(t) = target {
        for (k, v) in patch {
            if v.is_null() {
                t.remove(&k);
            } else {
                merge_patch(t.entry(k).or_insert(Json::Null), v);
            }
        }
    }
}

fn merge_preserve(a: Json, b: Json) -> Json {
    match (a, b) {
        (Json::Object(mut a), Json::Object(b)) => {
            for (k, v) in b {
                let merged = match a.remove(&k) {
                    Some(old) => merge_preserve(old, v),
                    None => v,
                };
                a.insert(k, merged);
            }
            Json::Object(a)
        }
        (a, b) => {
            let list = |j| match j {
                Json::Array(l) => l,
                other => vec![other],
            };
            let mut all = list(a);
            all.extend(list(b));
            Json::Array(all)
        }
    }
}

fn at_path<'j>(d: &'j Json, p: Option<&ValueRef<'_>>) -> Result<Option<&'j Json>, SqlError> {
    let Some(p) = p else { return Ok(Some(d)) };
    let mut found = Vec::new();
    Path::parse(str_of(p))?.single()?.find(d, &mut found);
    Ok(found.first().copied())
}

fn change(a: &[ValueRef<'_>], insert: bool, replace: bool) -> Answer {
    if a.iter().enumerate().any(|(i, v)| (i == 0 || i % 2 == 1) && matches!(v, ValueRef::Null)) {
        return Ok(Value::Null);
    }
    let mut d = doc(&a[0])?;
    for pair in a[1..].chunks(2) {
        let [p, v] = pair else { break };
        let mut path = Path::parse(str_of(p))?.single()?;
        let v = if matches!(v, ValueRef::Null) { Json::Null } else { doc(v)? };
        if let Some(place) = path.find_mut(&mut d) {
            if replace {
                *place = v;
            }
            continue;
        }
        let last = path.legs.pop();
        if !insert {
            continue;
        }
        match (path.find_mut(&mut d), last) {
            (Some(Json::Object(o)), Some(Leg::Key(k))) => {
                o.insert(k, v);
            }
            (Some(Json::Array(l)), Some(Leg::Index(_))) => l.push(v),
            (Some(other), Some(Leg::Index(i))) if i > 0 && !other.is_object() => {
                *other = Json::Array(vec![other.take(), v]);
            }
            _ => {}
        }
    }
    text(write(&d))
}

/// A leg of a path.
#[derive(Clone, Debug, PartialEq)]
enum Leg {
    Key(String),
    Index(usize),
    /// `[last-n]`.
    Last(usize),
    AnyKey,
    AnyIndex,
    /// `**`.
    Deep,
}

/// `$.a[0]."b c".*[*]**.d`.
struct Path {
    legs: Vec<Leg>,
}

impl Path {
    fn parse(t: &str) -> Result<Path, SqlError> {
        let wrong = |at: usize| {
            SqlError::new(
                3143,
                "42000",
                format!(
                    "Invalid JSON path expression. The error is around character position {}.",
                    at.max(1)
                ),
            )
        };
        let s = t.trim();
        let mut rest = s.strip_prefix('$').ok_or_else(|| wrong(1))?;
        let mut legs = Vec::new();
        loop {
            rest = rest.trim_start();
            let at = s.len() - rest.len();
            if rest.is_empty() {
                break;
            }
            if let Some(r) = rest.strip_prefix("**") {
                legs.push(Leg::Deep);
                rest = r;
            } else if let Some(r) = rest.strip_prefix('.') {
                let r = r.trim_start();
                if let Some(r) = r.strip_prefix('*') {
                    legs.push(Leg::AnyKey);
                    rest = r;
                } else if r.starts_with('"') {
                    let mut end = None;
                    let mut escaped = false;
                    for (i, c) in r.char_indices().skip(1) {
                        match c {
                            _ if escaped => escaped = false,
                            '\\' => escaped = true,
                            '"' => {
                                end = Some(i + 1);
                                break;
                            }
                            _ => {}
                        }
                    }
                    let end = end.ok_or_else(|| wrong(at))?;
                    let key: String = serde_json::from_str(&r[..end]).map_err(|_| wrong(at))?;
                    legs.push(Leg::Key(key));
                    rest = &r[end..];
                } else {
                    let end =
                        r.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(r.len());
                    if end == 0 || r.starts_with(|c: char| c.is_ascii_digit()) {
                        return Err(wrong(at + 1));
                    }
                    legs.push(Leg::Key(r[..end].to_owned()));
                    rest = &r[end..];
                }
            } else if let Some(r) = rest.strip_prefix('[') {
                let (inner, r) = r.split_once(']').ok_or_else(|| wrong(at))?;
                let inner = inner.trim();
                legs.push(if inner == "*" {
                    Leg::AnyIndex
                } else if let Some(n) = inner.strip_prefix("last") {
                    let n = n.trim();
                    let n = if n.is_empty() {
                        0
                    } else {
                        n.strip_prefix('-').and_then(|n| n.trim().parse().ok()).ok_or_else(|| wrong(at))?
                    };
                    Leg::Last(n)
                } else {
                    Leg::Index(inner.parse().map_err(|_| wrong(at))?)
                });
                rest = r;
            } else {
                return Err(wrong(at));
            }
        }
        if legs.last() == Some(&Leg::Deep) {
            return Err(wrong(s.len()));
        }
        Ok(Path { legs })
    }

    fn many(&self) -> bool {
        self.legs.iter().any(|l| matches!(l, Leg::AnyKey | Leg::AnyIndex | Leg::Deep))
    }

    fn single(self) -> Result<Path, SqlError> {
        if self.many() {
            return Err(SqlError::new(
                3149,
                "42000",
                "In this situation, path expressions may not contain the * and ** tokens or an array range.",
            ));
        }
        Ok(self)
    }

    fn find<'j>(&self, d: &'j Json, out: &mut Vec<&'j Json>) {
        find(&self.legs, d, out);
    }

    fn find_mut<'j>(&self, d: &'j mut Json) -> Option<&'j mut Json> {
        let mut here = d;
        for leg in &self.legs {
            here = match (leg, here) {
                (Leg::Key(k), Json::Object(o)) => o.get_mut(k)?,
                (Leg::Index(i), Json::Array(l)) => l.get_mut(*i)?,
                (Leg::Last(n), Json::Array(l)) => {
                    let i = l.len().checked_sub(1 + n)?;
                    l.get_mut(i)?
                }
                (Leg::Index(0) | Leg::Last(0), other) if !other.is_object() => other,
                _ => return None,
            };
        }
        Some(here)
    }
}

fn find<'j>(legs: &[Leg], d: &'j Json, out: &mut Vec<&'j Json>) {
    let Some((leg, rest)) = legs.split_first() else {
        if !out.iter().any(|o| std::ptr::eq(*o, d)) {
            out.push(d);
        }
        return;
    };
    match (leg, d) {
        (Leg::Key(k), Json::Object(o)) => {
            if let Some(v) = o.get(k) {
                find(rest, v, out);
            }
        }
        (Leg::Index(i), Json::Array(l)) => {
            if let Some(v) = l.get(*i) {
                find(rest, v, out);
            }
        }
        (Leg::Last(n), Json::Array(l)) => {
            if let Some(v) = l.len().checked_sub(1 + n).and_then(|i| l.get(i)) {
                find(rest, v, out);
            }
        }
        // A value is the only element of itself.
        (Leg::Index(0) | Leg::Last(0), _) => find(rest, d, out),
        (Leg::AnyKey, Json::Object(o)) => sorted(o).into_iter().for_each(|(_, v)| find(rest, v, out)),
        (Leg::AnyIndex, Json::Array(l)) => l.iter().for_each(|v| find(rest, v, out)),
        (Leg::Deep, _) => {
            find(rest, d, out);
            match d {
                Json::Array(l) => l.iter().for_each(|v| find(legs, v, out)),
                Json::Object(o) => sorted(o).into_iter().for_each(|(_, v)| find(legs, v, out)),
                _ => {}
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_one_form() {
        for (t, want) in [
            (r#"{"bb":1,"a":[1,2.0,"x"],"bb":2}"#, r#"{"a": [1, 2.0, "x"], "bb": 2}"#),
            (" 1e3 ", "1000.0"),
            (r#""ä\n""#, r#""ä\n""#),
            ("18446744073709551615", "18446744073709551615"),
        ] {
            assert_eq!(normalise(t).as_deref(), Ok(want), "{t}");
        }
        assert!(normalise("{").is_err());
        assert!(normalise("").is_err());
    }

    #[test]
    fn paths_find_what_mysql_finds() {
        let d: Json = serde_json::from_str(r#"{"a": [1, {"b": 2}], "c d": 3}"#).unwrap();
        for (p, want) in [
            ("$.a[0]", "1"),
            ("$.a[last].b", "2"),
            ("$.\"c d\"", "3"),
            ("$**.b", "2"),
            ("$.a[*]", "1 {\"b\": 2}"),
            ("$.x", ""),
            ("$.a[0][0]", "1"),
        ] {
            let mut found = Vec::new();
            Path::parse(p).unwrap().find(&d, &mut found);
            let got: Vec<String> = found.into_iter().map(write).collect();
            assert_eq!(got.join(" "), want, "{p}");
        }
        for bad in ["", "a", "$.", "$[", "$[x]", "$**", "$.1a"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
