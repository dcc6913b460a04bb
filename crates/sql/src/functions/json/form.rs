//! The one form of a JSON text (rules 1), and how it comes from other texts and values.

use std::cmp::Ordering;
use std::fmt::Write;

use p2pdb_model::ValueRef;
use serde_json::Value as Json;

use crate::error::SqlError;
use crate::execute::convert;
use crate::types::{Class, TypeCode};

/// Nesting of JSON documents.
const DEPTH_MAX: usize = 100;
/// What MySQL says of a number that no double holds.
const TOO_BIG: &str = "Number too big to be stored in double.";
/// What MySQL says of one that is nested deeper.
const TOO_DEEP: &str = "The JSON document exceeds the maximum depth.";

/// The normal form of a text, or what is wrong with it and where.
///
/// # Errors
/// MySQL's words and the byte position.
pub fn normalise(t: &str) -> Result<String, (String, usize)> {
    match serde_json::from_str::<Json>(t) {
        Ok(mut j) if depth(&j) <= DEPTH_MAX => {
            as_doubles(&mut j).map_err(|()| (TOO_BIG.to_owned(), too_big(t)))?;
            Ok(write(&j))
        }
        Ok(_) => Err((TOO_DEEP.to_owned(), 0)),
        Err(e) => {
            let line_start: usize =
                t.split_inclusive('\n').take(e.line().saturating_sub(1)).map(str::len).sum();
            let back = usize::from(!e.is_eof());
            let at = (line_start + e.column().saturating_sub(back)).min(t.len());
            let what = match e.to_string() {
                m if m.starts_with("recursion limit") => TOO_DEEP,
                _ if t.trim().is_empty() => "The document is empty.",
                m => complaint(&m, t, at),
            };
            Err((what.to_owned(), if t.trim().is_empty() { 0 } else { at }))
        }
    }
}

/// Where the first number begins that no double holds, outside of strings.
fn too_big(t: &str) -> usize {
    let bytes = t.as_bytes();
    let in_number = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'-' | b'0'..=b'9' if !quoted => {
                let length = bytes[at..].iter().take_while(|b| in_number(b)).count();
                if t[at..at + length].parse::<f64>().is_ok_and(f64::is_infinite) {
                    return at;
                }
                at += length;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    0
}

/// Numbers of a text that are no integers are doubles; only SQL values give exact ones.
///
/// # Errors
/// A number that no double holds.
fn as_doubles(j: &mut Json) -> Result<(), ()> {
    match j {
        Json::Number(n) if n.as_i64().is_none() && n.as_u64().is_none() => {
            let double = n.as_f64().ok_or(())?;
            if let Ok(double) = number(double).parse() {
                *n = double;
            }
            Ok(())
        }
        Json::Array(l) => l.iter_mut().try_for_each(as_doubles),
        Json::Object(o) => o.values_mut().try_for_each(as_doubles),
        _ => Ok(()),
    }
}

/// The value of a `[set]`: each element of the array once, by length of its text in bytes and then by bytes; `None` where
/// the document is no array.
pub fn normal_set(t: &str) -> Option<String> {
    let Ok(Json::Array(elements)) = serde_json::from_str::<Json>(t) else { return None };
    let mut texts: Vec<String> = elements.iter().map(write).collect();
    texts.sort_unstable_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    texts.dedup();
    Some(format!("[{}]", texts.join(", ")))
}

/// The error of a text that is no JSON: 3157 where it is nested too deeply, else what `worded` makes of what is wrong and where.
pub fn refused(wrong: (String, usize), worded: impl FnOnce(&str, usize) -> SqlError) -> SqlError {
    let (what, at) = wrong;
    if what == TOO_DEEP { SqlError::new(3157, "22032", TOO_DEEP) } else { worded(&what, at) }
}

/// What MySQL says where serde_json says this about byte `at` of the text.
fn complaint(message: &str, t: &str, at: usize) -> &'static str {
    const NAME: &str = "Missing a name for object member.";
    const COLON: &str = "Missing a colon after a name of object member.";
    const INVALID: &str = "Invalid value.";
    let before = t.trim_end();
    if message.starts_with("EOF while parsing a list") && before.ends_with(['[', ',']) {
        return INVALID;
    }
    if message.starts_with("EOF while parsing an object") {
        return match before.as_bytes().last() {
            Some(b'{' | b',') => NAME,
            Some(b':') => INVALID,
            Some(b'"') if ends_in_name(before) => COLON,
            _ => "Missing a comma or '}' after an object member.",
        };
    }
    if message.starts_with("trailing comma") {
        return if t.as_bytes().get(at) == Some(&b'}') { NAME } else { INVALID };
    }
    for (theirs, ours) in [
        ("trailing characters", "The document root must not be followed by other values."),
        ("key must be a string", NAME),
        ("expected `,` or `]`", "Missing a comma or ']' after an array element."),
        ("expected `,` or `}`", "Missing a comma or '}' after an object member."),
        ("expected `:`", COLON),
        ("EOF while parsing a list", "Missing a comma or ']' after an array element."),
        ("EOF while parsing a string", "Missing a closing quotation mark in string."),
        ("invalid escape", "Invalid escape character in string."),
    ] {
        if message.starts_with(theirs) {
            return ours;
        }
    }
    INVALID
}

/// Is the string that ends this text, inside an object, the name of a member?
fn ends_in_name(t: &str) -> bool {
    let (mut inside, mut escaped, mut start) = (false, false, 0);
    for (i, b) in t.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => {
                inside = !inside;
                if inside {
                    start = i;
                }
            }
            _ => {}
        }
    }
    t[..start].trim_end().ends_with(['{', ','])
}

/// 3144: bytes where JSON is meant.
pub fn binary() -> SqlError {
    SqlError::new(3144, "22032", "Cannot create a JSON value from a string with CHARACTER SET 'binary'.")
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
        // Of four digits as text, but no number of JSON has zeros before it.
        (ValueRef::Int(year), Class::Year) => year.to_string(),
        (_, c) if c.is_number() && c != Class::Bit => {
            convert::to_text(v, TypeCode { zerofill: false, ..from })?
                .map(|t| t.into_owned())
                .unwrap_or_default()
        }
        (_, Class::Bytes) => return Err(binary()),
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

/// A double as JSON.
pub(super) fn number(r: f64) -> String {
    let t = convert::real_text(r);
    if t.contains(['.', 'e']) { t } else { t + ".0" }
}

pub(super) fn key_order(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The normal form of a document.
pub fn write(j: &Json) -> String {
    let mut out = String::new();
    write_to(j, &mut out);
    out
}

pub(super) fn write_scalar(j: &Json, out: &mut String) {
    match j {
        Json::Null => out.push_str("null"),
        Json::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => {
                let _ = write!(out, "{i}");
            }
            (_, Some(u)) => {
                let _ = write!(out, "{u}");
            }
            _ if n.as_str().contains(['e', 'E']) => out.push_str(&number(n.as_f64().unwrap_or(0.0))),
            // An exact number keeps its digits.
            _ => out.push_str(n.as_str()),
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

pub(super) fn sorted(o: &serde_json::Map<String, Json>) -> Vec<(&String, &Json)> {
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

/// JSON_PRETTY.
pub(super) fn pretty(j: &Json, level: usize, out: &mut String) {
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

pub(super) fn depth(j: &Json) -> usize {
    match j {
        Json::Array(l) => 1 + l.iter().map(depth).max().unwrap_or(0),
        Json::Object(o) => 1 + o.values().map(depth).max().unwrap_or(0),
        _ => 1,
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
}
