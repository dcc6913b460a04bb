//! What statements answer beside their rows: affected rows, the info text, what clients that track the session hear.

mod support;

use support::Node;

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
    assert_eq!(s.error("SET session_track_state_change = ON"), 1235);
    assert_eq!(s.error("SET session_track_transaction_info = STATE"), 1235);
    s.run("SET session_track_state_change = OFF, session_track_transaction_info = OFF");
}
