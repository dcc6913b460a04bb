//! Readers of sealed columns come and go: what a REVOKE of reading reaches, and who is given which keys when
//! (`docs/security.md`, section 7).

mod support;

use support::*;

/// Root's node, and one on which ann logs in; she may read and write all of `shop.t`.
fn shop() -> (Node, Node) {
    let a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE shop; USE shop;
         CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40) COMMENT '[sealed]', n INT);
         CREATE USER ann IDENTIFIED BY 'a'; GRANT SELECT, INSERT, UPDATE, DELETE ON t TO ann",
    );
    let b = a.join(2);
    b.session().run("ALTER USER ann IDENTIFIED BY 'a'");
    converge(&[&a, &b]);
    (a, b)
}

fn as_(node: &Node, user: &str) -> TestSession {
    let mut session = node.session_as(user).expect("a session");
    session.run("USE shop");
    session
}

const ALL: &str = "SELECT id, name, n FROM shop.t ORDER BY id";
const OPEN: &str = "SELECT id, n FROM shop.t ORDER BY id";

#[test]
fn an_insert_without_a_sealed_value_needs_no_reading() {
    let (a, b) = shop();
    a.session().run("INSERT INTO shop.t VALUES (1, 'Ann', 1)");
    converge(&[&a, &b]);
    a.session().run("REVOKE SELECT ON shop.t FROM ann");
    let mut ann = as_(&b, "ann");
    ann.run("INSERT INTO t (id, n) VALUES (2, 2), (3, 3)");
    ann.run("INSERT INTO t VALUES (4, NULL, 4); INSERT INTO t VALUES (5, DEFAULT, 5)");
    ann.run("BEGIN; INSERT INTO t (id, n) VALUES (6, 0); UPDATE t SET n = 6 WHERE id = 6; COMMIT");
    ann.run("INSERT INTO t (id, n) VALUES (1, 0) ON DUPLICATE KEY UPDATE n = 11");
    // What gives a value, or takes one, does need it, and goes as a whole.
    ann.run("INSERT INTO t VALUES (7, 'Bob', 7), (8, NULL, 8)");
    ann.run("BEGIN; INSERT INTO t (id, n) VALUES (9, 9); UPDATE t SET name = 'x' WHERE id = 9; COMMIT");
    ann.run("REPLACE INTO t (id, n) VALUES (1, 12)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, OPEN), ["1|11", "2|2", "3|3", "4|4", "5|5", "6|6"]);
    assert_eq!(a.session().rows(ALL)[0], "1|Ann|11");
    let reason = "ann@%|void: written beyond the revocation of the grant that this needs";
    assert_eq!(both(&a, &b, "SELECT account, reason FROM p2pdb.voided"), [reason; 3]);
    verified(&[&a, &b]);
}

#[test]
fn a_row_inserted_anew_does_not_have_the_sealed_value_of_before() {
    let (a, b) = shop();
    let mut s = as_(&a, "root");
    s.run("INSERT INTO t VALUES (1, 'Ann', 1), (2, 'Bob', 2)");
    s.run("DELETE FROM t; INSERT INTO t (id, n) VALUES (1, 10)");
    s.run("BEGIN; INSERT INTO t VALUES (2, 'x', 20); DELETE FROM t WHERE id = 2; INSERT INTO t (id, n) VALUES (2, 20); COMMIT");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
    assert_eq!(as_(&b, "ann").rows(ALL), ["1|NULL|10", "2|NULL|20"]);
    assert_eq!(s.rows(ALL), ["1|NULL|10", "2|NULL|20"]);
    verified(&[&a, &b]);
}

/// What an account may not overwrite is weak on its own node as on all others, whichever columns its rows name.
#[test]
fn weak_inserts_are_weak_by_what_they_name_everywhere() {
    let (a, b) = shop();
    a.session().run("REVOKE UPDATE ON shop.t FROM ann; GRANT UPDATE (id, n) ON shop.t TO ann");
    converge(&[&a, &b]);
    a.session().run(
        "INSERT INTO shop.t VALUES (1, 'r', -1), (2, 'r', -2), (3, 'r', -3), (4, 'r', -4), (5, 'r', -5)",
    );
    b.clock.advance_ms(10);
    let mut ann = as_(&b, "ann");
    ann.run("INSERT INTO t (id, n) VALUES (1, 1); INSERT INTO t VALUES (2, 'Ann', 2); INSERT INTO t VALUES (3, NULL, 3)");
    ann.run("BEGIN; INSERT INTO t (id, n) VALUES (4, 4); INSERT INTO t VALUES (5, 'Eve', 5); COMMIT");
    converge(&[&a, &b]);
    // She wrote last, and may overwrite what she named in the first and the third.
    assert_eq!(a.session().rows(ALL), ["1|r|1", "2|r|-2", "3|r|3", "4|r|-4", "5|r|-5"]);
    verified(&[&a, &b]);
}
