//! Units of INTERVAL and EXTRACT.

use p2pdb_model::temporal::{DAY_US, SECOND_US};

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

    /// The unit that [`Unit`] as a number means.
    pub(super) fn from_code(code: i64) -> Unit {
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
    pub(super) fn parts(self) -> &'static [i64] {
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
