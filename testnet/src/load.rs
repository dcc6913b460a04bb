//! `load`: a small write load, one thread a client, one row a transaction.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use p2pdb_node::mysql_client::MysqlClient;
use p2pdb_node::units::parse_duration;

use crate::say::say;
use crate::state::State;

/// Between two attempts to connect.
const RECONNECT: Duration = Duration::from_millis(200);
const SCHEMA: [&str; 2] = [
    "CREATE DATABASE IF NOT EXISTS testnet",
    "CREATE TABLE IF NOT EXISTS testnet.events (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, node INT NOT NULL, client INT NOT NULL, n BIGINT NOT NULL, note VARCHAR(100) NOT NULL)",
];

/// `load`.
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// Nodes to write on, such as 1,2; default: all
    #[arg(long, value_delimiter = ',')]
    nodes: Vec<u32>,
    /// Clients on each node
    #[arg(long, default_value_t = 4)]
    clients: u32,
    /// Rows a second, all clients together; 0: as fast as they can
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How long, such as 10s
    #[arg(long = "for", default_value = "10s", value_name = "TIME")]
    time: String,
}

#[derive(Default)]
struct Counts {
    rows: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    latencies_us: Mutex<Vec<u32>>,
    stop: AtomicBool,
}

impl Counts {
    fn error(&self, what: String) {
        *self.errors.lock().expect("no panic under this lock").entry(what).or_default() += 1;
    }
}

pub(crate) fn load(dir: &Path, args: &Load) -> anyhow::Result<()> {
    let state = Arc::new(State::must_load(dir)?);
    let time = parse_duration(&args.time).map_err(anyhow::Error::msg)?;
    let nodes = if args.nodes.is_empty() {
        state.nodes.iter().map(|n| n.number).collect()
    } else {
        args.nodes.clone()
    };
    for number in &nodes {
        state.node(*number)?;
        if state.running(*number).is_none() {
            bail!("node {number} does not run; name others with --nodes");
        }
        let mut client = MysqlClient::open(&state.client_file(*number)?, None, "p2pdb-testnet load")?;
        for sql in SCHEMA {
            client.run(sql)?.map_err(|e| anyhow::anyhow!("node {number}: {e}"))?;
        }
    }
    let threads = nodes.len() as u32 * args.clients.max(1);
    say!("writing to testnet.events on {} nodes with {threads} clients for {}", nodes.len(), args.time);
    let pause = (args.rate > 0).then(|| Duration::from_secs_f64(f64::from(threads) / f64::from(args.rate)));
    let counts = Arc::new(Counts::default());
    let begun = Instant::now();
    let mut workers = Vec::new();
    for number in nodes {
        for client in 0..args.clients.max(1) {
            let (state, counts) = (state.clone(), counts.clone());
            workers.push(std::thread::spawn(move || write(&state, number, client, pause, &counts)));
        }
    }
    let mut before = 0;
    while begun.elapsed() < time {
        std::thread::sleep(Duration::from_secs(1).min(time.saturating_sub(begun.elapsed())));
        let rows = counts.rows.load(Ordering::Relaxed);
        say!("{:4.0} s  {:6} rows/s  {rows} rows", begun.elapsed().as_secs_f64(), rows - before);
        before = rows;
    }
    counts.stop.store(true, Ordering::Relaxed);
    for worker in workers {
        if worker.join().is_err() {
            bail!("a client thread has panicked");
        }
    }
    report(&counts, begun.elapsed());
    Ok(())
}

fn write(state: &State, number: u32, client: u32, pause: Option<Duration>, counts: &Counts) {
    let mut n = 0u64;
    let mut connection: Option<MysqlClient> = None;
    let mut due = Instant::now();
    while !counts.stop.load(Ordering::Relaxed) {
        let Some(open) = &mut connection else {
            let file = state.client_file(number);
            match file.and_then(|f| MysqlClient::open(&f, Some("testnet".into()), "p2pdb-testnet load")) {
                Ok(fresh) => connection = Some(fresh),
                Err(e) => {
                    counts.error(format!("node {number}: {e}"));
                    std::thread::sleep(RECONNECT);
                }
            }
            continue;
        };
        if let Some(pause) = pause {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            due += pause;
        }
        n += 1;
        let sql = format!(
            "INSERT INTO events (node, client, n, note) VALUES ({number}, {client}, {n}, 'row {n} of client {client} on node {number}')"
        );
        let begun = Instant::now();
        match open.run(&sql) {
            Ok(Ok(_)) => {
                counts.rows.fetch_add(1, Ordering::Relaxed);
                let us = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
                counts.latencies_us.lock().expect("no panic under this lock").push(us);
            }
            Ok(Err(e)) => counts.error(format!("node {number}: {e}")),
            Err(e) => {
                counts.error(format!("node {number}: {e:#}"));
                connection = None;
            }
        }
    }
}

fn report(counts: &Counts, took: Duration) {
    let rows = counts.rows.load(Ordering::Relaxed);
    let mut latencies = counts.latencies_us.lock().expect("no panic under this lock").clone();
    latencies.sort_unstable();
    let at = |p: f64| {
        latencies.get(((latencies.len() as f64 * p) as usize).min(latencies.len().saturating_sub(1)))
    };
    let ms = |p| at(p).map_or(0.0, |us| f64::from(*us) / 1000.0);
    say!(
        "{rows} rows in {:.1} s: {:.0} rows/s; latency p50 {:.2} ms, p99 {:.2} ms, greatest {:.2} ms",
        took.as_secs_f64(),
        rows as f64 / took.as_secs_f64(),
        ms(0.5),
        ms(0.99),
        ms(1.0)
    );
    let errors = counts.errors.lock().expect("no panic under this lock");
    if errors.is_empty() {
        say!("no errors");
    }
    for (what, n) in errors.iter() {
        say!("{n} × {what}");
    }
}
