//! A node of a world: the real engine and the real sync machine, joined as the program joins them.
//!
//! What `node/src/replicate.rs` does with threads and tasks happens here in one: deliveries go to the engine, its answers
//! and its new blocks to sync, admission and the question for a node's own tips as there. Nothing happens by itself:
//! the world calls [`Node::event`], [`Node::pump`] and [`Node::tick`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use p2pdb_block::{FullBlock, SigningKey, sign};
use p2pdb_engine::{
    Admission, Arrived, Engine, EngineConfig, EngineError, Ingest, Invitation, LogView, Logins, NewRealm,
    SessionOptions, Start, Step, create_joiner, create_realm, realm,
};
use p2pdb_model::change::Role;
use p2pdb_model::fault;
use p2pdb_model::ids::{NodeId, PublicKey};
use p2pdb_model::{AccountId, Cid, RealmId};
use p2pdb_sql::account::AccountName;
use p2pdb_sync::{
    Action, AdmissionAnswer, AdmissionRequest, Config, Event, Lane, NodePeer, Now, Outcome, Sync, Token,
    WireBlock,
};
use parking_lot::Mutex;
use serde_bytes::ByteBuf;

use crate::client::{Client, Report};
use crate::disk::Disk;
use crate::random::Random;
use crate::said::Witness;
use crate::time::{NodeClock, NodeEntropy, TrueTime};

/// The database that everything happens in.
pub const DATABASE: &str = "w";
/// As `node/src/replicate.rs`: how long writes wait for an answer about this node's own tips.
const OWN_TIPS_WAIT_US: u64 = 10_000_000;
/// As there: between two requests for admission.
const ADMISSION_RETRY_US: u64 = 2_000_000;
/// As there: until a member that is a stranger to a peer shows its ticket again.
const STRANGER_PATIENCE_US: u64 = 3_000_000;
/// How much longer a node waits than the one before it until it gives keys of sealed columns on.
const SHARING_TURN_US: u64 = 5_000_000;
/// A transaction may hold the writer for so long without a statement.
const IDLE_TRANSACTION_MS: u64 = 3_000;
/// A statement waits for the writer for so long.
const LOCK_WAIT_MS: u64 = 8_000;
/// Steps of the writer in one turn, at most.
const WRITER_STEPS_MAX: u64 = 4;

/// Turns without a sync, at most: fewer groups than may wait.
const UNSYNCED_TURNS_MAX: u64 = Engine::UNSYNCED_MAX as u64 / WRITER_STEPS_MAX - 2;

