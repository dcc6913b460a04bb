//! INSERT without UPDATE adds and never overwrites, whoever's clock is ahead (`docs/security.md`, section 3).

mod support;

use support::*;

/// A clinic's node and a lab's; `lab` may insert and read, `clinic` may do what it likes.
fn places() -> (Node, Node) {
    let (a, b) = two("CREATE TABLE result (id INT PRIMARY KEY, value INT, note VARCHAR(20));
         CREATE TABLE sample (id INT PRIMARY KEY, code VARCHAR(10) UNIQUE, tags JSON COMMENT '[set]')");
    a.session().run(
        "CREATE USER lab IDENTIFIED BY 'x', clinic IDENTIFIED BY 'y';
         GRANT SELECT, INSERT ON shop.* TO lab;
         GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO clinic",
    );
    b.fetch(&a);
    b.session().run("ALTER USER lab IDENTIFIED BY 'x'");
    converge(&[&a, &b]);
    (a, b)
}

fn as_(node: &Node, user: &str) -> TestSession {
    node.session_as(user).expect("a session")
}

fn put(node: &Node, user: &str, sql: &str) {
    as_(node, user).run(&format!("USE shop; {sql}"));
}

const LOST: &str =
    "SELECT `column`, kept_value, lost_value FROM p2pdb.conflicts WHERE rule = 'concurrent write' ORDER BY 1";

#[test]
fn a_key_that_the_clinic_holds_keeps_the_clinics_values_whoever_was_later() {
    let (a, b) = places();
    put(
        &a,
        "clinic",
        "INSERT INTO result VALUES (1, 10, 'clinic'); INSERT INTO sample VALUES (1, 'c', '[1]')",
    );
    b.clock.advance_ms(1_000);
    put(&b, "lab", "INSERT INTO result VALUES (1, 99, 'lab'), (2, 5, 'lab')");
    put(&b, "lab", "INSERT INTO sample VALUES (1, 'l', '[2]'); INSERT INTO sample VALUES (2, 'l2', '[2]')");
    put(&a, "clinic", "INSERT INTO result VALUES (2, 7, 'clinic')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.result ORDER BY id"), ["1|10|clinic", "2|7|clinic"]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.sample ORDER BY id"), ["1|c|[1]", "2|l2|[2]"]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM p2pdb.voided"), ["0"], "adding was granted");
    let lost = both(&a, &b, LOST);
    for line in ["value|10|99", "value|7|5", "note|clinic|lab", "code|c|l", "tags|[1]|[2]"] {
        assert!(lost.contains(&line.to_owned()), "{line} in {lost:?}");
    }
    // What the lab has added alone is a row like any other, and who may changes it.
    put(
        &a,
        "clinic",
        "UPDATE sample SET tags = '[2, 3]' WHERE id = 2; UPDATE result SET value = 99 WHERE id = 1",
    );
    assert_eq!(as_(&b, "lab").error("UPDATE shop.sample SET code = 'z' WHERE id = 2"), 1142);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT tags FROM shop.sample WHERE id = 2"), ["[2, 3]"]);
    assert!(!both(&a, &b, LOST).iter().any(|l| l.starts_with("value|99")), "settled by who may decide");
    verified(&[&a, &b]);
}

#[test]
fn a_unique_value_is_the_clinics_though_the_lab_claimed_it_first() {
    let (a, b) = places();
    put(&b, "lab", "INSERT INTO sample VALUES (1, 'x', '[]')");
    put(&a, "clinic", "INSERT INTO sample VALUES (2, 'X', '[]')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, code FROM shop.sample"), ["2|X"]);
    assert_eq!(both(&a, &b, "SELECT row_key, rule FROM p2pdb.conflicts"), ["1|unique"]);
    put(&a, "clinic", "UPDATE sample SET code = 'y' WHERE id = 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, code FROM shop.sample ORDER BY id"), ["1|x", "2|y"]);
    verified(&[&a, &b]);
}

