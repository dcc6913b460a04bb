//! The story that the testnet is made for, through its commands: a dump loaded on node 1 is on 2 and 3, both sides of a
//! partition go on writing, healing loses nothing, a killed node comes back with all it held, and `down` leaves no process.
//!
//! One testnet for all of it: starting nodes is what costs time. Needs the `mariadb` client and the program p2pdb-node
//! beside p2pdb-testnet, where `cargo test --workspace` puts it.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use p2pdb_node::admin_client::AdminClient;
use p2pdb_node::client_file::ClientFile;
use p2pdb_node::datadir::DataDir;
use p2pdb_node::mysql_client::MysqlClient;
use serde_json::Value;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const DUMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/chinook.sql");
const TABLES: [(&str, u64); 11] = [
    ("Album", 347),
    ("Artist", 275),
    ("Customer", 59),
    ("Employee", 8),
    ("Genre", 25),
    ("Invoice", 412),
    ("InvoiceLine", 2240),
    ("MediaType", 5),
    ("Playlist", 18),
    ("PlaylistTrack", 8715),
    ("Track", 3503),
];

/// A testnet in a directory of its own; whatever of it is left at the end is ended.
struct Testnet {
    dir: PathBuf,
    _temp: tempfile::TempDir,
}

impl Testnet {
    fn new() -> Testnet {
        let temp = tempfile::tempdir().expect("a directory");
        Testnet { dir: temp.path().join("net"), _temp: temp }
    }

    fn run(&self, args: &[&str]) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_p2pdb-testnet"));
        let node = program.with_file_name("p2pdb-node");
        assert!(node.exists(), "there is no {}: cargo build -p p2pdb-node makes it", node.display());
        let output = Command::new(program).args(args).arg("--dir").arg(&self.dir).output();
        output.expect("the program starts")
    }

    /// Runs a command that must succeed; gives what it printed.
    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}:\n{out}\n{err}");
        out
    }

    /// Runs a command that must fail; gives what it complained of.
    fn err(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(!output.status.success(), "{args:?} succeeded:\n{out}\n{err}");
        assert!(err.starts_with("p2pdb-testnet: ") && !err.contains("panicked"), "{err}");
        err
    }

    fn status(&self) -> Vec<Value> {
        let json: Value = serde_json::from_str(&self.ok(&["status", "--json"])).expect("JSON");
        json.as_array().expect("a list").clone()
    }

    /// Waits until the nodes' frontiers and fingerprints are equal.
    fn wait_equal(&self, nodes: &[usize]) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rows = self.status();
            let state = |n: &usize| {
                let s = &rows[n - 1]["status"];
                (s["frontier_digest"].clone(), s["fingerprint"].clone())
            };
            let states: Vec<_> = nodes.iter().map(state).collect();
            if states[0].0.is_string() && states.windows(2).all(|w| w[0] == w[1]) {
                return;
            }
            assert!(Instant::now() < deadline, "{nodes:?} do not become equal: {}", self.ok(&["status"]));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn pid(&self, node: usize) -> Option<u64> {
        self.status()[node - 1]["pid"].as_u64()
    }

    fn client_cnf(&self, node: usize) -> PathBuf {
        self.dir.join(format!("node{node}/client.cnf"))
    }

    /// Runs a statement on a connection of its own; rows as text.
    fn query(&self, node: usize, sql: &str) -> Vec<Vec<String>> {
        let dir = DataDir::at(self.dir.join(format!("node{node}")));
        let file = ClientFile::read(&dir).expect("readable").expect("a client file");
        let mut client = MysqlClient::open(&file, None, "test").expect("a connection");
        let rows = client.run(sql).expect("the connection holds").unwrap_or_else(|e| panic!("{sql}: {e}"));
        let cell = |c: Option<Vec<u8>>| c.map_or_else(|| "NULL".to_owned(), |b| text(&b));
        rows.into_iter().map(|r| r.into_iter().map(cell).collect()).collect()
    }
}

