//! The rules of `docs/merge.md`, each with two nodes.

use std::cell::RefCell;
use std::rc::Rc;

use p2pdb_model::Value;
use p2pdb_model::ids::{ObjectId, ObjectKind};
use p2pdb_model::schema::*;

use crate::apply_testing::*;
use crate::conflicts::Rule;
use crate::log::Verdict;

const VOID: Verdict = Verdict(1);

/// Two nodes with the shop's tables and these rows on both.
fn pair(rows: &[&str]) -> (Rc<RefCell<World>>, Node, Node) {
    let world = world();
    let mut a = Node::new(1, &world);
    a.ddl(shop(&a.merger.catalog().clone()));
    if !rows.is_empty() {
        a.exec(rows).expect("rows");
    }
    let mut b = Node::new(2, &world);
    b.pull(&a);
    (world, a, b)
}

/// Both nodes exchange all they have, and must then be equal.
fn meet(a: &mut Node, b: &mut Node) {
    a.pull(b);
    b.pull(a);
    let (left, right) = (a.state(), b.state());
    assert_eq!(left, right);
}

fn ints(row: &[i64]) -> Vec<Value> {
    row.iter().map(|n| Value::Int(*n)).collect()
}

fn column(node: &Node, table: &str, n: usize) -> Vec<Value> {
    node.rows(table).into_iter().map(|r| r[n].clone()).collect()
}

fn rules(node: &mut Node) -> Vec<Rule> {
    let mut rules: Vec<Rule> = node.conflicts().into_iter().map(|c| c.rule).collect();
    rules.sort();
    rules
}

fn item(id: i64, a: &str, b: &str, v: i64) -> String {
    format!(
        "INSERT INTO {{item}} ({{item.id}}, {{item.a}}, {{item.b}}, {{item.v}}, _v) VALUES ({id}, {a}, {b}, {v}, ?v)"
    )
}

fn part(k: &str, item: &str, up: &str, v: i64) -> String {
    format!(
        "INSERT INTO {{part}} ({{part.k}}, {{part.item}}, {{part.up}}, {{part.v}}, _v) VALUES ('{k}', {item}, {up}, {v}, ?v)"
    )
}

#[test]
fn different_columns_of_a_row_merge_and_equal_columns_conflict() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 0)]);
    a.exec(&["UPDATE {item} SET {item.v} = 5 WHERE {item.id} = 1"]).unwrap();
    b.exec(&["UPDATE {item} SET {item.a} = 11 WHERE {item.id} = 1"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(a.rows("item"), [vec![Value::Int(1), Value::Int(11), Value::Text("x".into()), Value::Int(5)]]);
    assert!(a.conflicts().is_empty());
    a.exec(&["UPDATE {item} SET {item.v} = 6 WHERE {item.id} = 1"]).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 7 WHERE {item.id} = 1"]).unwrap();
    meet(&mut a, &mut b);
    let c = a.conflicts().remove(0);
    let values = [c.winner.and_then(|s| s.value), c.loser.and_then(|s| s.value)];
    assert!(values.contains(&Some(Value::Int(6))) && values.contains(&Some(Value::Int(7))));
    assert_eq!(column(&a, "item", 3), [values[0].clone().unwrap()]);
    // Whoever writes the cell after that has settled it.
    b.exec(&["UPDATE {item} SET {item.v} = 8 WHERE {item.id} = 1"]).unwrap();
    meet(&mut a, &mut b);
    assert!(a.conflicts().is_empty());
}

#[test]
fn the_same_value_written_on_both_sides_is_no_conflict() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 0)]);
    a.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    meet(&mut a, &mut b);
    assert!(a.conflicts().is_empty());
}

#[test]
fn a_concurrent_edit_keeps_a_deleted_row_and_the_delete_is_shown() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 0)]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 3), ints(&[5]));
    assert_eq!(rules(&mut a), [Rule::ConcurrentDelete]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    meet(&mut a, &mut b);
    assert!(b.rows("item").is_empty() && b.conflicts().is_empty());
}

