//! Keys of sealed columns for readers that lack them (see the engine's room of sealing): a reader that was given SELECT, or another
//! node of one, has to be given the keys by a node that has them.
//!
//! Looked at every few moments. Which of the nodes that could does it needs no vote: each waits longer than the one before it in the
//! order of node ids. What two give is there twice, which is no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2pdb_engine::{Engine, MemberInfo};
use parking_lot::Mutex;
use tracing::{info, warn};

/// How often it is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// How much longer each node waits than the one before it.
const TURN: Duration = Duration::from_secs(5);
/// How long nothing is tried after something could not be done.
const REST: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(crate) struct Sharing {
    busy: Arc<AtomicBool>,
    times: Arc<Mutex<Times>>,
}

#[derive(Default)]
struct Times {
    looked: Option<Instant>,
    /// Since when somebody is known to lack a key.
    noticed: Option<Instant>,
    failed: Option<Instant>,
}

impl Sharing {
    /// Gives keys on where they are lacking. It waits for a commit, so it is not waited for here.
    pub(crate) fn look(&self, engine: &Engine) {
        let mut times = self.times.lock();
        if times.looked.is_some_and(|at| at.elapsed() < PAUSE)
            || times.failed.is_some_and(|at| at.elapsed() < REST)
            || engine.role().is_none_or(|r| !r.writes())
            || self.busy.swap(true, Ordering::AcqRel)
        {
            return;
        }
        times.looked = Some(Instant::now());
        let (engine, busy, times) = (engine.clone(), self.busy.clone(), self.times.clone());
        tokio::task::spawn_blocking(move || {
            share(&engine, &times);
            busy.store(false, Ordering::Release);
        });
    }
}

fn share(engine: &Engine, times: &Mutex<Times>) {
    if !engine.has_keys_to_share() {
        times.lock().noticed = None;
        return;
    }
    let since = *times.lock().noticed.get_or_insert_with(Instant::now);
    let own = engine.node();
    let before = |m: &MemberInfo| !m.removed && m.role.writes() && m.node < own;
    let turn = engine.members().iter().filter(|m| before(m)).count();
    if since.elapsed() < TURN.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX)) {
        return;
    }
    match engine.share_keys() {
        Ok(true) => info!("gave keys of sealed columns to readers that lacked them"),
        // Another node was faster.
        Ok(false) => {}
        Err(e) => {
            warn!("keys of sealed columns cannot be given on now: {e}");
            times.lock().failed = Some(Instant::now());
        }
    }
}
