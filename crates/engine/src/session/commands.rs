//! Commands on the session and its transaction (BEGIN, SET, USE, PREPARE, SAVEPOINT …) and the single values they ask for.

use std::collections::VecDeque;

use p2pdb_model::{Privileges, Value};
use p2pdb_sql::command::Command;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::field::{FieldKind, FieldType};
use p2pdb_sql::front::{Literal, LiteralKind};
use p2pdb_sql::plan::{Note, NoteLevel, Scalar, SessionCommand};
use p2pdb_sql::session::{Isolation, UserVariable};

use super::{Flow, NAMED_STATEMENTS_MAX, Rest, Session, Then, Transaction};
use crate::api::{Outcome, Sink};
use crate::powers::lacking;
use crate::roles;
use crate::run::{self, OneValue};
use crate::statement::Bound;

/// What AND CHAIN does behind the end.
const BEGIN: SessionCommand = SessionCommand::Begin { read_only: None, snapshot: false };

impl Session {
    /// Carries out the commands of a statement. The values of SET are those from before it.
    pub(super) fn begin_commands(
        &mut self,
        commands: VecDeque<SessionCommand>,
        bound: Bound,
        sink: &mut dyn Sink,
    ) -> Flow {
        match self.values_of_set(&commands, &bound) {
            Ok(values) => {
                let rest = Rest { commands, values, bound, outcome: Outcome::default(), turned_on: false };
                self.commands(rest, sink)
            }
            Err(e) => self.finish(Err(e)),
        }
    }

    pub(super) fn commands(&mut self, mut rest: Rest, sink: &mut dyn Sink) -> Flow {
        while let Some(command) = rest.commands.pop_front() {
            let value = rest.values.pop_front().flatten();
            match command {
                SessionCommand::Commit { chain, release: _ } => {
                    if chain {
                        self.chain();
                        rest.commands.push_front(BEGIN);
                    }
                    let reports = rest.commands.is_empty();
                    let then = if reports { Then::Report } else { Then::Commands(Box::new(rest)) };
                    return self.commit(then, sink);
                }
                // UNLOCK TABLES commits only what LOCK TABLES has locked: dumps send it inside their snapshot.
                SessionCommand::UnlockTables if !self.locked.in_force() => {}
                SessionCommand::UnlockTables if self.has_read_lock() => {
                    self.end_snapshot();
                    self.end_own(true);
                    self.transaction = Transaction::None;
                    // It was no transaction, so that what is set for the next one is still to come.
                    self.over(true);
                    self.locked.unlock();
                }
                SessionCommand::Lock(_) if self.is_read_only() => return self.refuse_to_write(),
                SessionCommand::Lock(how) => return self.lock(how, false, Bound::nothing(), sink),
                // What commits what is open before it does anything.
                SessionCommand::Begin { .. }
                | SessionCommand::ReadLock
                | SessionCommand::LockTables { .. }
                | SessionCommand::UnlockTables
                    if self.is_open() =>
                {
                    // Without a COMMIT before it, BEGIN is as if that were chained.
                    if let SessionCommand::Begin { .. } = command {
                        self.chain();
                    }
                    rest.commands.push_front(command);
                    return self.commit(Then::Commands(Box::new(rest)), sink);
                }
                SessionCommand::Begin { read_only, snapshot } => {
                    self.over(true);
                    self.locked.unlock();
                    if read_only.is_some() {
                        self.news.set_once(None, read_only);
                    }
                    self.begin_transaction(read_only);
                    match self.isolation {
                        _ if !snapshot => {}
                        Isolation::RepeatableRead => {
                            if let Err(e) = self.look_now() {
                                return self.abandon(e);
                            }
                        }
                        _ => self.state().warn(snapshot_ignored()),
                    }
                    self.news.begin(snapshot);
                }
                SessionCommand::ReadLock => {
                    self.over(false);
                    self.begin_transaction(Some(true));
                    self.isolation = Isolation::RepeatableRead;
                    if let Transaction::Reading(s) = &mut self.transaction {
                        s.read_lock = true;
                    }
                    if let Err(e) = self.look_now() {
                        return self.abandon(e);
                    }
                    self.locked.lock(Vec::new());
                }
                SessionCommand::Rollback { chain, release: _ } => {
                    if chain {
                        self.chain();
                        rest.commands.push_front(BEGIN);
                    }
                    self.end_by_rollback(chain);
                }
                SessionCommand::Execute { name, using } => {
                    if let Some(locals) = &mut self.state().locals {
                        locals.hidden = true;
                    }
                    return self.execute(&name, &using, sink);
                }
                other => {
                    let before = self.autocommit();
                    if let Err(e) = self.command(other, value, &rest.bound, &mut rest.outcome) {
                        return self.finish(Err(e));
                    }
                    // Turning autocommit on commits.
                    if !before && self.autocommit() {
                        rest.turned_on = true;
                        return self.commit(Then::Commands(Box::new(rest)), sink);
                    }
                }
            }
        }
        self.finish(Ok(rest.outcome))
    }