#[test]
fn two_inserts_of_one_given_key_are_one_row() {
    let (_w, mut a, mut b) = pair(&[]);
    a.exec(&[&item(1, "10", "NULL", 1)]).unwrap();
    b.exec(&[&item(1, "10", "NULL", 2)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(a.rows("item").len(), 1);
    assert_eq!(rules(&mut a), [Rule::ConcurrentWrite]);
}

#[test]
fn replace_on_one_side_and_an_edit_on_the_other_merge() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 0)]);
    a.exec(&[&item(1, "12", "'x'", 0).replacen("INSERT", "REPLACE", 1)]).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 1), ints(&[12]));
    assert_eq!(column(&a, "item", 3), ints(&[5]));
    assert!(a.conflicts().is_empty());
}

#[test]
fn an_old_edit_does_not_touch_the_row_that_took_the_key() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 0)]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    a.exec(&[&item(1, "20", "'y'", 1)]).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 1), ints(&[20]));
    assert_eq!(column(&a, "item", 3), ints(&[1]));
    let conflicts = a.conflicts();
    assert_eq!(conflicts[0].rule, Rule::ConcurrentDelete);
    assert!(conflicts[0].row.as_ref().unwrap().iter().any(|c| c.value == Value::Int(5)));
}

#[test]
fn of_two_rows_with_one_unique_value_the_later_is_displaced_and_comes_back() {
    let (_w, mut a, mut b) = pair(&[]);
    a.run_at(&[&[&a.sql(&item(1, "10", "'x'", 1))]], true, 100).unwrap();
    b.run_at(&[&[&b.sql(&item(2, "10", "'y'", 2))]], true, 200).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 0), ints(&[1]));
    assert_eq!(rules(&mut a), [Rule::Unique]);
    // Its other value is still claimed, without regard to case.
    assert_eq!(a.exec(&[&item(3, "30", "'Y'", 3)]), None);
    a.exec(&["UPDATE {item} SET {item.a} = 11 WHERE {item.id} = 1"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&b, "item", 0), ints(&[1, 2]));
    assert!(b.conflicts().is_empty());
}

#[test]
fn three_rows_in_a_ring_of_two_unique_keys_are_decided_by_their_writes() {
    let (_w, mut a, mut b) = pair(&[]);
    a.run_at(&[&[&a.sql(&item(1, "1", "'x'", 0))]], true, 100).unwrap();
    b.run_at(&[&[&b.sql(&item(2, "1", "'y'", 0)), &b.sql(&item(3, "3", "'X'", 0))]], true, 200).unwrap();
    meet(&mut a, &mut b);
    // 2 loses a to 1, 3 loses b to 1; 2 keeps its claim on y though displaced.
    assert_eq!(column(&a, "item", 0), ints(&[1]));
    assert_eq!(rules(&mut b), [Rule::Unique, Rule::Unique]);
    b.exec(&["DELETE FROM {item} WHERE {item.id} = 1"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 0), ints(&[2, 3]));
}

#[test]
fn a_child_whose_parent_was_deleted_waits_for_it_with_its_own_children() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0)]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    b.exec(&[&part("p", "1", "NULL", 0), &part("q", "NULL", "'p'", 0)]).unwrap();
    meet(&mut a, &mut b);
    assert!(a.rows("part").is_empty());
    assert_eq!(rules(&mut a), [Rule::Reference, Rule::Reference]);
    a.exec(&[&item(1, "1", "'x'", 0)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(b.rows("part").len(), 2);
    assert!(b.conflicts().is_empty());
}

#[test]
fn rows_that_refer_to_each_other_hold_each_other() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0), &part("p", "1", "NULL", 0)]);
    b.exec(&[&part("q", "NULL", "'p'", 0), "UPDATE {part} SET {part.up} = 'q' WHERE {part.k} = 'p'"])
        .unwrap();
    a.run_with(&[&[&a.sql("DELETE FROM {item}")]], false).unwrap();
    meet(&mut a, &mut b);
    // p has lost its item; q, which hangs on p, goes with it; and both are back with the item.
    assert!(a.rows("part").is_empty());
    b.exec(&[&item(1, "2", "'z'", 0)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(a.rows("part").len(), 2);
}

#[test]
fn local_statements_meet_foreign_keys() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0), &part("p", "1", "NULL", 0)]);
    assert_eq!(a.exec(&[&part("z", "9", "NULL", 0)]), None);
    a.exec(&[&part("q", "1", "'P'", 0)]).unwrap();
    // ON DELETE CASCADE removes the parts.
    a.exec(&["DELETE FROM {item}"]).unwrap();
    assert!(a.rows("part").is_empty());
    meet(&mut a, &mut b);
    assert!(b.rows("part").is_empty() && b.conflicts().is_empty());
}

