//! Foreign keys where two nodes meet: every action, to the primary key and to unique keys other than that.

mod support;

use support::{Node, both, converge, two, verified};

/// Two nodes with lines that refer to items by a unique code, item 1 with line 1 on both.
fn by_code(on_delete: &str, on_update: &str) -> (Node, Node) {
    two(&format!(
        "CREATE TABLE item (id INT PRIMARY KEY, code VARCHAR(9), v INT, UNIQUE KEY (code)); \
         CREATE TABLE line (id INT PRIMARY KEY, code VARCHAR(9), \
             FOREIGN KEY (code) REFERENCES item (code) ON DELETE {on_delete} ON UPDATE {on_update}); \
         INSERT INTO item VALUES (1, 'a', 0), (2, 'b', 0); INSERT INTO line VALUES (1, 'a')"
    ))
}

const ITEMS: &str = "SELECT id, code, v FROM shop.item ORDER BY id";
const LINES: &str = "SELECT id, code FROM shop.line ORDER BY id";
const LINE_ITEMS: &str = "SELECT id, item FROM shop.line ORDER BY id";
const WAITING: &str = "SELECT `table`, row_key, rule FROM p2pdb.conflicts ORDER BY `table`, row_key";

/// Two nodes with items 1 and 2, and lines that refer to items by their primary key.
fn by_id(on_delete: &str, on_update: &str) -> (Node, Node) {
    two(&format!(
        "CREATE TABLE item (id INT PRIMARY KEY, v INT); \
         CREATE TABLE line (id INT PRIMARY KEY, item INT, \
             FOREIGN KEY (item) REFERENCES item (id) ON DELETE {on_delete} ON UPDATE {on_update}); \
         INSERT INTO item VALUES (1, 0), (2, 0)"
    ))
}

#[test]
fn a_parent_that_is_deleted_while_a_child_comes_meets_each_action() {
    let none: [&str; 0] = [];
    for (on_delete, items, lines, waiting) in [
        ("RESTRICT", &["1", "2"][..], &["1|1"][..], &["item|1|concurrent delete"][..]),
        ("NO ACTION", &["1", "2"], &["1|1"], &["item|1|concurrent delete"]),
        ("CASCADE", &["2"], &[], &["line|1|reference"]),
        ("SET NULL", &["2"], &["1|NULL"], &["line|1|reference"]),
    ] {
        let (a, b) = by_id(on_delete, "NO ACTION");
        a.session().run("DELETE FROM shop.item WHERE id = 1");
        b.session().run("INSERT INTO shop.line VALUES (1, 1)");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT id FROM shop.item ORDER BY id"), items, "{on_delete}");
        assert_eq!(both(&a, &b, LINE_ITEMS), lines, "{on_delete}");
        assert_eq!(both(&a, &b, WAITING), waiting, "{on_delete}");
        // With the parent back all is as it was written.
        a.session().run("INSERT INTO shop.item VALUES (1, 9) ON DUPLICATE KEY UPDATE v = 9");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, LINE_ITEMS), ["1|1"], "{on_delete}");
        assert_eq!(both(&a, &b, WAITING), none, "{on_delete}");
        verified(&[&a, &b]);
    }
}

#[test]
fn a_parent_whose_key_changes_while_a_child_comes_meets_each_action() {
    for (on_update, lines, waiting) in [
        ("RESTRICT", &["1|5"][..], &[][..]),
        ("NO ACTION", &["1|5"], &[]),
        ("CASCADE", &["1|5"], &[]),
        ("SET NULL", &["1|NULL"], &["line|1|reference"]),
    ] {
        let (a, b) = by_id("NO ACTION", on_update);
        a.session().run("UPDATE shop.item SET id = 5 WHERE id = 1");
        b.session().run("INSERT INTO shop.line VALUES (1, 1)");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT id FROM shop.item ORDER BY id"), ["2", "5"], "{on_update}");
        assert_eq!(both(&a, &b, LINE_ITEMS), lines, "{on_update}");
        let waiting: &[&str] = waiting;
        assert_eq!(both(&a, &b, WAITING), waiting, "{on_update}");
        verified(&[&a, &b]);
    }
}

#[test]
fn a_parent_that_is_deleted_while_a_child_refers_to_its_unique_key_meets_the_rule_of_the_reference() {
    let none: [&str; 0] = [];
    for (on_delete, items, lines, waiting) in [
        ("RESTRICT", vec!["1|a|0", "2|b|0"], vec!["2|a"], vec!["item|1|concurrent delete"]),
        ("NO ACTION", vec!["1|a|0", "2|b|0"], vec!["2|a"], vec!["item|1|concurrent delete"]),
        ("CASCADE", vec!["2|b|0"], vec![], vec!["line|2|reference"]),
        ("SET NULL", vec!["2|b|0"], vec!["1|NULL", "2|NULL"], vec!["line|2|reference"]),
    ] {
        let (a, b) = by_code(on_delete, "NO ACTION");
        if items.len() == 2 {
            a.session().run("DELETE FROM shop.line WHERE id = 1");
        }
        a.session().run("DELETE FROM shop.item WHERE id = 1");
        b.session().run("INSERT INTO shop.line VALUES (2, 'a')");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, ITEMS), items, "{on_delete}");
        assert_eq!(both(&a, &b, LINES), lines, "{on_delete}");
        assert_eq!(both(&a, &b, WAITING), waiting, "{on_delete}");
        verified(&[&a, &b]);
        if items.len() == 1 {
            // Another item of that code, whatever its primary key.
            b.session().run("INSERT INTO shop.item VALUES (7, 'a', 7)");
            converge(&[&a, &b]);
            assert!(both(&a, &b, LINES).contains(&"2|a".to_owned()), "{on_delete}");
            assert_eq!(both(&a, &b, WAITING), none, "{on_delete}");
            verified(&[&a, &b]);
        }
    }
}

