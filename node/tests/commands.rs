//! Commands on a stopped and on a running node.

mod common;

use common::*;
use rustix::process::{Pid, Signal, kill_process};

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
    let error = run_err(&dir, &["sql", "-e", "SELECT 1"]);
    assert!(error.contains("no node runs in"), "another may listen where this one did: {error}");
    let file = dir.join("client.cnf");
    let file = file.to_str().expect("a path");
    let error = run_err(&dir, &["sql", "--defaults-file", file, "-e", "SELECT 1"]);
    assert!(error.contains("is the node running?"), "{error}");

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
    node.query("CREATE TABLE d.t (id INT PRIMARY KEY, UNIQUE KEY ((id * 2)))").expect("a table");
    node.query("INSERT INTO d.t VALUES (1)").expect("a row");
    assert!(run_ok(&dir, &["export", &path("log.car")]).contains("blocks"));
    assert!(run_err(&dir, &["export", &path("log.car")]).contains("exists already"));
    assert!(run_ok(&dir, &["backup", &path("backup")]).contains("keep it like a password"));
    let report = run_ok(&dir, &["backup", &path("again"), "--json"]);
    assert!(report.contains("bytes") && !report.contains("blocks"), "they are not counted: {report}");
    assert!(run_ok(&dir, &["verify"]).contains("as the log says"));
    node.query("INSERT INTO d.t VALUES (2)").expect("a row");
    let after = node.status().fingerprint;
    assert!(run_ok(&dir, &["export", &path("later.car")]).contains("blocks"));
    assert!(run_ok(&dir, &["import", &path("log.car")]).contains(": 0 new, "));
    std::fs::write(path("junk.car"), "no CAR file").expect("write");
    for name in ["junk.car", "none.car"] {
        assert!(run_err(&dir, &["import", &path(name)]).contains(&path(name)), "running: {name}");
    }
    assert!(node.stop());

    assert!(run_err(&dir, &["import", &path("junk.car")]).contains(&path("junk.car")), "stopped");
    let restored = temp.path().join("restored");
    for (name, why) in [("nowhere", "there is no"), ("log.car", "a directory"), ("", "holds no node.key")] {
        let error = run_err(&restored, &["restore", &path(name)]);
        assert!(error.contains(why) && !restored.exists(), "{error}");
    }
    // The directory of a node that was killed: what it wrote last is not in the file.
    let killed = temp.path().join("killed");
    Node::start(&killed, &[]).kill();
    let error = run_err(&restored, &["restore", &path("killed")]);
    assert!(error.contains("runs or was killed") && !restored.exists(), "{error}");
    run_ok(&restored, &["restore", &path("backup")]);
    assert!(run_err(&restored, &["restore", &path("backup")]).contains("already holds a node"));
    assert!(run_ok(&restored, &["verify"]).contains("as the log says"));
    let out = run_ok(&restored, &["import", &path("later.car")]);
    assert!(out.contains("block") && !out.contains(": 0 new"), "{out}");
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
    assert!(Node::with_a_text(&dir).stop());
    flip(&dir, EASY_TO_FIND);
    let output = run(&dir, &["verify"]);
    assert!(!output.status.success());
    let out = text(&output.stdout);
    assert!(out.contains("FOUND"), "{out}\n{}", text(&output.stderr));
    let lines: std::collections::HashSet<&str> = out.lines().collect();
    assert_eq!(lines.len(), out.lines().count(), "each once: {out}");
    // Neither an export nor a backup takes the damage along.
    let target = |name: &str| temp.path().join(name).display().to_string();
    for command in ["export", "backup"] {
        let error = run_err(&dir, &[command, &target(command)]);
        assert!(error.contains("of the log is damaged") && error.contains("block "), "{error}");
        assert!(!temp.path().join(command).exists());
    }
    // A running node says so from the first try on.
    let node = Node::start(&dir, &[]);
    run_err(&dir, &["export", &target("export")]);
    let status = run_ok(&dir, &["status"]);
    assert!(status.contains("ALARM") && status.contains("of the log is damaged"), "{status}");
    assert!(node.stop());
}

