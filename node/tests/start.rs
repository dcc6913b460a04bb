//! Starting, stopping, and everything that can be in the way.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use common::*;
use p2pdb_node::ports::EXIT_TAKEN;

#[test]
fn a_first_start_makes_everything_and_a_second_finds_it() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &["--node-name", "first"]);
    for name in
        ["node.key", "accounts.json", "logins.json", "client.cnf", "admin.token", "run.json", "realm.db"]
    {
        let mode =
            std::fs::metadata(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} is readable by others");
    }
    assert_eq!(std::fs::metadata(&dir).expect("there").permissions().mode() & 0o777, 0o700);
    let password = node.client_file().password;
    assert!(password.len() >= 16 && node.log().contains(&password), "the password is printed once");
    assert!(node.log().contains("mariadb --defaults-file="));
    assert_eq!(node.query("SELECT 1 + 1").expect("a sum"), [["2"]]);
    let before = node.status();
    assert_eq!((before.role.as_deref(), before.name.as_str()), (Some("owner"), "first"));
    assert!(node.stop(), "SIGTERM ends it well");
    assert!(!dir.join("run.json").exists());
    // All that was written is in one file.
    assert!(!dir.join("realm.db-wal").exists());

    std::fs::remove_file(dir.with_extension("log")).expect("a log");
    let node = Node::start(&dir, &[]);
    assert!(!node.log().contains(&password), "the password is not printed again");
    assert_eq!(node.query("SELECT 2").expect("the old password holds"), [["2"]]);
    assert_eq!((node.status().node, node.status().realm), (before.node, before.realm));
    node.signal("INT");
    assert!(node.wait_end().success(), "SIGINT ends it well");
}

/// What a first start leaves that is killed: each of the states between its writes.
#[test]
fn a_first_start_that_broke_off_anywhere_is_begun_again() {
    let temp = tempfile::tempdir().expect("a directory");
    let whole = temp.path().join("whole");
    run_ok(&whole, &["init"]);
    let key = std::fs::read_to_string(whole.join("node.key")).expect("a key");
    assert!(!whole.join("joining.key").exists());
    let node = Node::start(&whole, &[]);
    let ticket = node.ticket("writer", 1);
    assert!(node.stop());
    let empty = temp.path().join("empty");
    // A store without a block, as a join makes it; its node never hears of anybody.
    let joining = Node::spawn(&empty, &["join", &ticket], &[]);
    eventually("it waits", || empty.join("run.json").exists().then_some(()));
    joining.kill();
    std::fs::remove_file(empty.join("node.key")).expect("removed");
    let files = |from: &std::path::Path, names: &[&str]| {
        names.iter().map(|n| (from.join(n), (*n).to_owned())).collect::<Vec<_>>()
    };
    let states = [
        ("a mark of the key alone", vec![], true),
        ("an empty store", vec![], true),
        ("the lock of a store", vec![], false),
        ("an empty store without a key", vec![], false),
        ("a store without a block", files(&empty, &["realm.db", "realm.db-wal"]), false),
        ("a store with the first block", files(&whole, &["realm.db"]), true),
        ("its keys", files(&whole, &["realm.db", "accounts.json"]), true),
        ("its logins", files(&whole, &["realm.db", "accounts.json", "logins.json", "client.cnf"]), true),
    ];
    for (i, (state, files, mark)) in states.into_iter().enumerate() {
        for verb in ["init", "run"] {
            let dir = temp.path().join(format!("{i}{verb}"));
            std::fs::create_dir(&dir).expect("made");
            if mark {
                std::fs::write(dir.join("joining.key"), &key).expect("written");
            }
            if state.contains("empty store") {
                std::fs::write(dir.join("realm.db"), "").expect("written");
            }
            if state.contains("lock") {
                std::fs::write(dir.join("realm.db.lock"), "").expect("written");
            }
            for (from, name) in &files {
                std::fs::copy(from, dir.join(name)).unwrap_or_else(|e| panic!("{state}, {name}: {e}"));
            }
            if verb == "init" {
                run_ok(&dir, &["init"]);
            }
            let node = Node::start(&dir, &[]);
            assert_eq!(node.query("SELECT 1").expect(state), [["1"]]);
            assert!(node.stop() && !dir.join("joining.key").exists(), "{state}");
            assert_eq!(mark, std::fs::read_to_string(dir.join("node.key")).expect("a key") == key);
        }
    }
    // Blocks without a key are never taken for a beginning.
    std::fs::remove_file(whole.join("node.key")).expect("removed");
    for args in [&["run"][..], &["init"], &["join", &ticket]] {
        let before = std::fs::read(whole.join("realm.db")).expect("read");
        let error = run_err(&whole, args);
        assert!(error.contains("there is no node.key"), "{error}");
        assert!(before == std::fs::read(whole.join("realm.db")).expect("read"));
    }
}

