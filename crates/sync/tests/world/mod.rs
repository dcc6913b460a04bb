//! A world of nodes under a fake clock: real blocks, real DAGs, a model of an engine, a network with faults.
#![allow(dead_code, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use p2pdb_block::{BodyBuilder, Draft, SigningKey, node_id, seal};
use p2pdb_dag::Tip;
use p2pdb_model::change::{AccessChange, Layout, RowChange};
use p2pdb_model::ids::{Cid, NodeId, ObjectKind, PublicKey};
use p2pdb_model::{AccountId, Change, ObjectId, RealmId, Stamp, Value};
use p2pdb_sync::*;

/// A small generator for the world's own choices.
#[derive(Clone)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub struct Node {
    pub key: SigningKey,
    pub id: NodeId,
    pub log: MemoryLog,
    /// Its own: every node verifies for itself.
    pub shelf: Shelf,
    pub sync: Sync,
    /// Tip of the chain that this node writes.
    pub chain: Option<Tip>,
    /// Deliveries wait while true.
    pub asleep: bool,
    pub waiting: Vec<Delivery>,
    pub actions: Vec<Action>,
    pub offences: Vec<String>,
    pub duplicates: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub loss_percent: u64,
    pub duplicate_percent: u64,
    pub latency_ms: (u64, u64),
}

/// From, to, lane, bytes.
type Packet = (usize, usize, Lane, Vec<u8>);

pub struct World {
    pub nodes: Vec<Node>,
    pub now_ms: u64,
    pub rng: Rng,
    pub faults: Faults,
    /// By due time and order of sending.
    packets: BTreeMap<(u64, u64), Packet>,
    sent: u64,
    pub links: BTreeSet<(usize, usize)>,
    pub bytes: BTreeMap<&'static str, u64>,
    pub messages: BTreeMap<&'static str, u64>,
    last_due: BTreeMap<(usize, usize, u8), u64>,
    pub realm: RealmId,
    pub genesis: Arc<HeldBlock>,
}

pub fn key(n: usize) -> SigningKey {
    SigningKey::from_bytes(&[n as u8 + 1; 32])
}

fn account() -> AccountId {
    AccountId::derive("root", "%", &PublicKey([7; 32]))
}

pub fn row(n: u64, size: usize) -> (Layout, Change) {
    let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
    let table = ObjectId::derive(ObjectKind::Table, db, "till", None);
    let tag = |name| ObjectId::derive(ObjectKind::Column, table, name, None).tag();
    let layout = Layout(table, 1, vec![tag("id"), tag("who"), tag("sum")]);
    // Like a row of sysbench: digits that do not repeat.
    let text: String = {
        let mut rng = Rng(n);
        (0..size).map(|_| char::from(b'0' + rng.below(10) as u8)).collect()
    };
    let values = vec![Value::Int(n as i64), Value::Text(text), Value::Int((n as i64).wrapping_mul(3))];
    (layout, Change::Row(RowChange::Insert { layout: 0, key: None, generated: false, values }))
}

impl World {
    pub fn new(nodes: usize, seed: u64) -> Self {
        let mut body = BodyBuilder::new();
        let change = Change::Access(AccessChange::Genesis { name: "world".into(), nonce: [1; 16] });
        body.push(account(), &[], vec![change]).expect("a body");
        let draft = Draft { rules: 1, seq: 1, prev: None, parents: vec![], stamp: Stamp::from_millis(1) };
        let genesis = seal(draft, body.finish(), &key(0), None).expect("a genesis block");
        let realm = RealmId(genesis.cid());
        let genesis = HeldBlock::new(genesis);
        let mut world = Self {
            nodes: Vec::new(),
            now_ms: 1_000,
            rng: Rng(seed),
            faults: Faults { latency_ms: (1, 1), ..Faults::default() },
            packets: BTreeMap::new(),
            sent: 0,
            links: BTreeSet::new(),
            bytes: BTreeMap::new(),
            messages: BTreeMap::new(),
            last_due: BTreeMap::new(),
            realm,
            genesis,
        };
        (0..nodes).for_each(|n| world.add_node(n));
        world
    }

    fn add_node(&mut self, n: usize) {
        let key = key(n);
        let id = node_id(&key);
        let mut log = MemoryLog::new(self.realm);
        log.append(self.genesis.clone()).expect("appendable");
        let chain = (n == 0).then(|| Tip { seq: 1, cid: self.genesis.block.cid() });
        let config = Config::new(id, self.realm, 1, self.rng.next());
        self.nodes.push(Node {
            key,
            id,
            log,
            shelf: Shelf::default(),
            sync: Sync::new(config),
            chain,
            asleep: false,
            waiting: Vec::new(),
            actions: Vec::new(),
            offences: Vec::new(),
            duplicates: 0,
        });
    }

