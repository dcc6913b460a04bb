//! libp2p's gossipsub, as far as it decides who gets which message when.
//!
//! Numbers are the defaults of `libp2p-gossipsub`, which `node/src/net/behaviour.rs` keeps: a mesh of 5 to 12 peers, six wanted; one's own
//! messages go to all peers (flood publishing); others' go to the mesh, after the verdict; every second the names of
//! the messages of the last three seconds go to some peers outside the mesh, which ask for what they lack.
//! (gossipsub v1.1, <https://github.com/libp2p/specs/blob/master/pubsub/gossipsub/gossipsub-v1.1.md>)
//!
//! Simpler here: a mesh edge appears and goes on both sides at once, there are no scores, and no IDONTWANT, which the
//! library sends only for messages of more than 1,000 bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::random::Random;

/// Peers wanted in the mesh, least and greatest.
pub const MESH: (usize, usize, usize) = (6, 5, 12);
/// Seconds that a message can be asked for.
const HISTORY: usize = 5;
/// Seconds that its name is told.
const HISTORY_TOLD: usize = 3;
/// Names are told to so many at least, or to a quarter of those outside the mesh.
const LAZY: (usize, usize) = (6, 4);
/// How often one peer may ask for a message.
const RETRANSMISSIONS: u32 = 3;
/// After so long without an answer another peer is asked.
const PROMISE_US: u64 = 3_000_000;
/// Bytes of a frame around a message or a list of names, and of a name.
pub const FRAME_BYTES: usize = 60;
/// Bytes of a message's name.
pub const NAME_BYTES: usize = 22;

/// A message's number in its world.
pub type MessageNo = u32;

/// What gossip says between two nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rpc {
    /// A message.
    Publish(MessageNo),
    /// Names of messages that the sender has.
    Have(Vec<MessageNo>),
    /// Messages that the sender would like.
    Want(Vec<MessageNo>),
}

/// One node's part.
#[derive(Debug)]
pub struct Gossip {
    /// To whom messages are forwarded.
    pub mesh: BTreeSet<usize>,
    seen: BTreeSet<MessageNo>,
    /// Messages that can be asked for, by age in seconds, youngest first.
    cache: VecDeque<Vec<MessageNo>>,
    given: BTreeMap<(usize, MessageNo), u32>,
    promised: BTreeMap<MessageNo, u64>,
}

impl Default for Gossip {
    fn default() -> Self {
        Gossip {
            mesh: BTreeSet::new(),
            seen: BTreeSet::new(),
            cache: VecDeque::from([Vec::new()]),
            given: BTreeMap::new(),
            promised: BTreeMap::new(),
        }
    }
}

impl Gossip {
    /// True when the message was not seen before.
    pub fn see(&mut self, message: MessageNo) -> bool {
        self.promised.remove(&message);
        self.seen.insert(message)
    }

    /// It is good, or one's own: others may ask for it.
    pub fn keep(&mut self, message: MessageNo) {
        self.cache[0].push(message);
    }

    /// Of these names those to ask for.
    pub fn wanted(&mut self, names: &[MessageNo], now_us: u64) -> Vec<MessageNo> {
        let lacks = |m: &&MessageNo| {
            !self.seen.contains(m) && self.promised.get(m).is_none_or(|at| at + PROMISE_US <= now_us)
        };
        let wanted: Vec<MessageNo> = names.iter().filter(lacks).copied().collect();
        for m in &wanted {
            self.promised.insert(*m, now_us);
        }
        wanted
    }

    /// Of these messages those that this peer gets.
    pub fn answer(&mut self, peer: usize, names: &[MessageNo]) -> Vec<MessageNo> {
        let mut out = Vec::new();
        for m in names.iter().filter(|m| self.cache.iter().any(|w| w.contains(m))) {
            let given = self.given.entry((peer, *m)).or_default();
            *given += 1;
            if *given <= RETRANSMISSIONS {
                out.push(*m);
            }
        }
        out
    }

    /// Once a second: to whom to tell which names.
    pub fn beat(&mut self, links: &BTreeSet<usize>, random: &mut Random) -> (Vec<usize>, Vec<MessageNo>) {
        let names: Vec<MessageNo> = self.cache.iter().take(HISTORY_TOLD).flatten().copied().collect();
        self.cache.push_front(Vec::new());
        self.cache.truncate(HISTORY);
        if names.is_empty() {
            self.given.clear();
            return (Vec::new(), names);
        }
        let mut outside: Vec<usize> = links.difference(&self.mesh).copied().collect();
        random.shuffle(&mut outside);
        outside.truncate(LAZY.0.max(outside.len() / LAZY.1));
        (outside, names)
    }
}
