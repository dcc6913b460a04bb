//! JSON values as numbers, dates and times: which are some, and what MySQL says of the others (3155, 3156).
//!
//! In expressions a value that is none is a warning and zero, or NULL for dates. Assignments to columns judge it
//! themselves, strictly, in [`super::assign`].

use p2pdb_model::decimal::Decimal;
use p2pdb_model::temporal::{DateTime, Time};

use super::{context, convert};

/// What a JSON value is to become, as messages call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// An integer.
    Integer,
    /// DECIMAL.
    Decimal,
    /// DOUBLE or FLOAT.
    Double,
    /// DATE.
    Date,
    /// DATETIME or TIMESTAMP.
    DateTime,
    /// TIME.
    Time,
}

/// Why a JSON value does not become what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit {
    target: Target,
    out_of_range: bool,
}

impl Misfit {
    fn of(target: Target) -> Self {
        Misfit { target, out_of_range: false }
    }

    /// Error number, SQLSTATE and text.
    pub fn complaint(self) -> (u16, &'static str, String) {
        let (code, state, what) = match self.out_of_range {
            true => (3155, "22003", "Out of range"),
            false => (3156, "22018", "Invalid"),
        };
        let target = match self.target {
            Target::Integer => "INTEGER",
            Target::Decimal => "DECIMAL",
            Target::Double => "DOUBLE",
            Target::Date => "DATE",
            Target::DateTime => "DATETIME/TIMESTAMP",
            Target::Time => "TIME",
        };
        (code, state, format!("{what} JSON value for CAST to {target} from column json at row 1"))
    }

    /// Complains as expressions do.
    pub fn warn(self) {
        let (code, _, message) = self.complaint();
        context::warn(code, message);
    }
}

/// The text of a JSON string; `None` for other values.
fn string(t: &str) -> Option<&str> {
    t.strip_prefix('"').and_then(|t| t.strip_suffix('"'))
}

/// `true` and `false` as numbers.
fn boolean(t: &str) -> Option<i64> {
    match t {
        "true" => Some(1),
        "false" => Some(0),
        _ => None,
    }
}

/// As an integer of 64 bits, and what is wrong with that.
pub fn integer(t: &str) -> (i128, Option<Misfit>) {
    let t = t.trim();
    let wrong = Some(Misfit::of(Target::Integer));
    if let Some(b) = boolean(t) {
        return (i128::from(b), None);
    }
    if let Some(s) = string(t) {
        let s = s.trim_start();
        let sign = usize::from(s.starts_with(['+', '-']));
        let digits = s[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let n = s[..sign + digits].parse().unwrap_or(0);
        return (n, wrong.filter(|_| digits == 0 || sign + digits < s.len()));
    }
    let (d, used) = Decimal::parse_prefix(t);
    if used == 0 || used < t.len() {
        return (0, wrong);
    }
    let huge = if d.signum() < 0 { i128::MIN } else { i128::MAX };
    let n = match t.contains(['e', 'E', '.']) {
        // A double is rounded to the even one of two neighbours.
        true => d.to_f64().round_ties_even() as i128,
        false => d.to_i128().unwrap_or(huge),
    };
    let fits = (i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&n);
    let misfit = Misfit { target: Target::Integer, out_of_range: true };
    if fits {
        return (n, None);
    }
    (i128::from(if n < 0 { i64::MIN } else { i64::MAX }), Some(misfit))
}

/// As a decimal; `target` is what a message calls it.
pub fn decimal(t: &str, target: Target) -> (Decimal, Option<Misfit>) {
    let t = t.trim();
    if let Some(b) = boolean(t) {
        return (Decimal::new(i128::from(b), 0), None);
    }
    let inner = string(t).map_or(t, str::trim);
    let (d, used) = Decimal::parse_prefix(inner);
    (d, (used == 0 || used < inner.len()).then_some(Misfit::of(target)))
}

/// A JSON string as date and time; numbers and the rest are none.
pub fn datetime(t: &str) -> Option<DateTime> {
    string(t.trim()).and_then(convert::parse_datetime)
}

/// A JSON string as a time.
pub fn time(t: &str) -> Option<Time> {
    let s = string(t.trim())?;
    match Time::parse(s) {
        Ok((time, false)) => Some(time),
        _ => convert::parse_datetime(s).map(|d| Time(d.time_us())),
    }
}

/// Of a date or time that a JSON value is not.
pub fn no_date(target: Target) -> Misfit {
    Misfit::of(target)
}
