//! Large worlds: a thousand light nodes on one thread, for gossip and catch-up.
//!
//! A light node has the real sync machine, the real DAG and real signed blocks; it has no engine, no tables and no
//! disk. Its log is a [`p2pdb_sync::MemoryLog`], and the bytes of a block are there once for all nodes. Around it stands a model of what
//! the program adds: whom a node dials ([`world`]), libp2p's gossipsub ([`gossip`]), an uplink of so many
//! bits. A [`scenario`] is carried out from a seed on a fake clock: the same seed gives the same trace.
//!
//! What is judged: at the end all running nodes hold equal blocks and none waits; every block came after its
//! parents; nobody was banned; nobody was sent the same block by catch-up again and again; and then there is silence.
//!
//! Not here: what tables become (the worlds of whole nodes see to that), admission, bad peers.

pub mod figures;
pub mod gossip;
pub mod ledger;
pub mod node;
pub mod scenario;
pub mod world;