#[test]
fn a_unique_key_that_changes_while_a_child_refers_to_it_leaves_the_child_waiting_until_the_key_is_back() {
    for on_update in ["CASCADE", "RESTRICT", "SET NULL"] {
        let (a, b) = by_code("CASCADE", on_update);
        if on_update == "RESTRICT" {
            a.session().run("DELETE FROM shop.line WHERE id = 1");
        }
        a.session().run("UPDATE shop.item SET code = 'z' WHERE id = 1");
        b.session().run("INSERT INTO shop.line VALUES (2, 'a')");
        converge(&[&a, &b]);
        let own: &[&str] = match on_update {
            "CASCADE" => &["1|z"],
            "RESTRICT" => &[],
            _ => &["1|NULL"],
        };
        assert_eq!(both(&a, &b, ITEMS), ["1|z|0", "2|b|0"], "{on_update}");
        assert_eq!(both(&a, &b, LINES), own, "{on_update}");
        assert_eq!(both(&a, &b, WAITING), ["line|2|reference"], "{on_update}");
        b.session().run("UPDATE shop.item SET code = 'a' WHERE id = 2");
        converge(&[&a, &b]);
        assert!(both(&a, &b, LINES).contains(&"2|a".to_owned()), "{on_update}");
        verified(&[&a, &b]);
    }
}

/// Who refers by what people know a thing by is not lost when both sides made the thing.
#[test]
fn children_of_two_parents_with_one_unique_key_refer_to_the_one_that_is_shown() {
    let (a, b) = by_code("RESTRICT", "CASCADE");
    a.session().run("INSERT INTO shop.item VALUES (3, 'c', 3); INSERT INTO shop.line VALUES (3, 'c')");
    b.clock.advance_ms(5_000);
    b.session().run("INSERT INTO shop.item VALUES (4, 'c', 4); INSERT INTO shop.line VALUES (4, 'c')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, ITEMS), ["1|a|0", "2|b|0", "3|c|3"]);
    assert_eq!(both(&a, &b, LINES), ["1|a", "3|c", "4|c"]);
    assert_eq!(both(&a, &b, WAITING), ["item|4|unique"]);
    // The other one takes its place.
    a.session().run("UPDATE shop.line SET code = NULL WHERE id = 3");
    assert_eq!(a.session().error("DELETE FROM shop.item WHERE id = 3"), 1451);
    a.session().run("UPDATE shop.line SET code = NULL WHERE id = 4; DELETE FROM shop.item WHERE id = 3");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, ITEMS), ["1|a|0", "2|b|0", "4|c|4"]);
    verified(&[&a, &b]);
}

#[test]
fn a_unique_key_does_not_become_null_where_children_must_have_one() {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run(
        "CREATE DATABASE shop; USE shop; CREATE TABLE item (id INT PRIMARY KEY, code INT UNIQUE); \
         CREATE TABLE line (id INT PRIMARY KEY, code INT NOT NULL, \
             FOREIGN KEY (code) REFERENCES item (code) ON UPDATE CASCADE); \
         CREATE TABLE note (id INT PRIMARY KEY, code INT, \
             FOREIGN KEY (code) REFERENCES item (code) ON UPDATE CASCADE); \
         INSERT INTO item VALUES (1, 10), (2, 20); INSERT INTO line VALUES (1, 10); INSERT INTO note VALUES (2, 20)",
    );
    assert_eq!(s.error("UPDATE item SET code = NULL WHERE id = 1"), 1451);
    s.run("UPDATE item SET code = NULL WHERE id = 2; UPDATE item SET code = 11 WHERE id = 1");
    assert_eq!(s.rows("SELECT code FROM line UNION ALL SELECT code FROM note"), ["11", "NULL"]);
    drop(s);
    verified(&[&a]);
}

