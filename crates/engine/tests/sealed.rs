//! Sealed columns: who reads them where, what happens to keys, and that nothing of them is in the open (`docs/security.md`, section 7).

mod support;

use p2pdb_block::{BodyBuilder, Draft, FullBlock, RawBlock, SigningKey, seal};
use p2pdb_dag::Frontier;
use p2pdb_model::change::{AccessChange, Layout, RowChange, SchemaChange};
use p2pdb_model::ids::{EpochId, ObjectKind};
use p2pdb_model::schema::{ColumnDef, Definition};
use p2pdb_model::sealed::{CELL_VERSION, KeyWrap, WRAPPED_BYTES};
use p2pdb_model::types::Collation;
use p2pdb_model::{AccountId, Change, ColumnTag, ObjectId, RULES, RowKey, SqlType, Stamp, Value};
use p2pdb_sync::{BlockSource, Received};
use support::*;

#[test]
fn who_reads_until_a_time_is_given_no_key_after_it() {
    let (a, b, c) = clinic();
    a.session().run("CREATE ROLE nurse; GRANT SELECT ON shop.patient TO nurse");
    a.session().run("GRANT nurse TO lab UNTIL '2026-01-02 03:10:00'");
    converge(&[&a, &b, &c]);
    c.session().run("ALTER USER lab IDENTIFIED BY 'l'");
    converge(&[&a, &b, &c]);
    assert!(a.engine.has_keys_to_share());
    for n in [&a, &b, &c] {
        n.clock.advance_ms(10 * 60_000);
        assert!(!n.engine.has_keys_to_share());
    }
}

const CANARY: &str = "canary-zwetschgenkuchen";

/// A clinic, a laboratory and a doctor's node. Root's own node is the first alone; lab logs in on the second, doc on the third.
fn clinic() -> (Node, Node, Node) {
    let a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE shop; USE shop;
         CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(40) COMMENT 'of the patient [sealed]', phone VARCHAR(20));
         CREATE USER lab IDENTIFIED BY 'l', doc IDENTIFIED BY 'd';
         GRANT SELECT (id, phone), INSERT (id, phone), UPDATE (phone) ON patient TO lab;
         INSERT INTO patient VALUES (1, 'Ann', '11'), (2, NULL, '22')",
    );
    let (b, c) = (a.join(2), a.join(3));
    b.session().run("ALTER USER lab IDENTIFIED BY 'l'");
    c.session().run("ALTER USER doc IDENTIFIED BY 'd'");
    converge(&[&a, &b, &c]);
    (a, b, c)
}

fn as_(node: &Node, user: &str) -> TestSession {
    let mut session = node.session_as(user).expect("a session");
    session.run("USE shop");
    session
}

const ALL: &str = "SELECT id, name FROM shop.patient ORDER BY id";

#[test]
fn who_was_granted_reads_and_others_get_1143() {
    let (a, b, c) = clinic();
    assert_eq!(a.session().rows(ALL), ["1|Ann", "2|NULL"]);
    let mut lab = as_(&b, "lab");
    assert_eq!(lab.error(ALL), 1143);
    assert_eq!(lab.error("SELECT * FROM patient"), 1143);
    assert_eq!(lab.rows("SELECT id, phone FROM patient ORDER BY id"), ["1|11", "2|22"]);
    assert_eq!(lab.error("SELECT id FROM patient WHERE name = 'Ann'"), 1143);
    // Root acts there by the ticket that the node came with, and is no reader.
    let mut root = b.session();
    assert_eq!(root.error(ALL), 1143);
    assert_eq!(root.error("INSERT INTO shop.patient VALUES (9, 'Eve', '9')"), 1143);
    assert_eq!(root.error("UPDATE shop.patient SET name = 'x'"), 1143);
    assert_eq!(root.rows("SELECT COUNT(*) FROM shop.patient"), ["2"]);
    // Who does not name it writes the rest.
    lab.run("INSERT INTO patient (id, phone) VALUES (3, '33'); UPDATE patient SET phone = '34' WHERE id = 3");
    assert_eq!(lab.error("INSERT INTO patient (id, name) VALUES (4, 'Dan')"), 1143);
    converge(&[&a, &b, &c]);
    assert_eq!(a.session().rows(ALL), ["1|Ann", "2|NULL", "3|NULL"]);
    verified(&[&a, &b, &c]);
}

