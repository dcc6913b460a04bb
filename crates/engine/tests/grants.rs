//! Accounts and grants in SQL, and that every node enforces them (`docs/security.md`).

mod support;

use p2pdb_access::delegation;
use p2pdb_block::sign::public_key;
use p2pdb_model::change::{AccessChange, Delegate, Role};
use support::*;

/// Two members with a clinic; ann and bob can act on both.
fn clinic() -> (Node, Node) {
    let tables = "CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(20), phone VARCHAR(20));
        CREATE TABLE result (id INT AUTO_INCREMENT PRIMARY KEY, patient INT, value INT);
        INSERT INTO patient VALUES (1, 'Ann', '11'), (2, 'Bob', '22')";
    let (a, b) = two(tables);
    a.session().run("CREATE USER ann IDENTIFIED BY 'x', bob IDENTIFIED BY 'y'");
    b.fetch(&a);
    b.session().run("ALTER USER ann IDENTIFIED BY 'x', bob IDENTIFIED BY 'y'");
    converge(&[&a, &b]);
    (a, b)
}

fn as_(node: &Node, user: &str) -> TestSession {
    node.session_as(user).expect("a session")
}

fn grants(node: &Node, user: &str) -> Vec<String> {
    node.session().rows(&format!("SHOW GRANTS FOR {user}"))
}

#[test]
fn grants_are_shown_as_mysql_shows_them() {
    let (a, b) = clinic();
    assert_eq!(grants(&a, "ann"), ["GRANT USAGE ON *.* TO `ann`@`%`"]);
    a.session().run(
        "GRANT SELECT, INSERT ON shop.* TO ann;
         GRANT ALL ON shop.result TO ann WITH GRANT OPTION;
         GRANT SELECT (id, name), UPDATE (phone) ON shop.patient TO ann;
         CREATE ROLE nurse, doctor;
         GRANT PROCESS ON *.* TO nurse;
         GRANT nurse TO ann;
         GRANT doctor TO ann WITH ADMIN OPTION;
         CREATE PROCEDURE shop.p() SELECT 1;
         GRANT EXECUTE ON PROCEDURE shop.p TO ann",
    );
    converge(&[&a, &b]);
    let mut shown = grants(&a, "ann");
    assert_eq!(shown, grants(&b, "ann"));
    shown[1..].sort();
    assert_eq!(
        shown,
        [
            "GRANT USAGE ON *.* TO `ann`@`%`",
            "GRANT ALL PRIVILEGES ON `shop`.`result` TO `ann`@`%` WITH GRANT OPTION",
            "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `ann`@`%`",
            "GRANT SELECT (`id`, `name`), UPDATE (`phone`) ON `shop`.`patient` TO `ann`@`%`",
            "GRANT SELECT, INSERT ON `shop`.* TO `ann`@`%`",
            "GRANT `doctor`@`%` TO `ann`@`%` WITH ADMIN OPTION",
            "GRANT `nurse`@`%` TO `ann`@`%`",
        ]
    );
    let using = a.session().rows("SHOW GRANTS FOR ann USING nurse");
    assert_eq!(using[0], "GRANT PROCESS ON *.* TO `ann`@`%`");
    let privileges = "SELECT TABLE_NAME, COLUMN_NAME, PRIVILEGE_TYPE FROM information_schema.COLUMN_PRIVILEGES ORDER BY 2, 3";
    assert_eq!(
        a.session().rows(privileges),
        ["patient|id|SELECT", "patient|name|SELECT", "patient|phone|UPDATE"]
    );
    a.session().run("REVOKE INSERT ON shop.* FROM ann; REVOKE SELECT (name) ON shop.patient FROM ann");
    let shown = grants(&a, "ann");
    assert!(shown.contains(&"GRANT SELECT ON `shop`.* TO `ann`@`%`".to_owned()), "{shown:?}");
    assert!(shown.iter().any(|g| g.starts_with("GRANT SELECT (`id`), UPDATE (`phone`)")), "{shown:?}");
    a.session().run("REVOKE ALL PRIVILEGES, GRANT OPTION FROM ann");
    let shown = grants(&a, "ann");
    assert_eq!(shown[0], "GRANT USAGE ON *.* TO `ann`@`%`");
    assert_eq!(shown.len(), 3, "the roles stay: {shown:?}");
    converge(&[&a, &b]);
    verified(&[&a, &b]);
}

#[test]
fn what_the_account_statements_refuse_has_mysqls_numbers() {
    let (a, _) = clinic();
    let mut root = a.session();
    for (sql, code) in [
        ("CREATE USER ann IDENTIFIED BY 'z'", 1396),
        ("DROP USER eve", 1396),
        ("ALTER USER eve IDENTIFIED BY 'z'", 1396),
        ("RENAME USER eve TO adam", 1396),
        ("RENAME USER ann TO bob", 1396),
        ("GRANT SELECT ON *.* TO eve", 1410),
        ("GRANT SELECT ON shop.nothing TO ann", 1146),
        ("GRANT SELECT (nothing) ON shop.patient TO ann", 1054),
        ("GRANT CREATE USER ON shop.* TO ann", 1221),
        ("GRANT CREATE USER ON shop.patient TO ann", 1144),
        ("GRANT DELETE (name) ON shop.patient TO ann", 1144),
        ("GRANT nothing TO ann", 3523),
        ("REVOKE SELECT ON shop.* FROM ann", 1141),
        ("REVOKE SELECT ON shop.patient FROM ann", 1147),
        ("SHOW GRANTS FOR eve", 1141),
        ("SET ROLE nothing", 3530),
        ("CREATE USER a IDENTIFIED BY RANDOM PASSWORD", 1235),
        ("CREATE USER a REQUIRE SSL", 1235),
        ("CREATE USER a IDENTIFIED WITH nothing BY 'x'", 1524),
        ("CREATE USER a IDENTIFIED WITH p2pdb_key AS 'did:key:z6Mk'", 1105),
        ("GRANT BACKUP_ADMIN ON *.* TO ann", 1235),
        ("GRANT SELECT ON `sh%`.* TO ann", 1235),
        ("REVOKE SELECT ON shop.* FROM ann KEEP THROUGH 'x'", 1772),
        ("GRANT SELECT ON shop.* TO ann UNTIL 'soon'", 1525),
        ("GRANT SELECT ON shop.* TO ann UNTIL '2027-01-01 soon'", 1525),
        ("GRANT SELECT ON shop.* TO ann UNTIL '2027-02-30'", 1525),
        ("SET PASSWORD = 'y' REPLACE 'wrong'", 3891),
        ("CREATE USER aaaaaaaaaabbbbbbbbbbccccccccccddd", 1470),
    ] {
        assert_eq!(root.error(sql), code, "{sql}");
    }
    root.run("CREATE USER IF NOT EXISTS ann; DROP USER IF EXISTS eve; SET PASSWORD = 'y' REPLACE 'right'");
    root.run("DROP USER IF EXISTS eve");
    assert_eq!(root.rows("SHOW WARNINGS"), ["Note|3162|Authorization ID 'eve'@'%' does not exist."]);
    let mut ann = as_(&a, "ann");
    for (sql, code) in [
        ("CREATE USER eve", 1227),
        ("CREATE ROLE r", 1227),
        ("DROP USER bob", 1227),
        ("GRANT SELECT ON *.* TO bob", 1045),
        ("GRANT SELECT ON shop.* TO bob", 1044),
        ("GRANT SELECT ON shop.patient TO bob", 1142),
        ("SHOW GRANTS FOR bob", 1044),
    ] {
        assert_eq!(ann.error(sql), code, "{sql}");
    }
    ann.run("SET PASSWORD = 'new'");
    assert_eq!(ann.rows("SELECT COUNT(*) FROM information_schema.USER_PRIVILEGES"), ["1"]);
}

