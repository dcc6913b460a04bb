//! What reading a statement costs: a point select as text with changing literals, the part before SQLite by itself and the
//! whole of it, in this process and without a network.
//!
//! `cargo bench -p p2pdb-node --bench front -- [--quick] [--json FILE]`; `scripts/bench` calls it and sets the first figure
//! against the CPU time that a node spends on such a query.

mod engines;
mod figures;

use std::time::Instant;

use anyhow::Result;
use engines::{Drain, realm, run, session};
use figures::Figures;
use p2pdb_engine::Progress;

/// Rows of the table.
const ROWS: usize = 10_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let statements = if args.iter().any(|a| a == "--quick") { 20_000 } else { 200_000 };
    let local = realm(1)?;
    let mut session = session(&local.engine)?;
    run(&mut session, "CREATE DATABASE sbtest")?;
    run(&mut session, "USE sbtest")?;
    run(
        &mut session,
        "CREATE TABLE sbtest1 (id INT PRIMARY KEY, k INT, c CHAR(120), pad CHAR(60), KEY (k))",
    )?;
    for from in (0..ROWS).step_by(1_000) {
        let row = |n: usize| format!("({n},{},'{}','{}')", n * 7 % ROWS, "c".repeat(119), "p".repeat(59));
        let rows: Vec<String> = (from..from + 1_000).map(row).collect();
        run(&mut session, &format!("INSERT INTO sbtest1 VALUES {}", rows.join(",")))?;
    }
    let texts: Vec<String> =
        (0..ROWS).map(|n| format!("SELECT c FROM sbtest1 WHERE id={}", n * 7_919 % ROWS)).collect();

    let us = |begun: Instant| begun.elapsed().as_secs_f64() * 1e6 / statements as f64;
    let mut figures = Figures::default();
    session.prepare(&texts[0])?;
    let begun = Instant::now();
    for n in 0..statements {
        std::hint::black_box(session.prepare(&texts[n % ROWS])?);
    }
    let front = us(begun);
    figures.note("front end of a point select as text, changing literals", front, "us");

    let begun = Instant::now();
    for n in 0..statements {
        let statement = session.prepare(&texts[n % ROWS])?;
        let Progress::Done(result) = session.start(&statement, Vec::new(), &mut Drain) else {
            anyhow::bail!("a point select waits for nothing");
        };
        result?;
    }
    let whole = us(begun);
    figures.note("... the whole statement, without the network", whole, "us");
    figures.note("... share of the front end in that", 100.0 * front / whole, "%");

    let statement = session.prepare("SELECT c FROM sbtest1 WHERE id=?")?;
    let begun = Instant::now();
    for n in 0..statements {
        let params = vec![p2pdb_sql::front::Literal::int((n * 7_919 % ROWS) as i64)];
        let Progress::Done(result) = session.start(&statement, params, &mut Drain) else {
            anyhow::bail!("a point select waits for nothing");
        };
        result?;
    }
    figures.note("the same prepared, without the network", us(begun), "us");
    drop(session);
    local.engine.stop();
    figures.write(&args)
}