/// One side makes a foreign key that sets NULL, the other takes NULL away from its column.
#[test]
fn what_set_null_cannot_set_to_null_waits_for_its_parent() {
    for action in ["ON DELETE SET NULL", "ON UPDATE SET NULL", "ON DELETE SET NULL ON UPDATE SET NULL"] {
        let (a, b) = two(
            "CREATE TABLE item (id INT PRIMARY KEY, v INT); CREATE TABLE line (id INT PRIMARY KEY, item INT); \
             INSERT INTO item VALUES (1, 0), (2, 0); INSERT INTO line VALUES (1, 1)",
        );
        a.session().run(&format!(
            "ALTER TABLE shop.line ADD CONSTRAINT k FOREIGN KEY (item) REFERENCES shop.item (id) {action}"
        ));
        assert_eq!(a.session().error("ALTER TABLE shop.line MODIFY item INT NOT NULL"), 1830);
        b.session().run("ALTER TABLE shop.line MODIFY item INT NOT NULL");
        converge(&[&a, &b]);
        let definition = &both(&a, &b, "SHOW CREATE TABLE shop.line")[0];
        assert!(definition.contains("`item` int NOT NULL") && definition.contains(action), "{definition}");
        // Here no statement gives such a row, and the table can still be altered.
        let statement = match action {
            "ON UPDATE SET NULL" => "UPDATE shop.item SET id = 5 WHERE id = 1",
            _ => "DELETE FROM shop.item WHERE id = 1",
        };
        assert_eq!(a.session().error(statement), 1451, "{action}");
        b.session().run("ALTER TABLE shop.line ADD note VARCHAR(9)");
        converge(&[&a, &b]);
        // A parent that goes while a child comes elsewhere.
        a.session().run(&format!("UPDATE shop.line SET item = 2; {statement}"));
        b.session().run("INSERT INTO shop.line (id, item) VALUES (2, 1)");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, LINE_ITEMS), ["1|2"], "{action}");
        assert!(both(&a, &b, WAITING).contains(&"line|2|not null".to_owned()), "{action}");
        verified(&[&a, &b]);
        b.session().run("INSERT INTO shop.item VALUES (1, 9)");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, LINE_ITEMS), ["1|2", "2|1"], "{action}");
        verified(&[&a, &b]);
        // What was set to NULL where that could be, and what reads NULL: shown as soon as the column takes it.
        let statement = statement.replace("= 5", "= 6");
        a.session().run(&format!("UPDATE shop.line SET item = 2; {statement}"));
        b.session().run("INSERT INTO shop.line (id, item) VALUES (3, 1)");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, LINE_ITEMS), ["1|2", "2|2"], "{action}");
        a.session().run("ALTER TABLE shop.line MODIFY item INT");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, LINE_ITEMS), ["1|2", "2|2", "3|NULL"], "{action}");
        verified(&[&a, &b]);
    }
}

/// The effect was logged by who could, and arrives where the column takes no NULL any more.
#[test]
fn a_logged_null_that_a_column_takes_no_more_displaces_its_row() {
    let (a, b) = two("CREATE TABLE item (id INT PRIMARY KEY, v INT); \
         CREATE TABLE line (id INT PRIMARY KEY, item INT, \
             CONSTRAINT k FOREIGN KEY (item) REFERENCES item (id) ON DELETE SET NULL); \
         INSERT INTO item VALUES (1, 0); INSERT INTO line VALUES (1, 1)");
    a.session().run("DELETE FROM shop.item WHERE id = 1");
    b.session().run("ALTER TABLE shop.line DROP FOREIGN KEY k, MODIFY item INT NOT NULL");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, WAITING), ["line|1|not null"]);
    verified(&[&a, &b]);
    b.session().run("ALTER TABLE shop.line MODIFY item INT");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, LINE_ITEMS), ["1|NULL"]);
    verified(&[&a, &b]);
}

#[test]
fn a_row_that_replace_sets_behind_its_parent_keeps_its_reference() {
    for action in ["SET NULL", "CASCADE", "RESTRICT"] {
        let (a, b) = two(&format!(
            "CREATE TABLE part (id INT PRIMARY KEY, up INT, n INT, \
                 FOREIGN KEY (up) REFERENCES part (id) ON DELETE {action}); \
             INSERT INTO part VALUES (1, NULL, 0), (3, NULL, 0)"
        ));
        // Part 3 goes and comes again before part 12 refers to it, and before it refers to itself.
        a.session().run("REPLACE INTO shop.part VALUES (3, NULL, 1), (12, 3, 1)");
        a.session().run("REPLACE INTO shop.part VALUES (1, 1, 2)");
        converge(&[&a, &b]);
        let parts = both(&a, &b, "SELECT id, up, n FROM shop.part ORDER BY id");
        assert_eq!(parts, ["1|1|2", "3|NULL|1", "12|3|1"], "{action}");
        verified(&[&a, &b]);
    }
}

