//! Statements from anywhere, run to their end against a small database: whatever the text and the parameters, the
//! answer is rows, OK or an error, the session goes on, and nothing panics. Used by the smoke test here and by the
//! cargo-fuzz targets in `crates/engine/fuzz`.

use p2pdb_engine::{Progress, Step};
use p2pdb_sql::front::Literal;

use super::support::{Node, Rows, TestSession};

// The clock of the tests moves a microsecond at each look, and programs look at each of their steps: what would run for ever
// is over soon (`max_execution_time`).

/// Statements after which the database is made anew: what they dropped is there again.
const STATEMENTS_PER_WORLD: u32 = 500;

const SETUP: &str = "
    DROP DATABASE IF EXISTS test; CREATE DATABASE test; USE test;
    CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20), c DECIMAL(10,2), d DATETIME(3), e ENUM('x','y'),
        f JSON, g DOUBLE, h BLOB, KEY (a), UNIQUE KEY (b));
    CREATE TABLE u (id INT PRIMARY KEY, t_id INT, n BIGINT UNSIGNED, s SET('p','q','r'), y YEAR, m TIME, z BIT(8),
        CHECK (n < 1000000), FOREIGN KEY (t_id) REFERENCES t (id) ON DELETE CASCADE);
    INSERT INTO t VALUES (1, 10, 'one', 1.50, '2024-02-29 12:34:56.789', 'x', '{\"k\": [1, 2]}', 1.5, x'00ff'),
        (2, 20, 'Zwei', -0.01, NULL, 'y', 'null', -1e300, ''), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO u VALUES (1, 1, 7, 'p,q', 2024, '-838:59:59', b'1'), (2, 2, 18446, '', 0, '00:00:01', b'0');
    CREATE VIEW v AS SELECT t.id, b, n FROM t LEFT JOIN u ON t.id = t_id;
    CREATE PROCEDURE p(n INT, OUT o INT) BEGIN IF n > 0 THEN INSERT INTO u (id, n) VALUES (n + 100, n); CALL p(n - 1, o); \
        ELSEIF n = 0 THEN SET o = f(n); ELSE SIGNAL SQLSTATE '45000'; END IF; SELECT n; END;
    CREATE FUNCTION f(x INT) RETURNS INT DETERMINISTIC RETURN x * 2;
    CREATE TRIGGER bi BEFORE INSERT ON t FOR EACH ROW SET NEW.a = IFNULL(NEW.a, f(NEW.id));
    SET max_sp_recursion_depth = 5;
    SET max_execution_time = 20";

pub struct World {
    node: Node,
    session: TestSession,
    runs: u32,
    /// Statements that ended well.
    pub done: u32,
}

impl World {
    pub fn new() -> World {
        let node = Node::begin_by_hand(1);
        let session = node.session();
        World { node, session, runs: 0, done: 0 }
    }

    /// Any bytes as one or several statements.
    pub fn text(&mut self, bytes: &[u8]) {
        self.begin();
        let text = String::from_utf8_lossy(bytes).into_owned();
        let statements: Vec<String> =
            self.session.session.split(&text).into_iter().map(str::to_owned).collect();
        for sql in statements {
            self.run(&sql, Vec::new());
        }
    }

    /// A statement up to the first line's end; behind it, parameters: one byte says the kind, then come its bytes.
    pub fn prepared(&mut self, bytes: &[u8]) {
        self.begin();
        let end = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut rest = &bytes[(end + 1).min(bytes.len())..];
        let mut params = Vec::new();
        while let Some((kind, tail)) = rest.split_first() {
            let (literal, tail) = literal(*kind, tail);
            params.push(literal);
            rest = tail;
        }
        // Mostly as many as there should be: with the number wrong nothing else is tested.
        let marks = text.bytes().filter(|b| *b == b'?').count();
        if bytes.last().is_some_and(|b| b % 8 != 0) {
            params.resize(marks, Literal::int(1));
        }
        // Twice: the second time the plan is there.
        self.run(&text, params.clone());
        self.run(&text, params);
    }

    fn begin(&mut self) {
        if self.runs.is_multiple_of(STATEMENTS_PER_WORLD) {
            self.session = self.node.session();
            let all: Vec<String> = self.session.session.split(SETUP).into_iter().map(str::to_owned).collect();
            for sql in all {
                self.run(&sql, Vec::new()).unwrap_or_else(|| panic!("{sql}"));
            }
        }
        self.runs += 1;
    }

    /// None: an error, or a wait that only others could end.
    fn run(&mut self, sql: &str, params: Vec<Literal>) -> Option<()> {
        let mut rows = Rows::default();
        let session = &mut self.session.session;
        let statement = session.prepare(sql).ok()?;
        let mut progress = session.start(&statement, params, &mut rows);
        loop {
            match progress {
                Progress::Done(result) => {
                    if session.killed() {
                        self.session = self.node.session();
                    }
                    self.done += u32::from(result.is_ok());
                    return result.ok().map(drop);
                }
                Progress::Waiting(wait) => {
                    while self.node.engine.step_writer() == Step::Did {}
                    if !wait.is_ready() {
                        // SLEEP and the like: a client would go.
                        self.session = self.node.session();
                        self.run("USE test", Vec::new());
                        return None;
                    }
                    progress = session.resume(&mut rows);
                }
            }
        }
    }
}

fn literal(kind: u8, bytes: &[u8]) -> (Literal, &[u8]) {
    let number = || {
        let (head, rest) = bytes.split_at(bytes.len().min(8));
        (head.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)), rest)
    };
    let string = || {
        let (length, rest) = bytes.split_at(bytes.len().min(1));
        rest.split_at(rest.len().min(length.first().copied().unwrap_or(0).into()))
    };
    match kind % 6 {
        0 => (Literal::null(), bytes),
        1 => (Literal::int(number().0 as i64), number().1),
        2 => (Literal::uint(number().0), number().1),
        3 => (Literal::double(f64::from_bits(number().0)), number().1),
        4 => (Literal::text(String::from_utf8_lossy(string().0).into_owned()), string().1),
        _ => (Literal::bytes(string().0.to_vec()), string().1),
    }
}
