//! A world: a plan being carried out, one event after the other, on one thread.
//!
//! Events stand in one queue by true time and number. Each is about one node or about the network; whatever a node wants
//! afterwards (frames, turns of its writer) goes into the queue again. At the end all is healed, everybody is started,
//! and the oracles look at what has become of it.

use std::collections::{BTreeMap, BTreeSet};

use p2pdb_block::{FullBlock, RawBlock};
use p2pdb_engine::Engine;
use p2pdb_model::ids::NodeId;
use p2pdb_model::{Cid, RULES};
use p2pdb_sql::account::AccountName;
use p2pdb_sync::{BlockSource, Event, Lane, Received, WireBlock};

use crate::client::{Report, run};
use crate::generate_access;
use crate::generate_sealed;
use crate::network::Network;
use crate::node::{self, Begin, DATABASE, Node, Out};
use crate::oracle::{
    Failure, Judged, Log, Oracle, Picture, Removed, Sealed, drawn_once, files, loads, lost_values,
};
use crate::plan::{Plan, Step, Transaction};
use crate::random::Random;
use crate::time::TrueTime;
use crate::trace::Trace;

/// Between two looks at the links, microseconds.
const DIAL_US: u64 = 250_000;
/// As the program: between two looks at what waits, microseconds.
const TICK_US: u64 = 500_000;
/// What clients have left when the plan is over they may still do for so long, microseconds.
const LAST_WORK_US: u64 = 12_000_000;
/// After healing all nodes must be equal within this time, microseconds.
const CONVERGE_US: u64 = 300_000_000;
/// The founder's first statements take so long each, microseconds.
const SETUP_US: u64 = 2_000;
/// Events in a world, at most, and turns of its queue, of which most are no event: bounds on livelocks.
const EVENTS_MAX: u64 = 3_000_000;
const TURNS_MAX: u64 = 30_000_000;

enum Happening {
    Frame { from: usize, to: usize, lane: Lane, bytes: Vec<u8>, epoch: u64 },
    Gossip { from: usize, to: usize, id: u64, bytes: Vec<u8>, epoch: u64 },
    Pump(usize),
    SyncDue(usize),
    Tick,
    Dial,
    Lost { node: usize, peer: usize, epoch: u64 },
    Join(usize),
    Do(usize),
}

/// See the module.
pub struct World {
    plan: Plan,
    time: TrueTime,
    /// Nodes that have come, by number.
    nodes: BTreeMap<usize, Node>,
    ids: BTreeMap<NodeId, usize>,
    network: Network,
    queue: BTreeMap<(u64, u64), Happening>,
    number: u64,
    pumping: BTreeSet<usize>,
    sync_due: BTreeMap<usize, u64>,
    losing: BTreeSet<(usize, usize, u64)>,
    quiet_until: BTreeMap<(usize, usize), u64>,
    /// Somebody put old files back without saying so: a fork is possible.
    careless: bool,
    /// Nodes that have sent forged blocks, and those.
    forgers: BTreeSet<usize>,
    forged: BTreeSet<Cid>,
    /// Those who were to be removed.
    to_go: BTreeSet<usize>,
    ending: bool,
    random: Random,
    oracle: Oracle,
    /// An error that should not have been.
    broken: Option<Failure>,
    /// Statements that were held against what is shown.
    held: u64,
    /// What happened.
    pub trace: Trace,
    /// Tables compared by digest: frontier digest to fingerprint and who showed it.
    proofs: BTreeMap<String, (String, usize)>,
    folder: tempfile::TempDir,
}

/// Counts of a world that went well.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Blocks in the log.
    pub blocks: u64,
    /// Transactions acknowledged.
    pub acknowledged: u64,
    /// Statements and commits that were held against what is shown.
    pub held: u64,
    /// Rows of `p2pdb.conflicts`.
    pub conflicts: u64,
    /// Void transactions in the end.
    pub void: u64,
    /// Blocks that one block follows, at most.
    pub parents: usize,
    /// Milliseconds of the world's time.
    pub ms: u64,
}

fn fails(what: impl std::fmt::Display) -> Failure {
    Failure::new("simulator", what.to_string())
}

