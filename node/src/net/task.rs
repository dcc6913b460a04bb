//! The network task: owns the swarm, starts and ends sessions, carries out commands.
//!
//! A session is our sending side towards one peer: it begins when a connection to the peer stands, opens the lanes
//! that the peer's standing allows, and ends when one of its streams fails or its connection closes; if another
//! connection to the peer stands, a new session begins there. The receiving side is the peer's session. The task
//! never waits for a consumer: events go to a channel whose content is bounded by budgets (`session`).

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::futures::StreamExt;
use libp2p::identity::{Keypair, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, ListenError, Stream, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, gossipsub, identify, kad, mdns};
use p2pdb_model::ids::NodeId;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::behaviour::{self, Behaviour, BehaviourEvent, InnerEvent};
use super::book::{self, Book, Whom};
use super::identity::{node_of, peer_of};
use super::session::{self, Frame, Outbox, Outboxes, Outgoing};
use super::strays::Strays;
use super::streams::{HandlerEvent, StreamEvent};
use super::{
    ASK_AGAIN_TIMEOUT, Access, Command, GOSSIP_MESSAGE_BYTES_MAX, GOSSIP_WAITING_BYTES_MAX, Gate, GossipId,
    Lane, NetConfig, NetError, NetEvent, PEERS_DIRECT_MAX, PeerInfo, STRANGER_TIMEOUT, STRANGERS_MAX,
    Verdict,
};

/// How often dials, time limits and bans are looked at.
const TICK: Duration = Duration::from_millis(100);
/// A stranger that was admitted should reconnect by itself; after this time its old connection is cut.
const PROMOTION_GRACE: Duration = Duration::from_secs(3);
/// A peer dials only when it has no connection. One that dials again, or although ours to it has stood for so long (two
/// that dial each other at once make two), has lost the old one: it was killed, and over QUIC nothing says so before the
/// idle timeout.
const REPLACED_AFTER: Duration = Duration::from_secs(3);
/// Connections of a peer that come within this time are of one dial: it tries several addresses (TCP and QUIC) side by side, keeps
/// the first that stands, and drops the others. Which one that is only the peer knows: to close one here may be to close it.
const ONE_DIAL: Duration = Duration::from_secs(1);
/// How long an orderly stop waits for the last frames and goodbyes.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Starts the task; returns this node's id.
pub(super) fn spawn(
    config: NetConfig,
    gate: Arc<dyn Gate>,
    commands: mpsc::Receiver<Command>,
    events: mpsc::UnboundedSender<NetEvent>,
    outboxes: Outboxes,
) -> Result<NodeId, NetError> {
    let mut seed = config.node_key;
    let secret = ed25519::SecretKey::try_from_bytes(&mut seed)?;
    let keypair = ed25519::Keypair::from(secret);
    let local = NodeId(keypair.public().to_bytes());
    let mut swarm = behaviour::swarm(Keypair::from(keypair), &config, gate.clone())?;
    for address in &config.listen {
        let error = |reason: String| NetError::Listen { address: address.clone(), reason };
        check_free(address).map_err(|e| match e.kind() {
            ErrorKind::AddrInUse => NetError::Taken(address.clone()),
            _ => error(e.to_string()),
        })?;
        swarm.listen_on(address.clone()).map_err(|e| error(e.to_string()))?;
    }
    let mut book = Book::default();
    for address in &config.bootstrap {
        book.add_bootstrap(address, Instant::now());
    }
    tracing::info!(peer = %swarm.local_peer_id(), realm = %config.realm, "network started");
    let task = Task {
        topic: behaviour::topic(&config.realm),
        config,
        gate,
        swarm,
        book,
        events,
        outboxes,
        peers: HashMap::new(),
        writers: JoinSet::new(),
        dials: HashMap::new(),
        banned: HashMap::new(),
        gossip_budget: Arc::new(Semaphore::new(GOSSIP_WAITING_BYTES_MAX)),
        strays: Strays::default(),
    };
    tokio::spawn(task.run(commands));
    Ok(local)
}

