//! A node's disk: files as everybody sees them now, and as they would be after a loss of power.
//!
//! The files themselves are real and hold what was written last, as a page cache does. Beside each one is kept what it
//! held at its last sync, and every write since then. When the power goes the file becomes what it was at the sync, with
//! any part of what was written since, sector by sector: so writes are lost, torn, and overtake each other. A sync
//! that fails keeps any part of what it should have kept, and no later sync brings the rest back (as on Linux).
//!
//! Not modelled are names: making and removing a file counts as done at once, as on a file system with a journal.

mod vfs;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::random::Random;

/// What a disk writes at once, bytes.
const SECTOR_BYTES: usize = 512;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DiskError {
    /// A write meets a full disk.
    Full,
    /// A write fails.
    Write,
    /// A sync fails, and what it should have kept is lost in part.
    Sync,
    /// A read fails.
    Read,
}

/// What is done to a file.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

#[derive(Debug, Default)]
struct Kept {
    /// At the last sync.
    durable: Vec<u8>,
    /// Since then.
    since: Vec<Change>,
}

#[derive(Debug)]
struct State {
    files: BTreeMap<PathBuf, Kept>,
    /// Operations so far.
    operations: u64,
    /// The power goes with this operation.
    cut_at: Option<u64>,
    /// It goes with the next sync.
    cut_at_sync: bool,
    /// No power, or the process is gone: nothing works.
    off: bool,
    /// The next operation that can fails so.
    error: Option<DiskError>,
    /// One was met.
    failed: bool,
    /// Syncs do nothing: a disk that lies.
    lies: bool,
    random: Random,
}

/// See the module.
#[derive(Debug)]
pub struct Disk {
    directory: PathBuf,
    state: Mutex<State>,
}

/// What becomes of an operation.
enum Answer {
    Do,
    Fail(DiskError),
}

impl Disk {
    /// The disk of everything in a directory, which exists.
    pub fn new(directory: &Path, random: Random) -> Arc<Self> {
        let disk = Arc::new(Disk {
            directory: directory.to_owned(),
            state: Mutex::new(State {
                files: BTreeMap::new(),
                operations: 0,
                cut_at: None,
                cut_at_sync: false,
                off: false,
                error: None,
                failed: false,
                lies: false,
                random,
            }),
        });
        vfs::register(&disk);
        disk
    }

    /// Operations (writes and syncs) so far.
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// The power goes after so many more operations; with 0 at the next sync.
    pub fn cut_after(&self, operations: u64) {
        let mut s = self.state.lock();
        match operations {
            0 => s.cut_at_sync = true,
            n => s.cut_at = Some(s.operations + n),
        }
    }

    /// From now on nothing works: the power is gone, or the process is.
    pub fn switch_off(&self) {
        self.state.lock().off = true;
    }

    /// The power is gone.
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// The next operation that can fails so.
    pub fn fail_next(&self, error: DiskError) {
        self.state.lock().error = Some(error);
    }

    /// An error waits to be met.
    pub fn is_failing(&self) -> bool {
        self.state.lock().error.is_some()
    }

    /// An error was met since it was switched on.
    pub fn has_failed(&self) -> bool {
        self.state.lock().failed
    }

    /// Syncs do nothing from now on.
    pub fn lie(&self, lies: bool) {
        self.state.lock().lies = lies;
    }

    /// Power again, no faults; the files are as the process left them.
    pub fn switch_on(&self) {
        let mut s = self.state.lock();
        (s.off, s.cut_at, s.cut_at_sync, s.error, s.failed) = (false, None, false, None, false);
    }

    /// What a loss of power left. Nobody has the files open.
    ///
    /// # Errors
    /// When the real files cannot be written.
    pub fn lose_power(&self) -> io::Result<()> {
        let mut s = self.state.lock();
        let State { files, random, .. } = &mut *s;
        for (path, kept) in files.iter_mut() {
            kept.durable = survivors(std::mem::take(kept), random);
            if path.exists() {
                std::fs::write(path, &kept.durable)?;
            }
            if path.extension().is_some_and(|e| e == "db") {
                let mut shm = path.clone().into_os_string();
                shm.push("-shm");
                match std::fs::remove_file(&shm) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Everything that is here now is forgotten: other files have taken its place.
    pub fn forget(&self) {
        self.state.lock().files.clear();
    }

    fn ask(&self, may: &[DiskError]) -> Answer {
        let mut s = self.state.lock();
        if s.off {
            return Answer::Fail(DiskError::Write);
        }
        s.operations += 1;
        if let Some(error) = s.error
            && may.contains(&error)
        {
            (s.error, s.failed) = (None, true);
            return Answer::Fail(error);
        }
        if s.cut_at.is_some_and(|at| at <= s.operations) || (s.cut_at_sync && may == [DiskError::Sync]) {
            s.off = true;
        }
        Answer::Do
    }

    fn opened(&self, path: &Path) {
        let mut s = self.state.lock();
        if !s.files.contains_key(path) {
            let durable = std::fs::read(path).unwrap_or_default();
            s.files.insert(path.to_owned(), Kept { durable, since: Vec::new() });
        }
    }

    fn removed(&self, path: &Path) {
        self.state.lock().files.remove(path);
    }

    fn wrote(&self, path: &Path, change: Change) {
        if let Some(kept) = self.state.lock().files.get_mut(path) {
            kept.since.push(change);
        }
    }

    /// A sync of this file was asked for.
    fn synced(&self, path: &Path) -> Result<(), DiskError> {
        let answer = self.ask(&[DiskError::Sync]);
        let mut s = self.state.lock();
        let State { files, random, lies, off, .. } = &mut *s;
        match answer {
            Answer::Do if *off => Err(DiskError::Sync),
            Answer::Do if *lies => Ok(()),
            Answer::Do => {
                if let Some(kept) = files.get_mut(path) {
                    let since = std::mem::take(&mut kept.since);
                    since.into_iter().for_each(|c| apply(&mut kept.durable, c));
                }
                Ok(())
            }
            Answer::Fail(error) => {
                if let Some(kept) = files.get_mut(path)
                    && !*off
                {
                    kept.durable = survivors(std::mem::take(kept), random);
                }
                Err(error)
            }
        }
    }
}

impl p2pdb_store::Disk for Disk {
    fn vfs(&self) -> &str {
        vfs::NAME
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.synced(path).map_err(|e| io::Error::other(format!("the simulated disk fails: {e:?}")))
    }
}

fn apply(to: &mut Vec<u8>, change: Change) {
    match change {
        Change::Write(at, bytes) => {
            let (at, end) = (at as usize, at as usize + bytes.len());
            if to.len() < end {
                to.resize(end, 0);
            }
            to[at..end].copy_from_slice(&bytes);
        }
        Change::Truncate(bytes) => to.resize(bytes as usize, 0),
    }
}

/// What was durable, and any part of what came since.
fn survivors(kept: Kept, random: &mut Random) -> Vec<u8> {
    let Kept { mut durable, since } = kept;
    // Sometimes all of it got through, sometimes nothing, mostly some.
    let percent = *random.pick(&[0, 10, 50, 50, 90, 100]);
    for change in since {
        match change {
            Change::Write(at, bytes) => {
                let sectors = bytes.chunks(SECTOR_BYTES).enumerate();
                for (i, sector) in sectors.filter(|_| random.percent(percent)) {
                    let at = at + (i * SECTOR_BYTES) as u64;
                    apply(&mut durable, Change::Write(at, sector.to_vec()));
                }
            }
            change if random.percent(percent) => apply(&mut durable, change),
            _ => {}
        }
    }
    durable
}

#[cfg(test)]
mod tests;
