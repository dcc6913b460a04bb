//! Keys over generated columns and on prefixes, written on nodes that were apart: their values belong to one row each,
//! like those of every other UNIQUE key (docs/merge.md, section 5).

mod support;

use support::{Node, both, converge, two, verified};

const PEOPLE: &str =
    "CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR(20), n INT, low VARCHAR(20) AS (LOWER(name)) STORED,
     half INT AS (n DIV 2), UNIQUE KEY by_low (low), UNIQUE KEY by_half (half))";
const ALL: &str = "SELECT id, name, n, low, half FROM shop.people ORDER BY id";
const CONFLICTS: &str = "SELECT row_key, rule FROM p2pdb.conflicts ORDER BY row_key, rule";

#[test]
fn a_generated_value_belongs_to_one_row() {
    let (a, b) = two(PEOPLE);
    a.session().run("INSERT INTO shop.people (id, name, n) VALUES (1, 'Ann', 10), (2, 'Bob', 20)");
    b.clock.advance_ms(5_000);
    b.session()
        .run("INSERT INTO shop.people (id, name, n) VALUES (3, 'ANN', 30), (4, 'Dan', 21), (5, NULL, NULL)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, ALL), ["1|Ann|10|ann|5", "2|Bob|20|bob|10", "5|NULL|NULL|NULL|NULL"]);
    assert_eq!(both(&a, &b, CONFLICTS), ["3|unique", "4|unique"]);
    // A displaced row keeps what it claims, whichever column it is made of.
    assert_eq!(b.session().error("INSERT INTO shop.people (id, name) VALUES (6, 'dAN')"), 1062);
    assert_eq!(a.session().error("UPDATE shop.people SET n = 31 WHERE id = 2"), 1062);
    verified(&[&a, &b]);
    a.session().run("UPDATE shop.people SET name = 'Eve' WHERE id = 1");
    b.session().run("DELETE FROM shop.people WHERE id = 2");
    converge(&[&a, &b]);
    assert_eq!(
        both(&a, &b, ALL),
        ["1|Eve|10|eve|5", "3|ANN|30|ann|15", "4|Dan|21|dan|10", "5|NULL|NULL|NULL|NULL"]
    );
    assert!(both(&a, &b, CONFLICTS).is_empty());
    verified(&[&a, &b]);
}

#[test]
fn updates_that_give_two_rows_one_generated_value_leave_the_earlier_one() {
    let (a, b) = two(PEOPLE);
    a.session().run("INSERT INTO shop.people (id, name, n) VALUES (1, 'Ann', 10), (2, 'Bob', 20)");
    converge(&[&a, &b]);
    a.session().run("UPDATE shop.people SET n = 40 WHERE id = 1");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.people SET n = 41 WHERE id = 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, ALL), ["1|Ann|40|ann|20"]);
    a.session().run("UPDATE shop.people SET n = 42 WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, ALL), ["1|Ann|42|ann|21", "2|Bob|41|bob|20"]);
    verified(&[&a, &b]);
}

#[test]
fn a_key_made_elsewhere_puts_the_later_of_two_rows_aside() {
    let (a, b) =
        two("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), low VARCHAR(20) AS (LOWER(name)))");
    a.session().run("INSERT INTO shop.t (id, name) VALUES (1, 'Ann')");
    a.session().run("CREATE UNIQUE INDEX by_low ON shop.t (low)");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.t (id, name) VALUES (2, 'ANN'), (3, 'Bob')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.t ORDER BY id"), ["1", "3"]);
    verified(&[&a, &b]);
    // Another expression, other claims; without the key there are none.
    a.session().run("ALTER TABLE shop.t DROP KEY by_low, DROP COLUMN low");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.t ORDER BY id"), ["1", "2", "3"]);
    verified(&[&a, &b]);
}

