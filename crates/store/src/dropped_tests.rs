//! What was written beside a drop is in the conflicts, until somebody who has seen it decides.

use p2pdb_model::change::SchemaChange;
use p2pdb_model::ids::ObjectId;
use p2pdb_model::schema::{ColumnDef, DefaultValue, Definition};
use p2pdb_model::{Change, Value};

use crate::apply_testing::*;
use crate::conflicts::{Conflict, Rule};
use crate::log::Verdict;
use crate::verify::{Compare, compare};
use crate::{Decision, Found};

const VOID: Verdict = Verdict(1);

/// Rows 1 and 2 of `span` on both.
fn pair() -> (Node, Node) {
    let world = world();
    let mut a = Node::new(1, &world);
    a.ddl(shop(&a.merger.catalog().clone()));
    a.exec(&[&span(1, 10, 20), &span(2, 10, 20)]).expect("a block");
    let mut b = Node::new(2, &world);
    b.pull(&a);
    (a, b)
}

fn span(id: i64, lo: i64, hi: i64) -> String {
    format!("INSERT INTO {{span}} ({{span.id}}, {{span.lo}}, {{span.hi}}, _v) VALUES ({id}, {lo}, {hi}, ?v)")
}

fn id_of(node: &Node, table: &str) -> ObjectId {
    node.merger.catalog().table("d", table).expect("a table").id
}

fn drop_table(node: &mut Node, table: &str) -> usize {
    let id = id_of(node, table);
    node.ddl(vec![SchemaChange::Drop { id }])
}

fn drop_column(node: &mut Node, table: &str, column: &str) -> usize {
    let found = node.merger.catalog().table("d", table).and_then(|t| t.column(column));
    let id = found.expect("a column").id;
    node.ddl(vec![SchemaChange::Drop { id }])
}

/// Both hold everything, agree, and are bit by bit what their logs give.
fn meet(a: &mut Node, b: &mut Node) {
    a.pull(b);
    b.pull(a);
    assert_eq!(a.state(), b.state());
}

/// Another node that takes the same blocks in, these void from the beginning.
fn replay(node: &Node, void: &[usize]) -> Node {
    let mut replay = node.another(98);
    for block in &node.held {
        let verdict = if void.contains(block) { VOID } else { Verdict::ACCEPTED };
        assert!(replay.receive_judged(*block, verdict));
    }
    replay
}

fn replays(node: &Node) {
    let ignore = [("block", "*"), ("meta", "*"), ("branch", "*")];
    let how = Compare { ignore: &ignore, ..Compare::default() };
    let replay = replay(node, &[]);
    let report = compare(&node.writer, &replay.writer, how, &mut |_| crate::NEXT).expect("compared");
    assert!(report.is_clean(), "{:?}", report.findings);
}

/// What is indexed after verdicts were changed is what it would be had they always been so.
fn is_indexed(node: &Node, void: &[usize]) {
    let index = |node: &Node| {
        let sql = "SELECT hex(id), ident FROM beside JOIN tbl ON no = tbl ORDER BY 1, 2";
        crate::open_testing::rows(&node.writer, sql)
    };
    assert_eq!(index(node), index(&replay(node, void)));
}

fn whole(c: &Conflict) -> Vec<Value> {
    c.row.iter().flatten().map(|c| c.value.clone()).collect()
}

fn ints(all: &[i64]) -> Vec<Value> {
    all.iter().copied().map(Value::Int).collect()
}

fn discard(node: &mut Node, table: ObjectId, key: i64) -> bool {
    let key = [Value::Int(key)];
    let decided = node.merging(|m, w, past| m.decide(w, past, table, &key, Decision::Discard));
    let Found::One((layout, change)) = decided else { return false };
    node.changes(&[layout], vec![Change::Row(change)]);
    true
}

