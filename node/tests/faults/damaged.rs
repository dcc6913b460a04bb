//! Blocks that a disk has changed: who reads them is told, and so is who waits for them.

use crate::common::*;

#[test]
fn who_joins_from_a_node_with_a_damaged_block_is_told_and_goes_on_when_it_is_mended() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("a");
    let a = Node::with_a_text(&dir);
    assert!(a.stop());
    let whole = std::fs::read(dir.join("realm.db")).expect("read");
    flip(&dir, EASY_TO_FIND);
    let a = Node::start(&dir, &[]);
    let ticket = a.ticket("writer", 2);

    let b = temp.path().join("b");
    let joins = Node::spawn(&b, &["join", &ticket, "--no-run"], &[]);
    assert!(!joins.wait_end().success());
    let log = std::fs::read_to_string(b.with_extension("log")).expect("a log");
    for said in
        ["admitted, but the log does not come", "block ", "of the log is damaged", "hint: mend that node"]
    {
        assert!(log.contains(said), "{said} is not in\n{log}");
    }
    assert_eq!(log.matches("a peer cannot give all that it holds").count(), 1, "once: {log}");
    // One that was told to run goes on asking, and says what it waits for.
    let c = Node::spawn(&temp.path().join("c"), &["join", &ticket], &[]);
    eventually("it says why it is not ready", || {
        c.status().reasons.iter().any(|r| r.contains("of the log is damaged")).then_some(())
    });
    assert!(a.stop());
    // What was written since is in the log, too: only the damaged byte is put back.
    let mut bytes = std::fs::read(dir.join("realm.db")).expect("read");
    let needle = EASY_TO_FIND.as_bytes();
    let at = whole.windows(needle.len()).position(|w| w == needle).expect("it was there");
    bytes[at] = whole[at];
    std::fs::write(dir.join("realm.db"), bytes).expect("written");
    let a = Node::start(&dir, &["--bootstrap", &c.status().listening[0]]);
    wait_equal(&[&a, &c]);
    assert_eq!(c.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["1"]]);
    assert!(a.stop() && c.stop());
}

#[test]
fn what_verify_finds_in_a_running_node_is_told_to_everybody() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("a");
    let a = Node::with_a_text(&dir);
    assert!(run_ok(&dir, &["verify"]).contains("as the log says"));
    assert!(a.status().warnings.is_empty());
    assert!(a.stop());
    flip(&dir, EASY_TO_FIND);
    let a = Node::start(&dir, &[]);
    assert!(a.status().warnings.is_empty(), "nobody has read it");
    run_err(&dir, &["verify"]);
    let found = "verify has found damage";
    assert!(a.status().warnings.iter().any(|w| w.contains(found)));
    assert!(http_get(&a, "/readyz", None).1.contains(found));
    assert!(a.log().lines().any(|l| l.contains("ERROR") && l.contains(found)), "{}", a.log());
    assert!(a.stop());
}

#[test]
fn a_damaged_change_of_the_schema_or_of_an_account_stops_the_start_and_is_named() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    node.query("CREATE DATABASE d").expect("a database");
    node.query("CREATE TABLE d.t (easily_found INT PRIMARY KEY, x INT)").expect("a table");
    node.query("CREATE USER somebody_easily_seen IDENTIFIED BY 'x'").expect("a user");
    node.query("INSERT INTO d.t VALUES (1, 2)").expect("a row");
    assert!(node.stop());
    let path = dir.join("realm.db");
    let whole = std::fs::read(&path).expect("read");
    for name in ["easily_found", "somebody_easily_seen"] {
        // Still a name, only another one.
        flip(&dir, name);
        let error = run_err(
            &dir,
            &["run", "--mysql-listen", "127.0.0.1:0", "--http-listen", "off", "--mdns", "false"],
        );
        assert!(
            error.contains("cannot open the store") && error.contains("of the log is damaged"),
            "{error}"
        );
        assert!(error.contains("p2pdb-node verify") && error.contains("restore a backup"), "{error}");
        let block =
            error.split("block ").nth(1).and_then(|t| t.split(' ').next()).expect("a number").to_owned();
        let output = run(&dir, &["verify"]);
        let found = text(&output.stdout);
        assert!(!output.status.success() && found.contains(&format!("body {block}")), "{block}: {found}");
        std::fs::write(&path, &whole).expect("written");
    }
    assert!(Node::start(&dir, &[]).stop());
}
