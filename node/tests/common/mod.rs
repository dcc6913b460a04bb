//! Real nodes as processes on loopback, for the tests beside this directory. A node is ended when it is dropped.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use p2pdb_mysql::ServerError;
use p2pdb_node::admin::{InviteReport, InviteRequest, StatusReport};
use p2pdb_node::admin_client::AdminClient;
use p2pdb_node::client_file::ClientFile;
use p2pdb_node::datadir::DataDir;
use p2pdb_node::mysql_client::MysqlClient;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// As much of a log as is looked at, bytes.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// Every port is a free one, nothing leaves this machine.
pub const QUIET: [&str; 12] = [
    "--mysql-listen",
    "127.0.0.1:0",
    "--http-listen",
    "127.0.0.1:0",
    "--peer-listen",
    "/ip4/127.0.0.1/tcp/0",
    "--mdns",
    "false",
    "--private-addresses",
    "true",
    "--log-level",
    "info",
];

/// The program with a clean environment.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2pdb-node"));
    for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("P2PDB_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub fn run(dir: &Path, args: &[&str]) -> Output {
    program().args(args).arg("--data-dir").arg(dir).output().expect("the program starts")
}

/// Runs a command that must succeed; gives what it printed.
pub fn run_ok(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?} failed:\n{out}\n{err}");
    out
}

/// [`run_ok`] with something on standard input.
pub fn run_ok_with(dir: &Path, args: &[&str], input: &str) -> String {
    let output = run_with(dir, args, input);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{args:?} failed:\n{out}\n{err}");
    out
}

/// [`run_err`] with something on standard input.
pub fn run_err_with(dir: &Path, args: &[&str], input: &str) -> String {
    let output = run_with(dir, args, input);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!output.status.success(), "{args:?} succeeded:\n{out}\n{err}");
    err
}