#[test]
fn rows_written_beside_the_drop_of_their_table_are_whole_in_conflicts() {
    let (mut a, mut b) = pair();
    let table = id_of(&a, "span");
    drop_table(&mut a, "span");
    // An insert, a change of a row that A has seen, and one that comes to nothing.
    b.exec(&[&span(3, 1, 2)]).expect("a block");
    b.exec(&["UPDATE {span} SET {span.hi} = 30 WHERE {span.id} = 1"]).expect("a block");
    b.exec(&[&span(4, 1, 2)]).expect("a block");
    b.exec(&["DELETE FROM {span} WHERE {span.id} = 4"]).expect("a block");
    meet(&mut a, &mut b);
    for node in [&mut a, &mut b] {
        let conflicts = node.conflicts();
        let found: Vec<_> = conflicts.iter().map(|c| (c.rule, whole(c))).collect();
        let rule = Rule::DroppedTable;
        assert_eq!(found, [(rule, ints(&[1, 10, 30])), (rule, ints(&[3, 1, 2]))]);
        // Who dropped it stands on the other side.
        assert!(
            conflicts
                .iter()
                .all(|c| c.winner.as_ref().map(|w| w.author) != c.loser.as_ref().map(|l| l.author))
        );
        let names = node.merging(|m, w, past| m.ghosts(w, past));
        assert_eq!(names[&table].name, "span");
        replays(node);
    }
    assert!(!discard(&mut a, table, 2), "what the drop's author had seen is no conflict");
    assert!(discard(&mut a, table, 3) && discard(&mut a, table, 1));
    meet(&mut a, &mut b);
    assert_eq!(b.conflicts(), vec![]);
    assert!(!discard(&mut b, table, 3));
    replays(&b);
}

#[test]
fn a_table_of_the_same_name_is_another_one() {
    let (mut a, mut b) = pair();
    drop_table(&mut a, "span");
    b.exec(&[&span(3, 1, 2)]).expect("a block");
    meet(&mut a, &mut b);
    let catalog = b.merger.catalog().clone();
    let mut ddl = Ddl::new(&catalog);
    let database = catalog.database("d").expect("a database").id;
    ddl.table(database, "span", &[("id", int()), ("lo", int()), ("hi", int())], &["id"], &[]);
    b.ddl(ddl.changes);
    b.exec(&[&span(3, 7, 7)]).expect("a block");
    meet(&mut a, &mut b);
    assert_eq!(a.rows("span"), [ints(&[3, 7, 7])]);
    assert_eq!(a.conflicts().iter().map(whole).collect::<Vec<_>>(), [ints(&[3, 1, 2])]);
    let gone = a.merging(|m, _, past| m.dropped_named(past, "d", "span"));
    assert_eq!(gone.len(), 1);
    assert_ne!(gone[0].id, id_of(&a, "span"));
    replays(&a);
}

#[test]
fn of_many_drops_each_deletes_what_its_author_had_seen() {
    let (mut a, mut b) = pair();
    let mut c = b.another(3);
    c.pull(&a);
    drop_table(&mut a, "span");
    b.exec(&[&span(3, 1, 2), &span(4, 1, 2)]).expect("a block");
    // C has seen what B wrote, and drops the table without having heard of A.
    c.pull(&b);
    b.exec(&["UPDATE {span} SET {span.hi} = 9 WHERE {span.id} = 3"]).expect("a block");
    let second = drop_table(&mut c, "span");
    a.pull(&c);
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts().iter().map(whole).collect::<Vec<_>>(), [ints(&[3, 1, 9])]);
    // Without C's drop both of B's rows are in the way again.
    for node in [&mut a, &mut b] {
        node.judge(second, VOID);
        let rows: Vec<_> = node.conflicts().iter().map(whole).collect();
        assert_eq!(rows, [ints(&[3, 1, 9]), ints(&[4, 1, 2])]);
        is_indexed(node, &[second]);
        node.judge(second, Verdict::ACCEPTED);
        replays(node);
    }
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts().len(), 1);
}

