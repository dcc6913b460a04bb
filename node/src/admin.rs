//! What the admin interface says and takes, as the server, the command line and the testnet read it.

use serde::{Deserialize, Serialize};

/// Header value before the token.
pub const BEARER: &str = "Bearer ";

/// `run.json`: where the node in this data directory can be reached while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunInfo {
    /// Process id.
    pub pid: u32,
    /// MySQL address.
    pub mysql: String,
    /// HTTP address, if there is one.
    pub http: Option<String>,
    /// Since which start of the machine it runs; none where the system does not say.
    #[serde(default)]
    pub boot: Option<String>,
}

/// Which start of the machine this is, where the system says: <https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html> (`random`).
pub fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// A node's health.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusReport {
    /// The realm's CID.
    pub realm: String,
    /// The node's public key, hexadecimal.
    pub node: String,
    /// Its libp2p peer id.
    pub peer_id: String,
    /// Its name.
    pub name: String,
    /// Its role; none until it has been admitted and knows it.
    pub role: Option<String>,
    /// It was removed from the realm, as far as it has heard.
    #[serde(default)]
    pub removed: bool,
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// Ready for clients.
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// What is wrong and keeps no client from being served.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// MySQL address.
    pub mysql: String,
    /// HTTP address.
    pub http: Option<String>,
    /// Addresses for peers.
    pub listening: Vec<String>,
    /// Blocks held.
    pub blocks: u64,
    /// CIDs of the heads.
    pub heads: Vec<String>,
    /// The frontier as a GTID set.
    pub frontier: String,
    /// Digest of the frontier, hexadecimal.
    pub frontier_digest: String,
    /// Fingerprint of all tables, hexadecimal.
    pub fingerprint: String,
    /// Fingerprint per schema.
    pub fingerprints: Vec<(String, String)>,
    /// Milliseconds since the Unix epoch of the newest block.
    pub newest_ms: u64,
    /// Blocks that wait for their parents.
    pub pending_blocks: u64,
    /// Blocks held but not applied: their rules number is not known to this program.
    pub kept_blocks: u64,
    /// Why writes are refused, if they are.
    pub refuses_writes: Option<String>,
    /// A fingerprint differed, and where.
    pub alarm: Option<String>,
    /// When something, of clients or of peers, could not be committed last (Unix milliseconds), and why.
    #[serde(default)]
    pub failed: Option<(u64, String)>,
    /// MySQL clients.
    pub clients: usize,
    /// Statements run since the start.
    pub statements: u64,
    /// Sessions with peers.
    pub peers: Vec<PeerReport>,
    /// Nodes that are cut off on purpose (testnet).
    pub blocked: Vec<String>,
}

/// A connected peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerReport {
    /// Its public key, hexadecimal.
    pub node: String,
    /// Its name, if it is a member.
    pub name: String,
    /// `member` or `stranger`.
    pub access: String,
    /// Where it is.
    pub addresses: Vec<String>,
    /// Round trip, milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Its clock minus ours, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// It held the same blocks when we last heard.
    pub equal: Option<bool>,
    /// Of the same blocks it had made other tables.
    pub tables_differ: bool,
    /// Blocks that are still to come from it.
    pub fetching: Option<u64>,
}

/// A member.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberReport {
    /// Its public key, hexadecimal.
    pub node: String,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Removed from the realm.
    pub removed: bool,
    /// Sequence number of its newest block.
    pub seq: u64,
    /// When it wrote that, milliseconds since the Unix epoch.
    pub last_seen_ms: Option<u64>,
    /// This node.
    pub local: bool,
}

/// A block, for `log`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BlockReport {
    /// Its CID.
    pub cid: String,
    /// Its parents' CIDs.
    pub parents: Vec<String>,
    /// Its author's public key, hexadecimal.
    pub author: String,
    /// Its author's name.
    pub author_name: String,
    /// Its number in its chain.
    pub seq: u64,
    /// Its time, milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// A head of the DAG.
    pub head: bool,
    /// Kept unread: its rules number is not known to this program.
    pub kept: bool,
    /// Its transactions.
    pub transactions: Vec<TransactionReport>,
}

/// A transaction of a block.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransactionReport {
    /// The account, hexadecimal.
    pub account: String,
    /// Why it is void, if it is.
    pub void: Option<String>,
    /// What it did.
    pub summary: String,
}

