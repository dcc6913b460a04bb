//! Measures ancestry with many authors: `cargo run --release -p p2pdb-dag --example ancestry [authors] [blocks]`.
//!
//! An observer applies blocks of random authors. Each is written on the heads as they were some blocks ago (what
//! was in flight) or, in the second scenario, on the heads of its author's half of a network cut in two.

use std::time::Instant;

use p2pdb_block::{BuiltBody, Draft, SigningKey, VerifiedBlock, seal};
use p2pdb_dag::{Dag, MemStore, Place, merge_groups};
use p2pdb_model::ids::Cid;
use p2pdb_model::{RealmId, Stamp};

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n
    }
}

struct Author {
    key: SigningKey,
    tip: Option<(Cid, u64, usize)>,
}

struct World {
    dag: Dag,
    store: MemStore,
    realm: RealmId,
    authors: Vec<Author>,
    stamp: u64,
    append_ns: u128,
    places: Vec<Place>,
    unseen_entries: usize,
    unseen_bytes: usize,
}

impl World {
    fn new(authors: usize) -> Self {
        let key = |n: usize| {
            let mut bytes = [1; 32];
            bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
            SigningKey::from_bytes(&bytes)
        };
        let draft = Draft { rules: 1, seq: 1, prev: None, parents: vec![], stamp: Stamp(1) };
        let g = seal(draft, BuiltBody::default(), &key(0), None).expect("a genesis block");
        let realm = RealmId(g.cid());
        let mut world = World {
            dag: Dag::new(realm),
            store: MemStore::new(),
            realm,
            authors: (0..authors).map(|n| Author { key: key(n), tip: None }).collect(),
            stamp: 1,
            append_ns: 0,
            places: Vec::new(),
            unseen_entries: 0,
            unseen_bytes: 0,
        };
        world.authors[0].tip = Some((g.cid(), 1, 0));
        world.apply(g.verified());
        world
    }

    fn write(&mut self, author: usize, heads: &[Cid]) -> Cid {
        let (prev, mut seq) = self.authors[author].tip.map_or((None, 0), |t| (Some(t.0), t.1));
        self.stamp += 1;
        seq += 1;
        let parents = merge_groups(heads, prev).pop().unwrap_or_default();
        let draft = Draft { rules: 1, seq, prev, parents, stamp: Stamp(self.stamp) };
        let key = &self.authors[author].key;
        let block = seal(draft, BuiltBody::default(), key, Some(&self.realm)).expect("a block in its limits");
        self.authors[author].tip = Some((block.cid(), seq, self.places.len()));
        self.apply(block.verified());
        block.cid()
    }

    fn apply(&mut self, block: &VerifiedBlock) {
        let start = Instant::now();
        let placed = self.dag.append(block, &self.store).expect("parents are applied");
        self.append_ns += start.elapsed().as_nanos();
        self.unseen_entries += placed.unseen.entries().len();
        if placed.unseen_same_as.is_none() {
            self.unseen_bytes += placed.unseen.to_bytes().len();
        }
        self.places.push(placed.place);
        self.store.insert(&placed);
    }

    fn report(&self, name: &str, random: &mut Random) {
        let n = self.places.len();
        let queries = 1_000_000;
        let pairs: Vec<(usize, usize)> = (0..queries).map(|_| (random.below(n), random.below(n))).collect();
        let start = Instant::now();
        let mut yes = 0;
        for (a, b) in &pairs {
            let r = self.dag.is_ancestor(self.places[*a], self.places[*b], &self.store);
            yes += usize::from(r.expect("memory does not fail"));
        }
        let ns = start.elapsed().as_nanos() / queries as u128;
        let past = self.dag.past(self.places[n - 1], &self.store).expect("memory does not fail");
        let start = Instant::now();
        let seen = pairs.iter().filter(|(a, _)| past.contains(self.places[*a])).count();
        let memo_ns = start.elapsed().as_nanos() as f64 / queries as f64;
        println!(
            "{name}: {n} blocks, append {} ns, is_ancestor {ns} ns ({yes} yes), memoised {memo_ns:.1} ns ({seen} yes), \
             unseen entries a block {:.1}, stored bytes a block {:.1}",
            self.append_ns / n as u128,
            self.unseen_entries as f64 / n as f64,
            self.unseen_bytes as f64 / n as f64,
        );
    }
}

/// Heads that a node sees that learns of blocks in causal order, `lag` blocks late.
struct Lagging {
    queue: std::collections::VecDeque<(Cid, Vec<Cid>)>,
    heads: std::collections::BTreeSet<Cid>,
    lag: usize,
}

impl Lagging {
    fn push(&mut self, cid: Cid, parents: Vec<Cid>) {
        self.queue.push_back((cid, parents));
        while self.queue.len() > self.lag {
            if let Some((cid, parents)) = self.queue.pop_front() {
                for p in &parents {
                    self.heads.remove(p);
                }
                self.heads.insert(cid);
            }
        }
    }
}

fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("a number"));
    let authors = args.next().unwrap_or(1_000);
    let blocks = args.next().unwrap_or(50_000);
    for (name, halves, lag) in [
        ("in step", 1, 0),
        ("10 in flight", 1, 10),
        ("cut in two", 2, 0),
        ("cut in two, 10 in flight", 2, 10),
    ] {
        let mut random = Random(7);
        let mut w = World::new(authors);
        let g = w.realm.0;
        let new = || Lagging { queue: Default::default(), heads: [g].into(), lag };
        let mut views: Vec<Lagging> = (0..halves).map(|_| new()).collect();
        for _ in 0..blocks {
            let author = random.below(authors);
            let view = &mut views[author % halves];
            // An author knows its own last block, whatever is in flight: heads below it are left out.
            let tip = w.authors[author].tip;
            let mut heads: Vec<Cid> = view.heads.iter().copied().collect();
            if let Some((_, _, i)) = tip {
                let past = w.dag.past(w.places[i], &w.store).expect("memory does not fail");
                heads.retain(|h| {
                    let found = w.dag.find(h, &w.store).expect("memory does not fail").expect("applied");
                    !past.contains_or_is(found.place)
                });
            }
            let parents: Vec<Cid> = heads.iter().copied().chain(tip.map(|t| t.0)).collect();
            let cid = w.write(author, &heads);
            view.push(cid, parents);
        }
        w.report(name, &mut random);
    }
}
