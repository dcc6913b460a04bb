//! A data directory that cannot be written, and files in it that are cut off or damaged: one clear message each, and no
//! start; or, where nothing is lost by it, a start that says so.

use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::common::*;
use crate::namespace;

/// No port is asked for that could be taken.
const RUN: [&str; 9] = [
    "run",
    "--mysql-listen",
    "127.0.0.1:0",
    "--http-listen",
    "127.0.0.1:0",
    "--peer-listen",
    "/ip4/127.0.0.1/tcp/0",
    "--mdns",
    "false",
];

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    namespace::run(&["--mount"], "data_dir::a_directory_that_cannot_be_written_is_named", || {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = temp.path().join("node");
        run_ok(&dir, &["init"]);
        let path = dir.display();
        namespace::ok(&format!("mount --bind {path} {path}"));
        namespace::ok(&format!("mount -o remount,bind,ro {path}"));
        let error = run_err(&dir, &RUN);
        assert!(error.contains("cannot use the data directory") && error.contains("--data-dir"), "{error}");
        assert_eq!(error.matches("hint:").count(), 1, "{error}");
        let error = run_err(&temp.path().join("node/below"), &["init"]);
        assert!(error.contains("cannot use the data directory"), "{error}");
        namespace::ok(&format!("mount -o remount,bind,rw {path}"));
        assert!(Node::start(&dir, &[]).stop(), "nothing was harmed");
    });
}

#[test]
fn a_node_on_a_disk_for_reading_can_be_asked() {
    namespace::run(&["--mount"], "data_dir::a_node_on_a_disk_for_reading_can_be_asked", || {
        let temp = tempfile::tempdir().expect("a directory");
        for (name, killed) in [("stopped", false), ("killed", true)] {
            let dir = temp.path().join(name);
            let node = Node::start(&dir, &[]);
            node.query("CREATE DATABASE d").expect("a database");
            node.query("CREATE TABLE d.t (id INT PRIMARY KEY, x INT, KEY (x))").expect("a table");
            node.query("INSERT INTO d.t VALUES (1, 2)").expect("a row");
            let held = node.status();
            if killed {
                node.kill();
                assert!(
                    dir.join("realm.db-wal").metadata().is_ok_and(|m| m.len() > 0),
                    "the row is in there"
                );
            } else {
                assert!(node.stop());
            }
            let path = dir.display();
            namespace::ok(&format!("mount --bind {path} {path}"));
            namespace::ok(&format!("mount -o remount,bind,ro {path}"));
            let status = run_ok(&dir, &["status", "--json"]);
            for part in [&held.frontier_digest, &held.fingerprint, &held.heads[0]] {
                assert!(status.contains(part.as_str()), "{name}: {part} is not in {status}");
            }
            assert!(run_ok(&dir, &["log"]).contains("INSERT d.t"), "{name}");
            assert!(run_ok(&dir, &["members"]).contains("owner"), "{name}");
            assert!(run_ok(&dir, &["verify"]).contains("as the log says"), "{name}");
            let to = |what: &str| temp.path().join(format!("{name}.{what}")).display().to_string();
            run_ok(&dir, &["export", &to("car")]);
            run_ok(&dir, &["backup", &to("backup")]);
            let error = run_err(&dir, &["invite"]);
            assert!(error.contains("cannot use the data directory"), "{error}");
            namespace::ok(&format!("mount -o remount,bind,rw {path}"));
            if killed {
                // That commits may be missing is told also where it cannot be noted.
                let wal = std::fs::read(dir.join("realm.db-wal")).expect("read");
                std::fs::write(dir.join("realm.db-wal"), "").expect("emptied");
                namespace::ok(&format!("mount -o remount,bind,ro {path}"));
                for _ in 0..2 {
                    let output = run(&dir, &["verify"]);
                    let said = text(&output.stdout);
                    assert!(output.status.code() == Some(1) && said.contains("may be missing"), "{output:?}");
                }
                namespace::ok(&format!("mount -o remount,bind,rw {path}"));
                std::fs::write(dir.join("realm.db-wal"), wal).expect("put back");
            }
            let node = Node::start(&dir, &[]);
            assert_eq!(node.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["1"]], "{name}");
            assert!(run_ok(&dir, &["import", &to("car")]).contains(": 0 new, "), "{name}");
            assert!(node.stop());
        }
    });
}

