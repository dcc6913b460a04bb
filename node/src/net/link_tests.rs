//! Sync over real swarms on loopback, with the model of an engine from the tests of `p2pdb-sync`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use p2pdb_dag::{BlockNo, ChainId, Cover, Frontier, Tip, Want};
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_sync::{Action, BlockSource, Config, Event, MemoryLog, Outcome, Scan, Shelf, StateProof};
use parking_lot::Mutex;

use super::link::{self, Link, Notice};
use super::*;

#[path = "../../../crates/sync/tests/world/mod.rs"]
mod world;

const PATIENCE: Duration = Duration::from_secs(30);

/// The model of an engine, shared between the test and the thread.
#[derive(Clone)]
struct Shared(Arc<Mutex<MemoryLog>>);

impl BlockSource for Shared {
    type Error = std::convert::Infallible;

    fn frontier(&self) -> Result<Frontier, Self::Error> {
        self.0.lock().frontier()
    }
    fn frontier_digest(&self) -> Result<[u8; 32], Self::Error> {
        self.0.lock().frontier_digest()
    }
    fn state(&self) -> Result<Option<StateProof>, Self::Error> {
        self.0.lock().state()
    }
    fn heads(&self) -> Result<Vec<Cid>, Self::Error> {
        self.0.lock().heads()
    }
    fn holds(&self, cid: &Cid) -> Result<bool, Self::Error> {
        self.0.lock().holds(cid)
    }
    fn knows(&self, cid: &Cid) -> Result<bool, Self::Error> {
        self.0.lock().knows(cid)
    }
    fn wants(&self, theirs: &Frontier) -> Result<Vec<Want>, Self::Error> {
        self.0.lock().wants(theirs)
    }
    fn cover(&self, theirs: &Frontier) -> Result<Cover, Self::Error> {
        self.0.lock().cover(theirs)
    }
    fn first_uncovered(&self, cover: &Cover) -> Result<Option<BlockNo>, Self::Error> {
        self.0.lock().first_uncovered(cover)
    }
    fn rungs(&self, chain: &ChainId, tip: &Tip, seqs: &[u64]) -> Result<Vec<Tip>, Self::Error> {
        self.0.lock().rungs(chain, tip, seqs)
    }
    fn scan(&self, cover: &Cover, from: BlockNo, bytes: usize, blocks: usize) -> Result<Scan, Self::Error> {
        self.0.lock().scan(cover, from, bytes, blocks)
    }
}

struct Peer {
    net: NetHandle,
    link: Link,
    log: Shared,
    address: Multiaddr,
    applied: tokio::sync::watch::Receiver<usize>,
}

/// Starts node `n` of this world on loopback, with its log as it is there.
async fn start_node(world: &mut world::World, n: usize, bootstrap: &[&Peer]) -> Peer {
    let node = &mut world.nodes[n];
    let log = std::mem::replace(&mut node.log, MemoryLog::new(world.realm));
    let shared = Shared(Arc::new(Mutex::new(log)));
    let config = NetConfig {
        node_key: node.key.to_bytes(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
        bootstrap: bootstrap.iter().map(|p| p.address.clone()).collect(),
        realm: world.realm.to_string(),
        mdns: false,
        private_addresses: true,
        network_key: None,
    };
    let (net, events) = start(config, Arc::new(|_: &NodeId| Access::Member)).expect("the network starts");
    assert_eq!(net.local(), node.id);
    let (address_tx, address_rx) = std::sync::mpsc::channel();
    let (applied_tx, applied) = tokio::sync::watch::channel(0);
    let (delivery_tx, delivery_rx) = std::sync::mpsc::channel::<p2pdb_sync::Delivery>();
    let notice = move |n: Notice| match n {
        Notice::Sync(Action::Deliver(delivery)) => delivery_tx.send(delivery).expect("an engine"),
        Notice::Sync(Action::Ban { reason, .. }) => panic!("an honest peer was banned: {reason}"),
        Notice::Listening(address) => address_tx.send(address).unwrap_or_default(),
        _ => {}
    };
    let config = Config::new(node.id, world.realm, 1, n as u64 + 1);
    let (link, _) = link::start(config, net.clone(), events, shared.clone(), notice).expect("a thread");
    let (engine_log, engine_link) = (shared.clone(), link.clone());
    std::thread::spawn(move || {
        let mut shelf = Shelf::default();
        while let Ok(delivery) = delivery_rx.recv() {
            let (result, held) = {
                let mut log = engine_log.0.lock();
                (log.take(delivery.blocks, &mut shelf), log.len())
            };
            let outcome = match result {
                Ok(waiting) => Outcome::Done { waiting },
                Err(reason) => Outcome::Offence(reason),
            };
            applied_tx.send_replace(held);
            engine_link.event(Event::Consumed { token: delivery.token, outcome });
            engine_link.event(Event::Applied);
        }
    });
    let address = tokio::task::spawn_blocking(move || address_rx.recv_timeout(PATIENCE));
    let address = address.await.expect("joined").expect("an address in time");
    Peer { net, link, log: shared, address, applied }
}

impl Peer {
    async fn holds(&mut self, blocks: usize) {
        let wait = self.applied.wait_for(|held| *held >= blocks);
        tokio::time::timeout(PATIENCE, wait).await.expect("in time").expect("the engine lives");
    }

    async fn stop(self) {
        self.net.shutdown().await;
        self.link.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_node_catches_up_over_tcp_and_then_gets_every_new_block_at_once() {
    const OLD: usize = 5_000;
    const NEW: usize = 300;
    let mut world = world::World::new(2, 1);
    for _ in 0..OLD {
        world.seal(0, 70);
    }
    // Goes on with node 0's log and chain while that node runs.
    let mut writer = world::World::new(1, 2);
    writer.nodes[0].chain = world.nodes[0].chain;
    writer.now_ms = world.now_ms + 1_000;
    let a = start_node(&mut world, 0, &[]).await;
    let start = Instant::now();
    let mut b = start_node(&mut world, 1, &[&a]).await;
    b.holds(OLD + 1).await;
    println!("{OLD} blocks in {:?}", start.elapsed());
    let mut times = Vec::with_capacity(NEW);
    for n in 0..NEW {
        let sealed = {
            let mut log = a.log.0.lock();
            std::mem::swap(&mut *log, &mut writer.nodes[0].log);
            let sealed = writer.seal(0, 70);
            std::mem::swap(&mut *log, &mut writer.nodes[0].log);
            sealed
        };
        let start = Instant::now();
        a.link.event(Event::Sealed { blocks: vec![sealed] });
        b.holds(OLD + 2 + n).await;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let (p50, p99) = (times[NEW / 2], times[NEW * 99 / 100]);
    println!("from commit to applied on the peer: p50 {p50:?}, p99 {p99:?}");
    // The floor is 5 ms for a release build on an idle machine; this catches a path by timer.
    assert!(p50 < Duration::from_millis(40), "p50 {p50:?}");
    assert!(b.link.peers().iter().all(|p| p.greeted && p.failures == 0));
    a.stop().await;
    b.stop().await;
}