#[test]
fn a_reference_in_other_words_follows_the_key_that_it_means() {
    for (on_update, lines, waiting) in [
        ("CASCADE", ["1|deu", "2|deu", "3|deu"], &[][..]),
        ("NO ACTION", ["1|deu", "2|deu", "3|deu"], &[]),
        (
            "SET NULL",
            ["1|NULL", "2|NULL", "3|NULL"],
            &["line|1|reference", "line|2|reference", "line|3|reference"],
        ),
    ] {
        for on_delete in ["RESTRICT", "CASCADE", "SET NULL"] {
            let (a, b) = two(&format!(
                "CREATE TABLE item (code VARCHAR(5) PRIMARY KEY, v INT); \
                 CREATE TABLE line (id INT PRIMARY KEY, code VARCHAR(5), \
                     FOREIGN KEY (code) REFERENCES item (code) ON DELETE {on_delete} ON UPDATE {on_update}); \
                 INSERT INTO item VALUES ('de', 0), ('fr', 0)"
            ));
            a.session().run("UPDATE shop.item SET code = 'deu' WHERE code = 'de'");
            b.session().run("INSERT INTO shop.line VALUES (1, 'de'), (2, 'DE'), (3, 'dE')");
            converge(&[&a, &b]);
            assert_eq!(both(&a, &b, LINES), lines, "{on_update} {on_delete}");
            assert_eq!(both(&a, &b, WAITING), waiting, "{on_update} {on_delete}");
            verified(&[&a, &b]);
            // Somebody has the key again: it is theirs, as it was written.
            b.session().run("INSERT INTO shop.item VALUES ('De', 1)");
            converge(&[&a, &b]);
            assert_eq!(both(&a, &b, LINES), ["1|de", "2|DE", "3|dE"], "{on_update} {on_delete}");
            verified(&[&a, &b]);
            a.session().run("SET foreign_key_checks = 0; DELETE FROM shop.item WHERE code = 'de'");
            converge(&[&a, &b]);
            verified(&[&a, &b]);
            if on_update == "CASCADE" {
                a.session().run("UPDATE shop.item SET code = 'd' WHERE code = 'deu'");
                converge(&[&a, &b]);
                assert_eq!(both(&a, &b, LINES), ["1|d", "2|d", "3|d"], "{on_delete}");
                verified(&[&a, &b]);
            }
        }
    }
}

#[test]
fn of_two_rows_that_one_key_means_the_one_born_with_these_very_words_is_followed() {
    let (a, b) = two("CREATE TABLE item (code VARCHAR(5) PRIMARY KEY, v INT); \
         CREATE TABLE line (id INT PRIMARY KEY, code VARCHAR(5), \
             FOREIGN KEY (code) REFERENCES item (code) ON UPDATE CASCADE)");
    a.session().run("INSERT INTO shop.item VALUES ('x', 1); UPDATE shop.item SET code = 'one'");
    b.session().run("INSERT INTO shop.item VALUES ('X', 2); INSERT INTO shop.line VALUES (1, 'x'), (2, 'X')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, LINES), ["1|x", "2|X"]);
    b.session().run("SET foreign_key_checks = 0; UPDATE shop.item SET code = 'two' WHERE code = 'X'");
    a.session().run("INSERT INTO shop.line VALUES (3, 'x'), (4, 'X')");
    converge(&[&a, &b]);
    verified(&[&a, &b]);
    let of = "SELECT l.id, i.v FROM shop.line l JOIN shop.item i USING (code) WHERE l.id > 2 ORDER BY 1";
    assert_eq!(both(&a, &b, of), ["3|1", "4|2"]);
}

#[test]
fn what_went_along_is_back_with_a_row_that_an_edit_keeps_across_its_second_insert() {
    let (a, b) = two("CREATE TABLE g (id INT PRIMARY KEY, v INT); \
         CREATE TABLE p (id INT PRIMARY KEY, g INT, v INT, FOREIGN KEY (g) REFERENCES g (id) ON DELETE CASCADE); \
         CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
         INSERT INTO g VALUES (1, 1); INSERT INTO p VALUES (1, 1, 1)");
    a.session().run(
        "USE shop; DELETE FROM g; INSERT INTO p VALUES (1, NULL, 2); INSERT INTO c VALUES (1, 1); DELETE FROM p",
    );
    b.session().run("USE shop; UPDATE g SET v = 7; UPDATE p SET v = 9");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.g"), ["1|7"]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.p"), ["1"]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), ["1|1"]);
    verified(&[&a, &b]);
    // Who has seen it all deletes it all.
    b.session().run("USE shop; DELETE FROM p");
    converge(&[&a, &b]);
    let none: [&str; 0] = [];
    assert_eq!(both(&a, &b, "SELECT * FROM shop.p UNION SELECT id, p, 0 FROM shop.c"), none);
    verified(&[&a, &b]);
}

