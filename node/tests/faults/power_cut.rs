//! The power is cut in the middle of a write load: not only the process is gone, but all that was not synced.
//!
//! `power_cut.c`, built here with `cc` and put under the node with LD_PRELOAD, keeps what a disk would hold
//! if the power failed: needs no root and no device. What clients were told is committed must be there when a node starts on
//! that disk; and when syncs do nothing the same test must see commits lost, or it would show nothing.
//! `scripts/power-cut` does the same on a loop device, by hand.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use p2pdb_node::mysql_client::MysqlClient;

use crate::common::*;

/// Clients that write at once, each its own rows.
const CLIENTS: u64 = 4;
/// Commits that must have been acknowledged before the power is cut.
const COMMITS_MIN: u64 = 300;

/// The library, built once.
fn library(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/power_cut.c");
    let library = dir.join("power_cut.so");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).arg(source);
    let output = cc.args(["-ldl", "-lpthread"]).output().expect("a C compiler is there");
    assert!(output.status.success(), "{}", text(&output.stderr));
    library
}

/// Runs a node under a write load and cuts its power; gives the directory that the disk held, and per client the last
/// number that was acknowledged.
fn cut(dir: &Path, library: &Path, seed: u64, syncs: bool) -> (PathBuf, Vec<u64>) {
    let (live, disk) = (dir.join("live"), dir.join("disk"));
    std::fs::create_dir(&disk).expect("a directory");
    let seed = seed.to_string();
    let mut environment = vec![
        ("LD_PRELOAD", library.as_os_str()),
        ("POWER_CUT_DIR", dir.as_os_str()),
        ("POWER_CUT_DISK", disk.as_os_str()),
        ("POWER_CUT_SEED", seed.as_ref()),
    ];
    if !syncs {
        environment.push(("POWER_CUT_NO_SYNC", "1".as_ref()));
    }
    let node = Node::spawn_with(&live, &["run"], &[], &environment);
    node.wait_ready();
    node.query("CREATE DATABASE d").expect("a database");
    node.query(
        "CREATE TABLE d.t (client INT, n INT, filler CHAR(200), PRIMARY KEY (client, n), KEY (filler))",
    )
    .expect("a table");
    let stop = Arc::new(AtomicBool::new(false));
    let total = Arc::new(AtomicU64::new(0));
    let acknowledged: Vec<Arc<Mutex<u64>>> = (0..CLIENTS).map(|_| Arc::default()).collect();
    let writers: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (file, stop, total) = (node.client_file(), stop.clone(), total.clone());
            let told = acknowledged[client as usize].clone();
            std::thread::spawn(move || {
                let mut connection =
                    MysqlClient::open(&file, Some("d".into()), "test").expect("a connection");
                for n in 1.. {
                    let sql = format!("INSERT INTO t VALUES ({client}, {n}, REPEAT('{n} ', 20))");
                    match connection.run(&sql) {
                        Ok(Ok(_)) => *told.lock().expect("no panic") = n,
                        _ => return,
                    }
                    total.fetch_add(1, Ordering::Relaxed);
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            })
        })
        .collect();
    eventually("enough commits", || (total.load(Ordering::Relaxed) >= COMMITS_MIN).then_some(()));
    std::thread::sleep(Duration::from_millis(seed.len() as u64 * 7));
    node.kill();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().expect("no panic");
    }
    // The load is over, but what was told before the cut is what counts.
    let told = acknowledged.iter().map(|n| *n.lock().expect("no panic")).collect();
    (disk.join("live"), told)
}

