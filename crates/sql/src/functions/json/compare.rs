//! How JSON values compare, contain each other and merge.

use std::cmp::Ordering;

use serde_json::Value as Json;

use super::form::{key_order, sorted, write};

fn rank(j: &Json) -> u8 {
    match j {
        Json::Null => 0,
        Json::Number(_) => 1,
        Json::String(_) => 2,
        Json::Object(_) => 3,
        Json::Array(_) => 4,
        Json::Bool(_) => 5,
    }
}

/// Bytes that sort as [`compare`] does for scalars; objects and arrays sort by their size, then by their text.
pub(super) fn sort_key(j: &Json) -> Vec<u8> {
    let mut out = vec![rank(j)];
    match j {
        Json::Null => {}
        Json::Bool(b) => out.push(u8::from(*b)),
        Json::String(s) => out.extend_from_slice(s.as_bytes()),
        Json::Number(n) => {
            let bits = (n.as_f64().unwrap_or(0.0) + 0.0).to_bits();
            let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            out.extend_from_slice(&ordered.to_be_bytes());
            // Integers that share a double.
            let rest = whole(n).map_or(0, |w| w - n.as_f64().unwrap_or(0.0) as i128);
            out.extend_from_slice(&((rest + (1 << 20)) as u32).to_be_bytes());
        }
        Json::Array(l) => {
            out.extend_from_slice(&(l.len() as u32).to_be_bytes());
            out.extend_from_slice(write(j).as_bytes());
        }
        Json::Object(o) => {
            out.extend_from_slice(&(o.len() as u32).to_be_bytes());
            out.extend_from_slice(write(j).as_bytes());
        }
    }
    out
}

/// JSON_OVERLAPS: a common element, member or value.
pub(super) fn overlaps(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Array(x), Json::Array(y)) => x.iter().any(|x| y.iter().any(|y| compare(x, y).is_eq())),
        (Json::Array(l), one) | (one, Json::Array(l)) => l.iter().any(|x| compare(x, one).is_eq()),
        (Json::Object(x), Json::Object(y)) => {
            x.iter().any(|(k, v)| y.get(k).is_some_and(|w| compare(v, w).is_eq()))
        }
        (x, y) => compare(x, y).is_eq(),
    }
}

/// MySQL's order of JSON values: by type, then by value.
pub fn compare(a: &Json, b: &Json) -> Ordering {
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

/// JSON_CONTAINS.
pub(super) fn contains(target: &Json, candidate: &Json) -> bool {
    match (target, candidate) {
        (Json::Array(t), Json::Array(c)) => c.iter().all(|c| t.iter().any(|t| contains(t, c))),
        (Json::Array(t), c) => t.iter().any(|t| contains(t, c)),
        (Json::Object(t), Json::Object(c)) => c.iter().all(|(k, v)| t.get(k).is_some_and(|t| contains(t, v))),
        (t, c) => compare(t, c).is_eq(),
    }
}

/// JSON_MERGE_PATCH (RFC 7396).
pub(super) fn merge_patch(target: &mut Json, patch: Json) {
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

/// JSON_MERGE_PRESERVE.
pub(super) fn merge_preserve(a: Json, b: Json) -> Json {
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
