//! Functions of text and bytes. Positions count characters in text and bytes in bytes.

use std::cmp::Ordering;

use p2pdb_model::{Value, ValueRef};

use super::{Answer, Row, any_null, bits_of, bytes_of, int_of, locale, number, str_of, text, truth};
use crate::collate;
use crate::execute::{context, convert};

/// Bytes that a function may make (`max_allowed_packet`); a longer result is NULL with warning 1301.
const RESULT_BYTES_MAX: usize = 64 << 20;

macro_rules! strict {
    ($f:expr) => {
        |a| if any_null(a) { Ok(Value::Null) } else { $f(a) }
    };
}

pub(crate) const FUNCTIONS: &[Row] = &[
    (
        "p_bytes_as_text",
        1,
        strict!(|a: &[ValueRef<'_>]| text(
            bytes_of(&a[0]).iter().map(|b| char::from(*b)).collect::<String>()
        )),
    ),
    (
        "p_text_as_bytes",
        1,
        strict!(|a: &[ValueRef<'_>]| Ok(Value::Blob(str_of(&a[0]).chars().map(|c| c as u8).collect()))),
    ),
    (
        "p_latin1",
        1,
        strict!(|a: &[ValueRef<'_>]| Ok(Value::Blob(crate::charset::latin1_bytes(str_of(&a[0]))))),
    ),
    (
        "p_utf8",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let read = convert::utf8_of(bytes_of(&a[0]), int_of(&a[1]) == 1)?;
            Ok(read.map_or(Value::Null, |t| Value::Text(t.to_owned())))
        }),
    ),
    ("p_concat", -1, strict!(concat)),
    ("p_concat_ws", -1, |a| {
        let Some((first, rest)) = a.split_first() else { return Ok(Value::Null) };
        if matches!(first, ValueRef::Null) {
            return Ok(Value::Null);
        }
        let mut parts = Vec::new();
        for v in rest.iter().filter(|v| !matches!(v, ValueRef::Null)) {
            if !parts.is_empty() {
                parts.push(*first);
            }
            parts.push(*v);
        }
        concat(&parts)
    }),
    ("p_length", 1, strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(bytes_of(&a[0]).len() as i64)))),
    ("p_bit_length", 1, strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(bytes_of(&a[0]).len() as i64 * 8)))),
    ("p_char_length", 1, strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(length(&a[0]) as i64)))),
    (
        "p_lower",
        1,
        strict!(|a: &[ValueRef<'_>]| match a[0] {
            ValueRef::Text(t) => text(lower(t)),
            v => Ok(v.to_value()),
        }),
    ),
    (
        "p_upper",
        1,
        strict!(|a: &[ValueRef<'_>]| match a[0] {
            ValueRef::Text(t) => text(upper(t)),
            v => Ok(v.to_value()),
        }),
    ),
    (
        "p_substring",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let n = length(&a[0]) as i64;
            let from = int_of(&a[1]);
            let start = match from {
                0 => return Ok(slice(&a[0], 0, 0)),
                f if f > 0 => f - 1,
                f => match n.checked_add(f) {
                    Some(s) if s >= 0 => s,
                    _ => return Ok(slice(&a[0], 0, 0)),
                },
            };
            let count = a.get(2).map_or(i64::MAX, int_of).max(0);
            Ok(slice(&a[0], start as usize, count.min(n) as usize))
        }),
    ),
    ("p_left", 2, strict!(|a: &[ValueRef<'_>]| { Ok(slice(&a[0], 0, int_of(&a[1]).max(0) as usize)) })),
    (
        "p_right",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let n = length(&a[0]);
            let count = usize::try_from(int_of(&a[1])).unwrap_or(0).min(n);
            Ok(slice(&a[0], n - count, count))
        }),
    ),
    (
        "p_substring_index",
        3,
        strict!(|a: &[ValueRef<'_>]| {
            let (t, d, n) = (str_of(&a[0]), str_of(&a[1]), int_of(&a[2]));
            if d.is_empty() || n == 0 {
                return text("");
            }
            let k = usize::try_from(n.unsigned_abs() - 1).unwrap_or(usize::MAX);
            if n > 0 {
                text(t.match_indices(d).nth(k).map_or(t, |(i, _)| &t[..i]))
            } else {
                text(t.rmatch_indices(d).nth(k).map_or(t, |(i, _)| &t[i + d.len()..]))
            }
        }),
    ),
    ("p_ltrim", 1, strict!(|a: &[ValueRef<'_>]| text(str_of(&a[0]).trim_start_matches(' ')))),
    ("p_rtrim", 1, strict!(|a: &[ValueRef<'_>]| text(str_of(&a[0]).trim_end_matches(' ')))),
    (
        "p_trim",
        3,
        strict!(|a: &[ValueRef<'_>]| {
            let (mut t, w, place) = (str_of(&a[0]), str_of(&a[1]), int_of(&a[2]));
            let (leading, trailing) = (place & 1 == 1, place & 2 == 2);
            if !w.is_empty() {
                while let (true, Some(r)) = (leading, t.strip_prefix(w)) {
                    t = r;
                }
                while let (true, Some(r)) = (trailing, t.strip_suffix(w)) {
                    t = r;
                }
            }
            text(t)
        }),
    ),
    (
        "p_replace",
        3,
        strict!(|a: &[ValueRef<'_>]| {
            let (t, f, r) = (str_of(&a[0]), str_of(&a[1]), str_of(&a[2]));
            if f.is_empty() {
                return text(t);
            }
            let size = t.len() + t.matches(f).count() * r.len();
            if too_long(size, "replace") {
                return Ok(Value::Null);
            }
            text(t.replace(f, r))
        }),
    ),
    (
        "p_repeat",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let n = usize::try_from(int_of(&a[1])).unwrap_or(0);
            let b = bytes_of(&a[0]);
            if too_long(b.len().saturating_mul(n), "repeat") {
                return Ok(Value::Null);
            }
            Ok(match a[0] {
                ValueRef::Text(t) => Value::Text(t.repeat(n)),
                _ => Value::Blob(b.repeat(n)),
            })
        }),
    ),
    (
        "p_reverse",
        1,
        strict!(|a: &[ValueRef<'_>]| Ok(match a[0] {
            ValueRef::Text(t) => Value::Text(t.chars().rev().collect()),
            ref v => Value::Blob(bytes_of(v).iter().rev().copied().collect()),
        })),
    ),
    ("p_lpad", 3, strict!(|a: &[ValueRef<'_>]| pad(a, true))),
    ("p_rpad", 3, strict!(|a: &[ValueRef<'_>]| pad(a, false))),
    (
        "p_insert",
        4,
        strict!(|a: &[ValueRef<'_>]| {
            let (t, from, count, new) = (str_of(&a[0]), int_of(&a[1]), int_of(&a[2]), str_of(&a[3]));
            let n = t.chars().count() as i64;
            if from < 1 || from > n {
                return text(t);
            }
            let from = from - 1;
            let count = if count < 0 || count > n - from { n - from } else { count };
            let head: String = t.chars().take(from as usize).collect();
            let tail: String = t.chars().skip((from + count) as usize).collect();
            text(head + new + &tail)
        }),
    ),
    (
        "p_instr",
        3,
        strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(locate(str_of(&a[1]), str_of(&a[0]), 1, int_of(&a[2]))))),
    ),
    (
        "p_locate",
        -1,
        strict!(|a: &[ValueRef<'_>]| {
            let (from, id) = match a {
                [_, _, id] => (1, int_of(id)),
                [_, _, from, id] => (int_of(from), int_of(id)),
                _ => return Ok(Value::Null),
            };
            Ok(Value::Int(locate(str_of(&a[0]), str_of(&a[1]), from, id)))
        }),
    ),
    (
        "p_ascii",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            Ok(Value::Int(bytes_of(&a[0]).first().map_or(0, |b| i64::from(*b))))
        }),
    ),
    (
        "p_ord",
        1,
        strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(match a[0] {
            ValueRef::Text(t) => t
                .chars()
                .next()
                .map_or(0, |c| c.encode_utf8(&mut [0; 4]).bytes().fold(0, |n, b| n << 8 | i64::from(b))),
            ref v => bytes_of(v).first().map_or(0, |b| i64::from(*b)),
        }))),
    ),
    (
        "p_hex",
        1,
        strict!(|a: &[ValueRef<'_>]| match a[0] {
            ValueRef::Int(i) => text(format!("{i:X}")),
            ref v => text(p2pdb_model::ids::hex(bytes_of(v)).to_uppercase()),
        }),
    ),
    (
        "p_unhex",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            let t = str_of(&a[0]);
            let t = if t.len() % 2 == 1 { format!("0{t}") } else { t.to_owned() };
            Ok(p2pdb_model::ids::unhex(&t).map_or(Value::Null, Value::Blob))
        }),
    ),
    (
        "p_bin",
        1,
        strict!(|a: &[ValueRef<'_>]| text(format!("{:b}", number::wide(&a[0]).unwrap_or(0) as u64))),
    ),
    (
        "p_oct",
        1,
        strict!(|a: &[ValueRef<'_>]| text(format!("{:o}", number::wide(&a[0]).unwrap_or(0) as u64))),
    ),
    ("p_conv", 3, strict!(conv)),
    (
        "p_space",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            let n = usize::try_from(int_of(&a[0])).unwrap_or(0);
            if too_long(n, "space") { Ok(Value::Null) } else { text(" ".repeat(n)) }
        }),
    ),
    (
        "p_strcmp",
        3,
        strict!(|a: &[ValueRef<'_>]| {
            let cmp = collate::function(collate::by_id(int_of(&a[2])));
            Ok(Value::Int(match cmp(str_of(&a[0]), str_of(&a[1])) {
                Ordering::Less => -1,
                Ordering::Equal => 0,
                Ordering::Greater => 1,
            }))
        }),
    ),
    ("p_elt", -1, |a| {
        let n = match a.first() {
            Some(ValueRef::Int(i)) => usize::try_from(*i).unwrap_or(0),
            _ => 0,
        };
        Ok(if n == 0 { Value::Null } else { a.get(n).map_or(Value::Null, |v| v.to_value()) })
    }),
    (
        "p_find_in_set",
        3,
        strict!(|a: &[ValueRef<'_>]| {
            let cmp = collate::function(collate::by_id(int_of(&a[2])));
            let (t, list) = (str_of(&a[0]), str_of(&a[1]));
            if list.is_empty() || t.contains(',') {
                return Ok(Value::Int(0));
            }
            Ok(Value::Int(list.split(',').position(|w| cmp(w, t).is_eq()).map_or(0, |i| i as i64 + 1)))
        }),
    ),
    ("p_quote", 1, |a| match a[0] {
        ValueRef::Null => text("NULL"),
        ref v => {
            let mut out = String::from("'");
            for c in str_of(v).chars() {
                match c {
                    '\'' | '\\' => out.extend(['\\', c]),
                    '\0' => out.push_str("\\0"),
                    '\u{1a}' => out.push_str("\\Z"),
                    c => out.push(c),
                }
            }
            out.push('\'');
            text(out)
        }
    }),
    ("p_soundex", 1, strict!(|a: &[ValueRef<'_>]| text(soundex(str_of(&a[0]))))),
    ("p_char", -1, |a| {
        let mut out = Vec::new();
        for v in a.iter().filter(|v| !matches!(v, ValueRef::Null)) {
            let n = bits_of(v) as u32;
            let b = n.to_be_bytes();
            let zeros = b.iter().take_while(|b| **b == 0).count().min(3);
            out.extend_from_slice(&b[zeros..]);
        }
        Ok(Value::Blob(out))
    }),
    (
        "p_cut",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let n = int_of(&a[1]) as usize;
            if length(&a[0]) > n {
                let t = str_of(&a[0]);
                context::warn(1292, format!("Truncated incorrect CHAR({n}) value: '{t}'"));
            }
            Ok(slice(&a[0], 0, n))
        }),
    ),
    (
        "p_binary",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let n = int_of(&a[1]) as usize;
            let mut b = bytes_of(&a[0]).to_vec();
            if too_long(n, "cast_as_binary") {
                return Ok(Value::Null);
            }
            if b.len() > n {
                context::warn(
                    1292,
                    format!("Truncated incorrect BINARY({n}) value: '{}'", String::from_utf8_lossy(&b)),
                );
            }
            b.resize(n, 0);
            Ok(Value::Blob(b))
        }),
    ),
    ("p_format", 3, |a: &[ValueRef<'_>]| {
        if any_null(&a[..2]) {
            return Ok(Value::Null);
        }
        let Some(d) = super::number::dec(&a[0]) else { return Ok(Value::Null) };
        text(locale::grouped(&d, int_of(&a[1]).clamp(0, 30) as u8, str_of(&a[2])))
    }),
    ("p_gcjoin", 2, strict!(|a: &[ValueRef<'_>]| group_join(&a[0], bytes_of(&a[1])))),
    ("p_like", 4, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let escape = u32::try_from(int_of(&a[2])).ok().and_then(char::from_u32);
        truth(collate::like(str_of(&a[0]), str_of(&a[1]), escape, collate::by_id(int_of(&a[3]))))
    }),
];

fn too_long(size: usize, name: &str) -> bool {
    if size <= RESULT_BYTES_MAX {
        return false;
    }
    let message =
        format!("Result of {name}() was larger than max_allowed_packet ({RESULT_BYTES_MAX}) - truncated");
    context::warn(1301, message);
    true
}

fn concat(a: &[ValueRef<'_>]) -> Answer {
    if too_long(a.iter().map(|v| bytes_of(v).len()).sum(), "concat") {
        return Ok(Value::Null);
    }
    if a.iter().any(|v| matches!(v, ValueRef::Blob(_))) {
        return Ok(Value::Blob(a.iter().flat_map(bytes_of).copied().collect()));
    }
    Ok(Value::Text(a.iter().map(str_of).collect()))
}

fn length(v: &ValueRef<'_>) -> usize {
    match v {
        ValueRef::Text(t) if t.is_ascii() => t.len(),
        ValueRef::Text(t) => t.chars().count(),
        v => bytes_of(v).len(),
    }
}

fn slice(v: &ValueRef<'_>, from: usize, count: usize) -> Value {
    match v {
        ValueRef::Text(t) => {
            if t.is_ascii() {
                let from = from.min(t.len());
                return Value::Text(t[from..from.saturating_add(count).min(t.len())].to_owned());
            }
            Value::Text(t.chars().skip(from).take(count).collect())
        }
        v => Value::Blob(bytes_of(v).iter().skip(from).take(count).copied().collect()),
    }
}

/// Upper case, letter by letter: `ß` stays.
fn upper(t: &str) -> String {
    t.chars()
        .flat_map(|c| {
            let mut u = c.to_uppercase();
            match (u.next(), u.next()) {
                (Some(one), None) => one,
                _ => c,
            }
            .to_string()
            .chars()
            .collect::<Vec<_>>()
        })
        .collect()
}

/// Lower case, letter by letter: a sigma at the end is like any other.
fn lower(t: &str) -> String {
    t.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect()
}

fn pad(a: &[ValueRef<'_>], left: bool) -> Answer {
    let (t, fill) = (str_of(&a[0]), str_of(&a[2]));
    let Ok(want) = usize::try_from(int_of(&a[1])) else { return Ok(Value::Null) };
    let have = t.chars().count();
    if want <= have {
        return text(t.chars().take(want).collect::<String>());
    }
    if fill.is_empty() {
        return text(t);
    }
    if too_long(want.saturating_mul(4), if left { "lpad" } else { "rpad" }) {
        return Ok(Value::Null);
    }
    let filler: String = fill.chars().cycle().take(want - have).collect();
    text(if left { filler + t } else { t.to_owned() + &filler })
}

/// The place of `needle` in `text` from character `from` on, 1-based; 0 when it is not there.
pub(super) fn locate(needle: &str, text: &str, from: i64, collation: i64) -> i64 {
    let n = text.chars().count() as i64;
    if from < 1 || from > n + 1 {
        return 0;
    }
    let skip = from as usize - 1;
    let start = text.char_indices().nth(skip).map_or(text.len(), |(i, _)| i);
    let rest = &text[start..];
    if needle.is_empty() {
        return from;
    }
    let collation = collate::by_id(collation);
    if !collate::ignores_case(collation) {
        return rest.find(needle).map_or(0, |i| rest[..i].chars().count() as i64 + from);
    }
    if rest.is_ascii() && needle.is_ascii() {
        let (r, w) = (rest.as_bytes(), needle.as_bytes());
        let hit = r.windows(w.len()).position(|x| x.eq_ignore_ascii_case(w));
        return hit.map_or(0, |i| i as i64 + from);
    }
    let cmp = collate::function(collation);
    let width = needle.chars().count();
    let starts: Vec<usize> = rest.char_indices().map(|(i, _)| i).chain([rest.len()]).collect();
    for i in 0..starts.len().saturating_sub(width) {
        if cmp(&rest[starts[i]..starts[i + width]], needle).is_eq() {
            return i as i64 + from;
        }
    }
    0
}

fn conv(a: &[ValueRef<'_>]) -> Answer {
    let (from, to) = (int_of(&a[1]), int_of(&a[2]));
    let base = |n: i64| u32::try_from(n.unsigned_abs()).ok().filter(|b| (2..=36).contains(b));
    let (Some(f), Some(t)) = (base(from), base(to)) else { return Ok(Value::Null) };
    if str_of(&a[0]).is_empty() {
        return Ok(Value::Null);
    }
    let s = str_of(&a[0]).trim_start();
    let (negative, digits) = match s.strip_prefix('-') {
        Some(d) => (true, d),
        None => (false, s.strip_prefix('+').unwrap_or(s)),
    };
    let mut n: u64 = 0;
    let mut beyond = !digits.starts_with(|c: char| c.is_digit(f));
    for c in digits.chars() {
        let Some(d) = c.to_digit(f) else { break };
        let next = n.checked_mul(u64::from(f)).and_then(|n| n.checked_add(u64::from(d)));
        beyond |= next.is_none();
        n = next.unwrap_or(u64::MAX);
    }
    if beyond {
        context::warn(1292, format!("Truncated incorrect DECIMAL value: '{}'", str_of(&a[0])));
    }
    let n = if negative { n.wrapping_neg() } else { n };
    let (sign, mut n) = if to < 0 && (n as i64) < 0 { ("-", (n as i64).unsigned_abs()) } else { ("", n) };
    let mut out = Vec::new();
    loop {
        out.push(char::from_digit((n % u64::from(t)) as u32, t).unwrap_or('0').to_ascii_uppercase());
        n /= u64::from(t);
        if n == 0 {
            break;
        }
    }
    text(sign.to_owned() + &out.iter().rev().collect::<String>())
}

fn soundex(t: &str) -> String {
    let code = |c: char| match c.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => '1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => '2',
        'D' | 'T' => '3',
        'L' => '4',
        'M' | 'N' => '5',
        'R' => '6',
        'H' | 'W' => '-',
        _ => '0',
    };
    let mut out = String::new();
    let mut last = ' ';
    for c in t.chars().filter(|c| c.is_alphabetic()) {
        let k = code(c);
        if out.is_empty() {
            out.push(c.to_ascii_uppercase());
            last = k;
        } else if k == '-' {
            continue;
        } else {
            if k != '0' && k != last {
                out.push(k);
            }
            last = k;
        }
    }
    if out.is_empty() {
        return out;
    }
    while out.chars().count() < 4 {
        out.push('0');
    }
    out
}

/// Joins what the aggregate `p_gc` collected: a flag (text or bytes), then pieces with their lengths.
fn group_join(list: &ValueRef<'_>, separator: &[u8]) -> Answer {
    let b = bytes_of(list);
    let Some((&is_text, mut rest)) = b.split_first() else { return Ok(Value::Null) };
    let max = context::read(|c| c.group_concat_bytes_max);
    let mut out = Vec::new();
    let mut first = true;
    let mut cut = false;
    let mut row = 0;
    while let Some((n, tail)) = rest.split_at_checked(8) {
        row += 1;
        let mut len = [0; 8];
        len.copy_from_slice(n);
        let len = u64::from_be_bytes(len) as usize;
        let Some((piece, tail)) = tail.split_at_checked(len) else { break };
        if !first {
            out.extend_from_slice(separator);
        }
        first = false;
        out.extend_from_slice(piece);
        rest = tail;
        if out.len() > max {
            cut = true;
            break;
        }
    }
    if cut {
        context::warn(1260, format!("Row {row} was cut by GROUP_CONCAT()"));
        out.truncate(max);
    }
    if is_text == 0 {
        return Ok(Value::Blob(out));
    }
    let valid = match std::str::from_utf8(&out) {
        Ok(_) => out.len(),
        Err(e) => e.valid_up_to(),
    };
    out.truncate(valid);
    text(String::from_utf8(out).unwrap_or_default())
}