impl World {
    /// The world of a plan, before its first event.
    ///
    /// # Errors
    /// When the founder cannot begin.
    pub fn new(plan: &Plan, trace: Trace) -> Result<World, Failure> {
        let memory = std::path::Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::Builder::new().prefix("p2pdb-sim-").tempdir_in(memory),
            false => tempfile::Builder::new().prefix("p2pdb-sim-").tempdir(),
        };
        let count = plan.nodes.len();
        let mut world = World {
            time: TrueTime::default(),
            nodes: BTreeMap::new(),
            ids: BTreeMap::new(),
            network: Network::new(count, plan.network, Random::named(plan.seed, "network")),
            queue: BTreeMap::new(),
            number: 0,
            pumping: BTreeSet::new(),
            sync_due: BTreeMap::new(),
            losing: BTreeSet::new(),
            quiet_until: BTreeMap::new(),
            careless: false,
            forgers: BTreeSet::new(),
            forged: BTreeSet::new(),
            to_go: BTreeSet::new(),
            ending: false,
            random: Random::named(plan.seed, "world"),
            oracle: Oracle::default(),
            broken: None,
            held: 0,
            trace,
            proofs: BTreeMap::new(),
            folder: folder.map_err(fails)?,
            plan: plan.clone(),
        };
        world.trace.leave_out(&world.folder.path().display().to_string());
        world.found()?;
        Ok(world)
    }

    fn begin(&self, index: usize) -> Result<Begin, Failure> {
        let directory = self.folder.path().join(format!("n{index}"));
        std::fs::create_dir(&directory).map_err(fails)?;
        let wrong_by_ms = self.plan.nodes[index].wrong_by_ms;
        let (seed, time, clients) = (self.plan.seed, self.time.clone(), self.plan.clients);
        let rules = if self.plan.nodes[index].older { RULES } else { self.newest_rules() };
        let (watched, patched) = (self.plan.watched, self.plan.patched == Some(index));
        Ok(Begin { seed, index, directory, time, wrong_by_ms, clients, watched, patched, rules })
    }

    fn newest_rules(&self) -> u32 {
        RULES + u32::from(self.plan.newer)
    }

    fn found(&mut self) -> Judged {
        let mut founder = Node::found(self.begin(0)?).map_err(fails)?;
        let realm = founder.realm();
        founder.start().map_err(fails)?;
        // The others come to be at once, and start when they join.
        let mut tickets = Vec::new();
        for index in 1..self.plan.nodes.len() {
            let node = Node::join(self.begin(index)?, realm).map_err(fails)?;
            tickets.push((node.ticket(), self.plan.nodes[index].owner));
            self.ids.insert(node.id, index);
            self.nodes.insert(index, node);
            self.at(self.plan.nodes[index].joins_ms * 1_000, Happening::Join(index));
        }
        let up = founder.up.as_ref().ok_or_else(|| fails("the founder is not up"))?;
        let engine = up.engine.clone();
        for (ticket, owner) in tickets {
            self.time.set_us(self.time.us() + SETUP_US);
            node::invite(&engine, ticket, owner).map_err(fails)?;
        }
        let mut session = node::session(&engine, u64::MAX, None).map_err(fails)?;
        let mut sql = vec![
            format!("CREATE DATABASE {DATABASE}"),
            format!("USE {DATABASE}"),
            "CREATE TABLE w_a (tx INT PRIMARY KEY, node INT)".to_owned(),
            "CREATE TABLE w_b (tx INT PRIMARY KEY)".to_owned(),
            "CREATE TABLE tally (id INT PRIMARY KEY, n INT NOT NULL DEFAULT 0 COMMENT '[counter]')"
                .to_owned(),
            "INSERT INTO tally (id) VALUES (1), (2)".to_owned(),
        ];
        if self.plan.counted {
            sql.push("INSERT INTO tally (id) VALUES (3)".to_owned());
            sql.push(
                "CREATE TRIGGER counting AFTER INSERT ON w_a FOR EACH ROW UPDATE tally SET n = n + 1 WHERE id = 3"
                    .to_owned(),
            );
            self.oracle.counted = Some(3);
        }
        sql.extend(self.plan.schema());
        if self.plan.accounts {
            sql.extend(generate_access::setup());
        }
        if self.plan.sealed {
            sql.extend(generate_sealed::setup());
        }
        for text in sql {
            self.time.set_us(self.time.us() + SETUP_US);
            run(&engine, &mut session, &text).map_err(|e| fails(format!("{text}: {e}")))?;
        }
        for text in self.plan.programs.iter().chain(&self.plan.rows) {
            self.time.set_us(self.time.us() + SETUP_US);
            // Some do not fit to what is there already.
            if let Err(e) = run(&engine, &mut session, text) {
                self.trace.note(self.time.us(), format_args!("{text} -> {e}"));
            }
        }
        drop(session);
        self.ids.insert(founder.id, 0);
        self.nodes.insert(0, founder);
        for (i, timed) in self.plan.steps.clone().iter().enumerate() {
            self.at(timed.at_ms * 1_000, Happening::Do(i));
        }
        self.at(0, Happening::Dial);
        self.at(0, Happening::Tick);
        self.settle(0)
    }

    fn at(&mut self, us: u64, what: Happening) {
        self.number += 1;
        self.queue.insert((us.max(self.time.us()), self.number), what);
    }

    fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.note(self.time.us(), what);
    }

    /// Carries the plan out and judges the end.
    ///
    /// # Errors
    /// What the oracles find.
    pub fn run(&mut self) -> Result<Counts, Failure> {
        let last = self.plan.steps.last().map_or(0, |t| t.at_ms * 1_000);
        let joined = self.plan.nodes.iter().map(|n| n.joins_ms * 1_000).max().unwrap_or(0);
        self.run_until(last.max(joined) + LAST_WORK_US, |_| false)?;
        self.end()
    }

    fn run_until(&mut self, until_us: u64, done: impl Fn(&World) -> bool) -> Judged {
        while let Some(((at, _), _)) = self.queue.first_key_value()
            && *at <= until_us
            && !done(self)
        {
            let ((at, _), what) = self.queue.pop_first().ok_or_else(|| fails("the queue is empty"))?;
            self.time.set_us(at.max(self.time.us()));
            self.happen(what)?;
            if let Some(failure) = self.broken.take() {
                return Err(failure);
            }
            if self.trace.count() > EVENTS_MAX || self.number > TURNS_MAX {
                let what = format!("more than {EVENTS_MAX} events or {TURNS_MAX} turns");
                return Err(Failure::new("livelock", what));
            }
        }
        Ok(())
    }

    fn happen(&mut self, what: Happening) -> Judged {
        match what {
            Happening::Frame { from, to, lane, bytes, epoch } => {
                if !self.network.arrives(from, to, epoch) {
                    return Ok(());
                }
                let peer = self.nodes[&from].id;
                let name = p2pdb_sync::Message::decode(&bytes).map_or("garbage", |m| m.name());
                self.note(format_args!("n{from} > n{to} {name} {}", bytes.len()));
                self.node(to, |n| n.event(Event::Frame { peer, lane, bytes }))
            }
            Happening::Gossip { from, to, id, bytes, epoch } => {
                if !self.network.arrives(from, to, epoch) {
                    return Ok(());
                }
                let peer = self.nodes[&from].id;
                self.note(format_args!("n{from} > n{to} gossip {}", bytes.len()));
                self.node(to, |n| n.event(Event::Gossip { peer, id, bytes }))
            }
            Happening::Pump(n) => {
                self.pumping.remove(&n);
                let mut reports = Vec::new();
                let mut more = false;
                if let Some(node) = self.nodes.get_mut(&n) {
                    more = node.pump(&mut reports);
                }
                self.heard(n, reports);
                self.settle(n)?;
                if more {
                    self.pump_soon(n);
                }
                Ok(())
            }
            Happening::SyncDue(n) => {
                self.sync_due.remove(&n);
                self.node(n, |n| n.event(Event::Tick))
            }
            Happening::Tick => {
                self.at(self.time.us() + TICK_US, Happening::Tick);
                for n in self.numbers() {
                    self.node(n, Node::tick)?;
                    self.pump_soon(n);
                }
                Ok(())
            }
            Happening::Dial => {
                self.at(self.time.us() + DIAL_US, Happening::Dial);
                self.dial()
            }
            Happening::Lost { node, peer, epoch } => {
                self.losing.remove(&(node, peer, epoch));
                self.lose(node, peer, epoch)
            }
            Happening::Join(n) => {
                self.note(format_args!("n{n} comes"));
                self.start(n)
            }
            Happening::Do(i) => {
                let step = self.plan.steps[i].step.clone();
                self.step(step)
            }
        }
    }

    fn numbers(&self) -> Vec<usize> {
        self.nodes.keys().copied().collect()
    }

    /// Does something to a node, then what it wants of the world.
    fn node(&mut self, n: usize, f: impl FnOnce(&mut Node)) -> Judged {
        if let Some(node) = self.nodes.get_mut(&n) {
            f(node);
        }
        self.settle(n)?;
        self.pump_soon(n);
        Ok(())
    }

    fn heard(&mut self, n: usize, reports: Vec<Report>) {
        for report in reports {
            let failure = match &report {
                Report::Broken(what) => Some(("errors", what)),
                Report::Wrong(what) => Some(("said", what)),
                Report::Held => {
                    self.held += 1;
                    continue;
                }
                _ => None,
            };
            if let Some((oracle, what)) = failure
                && self.nodes.get(&n).is_some_and(|n| !n.disk.is_off() && !n.disk.has_failed())
            {
                self.broken.get_or_insert(Failure::new(oracle, format!("n{n}: {what}")));
            }
            self.oracle.hear(n, &report);
            self.note(format_args!("n{n} {report:?}"));
        }
    }

    fn pump_soon(&mut self, n: usize) {
        if self.nodes.get(&n).is_some_and(|n| n.up.is_some()) && self.pumping.insert(n) {
            let at = self.time.us() + self.random.between(100, 6_000);
            self.at(at, Happening::Pump(n));
        }
    }

    /// After anything was done at a node: frames, a power cut, its next turn.
    fn settle(&mut self, n: usize) -> Judged {
        let now = self.time.us();
        let Some(node) = self.nodes.get_mut(&n) else { return Ok(()) };
        let out = node.up.as_mut().map(|up| std::mem::take(&mut up.out)).unwrap_or_default();
        if node.up.is_some() && node.disk.is_off() {
            // What it wanted to send after the power went it did not send. What went before did.
            self.note(format_args!("n{n} loses power"));
            self.crash(n, true)?;
        }
        for out in out {
            match out {
                Out::Send(peer, lane, bytes) => {
                    let Some(&to) = self.ids.get(&peer) else { continue };
                    if let Some(epoch) = self.network.side(n, to) {
                        for due in self.network.send(now, n, to, lane) {
                            let bytes = bytes.clone();
                            self.at(due, Happening::Frame { from: n, to, lane, bytes, epoch });
                        }
                    }
                }
                // In worlds of many nodes all are connected to all, so nobody forwards.
                Out::Publish(bytes) => {
                    for to in self.numbers() {
                        let Some(epoch) = self.network.side(n, to) else { continue };
                        for due in self.network.send(now, n, to, Lane::Control) {
                            self.number += 1;
                            let (id, bytes) = (self.number, bytes.clone());
                            self.at(due, Happening::Gossip { from: n, to, id, bytes, epoch });
                        }
                    }
                }
                Out::Renew(peer) => {
                    let Some(&to) = self.ids.get(&peer) else { continue };
                    if let Some(epoch) = self.network.side(n, to) {
                        self.at(now, Happening::Lost { node: n, peer: to, epoch });
                        self.at(now + 20_000, Happening::Lost { node: to, peer: n, epoch });
                    }
                }
                Out::Ban(peer, reason) => {
                    let Some(&to) = self.ids.get(&peer) else { continue };
                    let w = self.plan.network;
                    self.note(format_args!("n{n} bans n{to}: {reason}"));
                    // Who was removed and does not know it insists, and so does who was admitted when newer rules were in force already
                    // to a program that does not know them.
                    // So does one of whom a node does not hear any more, as its disk has failed.
                    let deaf = self.nodes[&n].disk.has_failed();
                    let stranger = (!self.to_go.is_empty() || self.plan.newer || deaf)
                        && self.engine(n).is_some_and(|e| !e.is_member(&peer));
                    let earned = stranger || self.forgers.contains(&to);
                    if !earned && w.loss_percent == 0 && w.duplicate_percent == 0 && !w.reorder {
                        return Err(Failure::new("correct peers", format!("n{n} bans n{to}: {reason}")));
                    }
                    if let Some(epoch) = self.network.side(n, to) {
                        self.at(now, Happening::Lost { node: n, peer: to, epoch });
                        self.at(now + 20_000, Happening::Lost { node: to, peer: n, epoch });
                    }
                    self.quiet_until.insert((n.min(to), n.max(to)), now + 5_000_000);
                }
                Out::Refused(cid, reason) => {
                    self.note(format_args!("n{n} refuses {cid:?}: {reason}"));
                    // An older program cannot tell what who was removed wrote under newer rules.
                    let unread = !self.to_go.is_empty() && reason.contains("its author is no member");
                    if !unread && !cid.is_some_and(|c| self.forged.contains(&c)) {
                        let what = format!("n{n} refuses block {cid:?} of a correct node: {reason}");
                        return Err(Failure::new("correct peers", what));
                    }
                }
                Out::Note(text) => self.note(format_args!("n{n} {text}")),
                Out::Wrong(oracle, text) => {
                    self.note(format_args!("n{n} {text}"));
                    return Err(Failure::new(oracle, format!("n{n}: {text}{}", self.findings())));
                }
            }
        }
        if let Some(due) = self.nodes.get(&n).and_then(Node::sync_due_us)
            && self.sync_due.get(&n).is_none_or(|at| due < *at)
        {
            self.sync_due.insert(n, due.max(now));
            self.at(due, Happening::SyncDue(n));
        }
        Ok(())
    }

    fn dial(&mut self) -> Judged {
        let numbers = self.numbers();
        let up = |w: &World, n: usize| w.nodes[&n].up.is_some();
        for (i, &a) in numbers.iter().enumerate() {
            for &b in &numbers[i + 1..] {
                let open = up(self, a) && up(self, b) && self.network.is_open(a, b);
                let sides = (self.network.side(a, b), self.network.side(b, a));
                let quiet = self.quiet_until.get(&(a, b)).is_some_and(|t| *t > self.time.us());
                match sides {
                    (None, None) if open && !quiet && self.random.percent(70) => {
                        self.note(format_args!("n{a} and n{b} connect"));
                        self.network.connect(a, b);
                        let (id_a, id_b) = (self.nodes[&a].id, self.nodes[&b].id);
                        self.node(a, |n| n.connected(id_b))?;
                        self.node(b, |n| n.connected(id_a))?;
                    }
                    // Both will notice, not at the same time.
                    (Some(_), _) | (_, Some(_)) if !open || sides.0 != sides.1 => {
                        for (node, peer, side) in [(a, b, sides.0), (b, a, sides.1)] {
                            if let Some(epoch) = side
                                && self.losing.insert((node, peer, epoch))
                            {
                                let at = self.time.us() + self.random.between(50_000, 2_000_000);
                                self.at(at, Happening::Lost { node, peer, epoch });
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn lose(&mut self, node: usize, peer: usize, epoch: u64) -> Judged {
        if self.network.side(node, peer) != Some(epoch) {
            return Ok(());
        }
        self.note(format_args!("n{node} has lost n{peer}"));
        self.network.forget(node, peer);
        let id = self.nodes[&peer].id;
        self.node(node, |n| n.disconnected(id))
    }

    fn start(&mut self, n: usize) -> Judged {
        let Some(node) = self.nodes.get_mut(&n) else { return Ok(()) };
        if node.up.is_some() {
            return Ok(());
        }
        node.start().map_err(|e| Failure::new("durable", format!("n{n} cannot start again: {e}")))?;
        self.node(n, |_| ())
    }

    /// The process is gone; with it the power, perhaps.
    fn crash(&mut self, n: usize, power: bool) -> Judged {
        let Some(node) = self.nodes.get_mut(&n) else { return Ok(()) };
        let reports = node.kill();
        if power {
            node.disk.lose_power().map_err(fails)?;
            self.oracle.crashed(n);
        }
        self.heard(n, reports);
        self.hang_up(n);
        Ok(())
    }

    /// A node that is down knows of no connection; the others find out.
    fn hang_up(&mut self, n: usize) {
        for peer in self.numbers() {
            self.network.forget(n, peer);
        }
        self.sync_due.remove(&n);
    }

    fn step(&mut self, step: Step) -> Judged {
        if !matches!(step, Step::Work { .. }) {
            self.note(format_args!("{step:?}"));
        }
        match step {
            Step::Work { node, client, transaction } => {
                let up = self.nodes.get_mut(&node).and_then(|n| n.up.as_mut());
                match up.and_then(|up| up.clients.get_mut(client)) {
                    Some(client) => client.give(transaction),
                    None if transaction.id != 0 => self.heard(node, vec![Report::Aborted(transaction.id)]),
                    None => {}
                }
                self.pump_soon(node);
            }
            Step::Cut { from, to } => self.network.set_cut(from, to, true),
            Step::Heal { from, to } => self.network.set_cut(from, to, false),
            Step::HealAll => self.network.heal(),
            Step::Kill { node } => self.crash(node, false)?,
            Step::PowerCut { node, operations } => {
                if let Some(n) = self.nodes.get(&node).filter(|n| n.up.is_some()) {
                    n.disk.cut_after(operations);
                }
            }
            Step::Stop { node } => {
                let reports = self.nodes.get_mut(&node).map(Node::stop).unwrap_or_default();
                self.heard(node, reports);
                self.hang_up(node);
            }
            Step::Start { node } => {
                let due = self.plan.nodes[node].joins_ms * 1_000 <= self.time.us();
                if due {
                    self.start(node)?;
                }
            }
            Step::Backup { node } => {
                if let Some(n) = self.nodes.get_mut(&node)
                    && let Err(e) = n.make_backup()
                {
                    self.note(format_args!("n{node} no backup: {e}"));
                }
            }
            Step::Restore { node, properly } => self.restore(node, properly)?,
            Step::Clock { node, by_ms } => {
                if let Some(n) = self.nodes.get(&node) {
                    n.clock.jump_ms(by_ms);
                }
            }
            Step::Disk { node, error } => {
                if let Some(n) = self.nodes.get(&node).filter(|n| n.up.is_some()) {
                    n.disk.fail_next(error);
                }
            }
            Step::Forge { node, to } => {
                let frame = self.nodes.get(&node).and_then(Node::forge);
                if let (Some((bytes, cid)), Some(epoch)) = (frame, self.network.side(node, to)) {
                    self.forgers.insert(node);
                    self.forged.insert(cid);
                    for due in self.network.send(self.time.us(), node, to, Lane::Control) {
                        let (lane, bytes) = (Lane::Control, bytes.clone());
                        self.at(due, Happening::Frame { from: node, to, lane, bytes, epoch });
                    }
                }
            }
            Step::Slow { node, by_ms } => self.network.slow(node, by_ms),
            Step::Remove { node, by } => {
                let Some(gone) = self.nodes.get(&node).map(|n| n.id) else { return Ok(()) };
                self.to_go.insert(node);
                self.owner(by, |e| e.remove_member(gone))?;
                // What an older store had had, and only this node still shows, nobody fetches any more.
                let elsewhere = self.shown_elsewhere(node);
                self.oracle.removed(&elsewhere);
            }
            Step::Withdraw { by, account, node } => {
                let Some(gone) = self.nodes.get(&node).map(|n| n.id) else { return Ok(()) };
                let account = AccountName { user: account, host: "%".to_owned() };
                self.owner(by, |e| e.withdraw_delegation(&account, gone))?;
            }
            Step::DropKey { by, acting, account, nth, from_the_beginning } => {
                let keys = self.engine(by).and_then(|e| e.account(&account, "%"));
                let keys: Vec<_> = keys.iter().flat_map(|a| a.key.iter().chain(&a.further_keys)).collect();
                if let Some(key) = nth.checked_rem(keys.len()).map(|nth| keys[nth].to_did()) {
                    let keep = if from_the_beginning { " KEEP THROUGH ''" } else { "" };
                    let statements = vec![format!("ALTER USER {account} DROP KEY '{key}'{keep}")];
                    let transaction = Transaction { id: 0, statements, rollback: false, account: acting };
                    return self.step(Step::Work { node: by, client: 0, transaction });
                }
            }
            Step::Rules => self.owner(0, |e| e.switch_rules(RULES + 1))?,
            Step::Upgrade { node } => self.upgrade(node)?,
            Step::Observe { node } => self.observe(node)?,
        }
        Ok(())
    }

    /// A node does something that mostly only an owner may do, if it is there and can.
    fn owner(
        &mut self,
        n: usize,
        f: impl FnOnce(&Engine) -> Result<(), p2pdb_engine::EngineError>,
    ) -> Judged {
        let Some(engine) = self.engine(n) else { return Ok(()) };
        if let Err(e) = f(&engine) {
            self.note(format_args!("n{n} {e}"));
        }
        self.node(n, Node::members_changed)
    }

    /// The node gets a newer program.
    fn upgrade(&mut self, n: usize) -> Judged {
        let rules = self.newest_rules();
        let Some(node) = self.nodes.get_mut(&n) else { return Ok(()) };
        let was_up = node.up.is_some();
        let reports = node.stop();
        node.rules = rules;
        self.heard(n, reports);
        self.hang_up(n);
        if was_up { self.start(n) } else { Ok(()) }
    }

    /// What removals did to what this node shows; `all`: every transaction that counts is known. `None`: it holds a block that it cannot
    /// serve, as the one that vouches for it waits.
    fn removed(&self, n: usize, engine: &Engine, all: bool) -> Result<Option<Removed>, Failure> {
        if self.to_go.is_empty() && !self.plan.accounts && !all {
            return Ok(Some(Removed::default()));
        }
        // What is visible may not have been synced yet.
        while engine.step_syncer() {}
        let mut wires = log(engine)?;
        if (wires.len() as u64) < engine.status().blocks {
            return Ok(None);
        }
        wires.truncate(wires.len() - engine.status().kept_blocks as usize);
        let blocks = full(&wires, engine)?;
        let log = Log::read(&blocks)?;
        let (counts, void) = log.witnessed();
        let gone = engine.members().into_iter().filter(|m| m.removed);
        let mut nodes: BTreeSet<usize> = gone.filter_map(|m| self.ids.get(&m.node).copied()).collect();
        if all {
            // In the end also those that alone know of it: they serve nobody.
            let members = self.members();
            nodes.extend(self.numbers().into_iter().filter(|n| !members.contains(n)));
        }
        // Where a sync has failed, the log holds what readers are not shown.
        let counts = (!self.nodes[&n].disk.has_failed()).then_some(counts);
        Ok(Some(Removed { void, all_void: log.void(), nodes, counts }))
    }

    /// What members other than this node show. Who was to be removed may be one as far as those know who are up, and serve nobody
    /// once the others are.
    fn shown_elsewhere(&mut self, n: usize) -> BTreeSet<u64> {
        let mut elsewhere = BTreeSet::new();
        let stays = |other: &usize| *other != n && !self.to_go.contains(other);
        for other in self.members().into_iter().filter(stays).collect::<Vec<_>>() {
            let Some(engine) = self.engine(other) else { continue };
            let Ok(Some(removed)) = self.removed(other, &engine, false) else { continue };
            if let Ok(seen) = self.oracle.observe(other, &engine, false, &removed) {
                elsewhere.extend(seen);
            }
        }
        elsewhere
    }

    fn restore(&mut self, n: usize, properly: bool) -> Judged {
        let Some(node) = self.nodes.get_mut(&n).filter(|n| n.backup.is_some()) else { return Ok(()) };
        let reports = node.stop();
        self.heard(n, reports);
        self.hang_up(n);
        // What others show is surely not lost by this.
        let elsewhere = self.shown_elsewhere(n);
        self.oracle.replaced(n, &elsewhere);
        self.careless |= !properly;
        match self.nodes.get_mut(&n) {
            Some(node) => node.restore(properly).map_err(fails),
            None => Ok(()),
        }
    }

    fn engine(&self, n: usize) -> Option<Engine> {
        self.nodes.get(&n)?.up.as_ref().map(|up| up.engine.clone())
    }

    /// Looks at a node in the middle of things.
    fn observe(&mut self, n: usize) -> Judged {
        let Some(engine) = self.engine(n).filter(|e| e.role().is_some()) else { return Ok(()) };
        // A look would meet the fault that is to come.
        if self.disk_failed(n) || !self.has_tables(&engine) {
            return Ok(());
        }
        let removed = self.removed(n, &engine, false);
        if self.disk_failed(n) {
            return Ok(());
        }
        let Some(removed) = removed? else { return Ok(()) };
        let seen = self.oracle.observe(n, &engine, false, &removed);
        if self.disk_failed(n) {
            return Ok(());
        }
        let seen = seen?;
        let picture = Picture::take(&engine)?;
        Oracle::constraints(n, &picture, &self.plan.tables)?;
        self.compare(n, &engine)?;
        let rows: usize = picture.tables.values().map(|(_, r)| r.len()).sum();
        self.note(format_args!("n{n} shows {} transactions, {rows} rows", seen.len()));
        self.node(n, |_| ())
    }

    /// Before it holds the tables there is nothing to see.
    fn has_tables(&self, engine: &Engine) -> bool {
        let session = node::session(engine, u64::MAX - 3, Some(DATABASE));
        session.is_ok_and(|mut s| run(engine, &mut s, "SELECT 1 FROM tally LIMIT 1").is_ok())
    }

    /// The node met a fault of its disk or lost power: what it shows is not to be judged.
    fn disk_failed(&self, n: usize) -> bool {
        self.nodes.get(&n).is_none_or(|n| n.disk.is_off() || n.disk.is_failing())
    }

    /// Equal blocks, equal tables.
    fn compare(&mut self, n: usize, engine: &Engine) -> Judged {
        let status = engine.status();
        if let Some(alarm) = status.alarm {
            return Err(Failure::new("convergence", format!("n{n} raises an alarm: {alarm}")));
        }
        if status.kept_blocks > 0 {
            // Its tables are behind its log.
            return Ok(());
        }
        let (_, fingerprint, by) = match self.proofs.entry(status.frontier_digest.clone()) {
            std::collections::btree_map::Entry::Vacant(e) => {
                e.insert((status.fingerprint, n));
                return Ok(());
            }
            std::collections::btree_map::Entry::Occupied(e) => {
                let (fingerprint, by) = e.get().clone();
                (status.frontier_digest, fingerprint, by)
            }
        };
        if fingerprint == status.fingerprint {
            return Ok(());
        }
        let what = format!("n{n} and n{by} hold the same blocks and other tables{}", self.findings());
        Err(Failure::new("convergence", what))
    }

    /// What each node finds when it looks at itself: for the report of a failure.
    fn findings(&self) -> String {
        let mut text = String::new();
        for n in self.numbers() {
            let Some(engine) = self.engine(n) else { continue };
            if let Ok(report) = engine.verify(&mut |_| p2pdb_store::NEXT) {
                report.findings.iter().for_each(|f| text += &format!("\n  n{n}: {f:?}"));
            }
        }
        text
    }

    // ---- the end

    fn end(&mut self) -> Result<Counts, Failure> {
        self.note(format_args!("all is healed"));
        self.ending = true;
        self.network.calm();
        self.quiet_until.clear();
        let ahead = self.nodes.values().map(|n| n.clock.wrong_by_ms()).max().unwrap_or(0);
        for n in self.numbers() {
            let node = &self.nodes[&n];
            node.clock.jump_ms(ahead - node.clock.wrong_by_ms());
            if node.up.is_some() && (node.disk.has_failed() || node.disk.is_failing()) {
                self.crash(n, false)?;
            }
            let node = self.nodes.get_mut(&n).ok_or_else(|| fails("a node has vanished"))?;
            // A power cut that was to come later does not.
            node.disk.switch_on();
            if node.rules < self.newest_rules() {
                self.upgrade(n)?;
            }
            self.start(n)?;
        }
        let deadline = self.time.us() + CONVERGE_US;
        let mut equal = false;
        while !equal && self.time.us() < deadline {
            self.run_until(self.time.us() + 2_000_000, |_| false)?;
            equal = self.is_equal();
        }
        if !equal {
            return Err(Failure::new("convergence", format!("after {CONVERGE_US} us: {}", self.standing())));
        }
        self.judge()
    }

    /// Those who have not been removed, as the founder knows it; nor as they know it themselves, perhaps alone, where all others
    /// have been restored from before it: who is no member serves nobody.
    fn members(&self) -> Vec<usize> {
        let gone: BTreeSet<NodeId> = match self.engine(0) {
            Some(founder) => founder.members().iter().filter(|m| m.removed).map(|m| m.node).collect(),
            None => BTreeSet::new(),
        };
        let knows_it = |n: usize| {
            let own = |m: &p2pdb_engine::MemberInfo| m.node == self.nodes[&n].id && m.removed;
            self.engine(n).is_some_and(|e| e.members().iter().any(own))
        };
        self.numbers().into_iter().filter(|n| !gone.contains(&self.nodes[n].id) && !knows_it(*n)).collect()
    }

    fn is_equal(&self) -> bool {
        let members = self.members();
        let engines: Vec<Engine> = members.iter().filter_map(|n| self.engine(*n)).collect();
        let digest = |e: &Engine| e.log_view().ok().and_then(|v| v.frontier_digest().ok());
        let busy = self
            .nodes
            .values()
            .any(|n| n.up.as_ref().is_some_and(|up| up.clients.iter().any(crate::client::Client::is_busy)));
        !busy
            && engines.len() == members.len()
            && engines.windows(2).all(|w| digest(&w[0]).is_some() && digest(&w[0]) == digest(&w[1]))
            && engines.iter().all(|e| e.without_ids().is_ok_and(|without| without.is_empty()))
            && !engines.iter().any(|e| e.role().is_some_and(|r| r.writes()) && e.has_keys_to_share())
    }

    fn standing(&self) -> String {
        let one = |n: usize| match self.engine(n) {
            None => format!("n{n} down"),
            Some(e) => {
                let s = e.status();
                let busy = self.nodes[&n]
                    .up
                    .as_ref()
                    .is_some_and(|up| up.clients.iter().any(crate::client::Client::is_busy));
                format!(
                    "n{n}: {} blocks, {} wait, busy {busy}, {:?}, would deal values to {:?}, has keys to share: {}",
                    s.blocks,
                    s.pending_blocks,
                    s.refuses_writes,
                    e.without_ids(),
                    e.has_keys_to_share()
                )
            }
        };
        self.numbers().into_iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn judge(&mut self) -> Result<Counts, Failure> {
        let mut first: Option<(usize, Picture)> = None;
        let members = self.members();
        for n in self.numbers() {
            let engine = self.engine(n).ok_or_else(|| fails("a node is down at the end"))?;
            // Who was removed may never have been admitted as far as it knows.
            let is_member = members.contains(&n);
            if !is_member && !self.has_tables(&engine) {
                continue;
            }
            self.compare(n, &engine)?;
            let Some(removed) = self.removed(n, &engine, true)? else {
                if is_member {
                    return Err(fails("a member holds what it cannot serve"));
                }
                continue;
            };
            self.oracle.observe(n, &engine, is_member, &removed)?;
            let picture = Picture::take(&engine)?;
            Oracle::constraints(n, &picture, &self.plan.tables)?;
            Oracle::voided(n, &picture, &removed)?;
            match &first {
                // What it holds others may not.
                _ if !is_member => {}
                None => first = Some((n, picture)),
                Some((m, one)) => {
                    if let Some(what) = one.differs(&picture) {
                        return Err(Failure::new("convergence", format!("n{m} and n{n} differ: {what}")));
                    }
                }
            }
        }
        let (_, picture) = first.ok_or_else(|| fails("no node"))?;
        let engine = self.engine(0).ok_or_else(|| fails("no founder"))?;
        let wires = log(&engine)?;
        let blocks = full(&wires, &engine)?;
        if let Some(block) = blocks.iter().find(|b| self.forged.contains(&b.cid())) {
            return Err(Failure::new(
                "correct peers",
                format!("the forged block {} is in the log", block.cid()),
            ));
        }
        self.forks(&engine)?;
        drawn_once(&blocks)?;
        let read = Log::read(&blocks)?;
        lost_values(&blocks, &read, &picture)?;
        if self.plan.sealed {
            self.judge_sealed(&blocks, &read, &members)?;
        }
        self.replay(&wires, &engine, &picture)?;
        let counts = Counts {
            events: self.trace.count(),
            blocks: blocks.len() as u64,
            acknowledged: self.oracle.acknowledged() as u64,
            held: self.held,
            conflicts: picture.conflicts.len() as u64,
            void: picture.voided.len() as u64,
            parents: blocks.iter().map(|b| b.header().all_parents().count()).max().unwrap_or(0),
            ms: self.time.us() / 1_000,
        };
        self.note(format_args!("{counts:?} {picture:?}"));
        Ok(counts)
    }

    /// What is sealed stays so.
    fn judge_sealed(&self, blocks: &[FullBlock], read: &Log<'_>, members: &[usize]) -> Judged {
        for node in self.nodes.values() {
            files(node.index, &node.directory)?;
        }
        let keys = self.nodes.values().map(|n| (n.id, n.node_key().clone())).collect();
        let sealed = Sealed::read(blocks, self.nodes[&0].realm(), &keys)?;
        sealed.were_for_readers(read)?;
        let shown = |n: &usize| Some((*n, self.nodes[n].id, self.engine(*n)?));
        sealed.are_shown(&members.iter().filter_map(shown).collect::<Vec<_>>())
    }

    fn forks(&self, engine: &Engine) -> Judged {
        if self.careless {
            return Ok(());
        }
        let mut session = node::session(engine, u64::MAX - 4, None).map_err(fails)?;
        let rows = run(engine, &mut session, "SELECT * FROM p2pdb.forks").map_err(fails)?;
        match rows.first() {
            None => Ok(()),
            Some(fork) => Err(Failure::new("correct peers", format!("a fork without a restore: {fork:?}"))),
        }
    }

    /// The log into an empty store, in another order, and the engine's own look at everything.
    fn replay(&mut self, wires: &[WireBlock], live: &Engine, picture: &Picture) -> Judged {
        let report = live.verify(&mut |_| p2pdb_store::NEXT).map_err(fails)?;
        if !report.findings.is_empty() {
            return Err(Failure::new("replay", format!("verify finds {:?}", report.findings)));
        }
        let mut node = Node::join(
            Begin {
                seed: self.plan.seed,
                index: 0,
                directory: {
                    let directory = self.folder.path().join("replay");
                    std::fs::create_dir(&directory).map_err(fails)?;
                    directory
                },
                time: self.time.clone(),
                wrong_by_ms: self.nodes[&0].clock.wrong_by_ms(),
                clients: 0,
                watched: false,
                patched: false,
                rules: self.newest_rules(),
            },
            live.realm(),
        )
        .map_err(fails)?;
        node.start().map_err(fails)?;
        let engine = node.up.as_ref().map(|up| up.engine.clone()).ok_or_else(|| fails("no replay"))?;
        let mut order: Vec<&WireBlock> = wires.iter().collect();
        self.random.shuffle(&mut order);
        for some in order.chunks(16) {
            let batch = some.iter().map(|w| received(w)).collect::<Result<Vec<_>, _>>()?;
            let ingest = engine.ingest(batch);
            let arrived = loop {
                if let Some(arrived) = ingest.take() {
                    break arrived;
                }
                if engine.step_writer() != p2pdb_engine::Step::Did && !engine.step_syncer() {
                    return Err(fails("the replay waits for nothing"));
                }
            };
            if arrived.fault.is_some() || !arrived.refused.is_empty() {
                return Err(Failure::new("replay", format!("{:?} {:?}", arrived.fault, arrived.refused)));
            }
        }
        let (a, b) = (live.status(), engine.status());
        if (a.frontier_digest, &a.fingerprint) != (b.frontier_digest, &b.fingerprint) {
            return Err(Failure::new("replay", "the log in another order gives other tables (fingerprint)"));
        }
        match picture.differs(&Picture::take(&engine)?) {
            None => loads(&engine),
            Some(what) => {
                Err(Failure::new("replay", format!("the log in another order gives other tables: {what}")))
            }
        }
    }
}

fn log(engine: &Engine) -> Result<Vec<WireBlock>, Failure> {
    let view = engine.log_view().map_err(fails)?;
    let cover = view.cover(&p2pdb_dag::Frontier::default()).map_err(fails)?;
    let Some(from) = view.first_uncovered(&cover).map_err(fails)? else { return Ok(Vec::new()) };
    Ok(view.scan(&cover, from, usize::MAX, usize::MAX).map_err(fails)?.blocks)
}

fn received(wire: &WireBlock) -> Result<Received, Failure> {
    let block = RawBlock(wire.0.to_vec()).decode().map_err(fails)?;
    Ok(Received { block, bodies: wire.1.iter().map(|b| b.to_vec()).collect() })
}

fn full(wires: &[WireBlock], engine: &Engine) -> Result<Vec<FullBlock>, Failure> {
    let realm = engine.realm();
    let one = |w: &WireBlock| {
        let r = received(w)?;
        r.block.verify(&realm).map_err(fails)?.with_bodies(r.bodies).map_err(fails)
    };
    wires.iter().map(one).collect()
}
