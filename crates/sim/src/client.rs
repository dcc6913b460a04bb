//! A client of a node: runs what it was given, one statement after the other, and says what came of it.
//!
//! A transaction with an id leaves its mark in two tables, `w_a` at its beginning and `w_b` at its end, and reads `w_a`
//! before it begins: so everybody can see what is committed, whether it is whole, and what it must have seen.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;

use p2pdb_engine::{Engine, Outcome, Progress, Session, Sink};
use p2pdb_model::ValueRef;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;

use crate::node::{DATABASE, session_as};
use crate::plan::Transaction;
use crate::said::{self, View, Witness};

/// ER_UNKNOWN_ERROR: what the engine says of its own faults.
const INTERNAL: u16 = 1105;
/// A statement fails so and its transaction goes on: NULL, a value, a key, a reference, a CHECK, or what is not known.
const REFUSED: [u16; 13] = [1048, 1054, 1062, 1146, 1264, 1292, 1364, 1366, 1406, 1451, 1452, 3140, 3819];

/// What a client has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A statement is over; for the trace.
    Ran(String),
    /// A statement ended with an error that is no answer to it, but a fault of the node.
    Broken(String),
    /// What a statement said was held against what is shown.
    Held,
    /// And is not so.
    Wrong(String),
    /// COMMIT is sent: from now on it may be visible. It must have seen these, and has added so much to rows of `tally`.
    Committing(u64, BTreeSet<u64>, Vec<(u64, i64)>),
    /// COMMIT was answered with OK.
    Acknowledged(u64),
    /// It ended before its COMMIT was sent: nobody may ever see it.
    Aborted(u64),
}

/// Rows as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

#[derive(Default)]
struct Collected(Rows);

impl Sink for Collected {
    fn columns(&mut self, _: &[Field]) -> Result<(), SqlError> {
        self.0.clear();
        Ok(())
    }
    fn row(&mut self, fields: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        let cell = |(f, v): (&Field, &ValueRef<'_>)| match v {
            ValueRef::Null => None,
            v => Some(p2pdb_engine::text(&f.ty, *v)),
        };
        self.0.push(fields.iter().zip(row).map(cell).collect());
        ControlFlow::Continue(())
    }
}

/// A transaction being run.
struct Running {
    id: u64,
    statements: VecDeque<String>,
    seen: BTreeSet<u64>,
    added: Vec<(u64, i64)>,
    /// COMMIT was sent.
    committing: bool,
    /// What its session shows, while it holds the writer and somebody is to look.
    showed: Option<View>,
}

/// See the module.
pub struct Client {
    node: usize,
    number: usize,
    /// With whom it is.
    session: Option<(Option<String>, Session)>,
    queue: VecDeque<Transaction>,
    running: Option<Running>,
    /// The statement that waits, and its rows so far.
    waiting: Option<(String, p2pdb_engine::Wait, Collected)>,
}

impl Client {
    /// A client without work.
    pub fn new(node: usize, number: usize) -> Self {
        Client { node, number, session: None, queue: VecDeque::new(), running: None, waiting: None }
    }

    /// More work.
    pub fn give(&mut self, transaction: Transaction) {
        self.queue.push_back(transaction);
    }

    /// There is work.
    pub fn is_busy(&self) -> bool {
        self.running.is_some() || !self.queue.is_empty()
    }

    /// It waits for something from the writer.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// And that is a statement without a transaction.
    pub fn waits_without_transaction(&self) -> bool {
        self.waiting.is_some() && self.running.as_ref().is_none_or(|r| r.id == 0)
    }

    /// The connection is gone.
    pub fn hang_up(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        self.abort(&mut reports);
        for t in self.queue.drain(..).filter(|t| t.id != 0) {
            reports.push(Report::Aborted(t.id));
        }
        self.waiting = None;
        self.session = None;
        reports
    }

    fn abort(&mut self, reports: &mut Vec<Report>) {
        if let Some(r) = self.running.take()
            && r.id != 0
            && !r.committing
        {
            reports.push(Report::Aborted(r.id));
        }
    }