#[test]
fn what_went_along_stays_away_when_its_parents_are_made_again() {
    let none: [&str; 0] = [];
    for (here, there) in [
        ("DELETE FROM p WHERE id = 1", "DELETE FROM g"),
        ("DELETE FROM g", "DELETE FROM g"),
        ("DELETE FROM g", "DELETE FROM p; DELETE FROM g"),
        ("DELETE FROM p WHERE id = 1", "DELETE FROM p"),
    ] {
        let (a, b) = two("CREATE TABLE g (id INT PRIMARY KEY); \
             CREATE TABLE p (id INT PRIMARY KEY, g INT, FOREIGN KEY (g) REFERENCES g (id) ON DELETE CASCADE); \
             CREATE TABLE q (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
             INSERT INTO g VALUES (1); INSERT INTO p VALUES (1, 1); INSERT INTO q VALUES (1, 1)");
        a.session().run(&format!("USE shop; INSERT INTO q VALUES (2, 1); {here}"));
        b.session()
            .run(&format!("USE shop; {there}; INSERT IGNORE INTO g VALUES (1); INSERT INTO p VALUES (1, 1)"));
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT * FROM shop.p"), ["1|1"], "{here} and {there}");
        assert_eq!(both(&a, &b, "SELECT * FROM shop.q"), none, "{here} and {there}");
        verified(&[&a, &b]);
    }
}

/// Keys 1 and 2 with a child each; key 3 is gone, and the reference of child 3 to it, which was made meanwhile, reads NULL.
fn bent_from_three(child: &str) -> (Node, Node) {
    let (a, b) = two(&format!(
        "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, p INT, x INT, {child}, \
         FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL ON UPDATE CASCADE); \
         INSERT INTO p VALUES (1), (2), (3); INSERT INTO c VALUES (1, 1, 1), (2, 2, 2)"
    ));
    a.session().run("DELETE FROM shop.p WHERE id = 3");
    b.session().run("INSERT INTO shop.c VALUES (3, 3, 7)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|1|1", "2|2|2", "3|NULL|7"]);
    (a, b)
}

#[test]
fn no_statement_takes_a_unique_value_that_a_reference_comes_back_with() {
    let (a, b) = bent_from_three("UNIQUE KEY one (p)");
    let mut s = b.session();
    s.run("USE shop");
    let refused =
        s.try_run("UPDATE p SET id = 3 WHERE id = 1").map(|_| ()).expect_err("its child's key is claimed");
    let wanted = "Duplicate entry '3' for key 'c.one' (claimed by a row that waits in p2pdb.conflicts)";
    assert_eq!((refused.code, refused.message.as_str()), (1062, wanted));
    assert_eq!(s.rows("SELECT * FROM p ORDER BY id"), ["1", "2"]);
    assert_eq!(s.rows("SELECT * FROM c ORDER BY id"), ["1|1|1", "2|2|2", "3|NULL|7"]);
    // By a later statement of the transaction that brings it back, too.
    s.run("BEGIN; INSERT INTO p VALUES (3)");
    assert_eq!(s.error("UPDATE c SET p = 3 WHERE id = 2"), 1062);
    assert_eq!(s.error("INSERT INTO c VALUES (4, 3, 4)"), 1062);
    s.run("ROLLBACK; BEGIN; SET foreign_key_checks = 0; INSERT INTO c VALUES (4, 3, 4)");
    assert_eq!(s.error("INSERT INTO p VALUES (3)"), 1062);
    s.run("ROLLBACK; SET foreign_key_checks = 1");
    // Nobody else has it, or is to.
    s.run("BEGIN; INSERT INTO p VALUES (3); INSERT INTO c VALUES (4, NULL, 4); COMMIT");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|1|1", "2|2|2", "3|3|7", "4|NULL|4"]);
    verified(&[&a, &b]);
}

#[test]
fn who_gave_a_bent_row_another_value_has_that_one() {
    let (a, b) = bent_from_three("UNIQUE KEY one (p)");
    b.session().run(
        "USE shop; BEGIN; UPDATE c SET p = NULL WHERE id = 2; UPDATE c SET p = 2 WHERE id = 3; \
         INSERT INTO p VALUES (3); UPDATE c SET p = 3 WHERE id = 1; COMMIT",
    );
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|3|1", "2|NULL|2", "3|2|7"]);
    // A reference that somebody decided to leave NULL comes back no more.
    let (a, b) = bent_from_three("UNIQUE KEY one (p)");
    b.session().run("CALL p2pdb.resolve('shop.c', 'keep', 3); UPDATE shop.p SET id = 3 WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|3|1", "2|2|2", "3|NULL|7"]);
    verified(&[&a, &b]);
}

#[test]
fn a_reference_that_comes_back_has_the_rest_of_its_key() {
    let (a, b) = bent_from_three("UNIQUE KEY one (p, x)");
    let mut s = b.session();
    s.run("USE shop; BEGIN; INSERT INTO p VALUES (3); UPDATE c SET p = 3 WHERE id = 2");
    assert_eq!(s.error("UPDATE c SET x = 7 WHERE id = 2"), 1062);
    assert_eq!(s.error("UPDATE c SET x = 2 WHERE id = 3"), 1062);
    s.run("UPDATE c SET x = 8 WHERE id = 2; UPDATE c SET x = 2 WHERE id = 3; COMMIT");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|1|1", "2|3|8", "3|3|2"]);
    verified(&[&a, &b]);
}