#[test]
fn a_statement_that_was_not_granted_is_refused_before_anything_is_signed() {
    let (a, _) = clinic();
    a.session().run(
        "GRANT SELECT (id, name), UPDATE (phone) ON shop.patient TO ann; GRANT INSERT ON shop.result TO ann",
    );
    let blocks = a.engine.status().blocks;
    let mut ann = as_(&a, "ann");
    for (sql, code) in [
        ("SELECT * FROM shop.patient", 1143),
        ("SELECT phone FROM shop.patient", 1143),
        ("SELECT name FROM shop.patient WHERE phone = '1'", 1143),
        ("SELECT id FROM shop.patient ORDER BY phone", 1143),
        ("SELECT p.id FROM shop.patient p JOIN shop.result r ON r.patient = p.id", 1142),
        ("SELECT COUNT(*) FROM shop.result", 1142),
        ("SELECT (SELECT MAX(value) FROM shop.result)", 1142),
        ("WITH c AS (SELECT * FROM shop.result) SELECT 1 FROM c", 1142),
        ("UPDATE shop.patient SET name = 'x' WHERE id = 1", 1143),
        ("UPDATE shop.patient SET phone = CONCAT(phone, '0') WHERE id = 1", 1143),
        ("DELETE FROM shop.patient", 1142),
        ("TRUNCATE shop.result", 1142),
        ("REPLACE INTO shop.result VALUES (1, 1, 1)", 1142),
        ("INSERT INTO shop.result (patient, value) VALUES (1, 1) ON DUPLICATE KEY UPDATE value = 2", 1142),
        ("INSERT INTO shop.patient VALUES (3, 'c', '33')", 1143),
        ("CREATE TABLE shop.t (a INT)", 1142),
        ("CREATE DATABASE more", 1044),
        ("DROP TABLE shop.result", 1142),
        ("ALTER TABLE shop.result ADD COLUMN more INT", 1142),
        ("CREATE INDEX i ON shop.result (value)", 1142),
        ("CREATE VIEW shop.v AS SELECT 1", 1142),
        ("SELECT * FROM p2pdb.conflicts", 1142),
        ("CALL p2pdb.history('shop.patient', 1)", 1142),
    ] {
        assert_eq!(ann.error(sql), code, "{sql}");
    }
    assert_eq!(a.engine.status().blocks, blocks, "nothing was written");
    let text = ann.try_run("SELECT phone FROM shop.patient").err().expect("refused").message;
    assert_eq!(text, "SELECT command denied to user 'ann'@'localhost' for column 'phone' in table 'patient'");
    assert_eq!(ann.rows("SELECT name FROM shop.patient WHERE id = 1"), ["Ann"]);
    assert_eq!(ann.rows("SELECT COUNT(*) FROM shop.patient"), ["2"]);
    ann.run("UPDATE shop.patient SET phone = '12' WHERE id = 1");
    a.session().run("GRANT UPDATE (value), DELETE ON shop.result TO bob");
    as_(&a, "bob").run("UPDATE shop.result SET value = 7; DELETE FROM shop.result");
    assert_eq!(as_(&a, "bob").error("DELETE FROM shop.result WHERE value = 7"), 1143, "it looks");
    ann.run("INSERT INTO shop.result (patient, value) VALUES (1, 5)");
    assert_eq!(a.session().rows("SELECT phone FROM shop.patient WHERE id = 1"), ["12"]);
    // Who owns the view lends its eyes.
    a.session().run(
        "CREATE VIEW shop.v AS SELECT id, phone FROM shop.patient;
         CREATE SQL SECURITY INVOKER VIEW shop.w AS SELECT id, phone FROM shop.patient;
         GRANT SELECT ON shop.v TO ann; GRANT SELECT ON shop.w TO ann",
    );
    assert_eq!(ann.rows("SELECT phone FROM shop.v WHERE id = 1"), ["12"]);
    assert_eq!(ann.error("SELECT phone FROM shop.w"), 1143);
    // Nor is it read by way of a statement that writes.
    a.session()
        .run("CREATE VIEW shop.u AS SELECT id, phone FROM shop.patient; GRANT ALL ON shop.result TO ann");
    let sql = "UPDATE shop.result r JOIN shop.u u ON u.id = r.patient SET r.value = u.phone";
    assert_eq!(ann.error(sql), 1142);
    assert_eq!(ann.error("DELETE FROM shop.u WHERE phone = '12'"), 1142);
    // What it lends is no right to write.
    a.session().run("GRANT UPDATE ON shop.v TO ann");
    assert_eq!(ann.error("UPDATE shop.v SET id = 7 WHERE id = 1"), 1143);
}

