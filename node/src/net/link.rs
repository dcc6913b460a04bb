//! Drives `p2pdb_sync::Sync` with the network: one thread of its own, because sync reads the log.
//!
//! Events of the network and of the engine go through one channel into the thread; what sync wants sent goes to the
//! session's queue without waiting; everything else goes to the consumer as a [`Notice`]. The consumer must not wait
//! in it: it hands deliveries on to the engine, which answers through [`Link::event`].
//!
//! The thread ends when the network has stopped or [`Link::stop`] is called.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use p2pdb_model::ids::NodeId;
use p2pdb_sync::{Action, BlockSource, Config, Event, NodePeer, Now, PeerStatus, Sync};

use super::{Access, Command, GossipId, Lane, Multiaddr, NetEvent, NetEvents, NetHandle, SendError, Verdict};
use crate::clock::SystemClock;

/// Longest sleep of the thread.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// How long a peer of another realm or version is left alone.
const INCOMPATIBLE_BAN: Duration = Duration::from_secs(60);

/// What the consumer hears.
#[derive(Debug)]
pub enum Notice {
    /// Something for the engine or the log; never `Send`, `Publish` or `GossipVerdict`. A `Ban` and an
    /// `Incompatible` have been carried out already.
    Sync(Action),
    /// We listen on this address.
    Listening(Multiaddr),
    /// A member can be dialled there.
    Addresses(NodeId, Vec<Multiaddr>),
    /// A session has begun.
    Connected(NodeId, Access),
    /// A session has ended.
    Disconnected(NodeId),
}

enum Input {
    Net(NetEvent),
    Engine(Event),
    Peers(Sender<Vec<PeerStatus>>),
    Stop,
}

/// The way to the running thread; clone it freely.
#[derive(Clone, Debug)]
pub struct Link {
    inputs: Sender<Input>,
    bytes: Arc<Bytes>,
}

/// Bytes of frames and gossip messages since the start.
#[derive(Debug, Default)]
struct Bytes {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Link {
    /// Bytes received from peers and sent to them since the start: frames and gossip, before the transport's own
    /// framing and encryption.
    pub fn bytes(&self) -> (u64, u64) {
        (self.bytes.received.load(Ordering::Relaxed), self.bytes.sent.load(Ordering::Relaxed))
    }

    /// Hands an event of the engine to sync. Does nothing after the end.
    pub fn event(&self, event: Event) {
        // An error means that the thread has ended: there is nobody to tell.
        let _ = self.inputs.send(Input::Engine(event));
    }

    /// What sync knows of its peers; empty after the end. Waits for the thread.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let (tx, rx) = channel();
        match self.inputs.send(Input::Peers(tx)) {
            Ok(()) => rx.recv().unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Ends the thread.
    pub fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.inputs.send(Input::Stop);
    }
}

/// Starts the thread, on a tokio runtime.
///
/// # Errors
/// When the system gives no thread.
pub fn start<S, F>(
    config: Config,
    net: NetHandle,
    mut events: NetEvents,
    source: S,
    notice: F,
) -> std::io::Result<(Link, JoinHandle<()>)>
where
    S: BlockSource + Send + 'static,
    F: FnMut(Notice) + Send + 'static,
{
    let (inputs, receiver) = channel();
    let forward = inputs.clone();
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if forward.send(Input::Net(event)).is_err() {
                return;
            }
        }
        // An error means that the thread has ended already.
        let _ = forward.send(Input::Stop);
    });
    let bytes = Arc::<Bytes>::default();
    let driver = Driver {
        sync: Sync::new(config),
        net,
        source,
        notice,
        start: Instant::now(),
        gossip: HashMap::new(),
        next_gossip: 0,
        bytes: bytes.clone(),
        slow: HashSet::new(),
    };
    let thread = std::thread::Builder::new().name("sync".to_owned()).spawn(move || driver.run(&receiver))?;
    Ok((Link { inputs, bytes }, thread))
}

struct Driver<S, F> {
    sync: Sync,
    net: NetHandle,
    source: S,
    notice: F,
    start: Instant,
    /// Messages whose verdict sync has not given yet.
    gossip: HashMap<u64, GossipId>,
    next_gossip: u64,
    bytes: Arc<Bytes>,
    /// Connected peers that do not keep up.
    slow: HashSet<NodeId>,
}

