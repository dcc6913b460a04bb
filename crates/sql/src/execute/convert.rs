//! Conversions between the classes of values, as MySQL does them in expressions: text that is no number is 0 with warning
//! 1292, text that is no date is NULL with warning 1292.
//!
//! Functions take a [`ValueRef`] in the stored form of a [`TypeCode`]; `None` is SQL NULL. Assignments to columns, with
//! their strict errors, are in [`super::assign`].

use std::borrow::Cow;
use std::fmt::Write;

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{Date, DateRules, DateTime, TIME_US_MAX, Time};
use p2pdb_model::{Value, ValueRef};

use super::context;
use super::json_cast::{self, Target};
use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::session::SqlMode;
use crate::types::{Class, TypeCode};

/// The result of a conversion; `None` is NULL.
pub type Converted<T> = Result<Option<T>, SqlError>;

/// Characters of a value that a message shows.
const MESSAGE_CHARS_MAX: usize = 128;

/// Text for a message.
pub fn shown(v: ValueRef<'_>, from: TypeCode) -> String {
    match to_text(v, from) {
        Ok(Some(t)) => t.chars().take(MESSAGE_CHARS_MAX).collect(),
        Ok(None) => "NULL".to_owned(),
        Err(_) => match v {
            ValueRef::Blob(b) => printable(&b[..b.len().min(MESSAGE_CHARS_MAX)]),
            _ => String::new(),
        },
    }
}

fn printable(b: &[u8]) -> String {
    let shown = |c: &u8| match c {
        b' '..=b'~' => char::from(*c).to_string(),
        c => format!("\\x{c:02X}"),
    };
    b.iter().map(shown).collect()
}

/// Bytes for a message about a string: the first six.
pub fn bytes_shown(b: &[u8]) -> String {
    const BYTES_MAX: usize = 6;
    let more = if b.len() > BYTES_MAX { "..." } else { "" };
    printable(&b[..b.len().min(BYTES_MAX)]) + more
}

/// 1292 for a text of which a part, or nothing, is a value of the type.
pub(super) fn truncated(kind: &str, text: &str) {
    let text: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
    context::warn(1292, format!("Truncated incorrect {kind} value: '{text}'"));
}

/// 1292 for a date or time.
pub fn incorrect(kind: &str, text: &str) {
    let text: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
    context::warn(1292, format!("Incorrect {kind} value: '{text}'"));
}

/// An error for a value that does not fit a type: 1690.
pub fn out_of_range(kind: &str, expression: &str) -> SqlError {
    SqlError::new(1690, "22003", format!("{kind} value is out of range in '{expression}'"))
}

/// Which dates the session accepts in expressions.
pub fn date_rules() -> DateRules {
    rules_of(context::read(|c| c.sql_mode))
}

/// Which dates a mode accepts.
pub fn rules_of(mode: SqlMode) -> DateRules {
    DateRules {
        no_zero_date: mode.has(SqlMode::NO_ZERO_DATE),
        no_zero_in_date: mode.has(SqlMode::NO_ZERO_IN_DATE),
        allow_invalid: mode.has(SqlMode::ALLOW_INVALID_DATES),
    }
}

fn utf8(b: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(b)
}

/// The whole value of a 64-bit integer, signed or unsigned.
pub fn wide(v: ValueRef<'_>) -> Option<i128> {
    match v {
        ValueRef::Int(i) => Some(i128::from(i)),
        ValueRef::Blob(b) => Some(i128::from(u64::from_be_bytes(b.try_into().ok()?))),
        ValueRef::Real(r) => Some(r as i128),
        _ => None,
    }
}

/// The prefix of a text that is a number, and whether something else follows it.
fn number_prefix(text: &str) -> (&str, bool) {
    let t = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let b = t.as_bytes();
    let mut i = usize::from(matches!(b.first(), Some(b'+' | b'-')));
    let digits = |mut i: usize| {
        while b.get(i).is_some_and(u8::is_ascii_digit) {
            i += 1;
        }
        i
    };
    let from = i;
    i = digits(i);
    let mut any = i > from;
    if b.get(i) == Some(&b'.') {
        let end = digits(i + 1);
        any |= end > i + 1;
        if any {
            i = end;
        }
    }
    if !any {
        return ("", !t.trim_end().is_empty() || t.is_empty());
    }
    if matches!(b.get(i), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(b.get(i + 1), Some(b'+' | b'-')));
        let end = digits(i + 1 + sign);
        if end > i + 1 + sign {
            i = end;
        }
    }
    (&t[..i], !t[i..].trim_end().is_empty())
}

