//! Accounts of a running node: who logs in, with what, and what the node keeps of it.

mod common;

use std::os::unix::fs::PermissionsExt;

use common::*;
use p2pdb_node::mysql_client::MysqlClient;

fn login(node: &Node, user: &str, password: &str) -> Result<MysqlClient, String> {
    let file = p2pdb_node::client_file::ClientFile {
        user: user.to_owned(),
        password: password.to_owned(),
        ..node.client_file()
    };
    MysqlClient::open(&file, None, "test").map_err(|e| format!("{e:#}"))
}

#[test]
fn users_log_in_with_their_passwords_and_their_keys_are_locked_with_them() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = temp.path().join("node");
    let node = Node::start(&dir, &[]);
    let mut root = node.client(None);
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.till (id INT PRIMARY KEY, sum INT)",
        "CREATE USER ann IDENTIFIED BY 'first', bob@'10.%' IDENTIFIED BY 'x', nobody",
        "GRANT SELECT, INSERT ON shop.* TO ann",
    ] {
        query(&mut root, sql).expect(sql);
    }
    let mut ann = login(&node, "ann", "first").expect("a login");
    assert_eq!(query(&mut ann, "SELECT CURRENT_USER()").expect("a row"), [["ann@%"]]);
    query(&mut ann, "INSERT INTO shop.till VALUES (1, 10)").expect("granted");
    assert_eq!(query(&mut ann, "DELETE FROM shop.till").expect_err("not granted").code, 1142);
    assert!(login(&node, "ann", "second").err().expect("wrong").contains("1045"));
    assert!(login(&node, "bob", "x").err().expect("from elsewhere").contains("1045"));
    assert!(login(&node, "nobody", "").is_ok(), "it has no password");

    assert_eq!(query(&mut ann, "SET PASSWORD = 'second' REPLACE 'wrong'").expect_err("wrong").code, 3891);
    query(&mut ann, "SET PASSWORD = 'second' REPLACE 'first'").expect("changed");
    assert!(login(&node, "ann", "first").is_err());
    query(&mut root, "RENAME USER ann TO anna").expect("renamed");
    assert!(login(&node, "ann", "second").is_err());
    assert!(login(&node, "anna", "second").is_ok());

    let keys = dir.join("keys.json");
    assert_eq!(std::fs::metadata(&keys).expect("there").permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&keys).expect("readable");
    assert!(text.contains("anna") && text.contains("argon2id") && !text.contains("second"), "{text}");
    assert!(!node.log().contains("second"), "no password is logged");

    drop((root, ann));
    assert!(node.stop());
    let node = Node::start(&dir, &[]);
    let mut anna = login(&node, "anna", "second").expect("a login after a restart");
    assert_eq!(query(&mut anna, "SELECT * FROM shop.till").expect("granted"), [["1", "10"]]);
    node.query("DROP USER anna").expect("dropped");
    assert!(login(&node, "anna", "second").is_err());
    assert!(!std::fs::read_to_string(&keys).expect("readable").contains("anna"));
}

/// On another node one logs in when a password was set there; what was granted holds on both.
#[test]
fn an_account_writes_on_a_second_node_once_its_password_is_set_there() {
    let temp = tempfile::tempdir().expect("a directory");
    let one = Node::start(&temp.path().join("one"), &[]);
    one.query("CREATE DATABASE shop").expect("made");
    one.query("CREATE TABLE shop.till (id INT PRIMARY KEY, sum INT)").expect("made");
    one.query("CREATE USER ann IDENTIFIED BY 'geheim'").expect("made");
    one.query("GRANT SELECT, UPDATE (sum), INSERT ON shop.till TO ann").expect("granted");
    let two = Node::join(&temp.path().join("two"), &one.ticket("writer", 1), &[]);
    two.wait_ready();
    wait_equal(&[&one, &two]);
    assert!(login(&two, "ann", "geheim").is_err(), "nobody knows it there");
    two.query("ALTER USER ann IDENTIFIED BY 'anders'").expect("set");
    let mut ann = login(&two, "ann", "anders").expect("a login");
    query(&mut ann, "INSERT INTO shop.till VALUES (1, 1)").expect("granted");
    wait_equal(&[&one, &two]);
    one.query("REVOKE UPDATE (sum) ON shop.till FROM ann").expect("revoked");
    wait_equal(&[&one, &two]);
    assert_eq!(query(&mut ann, "UPDATE shop.till SET sum = 2").expect_err("revoked").code, 1142);
    let mut other = login(&one, "ann", "geheim").expect("the old password holds where it was set");
    assert_eq!(query(&mut other, "SELECT id FROM shop.till").expect("granted"), [["1"]]);
}

