//! What the preupdate hook reports, and that the captured list follows statements and savepoints.

use std::panic;

use p2pdb_model::Value;

use crate::open_testing::{int, new_store, scratch};
use crate::{CaptureOp, Captured, StoreError, Writer};

use CaptureOp::*;

fn i(n: i64) -> Value {
    Value::Int(n)
}

fn t(s: &str) -> Value {
    Value::Text(s.to_owned())
}

/// Short form: operation, rowids, values before, values after.
type Seen = (CaptureOp, i64, i64, Vec<Value>, Vec<Value>);

fn seen(changes: &[Captured]) -> Vec<Seen> {
    changes.iter().map(|c| (c.op, c.old_rowid, c.new_rowid, c.old.clone(), c.new.clone())).collect()
}

/// Runs `setup` without capture, then `sql` with it, in one transaction; gives what was captured.
fn check(setup: &str, sql: &str, expected: &[Seen]) {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch(setup).unwrap();
    assert!(!w.set_capture(true));
    w.execute(sql, ()).unwrap();
    assert_eq!(seen(&w.take_captured(0)), expected, "{sql}");
    w.commit().unwrap();
}

const T: &str = "CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY, c_2 TEXT, _v INTEGER);
                 INSERT INTO t_a VALUES (1, 'one', 7), (2, 'two', 7);";

#[test]
fn each_operation_reports_rowids_and_all_columns_with_the_rowid_column_filled_in() {
    let none = Vec::new;
    let one = || vec![i(1), t("one"), i(7)];
    let two = || vec![i(2), t("two"), i(7)];
    let three = || vec![i(3), t("x"), i(8)];
    check(T, "INSERT INTO t_a VALUES (3, 'x', 8)", &[(Insert, 0, 3, none(), three())]);
    check(T, "INSERT INTO t_a (c_2, _v) VALUES ('x', 8)", &[(Insert, 0, 3, none(), three())]);
    let one_x = || vec![i(1), t("x"), i(7)];
    check(T, "UPDATE t_a SET c_2 = 'x' WHERE c_1 = 1", &[(Update, 1, 1, one(), one_x())]);
    check(T, "DELETE FROM t_a WHERE c_1 = 2", &[(Delete, 2, 0, two(), none())]);
    // Without WHERE, which SQLite would do by dropping pages were there no hook.
    check(T, "DELETE FROM t_a", &[(Delete, 1, 0, one(), none()), (Delete, 2, 0, two(), none())]);
    // A new primary key is one update.
    let nine = || vec![i(9), t("one"), i(7)];
    check(T, "UPDATE t_a SET c_1 = 9 WHERE c_1 = 1", &[(Update, 1, 9, one(), nine())]);
    // REPLACE is a delete and an insert.
    let two_x = || vec![i(2), t("x"), i(8)];
    let replaced = [(Delete, 2, 0, two(), none()), (Insert, 0, 2, none(), two_x())];
    check(T, "REPLACE INTO t_a VALUES (2, 'x', 8)", &replaced);
    // An upsert is what it became.
    let upsert = "INSERT INTO t_a VALUES (1, 'n', 8) ON CONFLICT DO UPDATE SET c_2 = 'x'";
    check(T, upsert, &[(Update, 1, 1, one(), one_x())]);
    check(T, "INSERT OR IGNORE INTO t_a VALUES (1, 'n', 8)", &[]);
    // An update to the same values is reported too: whether it is a change is the engine's question.
    check(T, "UPDATE t_a SET c_2 = c_2 WHERE c_1 = 1", &[(Update, 1, 1, one(), one())]);
}

#[test]
fn replace_on_a_secondary_unique_key_deletes_every_row_in_the_way() {
    let setup = "CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY, c_2 TEXT UNIQUE);
                 INSERT INTO t_a VALUES (1, 'a'), (2, 'b');";
    let expected = [
        (Delete, 1, 0, vec![i(1), t("a")], vec![]),
        (Delete, 2, 0, vec![i(2), t("b")], vec![]),
        (Insert, 0, 1, vec![], vec![i(1), t("b")]),
    ];
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch(setup).unwrap();
    w.set_capture(true);
    w.execute("REPLACE INTO t_a VALUES (1, 'b')", ()).unwrap();
    let mut got = seen(&w.take_captured(0));
    // SQLite may find the two in either order; the insert is last.
    got[..2].sort_by_key(|c| c.1);
    assert_eq!(got, expected);
}

