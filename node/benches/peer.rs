//! The peer side, measured: how soon a commit is visible on another node, how fast blocks are merged, how fast an empty
//! node catches up, and what a row costs on disk and wire.
//!
//! `cargo bench -p p2pdb-node --bench peer -- [--quick] [--json FILE]`; `scripts/bench` calls it. Nodes are real
//! processes on loopback, but for the merge, which is one engine fed with blocks (verification included).

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use p2pdb_engine::{
    Admission, Clock, Engine, EngineConfig, Entropy, NewRealm, Progress, SessionOptions, Sink, create_joiner,
    create_realm,
};
use p2pdb_model::ValueRef;
use p2pdb_model::change::Role;
use p2pdb_model::ids::PublicKey;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;
use p2pdb_sync::{BlockSource, Received};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|a| a == "--quick");
    let json = args.iter().position(|a| a == "--json").and_then(|i| args.get(i + 1)).map(PathBuf::from);
    let mut figures: Vec<(String, f64, &str)> = Vec::new();
    merge(&mut figures, if quick { 5_000 } else { 50_000 })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(processes(&mut figures, quick))?;
    let mut map = serde_json::Map::new();
    for (name, value, unit) in &figures {
        map.insert(name.clone(), serde_json::json!({ "value": value, "unit": unit }));
    }
    if let Some(path) = json {
        std::fs::write(path, serde_json::to_string_pretty(&map)?)?;
    }
    Ok(())
}

