//! Two and three engines that meet again: what each wrote apart is in all of them, and they hold the same tables.

mod support;

use p2pdb_sync::StateProof;
use support::{Node, converge};

fn two() -> (Node, Node) {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run("CREATE DATABASE shop; USE shop; CREATE TABLE till (id INT PRIMARY KEY, name VARCHAR(40), price INT, stock INT)");
    s.run("INSERT INTO shop.till VALUES (1, 'apple', 10, 100), (2, 'pear', 20, 200)");
    drop(s);
    let b = a.join(2);
    (a, b)
}

#[test]
fn a_joined_node_has_everything() {
    let (a, b) = two();
    let rows = b.session().rows("SELECT id, name, price, stock FROM shop.till ORDER BY id");
    assert_eq!(rows, ["1|apple|10|100", "2|pear|20|200"]);
    assert_eq!(a.fingerprint(), b.fingerprint());
}

#[test]
fn different_columns_of_one_row_merge() {
    let (a, b) = two();
    a.session().run("UPDATE shop.till SET price = 11 WHERE id = 1");
    b.session().run("UPDATE shop.till SET stock = 99 WHERE id = 1");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(n.session().rows("SELECT price, stock FROM shop.till WHERE id = 1"), ["11|99"]);
        assert_eq!(n.session().rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
    }
}

#[test]
fn the_later_write_of_a_cell_wins_and_the_other_is_kept_as_a_conflict() {
    let (a, b) = two();
    a.session().run("UPDATE shop.till SET price = 11 WHERE id = 1");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.till SET price = 12 WHERE id = 1");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let mut s = n.session();
        assert_eq!(s.rows("SELECT price FROM shop.till WHERE id = 1"), ["12"]);
        let conflicts =
            s.rows("SELECT `table`, row_key, `column`, rule, kept_value, lost_value FROM p2pdb.conflicts");
        assert_eq!(conflicts, ["till|1|price|concurrent write|12|11"]);
        // Who wrote which, for whom, when, and in which block.
        for (side, node) in [("kept", &b), ("lost", &a)] {
            let by = s.rows(&format!(
                "SELECT {side}_author, {side}_account, {side}_stamp = b.stamp, b.author = {side}_author \
                 FROM p2pdb.conflicts JOIN p2pdb.blocks b ON b.cid = {side}_block"
            ));
            assert_eq!(by, [format!("{}|root@%|1|1", node.engine.node())], "{side}");
        }
    }
    // Who has seen both settles it.
    a.session().run("UPDATE shop.till SET price = 13 WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
}

#[test]
fn unique_keys_of_several_columns_compare_by_collation_and_claim_nothing_with_a_null() {
    let (a, b) = two();
    a.session().run(
        "CREATE TABLE shop.seat (id INT PRIMARY KEY, hall VARCHAR(9), n INT, code VARCHAR(9) UNIQUE, \
             tag VARCHAR(9) COLLATE utf8mb4_bin UNIQUE, UNIQUE KEY place (hall, n))",
    );
    b.fetch(&a);
    a.session().run("INSERT INTO shop.seat VALUES (1, 'Ä', 1, 'x', 't'), (2, NULL, 1, NULL, NULL)");
    b.clock.advance_ms(5_000);
    b.session().run(
        "INSERT INTO shop.seat VALUES (3, 'a', 1, 'y', 'T'), (4, NULL, 1, NULL, NULL), (5, 'a', 2, 'X', 'v'), \
             (6, 'a', NULL, 'z', 'w'), (7, 'b', 1, 'q', 't')",
    );
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let mut s = n.session();
        assert_eq!(s.rows("SELECT id FROM shop.seat ORDER BY id"), ["1", "2", "4", "6"]);
        let waiting = s.rows("SELECT row_key, rule FROM p2pdb.conflicts ORDER BY row_key");
        assert_eq!(waiting, ["3|unique", "5|unique", "7|unique"]);
        // A waiting row holds its values, also against local statements.
        assert_eq!(s.error("INSERT INTO shop.seat VALUES (8, 'A', 2, 'free', 'free')"), 1062);
    }
    a.session().run("UPDATE shop.seat SET n = 9, code = 'u', tag = 'u' WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT COUNT(*) FROM shop.seat"), ["7"]);
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
}

#[test]
fn an_edit_keeps_a_row_that_was_deleted_elsewhere() {
    let (a, b) = two();
    a.session().run("DELETE FROM shop.till WHERE id = 2");
    b.session().run("UPDATE shop.till SET stock = 1 WHERE id = 2");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(
            n.session().rows("SELECT id, name, price, stock FROM shop.till WHERE id = 2"),
            ["2|pear|20|1"]
        );
    }
}

