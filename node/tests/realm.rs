//! Several nodes: joining, replication, partitions, kills, and what the commands say about it.

mod common;

use common::*;
use p2pdb_node::admin::{ClockRequest, MemberReport, NodesRequest, StatusReport};

const TESTNET: [&str; 2] = ["--testnet", "true"];

#[test]
fn a_node_joins_by_ticket_and_rows_travel_both_ways() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &["--node-name", "a"]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY, x VARCHAR(20))").expect("a table");
    a.query("INSERT INTO d.t VALUES (1, 'from a')").expect("a row");
    let b = Node::join(&temp.path().join("b"), &a.ticket("writer", 1), &["--node-name", "b"]);
    wait_equal(&[&a, &b]);
    assert_eq!(b.query("SELECT x FROM d.t").expect("rows"), [["from a"]]);
    b.query("INSERT INTO d.t VALUES (2, 'from b')").expect("a row");
    eventually("b's row is on a", || {
        (a.query("SELECT COUNT(*) FROM d.t").expect("a count") == [["2"]]).then_some(())
    });
    wait_equal(&[&a, &b]);
    let members: Vec<MemberReport> = a.admin().get("members").expect("members");
    let names: Vec<(&str, &str)> = members.iter().map(|m| (m.name.as_str(), m.role.as_str())).collect();
    assert!(names.contains(&("b", "writer")) && names.contains(&("a", "owner")), "{names:?}");
    eventually("each sees the other connected", || {
        let connected = "SELECT name FROM p2pdb.members WHERE connected = 1";
        let seen = [a.query(connected).expect("members"), b.query(connected).expect("members")];
        (seen == [[["b"]], [["a"]]]).then_some(())
    });
    eventually("the ticket is gone once it was used", || (!b.dir.path("ticket").exists()).then_some(()));

    let log = run_ok(a.dir.root(), &["log", "-n", "5"]);
    assert!(log.contains("(head)") && log.contains("INSERT d.t") && log.starts_with('*'), "{log}");
    let table = run_ok(a.dir.root(), &["members"]);
    assert!(table.starts_with("   name") && table.contains("writer"), "{table}");
    let status = run_ok(b.dir.root(), &["status"]);
    assert!(status.contains("ready") && status.contains("equal"), "{status}");
    assert!(b.stop() && a.stop());
}

#[test]
fn a_ticket_admits_as_many_nodes_as_it_says() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let ticket = a.ticket("writer", 1);
    let b = Node::join(&temp.path().join("b"), &ticket, &[]);
    let c = Node::spawn(&temp.path().join("c"), &["join", &ticket, "--no-run"], &[]);
    let log = temp.path().join("c.log");
    assert!(!c.wait_end().success());
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("not admitted"), "{log}");
    drop(b);
    let damaged = &ticket[..ticket.len() - 3];
    let error = run_err(&temp.path().join("d"), &["join", damaged]);
    assert!(error.contains("the ticket is damaged"), "{error}");
    assert!(!temp.path().join("d").exists());
}

#[test]
fn join_no_run_catches_up_and_leaves_a_node_that_runs_later() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    let b = Node::spawn(&temp.path().join("b"), &["join", &a.ticket("writer", 1), "--no-run"], &[]);
    assert!(b.wait_end().success());
    let b = Node::start(&temp.path().join("b"), &["--bootstrap", &a.status().listening[0]]);
    assert!(b.query("SHOW DATABASES").expect("rows").contains(&vec!["d".to_owned()]));
    wait_equal(&[&a, &b]);
}

#[test]
fn a_partition_leaves_both_sides_writing_and_healing_merges_them() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &TESTNET);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY, x INT, y INT)").expect("a table");
    a.query("INSERT INTO d.t VALUES (1, 0, 0)").expect("a row");
    let ticket = a.ticket("writer", 2);
    let b = Node::join(&temp.path().join("b"), &ticket, &TESTNET);
    let c = Node::join(&temp.path().join("c"), &ticket, &TESTNET);
    wait_equal(&[&a, &b, &c]);
    let key = |n: &Node| n.status().node;
    let block = |n: &Node, who: &[&Node]| {
        let nodes = who.iter().map(|n| key(n)).collect();
        let _: StatusReport = n.admin().post("partition", &NodesRequest { nodes }).expect("cut off");
    };
    block(&c, &[&a, &b]);
    block(&a, &[&c]);
    block(&b, &[&c]);
    eventually("the links are cut", || c.status().peers.is_empty().then_some(()));
    c.query("UPDATE d.t SET y = 7 WHERE id = 1").expect("c writes on");
    c.query("INSERT INTO d.t VALUES (3, 3, 3)").expect("c writes on");
    a.query("UPDATE d.t SET x = 5 WHERE id = 1").expect("a writes on");
    b.query("INSERT INTO d.t VALUES (2, 2, 2)").expect("b writes on");
    wait_equal(&[&a, &b]);
    assert_ne!(a.status().frontier_digest, c.status().frontier_digest);
    for node in [&a, &b, &c] {
        let _: StatusReport = node.admin().post("heal", &NodesRequest::default()).expect("healed");
    }
    wait_equal(&[&a, &b, &c]);
    for node in [&a, &b, &c] {
        let rows = node.query("SELECT id, x, y FROM d.t ORDER BY id").expect("rows");
        assert_eq!(rows, [["1", "5", "7"], ["2", "2", "2"], ["3", "3", "3"]]);
    }
    let log = run_ok(a.dir.root(), &["log"]);
    assert!(log.contains("|/"), "two lines of history meet in\n{log}");
}

