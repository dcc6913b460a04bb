//! What `docs/transactions.md` promises, on concurrent sessions.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use p2pdb_engine::Progress;
use support::{Node, TestSession, converge};

fn table() -> Node {
    let node = Node::begin(1);
    node.session().run("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 10), (2, 20)");
    node
}

#[test]
fn a_row_that_was_read_and_changed_meanwhile_gives_1213_and_a_retry_succeeds() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("BEGIN");
    assert_eq!(a.rows("SELECT v FROM d.t WHERE id = 1"), ["10"]);
    b.run("UPDATE d.t SET v = 11 WHERE id = 1");
    assert_eq!(a.error("UPDATE d.t SET v = 99 WHERE id = 1"), 1213);
    assert!(!a.session.in_transaction());
    a.run("BEGIN");
    assert_eq!(a.rows("SELECT v FROM d.t WHERE id = 1"), ["11"]);
    a.run("UPDATE d.t SET v = 12 WHERE id = 1; COMMIT");
    assert_eq!(b.rows("SELECT v FROM d.t WHERE id = 1"), ["12"]);
}

#[test]
fn a_change_of_another_row_is_no_conflict() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("BEGIN");
    a.rows("SELECT v FROM d.t WHERE id = 1");
    b.run("UPDATE d.t SET v = 21 WHERE id = 2; INSERT INTO d.t VALUES (3, 30)");
    a.run("UPDATE d.t SET v = 11 WHERE id = 1; COMMIT");
    assert_eq!(a.rows("SELECT id, v FROM d.t ORDER BY id"), ["1|11", "2|21", "3|30"]);
}

const SERIALIZABLE: &str = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE";

#[test]
fn serializable_a_row_that_was_not_there_and_came_is_a_conflict() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run(SERIALIZABLE);
    a.run("BEGIN");
    assert!(a.rows("SELECT v FROM d.t WHERE id = 7").is_empty());
    b.run("INSERT INTO d.t VALUES (7, 70)");
    assert_eq!(a.error("UPDATE d.t SET v = 0 WHERE id = 1"), 1213);
}

#[test]
fn serializable_a_table_that_was_scanned_and_changed_is_a_conflict() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run(SERIALIZABLE);
    a.run("BEGIN");
    assert_eq!(a.rows("SELECT SUM(v) FROM d.t"), ["30"]);
    b.run("UPDATE d.t SET v = 21 WHERE id = 2");
    assert_eq!(a.rows("SELECT SUM(v) FROM d.t"), ["30"], "a snapshot does not move");
    assert_eq!(a.error("INSERT INTO d.t VALUES (5, 50)"), 1213);
}

/// What another session does after the first has read, and whether the first may still write.
#[test]
fn serializable_rows_that_a_condition_selects_conflict_when_they_change_and_others_do_not() {
    let range = "SELECT SUM(v) FROM d.t WHERE id BETWEEN 1 AND 2";
    let value = "SELECT id FROM d.t WHERE v = 20";
    let name = "SELECT id FROM d.t WHERE name LIKE 'a%'";
    for (read, change, conflict) in [
        (range, "UPDATE d.t SET v = 31 WHERE id = 3", false),
        (range, "INSERT INTO d.t VALUES (9, 90, 'x')", false),
        (range, "DELETE FROM d.t WHERE id = 3", false),
        (range, "UPDATE d.t SET v = 11 WHERE id = 1", true),
        (range, "DELETE FROM d.t WHERE id = 1; UPDATE d.t SET id = 1 WHERE id = 3", true),
        (range, "DELETE FROM d.t WHERE id = 2", true),
        (range, "DELETE FROM d.t WHERE id = 2; INSERT INTO d.t VALUES (2, 20, 'b')", true),
        (range, "UPDATE d.t SET id = 8 WHERE id = 2", true),
        (value, "UPDATE d.t SET v = 21 WHERE id = 1", false),
        (value, "UPDATE d.t SET v = 20 WHERE id = 3", true),
        (value, "UPDATE d.t SET v = 21 WHERE id = 2", true),
        (name, "UPDATE d.t SET name = 'z' WHERE id = 3", false),
        (name, "UPDATE d.t SET name = 'Apfel' WHERE id = 3", true),
        (name, "DROP TABLE d.t; CREATE TABLE d.t (id INT PRIMARY KEY, v INT, name VARCHAR(20))", true),
        // Two places of one statement read the table: then all of it counts.
        ("SELECT (SELECT MAX(v) FROM d.t) FROM d.t WHERE id = 1", "UPDATE d.t SET v = 31 WHERE id = 3", true),
        (
            "SELECT a.id FROM d.t a JOIN d.t b ON a.v = b.v WHERE a.id = 1",
            "DELETE FROM d.t WHERE id = 3",
            true,
        ),
    ] {
        let node = table();
        let (mut a, mut b) = (node.session(), node.session());
        b.run("ALTER TABLE d.t ADD name VARCHAR(20); UPDATE d.t SET name = 'anna'");
        b.run("INSERT INTO d.t VALUES (3, 30, 'c'); CREATE TABLE d.u (id INT PRIMARY KEY)");
        a.run(SERIALIZABLE);
        a.run("BEGIN");
        a.rows(read);
        b.run(change);
        let written = a.try_run("INSERT INTO d.u VALUES (1)").map_err(|e| e.code);
        assert_eq!(written.err(), conflict.then_some(1213), "{read}; then {change}");
    }
}

