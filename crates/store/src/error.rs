//! What can go wrong in the store: faults of this machine, never refusals of a block.
//!
//! A fault is told apart by what the operator or the engine can do about it: free some disk, fix permissions,
//! restore a backup, wait, retry. Every variant leaves the database as it was before the transaction; a message
//! says what happened and what to do next.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use rusqlite::ffi;

/// An error of a registered SQL function, kept as it was raised.
pub type FunctionError = Box<dyn std::error::Error + Send + Sync>;

/// Result of this crate.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A fault of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room left on the disk, or the file's limit is reached. The transaction was or must be rolled back.
    #[error("the disk is full: nothing was written; free some space and try again")]
    Full(#[source] rusqlite::Error),
    /// The file or its directory cannot be written.
    #[error("the database cannot be written ({0}); check owner, permissions and mount of the data directory")]
    Unwritable(String),
    /// The file, or what is in it, is damaged.
    #[error("the database is damaged: {0}; run `p2pdb-node verify`, then restore a backup or join again")]
    Corrupt(String),
    /// Another process holds the data directory.
    #[error("the data directory is in use by another process{}: {path}", holder(.pid))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, where known.
        pid: Option<u32>,
    },
    /// There is no database at this path.
    #[error("there is no database at {0}")]
    Missing(PathBuf),
    /// The file is there, but nothing is in it: a creation that did not come to its end, or somebody has emptied it.
    #[error("{0} is empty, no database is in it")]
    Empty(PathBuf),
    /// Something is in the way of a new file.
    #[error("{0} exists and is not overwritten")]
    Exists(PathBuf),
    /// The file is SQLite's but not ours.
    #[error("{0} is not a database of p2pdb")]
    Foreign(PathBuf),
    /// A newer p2pdb wrote the file.
    #[error(
        "the database has format {found}, this program knows formats up to {known}: use a newer p2pdb-node"
    )]
    NewerFormat {
        /// Format number of the file.
        found: i64,
        /// The newest that this build reads.
        known: i64,
    },
    /// Another connection is in the way, longer than the busy timeout.
    #[error("the database is busy")]
    Busy(#[source] rusqlite::Error),
    /// Stopped by [`crate::InterruptHandle::interrupt`].
    #[error("interrupted")]
    Interrupted,
    /// Stopped because the step budget was used up; run it again where long statements run.
    #[error("the statement used up its budget of {0} steps")]
    StepBudget(u64),
    /// A statement gave a row another owner, or one that is none.
    #[error("the owner of a row of {0} does not change, and is an account")]
    Owner(String),
    /// A constraint of a table refused a row; only this statement was undone.
    #[error(transparent)]
    Constraint(ConstraintError),
    /// A registered SQL function failed; only this statement was undone.
    #[error("{0}")]
    Function(FunctionError),
    /// The transaction changed more than may be captured.
    #[error("a transaction may change at most {bytes_max} bytes of rows: split it")]
    CaptureFull {
        /// The limit.
        bytes_max: usize,
    },
    /// The capture failed inside SQLite's hook: the transaction can only be rolled back.
    #[error("changes could not be captured ({0}); the transaction is rolled back")]
    CaptureFailed(String),
    /// An earlier fault has rolled the transaction back as a whole.
    #[error("the transaction was rolled back by an earlier fault")]
    RolledBack,
    /// All connections of the pool are in use.
    #[error("all {0} read connections are in use")]
    ReadersExhausted(usize),
    /// The log does not hold what was asked for.
    #[error("not in the log: {0}")]
    NotFound(String),
    /// A stored block or body is refused by its own decoder.
    #[error("a stored block is damaged: {0}")]
    Block(#[from] p2pdb_block::Refusal),
    /// A block that this store holds is refused by its own decoder.
    #[error(
        "block {no} of the log is damaged: {why}; `p2pdb-node verify` says what else is, then restore a backup or join again"
    )]
    BlockAt {
        /// Its number.
        no: u64,
        /// What is wrong with it; said above, so that no chain of causes says it again.
        why: p2pdb_block::Refusal,
    },
    /// A file operation failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Any other error of SQLite (also a statement that it does not accept).
    #[error("SQLite: {0}")]
    Sqlite(#[source] rusqlite::Error),
}