#[test]
fn a_node_whose_clock_disagrees_with_most_peers_refuses_writes_until_it_is_right() {
    let temp = tempfile::tempdir().expect("a directory");
    let skew = [&TESTNET[..], &["--clock-skew-max", "60s"]].concat();
    let a = Node::start(&temp.path().join("a"), &skew);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    let ticket = a.ticket("writer", 2);
    let b = Node::join(&temp.path().join("b"), &ticket, &skew);
    let c = Node::join(&temp.path().join("c"), &ticket, &skew);
    wait_equal(&[&a, &b, &c]);
    eventually("all are linked", || {
        (c.status().peers.len() == 2 && a.status().peers.len() == 2).then_some(())
    });
    for ahead_ms in [600_000, -600_000] {
        let _: StatusReport = c.admin().post("clock", &ClockRequest { ahead_ms }).expect("set wrong");
        let told = eventually("c notices", || c.status().refuses_writes);
        assert!(told.contains("clock differs by") && told.contains("from most peers' clocks"), "{told}");
        let insert = format!("INSERT INTO d.t VALUES ({ahead_ms})");
        let error = c.query(&insert).expect_err("writes are refused");
        assert_eq!(error.code, 1290);
        assert!(error.message.contains("clock differs by"), "{error}");
        assert!(c.log().contains("refusing writes: this machine's clock differs"), "{}", c.log());
        let (status, body) = http_get(&c, "/readyz", None);
        assert!(status == 503 && body.contains("clock differs by"), "{status} {body}");
        assert!(run_ok(c.dir.root(), &["status"]).contains("clock differs by"));
        // Reads go on; so does the majority, which one wrong clock does not impress.
        assert!(c.query("SELECT COUNT(*) FROM d.t").is_ok());
        a.query(&format!("INSERT INTO d.t VALUES ({})", 1 + ahead_ms)).expect("the others write on");
        assert_eq!((a.status().refuses_writes, b.status().refuses_writes), (None, None));
        let _: StatusReport = c.admin().post("clock", &ClockRequest { ahead_ms: 0 }).expect("set right");
        eventually("c takes writes again", || c.status().refuses_writes.is_none().then_some(()));
        assert!(c.log().contains("the clock agrees with the peers' again"));
        c.query(&insert).expect("a write");
    }
    wait_equal(&[&a, &b, &c]);
    assert_eq!(b.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["4"]]);
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    let file = a.client_file();
    let writer = std::thread::spawn(move || {
        let mut acknowledged = 0;
        let Ok(mut client) = p2pdb_node::mysql_client::MysqlClient::open(&file, Some("d".into()), "test")
        else {
            return 0;
        };
        while let Ok(Ok(_)) = client.run(&format!("INSERT INTO t VALUES ({})", acknowledged + 1)) {
            acknowledged += 1;
        }
        acknowledged
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    a.kill();
    let acknowledged: u64 = writer.join().expect("no panic");
    assert!(acknowledged > 0);
    let a = Node::start(&temp.path().join("a"), &[]);
    let rows = a.query("SELECT COUNT(*), MAX(id) FROM d.t").expect("a count");
    let count: u64 = rows[0][0].parse().expect("a number");
    assert!(count == acknowledged || count == acknowledged + 1, "{count} rows, {acknowledged} acknowledged");
    assert_eq!(rows[0][0], rows[0][1]);
    assert!(a.stop());
    assert!(run_ok(&temp.path().join("a"), &["verify"]).contains("as the log says"));
}

#[test]
fn a_removed_member_is_cut_off() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let b = Node::join(&temp.path().join("b"), &a.ticket("writer", 1), &["--node-name", "leaver"]);
    a.query("CREATE DATABASE d").expect("a database");
    wait_equal(&[&a, &b]);
    let table = run_ok(a.dir.root(), &["members", "remove", "leaver"]);
    assert!(table.contains("removed"), "{table}");
    eventually("the link is cut", || a.status().peers.is_empty().then_some(()));
    a.query("CREATE DATABASE e").expect("a goes on");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!b.query("SHOW DATABASES").expect("rows").contains(&vec!["e".to_owned()]));
}

#[test]
fn equal_logs_with_different_tables_raise_an_alarm() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &TESTNET);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    a.query("INSERT INTO d.t VALUES (1)").expect("a row");
    let at = temp.path().join("b");
    let b = Node::join(&at, &a.ticket("writer", 1), &TESTNET);
    wait_equal(&[&a, &b]);
    assert!(b.stop());
    let db = rusqlite::Connection::open(p2pdb_engine::realm::file(&at)).expect("b's store");
    let changed =
        db.execute("UPDATE fingerprint SET value = randomblob(length(value))", ()).expect("changed");
    assert!(changed > 0, "there is a fingerprint to change");
    drop(db);
    // It may raise the alarm before it was ready once.
    let b = Node::spawn(&at, &["run"], &TESTNET);
    for node in [&a, &b] {
        let alarm = eventually("an alarm", || node.status().alarm);
        assert!(alarm.contains("the tables differ"), "{alarm}");
        let (code, body) = http_get(node, "/readyz", None);
        assert!(code == 503 && body.contains("ALARM"), "{code} {body}");
        let (_, metrics) = http_get(node, "/metrics", None);
        assert!(metrics.lines().any(|l| l == "p2pdb_alarm 1"), "{metrics}");
        assert!(node.log().contains("the tables differ"), "{}", node.log());
    }
    // It serves on.
    a.query("SELECT COUNT(*) FROM d.t").expect("an answer");
}