#[test]
fn files_that_can_be_done_without_stop_nothing_and_others_are_named() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    run_ok(&dir, &["init"]);
    std::fs::write(dir.join("peers.json"), "[\"/ip4/127.0").expect("written");
    let node = Node::start(&dir, &[]);
    let log = node.log();
    assert!(log.contains("without the addresses of peers") && log.contains("peers.json is damaged"), "{log}");
    assert!(node.stop());

    let path = dir.join("client.cnf");
    let good = std::fs::read_to_string(&path).expect("a client file");
    let cut = good.split("password").next().expect("a beginning");
    std::fs::write(&path, cut).expect("written");
    let node = Node::start(&dir, &[]);
    assert!(node.log().contains("client.cnf is damaged: there is no password in it"), "{}", node.log());
    assert!(node.stop());
    assert_eq!(std::fs::read_to_string(&path).expect("there"), cut, "it is left as it is");
    std::fs::write(&path, b"\xff\xfe").expect("written");
    for name in ["password.unseen", "admission.json"] {
        std::fs::write(dir.join(name), b"\xff\xfe").expect("written");
    }
    let node = Node::start(&dir, &[]);
    assert!(node.log().contains("admission.json is damaged"), "{}", node.log());
    assert!(node.log().contains("client.cnf is damaged; put it back"), "{}", node.log());
    assert!(node.stop());
    std::fs::write(&path, good).expect("written");

    let path = dir.join("p2pdb.toml");
    for text in ["mysql-listen = ", "mysql-listen = \"nowhere\"", "\u{0}\u{1}"] {
        std::fs::write(&path, text).expect("written");
        let error = run_err(&dir, &RUN[..1]);
        assert!(error.contains("p2pdb.toml"), "{text:?}: {error}");
    }
    std::fs::remove_file(&path).expect("removed");
    let node = Node::start(&dir, &[]);
    assert_eq!(node.query("SELECT 1").expect("the login holds"), [["1"]]);
    assert!(node.stop());
}

#[test]
fn damaged_keys_are_told_of_wherever_one_looks_and_are_in_no_login_s_way() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    node.query("CREATE USER ann IDENTIFIED BY 'geheim'").expect("a user");
    node.query("GRANT ALL ON d.* TO ann").expect("a grant");
    assert!(node.stop());
    let path = dir.join("keys.json");
    let good = std::fs::read(&path).expect("keys");
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    std::fs::write(&path, &bad).expect("written");
    assert!(run_ok(&dir, &["status"]).contains("keys.json is damaged"));
    let node = Node::start(&dir, &[]);
    let log = node.log();
    assert!(log.contains("keys.json is damaged") && log.contains("put the file back from a backup"), "{log}");
    let (code, body) = http_get(&node, "/readyz", None);
    assert!(code == 200 && body.contains("keys.json is damaged"), "clients are served: {code} {body}");
    let status = run_ok(&dir, &["status"]);
    assert!(status.contains("warning") && status.contains("no account is made"), "{status}");
    // The account's own node needs no key to write.
    let ann = p2pdb_node::client_file::ClientFile {
        user: "ann".to_owned(),
        password: "geheim".to_owned(),
        ..node.client_file()
    };
    let mut ann = p2pdb_node::mysql_client::MysqlClient::open(&ann, None, "test").expect("a login");
    query(&mut ann, "CREATE DATABASE d").expect("it writes");
    for statement in ["CREATE USER ben IDENTIFIED BY 'x'", "DROP USER ann"] {
        let error = node.query(statement).expect_err("no key can be kept");
        assert!(error.message.contains("keys.json is damaged"), "{statement}: {error}");
    }
    assert_eq!(std::fs::read(&path).expect("there"), bad, "it is left as it is");
    // Put back while it runs, it is taken.
    std::fs::write(&path, good).expect("written");
    node.query("CREATE USER ben IDENTIFIED BY 'x'").expect("a user");
    eventually("the warning is over", || node.status().warnings.is_empty().then_some(()));
    assert!(node.stop());
}