#[test]
fn a_backup_with_a_damaged_or_lost_file_of_logins_and_keys_is_not_restored() {
    let temp = tempfile::tempdir().expect("a directory");
    let (dir, backup, restored) =
        (temp.path().join("node"), temp.path().join("backup"), temp.path().join("restored"));
    let node = Node::start(&dir, &[]);
    node.query("CREATE USER ann IDENTIFIED BY 'a password of ann'").expect("an account with a key");
    assert!(node.stop());
    run_ok(&dir, &["backup", &backup.display().to_string()]);
    for name in ["accounts.json", "logins.json", "keys.json"] {
        let whole = std::fs::read(backup.join(name)).expect("it is in the backup");
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() / 2], b""] {
            std::fs::write(backup.join(name), damaged).expect("written");
            let error = run_err(&restored, &["restore", &backup.display().to_string()]);
            assert!(error.contains("cannot restore") && error.contains(name), "{error}");
            assert!(!restored.join("node.key").exists() && !restored.join("realm.db").exists());
        }
        std::fs::write(backup.join(name), &whole).expect("written");
    }
    let logins = std::fs::read(backup.join("logins.json")).expect("it is in the backup");
    std::fs::remove_file(backup.join("logins.json")).expect("removed");
    let error = run_err(&restored, &["restore", &backup.display().to_string()]);
    assert!(error.contains("logins.json is missing"), "{error}");
    std::fs::write(backup.join("logins.json"), logins).expect("written");
    // As a restore of another backup leaves it that broke off, into the directory of a node that had lost something.
    for name in ["restoring", "admission.json", "lost.txt"] {
        std::fs::write(restored.join(name), "of another node").expect("written");
    }
    let said = run_ok(&restored, &["restore", &backup.display().to_string()]);
    assert!(said.contains("p2pdb-node verify"), "{said}");
    for name in ["restoring", "admission.json", "lost.txt"] {
        assert!(!restored.join(name).exists(), "{name}");
    }
    assert!(run_ok(&restored, &["verify"]).contains("as the log says"));
    assert!(Node::start(&restored, &[]).stop());
}

#[test]
fn a_backup_whose_key_or_log_is_damaged_is_not_restored() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::with_a_text(&dir);
    assert!(node.stop());
    let backup = temp.path().join("backup");
    run_ok(&dir, &["backup", &backup.display().to_string()]);
    let restored = temp.path().join("restored");
    let refused = |why: &str| {
        let error = run_err(&restored, &["restore", &backup.display().to_string()]);
        assert!(error.contains(why), "{error}");
        assert!(!restored.join("realm.db").exists() && !restored.join("node.key").exists());
    };
    let key = std::fs::read_to_string(backup.join("node.key")).expect("a key");
    let other = if key.starts_with('0') { "1" } else { "0" };
    std::fs::write(backup.join("node.key"), format!("{other}{}", &key[1..])).expect("write");
    refused("knows nothing of the node");
    // Whoever starts it now, a supervisor maybe, gets no empty realm in place of the backup.
    for command in [&["run"][..], &["init"], &["join", "--show-key"]] {
        let error = run_err(&restored, command);
        assert!(
            error.contains("a restore left that failed or broke off") && error.contains("hint:"),
            "{error}"
        );
        assert!(!restored.join("node.key").exists() && !restored.join("joining.key").exists());
    }
    std::fs::write(backup.join("node.key"), key).expect("write");
    let path = backup.join("realm.db");
    let whole = std::fs::read(&path).expect("read");
    let needle = EASY_TO_FIND.as_bytes();
    let places: Vec<_> =
        (0..whole.len() - needle.len()).filter(|i| whole[*i..].starts_with(needle)).collect();
    assert!(places.len() >= 2, "in the log and in the table");
    let mut bytes = whole.clone();
    places.iter().for_each(|at| bytes[*at] ^= 1);
    std::fs::write(&path, bytes).expect("write");
    refused("of the log is damaged");
    std::fs::write(&path, whole).expect("write");
    run_ok(&restored, &["restore", &backup.display().to_string()]);
    // A store whose key was lost is not what a restore has left.
    let key = std::fs::read(restored.join("node.key")).expect("a key");
    std::fs::remove_file(restored.join("node.key")).expect("removed");
    for _ in 0..2 {
        let error = run_err(&restored, &["restore", &backup.display().to_string()]);
        assert!(error.contains("exists and is not overwritten"), "{error}");
    }
    std::fs::write(restored.join("node.key"), key).expect("written");
    assert!(run_ok(&restored, &["verify"]).contains("as the log says"));
    // One that was killed when the store was there and the node's key was not.
    std::fs::remove_file(restored.join("node.key")).expect("removed");
    std::fs::write(restored.join("restoring"), "").expect("written");
    std::fs::write(restored.join("realm.db.part"), "a beginning").expect("written");
    assert!(run_err(&restored, &["run"]).contains("a restore left that failed or broke off"));
    run_ok(&restored, &["restore", &backup.display().to_string()]);
    assert!(!restored.join("restoring").exists() && !restored.join("realm.db.part").exists());
    let node = Node::start(&restored, &[]);
    assert_eq!(node.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["1"]]);
    assert!(node.stop());
}

