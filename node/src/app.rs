//! What a running node knows of itself: for `/readyz`, metrics and the admin interface.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use p2pdb_engine::Engine;
use p2pdb_model::NodeId;
use parking_lot::{Mutex, RwLock};

use crate::admin::{PeerReport, Secret, StatusReport, VerifyReport};
use crate::datadir::DataDir;
use crate::door::{Door, Logins};
use crate::net::link::Link;
use crate::net::{Access, NetError, NetHandle, peer_of};
use crate::replicate::{Join, Shared};

/// Nodes that are cut off on purpose, by public key; read at start by a node of a testnet.
pub const BLOCKED_FILE: &str = "blocked.json";

/// With less room on its disk than this a node is not ready: room for one more full body of a block, bytes.
pub const DISK_FREE_BYTES_MIN: u64 = 1 << 20;

/// See the module.
pub struct App {
    pub(crate) engine: Engine,
    pub(crate) door: Arc<Door>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) net: NetHandle,
    pub(crate) replication: Arc<Shared>,
    pub(crate) link: Link,
    pub(crate) join: tokio::sync::watch::Receiver<Join>,
    pub(crate) dir: DataDir,
    pub(crate) name: String,
    pub(crate) admin_token: String,
    pub(crate) testnet: bool,
    pub(crate) mysql: SocketAddr,
    pub(crate) http: Option<String>,
    pub(crate) writer_runs: Arc<AtomicBool>,
    pub(crate) stopping: AtomicBool,
    pub(crate) blocked: RwLock<Vec<NodeId>>,
    pub(crate) started: Instant,
    pub(crate) damaged: Damaged,
    /// What the last `verify` of this run has found.
    pub(crate) found: Mutex<Option<String>>,
}

/// What is wrong with the files beside the store, as of when they were looked at last.
#[derive(Default)]
pub(crate) struct Damaged(Mutex<Option<(Instant, Vec<String>)>>);

/// Between two looks at these files: whoever asks may ask often.
const FILES_PAUSE: Duration = Duration::from_secs(2);

impl Damaged {
    fn look(&self, dir: &DataDir) -> Vec<String> {
        let mut seen = self.0.lock();
        let (_, damaged) = match seen.take().filter(|(at, _)| at.elapsed() < FILES_PAUSE) {
            Some(fresh) => seen.insert(fresh),
            None => seen.insert((Instant::now(), dir.warnings())),
        };
        damaged.clone()
    }
}

/// What a node says of itself that was removed.
pub(crate) const REMOVED: &str = "this node was removed from the realm: members refuse it, and what it writes is void; to come back, join with a ticket in a new directory";
/// What a node says of itself that is no member and has no ticket.
pub(crate) const NOT_THE_KEY: &str = "not a member: the log knows no node with the key in node.key, and there is no ticket; if the file was replaced, put the right one back from a backup, or join with a ticket in a new directory";

/// True when the members say that this node was one of them and was removed.
pub(crate) fn is_removed(engine: &Engine) -> bool {
    engine.members().iter().any(|m| m.node == engine.node() && m.removed)
}