#[test]
fn rows_that_clash_on_a_unique_value_are_both_kept() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.users (id INT PRIMARY KEY, mail VARCHAR(60) UNIQUE)");
    b.fetch(&a);
    a.session().run("INSERT INTO shop.users VALUES (1, 'x@y')");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.users VALUES (2, 'x@y')");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let mut s = n.session();
        assert_eq!(s.rows("SELECT id, mail FROM shop.users"), ["1|x@y"]);
        assert_eq!(s.rows("SELECT row_key, rule FROM p2pdb.conflicts"), ["2|unique"]);
    }
    // Both rows are there, whole, and who wrote them.
    let sides = "SELECT kept_value, kept_account, lost_value, lost_account FROM p2pdb.conflicts";
    let whole = |id: u32| format!("{{\"id\":\"{id}\",\"mail\":\"x@y\"}}");
    assert_eq!(b.session().rows(sides), [format!("{}|root@%|{}|root@%", whole(1), whole(2))]);
    // The obstacle goes, the row comes back by itself.
    a.session().run("UPDATE shop.users SET mail = 'z@y' WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT id, mail FROM shop.users ORDER BY id"), ["1|z@y", "2|x@y"]);
}

#[test]
fn the_same_migration_on_two_cut_off_nodes_gives_one_table() {
    let (a, b) = two();
    let migration = "CREATE TABLE shop.orders (id INT PRIMARY KEY, what VARCHAR(20)); \
                     ALTER TABLE shop.orders ADD COLUMN amount INT NOT NULL DEFAULT 1; \
                     CREATE INDEX by_what ON shop.orders (what)";
    a.session().run(migration);
    b.clock.advance_ms(1_000);
    b.session().run(migration);
    a.session().run("INSERT INTO shop.orders (id, what) VALUES (1, 'from a')");
    b.session().run("INSERT INTO shop.orders (id, what, amount) VALUES (2, 'from b', 7)");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let rows = n.session().rows("SELECT id, what, amount FROM shop.orders ORDER BY id");
        assert_eq!(rows, ["1|from a|1", "2|from b|7"]);
        assert_eq!(n.session().rows("SHOW TABLES FROM shop"), ["orders", "till"]);
    }
}

