//! Processes of nodes: starting, finding, ending. A process is named by its id *and* by what it runs, so that an id that
//! the system has given to somebody else is never touched.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use p2pdb_node::admin::{RunInfo, StatusReport};
use p2pdb_node::net::PEERS_DIRECT_MAX;
use p2pdb_node::node::RUN_FILE;
use p2pdb_node::ports::EXIT_TAKEN;
use rustix::process::{Pid, Signal, kill_process};

use crate::say::Interrupt;
use crate::state::{State, make_dir};

/// A node that is not ready by then has failed to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a node is started whose ports somebody else takes in that moment.
const STARTS_MAX: u32 = 4;
/// A process that is ending, of which nothing can be seen any more, can be waited for by then: its threads end one by one.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// A node that has not stopped by then is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(25);
/// Lines of a log that are shown when a node fails.
const LOG_LINES_SHOWN: usize = 12;

/// A node that this command has started.
pub(crate) struct Started(Child);

impl Started {
    /// Whether it, which has ended or is about to, does so because somebody has one of its ports.
    fn found_a_port_taken(&mut self) -> bool {
        let deadline = Instant::now() + END_TIMEOUT;
        loop {
            match self.0.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
                ended => {
                    return ended
                        .is_ok_and(|status| status.and_then(|s| s.code()) == Some(EXIT_TAKEN.into()));
                }
            }
        }
    }
}

impl State {
    /// The node's process, if it runs.
    pub(crate) fn running(&self, number: u32) -> Option<u32> {
        let node = self.nodes.iter().find(|n| n.number == number)?;
        let noted = node.pid.filter(|pid| {
            let args = arguments(*pid);
            // It has ended and waits for its parent, or is just being started: then there is a program.
            let starts = || std::fs::read_link(format!("/proc/{pid}/exe")).is_ok();
            // What it was started as may be a script, or have given way to a program of another name.
            let is_it = |args: &[Vec<u8>]| self.names(number, args) && (runs(args) || self.is_a_node(*pid));
            args.is_some_and(|args| if args.is_empty() { starts() } else { is_it(&args) })
        });
        // Who started it may have been killed before it could note the process, and somebody else may have started it, by whatever name
        // of its directory: the node itself holds the lock, or will in a moment.
        noted.or_else(|| self.serving(number)).or_else(|| self.starting(number))
    }

    /// The process that serves the node, as it says itself. Others that take the lock, such as `verify`, are no node.
    fn serving(&self, number: u32) -> Option<u32> {
        let dir = self.data_dir(number);
        let holder = dir.holder().filter(|pid| arguments(*pid).is_some() && dir.is_held())?;
        let run: Option<RunInfo> = dir.read_json(RUN_FILE).ok()?;
        let says_so = run.is_some_and(|run| run.pid == holder);
        let runs = || arguments(holder).is_some_and(|args| self.names(number, &args) && runs(&args));
        (self.is_a_node(holder) && (says_so || runs())).then_some(holder)
    }

    /// A process that was told to run the node and has not come to its lock.
    fn starting(&self, number: u32) -> Option<u32> {
        let own = std::process::id();
        let all = std::fs::read_dir("/proc").ok()?;
        let mut pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        pids.find(|pid| {
            let is_it = |args: Vec<Vec<u8>>| runs(&args) && self.names(number, &args);
            *pid != own && arguments(*pid).is_some_and(is_it) && self.is_a_node(*pid)
        })
    }

    /// The process runs the node's program, and files have the same names for it: it is in no container.
    fn is_a_node(&self, pid: u32) -> bool {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let name =
            |path: &Path| path.file_name().map(|name| name.to_string_lossy().replace(" (deleted)", ""));
        let root = |of: &str| std::fs::metadata(of).ok().map(|root| (root.dev(), root.ino()));
        let own = self.binary.canonicalize().unwrap_or_else(|_| self.binary.clone());
        program.is_some_and(|program| name(&program) == name(&own))
            && root(&format!("/proc/{pid}/root")) == root("/")
    }

    /// # Errors
    /// When somebody uses the node's directory who is no node of this testnet: nothing is taken away from under them.
    pub(crate) fn must_be_unused(&self, number: u32) -> anyhow::Result<()> {
        let dir = self.data_dir(number);
        if dir.is_held() {
            let pid = dir.holder().map_or_else(String::new, |pid| format!(" (pid {pid})"));
            bail!("{} is in use by another process{pid}\n  hint: end that one first", dir.root().display());
        }
        Ok(())
    }

    /// Whether a process with these arguments works on the node's directory.
    fn names(&self, number: u32, args: &[Vec<u8>]) -> bool {
        let data_dir = self.data_dir(number);
        args.iter().any(|arg| arg == data_dir.root().as_os_str().as_bytes())
    }