/// What a node wants of the world.
#[derive(Debug)]
pub enum Out {
    /// A frame.
    Send(NodeId, Lane, Vec<u8>),
    /// To everybody, by gossip.
    Publish(Vec<u8>),
    /// The connection is to be made anew: the peer's standing has changed.
    Renew(NodeId),
    /// The peer is banned, and why.
    Ban(NodeId, String),
    /// Something for the trace.
    Note(String),
    /// What should not happen, by this oracle.
    Wrong(&'static str, String),
    /// A block was refused, and why.
    Refused(Option<Cid>, String),
}

/// A node, up or down.
pub struct Node {
    /// Its number.
    pub index: usize,
    /// Its name in the realm.
    pub id: NodeId,
    /// Where its files are.
    pub directory: PathBuf,
    /// Its disk.
    pub disk: Arc<Disk>,
    /// Its clock.
    pub clock: Arc<NodeClock>,
    /// Its last backup.
    pub backup: Option<PathBuf>,
    /// Its directory has been replaced by an old one.
    pub restored: bool,
    /// The newest rules number that its program knows.
    pub rules: u32,
    /// The running program.
    pub up: Option<Up>,
    key: SigningKey,
    account_key: Option<SigningKey>,
    ticket: SigningKey,
    realm: RealmId,
    time: TrueTime,
    random: Random,
    clients: usize,
    watched: bool,
    patched: bool,
    starts: u64,
}

type Made = Arc<Mutex<Vec<Arc<FullBlock>>>>;

/// A running node.
pub struct Up {
    /// The engine.
    pub engine: Engine,
    /// Its clients.
    pub clients: Vec<Client>,
    /// What is to be done outside.
    pub out: Vec<Out>,
    sync: Sync,
    view: LogView,
    made: Made,
    ingests: VecDeque<(Token, NodeId, Ingest)>,
    started_us: u64,
    random: Random,
    asking_since: Option<u64>,
    admitted: bool,
    peers: BTreeMap<NodeId, NodePeer>,
    removed: BTreeSet<NodeId>,
    asked: BTreeMap<NodeId, u64>,
    strange_to: BTreeMap<NodeId, u64>,
    /// Strangers that hold what this node has lost of its own.
    witnesses: BTreeSet<NodeId>,
    members_due: bool,
    request: Option<AdmissionRequest>,
    last_made: Option<Arc<FullBlock>>,
    /// Turns since the last sync.
    unsynced: u64,
    witness: Witness,
    /// Since when readers are known to lack keys that it has.
    lacking_since: Option<u64>,
    /// Its store is not as it left it.
    restored: bool,
}

fn key(seed: u64, index: usize, use_: u8) -> SigningKey {
    let mut random = Random::named(seed ^ ((index as u64) << 8), "key");
    let mut bytes = [use_; 32];
    for chunk in bytes[8..].chunks_mut(8) {
        chunk.copy_from_slice(&random.next().to_le_bytes());
    }
    SigningKey::from_bytes(&bytes)
}

/// What a world tells each of its nodes.
pub struct Begin {
    /// The world's seed.
    pub seed: u64,
    /// The node's number.
    pub index: usize,
    /// An existing folder for its files.
    pub directory: PathBuf,
    /// The world's time.
    pub time: TrueTime,
    /// Its clock is wrong by so much.
    pub wrong_by_ms: i64,
    /// How many clients it has.
    pub clients: usize,
    /// What clients are told is held against what is shown.
    pub watched: bool,
    /// Its sessions are asked for no permission.
    pub patched: bool,
    /// The newest rules number that its program knows.
    pub rules: u32,
}

impl Node {
    /// The node that founds the realm; it is down.
    ///
    /// # Errors
    /// When the realm cannot be made.
    pub fn found(begin: Begin) -> Result<Node, EngineError> {
        let (node_key, account_key) = (key(begin.seed, begin.index, 1), key(begin.seed, begin.index, 2));
        let clock = NodeClock::new(begin.time.clone(), begin.wrong_by_ms);
        let realm = create_realm(NewRealm {
            name: "sim",
            node_name: "n0",
            directory: &begin.directory,
            node_key: &node_key,
            account_key: &account_key,
            clock: clock.clone(),
            entropy: NodeEntropy::new(Random::named(begin.seed, "realm")),
        })?;
        Ok(Node::new(begin, clock, realm, Some(account_key)))
    }

    /// A node that will ask for admission; it is down.
    ///
    /// # Errors
    /// When its empty store cannot be made.
    pub fn join(begin: Begin, realm: RealmId) -> Result<Node, EngineError> {
        create_joiner(&begin.directory, realm)?;
        let clock = NodeClock::new(begin.time.clone(), begin.wrong_by_ms);
        Ok(Node::new(begin, clock, realm, None))
    }

    fn new(begin: Begin, clock: Arc<NodeClock>, realm: RealmId, account_key: Option<SigningKey>) -> Node {
        let Begin { seed, index, directory, time, clients, watched, patched, .. } = begin;
        let key_ = key(seed, index, 1);
        Node {
            index,
            id: sign::node_id(&key_),
            disk: Disk::new(&directory, Random::named(seed ^ index as u64, "disk")),
            directory,
            clock,
            backup: None,
            restored: false,
            rules: begin.rules,
            up: None,
            key: key_,
            account_key,
            ticket: key(seed, index, 3),
            realm,
            time,
            random: Random::named(seed ^ index as u64, "node"),
            clients,
            watched,
            patched,
            starts: 0,
        }
    }

    /// The realm.
    pub fn realm(&self) -> RealmId {
        self.realm
    }

    /// Its key.
    pub fn node_key(&self) -> &SigningKey {
        &self.key
    }

    /// The public half of its ticket.
    pub fn ticket(&self) -> PublicKey {
        sign::public_key(&self.ticket)
    }

