//! Statements with very many values: INSERTs as dumps write them, and lists.

mod support;

use support::Node;

const ROWS: usize = 1_500;

fn values(row: impl Fn(usize) -> String) -> String {
    (0..ROWS).map(row).collect::<Vec<_>>().join(",")
}

#[test]
fn an_insert_takes_as_many_rows_as_a_dump_writes() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, b BLOB, bits BIT(9), n INT, u CHAR(36))");
    s.run(&format!("INSERT INTO t VALUES {}", values(|i| format!("({i},_binary 'a\\0{i}',NULL,{i},'x')"))));
    let from = |first: usize, cells: &str| values(|i| format!("({},{cells})", first + i));
    s.run(&format!("INSERT INTO t VALUES {}", from(10_000, "_binary 0x00FF,0x0101,1,'x'")));
    s.run(&format!("INSERT INTO t VALUES {}", from(20_000, "NULL,b'1',1 + 1,UUID()")));
    assert_eq!(s.rows("SELECT COUNT(*), SUM(n), COUNT(b), COUNT(bits) FROM t"), ["4500|1128750|3000|3000"]);
    assert_eq!(s.rows("SELECT HEX(b) FROM t WHERE id IN (7, 10007)"), ["610037", "00FF"]);
    assert_eq!(s.rows("SELECT DISTINCT bits + 0 FROM t ORDER BY 1"), ["NULL", "1", "257"]);
    // What does not fit is named by its row.
    let error = format!("INSERT INTO t VALUES {}", from(30_000, "NULL,NULL,1 + 1,REPEAT('x', 37)"));
    assert_eq!(s.error(&error), 1406);
    assert_eq!(s.rows("SELECT COUNT(*) FROM t"), ["4500"]);
    assert_eq!(
        s.rows(&format!("SELECT COUNT(*) FROM t WHERE id IN ({})", values(|i| i.to_string()))),
        ["1500"]
    );
}

#[test]
fn every_call_of_uuid_is_another() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (id INT, u CHAR(36), d CHAR(36) DEFAULT (UUID()))");
    s.run("INSERT INTO t (id, u) VALUES (1, UUID()), (2, UUID()), (3, UUID())");
    s.run("INSERT INTO t (id, u) VALUES (4 + 0, UUID()), (5, UUID()), (6, CONCAT(UUID(), ''))");
    s.run("INSERT INTO t (id, u) SELECT id + 6, UUID() FROM t");
    assert_eq!(
        s.rows("SELECT COUNT(DISTINCT u), COUNT(DISTINCT d), COUNT(DISTINCT u, d), SUM(u = d) FROM t"),
        ["12|12|12|0"]
    );
    s.run("UPDATE t SET u = UUID()");
    assert_eq!(s.rows("SELECT COUNT(DISTINCT u), SUM(LENGTH(u) = 36) FROM t"), ["12|12"]);
    s.run("CREATE TABLE r AS SELECT RAND() AS a, RAND() AS b, UUID() AS c, UUID() AS e FROM t");
    assert_eq!(
        s.rows("SELECT COUNT(DISTINCT a), COUNT(DISTINCT b), COUNT(DISTINCT c), COUNT(DISTINCT e), SUM(a = b), SUM(c = e) FROM r"),
        ["12|12|12|12|0|0"]
    );
    assert_eq!(s.rows("SELECT UUID() = UUID(), UUID_SHORT() = UUID_SHORT()"), ["0|0"]);
}