    /// Starts a node: `run`, or `join` with a ticket.
    pub(crate) fn start(&mut self, number: u32, ticket: Option<&str>) -> anyhow::Result<Started> {
        if let Some(pid) = self.running(number) {
            bail!("node {number} runs already (pid {pid})");
        }
        self.free_the_ports_of(number)?;
        let dir = self.data_dir(number);
        make_dir(dir.root())?;
        let node = self.node(number)?;
        let text = format!(
            "# Written by p2pdb-testnet.\nnode-name = \"node{number}\"\nrealm-name = \"testnet\"\n\
             mysql-listen = \"127.0.0.1:{}\"\nhttp-listen = \"127.0.0.1:{}\"\n\
             peer-listen = [\"/ip4/127.0.0.1/tcp/{}\", \"/ip4/127.0.0.1/udp/{}/quic-v1\"]\n\
             bootstrap = [{}]\nmdns = false\nprivate-addresses = true\ntestnet = true\n",
            node.mysql_port,
            node.http_port,
            node.peer_port,
            node.peer_port,
            self.moved_away(number).join(", ")
        );
        dir.write_secret("p2pdb.toml", text.as_bytes())?;
        let log = OpenOptions::new().create(true).append(true).open(self.log_path(number))?;
        let mut command = Command::new(&self.binary);
        match ticket {
            Some(ticket) => command.arg("join").arg(ticket),
            None => command.arg("run"),
        };
        // Settings for other nodes, in the environment of whoever types this, are not meant for these.
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("P2PDB_")) {
            command.env_remove(name);
        }
        let child = command
            .arg("--data-dir")
            .arg(dir.root())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.node_mut(number)?.pid = Some(child.id());
        self.save()?;
        Ok(Started(child))
    }

    /// Where the nodes are whose ports are others than those that this one remembers them by.
    fn moved_away(&self, number: u32) -> Vec<String> {
        let moved = self.nodes.iter().filter(|n| n.moved && n.number != number);
        moved.take(PEERS_DIRECT_MAX).map(|n| format!("\"/ip4/127.0.0.1/tcp/{}\"", n.peer_port)).collect()
    }

    /// Starts a node, and waits as [`Self::wait_started`] does.
    pub(crate) fn start_and_wait(
        &mut self,
        number: u32,
        ticket: Option<&str>,
        what: &str,
        ready: impl Fn(&StatusReport) -> bool,
    ) -> anyhow::Result<StatusReport> {
        let started = self.start(number, ticket)?;
        self.wait_started(number, started, ticket, what, ready)
    }

    /// Waits until a node that was started answers and `ready` says so. Who took one of its ports between the look whether they are
    /// free and its start has not kept it from starting: it gets others.
    pub(crate) fn wait_started(
        &mut self,
        number: u32,
        mut started: Started,
        ticket: Option<&str>,
        what: &str,
        ready: impl Fn(&StatusReport) -> bool,
    ) -> anyhow::Result<StatusReport> {
        for _ in 1..STARTS_MAX {
            match self.wait(number, what, &ready) {
                Err(_) if self.running(number).is_none() && started.found_a_port_taken() => {
                    started = self.start(number, ticket)?
                }
                done => return done,
            }
        }
        self.wait(number, what, &ready)
    }

    /// Takes away what is there of a node whose own making was cut short: without a key it has never run, and holds nothing.
    pub(crate) fn remove_beginning(&self, number: u32) -> anyhow::Result<()> {
        let dir = self.data_dir(number);
        let ran = dir.is_initialised() || self.node(number)?.key.is_some() || self.running(number).is_some();
        if ran || !dir.root().exists() {
            return Ok(());
        }
        std::fs::remove_dir_all(dir.root()).with_context(|| format!("cannot remove {}", dir.root().display()))
    }

    /// The node of a finished testnet has its data: one without would begin a realm of its own.
    pub(crate) fn must_be_made(&self, number: u32) -> anyhow::Result<()> {
        let dir = self.data_dir(number);
        if dir.is_initialised() {
            return Ok(());
        }
        bail!(
            "there is no node in {}: the data of node {number} is gone\n  hint: put it back, or make the testnet anew (`down --remove`, `up`); what the other nodes hold stays until then",
            dir.root().display()
        )
    }

    /// Whether the node, which does not run, holds anything of the realm. Otherwise it is to join, with whatever ticket.
    pub(crate) fn has_joined(&self, number: u32) -> anyhow::Result<bool> {
        let dir = self.data_dir(number);
        if !dir.is_initialised() {
            return Ok(false);
        }
        let asked = Command::new(&self.binary)
            .args(["status", "--json", "--data-dir"])
            .arg(dir.root())
            .output()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        if !asked.status.success() {
            let why = String::from_utf8_lossy(&asked.stderr);
            bail!("node {number} does not say what it holds: {}", why.trim_end());
        }
        let status: serde_json::Value = serde_json::from_slice(&asked.stdout)?;
        Ok(status["blocks"].as_u64().is_some_and(|blocks| blocks > 0))
    }

    /// Waits until the node answers and `ready` says so.
    pub(crate) fn wait(
        &mut self,
        number: u32,
        what: &str,
        ready: impl Fn(&StatusReport) -> bool,
    ) -> anyhow::Result<StatusReport> {
        let deadline = Instant::now() + START_TIMEOUT;
        let mut last = String::new();
        while Instant::now() < deadline {
            self.not_interrupted()?;
            if self.running(number).is_none() {
                bail!("node {number} has ended\n{}", self.log_tail(number));
            }
            match self.admin(number).and_then(|a| a.get::<StatusReport>("status")) {
                Ok(status) => {
                    if ready(&status) {
                        self.node_mut(number)?.key = Some(status.node.clone());
                        self.save()?;
                        return Ok(status);
                    }
                    last = status.reasons.join("; ");
                }
                Err(e) => last = e.to_string(),
            }
            std::thread::sleep(POLL);
        }
        let seconds = START_TIMEOUT.as_secs();
        bail!("node {number} is not {what} after {seconds} s: {last}\n{}", self.log_tail(number))
    }

    /// # Errors
    /// When Ctrl-C or SIGTERM came.
    pub(crate) fn not_interrupted(&self) -> anyhow::Result<()> {
        self.interrupt.as_ref().map_or(Ok(()), Interrupt::check)
    }

    fn log_tail(&self, number: u32) -> String {
        let path = self.log_path(number);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
        format!("its log, {}, ends with:\n  {}", path.display(), lines[from..].join("\n  "))
    }

    /// Ends a node; says whether it ran.
    pub(crate) fn stop(&mut self, number: u32, at_once: bool) -> anyhow::Result<bool> {
        let Some(pid) = self.running(number) else {
            return Ok(false);
        };
        signal(pid, if at_once { Signal::KILL } else { Signal::TERM })?;
        let mut deadline = Instant::now() + STOP_TIMEOUT;
        let mut killed = at_once;
        while self.running(number) == Some(pid) {
            if Instant::now() > deadline {
                if killed {
                    bail!("node {number} (pid {pid}) does not end, not even by SIGKILL");
                }
                eprintln!("node {number} does not stop; killing it");
                signal(pid, Signal::KILL)?;
                killed = true;
                deadline = Instant::now() + STOP_TIMEOUT;
            }
            std::thread::sleep(POLL);
        }
        // One that is ending holds its files until its last thread has ended, the lock among them.
        let deadline = Instant::now() + END_TIMEOUT;
        while !has_ended(pid) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        self.node_mut(number)?.pid = None;
        self.save()?;
        Ok(true)
    }
}