#[test]
fn a_row_for_which_a_key_has_no_value_waits_until_it_has() {
    let (a, b) = two("CREATE TABLE t (id INT PRIMARY KEY, doc TEXT)");
    a.session().run("INSERT INTO shop.t VALUES (1, '{\"a\": 1}')");
    a.session().run(
        "ALTER TABLE shop.t ADD v VARCHAR(20) AS (JSON_UNQUOTE(JSON_EXTRACT(doc, '$.a'))), ADD UNIQUE KEY v (v), ADD KEY w (v)",
    );
    assert_eq!(a.session().error("INSERT INTO shop.t (id, doc) VALUES (9, '{bad')"), 3141);
    // The other node knows of no key, and of no JSON.
    b.session().run("INSERT INTO shop.t VALUES (2, '{bad'), (3, '{\"a\": 3}')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, v FROM shop.t ORDER BY id"), ["1|1", "3|3"]);
    assert_eq!(both(&a, &b, CONFLICTS), ["2|type"]);
    verified(&[&a, &b]);
    a.session().run("ALTER TABLE shop.t DROP KEY v, DROP KEY w");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.t ORDER BY id"), ["1", "2", "3"]);
    verified(&[&a, &b]);
}

#[test]
fn of_two_rows_with_one_prefix_as_primary_key_the_earlier_stays() {
    let (a, b) = two("CREATE TABLE page (url VARCHAR(100), hits INT, PRIMARY KEY (url(6)))");
    a.session().run("INSERT INTO shop.page VALUES ('a.org/1', 1), ('c.org', 1)");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.page VALUES ('A.org/2', 2), ('c.org', 3), ('d.org', 4)");
    converge(&[&a, &b]);
    let rows = "SELECT url, hits FROM shop.page ORDER BY url";
    // The same whole key is the same row; of others with its prefix the earlier is there.
    assert_eq!(both(&a, &b, rows), ["a.org/1|1", "c.org|3", "d.org|4"]);
    a.session().run("DELETE FROM shop.page WHERE url = 'a.org/1'");
    b.session().run("UPDATE shop.page SET hits = hits + 1 WHERE url = 'd.org'");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, rows), ["A.org/2|2", "c.org|3", "d.org|5"]);
    verified(&[&a, &b]);
}

#[test]
fn a_session_does_not_change_what_a_key_over_a_generated_column_holds() {
    let (a, b) =
        two("CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP, day DATE AS (DATE(at)), UNIQUE KEY (day))");
    let mut s = a.session();
    s.run("SET time_zone = '+10:00'");
    s.run("INSERT INTO shop.t (id, at) VALUES (1, '2024-01-02 05:00:00')");
    assert_eq!(s.rows("SELECT day FROM shop.t WHERE day = '2024-01-01'"), ["2024-01-01"]);
    drop(s);
    assert_eq!(a.session().error("INSERT INTO shop.t (id, at) VALUES (2, '2024-01-01 23:00:00')"), 1062);
    let mut s = a.session();
    s.run("SET time_zone = '-10:00'");
    s.run("UPDATE shop.t SET at = '2024-01-05 20:00:00'");
    s.run("DELETE FROM shop.t");
    drop(s);
    converge(&[&a, &b]);
    assert!(both(&a, &b, "SELECT id FROM shop.t").is_empty());
    verified(&[&a, &b]);
}

