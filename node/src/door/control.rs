//! How the outside reaches a connection's task: to end it, and to see what it is doing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use p2pdb_mysql::ServerError;
use tokio::sync::Notify;

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum End {
    /// The node stops.
    Shutdown = 1,
    /// KILL.
    Killed = 2,
    /// No login in time.
    ConnectTimeout = 3,
    /// No statement for too long.
    Idle = 4,
}

impl End {
    pub(super) fn error(self) -> ServerError {
        match self {
            End::Shutdown => ServerError::new(1053, "08S01", "Server shutdown in progress"),
            End::Killed => ServerError::new(1317, "70100", "Query execution was interrupted"),
            End::ConnectTimeout => {
                ServerError::new(1159, "08S01", "Got timeout reading communication packets")
            }
            End::Idle => ServerError::new(
                4031,
                "HY000",
                "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for configuring this behavior.",
            ),
        }
    }
}

const CONNECTING: u8 = 0;
const IDLE: u8 = 1;
const BUSY: u8 = 2;

/// The shared side of a connection.
pub(super) struct Control {
    /// Something outside wants the task's attention.
    pub(super) attention: Notify,
    /// What a statement waits for is ready.
    pub(super) ready: Notify,
    end: AtomicU8,
    doing: AtomicU8,
    /// When `doing` changed last, milliseconds after `started`.
    since_ms: AtomicU64,
    /// The session's `wait_timeout`, seconds; 0 before there is one.
    wait_s: AtomicU64,
    started: Instant,
    /// Bytes from the client.
    pub(super) received: AtomicU64,
    /// Bytes to the client.
    pub(super) sent: AtomicU64,
    /// Statements that took longer than `long_query_time`.
    pub(super) slow: AtomicU64,
    /// Prepared statements that are open.
    pub(super) prepared: AtomicU64,
    /// TLS, once it is in force.
    pub(super) tls: OnceLock<Tls>,
}

/// What a TLS connection has agreed on, as OpenSSL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) version: String,
    pub(super) cipher: String,
}

impl Control {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            attention: Notify::new(),
            ready: Notify::new(),
            end: AtomicU8::new(0),
            doing: AtomicU8::new(CONNECTING),
            since_ms: AtomicU64::new(started.elapsed().as_millis() as u64),
            wait_s: AtomicU64::new(0),
            started,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            prepared: AtomicU64::new(0),
            tls: OnceLock::new(),
        }
    }

    /// A statement runs.
    pub(super) fn is_busy(&self) -> bool {
        self.doing.load(Ordering::Acquire) == BUSY
    }

    /// The session's `wait_timeout` is this from now on.
    pub(super) fn set_wait(&self, seconds: u64) {
        self.wait_s.store(seconds, Ordering::Relaxed);
    }

    /// Asks the task to end; the first reason stands.
    pub(super) fn end(&self, why: End) {
        let _ = self.end.compare_exchange(0, why as u8, Ordering::AcqRel, Ordering::Acquire);
        self.attention.notify_one();
    }

    /// Why the task should end, if it should.
    pub(super) fn ending(&self) -> Option<End> {
        [End::Shutdown, End::Killed, End::ConnectTimeout, End::Idle]
            .into_iter()
            .find(|e| *e as u8 == self.end.load(Ordering::Acquire))
    }

    pub(super) fn busy(&self) {
        self.doing.store(BUSY, Ordering::Release);
    }

    /// `now` is the caller's last reading, so that a statement costs no further look at the clock.
    pub(super) fn idle(&self, now: Instant) {
        let ms = now.duration_since(self.started).as_millis() as u64;
        self.since_ms.store(ms, Ordering::Relaxed);
        self.doing.store(IDLE, Ordering::Release);
    }

    pub(super) fn check_time(&self, now: Duration, connect: Duration, wait: Duration) {
        let (limit, why) = match self.doing.load(Ordering::Acquire) {
            CONNECTING => (connect, End::ConnectTimeout),
            IDLE => match self.wait_s.load(Ordering::Relaxed) {
                0 => (wait, End::Idle),
                own => (Duration::from_secs(own), End::Idle),
            },
            _ => return,
        };
        let since = Duration::from_millis(self.since_ms.load(Ordering::Relaxed));
        if now.saturating_sub(since) > limit {
            self.end(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_log_in_or_idles_too_long_is_ended_and_who_works_is_not() {
        let s = Duration::from_secs;
        let started = Instant::now();
        let control = Control::new(started);
        control.check_time(s(10), s(10), s(60));
        assert_eq!(control.ending(), None);
        control.check_time(s(12), s(10), s(60));
        assert_eq!(control.ending(), Some(End::ConnectTimeout));

        let control = Control::new(started);
        control.idle(started + s(100));
        control.check_time(s(159), s(10), s(60));
        assert_eq!(control.ending(), None);
        control.busy();
        control.check_time(s(500), s(10), s(60));
        assert_eq!(control.ending(), None);
        control.idle(started + s(500));
        control.check_time(s(561), s(10), s(60));
        assert_eq!(control.ending(), Some(End::Idle));
        control.end(End::Killed);
        assert_eq!(control.ending(), Some(End::Idle), "the first reason stands");

        let control = Control::new(started);
        control.idle(started);
        control.set_wait(100);
        control.check_time(s(99), s(10), s(60));
        assert_eq!(control.ending(), None, "the session's own limit counts");
        control.check_time(s(101), s(10), s(60));
        assert_eq!(control.ending(), Some(End::Idle));
    }
}