/// Each of two sides has made a child of key 4, which the delete of a third one has taken away.
fn two_bent_from_four() -> (Node, Node, Node) {
    let (a, b) = bent_from_three("UNIQUE KEY one (p)");
    let c = a.join(3);
    converge(&[&a, &b, &c]);
    a.session().run("INSERT INTO shop.p VALUES (4)");
    converge(&[&a, &b, &c]);
    a.session().run("DELETE FROM shop.p WHERE id = 4");
    b.session().run("INSERT INTO shop.c VALUES (5, 4, 5)");
    c.session().run("INSERT INTO shop.c VALUES (6, 4, 6)");
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &b, "SELECT id, p FROM shop.c WHERE id > 3 ORDER BY id"), ["5|NULL", "6|NULL"]);
    (a, b, c)
}

#[test]
fn a_key_does_not_come_back_that_takes_one_of_two_rows_away() {
    let (a, b, c) = two_bent_from_four();
    assert_eq!(a.session().error("INSERT INTO shop.p VALUES (4)"), 1062);
    a.session().run("CALL p2pdb.resolve('shop.c', 'keep', 5); INSERT INTO shop.p VALUES (4)");
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &c, "SELECT id, p FROM shop.c WHERE id > 3 ORDER BY id"), ["5|NULL", "6|4"]);
    verified(&[&a, &b, &c]);
}

#[test]
fn a_row_that_was_moved_before_its_key_is_made_comes_back() {
    let (a, b, c) = two_bent_from_four();
    let mut s = a.session();
    s.run("USE shop; BEGIN; UPDATE c SET id = 15 WHERE id = 5");
    assert_eq!(s.error("INSERT INTO p VALUES (4)"), 1062);
    s.run("DELETE FROM c WHERE id = 15; INSERT INTO p VALUES (4); COMMIT");
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &c, "SELECT id, p FROM shop.c WHERE id > 3 ORDER BY id"), ["6|4"]);
    verified(&[&a, &b, &c]);
}

#[test]
fn a_text_that_comes_back_is_compared_by_its_collation() {
    let (a, b) = two("CREATE TABLE p (code VARCHAR(9) PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, \
         code VARCHAR(9) UNIQUE, FOREIGN KEY (code) REFERENCES p (code) ON DELETE SET NULL ON UPDATE CASCADE); \
         INSERT INTO p VALUES ('de'), ('fr'); INSERT INTO c VALUES (1, 'fr')");
    a.session().run("DELETE FROM shop.p WHERE code = 'de'");
    b.session().run("INSERT INTO shop.c VALUES (2, 'DE')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|fr", "2|NULL"]);
    assert_eq!(a.session().error("UPDATE shop.p SET code = 'dE' WHERE code = 'fr'"), 1062);
    a.session().run("INSERT INTO shop.p VALUES ('dE')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|fr", "2|DE"]);
    verified(&[&a, &b]);
}

#[test]
fn what_stayed_with_a_row_stays_when_it_is_deleted_without_its_foreign_key() {
    for action in ["CASCADE", "SET NULL"] {
        let (a, b) = two(&format!(
            "CREATE TABLE p (id INT PRIMARY KEY, v INT); CREATE TABLE c (id INT PRIMARY KEY, p INT, \
             CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id) ON DELETE {action}); \
             CREATE TABLE d (id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES c (id) ON DELETE CASCADE); \
             INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1), (2, 1), (3, 1); INSERT INTO d VALUES (1, 1)"
        ));
        a.session().run("DELETE FROM shop.p");
        b.session().run("UPDATE shop.p SET v = 2");
        converge(&[&a, &b]);
        let c = ["1|1", "2|1", "3|1"];
        assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), c, "{action}");
        // Of what the transaction itself deletes and changes nothing else is said.
        a.session().run(
            "USE shop; ALTER TABLE c DROP FOREIGN KEY f; BEGIN; DELETE FROM p; DELETE FROM c WHERE id = 2; \
             UPDATE c SET p = 5 WHERE id = 3; COMMIT",
        );
        assert_eq!(a.session().rows("SELECT * FROM shop.c"), ["1|1", "3|5"], "{action}");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), ["1|1", "3|5"], "{action}");
        assert_eq!(both(&a, &b, "SELECT * FROM shop.d"), ["1|1"], "{action}");
        verified(&[&a, &b]);
    }
}

#[test]
fn a_row_that_stays_is_kept_by_who_may_do_something_in_its_table() {
    let (a, b) =
        two("CREATE TABLE p (id INT PRIMARY KEY, v INT); CREATE TABLE c (id INT PRIMARY KEY, p INT, \
         CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
         INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1); \
         CREATE USER ann; GRANT SELECT, DELETE ON shop.p TO ann");
    a.session().run("DELETE FROM shop.p");
    b.session().run("UPDATE shop.p SET v = 2");
    converge(&[&a, &b]);
    a.session().run("ALTER TABLE shop.c DROP FOREIGN KEY f");
    let mut ann = a.session_as("ann").expect("a session");
    assert_eq!(ann.error("DELETE FROM shop.p"), 1142);
    a.session().run("GRANT SELECT (id) ON shop.c TO ann");
    ann.run("DELETE FROM shop.p");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), ["1|1"]);
    verified(&[&a, &b]);
}

