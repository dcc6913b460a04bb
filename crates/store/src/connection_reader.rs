//! Readers: connections that see a snapshot and change nothing; and a pool of them.
//!
//! A statement outside `begin` … `end` reads the newest commit; between them all statements read one snapshot.
//! Readers never wait for the writer nor it for them; but a snapshot that stays open keeps the write-ahead log
//! from being emptied, so whoever holds one is bounded elsewhere (engine: idle transactions).

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use crate::connection::{CheckpointReport, Connection};
use crate::error::{Result, StoreError};
use crate::log::TxNo;
use crate::open::Options;

/// A connection for reading.
pub struct Reader {
    pub(crate) connection: Connection,
    open: bool,
    /// Its session's temporary tables are here (see `temporary`): nobody else uses it any more.
    pub(crate) temporary: bool,
}

impl Deref for Reader {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Reader {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, open: false, temporary: false }
    }

    /// Takes a snapshot of the newest commit; says which transaction was the last in it.
    ///
    /// # Panics
    /// When one is open already: a bug of the caller.
    pub fn begin(&mut self) -> Result<TxNo> {
        assert!(!self.open, "a snapshot is open already");
        self.connection.execute("BEGIN", ())?;
        self.open = true;
        match self.connection.last_tx() {
            Ok(no) => Ok(no),
            Err(e) => {
                self.end()?;
                Err(e)
            }
        }
    }

    /// Lets the snapshot go. Does nothing when none is open.
    pub fn end(&mut self) -> Result<()> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        self.connection.forget_large_body();
        if !self.connection.db.is_autocommit() {
            // What was written to temporary tables stays: it is taken back row by row, if at all.
            self.connection.execute(if self.temporary { "COMMIT" } else { "ROLLBACK" }, ())?;
        }
        Ok(())
    }

    /// Moves what it can from the write-ahead log into the database file, without waiting for anybody: for a
    /// thread in the background, beside a writer whose own checkpoints are bounded by
    /// [`CHECKPOINT_PAGES_BOUND`](crate::CHECKPOINT_PAGES_BOUND). Not inside a snapshot.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        self.connection.run_checkpoint()
    }

    /// True between `begin` and `end`.
    pub fn in_snapshot(&self) -> bool {
        self.open
    }
}

/// Readers to lend out, opened as needed up to a limit and kept for the next borrower.
#[derive(Clone)]
pub struct ReaderPool {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    max: usize,
    state: Mutex<PoolState>,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Reader>,
    lent: usize,
}

/// A borrowed reader; goes back to its pool when dropped, its snapshot closed.
pub struct PooledReader {
    reader: Option<Reader>,
    shared: Arc<Shared>,
}

impl ReaderPool {
    /// At most `max` readers at a time.
    pub fn new(options: Options, max: usize) -> Self {
        Self { shared: Arc::new(Shared { options, max, state: Mutex::default() }) }
    }

    /// Borrows a reader. [`StoreError::ReadersExhausted`] at the limit; does not wait.
    pub fn get(&self) -> Result<PooledReader> {
        let mut state = self.shared.lock();
        let idle = state.idle.pop();
        if idle.is_none() && state.lent >= self.shared.max {
            return Err(StoreError::ReadersExhausted(self.shared.max));
        }
        state.lent += 1;
        drop(state);
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.shared.options).inspect_err(|_| self.shared.lock().lent -= 1)?,
        };
        Ok(PooledReader { reader: Some(reader), shared: self.shared.clone() })
    }

    /// Readers lent out and idle.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.lent, state.idle.len())
    }

    /// Closes the idle readers.
    pub fn clear(&self) {
        let idle = std::mem::take(&mut self.shared.lock().idle);
        drop(idle);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, PoolState> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(|p| p.into_inner())
    }
}

impl Deref for PooledReader {
    type Target = Reader;
    fn deref(&self) -> &Reader {
        self.reader.as_ref().expect("invariant: taken only on drop")
    }
}

impl DerefMut for PooledReader {
    fn deref_mut(&mut self) -> &mut Reader {
        self.reader.as_mut().expect("invariant: taken only on drop")
    }
}

impl Drop for PooledReader {
    fn drop(&mut self) {
        let Some(mut reader) = self.reader.take() else { return };
        let healthy = reader.end().is_ok();
        reader.clear_interrupt();
        reader.set_step_budget(None);
        let mut state = self.shared.lock();
        state.lent -= 1;
        // One that could not even end its snapshot is closed, and so is one with temporary tables, which go with it.
        if healthy && !reader.temporary {
            state.idle.push(reader);
        }
    }
}
