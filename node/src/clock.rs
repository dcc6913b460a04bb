//! The real clock and the real dice, for the engine.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use p2pdb_engine::{Clock, Entropy};
use rand::Rng;

/// How much the clock is wrong on purpose, microseconds: 0 but in a test network. A machine has one clock, so this is
/// one for the process, too.
static WRONG_BY_US: AtomicI64 = AtomicI64::new(0);

/// This machine's wall clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl SystemClock {
    /// Makes the clock wrong by so many milliseconds, as if somebody had set it so. For test networks only.
    pub fn set_wrong_by_ms(self, ms: i64) {
        WRONG_BY_US.store(ms.saturating_mul(1_000), Ordering::Relaxed);
    }

    /// Milliseconds since the Unix epoch.
    pub fn wall_ms(self) -> u64 {
        self.now_ms()
    }
}

impl Clock for SystemClock {
    fn now_us(&self) -> u64 {
        // A clock before 1970 reads as 1970.
        let us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        us.saturating_add_signed(WRONG_BY_US.load(Ordering::Relaxed))
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}