#[test]
fn values_of_every_class_arrive_as_they_are_stored() {
    let setup = "CREATE TABLE t_a (c_1, c_2, c_3, c_4, c_5 REAL, c_6)";
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch(setup).unwrap();
    w.set_capture(true);
    let row = vec![
        Value::Null,
        Value::Blob(vec![0, 255]),
        Value::Real(2.5),
        t("ä\0b"),
        // A whole number in a REAL column is stored as an integer, yet is a float.
        Value::Real(3.0),
        Value::Blob(Vec::new()),
    ];
    w.execute("INSERT INTO t_a VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row.as_slice()).unwrap();
    w.execute("UPDATE t_a SET c_1 = ''", ()).unwrap();
    w.execute("DELETE FROM t_a", ()).unwrap();
    let mut changed = row.clone();
    changed[0] = t("");
    let expected = [
        (Insert, 0, 1, vec![], row.clone()),
        (Update, 1, 1, row, changed.clone()),
        (Delete, 1, 0, changed, vec![]),
    ];
    assert_eq!(seen(&w.take_captured(0)), expected);
}

#[test]
fn a_column_added_later_shows_its_default_in_rows_written_before() {
    let setup = "CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY); INSERT INTO t_a VALUES (1);
                 ALTER TABLE t_a ADD COLUMN c_2 DEFAULT 'd'; ALTER TABLE t_a ADD COLUMN c_3;";
    let old = || vec![i(1), t("d"), Value::Null];
    check(setup, "UPDATE t_a SET c_3 = 5", &[(Update, 1, 1, old(), vec![i(1), t("d"), i(5)])]);
    check(setup, "DELETE FROM t_a", &[(Delete, 1, 0, old(), vec![])]);
}

#[test]
fn a_stored_generated_column_is_captured_with_its_value() {
    let setup = "CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY, c_2, c_3 AS (c_2 + 1) STORED, c_4)";
    let row = || vec![i(1), i(5), i(6), i(7)];
    check(setup, "INSERT INTO t_a (c_1, c_2, c_4) VALUES (1, 5, 7)", &[(Insert, 0, 1, vec![], row())]);
}

#[test]
fn only_user_tables_are_captured_and_only_while_it_is_on() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1); CREATE TABLE x_a (c_1)").unwrap();
    w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
    w.set_capture(true);
    w.put_meta("name", b"value").unwrap();
    w.execute("INSERT INTO x_a VALUES (1)", ()).unwrap();
    w.execute("INSERT INTO t_a VALUES (2)", ()).unwrap();
    assert!(w.set_capture(false));
    w.execute("INSERT INTO t_a VALUES (3)", ()).unwrap();
    let got = w.take_captured(0);
    assert_eq!(got.len(), 1);
    assert_eq!((&*got[0].table, &got[0].new[..]), ("t_a", &[i(2)][..]));
    w.commit().unwrap();
    // The next transaction begins with capture off and an empty list.
    w.begin().unwrap();
    w.execute("INSERT INTO t_a VALUES (4)", ()).unwrap();
    assert_eq!(w.capture_mark(), 0);
}

#[test]
fn changes_of_a_temporary_table_are_marked_and_taken_apart() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch("CREATE TEMP TABLE t_a (c_1); CREATE TABLE main.t_a (c_1)").unwrap();
    w.set_capture(true);
    w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
    w.execute("INSERT INTO main.t_a VALUES (2)", ()).unwrap();
    w.execute("INSERT INTO t_a VALUES (3)", ()).unwrap();
    let temporary: Vec<_> = w.take_temporary(0).into_iter().map(|c| c.new).collect();
    assert_eq!(temporary, [[Value::Int(1)], [Value::Int(3)]]);
    let rest: Vec<_> = w.take_captured(0).into_iter().map(|c| (c.temporary, c.new)).collect();
    assert_eq!(rest, [(false, vec![Value::Int(2)])]);
}

#[test]
fn a_statement_that_fails_takes_its_changes_out_and_leaves_earlier_ones() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY); INSERT INTO t_a VALUES (5)").unwrap();
    w.set_capture(true);
    w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
    let failed = w.execute("INSERT INTO t_a VALUES (3), (4), (5), (6)", ());
    assert!(matches!(failed, Err(StoreError::Constraint(_))), "{failed:?}");
    w.execute("INSERT INTO t_a VALUES (2)", ()).unwrap();
    let ids: Vec<i64> = w.take_captured(0).iter().map(|c| c.new_rowid).collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!(int(&w, "SELECT count(*) FROM t_a"), 3);
}

#[test]
fn rolling_back_to_a_savepoint_takes_out_what_was_captured_since() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY)").unwrap();
    w.set_capture(true);
    let add = |w: &Writer, n: i64| w.execute("INSERT INTO t_a VALUES (?1)", [i(n)]).unwrap();
    add(&w, 1);
    let outer = w.savepoint().unwrap();
    add(&w, 2);
    let inner = w.savepoint().unwrap();
    add(&w, 3);
    w.release(inner).unwrap();
    let inner = w.savepoint().unwrap();
    add(&w, 4);
    w.rollback_to(inner).unwrap();
    add(&w, 5);
    let ids = |w: &Writer| w.captured_since(0, |c| c.iter().map(|c| c.new_rowid).collect::<Vec<_>>());
    assert_eq!(ids(&w), [1, 2, 3, 5]);
    // Also undoes what was released inside it, and stays open itself.
    w.rollback_to(outer).unwrap();
    assert_eq!(ids(&w), [1]);
    add(&w, 6);
    w.rollback_to(outer).unwrap();
    w.release(outer).unwrap();
    add(&w, 7);
    assert_eq!(ids(&w), [1, 7]);
    assert_eq!(int(&w, "SELECT sum(c_1) FROM t_a"), 8);
    w.commit().unwrap();
}

