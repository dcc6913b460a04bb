//! The binary p2pdb-testnet: several nodes on this machine, as separate processes with real sockets.
//!
//! Everything it knows stands in one directory: a state file, and a data directory with a log for each node. It is not
//! a server: every command does its work and leaves; the nodes run on.

mod control;
mod groups;
mod load;
mod process;
mod say;
mod state;
mod status;
mod up;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Several p2pdb nodes on this machine.
#[derive(Debug, Parser)]
#[command(name = "p2pdb-testnet", version)]
struct Cli {
    /// Where the testnet's state and data are
    #[arg(long, global = true, default_value = ".testnet", value_name = "DIR")]
    dir: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make and start nodes of one realm, or start again those that `down` has stopped
    Up {
        /// How many nodes; 3 where nothing is said and none are there
        #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
        nodes: Option<u32>,
        /// The p2pdb-node program; default: beside this one
        #[arg(long, value_name = "FILE")]
        node_binary: Option<PathBuf>,
    },
    /// Show nodes, ports, heads, frontier, fingerprint and lag
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Cut the network into groups with no path between them, such as '1,2|3'; a restart does not heal it
    Partition {
        /// Node numbers; groups are separated by |
        groups: String,
    },
    /// Undo a partition
    Heal,
    /// Kill a node at once (SIGKILL): what it has acknowledged must be there after a restart
    Kill {
        /// Its number
        node: u32,
        /// Stop it properly instead (SIGTERM)
        #[arg(long)]
        graceful: bool,
    },
    /// Start a node that was killed or has stopped
    Restart {
        /// Its number
        node: u32,
    },
    /// Write rows for a while, and say how fast and with which errors
    Load(load::Load),
    /// Stop every node, and make sure that none is left
    Down {
        /// Remove the directory with all data, too
        #[arg(long)]
        remove: bool,
    },
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    // By the one name that all commands use, however it is typed: a process is known by it. `up` may have to make it first.
    let dir = cli.dir.canonicalize().or_else(|_| std::path::absolute(&cli.dir)).unwrap_or(cli.dir);
    // One command at a time changes what the testnet remembers; those that only look or write rows need not wait.
    let _alone = match &cli.verb {
        // `up` may have to make the directory first, and sees to it.
        Verb::Status { .. } | Verb::Load(_) | Verb::Up { .. } => None,
        _ => state::alone(&dir),
    };
    let result = match cli.verb {
        Verb::Up { nodes, node_binary } => up::up(&dir, nodes, node_binary),
        Verb::Status { json } => status::status(&dir, json),
        Verb::Partition { groups } => control::partition(&dir, &groups),
        Verb::Heal => control::heal(&dir),
        Verb::Kill { node, graceful } => control::kill(&dir, node, graceful),
        Verb::Restart { node } => control::restart(&dir, node),
        Verb::Load(load) => load::load(&dir, &load),
        Verb::Down { remove } => control::down(&dir, remove),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("p2pdb-testnet: {}", p2pdb_node::explain::explain(&e));
            std::process::ExitCode::FAILURE
        }
    }
}
