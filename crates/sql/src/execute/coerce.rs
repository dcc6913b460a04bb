//! Conversions that slots carry: to an expression's type, to a column, to the other side of a comparison.

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{DateRules, DateTime, Time};
use p2pdb_model::{Value, ValueRef};

use super::convert::{self, convert_typed};
use super::{assign, context};
use crate::bind::is_bytes_type;
use crate::collate;
use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::functions::json;
use crate::plan::Coerce;
use crate::types::{Class, TypeCode};

/// Applies a conversion to a value in the stored form of `from`.
///
/// # Errors
/// Those of the assignment or comparison.
pub fn apply(how: &Coerce, value: Value, from: &FieldType) -> Result<Value, SqlError> {
    match how {
        Coerce::None => Ok(value),
        Coerce::Column(target) => assign::assign(value, from, target),
        Coerce::Expression(to) => convert_typed(value, from, to),
        Coerce::Compare(to) => compare(value, from, to, false),
        Coerce::Beside(to) => compare(value, from, to, true),
        Coerce::RowCount { literal } => row_count(value, from, *literal),
        Coerce::Through(to, target) => assign::assign(convert_typed(value, from, to)?, to, target),
    }
}

/// Does this conversion make a binary string?
pub(super) fn makes_bytes(how: &Coerce) -> bool {
    match how {
        Coerce::Column(target) => is_bytes_type(&target.ty),
        Coerce::Expression(to) | Coerce::Compare(to) | Coerce::Beside(to) | Coerce::Through(to, _) => {
            to.class() == Class::Bytes
        }
        Coerce::None | Coerce::RowCount { .. } => false,
    }
}