#[test]
fn a_drop_that_becomes_void_gives_the_rows_back_and_what_is_written_then_is_kept_when_it_counts_again() {
    let (mut a, mut b) = pair();
    let dropped = drop_table(&mut a, "span");
    b.exec(&[&span(3, 1, 2)]).expect("a block");
    meet(&mut a, &mut b);
    for node in [&mut a, &mut b] {
        node.judge(dropped, VOID);
        assert_eq!((node.rows("span").len(), node.conflicts()), (3, vec![]));
    }
    b.exec(&[&span(5, 5, 5)]).expect("a block");
    meet(&mut a, &mut b);
    for node in [&mut a, &mut b] {
        node.judge(dropped, Verdict::ACCEPTED);
        let rows: Vec<_> = node.conflicts().iter().map(whole).collect();
        assert_eq!(rows, [ints(&[3, 1, 2]), ints(&[5, 5, 5])]);
    }
    meet(&mut a, &mut b);
    replays(&a);
}

#[test]
fn rows_of_a_database_that_was_dropped_are_in_conflicts_too() {
    let (mut a, mut b) = pair();
    let database = a.merger.catalog().database("d").expect("a database").id;
    a.ddl(vec![SchemaChange::Drop { id: database }]);
    b.exec(&[&span(3, 1, 2)]).expect("a block");
    meet(&mut a, &mut b);
    assert!(a.merger.catalog().database("d").is_none());
    let [conflict] = a.conflicts().try_into().expect("one conflict");
    assert_eq!((conflict.rule, whole(&conflict)), (Rule::DroppedTable, ints(&[3, 1, 2])));
    let names = a.merging(|m, w, past| m.ghosts(w, past));
    assert_eq!((names[&conflict.table].database.as_str(), names.len()), ("d", 1));
    replays(&b);
}

#[test]
fn of_two_values_beside_a_drop_both_are_there() {
    let (mut a, mut b) = pair();
    let mut c = b.another(3);
    c.pull(&a);
    drop_table(&mut a, "span");
    b.exec(&["UPDATE {span} SET {span.hi} = 30 WHERE {span.id} = 1"]).expect("a block");
    c.run_at(&[&[&c.sql("UPDATE {span} SET {span.hi} = 40 WHERE {span.id} = 1")]], true, 1_000)
        .expect("a block");
    b.pull(&c);
    meet(&mut a, &mut b);
    let [row, other] = a.conflicts().try_into().expect("two conflicts");
    assert_eq!((row.rule, whole(&row)), (Rule::DroppedTable, ints(&[1, 10, 40])));
    let lost = other.loser.expect("a loser").value;
    assert_eq!((other.rule, lost), (Rule::ConcurrentWrite, Some(Value::Int(30))));
}

#[test]
fn values_written_beside_the_drop_of_their_column_are_conflicts_until_somebody_changes_the_row() {
    let (mut a, mut b) = pair();
    let column = a.merger.catalog().table("d", "span").and_then(|t| t.column("hi")).expect("a column").tag;
    drop_column(&mut a, "span", "hi");
    b.exec(&["UPDATE {span} SET {span.hi} = 99 WHERE {span.id} = 1"]).expect("a block");
    b.exec(&[&span(3, 1, 7)]).expect("a block");
    b.exec(&["INSERT INTO {span} ({span.id}, {span.lo}, {span.hi}, _v) VALUES (4, 1, NULL, ?v)"])
        .expect("a block");
    meet(&mut a, &mut b);
    for node in [&mut a, &mut b] {
        let conflicts = node.conflicts();
        let found: Vec<_> = conflicts.iter().map(|c| (c.rule, c.key.0.clone(), c.columns.clone())).collect();
        let of = |id| (Rule::DroppedColumn, ints(&[id]), vec![column]);
        assert_eq!(found, [of(1), of(3)]);
        let lost = conflicts.iter().map(|c| c.loser.as_ref().and_then(|l| l.value.clone()));
        assert_eq!(lost.collect::<Vec<_>>(), [Some(Value::Int(99)), Some(Value::Int(7))]);
        let names = node.merging(|m, w, past| m.ghosts(w, past));
        let named = names[&conflicts[0].table].column_by_tag(column).map(|c| c.name.as_str());
        assert_eq!(named, Some("hi"));
        replays(node);
    }
    // B has seen both.
    b.exec(&["UPDATE {span} SET {span.lo} = 2 WHERE {span.id} = 1"]).expect("a block");
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts().iter().map(|c| c.key.0.clone()).collect::<Vec<_>>(), [ints(&[3])]);
    let table = id_of(&a, "span");
    let key = [Value::Int(3)];
    let kept = a.merging(|m, w, past| m.decide(w, past, table, &key, Decision::Keep));
    let Found::One((layout, change)) = kept else { panic!("something to decide") };
    a.changes(&[layout], vec![Change::Row(change)]);
    meet(&mut a, &mut b);
    assert_eq!((a.conflicts(), a.rows("span").len()), (vec![], 4));
    let again = a.merging(|m, w, past| m.decide(w, past, table, &key, Decision::Keep));
    assert_eq!(again, Found::Nothing);
    replays(&a);
}