struct Task {
    config: NetConfig,
    gate: Arc<dyn Gate>,
    topic: gossipsub::IdentTopic,
    swarm: Swarm<Behaviour>,
    book: Book,
    events: mpsc::UnboundedSender<NetEvent>,
    outboxes: Outboxes,
    peers: HashMap<PeerId, Peer>,
    /// Writers of all sessions; they yield whose session has ended, and why.
    writers: JoinSet<(PeerId, ConnectionId, std::io::Result<()>)>,
    dials: HashMap<ConnectionId, Whom>,
    banned: HashMap<PeerId, Instant>,
    gossip_budget: Arc<Semaphore>,
    strays: Strays,
}

struct Connection {
    id: ConnectionId,
    access: Access,
    address: Multiaddr,
    ours: bool,
    since: Instant,
    /// When it is cut, unless it is a member's.
    deadline: Option<Instant>,
}

struct Peer {
    node: NodeId,
    connections: Vec<Connection>,
    session: Option<Session>,
    /// One a lane of each connection: the peer's session may go from one to another, and its streams arrive in any order.
    readers: HashMap<(ConnectionId, Lane), AbortHandle>,
    budgets: HashMap<Lane, Arc<Semaphore>>,
    round_trip: Option<Duration>,
}

struct Session {
    connection: ConnectionId,
    /// Lanes whose stream is still being opened, with the queue for their writer.
    opening: Vec<(Lane, mpsc::UnboundedReceiver<Outgoing>)>,
    writers: Vec<AbortHandle>,
}

