//! Merging, measured in this process: one engine is fed with blocks, with signatures, hashes and ancestry checked, and nothing
//! else runs. Also what a local insert costs beside plain SQLite, and what is kept beside a row.
//!
//! `cargo bench -p p2pdb-node --bench merge -- [--quick] [--only PART] [--json FILE]`; `scripts/bench` calls it. The parts are
//! `constraints`, `growth`, `authors`, `inserts` and `metadata`.

mod engines;
mod figures;

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use engines::{Local, admit, feed, invite, key, open, realm, run, session};
use figures::Figures;
use p2pdb_block::{BodyBuilder, Draft, SigningKey, seal};
use p2pdb_engine::create_joiner;
use p2pdb_model::change::{Layout, Role, RowChange};
use p2pdb_model::{AccountId, Change, Cid, RULES, RealmId, Stamp, Value};
use p2pdb_sync::{BlockSource, Received};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let scale = if args.iter().any(|a| a == "--quick") { 1 } else { 10 };
    let mut figures = Figures::default();
    type Part = fn(&mut Figures, u64) -> Result<()>;
    let parts: [(&str, Part, u64); 5] = [
        ("constraints", constraints, 5_000),
        ("growth", growth, 50_000),
        ("authors", authors, 2_000),
        ("inserts", inserts, 300),
        ("metadata", metadata, 5_000),
    ];
    let only = args.iter().position(|a| a == "--only").and_then(|at| args.get(at + 1));
    for (name, part, size) in parts {
        if only.is_none_or(|only| only == name) {
            part(&mut figures, size * scale)?;
        }
    }
    figures.write(&args)
}

// ---- two engines in this process

/// A realm with two members, and a session on the first.
struct Pair {
    a: Local,
    b: Local,
    session: p2pdb_engine::Session,
}

impl Pair {
    fn new(schema: &[&str]) -> Result<Pair> {
        let a = realm(1)?;
        let ticket = key(3);
        invite(&a, &ticket, Role::Writer, 1)?;
        admit(&a, &ticket, &key(2))?;
        let dir = tempfile::tempdir()?;
        create_joiner(dir.path(), a.engine.realm())?;
        let b = open(dir, 2)?;
        let mut session = session(&a.engine)?;
        run(&mut session, "CREATE DATABASE b")?;
        for sql in schema {
            run(&mut session, sql)?;
        }
        feed(&a, &b)?;
        Ok(Pair { a, b, session })
    }

    /// Both hold the same; then they go.
    fn end(self) -> Result<()> {
        let (a, b) = (self.a.engine.status(), self.b.engine.status());
        if a.fingerprint != b.fingerprint {
            bail!("the engines differ after the merge");
        }
        drop(self.session);
        for l in [self.a, self.b] {
            l.engine.stop();
            drop(l.dir);
        }
        Ok(())
    }
}

// ---- constraints

const TABLE: &str = "CREATE TABLE b.t (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL, c CHAR(40) NOT NULL, \
                     pad CHAR(20) NOT NULL)";

/// Two unique values besides the key: each is looked up in every merged row.
const UNIQUE: &str = "CREATE TABLE b.u (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL UNIQUE, c CHAR(40) NOT NULL, \
                      pad CHAR(20) NOT NULL UNIQUE)";

/// A reference, and a CHECK over two columns: asked of every merged row.
const CHECKED: &str = "CREATE TABLE b.f (id INT PRIMARY KEY AUTO_INCREMENT, k INT NOT NULL REFERENCES b.p (id), c CHAR(40) NOT NULL, \
                       pad CHAR(20) NOT NULL, FOREIGN KEY (k) REFERENCES b.p (id), CHECK (k <= 1000000 AND pad <> c))";

const PARENT: &str = "CREATE TABLE b.p (id INT PRIMARY KEY)";

fn row(n: u64, keys: u64) -> String {
    format!("({}, '{n:040}', '{:020}')", n % keys, n * 7)
}