/// Nothing but blanks: the double 0, without a word.
fn is_blank(text: &str) -> bool {
    text.trim_matches(' ').is_empty()
}

/// A text as a double.
pub fn text_to_real(text: &str) -> f64 {
    let (number, junk) = number_prefix(text);
    if junk && !is_blank(text) {
        truncated("DOUBLE", text);
    }
    let r: f64 = number.parse().unwrap_or(0.0);
    if r.is_finite() { r + 0.0 } else { f64::MAX.copysign(r) }
}

/// As DOUBLE.
pub fn to_real(v: ValueRef<'_>, from: TypeCode) -> Converted<f64> {
    Ok(Some(match (v, from.class) {
        (ValueRef::Null, _) => return Ok(None),
        (ValueRef::Real(r), _) => r,
        (ValueRef::Text(t), Class::Json) => json_number(t, Target::Double).to_f64(),
        (ValueRef::Text(t), _) => text_to_real(t),
        (ValueRef::Blob(b), Class::Bytes | Class::Text | Class::Null) => text_to_real(&utf8(b)),
        (ValueRef::Int(_) | ValueRef::Blob(_), class) if class.is_temporal() || class == Class::Decimal => {
            match to_decimal(v, from)? {
                Some(d) => d.to_f64(),
                None => return Ok(None),
            }
        }
        _ => wide(v).unwrap_or(0) as f64,
    }))
}

fn json_number(t: &str, target: Target) -> Decimal {
    let (d, misfit) = json_cast::decimal(t, target);
    if let Some(misfit) = misfit {
        misfit.warn();
    }
    d
}

/// As DECIMAL, with all the digits that the value has.
pub fn to_decimal(v: ValueRef<'_>, from: TypeCode) -> Converted<Decimal> {
    let with_fraction = |n: i64, micros: u32| {
        let d = Decimal::new(i128::from(n), 0);
        if micros == 0 {
            return d;
        }
        let f = Decimal::new(i128::from(micros), 6);
        if n < 0 { d.sub(&f) } else { d.add(&f) }
    };
    Ok(Some(match (v, from.class) {
        (ValueRef::Null, _) => return Ok(None),
        (ValueRef::Text(t), Class::Json) => json_number(t, Target::Decimal),
        (ValueRef::Text(t), _) => text_to_decimal(t, "DECIMAL"),
        (ValueRef::Blob(b), Class::Bytes | Class::Text | Class::Null) => text_to_decimal(&utf8(b), "DECIMAL"),
        (ValueRef::Blob(b), Class::Decimal) => Decimal::decode(b).unwrap_or(Decimal::ZERO),
        (ValueRef::Real(r), _) => Decimal::from_f64(r).unwrap_or(Decimal::ZERO),
        (ValueRef::Int(i), Class::Date) => Decimal::from(DateTime::unpack(i).date().number()),
        (ValueRef::Int(i), Class::DateTime) => {
            let t = DateTime::unpack(i);
            with_fraction(t.number(), t.micros)
        }
        (ValueRef::Int(i), Class::Timestamp) => {
            let t = local(i);
            with_fraction(t.number(), t.micros)
        }
        (ValueRef::Int(i), Class::Time) => {
            let d = with_fraction(Time(i.abs()).number(), Time(i).micros());
            if i < 0 { d.negated() } else { d }
        }
        _ => Decimal::new(wide(v).unwrap_or(0), 0),
    }))
}

/// A text as a decimal; `kind` is what warning 1292 calls it.
pub fn text_to_decimal(text: &str, kind: &str) -> Decimal {
    let (number, junk) = number_prefix(text);
    if junk && !(kind == "DOUBLE" && is_blank(text)) {
        truncated(kind, text);
    }
    Decimal::parse_prefix(number).0
}

