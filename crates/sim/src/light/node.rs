//! A light node: the real sync machine over a log in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use p2pdb_block::{BodyBuilder, Draft, FullBlock, SigningKey, node_id, seal};
use p2pdb_dag::Tip;
use p2pdb_model::change::{AccessChange, Layout, RowChange};
use p2pdb_model::ids::{NodeId, ObjectKind, PublicKey};
use p2pdb_model::{AccountId, Change, ObjectId, RealmId, Stamp, Value};
use p2pdb_sync::{Config, Delivery, HeldBlock, Lane, MemoryLog, Sync};
use sha2::{Digest, Sha256};

use super::gossip::Gossip;
use super::ledger::Holdings;
use crate::random::Random;

/// Heads that a block names, at most; fewer than `p2pdb_block::PARENTS_MAX`.
const PARENTS_MAX: usize = 60;
/// Uplink of every node: bytes a millisecond (100 Mbit/s).
const UPLINK_BYTES_PER_MS: u64 = 12_500;
/// As `node/src/net/session.rs`: bytes that may wait for one peer, on the control lane and on the bulk lane.
const WAITING_BYTES_MAX: [usize; 2] = [2 << 20, 8 << 20];
/// Length of a row's text, bytes.
const ROW_BYTES: u64 = 70;

/// See the module.
pub struct Node {
    /// Its name in the realm.
    pub id: NodeId,
    /// Its log, which is there also while it is down.
    pub log: MemoryLog,
    /// The machine; `None` while it is down.
    pub sync: Option<Sync>,
    /// Nodes that it was told to stay connected to.
    pub hubs: Vec<usize>,
    /// To whom it is connected, as far as it knows.
    pub links: BTreeSet<usize>,
    /// Its gossip.
    pub gossip: Gossip,
    /// Deliveries that the engine has not taken.
    pub inbox: VecDeque<Delivery>,
    /// What it holds.
    pub holdings: Holdings,
    /// How often it was started.
    pub starts: u64,
    /// When its machine is to be woken.
    pub timer_us: Option<u64>,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Most blocks that waited for parents at once.
    pub waiting_peak: usize,
    /// Most blocks delivered and not taken at once.
    pub inbox_peak: usize,
    key: SigningKey,
    realm: RealmId,
    tip: Option<Tip>,
    /// When the uplink is free again, per lane.
    free_us: [u64; 2],
    /// What waits, per peer and lane.
    leaving: BTreeMap<(usize, usize), Leaving>,
}

/// Bytes in all, and of each frame when it has left and its bytes.
type Leaving = (usize, VecDeque<(u64, usize)>);

/// Why a frame does not leave.
pub struct Full;

fn account() -> AccountId {
    AccountId::derive("root", "%", &PublicKey([7; 32]))
}

/// The key of a node.
pub fn key(index: usize) -> SigningKey {
    let seed = Sha256::digest(format!("light node {index}"));
    SigningKey::from_bytes(&seed.into())
}

/// The first block of every large world.
pub fn genesis() -> Arc<HeldBlock> {
    let mut body = BodyBuilder::new();
    let change = Change::Access(AccessChange::Genesis { name: "light".into(), nonce: [1; 16] });
    body.push(account(), &[], vec![change]).expect("invariant: one change fits into a body");
    let draft = Draft { rules: 1, seq: 1, prev: None, parents: vec![], stamp: Stamp::from_millis(1) };
    HeldBlock::new(sealed(draft, body, &key(0), None))
}

fn sealed(draft: Draft, body: BodyBuilder, key: &SigningKey, realm: Option<&RealmId>) -> FullBlock {
    seal(draft, body.finish(), key, realm).expect("invariant: the draft follows from the log's heads")
}

