//! Connections that end before it is known whose they are: sockets that are no peers, and what a peer that dials several addresses
//! at once drops. Anybody can make them, so that they do not fill the log: one is told, and the others of that minute are counted.

use std::time::{Duration, Instant};

/// How often one is told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Strays {
    told: Option<Instant>,
    untold: u64,
}

impl Strays {
    /// One has come: how many came untold before it, where it is to be told.
    pub(super) fn came(&mut self, now: Instant) -> Option<u64> {
        if self.told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY) {
            self.untold += 1;
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_is_told_with_the_number_of_the_others() {
        let (mut strays, begun) = (Strays::default(), Instant::now());
        assert_eq!(strays.came(begun), Some(0));
        for second in [0, 1, 59] {
            assert_eq!(strays.came(begun + Duration::from_secs(second)), None);
        }
        assert_eq!(strays.came(begun + Duration::from_secs(60)), Some(3));
        assert_eq!(strays.came(begun + Duration::from_secs(61)), None);
        assert_eq!(strays.came(begun + Duration::from_secs(200)), Some(1));
    }
}
