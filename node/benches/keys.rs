//! Keys, measured in this process: how long it takes until the transactions of a revoked key are void, and until they are back;
//! and what sealed columns cost statements.
//!
//! `cargo bench -p p2pdb-node --bench keys -- [--quick] [--only PART] [--json FILE]`; `scripts/bench` calls it. The parts are
//! `void` and `sealed`.

mod engines;
mod figures;

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Result, bail};
use engines::{Local, admit, feed, invite, key, open, realm, run, session};
use figures::Figures;
use p2pdb_block::{BodyBuilder, Draft, SigningKey, node_id, seal};
use p2pdb_engine::{Progress, Session, Sink, create_joiner};
use p2pdb_model::change::{Layout, Role, RowChange};
use p2pdb_model::{Change, RULES, Stamp, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;
use p2pdb_sync::Received;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let scale = if args.iter().any(|a| a == "--quick") { 1 } else { 10 };
    let mut figures = Figures::default();
    type Part = fn(&mut Figures, u64) -> Result<()>;
    let parts: [(&str, Part, u64); 2] = [("void", void, 10_000), ("sealed", sealed, 10_000)];
    let only = args.iter().position(|a| a == "--only").and_then(|at| args.get(at + 1));
    for (name, part, size) in parts {
        if only.is_none_or(|only| only == name) {
            part(&mut figures, size * scale)?;
        }
    }
    figures.write(&args)
}

/// The first value of a result.
#[derive(Default)]
struct First(Option<i64>);

impl Sink for First {
    fn columns(&mut self, _: &[Field]) -> Result<(), SqlError> {
        Ok(())
    }
    fn row(&mut self, _: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        if let (None, Some(ValueRef::Int(n))) = (self.0, row.first()) {
            self.0 = Some(*n);
        }
        ControlFlow::Continue(())
    }
}

fn number(session: &mut Session, sql: &str) -> Result<i64> {
    let statement = session.prepare(sql)?;
    let mut first = First::default();
    match session.start(&statement, Vec::new(), &mut first) {
        Progress::Done(result) => result?,
        Progress::Waiting(_) => bail!("{sql}: a read waits"),
    };
    first.0.ok_or_else(|| anyhow::anyhow!("{sql}: no number"))
}

fn expect(session: &mut Session, sql: &str, want: i64) -> Result<()> {
    match number(session, sql)? {
        n if n == want => Ok(()),
        n => bail!("{sql} is {n}, not {want}"),
    }
}

// ---- void

const PER_BLOCK: u64 = 100;

fn joined(a: &Local, role: Role, node: u8) -> Result<Local> {
    let ticket = key(100 + node);
    invite(a, &ticket, role, 1)?;
    admit(a, &ticket, &key(node))?;
    let dir = tempfile::tempdir()?;
    create_joiner(dir.path(), a.engine.realm())?;
    let local = open(dir, node)?;
    feed(a, &local)?;
    Ok(local)
}

/// Transactions of one row each, by a node whose key is stolen. An owner that has seen none of them removes it; then the first owner
/// removes that owner, back to before it did so.
fn void(figures: &mut Figures, transactions: u64) -> Result<()> {
    let a = realm(1)?;
    let mut s = session(&a.engine)?;
    run(&mut s, "CREATE DATABASE b")?;
    run(&mut s, "CREATE TABLE b.k (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(40) NOT NULL, KEY (k))")?;
    let (thief, ticket) = (key(9), key(8));
    invite(&a, &ticket, Role::Writer, 1)?;
    admit(&a, &ticket, &thief)?;
    let (b, c) = (joined(&a, Role::Writer, 2)?, joined(&a, Role::Owner, 3)?);
    feed(&a, &b)?;
    let blocks = stolen(&a, &thief, transactions)?;
    let (started, mut blocks) = (Instant::now(), blocks.into_iter().peekable());
    while blocks.peek().is_some() {
        let arrived = b.engine.ingest(blocks.by_ref().take(1_000).collect()).block();
        if let Some(fault) = arrived.fault {
            bail!("{fault}");
        }
    }
    let merged = started.elapsed().as_secs_f64();
    let mut there = session(&b.engine)?;
    let rows = "SELECT COUNT(*) FROM b.k";
    expect(&mut there, rows, transactions as i64)?;
    figures.note(&format!("merge of {transactions} transactions, {PER_BLOCK} a block"), merged, "s");
    c.engine.remove_member(node_id(&thief))?;
    let voided = feed(&c, &b)?;
    expect(&mut there, rows, 0)?;
    expect(&mut there, "SELECT COUNT(*) FROM p2pdb.voided", transactions as i64)?;
    figures.note(&format!("{transactions} transactions of a revoked key become void"), voided, "s");
    a.engine.remove_member(node_id(&key(3)))?;
    let restored = feed(&a, &b)?;
    expect(&mut there, rows, transactions as i64)?;
    figures.note("and count again when the revocation is void", restored, "s");
    drop((s, there));
    [a, b, c].iter().for_each(|l| l.engine.stop());
    Ok(())
}