#[test]
fn every_order_of_arrival_gives_the_same_rows_and_conflicts() {
    let a = Node::begin(1);
    a.session().run(&format!("CREATE DATABASE shop; USE shop; {PEOPLE}"));
    a.session().run(
        "CREATE TABLE shop.pet (id INT PRIMARY KEY, owner INT, FOREIGN KEY (owner) REFERENCES shop.people (id))",
    );
    a.session().run("INSERT INTO shop.people (id, name, n) VALUES (1, 'Ann', 10), (2, 'Bob', 20)");
    let (b, c) = (a.join(2), a.join(3));
    let readers: Vec<Node> = (4..10).map(|seed| a.join(seed)).collect();
    for n in [&b, &c].into_iter().chain(&readers) {
        n.fetch(&a);
    }
    a.session().run("UPDATE shop.people SET n = 30 WHERE id = 1");
    a.session().run("INSERT INTO shop.people (id, name, n) VALUES (3, 'Cy', 40)");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.people (id, name, n) VALUES (4, 'CY', 50), (5, 'Dan', 31)");
    b.session().run("INSERT INTO shop.pet VALUES (1, 4), (2, 2)");
    b.session().run("UPDATE shop.people SET name = 'Eve' WHERE id = 2");
    c.clock.advance_ms(10_000);
    c.session().run(
        "INSERT INTO shop.people (id, name, n) VALUES (6, 'EVE', 61), (7, 'x', 70)
         ON DUPLICATE KEY UPDATE n = VALUES(n) + 1",
    );
    c.session().run("REPLACE INTO shop.people (id, name, n) VALUES (8, 'dan', 70)");
    // Everybody else's rows were written before these.
    c.session().run("ALTER TABLE shop.people MODIFY n DECIMAL(6,1), ADD UNIQUE KEY tens ((n DIV 10))");

    let orders = [[&a, &b, &c], [&a, &c, &b], [&b, &a, &c], [&b, &c, &a], [&c, &a, &b], [&c, &b, &a]];
    for (reader, order) in readers.iter().zip(orders) {
        for from in order {
            // Block by block, so that what is displaced on the way comes back on the way.
            for block in reader.missing_from(from) {
                let arrived = reader.engine.ingest(vec![block]).block();
                assert!(arrived.fault.is_none() && arrived.refused.is_empty());
            }
        }
    }
    let everything = "SELECT * FROM p2pdb.conflicts ORDER BY row_key, rule, `column`";
    let pets = "SELECT id, owner FROM shop.pet ORDER BY id";
    for reader in &readers {
        assert_eq!(reader.fingerprint(), readers[0].fingerprint());
        assert_eq!(reader.session().rows(ALL), ["1|Ann|30.0|ann|15", "2|Eve|20.0|eve|10", "3|Cy|40.0|cy|20"]);
        // 8 took the place of 7; 5 and 8 wait for values of 1 and 5 (5 also for one that 3 has), 4 for a value of 3, 6 for one of 2.
        assert_eq!(
            reader.session().rows(CONFLICTS),
            ["1|reference", "4|unique", "5|unique", "5|unique", "6|unique", "8|unique"]
        );
        assert_eq!(reader.session().rows(everything), readers[0].session().rows(everything));
        assert_eq!(reader.session().rows(pets), ["2|2"]);
    }
    let mut all = vec![&a, &b, &c];
    all.extend(&readers);
    converge(&all);
    assert_eq!(both(&a, &c, everything), readers[0].session().rows(everything));
    verified(&[&a, &b, &c, &readers[5]]);

    // What made room brings back whom it kept out, and nobody else.
    a.session().run("UPDATE shop.people SET n = 100 WHERE id = 1");
    b.session().run("DELETE FROM shop.people WHERE id = 3");
    converge(&all);
    assert_eq!(
        both(&a, &readers[3], ALL),
        ["1|Ann|100.0|ann|50", "2|Eve|20.0|eve|10", "4|CY|50.0|cy|25", "5|Dan|31.0|dan|15"]
    );
    assert_eq!(both(&a, &readers[3], CONFLICTS), ["6|unique", "8|unique"]);
    assert_eq!(both(&a, &readers[3], pets), ["1|4", "2|2"]);
    verified(&[&a, &readers[1]]);
}

