//! The glue between the network, sync and the engine.
//!
//! [`crate::net::link`] drives the sync machine on a thread of its own. Here is what it needs the engine for: blocks that
//! arrived go through a second thread, which checks signatures and queues them at the writer, and what became of them
//! goes back; a task of the runtime looks after members, admission, clocks and fingerprints. How much may be on its way
//! is bounded by sync's credits and the network's budgets.
//!
//! Blocks made here are announced from the engine's commit hook, right after the commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use p2pdb_engine::{Admission, Arrived, Engine, Start};
use p2pdb_model::ids::NodeId;
use p2pdb_model::{Change, Cid, RULES};
use p2pdb_sync::{
    Action, AdmissionAnswer, AdmissionRequest, Config as SyncConfig, Event, Outcome, Received, Token,
    WireBlock,
};
use parking_lot::RwLock;
use tokio::sync::{Notify, mpsc, watch};
use tracing::{debug, error, info, warn};

use crate::clock::SystemClock;
use crate::net::link::{self, Link, Notice};
use crate::net::{self, Access, Multiaddr, NetEvents, NetHandle};
use crate::recount::Recount;
use crate::sharing::Sharing;
use crate::unserved::Unserved;

/// How often the engine looks whether blocks that waited for their time are due, and our clock is compared with peers'.
const ENGINE_TICK: Duration = Duration::from_millis(500);
/// Least number of peers whose clocks outvote ours.
const CLOCK_VOTES_MIN: usize = 2;
/// How long writes wait after an unclean stop for a member that knows this node's own chain: enough for dials over a slow
/// network, and for one that has only just been started.
const OWN_TIPS_WAIT: Duration = Duration::from_secs(10);
/// The same when the log knows of no other member that is left to ask; one that was removed may still tell.
const OWN_TIPS_WAIT_ALONE: Duration = Duration::from_secs(2);
/// How long a connected member that was removed is left to hear of it.
const REMOVAL_GRACE: Duration = Duration::from_millis(300);
/// Milliseconds before an unanswered Hello is sent again: longer than its way round the earth. It goes down with one of two connections
/// that were made at once, and nothing is said on the other before it was answered.
const HELLO_AGAIN_MS: u64 = 400;
/// Between two requests for admission.
const ADMISSION_RETRY: Duration = Duration::from_secs(2);
/// So long after a member hears that it is a stranger to a peer, it shows its ticket again: mostly the peer hears of its admission
/// sooner.
const STRANGER_PATIENCE: Duration = Duration::from_secs(3);

/// Counters and state for `status` and metrics.
#[derive(Debug, Default)]
pub struct Shared {
    /// Blocks received, whether new or not.
    pub blocks_in: AtomicU64,
    /// Peers banned since the start.
    pub bans: AtomicU64,
    /// Somebody has admitted this node, in answer to its ticket.
    admitted: AtomicBool,
    /// Nodes that were members and are none any more.
    removed: RwLock<HashSet<NodeId>>,
    listening: RwLock<Vec<Multiaddr>>,
    /// Strangers that hold what this node has lost of its own, and when they showed it.
    witnesses: RwLock<HashMap<NodeId, Instant>>,
    /// Addresses of members, for the next start.
    remembered: RwLock<HashMap<NodeId, Vec<Multiaddr>>>,
    /// Told when those change.
    remembers: Notify,
    /// Peers that cannot give what they hold.
    pub unserved: Unserved,
}

impl Shared {
    /// Takes a witness for a member from here on; false when there are too many.
    fn trust(&self, node: NodeId) -> bool {
        let mut all = self.witnesses.write();
        let room = all.len() < WITNESSES_MAX;
        if room {
            all.insert(node, Instant::now());
        }
        room
    }

    /// Forgets witnesses whose time is over; true when there were some.
    fn distrusts_again(&self) -> bool {
        let mut all = self.witnesses.write();
        let before = all.len();
        all.retain(|_, since| since.elapsed() < WITNESS_TRUST);
        all.len() < before
    }

    fn trusts(&self, node: &NodeId) -> bool {
        self.witnesses.read().get(node).is_some_and(|since| since.elapsed() < WITNESS_TRUST)
    }

    /// Addresses that peers can dial.
    pub fn listening(&self) -> Vec<Multiaddr> {
        self.listening.read().clone()
    }