    pub fn now(&self) -> Now {
        Now { mono_ms: self.now_ms, wall_ms: 1_700_000_000_000 + self.now_ms }
    }

    /// Makes a block on all heads; it is not told to sync.
    pub fn seal(&mut self, n: usize, bytes: usize) -> (Cid, Arc<WireBlock>) {
        let salt = self.rng.next() >> 1;
        let node = &mut self.nodes[n];
        let (layout, change) = row(salt, bytes);
        let mut body = BodyBuilder::new();
        body.push(account(), &[layout], vec![change]).expect("a body");
        let parents = node.log.dag().heads().map(|h| h.cid).collect();
        let stamp = Stamp::next(node.log.dag().stamp_floor(), self.now_ms);
        let seq = node.chain.map_or(1, |t| t.seq + 1);
        let draft = Draft { rules: 1, seq, prev: node.chain.map(|t| t.cid), parents, stamp };
        let block = seal(draft, body.finish(), &node.key, Some(&self.realm)).expect("a block");
        node.chain = Some(Tip { seq, cid: block.cid() });
        let held = HeldBlock::new(block);
        node.log.append(held.clone()).expect("appendable");
        (held.block.cid(), held.wire.clone())
    }

    /// Makes a block and lets it out.
    pub fn write(&mut self, n: usize, bytes: usize) {
        let block = self.seal(n, bytes);
        self.event(n, Event::Sealed { blocks: vec![block] });
    }

    pub fn event(&mut self, n: usize, event: Event) {
        let now = self.now();
        let node = &mut self.nodes[n];
        node.sync.handle(event, now, &node.log);
        self.drain(n);
    }

    pub fn connect(&mut self, a: usize, b: usize) {
        if self.links.insert((a.min(b), a.max(b))) {
            for (n, other) in [(a, b), (b, a)] {
                let peer = self.nodes[other].id;
                self.event(n, Event::PeerConnected { peer, standing: NodePeer::Member });
            }
        }
    }

