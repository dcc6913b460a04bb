//! `verify`: is what this node holds what the log says?
//!
//! Three looks. SQLite's own check of the file; every block, body and record of the log; and a replay of the whole log
//! into an empty store, whose every table (rows, hidden columns, change index, conflicts, fingerprints) must equal the
//! live one. A flipped bit in any of them is found by one of the three, and named.

use p2pdb_store::{self as store, Flow, verify};

use crate::arrive::{ApplyError, Arriving};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::writer::Writer;

pub use p2pdb_store::verify::{Finding, Progress, Report};

/// Blocks replayed per SQLite transaction.
const REPLAY_BLOCKS: u64 = 512;

/// Looks at a store that cannot be opened: at the file, and at every block, body and record of the log. Without the
/// schema that the log says there is nothing to compare the tables with.
///
/// # Errors
/// When nothing can be read any more.
pub fn verify_unopened(
    directory: &std::path::Path,
    progress: &mut dyn FnMut(Progress<'_>) -> Flow,
) -> Result<Report, EngineError> {
    let mut options = crate::realm::options(directory);
    options.functions = crate::functions::all();
    let reader = match store::Reader::open(&options) {
        Err(store::StoreError::Unwritable(_)) => {
            options.reads_only = true;
            store::Reader::open(&options)?
        }
        other => other?,
    };
    let realm = crate::realm::meta_cid(&reader, store::meta::REALM)?
        .ok_or_else(|| EngineError::State("the store does not say which realm it holds".to_owned()))?;
    let mut report = verify::verify_file(&reader, progress)?;
    if !report.stopped {
        report.extend(verify::verify_log(&reader, &p2pdb_model::RealmId(realm), progress)?);
    }
    Ok(report)
}

impl Engine {
    /// Looks at everything that was committed when it began; the node goes on meanwhile. `progress` may stop it.
    ///
    /// # Errors
    /// When nothing can be read any more, or there is no room for the replay.
    pub fn verify(&self, progress: &mut dyn FnMut(Progress<'_>) -> Flow) -> Result<Report, EngineError> {
        let mut reader = self.inner.reader()?;
        reader.begin()?;
        let mut report = verify::verify_file(&reader, progress)?;
        if !report.stopped {
            report.extend(verify::verify_log(&reader, &self.inner.realm, progress)?);
        }
        if !report.stopped {
            let mut name = [0; 8];
            self.inner.entropy.fill(&mut name);
            let elsewhere = std::env::temp_dir();
            let reads_only = self.inner.writer.lock().db.options().reads_only;
            let room = if reads_only { &elsewhere } else { &self.inner.directory };
            let scratch = Scratch::new(room, &p2pdb_model::ids::hex(&name));
            report.extend(self.replay_and_compare(&reader, &scratch, progress)?);
        }
        reader.end()?;
        Ok(report)
    }

    fn replay_and_compare(
        &self,
        live: &store::Connection,
        scratch: &Scratch,
        progress: &mut dyn FnMut(Progress<'_>) -> Flow,
    ) -> Result<Report, EngineError> {
        let mut options = store::Options::new(&scratch.path);
        options.functions = crate::functions::all();
        options.durable = false;
        let db = store::Writer::create(&options)?;
        // The key signs nothing: a replay makes no blocks.
        let key = p2pdb_block::SigningKey::from_bytes(&[0; 32]);
        let (clock, entropy) = (self.inner.clock.clone(), self.inner.entropy.clone());
        let mut writer = Writer::load(db, self.inner.realm, key, self.inner.rules, clock, entropy)?;
        let mut report = Report::default();
        let total = live.last_block()?.0;
        writer.begin()?;
        for n in 1..=total {
            let no = store::BlockNo(n);
            let full = match live.block(no) {
                Ok(Some(block)) => block.with_parts(live.bodies(no)?),
                Ok(None) => {
                    report.add(verify::Part::Block, n, "is missing");
                    return Ok(report);
                }
                Err(e) => {
                    report.add(verify::Part::Block, n, e);
                    return Ok(report);
                }
            };
            let full = match full {
                Ok(full) => full,
                Err(e) => {
                    report.add(verify::Part::Body, n, e);
                    return Ok(report);
                }
            };
            match writer.take(Arriving::Unread(full)) {
                Ok(_) => {}
                Err(ApplyError::Fault(e)) => return Err(e),
                Err(ApplyError::Refused(why)) => {
                    report.add(verify::Part::Block, n, format!("is refused when it is replayed: {why}"));
                    return Ok(report);
                }
            }
            if n % REPLAY_BLOCKS == 0 {
                writer.commit()?;
                if progress(Progress { step: "replay", done: n, total }).is_break() {
                    report.stopped = true;
                    return Ok(report);
                }
                writer.begin()?;
            }
        }
        writer.commit()?;
        report.extend(verify::compare(live, &writer.db, verify::Compare::default(), progress)?);
        Ok(report)
    }
}

/// A file that is gone when its owner is.
struct Scratch {
    path: std::path::PathBuf,
}

impl Scratch {
    fn new(directory: &std::path::Path, name: &str) -> Self {
        Scratch { path: directory.join(format!("verify-{name}.db")) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is only clutter.
        let _ = p2pdb_store::remove_store(&self.path);
    }
}

/// Removes what a verification that was killed has left in the data directory.
pub(crate) fn remove_leftovers(directory: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("verify-") && entry.path().is_file() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
