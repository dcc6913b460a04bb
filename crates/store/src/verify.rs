//! Finding damage: a report with named findings, and the parts of it that need only the store.
//!
//! * [`verify_file`]: SQLite's own check of pages, rows and every index entry.
//! * [`verify_log`]: every block and body against its CID, signatures, links, numbers, and every other table of
//!   the log against the blocks.
//! * [`compare`]: two stores table by table. The engine replays the log into an empty store and compares it with the
//!   live one; that covers rows, hidden columns, verdicts, unseen lists and everything derived.
//!
//! A finding is data, not an error: the search goes on behind it. An error is returned only when nothing can be
//! read any more.

mod compare;
mod log;

use std::fmt;

use p2pdb_model::ValueRef;

use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::query::{Flow, NEXT, STOP};

pub use compare::{Compare, NODE_LOCAL, compare};
pub use log::verify_log;

/// Findings kept in a report; more are only counted.
pub const FINDINGS_MAX: usize = 1000;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The file's structure: pages, indexes.
    File,
    /// A block's header or its record.
    Block,
    /// A block's body.
    Body,
    /// A transaction's record.
    Transaction,
    /// A branch's record.
    Branch,
    /// The record of a head.
    Head,
    /// An account's record.
    Account,
    /// The record of where a change of access is.
    Access,
    /// A table or one of its rows.
    Table,
    /// A fingerprint.
    Fingerprint,
    /// A fact about the store itself (`meta`).
    Note,
}

impl Part {
    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Part::File => "file",
            Part::Block => "block",
            Part::Body => "body",
            Part::Transaction => "transaction",
            Part::Branch => "branch",
            Part::Head => "head",
            Part::Account => "account",
            Part::Access => "access",
            Part::Table => "table",
            Part::Fingerprint => "fingerprint",
            Part::Note => "note",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub part: Part,
    /// Which one: a number, a table and row.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.part.name(), self.subject, self.problem)
    }
}

/// All findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The first [`FINDINGS_MAX`] findings, in the order in which they were found.
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
    /// The caller stopped it before the end.
    pub stopped: bool,
}

impl Report {
    /// True when everything was looked at and nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.more == 0 && !self.stopped
    }

    /// Adds a finding.
    pub fn add(&mut self, part: Part, subject: impl fmt::Display, problem: impl fmt::Display) {
        if self.findings.len() < FINDINGS_MAX {
            let (subject, problem) = (subject.to_string(), problem.to_string());
            self.findings.push(Finding { part, subject, problem });
        } else {
            self.more += 1;
        }
    }

    /// Adds the findings of another report that are not in this one.
    pub fn extend(&mut self, other: Report) {
        self.more += other.more;
        self.stopped |= other.stopped;
        for f in other.findings {
            if !self.findings.contains(&f) {
                self.add(f.part, f.subject, f.problem);
            }
        }
    }

    /// Makes a finding of damage met on the way; other errors go on to the caller.
    fn absorb(&mut self, part: Part, subject: impl fmt::Display, result: Result<()>) -> Result<()> {
        match result {
            Err(StoreError::Corrupt(problem)) => {
                self.add(part, subject, problem);
                Ok(())
            }
            // The statements of a check are always the same: what does not fit them is the file's schema.
            Err(StoreError::Sqlite(rusqlite::Error::SqlInputError { msg, .. })) => {
                self.add(part, subject, format!("SQLite's schema is not what was made: {msg}"));
                Ok(())
            }
            other => other,
        }
    }
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What is being looked at.
    pub step: &'a str,
    /// How much is done, in units of the step.
    pub done: u64,
    /// How much there is; 0 where it is not known.
    pub total: u64,
}

/// Called now and then; [`STOP`] ends the check.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress<'_>) -> Flow;

/// Progress is reported every so many rows.
const PROGRESS_ROWS: u64 = 1024;

/// SQLite's `integrity_check`: pages, order of keys, every index entry against its row.
///
/// Some damage makes the check itself give up; then it is run table by table, and where it gives up again each
/// index is read from end to end, so that the damaged one is named.
///
/// Full-text indexes are compared with the rows that they are over.
pub fn verify_file(c: &Connection, progress: OnProgress<'_>) -> Result<Report> {
    let mut report = structure(c, progress)?;
    if !report.stopped {
        match damage(crate::search::verify(c, &mut report)) {
            Err(StoreError::Corrupt(problem)) => report.add(Part::File, "full-text indexes", problem),
            other => other?,
        }
    }
    Ok(report)
}