impl Task {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                command = commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                Some(ended) = self.writers.join_next() => match ended {
                    Ok((peer, connection, result)) => self.on_writer_ended(peer, connection, result),
                    Err(e) if e.is_panic() => tracing::error!(error = %e, "a frame writer has panicked"),
                    Err(_) => {}
                },
                _ = tick.tick() => self.on_tick(Instant::now()),
            }
        };
        self.close().await;
        if let Some(done) = done {
            // An error means that the caller no longer waits.
            let _ = done.send(());
        }
    }

    async fn close(mut self) {
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            // An error means that the peer has just gone.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let goodbye = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, goodbye).await.is_err() {
            tracing::debug!("some peers did not take leave in time");
        }
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.end_session(peer);
            self.forget(peer);
        }
        tracing::info!("network stopped");
    }

    fn emit(&self, event: NetEvent) {
        // An error means that the consumer is gone; the task ends with its handle.
        let _ = self.events.send(event);
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.dials.remove(&connection_id);
                let ours = endpoint.is_dialer();
                let address = endpoint.get_remote_address().clone();
                self.book.connected(peer_id, ours.then_some(&address), Instant::now());
                self.on_connected(peer_id, connection_id, address, ours);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, num_established, .. } => {
                let cause = cause.map(|c| c.to_string()).unwrap_or_default();
                tracing::debug!(peer = %peer_id, connection = %connection_id, cause, "connection closed");
                self.on_closed(peer_id, connection_id, num_established == 0);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                tracing::debug!(peer = ?peer_id, %error, "dial failed");
                if let Some(whom) = self.dials.remove(&connection_id)
                    && self.book.failed(&whom, Instant::now(), rand::random())
                {
                    let why = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
                    let at = self
                        .book
                        .addresses(&whom)
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(" ");
                    tracing::warn!(at, why, "a peer to stay connected to does not answer; it is tried again");
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.on_stray(&send_back_addr, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                let address = address.with(Protocol::P2p(*self.swarm.local_peer_id()));
                self.emit(NetEvent::Listening { address });
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::warn!(?addresses, ?reason, "a listener has closed");
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener has failed"),
            _ => {}
        }
    }

    fn on_stray(&mut self, address: &Multiaddr, error: &ListenError) {
        tracing::debug!(%address, %error, "incoming connection refused");
        // Who is blocked is known, and so is what comes from where a peer is connected: of several dials it keeps one.
        let expected = !matches!(error, ListenError::Transport(_))
            || self.peers.values().flat_map(|p| &p.connections).any(|c| is_same_port(&c.address, address));
        if !expected && let Some(before) = self.strays.came(Instant::now()) {
            tracing::info!(
                %address, %error, before,
                "somebody connected who did not speak as a peer does; more of them are counted, and one a minute is told"
            );
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(event) => self.on_stream_event(event),
            BehaviourEvent::Ping(event) => {
                if let (Ok(time), Some(peer)) = (event.result, self.peers.get_mut(&event.peer)) {
                    peer.round_trip = Some(time);
                }
            }
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_addresses(peer_id, info.listen_addrs);
            }
            BehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    tracing::debug!(%peer, %address, "found on the local network");
                    self.book.add_heard(peer, [address], Instant::now());
                }
            }
            BehaviourEvent::Members(InnerEvent::Gossipsub(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => self.on_gossip(propagation_source, message_id, message),
            BehaviourEvent::Members(InnerEvent::Kad(kad::Event::OutboundQueryProgressed {
                result: kad::QueryResult::GetClosestPeers(Ok(found)),
                ..
            })) => {
                for found in found.peers {
                    self.hear_of(found.peer_id, found.addrs);
                }
            }
            BehaviourEvent::Members(InnerEvent::Kad(kad::Event::RoutingUpdated {
                peer, addresses, ..
            })) => {
                self.hear_of(peer, addresses.into_vec());
            }
            BehaviourEvent::Members(InnerEvent::Kad(
                kad::Event::RoutablePeer { peer, address }
                | kad::Event::PendingRoutablePeer { peer, address },
            )) => self.hear_of(peer, vec![address]),
            _ => {}
        }
    }

    fn hear_of(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        if peer != *self.swarm.local_peer_id() {
            let private = self.config.private_addresses;
            let addresses = addresses.into_iter().filter(|a| private || is_global(a));
            self.book.add_heard(peer, addresses, Instant::now());
        }
    }

    fn on_addresses(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        let Some(entry) = self.peers.get(&peer) else {
            return;
        };
        if !entry.connections.iter().any(|c| c.access == Access::Member) {
            return;
        }
        let node = entry.node;
        let private = self.config.private_addresses;
        // Where we have reached it ourselves counts, too: it may not know how it is seen from here.
        let mut reached: Vec<Multiaddr> =
            entry.connections.iter().filter(|c| c.ours).map(|c| book::split(&c.address).0).collect();
        let mut addresses: Vec<Multiaddr> =
            addresses.into_iter().filter(|a| private || is_global(a)).map(|a| book::split(&a).0).collect();
        for address in &addresses {
            self.swarm.behaviour_mut().members.inner.kad.add_address(&peer, address.clone());
        }
        self.book.add_heard(peer, addresses.iter().cloned(), Instant::now());
        self.book.connected(peer, None, Instant::now());
        reached.append(&mut addresses);
        reached.sort_unstable();
        reached.dedup();
        let addresses = reached;
        if !addresses.is_empty() {
            self.emit(NetEvent::Addresses { node, addresses });
        }
    }

    fn on_connected(&mut self, peer: PeerId, id: ConnectionId, address: Multiaddr, ours: bool) {
        let Some(node) = node_of(&peer) else {
            return;
        };
        let access = self.swarm.behaviour().streams.access(id);
        let strangers = self.peers.values().filter(|p| p.strange()).count();
        if access == Access::Stranger && strangers >= STRANGERS_MAX {
            tracing::debug!(%peer, "too many strangers");
            self.swarm.close_connection(id);
            return;
        }
        tracing::info!(%peer, %address, ?access, ours, "peer connected");
        if !ours {
            self.drop_replaced(peer, access);
        }
        let since = Instant::now();
        let deadline = (access != Access::Member).then(|| since + STRANGER_TIMEOUT);
        let entry = self.peers.entry(peer).or_insert_with(|| Peer::new(node));
        entry.connections.push(Connection { id, access, address, ours, since, deadline });
        self.begin_session(peer);
    }

    /// The peer has dialled: its earlier connections may be dead, and the session goes to the newest. Those that are too old to be of the
    /// same dial, or of two that dial each other at once, are given up; the others are left to the peer to close.
    fn drop_replaced(&mut self, peer: PeerId, access: Access) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let replaced =
            |c: &mut Connection| is_replaced(c.ours, c.since.elapsed()) || (!c.ours && c.access != access);
        let old: Vec<ConnectionId> = entry.connections.extract_if(.., replaced).map(|c| c.id).collect();
        self.end_session(peer);
        for connection in old {
            tracing::debug!(%peer, %connection, "the peer has dialled anew: its old connection is given up");
            self.swarm.close_connection(connection);
        }
    }

    /// Begins a session on the peer's best connection: a member's, if there is one and no session on such a one yet, and the newest.
    fn begin_session(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let Some(best) = entry.connections.iter().rev().min_by_key(|c| c.access != Access::Member) else {
            return;
        };
        let (connection, access) = (best.id, best.access);
        if let Some(session) = &entry.session {
            let standing = entry.connections.iter().find(|c| c.id == session.connection).map(|c| c.access);
            if standing == Some(access) {
                return;
            }
            self.end_session(peer);
        }
        let lanes: &[Lane] =
            if access == Access::Member { &[Lane::Control, Lane::Bulk] } else { &[Lane::Join] };
        let (outbox, opening) = Outbox::new(access, lanes);
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let node = entry.node;
        entry.session = Some(Session { connection, opening, writers: Vec::new() });
        self.outboxes.insert(node, outbox);
        for lane in lanes {
            self.swarm.behaviour_mut().streams.open(peer, connection, *lane);
        }
        self.emit(NetEvent::Connected { node, access });
    }

    fn end_session(&mut self, peer: PeerId) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let Some(session) = entry.session.take() else {
            return;
        };
        for writer in session.writers {
            writer.abort();
        }
        let node = entry.node;
        self.outboxes.remove(&node);
        self.emit(NetEvent::Disconnected { node });
    }

    fn on_closed(&mut self, peer: PeerId, id: ConnectionId, last: bool) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        // They end by themselves, behind what has come.
        entry.readers.retain(|(connection, _), _| *connection != id);
        self.leave(peer, id);
        if last {
            tracing::info!(%peer, "peer disconnected");
            self.forget(peer);
            self.book.disconnected(peer, Instant::now(), rand::random());
        }
    }

    /// A connection is of no use any more: whoever has another one has a session there.
    fn leave(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        entry.connections.retain(|c| c.id != connection);
        if entry.session.as_ref().is_some_and(|s| s.connection == connection) {
            self.end_session(peer);
        }
        self.begin_session(peer);
    }

    fn forget(&mut self, peer: PeerId) {
        if let Some(entry) = self.peers.remove(&peer) {
            for reader in entry.readers.into_values() {
                reader.abort();
            }
        }
    }

    fn on_stream_event(&mut self, StreamEvent { peer, connection, event }: StreamEvent) {
        match event {
            HandlerEvent::Opened(lane, stream) => self.on_opened(peer, connection, lane, stream),
            HandlerEvent::Accepted(lane, stream) => self.on_accepted(peer, connection, lane, stream),
            HandlerEvent::OpenFailed(lane, reason) => {
                tracing::debug!(%peer, ?lane, reason, "stream not opened");
                if lane == Lane::Join || !self.be_asked(peer, connection) {
                    self.swarm.close_connection(connection);
                }
            }
        }
    }

    /// A member does not speak a member's lanes to us: it does not know yet that it was admitted, because the answer went
    /// down with the connection that ended when its standing changed. For a while it may ask again, as a stranger does;
    /// then a new connection is tried. (If the connection is failing, the lane to ask by fails as well.)
    fn be_asked(&mut self, peer: PeerId, connection: ConnectionId) -> bool {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return false;
        };
        let Some(c) = entry.connections.iter_mut().find(|c| c.id == connection) else {
            return false;
        };
        if c.access != Access::Member {
            return true;
        }
        c.access = Access::Stranger;
        c.deadline = Some(Instant::now() + ASK_AGAIN_TIMEOUT);
        if entry.session.as_ref().is_some_and(|s| s.connection == connection) {
            self.end_session(peer);
            self.begin_session(peer);
        }
        true
    }

    fn on_opened(&mut self, peer: PeerId, connection: ConnectionId, lane: Lane, stream: Stream) {
        let session = self.peers.get_mut(&peer).and_then(|p| p.session.as_mut());
        let Some(session) = session.filter(|s| s.connection == connection) else {
            return;
        };
        let Some(at) = session.opening.iter().position(|(l, _)| *l == lane) else {
            return;
        };
        let (_, queue) = session.opening.swap_remove(at);
        session.writers.push(
            self.writers.spawn(async move { (peer, connection, session::write_frames(stream, queue).await) }),
        );
    }

    fn on_accepted(&mut self, peer: PeerId, connection: ConnectionId, lane: Lane, stream: Stream) {
        let Some(entry) = self.peers.get_mut(&peer) else {
            return;
        };
        let budget = entry
            .budgets
            .entry(lane)
            .or_insert_with(|| Arc::new(Semaphore::new(session::budget_bytes(lane))))
            .clone();
        let (node, events) = (entry.node, self.events.clone());
        let deliver = move |frame| events.send(NetEvent::Frame { node, lane, frame }).is_ok();
        let reader = tokio::spawn(async move {
            if let Err(error) = session::read_frames(stream, lane, budget, deliver).await {
                tracing::debug!(%peer, ?lane, %error, "a peer's stream has failed");
            }
        });
        if let Some(old) = entry.readers.insert((connection, lane), reader.abort_handle()) {
            old.abort();
        }
    }

    fn on_writer_ended(&mut self, peer: PeerId, connection: ConnectionId, result: std::io::Result<()>) {
        let session = self.peers.get(&peer).and_then(|p| p.session.as_ref());
        if session.is_none_or(|s| s.connection != connection) {
            return;
        }
        match result {
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                tracing::warn!(%peer, %error, "closing the connection");
            }
            Err(error) => tracing::debug!(%peer, %error, "a stream to the peer has failed"),
            Ok(()) => {}
        }
        self.leave(peer, connection);
        self.swarm.close_connection(connection);
    }

    fn on_gossip(&mut self, source: PeerId, id: gossipsub::MessageId, message: gossipsub::Message) {
        let size = u32::try_from(message.data.len()).unwrap_or(u32::MAX);
        let budget = self.gossip_budget.clone().try_acquire_many_owned(size.max(128));
        match (node_of(&source), budget) {
            (Some(node), Ok(budget)) if message.data.len() <= GOSSIP_MESSAGE_BYTES_MAX => {
                let frame = Frame::new(message.data, budget);
                self.emit(NetEvent::Gossip { node, id: GossipId(id), frame });
            }
            _ => {
                let verdict = gossipsub::MessageAcceptance::Ignore;
                let gossipsub = &mut self.swarm.behaviour_mut().members.inner.gossipsub;
                gossipsub.report_message_validation_result(&id, &source, verdict);
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish(message) => {
                let topic = self.topic.clone();
                match self.swarm.behaviour_mut().members.inner.gossipsub.publish(topic, message) {
                    Ok(_) | Err(gossipsub::PublishError::Duplicate) => {}
                    // Nobody there, or a mesh that is still forming: direct pushes and sync rounds carry it.
                    Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => {}
                    Err(error) => tracing::debug!(%error, "a gossip message was not published"),
                }
            }
            Command::Verdict { id, source, verdict } => {
                let Some(source) = peer_of(&source) else {
                    return;
                };
                let acceptance = match verdict {
                    Verdict::Accept => gossipsub::MessageAcceptance::Accept,
                    Verdict::Ignore => gossipsub::MessageAcceptance::Ignore,
                    Verdict::Reject => gossipsub::MessageAcceptance::Reject,
                };
                let gossipsub = &mut self.swarm.behaviour_mut().members.inner.gossipsub;
                gossipsub.report_message_validation_result(&id.0, &source, acceptance);
            }
            Command::Dial(address) => {
                self.book.add_bootstrap(&address, Instant::now());
                self.dial(Instant::now());
            }
            Command::SetBlocked(nodes) => self.set_blocked(&nodes),
            Command::Ban { node, time } => {
                if let Some(peer) = peer_of(&node) {
                    tracing::warn!(%peer, seconds = time.as_secs(), "peer banned");
                    self.banned.insert(peer, Instant::now() + time);
                    self.swarm.behaviour_mut().blocked.block_peer(peer);
                }
            }
            Command::Recheck => self.recheck(),
            Command::Peers(answer) => {
                // An error means that the caller no longer waits.
                let _ = answer.send(self.peers.values().map(Peer::info).collect());
            }
            Command::Shutdown(_) => {}
        }
    }

    fn set_blocked(&mut self, nodes: &[NodeId]) {
        let wanted: Vec<PeerId> = nodes.iter().filter_map(peer_of).collect();
        let now = Instant::now();
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        let freed: Vec<PeerId> = blocked
            .blocked_peers()
            .iter()
            .filter(|p| !wanted.contains(p) && !self.banned.contains_key(p))
            .copied()
            .collect();
        for peer in &wanted {
            if blocked.block_peer(*peer) {
                tracing::info!(%peer, "peer blocked");
            }
        }
        for peer in freed {
            tracing::info!(%peer, "peer no longer blocked");
            blocked.unblock_peer(peer);
            self.book.hurry(peer, now);
        }
        self.dial(now);
    }

    /// A new standing needs a new connection. Of two ends the dialler renews it, so that an answer to a request for
    /// admission is not cut off on its way.
    fn recheck(&mut self) {
        let now = Instant::now();
        let mut close = Vec::new();
        for (peer, entry) in &mut self.peers {
            let standing = self.gate.access(&entry.node);
            for connection in entry.connections.iter_mut().filter(|c| c.access != standing) {
                if standing == Access::Member && !connection.ours {
                    connection.deadline = Some(now + PROMOTION_GRACE);
                } else {
                    close.push((*peer, connection.id));
                }
            }
        }
        for (peer, connection) in close {
            tracing::info!(%peer, "connection renewed: the peer's standing has changed");
            self.swarm.close_connection(connection);
            self.book.hurry(peer, now);
        }
    }

    fn on_tick(&mut self, now: Instant) {
        let over = self.peers.values().flat_map(|p| &p.connections);
        let over: Vec<_> = over.filter(|c| c.deadline.is_some_and(|d| d <= now)).map(|c| c.id).collect();
        for connection in over {
            self.swarm.close_connection(connection);
        }
        let blocked = &mut self.swarm.behaviour_mut().blocked;
        self.banned.retain(|peer, until| {
            let keep = *until > now;
            if !keep {
                blocked.unblock_peer(*peer);
            }
            keep
        });
        self.dial(now);
    }

    fn dial(&mut self, now: Instant) {
        let room = PEERS_DIRECT_MAX.saturating_sub(self.peers.len());
        for (whom, addresses) in self.book.due(now, room) {
            let options = match &whom {
                Whom::Peer(peer) => DialOpts::peer_id(*peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .build(),
                Whom::Address(address) => DialOpts::unknown_peer_id().address(address.clone()).build(),
            };
            let connection = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => {
                    self.dials.insert(connection, whom);
                }
                Err(error) => {
                    tracing::debug!(?whom, %error, "not dialled");
                    self.book.failed(&whom, now, rand::random());
                }
            }
        }
    }
}

