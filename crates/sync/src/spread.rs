//! How new blocks travel: pushed, gossiped, announced; and how missing ones are asked for.

use std::sync::Arc;

use p2pdb_model::ids::{Cid, NodeId};

use crate::error::Error;
use crate::event::{Action, Lane, Now};
use crate::machine::{DeliveryKind, POINTS_GARBAGE, Sync};
use crate::message::{ANNOUNCE_CIDS_MAX, Message, WireBlock};
use crate::peer::AWAITED_MAX;
use crate::source::{BlockSource, Received};
use crate::*;

impl Sync {
    pub(crate) fn on_sealed(&mut self, blocks: Vec<(Cid, Arc<WireBlock>)>, now: Now) {
        let ready: Vec<NodeId> = self.ready().collect();
        let gossip = self.is_gossiping();
        for (cid, block) in blocks {
            let size = block.size_bytes();
            let most = if gossip { GOSSIP_BYTES_MAX } else { PUSH_BYTES_MAX };
            if size > most {
                self.announce_to(&ready, cid, now);
                continue;
            }
            // One encoding for all.
            let bytes = Message::Push(vec![WireBlock::clone(&block)]).encode();
            let lane = if bytes.len() > GOSSIP_BYTES_MAX { Lane::Bulk } else { Lane::Control };
            if gossip {
                self.actions.push_back(Action::Publish { bytes });
                continue;
            }
            for peer in &ready {
                let Some(p) = self.peers.get_mut(peer) else {
                    continue;
                };
                // Who is being served gets it in the stream; who does not keep up, in a later round.
                if p.serve.is_some() || p.clogged_until_ms.is_some() {
                    continue;
                }
                p.learn(cid);
                self.actions.push_back(Action::Send { peer: *peer, lane, bytes: bytes.clone() });
            }
        }
    }

    fn announce_to(&mut self, peers: &[NodeId], cid: Cid, now: Now) {
        let bytes = Message::Announce { cids: vec![cid], ask: true }.encode();
        for peer in peers {
            let Some(p) = self.peers.get_mut(peer) else {
                continue;
            };
            if p.serve.is_none() && p.clogged_until_ms.is_none() {
                p.learn(cid);
                // Showing the frontier again is wanted as soon as the peer asks.
                p.sent_frontier = p.sent_frontier.filter(|(at, _)| *at > now.mono_ms);
                self.actions.push_back(Action::Send {
                    peer: *peer,
                    lane: Lane::Control,
                    bytes: bytes.clone(),
                });
            }
        }
    }

    pub(crate) fn on_push<S: BlockSource>(
        &mut self,
        peer: NodeId,
        blocks: Vec<WireBlock>,
        now: Now,
        source: &S,
    ) {
        let relay = self.is_gossiping().then(|| blocks.clone());
        match decode_all(blocks) {
            Ok(blocks) => {
                if self.take_pushed(peer, blocks, now, source)
                    && let Some(blocks) = relay
                {
                    self.relay(blocks);
                }
            }
            Err(e) if e.unknown_format().is_some() => {}
            Err(e) => self.offence(peer, POINTS_GARBAGE, e.to_string(), now),
        }
    }

    /// More members are connected than are pushed to.
    fn is_gossiping(&self) -> bool {
        self.ready().count() > PEERS_DIRECT_MAX
    }

    /// The sender of these has few peers, and pushed to them; we have many, so there is more of the realm behind us than
    /// it reaches. The message is the same whoever relays it, so gossip carries it once.
    fn relay(&mut self, blocks: Vec<WireBlock>) {
        let size: usize = blocks.iter().map(WireBlock::size_bytes).sum();
        // What we publish others hold us to.
        let whole = |b: Vec<WireBlock>| decode_all(b).and_then(|b| self.check_whole(b)).is_ok();
        if size <= GOSSIP_BYTES_MAX && whole(blocks.clone()) {
            self.actions.push_back(Action::Publish { bytes: Message::Push(blocks).encode() });
        }
    }

    /// Delivers what is new; true when something was.
    fn take_pushed<S: BlockSource>(
        &mut self,
        peer: NodeId,
        blocks: Vec<Received>,
        now: Now,
        source: &S,
    ) -> bool {
        let mut new = Vec::with_capacity(blocks.len());
        for received in blocks {
            let cid = received.block.cid();
            if let Some(p) = self.peers.get_mut(&peer) {
                p.learn(cid);
            }
            let known = self.read(source.knows(&cid)).unwrap_or(true);
            if !known && self.delivered.insert(cid) {
                new.push(received);
            }
        }
        if new.is_empty() {
            return false;
        }
        let size = |r: &Received| r.block.bytes().len() + r.bodies.iter().map(Vec::len).sum::<usize>();
        let bytes: usize = new.iter().map(size).sum();
        let Some(p) = self.peers.get_mut(&peer) else {
            return false;
        };
        if p.pushed_bytes > 0 && p.pushed_bytes + bytes > PUSHED_BYTES_MAX {
            // The engine does not keep up: let a round bring it.
            let cids: Vec<Cid> = new.iter().map(|r| r.block.cid()).collect();
            for cid in &cids {
                self.delivered.remove(cid);
            }
            self.await_blocks(peer, cids, now);
            return false;
        }
        p.pushed_bytes += bytes;
        let session = p.session;
        self.deliver(peer, session, DeliveryKind::Push(bytes), new);
        true
    }