/// A TIMESTAMP's stored form in the session's time.
pub fn local(packed: i64) -> DateTime {
    context::zone().to_local(DateTime::unpack(packed))
}

/// As an integer of any sign: fractions of numbers are rounded, those of text cut.
pub fn to_wide(v: ValueRef<'_>, from: TypeCode) -> Converted<i128> {
    Ok(Some(match (v, from.class) {
        (ValueRef::Null, _) => return Ok(None),
        (
            ValueRef::Int(i),
            Class::Int | Class::UInt | Class::Year | Class::Bit | Class::Enum | Class::Set,
        ) => i128::from(i),
        (ValueRef::Text(t), Class::Json) => {
            let (n, misfit) = json_cast::integer(t);
            if let Some(misfit) = misfit {
                misfit.warn();
            }
            n
        }
        (ValueRef::Text(t), _) => text_to_wide(t),
        // A fraction that rounds up may end the minute, and the year.
        (ValueRef::Int(packed), Class::DateTime | Class::Timestamp) if from.decimals > 0 => {
            let t = if from.class == Class::Timestamp { local(packed) } else { DateTime::unpack(packed) };
            let whole = ValueRef::Int(t.rounded(0).unwrap_or_else(|| t.truncated(0)).pack());
            return to_wide(whole, TypeCode { class: Class::DateTime, decimals: 0, ..from });
        }
        (ValueRef::Int(us), Class::Time) if from.decimals > 0 => {
            let whole = ValueRef::Int(Time(us.clamp(-TIME_US_MAX, TIME_US_MAX)).rounded(0).0);
            return to_wide(whole, TypeCode { decimals: 0, ..from });
        }
        (ValueRef::Blob(b), Class::Bytes | Class::Text | Class::Null) => text_to_wide(&utf8(b)),
        (ValueRef::Real(r), _) => r.round_ties_even() as i128,
        _ => match to_decimal(v, from)? {
            Some(d) => d.to_i128().unwrap_or(if d.signum() < 0 { i128::MIN } else { i128::MAX }),
            None => return Ok(None),
        },
    }))
}

fn text_to_wide(text: &str) -> i128 {
    let t = text.trim_start();
    let sign = usize::from(matches!(t.as_bytes().first(), Some(b'+' | b'-')));
    let digits = t[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 || !t[sign + digits..].trim_end().is_empty() {
        truncated("INTEGER", text);
    }
    if digits == 0 {
        return 0;
    }
    let huge = if t.starts_with('-') { i128::MIN } else { i128::MAX };
    t[..sign + digits].parse().unwrap_or(huge)
}

/// As a signed 64-bit integer, cut to its range.
pub fn to_int(v: ValueRef<'_>, from: TypeCode) -> Converted<i64> {
    if let (ValueRef::Int(i), Class::Int) = (v, from.class) {
        return Ok(Some(i));
    }
    Ok(to_wide(v, from)?.map(|w| w.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64))
}

/// A double as MySQL writes it: the shortest digits that read back, with an exponent beyond 15 places.
pub fn real_text(r: f64) -> String {
    shortest(format!("{r:e}"))
}

/// A double with a fixed number of digits behind the point. Behind those that tell it from its neighbours come zeros.
pub fn fixed_text(r: f64, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    let shortest = r.to_string();
    let digits = shortest.split_once('.').map_or(0, |(_, f)| f.len());
    match decimals.checked_sub(digits) {
        Some(0) => shortest,
        Some(zeros) if digits == 0 => format!("{shortest}.{}", "0".repeat(zeros)),
        Some(zeros) => shortest + &"0".repeat(zeros),
        None => format!("{r:.decimals$}"),
    }
}

/// A float as MySQL writes it.
pub fn float_text(r: f32) -> String {
    let rounded: f32 = format!("{r:.5e}").parse().unwrap_or(r);
    shortest(format!("{rounded:e}"))
}

fn shortest(scientific: String) -> String {
    const PLACES_MAX: i32 = 15;
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(m) => ("-", m),
        None => ("", mantissa),
    };
    let point = exponent + 1;
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let whole = point >= digits.len() as i32;
    if point <= -PLACES_MAX || (point > PLACES_MAX && whole) {
        return format!("{sign}{mantissa}e{exponent}");
    }
    if point <= 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    }
    let point = point as usize;
    if digits.len() <= point {
        return format!("{sign}{digits}{}", "0".repeat(point - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..point], &digits[point..])
}

