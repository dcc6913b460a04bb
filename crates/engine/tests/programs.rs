//! What stored programs do in one session of one node, where that is more than the values that `node/tests/sqllogic` compares
//! with MySQL: limits, what they leave behind, where they run, how they are ended.

mod support;

use support::{Node, TestSession};

fn node() -> Node {
    let node = Node::begin(1);
    node.session().run(
        "CREATE DATABASE shop; USE shop; CREATE TABLE till (id INT PRIMARY KEY, v INT); CREATE TABLE log (id INT PRIMARY KEY, n INT); \
         CREATE TABLE counter (n INT); INSERT INTO counter VALUES (0); INSERT INTO till VALUES (1, 10), (2, 20)",
    );
    node
}

fn shop(node: &Node) -> TestSession {
    let mut s = node.session();
    s.run("USE shop");
    s
}

/// Counts its calls.
const NEXT: &str = "CREATE FUNCTION next_n() RETURNS INT MODIFIES SQL DATA BEGIN UPDATE counter SET n = n + 1; \
                    RETURN (SELECT n FROM counter); END";

#[test]
fn procedures_that_execute_themselves_are_limited_as_those_that_call_themselves() {
    let node = node();
    for body in ["EXECUTE s", "BEGIN DO 1; EXECUTE s; DO 2; END"] {
        let mut s = shop(&node);
        s.run("CREATE PROCEDURE p() DO 1; PREPARE s FROM 'CALL p()'; DROP PROCEDURE p");
        s.run(&format!("CREATE PROCEDURE p() {body}"));
        assert_eq!(s.error("CALL p()"), 1456);
        s.run("SET max_sp_recursion_depth = 255");
        assert_eq!(s.error("CALL p()"), 1436);
        // By way of another one.
        s.run("CREATE PROCEDURE q() CALL p()");
        s.run("DROP PROCEDURE p; CREATE PROCEDURE p() BEGIN PREPARE r FROM 'CALL q()'; EXECUTE r; END");
        assert_eq!(s.error("CALL p()"), 1436);
        s.run("SET max_sp_recursion_depth = 0");
        assert_eq!(s.error("CALL p()"), 1456);
        // The session is as it was.
        assert_eq!(s.rows("SELECT DATABASE(), COUNT(*) FROM till"), ["shop|2"]);
        s.run("DROP PROCEDURE p; DROP PROCEDURE q");
    }
}

#[test]
fn rows_of_a_statement_that_failed_are_given_to_none_behind_it() {
    let node = node();
    let (mut a, mut b) = (shop(&node), shop(&node));
    a.run("CREATE FUNCTION f() RETURNS INT MODIFIES SQL DATA BEGIN UPDATE till SET v = 5 WHERE id = 1; RETURN 7; END");
    a.run("BEGIN");
    a.rows("SELECT v FROM till WHERE id = 1");
    b.run("UPDATE till SET v = 9 WHERE id = 1");
    assert_eq!(a.error("SELECT f()"), 1213);
    for sql in ["ROLLBACK", "SET @x = 1", "INSERT INTO till VALUES (3, 30)"] {
        let (outcome, rows) = a.try_run(sql).expect("ends well");
        assert!(!outcome.has_rows && rows.columns.is_empty(), "{sql}");
    }
    assert_eq!(a.rows("SELECT f()"), ["7"]);
}

#[test]
fn a_function_that_writes_is_called_once_and_falls_with_its_statement() {
    let node = node();
    let mut s = shop(&node);
    s.run(NEXT);
    s.run("CREATE TRIGGER t AFTER INSERT ON till FOR EACH ROW INSERT INTO log VALUES (NEW.id, next_n())");
    s.run("INSERT INTO till VALUES (3, 30)");
    assert_eq!(s.rows("SELECT * FROM log"), ["3|1"]);
    assert_eq!(s.rows("SELECT n FROM counter"), ["1"]);
    s.run("DROP TRIGGER t");
    s.run(
        "CREATE TRIGGER t AFTER INSERT ON till FOR EACH ROW BEGIN DECLARE CONTINUE HANDLER FOR 1062 SET @e = 1062; \
         INSERT INTO log VALUES (3, next_n()); END",
    );
    s.run("INSERT INTO till VALUES (4, 40)");
    assert_eq!(s.rows("SELECT @e, n FROM counter"), ["1062|1"], "what failed was taken back");
    // Where a query calls it, and in a cursor.
    s.run("CREATE FUNCTION g() RETURNS INT MODIFIES SQL DATA BEGIN DECLARE x INT; SELECT next_n() INTO x; RETURN x; END");
    assert_eq!(s.rows("SELECT g()"), ["2"]);
    s.run(
        "CREATE FUNCTION h() RETURNS INT MODIFIES SQL DATA BEGIN DECLARE x INT; DECLARE c CURSOR FOR SELECT next_n(); OPEN c; \
         FETCH c INTO x; CLOSE c; RETURN x; END",
    );
    assert_eq!(s.rows("SELECT h()"), ["3"]);
    s.run(
        "CREATE PROCEDURE p() BEGIN DECLARE x INT; DECLARE c CURSOR FOR SELECT next_n() + 0 AS n; OPEN c; FETCH c INTO x; \
         SELECT x; END",
    );
    assert_eq!(s.rows("CALL p()"), ["4"]);
    assert_eq!(s.rows("SELECT n FROM counter"), ["4"]);
}