impl Peer {
    fn new(node: NodeId) -> Self {
        Self {
            node,
            connections: Vec::new(),
            session: None,
            readers: HashMap::new(),
            budgets: HashMap::new(),
            round_trip: None,
        }
    }

    fn strange(&self) -> bool {
        !self.connections.is_empty() && self.connections.iter().all(|c| c.access == Access::Stranger)
    }

    fn info(&self) -> PeerInfo {
        let access = if self.strange() { Access::Stranger } else { Access::Member };
        let addresses = self.connections.iter().map(|c| c.address.clone()).collect();
        PeerInfo { node: self.node, access, addresses, round_trip: self.round_trip }
    }
}

/// libp2p binds with SO_REUSEPORT, so a second node on the same port would start without a word and take half of
/// the connections. A socket without that option finds the port taken.
fn check_free(address: &Multiaddr) -> std::io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind((ip, port)).map(drop),
        Some(Protocol::Udp(port)) if port != 0 => UdpSocket::bind((ip, port)).map(drop),
        _ => Ok(()),
    }
}

/// Whether two addresses have the same IP address and port, of TCP or of UDP.
fn is_same_port(a: &Multiaddr, b: &Multiaddr) -> bool {
    let place = |address: &Multiaddr| {
        let mut parts = address.iter();
        let ip: Option<IpAddr> = match parts.next() {
            Some(Protocol::Ip4(ip)) => Some(ip.into()),
            Some(Protocol::Ip6(ip)) => Some(ip.into()),
            _ => None,
        };
        let port = match parts.next() {
            Some(Protocol::Tcp(port) | Protocol::Udp(port)) => Some(port),
            _ => None,
        };
        ip.zip(port)
    };
    place(a).is_some() && place(a) == place(b)
}

