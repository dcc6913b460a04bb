//! Indexes on sealed columns: equal values are found by them on readers' nodes, whatever happened to cells and keys, and nothing
//! of them is elsewhere (`docs/security.md`, section 7).

mod support;

use p2pdb_store::{FunctionError, Functions, Reader, ScalarFunction};
use support::*;

/// A clinic, and a doctor's node. Names are sealed and have an index.
fn clinic() -> (Node, Node) {
    let a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE shop; USE shop;
         CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(40) COMMENT '[sealed]', n INT COMMENT '[sealed]',
                               KEY by_name (name), KEY by_n (n));
         CREATE TABLE visit (no INT PRIMARY KEY, who VARCHAR(40), KEY (who));
         CREATE USER doc IDENTIFIED BY 'd';
         INSERT INTO patient VALUES (1, 'Ann', 10), (2, NULL, NULL), (3, 'Bob', 30), (4, 'ann', 10), (5, 'Zoë', -5);
         INSERT INTO visit VALUES (1, 'Ann'), (2, 'bob'), (3, 'nobody')",
    );
    let b = a.join(2);
    b.session().run("ALTER USER doc IDENTIFIED BY 'd'");
    converge(&[&a, &b]);
    (a, b)
}

fn as_(node: &Node, user: &str) -> TestSession {
    let mut session = node.session_as(user).expect("a session");
    session.run("USE shop");
    session
}

/// What is found by the index, which is what is found without.
fn found(s: &mut TestSession, name: &str) -> Vec<String> {
    let by = s.rows(&format!("SELECT id FROM patient WHERE name = '{name}' ORDER BY id"));
    let without = format!("SELECT id FROM patient WHERE CONCAT(name, '') = '{name}' ORDER BY id");
    assert_eq!(by, s.rows(&without), "{name}");
    let listed = format!("SELECT id FROM patient WHERE name IN ('{name}', '{name}') ORDER BY id");
    assert_eq!(by, s.rows(&listed), "{name}");
    by
}

/// How many rows this node keeps looks of, opened and not, read beside the engine.
fn kept(node: &Node) -> (i64, i64) {
    let mut options = p2pdb_store::Options::new(node.path().join("realm.db"));
    let none = |name: &str, args| ScalarFunction {
        name: name.to_owned(),
        args,
        deterministic: true,
        call: std::sync::Arc::new(|_| Err(FunctionError::from("not here"))),
    };
    options.functions =
        std::sync::Arc::new(Functions { scalars: vec![none("p_look", 4)], ..Functions::default() });
    let reader = Reader::open(&options).expect("a reader");
    let mut tables = Vec::new();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'n\\_%' ESCAPE '\\'";
    reader
        .query(sql, (), |r| {
            tables.push(r.text(0)?.to_owned());
            Ok(p2pdb_store::NEXT)
        })
        .expect("tables");
    let count = |table: &String, compare: &str| {
        let sql = format!("SELECT count(*) FROM {table} WHERE look {compare} x'01'");
        reader.query_one(&sql, (), |r| r.int(0)).expect("a count").unwrap_or_default()
    };
    tables.iter().fold((0, 0), |(o, u), t| (o + count(t, "<"), u + count(t, ">=")))
}

