//! A backup is whole, never in the way of another file, and a restored store says that it is one.

use std::fs;

use crate::log_testing::fill;
use crate::open_testing::*;
use crate::verify::{Compare, compare, verify_log};
use crate::*;

#[test]
fn a_backup_taken_under_writes_is_one_consistent_state() {
    let (dir, mut w) = new_store();
    let world = fill(&mut w);
    w.begin().unwrap();
    w.execute_batch("CREATE TABLE t_a (c_1)").unwrap();
    w.commit().unwrap();
    w.begin().unwrap();
    w.execute("INSERT INTO t_a VALUES (1)", ()).unwrap();
    // From a reader, in the middle of the writer's transaction.
    let r = Reader::open(w.options()).unwrap();
    let target = dir.path().join("backup.db");
    backup(&r, &target).unwrap();
    w.commit().unwrap();
    assert!(r.execute("INSERT INTO t_a VALUES (2)", ()).is_err(), "the reader still only reads");
    let copy = Options::new(&target);
    let c = Reader::open(&copy).unwrap();
    assert_eq!(int(&c, "SELECT count(*) FROM t_a"), 0);
    assert!(verify_log(&c, &world.realm, &mut |_| NEXT).unwrap().is_clean());
    assert!(matches!(backup(&r, &target), Err(StoreError::Exists(_))));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o077, 0);
    }
}

#[test]
fn a_backup_that_fails_leaves_nothing() {
    let (dir, w) = new_store();
    let target = dir.path().join("no-such-directory/backup.db");
    assert!(backup(&w, &target).is_err());
    // A rest of an earlier attempt is no obstacle.
    let target = dir.path().join("backup.db");
    fs::write(dir.path().join("backup.db.part"), b"half").unwrap();
    backup(&w, &target).unwrap();
    let names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|n| n.contains(".part")), "{names:?}");
}

#[test]
fn a_restored_store_has_the_same_content_and_a_mark() {
    let (dir, mut w) = new_store();
    let world = fill(&mut w);
    let file = dir.path().join("backup.db");
    backup(&w, &file).unwrap();
    assert!(matches!(restore(&file, w.options(), Ids::MayBeLost), Err(StoreError::Exists(_))));
    let (new_dir, to) = scratch();
    // An empty file in the place is no store.
    fs::write(&to.path, b"").unwrap();
    restore(&file, &to, Ids::MayBeLost).unwrap();
    let restored = Writer::open(&to).unwrap();
    assert_eq!(restored.meta(meta::RESTORED).unwrap().as_deref(), Some(b"1".as_slice()));
    assert_eq!(w.meta(meta::RESTORED).unwrap(), None);
    assert!(compare(&w, &restored, Compare::default(), &mut |_| NEXT).unwrap().is_clean());
    assert!(verify_log(&restored, &world.realm, &mut |_| NEXT).unwrap().is_clean());
    let parts = fs::read_dir(new_dir.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains(".part"));
    assert_eq!(parts.count(), 0);
    // The backup was only read, and can be restored again.
    let (_dir, again) = scratch();
    restore(&file, &again, Ids::DrawOn).unwrap();
}

#[test]
fn what_is_no_backup_is_refused_and_nothing_is_left() {
    let (dir, to) = scratch();
    let file = dir.path().join("backup.db");
    assert!(matches!(restore(&file, &to, Ids::MayBeLost), Err(StoreError::Missing(_))));
    fs::write(&file, "no backup".repeat(1000)).unwrap();
    assert!(matches!(restore(&file, &to, Ids::MayBeLost), Err(StoreError::Corrupt(_))));
    fs::remove_file(&file).unwrap();
    rusqlite::Connection::open(&file).unwrap().execute_batch("CREATE TABLE other (a)").unwrap();
    assert!(matches!(restore(&file, &to, Ids::MayBeLost), Err(StoreError::Foreign(p)) if p == file));
    let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["backup.db"]);
}
