//! `up`: from nothing to nodes of one realm that hold the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use p2pdb_node::admin::{InviteReport, InviteRequest, StatusReport};
use p2pdb_node::explain::explain;
use p2pdb_node::net::PEERS_DIRECT_MAX;
use p2pdb_node::units::counted;

use crate::say::{Interrupt, say};
use crate::state::{self, State};
use crate::status;

const EQUAL_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(25);
/// Nodes of a testnet whose number nobody names.
const NODES: u32 = 3;

pub(crate) fn up(dir: &Path, nodes: Option<u32>, binary: Option<PathBuf>) -> anyhow::Result<()> {
    let binary = match binary {
        Some(path) => std::path::absolute(path)?,
        None => beside_this()?,
    };
    let (dir, alone) = state::alone_in_new(dir)?;
    let dir = dir.as_path();
    let interrupt = Interrupt::awaited()?;
    let there = State::load(dir)?;
    if let (Some(asked), Some(state)) = (nodes, &there)
        && asked as usize != state.nodes.len()
    {
        bail!(
            "the testnet in {} is one of {}, not of {asked}\n  hint: `p2pdb-testnet down --remove` takes it away; `--dir` names another place for a second one",
            dir.display(),
            counted(state.nodes.len() as u64, "node")
        );
    }
    let mut state = match there {
        Some(mut state) if !state.made => {
            say!("the testnet in {} was never finished: going on with it", dir.display());
            let before = running(&state);
            state.binary = binary;
            state.interrupt = Some(interrupt);
            finish(&mut state, &before)?;
            state
        }
        Some(mut state) => {
            let live = running(&state);
            if live.len() == state.nodes.len() {
                bail!(
                    "the testnet in {} runs already\n  hint: `p2pdb-testnet status` shows it, `down` stops it",
                    dir.display()
                );
            }
            say!("starting the {} in {} again", counted(state.nodes.len() as u64, "node"), dir.display());
            state.binary = binary;
            state.interrupt = Some(interrupt);
            if let Err(e) = start_again(&mut state) {
                // Those that ran before are none of this command's business.
                let started = state.nodes.iter().map(|n| n.number).filter(|n| !live.contains(n)).collect();
                return Err(take_down(&mut state, started, e));
            }
            state
        }
        None => {
            let nodes = nodes.unwrap_or(NODES);
            say!("making a testnet of {} in {}", counted(u64::from(nodes), "node"), dir.display());
            let mut state = begin(dir, nodes, binary).inspect_err(|_| state::leave(dir, &alone))?;
            state.interrupt = Some(interrupt);
            finish(&mut state, &[])?;
            state
        }
    };
    let outcome = wait_equal(&mut state);
    say!("");
    status::status(dir, false)?;
    say!("");
    for node in &state.nodes {
        let file = state.data_dir(node.number).client_cnf_path();
        say!("connect to node {}:  mariadb --defaults-file={}", node.number, file.display());
    }
    outcome
}

/// Notes a testnet that is to be made.
fn begin(dir: &Path, nodes: u32, binary: PathBuf) -> anyhow::Result<State> {
    let mut state = State::new(dir, binary);
    for _ in 0..nodes {
        state.add()?;
    }
    state.must_be_free()?;
    state.save()?;
    Ok(state)
}

fn running(state: &State) -> Vec<u32> {
    state.nodes.iter().map(|n| n.number).filter(|n| state.running(*n).is_some()).collect()
}

/// Makes all nodes, or what is missing of them: somebody may have written to those that are there.
fn finish(state: &mut State, before: &[u32]) -> anyhow::Result<()> {
    if let Err(e) = make(state) {
        // Those that ran before are none of this command's business.
        let started = state.nodes.iter().map(|n| n.number).filter(|n| !before.contains(n)).collect();
        let e = take_down(state, started, e);
        bail!("{e}\n  what is there stays; the next `up` goes on with it, `down --remove` removes it");
    }
    state.made = true;
    state.save()
}

/// Leaves nothing running that a failed start has started; gives the error with what became of them.
fn take_down(state: &mut State, started: Vec<u32>, why: anyhow::Error) -> anyhow::Error {
    let mut stopped = Vec::new();
    let mut left = Vec::new();
    for number in started {
        match state.stop(number, false) {
            Ok(true) => stopped.push(number.to_string()),
            Ok(false) => {}
            Err(e) => left.push(format!("node {number} runs on: {}", explain(&e))),
        }
    }
    let mut text = explain(&why);
    if !stopped.is_empty() {
        text += &format!("\n  what this command had started is stopped again: node {}", stopped.join(", "));
    }
    for line in left {
        text += &format!("\n  {line}");
    }
    anyhow::anyhow!(text)
}

fn beside_this() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let node = this.with_file_name("p2pdb-node");
    if !node.exists() {
        bail!(
            "there is no p2pdb-node beside {}\n  hint: build it (cargo build --release -p p2pdb-node), or name it with --node-binary",
            this.display()
        );
    }
    Ok(node)
}