fn run_with(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = program();
    let command = command.args(args).arg("--data-dir").arg(dir);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().expect("the program starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), input.as_bytes()).expect("taken");
    child.wait_with_output().expect("it ends")
}

/// Runs a command that must fail; gives what it complained of.
pub fn run_err(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!output.status.success(), "{args:?} succeeded:\n{out}\n{err}");
    assert!(err.contains("p2pdb-node: ") && !err.contains("panicked"), "{err}");
    err
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `f` gives something.
pub fn eventually<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = f() {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running node.
pub struct Node {
    pub dir: DataDir,
    child: Option<Child>,
    log: PathBuf,
}

/// A text of a row of [`Node::with_a_text`].
pub const EASY_TO_FIND: &str = "a text that is easy to find in the file";

/// Flips a bit of the first place in the store of a stopped node at which this stands, which is in the log.
pub fn flip(dir: &Path, text: &str) {
    let path = dir.join("realm.db");
    let mut bytes = std::fs::read(&path).expect("read");
    let at = bytes.windows(text.len()).position(|w| w == text.as_bytes()).expect("the text is in the file");
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).expect("written");
}

impl Node {
    /// Runs a new node with a table `d.t` of one row, [`EASY_TO_FIND`].
    pub fn with_a_text(dir: &Path) -> Node {
        let node = Node::start(dir, &[]);
        node.query("CREATE DATABASE d").expect("a database");
        node.query("CREATE TABLE d.t (x VARCHAR(60))").expect("a table");
        node.query(&format!("INSERT INTO d.t VALUES ('{EASY_TO_FIND}')")).expect("a row");
        node
    }

    /// Runs a node in this directory; waits until it is ready.
    pub fn start(dir: &Path, extra: &[&str]) -> Node {
        let node = Node::spawn(dir, &["run"], extra);
        node.wait_ready();
        node
    }

    /// Joins with a ticket; waits until it is ready.
    pub fn join(dir: &Path, ticket: &str, extra: &[&str]) -> Node {
        let node = Node::spawn(dir, &["join", ticket], extra);
        node.wait_ready();
        node
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(dir: &Path, verb: &[&str], extra: &[&str]) -> Node {
        Node::spawn_with(dir, verb, extra, &[])
    }

    /// The same with something in its environment.
    pub fn spawn_with(
        dir: &Path,
        verb: &[&str],
        extra: &[&str],
        environment: &[(&str, &std::ffi::OsStr)],
    ) -> Node {
        let data = DataDir::at(dir);
        let log = dir.with_extension("log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let err = out.try_clone().expect("a log file");
        // Given twice, the later flag would be an error: what a test sets replaces the quiet default.
        let quiet = QUIET.chunks(2).filter(|pair| !extra.contains(&pair[0])).flatten();
        let child = program()
            .envs(environment.iter().copied())
            .args(verb)
            .arg("--data-dir")
            .arg(dir)
            .args(quiet)
            .args(extra)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .spawn()
            .expect("the program starts");
        Node { dir: data, child: Some(child), log }
    }

    pub fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(file) = std::fs::File::open(&self.log) {
            let _ = file.take(LOG_BYTES_MAX).read_to_string(&mut text);
        }
        text
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running node").id()
    }

    pub fn admin(&self) -> AdminClient {
        eventually("the admin interface", || self.try_admin())
    }

    /// None before the node says where it is: until then what one that was killed has said may lie there.
    pub fn try_admin(&self) -> Option<AdminClient> {
        AdminClient::of(&self.dir).ok().filter(|client| client.run.pid == self.pid())
    }

    pub fn status(&self) -> StatusReport {
        self.admin().get("status").expect("a status")
    }

    pub fn wait_ready(&self) {
        eventually(&format!("the node in {} is ready", self.dir.root().display()), || {
            let status: StatusReport = self.try_admin()?.get("status").ok()?;
            (status.ready && !status.listening.is_empty()).then_some(())
        });
    }

    /// A ticket for one writer.
    pub fn ticket(&self, role: &str, uses: u32) -> String {
        let request = InviteRequest {
            role: role.into(),
            expires_s: Some(600),
            uses,
            node: None,
            acts_for: None,
            addresses: Vec::new(),
        };
        let report: InviteReport = self.admin().post("invite", &request).expect("a ticket");
        report.ticket
    }

    /// A ticket with this address in it, `/ip4/…/tcp/…`, in place of where the node listens.
    pub fn ticket_by(&self, role: &str, address: String) -> String {
        let (role, addresses) = (role.into(), vec![address]);
        let request =
            InviteRequest { role, expires_s: Some(600), uses: 1, node: None, acts_for: None, addresses };
        let report: InviteReport = self.admin().post("invite", &request).expect("a ticket");
        report.ticket
    }

    pub fn client_file(&self) -> ClientFile {
        ClientFile::read(&self.dir).expect("readable").expect("a client file")
    }

    pub fn client(&self, database: Option<&str>) -> MysqlClient {
        MysqlClient::open(&self.client_file(), database.map(str::to_owned), "test").expect("a connection")
    }

    /// Runs a statement on a connection of its own; rows as text, NULL as `NULL`.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<String>>, ServerError> {
        query(&mut self.client(None), sql)
    }

    /// SIGTERM; waits for the end and says whether it was a good one.
    pub fn stop(mut self) -> bool {
        self.signal("TERM");
        let mut child = self.child.take().expect("a running node");
        let status = eventually("the node stops", || child.try_wait().expect("a child"));
        status.success()
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        let mut child = self.child.take().expect("a running node");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the process's own end; its exit status.
    pub fn wait_end(mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("a running node");
        eventually("the node ends", || child.try_wait().expect("a child"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                eprintln!("--- log of {}\n{}", self.dir.root().display(), self.log());
            }
        }
    }
}

/// Runs a statement; rows as text, NULL as `NULL`.
pub fn query(client: &mut MysqlClient, sql: &str) -> Result<Vec<Vec<String>>, ServerError> {
    let rows = client.run(sql).expect("the connection holds")?;
    let cell = |c: Option<Vec<u8>>| c.map_or_else(|| "NULL".to_owned(), |b| text(&b));
    Ok(rows.into_iter().map(|r| r.into_iter().map(cell).collect()).collect())
}

/// Waits until all nodes have the same frontier and fingerprint.
pub fn wait_equal(nodes: &[&Node]) {
    eventually("the nodes hold the same", || {
        let seen: Vec<_> = nodes.iter().map(|n| n.status()).collect();
        let same = |a: &StatusReport, b: &StatusReport| {
            a.frontier_digest == b.frontier_digest && a.fingerprint == b.fingerprint
        };
        seen.windows(2).all(|w| same(&w[0], &w[1])).then_some(())
    });
}

/// One GET: status and answer.
pub fn http_get(node: &Node, path: &str, token: Option<&str>) -> (u16, String) {
    http_get_with(node, path, &token.map(|t| format!("authorization: Bearer {t}\r\n")).unwrap_or_default())
}

/// One GET with these header lines: status and answer, headers included.
pub fn http_get_with(node: &Node, path: &str, headers: &str) -> (u16, String) {
    use std::io::Write;
    let address = node.admin().run.http.expect("an HTTP address");
    let mut socket = std::net::TcpStream::connect(&address).expect("connect");
    write!(socket, "GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\n\r\n")
        .expect("send");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
    (status, answer)
}

/// A way between nodes that keeps every byte that passes.
pub struct Tap {
    port: u16,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// In front of this node's peer port.
    pub fn before(node: &Node) -> Tap {
        let listening = node.status().listening;
        let to = listening
            .iter()
            .find_map(|a| a.strip_prefix("/ip4/127.0.0.1/tcp/")?.split('/').next()?.parse().ok());
        let to: u16 = to.unwrap_or_else(|| panic!("{listening:?}"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = seen.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let seen = kept.clone();
                    std::thread::spawn(move || pass(from, to, &seen));
                }
            }
        });
        Tap { port, seen }
    }

    /// Its address for a ticket.
    pub fn address(&self) -> String {
        format!("/ip4/127.0.0.1/tcp/{}", self.port)
    }

    /// What has passed so far.
    pub fn seen(&self) -> Vec<u8> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, seen: &Mutex<Vec<u8>>) {
    let mut bytes = [0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        seen.lock().expect("nobody panics with it").extend_from_slice(&bytes[..n]);
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    // The other direction ends with this one.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
