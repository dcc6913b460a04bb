//! Anti-entropy and gossip between nodes, sans-IO.
//!
//! [`Sync`] is a state machine: [`Sync::handle`] takes an [`Event`] and the time, [`Sync::poll`] gives the next
//! [`Action`], [`Sync::timeout_ms`] says when to come back with [`Event::Tick`]. It reads the log through
//! [`BlockSource`], never writes it, and knows neither sockets nor disks.
//!
//! # How two nodes become equal
//!
//! 1. **Hello**: version, realm, rules, wall clock, the digest of the frontier. Equal digests: nothing to do.
//! 2. **Frontier**: per chain the tips held. Applied blocks are causally closed, so tips say everything.
//! 3. **Want**: who lacks something says what it *has*, in terms of the other's frontier: tips of the other that it
//!    holds, its own tips where it is behind, and where a chain forked, rungs of its own branch in doubling steps
//!    ([`p2pdb_dag::ladder`]). If the gap between the last common rung and the first foreign one is large, the
//!    server asks for closer rungs (**Narrow**), a bounded number of times.
//! 4. **Bundles**: the server walks its log in the order of its block numbers, which is a causal order, from the
//!    first block that is not covered, skipping what is, and sends it compressed, one bundle per **Credit**. The
//!    receiver grants a credit when the engine has consumed a bundle: that is the back-pressure.
//!
//! Both directions run at once and independently, and with several peers: a chain that is being fetched from one
//! peer is not asked from another at the same time. After any break the next round starts from the frontier as it
//! is then, so nothing is resumed and nothing is sent twice.
//!
//! New blocks are **pushed** whole to the connected members ([`PEERS_DIRECT_MAX`] at most, else by gossip, as also what is
//! pushed to a node that has more); large ones are **announced** and fetched. Blocks of others are announced lazily, for meshes
//! that are not full; of many that announce a block one is asked at a time. Every few seconds the digest goes to a random
//! member, which repairs whatever was lost.
//!
//! # Blame
//!
//! An *offence* is what no correct node sends: bytes that are no message, a bundle over its limit or without credit,
//! a block that breaks the format. It costs points, and [`OFFENCE_POINTS_MAX`] of them a ban. A *fault* (silence, a
//! lost connection, a round that brought nothing) only makes us ask that peer ever more seldom for a while.
//!
//! Not here: who is a member (the engine says so per peer), signatures and verdicts (the engine), streams (node).

mod bundle;
mod error;
mod event;
mod fetch;
mod machine;
mod memory;
mod message;
mod peer;
mod serve;
mod source;
mod spread;

pub use bundle::{pack, unpack};
pub use error::Error;
pub use event::{Action, Delivery, Event, Lane, NodePeer, Now, Outcome, Token};
pub use machine::{Config, PeerStatus, Sync};
pub use memory::{HeldBlock, MemoryLog, Shelf};
pub use message::{
    AdmissionAnswer, AdmissionRequest, Bundle, Digest, Gap, Hello, Message, StateProof, WireBlock,
};
pub use source::{BlockSource, Received, Scan};

/// Version of the messages; also in the stream protocol's name `/p2pdb/sync/1`.
pub const PROTOCOL_VERSION: u32 = 1;
/// A new block of at most so many bytes, bodies included, is pushed or gossiped whole on the control lane.
pub const GOSSIP_BYTES_MAX: usize = 48 * 1024;
/// A new block of at most so many bytes is pushed whole on the bulk lane; a larger one is announced.
pub const PUSH_BYTES_MAX: usize = 1024 * 1024;
/// With more connected members than this, new blocks go by gossip instead of to each member directly.
pub const PEERS_DIRECT_MAX: usize = 16;
/// Peers that state is kept for.
pub const PEERS_MAX: usize = 256;
/// A bundle is closed when its blocks reach this size, in bytes before compression.
pub const BUNDLE_RAW_BYTES: usize = 512 * 1024;
/// Greatest size of a bundle before compression, in bytes: a full bundle and one more body.
pub const BUNDLE_RAW_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Greatest number of blocks in a bundle.
pub const BUNDLE_BLOCKS_MAX: usize = 4096;
/// Bundles that may be on their way to us, per peer.
pub const CREDITS: u32 = 4;
/// Greatest size of a message on the control lane, in bytes.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Greatest size of a message on the bulk lane, in bytes.
pub const BULK_MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Greatest size of an admission message, in bytes.
pub const JOIN_MESSAGE_BYTES_MAX: usize = p2pdb_block::HEADER_BYTES_MAX + 1024;
/// Greatest number of chains in a frontier on the wire.
pub const FRONTIER_CHAINS_MAX: usize = 16 * 1024;
/// Greatest number of tips and rungs of one chain in a frontier on the wire.
pub const FRONTIER_TIPS_MAX: usize = 512;
/// Peers that blocks are fetched from at once.
pub const FETCHES_MAX: usize = 4;
/// How often the server asks for closer rungs before it sends what may be known.
pub const NARROW_ROUNDS_MAX: u32 = 4;
/// A gap of at most so many blocks in front of a fork is sent rather than asked about.
pub const NARROW_GAP_BLOCKS: u64 = 64;
/// Blocks pushed by one peer that the engine has not consumed yet, in bytes; more are dropped (and fetched later).
pub const PUSHED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Milliseconds between two digests to random members.
pub const DIGEST_INTERVAL_MS: u64 = 3_000;
/// Milliseconds after which applied blocks of others are announced.
pub const ANNOUNCE_DELAY_MS: u64 = 100;
/// Milliseconds that an announced or missing block may take to come by itself before its sender is asked.
pub const MISSING_GRACE_MS: u64 = 50;
/// Milliseconds until it is looked for again when another peer is being asked for it.
pub const COMING_GRACE_MS: u64 = 200;
/// Milliseconds that a peer which is being asked may be silent before others are asked for the same.
pub const ANSWER_PATIENCE_MS: u64 = 1_000;
/// Milliseconds between two unasked frontiers to one peer.
pub const FRONTIER_INTERVAL_MS: u64 = 500;
/// Milliseconds that an answer (Frontier, the next bundle while credit is out) may take. For a Hello see [`HELLO_INTERVAL_MS`].
pub const ANSWER_TIMEOUT_MS: u64 = 15_000;
/// Milliseconds before an unanswered Hello is sent again, where an answer may be on its way for seconds ([`Config::hello_ms`]).
pub const HELLO_INTERVAL_MS: u64 = 2_000;
/// Milliseconds that a server waits for credit before it forgets a round.
pub const SERVE_TIMEOUT_MS: u64 = 120_000;
/// First and greatest wait after a failed round, in milliseconds.
pub const BACKOFF_MS: (u64, u64) = (500, 60_000);
/// Points at which a peer is banned.
pub const OFFENCE_POINTS_MAX: u32 = 100;
/// How long a ban lasts, in milliseconds.
pub const BAN_MS: u64 = 600_000;
