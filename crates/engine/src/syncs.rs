//! Between a commit and its sync: readers of this node see a commit at once, but neither its client nor any peer hears
//! of it before it is durable.
//!
//! While one group is synced the next one is executed, if somebody waits for the writer: a thread of its own syncs, and
//! one sync covers every group committed by then. Where nobody waits, or no such thread runs (a simulator, a tool), the
//! writer's thread syncs itself, which saves a change of threads. Decision 0006 has the reasons.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use p2pdb_block::FullBlock;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::arrive::Announced;
use crate::engine::{Engine, Inner, Published};
use crate::error::EngineError;
use crate::forks::Forked;
use crate::job::After;
use crate::writer::Writer;
use p2pdb_model::fault::{self, Fault};

/// Groups that may be committed and not synced; then the writer waits.
const UNSYNCED_MAX: usize = 32;

/// A group that is committed and not durable yet.
struct Unsynced {
    published: Arc<Published>,
    made: Vec<FullBlock>,
    /// Tells those who wait for it.
    then: After,
}

#[derive(Default)]
struct State {
    /// A thread syncs.
    running: bool,
    /// It is at it.
    busy: bool,
    stopping: bool,
    waiting: Vec<Unsynced>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Syncs {
    state: Mutex<State>,
    came: Condvar,
    went: Condvar,
}

impl Syncs {
    /// To be kept while commits may come; after it the thread syncs what waits, and ends.
    pub(crate) fn writer_runs(&self) -> WriterRuns<'_> {
        WriterRuns(self)
    }

    /// Leaves a group to the thread, if there is one; `waits`: somebody waits for the writer.
    fn push(&self, group: Unsynced, waits: bool) -> Result<(), Unsynced> {
        let mut s = self.state.lock();
        let idle = !s.busy && s.waiting.is_empty();
        if !s.running || (idle && !waits) {
            return Err(group);
        }
        while s.running && s.waiting.len() >= UNSYNCED_MAX {
            self.went.wait(&mut s);
        }
        s.waiting.push(group);
        drop(s);
        self.came.notify_one();
        Ok(())
    }

    /// What to sync next, once there is something; none at the end.
    fn take(&self) -> Option<Vec<Unsynced>> {
        let mut s = self.state.lock();
        s.busy = false;
        while s.waiting.is_empty() {
            if s.stopping {
                return None;
            }
            self.came.wait(&mut s);
        }
        s.busy = true;
        let groups = std::mem::take(&mut s.waiting);
        drop(s);
        self.went.notify_one();
        Some(groups)
    }
}

/// See [`Syncs::writer_runs`].
pub(crate) struct WriterRuns<'a>(&'a Syncs);

impl Drop for WriterRuns<'_> {
    fn drop(&mut self) {
        self.0.state.lock().stopping = true;
        self.0.came.notify_one();
    }
}

/// The thread is gone, also by a panic.
struct Ended<'a>(&'a Syncs);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        let mut s = self.0.state.lock();
        s.running = false;
        s.busy = false;
        // After a panic: who waits hears that the answer will not come.
        s.waiting.clear();
        drop(s);
        self.0.went.notify_one();
    }
}

impl Engine {
    /// Syncs what the writer commits, until the writer has ended; for a thread of its own beside
    /// [`Engine::run_writer`], without which every commit is synced there.
    pub fn run_syncer(&self) {
        let syncs = &self.inner.syncs;
        syncs.state.lock().running = true;
        let _ended = Ended(syncs);
        while let Some(groups) = syncs.take() {
            self.inner.settle(groups);
        }
    }
}

impl Engine {
    /// Syncs what was committed since the last call, if anything was; for a simulator instead of [`Engine::run_syncer`].
    /// From the first call on commits may wait for it, at most [`Self::UNSYNCED_MAX`] of them.
    pub fn step_syncer(&self) -> bool {
        let groups = {
            let mut s = self.inner.syncs.state.lock();
            s.running = true;
            std::mem::take(&mut s.waiting)
        };
        if groups.is_empty() {
            return false;
        }
        self.inner.settle(groups);
        true
    }

    /// Commits that may wait for their sync.
    pub const UNSYNCED_MAX: usize = UNSYNCED_MAX;
}

impl Inner {
    /// A group is committed: readers see it now, everybody else when it is durable.
    pub(crate) fn committed(&self, mut writer: MutexGuard<'_, Writer>, made: Vec<FullBlock>, then: After) {
        let forked = writer.take_forked();
        let published = Arc::new(writer.to_publish());
        let before = self.published.swap(published.clone());
        drop(writer);
        forked.iter().for_each(Forked::warn);
        if let (Some(keeps), None) = (&published.kept, &before.kept) {
            tracing::error!("{}", keeps.why());
        }
        self.counters.groups.fetch_add(1, Ordering::Relaxed);
        if fault::on(Fault::GossipBeforeSync) {
            let announced = Announced { made: made.iter().cloned().map(Arc::new).collect() };
            self.hooks.lock().iter().for_each(|hook| hook(&announced));
        }
        let group = Unsynced { published, made, then };
        // Driven by hand, when to sync is the driver's choice.
        let waits = self.queue.is_waited_for() || self.by_hand.load(Ordering::Relaxed);
        if let Err(group) = self.syncs.push(group, waits) {
            self.settle(vec![group]);
        }
    }

    /// Syncs, then tells everybody.
    fn settle(&self, groups: Vec<Unsynced>) {
        let synced = match self.unsyncable.get() {
            None if fault::on(Fault::OkBeforeSync) => Ok(()),
            None => self.log_sync.sync().map_err(EngineError::from),
            Some(why) => Err(EngineError::State(why.clone())),
        };
        if let Err(e) = &synced {
            let why = format!(
                "{e}; what was written last may be lost: look after the disk, then start the node again"
            );
            if self.unsyncable.set(why).is_ok() {
                tracing::error!(error = %e, "the log could not be synced: nothing is written any more");
            }
        } else if let Some(last) = groups.last() {
            if let Some(told) = self.when_synced.get() {
                told(last.published.blocks);
            }
            self.durable.store(last.published.clone());
        }
        for group in groups {
            if synced.is_ok() && !group.made.is_empty() {
                self.counters.blocks_made.fetch_add(group.made.len() as u64, Ordering::Relaxed);
                let announced = Announced { made: group.made.into_iter().map(Arc::new).collect() };
                for hook in &*self.hooks.lock() {
                    hook(&announced);
                }
            }
            (group.then)(synced.as_ref().copied());
        }
    }
}
