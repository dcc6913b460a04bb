//! The lock on the data directory: one process at a time.
//!
//! An advisory lock (`flock`) on a file of its own beside the database, held as long as the value lives; the
//! kernel lets go of it when the process dies, so a crash leaves nothing to clean up. It is not on the database
//! file: closing any descriptor of that would drop SQLite's own locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};

/// Holds the data directory for this process.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
    path: PathBuf,
}

impl DirLock {
    /// Takes the lock `path`, making the file when it is not there.
    ///
    /// [`StoreError::Locked`] when another process holds it, [`StoreError::Unwritable`] when it cannot be made.
    pub fn acquire(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(StoreError::io("open the lock file", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The pid is a courtesy: without it the message is only shorter.
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::Locked { path: path.to_owned(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::io("lock", path)(e)),
        }
        let mut note = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        // A full disk must not keep a node from starting: the lock holds without the note.
        if let Err(e) = note() {
            tracing::debug!(path = %path.display(), error = %e, "the pid could not be noted in the lock file");
        }
        Ok(Self { _file: file, path: path.to_owned() })
    }

    /// Takes the lock `path` where nothing can be written; `None` where there is no such file: then nobody holds it.
    ///
    /// [`StoreError::Locked`] when another process holds it.
    pub fn acquire_reading(path: &Path) -> Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(StoreError::io("open the lock file", path)(e)),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.to_owned(), pid: None }),
            // Some file systems lock only what can be written: nobody writes there.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Self { _file: file, path: path.to_owned() })),
        }
    }

    /// The lock file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_holds_the_lock_and_gets_it_after_release() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = DirLock::acquire(&path).unwrap();
        match DirLock::acquire(&path) {
            Err(StoreError::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        assert!(matches!(DirLock::acquire_reading(&path), Err(StoreError::Locked { .. })));
        drop(first);
        let reads = DirLock::acquire_reading(&path).unwrap();
        assert!(reads.is_some() && matches!(DirLock::acquire(&path), Err(StoreError::Locked { .. })));
        assert!(DirLock::acquire_reading(&dir.path().join("none")).unwrap().is_none());
        drop(reads);
        DirLock::acquire(&path).unwrap();
    }
}