#[test]
fn auto_increment_is_dense_with_one_writer_and_never_collides_with_several() {
    let a = Node::begin(1);
    a.session().run("CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, who CHAR(1))");
    for n in 1..=3 {
        assert_eq!(a.session().run("INSERT INTO d.t (who) VALUES ('a')").last_insert_id, n);
    }
    let b = a.join(2);
    let c = a.join(3);
    converge(&[&a, &b, &c]);
    for _ in 0..20 {
        for (n, who) in [(&a, 'a'), (&b, 'b'), (&c, 'c')] {
            n.session().run(&format!("INSERT INTO d.t (who) VALUES ('{who}')"));
        }
    }
    converge(&[&a, &b, &c]);
    for n in [&a, &b, &c] {
        assert_eq!(n.session().rows("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.t"), ["63|63"]);
        assert_eq!(n.session().rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
    }
}

#[test]
fn what_a_removed_member_writes_unseen_is_void_on_every_node() {
    let (a, b) = two();
    let c = a.join(3);
    converge(&[&a, &b, &c]);
    b.session().run("UPDATE shop.till SET price = 50 WHERE id = 1");
    converge(&[&a, &b, &c]);
    a.engine.remove_member(b.engine.node()).expect("a removal");
    b.session().run("UPDATE shop.till SET price = 666 WHERE id = 1");
    b.session().run("INSERT INTO shop.till VALUES (3, 'stolen', 0, 0)");
    converge(&[&a, &b, &c]);
    for n in [&a, &b, &c] {
        let mut s = n.session_unchecked();
        assert_eq!(s.rows("SELECT id, price FROM shop.till ORDER BY id"), ["1|50", "2|20"]);
        assert_eq!(s.rows("SELECT COUNT(*) FROM p2pdb.voided"), ["2"]);
    }
    assert_eq!(b.session_unchecked().error("INSERT INTO shop.till VALUES (4, 'no', 0, 0)"), 1290);
}

#[test]
fn the_fingerprint_says_who_belongs_and_what_counts() {
    let a = Node::begin(1);
    let mut seen = vec![a.fingerprint().1];
    let b = a.join(2);
    seen.push(a.fingerprint().1);
    assert_eq!(a.fingerprint(), b.fingerprint());
    b.session().run("CREATE DATABASE shop");
    a.fetch(&b);
    seen.push(a.fingerprint().1);
    a.engine.remove_member(b.engine.node()).expect("removed");
    // Written after its removal, unseen: void, and named so.
    b.session().run("CREATE DATABASE other");
    converge(&[&a, &b]);
    seen.push(a.fingerprint().1);
    assert_eq!(a.fingerprint(), b.fingerprint());
    let all: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!(all.len(), seen.len(), "{seen:?}");
}

#[test]
fn a_replay_of_the_log_gives_the_live_tables() {
    let (a, b) = two();
    let mut s = a.session();
    s.run("CREATE TABLE shop.lines (id INT AUTO_INCREMENT PRIMARY KEY, item INT, note TEXT, FOREIGN KEY (item) REFERENCES till (id) ON DELETE CASCADE)");
    s.run("INSERT INTO shop.lines (item, note) VALUES (1, 'x'), (2, 'y'), (2, NULL)");
    s.run("BEGIN; UPDATE shop.till SET stock = stock - 1; DELETE FROM shop.till WHERE id = 2; COMMIT");
    s.run("REPLACE INTO shop.till VALUES (1, 'apple', 9, 9), (7, 'plum', 1, 1)");
    b.session().run("UPDATE shop.till SET name = 'pears' WHERE id = 2; DELETE FROM shop.till WHERE id = 1");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let report = n.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

#[test]
fn a_node_that_starts_again_has_what_it_had() {
    let (a, b) = two();
    let before = a.fingerprint();
    let a = a.restart();
    assert_eq!(a.fingerprint(), before);
    a.session().run("INSERT INTO shop.till VALUES (9, 'fig', 1, 1)");
    converge(&[&a, &b]);
}

#[test]
fn a_unique_prefix_holds_where_it_is_written_and_when_nodes_meet() {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, w VARCHAR(20), UNIQUE k (w(3)))");
    let b = a.join(2);
    s.run("INSERT INTO d.t VALUES (1, 'apple'), (2, 'banana'), (3, NULL), (4, NULL)");
    let message = |s: &mut support::TestSession, sql: &str| match s.try_run(sql) {
        Ok(_) => panic!("no error: {sql}"),
        Err(e) => e.message,
    };
    let taken = "Duplicate entry 'APP' for key 't.k'";
    assert_eq!(message(&mut s, "INSERT INTO d.t VALUES (5, 'APPLICATION')"), taken);
    assert_eq!(message(&mut s, "UPDATE d.t SET w = 'APPLICATION' WHERE id = 2"), taken);
    assert_eq!(s.run("INSERT IGNORE INTO d.t VALUES (5, 'apply'), (6, 'ap')").affected, 1);
    assert_eq!(s.run("INSERT INTO d.t VALUES (7, 'bandit') ON DUPLICATE KEY UPDATE w = 'bank'").affected, 2);
    assert_eq!(s.run("REPLACE INTO d.t VALUES (8, 'BANG')").affected, 2);
    assert_eq!(
        s.rows("SELECT id, w FROM d.t WHERE w IS NOT NULL ORDER BY id"),
        ["1|apple", "6|ap", "8|BANG"]
    );
    s.run("CREATE TABLE d.u (id INT PRIMARY KEY, w TEXT)");
    s.run("INSERT INTO d.u VALUES (1, 'abcd'), (2, 'ABCe')");
    assert_eq!(s.error("ALTER TABLE d.u ADD UNIQUE (w(3))"), 1062);
    s.run("ALTER TABLE d.u ADD UNIQUE (w(4))");
    converge(&[&a, &b]);
    // Both nodes write the prefix; the later row waits until it is free.
    s.run("INSERT INTO d.t VALUES (20, 'cherry')");
    b.clock.advance_ms(1_000);
    let mut t = b.session();
    t.run("INSERT INTO d.t VALUES (21, 'CHEESE')");
    converge(&[&a, &b]);
    for s in [&mut s, &mut t] {
        assert_eq!(s.rows("SELECT id FROM d.t WHERE id >= 20"), ["20"]);
        assert_eq!(s.rows("SELECT `row_key`, rule FROM p2pdb.conflicts"), ["21|unique"]);
        assert_eq!(s.error("INSERT INTO d.t VALUES (22, 'chess')"), 1062);
    }
    s.run("UPDATE d.t SET w = 'plum' WHERE id = 20");
    assert_eq!(s.rows("SELECT id FROM d.t WHERE id >= 20 ORDER BY id"), ["20", "21"]);
    converge(&[&a, &b]);
    assert_eq!(t.rows("SELECT id, w FROM d.t WHERE id >= 20 ORDER BY id"), ["20|plum", "21|CHEESE"]);
}

#[test]
fn an_index_on_a_prefix_serves_lookups() {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, w VARCHAR(200), KEY k (w(10)))");
    s.run("INSERT INTO d.t VALUES (1, 'a long text that goes on'), (2, 'A LONG TEXT THAT ENDS')");
    let plan = s.rows("EXPLAIN SELECT id FROM d.t WHERE w = 'a long text that ENDS'").concat();
    assert!(plan.contains("|ref|k|k|"), "{plan}");
    assert_eq!(s.rows("SELECT id FROM d.t WHERE w = 'a long text that ENDS'"), ["2"]);
}

#[test]
fn generated_columns_follow_what_was_merged() {
    let a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE shop; USE shop; CREATE TABLE box (id INT PRIMARY KEY, w INT, h INT, area INT AS (w * h) STORED, \
         label VARCHAR(20) AS (CONCAT(w, 'x', h)), KEY (area)); INSERT INTO box (id, w, h) VALUES (1, 2, 3), (2, 5, 5)",
    );
    let b = a.join(2);
    a.session().run("UPDATE shop.box SET w = 20 WHERE id = 1");
    b.session().run("UPDATE shop.box SET h = 30 WHERE id = 1");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let mut s = n.session();
        assert_eq!(s.rows("SELECT area, label FROM shop.box WHERE id = 1"), ["600|20x30"]);
        assert_eq!(s.rows("SELECT id FROM shop.box WHERE area = 600"), ["1"]);
    }
    // A column that they name goes elsewhere while rows are written here.
    a.session().run("ALTER TABLE shop.box DROP COLUMN label, DROP COLUMN area, DROP COLUMN h");
    b.session().run("INSERT INTO shop.box (id, w, h) VALUES (3, 7, 7)");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(n.session().rows("SELECT * FROM shop.box ORDER BY id"), ["1|20", "2|5", "3|7"]);
    }
}

