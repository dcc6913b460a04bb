//! The writer: the only connection that changes the realm's file.
//!
//! One SQLite transaction at a time ([`Writer::begin`] … [`Writer::commit`]) holds a group of local transactions
//! or a batch of blocks; inside it savepoints nest, one per local transaction and per statement. The capture
//! follows both. [`Writer::commit`] returns after the write-ahead log was synced to disk; after
//! [`Writer::commit_unsynced`] that is left to a [`LogSync`].
//!
//! A fault that makes SQLite roll the whole transaction back (disk full, I/O error, interrupt) is noticed: from
//! then on everything but [`Writer::rollback`] answers [`StoreError::RolledBack`].

use std::ops::Deref;

use crate::capture::Capture;
use crate::connection::{CheckpointReport, Connection};
use crate::error::{Result, StoreError};
use crate::lock::DirLock;
use crate::log::LogState;
use crate::open::{Checkpoints, Options};
use crate::query::Params;
use crate::sync::LogSync;

/// The one writer of a realm's file.
pub struct Writer {
    connection: Connection,
    pub(crate) options: Options,
    /// Captured changes at each open savepoint, outermost first.
    savepoints: Vec<usize>,
    open: bool,
    sync: LogSync,
    checkpoints: Checkpoints,
    pub(crate) log: LogState,
    _lock: Option<DirLock>,
}

/// An open savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Savepoint(pub(crate) usize);

impl Deref for Writer {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        options: Options,
        checkpoints: Checkpoints,
        log: LogState,
        lock: Option<DirLock>,
    ) -> Self {
        let sync = LogSync::new(&options);
        Self { sync, connection, options, savepoints: Vec::new(), open: false, checkpoints, log, _lock: lock }
    }

    /// Begins the SQLite transaction (`BEGIN IMMEDIATE`). First runs a checkpoint that is due, so that its cost
    /// falls between two groups.
    ///
    /// # Panics
    /// When one is open already: a bug of the caller.
    pub fn begin(&mut self) -> Result<()> {
        assert!(!self.open, "a transaction is open already");
        if self.checkpoints.is_due(self.options.checkpoint_pages) {
            // A checkpoint that finds the disk full or readers in the way costs nothing but the WAL's length.
            if let Err(e) = self.checkpoint() {
                tracing::warn!(error = %e, "a checkpoint failed; the write-ahead log grows until one succeeds");
            }
        }
        self.connection.execute("BEGIN IMMEDIATE", ())?;
        self.open = true;
        self.capture().reset();
        self.log.begun();
        Ok(())
    }

    /// True between `begin` and `commit` or `rollback`.
    pub fn in_transaction(&self) -> bool {
        self.open
    }

    /// Commits and syncs. On an error nothing was committed and the transaction is over.
    ///
    /// A sync that fails is reported as an error; whether the disk kept the data shows after the next start.
    pub fn commit(&mut self) -> Result<()> {
        self.commit_unsynced()?;
        self.sync.sync()
    }

    /// What makes unsynced commits durable.
    pub fn log_sync(&self) -> LogSync {
        self.sync.clone()
    }

    /// Commits: readers see it, and [`LogSync::sync`] makes it durable. On an error nothing was committed and the
    /// transaction is over.
    pub fn commit_unsynced(&mut self) -> Result<()> {
        self.check()?;
        if let Err(e) = self.capture().check() {
            self.rollback()?;
            return Err(e);
        }
        match self.connection.execute("COMMIT", ()) {
            Ok(_) => {
                self.ended();
                Ok(())
            }
            Err(e) => {
                self.rollback()?;
                Err(e)
            }
        }
    }

    /// Takes the whole transaction back. Does nothing when none is open.
    pub fn rollback(&mut self) -> Result<()> {
        if !self.open {
            return Ok(());
        }
        self.ended();
        self.forget();
        if !self.connection.db.is_autocommit() {
            self.connection.execute("ROLLBACK", ())?;
        }
        Ok(())
    }

    /// Numbers and cached records may have been taken back.
    fn forget(&mut self) {
        if self.log.rolled_back() {
            self.connection.log_cache.take();
        }
    }

    fn ended(&mut self) {
        self.open = false;
        self.connection.forget_large_body();
        self.savepoints.clear();
        self.capture().set(false);
        self.capture().reset();
    }

    /// [`StoreError::RolledBack`] when SQLite has ended the transaction by itself.
    pub fn check(&self) -> Result<()> {
        assert!(self.open, "no transaction is open");
        if self.connection.db.is_autocommit() { Err(StoreError::RolledBack) } else { Ok(()) }
    }

    /// Opens a savepoint inside the transaction and inside the savepoints that are open.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        self.check()?;
        let depth = self.savepoints.len();
        self.connection.execute(&format!("SAVEPOINT s{depth}"), ())?;
        self.savepoints.push(self.capture().mark());
        Ok(Savepoint(depth))
    }

    /// Takes back everything since the savepoint, captured changes too. The savepoint stays open, those inside it
    /// are gone.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.check()?;
        let mark = self.mark_of(savepoint);
        self.connection.execute(&format!("ROLLBACK TO s{}", savepoint.0), ())?;
        self.savepoints.truncate(savepoint.0 + 1);
        self.capture().truncate(mark);
        self.forget();
        Ok(())
    }

    /// Lets the savepoint, and those inside it, go; what was done since stays in the transaction.
    pub fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        self.check()?;
        self.mark_of(savepoint);
        self.connection.execute(&format!("RELEASE s{}", savepoint.0), ())?;
        self.savepoints.truncate(savepoint.0);
        Ok(())
    }

    fn capture(&self) -> &Capture {
        self.connection.capture.as_ref().expect("invariant: the writer is opened with a capture")
    }

    fn mark_of(&self, savepoint: Savepoint) -> usize {
        *self.savepoints.get(savepoint.0).expect("invariant: a savepoint is used while it is open")
    }

    /// Runs a statement inside the transaction. Same as on [`Connection`], but sure not to run outside of one.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<u64> {
        self.check()?;
        self.connection.execute(sql, params)
    }

    /// Moves what it can from the write-ahead log into the database file, without waiting for readers.
    ///
    /// Not inside a transaction.
    pub fn checkpoint(&mut self) -> Result<CheckpointReport> {
        let report = self.connection.run_checkpoint()?;
        self.checkpoints.done(report.log_pages);
        Ok(report)
    }

    /// Pages in the write-ahead log after the last commit.
    pub fn wal_pages(&self) -> u64 {
        self.checkpoints.pages()
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Err(e) = self.rollback() {
            tracing::debug!(error = %e, "rollback on close");
        }
    }
}
