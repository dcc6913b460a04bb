//! What a session is made of and carries to the writer: SQL state, account, and its entry in the process list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use p2pdb_model::{AccountId, ObjectId, Privileges, Stamp, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::needs::Need;
use p2pdb_sql::plan::Touches;
use p2pdb_sql::session::SessionState;
use p2pdb_store::InterruptHandle;
use parking_lot::Mutex;

use crate::powers::{Powers, lacking};
use crate::program::Budget;
use crate::read_set::{Blind, Reads};
use crate::tally::Counted;
use crate::temporary::Temporary;

/// A session's own state; moves to the writer with an autocommit statement and comes back with its outcome.
pub(crate) struct Core {
    pub(crate) state: SessionState,
    pub(crate) account: AccountId,
    pub(crate) handle: Arc<Handle>,
    pub(crate) temporary: Temporary,
    pub(crate) powers: Powers,
    /// The stored programs that it has run.
    pub(crate) programs: crate::program::Programs,
    pub(crate) inner: Arc<crate::engine::Inner>,
    /// Programs that run inside of statements that run inside of programs.
    pub(crate) inside: usize,
    /// Programs that run, each called by the one before; none: a statement that stands alone.
    pub(crate) running: Vec<Option<ObjectId>>,
    /// When the stored programs of the statement that runs have taken too long, microseconds; 0: never.
    pub(crate) deadline_us: u64,
    /// Takes down what queries read, those of stored functions too, when somebody wants to know.
    pub(crate) reads: Option<Reads>,
    /// Takes down what is assigned without looking at it, by triggers and functions too, when somebody wants to know.
    pub(crate) blind: Option<Blind>,
    /// At the writer: the temporary tables that are there for this statement.
    pub(crate) copies: Option<Vec<ObjectId>>,
    /// What the rows take that wait in the session.
    pub(crate) budget: Budget,
    /// Tables that the statements around the programs use.
    pub(crate) busy: Vec<ObjectId>,
    /// The row of the trigger that has just run.
    pub(crate) row: Vec<Value>,
    /// What was done to the transaction, by programs too, since somebody looked.
    pub(crate) touched: Touches,
}

impl Core {
    /// The account may do what a statement does, or a part of a program.
    pub(crate) fn may(&mut self, needs: &[Need]) -> Result<(), SqlError> {
        if needs.is_empty() {
            return Ok(());
        }
        let inner = &self.inner;
        let access = &inner.published.load().access;
        let now = Stamp::from_millis(inner.clock.now_ms());
        self.powers.check(access, self.account, &self.state, now, needs, inner.node)
    }

    /// The account has this privilege on everything.
    pub(crate) fn holds(&self, privilege: Privileges) -> bool {
        self.inner.holds(self.account, &self.state, privilege)
    }

    /// SET of a system variable; DEFAULT without a value. Others' sessions begin with a global one (MySQL 8.4 manual, section 7.1.9.1).
    pub(crate) fn set_variable(
        &mut self,
        global: bool,
        name: &str,
        value: Option<&(Value, FieldType)>,
    ) -> Result<(), SqlError> {
        self.may_set(global, name)?;
        for note in self.state.set_variable(global, name, value.map(|(v, ty)| (v, &ty.kind)))? {
            self.state.warn(note);
        }
        Ok(())
    }

    /// 1227 for a global variable without the privilege for it, if there is one of that name.
    pub(crate) fn may_set(&self, global: bool, name: &str) -> Result<(), SqlError> {
        if global && !self.holds(Privileges::SUPER) {
            self.state.is_settable(global, name)?;
            return Err(lacking("SUPER or SYSTEM_VARIABLES_ADMIN"));
        }
        Ok(())
    }

    /// What stands for a core as long as it is lent.
    pub(crate) fn hollow(&self) -> Core {
        let globals = self.state.globals.clone();
        Core {
            state: SessionState::new(globals, self.handle.id, "", "", ""),
            account: self.account,
            handle: self.handle.clone(),
            temporary: Temporary::default(),
            powers: Powers::default(),
            programs: Default::default(),
            inner: self.inner.clone(),
            inside: self.inside,
            deadline_us: self.deadline_us,
            running: Vec::new(),
            reads: None,
            blind: None,
            copies: None,
            budget: self.budget.clone(),
            busy: Vec::new(),
            row: Vec::new(),
            touched: Touches::default(),
        }
    }
}

/// What others see of a session, and how they stop it.
pub(crate) struct Handle {
    pub(crate) id: u64,
    pub(crate) account: AccountId,
    pub(crate) user: String,
    pub(crate) host: String,
    /// See [`crate::SessionOptions::attributes`].
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) since_us: AtomicU64,
    /// What it has run.
    pub(crate) counted: Counted,
    /// The statement being run, the database, for SHOW PROCESSLIST.
    pub(crate) doing: Mutex<(Option<Arc<str>>, Option<String>)>,
    kill_query: AtomicBool,
    kill_connection: AtomicBool,
    /// Interrupts the connection that runs the statement.
    pub(crate) interrupt: Mutex<Option<InterruptHandle>>,
}

impl Handle {
    pub(crate) fn new(id: u64, account: AccountId, (user, host): (&str, &str), counted: Counted) -> Self {
        Handle {
            id,
            account,
            user: user.to_owned(),
            host: host.to_owned(),
            attributes: Vec::new(),
            since_us: AtomicU64::default(),
            counted,
            doing: Mutex::default(),
            kill_query: AtomicBool::default(),
            kill_connection: AtomicBool::default(),
            interrupt: Mutex::default(),
        }
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