#[test]
fn statements_read_and_write_it_like_any_other() {
    let (a, _, _) = clinic();
    let mut s = as_(&a, "root");
    s.run("INSERT INTO patient VALUES (3, 'Cem', '33'), (4, UPPER('dan'), '44'), (5, DEFAULT, '55')");
    assert_eq!(s.rows("SELECT id FROM patient WHERE name = 'ANN'"), ["1"]);
    assert_eq!(s.rows("SELECT name FROM patient WHERE name > 'b' ORDER BY name DESC"), ["DAN", "Cem"]);
    assert_eq!(s.rows("SELECT id FROM patient WHERE name IS NULL ORDER BY id"), ["2", "5"]);
    assert_eq!(s.rows("SELECT COUNT(DISTINCT name), MIN(name), LENGTH(MAX(name)) FROM patient"), ["3|Ann|3"]);
    let changed = |o: p2pdb_engine::Outcome| (o.found, o.affected);
    assert_eq!(changed(s.run("UPDATE patient SET name = 'Ann' WHERE id = 1")), (1, 0));
    assert_eq!(
        changed(s.run("UPDATE patient SET name = CONCAT(name, 'a'), phone = name WHERE id = 1")),
        (1, 1)
    );
    assert_eq!(s.rows("SELECT name, phone FROM patient WHERE id = 1"), ["Anna|Anna"]);
    s.run("INSERT INTO patient VALUES (1, 'Bea', 'x') ON DUPLICATE KEY UPDATE name = CONCAT(name, '-', VALUES(name))");
    s.run("REPLACE INTO patient VALUES (3, 'Kim', 'y')");
    s.run("BEGIN; UPDATE patient SET name = 'gone'; ROLLBACK");
    s.run("BEGIN; UPDATE patient SET name = 'Dave' WHERE id = 4; SAVEPOINT s; UPDATE patient SET name = 'x'; ROLLBACK TO s; COMMIT");
    s.run("UPDATE patient SET name = NULL WHERE id = 2; UPDATE patient SET id = 7 WHERE id = 5");
    assert_eq!(s.rows(ALL), ["1|Anna-Bea", "2|NULL", "3|Kim", "4|Dave", "7|NULL"]);
    s.run("CREATE VIEW v AS SELECT name FROM patient; PREPARE p FROM 'SELECT id FROM patient WHERE name = ?'; SET @n = 'kim'");
    assert_eq!(s.rows("SELECT * FROM v WHERE name LIKE 'K%'"), ["Kim"]);
    assert_eq!(s.rows("EXECUTE p USING @n"), ["3"]);
    s.run("CREATE TABLE nick (id INT PRIMARY KEY, nick VARCHAR(9)); INSERT INTO nick VALUES (3, 'Kimmy'), (4, 'Dan')");
    s.run("UPDATE patient p JOIN nick n ON n.id = p.id SET p.name = CONCAT(n.nick, '/', p.name) WHERE p.name <> 'x'");
    s.run("UPDATE patient SET name = LOWER(name) ORDER BY id DESC LIMIT 2");
    assert_eq!(s.rows("SELECT name FROM patient WHERE id IN (3, 4) ORDER BY id"), ["Kimmy/Kim", "dan/dave"]);
    s.run("UPDATE patient SET name = 'Kim' WHERE name LIKE 'kimmy%'; UPDATE patient SET name = 'Dave' WHERE id = 4");
    assert_eq!(s.error("INSERT INTO patient VALUES (8, REPEAT('x', 41), '')"), 1406);
    verified(&[&a]);
    drop(s);
    let a = a.restart();
    assert_eq!(a.session().rows("SELECT name FROM shop.patient WHERE id = 3"), ["Kim"]);
}

#[test]
fn a_reader_gets_the_history_or_only_what_comes() {
    let (a, b, c) = clinic();
    a.session().run("GRANT SELECT ON shop.patient TO doc");
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&c, "doc").rows(ALL), ["1|Ann", "2|NULL"]);
    // A second reader, on another node, from now on.
    a.session().run("CREATE USER new IDENTIFIED BY 'n'");
    b.fetch(&a);
    b.session().run("ALTER USER new IDENTIFIED BY 'n'");
    // Who cannot read it here cannot see to it that the history is not given.
    assert_eq!(b.session().error("GRANT SELECT ON shop.patient TO new WITHOUT HISTORY"), 1143);
    a.fetch(&b);
    a.session().run("GRANT SELECT ON shop.patient TO new WITHOUT HISTORY; INSERT INTO shop.patient VALUES (3, 'Cem', '3')");
    converge(&[&a, &b, &c]);
    let mut new = as_(&b, "new");
    assert_eq!(new.rows(ALL), ["1|NULL", "2|NULL", "3|Cem"]);
    new.rows(ALL);
    assert_eq!(new.rows("SHOW WARNINGS").len(), 1, "one warning a statement");
    // What cannot be read is not overwritten by what was made of it.
    a.session().run("GRANT UPDATE, DELETE ON shop.patient TO new");
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&b, "new").error("UPDATE patient SET name = CONCAT(name, '!')"), 3185);
    assert_eq!(as_(&b, "new").error("DELETE FROM patient WHERE name IS NULL"), 3185);
    as_(&b, "new").run("UPDATE patient SET name = 'Bob' WHERE id = 2");
    converge(&[&a, &b, &c]);
    let all = ["1|Ann", "2|Bob", "3|Cem"];
    assert_eq!(a.session().rows(ALL), all);
    assert_eq!(as_(&c, "doc").rows(ALL), all);
    verified(&[&a, &b, &c]);
}

