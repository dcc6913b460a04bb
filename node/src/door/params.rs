//! Statement text and parameters on their way in: character sets, and the protocol's values as literals.

use std::borrow::Cow;

use p2pdb_model::Value;
use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{DateTime, Time};
use p2pdb_mysql::Param;
use p2pdb_sql::charset;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::front::{Literal, LiteralKind};

/// Character sets that clients may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    /// utf8mb4, utf8mb3, binary: bytes as they are.
    Utf8,
    /// What MySQL calls latin1: Windows-1252.
    Latin1,
    /// 7 bits.
    Ascii,
}

/// The number of the default collation of `character_set_results`.
pub(super) fn results_collation(name: Option<&str>) -> Option<u16> {
    match name? {
        "utf8mb4" => Some(255),
        "utf8mb3" => Some(33),
        "latin1" => Some(8),
        "ascii" => Some(11),
        "binary" => Some(63),
        _ => None,
    }
}

impl Charset {
    pub(super) fn named(name: &str) -> Charset {
        match name {
            "latin1" => Charset::Latin1,
            "ascii" => Charset::Ascii,
            _ => Charset::Utf8,
        }
    }

    /// Bytes of a client as text.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>, SqlError> {
        match (std::str::from_utf8(bytes), self) {
            (Ok(text), Charset::Utf8) => Ok(Cow::Borrowed(text)),
            (Ok(text), _) if text.is_ascii() => Ok(Cow::Borrowed(text)),
            (_, Charset::Latin1) => Ok(Cow::Owned(bytes.iter().map(|b| charset::latin1_char(*b)).collect())),
            (Err(e), Charset::Utf8) => Err(invalid("utf8mb4", &bytes[e.valid_up_to()..])),
            (_, Charset::Ascii) => {
                let at = bytes.iter().position(|b| !b.is_ascii()).unwrap_or(0);
                Err(invalid("ascii", &bytes[at..]))
            }
        }
    }

    /// Text for a client; what its character set lacks becomes `?`, as in MySQL.
    pub(super) fn encode(self, text: &str) -> Cow<'_, [u8]> {
        match self {
            Charset::Utf8 => Cow::Borrowed(text.as_bytes()),
            _ if text.is_ascii() => Cow::Borrowed(text.as_bytes()),
            Charset::Latin1 => Cow::Owned(charset::latin1_bytes(text)),
            Charset::Ascii => {
                Cow::Owned(text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect())
            }
        }
    }
}

fn invalid(charset: &str, rest: &[u8]) -> SqlError {
    let shown: String = rest.iter().take(6).map(|b| format!("\\x{b:02X}")).collect();
    SqlError::new(1300, "HY000", format!("Invalid {charset} character string: '{shown}'"))
}

/// A parameter as a literal.
pub(super) fn literal(param: Param, charset: Charset) -> Result<Literal, SqlError> {
    Ok(match param {
        Param::Null => Literal::null(),
        Param::Int(n) => Literal::int(n),
        Param::UInt(n) => Literal::uint(n),
        Param::Float(n) if !n.is_finite() => return Err(wrong("FLOAT", &n.to_string())),
        Param::Double(n) if !n.is_finite() => return Err(wrong("DOUBLE", &n.to_string())),
        Param::Float(n) => Literal::double(f64::from(n)),
        Param::Double(n) => Literal::double(n),
        Param::Decimal(bytes) => {
            let text = charset.decode(&bytes)?;
            let Some(d) = Decimal::parse(&text) else {
                return Err(wrong("DECIMAL", &text));
            };
            let scale = d.scale().min(u32::from(u8::MAX)) as u8;
            let precision = (d.whole_digits() + d.scale()).clamp(1, u32::from(u8::MAX)) as u8;
            Literal { kind: LiteralKind::Decimal(precision, scale), value: Value::Blob(d.encode()) }
        }
        Param::Text(bytes) => match charset {
            Charset::Utf8 => match String::from_utf8(bytes) {
                Ok(text) => Literal::text(text),
                // Bytes in the guise of a string, as PHP and Java send them: whether they may be stored is the column's matter.
                Err(e) => Literal::bytes(e.into_bytes()),
            },
            other => Literal::text(other.decode(&bytes)?.into_owned()),
        },
        Param::Bytes(bytes) => Literal::bytes(bytes),
        Param::Date { year, month, day } => {
            let value = DateTime { year, month, day, hour: 0, minute: 0, second: 0, micros: 0 };
            date_time(value, LiteralKind::Date)?
        }
        Param::DateTime { year, month, day, hour, minute, second, micros } => {
            date_time(DateTime { year, month, day, hour, minute, second, micros }, LiteralKind::DateTime)?
        }
        Param::Time { negative, days, hours, minutes, seconds, micros } => {
            let all_hours = i64::from(days) * 24 + i64::from(hours);
            let time =
                Time::new(negative, all_hours, i64::from(minutes), i64::from(seconds), i64::from(micros));
            let time = time.ok_or_else(|| {
                let sign = if negative { "-" } else { "" };
                wrong("time", &format!("{sign}{all_hours:02}:{minutes:02}:{seconds:02}"))
            })?;
            Literal { kind: LiteralKind::Time, value: Value::Int(time.0) }
        }
    })
}