#[test]
fn a_type_that_a_key_depends_on_changes_for_rows_that_come_later() {
    let (a, b) = two("CREATE TABLE t (id INT PRIMARY KEY, n DECIMAL(5,2), h INT AS (n * 10), UNIQUE KEY (h),
                      UNIQUE KEY f ((n * 100)))");
    a.session().run("INSERT INTO shop.t (id, n) VALUES (1, 1.20), (2, 2.70)");
    converge(&[&a, &b]);
    // As INT they are 1 and 3; 1.4 would be 1, too.
    a.session().run("ALTER TABLE shop.t MODIFY n INT");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.t (id, n) VALUES (3, 1.40), (4, 5.00)");
    converge(&[&a, &b]);
    let rows = "SELECT id, n, h FROM shop.t ORDER BY id";
    assert_eq!(both(&a, &b, rows), ["1|1|10", "2|3|30", "4|5|50"]);
    // By both keys.
    assert_eq!(both(&a, &b, CONFLICTS), ["3|unique", "3|unique"]);
    assert_eq!(b.session().error("UPDATE shop.t SET n = 1 WHERE id = 4"), 1062);
    verified(&[&a, &b]);
    // What the expression says changes while another node gives a value by the old one.
    a.session().run("ALTER TABLE shop.t DROP KEY f, MODIFY h INT AS (n % 3)");
    assert_eq!(b.session().error("INSERT INTO shop.t (id, n) VALUES (5, 5)"), 1062);
    b.session().run("INSERT INTO shop.t (id, n) VALUES (6, 6)");
    converge(&[&a, &b]);
    // 1 and 3 are there, 5 % 3 is 2; 6 % 3 is 0, as 3 % 3 is, and 1 waits for nobody.
    assert_eq!(both(&a, &b, rows), ["1|1|1", "2|3|0", "4|5|2"]);
    assert_eq!(both(&a, &b, CONFLICTS), ["3|unique", "6|unique"]);
    verified(&[&a, &b]);
}

#[test]
fn no_row_is_put_aside_by_a_statement_that_makes_a_key() {
    let (a, b) = two("CREATE TABLE t (id INT PRIMARY KEY, doc VARCHAR(20), n INT)");
    a.session().run("INSERT INTO shop.t VALUES (1, '{bad', 300), (2, '{}', 1300), (3, '{\"a\": 7}', 5)");
    for (error, statement) in [
        (3141, "CREATE INDEX k ON shop.t ((JSON_EXTRACT(doc, '$.a') + 0))"),
        (
            3141,
            "ALTER TABLE shop.t ADD v VARCHAR(9) AS (JSON_UNQUOTE(JSON_EXTRACT(doc, '$.a'))), ADD KEY (v)",
        ),
        (1264, "ALTER TABLE shop.t ADD v TINYINT AS (n), ADD KEY (v)"),
        (1406, "ALTER TABLE shop.t ADD v VARCHAR(2) AS (doc), ADD UNIQUE KEY (v)"),
        (1062, "CREATE UNIQUE INDEX k ON shop.t ((n % 1000))"),
    ] {
        assert_eq!(a.session().error(statement), error, "{statement}");
    }
    a.session().run("ALTER TABLE shop.t ADD v INT AS (n), ADD UNIQUE KEY (v), ADD UNIQUE KEY f ((n + 1))");
    for (error, statement) in [
        (1264, "ALTER TABLE shop.t MODIFY v TINYINT AS (n)"),
        (1062, "ALTER TABLE shop.t MODIFY v INT AS (n % 1000)"),
        (3837, "ALTER TABLE shop.t DROP v, DROP COLUMN n"),
    ] {
        assert_eq!(a.session().error(statement), error, "{statement}");
    }
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, v FROM shop.t ORDER BY id"), ["1|300", "2|1300", "3|5"]);
    assert!(both(&a, &b, CONFLICTS).is_empty());
    verified(&[&a, &b]);
}