fn constraints(figures: &mut Figures, rows: u64) -> Result<()> {
    for per_block in [1u64, 100] {
        let mut pair = Pair::new(&[TABLE, UNIQUE, PARENT, CHECKED])?;
        let parents: Vec<String> = (0..1_000).map(|n| format!("({n})")).collect();
        run(&mut pair.session, &format!("INSERT INTO b.p VALUES {}", parents.join(",")))?;
        feed(&pair.a, &pair.b)?;
        for (table, keys, what) in [
            ("t", u64::MAX, "fresh rows"),
            ("u", u64::MAX, "fresh rows with two unique keys"),
            ("f", 1_000, "fresh rows with a reference and a CHECK"),
        ] {
            let mut n = 0;
            while n < rows {
                let values: Vec<String> = (n..n + per_block).map(|n| row(n, keys)).collect();
                let sql = format!("INSERT INTO b.{table} (k, c, pad) VALUES {}", values.join(","));
                run(&mut pair.session, &sql)?;
                n += per_block;
            }
            let seconds = feed(&pair.a, &pair.b)?;
            figures.note(&format!("merge, {what}, {per_block} a block"), rows as f64 / seconds, "rows/s");
        }
        let mut n = 0u64;
        while n < rows / 2 {
            let ids: Vec<String> = (0..per_block).map(|i| ((n + i) * 7_919 % rows + 1).to_string()).collect();
            run(&mut pair.session, &format!("UPDATE b.t SET k = k + 1 WHERE id IN ({})", ids.join(",")))?;
            n += per_block;
        }
        let rate = (rows / 2) as f64 / feed(&pair.a, &pair.b)?;
        figures.note(&format!("merge, scattered overwrites, {per_block} a block"), rate, "rows/s");
        pair.end()?;
    }
    Ok(())
}

// ---- growth

/// What is written for a merged row into trees of keys: the table, its two unique keys, and the change index.
const PLAIN_UNIQUE: &str = "CREATE TABLE u (id INTEGER PRIMARY KEY, k INT NOT NULL UNIQUE, c TEXT NOT NULL, pad TEXT NOT NULL UNIQUE);
                            CREATE TABLE chg (tbl INTEGER NOT NULL, ident NOT NULL, tx INTEGER NOT NULL, off INTEGER NOT NULL,
                                              PRIMARY KEY (tbl, ident, tx, off)) WITHOUT ROWID;";

/// Rows of the plain database's transactions: about as many as are merged in one.
const PLAIN_ROWS: usize = 5_000;

/// Inserts rows into plain SQLite; says how long it took, in seconds.
fn plain_rows(db: &rusqlite::Connection, rows: impl Iterator<Item = u64>) -> Result<f64> {
    let rows: Vec<(u64, String, String)> =
        rows.map(|n| (n, format!("{n:040}"), format!("{:020}", n * 7))).collect();
    let start = Instant::now();
    for rows in rows.chunks(PLAIN_ROWS) {
        db.execute_batch("BEGIN IMMEDIATE")?;
        let mut row = db.prepare_cached("INSERT OR IGNORE INTO u (k, c, pad) VALUES (?1, ?2, ?3)")?;
        let mut change = db.prepare_cached("INSERT OR IGNORE INTO chg VALUES (1, ?1, ?2, ?3)")?;
        for (n, c, pad) in rows {
            if row.execute(rusqlite::params![*n as i64, c, pad])? == 1 {
                let id = db.last_insert_rowid();
                change.execute([id, id / 100, id % 100 * 80])?;
            }
        }
        db.execute_batch("COMMIT")?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// All over the keys, not at their end.
fn scattered(n: u64) -> u64 {
    n.wrapping_mul(2_654_435_761) % (1 << 31)
}

/// Whether the merge of a row costs more in a larger table, and whether it does in plain SQLite with the same keys.
fn growth(figures: &mut Figures, rows: u64) -> Result<()> {
    let mut pair = Pair::new(&[UNIQUE])?;
    let dir = tempfile::tempdir()?;
    let db = plain(dir.path(), PLAIN_UNIQUE)?;
    db.pragma_update(None, "cache_size", -(16 << 10))?;
    let mut empty = (0.0, 0.0);
    let (mut n, batch) = (0, 10_000);
    for held in [0, rows / 5, rows] {
        plain_rows(&db, n..held)?;
        // A few keys meet those of scattered rows.
        while n < held {
            let values: Vec<String> = (n..n + 1_000).map(|n| row(n, u64::MAX)).collect();
            run(
                &mut pair.session,
                &format!("INSERT IGNORE INTO b.u (k, c, pad) VALUES {}", values.join(",")),
            )?;
            n += 1_000;
        }
        feed(&pair.a, &pair.b)?;
        let until = n + batch;
        while n < until {
            let values: Vec<String> = (n..n + 100).map(|n| row(scattered(n), u64::MAX)).collect();
            run(
                &mut pair.session,
                &format!("INSERT IGNORE INTO b.u (k, c, pad) VALUES {}", values.join(",")),
            )?;
            n += 100;
        }
        let rate = batch as f64 / feed(&pair.a, &pair.b)?;
        figures.note(
            &format!("merge into a table of {held} rows, two unique keys, 100 a block"),
            rate,
            "rows/s",
        );
        let beside = batch as f64 / plain_rows(&db, (until - batch..until).map(scattered))?;
        figures.note(&format!("the same keys into plain SQLite with {held} rows"), beside, "rows/s");
        if held == 0 {
            empty = (rate, beside);
        } else {
            figures.note(
                &format!("merge, speed with {held} rows beside that with none"),
                rate / empty.0,
                "x",
            );
            figures.note(&format!("the same of plain SQLite, {held} rows"), beside / empty.1, "x");
        }
    }
    pair.end()
}

// ---- many authors

/// Blocks of one row by many authors, none of whom has seen another.
fn authors(figures: &mut Figures, rows: u64) -> Result<()> {
    for count in [1u64, 10, 100, 1_000] {
        let mut pair =
            Pair::new(&["CREATE TABLE b.k (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(40) NOT NULL)"])?;
        let ticket = key(4);
        let keys: Vec<SigningKey> = (0..count).map(author).collect();
        invite(&pair.a, &ticket, Role::Writer, count as u32)?;
        for key in &keys {
            admit(&pair.a, &ticket, key)?;
        }
        run(&mut pair.session, "INSERT INTO b.k VALUES (0, 0, '')")?;
        feed(&pair.a, &pair.b)?;
        let sample = newest(&pair.a)?;
        let mut chains: Vec<Chain> = keys.into_iter().map(|key| Chain { key, tip: None, seq: 0 }).collect();
        let mut blocks = Vec::new();
        for n in 1..=rows {
            let chain = &mut chains[(n % count) as usize];
            blocks.push(chain.next(&sample, n)?);
        }
        let started = Instant::now();
        while !blocks.is_empty() {
            let batch = blocks.drain(..blocks.len().min(1_000)).collect();
            if let Some(fault) = pair.b.engine.ingest(batch).block().fault {
                bail!("{fault}");
            }
        }
        let rate = rows as f64 / started.elapsed().as_secs_f64();
        figures.note(
            &format!("merge, {count} concurrent branches of as many authors, 1 a block"),
            rate,
            "rows/s",
        );
        feed(&pair.b, &pair.a)?;
        let there = pair.b.engine.status().blocks;
        if there < rows {
            bail!("only {there} blocks arrived");
        }
        pair.end()?;
    }
    Ok(())
}

fn author(n: u64) -> SigningKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&n.to_le_bytes());
    SigningKey::from_bytes(&seed)
}