/// What a transaction reads, what another session then commits, what the transaction does next, and what comes of it.
#[test]
fn repeatable_read_writes_on_but_overwrites_nothing_that_it_has_read_and_never_sees_two_states() {
    let one = "SELECT v FROM d.t WHERE id = 1";
    let range = "SELECT SUM(v) FROM d.t WHERE id BETWEEN 1 AND 2";
    let all = "SELECT COUNT(*) FROM d.t";
    let change = "UPDATE d.t SET v = 11 WHERE id = 1";
    for (read, change, next, conflict) in [
        // Another row than the one that changed, or one that was not read: as in MySQL.
        (one, change, "UPDATE d.t SET v = 0 WHERE id = 2", false),
        (range, change, "UPDATE d.t SET v = 0 WHERE id = 2", false),
        (all, change, "INSERT INTO d.t VALUES (9, 9, 9)", false),
        ("SELECT v FROM d.t WHERE id = 2", change, "UPDATE d.t SET v = v + 1 WHERE id = 1", false),
        ("SELECT v FROM d.t WHERE id = 7", "INSERT INTO d.t VALUES (7, 70, 7)", change, false),
        // A change that it has not seen would be lost.
        (one, change, "UPDATE d.t SET v = 99 WHERE id = 1", true),
        (one, change, "UPDATE d.t SET v = 99", true),
        (one, change, "DELETE FROM d.t WHERE id = 1", true),
        (one, change, "REPLACE INTO d.t VALUES (1, 99, 1)", true),
        (one, change, "INSERT INTO d.t VALUES (1, 1, 1) ON DUPLICATE KEY UPDATE v = 99", true),
        (range, change, "UPDATE d.t SET v = 99 WHERE u = 1", true),
        (all, change, "UPDATE d.t SET v = 99 WHERE id = 1", true),
        (
            "SELECT v FROM d.t WHERE id = 7",
            "INSERT INTO d.t VALUES (7, 70, 7)",
            "REPLACE INTO d.t VALUES (7, 0, 7)",
            true,
        ),
        // Before it reads on, what it has read must still be so.
        (one, change, "INSERT INTO d.t VALUES (9, 9, 9); SELECT v FROM d.t WHERE id = 1", true),
        (one, change, "INSERT INTO d.t VALUES (9, 9, 9); SELECT v FROM d.t WHERE id = 2", true),
        (one, change, "INSERT INTO d.t VALUES (9, 9, 9); SET @v = (SELECT v FROM d.t WHERE id = 2)", true),
        (
            one,
            "UPDATE d.t SET v = 21 WHERE id = 2",
            "INSERT INTO d.t VALUES (9, 9, 9); SELECT * FROM d.t",
            false,
        ),
    ] {
        let node = table();
        let (mut a, mut b) = (node.session(), node.session());
        b.run("ALTER TABLE d.t ADD u INT UNIQUE; UPDATE d.t SET u = id");
        a.run("BEGIN");
        a.rows(read);
        b.run(change);
        let came = next.split("; ").try_for_each(|one| a.try_run(one).map(drop)).map_err(|e| e.code);
        assert_eq!(came.err(), conflict.then_some(1213), "{read}; then {change}; then {next}");
        if !conflict {
            a.run("COMMIT");
        }
    }
}

#[test]
fn repeatable_read_sees_what_it_wrote_beside_what_it_has_read() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("BEGIN");
    assert_eq!(a.rows("SELECT v FROM d.t WHERE id = 1"), ["10"]);
    b.run("UPDATE d.t SET v = 21 WHERE id = 2");
    a.run("UPDATE d.t SET v = 11 WHERE id = 1");
    assert_eq!(a.rows("SELECT v FROM d.t ORDER BY id"), ["11", "21"]);
    a.run("UPDATE d.t SET v = 22 WHERE id = 2; COMMIT");
    assert_eq!(b.rows("SELECT v FROM d.t ORDER BY id"), ["11", "22"]);
}

#[test]
fn serializable_a_condition_that_selects_many_rows_counts_as_the_table() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    let rows: Vec<String> = (10..2000).map(|i| format!("({i}, 0)")).collect();
    b.run(&format!("INSERT INTO d.t VALUES {}", rows.join(",")));
    a.run(SERIALIZABLE);
    a.run("BEGIN");
    a.rows("SELECT COUNT(*) FROM d.t WHERE id >= 10");
    b.run("UPDATE d.t SET v = 11 WHERE id = 1");
    assert_eq!(a.error("UPDATE d.t SET v = 0 WHERE id = 2"), 1213);
}

#[test]
fn read_committed_sees_each_commit_and_lets_a_statement_compute() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    a.run("BEGIN");
    assert_eq!(a.rows("SELECT v FROM d.t WHERE id = 1"), ["10"]);
    b.run("UPDATE d.t SET v = 11 WHERE id = 1");
    assert_eq!(a.rows("SELECT v FROM d.t WHERE id = 1"), ["11"]);
    a.run("UPDATE d.t SET v = v + 1 WHERE id = 1; COMMIT");
    assert_eq!(b.rows("SELECT v FROM d.t WHERE id = 1"), ["12"]);
}

#[test]
fn a_locking_read_waits_and_then_sees_the_newest() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("BEGIN");
    assert_eq!(a.rows("SELECT v FROM d.t WHERE id = 1 FOR UPDATE"), ["10"]);
    let waiting = std::thread::spawn(move || {
        b.run("BEGIN");
        let seen = b.rows("SELECT v FROM d.t WHERE id = 1 FOR UPDATE");
        b.run("COMMIT");
        seen
    });
    a.run("UPDATE d.t SET v = 11 WHERE id = 1; COMMIT");
    assert_eq!(waiting.join().expect("the other session"), ["11"]);
}

#[test]
fn nowait_gives_up_at_once_and_skip_locked_finds_nothing_while_another_transaction_writes() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    const NOWAIT: &str = "SELECT v FROM d.t WHERE id = 2 FOR UPDATE NOWAIT";
    const SKIP: &str = "SELECT v FROM d.t ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
    a.run("BEGIN");
    assert_eq!(a.rows(SKIP), ["10"]);
    b.run("BEGIN");
    assert_eq!(b.error(NOWAIT), 3572);
    assert!(b.session.in_transaction(), "the transaction stays open");
    assert!(b.rows(SKIP).is_empty());
    assert_eq!(b.rows("SELECT FOUND_ROWS()"), ["0"]);
    // Its own rows are nobody else's.
    assert_eq!(a.rows(NOWAIT), ["20"]);
    a.run("ROLLBACK");
    assert_eq!(b.rows(NOWAIT), ["20"]);
    // A statement by itself asks as well, and leaves nothing locked.
    assert_eq!(a.error(NOWAIT), 3572);
    assert!(a.rows(SKIP).is_empty());
    assert!(!a.session.in_transaction());
    b.run("COMMIT");
    assert_eq!(a.rows(NOWAIT), ["20"]);
    assert_eq!(a.rows(SKIP), ["10"]);
    assert_eq!(b.rows(NOWAIT), ["20"]);
    b.run("SET autocommit = 0");
    assert_eq!(b.rows(SKIP), ["10"]);
}