#[test]
fn a_row_keeps_its_identity_when_its_key_changes() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0), &part("p", "NULL", "NULL", 0)]);
    a.exec(&[
        "UPDATE {item} SET {item.id} = 7 WHERE {item.id} = 1",
        "UPDATE {part} SET {part.k} = 'r' WHERE {part.k} = 'p'",
    ])
    .unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 5", "UPDATE {part} SET {part.v} = 6"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!((column(&a, "item", 0), column(&a, "item", 3)), (ints(&[7]), ints(&[5])));
    assert_eq!((column(&a, "part", 0), column(&a, "part", 3)), (vec![Value::Text("r".into())], ints(&[6])));
    // The old key is free for another row, which is another row.
    a.exec(&[&item(1, "2", "'y'", 9)]).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 8 WHERE {item.id} = 7"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 3), ints(&[9, 8]));
}

#[test]
fn a_void_transaction_leaves_no_trace_and_comes_back_whole() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0)]);
    let before = b.state();
    let n = a
        .exec(&[
            "UPDATE {item} SET {item.v} = 5, {item.a} = 2",
            &item(2, "1", "'y'", 0),
            "DELETE FROM {item} WHERE {item.id} = 1",
        ])
        .unwrap();
    b.pull(&a);
    let with = b.state();
    b.judge(n, VOID);
    assert_eq!(b.state(), before);
    b.judge(n, Verdict::ACCEPTED);
    assert_eq!(b.state(), with);
    assert_eq!(with, a.state());
}

#[test]
fn the_same_migration_on_two_nodes_gives_one_table() {
    let world = world();
    let (mut a, mut b) = (Node::new(1, &world), Node::new(2, &world));
    let mut ddl = Ddl::new(a.merger.catalog());
    ddl.database();
    let d = ddl.changes;
    a.ddl(d);
    b.pull(&a);
    for node in [&mut a, &mut b] {
        node.ddl(shop(&node.merger.catalog().clone()));
        node.exec(&[&item(1, "1", "'x'", 0)]).unwrap();
    }
    b.exec(&[&item(2, "2", "'y'", 0)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 0), ints(&[1, 2]));
    assert!(a.conflicts().is_empty());
}

fn add_column(node: &Node, name: &str, default: &str) -> Vec<p2pdb_model::change::SchemaChange> {
    let catalog = node.merger.catalog().clone();
    let table = catalog.table("d", "item").unwrap().id;
    let mut ddl = Ddl::new(&catalog);
    let def = ColumnDef { default: Some(DefaultValue::Literal(default.to_owned())), ..ColumnDef::new(int()) };
    ddl.put(table, name, Definition::Column(def), 9);
    ddl.changes
}

fn drop_object(id: ObjectId) -> Vec<p2pdb_model::change::SchemaChange> {
    vec![p2pdb_model::change::SchemaChange::Drop { id }]
}

#[test]
fn a_column_added_beside_concurrent_inserts_shows_its_default_in_them() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0)]);
    a.ddl(add_column(&a, "n", "7"));
    a.exec(&["UPDATE {item} SET {item.n} = 8 WHERE {item.id} = 1"]).unwrap();
    b.exec(&[&item(2, "2", "'y'", 0)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 4), ints(&[8, 7]));
    assert_eq!(column(&b, "item", 4), ints(&[8, 7]));
}

#[test]
fn a_dropped_column_takes_concurrent_writes_with_it_and_the_log_keeps_them() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0)]);
    let tag = a.merger.catalog().table("d", "item").unwrap().column("v").unwrap().id;
    let dropped = a.ddl(drop_object(tag));
    b.exec(&["UPDATE {item} SET {item.v} = 5, {item.a} = 2"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(a.rows("item")[0].len(), 3);
    for node in [&mut a, &mut b] {
        node.judge(dropped, VOID);
        assert_eq!(column(node, "item", 3), ints(&[5]));
    }
    assert_eq!(a.state(), b.state());
}

#[test]
fn a_table_dropped_beside_an_insert_stays_dropped_unless_its_schema_was_touched() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 0)]);
    let note = a.merger.catalog().table("d", "note").unwrap().id;
    let item_id = a.merger.catalog().table("d", "item").unwrap().id;
    a.ddl(drop_object(note));
    a.ddl(drop_object(item_id));
    b.exec(&["INSERT INTO {note} ({note.v}, _v, _k) VALUES (1, ?v, randomblob(16))"]).unwrap();
    b.ddl(add_column(&b, "n", "7"));
    meet(&mut a, &mut b);
    assert!(a.merger.catalog().table("d", "note").is_none());
    assert_eq!(column(&a, "item", 0), ints(&[1]));
    // The name is free, and the next table of that name is another one.
    let catalog = a.merger.catalog().clone();
    let d = catalog.database("d").unwrap().id;
    assert_ne!(catalog.new_id(ObjectKind::Table, d, "note"), note);
}

