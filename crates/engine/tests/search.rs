//! FULLTEXT indexes on nodes that were apart: whatever was merged into a table is found by its words, and nothing else.

mod support;

use std::path::Path;

use p2pdb_store::{Options, Writer};
use support::{both, converge, two, verified};

/// The rows of `shop.note` that a boolean query finds.
fn found(what: &str) -> String {
    format!(
        "SELECT id FROM shop.note WHERE MATCH (title, body) AGAINST ('{what}' IN BOOLEAN MODE) ORDER BY id"
    )
}

const NOTES: &str =
    "CREATE TABLE note (id INT PRIMARY KEY, title VARCHAR(50), body TEXT, slug VARCHAR(20) UNIQUE, n INT,
                     FULLTEXT KEY words (title, body))";

#[test]
fn merged_rows_are_found_by_what_they_hold_now() {
    let (a, b) = two(NOTES);
    a.session().run(
        "INSERT INTO shop.note (id, title, body) VALUES (1, 'Red apples', 'grow on trees'), (2, 'Green pears', 'grow as well'),
         (3, 'Old news', 'nobody reads')",
    );
    converge(&[&a, &b]);
    a.session().run("UPDATE shop.note SET title = 'Yellow apples' WHERE id = 1");
    a.session().run("DELETE FROM shop.note WHERE id = 3");
    b.clock.advance_ms(5_000);
    b.session().run("UPDATE shop.note SET body = 'fall from trees' WHERE id = 1");
    b.session().run("INSERT INTO shop.note (id, title) VALUES (4, 'Purple plums')");
    b.session().run("UPDATE shop.note SET id = 20, n = 1 WHERE id = 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, &found("+yellow +fall")), ["1"]);
    assert!(both(&a, &b, &found("red old grow*")).len() == 1, "the pears");
    assert_eq!(both(&a, &b, &found("pears plums")), ["4", "20"]);
    assert_eq!(both(&a, &b, &found("\"fall from trees\"")), ["1"]);
    let ranks = "SELECT id, MATCH (title, body) AGAINST ('trees pears plums') FROM shop.note ORDER BY id";
    both(&a, &b, ranks);
    verified(&[&a, &b]);
}

#[test]
fn rows_that_are_displaced_are_found_when_they_are_back() {
    let (a, b) = two(NOTES);
    a.session().run("INSERT INTO shop.note VALUES (1, 'first', NULL, 'same', 1)");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.note VALUES (2, 'second', 'waiting', 'same', 1)");
    converge(&[&a, &b]);
    assert!(both(&a, &b, &found("second waiting")).is_empty());
    assert_eq!(both(&a, &b, &found("first")), ["1"]);
    verified(&[&a, &b]);
    a.session().run("UPDATE shop.note SET slug = 'other' WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, &found("second waiting")), ["2"]);
    b.session().run("DELETE FROM shop.note WHERE id = 1");
    converge(&[&a, &b]);
    assert!(both(&a, &b, &found("first")).is_empty());
    verified(&[&a, &b]);
}

#[test]
fn an_index_made_on_one_node_finds_the_rows_of_another() {
    let (a, b) = two("CREATE TABLE note (id INT PRIMARY KEY, title VARCHAR(50), body TEXT)");
    a.session().run("INSERT INTO shop.note VALUES (1, 'apples', 'one')");
    a.session().run("CREATE FULLTEXT INDEX words ON shop.note (title, body)");
    b.session().run("INSERT INTO shop.note VALUES (2, 'apples', 'two')");
    assert_eq!(b.session().error(&found("apples")), 1191);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, &found("apples")), ["1", "2"]);
    verified(&[&a, &b]);
    // The same index made twice is one.
    a.session().run("ALTER TABLE shop.note DROP KEY words");
    converge(&[&a, &b]);
    a.session().run("ALTER TABLE shop.note ADD FULLTEXT KEY again (title)");
    b.session().run("ALTER TABLE shop.note ADD FULLTEXT KEY again (title)");
    converge(&[&a, &b]);
    let found = "SELECT id FROM shop.note WHERE MATCH (title) AGAINST ('apples') ORDER BY id";
    assert_eq!(both(&a, &b, found), ["1", "2"]);
    verified(&[&a, &b]);
}

#[test]
fn columns_that_change_under_an_index_elsewhere_stop_nothing() {
    let (a, b) = two("CREATE TABLE note (id INT PRIMARY KEY, title VARCHAR(50), body TEXT)");
    a.session().run("INSERT INTO shop.note VALUES (1, '17', 'one'), (2, '18', 'two')");
    converge(&[&a, &b]);
    a.session().run("CREATE FULLTEXT INDEX words ON shop.note (title, body)");
    b.session().run("ALTER TABLE shop.note MODIFY title INT");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        // What is no text has no words.
        assert_eq!(n.session().error(&found("one")), 1191);
    }
    a.session().run("INSERT INTO shop.note VALUES (3, 19, 'three')");
    verified(&[&a, &b]);
    a.session().run("ALTER TABLE shop.note MODIFY title VARCHAR(20)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, &found("one three")), ["1", "3"]);
    a.session().run("UPDATE shop.note SET title = 'apples'");
    b.session().run("ALTER TABLE shop.note MODIFY body TEXT COLLATE utf8mb4_bin, DROP KEY words, ADD FULLTEXT KEY words (body)");
    converge(&[&a, &b]);
    let bodies =
        |what: &str| format!("SELECT id FROM shop.note WHERE MATCH (body) AGAINST ('{what}') ORDER BY id");
    assert_eq!(both(&a, &b, &bodies("three")), ["3"]);
    assert!(both(&a, &b, &bodies("THREE")).is_empty());
    a.session().run("ALTER TABLE shop.note DROP COLUMN body");
    b.session().run("INSERT INTO shop.note VALUES (4, 'late', 'one')");
    converge(&[&a, &b]);
    assert_eq!(a.session().error(&bodies("one")), 1054);
    verified(&[&a, &b]);
}

