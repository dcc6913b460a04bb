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
    assert!(log.contains("not admitted: the ticket"), "{log}");
    assert!(!log.contains("account  root"), "no password is shown that will never be used: {log}");
    let shown = format!("account  root, password {} ", b.client_file().password);
    eventually("the password is shown once the node has joined", || b.log().contains(&shown).then_some(()));
    drop(b);
    let damaged = &ticket[..ticket.len() - 3];
    let error = run_err(&temp.path().join("d"), &["join", damaged]);
    assert!(error.contains("the ticket is damaged"), "{error}");
    assert!(!temp.path().join("d").exists());
}

#[test]
fn a_ticket_for_one_node_is_of_no_use_to_another() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let b = temp.path().join("b");
    let shown = run_ok(&b, &["join", "--show-key"]);
    let key = shown.trim();
    assert_eq!((key.len(), run_ok(&b, &["join", "--show-key"])), (64, shown.clone()), "it stays the same");
    let error = text(&run(a.dir.root(), &["invite", "--node", &key[1..]]).stderr);
    assert!(error.contains("is not a node's key"), "{error}");
    let error = run_err(a.dir.root(), &["invite", "--node", key, "--uses", "2"]);
    assert!(error.contains("a ticket for one node admits one"), "{error}");
    let ticket = run_ok(a.dir.root(), &["invite", "--node", key]);
    let tickets = a.query("SELECT uses, used, node FROM p2pdb.tickets").expect("rows");
    assert_eq!(tickets, [["1", "0", key]]);
    let soon = a.query(
        "SELECT expires BETWEEN NOW() + INTERVAL 23 HOUR AND NOW() + INTERVAL 1 DAY FROM p2pdb.tickets",
    );
    assert_eq!(soon.expect("a row"), [["1"]]);
    run_ok(a.dir.root(), &["invite", "--expires", "1s"]);
    let valid = || a.query("SELECT COUNT(*) FROM p2pdb.tickets").expect("a row") == [["1"]];
    assert!(!valid());
    eventually("one has expired", || valid().then_some(()));

    let thief = Node::spawn(&temp.path().join("c"), &["join", ticket.trim(), "--no-run"], &[]);
    assert!(!thief.wait_end().success());
    let log = std::fs::read_to_string(temp.path().join("c.log")).expect("a log");
    assert!(log.contains("not admitted: the ticket is for another node"), "{log}");
    let b = Node::join(&b, ticket.trim(), &[]);
    assert_eq!(b.status().node, key);
    assert!(!b.dir.path("joining.key").exists());
    b.query("CREATE DATABASE d").expect("it may write");
    wait_equal(&[&a, &b]);
}

/// A join that was refused leaves the key that a ticket names, and another ticket goes on with it.
#[test]
fn a_refused_join_can_be_tried_again_with_the_same_key() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let b = temp.path().join("b");
    let shown = run_ok(&b, &["join", "--show-key"]);
    let other = run_ok(&temp.path().join("c"), &["join", "--show-key"]);
    let wrong = run_ok(a.dir.root(), &["invite", "--node", other.trim()]);
    let refused = Node::spawn(&b, &["join", wrong.trim(), "--no-run"], &[]);
    assert!(!refused.wait_end().success());
    let log = std::fs::read_to_string(temp.path().join("b.log")).expect("a log");
    assert!(
        log.contains("not admitted: the ticket is for another node") && log.contains("the node's key stays"),
        "{log}"
    );
    assert_eq!(run_ok(&b, &["join", "--show-key"]), shown);
    // The ticket does not show among the processes.
    let right = run_ok(a.dir.root(), &["invite", "--node", shown.trim()]);
    let mut join = vec!["join", "-", "--no-run"];
    join.extend(QUIET);
    assert!(run_err_with(&b, &join, " ").contains("there is no ticket on standard input"));
    let said = run_ok_with(&b, &join, &right);
    assert!(said.contains("joined realm"), "{said}");
    // Now it has, and stays what it is.
    for again in [vec!["join", "--show-key"], vec!["join", wrong.trim()]] {
        let error = run_err(&b, &again);
        assert!(error.contains("already holds a node"), "{error}");
    }
    let b = Node::start(&b, &["--bootstrap", &a.status().listening[0]]);
    assert_eq!(b.status().node, shown.trim());
    wait_equal(&[&a, &b]);
}