    /// Starts the program.
    ///
    /// # Errors
    /// When the store cannot be opened: after a fault of the disk, that is; the world tries again.
    pub fn start(&mut self) -> Result<(), EngineError> {
        self.starts += 1;
        self.disk.switch_on();
        let engine = Engine::open(EngineConfig {
            rules: self.rules,
            directory: self.directory.clone(),
            node_key: self.key.clone(),
            account_keys: self.account_key.iter().cloned().collect(),
            clock: self.clock.clone(),
            entropy: NodeEntropy::new(Random::new(self.random.next())),
            idle_transaction_ms: IDLE_TRANSACTION_MS,
            lock_wait_ms: LOCK_WAIT_MS,
            disk: Some(self.disk.clone()),
            variables: Vec::new(),
        })?;
        engine.drive_by_hand();
        engine.keep_logins(Arc::new(NoLogins));
        let made = Made::default();
        engine.on_commit(Box::new({
            let made = made.clone();
            move |announced| made.lock().extend(announced.made.iter().cloned())
        }));
        let config = Config::new(self.id, self.realm, self.rules, self.random.next());
        let signature = p2pdb_access::admission_signature(&self.ticket, &self.realm, &self.id);
        let request = self.account_key.is_none().then(|| AdmissionRequest {
            node: self.id,
            realm: self.realm.0,
            ticket: self.ticket(),
            signature: ByteBuf::from(signature),
            name: format!("n{}", self.index),
        });
        let mut up = Up {
            sync: Sync::new(config),
            view: engine.log_view()?,
            made,
            ingests: VecDeque::new(),
            clients: (0..self.clients).map(|c| Client::new(self.index, c)).collect(),
            out: Vec::new(),
            started_us: self.time.us(),
            random: Random::new(self.random.next()),
            asking_since: None,
            admitted: false,
            peers: BTreeMap::new(),
            removed: BTreeSet::new(),
            asked: BTreeMap::new(),
            strange_to: BTreeMap::new(),
            witnesses: BTreeSet::new(),
            members_due: false,
            request,
            last_made: None,
            unsynced: 0,
            witness: Witness::default(),
            lacking_since: None,
            restored: self.restored,
            engine,
        };
        up.look_at_members();
        if up.engine.start() != Start::Clean && up.engine.members().iter().filter(|m| !m.removed).count() > 1
        {
            up.asking_since = Some(self.time.us());
            up.engine.set_refuses_writes(Some("asking peers what they hold of this node".to_owned()));
            self.up = Some(up);
            let author = self.id;
            self.event(Event::AskTips { author });
        } else {
            self.up = Some(up);
        }
        Ok(())
    }

    /// Stops the program properly: what waits at the writer is done, and it notes that nothing was lost.
    pub fn stop(&mut self) -> Vec<Report> {
        let Some(up) = &mut self.up else { return Vec::new() };
        let reports = up.clients.iter_mut().flat_map(Client::hang_up).collect();
        up.engine.stop();
        loop {
            match up.engine.step_writer() {
                Step::Did => {
                    up.engine.step_syncer();
                }
                Step::Idle(_) if up.engine.step_syncer() => {}
                Step::Idle(_) | Step::Stopped => break,
            }
        }
        up.engine.step_syncer();
        // A disk that fails now leaves the node as after a crash.
        let _ = up.engine.close();
        self.up = None;
        reports
    }

    /// The process ends without another instruction.
    pub fn kill(&mut self) -> Vec<Report> {
        self.disk.switch_off();
        let Some(mut up) = self.up.take() else { return Vec::new() };
        let reports = up.clients.iter_mut().flat_map(Client::hang_up).collect();
        // What waits at the writer holds the engine: it is let go, and the disk takes nothing of it.
        up.engine.stop();
        while up.engine.step_writer() == Step::Did || up.engine.step_syncer() {
            up.engine.step_syncer();
        }
        reports
    }

    /// Makes a backup.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn make_backup(&mut self) -> Result<(), EngineError> {
        let Some(up) = &self.up else { return Ok(()) };
        let target = self.directory.join(format!("backup-{}", self.time.us()));
        up.engine.backup(&target)?;
        self.backup = Some(target);
        Ok(())
    }