fn holder(pid: &Option<u32>) -> String {
    pid.map(|p| format!(" (pid {p})")).unwrap_or_default()
}

/// A row that a constraint refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConstraintError {
    /// Which kind of constraint.
    pub kind: ConstraintKind,
    /// SQLite's message; names the columns or the index.
    pub message: String,
}

/// Kinds of constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// UNIQUE index or PRIMARY KEY.
    Unique,
    /// NOT NULL.
    NotNull,
    /// CHECK.
    Check,
    /// A value that does not fit the column (rowid not an integer, STRICT).
    DataType,
    /// Anything else (triggers).
    Other,
}

impl ConstraintError {
    /// The table and columns that SQLite names (`t.a, t.b`); empty where it names an index or an expression.
    pub fn columns(&self) -> Vec<(&str, &str)> {
        let Some((_, list)) = self.message.split_once("constraint failed: ") else { return Vec::new() };
        list.split(", ").filter_map(|c| c.split_once('.')).collect()
    }

    /// The index that SQLite names (`index 'i'`), for indexes on expressions.
    pub fn index(&self) -> Option<&str> {
        let (_, rest) = self.message.split_once("constraint failed: index '")?;
        rest.strip_suffix('\'')
    }
}

impl StoreError {
    /// There is no database: no file, or nothing in it.
    pub(crate) fn none_at(path: &Path) -> Self {
        let path = path.to_owned();
        if path.exists() { StoreError::Empty(path) } else { StoreError::Missing(path) }
    }

    /// True where the machine is at fault, so that a retry after repair may succeed.
    pub fn is_disk_fault(&self) -> bool {
        matches!(self, StoreError::Full(_) | StoreError::Unwritable(_) | StoreError::Corrupt(_))
    }

    /// True where what is in the file is at fault.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            StoreError::Corrupt(_)
                | StoreError::Foreign(_)
                | StoreError::Block(_)
                | StoreError::BlockAt { .. }
        )
    }

    /// A function of ours, or SQLite's own arithmetic, failed on the values that it was given.
    pub fn is_of_function(&self) -> bool {
        match self {
            StoreError::Function(_) => true,
            StoreError::Sqlite(e) => e
                .sqlite_error()
                .is_some_and(|e| matches!(e.extended_code, ffi::SQLITE_ERROR | ffi::SQLITE_TOOBIG)),
            _ => false,
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.into();
        move |source| match source.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::Unwritable(format!("{action} {}: {source}", path.display()))
            }
            _ => StoreError::Io { action, path, source },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(e: rusqlite::Error) -> Self {
        let rusqlite::Error::SqliteFailure(f, message) = &e else {
            return match e {
                rusqlite::Error::Utf8Error(column, _) => {
                    StoreError::Corrupt(format!("text that is not UTF-8 in result column {column}"))
                }
                e => StoreError::Sqlite(e),
            };
        };
        let text = || message.clone().unwrap_or_else(|| f.to_string());
        match (f.code, f.extended_code) {
            (_, ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA) => {
                StoreError::Corrupt(text())
            }
            (_, ffi::SQLITE_IOERR_SHMSIZE) | (ErrorCode::DiskFull, _) => StoreError::Full(e),
            (ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied, _) => {
                StoreError::Unwritable(text())
            }
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => StoreError::Corrupt(text()),
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreError::Busy(e),
            (ErrorCode::OperationInterrupted, _) => StoreError::Interrupted,
            (ErrorCode::ConstraintViolation, extended) => {
                let kind = match extended {
                    ffi::SQLITE_CONSTRAINT_UNIQUE
                    | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                    | ffi::SQLITE_CONSTRAINT_ROWID => ConstraintKind::Unique,
                    ffi::SQLITE_CONSTRAINT_NOTNULL => ConstraintKind::NotNull,
                    ffi::SQLITE_CONSTRAINT_CHECK => ConstraintKind::Check,
                    ffi::SQLITE_CONSTRAINT_DATATYPE => ConstraintKind::DataType,
                    _ => ConstraintKind::Other,
                };
                StoreError::Constraint(ConstraintError { kind, message: text() })
            }
            (ErrorCode::TypeMismatch, _) => {
                let kind = ConstraintKind::DataType;
                StoreError::Constraint(ConstraintError { kind, message: text() })
            }
            _ => StoreError::Sqlite(e),
        }
    }
}