    /// Takes over what an earlier run has remembered; what members say in this one replaces it.
    pub fn remember(&self, addresses: &[Multiaddr]) {
        let mut all = self.remembered.write();
        for address in addresses {
            let mut bare = address.clone();
            if let Some(Protocol::P2p(peer)) = bare.pop()
                && let Some(node) = net::node_of(&peer)
            {
                all.entry(node).or_default().push(bare);
            }
        }
    }

    /// Addresses of members met in this run or remembered from earlier ones, with their `/p2p/ID`, in order.
    pub fn remembered(&self) -> Vec<String> {
        let all = self.remembered.read();
        let removed = self.removed.read();
        let with_peer = |node: &NodeId, a: &Multiaddr| {
            let peer = net::peer_of(node)?;
            a.clone().with_p2p(peer).ok().map(|a| a.to_string())
        };
        let kept = all.iter().filter(|(n, _)| !removed.contains(*n));
        let mut out: Vec<String> =
            kept.flat_map(|(n, list)| list.iter().filter_map(move |a| with_peer(n, a))).collect();
        out.sort_unstable();
        out
    }

    /// Waits until what is remembered has changed since this was asked last.
    pub async fn remembers(&self) {
        self.remembers.notified().await;
    }
}

/// How long one that holds what this node has lost is taken for a member: the log that it gives says whether it is one.
const WITNESS_TRUST: Duration = Duration::from_secs(600);

/// At most so many at once: who has one lost block can show it under any number of names.
const WITNESSES_MAX: usize = 64;

/// What a joining node shows.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The request, signed with the ticket's key.
    pub request: AdmissionRequest,
}

/// How a join stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
    /// There is no ticket: nobody is asked.
    NoTicket,
    /// Nobody has answered yet.
    Asking,
    /// Admitted; catching up.
    Admitted,
    /// Refused, with the reason; asking goes on, another member may know better.
    Refused(String),
}

/// What the glue needs.
pub struct Parts {
    /// The engine; its writer runs.
    pub engine: Engine,
    /// The network.
    pub net: NetHandle,
    /// Its events.
    pub events: NetEvents,
    /// What it shows where it is not known as a member.
    pub bearer: Option<Bearer>,
    /// Beyond this difference to most peers' clocks writes are refused.
    pub clock_skew_max: Duration,
    /// Where state for `status` goes.
    pub shared: Arc<Shared>,
    /// Where the join's progress goes.
    pub join: watch::Sender<Join>,
}

/// Who may do what on the network, from the engine's view of the members.
pub fn gate(engine: Engine, shared: Arc<Shared>) -> Arc<dyn net::Gate> {
    Arc::new(move |node: &NodeId| {
        if engine.is_member(node) {
            Access::Member
        } else if shared.removed.read().contains(node) {
            // It may ask, and is told; it is never taken for a member by what it shows.
            Access::Stranger
        } else if shared.trusts(node) {
            Access::Member
        } else if shared.admitted.load(Ordering::Acquire) && !engine.is_member(&engine.node()) {
            // Admitted, but the log that says so is still on its way: we listen to whom we reach. What they send is
            // checked against the realm's name.
            Access::Member
        } else {
            Access::Stranger
        }
    })
}

/// The running glue.
pub struct Replication {
    link: Link,
    /// That of sync, and that which takes in blocks.
    threads: [std::thread::JoinHandle<()>; 2],
    notices: mpsc::UnboundedSender<Input>,
    task: tokio::task::JoinHandle<()>,
}

