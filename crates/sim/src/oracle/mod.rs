//! What must be true of a world, judged from outside the engines: by SQL, by the log's bytes, and by what clients were
//! told.
//!
//! | oracle | says |
//! | --- | --- |
//! | convergence | equal blocks: equal tables, conflicts and fingerprints; all nodes get there once nothing is cut |
//! | atomic | a transaction is visible whole or not at all, everywhere, always |
//! | causal | what a visible transaction had seen is visible |
//! | durable | what was acknowledged is visible on its node from then on, and in the end everywhere |
//! | aborted | what was rolled back is never visible |
//! | constraints | visible rows keep what `docs/merge.md` promises ([`PROMISED`]) |
//! | counters | a counter is the sum of what visible transactions have added |
//! | verdicts | what is visible is what the log says, without what members and accounts wrote that they may not, or not any more; all void transactions, and no others, are in `p2pdb.voided` |
//! | lost value | each value that counts is visible, overwritten, deleted or dropped by who had seen it, or in `p2pdb.conflicts` |
//! | came back | what was taken out of a set or map by who had seen it is not there |
//! | replay | the log into an empty store, in another order, gives the same |
//! | said | what a statement was answered with OK its own session shows, and its node after the COMMIT; one that failed has changed nothing (`said`) |
//! | loads | what SHOW CREATE TABLE says makes the same tables in an empty database |
//! | errors | no statement ends with an error of the engine's own, unless the disk failed |
//! | sealed | values of a sealed column are nowhere in the open, sealed for who might read them as far as their author knew, and shown to who has their key |
//! | correct peers | no correct node is banned, no block of one is refused, no fork without a restore, nobody panics |

mod constraints;
mod ids;
mod loads;
mod log;
mod sealed;
mod values;
mod verdicts;

use std::collections::{BTreeMap, BTreeSet};

use p2pdb_engine::Engine;

use crate::client::{Report, Rows, numbers, run};
use crate::node::{DATABASE, session};
use crate::plan::Table;

pub use constraints::PROMISED;
pub use ids::drawn_once;
pub use loads::loads;
pub use log::Log;
pub use sealed::{Sealed, files};
pub use values::lost_values;

/// What is wrong with a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The oracle that says so.
    pub oracle: &'static str,
    /// What it saw.
    pub what: String,
}

impl Failure {
    /// A failure.
    pub fn new(oracle: &'static str, what: impl Into<String>) -> Self {
        Failure { oracle, what: what.into() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.oracle, self.what)
    }
}

/// A finding or nothing.
pub type Judged = Result<(), Failure>;

/// All that SQL shows of a node, in an order of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// Columns and rows of each table.
    pub tables: BTreeMap<String, (Vec<String>, Rows)>,
    /// Stored programs and what they do.
    pub programs: Rows,
    /// `p2pdb.conflicts`.
    pub conflicts: Rows,
    /// `p2pdb.voided`.
    pub voided: Rows,
    /// Foreign keys: table, columns, and what they refer to.
    pub references: BTreeSet<(String, Vec<String>, String, Vec<String>)>,
    /// What columns hold that is compared as bytes are shown: not at all.
    pub opaque: BTreeSet<(String, String)>,
    /// And what is not told apart by case.
    pub caseless: BTreeSet<(String, String)>,
    /// UNIQUE keys: table and columns.
    pub uniques: BTreeSet<(String, Vec<String>)>,
    /// NOT NULL: table and column.
    pub not_null: BTreeSet<(String, String)>,
    /// Checks `left <= right`: table and both sides.
    pub checks: BTreeSet<(String, String, String)>,
}

fn ask(engine: &Engine, session: &mut p2pdb_engine::Session, sql: &str) -> Result<Rows, Failure> {
    run(engine, session, sql).map_err(|e| Failure::new("reads", format!("{sql}: {e}")))
}

fn cell(row: &[Option<String>], i: usize) -> String {
    row.get(i).cloned().flatten().unwrap_or_default()
}