    /// Puts the backup in the place of the store; the node is down.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn restore(&mut self, properly: bool) -> anyhow::Result<()> {
        let Some(backup) = self.backup.clone() else { return Ok(()) };
        let file = realm::file(&self.directory);
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = file.clone().into_os_string();
            name.push(suffix);
            match std::fs::remove_file(name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
                _ => {}
            }
        }
        if properly {
            p2pdb_store::restore(&backup, &realm::options(&self.directory), p2pdb_store::Ids::MayBeLost)?;
        } else {
            std::fs::copy(&backup, &file)?;
        }
        self.disk.forget();
        self.restored = true;
        Ok(())
    }

    /// The time as the node reads it.
    pub fn now(&self) -> Option<Now> {
        let up = self.up.as_ref()?;
        let mono_ms = (self.time.us() - up.started_us) / 1_000;
        Some(Now { mono_ms, wall_ms: p2pdb_engine::Clock::now_ms(&*self.clock) })
    }

    /// When sync wants to be called, in true time.
    pub fn sync_due_us(&self) -> Option<u64> {
        let up = self.up.as_ref()?;
        up.sync.timeout_ms().map(|ms| up.started_us + ms * 1_000)
    }

    /// Something happened to sync.
    pub fn event(&mut self, event: Event) {
        let Some(now) = self.now() else { return };
        let time_us = self.time.us();
        if let Some(up) = &mut self.up {
            up.handle(event, now, time_us);
        }
    }

    /// Who is a member is looked at anew.
    pub fn members_changed(&mut self) {
        if let Some(up) = &mut self.up {
            up.look_at_members();
        }
    }

    /// A connection has begun.
    pub fn connected(&mut self, peer: NodeId) {
        let Some(up) = &mut self.up else { return };
        let standing = up.standing(&peer);
        up.peers.insert(peer, standing);
        up.engine.set_connected(peer, true);
        self.event(Event::PeerConnected { peer, standing });
        let time_us = self.time.us();
        if let (Some(now), Some(up)) = (self.now(), &mut self.up) {
            up.ask_admission(peer, now, time_us);
        }
    }

    /// A connection has ended.
    pub fn disconnected(&mut self, peer: NodeId) {
        let Some(up) = &mut self.up else { return };
        if up.peers.remove(&peer).is_some() {
            up.engine.set_connected(peer, false);
            if up.engine.role().is_none() {
                up.strange_to.remove(&peer);
            }
            self.event(Event::PeerDisconnected { peer });
        }
    }

    /// Every half second.
    pub fn tick(&mut self) {
        let time_us = self.time.us();
        let Some(now) = self.now() else { return };
        let Some(up) = &mut self.up else { return };
        up.engine.tick();
        if up.asking_since.is_some_and(|since| since + OWN_TIPS_WAIT_US <= time_us) {
            up.stop_asking(now, time_us);
        }
        for peer in up.peers.keys().copied().collect::<Vec<_>>() {
            up.ask_admission(peer, now, time_us);
            if up.strange_to.get(&peer).is_some_and(|since| since + STRANGER_PATIENCE_US <= time_us) {
                up.strange_to.insert(peer, time_us);
                up.show_ticket(peer, now, time_us);
                up.show_witness(peer, now, time_us);
            }
        }
        if up.members_due {
            up.look_at_members();
        }
        if up.asking_since.is_none() {
            up.recount();
        }
        up.share_keys(self.index, time_us);
    }

    /// The writer, the clients and what came of deliveries each get on by a little. True when there is more to do.
    pub fn pump(&mut self, reports: &mut Vec<Report>) -> bool {
        let time_us = self.time.us();
        let Some(now) = self.now() else { return false };
        let Some(up) = &mut self.up else { return false };
        let looks = self.watched && !self.disk.is_off() && !self.disk.is_failing() && !self.disk.has_failed();
        // What it shows of itself is what others say of it, so nothing it is told need hold.
        fault::patch(self.patched);
        let more = up.pump(now, time_us, looks && !self.patched, reports);
        fault::patch(false);
        more
    }

    /// A frame with the last block that was made here, under a wrong signature; and its name.
    pub fn forge(&self) -> Option<(Vec<u8>, Cid)> {
        let block = self.up.as_ref()?.last_made.as_ref()?;
        let mut envelope = block.bytes().to_vec();
        *envelope.last_mut()? ^= 1;
        let bodies = block.parts().iter().map(|p| p.bytes.clone()).collect();
        let cid = p2pdb_block::RawBlock(envelope.clone()).decode().ok()?.cid();
        let push = p2pdb_sync::Message::Push(vec![WireBlock::new(envelope, bodies)]);
        Some((push.encode(), cid))
    }

    /// A session of its own.
    ///
    /// # Errors
    /// When the node may not act for the account.
    pub fn session(&self) -> Result<p2pdb_engine::Session, p2pdb_sql::error::SqlError> {
        let Some(up) = &self.up else {
            return Err(p2pdb_sql::error::SqlError::new(2002, "HY000", "the node is down"));
        };
        session(&up.engine, u64::MAX, Some(DATABASE))
    }
}