#[test]
fn every_acknowledged_commit_survives_a_power_cut() {
    let temp = tempfile::tempdir().expect("a directory");
    let library = library(temp.path());
    for seed in [1, 20, 300] {
        let dir = temp.path().join(format!("round{seed}"));
        std::fs::create_dir(&dir).expect("a directory");
        let (disk, told) = cut(&dir, &library, seed, true);
        let node = Node::start(&disk, &[]);
        for (client, last) in told.iter().enumerate() {
            let sql = format!("SELECT COUNT(*) FROM d.t WHERE client = {client} AND n <= {last}");
            assert_eq!(
                node.query(&sql).expect("a count"),
                [[last.to_string()]],
                "round {seed}, client {client}"
            );
            // At most the commit that was on its way, and nothing beyond it.
            let sql = format!("SELECT COUNT(*) FROM d.t WHERE client = {client} AND n > {}", last + 1);
            assert_eq!(node.query(&sql).expect("a count"), [["0"]]);
        }
        node.query("INSERT INTO d.t VALUES (99, 1, 'after')").expect("it writes on");
        assert!(node.stop());
        assert!(run_ok(&disk, &["verify"]).contains("as the log says"));
    }
}

/// After a sync that failed nobody knows what the disk holds, and another one may succeed without having written anything:
/// the node writes no more and says so, and what it had acknowledged before is there at the next start.
#[test]
fn a_disk_that_refuses_a_sync_ends_all_writing() {
    let temp = tempfile::tempdir().expect("a directory");
    let library = library(temp.path());
    let (live, disk, fail) = (temp.path().join("live"), temp.path().join("disk"), temp.path().join("fail"));
    std::fs::create_dir(&disk).expect("a directory");
    let environment = [
        ("LD_PRELOAD", library.as_os_str()),
        ("POWER_CUT_DIR", temp.path().as_os_str()),
        ("POWER_CUT_DISK", disk.as_os_str()),
        ("POWER_CUT_FAIL", fail.as_os_str()),
    ];
    let node = Node::spawn_with(&live, &["run"], &[], &environment);
    node.wait_ready();
    node.query("CREATE DATABASE d").expect("a database");
    node.query("CREATE TABLE d.t (n INT PRIMARY KEY)").expect("a table");
    node.query("INSERT INTO d.t VALUES (1)").expect("the disk works");
    std::fs::write(&fail, "").expect("a file");
    node.query("INSERT INTO d.t VALUES (2)").expect_err("the sync fails");
    std::fs::remove_file(&fail).expect("it works again");
    let error = node.query("INSERT INTO d.t VALUES (3)").expect_err("but nobody trusts it");
    assert!(error.code == 1290 && error.to_string().contains("look after the disk"), "{error}");
    assert!(node.log().contains("could not be synced"), "{}", node.log());
    assert_eq!(node.query("SELECT 1").expect("reads go on"), [["1"]]);
    assert_eq!(http_get(&node, "/readyz", None).0, 503);
    assert!(node.status().refuses_writes.is_some());
    node.kill();
    let node = Node::start(&disk.join("live"), &[]);
    assert_eq!(node.query("SELECT n FROM d.t").expect("rows"), [["1"]]);
    node.query("INSERT INTO d.t VALUES (3)").expect("it writes on");
    assert!(node.stop());
    assert!(run_ok(&disk.join("live"), &["verify"]).contains("as the log says"));
}

#[test]
fn without_syncs_the_same_cut_loses_commits() {
    let temp = tempfile::tempdir().expect("a directory");
    let library = library(temp.path());
    let (disk, told) = cut(temp.path(), &library, 1, false);
    let told: u64 = told.iter().sum();
    assert!(told >= COMMITS_MIN - CLIENTS);
    // What is left may not even be a database; if it is one, it lacks commits.
    let node = Node::spawn(&disk, &["run"], &[]);
    let mut held = None;
    let ended = eventually("it starts, or says why not", || {
        let client = node.try_admin();
        let said = client.and_then(|c| c.get::<p2pdb_node::admin::StatusReport>("status").ok());
        if said.is_some_and(|s| s.ready) {
            held =
                Some(node.query("SELECT COUNT(*) FROM d.t").map_or(0, |r| r[0][0].parse().expect("a count")));
            return Some(false);
        }
        node.log().contains("p2pdb-node: ").then_some(true)
    });
    assert!(
        ended || held.is_some_and(|held: u64| held < told),
        "{held:?} of {told} commits are there without a sync"
    );
}
