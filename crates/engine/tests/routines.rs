//! Stored programs on several nodes: definitions merge, triggers fire where a statement runs and nowhere else. What they do in
//! one session is in `programs.rs`.

mod support;

use support::{Node, converge};

fn two() -> (Node, Node) {
    let a = Node::begin(1);
    let mut s = a.session();
    s.run("CREATE DATABASE shop; USE shop");
    s.run("CREATE TABLE till (id INT PRIMARY KEY, v INT); CREATE TABLE log (id INT PRIMARY KEY, what VARCHAR(40))");
    drop(s);
    let b = a.join(2);
    (a, b)
}

fn shop(n: &Node) -> support::TestSession {
    let mut s = n.session();
    s.run("USE shop");
    s
}

#[test]
fn routines_and_triggers_are_the_same_on_every_node() {
    let (a, b) = two();
    let mut s = shop(&a);
    s.run("CREATE PROCEDURE p(x INT) BEGIN IF x > 1 THEN SELECT 'many' AS n; ELSE SELECT 'few' AS n; END IF; END");
    s.run("CREATE FUNCTION dbl(x INT) RETURNS INT DETERMINISTIC RETURN x * 2");
    s.run("CREATE TRIGGER t BEFORE INSERT ON till FOR EACH ROW SET NEW.v = dbl(NEW.v)");
    drop(s);
    converge(&[&a, &b]);
    let mut s = shop(&b);
    assert_eq!(s.rows("CALL p(2)"), ["many"]);
    assert_eq!(s.rows("SELECT dbl(21)"), ["42"]);
    s.run("INSERT INTO till VALUES (1, 4)");
    assert_eq!(s.rows("SELECT v FROM till"), ["8"]);
}

#[test]
fn triggers_fire_for_local_statements_and_not_for_merged_changes() {
    let (a, b) = two();
    shop(&a).run("CREATE TRIGGER t AFTER INSERT ON till FOR EACH ROW INSERT INTO log VALUES (NEW.id, 'a')");
    converge(&[&a, &b]);
    shop(&b).run("INSERT INTO till VALUES (1, 1)");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(shop(n).rows("SELECT id, what FROM log"), ["1|a"]);
    }
    assert_eq!(a.fingerprint(), b.fingerprint());
}

#[test]
fn a_trigger_that_was_made_elsewhere_fires_from_when_it_arrives() {
    let (a, b) = two();
    shop(&a).run("CREATE TRIGGER t BEFORE INSERT ON till FOR EACH ROW SET NEW.v = 1");
    shop(&b).run("INSERT INTO till VALUES (2, 5)");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(shop(n).rows("SELECT v FROM till WHERE id = 2"), ["5"]);
    }
    shop(&b).run("INSERT INTO till VALUES (3, 5)");
    assert_eq!(shop(&b).rows("SELECT v FROM till WHERE id = 3"), ["1"]);
}

#[test]
fn of_two_bodies_under_one_name_the_later_holds() {
    let (a, b) = two();
    shop(&a).run("CREATE PROCEDURE p() SELECT 'first' AS n");
    b.clock.advance_ms(5_000);
    shop(&b).run("CREATE PROCEDURE P() SELECT 'second' AS n");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(shop(n).rows("CALL p()"), ["second"]);
        let count = "SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = 'shop'";
        assert_eq!(shop(n).rows(count), ["1"]);
    }
    assert_eq!(a.fingerprint(), b.fingerprint());
}

#[test]
fn a_drop_removes_what_its_author_saw_and_a_new_one_stays() {
    let (a, b) = two();
    shop(&a).run("CREATE PROCEDURE p() SELECT 1 AS n; CREATE PROCEDURE q() SELECT 1 AS n");
    converge(&[&a, &b]);
    shop(&a).run("DROP PROCEDURE p; DROP PROCEDURE q");
    shop(&b).run("ALTER PROCEDURE p COMMENT 'kept'");
    b.clock.advance_ms(5_000);
    shop(&b).run("DROP PROCEDURE q; CREATE PROCEDURE q() SELECT 2 AS n");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        assert_eq!(shop(n).rows("CALL p()"), ["1"]);
        assert_eq!(shop(n).rows("CALL q()"), ["2"]);
    }
}

#[test]
fn a_trigger_goes_with_its_table_and_keeps_one_that_was_dropped_concurrently() {
    let (a, b) = two();
    shop(&a).run("CREATE TRIGGER t BEFORE INSERT ON till FOR EACH ROW SET NEW.v = 1");
    shop(&a).run("DROP TABLE till");
    assert_eq!(shop(&a).rows("SELECT COUNT(*) FROM information_schema.triggers"), ["0"]);
    shop(&b).run("CREATE TRIGGER u BEFORE INSERT ON till FOR EACH ROW SET NEW.v = 2");
    converge(&[&a, &b]);
    for n in [&a, &b] {
        let names = "SELECT trigger_name FROM information_schema.triggers ORDER BY 1";
        // The table comes back whole, as with its columns.
        assert_eq!(shop(n).rows(names), ["t", "u"]);
    }
}

#[test]
fn an_error_in_a_trigger_undoes_the_statement() {
    let (a, _) = two();
    let mut s = shop(&a);
    s.run("CREATE TRIGGER t AFTER INSERT ON till FOR EACH ROW INSERT INTO log VALUES (NEW.v, 'x')");
    let e = s.try_run("INSERT INTO till VALUES (1, 1), (2, 2), (3, 1)").map(|_| ()).expect_err("a duplicate");
    assert_eq!(e.code, 1062);
    assert_eq!(s.rows("SELECT COUNT(*) FROM till"), ["0"]);
    assert_eq!(s.rows("SELECT COUNT(*) FROM log"), ["0"]);
}