/// The key stays with its holder, who lets nodes act for the account.
#[test]
fn an_account_whose_key_lives_elsewhere_is_served_where_its_holder_says() {
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name).to_str().expect("a path").to_owned();
    let node = Node::start(&temp.path().join("node"), &[]);
    let dir = node.dir.root().to_owned();
    node.query("CREATE DATABASE shop").expect("made");
    node.query("CREATE TABLE shop.till (id INT PRIMARY KEY)").expect("made");
    let did = run_ok(&dir, &["key", "new", &path("bob.key")]);
    assert_eq!(run_ok(&dir, &["key", "show", &path("bob.key")]), did);
    assert!(run_err(&dir, &["key", "new", &path("bob.key")]).contains("cannot write"));
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(path("bob.key")).expect("there")) & 0o777,
        0o600
    );
    node.query(&format!("CREATE USER bob IDENTIFIED WITH p2pdb_key AS '{}'", did.trim())).expect("made");
    node.query("GRANT INSERT, SELECT ON shop.till TO bob").expect("granted");
    // No password opens it as long as nobody has delegated.
    run_ok_with(&dir, &["password", "bob", "--stdin"], "geheim\n");
    assert!(login(&node, "bob", "geheim").is_err());
    let _other = run_ok(&dir, &["key", "new", &path("other.key")]);
    let error = run_err(&dir, &["key", "delegate", "bob", &path("other.key")]);
    assert!(error.contains("none of 'bob'") && error.contains(did.trim()), "{error}");
    assert!(run_err(&dir, &["key", "delegate", "eve", &path("bob.key")]).contains("no account 'eve'"));
    run_ok(&dir, &["key", "delegate", "bob", &path("bob.key"), "--expires", "1h"]);
    let mut bob = eventually("bob is served", || login(&node, "bob", "geheim").ok());
    query(&mut bob, "INSERT INTO shop.till VALUES (1)").expect("granted");
    drop(bob);
    // Its key is taken in, and comes out again with the password alone.
    run_ok_with(&dir, &["key", "import", "bob", &path("bob.key")], "neu\n");
    assert!(login(&node, "bob", "geheim").is_err() && login(&node, "bob", "neu").is_ok());
    assert!(node.stop());
    assert!(run_err_with(&dir, &["key", "export", "bob", &path("out.key")], "geheim\n").contains("password"));
    run_ok_with(&dir, &["key", "export", "bob", &path("out.key")], "neu\n");
    assert_eq!(run_ok(&dir, &["key", "show", &path("out.key")]), did);
    // Also while the node does not run.
    run_ok(&dir, &["key", "delegate", "bob", &path("out.key")]);
}

