//! Work that hangs on what is void is whole in the conflicts, and back when that counts again.

use p2pdb_model::{Change, Value};

use crate::apply_testing::*;
use crate::conflicts::{Conflict, Rule};
use crate::log::Verdict;
use crate::{Decision, Found};

const VOID: Verdict = Verdict(1);

fn pair() -> (Node, Node) {
    let world = world();
    let mut a = Node::new(1, &world);
    a.ddl(shop(&a.merger.catalog().clone()));
    let mut b = Node::new(2, &world);
    b.pull(&a);
    (a, b)
}

fn meet(a: &mut Node, b: &mut Node) {
    a.pull(b);
    b.pull(a);
    assert_eq!(a.state(), b.state());
}

fn stock(id: i64, n: i64) -> String {
    format!("INSERT INTO {{stock}} ({{stock.id}}, {{stock.n}}, {{stock.top}}, _v) VALUES ({id}, {n}, 1, ?v)")
}

/// The values of a conflict's row, in the order of the table's columns.
fn whole(c: &Conflict) -> Vec<Value> {
    c.row.iter().flatten().map(|c| c.value.clone()).collect()
}

/// Row 1 was inserted on one node, and changed on the other, which knows it; then the insert becomes void.
fn changed_and_void() -> (Node, Node, usize) {
    let (mut a, mut b) = pair();
    let insert = a.exec(&[&stock(1, 100)]).expect("a block");
    b.pull(&a);
    b.exec(&["UPDATE {stock} SET {stock.top} = 7 WHERE {stock.id} = 1"]).expect("a block");
    b.exec(&[&format!("UPDATE {{stock}} SET {{stock.n}} = {{stock.n}} + 5 WHERE {{stock.id}} = 1 {ADDS}")])
        .expect("a block");
    a.pull(&b);
    for node in [&mut a, &mut b] {
        node.judge(insert, VOID);
        assert!(node.rows("stock").is_empty());
    }
    meet(&mut a, &mut b);
    (a, b, insert)
}

#[test]
fn changes_of_a_row_whose_insert_is_void_are_whole_in_conflicts_and_come_back() {
    let (mut a, mut b, insert) = changed_and_void();
    let [conflict] = b.conflicts().try_into().expect("one conflict");
    assert_eq!((conflict.rule, &conflict.winner), (Rule::VoidInsert, &None));
    let row = whole(&conflict);
    assert_eq!((&row[0], &row[1], &row[4]), (&Value::Int(1), &Value::Int(105), &Value::Int(7)));
    for node in [&mut a, &mut b] {
        node.judge(insert, Verdict::ACCEPTED);
        assert!(node.conflicts().is_empty());
        assert_eq!(node.rows("stock")[0][1], Value::Int(105));
    }
    meet(&mut a, &mut b);
}

#[test]
fn who_inserts_the_row_again_or_discards_it_settles_that() {
    let (mut a, mut b, _) = changed_and_void();
    b.exec(&[&stock(1, 3)]).expect("a block");
    meet(&mut a, &mut b);
    assert_eq!((a.conflicts(), a.rows("stock").len()), (vec![], 1));

    let (mut a, mut b, insert) = changed_and_void();
    let table = a.merger.catalog().table("d", "stock").expect("a table").id;
    let key = [Value::Int(1)];
    let decided = a.merging(|m, w, past| m.decide(w, past, table, &key, Decision::Discard));
    let Found::One((layout, change)) = decided else { panic!("there is something to decide") };
    a.changes(&[layout], vec![Change::Row(change)]);
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts(), vec![]);
    let nothing = a.merging(|m, w, past| m.decide(w, past, table, &key, Decision::Discard));
    assert_eq!(nothing, Found::Nothing);
    for node in [&mut a, &mut b] {
        node.judge(insert, Verdict::ACCEPTED);
        assert!(node.rows("stock").is_empty(), "who discarded the row had seen all of it");
    }
}

#[test]
fn who_changed_the_row_without_having_seen_the_one_that_is_there_has_a_conflict() {
    let (mut a, mut b) = pair();
    let insert = a.exec(&[&stock(1, 100)]).expect("a block");
    b.pull(&a);
    b.exec(&["UPDATE {stock} SET {stock.top} = 7 WHERE {stock.id} = 1"]).expect("a block");
    // Void on A before B's change comes, and the key is used again.
    a.judge(insert, VOID);
    a.exec(&[&stock(1, 2)]).expect("a block");
    b.judge(insert, VOID);
    meet(&mut a, &mut b);
    let rules: Vec<Rule> = a.conflicts().into_iter().map(|c| c.rule).collect();
    assert_eq!((rules, a.rows("stock")[0][1].clone()), (vec![Rule::VoidInsert], Value::Int(2)));
}

#[test]
fn rows_of_a_table_whose_create_is_void_are_whole_in_conflicts_and_come_back() {
    let (mut a, mut b) = pair();
    let catalog = a.merger.catalog().clone();
    let mut ddl = Ddl::new(&catalog);
    let database = catalog.database("d").expect("a database").id;
    ddl.table(database, "extra", &[("id", int()), ("v", int())], &["id"], &[]);
    let create = a.ddl(ddl.changes);
    b.pull(&a);
    b.exec(&["INSERT INTO {extra} ({extra.id}, {extra.v}, _v) VALUES (1, 10, ?v), (2, 20, ?v)"])
        .expect("a block");
    b.exec(&["DELETE FROM {extra} WHERE {extra.id} = 2"]).expect("a block");
    a.pull(&b);
    for node in [&mut a, &mut b] {
        node.judge(create, VOID);
        assert!(node.merger.catalog().table("d", "extra").is_none());
        let [conflict] = node.conflicts().try_into().expect("one conflict");
        assert_eq!((conflict.rule, whole(&conflict)), (Rule::VoidTable, vec![Value::Int(1), Value::Int(10)]));
        let names = node.merging(|m, _, past| m.catalog_with_void(past)).expect("a table is void");
        assert_eq!(names.table_by_id(conflict.table).expect("the table").name, "extra");
    }
    meet(&mut a, &mut b);
    for node in [&mut a, &mut b] {
        node.judge(create, Verdict::ACCEPTED);
        assert_eq!((node.rows("extra").len(), node.conflicts()), (1, vec![]));
    }
    meet(&mut a, &mut b);
}

/// A table that somebody dropped is not one whose CREATE is void, whatever else is void.
#[test]
fn rows_of_a_dropped_table_are_no_conflict() {
    let (mut a, mut b) = pair();
    a.exec(&[&stock(1, 1)]).expect("a block");
    b.pull(&a);
    let catalog = b.merger.catalog().clone();
    let table = catalog.table("d", "stock").expect("a table");
    let mut ddl = Ddl::new(&catalog);
    ddl.put(
        table.id,
        "more",
        p2pdb_model::schema::Definition::Column(p2pdb_model::schema::ColumnDef::new(int())),
        9,
    );
    let alter = b.ddl(ddl.changes);
    a.ddl(vec![p2pdb_model::change::SchemaChange::Drop { id: table.id }]);
    meet(&mut a, &mut b);
    for node in [&mut a, &mut b] {
        node.judge(alter, VOID);
        assert!(node.merger.catalog().table("d", "stock").is_none());
        assert_eq!(node.conflicts(), vec![]);
    }
}