#[test]
fn a_unique_key_over_rows_that_clash_elsewhere_displaces_the_later() {
    let (_w, mut a, mut b) = pair(&[&item(1, "1", "'x'", 4)]);
    let catalog = a.merger.catalog().clone();
    let mut ddl = Ddl::new(&catalog);
    ddl.index(catalog.table("d", "item").unwrap().id, "uv", &["v"], true);
    let index = a.ddl(ddl.changes);
    b.exec(&[&item(2, "2", "'y'", 4)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 0), ints(&[1]));
    a.judge(index, VOID);
    b.judge(index, VOID);
    assert_eq!(column(&a, "item", 0), ints(&[1, 2]));
    assert_eq!(a.state(), b.state());
}

#[test]
fn rows_without_key_are_told_apart_by_their_hidden_id() {
    let (_w, mut a, mut b) = pair(&[]);
    let insert = "INSERT INTO {note} ({note.v}, _v, _k) VALUES (1, ?v, randomblob(16))";
    a.exec(&[insert, insert]).unwrap();
    b.exec(&[insert]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(a.rows("note").len(), 3);
    a.exec(&["UPDATE {note} SET {note.v} = 2 WHERE rowid = 1"]).unwrap();
    b.exec(&["DELETE FROM {note} WHERE rowid = 2"]).unwrap();
    meet(&mut a, &mut b);
}

#[test]
fn a_statement_that_changes_nothing_logs_nothing() {
    let (_w, mut a, _b) = pair(&[&item(1, "1", "'x'", 4)]);
    assert_eq!(a.exec(&["UPDATE {item} SET {item.v} = 4"]), None);
    assert_eq!(a.exec(&[&item(5, "5", "'z'", 4), "DELETE FROM {item} WHERE {item.id} = 5"]), None);
    assert_eq!(a.exec(&[&item(1, "1", "'x'", 4).replacen("INSERT", "REPLACE", 1)]), None);
    // The row is still the one of the log.
    let state = a.state();
    assert!(state.iter().any(|l| l.starts_with("item") && l.contains("visible")));
}

#[test]
fn two_inserts_of_one_generated_key_are_two_rows() {
    let (_w, mut a, mut b) = pair(&[]);
    (a.generated, b.generated) = (true, true);
    a.run_at(&[&[&a.sql(&item(1, "1", "'x'", 1))]], true, 100).unwrap();
    b.run_at(&[&[&b.sql(&item(1, "2", "'y'", 2))]], true, 200).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 3"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 3), ints(&[1]));
    assert_eq!(rules(&mut a), [Rule::GeneratedKey]);
    b.exec(&["DELETE FROM {item} WHERE {item.id} = 1"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 3), ints(&[3]));
    assert!(a.conflicts().is_empty());
}

#[test]
fn rows_keep_their_identity_under_another_primary_key() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 5), &item(2, "20", "'y'", 6)]);
    let catalog = a.merger.catalog().clone();
    let table = catalog.table("d", "item").unwrap().clone();
    a.ddl(drop_object(table.primary().unwrap().id));
    let catalog = a.merger.catalog().clone();
    let mut ddl = Ddl::new(&catalog);
    ddl.index(table.id, "PRIMARY", &["v"], true);
    a.ddl(ddl.changes);
    // A new row whose key looks like an old one's identity, and an old row edited on the other side.
    a.exec(&[&item(9, "90", "'z'", 1)]).unwrap();
    a.exec(&["UPDATE {item} SET {item.a} = 11 WHERE {item.v} = 5"]).unwrap();
    b.exec(&["UPDATE {item} SET {item.b} = 'w' WHERE {item.id} = 1"]).unwrap();
    b.exec(&[&item(3, "30", "'u'", 7)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(column(&b, "item", 0), ints(&[1, 2, 3, 9]));
    assert_eq!(column(&b, "item", 1), ints(&[11, 20, 30, 90]));
    assert!(a.conflicts().is_empty());
    // After the change both sides insert the same new key: one row.
    for node in [&mut a, &mut b] {
        node.exec(&[&item(50, "50", "NULL", 8)]).unwrap();
    }
    meet(&mut a, &mut b);
    assert_eq!(a.rows("item").len(), 5);
}

#[test]
fn what_makes_no_sense_has_no_effect_and_stops_nothing() {
    use p2pdb_model::change::{Layout, RowChange};
    use p2pdb_model::{Change, ColumnTag, RowKey};
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 5)]);
    let table = a.merger.catalog().table("d", "item").unwrap().clone();
    let tag = |c: &str| table.column(c).unwrap().tag;
    let text = || Value::Text("seven".into());
    let layouts = [
        Layout(table.id, 1, vec![tag("id"), ColumnTag(77)]),
        Layout(ObjectId([9; 16]), 1, vec![ColumnTag(1)]),
        Layout(table.id, 0, vec![tag("v"), tag("v")]),
        Layout(table.id, 0, vec![]),
    ];
    let changes = vec![
        // A key that the table cannot hold, and a column that nobody knows.
        RowChange::Insert { layout: 0, key: None, generated: false, values: vec![text(), text()] },
        // A table that nobody knows.
        RowChange::Insert { layout: 1, key: None, generated: false, values: vec![Value::Int(1)] },
        // A row that is not there, and a column twice.
        RowChange::Update {
            layout: 2,
            key: RowKey::int(99),
            values: vec![Value::Int(1), Value::Int(2)],
            cause: None,
        },
        RowChange::Update {
            layout: 2,
            key: RowKey::int(1),
            values: vec![Value::Int(1), Value::Int(2)],
            cause: None,
        },
        RowChange::Delete { layout: 3, key: RowKey(vec![]), cause: None },
    ];
    a.changes(&layouts, changes.into_iter().map(Change::Row).collect());
    meet(&mut a, &mut b);
    assert_eq!(column(&a, "item", 3), ints(&[2]));
    assert_eq!(rules(&mut b), [Rule::Type]);
}