/// A ticket may name an address at which another realm answers by now: the join says so and waits for who can admit it.
#[test]
fn a_join_goes_on_where_a_node_of_another_realm_answers() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let other = Node::start(&temp.path().join("other"), &[]);
    let astray = a.ticket_by("writer", other.status().listening[0].clone());
    let at = temp.path().join("b");
    let b = Node::spawn(&at, &["join", &astray, "--no-run"], &[]);
    eventually("it is told", || b.log().contains("not that of this peer").then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(b.log().matches("not that of this peer").count(), 1, "{}", b.log());
    assert!(b.try_admin().is_some() && !other.log().contains("not admitted"), "{}", other.log());
    assert!(!b.stop(), "it has not joined");
    let b = Node::join(&at, &a.ticket("writer", 1), &[]);
    wait_equal(&[&a, &b]);
}

#[test]
fn a_join_that_is_stopped_has_not_joined() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let ticket = a.ticket("writer", 1);
    assert!(a.stop());
    let b = Node::spawn(&temp.path().join("b"), &["join", &ticket, "--no-run"], &[]);
    eventually("it runs", || b.dir.path("run.json").exists().then_some(()));
    let log = temp.path().join("b.log");
    b.signal("TERM");
    assert!(!b.wait_end().success());
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("stopped before it had joined: no member has answered the ticket"), "{log}");
    assert!(!log.contains("joined realm"), "{log}");
}

