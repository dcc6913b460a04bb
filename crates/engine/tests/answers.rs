//! What statements answer beside their rows: affected rows, the info text, what clients that track the session hear.

mod support;

use p2pdb_engine::TransactionNews;
use support::{Node, TestSession};

#[test]
fn the_info_text_counts_where_mysqls_does() {
    let node = Node::begin(1);
    let mut s = node.session();
    let none = "";
    let zero = "Records: 0  Duplicates: 0  Warnings: 0";
    for (sql, affected, info) in [
        ("CREATE DATABASE d", 1, none),
        ("CREATE TABLE d.t (id INT PRIMARY KEY, v INT DEFAULT (1 + 1))", 0, none),
        ("CREATE TABLE d.u (id INT)", 0, none),
        ("INSERT INTO d.t VALUES (1, 1)", 1, none),
        ("INSERT INTO d.t VALUES (2, LENGTH(UUID()))", 1, none),
        ("INSERT INTO d.t (id) VALUES (3)", 1, none),
        ("INSERT INTO d.u VALUES ()", 1, none),
        ("INSERT INTO d.t VALUES (4, 1 + 1), (5, 2)", 2, "Records: 2  Duplicates: 0  Warnings: 0"),
        ("INSERT INTO d.u SELECT id FROM d.t WHERE id = 1", 1, "Records: 1  Duplicates: 0  Warnings: 0"),
        ("ALTER TABLE d.t ADD COLUMN w INT", 0, zero),
        ("CREATE INDEX i ON d.t (w)", 0, zero),
        ("DROP INDEX i ON d.t", 0, zero),
        ("ALTER TABLE d.t RENAME TO d.s", 0, none),
        ("DROP DATABASE d", 2, none),
    ] {
        let outcome = s.run(sql);
        assert_eq!((outcome.affected, outcome.info.as_str()), (affected, info), "{sql}");
    }
}

#[test]
fn set_assigns_what_was_there_before_it() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("SET @x = 5, @y = @x + 1");
    assert_eq!(s.rows("SELECT @x, @y"), ["5|NULL"]);
    s.run("SET @x = 7, @z = @x");
    assert_eq!(s.rows("SELECT @x, @z"), ["7|5"]);
    s.run("SET sql_mode = 'ANSI_QUOTES', @old = @@sql_mode, @new = 1");
    assert_eq!(s.rows("SELECT @old LIKE '%STRICT%', @@sql_mode, @new"), ["1|ANSI_QUOTES|1"]);
    // One that fails leaves all as it was.
    assert_eq!(s.error("SET @x = 8, @y = (SELECT 1 UNION SELECT 2)"), 1242);
    assert_eq!(s.rows("SELECT @x"), ["7"]);
}

#[test]
fn set_names_is_tracked_as_the_variables_that_it_sets() {
    let node = Node::begin(1);
    let mut s = node.session();
    let outcome = s.run("SET NAMES latin1");
    let changed: Vec<&str> = outcome.variables_changed.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(changed, ["character_set_client", "character_set_connection", "character_set_results"]);
    assert!(outcome.variables_changed.iter().all(|(_, v)| v == "latin1"), "{outcome:?}");
    let outcome = s.run("SET autocommit = 0");
    assert_eq!(outcome.variables_changed, [("autocommit".to_owned(), "OFF".to_owned())]);
}

#[test]
fn changes_of_the_sessions_state_are_told_where_that_is_asked_for() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; CREATE DATABASE e; USE d");
    assert!(!s.run("SET @a = 1").state_changed, "nobody asked");
    for (sql, told) in [
        ("SET session_track_state_change = ON", false),
        ("SET wait_timeout = 103", true),
        ("SET GLOBAL wait_timeout = 28800", false),
        ("SET NAMES utf8mb4", true),
        ("SET @a = 1", true),
        ("USE e", true),
        ("PREPARE p FROM 'SELECT 1'", true),
        ("EXECUTE p", false),
        ("DEALLOCATE PREPARE p", true),
        ("CREATE TEMPORARY TABLE tt (a INT)", true),
        ("INSERT INTO tt VALUES (1)", false),
        ("DROP TEMPORARY TABLE tt", true),
        ("CREATE TABLE t (a INT)", false),
        ("BEGIN", false),
        ("COMMIT", false),
        ("SET session_track_state_change = OFF", false),
        ("SET @a = 2", false),
    ] {
        assert_eq!(s.run(sql).state_changed, told, "{sql}");
    }
}

