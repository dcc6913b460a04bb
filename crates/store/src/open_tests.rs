//! Files of every kind, faults of the disk, snapshots, budgets, functions.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use p2pdb_model::{Value, ValueRef};

use crate::open_testing::*;
use crate::*;

#[test]
fn a_store_is_made_once_and_opened_again_with_what_was_committed() {
    let (_dir, mut options) = scratch();
    options.durable = true;
    assert!(matches!(Writer::open(&options), Err(StoreError::Missing(_))));
    let mut w = Writer::create(&options).unwrap();
    w.begin().unwrap();
    w.put_meta("a", b"1").unwrap();
    w.commit().unwrap();
    w.begin().unwrap();
    w.put_meta("a", b"2").unwrap();
    drop(w);
    assert!(matches!(Writer::create(&options), Err(StoreError::Exists(_))));
    let w = Writer::open(&options).unwrap();
    assert_eq!(w.meta("a").unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(w.meta("b").unwrap(), None);
    let mode = |p: &str| int(&w, &format!("PRAGMA {p}"));
    // The sync after a commit is `LogSync`'s.
    assert_eq!((mode("synchronous"), mode("foreign_keys"), mode("wal_autocheckpoint")), (1, 0, 0));
    assert_eq!(rows(&w, "PRAGMA journal_mode"), [[Value::Text("wal".into())]]);
}

#[cfg(unix)]
#[test]
fn the_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, w) = new_store();
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", w.options().path.display());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{path}: {mode:o}");
    }
}

#[test]
fn an_interrupted_creation_is_no_store_and_can_be_repeated() {
    let (_dir, options) = scratch();
    std::fs::write(&options.path, b"").unwrap();
    assert!(matches!(Writer::open(&options), Err(StoreError::Empty(_))));
    // The header page was written, then the power went.
    let db = rusqlite::Connection::open(&options.path).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(db);
    assert!(options.exists());
    assert!(matches!(Writer::open(&options), Err(StoreError::Empty(_))));
    Writer::create(&options).unwrap();
}

#[test]
fn a_store_that_may_not_be_changed_is_read_with_what_its_log_holds() {
    let (dir, mut w) = new_store();
    let mut options = w.options().clone();
    options.reads_only = true;
    let count = |c: &Connection| c.query_one("SELECT count(*) FROM meta", (), |r| r.int(0)).unwrap().unwrap();
    w.begin().unwrap();
    w.put_meta("a note", b"1").unwrap();
    w.commit().unwrap();
    let held = count(&w);
    assert!(matches!(Writer::open(&options), Err(StoreError::Locked { .. })));
    // As a killed process leaves it: what was written last is in the write-ahead log.
    let killed = dir.path().join("a % ? # copy");
    std::fs::create_dir(&killed).unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
        std::fs::copy(&entry, killed.join(entry.file_name().unwrap())).unwrap();
    }
    drop(w);
    let of_killed = Options { path: killed.join(options.path.file_name().unwrap()), ..options.clone() };
    for options in [options, of_killed] {
        let before = std::fs::read(&options.path).unwrap();
        let mut w = Writer::open(&options).unwrap();
        assert_eq!(count(&w), held);
        assert_eq!(count(&Reader::open(&options).unwrap()), held);
        w.begin().unwrap();
        assert!(matches!(w.put_meta("a note", b"2"), Err(StoreError::Unwritable(_))));
        drop(w);
        assert_eq!(std::fs::read(&options.path).unwrap(), before);
    }
}

#[test]
fn a_foreign_a_newer_and_a_damaged_file_are_told_apart_and_left_alone() {
    let (_dir, options) = scratch();
    let check = |make: &dyn Fn(&Path), expected: &str| {
        let _ = std::fs::remove_file(&options.path);
        make(&options.path);
        for result in [Writer::open(&options), Writer::create(&options)] {
            let error = result.map(drop).unwrap_err();
            assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        }
        let error = Reader::open(&options).map(drop).unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{error:?}");
    };
    let sqlite = |sql: &'static str| {
        move |path: &Path| rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap()
    };
    check(&sqlite("CREATE TABLE other (a)"), "Foreign");
    check(&sqlite("PRAGMA application_id = 5"), "Foreign");
    check(
        &sqlite("PRAGMA application_id = 0x70327064; PRAGMA user_version = 2; CREATE TABLE t (a)"),
        "NewerFormat { found: 2, known: 1 }",
    );
    check(&|path| std::fs::write(path, "no database".repeat(1000)).unwrap(), "Corrupt");
}

