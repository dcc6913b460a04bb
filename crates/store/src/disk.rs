//! The file system as an embedder may replace it: for a simulator that loses and tears what was not synced.
//!
//! SQLite goes through the VFS that is named here; the sync after a commit, which SQLite leaves to [`crate::LogSync`],
//! goes through [`Disk::sync`]. Everything else (the lock, backups, the directory) is the system's.

use std::path::Path;

/// See the module.
pub trait Disk: Send + Sync {
    /// Name of a VFS that is registered with SQLite.
    fn vfs(&self) -> &str;

    /// What was written to this file is durable after it.
    ///
    /// # Errors
    /// When the disk does not take it.
    fn sync(&self, path: &Path) -> std::io::Result<()>;
}
