//! Changes of the schema, and of whole tables, that meet rows which were written elsewhere meanwhile.

mod support;

use p2pdb_model::Change;
use support::{Node, both, converge, two, verified};

const CONFLICTS: &str = "SELECT `table`, row_key, rule FROM p2pdb.conflicts ORDER BY `table`, row_key, rule";
const NONE: [&str; 0] = [];

fn till() -> (Node, Node) {
    two("CREATE TABLE till (id INT PRIMARY KEY, stock INT); INSERT INTO till VALUES (1, 10), (2, 20)")
}

#[test]
fn truncate_removes_the_rows_that_it_saw_and_no_others() {
    let (a, b) = till();
    a.session().run("TRUNCATE TABLE shop.till");
    b.session().run("UPDATE shop.till SET stock = 21 WHERE id = 2; INSERT INTO shop.till VALUES (3, 30)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.till ORDER BY id"), ["2|21", "3|30"]);
    assert_eq!(both(&a, &b, CONFLICTS), ["till|2|concurrent delete"]);
    verified(&[&a, &b]);
}

#[test]
fn a_name_that_was_given_up_and_taken_again_means_another_table() {
    let (a, b) = till();
    a.session().run(
        "RENAME TABLE shop.till TO shop.old; CREATE TABLE shop.till (id INT PRIMARY KEY, x VARCHAR(9)); \
         INSERT INTO shop.till VALUES (1, 'new')",
    );
    b.session().run("UPDATE shop.till SET stock = 11 WHERE id = 1; INSERT INTO shop.till VALUES (3, 30)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.old ORDER BY id"), ["1|11", "2|20", "3|30"]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.till"), ["1|new"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

#[test]
fn a_column_name_that_was_given_up_and_taken_again_means_another_column() {
    let (a, b) = till();
    a.session().run("ALTER TABLE shop.till RENAME COLUMN stock TO was");
    a.session().run("ALTER TABLE shop.till ADD COLUMN stock INT DEFAULT 7");
    b.session().run("UPDATE shop.till SET stock = 11 WHERE id = 1; INSERT INTO shop.till VALUES (3, 30)");
    converge(&[&a, &b]);
    assert_eq!(
        both(&a, &b, "SELECT id, was, stock FROM shop.till ORDER BY id"),
        ["1|11|7", "2|20|7", "3|30|7"]
    );
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

#[test]
fn columns_that_two_sides_add_rename_change_and_drop_come_to_one_table() {
    let (a, b) = two("CREATE TABLE till (id INT PRIMARY KEY, stock INT, note VARCHAR(9), was INT); \
         INSERT INTO till VALUES (1, 10, 'x', 7)");
    a.session().run(
        "ALTER TABLE shop.till ADD n INT DEFAULT 3; ALTER TABLE shop.till RENAME COLUMN stock TO pieces; \
         ALTER TABLE shop.till DROP COLUMN was; ALTER TABLE shop.till MODIFY note VARCHAR(20); \
         INSERT INTO shop.till (id, pieces, note, n) VALUES (2, 20, 'a longer note', 4)",
    );
    b.clock.advance_ms(5_000);
    b.session().run(
        "ALTER TABLE shop.till ADD n INT DEFAULT 3; ALTER TABLE shop.till RENAME COLUMN stock TO amount; \
         ALTER TABLE shop.till ADD m INT DEFAULT 5; \
         INSERT INTO shop.till (id, amount, note, was, n, m) VALUES (3, 30, 'y', 8, 6, 9)",
    );
    converge(&[&a, &b]);
    // Of two names the later; of two columns of one name one; what one side dropped is gone.
    let columns = "SELECT column_name, column_type FROM information_schema.columns WHERE table_name = 'till' \
                   ORDER BY column_name";
    assert_eq!(both(&a, &b, columns), ["amount|int", "id|int", "m|int", "n|int", "note|varchar(20)"]);
    assert_eq!(
        both(&a, &b, "SELECT id, amount, note, n, m FROM shop.till ORDER BY id"),
        ["1|10|x|3|5", "2|20|a longer note|4|5", "3|30|y|6|9"]
    );
    // B gave it a value, which A had not seen.
    assert_eq!(both(&a, &b, CONFLICTS), ["till|3|dropped column"]);
    verified(&[&a, &b]);
}

/// The unique clash takes a row out on which others hang, in the same table.
#[test]
fn a_unique_clash_in_a_table_that_refers_to_itself_takes_whole_branches_out_and_back() {
    let (a, b) = two("CREATE TABLE person (id INT PRIMARY KEY, mail VARCHAR(9) UNIQUE, boss INT, \
             FOREIGN KEY (boss) REFERENCES person (id) ON DELETE CASCADE); \
         INSERT INTO person VALUES (1, 'root', NULL)");
    b.session().run("INSERT INTO shop.person VALUES (2, 'x', 1)");
    a.clock.advance_ms(5_000);
    // A ring of two beside the branch: they hold each other, but not what is displaced.
    a.session().run(
        "INSERT INTO shop.person VALUES (3, 'x', 1), (4, 'd', 3), (5, 'e', 4), (6, 'f', NULL); \
         INSERT INTO shop.person VALUES (7, 'g', 6); UPDATE shop.person SET boss = 7 WHERE id = 6",
    );
    converge(&[&a, &b]);
    let people = "SELECT id FROM shop.person ORDER BY id";
    assert_eq!(both(&a, &b, people), ["1", "2", "6", "7"]);
    let waiting = ["person|3|unique", "person|4|reference", "person|5|reference"];
    assert_eq!(both(&a, &b, CONFLICTS), waiting);
    verified(&[&a, &b]);
    b.session().run("UPDATE shop.person SET mail = 'y' WHERE id = 2");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, people), ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

#[test]
fn a_narrower_type_puts_what_it_cannot_hold_aside_whole() {
    let (a, b) = two(
        "CREATE TABLE word (id INT PRIMARY KEY, w VARCHAR(20), n INT); INSERT INTO word VALUES (1, 'abc', 5)",
    );
    a.session().run("ALTER TABLE shop.word MODIFY w VARCHAR(3), MODIFY n TINYINT UNSIGNED");
    b.session().run("INSERT INTO shop.word VALUES (2, 'wide', 1), (3, 'ok', 300), (4, 'fit', 255)");
    converge(&[&a, &b]);
    let words = "SELECT id, w, n FROM shop.word ORDER BY id";
    assert_eq!(both(&a, &b, words), ["1|abc|5", "4|fit|255"]);
    assert_eq!(both(&a, &b, CONFLICTS), ["word|2|type", "word|3|type"]);
    verified(&[&a, &b]);
    b.session().run("ALTER TABLE shop.word MODIFY w VARCHAR(20), MODIFY n INT");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, words), ["1|abc|5", "2|wide|1", "3|ok|300", "4|fit|255"]);
    verified(&[&a, &b]);
}