#[test]
fn a_database_that_is_dropped_is_left() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; CREATE DATABASE e; USE d");
    let other = s.run("DROP DATABASE e");
    assert_eq!((other.database_dropped, other.schema_changed), (true, None));
    let own = s.run("DROP DATABASE d");
    assert_eq!((own.database_dropped, own.schema_changed), (true, Some(String::new())));
    assert_eq!(s.rows("SELECT DATABASE()"), ["NULL"]);
    assert!(s.run("DROP DATABASE IF EXISTS d").database_dropped);
    assert!(!s.run("CREATE DATABASE d").database_dropped);
}

#[test]
fn a_comment_alone_is_a_statement_that_does_nothing() {
    let node = Node::begin(1);
    let mut s = node.session();
    for sql in ["/*!99999 CREATE TABLE */", "/* c */", "-- c", "# c", "/*!99999 c */;"] {
        assert_eq!(s.run(sql).affected, 0, "{sql}");
    }
    for sql in ["", " ", ";"] {
        assert_eq!(s.error(sql), 1065, "{sql}");
    }
    assert_eq!(s.run("PREPARE p FROM 'SELECT 1'").info, "Statement prepared");
}

#[test]
fn explain_shows_how_a_statement_would_run_and_runs_only_what_is_analyzed() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY k (a)); CREATE TABLE u (id INT PRIMARY KEY)");
    s.run("INSERT INTO t VALUES (1, 10), (2, 20)");
    for (sql, want) in [
        (
            "EXPLAIN SELECT * FROM t AS x WHERE a = 1",
            &["1|SIMPLE|x|NULL|ref|k|k|NULL|NULL|NULL|NULL|Using index"][..],
        ),
        (
            "EXPLAIN SELECT a FROM t ORDER BY a",
            &["1|SIMPLE|t|NULL|index|k|k|NULL|NULL|NULL|NULL|Using index"],
        ),
        ("EXPLAIN SELECT 1", &["1|SIMPLE|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|No tables used"]),
        (
            "EXPLAIN SELECT * FROM u STRAIGHT_JOIN t ON t.id = u.id ORDER BY t.a + 1",
            &[
                "1|SIMPLE|u|NULL|ALL|NULL|NULL|NULL|NULL|NULL|NULL|Using filesort",
                "1|SIMPLE|t|NULL|eq_ref|PRIMARY|PRIMARY|NULL|NULL|NULL|NULL|NULL",
            ],
        ),
        (
            "EXPLAIN UPDATE t SET a = 5 WHERE id = 1",
            &["1|UPDATE|t|NULL|eq_ref|PRIMARY|PRIMARY|NULL|NULL|NULL|NULL|NULL"],
        ),
        ("EXPLAIN DELETE FROM t WHERE a > 1", &["1|DELETE|t|NULL|range|k|k|NULL|NULL|NULL|NULL|NULL"]),
        ("EXPLAIN INSERT INTO t VALUES (3, 3)", &["1|INSERT|t|NULL|ALL|NULL|NULL|NULL|NULL|NULL|NULL|NULL"]),
        (
            "EXPLAIN REPLACE INTO u SELECT id FROM t WHERE a = 10",
            &[
                "1|REPLACE|u|NULL|ALL|NULL|NULL|NULL|NULL|NULL|NULL|NULL",
                "1|SIMPLE|t|NULL|ref|k|k|NULL|NULL|NULL|NULL|Using index",
            ],
        ),
        (
            "EXPLAIN FORMAT=TREE DELETE FROM t WHERE a = 1",
            &["-> Delete from t\n    -> Index lookup on t using k (a=?)\n"],
        ),
    ] {
        assert_eq!(s.rows(sql), want, "{sql}");
    }
    s.run("CREATE TABLE w (id INT PRIMARY KEY, e VARCHAR(20), n VARCHAR(20), KEY e (e), KEY n (n))");
    s.run("INSERT INTO w VALUES (1, 'A', 'x'), (2, 'b', 'Y'), (3, 'c', 'z')");
    let by_both = s.rows("EXPLAIN SELECT * FROM w WHERE e = 'a' OR n = 'y'");
    assert_eq!(by_both, ["1|SIMPLE|w|NULL|index_merge|e,n|e,n|NULL|NULL|NULL|NULL|NULL"]);
    assert_eq!(
        s.rows("SELECT id FROM w WHERE e = 'a' OR n = 'y' ORDER BY id"),
        ["1", "2"],
        "by their collation"
    );
    assert!(s.rows("EXPLAIN FORMAT=JSON SELECT * FROM t")[0].contains("\"query_block\""));
    assert!(s.rows("EXPLAIN ANALYZE SELECT * FROM t WHERE a >= 10")[0].contains(" rows=2 loops=1)"));
    assert_eq!(s.rows("SELECT * FROM t ORDER BY id"), ["1|10", "2|20"], "nothing was written");
    assert_eq!(s.error("EXPLAIN FORMAT=NOSUCH SELECT 1"), 1791);
    assert_eq!(s.error("EXPLAIN ANALYZE DELETE FROM t"), 1235);
    assert_eq!(s.error("EXPLAIN UPDATE nosuch SET a = 1"), 1146);
}

