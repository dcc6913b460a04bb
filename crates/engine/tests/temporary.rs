//! Temporary tables are a session's own: `docs/transactions.md`, Temporary tables.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use p2pdb_engine::SessionOptions;
use support::Node;

fn node() -> Node {
    let node = Node::begin(1);
    node.session().run(
        "CREATE DATABASE d; CREATE TABLE d.p (id INT PRIMARY KEY, v INT); INSERT INTO d.p VALUES (1, 10), (2, 20)",
    );
    node
}

const LEVELS: [&str; 4] = ["READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

#[test]
fn who_writes_only_temporary_tables_waits_for_nobody_and_leaves_nothing_in_the_log() {
    let node = node();
    let (mut a, mut b) = (node.session(), node.session());
    // `a` holds the writer from here on.
    a.run("BEGIN; UPDATE d.p SET v = 11 WHERE id = 1");
    let blocks = node.engine.counters().blocks_made.load(Ordering::Relaxed);
    b.run(
        "CREATE TEMPORARY TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT, KEY (v)); \
         INSERT INTO d.t (v) SELECT v FROM d.p; \
         BEGIN; UPDATE d.t SET v = v + 1; DELETE FROM d.t WHERE id = 1; REPLACE INTO d.t VALUES (2, 7); COMMIT; \
         ALTER TABLE d.t ADD w INT DEFAULT 3; CREATE INDEX w ON d.t (w)",
    );
    assert_eq!(b.rows("SELECT t.*, p.id FROM d.t AS t JOIN d.p AS p USING (id)"), ["2|7|3|2"]);
    b.run("TRUNCATE TABLE d.t; DROP TABLE d.t");
    assert_eq!(node.engine.counters().blocks_made.load(Ordering::Relaxed), blocks);
    a.run("COMMIT");
    assert_eq!(b.rows("SELECT v FROM d.p ORDER BY id"), ["11", "20"]);
}

#[test]
fn rollback_takes_rows_back_at_every_level_before_and_after_the_first_write_elsewhere() {
    let node = node();
    for level in LEVELS {
        let mut a = node.session();
        a.run(&format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"));
        a.run(
            "CREATE TEMPORARY TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 1), (2, 2)",
        );
        let before = a.rows("SELECT * FROM d.t ORDER BY id");
        a.run("BEGIN; INSERT INTO d.t VALUES (3, 3)");
        a.rows("SELECT * FROM d.p");
        a.run("UPDATE d.t SET v = v * 10; SAVEPOINT s");
        let middle = a.rows("SELECT * FROM d.t ORDER BY id");
        a.run("INSERT INTO d.p VALUES (3, 30); DELETE FROM d.t WHERE id = 2; SAVEPOINT r");
        a.run("UPDATE d.t JOIN d.p USING (id) SET d.t.v = d.p.v, d.p.v = d.p.v + 1");
        assert_eq!(a.rows("SELECT * FROM d.t ORDER BY id"), ["1|10", "3|30"], "{level}");
        a.run("ROLLBACK TO r");
        assert_eq!(a.rows("SELECT * FROM d.t ORDER BY id"), ["1|10", "3|30"], "{level}");
        a.run("ROLLBACK TO s");
        assert_eq!(a.rows("SELECT * FROM d.t ORDER BY id"), middle, "{level}");
        assert_eq!(a.rows("SELECT COUNT(*) FROM d.p"), ["2"], "{level}");
        a.run("ROLLBACK");
        assert_eq!(a.rows("SELECT * FROM d.t ORDER BY id"), before, "{level}");
    }
}

#[test]
fn a_statement_that_fails_takes_back_only_itself_wherever_it_ran() {
    let node = node();
    let mut a = node.session();
    a.run("CREATE TEMPORARY TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 1)");
    a.run("BEGIN; INSERT INTO d.t VALUES (2, 2)");
    assert_eq!(a.error("INSERT INTO d.t VALUES (3, 3), (1, 9)"), 1062);
    a.run("UPDATE d.p SET v = 0 WHERE id = 1");
    assert_eq!(a.error("INSERT INTO d.t SELECT id + 2 - (id = 2) * 3, v FROM d.p"), 1062);
    assert_eq!(a.error("INSERT INTO d.p SELECT id, v FROM d.t"), 1062);
    a.run("COMMIT");
    assert_eq!(a.rows("SELECT * FROM d.t ORDER BY id"), ["1|1", "2|2"]);
    assert_eq!(a.error("INSERT INTO d.p SELECT id, v FROM d.t"), 1062);
    a.run("INSERT INTO d.p SELECT id + 10, v FROM d.t");
    assert_eq!(node.session().rows("SELECT id FROM d.p ORDER BY id"), ["1", "2", "11", "12"]);
}

#[test]
fn what_was_read_of_others_tables_into_a_temporary_one_counts_as_read() {
    let node = node();
    let (mut a, mut b) = (node.session(), node.session());
    a.run(
        "CREATE TEMPORARY TABLE d.t (id INT, v INT); BEGIN; INSERT INTO d.t SELECT * FROM d.p WHERE id = 1",
    );
    b.run("UPDATE d.p SET v = 99 WHERE id = 1");
    assert_eq!(a.error("UPDATE d.p SET v = 11 WHERE id = 1"), 1213);
    assert!(a.rows("SELECT * FROM d.t").is_empty(), "the transaction was rolled back as a whole");
    // What another session does to a permanent table that a temporary one hides is nothing to this session.
    a.run("CREATE TEMPORARY TABLE d.p (id INT); BEGIN; INSERT INTO d.p VALUES (5)");
    b.run("UPDATE d.p SET v = 98 WHERE id = 1");
    assert_eq!(a.rows("SELECT * FROM d.p"), ["5"]);
    a.run("COMMIT; DROP TABLE d.p");
    assert_eq!(a.rows("SELECT v FROM d.p WHERE id = 1"), ["98"]);
}

#[test]
fn they_survive_changes_of_the_schema_by_others_and_end_with_the_session() {
    let node = node();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("CREATE TEMPORARY TABLE d.t (id INT); INSERT INTO d.t VALUES (1)");
    b.run("ALTER TABLE d.p ADD w INT; CREATE TABLE d.t (other INT)");
    assert_eq!(a.rows("SELECT t.id, p.w IS NULL FROM d.t JOIN d.p USING (id)"), ["1|1"]);
    a.run("INSERT INTO d.p VALUES (7, 70, 700)");
    a.session.reset();
    assert!(a.rows("SELECT other FROM d.t").is_empty());
    a.run("CREATE TEMPORARY TABLE d.t (id INT)");
    let options = SessionOptions {
        user: "root".to_owned(),
        host: "localhost".to_owned(),
        database: None,
        connection_id: 1 << 40,
        attributes: Vec::new(),
    };
    a.session.change_user(&options).expect("the same account");
    assert!(a.rows("SELECT other FROM d.t").is_empty());
    a.run("CREATE TEMPORARY TABLE d.t (id INT)");
    drop(a);
    // Whoever gets the connection beneath finds nothing of it.
    for _ in 0..4 {
        assert!(node.session().rows("SELECT other FROM d.t").is_empty());
    }
}

#[test]
fn a_transaction_that_lost_the_writer_takes_its_rows_back() {
    let node = node();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("CREATE TEMPORARY TABLE d.t (id INT); BEGIN; INSERT INTO d.t VALUES (1); UPDATE d.p SET v = 0");
    // It is idle while the other one waits: whatever the tests' limit is, it is over in the end.
    let clock = node.clock.clone();
    let over = Arc::new(AtomicBool::new(false));
    let seen = over.clone();
    let time = std::thread::spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            clock.advance_ms(100);
            std::thread::yield_now();
        }
    });
    b.run("SET innodb_lock_wait_timeout = 1000000; UPDATE d.p SET v = 1 WHERE id = 1");
    over.store(true, Ordering::Relaxed);
    time.join().expect("the time ends");
    assert_eq!(a.error("SELECT id FROM d.t JOIN d.p USING (id)"), 1213);
    assert!(a.rows("SELECT * FROM d.t").is_empty());
}

