//! What concurrent transactions see of each other: the anomalies of *Hermitage* (Kleppmann,
//! <https://github.com/ept/hermitage>, names after Adya 1999), at each isolation level.
//!
//! `tests/hermitage/<level>.txt` holds the cases. `T1> statement` is a step of one of three sessions; what came of it
//! follows, indented by two blanks. A statement that has to wait says so, and goes on when what it waits for ends. Nothing
//! depends on time: the writer is stepped by hand until it has nothing to do. To write outcomes anew:
//! `UPDATE_GOLDEN=1 cargo test -p p2pdb-engine --test hermitage`, then read the difference.

mod support;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::Path;

use p2pdb_engine::{Outcome, Progress, Step, Wait};
use p2pdb_sql::error::SqlError;
use support::{Node, Rows, TestSession};

struct World {
    node: Node,
    sessions: Vec<TestSession>,
    waits: Vec<Option<Wait>>,
    /// What each session has to do once its wait is over.
    behind: Vec<VecDeque<String>>,
}

impl World {
    fn new(level: &str) -> World {
        let node = Node::begin_by_hand(1);
        let sessions = (0..3).map(|_| node.session()).collect();
        let mut world =
            World { node, sessions, waits: vec![None, None, None], behind: vec![VecDeque::new(); 3] };
        let level = level.replace('_', " ");
        let setup = ["create database d", "use d", "create table test (id int primary key, value int)"];
        for sql in setup.into_iter().chain(["insert into test (id, value) values (1, 10), (2, 20)"]) {
            assert!(world.step(0, sql).starts_with("ok"), "{sql}");
        }
        for i in 0..3 {
            assert_eq!(world.step(i, "use d"), "ok");
            assert_eq!(world.step(i, &format!("set session transaction isolation level {level}")), "ok");
        }
        world
    }

    fn pump(&self) {
        while self.node.engine.step_writer() == Step::Did {}
    }

    fn step(&mut self, i: usize, sql: &str) -> String {
        if self.waits[i].is_some() {
            self.behind[i].push_back(sql.to_owned());
            return "when it goes on".to_owned();
        }
        let mut rows = Rows::default();
        let progress = match self.sessions[i].session.prepare(sql) {
            Ok(statement) => self.sessions[i].session.start(&statement, Vec::new(), &mut rows),
            Err(e) => return e.to_string(),
        };
        self.follow(i, progress, rows)
    }

    /// As far as it goes.
    fn follow(&mut self, i: usize, mut progress: Progress, mut rows: Rows) -> String {
        loop {
            match progress {
                Progress::Done(result) => return outcome(result, &rows),
                Progress::Waiting(wait) => {
                    self.pump();
                    if !wait.is_ready() {
                        self.waits[i] = Some(wait);
                        return "waits".to_owned();
                    }
                    progress = self.sessions[i].session.resume(&mut rows);
                }
            }
        }
    }

    /// Those whose wait has ended, and what they had to do behind it.
    fn go_on(&mut self) -> Vec<String> {
        self.pump();
        let mut all = Vec::new();
        while let Some(i) = (0..3).find(|i| self.waits[*i].as_ref().is_some_and(Wait::is_ready)) {
            self.waits[i] = None;
            let mut rows = Rows::default();
            let progress = self.sessions[i].session.resume(&mut rows);
            all.push(format!("T{} goes on: {}", i + 1, self.follow(i, progress, rows)));
            while self.waits[i].is_none()
                && let Some(sql) = self.behind[i].pop_front()
            {
                all.push(format!("T{} {sql}: {}", i + 1, self.step(i, &sql)));
            }
            self.pump();
        }
        all
    }
}

fn outcome(result: Result<Outcome, SqlError>, rows: &Rows) -> String {
    match result {
        Err(e) => e.to_string(),
        Ok(o) if o.has_rows && rows.rows.is_empty() => "no rows".to_owned(),
        Ok(o) if o.has_rows => rows.rows.iter().map(|r| r.join(" => ")).collect::<Vec<_>>().join(", "),
        Ok(o) if o.affected > 0 => format!("ok, {} changed", o.affected),
        Ok(_) => "ok".to_owned(),
    }
}

fn run(level: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/hermitage/{level}.txt"));
    let expected = std::fs::read_to_string(&path).expect("cases");
    let mut actual = String::new();
    let mut world = None;
    for line in expected.lines().filter(|l| !l.starts_with("  ")) {
        writeln!(actual, "{line}").expect("a string");
        if line.starts_with("== ") {
            world = Some(World::new(level));
        } else if let Some((who, sql)) = line.split_once("> ") {
            let world = world.as_mut().expect("a case begins with its name");
            let i = who[1..].parse::<usize>().expect("T1 to T3") - 1;
            writeln!(actual, "  {}", world.step(i, sql)).expect("a string");
            for outcome in world.go_on() {
                writeln!(actual, "  {outcome}").expect("a string");
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).expect("written");
    } else {
        assert_eq!(actual, expected, "{}", path.display());
    }
}

#[test]
fn read_committed() {
    run("read_committed");
}

#[test]
fn repeatable_read() {
    run("repeatable_read");
}

#[test]
fn serializable() {
    run("serializable");
}