/// These arguments are of a node that runs, or comes to run.
fn runs(args: &[Vec<u8>]) -> bool {
    args.iter().any(|arg| arg == b"run" || arg == b"join") && args.iter().any(|arg| arg == b"--data-dir")
}

/// Nothing is left of a process but what its parent may ask for.
fn has_ended(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return true };
    let is_zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    is_zombie && std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count) <= 1
}

/// What a process was started with; nothing for one that has ended and waits for its parent.
fn arguments(pid: u32) -> Option<Vec<Vec<u8>>> {
    let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(cmdline.split(|b| *b == 0).filter(|arg| !arg.is_empty()).map(<[u8]>::to_vec).collect())
}

fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")?;
    match kill_process(id, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(e) => Err(e).with_context(|| format!("cannot signal process {pid}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_ended_when_nothing_of_it_runs() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("it starts");
        assert!(!has_ended(child.id()));
        child.kill().expect("killed");
        let deadline = Instant::now() + END_TIMEOUT;
        while !has_ended(child.id()) {
            assert!(Instant::now() < deadline);
            std::thread::sleep(POLL);
        }
        child.wait().expect("ended");
        assert!(has_ended(child.id()));
    }

    #[test]
    fn one_that_is_still_ending_is_waited_for() {
        let ends = |with: u8| {
            let child = Command::new("sh").args(["-c", &format!("sleep 0.3; exit {with}")]).spawn();
            Started(child.expect("it starts")).found_a_port_taken()
        };
        assert!(ends(EXIT_TAKEN));
        assert!(!ends(1));
    }
}
