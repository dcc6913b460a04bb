//! A full disk under a real node: clients hear 1021, reads go on, nothing that was acknowledged is lost, what peers send
//! waits at them, and with room again everything goes on by itself.
//!
//! The disk is a small tmpfs in a mount namespace of the test's own.

use p2pdb_node::mysql_client::MysqlClient;

use crate::common::*;
use crate::namespace;

/// Room at first; and after some has been made.
const SMALL: &str = "size=12m";
const LARGE: &str = "size=96m";

#[test]
fn a_full_disk_refuses_writes_and_loses_nothing() {
    namespace::run(&["--mount"], "disk_full::a_full_disk_refuses_writes_and_loses_nothing", inside);
}

#[test]
fn an_init_that_finds_no_room_leaves_nothing_behind() {
    namespace::run(&["--mount"], "disk_full::an_init_that_finds_no_room_leaves_nothing_behind", inside_init);
}

fn inside_init() {
    let temp = tempfile::tempdir().expect("a directory");
    let small = temp.path().join("small");
    std::fs::create_dir(&small).expect("a directory");
    namespace::ok(&format!("mount -t tmpfs -o size=4m tmpfs {}", small.display()));
    let data = small.join("node");
    // From no room at all to nearly enough, so that it fails at each of its steps.
    let names = || {
        let entries = std::fs::read_dir(&small).expect("a listing");
        entries.map(|e| e.expect("an entry").file_name().into_string().expect("a name")).collect::<Vec<_>>()
    };
    let mut failed = 0;
    for free_kib in (0..=512).step_by(32) {
        // tmpfs gives pages: what is written first is what is taken.
        std::fs::write(small.join("full"), vec![1u8; (4 << 20) - free_kib * 1024]).expect("filled");
        let output = run(&data, &["init"]);
        let err = text(&output.stderr);
        if output.status.success() {
            break;
        }
        failed += 1;
        assert!(err.contains("No space left") || err.contains("disk is full"), "{free_kib} KiB free: {err}");
        assert_eq!(names(), ["full"], "{free_kib} KiB free: {err}");
    }
    assert!(failed > 2, "{failed}");
    std::fs::remove_file(small.join("full")).expect("removed");
    let _ = std::fs::remove_dir_all(&data);
    run_ok(&data, &["init"]);
}

fn count(node: &Node, who: &str) -> u64 {
    let rows = node.query(&format!("SELECT COUNT(*) FROM d.t WHERE who = '{who}'")).expect("reads go on");
    rows[0][0].parse().expect("a count")
}

/// Writes rows of 20 kB until one is refused; gives how many were acknowledged, and the error.
fn fill(node: &Node, from: u64) -> (u64, p2pdb_mysql::ServerError) {
    let mut client = MysqlClient::open(&node.client_file(), Some("d".into()), "test").expect("a connection");
    for n in from.. {
        let sql = format!("INSERT INTO t VALUES ('a', {n}, REPEAT('{n:05}', 4000))");
        match client.run(&sql).expect("the connection holds") {
            Ok(_) => assert!(n < 10_000, "the disk does not fill up"),
            Err(e) => return (n, e),
        }
    }
    unreachable!()
}

