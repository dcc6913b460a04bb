//! A damaged block does not leave the disk as if it were whole.

use std::fs;

use p2pdb_model::ids::NodeId;

use crate::log_testing::*;
use crate::open_testing::*;
use crate::*;

/// Changes one byte of a body of this block, past all our care, as damage does.
fn damage_body(options: &Options, no: u64, part: usize) {
    let db = rusqlite::Connection::open(&options.path).unwrap();
    let no = crate::log::body_no(BlockNo(no), part);
    let mut bytes: Vec<u8> =
        db.query_row("SELECT bytes FROM body WHERE no = ?1", [no], |r| r.get(0)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert_eq!(
        db.execute("UPDATE body SET bytes = ?2 WHERE no = ?1", rusqlite::params![no, bytes]).unwrap(),
        1
    );
}

fn at<T: std::fmt::Debug>(result: Result<T>) -> u64 {
    match result {
        Err(StoreError::BlockAt { no, .. }) => no,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_body_is_neither_read_as_sound_nor_backed_up() {
    let (dir, mut w) = new_store();
    fill(&mut w);
    w.check_blocks().unwrap();
    damage_body(w.options(), 3, 1);
    let sound = |no: u64| {
        let block = w.block(BlockNo(no)).unwrap().unwrap();
        w.sound_bodies(BlockNo(no), &block.cid(), block.bytes())
    };
    assert_eq!(sound(2).unwrap(), w.bodies(BlockNo(2)).unwrap());
    assert_eq!(at(sound(3)), 3);
    assert_eq!(at(w.check_blocks()), 3);
    let target = dir.path().join("backup.db");
    assert_eq!(at(backup(&w, &target)), 3);
    assert!(!target.exists() && !dir.path().join("backup.db.part").exists());
}

#[test]
fn a_lost_body_and_a_lost_block_are_damage() {
    let (_dir, mut w) = new_store();
    fill(&mut w);
    let db = rusqlite::Connection::open(&w.options().path).unwrap();
    db.execute("DELETE FROM body WHERE no = ?1", [crate::log::body_no(BlockNo(3), 1)]).unwrap();
    assert_eq!(at(w.check_blocks()), 3);
    db.execute_batch("DELETE FROM block WHERE no = 3").unwrap();
    let error = w.check_blocks().unwrap_err().to_string();
    assert!(error.contains("block 3 of the log is missing"), "{error}");
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let (dir, mut w) = new_store();
    fill(&mut w);
    let file = dir.path().join("backup.db");
    backup(&w, &file).unwrap();
    let refuse = |_: &Connection| Err(StoreError::Corrupt("as the caller says".to_owned()));
    let (new_dir, to) = scratch();
    assert!(matches!(restore_checked(&file, &to, Ids::MayBeLost, refuse), Err(StoreError::Corrupt(_))));
    damage_body(&Options::new(&file), 2, 0);
    assert_eq!(at(restore(&file, &to, Ids::MayBeLost)), 2);
    assert_eq!(fs::read_dir(new_dir.path()).unwrap().count(), 0);
}

#[test]
fn the_log_knows_who_wrote_it() {
    let (_dir, mut w) = new_store();
    fill(&mut w);
    let known = |seed| w.knows_node(&NodeId(key(seed).verifying_key().to_bytes())).unwrap();
    assert!(known(1) && known(2) && !known(3));
}