#[test]
fn what_may_run_for_long_says_so() {
    let node = node();
    let mut s = shop(&node);
    s.run("CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1");
    s.run(NEXT);
    s.run("PREPARE long_one FROM 'SELECT f()'; PREPARE short_one FROM 'SELECT 1'; PREPARE long_set FROM 'SET @y = f()'");
    assert_eq!(s.error("PREPARE itself FROM 'EXECUTE itself'"), 1295);
    s.run("CREATE PROCEDURE p() DO 1; PREPARE called FROM 'CALL p()'");
    let mut long = |sql: &str| {
        let statement = s.session.prepare(sql).expect(sql);
        s.session.is_long(&statement)
    };
    for sql in [
        "SELECT f()",
        "SELECT id FROM till WHERE id = f()",
        "SET @x = f()",
        "SET @x = 1, @y = f() + 1",
        "SET @x = (SELECT COUNT(*) FROM till)",
        "SET sql_mode = (SELECT MAX(v) FROM till)",
        "EXECUTE long_one",
        "EXECUTE long_set",
        "EXECUTE called",
        "CALL p()",
    ] {
        assert!(long(sql), "{sql}");
    }
    for sql in ["SELECT 1", "SET @x = 1", "SET @x = 1 + 1", "EXECUTE short_one", "BEGIN"] {
        assert!(!long(sql), "{sql}");
    }
    // At the writer of another thread, unless the transaction holds it.
    assert!(!long("SELECT next_n()") && !long("INSERT INTO log VALUES (1, next_n())"));
    s.run("BEGIN; INSERT INTO log VALUES (9, 9)");
    for sql in ["SELECT next_n()", "INSERT INTO log VALUES (1, next_n())", "INSERT INTO log SELECT f(), 1"] {
        let statement = s.session.prepare(sql).expect(sql);
        assert!(s.session.is_long(&statement), "{sql}");
    }
}

#[test]
fn a_program_leaves_the_database_of_the_session_as_it_was() {
    let node = node();
    shop(&node).run(
        "CREATE PROCEDURE p() INSERT INTO till VALUES (3, 30); CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1; \
         CREATE TRIGGER t BEFORE UPDATE ON till FOR EACH ROW SET NEW.v = NEW.v + 1",
    );
    let mut s = node.session();
    for sql in ["CALL shop.p()", "SELECT shop.f()", "UPDATE shop.till SET v = 1 WHERE id = 1"] {
        s.run(sql);
        assert_eq!(s.rows("SELECT DATABASE()"), ["NULL"], "{sql}");
    }
    s.run("CREATE DATABASE other; USE other");
    for sql in ["SELECT shop.f()", "UPDATE shop.till SET v = 1 WHERE id = 1"] {
        s.run(sql);
        assert_eq!(s.rows("SELECT DATABASE()"), ["other"], "{sql}");
    }
}

#[test]
fn a_cursor_does_what_a_statement_does() {
    let node = node();
    let (mut a, mut b) = (shop(&node), shop(&node));
    a.run("CREATE TEMPORARY TABLE own (id INT); INSERT INTO own VALUES (5), (6)");
    a.run(
        "CREATE PROCEDURE sum_own() BEGIN DECLARE x, s INT DEFAULT 0; DECLARE done BOOL DEFAULT FALSE; \
         DECLARE c CURSOR FOR SELECT id FROM own; DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE; OPEN c; \
         REPEAT FETCH c INTO x; IF NOT done THEN SET s = s + x; END IF; UNTIL done END REPEAT; SELECT s; END",
    );
    assert_eq!(a.rows("CALL sum_own()"), ["11"]);
    a.run("START TRANSACTION; INSERT INTO log VALUES (1, 1)");
    assert_eq!(a.rows("CALL sum_own()"), ["11"]);
    a.run("ROLLBACK");
    // ROW_COUNT() is not its own, FOUND_ROWS() is.
    a.run(
        "CREATE PROCEDURE count_rows() BEGIN DECLARE c CURSOR FOR SELECT id FROM own; UPDATE till SET v = v + 1; OPEN c; \
         SELECT ROW_COUNT(), FOUND_ROWS(); END",
    );
    assert_eq!(a.rows("CALL count_rows()"), ["2|2"]);
    // It answers calls, and waits where they wait.
    a.run(
        "CREATE PROCEDURE take() BEGIN DECLARE x INT; DECLARE c CURSOR FOR SELECT GET_LOCK('a', 0) + 1; OPEN c; FETCH c INTO x; \
         SELECT x; END",
    );
    assert_eq!(a.rows("CALL take()"), ["2"]);
    assert_eq!(b.rows("SELECT IS_FREE_LOCK('a')"), ["0"]);
    assert_eq!(b.rows("CALL take()"), ["1"]);
}

