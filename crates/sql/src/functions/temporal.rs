//! Functions of dates and times. DATETIME arguments are packed, TIME arguments are microseconds.

use std::fmt::Write;

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{
    DAY_US, Date, DateRules, DateTime, SECOND_US, TIME_US_MAX, Time, date_of_day_number, days_in_month,
};
use p2pdb_model::{Value, ValueRef};

use super::{Answer, Row, any_null, int_of, str_of, text};
use crate::execute::{context, convert};
use crate::field::FieldType;
use crate::types::{Class, TypeCode};
use crate::zone::Zone;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Units of INTERVAL and EXTRACT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Unit {
    Microsecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    SecondMicrosecond,
    MinuteMicrosecond,
    MinuteSecond,
    HourMicrosecond,
    HourSecond,
    HourMinute,
    DayMicrosecond,
    DaySecond,
    DayMinute,
    DayHour,
    YearMonth,
}

const UNITS: [(&str, Unit); 20] = [
    ("MICROSECOND", Unit::Microsecond),
    ("SECOND", Unit::Second),
    ("MINUTE", Unit::Minute),
    ("HOUR", Unit::Hour),
    ("DAY", Unit::Day),
    ("WEEK", Unit::Week),
    ("MONTH", Unit::Month),
    ("QUARTER", Unit::Quarter),
    ("YEAR", Unit::Year),
    ("SECOND_MICROSECOND", Unit::SecondMicrosecond),
    ("MINUTE_MICROSECOND", Unit::MinuteMicrosecond),
    ("MINUTE_SECOND", Unit::MinuteSecond),
    ("HOUR_MICROSECOND", Unit::HourMicrosecond),
    ("HOUR_SECOND", Unit::HourSecond),
    ("HOUR_MINUTE", Unit::HourMinute),
    ("DAY_MICROSECOND", Unit::DayMicrosecond),
    ("DAY_SECOND", Unit::DaySecond),
    ("DAY_MINUTE", Unit::DayMinute),
    ("DAY_HOUR", Unit::DayHour),
    ("YEAR_MONTH", Unit::YearMonth),
];

impl Unit {
    /// The unit of this name in upper case.
    pub fn from_name(name: &str) -> Option<Unit> {
        UNITS.iter().find(|(n, _)| *n == name).map(|(_, u)| *u)
    }

    fn from_code(code: i64) -> Unit {
        usize::try_from(code).ok().and_then(|i| UNITS.get(i)).map_or(Unit::Day, |(_, u)| *u)
    }

    /// Several parts, as in `'1 10:30'`.
    pub fn is_compound(self) -> bool {
        self as u8 >= Unit::SecondMicrosecond as u8
    }

    /// It counts days or more.
    pub fn has_date(self) -> bool {
        matches!(
            self,
            Unit::Day
                | Unit::Week
                | Unit::Month
                | Unit::Quarter
                | Unit::Year
                | Unit::YearMonth
                | Unit::DayMicrosecond
                | Unit::DaySecond
                | Unit::DayMinute
                | Unit::DayHour
        )
    }

    /// It counts hours or less.
    pub fn has_time(self) -> bool {
        !matches!(self, Unit::Day | Unit::Week | Unit::Month | Unit::Quarter | Unit::Year | Unit::YearMonth)
    }

    /// It counts microseconds.
    pub fn has_micros(self) -> bool {
        matches!(
            self,
            Unit::Microsecond
                | Unit::SecondMicrosecond
                | Unit::MinuteMicrosecond
                | Unit::HourMicrosecond
                | Unit::DayMicrosecond
        )
    }

    /// The microseconds of each part of a compound unit, greatest first.
    fn parts(self) -> &'static [i64] {
        const S: i64 = SECOND_US;
        match self {
            Unit::SecondMicrosecond => &[S, 1],
            Unit::MinuteMicrosecond => &[60 * S, S, 1],
            Unit::MinuteSecond => &[60 * S, S],
            Unit::HourMicrosecond => &[3600 * S, 60 * S, S, 1],
            Unit::HourSecond => &[3600 * S, 60 * S, S],
            Unit::HourMinute => &[3600 * S, 60 * S],
            Unit::DayMicrosecond => &[DAY_US, 3600 * S, 60 * S, S, 1],
            Unit::DaySecond => &[DAY_US, 3600 * S, 60 * S, S],
            Unit::DayMinute => &[DAY_US, 3600 * S, 60 * S],
            Unit::DayHour => &[DAY_US, 3600 * S],
            _ => &[],
        }
    }
}

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