fn structure(c: &Connection, progress: OnProgress<'_>) -> Result<Report> {
    let mut report = Report::default();
    if progress(Progress { step: "file", done: 0, total: 0 }).is_break() {
        report.stopped = true;
        return Ok(report);
    }
    let mut whole = Report::default();
    match damage(integrity(c, &FINDINGS_MAX.to_string(), "file", &mut whole)) {
        // What it found before it gave up comes up again below, with a name.
        Err(StoreError::Corrupt(problem)) => report.add(Part::File, "file", problem),
        other => {
            other?;
            name_pages(c, &mut whole);
            return Ok(whole);
        }
    }
    let tables = match damage(names(c, "SELECT name FROM sqlite_schema WHERE type = 'table'")) {
        Err(StoreError::Corrupt(problem)) => {
            report.add(Part::File, "sqlite_schema", problem);
            return Ok(report);
        }
        other => other?,
    };
    for (done, table) in tables.iter().enumerate() {
        let step = Progress { step: "file", done: done as u64, total: tables.len() as u64 };
        if progress(step).is_break() {
            report.stopped = true;
            return Ok(report);
        }
        match damage(integrity(c, &quote_text(table), table, &mut report)) {
            Err(StoreError::Corrupt(problem)) => {
                report.add(Part::File, format!("table {table}"), problem);
                match damage(indexes(c, table, &mut report)) {
                    // The names of the indexes are damaged, too.
                    Err(StoreError::Corrupt(problem)) => report.add(Part::File, "sqlite_schema", problem),
                    other => other?,
                }
            }
            other => other?,
        }
    }
    name_pages(c, &mut report);
    Ok(report)
}

/// What SQLite will not have of its own schema is damage, too: a collation or function that nobody ever named.
fn damage<T>(result: Result<T>) -> Result<T> {
    result.map_err(|e| match e {
        StoreError::Sqlite(e) => StoreError::Corrupt(e.to_string()),
        e => e,
    })
}

/// Where SQLite names only a page, adds the table or index that it belongs to, as far as that can still be found.
fn name_pages(c: &Connection, report: &mut Report) {
    let page_of = |problem: &str| -> Option<i64> {
        let (_, rest) = problem.split_once("page ").or_else(|| problem.split_once("Tree "))?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    if !report.findings.iter().any(|f| page_of(&f.problem).is_some()) {
        return;
    }
    let mut owners = std::collections::HashMap::new();
    // It reads the same damaged pages: what it finds before it fails is all there is to know.
    let _ = c.query("SELECT pageno, name FROM dbstat", (), |r| {
        owners.insert(r.int(0)?, r.text(1)?.to_owned());
        Ok(NEXT)
    });
    for f in &mut report.findings {
        if let Some(owner) = page_of(&f.problem).and_then(|p| owners.get(&p)) {
            f.problem = format!("{} (in {owner})", f.problem);
        }
    }
}

/// What SQLite's check answers, as a row among others, when a damaged page made it give up.
const GAVE_UP: &str = "database disk image is malformed";

fn integrity(c: &Connection, argument: &str, subject: &str, report: &mut Report) -> Result<()> {
    let checked = c.query(&format!("PRAGMA integrity_check({argument})"), (), |r| {
        match r.get(0)? {
            ValueRef::Text("ok") => return Ok(STOP),
            ValueRef::Text(t) if t == GAVE_UP => return Err(StoreError::Corrupt(t.to_owned())),
            // A message can have several lines.
            ValueRef::Text(t) => t.lines().for_each(|line| report.add(Part::File, subject, line)),
            _ => report.add(Part::File, subject, "an answer that is no text"),
        }
        Ok(NEXT)
    });
    checked.map(drop)
}

/// Reads each index of a table from end to end.
fn indexes(c: &Connection, table: &str, report: &mut Report) -> Result<()> {
    for index in names(c, &format!("SELECT name FROM pragma_index_list({})", quote_text(table)))? {
        // Parts that are expressions have no name; the others suffice to read every entry.
        let sql = format!("SELECT name FROM pragma_index_info({}) WHERE name NOTNULL", quote_text(&index));
        let columns: Vec<String> = names(c, &sql)?.iter().map(|c| quote(c)).collect();
        if columns.is_empty() {
            continue;
        }
        let sql = format!("SELECT {} FROM {} INDEXED BY {}", columns.join(", "), quote(table), quote(&index));
        let read = c.query(&sql, (), |r| {
            for i in 0..r.len() {
                r.get(i)?;
            }
            Ok(NEXT)
        });
        match read {
            Err(StoreError::Corrupt(problem)) => report.add(Part::File, format!("index {index}"), problem),
            // "no query solution": an index that SQLite cannot be made to use for this.
            Err(StoreError::Sqlite(_)) | Ok(_) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn names(c: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    c.query(sql, (), |r| {
        found.push(r.text(0)?.to_owned());
        Ok(NEXT)
    })?;
    Ok(found)
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn quote_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