    /// The transaction that begins next is like the open one, if one is.
    fn chain(&mut self) {
        if self.is_open() && !self.has_read_lock() {
            self.chained = Some((self.isolation, self.is_read_only()));
        }
    }

    fn begin_transaction(&mut self, read_only: Option<bool>) {
        let mut fresh = self.fresh_snapshot(true);
        fresh.read_only = read_only.unwrap_or(fresh.read_only);
        self.transaction = Transaction::Reading(fresh);
    }

    /// The transaction sees what is there now, not what is there at its first read.
    fn look_now(&mut self) -> Result<(), SqlError> {
        self.open_reader()?;
        self.open_snapshot()
    }

    /// What holds for the next transaction holds for one that is open, but has not begun: with savepoints alone.
    fn renew_unbegun(&mut self) {
        if self.in_transaction() || self.has_read_lock() || !self.is_open() {
            return;
        }
        let next = self.fresh_snapshot(false);
        if let Transaction::Reading(s) = &mut self.transaction {
            s.read_only = next.read_only;
        }
    }

    pub(super) fn execute(&mut self, name: &str, using: &[String], sink: &mut dyn Sink) -> Flow {
        let Some(statement) = self.named.get(name).cloned() else {
            let message = format!("Unknown prepared statement handler ({name}) given to EXECUTE");
            return self.finish(Err(SqlError::new(1243, "HY000", message)));
        };
        let state = &self.core().state;
        let params: Vec<Literal> = using.iter().map(|v| literal(state.user_variables.get(v))).collect();
        if params.len() != statement.params() {
            return self.finish(Err(SqlError::new(1210, "HY000", "Incorrect arguments to EXECUTE")));
        }
        self.core().handle.counted.command(Some(Command::STMT_EXECUTE));
        self.begin(Bound { statement, params: params.into() }, sink)
    }

    /// What several assignments of one statement assign; nothing where there are not several.
    fn values_of_set(
        &mut self,
        commands: &VecDeque<SessionCommand>,
        bound: &Bound,
    ) -> Result<VecDeque<Option<(Value, FieldType)>>, SqlError> {
        let sets = |c: &SessionCommand| {
            matches!(
                c,
                SessionCommand::SetUser { .. }
                    | SessionCommand::SetVariable { .. }
                    | SessionCommand::SetNames(..)
            )
        };
        if commands.len() < 2 || !commands.iter().all(sets) {
            return Ok(VecDeque::new());
        }
        let value = |c: &SessionCommand| match c {
            SessionCommand::SetUser { name, value } => {
                UserVariable::check_name(name)?;
                Some(self.scalar_of(value, bound)).transpose()
            }
            SessionCommand::SetVariable { global, name, value } => {
                let value = value.as_ref().map(|v| self.scalar_of(v, bound)).transpose()?;
                let asked = value.as_ref().map(|(v, ty)| (v, &ty.kind));
                self.core().may_set(*global, name)?;
                self.core().state.may_set(*global, name, asked)?;
                Ok(value)
            }
            _ => Ok(None),
        };
        commands.iter().map(value).collect()
    }

    /// Runs one; `known` is what it assigns, if that was worked out before.
    pub(super) fn command(
        &mut self,
        command: SessionCommand,
        known: Option<(Value, FieldType)>,
        bound: &Bound,
        outcome: &mut Outcome,
    ) -> Result<(), SqlError> {
        let changes_state = matches!(
            command,
            SessionCommand::Use(_)
                | SessionCommand::SetVariable { global: false, .. }
                | SessionCommand::SetUser { .. }
                | SessionCommand::SetNames(..)
                | SessionCommand::Prepare { .. }
                | SessionCommand::Deallocate(_)
        );
        let tracked = changes_state && self.tracks_state();
        self.carry_out(command, known, bound, outcome)?;
        // Neither turning it on nor turning it off is told.
        outcome.state_changed |= tracked && self.tracks_state();
        Ok(())
    }