/// The bytes of a BIT(width) value.
pub fn bit_bytes(v: ValueRef<'_>, width: u8) -> Vec<u8> {
    let n = wide(v).unwrap_or(0) as u64;
    let bytes = usize::from(width.max(1)).div_ceil(8).min(8);
    n.to_be_bytes()[8 - bytes..].to_vec()
}

/// The text of an ENUM's index.
pub fn enum_text(members: &[String], index: i64) -> &str {
    usize::try_from(index).ok().and_then(|i| members.get(i.checked_sub(1)?)).map_or("", String::as_str)
}

/// The text of a SET's mask.
pub fn set_text(members: &[String], mask: ValueRef<'_>) -> String {
    let mask = wide(mask).unwrap_or(0) as u64;
    let mut out = String::new();
    for (i, m) in members.iter().enumerate().take(64) {
        if mask >> i & 1 == 1 {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(m);
        }
    }
    out
}

/// As text. ENUM and SET give their number: their members are not in the code.
///
/// # Errors
/// 3854 for bytes that are no UTF-8.
pub fn to_text<'a>(v: ValueRef<'a>, from: TypeCode) -> Converted<Cow<'a, str>> {
    let mut out = String::new();
    // Writing to a String does not fail.
    let _ = match (v, from.class) {
        (ValueRef::Null, _) => return Ok(None),
        (ValueRef::Text(t), _) => return Ok(Some(Cow::Borrowed(t))),
        (ValueRef::Blob(b), Class::Decimal) => {
            let d = Decimal::decode(b).unwrap_or(Decimal::ZERO);
            let text = if from.decimals > 30 { d.to_string() } else { d.to_text(from.decimals) };
            out = zero_filled(text, from);
            Ok(())
        }
        (_, Class::Bit) => {
            let b = bit_bytes(v, from.width);
            return match String::from_utf8(b) {
                Ok(t) => Ok(Some(Cow::Owned(t))),
                Err(e) => Err(no_text(e.as_bytes())),
            };
        }
        (ValueRef::Blob(_), Class::Int | Class::UInt | Class::Set | Class::Enum | Class::Year) => {
            out = zero_filled(wide(v).unwrap_or(0).to_string(), from);
            Ok(())
        }
        (ValueRef::Blob(b), _) => {
            return match std::str::from_utf8(b) {
                Ok(t) => Ok(Some(Cow::Borrowed(t))),
                Err(_) => Err(no_text(b)),
            };
        }
        (ValueRef::Real(r), Class::Float) => {
            out = if from.decimals <= 30 { fixed_text(r, from.decimals) } else { float_text(r as f32) };
            Ok(())
        }
        (ValueRef::Real(r), _) => {
            out = if from.decimals <= 30 && matches!(from.class, Class::Real) {
                fixed_text(r, from.decimals)
            } else {
                real_text(r)
            };
            Ok(())
        }
        (ValueRef::Int(i), Class::Date) => write!(out, "{}", DateTime::unpack(i).date()),
        (ValueRef::Int(i), Class::DateTime) => DateTime::unpack(i).format(from.decimals.min(6), &mut out),
        (ValueRef::Int(i), Class::Timestamp) => local(i).format(from.decimals.min(6), &mut out),
        (ValueRef::Int(i), Class::Time) => Time(i).format(from.decimals.min(6), &mut out),
        (ValueRef::Int(i), Class::Year) => write!(out, "{i:04}"),
        (ValueRef::Int(i), _) => {
            out = zero_filled(i.to_string(), from);
            Ok(())
        }
    };
    Ok(Some(Cow::Owned(out)))
}

fn zero_filled(text: String, from: TypeCode) -> String {
    let width = usize::from(from.width);
    if from.zerofill && text.len() < width { "0".repeat(width - text.len()) + &text } else { text }
}