#[test]
fn a_transaction_that_takes_no_writes_says_so() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (a INT)");
    for (sql, read_only) in [
        ("START TRANSACTION READ ONLY", true),
        ("SELECT * FROM t", true),
        ("COMMIT", false),
        ("SET TRANSACTION READ ONLY", false),
        ("BEGIN", true),
        ("ROLLBACK", false),
        ("BEGIN", false),
        ("INSERT INTO t VALUES (1)", false),
        ("COMMIT", false),
    ] {
        s.run(sql);
        assert_eq!(s.session.in_read_only_transaction(), read_only, "{sql}");
    }
    s.run("START TRANSACTION READ ONLY");
    assert_eq!(s.error("SELECT * FROM t FOR UPDATE"), 1792);
    // Reading with locks does not open it for writes.
    for lock in ["FOR SHARE", "LOCK IN SHARE MODE", "FOR SHARE NOWAIT"] {
        assert_eq!(s.rows(&format!("SELECT * FROM t {lock}")), ["1"]);
        assert_eq!(s.error("INSERT INTO t VALUES (2)"), 1792, "{lock}");
    }
}

/// A status variable as a number.
fn status(s: &mut support::TestSession, scope: &str, name: &str) -> u64 {
    let rows = s.rows(&format!("SHOW {scope} STATUS LIKE '{name}'"));
    rows[0].split('|').nth(1).and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{name}: {rows:?}"))
}

