//! The state machine: sessions, greetings, digests, timers, and where messages go.

use std::collections::{BTreeMap, HashMap, VecDeque};

use p2pdb_model::RealmId;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{Cid, NodeId};

use crate::event::{Action, Event, Lane, NodePeer, Now, Token};
use crate::message::{AdmissionAnswer, Digest, Hello, Message, StateProof};
use crate::peer::{Known, Peer};
use crate::source::BlockSource;
use crate::*;

/// A message that cannot be: at once the whole ban.
pub(crate) const POINTS_GARBAGE: u32 = OFFENCE_POINTS_MAX;
/// A message out of place: some may be races.
pub(crate) const POINTS_OUT_OF_PLACE: u32 = 10;
/// Wait before a clogged peer is tried again.
const CLOGGED_MS: u64 = 1_000;

/// What a node is to its peers.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// This node.
    pub local: NodeId,
    /// The realm.
    pub realm: RealmId,
    /// The newest rules number known here.
    pub rules: u32,
    /// Randomness: differs between nodes and between starts.
    pub seed: u64,
    /// Milliseconds before an unanswered Hello is sent again: it goes down with one of two connections that were made at once.
    pub hello_ms: u64,
}

impl Config {
    /// For a network of which nothing is known but that answers may take seconds.
    pub fn new(local: NodeId, realm: RealmId, rules: u32, seed: u64) -> Self {
        Config { local, realm, rules, seed, hello_ms: HELLO_INTERVAL_MS }
    }
}

/// See the crate.
#[derive(Debug)]
pub struct Sync {
    pub(crate) config: Config,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) deliveries: HashMap<Token, DeliveryState>,
    pub(crate) next_token: u64,
    /// Blocks delivered lately, so that a second copy need not be.
    pub(crate) delivered: Known,
    asking: Option<NodeId>,
    next_digest_ms: Option<u64>,
    random: u64,
    /// The last peer that was served, so that they take turns.
    pub(crate) served_last: Option<NodeId>,
}

/// A delivery that the engine has not consumed.
#[derive(Debug)]
pub(crate) struct DeliveryState {
    pub(crate) peer: NodeId,
    /// The session it came in.
    pub(crate) session: u64,
    /// The round, or the bytes of a push.
    pub(crate) kind: DeliveryKind,
    pub(crate) cids: Vec<Cid>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum DeliveryKind {
    Round(u32),
    Push(usize),
}

/// A peer, for `status` and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub peer: NodeId,
    /// Its standing.
    pub standing: NodePeer,
    /// It has introduced itself.
    pub greeted: bool,
    /// The newest rules number it knows.
    pub rules: u32,
    /// Its wall clock minus ours, milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// Its frontier was ours when we last heard of it.
    pub equal: Option<bool>,
    /// Blocks that are still to be fetched from it (an estimate from sequence numbers), in a round.
    pub fetching: Option<u64>,
    /// We are sending it blocks.
    pub serving: bool,
    /// Rounds with it that failed in a row.
    pub failures: u32,
}

