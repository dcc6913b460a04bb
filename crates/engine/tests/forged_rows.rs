//! Rows that a patched member signs against their owners, or into columns that it may not give: every attack with its outcome, on honest
//! nodes that take the blocks in opposite orders. The others are in `attacks`.

mod support;

use p2pdb_block::{BodyBuilder, Draft, RawBlock, SigningKey, seal};
use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::{AccountId, Change, Cid, RULES, RowKey, Stamp, Value};
use p2pdb_sync::Received;
use support::*;

/// The member's key; its node joined as the third.
fn stolen() -> SigningKey {
    let mut bytes = [3; 32];
    bytes[0] = 1;
    SigningKey::from_bytes(&bytes)
}

fn table(name: &str) -> ObjectId {
    let shop = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
    ObjectId::derive(ObjectKind::Table, shop, name, None)
}

fn column(of: &str, name: &str) -> ColumnTag {
    ObjectId::derive(ObjectKind::Column, table(of), name, None).tag()
}

fn layout(of: &str, keys: u32, columns: &[&str]) -> Layout {
    Layout(table(of), keys, columns.iter().map(|c| column(of, c)).collect())
}

/// What is tried: for whom, on which table's layout, what; what `p2pdb.voided` says of it (nothing: it counts, and changes nothing).
struct Attack {
    name: &'static str,
    account: AccountId,
    layouts: Vec<Layout>,
    changes: Vec<Change>,
    void: &'static str,
}

struct Place {
    clinic: Node,
    other: Node,
    ann: AccountId,
    mallory: AccountId,
    /// The heads before the clinic wrote its result, and the clock then.
    early: (Vec<Cid>, Stamp),
}

fn place() -> Place {
    let clinic = Node::begin(1);
    clinic.session().run(
        "CREATE DATABASE shop; USE shop;
         CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(20), phone VARCHAR(20), who VARCHAR(64) COMMENT '[owner]');
         CREATE TABLE result (id INT PRIMARY KEY, value INT, code VARCHAR(10) UNIQUE);
         CREATE TABLE note (id INT PRIMARY KEY, a INT, b INT DEFAULT 7);
         CREATE TABLE diary (id INT PRIMARY KEY, body VARCHAR(20), who VARCHAR(64) COMMENT '[owner]');
         CREATE USER ann IDENTIFIED BY 'a', mallory IDENTIFIED BY 'm';
         GRANT SELECT ON shop.* TO ann, mallory;
         GRANT UPDATE (phone) ON patient TO p2pdb_owner;
         GRANT INSERT ON result TO mallory; GRANT INSERT (id, a) ON note TO mallory;
         GRANT INSERT, UPDATE, DELETE ON diary TO p2pdb_owner;
         INSERT INTO patient VALUES (1, 'Ann', '11', 'ann'), (2, 'Mallory', '22', 'mallory');
         INSERT INTO note VALUES (1, 1, 1); INSERT INTO diary VALUES (1, 'dear', 'ann')",
    );
    let other = clinic.join(2);
    let bad = clinic.join(3);
    bad.session().run("ALTER USER mallory IDENTIFIED BY 'm'");
    converge(&[&clinic, &other, &bad]);
    let status = clinic.engine.status();
    let early = (status.heads, status.stamp);
    clinic.session().run("INSERT INTO shop.result VALUES (1, 10, 'x')");
    converge(&[&clinic, &other, &bad]);
    let owner = |id: u32| {
        let hex = clinic.session().rows(&format!("SELECT who FROM shop.patient WHERE id = {id}")).concat();
        AccountId::from_hex(&hex).expect("an account's id")
    };
    let (ann, mallory) = (owner(1), owner(2));
    Place { clinic, other, ann, mallory, early }
}

fn key(id: i64, owner: Option<AccountId>) -> RowKey {
    RowKey([Some(Value::Int(id)), owner.map(RowKey::owner_part)].into_iter().flatten().collect())
}

