//! Many light nodes under one clock.
//!
//! Whom a node is connected to follows `node/src/net`: it stays connected to its hubs (the addresses it was given) and dials others while it
//! has fewer than [`PEERS_DIRECT_MAX`] peers; it takes whoever dials it, up to [`CONNECTIONS_MAX`]. All addresses are known to all, and
//! dialling costs nothing but a second. A side that is killed or cut off is noticed after ten to fifteen seconds.
//! An engine takes a delivery in [`TAKE_US`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use p2pdb_model::ids::NodeId;
use p2pdb_sync::{Action, Event, HeldBlock, Lane, NodePeer, Now, Outcome, PEERS_DIRECT_MAX, Shelf};

use super::figures::{Traffic, kind};
use super::gossip::{FRAME_BYTES, MESH, MessageNo, NAME_BYTES, Rpc};
use super::ledger::Ledger;
use super::node::{Node, genesis};
use crate::network::Network;
use crate::oracle::Failure;
use crate::plan::Network as Weather;
use crate::random::Random;
use crate::trace::Trace;

/// As `node/src/net/mod.rs`: connections of one node.
const CONNECTIONS_MAX: usize = 256;
/// An engine's time for a delivery and for each block of it, microseconds.
const TAKE_US: (u64, u64) = (2_000, 30);
/// From a dial to the session, microseconds.
const HANDSHAKE_US: u64 = 150_000;
/// A tenth of the nodes dials and gossips in every step of this length, microseconds.
const BEAT_US: u64 = 100_000;
const BEATS: usize = 10;
/// A lost connection is noticed after so long, milliseconds.
const NOTICE_MS: (u64, u64) = (10_000, 15_000);
/// One hub for so many nodes, and at least two.
const NODES_PER_HUB: usize = 100;
/// Hubs that a node was told of.
const HUBS_TOLD: usize = 2;
/// The wall clock when a world begins, milliseconds since the Unix epoch.
const WALL_MS: u64 = 1_767_323_045_000;
/// Gossip has a stream of its own; this lane's numbers are free, as nobody is admitted here.
const GOSSIP_LANE: Lane = Lane::Join;

enum Happening {
    Frame { from: usize, to: usize, epoch: u64, lane: Lane, bytes: Arc<Vec<u8>> },
    Gossip { from: usize, to: usize, epoch: u64, rpc: Rpc },
    Timer(usize),
    Taken { node: usize, start: u64 },
    Connect(usize, usize),
    Gone { of: usize, to: usize, epoch: u64 },
    Beat,
    Do(Deed),
}

/// What a scenario does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// A node writes a block, if it is up.
    Write(usize),
    /// A node comes up.
    Start(usize),
    /// A node goes down; its peers notice at once, or (killed) late.
    Stop {
        /// Which.
        node: usize,
        /// Without a word.
        killed: bool,
    },
    /// The network falls into parts, by node: nothing goes from one part to another.
    Part(Vec<usize>),
    /// It is one again.
    Heal,
}

/// See the module.
pub struct World {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// What all nodes have made.
    pub ledger: Ledger,
    /// Frames since [`World::begin_to_count`].
    pub traffic: Traffic,
    /// What happened.
    pub trace: Trace,
    /// The scenario's own dice.
    pub random: Random,
    now_us: u64,
    last_hold_us: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    queued: u64,
    network: Network,
    index: BTreeMap<NodeId, usize>,
    shelf: Shelf,
    /// Gossip messages by number.
    published: Vec<Arc<Vec<u8>>>,
    numbers: HashMap<Arc<Vec<u8>>, MessageNo>,
    failure: Option<Failure>,
    beats: usize,
}

