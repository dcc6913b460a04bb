//! What a client hears of its transaction with an OK packet, if it has set `session_track_transaction_info` (MySQL 8.0 manual,
//! "Server Tracking of Client Session State"): what was done in it so far, and how another one would be begun like it.
//!
//! By it a proxy knows whether it may move a session to another server, and when. Only what the state says is here; what
//! is true of the transaction itself stands in [`Session`].

use p2pdb_model::{Privileges, Value};
use p2pdb_sql::front::tokens;
use p2pdb_sql::needs::Need;
use p2pdb_sql::session::Isolation;

use super::Session;

/// Functions that give another value on another server, or have an effect there.
const UNSAFE: &[&str] = &[
    "FOUND_ROWS",
    "GET_LOCK",
    "IS_FREE_LOCK",
    "IS_USED_LOCK",
    "LOAD_FILE",
    "RAND",
    "RELEASE_ALL_LOCKS",
    "RELEASE_LOCK",
    "ROW_COUNT",
    "SESSION_USER",
    "SLEEP",
    "SYSDATE",
    "SYSTEM_USER",
    "USER",
    "UUID",
    "UUID_SHORT",
    "VERSION",
];

/// News of the transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionNews {
    /// Eight characters: `T` for BEGIN or `I` for autocommit = 0, `R` reads, `W` writes, `s` an unsafe function, `S` a
    /// result was sent, `L` LOCK TABLES. Tables without transactions, the second and fourth, there are none.
    pub state: Option<String>,
    /// The statements that begin one like it; empty where plain defaults hold.
    pub characteristics: Option<String>,
}

/// What the open transaction has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    reads: bool,
    writes: bool,
    calls_unsafe: bool,
    sent_rows: bool,
}

impl Touched {
    /// A statement that needs this reads and writes so. A table that it writes, it does not read as well.
    pub(crate) fn add(&mut self, needs: &[Need]) {
        let change = Privileges::INSERT | Privileges::UPDATE | Privileges::DELETE;
        let writes = |on| needs.iter().any(|n| n.on == on && n.privilege.intersects(change));
        for need in needs.iter().filter(|n| n.on.is_some() && !n.name.is_empty()) {
            let written = writes(need.on);
            self.writes |= written;
            self.reads |= !written && need.privilege.intersects(Privileges::SELECT);
        }
    }
}

/// What was said last, and what goes before it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Of BEGIN: WITH CONSISTENT SNAPSHOT. `None`: it was not said.
    begun: Option<bool>,
    /// It was said since.
    begins: bool,
    /// What was set for this transaction, or for the next: isolation, read only.
    once: (Option<Isolation>, Option<bool>),
    last: Option<TransactionNews>,
}

impl Session {
    /// What the client has not heard yet. `sent_rows`: the statement has sent a result.
    pub fn transaction_news(&mut self, sent_rows: bool) -> TransactionNews {
        let mode = self.sql_state().system_variable("session_track_transaction_info", false);
        let characterises = match mode {
            Ok(Value::Text(mode)) if mode == "STATE" => false,
            Ok(Value::Text(mode)) if mode == "CHARACTERISTICS" => true,
            _ => {
                self.told.last = None;
                return TransactionNews::default();
            }
        };
        let last = self.told.last.take();
        // From where it is turned on, what was done before is not known.
        if last.is_none() {
            self.forget_told();
        }
        if !self.in_transaction() {
            self.forget_told();
        }
        self.core_mut().touched.sent_rows |= sent_rows;
        let now = TransactionNews {
            state: Some(self.transaction_state()),
            characteristics: Some(self.characteristics()),
        };
        let last = last.unwrap_or_default();
        let begins = std::mem::take(&mut self.told.begins);
        let other = begins || now.characteristics != last.characteristics;
        let news = TransactionNews {
            state: now.state.clone().filter(|_| now.state != last.state),
            characteristics: now.characteristics.clone().filter(|_| characterises && other),
        };
        self.told.last = Some(now);
        news
    }

    /// BEGIN, before it takes what SET TRANSACTION has left.
    pub(super) fn tell_begin(&mut self, read_only: Option<bool>, snapshot: bool) {
        self.core_mut().touched = Touched::default();
        self.told.once = (self.next.0, read_only.or(self.next.1));
        (self.told.begun, self.told.begins) = (Some(snapshot), true);
    }

    /// A statement that stands alone, or is in the transaction, is about to run.
    pub(super) fn touch(&mut self, text: &str, locks: bool, before: Touched) {
        if self.told.last.is_none() {
            return;
        }
        let mode = self.sql_state().sql_mode;
        let touched = &mut self.core_mut().touched;
        if locks {
            *touched = Touched { writes: true, ..before };
        }
        touched.calls_unsafe |= tokens::calls(text, mode, UNSAFE);
    }

    fn forget_told(&mut self) {
        self.core_mut().touched = Touched::default();
        self.told.begun = None;
        self.told.once = self.next;
    }

    fn transaction_state(&self) -> String {
        let touched = self.core().touched;
        let is_open = self.in_transaction();
        let kind = match self.told.begun {
            Some(_) if is_open => 'T',
            None if is_open && !self.autocommit() && (touched.reads || touched.writes) => 'I',
            _ => '_',
        };
        let done = |is: bool, letter: char| if is && kind != '_' { letter } else { '_' };
        let reads = touched.reads || self.told.begun == Some(true);
        let locked = if self.locked.in_force() { 'L' } else { '_' };
        [
            kind,
            '_',
            done(reads, 'R'),
            '_',
            done(touched.writes, 'W'),
            done(touched.calls_unsafe, 's'),
            done(touched.sent_rows, 'S'),
            locked,
        ]
        .iter()
        .collect()
    }

    fn characteristics(&self) -> String {
        let (isolation, read_only) = self.told.once;
        let access = read_only.map(|only| if only { "READ ONLY" } else { "READ WRITE" });
        let level = |l: Isolation| format!("SET TRANSACTION ISOLATION LEVEL {}", l.name().replace('-', " "));
        let mut statements: Vec<String> = isolation.map(level).into_iter().collect();
        match (self.told.begun, access) {
            (Some(snapshot), access) => {
                let options = [snapshot.then_some("WITH CONSISTENT SNAPSHOT"), access];
                let options: Vec<&str> = options.into_iter().flatten().collect();
                let blank = if options.is_empty() { "" } else { " " };
                statements.push(format!("START TRANSACTION{blank}{}", options.join(", ")));
            }
            (None, Some(access)) => statements.push(format!("SET TRANSACTION {access}")),
            (None, None) => {}
        }
        statements.join("; ") + if statements.is_empty() { "" } else { ";" }
    }
}