#[test]
fn who_is_revoked_reads_nothing_that_comes_after() {
    let (a, b, c) = clinic();
    a.session().run("GRANT SELECT, UPDATE ON shop.patient TO doc");
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&c, "doc").rows("SELECT name FROM patient WHERE id = 1"), ["Ann"]);
    a.session()
        .run("REVOKE SELECT ON shop.patient FROM doc; UPDATE shop.patient SET name = 'Anna' WHERE id = 1");
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&c, "doc").error(ALL), 1143);
    // Even a node that does not ask: the key of the new value was not given to it.
    let readers = epochs_given_to(&c);
    assert_eq!(readers, 1, "the first epoch alone");
    // Who writes without SELECT is void, and said so before.
    assert_eq!(as_(&c, "doc").error("UPDATE patient SET name = 'x' WHERE id = 1"), 1143);
    // Given back, it is given the new keys, and the history with them.
    a.session().run("GRANT SELECT ON shop.patient TO doc");
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&c, "doc").rows(ALL), ["1|Anna", "2|NULL"]);
    verified(&[&a, &b, &c]);
}

/// Every block that the node holds.
fn blocks(node: &Node) -> Vec<FullBlock> {
    let view = node.engine.log_view().expect("a view of the log");
    let cover = view.cover(&Frontier::default()).expect("a cover");
    let Some(from) = view.first_uncovered(&cover).expect("a place") else { return Vec::new() };
    let scan = view.scan(&cover, from, usize::MAX, usize::MAX).expect("blocks");
    let realm = node.engine.realm();
    let full = scan.blocks.into_iter().map(|b| {
        let block = RawBlock(b.0.into_vec()).decode().expect("a block").verify(&realm).expect("a signature");
        block.with_bodies(b.1.into_iter().map(|b| b.into_vec()).collect()).expect("bodies")
    });
    full.collect()
}

/// How many keys the log holds for a node.
fn epochs_given_to(node: &Node) -> usize {
    let own = node.engine.node();
    let mut epochs = std::collections::BTreeSet::new();
    for block in blocks(node) {
        for change in block.body().transactions().iter().flat_map(|t| t.changes()) {
            if let Change::Access(AccessChange::ColumnKey { epoch, wraps, .. }) = change
                && wraps.iter().any(|w| w.node == own)
            {
                epochs.insert(*epoch);
            }
        }
    }
    epochs.len()
}

#[test]
fn two_that_rotate_at_the_same_time_lose_nothing() {
    let (a, b, c) = clinic();
    a.session().run("GRANT ALL ON shop.* TO doc WITH GRANT OPTION; GRANT SELECT ON shop.patient TO lab");
    converge(&[&a, &b, &c]);
    // Both take the lab's right away, and write.
    a.session()
        .run("REVOKE SELECT ON shop.patient FROM lab; UPDATE shop.patient SET name = 'from a' WHERE id = 1");
    let mut doc = as_(&c, "doc");
    doc.run("REVOKE SELECT ON shop.patient FROM lab; UPDATE patient SET name = 'from c' WHERE id = 2");
    converge(&[&a, &b, &c]);
    let both = ["1|from a", "2|from c"];
    assert_eq!(a.session().rows(ALL), both);
    assert_eq!(as_(&c, "doc").rows(ALL), both);
    // Of two newest keys neither is used again.
    let before = epochs_given_to(&a);
    a.session().run("UPDATE shop.patient SET name = 'after' WHERE id = 1");
    assert_eq!(epochs_given_to(&a), before + 1);
    a.session().run("UPDATE shop.patient SET name = 'again' WHERE id = 1");
    assert_eq!(epochs_given_to(&a), before + 1);
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&c, "doc").rows(ALL), ["1|again", "2|from c"]);
    verified(&[&a, &b, &c]);
}