impl World {
    /// Nodes that are down and hold the first block.
    pub fn new(nodes: usize, seed: u64, weather: Weather, show: bool) -> Self {
        let genesis = genesis();
        let mut world = World {
            nodes: (0..nodes).map(|n| Node::new(n, &genesis)).collect(),
            ledger: Ledger::new(nodes),
            traffic: Traffic::default(),
            trace: Trace::new(false, show),
            random: Random::named(seed, "light"),
            now_us: 0,
            last_hold_us: 0,
            queue: BTreeMap::new(),
            queued: 0,
            network: Network::new(nodes, weather, Random::named(seed, "light network")),
            index: BTreeMap::new(),
            shelf: Shelf::default(),
            published: Vec::new(),
            numbers: HashMap::new(),
            failure: None,
            beats: 0,
        };
        world.shelf.put(genesis.clone());
        world.ledger.enter(&genesis, 0);
        let hubs = (nodes / NODES_PER_HUB).max(2).min(nodes);
        for n in 0..nodes {
            world.index.insert(world.nodes[n].id, n);
            let mut told: Vec<usize> = (0..hubs).filter(|h| *h != n).collect();
            world.random.shuffle(&mut told);
            told.truncate(HUBS_TOLD);
            world.nodes[n].hubs = told;
            world.hold(n, &genesis);
        }
        world.put(0, Happening::Beat);
        world
    }