/// Whoever can reach the port of the admin interface has no token, and none is as good as an empty one.
#[test]
fn an_admin_token_that_is_damaged_opens_nothing() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    assert_eq!(http_get(&node, "/admin/status", None).0, 401);
    assert!(node.stop());
    let whole = std::fs::read(dir.join("admin.token")).expect("a token");
    for damaged in [&b""[..], &whole[..whole.len() / 2], b"\n", b"not a token"] {
        std::fs::write(dir.join("admin.token"), damaged).expect("written");
        let error = run_err(&dir, &["run"]);
        assert!(error.contains("admin.token is damaged"), "{error}");
    }
    std::fs::remove_file(dir.join("admin.token")).expect("removed");
    assert_eq!(Node::start(&dir, &[]).query("SELECT 1").expect("it runs"), [["1"]]);
}

#[test]
fn a_second_process_on_the_same_directory_is_refused() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    let error = run_err(&dir, &["run"]);
    assert!(
        error.contains("in use by another process") && error.contains(&format!("pid {}", node.pid())),
        "{error}"
    );
    let error = run_err(&dir, &["init"]);
    assert!(error.contains("in use by another process"), "{error}");
    assert_eq!(node.query("SELECT 1").expect("undisturbed"), [["1"]]);
}

#[test]
fn a_node_whose_log_cannot_be_written_serves_on() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    // Every write to /dev/full fails as on a full disk.
    std::os::unix::fs::symlink("/dev/full", dir.with_extension("log")).expect("a link");
    let node = Node::start(&dir, &["--log-level", "debug"]);
    node.query("CREATE DATABASE d").expect("a write");
    assert_eq!(node.query("SELECT 1").expect("a read"), [["1"]]);
    assert!(node.stop());
}

#[test]
fn a_port_that_is_taken_is_named_with_a_way_out() {
    let temp = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let dir = temp.path().join("node");
    for flag in ["--mysql-listen", "--http-listen"] {
        let others = ["--peer-listen", "/ip4/127.0.0.1/tcp/0", "--mdns", "false"];
        let other = if flag == "--mysql-listen" { "--http-listen" } else { "--mysql-listen" };
        let output = run(&dir, &[&["run", flag, &address, other, "127.0.0.1:0"], &others[..]].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(EXIT_TAKEN.into()), "{error}");
        let port = address.rsplit(':').next().expect("a port");
        assert!(
            error.contains(&format!("port {port} ")) && error.contains(flag) && error.contains("hint:"),
            "{error}"
        );
    }
    let peer = format!("/ip4/127.0.0.1/tcp/{}", taken.local_addr().expect("an address").port());
    let args = [
        "run",
        "--peer-listen",
        &peer,
        "--mysql-listen",
        "127.0.0.1:0",
        "--http-listen",
        "off",
        "--mdns",
        "false",
    ];
    let output = run(&dir, &args);
    let error = text(&output.stderr);
    assert!(error.contains(&peer) && error.contains("--peer-listen"), "{error}");
    assert_eq!(output.status.code(), Some(EXIT_TAKEN.into()), "{error}");
    // None of these starts came to show the password; the first one that succeeds does.
    let node = Node::start(&dir, &[]);
    assert!(node.log().contains(&node.client_file().password));
}

