//! Conflicts and history as tools: what a person sees, decides and finds again over SQL, on two nodes that met.

mod support;

use support::{Node, converge};

const ALL: &str =
    "SELECT `table`, row_key, `column`, rule, kept_value, lost_value FROM p2pdb.conflicts ORDER BY 1, 2, 3";

fn two() -> (Node, Node) {
    let a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE shop; \
         CREATE TABLE shop.item (id INT PRIMARY KEY, a INT UNIQUE, v VARCHAR(10)); \
         CREATE TABLE shop.line (item INT, n INT, at DATE, PRIMARY KEY (item, n), \
             FOREIGN KEY (item) REFERENCES shop.item (id) ON DELETE CASCADE); \
         CREATE TABLE shop.seen (id INT PRIMARY KEY, item INT, \
             FOREIGN KEY (item) REFERENCES shop.item (id) ON DELETE SET NULL); \
         INSERT INTO shop.item VALUES (1, 10, 'x'), (2, 20, 'y')",
    );
    let b = a.join(2);
    (a, b)
}

fn both(a: &Node, b: &Node, sql: &str, want: &[&str]) {
    for n in [a, b] {
        assert_eq!(n.session().rows(sql), want, "{sql}");
    }
}

#[test]
fn keeping_what_won_settles_a_conflict_on_every_node() {
    let (a, b) = two();
    a.session().run("UPDATE shop.item SET v = 'a' WHERE id = 1");
    b.clock.advance_ms(1_000);
    b.session().run("UPDATE shop.item SET v = 'b' WHERE id = 1");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &["item|1|v|concurrent write|b|a"]);
    // Writing it again changes nothing, and so says nothing.
    a.session().run("UPDATE shop.item SET v = 'b' WHERE id = 1");
    both(&a, &b, ALL, &["item|1|v|concurrent write|b|a"]);
    a.session().run("CALL p2pdb.resolve('shop.item', 'keep', 1)");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &[]);
    both(&a, &b, "SELECT v FROM shop.item WHERE id = 1", &["b"]);
    // There is nothing left to decide.
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.item', 'keep', 1)"), 1032);
}

#[test]
fn a_person_may_choose_the_loser_with_plain_sql() {
    let (a, b) = two();
    a.session().run("UPDATE shop.item SET v = 'a' WHERE id = 1");
    b.clock.advance_ms(1_000);
    b.session().run("UPDATE shop.item SET v = 'b' WHERE id = 1");
    converge(&[&a, &b]);
    let mut s = b.session();
    s.run("SELECT lost_value INTO @lost FROM p2pdb.conflicts WHERE `table` = 'item' AND row_key = '1'");
    s.run("UPDATE shop.item SET v = @lost WHERE id = 1");
    drop(s);
    converge(&[&a, &b]);
    both(&a, &b, "SELECT v FROM shop.item WHERE id = 1", &["a"]);
    both(&a, &b, ALL, &[]);
}

#[test]
fn keeping_a_row_that_was_deleted_elsewhere_settles_the_delete() {
    let (a, b) = two();
    a.session().run("DELETE FROM shop.item WHERE id = 2");
    b.session().run("UPDATE shop.item SET v = 'z' WHERE id = 2");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT rule FROM p2pdb.conflicts", &["concurrent delete"]);
    b.session().run("CALL p2pdb.resolve('shop.item', 'keep', '2')");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &[]);
    both(&a, &b, "SELECT id, v FROM shop.item ORDER BY id", &["1|x", "2|z"]);
}

#[test]
fn a_displaced_row_comes_back_when_the_obstacle_goes_or_is_discarded() {
    let (a, b) = two();
    a.session().run("INSERT INTO shop.item VALUES (3, 30, 'a')");
    b.clock.advance_ms(1_000);
    b.session().run("INSERT INTO shop.item VALUES (4, 30, 'b'), (5, 31, 'c')");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT row_key, rule FROM p2pdb.conflicts", &["4|unique"]);
    // The obstacle is changed: it comes back.
    a.session().run("UPDATE shop.item SET a = 31 + 1 WHERE id = 3");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT id, a FROM shop.item WHERE id > 2 ORDER BY id", &["3|32", "4|30", "5|31"]);
    // Once more, and this time the row that waits is not wanted.
    a.session().run("INSERT INTO shop.item VALUES (6, 40, 'a')");
    b.clock.advance_ms(1_000);
    b.session().run("INSERT INTO shop.item VALUES (7, 40, 'b')");
    converge(&[&a, &b]);
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.item', 'discard', 6)"), 1032);
    a.session().run("CALL p2pdb.resolve('shop.item', 'discard', 7)");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &[]);
    // Its values are free.
    b.session().run("DELETE FROM shop.item WHERE id = 6; INSERT INTO shop.item VALUES (8, 40, 'c')");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT id FROM shop.item WHERE a = 40", &["8"]);
}