/// What new blocks are made after.
struct Sample {
    realm: RealmId,
    account: AccountId,
    layout: Layout,
    head: Cid,
    stamp: Stamp,
}

fn newest(a: &Local) -> Result<Sample> {
    let view = a.engine.log_view()?;
    let cover = view.cover(&p2pdb_dag::Frontier::default())?;
    let (mut at, mut last) = (view.first_uncovered(&cover)?, None);
    while let Some(no) = at {
        let scan = view.scan(&cover, no, 512 << 10, 4_096)?;
        at = scan.next;
        last = scan.blocks.into_iter().next_back().or(last);
    }
    let wire = last.context("a log")?;
    let realm = a.engine.realm();
    let block = p2pdb_block::RawBlock(wire.0.into_vec()).decode()?.verify(&realm)?;
    let block = block.with_bodies(wire.1.into_iter().map(|b| b.into_vec()).collect())?;
    let body = block.body();
    let layout = body.layouts().first().context("a row")?.clone();
    let account = *body.accounts().first().context("an account")?;
    Ok(Sample { realm, account, layout, head: block.cid(), stamp: block.header().stamp })
}

struct Chain {
    key: SigningKey,
    tip: Option<Cid>,
    seq: u64,
}

impl Chain {
    fn next(&mut self, sample: &Sample, n: u64) -> Result<Received> {
        let values = vec![Value::Int(n as i64), Value::Int(n as i64), Value::Text(format!("{n:040}"))];
        let insert = RowChange::Insert { layout: 0, key: None, generated: false, values };
        let mut body = BodyBuilder::new();
        body.push(sample.account, std::slice::from_ref(&sample.layout), vec![Change::Row(insert)])?;
        self.seq += 1;
        let parents = if self.tip.is_none() { vec![sample.head] } else { Vec::new() };
        let stamp = Stamp(sample.stamp.0 + self.seq);
        let draft = Draft { rules: RULES, seq: self.seq, prev: self.tip, parents, stamp };
        let block = seal(draft, body.finish(), &self.key, Some(&sample.realm))?;
        self.tip = Some(block.cid());
        let (block, parts, ..) = block.into_parts();
        let bodies = parts.into_iter().map(|p| p.bytes).collect();
        Ok(Received { block: p2pdb_block::RawBlock(block.bytes().to_vec()).decode()?, bodies })
    }
}