/// The changes of rows in everything that `from` holds and `to` does not.
fn rows_written(from: &Node, to: &Node) -> usize {
    let realm = from.engine.realm();
    let blocks = to.missing_from(from).into_iter().map(|r| {
        let block = r.block.verify(&realm).expect("a good signature");
        block.with_bodies(r.bodies).expect("its bodies")
    });
    let rows = |b: &p2pdb_block::FullBlock| {
        let changes = b.body().transactions().iter().flat_map(|t| t.changes());
        changes.filter(|c| matches!(c, Change::Row(_))).count()
    };
    blocks.map(|b| rows(&b)).sum()
}

#[test]
fn changes_of_the_schema_write_no_row_to_the_log() {
    let (a, b) = till();
    a.session().run(
        "ALTER TABLE shop.till ADD COLUMN note VARCHAR(9) DEFAULT 'x', ADD COLUMN n INT NOT NULL DEFAULT 3; \
         ALTER TABLE shop.till MODIFY stock VARCHAR(20); ALTER TABLE shop.till RENAME COLUMN stock TO s; \
         CREATE UNIQUE INDEX u ON shop.till (s); ALTER TABLE shop.till DROP COLUMN note",
    );
    assert_eq!(rows_written(&a, &b), 0);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, s, n FROM shop.till ORDER BY id"), ["1|10|3", "2|20|3"]);
    a.session().run("INSERT INTO shop.till VALUES (3, 'z', 4)");
    assert_eq!(rows_written(&a, &b), 1, "and a row is one");
    verified(&[&a, &b]);
}