impl Drop for Testnet {
    fn drop(&mut self) {
        if self.dir.exists() {
            let output = self.run(&["down"]);
            if !output.status.success() {
                eprintln!("down: {}", text(&output.stderr));
            }
            if std::thread::panicking() {
                for n in 1..=3 {
                    let log = std::fs::read_to_string(self.dir.join(format!("node{n}.log")));
                    eprintln!("--- node{n}.log\n{}", log.unwrap_or_default());
                }
            }
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A process of this id that is not merely waiting for its parent.
fn lives(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[test]
fn a_dump_a_partition_a_kill_and_the_end() {
    a_reader_that_leaves_stops_nothing_and_an_interrupted_start_leaves_nothing_running();
    let net = Testnet::new();
    assert!(net.err(&["status"]).contains("there is no testnet"));
    let out = net.ok(&["up", "3"]);
    assert!(out.contains("all 3 nodes are ready and linked, and hold the same"), "{out}");
    for n in 1..=3 {
        let line = format!("connect to node {n}:  mariadb --defaults-file={}", net.client_cnf(n).display());
        assert!(out.contains(&line), "{line}\nis not in\n{out}");
    }
    assert!(net.err(&["up", "3"]).contains("runs already"));
    let pids: Vec<u64> = (1..=3).map(|n| net.pid(n).expect("it runs")).collect();
    assert!(pids.iter().all(|p| lives(*p)));

    the_dump_is_on_all_nodes(&net);
    both_sides_of_a_partition_write_and_nothing_is_lost(&net);
    a_killed_node_comes_back(&net);

    let out = net.ok(&["load", "--for", "1s", "--clients", "1", "--rate", "60"]);
    assert!(out.contains("no errors"), "{out}");
    net.wait_equal(&[1, 2, 3]);
    let rows: u64 = net.query(3, "SELECT COUNT(*) FROM testnet.events")[0][0].parse().expect("a count");
    assert!(out.contains(&format!("{rows} rows in ")), "{rows} rows, but\n{out}");

    let pids: Vec<u64> = (1..=3).map(|n| net.pid(n).expect("it runs")).collect();
    let out = net.ok(&["down"]);
    assert!(out.contains("no node is running"), "{out}");
    assert!(pids.iter().all(|p| !lives(*p)), "a process is left");
    assert!(net.status().iter().all(|r| r["pid"].is_null()));
    assert!(net.err(&["up", "4"]).contains("is one of 3 nodes, not of 4"));
    a_failed_start_leaves_nothing_running_that_it_started(&net);
    nodes_whose_ports_are_taken_get_others(&net);
    // Everything is there after `up`.
    net.wait_equal(&[1, 2, 3]);
    assert_eq!(net.query(2, "SELECT COUNT(*) FROM Chinook_AutoIncrement.Track"), [["3504"]]);
    all_that_were_killed_meet_again(&net);
    one_whose_making_was_interrupted_is_finished_and_keeps_what_it_holds(&net);
    let pids: Vec<u64> = (1..=3).map(|n| net.pid(n).expect("it runs")).collect();
    net.ok(&["down", "--remove"]);
    assert!(pids.iter().all(|p| !lives(*p)) && !net.dir.exists());
}

fn a_reader_that_leaves_stops_nothing_and_an_interrupted_start_leaves_nothing_running() {
    let net = Testnet::new();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_p2pdb-testnet"));
        command.args(["up", "2", "--dir"]).arg(&net.dir).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("the program starts")
    };
    let mut up = start();
    let mut said = BufReader::new(up.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("node 1: starting") {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("readable"), 0, "it ended");
    }
    let killed = Command::new("kill").args(["-INT", &up.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = up.wait_with_output().expect("it ends");
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains("interrupted"), "{error}");
    assert!(error.contains("is stopped again: node 1"), "{error}");
    assert!(net.status().iter().all(|r| r["pid"].is_null()));

    let mut up = start();
    drop(up.stdout.take());
    let output = up.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!((1..=2).all(|n| lives(net.pid(n).expect("it runs"))));
    net.ok(&["down", "--remove"]);
}

#[test]
fn one_that_cannot_be_told_keeps_none_of_the_others_apart() {
    let net = Testnet::new();
    net.ok(&["up", "2"]);
    net.ok(&["partition", "1|2"]);
    net.ok(&["kill", "--graceful", "1"]);
    let (there, away) = (net.dir.join("node1"), net.dir.join("node1.away"));
    std::fs::rename(&there, &away).expect("moved");
    let error = net.err(&["heal"]);
    assert!(error.contains("not all nodes") && error.contains("node 1: "), "{error}");
    assert_eq!(error.matches("No such file").count(), 1, "{error}");
    assert_eq!(net.status()[1]["status"]["blocked"], serde_json::json!([]), "node 2 was told");
    std::fs::rename(&away, &there).expect("moved back");
    net.ok(&["heal"]);
    net.ok(&["down", "--remove"]);
}

/// Runs to its end, which must come soon; whether it succeeded, and what it complained of.
fn soon(mut child: std::process::Child) -> (bool, String) {
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("killed");
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().expect("it has ended");
    (output.status.success(), text(&output.stderr))
}

#[test]
fn a_node_that_does_not_answer_holds_up_no_command_and_none_of_the_others() {
    let net = Testnet::new();
    net.ok(&["up", "2"]);
    net.ok(&["partition", "1|2"]);
    let pid = net.pid(1).expect("it runs").to_string();
    let signal =
        |name: &str| assert!(Command::new("kill").args([name, &pid]).status().expect("kill").success());
    let blocked = |node: u32| {
        let other = AdminClient::of(&DataDir::at(net.dir.join(format!("node{node}")))).expect("it runs");
        other.get::<Value>("status").expect("it answers")["blocked"].as_array().map(Vec::len)
    };
    signal("-STOP");
    let program = Path::new(env!("CARGO_BIN_EXE_p2pdb-testnet")).with_file_name("p2pdb-node");
    let asked = [&["status"][..], &["log"], &["verify"]].map(|args| {
        let mut command = Command::new(&program);
        command.args(args).arg("--data-dir").arg(net.dir.join("node1"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    });
    let (done, error) = soon(begun(&net.dir, &["partition", "1|2"]));
    assert!(!done && error.contains("not all nodes") && error.contains("node 1: "), "{error}");
    assert_eq!(blocked(2), Some(1), "node 2 was told");
    for child in asked {
        let (done, error) = soon(child);
        assert!(!done && error.contains("has not answered for 10 s"), "{error}");
    }
    let (done, error) = soon(begun(&net.dir, &["heal"]));
    assert!(!done && error.contains("not all nodes") && error.contains("node 1: "), "{error}");
    assert!(error.contains("has not answered for 10 s") && !error.contains("node 2: "), "{error}");
    assert_eq!(blocked(2), Some(0), "node 2 was told");
    signal("-CONT");
    // Nothing of that is carried out when it goes on: it was not told.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(blocked(1), Some(1));
    net.ok(&["heal"]);
    assert_eq!(blocked(1), Some(0));
    net.ok(&["down", "--remove"]);
}

#[test]
fn a_directory_is_the_same_by_every_name() {
    let net = Testnet::new();
    net.ok(&["up", "1"]);
    net.ok(&["down"]);
    let above = net.dir.parent().expect("above");
    std::os::unix::fs::symlink(&net.dir, above.join("link")).expect("made");
    std::fs::create_dir(above.join("sub")).expect("made");
    for name in ["link", "sub/../net"] {
        net.ok(&["up"]);
        let other = Testnet { dir: above.join(name), _temp: tempfile::tempdir().expect("a directory") };
        let pid = other.pid(1).expect("it runs");
        assert!(other.err(&["up"]).contains("runs already"));
        other.ok(&["kill", "1"]);
        assert!(!lives(pid));
        // Made and ended by different names.
        other.ok(&["up"]);
        let pid = net.pid(1).expect("it runs");
        net.ok(&["down"]);
        assert!(!lives(pid), "{name}");
    }
    net.ok(&["up"]);
    let pid = net.pid(1).expect("it runs");
    let by_link = Testnet { dir: above.join("link"), _temp: tempfile::tempdir().expect("a directory") };
    by_link.ok(&["down", "--remove"]);
    assert!(!lives(pid) && !net.dir.exists());
}

/// As after a SIGKILL of `up` between the start of a node and the note of its process.
#[test]
fn a_node_whose_process_was_not_noted_is_known_all_the_same() {
    let net = Testnet::new();
    net.ok(&["up", "1"]);
    let pid = net.pid(1).expect("it runs");
    let file = net.dir.join("testnet.json");
    let note = |pid: Option<u32>| {
        let state = std::fs::read_to_string(&file).expect("the state");
        let mut state: Value = serde_json::from_str(&state).expect("JSON");
        state["nodes"][0]["pid"] = pid.into();
        std::fs::write(&file, state.to_string()).expect("written");
    };
    note(None);
    assert_eq!(net.pid(1), Some(pid));
    assert!(net.err(&["up"]).contains("runs already"));
    net.ok(&["down"]);
    assert!(!lives(pid));
    assert_eq!(net.pid(1), None);
    net.ok(&["up"]);
    note(None);
    let pid = net.pid(1).expect("it runs");
    net.ok(&["down"]);
    assert!(!lives(pid));
    // Its number is given to somebody else, who looks into its directory.
    let root = net.dir.canonicalize().expect("there").join("node1");
    let mut looks = Command::new("sh");
    let mut looks =
        looks.args(["-c", "read line", "sh"]).arg(&root).stdin(Stdio::piped()).spawn().expect("it starts");
    note(Some(looks.id()));
    let deadline = Instant::now() + PATIENCE;
    while net.pid(1).is_some() {
        assert!(Instant::now() < deadline, "it is taken for the node");
        std::thread::sleep(Duration::from_millis(50));
    }
    net.ok(&["down"]);
    assert!(lives(looks.id().into()));
    looks.kill().and_then(|()| looks.wait()).expect("it has ended");
    // It has not come to its lock.
    let named = net.dir.with_file_name("p2pdb-node");
    std::fs::copy("/bin/sh", &named).expect("copied");
    let mut starts = Command::new(named);
    let starts = starts.args(["-c", "read line", "sh", "run", "--data-dir"]).arg(&root);
    let mut starts = starts.stdin(Stdio::piped()).spawn().expect("it starts");
    let becomes_known = |process: u32| {
        let deadline = Instant::now() + PATIENCE;
        while net.pid(1) != Some(process.into()) {
            assert!(Instant::now() < deadline, "it is not known");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    becomes_known(starts.id());
    net.ok(&["down"]);
    starts.wait().expect("it has ended");
    // Somebody has started it, by another name of its directory, and has then moved the testnet.
    let program = Path::new(env!("CARGO_BIN_EXE_p2pdb-testnet")).with_file_name("p2pdb-node");
    let mut node = Command::new(program);
    let node =
        node.args(["--data-dir", "node1"]).current_dir(&net.dir).stdout(Stdio::null()).stderr(Stdio::null());
    let mut node = node.spawn().expect("it starts");
    becomes_known(node.id());
    let moved =
        Testnet { dir: net.dir.with_file_name("moved"), _temp: tempfile::tempdir().expect("a directory") };
    std::fs::rename(&net.dir, &moved.dir).expect("moved");
    moved.ok(&["down", "--remove"]);
    node.wait().expect("it has ended");
    assert!(!moved.dir.exists());
}

#[test]
fn a_command_that_is_refused_leaves_nothing_and_says_why_in_its_own_words() {
    let net = Testnet::new();
    std::fs::create_dir(&net.dir).expect("made");
    // A link that leads nowhere is there, too.
    std::os::unix::fs::symlink("nowhere", net.dir.join("node1")).expect("made");
    assert!(net.err(&["up", "1"]).contains("node1 is there already"));
    for verb in ["heal", "down"] {
        assert!(net.err(&[verb]).contains("there is no testnet"));
    }
    let names = std::fs::read_dir(&net.dir).expect("there").map(|e| e.expect("an entry").file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["node1"]);
    let file = net.dir.join("a file");
    std::fs::write(&file, "mine").expect("written");
    let below = Testnet { dir: file, _temp: tempfile::tempdir().expect("a directory") };
    let (done, error) = soon(begun(&below.dir, &["up", "1"]));
    assert!(!done && error.contains("hint: choose another with --dir,"), "{error}");
    std::fs::remove_dir_all(&net.dir).expect("removed");
    // A start that fails: first why, then what becomes of it.
    let (done, error) = soon(begun(&net.dir, &["up", "1", "--node-binary", "/nowhere/p2pdb-node"]));
    let (why, then) = (error.find("cannot start /nowhere/p2pdb-node"), error.find("what is there stays"));
    assert!(!done && why.is_some() && why < then, "{error}");
    net.ok(&["down", "--remove"]);
}

fn one_whose_making_was_interrupted_is_finished_and_keeps_what_it_holds(net: &Testnet) {
    let file = net.dir.join("testnet.json");
    let unfinished = |unknown: Option<usize>| {
        let mut state: Value =
            serde_json::from_str(&std::fs::read_to_string(&file).expect("the state")).expect("JSON");
        assert_eq!(state["made"], true);
        state["made"] = false.into();
        if let Some(node) = unknown {
            state["nodes"][node - 1]["key"] = Value::Null;
        }
        std::fs::write(&file, state.to_string()).expect("written");
    };
    let tracks = |node| net.query(node, "SELECT COUNT(*) FROM Chinook_AutoIncrement.Track");
    // While its nodes run.
    unfinished(None);
    let pid = net.pid(1);
    let said = net.ok(&["up"]);
    assert!(said.contains("was never finished: going on with it") && !said.contains("joining"), "{said}");
    assert_eq!(net.pid(1), pid);
    // Stopped; the making of node 2 was cut short, node 3 has shown its ticket to nobody.
    net.ok(&["down"]);
    unfinished(Some(2));
    for node in ["node2", "node3"] {
        std::fs::remove_dir_all(net.dir.join(node)).expect("removed");
    }
    for node in ["node2", "node3"] {
        std::fs::create_dir(net.dir.join(node)).expect("made");
    }
    std::fs::write(net.dir.join("node2/realm.db"), "a beginning").expect("written");
    let program = Path::new(env!("CARGO_BIN_EXE_p2pdb-testnet")).with_file_name("p2pdb-node");
    let key =
        Command::new(program).args(["join", "--show-key", "--data-dir"]).arg(net.dir.join("node3")).output();
    assert!(key.expect("it starts").status.success());
    let said = net.ok(&["up"]);
    for part in ["node 2: joining", "node 3: joining", "inviting 2 writers"] {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    net.wait_equal(&[1, 2, 3]);
    assert_eq!([tracks(1), tracks(2), tracks(3)], [[["3504"]], [["3504"]], [["3504"]]]);
    // All were made, and that alone is not noted.
    net.ok(&["down"]);
    unfinished(None);
    let said = net.ok(&["up"]);
    assert!(!said.contains("joining"), "{said}");
    assert_eq!(tracks(2), [["3504"]]);
}

fn a_failed_start_leaves_nothing_running_that_it_started(net: &Testnet) {
    let held = DataDir::at(net.dir.join("node2"));
    let held = held.lock().expect("node 2 does not run");
    let error = net.err(&["up"]);
    for part in ["node 2 has ended", "in use by another process", "is stopped again"] {
        assert!(error.contains(part), "{part} is not in\n{error}");
    }
    assert!(net.status().iter().all(|r| r["pid"].is_null()), "{error}");
    // One that ran before goes on.
    net.ok(&["restart", "1"]);
    let pid = net.pid(1).expect("it runs");
    let error = net.err(&["up"]);
    assert!(error.contains("node 2 has ended"), "{error}");
    assert_eq!((net.pid(1), net.pid(2), net.pid(3)), (Some(pid), None, None), "{error}");
    assert!(lives(pid));
    drop(held);
    net.ok(&["kill", "--graceful", "1"]);
}

/// Every node's port for peers is taken, and the one for MySQL of node 2: they come up all the same, and find each other.
fn nodes_whose_ports_are_taken_get_others(net: &Testnet) {
    let ports = |name: &str| -> Vec<u16> {
        net.status().iter().map(|r| r[name].as_u64().expect("a port") as u16).collect()
    };
    let before = [ports("mysql_port"), ports("peer_port")];
    let take =
        |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).expect("a stopped node's port is free");
    let taken: Vec<_> = before[1].iter().chain(&before[0][1..2]).map(|p| take(*p)).collect();
    let said = net.ok(&["up"]);
    for part in [
        format!("node 2: port {} is taken by another program: it gets ", before[0][1]),
        format!("node 3: port {} is taken by another program: it gets ", before[1][2]),
        "all 3 nodes are ready and linked, and hold the same".to_owned(),
    ] {
        assert!(said.contains(&part), "{part} is not in\n{said}");
    }
    let after = [ports("mysql_port"), ports("peer_port")];
    assert!(before[1].iter().all(|p| !after[1].contains(p)) && after[0][1] != before[0][1], "{after:?}");
    net.query(2, "SELECT 1");
    drop(taken);
}

/// The program, started and not waited for; what it prints is kept.
fn begun(dir: &Path, args: &[&str]) -> std::process::Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pdb-testnet"));
    command.args(args).arg("--dir").arg(dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

#[test]
fn commands_at_once_come_one_after_the_other() {
    // In a directory that is not there yet, two make one testnet: the second finds it made.
    let net = Testnet::new();
    let ups = [begun(&net.dir, &["up", "1"]), begun(&net.dir, &["up", "1"])];
    let ups = ups.map(|up| up.wait_with_output().expect("it ends"));
    assert_eq!(ups.iter().filter(|up| up.status.success()).count(), 1, "{ups:?}");
    let second = ups.iter().find(|up| !up.status.success()).expect("one of them");
    assert!(text(&second.stdout).contains("another command is at work on the testnet"), "{ups:?}");
    assert!(text(&second.stderr).contains("runs already"), "{ups:?}");
    assert!(lives(net.pid(1).expect("it runs")));
    net.ok(&["down", "--remove"]);
    assert!(!net.dir.exists());

    // What is still being started is started, and then stopped.
    let mut up = begun(&net.dir, &["up", "1"]);
    let mut said = BufReader::new(up.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("making a testnet") {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("readable"), 0, "it ended");
    }
    let out = net.ok(&["down", "--remove"]);
    assert!(out.contains("waiting for its end") && out.contains("node 1: stopped"), "{out}");
    assert!(up.wait().expect("it ends").success());
    assert!(!net.dir.exists());
}

/// What tells a start that the node was not stopped is there for a node of a testnet as well; and what is not the testnet's stays.
#[test]
fn a_killed_node_whose_log_is_gone_says_so_and_the_end_takes_nothing_of_others() {
    let net = Testnet::new();
    net.ok(&["up", "1"]);
    net.query(1, "CREATE DATABASE shop");
    net.ok(&["kill", "1"]);
    std::fs::remove_file(net.dir.join("node1/realm.db-wal")).expect("left by a kill");
    net.ok(&["restart", "1"]);
    // Somebody's own, beside the testnet.
    let own = net.dir.join("notes.txt");
    std::fs::write(&own, "mine").expect("written");
    let warnings = net.status()[0]["status"]["warnings"].to_string();
    assert!(warnings.contains("acknowledged commits may be missing"), "{warnings}");
    let out = net.ok(&["down", "--remove"]);
    assert!(out.contains("what else is there stays"), "{out}");
    let left: Vec<_> =
        std::fs::read_dir(&net.dir).expect("there").map(|e| e.expect("an entry").path()).collect();
    assert_eq!(left, [own]);
    std::fs::create_dir(net.dir.join("node1")).expect("made");
    assert!(net.err(&["up", "1"]).contains("node1 is there already") && net.dir.join("node1").exists());
}

#[test]
fn testnets_at_once_have_ports_of_their_own() {
    let nets = [Testnet::new(), Testnet::new(), Testnet::new()];
    let ups = nets.each_ref().map(|net| begun(&net.dir, &["up", "1"]));
    for up in ups {
        let up = up.wait_with_output().expect("it ends");
        assert!(up.status.success(), "{}\n{}", text(&up.stdout), text(&up.stderr));
    }
    let mut ports = Vec::new();
    for net in &nets {
        let row = &net.status()[0];
        ports.extend(["mysql_port", "peer_port", "http_port"].map(|p| row[p].as_u64().expect("a port")));
        assert_eq!(net.query(1, "SELECT 1"), [["1"]]);
    }
    let every = ports.len();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), every, "{ports:?}");
}

fn the_dump_is_on_all_nodes(net: &Testnet) {
    let dump = std::fs::File::open(DUMP).expect("the dump is in the repository");
    let mariadb = Command::new("mariadb")
        .arg(format!("--defaults-file={}", net.client_cnf(1).display()))
        .stdin(dump)
        .stdout(Stdio::null())
        .output()
        .expect("the mariadb client is there: scripts/test installs it");
    assert!(mariadb.status.success(), "{}", text(&mariadb.stderr));
    net.wait_equal(&[1, 2, 3]);
    let counts: Vec<String> =
        TABLES.iter().map(|(t, _)| format!("(SELECT COUNT(*) FROM Chinook_AutoIncrement.{t})")).collect();
    let counts = format!("SELECT {}", counts.join(", "));
    let want: Vec<String> = TABLES.iter().map(|(_, n)| n.to_string()).collect();
    assert_eq!(TABLES.iter().map(|(_, n)| n).sum::<u64>(), 15_607);
    for n in 1..=3 {
        assert_eq!(net.query(n, &counts)[0], want, "node {n}");
    }
}

fn both_sides_of_a_partition_write_and_nothing_is_lost(net: &Testnet) {
    assert!(net.err(&["partition", "1,2"]).contains("every node must be in one"));
    let out = net.ok(&["partition", "1,2|3"]);
    assert!(out.contains("node 3: cut off from 1, 2"), "{out}");
    // The links are cut, not only new ones refused: the lone node has none.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let rows = net.status();
        let links = |n: usize| rows[n - 1]["status"]["peers"].as_array().map(Vec::len);
        if links(3) == Some(0) && links(1) == Some(1) && links(2) == Some(1) {
            break;
        }
        assert!(Instant::now() < deadline, "{}", net.ok(&["status"]));
        std::thread::sleep(Duration::from_millis(50));
    }
    let table = net.ok(&["status"]);
    assert_eq!(table.matches("cut off").count(), 3, "{table}");
    // Different columns of one row, the same column of another one, and different rows.
    let c = "Chinook_AutoIncrement";
    net.query(1, &format!("UPDATE {c}.Customer SET City = 'Bergen' WHERE CustomerId = 1"));
    net.query(3, &format!("UPDATE {c}.Customer SET Phone = '+47 1' WHERE CustomerId = 1"));
    net.query(2, &format!("UPDATE {c}.Artist SET Name = 'early' WHERE ArtistId = 1"));
    std::thread::sleep(Duration::from_millis(5));
    net.query(3, &format!("UPDATE {c}.Artist SET Name = 'late' WHERE ArtistId = 1"));
    net.query(2, &format!("DELETE FROM {c}.PlaylistTrack WHERE PlaylistId = 18"));
    net.query(1, &format!("INSERT INTO {c}.Genre (GenreId, Name) VALUES (1001, 'from one')"));
    net.query(3, &format!("INSERT INTO {c}.Genre (GenreId, Name) VALUES (1003, 'from three')"));
    net.query(3, &format!("INSERT INTO {c}.Track (Name, MediaTypeId, Milliseconds, UnitPrice) VALUES ('cut off', 1, 1, 0.99)"));
    net.wait_equal(&[1, 2]);
    let city = format!("SELECT City, Phone FROM {c}.Customer WHERE CustomerId = 1");
    assert_eq!(net.query(2, &city), [["Bergen", "+55 (12) 3923-5555"]]);
    assert_eq!(net.query(3, &city), [["São José dos Campos", "+47 1"]]);
    let rows = net.status();
    assert_ne!(rows[0]["status"]["frontier_digest"], rows[2]["status"]["frontier_digest"]);

    net.ok(&["heal"]);
    net.wait_equal(&[1, 2, 3]);
    for n in 1..=3 {
        assert_eq!(net.query(n, &city), [["Bergen", "+47 1"]], "node {n}");
        let genres = net.query(n, &format!("SELECT Name FROM {c}.Genre WHERE GenreId > 1000 ORDER BY 1"));
        assert_eq!(genres, [["from one"], ["from three"]], "node {n}");
        let tracks = net.query(n, &format!("SELECT COUNT(*), SUM(Name = 'cut off') FROM {c}.Track"));
        assert_eq!(tracks, [["3504", "1"]], "node {n}");
        let left = net.query(n, &format!("SELECT COUNT(*) FROM {c}.PlaylistTrack WHERE PlaylistId = 18"));
        assert_eq!(left, [["0"]], "node {n}");
        assert_eq!(net.query(n, &format!("SELECT Name FROM {c}.Artist WHERE ArtistId = 1")), [["late"]]);
        // The name that lost is not lost.
        let kept = net.query(n, "SELECT * FROM p2pdb.conflicts");
        assert!(kept.iter().flatten().any(|cell| cell.contains("early")), "node {n}: {kept:?}");
    }
}

fn a_killed_node_comes_back(net: &Testnet) {
    let insert = |n: u32| {
        format!("INSERT INTO Chinook_AutoIncrement.MediaType (MediaTypeId, Name) VALUES ({n}, 'of node {n}')")
    };
    let pid = net.pid(2).expect("it runs");
    net.query(2, &insert(1002));
    let out = net.ok(&["kill", "2"]);
    assert!(out.contains("node 2: killed") && !lives(pid), "{out}");
    assert!(net.err(&["kill", "2"]).contains("does not run"));
    let table = net.ok(&["status"]);
    assert!(table.contains("stopped"), "{table}");
    assert!(net.status()[1]["status"].is_null());
    net.query(1, &insert(1001));
    // A partition made while it is down holds when it comes back.
    net.ok(&["partition", "2|1,3"]);
    let out = net.ok(&["restart", "2"]);
    assert!(out.contains("node 2: runs again"), "{out}");
    assert_ne!(net.pid(2), Some(pid));
    let media = |node: usize| {
        let sql =
            "SELECT MediaTypeId FROM Chinook_AutoIncrement.MediaType WHERE MediaTypeId > 1000 ORDER BY 1";
        net.query(node, sql)
    };
    assert_eq!(media(2), [["1002"]]);
    net.ok(&["heal"]);
    net.wait_equal(&[1, 2, 3]);
    for n in 1..=3 {
        assert_eq!(media(n), [["1001"], ["1002"]], "node {n}");
    }
    for name in ["", "node1", "node1/tls"] {
        let mode = std::fs::metadata(net.dir.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{name}");
    }
    let out = net.ok(&["kill", "--graceful", "3"]);
    assert!(out.contains("node 3: stopped"), "{out}");
    let (there, away) = (net.dir.join("node3"), net.dir.join("node3.away"));
    std::fs::rename(&there, &away).expect("moved");
    assert!(net.err(&["restart", "3"]).contains("the data of node 3 is gone"));
    assert!(net.err(&["up"]).contains("the data of node 3 is gone") && !there.exists());
    std::fs::rename(&away, &there).expect("moved back");
    net.ok(&["restart", "3"]);
}

fn all_that_were_killed_meet_again(net: &Testnet) {
    for n in ["1", "2", "3"] {
        net.ok(&["kill", n]);
    }
    let out = net.ok(&["up"]);
    assert!(out.contains("ready and linked, and hold the same"), "{out}");
    for row in net.status() {
        assert_eq!(row["status"]["peers"].as_array().map(Vec::len), Some(2), "{row}");
    }
    net.query(2, "CREATE DATABASE after_all_were_killed");
    net.wait_equal(&[1, 2, 3]);
    assert_eq!(net.query(3, "SHOW DATABASES LIKE 'after%'"), [["after_all_were_killed"]]);
}
