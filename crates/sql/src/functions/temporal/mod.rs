//! Functions of dates and times. DATETIME arguments are packed, TIME arguments are microseconds.

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{
    Date, DateRules, DateTime, SECOND_US, TIME_US_MAX, Time, date_of_day_number, days_in_month,
};
use p2pdb_model::{Value, ValueRef};

mod calendar;
mod format;
mod interval;
mod unit;

use calendar::{DAYS, MONTHS, day_of_year, week, weekday, whole};
use format::{format_date, format_time, str_to_date};
pub use format::{format_kind, format_length};
pub(crate) use interval::distance_us;
use interval::{add, amount_us, difference, extract, extract_time};
pub use unit::Unit;

use super::{Answer, Row, any_null, int_of, str_of, text};
use crate::error::SqlError;
use crate::execute::{context, convert};
use crate::types::{Class, TypeCode};
use crate::zone::Zone;

macro_rules! date {
    ($f:expr) => {
        |a| match a.first() {
            Some(ValueRef::Int(i)) => $f(DateTime::unpack(*i), a),
            _ => Ok(Value::Null),
        }
    };
}

macro_rules! time {
    ($f:expr) => {
        |a| match a.first() {
            Some(ValueRef::Int(i)) => Ok(Value::Int($f(Time(*i)))),
            _ => Ok(Value::Null),
        }
    };
}

/// A text or bytes that are compared with a date: what is none is the zero date.
fn date_beside(a: &[ValueRef<'_>]) -> Answer {
    if any_null(a) {
        return Ok(Value::Null);
    }
    let (text, as_date) = (text_or_bytes(&a[0]), int_of(&a[1]) == 1);
    let found = convert::parse_datetime(&text).filter(|t| t.is_valid(convert::date_rules()));
    match (found, as_date) {
        (None, true) => context::warn(1292, format!("Truncated incorrect date value: '{text}'")),
        (None, false) => convert::incorrect("datetime", &text),
        (Some(_), as_date) if convert::has_junk(&text) => {
            let kind = if as_date { "date" } else { "datetime" };
            context::warn(1292, format!("Truncated incorrect {kind} value: '{text}'"));
        }
        _ => {}
    }
    Ok(Value::Int(found.map_or(0, |t| if as_date { t.date().midnight().pack() } else { t.pack() })))
}

/// GREATEST and LEAST of dates and texts: `p_extreme_date(greatest, date, fsp, …)`, dates as DATETIME(6). The answer is a
/// text; `date`: without a time. A text that is no date counts for nothing.
fn extreme_date(a: &[ValueRef<'_>]) -> Answer {
    let [greatest, date, fsp, values @ ..] = a else { return Ok(Value::Null) };
    if any_null(values) {
        return Ok(Value::Null);
    }
    let (greatest, date) = (int_of(greatest) == 1, int_of(date) == 1);
    let mut found: Option<DateTime> = None;
    for v in values {
        let t = match v {
            ValueRef::Int(packed) => Some(DateTime::unpack(*packed)),
            v => {
                let text = text_or_bytes(v);
                let t = convert::parse_datetime(&text).filter(|t| t.is_valid(convert::date_rules()));
                if t.is_none() {
                    let kind = if date { "Truncated incorrect date" } else { "Incorrect datetime" };
                    context::warn(1292, format!("{kind} value: '{text}'"));
                }
                t
            }
        };
        let Some(t) = t.map(|t| if date { t.date().midnight() } else { t }) else { continue };
        let better = |f: &DateTime| if greatest { t.pack() >= f.pack() } else { t.pack() < f.pack() };
        if found.as_ref().is_none_or(better) {
            found = Some(t);
        }
    }
    let Some(t) = found else { return Ok(Value::Null) };
    if date {
        return text(t.date().to_string());
    }
    let mut out = String::new();
    let _ = t.format(int_of(fsp).clamp(0, 6) as u8, &mut out);
    text(out)
}

fn text_or_bytes<'a>(v: &ValueRef<'a>) -> std::borrow::Cow<'a, str> {
    match v {
        ValueRef::Blob(b) => String::from_utf8_lossy(b),
        v => str_of(v).into(),
    }
}