#[test]
fn a_table_of_the_same_name_gets_nothing_of_what_a_rollback_writes_back() {
    let node = node();
    for begin in ["BEGIN", "SET autocommit = 0"] {
        let mut a = node.session();
        a.run("USE d; CREATE TEMPORARY TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 2)");
        let make = "CREATE TEMPORARY TABLE t (x INT, y INT)";
        a.run(&format!("{begin}; DELETE FROM t; DROP TEMPORARY TABLE t; {make}; ROLLBACK"));
        assert!(a.rows("SELECT * FROM t").is_empty(), "{begin}");
        // The same by one prepared statement.
        a.run(&format!("COMMIT; DROP TEMPORARY TABLE t; PREPARE s FROM '{make}'"));
        a.run("EXECUTE s; INSERT INTO t VALUES (1, 2); COMMIT");
        a.run(&format!("{begin}; DELETE FROM t; DROP TEMPORARY TABLE t; EXECUTE s; ROLLBACK"));
        assert!(a.rows("SELECT * FROM t").is_empty(), "{begin}");
    }
}

#[test]
fn a_statement_that_the_sessions_own_tables_cannot_repeat_is_taken_back_whole() {
    let node = node();
    let mut a = node.session();
    a.run("USE d; CREATE TEMPORARY TABLE t (id INT, b LONGTEXT); BEGIN; UPDATE p SET v = 21 WHERE id = 2");
    // A transaction takes down no more than 256 MiB of what it does to them.
    for _ in 0..6 {
        a.run("INSERT INTO t VALUES (1, REPEAT('x', 40000000))");
    }
    a.run("DELETE FROM t WHERE id = 0; INSERT INTO t VALUES (2, 'y')");
    assert_eq!(
        a.error("UPDATE t JOIN p USING (id) SET t.b = REPEAT('z', 60000000), p.v = p.v + 1 WHERE id = 2"),
        1197
    );
    assert_eq!(a.rows("SELECT v FROM p ORDER BY id"), ["10", "21"]);
    a.run("COMMIT");
    assert_eq!(a.rows("SELECT v FROM p ORDER BY id"), ["10", "21"]);
    assert_eq!(a.error("SELECT id FROM t"), 1146);
}