#[test]
fn a_session_has_the_roles_that_it_activates() {
    let (a, _) = clinic();
    a.session().run("CREATE ROLE nurse; GRANT SELECT ON shop.* TO nurse; GRANT nurse TO ann");
    let mut ann = as_(&a, "ann");
    assert_eq!(ann.rows("SELECT CURRENT_ROLE()"), ["NONE"]);
    assert_eq!(ann.error("SELECT * FROM shop.patient"), 1142);
    ann.run("SET ROLE nurse");
    assert_eq!(ann.rows("SELECT CURRENT_ROLE()"), ["`nurse`@`%`"]);
    assert_eq!(ann.rows("SELECT COUNT(phone) FROM shop.patient"), ["2"]);
    ann.run("SET ROLE ALL EXCEPT nurse");
    assert_eq!(ann.error("SELECT * FROM shop.patient"), 1142);
    a.session().run("SET DEFAULT ROLE nurse TO ann");
    ann.run("SET ROLE DEFAULT");
    assert_eq!(ann.rows("SELECT CURRENT_ROLE()"), ["`nurse`@`%`"]);
    assert_eq!(as_(&a, "ann").rows("SELECT CURRENT_ROLE()"), ["`nurse`@`%`"]);
    a.session().run("REVOKE nurse FROM ann");
    assert_eq!(ann.error("SELECT * FROM shop.patient"), 1142);
}

#[test]
fn a_revocation_reaches_what_was_written_on_the_other_side_and_nobody_elses() {
    let (a, b) = clinic();
    a.session().run("GRANT UPDATE, SELECT, INSERT ON shop.* TO ann, bob");
    converge(&[&a, &b]);
    as_(&b, "ann").run("UPDATE shop.patient SET phone = 'seen' WHERE id = 1");
    converge(&[&a, &b]);
    // Cut off from each other.
    a.session().run("REVOKE UPDATE ON shop.* FROM ann");
    as_(&b, "ann").run("UPDATE shop.patient SET phone = 'stolen' WHERE id = 1");
    as_(&b, "ann").run("INSERT INTO shop.patient VALUES (3, 'Cat', '33')");
    as_(&b, "bob").run("UPDATE shop.patient SET phone = 'mine' WHERE id = 2");
    assert_eq!(b.session().rows("SELECT phone FROM shop.patient WHERE id = 1"), ["stolen"]);
    converge(&[&a, &b]);
    let rows = both(&a, &b, "SELECT id, phone FROM shop.patient ORDER BY id");
    assert_eq!(rows, ["1|seen", "2|mine", "3|33"]);
    let voided = both(&a, &b, "SELECT account, reason FROM p2pdb.voided");
    assert_eq!(voided, ["ann@%|void: written beyond the revocation of the grant that this needs"]);
    assert_eq!(as_(&b, "ann").error("UPDATE shop.patient SET phone = 'x' WHERE id = 1"), 1142);
    // A later grant starts anew and brings nothing back.
    a.session().run("GRANT UPDATE ON shop.* TO ann");
    converge(&[&a, &b]);
    as_(&b, "ann").run("UPDATE shop.patient SET phone = 'again' WHERE id = 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT phone FROM shop.patient ORDER BY id"), ["seen", "again", "33"]);
    verified(&[&a, &b]);
    // And after a restart it is still so.
    let (a, b) = (a.restart(), b.restart());
    assert_eq!(as_(&b, "ann").error("DELETE FROM shop.patient"), 1142);
    as_(&a, "ann").run("UPDATE shop.patient SET phone = 'once more' WHERE id = 2");
    converge(&[&a, &b]);
    verified(&[&a, &b]);
}

#[test]
fn keep_through_takes_back_what_was_seen_and_the_revocation_of_a_revoker_brings_it_back() {
    let (a, b) = clinic();
    a.session().run("GRANT ALL ON *.* TO ann WITH GRANT OPTION; GRANT UPDATE, SELECT ON shop.* TO bob");
    converge(&[&a, &b]);
    let before = a.session().rows("SELECT @@gtid_executed").remove(0);
    // The key of ann is stolen; the thief revokes bob, back to the beginning.
    as_(&b, "bob").run("UPDATE shop.patient SET phone = 'honest' WHERE id = 2");
    converge(&[&a, &b]);
    as_(&b, "ann").run("REVOKE UPDATE ON shop.* FROM bob KEEP THROUGH ''");
    assert_eq!(b.session().rows("SELECT phone FROM shop.patient WHERE id = 2"), ["22"]);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT phone FROM shop.patient WHERE id = 2"), ["22"]);
    // Root is senior: it moves the cut to before the theft.
    a.session().run(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM ann KEEP THROUGH '{before}'"));
    assert_eq!(a.session().rows("SELECT phone FROM shop.patient WHERE id = 2"), ["honest"]);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT phone FROM shop.patient WHERE id = 2"), ["honest"]);
    as_(&b, "bob").run("UPDATE shop.patient SET phone = 'goes on' WHERE id = 2");
    converge(&[&a, &b]);
    verified(&[&a, &b]);
}

/// Who changes a row while its delete is void keeps the row when the delete counts again.
#[test]
fn a_row_that_was_changed_while_its_delete_was_void_stays_when_that_counts_again() {
    let (a, b) = clinic();
    a.session().run(
        "GRANT ALL ON *.* TO ann WITH GRANT OPTION; GRANT SELECT, INSERT, DELETE ON shop.* TO bob; \
         CREATE TABLE shop.line (id INT PRIMARY KEY, patient INT, \
             FOREIGN KEY (patient) REFERENCES shop.patient (id) ON DELETE CASCADE); \
         GRANT UPDATE ON shop.line TO bob; INSERT INTO shop.line VALUES (1, 1), (2, 2)",
    );
    converge(&[&a, &b]);
    as_(&b, "bob").run("DELETE FROM shop.patient");
    // Another row under the same key, which does not come back: it is void for another reason.
    as_(&b, "bob").run("INSERT INTO shop.patient VALUES (2, 'Bea', '99')");
    converge(&[&a, &b]);
    as_(&b, "ann").run("REVOKE DELETE ON shop.* FROM bob KEEP THROUGH ''");
    a.session().run("REVOKE INSERT ON shop.* FROM bob KEEP THROUGH ''");
    converge(&[&a, &b]);
    let patients = "SELECT id, name, phone FROM shop.patient ORDER BY id";
    let lines = "SELECT id, patient FROM shop.line ORDER BY id";
    assert_eq!(both(&a, &b, patients), ["1|Ann|11", "2|Bob|22"]);
    assert_eq!(both(&a, &b, lines), ["1|1", "2|2"]);
    a.session().run("UPDATE shop.patient SET phone = 'new' WHERE id = 1");
    // Neither has heard of the other.
    b.session().run("REVOKE ALL PRIVILEGES, GRANT OPTION FROM ann KEEP THROUGH ''");
    assert_eq!(b.session().rows(patients), Vec::<String>::new());
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, patients), ["1|Ann|new"]);
    assert_eq!(both(&a, &b, lines), ["1|1"]);
    let conflicts = "SELECT `table`, row_key, rule FROM p2pdb.conflicts";
    assert_eq!(both(&a, &b, conflicts), Vec::<String>::new());
    verified(&[&a, &b]);
}