/// Whether an address makes sense outside this machine and its local network.
fn is_global(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => {
            !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified())
        }
        Some(Protocol::Ip6(ip)) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified())
        }
        Some(_) => true,
        None => false,
    }
}

/// Does a new connection of the peer say that one of this age is dead?
fn is_replaced(ours: bool, age: Duration) -> bool {
    age >= if ours { REPLACED_AFTER } else { ONE_DIAL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_of_one_node_are_known_by_its_port() {
        let at = |text: &str| text.parse::<Multiaddr>().expect("an address");
        let peer = at("/ip4/192.0.2.1/tcp/7306");
        assert!(is_same_port(&peer, &at("/ip4/192.0.2.1/udp/7306/quic-v1")));
        for other in ["/ip4/192.0.2.1/tcp/7307", "/ip4/192.0.2.2/tcp/7306", "/dns4/a.example/tcp/7306"] {
            assert!(!is_same_port(&peer, &at(other)), "{other}");
        }
        assert!(!is_same_port(&at("/dns4/a.example/tcp/1"), &at("/dns4/a.example/tcp/1")));
    }

    #[test]
    fn connections_of_one_dial_are_left_to_who_dialled() {
        let one_dial = Duration::from_millis(300);
        assert!(!is_replaced(false, one_dial), "TCP and QUIC, tried side by side");
        assert!(!is_replaced(true, one_dial), "two that dialled each other at once");
        assert!(is_replaced(false, ONE_DIAL), "it was killed, and has come back");
        assert!(!is_replaced(true, ONE_DIAL));
        assert!(is_replaced(true, REPLACED_AFTER));
    }
}
