//! The rules of `docs/merge.md` about references, each with two nodes that were apart.

use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::{Change, ObjectId, RowKey, Value};

use crate::apply_testing::*;
use crate::conflicts::Rule;
use crate::log::Verdict;

const VOID: Verdict = Verdict(1);

fn item(id: i64) -> String {
    format!("INSERT INTO {{item}} ({{item.id}}, {{item.v}}, _v) VALUES ({id}, 0, ?v)")
}

fn line(item: i64, n: i64) -> String {
    format!("INSERT INTO {{line}} ({{line.item}}, {{line.n}}, {{line.v}}, _v) VALUES ({item}, {n}, 0, ?v)")
}

fn mark(id: i64, item: i64, n: i64) -> String {
    format!(
        "INSERT INTO {{mark}} ({{mark.id}}, {{mark.item}}, {{mark.n}}, _v) VALUES ({id}, {item}, {n}, ?v)"
    )
}

fn hold(id: i64, item: &str, up: &str) -> String {
    format!(
        "INSERT INTO {{hold}} ({{hold.id}}, {{hold.item}}, {{hold.up}}, _v) VALUES ({id}, {item}, {up}, ?v)"
    )
}

/// Two nodes with the shop's tables and these rows on both.
fn pair(rows: &[String]) -> (Node, Node) {
    let world = world();
    let mut a = Node::new(1, &world);
    a.ddl(shop(&a.merger.catalog().clone()));
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    a.exec(&rows).expect("rows");
    let mut b = Node::new(2, &world);
    b.pull(&a);
    (a, b)
}

/// Both nodes exchange all they have, and must then be equal. Gives the blocks that came to each.
fn meet(a: &mut Node, b: &mut Node) {
    a.pull(b);
    b.pull(a);
    let (left, right) = (a.state(), b.state());
    assert_eq!(left, right);
}

/// A table's rows as text, NULL as `-`.
fn rows(node: &Node, table: &str) -> Vec<String> {
    let text = |v: &Value| match v {
        Value::Null => "-".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Text(t) => t.clone(),
        v => format!("{v:?}"),
    };
    node.rows(table).iter().map(|r| r.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
}

/// Conflicts by rule, with the value that lost, or the whole row.
fn conflicts(node: &mut Node) -> Vec<(Rule, Option<Value>, bool)> {
    let mut all: Vec<_> = node
        .conflicts()
        .into_iter()
        .map(|c| (c.rule, c.loser.and_then(|l| l.value), c.row.is_some()))
        .collect();
    all.sort_by_key(|c| c.0);
    all
}

#[test]
fn cascade_takes_a_concurrent_child_along_and_it_comes_back_with_its_parent() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1)]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    b.exec(&[&line(1, 2)]).unwrap();
    meet(&mut a, &mut b);
    assert!(rows(&a, "line").is_empty());
    assert_eq!(conflicts(&mut a), [(Rule::Reference, None, true)]);
    // What the delete had seen is gone with it; what it had not seen returns.
    a.exec(&[&item(1)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&b, "line"), ["1 2 0"]);
    assert!(b.conflicts().is_empty());
}

#[test]
fn an_edit_that_keeps_the_parent_keeps_what_the_delete_took_along() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1), line(1, 2), mark(7, 1, 1)]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    assert_eq!((rows(&a, "line").len(), rows(&a, "mark")), (0, vec!["7 - - -".to_owned()]));
    b.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(
        (rows(&a, "line"), rows(&a, "mark")),
        (vec!["1 1 0".into(), "1 2 0".into()], vec!["7 1 1 -".into()])
    );
    assert_eq!(conflicts(&mut a), [(Rule::ConcurrentDelete, None, false)]);
    // Deleted by somebody who has seen both, everything goes.
    b.exec(&["DELETE FROM {item}"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!((rows(&a, "line").len(), rows(&a, "mark")), (0, vec!["7 - - -".to_owned()]));
    assert!(a.conflicts().is_empty());
}

#[test]
fn a_child_deleted_for_itself_stays_deleted_when_its_parent_is_kept() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1), line(1, 2)]);
    a.exec(&["DELETE FROM {line} WHERE {line.n} = 1", "DELETE FROM {item}"]).unwrap();
    b.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&a, "line"), ["1 2 0"]);
}

#[test]
fn voiding_the_edit_that_kept_the_parent_lets_the_delete_count_again() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1), mark(7, 1, 1)]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    let edit = b.exec(&["UPDATE {item} SET {item.v} = 5"]).unwrap();
    meet(&mut a, &mut b);
    let with = a.state();
    a.judge(edit, VOID);
    assert_eq!(
        (rows(&a, "item").len(), rows(&a, "line").len(), rows(&a, "mark")),
        (0, 0, vec!["7 - - -".to_owned()])
    );
    a.judge(edit, Verdict::ACCEPTED);
    assert_eq!(a.state(), with);
}

#[test]
fn set_null_makes_a_concurrent_reference_read_null_until_the_parent_is_back() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1)]);
    a.exec(&["DELETE FROM {line}"]).unwrap();
    b.exec(&[&mark(7, 1, 1)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&a, "mark"), ["7 - - -"]);
    let lost = |n| (Rule::Reference, Some(Value::Int(n)), false);
    assert_eq!(conflicts(&mut a), [lost(1), lost(1)]);
    // Other columns are written as ever, and the reference waits on.
    b.exec(&["UPDATE {mark} SET {mark.v} = 3"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&a, "mark"), ["7 - - 3"]);
    a.exec(&[&line(1, 1)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&b, "mark"), ["7 1 1 3"]);
    assert!(b.conflicts().is_empty());
}