/// What the thief writes, by hand.
fn stolen(a: &Local, thief: &SigningKey, transactions: u64) -> Result<Vec<Received>> {
    let view = a.engine.log_view()?;
    let table = {
        use p2pdb_model::ids::{ObjectId, ObjectKind};
        let database = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "b", None);
        ObjectId::derive(ObjectKind::Table, database, "k", None)
    };
    let column = |name| {
        use p2pdb_model::ids::{ObjectId, ObjectKind};
        ObjectId::derive(ObjectKind::Column, table, name, None).tag()
    };
    let layout = Layout(table, 1, vec![column("id"), column("k"), column("c")]);
    let account = a.engine.account("root", "%").ok_or_else(|| anyhow::anyhow!("no root"))?.id;
    let (mut tip, mut out) = (None, Vec::new());
    let status = a.engine.status();
    drop(view);
    for n in 0..transactions / PER_BLOCK {
        let mut body = BodyBuilder::new();
        for i in n * PER_BLOCK..(n + 1) * PER_BLOCK {
            let values =
                vec![Value::Int(i as i64), Value::Int((i % 1_000) as i64), Value::Text(format!("{i:040}"))];
            let insert = RowChange::Insert { layout: 0, key: None, generated: false, values };
            body.push(account, std::slice::from_ref(&layout), vec![Change::Row(insert)])?;
        }
        let parents = if tip.is_none() { status.heads.clone() } else { Vec::new() };
        let draft =
            Draft { rules: RULES, seq: n + 1, prev: tip, parents, stamp: Stamp(status.stamp.0 + n + 1) };
        let block = seal(draft, body.finish(), thief, Some(&a.engine.realm()))?;
        tip = Some(block.cid());
        let (block, parts, ..) = block.into_parts();
        let bodies = parts.into_iter().map(|p| p.bytes).collect();
        out.push(Received { block: p2pdb_block::RawBlock(block.bytes().to_vec()).decode()?, bodies });
    }
    Ok(out)
}

// ---- sealed

/// Look-ups measured.
const LOOK_UPS: u64 = 2_000;

/// What a sealed column costs statements, beside the same column in the open, for a reader.
fn sealed(figures: &mut Figures, rows: u64) -> Result<()> {
    let a = realm(1)?;
    let mut s = session(&a.engine)?;
    run(&mut s, "CREATE DATABASE b")?;
    let tables = [
        ("in the open", "o", "", ", KEY (v)"),
        ("sealed", "s", " COMMENT '[sealed]'", ""),
        ("sealed with an index", "i", " COMMENT '[sealed]'", ", KEY (v)"),
    ];
    let values = |n: u64| (n..n + 100).map(|n| format!("({n}, 'name {n}')")).collect::<Vec<_>>().join(",");
    for (_, table, tag, index) in tables {
        run(&mut s, &format!("CREATE TABLE b.{table} (id INT PRIMARY KEY, v VARCHAR(40){tag}{index})"))?;
    }
    // By turns, so that the disk's moods meet all.
    let mut taken = [0.0; 3];
    for n in (0..rows).step_by(100) {
        for (taken, (_, table, ..)) in taken.iter_mut().zip(&tables) {
            let sql = format!("INSERT INTO b.{table} VALUES {}", values(n));
            let started = Instant::now();
            run(&mut s, &sql)?;
            *taken += started.elapsed().as_secs_f64();
        }
    }
    for (taken, (what, ..)) in taken.iter().zip(&tables) {
        figures.note(
            &format!("insert, a column {what}, 100 a statement"),
            taken * 1e6 / rows as f64,
            "us/row",
        );
    }
    for (what, table, ..) in tables {
        let started = Instant::now();
        expect(&mut s, &format!("SELECT COUNT(*) FROM b.{table} WHERE v LIKE 'name%'"), rows as i64)?;
        let taken = started.elapsed().as_secs_f64();
        figures.note(&format!("read, a column {what}"), taken * 1e6 / rows as f64, "us/row");
    }
    for (what, table, ..) in tables {
        let times = if table == "s" { 5 } else { LOOK_UPS };
        let started = Instant::now();
        for n in 0..times {
            let id = n * 7_919 % rows;
            expect(&mut s, &format!("SELECT id FROM b.{table} WHERE v = 'NAME {id}'"), id as i64)?;
        }
        let taken = started.elapsed().as_secs_f64();
        figures.note(
            &format!("look-up by equality among {rows} rows, a column {what}"),
            taken * 1e6 / times as f64,
            "us",
        );
    }
    drop(s);
    a.engine.stop();
    Ok(())
}