impl Picture {
    /// Takes it.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn take(engine: &Engine) -> Result<Picture, Failure> {
        let mut s = session(engine, u64::MAX - 1, Some(DATABASE))
            .map_err(|e| Failure::new("reads", format!("no session: {e}")))?;
        let mut picture = Picture::default();
        for row in ask(engine, &mut s, "SHOW TABLES")? {
            let name = cell(&row, 0);
            let columns = ask(engine, &mut s, &format!("SHOW COLUMNS FROM `{name}`"))?;
            let required = columns.iter().filter(|r| cell(r, 2) == "NO");
            picture.not_null.extend(required.map(|r| (name.clone(), cell(r, 0))));
            let created = ask(engine, &mut s, &format!("SHOW CREATE TABLE `{name}`"))?;
            let created = created.first().map(|r| cell(r, 1)).unwrap_or_default();
            let bytes =
                columns.iter().filter(|r| cell(r, 1).contains("binary") || cell(r, 1).contains("blob"));
            picture.opaque.extend(bytes.map(|r| (name.clone(), cell(r, 0))));
            let caseless = created.lines().filter(|l| l.contains(" varchar(") && !l.contains("utf8mb4_bin"));
            let names = caseless.filter_map(|l| l.trim().strip_prefix('`')?.split_once('`'));
            picture.caseless.extend(names.map(|(c, _)| (name.clone(), c.to_owned())));
            picture.references.extend(references(&created).map(|(c, t, of)| (name.clone(), c, t, of)));
            picture.checks.extend(checks(&created).map(|(l, r)| (name.clone(), l, r)));
            let columns = columns.iter().map(|r| cell(r, 0)).collect();
            let mut rows = ask(engine, &mut s, &format!("SELECT * FROM `{name}`"))?;
            rows.sort();
            for key in ask(engine, &mut s, &format!("SHOW INDEX FROM `{name}` WHERE Non_unique = 0"))?
                .chunk_by(|a, b| a.get(2) == b.get(2))
            {
                let of = key.iter().map(|r| cell(r, 4)).collect();
                picture.uniques.insert((name.clone(), of));
            }
            picture.tables.insert(name, (columns, rows));
        }
        for what in [
            "routine_name, routine_type, routine_definition FROM information_schema.routines WHERE routine_schema = 'w'",
            "trigger_name, event_object_table, action_statement FROM information_schema.triggers WHERE trigger_schema = 'w'",
        ] {
            picture.programs.extend(ask(engine, &mut s, &format!("SELECT {what}"))?);
        }
        picture.programs.sort();
        picture.conflicts = ask(engine, &mut s, "SELECT * FROM p2pdb.conflicts")?;
        // Of sealed columns readers see more than others.
        picture.conflicts.retain(|row| cell(row, 0) != crate::generate_sealed::DATABASE);
        picture.conflicts.sort();
        picture.voided = ask(engine, &mut s, "SELECT * FROM p2pdb.voided")?;
        picture.voided.sort();
        Ok(picture)
    }

    /// A column's place in a table.
    pub fn column(&self, table: &str, column: &str) -> Option<usize> {
        self.tables.get(table)?.0.iter().position(|c| c == column)
    }

    /// How it differs from another, in a line; `None` when it does not.
    pub fn differs(&self, other: &Picture) -> Option<String> {
        for name in self.tables.keys().chain(other.tables.keys()) {
            let (a, b) = (self.tables.get(name), other.tables.get(name));
            if a != b {
                return Some(format!("table {name}:\n    {a:?}\n    {b:?}"));
            }
        }
        if self.uniques != other.uniques {
            return Some(format!("UNIQUE keys: {:?} and {:?}", self.uniques, other.uniques));
        }
        if self.programs != other.programs {
            return Some(format!("stored programs: {:?} and {:?}", self.programs, other.programs));
        }
        if self.voided != other.voided {
            return Some(format!("p2pdb.voided: {:?} and {:?}", self.voided, other.voided));
        }
        (self.conflicts != other.conflicts).then(|| {
            let only = |a: &Rows, b: &Rows| a.iter().filter(|r| !b.contains(r)).cloned().collect::<Rows>();
            format!(
                "p2pdb.conflicts: only here {:?}, only there {:?}",
                only(&self.conflicts, &other.conflicts),
                only(&other.conflicts, &self.conflicts)
            )
        })
    }
}

/// In the place of a node that has been replaced by an older one: it has to fetch what it had acknowledged.
const NOBODY: usize = usize::MAX;

/// The checks in a CREATE TABLE, all of which compare by `<=`.
fn checks(create: &str) -> impl Iterator<Item = (String, String)> {
    create.split("CHECK (").skip(1).filter_map(|rest| {
        let line = rest.lines().next()?.replace(['`', '(', ')', ',', ' '], "");
        line.split_once("<=").map(|(l, r)| (l.to_owned(), r.to_owned()))
    })
}

