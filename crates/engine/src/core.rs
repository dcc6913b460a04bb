//! What a session is made of and carries to the writer: SQL state, account, and its entry in the process list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use p2pdb_model::AccountId;
use p2pdb_sql::session::SessionState;
use p2pdb_store::InterruptHandle;
use parking_lot::Mutex;

use crate::temporary::Temporary;

/// A session's own state; moves to the writer with an autocommit statement and comes back with its outcome.
pub(crate) struct Core {
    pub(crate) state: SessionState,
    pub(crate) account: AccountId,
    pub(crate) handle: Arc<Handle>,
    pub(crate) temporary: Temporary,
    /// The stored programs that it has run.
    pub(crate) programs: crate::program::Programs,
    pub(crate) inner: Arc<crate::engine::Inner>,
    /// Triggers and functions that run inside of each other.
    pub(crate) inside: usize,
    /// When the stored programs of the statement that runs have taken too long, microseconds; 0: never.
    pub(crate) deadline_us: u64,
    /// The stored functions among them.
    pub(crate) functions: Vec<p2pdb_model::ObjectId>,
    /// Rows for the session, of a query that ran at the writer.
    pub(crate) kept: Option<crate::program::functions::Kept>,
    /// Tables that the statements around them use.
    pub(crate) busy: Vec<p2pdb_model::ObjectId>,
    /// The row of the trigger that has just run.
    pub(crate) row: Vec<p2pdb_model::Value>,
}

impl Core {
    /// What stands for a core as long as it is lent.
    pub(crate) fn hollow(&self) -> Core {
        let globals = self.state.globals.clone();
        Core {
            state: SessionState::new(globals, self.handle.id, "", "", ""),
            account: self.account,
            handle: self.handle.clone(),
            temporary: Temporary::default(),
            programs: Default::default(),
            inner: self.inner.clone(),
            inside: self.inside,
            deadline_us: self.deadline_us,
            functions: Vec::new(),
            kept: None,
            busy: Vec::new(),
            row: Vec::new(),
        }
    }
}

/// What others see of a session, and how they stop it.
#[derive(Default)]
pub(crate) struct Handle {
    pub(crate) id: u64,
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) since_us: AtomicU64,
    /// The statement being run, the database, for SHOW PROCESSLIST.
    pub(crate) doing: Mutex<(Option<Arc<str>>, Option<String>)>,
    kill_query: AtomicBool,
    kill_connection: AtomicBool,
    /// Interrupts the connection that runs the statement.
    pub(crate) interrupt: Mutex<Option<InterruptHandle>>,
}

impl Handle {
    pub(crate) fn new(id: u64, user: &str, host: &str) -> Self {
        Handle { id, user: user.to_owned(), host: host.to_owned(), ..Handle::default() }
    }

    pub(crate) fn kill(&self, query_only: bool) {
        if !query_only {
            self.kill_connection.store(true, Ordering::Release);
        }
        self.kill_query.store(true, Ordering::Release);
        if let Some(i) = &*self.interrupt.lock() {
            i.interrupt();
        }
    }

    /// KILL QUERY arrived since the last time this was asked.
    pub(crate) fn take_kill(&self) -> bool {
        self.kill_query.swap(false, Ordering::AcqRel)
    }

    /// A KILL has come that no statement has answered yet.
    pub(crate) fn is_killed(&self) -> bool {
        self.kill_query.load(Ordering::Acquire)
    }

    pub(crate) fn connection_killed(&self) -> bool {
        self.kill_connection.load(Ordering::Acquire)
    }
}
