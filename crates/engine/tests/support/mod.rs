//! Engines for tests: nodes in temporary directories, a clock that tests move, deliveries by hand.
#![allow(dead_code)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use p2pdb_block::SigningKey;
use p2pdb_engine::{
    Admission, Arrived, Clock, Engine, EngineConfig, Entropy, Invitation, Logins, NewRealm, Outcome,
    Progress, ResultEnd, Session, SessionOptions, Sink, Statement, TransactionNews, create_joiner,
    create_realm,
};
use p2pdb_model::change::Role;
use p2pdb_model::ids::PublicKey;
use p2pdb_model::{AccountId, RULES, ValueRef};
use p2pdb_sql::account::AccountName;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;
use p2pdb_sync::{BlockSource, Received};

/// Moves only when told to, and a microsecond at each look.
pub struct TestClock(AtomicU64, Mutex<Option<Due>>);

/// What happens at a look at the clock, some looks from now.
type Due = (usize, Box<dyn FnOnce() + Send>);

impl TestClock {
    pub fn new() -> Arc<Self> {
        // 2026-01-02 03:04:05 UTC.
        Arc::new(TestClock(AtomicU64::new(1_767_323_045_000_000), Mutex::new(None)))
    }
    /// Does this at the n-th look from now, in the middle of whatever looks.
    pub fn at_look(&self, n: usize, f: impl FnOnce() + Send + 'static) {
        *self.1.lock().expect("no look has failed") = Some((n, Box::new(f)));
    }
    /// Nothing is due any more. True where nothing was: that look has been, or is just now.
    pub fn was_looked_at(&self) -> bool {
        self.1.lock().expect("no look has failed").take().is_none()
    }
    pub fn set_back_ms(&self, ms: u64) {
        self.0.fetch_sub(ms * 1_000, Ordering::SeqCst);
    }
    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms * 1_000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now_us(&self) -> u64 {
        let mut due = self.1.lock().expect("no look has failed");
        match due.take() {
            Some((0, f)) => {
                drop(due);
                f();
            }
            Some((n, f)) => *due = Some((n - 1, f)),
            None => {}
        }
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// The same bytes in every run.
pub struct TestEntropy(AtomicU64);

impl Entropy for TestEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for b in buffer {
            // SplitMix64.
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *b = (z ^ (z >> 31)) as u8;
        }
    }
}

/// A directory that is gone at the end.
pub struct TestDir(pub PathBuf);

impl TestDir {
    pub fn new() -> Self {
        static N: AtomicU64 = AtomicU64::new(0);
        let n = N.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("p2pdb-engine-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        TestDir(path)
    }
}

impl Drop for TestDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct Node {
    pub engine: Engine,
    pub clock: Arc<TestClock>,
    pub dir: TestDir,
    writer: Option<JoinHandle<()>>,
    key: SigningKey,
    account_key: Option<SigningKey>,
    seed: u8,
    rules: u32,
}

/// Forgets passwords and keys: sessions here ask for none.
struct NoLogins;

impl Logins for NoLogins {
    fn put(&self, _: &AccountName, _: AccountId, _: &str, _: &[u8; 32]) -> Result<(), String> {
        Ok(())
    }
    fn change(&self, _: &AccountName, _: AccountId, present: &str, _: &str) -> Result<bool, String> {
        Ok(present == "right")
    }
    fn rename(&self, _: &AccountName, _: &AccountName) -> Result<(), String> {
        Ok(())
    }
    fn remove(&self, _: &AccountName) -> Result<(), String> {
        Ok(())
    }
}

fn key(seed: u8, use_: u8) -> SigningKey {
    let mut bytes = [seed; 32];
    bytes[0] = use_;
    SigningKey::from_bytes(&bytes)
}

fn realm(seed: u8) -> (TestDir, Arc<TestClock>, SigningKey, SigningKey) {
    let (dir, clock) = (TestDir::new(), TestClock::new());
    let (key, account_key) = (key(seed, 1), key(seed, 2));
    create_realm(NewRealm {
        name: "test",
        node_name: "founder",
        directory: &dir.0,
        node_key: &key,
        account_key: &account_key,
        clock: clock.clone(),
        entropy: Arc::new(TestEntropy(AtomicU64::new(u64::from(seed)))),
    })
    .expect("a realm");
    (dir, clock, key, account_key)
}

fn engine(
    dir: &TestDir,
    clock: &Arc<TestClock>,
    key: &SigningKey,
    account_keys: Vec<SigningKey>,
    seed: u8,
    rules: u32,
) -> Engine {
    Engine::open(EngineConfig {
        rules,
        directory: dir.0.clone(),
        node_key: key.clone(),
        account_keys,
        clock: clock.clone(),
        entropy: Arc::new(TestEntropy(AtomicU64::new(u64::from(seed) << 8))),
        idle_transaction_ms: 1_000,
        lock_wait_ms: 50_000,
        disk: None,
        variables: Vec::new(),
    })
    .expect("an engine")
}

impl Node {
    /// A node with a realm of its own.
    pub fn begin(seed: u8) -> Node {
        let (dir, clock, key, account_key) = realm(seed);
        Node::open(dir, clock, key, Some(account_key), seed, RULES)
    }