/// Bytes that are said to be UTF-8; otherwise 1300, as an error or, where they were to be converted, as a warning and NULL.
pub fn utf8_of(b: &[u8], is_error: bool) -> Converted<&str> {
    if let Ok(t) = std::str::from_utf8(b) {
        return Ok(Some(t));
    }
    let hex = p2pdb_model::ids::hex(&b[..b.len().min(6)]).to_uppercase();
    let message = format!("Invalid utf8mb4 character string: '{hex}'");
    if is_error {
        return Err(SqlError::new(1300, "HY000", message));
    }
    context::warn(1300, message);
    Ok(None)
}

/// 3854: bytes of a binary string that are no text.
fn no_text(b: &[u8]) -> SqlError {
    let shown = bytes_shown(b);
    SqlError::new(3854, "HY000", format!("Cannot convert string '{shown}' from binary to utf8mb4"))
}

/// As bytes.
pub fn to_bytes<'a>(v: ValueRef<'a>, from: TypeCode) -> Converted<Cow<'a, [u8]>> {
    Ok(match (v, from.class) {
        (ValueRef::Null, _) => None,
        (ValueRef::Blob(b), Class::Bytes | Class::Text | Class::Null) => Some(Cow::Borrowed(b)),
        (_, Class::Bit) => Some(Cow::Owned(bit_bytes(v, from.width))),
        (ValueRef::Text(t), _) => Some(Cow::Borrowed(t.as_bytes())),
        _ => to_text(v, from)?.map(|t| Cow::Owned(t.into_owned().into_bytes())),
    })
}

/// A text as DATETIME in the session's time; `None` when it is none.
pub fn parse_datetime(text: &str) -> Option<DateTime> {
    let p = DateTime::parse(text)?;
    let mut t = p.value;
    if p.round_up {
        t = t.plus_us(1)?;
    }
    if let Some(offset) = p.offset_seconds {
        t = context::zone().to_local(t.plus_us(i64::from(-offset) * 1_000_000)?);
    }
    Some(t)
}

/// Characters were left over after the date in this text.
pub fn has_junk(text: &str) -> bool {
    DateTime::parse(text).is_some_and(|p| p.truncated)
}

/// As DATETIME. What is none is NULL with warning 1292, or 3156 where it is JSON.
pub fn to_datetime(v: ValueRef<'_>, from: TypeCode) -> Converted<DateTime> {
    datetime_for(v, from, Target::DateTime)
}

fn datetime_for(v: ValueRef<'_>, from: TypeCode, target: Target) -> Converted<DateTime> {
    let rules = date_rules();
    let found = match (v, from.class) {
        (ValueRef::Null, _) => return Ok(None),
        (ValueRef::Int(i), Class::Date | Class::DateTime) => return Ok(Some(DateTime::unpack(i))),
        (ValueRef::Int(i), Class::Timestamp) => return Ok(Some(local(i))),
        (ValueRef::Int(i), Class::Time) => return Ok(today().plus_us(i)),
        (ValueRef::Text(t), Class::Json) => {
            let found = json_cast::datetime(t);
            if found.is_none() {
                json_cast::no_date(target).warn();
                return Ok(None);
            }
            found
        }
        (ValueRef::Text(t), _) => {
            if has_junk(t) {
                truncated("datetime", t);
            }
            parse_datetime(t)
        }
        (ValueRef::Blob(b), Class::Bytes | Class::Text | Class::Null) => parse_datetime(&utf8(b)),
        _ => match to_decimal(v, from)? {
            Some(d) => number_to_datetime(&d),
            None => None,
        },
    };
    let found = found.filter(|t| t.is_valid(rules));
    if found.is_none() {
        incorrect("datetime", &shown(v, from));
    }
    Ok(found)
}

/// A text as a date whose month and day may be zero. What is none is NULL with warning 1292.
pub fn to_partial_date(t: &str) -> Option<DateTime> {
    let rules = DateRules { no_zero_in_date: false, ..date_rules() };
    let found = parse_datetime(t).filter(|t| t.is_valid(rules));
    if found.is_none() {
        incorrect("datetime", &shown(ValueRef::Text(t), TypeCode::of(Class::Text)));
    } else if has_junk(t) {
        truncated("datetime", t);
    }
    found
}