/// Rows of both nodes, which are equal, and what is in conflicts.
fn seen(a: &Node, b: &Node, query: &str) -> (Vec<String>, Vec<String>) {
    let conflicts = "SELECT row_key, `column`, rule FROM p2pdb.conflicts ORDER BY 1, 2";
    let both = |q: &str| {
        let rows = a.session().rows(q);
        assert_eq!(rows, b.session().rows(q), "{q}");
        rows
    };
    (both(query), both(conflicts))
}

/// Two nodes with a stay from 10 to 20; each runs its statements while it is alone, b five seconds after a.
fn stays(on_a: &str, on_b: &str) -> (Node, Node) {
    let (a, b) = two();
    a.session().run(
        "CREATE TABLE shop.stay (id INT PRIMARY KEY, begins INT, ends INT, guest VARCHAR(20), \
             n INT DEFAULT 0 COMMENT '[counter]', CONSTRAINT inside CHECK (begins < ends + n)); \
         INSERT INTO shop.stay (id, begins, ends, guest) VALUES (1, 10, 20, 'Ann')",
    );
    b.fetch(&a);
    meet(&a, &b, on_a, on_b);
    (a, b)
}

fn meet(a: &Node, b: &Node, on_a: &str, on_b: &str) {
    a.session().run(&format!("USE shop; {on_a}"));
    b.clock.advance_ms(5_000);
    b.session().run(&format!("USE shop; {on_b}"));
    converge(&[a, b]);
}

/// The stay, and what has lost of it, on both nodes.
fn stay(a: &Node, b: &Node, row: &str, lost: &[&str]) {
    let conflicts = "SELECT `column`, rule, kept_value, lost_value FROM p2pdb.conflicts ORDER BY 1, 2, 3, 4";
    for node in [a, b] {
        assert_eq!(node.session().rows("SELECT begins, ends, guest FROM shop.stay"), [row]);
        assert_eq!(node.session().rows(conflicts), lost);
    }
    converge(&[a, b]);
}

#[test]
fn of_changes_that_a_check_does_not_allow_together_the_later_has_the_row_as_it_saw_it() {
    let (a, b) = stays(
        "UPDATE stay SET begins = 18 WHERE id = 1; UPDATE stay SET guest = 'Bob' WHERE id = 1",
        "UPDATE stay SET ends = 12 WHERE id = 1",
    );
    // Each of the two would hold, both would not. Nobody meant to set another end.
    stay(&a, &b, "10|12|Bob", &["begins|concurrent write|10|18"]);
    // What it does not join goes on by itself.
    meet(&a, &b, "UPDATE stay SET guest = 'Cem' WHERE id = 1", "DO 0");
    stay(&a, &b, "10|12|Cem", &["begins|concurrent write|10|18"]);
    // Who changes a column of them now has seen the whole, and settles it: nothing moves behind their back.
    let c = a.join(3);
    c.session().run("UPDATE shop.stay SET ends = 30 WHERE id = 1");
    converge(&[&a, &b, &c]);
    stay(&a, &b, "10|30|Cem", &[]);
}

#[test]
fn who_may_change_one_column_that_a_check_joins_needs_no_right_to_the_others() {
    let (a, b) = stays("UPDATE stay SET begins = 18", "UPDATE stay SET ends = 12");
    a.session().run(
        "CREATE USER ben IDENTIFIED BY 'x'; GRANT SELECT, UPDATE (ends) ON shop.stay TO ben; \
         INSERT INTO shop.stay (id, begins, ends) VALUES (2, 10, 20)",
    );
    let mut ben = a.session_as("ben").expect("ben");
    ben.run("UPDATE shop.stay SET ends = 21 WHERE id = 2");
    // But where something is held back: who changes it there decides about that, too.
    assert_eq!(ben.error("UPDATE shop.stay SET ends = 13 WHERE id = 1"), 1142);
    drop(ben);
    converge(&[&a, &b]);
    for node in [&a, &b] {
        assert_eq!(node.session().rows("SELECT begins, ends FROM shop.stay ORDER BY id"), ["10|12", "10|21"]);
        assert_eq!(node.session().rows("SELECT * FROM p2pdb.voided"), [""; 0]);
    }
}

#[test]
fn changes_that_a_check_allows_together_both_count() {
    let (a, b) = stays("UPDATE stay SET begins = 11", "UPDATE stay SET ends = 19");
    stay(&a, &b, "11|19|Ann", &[]);
    // Nor is another value of a column in conflict with what somebody has written of the other one.
    let (a, b) = stays("UPDATE stay SET begins = 11", "UPDATE stay SET ends = 19; UPDATE stay SET ends = 18");
    stay(&a, &b, "11|18|Ann", &[]);
}