#[test]
fn statements_are_counted_by_kind_for_the_session_and_for_all() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY)");
    s.run("CREATE PROCEDURE p() BEGIN SELECT 1; INSERT INTO t VALUES (7); DELETE FROM t WHERE id = 7; END");
    s.run("CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW SET @n = 1");
    // What MySQL 9.7 counts for each: `Com_…`, Questions and Queries beside one of each.
    for (sql, counted, queries) in [
        ("SELECT 1", &["select"][..], 1),
        ("/* c */ (SELECT 1) UNION (SELECT 2)", &["select"], 1),
        ("INSERT INTO t VALUES (1), (2)", &["insert"], 1),
        ("INSERT INTO t SELECT 3", &["insert_select"], 1),
        ("REPLACE INTO t VALUES (1)", &["replace"], 1),
        ("DELETE FROM t WHERE id = 3", &["delete"], 1),
        ("UPDATE t SET id = 9 WHERE id = 100", &["update"], 1),
        ("BEGIN", &["begin"], 1),
        ("COMMIT", &["commit"], 1),
        ("SHOW TABLES", &["show_tables"], 1),
        ("CALL p()", &["call_procedure", "select", "insert", "delete"], 4),
        ("PREPARE x FROM 'SELECT 2'", &["prepare_sql", "stmt_prepare"], 1),
        ("EXECUTE x", &["execute_sql", "stmt_execute", "select"], 1),
        ("DEALLOCATE PREPARE x", &["dealloc_sql", "stmt_close"], 1),
    ] {
        for scope in ["SESSION", "GLOBAL"] {
            let read = |s: &mut support::TestSession| {
                let rows = s.rows(&format!("SHOW {scope} STATUS"));
                let pairs = rows.iter().filter_map(|r| r.split_once('|'));
                let numbers = pairs.filter_map(|(name, n)| Some((name.to_owned(), n.parse().ok()?)));
                numbers.collect::<std::collections::BTreeMap<String, u64>>()
            };
            let before = read(&mut s);
            let _ = s.try_run(sql);
            let after = read(&mut s);
            let mut changed: Vec<(&str, u64)> = after
                .iter()
                .filter(|(name, _)| {
                    name.starts_with("Com_") || matches!(name.as_str(), "Questions" | "Queries")
                })
                .map(|(name, n)| (name.as_str(), n - before[name]))
                .filter(|(name, n)| *n > 0 && *name != "Com_show_status")
                .collect();
            let mut want: Vec<(String, u64)> = counted.iter().map(|c| (format!("Com_{c}"), 1)).collect();
            // And one for the second SHOW STATUS.
            want.extend([("Queries".to_owned(), queries + 1), ("Questions".to_owned(), 2)]);
            changed.sort_unstable();
            want.sort_unstable();
            assert_eq!(
                changed,
                want.iter().map(|(c, n)| (c.as_str(), *n)).collect::<Vec<_>>(),
                "{scope}: {sql}"
            );
            s.run("DELETE FROM t");
        }
    }
    let mut other = node.session();
    assert_eq!(status(&mut other, "SESSION", "Com_select"), 0, "of the session alone");
    let all = status(&mut other, "GLOBAL", "Com_select");
    assert!(all >= 8, "{all}");
    assert_eq!(status(&mut other, "GLOBAL", "Threads_connected"), 2);
    drop(s);
    assert_eq!(status(&mut other, "GLOBAL", "Com_select"), all, "what ended sessions have done still counts");
    assert_eq!(status(&mut other, "GLOBAL", "Threads_connected"), 1);
    // Nothing is shown that nobody counts.
    for name in ["Handler_read_key", "Innodb_rows_read", "Last_query_cost", "Connection_id"] {
        assert!(other.rows(&format!("SHOW STATUS LIKE '{name}'")).is_empty(), "{name}");
    }
}

/// Rows of one statement are written several at a time; what is said about them is what is said of each.
#[test]
fn many_rows_in_one_statement_answer_as_one_by_one() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, k INT UNIQUE, v TINYINT)");
    let rows = |from: u32, to: u32, but: &dyn Fn(u32) -> String| {
        let values: Vec<String> = (from..to).map(but).collect();
        format!("INSERT INTO t (k, v) VALUES {}", values.join(","))
    };
    let plain = |n: u32| format!("({n}, 1)");
    let outcome = s.run(&rows(0, 100, &plain));
    assert_eq!((outcome.affected, outcome.last_insert_id), (100, 1));
    assert_eq!(outcome.info, "Records: 100  Duplicates: 0  Warnings: 0");
    assert_eq!(s.rows("SELECT COUNT(*), MIN(id), MAX(id), SUM(id = k + 1) FROM t"), ["100|1|100|100"]);
    // The row that fails is named, whatever comes after it, and nothing of the statement stays.
    let mut other = node.session();
    other.run("USE d");
    let mut failing = |sql: &str| match other.try_run(sql) {
        Ok(_) => String::new(),
        Err(e) => format!("{} {}", e.code, e.message),
    };
    for bad in [100, 101, 115, 116, 117, 130] {
        let of = |n: u32| if n == bad { "(7, 1)".to_owned() } else { plain(n) };
        assert_eq!(failing(&rows(100, 131, &of)), "1062 Duplicate entry '7' for key 't.k'", "{bad}");
        let of = |n: u32| match n.cmp(&bad) {
            std::cmp::Ordering::Equal => "(7, 1)".to_owned(),
            std::cmp::Ordering::Greater => format!("({n}, 300)"),
            std::cmp::Ordering::Less => plain(n),
        };
        assert_eq!(failing(&rows(100, 132, &of)), "1062 Duplicate entry '7' for key 't.k'", "{bad}");
        let of = |n: u32| if n == bad { format!("({n}, 300)") } else { plain(n) };
        let row = bad - 99;
        assert_eq!(
            failing(&rows(100, 132, &of)),
            format!("1264 Out of range value for column 'v' at row {row}"),
            "{bad}"
        );
    }
    let twice = |n: u32| format!("({}, 1)", if n == 120 { 119 } else { n });
    assert_eq!(failing(&rows(100, 132, &twice)), "1062 Duplicate entry '119' for key 't.k'");
    assert_eq!(s.rows("SELECT COUNT(*), MAX(k) FROM t"), ["100|99"]);
    // Ids that are given and drawn, in one statement.
    let given = |n: u32| if n == 110 { "(5000, 110, 1)".to_owned() } else { format!("(NULL, {n}, 1)") };
    let values: Vec<String> = (100..140).map(given).collect();
    s.run("TRUNCATE TABLE t");
    let outcome = s.run(&format!("INSERT INTO t VALUES {}", values.join(",")));
    assert_eq!((outcome.affected, outcome.last_insert_id), (40, 1));
    let of = |k: u32| format!("SELECT id FROM t WHERE k = {k}");
    assert_eq!(
        (s.rows(&of(109)), s.rows(&of(110)), s.rows(&of(111))),
        (vec!["10".to_owned()], vec!["5000".to_owned()], vec!["5001".to_owned()])
    );
    let outcome = s.run("CREATE TABLE u LIKE t; INSERT INTO u SELECT * FROM t ORDER BY id");
    assert_eq!(outcome.affected, 40);
    assert_eq!(s.rows("SELECT COUNT(*), SUM(t.id = u.id AND t.k = u.k) FROM t JOIN u USING (id)"), ["40|40"]);
    assert_eq!(
        s.error("INSERT INTO u (k, v) SELECT k + 1000 - 1000 * (k = 120), v FROM t ORDER BY id"),
        1062
    );
}