#[test]
fn a_conflict_is_shown_to_readers_alone() {
    let (a, b, c) = clinic();
    a.session().run("GRANT ALL ON shop.* TO doc");
    converge(&[&a, &b, &c]);
    a.session().run("UPDATE shop.patient SET name = 'one' WHERE id = 1");
    as_(&c, "doc").run("UPDATE patient SET name = 'two' WHERE id = 1");
    converge(&[&a, &b, &c]);
    let mut shown = a.session().rows("SELECT kept_value, lost_value FROM p2pdb.conflicts");
    assert!(shown == ["one|two"] || shown == ["two|one"], "{shown:?}");
    shown = b.session().rows("SELECT kept_value, lost_value FROM p2pdb.conflicts");
    assert_eq!(shown, ["(sealed)|(sealed)"]);
}

#[test]
fn what_makes_no_sense_on_it_is_refused() {
    let (a, _, _) = clinic();
    let mut s = as_(&a, "root");
    let sealed = "v VARCHAR(20) COMMENT '[sealed]'";
    for (rest, code) in [
        ("UNIQUE (v)", 1063),
        ("KEY (v, v)", 1060),
        ("UNIQUE KEY (v)", 1063),
        ("PRIMARY KEY (v)", 1063),
        ("FULLTEXT (v)", 1063),
        ("CHECK (v > 'a')", 1063),
        ("g INT AS (LENGTH(v))", 1063),
        ("FOREIGN KEY (v) REFERENCES patient (phone)", 1063),
    ] {
        let found = s.error(&format!("CREATE TABLE t ({sealed}, {rest})"));
        assert!(found == code || (rest.contains("FOREIGN") && found == 1822), "{rest}: {found}");
    }
    for (column, code) in [
        ("v VARCHAR(20) DEFAULT 'x' COMMENT '[sealed]'", 1063),
        ("v JSON COMMENT '[sealed] [set]'", 1063),
        ("id INT AUTO_INCREMENT PRIMARY KEY COMMENT '[sealed]'", 1063),
        ("w INT, v INT AS (w) COMMENT '[sealed]'", 1063),
        ("v TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP COMMENT '[sealed]'", 1063),
    ] {
        assert_eq!(s.error(&format!("CREATE TABLE t ({column})")), code, "{column}");
    }
    for (sql, code) in [
        ("ALTER TABLE patient MODIFY phone VARCHAR(20) NOT NULL COMMENT '[sealed]'", 1235),
        ("ALTER TABLE patient MODIFY name VARCHAR(80) COMMENT '[sealed]'", 1235),
        ("ALTER TABLE patient ADD x INT NOT NULL COMMENT '[sealed]'", 1235),
        ("ALTER TABLE patient ADD KEY (name, phone)", 1063),
        ("CREATE UNIQUE INDEX i ON patient (name)", 1063),
        ("ALTER TABLE patient ADD CHECK (name <> '')", 1063),
        ("CREATE TEMPORARY TABLE t (v INT COMMENT '[sealed]')", 1063),
        ("CREATE TRIGGER g BEFORE INSERT ON patient FOR EACH ROW SET NEW.name = 'x'", 1235),
    ] {
        assert_eq!(s.error(sql), code, "{sql}");
    }
}

/// Every value of the phone numbers, as these see them.
fn phones(nodes: &[&Node], account: &str) -> Vec<Vec<String>> {
    nodes.iter().map(|n| as_(n, account).rows("SELECT id, phone FROM patient ORDER BY id")).collect()
}