/// Ten times as fast as it does.
fn while_time_passes<T>(node: &Node, f: impl FnOnce() -> T) -> T {
    let clock = node.clock.clone();
    let done = Arc::new(AtomicBool::new(false));
    let seen = done.clone();
    let mover = std::thread::spawn(move || {
        while !seen.load(Ordering::SeqCst) {
            clock.advance_ms(100);
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let result = f();
    done.store(true, Ordering::SeqCst);
    mover.join().expect("the clock's mover");
    result
}

#[test]
fn an_idle_transaction_stops_nobodys_reads_and_loses_the_writer_after_its_limit() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("BEGIN; UPDATE d.t SET v = 99 WHERE id = 1");
    assert_eq!(b.rows("SELECT v FROM d.t WHERE id = 1"), ["10"]);
    while_time_passes(&node, || b.run("UPDATE d.t SET v = 11 WHERE id = 1"));
    assert_eq!(a.error("UPDATE d.t SET v = 100 WHERE id = 1"), 1213);
    assert_eq!(a.rows("SELECT v FROM d.t WHERE id = 1"), ["11"]);
}

#[test]
fn a_client_that_vanishes_in_a_transaction_frees_the_writer() {
    let node = table();
    let mut a = node.session();
    a.run("BEGIN; UPDATE d.t SET v = 99 WHERE id = 1");
    drop(a);
    let mut b = node.session();
    b.run("UPDATE d.t SET v = v + 1 WHERE id = 1");
    assert_eq!(b.rows("SELECT v FROM d.t WHERE id = 1"), ["11"]);
}

#[test]
fn read_modify_write_beside_arriving_blocks_loses_nothing_and_hardly_conflicts() {
    const SESSIONS: u64 = 16;
    const TRANSACTIONS: u64 = 40;
    const ROWS: u64 = 10_000;
    /// Per transaction more than 100 a second beside any speed that the sessions reach: 5 arrive while 8 commit.
    const BLOCKS: u64 = SESSIONS * TRANSACTIONS * 5 / 8;
    let a = Node::begin(1);
    let mut s = a.session();
    s.run("CREATE DATABASE d; CREATE TABLE d.c (id INT PRIMARY KEY, v INT)");
    let values: Vec<String> = (1..=2 * ROWS).map(|n| format!("({n}, 0)")).collect();
    s.run(&format!("INSERT INTO d.c VALUES {}", values.join(",")));
    let b = a.join(2);
    let mut at_b = b.session();
    for n in 1..=BLOCKS {
        at_b.run(&format!("UPDATE d.c SET v = v + 1 WHERE id = {}", ROWS + n));
    }
    drop(at_b);
    let blocks = a.missing_from(&b);
    let blocks_in_all = blocks.len() as u64;
    assert!(blocks_in_all >= BLOCKS);
    let conflicts = AtomicU64::new(0);
    // Arrivals and transactions keep step by counting each other, at whatever speed.
    let step = Step::default();
    std::thread::scope(|scope| {
        let arriving = scope.spawn(|| {
            for (n, block) in (1..).zip(blocks) {
                // Not before the sessions are nearly so far.
                step.wait(|s| (s.committed + SESSIONS) * blocks_in_all >= n * SESSIONS * TRANSACTIONS);
                let arrived = a.engine.ingest(vec![block]).block();
                assert_eq!((arrived.fault, arrived.applied.len()), (None, 1));
                step.note(|s| s.arrived += 1);
            }
        });
        let workers: Vec<_> = (0..SESSIONS)
            .map(|w| {
                let mut s = a.session();
                let (conflicts, step) = (&conflicts, &step);
                scope.spawn(move || {
                    for n in 0..TRANSACTIONS {
                        // Not long before the arrivals are so far.
                        step.wait(|s| {
                            (s.arrived + SESSIONS) * SESSIONS * TRANSACTIONS >= s.committed * blocks_in_all
                        });
                        let id = (w * 7_919 + n * 104_729) % ROWS + 1;
                        loop {
                            s.run("BEGIN");
                            let v: u64 = s.rows(&format!("SELECT v FROM d.c WHERE id = {id}"))[0]
                                .parse()
                                .expect("a number");
                            let write = format!("UPDATE d.c SET v = {} WHERE id = {id}", v + 1);
                            match s.try_run(&write) {
                                Ok(_) => {
                                    s.run("COMMIT");
                                    step.note(|s| s.committed += 1);
                                    break;
                                }
                                Err(e) => {
                                    assert_eq!(e.code, 1213, "{e}");
                                    conflicts.fetch_add(1, Ordering::SeqCst);
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        for w in workers {
            w.join().expect("a worker");
        }
        let during = step.now(|s| s.arrived);
        assert!(during + 2 * SESSIONS >= blocks_in_all, "{during} blocks arrived meanwhile");
        arriving.join().expect("the arrivals");
    });
    let (conflicts, committed) = (conflicts.into_inner(), step.now(|s| s.committed));
    assert_eq!(committed, SESSIONS * TRANSACTIONS);
    assert!(conflicts * 100 < committed, "{conflicts} conflicts in {committed} transactions");
    let sum = a.session().rows(&format!("SELECT SUM(v) FROM d.c WHERE id <= {ROWS}"));
    assert_eq!(sum, [committed.to_string()], "an update was lost");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT SUM(v) FROM d.c"), [(committed + BLOCKS).to_string()]);
}

/// How far arrivals and transactions are.
#[derive(Default)]
struct Steps {
    arrived: u64,
    committed: u64,
}

#[derive(Default)]
struct Step(std::sync::Mutex<Steps>, std::sync::Condvar);

impl Step {
    fn wait(&self, until: impl Fn(&Steps) -> bool) {
        let steps = self.0.lock().expect("no panic");
        drop(self.1.wait_while(steps, |s| !until(s)).expect("no panic"));
    }

    fn note(&self, f: impl FnOnce(&mut Steps)) {
        f(&mut self.0.lock().expect("no panic"));
        self.1.notify_all();
    }

    fn now<T>(&self, f: impl FnOnce(&Steps) -> T) -> T {
        f(&self.0.lock().expect("no panic"))
    }
}

#[test]
fn a_transaction_that_grows_too_large_fails_at_the_statement_and_can_be_ended() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, x LONGTEXT); INSERT INTO t VALUES (0, 'before')");
    let insert = |id: u64| format!("INSERT INTO t VALUES ({id}, REPEAT('x', {}))", 16 << 20);
    for (end, left) in [("ROLLBACK", "0"), ("COMMIT", "7")] {
        s.run("BEGIN");
        for id in 1..=7 {
            s.run(&insert(id));
        }
        // 8 times 16 MiB, and what is around them.
        for id in [8, 9] {
            let error = s.try_run(&insert(id)).map(drop).expect_err("too large");
            assert_eq!(error.code, 1197, "{error}");
            assert!(error.message.contains("128 MiB"), "{error}");
        }
        assert!(s.session.in_transaction());
        // The statement is taken back and nothing else, and what is small still fits.
        s.run("UPDATE t SET x = 'after' WHERE id = 0");
        assert_eq!(s.rows("SELECT COUNT(*), MAX(id) FROM t"), ["8|7"]);
        s.run(end);
        assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE id > 0"), [left]);
    }
    s.run("DELETE FROM t WHERE id > 0");
    // What comes to nothing within the transaction takes no room in the block; a savepoint gives back what came after it.
    s.run("BEGIN");
    for id in 1..=4 {
        s.run(&insert(id));
        s.run(&format!("DELETE FROM t WHERE id = {id}"));
    }
    s.run("SAVEPOINT p");
    for id in 1..=4 {
        s.run(&insert(id));
    }
    s.run("ROLLBACK TO p");
    for id in 1..=6 {
        s.run(&insert(id));
    }
    s.run("COMMIT");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE id > 0"), ["6"]);
    // A single statement hears the same.
    assert_eq!(s.error("INSERT INTO t SELECT id + 10, CONCAT(x, x) FROM t WHERE id > 0"), 1197);
    assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE id > 0"), ["6"]);
}

/// A statement that was begun and waits.
fn begun(s: &mut support::TestSession, sql: &str) -> p2pdb_engine::Wait {
    let statement = s.session.prepare(sql).expect("a statement");
    match s.session.start(&statement, Vec::new(), &mut support::Rows::default()) {
        Progress::Waiting(wait) => wait,
        Progress::Done(r) => panic!("{sql} does not wait: {:?}", r.map(|o| o.affected)),
    }
}

fn resumed(s: &mut support::TestSession) -> Result<u64, u16> {
    match s.session.resume(&mut support::Rows::default()) {
        Progress::Done(r) => r.map(|o| o.affected).map_err(|e| e.code),
        Progress::Waiting(_) => panic!("still waits"),
    }
}

#[test]
fn kill_ends_a_wait_for_the_writer_at_once() {
    let node = table();
    let (mut holder, mut killer) = (node.session(), node.session());
    holder.run("BEGIN; UPDATE d.t SET v = 11 WHERE id = 1");
    for (begin, query_only) in [("", true), ("BEGIN", true), ("", false), ("BEGIN", false)] {
        let mut waiting = node.session();
        if !begin.is_empty() {
            waiting.run(begin);
            waiting.rows("SELECT v FROM d.t WHERE id = 2");
        }
        let id = waiting.rows("SELECT CONNECTION_ID()").remove(0);
        let wait = begun(&mut waiting, "INSERT INTO d.t VALUES (7, 70)");
        assert!(!wait.is_ready());
        killer.run(&format!("KILL {} {id}", if query_only { "QUERY" } else { "CONNECTION" }));
        assert!(wait.is_ready(), "the wait ends while the writer is still held");
        assert_eq!(resumed(&mut waiting), Err(1317));
        assert_eq!(
            waiting.session.in_transaction(),
            !begin.is_empty(),
            "the statement ends, not the transaction"
        );
        assert_eq!(waiting.session.killed(), !query_only);
        assert_eq!(waiting.rows("SELECT COUNT(*) FROM d.t WHERE id = 7"), ["0"]);
    }
    holder.run("COMMIT");
    assert_eq!(killer.rows("SELECT id, v FROM d.t ORDER BY id"), ["1|11", "2|20"]);
}

#[test]
fn a_session_that_goes_while_it_waits_writes_nothing() {
    let node = table();
    let mut holder = node.session();
    holder.run("BEGIN; UPDATE d.t SET v = 11 WHERE id = 1");
    let (mut alone, mut inside) = (node.session(), node.session());
    let first = begun(&mut alone, "INSERT INTO d.t VALUES (7, 70)");
    inside.run("BEGIN");
    let second = begun(&mut inside, "INSERT INTO d.t VALUES (8, 80)");
    assert!(!first.is_ready() && !second.is_ready());
    drop((alone, inside));
    holder.run("COMMIT; INSERT INTO d.t VALUES (9, 90)");
    assert_eq!(holder.rows("SELECT id FROM d.t ORDER BY id"), ["1", "2", "9"]);
}

fn one(s: &mut support::TestSession) -> Result<String, u16> {
    let mut rows = support::Rows::default();
    match s.session.resume(&mut rows) {
        Progress::Done(r) => r.map(|_| rows.rows.concat().join("|")).map_err(|e| e.code),
        Progress::Waiting(_) => panic!("still waits"),
    }
}

#[test]
fn locks_by_name_wait_for_their_owner_and_go_with_it() {
    let node = table();
    let (mut a, mut b, mut c) = (node.session(), node.session(), node.session());
    assert_eq!(a.rows("SELECT GET_LOCK('m', 0)"), ["1"]);
    assert_eq!(b.rows("SELECT GET_LOCK('M', 0)"), ["0"]);
    assert_eq!(b.rows("SELECT RELEASE_LOCK('m')"), ["0"]);
    let first = begun(&mut b, "SELECT GET_LOCK('m', 100)");
    let second = begun(&mut c, "SELECT GET_LOCK('m', 100)");
    // Others work on, at the writer too.
    node.session().run("UPDATE d.t SET v = 12 WHERE id = 1");
    assert!(!first.is_ready() && !second.is_ready());
    assert_eq!(a.rows("SELECT RELEASE_LOCK('m')"), ["1"]);
    assert!(first.is_ready() && !second.is_ready());
    assert_eq!(one(&mut b), Ok("1".to_owned()));
    drop(b);
    assert_eq!(one(&mut c), Ok("1".to_owned()));
    assert_eq!(a.rows("SELECT IS_FREE_LOCK('m')"), ["0"]);
    c.session.reset();
    assert_eq!(a.rows("SELECT IS_FREE_LOCK('m')"), ["1"]);
}

#[test]
fn a_wait_for_a_lock_ends_by_time_by_kill_and_as_a_deadlock() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.rows("SELECT GET_LOCK('x', 0)");
    b.rows("SELECT GET_LOCK('y', 0)");
    let wait = begun(&mut b, "SELECT GET_LOCK('x', 2), IS_USED_LOCK('x') IS NULL");
    assert_eq!(a.error("SELECT GET_LOCK('y', 2)"), 3058);
    node.clock.advance_ms(3_000);
    // Whatever happens at the writer makes it look at the clock.
    a.run("UPDATE d.t SET v = 12 WHERE id = 1");
    wait.block();
    assert_eq!(one(&mut b), Ok("0|0".to_owned()));
    let id = b.rows("SELECT CONNECTION_ID()").remove(0);
    let wait = begun(&mut b, "SELECT GET_LOCK('x', -1)");
    a.run(&format!("KILL QUERY {id}"));
    assert!(wait.is_ready());
    assert_eq!(one(&mut b), Err(1317));
    assert_eq!(b.rows("SELECT IS_USED_LOCK('y') = CONNECTION_ID()"), ["1"], "what it has it keeps");
}

#[test]
fn sleep_lasts_its_time_or_until_it_is_killed_and_stalls_nobody() {
    let node = table();
    let (mut sleeper, mut other) = (node.session(), node.session());
    let wait = begun(&mut sleeper, "SELECT SLEEP(2.5) AS slept, 7");
    node.clock.advance_ms(2_000);
    other.run("UPDATE d.t SET v = 12 WHERE id = 1");
    assert!(!wait.is_ready());
    node.clock.advance_ms(1_000);
    other.run("UPDATE d.t SET v = 13 WHERE id = 1");
    wait.block();
    assert_eq!(one(&mut sleeper), Ok("0|7".to_owned()));
    let id = sleeper.rows("SELECT CONNECTION_ID()").remove(0);
    let wait = begun(&mut sleeper, "SELECT SLEEP(1000)");
    other.run(&format!("KILL QUERY {id}"));
    assert!(wait.is_ready());
    assert_eq!(one(&mut sleeper), Ok("1".to_owned()));
}

#[test]
fn flush_tables_with_read_lock_reads_one_snapshot_and_writes_nothing() {
    let node = table();
    let (mut a, mut b) = (node.session(), node.session());
    a.run("FLUSH TABLES WITH READ LOCK");
    b.run("INSERT INTO d.t VALUES (3, 30)");
    assert_eq!(a.rows("SELECT COUNT(*) FROM d.t"), ["2"]);
    for writes in [
        "INSERT INTO d.t VALUES (4, 40)",
        "CREATE TABLE d.u (i INT)",
        "TRUNCATE TABLE d.t",
        "DROP TABLE d.nope",
        "CREATE USER u",
        "SELECT * FROM d.t FOR UPDATE",
    ] {
        assert_eq!(a.error(writes), 1223, "{writes}");
    }
    assert_eq!(a.error("LOCK TABLES d.nope READ"), 1146);
    assert_eq!(a.rows("SELECT COUNT(*) FROM d.t"), ["2"], "it is in force still");
    a.run("UNLOCK TABLES");
    assert_eq!(a.rows("SELECT COUNT(*) FROM d.t"), ["3"]);
    a.run("INSERT INTO d.t VALUES (4, 40)");
    // As dumps do: the lock is let go once the snapshot of the transaction is there.
    a.run("FLUSH TABLES WITH READ LOCK; START TRANSACTION WITH CONSISTENT SNAPSHOT; UNLOCK TABLES");
    b.run("DELETE FROM d.t");
    assert_eq!(a.rows("SELECT COUNT(*) FROM d.t"), ["4"]);
    a.run("COMMIT");
    assert_eq!(a.rows("SELECT COUNT(*) FROM d.t"), ["0"]);
}

/// MySQL 8.0 manual, sections 15.3.1 and 15.3.7.
#[test]
fn a_chained_transaction_is_like_the_one_before_it() {
    let node = Node::begin(1);
    let (mut s, mut other) = (node.session(), node.session());
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT)");
    other.run("USE d");
    let mut sees_new_rows = |s: &mut TestSession| {
        let before = s.rows("SELECT COUNT(*) FROM t");
        other.run("INSERT INTO t VALUES (1)");
        s.rows("SELECT COUNT(*) FROM t") != before
    };
    for chain in ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"] {
        s.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION");
        assert!(sees_new_rows(&mut s), "it is READ COMMITTED");
        s.run(chain);
        assert!(sees_new_rows(&mut s), "{chain} begins another like it");
        // What the session has from now on holds for transactions that begin by themselves.
        s.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
        s.run(chain);
        assert!(sees_new_rows(&mut s));
        // BEGIN instead of a COMMIT keeps what SET TRANSACTION has set, too.
        s.run("BEGIN");
        assert!(sees_new_rows(&mut s));
        s.run("COMMIT; BEGIN");
        assert!(!sees_new_rows(&mut s), "the next is as the session has it");
        s.run("COMMIT");
        s.run("BEGIN; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; BEGIN");
        assert!(!sees_new_rows(&mut s), "BEGIN begins another like the one that it ends");
        s.run("COMMIT; SET SESSION tx_isolation = 'REPEATABLE-READ'");
        // What is set for one transaction is over with it, with a COMMIT alone, and where the session is told otherwise.
        for end in ["COMMIT", "ROLLBACK", "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"] {
            s.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
            s.run(end);
            s.run("BEGIN");
            assert!(!sees_new_rows(&mut s), "{end}");
            s.run("COMMIT");
        }
        // Chained to nothing, it takes writes.
        s.run(&format!("{chain}; INSERT INTO t VALUES (2); COMMIT"));
        s.run(&format!("SET TRANSACTION READ ONLY; BEGIN; {chain}"));
        assert_eq!(s.error("INSERT INTO t VALUES (2)"), 1792);
        s.run("COMMIT; INSERT INTO t VALUES (2)");
        s.run("SET TRANSACTION READ ONLY; COMMIT; INSERT INTO t VALUES (2)");
        // The commit of a chain has a GTID as any other.
        s.run("BEGIN; INSERT INTO t VALUES (3)");
        assert_eq!(s.run(chain).gtid.is_some(), chain.starts_with("COMMIT"));
        s.run("INSERT INTO t VALUES (3)");
        assert!(s.run("BEGIN").gtid.is_some());
        s.run("COMMIT");
    }
}

/// At READ COMMITTED, and with a savepoint alone, a transaction is open that holds no snapshot.
#[test]
fn autocommit_ends_what_is_open_and_only_where_it_is_turned_on() {
    let node = Node::begin(1);
    let (mut s, mut other) = (node.session(), node.session());
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT)");
    other.run("USE d");
    for (i, begins) in [
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; SET autocommit = 0; SELECT * FROM t",
        "SET autocommit = 0; SAVEPOINT a",
    ]
    .into_iter()
    .enumerate()
    {
        s.run(begins);
        let insert = format!("INSERT INTO t VALUES ({i})");
        s.run(&format!("SET autocommit = 1; {insert}"));
        assert_eq!(other.rows(&format!("SELECT COUNT(*) FROM t WHERE i = {i}")), ["1"], "{begins}");
    }
    s.run("SET autocommit = 0; INSERT INTO t VALUES (7); SET autocommit = 0");
    assert_eq!(s.error("SET autocommit = 5"), 1231);
    assert_eq!(s.error("SET autocommit = 1, sql_mode = 'nonsense'"), 1231);
    s.run("ROLLBACK; SET autocommit = 1");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE i = 7"), ["0"]);
    // The values of a SET are those from before it, whatever it commits.
    s.run("SET @a = 1; SET autocommit = 0; INSERT INTO t VALUES (8)");
    let outcome = s.run("SET @a = 2, autocommit = 1, @b = @a, time_zone = 'UTC'");
    assert_eq!(s.rows("SELECT @a, @b"), ["2|1"]);
    assert!(outcome.gtid.is_some());
    let told: Vec<&str> = outcome.variables_changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(told, ["autocommit", "time_zone"]);
    s.run("SET autocommit = 0; SELECT * FROM t");
    let outcome = s.run("SET sql_mode = '', autocommit = 1");
    assert_eq!(outcome.variables_changed.len(), 2, "what came before the commit is told, too");
}

#[test]
fn a_read_only_transaction_takes_no_writes_however_it_began() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT); SET autocommit = 0");
    for begins in [
        "SET TRANSACTION READ ONLY; SAVEPOINT a; COMMIT AND CHAIN",
        "SET TRANSACTION READ ONLY, ISOLATION LEVEL READ COMMITTED; SELECT * FROM t; COMMIT AND CHAIN",
        "SET TRANSACTION READ ONLY; SELECT * FROM t FOR SHARE",
        "SET TRANSACTION READ ONLY, ISOLATION LEVEL READ COMMITTED; SELECT * FROM t; SELECT * FROM t FOR SHARE",
        "SAVEPOINT a; SET TRANSACTION READ ONLY; SELECT * FROM t",
        "START TRANSACTION READ ONLY; BEGIN",
        "SET SESSION TRANSACTION READ ONLY; BEGIN; SET SESSION TRANSACTION READ WRITE; BEGIN",
        "BEGIN; START TRANSACTION READ ONLY",
    ] {
        s.run(begins);
        assert_eq!(s.error("INSERT INTO t VALUES (1)"), 1792, "{begins}");
        assert_eq!(s.error("SELECT * FROM t FOR UPDATE"), 1792, "{begins}");
        s.run("ROLLBACK");
    }
    s.run("SET TRANSACTION READ ONLY");
    assert_eq!(s.error("SELECT * FROM t FOR UPDATE"), 1792);
    // What commits is the end of what SET TRANSACTION has set, also where nothing is open.
    for ends in ["LOCK TABLES t WRITE", "UNLOCK TABLES", "ANALYZE TABLE t", "FLUSH TABLES"] {
        s.run("SET TRANSACTION READ ONLY");
        if ends == "UNLOCK TABLES" {
            s.run("LOCK TABLES t WRITE; SET TRANSACTION READ ONLY");
        }
        s.run(ends);
        s.run("INSERT INTO t VALUES (1); ROLLBACK; UNLOCK TABLES");
    }
    s.run("SET TRANSACTION READ ONLY");
    assert_eq!(s.error("CREATE TABLE t (i INT)"), 1050);
    s.run("INSERT INTO t VALUES (1); ROLLBACK; SET autocommit = 1");
    // The lock of FLUSH is no transaction of the client's.
    s.run("FLUSH TABLES WITH READ LOCK; BEGIN; UNLOCK TABLES; INSERT INTO t VALUES (2); COMMIT");
}

#[test]
fn flush_tables_with_read_lock_reads_one_state_at_every_level() {
    let node = Node::begin(1);
    let (mut s, mut other) = (node.session(), node.session());
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT)");
    other.run("USE d");
    s.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; FLUSH TABLES WITH READ LOCK");
    other.run("INSERT INTO t VALUES (1)");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t"), ["0"]);
    other.run("INSERT INTO t VALUES (1)");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t"), ["0"]);
    s.run("UNLOCK TABLES");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t"), ["2"]);
}

/// In a transaction; by itself no statement holds a lock beyond its end.
#[test]
fn a_locking_read_locks_wherever_its_value_goes() {
    let node = Node::begin(1);
    let (mut s, mut other) = (node.session(), node.session());
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT); INSERT INTO t VALUES (1)");
    s.run("CREATE PROCEDURE sets() BEGIN DECLARE n INT; SET n = (SELECT MAX(i) + 1 FROM t FOR UPDATE); INSERT INTO t VALUES (n); END");
    s.run("CREATE PROCEDURE given(n INT) SET @given = n");
    s.run(
        "CREATE PROCEDURE asks() BEGIN IF (SELECT MAX(i) FROM t FOR UPDATE) > 0 THEN SET @x = 1; END IF; END",
    );
    s.run("CREATE PROCEDURE counts() BEGIN DECLARE n INT DEFAULT 0; WHILE n < (SELECT MIN(i) FROM t FOR SHARE SKIP LOCKED) DO SET n = n + 1; END WHILE; END");
    s.run("CREATE PROCEDURE calls() CALL given((SELECT MAX(i) + 1 FROM t FOR UPDATE))");
    s.run("CREATE PROCEDURE cases() BEGIN CASE (SELECT MIN(i) FROM t FOR UPDATE) WHEN 1 THEN SET @x = 1; END CASE; END");
    other.run("USE d");
    for locks in [
        "SET @n = (SELECT MAX(i) + 1 FROM t FOR UPDATE)",
        "SET @n = (SELECT MAX(i) + 1 FROM t FOR SHARE)",
        "SET @n = (SELECT MAX(i) + 1 FROM t FOR UPDATE SKIP LOCKED), @m = 1",
        "CALL sets()",
        "CALL given((SELECT MAX(i) + 1 FROM t FOR UPDATE))",
        "CALL calls()",
        "CALL asks()",
        "CALL counts()",
        "CALL cases()",
    ] {
        s.run("BEGIN");
        s.run(locks);
        assert_eq!(other.error("SELECT * FROM t FOR UPDATE NOWAIT"), 3572, "{locks}");
        s.run("COMMIT");
    }
    assert_eq!(s.rows("SELECT * FROM t"), ["1", "2"]);
    s.run("CREATE TEMPORARY TABLE own (i INT); BEGIN; SET @n = (SELECT MAX(i) FROM own FOR UPDATE)");
    other.run("SELECT * FROM t FOR UPDATE NOWAIT");
    s.run("COMMIT");
    s.run("SET @n = (SELECT MAX(i) FROM t FOR UPDATE)");
    other.run("INSERT INTO t VALUES (9)");
    s.run("START TRANSACTION READ ONLY");
    assert_eq!(s.error("SET @n = (SELECT MAX(i) FROM t FOR UPDATE)"), 1792);
    s.run("SET @n = (SELECT MAX(i) FROM t FOR SHARE); COMMIT");
    assert_eq!(s.rows("SELECT @n"), ["9"]);
}

