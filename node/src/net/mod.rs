//! The network of a node: one libp2p swarm in one tokio task, behind channels.
//!
//! What it does: it listens and dials (TCP with Noise and Yamux, QUIC), finds peers (bootstrap addresses, mDNS,
//! Kademlia, identify), decides by the [`Gate`] who is a member, keeps one *session* per connected peer with its
//! streams, and moves opaque frames and gossip messages. What the frames mean is `p2pdb-sync`'s business; nothing
//! here decodes one.
//!
//! Invariants:
//! * Only members are served. A connection of a stranger carries identify, ping and the join stream, nothing else
//!   (`members`, `streams`); it is cut after [`STRANGER_TIMEOUT`].
//! * Everything that waits is bounded in bytes, per peer and direction. A frame holds its share of the inbound
//!   budget until the consumer drops it; while the budget is used up nothing more is read from that peer, and the
//!   transport's flow control carries the pressure back. See `session`.
//! * Events of one peer arrive in the order `Connected`, frames, `Disconnected`. The node key is the peer identity.
//!
//! Two paths for a new block: [`NetHandle::send`] on [`Lane::Control`] pushes it straight to a connected peer (one
//! hop through a channel and one write, no mesh to form), [`NetHandle::publish`] hands it to gossipsub, whose cost
//! does not grow with the number of members. Measured on loopback with 500 bytes (two cores, unoptimised build):
//! direct p50 0.16 ms and p99 0.3 ms over TCP and QUIC; gossip p50 0.24 and p99 0.4 to 1.1 ms, and nothing at all
//! until its mesh has formed. So up to [`PEERS_DIRECT_MAX`] connected members are pushed to directly.
//!
//! [`link`] drives `p2pdb-sync` with it: over loopback a block is applied on the peer 0.2 ms (p50) after its commit
//! was announced, measured by `link_tests` with a model of an engine.
//!
//! Not here: relays and hole punching, which wait for a network to test them on.

mod behaviour;
mod book;
mod identity;
pub mod link;
#[cfg(test)]
mod link_tests;
mod members;
mod session;
mod strays;
mod streams;
mod task;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use libp2p::Multiaddr;
use p2pdb_model::ids::NodeId;
use tokio::sync::{mpsc, oneshot};

pub use identity::{can_be_held, node_of, peer_of};
use session::Outboxes;
pub use session::{Frame, SendError};

/// Greatest frame on [`Lane::Control`], in bytes.
pub const CONTROL_FRAME_BYTES_MAX: usize = 256 * 1024;
/// Greatest frame on [`Lane::Bulk`], in bytes.
pub const BULK_FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Greatest frame on [`Lane::Join`], in bytes.
pub const JOIN_FRAME_BYTES_MAX: usize = 16 * 1024;
/// Greatest gossip message, in bytes.
pub const GOSSIP_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of gossip messages that wait for the consumer; beyond it messages are dropped (sync repairs that).
pub const GOSSIP_WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Up to so many connected members a new block is pushed to each directly; above, gossipsub carries it.
pub const PEERS_DIRECT_MAX: usize = 16;
/// Nodes that are connected at once, members and strangers together.
pub const CONNECTIONS_MAX: u32 = 256;
/// Connections to one peer (two that dial each other at once make two, over TCP and QUIC).
pub const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// Connections of strangers at once.
pub const STRANGERS_MAX: usize = 16;
/// A stranger that was not admitted by then is cut.
pub const STRANGER_TIMEOUT: Duration = Duration::from_secs(30);
/// A member that does not know yet that it is one may ask again for so long; longer than it waits between two requests.
pub const ASK_AGAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that does not take one frame in this time is cut.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// A stream that is not negotiated in this time ends its connection.
pub const STREAM_OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// Commands that wait for the network task.
const COMMANDS_MAX: usize = 1024;

/// Which stream of a session carries a frame. Lanes do not wait for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short messages and new blocks: between members.
    Control,
    /// Bundles of blocks: between members.
    Bulk,
    /// Admission messages: the only lane that a stranger may use.
    Join,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Lane; 3] = [Lane::Control, Lane::Bulk, Lane::Join];

    /// Greatest frame on this lane, in bytes.
    pub fn frame_bytes_max(self) -> usize {
        match self {
            Lane::Control => CONTROL_FRAME_BYTES_MAX,
            Lane::Bulk => BULK_FRAME_BYTES_MAX,
            Lane::Join => JOIN_FRAME_BYTES_MAX,
        }
    }
}