#[test]
fn who_was_removed_is_told_when_it_joins_again_and_no_ticket_names_who_cannot_come() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let b = temp.path().join("b");
    let key = run_ok(&b, &["join", "--show-key"]);
    let secret = std::fs::read(b.join("joining.key")).expect("a key");
    let ticket = run_ok(a.dir.root(), &["invite", "--node", key.trim()]);
    let b = Node::join(&b, ticket.trim(), &["--node-name", "leaver"]);
    let invite = |key: &str| run_err(a.dir.root(), &["invite", "--node", key]);
    assert!(invite(key.trim()).contains("this is leaver, a member already"));
    for nobodys in ["0".repeat(64), "f".repeat(64)] {
        let output = run(a.dir.root(), &["invite", "--node", &nobodys]);
        assert!(text(&output.stderr).contains("is not a node's key"));
    }
    // A slip of the finger removes nobody: too little of a key names nobody.
    let node = b.status().node;
    for part in [&node[..1], &node[..7]] {
        let error = run_err(a.dir.root(), &["members", "remove", part]);
        assert!(error.contains("at least 8 digits"), "{error}");
    }
    assert!(run_err(a.dir.root(), &["members", "remove", ""]).contains("at least 8 digits"));
    let own = run_err(a.dir.root(), &["members", "remove", &a.status().node]);
    assert!(own.contains("this is the node itself"), "{own}");
    run_ok(a.dir.root(), &["members", "remove", &node[..8]]);
    let removed = invite(key.trim());
    assert!(
        removed.contains("leaver was removed from the realm, and its key does not come back"),
        "{removed}"
    );
    drop(b);
    // Its directory as it was before it joined.
    let copy = temp.path().join("copy");
    std::fs::create_dir(&copy).expect("a directory");
    std::fs::write(copy.join("joining.key"), secret).expect("a key");
    let b = Node::spawn(&copy, &["join", ticket.trim(), "--no-run"], &[]);
    assert!(!b.wait_end().success());
    let log = std::fs::read_to_string(temp.path().join("copy.log")).expect("a log");
    assert!(log.contains("not admitted: this node was removed from the realm"), "{log}");
    let members: Vec<MemberReport> = a.admin().get("members").expect("members");
    assert!(members.iter().any(|m| m.name == "leaver" && m.removed), "{members:?}");
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
        let side = if ahead_ms > 0 { "s ahead of most peers' clocks" } else { "s behind most peers' clocks" };
        let differs = |why: &String| why.contains(side);
        let told = eventually("c notices", || c.status().refuses_writes.filter(differs));
        assert!(told.contains("this machine's clock is "), "{told}");
        let insert = format!("INSERT INTO d.t VALUES ({ahead_ms})");
        let error = c.query(&insert).expect_err("writes are refused");
        assert_eq!(error.code, 1290);
        assert!(differs(&error.message), "{error}");
        assert!(c.log().contains("refusing writes: this machine's clock is "), "{}", c.log());
        let (status, body) = http_get(&c, "/readyz", None);
        assert!(status == 503 && body.contains(side), "{status} {body}");
        assert!(run_ok(c.dir.root(), &["status"]).contains(side));
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
    // It has heard of it, and says so.
    let (status, body) = http_get(&b, "/readyz", None);
    assert!(status == 503 && body.contains("removed from the realm"), "{status} {body}");
    let text = run_ok(b.dir.root(), &["status"]);
    assert!(
        text.contains("NOT READY: this node was removed") && text.contains("role         removed"),
        "{text}"
    );
    assert!(b.query("CREATE DATABASE f").is_err());
    // Also after a restart.
    let at = b.dir.root().to_owned();
    assert!(b.stop());
    let b = Node::spawn(&at, &["run"], &[]);
    let status = b.status();
    assert!(!status.ready && status.removed, "{:?}", status.reasons);
    eventually("the log says so", || b.log().contains("this node was removed from the realm").then_some(()));
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
        let told = eventually("a peer", || node.status().peers.first().map(|p| p.tables_differ));
        assert!(told && run_ok(node.dir.root(), &["status"]).contains("ALARM: other tables"));
        assert!(alarm.contains("the tables differ"), "{alarm}");
        let (code, body) = http_get(node, "/readyz", None);
        assert!(code == 503 && body.contains("ALARM"), "{code} {body}");
        let (_, metrics) = http_get(node, "/metrics", None);
        assert!(metrics.lines().any(|l| l == "p2pdb_alarm 1"), "{metrics}");
        assert!(node.log().contains("the tables differ"), "{}", node.log());
    }
    // It serves on, and does not say it again with every message that it gets.
    for n in 10..15 {
        a.query(&format!("INSERT INTO d.t VALUES ({n})")).expect("a row");
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    for node in [&a, &b] {
        assert_eq!(node.log().matches("the tables differ").count(), 1, "{}", node.log());
    }
}

/// A port that nobody uses for TCP or UDP now.
fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("an address").port();
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[test]
fn nodes_that_were_all_killed_find_each_other_again() {
    let temp = tempfile::tempdir().expect("a directory");
    let path = |n: usize| temp.path().join(format!("n{n}"));
    let listen: Vec<String> =
        (0..3).map(|_| format!("/ip4/127.0.0.1/tcp/{},/ip4/127.0.0.1/udp/0/quic-v1", free_port())).collect();
    let flags = |n: usize| ["--peer-listen", &listen[n]];
    let a = Node::start(&path(0), &flags(0));
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    let ticket = a.ticket("writer", 2);
    let b = Node::join(&path(1), &ticket, &flags(1));
    let c = Node::join(&path(2), &ticket, &flags(2));
    wait_equal(&[&a, &b, &c]);
    let nodes = [a, b, c];
    eventually("each remembers somebody", || {
        nodes.iter().all(|n| n.dir.path("peers.json").exists()).then_some(())
    });
    nodes.into_iter().for_each(Node::kill);

    let nodes: Vec<Node> = (0..3).map(|n| Node::spawn(&path(n), &["run"], &flags(n))).collect();
    nodes.iter().for_each(Node::wait_ready);
    nodes[2].query("INSERT INTO d.t VALUES (1)").expect("a row");
    for node in &nodes {
        eventually("the row is there", || {
            (node.query("SELECT COUNT(*) FROM d.t").expect("a count") == [["1"]]).then_some(())
        });
        assert!(!node.log().contains("no peer has answered"), "{}", node.log());
    }
    // A peer that stays away in one run is not forgotten by it.
    let [a, b, c] = <[Node; 3]>::try_from(nodes).unwrap_or_else(|_| panic!("three"));
    assert!(a.stop() && b.stop() && c.stop());
    let lone = Node::start(&path(2), &flags(2));
    assert!(lone.stop());
    let kept = std::fs::read_to_string(path(2).join("peers.json")).expect("peers.json");
    let port = |n: usize| listen[n].split(['/', ',']).nth(4).expect("a port").to_owned();
    assert!(kept.contains(&port(0)) || kept.contains(&port(1)), "{kept}");
}

