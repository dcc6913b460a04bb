//! How many statements sessions have run, by kind. A session counts for itself, so that sessions do not share cache lines;
//! the sum is made when somebody asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use p2pdb_sql::command::{COMMANDS, Command};

/// Counts of one session, or of those that have ended.
pub(crate) struct Tally {
    questions: AtomicU64,
    queries: AtomicU64,
    commands: [AtomicU64; COMMANDS],
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            questions: AtomicU64::new(0),
            queries: AtomicU64::new(0),
            commands: [const { AtomicU64::new(0) }; COMMANDS],
        }
    }
}

impl Tally {
    /// A client has sent a statement.
    pub(crate) fn question(&self) {
        self.questions.fetch_add(1, Ordering::Relaxed);
        self.query();
    }

    /// A statement runs that a stored program contains, or something that is no statement was asked of statements.
    pub(crate) fn query(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }

    /// A statement of this kind runs.
    pub(crate) fn command(&self, command: Option<Command>) {
        if let Some(command) = command {
            self.commands[command.place()].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn add(&self, other: &Tally) {
        self.questions.fetch_add(other.questions.load(Ordering::Relaxed), Ordering::Relaxed);
        self.queries.fetch_add(other.queries.load(Ordering::Relaxed), Ordering::Relaxed);
        for (sum, n) in self.commands.iter().zip(&other.commands) {
            sum.fetch_add(n.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Moves what was counted there to this one.
    fn take(&self, other: &Tally) {
        let move_to = |sum: &AtomicU64, n: &AtomicU64| {
            sum.fetch_add(n.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        };
        move_to(&self.questions, &other.questions);
        move_to(&self.queries, &other.queries);
        self.commands.iter().zip(&other.commands).for_each(|(sum, n)| move_to(sum, n));
    }

    /// The sum of these.
    pub(crate) fn sum<'t>(all: impl IntoIterator<Item = &'t Tally>) -> Tally {
        let sum = Tally::default();
        all.into_iter().for_each(|t| sum.add(t));
        sum
    }

    /// Statements that clients have sent.
    pub(crate) fn questions(&self) -> u64 {
        self.questions.load(Ordering::Relaxed)
    }

    /// By MySQL's names.
    pub(crate) fn named(&self) -> Vec<(String, u64)> {
        let commands = Command::names().zip(&self.commands);
        let mut named: Vec<_> =
            commands.map(|(name, n)| (format!("Com_{name}"), n.load(Ordering::Relaxed))).collect();
        named.push(("Questions".to_owned(), self.questions()));
        named.push(("Queries".to_owned(), self.queries.load(Ordering::Relaxed)));
        named
    }
}

/// A session's counts; when it ends they are added to those of the ended ones.
#[derive(Default)]
pub(crate) struct Counted {
    own: Tally,
    ended: Option<Arc<Tally>>,
}

impl Counted {
    pub(crate) fn new(ended: &Arc<Tally>) -> Self {
        Counted { own: Tally::default(), ended: Some(ended.clone()) }
    }
}

impl Counted {
    /// FLUSH STATUS: what this session has counted is no longer its own.
    pub(crate) fn begin_anew(&self) {
        if let Some(ended) = &self.ended {
            ended.take(&self.own);
        }
    }
}

impl std::ops::Deref for Counted {
    type Target = Tally;
    fn deref(&self) -> &Tally {
        &self.own
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(ended) = &self.ended {
            ended.add(&self.own);
        }
    }
}
