//! What `/metrics` says, in OpenMetrics text ([`super::exposition`] makes the older format of it). Read when asked for;
//! nothing is counted twice.

use std::fmt::Error;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::door::{Kind, LATENCY_BOUNDS_US};

/// One reading of everything.
#[derive(Debug)]
struct Reading {
    status: p2pdb_engine::Status,
    not_ready: usize,
    clients: usize,
    connections: (u64, u64, u64),
    bytes: (u64, u64),
    net: (u64, u64),
    kinds: Vec<(&'static str, Vec<u64>, u64, u64)>,
    engine: [(&'static str, &'static str, u64); 8],
    peers: usize,
    replicated: [(&'static str, &'static str, u64); 2],
}

pub(super) fn render(app: &App) -> Result<String, Error> {
    let stats = app.door().stats();
    let c = app.engine().counters();
    let r = app.replication();
    let reading = Reading {
        status: app.engine().status(),
        not_ready: app.reasons_not_ready().len(),
        clients: app.door().connected(),
        connections: stats.connections(),
        bytes: stats.bytes(),
        net: app.link.bytes(),
        kinds: Kind::ALL
            .into_iter()
            .map(|k| {
                let s = stats.kind(k);
                (k.name(), s.latency, s.sum_us, s.errors)
            })
            .collect(),
        engine: [
            ("commit_groups", "Group commits", c.groups.load(Relaxed)),
            (
                "commit_groups_failed",
                "Group commits, of clients or of peers, that failed",
                c.groups_failed.load(Relaxed),
            ),
            ("transactions", "Local transactions committed", c.transactions.load(Relaxed)),
            ("blocks_made", "Blocks made here", c.blocks_made.load(Relaxed)),
            ("blocks_applied", "Blocks of others applied", c.blocks_applied.load(Relaxed)),
            ("blocks_refused", "Blocks refused", c.blocks_refused.load(Relaxed)),
            ("transaction_conflicts", "Transactions that ended with error 1213", c.conflicts.load(Relaxed)),
            (
                "lock_timeouts",
                "Waits for the writer that ended with error 1205",
                c.lock_timeouts.load(Relaxed),
            ),
        ],
        peers: app.net().members().len(),
        replicated: [
            ("blocks_received", "Blocks received from peers, new or not", r.blocks_in.load(Relaxed)),
            ("peer_bans", "Peers cut off for an offence", r.bans.load(Relaxed)),
        ],
    };
    let mut registry = Registry::with_prefix("p2pdb");
    registry.register_collector(Box::new(reading));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn counter(e: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), Error> {
    let metric = ConstCounter::new(value);
    metric.encode(e.encode_descriptor(name, help, None, MetricType::Counter)?)
}

fn gauge(e: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> Result<(), Error> {
    let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
    metric.encode(e.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let e = &mut encoder;
        let s = &self.status;
        gauge(e, "ready", "1 when ready for clients", u64::from(self.not_ready == 0))?;
        gauge(e, "mysql_clients", "MySQL clients connected", self.clients as u64)?;
        let (accepted, refused, denied) = self.connections;
        counter(e, "mysql_connections", "MySQL clients accepted", accepted)?;
        counter(e, "mysql_connections_refused", "MySQL clients refused for their number", refused)?;
        counter(e, "mysql_logins_denied", "Logins denied", denied)?;
        counter(e, "mysql_received_bytes", "Bytes from MySQL clients", self.bytes.0)?;
        counter(e, "mysql_sent_bytes", "Bytes to MySQL clients", self.bytes.1)?;
        counter(e, "net_received_bytes", "Bytes from peers, before transport framing", self.net.0)?;
        counter(e, "net_sent_bytes", "Bytes to peers, before transport framing", self.net.1)?;
        let mut family = e.encode_descriptor(
            "statement_seconds",
            "Time of statements by kind",
            None,
            MetricType::Histogram,
        )?;
        for (kind, latency, sum_us, _) in &self.kinds {
            let labels = [("kind", *kind)];
            let bounds = LATENCY_BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(latency.iter().copied()).collect();
            let count = latency.iter().sum();
            let mut one = family.encode_family(&labels)?;
            one.encode_histogram::<NoLabelSet>(*sum_us as f64 / 1e6, count, &buckets, None)?;
        }
        let mut family = e.encode_descriptor(
            "statement_errors",
            "Statements that ended with an error",
            None,
            MetricType::Counter,
        )?;
        for (kind, _, _, errors) in &self.kinds {
            ConstCounter::new(*errors).encode(family.encode_family(&[("kind", *kind)])?)?;
        }
        for (name, help, value) in self.engine.iter().chain(&self.replicated) {
            counter(e, name, help, *value)?;
        }
        gauge(e, "peers", "Members connected", self.peers as u64)?;
        gauge(e, "blocks", "Blocks held", s.blocks)?;
        gauge(e, "pending_blocks", "Blocks that wait for their parents or their time", s.pending_blocks)?;
        gauge(
            e,
            "kept_blocks",
            "Blocks held but not applied: their rules number is not known to this program",
            s.kept_blocks,
        )?;
        gauge(e, "heads", "Heads of the DAG", s.heads.len() as u64)?;
        gauge(e, "forks", "Forks of chains in the log (p2pdb.forks)", s.forks)?;
        gauge(
            e,
            "newest_block_ms",
            "Time of the newest block, milliseconds since the Unix epoch",
            s.stamp.millis(),
        )?;
        gauge(
            e,
            "alarm",
            "1 when the tables differ from a peer's at the same frontier",
            u64::from(s.alarm.is_some()),
        )?;
        gauge(e, "refuses_writes", "1 while writes are refused", u64::from(s.refuses_writes.is_some()))?;
        let labels = [
            ("realm", s.realm.to_string()),
            ("node", s.node.to_hex()),
            ("frontier", s.frontier_digest.clone()),
            ("fingerprint", s.fingerprint.clone()),
        ];
        let mut info = e.encode_descriptor("state", "Frontier and fingerprint", None, MetricType::Info)?;
        info.encode_info(&labels)
    }
}
