//! Backup of a running store into one file, and restoring one into an empty place.
//!
//! A backup is a whole store of its own: one consistent state, compact, without a write-ahead log, synced. A store
//! that was restored says so in `meta` ([`crate::meta::RESTORED`]): its node may have written more after the backup
//! than the backup knows, so it begins a new chain and takes the mark away.

use std::fs::File;
use std::path::{Path, PathBuf};

use p2pdb_model::ValueRef;

use crate::connection::Connection;
use crate::connection_writer::Writer;
use crate::error::{Result, StoreError};
use crate::functions::ErrorSlot;
use crate::meta::{LOOKS, RESTORED};
use crate::open::{Options, make_private, sync_directory};

/// Writes one consistent state of the store to `target`, a new file. Works while the store is written to; on an
/// error nothing is left behind. A log with a damaged block is one ([`StoreError::BlockAt`]): such a copy would be found out
/// only when it is needed.
///
/// `from` must not be inside a transaction or snapshot.
pub fn backup(from: &Connection, target: &Path) -> Result<()> {
    if target.exists() {
        return Err(StoreError::Exists(target.to_owned()));
    }
    // Under another name until it is whole: a backup that broke off must not look like one.
    let part = beside(target, ".part");
    remove(&part)?;
    make_private(&part)?;
    let copied = copy(from, &part)
        .and_then(|()| strip(&part))
        .and_then(|()| check(&part))
        .and_then(|()| publish(&part, target));
    if copied.is_err() {
        // The error at hand says more than one about the clean-up would.
        let _ = remove(&part);
    }
    copied
}

fn copy(from: &Connection, part: &Path) -> Result<()> {
    let name = part.to_str().ok_or_else(|| StoreError::Unwritable(format!("{part:?}: not UTF-8")))?;
    // VACUUM INTO takes an empty file that exists; the reader's query_only would forbid it.
    let read_only = from.query_one("PRAGMA query_only", (), |r| r.int(0))? == Some(1);
    let set = |on: bool| {
        let sql = if on { "PRAGMA query_only = 1" } else { "PRAGMA query_only = 0" };
        from.execute_batch(sql)
    };
    if read_only {
        set(false)?;
    }
    let copied = from.execute("VACUUM INTO ?1", [ValueRef::Text(name)]);
    if read_only {
        set(true)?;
    }
    copied.map(drop)
}

/// Takes out of a copy what is this node's own and made from what it can open ([`crate::looks`]).
fn strip(part: &Path) -> Result<()> {
    let copy = Connection::new(rusqlite::Connection::open(part)?, ErrorSlot::default(), None)?;
    if !crate::looks::any(&copy)? {
        return Ok(());
    }
    // A journal on disk would hold what is taken out.
    copy.execute_batch("PRAGMA journal_mode = MEMORY; BEGIN IMMEDIATE")?;
    crate::looks::wipe(&copy)?;
    copy.execute("DELETE FROM meta WHERE name = ?1", [ValueRef::Text(LOOKS)])?;
    copy.execute_batch("COMMIT")
}

/// Looks at the hashes of a copy's log.
fn check(part: &Path) -> Result<()> {
    Connection::new(rusqlite::Connection::open(part)?, ErrorSlot::default(), None)?.check_blocks()
}

/// Gives a finished file its name, durably, unless there is one of that name by now.
fn publish(part: &Path, target: &Path) -> Result<()> {
    let file = File::open(part).map_err(StoreError::io("open", part))?;
    file.sync_all().map_err(StoreError::io("sync", part))?;
    match std::fs::hard_link(part, target) {
        Ok(()) => remove(part)?,
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(StoreError::Exists(target.to_owned()));
        }
        // A file system without hard links: the check at the beginning has to do.
        Err(_) => std::fs::rename(part, target).map_err(StoreError::io("rename to", target))?,
    }
    sync_directory(target)
}

/// What a node whose store is restored makes of its AUTO_INCREMENT values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// It may have drawn more since the backup: others deal it new ones before it draws again.
    MayBeLost,
    /// It draws on, behind the greatest in the backup.
    DrawOn,
}

/// Puts a backup where `to` says, as a new store, and marks it as restored. The backup itself is only read.
///
/// [`StoreError::Exists`] when there is a store already; a file that is no backup, or with a damaged block, is refused and
/// nothing is left.
pub fn restore(backup: &Path, to: &Options, ids: Ids) -> Result<()> {
    restore_checked(backup, to, ids, |_| Ok(()))
}

/// Removes the store at this path with all that SQLite and its lock keep beside it; what is not there need not be.
///
/// # Errors
/// [`StoreError::Io`].
pub fn remove_store(path: &Path) -> Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal", ".lock"] {
        remove(&beside(path, suffix))?;
    }
    Ok(())
}

/// [`restore`], but only if `check` has nothing against what was copied.
pub fn restore_checked(
    backup: &Path,
    to: &Options,
    ids: Ids,
    check: impl FnOnce(&Connection) -> Result<()>,
) -> Result<()> {
    if let Some(there) = to.found() {
        return Err(StoreError::Exists(there));
    }
    if !backup.exists() {
        return Err(StoreError::none_at(backup));
    }
    let part = beside(&to.path, ".part");
    let clean = || remove_store(&part);
    clean()?;
    let restored = (|| {
        make_private(&part)?;
        std::fs::copy(backup, &part).map_err(StoreError::io("copy the backup to", &part))?;
        let mut options = to.clone();
        options.path = part.clone();
        let mut writer = Writer::open(&options).map_err(|e| match e {
            StoreError::Empty(_) | StoreError::Foreign(_) => StoreError::Foreign(backup.to_owned()),
            e => e,
        })?;
        writer.check_blocks()?;
        check(&writer)?;
        writer.begin()?;
        let how = match ids {
            Ids::MayBeLost => crate::meta::SET,
            Ids::DrawOn => crate::meta::RESTORED_WITH_IDS,
        };
        writer.put_meta(RESTORED, how)?;
        writer.commit()?;
        // Closing the only connection moves the write-ahead log into the file.
        drop(writer);
        if let Some(wal) = unmoved(&part) {
            return Err(StoreError::Corrupt(format!("{} was not emptied", wal.display())));
        }
        // Empty files, as was seen above, and what belongs to a log that is not there.
        for suffix in ["", "-wal", "-shm", "-journal"] {
            remove(&beside(&to.path, suffix))?;
        }
        publish(&part, &to.path)
    })();
    let cleaned = clean();
    restored.and(cleaned)
}

/// The write-ahead log beside a store, if a part of the store is in it: while it is open, and after a hard stop.
pub fn unmoved(store: &Path) -> Option<PathBuf> {
    Some(beside(store, "-wal")).filter(|wal| wal.metadata().is_ok_and(|m| m.len() > 0))
}

pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(e)),
        _ => Ok(()),
    }
}