    pub(crate) fn on_gossip<S: BlockSource>(
        &mut self,
        peer: NodeId,
        id: u64,
        bytes: &[u8],
        now: Now,
        source: &S,
    ) {
        let forward = match Message::decode(bytes) {
            Ok(Message::Push(blocks)) => match decode_all(blocks).and_then(|b| self.check_whole(b)) {
                Ok(blocks) => Some(self.take_pushed(peer, blocks, now, source)).filter(|new| *new),
                Err(e) if e.unknown_format().is_some() => None,
                Err(e) => {
                    self.offence(peer, POINTS_GARBAGE, format!("gossips: {e}"), now);
                    Some(false)
                }
            },
            Ok(Message::Announce { cids, .. }) => {
                self.on_announce(peer, cids, true, now, source);
                Some(true)
            }
            Ok(_) | Err(_) => {
                self.offence(peer, POINTS_GARBAGE, "gossips what is no block".to_owned(), now);
                Some(false)
            }
        };
        self.actions.push_back(Action::GossipVerdict { id, peer, forward });
    }

    /// Signatures and bodies: what every node checks before it forwards. (Whether the author may write is judged
    /// later, from the log.)
    fn check_whole(&self, blocks: Vec<Received>) -> Result<Vec<Received>, Error> {
        for received in &blocks {
            let verified = received.block.clone().verify(&self.config.realm)?;
            verified.check_bodies(received.bodies.iter().map(Vec::as_slice))?;
        }
        Ok(blocks)
    }

    pub(crate) fn on_announce<S: BlockSource>(
        &mut self,
        peer: NodeId,
        cids: Vec<Cid>,
        ask: bool,
        now: Now,
        source: &S,
    ) {
        let mut missing = Vec::new();
        for cid in cids {
            if let Some(p) = self.peers.get_mut(&peer) {
                p.learn(cid);
            }
            if self.read(source.knows(&cid)) == Some(false) {
                missing.push(cid);
            }
        }
        if missing.is_empty() {
            return;
        }
        if ask {
            self.ask_frontier(peer, now);
        }
        // Also after asking: the answer may be on its way while a round is running.
        self.await_blocks(peer, missing, now);
    }

    /// Gives blocks a moment to come by themselves before this peer is asked for them.
    pub(crate) fn await_blocks(&mut self, peer: NodeId, cids: Vec<Cid>, now: Now) {
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        for cid in cids {
            if p.awaited.len() < AWAITED_MAX && !p.awaited.contains(&cid) {
                p.awaited.push(cid);
            }
        }
        if !p.awaited.is_empty() && p.awaited_due_ms.is_none() {
            p.awaited_due_ms = Some(now.mono_ms + MISSING_GRACE_MS);
        }
    }

    pub(crate) fn check_awaited<S: BlockSource>(&mut self, peer: NodeId, now: Now, source: &S) {
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        p.awaited_due_ms = None;
        let mut missing = std::mem::take(&mut p.awaited);
        missing.retain(|cid| self.read(source.holds(cid)) == Some(false));
        if missing.is_empty() {
            return;
        }
        if !missing.iter().all(|cid| self.is_coming(cid, peer, now)) {
            return self.ask_frontier(peer, now);
        }
        if let Some(p) = self.peers.get_mut(&peer) {
            p.awaited = missing;
            p.awaited_due_ms = Some(now.mono_ms + COMING_GRACE_MS);
        }
    }

    /// The engine has it before it, or another peer that has it is being asked and has not been silent for long: so that of
    /// many that announce a block one is asked.
    fn is_coming(&self, cid: &Cid, not_from: NodeId, now: Now) -> bool {
        self.delivered.contains(cid)
            || self.peers.iter().any(|(n, p)| *n != not_from && p.is_answering(now.mono_ms) && p.knows(cid))
    }

    /// Blocks of others were applied: those that may not have them hear of it, in a while and together.
    pub(crate) fn on_applied(&mut self, now: Now) {
        for p in self.peers.values_mut().filter(|p| p.is_ready() && p.serve.is_none()) {
            p.announce_due_ms.get_or_insert(now.mono_ms + ANNOUNCE_DELAY_MS);
        }
    }

    pub(crate) fn announce_heads<S: BlockSource>(&mut self, peer: NodeId, source: &S) {
        let heads = self.read(source.heads());
        let (Some(p), Some(heads)) = (self.peers.get_mut(&peer), heads) else {
            return;
        };
        p.announce_due_ms = None;
        let mut news: Vec<Cid> = heads.into_iter().filter(|c| !p.knows(c)).collect();
        news.truncate(ANNOUNCE_CIDS_MAX);
        if news.is_empty() {
            return;
        }
        for cid in &news {
            p.learn(*cid);
        }
        self.send(peer, &Message::Announce { cids: news, ask: false });
    }
}

fn decode_all(blocks: Vec<WireBlock>) -> Result<Vec<Received>, Error> {
    blocks.into_iter().map(WireBlock::decode).collect()
}