#[test]
fn a_table_made_beyond_a_revocation_is_gone_with_its_rows_and_comes_back_with_them() {
    let (a, b) = clinic();
    a.session().run("GRANT ALL ON shop.* TO ann, bob; GRANT ALL ON *.* TO bob WITH GRANT OPTION");
    converge(&[&a, &b]);
    let before = a.session().rows("SELECT @@gtid_executed").remove(0);
    as_(&b, "bob").run("REVOKE CREATE ON shop.* FROM ann");
    as_(&a, "ann").run("CREATE TABLE shop.notes (id INT PRIMARY KEY, note VARCHAR(20))");
    a.session().run("INSERT INTO shop.notes VALUES (1, 'by root')");
    converge(&[&a, &b]);
    assert_eq!(a.session().error("SELECT * FROM shop.notes"), 1146);
    a.session().run(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM bob KEEP THROUGH '{before}'"));
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.notes"), ["1|by root"]);
    verified(&[&a, &b]);
}

#[test]
fn a_dropped_user_is_out_on_every_node() {
    let (a, b) = clinic();
    a.session().run("GRANT ALL ON shop.* TO ann");
    converge(&[&a, &b]);
    let mut open = as_(&b, "ann");
    a.session().run("DROP USER ann");
    open.run("DELETE FROM shop.patient WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM shop.patient"), ["2"]);
    assert_eq!(open.error("DELETE FROM shop.patient WHERE id = 2"), 1142);
    assert_eq!(b.session_as("ann").err().expect("no login").code, 1045);
    // Another account may have the name.
    b.session().run("CREATE USER ann IDENTIFIED BY 'new'");
    assert_eq!(as_(&b, "ann").error("SELECT * FROM shop.patient"), 1142);
    converge(&[&a, &b]);
    verified(&[&a, &b]);
}

#[test]
fn the_end_of_a_role_that_was_granted_is_shown() {
    let (a, _) = clinic();
    a.session().run(
        "CREATE ROLE locum, intern, staff; GRANT locum TO ann UNTIL '2026-01-02 03:05:00';
         GRANT intern TO ann WITH ADMIN OPTION UNTIL '2026-01-02 03:04:30'; GRANT intern TO ann UNTIL '2026-01-02 03:05:00';
         GRANT staff TO ann; GRANT staff TO ann UNTIL '2026-01-02 03:05:00'",
    );
    let roles = |node: &Node| -> Vec<String> {
        let all = grants(node, "ann").into_iter();
        all.filter(|g| ["locum", "intern", "staff"].iter().any(|r| g.contains(r))).collect()
    };
    let mut shown = roles(&a);
    shown.sort();
    let want = [
        "GRANT `intern`@`%` TO `ann`@`%` WITH ADMIN OPTION UNTIL '2026-01-02 03:05:00'",
        "GRANT `locum`@`%` TO `ann`@`%` UNTIL '2026-01-02 03:05:00'",
        "GRANT `staff`@`%` TO `ann`@`%`",
    ];
    assert_eq!(shown, want);
    a.clock.advance_ms(3_600_000);
    assert_eq!(roles(&a), [want[2]]);
}

#[test]
fn an_end_date_ends_a_grant() {
    let (a, b) = clinic();
    a.session().run(
        "GRANT SELECT ON shop.* TO ann; GRANT UPDATE, SELECT ON shop.* TO ann UNTIL '2026-01-02 03:05:00'",
    );
    converge(&[&a, &b]);
    let shown = [
        "GRANT USAGE ON *.* TO `ann`@`%`",
        "GRANT SELECT ON `shop`.* TO `ann`@`%`",
        "GRANT UPDATE ON `shop`.* TO `ann`@`%` UNTIL '2026-01-02 03:05:00'",
    ];
    assert_eq!(grants(&b, "ann"), shown, "what has no end is shown without one");
    let mut local = a.session();
    local.run("SET time_zone = '+02:00'");
    assert!(local.rows("SHOW GRANTS FOR ann")[2].ends_with("UNTIL '2026-01-02 05:05:00'"));
    drop(local);
    as_(&a, "ann").run("UPDATE shop.patient SET phone = 'in time' WHERE id = 1");
    a.clock.advance_ms(3_600_000);
    assert_eq!(as_(&a, "ann").error("UPDATE shop.patient SET phone = 'late' WHERE id = 1"), 1142);
    assert_eq!(grants(&a, "ann"), shown[..2]);
    b.clock.advance_ms(3_600_000);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT phone FROM shop.patient WHERE id = 1"), ["in time"]);
    verified(&[&a, &b]);
}

#[test]
fn a_node_is_withdrawn_from_an_account_by_a_statement() {
    let (a, b) = clinic();
    a.session().run("GRANT ALL ON shop.* TO ann");
    converge(&[&a, &b]);
    as_(&b, "ann").run("INSERT INTO shop.patient VALUES (3, 'C', '33')");
    converge(&[&a, &b]);
    as_(&b, "ann").run("INSERT INTO shop.patient VALUES (4, 'D', '44')");
    let withdraw = format!("ALTER USER ann WITHDRAW NODE '{}'", b.engine.node());
    assert_eq!(as_(&a, "bob").error(&withdraw), 1227);
    assert_eq!(a.session().error("ALTER USER ann WITHDRAW NODE 'b'"), 1105);
    assert_eq!(a.session().error(&withdraw.replace("ann", "eve")), 1396);
    as_(&a, "ann").run(&withdraw);
    converge(&[&a, &b]);
    assert_eq!(
        both(&a, &b, "SELECT id FROM shop.patient ORDER BY id"),
        ["1", "2", "3"],
        "as far as was seen"
    );
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM p2pdb.voided"), ["1"]);
    // From the beginning, as of a node that was stolen.
    a.session().run(&format!("{withdraw} KEEP THROUGH ''"));
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.patient ORDER BY id"), ["1", "2"]);
    as_(&a, "ann").run("INSERT INTO shop.patient VALUES (5, 'E', '55')");
    verified(&[&a, &b]);
}