#[test]
fn a_conflict_of_a_row_with_a_prefix_as_its_key_is_found_by_the_whole_key() {
    let (a, b) = two("CREATE TABLE page (url VARCHAR(100), hits INT, PRIMARY KEY (url(6)))");
    a.session().run("INSERT INTO shop.page VALUES ('a.org/1', 1)");
    a.session().run("UPDATE shop.page SET url = 'b.org/1'");
    converge(&[&a, &b]);
    a.session().run("UPDATE shop.page SET hits = 2");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.page SET hits = 3");
    b.session().run("INSERT INTO shop.page VALUES ('c.org/1', 1)");
    a.session().run("INSERT INTO shop.page VALUES ('C.org/2', 1)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT url, hits FROM shop.page ORDER BY url"), ["b.org/1|3", "C.org/2|1"]);
    assert_eq!(
        both(&a, &b, "SELECT rule FROM p2pdb.conflicts ORDER BY rule"),
        ["concurrent write", "unique"]
    );
    assert_eq!(a.session().rows("CALL p2pdb.history('shop.page', 'b.org/1')").len(), 4);
    a.session().run("CALL p2pdb.resolve('shop.page', 'keep', 'b.org/1')");
    b.session().run("CALL p2pdb.resolve('shop.page', 'discard', 'c.org/1')");
    converge(&[&a, &b]);
    assert!(both(&a, &b, CONFLICTS).is_empty());
    verified(&[&a, &b]);
}

#[test]
fn triggers_see_the_generated_columns_beside_a_hidden_one() {
    let (a, _b) = two("CREATE TABLE t (id INT PRIMARY KEY, n INT, KEY ((n + 1)));
         ALTER TABLE t ADD g INT AS (n * 2), ADD m INT, ADD UNIQUE KEY ((g + m));
         CREATE TABLE seen (g INT, m INT);
         CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW INSERT INTO seen VALUES (NEW.g, NEW.m);
         CREATE TRIGGER tu BEFORE UPDATE ON t FOR EACH ROW SET NEW.m = OLD.g + 1");
    let mut s = a.session();
    s.run("USE shop; INSERT INTO t (id, n, m) VALUES (1, 3, 5); UPDATE t SET n = 4");
    assert_eq!(s.rows("SELECT * FROM seen"), ["6|5"]);
    assert_eq!(s.rows("SELECT * FROM t"), ["1|4|8|7"]);
    assert_eq!(s.error("INSERT INTO t (id, n, m) VALUES (2, 5, 5)"), 1062);
}

/// SQLite knows no clause for a key of its rowid and something else.
#[test]
fn a_duplicate_is_updated_whatever_keys_hold_the_primary_key() {
    let (a, _) = two("CREATE TABLE none (id INT PRIMARY KEY)");
    let mut s = a.session();
    for (n, keys) in [
        "UNIQUE (id, sid), UNIQUE (id)",
        "UNIQUE (sid, id)",
        "UNIQUE (x, pid), UNIQUE (id, sid)",
        "UNIQUE (pid, id), UNIQUE (pid), UNIQUE (x)",
        "UNIQUE (pid(3), id), UNIQUE ((x + 1), id)",
    ]
    .into_iter()
    .enumerate()
    {
        for (m, primary) in ["id", "id, x", "pid, id"].into_iter().enumerate() {
            let t = format!("shop.u{n}_{m}");
            s.run(&format!(
                "CREATE TABLE {t} (id INT NOT NULL, x INT, pid VARCHAR(20), sid INT, PRIMARY KEY ({primary}), {keys}); \
                 INSERT INTO {t} VALUES (1, 1, 'a', 1), (2, 2, 'b', 2); \
                 INSERT INTO {t} VALUES (1, 1, 'a', 3) ON DUPLICATE KEY UPDATE sid = 6; \
                 INSERT INTO {t} VALUES (3, 3, 'c', 3) ON DUPLICATE KEY UPDATE sid = 7"
            ));
            let rows = s.rows(&format!("SELECT id, sid FROM {t} ORDER BY id"));
            assert_eq!(rows, ["1|6", "2|2", "3|3"], "{primary}; {keys}");
        }
    }
}
