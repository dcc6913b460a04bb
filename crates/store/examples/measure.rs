//! What one durable one-row transaction costs the store, and how large it is on disk.
//!
//! `cargo run --release -p p2pdb-store --example measure -- [directory] [rows]`
//!
//! Prints, for groups of several sizes: time per row for the captured insert, sealing, appending the block and the
//! commit with its sync; then bytes on disk per row; then point selects with and without a memory map beside a
//! writer. Figures for `docs/performance.md` come from `scripts/bench`; this is for work on the store alone.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2pdb_block::{BodyBuilder, Draft, FullBlock, SigningKey, node_id, seal};
use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{Cid, ObjectId};
use p2pdb_model::{AccountId, Change, ColumnTag, RealmId, Stamp, Value, WeakInserts};
use p2pdb_store::{
    BranchNo, NEXT, NewBlock, NewBranch, NewTransaction, Options, Reader, Result, Unseen, Verdict, Writer,
};

const TABLE: &str = "CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY, c_2 INTEGER, c_3 TEXT, _v INTEGER, _o BLOB)";

struct Log {
    writer: Writer,
    key: SigningKey,
    realm: Option<RealmId>,
    prev: Option<(Cid, u64)>,
    next: i64,
}

#[derive(Default)]
struct Times {
    insert: Duration,
    seal: Duration,
    append: Duration,
    commit: Duration,
}

impl Log {
    fn create(options: &Options) -> Result<Self> {
        let mut writer = Writer::create(options)?;
        writer.begin()?;
        writer.execute_batch(TABLE)?;
        writer.commit()?;
        Ok(Log { writer, key: SigningKey::from_bytes(&[1; 32]), realm: None, prev: None, next: 1 })
    }

    /// One group: that many one-row transactions in one block.
    fn group(&mut self, rows: u64, times: &mut Times) -> Result<()> {
        let start = Instant::now();
        let w = &mut self.writer;
        w.begin()?;
        w.set_capture(true);
        let (no, first_tx) = w.next_numbers()?;
        let mut captured = Vec::new();
        for i in 0..rows {
            let savepoint = w.savepoint()?;
            let text = format!("{:052}", self.next);
            let row = [
                Value::Int(self.next),
                Value::Int(self.next * 7),
                Value::Text(text),
                Value::Int((first_tx.0 + i) as i64),
            ];
            w.execute("INSERT INTO t_a (c_1, c_2, c_3, _v) VALUES (?1, ?2, ?3, ?4)", row)?;
            w.release(savepoint)?;
            captured.push(w.take_captured(0));
            self.next += 1;
        }
        w.set_capture(false);
        let inserted = Instant::now();
        let full = self.seal(captured)?;
        let sealed = Instant::now();
        let w = &mut self.writer;
        if self.prev.is_none() {
            let author = node_id(&self.key);
            w.add_branch(&NewBranch {
                no: BranchNo(0),
                author,
                first: full.cid(),
                fork: None,
                first_seq: 1,
            })?;
            self.realm = Some(RealmId(full.cid()));
        }
        let account = AccountId([1; 16]);
        let transactions: Vec<_> = (0..rows)
            .map(|_| NewTransaction { account, verdict: Verdict::ACCEPTED, weak: WeakInserts::NONE })
            .collect();
        w.append_block(&NewBlock {
            no,
            block: full.verified(),
            bodies: full.parts(),
            branch: BranchNo(0),
            unseen: Unseen::Nothing,
            heads_gone: self.prev.as_ref().map(|p| &p.0).map_or(&[], std::slice::from_ref),
            arrived_ms: 1_700_000_000_000 + no.0,
            transactions: &transactions,
            access: &[],
        })?;
        self.prev = Some((full.cid(), full.seq()));
        let appended = Instant::now();
        w.commit()?;
        times.insert += inserted - start;
        times.seal += sealed - inserted;
        times.append += appended - sealed;
        times.commit += appended.elapsed();
        Ok(())
    }

