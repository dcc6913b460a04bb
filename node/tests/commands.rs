//! Commands on a stopped and on a running node.

mod common;

use common::*;

#[test]
fn init_sql_and_status_work_from_the_command_line() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    // A port at which nobody listens, also where a MySQL or another node runs.
    let out = run_ok(&dir, &["init", "--realm-name", "shop", "--mysql-listen", "127.0.0.1:1"]);
    assert!(out.contains("password"), "{out}");
    let error = run_err(&dir, &["init"]);
    assert!(error.contains("already holds a node"), "{error}");
    assert!(run_ok(&dir, &["status"]).contains("stopped"));
    assert!(run_err(&dir, &["sql", "-e", "SELECT 1"]).contains("is the node running?"));

    let node = Node::start(&dir, &[]);
    let out = run_ok(&dir, &["sql", "-e", "SELECT 1 AS one, 'x' AS t; SELECT NULL AS n"]);
    assert_eq!(out, "one\tt\n1\tx\nn\nNULL\n");
    let out = run_ok(&dir, &["sql", "--json", "-e", "SELECT 1 AS one, 'x' AS t"]);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value, serde_json::json!({ "columns": ["one", "t"], "rows": [[1, "x"]] }));
    let error = run_err(&dir, &["sql", "-e", "SELECT * FROM nowhere.t"]);
    assert!(error.contains("ERROR 1"), "{error}");
    for command in ["status", "members", "log"] {
        let out = run_ok(&dir, &[command, "--json"]);
        serde_json::from_str::<serde_json::Value>(&out).unwrap_or_else(|e| panic!("{command}: {e}\n{out}"));
    }
    assert!(node.stop());
}

#[test]
fn an_export_and_a_backup_of_a_running_node_can_be_used() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let path = |name: &str| temp.path().join(name).to_str().expect("a path").to_owned();
    let node = Node::start(&dir, &[]);
    node.query("CREATE DATABASE d").expect("a database");
    node.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    node.query("INSERT INTO d.t VALUES (1)").expect("a row");
    assert!(run_ok(&dir, &["export", &path("log.car")]).contains("blocks"));
    assert!(run_err(&dir, &["export", &path("log.car")]).contains("exists already"));
    assert!(run_ok(&dir, &["backup", &path("backup")]).contains("keep it like a password"));
    assert!(run_ok(&dir, &["verify"]).contains("as the log says"));
    node.query("INSERT INTO d.t VALUES (2)").expect("a row");
    let after = node.status().fingerprint;
    assert!(run_ok(&dir, &["export", &path("later.car")]).contains("blocks"));
    assert!(run_ok(&dir, &["import", &path("log.car")]).starts_with("0 blocks are new"));
    assert!(node.stop());

    let restored = temp.path().join("restored");
    run_ok(&restored, &["restore", &path("backup")]);
    assert!(run_err(&restored, &["restore", &path("backup")]).contains("already holds a node"));
    assert!(run_ok(&restored, &["verify"]).contains("as the log says"));
    let out = run_ok(&restored, &["import", &path("later.car")]);
    assert!(!out.starts_with("0 blocks"), "{out}");
    let node = Node::start(&restored, &[]);
    assert_eq!(node.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["2"]]);
    assert_eq!(node.status().fingerprint, after);
    node.query("INSERT INTO d.t VALUES (3)").expect("it writes on, on a new chain");
    assert!(node.stop());
    assert!(run_ok(&restored, &["verify"]).contains("as the log says"));
}

#[test]
fn verify_finds_a_flipped_bit() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    node.query("CREATE DATABASE d").expect("a database");
    node.query("CREATE TABLE d.t (id INT PRIMARY KEY, x VARCHAR(60))").expect("a table");
    node.query("INSERT INTO d.t VALUES (1, 'a text that is easy to find in the file')").expect("a row");
    assert!(node.stop());
    let path = dir.join("realm.db");
    let mut bytes = std::fs::read(&path).expect("read");
    let needle = b"a text that is easy to find";
    let at = bytes.windows(needle.len()).position(|w| w == needle).expect("the text is in the file");
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).expect("write");
    let output = run(&dir, &["verify"]);
    assert!(!output.status.success());
    let out = text(&output.stdout);
    assert!(out.contains("FOUND"), "{out}\n{}", text(&output.stderr));
}