impl Replication {
    /// Starts threads and task. Call on the runtime that the network runs on.
    ///
    /// # Errors
    /// When a thread cannot be made, or the log not be read.
    pub fn start(parts: Parts) -> anyhow::Result<Self> {
        let Parts { engine, net, events, bearer, clock_skew_max, shared, join } = parts;
        let config = SyncConfig::new(engine.node(), engine.realm(), RULES, rand::random());
        let config = SyncConfig { hello_ms: HELLO_AGAIN_MS, ..config };
        let (notices, receiver) = mpsc::unbounded_channel();
        let (batches, batched) = std::sync::mpsc::channel();
        let (tell, counted) = (notices.clone(), shared.clone());
        let (link, sync) = link::start(config, net.clone(), events, engine.log_view()?, move |notice| {
            match notice {
                Notice::Sync(Action::Deliver(d)) => {
                    counted.blocks_in.fetch_add(d.blocks.len() as u64, Ordering::Relaxed);
                    if batches.send((d.token, d.peer, d.blocks)).is_err() {
                        error!("the thread that takes in blocks has ended; restart the node");
                    }
                }
                notice => {
                    // After the stop nobody listens, and nobody needs to.
                    let _ = tell.send(Input::Notice(Box::new(notice)));
                }
            }
        })?;
        let (to_sync, tell) = (link.clone(), notices.clone());
        engine.on_commit(Box::new(move |announced| {
            to_sync.event(Event::Sealed { blocks: announced.made.iter().map(wire).collect() });
            if announced.made.iter().any(|b| changes_access(b)) {
                let _ = tell.send(Input::Members);
            }
        }));
        let ingest = Ingest { engine: engine.clone(), link: link.clone(), tell: notices.clone() };
        let ingest =
            std::thread::Builder::new().name("p2pdb-ingest".into()).spawn(move || ingest.run(&batched))?;
        let glue = Glue {
            engine,
            net,
            link: link.clone(),
            shared,
            bearer,
            join,
            clock_skew_max,
            clock_refusal: None,
            told_ahead: false,
            clocks: HashMap::new(),
            started: Instant::now(),
            members: Vec::new(),
            members_seen: Instant::now(),
            members_due: true,
            recheck_at: None,
            asked: HashMap::new(),
            unanswered: HashSet::new(),
            strange_to: HashMap::new(),
            elsewhere: HashSet::new(),
            start: "",
            asking_tips: None,
            fault: String::new(),
            recount: Recount::default(),
            sharing: Sharing::default(),
        };
        let task = tokio::spawn(glue.run(receiver));
        Ok(Self { link, threads: [sync, ingest], notices, task })
    }

    /// The way to sync, for what it knows of its peers.
    pub fn link(&self) -> Link {
        self.link.clone()
    }

    /// Ends all of it; what the engine holds already is still committed by its writer.
    pub async fn stop(self) {
        self.link.stop();
        let _ = self.notices.send(Input::Stop);
        // The second ends when nothing more comes from the first. Who still had the store open at the end of the process would
        // leave its log behind.
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || threads.map(|t| t.join().is_ok())).await;
        let task = self.task.await;
        if !matches!(joined, Ok([true, true])) || task.is_err() {
            error!("a thread that replicates, or its task, has panicked; please report this with the log");
        }
    }
}

enum Input {
    Notice(Box<Notice>),
    /// Blocks were applied.
    Applied,
    /// A block made here changes members.
    Members,
    Stop,
}

type Batch = (Token, NodeId, Vec<Received>);

/// Checks and queues deliveries, in order.
struct Ingest {
    engine: Engine,
    link: Link,
    tell: mpsc::UnboundedSender<Input>,
}

impl Ingest {
    fn run(&self, batches: &std::sync::mpsc::Receiver<Batch>) {
        while let Ok((token, peer, blocks)) = batches.recv() {
            let ingest = Arc::new(self.engine.ingest(blocks));
            let (link, tell, result) = (self.link.clone(), self.tell.clone(), ingest.clone());
            ingest.wait().notify(Box::new(move || {
                let Some(arrived) = result.take() else { return };
                let applied = !arrived.applied.is_empty();
                link.event(Event::Consumed { token, outcome: outcome_of(peer, arrived) });
                if applied {
                    link.event(Event::Applied);
                    let _ = tell.send(Input::Applied);
                }
            }));
        }
    }
}

fn outcome_of(peer: NodeId, arrived: Arrived) -> Outcome {
    if let Some(fault) = arrived.fault {
        error!(%peer, "blocks could not be stored: {fault}");
        return Outcome::Fault(fault);
    }
    if let Some((cid, reason)) = arrived.refused.first() {
        let cid = cid.map(|c| c.to_string()).unwrap_or_default();
        warn!(%peer, block = cid, refused = arrived.refused.len(), "a peer sent a block that every node refuses: {reason}");
        return Outcome::Refused { rules: arrived.refused_rules.unwrap_or(0), reason: reason.clone() };
    }
    Outcome::Done { waiting: arrived.missing }
}

fn changes_access(block: &p2pdb_block::FullBlock) -> bool {
    let mut changes = block.body().transactions().iter().flat_map(|t| t.changes());
    changes.any(|c| matches!(c, Change::Access(_)))
}

