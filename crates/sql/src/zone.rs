//! Time zones: fixed offsets, and the zones of the IANA time zone database by name.
//!
//! The database is part of the program (crate `chrono-tz`), so that every node has one. Nothing of it reaches the log:
//! TIMESTAMP is stored in UTC, and what a statement computes is logged as values.
//!
//! A local time that a change of the clocks skips means the moment of the change; of one that comes twice the first is
//! meant.

use chrono::{NaiveDateTime, Offset, TimeZone as _};
use p2pdb_model::temporal::{DateTime, SECOND_US};

use crate::error::SqlError;

/// Greatest offset of a zone written as `±HH:MM`; the least is one minute more than its negative.
const OFFSET_SECONDS_MAX: i32 = 14 * 3600;

/// Between UTC and a local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Seconds to add to UTC.
    Offset(i32),
    /// A zone of the database.
    Named(chrono_tz::Tz),
}

/// UTC.
impl Default for Zone {
    fn default() -> Self {
        Zone::Offset(0)
    }
}

impl Zone {
    /// Parses `UTC`, `GMT`, `±HH:MM` (-13:59 to +14:00) or a name such as `Europe/Berlin`; with the name that shows.
    ///
    /// # Errors
    /// 1298 for anything else.
    pub fn parse(text: &str) -> Result<(String, Zone), SqlError> {
        if ["SYSTEM", "UTC", "GMT"].iter().any(|n| n.eq_ignore_ascii_case(text)) {
            return Ok((text.to_uppercase(), Zone::Offset(0)));
        }
        let wrong = || SqlError::new(1298, "HY000", format!("Unknown or incorrect time zone: '{text}'"));
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'+') => (1, &text[1..]),
            Some(b'-') => (-1, &text[1..]),
            _ => {
                let zone = chrono_tz::Tz::from_str_insensitive(text).map_err(|_| wrong())?;
                return Ok((zone.name().to_owned(), Zone::Named(zone)));
            }
        };
        let (h, m) = rest.split_once(':').ok_or_else(wrong)?;
        let digits = |s: &str| (1..=2).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_digit());
        if !digits(h) || !digits(m) || m.len() != 2 {
            return Err(wrong());
        }
        let (h, m): (i32, i32) = (h.parse().map_err(|_| wrong())?, m.parse().map_err(|_| wrong())?);
        let offset = sign * (h * 3600 + m * 60);
        if m > 59 || offset > OFFSET_SECONDS_MAX || offset <= -OFFSET_SECONDS_MAX {
            return Err(wrong());
        }
        Ok((format!("{}{h:02}:{m:02}", if sign < 0 { '-' } else { '+' }), Zone::Offset(offset)))
    }

    /// Seconds to add to UTC at this moment of UTC.
    pub fn offset_at(self, utc: DateTime) -> i32 {
        match self {
            Zone::Offset(n) => n,
            Zone::Named(zone) => {
                naive(utc).map_or(0, |t| zone.offset_from_utc_datetime(&t).fix().local_minus_utc())
            }
        }
    }

    /// The local time of a moment of UTC.
    pub fn to_local(self, utc: DateTime) -> DateTime {
        if utc.is_zero() {
            return utc;
        }
        utc.shifted(self.offset_at(utc))
    }

    /// The local time of microseconds since the Unix epoch.
    pub fn local_us(self, utc_us: i64) -> i64 {
        utc_us + i64::from(self.offset_at(DateTime::from_unix_us(utc_us))) * SECOND_US
    }

    /// The moment of UTC of a local time.
    pub fn to_utc(self, local: DateTime) -> DateTime {
        if local.is_zero() {
            return local;
        }
        match self {
            Zone::Offset(n) => local.shifted(-n),
            Zone::Named(zone) => {
                let Some(t) = naive(local) else { return local };
                match zone.offset_from_local_datetime(&t) {
                    chrono::LocalResult::Single(o) | chrono::LocalResult::Ambiguous(o, _) => {
                        local.shifted(-o.fix().local_minus_utc())
                    }
                    chrono::LocalResult::None => self.change_after(local),
                }
            }
        }
    }

    /// A local time that no moment has.
    pub fn skips(self, local: DateTime) -> bool {
        match self {
            Zone::Offset(_) => false,
            Zone::Named(zone) => naive(local)
                .is_some_and(|t| matches!(zone.offset_from_local_datetime(&t), chrono::LocalResult::None)),
        }
    }

    /// The moment of the change that skips a local time.
    fn change_after(self, local: DateTime) -> DateTime {
        const DAY_SECONDS: i64 = 86_400;
        let middle = local.unix_us().div_euclid(SECOND_US);
        let at = |seconds: i64| DateTime::from_unix_us(seconds * SECOND_US);
        let (mut before, mut after) = (middle - DAY_SECONDS, middle + DAY_SECONDS);
        let old = self.offset_at(at(before));
        while after - before > 1 {
            let half = before + (after - before) / 2;
            if self.offset_at(at(half)) == old { before = half } else { after = half }
        }
        at(after)
    }
}

fn naive(t: DateTime) -> Option<NaiveDateTime> {
    let date = chrono::NaiveDate::from_ymd_opt(i32::from(t.year), u32::from(t.month), u32::from(t.day))?;
    date.and_hms_opt(u32::from(t.hour), u32::from(t.minute), u32::from(t.second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn t(text: &str) -> DateTime {
        DateTime::parse(text).unwrap().value
    }

    #[test]
    fn zones_are_offsets_or_names() {
        for (text, want) in [
            ("SYSTEM", Some(("SYSTEM", 0))),
            ("utc", Some(("UTC", 0))),
            ("+02:00", Some(("+02:00", 7200))),
            ("-3:30", Some(("-03:30", -12600))),
            ("+14:00", Some(("+14:00", 50400))),
            ("+14:01", None),
            ("-13:59", Some(("-13:59", -50340))),
            ("-14:00", None),
            ("europe/berlin", Some(("Europe/Berlin", 3600))),
            ("Mars/Base", None),
            ("+2", None),
            ("+1:5", None),
            ("", None),
        ] {
            let got = Zone::parse(text).map(|(name, z)| (name, z.offset_at(t("2024-01-01 00:00:00"))));
            match want {
                Some((name, offset)) => assert_eq!(got, Ok((name.to_owned(), offset)), "{text}"),
                None => assert_eq!(got.unwrap_err().code, 1298, "{text}"),
            }
        }
    }

    #[test]
    fn clocks_change() {
        let (_, berlin) = Zone::parse("Europe/Berlin").unwrap();
        for (local, utc) in [
            ("2024-03-31 01:59:59", "2024-03-31 00:59:59"),
            ("2024-03-31 02:30:00", "2024-03-31 01:00:00"),
            ("2024-03-31 03:00:00", "2024-03-31 01:00:00"),
            ("2024-10-27 02:30:00", "2024-10-27 00:30:00"),
            ("2024-10-27 03:00:00", "2024-10-27 02:00:00"),
        ] {
            assert_eq!(berlin.to_utc(t(local)), t(utc), "{local}");
        }
        assert_eq!(berlin.to_local(t("2024-03-31 01:00:00")), t("2024-03-31 03:00:00"));
        assert!(berlin.skips(t("2024-03-31 02:30:00")) && !berlin.skips(t("2024-03-31 03:00:00")));
    }
}