#[test]
fn a_column_is_sealed_by_alter_and_opened_again() {
    let (a, b, _) = clinic();
    let mut s = as_(&a, "root");
    s.run("ALTER TABLE patient ADD KEY k (phone), ADD t TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP");
    converge(&[&a, &b]);
    let before = phones(&[&a], "root");
    let seals = "ALTER TABLE patient MODIFY phone VARCHAR(30) COMMENT 'by call [sealed]'";
    s.run(seals);
    // On the other side somebody writes to the column that was.
    as_(&b, "root").run(
        "UPDATE patient SET phone = '99' WHERE id = 2; INSERT INTO patient (id, phone) VALUES (7, '77')",
    );
    assert_eq!(phones(&[&a], "root"), before);
    assert_eq!(s.rows("SELECT id FROM patient WHERE t IS NOT NULL"), [""; 0], "nobody has changed anything");
    converge(&[&a, &b]);
    let shown = s.rows("SHOW CREATE TABLE patient").concat();
    assert!(shown.contains("`phone` varchar(30) DEFAULT NULL COMMENT 'by call [sealed]'"), "{shown}");
    assert!(shown.contains("KEY `k` (`phone`)") && !shown.contains("in the open"), "{shown}");
    assert_eq!(s.rows("SELECT id FROM patient WHERE phone = '11'"), ["1"]);
    // Those that did not know are told what became of it; their values are not lost.
    assert_eq!(s.rows("SELECT phone FROM patient WHERE id = 7"), ["NULL"]);
    let lost = s.rows(
        "SELECT row_key, `column`, lost_value FROM p2pdb.conflicts WHERE rule = 'dropped column' ORDER BY 1",
    );
    assert!(lost.concat().contains("99") && lost.concat().contains("77"), "{lost:?}");
    // In the log from now on there is ciphertext.
    s.run(&format!("UPDATE patient SET phone = '{CANARY}-9' WHERE id = 1"));
    converge(&[&a, &b]);
    assert!(as_(&a, "root").rows("SELECT phone FROM patient WHERE id = 1").concat().contains(CANARY));

    // Who may not write all rows does not do it.
    let opens = "ALTER TABLE patient MODIFY phone VARCHAR(30)";
    s.run(
        "CREATE USER eve; GRANT ALTER, CREATE, INSERT ON shop.* TO eve; GRANT SELECT (id) ON patient TO eve",
    );
    assert_eq!(as_(&a, "eve").error(opens), 1143);
    s.run("CREATE TABLE open (id INT PRIMARY KEY, v INT); INSERT INTO open VALUES (1, 1)");
    let eve_seals = "ALTER TABLE open MODIFY v INT COMMENT '[sealed]'";
    assert_eq!(as_(&a, "eve").error(eve_seals), 1142);
    s.run("GRANT SELECT ON open TO eve");
    assert_eq!(as_(&a, "eve").error(eve_seals), 1142);
    let sealed = phones(&[&a], "root");
    s.run(opens);
    assert_eq!(phones(&[&a], "root"), sealed);
    let shown = s.rows("SHOW CREATE TABLE patient").concat();
    assert!(
        shown.contains("`phone` varchar(30) DEFAULT NULL,") && shown.contains("KEY `k` (`phone`)"),
        "{shown}"
    );
    converge(&[&a, &b]);
    assert_eq!(phones(&[&b], "root"), sealed, "everybody reads what is in the open");
    verified(&[&a, &b]);
}

#[test]
fn what_cannot_be_opened_is_not_lost_by_alter() {
    let (a, b, c) = clinic();
    a.session().run("CREATE USER new IDENTIFIED BY 'n'");
    b.fetch(&a);
    b.session().run("ALTER USER new IDENTIFIED BY 'n'");
    a.fetch(&b);
    a.session().run(
        "GRANT ALTER, CREATE, DROP, INSERT, UPDATE ON shop.* TO new; GRANT SELECT ON shop.patient TO new WITHOUT HISTORY",
    );
    converge(&[&a, &b, &c]);
    let mut new = as_(&b, "new");
    assert_eq!(new.rows(ALL), ["1|NULL", "2|NULL"]);
    let failed = new.error("ALTER TABLE patient MODIFY name VARCHAR(40)");
    assert_eq!(failed, 3185);
    assert_eq!(
        new.rows("SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_NAME = 'patient'").len(),
        3
    );
    converge(&[&a, &b, &c]);
    assert_eq!(a.session().rows(ALL), ["1|Ann", "2|NULL"]);
    // Who has the keys opens it for everybody.
    let mut root = as_(&a, "root");
    assert_eq!(root.error("ALTER TABLE patient CHANGE name called VARCHAR(40) NOT NULL FIRST"), 1138);
    assert_eq!(root.rows(ALL), ["1|Ann", "2|NULL"]);
    for refused in [
        "ALTER TABLE patient CHANGE name called VARCHAR(40) FIRST, ADD n INT DEFAULT 5",
        "ALTER TABLE patient DROP PRIMARY KEY, MODIFY name VARCHAR(40) PRIMARY KEY",
        "ALTER TABLE patient MODIFY name VARCHAR(40) UNIQUE",
        "ALTER TABLE patient MODIFY name INT AUTO_INCREMENT",
        "ALTER TABLE patient MODIFY name INT COMMENT '[counter]'",
        "ALTER TABLE patient MODIFY phone VARCHAR(20) COMMENT '[sealed]', ADD KEY (phone)",
    ] {
        assert_eq!(root.error(refused), 1235, "{refused}");
    }
    assert_eq!(root.rows(ALL), ["1|Ann", "2|NULL"]);
    // What is NULL stays so, whatever new rows get.
    let done = root.run("ALTER TABLE patient CHANGE name called VARCHAR(40) DEFAULT 'nobody' FIRST");
    assert_eq!(done.info, "Records: 2  Duplicates: 0  Warnings: 0");
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&c, "root").rows("SELECT * FROM patient ORDER BY id"), ["Ann|1|11", "NULL|2|22"]);
    verified(&[&a, &b, &c]);
}