#[test]
fn a_damaged_write_ahead_log_gives_what_was_before_the_damage_and_peers_give_the_rest() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("a");
    let a = Node::start(&dir, &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY, x VARCHAR(200))").expect("a table");
    let b = Node::join(&temp.path().join("b"), &a.ticket("writer", 1), &[]);
    for n in 1..=60 {
        a.query(&format!("INSERT INTO d.t VALUES ({n}, REPEAT('x', 200))")).expect("a row");
    }
    wait_equal(&[&a, &b]);
    a.kill();
    let wal = dir.join("realm.db-wal");
    let good = std::fs::read(&wal).expect("there is one after a kill");
    let file = std::fs::read(dir.join("realm.db")).expect("a file");
    let index = std::fs::read(dir.join("realm.db-shm")).expect("left by a kill");
    let left = std::fs::read(dir.join("run.json")).expect("left by a kill");
    let synced = std::fs::read(dir.join("run.blocks")).expect("left by a kill");
    /// What is done to the file, given its length.
    type Damage = fn(&Path, u64);
    let lost = "acknowledged commits may be missing";
    let damage: [(&str, Damage); 6] = [
        ("nothing", |_, _| ()),
        ("cut off", |wal, length| {
            let file = std::fs::File::options().write(true).open(wal).expect("opened");
            file.set_len(length * 3 / 4 + 7).expect("cut off");
        }),
        ("a flipped bit", |wal, length| {
            let file = std::fs::File::options().read(true).write(true).open(wal).expect("opened");
            let mut byte = [0];
            file.read_exact_at(&mut byte, length * 3 / 4).expect("read");
            file.write_all_at(&[byte[0] ^ 1], length * 3 / 4).expect("written");
        }),
        ("a flipped bit in the header", |wal, _| {
            let file = std::fs::File::options().write(true).open(wal).expect("opened");
            file.write_all_at(&[0x55], 17).expect("written");
        }),
        ("empty", |wal, _| std::fs::write(wal, "").expect("emptied")),
        ("gone", |wal, _| std::fs::remove_file(wal).expect("removed")),
    ];
    let restore = || {
        std::fs::write(&wal, &good).expect("written");
        std::fs::write(dir.join("realm.db"), &file).expect("written");
        std::fs::write(dir.join("run.json"), &left).expect("written");
        std::fs::write(dir.join("run.blocks"), &synced).expect("written");
        std::fs::write(dir.join("realm.db-shm"), &index).expect("written");
        let _ = std::fs::remove_file(dir.join("lost.txt"));
    };
    for (what, damage) in damage {
        restore();
        damage(&wal, good.len() as u64);
        let told = what != "nothing";
        if told && what != "cut off" {
            // Who only looks recovers from the log, too. Of the one that is cut off the start is the first to look.
            let _ = run(&dir, &["status"]);
            let kept = std::fs::read_to_string(dir.join("lost.txt")).expect("a note");
            assert!(kept.contains(lost) && kept.contains("loss of power"), "{what}: {kept}");
        }
        // Alone: a beginning of what was there, as a whole, or a message.
        let alone = Node::spawn(&dir, &["run"], &["--mdns", "false"]);
        let up = eventually("it starts, or says why not", || {
            let client = alone.try_admin();
            let up = client.is_some_and(|c| c.get::<p2pdb_node::admin::StatusReport>("status").is_ok());
            (up || alone.log().contains("p2pdb-node: ")).then_some(up)
        });
        if !up {
            let log = alone.log();
            assert!(!alone.wait_end().success() && log.contains("cannot open the store"), "{what}: {log}");
            std::fs::remove_file(dir.with_extension("log")).expect("removed");
            continue;
        }
        let warnings = alone.status().warnings.join(" ");
        assert_eq!(warnings.contains(lost), told, "{what}: {warnings}");
        assert_eq!(http_get(&alone, "/readyz", None).1.contains(lost), told, "{what}");
        assert_eq!(alone.log().contains(lost), told, "{what}: {}", alone.log());
        alone.kill();
        std::fs::remove_file(dir.with_extension("log")).expect("removed");
        let output = run(&dir, &["verify"]);
        let report = text(&output.stdout);
        assert!(report.contains("as the log says"), "{what}: {report}");
        assert_eq!(report.contains("WARNING") && report.contains(lost), told, "{what}: {report}");
        let error = text(&output.stderr);
        let doubted = !output.status.success() && error.contains("acknowledged may be missing");
        assert_eq!(doubted, told, "{what}: {error}");
    }
    // With its peer again it gets back what it has lost, and goes on writing.
    restore();
    let cut = std::fs::File::options().write(true).open(&wal).expect("opened");
    cut.set_len(good.len() as u64 * 3 / 4 + 7).expect("cut off");
    let a = Node::start(&dir, &["--bootstrap", &b.status().listening[0]]);
    wait_equal(&[&a, &b]);
    assert_eq!(a.query("SELECT COUNT(*), MAX(id) FROM d.t").expect("a count"), [["60", "60"]]);
    eventually("it writes again", || a.query("INSERT INTO d.t VALUES (61, 'after')").ok());
    wait_equal(&[&a, &b]);
    assert!(a.stop() && b.stop());
    // That they are back is for a person to say.
    std::fs::remove_file(dir.join("lost.txt")).expect("a note");
    for name in ["a", "b"] {
        assert!(run_ok(&temp.path().join(name), &["verify"]).contains("as the log says"));
    }
}