    fn carry_out(
        &mut self,
        command: SessionCommand,
        known: Option<(Value, FieldType)>,
        bound: &Bound,
        outcome: &mut Outcome,
    ) -> Result<(), SqlError> {
        match command {
            SessionCommand::Use(name) => {
                let catalog = self.catalog();
                self.state().use_database(&catalog, &name)?;
                outcome.schema_changed = self.state().database.clone();
            }
            SessionCommand::SetVariable { global, name, value } => {
                let value = match (known, value) {
                    (None, Some(scalar)) => Some(self.scalar_of(&scalar, bound)?),
                    (known, _) => known,
                };
                self.core_mut().set_variable(global, &name, value.as_ref())?;
                if !global {
                    self.note_variable(name, outcome);
                }
            }
            SessionCommand::SetRole(roles) => {
                let published = self.inner.published.load();
                let now = p2pdb_model::Stamp::from_millis(self.inner.clock.now_ms());
                let (account, name) = (self.core().account, self.core().state.account.clone());
                self.state().roles = roles::set(&published.access, account, &name, &roles, now)?;
            }
            SessionCommand::SetUser { name, value } => {
                let (value, ty) = match known {
                    Some(known) => known,
                    None => self.scalar_of(&value, bound)?,
                };
                self.state().set_user_variable(&name, value, ty)?;
            }
            SessionCommand::SetNames(charset, collation) => {
                self.state().set_names(&charset, collation.as_deref())?;
                for name in ["client", "connection", "results"] {
                    self.note_variable(format!("character_set_{name}"), outcome);
                }
            }
            SessionCommand::NextTransaction { isolation, read_only } => {
                if self.in_transaction() {
                    return Err(SqlError::new(
                        1568,
                        "25001",
                        "Transaction characteristics can't be changed while a transaction is in progress",
                    ));
                }
                self.news.set_once(isolation.as_deref().and_then(Isolation::from_name), read_only);
                self.renew_unbegun();
            }
            SessionCommand::Savepoint(name) => self.savepoint(&name)?,
            SessionCommand::RollbackTo(name) => self.end_savepoint(&name, true)?,
            SessionCommand::Release(name) => self.end_savepoint(&name, false)?,
            SessionCommand::Kill { id, query_only } => {
                let id = match self.scalar_of(&id, bound)?.0 {
                    // As MySQL takes it: 32 bits of it.
                    Value::Int(id) => u64::from(id as u32),
                    _ => 0,
                };
                let owner = self.inner.account_of(id);
                if owner.is_some_and(|owner| owner != self.handle.account)
                    && !self.core().holds(Privileges::SUPER)
                {
                    return Err(SqlError::new(1095, "HY000", format!("You are not owner of thread {id}")));
                }
                if !self.inner.kill(id, query_only) {
                    return Err(SqlError::new(1094, "HY000", format!("Unknown thread id: {id}")));
                }
                if id == self.handle.id {
                    return Err(SqlError::new(1317, "70100", "Query execution was interrupted"));
                }
            }
            SessionCommand::Prepare { name, text } => {
                let (Value::Text(text), _) = self.scalar_of(&text, bound)? else {
                    return Err(SqlError::new(
                        1064,
                        "42000",
                        "You have an error in your SQL syntax near 'NULL'",
                    ));
                };
                self.named.remove(&name);
                if self.named.len() >= NAMED_STATEMENTS_MAX {
                    return Err(SqlError::new(
                        1461,
                        "42000",
                        format!(
                            "Can't create more than max_prepared_stmt_count statements (current value: {NAMED_STATEMENTS_MAX})"
                        ),
                    ));
                }
                if let Some(locals) = &mut self.state().locals {
                    locals.hidden = true;
                }
                self.core().handle.counted.command(Some(Command::STMT_PREPARE));
                let statement = self.kept(&text)?;
                self.named.insert(name, statement);
                outcome.info = "Statement prepared".to_owned();
            }
            SessionCommand::Deallocate(name) => {
                self.core().handle.counted.command(Some(Command::STMT_CLOSE));
                if self.named.remove(&name).is_none() {
                    let message =
                        format!("Unknown prepared statement handler ({name}) given to DEALLOCATE PREPARE");
                    return Err(SqlError::new(1243, "HY000", message));
                }
            }
            SessionCommand::LockTables { read, .. } => {
                self.over(false);
                self.core_mut().touched = bound.statement.compiled().plan.touches;
                self.news.lock(true);
                self.locked.lock(read);
            }
            SessionCommand::Holds(privilege, words) => {
                if !self.core().holds(privilege) {
                    return Err(lacking(words));
                }
            }
            SessionCommand::UnlockTables => {
                self.over(false);
                self.news.lock(false);
                self.locked.unlock();
            }
            SessionCommand::FlushStatus => self.handle.counted.begin_anew(),
            SessionCommand::Nothing => {}
            SessionCommand::Fail(error) => return Err(error),
            SessionCommand::Begin { .. }
            | SessionCommand::Commit { .. }
            | SessionCommand::Rollback { .. }
            | SessionCommand::ReadLock
            | SessionCommand::Lock(_)
            | SessionCommand::Execute { .. } => {}
        }
        Ok(())
    }