/// What a node may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Served.
    Member,
    /// May ask for admission.
    Stranger,
    /// Not connected to at all: removed from the realm, or banned.
    Refused,
}

/// Who is a member. The engine answers from the log; called on the network task for every new connection, so it
/// must be quick and must not wait.
pub trait Gate: Send + Sync + 'static {
    /// What this node may do.
    fn access(&self, node: &NodeId) -> Access;
}

impl<F: Fn(&NodeId) -> Access + Send + Sync + 'static> Gate for F {
    fn access(&self, node: &NodeId) -> Access {
        self(node)
    }
}

/// What the network needs to start.
#[derive(Clone, Debug)]
pub struct NetConfig {
    /// The secret ed25519 node key (32 bytes of seed).
    pub node_key: [u8; 32],
    /// Addresses to listen on, TCP and QUIC.
    pub listen: Vec<Multiaddr>,
    /// Addresses to stay connected to, with or without `/p2p/<id>`.
    pub bootstrap: Vec<Multiaddr>,
    /// Names the gossip topic and the Kademlia protocol: the realm's CID as text.
    pub realm: String,
    /// Find peers on the local network by multicast DNS.
    pub mdns: bool,
    /// Take loopback and private addresses that peers tell us for dialling (testnets, local networks).
    pub private_addresses: bool,
    /// Of a private network: TCP only, and nobody without this key is spoken to.
    pub network_key: Option<[u8; 32]>,
}

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The node key is not an ed25519 key.
    #[error("the node key is not an ed25519 key: {0}")]
    Key(#[from] libp2p::identity::DecodingError),
    /// A transport could not be set up.
    #[error("cannot set up the network transport: {0}")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An address cannot be listened on.
    #[error("cannot listen for peers on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// The transport's words.
        reason: String,
    },
    /// Somebody has an address to listen on.
    #[error("cannot listen for peers on {0}: the port is taken by another program (another node?)")]
    Taken(Multiaddr),
    /// The network has stopped.
    #[error("the network has stopped")]
    Stopped,
}

/// What happened on the network.
#[derive(Debug)]
pub enum NetEvent {
    /// A session with a peer has begun. Also after a session was replaced: then `Disconnected` came before.
    Connected {
        /// The peer.
        node: NodeId,
        /// `Member` or `Stranger`.
        access: Access,
    },
    /// The session has ended; frames on their way may be lost.
    Disconnected {
        /// The peer.
        node: NodeId,
    },
    /// A frame from a peer.
    Frame {
        /// The sender, as authenticated by the transport.
        node: NodeId,
        /// The stream it came by.
        lane: Lane,
        /// The bytes; dropping it returns its share of the peer's inbound budget.
        frame: Frame,
    },
    /// A gossip message; every one must be answered by [`NetHandle::gossip_verdict`] before it is forwarded.
    Gossip {
        /// The member that forwarded it (not necessarily its author).
        node: NodeId,
        /// To be given back with the verdict.
        id: GossipId,
        /// The bytes.
        frame: Frame,
    },
    /// We listen on this address.
    Listening {
        /// The address, with our `/p2p/<id>`.
        address: Multiaddr,
    },
    /// Addresses of a member, worth keeping for the next start.
    Addresses {
        /// The member.
        node: NodeId,
        /// Where it can be dialled.
        addresses: Vec<Multiaddr>,
    },
}

/// Names a gossip message between its arrival and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipId(libp2p::gossipsub::MessageId);

/// What becomes of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Accept,
    /// Do not forward it; no fault of the sender (known already, not judged yet).
    Ignore,
    /// Do not forward it; the sender should not have either.
    Reject,
}

/// A connected peer, for `status`.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// The peer.
    pub node: NodeId,
    /// Member or stranger.
    pub access: Access,
    /// Remote address of each connection.
    pub addresses: Vec<Multiaddr>,
    /// Last round trip measured by ping.
    pub round_trip: Option<Duration>,
}

#[derive(Debug)]
enum Command {
    Publish(Vec<u8>),
    Verdict { id: GossipId, source: NodeId, verdict: Verdict },
    Dial(Multiaddr),
    SetBlocked(Vec<NodeId>),
    Ban { node: NodeId, time: Duration },
    Recheck,
    Peers(oneshot::Sender<Vec<PeerInfo>>),
    Shutdown(oneshot::Sender<()>),
}

/// The way to the running network; clone it freely.
#[derive(Clone, Debug)]
pub struct NetHandle {
    commands: mpsc::Sender<Command>,
    outboxes: Outboxes,
    local: NodeId,
}