/// What a client hears of its transaction with a statement: of each of its results, characteristics in brackets, then the state.
fn heard(s: &mut TestSession, sql: &str) -> String {
    let of = |news: TransactionNews| {
        let characteristics = news.characteristics.map(|c| format!("[{c}]"));
        characteristics.into_iter().chain(news.state).collect::<Vec<_>>().join(" ")
    };
    match s.try_run(sql) {
        Ok((_, rows)) => {
            let last = s.session.transaction_news();
            rows.news.into_iter().chain([last]).map(of).collect::<Vec<_>>().join(" | ").trim().to_owned()
        }
        Err(e) => format!("error {}", e.code),
    }
}

/// Runs statements, each behind `>`, and compares what is heard with the line below it, if it says anything.
fn hears(s: &mut TestSession, script: &str) {
    let mut lines = script.lines().map(str::trim).filter(|l| !l.is_empty()).peekable();
    while let Some(line) = lines.next() {
        let sql = line.strip_prefix("> ").unwrap_or_else(|| panic!("no statement: {line}"));
        let expected = lines.next_if(|l| !l.starts_with('>')).unwrap_or_default();
        assert_eq!(heard(s, sql), expected, "{sql}");
    }
}

fn with_tables(node: &Node) -> TestSession {
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT, f FLOAT); CREATE TABLE u (i INT); INSERT INTO u VALUES (1)");
    s
}

/// The example of the manual, section "Server Tracking of Client Session State".
#[test]
fn news_of_a_transaction_are_told_where_that_is_asked_for() {
    let node = Node::begin(1);
    let mut s = with_tables(&node);
    hears(
        &mut s,
        "
        > BEGIN
        > COMMIT
        > SET session_track_transaction_info = 'CHARACTERISTICS'
        [] ________
        > SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
        [SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;]
        > SET TRANSACTION READ WRITE
        [SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ WRITE;]
        > START TRANSACTION
        [SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION READ WRITE;] T_______
        > SELECT 1
        T_____S_
        > INSERT INTO t () VALUES ()
        T___W_S_
        > INSERT INTO t VALUES (1, RAND())
        T___WsS_
        > COMMIT
        [] ________
        > SET session_track_transaction_info = OFF
        > BEGIN
        > SET session_track_transaction_info = STATE
        ________
        > INSERT INTO t () VALUES ()
        > COMMIT
        > BEGIN
        T_______
        > SET session_track_transaction_info = CHARACTERISTICS
        [START TRANSACTION;]
        > SET session_track_transaction_info = STATE
        ",
    );
    s.session.reset();
    hears(
        &mut s,
        "
        > BEGIN
        > SET GLOBAL session_track_transaction_info = STATE
        > COMMIT
        ",
    );
    s.session.reset();
    hears(&mut s, "> DO 1\n________\n> BEGIN\nT_______");
    let mut other = node.session();
    hears(&mut other, "> BEGIN\nT_______");
    s.run("SET GLOBAL session_track_transaction_info = OFF");
}

