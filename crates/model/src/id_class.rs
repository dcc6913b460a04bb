//! Shares of AUTO_INCREMENT values, as they are dealt to writers.

/// A share of every table's AUTO_INCREMENT values, which one writer draws from (stride 1: all of them).
///
/// Shares are dealt and split like residue classes (`offset` modulo `stride`; the parts of a class are the classes of a
/// multiple of its stride that lie in it), but they stand for *intervals* of a column's values ([`IdClass::interval`]), so
/// that every writer's values are dense, and the first writer's begin at 1 whoever joins later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct IdClass {
    /// Residue, less than `stride`.
    pub offset: u64,
    /// Modulus, at least 1.
    pub stride: u64,
}

impl IdClass {
    /// Every id: the class of a realm's only writer.
    pub const ALL: IdClass = IdClass { offset: 0, stride: 1 };

    /// The greatest value that is shared out where a column could hold more: 2^53-1, which every client language
    /// represents exactly.
    pub const SHARED_MAX: u64 = (1 << 53) - 1;

    /// The values of this share in a column that holds at most `max`: those greater than the first number and at most
    /// the second. `None` for a stride that is no power of two, which nobody deals.
    ///
    /// The bits of the residue, reversed, are the interval's place: so the parts of a class lie inside its interval.
    pub fn interval(self, max: u64) -> Option<(u64, u64)> {
        if self.stride == 1 {
            return Some((0, max));
        }
        if !self.stride.is_power_of_two() {
            return None;
        }
        let place = self.offset.reverse_bits() >> (u64::BITS - self.stride.trailing_zeros());
        let max = u128::from(max.min(Self::SHARED_MAX));
        let bound = |n: u64| (max * u128::from(n) / u128::from(self.stride)) as u64;
        Some((bound(place), bound(place + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_partition_the_values_and_parts_lie_inside_their_class() {
        for max in [127u64, 65_535, i32::MAX as u64, IdClass::SHARED_MAX] {
            let mut all: Vec<_> = (0..8)
                .map(|offset| IdClass { offset, stride: 8 }.interval(max).expect("a power of two"))
                .collect();
            all.sort_unstable();
            assert_eq!((all[0].0, all[7].1), (0, max));
            assert!(all.windows(2).all(|w| w[0].1 == w[1].0), "{all:?}");
            let whole = IdClass { offset: 3, stride: 8 }.interval(max).expect("a power of two");
            for part in 0..4 {
                let (lo, hi) = IdClass { offset: 3 + 8 * part, stride: 32 }.interval(max).expect("it too");
                assert!(whole.0 <= lo && hi <= whole.1);
            }
        }
        assert_eq!(IdClass::ALL.interval(u64::MAX), Some((0, u64::MAX)));
        assert_eq!(IdClass { offset: 0, stride: 8 }.interval(800), Some((0, 100)));
        assert_eq!(IdClass { offset: 1, stride: 3 }.interval(800), None);
    }
}