/// A number such as 20240131123000.5 as DATETIME.
pub fn number_to_datetime(d: &Decimal) -> Option<DateTime> {
    let whole = i64::try_from(d.truncated(0).to_i128()?).ok()?;
    let (t, date_only) = DateTime::from_number(whole)?;
    if date_only {
        // There is no part of a second behind a date.
        return Some(t);
    }
    let micros = d.sub(&d.truncated(0)).mul(&Decimal::new(1_000_000, 0)).to_i128()?;
    if micros == 0 { Some(t) } else { t.plus_us(i64::try_from(micros).ok()?) }
}

/// A number such as 20240131.5: a date, behind which a fraction has no meaning.
pub fn is_date_with_fraction(d: &Decimal) -> bool {
    let whole = || i64::try_from(d.truncated(0).to_i128()?).ok();
    !d.is_whole() && whole().and_then(DateTime::from_number).is_some_and(|(_, date_only)| date_only)
}

/// Midnight of the present day in the session's time.
pub fn today() -> DateTime {
    let (now_us, zone) = context::read(|c| (c.now_us, c.zone));
    DateTime::from_unix_us(zone.local_us(now_us)).date().midnight()
}

/// As DATE.
pub fn to_date(v: ValueRef<'_>, from: TypeCode) -> Converted<Date> {
    Ok(datetime_for(v, from, Target::Date)?.map(DateTime::date))
}

/// The date and time that a text for a TIME holds: one with a date in it, or with the digits of one.
pub fn datetime_in_time(t: &str) -> Option<p2pdb_model::temporal::Parsed> {
    const DIGITS_MIN: usize = 12;
    let digits = t.trim_start().bytes().take_while(u8::is_ascii_digit).count();
    DateTime::parse(t).filter(|p| {
        !p.date_only
            && (t.contains(['-', '/', 'T']) || digits >= DIGITS_MIN)
            && !t.trim_start().starts_with('-')
    })
}

/// The time in a number such as 123456.7 (12:34:56.7), or in one with the digits of a date.
///
/// # Errors
/// What a column takes where sql_mode is not strict: the end of the range for a number beyond it, nothing where it is no time.
pub fn number_to_time(d: &Decimal) -> Result<Time, Option<Time>> {
    const WITHOUT_DATE_MAX: u64 = 10_000_000_000;
    const GREATEST: u64 = 8_385_959;
    let max = TIME_US_MAX;
    let end = Some(Time(if d.signum() < 0 { -max } else { max }));
    let whole = d.truncated(0);
    let Some(n) = whole.to_i128().and_then(|n| i64::try_from(n).ok()) else { return Err(end) };
    if n.unsigned_abs() > WITHOUT_DATE_MAX {
        return number_to_datetime(d).map(|t| Time(t.time_us())).ok_or(None);
    }
    let micros = d.sub(&whole).mul(&Decimal::new(1_000_000, 0)).to_i128().unwrap_or(0) as i64;
    match Time::from_number(n).map(|t| Time(t.0 + micros)) {
        Some(t) if t.0.abs() <= max => Ok(t),
        _ if n.unsigned_abs() >= GREATEST => Err(end),
        _ => Err(None),
    }
}

