//! JSON: MySQL's normal form, paths and functions.
//!
//! Normal form (rules 1): members sorted by length of the key in bytes, then by bytes; of equal keys the last; `": "` and
//! `", "` between parts. Numbers are 64-bit integers, signed or unsigned, or doubles.

use p2pdb_model::types::Collation;
use p2pdb_model::{Value, ValueRef};
use serde_json::Value as Json;

use super::hash::to_base64;
use super::{Answer, Row, any_null, int_of, str_of, text, truth};
use crate::collate;
use crate::error::SqlError;
use crate::execute::convert;
use crate::types::TypeCode;

mod compare;
mod form;
mod path;
mod schema;
mod search;
mod storage;
pub(crate) mod table;

pub use compare::compare;
use compare::{contains, merge_patch, merge_preserve, overlaps, sort_key};
pub use form::{binary, from_sql, normal_set, normalise, refused, write};
use form::{depth, key_order, pretty};
use path::{Leg, Path};

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
        let code = TypeCode::unpack(int_of(&a[1]));
        match int_of(&a[2]) {
            0 => text(from_sql(a[0], code)?),
            1 => text(if int_of(&a[0]) == 0 { "false" } else { "true" }),
            // Bytes: their type in the protocol, and base64.
            ty => {
                let bytes = convert::to_bytes(a[0], code)?.unwrap_or_default();
                text(format!("\"base64:type{ty}:{}\"", to_base64(&bytes)))
            }
        }
    }),
    ("p_no_json", 1, strict!(|_: &[ValueRef<'_>]| Err(form::binary()))),
    (
        "p_json_parse",
        2,
        strict!(|a: &[ValueRef<'_>]| match normalise(str_of(&a[0])) {
            Ok(t) => text(t),
            Err(wrong) => Err(no_json(wrong, str_of(&a[1]))),
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
                ref j @ Json::Number(ref n) if n.as_f64().is_some_and(|r| form::number(r) == write(j)) => {
                    "DOUBLE"
                }
                Json::Number(_) => "DECIMAL",
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
    (
        "p_json_storage_size",
        1,
        strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(storage::bytes(&doc(&a[0])?) as i64))),
    ),
    // Nothing is changed in place, so nothing is free.
    ("p_json_storage_free", 1, strict!(|_: &[ValueRef<'_>]| Ok(Value::Int(0)))),
    ("p_json_schema_valid", 2, strict!(schema::valid)),
    ("p_json_schema_validation_report", 2, strict!(schema::report)),
    // (document, path, column): JSON_VALUE … RETURNING
    (
        "p_json_value_as",
        3,
        strict!(|a: &[ValueRef<'_>]| {
            let d = doc(&a[0])?;
            let mut found = Vec::new();
            Path::parse(str_of(&a[1]))?.find(&d, &mut found);
            Ok(match found.as_slice() {
                [one] => table::stored(one, str_of(&a[2])),
                _ => Value::Null,
            })
        }),
    ),
    ("p_json_table", 2, strict!(table::rows)),
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
    ("p_json_array_insert", -1, |a| {
        if a.iter().enumerate().any(|(i, v)| (i == 0 || i % 2 == 1) && matches!(v, ValueRef::Null)) {
            return Ok(Value::Null);
        }
        let mut d = doc(&a[0])?;
        for pair in a[1..].chunks(2) {
            let [p, v] = pair else { break };
            let mut path = Path::parse(str_of(p))?.single()?;
            let v = if matches!(v, ValueRef::Null) { Json::Null } else { doc(v)? };
            let at = match path.legs.pop() {
                Some(leg @ (Leg::Index(_) | Leg::Last(_))) => leg,
                _ => {
                    let message = "A path expression is not a path to a cell in an array.";
                    return Err(SqlError::new(3165, "42000", message));
                }
            };
            if let Some(Json::Array(l)) = path.find_mut(&mut d) {
                let at = match at {
                    Leg::Index(i) => i.min(l.len()),
                    Leg::Last(n) => l.len().saturating_sub(1 + n),
                    _ => l.len(),
                };
                l.insert(at, v);
            }
        }
        text(write(&d))
    }),
    (
        "p_json_contains_path",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let d = doc(&a[0])?;
            let one = one_or_all(&a[1], "json_contains_path")?;
            let mut hits = 0;
            for p in &a[2..] {
                let mut found = Vec::new();
                Path::parse(str_of(p))?.find(&d, &mut found);
                hits += usize::from(!found.is_empty());
            }
            truth(if one { hits > 0 } else { hits == a.len() - 2 })
        }),
    ),
    ("p_json_overlaps", 2, strict!(|a: &[ValueRef<'_>]| truth(overlaps(&doc(&a[0])?, &doc(&a[1])?)))),
    ("p_json_search", -1, |a| {
        // The escape character may be NULL.
        if a.iter().enumerate().any(|(i, v)| i != 3 && matches!(v, ValueRef::Null)) {
            return Ok(Value::Null);
        }
        let d = doc(&a[0])?;
        let one = one_or_all(&a[1], "json_search")?;
        let escape = a.get(3).and_then(|e| str_of(e).chars().next()).unwrap_or('\\');
        let mut paths = Vec::new();
        for p in a.get(4..).unwrap_or_default() {
            paths.push(Path::parse(str_of(p))?);
        }
        let matches = |t: &str| collate::like(t, str_of(&a[2]), Some(escape), Collation::Utf8mb4Bin);
        let mut found = search::search(&d, &paths, &matches);
        Ok(match (found.len(), one) {
            (0, _) => Value::Null,
            (_, true) | (1, _) => Value::Text(write(&Json::String(found.swap_remove(0)))),
            _ => Value::Text(write(&Json::Array(found.into_iter().map(Json::String).collect()))),
        })
    }),
    (
        "p_json_value",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let d = doc(&a[0])?;
            let mut found = Vec::new();
            Path::parse(str_of(&a[1]))?.find(&d, &mut found);
            Ok(match found.as_slice() {
                [Json::Null] => Value::Null,
                [Json::String(s)] => Value::Text(s.clone()),
                [one] => Value::Text(write(one)),
                _ => Value::Null,
            })
        }),
    ),
    ("p_json_key", 1, strict!(|a: &[ValueRef<'_>]| Ok(Value::Blob(sort_key(&doc(&a[0])?))))),
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
    ("p_json_merge_patch", -1, |a| {
        // NULL into anything is NULL, an object into NULL too; another value takes NULL's place.
        let given = |v: &ValueRef<'_>| (*v != ValueRef::Null).then(|| doc(v)).transpose();
        let mut so_far = given(&a[0])?;
        for p in &a[1..] {
            so_far = match (so_far, given(p)?) {
                (_, None) => None,
                (None, Some(patch)) => (!patch.is_object()).then_some(patch),
                (Some(mut target), Some(patch)) => {
                    merge_patch(&mut target, patch);
                    Some(target)
                }
            };
        }
        so_far.map_or(Ok(Value::Null), |d| text(write(&d)))
    }),
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

/// `'one'` or `'all'`.
fn one_or_all(v: &ValueRef<'_>, function: &str) -> Result<bool, SqlError> {
    match str_of(v).to_ascii_lowercase().as_str() {
        "one" => Ok(true),
        "all" => Ok(false),
        _ => {
            let message =
                format!("The oneOrAll argument to {function} may take these values: 'one' or 'all'.");
            Err(SqlError::new(3154, "42000", message))
        }
    }
}

fn bad_text(function: &str, t: &str) -> SqlError {
    no_json(normalise(t).err().unwrap_or(("Invalid value.".to_owned(), 0)), function)
}

/// 3141.
pub(crate) fn no_json(wrong: (String, usize), function: &str) -> SqlError {
    form::refused(wrong, |what, at| {
        let message =
            format!("Invalid JSON text in argument 1 to function {function}: \"{what}\" at position {at}.");
        SqlError::new(3141, "22032", message)
    })
}

/// A path as it is written.
///
/// # Errors
/// 3143.
pub(crate) fn check_path(text: &str) -> Result<(), SqlError> {
    Path::parse(text).map(|_| ())
}

/// What JSON is ordered by.
pub(super) fn order_of(v: &ValueRef<'_>) -> Result<Vec<u8>, SqlError> {
    Ok(sort_key(&doc(v)?))
}

fn doc(v: &ValueRef<'_>) -> Result<Json, SqlError> {
    let t = str_of(v);
    serde_json::from_str(t).map_err(|_| bad_text("json", t))
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