#[test]
fn a_password_is_changed_and_a_lost_client_file_comes_back() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    let before = node.client_file();
    let out = run_ok(&dir, &["password"]);
    let after = node.client_file();
    assert_ne!(before.password, after.password);
    assert!(out.contains(&format!("account  root, password {} ", after.password)), "{out}");
    assert_eq!((&before.host, before.port), (&after.host, after.port));
    assert_eq!(node.query("SELECT 1").expect("the new one"), [["1"]]);
    let old = p2pdb_node::client_file::ClientFile { password: before.password, ..after };
    let refused = p2pdb_node::mysql_client::MysqlClient::open(&old, None, "test");
    assert!(refused.is_err(), "the old one is no longer taken");
    assert!(run_err(&dir, &["password", "nobody"]).contains("no login 'nobody'"));
    assert!(node.stop());

    // Stopped, from standard input, with the file lost.
    let file = dir.join("client.cnf");
    std::fs::remove_file(&file).expect("removed");
    let node = Node::start(&dir, &[]);
    assert!(node.log().contains("p2pdb-node password --data-dir"), "{}", node.log());
    assert_eq!(node.log().matches("client.cnf is missing; put it back from a backup").count(), 1);
    assert!(!file.exists());
    assert!(node.stop());
    let mut child = program()
        .args(["password", "--stdin", "--data-dir"])
        .arg(&dir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let word = r#"a "quoted" #word\ of its own"#;
    std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), format!("{word}\nmore\n").as_bytes())
        .expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && !text(&output.stdout).contains("quoted"), "{output:?}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let node = Node::start(&dir, &[]);
    assert_eq!(node.client_file().password, word);
    assert_eq!(node.query("SELECT 2").expect("it holds"), [["2"]]);
    // Other clients read the file the same way.
    let mariadb = std::process::Command::new("mariadb")
        .arg(format!("--defaults-file={}", file.display()))
        .args(["-N", "-e", "SELECT 3"])
        .output()
        .expect("the mariadb client is there: scripts/test installs it");
    assert_eq!(text(&mariadb.stdout), "3\n", "{}", text(&mariadb.stderr));
}