#[test]
fn an_older_copy_of_a_killed_node_asks_for_its_own_blocks_over_quic_before_it_writes() {
    let temp = tempfile::tempdir().expect("a directory");
    let quic: Vec<String> = (0..2).map(|_| format!("/ip4/127.0.0.1/udp/{}/quic-v1", free_port())).collect();
    let a = Node::start(&temp.path().join("a"), &["--peer-listen", &quic[0]]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    let at = temp.path().join("b");
    let flags = ["--peer-listen", quic[1].as_str()];
    let b = Node::join(&at, &a.ticket("writer", 1), &flags);
    b.query("INSERT INTO d.t VALUES (0)").expect("a row");
    wait_equal(&[&a, &b]);
    eventually("b remembers a", || b.dir.path("peers.json").exists().then_some(()));
    b.kill();
    let copy = temp.path().join("copy");
    let copied = std::process::Command::new("cp").arg("-a").arg(&at).arg(&copy).status();
    assert!(copied.expect("cp runs").success());

    let b = Node::start(&at, &flags);
    for n in 1..=3 {
        b.query(&format!("INSERT INTO d.t VALUES ({n})")).expect("a row");
    }
    wait_equal(&[&a, &b]);
    b.kill();
    std::fs::remove_dir_all(&at).expect("removed");
    std::fs::rename(&copy, &at).expect("put back");

    // It takes no writes before it has its own blocks.
    let b = Node::start(&at, &flags);
    assert!(b.log().contains("a peer has told what it holds of this node"), "{}", b.log());
    assert!(!b.log().contains("no peer has answered"), "{}", b.log());
    b.query("INSERT INTO d.t VALUES (4)").expect("a row");
    wait_equal(&[&a, &b]);
    for node in [&a, &b] {
        assert_eq!(node.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["5"]]);
        let own = |m: &&MemberReport| m.node == b.status().node;
        let members: Vec<MemberReport> = node.admin().get("members").expect("members");
        assert_eq!(members.iter().find(own).map(|m| m.removed), Some(false));
    }
    assert!(a.stop() && b.stop());
    assert!(run_ok(&at, &["verify"]).contains("as the log says"));
}

