//! Two and three engines that meet again: what each wrote apart is in all of them, and they hold the same tables.

mod support;

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
    }
    // Who has seen both settles it.
    a.session().run("UPDATE shop.till SET price = 13 WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
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
    assert!(plan.contains("SEARCH"), "{plan}");
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