    /// The same without a thread for the writer: whoever wants it to do something steps it.
    pub fn begin_by_hand(seed: u8) -> Node {
        let (dir, clock, key, account_key) = realm(seed);
        let engine = engine(&dir, &clock, &key, vec![account_key.clone()], seed, RULES);
        engine.keep_logins(Arc::new(NoLogins));
        Node { engine, clock, dir, writer: None, key, account_key: Some(account_key), seed, rules: RULES }
    }

    fn open(
        dir: TestDir,
        clock: Arc<TestClock>,
        key: SigningKey,
        account_key: Option<SigningKey>,
        seed: u8,
        rules: u32,
    ) -> Node {
        let engine = engine(&dir, &clock, &key, account_key.iter().cloned().collect(), seed, rules);
        let writer = std::thread::spawn({
            let engine = engine.clone();
            move || {
                std::thread::scope(|s| {
                    s.spawn(|| engine.run_syncer());
                    engine.run_writer();
                });
            }
        });
        engine.keep_logins(Arc::new(NoLogins));
        Node { engine, clock, dir, writer: Some(writer), key, account_key, seed, rules }
    }

    /// Another member of `self`'s realm, with everything `self` has.
    pub fn join(&self, seed: u8) -> Node {
        self.join_as(seed, Role::Writer)
    }

    pub fn join_as(&self, seed: u8, role: Role) -> Node {
        self.invite_to(self, seed, role)
    }

    /// A node that this one gives a ticket, and `host` admits.
    pub fn invite_to(&self, host: &Node, seed: u8, role: Role) -> Node {
        let (dir, clock, node_key, ticket) = (TestDir::new(), TestClock::new(), key(seed, 1), key(seed, 3));
        let realm = self.engine.realm();
        create_joiner(&dir.0, realm).expect("an empty store");
        let ticket_public = PublicKey(ticket.verifying_key().to_bytes());
        self.engine.invite(Invitation::of(ticket_public, role)).expect("a ticket");
        let node = p2pdb_block::sign::node_id(&node_key);
        let signature = p2pdb_access::admission_signature(&ticket, &realm, &node);
        let name = format!("node{seed}");
        host.fetch(self);
        host.engine.admit(Admission { node, ticket: ticket_public, signature, name }).expect("admission");
        let joined = Node::open(dir, clock, node_key, None, seed, RULES);
        joined.fetch(host);
        joined
    }

    /// Stops and starts again on the same directory.
    pub fn restart(self) -> Node {
        let rules = self.rules;
        self.restart_knowing(rules)
    }

    /// Stops, lets somebody at the store, and starts again.
    pub fn restart_after(mut self, between: impl FnOnce(PathBuf)) -> Node {
        self.stop();
        let dir = std::mem::replace(&mut self.dir, TestDir::new());
        let (clock, key, account_key) = (self.clock.clone(), self.key.clone(), self.account_key.clone());
        let (seed, rules) = (self.seed, self.rules);
        drop(self);
        between(p2pdb_engine::realm::file(&dir.0));
        Node::open(dir, clock, key, account_key, seed, rules)
    }

    /// Stops, and starts on the same directory a program that knows rules up to this number.
    pub fn restart_knowing(mut self, rules: u32) -> Node {
        self.stop();
        let dir = std::mem::replace(&mut self.dir, TestDir::new());
        let (clock, key, account_key) = (self.clock.clone(), self.key.clone(), self.account_key.clone());
        let seed = self.seed;
        drop(self);
        Node::open(dir, clock, key, account_key, seed, rules)
    }