/// The foreign keys in a CREATE TABLE: the columns, and what they refer to.
fn references(create: &str) -> impl Iterator<Item = (Vec<String>, String, Vec<String>)> {
    let names = |list: &str| list.split(", ").map(|n| n.trim_matches('`').to_owned()).collect();
    create.lines().filter_map(move |line| {
        let (_, rest) = line.split_once("FOREIGN KEY (")?;
        let (columns, rest) = rest.split_once(") REFERENCES `")?;
        let (table, rest) = rest.split_once("` (")?;
        let (of, _) = rest.split_once(')')?;
        Some((names(columns), table.to_owned(), names(of)))
    })
}

/// What clients were told, and what follows from it.
#[derive(Default)]
pub struct Oracle {
    /// What each transaction had seen at its COMMIT.
    seen: BTreeMap<u64, BTreeSet<u64>>,
    /// What each has added to rows of `tally`.
    added: BTreeMap<u64, Vec<(u64, i64)>>,
    /// Acknowledged by this node, which must have it.
    acknowledged: BTreeMap<u64, usize>,
    /// And written there.
    written: BTreeMap<u64, usize>,
    aborted: BTreeSet<u64>,
    /// Only a store that has been replaced by an older one had these.
    may_be_gone: BTreeSet<u64>,
    /// What was seen on each node.
    visible: BTreeMap<usize, BTreeSet<u64>>,
    /// A trigger counts transactions in this row of `tally`.
    pub counted: Option<u64>,
}

/// What became of members that were removed, for a node that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    /// Transactions in its log that do not count.
    pub void: BTreeSet<u64>,
    /// All transactions in its log that do not count: block and position.
    pub all_void: BTreeSet<(String, u64)>,
    /// Nodes that it knows to be removed, in the end all that are: what they wrote later may never have come here.
    pub nodes: BTreeSet<usize>,
    /// Transactions in its log that count, if all of it is known.
    pub counts: Option<BTreeSet<u64>>,
}

impl Oracle {
    /// A client speaks.
    pub fn hear(&mut self, node: usize, report: &Report) {
        match report {
            Report::Ran(_) | Report::Broken(_) | Report::Held | Report::Wrong(_) => {}
            Report::Committing(id, seen, added) => {
                self.seen.insert(*id, seen.clone());
                self.added.insert(*id, added.clone());
            }
            Report::Acknowledged(id) => {
                self.acknowledged.insert(*id, node);
                self.written.insert(*id, node);
            }
            Report::Aborted(id) => {
                self.aborted.insert(*id);
            }
        }
    }

    /// Transactions acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// A node's store is about to be replaced by an older one; these are visible elsewhere, or in the older one.
    pub fn replaced(&mut self, node: usize, elsewhere: &BTreeSet<u64>) {
        for (id, by) in &mut self.acknowledged {
            if (*by == node || *by == NOBODY) && !elsewhere.contains(id) {
                self.may_be_gone.insert(*id);
            }
            if *by == node {
                *by = NOBODY;
            }
        }
        self.visible.remove(&node);
    }

    /// A node that may have been the last to hold what another has lost is removed; these are shown by members.
    pub fn removed(&mut self, elsewhere: &BTreeSet<u64>) {
        let gone = self.acknowledged.iter().filter(|(id, by)| **by == NOBODY && !elsewhere.contains(id));
        self.may_be_gone.extend(gone.map(|(id, _)| *id));
    }

    /// The node lost what it had not synced.
    pub fn crashed(&mut self, node: usize) {
        self.visible.remove(&node);
    }

