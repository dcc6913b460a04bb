//! Names and numbers of days, weeks and months.

use p2pdb_model::temporal::{Date, DateTime};

pub(super) const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub(super) const MONTHS: [&str; 12] = [
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

pub(super) fn weekday(d: Date) -> i64 {
    (d.day_number() + 5).rem_euclid(7)
}

pub(super) fn day_of_year(d: Date) -> i64 {
    d.day_number() - Date { month: 1, day: 1, ..d }.day_number() + 1
}

/// MySQL's calc_week: mode bit 0 Monday first, bit 1 weeks 1 to 53, bit 2 first week has its first weekday in the year.
pub(super) fn week(d: Date, mode: i64, _with_year: bool) -> (i64, i64) {
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

/// It has a month and a day.
pub(super) fn whole(t: DateTime) -> bool {
    t.month > 0 && t.day > 0
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
}
