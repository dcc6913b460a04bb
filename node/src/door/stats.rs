//! Counters of the door. Plain atomics: a statement pays for two additions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Kinds of statements, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SELECT, WITH, VALUES, TABLE.
    Select,
    /// INSERT, REPLACE.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE, TRUNCATE.
    Delete,
    /// CREATE, ALTER, DROP, RENAME.
    Schema,
    /// BEGIN, COMMIT and so on.
    Transaction,
    /// KILL.
    Kill,
    /// SHOW, SET, USE and the rest.
    Other,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 8] = [
        Kind::Select,
        Kind::Insert,
        Kind::Update,
        Kind::Delete,
        Kind::Schema,
        Kind::Transaction,
        Kind::Kill,
        Kind::Other,
    ];

    /// The label in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Select => "select",
            Kind::Insert => "insert",
            Kind::Update => "update",
            Kind::Delete => "delete",
            Kind::Schema => "schema",
            Kind::Transaction => "transaction",
            Kind::Kill => "kill",
            Kind::Other => "other",
        }
    }

    /// By the first word. A comment in front makes it `Other`, which only costs a KILL its haste.
    pub fn of(sql: &str) -> Kind {
        let text = sql.trim_start_matches([' ', '\n', '\t', '\r', '(']);
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        let is = |words: &[&str]| words.iter().any(|w| text[..end].eq_ignore_ascii_case(w));
        if is(&["select", "with", "values", "table"]) {
            Kind::Select
        } else if is(&["insert", "replace"]) {
            Kind::Insert
        } else if is(&["update"]) {
            Kind::Update
        } else if is(&["delete", "truncate"]) {
            Kind::Delete
        } else if is(&["create", "alter", "drop", "rename"]) {
            Kind::Schema
        } else if is(&["begin", "start", "commit", "rollback", "savepoint", "release"]) {
            Kind::Transaction
        } else if is(&["kill"]) {
            Kind::Kill
        } else {
            Kind::Other
        }
    }
}

/// Upper bounds of the latency histogram, in microseconds; one more bucket holds what is above.
pub const LATENCY_BOUNDS_US: [u64; 14] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 10_000_000];

#[derive(Debug, Default)]
struct PerKind {
    latency: [AtomicU64; LATENCY_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
    errors: AtomicU64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Stats {
    kinds: [PerKind; Kind::ALL.len()],
    connections: AtomicU64,
    refused: AtomicU64,
    denied: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    connected_max: AtomicU64,
    aborted_connects: AtomicU64,
    aborted_clients: AtomicU64,
    slow: AtomicU64,
}

/// One kind's numbers.
pub struct KindStats {
    /// Per bucket of [`LATENCY_BOUNDS_US`], not cumulative, and above.
    pub latency: Vec<u64>,
    /// All latencies together, microseconds.
    pub sum_us: u64,
    /// Statements that ended with an error.
    pub errors: u64,
}

impl Stats {
    pub(super) fn statement(&self, kind: Kind, took: Duration, failed: bool) {
        let us = took.as_micros() as u64;
        let bucket = LATENCY_BOUNDS_US.iter().position(|b| us <= *b).unwrap_or(LATENCY_BOUNDS_US.len());
        let k = &self.kinds[kind as usize];
        k.latency[bucket].fetch_add(1, Ordering::Relaxed);
        k.sum_us.fetch_add(us, Ordering::Relaxed);
        if failed {
            k.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client was accepted; so many are connected now.
    pub(super) fn connected(&self, now: usize) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.connected_max.fetch_max(now as u64, Ordering::Relaxed);
    }
    /// A client is gone that had not logged in.
    pub(super) fn aborted_connect(&self) {
        self.aborted_connects.fetch_add(1, Ordering::Relaxed);
    }
    /// A client is gone without having taken leave.
    pub(super) fn aborted_client(&self) {
        self.aborted_clients.fetch_add(1, Ordering::Relaxed);
    }
    /// A statement took longer than `long_query_time`.
    pub(super) fn slow(&self) {
        self.slow.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn denied(&self) {
        self.denied.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }
    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// One kind's numbers.
    pub fn kind(&self, kind: Kind) -> KindStats {
        let k = &self.kinds[kind as usize];
        KindStats {
            latency: k.latency.iter().map(|n| n.load(Ordering::Relaxed)).collect(),
            sum_us: k.sum_us.load(Ordering::Relaxed),
            errors: k.errors.load(Ordering::Relaxed),
        }
    }

    /// Statements run.
    pub fn statements(&self) -> u64 {
        self.kinds.iter().flat_map(|k| &k.latency).map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// Connections accepted, refused for their number, and denied at login.
    pub fn connections(&self) -> (u64, u64, u64) {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        (get(&self.connections), get(&self.refused), get(&self.denied))
    }

    /// The most clients that were connected at once.
    pub fn connected_max(&self) -> u64 {
        self.connected_max.load(Ordering::Relaxed)
    }

    /// Clients that were gone before they had logged in, and without having taken leave.
    pub fn aborted(&self) -> (u64, u64) {
        (self.aborted_connects.load(Ordering::Relaxed), self.aborted_clients.load(Ordering::Relaxed))
    }

    /// Statements that took longer than `long_query_time`.
    pub fn slow_statements(&self) -> u64 {
        self.slow.load(Ordering::Relaxed)
    }

    /// Bytes received and sent.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes_in.load(Ordering::Relaxed), self.bytes_out.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_by_their_first_word() {
        for (sql, kind) in [
            ("select 1", Kind::Select),
            ("  (SELECT 1) UNION (SELECT 2)", Kind::Select),
            ("REPLACE INTO t VALUES (1)", Kind::Insert),
            ("truncate t", Kind::Delete),
            ("COMMIT", Kind::Transaction),
            ("Alter table t add x int", Kind::Schema),
            ("selector", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(Kind::of(sql), kind, "{sql}");
        }
        for (i, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, i);
        }
    }

    #[test]
    fn latencies_fall_into_their_buckets() {
        let stats = Stats::default();
        for us in [0, 50, 51, 20_000_000] {
            stats.statement(Kind::Select, Duration::from_micros(us), us > 100);
        }
        let select = stats.kind(Kind::Select);
        assert_eq!((select.latency[0], select.latency[1]), (2, 1));
        assert_eq!(select.latency[LATENCY_BOUNDS_US.len()], 1);
        assert_eq!((select.errors, stats.statements()), (1, 4));
    }
}