#[test]
fn constraints_of_one_name_that_ask_different_things_all_stand() {
    let (a, b) = till();
    a.session().run(
        "CREATE TABLE shop.p (id INT PRIMARY KEY); INSERT INTO shop.p VALUES (1), (2), (-1); \
         CREATE TABLE shop.q (id INT PRIMARY KEY); INSERT INTO shop.q VALUES (1), (3), (-1); \
         CREATE TABLE shop.t (id INT PRIMARY KEY, a INT, b INT, s VARCHAR(9))",
    );
    converge(&[&a, &b]);
    let same = "ALTER TABLE shop.t ADD CONSTRAINT fits CHECK (a < 100), ADD UNIQUE one (s)";
    for n in [&a, &b] {
        n.session().run(same);
    }
    a.session().run(
        "ALTER TABLE shop.t ADD CHECK (a > 0), ADD UNIQUE (a), ADD FOREIGN KEY (a) REFERENCES shop.p (id), \
         ADD UNIQUE word ((LOWER(s)))",
    );
    b.session().run(
        "ALTER TABLE shop.t ADD CHECK (b > 0), ADD UNIQUE a (a, b), ADD FOREIGN KEY (b) REFERENCES shop.q (id), \
         ADD UNIQUE word ((CONCAT(s, a)))",
    );
    converge(&[&a, &b]);
    let named = "SELECT CONSTRAINT_TYPE, SUBSTRING_INDEX(CONSTRAINT_NAME, '#', 1), COUNT(*) \
                 FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_NAME = 't' GROUP BY 1, 2 ORDER BY 1, 2";
    let all = [
        "CHECK|fits|1",
        "CHECK|t_chk_1|2",
        "FOREIGN KEY|t_ibfk_1|2",
        "PRIMARY KEY|PRIMARY|1",
        "UNIQUE|a|2",
        "UNIQUE|one|1",
        "UNIQUE|word|2",
    ];
    assert_eq!(both(&a, &b, named), all);
    for n in [&a, &b] {
        let mut s = n.session();
        s.run("SET autocommit = 0; INSERT INTO shop.t VALUES (1, 1, 1, 'X')");
        for (row, code) in [
            ("(2, -1, 1, 'y')", 3819),
            ("(2, 2, -1, 'y')", 3819),
            ("(2, 1, 3, 'y')", 1062),
            ("(2, 3, 3, 'y')", 1452),
            ("(2, 2, 2, 'y')", 1452),
            ("(2, 2, 1, 'x')", 1062),
        ] {
            assert_eq!(s.error(&format!("INSERT INTO shop.t VALUES {row}")), code, "{row}");
        }
        s.run("ROLLBACK");
        // What SHOW CREATE TABLE says makes the table again.
        let made = s.rows("SHOW CREATE TABLE shop.t").remove(0);
        let (_, sql) = made.split_once('|').expect("two columns");
        s.run(&format!(
            "CREATE DATABASE again; USE again; {}",
            sql.replace("`t`", "`t2`").replace("REFERENCES `", "REFERENCES `shop`.`")
        ));
        s.run("DROP DATABASE again");
    }
}

