//! The peer side, measured: how soon a commit is visible on another node, how fast an empty node catches up, and what a row
//! costs on disk and wire. Nodes are real processes on loopback.
//!
//! `cargo bench -p p2pdb-node --bench peer -- [--quick] [--json FILE]`; `scripts/bench` calls it. Merging by itself is
//! measured in `merge.rs`.

mod figures;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use figures::Figures;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let quick = args.iter().any(|a| a == "--quick");
    let mut figures = Figures::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(processes(&mut figures, quick))?;
    figures.write(&args)?;
    Ok(())
}

const TABLE: &str = "CREATE TABLE b.t (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(40) NOT NULL, \
                     pad CHAR(20) NOT NULL)";

fn row(n: u64) -> String {
    format!("({n}, '{n:040}', '{:020}')", n * 7)
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

async fn processes(figures: &mut Figures, quick: bool) -> Result<()> {
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
    figures.note("commit to visible on a peer, p50", waits[waits.len() / 2], "ms");
    figures.note("commit to visible on a peer, p99", waits[waits.len() * 99 / 100], "ms");
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
    figures.note(
        "durable single-row inserts, 64 clients",
        rows as f64 / start.elapsed().as_secs_f64(),
        "rows/s",
    );
    let after = disk_bytes(&a.dir)?;
    figures.note("bytes on disk a row, writer", (after - before) as f64 / rows as f64, "B");
    let total = rows + rounds as u64;
    let ticket = invite(&a)?;
    let c = Node::start(&root.path().join("c"), &["join", &ticket, "--peer", &address])?;
    let start = Instant::now();
    let mut on_c = c.connect().await?;
    wait_rows(&mut on_c, total).await?;
    let seconds = start.elapsed().as_secs_f64();
    figures.note(&format!("catch-up of an empty node, {rows} transactions"), seconds, "s");
    let wire = c.metric("p2pdb_net_received_bytes")?;
    figures.note("bytes on the wire a transaction", wire / total as f64, "B");
    // All blocks as they are, with a CID and a length before each.
    let car = root.path().join("log.car");
    let exported = Command::new(binary()).args(["export", "--data-dir"]).arg(&a.dir).arg(&car).output()?;
    anyhow::ensure!(exported.status.success(), "export: {}", String::from_utf8_lossy(&exported.stderr));
    let blocks = std::fs::metadata(&car)?.len() as f64;
    figures.note("bytes of blocks a transaction", blocks / total as f64, "B");
    figures.note("bytes on the wire over bytes of blocks", wire / blocks, "x");
    let row_bytes = disk_bytes(&c.dir)? as f64 / total as f64;
    figures.note("bytes on disk a row, caught-up node", row_bytes, "B");
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