fn make(state: &mut State) -> anyhow::Result<()> {
    let count = state.nodes.len() as u32;
    for number in 1..=count {
        state.remove_beginning(number)?;
    }
    if state.running(1).is_none() {
        say!("node 1: starting, with a realm of its own");
        state.start_and_wait(1, None, "ready", |s| s.ready && !s.listening.is_empty())?;
    } else {
        state.wait(1, "ready", |s| s.ready && !s.listening.is_empty())?;
    }
    let mut ticket = None;
    for number in 2..=count {
        if state.running(number).is_some() {
            state.wait(number, "a member", |s| s.ready)?;
        } else if state.has_joined(number)? {
            say!("node {number}: starting");
            state.start_and_wait(number, None, "a member", |s| s.ready)?;
        } else {
            let ticket = match &mut ticket {
                Some(ticket) => ticket,
                none => none.insert(invited(state, count + 1 - number)?),
            };
            say!("node {number}: joining");
            state.start_and_wait(number, Some(ticket), "a member", |s| s.ready)?;
        }
    }
    Ok(())
}

/// A ticket of node 1 for so many nodes.
fn invited(state: &State, uses: u32) -> anyhow::Result<String> {
    say!("node 1: inviting {}", counted(u64::from(uses), "writer"));
    let request = InviteRequest {
        role: "writer".into(),
        expires_s: Some(3600),
        uses,
        node: None,
        acts_for: None,
        addresses: Vec::new(),
    };
    let invite: InviteReport = state.admin(1)?.post("invite", &request)?;
    Ok(invite.ticket)
}

fn start_again(state: &mut State) -> anyhow::Result<()> {
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    for number in &numbers {
        state.must_be_made(*number)?;
    }
    let stopped: Vec<u32> = numbers.iter().copied().filter(|n| state.running(*n).is_none()).collect();
    // Before the first one starts, since it is told where the others are.
    for number in &stopped {
        state.free_the_ports_of(*number)?;
    }
    let mut started = Vec::new();
    for number in stopped {
        say!("node {number}: starting");
        started.push((number, state.start(number, None)?));
    }
    for (number, start) in started {
        state.wait_started(number, start, None, "ready", |s| s.ready)?;
    }
    for number in numbers {
        state.wait(number, "ready", |s| s.ready)?;
    }
    Ok(())
}

/// Waits until every two nodes that no partition keeps apart are linked, and all hold the same.
fn wait_equal(state: &mut State) -> anyhow::Result<()> {
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    // Larger networks are no full mesh.
    let mesh = numbers.len() <= PEERS_DIRECT_MAX;
    let deadline = Instant::now() + EQUAL_TIMEOUT;
    loop {
        let mut seen: Vec<(u32, StatusReport)> = Vec::new();
        for number in &numbers {
            seen.push((*number, state.admin(*number)?.get("status")?));
        }
        if let Err(e) = state.not_interrupted() {
            bail!("{e}; the nodes run on: `p2pdb-testnet down` stops them");
        }
        let missing = missing_links(&seen);
        let cut: Vec<(u32, u32)> = missing.iter().copied().filter(|p| !way(&seen, *p)).collect();
        let blocked = seen.iter().any(|(_, s)| !s.blocked.is_empty());
        let equal = seen.windows(2).all(|w| {
            let (a, b) = (&w[0].1, &w[1].1);
            a.frontier_digest == b.frontier_digest && a.fingerprint == b.fingerprint
        });
        let late = Instant::now() > deadline;
        let linked = missing.is_empty() || (cut.is_empty() && (!mesh || late));
        if linked && (equal || blocked) {
            let all = counted(numbers.len() as u64, "node");
            let same = if equal { ", and hold the same" } else { "" };
            say!("all {all} are ready and linked{same}");
            if mesh && !missing.is_empty() {
                say!("there is no direct link between {}: others are between them", pairs(&missing));
            }
            if blocked {
                say!("some are still partitioned (`p2pdb-testnet heal` undoes it)");
            }
            return Ok(());
        }
        if late {
            let seconds = EQUAL_TIMEOUT.as_secs();
            let why = if cut.is_empty() {
                "the nodes are linked, but do not hold the same".to_owned()
            } else {
                format!("there is no link between {}", pairs(&cut))
            };
            bail!("{why} after {seconds} s; the nodes run on: see `p2pdb-testnet status` and the logs");
        }
        std::thread::sleep(POLL);
    }
}

fn pairs(pairs: &[(u32, u32)]) -> String {
    pairs.iter().map(|(a, b)| format!("{a} and {b}")).collect::<Vec<_>>().join(", ")
}

fn linked(a: &StatusReport, b: &StatusReport) -> bool {
    let sees =
        |a: &StatusReport, b: &StatusReport| a.peers.iter().any(|p| p.node == b.node && p.access == "member");
    sees(a, b) && sees(b, a)
}

/// Pairs of nodes without a link between members that no partition keeps apart.
fn missing_links(seen: &[(u32, StatusReport)]) -> Vec<(u32, u32)> {
    let mut missing = Vec::new();
    for (i, (n, a)) in seen.iter().enumerate() {
        for (m, b) in &seen[i + 1..] {
            let apart = a.blocked.contains(&b.node) || b.blocked.contains(&a.node);
            if !apart && !linked(a, b) {
                missing.push((*n, *m));
            }
        }
    }
    missing
}

/// Whether links lead from one node to the other.
fn way(seen: &[(u32, StatusReport)], (from, to): (u32, u32)) -> bool {
    let mut reached = vec![from];
    let mut next = 0;
    while let Some(at) = reached.get(next).and_then(|n| seen.iter().find(|(m, _)| m == n)) {
        for (n, s) in seen {
            if !reached.contains(n) && linked(&at.1, s) {
                reached.push(*n);
            }
        }
        next += 1;
    }
    reached.contains(&to)
}