/// LIMIT and OFFSET: an integer that is not negative. What SQLite cannot count to is as good as no limit.
fn row_count(value: Value, from: &FieldType, literal: bool) -> Result<Value, SqlError> {
    let integer = matches!(from.class(), Class::Int | Class::UInt);
    // Some drivers send numbers as texts.
    if let Value::Text(t) = &value
        && let (false, Ok(n)) = (literal, t.trim().parse::<u64>())
    {
        return Ok(Value::Int(i64::try_from(n).unwrap_or(i64::MAX)));
    }
    match &value {
        Value::Int(0..) if integer => Ok(value),
        Value::Blob(_) if from.class() == Class::UInt && value.as_u64().is_some() => Ok(Value::Int(i64::MAX)),
        Value::Null if !literal => Ok(Value::Int(0)),
        // Others send all numbers as DOUBLE.
        Value::Real(r) if !literal && *r >= -0.5 => Ok(Value::Int(r.round_ties_even() as i64)),
        _ if literal => {
            let text = convert::to_text(ValueRef::from(&value), from.code())?.unwrap_or_default();
            Err(SqlError::syntax(&text, 1))
        }
        Value::Int(_) if integer => {
            Err(SqlError::new(1690, "22003", "unsigned integer value is out of range in 'EXECUTE'"))
        }
        _ => Err(SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE")),
    }
}

/// A number that is no date beside dates, which compare as numbers then: equal to none, and in order among them.
fn beside_dates(d: &Decimal, date: bool) -> Value {
    if d.is_zero() {
        return Value::Int(0);
    }
    let Some(n) = d.truncated(0).to_i128().filter(|n| *n < 1 << 63) else { return Value::Int(i64::MAX) };
    if d.signum() < 0 {
        return Value::Int(i64::MIN);
    }
    let n = if date { n } else { n / 1_000_000 };
    let part = |of: i128, max: u8| u8::try_from(of % 100).unwrap_or(max).min(max);
    let Ok(year) = u16::try_from(n / 10_000) else { return Value::Int(i64::MAX) };
    // Months go from 0 to 12: the thirteenth is before the next year, and no date is a microsecond after midnight.
    let near = DateTime { year, month: part(n / 100, 13), day: part(n, 31), ..DateTime::default() };
    Value::Int(near.pack() + 1)
}

/// A text that is no time beside times, which MySQL compares as texts: equal to none, and in order before or after all of
/// them, or behind the time that it begins with. As one of several it is midnight.
fn beside_times(text: &str, prefix: Option<Time>, one_of_several: bool) -> Value {
    match (prefix, text.trim_start().chars().next()) {
        (Some(t), _) => Value::Real(t.0 as f64 + 0.5),
        (None, _) if one_of_several => Value::Int(0),
        (None, Some(c)) if c > '9' => Value::Int(i64::MAX),
        (None, _) => Value::Int(i64::MIN),
    }
}

fn compare(
    value: Value,
    from: &FieldType,
    with: &FieldType,
    one_of_several: bool,
) -> Result<Value, SqlError> {
    if value.is_null() {
        return Ok(value);
    }
    let v = ValueRef::from(&value);
    let code = from.code();
    match with.class() {
        Class::Int | Class::UInt | Class::Bit => {
            if matches!(from.class(), Class::Int | Class::UInt | Class::Year | Class::Bit) {
                return Ok(value);
            }
            let d = number(v, code)?;
            Ok(beside_integers(&d, with.class() != Class::Int))
        }
        Class::Year => {
            let d = number(v, code)?;
            let text = matches!(from.class(), Class::Text);
            let is_numeric = matches!(v, ValueRef::Text(t) if Decimal::parse_prefix(t.trim()).1 > 0);
            Ok(match d.to_i128() {
                Some(n @ 1..=69) => Value::Int(2000 + n as i64),
                Some(0) if text && is_numeric => Value::Int(2000),
                Some(n @ 70..=99) => Value::Int(1900 + n as i64),
                _ => beside_integers(&d, false),
            })
        }
        Class::Decimal => {
            let d = number(v, code)?;
            Ok(Value::Blob(d.encode()))
        }
        Class::Date | Class::DateTime | Class::Timestamp => {
            let rules = DateRules { no_zero_date: false, no_zero_in_date: false, ..convert::date_rules() };
            let kind = match with.class() {
                Class::Date => "DATE",
                Class::DateTime => "DATETIME",
                _ => "TIMESTAMP",
            };
            let wrong = || convert::truncated(&kind.to_lowercase(), &convert::shown(v, code));
            let found = match (v, from.class()) {
                (ValueRef::Text(t), Class::Text) => {
                    let found = convert::parse_datetime(t).filter(|t| t.is_valid(rules));
                    let junk = found.is_some() && convert::has_junk(t);
                    if junk {
                        wrong();
                    }
                    // Behind digits alone nothing may follow.
                    found.filter(|_| !junk || t.trim_start().bytes().take(5).any(|b| !b.is_ascii_digit()))
                }
                (_, class) if class.is_number() => {
                    let d = number(v, code)?;
                    let found = convert::number_to_datetime(&d).filter(|t| t.is_valid(rules));
                    if found.is_none() && !d.is_zero() {
                        wrong();
                    }
                    let Some(found) = found else { return Ok(beside_dates(&d, with.class() == Class::Date)) };
                    Some(found)
                }
                _ => convert::to_datetime(v, code)?,
            };
            let Some(t) = found else {
                if one_of_several {
                    wrong();
                    return Ok(Value::Int(0));
                }
                let shown = convert::shown(v, code);
                return Err(SqlError::new(1525, "HY000", format!("Incorrect {kind} value: '{shown}'")));
            };
            let t = if with.class() == Class::Timestamp { context::zone().to_utc(t) } else { t };
            Ok(Value::Int(t.pack()))
        }
        Class::Time if matches!(v, ValueRef::Text("")) => Ok(beside_times("", None, one_of_several)),
        Class::Time => {
            let before = context::read(|c| c.warning_count);
            let found = convert::to_time(v, code)?;
            let junk = context::read(|c| c.warning_count) > before && from.class() == Class::Text;
            let found = match found {
                Some(t) if !junk => return Ok(Value::Int(t.0)),
                other => other,
            };
            context::drop_warnings_since(before);
            let shown = convert::shown(v, code);
            convert::truncated("time", &shown);
            Ok(beside_times(&shown, found, one_of_several))
        }
        Class::Enum => match (&with.kind, v) {
            (FieldKind::Enum(members), ValueRef::Text(t)) => {
                Ok(Value::Int(enum_index(members, t, with).or((t.is_empty()).then_some(0)).unwrap_or(-1)))
            }
            _ => convert_typed(value, from, &FieldType::int()),
        },
        Class::Set => match (&with.kind, v) {
            (FieldKind::Set(members), ValueRef::Text(t)) => {
                // A set equals its own text only: members in order, each once.
                let cmp = collate::function(with.collation);
                let own = |m: &u64| {
                    let mask = Value::from_u64(*m);
                    cmp(&convert::set_text(members, ValueRef::from(&mask)), t).is_eq()
                };
                Ok(set_mask(members, t, with).filter(own).map_or(Value::Int(-1), Value::from_u64))
            }
            _ => convert_typed(value, from, &FieldType::uint()),
        },
        Class::Json => Ok(Value::Text(json::from_sql(v, code)?)),
        _ => convert_typed(value, from, with),
    }
}

/// A value as a number; text is one as far as it goes.
fn number(v: ValueRef<'_>, code: TypeCode) -> Result<Decimal, SqlError> {
    match (v, code.class) {
        (ValueRef::Text(t), Class::Text) => Ok(convert::text_to_decimal(t, "DOUBLE")),
        _ => Ok(convert::to_decimal(v, code)?.unwrap_or(Decimal::ZERO)),
    }
}

/// A number that compares with stored integers in SQLite as it should: an integer where it is one, else a real between
/// its neighbours; beyond 2^64 a value after all stored integers.
fn beside_integers(d: &Decimal, unsigned: bool) -> Value {
    if d.is_whole() {
        if let Some(n) = d.to_i128() {
            if let Ok(n) = i64::try_from(n) {
                return Value::Int(n);
            }
            if let (true, Ok(n)) = (unsigned, u64::try_from(n)) {
                return Value::from_u64(n);
            }
        }
        if unsigned && d.signum() > 0 {
            return Value::Blob(vec![0xff; 9]);
        }
        return Value::Real(d.to_f64());
    }
    let r = d.to_f64();
    if r.fract() != 0.0 {
        return Value::Real(r);
    }
    // The nearest double is whole: any value between the same two integers compares alike.
    let floor = d.floor();
    if let (true, Some(n)) = (unsigned, floor.to_i128().and_then(|n| u64::try_from(n).ok()))
        && n > i64::MAX as u64
    {
        let mut b = n.to_be_bytes().to_vec();
        b.push(0);
        return Value::Blob(b);
    }
    let half = floor.to_f64() + 0.5;
    Value::Real(half)
}

/// The index of an ENUM's member, by the column's collation.
pub fn enum_index(members: &[String], text: &str, ty: &FieldType) -> Option<i64> {
    let cmp = collate::function(ty.collation);
    let text = text.trim_end_matches(' ');
    members.iter().position(|m| cmp(m, text).is_eq()).map(|i| i as i64 + 1)
}

/// The mask of a SET's members in a comma separated list; `None` when one is unknown.
pub fn set_mask(members: &[String], text: &str, ty: &FieldType) -> Option<u64> {
    let cmp = collate::function(ty.collation);
    let mut mask = 0;
    if text.is_empty() {
        return Some(0);
    }
    for word in text.split(',') {
        mask |= 1 << members.iter().take(64).position(|m| cmp(m, word).is_eq())?;
    }
    Some(mask)
}