#[test]
fn a_directory_that_cannot_be_used_or_a_bad_setting_stops_the_start() {
    let temp = tempfile::tempdir().expect("a directory");
    let file = temp.path().join("file");
    std::fs::write(&file, "").expect("write");
    let error = run_err(&file.join("node"), &["run"]);
    assert!(error.contains("cannot use the data directory") && error.contains("--data-dir"), "{error}");

    let dir = temp.path().join("node");
    let error = run_err(&dir, &["run", "--wait-timeout", "soon"]);
    assert!(error.contains("--wait-timeout") && error.contains("30s"), "{error}");
    let error = run_err(&dir, &["run", "--log-level", "loud"]);
    assert!(error.contains("--log-level") && error.contains("'loud'") && error.contains("warn"), "{error}");
    let config = temp.path().join("bad.toml");
    std::fs::write(&config, "colour = 1").expect("write");
    let error = run_err(&dir, &["run", "--config", config.to_str().expect("a path")]);
    assert!(error.contains("bad.toml") && error.contains("colour"), "{error}");
    let output = run(&dir, &["verify", "--config", config.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!dir.exists(), "nothing was made");

    let error = run_err(&dir, &["status"]);
    assert!(error.contains("there is no node in") && error.contains("init"), "{error}");
    // Nothing was found where nobody could look.
    let output = run(&dir, &["verify"]);
    let error = text(&output.stderr);
    assert!(output.status.code() == Some(2) && error.contains("there is no node in"), "{output:?}");
    assert!(!dir.exists(), "nothing was made");
}

/// What stops the start, `verify` finds, too.
fn found_by_verify(dir: &std::path::Path, name: &str) {
    let output = run(dir, &["verify"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(name), "{name}: {said}");
    assert_eq!(said.matches(name).count(), 1, "{said}");
    // Also where nobody reads what it says.
    let (reader, unread) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = program().args(["verify", "--data-dir"]).arg(dir).stdout(unread).status();
    assert!(!status.expect("the program starts").success(), "{name}");
}

#[test]
fn damaged_files_are_named() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    run_ok(&dir, &["init"]);
    let run = [
        "run",
        "--mysql-listen",
        "127.0.0.1:0",
        "--http-listen",
        "off",
        "--peer-listen",
        "/ip4/127.0.0.1/tcp/0",
    ];
    assert!(Node::start(&dir, &[]).stop());
    for name in ["node.key", "logins.json", "accounts.json", "admin.token", "tls/key.pem"] {
        let path = dir.join(name);
        let good = std::fs::read(&path).expect("read");
        std::fs::write(&path, &good[..good.len() / 2]).expect("write");
        let error = run_err(&dir, &run);
        let damaged = if name == "tls/key.pem" { "cannot be used" } else { "damaged" };
        assert!(error.contains(name) && error.contains(damaged), "{error}");
        found_by_verify(&dir, name);
        std::fs::write(&path, good).expect("write");
    }
    let (logins, away) = (dir.join("logins.json"), dir.join("away"));
    std::fs::rename(&logins, &away).expect("moved");
    assert!(run_err(&dir, &run).contains("logins.json is damaged: it is missing"));
    found_by_verify(&dir, "logins.json is damaged: it is missing");
    for name in ["node.key", "realm.db"] {
        let (there, away) = (dir.join(name), temp.path().join("away"));
        std::fs::rename(&there, &away).expect("moved");
        found_by_verify(&dir, &format!("{name} is missing"));
        assert!(!there.exists());
        std::fs::rename(&away, &there).expect("moved back");
    }
    std::fs::rename(&away, &logins).expect("moved back");
    assert!(run_ok(&dir, &["verify"]).contains("as the log says"));
    let store = dir.join("realm.db");
    let good = std::fs::read(&store).expect("read");
    for bad in [
        &b"this is not a database, but a text of some length that SQLite will not take for one"[..],
        &good[..100],
    ] {
        std::fs::write(&store, bad).expect("write");
        let error = run_err(&dir, &run);
        assert!(error.contains("cannot open the store"), "{error}");
    }
    std::fs::write(&store, good).expect("write");
    assert!(Node::start(&dir, &[]).stop());
}

#[test]
fn a_node_with_another_key_than_its_own_says_so() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    run_ok(&dir, &["init"]);
    std::fs::write(dir.join("node.key"), "42".repeat(32)).expect("write");
    let node = Node::spawn(&dir, &["run"], &[]);
    let status = node.status();
    let said = status.reasons.join("; ");
    assert!(!status.ready && said.contains("node.key") && !said.contains("answered the ticket"), "{said}");
    assert!(node.log().contains("WARN not a member"), "{}", node.log());
    assert!(text(&run(&dir, &["verify"]).stdout).contains("node.key: the log knows no node with this key"));
    assert!(node.stop());
    let verified = run(&dir, &["verify"]);
    assert!(!verified.status.success());
    assert!(text(&verified.stdout).contains("node.key: the log knows no node with this key"));
}

