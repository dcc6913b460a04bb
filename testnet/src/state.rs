//! What the testnet remembers between commands: `testnet.json`.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use p2pdb_node::admin_client::AdminClient;
use p2pdb_node::client_file::ClientFile;
use p2pdb_node::datadir::{DataDir, DataDirError, private_dir};
use serde::{Deserialize, Serialize};

use crate::say::{Interrupt, say};

const FILE: &str = "testnet.json";
/// What is left of a [`State::save`] that was cut short.
const UNSAVED: &str = "testnet.new";
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
    /// Somebody had its ports, so it was given others: the others are told where it is.
    #[serde(default)]
    pub(crate) moved: bool,
}

impl Node {
    fn ports(&self) -> [u16; 3] {
        [self.mysql_port, self.peer_port, self.http_port]
    }
}

/// What makes others wait.
const LOCK: &str = "testnet.lock";

/// Waits until no other command works on the testnet of this directory, and keeps others waiting as long as the file is open.
/// `None` where there is no testnet and none is being made, or the directory cannot be written to: the command will say so itself.
pub(crate) fn alone(dir: &Path) -> Option<File> {
    lock(dir, false)
}

fn lock(dir: &Path, begin: bool) -> Option<File> {
    let path = dir.join(LOCK);
    loop {
        // Nothing is put into somebody else's directory.
        let create = begin || dir.join(FILE).exists();
        let file = File::options().write(true).create(create).truncate(false).open(&path).ok()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                say!("another command is at work on the testnet in {}: waiting for its end", dir.display());
                file.lock().ok()?;
            }
            Err(TryLockError::Error(_)) => return None,
        }
        // The other one may have removed the directory, and somebody may have made it anew.
        let (held, there) = (file.metadata().ok()?, std::fs::metadata(&path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (held.dev(), held.ino())) {
            return Some(file);
        }
    }
}

/// [`alone`], in a directory that is made if need be; with the directory's one name.
pub(crate) fn alone_in_new(dir: &Path) -> anyhow::Result<(PathBuf, Option<File>)> {
    loop {
        make_dir(dir)?;
        // Whoever was at work in it may have removed it.
        let dir = match dir.canonicalize() {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            found => found.with_context(|| format!("cannot find out where {} is", dir.display()))?,
        };
        let alone = lock(&dir, true);
        if alone.is_some() || dir.exists() {
            return Ok((dir, alone));
        }
    }
}

/// Ends [`alone_in_new`] where no testnet was begun: what it has put into the directory does not stay. Who has waited meanwhile
/// begins anew.
pub(crate) fn leave(dir: &Path, alone: &Option<File>) {
    if alone.as_ref().and_then(|lock| lock.metadata().ok()).is_some_and(|lock| lock.len() == 0) {
        // Left behind they harm nobody.
        let _ = std::fs::remove_file(dir.join(UNSAVED));
        let _ = std::fs::remove_file(dir.join(LOCK));
    }
}