#[test]
fn a_truncated_file_is_reported_as_damaged() {
    let (_dir, options) = scratch();
    let mut w = Writer::create(&options).unwrap();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1)").unwrap();
    for _ in 0..100 {
        w.execute("INSERT INTO t_a VALUES (zeroblob(3000))", ()).unwrap();
    }
    w.commit().unwrap();
    drop(w);
    let length = std::fs::metadata(&options.path).unwrap().len();
    std::fs::File::options().write(true).open(&options.path).unwrap().set_len(length / 8192 * 4096).unwrap();
    let result = Writer::open(&options).and_then(|w| w.query("SELECT * FROM t_a", (), |_| Ok(NEXT)));
    assert!(matches!(result, Err(StoreError::Corrupt(_))), "{:?}", result.map(drop));
}

#[test]
fn a_second_writer_is_refused_and_a_missing_directory_is_unwritable() {
    let (_dir, options) = scratch();
    let w = Writer::create(&options).unwrap();
    assert!(matches!(Writer::open(&options), Err(StoreError::Locked { .. })));
    drop(w);
    Writer::open(&options).unwrap();
    let nowhere = Options::new(options.path.parent().unwrap().join("no/such/file"));
    let error = Writer::create(&nowhere).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    // A directory in the file's place.
    let in_the_way = Options::new(options.path.parent().unwrap().join("dir"));
    std::fs::create_dir(&in_the_way.path).unwrap();
    let error = Writer::create(&in_the_way).map(drop).unwrap_err();
    assert!(matches!(error, StoreError::Unwritable(_)), "{error:?}");
}

#[test]
fn an_unknown_vfs_is_an_error_and_a_known_one_is_used() {
    let (_dir, mut options) = scratch();
    options.durable = true;
    options.disk = Some(Arc::new(Named("no-such-vfs", AtomicU64::new(0))));
    assert!(Writer::create(&options).is_err());
    let disk = Arc::new(Named("unix-excl", AtomicU64::new(0)));
    options.disk = Some(disk.clone());
    let writer = Writer::create(&options).unwrap();
    writer.log_sync().sync().unwrap();
    assert_eq!(disk.1.load(Relaxed), 1, "commits are made durable by the disk's own sync");
}

/// A VFS by its name, and how often it was asked to sync.
struct Named(&'static str, AtomicU64);

impl crate::Disk for Named {
    fn vfs(&self) -> &str {
        self.0
    }
    fn sync(&self, _: &std::path::Path) -> std::io::Result<()> {
        self.1.fetch_add(1, Relaxed);
        Ok(())
    }
}

#[test]
fn a_full_disk_fails_the_statement_keeps_what_was_committed_and_the_node_goes_on() {
    let (_dir, mut options) = scratch();
    options.pages_max = Some(60);
    let mut w = Writer::create(&options).unwrap();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1)").unwrap();
    w.execute("INSERT INTO t_a VALUES ('kept')", ()).unwrap();
    w.commit().unwrap();
    w.begin().unwrap();
    w.set_capture(true);
    let full = loop {
        if let Err(e) = w.execute("INSERT INTO t_a VALUES (zeroblob(9000))", ()) {
            break e;
        }
    };
    assert!(matches!(full, StoreError::Full(_)), "{full:?}");
    assert!(full.is_disk_fault() && full.to_string().contains("disk is full"));
    // Whether SQLite undid the statement or the transaction, nothing of it stays.
    w.rollback().unwrap();
    assert_eq!(w.capture_mark(), 0);
    assert_eq!(rows(&w, "SELECT * FROM t_a"), [[Value::Text("kept".into())]]);
    w.begin().unwrap();
    w.execute("INSERT INTO t_a VALUES ('small')", ()).unwrap();
    w.commit().unwrap();
}

#[test]
fn after_sqlite_ended_the_transaction_by_itself_nothing_goes_on_as_if_it_were_open() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1 UNIQUE)").unwrap();
    w.commit().unwrap();
    w.begin().unwrap();
    w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
    // A conflict clause that rolls back stands in for an I/O error, which does the same.
    w.execute("INSERT OR ROLLBACK INTO t_a VALUES (1)", ()).unwrap_err();
    assert!(matches!(w.execute("INSERT INTO t_a VALUES (2)", ()), Err(StoreError::RolledBack)));
    assert!(matches!(w.savepoint(), Err(StoreError::RolledBack)));
    assert!(matches!(w.commit(), Err(StoreError::RolledBack)));
    w.rollback().unwrap();
    assert_eq!(int(&w, "SELECT count(*) FROM t_a"), 0);
    w.begin().unwrap();
    w.execute("INSERT INTO t_a VALUES (3)", ()).unwrap();
    w.commit().unwrap();
}

