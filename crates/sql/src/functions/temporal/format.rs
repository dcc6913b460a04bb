//! DATE_FORMAT, TIME_FORMAT and STR_TO_DATE.

use std::collections::VecDeque;
use std::fmt::Write;

use p2pdb_model::Value;
use p2pdb_model::temporal::{Date, DateRules, DateTime, Time, date_of_day_number};

use super::calendar::{DAYS, MONTHS, day_of_year, week, weekday, whole};
use crate::execute::{context, convert};
use crate::field::FieldType;
use crate::functions::Answer;
use crate::types::{Class, TypeCode};

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
pub(super) fn format_date(t: DateTime, format: &str) -> Option<String> {
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

pub(super) fn format_time(t: Time, format: &str) -> String {
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

/// The greatest number of characters that a format of DATE_FORMAT or TIME_FORMAT gives, as MySQL declares it.
pub fn format_length(format: &str) -> u32 {
    let mut chars = format.chars();
    let mut length = 0;
    while let Some(c) = chars.next() {
        length += match c {
            '%' => match chars.next() {
                Some('M' | 'W') => 64,
                Some('a' | 'b') => 32,
                Some('r') => 11,
                Some('T') => 8,
                // Hours of a TIME may be many.
                Some('H' | 'k') => 7,
                Some('f') => 6,
                Some('D' | 'Y' | 'x' | 'X') => 4,
                Some('j') => 3,
                Some('w' | '%') => 1,
                Some(c) if c.is_ascii_alphabetic() => 2,
                _ => 1,
            },
            _ => 1,
        };
    }
    length
}

pub(super) fn str_to_date(t: &str, format: &str, kind: TypeCode) -> Answer {
    let parsed = parse_format(t, format);
    let kinds = match kind.class {
        Class::Date => "date",
        Class::Time => "time",
        _ => "datetime",
    };
    let wrong = || {
        let shown: String = t.chars().take(128).collect();
        context::warn(1411, format!("Incorrect datetime value: '{shown}' for function str_to_date"));
        Ok(Value::Null)
    };
    let Some((v, rest)) = parsed else { return wrong() };
    if !rest.is_empty() {
        context::warn(1292, format!("Truncated incorrect {kinds} value: '{t}'"));
    }
    if kind.class == Class::Time {
        return super::int(v.time_us());
    }
    let rules = convert::date_rules();
    if !v.is_valid(rules) {
        return wrong();
    }
    super::int(if kind.class == Class::Date { v.date().pack() } else { v.pack() })
}

/// A week of a year, by `%U`, `%u`, `%V` or `%v`.
struct Week {
    n: u32,
    /// `%V`, `%v`: of the year that `%X`, `%x` name.
    strict: bool,
    /// It begins on Sunday.
    sunday: bool,
}

impl Week {
    /// The day of this week; `weekday` counts from Monday, 0.
    fn day(&self, year: u16, week_year: Option<(u32, bool)>, weekday: usize) -> Option<Date> {
        let year = match (self.strict, week_year) {
            (true, Some((y, sunday))) if sunday == self.sunday => u16::try_from(y).ok()?,
            (false, None) => year,
            _ => return None,
        };
        let first = Date { year, month: 1, day: 1 }.day_number();
        // Day 0 of the calendar was a Saturday by this count.
        let begins = (first + 5 + i64::from(self.sunday)).rem_euclid(7);
        let weeks = (i64::from(self.n) - 1) * 7;
        let weekday = weekday as i64;
        let days = if self.sunday {
            (if begins == 0 { 0 } else { 7 }) - begins + weeks + (weekday + 1) % 7
        } else {
            (if begins <= 3 { 0 } else { 7 }) - begins + weeks + weekday
        };
        date_of_day_number(first + days)
    }
}

fn parse_format<'t>(t: &'t str, format: &str) -> Option<(DateTime, &'t str)> {
    let mut v = DateTime::default();
    let mut rest = t.trim_start();
    let mut pm = None;
    let mut day_of_year = None;
    let (mut week, mut week_year, mut weekday) = (None, None, None);
    let mut chars: VecDeque<char> = format.chars().collect();
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
    while let Some(c) = chars.pop_front() {
        rest = rest.trim_start();
        if rest.is_empty() {
            // What the format has beyond the text stays zero.
            break;
        }
        if c.is_whitespace() {
            continue;
        }
        let f = match chars.front().copied() {
            Some(f) if c == '%' => f,
            _ => {
                rest = rest.strip_prefix(c)?;
                continue;
            }
        };
        chars.pop_front();
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
            'W' => weekday = Some(word(&mut rest, &DAYS, 0)?),
            'a' => weekday = Some(word(&mut rest, &DAYS, 3)?),
            'w' => weekday = Some((digits(&mut rest, 1)?.0 as usize + 6) % 7),
            'U' | 'u' | 'V' | 'v' => {
                let n = digits(&mut rest, 2)?.0;
                let strict = matches!(f, 'V' | 'v');
                if n > 53 || strict && n == 0 {
                    return None;
                }
                week = Some(Week { n, strict, sunday: matches!(f, 'U' | 'V') });
            }
            'X' | 'x' => week_year = Some((digits(&mut rest, 4)?.0, f == 'X')),
            'j' => day_of_year = Some(digits(&mut rest, 3)?.0),
            'T' => "%H:%i:%S".chars().rev().for_each(|c| chars.push_front(c)),
            'r' => "%I:%i:%S %p".chars().rev().for_each(|c| chars.push_front(c)),
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
    if let (Some(week), Some(weekday)) = (week, weekday) {
        let d = week.day(v.year, week_year, weekday)?;
        (v.year, v.month, v.day) = (d.year, d.month, d.day);
    }
    let shape = DateRules { allow_invalid: true, ..DateRules::LENIENT };
    v.is_valid(shape).then_some((v, rest.trim_start()))
}

/// GET_FORMAT: what a kind of value looks like by a standard's name.
pub(super) fn named(kind: &str, style: &str) -> Option<&'static str> {
    Some(match (kind, style.to_ascii_uppercase().as_str()) {
        ("DATE", "EUR") => "%d.%m.%Y",
        ("DATE", "USA") => "%m.%d.%Y",
        ("DATE", "JIS" | "ISO") => "%Y-%m-%d",
        ("DATE", "INTERNAL") => "%Y%m%d",
        ("TIME", "EUR") => "%H.%i.%s",
        ("TIME", "USA") => "%h:%i:%s %p",
        ("TIME", "JIS" | "ISO") => "%H:%i:%s",
        ("TIME", "INTERNAL") => "%H%i%s",
        ("DATETIME", "EUR" | "USA") => "%Y-%m-%d %H.%i.%s",
        ("DATETIME", "JIS" | "ISO") => "%Y-%m-%d %H:%i:%s",
        ("DATETIME", "INTERNAL") => "%Y%m%d%H%i%s",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(t: &str) -> DateTime {
        DateTime::parse(t).unwrap().value
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
}