fn int(n: impl Into<i64>) -> Answer {
    Ok(Value::Int(n.into()))
}

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_date_beside", 2, date_beside),
    ("p_extreme_date", -1, extreme_date),
    ("p_instant", 1, date!(|t: DateTime, _: &[_]| int(t.unix_us()))),
    ("p_date", 1, date!(|t: DateTime, _: &[_]| int(t.date().pack()))),
    ("p_year", 1, date!(|t: DateTime, _: &[_]| int(t.year))),
    ("p_month", 1, date!(|t: DateTime, _: &[_]| int(t.month))),
    ("p_day", 1, date!(|t: DateTime, _: &[_]| int(t.day))),
    ("p_quarter", 1, date!(|t: DateTime, _: &[_]| int(t.month.div_ceil(3)))),
    ("p_hour", 1, time!(|t: Time| t.hours())),
    ("p_minute", 1, time!(|t: Time| t.minutes())),
    ("p_second", 1, time!(|t: Time| t.seconds())),
    ("p_microsecond", 1, time!(|t: Time| i64::from(t.micros()))),
    ("p_time_to_sec", 1, time!(|t: Time| t.0 / SECOND_US)),
    (
        "p_week",
        -1,
        date!(|t, a: &[ValueRef<'_>]| {
            if any_null(a) || !whole(t) {
                return Ok(Value::Null);
            }
            int(week(t.date(), a.get(1).map_or(0, int_of), false).1)
        }),
    ),
    (
        "p_yearweek",
        -1,
        date!(|t, a: &[ValueRef<'_>]| {
            if any_null(a) || !whole(t) {
                return Ok(Value::Null);
            }
            let (y, w) = week(t.date(), a.get(1).map_or(0, int_of) | 2, true);
            int(y * 100 + w)
        }),
    ),
    (
        "p_weekofyear",
        1,
        date!(|t, _: &[_]| if whole(t) { int(week(t.date(), 3, false).1) } else { Ok(Value::Null) }),
    ),
    (
        "p_weekday",
        1,
        date!(|t: DateTime, _: &[_]| if whole(t) { int(weekday(t.date())) } else { Ok(Value::Null) }),
    ),
    (
        "p_dayofweek",
        1,
        date!(|t: DateTime, _: &[_]| {
            if whole(t) { int((weekday(t.date()) + 1) % 7 + 1) } else { Ok(Value::Null) }
        }),
    ),
    (
        "p_dayofyear",
        1,
        date!(|t: DateTime, _: &[_]| { if whole(t) { int(day_of_year(t.date())) } else { Ok(Value::Null) } }),
    ),
    (
        "p_dayname",
        1,
        date!(|t: DateTime, _: &[_]| {
            if whole(t) { text(DAYS[weekday(t.date()) as usize]) } else { Ok(Value::Null) }
        }),
    ),
    (
        "p_monthname",
        1,
        date!(|t: DateTime, _: &[_]| {
            match usize::from(t.month).checked_sub(1).and_then(|m| MONTHS.get(m)) {
                Some(m) => text(*m),
                None => Ok(Value::Null),
            }
        }),
    ),
    (
        "p_last_day",
        1,
        date!(|t: DateTime, _: &[_]| {
            if t.month == 0 {
                return Ok(Value::Null);
            }
            let day = days_in_month(i64::from(t.year), t.month);
            int(Date { day, ..t.date() }.pack())
        }),
    ),
    (
        "p_to_days",
        1,
        date!(|t: DateTime, _: &[_]| if whole(t) { int(t.date().day_number()) } else { Ok(Value::Null) }),
    ),
    (
        "p_to_seconds",
        1,
        date!(|t: DateTime, _: &[_]| {
            if whole(t) {
                int(t.date().day_number() * 86_400 + t.time_us() / SECOND_US)
            } else {
                Ok(Value::Null)
            }
        }),
    ),
    ("p_from_days", 1, |a| match a[0] {
        ValueRef::Int(n) => int(date_of_day_number(n).filter(|_| n >= 366).unwrap_or_default().pack()),
        _ => Ok(Value::Null),
    }),
    ("p_datediff", 2, |a| match (a[0], a[1]) {
        (ValueRef::Int(x), ValueRef::Int(y)) => {
            let (x, y) = (DateTime::unpack(x), DateTime::unpack(y));
            if !whole(x) || !whole(y) {
                return Ok(Value::Null);
            }
            int(x.date().day_number() - y.date().day_number())
        }
        _ => Ok(Value::Null),
    }),
    (
        "p_date_format",
        2,
        date!(|t: DateTime, a: &[ValueRef<'_>]| {
            if any_null(a) {
                Ok(Value::Null)
            } else {
                Ok(format_date(t, str_of(&a[1])).map_or(Value::Null, Value::Text))
            }
        }),
    ),
    ("p_get_format", 2, |a| {
        Ok(format::named(str_of(&a[0]), str_of(&a[1])).map_or(Value::Null, |f| Value::Text(f.to_owned())))
    }),
    ("p_time_format", 2, |a| match a {
        [ValueRef::Int(i), ValueRef::Text(f)] => text(format_time(Time(*i), f)),
        _ => Ok(Value::Null),
    }),
    ("p_makedate", 2, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let (y, d) = (int_of(&a[0]), int_of(&a[1]));
        let y = match y {
            0..=69 => 2000 + y,
            70..=99 => 1900 + y,
            y => y,
        };
        if d < 1 || !(0..=9999).contains(&y) {
            return Ok(Value::Null);
        }
        let first = Date { year: y as u16, month: 1, day: 1 }.day_number();
        Ok(first
            .checked_add(d - 1)
            .and_then(date_of_day_number)
            .map_or(Value::Null, |d| Value::Int(d.pack())))
    }),
    ("p_maketime", 3, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let (h, m) = (int_of(&a[0]), int_of(&a[1]));
        let s = super::number::dec(&a[2]).unwrap_or(Decimal::ZERO);
        let us = s.mul(&Decimal::new(1_000_000, 0)).to_i128().unwrap_or(-1);
        if !(0..60).contains(&m) || !(0..60 * i128::from(SECOND_US)).contains(&us) {
            return Ok(Value::Null);
        }
        let total = h.unsigned_abs().min(10_000) as i64 * 3600 * SECOND_US + m * 60 * SECOND_US + us as i64;
        int(clamped_time(if h < 0 { -total } else { total }))
    }),
    ("p_sec_to_time", 1, |a| match super::number::dec(&a[0]) {
        Some(d) => {
            let us = d.mul(&Decimal::new(1_000_000, 0)).to_i128().unwrap_or(i128::from(i64::MAX));
            int(clamped_time(us.clamp(-i128::from(i64::MAX), i128::from(i64::MAX)) as i64))
        }
        None => Ok(Value::Null),
    }),
    ("p_period_add", 2, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let months = months_of(int_of(&a[0]), "period_add")?.wrapping_add(int_of(&a[1]) as u64);
        int(period(months) as i64)
    }),
    ("p_period_diff", 2, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let of = |v: &ValueRef<'_>| months_of(int_of(v), "period_diff");
        int(of(&a[0])?.wrapping_sub(of(&a[1])?) as i64)
    }),
    (
        "p_convert_tz",
        3,
        date!(|t: DateTime, a: &[ValueRef<'_>]| {
            if any_null(a) {
                return Ok(Value::Null);
            }
            let zone = |v: &ValueRef<'_>| Zone::parse(str_of(v)).ok().map(|(_, z)| z);
            match (zone(&a[1]), zone(&a[2])) {
                (Some(x), Some(y)) if whole(t) => {
                    // Outside of what a TIMESTAMP holds nothing is converted.
                    let utc = x.to_utc(t);
                    let held = (0..32_536_771_200 * SECOND_US).contains(&utc.unix_us());
                    int(if held { y.to_local(utc).pack() } else { t.pack() })
                }
                _ => Ok(Value::Null),
            }
        }),
    ),
    ("p_unix", 1, date!(|t: DateTime, _: &[_]| int(unix(t).div_euclid(SECOND_US).max(0)))),
    (
        "p_unix_dec",
        1,
        date!(|t: DateTime, _: &[_]| {
            Ok(Value::Blob(Decimal::new(i128::from(unix(t).max(0)), 6).encode()))
        }),
    ),
    ("p_from_unixtime", 1, |a| match super::number::dec(&a[0]) {
        Some(d) if d.signum() >= 0 => {
            let us = d.mul(&Decimal::new(1_000_000, 0)).to_i128().and_then(|n| i64::try_from(n).ok());
            Ok(match us {
                // The year 3001 is the end (MySQL 8.0.28).
                Some(us) if us < 32_536_771_200 * SECOND_US => {
                    Value::Int(DateTime::from_unix_us(context::zone().local_us(us)).pack())
                }
                _ => Value::Null,
            })
        }
        _ => Ok(Value::Null),
    }),
    ("p_str_to_date", 3, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        str_to_date(str_of(&a[0]), str_of(&a[1]), TypeCode::unpack(int_of(&a[2])))
    }),
    ("p_addtime", 3, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        int(clamped_time(int_of(&a[0]).saturating_add(int_of(&a[1]).saturating_mul(int_of(&a[2])))))
    }),
    (
        "p_adddatetime",
        3,
        date!(|t: DateTime, a: &[ValueRef<'_>]| {
            if any_null(a) {
                return Ok(Value::Null);
            }
            Ok(t.plus_us(int_of(&a[1]).saturating_mul(int_of(&a[2])))
                .map_or(Value::Null, |t| Value::Int(t.pack())))
        }),
    ),
    ("p_addtime_text", 3, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let (t, us) = (str_of(&a[0]), int_of(&a[1]).saturating_mul(int_of(&a[2])));
        let mut out = String::new();
        if let Some(p) = DateTime::parse(t).filter(|_| t.trim_start_matches('-').contains('-')) {
            let Some(n) = p.value.plus_us(us) else { return Ok(Value::Null) };
            let _ = n.format(if n.micros > 0 { 6 } else { 0 }, &mut out);
        } else {
            let Some(n) = convert::to_time(ValueRef::Text(t), TypeCode::of(Class::Text))? else {
                return Ok(Value::Null);
            };
            let n = Time(clamped_time(n.0.saturating_add(us)));
            let _ = n.format(if n.micros() > 0 { 6 } else { 0 }, &mut out);
        }
        text(out)
    }),
    ("p_timediff", 2, |a| {
        if any_null(a) { Ok(Value::Null) } else { int(clamped_time(int_of(&a[0]) - int_of(&a[1]))) }
    }),
    ("p_timediff_dt", 2, |a| match (a[0], a[1]) {
        (ValueRef::Int(x), ValueRef::Int(y)) => {
            int(clamped_time(DateTime::unpack(x).unix_us() - DateTime::unpack(y).unix_us()))
        }
        _ => Ok(Value::Null),
    }),
    ("p_timediff_text", 2, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let (x, y) = (str_of(&a[0]), str_of(&a[1]));
        let date =
            |t: &str| DateTime::parse(t).filter(|_| t.trim_start_matches('-').contains('-')).map(|p| p.value);
        match (date(x), date(y)) {
            (Some(x), Some(y)) => int(clamped_time(x.unix_us() - y.unix_us())),
            (None, None) => {
                let code = TypeCode::of(Class::Text);
                let times = (convert::to_time(a[0], code)?, convert::to_time(a[1], code)?);
                match times {
                    (Some(x), Some(y)) => int(clamped_time(x.0 - y.0)),
                    _ => Ok(Value::Null),
                }
            }
            _ => Ok(Value::Null),
        }
    }),
    (
        "p_date_add",
        4,
        date!(|t: DateTime, a: &[ValueRef<'_>]| {
            Ok(add(t, &a[1], Unit::from_code(int_of(&a[2])), int_of(&a[3])).map_or_else(
                || {
                    if !any_null(a) {
                        context::warn(1441, "Datetime function: datetime field overflow");
                    }
                    Value::Null
                },
                |t| Value::Int(t.pack()),
            ))
        }),
    ),
    ("p_time_add", 4, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let us = amount_us(&a[1], Unit::from_code(int_of(&a[2])), int_of(&a[3]));
        let total = us.and_then(|us| int_of(&a[0]).checked_add(us)).filter(|t| t.abs() <= TIME_US_MAX);
        Ok(total.map_or(Value::Null, Value::Int))
    }),
    ("p_text_add", 4, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let t = str_of(&a[0]);
        let unit = Unit::from_code(int_of(&a[2]));
        let parsed = DateTime::parse(t).filter(|p| p.value.is_valid(DateRules::LENIENT));
        let Some(p) = parsed else {
            convert::incorrect("datetime", t);
            return Ok(Value::Null);
        };
        let Some(n) = add(p.value, &a[1], unit, int_of(&a[3])) else {
            context::warn(1441, "Datetime function: datetime field overflow");
            return Ok(Value::Null);
        };
        if p.date_only && !unit.has_time() {
            return text(n.date().to_string());
        }
        let mut out = String::new();
        let _ = n.format(if n.micros > 0 { 6 } else { 0 }, &mut out);
        text(out)
    }),
    ("p_timestampdiff", 3, |a| match (a[1], a[2]) {
        (ValueRef::Int(x), ValueRef::Int(y)) => {
            let (x, y) = (DateTime::unpack(x), DateTime::unpack(y));
            if !whole(x) || !whole(y) {
                return Ok(Value::Null);
            }
            int(difference(Unit::from_code(int_of(&a[0])), x, y))
        }
        _ => Ok(Value::Null),
    }),
    ("p_extract", 2, |a| match a[1] {
        ValueRef::Int(i) => int(extract(Unit::from_code(int_of(&a[0])), DateTime::unpack(i))),
        _ => Ok(Value::Null),
    }),
    ("p_extract_time", 2, |a| match a[1] {
        ValueRef::Int(i) => {
            let t = Time(i);
            let unit = Unit::from_code(int_of(&a[0]));
            let n = extract_time(unit, t.hours(), t.minutes(), t.seconds(), i64::from(t.micros()));
            int(if i < 0 { -n } else { n })
        }
        _ => Ok(Value::Null),
    }),
    ("p_round_time", 2, |a| match a[0] {
        ValueRef::Int(i) => int(Time(i).rounded(int_of(&a[1]) as u8).clamped().0),
        _ => Ok(Value::Null),
    }),
    (
        "p_round_datetime",
        2,
        date!(|t: DateTime, a: &[ValueRef<'_>]| {
            Ok(t.rounded(int_of(&a[1]) as u8).map_or(Value::Null, |t| Value::Int(t.pack())))
        }),
    ),
    ("p_partial_date", 1, |a| match a[0] {
        ValueRef::Text(t) => Ok(convert::to_partial_date(t).map_or(Value::Null, |t| Value::Int(t.pack()))),
        _ => Ok(Value::Null),
    }),
    ("p_year_of", 2, |a| match a[0] {
        ValueRef::Text(t) => {
            let digits = t.trim().bytes().take_while(u8::is_ascii_digit).count();
            let n: i64 = t.trim()[..digits].parse().unwrap_or(-1);
            if digits < t.trim().len() || digits == 0 {
                context::warn(1525, format!("Incorrect YEAR value: '{t}'"));
            }
            Ok(match n {
                0 if digits < 4 => Value::Int(2000),
                0 => Value::Int(0),
                1..=69 => Value::Int(2000 + n),
                70..=99 => Value::Int(1900 + n),
                1901..=2155 => Value::Int(n),
                _ => Value::Null,
            })
        }
        ValueRef::Int(n) => Ok(match n {
            0 => Value::Int(0),
            1..=69 => Value::Int(2000 + n),
            70..=99 => Value::Int(1900 + n),
            1901..=2155 => Value::Int(n),
            _ => {
                context::warn(1525, format!("Incorrect YEAR value: '{n}'"));
                Value::Null
            }
        }),
        _ => Ok(Value::Null),
    }),
];