#[test]
fn a_value_does_not_lose_to_a_change_of_another_column() {
    let (a, b) = stays(
        "UPDATE stay SET begins = 12, guest = 'Bob'",
        "UPDATE stay SET ends = 19; UPDATE stay SET ends = 18, guest = 'Cem'",
    );
    stay(&a, &b, "12|18|Cem", &["guest|concurrent write|Cem|Bob"]);
}

#[test]
fn a_conflict_of_a_column_is_not_settled_by_a_change_of_another_one() {
    let (a, b) = stays("UPDATE stay SET begins = 11", "UPDATE stay SET begins = 12");
    stay(&a, &b, "12|20|Ann", &["begins|concurrent write|12|11"]);
    meet(&a, &b, "UPDATE stay SET ends = 30", "DO 0");
    stay(&a, &b, "12|30|Ann", &["begins|concurrent write|12|11"]);
    meet(&a, &b, "CALL p2pdb.resolve('shop.stay', 'keep', 1)", "UPDATE stay SET ends = 29");
    stay(&a, &b, "12|29|Ann", &[]);
}

#[test]
fn what_a_check_holds_back_is_back_when_the_check_goes_or_allows_it() {
    let (a, b) = stays("UPDATE stay SET begins = 18", "UPDATE stay SET ends = 12");
    let held = ["begins|concurrent write|10|18"];
    stay(&a, &b, "10|12|Ann", &held);
    a.session().run("ALTER TABLE shop.stay DROP CHECK inside");
    converge(&[&a, &b]);
    stay(&a, &b, "18|12|Ann", &[]);

    // The CHECK comes with one of them, so that the other did not know of it.
    let plain = |on_a: &str| {
        let (a, b) = two();
        a.session().run(
            "CREATE TABLE shop.stay (id INT PRIMARY KEY, begins INT, ends INT, guest VARCHAR(20)); \
             INSERT INTO shop.stay VALUES (1, 10, 20, 'Ann')",
        );
        b.fetch(&a);
        meet(&a, &b, on_a, "UPDATE stay SET ends = 12");
        (a, b)
    };
    let (a, b) =
        plain("UPDATE stay SET begins = 18; ALTER TABLE stay ADD CONSTRAINT inside CHECK (begins < ends)");
    stay(&a, &b, "10|12|Ann", &held);

    // Where the later one alone does not hold, the one before it has the row as it saw it.
    let (a, b) = plain(
        "UPDATE stay SET begins = 18; \
         ALTER TABLE stay ADD CONSTRAINT inside CHECK (begins < ends), ADD CONSTRAINT late CHECK (begins > 15)",
    );
    stay(&a, &b, "18|20|Ann", &["ends|concurrent write|20|12"]);

    // Where none holds, the row waits, whole: neither knew of this CHECK, which a third has made.
    let c = a.join(3);
    let d = a.join(4);
    c.session().run("ALTER TABLE shop.stay DROP CHECK late; INSERT INTO shop.stay VALUES (2, 10, 20, 'Bob')");
    converge(&[&a, &b, &c, &d]);
    a.session().run("UPDATE shop.stay SET begins = 18 WHERE id = 2");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.stay SET ends = 12 WHERE id = 2");
    c.session().run("DELETE FROM shop.stay WHERE id = 1; ALTER TABLE shop.stay ADD CONSTRAINT long_ CHECK (begins + 10 <= ends)");
    converge(&[&a, &b, &c, &d]);
    for node in [&a, &b, &c, &d] {
        assert_eq!(node.session().rows("SELECT COUNT(*) FROM shop.stay"), ["0"]);
        let waits = "SELECT row_key, `column`, rule FROM p2pdb.conflicts ORDER BY 1, 2";
        assert_eq!(node.session().rows(waits), ["2|begins,ends|check", "2|begins,ends|check"]);
    }
    d.session().run("ALTER TABLE shop.stay DROP CHECK long_");
    converge(&[&a, &b, &c, &d]);
    for node in [&a, &b, &c, &d] {
        assert_eq!(node.session().rows("SELECT begins, ends FROM shop.stay"), ["10|12"]);
    }
}

fn stay_alone(node: &Node, row: &str) {
    assert_eq!(node.session().rows("SELECT begins, ends, guest FROM shop.stay"), [row]);
}

#[test]
fn increments_beside_what_a_check_joins_decide_it_on_every_node_alike() {
    // Room that a counter gives, in whatever order the blocks come.
    let (a, b) = two();
    a.session().run(
        "CREATE TABLE shop.stay (id INT PRIMARY KEY, begins INT, ends INT, guest VARCHAR(20), \
             n INT DEFAULT 0 COMMENT '[counter]', CHECK (begins < ends + n)); \
         INSERT INTO shop.stay (id, begins, ends, guest) VALUES (1, 10, 20, 'Ann')",
    );
    b.fetch(&a);
    let c = a.join(3);
    let d = a.join(4);
    a.session().run("UPDATE shop.stay SET begins = 18");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.stay SET ends = 12");
    c.session().run("UPDATE shop.stay SET n = n + 10");
    d.fetch(&c);
    d.fetch(&a);
    d.fetch(&b);
    b.fetch(&a);
    stay_alone(&b, "10|12|Ann");
    converge(&[&a, &b, &c, &d]);
    stay(&a, &b, "18|12|Ann", &[]);
    stay(&c, &d, "18|12|Ann", &[]);
    // And takes again: what one alone had still holds.
    c.session().run("UPDATE shop.stay SET n = n - 2");
    a.session().run("UPDATE shop.stay SET n = n - 2");
    converge(&[&a, &b, &c, &d]);
    for node in [&a, &b, &c, &d] {
        assert_eq!(node.session().rows("SELECT begins, ends, n FROM shop.stay"), ["10|12|6"]);
    }
}