    /// What clients hear that track this variable.
    fn note_variable(&mut self, name: String, outcome: &mut Outcome) {
        let shown = p2pdb_sql::variables::shown_value(self.sql_state(), &name);
        match name.as_str() {
            "session_track_transaction_info" => self.news.listen(&shown),
            // What holds from now on holds for the next transaction, too.
            "transaction_isolation" | "tx_isolation" if !self.in_transaction() => {
                self.news.forget_isolation();
                self.renew_unbegun();
            }
            "transaction_read_only" | "tx_read_only" if !self.in_transaction() => {
                self.news.forget_read_only();
                self.renew_unbegun();
            }
            _ => {}
        }
        outcome.variables_changed.push((name, shown));
    }

    pub(super) fn savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        let autocommit = self.core().state.autocommit;
        if autocommit && let Transaction::None = self.transaction {
            // As MySQL: each statement is a transaction, so the savepoint is gone at once.
            return Ok(());
        }
        self.mark_own(name);
        match &mut self.transaction {
            Transaction::Writing(lease) => {
                let lease = *lease;
                self.at_writer(lease, |_, w| w.set_savepoint(name))
            }
            Transaction::Reading(s) => {
                s.savepoints.retain(|n| !n.eq_ignore_ascii_case(name));
                s.savepoints.push(name.to_owned());
                Ok(())
            }
            Transaction::None => {
                let mut snapshot = self.fresh_snapshot(false);
                snapshot.savepoints.push(name.to_owned());
                self.transaction = Transaction::Reading(snapshot);
                Ok(())
            }
        }
    }

    /// ROLLBACK TO and RELEASE: `undo` says which.
    pub(super) fn end_savepoint(&mut self, name: &str, undo: bool) -> Result<(), SqlError> {
        let unknown = || SqlError::new(1305, "42000", format!("SAVEPOINT {name} does not exist"));
        match &mut self.transaction {
            Transaction::Writing(lease) => {
                let lease = *lease;
                let found = self.at_writer(lease, |_, w| w.end_savepoint(name, undo))?;
                if !found {
                    return Err(unknown());
                }
            }
            Transaction::Reading(s) => {
                let i = s.savepoints.iter().position(|n| n.eq_ignore_ascii_case(name)).ok_or_else(unknown)?;
                s.savepoints.truncate(if undo { i + 1 } else { i });
            }
            Transaction::None => return Err(unknown()),
        }
        self.end_mark_own(name, undo)
    }

    /// A single value.
    pub(crate) fn scalar_of(
        &mut self,
        scalar: &Scalar,
        bound: &Bound,
    ) -> Result<(Value, FieldType), SqlError> {
        match scalar {
            Scalar::Slot(slot) => {
                let core = self.core();
                let random = self.inner.random();
                let virtuals = run::no_virtuals;
                let args = execute::Args {
                    literals: &bound.statement.compiled().literals,
                    params: &bound.params,
                    session: &core.state,
                    now_us: self.inner.clock.now_us() as i64,
                    random,
                    drawn: Default::default(),
                    virtuals: &virtuals,
                };
                execute::bind_typed(slot, &args)
            }
            Scalar::Query(q) => {
                let mut first = OneValue::default();
                self.rows(&q.query, std::slice::from_ref(&q.field), bound, &mut first)?;
                Ok((first.0, q.field.ty.clone()))
            }
        }
    }
}

/// A user variable as a parameter.
fn literal(variable: Option<&UserVariable>) -> Literal {
    let Some(v) = variable else { return Literal::null() };
    match (&v.value, &v.ty.kind) {
        (Value::Null, _) => Literal::null(),
        (Value::Int(n), _) => Literal::int(*n),
        (Value::Real(n), _) => Literal::double(*n),
        (Value::Text(t), _) => Literal::text(t.clone()),
        (Value::Blob(b), FieldKind::Decimal) => {
            let digits = |n: u32| u8::try_from(n).unwrap_or(65).min(65);
            let kind = LiteralKind::Decimal(digits(v.ty.length), v.ty.decimals.min(30));
            Literal { kind, value: Value::Blob(b.clone()) }
        }
        (Value::Blob(b), _) => match v.value.as_u64().filter(|_| v.ty.unsigned) {
            Some(n) => Literal::uint(n),
            None => Literal::bytes(b.clone()),
        },
    }
}

/// What InnoDB says of WITH CONSISTENT SNAPSHOT at other levels.
fn snapshot_ignored() -> Note {
    Note {
        level: NoteLevel::Warning,
        code: 138,
        message: "InnoDB: WITH CONSISTENT SNAPSHOT was ignored because this phrase can only be used with \
                  REPEATABLE READ isolation level."
            .to_owned(),
    }
}