#[test]
fn a_transaction_finds_what_it_wrote_and_nobody_else_does_before_its_end() {
    let (a, b) = two(NOTES);
    let (mut writer, mut reader) = (a.session(), a.session());
    writer.run("INSERT INTO shop.note (id, title) VALUES (1, 'apples')");
    writer.run("START TRANSACTION");
    writer.run("INSERT INTO shop.note (id, title) VALUES (2, 'apples and pears')");
    assert_eq!(writer.rows(&found("apples")), ["1", "2"]);
    assert_eq!(reader.rows(&found("apples")), ["1"]);
    writer.run("SAVEPOINT s");
    writer.run("UPDATE shop.note SET title = 'plums'");
    assert!(writer.rows(&found("apples")).is_empty());
    writer.run("ROLLBACK TO s");
    assert_eq!(writer.rows(&found("apples -pears")), ["1"]);
    writer.run("COMMIT");
    assert_eq!(reader.rows(&found("pears")), ["2"]);
    writer.run("START TRANSACTION; DELETE FROM shop.note; ROLLBACK");
    assert_eq!(writer.rows(&found("apples")), ["1", "2"]);
    // A statement that fails in its middle leaves nothing.
    assert_eq!(
        writer.error("INSERT INTO shop.note (id, title) VALUES (3, 'cherries'), (1, 'cherries')"),
        1062
    );
    assert!(writer.rows(&found("cherries")).is_empty());
    // A reader's snapshot stays what it is.
    reader.run("START TRANSACTION WITH CONSISTENT SNAPSHOT");
    writer.run("INSERT INTO shop.note (id, title) VALUES (3, 'cherries')");
    assert!(reader.rows(&found("cherries")).is_empty());
    reader.run("COMMIT");
    assert_eq!(reader.rows(&found("cherries")), ["3"]);
    drop((writer, reader));
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, &found("cherries")), ["3"]);
    verified(&[&a, &b]);
}

#[test]
fn rows_leave_the_index_whichever_way_they_go() {
    let (a, b) = two(
        "CREATE TABLE author (id INT PRIMARY KEY);
         CREATE TABLE note (id INT PRIMARY KEY AUTO_INCREMENT, title VARCHAR(50), body TEXT, slug VARCHAR(20) UNIQUE, author INT,
           FULLTEXT KEY words (title, body), FULLTEXT KEY (body), FOREIGN KEY (author) REFERENCES author (id) ON DELETE CASCADE)",
    );
    let mut s = a.session();
    s.run("USE shop; INSERT INTO author VALUES (1), (2)");
    s.run("INSERT INTO note (title, body, slug, author) VALUES ('alpha', 'beta', 'x', 1), ('gamma', 'delta', 'y', 2)");
    // By another key than the primary one.
    s.run("REPLACE INTO note (title, body, slug, author) VALUES ('epsilon', 'zeta', 'x', 1)");
    assert!(s.rows(&found("alpha beta")).is_empty());
    s.run("INSERT INTO note (title, slug) VALUES ('unseen', 'y') ON DUPLICATE KEY UPDATE title = 'theta'");
    assert!(s.rows(&found("gamma unseen")).is_empty());
    assert_eq!(s.rows(&found("+theta +delta")), ["2"]);
    s.run("INSERT IGNORE INTO note (title, slug) VALUES ('unseen', 'y')");
    s.run("DELETE FROM author WHERE id = 1");
    assert!(s.rows(&found("epsilon zeta unseen")).is_empty());
    s.run("UPDATE note JOIN author ON author.id = note.author SET note.body = 'kappa'");
    assert_eq!(s.rows("SELECT id FROM note WHERE MATCH (body) AGAINST ('kappa delta')"), ["2"]);
    drop(s);
    converge(&[&a, &b]);
    verified(&[&a, &b]);
    a.session().run("TRUNCATE shop.note");
    converge(&[&a, &b]);
    assert!(both(&a, &b, &found("theta kappa")).is_empty());
    verified(&[&a, &b]);
    let a = a.restart();
    a.session().run("INSERT INTO shop.note (title) VALUES ('lambda')");
    assert_eq!(a.session().rows(&found("lambda")).len(), 1);
    a.session().run("DROP TABLE shop.note");
    verified(&[&a]);
}

#[test]
fn an_index_that_does_not_fit_its_rows_is_named() {
    let (a, _b) = two(NOTES);
    a.session().run("INSERT INTO shop.note (id, title) VALUES (1, 'apples'), (2, 'pears')");
    let a = a.restart_after(|path| {
        let options = Options { path, ..p2pdb_engine::realm::options(Path::new("")) };
        let mut w = Writer::open(&options).expect("the store");
        let one = |w: &Writer, sql: &str| {
            w.query_one(sql, (), |r| Ok(r.text(0)?.to_owned())).expect("an answer").expect("a row")
        };
        let index = one(&w, "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%fts5(%'");
        let column = one(&w, &format!("SELECT name FROM pragma_table_info('{index}')"));
        w.begin().expect("a transaction");
        w.execute(&format!("INSERT INTO {index} (rowid, {column}) VALUES (2, 'abc')"), ())
            .expect("a word too many");
        w.commit().expect("a commit");
    });
    let report = a.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
    assert!(report.findings.iter().any(|f| f.subject.contains("row 2")), "{:#?}", report.findings);
}