#[test]
fn a_row_that_a_new_check_or_not_null_or_type_does_not_allow_waits_in_conflicts() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.visit (id INT PRIMARY KEY, age INT, name VARCHAR(20))");
    b.fetch(&a);
    a.session().run("ALTER TABLE shop.visit ADD CONSTRAINT grown CHECK (age >= 18)");
    a.session().run("ALTER TABLE shop.visit MODIFY name VARCHAR(5) NOT NULL");
    b.session().run(
        "INSERT INTO shop.visit VALUES (1, 17, 'Ann'), (2, 20, NULL), (3, 30, 'Alexander'), (4, 40, 'Bob')",
    );
    converge(&[&a, &b]);
    let rows = "SELECT id, age, name FROM shop.visit ORDER BY id";
    let (shown, conflicts) = seen(&a, &b, rows);
    assert_eq!(shown, ["4|40|Bob"]);
    assert_eq!(conflicts, ["1|age|check", "2|name|not null", "3|name|type"]);
    // They come back when nothing stands against them.
    b.session().run("ALTER TABLE shop.visit DROP CHECK grown");
    a.session().run("ALTER TABLE shop.visit MODIFY name VARCHAR(20)");
    converge(&[&a, &b]);
    let (shown, conflicts) = seen(&a, &b, rows);
    assert_eq!(shown, ["1|17|Ann", "2|20|NULL", "3|30|Alexander", "4|40|Bob"]);
    assert!(conflicts.is_empty(), "{conflicts:?}");
}

#[test]
fn a_row_that_fails_itself_holds_neither_unique_values_nor_children() {
    let (a, b) = two();
    a.session().run(
        "CREATE TABLE shop.room (id INT PRIMARY KEY, door INT UNIQUE, beds INT);
         CREATE TABLE shop.bed (id INT PRIMARY KEY, room INT, FOREIGN KEY (room) REFERENCES room (id))",
    );
    b.fetch(&a);
    a.session().run("ALTER TABLE shop.room ADD CONSTRAINT some CHECK (beds > 0)");
    a.session().run("INSERT INTO shop.room VALUES (2, 7, 1)");
    // Written first, so it would own door 7.
    b.session().run("INSERT INTO shop.room VALUES (1, 7, 0); INSERT INTO shop.bed VALUES (10, 1)");
    converge(&[&a, &b]);
    let rows = "SELECT id FROM shop.room UNION ALL SELECT id FROM shop.bed ORDER BY id";
    let (shown, conflicts) = seen(&a, &b, rows);
    assert_eq!(shown, ["2"]);
    assert_eq!(conflicts, ["1|beds|check", "10|room|reference"]);
    // It would take the other one's place.
    assert_eq!(a.session().error("ALTER TABLE shop.room DROP CHECK some"), 1062);
    a.session().run("DELETE FROM shop.room WHERE id = 2");
    converge(&[&a, &b]);
    a.session().run("ALTER TABLE shop.room DROP CHECK some");
    b.session().run("INSERT INTO shop.room VALUES (3, 7, 1)");
    converge(&[&a, &b]);
    let (shown, conflicts) = seen(&a, &b, rows);
    assert_eq!(shown, ["1", "10"]);
    assert_eq!(conflicts, ["3|door|unique"]);
}