#[test]
fn the_rows_of_all_open_cursors_of_a_session_are_limited_together() {
    let node = node();
    let mut s = shop(&node);
    let cursor = |n| format!("DECLARE c{n} CURSOR FOR SELECT REPEAT('x', 30000000)");
    let open = |text: &str| format!("BEGIN {}; {}; {}; {text} END", cursor(1), cursor(2), cursor(3));
    s.run(&format!("CREATE PROCEDURE three() {}", open("OPEN c1; OPEN c2; OPEN c3;")));
    s.run(&format!(
        "CREATE PROCEDURE two() {}",
        open("OPEN c1; OPEN c2; CLOSE c1; OPEN c3; CLOSE c2; OPEN c1;")
    ));
    s.run(&format!("CREATE PROCEDURE inner_one() {}", open("OPEN c1;")));
    s.run(&format!("CREATE PROCEDURE nested() {}", open("OPEN c1; OPEN c2; CALL inner_one();")));
    for _ in 0..3 {
        assert_eq!(s.error("CALL three()"), 1114);
        s.run("CALL two()");
        assert_eq!(s.error("CALL nested()"), 1114);
    }
}

#[test]
fn a_kill_that_comes_while_temporary_tables_are_written_leaves_them() {
    let node = node();
    let mut s = shop(&node);
    s.run(
        "CREATE TEMPORARY TABLE own (id INT); SET cte_max_recursion_depth = 3000; INSERT INTO own WITH RECURSIVE r (n) AS (SELECT 1 \
         UNION ALL SELECT n + 1 FROM r WHERE n < 3000) SELECT 0 FROM r",
    );
    s.run(
        "CREATE PROCEDURE p() BEGIN DECLARE x INT; SET x = (SELECT COUNT(*) FROM till); UPDATE own SET id = id + x; END",
    );
    let id: u64 = s.rows("SELECT CONNECTION_ID()")[0].parse().expect("a number");
    // At every look at the clock that is made meanwhile.
    for look in 0..40 {
        s.run("BEGIN; CALL p()");
        let engine = node.engine.clone();
        node.clock.at_look(look, move || {
            engine.kill(id, true);
        });
        let ended = s.try_run("CALL p()").map(|_| ()).map_err(|e| e.code);
        assert!(matches!(ended, Ok(()) | Err(1317)), "look {look}: {ended:?}");
        node.clock.at_look(usize::MAX, || ());
        s.run("COMMIT");
        assert_eq!(s.rows("SELECT COUNT(*), MIN(id) = MAX(id) FROM own"), ["3000|1"], "look {look}");
    }
}

#[test]
fn a_temporary_table_that_only_a_program_names_is_refused_by_name_at_the_writer() {
    let node = node();
    let mut s = shop(&node);
    s.run("CREATE TEMPORARY TABLE own (id INT); INSERT INTO own VALUES (5)");
    s.run("CREATE FUNCTION count_own() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM own)");
    s.run("CREATE TRIGGER t AFTER INSERT ON till FOR EACH ROW SET @n = (SELECT COUNT(*) FROM own)");
    // Where the statement runs on the session's own connection the table is at hand.
    assert_eq!(s.rows("SELECT count_own()"), ["1"]);
    let e = s.try_run("INSERT INTO till VALUES (3, 30)").map(|_| ()).expect_err("not there");
    assert_eq!((e.code, e.message.contains("temporary table 'own'")), (1235, true), "{}", e.message);
    s.run("BEGIN; INSERT INTO log VALUES (1, 1)");
    let e = s.try_run("SELECT count_own()").map(|_| ()).expect_err("not there");
    assert_eq!((e.code, e.message.contains("temporary table 'own'")), (1235, true), "{}", e.message);
    // One that the statement names, too, is copied there.
    assert_eq!(s.rows("SELECT count_own() FROM own"), ["1"]);
    s.run("ROLLBACK");
}

