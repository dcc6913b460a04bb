//! Engines that run in this process, without a network, and sessions on them.

#![allow(dead_code, reason = "each benchmark uses a part")]

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use p2pdb_block::{SigningKey, node_id};
use p2pdb_engine::{
    Admission, Clock, Engine, EngineConfig, Entropy, Invitation, NewRealm, Progress, Session, SessionOptions,
    Sink, create_realm,
};
use p2pdb_model::ValueRef;
use p2pdb_model::change::Role;
use p2pdb_model::ids::PublicKey;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;
use p2pdb_sync::{BlockSource, Received};

/// The node's own, so that what is measured is what it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The machine's clock.
pub struct Wall;
impl Clock for Wall {
    fn now_us(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
    }
}

/// Numbers that are never the same twice, and the same in every run.
pub struct Counting(pub std::sync::atomic::AtomicU64);
impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        for b in buffer {
            let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            *b = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
        }
    }
}

/// Takes rows and forgets them.
pub struct Drain;
impl Sink for Drain {
    fn columns(&mut self, _: &[Field]) -> Result<(), SqlError> {
        Ok(())
    }
    fn row(&mut self, _: &[Field], _: &[ValueRef<'_>]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// An engine and its directory.
pub struct Local {
    pub engine: Engine,
    pub dir: tempfile::TempDir,
}

/// The key of a node or account.
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// Opens an engine; its writer and syncer run until it is stopped.
pub fn open(dir: tempfile::TempDir, node: u8) -> Result<Local> {
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

/// Runs a statement to its end.
pub fn run(session: &mut Session, sql: &str) -> Result<()> {
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

/// A new realm with one member.
pub fn realm(node: u8) -> Result<Local> {
    let dir = tempfile::tempdir()?;
    create_realm(NewRealm {
        name: "bench",
        node_name: "a",
        directory: dir.path(),
        node_key: &key(node),
        account_key: &key(99),
        clock: Arc::new(Wall),
        entropy: Arc::new(Counting(0.into())),
    })?;
    open(dir, node)
}

/// A session without a current database.
pub fn session(engine: &Engine) -> Result<Session> {
    let options = SessionOptions {
        user: "root".to_owned(),
        host: "localhost".to_owned(),
        database: None,
        connection_id: 1,
        attributes: Vec::new(),
    };
    Ok(engine.session(&options)?)
}

/// Lets somebody in by a ticket.
pub fn invite(a: &Local, ticket: &SigningKey, role: Role, uses: u32) -> Result<()> {
    let ticket = PublicKey(ticket.verifying_key().to_bytes());
    Ok(a.engine.invite(Invitation { uses, ..Invitation::of(ticket, role) })?)
}

/// A node comes with a ticket.
pub fn admit(a: &Local, ticket: &SigningKey, node: &SigningKey) -> Result<()> {
    let node = node_id(node);
    let signature = p2pdb_access::admission_signature(ticket, &a.engine.realm(), &node);
    let ticket = PublicKey(ticket.verifying_key().to_bytes());
    Ok(a.engine.admit(Admission { node, ticket, signature, name: "w".to_owned() })?)
}

/// Gives `b` what it lacks of `a`, as catch-up does; says how long the merge took, in seconds.
pub fn feed(a: &Local, b: &Local) -> Result<f64> {
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
