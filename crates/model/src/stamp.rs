//! Hybrid logical clock: 48 bits of milliseconds since the Unix epoch, 16 bits of counter.
//!
//! Source: Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots in Globally Distributed
//! Databases", 2014. The wall clock is always an argument. A stamp is greater than every parent's, than the
//! author's last and than the author's admission, so write order is a linear extension of causal order.

use serde::{Deserialize, Serialize};

use crate::fault::{self, Fault};

/// A hybrid logical clock reading.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub u64);

impl Stamp {
    /// Bits of the counter.
    pub const COUNTER_BITS: u32 = 16;

    /// The first stamp of this millisecond.
    pub fn from_millis(unix_ms: u64) -> Self {
        Self(unix_ms << Self::COUNTER_BITS)
    }

    /// The physical part, milliseconds since the Unix epoch.
    pub fn millis(self) -> u64 {
        self.0 >> Self::COUNTER_BITS
    }

    /// The logical part.
    pub fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The next stamp after `floor` (the greatest stamp that must lie before it) at wall time `now_ms`.
    pub fn next(floor: Stamp, now_ms: u64) -> Self {
        if fault::on(Fault::ClockForgotten) {
            return Self::from_millis(now_ms);
        }
        Self::from_millis(now_ms).max(Self(floor.0.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_always_advances_even_when_the_clock_goes_back() {
        let a = Stamp::next(Stamp(0), 1_000);
        let b = Stamp::next(a, 900);
        let c = Stamp::next(b, 1_001);
        assert!(a < b && b < c);
        assert_eq!((b.millis(), b.counter()), (1_000, 1));
        assert_eq!((c.millis(), c.counter()), (1_001, 0));
    }
}
