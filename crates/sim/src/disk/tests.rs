//! What the simulated disk keeps and loses, under SQLite itself.

use p2pdb_store::{Disk as _, Options, Writer};

use super::*;

fn store(dir: &Path, seed: u64) -> (Arc<Disk>, Options) {
    let disk = Disk::new(dir, Random::new(seed));
    let mut options = Options::new(dir.join("realm.db"));
    drop(Writer::create(&options).expect("a store"));
    options.disk = Some(disk.clone());
    (disk, options)
}

fn rows(writer: &Writer) -> i64 {
    let sql = "SELECT count(*) FROM t_a";
    writer.query_one(sql, (), |r| r.int(0)).expect("a count").expect("one row")
}

fn insert(writer: &mut Writer) {
    writer.begin().expect("begun");
    writer.execute("INSERT INTO t_a VALUES (zeroblob(3000))", ()).expect("inserted");
    writer.commit_unsynced().expect("committed");
}

/// Commits so many rows with a sync each and so many without, loses power, and counts.
fn after_a_power_cut(seed: u64, synced: i64, unsynced: i64, lies: bool) -> i64 {
    let dir = tempfile::tempdir().expect("a directory");
    let (disk, options) = store(dir.path(), seed);
    let mut writer = Writer::open(&options).expect("opened");
    writer.begin().expect("begun");
    writer.execute_batch("CREATE TABLE t_a (c_1)").expect("a table");
    writer.commit().expect("committed");
    writer.log_sync().sync().expect("synced");
    disk.lie(lies);
    for _ in 0..synced {
        insert(&mut writer);
        writer.log_sync().sync().expect("synced");
    }
    for _ in 0..unsynced {
        insert(&mut writer);
    }
    disk.switch_off();
    drop(writer);
    disk.lose_power().expect("files");
    disk.switch_on();
    let writer = Writer::open(&options).expect("opened again");
    rows(&writer)
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_any_part_of_the_rest() {
    let mut counts = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let rows = after_a_power_cut(seed, 3, 4, false);
        assert!((3..=7).contains(&rows), "{rows} rows, seed {seed}");
        counts.insert(rows);
    }
    assert!(counts.len() > 2, "always the same is lost: {counts:?}");
}

#[test]
fn a_disk_that_lies_loses_commits() {
    assert!((0..20).any(|seed| after_a_power_cut(seed, 3, 0, true) < 3));
}

#[test]
fn each_kind_of_fault_is_met_and_the_store_stays_whole() {
    for error in [DiskError::Full, DiskError::Write, DiskError::Sync] {
        let dir = tempfile::tempdir().expect("a directory");
        let (disk, options) = store(dir.path(), 1);
        let mut writer = Writer::open(&options).expect("opened");
        writer.begin().expect("begun");
        writer.execute_batch("CREATE TABLE t_a (c_1)").expect("a table");
        writer.commit().expect("committed");
        writer.log_sync().sync().expect("synced");
        insert(&mut writer);
        disk.fail_next(error);
        writer.begin().expect("begun");
        let failed = writer.execute("INSERT INTO t_a VALUES (zeroblob(30000))", ()).is_err()
            || writer.commit().is_err()
            || writer.log_sync().sync().is_err();
        assert!(failed, "{error:?} was not met");
        disk.switch_off();
        drop(writer);
        disk.lose_power().expect("files");
        disk.switch_on();
        let writer = Writer::open(&options).expect("opened again");
        assert!((0..=2).contains(&rows(&writer)), "{error:?}");
    }
}

#[test]
fn the_power_goes_in_the_middle_of_a_commit_and_none_is_halved() {
    for operations in 1..30 {
        let dir = tempfile::tempdir().expect("a directory");
        let (disk, options) = store(dir.path(), operations);
        let mut writer = Writer::open(&options).expect("opened");
        writer.begin().expect("begun");
        writer.execute_batch("CREATE TABLE t_a (c_1)").expect("a table");
        writer.commit().expect("committed");
        disk.sync(&dir.path().join("realm.db-wal")).expect("synced");
        disk.cut_after(operations);
        writer.begin().expect("begun");
        for _ in 0..10 {
            if writer.execute("INSERT INTO t_a VALUES (zeroblob(3000))", ()).is_err() {
                break;
            }
        }
        let committed = writer.commit_unsynced().is_ok() && writer.log_sync().sync().is_ok();
        disk.switch_off();
        drop(writer);
        disk.lose_power().expect("files");
        disk.switch_on();
        let writer = Writer::open(&options).expect("opened again");
        let rows = rows(&writer);
        assert!(rows == 0 || rows == 10, "{rows} rows after {operations} operations");
        assert!(!committed || rows == 10, "an acknowledged commit is gone after {operations} operations");
    }
}
