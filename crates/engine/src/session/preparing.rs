//! Statements as they are prepared, and those that fail before they do anything: what commits first commits all the same, where it
//! is run (MySQL 8.4 manual, section 15.3.3).

use p2pdb_sql::command::{Command, commits_first, has_parameters};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::plan::{PlanKind, SessionCommand};

use super::{Flow, Session, Then};
use crate::api::Sink;
use crate::statement::Statement;

/// MySQL's number for a syntax error.
pub(super) const SYNTAX_ERROR: u16 = 1064;
/// What is not there yet, and will not be there when the statement is run.
const NOT_SUPPORTED: u16 = 1235;

/// What was not granted: that is said before a read lock is.
const DENIED: [u16; 5] = [1044, 1142, 1143, 1227, 1370];

/// Errors of MySQL's parser, which commit nothing: syntax; no database selected; names that are wrong, too long or there twice; unknown
/// character sets, collations and engines; types and defaults that no column has; and what is wrong with the body of a program.
#[rustfmt::skip]
const OF_THE_PARSER: [u16; 28] = [
    SYNTAX_ERROR, 1046, 1059, 1066, 1101, 1102, 1103, 1115, 1193, 1273, 1286, 1308, 1309, 1310, 1313, 1314, 1320, 1330, 1331, 1332,
    1337, 1338, 1407, 1422, 1426, 1427, 1439, 1818,
];

/// The statement with this text, of which this is wrong, commits what is open all the same.
pub(crate) fn fails_committed(error: &SqlError, text: &str) -> bool {
    !OF_THE_PARSER.contains(&error.code) && commits_first(text)
}

impl Session {
    /// Compiles one statement.
    ///
    /// # Errors
    /// Whatever is wrong with the text: syntax (also a second statement), names, types; 1235 for what is not supported. Where a
    /// statement commits first, and there is something to commit, it fails when it runs.
    pub fn prepare(&mut self, text: &str) -> Result<Statement, SqlError> {
        let leaves = self.is_open() || self.news.holds_once() || self.locked.in_force();
        let prepared = match self.compiled(text) {
            Err(e) if leaves && fails_committed(&e, text) => {
                self.compiled("COMMIT").map(|c| c.failing(e, text))
            }
            other => other,
        };
        self.note_prepared(prepared)
    }

    /// As [`Self::prepare`], for a statement that is kept, and may be run later or never.
    ///
    /// # Errors
    /// As there.
    pub fn prepare_to_keep(&mut self, text: &str) -> Result<Statement, SqlError> {
        let prepared = self.kept(text);
        self.note_prepared(prepared)
    }

    /// What commits first and would fail now is looked at again each time that it is run. It is run in the database that is the
    /// current one now.
    pub(super) fn kept(&self, text: &str) -> Result<Statement, SqlError> {
        let kept = match self.compiled(text) {
            Err(e) if fails_committed(&e, text) && e.code != NOT_SUPPORTED && !has_parameters(text) => {
                self.compiled("COMMIT").map(|c| c.put_off(text))
            }
            other => other,
        };
        let statement = kept?;
        let cannot = |c: &SessionCommand| {
            matches!(
                c,
                SessionCommand::Use(_)
                    | SessionCommand::Prepare { .. }
                    | SessionCommand::Execute { .. }
                    | SessionCommand::Deallocate(_)
            )
        };
        if let PlanKind::Session(commands) = &statement.compiled().plan.kind
            && commands.iter().any(cannot)
        {
            let message = "This command is not supported in the prepared statement protocol yet";
            return Err(SqlError::new(1295, "HY000", message));
        }
        Ok(statement.at_home_in(self.core().state.database.clone()))
    }

    fn note_prepared(&mut self, prepared: Result<Statement, SqlError>) -> Result<Statement, SqlError> {
        if let Err(e) = &prepared {
            self.state().clear_warnings();
            self.state().failed(e);
        }
        prepared
    }

    pub(super) fn compiled(&self, text: &str) -> Result<Statement, SqlError> {
        if let [_, second, ..] = self.split(text)[..] {
            let at = second.as_ptr() as usize - text.as_ptr() as usize;
            return Err(SqlError::syntax(second, 1 + text[..at].matches('\n').count() as u64));
        }
        let catalog = self.catalog();
        self.inner.compile(text.into(), &self.core().state, &catalog, None)
    }

    /// The statement fails before it does anything; what commits first commits.
    pub(super) fn fail(&mut self, error: SqlError, statement: &Statement, sink: &mut dyn Sink) -> Flow {
        match fails_committed(&error, statement.text()) {
            true => self.fail_committed(error, statement.command(), sink),
            false => self.finish(Err(error)),
        }
    }

    /// As [`Self::fail`], for one that is known to commit first.
    pub(super) fn fail_committed(
        &mut self,
        error: SqlError,
        command: Option<Command>,
        sink: &mut dyn Sink,
    ) -> Flow {
        let locks = command == Some(Command::LOCK_TABLES);
        if self.has_read_lock() {
            let stays = locks || DENIED.contains(&error.code);
            return if stays { self.finish(Err(error)) } else { self.refuse_to_write() };
        }
        if locks {
            self.locked.unlock();
        }
        self.commit(Then::Fail(error), sink)
    }
}
