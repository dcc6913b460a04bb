//! What a node finds that was not stopped properly: whether its write-ahead log is whole, and whether anything that was
//! acknowledged is missing.
//!
//! A log that is damaged, cut off or gone may have held acknowledged commits. It may also have been taken over by somebody who
//! opened the store meanwhile, such as `sqlite3`, which recovers from the log and removes it. Nothing in the store tells the one
//! from the other, so the number of blocks that were synced stands beside it ([`Synced`]), written before anybody hears of them:
//! where the store holds them all, nothing is missing. It is believed as long as the machine has not gone down since, as it is
//! not synced itself.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

use p2pdb_store::Left;

use crate::admin::{RunInfo, boot};
use crate::datadir::DataDir;
use crate::node::RUN_FILE;

/// Says what was wrong with the write-ahead log after a hard stop, until somebody removes it.
pub const LOST: &str = "lost.txt";
/// How many blocks of the log the running node has synced, as digits.
pub const SYNCED: &str = "run.blocks";
/// As many as the greatest number has: the file keeps its length.
const DIGITS: usize = 20;

/// The number of synced blocks, beside the store.
#[derive(Debug)]
pub struct Synced {
    path: PathBuf,
    /// None once it could not be written: then nothing says that all is there.
    file: Mutex<Option<File>>,
}

