//! A node whose disk has damaged a block says so, and gives the damage to nobody.

mod support;

use p2pdb_sync::BlockSource;
use support::{Node, TestDir};

/// A node with a row in a block of its own whose body is damaged on its disk, and the block's number.
fn damaged() -> (Node, u64) {
    let a = Node::begin(1);
    a.session().run("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(30))");
    a.session().run("INSERT INTO d.t VALUES (1, 'a text to be found')");
    let no = a.engine.status().blocks;
    let a = a.restart_after(|file| {
        let mut w = p2pdb_store::Writer::open(&p2pdb_store::Options { path: file, ..p2pdb_engine::realm::options("".as_ref()) })
            .expect("the store");
        let sql = "UPDATE body SET bytes = CAST(replace(bytes, 'to be found', 'to be faund') AS BLOB) WHERE no = (SELECT max(no) FROM body)";
        w.begin().expect("begun");
        assert_eq!(w.execute(sql, ()).expect("damaged"), 1);
        w.commit().expect("committed");
    });
    (a, no)
}

#[test]
fn a_damaged_block_is_served_exported_and_backed_up_by_nobody() {
    let (a, no) = damaged();
    assert_eq!(a.engine.status().alarm, None, "nobody has asked for it yet");
    // A peer gets what stands before it, and no damage.
    let view = a.engine.log_view().expect("a view");
    let all = view.cover(&p2pdb_dag::Frontier::default()).expect("a cover");
    let from = view.first_uncovered(&all).expect("a place").expect("blocks");
    let scan = view.scan(&all, from, usize::MAX, usize::MAX).expect("blocks");
    assert_eq!((scan.blocks.len() as u64, scan.next.map(|n| n.0)), (no - 1, Some(no)));
    assert!(view.scan(&all, p2pdb_dag::BlockNo(no), usize::MAX, usize::MAX).is_err());
    let names = |text: &str| assert!(text.contains(&format!("block {no} of the log is damaged")), "{text}");
    names(&a.engine.status().alarm.expect("an alarm"));
    names(&a.engine.export_car(std::io::sink(), |_, _| ()).expect_err("damage").to_string());
    let dir = TestDir::new();
    let target = dir.0.join("backup.db");
    names(&a.engine.backup(&target).expect_err("damage").to_string());
    assert!(!target.exists());
    // What comes after it goes out: who has the block lacks nothing.
    a.session().run("INSERT INTO d.t VALUES (2, 'sound')");
    let scan = view.scan(&all, p2pdb_dag::BlockNo(no + 1), usize::MAX, usize::MAX).expect("blocks");
    assert_eq!(scan.blocks.len(), 1);
}