fn wire(block: &Arc<p2pdb_block::FullBlock>) -> (Cid, Arc<WireBlock>) {
    let bodies = block.parts().iter().map(|p| p.bytes.clone()).collect();
    (block.cid(), Arc::new(WireBlock::new(block.bytes().to_vec(), bodies)))
}

struct Glue {
    engine: Engine,
    net: NetHandle,
    link: Link,
    shared: Arc<Shared>,
    bearer: Option<Bearer>,
    join: watch::Sender<Join>,
    clock_skew_max: Duration,
    clock_refusal: Option<String>,
    /// It was said that the log is ahead of the clock.
    told_ahead: bool,
    /// By how much each peer's clock is ahead of the time since our start, which nobody can set, in milliseconds.
    clocks: HashMap<NodeId, i64>,
    started: Instant,
    /// The members as last looked at, and when; whether blocks came since.
    members: Vec<(NodeId, bool)>,
    members_seen: Instant,
    members_due: bool,
    /// When connections of members that were removed are cut.
    recheck_at: Option<Instant>,
    asked: HashMap<NodeId, Instant>,
    /// Connected peers that have not answered a request for admission.
    unanswered: HashSet<NodeId>,
    /// Peers that do not know that this node is a member, and since when it waits. They close the connection now and then, since it asks
    /// for what only members get.
    strange_to: HashMap<NodeId, Instant>,
    /// Peers of other realms that were asked for admission.
    elsewhere: HashSet<NodeId>,
    /// Why peers are asked for blocks of our own, and since when.
    start: &'static str,
    asking_tips: Option<Instant>,
    /// What sync could not read or write last.
    fault: String,
    recount: Recount,
    sharing: Sharing,
}