/// The lock is taken before, and the expression computed once.
#[test]
fn an_expression_that_locks_is_computed_once() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT); INSERT INTO t VALUES (1), (2); CREATE TEMPORARY TABLE own (i INT)");
    let tests = [
        ("SET n = (SELECT MAX(i) FROM t FOR UPDATE) + (@c := @c + 1); SET @n = n", "1|3"),
        ("IF (SELECT @c := @c + 1 FROM t LIMIT 1 FOR UPDATE) > 0 THEN SET @n = 1; END IF", "1|1"),
        (
            "INSERT INTO own VALUES (1), (2), (3); SET n = ROW_COUNT() + (SELECT MAX(i) FROM t FOR UPDATE); SET @n = n",
            "0|5",
        ),
        (
            "SELECT SQL_CALC_FOUND_ROWS i FROM t LIMIT 1; SET n = FOUND_ROWS() + (SELECT MAX(i) FROM t FOR UPDATE); SET @n = n",
            "0|4",
        ),
    ];
    for (body, expected) in tests {
        s.run(&format!("DROP PROCEDURE IF EXISTS p; CREATE PROCEDURE p() BEGIN DECLARE n INT; {body}; END"));
        for begin in ["COMMIT", "BEGIN"] {
            s.run(&format!("SET @c = 0, @n = 0; {begin}"));
            s.run("CALL p()");
            s.run("COMMIT");
            assert_eq!(s.rows("SELECT @c, @n"), [expected], "{begin}: {body}");
        }
    }
    s.run("DROP PROCEDURE p; CREATE PROCEDURE p() IF (SELECT MAX(i) FROM t FOR UPDATE) > 0 THEN SET @n = 1; END IF");
    let count =
        |s: &mut TestSession| s.rows("SHOW STATUS WHERE Variable_name IN ('Com_do', 'Com_empty_query')");
    s.run("BEGIN");
    let before = count(&mut s);
    s.run("CALL p()");
    assert_eq!(count(&mut s), before, "nobody has said it");
}