fn inside() {
    let temp = tempfile::tempdir().expect("a directory");
    let (small, roomy) = (temp.path().join("small"), temp.path().join("roomy"));
    std::fs::create_dir(&small).expect("a directory");
    namespace::ok(&format!("mount -t tmpfs -o {SMALL} tmpfs {}", small.display()));
    let data = small.join("node");
    // The test looks for words in the log, so that one is elsewhere.
    std::os::unix::fs::symlink(temp.path().join("small.log"), data.with_extension("log")).expect("a link");
    let a = Node::start(&data, &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (who CHAR(1), n INT, x LONGTEXT, PRIMARY KEY (who, n))").expect("a table");
    let b = Node::join(&roomy, &a.ticket("writer", 1), &[]);
    wait_equal(&[&a, &b]);

    let (acknowledged, error) = fill(&a, 0);
    assert_eq!(error.code, 1021, "{error}");
    assert!(
        error.to_string().contains("Disk full") && error.to_string().contains("Free some space"),
        "{error}"
    );
    assert!(acknowledged > 50, "{acknowledged}");
    assert!(a.log().contains("disk is full"), "the log says so");
    assert_eq!(count(&a, "a"), acknowledged, "what was acknowledged is there, and nothing else");
    assert_eq!(http_get(&a, "/healthz", None).0, 200);
    let (code, body) = http_get(&a, "/readyz", None);
    assert!(code == 503 && body.contains("the disk is full"), "{code} {body}");
    assert_eq!(http_get(&b, "/readyz", None).0, 200);

    // Those that were to be committed together with the one that met the full disk hear the same.
    let node = &a;
    let heard: Vec<_> = std::thread::scope(|s| {
        let write = |n: u32| {
            s.spawn(move || {
                node.query(&format!("INSERT INTO d.t VALUES ('c', {n}, REPEAT('{n:05}', 40000))"))
            })
        };
        let all: Vec<_> = (0..16).map(write).collect();
        all.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    let codes: Vec<u16> = heard.iter().filter_map(|r| r.as_ref().err()).map(|e| e.code).collect();
    assert!(!codes.is_empty() && codes.iter().all(|c| *c == 1021), "{codes:?}");
    assert_eq!(count(&a, "c"), 16 - codes.len() as u64);

    // What a peer writes meanwhile is not lost: it waits there.
    for n in 0..40 {
        b.query(&format!("INSERT INTO d.t VALUES ('b', {n}, REPEAT('{n:05}', 10000))")).expect("b has room");
    }
    eventually("the peer's blocks find no room", || {
        a.log().contains("blocks could not be stored").then_some(())
    });
    assert!(count(&a, "b") < 40);
    assert_eq!(count(&a, "a"), acknowledged);
    assert_eq!(a.status().alarm, None);
    assert!(a.status().failed.is_some_and(|(_, why)| why.contains("full")), "{:?}", a.status().failed);
    let failed = |n: &Node| {
        let (_, metrics) = http_get(n, "/metrics", None);
        let line = metrics.lines().find_map(|l| l.strip_prefix("p2pdb_commit_groups_failed_total "));
        line.and_then(|n| n.parse::<u64>().ok()).expect("the metric")
    };
    assert!(failed(&a) > 0 && failed(&b) == 0);
    assert_eq!(b.status().failed, None);

    // Killed and started on the full disk, it starts, or it says what is wrong.
    a.kill();
    let a = Node::spawn(&data, &["run"], &["--bootstrap", &b.status().listening[0]]);
    let started = eventually("it starts, or says why not", || {
        let client = a.try_admin();
        let up = client.is_some_and(|c| c.get::<p2pdb_node::admin::StatusReport>("status").is_ok());
        let log = a.log();
        let said = log.contains("disk is full") || log.contains("No space left");
        (up || (said && log.contains("p2pdb-node: "))).then_some(up)
    });
    let a = if started {
        Some(a)
    } else {
        assert!(!a.wait_end().success());
        None
    };

    // Room again.
    namespace::ok(&format!("mount -o remount,{LARGE} {}", small.display()));
    let a = a.unwrap_or_else(|| Node::start(&data, &["--bootstrap", &b.status().listening[0]]));
    a.wait_ready();
    wait_equal(&[&a, &b]);
    assert_eq!((count(&a, "a"), count(&a, "b")), (acknowledged, 40));
    a.query(&format!("INSERT INTO d.t VALUES ('a', {acknowledged}, 'room')"))
        .expect("writes are taken again");
    wait_equal(&[&a, &b]);
    assert!(a.stop());
    let a = Node::start(&data, &[]);
    assert_eq!(count(&a, "a"), acknowledged + 1);
    assert!(a.stop());
    assert!(run_ok(&data, &["verify"]).contains("as the log says"));
}