/// [`private_dir`], with a hint that says how it is named here.
pub(crate) fn make_dir(dir: &Path) -> anyhow::Result<()> {
    private_dir(dir).map_err(|e| match e {
        DataDirError::Unusable { path, source } => anyhow!(
            "cannot use the directory {}: {source}\n  hint: choose another with --dir, or make it writable for this user",
            path.display()
        ),
        e => e.into(),
    })
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
        let [mysql_port, peer_port, http_port] = self.free_ports(number)?;
        let (pid, key, moved) = (None, None, false);
        self.nodes.push(Node { number, mysql_port, peer_port, http_port, pid, key, moved });
        Ok(())
    }

    /// Ports for a node that are free now, and that no node of this testnet has.
    fn free_ports(&self, number: u32) -> anyhow::Result<[u16; 3]> {
        let offset = (number - 1) as u16;
        let taken: Vec<u16> = self.nodes.iter().flat_map(Node::ports).collect();
        Ok([
            free_port(MYSQL_PORT + offset, &taken)?,
            free_port(PEER_PORT + offset, &taken)?,
            free_port(HTTP_PORT + offset, &taken)?,
        ])
    }

    /// Gives a node that does not run other ports if somebody has one of its own, such as another testnet that was started
    /// meanwhile: nobody has asked for these very ports.
    pub(crate) fn free_the_ports_of(&mut self, number: u32) -> anyhow::Result<()> {
        let Some(port) = self.node(number)?.ports().into_iter().find(|p| !is_free(*p)) else {
            return Ok(());
        };
        let [mysql_port, peer_port, http_port] = self.free_ports(number)?;
        say!(
            "node {number}: port {port} is taken by another program: it gets {mysql_port} for MySQL, {peer_port} for peers, {http_port} for HTTP"
        );
        let node = self.node_mut(number)?;
        *node = Node { mysql_port, peer_port, http_port, moved: true, ..node.clone() };
        self.save()
    }

    /// Nothing of somebody else is where the nodes are to be made.
    pub(crate) fn must_be_free(&self) -> anyhow::Result<()> {
        let places = self
            .nodes
            .iter()
            .flat_map(|n| [self.data_dir(n.number).root().to_owned(), self.log_path(n.number)]);
        match places.into_iter().find(|place| place.symlink_metadata().is_ok()) {
            Some(place) => bail!(
                "{} is there already, and not of a testnet that this directory knows of\n  hint: name another directory with --dir",
                place.display()
            ),
            None => Ok(()),
        }
    }

    /// Removes what the testnet has put into its directory, and the directory if it was the testnet's alone: then it says so. Who
    /// has waited meanwhile may begin anew in it.
    pub(crate) fn remove(&self) -> anyhow::Result<bool> {
        let failed = || format!("cannot remove {}", self.dir.display());
        for number in self.nodes.iter().map(|n| n.number) {
            gone(std::fs::remove_dir_all(self.data_dir(number).root())).with_context(failed)?;
            gone(std::fs::remove_file(self.log_path(number))).with_context(failed)?;
        }
        // The lock last, so that nobody begins in what is still being removed.
        for name in [FILE, UNSAVED, LOCK] {
            gone(std::fs::remove_file(self.dir.join(name))).with_context(failed)?;
        }
        match std::fs::remove_dir(&self.dir) {
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            done => gone(done).with_context(failed).map(|()| true),
        }
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

    /// The admin interface of a node that runs. One that was killed has left its address in the directory, which is another
    /// node's by now, perhaps.
    pub(crate) fn admin(&self, number: u32) -> anyhow::Result<AdminClient> {
        let admin = AdminClient::of(&self.data_dir(number))?;
        match self.running(number) == Some(admin.run.pid) {
            true => Ok(admin),
            false => bail!("node {number} does not run, or has only just begun to start"),
        }
    }

    pub(crate) fn client_file(&self, number: u32) -> anyhow::Result<ClientFile> {
        ClientFile::read(&self.data_dir(number))?.with_context(|| format!("node {number} has no client.cnf"))
    }
}

/// Removed, by whomever.
fn gone(removed: std::io::Result<()>) -> std::io::Result<()> {
    removed.or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// The port, or one that the system picks for 0, if nobody uses it for TCP or UDP.
fn probed(port: u16) -> Option<u16> {
    let tcp = TcpListener::bind(("127.0.0.1", port)).ok()?;
    let port = tcp.local_addr().ok()?.port();
    UdpSocket::bind(("127.0.0.1", port)).is_ok().then_some(port)
}

fn is_free(port: u16) -> bool {
    probed(port).is_some()
}

/// The preferred port if nobody uses it for TCP or UDP, else one that the system picks.
fn free_port(preferred: u16, taken: &[u16]) -> anyhow::Result<u16> {
    let free = |port: u16| probed(port).filter(|port| !taken.contains(port));
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
