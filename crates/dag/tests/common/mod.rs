//! A world of authors that write, meet, lose their memory and go on: blocks with every shape of history.
#![allow(dead_code, missing_docs)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use p2pdb_block::{BuiltBody, Draft, SigningKey, VerifiedBlock, seal};
use p2pdb_dag::*;
use p2pdb_model::ids::Cid;
use p2pdb_model::{RealmId, Stamp};
use quickcheck::{Arbitrary, Gen};

pub const AUTHORS: usize = 4;

#[derive(Clone, Debug)]
pub enum Step {
    /// Author writes on everything it has.
    Write(usize),
    /// The first learns all that the second has.
    Meet(usize, usize),
    /// Author goes back to what it had so many of its states ago and goes on from there: its chain forks.
    Restore(usize, usize),
    /// Author begins a new chain.
    NewChain(usize),
}

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let n = |g: &mut Gen| usize::arbitrary(g) % AUTHORS;
        match u8::arbitrary(g) % 16 {
            0 => Step::Restore(n(g), usize::arbitrary(g) % 6),
            1 => Step::NewChain(n(g)),
            2..=7 => Step::Meet(n(g), n(g)),
            _ => Step::Write(n(g)),
        }
    }
}

pub fn key(n: usize) -> SigningKey {
    SigningKey::from_bytes(&[n as u8 + 1; 32])
}

pub fn verified(draft: Draft, n: usize, realm: Option<&RealmId>) -> VerifiedBlock {
    seal(draft, BuiltBody::default(), &key(n), realm).unwrap().verified().clone()
}

pub fn genesis() -> VerifiedBlock {
    let draft = Draft { rules: 1, seq: 1, prev: None, parents: vec![], stamp: Stamp(1) };
    verified(draft, 0, None)
}

#[derive(Clone, Default)]
struct View {
    held: BTreeSet<usize>,
    /// Index of the last own block.
    tip: Option<usize>,
}

/// All blocks that were ever written, parents first, with their reachability.
pub struct World {
    pub realm: RealmId,
    pub blocks: Vec<VerifiedBlock>,
    /// Strict causal past by index.
    pub pasts: Vec<BTreeSet<usize>>,
    pub index: HashMap<Cid, usize>,
}

impl World {
    pub fn run(steps: &[Step]) -> World {
        let g = genesis();
        let realm = RealmId(g.cid());
        let index = HashMap::from([(g.cid(), 0)]);
        let mut w = World { realm, blocks: vec![g], pasts: vec![BTreeSet::new()], index };
        let first = View { held: [0].into(), tip: None };
        let mut views = vec![first; AUTHORS];
        views[0].tip = Some(0);
        let mut histories: Vec<Vec<View>> = views.iter().map(|v| vec![v.clone()]).collect();
        for step in steps {
            let a = match *step {
                Step::Write(a) => {
                    w.write(&mut views[a], a);
                    a
                }
                Step::Meet(a, b) => {
                    let other = views[b].held.clone();
                    views[a].held.extend(other);
                    a
                }
                Step::Restore(a, back) => {
                    let h = &histories[a];
                    views[a] = h[h.len().saturating_sub(1 + back)].clone();
                    a
                }
                Step::NewChain(a) => {
                    views[a].tip = None;
                    a
                }
            };
            histories[a].push(views[a].clone());
        }
        w
    }

    fn write(&mut self, view: &mut View, author: usize) {
        let heads = self.maximal(&view.held);
        let prev = view.tip.map(|t| self.blocks[t].cid());
        let seq = view.tip.map_or(1, |t| self.blocks[t].seq() + 1);
        let parents: Vec<Cid> = heads.iter().map(|h| self.blocks[*h].cid()).collect();
        // The block's own number keeps two branches of a fork from being one block.
        let floor = view.held.iter().map(|i| self.blocks[*i].stamp()).max().unwrap_or_default();
        let stamp = Stamp(floor.0 + 1 + self.blocks.len() as u64 % 3);
        let block = verified(Draft { rules: 1, seq, prev, parents, stamp }, author, Some(&self.realm));
        if let Some(&i) = self.index.get(&block.cid()) {
            // After a restore the very same block may be written again.
            view.held.insert(i);
            view.tip = Some(i);
            return;
        }
        let i = self.blocks.len();
        self.index.insert(block.cid(), i);
        self.blocks.push(block);
        self.pasts.push(view.held.clone());
        view.held.insert(i);
        view.tip = Some(i);
    }

    pub fn maximal(&self, held: &BTreeSet<usize>) -> Vec<usize> {
        let inner: BTreeSet<usize> = held.iter().flat_map(|i| self.pasts[*i].iter().copied()).collect();
        held.iter().copied().filter(|i| !inner.contains(i)).collect()
    }

    /// The frontier by definition: per chain, the blocks that no block of the chain goes on from.
    pub fn frontier(&self, held: &BTreeSet<usize>) -> Frontier {
        let continued: BTreeSet<Cid> = held.iter().filter_map(|i| self.blocks[*i].header().prev).collect();
        let tips = held.iter().map(|i| &self.blocks[*i]).filter(|b| !continued.contains(&b.cid()));
        Frontier::new(tips.map(|b| {
            let tip = Tip { seq: b.seq(), cid: b.cid() };
            ChainFrontier { chain: self.chain_of(b), tips: vec![tip] }
        }))
    }

    pub fn chain_of(&self, b: &VerifiedBlock) -> ChainId {
        let mut first = b;
        while let Some(prev) = first.header().prev {
            first = &self.blocks[self.index[&prev]];
        }
        ChainId { author: b.author(), first: first.cid() }
    }
}

/// A node: a DAG, what it persists, and what waits.
pub struct Node {
    pub dag: Dag,
    pub store: MemStore,
    pub pending: Pending<VerifiedBlock>,
    pub placed: BTreeMap<Cid, Placed>,
}

impl Node {
    pub fn new(realm: RealmId) -> Self {
        Node {
            dag: Dag::new(realm),
            store: MemStore::new(),
            pending: Pending::new(),
            placed: BTreeMap::new(),
        }
    }

    pub fn receive(&mut self, block: &VerifiedBlock, now_ms: u64) {
        let mut ready = vec![block.clone()];
        while let Some(b) = ready.pop() {
            match self.dag.check(&b, now_ms, &self.store) {
                Err(Error::Known(_)) => {}
                Err(e) => panic!("{e}"),
                Ok(waits) if waits == Waits::default() => {
                    let placed = self.dag.append(&b, &self.store).unwrap();
                    self.store.insert(&placed);
                    self.placed.insert(placed.cid, placed);
                    ready.extend(self.pending.arrived(&b.cid()).into_iter().map(|(_, b)| b));
                }
                Ok(waits) => {
                    let (cid, author, stamp) = (b.cid(), b.author(), b.stamp());
                    let gone = self.pending.insert(cid, author, stamp, b.bytes().len(), waits, b);
                    assert!(gone.is_empty());
                }
            }
        }
    }

    /// As after a restart: nothing recent at hand.
    pub fn reload(&mut self) {
        let heads = self.dag.heads().copied().collect();
        let branches = self.dag.branches().to_vec();
        self.dag = Dag::load(self.dag.realm(), self.dag.next_no(), branches, heads);
    }
}

/// A shuffle that is a function of the seed.
pub fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for i in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        items.swap(i, (seed >> 33) as usize % (i + 1));
    }
}
