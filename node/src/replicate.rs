//! The glue between the network, sync and the engine.
//!
//! One thread owns the sync machine. It takes what happened (frames, sessions, commits, deliveries that the engine is
//! done with, time), tells the machine, and carries out what the machine asks for. Blocks for the engine go through a
//! second thread, which checks signatures and queues them at the writer, so that checking does not delay answers.
//! How much may be on its way is bounded by sync's credits and the network's budgets.
//!
//! Blocks made here are announced from the engine's commit hook, right after the commit.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use p2pdb_engine::{Admission, Arrived, Engine};
use p2pdb_model::ids::NodeId;
use p2pdb_model::{Change, Cid, RULES};
use p2pdb_sync::{
    Action, AdmissionAnswer, AdmissionRequest, Config as SyncConfig, Event, NodePeer, Now, Outcome,
    PeerStatus, Received, Sync, Token, WireBlock,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};

use crate::clock::SystemClock;
use crate::net::{self, Access, Multiaddr, NetEvent, NetEvents, NetHandle, SendError, Verdict};

/// How often the engine looks whether blocks that waited for their time are due.
const ENGINE_TICK: Duration = Duration::from_millis(500);
/// How often the clocks of peers are compared with ours.
const CLOCK_CHECK: Duration = Duration::from_secs(5);
/// Least number of peers whose clocks outvote ours.
const CLOCK_VOTES_MIN: usize = 2;
/// Gossip messages whose verdict is awaited.
const GOSSIP_OPEN_MAX: usize = 4096;
/// How long writes wait after an unclean stop for a peer that knows this node's own chain.
const OWN_TIPS_WAIT: Duration = Duration::from_secs(2);
/// Between two requests for admission.
const ADMISSION_RETRY: Duration = Duration::from_secs(2);

/// Counters and state for `status` and metrics.
#[derive(Debug, Default)]
pub struct Shared {
    peers: Mutex<Vec<PeerStatus>>,
    /// Frames sent and received, in bytes.
    pub bytes_out: AtomicU64,
    /// See `bytes_out`.
    pub bytes_in: AtomicU64,
    /// Blocks received, whether new or not.
    pub blocks_in: AtomicU64,
    /// Peers banned since the start.
    pub bans: AtomicU64,
    /// Somebody has admitted this node, in answer to its ticket.
    admitted: AtomicBool,
    /// Nodes that were members and are none any more.
    removed: RwLock<HashSet<NodeId>>,
    listening: RwLock<Vec<Multiaddr>>,
    /// Addresses of members, for the next start.
    remembered: RwLock<HashMap<NodeId, Vec<Multiaddr>>>,
}

impl Shared {
    /// The sessions, as sync sees them.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.lock().clone()
    }

    /// Addresses that peers can dial.
    pub fn listening(&self) -> Vec<Multiaddr> {
        self.listening.read().clone()
    }

    /// Addresses of members met in this run, with their `/p2p/ID`.
    pub fn remembered(&self) -> Vec<String> {
        let all = self.remembered.read();
        let with_peer = |node: &NodeId, a: &Multiaddr| {
            let peer = net::peer_of(node)?;
            a.clone().with_p2p(peer).ok().map(|a| a.to_string())
        };
        all.iter().flat_map(|(n, list)| list.iter().filter_map(move |a| with_peer(n, a))).collect()
    }
}

/// What a joining node shows.
#[derive(Clone, Debug)]
pub struct Bearer {
    /// The request, signed with the ticket's key.
    pub request: AdmissionRequest,
}