/// As MySQL's own test of it (session_tracker_trx_state) expects it, of tables with transactions.
#[test]
fn the_state_of_a_transaction_is_what_was_done_in_it() {
    let node = Node::begin(1);
    let mut s = with_tables(&node);
    s.run("SET session_track_transaction_info = STATE");
    hears(&mut s, "> DO 1\n________");
    hears(
        &mut s,
        "
        > START TRANSACTION
        T_______
        > DROP TABLE IF EXISTS v
        ________
        > CREATE TABLE v (i INT)
        > START TRANSACTION
        T_______
        > SET @dummy = 0
        > ROLLBACK
        ________
        > SET autocommit = 0
        > INSERT INTO t (i) VALUES (1)
        I___W___
        > SELECT i FROM t LIMIT 1 INTO @dummy
        I_R_Ws__
        > SELECT i FROM t
        I_R_WsS_
        > BEGIN WORK
        T_______
        > DROP TABLE v
        ________
        > SELECT RAND(22) INTO @dummy
        > COMMIT
        > SET TRANSACTION READ ONLY
        > SET TRANSACTION READ WRITE
        > SET @x = UUID()
        > INSERT INTO t (i) VALUES (1)
        I___W___
        > SET TRANSACTION READ WRITE
        error 1568
        > CREATE TABLE v (i INT)
        ________
        > SET TRANSACTION READ ONLY
        > INSERT INTO t (i) VALUES (1)
        error 1792
        > DO 1
        > ROLLBACK
        > TRUNCATE TABLE v
        > CREATE TABLE v2 SELECT i FROM t
        > SELECT 1 FROM DUAL
        > SELECT i FROM v
        I_R___S_
        > UNLOCK TABLES
        > LOCK TABLES t WRITE
        I___W__L
        > INSERT INTO t (i) VALUES (2)
        > SELECT i FROM t
        I_R_W_SL
        > COMMIT
        _______L
        > SET TRANSACTION READ ONLY
        > SET TRANSACTION READ WRITE
        > UNLOCK TABLES
        ________
        > LOCK TABLES u AS other READ
        I_R____L
        > SET autocommit = 1
        _______L
        > UNLOCK TABLES
        ________
        > INSERT INTO t (i) VALUES (1)
        > SELECT 1 FROM DUAL
        > DELETE FROM t
        > LOCK TABLE t WRITE, u WRITE
        _______L
        > INSERT INTO t (i) VALUES (3)
        > SELECT i FROM t WHERE i > 2
        > UNLOCK TABLES
        ________
        > FLUSH TABLES WITH READ LOCK
        > SELECT i FROM t
        > START TRANSACTION WITH CONSISTENT SNAPSHOT
        T_R_____
        > UNLOCK TABLES
        > COMMIT AND CHAIN
        T_______
        > SET @x = UUID()
        T____s__
        > SET @x = 1
        > COMMIT AND CHAIN
        T_______
        > SELECT 1 FROM DUAL
        T_____S_
        > COMMIT AND CHAIN
        T_______
        > SELECT 1 FROM DUAL INTO @x
        > COMMIT AND CHAIN
        > SELECT i FROM t INTO @x
        T_R_____
        > ROLLBACK AND CHAIN
        T_______
        > INSERT INTO u SELECT i FROM t
        T_R_W___
        > CREATE TABLE t (i INT)
        error 1050
        > DO 1
        ________
        > BEGIN
        T_______
        > SELECT i FROM t WHERE i = 3 FOR UPDATE
        T___W_S_
        > SELECT i FROM t LOCK IN SHARE MODE
        T_R_W_S_
        > ROLLBACK
        ________
        > BEGIN
        T_______
        > UPDATE t JOIN u ON t.i = u.i SET t.i = 4
        T_R_W___
        > COMMIT
        ________
        > BEGIN
        T_______
        > DO @@sql_mode
        T____s__
        > COMMIT AND CHAIN
        T_______
        > DO @@time_zone, NOW(), VERSION
        error 1054
        > DO @@time_zone, NOW()
        > DO CURRENT_USER
        T____s__
        > DELETE FROM t ORDER BY i LIMIT 1
        T___Ws__
        > SAVEPOINT a
        > ROLLBACK TO a
        > ROLLBACK
        ________
        > BEGIN
        T_______
        > CREATE TEMPORARY TABLE own (i INT)
        > INSERT INTO own VALUES (1)
        T___W___
        > INSERT INTO missing VALUES (1)
        error 1146
        > COMMIT
        ________
        ",
    );
}

