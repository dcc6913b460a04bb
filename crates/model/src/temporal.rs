//! Dates and times as MySQL knows them: packing, lenient parsing, formatting, calendar arithmetic.
//!
//! DATE, DATETIME and TIMESTAMP are stored as one integer, laid out like MySQL's own packed form
//! (`((year * 13 + month) << 5 | day) << 17 | hour << 12 | minute << 6 | second) << 24 | microseconds`), so that integers
//! sort like dates, zero and partial dates have their place, and a DATE equals the DATETIME at its midnight.
//! TIME is a signed number of microseconds, within ±838:59:59.
//!
//! The calendar is proleptic Gregorian, years 0 to 9999. Clocks and time zones by name are not here: a shift by seconds
//! is all that this module knows of zones.

use std::fmt;

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a day.
pub const DAY_US: i64 = 86_400 * SECOND_US;
/// The greatest TIME: 838:59:59.
pub const TIME_US_MAX: i64 = (838 * 3600 + 59 * 60 + 59) * SECOND_US;
/// Days from 0000-03-01 style epoch: the number of the day 1970-01-01 in MySQL's TO_DAYS.
const UNIX_EPOCH_DAYNR: i64 = 719_528;
/// The greatest day number: 9999-12-31.
const DAYNR_MAX: i64 = 3_652_424;

/// A calendar date; month and day may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// A date with a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DateTime {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999.
    pub micros: u32,
}

/// A signed duration in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

/// Which dates are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateRules {
    /// 0000-00-00 is refused.
    pub no_zero_date: bool,
    /// A zero month or day (in another date) is refused.
    pub no_zero_in_date: bool,
    /// The day may be up to 31 in every month.
    pub allow_invalid: bool,
}

impl DateRules {
    /// Everything that can be stored at all.
    pub const LENIENT: DateRules =
        DateRules { no_zero_date: false, no_zero_in_date: false, allow_invalid: false };
}

/// What a text was read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The value; seconds' fraction cut to microseconds.
    pub value: DateTime,
    /// The seventh digit of the fraction rounds up.
    pub round_up: bool,
    /// There was no time of day.
    pub date_only: bool,
    /// Characters were left over.
    pub truncated: bool,
    /// `+02:00` at the end, in seconds.
    pub offset_seconds: Option<i32>,
}

/// True for leap years.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month; 31 for a month out of range.
pub fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(is_leap(year)),
        _ => 31,
    }
}

/// MySQL's TO_DAYS: the number of days since year 0; zero for year 0 month 0.
pub fn day_number(year: u16, month: u8, day: u8) -> i64 {
    let (y, m, d) = (i64::from(year), i64::from(month), i64::from(day));
    if y == 0 && m == 0 {
        return 0;
    }
    let mut days = 365 * y + 31 * (m - 1) + d;
    let y = if m <= 2 {
        y - 1
    } else {
        days -= (m * 4 + 23) / 10;
        y
    };
    days + y.div_euclid(4) - (y.div_euclid(100) + 1) * 3 / 4
}