impl Synced {
    /// Begins with those that the store holds.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(dir: &DataDir, blocks: u64) -> std::io::Result<Self> {
        let path = dir.path(SYNCED);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        let synced = Self { path, file: Mutex::new(Some(file)) };
        synced.note(blocks);
        Ok(synced)
    }

    /// So many are synced.
    pub fn note(&self, blocks: u64) {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = format!("{blocks:0DIGITS$}");
        if file.as_ref().is_some_and(|f| f.write_all_at(text.as_bytes(), 0).is_err()) {
            // An older number would say less than there was.
            let _ = file.take().map(|f| f.set_len(0));
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What a store that was not closed must hold. What it was that left it so stays on the disk until that is known.
#[derive(Debug)]
pub struct Doubt {
    /// So many blocks were synced.
    synced: u64,
    /// What is wrong with the log.
    damage: Option<String>,
}

impl DataDir {
    /// Looks at the write-ahead log that a hard stop left, before SQLite recovers from it. What is wrong with it is noted in
    /// [`LOST`], at once where nothing says what the store must hold. The caller holds the lock, and gives what this returns to
    /// [`Self::settle`] once the store is open.
    pub fn look_at_log(&self) -> Option<Doubt> {
        let store = self.path(p2pdb_engine::realm::FILE);
        let log = self.path(&format!("{}-wal", p2pdb_engine::realm::FILE));
        // A node that stops properly takes this away before its log goes.
        let was_open = self.path(RUN_FILE).exists() && store.exists();
        let run = self.read_json::<RunInfo>(RUN_FILE).ok().flatten();
        let left = match run.and_then(|run| run.boot).zip(boot()) {
            _ if !was_open => Left::Unknown,
            Some((then, now)) if then == now => Left::Killed,
            _ => Left::Open,
        };
        let damage = p2pdb_store::log_damage(&store, left).map(|damage| {
            format!(
                "{} {damage}: what was committed after that point is not here. After a loss of power that is what had not been acknowledged, otherwise acknowledged commits may be missing",
                log.display()
            )
        });
        if let Some(synced) = self.synced().filter(|_| left == Left::Killed) {
            return Some(Doubt { synced, damage });
        }
        // Whoever recovers from the log and closes the store leaves none.
        if damage.is_none_or(|damage| self.note_lost(&damage)) {
            self.forget_run();
        }
        None
    }

    /// Nothing is known any more of the node that ran here.
    pub fn forget_run(&self) {
        self.remove(RUN_FILE);
        self.remove(SYNCED);
    }

    fn synced(&self) -> Option<u64> {
        let text = self.read_text(SYNCED).ok().flatten()?;
        text.parse().ok().filter(|_| text.len() == DIGITS)
    }

    /// Notes in [`LOST`] that the store holds fewer blocks than were synced. Where it holds them all, somebody else has recovered
    /// from a log that is not as it was left, or what is gone was never acknowledged.
    pub fn settle(&self, doubt: Option<Doubt>, blocks: u64) {
        let Some(Doubt { synced, damage }) = doubt else { return };
        let lost = (blocks < synced).then(|| {
            let store = self.path(p2pdb_engine::realm::FILE);
            let held = format!("{} holds {blocks} of the {synced} blocks that were synced", store.display());
            let why = damage.as_deref().unwrap_or("acknowledged commits may be missing");
            format!("{held}: {why}")
        });
        if lost.is_none() && damage.is_some() {
            tracing::warn!(
                "the write-ahead log is not as this node left it, but the store holds all {synced} blocks that were synced"
            );
        }
        if lost.is_none_or(|lost| self.note_lost(&lost)) {
            self.forget_run();
        }
    }

    /// False where it cannot be written: this process knows it all the same.
    fn note_lost(&self, text: &str) -> bool {
        let noted = self.write_secret(LOST, text.as_bytes());
        if let Err(e) = &noted {
            tracing::error!("{text}; {e}");
            *self.unnoted() = Some(text.to_owned());
        }
        noted.is_ok()
    }

    /// What a start has noted, or could not note, and what to do.
    pub fn lost(&self) -> Option<String> {
        let text = match self.read_text(LOST) {
            Ok(Some(text)) => text,
            Ok(None) => {
                let text = self.unnoted().clone()?;
                return Some(format!("{text}\n  hint: compare with the other nodes or a backup"));
            }
            Err(e) => e.to_string(),
        };
        Some(format!(
            "{text}\n  hint: compare with the other nodes or a backup; then remove {}, which keeps this message",
            self.path(LOST).display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_the_last_one_and_none_where_it_is_not_whole() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::at(temp.path());
        assert_eq!(dir.synced(), None);
        let synced = Synced::begin(&dir, 7).expect("written");
        assert_eq!(dir.synced(), Some(7));
        synced.note(u64::MAX);
        assert_eq!(dir.synced(), Some(u64::MAX));
        synced.note(12);
        assert_eq!(dir.synced(), Some(12));
        for bad in ["", "12", "0000000000000000001x", "000000000000000000012"] {
            std::fs::write(dir.path(SYNCED), bad).expect("written");
            assert_eq!(dir.synced(), None, "{bad:?}");
        }
    }

    #[test]
    fn fewer_blocks_than_were_synced_are_noted_and_an_older_note_stays() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::at(temp.path());
        let settle = |damage: Option<&str>, blocks| {
            dir.settle(Some(Doubt { synced: 5, damage: damage.map(str::to_owned) }), blocks);
            dir.lost().map(|l| l.lines().next().unwrap_or_default().to_owned())
        };
        assert_eq!(settle(None, 5), None);
        assert_eq!(settle(Some("then"), 6), None);
        assert!(settle(None, 4).is_some_and(|l| l.contains("holds 4 of the 5 blocks")));
        let then = settle(Some("then"), 4);
        assert!(then.as_ref().is_some_and(|l| l.contains("holds 4 of the 5") && l.ends_with(": then")));
        assert_eq!(settle(Some("now"), 5), then);
        dir.settle(None, 9);
        assert!(dir.lost().is_some());
    }

    #[test]
    fn what_must_be_there_is_known_until_the_store_has_been_opened() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = DataDir::at(temp.path());
        std::fs::write(dir.path(p2pdb_engine::realm::FILE), "").expect("written");
        let run = RunInfo { pid: 1, mysql: String::new(), http: None, boot: boot() };
        dir.write_json(RUN_FILE, &run).expect("written");
        Synced::begin(&dir, 5).expect("written");
        // Of starts that fail, nothing stays that would not be right if the store is opened after all.
        for _ in 0..2 {
            assert!(dir.look_at_log().is_some_and(|d| d.synced == 5 && d.damage.is_some()));
            assert_eq!(dir.lost(), None);
        }
        // Where it cannot be noted, this process tells of it, and so does the next.
        std::fs::create_dir(dir.path("lost.new")).expect("in the way");
        dir.settle(dir.look_at_log(), 4);
        assert!(dir.lost().is_some_and(|l| l.contains("holds 4 of the 5 blocks")));
        assert_eq!(DataDir::at(temp.path()).lost(), None);
        std::fs::remove_dir(dir.path("lost.new")).expect("out of the way");
        dir.settle(dir.look_at_log(), 4);
        assert!(DataDir::at(temp.path()).lost().is_some());
        assert!(dir.look_at_log().is_none());
    }
}