#[test]
fn taking_update_away_reaches_inserts_beyond_it_and_voids_none() {
    let (a, b) = places();
    a.session().run(
        "GRANT UPDATE ON shop.result TO lab;
         CREATE USER boss IDENTIFIED BY 'z'; GRANT ALL ON *.* TO boss WITH GRANT OPTION",
    );
    converge(&[&a, &b]);
    let before = a.session().rows("SELECT @@gtid_executed").concat();
    put(&a, "clinic", "INSERT INTO result VALUES (1, 10, 'clinic')");
    b.clock.advance_ms(1_000);
    put(&b, "lab", "INSERT INTO result VALUES (1, 99, 'lab'), (2, 5, 'lab')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.result ORDER BY id"), ["1|99|lab", "2|5|lab"], "the later");
    // Whoever takes UPDATE away says that what came after was not to overwrite.
    as_(&a, "boss").run(&format!("REVOKE UPDATE ON shop.result FROM lab KEEP THROUGH '{before}'"));
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.result ORDER BY id"), ["1|10|clinic", "2|5|lab"]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM p2pdb.voided"), ["0"]);
    verified(&[&a, &b]);
    // And back.
    a.session().run(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM boss KEEP THROUGH '{before}'"));
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.result ORDER BY id"), ["1|99|lab", "2|5|lab"]);
    verified(&[&a, &b]);
    let a = a.restart();
    assert_eq!(a.session().rows("SELECT * FROM shop.result ORDER BY id"), ["1|99|lab", "2|5|lab"]);
}

/// `lab` may insert some columns of `sheet`, and read.
fn sheets() -> (Node, Node) {
    let (a, b) = two(
        "CREATE TABLE sheet (id INT AUTO_INCREMENT PRIMARY KEY, patient INT, value INT, checked INT NOT NULL DEFAULT 0,
           note VARCHAR(20), made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
    );
    a.session().run(
        "CREATE USER lab IDENTIFIED BY 'x';
         GRANT SELECT, INSERT (patient, value, made) ON shop.sheet TO lab",
    );
    b.fetch(&a);
    b.session().run("ALTER USER lab IDENTIFIED BY 'x'");
    converge(&[&a, &b]);
    (a, b)
}

#[test]
fn columns_that_one_may_not_insert_hold_what_they_were_made_with() {
    let (a, b) = sheets();
    let mut lab = as_(&b, "lab");
    lab.run("USE shop; INSERT INTO sheet (patient, value) VALUES (1, 10); INSERT INTO sheet (patient, value, made) VALUES (2, 20, NOW())");
    for column in ["checked", "note", "id"] {
        assert_eq!(
            lab.error(&format!("INSERT INTO sheet (patient, {column}) VALUES (3, 1)")),
            1143,
            "{column}"
        );
    }
    a.session().run("USE shop; INSERT INTO sheet (patient, value, checked, note) VALUES (9, 90, 1, 'root')");
    converge(&[&a, &b]);
    let rows = both(&a, &b, "SELECT patient, value, checked, note FROM shop.sheet ORDER BY patient");
    assert_eq!(rows, ["1|10|0|NULL", "2|20|0|NULL", "9|90|1|root"]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM p2pdb.voided"), ["0"]);
    // Another default is not what the column was made with: a node that takes the row could not tell it from a value.
    a.session().run("ALTER TABLE shop.sheet ALTER checked SET DEFAULT 5");
    b.fetch(&a);
    assert_eq!(lab.error("INSERT INTO sheet (patient, value) VALUES (4, 40)"), 1143);
    a.session().run("GRANT INSERT (checked) ON shop.sheet TO lab");
    b.fetch(&a);
    lab.run("INSERT INTO sheet (patient, value) VALUES (4, 40)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT checked, note FROM shop.sheet WHERE patient = 4"), ["5|NULL"]);
    // Whoever may changes them like all others.
    a.session().run("UPDATE shop.sheet SET checked = 7, note = 'seen' WHERE patient = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT checked, note FROM shop.sheet WHERE patient = 1"), ["7|seen"]);
    verified(&[&a, &b]);
    drop(lab);
    let b = b.restart();
    assert_eq!(b.session().rows("SELECT checked FROM shop.sheet WHERE patient = 2"), ["0"]);
}