/// How a join stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Join {
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
    /// For a node that is not a member yet.
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
            Access::Refused
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
    stop: mpsc::UnboundedSender<Input>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Replication {
    /// Starts the threads. Call on the runtime that the network runs on.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let (inputs, receiver) = mpsc::unbounded_channel();
        let (deliveries, delivered) = std::sync::mpsc::channel();
        let hook = inputs.clone();
        parts.engine.on_commit(Box::new(move |announced| {
            // After the stop nobody listens, and nobody needs to.
            let access = announced.made.iter().any(|b| changes_access(b));
            let _ = hook.send(Input::Made { blocks: announced.made.iter().map(wire).collect(), access });
        }));
        let engine = parts.engine.clone();
        let consumed = inputs.clone();
        std::thread::Builder::new()
            .name("p2pdb-ingest".into())
            .spawn(move || ingest(&engine, &delivered, &consumed))?;
        let runtime = tokio::runtime::Handle::current();
        let stop = inputs.clone();
        let thread = std::thread::Builder::new().name("p2pdb-sync".into()).spawn(move || {
            let glue = Glue::new(parts, inputs, deliveries);
            runtime.block_on(glue.run(receiver));
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the threads; what the engine holds already is still committed by its writer.
    pub fn stop(mut self) {
        let _ = self.stop.send(Input::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the sync thread has panicked; please report this");
        }
    }
}

enum Input {
    Made { blocks: Vec<(Cid, Arc<WireBlock>)>, access: bool },
    Consumed { token: Token, peer: NodeId, arrived: Arrived },
    Admission { peer: NodeId, answer: AdmissionAnswer },
    Stop,
}

type Batch = (Token, NodeId, Vec<Received>);

/// Checks and queues deliveries, in order.
fn ingest(engine: &Engine, batches: &std::sync::mpsc::Receiver<Batch>, done: &mpsc::UnboundedSender<Input>) {
    while let Ok((token, peer, blocks)) = batches.recv() {
        let ingest = Arc::new(engine.ingest(blocks));
        let done = done.clone();
        let result = ingest.clone();
        ingest.wait().notify(Box::new(move || {
            if let Some(arrived) = result.take() {
                let _ = done.send(Input::Consumed { token, peer, arrived });
            }
        }));
    }
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
    events: NetEvents,
    sync: Sync,
    shared: Arc<Shared>,
    bearer: Option<Bearer>,
    join: watch::Sender<Join>,
    inputs: mpsc::UnboundedSender<Input>,
    deliveries: std::sync::mpsc::Sender<Batch>,
    started: Instant,
    clock_skew_max: Duration,
    clock_refusal: Option<String>,
    offsets: HashMap<NodeId, i64>,
    gossip: HashMap<u64, net::GossipId>,
    gossip_next: u64,
    /// The members as last looked at, and when; whether blocks came since.
    members: Vec<(NodeId, bool)>,
    members_seen: Instant,
    members_due: bool,
    asked: HashMap<NodeId, Instant>,
    /// Since when peers are asked for blocks of our own.
    asking_tips: Option<Instant>,
}

impl Glue {
    fn new(
        parts: Parts,
        inputs: mpsc::UnboundedSender<Input>,
        deliveries: std::sync::mpsc::Sender<Batch>,
    ) -> Self {
        let config = SyncConfig {
            local: parts.engine.node(),
            realm: parts.engine.realm(),
            rules: RULES,
            seed: rand::random(),
        };
        Self {
            members: Vec::new(),
            members_seen: Instant::now(),
            members_due: true,
            asking_tips: None,
            engine: parts.engine,
            net: parts.net,
            events: parts.events,
            sync: Sync::new(config),
            shared: parts.shared,
            bearer: parts.bearer,
            join: parts.join,
            inputs,
            deliveries,
            started: Instant::now(),
            clock_skew_max: parts.clock_skew_max,
            clock_refusal: None,
            offsets: HashMap::new(),
            gossip: HashMap::new(),
            gossip_next: 0,
            asked: HashMap::new(),
        }
    }

    fn now(&self) -> Now {
        Now { mono_ms: self.started.elapsed().as_millis() as u64, wall_ms: SystemClock.wall_ms() }
    }

    async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<Input>) {
        let mut engine_tick = tokio::time::interval(ENGINE_TICK);
        let mut clock_check = tokio::time::interval(CLOCK_CHECK);
        self.look_at_members().await;
        if !self.engine.stopped_cleanly() && self.members.len() > 1 {
            info!("the last stop was not a clean one: asking peers for blocks of our own before writing");
            self.asking_tips = Some(Instant::now());
            self.refuse_or_take_writes();
            self.tell(Event::AskTips { author: self.engine.node() }).await;
        }
        loop {
            let due = self.sync.timeout_ms().map(|ms| self.started + Duration::from_millis(ms));
            let far = Instant::now() + Duration::from_secs(3600);
            tokio::select! {
                input = inputs.recv() => match input {
                    None | Some(Input::Stop) => return,
                    Some(input) => self.on_input(input).await,
                },
                event = self.events.recv() => match event {
                    None => return,
                    Some(event) => self.on_net(event).await,
                },
                () = tokio::time::sleep_until(due.unwrap_or(far).into()) => self.tell(Event::Tick).await,
                _ = engine_tick.tick() => self.on_tick().await,
                _ = clock_check.tick() => self.check_clock(),
            }
        }
    }

    async fn on_tick(&mut self) {
        self.engine.tick();
        if self.members_due {
            self.look_at_members().await;
        }
        if self.asking_tips.is_some_and(|since| since.elapsed() >= OWN_TIPS_WAIT) {
            info!("no peer has answered; taking writes");
            self.stop_asking_tips();
        }
    }

    async fn on_input(&mut self, input: Input) {
        match input {
            Input::Made { blocks, access } => {
                self.tell(Event::Sealed { blocks }).await;
                if access {
                    self.look_at_members().await;
                }
            }
            Input::Consumed { token, peer, arrived } => self.on_consumed(token, peer, arrived).await,
            Input::Admission { peer, answer } => self.tell(Event::AnswerAdmission { peer, answer }).await,
            Input::Stop => {}
        }
    }

    async fn on_consumed(&mut self, token: Token, peer: NodeId, arrived: Arrived) {
        let outcome = if let Some(fault) = arrived.fault {
            error!(%peer, "blocks could not be stored: {fault}");
            Outcome::Fault(fault)
        } else if let Some((cid, reason)) = arrived.refused.first() {
            let cid = cid.map(|c| c.to_string()).unwrap_or_default();
            warn!(%peer, block = cid, refused = arrived.refused.len(), "a peer sent a block that every node refuses: {reason}");
            Outcome::Offence(reason.clone())
        } else {
            Outcome::Done { waiting: arrived.missing }
        };
        self.tell(Event::Consumed { token, outcome }).await;
        if !arrived.applied.is_empty() {
            self.tell(Event::Applied).await;
            if self.members_seen.elapsed() >= ENGINE_TICK {
                self.look_at_members().await;
            } else {
                self.members_due = true;
            }
        }
    }

    async fn on_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Connected { node, access } => {
                let standing = if access == Access::Member { NodePeer::Member } else { NodePeer::NotMember };
                info!(peer = %node, ?standing, "connected");
                self.tell(Event::PeerConnected { peer: node, standing }).await;
                self.ask_admission(node).await;
            }
            NetEvent::Disconnected { node } => {
                info!(peer = %node, "disconnected");
                self.offsets.remove(&node);
                self.tell(Event::PeerDisconnected { peer: node }).await;
            }
            NetEvent::Frame { node, lane, frame } => {
                let bytes = frame.bytes().to_vec();
                self.shared.bytes_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let lane = match lane {
                    net::Lane::Control => p2pdb_sync::Lane::Control,
                    net::Lane::Bulk => p2pdb_sync::Lane::Bulk,
                    net::Lane::Join => p2pdb_sync::Lane::Join,
                };
                self.tell(Event::Frame { peer: node, lane, bytes }).await;
                drop(frame);
            }
            NetEvent::Gossip { node, id, frame } => {
                if self.gossip.len() >= GOSSIP_OPEN_MAX {
                    let _ = self.net.gossip_verdict(id, node, Verdict::Ignore).await;
                    return;
                }
                self.gossip_next += 1;
                let number = self.gossip_next;
                self.gossip.insert(number, id);
                let bytes = frame.bytes().to_vec();
                self.shared.bytes_in.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                self.tell(Event::Gossip { peer: node, id: number, bytes }).await;
            }
            NetEvent::Listening { address } => {
                info!(%address, "listening for peers");
                self.shared.listening.write().push(address);
            }
            NetEvent::Addresses { node, addresses } => {
                self.shared.remembered.write().insert(node, addresses);
            }
        }
    }

    /// Tells the machine and does what it asks for.
    async fn tell(&mut self, event: Event) {
        let view = match self.engine.log_view() {
            Ok(view) => view,
            Err(e) => return error!("cannot read the log: {e}"),
        };
        let mut failed = Vec::new();
        let now = self.now();
        self.sync.handle(event, now, &view);
        loop {
            while let Some(action) = self.sync.poll(self.now(), &view) {
                if let Some(peer) = self.act(action).await {
                    failed.push(peer);
                }
            }
            let Some(peer) = failed.pop() else { break };
            let now = self.now();
            self.sync.handle(Event::SendFailed { peer }, now, &view);
        }
        *self.shared.peers.lock() = self.sync.peers(&view);
    }

    /// Carries out one action; names the peer when a frame could not be queued for it.
    async fn act(&mut self, action: Action) -> Option<NodeId> {
        match action {
            Action::Send { peer, lane, bytes } => {
                let lane = match lane {
                    p2pdb_sync::Lane::Control => net::Lane::Control,
                    p2pdb_sync::Lane::Bulk => net::Lane::Bulk,
                    p2pdb_sync::Lane::Join => net::Lane::Join,
                };
                let n = bytes.len() as u64;
                match self.net.try_send(&peer, lane, bytes) {
                    Ok(()) => {
                        self.shared.bytes_out.fetch_add(n, Ordering::Relaxed);
                    }
                    // Its `Disconnected` is on the way.
                    Err(SendError::NotConnected) => {}
                    Err(SendError::Full) => return Some(peer),
                    Err(SendError::TooLarge) => {
                        error!(%peer, "a message was too large to send; please report this")
                    }
                }
            }
            Action::Publish { bytes } => {
                self.shared.bytes_out.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let _ = self.net.publish(bytes).await;
            }
            Action::GossipVerdict { id, peer, forward } => {
                if let Some(id) = self.gossip.remove(&id) {
                    let verdict = match forward {
                        Some(true) => Verdict::Accept,
                        Some(false) => Verdict::Reject,
                        None => Verdict::Ignore,
                    };
                    let _ = self.net.gossip_verdict(id, peer, verdict).await;
                }
            }
            Action::Deliver(delivery) => {
                self.shared.blocks_in.fetch_add(delivery.blocks.len() as u64, Ordering::Relaxed);
                if self.deliveries.send((delivery.token, delivery.peer, delivery.blocks)).is_err() {
                    error!("the ingest thread has ended; restart the node");
                }
            }
            Action::Greeted { peer, rules } => {
                if rules > RULES {
                    warn!(%peer, rules, "a peer knows newer rules than this program: update p2pdb-node before they are switched on");
                }
            }
            Action::ClockOffset { peer, offset_ms } => {
                self.offsets.insert(peer, offset_ms);
            }
            Action::CompareFingerprint { peer, state } => {
                // The engine raises the alarm and logs it.
                self.engine.compare(&peer.to_string(), &state);
            }
            Action::TipsOf { peer, author, tips } => {
                debug!(%peer, tips = tips.len(), "a peer told us what it holds of us");
                if author == self.engine.node() {
                    match self.engine.peer_knows_own_tips(&tips) {
                        Ok(_) => self.stop_asking_tips(),
                        Err(e) => {
                            warn!(%peer, "cannot compare our chain with what a peer holds of it yet: {e}")
                        }
                    }
                }
            }
            Action::AdmissionRequested { peer, request } => self.admit(peer, request),
            Action::AdmissionAnswered { peer, answer } => self.on_admission(peer, answer).await,
            Action::Fetched { peer, blocks, bytes, complete } => {
                if blocks > 0 {
                    info!(%peer, blocks, bytes, complete, "caught up from a peer");
                }
            }
            Action::Incompatible { peer, reason } => warn!(%peer, "nothing to do with this peer: {reason}"),
            Action::Ban { peer, time_ms, reason } => {
                warn!(%peer, seconds = time_ms / 1000, "cutting off a peer: {reason}");
                self.shared.bans.fetch_add(1, Ordering::Relaxed);
                let _ = self.net.ban(peer, Duration::from_millis(time_ms)).await;
            }
            Action::Fault { reason } => error!("{reason}"),
        }
        None
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
            self.members = members;
            let _ = self.net.recheck().await;
        }
    }

    /// The engine's answer waits for a commit, so it is not waited for here.
    fn admit(&self, peer: NodeId, request: AdmissionRequest) {
        info!(%peer, name = request.name, "a node asks for admission");
        let engine = self.engine.clone();
        let inputs = self.inputs.clone();
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
            let _ = inputs.send(Input::Admission { peer, answer });
        });
    }

    async fn ask_admission(&mut self, peer: NodeId) {
        let Some(bearer) = &self.bearer else {
            return;
        };
        if self.shared.admitted.load(Ordering::Acquire) || self.engine.role().is_some() {
            return;
        }
        let recently = self.asked.get(&peer).is_some_and(|t| t.elapsed() < ADMISSION_RETRY);
        if !recently {
            self.asked.insert(peer, Instant::now());
            let request = bearer.request.clone();
            self.tell(Event::RequestAdmission { peer, request }).await;
        }
    }

    async fn on_admission(&mut self, peer: NodeId, answer: AdmissionAnswer) {
        match answer {
            AdmissionAnswer::Admitted { genesis } if genesis == self.engine.realm().0 => {
                info!(%peer, "admitted to the realm; catching up");
                self.shared.admitted.store(true, Ordering::Release);
                self.join.send_replace(Join::Admitted);
                let _ = self.net.recheck().await;
            }
            AdmissionAnswer::Admitted { genesis } => {
                let reason = format!("the peer belongs to another realm ({genesis})");
                self.join.send_replace(Join::Refused(reason));
            }
            AdmissionAnswer::Refused { reason } => {
                warn!(%peer, "not admitted: {reason}");
                self.join.send_replace(Join::Refused(reason));
            }
        }
    }

    // ---- clocks

    fn stop_asking_tips(&mut self) {
        if self.asking_tips.take().is_some() {
            self.refuse_or_take_writes();
        }
    }

    fn refuse_or_take_writes(&self) {
        let asking = self.asking_tips.map(|_| {
            "this node was not stopped cleanly and is asking its peers what they hold of it; try again in a moment".to_owned()
        });
        self.engine.set_refuses_writes(self.clock_refusal.clone().or(asking));
    }

    /// Refuses writes while our clock disagrees with most peers'.
    fn check_clock(&mut self) {
        let limit = self.clock_skew_max.as_millis() as i64;
        let offsets: Vec<i64> = self.offsets.values().copied().collect();
        let skewed = clock_is_off(&offsets, limit);
        if skewed.is_some() == self.clock_refusal.is_some() {
            return;
        }
        match skewed {
            Some(offset_ms) => {
                let reason = format!(
                    "this machine's clock differs by {} s from most peers' clocks: set it right (chronyd, ntpd or timedatectl), writes are taken again by themselves then",
                    offset_ms as f64 / 1000.0
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
