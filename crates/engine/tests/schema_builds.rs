//! What one side builds on a column, key or table while another drops, renames or changes it: the tables that come of it can
//! be written, and be made again from what SHOW CREATE TABLE says.

mod support;

use support::{Node, both, converge, loads, two, verified};

const CONFLICTS: &str =
    "SELECT `table`, row_key, rule, lost_value FROM p2pdb.conflicts ORDER BY `table`, row_key, rule";
const NONE: [&str; 0] = [];

/// Runs each side's statements on `shop`, `b` five seconds later, and lets them meet.
fn meet(tables: &str, on_a: &str, on_b: &str) -> (Node, Node) {
    let (a, b) = two(tables);
    a.session().run(&format!("USE shop; {on_a}"));
    b.clock.advance_ms(5_000);
    b.session().run(&format!("USE shop; {on_b}"));
    converge(&[&a, &b]);
    verified(&[&a, &b]);
    (a, b)
}

/// The definition of the only table, which can be made again.
fn only(a: &Node, b: &Node) -> String {
    let [said] = loads(a, b).try_into().expect("one table");
    said
}

#[track_caller]
fn says(definition: &str, part: &str) {
    assert!(definition.contains(part), "{part} is not in\n{definition}");
}

#[test]
fn rows_of_one_table_made_with_two_primary_keys_are_never_one() {
    let (a, b) = meet(
        "",
        "CREATE TABLE t (id INT, a INT, v INT, PRIMARY KEY (id)); INSERT INTO t VALUES (5, 9, 1); \
         UPDATE t SET v = 3 WHERE id = 5",
        "CREATE TABLE t (id INT, a INT, v INT, PRIMARY KEY (a)); INSERT INTO t VALUES (9, 5, 2), (7, 7, 7); \
         UPDATE t SET v = 4 WHERE a = 5",
    );
    says(&only(&a, &b), "`a` int NOT NULL");
    says(&only(&a, &b), "PRIMARY KEY (`a`)");
    let rows = "SELECT * FROM shop.t ORDER BY a";
    assert_eq!(both(&a, &b, rows), ["7|7|7", "5|9|3"]);
    assert_eq!(both(&a, &b, CONFLICTS), [r#"t|5|primary key|{"a":"5","id":"9","v":"4"}"#]);
    // It follows when the other goes, with its own cells.
    b.session().run("DELETE FROM shop.t WHERE a = 9");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, rows), ["9|5|4", "7|7|7"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    a.session().run("UPDATE shop.t SET v = 5 WHERE a = 5; INSERT INTO shop.t VALUES (5, 9, 1)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, rows), ["9|5|5", "7|7|7", "5|9|1"]);
    verified(&[&a, &b]);
}

#[test]
fn a_column_of_which_another_is_made_stays() {
    let (a, b) = meet(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES (1, 1, 1), (2, 1, 2)",
        "ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (4, 4)",
        "ALTER TABLE t ADD g INT AS (b * 2) STORED, ADD UNIQUE (g), ADD UNIQUE ux ((b + 1)); \
         INSERT INTO t (id, a, b) VALUES (3, 1, 7)",
    );
    says(&only(&a, &b), "`b` int DEFAULT NULL");
    let rows = "SELECT id, a, b, g FROM shop.t ORDER BY id";
    assert_eq!(both(&a, &b, rows), ["1|1|1|2", "2|1|2|4", "3|1|7|14", "4|4|NULL|NULL"]);
    a.session()
        .run("INSERT INTO shop.t (id, a, b) VALUES (5, 5, 5); UPDATE shop.t SET a = a + 1 WHERE id = 1");
    assert_eq!(a.session().error("INSERT INTO shop.t (id, a, b) VALUES (6, 6, 5)"), 1062);
    // Who has seen both may drop it.
    a.session().run("ALTER TABLE shop.t DROP INDEX ux, DROP COLUMN g, DROP COLUMN b");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.t WHERE id = 1"), ["1|2"]);
    loads(&a, &b);
    verified(&[&a, &b]);
}

#[test]
fn a_column_that_a_check_reads_stays_and_the_check_holds() {
    let (a, b) = meet(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES (1, 1, 2)",
        "ALTER TABLE t DROP COLUMN b",
        "ALTER TABLE t ADD CONSTRAINT ck CHECK (a < b)",
    );
    says(&only(&a, &b), "CONSTRAINT `ck` CHECK ((`a` < `b`))");
    assert_eq!(a.session().error("INSERT INTO shop.t VALUES (2, 2, 1)"), 3819);
    // What hangs on it goes; the column does not go along.
    b.session().run("ALTER TABLE shop.t DROP CHECK ck");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.t"), ["1|1|2"]);
    verified(&[&a, &b]);
}

#[test]
fn a_key_keeps_all_its_columns() {
    let (a, b) = meet(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, w VARCHAR(40)); \
         INSERT INTO t VALUES (1, 1, 1, 'one word'), (2, 1, 2, 'two words')",
        "ALTER TABLE t DROP COLUMN b, DROP COLUMN w",
        "ALTER TABLE t ADD UNIQUE uab (a, b), ADD FULLTEXT KEY fw (w); INSERT INTO t VALUES (3, 1, 3, 'x')",
    );
    says(&only(&a, &b), "UNIQUE KEY `uab` (`a`,`b`)");
    says(&only(&a, &b), "FULLTEXT KEY `fw` (`w`)");
    assert_eq!(both(&a, &b, "SELECT id, b FROM shop.t ORDER BY id"), ["1|1", "2|2", "3|3"]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.t WHERE MATCH (w) AGAINST ('words')"), ["2"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
}

#[test]
fn what_a_foreign_key_refers_to_stays() {
    let tables = "CREATE TABLE p (id INT PRIMARY KEY, c INT, UNIQUE uc (c)); \
                  CREATE TABLE ch (id INT PRIMARY KEY, pc INT, KEY ix (pc)); INSERT INTO p VALUES (1, 1)";
    let key =
        "ALTER TABLE ch ADD CONSTRAINT f FOREIGN KEY (pc) REFERENCES p (c); INSERT INTO ch VALUES (1, 1)";
    let with = |on_a: &str, names: &str, p: &str| {
        let (a, b) = meet(tables, on_a, key);
        let all = loads(&a, &b).concat();
        says(&all, &format!("FOREIGN KEY (`pc`) REFERENCES {names}"));
        says(&all, "KEY `ix` (`pc`)");
        assert_eq!(both(&a, &b, "SELECT * FROM shop.ch"), ["1|1"]);
        assert_eq!(a.session().error("INSERT INTO shop.ch VALUES (2, 2)"), 1452);
        a.session().run(&format!("INSERT INTO shop.{p} VALUES (2, 2); INSERT INTO shop.ch VALUES (2, 2)"));
        assert_eq!(a.session().error(&format!("INSERT INTO shop.{p} VALUES (3, 2)")), 1062);
        converge(&[&a, &b]);
        verified(&[&a, &b]);
    };
    with("ALTER TABLE p DROP COLUMN c", "`p` (`c`)", "p");
    with("ALTER TABLE p DROP INDEX uc; ALTER TABLE ch DROP INDEX ix", "`p` (`c`)", "p");
    with("DROP TABLE p", "`p` (`c`)", "p");
    with("RENAME TABLE p TO q; ALTER TABLE q RENAME COLUMN c TO d", "`q` (`d`)", "q");
    with("ALTER TABLE ch DROP COLUMN pc", "`p` (`c`)", "p");
}

#[test]
fn an_expression_follows_the_column_that_its_author_meant() {
    let (a, b) = meet(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT); INSERT INTO t VALUES (1, 1, 2)",
        "ALTER TABLE t RENAME COLUMN b TO z; ALTER TABLE t ADD b VARCHAR(9) DEFAULT 'new'; \
         INSERT INTO t VALUES (2, 5, 4, 'x')",
        "ALTER TABLE t ADD CONSTRAINT ck CHECK (a < b); ALTER TABLE t ADD g INT AS (b + 1) VIRTUAL, ADD KEY kf ((b * 3))",
    );
    let said = only(&a, &b);
    says(&said, "CHECK ((`a` < `z`))");
    says(&said, "GENERATED ALWAYS AS ((`z` + 1)) VIRTUAL");
    says(&said, "KEY `kf` (((`z` * 3)))");
    assert_eq!(both(&a, &b, "SELECT id, a, z, b, g FROM shop.t"), ["1|1|2|new|3"]);
    assert_eq!(both(&a, &b, "SELECT row_key, rule FROM p2pdb.conflicts"), ["2|check"]);
    assert_eq!(a.session().error("INSERT INTO shop.t (id, a, z) VALUES (3, 3, 3)"), 3819);
    // It is said by its present name: another statement may name it so.
    a.session().run("ALTER TABLE shop.t ADD CONSTRAINT two CHECK (z < 100)");
    b.session().run("ALTER TABLE shop.t ALTER CHECK ck NOT ENFORCED");
    converge(&[&a, &b]);
    says(&only(&a, &b), "CHECK ((`a` < `z`)) /*!80016 NOT ENFORCED */");
    assert_eq!(both(&a, &b, "SELECT id FROM shop.t ORDER BY id"), ["1", "2"]);
    verified(&[&a, &b]);
}

#[test]
fn names_that_two_columns_exchange_go_with_them() {
    let (a, b) = meet(
        "CREATE TABLE t (id INT PRIMARY KEY, lo INT, hi INT); INSERT INTO t VALUES (1, 1, 2)",
        "ALTER TABLE t RENAME COLUMN lo TO x; ALTER TABLE t RENAME COLUMN hi TO lo; ALTER TABLE t RENAME COLUMN x TO hi",
        "ALTER TABLE t ADD CONSTRAINT ck CHECK (lo <= hi)",
    );
    says(&only(&a, &b), "CHECK ((`hi` <= `lo`))");
    assert_eq!(both(&a, &b, "SELECT id, hi, lo FROM shop.t"), ["1|1|2"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
}

#[test]
fn keys_over_a_column_of_two_types_are_such_as_the_type_can_have() {
    let types = [
        ("c INT", "c TEXT", "KEY `k` (`c`(768))"),
        ("c VARCHAR(30)", "c VARCHAR(10)", "KEY `k` (`c`)"),
        ("c INT", "c VARCHAR(2000)", "KEY `k` (`c`(768))"),
        ("c INT", "c BLOB", "KEY `k` (`c`(3072))"),
    ];
    for (on_a, on_b, key) in types {
        let (a, b) = meet(
            "CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1)",
            &format!("ALTER TABLE t ADD {on_a}, ADD KEY k (c); INSERT INTO t VALUES (2, 2)"),
            &format!("ALTER TABLE t ADD {on_b}; INSERT INTO t VALUES (3, '33')"),
        );
        says(&only(&a, &b), key);
        assert_eq!(
            both(&a, &b, "SELECT id, CAST(c AS CHAR) FROM shop.t ORDER BY id"),
            ["1|NULL", "2|2", "3|33"]
        );
        a.session().run("INSERT INTO shop.t VALUES (4, '4')");
        converge(&[&a, &b]);
    }
    let (a, b) = meet(
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "ALTER TABLE t ADD c VARCHAR(20), ADD UNIQUE k (c(7))",
        "ALTER TABLE t ADD c JSON",
    );
    let said = only(&a, &b);
    says(&said, "`c` json DEFAULT NULL");
    assert!(!said.contains("`k`"), "{said}");
    // The key comes back with the type, and a statement of one side makes no row leave its table.
    let mut session = a.session();
    session.run("INSERT INTO shop.t VALUES (1, '[]'), (2, '[]')");
    assert_eq!(session.error("ALTER TABLE shop.t MODIFY c VARCHAR(5)"), 1062);
    session.run("DELETE FROM shop.t WHERE id = 2; ALTER TABLE shop.t MODIFY c VARCHAR(5)");
    converge(&[&a, &b]);
    says(&only(&a, &b), "UNIQUE KEY `k` (`c`)");
    assert_eq!(both(&a, &b, "SELECT id FROM shop.t"), ["1"]);
}

#[test]
fn a_column_that_draws_numbers_leads_a_key() {
    let (a, b) = meet(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL)",
        "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a)",
        "ALTER TABLE t MODIFY id INT AUTO_INCREMENT",
    );
    says(&only(&a, &b), "`id` int NOT NULL,");
    a.session().run("INSERT INTO shop.t VALUES (1, 1)");
    converge(&[&a, &b]);
}