#[test]
fn a_client_waits_for_what_it_has_written_elsewhere() {
    let (a, b) = two();
    let written =
        a.session().run("INSERT INTO shop.till VALUES (9, 'fig', 1, 1)").gtid.expect("a commit has a GTID");
    let wait = |n: &Node, seconds: &str| {
        n.session().rows(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{written}', {seconds})"))
    };
    assert_eq!(wait(&a, "1"), ["0"]);
    assert_eq!(b.session().rows(&format!("SELECT GTID_SUBSET('{written}', @@gtid_executed)")), ["0"]);
    assert_eq!(b.session().error("SELECT WAIT_FOR_EXECUTED_GTID_SET('nothing', 1)"), 1772);
    assert_eq!(b.session().error(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{written}', -1)")), 1210);
    assert_eq!(b.session().rows("SELECT WAIT_FOR_EXECUTED_GTID_SET(NULL)"), ["NULL"]);
    let mut waiting = b.session();
    std::thread::scope(|threads| {
        let query = format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{written}')");
        let waiter = threads.spawn(move || {
            let answer = waiting.rows(&query);
            (answer, waiting.rows("SELECT name FROM shop.till WHERE id = 9"))
        });
        while b.session().rows("SHOW PROCESSLIST").iter().all(|p| !p.contains("WAIT_FOR_EXECUTED")) {
            std::thread::yield_now();
        }
        b.fetch(&a);
        assert_eq!(waiter.join().expect("an answer"), (vec!["0".to_owned()], vec!["fig".to_owned()]));
    });
    converge(&[&a, &b]);
    let executed = |n: &Node| n.session().rows("SELECT @@gtid_executed").concat();
    assert_eq!(executed(&a), executed(&b));
    let left = format!("SELECT GTID_SUBTRACT(@@gtid_executed, '{}')", executed(&a));
    assert_eq!(b.session().rows(&left), [""]);
    // What is not there yet, and does not come.
    let later = written.rsplit_once(':').map(|(uuid, _)| format!("{uuid}:1000")).expect("a GTID");
    let mut s = b.session();
    assert_eq!(s.rows(&format!("SELECT WAIT_FOR_EXECUTED_GTID_SET('{later}', 0.000001)")), ["1"]);
}

#[test]
fn a_column_of_another_type_takes_what_was_written_in_the_old_one() {
    let (a, b) = two();
    let mut s = a.session();
    s.run("ALTER TABLE shop.till MODIFY price VARCHAR(3) NOT NULL DEFAULT '0', MODIFY stock DECIMAL(8,2)");
    assert_eq!(s.rows("SELECT price, stock FROM shop.till ORDER BY id"), ["10|100.00", "20|200.00"]);
    drop(s);
    // The other node knows nothing of it yet.
    b.session().run("INSERT INTO shop.till VALUES (3, 'plum', 30, 300), (4, 'fig', 4000, 400)");
    b.session().run("UPDATE shop.till SET stock = 99 WHERE id = 1");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let mut s = n.session();
        let rows = s.rows("SELECT id, price, stock FROM shop.till ORDER BY id");
        assert_eq!(rows, ["1|10|99.00", "2|20|200.00", "3|30|300.00"]);
        // No VARCHAR(3) holds it: the row waits.
        assert_eq!(s.rows("SELECT row_key, rule FROM p2pdb.conflicts"), ["4|type"]);
    }
    b.session().run("ALTER TABLE shop.till MODIFY price VARCHAR(10)");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let mut s = n.session();
        assert_eq!(s.rows("SELECT price, stock FROM shop.till WHERE id = 4"), ["4000|400.00"]);
        assert_eq!(s.rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
    }
    let report = a.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
    assert!(report.is_clean(), "{:#?}", report.findings);
}

#[test]
fn two_changes_of_one_columns_type_leave_the_later_one() {
    let (a, b) = two();
    a.session().run("ALTER TABLE shop.till MODIFY price TINYINT");
    a.session().run("UPDATE shop.till SET price = 5 WHERE id = 2");
    b.clock.advance_ms(5_000);
    b.session().run("ALTER TABLE shop.till MODIFY price VARCHAR(10)");
    b.session().run("UPDATE shop.till SET price = 'ten' WHERE id = 1");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(n.session().rows("SELECT price FROM shop.till ORDER BY id"), ["ten", "5"]);
    }
}

/// Members are told apart by their names: what was written under one list of them never turns into a member of another.
#[test]
fn members_that_two_sides_add_to_an_enum_or_set_keep_their_meaning() {
    let (a, b) = support::two(
        "CREATE TABLE shirt (id INT PRIMARY KEY, size ENUM('s','m'), worn SET('home','work')); \
         INSERT INTO shirt VALUES (1, 's', 'home'), (2, 'm', 'home,work')",
    );
    a.session().run(
        "ALTER TABLE shop.shirt MODIFY size ENUM('s','m','l'), MODIFY worn SET('home','work','sport'); \
         INSERT INTO shop.shirt VALUES (3, 'l', 'home'), (4, 's', 'work,sport'); \
         UPDATE shop.shirt SET size = 'l' WHERE id = 2",
    );
    b.clock.advance_ms(5_000);
    b.session().run(
        "ALTER TABLE shop.shirt MODIFY size ENUM('xs','s','m','xl'), MODIFY worn SET('work','home','party'); \
         INSERT INTO shop.shirt VALUES (5, 'xl', 'party'), (6, 'xs', 'work')",
    );
    converge(&[&a, &b]);
    // The later list holds; a row with a member that it lacks waits.
    let shirts = "SELECT id, size, worn FROM shop.shirt ORDER BY id";
    let waiting = "SELECT row_key, rule FROM p2pdb.conflicts ORDER BY row_key";
    let shown = ["1|s|home", "5|xl|party", "6|xs|work"];
    assert_eq!(support::both(&a, &b, shirts), shown);
    assert_eq!(support::both(&a, &b, waiting), ["2|type", "3|type", "4|type"]);
    assert_eq!(a.session().error("INSERT INTO shop.shirt VALUES (9, 'l', NULL)"), 1265);
    support::verified(&[&a, &b]);
    // Whoever says all members has all rows, whatever the order.
    a.session().run(
        "ALTER TABLE shop.shirt MODIFY size ENUM('xl','l','m','s','xs'), \
         MODIFY worn SET('party','sport','work','home')",
    );
    converge(&[&a, &b]);
    let all = ["1|s|home", "2|l|work,home", "3|l|home", "4|s|sport,work", "5|xl|party", "6|xs|work"];
    assert_eq!(support::both(&a, &b, shirts), all);
    assert_eq!(support::both(&a, &b, "SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
    support::verified(&[&a, &b]);
}

#[test]
fn a_check_that_fails_on_the_values_of_a_merged_row_puts_it_aside() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.big (id INT PRIMARY KEY, n BIGINT, doc VARCHAR(20))");
    b.fetch(&a);
    a.session().run("ALTER TABLE shop.big ADD CHECK (n * 1000000000 < 5000)");
    a.session().run("ALTER TABLE shop.big ADD CHECK (JSON_EXTRACT(doc, '$.a') > 0)");
    b.session().run(
        "INSERT INTO shop.big VALUES (1, 10000000000, NULL), (2, 1, 'no JSON'), (3, NULL, '{\"a\": 1}')",
    );
    converge(&[&a, &b]);
    let (shown, conflicts) = seen(&a, &b, "SELECT id FROM shop.big");
    assert_eq!(shown, ["3"]);
    assert_eq!(conflicts, ["1|n|check", "2|doc|check", "2|n|check"]);
    // Such a row goes nowhere where the CHECK is known.
    for row in ["(4, 10000000000, NULL)", "(4, 1, 'no JSON')", "(4, 9, NULL)"] {
        assert_eq!(a.session().error(&format!("INSERT INTO shop.big VALUES {row}")), 3819, "{row}");
    }
}

#[test]
fn a_check_means_the_same_where_it_is_written_and_where_it_is_merged() {
    let (a, b) = two();
    a.session()
        .run("CREATE TABLE shop.shift (id INT PRIMARY KEY, t INT, CHECK (HOUR(FROM_UNIXTIME(t)) < 12))");
    b.fetch(&a);
    let mut s = a.session();
    s.run("SET time_zone = '+10:00'");
    // 05:00 there, 19:00 in UTC.
    assert_eq!(s.error("INSERT INTO shop.shift VALUES (1, 68400)"), 3819);
    // 19:00 there, 09:00 in UTC.
    s.run("INSERT INTO shop.shift VALUES (2, 32400)");
    converge(&[&a, &b]);
    assert_eq!(seen(&a, &b, "SELECT id FROM shop.shift"), (vec!["2".to_owned()], vec![]));
}

#[test]
fn a_check_holds_for_a_column_that_was_renamed_elsewhere() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.guest (id INT PRIMARY KEY, age INT)");
    b.fetch(&a);
    a.session().run("ALTER TABLE shop.guest RENAME COLUMN age TO years");
    b.session().run("ALTER TABLE shop.guest ADD CONSTRAINT grown CHECK (age >= 18)");
    converge(&[&a, &b]);
    assert_eq!(a.session().error("INSERT INTO shop.guest VALUES (1, 17)"), 3819);
    b.session().run("INSERT INTO shop.guest VALUES (2, 30)");
    assert_eq!(b.session().error("UPDATE shop.guest SET years = 3 WHERE id = 2"), 3819);
    converge(&[&a, &b]);
    let (shown, _) = seen(&a, &b, "SELECT id, years FROM shop.guest ORDER BY id");
    assert_eq!(shown, ["2|30"]);
}

#[test]
fn conflicts_are_shown_however_many_they_are() {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run("CREATE DATABASE d; CREATE TABLE d.p (id INT PRIMARY KEY); SET foreign_key_checks = 0");
    s.run("CREATE TABLE d.c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES d.p (id))");
    let rows: Vec<String> = (0..10_500).map(|n| format!("({n}, {n})")).collect();
    s.run(&format!("INSERT INTO d.c VALUES {}", rows.join(", ")));
    assert_eq!(s.rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["10500"]);
    assert_eq!(s.rows("SELECT COUNT(*) FROM p2pdb.conflicts WHERE row_key = '10499'"), ["1"]);
}

#[test]
fn tables_that_differ_are_an_alarm_until_they_are_equal_or_the_peer_is_no_member() {
    let a = Node::begin(1);
    let mine = || {
        let status = a.engine.status();
        let bytes =
            |hex: &str| p2pdb_model::ids::unhex(hex).and_then(|b| b.try_into().ok()).expect("32 bytes");
        StateProof { frontier: bytes(&status.frontier_digest), fingerprint: bytes(&status.fingerprint) }
    };
    let other = |state: StateProof| StateProof { fingerprint: [7; 32], ..state };
    let alarm = || a.engine.status().alarm;
    assert!(!a.engine.compare("b", &mine()) && alarm().is_none());
    assert!(a.engine.compare("b", &other(mine())) && a.engine.compare("c", &other(mine())));
    assert!(alarm().is_some_and(|why| why.contains("the tables differ from those of b")));
    let nowhere = StateProof { frontier: [9; 32], fingerprint: [9; 32] };
    assert!(!a.engine.compare("b", &nowhere) && alarm().is_some(), "nothing is known of that frontier");
    a.session().run("CREATE DATABASE d");
    assert!(!a.engine.compare("b", &mine()));
    assert!(alarm().is_some_and(|why| why.contains("those of c")), "the other one's is still there");
    a.engine.forget_compared("c");
    assert_eq!(alarm(), None);
}