/// MySQL 8.4 manual, section 15.3.3; errors of its parser commit nothing.
#[test]
fn what_fails_before_it_runs_commits_or_not_as_in_mysql() {
    let node = Node::begin(1);
    let mut root = node.session();
    root.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT); CREATE TABLE u (i INT)");
    root.run("CREATE USER ann IDENTIFIED BY 'x'; GRANT SELECT, INSERT, LOCK TABLES ON d.* TO ann");
    let mut s = node.session_as("ann").expect("a session");
    for (i, (said, code, commits)) in [
        ("DROP TABLE nope", 1046, false),
        ("LOCK TABLES t READ", 1046, false),
        ("CREATE TABLE d.x (c CHAR(1) CHARACTER SET nope)", 1115, false),
        ("CREATE TABLE d.`a ` (i INT)", 1103, false),
        ("DROP TABLE", 1064, false),
        ("LOCK TABLES d.t READ, d.t WRITE", 1066, false),
        ("CREATE TABLE d.x (i INT(999))", 1439, false),
        ("CREATE TABLE d.x (i INT, i INT)", 1060, true),
        ("CREATE TABLE d.x (c VARCHAR(70000))", 1074, true),
        ("/*!99999 DROP */ SELECT * FROM d.nope", 1146, false),
        ("TRUNCATE TABLE d.t", 1142, true),
        ("DROP TABLE d.t", 1142, true),
        ("LOCK TABLES d.nope READ", 1146, true),
        ("FLUSH TABLES", 1227, true),
    ]
    .into_iter()
    .enumerate()
    {
        s.run(&format!("BEGIN; INSERT INTO d.t VALUES ({i})"));
        assert_eq!(s.error(said), code, "{said}");
        s.run("ROLLBACK");
        let stays = s.rows(&format!("SELECT COUNT(*) FROM d.t WHERE i = {i}"));
        assert_eq!(stays, [u8::from(commits).to_string()], "{said}");
    }
    // What was locked is let go first.
    root.run("LOCK TABLES t READ");
    assert_eq!(root.error("LOCK TABLES nope READ"), 1146);
    root.run("INSERT INTO t VALUES (100); LOCK TABLES t READ");
    assert_eq!(root.error("LOCK TABLES u READ, u WRITE"), 1066);
    assert_eq!(root.error("INSERT INTO t VALUES (101)"), 1099, "what was locked stays so");
    // Of what came before there is no word.
    root.run("UNLOCK TABLES; SELECT CAST('x' AS SIGNED)");
    assert_eq!(root.error("DROP TABLE nope"), 1051);
    assert_eq!(root.rows("SHOW WARNINGS"), ["Error|1051|Unknown table 'd.nope'"]);
    root.run("LOCK TABLES u READ, u AS v WRITE; UNLOCK TABLES");
}