/// Of two tickets one lets its bearer write for one account alone, the other for nobody: whoever runs such a node has nothing of root's.
#[test]
fn a_ticket_says_for_whom_its_bearer_writes() {
    let temp = tempfile::tempdir().expect("a directory");
    let path = |name: &str| temp.path().join(name).to_str().expect("a path").to_owned();
    let one = Node::start(&temp.path().join("one"), &[]);
    let dir = one.dir.root().to_owned();
    for sql in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (id INT PRIMARY KEY)",
        "CREATE USER lab IDENTIFIED BY 'l'",
        "GRANT SELECT, INSERT ON d.* TO lab",
    ] {
        one.query(sql).expect(sql);
    }
    assert!(run_err_with(&dir, &["invite", "--as", "lab"], "x\n").contains("the password is another one"));
    assert!(run_err_with(&dir, &["invite", "--as", "eve"], "l\n").contains("no account 'eve'"));
    let relay = ["invite", "--role", "relay", "--as", "lab"];
    assert!(run_err_with(&dir, &relay, "l\n").contains("a relay writes for nobody"));
    assert!(run_err(&dir, &["invite", "--role", "reader", "--no-account"]).contains("writes for nobody"));
    let owner = ["invite", "--role", "owner", "--as", "lab"];
    assert!(run_err_with(&dir, &owner, "l\n").contains("all privileges, which 'lab' has not"));
    let ticket = run_ok_with(&dir, &["invite", "--as", "lab"], "l\n");
    let two = Node::join(&temp.path().join("two"), ticket.trim(), &[]);
    eventually("what to do next is said", || {
        two.log().contains("writes for lab, not for root; to log in:  p2pdb-node password lab").then_some(())
    });
    run_ok_with(two.dir.root(), &["password", "lab", "--stdin"], "here\n");
    let mut lab = login(&two, "lab", "here").expect("served");
    query(&mut lab, "INSERT INTO d.t VALUES (1)").expect("granted");
    assert_eq!(query(&mut lab, "DELETE FROM d.t").expect_err("not granted").code, 1142);
    let root = two.client_file();
    assert!(login(&two, "root", &root.password).err().expect("refused").contains("1045"));
    wait_equal(&[&one, &two]);
    let node = two.status().node;
    let acts = "SELECT account, state FROM p2pdb.delegations WHERE node = ";
    assert_eq!(one.query(&format!("{acts}'{node}'")).expect("read"), [["lab@%", "holds"]]);
    // A key of its own there makes it a reader, and outlives the ticket's.
    query(&mut lab, "ALTER USER USER() IDENTIFIED BY 'own'").expect("a key more");
    wait_equal(&[&one, &two]);
    let first = "SELECT did FROM p2pdb.account_keys WHERE account = 'lab@%' ORDER BY since LIMIT 1";
    let did = one.query(first).expect("read").remove(0).remove(0);
    one.query(&format!("ALTER USER lab DROP KEY '{did}'")).expect("dropped");
    wait_equal(&[&one, &two]);
    query(&mut login(&two, "lab", "own").expect("served"), "INSERT INTO d.t VALUES (2)").expect("granted");
    let gone = run_err_with(&dir, &["invite", "--as", "lab"], "l\n");
    assert!(gone.contains("is the account's no more"), "{gone}");
    // For nobody, until the holder of a key says so.
    let ticket = run_ok(&dir, &["invite", "--no-account"]);
    let three = Node::join(&temp.path().join("three"), ticket.trim(), &[]);
    eventually("what to do next is said", || {
        three.log().contains("key delegate ACCOUNT FILE --to").then_some(())
    });
    let did = run_ok(&dir, &["key", "new", &path("bob.key")]);
    one.query(&format!("CREATE USER bob IDENTIFIED WITH p2pdb_key AS '{}'", did.trim())).expect("made");
    one.query("GRANT INSERT ON d.t TO bob").expect("granted");
    run_ok(&dir, &["key", "delegate", "bob", &path("bob.key"), "--to", &three.status().node]);
    run_ok_with(three.dir.root(), &["password", "bob", "--stdin"], "b\n");
    let mut bob = eventually("bob is served", || login(&three, "bob", "b").ok());
    query(&mut bob, "INSERT INTO d.t VALUES (3)").expect("granted");
    wait_equal(&[&one, &two, &three]);
    assert_eq!(one.query("SELECT COUNT(*) FROM d.t").expect("read"), [["3"]]);
    assert!(three.stop() && two.stop() && one.stop());
}