#[test]
fn two_copies_of_a_node_that_write_are_noticed_once() {
    let temp = tempfile::tempdir().expect("a directory");
    let (at, copy, other) = (temp.path().join("a"), temp.path().join("copy"), temp.path().join("c"));
    let a = Node::start(&at, &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    let c = Node::join(&other, &a.ticket("writer", 1), &[]);
    wait_equal(&[&a, &c]);
    let author = a.status().node;
    assert!(a.stop() && c.stop());
    let copied = std::process::Command::new("cp").arg("-a").arg(&at).arg(&copy).status();
    assert!(copied.expect("cp runs").success());
    // Each writes while nobody else runs.
    let a = Node::start(&at, &[]);
    a.query("INSERT INTO d.t VALUES (1)").expect("a row");
    assert!(a.stop());
    let twin = Node::start(&copy, &[]);
    twin.query("INSERT INTO d.t VALUES (2)").expect("a row");
    twin.query("INSERT INTO d.t VALUES (3)").expect("a row");
    let c = Node::start(&other, &["--bootstrap", &twin.status().listening[0]]);
    wait_equal(&[&twin, &c]);
    assert!(!c.log().contains("a chain has forked"), "{}", c.log());
    assert!(twin.stop());

    let a = Node::start(&at, &["--bootstrap", &c.status().listening[0]]);
    wait_equal(&[&a, &c]);
    assert_eq!(c.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["3"]]);
    let check = |node: &Node| {
        let forks = node.query("SELECT * FROM p2pdb.forks").expect("rows");
        assert_eq!(forks.len(), 1, "{forks:?}");
        assert!(forks[0][3] < forks[0][4], "in one order on each node: {forks:?}");
        let log = node.log();
        let said: Vec<&str> = log.lines().filter(|l| l.contains("a chain has forked")).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("WARN") && said[0].contains(&author), "{said:?}");
        // Author and the two blocks of one number, of which one is not the newest of its branch.
        for cell in [&forks[0][0], &forks[0][3], &forks[0][4]] {
            assert!(said[0].contains(cell), "{cell} is not in {said:?}");
        }
        let (_, metrics) = http_get(node, "/metrics", None);
        assert!(metrics.lines().any(|l| l == "p2pdb_forks 1"), "{metrics}");
    };
    check(&a);
    check(&c);
    assert!(c.stop());
    // Known from before, it is no news.
    let c = Node::start(&other, &["--bootstrap", &a.status().listening[0]]);
    check(&c);
    assert!(a.stop() && c.stop());
}

#[test]
fn an_owner_without_an_accounts_key_invites_no_writer_that_could_write_for_nobody() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let b = Node::join(&temp.path().join("b"), &a.ticket("owner", 1), &[]);
    for role in ["owner", "writer"] {
        let error = run_err(b.dir.root(), &["invite", "--role", role]);
        assert!(error.contains("no account's key") && error.contains("accounts.json"), "{error}");
    }
    // What it may give works.
    let c = Node::join(&temp.path().join("c"), &b.ticket("reader", 1), &[]);
    assert!(a.stop());
    std::fs::remove_file(temp.path().join("a/accounts.json")).expect("removed");
    let error = run_err(&temp.path().join("a"), &["invite"]);
    assert!(error.contains("no account's key") && error.contains("backup"), "{error}");
    let a = Node::start(&temp.path().join("a"), &[]);
    assert!(a.log().contains("accounts.json, which this node had"), "{}", a.log());
    assert!(a.stop());
    assert!(c.stop() && b.stop());
}

#[test]
fn a_member_whose_admission_was_forgotten_by_a_restore_is_admitted_again() {
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name);
    let a = Node::start(&path("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    let ticket = a.ticket("writer", 1);
    run_ok(a.dir.root(), &["backup", path("backup").to_str().expect("a path")]);
    let b = Node::join(&path("b"), &ticket, &[]);
    wait_equal(&[&a, &b]);
    b.query("INSERT INTO d.t VALUES (1)").expect("a row");
    wait_equal(&[&a, &b]);
    // Both are away; a comes back as it was before b joined.
    assert!(b.stop() && a.stop());
    run_ok(&path("a2"), &["restore", path("backup").to_str().expect("a path")]);
    let a = Node::start(&path("a2"), &[]);
    assert_eq!(a.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["0"]]);
    let b = Node::start(&path("b"), &["--bootstrap", &a.status().listening[0]]);
    wait_equal(&[&a, &b]);
    assert_eq!(a.query("SELECT id FROM d.t").expect("rows"), [["1"]]);
    b.query("INSERT INTO d.t VALUES (2)").expect("it writes on");
    wait_equal(&[&a, &b]);
    assert!(b.stop() && a.stop());
}