#[test]
fn a_statement_that_fails_commits_where_it_runs_and_not_where_it_is_prepared() {
    let node = Node::begin(1);
    let mut s = node.session();
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT)");
    for (i, fails) in
        ["DROP TABLE nope", "/* a */ DROP TABLE nope", "/*!40000 DROP TABLE nope */", "LOCK TABLES nope READ"]
            .into_iter()
            .enumerate()
    {
        s.run(&format!("BEGIN; INSERT INTO t VALUES ({i})"));
        assert!(matches!(s.error(fails), 1051 | 1146), "{fails}");
        s.run("ROLLBACK");
        assert_eq!(s.rows("SELECT COUNT(*) FROM t"), [(i + 1).to_string()], "{fails}");
    }
    // In a procedure, also where a handler goes on, and of a statement that was right when it was prepared.
    s.run("CREATE PROCEDURE fails() DROP TABLE nope; CREATE TABLE w (i INT)");
    s.run(
        "CREATE PROCEDURE goes_on() BEGIN DECLARE CONTINUE HANDLER FOR 1051 BEGIN END; DROP TABLE nope; END",
    );
    s.run("PREPARE p FROM 'DROP TABLE w'; DROP TABLE w");
    for (i, (fails, code)) in
        [("CALL fails()", 1051), ("CALL goes_on()", 0), ("EXECUTE p", 1051)].into_iter().enumerate()
    {
        s.run(&format!("BEGIN; INSERT INTO t VALUES ({})", 20 + i));
        assert_eq!(s.try_run(fails).map_or_else(|e| e.code, |_| 0), code, "{fails}");
        s.run("ROLLBACK");
        assert_eq!(s.rows(&format!("SELECT COUNT(*) FROM t WHERE i = {}", 20 + i)), ["1"], "{fails}");
    }
    // Kept, it is looked at when it is run.
    s.run("BEGIN; INSERT INTO t VALUES (9); PREPARE p FROM 'DROP TABLE nope'");
    let kept = s.session.prepare_to_keep("DROP TABLE nope").expect("it may be there later");
    s.run("ROLLBACK");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE i = 9"), ["0"]);
    s.run("BEGIN; INSERT INTO t VALUES (9)");
    assert_eq!(s.error("EXECUTE p"), 1051);
    s.run("ROLLBACK");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE i = 9"), ["1"]);
    s.run("CREATE TABLE nope (i INT); EXECUTE p");
    assert_eq!(s.error("SELECT * FROM nope"), 1146);
    s.run("BEGIN; INSERT INTO t VALUES (10)");
    assert_eq!(s.try_prepared(&kept).map(|_| ()).expect_err("gone again").code, 1051);
    s.run("ROLLBACK");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE i = 10"), ["1"]);
    s.run("CREATE PROCEDURE dynamic() BEGIN SET @s = 'DROP TABLE nope'; PREPARE q FROM @s; EXECUTE q; END");
    s.run("BEGIN; INSERT INTO t VALUES (11)");
    assert_eq!(s.error("CALL dynamic()"), 1051);
    s.run("ROLLBACK");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t WHERE i = 11"), ["1"]);
    // What is not there yet will not be there then, either.
    assert_eq!(s.error("PREPARE p FROM 'CREATE TABLE z (i INT) PARTITION BY HASH (i)'"), 1235);
}

