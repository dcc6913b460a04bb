//! The Chinook sample database, as its authors ship it for MySQL: loads on one node, and is on another.

mod support;

use support::{Node, converge};

#[test]
fn the_dump_loads_and_replicates() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testnet/data/chinook.sql");
    let dump = std::fs::read_to_string(path).expect("the dump is in the repository");
    let a = Node::begin(1);
    let b = a.join(2);
    let mut s = a.session();
    let statements: Vec<String> = s.session.split(&dump).into_iter().map(str::to_owned).collect();
    assert!(statements.len() > 40, "{} statements", statements.len());
    for sql in &statements {
        if let Err(e) = s.try_run(sql) {
            panic!("{e}\n{}", &sql[..sql.len().min(400)]);
        }
    }
    converge(&[&a, &b]);
    let mut s = b.session();
    s.run("USE Chinook_AutoIncrement");
    let mut rows = 0;
    for table in s.rows("SHOW TABLES") {
        rows += s.rows(&format!("SELECT COUNT(*) FROM `{table}`"))[0].parse::<u64>().expect("a count");
    }
    assert_eq!(rows, 15_607);
    assert_eq!(s.rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
}