#[test]
fn a_column_that_comes_back_has_its_values_and_what_it_holds_by_itself_is_no_conflict() {
    let (mut a, mut b) = pair();
    let catalog = a.merger.catalog().clone();
    let table = id_of(&a, "span");
    let mut ddl = Ddl::new(&catalog);
    let def = ColumnDef { default: Some(DefaultValue::Literal("5".to_owned())), ..ColumnDef::new(int()) };
    ddl.put(table, "more", Definition::Column(def), 9);
    a.ddl(ddl.changes);
    b.pull(&a);
    let dropped = drop_column(&mut a, "span", "more");
    let insert = |id: i64, more: i64| {
        format!(
            "INSERT INTO {{span}} ({{span.id}}, {{span.lo}}, {{span.hi}}, {{span.more}}, _v) VALUES ({id}, 1, 2, {more}, ?v)"
        )
    };
    b.exec(&[&insert(3, 5), &insert(4, 6)]).expect("a block");
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts().iter().map(|c| c.key.0.clone()).collect::<Vec<_>>(), [ints(&[4])]);
    for node in [&mut a, &mut b] {
        node.judge(dropped, VOID);
        assert_eq!(node.conflicts(), vec![]);
        assert_eq!(node.rows("span")[3], ints(&[4, 1, 2, 6]));
        is_indexed(node, &[dropped]);
        node.judge(dropped, Verdict::ACCEPTED);
        is_indexed(node, &[]);
    }
    meet(&mut a, &mut b);
    // With the table goes what was written to a column beside its drop, unless that was not seen either.
    drop_table(&mut a, "span");
    b.exec(&[&span(6, 1, 2)]).expect("a block");
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts().iter().map(whole).collect::<Vec<_>>(), [ints(&[6, 1, 2])]);
    is_indexed(&b, &[]);
}

#[test]
fn what_counters_would_hold_is_shown_of_a_column_that_is_gone() {
    let (mut a, mut b) = pair();
    a.exec(&["INSERT INTO {stock} ({stock.id}, {stock.n}, {stock.top}, _v) VALUES (1, 100, 1, ?v)"])
        .expect("a block");
    b.pull(&a);
    drop_column(&mut a, "stock", "n");
    b.exec(&[&format!("UPDATE {{stock}} SET {{stock.n}} = {{stock.n}} + 5 WHERE {{stock.id}} = 1 {ADDS}")])
        .expect("a block");
    meet(&mut a, &mut b);
    let [conflict] = a.conflicts().try_into().expect("one conflict");
    let lost = conflict.loser.expect("a loser").value;
    assert_eq!((conflict.rule, lost), (Rule::DroppedColumn, Some(Value::Int(105))));
    replays(&b);
}

#[test]
fn a_store_of_before_gets_the_index_from_its_log() {
    let (mut a, mut b) = pair();
    drop_table(&mut a, "span");
    drop_column(&mut a, "item", "v");
    let item = "INSERT INTO {item} ({item.id}, {item.a}, {item.v}, _v) VALUES (1, 1, 7, ?v)";
    b.exec(&[&span(3, 1, 2), item]).expect("a block");
    meet(&mut a, &mut b);
    let conflicts = a.conflicts();
    assert_eq!(conflicts.len(), 2);
    a.writer.begin().expect("begun");
    a.writer.execute("DELETE FROM beside", ()).expect("emptied");
    assert_eq!(a.conflicts(), vec![]);
    a.merging(|m, w, past| m.index_drops(w, past));
    a.writer.commit().expect("committed");
    assert_eq!(a.conflicts(), conflicts);
    replays(&a);
}