fn int(n: impl Into<i64>) -> Answer {
    Ok(Value::Int(n.into()))
}

fn whole(t: DateTime) -> bool {
    t.month > 0 && t.day > 0
}

pub(crate) const FUNCTIONS: &[Row] = &[
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
        if any_null(a) { Ok(Value::Null) } else { int(period(months_of(int_of(&a[0])) + int_of(&a[1]))) }
    }),
    ("p_period_diff", 2, |a| {
        if any_null(a) { Ok(Value::Null) } else { int(months_of(int_of(&a[0])) - months_of(int_of(&a[1]))) }
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
        if let Some(p) = DateTime::parse(t).filter(|p| t.contains('-') && !p.date_only) {
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
                context::warn(1292, format!("Truncated incorrect YEAR value: '{t}'"));
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
                context::warn(1292, format!("Truncated incorrect YEAR value: '{n}'"));
                Value::Null
            }
        }),
        _ => Ok(Value::Null),
    }),
];

/// A TIMESTAMP as microseconds since the epoch; 0 where it is out of range.
fn unix(t: DateTime) -> i64 {
    if whole(t) { t.unix_us().min(32_536_771_200 * SECOND_US) } else { 0 }
}

fn clamped_time(us: i64) -> i64 {
    if us.abs() > TIME_US_MAX {
        let mut shown = String::new();
        let _ = Time(us).format(0, &mut shown);
        context::warn(1292, format!("Truncated incorrect time value: '{shown}'"));
    }
    us.clamp(-TIME_US_MAX, TIME_US_MAX)
}

fn weekday(d: Date) -> i64 {
    (d.day_number() + 5).rem_euclid(7)
}

fn day_of_year(d: Date) -> i64 {
    d.day_number() - Date { month: 1, day: 1, ..d }.day_number() + 1
}

/// MySQL's calc_week: mode bit 0 Monday first, bit 1 weeks 1 to 53, bit 2 first week has its first weekday in the year.
fn week(d: Date, mode: i64, _with_year: bool) -> (i64, i64) {
    let mode = mode & 7;
    let monday = mode & 1 == 1;
    let mut week_year = mode & 2 == 2;
    let mut first_weekday = mode & 4 == 4;
    if !monday {
        first_weekday = !first_weekday;
    }
    let n = d.day_number();
    let mut first = Date { month: 1, day: 1, ..d }.day_number();
    let mut year = i64::from(d.year);
    let day_in_week = |n: i64| (n + if monday { 5 } else { 6 }).rem_euclid(7);
    let mut wd = day_in_week(first);
    let length = |y: i64| if p2pdb_model::temporal::is_leap(y) { 366 } else { 365 };
    if d.month == 1 && i64::from(d.day) <= 7 - wd {
        if !week_year && ((first_weekday && wd != 0) || (!first_weekday && wd >= 4)) {
            return (year, 0);
        }
        week_year = true;
        year -= 1;
        let days = length(year);
        first -= days;
        wd = (wd + 53 * 7 - days) % 7;
    }
    let days = if (first_weekday && wd != 0) || (!first_weekday && wd >= 4) {
        n - (first + (7 - wd))
    } else {
        n - (first - wd)
    };
    if week_year && days >= 52 * 7 {
        wd = (wd + length(year)) % 7;
        if (!first_weekday && wd < 4) || (first_weekday && wd == 0) {
            return (year + 1, 1);
        }
    }
    (year, days / 7 + 1)
}

fn months_of(period: i64) -> i64 {
    if period == 0 {
        return 0;
    }
    let y = period / 100;
    let y = if y < 70 {
        y + 2000
    } else if y < 100 {
        y + 1900
    } else {
        y
    };
    y * 12 + period % 100 - 1
}

fn period(months: i64) -> i64 {
    let y = months.div_euclid(12);
    let y = if y < 70 {
        y + 2000
    } else if y < 100 {
        y + 1900
    } else {
        y
    };
    y * 100 + months.rem_euclid(12) + 1
}