/// The date of a day number; `None` outside of years 0 to 9999.
pub fn date_of_day_number(n: i64) -> Option<Date> {
    if !(1..=DAYNR_MAX).contains(&n) {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (civil_from_days).
    let z = n - UNIX_EPOCH_DAYNR + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = (doy - (153 * mp + 2) / 5 + 1) as u8;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u8;
    let year = yoe + era * 400 + i64::from(month <= 2);
    Some(Date { year: u16::try_from(year).ok()?, month, day })
}

impl Date {
    /// The stored form.
    pub fn pack(self) -> i64 {
        self.midnight().pack()
    }

    /// The DATETIME at its midnight.
    pub fn midnight(self) -> DateTime {
        DateTime { year: self.year, month: self.month, day: self.day, ..DateTime::default() }
    }

    /// TO_DAYS.
    pub fn day_number(self) -> i64 {
        day_number(self.year, self.month, self.day)
    }

    /// `YYYYMMDD` as a number.
    pub fn number(self) -> i64 {
        i64::from(self.year) * 10_000 + i64::from(self.month) * 100 + i64::from(self.day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl DateTime {
    /// The stored form.
    pub fn pack(self) -> i64 {
        let ymd = (i64::from(self.year) * 13 + i64::from(self.month)) << 5 | i64::from(self.day);
        let hms = i64::from(self.hour) << 12 | i64::from(self.minute) << 6 | i64::from(self.second);
        (ymd << 17 | hms) << 24 | i64::from(self.micros)
    }

    /// Reads the stored form. Junk gives some date; it never panics.
    pub fn unpack(n: i64) -> Self {
        let micros = (n & 0xff_ffff) as u32;
        let hms = n >> 24 & 0x1_ffff;
        let ymd = n >> 41;
        let ym = ymd >> 5;
        DateTime {
            year: (ym / 13).clamp(0, 9999) as u16,
            month: (ym % 13).max(0) as u8,
            day: (ymd & 31) as u8,
            hour: (hms >> 12) as u8,
            minute: (hms >> 6 & 63) as u8,
            second: (hms & 63) as u8,
            micros,
        }
    }

    /// The date part.
    pub fn date(self) -> Date {
        Date { year: self.year, month: self.month, day: self.day }
    }

    /// The time of day in microseconds.
    pub fn time_us(self) -> i64 {
        (i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)) * SECOND_US
            + i64::from(self.micros)
    }

    /// Everything is zero.
    pub fn is_zero(self) -> bool {
        self == DateTime::default()
    }

    /// Microseconds since the Unix epoch, read as UTC.
    pub fn unix_us(self) -> i64 {
        (self.date().day_number() - UNIX_EPOCH_DAYNR) * DAY_US + self.time_us()
    }

    /// The date and time, in UTC, of this many microseconds since the Unix epoch; clamped to years 0 to 9999.
    pub fn from_unix_us(us: i64) -> Self {
        let days = us.div_euclid(DAY_US) + UNIX_EPOCH_DAYNR;
        DateTime::from_days_us(days.clamp(1, DAYNR_MAX), us.rem_euclid(DAY_US)).unwrap_or_default()
    }

    /// The date and time of a day number and a time in it; `None` outside of years 0 to 9999.
    pub fn from_days_us(days: i64, us: i64) -> Option<Self> {
        let days = days.checked_add(us.div_euclid(DAY_US))?;
        let us = us.rem_euclid(DAY_US);
        let d = date_of_day_number(days)?;
        let s = us / SECOND_US;
        Some(DateTime {
            year: d.year,
            month: d.month,
            day: d.day,
            hour: (s / 3600) as u8,
            minute: (s / 60 % 60) as u8,
            second: (s % 60) as u8,
            micros: (us % SECOND_US) as u32,
        })
    }

    /// Later by these microseconds; `None` for zero dates and outside of years 0 to 9999.
    pub fn plus_us(self, us: i64) -> Option<Self> {
        if self.month == 0 || self.day == 0 {
            return None;
        }
        let total = self.time_us().checked_add(us)?;
        DateTime::from_days_us(self.date().day_number(), total)
    }

    /// In a zone this many seconds ahead; zero dates stay.
    pub fn shifted(self, seconds: i32) -> Self {
        if seconds == 0 {
            return self;
        }
        self.plus_us(i64::from(seconds) * SECOND_US).unwrap_or(self)
    }

    /// Later by months; the day is cut to the month's length. `None` outside of years 0 to 9999.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        if self.month == 0 || self.day == 0 {
            return None;
        }
        let total = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(months)?;
        if !(0..120_000).contains(&total) {
            return None;
        }
        let (year, month) = (total / 12, (total % 12 + 1) as u8);
        let day = self.day.min(days_in_month(year, month));
        Some(DateTime { year: year as u16, month, day, ..self })
    }

    /// With only `fsp` digits of the fraction.
    pub fn truncated(self, fsp: u8) -> Self {
        let unit = 10u32.pow(6 - u32::from(fsp.min(6)));
        DateTime { micros: self.micros / unit * unit, ..self }
    }

    /// Rounded to `fsp` digits; `None` past the year 9999.
    pub fn rounded(self, fsp: u8) -> Option<Self> {
        let unit = 10u32.pow(6 - u32::from(fsp.min(6)));
        let rest = self.micros % unit;
        if rest == 0 {
            return Some(self);
        }
        let down = self.truncated(fsp);
        if rest * 2 < unit {
            return Some(down);
        }
        if down.micros + unit < 1_000_000 {
            return Some(DateTime { micros: down.micros + unit, ..down });
        }
        down.plus_us(i64::from(unit))
    }

    /// All fields can be stored and the rules accept the date.
    pub fn is_valid(self, rules: DateRules) -> bool {
        if self.year > 9999
            || self.month > 12
            || self.day > 31
            || self.hour > 23
            || self.minute > 59
            || self.second > 59
            || self.micros > 999_999
        {
            return false;
        }
        if self.date() == Date::default() {
            return !rules.no_zero_date;
        }
        if self.month == 0 || self.day == 0 {
            return !rules.no_zero_in_date;
        }
        rules.allow_invalid || self.day <= days_in_month(i64::from(self.year), self.month)
    }

    /// `YYYYMMDDhhmmss` as a number, without the fraction.
    pub fn number(self) -> i64 {
        self.date().number() * 1_000_000
            + i64::from(self.hour) * 10_000
            + i64::from(self.minute) * 100
            + i64::from(self.second)
    }

    /// Reads a number such as 20240131 or 20240131235959 (also 240131 and 240131235959).
    pub fn from_number(n: i64) -> Option<(Self, bool)> {
        let (n, date_only) = match n {
            0 => return Some((DateTime::default(), true)),
            1..=100 => return None,
            101..=691_231 => ((n + 20_000_000) * 1_000_000, true),
            691_232..=700_100 => return None,
            700_101..=991_231 => ((n + 19_000_000) * 1_000_000, true),
            991_232..=10_000_100 => return None,
            10_000_101..=99_991_231 => (n * 1_000_000, true),
            99_991_232..=101_000_000 => return None,
            101_000_001..=691_231_235_959 => (n + 20_000_000_000_000, false),
            700_101_000_000..=991_231_235_959 => (n + 19_000_000_000_000, false),
            10_000_101_000_000..=99_991_231_235_959 => (n, false),
            _ => return None,
        };
        let (d, t) = (n / 1_000_000, n % 1_000_000);
        let value = DateTime {
            year: (d / 10_000) as u16,
            month: (d / 100 % 100) as u8,
            day: (d % 100) as u8,
            hour: (t / 10_000) as u8,
            minute: (t / 100 % 100) as u8,
            second: (t % 100) as u8,
            micros: 0,
        };
        value.is_valid(DateRules { allow_invalid: true, ..DateRules::LENIENT }).then_some((value, date_only))
    }

    /// Writes `YYYY-MM-DD hh:mm:ss[.f…]`.
    pub fn format(self, fsp: u8, out: &mut impl fmt::Write) -> fmt::Result {
        write!(out, "{} {:02}:{:02}:{:02}", self.date(), self.hour, self.minute, self.second)?;
        fraction(self.micros, fsp, out)
    }

    /// Parses MySQL's lenient literals: any punctuation between the parts, one or two digits, years of two digits,
    /// or digits without separators; a time after a blank or `T`; a fraction; an offset `±hh:mm`.
    ///
    /// `None` when there is no date. Ranges of fields are checked, the calendar is not: see [`DateTime::is_valid`].
    pub fn parse(text: &str) -> Option<Parsed> {
        let s = text.trim_ascii();
        let b = s.as_bytes();
        let leading = b.iter().take_while(|c| c.is_ascii_digit()).count();
        if leading == 0 {
            return None;
        }
        let mut p = Scan { b, at: 0 };
        let mut f = [0u32; 6];
        let mut year_digits;
        let count;
        if leading > 4 {
            // A year has four digits: these are a date without separators, to its end or to a fraction.
            let run = b.iter().take_while(|c| c.is_ascii_digit() || **c == b'T').count();
            if b.get(run).is_some_and(|c| *c != b'.') {
                return None;
            }
            // Digits without separators.
            let widths: &[usize] = match leading {
                5 | 6 => &[2, 2, 2],
                7 | 8 => &[4, 2, 2],
                9..=12 => &[2, 2, 2, 2, 2, 2],
                _ => &[4, 2, 2, 2, 2, 2],
            };
            year_digits = widths[0];
            let mut n = 0;
            for (i, w) in widths.iter().enumerate() {
                let Some(v) = p.digits(*w) else { break };
                f[i] = v;
                n = i + 1;
            }
            // Where the digits of a date or time end early, others may follow behind T or other separators.
            while (3..6).contains(&n) {
                let save = p.at;
                if n == 3 && p.peek() == Some(b'T') {
                    p.at += 1;
                } else {
                    p.skip(|c| c.is_ascii_punctuation() || (n == 3 && c == b' '));
                }
                let separated = p.at > save || n > 3;
                let Some(v) = p.digits(2).filter(|_| separated) else {
                    p.at = save;
                    break;
                };
                f[n] = v;
                n += 1;
            }
            count = n;
        } else {
            year_digits = leading;
            let mut n = 0;
            for (i, slot) in f.iter_mut().enumerate() {
                let Some(v) = p.digits(if i == 0 { 4 } else { 2 }) else { break };
                *slot = v;
                n = i + 1;
                if i == 5 {
                    break;
                }
                let save = p.at;
                if i == 2 {
                    // A blank or T before the time; other punctuation is accepted too.
                    if p.peek() == Some(b'T') {
                        p.at += 1;
                    } else {
                        p.skip(|c| c == b' ' || c.is_ascii_punctuation());
                    }
                } else {
                    p.skip(|c| c.is_ascii_punctuation());
                }
                if p.at == save || !p.peek().is_some_and(|c| c.is_ascii_digit()) {
                    p.at = save;
                    break;
                }
            }
            count = n;
        }
        if count < 3 {
            return None;
        }
        if year_digits == 3 {
            year_digits = 4;
        }
        let mut micros = 0;
        let mut round_up = false;
        if count == 6 && p.peek() == Some(b'.') {
            p.at += 1;
            let (m, up) = p.fraction();
            micros = m;
            round_up = up;
        }
        let mut offset = None;
        if count >= 5
            && let Some(o) = p.offset()
        {
            offset = Some(o);
        }
        let mut year = f[0];
        if year_digits <= 2 {
            year += if year < 70 { 2000 } else { 1900 };
        }
        let value = DateTime {
            year: u16::try_from(year).ok()?,
            month: u8::try_from(f[1]).ok()?,
            day: u8::try_from(f[2]).ok()?,
            hour: u8::try_from(f[3]).ok()?,
            minute: u8::try_from(f[4]).ok()?,
            second: u8::try_from(f[5]).ok()?,
            micros,
        };
        let value = if f[..6].iter().all(|n| *n == 0) { DateTime { year: 0, ..value } } else { value };
        let shape = DateRules { allow_invalid: true, ..DateRules::LENIENT };
        value.is_valid(shape).then_some(Parsed {
            value,
            round_up,
            date_only: count == 3,
            truncated: p.at < b.len(),
            offset_seconds: offset,
        })
    }
}

impl Time {
    /// From its parts; `None` beyond ±838:59:59.
    pub fn new(negative: bool, hours: i64, minutes: i64, seconds: i64, micros: i64) -> Option<Self> {
        if !(0..=59).contains(&minutes) || !(0..=59).contains(&seconds) {
            return None;
        }
        let us = (hours.checked_mul(3600)? + minutes * 60 + seconds).checked_mul(SECOND_US)? + micros;
        (us <= TIME_US_MAX).then_some(Time(if negative { -us } else { us }))
    }

    /// Whole hours of the magnitude.
    pub fn hours(self) -> i64 {
        self.0.abs() / (3600 * SECOND_US)
    }

    /// Minutes 0 to 59.
    pub fn minutes(self) -> i64 {
        self.0.abs() / (60 * SECOND_US) % 60
    }

    /// Seconds 0 to 59.
    pub fn seconds(self) -> i64 {
        self.0.abs() / SECOND_US % 60
    }

    /// Microseconds 0 to 999,999.
    pub fn micros(self) -> u32 {
        (self.0.abs() % SECOND_US) as u32
    }

    /// `hhmmss` as a signed number, without the fraction.
    pub fn number(self) -> i64 {
        (self.hours() * 10_000 + self.minutes() * 100 + self.seconds()) * self.0.signum()
    }

    /// Cut to the greatest magnitude.
    pub fn clamped(self) -> Self {
        Time(self.0.clamp(-TIME_US_MAX, TIME_US_MAX))
    }

    /// Rounded to `fsp` digits.
    pub fn rounded(self, fsp: u8) -> Self {
        let unit = 10i64.pow(6 - u32::from(fsp.min(6)));
        let half = if self.0 < 0 { -unit / 2 } else { unit / 2 };
        Time((self.0 + half) / unit * unit)
    }

    /// Reads a number such as 123456 (12:34:56).
    pub fn from_number(n: i64) -> Option<Self> {
        let m = n.checked_abs()?;
        Time::new(n < 0, m / 10_000, m / 100 % 100, m % 100, 0)
    }

    /// Writes `[-]hh:mm:ss[.f…]`.
    pub fn format(self, fsp: u8, out: &mut impl fmt::Write) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(out, "{sign}{:02}:{:02}:{:02}", self.hours(), self.minutes(), self.seconds())?;
        fraction(self.micros(), fsp, out)
    }

    /// Parses `[-][D ]hh[:mm[:ss]][.f…]` and digits without separators. The second value is true when characters were
    /// left over. `Err(true)` is a value out of range, `Err(false)` not a time at all. Full datetimes are the caller's.
    pub fn parse(text: &str) -> Result<(Self, bool), bool> {
        let s = text.trim_ascii();
        let (negative, s) = match s.strip_prefix('-') {
            Some(rest) => (true, rest.trim_ascii_start()),
            None => (false, s),
        };
        let mut p = Scan { b: s.as_bytes(), at: 0 };
        let first = p.digits(9).ok_or(false)?;
        let (mut h, mut m, mut sec);
        let mut days = 0i64;
        match p.peek() {
            // Hours behind days have two characters at least.
            Some(b' ') if p.b.get(p.at + 1).is_some_and(u8::is_ascii_digit) && p.b.len() > p.at + 2 => {
                days = i64::from(first);
                p.at += 1;
                h = i64::from(p.digits(4).ok_or(false)?);
                m = 0;
                sec = 0;
                if p.eat(b':') {
                    m = i64::from(p.digits(2).ok_or(false)?);
                    if p.eat(b':') {
                        sec = i64::from(p.digits(2).ok_or(false)?);
                    }
                }
            }
            Some(b':') => {
                h = i64::from(first);
                p.at += 1;
                m = i64::from(p.digits(2).ok_or(false)?);
                sec = 0;
                if p.eat(b':') {
                    sec = i64::from(p.digits(2).ok_or(false)?);
                }
            }
            _ => {
                let n = i64::from(first);
                h = n / 10_000;
                m = n / 100 % 100;
                sec = n % 100;
            }
        }
        let mut micros = 0;
        if p.eat(b'.') {
            let (f, up) = p.fraction();
            micros = i64::from(f) + i64::from(up);
        }
        h = days.checked_mul(24).and_then(|d| d.checked_add(h)).ok_or(true)?;
        let time = Time::new(negative, h, m, sec, micros).ok_or(true)?;
        Ok((time, p.at < p.b.len()))
    }
}

