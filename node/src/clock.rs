//! The real clock and the real dice, for the engine.

use std::time::{SystemTime, UNIX_EPOCH};

use p2pdb_engine::{Clock, Entropy};
use rand::Rng;

/// This machine's wall clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl SystemClock {
    /// Milliseconds since the Unix epoch.
    pub fn wall_ms(self) -> u64 {
        self.now_ms()
    }
}

impl Clock for SystemClock {
    fn now_us(&self) -> u64 {
        // A clock before 1970 reads as 1970.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
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