/// A reader comes to a node of its own when nobody writes: the node that has the keys of sealed columns gives them by itself, once.
#[test]
fn a_node_that_has_keys_of_sealed_columns_gives_them_to_readers_by_itself() {
    let temp = tempfile::tempdir().expect("a directory");
    let one = Node::start(&temp.path().join("one"), &[]);
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.patient (id INT PRIMARY KEY, name VARCHAR(20) COMMENT '[sealed]', note VARCHAR(20), KEY (name))",
        "INSERT INTO shop.patient VALUES (1, 'Zwetschge', 'in-the-open'), (2, 'Bob', '')",
        "CREATE USER doc IDENTIFIED BY 'geheim'",
        "GRANT SELECT ON shop.* TO doc",
    ] {
        one.query(sql).expect(sql);
    }
    let tap = Tap::before(&one);
    let two = Node::join(&temp.path().join("two"), &one.ticket_by("writer", tap.address()), &[]);
    two.wait_ready();
    // A data centre's, which is to store everything and read nothing.
    let relay = Node::join(&temp.path().join("relay"), &one.ticket_by("relay", tap.address()), &[]);
    relay.wait_ready();
    wait_equal(&[&one, &two, &relay]);
    // The first that makes doc's second node known; from here on nobody says or writes anything.
    two.query("ALTER USER doc IDENTIFIED BY 'anders'").expect("set");
    let mut doc = login(&two, "doc", "anders").expect("a login");
    let names = eventually("the names can be read", || {
        let rows = query(&mut doc, "SELECT name FROM shop.patient ORDER BY id").expect("granted");
        (rows == [["Zwetschge"], ["Bob"]]).then_some(rows)
    });
    assert_eq!(names.len(), 2);
    assert_eq!(query(&mut doc, "SELECT id FROM shop.patient WHERE name = 'bob'").expect("granted"), [["2"]]);
    assert!(one.log().contains("gave keys of sealed columns"), "{}", one.log());
    assert!(!two.log().contains("gave keys of sealed columns"));
    // Nothing is lacking now, and nothing more is written.
    wait_equal(&[&one, &two, &relay]);
    let before = one.status().frontier_digest;
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!((one.status().frontier_digest, two.status().frontier_digest), (before.clone(), before));
    assert_eq!(one.log().matches("gave keys of sealed columns").count(), 1);
    // The relay has it all, serves it, and cannot read it, whoever asks.
    assert_eq!(
        relay.query("SELECT COUNT(*), MAX(note) FROM shop.patient").expect("in the open"),
        [["2", "in-the-open"]]
    );
    let denied = relay.query("SELECT name FROM shop.patient").expect_err("sealed");
    assert_eq!(denied.code, 1143, "{denied:?}");
    let denied = relay.query("UPDATE shop.patient SET name = 'x'").expect_err("sealed");
    assert!(denied.code == 1143 || denied.code == 1290, "{denied:?}");
    // No node has the names anywhere: not in its store, not in its log, not in what it keeps beside them, and tells nobody.
    let mut seen_open = 0;
    for (node, dir) in ["one", "two", "relay"]
        .map(|n| temp.path().join(n))
        .into_iter()
        .zip([&one, &two, &relay])
        .map(|(d, n)| (n, d))
    {
        assert!(!node.log().contains("Zwetschge"));
        for path in ["/metrics", "/healthz", "/readyz"] {
            let (_, told) = http_get(node, path, None);
            assert!(!told.contains("Zwetschge") && !told.is_empty(), "{told}");
        }
        for told in [&["status", "--json"][..], &["log"], &["members"]] {
            assert!(!run_ok(node.dir.root(), told).contains("Zwetschge"));
        }
        let mut dirs = vec![dir];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
                if entry.path().is_dir() {
                    dirs.push(entry.path());
                    continue;
                }
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                let holds = |what: &str| bytes.windows(what.len()).any(|w| w == what.as_bytes());
                assert!(!holds("Zwetschge"), "{}", entry.path().display());
                seen_open += u32::from(holds("in-the-open"));
            }
        }
    }
    assert!(seen_open >= 3, "what is in the open is found");
    let wire = tap.seen();
    assert!(wire.len() > 10_000, "{} bytes have passed", wire.len());
    assert!(!wire.windows(9).any(|w| w == b"Zwetschge"));
}

/// The node that alone has the keys gives them as soon as it hears of a reader, whichever others stand before it by their ids.
#[test]
fn a_new_reader_reads_within_moments() {
    let temp = tempfile::tempdir().expect("a directory");
    let one = Node::start(&temp.path().join("one"), &[]);
    for sql in [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.patient (id INT PRIMARY KEY, name VARCHAR(20) COMMENT '[sealed]')",
        "INSERT INTO shop.patient VALUES (1, 'Ann')",
        "CREATE USER doc IDENTIFIED BY 'd'",
        "GRANT SELECT ON shop.patient TO doc",
    ] {
        one.query(sql).expect(sql);
    }
    // Two with lesser ids, which have no keys to give.
    let own = one.status().node;
    let id = |seed: u8| ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key().to_bytes();
    let hex = |bytes: [u8; 32]| p2pdb_model::ids::hex(&bytes);
    let mut lesser = (0..=u8::MAX).filter(|seed| hex(id(*seed)) < own);
    let mut join = |name: &str| {
        let dir = temp.path().join(name);
        std::fs::create_dir(&dir).expect("a directory");
        if let Some(seed) = lesser.next() {
            std::fs::write(dir.join("joining.key"), hex([seed; 32])).expect("a key");
        }
        Node::join(&dir, &one.ticket("writer", 1), &[])
    };
    let (two, three) = (join("two"), join("three"));
    wait_equal(&[&one, &two, &three]);
    let began = std::time::Instant::now();
    three.query("ALTER USER doc IDENTIFIED BY 'd'").expect("set here");
    let mut doc = login(&three, "doc", "d").expect("a login");
    eventually("doc reads", || {
        (query(&mut doc, "SELECT name FROM shop.patient").expect("granted") == [["Ann"]]).then_some(())
    });
    let took = began.elapsed();
    assert!(took.as_millis() < 3_000, "{took:?}");
    drop(two);
}