impl Node {
    /// A node that is down and holds the genesis block.
    pub fn new(index: usize, genesis: &Arc<HeldBlock>) -> Self {
        let key = key(index);
        let realm = RealmId(genesis.block.cid());
        let mut log = MemoryLog::new(realm);
        log.append(genesis.clone()).expect("invariant: the first block of its realm");
        Node {
            id: node_id(&key),
            log,
            sync: None,
            hubs: Vec::new(),
            links: BTreeSet::new(),
            gossip: Gossip::default(),
            inbox: VecDeque::new(),
            holdings: Holdings::default(),
            starts: 0,
            timer_us: None,
            sent_bytes: 0,
            waiting_peak: 0,
            inbox_peak: 0,
            key,
            realm,
            tip: (index == 0).then(|| Tip { seq: 1, cid: genesis.block.cid() }),
            free_us: [0; 2],
            leaving: BTreeMap::new(),
        }
    }

    /// The program starts.
    pub fn start(&mut self, seed: u64) {
        self.sync = Some(Sync::new(Config::new(self.id, self.realm, 1, seed)));
        self.starts += 1;
    }

    /// The program ends: what is not in the log is gone.
    pub fn stop(&mut self) {
        self.sync = None;
        self.starts += 1;
        self.timer_us = None;
        self.gossip = Gossip::default();
        self.inbox.clear();
        self.leaving.clear();
        self.log = self.log.prefix(usize::MAX);
    }

    /// Writes a block of one row on top of what it holds.
    pub fn write(&mut self, now_ms: u64, random: &mut Random) -> Arc<HeldBlock> {
        let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
        let table = ObjectId::derive(ObjectKind::Table, db, "till", None);
        let tag = |name| ObjectId::derive(ObjectKind::Column, table, name, None).tag();
        let layout = Layout(table, 1, vec![tag("id"), tag("who"), tag("sum")]);
        // Like a row of sysbench: digits that do not repeat.
        let text: String = (0..ROW_BYTES).map(|_| char::from(b'0' + random.below(10) as u8)).collect();
        let id = (random.next() >> 1) as i64;
        let values = vec![Value::Int(id), Value::Text(text), Value::Int(id.wrapping_mul(3))];
        let change = Change::Row(RowChange::Insert { layout: 0, key: None, generated: false, values });
        let mut body = BodyBuilder::new();
        body.push(account(), &[layout], vec![change]).expect("invariant: one row fits into a body");
        let dag = self.log.dag();
        let draft = Draft {
            rules: 1,
            seq: self.tip.map_or(1, |t| t.seq + 1),
            prev: self.tip.map(|t| t.cid),
            parents: dag.heads().map(|h| h.cid).take(PARENTS_MAX).collect(),
            stamp: Stamp::next(dag.stamp_floor(), now_ms),
        };
        let held = HeldBlock::new(sealed(draft, body, &self.key, Some(&self.realm)));
        self.tip = Some(Tip { seq: held.block.seq(), cid: held.block.cid() });
        self.log.append(held.clone()).expect("invariant: it follows what is held");
        held
    }

    /// The frame's last byte leaves at this time. Lanes share the uplink's speed but do not wait for each other.
    ///
    /// # Errors
    /// When too much waits for this peer already.
    pub fn leave(&mut self, to: usize, lane: Lane, bytes: usize, now_us: u64) -> Result<u64, Full> {
        let bulk = usize::from(lane == Lane::Bulk);
        let (waiting, frames) = self.leaving.entry((to, bulk)).or_default();
        while frames.front().is_some_and(|(gone, _)| *gone <= now_us) {
            *waiting -= frames.pop_front().map_or(0, |f| f.1);
        }
        if *waiting > 0 && *waiting + bytes > WAITING_BYTES_MAX[bulk] {
            return Err(Full);
        }
        let at = self.free_us[bulk].max(now_us) + bytes as u64 * 1_000 / UPLINK_BYTES_PER_MS;
        self.free_us[bulk] = at;
        *waiting += bytes;
        frames.push_back((at, bytes));
        self.sent_bytes += bytes as u64;
        Ok(at)
    }
}