fn text(t: &str) -> Value {
    Value::Text(t.to_owned())
}

fn update(key: RowKey, values: Vec<Value>) -> Vec<Change> {
    vec![Change::Row(RowChange::Update { layout: 0, key, values, cause: None })]
}

fn insert(key: Option<RowKey>, values: Vec<Value>, generated: bool) -> Vec<Change> {
    vec![Change::Row(RowChange::Insert { layout: 0, key, generated, values })]
}

fn delete(key: RowKey) -> Vec<Change> {
    vec![Change::Row(RowChange::Delete { layout: 0, key, cause: None })]
}

fn attacks(p: &Place) -> Vec<Attack> {
    let (ann, mallory) = (p.ann, p.mallory);
    let rows = |name, layout: Layout, changes, void| Attack {
        name,
        account: mallory,
        layouts: vec![layout],
        changes,
        void,
    };
    let phone = || layout("patient", 0, &["phone"]);
    let result = || layout("result", 1, &["id", "value", "code"]);
    let whole = |id, v, code: &str| vec![Value::Int(id), Value::Int(v), text(code)];
    vec![
        rows("another's row", phone(), update(key(1, Some(ann)), vec![text("66")]), "not granted"),
        rows("another's row as one's own", phone(), update(key(1, Some(mallory)), vec![text("66")]), ""),
        rows("another's row as nobody's", phone(), update(key(1, None), vec![text("66")]), "not granted"),
        rows(
            "another column of one's own row",
            layout("patient", 0, &["name"]),
            update(key(2, Some(mallory)), vec![text("Eve")]),
            "not granted",
        ),
        rows(
            "another owner for one's own row",
            layout("patient", 0, &["who"]),
            update(key(2, Some(mallory)), vec![text(&ann.to_hex())]),
            "not granted",
        ),
        rows(
            "one's own row deleted",
            layout("patient", 0, &[]),
            delete(key(2, Some(mallory))),
            "not granted",
        ),
        rows(
            "a patient made",
            phone(),
            insert(Some(key(3, Some(mallory))), vec![text("3")], false),
            "not granted",
        ),
        rows("an insert as an update", result(), insert(None, whole(1, 66, "x"), false), ""),
        rows("an insert as an update, drawn", result(), insert(None, whole(1, 66, "x"), true), ""),
        rows("a unique value that is taken", result(), insert(None, whole(5, 66, "X"), false), ""),
        rows(
            "a result changed",
            layout("result", 0, &["value"]),
            update(key(1, None), vec![Value::Int(66)]),
            "not granted",
        ),
        rows("a result deleted", layout("result", 0, &[]), delete(key(1, None)), "not granted"),
        rows(
            "a column that may not be given",
            layout("note", 1, &["id", "a", "b"]),
            insert(None, vec![Value::Int(9), Value::Int(1), Value::Int(66)], false),
            "not granted",
        ),
        rows(
            "a column that may not be given, as a drawn key",
            layout("note", 1, &["b", "id", "a"]),
            insert(None, vec![Value::Int(9), Value::Int(1), Value::Int(66)], true),
            "not granted",
        ),
        rows(
            "a diary page in another's name",
            layout("diary", 0, &["id", "body"]),
            insert(Some(key(9, Some(ann))), vec![Value::Int(9), text("lies")], false),
            "not granted",
        ),
        rows(
            "a diary page of nobody's",
            layout("diary", 0, &["id", "body"]),
            insert(Some(key(9, None)), vec![Value::Int(9), text("lies")], false),
            "not granted",
        ),
        rows(
            "another's diary page torn out",
            layout("diary", 0, &[]),
            delete(key(1, Some(ann))),
            "not granted",
        ),
        rows(
            "a table that nobody made",
            Layout(ObjectId([9; 16]), 1, vec![ColumnTag(1)]),
            insert(None, vec![Value::Int(1)], false),
            "not granted",
        ),
    ]
}

