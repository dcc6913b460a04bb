//! `partition`, `heal`, `kill`, `restart`, `down`.

use std::path::Path;

use anyhow::{Context, bail};
use p2pdb_node::admin::{NodesRequest, StatusReport};
use p2pdb_node::app::BLOCKED_FILE;
use p2pdb_node::explain::explain;
use p2pdb_node::units::counted;

use crate::groups;
use crate::say::say;
use crate::state::{Node, State};

pub(crate) fn partition(dir: &Path, text: &str) -> anyhow::Result<()> {
    let state = State::must_load(dir)?;
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    let groups = groups::parse(text, &numbers)?;
    let mut orders = Vec::new();
    for group in &groups {
        let others: Vec<u32> = numbers.iter().copied().filter(|n| !group.contains(n)).collect();
        let keys: Vec<String> = others
            .iter()
            .map(|n| {
                state.node(*n)?.key.clone().with_context(|| format!("the key of node {n} is not known yet"))
            })
            .collect::<anyhow::Result<_>>()?;
        orders.extend(group.iter().map(|number| (*number, others.clone(), keys.clone())));
    }
    // Half a partition is none: whoever can be told is told.
    let mut untold = Vec::new();
    for (number, others, keys) in orders {
        match block(&state, number, &keys) {
            Ok(()) => say!("node {number}: cut off from {}", list(&others)),
            Err(e) => untold.push(format!("node {number}: {}", explain(&e))),
        }
    }
    all_told(&untold, "between them and the other groups there may be a path")?;
    say!("no path is left between the groups; `p2pdb-testnet heal` undoes it");
    Ok(())
}

pub(crate) fn heal(dir: &Path) -> anyhow::Result<()> {
    let state = State::must_load(dir)?;
    // One that cannot be told keeps none of the others apart.
    let untold =
        |n: &Node| block(&state, n.number, &[]).err().map(|e| format!("node {}: {}", n.number, explain(&e)));
    let untold: Vec<String> = state.nodes.iter().filter_map(untold).collect();
    all_told(&untold, "the others may reach each other again")?;
    say!("all nodes may reach each other again");
    Ok(())
}

fn all_told(untold: &[String], so: &str) -> anyhow::Result<()> {
    match untold {
        [] => Ok(()),
        _ => bail!("not all nodes could be told; {so}\n  {}", untold.join("\n  ")),
    }
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
        numbers.iter().try_for_each(|n| state.must_be_unused(*n))?;
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