    /// The same node on a store restored from this backup; `self` is gone.
    pub fn restored_from(mut self, backup: &Path) -> Node {
        self.stop();
        let dir = TestDir::new();
        let mut to = p2pdb_store::Options::new(p2pdb_engine::realm::file(&dir.0));
        to.functions = std::sync::Arc::default();
        p2pdb_store::restore(backup, &to, p2pdb_store::Ids::MayBeLost).expect("a restore");
        let (clock, key, account_key) = (self.clock.clone(), self.key.clone(), self.account_key.clone());
        let (seed, rules) = (self.seed, self.rules);
        drop(self);
        Node::open(dir, clock, key, account_key, seed, rules)
    }

    fn stop(&mut self) {
        self.engine.stop();
        if let Some(w) = self.writer.take() {
            w.join().expect("the writer ends");
        }
    }

    pub fn session(&self) -> TestSession {
        self.session_as("root").expect("a session")
    }

    /// A session of an account that the node may act for.
    pub fn session_as(&self, user: &str) -> Result<TestSession, SqlError> {
        static ID: AtomicU64 = AtomicU64::new(1);
        let options = SessionOptions {
            user: user.to_owned(),
            host: "localhost".to_owned(),
            database: None,
            connection_id: ID.fetch_add(1, Ordering::SeqCst),
            attributes: Vec::new(),
        };
        self.engine.session(&options).map(|session| TestSession { session })
    }

    /// A session at a node that may not write any more.
    pub fn session_unchecked(&self) -> TestSession {
        self.session()
    }

    /// Everything that `other` has and this node has not, in the order in which `other` holds it.
    pub fn missing_from(&self, other: &Node) -> Vec<Received> {
        let (mine, theirs) = (view(self), view(other));
        let cover = theirs.cover(&mine.frontier().expect("a frontier")).expect("a cover");
        let Some(from) = theirs.first_uncovered(&cover).expect("a place") else { return Vec::new() };
        let scan = theirs.scan(&cover, from, usize::MAX, usize::MAX).expect("blocks");
        scan.blocks
            .into_iter()
            .map(|b| Received {
                block: p2pdb_block::RawBlock(b.0.into_vec()).decode().expect("a block"),
                bodies: b.1.into_iter().map(|b| b.into_vec()).collect(),
            })
            .collect()
    }

    /// Takes over what `other` has.
    pub fn fetch(&self, other: &Node) -> Arrived {
        let arrived = self.engine.ingest(self.missing_from(other)).block();
        assert_eq!(arrived.fault, None);
        assert!(arrived.refused.is_empty(), "{:?}", arrived.refused);
        arrived
    }

    /// What this node signs with.
    pub fn node_key(&self) -> SigningKey {
        self.key.clone()
    }

    pub fn fingerprint(&self) -> (String, String) {
        let status = self.engine.status();
        (status.frontier_digest, status.fingerprint)
    }