#[test]
fn the_key_of_a_row_that_waits_is_taken() {
    let (a, b) = two();
    a.session().run("INSERT INTO shop.item VALUES (3, 30, 'a')");
    b.clock.advance_ms(1_000);
    b.session().run("INSERT INTO shop.item VALUES (4, 30, 'b')");
    a.session().run("DELETE FROM shop.item WHERE id = 2");
    b.session().run("INSERT INTO shop.line VALUES (2, 1, '2026-02-03')");
    converge(&[&a, &b]);
    let waiting = ["4|unique", "2,1|reference"];
    both(&a, &b, "SELECT row_key, rule FROM p2pdb.conflicts ORDER BY `table`", &waiting);
    let mut s = b.session();
    s.run("SET foreign_key_checks = 0");
    for sql in [
        "INSERT INTO shop.item VALUES (4, 41, 'new')",
        "REPLACE INTO shop.item VALUES (4, 41, 'new')",
        "INSERT INTO shop.item VALUES (4, 41, 'new') ON DUPLICATE KEY UPDATE v = 'newer'",
        "INSERT INTO shop.item SELECT 4, 41, 'new'",
        "INSERT INTO shop.line VALUES (2, 1, NULL)",
    ] {
        assert_eq!(s.error(sql), 1062, "{sql}");
    }
    s.run("INSERT IGNORE INTO shop.item VALUES (4, 41, 'new'), (5, 51, 'c')");
    drop(s);
    both(&a, &b, "SELECT row_key, rule FROM p2pdb.conflicts ORDER BY `table`", &waiting);
    a.session().run("UPDATE shop.item SET a = 33 WHERE id = 3");
    converge(&[&a, &b]);
    b.session().run("UPDATE shop.item SET a = 77 WHERE id = 4");
    converge(&[&a, &b]);
    let rows = ["1|10|x", "3|33|a", "4|77|b", "5|51|c"];
    both(&a, &b, "SELECT * FROM shop.item ORDER BY id", &rows);
}

#[test]
fn a_unique_value_does_not_change_hands_by_an_update_of_another_column() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.t (id INT PRIMARY KEY, a INT UNIQUE, k INT, n INT, CHECK (a <= k + 5), CHECK (id < 100 OR n > 0))");
    converge(&[&a, &b]);
    a.session().run("INSERT INTO shop.t VALUES (1, 1, 0, 0)");
    b.clock.advance_ms(1_000);
    b.session().run("INSERT INTO shop.t VALUES (2, 1, 0, 0)");
    converge(&[&a, &b]);
    // Here, and beside an insert elsewhere.
    a.session().run("UPDATE shop.t SET k = k + 1, n = 7 WHERE id = 1");
    b.session().run("INSERT INTO shop.t VALUES (3, 3, 3, 3)");
    a.clock.advance_ms(5_000);
    a.session().run("UPDATE shop.t SET k = k + 1 WHERE id = 1");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT * FROM shop.t ORDER BY id", &["1|1|2|7", "3|3|3|3"]);
    both(&a, &b, "SELECT row_key, rule FROM p2pdb.conflicts", &["2|unique"]);
}

#[test]
fn orphans_and_nulled_references_are_decided_like_the_rest() {
    let (a, b) = two();
    a.session().run("DELETE FROM shop.item WHERE id = 1");
    b.session().run("INSERT INTO shop.line VALUES (1, 1, '2026-02-03'); INSERT INTO shop.seen VALUES (9, 1)");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT * FROM shop.line", &[]);
    both(&a, &b, "SELECT * FROM shop.seen", &["9|NULL"]);
    let rules = ["line|1,1|reference|NULL", "seen|9|reference|1"];
    both(
        &a,
        &b,
        "SELECT `table`, row_key, rule, IF(`table` = 'line', NULL, lost_value) FROM p2pdb.conflicts ORDER BY 1",
        &rules,
    );
    a.session().run("CALL p2pdb.resolve('shop.line', 'discard', 1, 1)");
    b.session().run("CALL p2pdb.resolve('shop.seen', 'keep', 9)");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &[]);
    a.session().run("INSERT INTO shop.item VALUES (1, 10, 'again')");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT * FROM shop.line", &[]);
    both(&a, &b, "SELECT * FROM shop.seen", &["9|NULL"]);
}

