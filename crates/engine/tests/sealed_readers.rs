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
    session.run("USE shop; SET ROLE ALL");
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

fn grants(node: &Node, user: &str) -> Vec<String> {
    let mut lines = node.session().rows(&format!("SHOW GRANTS FOR {user}"));
    lines.retain(|l| !l.contains("USAGE"));
    lines
}

#[test]
fn the_history_is_given_later_when_somebody_says_so() {
    let (a, b) = shop();
    let mut root = as_(&a, "root");
    root.run("REVOKE SELECT ON t FROM ann; INSERT INTO t VALUES (1, 'Ann', 1)");
    root.run("GRANT SELECT ON t TO ann WITHOUT HISTORY; INSERT INTO t VALUES (2, 'Bob', 2)");
    converge(&[&a, &b]);
    assert!(!a.engine.has_keys_to_share() && !b.engine.has_keys_to_share());
    assert_eq!(as_(&b, "ann").rows(ALL), ["1|NULL|1", "2|Bob|2"]);
    let line = "GRANT SELECT, INSERT, UPDATE, DELETE ON `shop`.`t` TO `ann`@`%`";
    assert_eq!(grants(&a, "ann"), [format!("{line} WITHOUT HISTORY")]);
    root.run("GRANT SELECT ON t TO ann");
    assert_eq!(grants(&a, "ann"), [line]);
    converge(&[&a, &b]);
    assert_eq!(as_(&b, "ann").rows(ALL), ["1|Ann|1", "2|Bob|2"]);
    // Who has had it all does so for good, and who was away in between has missed nothing.
    root.run("REVOKE SELECT ON t FROM ann; INSERT INTO t VALUES (3, 'Cem', 3); GRANT SELECT ON t TO ann");
    converge(&[&a, &b]);
    assert_eq!(as_(&b, "ann").rows(ALL), ["1|Ann|1", "2|Bob|2", "3|Cem|3"]);
    verified(&[&a, &b]);
}

#[test]
fn a_new_grant_without_the_history_leaves_out_what_came_while_there_was_none() {
    let (a, b) = shop();
    let mut root = as_(&a, "root");
    root.run(
        "INSERT INTO t VALUES (1, 'Ann', 1); REVOKE SELECT ON t FROM ann; INSERT INTO t VALUES (2, 'Bob', 2)",
    );
    root.run("GRANT SELECT ON t TO ann WITHOUT HISTORY; INSERT INTO t VALUES (3, 'Cem', 3)");
    converge(&[&a, &b]);
    assert_eq!(as_(&b, "ann").rows(ALL), ["1|Ann|1", "2|NULL|2", "3|Cem|3"]);
    verified(&[&a, &b]);
}

/// Whoever comes to it by a role, or on a node of theirs, later reads from the grant on, and not what was there before.
#[test]
fn a_grant_without_the_history_to_a_role_counts_for_those_who_get_the_role_later() {
    let (a, b) = shop();
    let mut root = as_(&a, "root");
    root.run("REVOKE SELECT ON t FROM ann; INSERT INTO t VALUES (1, 'Ann', 1); CREATE ROLE staff");
    root.run("GRANT SELECT ON shop.* TO staff WITHOUT HISTORY; INSERT INTO t VALUES (2, 'Bob', 2)");
    // Another key begins, and she is to have the one before as well.
    root.run("CREATE USER x IDENTIFIED BY 'x'; GRANT SELECT ON t TO x; INSERT INTO t VALUES (3, 'Cem', 3)");
    root.run("REVOKE SELECT ON t FROM x; INSERT INTO t VALUES (4, 'Dan', 4); GRANT staff TO ann");
    converge(&[&a, &b]);
    assert_eq!(as_(&b, "ann").rows(ALL), ["1|NULL|1", "2|Bob|2", "3|Cem|3", "4|Dan|4"]);
    assert_eq!(grants(&a, "staff"), ["GRANT SELECT ON `shop`.* TO `staff`@`%` WITHOUT HISTORY"]);
    root.run("GRANT SELECT ON t TO staff");
    converge(&[&a, &b]);
    assert_eq!(as_(&b, "ann").rows(ALL)[0], "1|Ann|1");
    verified(&[&a, &b]);
}

#[test]
fn what_show_grants_says_of_the_history_can_be_said() {
    let (a, _) = shop();
    let mut root = as_(&a, "root");
    root.run("CREATE USER x IDENTIFIED BY 'x', y IDENTIFIED BY 'y'");
    root.run("GRANT SELECT (id, n), INSERT ON t TO x; GRANT SELECT (name) ON t TO x WITHOUT HISTORY");
    root.run("GRANT SELECT ON t TO x UNTIL '2099-01-01 00:00:00' WITHOUT HISTORY; GRANT UPDATE ON t TO x WITHOUT HISTORY");
    let x = grants(&a, "x");
    assert_eq!(
        x,
        [
            "GRANT SELECT (`id`, `n`), INSERT, UPDATE ON `shop`.`t` TO `x`@`%`",
            "GRANT SELECT (`name`) ON `shop`.`t` TO `x`@`%` WITHOUT HISTORY",
            "GRANT SELECT ON `shop`.`t` TO `x`@`%` UNTIL '2099-01-01 00:00:00' WITHOUT HISTORY",
        ]
    );
    x.iter().for_each(|line| drop(root.run(&line.replace("`x`@", "`y`@"))));
    let as_y: Vec<String> = x.iter().map(|l| l.replace("`x`@", "`y`@")).collect();
    assert_eq!(grants(&a, "y"), as_y);
}

#[test]
fn rights_on_a_column_that_was_sealed_are_gone_and_not_shown() {
    let (a, _) = shop();
    let mut root = as_(&a, "root");
    root.run("CREATE TABLE p (id INT PRIMARY KEY, phone VARCHAR(20), o VARCHAR(64) COMMENT '[owner]')");
    root.run(
        "GRANT UPDATE (phone) ON p TO p2pdb_owner; GRANT SELECT (id, phone), UPDATE (phone) ON p TO ann",
    );
    root.run("ALTER TABLE p MODIFY phone VARCHAR(20) COMMENT '[sealed]'");
    assert_eq!(root.rows("SHOW GRANTS FOR p2pdb_owner"), ["GRANT USAGE ON *.* TO `p2pdb_owner`@`%`"]);
    let of_ann = root.rows("SHOW GRANTS FOR ann");
    assert!(of_ann.contains(&"GRANT SELECT (`id`) ON `shop`.`p` TO `ann`@`%`".to_owned()), "{of_ann:?}");
}