/// Commits a statement.
fn commit(w: &mut Writer, sql: &str) {
    w.begin().unwrap();
    w.execute_batch(sql).unwrap();
    w.commit().unwrap();
}

#[test]
fn readers_see_a_snapshot_until_they_let_it_go_and_cannot_write() {
    let (_dir, mut w) = new_store();
    commit(&mut w, "CREATE TABLE t_a (c_1)");
    let mut r = Reader::open(w.options()).unwrap();
    let count = |r: &Reader| int(r, "SELECT count(*) FROM t_a");
    assert_eq!(r.begin().unwrap(), TxNo(0));
    commit(&mut w, "INSERT INTO t_a VALUES (1)");
    assert_eq!(count(&r), 0);
    r.end().unwrap();
    assert_eq!(count(&r), 1);
    let refused = r.execute("INSERT INTO t_a VALUES (2)", ()).unwrap_err();
    assert!(matches!(refused, StoreError::Unwritable(_)), "{refused:?}");
}

#[test]
fn one_state_is_that_of_when_it_was_asked_for() {
    let (_dir, mut w) = new_store();
    commit(&mut w, "CREATE TABLE t_a (c_1)");
    let mut r = Reader::open(w.options()).unwrap();
    let count = |r: &Reader| int(r, "SELECT count(*) FROM t_a");
    let held = r.one_state().unwrap();
    let within = r.one_state().unwrap();
    commit(&mut w, "INSERT INTO t_a VALUES (1)");
    assert_eq!(count(&r), 0);
    drop(within);
    assert_eq!(count(&r), 0, "it goes on until the outer one ends");
    drop(held);
    assert_eq!(count(&r), 1);
    // Inside of a snapshot it is that one's, which goes on.
    r.begin().unwrap();
    drop(r.one_state().unwrap());
    assert!(r.in_snapshot());
    commit(&mut w, "INSERT INTO t_a VALUES (2)");
    assert_eq!(count(&r), 1);
    r.end().unwrap();
    assert_eq!(count(&r), 2);
}

#[test]
fn a_pool_lends_up_to_its_limit_and_closes_snapshots_that_were_left_open() {
    let (_dir, w) = new_store();
    let pool = ReaderPool::new(w.options().clone(), 2);
    let mut a = pool.get().unwrap();
    let b = pool.get().unwrap();
    assert!(matches!(pool.get(), Err(StoreError::ReadersExhausted(2))));
    a.begin().unwrap();
    a.interrupt_handle().interrupt();
    drop(a);
    assert_eq!(pool.counts(), (1, 1));
    let mut c = pool.get().unwrap();
    assert!(!c.in_snapshot());
    c.begin().unwrap();
    drop((b, c));
    pool.clear();
    assert_eq!(pool.counts(), (0, 0));
}

/// Counts up to ?1 without a table.
const COUNT: &str = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?1)
                     SELECT max(n) FROM c";

#[test]
fn a_statement_stops_at_its_budget_and_at_an_interrupt() {
    let (_dir, w) = new_store();
    let r = Reader::open(w.options()).unwrap();
    let count = |n: i64| r.query(COUNT, [Value::Int(n)], |_| Ok(NEXT));
    let short = count(10).unwrap();
    let long = count(10_000).unwrap();
    assert!(short.steps < 500 && long.steps > 50_000, "{short:?} {long:?}");
    assert_eq!((short.rows, long.rows), (1, 1));
    r.set_step_budget(Some(20_000));
    assert!(matches!(count(10_000_000), Err(StoreError::StepBudget(20_000))));
    r.set_step_budget(Some(20_000));
    count(10).unwrap();
    r.set_step_budget(None);
    count(10_000).unwrap();
    let handle = r.interrupt_handle();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        handle.interrupt();
    });
    assert!(matches!(count(i64::MAX), Err(StoreError::Interrupted)));
    killer.join().unwrap();
    r.clear_interrupt();
    count(10).unwrap();
}

