//! What the testnet remembers between commands: `testnet.json`.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use p2pdb_node::admin_client::AdminClient;
use p2pdb_node::client_file::ClientFile;
use p2pdb_node::datadir::DataDir;
use serde::{Deserialize, Serialize};

use crate::say::Interrupt;

const FILE: &str = "testnet.json";
/// Ports tried first, for node 1; the next nodes take the next ones.
const MYSQL_PORT: u16 = 13306;
const PEER_PORT: u16 = 17306;
const HTTP_PORT: u16 = 17380;

/// A node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) number: u32,
    pub(crate) mysql_port: u16,
    pub(crate) peer_port: u16,
    pub(crate) http_port: u16,
    /// Its process when it was started last.
    pub(crate) pid: Option<u32>,
    /// Its public key, once known.
    pub(crate) key: Option<String>,
}

/// What makes others wait.
const LOCK: &str = "testnet.lock";

/// Waits until no other command works on the testnet of this directory, and keeps others waiting as long as the file is open.
/// `None` where there is no directory yet, or it cannot be written to: the command will say so itself.
pub(crate) fn alone(dir: &Path) -> Option<std::fs::File> {
    let file = std::fs::File::create(dir.join(LOCK)).ok()?;
    file.lock().ok()?;
    Some(file)
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) binary: PathBuf,
    pub(crate) nodes: Vec<Node>,
    /// All nodes have joined. One that was interrupted before that is finished by the next `up`.
    #[serde(default = "made")]
    pub(crate) made: bool,
    #[serde(skip)]
    dir: PathBuf,
    /// What ends a long wait before its time.
    #[serde(skip)]
    pub(crate) interrupt: Option<Interrupt>,
}

/// What a state was that does not say so.
fn made() -> bool {
    true
}

impl State {
    pub(crate) fn new(dir: &Path, binary: PathBuf) -> Self {
        Self { binary, nodes: Vec::new(), made: false, dir: dir.to_owned(), interrupt: None }
    }

    pub(crate) fn load(dir: &Path) -> anyhow::Result<Option<Self>> {
        let state: Option<State> = DataDir::at(dir).read_json(FILE)?;
        Ok(state.map(|s| State { dir: dir.to_owned(), ..s }))
    }

    pub(crate) fn must_load(dir: &Path) -> anyhow::Result<Self> {
        Self::load(dir)?.with_context(|| {
            format!("there is no testnet in {}\n  hint: `p2pdb-testnet up` makes one; --dir names another directory", dir.display())
        })
    }

    pub(crate) fn save(&self) -> anyhow::Result<()> {
        Ok(DataDir::at(&self.dir).write_json(FILE, self)?)
    }

    /// Adds a node with ports that are free now.
    pub(crate) fn add(&mut self) -> anyhow::Result<()> {
        let number = self.nodes.last().map_or(1, |n| n.number + 1);
        let offset = (number - 1) as u16;
        let taken: Vec<u16> =
            self.nodes.iter().flat_map(|n| [n.mysql_port, n.peer_port, n.http_port]).collect();
        let mysql_port = free_port(MYSQL_PORT + offset, &taken)?;
        let peer_port = free_port(PEER_PORT + offset, &taken)?;
        let http_port = free_port(HTTP_PORT + offset, &taken)?;
        self.nodes.push(Node { number, mysql_port, peer_port, http_port, pid: None, key: None });
        Ok(())
    }

    pub(crate) fn node(&self, number: u32) -> anyhow::Result<&Node> {
        self.nodes
            .iter()
            .find(|n| n.number == number)
            .with_context(|| format!("there is no node {number}; nodes are 1 to {}", self.nodes.len()))
    }

    pub(crate) fn node_mut(&mut self, number: u32) -> anyhow::Result<&mut Node> {
        let count = self.nodes.len();
        let node = self.nodes.iter_mut().find(|n| n.number == number);
        node.with_context(|| format!("there is no node {number}; nodes are 1 to {count}"))
    }

    pub(crate) fn data_dir(&self, number: u32) -> DataDir {
        DataDir::at(self.dir.join(format!("node{number}")))
    }

    pub(crate) fn log_path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("node{number}.log"))
    }

    pub(crate) fn admin(&self, number: u32) -> anyhow::Result<AdminClient> {
        AdminClient::of(&self.data_dir(number))
    }

    pub(crate) fn client_file(&self, number: u32) -> anyhow::Result<ClientFile> {
        ClientFile::read(&self.data_dir(number))?.with_context(|| format!("node {number} has no client.cnf"))
    }
}

/// The preferred port if nobody uses it for TCP or UDP, else one that the system picks.
fn free_port(preferred: u16, taken: &[u16]) -> anyhow::Result<u16> {
    let free = |port: u16| {
        let tcp = TcpListener::bind(("127.0.0.1", port)).ok()?;
        let port = tcp.local_addr().ok()?.port();
        UdpSocket::bind(("127.0.0.1", port)).ok().filter(|_| !taken.contains(&port)).map(|_| port)
    };
    if let Some(port) = free(preferred) {
        return Ok(port);
    }
    for _ in 0..100 {
        if let Some(port) = free(0) {
            return Ok(port);
        }
    }
    bail!("cannot find a free port on 127.0.0.1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_are_taken_are_not_given_and_no_port_twice() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let other = free_port(port, &[]).expect("another port");
        assert_ne!(other, port);
        assert_ne!(free_port(other, &[other]).expect("a third port"), other);
    }

    #[test]
    fn the_state_comes_back_as_it_was() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        assert!(State::load(temp.path()).expect("nothing yet").is_none());
        assert!(State::must_load(temp.path()).expect_err("nothing yet").to_string().contains("testnet up"));
        let mut state = State::new(temp.path(), PathBuf::from("/bin/node"));
        state.add().expect("ports");
        state.add().expect("ports");
        state.save().expect("write");
        let again = State::must_load(temp.path()).expect("read");
        assert_eq!(again.nodes.len(), 2);
        assert_eq!(again.node(2).expect("node 2").mysql_port, state.nodes[1].mysql_port);
        assert!(again.node(3).is_err());
    }
}