/// Asks for a ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InviteRequest {
    /// `owner`, `writer`, `reader` or `relay`.
    pub role: String,
    /// How long it holds, seconds.
    pub expires_s: Option<u64>,
    /// How many nodes it admits.
    pub uses: u32,
    /// The key of the only node that it admits, hexadecimal.
    #[serde(default)]
    pub node: Option<String>,
    /// For whom it writes; none: for every account whose key the inviting node holds in clear.
    #[serde(default)]
    pub acts_for: Option<InviteFor>,
    /// Addresses to put into it; empty: where the node listens.
    pub addresses: Vec<String>,
}

/// For whom a node that joins may write.
#[derive(Clone, Serialize, Deserialize)]
pub enum InviteFor {
    /// For nobody until an account's key delegates to it.
    Nobody,
    /// For this account, whose key the inviting node's keystore has.
    Account {
        /// `name` or `name@host`.
        user: String,
        /// What locks the key.
        password: String,
    },
}

impl std::fmt::Debug for InviteFor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            InviteFor::Nobody => f.write_str("Nobody"),
            InviteFor::Account { user, .. } => write!(f, "Account({user})"),
        }
    }
}

/// A ticket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InviteReport {
    /// Its text.
    pub ticket: String,
    /// The role it gives.
    pub role: String,
    /// Milliseconds since the Unix epoch after which it does not hold.
    pub expires_ms: Option<u64>,
    /// How many nodes it admits.
    pub uses: u32,
    /// The key of the only node that it admits, hexadecimal.
    pub node: Option<String>,
    /// The accounts that a bearer may write for.
    pub acts_for: Vec<String>,
    /// Addresses in it.
    pub addresses: Vec<String>,
}

/// What `verify` found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Everything was looked at and nothing was found.
    pub clean: bool,
    /// What was found, by name.
    pub findings: Vec<String>,
    /// How many more there were.
    pub more: u64,
    /// What may be missing, though everything that is there is right.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Names a file or directory on the node's machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PathRequest {
    /// An absolute path.
    pub path: String,
}

/// What `export` and `backup` wrote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WrittenReport {
    /// Where.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// Blocks, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
}

/// What `import` did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImportReport {
    /// Blocks that were new.
    pub applied: u64,
    /// Blocks that were held already.
    pub known: u64,
    /// Blocks that wait for missing parents.
    pub waiting: u64,
    /// Blocks refused, with the reason.
    pub refused: Vec<String>,
}

/// Sets a login's password.
#[derive(Clone, Serialize, Deserialize)]
pub struct PasswordRequest {
    /// The login.
    pub user: String,
    /// What it gets.
    pub secret: Secret,
}

/// A new password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// Its hash of `mysql_native_password`: `*` and 40 hexadecimal digits.
    NativeHash(String),
}

/// Asks about an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountRequest {
    /// `name` or `name@host`.
    pub user: String,
}

/// What it takes to sign a delegation of an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountReport {
    /// The realm's id.
    pub realm: String,
    /// The key of the node that answers, hexadecimal.
    pub node: String,
    /// The account's id, hexadecimal.
    pub account: String,
    /// Its keys, as `did:key:…`.
    pub keys: Vec<String>,
}

/// A delegation, signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DelegateRequest {
    /// The account's id, hexadecimal.
    pub account: String,
    /// The node, by its key (hexadecimal).
    pub to: String,
    /// Its end, Unix milliseconds.
    pub until_ms: Option<u64>,
    /// The signature by one of the account's keys, hexadecimal.
    pub signature: String,
}

/// An account's key for the keystore.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeyRequest {
    /// `name` or `name@host`.
    pub user: String,
    /// The password that locks it, and is that of the login.
    pub password: String,
    /// The key, hexadecimal.
    pub key: String,
}

/// Names nodes, by public key (hexadecimal).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct NodesRequest {
    /// The nodes.
    pub nodes: Vec<String>,
}

/// Sets a node's clock wrong, in a test network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClockRequest {
    /// Milliseconds ahead of the machine's clock; less than 0 for behind, 0 for right.
    pub ahead_ms: i64,
}

/// An error of the admin interface.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorReport {
    /// For people.
    pub error: String,
}
