//! Making commits durable, on whichever thread has the time.
//!
//! A commit writes its pages to the write-ahead log; it survives a loss of power once that file is synced. One sync
//! covers every commit before it, and after a crash SQLite takes the log up to its first torn frame, so what was
//! synced is never lost for what was not. A checkpoint syncs the log by itself before it touches the database file
//! (<https://sqlite.org/pragma.html#pragma_synchronous>, NORMAL in WAL mode), and the log's header is synced when it
//! begins anew: only the sync after each commit is left to do here.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::disk::Disk;
use crate::error::{Result, StoreError};
use crate::open::Options;

/// See the module. Cheap to clone; may be used on any thread.
#[derive(Clone)]
pub struct LogSync(Option<Arc<Inner>>);

struct Inner {
    path: PathBuf,
    disk: Option<Arc<dyn Disk>>,
    /// Opened at the first sync; SQLite keeps the file for as long as a connection is open.
    file: OnceLock<File>,
}

impl LogSync {
    /// For a store with these options. Where commits need no sync there is nothing to do.
    pub(crate) fn new(options: &Options) -> Self {
        if !options.syncs_apart() {
            return LogSync(None);
        }
        let mut path = options.path.clone().into_os_string();
        path.push("-wal");
        LogSync(Some(Arc::new(Inner {
            path: path.into(),
            disk: options.disk.clone(),
            file: OnceLock::new(),
        })))
    }

    /// Every commit that was made before the call is durable after it.
    ///
    /// # Errors
    /// When the disk does not take it: what it kept shows after the next start. Another sync may then succeed without
    /// having kept anything, so there must be none.
    pub fn sync(&self) -> Result<()> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let failed = |action| move |source| StoreError::Io { action, path: inner.path.clone(), source };
        if let Some(disk) = &inner.disk {
            return disk.sync(&inner.path).map_err(failed("sync"));
        }
        let file = match inner.file.get() {
            Some(file) => file,
            None => {
                let opened =
                    File::options().read(true).write(true).open(&inner.path).map_err(failed("open"))?;
                inner.file.get_or_init(|| opened)
            }
        };
        file.sync_data().map_err(failed("sync"))
    }
}
