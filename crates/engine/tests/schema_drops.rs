//! Tables, columns and databases that one side drops while another builds on them: whatever is built, and in whatever order
//! the blocks come, they meet in one schema, which can be written and made again from what SHOW CREATE TABLE says.

mod support;

use std::path::Path;

use p2pdb_store::{Options, Writer, meta};
use support::{Node, both, converge, loads, two, verified};

/// What three members do, cut off from each other, after they had `tables`.
struct Meeting {
    tables: &'static str,
    on: [&'static str; 3],
}

/// The answer that all give.
#[track_caller]
fn all(nodes: &[Node], query: &str) -> Vec<String> {
    let rows = nodes[0].session().rows(query);
    for n in nodes {
        assert_eq!(rows, n.session().rows(query), "{query}");
    }
    rows
}

/// They meet, the last of `late` having spoken last; each hears of the others in another order.
fn meet(m: &Meeting, late: [usize; 3]) -> Vec<Node> {
    let a = Node::begin(1);
    a.session().run(&format!("CREATE DATABASE shop; CREATE DATABASE depot; USE shop; {}", m.tables));
    let (b, c) = (a.join(2), a.join(3));
    converge(&[&a, &b, &c]);
    let mut nodes = vec![a, b, c];
    for (n, late) in nodes.iter().zip(late) {
        n.clock.advance_ms(5_000 * (1 + late as u64));
    }
    for (n, sql) in nodes.iter().zip(m.on) {
        n.session().run(&format!("USE shop; {sql}"));
    }
    nodes[0].fetch(&nodes[1]);
    nodes[1].fetch(&nodes[2]);
    nodes[2].fetch(&nodes[0]);
    // One who was there from the beginning, and one who hears of all at once.
    let d = nodes[0].join(4);
    nodes.push(d);
    let every: Vec<&Node> = nodes.iter().collect();
    converge(&every);
    verified(&every);
    let all = loads(&nodes[0], &nodes[3]);
    for n in &nodes {
        assert_eq!(all, loads(&nodes[0], n));
    }
    nodes
}

/// In both orders of speaking, and then with what is asked of them.
fn each_way(m: &Meeting, then: impl Fn(&[Node])) {
    for late in [[0, 1, 2], [2, 1, 0]] {
        then(&meet(m, late));
    }
}

#[test]
fn a_parent_stays_under_new_children_with_every_action() {
    let m = Meeting {
        tables: "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (1)",
        on: [
            "DROP TABLE p",
            "CREATE TABLE c1 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id)); \
             CREATE TABLE c2 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE RESTRICT); \
             CREATE TABLE c3 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE); \
             CREATE TABLE c4 (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL); \
             INSERT INTO c1 VALUES (1, 1); INSERT INTO c2 VALUES (1, 1); INSERT INTO c3 VALUES (1, 1); INSERT INTO c4 VALUES (1, 1)",
            "INSERT INTO p VALUES (2)",
        ],
    };
    each_way(&m, |nodes| {
        assert_eq!(all(nodes, "SELECT * FROM shop.p ORDER BY 1"), ["1", "2"]);
        let mut s = nodes[0].session();
        for c in ["c1", "c2", "c3", "c4"] {
            assert_eq!(all(nodes, &format!("SELECT * FROM shop.{c}")), ["1|1"], "{c}");
            assert_eq!(s.error(&format!("INSERT INTO shop.{c} VALUES (9, 9)")), 1452);
        }
        // Whoever has seen all of it may drop it.
        s.run("DROP TABLE shop.c1, shop.c2; DELETE FROM shop.p WHERE id = 1");
        converge(&nodes.iter().collect::<Vec<_>>());
        assert_eq!(all(nodes, "SELECT * FROM shop.c3"), [""; 0]);
        assert_eq!(all(nodes, "SELECT * FROM shop.c4"), ["1|NULL"]);
        nodes[1].session().run("DROP TABLE shop.c3, shop.c4; DROP TABLE shop.p");
        converge(&nodes.iter().collect::<Vec<_>>());
        assert_eq!(all(nodes, "SHOW TABLES FROM shop"), [""; 0]);
        verified(&nodes.iter().collect::<Vec<_>>());
    });
}

#[test]
fn chains_of_references_stay() {
    let m = Meeting {
        tables: "CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1)",
        on: [
            "DROP TABLE z",
            "CREATE TABLE y (id INT PRIMARY KEY, z INT, FOREIGN KEY (z) REFERENCES z (id) ON DELETE CASCADE); \
             INSERT INTO y VALUES (1, 1)",
            "CREATE TABLE y (id INT PRIMARY KEY, z INT); INSERT INTO y VALUES (2, 7); \
             CREATE TABLE x (id INT PRIMARY KEY, y INT, FOREIGN KEY (y) REFERENCES y (id) ON DELETE CASCADE); \
             INSERT INTO x VALUES (1, 2)",
        ],
    };
    each_way(&m, |nodes| {
        assert_eq!(all(nodes, "SELECT * FROM shop.z"), ["1"]);
        assert_eq!(all(nodes, "SELECT * FROM shop.y ORDER BY 1"), ["1|1"]);
        assert_eq!(all(nodes, "SELECT * FROM shop.x"), [""; 0]);
        let waiting = "SELECT `table`, row_key, rule FROM p2pdb.conflicts ORDER BY 1, 2";
        assert_eq!(all(nodes, waiting), ["x|1|reference", "y|2|reference"]);
        nodes[2].session().run("INSERT INTO shop.z VALUES (7)");
        converge(&nodes.iter().collect::<Vec<_>>());
        assert_eq!(all(nodes, "SELECT * FROM shop.x"), ["1|2"]);
        assert_eq!(all(nodes, waiting), [""; 0]);
    });
    // All of a chain is dropped, and somebody builds on its end.
    let m = Meeting {
        tables: "CREATE TABLE z (id INT PRIMARY KEY); INSERT INTO z VALUES (1); \
                 CREATE TABLE y (id INT PRIMARY KEY, z INT, FOREIGN KEY (z) REFERENCES z (id)); INSERT INTO y VALUES (1, 1)",
        on: [
            "DROP TABLE y; DROP TABLE z",
            "CREATE TABLE x (id INT PRIMARY KEY, y INT, FOREIGN KEY (y) REFERENCES y (id)); INSERT INTO x VALUES (1, 1)",
            "INSERT INTO z VALUES (2)",
        ],
    };
    each_way(&m, |nodes| {
        assert_eq!(all(nodes, "SELECT * FROM shop.x"), ["1|1"]);
        assert_eq!(all(nodes, "SELECT * FROM shop.y"), ["1|1"]);
        assert_eq!(all(nodes, "SELECT * FROM shop.z ORDER BY 1"), ["1", "2"]);
    });
}

#[test]
fn a_table_that_an_alter_keeps_keeps_what_its_keys_refer_to() {
    let tables = "CREATE TABLE p (id INT PRIMARY KEY, c INT, UNIQUE uc (c)); INSERT INTO p VALUES (1, 1); \
                  CREATE TABLE ch (id INT PRIMARY KEY, c INT, CONSTRAINT f FOREIGN KEY (c) REFERENCES p (c)); \
                  INSERT INTO ch VALUES (1, 1)";
    let alters = "ALTER TABLE ch ADD note VARCHAR(9) DEFAULT 'x'; INSERT INTO p VALUES (2, 2); INSERT INTO ch (id, c) VALUES (2, 2)";
    for drops in [
        "DROP TABLE ch; DROP TABLE p",
        "DROP TABLE ch; ALTER TABLE p DROP COLUMN c; DROP TABLE p",
        "DROP TABLE ch; ALTER TABLE p DROP COLUMN c",
    ] {
        each_way(&Meeting { tables, on: [drops, alters, "INSERT INTO p VALUES (3, 3)"] }, |nodes| {
            assert_eq!(all(nodes, "SELECT * FROM shop.p ORDER BY 1"), ["1|1", "2|2", "3|3"]);
            assert_eq!(all(nodes, "SELECT * FROM shop.ch ORDER BY 1"), ["1|1|x", "2|2|x"]);
            assert_eq!(nodes[3].session().error("INSERT INTO shop.ch VALUES (9, 9, 'y')"), 1452);
        });
    }
    // Who drops the key for itself, or does not care for it, has decided about it.
    for drops in
        ["ALTER TABLE ch DROP FOREIGN KEY f; DROP TABLE p", "SET foreign_key_checks = 0; DROP TABLE p"]
    {
        each_way(&Meeting { tables, on: [drops, alters, "INSERT INTO p VALUES (3, 3)"] }, |nodes| {
            assert_eq!(all(nodes, "SHOW TABLES FROM shop"), ["ch"]);
            assert_eq!(all(nodes, "SELECT * FROM shop.ch ORDER BY 1"), ["1|1|x", "2|2|x"]);
            assert_eq!(
                all(nodes, "SELECT row_key, rule FROM p2pdb.conflicts ORDER BY 1"),
                ["2|dropped table", "3|dropped table"]
            );
        });
    }
}

#[test]
fn circles_and_tables_that_refer_to_themselves_stay() {
    let m = Meeting {
        tables: "CREATE TABLE x (id INT PRIMARY KEY, y INT); INSERT INTO x VALUES (1, NULL)",
        on: [
            "DROP TABLE x",
            "CREATE TABLE y (id INT PRIMARY KEY, x INT, FOREIGN KEY (x) REFERENCES x (id) ON UPDATE CASCADE); \
             INSERT INTO y VALUES (1, 1); \
             ALTER TABLE x ADD FOREIGN KEY (y) REFERENCES y (id) ON DELETE SET NULL; UPDATE x SET y = 1",
            "ALTER TABLE x ADD FOREIGN KEY (y) REFERENCES x (id); INSERT INTO x VALUES (2, 1)",
        ],
    };
    each_way(&m, |nodes| {
        assert_eq!(all(nodes, "SELECT * FROM shop.x ORDER BY 1"), ["1|1", "2|1"]);
        assert_eq!(all(nodes, "SELECT * FROM shop.y"), ["1|1"]);
    });
}

#[test]
fn a_database_stays_with_what_another_one_refers_to() {
    let m = Meeting {
        tables: "CREATE TABLE depot.p (id INT PRIMARY KEY); INSERT INTO depot.p VALUES (1); \
                 CREATE TABLE depot.other (id INT PRIMARY KEY); INSERT INTO depot.other VALUES (1)",
        on: [
            "DROP DATABASE depot",
            "CREATE TABLE ch (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES depot.p (id)); INSERT INTO ch VALUES (1, 1)",
            "INSERT INTO depot.other VALUES (2)",
        ],
    };
    each_way(&m, |nodes| {
        assert_eq!(all(nodes, "SELECT * FROM shop.ch"), ["1|1"]);
        assert_eq!(all(nodes, "SHOW TABLES FROM depot"), ["p"]);
        assert_eq!(all(nodes, "SELECT * FROM depot.p"), ["1"]);
        assert_eq!(all(nodes, "SELECT row_key, rule FROM p2pdb.conflicts"), ["2|dropped table"]);
        assert_eq!(nodes[3].session().error("INSERT INTO shop.ch VALUES (2, 2)"), 1452);
    });
}

#[test]
fn a_table_that_took_the_name_over_is_another_one() {
    let m = Meeting {
        tables: "CREATE TABLE p (id INT PRIMARY KEY); INSERT INTO p VALUES (1)",
        on: [
            "DROP TABLE p; CREATE TABLE p (id VARCHAR(9) PRIMARY KEY, x INT); INSERT INTO p VALUES ('new', 1)",
            "CREATE TABLE ch (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id)); INSERT INTO ch VALUES (1, 1)",
            "RENAME TABLE p TO q; DROP TABLE q",
        ],
    };
    each_way(&m, |nodes| {
        assert_eq!(all(nodes, "SELECT * FROM shop.q"), ["1"]);
        assert_eq!(all(nodes, "SELECT * FROM shop.p"), ["new|1"]);
        assert_eq!(all(nodes, "SELECT * FROM shop.ch"), ["1|1"]);
        assert!(all(nodes, "SHOW CREATE TABLE shop.ch").concat().contains("REFERENCES `q` (`id`)"));
    });
}

#[test]
fn columns_stay_under_keys_checks_and_generated_columns_of_two_sides() {
    let m = Meeting {
        tables: "CREATE TABLE p (id INT PRIMARY KEY, c INT, d INT, UNIQUE uc (c)); INSERT INTO p VALUES (1, 1, 1), (2, 2, 2); \
                 CREATE TABLE ch (id INT PRIMARY KEY, pc INT, x INT); INSERT INTO ch VALUES (1, 1, 1)",
        on: [
            "ALTER TABLE p DROP COLUMN c; ALTER TABLE ch DROP COLUMN pc; CREATE VIEW v AS SELECT id, d FROM p",
            "ALTER TABLE ch ADD CONSTRAINT f FOREIGN KEY (pc) REFERENCES p (c) ON DELETE CASCADE; \
             ALTER TABLE p ADD g INT AS (c + d) STORED, ADD UNIQUE ug (g); INSERT INTO ch VALUES (2, 2, 2)",
            "ALTER TABLE p RENAME COLUMN d TO e, ADD CONSTRAINT k CHECK (c < 100); ALTER TABLE p DROP INDEX uc; \
             INSERT INTO p (id, c, e) VALUES (3, 3, 3)",
        ],
    };
    each_way(&m, |nodes| {
        assert_eq!(
            all(nodes, "SELECT id, c, e, g FROM shop.p ORDER BY 1"),
            ["1|1|1|2", "2|2|2|4", "3|3|3|6"]
        );
        assert_eq!(all(nodes, "SELECT * FROM shop.ch ORDER BY 1"), ["1|1|1", "2|2|2"]);
        let mut s = nodes[0].session();
        assert_eq!(s.error("SELECT * FROM shop.v"), 1356);
        assert_eq!(s.error("INSERT INTO shop.p (id, c, e) VALUES (4, 4, 2)"), 1062);
        assert_eq!(s.error("INSERT INTO shop.p (id, c, e) VALUES (4, 400, 2)"), 3819);
        s.run("DELETE FROM shop.p WHERE id = 2");
        converge(&nodes.iter().collect::<Vec<_>>());
        assert_eq!(all(nodes, "SELECT * FROM shop.ch ORDER BY 1"), ["1|1|1"]);
    });
}

/// Somebody's statements are void, and count again, in one step each: everything that they did to the schema turns at once.
#[test]
fn drops_and_what_is_built_become_void_and_count_again() {
    let builds = "CREATE TABLE ch (id INT PRIMARY KEY, p INT, c INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
                  INSERT INTO ch VALUES (1, 1, 1), (2, 2, 2); \
                  ALTER TABLE p ADD n INT DEFAULT 4, ADD UNIQUE un (c); ALTER TABLE ch ADD n INT DEFAULT 5; \
                  ALTER TABLE ch ADD CONSTRAINT fc FOREIGN KEY (c) REFERENCES p (c) ON UPDATE CASCADE; \
                  ALTER TABLE p ADD g INT AS (c + n) STORED, ADD KEY kg (g); UPDATE p SET c = 11 WHERE id = 1";
    let drops = "ALTER TABLE p DROP COLUMN w; DROP TABLE other; DROP TABLE p";
    let shape = |n: &Node| {
        let mut s = n.session();
        let tables = s.rows("SHOW TABLES FROM shop");
        let all = tables.iter().map(|t| {
            let shown = s.rows(&format!("SHOW CREATE TABLE shop.{t}"));
            (shown, s.rows(&format!("SELECT * FROM shop.{t} ORDER BY 1")))
        });
        (
            all.collect::<Vec<_>>(),
            s.rows("SELECT `table`, row_key, rule FROM p2pdb.conflicts ORDER BY 1, 2, 3"),
        )
    };
    for ann_drops in [true, false] {
        let (anns, bobs) = if ann_drops { (drops, builds) } else { (builds, drops) };
        let a = Node::begin(1);
        a.session().run(
            "CREATE DATABASE shop; USE shop; CREATE TABLE p (id INT PRIMARY KEY, c INT, w INT); \
             CREATE TABLE other (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id)); \
             INSERT INTO p VALUES (1, 1, 1), (2, 2, 2); INSERT INTO other VALUES (1, 1); \
             CREATE USER ann IDENTIFIED BY 'x', boss IDENTIFIED BY 'y'; GRANT ALL ON shop.* TO ann; \
             GRANT ALL ON *.* TO boss WITH GRANT OPTION",
        );
        let (b, c) = (a.join(2), a.join(3));
        for n in [&b, &c] {
            n.session().run("ALTER USER ann IDENTIFIED BY 'x', boss IDENTIFIED BY 'y'");
        }
        converge(&[&a, &b, &c]);
        let before = a.session().rows("SELECT @@gtid_executed").concat();
        let without = shape(&a);
        // One hears of what ann did first, one of the revocation first.
        b.session_as("ann").expect("a session").run(&format!("USE shop; {anns}"));
        c.fetch(&b);
        a.session_as("boss")
            .expect("a session")
            .run(&format!("REVOKE ALL ON shop.* FROM ann KEEP THROUGH '{before}'"));
        converge(&[&a, &b, &c]);
        assert_eq!(shape(&a), without, "ann's statements count for nothing");
        // Beside them somebody does what counts.
        let d = Node::join(&a, 4);
        d.session().run(&format!("USE shop; {bobs}"));
        converge(&[&a, &b, &c, &d]);
        verified(&[&a, &b, &c, &d]);
        loads(&a, &b);
        let within = shape(&a);
        // The revocation is void itself.
        a.session().run(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM boss KEEP THROUGH '{before}'"));
        converge(&[&a, &b, &c, &d]);
        verified(&[&a, &b, &c, &d]);
        loads(&a, &b);
        let e = a.join(5);
        converge(&[&a, &b, &c, &d, &e]);
        assert_eq!(shape(&e), shape(&c));
        assert_ne!(shape(&c), within, "ann's statements count again");
    }
}

/// A version that let the drop win left no table, and no column.
#[test]
fn tables_that_other_rules_made_are_made_anew_once() {
    let (a, b) = two(
        "CREATE TABLE p (id INT PRIMARY KEY, c INT UNIQUE); INSERT INTO p VALUES (1, 1), (2, 2); \
         CREATE TABLE kept (id INT PRIMARY KEY AUTO_INCREMENT, v INT UNIQUE, w VARCHAR(20), FULLTEXT KEY fw (w)); \
         INSERT INTO kept (v, w) VALUES (1, 'one word'), (2, 'two words')",
    );
    a.session().run("DROP TABLE shop.p; UPDATE shop.kept SET v = 5 WHERE id = 1");
    b.session().run(
        "USE shop; CREATE TABLE ch (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
         INSERT INTO ch VALUES (1, 1); INSERT INTO kept (v) VALUES (5)",
    );
    converge(&[&a, &b]);
    let was = loads(&a, &b);
    let shown = |n: &Node| {
        ["p", "ch", "kept"].map(|t| n.session().rows(&format!("SELECT * FROM shop.{t} ORDER BY 1"))).concat()
    };
    let rows = shown(&a);
    let conflicts = "SELECT `table`, row_key, rule, lost_value FROM p2pdb.conflicts";
    let conflict = both(&a, &b, conflicts);
    assert_eq!(conflict.len(), 1);
    let a = a.restart_after(|path| {
        let options = Options { path, ..p2pdb_engine::realm::options(Path::new("")) };
        let mut w = Writer::open(&options).expect("the store");
        // Those of `kept` have triggers, which keep the index of words.
        let sql = "SELECT name, EXISTS (SELECT 1 FROM sqlite_schema t WHERE t.type = 'trigger' AND t.tbl_name = s.name)
                   FROM sqlite_schema s WHERE type = 'table' AND name GLOB 't_*'";
        let mut damage = Vec::new();
        w.query(sql, (), |r| {
            let table = r.text(0)?;
            damage.push(match r.int(1)? {
                0 => format!("DROP TABLE {table}; DROP TABLE x{};", &table[1..]),
                _ => format!("DELETE FROM {table};"),
            });
            Ok(p2pdb_store::NEXT)
        })
        .expect("names");
        damage.sort();
        assert!(damage.len() == 3 && damage[1].starts_with("DROP"), "{damage:?}");
        w.begin().expect("a transaction");
        w.execute_batch(&damage.concat()).expect("damage");
        w.execute("DELETE FROM meta WHERE name = ?1", [p2pdb_model::ValueRef::Text(meta::MERGED)])
            .expect("a note");
        w.commit().expect("a commit");
    });
    assert_eq!(shown(&a), rows);
    assert_eq!(loads(&a, &b), was);
    assert_eq!(both(&a, &b, conflicts), conflict);
    converge(&[&a, &b]);
    verified(&[&a, &b]);
    a.session().run("INSERT INTO shop.p VALUES (3, 3); INSERT INTO shop.ch VALUES (3, 3)");
    let found = "SELECT v FROM shop.kept WHERE MATCH (w) AGAINST ('words')";
    assert_eq!(a.session().rows(found), ["2"]);
    let a = a.restart();
    converge(&[&a, &b]);
    assert_eq!(shown(&a), shown(&b));
    verified(&[&a, &b]);
}

const HOUSES: &str = "CREATE TABLE p (id INT PRIMARY KEY, v INT); \
                      CREATE TABLE k (id INT PRIMARY KEY, p INT, CONSTRAINT kp FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
                      CREATE TABLE r (id INT PRIMARY KEY, p INT, CONSTRAINT rp FOREIGN KEY (p) REFERENCES p (id)); \
                      CREATE TABLE g (id INT PRIMARY KEY, k INT, CONSTRAINT gk FOREIGN KEY (k) REFERENCES k (id) ON DELETE SET NULL); \
                      INSERT INTO p VALUES (1, 1), (2, 2); INSERT INTO k VALUES (1, 1), (2, 2); INSERT INTO g VALUES (1, 1), (2, 2)";

/// What a delete did to others counts as long as the delete does, whatever became of its table meanwhile.
#[test]
fn effects_of_a_delete_that_does_not_count_are_none_where_its_table_is_gone() {
    let edit = "UPDATE p SET v = 9 WHERE id = 1";
    let other = "UPDATE p SET v = 7 WHERE id = 2";
    for (drops, edits, beside, gone) in [
        (
            "DELETE FROM p WHERE id = 1; ALTER TABLE k DROP FOREIGN KEY kp; DROP TABLE r; DROP TABLE p",
            edit,
            other,
            &["p", "r"][..],
        ),
        ("DELETE FROM p WHERE id = 1; SET foreign_key_checks = 0; DROP TABLE p", edit, other, &["p"]),
        (
            "DELETE FROM p WHERE id = 1",
            edit,
            "ALTER TABLE k DROP FOREIGN KEY kp; DROP TABLE r; DROP TABLE p",
            &["p", "r"],
        ),
        // The row is kept by who refers to it.
        (
            "DELETE FROM p WHERE id = 1; ALTER TABLE k DROP FOREIGN KEY kp; ALTER TABLE r DROP FOREIGN KEY rp; DROP TABLE p",
            "INSERT INTO r VALUES (1, 1)",
            other,
            &["p"],
        ),
        // In the middle of a chain, and more of it.
        ("DELETE FROM p WHERE id = 1; ALTER TABLE g DROP FOREIGN KEY gk; DROP TABLE k", edit, other, &["k"]),
        (
            "DELETE FROM p WHERE id = 1; ALTER TABLE g DROP FOREIGN KEY gk; DROP TABLE k; DROP TABLE r; DROP TABLE p",
            edit,
            "UPDATE g SET k = 1 WHERE id = 2",
            &["k", "p", "r"],
        ),
        (
            "DELETE FROM p WHERE id = 1; ALTER TABLE g DROP FOREIGN KEY gk",
            "DROP TABLE r; UPDATE p SET v = 9 WHERE id = 1",
            "ALTER TABLE g DROP FOREIGN KEY gk; ALTER TABLE r DROP FOREIGN KEY rp; DROP TABLE k; DROP TABLE p",
            &["k", "p", "r"],
        ),
    ] {
        each_way(&Meeting { tables: HOUSES, on: [drops, edits, beside] }, |nodes| {
            let mut there: Vec<&str> = ["g", "k", "p", "r"].into();
            there.retain(|t| !gone.contains(t));
            assert_eq!(all(nodes, "SHOW TABLES FROM shop"), there, "{drops}");
            if there.contains(&"k") {
                assert_eq!(all(nodes, "SELECT * FROM shop.k WHERE id = 1"), ["1|1"], "{drops}");
            }
            assert_eq!(all(nodes, "SELECT * FROM shop.g WHERE id = 1"), ["1|1"], "{drops}");
        });
    }
    // Of a database that is gone.
    let tables = "CREATE TABLE depot.p (id INT PRIMARY KEY, v INT); \
                  CREATE TABLE k (id INT PRIMARY KEY, p INT, CONSTRAINT kp FOREIGN KEY (p) REFERENCES depot.p (id) ON DELETE SET NULL); \
                  INSERT INTO depot.p VALUES (1, 1); INSERT INTO k VALUES (1, 1)";
    let drops = "DELETE FROM depot.p; ALTER TABLE k DROP FOREIGN KEY kp; DROP DATABASE depot";
    each_way(&Meeting { tables, on: [drops, "UPDATE depot.p SET v = 2", "DO 0"] }, |nodes| {
        assert_eq!(all(nodes, "SHOW DATABASES LIKE 'depot'"), [""; 0]);
        assert_eq!(all(nodes, "SELECT * FROM shop.k"), ["1|1"]);
    });
}

/// An edit outvotes the delete, becomes void where the row's table is gone, and counts again there.
#[test]
fn effects_count_again_where_their_table_is_gone_and_the_edit_is_void() {
    let a = Node::begin(1);
    a.session().run(&format!(
        "CREATE DATABASE shop; USE shop; {HOUSES}; CREATE USER bob IDENTIFIED BY 'b', boss IDENTIFIED BY 'c'; \
         GRANT ALL ON shop.* TO bob; GRANT ALL ON *.* TO boss WITH GRANT OPTION"
    ));
    let (b, c) = (a.join(2), a.join(3));
    for n in [&b, &c] {
        n.session().run("ALTER USER bob IDENTIFIED BY 'b', boss IDENTIFIED BY 'c'");
    }
    converge(&[&a, &b, &c]);
    let before = a.session().rows("SELECT @@gtid_executed").concat();
    let row = |n: &Node| {
        let mut s = n.session();
        [
            s.rows("SELECT * FROM shop.k WHERE id = 1").concat(),
            s.rows("SELECT * FROM shop.g WHERE id = 1").concat(),
        ]
    };
    a.session().run(
        "USE shop; DELETE FROM p WHERE id = 1; ALTER TABLE k DROP FOREIGN KEY kp; DROP TABLE r; DROP TABLE p",
    );
    b.session_as("bob").expect("a session").run("UPDATE shop.p SET v = 9 WHERE id = 1");
    c.session_as("boss").expect("a session").run("REVOKE ALL ON shop.* FROM bob");
    converge(&[&a, &b]);
    assert_eq!(row(&a), ["1|1", "1|1"], "bob's edit keeps the row");
    verified(&[&a, &b]);
    converge(&[&a, &b, &c]);
    assert_eq!(row(&a), ["", "1|NULL"], "bob's edit is void");
    verified(&[&a, &b, &c]);
    a.session().run(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM boss KEEP THROUGH '{before}'"));
    converge(&[&a, &b, &c]);
    assert_eq!(row(&c), ["1|1", "1|1"], "bob's edit counts again");
    let d = a.join(4);
    converge(&[&a, &b, &c, &d]);
    verified(&[&a, &b, &c, &d]);
}

#[test]
fn an_index_that_all_have_dropped_is_not_kept_by_a_foreign_key_made_after_it() {
    let m = Meeting {
        tables: "CREATE TABLE p (a INT PRIMARY KEY); \
                 CREATE TABLE c (x INT, y INT, CONSTRAINT k FOREIGN KEY (x) REFERENCES p (a))",
        on: [
            "ALTER TABLE c ADD KEY more (x, y)",
            "ALTER TABLE c DROP FOREIGN KEY k; ALTER TABLE c DROP KEY k; \
             ALTER TABLE c ADD CONSTRAINT kb FOREIGN KEY (x) REFERENCES p (a)",
            "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1)",
        ],
    };
    each_way(&m, |nodes| {
        let indexes =
            "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_NAME = 'c' ORDER BY 1";
        assert_eq!(all(nodes, indexes), ["kb", "more"]);
        let mut s = nodes[0].session();
        assert_eq!(s.error("INSERT INTO shop.c VALUES (2, 2)"), 1452);
    });
}

#[test]
fn a_foreign_key_keeps_an_index_where_two_sides_define_another_one_anew() {
    for other in [
        "ALTER TABLE p ALTER INDEX n INVISIBLE; ALTER TABLE c ALTER INDEX m INVISIBLE",
        "ALTER TABLE p ALTER INDEX n INVISIBLE; ALTER TABLE c DROP INDEX m, ADD INDEX m (y, z)",
    ] {
        let m = Meeting {
            tables: "CREATE TABLE p (a INT PRIMARY KEY, b INT, d INT, KEY kb (b), KEY n (d)); \
                     CREATE TABLE c (x INT, y INT, z INT, KEY m (y), FOREIGN KEY (x) REFERENCES p (a)); \
                     CREATE TABLE e (x INT, FOREIGN KEY (x) REFERENCES p (b))",
            on: [
                "ALTER TABLE c DROP INDEX m, ADD INDEX m (x, y); \
                 ALTER TABLE p DROP INDEX kb, DROP INDEX n, ADD INDEX n (b)",
                other,
                "INSERT INTO p VALUES (1, 1, 1); INSERT INTO c VALUES (1, 1, 1)",
            ],
        };
        each_way(&m, |nodes| {
            let begins = "SELECT COUNT(*) > 0 FROM information_schema.STATISTICS WHERE SEQ_IN_INDEX = 1 AND";
            for of in ["TABLE_NAME = 'c' AND COLUMN_NAME = 'x'", "TABLE_NAME = 'p' AND COLUMN_NAME = 'b'"] {
                assert_eq!(all(nodes, &format!("{begins} {of}")), ["1"], "{of}");
            }
        });
    }
}
