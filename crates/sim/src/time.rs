//! One true time for a world, and each node's own idea of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use p2pdb_engine::{Clock, Entropy};
use parking_lot::Mutex;

use crate::random::Random;

/// When worlds begin: 2026-01-02 03:04:05 UTC, microseconds since the Unix epoch.
const START_US: u64 = 1_767_323_045_000_000;

/// Microseconds since the world began, which nobody inside it can see.
#[derive(Clone, Debug, Default)]
pub struct TrueTime(Arc<AtomicU64>);

impl TrueTime {
    /// Now.
    pub fn us(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Only forwards.
    pub fn set_us(&self, us: u64) {
        debug_assert!(us >= self.us(), "time went back");
        self.0.store(us, Relaxed);
    }
}

/// So long after the beginning as a DATETIME in UTC.
pub fn wall(ms: u64) -> String {
    let whole = START_US / 1_000 + ms;
    let (day, ms) = (whole / 86_400_000, whole % 86_400_000);
    let first = START_US / 86_400_000_000;
    let seconds = ms / 1_000;
    // Worlds last minutes.
    let date = 2 + day - first;
    format!(
        "2026-01-{date:02} {:02}:{:02}:{:02}.{:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60,
        ms % 1_000
    )
}

/// A node's wall clock: the true time, wrong by something that may jump.
#[derive(Debug)]
pub struct NodeClock {
    time: TrueTime,
    wrong_by_us: AtomicI64,
}

impl NodeClock {
    /// A clock that is wrong by so much.
    pub fn new(time: TrueTime, wrong_by_ms: i64) -> Arc<Self> {
        Arc::new(NodeClock { time, wrong_by_us: AtomicI64::new(wrong_by_ms * 1_000) })
    }

    /// Somebody sets it.
    pub fn jump_ms(&self, by_ms: i64) {
        self.wrong_by_us.fetch_add(by_ms * 1_000, Relaxed);
    }

    /// By how much it is wrong.
    pub fn wrong_by_ms(&self) -> i64 {
        self.wrong_by_us.load(Relaxed) / 1_000
    }
}

impl Clock for NodeClock {
    fn now_us(&self) -> u64 {
        (START_US + self.time.us()).saturating_add_signed(self.wrong_by_us.load(Relaxed))
    }
}

/// A node's dice.
#[derive(Debug)]
pub struct NodeEntropy(Mutex<Random>);

impl NodeEntropy {
    /// Those of this stream.
    pub fn new(random: Random) -> Arc<Self> {
        Arc::new(NodeEntropy(Mutex::new(random)))
    }
}

impl Entropy for NodeEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = self.0.lock();
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
    }
}