/// The same test, its second half.
#[test]
fn characteristics_begin_another_transaction_like_this_one() {
    let node = Node::begin(1);
    let mut s = with_tables(&node);
    hears(
        &mut s,
        "
        > SET session_track_transaction_info = CHARACTERISTICS
        [] ________
        > START TRANSACTION
        [START TRANSACTION;] T_______
        > START TRANSACTION WITH CONSISTENT SNAPSHOT
        [START TRANSACTION WITH CONSISTENT SNAPSHOT;] T_R_____
        > START TRANSACTION READ WRITE
        [START TRANSACTION READ WRITE;] T_______
        > START TRANSACTION READ ONLY
        [START TRANSACTION READ ONLY;]
        > START TRANSACTION READ WRITE, WITH CONSISTENT SNAPSHOT
        [START TRANSACTION WITH CONSISTENT SNAPSHOT, READ WRITE;] T_R_____
        > START TRANSACTION READ ONLY, WITH CONSISTENT SNAPSHOT
        [START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;]
        > COMMIT AND CHAIN
        [START TRANSACTION READ ONLY;] T_______
        > INSERT INTO t (i) VALUES (1)
        error 1792
        > BEGIN
        [START TRANSACTION READ ONLY;]
        > INSERT INTO t (i) VALUES (1)
        error 1792
        > SET TRANSACTION READ ONLY
        error 1568
        > ROLLBACK
        [] ________
        > SET TRANSACTION READ ONLY
        [SET TRANSACTION READ ONLY;]
        > SET TRANSACTION ISOLATION LEVEL REPEATABLE READ
        [SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION READ ONLY;]
        > SET TRANSACTION READ ONLY
        > SET TRANSACTION READ ONLY, ISOLATION LEVEL SERIALIZABLE
        [SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SET TRANSACTION READ ONLY;]
        > BEGIN WORK
        [SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION READ ONLY;] T_______
        > COMMIT
        [] ________
        > SET TRANSACTION READ ONLY
        [SET TRANSACTION READ ONLY;]
        > COMMIT
        []
        > SET TRANSACTION READ ONLY
        [SET TRANSACTION READ ONLY;]
        > LOCK TABLES t WRITE
        [] _______L
        > UNLOCK TABLES
        ________
        > SET TRANSACTION READ ONLY
        [SET TRANSACTION READ ONLY;]
        > SELECT i FROM t
        []
        > SET TRANSACTION ISOLATION LEVEL READ COMMITTED
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED;]
        > INSERT INTO t (i) VALUES (1)
        []
        > SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET TRANSACTION READ ONLY;]
        > SET SESSION TRANSACTION READ ONLY
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED;]
        > START TRANSACTION
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION;] T_______
        > INSERT INTO t (i) VALUES (1)
        error 1792
        > SET SESSION TRANSACTION READ WRITE
        > COMMIT AND CHAIN
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION;]
        > INSERT INTO t (i) VALUES (1)
        error 1792
        > COMMIT
        [] ________
        > SET TRANSACTION ISOLATION LEVEL READ COMMITTED
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED;]
        > SET SESSION transaction_isolation = 'READ-UNCOMMITTED'
        []
        > SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ
        > SET TRANSACTION READ ONLY
        [SET TRANSACTION READ ONLY;]
        > START TRANSACTION READ WRITE
        [START TRANSACTION READ WRITE;] T_______
        > ROLLBACK
        [] ________
        > SET TRANSACTION ISOLATION LEVEL READ COMMITTED
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED;]
        > START TRANSACTION READ ONLY
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ ONLY;] T_______
        > ROLLBACK AND CHAIN
        [SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ ONLY;]
        > COMMIT
        [] ________
        > COMMIT AND CHAIN
        [START TRANSACTION;] T_______
        > INSERT INTO t (i) VALUES (1)
        T___W___
        > COMMIT
        [] ________
        > SET autocommit = 0
        > SET TRANSACTION READ ONLY
        [SET TRANSACTION READ ONLY;]
        > INSERT INTO t (i) VALUES (1)
        error 1792
        > ROLLBACK
        []
        > SET TRANSACTION READ WRITE
        [SET TRANSACTION READ WRITE;]
        > INSERT INTO t (i) VALUES (1)
        I___W___
        > START TRANSACTION READ ONLY
        [START TRANSACTION READ ONLY;] T_______
        > DROP TABLE u
        [] ________
        > SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
        [SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;]
        > INSERT INTO t (i) VALUES (1)
        I___W___
        > ALTER TABLE t ADD COLUMN j INT
        [] ________
        > START TRANSACTION
        [START TRANSACTION;] T_______
        > ROLLBACK
        [] ________
        > INSERT INTO t (i) VALUES (2)
        I___W___
        > ALTER TABLE t ADD COLUMN k INT
        ________
        ",
    );
}