#[test]
fn rows_stream_without_copies_and_a_callback_may_stop() {
    let (_dir, w) = new_store();
    let sql = "SELECT NULL, 1, 2.5, 'text', x'00ff' UNION ALL SELECT 2, 2, 2, 2, 2";
    let mut seen = 0;
    let cost = w
        .query(sql, (), |r| {
            seen += 1;
            assert_eq!((r.len(), r.is_empty()), (5, false));
            assert_eq!(r.get(0)?, ValueRef::Null);
            assert_eq!((r.int(1)?, r.text(3)?, r.blob(4)?), (1, "text", [0, 255].as_slice()));
            assert_eq!(r.get(2)?, ValueRef::Real(2.5));
            assert!(r.int(3).is_err() && r.blob(0).is_err());
            Ok(STOP)
        })
        .unwrap();
    assert_eq!((seen, cost.rows), (1, 1));
    let wrong = w.query("SELECT ?1, ?2", [Value::Int(1)], |_| Ok(NEXT));
    assert!(matches!(wrong, Err(StoreError::Sqlite(_))));
    // Text that is not UTF-8 can only be damage.
    let damaged = w.query("SELECT CAST(x'ff' AS TEXT)", (), |r| r.get(0).map(|_| NEXT));
    assert!(matches!(damaged, Err(StoreError::Corrupt(_))));
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("error {0}")]
struct Mine(u16);

struct Sum(i64);

impl AggregateState for Sum {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), FunctionError> {
        match args {
            [ValueRef::Int(n)] if *n < 0 => Err(Mine(2).into()),
            [ValueRef::Int(n)] => {
                self.0 += n;
                Ok(())
            }
            _ => Ok(()),
        }
    }
    fn inverse(&mut self, args: &[ValueRef<'_>]) -> Result<(), FunctionError> {
        if let [ValueRef::Int(n)] = args {
            self.0 -= n;
        }
        Ok(())
    }
    fn value(&mut self) -> Result<Value, FunctionError> {
        Ok(Value::Int(self.0))
    }
}

fn with_functions() -> (tempfile::TempDir, Writer) {
    let (dir, mut options) = scratch();
    let scalar = |name: &str, call: ScalarFn| ScalarFunction {
        name: name.to_owned(),
        args: VARIADIC,
        deterministic: true,
        call,
    };
    options.functions = Arc::new(Functions {
        scalars: vec![
            scalar("f_count", Arc::new(|args| Ok(Value::Int(args.len() as i64)))),
            scalar("f_last", Arc::new(|args| Ok(args.last().map_or(Value::Null, |v| v.to_value())))),
            scalar("f_fail", Arc::new(|_| Err(Mine(1).into()))),
            scalar("f_panic", Arc::new(|_| panic!("on purpose"))),
        ],
        aggregates: vec![AggregateFunction {
            name: "a_sum".to_owned(),
            args: 1,
            new: Arc::new(|| Box::new(Sum(0))),
        }],
        collations: vec![CollationSequence {
            name: "nocase_all".to_owned(),
            compare: Arc::new(|a, b| a.to_lowercase().cmp(&b.to_lowercase())),
        }],
    });
    let w = Writer::create(&options).unwrap();
    (dir, w)
}

#[test]
fn registered_functions_work_on_every_connection_and_their_errors_come_back_whole() {
    let (_dir, w) = with_functions();
    let r = Reader::open(w.options()).unwrap();
    for c in [&*w, &*r] {
        assert_eq!(int(c, "SELECT f_count(1, 2, 3)"), 3);
        assert_eq!(int(c, "SELECT f_count(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)"), 10);
        let values = "SELECT f_last(NULL), f_last(1.5), f_last('ä'), f_last(x'00')";
        assert_eq!(rows(c, values), rows(c, "SELECT NULL, 1.5, 'ä', x'00'"));
        match c.query("SELECT f_fail()", (), |_| Ok(NEXT)) {
            Err(StoreError::Function(e)) => assert_eq!(e.downcast_ref(), Some(&Mine(1))),
            other => panic!("{other:?}"),
        }
        // An error that was put aside does not stick to the next one.
        let next = c.query("SELECT no_such_function()", (), |_| Ok(NEXT));
        assert!(matches!(next, Err(StoreError::Sqlite(_))), "{next:?}");
        assert_eq!(int(c, "SELECT 'Ä' = 'ä' COLLATE nocase_all"), 1);
    }
}

#[test]
fn a_panic_in_a_function_is_an_error_of_the_statement() {
    let (_dir, w) = with_functions();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let failed = w.query("SELECT f_panic()", (), |_| Ok(NEXT));
    std::panic::set_hook(hook);
    assert!(matches!(failed, Err(StoreError::Sqlite(_))), "{failed:?}");
    assert_eq!(int(&w, "SELECT 1"), 1);
}