#[test]
fn the_snapshot_is_of_the_first_read_of_a_table() {
    let node = Node::begin(1);
    let (mut s, mut other) = (node.session(), node.session());
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT)");
    other.run("USE d");
    s.run("BEGIN; SELECT 1; SHOW TABLES; SELECT @@autocommit");
    other.run("INSERT INTO t VALUES (1)");
    assert_eq!(s.rows("SELECT COUNT(*) FROM t"), ["1"]);
    s.run("COMMIT; SET autocommit = 0; SAVEPOINT a; SELECT 1");
    assert!(!s.session.in_transaction());
    s.run("SET SESSION TRANSACTION READ ONLY");
    assert_eq!(s.error("INSERT INTO t VALUES (2)"), 1792);
    s.run("SET SESSION TRANSACTION READ WRITE; SET autocommit = 1");
    for (level, expected, warnings) in [("READ COMMITTED", "2", 1), ("REPEATABLE READ", "2", 0)] {
        s.run(&format!("SET SESSION TRANSACTION ISOLATION LEVEL {level}"));
        assert_eq!(s.run("START TRANSACTION WITH CONSISTENT SNAPSHOT").warnings, warnings, "{level}");
        other.run("INSERT INTO t VALUES (3)");
        assert_eq!(s.rows("SELECT COUNT(*) FROM t"), [expected], "{level}");
        s.run("COMMIT");
    }
    s.run("FLUSH TABLES WITH READ LOCK");
    assert!(!s.session.in_transaction());
    s.run("SET TRANSACTION READ ONLY; UNLOCK TABLES");
    assert_eq!(s.error("INSERT INTO t VALUES (4)"), 1792, "for the next transaction, which that was none");
    s.run("COMMIT; INSERT INTO t VALUES (4)");
}