#[test]
fn nothing_of_it_is_in_the_open() {
    let (a, b, c) = clinic();
    a.session().run("GRANT ALL ON shop.* TO doc; CREATE INDEX by_name ON shop.patient (name)");
    converge(&[&a, &b, &c]);
    let write = |s: &mut TestSession, n: u32, column: &str| {
        s.run(&format!("UPDATE shop.patient SET {column} = '{CANARY}-{n}' WHERE id = 1"));
    };
    write(&mut a.session(), 1, "name");
    write(&mut as_(&c, "doc"), 2, "name");
    a.session().run(&format!("INSERT INTO shop.patient VALUES (5, '{CANARY}-3', '5')"));
    converge(&[&a, &b, &c]);
    assert!(a.session().rows(ALL).concat().contains(CANARY));
    // A column in the open, so that the search is known to find what is there.
    a.session().run("UPDATE shop.patient SET phone = 'open-canary' WHERE id = 1");
    converge(&[&a, &b, &c]);
    // Backups and exports lie beside the store, and are looked through with it.
    a.engine.backup(&a.path().join("backup.db")).expect("a backup");
    let car = std::fs::File::create(a.path().join("all.car")).expect("a file");
    a.engine.export_car(car, |_, _| {}).expect("an export");
    let holds = |bytes: &[u8], what: &str| bytes.windows(what.len()).any(|w| w == what.as_bytes());
    for node in [&a, &b, &c] {
        let (mut open, mut files) = (false, 0);
        let mut dirs = vec![node.path().to_path_buf()];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(dir).expect("a directory") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let bytes = std::fs::read(&path).expect("a file");
                assert!(!holds(&bytes, CANARY), "{} holds a sealed value", path.display());
                open |= holds(&bytes, "open-canary");
                let copied = ["backup.db", "all.car"].iter().any(|n| path.ends_with(n));
                assert!(!copied || holds(&bytes, "open-canary"), "{}", path.display());
                files += 1;
            }
        }
        assert!(open && files > 0, "the search finds what is in the open");
        for block in blocks(node) {
            assert!(!block.parts().iter().any(|p| holds(&p.bytes, CANARY)));
        }
    }
    verified(&[&a, &b, &c]);
}

fn table() -> ObjectId {
    let shop = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
    ObjectId::derive(ObjectKind::Table, shop, "patient", None)
}

fn name() -> ObjectId {
    ObjectId::derive(ObjectKind::Column, table(), "name", None)
}

/// What a member signs that has patched its node.
struct Forger<'a> {
    on: &'a Node,
    key: SigningKey,
    account: AccountId,
}

impl Forger<'_> {
    fn put(&self, layouts: &[Layout], changes: Vec<Change>) {
        let at = self.on.engine.status();
        let draft =
            Draft { rules: RULES, seq: 1, prev: None, parents: at.heads, stamp: Stamp(at.stamp.0 + 1) };
        let mut body = BodyBuilder::new();
        body.push(self.account, layouts, changes).expect("a body");
        let block = seal(draft, body.finish(), &self.key, Some(&self.on.engine.realm())).expect("a block");
        let received = Received {
            block: RawBlock(block.bytes().to_vec()).decode().expect("a block"),
            bodies: block.parts().iter().map(|p| p.bytes.clone()).collect(),
        };
        let arrived = self.on.engine.ingest(vec![received]).block();
        assert_eq!((arrived.fault, arrived.refused.len()), (None, 0));
    }

    fn name_of(&self, id: i64, value: Value) {
        let layout = Layout(table(), 0, vec![name().tag()]);
        let change = RowChange::Update { layout: 0, key: RowKey::int(id), values: vec![value], cause: None };
        self.put(&[layout], vec![Change::Row(change)]);
    }

    fn epoch(&self, epoch: EpochId, begins: bool, wraps: Vec<KeyWrap>) {
        let (table, column): (_, ColumnTag) = (table(), name().tag());
        self.put(&[], vec![Change::Access(AccessChange::ColumnKey { table, column, epoch, begins, wraps })]);
    }
}

fn forger<'a>(on: &'a Node, of: &Node, account: &str) -> Forger<'a> {
    let account = on.engine.account(account, "%").expect("an account").id;
    Forger { on, key: of.node_key(), account }
}