fn fraction(micros: u32, fsp: u8, out: &mut impl fmt::Write) -> fmt::Result {
    match fsp {
        0 => Ok(()),
        n => {
            let n = usize::from(n.min(6));
            write!(out, ".{:0n$}", micros / 10u32.pow(6 - n as u32))
        }
    }
}

struct Scan<'a> {
    b: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.b.get(self.at).copied()
    }

    fn eat(&mut self, c: u8) -> bool {
        let hit = self.peek() == Some(c);
        self.at += usize::from(hit);
        hit
    }

    fn skip(&mut self, f: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&f) {
            self.at += 1;
        }
    }

    /// Up to `max` (at most 9) digits.
    fn digits(&mut self, max: usize) -> Option<u32> {
        let start = self.at;
        let mut n = 0u32;
        while self.at - start < max {
            match self.peek() {
                Some(c) if c.is_ascii_digit() => n = n * 10 + u32::from(c - b'0'),
                _ => break,
            }
            self.at += 1;
        }
        (self.at > start).then_some(n)
    }

    /// The digits of a fraction as microseconds; whether the seventh digit rounds up.
    fn fraction(&mut self) -> (u32, bool) {
        let start = self.at;
        let mut n = self.digits(6).unwrap_or(0);
        for _ in self.at - start..6 {
            n *= 10;
        }
        let up = self.peek().is_some_and(|c| (b'5'..=b'9').contains(&c));
        self.skip(|c| c.is_ascii_digit());
        (n, up)
    }

    /// `±hh:mm` to the end of the text.
    fn offset(&mut self) -> Option<i32> {
        let rest = self.b.get(self.at..)?;
        let sign = match rest.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let d = |i: usize| Some(i32::from(rest.get(i)?.checked_sub(b'0')?)).filter(|d| *d < 10);
        if rest.len() != 6 || rest[3] != b':' {
            return None;
        }
        let (h, m) = (d(1)? * 10 + d(2)?, d(4)? * 10 + d(5)?);
        if h > 14 || m > 59 || (h == 14 && m > 0) {
            return None;
        }
        self.at = self.b.len();
        Some(sign * (h * 3600 + m * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn text(t: DateTime, fsp: u8) -> String {
        let mut s = String::new();
        t.format(fsp, &mut s).unwrap();
        s
    }

    #[test]
    fn literals_are_read_as_mysql_reads_them() {
        for (input, want) in [
            ("2024-02-29", Some("2024-02-29 00:00:00.000000")),
            ("2024-02-29 12:34:56.789", Some("2024-02-29 12:34:56.789000")),
            ("2024-2-9 1:2:3", Some("2024-02-09 01:02:03.000000")),
            ("24-2-9", Some("2024-02-09 00:00:00.000000")),
            ("70-01-01", Some("1970-01-01 00:00:00.000000")),
            ("2024/02/29T12:34:56", Some("2024-02-29 12:34:56.000000")),
            ("20240229", Some("2024-02-29 00:00:00.000000")),
            ("240229", Some("2024-02-29 00:00:00.000000")),
            ("20240229123456", Some("2024-02-29 12:34:56.000000")),
            ("20240229123456.5", Some("2024-02-29 12:34:56.500000")),
            ("20240229T123456", Some("2024-02-29 12:34:56.000000")),
            ("0000-00-00", Some("0000-00-00 00:00:00.000000")),
            ("2024-02-29 12:34", Some("2024-02-29 12:34:00.000000")),
            ("2024-02", None),
            ("x", None),
            ("", None),
            ("2024-13-01", None),
            ("2024-01-01 25:00:00", None),
        ] {
            let got = DateTime::parse(input).map(|p| text(p.value, 6));
            assert_eq!(got.as_deref(), want, "{input}");
        }
        let p = DateTime::parse("2024-01-01 10:00:00+02:30").unwrap();
        assert_eq!((p.offset_seconds, p.truncated), (Some(9000), false));
        assert!(DateTime::parse("2024-01-01x").unwrap().truncated);
    }

    #[test]
    fn times_are_read_as_mysql_reads_them() {
        for (input, want) in [
            ("10:11:12", Ok("10:11:12")),
            ("-10:11", Ok("-10:11:00")),
            ("1 10:11:12", Ok("34:11:12")),
            ("101112", Ok("10:11:12")),
            ("1112", Ok("00:11:12")),
            ("838:59:59", Ok("838:59:59")),
            ("839:00:00", Err(true)),
            ("10:60:00", Err(true)),
            ("abc", Err(false)),
        ] {
            let got = Time::parse(input).map(|(t, _)| {
                let mut s = String::new();
                t.format(0, &mut s).unwrap();
                s
            });
            assert_eq!(got.as_deref().map_err(|e| *e), want, "{input}");
        }
        assert_eq!(Time::parse("10:11:12.1234567").map(|t| t.0.0 % SECOND_US), Ok(123_457));
    }

    quickcheck! {
        fn day_numbers_round_trip(n: u32) -> bool {
            let n = i64::from(n) % DAYNR_MAX + 1;
            date_of_day_number(n).is_some_and(|d| d.day_number() == n)
        }

        fn packing_round_trips_and_keeps_order(a: i64, b: i64) -> bool {
            let t = |x: i64| DateTime::from_unix_us(x % 100_000_000_000_000_000);
            let (x, y) = (t(a), t(b));
            DateTime::unpack(x.pack()) == x && x.cmp(&y) == x.pack().cmp(&y.pack())
        }

        fn formatting_and_parsing_agree(a: i64) -> bool {
            let t = DateTime::from_unix_us(a % 100_000_000_000_000_000);
            DateTime::parse(&text(t, 6)).is_some_and(|p| p.value == t && !p.truncated)
        }

        fn nothing_panics(s: String, n: i64) -> bool {
            let _ = (DateTime::parse(&s), Time::parse(&s), DateTime::from_number(n), Time::from_number(n));
            let t = DateTime::unpack(n);
            let _ = (t.rounded(3), t.plus_us(n), t.plus_months(n), t.date().day_number(), text(t, 6), t.unix_us());
            true
        }
    }

    #[test]
    fn months_are_cut_to_their_length() {
        let t = DateTime::parse("2024-01-31").unwrap().value;
        assert_eq!(t.plus_months(1).map(|t| t.date().to_string()).as_deref(), Some("2024-02-29"));
        assert_eq!(t.plus_months(-2).map(|t| t.date().to_string()).as_deref(), Some("2023-11-30"));
        assert_eq!(t.plus_months(12 * 9000), None);
        assert_eq!(DateTime::parse("1970-01-01").unwrap().value.date().day_number(), 719_528);
    }
}