impl Sync {
    /// A machine without peers.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            actions: VecDeque::new(),
            deliveries: HashMap::new(),
            next_token: 0,
            delivered: Known::default(),
            asking: None,
            next_digest_ms: None,
            random: config.seed | 1,
            served_last: None,
        }
    }

    /// Takes an event. Reads of the source happen here and in [`Self::poll`].
    pub fn handle<S: BlockSource>(&mut self, event: Event, now: Now, source: &S) {
        match event {
            Event::Tick => {}
            Event::PeerConnected { peer, standing } => self.on_connected(peer, standing, now),
            Event::PeerDisconnected { peer } => self.on_disconnected(peer, now),
            Event::Frame { peer, lane, bytes } => self.on_frame(peer, lane, &bytes, now, source),
            Event::Gossip { peer, id, bytes } => self.on_gossip(peer, id, &bytes, now, source),
            Event::SendFailed { peer } => self.on_send_failed(peer, now),
            Event::Sealed { blocks } => self.on_sealed(blocks, now),
            Event::Applied => self.on_applied(now),
            Event::Consumed { token, outcome } => self.on_consumed(token, outcome, now, source),
            Event::AskTips { author } => {
                self.asking = Some(author);
                let ready: Vec<NodeId> = self.ready().collect();
                for peer in ready {
                    self.send(peer, &Message::GetTips(author));
                }
            }
            Event::StopAskingTips => self.asking = None,
            Event::RequestAdmission { peer, request } => self.send(peer, &Message::Admit(request)),
            Event::ShowWitness { peer, envelope } => self.send(peer, &Message::Witness(envelope.into())),
            Event::AnswerAdmission { peer, answer } => self.send(peer, &Message::Admission(answer)),
        }
        self.tick(now, source);
    }

    /// The next thing to do. Bundles are made here, one per call, so a caller that stops polling stops reading.
    pub fn poll<S: BlockSource>(&mut self, now: Now, source: &S) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        self.serve_next(now, source);
        self.actions.pop_front()
    }

    /// When [`Event::Tick`] is due, on the monotonic clock.
    pub fn timeout_ms(&self) -> Option<u64> {
        let peers = self.peers.values().filter_map(Peer::due_ms).min();
        let digest = self.next_digest_ms.filter(|_| !self.peers.is_empty());
        [peers, digest].into_iter().flatten().min()
    }

    /// All peers.
    pub fn peers<S: BlockSource>(&self, source: &S) -> Vec<PeerStatus> {
        let ours = source.frontier_digest().ok();
        let status = |(node, p): (&NodeId, &Peer)| PeerStatus {
            peer: *node,
            standing: p.standing,
            greeted: p.greeted,
            rules: p.rules,
            clock_offset_ms: p.clock_offset_ms,
            equal: p.their_digest.zip(ours).map(|(a, b)| a == b),
            fetching: p.fetch.as_ref().map(|f| f.wanted.saturating_sub(f.blocks)),
            serving: p.serve.is_some(),
            failures: p.failures,
        };
        self.peers.iter().map(status).collect()
    }

    pub(crate) fn ready(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().filter(|(_, p)| p.is_ready()).map(|(n, _)| *n)
    }

    /// xorshift64 (Marsaglia, 2003): choice among peers needs no better.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    pub(crate) fn send(&mut self, peer: NodeId, message: &Message) {
        let bytes = message.encode();
        let lane = match message {
            Message::Admit(_) | Message::Admission(_) | Message::Witness(_) => Lane::Join,
            Message::Bundle(_) => Lane::Bulk,
            _ if bytes.len() > CONTROL_MESSAGE_BYTES_MAX => Lane::Bulk,
            _ => Lane::Control,
        };
        self.actions.push_back(Action::Send { peer, lane, bytes });
    }

    /// Unwraps a read of the log; a failure is reported.
    pub(crate) fn read<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(e) => {
                self.actions.push_back(Action::Fault { reason: format!("cannot read the log: {e}") });
                None
            }
        }
    }

    pub(crate) fn offence(&mut self, peer: NodeId, points: u32, reason: String, now: Now) {
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        if p.offend(points, now.mono_ms) {
            // The session's end is reported by the node; until then nothing of this peer is listened to.
            self.drop_fetch(peer, false);
            self.peers.remove(&peer);
            self.actions.push_back(Action::Ban { peer, time_ms: BAN_MS, reason });
            self.ask_deferred(now);
        }
    }

    fn on_connected(&mut self, peer: NodeId, standing: NodePeer, now: Now) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            return;
        }
        self.drop_fetch(peer, false);
        let session = self.random();
        self.peers.insert(peer, Peer::new(standing, session, now.mono_ms));
        if self.next_digest_ms.is_none() {
            self.next_digest_ms = Some(now.mono_ms + DIGEST_INTERVAL_MS);
        }
    }

    fn on_disconnected(&mut self, peer: NodeId, now: Now) {
        self.drop_fetch(peer, false);
        self.peers.remove(&peer);
        self.ask_deferred(now);
    }

    fn on_send_failed(&mut self, peer: NodeId, now: Now) {
        if let Some(p) = self.peers.get_mut(&peer) {
            p.clogged_until_ms = Some(now.mono_ms + CLOGGED_MS);
            p.broken_serve = p.serve.take().map(|s| s.round).or(p.broken_serve);
        }
    }

    fn on_frame<S: BlockSource>(&mut self, peer: NodeId, lane: Lane, bytes: &[u8], now: Now, source: &S) {
        let Some(p) = self.peers.get(&peer) else {
            return;
        };
        let (standing, greeted) = (p.standing, p.greeted);
        let max = match lane {
            Lane::Control => CONTROL_MESSAGE_BYTES_MAX,
            Lane::Bulk => BULK_MESSAGE_BYTES_MAX,
            Lane::Join => JOIN_MESSAGE_BYTES_MAX,
        };
        if bytes.len() > max {
            let reason = format!("a message of {} bytes on the {lane:?} lane", bytes.len());
            return self.offence(peer, POINTS_GARBAGE, reason, now);
        }
        let message = match Message::decode(bytes) {
            Ok(message) => message,
            Err(e) => return self.offence(peer, POINTS_GARBAGE, e.to_string(), now),
        };
        let costly = matches!(
            message,
            Message::Hello(_)
                | Message::GetFrontier
                | Message::Frontier(_)
                | Message::Want { .. }
                | Message::Narrow { .. }
                | Message::GetTips(_)
                | Message::Admit(_)
                | Message::Witness(_)
        );
        if costly && !self.peers.get_mut(&peer).is_some_and(|p| p.may_request(now.mono_ms)) {
            let reason = format!("sends {} without pause", message.name());
            return self.offence(peer, POINTS_OUT_OF_PLACE, reason, now);
        }
        match message {
            Message::Admit(request) => {
                if request.node != peer {
                    let reason = "asks for admission in another node's name".to_owned();
                    return self.offence(peer, POINTS_GARBAGE, reason, now);
                }
                if let Some(p) = self.peers.get_mut(&peer) {
                    p.asked = true;
                }
                if request.realm != self.config.realm.0 {
                    return self.send(peer, &Message::Admission(AdmissionAnswer::OtherRealm));
                }
                self.actions.push_back(Action::AdmissionRequested { peer, request });
            }
            Message::Admission(answer) => {
                if let Some(p) = self.peers.get_mut(&peer) {
                    // Whom it refuses is a stranger to it still: a greeting would be held against us.
                    p.to_it_strange = !matches!(answer, AdmissionAnswer::Admitted { .. });
                }
                self.actions.push_back(Action::AdmissionAnswered { peer, answer });
            }
            // A member's is late: it is known by now.
            Message::Witness(_) if standing == NodePeer::Member => {}
            Message::Witness(envelope) => {
                self.actions.push_back(Action::Witnessed { peer, envelope: envelope.into_vec() });
            }
            other if standing == NodePeer::NotMember => {
                let reason = format!("a stranger sends {}", other.name());
                self.offence(peer, POINTS_OUT_OF_PLACE, reason, now);
            }
            Message::Hello(hello) => self.on_hello(peer, hello, now, source),
            // Lanes overtake each other, so this may come from a session that has ended.
            _ if !greeted => {}
            Message::Digest(digest) => self.on_digest(peer, digest, now, source),
            Message::GetFrontier => self.send_frontier(peer, now, source),
            Message::Frontier(theirs) => self.on_frontier(peer, &theirs, now, source),
            Message::Want { round, have, credits } => {
                self.on_want(peer, round, &have, credits, now, source);
            }
            Message::Narrow { round, gaps } => self.on_narrow(peer, round, &gaps, now, source),
            Message::Bundle(bundle) => self.on_bundle(peer, &bundle, now),
            Message::Credit { round, bundles } => self.on_credit(peer, round, bundles, now),
            Message::Stop { round, server, reason } => self.on_stop(peer, round, server, reason, now),
            Message::Push(blocks) => self.on_push(peer, blocks, now, source),
            Message::Announce { cids, ask } => self.on_announce(peer, cids, ask, now, source),
            Message::GetTips(author) => {
                if let Some(mut tips) = self.read(source.tips_of(&author)) {
                    tips.truncate(message::AUTHOR_TIPS_MAX);
                    self.send(peer, &Message::Tips { author, tips });
                }
            }
            Message::Tips { author, tips } => {
                if self.asking == Some(author) {
                    self.actions.push_back(Action::TipsOf { peer, author, tips });
                }
            }
        }
    }

    fn digest<S: BlockSource>(&mut self, now: Now, source: &S) -> Option<Digest> {
        let frontier = self.read(source.frontier_digest())?;
        let state = self.read(source.state())?;
        Some(Digest { frontier, state, wall_ms: now.wall_ms })
    }

    fn send_hello<S: BlockSource>(&mut self, peer: NodeId, now: Now, source: &S) {
        let Some(digest) = self.digest(now, source) else {
            return;
        };
        let (realm, rules) = (self.config.realm.0, self.config.rules);
        if let Some(p) = self.peers.get_mut(&peer) {
            p.hello_due_ms = now.mono_ms + self.config.hello_ms;
            let (session, seen) = (p.session, p.their_session);
            let hello = Hello { version: PROTOCOL_VERSION, realm, rules, session, seen, digest };
            self.send(peer, &Message::Hello(hello));
        }
    }

    fn on_hello<S: BlockSource>(&mut self, peer: NodeId, hello: Hello, now: Now, source: &S) {
        let incompatible = if hello.version != PROTOCOL_VERSION {
            Some(format!("speaks version {} of the protocol, we speak {PROTOCOL_VERSION}", hello.version))
        } else if hello.realm != self.config.realm.0 {
            Some(format!("belongs to the realm {}, we to {}", hello.realm, self.config.realm))
        } else {
            None
        };
        if let Some(reason) = incompatible {
            self.drop_fetch(peer, false);
            self.peers.remove(&peer);
            self.actions.push_back(Action::Incompatible { peer, reason });
            return;
        }
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        p.to_it_strange = false;
        let fresh = p.their_session != Some(hello.session);
        if fresh {
            p.renew();
            p.their_session = Some(hello.session);
        }
        p.rules = hello.rules;
        let (greet, answer) = (!p.greeted || fresh, hello.seen != Some(p.session));
        p.greeted = true;
        if fresh {
            self.drop_fetch(peer, false);
        }
        if answer {
            self.send_hello(peer, now, source);
        }
        if greet {
            self.actions.push_back(Action::Greeted { peer, rules: hello.rules });
            if let Some(author) = self.asking {
                self.send(peer, &Message::GetTips(author));
            }
        }
        self.note_digest(peer, &hello.digest, now);
        let ours = self.read(source.frontier_digest());
        if greet && ours.is_some_and(|d| d != hello.digest.frontier) {
            self.send_frontier(peer, now, source);
        }
    }

    /// What a digest says beside the frontier.
    fn note_digest(&mut self, peer: NodeId, digest: &Digest, now: Now) {
        let offset_ms =
            i64::try_from(i128::from(digest.wall_ms) - i128::from(now.wall_ms)).unwrap_or(i64::MAX);
        if let Some(p) = self.peers.get_mut(&peer) {
            p.clock_offset_ms = Some(offset_ms);
            p.their_digest = Some(digest.frontier);
        }
        self.actions.push_back(Action::ClockOffset { peer, offset_ms });
        if let Some(state) = digest.state {
            self.compare(peer, state);
        }
    }

    fn compare(&mut self, peer: NodeId, state: StateProof) {
        self.actions.push_back(Action::CompareFingerprint { peer, state });
    }

    fn on_digest<S: BlockSource>(&mut self, peer: NodeId, digest: Digest, now: Now, source: &S) {
        self.note_digest(peer, &digest, now);
        if self.read(source.frontier_digest()).is_some_and(|d| d != digest.frontier) {
            self.ask_frontier(peer, now);
        }
    }

    pub(crate) fn send_digest<S: BlockSource>(&mut self, peer: NodeId, now: Now, source: &S) {
        if let Some(digest) = self.digest(now, source) {
            self.send(peer, &Message::Digest(digest));
        }
    }

    /// Asks for a frontier, unless an answer, a round or the end of a back-off is awaited.
    pub(crate) fn ask_frontier(&mut self, peer: NodeId, now: Now) {
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        let busy = p.frontier_due_ms.is_some() || p.fetch.is_some();
        if !p.is_ready() || busy || fault::on(Fault::CatchUpForgotten) {
            return;
        }
        if p.not_before_ms > now.mono_ms {
            p.deferred = true;
            return;
        }
        p.frontier_due_ms = Some(now.mono_ms + ANSWER_TIMEOUT_MS);
        self.send(peer, &Message::GetFrontier);
    }

    pub(crate) fn send_frontier<S: BlockSource>(&mut self, peer: NodeId, now: Now, source: &S) {
        let frontier = self.read(source.frontier());
        let digest = self.read(source.frontier_digest());
        let (Some(frontier), Some(digest)) = (frontier, digest) else {
            return;
        };
        if frontier.chains().len() > FRONTIER_CHAINS_MAX {
            let reason = format!("{} chains are more than a frontier message holds", frontier.chains().len());
            self.actions.push_back(Action::Fault { reason });
            return;
        }
        if let Some(p) = self.peers.get_mut(&peer) {
            p.sent_frontier = Some((now.mono_ms, digest));
            self.send(peer, &Message::Frontier(frontier));
        }
    }

    /// Whatever is due.
    fn tick<S: BlockSource>(&mut self, now: Now, source: &S) {
        let ms = now.mono_ms;
        if self.next_digest_ms.is_some_and(|due| due <= ms) {
            self.next_digest_ms = Some(ms + DIGEST_INTERVAL_MS);
            let ready: Vec<NodeId> = self.ready().collect();
            if !ready.is_empty() {
                let peer = ready[(self.random() % ready.len() as u64) as usize];
                self.send_digest(peer, now, source);
            }
        }
        let due: Vec<NodeId> =
            self.peers.iter().filter(|(_, p)| p.due_ms().is_some_and(|d| d <= ms)).map(|(n, _)| *n).collect();
        for peer in due {
            self.tick_peer(peer, now, source);
        }
    }

    fn tick_peer<S: BlockSource>(&mut self, peer: NodeId, now: Now, source: &S) {
        let ms = now.mono_ms;
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        if p.frontier_due_ms.is_some_and(|d| d <= ms) {
            p.frontier_due_ms = None;
            p.fail(ms);
            p.deferred = true;
        }
        if p.serve.as_ref().is_some_and(|s| s.progress_ms + SERVE_TIMEOUT_MS <= ms) {
            p.serve = None;
        }
        let clogged = p.clogged_until_ms.is_some_and(|d| d <= ms);
        let broken_serve = if clogged { p.broken_serve.take() } else { None };
        if clogged {
            p.clogged_until_ms = None;
        }
        let standing = p.standing;
        let hello = p.is_to_be_greeted() && p.hello_due_ms <= ms;
        let stalled =
            p.fetch.as_ref().is_some_and(|f| f.awaits_peer() && f.progress_ms + ANSWER_TIMEOUT_MS <= ms);
        let deferred = p.deferred && p.not_before_ms <= ms;
        let announce = p.announce_due_ms.is_some_and(|d| d <= ms);
        let awaited = p.awaited_due_ms.is_some_and(|d| d <= ms);
        if hello && standing == NodePeer::NotMember {
            p.hello_due_ms = ms + self.config.hello_ms;
            self.send(peer, &Message::Admission(AdmissionAnswer::Stranger));
        } else if hello {
            self.send_hello(peer, now, source);
        }
        if clogged {
            if let Some(round) = broken_serve {
                self.send(peer, &Message::stopped(round, None));
            }
            self.send_digest(peer, now, source);
        }
        if stalled {
            self.break_off(peer, now);
        }
        if announce {
            self.announce_heads(peer, source);
        }
        if awaited {
            self.check_awaited(peer, now, source);
        }
        if deferred && let Some(p) = self.peers.get_mut(&peer) {
            p.deferred = false;
            p.not_before_ms = 0;
            self.ask_frontier(peer, now);
        }
    }

    /// Those that had what we have now, by what they said last, need not be asked.
    pub(crate) fn forget_equal<S: BlockSource>(&mut self, source: &S) {
        let ours = self.read(source.frontier_digest());
        for p in self.peers.values_mut().filter(|p| p.deferred && p.their_digest == ours) {
            p.deferred = false;
        }
    }

    /// Asks those that were put off because another peer was being asked.
    pub(crate) fn ask_deferred(&mut self, now: Now) {
        let deferred: Vec<NodeId> = self.peers.iter().filter(|(_, p)| p.deferred).map(|(n, _)| *n).collect();
        for peer in deferred {
            if let Some(p) = self.peers.get_mut(&peer) {
                p.deferred = false;
            }
            self.ask_frontier(peer, now);
        }
    }
}