    /// Does one thing, if there is one to do; `witness` looks at what comes of it, if somebody is to.
    pub fn advance(&mut self, engine: &Engine, witness: Option<&Witness>, reports: &mut Vec<Report>) {
        if let Some((text, wait, mut rows)) = self.waiting.take() {
            if !wait.is_ready() {
                self.waiting = Some((text, wait, rows));
                return;
            }
            let Some((_, session)) = &mut self.session else { return };
            let progress = session.resume(&mut rows);
            return self.progressed(text, progress, rows, witness, reports);
        }
        let next = self.running.is_none().then(|| self.queue.front()).flatten().map(|t| t.account.clone());
        if next.as_ref().is_some_and(|account| self.session.as_ref().is_some_and(|(with, _)| with != account))
        {
            self.session = None;
        }
        if self.session.is_none()
            && let Some(account) = next
        {
            let id = ((self.node as u64) << 16) + self.number as u64 + 1;
            match session_as(engine, account.as_deref().unwrap_or("root"), id, Some(DATABASE)) {
                Ok(session) => self.session = Some((account, session)),
                // It may not act for this account, or not yet.
                Err(e) if account.is_some() => {
                    reports.push(Report::Ran(format!(
                        "{}.{} no session as {account:?}: {}",
                        self.node, self.number, e.code
                    )));
                    let given_up = self.queue.pop_front().filter(|t| t.id != 0);
                    reports.extend(given_up.map(|t| Report::Aborted(t.id)));
                    return;
                }
                Err(e) => {
                    reports
                        .push(Report::Ran(format!("{}.{} no session: {}", self.node, self.number, e.code)));
                    reports.append(&mut self.hang_up());
                    return;
                }
            }
        }
        if self.running.is_none() {
            let Some(t) = self.queue.pop_front() else { return };
            self.running = Some(Running {
                id: t.id,
                statements: script(&t, self.node),
                seen: BTreeSet::new(),
                added: Vec::new(),
                committing: false,
                showed: None,
            });
        }
        let Some(running) = &mut self.running else { return };
        let Some(text) = running.statements.pop_front() else {
            self.running = None;
            return;
        };
        if text == "COMMIT" && running.id != 0 {
            running.committing = true;
            reports.push(Report::Committing(running.id, running.seen.clone(), running.added.clone()));
        }
        let Some((_, session)) = &mut self.session else { return };
        let mut rows = Collected::default();
        let progress = match session.prepare(&text) {
            Ok(statement) => session.start(&statement, Vec::new(), &mut rows),
            Err(e) => Progress::Done(Err(e)),
        };
        self.progressed(text, progress, rows, witness, reports);
    }

    fn progressed(
        &mut self,
        text: String,
        progress: Progress,
        rows: Collected,
        witness: Option<&Witness>,
        reports: &mut Vec<Report>,
    ) {
        match progress {
            Progress::Waiting(wait) => self.waiting = Some((text, wait, rows)),
            Progress::Done(result) => {
                match witness {
                    Some(witness) => reports.extend(self.look(witness, &text, &result)),
                    None => self.running.iter_mut().for_each(|r| r.showed = None),
                }
                self.done(&text, result, rows.0, reports);
            }
        }
    }

    /// Holds what the statement said against what is shown.
    fn look(&mut self, witness: &Witness, text: &str, result: &Result<Outcome, SqlError>) -> Option<Report> {
        let ((_, session), running) = (self.session.as_mut()?, self.running.as_mut()?);
        let held = match result {
            Ok(o) if running.id == 0 => witness.autocommitted(text, o.affected, o.gtid.as_deref()),
            Ok(o) if text == "COMMIT" => witness.committed(&running.showed.take()?, o.gtid.as_deref()),
            // From here on nobody else writes.
            Ok(_) if text.starts_with("INSERT INTO w_a") => {
                running.showed = peek(session, None);
                return None;
            }
            Ok(_) if text.starts_with("SELECT") || text.starts_with("INSERT INTO w_b") => return None,
            Ok(o) => {
                let before = running.showed.take()?;
                let after = running.showed.insert(peek(session, Some(&before))?);
                said::in_session(text, o.affected, &before, after)
            }
            // What a procedure did before it failed stays, as in MySQL.
            Err(e) if running.id != 0 && REFUSED.contains(&e.code) && !text.starts_with("CALL") => {
                let before = running.showed.take()?;
                let after = running.showed.insert(peek(session, Some(&before))?);
                said::nothing(text, &before, after).map(|()| true)
            }
            Err(e) => {
                let lives = running.id != 0 && text.starts_with("CALL") && REFUSED.contains(&e.code);
                running.showed =
                    running.showed.take().filter(|_| lives).and_then(|before| peek(session, Some(&before)));
                return None;
            }
        };
        match held {
            Ok(true) => Some(Report::Held),
            Ok(false) => None,
            Err(what) => Some(Report::Wrong(format!("{}.{} {what}", self.node, self.number))),
        }
    }

