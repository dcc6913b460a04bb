//! What goes into the state machine and what comes out of it.

use std::sync::Arc;

use p2pdb_dag::{ChainId, Tip};
use p2pdb_model::ids::{Cid, NodeId};

use crate::message::{AdmissionAnswer, AdmissionRequest, StateProof, WireBlock};
use crate::source::Received;

/// The time, as the caller reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never goes back.
    pub mono_ms: u64,
    /// Milliseconds since the Unix epoch on this node's wall clock.
    pub wall_ms: u64,
}

/// Which stream carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Short messages.
    Control,
    /// Bundles and large messages.
    Bulk,
    /// Admission; the only lane of those that are not members.
    Join,
}

/// Names a delivery until it is consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub(crate) u64);

/// The standing of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePeer {
    /// A member: served.
    Member,
    /// Not a member: may ask for admission.
    NotMember,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// The time that [`crate::Sync::timeout_ms`] named has come.
    Tick,
    /// A session with a peer has begun.
    PeerConnected {
        /// The peer.
        peer: NodeId,
        /// Its standing.
        standing: NodePeer,
    },
    /// The session has ended.
    PeerDisconnected {
        /// The peer.
        peer: NodeId,
    },
    /// A frame came from a peer.
    Frame {
        /// The peer.
        peer: NodeId,
        /// The lane it came by.
        lane: Lane,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A gossip message came; answered by [`Action::GossipVerdict`] with the same `id`.
    Gossip {
        /// The member that forwarded it.
        peer: NodeId,
        /// The caller's name for it.
        id: u64,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A frame could not be sent, because the peer does not keep up.
    SendFailed {
        /// The peer.
        peer: NodeId,
    },
    /// This node has committed blocks of its own; they are in the source already.
    Sealed {
        /// The blocks, in order.
        blocks: Vec<(Cid, Arc<WireBlock>)>,
    },
    /// Blocks of others were applied (delivered ones, or ones that had waited).
    Applied,
    /// The engine is done with a delivery: its blocks are applied, waiting, or refused.
    Consumed {
        /// Which.
        token: Token,
        /// How it went.
        outcome: Outcome,
    },
    /// Ask every peer, now and when it connects, for the tips of this author's chains.
    AskTips {
        /// The author, usually this node after an unclean stop.
        author: NodeId,
    },
    /// No longer ask.
    StopAskingTips,
    /// Ask this peer for admission (we are not a member yet).
    RequestAdmission {
        /// The peer.
        peer: NodeId,
        /// The request.
        request: AdmissionRequest,
    },
    /// Show this peer, to whom we are a stranger, a block of its own.
    ShowWitness {
        /// The peer.
        peer: NodeId,
        /// The block's envelope.
        envelope: Vec<u8>,
    },
    /// The engine has decided about an [`Action::AdmissionRequested`].
    AnswerAdmission {
        /// Who asked.
        peer: NodeId,
        /// The answer.
        answer: AdmissionAnswer,
    },
}

/// How the engine got on with a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken.
    Done {
        /// Blocks of it that wait because parents are missing.
        waiting: Vec<Cid>,
    },
    /// The peer sent what no correct node sends.
    Offence(String),
    /// It sent blocks that are refused, the least of whose rules numbers is this: an offence when the peer knows that
    /// number; otherwise it passed on in good faith what it could not read.
    Refused {
        /// The rules number.
        rules: u32,
        /// Why the first of them is refused.
        reason: String,
    },
    /// This node could not (its disk, its memory); not the peer's doing.
    Fault(String),
}

/// Blocks for the engine, in causal order as far as the sender could tell. Answer with [`Event::Consumed`].
#[derive(Debug)]
pub struct Delivery {
    /// Who sent them.
    pub peer: NodeId,
    /// To be given back.
    pub token: Token,
    /// True for a bundle of a catch-up, false for a block that was pushed or gossiped.
    pub catch_up: bool,
    /// The blocks.
    pub blocks: Vec<Received>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Send a frame. When the peer's queue is full, say [`Event::SendFailed`].
    Send {
        /// To whom.
        peer: NodeId,
        /// By which lane.
        lane: Lane,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Publish a gossip message to the realm.
    Publish {
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Say what becomes of a gossip message: forwarded if true.
    GossipVerdict {
        /// From [`Event::Gossip`].
        id: u64,
        /// Who forwarded it.
        peer: NodeId,
        /// `Some(true)` forward, `Some(false)` reject, `None` ignore.
        forward: Option<bool>,
    },
    /// Blocks for the engine.
    Deliver(Delivery),
    /// The peer has introduced itself.
    Greeted {
        /// The peer.
        peer: NodeId,
        /// The newest rules number it knows.
        rules: u32,
    },
    /// The peer's wall clock minus ours, with the time on the way as error.
    ClockOffset {
        /// The peer.
        peer: NodeId,
        /// Milliseconds.
        offset_ms: i64,
    },
    /// The peer says that its tables at this frontier have this fingerprint.
    CompareFingerprint {
        /// The peer.
        peer: NodeId,
        /// What it says.
        state: StateProof,
    },
    /// A peer's answer to [`Event::AskTips`].
    TipsOf {
        /// The peer.
        peer: NodeId,
        /// The author asked about.
        author: NodeId,
        /// Tips of its chains, as the peer holds them.
        tips: Vec<(ChainId, Tip)>,
    },
    /// Somebody asks for admission; answer with [`Event::AnswerAdmission`].
    AdmissionRequested {
        /// The peer, as authenticated by the transport.
        peer: NodeId,
        /// The request.
        request: AdmissionRequest,
    },
    /// A stranger shows what should be a block of ours. If we have lost it, answer with [`Event::AnswerAdmission`].
    Witnessed {
        /// The peer.
        peer: NodeId,
        /// The block's envelope.
        envelope: Vec<u8>,
    },
    /// The answer to our request.
    AdmissionAnswered {
        /// Who answered.
        peer: NodeId,
        /// The answer.
        answer: AdmissionAnswer,
    },
    /// A round of catch-up is over.
    Fetched {
        /// From whom.
        peer: NodeId,
        /// Blocks received.
        blocks: u64,
        /// Bytes received, compressed.
        bytes: u64,
        /// False when it broke off.
        complete: bool,
    },
    /// The peer cannot give what it was asked for, whose tips it named: something is wrong with its disk.
    NotServed {
        /// The peer.
        peer: NodeId,
        /// What it says, in one line without control characters.
        reason: String,
    },
    /// This peer is of another realm or version: no business with it. Not an offence.
    Incompatible {
        /// The peer.
        peer: NodeId,
        /// Why, for the log.
        reason: String,
    },
    /// Cut this peer off for a time.
    Ban {
        /// The peer.
        peer: NodeId,
        /// Milliseconds.
        time_ms: u64,
        /// Why, for the log.
        reason: String,
    },
    /// Reading the log failed.
    Fault {
        /// What and why, for the log.
        reason: String,
    },
}