#[test]
fn every_version_of_a_row_is_found_with_its_author() {
    let (a, b) = two();
    a.session().run("UPDATE shop.item SET v = 'a' WHERE id = 1");
    b.session().run("UPDATE shop.item SET id = 7 WHERE id = 1");
    converge(&[&a, &b]);
    b.session().run("DELETE FROM shop.item WHERE id = 7");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let mut s = n.session();
        let rows = s.rows("CALL p2pdb.history('shop.item', 1)");
        let cells: Vec<Vec<&str>> = rows.iter().map(|r| r.split('|').collect()).collect();
        let what: Vec<(&str, &str)> = cells.iter().map(|c| (c[2], c[3])).collect();
        let mut sorted = what.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            [
                ("delete", "NULL"),
                ("insert", r#"{"a":"10","id":"1","v":"x"}"#),
                ("update", r#"{"id":"7"}"#),
                ("update", r#"{"v":"a"}"#),
            ]
        );
        assert_eq!((what[0].0, what[3].0), ("insert", "delete"), "in the order of application");
        for c in &cells {
            let mine = c[3].contains(r#""v""#);
            let author = if mine { &a } else { &b };
            assert_eq!(c[4], author.engine.node().to_string());
            assert!(c[5].starts_with("root@") && c[9] == "accepted", "{c:?}");
        }
        // Composite keys, and keys of other types than numbers, in the form in which they are shown.
        s.run("USE shop");
        assert_eq!(s.rows("CALL p2pdb.history('line', 1, 2)").len(), 0);
        assert_eq!(s.error("CALL p2pdb.history('line', 1)"), 1210);
        assert_eq!(s.error("CALL p2pdb.history('nobody', 1)"), 1146);
        assert_eq!(s.error("CALL p2pdb.history('line')"), 1318);
        assert_eq!(s.error("CALL p2pdb.history('line', 1 + 1, 2)"), 1064);
        assert_eq!(s.error("CALL p2pdb.history('line', @n, 2)"), 1235);
        assert_eq!(s.error("CALL p2pdb.resolve('line', 'shrug', 1, 2)"), 1210);
        assert_eq!(s.error("CALL p2pdb.forget('line')"), 1305);
    }
}

/// One column made on two sides with two types: who lost said a number, and is shown with it.
#[test]
fn a_lost_value_is_shown_as_it_was_written_where_the_present_type_does_not_tell() {
    let (a, b) = two();
    a.session().run("ALTER TABLE shop.item ADD c INT, ADD d DECIMAL(4,1), ADD e INT");
    a.session().run("UPDATE shop.item SET c = 6, d = 1.5, e = 5 WHERE id = 1");
    a.session().run("UPDATE shop.item SET d = 7 WHERE id = 2");
    b.clock.advance_ms(5_000);
    b.session().run("ALTER TABLE shop.item ADD c DATE, ADD d INT, ADD e VARCHAR(9)");
    b.session().run("UPDATE shop.item SET c = '2020-01-01', d = 2, e = 'x' WHERE id = 1");
    b.session().run("UPDATE shop.item SET d = 7 WHERE id = 2");
    converge(&[&a, &b]);
    // 1.5 would read 2, which the row shows: not what was written. 7 reads the same as a DECIMAL and as an INT.
    let all = [
        "item|1|c|concurrent write|2020-01-01|6",
        "item|1|d|concurrent write|2|1.5",
        "item|1|e|concurrent write|x|5",
    ];
    both(&a, &b, ALL, &all);
    b.session().run("ALTER TABLE shop.item MODIFY c VARCHAR(20)");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &all);
}

/// Rows and values that somebody wrote beside a drop, without having heard of it.
#[test]
fn what_was_written_beside_a_drop_is_seen_found_again_and_decided_over_sql() {
    let (a, b) = two();
    a.session().run("CREATE TABLE shop.d (id INT PRIMARY KEY, v INT, w VARCHAR(9)); INSERT INTO shop.d VALUES (1, 1, 'x')");
    b.fetch(&a);
    a.session().run("DROP TABLE shop.d; ALTER TABLE shop.item DROP COLUMN v");
    b.session().run(
        "INSERT INTO shop.d VALUES (2, 2, 'y'); UPDATE shop.d SET w = 'z' WHERE id = 1; \
         UPDATE shop.item SET v = 'beside' WHERE id = 2; INSERT INTO shop.item VALUES (3, 30, 'new'), (4, 40, NULL)",
    );
    converge(&[&a, &b]);
    let all = [
        r#"d|1|NULL|dropped table|NULL|{"id":"1","v":"1","w":"z"}"#,
        r#"d|2|NULL|dropped table|NULL|{"id":"2","v":"2","w":"y"}"#,
        "item|2|v|dropped column|NULL|beside",
        "item|3|v|dropped column|NULL|new",
    ];
    both(&a, &b, ALL, &all);
    both(&a, &b, "SELECT DISTINCT `database` FROM p2pdb.conflicts", &["shop"]);
    let sides =
        "SELECT COUNT(*) FROM p2pdb.conflicts WHERE kept_author <> lost_author AND kept_account = 'root@%'";
    both(&a, &b, sides, &["4"]);
    let versions = |n: &Node, call: &str| {
        let rows = n.session().rows(call);
        rows.iter().map(|r| r.split('|').skip(2).take(2).collect::<Vec<_>>().join("|")).collect::<Vec<_>>()
    };
    let of_1 = [r#"insert|{"id":"1","v":"1","w":"x"}"#, r#"update|{"w":"z"}"#];
    let of_item = [r#"insert|{"a":"20","id":"2","v":"y"}"#, r#"update|{"v":"beside"}"#];
    for n in [&a, &b] {
        assert_eq!(versions(n, "CALL p2pdb.history('shop.d', 1)"), of_1);
        assert_eq!(versions(n, "CALL p2pdb.history('shop.item', 2)"), of_item);
        assert_eq!(n.session().error("CALL p2pdb.history('shop.never', 1)"), 1146);
        assert_eq!(n.session().error("CALL p2pdb.resolve('shop.never', 'discard', 1)"), 1146);
    }
    // Another table of that name has rows of its own, and is asked first.
    b.session().run("CREATE TABLE shop.d (id INT PRIMARY KEY, q INT); INSERT INTO shop.d VALUES (2, 7)");
    assert_eq!(versions(&b, "CALL p2pdb.history('shop.d', 2)").len(), 2);
    both(&a, &b, ALL, &all);
    // Who may not delete there discards nothing.
    b.session().run("CREATE USER ann IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO ann");
    assert_eq!(
        b.session_as("ann").expect("a session").error("CALL p2pdb.resolve('shop.d', 'discard', 2)"),
        1142
    );
    b.session().run("CALL p2pdb.resolve('shop.d', 'discard', 2)");
    assert_eq!(b.session().error("CALL p2pdb.resolve('shop.d', 'discard', 2)"), 1032);
    b.session().run("CALL p2pdb.resolve('shop.item', 'keep', 3); UPDATE shop.item SET a = 21 WHERE id = 2");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &all[..1]);
    both(&a, &b, "SELECT * FROM shop.d", &["2|7"]);
    a.session().run("CALL p2pdb.resolve('shop.d', 'discard', 1)");
    converge(&[&a, &b]);
    both(&a, &b, ALL, &[]);
    for n in [&a, &b] {
        let report = n.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

#[test]
fn bytes_are_whole_and_rows_of_any_key_are_reached() {
    let (a, b) = two();
    a.session().run(
        "CREATE TABLE shop.file (id BINARY(4), day DATE, price DECIMAL(5,2), big BIGINT UNSIGNED, kind ENUM('x','y'), \
             b BLOB, bits BIT(9), name VARCHAR(5) UNIQUE, PRIMARY KEY (id, day, price, big, kind))",
    );
    converge(&[&a, &b]);
    let key = "0x01FF02FE,2026-02-03,1.50,18446744073709551615,y";
    let named = "X'01FF02FE', '2026-02-03', 1.50, 18446744073709551615, 'y'";
    a.session().run(&format!("INSERT INTO shop.file VALUES ({named}, 'abc', 1, 'n')"));
    converge(&[&a, &b]);
    a.session().run("UPDATE shop.file SET b = 0xFFFE, bits = b'111111111'");
    b.clock.advance_ms(1_000);
    b.session().run("UPDATE shop.file SET b = 0x00FF80C3, bits = 5");
    converge(&[&a, &b]);
    let cells = [
        format!("file|{key}|b|concurrent write|0x00FF80C3|0xFFFE"),
        format!("file|{key}|bits|concurrent write|0x0005|0x01FF"),
    ];
    both(&a, &b, ALL, &[&cells[0], &cells[1]]);
    a.session().run(&format!("CALL p2pdb.resolve('shop.file', 'keep', {named})"));
    converge(&[&a, &b]);
    both(&a, &b, ALL, &[]);
    // A displaced row: all of it can be read off and put in again.
    let other = named.replace("FE'", "FF'");
    a.session()
        .run(&format!("INSERT INTO shop.file VALUES ({}, 0x0102, 1, 'm')", named.replace("FE'", "00'")));
    b.clock.advance_ms(1_000);
    b.session().run(&format!("INSERT INTO shop.file VALUES ({other}, 0xC3280001, 256, 'm')"));
    converge(&[&a, &b]);
    let row = "SELECT row_key, rule, lost_value->>'$.b', lost_value->>'$.id', lost_value->>'$.bits' FROM p2pdb.conflicts";
    let other_key = key.replace("FE,", "FF,");
    both(&a, &b, row, &[&format!("{other_key}|unique|0xC3280001|0x01FF02FF|0x0100")]);
    let history = a.session().rows(&format!("CALL p2pdb.history('shop.file', {other})"));
    assert!(history.len() == 1 && history[0].contains(r#""b":"0xC3280001""#), "{history:?}");
    // As conflicts shows the key, too.
    let shown: Vec<String> = other_key.split(',').map(|part| format!("'{part}'")).collect();
    a.session().run(&format!("CALL p2pdb.resolve('shop.file', 'discard', {})", shown.join(",")));
    converge(&[&a, &b]);
    both(&a, &b, ALL, &[]);
    assert_eq!(a.session().error("CALL p2pdb.history('shop.file', 0x01FF02FE00, 1, 1, 1, 'y')"), 1210);
}

/// What waits, by which rule and over which columns.
const WAITS: &str = "SELECT `table`, row_key, rule, `column` FROM p2pdb.conflicts ORDER BY 1, 2, 3, 4";

/// Two nodes with this table; each runs its statements while it is alone.
fn apart(table: &str, on_a: &str, on_b: &str) -> (Node, Node) {
    let a = Node::begin(1);
    a.session().run(&format!("CREATE DATABASE shop; USE shop; {table}"));
    let b = a.join(2);
    a.session().run(&format!("USE shop; {on_a}"));
    b.clock.advance_ms(1_000);
    b.session().run(&format!("USE shop; {on_b}"));
    converge(&[&a, &b]);
    (a, b)
}

#[test]
fn a_row_that_waits_is_given_values_that_fit() {
    // By a CHECK, over a counter that both sides took from.
    let (a, b) = apart(
        "CREATE TABLE stock (id INT PRIMARY KEY, n INT COMMENT '[counter]', v VARCHAR(9), CHECK (n >= 0)); \
         INSERT INTO stock VALUES (1, 10, 'x')",
        "UPDATE stock SET n = n - 8",
        "UPDATE stock SET n = n - 7",
    );
    both(&a, &b, WAITS, &["stock|1|check|n"]);
    let set = |s: &str| format!("CALL p2pdb.resolve('shop.stock', 'set', 1, {s})");
    assert_eq!(a.session().error(&set("'n', -1")), 3819);
    both(&a, &b, WAITS, &["stock|1|check|n"]);
    b.session().run(&set("'n', 2, 'v', 'y'"));
    // A counter was assigned: what others add to it meanwhile counts on.
    converge(&[&a, &b]);
    both(&a, &b, WAITS, &[]);
    both(&a, &b, "SELECT * FROM shop.stock", &["1|2|y"]);
    assert_eq!(a.session().error(&set("'n', 3")), 1032);
    let refused = a.session().try_run(&set("'n', 3")).err().expect("the row is visible");
    assert!(refused.message.contains("UPDATE"), "{}", refused.message);

    // By NOT NULL.
    let (a, b) = apart(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
        "ALTER TABLE t MODIFY v INT NOT NULL",
        "INSERT INTO t VALUES (1, NULL)",
    );
    both(&a, &b, WAITS, &["t|1|not null|v"]);
    let set = |v: &str| format!("CALL p2pdb.resolve('shop.t', 'set', 1, 'v', {v})");
    assert_eq!(a.session().error(&set("NULL")), 1048);
    a.session().run(&set("'7'"));
    converge(&[&a, &b]);
    both(&a, &b, WAITS, &[]);
    both(&a, &b, "SELECT * FROM shop.t", &["1|7"]);

    // By a narrower type.
    let (a, b) = apart(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT)",
        "ALTER TABLE t MODIFY v TINYINT",
        "INSERT INTO t VALUES (1, 4000)",
    );
    both(&a, &b, WAITS, &["t|1|type|v"]);
    assert_eq!(a.session().error(&set("300")), 1264);
    assert_eq!(a.session().error(&set("'many'")), 1366);
    a.session().run(&set("40"));
    converge(&[&a, &b]);
    both(&a, &b, WAITS, &[]);
    both(&a, &b, "SELECT * FROM shop.t", &["1|40"]);
}

#[test]
fn a_row_that_waits_gets_another_unique_value_or_another_parent() {
    let (a, b) = two();
    a.session().run("INSERT INTO shop.item VALUES (3, 30, 'a')");
    a.session().run("DELETE FROM shop.item WHERE id = 2");
    b.clock.advance_ms(1_000);
    b.session().run("INSERT INTO shop.item VALUES (4, 30, 'b'); INSERT INTO shop.line VALUES (2, 1, NULL)");
    converge(&[&a, &b]);
    both(&a, &b, WAITS, &["item|4|unique|a", "line|2,1|reference|item"]);
    let set = |s: &str| format!("CALL p2pdb.resolve('shop.item', 'set', 4, {s})");
    assert_eq!(a.session().error(&set("'a', 10")), 1062);
    assert_eq!(a.session().error(&set("'v', 'c'")), 1062);
    assert_eq!(a.session().error(&set("'nobody', 10")), 1054);
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.item', 'set', 3, 'a', 31)"), 1032);
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.item', 'set', 9, 'a', 31)"), 1032);
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.item', 'set', 4, 'a')"), 1318);
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.line', 'set', 2, 1, 'item', 8)"), 1452);
    a.session().run(&set("'a', 31, 'v', NULL"));
    b.session().run("CALL p2pdb.resolve('shop.line', 'set', 2, 1, 'item', 3)");
    converge(&[&a, &b]);
    both(&a, &b, WAITS, &[]);
    both(&a, &b, "SELECT * FROM shop.item ORDER BY id", &["1|10|x", "3|30|a", "4|31|NULL"]);
    both(&a, &b, "SELECT item, n FROM shop.line", &["3|1"]);
    // What was refused is nowhere: the row has two versions, and none of the tries.
    assert_eq!(a.session().rows("CALL p2pdb.history('shop.item', 4)").len(), 2);
}

#[test]
fn a_parent_that_a_waiting_row_is_given_is_kept() {
    let (a, b) = apart(
        "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id)); \
         INSERT INTO p VALUES (1), (2)",
        "SET foreign_key_checks = 0; INSERT INTO c VALUES (1, 9)",
        "SELECT 1",
    );
    both(&a, &b, WAITS, &["c|1|reference|p"]);
    a.session().run("CALL p2pdb.resolve('shop.c', 'set', 1, 'p', 2)");
    b.session().run("DELETE FROM shop.p WHERE id = 2");
    converge(&[&a, &b]);
    both(&a, &b, "SELECT * FROM shop.c", &["1|2"]);
    both(&a, &b, WAITS, &["p|2|concurrent delete|NULL"]);
}

#[test]
fn setting_values_of_a_waiting_row_needs_update_on_the_columns() {
    let (a, b) = apart(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT AS (v + 1)); \
         CREATE USER ann IDENTIFIED BY 'x'; GRANT SELECT, INSERT, DELETE ON *.* TO ann; \
         CREATE USER ben IDENTIFIED BY 'x'; GRANT SELECT ON *.* TO ben; GRANT UPDATE (id) ON shop.t TO ben",
        "ALTER TABLE t MODIFY v INT NOT NULL",
        "INSERT INTO t (id, v) VALUES (1, NULL)",
    );
    let set = "CALL p2pdb.resolve('shop.t', 'set', 1, 'v', 1)";
    assert_eq!(a.session_as("ann").expect("ann").error(set), 1142);
    assert_eq!(a.session_as("ben").expect("ben").error(set), 1143);
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.t', 'set', 1, 'w', 1)"), 3105);
    a.session().run("GRANT UPDATE (v) ON shop.t TO ben");
    a.session_as("ben").expect("ben").run(set);
    converge(&[&a, &b]);
    both(&a, &b, "SELECT * FROM shop.t", &["1|1|2"]);
}

#[test]
fn all_that_a_row_meets_is_named() {
    let (a, b) = apart(
        "CREATE TABLE p (id INT PRIMARY KEY); \
         CREATE TABLE t (id INT PRIMARY KEY, a INT UNIQUE, b INT UNIQUE, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
         INSERT INTO p VALUES (1)",
        "INSERT INTO t VALUES (2, 1, 5, NULL), (3, 6, 1, NULL); DELETE FROM p",
        "INSERT INTO t VALUES (1, 1, 1, 1)",
    );
    both(&a, &b, WAITS, &["t|1|reference|p", "t|1|unique|a", "t|1|unique|b"]);
    a.session().run("UPDATE shop.t SET a = 7 WHERE id = 2");
    converge(&[&a, &b]);
    both(&a, &b, WAITS, &["t|1|reference|p", "t|1|unique|b"]);
    a.session().run("CALL p2pdb.resolve('shop.t', 'set', 1, 'b', 8, 'p', NULL)");
    converge(&[&a, &b]);
    both(&a, &b, WAITS, &[]);
}

#[test]
fn a_conflict_names_its_row_by_the_key_that_the_row_has_now() {
    const NAMED: &str = "SELECT row_key, rule, IF(JSON_VALID(lost_value), lost_value->>'$.v', lost_value) \
        FROM p2pdb.conflicts ORDER BY 1, 2";
    let (a, b) = two();
    a.session().run("INSERT INTO shop.item VALUES (5, 50, 'born5'), (6, 60, 'born6'), (7, 70, 'x')");
    converge(&[&a, &b]);
    a.session().run(
        "INSERT INTO shop.item VALUES (11, 1, 'x'), (12, 2, 'x'); UPDATE shop.item SET v = 'a' WHERE id = 7",
    );
    b.clock.advance_ms(1_000);
    b.session().run(
        "UPDATE shop.item SET id = 9, a = 1 WHERE id = 5; UPDATE shop.item SET id = 5, a = 2 WHERE id = 6; \
         UPDATE shop.item SET v = 'b' WHERE id = 7",
    );
    converge(&[&a, &b]);
    b.session().run("UPDATE shop.item SET id = 8 WHERE id = 7");
    b.session().run("INSERT INTO shop.item VALUES (7, 70 + 1, 'other')");
    converge(&[&a, &b]);
    both(&a, &b, NAMED, &["5|unique|born6", "8|concurrent write|a", "9|unique|born5"]);
    // The key of a row that was born with it and has another one now is that of nothing that waits: the row with it is visible.
    assert_eq!(a.session().error("CALL p2pdb.resolve('shop.item', 'keep', 7)"), 1032);
    // Another row was born with 5, and waits, too.
    a.session().run("CALL p2pdb.resolve('shop.item', 'discard', 5)");
    converge(&[&a, &b]);
    both(&a, &b, NAMED, &["8|concurrent write|a", "9|unique|born5"]);
    b.session()
        .run("CALL p2pdb.resolve('shop.item', 'keep', 8); CALL p2pdb.resolve('shop.item', 'set', 9, 'a', 3)");
    converge(&[&a, &b]);
    both(&a, &b, NAMED, &[]);
    both(
        &a,
        &b,
        "SELECT id, a, v FROM shop.item WHERE id BETWEEN 5 AND 9",
        &["7|71|other", "8|70|b", "9|3|born5"],
    );
}

#[test]
fn of_several_rows_that_wait_under_one_key_each_is_found_by_the_key_of_its_birth() {
    const KEYS: &str = "SELECT row_key, lost_value->>'$.v' FROM p2pdb.conflicts ORDER BY 1, 2";
    let a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE shop; CREATE TABLE shop.item (id INT PRIMARY KEY, v VARCHAR(10)); \
         INSERT INTO shop.item VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four')",
    );
    let (b, c) = (a.join(2), a.join(3));
    let d = a.join(4);
    let all = [&a, &b, &c, &d];
    converge(&all);
    for (n, node) in (1..).zip(all) {
        node.session().run(&format!("UPDATE shop.item SET id = 9 WHERE id = {n}"));
        b.clock.advance_ms(1_000);
        c.clock.advance_ms(2_000);
        d.clock.advance_ms(3_000);
    }
    converge(&all);
    both(&a, &d, KEYS, &["9|four", "9|three", "9|two"]);
    both(&a, &d, "SELECT * FROM shop.item", &["9|one"]);
    for decision in ["'discard', 9", "'set', 9, 'v', 'x'"] {
        assert_eq!(a.session().error(&format!("CALL p2pdb.resolve('shop.item', {decision})")), 1032);
    }
    a.session().run(
        "CALL p2pdb.resolve('shop.item', 'discard', 3); CALL p2pdb.resolve('shop.item', 'set', 2, 'id', 2)",
    );
    converge(&all);
    both(&a, &d, KEYS, &["9|four"]);
    both(&a, &d, "SELECT * FROM shop.item ORDER BY id", &["2|two", "9|one"]);
    d.session().run("CALL p2pdb.resolve('shop.item', 'discard', 9)");
    converge(&all);
    both(&a, &d, KEYS, &[]);
    // Who empties a table asks nobody which one.
    for (n, node) in (0..).zip([&a, &b, &c]) {
        node.session().run(&format!("INSERT INTO shop.item VALUES ({}, '{n}')", 20 + n));
    }
    converge(&all);
    for (n, node) in (0..).zip([&a, &b, &c]) {
        node.session().run(&format!("UPDATE shop.item SET id = 30 WHERE id = {}", 20 + n));
    }
    converge(&all);
    assert_eq!(a.session().rows(KEYS).len(), 2);
    a.session().run("TRUNCATE TABLE shop.item");
    converge(&all);
    both(&a, &d, KEYS, &[]);
    both(&a, &d, "SELECT * FROM shop.item", &[]);
}

/// Of tables with other columns since: as their authors wrote them.
#[test]
fn what_does_not_fit_and_what_was_before_is_shown_as_it_was_written() {
    const LOST: &str = "SELECT `table`, lost_value->>'$.v' FROM p2pdb.conflicts ORDER BY 1";
    let types = [
        ("ENUM('s', 'm')", "ENUM('s', 'm', 'l')", "ENUM('s', 'm', 'xl')", "'xl'", "xl"),
        ("SET('a', 'b')", "SET('a', 'b', 'c')", "SET('a', 'b', 'd')", "'a,d'", "a,d"),
        ("VARCHAR(20)", "VARCHAR(4)", "VARCHAR(20)", "'hello'", "hello"),
        ("DATE", "TINYINT", "DATE", "'2024-02-29'", "2024-02-29"),
        ("DATETIME(3)", "YEAR", "DATETIME(3)", "'2024-02-29 10:11:12.125'", "2024-02-29 10:11:12.125"),
        ("DECIMAL(8,3)", "TINYINT", "DECIMAL(8,3)", "12345.678", "12345.678"),
        ("DECIMAL(8,3)", "VARCHAR(3)", "DECIMAL(8,3)", "12345.678", "12345.678"),
        ("INT", "ENUM('a', 'b')", "INT", "300", "300"),
        ("BIGINT UNSIGNED", "TINYINT", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
    ];
    let (a, b) = two();
    for (n, (before, ..)) in types.iter().enumerate() {
        a.session().run(&format!("CREATE TABLE shop.t{n} (id INT PRIMARY KEY, v {before})"));
    }
    converge(&[&a, &b]);
    for (n, (before, here, there, value, _)) in types.iter().enumerate() {
        if before != there {
            b.session().run(&format!("ALTER TABLE shop.t{n} MODIFY v {there}"));
        }
        b.session().run(&format!("INSERT INTO shop.t{n} VALUES (1, {value})"));
        a.clock.advance_ms(1_000);
        a.session().run(&format!("ALTER TABLE shop.t{n} MODIFY v {here}"));
    }
    converge(&[&a, &b]);
    let shown = |n: usize| format!("t{n}|{}", types[n].4);
    let all: Vec<String> = (0..types.len()).map(shown).collect();
    both(&a, &b, LOST, &all.iter().map(String::as_str).collect::<Vec<_>>());
    for (n, (.., shown)) in types.iter().enumerate() {
        let said = a.session().rows(&format!("CALL p2pdb.history('shop.t{n}', 1)")).remove(0);
        assert!(said.contains(&format!("\"v\":\"{shown}\"")), "{n}: {said}");
    }
    // Also where nothing is lost, and of columns that are gone.
    for (n, (before, value, after, shown)) in [
        ("DATE", "'2024-02-29'", "DATETIME", "2024-02-29"),
        ("DATE", "'2024-02-29'", "VARCHAR(20)", "2024-02-29"),
        ("DECIMAL(8,2)", "12.34", "DECIMAL(10,3)", "12.34"),
        ("DECIMAL(8,2)", "12.34", "INT", "12.34"),
        ("ENUM('s','m','l')", "'l'", "ENUM('xs','s','m','l')", "l"),
        ("SET('a','b')", "'b'", "SET('b','a')", "b"),
        ("INT", "17", "DATETIME", "17"),
        ("TIME", "'10:11:12'", "VARCHAR(20)", "10:11:12"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut s = a.session();
        s.run(&format!("CREATE TABLE shop.h{n} (id INT PRIMARY KEY, v {before}); INSERT INTO shop.h{n} VALUES (1, {value})"));
        if after != "DATETIME" || before == "DATE" {
            s.run(&format!("ALTER TABLE shop.h{n} MODIFY v {after}"));
        } else {
            s.run(&format!("UPDATE shop.h{n} SET v = 20240229; ALTER TABLE shop.h{n} MODIFY v {after}"));
        }
        let wants = format!("\"v\":\"{shown}\"");
        let history = format!("CALL p2pdb.history('shop.h{n}', 1)");
        let said = s.rows(&history).remove(0);
        assert!(said.contains(&wants), "{before} to {after}: {said}");
        s.run(&format!("ALTER TABLE shop.h{n} DROP COLUMN v, ADD COLUMN w INT"));
        let said = s.rows(&history).remove(0);
        assert!(said.contains(&wants), "{before} to {after}, gone: {said}");
    }
}

/// Each of these reads is many on the store, whose tables may be others in between.
#[test]
fn what_waits_and_what_was_can_be_read_beside_changes_of_the_schema() {
    let a = Node::begin(1);
    a.session().run("CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, v INT); INSERT INTO shop.t VALUES (1, 1)");
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        let readers =
            ["SELECT COUNT(*) FROM p2pdb.conflicts", "CALL p2pdb.history('shop.t', 1)"].map(|read| {
                let (mut session, done) = (a.session(), &done);
                threads.spawn(move || {
                    let mut reads = 0;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        session.rows(read);
                        reads += 1;
                    }
                    reads
                })
            });
        let mut session = a.session();
        for _ in 0..60 {
            session.run("ALTER TABLE shop.t ADD w INT; ALTER TABLE shop.t DROP COLUMN w");
            session.run("CREATE TABLE shop.u (id INT); INSERT INTO shop.u VALUES (1); DROP TABLE shop.u");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        for reader in readers {
            assert!(reader.join().expect("no read fails") > 10);
        }
    });
}