    fn done(&mut self, text: &str, result: Result<Outcome, SqlError>, rows: Rows, reports: &mut Vec<Report>) {
        let said = match &result {
            Ok(o) if o.has_rows => format!("{rows:?}"),
            Ok(o) => format!("OK {} {} {}", o.affected, o.last_insert_id, o.warnings),
            Err(e) => format!("{} {}", e.code, e.message),
        };
        reports.push(Report::Ran(format!("{}.{} {text} -> {said}", self.node, self.number)));
        if result.as_ref().is_err_and(|e| e.code == INTERNAL) {
            reports.push(Report::Broken(format!("{text} -> {said}")));
        }
        let Some(running) = &mut self.running else { return };
        if running.id == 0 {
            return;
        }
        match result {
            Ok(_) if running.committing => {
                reports.push(Report::Acknowledged(running.id));
                self.running = None;
            }
            // Whether it is committed nobody knows.
            Err(_) if running.committing => self.running = None,
            Ok(_) if text == "ROLLBACK" => self.abort(reports),
            Ok(_) => {
                if text.starts_with("SELECT tx FROM w_a") {
                    running.seen = numbers(&rows);
                }
                running.added.extend(addition(text));
            }
            // Rolled back already, or nothing that can go on.
            Err(e) if e.code == 1213 => self.abort(reports),
            Err(_) if text == "BEGIN" || text == "ROLLBACK" || text.contains(" w_") => {
                running.statements = VecDeque::from(["ROLLBACK".to_owned()]);
                if text == "ROLLBACK" {
                    self.abort(reports);
                }
            }
            // A statement failed, the transaction goes on: as a careless client does it.
            Err(_) => {}
        }
    }
}

/// What a session shows in the middle of its transaction, which holds the writer.
fn peek(session: &mut Session, before: Option<&View>) -> Option<View> {
    let ask = |sql: &str| {
        let mut rows = Collected::default();
        let statement = session.prepare(sql).ok()?;
        match session.start(&statement, Vec::new(), &mut rows) {
            Progress::Done(Ok(_)) => Some(rows.0),
            _ => None,
        }
    };
    match before {
        Some(view) => view.again(ask),
        None => View::take(ask),
    }
}

/// What a statement adds to which row of `tally`.
fn addition(text: &str) -> Option<(u64, i64)> {
    let (by, id) = match text.strip_prefix("CALL bump(") {
        Some(call) => {
            let (id, by) = call.strip_suffix(')')?.split_once(", ")?;
            (by, id)
        }
        None => text.strip_prefix("UPDATE tally SET n = n + ")?.split_once(" WHERE id = ")?,
    };
    Some((id.parse().ok()?, by.parse().ok()?))
}

/// The first column, as numbers.
pub fn numbers(rows: &Rows) -> BTreeSet<u64> {
    rows.iter().filter_map(|r| r.first()?.as_ref()?.parse().ok()).collect()
}

fn script(t: &Transaction, node: usize) -> VecDeque<String> {
    if t.id == 0 {
        return t.statements.iter().cloned().collect();
    }
    let mut all = VecDeque::from(["SELECT tx FROM w_a".to_owned(), "BEGIN".to_owned()]);
    all.push_back(format!("INSERT INTO w_a VALUES ({}, {node})", t.id));
    all.extend(t.statements.iter().cloned());
    all.push_back(format!("INSERT INTO w_b VALUES ({})", t.id));
    all.push_back(if t.rollback { "ROLLBACK" } else { "COMMIT" }.to_owned());
    all
}

/// Runs one statement to its end, on an engine that nobody else drives meanwhile.
///
/// # Errors
/// The statement's own.
pub fn run(engine: &Engine, session: &mut Session, text: &str) -> Result<Rows, SqlError> {
    let mut rows = Collected::default();
    let statement = session.prepare(text)?;
    let mut progress = session.start(&statement, Vec::new(), &mut rows);
    loop {
        match progress {
            Progress::Done(result) => return result.map(|_| rows.0),
            Progress::Waiting(wait) => {
                while !wait.is_ready() {
                    let stepped = engine.step_writer() == p2pdb_engine::Step::Did || engine.step_syncer();
                    if !stepped {
                        return Err(SqlError::new(1205, "HY000", "the writer is held"));
                    }
                }
                progress = session.resume(&mut rows);
            }
        }
    }
}