#[test]
fn an_invitation_gives_the_ticket_alone_and_says_the_rest_beside_it() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    run_ok(&dir, &["init", "--node-name", "one"]);
    for (flag, wrong) in [
        ("--expires", "3"),
        ("--expires", "5x"),
        ("--expires", "soon"),
        ("--role", "god"),
        ("--uses", "0"),
        ("--node", "ab"),
        ("--address", "here"),
        ("--mysql-listen", "abc"),
    ] {
        let output = run(&dir, &["invite", flag, wrong]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "a wrong command line: {error}");
        assert!(error.contains(flag) && error.contains(&format!("'{wrong}'")), "{error}");
    }
    // A stopped node whose ports are not known: nobody could find it.
    let output = run(&dir, &["invite", "--role", "reader", "--uses", "2", "--expires", "3d"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(out.starts_with("p2pdb-ticket-") && out.lines().count() == 1, "{out}");
    for part in ["reader", "2 nodes", "UTC", "WARNING", "p2pdb-node join TICKET"] {
        assert!(err.contains(part), "{part} is not in\n{err}");
    }
    let node = Node::start(&dir, &[]);
    let output = run(&dir, &["invite"]);
    let err = text(&output.stderr);
    assert!(err.contains("writer") && err.contains("1 node\n") && !err.contains("WARNING"), "{err}");
    let log = run_ok(&dir, &["log", "--limit", "2"]);
    assert!(log.contains("2 newest blocks") && log.contains("--limit N"), "{log}");
    assert!(!run_ok(&dir, &["log"]).contains("--limit"), "all are shown");
    assert!(node.stop());
}

#[test]
fn ctrl_c_stops_the_statement_at_the_node_and_what_is_typed_ahead_is_kept() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    let sleeping = || {
        let sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP(600)%'";
        node.query(sql).expect("an answer")[0][0].clone()
    };
    let begin = || {
        let client = std::process::Command::new(env!("CARGO_BIN_EXE_p2pdb-node"))
            .args(["sql", "-e", "SELECT SLEEP(600); CREATE DATABASE never", "--data-dir"])
            .arg(&dir)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the program starts");
        eventually("it sleeps", || (sleeping() == "1").then_some(()));
        let pid = Pid::from_child(&client);
        (client, move || kill_process(pid, Signal::INT).expect("sent"))
    };
    let (waits, ctrl_c) = begin();
    ctrl_c();
    let output = waits.wait_with_output().expect("it ends");
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains("interrupted"), "{error}");
    assert_eq!(sleeping(), "0");
    assert!(node.query("USE never").is_err(), "what stood behind it has run");

    // A node that does not answer holds up nobody who presses it again.
    let (mut waits, ctrl_c) = begin();
    let hangs = Pid::from_raw(i32::try_from(node.pid()).expect("an id")).expect("an id");
    kill_process(hangs, Signal::STOP).expect("sent");
    ctrl_c();
    let mut told = std::io::BufReader::new(waits.stderr.take().expect("a pipe"));
    std::io::BufRead::read_line(&mut told, &mut String::new()).expect("it says that it asks");
    ctrl_c();
    let status = eventually("it leaves", || waits.try_wait().expect("its status"));
    kill_process(hangs, Signal::CONT).expect("sent");
    assert_eq!(status.code(), Some(130));

    // `script` gives it a terminal; it is typed at once, while the first statement waits.
    let command = format!("{} sql --data-dir {}", env!("CARGO_BIN_EXE_p2pdb-node"), dir.display());
    let mut terminal = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("script is there: util-linux has it");
    let typed = b"SELECT SLEEP(1);\nSELECT 'first';\nSELECT 'second' FROM dual;\n\\q\n";
    std::io::Write::write_all(&mut terminal.stdin.take().expect("a pipe"), typed).expect("typed");
    let output = terminal.wait_with_output().expect("it ends");
    let history = std::fs::read_to_string(dir.join("sql_history")).expect("a history");
    for statement in ["SELECT SLEEP(1);", "SELECT 'first';", "SELECT 'second' FROM dual;"] {
        assert!(history.contains(statement), "{history}\n{}", text(&output.stdout));
    }
}

#[test]
fn the_client_of_the_node_encrypts_and_takes_statements_as_they_come() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &["--mysql-tls", "required"]);
    let version = run_ok(&dir, &["sql", "-e", "SHOW STATUS LIKE 'Ssl_version'"]);
    assert!(version.contains("TLSv1"), "{version}");
    let mut client = std::process::Command::new(env!("CARGO_BIN_EXE_p2pdb-node"))
        .args(["sql", "--data-dir"])
        .arg(&dir)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (mut typed, shown) = (client.stdin.take().expect("a pipe"), client.stdout.take().expect("a pipe"));
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(shown));
    let mut next = || lines.next().expect("a line").expect("text");
    std::io::Write::write_all(&mut typed, b"SELECT 'at once';\n").expect("taken");
    assert_eq!((next(), next()), ("at once".to_owned(), "at once".to_owned()), "the pipe is still open");
    let rest = b"SELECT HEX(_binary '\xff;\xfe') AS h;\nquit\nSELECT never;";
    std::io::Write::write_all(&mut typed, rest).expect("taken");
    drop(typed);
    assert_eq!((next(), next()), ("h".to_owned(), "FF3BFE".to_owned()));
    assert!(client.wait().expect("it ends").success());
    // A certificate that is not the node's: somebody else may have its port.
    let other = p2pdb_node::datadir::DataDir::at(temp.path().join("other"));
    p2pdb_node::door::tls::acceptor(&other, "other").expect("a certificate");
    std::fs::copy(other.path("tls/cert.pem"), dir.join("tls/cert.pem")).expect("copied");
    let error = run_err(&dir, &["sql", "-e", "SELECT 1"]);
    assert!(error.contains("the certificate is not the one in tls/cert.pem"), "{error}");
    assert!(node.stop());
}