/// MySQL lets who may create users take over any of them by a new password; here that would be a key to all that the account is
/// ever granted.
#[test]
fn who_may_create_users_gives_nobody_else_a_key() {
    let (a, _) = clinic();
    a.session().run("GRANT CREATE USER ON *.* TO ann");
    let mut ann = as_(&a, "ann");
    ann.run("CREATE USER eve IDENTIFIED BY 'x'");
    let mut outcome = ann.try_run("ALTER USER bob IDENTIFIED BY 'mine'").err().expect("refused");
    assert_eq!((outcome.code, outcome.message.contains("SYSTEM_USER")), (1227, true), "{outcome:?}");
    outcome = ann.try_run("ALTER USER eve IDENTIFIED BY 'mine'").err().expect("refused");
    assert_eq!(outcome.code, 1227);
    ann.run("ALTER USER ann IDENTIFIED BY 'own'");
    as_(&a, "bob");
}

#[test]
fn only_who_has_everything_defines_in_anothers_name() {
    let (a, b) = clinic();
    a.session().run("GRANT SELECT, CREATE VIEW, DROP, CREATE ROUTINE, TRIGGER, SHOW VIEW ON shop.* TO ann");
    let mut ann = as_(&a, "ann");
    for sql in [
        "CREATE DEFINER = root@`%` VIEW shop.v AS SELECT 1 AS n",
        "CREATE DEFINER = bob@`%` PROCEDURE shop.p() SELECT 1",
        "CREATE DEFINER = root@`%` TRIGGER shop.t BEFORE INSERT ON shop.result FOR EACH ROW SET NEW.value = 1",
    ] {
        let refused = ann.try_run(sql).err().expect("refused");
        assert_eq!(
            (refused.code, refused.message.contains("SET_ANY_DEFINER")),
            (1227, true),
            "{sql}: {refused:?}"
        );
    }
    ann.run("CREATE VIEW shop.v AS SELECT 1 AS n; CREATE PROCEDURE shop.p() SELECT 1");
    a.session().run("CREATE DEFINER = bob@`%` VIEW shop.w AS SELECT 1 AS n");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT COUNT(*) FROM p2pdb.voided"), ["0"]);
    verified(&[&a, &b]);
}

#[test]
fn a_foreign_key_needs_references_on_its_parent() {
    let (a, b) = clinic();
    a.session().run("CREATE DATABASE lab; GRANT ALL ON lab.* TO ann");
    let mut ann = as_(&a, "ann");
    let table = "CREATE TABLE lab.sample (id INT PRIMARY KEY, patient INT, FOREIGN KEY (patient) REFERENCES shop.patient (id))";
    assert_eq!(ann.error(table), 1142);
    a.session().run("GRANT REFERENCES (id) ON shop.patient TO ann");
    ann.run(table);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT COUNT(*) FROM lab.sample"), ["0"]);
}

/// Who is gone is named as it was called last, where somebody else has the name now with a part of its id.
#[test]
fn what_is_void_names_accounts_that_are_gone() {
    let (a, b) = two("CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY)");
    a.session()
        .run("CREATE USER ann IDENTIFIED BY 'a', ben IDENTIFIED BY 'b'; GRANT INSERT ON d.t TO ann, ben");
    b.fetch(&a);
    b.session().run("ALTER USER ann IDENTIFIED BY 'a', ben IDENTIFIED BY 'b'");
    converge(&[&a, &b]);
    a.session().run("RENAME USER ben TO bea; DROP USER ann, bea; CREATE USER ann IDENTIFIED BY 'x'");
    b.session_as("ann").expect("a session").run("INSERT INTO d.t VALUES (1)");
    b.session_as("ben").expect("a session").run("INSERT INTO d.t VALUES (2)");
    converge(&[&a, &b]);
    let named = both(&a, &b, "SELECT account FROM p2pdb.voided ORDER BY 1");
    let [ann, bea] = named.as_slice() else { panic!("{named:?}") };
    assert!(ann.starts_with("ann~") && ann.ends_with("@%") && ann.len() == "ann~12345678@%".len(), "{ann}");
    assert_eq!(bea, "bea@%");
}