#[test]
fn autocommit_stays_off_where_the_commit_fails() {
    let node = Node::begin(1);
    let (mut s, mut other) = (node.session(), node.session());
    s.run("CREATE DATABASE d; USE d; CREATE TABLE t (i INT)");
    other.run("USE d");
    s.run("SET autocommit = 0; INSERT INTO t VALUES (1)");
    // It idles for too long, and somebody else takes the writer.
    while_time_passes(&node, || other.run("INSERT INTO t VALUES (2)"));
    assert_eq!(s.error("SET autocommit = 1"), 1213);
    s.run("INSERT INTO t VALUES (3); ROLLBACK");
    assert_eq!(s.rows("SELECT * FROM t"), ["2"]);
}

/// As in MySQL (`Prepared_statement::execute`): not in the database that is the current one then.
#[test]
fn a_prepared_statement_runs_in_the_database_that_it_was_prepared_in() {
    let node = Node::begin(1);
    let mut s = node.session();
    for db in ["a", "b"] {
        s.run(&format!(
            "CREATE DATABASE {db}; USE {db}; CREATE TABLE t (i INT); INSERT INTO t VALUES (1), (2)"
        ));
    }
    s.run("CREATE TABLE nope (i INT); CREATE PROCEDURE inside() BEGIN EXECUTE d USING @x; SELECT DATABASE() INTO @inside; END");
    s.run("CREATE PROCEDURE prepares() PREPARE q FROM 'DELETE FROM t'");
    s.run("USE a; PREPARE d FROM 'DELETE FROM t WHERE i = ?'; PREPARE n FROM 'SELECT COUNT(*), DATABASE() FROM t'");
    s.run("PREPARE gone FROM 'DROP TABLE nope'; PREPARE c FROM 'CALL b.inside()'");
    let kept = s.session.prepare_to_keep("INSERT INTO t VALUES (7)").expect("a statement");
    s.run("USE b; SET @x = 1; EXECUTE d USING @x");
    assert_eq!(
        s.rows("SELECT (SELECT COUNT(*) FROM a.t), (SELECT COUNT(*) FROM b.t), DATABASE()"),
        ["1|2|b"]
    );
    assert_eq!(s.error("EXECUTE gone"), 1051);
    assert_eq!(s.rows("SELECT COUNT(*), DATABASE() FROM nope"), ["0|b"]);
    s.run("CREATE TABLE other (i INT)");
    assert_eq!(s.rows("EXECUTE n"), ["1|a"]);
    s.try_prepared(&kept).expect("inserted");
    s.run("BEGIN");
    s.try_prepared(&kept).expect("inserted");
    s.run("ROLLBACK; SET @x = 2; EXECUTE c");
    assert_eq!(s.rows("SELECT @inside, DATABASE()"), ["b|b"]);
    assert_eq!(s.rows("SELECT * FROM a.t"), ["7"]);
    // What a procedure prepares is at home in the procedure's.
    s.run("USE a; CALL b.prepares(); EXECUTE q");
    assert_eq!(
        s.rows("SELECT (SELECT COUNT(*) FROM a.t), (SELECT COUNT(*) FROM b.t), DATABASE()"),
        ["1|0|a"]
    );
    s.session.reset();
    assert_eq!(s.rows("SELECT DATABASE()"), ["a"]);
    // Of those that are dropped none is anybody's current one.
    s.run("CREATE DATABASE x; PREPARE d FROM 'DROP DATABASE x'; USE x");
    assert_eq!(s.run("EXECUTE d").schema_changed.as_deref(), Some(""));
    assert_eq!(s.rows("SELECT DATABASE()"), ["NULL"]);
    s.run("CREATE DATABASE x; USE x; PREPARE d FROM 'DROP DATABASE x'; USE b");
    assert_eq!(s.run("EXECUTE d").schema_changed, None);
    assert_eq!(s.rows("SELECT DATABASE()"), ["b"]);
    s.run("CREATE DATABASE x; USE x; PREPARE d FROM 'DROP DATABASE x'; USE information_schema");
    assert_eq!(s.run("EXECUTE d").schema_changed, None);
    assert_eq!(s.rows("SELECT DATABASE()"), ["information_schema"]);
    for cannot in ["USE b", "PREPARE e FROM ''SELECT 1''", "EXECUTE d", "DEALLOCATE PREPARE d"] {
        assert_eq!(s.error(&format!("PREPARE p FROM '{cannot}'")), 1295, "{cannot}");
    }
}