#[test]
fn a_row_that_a_transaction_moves_is_the_row_it_was() {
    let (a, b) = bent_from_three("UNIQUE KEY one (p)");
    let mut s = b.session();
    s.run("USE shop; BEGIN; UPDATE c SET id = 9 WHERE id = 3; INSERT INTO p VALUES (3)");
    assert_eq!(s.error("UPDATE c SET p = 3 WHERE id = 2"), 1062);
    // Another row has its key.
    s.run("ROLLBACK; UPDATE c SET id = 9 WHERE id = 3");
    s.run("BEGIN; INSERT INTO c VALUES (3, NULL, 1); INSERT INTO p VALUES (3)");
    assert_eq!(s.error("UPDATE c SET p = 3 WHERE id = 2"), 1062);
    assert_eq!(s.error("UPDATE c SET p = 3 WHERE id = 3"), 1062);
    s.run("ROLLBACK; BEGIN; UPDATE c SET id = 8 WHERE id = 9; INSERT INTO p VALUES (3); COMMIT");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["1|1|1", "2|2|2", "8|3|7"]);
    verified(&[&a, &b]);
    // One that is gone claims nothing, whoever has its key.
    let (a, b) = bent_from_three("UNIQUE KEY one (p)");
    b.session().run(
        "USE shop; UPDATE c SET p = NULL WHERE id = 1; BEGIN; DELETE FROM c WHERE id = 3; \
         UPDATE c SET id = 3 WHERE id = 1; INSERT INTO p VALUES (3); UPDATE c SET p = 3 WHERE id = 2; COMMIT",
    );
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), ["2|3|2", "3|NULL|1"]);
    verified(&[&a, &b]);
}

#[test]
fn a_primary_key_comes_back_to_its_row_alone() {
    for (key, rows, took) in [
        ("p INT, x INT, PRIMARY KEY (p, x)", ["1|7", "5|7"], "UPDATE p SET id = 3 WHERE id = 1"),
        (
            "p INT PRIMARY KEY, x INT",
            ["1|7", "5|7"],
            "BEGIN; INSERT INTO p VALUES (3); INSERT INTO c VALUES (3, 9)",
        ),
    ] {
        let (a, b) = two(&format!(
            "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c ({key}, \
             FOREIGN KEY (p) REFERENCES p (id) ON UPDATE CASCADE); \
             INSERT INTO p VALUES (1), (2), (3); INSERT INTO c VALUES (1, 7)"
        ));
        a.session().run("UPDATE shop.p SET id = 5 WHERE id = 3");
        b.session().run("INSERT INTO shop.c VALUES (3, 7)");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY p"), rows, "{key}");
        let mut s = b.session();
        s.run("USE shop");
        let (first, last) = took.rsplit_once("; ").unwrap_or(("DO 1", took));
        s.run(first);
        assert_eq!(s.error(last), 1062, "{key}");
        s.run("ROLLBACK");
        assert_eq!(s.rows("SELECT * FROM c ORDER BY p"), rows, "{key}");
        s.run("INSERT INTO p VALUES (3)");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY p"), ["1|7", "3|7"], "{key}");
        verified(&[&a, &b]);
    }
}

#[test]
fn what_comes_back_brings_back_what_refers_to_it() {
    let child = "UNIQUE KEY one (p), FOREIGN KEY (p) REFERENCES";
    let (a, b) = two(&format!(
        "CREATE TABLE p (id INT PRIMARY KEY); \
         CREATE TABLE c (id INT PRIMARY KEY, p INT, {child} p (id) ON DELETE SET NULL ON UPDATE CASCADE); \
         CREATE TABLE d (id INT PRIMARY KEY, p INT, {child} c (p) ON DELETE SET NULL ON UPDATE CASCADE); \
         INSERT INTO p VALUES (1), (3); INSERT INTO c VALUES (1, 3)"
    ));
    let c = a.join(3);
    converge(&[&a, &b, &c]);
    a.session().run("DELETE FROM shop.p WHERE id = 3");
    b.session().run("INSERT INTO shop.d VALUES (1, 3)");
    c.session().run("USE shop; INSERT INTO d VALUES (2, 3); UPDATE c SET p = 1; UPDATE c SET p = 3");
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.d ORDER BY id"), ["1", "2"]);
    assert_eq!(a.session().error("INSERT INTO shop.p VALUES (3)"), 1062);
    a.session().run("CALL p2pdb.resolve('shop.d', 'keep', 1); INSERT INTO shop.p VALUES (3)");
    converge(&[&a, &b, &c]);
    assert_eq!(both(&a, &c, "SELECT * FROM shop.d ORDER BY id"), ["1|NULL", "2|3"]);
    verified(&[&a, &b, &c]);
}