#[test]
fn a_reference_set_to_another_parent_beats_the_null_of_the_old_one() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1), line(1, 2), mark(7, 1, 1)]);
    b.exec(&["UPDATE {mark} SET {mark.n} = 2"]).unwrap();
    a.exec(&["DELETE FROM {line} WHERE {line.n} = 1"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&a, "mark"), ["7 1 2 -"]);
}

#[test]
fn a_restricted_reference_keeps_the_parent_and_what_that_refers_to() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1), hold(1, "NULL", "NULL")]);
    a.exec(&["DELETE FROM {item}", "DELETE FROM {hold}"]).unwrap();
    b.exec(&[&hold(2, "1", "1")]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!((rows(&a, "item").len(), rows(&a, "hold")), (1, vec!["1 - -".into(), "2 1 1".into()]));
    assert_eq!(rows(&a, "line"), ["1 1 0"], "the delete does not count, nor does what it took along");
    assert_eq!(
        conflicts(&mut a),
        [(Rule::ConcurrentDelete, None, false), (Rule::ConcurrentDelete, None, false)]
    );
    // One more reference does not say that the delete was wrong.
    b.exec(&[&hold(3, "1", "NULL")]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(a.conflicts().len(), 2);
}

#[test]
fn a_reference_written_with_checks_off_keeps_nothing() {
    let (mut a, mut b) = pair(&[item(1)]);
    a.exec(&["DELETE FROM {item}"]).unwrap();
    let sql = b.sql(&hold(2, "1", "NULL"));
    b.run_with(&[&[&sql]], false).unwrap();
    meet(&mut a, &mut b);
    assert_eq!((rows(&a, "item").len(), rows(&a, "hold").len()), (0, 0));
    assert_eq!(conflicts(&mut a), [(Rule::Reference, None, true)]);
}

#[test]
fn children_follow_the_key_that_their_parent_was_given_elsewhere() {
    let (mut a, mut b) = pair(&[item(1), line(1, 1)]);
    a.exec(&["UPDATE {item} SET {item.id} = 5"]).unwrap();
    b.exec(&[&line(1, 2), &mark(7, 1, 2), &mark(8, 1, 1)]).unwrap();
    b.exec(&[&hold(1, "1", "NULL")]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&a, "line"), ["5 1 0", "5 2 0"]);
    // A composite key goes along, level by level; ON UPDATE SET NULL does not follow.
    assert_eq!(rows(&a, "mark"), ["7 5 2 -", "8 5 1 -"]);
    assert_eq!(rows(&a, "hold"), ["1 - -"]);
    assert_eq!(conflicts(&mut a), [(Rule::Reference, Some(Value::Int(1)), false)]);
    a.exec(&["UPDATE {item} SET {item.id} = 6"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(
        (rows(&b, "line"), rows(&b, "mark")),
        (vec!["6 1 0".into(), "6 2 0".into()], vec!["7 6 2 -".into(), "8 6 1 -".into()])
    );
    // A new row of the old key is what they refer to again, where nothing else was written.
    a.exec(&[&item(1)]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&b, "hold"), ["1 1 -"]);
}

#[test]
fn rows_in_a_ring_go_and_stay_together() {
    let ring = |id: i64, next: &str| {
        format!("INSERT INTO {{ring}} ({{ring.id}}, {{ring.next}}, _v) VALUES ({id}, {next}, ?v)")
    };
    let (mut a, mut b) = pair(&[ring(1, "NULL"), ring(2, "1"), ring(3, "2")]);
    a.exec(&["UPDATE {ring} SET {ring.next} = 3 WHERE {ring.id} = 1"]).unwrap();
    meet(&mut a, &mut b);
    a.exec(&["DELETE FROM {ring} WHERE {ring.id} = 2"]).unwrap();
    assert!(rows(&a, "ring").is_empty());
    b.exec(&["UPDATE {ring} SET {ring.v} = 1 WHERE {ring.id} = 2"]).unwrap();
    meet(&mut a, &mut b);
    assert_eq!(rows(&a, "ring"), ["1 3 -", "2 1 1", "3 2 -"]);
}

/// No statement makes such effects, and a member may sign them.
#[test]
fn effects_of_effects_are_followed_to_their_end_however_many_and_in_whatever_circles() {
    const LONG: u32 = 5_000;
    let (mut a, mut b) = pair(&[item(1), item(2)]);
    let table = a.merger.catalog().table("d", "item").expect("a table").clone();
    let v = table.column("v").expect("a column").tag;
    let key = |id: u32| RowKey(vec![Value::Int(i64::from(id))]);
    let delete =
        |id: u32, cause: Option<u32>| Change::Row(RowChange::Delete { layout: 0, key: key(id), cause });
    let chain = (0..LONG).map(|n| delete(n + 1, n.checked_sub(1))).collect();
    let circle = (0..9).map(|n: u32| delete(1 + n % 3, n.checked_sub(1))).collect();
    for changes in [chain, circle] {
        let changes: Vec<Change> = changes;
        // Also in a table that is nowhere.
        for table in [table.id, ObjectId([7; 16])] {
            let values = vec![Value::Int(5)];
            let edit = RowChange::Update { layout: 0, key: key(1), values, cause: None };
            a.changes(&[Layout(table, 0, vec![v])], vec![Change::Row(edit)]);
            let n = b.changes(&[Layout(table, 0, Vec::new())], changes.clone());
            meet(&mut a, &mut b);
            let met = a.state();
            for verdict in [VOID, Verdict::ACCEPTED] {
                a.judge(n, verdict);
                b.judge(n, verdict);
                assert_eq!(a.state(), b.state());
            }
            assert_eq!(a.state(), met);
        }
    }
}