// ---- beside plain SQLite

const PLAIN: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k INT NOT NULL, c TEXT NOT NULL, pad TEXT NOT NULL)";

fn plain(dir: &Path, schema: &str) -> Result<rusqlite::Connection> {
    let db = rusqlite::Connection::open(dir.join("plain.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(schema)?;
    Ok(db)
}

/// A realm with the table, and a directory for a plain database with the same.
fn beside_plain() -> Result<(Local, p2pdb_engine::Session, tempfile::TempDir)> {
    let a = realm(1)?;
    let mut s = session(&a.engine)?;
    run(&mut s, "CREATE DATABASE b")?;
    run(&mut s, TABLE)?;
    Ok((a, s, tempfile::tempdir()?))
}

/// What all threads of this process have run for, in seconds: the same however busy the machine is.
fn cpu_seconds() -> Result<f64> {
    let mut ns = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        // A thread may end meanwhile.
        let said = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        ns += said.split(' ').next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(ns / 1e9)
}

/// Local inserts beside plain SQLite with the same schema, each durable when it returns.
fn inserts(figures: &mut Figures, statements: u64) -> Result<()> {
    for per_statement in [1u64, 100] {
        let (a, mut s, dir) = beside_plain()?;
        let db = plain(dir.path(), PLAIN)?;
        let values = |n: u64| -> String {
            let rows = n * per_statement..(n + 1) * per_statement;
            rows.map(|n| row(n, u64::MAX)).collect::<Vec<_>>().join(",")
        };
        let (mut ours, mut theirs) = (0.0, 0.0);
        let (mut our_cpu, mut their_cpu) = (0.0, 0.0);
        // By turns, so that the disk's moods meet both.
        for n in 0..statements {
            let sql = format!("INSERT INTO b.t (k, c, pad) VALUES {}", values(n));
            let (started, cpu) = (Instant::now(), cpu_seconds()?);
            run(&mut s, &sql)?;
            ours += started.elapsed().as_secs_f64();
            let done = cpu_seconds()?;
            our_cpu += done - cpu;
            let sql = format!("INSERT INTO t (k, c, pad) VALUES {}", values(n));
            let (started, cpu) = (Instant::now(), cpu_seconds()?);
            db.execute_batch(&sql)?;
            theirs += started.elapsed().as_secs_f64();
            their_cpu += cpu_seconds()? - cpu;
        }
        let rows = (statements * per_statement) as f64;
        figures.note(&format!("local inserts, {per_statement} a statement"), rows / ours, "rows/s");
        figures.note(
            &format!("the same in plain SQLite, {per_statement} a statement"),
            rows / theirs,
            "rows/s",
        );
        figures.note(&format!("slower than plain SQLite, {per_statement} a statement"), ours / theirs, "x");
        figures.note(
            &format!("CPU beside plain SQLite's, {per_statement} a statement"),
            our_cpu / their_cpu,
            "x",
        );
        figures.note(&format!("CPU a row, {per_statement} a statement"), 1e6 * our_cpu / rows, "us");
        drop(s);
        a.engine.stop();
    }
    Ok(())
}

// ---- metadata

/// What is kept beside the rows of a table that were never in conflict.
fn metadata(figures: &mut Figures, rows: u64) -> Result<()> {
    let (a, mut s, dir) = beside_plain()?;
    let db = plain(dir.path(), PLAIN)?;
    for n in 0..rows / 100 {
        let values: Vec<String> = (n * 100..(n + 1) * 100).map(|n| row(n, u64::MAX)).collect();
        run(&mut s, &format!("INSERT INTO b.t (k, c, pad) VALUES {}", values.join(",")))?;
        db.execute_batch(&format!("INSERT INTO t (k, c, pad) VALUES {}", values.join(",")))?;
    }
    drop(s);
    a.engine.stop();
    let payload = |db: &rusqlite::Connection, names: &str| -> Result<f64> {
        let sql = "SELECT COALESCE(MAX(total), 0) FROM (SELECT SUM(payload) AS total FROM dbstat WHERE name GLOB ?1 GROUP BY name)";
        Ok(db.query_row(sql, [names], |r| r.get::<_, i64>(0))? as f64)
    };
    let ours = rusqlite::Connection::open(a.dir.path().join(p2pdb_engine::realm::FILE))?;
    let beside = payload(&ours, "t_[0-9a-f]*")? - payload(&db, "t")?;
    figures.note("bytes beside a row that was never in conflict", beside / rows as f64, "B");
    figures.note("bytes a change in the index", payload(&ours, "chg")? / rows as f64, "B");
    Ok(())
}