    /// Looks at a node: atomic, causal, durable, aborted.
    ///
    /// # Errors
    /// What is wrong.
    pub fn observe(
        &mut self,
        node: usize,
        engine: &Engine,
        everything: bool,
        removed: &Removed,
    ) -> Result<BTreeSet<u64>, Failure> {
        let mut s = session(engine, u64::MAX - 2, Some(DATABASE))
            .map_err(|e| Failure::new("reads", format!("no session: {e}")))?;
        for sql in ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN"] {
            ask(engine, &mut s, sql)?;
        }
        let begun = numbers(&ask(engine, &mut s, "SELECT tx FROM w_a")?);
        let ended = numbers(&ask(engine, &mut s, "SELECT tx FROM w_b")?);
        let tally = ask(engine, &mut s, "SELECT id, n FROM tally")?;
        ask(engine, &mut s, "COMMIT")?;
        if begun != ended {
            let half: Vec<_> = begun.symmetric_difference(&ended).collect();
            return Err(Failure::new("atomic", format!("n{node} shows transactions {half:?} in part")));
        }
        for id in &begun {
            if self.aborted.contains(id) {
                return Err(Failure::new(
                    "aborted",
                    format!("n{node} shows transaction {id}, which never committed"),
                ));
            }
            let seen = self.seen.get(id);
            let lacks = |s: &&u64| !begun.contains(s) && !removed.void.contains(s);
            if let Some(missing) = seen.and_then(|seen| seen.iter().find(lacks)) {
                let what = format!("n{node} shows transaction {id} but not {missing}, which it had seen");
                return Err(Failure::new("causal", what));
            }
        }
        if let Some(id) = begun.intersection(&removed.void).next() {
            let what = format!("n{node} shows transaction {id}, which does not count");
            return Err(Failure::new("verdicts", what));
        }
        if let Some(counts) = removed.counts.as_ref().filter(|c| **c != begun) {
            let (more, less) = (begun.difference(counts), counts.difference(&begun));
            let (more, less): (Vec<_>, Vec<_>) = (more.collect(), less.collect());
            let what = format!("n{node} shows transactions {more:?} against its log, and {less:?} not");
            return Err(Failure::new("verdicts", what));
        }
        for row in &tally {
            let (id, n) = (cell(row, 0).parse::<u64>().unwrap_or(0), cell(row, 1));
            let added = begun.iter().filter_map(|tx| self.added.get(tx)).flatten();
            let mut sum: i64 = added.filter(|(to, _)| *to == id).map(|(_, by)| by).sum();
            if self.counted == Some(id) {
                sum = begun.len() as i64;
            }
            if n != sum.to_string() {
                let what = format!("n{node} counts {n} in row {id}, visible transactions have added {sum}");
                return Err(Failure::new("counters", what));
            }
        }
        let kept = |id: &u64| !self.may_be_gone.contains(id);
        let void = |id: &u64| {
            let here = removed.counts.as_ref().is_some_and(|c| c.contains(id));
            let by = self.written.get(id).filter(|by| **by != node && !here);
            removed.void.contains(id) || by.is_some_and(|by| removed.nodes.contains(by))
        };
        let mut due =
            self.acknowledged.iter().filter(|(id, by)| (everything || **by == node) && kept(id) && !void(id));
        if let Some((id, by)) = due.find(|(id, _)| !begun.contains(id)) {
            let what = format!("transaction {id}, acknowledged by n{by}, is not on n{node}");
            return Err(Failure::new("durable", what));
        }
        let before = self.visible.insert(node, begun.clone()).unwrap_or_default();
        if let Some(id) = before.iter().find(|id| !begun.contains(id) && !removed.void.contains(id)) {
            return Err(Failure::new(
                "durable",
                format!("n{node} showed transaction {id} and does not any more"),
            ));
        }
        Ok(begun)
    }

    /// The node names as void what is void.
    ///
    /// # Errors
    /// What it names too much, or not.
    pub fn voided(node: usize, picture: &Picture, removed: &Removed) -> Judged {
        let number = |row: &Vec<Option<String>>| cell(row, 1).parse().unwrap_or(u64::MAX);
        let named: BTreeSet<_> = picture.voided.iter().map(|r| (cell(r, 0), number(r))).collect();
        let void = &removed.all_void;
        if named == *void {
            return Ok(());
        }
        let only =
            |a: &BTreeSet<_>, b: &BTreeSet<_>| a.difference(b).cloned().collect::<Vec<(String, u64)>>();
        let (wrongly, missing) = (only(&named, void), only(void, &named));
        let what = format!(
            "n{node} takes {wrongly:?} for void and {missing:?} not, against its log: {:?}",
            picture.voided
        );
        Err(Failure::new("verdicts", what))
    }

    /// The visible rows keep what is promised.
    ///
    /// # Errors
    /// The first that does not.
    pub fn constraints(node: usize, picture: &Picture, tables: &[Table]) -> Judged {
        constraints::check(picture, tables)
            .map_err(|what| Failure::new("constraints", format!("n{node}: {what}")))
    }
}