/// What it wrote after the backup may be on nodes that are away: it draws no values of those again.
#[test]
fn a_restored_node_draws_ids_again_when_another_member_has_dealt_it_some() {
    const DRAW: &str = "INSERT INTO d.t (v) VALUES ('a row')";
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name);
    let backup = path("backup").to_str().expect("a path").to_owned();
    let a = Node::start(&path("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)").expect("a table");
    let b = Node::join(&path("b"), &a.ticket("writer", 1), &[]);
    wait_equal(&[&a, &b]);
    b.query(DRAW).expect("a row");
    wait_equal(&[&a, &b]);
    run_ok(b.dir.root(), &["backup", &backup]);
    assert!(a.stop());
    b.query(DRAW).expect("a row that nobody else has");
    assert!(b.stop());
    // Alone, and told to go on: the value comes again.
    run_ok(&path("alone"), &["restore", "--keep-ids", &backup]);
    let b = Node::start(&path("alone"), &[]);
    b.query(DRAW).expect("it draws on");
    assert!(b.stop());
    // Alone, and not told so.
    run_ok(&path("b2"), &["restore", &backup]);
    let b = Node::start(&path("b2"), &[]);
    let refused = eventually("it takes writes", || b.query(DRAW).err().filter(|e| e.code == 1467));
    assert!(refused.message.contains("dealt"), "{refused:?}");
    b.query("INSERT INTO d.t VALUES (5000, 'given')").expect("a row whose id is given");
    let a = Node::start(&path("a"), &["--bootstrap", &b.status().listening[0]]);
    eventually("it draws again", || b.query(DRAW).ok());
    wait_equal(&[&a, &b]);
    assert_eq!(a.query("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.t").expect("rows"), [["3", "3"]]);
    assert!(b.stop() && a.stop());
}

/// The backup knows neither the ticket nor the member, who shows it what it has lost of its own.
#[test]
fn a_node_restored_from_before_its_first_invitation_knows_its_own_blocks_at_a_stranger() {
    const DRAW: &str = "INSERT INTO d.t VALUES ()";
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name);
    let text = |name: &str| path(name).to_str().expect("a path").to_owned();
    let a = Node::start(&path("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY)").expect("a table");
    run_ok(a.dir.root(), &["backup", &text("backup")]);
    let b = Node::join(&path("b"), &a.ticket("writer", 1), &[]);
    a.query("INSERT INTO d.t VALUES (), ()").expect("rows");
    wait_equal(&[&a, &b]);
    assert!(a.stop() && b.stop());
    let said = run_ok(&path("a2"), &["restore", &text("backup")]);
    assert!(said.contains("p2pdb.keep_ids()"), "{said}");
    let a = Node::start(&path("a2"), &[]);
    assert_eq!(a.query(DRAW).expect_err("others may have its ids").code, 1467);
    let b = Node::start(&path("b"), &["--bootstrap", &a.status().listening[0]]);
    wait_equal(&[&a, &b]);
    assert!(a.log().contains("a stranger holds blocks of this node that this node has lost"), "{}", a.log());
    eventually("it draws again", || a.query(DRAW).ok());
    b.query(DRAW).expect("it writes");
    wait_equal(&[&a, &b]);
    assert_eq!(a.query("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.t").expect("rows"), [["4", "4"]]);
    assert!(b.stop() && a.stop());
}