#[test]
fn a_value_for_a_column_that_comes_later_is_there_on_every_node() {
    use p2pdb_model::change::SchemaChange;
    use p2pdb_model::change::{Layout, RowChange};
    use p2pdb_model::{Change, RowKey};
    let (w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 5)]);
    // The tag is made from names, so that anybody can know it.
    let added = add_column(&a, "n", "7");
    let SchemaChange::Put { id, .. } = &added[0] else { panic!("{added:?}") };
    let table = a.merger.catalog().table("d", "item").unwrap().id;
    let layout = Layout(table, 0, vec![id.tag()]);
    let update =
        RowChange::Update { layout: 0, key: RowKey::int(1), values: vec![Value::Int(5)], cause: None };
    b.changes(&[layout], vec![Change::Row(update)]);
    a.ddl(added);
    meet(&mut a, &mut b);
    let mut c = Node::new(9, &w);
    c.pull(&b);
    for n in [&a, &b, &c] {
        assert_eq!(column(n, "item", 4), ints(&[5]));
    }
}

#[test]
fn objects_that_cannot_stand_stop_nothing() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 5)]);
    let catalog = a.merger.catalog().clone();
    let table = |name: &str| catalog.table("d", name).unwrap().clone();
    let (part, item) = (table("part"), table("item"));
    let tags = |t: &p2pdb_model::catalog::Table, names: &[&str]| {
        names.iter().map(|n| t.column(n).unwrap().tag).collect::<Vec<_>>()
    };
    let key = |columns, parent_columns| {
        Definition::ForeignKey(ForeignKeyDef {
            columns,
            parent: Some(item.id),
            parent_columns,
            parent_names: None,
            on_delete: ReferentialAction::Cascade,
            on_update: ReferentialAction::Cascade,
        })
    };
    let mut ddl = Ddl::new(&catalog);
    ddl.put(part.id, "none", key(vec![], vec![]), 0);
    ddl.put(part.id, "more", key(tags(&part, &["item", "v"]), tags(&item, &["id"])), 0);
    ddl.put(part.id, "less", key(tags(&part, &["item"]), tags(&item, &["id", "a"])), 0);
    for n in 0..1_100 {
        ddl.put(part.id, &format!("wide{n}"), Definition::Column(ColumnDef::new(int())), 100 + n);
    }
    let changes = ddl.changes;
    a.ddl(changes);
    b.exec(&["INSERT INTO {part} ({part.k}, _v) VALUES ('b', ?v)"]).unwrap();
    meet(&mut a, &mut b);
    let part = b.merger.catalog().table("d", "part").unwrap();
    assert_eq!(part.columns.len(), p2pdb_model::catalog::COLUMNS_MAX);
    assert!(part.column("v").is_some() && part.column("wide5").is_some());
    assert_eq!(column(&b, "part", 0).len(), 1);
}