#[test]
fn what_a_program_reads_its_caller_must_have_been_granted() {
    let (a, _b) = clinic();
    a.session().run(
        "GRANT CREATE ROUTINE, EXECUTE, TRIGGER ON shop.* TO ann; GRANT SELECT, INSERT ON shop.result TO ann; \
         INSERT INTO shop.result VALUES (1, 1, 10)",
    );
    let mut ann = as_(&a, "ann");
    ann.run("USE shop");
    let reads = "DECLARE p VARCHAR(20); DECLARE c CURSOR FOR SELECT phone FROM patient WHERE id = 1;";
    for (name, body) in [
        ("returned", "RETURN (SELECT phone FROM patient WHERE id = 1)".to_owned()),
        ("assigned", format!("BEGIN {reads} SET p = (SELECT phone FROM patient WHERE id = 1); RETURN p; END")),
        ("selected", format!("BEGIN {reads} SELECT phone INTO p FROM patient WHERE id = 1; RETURN p; END")),
        ("fetched", format!("BEGIN {reads} OPEN c; FETCH c INTO p; CLOSE c; RETURN p; END")),
        ("decided", "BEGIN IF EXISTS (SELECT id FROM patient WHERE phone = '11') THEN RETURN '11'; END IF; RETURN 'no'; END".to_owned()),
        ("called", "RETURN returned()".to_owned()),
        ("written", "BEGIN INSERT INTO result VALUES (7, 7, (SELECT phone FROM patient WHERE id = 1)); RETURN '11'; END".to_owned()),
    ] {
        ann.run(&format!("CREATE FUNCTION {name}() RETURNS VARCHAR(20) READS SQL DATA {body}"));
    }
    ann.run(
        "CREATE FUNCTION quiet() RETURNS VARCHAR(20) READS SQL DATA BEGIN DECLARE p VARCHAR(20); \
             DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END; SELECT phone INTO p FROM patient WHERE id = 1; RETURN p; END; \
         CREATE PROCEDURE told() BEGIN SET @told = (SELECT phone FROM patient WHERE id = 1); END; \
         CREATE PROCEDURE local_one() BEGIN DECLARE p VARCHAR(20) DEFAULT (SELECT phone FROM patient WHERE id = 1); SET @told = p; END; \
         CREATE TRIGGER t BEFORE INSERT ON result FOR EACH ROW SET NEW.value = (SELECT phone FROM patient WHERE id = 1)",
    );
    let asked = [
        "SELECT returned()",
        "SELECT assigned()",
        "SELECT selected()",
        "SELECT fetched()",
        "SELECT decided()",
        "SELECT called()",
        "SELECT written()",
        "SELECT id FROM result WHERE returned() = '11'",
        "CALL told()",
        "CALL local_one()",
        "INSERT INTO result VALUES (2, 2, 0)",
    ];
    for sql in asked {
        assert_eq!(ann.error(sql), 1142, "{sql}");
    }
    assert_eq!(ann.rows("SELECT quiet(), @told"), ["NULL|NULL"]);
    assert_eq!(ann.rows("SELECT id, value FROM result"), ["1|10"]);
    a.session().run("GRANT SELECT (id) ON shop.patient TO ann");
    assert_eq!(ann.error("SELECT returned()"), 1143);
    a.session().run("GRANT SELECT (phone) ON shop.patient TO ann");
    assert_eq!(
        ann.rows("SELECT returned(), assigned(), selected(), fetched(), decided(), called(), quiet()"),
        ["11|11|11|11|11|11|11"]
    );
    ann.run("CALL told(); INSERT INTO result VALUES (2, 2, 0); DO written()");
    assert_eq!(ann.rows("SELECT @told"), ["11"]);
    assert_eq!(ann.rows("SELECT id, value FROM result ORDER BY id"), ["1|10", "2|11", "7|11"]);
    // What was compiled meanwhile is asked again.
    a.session().run("REVOKE SELECT (phone) ON shop.patient FROM ann");
    for sql in asked {
        assert_eq!(ann.error(sql), 1143, "{sql}");
    }
    // Who may read has them read.
    assert_eq!(a.session().rows("SELECT shop.called()"), ["11"]);
    a.session().run("INSERT INTO shop.result VALUES (3, 3, 0)");
    verified(&[&a]);
}

#[test]
fn sessions_of_others_are_seen_and_stopped_by_who_was_granted_that() {
    let (a, _) = clinic();
    let mut root = a.session();
    root.run("CREATE USER 'eve'; CREATE ROLE 'watch'");
    let (mut eve, mut other) = (as_(&a, "eve"), as_(&a, "eve"));
    let id = |s: &mut TestSession| s.rows("SELECT CONNECTION_ID()")[0].clone();
    let (roots, others) = (id(&mut root), id(&mut other));
    let everywhere = [
        "SHOW PROCESSLIST",
        "SELECT id, user FROM information_schema.processlist",
        "SELECT processlist_id, processlist_user FROM performance_schema.threads",
    ];
    for query in everywhere {
        let seen = eve.rows(query);
        assert!(seen.iter().all(|row| row.contains("|eve")), "{query}: {seen:?}");
        assert_eq!(seen.len(), 2, "{query}");
        assert_eq!(root.rows(query).len(), 3, "{query}");
    }
    assert_eq!(eve.error(&format!("KILL {roots}")), 1095);
    assert_eq!(eve.error(&format!("KILL QUERY {roots}")), 1095);
    assert_eq!(eve.error("KILL 4294967295"), 1094);
    eve.run(&format!("KILL {others}"));
    assert!(other.session.killed());
    for flush in ["TABLES", "TABLES WITH READ LOCK", "PRIVILEGES", "STATUS"] {
        assert_eq!(eve.error(&format!("FLUSH {flush}")), 1227, "{flush}");
    }
    // By itself, or by a role.
    root.run("GRANT PROCESS, SUPER, RELOAD ON *.* TO 'watch'; GRANT 'watch' TO 'eve'");
    assert_eq!(eve.rows("SHOW PROCESSLIST").len(), 2);
    eve.run("SET ROLE 'watch'; FLUSH TABLES WITH READ LOCK; UNLOCK TABLES; FLUSH PRIVILEGES");
    assert_eq!(eve.rows("SHOW PROCESSLIST").len(), 3);
    eve.run(&format!("KILL {roots}"));
    assert!(root.session.killed());
}

#[test]
fn a_temporary_table_is_its_sessions_and_needs_a_privilege_to_be_made() {
    let (a, _) = clinic();
    let mut root = a.session();
    root.run("CREATE USER 'eve'; GRANT SELECT ON shop.patient TO 'eve'");
    let mut eve = as_(&a, "eve");
    assert_eq!(eve.error("CREATE TEMPORARY TABLE shop.t (id INT)"), 1044);
    assert_eq!(eve.error("CREATE TEMPORARY TABLE shop.t AS SELECT id FROM shop.patient"), 1044);
    root.run("GRANT CREATE TEMPORARY TABLES ON shop.* TO 'eve'");
    eve.run(
        "USE shop; CREATE TEMPORARY TABLE t (id INT PRIMARY KEY, v INT); INSERT INTO t VALUES (1, 2), (2, 3)",
    );
    eve.run(
        "UPDATE t JOIN patient USING (id) SET v = v + 1; ALTER TABLE t ADD x INT; DELETE FROM t WHERE id = 2",
    );
    assert_eq!(eve.rows("SELECT t.id, v, name FROM t JOIN patient USING (id)"), ["1|3|Ann"]);
    eve.run("TRUNCATE t; DROP TEMPORARY TABLE t");
    // It hides a table that others have; what the account may not do to that is as before.
    eve.run("CREATE TEMPORARY TABLE result (id INT); INSERT INTO result VALUES (1); DROP TABLE result");
    assert_eq!(eve.error("INSERT INTO result (patient) VALUES (1)"), 1142);
}

