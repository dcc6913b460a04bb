//! The network: who is connected to whom, and frames on their way.
//!
//! A connection has two sides that need not agree: one may have noticed the loss, the other not yet. Frames belong to
//! a connection (its epoch) and go with it. Lanes keep their order, as streams do, unless the plan says that frames
//! overtake each other; a loss is then silent.

use std::collections::BTreeMap;

use p2pdb_sync::Lane;

use crate::plan::Network as Weather;
use crate::random::Random;

/// See the module.
pub struct Network {
    /// How it is.
    pub weather: Weather,
    random: Random,
    /// Nothing goes from the first to the second.
    cut: Vec<Vec<bool>>,
    /// What each side thinks of the connection: its epoch.
    sides: Vec<Vec<Option<u64>>>,
    /// Frames take so much longer, milliseconds.
    slow_ms: Vec<u64>,
    epochs: u64,
    last_due: BTreeMap<(usize, usize, u8), u64>,
}

impl Network {
    /// Between so many nodes.
    pub fn new(nodes: usize, weather: Weather, random: Random) -> Self {
        Network {
            weather,
            random,
            cut: vec![vec![false; nodes]; nodes],
            sides: vec![vec![None; nodes]; nodes],
            slow_ms: vec![0; nodes],
            epochs: 0,
            last_due: BTreeMap::new(),
        }
    }

    /// Cuts or heals one direction.
    pub fn set_cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from][to] = cut;
    }

    /// Everything works.
    pub fn heal(&mut self) {
        self.cut.iter_mut().flatten().for_each(|c| *c = false);
        self.slow_ms.iter_mut().for_each(|s| *s = 0);
    }

    /// Nothing is lost, doubled or reordered from now on, and all is quick.
    pub fn calm(&mut self) {
        self.heal();
        self.weather = Weather { latency_ms: (1, 5), loss_percent: 0, duplicate_percent: 0, reorder: false };
    }

    /// Slows a node.
    pub fn slow(&mut self, node: usize, by_ms: u64) {
        self.slow_ms[node] = by_ms;
    }

    /// True when something can go both ways.
    pub fn is_open(&self, a: usize, b: usize) -> bool {
        !self.cut[a][b] && !self.cut[b][a]
    }

    /// The connection as this side knows it.
    pub fn side(&self, of: usize, to: usize) -> Option<u64> {
        self.sides[of][to]
    }

    /// Connects two nodes that both know of no connection.
    pub fn connect(&mut self, a: usize, b: usize) {
        self.epochs += 1;
        self.sides[a][b] = Some(self.epochs);
        self.sides[b][a] = Some(self.epochs);
        for lane in [Lane::Control, Lane::Bulk, Lane::Join] {
            self.last_due.remove(&(a, b, lane as u8));
            self.last_due.remove(&(b, a, lane as u8));
        }
    }

    /// This side knows that the connection is gone.
    pub fn forget(&mut self, of: usize, to: usize) {
        self.sides[of][to] = None;
    }

    /// When a frame arrives that is sent now, if it does; more than once, perhaps.
    pub fn send(&mut self, now_us: u64, from: usize, to: usize, lane: Lane) -> Vec<u64> {
        let w = self.weather;
        if self.cut[from][to] || self.random.percent(w.loss_percent) {
            return Vec::new();
        }
        let copies = 1 + u64::from(self.random.percent(w.duplicate_percent));
        (0..copies)
            .map(|_| {
                let way_us = self.random.between(w.latency_ms.0 * 1_000, w.latency_ms.1 * 1_000);
                let mut due = now_us + way_us + (self.slow_ms[from] + self.slow_ms[to]) * 1_000;
                if !w.reorder {
                    let last = self.last_due.entry((from, to, lane as u8)).or_default();
                    due = due.max(*last);
                    *last = due;
                }
                due
            })
            .collect()
    }

    /// True when a frame of this connection that has come so far is taken in.
    pub fn arrives(&self, from: usize, to: usize, epoch: u64) -> bool {
        !self.cut[from][to] && self.sides[to][from] == Some(epoch)
    }
}