#[test]
fn aggregates_work_over_groups_without_rows_and_over_windows() {
    let (_dir, w) = with_functions();
    let values = "(SELECT 1 n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)";
    assert_eq!(int(&w, &format!("SELECT a_sum(n) FROM {values}")), 10);
    assert_eq!(int(&w, "SELECT a_sum(1) WHERE 0"), 0);
    let moving = format!("SELECT a_sum(n) OVER (ORDER BY n ROWS 1 PRECEDING) FROM {values}");
    let sums: Vec<_> = rows(&w, &moving).concat();
    assert_eq!(sums, [1, 3, 5, 7].map(Value::Int));
    match w.query("SELECT a_sum(-1)", (), |_| Ok(NEXT)) {
        Err(StoreError::Function(e)) => assert_eq!(e.downcast_ref(), Some(&Mine(2))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn constraint_errors_name_their_columns_or_index() {
    let (_dir, mut w) = new_store();
    w.begin().unwrap();
    w.execute_batch(
        "CREATE TABLE t_a (c_1 INTEGER PRIMARY KEY, c_2 NOT NULL, c_3 UNIQUE, c_4 CHECK (c_4 > 0), c_5);
         CREATE UNIQUE INDEX i_5 ON t_a (abs(c_5));
         INSERT INTO t_a VALUES (1, 1, 1, 1, 1)",
    )
    .unwrap();
    let fails = |row: &str| match w.execute(&format!("INSERT INTO t_a VALUES ({row})"), ()) {
        Err(StoreError::Constraint(c)) => c,
        other => panic!("{row}: {other:?}"),
    };
    for (row, kind, column) in [
        ("1, 2, 2, 2, 2", ConstraintKind::Unique, "c_1"),
        ("2, NULL, 2, 2, 2", ConstraintKind::NotNull, "c_2"),
        ("2, 2, 1, 2, 2", ConstraintKind::Unique, "c_3"),
    ] {
        let c = fails(row);
        assert_eq!((c.kind, c.columns()), (kind, vec![("t_a", column)]), "{row}");
    }
    assert_eq!(fails("2, 2, 2, 0, 2").kind, ConstraintKind::Check);
    assert_eq!(fails("'x', 2, 2, 2, 2").kind, ConstraintKind::DataType);
    let by_index = fails("2, 2, 2, 2, -1");
    assert_eq!((by_index.kind, by_index.index()), (ConstraintKind::Unique, Some("i_5")));
    assert!(by_index.columns().is_empty());
}

#[test]
fn the_writer_empties_the_write_ahead_log_by_itself_and_a_snapshot_only_delays_it() {
    let (_dir, mut options) = scratch();
    options.checkpoint_pages = 50;
    let mut w = Writer::create(&options).unwrap();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1)").unwrap();
    w.commit().unwrap();
    let write = |w: &mut Writer| {
        w.begin().unwrap();
        w.execute("INSERT INTO t_a VALUES (randomblob(20000))", ()).unwrap();
        w.commit().unwrap();
    };
    let wal = || std::fs::metadata(format!("{}-wal", options.path.display())).unwrap().len() / 4096;
    for _ in 0..100 {
        write(&mut w);
    }
    assert!(wal() < 100, "{} pages", wal());
    let mut r = Reader::open(&options).unwrap();
    r.begin().unwrap();
    for _ in 0..100 {
        write(&mut w);
    }
    assert!(wal() > 400, "{} pages", wal());
    r.end().unwrap();
    let report = w.checkpoint().unwrap();
    assert_eq!(report.log_pages, report.moved_pages);
    let before = wal();
    for _ in 0..100 {
        write(&mut w);
    }
    assert_eq!(wal(), before);
    assert_eq!(int(&w, "SELECT count(*) FROM t_a"), 300);
}

#[test]
fn a_reader_in_the_background_can_run_the_checkpoints() {
    let (_dir, mut options) = scratch();
    options.checkpoint_pages = CHECKPOINT_PAGES_BOUND;
    let mut w = Writer::create(&options).unwrap();
    let background = Reader::open(&options).unwrap();
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1)").unwrap();
    w.commit().unwrap();
    for _ in 0..50 {
        w.begin().unwrap();
        w.execute("INSERT INTO t_a VALUES (randomblob(20000))", ()).unwrap();
        w.commit().unwrap();
    }
    let pages = w.wal_pages();
    assert!(pages > 250, "{pages}");
    let report = background.checkpoint().unwrap();
    assert_eq!((report.log_pages, report.moved_pages), (pages, pages));
    w.begin().unwrap();
    w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
    w.commit().unwrap();
    assert!(w.wal_pages() < 10, "the log begins anew: {}", w.wal_pages());
}
