//! `partition`, `heal`, `kill`, `restart`, `down`.

use std::path::Path;

use anyhow::{Context, bail};
use p2pdb_node::admin::{NodesRequest, StatusReport};
use p2pdb_node::app::BLOCKED_FILE;
use p2pdb_node::units::counted;

use crate::groups;
use crate::say::say;
use crate::state::{Node, State};

pub(crate) fn partition(dir: &Path, text: &str) -> anyhow::Result<()> {
    let state = State::must_load(dir)?;
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    let groups = groups::parse(text, &numbers)?;
    for group in &groups {
        let others: Vec<u32> = numbers.iter().copied().filter(|n| !group.contains(n)).collect();
        let keys: Vec<String> = others
            .iter()
            .map(|n| {
                state.node(*n)?.key.clone().with_context(|| format!("the key of node {n} is not known yet"))
            })
            .collect::<anyhow::Result<_>>()?;
        for number in group {
            block(&state, *number, &keys)?;
            say!("node {number}: cut off from {}", list(&others));
        }
    }
    say!("no path is left between the groups; `p2pdb-testnet heal` undoes it");
    Ok(())
}

pub(crate) fn heal(dir: &Path) -> anyhow::Result<()> {
    let state = State::must_load(dir)?;
    // One that cannot be told keeps none of the others apart.
    let untold = |n: &Node| block(&state, n.number, &[]).err().map(|e| format!("node {}: {e:#}", n.number));
    let failed: Vec<String> = state.nodes.iter().filter_map(untold).collect();
    if !failed.is_empty() {
        bail!(
            "not all nodes could be told, the others may reach each other again\n  {}",
            failed.join("\n  ")
        );
    }
    say!("all nodes may reach each other again");
    Ok(())
}

/// Tells a running node; writes it down for a stopped one.
fn block(state: &State, number: u32, keys: &[String]) -> anyhow::Result<()> {
    if state.running(number).is_some() {
        let admin = state.admin(number)?;
        let _: StatusReport = if keys.is_empty() {
            admin.post("heal", &NodesRequest::default())?
        } else {
            admin.post("partition", &NodesRequest { nodes: keys.to_vec() })?
        };
        return Ok(());
    }
    Ok(state.data_dir(number).write_json(BLOCKED_FILE, &keys)?)
}

pub(crate) fn kill(dir: &Path, number: u32, graceful: bool) -> anyhow::Result<()> {
    let mut state = State::must_load(dir)?;
    state.node(number)?;
    if !state.stop(number, !graceful)? {
        bail!("node {number} does not run");
    }
    say!("node {number}: {}", if graceful { "stopped" } else { "killed" });
    Ok(())
}

pub(crate) fn restart(dir: &Path, number: u32) -> anyhow::Result<()> {
    let mut state = State::must_load(dir)?;
    state.node(number)?;
    state.must_be_made(number)?;
    let status = state.start_and_wait(number, None, "ready", |s| s.ready)?;
    say!("node {number}: runs again (pid {}), holds {}", status.pid, counted(status.blocks, "block"));
    Ok(())
}

pub(crate) fn down(dir: &Path, remove: bool) -> anyhow::Result<()> {
    let mut state = State::must_load(dir)?;
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    for number in &numbers {
        if state.stop(*number, false)? {
            say!("node {number}: stopped");
        }
    }
    let left: Vec<u32> = numbers.iter().filter_map(|n| state.running(*n)).collect();
    if !left.is_empty() {
        bail!("these processes are still there: {}", list(&left));
    }
    say!("no node is running");
    if remove {
        match state.remove()? {
            true => say!("removed {}", dir.display()),
            false => say!("removed the testnet from {}; what else is there stays", dir.display()),
        }
    }
    Ok(())
}

fn list(numbers: &[u32]) -> String {
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