fn note(figures: &mut Vec<(String, f64, &'static str)>, name: &str, value: f64, unit: &'static str) {
    println!("{name:52} {value:12.1} {unit}");
    figures.push((name.to_owned(), value, unit));
}

// ---- merging, in this process

struct Wall;
impl Clock for Wall {
    fn now_us(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
    }
}

struct Counting(std::sync::atomic::AtomicU64);
impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for b in buffer {
            let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            *b = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}

struct Drain;
impl Sink for Drain {
    fn columns(&mut self, _: &[Field]) -> Result<(), SqlError> {
        Ok(())
    }
    fn row(&mut self, _: &[Field], _: &[ValueRef<'_>]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

struct Local {
    engine: Engine,
    dir: tempfile::TempDir,
}

fn key(n: u8) -> p2pdb_block::SigningKey {
    p2pdb_block::SigningKey::from_bytes(&[n; 32])
}

fn open(dir: tempfile::TempDir, node: u8) -> Result<Local> {
    let engine = Engine::open(EngineConfig {
        rules: p2pdb_model::RULES,
        directory: dir.path().to_owned(),
        node_key: key(node),
        account_keys: vec![key(99)],
        clock: Arc::new(Wall),
        entropy: Arc::new(Counting(u64::from(node).into())),
        idle_transaction_ms: 10_000,
        lock_wait_ms: 50_000,
        disk: None,
        variables: Vec::new(),
    })?;
    let writer = engine.clone();
    std::thread::spawn(move || writer.run_writer());
    let syncer = engine.clone();
    std::thread::spawn(move || syncer.run_syncer());
    Ok(Local { engine, dir })
}

fn run(session: &mut p2pdb_engine::Session, sql: &str) -> Result<()> {
    let statement = session.prepare(sql)?;
    let mut progress = session.start(&statement, Vec::new(), &mut Drain);
    loop {
        match progress {
            Progress::Done(result) => return Ok(result.map(drop)?),
            Progress::Waiting(wait) => {
                wait.block();
                progress = session.resume(&mut Drain);
            }
        }
    }
}

const TABLE: &str = "CREATE TABLE b.t (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(40) NOT NULL, \
                     pad CHAR(20) NOT NULL)";

/// Two unique values besides the key: each is looked up in every merged row.
const UNIQUE: &str = "CREATE TABLE b.u (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL UNIQUE, c CHAR(40) NOT NULL, \
                      pad CHAR(20) NOT NULL UNIQUE)";

fn row(n: u64) -> String {
    format!("({n}, '{n:040}', '{:020}')", n * 7)
}

fn merge(figures: &mut Vec<(String, f64, &'static str)>, rows: u64) -> Result<()> {
    for per_block in [1u64, 100] {
        let dir = tempfile::tempdir()?;
        create_realm(NewRealm {
            name: "bench",
            node_name: "a",
            directory: dir.path(),
            node_key: &key(1),
            account_key: &key(99),
            clock: Arc::new(Wall),
            entropy: Arc::new(Counting(0.into())),
        })?;
        let a = open(dir, 1)?;
        let (node, ticket) = (p2pdb_block::sign::node_id(&key(2)), key(3));
        let ticket_key = PublicKey(ticket.verifying_key().to_bytes());
        let realm = a.engine.realm();
        a.engine.invite(ticket_key, Role::Writer, None, 1)?;
        let signature = p2pdb_access::admission_signature(&ticket, &realm, &node);
        a.engine.admit(Admission { node, ticket: ticket_key, signature, name: "b".to_owned() })?;
        let dir = tempfile::tempdir()?;
        create_joiner(dir.path(), realm)?;
        let b = open(dir, 2)?;
        let options = SessionOptions {
            user: "root".to_owned(),
            host: "localhost".to_owned(),
            database: None,
            connection_id: 1,
        };
        let mut session = a.engine.session(&options)?;
        run(&mut session, "CREATE DATABASE b")?;
        run(&mut session, TABLE)?;
        run(&mut session, UNIQUE)?;
        feed(&a, &b)?;
        for (table, what) in [("t", "fresh rows"), ("u", "fresh rows with two unique keys")] {
            let mut n = 0;
            while n < rows {
                let values: Vec<String> = (n..n + per_block).map(row).collect();
                run(&mut session, &format!("INSERT INTO b.{table} (k, c, pad) VALUES {}", values.join(",")))?;
                n += per_block;
            }
            let seconds = feed(&a, &b)?;
            note(figures, &format!("merge, {what}, {per_block} a block"), rows as f64 / seconds, "rows/s");
        }
        let mut n = 0u64;
        while n < rows / 2 {
            let ids: Vec<String> = (0..per_block).map(|i| ((n + i) * 7_919 % rows + 1).to_string()).collect();
            run(&mut session, &format!("UPDATE b.t SET k = k + 1 WHERE id IN ({})", ids.join(",")))?;
            n += per_block;
        }
        let seconds = feed(&a, &b)?;
        note(
            figures,
            &format!("merge, scattered overwrites, {per_block} a block"),
            (rows / 2) as f64 / seconds,
            "rows/s",
        );
        if a.engine.status().fingerprint != b.engine.status().fingerprint {
            bail!("the engines differ after the merge");
        }
        drop(session);
        for l in [a, b] {
            l.engine.stop();
            drop(l.dir);
        }
    }
    Ok(())
}

/// Gives `b` what it lacks of `a`, as catch-up does; says how long the merge took, in seconds.
fn feed(a: &Local, b: &Local) -> Result<f64> {
    let (from, to) = (a.engine.log_view()?, b.engine.log_view()?);
    let cover = from.cover(&to.frontier()?)?;
    let mut at = from.first_uncovered(&cover)?;
    let mut seconds = 0.0;
    while let Some(no) = at {
        let scan = from.scan(&cover, no, 512 << 10, 4_096)?;
        at = scan.next;
        let batch: Result<Vec<Received>> = scan
            .blocks
            .into_iter()
            .map(|w| {
                let block = p2pdb_block::RawBlock(w.0.into_vec()).decode()?;
                Ok(Received { block, bodies: w.1.into_iter().map(|b| b.into_vec()).collect() })
            })
            .collect();
        let batch = batch?;
        let start = Instant::now();
        let arrived = b.engine.ingest(batch).block();
        seconds += start.elapsed().as_secs_f64();
        if let Some(fault) = arrived.fault {
            bail!("{fault}");
        }
    }
    Ok(seconds)
}

// ---- processes

struct Node {
    process: Child,
    dir: PathBuf,
    mysql: u16,
    peer: u16,
    http: u16,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_p2pdb-node")
}

impl Node {
    fn start(dir: &Path, verb: &[&str]) -> Result<Node> {
        let (mysql, peer, http) = (free_port()?, free_port()?, free_port()?);
        let log = std::fs::File::create(dir.with_extension("log"))?;
        let process = Command::new(binary())
            .args(verb)
            .arg("--data-dir")
            .arg(dir)
            .args(["--mysql-listen", &format!("127.0.0.1:{mysql}")])
            .args(["--peer-listen", &format!("/ip4/127.0.0.1/tcp/{peer}")])
            .args(["--http-listen", &format!("127.0.0.1:{http}"), "--mdns", "false"])
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()?;
        Ok(Node { process, dir: dir.to_owned(), mysql, peer, http })
    }

    async fn connect(&self) -> Result<Conn> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match self.try_connect().await {
                Ok(conn) => return Ok(conn),
                Err(e) if Instant::now() > end => return Err(e.context("the node does not answer")),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn try_connect(&self) -> Result<Conn> {
        let client = std::fs::read_to_string(self.dir.join("client.cnf"))?;
        let password = client
            .lines()
            .find_map(|l| l.split_once('=').filter(|(k, _)| k.trim() == "password"))
            .map(|(_, v)| v.trim().trim_matches('"').to_owned())
            .context("a password in client.cnf")?;
        let opts = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.mysql)
            .user(Some("root"))
            .pass(Some(password))
            .prefer_socket(Some(false));
        Ok(Conn::new(opts).await?)
    }

    fn metric(&self, name: &str) -> Result<f64> {
        use std::io::Read as _;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.http))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let total: f64 = text
            .lines()
            .filter(|l| l.starts_with(name) && !l.starts_with('#'))
            .filter_map(|l| l.rsplit_once(' ').and_then(|(_, v)| v.parse::<f64>().ok()))
            .sum();
        Ok(total)
    }
}

fn invite(node: &Node) -> Result<String> {
    let out = Command::new(binary()).args(["invite", "--data-dir"]).arg(&node.dir).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let ticket = text.split_whitespace().find(|w| w.starts_with("p2pdb-ticket-"));
    ticket.map(str::to_owned).with_context(|| {
        format!("a ticket in the answer of invite: {text} {}", String::from_utf8_lossy(&out.stderr))
    })
}

async fn processes(figures: &mut Vec<(String, f64, &'static str)>, quick: bool) -> Result<()> {
    let root = tempfile::tempdir()?;
    let a = Node::start(&root.path().join("a"), &["run"])?;
    let mut on_a = a.connect().await?;
    on_a.query_drop("CREATE DATABASE b").await?;
    on_a.query_drop(TABLE).await?;
    let ticket = invite(&a)?;
    let address = format!("/ip4/127.0.0.1/tcp/{}", a.peer);
    let b = Node::start(&root.path().join("b"), &["join", &ticket, "--peer", &address])?;
    let mut on_b = b.connect().await?;
    wait_rows(&mut on_b, 0).await?;

    // Commit to visible: commit on one, look on the other until it is there.
    let rounds = if quick { 200 } else { 2_000 };
    let mut waits: Vec<f64> = Vec::with_capacity(rounds);
    for n in 0..rounds as u64 {
        on_a.query_drop(format!("INSERT INTO b.t (k, c, pad) VALUES {}", row(n))).await?;
        let committed = Instant::now();
        loop {
            let seen: Option<u64> =
                on_b.query_first(format!("SELECT k FROM b.t WHERE k = {n} LIMIT 1")).await?;
            if seen.is_some() {
                break;
            }
            if committed.elapsed() > Duration::from_secs(10) {
                bail!("row {n} did not arrive in 10 s");
            }
        }
        waits.push(committed.elapsed().as_secs_f64() * 1e3);
        on_b.query_drop("SELECT 1").await?;
    }
    waits.sort_by(f64::total_cmp);
    note(figures, "commit to visible on a peer, p50", waits[waits.len() / 2], "ms");
    note(figures, "commit to visible on a peer, p99", waits[waits.len() * 99 / 100], "ms");
    drop(on_b);
    drop(b);

    // Catch-up of an empty node.
    let rows: u64 = if quick { 10_000 } else { 200_000 };
    let writers = 64;
    let before = disk_bytes(&a.dir)?;
    let start = Instant::now();
    let mut tasks = Vec::new();
    for w in 0..writers {
        let mut conn = a.connect().await?;
        tasks.push(tokio::spawn(async move {
            let insert = conn.prep("INSERT INTO b.t (k, c, pad) VALUES (?, ?, ?)").await?;
            for n in (w..rows).step_by(writers as usize) {
                conn.exec_drop(&insert, (n + 1_000_000, format!("{n:040}"), format!("{:020}", n * 7)))
                    .await?;
            }
            anyhow::Ok(())
        }));
    }
    for t in tasks {
        t.await??;
    }
    note(
        figures,
        "durable single-row inserts, 64 clients",
        rows as f64 / start.elapsed().as_secs_f64(),
        "rows/s",
    );
    let after = disk_bytes(&a.dir)?;
    note(figures, "bytes on disk a row, writer", (after - before) as f64 / rows as f64, "B");
    let total = rows + rounds as u64;
    let ticket = invite(&a)?;
    let c = Node::start(&root.path().join("c"), &["join", &ticket, "--peer", &address])?;
    let start = Instant::now();
    let mut on_c = c.connect().await?;
    wait_rows(&mut on_c, total).await?;
    let seconds = start.elapsed().as_secs_f64();
    note(figures, &format!("catch-up of an empty node, {rows} transactions"), seconds, "s");
    let wire = c.metric("p2pdb_net_received_bytes")?;
    note(figures, "bytes on the wire a transaction", wire / total as f64, "B");
    let blocks = a.metric("p2pdb_log_bytes")?;
    if blocks > 0.0 {
        note(figures, "bytes on the wire over bytes of blocks", wire / blocks, "x");
    }
    let row_bytes = disk_bytes(&c.dir)? as f64 / total as f64;
    note(figures, "bytes on disk a row, caught-up node", row_bytes, "B");
    drop(on_a);
    Ok(())
}

async fn wait_rows(conn: &mut Conn, rows: u64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(300);
    loop {
        let found: Result<Option<u64>, _> = conn.query_first("SELECT COUNT(*) FROM b.t").await;
        if matches!(found, Ok(Some(n)) if n >= rows) {
            return Ok(());
        }
        if Instant::now() > end {
            bail!("{found:?} rows after 300 s, {rows} are wanted");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Bytes of the store's file and its write-ahead log.
fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("realm.db") {
            let wal = entry.file_name().to_string_lossy().ends_with("-wal");
            // A write-ahead log is reused, not part of what a row costs for good.
            total += if wal { 0 } else { entry.metadata()?.len() };
        }
    }
    Ok(total)
}