#[test]
fn the_history_of_a_row_names_every_version() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 5)]);
    let n = b.exec(&["UPDATE {item} SET {item.v} = 6"]).unwrap();
    a.pull(&b);
    a.judge(n, VOID);
    let table = a.merger.catalog().table("d", "item").unwrap().id;
    let key = p2pdb_model::RowKey::int(1);
    let history = a.merger.history(&a.writer, &|_, _| Ok(true), table, &key).unwrap();
    let verdicts: Vec<Verdict> = history.iter().map(|v| v.verdict).collect();
    assert_eq!(verdicts, [Verdict::ACCEPTED, VOID]);
}

#[test]
fn a_change_that_names_another_owner_does_nothing_to_the_row() {
    use p2pdb_model::change::{Layout, RowChange};
    use p2pdb_model::{AccountId, Change, RowKey};
    let (_, mut a, mut b) = pair(&[]);
    let (ann, bob) = (AccountId([7; 16]), AccountId([8; 16]));
    let insert = format!(
        "INSERT INTO {{own}} ({{own.id}}, {{own.who}}, {{own.v}}, _v) VALUES (1, '{}', 5, ?v)",
        ann.to_hex()
    );
    a.exec(&[&insert]).expect("a row");
    b.pull(&a);
    let table = b.merger.catalog().table("d", "own").expect("a table").clone();
    let tag = |name: &str| table.column(name).expect("a column").tag;
    let layout = Layout(table.id, 0, vec![tag("v")]);
    let key = |of: Option<AccountId>| {
        RowKey([Some(Value::Int(1)), of.map(RowKey::owner_part)].into_iter().flatten().collect())
    };
    let update = |of, v| {
        Change::Row(RowChange::Update { layout: 0, key: key(of), values: vec![Value::Int(v)], cause: None })
    };
    for forged in [Some(bob), None] {
        b.changes(std::slice::from_ref(&layout), vec![update(forged, 66)]);
    }
    let delete = Change::Row(RowChange::Delete { layout: 0, key: key(Some(bob)), cause: None });
    b.changes(&[Layout(table.id, 0, Vec::new())], vec![delete]);
    // Nor does the column say another owner than the key, whatever was written there.
    let whole = Layout(table.id, 0, vec![tag("id"), tag("who"), tag("v")]);
    let values = vec![Value::Int(2), Value::Text(ann.to_hex()), Value::Int(9)];
    let two = RowKey(vec![Value::Int(2), RowKey::owner_part(bob)]);
    let forged = RowChange::Insert { layout: 0, key: Some(two.clone()), generated: false, values };
    b.changes(std::slice::from_ref(&whole), vec![Change::Row(forged)]);
    let who = Layout(table.id, 0, vec![tag("who")]);
    let values = vec![Value::Text(ann.to_hex())];
    b.changes(&[who], vec![Change::Row(RowChange::Update { layout: 0, key: two, values, cause: None })]);
    b.changes(&[layout], vec![update(Some(ann), 6)]);
    meet(&mut a, &mut b);
    let shown = |id: AccountId| Value::Text(id.to_hex());
    assert_eq!(
        a.rows("own"),
        [vec![Value::Int(1), shown(ann), Value::Int(6)], vec![Value::Int(2), shown(bob), Value::Int(9)]]
    );
    // Of two rows of one key and two owners one stands, the other waits.
    let insert = |who: AccountId| {
        format!(
            "INSERT INTO {{own}} ({{own.id}}, {{own.who}}, {{own.v}}, _v) VALUES (3, '{}', 0, ?v)",
            who.to_hex()
        )
    };
    a.exec(&[&insert(ann)]).expect("a row");
    b.exec(&[&insert(bob)]).expect("a row");
    meet(&mut a, &mut b);
    assert_eq!((a.rows("own").len(), rules(&mut a)), (3, vec![Rule::Unique]));
}