#[test]
fn a_transaction_that_changes_too_much_is_stopped_and_can_go_on_from_its_savepoint() {
    let (_dir, mut options) = scratch();
    options.capture_bytes_max = 10_000;
    let mut w = Writer::create(&options).unwrap();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY, c_2)").unwrap();
    w.set_capture(true);
    w.execute("INSERT INTO t_a VALUES (1, 'first')", ()).unwrap();
    let before = w.savepoint().unwrap();
    let many = "INSERT INTO t_a SELECT value + 10, 'x' FROM json_each(?1)";
    let list = format!("{:?}", (0..1000).collect::<Vec<_>>());
    let full = w.execute(many, [t(&list)]);
    assert!(matches!(full, Err(StoreError::CaptureFull { bytes_max: 10_000 })), "{full:?}");
    assert!(w.capture_mark() < 100, "what is kept stays below the limit");
    w.rollback_to(before).unwrap();
    let big = w.execute("INSERT INTO t_a VALUES (2, zeroblob(20000))", ());
    assert!(matches!(big, Err(StoreError::CaptureFull { bytes_max: 10_000 })), "{big:?}");
    // It stays so until it is undone …
    let next = w.execute("INSERT INTO t_a VALUES (3, '')", ());
    assert!(matches!(next, Err(StoreError::CaptureFull { .. })));
    w.rollback_to(before).unwrap();
    // … and then all is well.
    w.execute("INSERT INTO t_a VALUES (4, '')", ()).unwrap();
    assert_eq!(w.capture_mark(), 2);
    w.commit().unwrap();
    assert_eq!(int(&w, "SELECT count(*) FROM t_a"), 2);
}

#[test]
fn a_capture_that_overflowed_forbids_the_commit() {
    let (_dir, mut options) = scratch();
    options.capture_bytes_max = 10_000;
    let mut w = Writer::create(&options).unwrap();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1)").unwrap();
    w.commit().unwrap();
    w.begin().unwrap();
    w.set_capture(true);
    w.execute("INSERT INTO t_a VALUES (zeroblob(20000))", ()).unwrap_err();
    assert!(matches!(w.commit(), Err(StoreError::CaptureFull { .. })));
    assert!(!w.in_transaction());
    assert_eq!(int(&w, "SELECT count(*) FROM t_a"), 0);
}

#[test]
fn a_panic_inside_the_hook_poisons_the_transaction_whatever_is_rolled_back_but_not_the_next() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1)").unwrap();
    w.commit().unwrap();
    w.begin().unwrap();
    w.set_capture(true);
    let before = w.savepoint().unwrap();
    w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
    w.capture.as_ref().unwrap().panic_at(1);
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let failed = w.execute("INSERT INTO t_a VALUES (2)", ());
    panic::set_hook(hook);
    assert!(matches!(failed, Err(StoreError::CaptureFailed(_))), "{failed:?}");
    w.rollback_to(before).unwrap();
    assert!(matches!(w.commit(), Err(StoreError::CaptureFailed(_))));
    w.capture.as_ref().unwrap().panic_at(usize::MAX);
    w.begin().unwrap();
    w.set_capture(true);
    w.execute("INSERT INTO t_a VALUES (3)", ()).unwrap();
    assert_eq!(w.capture_mark(), 1);
    w.commit().unwrap();
    assert_eq!(int(&w, "SELECT count(*) FROM t_a"), 1);
}

#[test]
fn returning_and_nested_statements_keep_their_changes() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY)").unwrap();
    w.set_capture(true);
    let mut ids = Vec::new();
    w.query("INSERT INTO t_a VALUES (1), (2) RETURNING c_1", (), |r| {
        ids.push(r.int(0)?);
        Ok(crate::NEXT)
    })
    .unwrap();
    assert_eq!(ids, [1, 2]);
    // A callback that fails for reasons of its own does not undo what it did before.
    let failed = w.query("SELECT 1", (), |_| {
        w.execute("INSERT INTO t_a VALUES (3)", ())?;
        Err(StoreError::NotFound("mine".to_owned()))
    });
    assert!(matches!(failed, Err(StoreError::NotFound(_))));
    assert_eq!(w.capture_mark(), 3);
    assert_eq!(int(&w, "SELECT count(*) FROM t_a"), 3);
}

#[test]
fn the_hook_goes_with_its_connection() {
    let (_dir, options) = scratch();
    for _ in 0..3 {
        let mut w = if options.exists() { Writer::open(&options) } else { Writer::create(&options) }.unwrap();
        w.begin().unwrap();
        w.execute_batch("CREATE TABLE IF NOT EXISTS t_a (c_1)").unwrap();
        w.set_capture(true);
        w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
        assert_eq!(w.capture_mark(), 1);
        w.commit().unwrap();
    }
}
