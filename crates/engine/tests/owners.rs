//! Rows that belong to an account: what is granted to `p2pdb_owner` (`docs/security.md`, section 3).

mod support;

use support::*;

/// A clinic whose patients may change the phone number in their own row; ann's node is `a`, bob's `b`.
fn clinic() -> (Node, Node) {
    let (a, b) = two("CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(20), phone VARCHAR(20),
           who VARCHAR(64) COMMENT 'whose it is [owner]')");
    a.session().run(
        "CREATE USER ann IDENTIFIED BY 'x', bob IDENTIFIED BY 'y';
         GRANT SELECT ON shop.patient TO ann, bob;
         GRANT UPDATE (phone) ON shop.patient TO p2pdb_owner;
         INSERT INTO shop.patient VALUES (1, 'Ann', '11', 'ann'), (2, 'Bob', '22', 'bob@%')",
    );
    b.fetch(&a);
    b.session().run("ALTER USER bob IDENTIFIED BY 'y'");
    converge(&[&a, &b]);
    (a, b)
}

fn as_(node: &Node, user: &str) -> TestSession {
    node.session_as(user).expect("a session")
}

const PHONES: &str = "SELECT id, name, phone FROM shop.patient ORDER BY id";

#[test]
fn patients_change_the_phone_number_in_their_own_row_and_no_other() {
    let (a, b) = clinic();
    let (mut ann, mut bob) = (as_(&a, "ann"), as_(&b, "bob"));
    ann.run("UPDATE shop.patient SET phone = '12' WHERE id = 1");
    bob.run("UPDATE shop.patient SET phone = '23' WHERE id = 2");
    assert_eq!(ann.error("UPDATE shop.patient SET phone = '00' WHERE id = 2"), 1142);
    assert_eq!(ann.error("UPDATE shop.patient SET phone = '00'"), 1142, "one of them is bob's");
    assert_eq!(ann.error("UPDATE shop.patient SET name = 'Eve' WHERE id = 1"), 1142);
    assert_eq!(ann.error("DELETE FROM shop.patient WHERE id = 1"), 1142);
    assert_eq!(ann.error("INSERT INTO shop.patient (id) VALUES (9)"), 1142);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, PHONES), ["1|Ann|12", "2|Bob|23"]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM p2pdb.voided"), ["0"]);
    let owners = both(&a, &b, "SELECT DISTINCT LENGTH(who) FROM shop.patient");
    assert_eq!(owners, ["32"], "the id of an account");
    verified(&[&a, &b]);
}

#[test]
fn an_owner_is_set_when_the_row_is_inserted_and_never_changes() {
    let (a, b) = clinic();
    let mut root = a.session();
    assert_eq!(root.error("UPDATE shop.patient SET who = 'bob' WHERE id = 1"), 1348);
    assert_eq!(root.error("INSERT INTO shop.patient VALUES (3, 'C', '33', 'nobody')"), 3523);
    root.run("GRANT INSERT, DELETE ON shop.patient TO p2pdb_owner");
    let mut ann = as_(&a, "ann");
    ann.run("INSERT INTO shop.patient (id, name) VALUES (3, 'Ann again')");
    assert_eq!(ann.error("INSERT INTO shop.patient (id, who) VALUES (4, 'bob')"), 1142);
    b.fetch(&a);
    assert_eq!(as_(&b, "bob").error("DELETE FROM shop.patient WHERE id = 3"), 1142);
    converge(&[&a, &b]);
    let same = "SELECT COUNT(DISTINCT who) FROM shop.patient WHERE id IN (1, 3)";
    assert_eq!(both(&a, &b, same), ["1"], "whoever writes is the owner");
    ann.run("DELETE FROM shop.patient WHERE id = 3");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, PHONES), ["1|Ann|11", "2|Bob|22"]);
    for (sql, code) in [
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, w INT COMMENT '[owner]')", 1063),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY, w VARCHAR(31) COMMENT '[owner]')", 1063),
        ("CREATE TABLE shop.t (w VARCHAR(64) COMMENT '[owner]', UNIQUE (w))", 1063),
        ("CREATE TABLE shop.t (v VARCHAR(64) COMMENT '[owner]', w VARCHAR(64) COMMENT '[owner]')", 1063),
        ("CREATE TABLE shop.t (w VARCHAR(64) DEFAULT 'ann' COMMENT '[owner]')", 1063),
        ("ALTER TABLE shop.patient MODIFY who VARCHAR(64)", 1235),
        ("ALTER TABLE shop.patient MODIFY name VARCHAR(64) COMMENT '[owner]'", 1235),
    ] {
        assert_eq!(root.error(sql), code, "{sql}");
    }
    verified(&[&a, &b]);
    drop((root, ann));
    let a = a.restart();
    assert_eq!(a.session().rows(PHONES), ["1|Ann|11", "2|Bob|22"]);
}

#[test]
fn what_is_taken_from_owners_reaches_what_they_wrote_beyond_it() {
    let (a, b) = clinic();
    as_(&b, "bob").run("UPDATE shop.patient SET phone = '99' WHERE id = 2");
    a.session().run("REVOKE UPDATE (phone) ON shop.patient FROM p2pdb_owner");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, PHONES), ["1|Ann|11", "2|Bob|22"]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM p2pdb.voided"), ["1"]);
    // A root who inserts for somebody, and rows of one key from two owners.
    a.session().run("INSERT INTO shop.patient VALUES (5, 'A', '5', 'ann')");
    b.session().run("INSERT INTO shop.patient VALUES (5, 'B', '5', 'bob')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM shop.patient"), ["3"]);
    assert_eq!(both(&a, &b, "SELECT rule FROM p2pdb.conflicts"), ["unique"]);
    verified(&[&a, &b]);
}