    fn seal(&self, captured: Vec<Vec<p2pdb_store::Captured>>) -> Result<FullBlock> {
        let columns = [1, 2, 3].map(ColumnTag).to_vec();
        let layout = Layout(ObjectId([7; 16]), 1, columns);
        let mut body = BodyBuilder::default();
        for transaction in captured {
            let changes = transaction
                .into_iter()
                .map(|mut c| {
                    c.new.truncate(3);
                    let (layout, key, generated, values) = (0, None, false, c.new);
                    Change::Row(RowChange::Insert { layout, key, generated, values })
                })
                .collect();
            body.push(AccountId([1; 16]), std::slice::from_ref(&layout), changes)?;
        }
        let seq = self.prev.map_or(1, |p| p.1 + 1);
        let prev = self.prev.map(|p| p.0);
        let draft = Draft { rules: 1, seq, prev, parents: Vec::new(), stamp: Stamp(seq << 20) };
        Ok(seal(draft, body.finish(), &self.key, self.realm.as_ref())?)
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let directory = PathBuf::from(args.next().unwrap_or_else(|| ".".to_owned()));
    let rows: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    println!("group     us/row: insert   seal append commit  total    rows/s   bytes/row");
    for group in [1, 4, 16, 64, 256] {
        let options = Options::new(directory.join(format!("measure-{group}.db")));
        remove(&options);
        let mut log = Log::create(&options)?;
        let mut times = Times::default();
        let groups = rows / group;
        for _ in 0..groups {
            log.group(group, &mut times)?;
        }
        let n = (groups * group) as f64;
        let us = |d: Duration| d.as_secs_f64() * 1e6 / n;
        let all = [times.insert, times.seal, times.append, times.commit].map(us);
        let total: f64 = all.iter().sum();
        drop(log);
        let bytes = std::fs::metadata(&options.path).map_or(0, |m| m.len());
        println!(
            "{group:5} {:16.2} {:6.2} {:6.2} {:6.2} {:6.1} {:9.0} {:11.0}",
            all[0],
            all[1],
            all[2],
            all[3],
            total,
            1e6 / total,
            bytes as f64 / n
        );
        if group == 256 {
            for mmap in [0, 1 << 30] {
                for writing in [false, true] {
                    select(&options, rows, mmap, writing)?;
                }
            }
        }
        remove(&options);
    }
    Ok(())
}

/// Point selects on one reader, beside a writer that commits all the time or none.
fn select(options: &Options, rows: u64, mmap: u64, writing: bool) -> Result<()> {
    let mut options = options.clone();
    options.mmap_bytes = mmap;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writer = Writer::open(&options)?;
    let r = Reader::open(&options)?;
    let seen = stop.clone();
    let thread = std::thread::spawn(move || -> Result<u64> {
        let mut commits = 0;
        while writing && !seen.load(Ordering::Relaxed) {
            writer.begin()?;
            writer.execute(
                "UPDATE t_a SET c_2 = c_2 + 1 WHERE c_1 = ?1",
                [Value::Int(1 + commits as i64 % 1000)],
            )?;
            writer.commit()?;
            commits += 1;
        }
        Ok(commits)
    });
    let (n, mut at) = (100_000u64, 1u64);
    let start = Instant::now();
    for _ in 0..n {
        at = (at * 6_364_136_223 + 1_442_695) % rows;
        let sql = "SELECT c_2, c_3 FROM t_a WHERE c_1 = ?1";
        r.query(sql, [Value::Int(at as i64)], |row| {
            black_box((row.get(0)?, row.get(1)?));
            Ok(NEXT)
        })?;
    }
    let us = start.elapsed().as_secs_f64() * 1e6 / n as f64;
    stop.store(true, Ordering::Relaxed);
    let commits = thread.join().expect("the writer thread does not panic")?;
    println!("point select, mmap {:>10} bytes, {commits:>6} commits beside it: {us:.2} us", mmap);
    Ok(())
}

fn remove(options: &Options) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", options.path.display()));
    }
}