impl Glue {
    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        let mut engine_tick = tokio::time::interval(ENGINE_TICK);
        self.look_at_members().await;
        let why = match self.engine.start() {
            Start::Clean => None,
            Start::Hard => Some("was not stopped cleanly"),
            Start::Restored => Some("was restored from a backup"),
            Start::Moved => Some("was copied or moved here"),
        };
        if let Some(why) = why.filter(|_| self.members.len() > 1) {
            info!(
                members = self.others(),
                wait_s = self.own_tips_wait().as_secs(),
                "this node {why}: asking peers for blocks of its own before writing"
            );
            self.start = why;
            self.asking_tips = Some(Instant::now());
            self.refuse_or_take_writes();
            self.link.event(Event::AskTips { author: self.engine.node() });
        }
        loop {
            tokio::select! {
                input = inputs.recv() => match input {
                    None | Some(Input::Stop) => return,
                    Some(Input::Members) => {
                        self.look_at_members().await;
                        self.share_keys();
                    }
                    Some(Input::Applied) => {
                        match self.members_seen.elapsed() >= ENGINE_TICK {
                            true => self.look_at_members().await,
                            false => self.members_due = true,
                        }
                        self.share_keys();
                    }
                    Some(Input::Notice(notice)) => self.on_notice(*notice).await,
                },
                _ = engine_tick.tick() => self.on_tick().await,
            }
        }
    }

    async fn on_tick(&mut self) {
        self.engine.tick();
        self.check_clock();
        let ahead = self.engine.ahead_of_clock();
        match (&ahead, self.told_ahead) {
            (Some(why), false) => error!("refusing writes: {why}"),
            (None, true) => info!("the clock has reached what the log is stamped with; taking writes"),
            _ => {}
        }
        self.told_ahead = ahead.is_some();
        // An answer may have been lost with the connection that carried it.
        if self.bearer.is_some() {
            for node in self.unanswered.clone() {
                self.ask_admission(node);
            }
        }
        let waited = |since: &Instant| since.elapsed() >= STRANGER_PATIENCE;
        let strange: Vec<NodeId> =
            self.strange_to.iter().filter(|(_, since)| waited(since)).map(|(peer, _)| *peer).collect();
        for peer in strange {
            self.strange_to.insert(peer, Instant::now());
            self.show_ticket(peer);
            self.show_witness(peer);
        }
        if self.members_due {
            self.look_at_members().await;
        }
        if self.shared.distrusts_again() {
            let _ = self.net.recheck().await;
        }
        if self.asking_tips.is_none() {
            self.recount.look(&self.engine);
        }
        self.share_keys();
        if self.recheck_at.is_some_and(|at| at <= Instant::now()) {
            self.recheck_at = None;
            let _ = self.net.recheck().await;
        }
        let wait = self.own_tips_wait();
        if self.asking_tips.is_some_and(|since| since.elapsed() >= wait) {
            warn!(
                waited_s = wait.as_secs(),
                "no peer has answered what it holds of this node; taking writes (if this is an older copy of the node's directory, stop it and start it again with the others in reach)"
            );
            self.stop_asking_tips();
        }
    }

    fn share_keys(&self) {
        if self.asking_tips.is_none() {
            self.sharing.look(&self.engine, &self.link);
        }
    }

    /// Members beside this node.
    fn others(&self) -> usize {
        let own = self.engine.node();
        self.members.iter().filter(|(node, removed)| *node != own && !removed).count()
    }

    fn own_tips_wait(&self) -> Duration {
        if self.others() > 0 { OWN_TIPS_WAIT } else { OWN_TIPS_WAIT_ALONE }
    }

    async fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Connected(node, access) => {
                info!(peer = %node, ?access, "connected");
                self.engine.set_connected(node, true);
                self.unanswered.insert(node);
                self.ask_admission(node);
            }
            Notice::Disconnected(node) => {
                info!(peer = %node, "disconnected");
                self.engine.set_connected(node, false);
                if self.engine.role().is_none() {
                    self.strange_to.remove(&node);
                }
                self.clocks.remove(&node);
                self.unanswered.remove(&node);
                self.shared.unserved.forget(&node);
            }
            Notice::Listening(address) => {
                let mut listening = self.shared.listening.write();
                if !listening.contains(&address) {
                    info!(%address, "listening for peers");
                    listening.push(address);
                }
            }
            Notice::Addresses(node, addresses) => {
                let before = self.shared.remembered.write().insert(node, addresses.clone());
                if before.as_ref() != Some(&addresses) {
                    self.shared.remembers.notify_one();
                }
            }
            Notice::Sync(action) => self.on_action(action).await,
        }
    }

    async fn on_action(&mut self, action: Action) {
        match action {
            Action::Greeted { peer, rules } => {
                self.strange_to.remove(&peer);
                if rules > RULES {
                    warn!(%peer, rules, "a peer knows newer rules than this program: update p2pdb-node before they are switched on");
                }
            }
            Action::ClockOffset { peer, offset_ms } => {
                self.clocks.insert(peer, offset_ms.saturating_add(self.own_clock()));
            }
            Action::CompareFingerprint { peer, state } => {
                // The engine raises the alarm and logs it.
                self.engine.compare(&peer.to_string(), &state);
            }
            Action::TipsOf { peer, author, tips } => {
                debug!(%peer, tips = tips.len(), "a peer told us what it holds of us");
                if author == self.engine.node() && self.asking_tips.is_some() {
                    // It waits for the writer.
                    match tokio::task::block_in_place(|| self.engine.peer_knows_own_tips(&tips)) {
                        Ok(_) => {
                            info!(%peer, "a peer has told what it holds of this node; taking writes");
                            self.stop_asking_tips();
                        }
                        Err(e) => {
                            warn!(%peer, "cannot compare our chain with what a peer holds of it yet: {e}")
                        }
                    }
                }
            }
            Action::AdmissionRequested { peer, request } => self.admit(peer, request),
            Action::Witnessed { peer, envelope } => self.on_witness(peer, envelope).await,
            Action::AdmissionAnswered { peer, answer } => self.on_admission(peer, answer).await,
            Action::NotServed { peer, reason } => {
                if self.shared.unserved.note(peer, &reason) {
                    warn!(%peer, "a peer cannot give all that it holds, it says of itself: {reason}");
                }
            }
            Action::Fetched { peer, blocks, bytes, complete } => {
                if complete {
                    self.shared.unserved.forget(&peer);
                }
                if blocks > 0 {
                    info!(%peer, blocks, bytes, complete, "caught up from a peer");
                }
            }
            Action::Ban { .. } => {
                self.shared.bans.fetch_add(1, Ordering::Relaxed);
            }
            // It comes again with every try of a peer.
            Action::Fault { reason } if reason == self.fault => debug!("{reason}"),
            Action::Fault { reason } => {
                error!("{reason}");
                self.fault = reason;
            }
            // Carried out by the link already.
            Action::Incompatible { .. }
            | Action::Send { .. }
            | Action::Publish { .. }
            | Action::GossipVerdict { .. }
            | Action::Deliver(_) => {}
        }
    }

    // ---- members and admission

    /// Blocks may have changed who is a member.
    async fn look_at_members(&mut self) {
        self.members_due = false;
        self.members_seen = Instant::now();
        let members: Vec<(NodeId, bool)> =
            self.engine.members().iter().map(|m| (m.node, m.removed)).collect();
        if members != self.members {
            *self.shared.removed.write() = members.iter().filter(|m| m.1).map(|m| m.0).collect();
            let was = |node: &NodeId| self.members.iter().any(|m| m.0 == *node && !m.1);
            let gone: Vec<NodeId> = members.iter().filter(|m| m.1 && was(&m.0)).map(|m| m.0).collect();
            gone.iter().for_each(|node| self.engine.forget_compared(&node.to_string()));
            let removes = !gone.is_empty();
            self.members = members;
            if removes {
                // The block that says so is on its way to the removed one; new connections are refused already.
                self.recheck_at = Some(Instant::now() + REMOVAL_GRACE);
            } else {
                let _ = self.net.recheck().await;
            }
        }
    }

    /// The engine's answer waits for a commit, so it is not waited for here.
    fn admit(&self, peer: NodeId, request: AdmissionRequest) {
        info!(%peer, name = request.name, "a node asks for admission");
        let engine = self.engine.clone();
        let link = self.link.clone();
        tokio::task::spawn_blocking(move || {
            let admission = Admission {
                node: peer,
                ticket: request.ticket,
                signature: request.signature.into_vec(),
                name: request.name,
            };
            let answer = match engine.admit(admission) {
                Ok(()) => AdmissionAnswer::Admitted { genesis: engine.realm().0 },
                Err(e) => {
                    warn!(%peer, "not admitted: {e}");
                    AdmissionAnswer::Refused { reason: e.to_string() }
                }
            };
            link.event(Event::AnswerAdmission { peer, answer });
        });
    }

    fn ask_admission(&mut self, peer: NodeId) {
        if self.shared.admitted.load(Ordering::Acquire) || self.engine.role().is_some() {
            return;
        }
        self.show_ticket(peer);
    }

    fn show_ticket(&mut self, peer: NodeId) {
        let Some(bearer) = &self.bearer else {
            return;
        };
        let recently = self.asked.get(&peer).is_some_and(|t| t.elapsed() < ADMISSION_RETRY);
        if !recently {
            self.asked.insert(peer, Instant::now());
            let request = bearer.request.clone();
            self.link.event(Event::RequestAdmission { peer, request });
        }
    }

    /// Shows a member that does not know this node a block of its own, in case it has lost it.
    fn show_witness(&self, peer: NodeId) {
        if self.engine.role().is_none() || !self.engine.is_member(&peer) {
            return;
        }
        match self.engine.witness_for(peer) {
            Ok(Some(envelope)) => self.link.event(Event::ShowWitness { peer, envelope }),
            Ok(None) => {}
            Err(e) => warn!(%peer, "cannot read a block of a peer's: {e}"),
        }
    }

    async fn on_witness(&mut self, peer: NodeId, envelope: Vec<u8>) {
        match self.engine.is_lost_block(envelope) {
            Ok(true) if self.shared.trust(peer) => {
                warn!(
                    %peer,
                    "a stranger holds blocks of this node that this node has lost: it is taken for a member until its log says what it is"
                );
                let answer = AdmissionAnswer::Admitted { genesis: self.engine.realm().0 };
                self.link.event(Event::AnswerAdmission { peer, answer });
                let _ = self.net.recheck().await;
            }
            Ok(_) => {
                debug!(%peer, "a stranger shows nothing that this node has lost, or there are too many of them")
            }
            Err(e) => warn!(%peer, "cannot tell whether a stranger holds what this node has lost: {e}"),
        }
    }

    async fn on_admission(&mut self, peer: NodeId, answer: AdmissionAnswer) {
        if answer != AdmissionAnswer::Stranger {
            self.unanswered.remove(&peer);
            self.strange_to.remove(&peer);
        }
        match answer {
            AdmissionAnswer::Admitted { genesis }
                if genesis == self.engine.realm().0 && self.engine.role().is_some() =>
            {
                info!(%peer, "the peer takes this node for a member again");
                let _ = self.net.recheck().await;
            }
            AdmissionAnswer::Admitted { genesis } if genesis == self.engine.realm().0 => {
                info!(%peer, "admitted to the realm; catching up");
                self.shared.admitted.store(true, Ordering::Release);
                self.join.send_replace(Join::Admitted);
                let _ = self.net.recheck().await;
            }
            // Of the ticket's nodes another one may be of its realm.
            AdmissionAnswer::Admitted { .. } | AdmissionAnswer::OtherRealm => {
                if self.asked.contains_key(&peer) && self.elsewhere.insert(peer) {
                    warn!(%peer, "the ticket's realm is not that of this peer; others are asked, and it is asked again");
                }
            }
            AdmissionAnswer::Refused { reason } if self.asked.contains_key(&peer) => {
                warn!(%peer, "not admitted: {reason}");
                self.join.send_replace(Join::Refused(reason));
            }
            // Nobody asked it.
            AdmissionAnswer::Refused { .. } => {}
            // Somebody has admitted this node of whom the peer hears nothing: a member that was removed meanwhile, or was restored.
            AdmissionAnswer::Stranger if self.engine.role().is_none() => {
                if self.shared.admitted.load(Ordering::Acquire) {
                    self.strange_to.entry(peer).or_insert_with(Instant::now);
                }
            }
            // What strangers say is remembered of nobody.
            AdmissionAnswer::Stranger if !self.engine.is_member(&peer) => {}
            AdmissionAnswer::Stranger => {
                // It says so again and again, until it is asked for admission.
                self.strange_to.entry(peer).or_insert_with(|| {
                    warn!(
                        %peer,
                        "the peer does not know that this node is a member: it has not heard of it yet, or whoever admitted this node was restored from an older backup"
                    );
                    Instant::now()
                });
            }
        }
    }

    // ---- clocks

    fn stop_asking_tips(&mut self) {
        if self.asking_tips.take().is_some() {
            self.link.event(Event::StopAskingTips);
            self.refuse_or_take_writes();
        }
    }

    fn refuse_or_take_writes(&self) {
        let asking = self.asking_tips.map(|_| {
            format!(
                "this node {} and is asking its peers what they hold of it; try again in a moment",
                self.start
            )
        });
        self.engine.set_refuses_writes(self.clock_refusal.clone().or(asking));
    }

    /// By how much our own clock is ahead of the time since our start, in milliseconds. It changes when somebody sets the
    /// clock, so that is noticed at once and not only when the peers tell theirs again.
    fn own_clock(&self) -> i64 {
        SystemClock.wall_ms() as i64 - self.started.elapsed().as_millis() as i64
    }

    /// Refuses writes while our clock disagrees with most peers'.
    fn check_clock(&mut self) {
        let limit = self.clock_skew_max.as_millis() as i64;
        let own = self.own_clock();
        let offsets: Vec<i64> = self.clocks.values().map(|c| own.saturating_sub(*c)).collect();
        let skewed = clock_is_off(&offsets, limit);
        if skewed.is_some() == self.clock_refusal.is_some() {
            return;
        }
        match skewed {
            Some(offset_ms) => {
                let reason = format!(
                    "this machine's clock is {} s {} most peers' clocks: set it right (chronyd, ntpd or timedatectl), writes are taken again by themselves then",
                    offset_ms.abs() as f64 / 1000.0,
                    if offset_ms > 0 { "ahead of" } else { "behind" }
                );
                error!("refusing writes: {reason}");
                self.clock_refusal = Some(reason);
            }
            None => {
                info!("the clock agrees with the peers' again; taking writes");
                self.clock_refusal = None;
            }
        }
        self.refuse_or_take_writes();
    }
}

/// The median offset, when more than half of at least [`CLOCK_VOTES_MIN`] clocks are further off than the limit.
fn clock_is_off(offsets: &[i64], limit_ms: i64) -> Option<i64> {
    let beyond = offsets.iter().filter(|o| o.abs() > limit_ms).count();
    if offsets.len() < CLOCK_VOTES_MIN || beyond * 2 <= offsets.len() {
        return None;
    }
    let mut sorted = offsets.to_vec();
    sorted.sort_unstable();
    Some(sorted[sorted.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_off_when_most_peers_say_so() {
        for (offsets, off) in [
            (&[][..], None),
            (&[90_000], None),
            (&[90_000, 91_000], Some(91_000)),
            (&[90_000, 10], None),
            (&[-90_000, -90_001, 5], Some(-90_000)),
            (&[60_000, 60_000], None),
        ] {
            assert_eq!(clock_is_off(offsets, 60_000), off, "{offsets:?}");
        }
    }
}