/// As TIME. What is none is NULL with warning 1292, or 3156 where it is JSON.
pub fn to_time(v: ValueRef<'_>, from: TypeCode) -> Converted<Time> {
    let of_text = |t: &str| {
        if let Some(p) = datetime_in_time(t) {
            if p.truncated {
                truncated("time", t);
            }
            return parse_datetime(t).map(|d| Time(d.time_us()));
        }
        match Time::parse(t) {
            Ok((time, junk)) => {
                if junk {
                    truncated("time", t);
                }
                Some(time)
            }
            Err(_) if !t.trim().is_empty() && Decimal::parse_prefix(t.trim()).1 == t.trim().len() => {
                // Digits without separators are the number.
                let time = number_to_time(&Decimal::parse_prefix(t.trim()).0);
                time.map_or_else(
                    |end| {
                        truncated("time", t);
                        end
                    },
                    Some,
                )
            }
            Err(true) if t.contains(':') && Time::parse(t).is_err() => {
                let hours = t.trim().trim_start_matches('-').split(':').next()?;
                // The greatest time with a fraction is beyond the greatest, too.
                let whole = t.split('.').next().is_some_and(|t| Time::parse(t).is_ok());
                let huge = whole || hours.parse::<u64>().is_ok_and(|h| h > 838);
                truncated("time", t);
                let max = TIME_US_MAX;
                huge.then_some(Time(if t.trim().starts_with('-') { -max } else { max }))
            }
            Err(_) => None,
        }
    };
    let found = match (v, from.class) {
        (ValueRef::Null, _) => return Ok(None),
        (ValueRef::Int(i), Class::Time) => return Ok(Some(Time(i))),
        (ValueRef::Int(_), Class::Date) => return Ok(Some(Time(0))),
        (ValueRef::Int(i), Class::DateTime) => return Ok(Some(Time(DateTime::unpack(i).time_us()))),
        (ValueRef::Int(i), Class::Timestamp) => return Ok(Some(Time(local(i).time_us()))),
        (ValueRef::Text(t), Class::Json) => {
            let found = json_cast::time(t);
            if found.is_none() {
                json_cast::no_date(Target::Time).warn();
                return Ok(None);
            }
            found
        }
        (ValueRef::Text(t), _) => of_text(t),
        (ValueRef::Blob(b), Class::Bytes | Class::Text | Class::Null) => of_text(&utf8(b)),
        _ => to_decimal(v, from)?.and_then(|d| number_to_time(&d).ok()),
    };
    if found.is_none() {
        truncated("time", &shown(v, from));
    }
    Ok(found)
}

/// Converts a value from one class to another, rounding to the target's digits where that is what the class needs.
pub fn convert(v: ValueRef<'_>, from: TypeCode, to: TypeCode) -> Result<Value, SqlError> {
    let or_null = |v: Option<Value>| v.unwrap_or(Value::Null);
    Ok(match to.class {
        Class::Null => v.to_value(),
        _ if matches!(v, ValueRef::Null) => Value::Null,
        Class::Int | Class::Year | Class::Enum => or_null(to_int(v, from)?.map(Value::Int)),
        Class::UInt | Class::Bit | Class::Set => or_null(to_wide(v, from)?.map(|w| {
            if w < 0 {
                Value::Int(w.max(i128::from(i64::MIN)) as i64)
            } else {
                Value::from_u64(u64::try_from(w).unwrap_or(u64::MAX))
            }
        })),
        Class::Real => or_null(to_real(v, from)?.map(Value::Real)),
        Class::Float => or_null(to_real(v, from)?.map(|r| Value::Real(f64::from(r as f32)))),
        Class::Decimal => or_null(to_decimal(v, from)?.map(|d| Value::Blob(d.encode()))),
        Class::Text | Class::Json => or_null(to_text(v, from)?.map(|t| Value::Text(t.into_owned()))),
        Class::Bytes => or_null(to_bytes(v, from)?.map(|t| Value::Blob(t.into_owned()))),
        Class::Date => or_null(to_date(v, from)?.map(|d| Value::Int(d.pack()))),
        Class::DateTime => or_null(to_datetime(v, from)?.map(|d| Value::Int(d.pack()))),
        Class::Timestamp => match from.class {
            Class::Timestamp => v.to_value(),
            _ => or_null(to_datetime(v, from)?.map(|d| Value::Int(context::zone().to_utc(d).pack()))),
        },
        Class::Time => or_null(to_time(v, from)?.map(|t| Value::Int(t.0))),
    })
}

/// Converts a value between full types: as [`convert`], with the members of ENUM and SET.
pub fn convert_typed(v: Value, from: &FieldType, to: &FieldType) -> Result<Value, SqlError> {
    let v = match (&from.kind, to.class()) {
        (_, Class::Null) => return Ok(v),
        (FieldKind::Enum(members), class) if !class.is_number() => match &v {
            Value::Int(i) => return from_text(enum_text(members, *i).to_owned(), to),
            _ => v,
        },
        (FieldKind::Set(members), class) if !class.is_number() => match &v {
            Value::Null => v,
            _ => return from_text(set_text(members, ValueRef::from(&v)), to),
        },
        _ => v,
    };
    convert(ValueRef::from(&v), from.code(), to.code())
}

fn from_text(t: String, to: &FieldType) -> Result<Value, SqlError> {
    convert(ValueRef::Text(&t), TypeCode::of(Class::Text), to.code())
}