fn signed(p: &Place, attack: Attack, at: (Vec<Cid>, Stamp)) -> Received {
    let mut body = BodyBuilder::new();
    body.push(attack.account, &attack.layouts, attack.changes)
        .unwrap_or_else(|e| panic!("{}: {e}", attack.name));
    // Each on a chain of its own, as a node may begin one.
    let draft = Draft { rules: RULES, seq: 1, prev: None, parents: at.0, stamp: at.1 };
    let full = seal(draft, body.finish(), &stolen(), Some(&p.clinic.engine.realm())).expect("a block");
    Received {
        block: RawBlock(full.bytes().to_vec()).decode().expect("a block"),
        bodies: full.parts().iter().map(|p| p.bytes.clone()).collect(),
    }
}

fn shown(node: &Node) -> Vec<String> {
    let mut s = node.session();
    [
        "SELECT id, name, phone, who FROM shop.patient",
        "SELECT * FROM shop.result",
        "SELECT * FROM shop.note",
        "SELECT * FROM shop.diary",
    ]
    .iter()
    .flat_map(|sql| s.rows(&format!("{sql} ORDER BY id")))
    .collect()
}

#[test]
fn rows_of_others_and_columns_that_one_may_not_give_stay_as_they_are() {
    let p = place();
    let before = shown(&p.clinic);
    let status = p.clinic.engine.status();
    let mut blocks: Vec<(&str, &str, Received)> = Vec::new();
    for (n, attack) in attacks(&p).into_iter().enumerate() {
        let at = (status.heads.clone(), Stamp(status.stamp.0 + 1 + n as u64));
        blocks.push((attack.name, attack.void, signed(&p, attack, at)));
    }
    // Backdated, by not having seen what the clinic wrote since; and as late as a clock may say.
    let later = Stamp(status.stamp.0 + (1 << 16));
    let first = Stamp(p.early.1.0 + 1);
    for (name, at) in [
        ("an insert before the clinic's", (p.early.0.clone(), first)),
        ("an insert that has not seen the clinic's", (p.early.0.clone(), later)),
    ] {
        let values = vec![Value::Int(1), Value::Int(66), text("x")];
        let layouts = vec![layout("result", 1, &["id", "value", "code"])];
        let changes = insert(None, values, false);
        let attack = Attack { name, account: p.mallory, layouts, changes, void: "" };
        blocks.push((name, "", signed(&p, attack, at)));
    }
    let copy = |r: &Received| Received {
        block: RawBlock(r.block.bytes().to_vec()).decode().expect("a block"),
        bodies: r.bodies.clone(),
    };
    for (name, reason, block) in &blocks {
        let arrived = p.clinic.engine.ingest(vec![copy(block)]).block();
        assert_eq!(
            (arrived.fault.as_deref(), arrived.applied.len()),
            (None, 1),
            "{name}: {:?}",
            arrived.refused
        );
        let of_it = format!("SELECT reason FROM p2pdb.voided WHERE block = '{}'", block.block.cid());
        let listed = p.clinic.session().rows(&of_it).concat();
        assert!(reason.is_empty() == listed.is_empty() && listed.contains(reason), "{name}: {listed:?}");
        assert_eq!(shown(&p.clinic), before, "{name}");
    }
    assert!(blocks.len() >= 20, "{}", blocks.len());
    // Everybody finds the same, whatever came first, and honest work goes on.
    let arrived = p.other.engine.ingest(blocks.iter().rev().map(|(_, _, b)| copy(b)).collect()).block();
    assert_eq!((arrived.fault, arrived.applied.len()), (None, blocks.len()));
    p.other.session().run("UPDATE shop.result SET value = 11 WHERE id = 1");
    converge(&[&p.clinic, &p.other]);
    assert_eq!(both(&p.clinic, &p.other, "SELECT value FROM shop.result"), ["11"]);
    verified(&[&p.clinic, &p.other]);
}