/// A cell of the log that holds the name of a patient, and the key that it names.
fn a_cell(node: &Node) -> (Value, EpochId) {
    for block in blocks(node) {
        for change in block.body().transactions().iter().flat_map(|t| t.changes()) {
            if let Change::Row(RowChange::Insert { values, .. }) = change
                && let Some(v @ Value::Blob(cell)) = values.iter().find(|v| matches!(v, Value::Blob(_)))
                && let Some(epoch) = p2pdb_model::sealed::epoch_of(cell)
            {
                return (v.clone(), epoch);
            }
        }
    }
    panic!("no sealed cell in the log");
}

fn voided(node: &Node) -> Vec<String> {
    node.session().rows("SELECT account FROM p2pdb.voided")
}

#[test]
fn who_may_not_read_it_can_neither_write_it_nor_give_keys() {
    let (a, b, c) = clinic();
    let lab = forger(&a, &b, "lab");
    let (cell, epoch) = a_cell(&a);
    lab.name_of(2, cell);
    lab.name_of(1, Value::Null);
    lab.epoch(EpochId([7; 16]), true, vec![]);
    let wrap = KeyWrap { account: lab.account, node: b.engine.node(), wrapped: [0; WRAPPED_BYTES] };
    lab.epoch(epoch, false, vec![wrap]);
    assert_eq!(voided(&a).len(), 4);
    assert_eq!(a.session().rows(ALL), ["1|Ann", "2|NULL"]);
    a.session().run("UPDATE shop.patient SET name = 'Anna' WHERE id = 1");
    assert_eq!(a.session().rows(ALL), ["1|Anna", "2|NULL"]);
    converge(&[&a, &b, &c]);
    verified(&[&a, &b, &c]);
}

#[test]
fn junk_of_a_reader_harms_nothing_but_what_it_is_written_over() {
    let (a, b, c) = clinic();
    a.session()
        .run("GRANT ALL ON shop.* TO doc; INSERT INTO shop.patient VALUES (3, 'Cem', '3'), (4, 'Dan', '4')");
    converge(&[&a, &b, &c]);
    let doc = forger(&a, &c, "doc");
    // A cell under a key that nobody has, and one that is damaged.
    let mut junk = vec![CELL_VERSION; 80];
    doc.name_of(2, Value::Blob(junk.clone()));
    let (Value::Blob(mut damaged), epoch) = a_cell(&a) else { panic!("a cell is a blob") };
    *damaged.last_mut().expect("bytes") ^= 1;
    doc.name_of(3, Value::Blob(damaged));
    let mut s = a.session();
    assert_eq!(s.rows(ALL), ["1|Ann", "2|NULL", "3|NULL", "4|Dan"]);
    assert_eq!(s.rows("SHOW WARNINGS").len(), 1);
    // No cell at all: the row is in p2pdb.conflicts, as with any value that does not fit.
    junk[0] = 9;
    doc.name_of(4, Value::Text("in the open".to_owned()));
    assert_eq!(s.rows(ALL), ["1|Ann", "2|NULL", "3|NULL"]);
    assert_eq!(s.rows("SELECT rule FROM p2pdb.conflicts"), ["type"]);
    // A key kept from the others, one given to somebody who may not read, and false wraps of a good one.
    doc.epoch(EpochId([7; 16]), true, vec![]);
    s.run("UPDATE shop.patient SET name = 'Anna' WHERE id = 1");
    let to =
        |node: &Node, account| KeyWrap { account, node: node.engine.node(), wrapped: [1; WRAPPED_BYTES] };
    let lab = a.engine.account("lab", "%").expect("lab").id;
    doc.epoch(epoch, false, vec![to(&a, doc.account), to(&b, lab)]);
    doc.epoch(EpochId([8; 16]), true, vec![to(&a, doc.account), to(&b, lab)]);
    s.run("UPDATE shop.patient SET name = 'Bob' WHERE id = 2; UPDATE shop.patient SET name = 'Cem' WHERE id = 3");
    assert_eq!(s.rows(ALL), ["1|Anna", "2|Bob", "3|Cem"]);
    converge(&[&a, &b, &c]);
    assert_eq!(as_(&c, "doc").rows(ALL), ["1|Anna", "2|Bob", "3|Cem"]);
    assert_eq!(voided(&a), [""; 0]);
    verified(&[&a, &b, &c]);
    let a = {
        drop(s);
        a.restart()
    };
    assert_eq!(a.session().rows(ALL), ["1|Anna", "2|Bob", "3|Cem"]);
}