#[test]
fn tables_are_locked_by_who_may_lock_and_read_them() {
    let (a, _) = clinic();
    let mut root = a.session();
    root.run("CREATE USER 'eve'; GRANT SELECT ON shop.patient TO 'eve'");
    let mut eve = as_(&a, "eve");
    assert_eq!(eve.error("LOCK TABLES shop.patient READ"), 1044);
    root.run("GRANT LOCK TABLES ON shop.* TO 'eve'");
    eve.run("LOCK TABLES shop.patient READ; UNLOCK TABLES");
    assert_eq!(eve.error("LOCK TABLES shop.patient READ, shop.result WRITE"), 1142);
}

/// The keys that an account has now, as statements take them.
fn keys(node: &Node, account: &str) -> Vec<String> {
    let said = "SELECT did FROM p2pdb.account_keys WHERE state = 'holds' AND account";
    node.session().rows(&format!("{said} = '{account}@%'"))
}

#[test]
fn a_key_that_is_dropped_takes_along_what_it_alone_has_signed() {
    let (a, b) = clinic();
    a.session().run("GRANT ALL ON shop.* TO ann");
    converge(&[&a, &b]);
    // The first one is a's; the second was made on b, and has delegated to b alone.
    let [of_a, of_b] = keys(&a, "ann").try_into().expect("two keys");
    let delegations =
        "SELECT account, node, did, state FROM p2pdb.delegations WHERE account = 'ann@%' ORDER BY since";
    let (on_a, on_b) = (a.engine.node(), b.engine.node());
    assert_eq!(
        both(&a, &b, delegations),
        [format!("ann@%|{on_a}|{of_a}|holds"), format!("ann@%|{on_b}|{of_b}|holds")]
    );
    as_(&b, "ann").run("INSERT INTO shop.patient VALUES (3, 'C', '33')");
    converge(&[&a, &b]);
    as_(&b, "ann").run("INSERT INTO shop.patient VALUES (4, 'D', '44')");
    let drop = format!("ALTER USER ann DROP KEY '{of_b}'");
    assert_eq!(as_(&a, "bob").error(&drop), 1227);
    assert_eq!(a.session().error("ALTER USER ann DROP KEY 'b'"), 1105);
    assert_eq!(a.session().error(&drop.replace("ann", "bob")), 1396, "none of his");
    assert_eq!(a.session().error(&drop.replace("ann", "eve")), 1396);
    assert_eq!(a.session().run(&drop.replace("ann", "IF EXISTS eve")).warnings, 1);
    assert_eq!(as_(&a, "ann").run(&drop).warnings, 0);
    assert_eq!(a.session().error(&drop), 1396, "it is none of hers any more");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.patient ORDER BY id"), ["1", "2", "3"], "as was seen");
    let out = |node: &Node| node.session_as("ann").map(|_| ()).expect_err("not served").code;
    assert_eq!(out(&b), 1045);
    let ended = "the account's delegation to the author had been taken back";
    assert_eq!(
        both(&a, &b, delegations),
        [format!("ann@%|{on_a}|{of_a}|holds"), format!("ann@%|{on_b}|{of_b}|{ended}")]
    );
    let states = "SELECT did, state FROM p2pdb.account_keys WHERE account = 'ann@%'";
    assert_eq!(both(&a, &b, states), [format!("{of_a}|holds"), format!("{of_b}|dropped")]);
    // From the beginning, as a stolen one.
    a.session().run(&format!("ALTER USER ann ADD KEY '{of_b}'"));
    a.session().run(&format!("{drop} KEEP THROUGH ''"));
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id FROM shop.patient ORDER BY id"), ["1", "2"]);
    // Nobody locks oneself out; others may, and give a new one.
    assert_eq!(as_(&a, "ann").error(&format!("ALTER USER USER() DROP KEY '{of_a}'")), 1396);
    assert_eq!(
        a.session().run(&format!("ALTER USER ann DROP KEY '{of_a}'")).warnings,
        1,
        "a acts for her no more"
    );
    assert_eq!(out(&a), 1045);
    assert_eq!(keys(&a, "ann"), [""; 0]);
    a.session().run("ALTER USER ann IDENTIFIED BY 'new'");
    as_(&a, "ann").run("INSERT INTO shop.patient VALUES (5, 'E', '55')");
    assert_eq!(keys(&a, "ann").len(), 1);
    converge(&[&a, &b]);
    verified(&[&a, &b]);
}

#[test]
fn delegations_say_whom_a_ticket_reaches() {
    let (a, b) = clinic();
    let tickets =
        "SELECT node, ticket IS NULL, state FROM p2pdb.delegations WHERE account = 'root@%' ORDER BY since";
    let rows = [format!("{}|1|holds", a.engine.node()), format!("{}|0|holds", b.engine.node())];
    assert_eq!(both(&a, &b, tickets), rows);
    a.session().run(&format!("ALTER USER root WITHDRAW NODE '{}'", b.engine.node()));
    converge(&[&a, &b]);
    let rows = [
        rows[0].clone(),
        format!("{}|0|the account's delegation to the author had been taken back", b.engine.node()),
    ];
    assert_eq!(a.session().rows(tickets), rows);
    // A ticket that nobody has used reaches nobody.
    let ticket = public_key(&p2pdb_block::SigningKey::from_bytes(&[7; 32]));
    let invitation = p2pdb_engine::Invitation::of(ticket, Role::Writer);
    a.engine.invite(invitation).expect("a ticket");
    assert_eq!(a.session().rows(tickets).last().expect("a row"), "NULL|0|holds");
    a.engine.remove_member(b.engine.node()).expect("removed");
    assert_eq!(a.session().rows(tickets)[1], rows[1]);
    let of_bob = "SELECT state FROM p2pdb.delegations WHERE account = 'bob@%' ORDER BY since";
    assert_eq!(a.session().rows(of_bob), ["holds", "the author had been removed"]);
    // Nor does it once its key is dropped.
    let [first] = keys(&a, "root").try_into().expect("one key");
    a.session().run(&format!("ALTER USER root IDENTIFIED BY 'x'; ALTER USER root DROP KEY '{first}'"));
    let of_tickets = "SELECT DISTINCT state FROM p2pdb.delegations WHERE ticket IS NOT NULL";
    assert_eq!(a.session().rows(of_tickets), ["the account's delegation to the author had been taken back"]);
}