#[test]
fn a_tag_and_a_key_that_meet_leave_a_table_that_can_be_altered() {
    let (a, b) = till();
    a.session().run("ALTER TABLE shop.till MODIFY stock INT COMMENT '[counter]'");
    b.session().run("ALTER TABLE shop.till ADD UNIQUE (stock)");
    converge(&[&a, &b]);
    a.session().run("ALTER TABLE shop.till ADD z INT; UPDATE shop.till SET stock = stock + 3 WHERE id = 1");
    b.session().run("UPDATE shop.till SET stock = stock + 4 WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT stock FROM shop.till ORDER BY id"), ["17", "20"]);
    assert_eq!(a.session().error("ALTER TABLE shop.till ADD UNIQUE twice (stock, z)"), 1063);
    assert_eq!(a.session().error("ALTER TABLE shop.till MODIFY stock INT COMMENT '[max]'"), 1063);
    verified(&[&a, &b]);
}

#[test]
fn rows_that_a_new_auto_increment_column_did_not_see_wait() {
    let (a, b) = two("CREATE TABLE note (x INT); INSERT INTO note VALUES (5), (6), (7)");
    a.session().run("ALTER TABLE shop.note ADD id INT AUTO_INCREMENT PRIMARY KEY");
    a.session().run("INSERT INTO shop.note (x) VALUES (8)");
    b.session().run("INSERT INTO shop.note VALUES (40); UPDATE shop.note SET x = 66 WHERE x = 6");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, x FROM shop.note ORDER BY id"), ["1|5", "2|66", "3|7", "4|8"]);
    let rules = both(&a, &b, "SELECT DISTINCT rule FROM p2pdb.conflicts ORDER BY rule");
    assert_eq!(rules, ["not null", "type"]);
    b.session().run("INSERT INTO shop.note (x) VALUES (9)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT COUNT(DISTINCT id) FROM shop.note"), ["5"]);
    verified(&[&a, &b]);
}