#[test]
fn nobody_takes_the_seal_off() {
    let (a, b, c) = clinic();
    a.session().run("GRANT ALL ON shop.* TO doc");
    converge(&[&a, &b, &c]);
    let ty = SqlType::VarChar { chars: 40, collation: Collation::Utf8mb4_0900AiCi };
    let doc = forger(&a, &c, "doc");
    let open = SchemaChange::Put {
        id: name(),
        kind: ObjectKind::Column,
        parent: table(),
        name: None,
        definition: Some(Box::new(Definition::Column(ColumnDef::new(ty)))),
        position: None,
        after: None,
    };
    doc.put(&[], vec![Change::Schema(open)]);
    assert_eq!(voided(&a), [""; 0]);
    assert_eq!(a.session().rows(ALL), ["1|Ann", "2|NULL"]);
    a.session().run(&format!("UPDATE shop.patient SET name = '{CANARY}' WHERE id = 1"));
    assert_eq!(a.session().rows(ALL), [format!("1|{CANARY}"), "2|NULL".to_owned()]);
    for block in blocks(&a) {
        for part in block.parts() {
            assert!(!part.bytes.windows(CANARY.len()).any(|w| w == CANARY.as_bytes()));
        }
    }
    converge(&[&a, &b, &c]);
    assert_eq!(b.session().error(ALL), 1143);
    verified(&[&a, &b, &c]);
}

#[test]
fn nodes_that_have_a_key_give_it_to_readers_that_lack_it() {
    let (a, b, c) = clinic();
    let none = |nodes: [&Node; 3]| nodes.iter().all(|n| !n.engine.has_keys_to_share());
    assert!(none([&a, &b, &c]));
    // By a role, on a third node, which the grant's node does not know of.
    a.session().run("CREATE ROLE nurse; GRANT SELECT ON shop.patient TO nurse; GRANT nurse TO doc, lab");
    converge(&[&a, &b, &c]);
    let mut lab = as_(&b, "lab");
    lab.run("SET ROLE nurse");
    assert_eq!(lab.rows("SELECT name FROM patient WHERE id = 1"), ["Ann"]);
    c.session().run("ALTER USER lab IDENTIFIED BY 'l'");
    converge(&[&a, &b, &c]);
    let mut lab = as_(&c, "lab");
    lab.run("SET ROLE nurse");
    // The node has it for doc already, but lab is to have it also where doc is not.
    assert_eq!(lab.rows("SELECT name FROM patient WHERE id = 1"), ["Ann"]);
    assert!(a.engine.has_keys_to_share() && b.engine.has_keys_to_share());
    assert!(b.engine.share_keys().expect("it may write"));
    converge(&[&a, &b, &c]);
    assert!(none([&a, &b, &c]));
    assert!(!a.engine.share_keys().expect("nothing to do"));
    verified(&[&a, &b, &c]);
}

#[test]
fn a_table_made_twice_is_sealed_as_its_first_definition_says_whoever_hears_of_it_first() {
    let (a, b, c) = clinic();
    a.session().run("GRANT ALL ON shop.* TO doc");
    converge(&[&a, &b, &c]);
    // Made sealed on one side and in the open on the other, each the first in write order once.
    for (table, first, second, first_is_sealed) in [("x", &a, &c, true), ("y", &c, &a, false)] {
        let make = |n: &Node, user: &str, tag: &str, id: u32| {
            as_(n, user).run(&format!(
                "CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(20) COMMENT '{tag}'); INSERT INTO {table} VALUES ({id}, 'of {id}')"
            ));
        };
        let tag = |sealed| if sealed { "[sealed]" } else { "open" };
        let user = |n: &Node| if std::ptr::eq(n, &a) { "root" } else { "doc" };
        make(first, user(first), tag(first_is_sealed), 1);
        second.clock.advance_ms(5_000);
        make(second, user(second), tag(!first_is_sealed), 2);
        [first, &b].iter().for_each(|n| n.clock.advance_ms(5_000));
        converge(&[&a, &b, &c]);
        let mut s = a.session();
        assert_eq!(s.rows(&format!("SELECT id, v FROM shop.{table}")), ["1|of 1"], "{table}");
        assert_eq!(s.rows(&format!("SELECT rule FROM p2pdb.conflicts WHERE `table` = '{table}'")), ["type"]);
        let shown = s.rows(&format!("SHOW CREATE TABLE shop.{table}")).concat();
        assert_eq!(shown.contains("[sealed]"), first_is_sealed, "{shown}");
    }
    verified(&[&a, &b, &c]);
}
