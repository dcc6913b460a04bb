//! A statement whose schema changes between its turn in the queue and its turn at the writer is compiled again, and asked again
//! whether its account may do what it does now. The writer is stepped by hand.

mod support;

use p2pdb_engine::{Progress, Step};
use support::{Node, Rows, TestSession};

struct Waiting(Progress, Rows);

fn start(s: &mut TestSession, sql: &str) -> Waiting {
    let mut rows = Rows::default();
    let statement = s.session.prepare(sql).expect("a statement");
    let progress = s.session.start(&statement, Vec::new(), &mut rows);
    Waiting(progress, rows)
}

/// Its error's number, 0 for none.
fn end(node: &Node, s: &mut TestSession, Waiting(mut progress, mut rows): Waiting) -> u16 {
    loop {
        match progress {
            Progress::Done(result) => return result.err().map_or(0, |e| e.code),
            Progress::Waiting(wait) => {
                while node.engine.step_writer() == Step::Did {}
                assert!(wait.is_ready(), "it waits for ever");
                progress = s.session.resume(&mut rows);
            }
        }
    }
}

fn run(node: &Node, s: &mut TestSession, sql: &str) -> u16 {
    let waiting = start(s, sql);
    end(node, s, waiting)
}

#[test]
fn what_a_name_means_by_then_is_what_must_be_granted() {
    let node = Node::begin_by_hand(1);
    let mut root = node.session();
    for sql in [
        "CREATE DATABASE d",
        "USE d",
        "CREATE TABLE own (id INT PRIMARY KEY)",
        "CREATE TABLE secret (id INT PRIMARY KEY)",
        "INSERT INTO secret VALUES (7)",
        "CREATE TABLE copy (id INT PRIMARY KEY)",
        "CREATE USER ann",
        "GRANT SELECT ON own TO ann",
        "GRANT INSERT ON copy TO ann",
    ] {
        assert_eq!(run(&node, &mut root, sql), 0, "{sql}");
    }
    let there = "RENAME TABLE own TO mine, secret TO own";
    let back = "RENAME TABLE own TO secret, mine TO own";
    for begin in [None, Some("BEGIN")] {
        let mut ann = node.session_as("ann").expect("a session");
        assert_eq!(run(&node, &mut ann, "USE d"), 0);
        if let Some(sql) = begin {
            assert_eq!(run(&node, &mut ann, sql), 0);
        }
        let first = start(&mut root, there);
        let second = start(&mut ann, "INSERT INTO copy SELECT id FROM own");
        assert_eq!(end(&node, &mut root, first), 0);
        assert_eq!(end(&node, &mut ann, second), 1142, "{begin:?}");
        assert_eq!(run(&node, &mut ann, "ROLLBACK"), 0);
        assert_eq!(run(&node, &mut root, back), 0);
        // The same without a change of what the name means.
        let first = start(&mut root, "CREATE TABLE other (id INT)");
        let second = start(&mut ann, "INSERT INTO copy SELECT id FROM own");
        assert_eq!(end(&node, &mut root, first), 0);
        assert_eq!(end(&node, &mut ann, second), 0, "{begin:?}");
        assert_eq!(run(&node, &mut ann, "COMMIT"), 0);
        assert_eq!(run(&node, &mut root, "DROP TABLE other"), 0);
    }
}
