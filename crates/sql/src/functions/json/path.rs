//! Paths into JSON documents (MySQL 8.0 manual, "JSON Path Syntax").

use serde_json::Value as Json;

use super::form::sorted;
use crate::error::SqlError;

/// A leg of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leg {
    Key(String),
    Index(usize),
    /// `[last-n]`.
    Last(usize),
    AnyKey,
    AnyIndex,
    /// `[1 to last]`; the ends count from the end where `true`.
    Range((bool, usize), (bool, usize)),
    /// `**`.
    Deep,
}

/// `$.a[0]."b c".*[*]**.d`.
pub(super) struct Path {
    pub(super) legs: Vec<Leg>,
}

impl Path {
    /// # Errors
    /// 3143.
    pub(super) fn parse(t: &str) -> Result<Path, SqlError> {
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
                let (inner, r) = r.split_once(']').ok_or_else(|| wrong(s.len()))?;
                let inner = inner.trim();
                legs.push(if inner == "*" {
                    Leg::AnyIndex
                } else if let Some((from, to)) = inner.split_once(" to ") {
                    let (from, to) =
                        (end_of(from).ok_or_else(|| wrong(at))?, end_of(to).ok_or_else(|| wrong(at))?);
                    if from.0 == to.0 && (from.1 > to.1) != from.0 && from.1 != to.1 {
                        return Err(wrong(at));
                    }
                    Leg::Range(from, to)
                } else {
                    match end_of(inner).ok_or_else(|| wrong(at))? {
                        (true, n) => Leg::Last(n),
                        (false, n) => Leg::Index(n),
                    }
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

    /// It can name several values.
    pub(super) fn many(&self) -> bool {
        self.legs.iter().any(|l| matches!(l, Leg::AnyKey | Leg::AnyIndex | Leg::Range(..) | Leg::Deep))
    }

    /// # Errors
    /// 3149 where it can name several values.
    pub(super) fn single(self) -> Result<Path, SqlError> {
        if self.many() {
            return Err(SqlError::new(
                3149,
                "42000",
                "In this situation, path expressions may not contain the * and ** tokens or an array range.",
            ));
        }
        Ok(self)
    }

    /// The values it names, in order.
    pub(super) fn find<'j>(&self, d: &'j Json, out: &mut Vec<&'j Json>) {
        let before = out.len();
        find(&self.legs, d, out);
        if self.legs.contains(&Leg::Deep) {
            // What it meets on several ways is there once.
            let mut seen = std::collections::HashSet::new();
            let mut place = 0;
            out.retain(|j| {
                place += 1;
                place <= before || seen.insert(std::ptr::from_ref(*j))
            });
        }
    }

    /// The value it names.
    pub(super) fn find_mut<'j>(&self, d: &'j mut Json) -> Option<&'j mut Json> {
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
        out.push(d);
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
        (Leg::Range(from, to), Json::Array(l)) => {
            let place = |(back, n): &(bool, usize)| {
                let n = *n as i128;
                if *back { l.len() as i128 - 1 - n } else { n }
            };
            let (from, to) = (place(from).max(0), place(to));
            for (i, v) in l.iter().enumerate() {
                if (from..=to).contains(&(i as i128)) {
                    find(rest, v, out);
                }
            }
        }
        (Leg::Range((false, 0) | (true, _), _), _) => find(rest, d, out),
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

/// `3`, `last`, `last-2`: whether it counts from the end, and the number.
fn end_of(t: &str) -> Option<(bool, usize)> {
    let t = t.trim();
    let Some(n) = t.strip_prefix("last") else { return Some((false, t.parse().ok()?)) };
    let n = n.trim();
    if n.is_empty() { Some((true, 0)) } else { Some((true, n.strip_prefix('-')?.trim().parse().ok()?)) }
}

#[cfg(test)]
mod tests {
    use super::super::form::write;
    use super::*;

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
            ("$.a[0 to last]", "1 {\"b\": 2}"),
            ("$.a[last-1]", "1"),
        ] {
            let mut found = Vec::new();
            Path::parse(p).unwrap().find(&d, &mut found);
            let got: Vec<String> = found.into_iter().map(write).collect();
            assert_eq!(got.join(" "), want, "{p}");
        }
        for bad in ["", "a", "$.", "$[", "$[x]", "$**", "$.1a", "$[2 to 1]"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
