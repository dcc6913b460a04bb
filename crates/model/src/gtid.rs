//! Sets of global transaction identifiers (MySQL 8.0 manual, section 19.1.3.1, "GTID Format and Storage").
//!
//! A source is a UUID; of each source the set holds intervals of numbers, from 1 on. Here a source is a chain of the log
//! and a number a block's place in it: a GTID names a block, and a set of them a frontier. Tags (MySQL 8.3) are not known.

use std::collections::BTreeMap;
use std::fmt;

/// A set of GTIDs: per source, intervals (first, last) that neither meet nor overlap, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet(BTreeMap<[u8; 16], Vec<(u64, u64)>>);

impl GtidSet {
    /// Reads `uuid:1-5:7, uuid:3`; `None` for anything else. The empty text is the empty set.
    pub fn parse(text: &str) -> Option<Self> {
        let mut set: BTreeMap<[u8; 16], Vec<(u64, u64)>> = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (uuid, intervals) = part.split_once(':')?;
            let uuid = parse_uuid(uuid.trim())?;
            for interval in intervals.split(':') {
                let (first, last) = interval.split_once('-').unwrap_or((interval, interval));
                let (first, last) = (number(first)?, number(last)?);
                // As in MySQL an interval that ends before it begins is empty.
                if first <= last {
                    set.entry(uuid).or_default().push((first, last));
                }
            }
        }
        set.values_mut().for_each(join);
        Some(GtidSet(set))
    }

    /// Puts an interval in.
    pub fn add(&mut self, source: [u8; 16], first: u64, last: u64) {
        let intervals = self.0.entry(source).or_default();
        intervals.push((first, last));
        join(intervals);
    }

    /// The last number of this source.
    pub fn last(&self, source: [u8; 16]) -> Option<u64> {
        self.0.get(&source).and_then(|intervals| intervals.last()).map(|(_, last)| *last)
    }

    /// Every GTID of this set is in the other.
    pub fn is_subset(&self, of: &GtidSet) -> bool {
        self.0.iter().all(|(source, intervals)| {
            let held = of.0.get(source).map(Vec::as_slice).unwrap_or_default();
            intervals.iter().all(|(a, b)| from(held, *a).first().is_some_and(|(c, d)| c <= a && b <= d))
        })
    }

    /// The GTIDs of this set that are not in the other.
    pub fn minus(&self, other: &GtidSet) -> GtidSet {
        let mut left = GtidSet::default();
        for (source, intervals) in &self.0 {
            let gone = other.0.get(source).map(Vec::as_slice).unwrap_or_default();
            let mut rest = Vec::new();
            for &(first, last) in intervals {
                let mut next = Some(first);
                for &(a, b) in from(gone, first).iter().take_while(|(a, _)| *a <= last) {
                    if let Some(next) = next.filter(|next| *next < a) {
                        rest.push((next, a - 1));
                    }
                    next = b.checked_add(1).filter(|next| *next <= last);
                }
                rest.extend(next.map(|next| (next, last)));
            }
            if !rest.is_empty() {
                left.0.insert(*source, rest);
            }
        }
        left
    }
}

/// Sorts intervals, and joins those that meet or overlap.
fn join(intervals: &mut Vec<(u64, u64)>) {
    intervals.sort_unstable();
    intervals.dedup_by(|(first, last), before| {
        let meets = *first <= before.1.saturating_add(1);
        if meets {
            before.1 = before.1.max(*last);
        }
        meets
    });
}

/// The intervals that do not end before `first`.
fn from(intervals: &[(u64, u64)], first: u64) -> &[(u64, u64)] {
    &intervals[intervals.partition_point(|(_, last)| *last < first)..]
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (source, intervals)) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}")?;
            for (i, byte) in source.iter().enumerate() {
                let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                write!(f, "{dash}{byte:02x}")?;
            }
            for (first, last) in intervals {
                match first == last {
                    true => write!(f, ":{first}")?,
                    false => write!(f, ":{first}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

fn number(text: &str) -> Option<u64> {
    let n: i64 = text.trim().parse().ok()?;
    u64::try_from(n).ok().filter(|n| *n > 0)
}

/// 32 hexadecimal digits with dashes where a UUID has them, or none.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let dashes = text.bytes().enumerate().filter(|(_, b)| *b == b'-').map(|(i, _)| i);
    if !matches!(dashes.collect::<Vec<_>>().as_slice(), [] | [8, 13, 18, 23]) {
        return None;
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    crate::ids::unhex(&digits)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4350f323-7565-4e59-8763-4b1b83a0ce0e";

    fn set(text: &str) -> GtidSet {
        GtidSet::parse(&text.replace('A', A).replace('B', B)).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn sets_are_read_and_written_as_mysql_does() {
        for (text, want) in [
            ("", ""),
            ("A:1", "A:1"),
            (" A : 1-5 , B:2 ", "A:1-5,B:2"),
            ("B:2,A:7:1-3:4-5", "A:1-5:7,B:2"),
            ("A:1-3,A:2-9", "A:1-9"),
            ("A:5-4", ""),
        ] {
            let want = want.replace('A', A).replace('B', B);
            let set = set(text);
            assert_eq!(set.to_string(), want, "{text}");
        }
        let undashed = GtidSet::parse(&format!("{}:1", A.replace('-', "").to_uppercase()));
        assert_eq!(undashed, Some(set("A:1")));
        for bad in ["A", "x:1", "A:0", "A:-1", "A:1-", "A:a", "A:1-2-3"] {
            assert_eq!(GtidSet::parse(&bad.replace('A', A)), None, "{bad}");
        }
    }

    #[test]
    fn a_long_set_is_read_and_compared_interval_by_interval() {
        // Backwards, so that every one is put before all others.
        let (n, step) = (200_000u64, 3);
        let text = |to: u64| -> String {
            (1..=to).rev().map(|i| format!(":{}-{}", i * step, i * step + 1)).collect()
        };
        let (all, some) = (set(&format!("A{}", text(n))), set(&format!("A{}", text(n - 1))));
        assert!(some.is_subset(&all) && !all.is_subset(&some));
        assert_eq!(all.minus(&some), set(&format!("A:{}-{}", n * step, n * step + 1)));
        assert_eq!(some.minus(&all), GtidSet::default());
    }

    #[test]
    fn subsets_and_differences() {
        for (a, b, subset, left) in [
            ("", "A:1", true, ""),
            ("A:2-3", "A:1-5", true, ""),
            ("A:2-6", "A:1-5", false, "A:6"),
            ("A:1-9", "A:3-4:7", false, "A:1-2:5-6:8-9"),
            ("A:1-9,B:1", "A:1-9", false, "B:1"),
            ("A:1-3", "B:1-3", false, "A:1-3"),
            ("A:1-3:5", "A:1-5", true, ""),
        ] {
            let (a, b) = (set(a), set(b));
            assert_eq!(a.is_subset(&b), subset, "{a} in {b}");
            assert_eq!(a.minus(&b), set(left), "{a} minus {b}");
        }
    }
}
