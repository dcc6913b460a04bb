//! What happens in large worlds, from a seed, and what it cost.

use p2pdb_sync::{FETCHES_MAX, PEERS_DIRECT_MAX};

use super::figures::{Figures, Spread};
use super::world::{Deed, World};
use crate::oracle::Failure;
use crate::plan::Network as Weather;

/// The network on most days.
const FAIR: Weather =
    Weather { latency_ms: (10, 100), loss_percent: 0, duplicate_percent: 0, reorder: false };
/// One frame of a hundred is lost without anybody noticing, one comes twice, and they overtake each other.
const ROUGH: Weather =
    Weather { latency_ms: (10, 400), loss_percent: 1, duplicate_percent: 1, reorder: true };
/// Before anything happens, milliseconds: nodes come one after the other and find their peers.
const SETTLE_MS: u64 = 15_000;
/// Whatever happens is over after so long, milliseconds.
const EQUAL_WITHIN_MS: u64 = 300_000;
/// Then retries end, milliseconds, and after them nothing is said any more but digests.
const CALM_DOWN_MS: u64 = 75_000;
const SILENCE_MS: u64 = 15_000;
/// Catch-up sends a block to a node so often at most: rounds with several peers overlap where the tips that those name differ, and
/// the next rounds begin before the last bundles are applied.
pub const SERVED_MAX: u8 = 2 * FETCHES_MAX as u8;
/// Blocks that lie there for late joiners.
const HISTORY_BLOCKS: usize = 1_000;
/// By so many authors.
const HISTORY_AUTHORS: usize = 50;
/// How long parts are apart and nodes come and go, milliseconds.
const APART_MS: u64 = 60_000;

/// A scenario.
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What happens, for people.
    pub what: &'static str,
    play: fn(&mut Stage) -> Result<(), Failure>,
}

/// All of them.
pub const SCENARIOS: [Scenario; 9] = [
    Scenario {
        name: "writer",
        what: "one node writes 20 blocks, one every half second",
        play: |s| s.steady(FAIR, 20, |s| vec![s.usual()]),
    },
    Scenario {
        name: "writer-direct",
        what: "the same by the node with the fewest peers, which may push instead of gossip",
        play: |s| s.steady(FAIR, 20, |s| vec![s.loneliest()]),
    },
    Scenario {
        name: "writers",
        what: "50 nodes (a quarter, if that is less) write four blocks each within ten seconds",
        play: |s| s.steady(FAIR, 4, |s| s.some(50)),
    },
    Scenario {
        name: "writers-rough",
        what: "the same while one frame of a hundred is lost and one comes twice, out of order",
        play: |s| s.steady(ROUGH, 4, |s| s.some(50)),
    },
    Scenario {
        name: "late-1",
        what: "one node comes late, to 1,000 blocks by 50 authors",
        play: |s| s.late(1),
    },
    Scenario {
        name: "late-tenth",
        what: "a tenth of the nodes comes late, at once, to as many",
        play: |s| s.late(s.nodes() / 10),
    },
    Scenario {
        name: "parts-2",
        what: "two halves are apart for a minute, 20 nodes write",
        play: |s| s.parts(2),
    },
    Scenario { name: "parts-10", what: "the same with ten parts", play: |s| s.parts(10) },
    Scenario {
        name: "churn",
        what: "for a minute a hundredth of the nodes a second goes, half of them killed, and comes again; 20 nodes write",
        play: Stage::churn,
    },
];

/// A world in which a scenario is played.
struct Stage {
    world: World,
    seed: u64,
    /// The first block that was made for the scenario.
    first: usize,
    /// Since when it takes to become equal, milliseconds.
    since_ms: u64,
    /// All nodes were there all the time, so that spreading can be measured.
    whole: bool,
}

/// Plays a scenario.
///
/// # Errors
/// What an oracle says.
pub fn play(scenario: &Scenario, nodes: usize, seed: u64, show: bool) -> Result<Figures, Failure> {
    let world = World::new(nodes, seed, FAIR, show);
    let mut stage = Stage { world, seed, first: 0, since_ms: 0, whole: false };
    (scenario.play)(&mut stage)?;
    stage.judge(scenario.name)
}

impl Stage {
    fn nodes(&self) -> usize {
        self.world.nodes.len()
    }