impl NetHandle {
    /// This node.
    pub fn local(&self) -> NodeId {
        self.local
    }

    /// Queues a frame for a peer without waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] when the peer takes frames more slowly than they come (try later, or leave it to the next
    /// round), [`SendError::NotConnected`], [`SendError::TooLarge`].
    pub fn try_send(&self, to: &NodeId, lane: Lane, frame: Vec<u8>) -> Result<(), SendError> {
        self.outboxes.get(to)?.try_send(lane, frame)
    }

    /// Queues a frame for a peer, waiting while the peer's queue is full.
    ///
    /// # Errors
    /// As [`Self::try_send`], but never `Full`.
    pub async fn send(&self, to: &NodeId, lane: Lane, frame: Vec<u8>) -> Result<(), SendError> {
        let outbox = self.outboxes.get(to)?;
        outbox.send(lane, frame).await
    }

    /// Bytes that wait to be written to this peer on this lane; `None` without a session.
    pub fn queued_bytes(&self, to: &NodeId, lane: Lane) -> Option<usize> {
        self.outboxes.get(to).ok().map(|o| o.queued_bytes(lane))
    }

    /// Connected members.
    pub fn members(&self) -> Vec<NodeId> {
        self.outboxes.members()
    }

    /// Publishes a message to all members by gossip. That nobody is subscribed yet is not an error.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn publish(&self, message: Vec<u8>) -> Result<(), NetError> {
        self.command(Command::Publish(message)).await
    }

    /// Says what becomes of a gossip message.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn gossip_verdict(
        &self,
        id: GossipId,
        source: NodeId,
        verdict: Verdict,
    ) -> Result<(), NetError> {
        self.command(Command::Verdict { id, source, verdict }).await
    }

    /// Adds an address to stay connected to, and dials it.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn dial(&self, address: Multiaddr) -> Result<(), NetError> {
        self.command(Command::Dial(address)).await
    }

    /// Sets the nodes to which there must be no path: their links are cut and new ones refused. Those that are no
    /// longer in the list are dialled at once. For testnets (partitions) and operators.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn set_blocked(&self, nodes: Vec<NodeId>) -> Result<(), NetError> {
        self.command(Command::SetBlocked(nodes)).await
    }

    /// Cuts a node off for a time, after an offence.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn ban(&self, node: NodeId, time: Duration) -> Result<(), NetError> {
        self.command(Command::Ban { node, time }).await
    }

    /// Asks the gate again about every connected peer; call it when the members have changed.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn recheck(&self) -> Result<(), NetError> {
        self.command(Command::Recheck).await
    }

    /// The connected peers.
    ///
    /// # Errors
    /// [`NetError::Stopped`].
    pub async fn peers(&self) -> Result<Vec<PeerInfo>, NetError> {
        let (tx, rx) = oneshot::channel();
        self.command(Command::Peers(tx)).await?;
        rx.await.map_err(|_| NetError::Stopped)
    }

    /// Closes all connections and ends the task.
    pub async fn shutdown(&self) {
        let (tx, rx) = oneshot::channel();
        if self.command(Command::Shutdown(tx)).await.is_ok() {
            // An error means that the task has ended by itself.
            let _ = rx.await;
        }
    }

    async fn command(&self, command: Command) -> Result<(), NetError> {
        self.commands.send(command).await.map_err(|_| NetError::Stopped)
    }
}

/// The events of a running network. Their number is bounded by the budgets of frames and gossip.
#[derive(Debug)]
pub struct NetEvents(mpsc::UnboundedReceiver<NetEvent>);

impl NetEvents {
    /// The next event; `None` after the network has stopped.
    pub async fn recv(&mut self) -> Option<NetEvent> {
        self.0.recv().await
    }

    /// The next event, if one is there.
    pub fn try_recv(&mut self) -> Option<NetEvent> {
        self.0.try_recv().ok()
    }
}

/// Starts the network on the current tokio runtime.
///
/// # Errors
/// When the key is bad, a transport cannot be set up, or an address cannot be listened on.
pub fn start(config: NetConfig, gate: Arc<dyn Gate>) -> Result<(NetHandle, NetEvents), NetError> {
    let (events_tx, events_rx) = mpsc::unbounded_channel();
    let (commands_tx, commands_rx) = mpsc::channel(COMMANDS_MAX);
    let outboxes = Outboxes::default();
    let local = task::spawn(config, gate, commands_rx, events_tx, outboxes.clone())?;
    Ok((NetHandle { commands: commands_tx, outboxes, local }, NetEvents(events_rx)))
}