fn date_time(d: DateTime, kind: LiteralKind) -> Result<Literal, SqlError> {
    let fits = d.year <= 9999
        && d.month <= 12
        && d.day <= 31
        && d.hour < 24
        && d.minute < 60
        && d.second < 60
        && d.micros < 1_000_000;
    if !fits {
        let (h, m, s) = (d.hour, d.minute, d.second);
        let shown = format!("{:04}-{:02}-{:02} {h:02}:{m:02}:{s:02}", d.year, d.month, d.day);
        return Err(wrong("datetime", &shown));
    }
    Ok(Literal { kind, value: Value::Int(d.pack()) })
}

fn wrong(what: &str, shown: &str) -> SqlError {
    SqlError::new(1292, "22007", format!("Incorrect {what} value: '{shown}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin1_is_windows_1252_both_ways() {
        for byte in 0..=255u8 {
            let text = Charset::Latin1.decode(&[byte]).expect("every byte").into_owned();
            assert_eq!(Charset::Latin1.encode(&text).as_ref(), [byte], "{byte:#x}");
        }
        assert_eq!(Charset::Latin1.decode(b"\x80\xe9").expect("text"), "€é");
        assert_eq!(Charset::Latin1.encode("日é").as_ref(), b"?\xe9");
        assert_eq!(Charset::Ascii.encode("né").as_ref(), b"n?");
    }

    #[test]
    fn bytes_that_are_no_text_are_error_1300() {
        let error = Charset::Utf8.decode(b"ab\xff\xfe").expect_err("no UTF-8");
        assert_eq!(
            (error.code, error.message.as_str()),
            (1300, "Invalid utf8mb4 character string: '\\xFF\\xFE'")
        );
        assert_eq!(Charset::Ascii.decode(b"\xe9").expect_err("no ASCII").code, 1300);
        assert_eq!(literal(Param::Text(vec![0xff]), Charset::Utf8), Ok(Literal::bytes(vec![0xff])));
    }

    #[test]
    fn parameters_keep_their_kind_and_bad_dates_are_the_statements_error() {
        assert_eq!(literal(Param::Int(-5), Charset::Utf8), Ok(Literal::int(-5)));
        assert_eq!(literal(Param::UInt(u64::MAX), Charset::Utf8), Ok(Literal::uint(u64::MAX)));
        let time = Param::Time { negative: true, days: 1, hours: 2, minutes: 3, seconds: 4, micros: 5 };
        let us = -(((26 * 60 + 3) * 60 + 4) * 1_000_000 + 5);
        assert_eq!(literal(time, Charset::Utf8).expect("a time").value, Value::Int(us));
        let bad = Param::Date { year: 2024, month: 13, day: 1 };
        assert_eq!(literal(bad, Charset::Utf8).expect_err("month 13").code, 1292);
    }
}