    /// So many nodes, but at most a quarter of them.
    fn some(&mut self, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.nodes()).collect();
        self.world.random.shuffle(&mut all);
        all.truncate(count.min(self.nodes() / 4));
        all
    }

    /// A node with more peers than are pushed to directly.
    fn usual(&self) -> usize {
        let usual = (0..self.nodes()).rev().find(|n| self.world.nodes[*n].links.len() > PEERS_DIRECT_MAX);
        usual.unwrap_or(0)
    }

    /// A node with the fewest peers.
    fn loneliest(&self) -> usize {
        (0..self.nodes()).min_by_key(|n| self.world.nodes[*n].links.len()).unwrap_or(0)
    }

    /// These nodes come, one after the other, and greet each other.
    fn settle(&mut self, up: impl Fn(usize) -> bool) -> Result<(), Failure> {
        let nodes = self.nodes();
        for n in (0..nodes).filter(|n| up(*n)) {
            self.world.plan((SETTLE_MS / 2) * n as u64 / nodes as u64, Deed::Start(n));
        }
        self.world.run_for(SETTLE_MS)?;
        self.world.begin_to_count();
        self.first = self.world.ledger.len();
        self.since_ms = self.world.now_ms();
        Ok(())
    }

    /// These nodes write so many blocks each: one node evenly, several at any time.
    fn write(&mut self, writers: &[usize], each: usize, over_ms: u64) {
        for n in writers {
            for k in 0..each {
                let at = match writers.len() {
                    1 => over_ms * k as u64 / each as u64,
                    _ => self.world.random.below(over_ms),
                };
                self.world.plan(at, Deed::Write(*n));
            }
        }
    }

    fn steady(
        &mut self,
        weather: Weather,
        each: usize,
        writers: impl Fn(&mut Self) -> Vec<usize>,
    ) -> Result<(), Failure> {
        self.settle(|_| true)?;
        let writers = writers(self);
        self.world.set_weather(weather);
        self.write(&writers, each, 10_000);
        self.world.run_for(10_000)?;
        self.since_ms = self.world.now_ms();
        self.whole = true;
        self.world.run_until_equal(EQUAL_WITHIN_MS)
    }

    fn late(&mut self, joiners: usize) -> Result<(), Failure> {
        let there = self.nodes() - joiners.max(1);
        let mut authors = self.some(HISTORY_AUTHORS);
        authors.retain(|n| *n < there);
        self.world.give_history(HISTORY_BLOCKS, &authors, |n| n < there);
        self.settle(|n| n < there)?;
        self.first = 1;
        for n in there..self.nodes() {
            self.world.plan(0, Deed::Start(n));
        }
        self.world.run_for(1)?;
        self.world.run_until_equal(EQUAL_WITHIN_MS)
    }

    fn parts(&mut self, parts: u64) -> Result<(), Failure> {
        self.settle(|_| true)?;
        let of: Vec<usize> = (0..self.nodes()).map(|_| self.world.random.below(parts) as usize).collect();
        let writers = self.some(20);
        self.world.plan(0, Deed::Part(of));
        self.write(&writers, 10, APART_MS);
        self.world.plan(APART_MS, Deed::Heal);
        self.world.run_for(APART_MS)?;
        self.since_ms = self.world.now_ms();
        self.world.run_until_equal(EQUAL_WITHIN_MS)
    }

    fn churn(&mut self) -> Result<(), Failure> {
        self.settle(|_| true)?;
        let writers = self.some(20);
        self.write(&writers, 10, APART_MS);
        let mut last_ms = APART_MS;
        for second in 0..APART_MS / 1_000 {
            for _ in 0..self.nodes().div_ceil(100) {
                let (node, killed) =
                    (self.world.random.below(self.nodes() as u64) as usize, self.world.random.percent(50));
                let at = second * 1_000 + self.world.random.below(1_000);
                let back = at + self.world.random.between(5_000, 20_000);
                self.world.plan(at, Deed::Stop { node, killed });
                self.world.plan(back, Deed::Start(node));
                last_ms = last_ms.max(back);
            }
        }
        self.world.run_for(last_ms)?;
        self.since_ms = self.world.now_ms();
        self.world.run_until_equal(EQUAL_WITHIN_MS)
    }

    /// The verdict at the end, and the figures.
    fn judge(mut self, scenario: &'static str) -> Result<Figures, Failure> {
        let world = &mut self.world;
        let equal_ms = world.last_hold_ms().saturating_sub(self.since_ms);
        let virtual_ms = world.last_hold_ms();
        world.set_weather(FAIR);
        world.run_for(CALM_DOWN_MS)?;
        let traffic = world.traffic.clone();
        let events = world.trace.count();
        world.run_for(SILENCE_MS)?;
        for (kind, count) in &world.traffic.kinds {
            let before = traffic.kinds.get(kind).map_or(0, |c| c.messages);
            if *kind != "digest" && count.messages > before {
                let what = format!("{} {kind} messages between equal nodes", count.messages - before);
                return Err(Failure::new("silence", what));
            }
        }
        let up = || world.nodes.iter().filter(|n| n.sync.is_some());
        let blocks = world.ledger.len() - self.first;
        let frontier = up().next().map(|n| n.log.dag().frontier());
        for (n, node) in world.nodes.iter().enumerate().filter(|(_, n)| n.sync.is_some()) {
            let wrong = |oracle, what: String| Err(Failure::new(oracle, format!("{n} {what}")));
            if Some(node.log.dag().frontier()) != frontier {
                return wrong("convergence", "has another frontier".to_owned());
            }
            if node.log.waiting() > 0 {
                return wrong("bounded", format!("still has {} blocks that wait", node.log.waiting()));
            }
            if node.waiting_peak > blocks {
                return wrong("bounded", format!("had {} blocks that waited", node.waiting_peak));
            }
            if let Some(times) = node.holdings.served.iter().find(|s| **s > SERVED_MAX) {
                return wrong("bounded", format!("was sent one block {times} times by catch-up"));
            }
        }
        let took: Vec<_> = world.ledger.from(self.first).iter().map(|e| e.took_us()).collect();
        let spread = |i: usize| Spread::of(took.iter().filter_map(|t| t[i]).collect()).filter(|_| self.whole);
        let total = traffic.total();
        Ok(Figures {
            scenario,
            nodes: world.nodes.len(),
            seed: self.seed,
            blocks,
            block_bytes: world.ledger.bytes_from(self.first),
            reached: [spread(0), spread(1), spread(2)],
            equal_ms,
            messages: total.messages,
            bytes: total.bytes,
            applied: traffic.applied,
            duplicates: traffic.copies.saturating_sub(traffic.applied),
            rounds: traffic.rounds,
            rounds_broken: traffic.rounds_broken,
            served_most: up().flat_map(|n| n.holdings.served.iter().copied()).max().unwrap_or(0),
            busiest_bytes: up().map(|n| n.sent_bytes).max().unwrap_or(0),
            waiting_peak: up().map(|n| n.waiting_peak).max().unwrap_or(0),
            inbox_peak: up().map(|n| n.inbox_peak).max().unwrap_or(0),
            kinds: traffic.kinds,
            virtual_ms,
            events,
            trace: world.trace.digest(),
        })
    }
}