/// Opens a session for root.
///
/// # Errors
/// As [`Engine::session`].
pub fn session(
    engine: &Engine,
    connection_id: u64,
    database: Option<&str>,
) -> Result<p2pdb_engine::Session, p2pdb_sql::error::SqlError> {
    session_as(engine, "root", connection_id, database)
}

/// Opens a session for an account.
///
/// # Errors
/// As [`Engine::session`].
pub fn session_as(
    engine: &Engine,
    user: &str,
    connection_id: u64,
    database: Option<&str>,
) -> Result<p2pdb_engine::Session, p2pdb_sql::error::SqlError> {
    engine.session(&SessionOptions {
        user: user.to_owned(),
        host: "localhost".to_owned(),
        database: database.map(str::to_owned),
        connection_id,
        attributes: Vec::new(),
    })
}

fn wire(block: &FullBlock) -> Arc<WireBlock> {
    let bodies = block.parts().iter().map(|p| p.bytes.clone()).collect();
    Arc::new(WireBlock::new(block.bytes().to_vec(), bodies))
}

impl Up {
    fn standing(&self, peer: &NodeId) -> NodePeer {
        let member = self.engine.is_member(peer)
            || (self.witnesses.contains(peer) && !self.removed.contains(peer))
            || (!self.removed.contains(peer) && self.admitted && !self.engine.is_member(&self.engine.node()));
        if member { NodePeer::Member } else { NodePeer::NotMember }
    }

    /// Says that this node lost count of its AUTO_INCREMENT values, or deals some to those that did, or have none. What cannot be done
    /// while a transaction holds the writer is done later.
    fn recount(&mut self) {
        if self.engine.role().is_none_or(|r| !r.writes()) {
            return;
        }
        if self.engine.has_to_tell_lost_count() {
            let told = self.engine.tell_lost_count();
            self.out.push(Out::Note(format!("tells that it lost count: {told:?}")));
            return;
        }
        for node in self.engine.without_ids().unwrap_or_default() {
            let dealt = self.engine.deal_ids(node);
            self.out.push(Out::Note(format!("deals values to {node}: {dealt:?}")));
        }
    }

    /// As the node's program does it (`node/src/sharing.rs`): each waits longer than the one before it.
    fn share_keys(&mut self, index: usize, time_us: u64) {
        if !self.engine.role().is_some_and(|r| r.writes()) || !self.engine.has_keys_to_share() {
            self.lacking_since = None;
            return;
        }
        let since = *self.lacking_since.get_or_insert(time_us);
        if since + SHARING_TURN_US * index as u64 <= time_us {
            // What could not be done now is tried again later.
            self.lacking_since = self.engine.share_keys().is_err().then_some(time_us);
        }
    }