/// `sqlite3` recovers from the log of a node that was killed, and removes it; a copy of a running node's directory is of several
/// moments. Neither is an alarm where all blocks that were synced are there, and both are where one is missing.
#[test]
fn a_log_that_is_not_as_it_was_left_is_no_alarm_where_every_synced_block_is_there() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let lost = "acknowledged commits may be missing";
    let files = ["run.json", "run.blocks", "realm.db", "realm.db-wal", "realm.db-shm"];
    let node = Node::start(&dir, &[]);
    node.query("CREATE DATABASE d").expect("a database");
    node.query("CREATE TABLE d.t (id INT PRIMARY KEY)").expect("a table");
    for n in 1..=20 {
        node.query(&format!("INSERT INTO d.t VALUES ({n})")).expect("a row");
    }
    let backup = temp.path().join("backup").display().to_string();
    run_ok(&dir, &["backup", &backup]);
    // Copies of what is written meanwhile: the number of blocks, or the log itself, is the older one.
    let copied = |name: &str, first: &[&str], then: &[&str], row: u32| {
        let copy = temp.path().join(name);
        std::fs::create_dir(&copy).expect("a directory");
        let take = |name: &str| {
            std::fs::copy(dir.join(name), copy.join(name)).expect("copied");
        };
        ["node.key", "accounts.json", "logins.json"].iter().chain(first).for_each(|name| take(name));
        node.query(&format!("INSERT INTO d.t VALUES ({row})")).expect("a row");
        then.iter().for_each(|name| take(name));
        copy
    };
    let whole = copied("whole", &files[..4], &files[4..], 21);
    let behind = copied("behind", &files[2..4], &["run.json", "run.blocks"], 22);
    let output = run(&whole, &["verify"]);
    assert!(output.status.success() && !text(&output.stdout).contains("WARNING"), "{output:?}");
    assert!(!whole.join("lost.txt").exists());
    node.kill();

    let left: Vec<(&str, Vec<u8>)> =
        files.iter().map(|name| (*name, std::fs::read(dir.join(name)).expect("left by a kill"))).collect();
    let restore = || {
        for (name, bytes) in &left {
            std::fs::write(dir.join(name), bytes).expect("written");
        }
    };
    let db = rusqlite::Connection::open(dir.join("realm.db")).expect("opened");
    db.query_row("SELECT COUNT(*) FROM sqlite_schema", (), |_| Ok(())).expect("read");
    db.close().expect("closed");
    assert!(!dir.join("realm.db-wal").exists(), "it is removed with the last connection");
    let output = run(&dir, &["verify"]);
    assert!(output.status.success() && !text(&output.stdout).contains("WARNING"), "{output:?}");
    assert!(text(&output.stderr).contains("holds all"), "it is told all the same: {output:?}");
    let node = Node::start(&dir, &[]);
    assert_eq!(node.query("SELECT COUNT(*) FROM d.t").expect("a count"), [["22"]]);
    assert_eq!(node.status().warnings, Vec::<String>::new());
    assert!(node.stop());
    assert!(!dir.join("run.blocks").exists(), "it is of a running node");

    // The same without the log, and with less of the number: it may be missing.
    type Damage = fn(&Path);
    let damage: [(&str, Damage); 3] = [
        ("the log is gone", |dir| {
            std::fs::remove_file(dir.join("realm.db-wal")).expect("removed");
            std::fs::remove_file(dir.join("realm.db-shm")).expect("removed");
        }),
        ("the log is empty", |dir| std::fs::write(dir.join("realm.db-wal"), "").expect("emptied")),
        ("nothing says how many there were", |dir| {
            let db = rusqlite::Connection::open(dir.join("realm.db")).expect("opened");
            db.query_row("SELECT COUNT(*) FROM sqlite_schema", (), |_| Ok(())).expect("read");
            db.close().expect("closed");
            std::fs::remove_file(dir.join("run.blocks")).expect("removed");
        }),
    ];
    for (what, damage) in damage {
        restore();
        damage(&dir);
        let output = run(&dir, &["verify"]);
        assert!(!output.status.success() && text(&output.stdout).contains(lost), "{what}: {output:?}");
        std::fs::remove_file(dir.join("lost.txt")).expect("there");
    }
    // A backup holds what it holds, also where the number of a store that was there before is left.
    restore();
    for name in ["node.key", "realm.db"] {
        std::fs::remove_file(dir.join(name)).expect("removed");
    }
    // The log of that store would be taken for the new one's.
    assert!(run_err(&dir, &["restore", &backup]).contains("realm.db-wal exists and is not overwritten"));
    assert!(run_err(&dir, &["init"]).contains("realm.db-wal exists, but there is no node.key"));
    std::fs::remove_file(dir.join("realm.db-wal")).expect("removed");
    run_ok(&dir, &["restore", &backup]);
    let output = run(&dir, &["verify"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // Nothing of the copy's log shows that it is too short.
    let output = run(&behind, &["verify"]);
    let said = text(&output.stdout);
    assert!(
        !output.status.success() && said.contains(lost) && said.contains("blocks that were synced"),
        "{said}"
    );
}

#[test]
fn a_damaged_database_file_is_found_by_verify_and_never_read_as_if_whole() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    node.query("CREATE DATABASE d").expect("a database");
    node.query("CREATE TABLE d.t (id INT PRIMARY KEY, x VARCHAR(2000))").expect("a table");
    let rows: Vec<String> = (0..300).map(|n| format!("({n}, REPEAT('{n:04}', 400))")).collect();
    node.query(&format!("INSERT INTO d.t VALUES {}", rows.join(","))).expect("rows");
    assert!(node.stop());
    let path = dir.join("realm.db");
    let good = std::fs::read(&path).expect("a file");
    assert!(!dir.join("realm.db-wal").exists(), "a clean stop leaves all in one file");
    // A page in the middle, one of the table's rows among them; and the file's second half gone.
    let mut page = good.clone();
    let at = good.len() / 2 / 4096 * 4096;
    page[at..at + 4096].fill(0x5a);
    let cut = |length: usize| good[..length].to_vec();
    let over = |at: usize| {
        let mut bad = good.clone();
        bad[at..at + 16].fill(0x5a);
        bad
    };
    let half = cut(good.len() / 2);
    for bad in [page, half, cut(100), cut(4096), cut(good.len() - 4096), over(0), over(18), over(100)] {
        std::fs::write(&path, bad).expect("written");
        let output = run(&dir, &["verify"]);
        let (found, said) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.code() == Some(1) && found.contains("FOUND  "), "{found}{said}");
        assert!(!said.contains("panicked") && said.contains("this node's data is damaged"), "{found}{said}");
        let json = text(&run(&dir, &["verify", "--json"]).stdout);
        assert!(json.contains("\"clean\": false"), "{json}");
    }
    std::fs::write(&path, good).expect("written");
    assert!(run_ok(&dir, &["verify"]).contains("as the log says"));
}