/// An older copy of a directory, made while its node was stopped, is put back: nothing in it says so but its place on the disk.
#[test]
fn a_directory_that_was_copied_asks_what_its_peers_hold_of_it_before_it_writes() {
    const DRAW: &str = "INSERT INTO d.t VALUES ()";
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name);
    let a = Node::start(&path("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY)").expect("a table");
    let b = Node::join(&path("b"), &a.ticket("writer", 1), &[]);
    wait_equal(&[&a, &b]);
    assert!(a.stop());
    let copy = std::process::Command::new("cp").arg("-r").args([path("a"), path("copy")]).status();
    assert!(copy.expect("cp runs").success());
    let a = Node::start(&path("a"), &["--bootstrap", &b.status().listening[0]]);
    a.query(DRAW).expect("a row");
    wait_equal(&[&a, &b]);
    assert!(a.stop());
    let a = Node::start(&path("copy"), &["--bootstrap", &b.status().listening[0]]);
    eventually("it draws again, what nobody has drawn", || a.query(DRAW).ok());
    wait_equal(&[&a, &b]);
    assert!(a.log().contains("was copied or moved here"), "{}", a.log());
    assert_eq!(a.query("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.t").expect("rows"), [["2", "2"]]);
    assert!(a.query("SELECT * FROM p2pdb.forks").expect("forks").is_empty());
    // The same directory once more, where it is: nothing to ask.
    assert!(a.stop());
    let a = Node::start(&path("copy"), &["--bootstrap", &b.status().listening[0]]);
    a.query(DRAW).expect("at once");
    assert!(a.stop() && b.stop());
}

/// The backup knows neither the ticket nor the member: its log comes by a file.
#[test]
fn a_node_restored_from_before_its_first_invitation_learns_of_the_members_from_their_log() {
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name);
    let text = |name: &str| path(name).to_str().expect("a path").to_owned();
    let a = Node::start(&path("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY)").expect("a table");
    run_ok(a.dir.root(), &["backup", &text("backup")]);
    let b = Node::join(&path("b"), &a.ticket("writer", 1), &[]);
    a.query("INSERT INTO d.t VALUES (), ()").expect("rows");
    wait_equal(&[&a, &b]);
    assert!(a.stop());
    run_ok(&path("a2"), &["restore", &text("backup")]);
    run_ok(b.dir.root(), &["export", &text("log.car")]);
    run_ok(&path("a2"), &["import", &text("log.car")]);
    let a = Node::start(&path("a2"), &[]);
    assert_eq!(a.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["2"]]);
    assert!(b.stop());
    let b = Node::start(&path("b"), &["--bootstrap", &a.status().listening[0]]);
    wait_equal(&[&a, &b]);
    b.query("INSERT INTO d.t VALUES ()").expect("it writes");
    wait_equal(&[&a, &b]);
    assert!(b.stop() && a.stop());
}

/// Members of a private network hear nobody who has not its key, not even one with a ticket.
#[test]
fn a_private_network_is_closed_to_whoever_has_not_its_key() {
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name);
    let text = |name: &str| path(name).to_str().expect("a path").to_owned();
    for key in ["key", "other"] {
        run_ok(&path("none"), &["key", "network", &text(key)]);
    }
    let private = ["--network-key", &text("key")];
    let a = Node::start(&path("a"), &private);
    a.query("CREATE DATABASE d").expect("a database");
    let ticket = a.ticket("writer", 2);
    let b = Node::join(&path("b"), &ticket, &private);
    wait_equal(&[&a, &b]);
    assert!(a.status().listening.iter().all(|l| l.contains("/tcp/")), "{:?}", a.status().listening);
    let other = ["--network-key", &text("other"), "--log-level", "debug"];
    for (dir, given) in [("open", &other[2..]), ("wrong", &other)] {
        let outsider = Node::spawn(&path(dir), &["join", &ticket], given);
        eventually("it is hung up on", || outsider.log().contains("dial failed").then_some(()));
        assert!(!outsider.log().contains("peer connected"), "{dir}: {}", outsider.log());
        outsider.kill();
    }
    let members: Vec<MemberReport> = a.admin().get("members").expect("members");
    assert_eq!(members.len(), 2);
    assert!(b.stop() && a.stop());
    let run = ["run", "--mysql-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--network-key"];
    let error = run_err(&path("a"), &[&run[..], &[&text("ticket")]].concat());
    assert!(error.contains("cannot read the network key"), "{error}");
    std::fs::write(path("bad"), "not a key").expect("written");
    let error = run_err(&path("a"), &[&run[..], &[&text("bad")]].concat());
    assert!(error.contains("holds no network key"), "{error}");
}