    pub fn path(&self) -> &Path {
        &self.dir.0
    }
}

fn view(node: &Node) -> p2pdb_engine::LogView {
    node.engine.log_view().expect("a view of the log")
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Two members, with these tables in `shop`.
pub fn two(tables: &str) -> (Node, Node) {
    let a = Node::begin(1);
    a.session().run(&format!("CREATE DATABASE shop; USE shop; {tables}"));
    let b = a.join(2);
    (a, b)
}

/// The answer that both nodes give.
pub fn both(a: &Node, b: &Node, query: &str) -> Vec<String> {
    let rows = a.session().rows(query);
    assert_eq!(rows, b.session().rows(query), "{query}");
    rows
}

/// What SHOW CREATE TABLE says of every table of `shop`, which both nodes say, makes the same tables in an empty database, and
/// takes a row where the table stands.
pub fn loads(a: &Node, b: &Node) -> Vec<String> {
    let tables = both(
        a,
        b,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop' AND table_type = 'BASE TABLE' \
         ORDER BY 1",
    );
    let shown = |s: &mut TestSession, table: &str| {
        let shown = s.rows(&format!("SHOW CREATE TABLE shop.`{table}`")).concat();
        let created = shown.split_once('|').expect("a name and a text").1;
        let number = |rest: &str| rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        match created.split_once(" AUTO_INCREMENT=") {
            Some((before, rest)) => format!("{before}{}", &rest[number(rest)..]),
            None => created.to_owned(),
        }
    };
    let texts = |node: &Node| -> Vec<String> {
        let mut s = node.session();
        tables.iter().map(|t| shown(&mut s, t)).collect()
    };
    let said = texts(a);
    assert_eq!(said, texts(b));
    let empty = Node::begin(77);
    let mut s = empty.session();
    s.run("CREATE DATABASE shop; USE shop; SET foreign_key_checks = 0");
    for text in &said {
        s.try_run(text).unwrap_or_else(|e| panic!("{text}\n{e}"));
    }
    assert_eq!(texts(&empty), said);
    said
}

/// `verify` finds nothing.
pub fn verified(nodes: &[&Node]) {
    for n in nodes {
        let report = n.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

/// Brings all nodes to the same blocks and checks that they hold the same tables.
pub fn converge(nodes: &[&Node]) {
    for _ in 0..2 {
        for a in nodes {
            for b in nodes {
                a.fetch(b);
            }
        }
    }
    let void = |n: &Node| n.session().rows("SELECT * FROM p2pdb.voided ORDER BY 1, 2");
    for n in nodes {
        if n.fingerprint() != nodes[0].fingerprint() {
            assert_eq!(void(n), void(nodes[0]), "the nodes differ in what is void");
            let schemas = |n: &Node| n.engine.status().fingerprints;
            assert_eq!(schemas(n), schemas(nodes[0]), "the nodes differ in a schema");
        }
        assert_eq!(n.fingerprint(), nodes[0].fingerprint(), "the nodes differ");
    }
}

pub struct TestSession {
    pub session: Session,
}

/// Rows as text.
#[derive(Default)]
pub struct Rows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// What was told of the transaction with the ends of results before the last.
    pub news: Vec<TransactionNews>,
}

impl Sink for Rows {
    fn columns(&mut self, fields: &[Field]) -> Result<(), SqlError> {
        self.columns = fields.iter().map(|f| f.name.clone()).collect();
        self.rows.clear();
        Ok(())
    }
    fn row(&mut self, fields: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        self.rows.push(fields.iter().zip(row).map(|(f, v)| p2pdb_engine::text(&f.ty, *v)).collect());
        ControlFlow::Continue(())
    }
    fn end(&mut self, _: &Outcome, end: ResultEnd) -> ControlFlow<()> {
        self.news.push(end.news);
        ControlFlow::Continue(())
    }
    fn tells(&self) -> bool {
        true
    }
}

impl TestSession {
    /// Runs one statement to its end.
    pub fn try_run(&mut self, sql: &str) -> Result<(Outcome, Rows), SqlError> {
        let statement = self.session.prepare(sql)?;
        self.try_prepared(&statement)
    }

    /// The same, of one without parameters that is prepared already.
    pub fn try_prepared(&mut self, statement: &Statement) -> Result<(Outcome, Rows), SqlError> {
        let mut rows = Rows::default();
        let mut progress = self.session.start(statement, Vec::new(), &mut rows);
        loop {
            match progress {
                Progress::Done(result) => return result.map(|o| (o, rows)),
                Progress::Waiting(wait) => {
                    wait.block();
                    progress = self.session.resume(&mut rows);
                }
            }
        }
    }

    /// Runs statements that must succeed.
    pub fn run(&mut self, sql: &str) -> Outcome {
        let mut last = Outcome::default();
        let mode = sql.to_owned();
        for one in self.session.split(&mode) {
            last = self.try_run(one).unwrap_or_else(|e| panic!("{one}\n{e}")).0;
        }
        last
    }

    /// The rows of a query, cells joined by `|`.
    pub fn rows(&mut self, sql: &str) -> Vec<String> {
        let (_, rows) = self.try_run(sql).unwrap_or_else(|e| panic!("{sql}\n{e}"));
        rows.rows.iter().map(|r| r.join("|")).collect()
    }

    /// The number of the error that the statement ends with.
    pub fn error(&mut self, sql: &str) -> u16 {
        match self.try_run(sql) {
            Ok(_) => panic!("no error: {sql}"),
            Err(e) => e.code,
        }
    }
}