    fn look_at_members(&mut self) {
        self.members_due = false;
        self.removed = self.engine.members().iter().filter(|m| m.removed).map(|m| m.node).collect();
        let changed: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(peer, had)| self.standing(peer) != **had)
            .map(|(peer, _)| *peer)
            .collect();
        self.out.extend(changed.into_iter().map(Out::Renew));
    }

    fn ask_admission(&mut self, peer: NodeId, now: Now, time_us: u64) {
        if !self.admitted && self.engine.role().is_none() {
            self.show_ticket(peer, now, time_us);
        }
    }

    fn show_ticket(&mut self, peer: NodeId, now: Now, time_us: u64) {
        let Some(request) = self.request.clone() else { return };
        if self.asked.get(&peer).is_none_or(|at| at + ADMISSION_RETRY_US <= time_us) {
            self.asked.insert(peer, time_us);
            self.handle(Event::RequestAdmission { peer, request }, now, time_us);
        }
    }

    fn show_witness(&mut self, peer: NodeId, now: Now, time_us: u64) {
        if self.engine.role().is_none() || !self.engine.is_member(&peer) {
            return;
        }
        if let Ok(Some(envelope)) = self.engine.witness_for(peer) {
            self.handle(Event::ShowWitness { peer, envelope }, now, time_us);
        }
    }

    fn stop_asking(&mut self, now: Now, time_us: u64) {
        if self.asking_since.take().is_some() {
            self.engine.set_refuses_writes(None);
            self.handle(Event::StopAskingTips, now, time_us);
        }
    }

    fn handle(&mut self, event: Event, now: Now, time_us: u64) {
        self.sync.handle(event, now, &self.view);
        while let Some(action) = self.sync.poll(now, &self.view) {
            self.act(action, now, time_us);
        }
    }

    fn act(&mut self, action: Action, now: Now, time_us: u64) {
        match action {
            Action::Send { peer, lane, bytes } => self.out.push(Out::Send(peer, lane, bytes)),
            Action::Publish { bytes } => self.out.push(Out::Publish(bytes)),
            Action::Deliver(d) => {
                let ingest = self.engine.ingest(d.blocks);
                self.ingests.push_back((d.token, d.peer, ingest));
            }
            Action::CompareFingerprint { peer, state } => {
                if self.engine.compare(&peer.to_string(), &state) {
                    let what = "a fingerprint differs from a peer's".to_owned();
                    self.out.push(Out::Wrong("convergence", what));
                }
            }
            Action::TipsOf { author, tips, .. } => {
                if author == self.engine.node() && self.asking_since.is_some() {
                    match self.engine.peer_knows_own_tips(&tips) {
                        Ok(true) if !self.restored => {
                            let what = "a peer holds blocks of ours that we have lost".to_owned();
                            self.out.push(Out::Wrong("durable", what));
                        }
                        Ok(ahead) => {
                            self.out.push(Out::Note(format!("a peer told our tips, ahead: {ahead}")));
                            self.stop_asking(now, time_us);
                        }
                        Err(e) => self.out.push(Out::Note(format!("our tips cannot be compared: {e}"))),
                    }
                }
            }
            Action::AdmissionRequested { peer, request } => {
                let admission = Admission {
                    node: peer,
                    ticket: request.ticket,
                    signature: request.signature.into_vec(),
                    name: request.name,
                };
                let answer = match self.engine.admit(admission) {
                    Ok(()) => AdmissionAnswer::Admitted { genesis: self.engine.realm().0 },
                    Err(e) => AdmissionAnswer::Refused { reason: e.to_string() },
                };
                self.out.push(Out::Note(format!("admission of {peer}: {answer:?}")));
                self.members_due = true;
                self.handle(Event::AnswerAdmission { peer, answer }, now, time_us);
            }
            Action::Witnessed { peer, envelope } => {
                if self.engine.is_lost_block(envelope).unwrap_or_default() {
                    self.out.push(Out::Note(format!("{peer} holds what we have lost")));
                    self.witnesses.insert(peer);
                    let answer = AdmissionAnswer::Admitted { genesis: self.engine.realm().0 };
                    self.members_due = true;
                    self.handle(Event::AnswerAdmission { peer, answer }, now, time_us);
                }
            }
            Action::AdmissionAnswered { answer: AdmissionAnswer::Admitted { .. }, .. } => {
                self.admitted |= self.engine.role().is_none();
                self.look_at_members();
            }
            Action::AdmissionAnswered { peer, answer: AdmissionAnswer::Stranger } => {
                let was_admitted = self.admitted && self.engine.role().is_none();
                if was_admitted || (self.engine.role().is_some() && self.engine.is_member(&peer)) {
                    self.out.push(Out::Note(format!("a stranger to {peer}")));
                    self.strange_to.entry(peer).or_insert(time_us);
                }
            }
            Action::AdmissionAnswered {
                answer: AdmissionAnswer::Refused { .. } | AdmissionAnswer::OtherRealm,
                ..
            } => {}
            Action::Ban { peer, reason, .. } => self.out.push(Out::Ban(peer, reason)),
            Action::Incompatible { reason, .. } => self.out.push(Out::Wrong("correct peers", reason)),
            Action::Fault { reason } => self.out.push(Out::Note(format!("sync cannot read: {reason}"))),
            Action::Fetched { blocks, complete, .. } => {
                self.out.push(Out::Note(format!("fetched {blocks} blocks, complete: {complete}")));
            }
            Action::Greeted { peer, .. } => {
                self.strange_to.remove(&peer);
            }
            Action::NotServed { reason, .. } => {
                self.out.push(Out::Note(format!("a peer cannot serve: {reason}")))
            }
            Action::GossipVerdict { .. } | Action::ClockOffset { .. } => {}
        }
    }

    fn pump(&mut self, now: Now, time_us: u64, looks: bool, reports: &mut Vec<Report>) -> bool {
        let mut more = false;
        if !looks {
            self.witness.forget();
        }
        for _ in 0..self.random.between(1, WRITER_STEPS_MAX) {
            let looks = looks && self.clients.iter().any(Client::is_waiting);
            let alone = self.clients.iter().filter(|c| c.waits_without_transaction()).count() < 2;
            if looks {
                self.witness.before(&self.engine);
            }
            let stepped = self.engine.step_writer();
            if looks {
                self.witness.after(&self.engine, alone);
            }
            match stepped {
                Step::Did => more = true,
                Step::Idle(_) | Step::Stopped => {
                    more = false;
                    break;
                }
            }
        }
        if !self.engine.holds_what_it_shows() {
            self.out
                .push(Out::Wrong("durable", "readers are shown a block that is not in the store".to_owned()));
        }
        // Whether the sync comes before the next group is a matter of luck.
        self.unsynced += 1;
        if self.random.percent(60) || self.unsynced > UNSYNCED_TURNS_MAX {
            self.engine.step_syncer();
            self.unsynced = 0;
        } else {
            more = true;
        }
        let made = std::mem::take(&mut *self.made.lock());
        if !made.is_empty() {
            for block in &made {
                self.out.push(Out::Note(format!("made {}", block.cid())));
            }
            self.last_made = made.last().cloned();
            let blocks = made.iter().map(|b| (b.cid(), wire(b))).collect();
            self.handle(Event::Sealed { blocks }, now, time_us);
        }
        self.deliveries(now, time_us);
        for i in 0..self.clients.len() {
            if self.random.percent(60) {
                let client = &mut self.clients[i];
                client.advance(&self.engine, looks.then_some(&self.witness), reports);
            }
            more |= self.clients[i].is_busy();
        }
        more || !self.ingests.is_empty() || !self.made.lock().is_empty()
    }

    fn deliveries(&mut self, now: Now, time_us: u64) {
        let mut left = VecDeque::new();
        for (token, peer, ingest) in std::mem::take(&mut self.ingests) {
            let Some(arrived) = ingest.take() else {
                left.push_back((token, peer, ingest));
                continue;
            };
            let applied = !arrived.applied.is_empty();
            for cid in &arrived.applied {
                self.out.push(Out::Note(format!("applied {cid}")));
            }
            let outcome = self.outcome(arrived);
            self.handle(Event::Consumed { token, outcome }, now, time_us);
            if applied {
                self.members_due = true;
                self.handle(Event::Applied, now, time_us);
            }
        }
        left.append(&mut self.ingests);
        self.ingests = left;
    }

    fn outcome(&mut self, arrived: Arrived) -> Outcome {
        if let Some(fault) = arrived.fault {
            self.out.push(Out::Note(format!("blocks could not be stored: {fault}")));
            return Outcome::Fault(fault);
        }
        if let Some((cid, reason)) = arrived.refused.first() {
            self.out.push(Out::Refused(*cid, reason.clone()));
            return Outcome::Refused { rules: arrived.refused_rules.unwrap_or(0), reason: reason.clone() };
        }
        Outcome::Done { waiting: arrived.missing }
    }
}

/// Invites the bearer of this ticket as a writer, or as an owner.
///
/// # Errors
/// When the founder cannot write.
pub fn invite(founder: &Engine, ticket: PublicKey, owner: bool) -> Result<(), EngineError> {
    founder.invite(Invitation::of(ticket, if owner { Role::Owner } else { Role::Writer }))
}

/// Keeps no passwords and no keys: sessions here ask for none.
struct NoLogins;

impl Logins for NoLogins {
    fn put(&self, _: &AccountName, _: AccountId, _: &str, _: &[u8; 32]) -> Result<(), String> {
        Ok(())
    }
    fn change(&self, _: &AccountName, _: AccountId, _: &str, _: &str) -> Result<bool, String> {
        Ok(true)
    }
    fn rename(&self, _: &AccountName, _: &AccountName) -> Result<(), String> {
        Ok(())
    }
    fn remove(&self, _: &AccountName) -> Result<(), String> {
        Ok(())
    }
}