/// MySQL 8.4 manual, section 7.1.9.1.
#[test]
fn a_global_variable_is_set_by_who_may() {
    let (a, _) = clinic();
    let mut ann = as_(&a, "ann");
    for (said, code) in [
        ("SET GLOBAL max_connections = 7", 1227),
        ("SET GLOBAL sql_mode = ''", 1227),
        ("SET @@global.lock_wait_timeout = DEFAULT", 1227),
        ("SET @x = 1, GLOBAL wait_timeout = 5", 1227),
        ("SET GLOBAL nope = 1", 1193),
        ("SET GLOBAL version = 'x'", 1238),
        ("SET GLOBAL timestamp = 1", 1228),
    ] {
        assert_eq!(ann.error(said), code, "{said}");
    }
    assert_eq!(ann.rows("SELECT @x"), ["NULL"], "nothing of a list is done");
    ann.run("SET sql_mode = '', @@session.wait_timeout = 5");
    a.session()
        .run("CREATE PROCEDURE shop.sets() SET GLOBAL wait_timeout = 5; GRANT EXECUTE ON shop.* TO ann");
    assert_eq!(ann.error("CALL shop.sets()"), 1227, "with the rights of whom it runs for");
    a.session().run("SET GLOBAL wait_timeout = 77; GRANT SUPER ON *.* TO ann");
    assert_eq!(ann.rows("SELECT @@global.wait_timeout"), ["77"]);
    ann.run("SET GLOBAL wait_timeout = 78; CALL shop.sets()");
}

/// A CALL in a program is asked for what it needs like any other: EXECUTE, and what its arguments read.
#[test]
fn a_program_calls_what_its_caller_may_call() {
    let (a, _) = clinic();
    a.session().run(
        "CREATE DATABASE sec; CREATE TABLE sec.s (v INT); INSERT INTO sec.s VALUES (42); CREATE DATABASE b",
    );
    a.session().run("CREATE PROCEDURE sec.secret() SELECT 1; CREATE PROCEDURE b.shows(n INT) SELECT n");
    a.session().run("GRANT CREATE ROUTINE, EXECUTE ON b.* TO ann");
    let mut ann = as_(&a, "ann");
    ann.run("CREATE PROCEDURE b.mine() CALL b.shows((SELECT v FROM sec.s))");
    ann.run("CREATE PROCEDURE b.locks() CALL b.shows((SELECT v FROM sec.s FOR UPDATE))");
    ann.run("CREATE PROCEDURE b.theirs() CALL sec.secret()");
    for begin in ["COMMIT", "BEGIN"] {
        ann.run(begin);
        for (call, code) in [("mine", 1142), ("locks", 1142), ("theirs", 1370)] {
            assert_eq!(ann.error(&format!("CALL b.{call}()")), code, "{begin} {call}");
        }
    }
    a.session().run("GRANT SELECT ON sec.s TO ann; GRANT EXECUTE ON sec.* TO ann");
    ann.run("COMMIT; CALL b.mine(); CALL b.theirs()");
}

/// With KEEP THROUGH falls what came later, such as another key of one's own.
#[test]
fn nobody_locks_oneself_out() {
    let (a, b) = clinic();
    let mut root = a.session();
    let before = root.rows("SELECT @@gtid_executed").remove(0);
    let [first] = keys(&a, "root").try_into().expect("one key");
    // The same key twice is one.
    root.run(&format!("ALTER USER root ADD KEY '{first}'"));
    assert_eq!(keys(&a, "root"), std::slice::from_ref(&first));
    assert_eq!(root.error(&format!("ALTER USER root DROP KEY '{first}'")), 1396);
    // One by which no node acts is no help.
    let other = public_key(&p2pdb_block::SigningKey::from_bytes(&[9; 32])).to_did();
    root.run(&format!("ALTER USER root ADD KEY '{other}'"));
    assert_eq!(root.error(&format!("ALTER USER root DROP KEY '{first}'")), 1396);
    root.run("ALTER USER root IDENTIFIED BY 'new'");
    assert_eq!(root.error(&format!("ALTER USER root DROP KEY '{first}' KEEP THROUGH '{before}'")), 1396);
    assert_eq!(root.error(&format!("ALTER USER root DROP KEY '{first}' KEEP THROUGH ''")), 1396);
    root.run(&format!("ALTER USER root DROP KEY '{first}'; CREATE DATABASE still"));
    assert_eq!(root.error(&format!("ALTER USER root WITHDRAW NODE '{}'", a.engine.node())), 1396);
    converge(&[&a, &b]);
    // b was let act for root by a ticket that the first key had signed.
    assert_eq!(b.session_as("root").map(|_| ()).expect_err("not served").code, 1045);
    // Where only a reader, or only a writer, would be left, the realm would have no owner.
    let withdraw = format!("ALTER USER root WITHDRAW NODE '{}'", a.engine.node());
    let reader = a.join_as(9, Role::Reader);
    let to = Delegate::Node(reader.engine.node());
    let key = p2pdb_block::SigningKey::from_bytes(&[9; 32]);
    let root_id = a.engine.account("root", "%").expect("there").id;
    let delegate = |to: Delegate| {
        let AccessChange::Delegate { account, until_ms, signature, .. } =
            delegation(root_id, to, None, &key, Some(&a.engine.realm()))
        else {
            panic!("a delegation")
        };
        let Delegate::Node(node) = to else { panic!("a node") };
        a.engine.delegate(account, node, until_ms, signature).expect("delegated");
    };
    delegate(to);
    assert_eq!(root.error(&withdraw), 1396);
    delegate(Delegate::Node(b.engine.node()));
    assert_eq!(root.error(&withdraw), 1396, "b only writes");
    // On b it may be said, since a may have been stolen.
    b.fetch(&a);
    b.session().run(&withdraw);
    converge(&[&a, &b]);
    assert_eq!(a.session_as("root").map(|_| ()).expect_err("not served").code, 1045);
    root = b.session();
    let unknown = "12345678-1234-1234-1234-123456789abc:1-5";
    assert_eq!(root.error(&format!("REVOKE ALL ON shop.* FROM ann KEEP THROUGH '{unknown}'")), 1772);
    verified(&[&a, &b]);
}