    pub fn connect_all(&mut self) {
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.connect(b, a);
            }
        }
    }

    pub fn cut(&mut self, a: usize, b: usize) {
        if self.links.remove(&(a.min(b), a.max(b))) {
            self.packets.retain(|_, (f, t, ..)| (*f, *t) != (a, b) && (*f, *t) != (b, a));
            for (n, other) in [(a, b), (b, a)] {
                let peer = self.nodes[other].id;
                self.event(n, Event::PeerDisconnected { peer });
            }
        }
    }

    fn index(&self, id: NodeId) -> usize {
        self.nodes.iter().position(|n| n.id == id).expect("a node of this world")
    }

    fn drain(&mut self, n: usize) {
        loop {
            let now = self.now();
            let node = &mut self.nodes[n];
            let Some(action) = node.sync.poll(now, &node.log) else { break };
            self.act(n, action);
        }
    }

    fn act(&mut self, n: usize, action: Action) {
        match action {
            Action::Send { peer, lane, bytes } => {
                let to = self.index(peer);
                self.transmit(n, to, lane, bytes);
            }
            Action::Deliver(delivery) if self.nodes[n].asleep => self.nodes[n].waiting.push(delivery),
            Action::Deliver(delivery) => self.consume(n, delivery),
            Action::Ban { peer, reason, .. } => {
                let other = self.index(peer);
                self.nodes[n].offences.push(reason);
                self.cut(n, other);
            }
            action => self.nodes[n].actions.push(action),
        }
    }

    fn consume(&mut self, n: usize, delivery: Delivery) {
        let node = &mut self.nodes[n];
        let before = node.log.len();
        let dag = &node.log;
        node.duplicates +=
            delivery.blocks.iter().filter(|r| dag.holds(&r.block.cid()).expect("infallible")).count() as u64;
        let outcome = match node.log.take(delivery.blocks, &mut node.shelf) {
            Ok(waiting) => Outcome::Done { waiting },
            Err(reason) => Outcome::Offence(reason),
        };
        let applied = node.log.len() > before;
        self.event(n, Event::Consumed { token: delivery.token, outcome });
        if applied {
            self.event(n, Event::Applied);
        }
    }

    pub fn wake(&mut self, n: usize) {
        self.nodes[n].asleep = false;
        for delivery in std::mem::take(&mut self.nodes[n].waiting) {
            self.consume(n, delivery);
        }
    }

    pub fn transmit(&mut self, from: usize, to: usize, lane: Lane, bytes: Vec<u8>) {
        let name = Message::decode(&bytes).map_or("garbage", |m| m.name());
        *self.bytes.entry(name).or_default() += bytes.len() as u64;
        *self.messages.entry(name).or_default() += 1;
        if !self.links.contains(&(from.min(to), from.max(to))) || self.rng.chance(self.faults.loss_percent) {
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.faults.duplicate_percent));
        for _ in 0..copies {
            let (least, most) = self.faults.latency_ms;
            let mut due = self.now_ms + least + self.rng.below(most - least + 1);
            // Without faults a lane keeps its order, as a stream does.
            if self.faults.loss_percent == 0 && self.faults.duplicate_percent == 0 {
                let last = self.last_due.entry((from, to, lane as u8)).or_default();
                due = due.max(*last);
                *last = due;
            }
            self.sent += 1;
            self.packets.insert((due, self.sent), (from, to, lane, bytes.clone()));
        }
    }

    /// Lets time pass until `until_ms`, or until nothing happens any more.
    pub fn run(&mut self, until_ms: u64) {
        loop {
            let packet = self.packets.keys().next().map(|k| k.0);
            let timers = self.nodes.iter().filter_map(|n| n.sync.timeout_ms()).min();
            let Some(next) = [packet, timers].into_iter().flatten().min() else { break };
            if next > until_ms {
                break;
            }
            self.now_ms = self.now_ms.max(next);
            if packet == Some(next) {
                let (_, (from, to, lane, bytes)) = self.packets.pop_first().expect("there is one");
                let peer = self.nodes[from].id;
                self.event(to, Event::Frame { peer, lane, bytes });
                continue;
            }
            for n in 0..self.nodes.len() {
                if self.nodes[n].sync.timeout_ms().is_some_and(|t| t <= self.now_ms) {
                    self.event(n, Event::Tick);
                    let again = self.nodes[n].sync.timeout_ms();
                    assert!(again.is_none_or(|t| t > self.now_ms), "a timer that does not move on");
                }
            }
        }
        self.now_ms = self.now_ms.max(until_ms);
    }

    pub fn run_for(&mut self, ms: u64) {
        self.run(self.now_ms + ms);
    }

    /// Runs until all nodes hold the same blocks; the milliseconds it took.
    pub fn converge(&mut self, within_ms: u64) -> u64 {
        let start = self.now_ms;
        while !self.is_equal() {
            assert!(
                self.now_ms < start + within_ms,
                "not equal after {within_ms} ms: {:?} blocks, {:?} pending",
                self.nodes.iter().map(|n| n.log.len()).collect::<Vec<_>>(),
                self.nodes.iter().map(|n| n.log.waiting()).collect::<Vec<_>>(),
            );
            self.run_for(10);
        }
        self.now_ms - start
    }

    pub fn is_equal(&self) -> bool {
        let digest = |n: &Node| n.log.dag().frontier().digest();
        self.nodes.windows(2).all(|w| digest(&w[0]) == digest(&w[1]))
    }

    /// Runs until these nodes hold the same blocks.
    pub fn converge_some(&mut self, nodes: &[usize], within_ms: u64) {
        let start = self.now_ms;
        while !nodes
            .windows(2)
            .all(|w| self.nodes[w[0]].log.dag().frontier() == self.nodes[w[1]].log.dag().frontier())
        {
            assert!(self.now_ms < start + within_ms, "not equal in time");
            self.run_for(10);
        }
    }

    pub fn total_bytes(&self) -> u64 {
        self.bytes.values().sum()
    }

    /// A node that was put back to an old state and went on from there, with the same key and chain.
    pub fn restore(&mut self, n: usize, blocks: usize) {
        let log = self.nodes[n].log.prefix(blocks);
        let own = log.blocks().map(|h| &h.block).filter(|b| b.author() == self.nodes[n].id);
        let chain = own.last().map(|b| Tip { seq: b.seq(), cid: b.cid() });
        let id = self.nodes[n].id;
        let config = Config::new(id, self.realm, 1, self.rng.next());
        self.nodes[n].log = log;
        self.nodes[n].chain = chain;
        self.nodes[n].sync = Sync::new(config);
    }
}