#[test]
fn a_waiting_row_does_not_follow_a_parent_past_a_visible_one() {
    let (a, b) = bent_from_three("UNIQUE KEY one (p)");
    a.session().run("INSERT INTO shop.p VALUES (6)");
    converge(&[&a, &b]);
    a.session().run("INSERT INTO shop.c VALUES (11, 6, 1)");
    b.session().run("INSERT INTO shop.c VALUES (12, 6, 2)");
    converge(&[&a, &b]);
    let shown = both(&a, &b, "SELECT id FROM shop.c WHERE p = 6");
    assert_eq!(shown.len(), 1);
    assert_eq!(b.session().error("UPDATE shop.p SET id = 7 WHERE id = 6"), 1062);
    assert_eq!(b.session().rows("SELECT id FROM shop.c WHERE p = 6"), shown);
    let waits = if shown == ["11"] { 12 } else { 11 };
    b.session().run(&format!(
        "CALL p2pdb.resolve('shop.c', 'discard', {waits}); UPDATE shop.p SET id = 7 WHERE id = 6"
    ));
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.c WHERE p = 7"), shown);
    verified(&[&a, &b]);
}

#[test]
fn a_transaction_that_checked_foreign_keys_at_times_is_merged_as_it_is_shown() {
    for (before, after) in [("0", "1"), ("1", "0")] {
        let (a, b) = two("CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (id INT PRIMARY KEY, p INT, \
             FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL); INSERT INTO p VALUES (1)");
        a.session().run(&format!(
            "USE shop; BEGIN; SET foreign_key_checks = {before}; INSERT INTO c VALUES ({before}, {before} + 7 * (1 - {before})); \
             SET foreign_key_checks = {after}; INSERT INTO c VALUES ({after}, {after} + 7 * (1 - {after})); COMMIT"
        ));
        let rows = ["0|NULL", "1|1"];
        assert_eq!(a.session().rows("SELECT * FROM shop.c ORDER BY id"), rows);
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT * FROM shop.c ORDER BY id"), rows);
        verified(&[&a, &b]);
    }
}

/// Item 1 and a child of it that an edit kept from a delete, everywhere.
fn kept_from_a_delete(action: &str) -> (Node, Node) {
    let (a, b) = two(&format!(
        "CREATE TABLE p (id INT PRIMARY KEY, v INT); CREATE TABLE c (id INT PRIMARY KEY, p INT, v INT, \
         CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id) ON DELETE {action}); \
         INSERT INTO p VALUES (1, 1), (2, 1), (3, 1); INSERT INTO c VALUES (1, 1, 1)"
    ));
    a.session().run("DELETE FROM shop.p WHERE id = 1");
    b.session().run("UPDATE shop.p SET v = 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), ["1|1|1"]);
    (a, b)
}

#[test]
fn what_stays_by_itself_is_not_written_to_be_kept() {
    for action in ["CASCADE", "SET NULL"] {
        // The child refers to another row by now, and what others do to it stands.
        let (a, b) = kept_from_a_delete(action);
        a.session().run("UPDATE shop.c SET p = 3");
        converge(&[&a, &b]);
        b.session().run("UPDATE shop.c SET p = 2");
        a.session().run("DELETE FROM shop.p WHERE id = 1");
        converge(&[&a, &b]);
        assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), ["1|2|1"], "{action}");
        a.session().run("UPDATE shop.p SET v = 3");
        b.session().run("DELETE FROM shop.c");
        converge(&[&a, &b]);
        let none: [&str; 0] = [];
        assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), none, "{action}");
        verified(&[&a, &b]);
        // Nothing is needed in its table, either.
        let (a, b) = kept_from_a_delete(action);
        a.session().run("UPDATE shop.c SET p = 3; CREATE USER ann; GRANT SELECT, DELETE ON shop.p TO ann");
        a.session_as("ann").expect("a session").run("DELETE FROM shop.p WHERE id = 1");
        converge(&[&a, &b]);
        verified(&[&a, &b]);
    }
}

#[test]
fn what_stays_is_kept_through_rows_that_go() {
    let (a, b) = two("CREATE TABLE g (id INT PRIMARY KEY, v INT); \
         CREATE TABLE p (id INT PRIMARY KEY, g INT, FOREIGN KEY (g) REFERENCES g (id) ON DELETE CASCADE); \
         CREATE TABLE c (id INT PRIMARY KEY, p INT, CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE); \
         INSERT INTO g VALUES (1, 1); INSERT INTO p VALUES (1, 1); INSERT INTO c VALUES (1, 1)");
    a.session().run("DELETE FROM shop.g");
    b.session().run("UPDATE shop.g SET v = 2");
    converge(&[&a, &b]);
    a.session().run("ALTER TABLE shop.c DROP FOREIGN KEY f; DELETE FROM shop.g");
    converge(&[&a, &b]);
    let none: [&str; 0] = [];
    assert_eq!(both(&a, &b, "SELECT * FROM shop.p"), none);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), ["1|1"]);
    verified(&[&a, &b]);
}

#[test]
fn an_effect_of_the_same_transaction_keeps_no_row() {
    let (a, b) = kept_from_a_delete("CASCADE");
    a.session().run("USE shop; ALTER TABLE c DROP FOREIGN KEY f; \
         ALTER TABLE c ADD CONSTRAINT f FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL; DELETE FROM p WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.c"), ["1|NULL|1"]);
    verified(&[&a, &b]);
}