/// The same test, on stored programs.
#[test]
fn what_stored_programs_do_counts_for_the_transaction() {
    let node = Node::begin(1);
    let mut s = with_tables(&node);
    for body in [
        "FUNCTION looks() RETURNS INT READS SQL DATA BEGIN SET @d = 0; IF (SELECT COUNT(*) FROM t) THEN SET @d = 1; END IF; RETURN @d; END",
        "PROCEDURE one() BEGIN SET @d = 0; IF (SELECT COUNT(*) FROM t) THEN SET @d = 1; END IF; END",
        "PROCEDURE two() BEGIN CALL one(); UPDATE t SET i = 4; END",
        "PROCEDURE three() BEGIN DECLARE x CHAR(36); SET x = UUID(); END",
        "PROCEDURE four(x CHAR(36)) BEGIN END",
        "PROCEDURE five() BEGIN SELECT i FROM t; SELECT i FROM u; END",
        "PROCEDURE six() BEGIN SELECT i FROM t; ALTER TABLE t ADD COLUMN j INT; SELECT i FROM u; END",
        "PROCEDURE seven() BEGIN START TRANSACTION; INSERT INTO t (i) VALUES (1); COMMIT; END",
        "PROCEDURE eight() BEGIN DECLARE n INT; DECLARE c CURSOR FOR SELECT i FROM u; OPEN c; FETCH c INTO n; CLOSE c; END",
        "PROCEDURE nine() BEGIN DECLARE x CHAR(36) DEFAULT UUID(); IF (SELECT COUNT(*) FROM t) >= 0 THEN START TRANSACTION; END IF; END",
        "PROCEDURE ten() BEGIN IF (SELECT COUNT(*) FROM t) >= 0 THEN SIGNAL SQLSTATE '45000'; END IF; END",
        "TRIGGER u_insert AFTER INSERT ON u FOR EACH ROW SET @d = (SELECT COUNT(*) FROM t)",
    ] {
        s.run(&format!("CREATE {body}"));
    }
    hears(
        &mut s,
        "
        > SET session_track_transaction_info = STATE
        ________
        > BEGIN
        T_______
        > SELECT looks()
        T_R___S_
        > COMMIT AND CHAIN
        T_______
        > CALL three()
        T____s__
        > CALL one()
        T_R__s__
        > CALL two()
        T_R_Ws__
        > COMMIT AND CHAIN
        T_______
        > CALL four(UUID())
        T____s__
        > COMMIT
        ________
        > CALL five()
        |  |
        > BEGIN
        T_______
        > CALL five()
        T_R___S_ |  |
        > COMMIT AND CHAIN
        T_______
        > CALL eight()
        T_R_____
        > COMMIT AND CHAIN
        T_______
        > INSERT INTO u VALUES (2)
        T_R_W___
        > COMMIT
        ________
        > CALL seven()
        > CALL nine()
        T_______
        > COMMIT
        ________
        > CALL ten()
        error 1644
        > BEGIN
        T_______
        > COMMIT
        ________
        > SET autocommit = 0
        > CALL five()
        I_R___S_ |  |
        > BEGIN
        T_______
        > CALL six()
        T_R___S_ | I_R___S_ |
        > COMMIT
        ________
        > SET autocommit = 1
        > SET session_track_transaction_info = CHARACTERISTICS
        []
        > CALL seven()
        []
        ",
    );
}