#[test]
fn the_ok_of_a_call_says_what_session_tracking_says_of_its_statements() {
    let node = node();
    let mut s = shop(&node);
    s.run("CREATE PROCEDURE p() BEGIN INSERT INTO till VALUES (3, 30); SET SESSION sort_buffer_size = 65536; DO 1; END");
    let outcome = s.run("CALL p()");
    let gtid = outcome.gtid.expect("the commit inside has one");
    assert!(s.rows("SELECT @@gtid_executed")[0].contains(gtid.split(':').next().expect("a UUID")));
    assert_eq!(outcome.variables_changed, [("sort_buffer_size".to_owned(), "65536".to_owned())]);
    s.run("CREATE PROCEDURE q() INSERT INTO till VALUES (4, 40); PREPARE s FROM 'CALL q()'; CREATE PROCEDURE r() EXECUTE s");
    assert!(s.run("CALL r()").gtid.is_some());
    s.run("CREATE PROCEDURE n() DO 1");
    assert_eq!(s.run("CALL n()").gtid, None);
}

#[test]
fn what_would_run_for_ever_can_be_stopped() {
    let node = node();
    let mut s = shop(&node);
    s.run(
        "CREATE PROCEDURE for_ever() BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; LOOP DO 1; END LOOP; END; \
         CREATE FUNCTION f_ever() RETURNS INT DETERMINISTIC BEGIN LOOP SET @n = 1; END LOOP; RETURN 1; END; \
         CREATE FUNCTION two(x INT) RETURNS INT DETERMINISTIC RETURN x * 2; \
         CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW BEGIN LOOP SET NEW.n = 1; END LOOP; END",
    );
    let id: u64 = s.rows("SELECT CONNECTION_ID()")[0].parse().expect("a number");
    for sql in ["CALL for_ever()", "SELECT f_ever()", "INSERT INTO log VALUES (1, 1)", "SET @x = f_ever()"] {
        // At some look at the clock in the middle of it: each statement of a program looks.
        let engine = node.engine.clone();
        node.clock.at_look(300, move || {
            engine.kill(id, true);
        });
        s.run("SET max_execution_time = 1000000");
        assert_eq!(s.error(sql), 1317, "{sql}");
        // The clock moves a microsecond at each look.
        s.run("SET max_execution_time = 1");
        assert_eq!(s.error(sql), 3024, "{sql}");
    }
    // Also where each program is over soon.
    s.run("SET max_execution_time = 0; CREATE TABLE many (a INT)");
    s.run("INSERT INTO many WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 900) SELECT n FROM r");
    s.run("INSERT INTO many SELECT a FROM many; SET max_execution_time = 1");
    assert_eq!(s.error("SELECT SUM(two(a)) FROM many"), 3024);
    s.run("SET max_execution_time = 0");
    assert_eq!(s.rows("SELECT SUM(two(a)) FROM many"), ["1621800"]);
}

#[test]
fn a_reset_session_has_nothing_of_what_ran_in_it() {
    let node = node();
    let mut s = shop(&node);
    s.run("CREATE PROCEDURE p() BEGIN DECLARE x INT DEFAULT 1; SELECT x; SIGNAL SQLSTATE '45000'; END");
    assert_eq!(s.error("CALL p()"), 1644);
    s.run("CREATE TEMPORARY TABLE own (id INT); BEGIN; INSERT INTO till VALUES (9, 9)");
    s.session.reset();
    assert_eq!(s.rows("SELECT DATABASE()"), ["shop"]);
    assert_eq!(s.error("SELECT * FROM own"), 1146);
    assert_eq!(s.rows("SELECT COUNT(*) FROM till"), ["2"]);
    assert_eq!(s.error("CALL p()"), 1644);
}

#[test]
fn names_are_in_sight_in_their_block_and_there_may_be_many() {
    let node = node();
    let mut s = shop(&node);
    s.run(
        "CREATE PROCEDURE p(x INT) BEGIN DECLARE y INT DEFAULT 1; BEGIN DECLARE x, z INT DEFAULT 2; SET y = y + x + z; END; \
         BEGIN DECLARE z INT DEFAULT 10; SET y = y + x + z; END; CASE x WHEN 100 THEN SET y = y + x; END CASE; SELECT y; END",
    );
    assert_eq!(s.rows("CALL p(100)"), ["215"]);
    let declared: String = (1..1_000).map(|i| format!("DECLARE v{i} INT DEFAULT v{} + 1; ", i - 1)).collect();
    s.run(&format!("CREATE PROCEDURE q(v0 INT) BEGIN {declared} SELECT v999, v0; END"));
    assert_eq!(s.rows("CALL q(1)"), ["1000|1"]);
}