#[test]
fn two_sides_that_number_the_same_rows_alike_come_to_one_table() {
    let (a, b) = two("CREATE TABLE note (x INT PRIMARY KEY); INSERT INTO note VALUES (5), (6), (7)");
    for side in [&a, &b] {
        side.session().run("ALTER TABLE shop.note ADD id INT AUTO_INCREMENT UNIQUE");
    }
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, x FROM shop.note ORDER BY id"), ["1|5", "2|6", "3|7"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

#[test]
fn a_row_without_a_number_is_given_one() {
    let (a, b) = two("CREATE TABLE note (x INT PRIMARY KEY); INSERT INTO note VALUES (5)");
    a.session().run("ALTER TABLE shop.note ADD id INT AUTO_INCREMENT UNIQUE");
    b.session().run("INSERT INTO shop.note VALUES (40)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, x FROM shop.note"), ["1|5"]);
    a.session().run("CALL p2pdb.resolve('shop.note', 'set', '40', 'id', 2)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, x FROM shop.note ORDER BY id"), ["1|5", "2|40"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

#[test]
fn numbers_are_held_against_the_references_over_them() {
    let (a, b) = two("CREATE TABLE par (id INT PRIMARY KEY); CREATE TABLE t (id INT PRIMARY KEY, v INT); \
         INSERT INTO par VALUES (1), (2); INSERT INTO t VALUES (11, 1), (12, 2), (13, 2)");
    let add = "ALTER TABLE shop.t ADD z INT AUTO_INCREMENT UNIQUE, ADD FOREIGN KEY (z) REFERENCES shop.par (id), \
         ADD y INT NOT NULL DEFAULT 2, ADD FOREIGN KEY (y) REFERENCES shop.par (id)";
    assert_eq!(a.session().error(add), 1452);
    assert_eq!(a.session().error(&add.replace("DEFAULT 2", "DEFAULT 3").replace("z", "zz")), 1452);
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.t ORDER BY id"), ["11|1", "12|2", "13|2"]);
    a.session().run("INSERT INTO shop.par VALUES (3)");
    a.session().run(add);
    a.session().run(
        "ALTER TABLE shop.par ADD n INT AUTO_INCREMENT UNIQUE, ADD m INT DEFAULT 3, \
         ADD FOREIGN KEY (m) REFERENCES shop.par (n)",
    );
    converge(&[&a, &b]);
    assert_eq!(
        both(&a, &b, "SELECT id, v, z, y FROM shop.t ORDER BY id"),
        ["11|1|1|2", "12|2|2|2", "13|2|3|2"]
    );
    assert_eq!(both(&a, &b, "SELECT id, n, m FROM shop.par ORDER BY id"), ["1|1|3", "2|2|3", "3|3|3"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

#[test]
fn a_local_change_lets_no_row_come_back_in_the_place_of_another_one() {
    let (a, b) = two("CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT, UNIQUE (v))");
    a.session().run("ALTER TABLE shop.t ADD CONSTRAINT c CHECK (w > 0)");
    b.session().run("INSERT INTO shop.t VALUES (1, 7, -1)");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, CONFLICTS), ["t|1|check"]);
    a.session().run("INSERT INTO shop.t VALUES (2, 7, 5)");
    for change in ["DROP CHECK c", "ALTER CHECK c NOT ENFORCED", "DROP COLUMN w"] {
        assert_eq!(a.session().error(&format!("ALTER TABLE shop.t {change}")), 1062, "{change}");
    }
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.t"), ["2|7|5"]);
    a.session().run("CALL p2pdb.resolve('shop.t', 'set', '1', 'v', 8, 'w', 3)");
    a.session().run("ALTER TABLE shop.t DROP COLUMN w");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.t ORDER BY id"), ["1|8", "2|7"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

#[test]
fn two_columns_that_change_names_take_what_the_other_side_writes_along() {
    let (a, b) =
        two("CREATE TABLE t (id INT PRIMARY KEY, v INT, w VARCHAR(9)); INSERT INTO t VALUES (1, 7, 'x')");
    a.session().run("ALTER TABLE shop.t RENAME COLUMN v TO w, RENAME COLUMN w TO v, ADD CHECK (v <> 'z')");
    b.session().run("UPDATE shop.t SET v = 8; INSERT INTO shop.t VALUES (2, 9, 'y')");
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, v, w FROM shop.t ORDER BY id"), ["1|x|8", "2|y|9"]);
    for side in [&a, &b] {
        side.session().run("ALTER TABLE shop.t CHANGE v w VARCHAR(9), CHANGE w v INT, DROP CHECK t_chk_1");
    }
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT id, v, w FROM shop.t ORDER BY id"), ["1|8|x", "2|9|y"]);
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}

/// What MySQL's default sql_mode takes for no date is none.
#[test]
fn a_number_that_is_no_date_waits_where_its_column_became_one() {
    let (a, b) = two("CREATE TABLE day (id INT PRIMARY KEY, d INT, at VARCHAR(20))");
    a.session().run("ALTER TABLE shop.day MODIFY d DATE, MODIFY at DATETIME");
    b.session().run(
        "INSERT INTO shop.day VALUES (1, 300, NULL), (2, 20240229, '2024-02-29 10:00:00'), (3, 0, NULL), \
         (4, NULL, '2024-00-00')",
    );
    converge(&[&a, &b]);
    assert_eq!(both(&a, &b, "SELECT * FROM shop.day"), ["2|2024-02-29|2024-02-29 10:00:00"]);
    let lost =
        "SELECT row_key, rule, lost_value->>'$.d', lost_value->>'$.at' FROM p2pdb.conflicts ORDER BY 1";
    assert_eq!(both(&a, &b, lost), ["1|type|300|null", "3|type|0|null", "4|type|null|2024-00-00"]);
    verified(&[&a, &b]);
    b.session().run("ALTER TABLE shop.day MODIFY d INT, MODIFY at VARCHAR(20)");
    converge(&[&a, &b]);
    assert_eq!(
        both(&a, &b, "SELECT id, d FROM shop.day WHERE id <> 2 ORDER BY id"),
        ["1|300", "3|0", "4|NULL"]
    );
    assert_eq!(both(&a, &b, CONFLICTS), NONE);
    verified(&[&a, &b]);
}