fn plan(s: &mut TestSession, sql: &str) -> Vec<String> {
    let rows = s.rows(&format!("EXPLAIN {sql}"));
    rows.iter()
        .map(|r| {
            r.split('|')
                .enumerate()
                .filter(|(i, _)| [2, 4, 6].contains(i))
                .map(|c| c.1)
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect()
}

#[test]
fn equal_values_are_found_by_the_index() {
    let (a, _) = clinic();
    let mut s = as_(&a, "root");
    for (sql, want) in [
        ("SELECT id FROM patient WHERE name = 'x'", &["patient|ref|by_name"][..]),
        ("SELECT id FROM patient WHERE 'x' = name", &["patient|ref|by_name"]),
        ("SELECT id FROM patient WHERE name IN ('x', 'y') AND id > 0", &["patient|ref|by_name"]),
        ("SELECT id FROM patient WHERE n = 5", &["patient|ref|by_n"]),
        ("SELECT id FROM patient WHERE n = '5'", &["patient|ref|by_n"]),
        ("SELECT id FROM patient WHERE (name, n) = ('x', 5)", &["patient|ref|by_name"]),
        ("UPDATE patient SET n = 1 WHERE name = 'x'", &["patient|ref|by_name"]),
        ("DELETE FROM patient WHERE name = 'x'", &["patient|ref|by_name"]),
        (
            "SELECT id FROM visit STRAIGHT_JOIN patient ON name = who",
            &["visit|index|who", "patient|ref|by_name"],
        ),
        ("SELECT id FROM visit LEFT JOIN patient ON who = name", &["visit|index|who", "patient|ref|by_name"]),
        // What is no equality under the column's collation opens all.
        ("SELECT id FROM patient WHERE name > 'x'", &["patient|ALL|NULL"]),
        ("SELECT id FROM patient WHERE name <> 'x'", &["patient|ALL|NULL"]),
        ("SELECT id FROM patient WHERE name <=> 'x'", &["patient|ALL|NULL"]),
        ("SELECT id FROM patient WHERE name = 'x' COLLATE utf8mb4_bin", &["patient|ALL|NULL"]),
        ("SELECT id FROM patient WHERE name = 'x' OR id = 3 + n", &["patient|ALL|NULL"]),
        ("SELECT id FROM patient WHERE NOT (name = 'x')", &["patient|ALL|NULL"]),
    ] {
        assert_eq!(plan(&mut s, sql), want, "{sql}");
    }
    assert_eq!(found(&mut s, "ANN"), ["1", "4"]);
    assert_eq!(found(&mut s, "zoe"), ["5"]);
    assert_eq!(found(&mut s, "nobody"), [""; 0]);
    s.run("PREPARE p FROM 'SELECT id FROM patient WHERE name = ? AND n = ?'; SET @a = 'bob', @n = 30");
    assert_eq!(s.rows("EXECUTE p USING @a, @n"), ["3"]);
    s.run("SET @a = NULL");
    assert_eq!(s.rows("EXECUTE p USING @a, @n"), [""; 0]);
    for (sql, want) in [
        ("SELECT no, id FROM visit JOIN patient ON name = who ORDER BY no, id", &["1|1", "1|4", "2|3"][..]),
        (
            "SELECT no, id FROM visit LEFT JOIN patient ON name = who ORDER BY no, id",
            &["1|1", "1|4", "2|3", "3|NULL"],
        ),
        ("SELECT id FROM patient WHERE n = 10.0 ORDER BY id", &["1", "4"]),
        ("SELECT id FROM patient WHERE n = 10.5", &[]),
        ("SELECT id FROM patient WHERE n IN (30, -5, NULL) ORDER BY id", &["3", "5"]),
        ("SELECT id FROM patient WHERE n = 10 AND NOT (name = 'bob') ORDER BY id", &["1", "4"]),
        ("SELECT id FROM patient WHERE name = 'bob' OR n = -5 ORDER BY id", &["3", "5"]),
        ("SELECT id FROM patient WHERE (name = 'bob') IS NULL", &["2"]),
        ("SELECT id FROM patient WHERE (name, n) IN (('ann', 10), ('bob', 1)) ORDER BY id", &["1", "4"]),
        ("SELECT p.id, q.id FROM patient p JOIN patient q ON p.name = q.name WHERE p.id < q.id", &["1|4"]),
        ("SELECT id FROM patient WHERE name = (SELECT who FROM visit WHERE no = 2)", &["3"]),
        ("SELECT COUNT(*) FROM patient WHERE name = 'ann' GROUP BY n", &["2"]),
    ] {
        assert_eq!(s.rows(sql), want, "{sql}");
    }
    let shown = s.rows("SHOW CREATE TABLE patient").concat();
    assert!(shown.contains("KEY `by_name` (`name`)"), "{shown}");
    verified(&[&a]);
}

#[test]
fn it_follows_every_way_in_which_a_cell_changes() {
    let (a, _) = clinic();
    let mut s = as_(&a, "root");
    s.run("UPDATE patient SET name = 'Cem' WHERE name = 'bob'");
    assert_eq!((found(&mut s, "bob"), found(&mut s, "cem")), (vec![], vec!["3".to_owned()]));
    s.run("UPDATE patient SET id = 9 WHERE name = 'cem'; UPDATE patient SET id = id + 100 ORDER BY id DESC");
    assert_eq!(found(&mut s, "cem"), ["109"]);
    s.run("REPLACE INTO patient VALUES (109, 'Dan', 1); INSERT INTO patient VALUES (101, 'x', 1) ON DUPLICATE KEY UPDATE name = 'Eve'");
    assert_eq!(
        (found(&mut s, "dan"), found(&mut s, "eve"), found(&mut s, "ann")),
        (vec!["109".to_owned()], vec!["101".to_owned()], vec!["104".to_owned()])
    );
    s.run("BEGIN; UPDATE patient SET name = 'gone'; DELETE FROM patient WHERE id = 101");
    assert_eq!(found(&mut s, "gone").len(), 4);
    s.run("ROLLBACK");
    assert_eq!((found(&mut s, "gone").len(), found(&mut s, "eve").len()), (0, 1));
    s.run("DELETE FROM patient WHERE name = 'eve'; UPDATE patient SET name = NULL WHERE name = 'dan'");
    assert_eq!((found(&mut s, "eve").len(), found(&mut s, "dan").len()), (0, 0));
    // Another shape of the table, another index, a row that is put aside and comes back.
    s.run("ALTER TABLE patient ADD extra INT, RENAME COLUMN name TO called, MODIFY id BIGINT");
    s.run("ALTER TABLE patient RENAME COLUMN called TO name; DROP INDEX by_name ON patient");
    assert_eq!(plan(&mut s, "SELECT id FROM patient WHERE name = 'x'"), ["patient|ALL|NULL"]);
    s.run("CREATE INDEX again ON patient (name)");
    assert_eq!(plan(&mut s, "SELECT id FROM patient WHERE name = 'x'"), ["patient|ref|again"]);
    assert_eq!(found(&mut s, "ann"), ["104"]);
    s.run("UPDATE patient SET extra = id; ALTER TABLE patient DROP PRIMARY KEY, ADD PRIMARY KEY (id, extra)");
    assert_eq!(found(&mut s, "ann"), ["104"]);
    s.run("ALTER TABLE patient DROP COLUMN n; TRUNCATE patient; INSERT INTO patient (id, name, extra) VALUES (1, 'Ann', 1)");
    assert_eq!(found(&mut s, "ann"), ["1"]);
    assert_eq!(kept(&a), (1, 0));
    verified(&[&a]);
    drop(s);
    let a = a.restart();
    assert_eq!(found(&mut as_(&a, "root"), "ann"), ["1"]);
}

#[test]
fn who_has_no_key_keeps_nothing_and_who_gets_one_finds_all() {
    let (a, b) = clinic();
    assert_eq!(kept(&a), (8, 0));
    assert_eq!(kept(&b), (0, 0), "no reader is there");
    assert_eq!(as_(&b, "root").error("SELECT id FROM patient WHERE name = 'ann'"), 1143);
    a.session().run("GRANT SELECT, UPDATE, INSERT ON shop.* TO doc");
    converge(&[&a, &b]);
    assert_eq!(kept(&b), (8, 0));
    assert_eq!(found(&mut as_(&b, "doc"), "ann"), ["1", "4"]);
    // What others write arrives; a concurrent change is merged.
    a.session().run(
        "UPDATE shop.patient SET name = 'Kim' WHERE id = 1; INSERT INTO shop.patient VALUES (6, 'Kim', 6)",
    );
    as_(&b, "doc")
        .run("UPDATE patient SET name = 'Lee' WHERE id = 4; UPDATE patient SET name = 'Lee' WHERE id = 1");
    converge(&[&a, &b]);
    for (node, user) in [(&a, "root"), (&b, "doc")] {
        let mut s = as_(node, user);
        let (kim, lee) = (found(&mut s, "kim"), found(&mut s, "lee"));
        assert_eq!(kim.len() + lee.len(), 4 - 1, "{kim:?} {lee:?}");
        assert_eq!(found(&mut s, "ann"), [""; 0]);
    }
    verified(&[&a, &b]);
}

#[test]
fn keys_that_are_lacking_are_told_of_and_count_when_they_come() {
    let (a, b) = clinic();
    a.session().run("GRANT SELECT, UPDATE ON shop.patient TO doc WITHOUT HISTORY; INSERT INTO shop.patient VALUES (6, 'Ann', 6)");
    converge(&[&a, &b]);
    assert_eq!(kept(&b), (2, 8));
    let mut doc = as_(&b, "doc");
    assert_eq!(doc.rows("SELECT id FROM patient WHERE name = 'ann'"), ["6"]);
    assert_eq!(doc.rows("SHOW WARNINGS").len(), 1);
    assert_eq!(doc.rows("EXPLAIN SELECT id FROM patient WHERE name = 'ann'").len(), 1);
    assert_eq!(doc.error("UPDATE patient SET n = 1 WHERE name = 'ann'"), 3185);
    // Another account of the same node is given the history: its keys open what doc's did not, too.
    a.session().run("CREATE USER old IDENTIFIED BY 'o'");
    converge(&[&a, &b]);
    b.session().run("ALTER USER old IDENTIFIED BY 'o'");
    converge(&[&a, &b]);
    a.session().run("GRANT SELECT ON shop.patient TO old");
    converge(&[&a, &b]);
    assert_eq!(kept(&b), (10, 0));
    assert_eq!(found(&mut as_(&b, "old"), "ann"), ["1", "4", "6"]);
    // A key taken away: what comes after it is found by nobody there.
    a.session().run(
        "REVOKE SELECT ON shop.patient FROM doc, old; UPDATE shop.patient SET name = 'Ann' WHERE id = 3",
    );
    converge(&[&a, &b]);
    assert_eq!(kept(&b), (9, 1));
    assert_eq!(as_(&b, "doc").error("SELECT id FROM patient WHERE name = 'ann'"), 1143);
    assert_eq!(found(&mut as_(&a, "root"), "ann"), ["1", "3", "4", "6"]);
    verified(&[&a, &b]);
    drop(doc);
    let b = b.restart();
    assert_eq!(kept(&b), (9, 1));
}

#[test]
fn what_is_voided_and_comes_back_is_found_accordingly() {
    let (a, b) = clinic();
    a.session().run("GRANT SELECT, UPDATE ON shop.patient TO doc");
    converge(&[&a, &b]);
    as_(&b, "doc").run("UPDATE patient SET name = 'Thief' WHERE id = 1");
    a.session().run("REVOKE UPDATE ON shop.patient FROM doc");
    converge(&[&a, &b]);
    for (node, user) in [(&a, "root"), (&b, "doc")] {
        let mut s = as_(node, user);
        assert_eq!((found(&mut s, "thief").len(), found(&mut s, "ann").len()), (0, 2));
    }
    verified(&[&a, &b]);
}

#[test]
fn a_backup_holds_nothing_of_it_and_is_complete_when_restored() {
    let (a, b) = clinic();
    a.session().run("GRANT SELECT ON shop.patient TO doc");
    converge(&[&a, &b]);
    let backup = b.path().join("backup.db");
    b.engine.backup(&backup).expect("a backup");
    let emptied = Reader::open(&{
        let mut options = p2pdb_store::Options::new(&backup);
        options.functions = std::sync::Arc::default();
        options
    })
    .expect("a backup is a store");
    let mut tables = Vec::new();
    emptied
        .query(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'n\\_%' ESCAPE '\\'",
            (),
            |r| {
                tables.push(r.text(0)?.to_owned());
                Ok(p2pdb_store::NEXT)
            },
        )
        .expect("tables");
    assert_eq!(tables.len(), 2);
    for table in tables {
        let rows = emptied.query_one(&format!("SELECT count(*) FROM {table}"), (), |r| r.int(0));
        assert_eq!(rows.expect("a count"), Some(0));
    }
    drop(emptied);
    let b = b.restored_from(&backup);
    assert_eq!(kept(&b), (8, 0));
    assert_eq!(found(&mut as_(&b, "doc"), "ann"), ["1", "4"]);
    verified(&[&a]);
}

#[test]
fn only_an_index_on_one_column_is_taken() {
    let (a, _) = clinic();
    let mut s = as_(&a, "root");
    for (sql, code) in [
        ("ALTER TABLE patient ADD UNIQUE (name)", 1063),
        ("ALTER TABLE patient ADD KEY (name, id)", 1063),
        ("ALTER TABLE patient ADD KEY (id, name)", 1063),
        ("ALTER TABLE patient ADD FULLTEXT (name)", 1063),
        ("ALTER TABLE patient DROP PRIMARY KEY, ADD PRIMARY KEY (name)", 1063),
        ("CREATE TABLE t (v TEXT COMMENT '[sealed]', KEY (v))", 1170),
    ] {
        assert_eq!(s.error(sql), code, "{sql}");
    }
    s.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT COMMENT '[sealed]', b VARBINARY(9) COMMENT '[sealed]',
                           d DATE COMMENT '[sealed]', x DECIMAL(9,2) COMMENT '[sealed]', e ENUM('a','b') COMMENT '[sealed]',
                           p VARCHAR(9) COLLATE utf8mb4_general_ci COMMENT '[sealed]',
                           KEY (v(3)), KEY (b), KEY (d), KEY (x), KEY (e), KEY (p))");
    s.run("INSERT INTO t VALUES (1, 'long text', 'ab', '2024-02-29', 1.50, 'b', 'Pad'), (2, 'long other', 'AB', '2024-03-01', 2, 'a', 'pad ')");
    for (sql, want) in [
        ("v = 'LONG TEXT'", "1"),
        ("b = 'ab'", "1"),
        ("d = '2024-02-29'", "1"),
        ("d = 20240229", "1"),
        ("x = 1.5", "1"),
        ("x = '1.50'", "1"),
        ("e = 'B'", "1"),
        ("p = 'PAD  '", "1,2"),
    ] {
        let sql = format!("SELECT GROUP_CONCAT(id ORDER BY id) FROM t WHERE {sql}");
        assert_eq!(s.rows(&sql), [want], "{sql}");
        let plan = plan(&mut s, &sql);
        assert!(plan[0].starts_with("t|ref|"), "{sql}: {plan:?}");
    }
    verified(&[&a]);
}

/// Keys come with blocks. Until these are committed nothing is opened with them, since nothing would be found.
#[test]
fn what_is_read_is_found_at_every_moment_of_an_arrival() {
    let mut moments = 0;
    loop {
        let a = Node::begin(1);
        a.session().run(
            "CREATE DATABASE shop; USE shop; CREATE USER doc IDENTIFIED BY 'd'; GRANT SELECT ON shop.* TO doc;
             CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(40) COMMENT '[sealed]', KEY (name));
             INSERT INTO patient VALUES (1, 'Ann'), (2, 'Bob')",
        );
        let b = a.join(2);
        b.session().run("ALTER USER doc IDENTIFIED BY 'd'");
        converge(&[&a, &b]);
        assert!(a.engine.share_keys().expect("shared"));
        let mut doc = as_(&b, "doc");
        let (tell, told) = std::sync::mpsc::channel();
        b.clock.at_look(moments, move || {
            let mut ids = |name: &str| {
                let rows = doc.try_run(&format!("SELECT id FROM patient WHERE {name} = 'bob'"));
                rows.map(|(_, found)| found.rows).map_err(|e| e.code)
            };
            tell.send((ids("CONCAT(name, '')"), ids("name"))).expect("a listener");
        });
        b.fetch(&a);
        if !b.clock.was_looked_at() {
            break;
        }
        // The writer goes on after the fetch, and may be the one who looks.
        let (scan, found) = told.recv().expect("what was found");
        assert_eq!(scan, found, "at moment {moments}");
        moments += 1;
    }
    assert!(moments > 3, "{moments} moments");
}