    /// Now, milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    fn now(&self) -> Now {
        Now { mono_ms: self.now_ms(), wall_ms: WALL_MS + self.now_ms() }
    }

    /// When the last block was applied somewhere, milliseconds.
    pub fn last_hold_ms(&self) -> u64 {
        self.last_hold_us.div_ceil(1_000)
    }

    /// Blocks by these authors, one after the other, that some nodes hold from the beginning.
    pub fn give_history(&mut self, blocks: usize, authors: &[usize], to: impl Fn(usize) -> bool) {
        let mut last = authors[0];
        for b in 0..blocks {
            let n = authors[b * authors.len() / blocks];
            if last != n {
                // It goes on where the one before it was, so that each sees all before it.
                self.nodes[n].log = self.nodes[last].log.prefix(usize::MAX);
                last = n;
            }
            let at_ms = self.now_ms() + b as u64;
            let held = self.nodes[n].write(at_ms, &mut self.random);
            self.shelf.put(held.clone());
            self.ledger.enter(&held, self.now_us);
        }
        for n in (0..self.nodes.len()).filter(|n| to(*n)) {
            if n != last {
                self.nodes[n].log = self.nodes[last].log.prefix(usize::MAX);
            }
            let held: Vec<_> = self.nodes[n].log.blocks_from(1).cloned().collect();
            held.iter().for_each(|h| self.hold(n, h));
        }
    }

    fn put(&mut self, at_us: u64, what: Happening) {
        self.queued += 1;
        self.queue.insert((at_us.max(self.now_us), self.queued), what);
    }

    /// Something is done in so many milliseconds.
    pub fn plan(&mut self, in_ms: u64, deed: Deed) {
        self.put(self.now_us + in_ms * 1_000, Happening::Do(deed));
    }

    fn fail(&mut self, oracle: &'static str, what: String) {
        self.failure.get_or_insert_with(|| Failure::new(oracle, what));
    }

    /// Time passes.
    ///
    /// # Errors
    /// What an oracle saw meanwhile.
    pub fn run_for(&mut self, ms: u64) -> Result<(), Failure> {
        let until = self.now_us + ms * 1_000;
        while let Some((&(at, no), _)) = self.queue.first_key_value()
            && at <= until
        {
            let what = self.queue.remove(&(at, no)).expect("invariant: it was the first");
            self.now_us = at;
            self.happen(what);
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
        }
        self.now_us = until;
        Ok(())
    }

    /// Time passes until all nodes that are up hold all blocks.
    ///
    /// # Errors
    /// When it takes longer than this, or what an oracle saw.
    pub fn run_until_equal(&mut self, within_ms: u64) -> Result<(), Failure> {
        let until = self.now_ms() + within_ms;
        while !self.is_complete() {
            if self.now_ms() >= until {
                let all = self.ledger.len();
                let behind = self.nodes.iter().filter(|n| n.sync.is_some() && n.log.len() < all);
                let behind: Vec<usize> = behind.map(|n| all - n.log.len()).collect();
                let most = behind.iter().max().copied().unwrap_or(0);
                let what =
                    format!("after {within_ms} ms {} nodes lack up to {most} of {all} blocks", behind.len());
                return Err(Failure::new("convergence", what));
            }
            self.run_for(BEAT_US / 1_000)?;
        }
        Ok(())
    }

    /// All nodes that are up hold all blocks.
    pub fn is_complete(&self) -> bool {
        let all = self.ledger.len();
        self.nodes.iter().all(|n| n.sync.is_none() || n.log.len() == all)
    }

    /// From now on frames are counted.
    pub fn begin_to_count(&mut self) {
        self.traffic = Traffic::default();
        for n in &mut self.nodes {
            (n.sent_bytes, n.waiting_peak, n.inbox_peak) = (0, 0, 0);
            n.holdings.served.clear();
        }
    }

    /// Another weather.
    pub fn set_weather(&mut self, weather: Weather) {
        self.network.weather = weather;
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Frame { from, to, epoch, lane, bytes } => {
                if self.network.arrives(from, to, epoch) {
                    let name = kind(&bytes);
                    self.trace
                        .note(self.now_us, format_args!("{to} hears {name} of {} from {from}", bytes.len()));
                    self.traffic.copies += u64::from(name == "push");
                    let peer = self.nodes[from].id;
                    let bytes = Arc::try_unwrap(bytes).unwrap_or_else(|b| b.to_vec());
                    self.event(to, Event::Frame { peer, lane, bytes });
                }
            }
            Happening::Gossip { from, to, epoch, rpc } => {
                if self.network.arrives(from, to, epoch) && self.nodes[to].sync.is_some() {
                    self.on_gossip(from, to, rpc);
                }
            }
            Happening::Timer(n) => {
                if self.nodes[n].timer_us == Some(self.now_us) {
                    self.nodes[n].timer_us = None;
                    self.event(n, Event::Tick);
                    let due = self.nodes[n].sync.as_ref().and_then(|s| s.timeout_ms());
                    if due.is_some_and(|due| due <= self.now_ms()) {
                        self.fail("silence", format!("a timer of {n} does not move on"));
                    }
                }
            }
            Happening::Taken { node, start } => {
                if self.nodes[node].starts == start {
                    self.take(node);
                }
            }
            Happening::Connect(a, b) => self.connect(a, b),
            Happening::Gone { of, to, epoch } => {
                if self.network.side(of, to) == Some(epoch) {
                    self.lose(of, to);
                }
            }
            Happening::Beat => self.beat(),
            Happening::Do(deed) => self.perform(deed),
        }
    }

    fn perform(&mut self, deed: Deed) {
        self.trace.note(self.now_us, format_args!("{deed:?}"));
        match deed {
            Deed::Write(n) if self.nodes[n].sync.is_some() => {
                let at_ms = self.now().wall_ms;
                let held = self.nodes[n].write(at_ms, &mut self.random);
                self.shelf.put(held.clone());
                self.ledger.enter(&held, self.now_us);
                self.hold(n, &held);
                let blocks = vec![(held.block.cid(), held.wire.clone())];
                self.event(n, Event::Sealed { blocks });
            }
            Deed::Write(_) => {}
            Deed::Start(n) => {
                if self.nodes[n].sync.is_none() {
                    let seed = self.random.next();
                    self.nodes[n].start(seed);
                    self.dial(n);
                }
            }
            Deed::Stop { node, killed } => {
                for to in std::mem::take(&mut self.nodes[node].links) {
                    self.network.forget(node, to);
                    self.notice(to, node, killed);
                }
                self.nodes[node].stop();
            }
            Deed::Part(parts) => {
                for a in 0..self.nodes.len() {
                    for b in 0..self.nodes.len() {
                        self.network.set_cut(a, b, parts[a] != parts[b]);
                    }
                    let cut: Vec<usize> =
                        self.nodes[a].links.iter().copied().filter(|b| parts[a] != parts[*b]).collect();
                    for b in cut {
                        self.notice(a, b, true);
                    }
                }
            }
            Deed::Heal => self.network.heal(),
        }
    }

    /// A node will notice that another is gone.
    fn notice(&mut self, of: usize, to: usize, late: bool) {
        if let Some(epoch) = self.network.side(of, to) {
            let (least, most) = if late { NOTICE_MS } else { (20, 60) };
            let in_us = self.random.between(least * 1_000, most * 1_000);
            self.put(self.now_us + in_us, Happening::Gone { of, to, epoch });
        }
    }

    fn lose(&mut self, of: usize, to: usize) {
        self.network.forget(of, to);
        self.nodes[of].links.remove(&to);
        self.unmesh(of, to);
        let peer = self.nodes[to].id;
        self.event(of, Event::PeerDisconnected { peer });
    }

    fn unmesh(&mut self, a: usize, b: usize) {
        self.nodes[a].gossip.mesh.remove(&b);
        self.nodes[b].gossip.mesh.remove(&a);
    }

    fn may_connect(&self, a: usize, b: usize) -> bool {
        let room = |n: usize| self.nodes[n].sync.is_some() && self.nodes[n].links.len() < CONNECTIONS_MAX;
        a != b && room(a) && room(b) && self.network.is_open(a, b)
    }

    fn connect(&mut self, a: usize, b: usize) {
        let both = self.nodes[a].links.contains(&b) && self.nodes[b].links.contains(&a);
        if both || !self.may_connect(a, b) {
            return;
        }
        // One side may not have noticed that the last one is gone; it does now.
        for (of, to) in [(a, b), (b, a)] {
            if self.network.side(of, to).is_some() {
                self.lose(of, to);
            }
        }
        self.network.connect(a, b);
        self.trace.note(self.now_us, format_args!("{a} and {b} are connected"));
        for (of, to) in [(a, b), (b, a)] {
            self.nodes[of].links.insert(to);
            let peer = self.nodes[to].id;
            self.event(of, Event::PeerConnected { peer, standing: NodePeer::Member });
        }
        // The library grafts at once while the mesh is small.
        if self.nodes[a].gossip.mesh.len() < MESH.0 {
            self.graft(a, b);
        }
    }

    fn graft(&mut self, a: usize, b: usize) {
        let linked = self.nodes[b].links.contains(&a) && self.nodes[a].links.contains(&b);
        if linked && self.nodes[b].gossip.mesh.len() < MESH.2 {
            self.nodes[a].gossip.mesh.insert(b);
            self.nodes[b].gossip.mesh.insert(a);
            self.traffic.count("gossip-control", FRAME_BYTES);
        }
    }

    fn dial(&mut self, n: usize) {
        for hub in self.nodes[n].hubs.clone() {
            if !self.nodes[n].links.contains(&hub) && self.may_connect(n, hub) {
                self.put(self.now_us + HANDSHAKE_US, Happening::Connect(n, hub));
            }
        }
        let missing = PEERS_DIRECT_MAX.saturating_sub(self.nodes[n].links.len());
        let (mut dialled, mut tries) = (0, 0);
        while dialled < missing && tries < 2 * PEERS_DIRECT_MAX {
            tries += 1;
            let other = self.random.below(self.nodes.len() as u64) as usize;
            if !self.nodes[n].links.contains(&other) && self.may_connect(n, other) {
                dialled += 1;
                self.put(self.now_us + HANDSHAKE_US, Happening::Connect(n, other));
            }
        }
    }

    fn beat(&mut self) {
        self.put(self.now_us + BEAT_US, Happening::Beat);
        let slot = self.beats % BEATS;
        self.beats += 1;
        for n in (slot..self.nodes.len()).step_by(BEATS) {
            if self.nodes[n].sync.is_some() {
                self.dial(n);
                self.keep_mesh(n);
                let node = &mut self.nodes[n];
                let (to, names) = node.gossip.beat(&node.links, &mut self.random);
                for peer in to {
                    self.send_gossip(n, peer, Rpc::Have(names.clone()));
                }
            }
        }
    }

    fn keep_mesh(&mut self, n: usize) {
        let (wanted, least, most) = MESH;
        let size = self.nodes[n].gossip.mesh.len();
        if size < least {
            let node = &self.nodes[n];
            let mut others: Vec<usize> = node.links.difference(&node.gossip.mesh).copied().collect();
            self.random.shuffle(&mut others);
            for other in others {
                if self.nodes[n].gossip.mesh.len() >= wanted {
                    break;
                }
                self.graft(n, other);
            }
        } else if size > most {
            let mut mesh: Vec<usize> = self.nodes[n].gossip.mesh.iter().copied().collect();
            self.random.shuffle(&mut mesh);
            for other in mesh.split_off(wanted) {
                self.unmesh(n, other);
            }
        }
    }

    fn event(&mut self, n: usize, event: Event) {
        let now = self.now();
        let node = &mut self.nodes[n];
        let Some(sync) = node.sync.as_mut() else { return };
        sync.handle(event, now, &node.log);
        while let Some(node) = self.nodes.get_mut(n)
            && let Some(sync) = node.sync.as_mut()
            && let Some(action) = sync.poll(now, &node.log)
        {
            self.act(n, action);
        }
        self.set_timer(n);
    }

    fn set_timer(&mut self, n: usize) {
        let due_ms = self.nodes[n].sync.as_ref().and_then(|s| s.timeout_ms());
        // What is due in this millisecond was done in it.
        let due_us = due_ms.map(|ms| (ms * 1_000).max((self.now_ms() + 1) * 1_000));
        if due_us != self.nodes[n].timer_us {
            self.nodes[n].timer_us = due_us;
            if let Some(due) = due_us {
                self.put(due, Happening::Timer(n));
            }
        }
    }

    fn act(&mut self, n: usize, action: Action) {
        match action {
            Action::Send { peer, lane, bytes } => {
                let to = self.index[&peer];
                self.transmit(n, to, lane, bytes);
            }
            Action::Publish { bytes } => self.publish(n, bytes),
            Action::GossipVerdict { id, peer, forward } => {
                let message = id as MessageNo;
                match forward {
                    Some(true) => {
                        self.nodes[n].gossip.keep(message);
                        let from = self.index[&peer];
                        let mesh: Vec<usize> = self.nodes[n].gossip.mesh.iter().copied().collect();
                        for to in mesh.into_iter().filter(|to| *to != from) {
                            self.send_gossip(n, to, Rpc::Publish(message));
                        }
                    }
                    Some(false) => self.fail("correct peers", format!("{n} rejects gossip of {peer}")),
                    None => {}
                }
            }
            Action::Deliver(delivery) => {
                let node = &mut self.nodes[n];
                if delivery.catch_up {
                    self.traffic.copies += delivery.blocks.len() as u64;
                    for block in &delivery.blocks {
                        if let Some(number) = self.ledger.number(&block.block.cid()) {
                            node.holdings.serve(number);
                        }
                    }
                }
                let first = node.inbox.is_empty();
                node.inbox.push_back(delivery);
                let inbox = node.inbox.iter().map(|d| d.blocks.len()).sum();
                node.inbox_peak = node.inbox_peak.max(inbox);
                if first {
                    self.take_later(n);
                }
            }
            Action::Ban { peer, reason, .. } => {
                let other = self.index[&peer];
                self.fail("correct peers", format!("{n} bans {other}: {reason}"));
            }
            Action::Incompatible { reason, .. } | Action::Fault { reason } => {
                self.fail("errors", format!("{n}: {reason}"));
            }
            Action::Fetched { complete, .. } => {
                self.traffic.rounds += 1;
                self.traffic.rounds_broken += u64::from(!complete);
            }
            _ => {}
        }
    }

    fn take_later(&mut self, n: usize) {
        let node = &self.nodes[n];
        if let Some(delivery) = node.inbox.front() {
            let us = TAKE_US.0 + TAKE_US.1 * delivery.blocks.len() as u64;
            let start = node.starts;
            self.put(self.now_us + us, Happening::Taken { node: n, start });
        }
    }

    fn take(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let Some(delivery) = node.inbox.pop_front() else { return };
        let before = node.log.len();
        let outcome = match node.log.take(delivery.blocks, &mut self.shelf) {
            Ok(waiting) => Outcome::Done { waiting },
            Err(reason) => Outcome::Offence(reason),
        };
        node.waiting_peak = node.waiting_peak.max(node.log.waiting());
        let new: Vec<Arc<HeldBlock>> = node.log.blocks_from(before).cloned().collect();
        self.trace.note(self.now_us, format_args!("{n} applies {} blocks, has {}", new.len(), before));
        new.iter().for_each(|h| self.hold(n, h));
        self.traffic.applied += new.len() as u64;
        self.event(n, Event::Consumed { token: delivery.token, outcome });
        if !new.is_empty() {
            self.event(n, Event::Applied);
        }
        self.take_later(n);
    }

    fn hold(&mut self, n: usize, held: &HeldBlock) {
        self.last_hold_us = self.now_us;
        let held = self.ledger.hold(&held.block.cid(), &mut self.nodes[n].holdings, self.now_us);
        if let Err(failure) = held {
            self.fail(failure.oracle, format!("{n}: {}", failure.what));
        }
    }

    fn transmit(&mut self, from: usize, to: usize, lane: Lane, bytes: Vec<u8>) {
        let Some(epoch) = self.network.side(from, to) else { return };
        let Ok(leaves) = self.nodes[from].leave(to, lane, bytes.len(), self.now_us) else {
            let (now, peer) = (self.now(), self.nodes[to].id);
            let node = &mut self.nodes[from];
            if let Some(sync) = node.sync.as_mut() {
                sync.handle(Event::SendFailed { peer }, now, &node.log);
            }
            self.traffic.count("not-sent", 0);
            return;
        };
        self.traffic.count(kind(&bytes), bytes.len());
        let bytes = Arc::new(bytes);
        for due in self.network.send(leaves, from, to, lane) {
            self.put(due, Happening::Frame { from, to, epoch, lane, bytes: bytes.clone() });
        }
    }

    fn publish(&mut self, n: usize, bytes: Vec<u8>) {
        let bytes = Arc::new(bytes);
        let next = self.published.len() as MessageNo;
        let message = *self.numbers.entry(bytes.clone()).or_insert(next);
        if message == next {
            self.published.push(bytes);
        }
        if !self.nodes[n].gossip.see(message) {
            return;
        }
        self.nodes[n].gossip.keep(message);
        let peers: Vec<usize> = self.nodes[n].links.iter().copied().collect();
        for to in peers {
            self.send_gossip(n, to, Rpc::Publish(message));
        }
    }

    fn send_gossip(&mut self, from: usize, to: usize, rpc: Rpc) {
        let Some(epoch) = self.network.side(from, to) else { return };
        let (name, bytes) = match &rpc {
            Rpc::Publish(m) => ("gossip", self.published[*m as usize].len()),
            Rpc::Have(names) | Rpc::Want(names) => ("gossip-control", names.len() * NAME_BYTES),
        };
        let bytes = bytes + FRAME_BYTES;
        let Ok(leaves) = self.nodes[from].leave(to, GOSSIP_LANE, bytes, self.now_us) else {
            return self.traffic.count("not-sent", 0);
        };
        self.traffic.count(name, bytes);
        for due in self.network.send(leaves, from, to, GOSSIP_LANE) {
            self.put(due, Happening::Gossip { from, to, epoch, rpc: rpc.clone() });
        }
    }

    fn on_gossip(&mut self, from: usize, to: usize, rpc: Rpc) {
        self.trace.note(self.now_us, format_args!("{to} hears {rpc:?} from {from}"));
        match rpc {
            Rpc::Publish(message) => {
                self.traffic.copies += 1;
                if self.nodes[to].gossip.see(message) {
                    let bytes = self.published[message as usize].to_vec();
                    let peer = self.nodes[from].id;
                    self.event(to, Event::Gossip { peer, id: u64::from(message), bytes });
                }
            }
            Rpc::Have(names) => {
                let wanted = self.nodes[to].gossip.wanted(&names, self.now_us);
                if !wanted.is_empty() {
                    self.send_gossip(to, from, Rpc::Want(wanted));
                }
            }
            Rpc::Want(names) => {
                for message in self.nodes[to].gossip.answer(from, &names) {
                    self.send_gossip(to, from, Rpc::Publish(message));
                }
            }
        }
    }
}