impl App {
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }
    pub(crate) fn set_password(&self, user: &str, secret: &Secret) -> anyhow::Result<()> {
        let account = crate::ops::account_of(&self.engine, user).ok().map(|a| a.id);
        crate::password::set(&self.dir, &self.logins, user, secret, account, self.mysql)
    }
    pub(crate) fn logins(&self) -> &Logins {
        &self.logins
    }
    pub(crate) fn replication(&self) -> &Shared {
        &self.replication
    }
    pub(crate) fn net(&self) -> &NetHandle {
        &self.net
    }
    pub(crate) fn dir(&self) -> &DataDir {
        &self.dir
    }
    pub(crate) fn admin_token(&self) -> &str {
        &self.admin_token
    }
    pub(crate) fn is_testnet(&self) -> bool {
        self.testnet
    }
    pub(crate) fn writer_runs(&self) -> bool {
        self.writer_runs.load(Ordering::Acquire)
    }

    /// Addresses that peers can dial: those listened on, without the unspecified ones' duplicates.
    pub(crate) fn listening(&self) -> Vec<Multiaddr> {
        self.replication.listening()
    }

    /// Why clients had better go elsewhere; empty when ready.
    pub(crate) fn reasons_not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.stopping.load(Ordering::Acquire) {
            reasons.push("the node is stopping".to_owned());
        }
        if !self.writer_runs() {
            reasons.push("the writer thread has ended; restart the node".to_owned());
        }
        if let Some(free) = self.dir.free_bytes().filter(|free| *free < DISK_FREE_BYTES_MIN) {
            let root = self.dir.root().display();
            reasons.push(format!("the disk is full: {free} bytes are free in {root}; free some space"));
        }
        let status = self.engine.status();
        if status.role.is_none() {
            let join = self.join.borrow();
            reasons.push(match &*join {
                _ if is_removed(&self.engine) => REMOVED.to_owned(),
                Join::NoTicket => NOT_THE_KEY.to_owned(),
                Join::Asking => "not a member yet: no member has answered the ticket".to_owned(),
                Join::Admitted => {
                    let unserved = self.replication.unserved.any();
                    let but = unserved.map(|why| format!(", but {why}")).unwrap_or_default();
                    format!("admitted; catching up for the first time{but}")
                }
                Join::Refused(why) => format!("not a member: {why}"),
            });
        }
        reasons.extend(status.alarm.map(|a| format!("ALARM: {a}")));
        reasons.extend(status.refuses_writes.map(|w| format!("writes are refused: {w}")));
        reasons
    }

    /// What is wrong and keeps no client from being served.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.damaged.look(&self.dir);
        warnings.extend(self.found.lock().clone());
        warnings
    }

    /// Keeps in mind what a `verify` found, for others than who asked for it.
    pub(crate) fn has_verified(&self, report: &VerifyReport) {
        let found = report.findings.first().map(|first| {
            let more = (report.findings.len() as u64 + report.more).saturating_sub(1);
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            format!(
                "verify has found damage: {first}{more}\n  hint: keep a copy of the data directory; then restore a backup, or join the realm anew from a healthy member"
            )
        });
        if let Some(found) = &found {
            tracing::error!("{found}");
        }
        *self.found.lock() = found;
    }

    pub(crate) async fn set_blocked(&self, nodes: Vec<NodeId>) -> Result<(), NetError> {
        self.net.set_blocked(nodes.clone()).await?;
        let names: Vec<String> = nodes.iter().map(NodeId::to_hex).collect();
        *self.blocked.write() = nodes;
        // A restart must not heal a partition.
        if let Err(e) = self.dir.write_json(BLOCKED_FILE, &names) {
            tracing::warn!("{e}");
        }
        Ok(())
    }

    pub(crate) async fn status(&self) -> StatusReport {
        let peers = self.net.peers().await.unwrap_or_default();
        let reasons = self.reasons_not_ready();
        let status = self.engine.status();
        let members = self.engine.members();
        let link = self.link.clone();
        let sessions = tokio::task::spawn_blocking(move || link.peers()).await.unwrap_or_default();
        let peers = peers.into_iter().map(|p| {
            let session = sessions.iter().find(|s| s.peer == p.node);
            PeerReport {
                node: p.node.to_hex(),
                name: members.iter().find(|m| m.node == p.node).map_or_else(String::new, |m| m.name.clone()),
                access: if p.access == Access::Member { "member" } else { "stranger" }.to_owned(),
                addresses: p.addresses.iter().map(ToString::to_string).collect(),
                round_trip_ms: p.round_trip.map(|t| t.as_secs_f64() * 1e3),
                clock_offset_ms: session.and_then(|s| s.clock_offset_ms),
                equal: session.and_then(|s| s.equal),
                tables_differ: status.differs.contains(&p.node.to_string()),
                fetching: session.and_then(|s| s.fetching),
            }
        });
        StatusReport {
            realm: status.realm.to_string(),
            node: status.node.to_hex(),
            peer_id: peer_of(&status.node).map(|p| p.to_string()).unwrap_or_default(),
            name: self.name.clone(),
            role: status.role.map(|r| r.name().to_owned()),
            removed: status.role.is_none() && is_removed(&self.engine),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            ready: reasons.is_empty(),
            reasons,
            warnings: self.warnings(),
            mysql: self.mysql.to_string(),
            http: self.http.clone(),
            listening: self.listening().iter().map(ToString::to_string).collect(),
            blocks: status.blocks,
            heads: status.heads.iter().map(ToString::to_string).collect(),
            frontier: status.gtid_executed,
            frontier_digest: status.frontier_digest,
            fingerprint: status.fingerprint,
            fingerprints: status.fingerprints,
            newest_ms: status.stamp.millis(),
            pending_blocks: status.pending_blocks,
            kept_blocks: status.kept_blocks,
            refuses_writes: status.refuses_writes,
            alarm: status.alarm,
            failed: status.failed,
            clients: self.door.connected(),
            statements: self.door.stats().statements(),
            peers: peers.collect(),
            blocked: self.blocked.read().iter().map(NodeId::to_hex).collect(),
        }
    }
}