impl<S: BlockSource, F: FnMut(Notice)> Driver<S, F> {
    fn run(mut self, inputs: &Receiver<Input>) {
        loop {
            let input = match self.sync.timeout_ms() {
                Some(due) => {
                    let due = self.start + Duration::from_millis(due);
                    let sleep = due.saturating_duration_since(Instant::now()).min(SLEEP_MAX);
                    inputs.recv_timeout(sleep)
                }
                None => inputs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match input {
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Input::Net(event)) => self.on_net(event),
                Ok(Input::Engine(event)) => self.handle(event),
                Ok(Input::Peers(answer)) => {
                    // An error means that the caller no longer waits.
                    let _ = answer.send(self.sync.peers(&self.source));
                }
                Err(RecvTimeoutError::Timeout) => self.handle(Event::Tick),
            }
        }
    }

    fn now(&self) -> Now {
        let ms = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Now { mono_ms: ms(self.start.elapsed()), wall_ms: SystemClock.wall_ms() }
    }

    fn on_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Connected { node, access } => {
                (self.notice)(Notice::Connected(node, access));
                let standing = match access {
                    Access::Member => NodePeer::Member,
                    Access::Stranger | Access::Refused => NodePeer::NotMember,
                };
                self.handle(Event::PeerConnected { peer: node, standing });
            }
            NetEvent::Disconnected { node } => {
                self.slow.remove(&node);
                (self.notice)(Notice::Disconnected(node));
                self.handle(Event::PeerDisconnected { peer: node });
            }
            NetEvent::Frame { node, lane, frame } => {
                let (bytes, _budget) = frame.into_parts();
                self.bytes.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                self.handle(Event::Frame { peer: node, lane: lane_of(lane), bytes });
            }
            NetEvent::Gossip { node, id, frame } => {
                let (bytes, _budget) = frame.into_parts();
                self.bytes.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                self.next_gossip += 1;
                let number = self.next_gossip;
                self.gossip.insert(number, id);
                self.handle(Event::Gossip { peer: node, id: number, bytes });
            }
            NetEvent::Listening { address } => (self.notice)(Notice::Listening(address)),
            NetEvent::Addresses { node, addresses } => (self.notice)(Notice::Addresses(node, addresses)),
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.now();
        self.sync.handle(event, now, &self.source);
        while let Some(action) = self.sync.poll(now, &self.source) {
            self.act(action, now);
        }
    }

    fn act(&mut self, action: Action, now: Now) {
        match action {
            Action::Send { peer, lane, bytes } => {
                self.bytes.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                if self.net.try_send(&peer, net_lane(lane), bytes) == Err(SendError::Full) {
                    // Once in a connection.
                    if self.slow.insert(peer) {
                        tracing::warn!(%peer, ?lane, "the peer does not take what it is sent; it has to ask for it later");
                    }
                    self.sync.handle(Event::SendFailed { peer }, now, &self.source);
                }
            }
            Action::Publish { bytes } => {
                self.bytes.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                self.command(Command::Publish(bytes));
            }
            Action::GossipVerdict { id, peer, forward } => {
                let verdict = match forward {
                    Some(true) => Verdict::Accept,
                    Some(false) => Verdict::Reject,
                    None => Verdict::Ignore,
                };
                if let Some(id) = self.gossip.remove(&id) {
                    self.command(Command::Verdict { id, source: peer, verdict });
                }
            }
            Action::Ban { peer, time_ms, ref reason } => {
                tracing::warn!(%peer, reason, "peer banned for an offence");
                self.command(Command::Ban { node: peer, time: Duration::from_millis(time_ms) });
                (self.notice)(Notice::Sync(action));
            }
            Action::Incompatible { peer, ref reason } => {
                tracing::warn!(%peer, reason, "peer is of no use to us");
                self.command(Command::Ban { node: peer, time: INCOMPATIBLE_BAN });
                (self.notice)(Notice::Sync(action));
            }
            action => (self.notice)(Notice::Sync(action)),
        }
    }

    /// The network task never waits for this thread, so waiting for it here ends.
    fn command(&self, command: Command) {
        // An error means that the network has stopped; so will this thread.
        let _ = self.net.commands.blocking_send(command);
    }
}

fn lane_of(lane: Lane) -> p2pdb_sync::Lane {
    match lane {
        Lane::Control => p2pdb_sync::Lane::Control,
        Lane::Bulk => p2pdb_sync::Lane::Bulk,
        Lane::Join => p2pdb_sync::Lane::Join,
    }
}

fn net_lane(lane: p2pdb_sync::Lane) -> Lane {
    match lane {
        p2pdb_sync::Lane::Control => Lane::Control,
        p2pdb_sync::Lane::Bulk => Lane::Bulk,
        p2pdb_sync::Lane::Join => Lane::Join,
    }
}