/// A column is added: what SQLite changed and wrote for it, here and on the other node, and what is in the log of it.
fn cost_of_a_column(rows: usize) -> [(u64, u64, u64); 2] {
    let (world, mut a, mut b) = pair(&[]);
    for n in 0..rows {
        // Unique values are NULL, so that nothing clashes.
        a.exec(&[&item(n as i64 + 1, "NULL", "NULL", 7)]).expect("a row");
    }
    b.pull(&a);
    let catalog = a.merger.catalog().clone();
    let table = catalog.table("d", "item").expect("a table").id;
    let def = ColumnDef {
        default: Some(DefaultValue::Literal("5".to_owned())),
        nullable: false,
        ..ColumnDef::new(int())
    };
    let mut ddl = Ddl::new(&catalog);
    ddl.put(table, "n", Definition::Column(def), 9);
    let changes = |node: &Node| {
        let indexed = crate::open_testing::int(&node.writer, "SELECT count(*) FROM chg WHERE tbl <> 0");
        (node.writer.db.total_changes(), indexed)
    };
    let mut costs = [(0, 0, 0); 2];
    let mut block = 0;
    for (node, cost) in [&mut a, &mut b].into_iter().zip(&mut costs) {
        node.writer.checkpoint().expect("a checkpoint");
        let (before, indexed) = changes(node);
        if block == 0 {
            block = node.ddl(ddl.changes.clone());
        } else {
            assert!(node.receive(block));
        }
        let (after, then) = changes(node);
        assert_eq!(indexed, then, "no row has one more change");
        let in_log = world.borrow().blocks[block].body().transactions()[0].changes().len() as u64;
        *cost = (after - before, node.writer.wal_pages(), in_log);
        assert!(node.rows("item").iter().all(|r| r.last() == Some(&Value::Int(5))), "all have the default");
        assert_eq!(node.rows("item").len(), rows);
    }
    meet(&mut a, &mut b);
    costs
}

#[test]
fn adding_a_column_writes_no_row_on_any_node_and_none_to_the_log() {
    let (few, many) = (cost_of_a_column(3), cost_of_a_column(600));
    for (few, many) in few.into_iter().zip(many) {
        assert_eq!(few.0, many.0, "rows that SQLite has changed");
        assert!(
            many.1 <= few.1 + 3,
            "pages in the write-ahead log: {} with few rows, {} with many",
            few.1,
            many.1
        );
        assert_eq!((few.2, many.2), (1, 1), "changes in the block: the column");
    }
}

#[test]
fn of_a_row_that_comes_and_goes_only_the_end_is_read_again() {
    let (_w, mut a, mut b) = pair(&[&item(1, "10", "'x'", 0)]);
    let table = a.merger.catalog().table("d", "item").expect("a table").id;
    let row = crate::index_ident::Ident::Int(1);
    for n in 1..=40 {
        let insert = item(1, "10", "'x'", n);
        a.exec(&["DELETE FROM {item} WHERE {item.id} = 1"]).expect("a block");
        a.exec(&[&insert]).expect("a block");
        b.pull(&a);
        let no = b.writer.table_no(table).expect("its number");
        assert_eq!(b.writer.changes_of(no, &row).expect("changes").len(), 1 + 2 * n as usize);
        let left = b.merging(|m, w, is_ancestor| {
            let mut run = crate::displaced::Run::new(w, is_ancestor, &mut m.cache);
            let plan = run.plans.plan(w, table)?.expect("a live table");
            Ok(run.unsettled(&plan, &row)?.0.len())
        });
        assert!(left <= 5, "{left} changes are read in round {n}");
    }
    // Whoever had not seen the last deletes brings all of it back into play.
    let mut c = a.another(3);
    c.pull(&a);
    b.exec(&["DELETE FROM {item} WHERE {item.id} = 1"]).expect("a block");
    c.exec(&["UPDATE {item} SET {item.v} = 7 WHERE {item.id} = 1"]).expect("a block");
    meet(&mut b, &mut c);
    assert_eq!(column(&b, "item", 3), [Value::Int(7)]);
    let state = b.state();
    b.merger.cache.settled.clear();
    assert_eq!(state, c.state());
}