/// A TIMESTAMP as microseconds since the epoch; 0 where it is out of range, from the year 3001 on (MySQL 8.0.28) too.
fn unix(t: DateTime) -> i64 {
    Some(t)
        .filter(|t| whole(*t))
        .map(DateTime::unix_us)
        .filter(|us| *us < 32_536_771_200 * SECOND_US)
        .unwrap_or(0)
}

fn clamped_time(us: i64) -> i64 {
    if us.abs() > TIME_US_MAX {
        let mut shown = String::new();
        let _ = Time(us).format(0, &mut shown);
        context::warn(1292, format!("Truncated incorrect time value: '{shown}'"));
    }
    us.clamp(-TIME_US_MAX, TIME_US_MAX)
}

/// The months of a period `YYMM` or `YYYYMM` (MySQL 8.0 Reference Manual, PERIOD_ADD); MySQL counts modulo 2^64.
///
/// # Errors
/// 1210.
fn months_of(period: i64, function: &str) -> Result<u64, SqlError> {
    let (year, month) = (period / 100, period % 100);
    if period < 0 || !(1..=12).contains(&month) {
        return Err(SqlError::new(1210, "HY000", format!("Incorrect arguments to {function}")));
    }
    Ok(full_year(year as u64) * 12 + month as u64 - 1)
}

fn period(months: u64) -> u64 {
    if months == 0 {
        return 0;
    }
    full_year(months / 12).wrapping_mul(100).wrapping_add(months % 12 + 1)
}

/// Of two digits.
fn full_year(year: u64) -> u64 {
    match year {
        0..70 => year + 2000,
        70..100 => year + 1900,
        _ => year,
    }
}