/// An interval of a unit below months, in microseconds.
fn amount_us(v: &ValueRef<'_>, unit: Unit, sign: i64) -> Option<i64> {
    if unit.is_compound() {
        let (negative, numbers) = parts_of(str_of(v), unit)?;
        let mut us = 0i64;
        for (n, size) in numbers.iter().zip(unit.parts()) {
            us = us.checked_add(n.checked_mul(*size)?)?;
        }
        return us.checked_mul(if negative { -sign } else { sign });
    }
    let d = super::number::dec(v)?;
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

fn add(t: DateTime, v: &ValueRef<'_>, unit: Unit, sign: i64) -> Option<DateTime> {
    let months = |n: i64| n.checked_mul(sign).and_then(|n| t.plus_months(n));
    match unit {
        Unit::Month | Unit::Quarter | Unit::Year => {
            let n = i64::try_from(super::number::dec(v)?.to_i128()?).ok()?;
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

fn difference(unit: Unit, a: DateTime, b: DateTime) -> i64 {
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

fn extract_time(unit: Unit, h: i64, m: i64, s: i64, us: i64) -> i64 {
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

fn extract(unit: Unit, t: DateTime) -> i64 {
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

fn suffix(day: u8) -> &'static str {
    match (day % 100, day % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

/// DATE_FORMAT; NULL where a name has no date.
fn format_date(t: DateTime, format: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = format.chars();
    let hour12 = |h: u8| if h.is_multiple_of(12) { 12 } else { h % 12 };
    if format.is_empty() {
        return None;
    }
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(f) = chars.next() else {
            out.push('%');
            break;
        };
        let month = || usize::from(t.month).checked_sub(1).and_then(|m| MONTHS.get(m)).copied();
        let day = || whole(t).then(|| DAYS[weekday(t.date()) as usize]);
        let w = |mode: i64| week(t.date(), mode, true);
        let _ = match f {
            'a' => write!(out, "{}", &day()?[..3]),
            'b' => write!(out, "{}", &month()?[..3]),
            'c' => write!(out, "{}", t.month),
            'D' => write!(out, "{}{}", t.day, suffix(t.day)),
            'd' => write!(out, "{:02}", t.day),
            'e' => write!(out, "{}", t.day),
            'f' => write!(out, "{:06}", t.micros),
            'H' => write!(out, "{:02}", t.hour),
            'h' | 'I' => write!(out, "{:02}", hour12(t.hour)),
            'i' => write!(out, "{:02}", t.minute),
            'j' => write!(out, "{:03}", if whole(t) { day_of_year(t.date()) } else { return None }),
            'k' => write!(out, "{}", t.hour),
            'l' => write!(out, "{}", hour12(t.hour)),
            'M' => write!(out, "{}", month()?),
            'm' => write!(out, "{:02}", t.month),
            'p' => write!(out, "{}", if t.hour < 12 { "AM" } else { "PM" }),
            'r' => write!(
                out,
                "{:02}:{:02}:{:02} {}",
                hour12(t.hour),
                t.minute,
                t.second,
                if t.hour < 12 { "AM" } else { "PM" }
            ),
            'S' | 's' => write!(out, "{:02}", t.second),
            'T' => write!(out, "{:02}:{:02}:{:02}", t.hour, t.minute, t.second),
            'U' => write!(out, "{:02}", w(0).1),
            'u' => write!(out, "{:02}", w(1).1),
            'V' => write!(out, "{:02}", w(2).1),
            'v' => write!(out, "{:02}", w(3).1),
            'W' => write!(out, "{}", day()?),
            'w' => write!(out, "{}", if whole(t) { (weekday(t.date()) + 1) % 7 } else { return None }),
            'X' => write!(out, "{:04}", w(2).0),
            'x' => write!(out, "{:04}", w(3).0),
            'Y' => write!(out, "{:04}", t.year),
            'y' => write!(out, "{:02}", t.year % 100),
            c => write!(out, "{c}"),
        };
    }
    Some(out)
}

fn format_time(t: Time, format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    let h = t.hours();
    let h12 = if h % 12 == 0 { 12 } else { h % 12 };
    let half = if h % 24 < 12 { "AM" } else { "PM" };
    if t.0 < 0 {
        out.push('-');
    }
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let _ = match chars.next() {
            Some('H') => write!(out, "{h:02}"),
            Some('k') => write!(out, "{h}"),
            Some('h' | 'I') => write!(out, "{h12:02}"),
            Some('l') => write!(out, "{h12}"),
            Some('i') => write!(out, "{:02}", t.minutes()),
            Some('S' | 's') => write!(out, "{:02}", t.seconds()),
            Some('f') => write!(out, "{:06}", t.micros()),
            Some('p') => write!(out, "{half}"),
            Some('r') => write!(out, "{h12:02}:{:02}:{:02} {half}", t.minutes(), t.seconds()),
            Some('T') => write!(out, "{h:02}:{:02}:{:02}", t.minutes(), t.seconds()),
            Some('Y') => write!(out, "0000"),
            Some('y' | 'm' | 'd') => write!(out, "00"),
            Some(c) if c.is_ascii_alphabetic() => write!(out, "0"),
            Some(c) => write!(out, "{c}"),
            None => write!(out, "%"),
        };
    }
    out
}

/// The type that STR_TO_DATE gives for a format.
pub fn format_kind(format: &str) -> FieldType {
    let mut chars = format.chars();
    let (mut date, mut time, mut micros) = (false, false, false);
    while let Some(c) = chars.next() {
        if c == '%' {
            match chars.next() {
                Some('f') => (time, micros) = (true, true),
                Some('H' | 'h' | 'I' | 'i' | 'k' | 'l' | 'p' | 'r' | 'S' | 's' | 'T') => time = true,
                Some(c) if c.is_ascii_alphabetic() => date = true,
                _ => {}
            }
        }
    }
    let fsp = if micros { 6 } else { 0 };
    match (date, time) {
        (true, false) => FieldType::date(),
        (false, true) => FieldType::time(fsp),
        _ => FieldType::datetime(fsp),
    }
}

fn str_to_date(t: &str, format: &str, kind: TypeCode) -> Answer {
    let parsed = parse_format(t, format);
    let kinds = match kind.class {
        Class::Date => "date",
        Class::Time => "time",
        _ => "datetime",
    };
    let wrong = || {
        let shown: String = t.chars().take(128).collect();
        context::warn(1411, format!("Incorrect {kinds} value: '{shown}' for function str_to_date"));
        Ok(Value::Null)
    };
    let Some((v, rest)) = parsed else { return wrong() };
    if !rest.is_empty() {
        context::warn(1292, format!("Truncated incorrect {kinds} value: '{t}'"));
    }
    if kind.class == Class::Time {
        return int(v.time_us());
    }
    let rules = convert::date_rules();
    if !v.is_valid(rules) {
        return wrong();
    }
    int(if kind.class == Class::Date { v.date().pack() } else { v.pack() })
}

fn parse_format<'t>(t: &'t str, format: &str) -> Option<(DateTime, &'t str)> {
    let mut v = DateTime::default();
    let mut rest = t.trim_start();
    let mut pm = None;
    let mut day_of_year = None;
    let mut chars = format.chars();
    fn digits(rest: &mut &str, max: usize) -> Option<(u32, usize)> {
        let n = rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
        let value = rest[..n].parse().ok()?;
        *rest = &rest[n..];
        Some((value, n))
    }
    fn word(rest: &mut &str, names: &[&str], length: usize) -> Option<usize> {
        for (i, name) in names.iter().enumerate() {
            let name = if length > 0 { &name[..length] } else { name };
            if rest.get(..name.len()).is_some_and(|r| r.eq_ignore_ascii_case(name)) {
                *rest = &rest[name.len()..];
                return Some(i);
            }
        }
        None
    }
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if c != '%' {
            rest = rest.trim_start().strip_prefix(c)?;
            continue;
        }
        let f = chars.next()?;
        rest = rest.trim_start();
        match f {
            'Y' => {
                v.year = {
                    let (n, len) = digits(&mut rest, 4)?;
                    let n = if len <= 2 { n + if n < 70 { 2000 } else { 1900 } } else { n };
                    n as u16
                }
            }
            'y' => {
                v.year = {
                    let (n, _) = digits(&mut rest, 2)?;
                    (n + if n < 70 { 2000 } else { 1900 }) as u16
                }
            }
            'm' | 'c' => v.month = digits(&mut rest, 2)?.0 as u8,
            'd' | 'e' => v.day = digits(&mut rest, 2)?.0 as u8,
            'D' => {
                v.day = digits(&mut rest, 2)?.0 as u8;
                rest = rest.get(2..)?;
            }
            'H' | 'k' => v.hour = digits(&mut rest, 2)?.0 as u8,
            'h' | 'I' | 'l' => {
                let n = digits(&mut rest, 2)?.0;
                if !(1..=12).contains(&n) {
                    return None;
                }
                v.hour = n as u8;
                pm = pm.or(Some(false));
            }
            'i' => v.minute = digits(&mut rest, 2)?.0 as u8,
            'S' | 's' => v.second = digits(&mut rest, 2)?.0 as u8,
            'f' => {
                let (n, len) = digits(&mut rest, 6)?;
                v.micros = n * 10u32.pow(6 - len as u32);
            }
            'p' => pm = Some(word(&mut rest, &["AM", "PM"], 0)? == 1),
            'M' => v.month = word(&mut rest, &MONTHS, 0)? as u8 + 1,
            'b' => v.month = word(&mut rest, &MONTHS, 3)? as u8 + 1,
            'W' => {
                word(&mut rest, &DAYS, 0)?;
            }
            'a' => {
                word(&mut rest, &DAYS, 3)?;
            }
            'j' => day_of_year = Some(digits(&mut rest, 3)?.0),
            'T' | 'r' => {
                v.hour = digits(&mut rest, 2)?.0 as u8;
                rest = rest.strip_prefix(':')?;
                v.minute = digits(&mut rest, 2)?.0 as u8;
                rest = rest.strip_prefix(':')?;
                v.second = digits(&mut rest, 2)?.0 as u8;
                if f == 'r' {
                    rest = rest.trim_start();
                    pm = Some(word(&mut rest, &["AM", "PM"], 0)? == 1);
                }
            }
            '%' => rest = rest.strip_prefix('%')?,
            _ => return None,
        }
    }
    if let Some(pm) = pm {
        v.hour = v.hour % 12 + if pm { 12 } else { 0 };
    }
    if let Some(n) = day_of_year {
        let first = Date { year: v.year, month: 1, day: 1 }.day_number();
        let d = date_of_day_number(first + i64::from(n) - 1)?;
        (v.month, v.day) = (d.month, d.day);
    }
    let shape = DateRules { allow_invalid: true, ..DateRules::LENIENT };
    v.is_valid(shape).then_some((v, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(t: &str) -> DateTime {
        DateTime::parse(t).unwrap().value
    }

    #[test]
    fn weeks_are_numbered_as_in_mysql() {
        for (date, mode, want) in [
            ("2008-02-20", 0, 7),
            ("2008-02-20", 1, 8),
            ("2008-12-31", 1, 53),
            ("2000-01-01", 0, 0),
            ("2000-01-01", 2, 52),
            ("2024-01-01", 3, 1),
            ("2023-01-01", 3, 52),
        ] {
            assert_eq!(week(d(date).date(), mode, false).1, want, "{date} {mode}");
        }
        assert_eq!(week(d("1987-01-01").date(), 2, true), (1986, 52));
    }

    #[test]
    fn formats_print_and_parse() {
        let t = d("2009-10-04 22:23:00");
        assert_eq!(format_date(t, "%W %M %Y").as_deref(), Some("Sunday October 2009"));
        assert_eq!(
            format_date(t, "%H %k %I %r %T %S %w %D").as_deref(),
            Some("22 22 10 10:23:00 PM 22:23:00 00 0 4th")
        );
        let p = |t, f| parse_format(t, f).map(|p| p.0);
        assert_eq!(p("01,5,2013", "%d,%m,%Y"), Some(d("2013-05-01")));
        assert_eq!(p("May 1, 2013", "%M %d,%Y"), Some(d("2013-05-01")));
        assert_eq!(p("a09:30:17", "a%h:%i:%s").map(|t| t.hour), Some(9));
        assert_eq!(p("x", "%Y"), None);
    }

    #[test]
    fn differences_count_whole_units() {
        assert_eq!(difference(Unit::Month, d("2003-02-01"), d("2003-05-01")), 3);
        assert_eq!(difference(Unit::Year, d("2002-05-01"), d("2001-01-01")), -1);
        assert_eq!(difference(Unit::Minute, d("2003-02-01"), d("2003-05-01 12:05:55")), 128_885);
    }
}
