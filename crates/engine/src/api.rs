//! The words between the engine and whoever embeds it: clocks, sinks, outcomes, status.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use p2pdb_model::change::Role;
use p2pdb_model::{AccountId, Cid, NodeId, RealmId, Stamp, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;

use crate::program::Kept;
use crate::session::TransactionNews;

/// The wall clock; an argument everywhere, so that a simulator can own it.
pub trait Clock: Send + Sync {
    /// Microseconds since the Unix epoch.
    fn now_us(&self) -> u64;
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> u64 {
        self.now_us() / 1_000
    }
}

/// A source of random bytes; an argument everywhere.
pub trait Entropy: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// Receives a result set.
pub trait Sink {
    /// The columns; called once before the rows of each result set (not for statements without one).
    fn columns(&mut self, fields: &[Field]) -> Result<(), SqlError>;
    /// One row, in stored form; `Break` stops the statement (the client is gone).
    fn row(&mut self, fields: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()>;
    /// The rows of one of several results are over; another result follows, or the statement's own end. `Break` stops
    /// the statement.
    fn end(&mut self, _outcome: &Outcome, _end: ResultEnd) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
    /// The end of rows tells the client what it has not heard yet of its transaction.
    fn tells(&self) -> bool {
        false
    }
}

/// How the session stands between two results of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultEnd {
    /// Inside a transaction.
    pub in_transaction: bool,
    /// The transaction takes no writes.
    pub read_only: bool,
    /// `autocommit`.
    pub autocommit: bool,
    /// What the client hears of its transaction where the sink [tells](Sink::tells) it; else nothing.
    pub news: TransactionNews,
}

/// How a statement ended well.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Rows changed (inserted, deleted); 2 for each row that REPLACE or an upsert replaced, as MySQL counts.
    pub affected: u64,
    /// Rows found (what a client with CLIENT_FOUND_ROWS sees instead of `affected` for UPDATE).
    pub found: u64,
    /// First generated id of the statement, 0 if none.
    pub last_insert_id: u64,
    /// Warnings raised.
    pub warnings: u16,
    /// The info text (`Rows matched: …`), empty if none.
    pub info: String,
    /// A result set was sent to the sink.
    pub has_rows: bool,
    /// USE changed the database (session tracking); empty: it was dropped.
    pub schema_changed: Option<String>,
    /// The session's state changed in a way that `session_track_state_change` asks to hear of.
    pub state_changed: bool,
    /// It was DROP DATABASE.
    pub database_dropped: bool,
    /// System variables changed by SET (session tracking).
    pub variables_changed: Vec<(String, String)>,
    /// OUT parameters of a CALL that were given as parameters of the statement.
    pub out: Vec<(Field, Value)>,
    /// GTID of the block that holds the commit, for session tracking.
    pub gtid: Option<String>,
    /// Rows that the sink has not seen yet: of a query that ran at the writer, or for a cursor.
    pub(crate) kept: Option<Arc<Kept>>,
}

/// What a session is told at its start.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// The account's user name.
    pub user: String,
    /// The client's host.
    pub host: String,
    /// The database to use.
    pub database: Option<String>,
    /// The protocol's connection id.
    pub connection_id: u64,
    /// What the client says of itself: names and values, in its order.
    pub attributes: Vec<(String, String)>,
}

/// Where an engine lives and with what keys.
pub struct EngineConfig {
    /// The node's data directory.
    pub directory: PathBuf,
    /// The node's key: signs blocks.
    pub node_key: SigningKey,
    /// Keys of accounts that this node holds; tickets made here delegate them.
    pub account_keys: Vec<SigningKey>,
    /// The newest rules number that is understood: [`p2pdb_model::RULES`], but in tests of what happens behind it.
    pub rules: u32,
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Milliseconds that a transaction may hold the writer without a statement before it is rolled back.
    pub idle_transaction_ms: u64,
    /// Milliseconds that a statement waits for the writer (1205 after it); shown as `innodb_lock_wait_timeout`.
    pub lock_wait_ms: u64,
    /// A file system of the embedder's own; `None` for the system's.
    pub disk: Option<Arc<dyn p2pdb_store::Disk>>,
    /// Global values of other system variables, where the node's settings say something else than MySQL's defaults.
    pub variables: Vec<(&'static str, Value)>,
}

/// Frontier, heads and health, for `status`, metrics and the testnet.
#[derive(Clone, Debug)]
pub struct Status {
    /// The realm.
    pub realm: RealmId,
    /// This node.
    pub node: NodeId,
    /// This node's role, if it is a member.
    pub role: Option<Role>,
    /// Blocks held.
    pub blocks: u64,
    /// Heads of the DAG.
    pub heads: Vec<Cid>,
    /// The frontier as a GTID set.
    pub gtid_executed: String,
    /// Digest of the frontier, hexadecimal: equal digests mean equal sets of blocks.
    pub frontier_digest: String,
    /// Fingerprint over all tables, hexadecimal.
    pub fingerprint: String,
    /// Fingerprint per MySQL schema.
    pub fingerprints: Vec<(String, String)>,
    /// Stamp of the newest block held.
    pub stamp: Stamp,
    /// Blocks whose parents are missing.
    pub pending_blocks: u64,
    /// Blocks held, and served, but not applied: the realm's rules number is newer than this program.
    pub kept_blocks: u64,
    /// Forks of chains in the log: two nodes wrote with one key.
    pub forks: u64,
    /// Writes are refused, and why.
    pub refuses_writes: Option<String>,
    /// A fingerprint differed from a peer's at an equal frontier, and where; or the tables cannot be read.
    pub alarm: Option<String>,
    /// The peers it differed from, as [`crate::Engine::compare`] was told of them.
    pub differs: Vec<String>,
    /// Unix milliseconds at which something, of clients or of peers, could not be committed last, and why.
    pub failed: Option<(u64, String)>,
}

/// A member of the realm.
#[derive(Clone, Debug)]
pub struct MemberInfo {
    /// The node.
    pub node: NodeId,
    /// Its name for people.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// Removed from the realm.
    pub removed: bool,
    /// Last sequence number held of its newest chain.
    pub seq: u64,
    /// Stamp of that block.
    pub last_seen: Option<Stamp>,
}

/// A line of `p2pdb-node log`.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// The block.
    pub cid: Cid,
    /// Its parents, `prev` first.
    pub parents: Vec<Cid>,
    /// Its author.
    pub author: NodeId,
    /// The author's name, if a member.
    pub author_name: String,
    /// Sequence number in its chain.
    pub seq: u64,
    /// Its stamp.
    pub stamp: Stamp,
    /// Nothing held names it as a parent.
    pub head: bool,
    /// It is kept unread, under a rules number that this program does not know.
    pub kept: bool,
    /// One line a transaction: account, verdict, summary of the changes.
    pub transactions: Vec<LogTransaction>,
}

/// A transaction in a [`LogEntry`].
#[derive(Clone, Debug)]
pub struct LogTransaction {
    /// The account.
    pub account: AccountId,
    /// `None`: accepted; else why it is void.
    pub void: Option<String>,
    /// Summary: `INSERT shop.till ×3, UPDATE …`.
    pub summary: String,
}
