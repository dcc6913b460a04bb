//! `up`: from nothing to nodes of one realm that hold the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use p2pdb_node::admin::{InviteReport, InviteRequest, StatusReport};

use crate::state::State;
use crate::status;

const EQUAL_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(25);

pub(crate) fn up(dir: &Path, nodes: u32, binary: Option<PathBuf>) -> anyhow::Result<()> {
    let binary = match binary {
        Some(path) => std::path::absolute(path)?,
        None => beside_this()?,
    };
    let mut state = match State::load(dir)? {
        Some(mut state) => {
            let live: Vec<u32> = state.nodes.iter().filter_map(|n| state.running(n.number)).collect();
            if live.len() == state.nodes.len() {
                bail!(
                    "the testnet in {} runs already\n  hint: `p2pdb-testnet status` shows it, `down` stops it",
                    dir.display()
                );
            }
            println!("starting the {} nodes in {} again", state.nodes.len(), dir.display());
            state.binary = binary;
            start_again(&mut state)?;
            state
        }
        None => {
            println!("making a testnet of {nodes} nodes in {}", dir.display());
            std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            let mut state = State::new(dir, binary);
            for _ in 0..nodes {
                state.add()?;
            }
            state.save()?;
            if let Err(e) = make(&mut state) {
                // Leave nothing running behind a failed start; the directory stays, to look at.
                for number in 1..=nodes {
                    let _ = state.stop(number, true);
                }
                return Err(e.context(format!("remove {} before you try again", dir.display())));
            }
            state
        }
    };
    wait_equal(&mut state)?;
    println!();
    status::status(dir, false)?;
    println!();
    for node in &state.nodes {
        let file = state.data_dir(node.number).client_cnf_path();
        println!("connect to node {}:  mariadb --defaults-file={}", node.number, file.display());
    }
    Ok(())
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
    println!("node 1: starting, with a realm of its own");
    state.start(1, None)?;
    state.wait(1, "ready", |s| s.ready && !s.listening.is_empty())?;
    if count == 1 {
        return Ok(());
    }
    println!("node 1: inviting {} writers", count - 1);
    let request = InviteRequest {
        role: "writer".into(),
        expires_s: Some(3600),
        uses: count - 1,
        addresses: Vec::new(),
    };
    let invite: InviteReport = state.admin(1)?.post("invite", &request)?;
    for number in 2..=count {
        println!("node {number}: joining");
        state.start(number, Some(&invite.ticket))?;
        state.wait(number, "a member", |s| s.ready)?;
    }
    Ok(())
}

fn start_again(state: &mut State) -> anyhow::Result<()> {
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    for number in numbers {
        if state.running(number).is_none() {
            println!("node {number}: starting");
            state.start(number, None)?;
        }
    }
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    for number in numbers {
        state.wait(number, "ready", |s| s.ready)?;
    }
    Ok(())
}

/// Waits until every node has the same frontier and fingerprint.
fn wait_equal(state: &mut State) -> anyhow::Result<()> {
    let numbers: Vec<u32> = state.nodes.iter().map(|n| n.number).collect();
    let deadline = Instant::now() + EQUAL_TIMEOUT;
    loop {
        let mut seen: Vec<(String, String)> = Vec::new();
        let mut blocked = false;
        for number in &numbers {
            let s: StatusReport = state.admin(*number)?.get("status")?;
            blocked |= !s.blocked.is_empty();
            seen.push((s.frontier_digest, s.fingerprint));
        }
        if seen.windows(2).all(|w| w[0] == w[1]) {
            println!("all {} nodes are ready and hold the same", numbers.len());
            return Ok(());
        }
        if blocked {
            println!("the nodes are ready; they are still partitioned (`p2pdb-testnet heal`)");
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the nodes do not become equal; see `p2pdb-testnet status` and the logs");
        }
        std::thread::sleep(POLL);
    }
}