#[test]
fn a_variable_that_is_no_setting_is_named() {
    let temp = tempfile::tempdir().expect("a directory");
    let output = program().env("P2PDB_MDN", "x").args(["status", "--data-dir"]).arg(temp.path()).output();
    let text = text(&output.expect("it starts").stderr);
    assert!(text.contains("P2PDB_MDN is no setting"), "{text}");
}

#[test]
fn health_readiness_and_metrics_are_open_and_the_admin_interface_is_not() {
    let temp = tempfile::tempdir().expect("a directory");
    let node = Node::start(&temp.path().join("node"), &[]);
    node.query("SELECT 1").expect("a statement to count");
    assert_eq!(http_get(&node, "/healthz", None).0, 200);
    let (status, body) = http_get(&node, "/readyz", None);
    assert_eq!(status, 200);
    assert!(body.contains("\"ready\":true"), "{body}");
    let (status, metrics) = http_get(&node, "/metrics", None);
    assert_eq!(status, 200);
    for line in [
        "p2pdb_ready 1",
        "p2pdb_alarm 0",
        "p2pdb_blocks ",
        "p2pdb_heads 1",
        "p2pdb_statement_seconds_count{kind=\"select\"} 1",
        "# TYPE p2pdb_mysql_connections_total counter",
        "# TYPE p2pdb_state_info gauge",
        "p2pdb_state_info{",
        "content-type: text/plain; version=0.0.4",
    ] {
        assert!(metrics.contains(line), "{line} is missing in\n{metrics}");
    }
    assert!(!metrics.contains("# EOF"), "{metrics}");
    let (_, open) = http_get_with(&node, "/metrics", "accept: application/openmetrics-text\r\n");
    for line in [
        "content-type: application/openmetrics-text; version=1.0.0",
        "# TYPE p2pdb_mysql_connections counter",
        "# TYPE p2pdb_state info",
        "# EOF",
    ] {
        assert!(open.contains(line), "{line} is missing in\n{open}");
    }
    let status = node.status();
    assert!(metrics.contains(&status.frontier_digest) && metrics.contains(&status.fingerprint));
    for token in [None, Some("wrong")] {
        assert_eq!(http_get(&node, "/admin/status", token).0, 401);
    }
    let error = node.admin().post::<serde_json::Value>("partition", &serde_json::json!({ "nodes": [] }));
    assert!(error.expect_err("no testnet").to_string().contains("--testnet true"));
}
