//! Adding intervals, differences, and parts of dates and times.

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{DAY_US, DateTime, SECOND_US};
use p2pdb_model::{Value, ValueRef};

use super::calendar::week;
use super::unit::Unit;
use crate::functions::{number, str_of};

/// An interval of a unit below months, in microseconds.
pub(super) fn amount_us(v: &ValueRef<'_>, unit: Unit, sign: i64) -> Option<i64> {
    if unit.is_compound() {
        let (negative, numbers) = parts_of(str_of(v), unit)?;
        let mut us = 0i64;
        for (n, size) in numbers.iter().zip(unit.parts()) {
            us = us.checked_add(n.checked_mul(*size)?)?;
        }
        return us.checked_mul(if negative { -sign } else { sign });
    }
    let d = number::dec(v)?;
    let size = match unit {
        Unit::Microsecond => 1,
        Unit::Second => SECOND_US,
        Unit::Minute => 60 * SECOND_US,
        Unit::Hour => 3600 * SECOND_US,
        Unit::Day => DAY_US,
        Unit::Week => 7 * DAY_US,
        _ => return None,
    };
    // Only seconds have a fraction.
    let d = if unit == Unit::Second { d } else { d.rounded(0) };
    let us = d.mul(&Decimal::new(i128::from(size), 0)).to_i128()?;
    i64::try_from(us).ok()?.checked_mul(sign)
}

/// An interval that reaches forward, in microseconds: an integer, or a text as compound units take it.
pub(crate) fn distance_us(v: &Value, unit: Unit) -> Option<i64> {
    let us = match v {
        Value::Text(t) if !unit.is_compound() => {
            let n = Decimal::parse_prefix(t.trim()).0;
            amount_us(&ValueRef::Blob(&n.encode()), unit, 1)
        }
        Value::Int(n) if unit.is_compound() => amount_us(&ValueRef::Text(&n.to_string()), unit, 1),
        v => amount_us(&ValueRef::from(v), unit, 1),
    };
    us.filter(|us| *us >= 0)
}

/// The numbers of a compound interval; missing ones on the left are zero.
fn parts_of(t: &str, unit: Unit) -> Option<(bool, Vec<i64>)> {
    let t = t.trim();
    let (negative, t) = match t.strip_prefix('-') {
        Some(r) => (true, r),
        None => (false, t),
    };
    let mut texts: Vec<&str> = t.split(|c: char| !c.is_ascii_digit()).filter(|p| !p.is_empty()).collect();
    let want = if unit == Unit::YearMonth { 2 } else { unit.parts().len() };
    if texts.len() > want {
        return None;
    }
    let mut numbers = vec![0; want - texts.len()];
    let last = if unit.has_micros() { texts.pop() } else { None };
    for p in texts {
        numbers.push(p.parse().ok()?);
    }
    if let Some(p) = last {
        let padded: String = p.chars().chain(std::iter::repeat('0')).take(6).collect();
        numbers.push(padded.parse().ok()?);
    }
    Some((negative, numbers))
}

pub(super) fn add(t: DateTime, v: &ValueRef<'_>, unit: Unit, sign: i64) -> Option<DateTime> {
    let months = |n: i64| n.checked_mul(sign).and_then(|n| t.plus_months(n));
    match unit {
        Unit::Month | Unit::Quarter | Unit::Year => {
            let n = i64::try_from(number::dec(v)?.to_i128()?).ok()?;
            months(n.checked_mul(match unit {
                Unit::Month => 1,
                Unit::Quarter => 3,
                _ => 12,
            })?)
        }
        Unit::YearMonth => {
            let (negative, n) = parts_of(str_of(v), unit)?;
            let n = n[0].checked_mul(12)?.checked_add(n[1])?;
            months(if negative { -n } else { n })
        }
        _ => t.plus_us(amount_us(v, unit, sign)?),
    }
}

pub(super) fn difference(unit: Unit, a: DateTime, b: DateTime) -> i64 {
    let us = b.unix_us() - a.unix_us();
    let months = || {
        let (x, y, sign) = if us >= 0 { (a, b, 1) } else { (b, a, -1) };
        let mut n = (i64::from(y.year) - i64::from(x.year)) * 12 + i64::from(y.month) - i64::from(x.month);
        if (y.day, y.time_us()) < (x.day, x.time_us()) {
            n -= 1;
        }
        n * sign
    };
    match unit {
        Unit::Microsecond => us,
        Unit::Second => us / SECOND_US,
        Unit::Minute => us / (60 * SECOND_US),
        Unit::Hour => us / (3600 * SECOND_US),
        Unit::Week => us / (7 * DAY_US),
        Unit::Month => months(),
        Unit::Quarter => months() / 3,
        Unit::Year => months() / 12,
        _ => us / DAY_US,
    }
}

pub(super) fn extract_time(unit: Unit, h: i64, m: i64, s: i64, us: i64) -> i64 {
    match unit {
        Unit::Microsecond => us,
        Unit::Second => s,
        Unit::Minute => m,
        Unit::Hour => h,
        Unit::SecondMicrosecond => s * 1_000_000 + us,
        Unit::MinuteMicrosecond => (m * 100 + s) * 1_000_000 + us,
        Unit::MinuteSecond => m * 100 + s,
        Unit::HourMicrosecond => ((h * 100 + m) * 100 + s) * 1_000_000 + us,
        Unit::HourSecond => (h * 100 + m) * 100 + s,
        Unit::HourMinute => h * 100 + m,
        _ => 0,
    }
}

pub(super) fn extract(unit: Unit, t: DateTime) -> i64 {
    let (h, m, s, us) = (i64::from(t.hour), i64::from(t.minute), i64::from(t.second), i64::from(t.micros));
    let d = i64::from(t.day);
    match unit {
        Unit::Year => i64::from(t.year),
        Unit::Quarter => i64::from(t.month.div_ceil(3)),
        Unit::Month => i64::from(t.month),
        Unit::Week => week(t.date(), 0, false).1,
        Unit::Day => d,
        Unit::YearMonth => i64::from(t.year) * 100 + i64::from(t.month),
        Unit::DayMicrosecond => (((d * 100 + h) * 100 + m) * 100 + s) * 1_000_000 + us,
        Unit::DaySecond => ((d * 100 + h) * 100 + m) * 100 + s,
        Unit::DayMinute => (d * 100 + h) * 100 + m,
        Unit::DayHour => d * 100 + h,
        other => extract_time(other, h, m, s, us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(t: &str) -> DateTime {
        DateTime::parse(t).unwrap().value
    }

    #[test]
    fn differences_count_whole_units() {
        assert_eq!(difference(Unit::Month, d("2003-02-01"), d("2003-05-01")), 3);
        assert_eq!(difference(Unit::Year, d("2002-05-01"), d("2001-01-01")), -1);
        assert_eq!(difference(Unit::Minute, d("2003-02-01"), d("2003-05-01 12:05:55")), 128_885);
    }
}
