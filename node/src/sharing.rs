//! Keys of sealed columns for readers that lack them (see the engine's room of sealing): a reader that was given SELECT, or another
//! node of one, has to be given the keys by a node that has them.
//!
//! Looked at when changes of access have come, so that a reader which has just been made known reads at once, and every few moments
//! besides. Which of the nodes that could does it needs no vote: each waits longer than the one before it in the order of node ids,
//! among those that were given the key too and are connected. What two give is there twice, which is no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2pdb_engine::Engine;
use p2pdb_model::ids::NodeId;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::net::link::Link;

/// How often it is looked at, at most.
const PAUSE: Duration = Duration::from_millis(100);
/// How much longer each node waits than the one before it.
const TURN: Duration = Duration::from_secs(2);
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
    pub(crate) fn look(&self, engine: &Engine, link: &Link) {
        let mut times = self.times.lock();
        if times.looked.is_some_and(|at| at.elapsed() < PAUSE)
            || times.failed.is_some_and(|at| at.elapsed() < REST)
            || engine.role().is_none_or(|r| !r.writes())
            || self.busy.swap(true, Ordering::AcqRel)
        {
            return;
        }
        times.looked = Some(Instant::now());
        let (engine, link) = (engine.clone(), link.clone());
        let (busy, times) = (self.busy.clone(), self.times.clone());
        tokio::task::spawn_blocking(move || {
            share(&engine, &link, &times);
            busy.store(false, Ordering::Release);
        });
    }
}

fn share(engine: &Engine, link: &Link, times: &Mutex<Times>) {
    let Some(before) = engine.givers_of_keys() else {
        times.lock().noticed = None;
        return;
    };
    let since = *times.lock().noticed.get_or_insert_with(Instant::now);
    if !before.is_empty() {
        let connected: Vec<NodeId> = link.peers().iter().map(|p| p.peer).collect();
        if since.elapsed() < wait(&before, &connected) {
            return;
        }
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

/// How long a node waits for those before it that could give the keys as well.
fn wait(before: &[NodeId], connected: &[NodeId]) -> Duration {
    let there = before.iter().filter(|node| connected.contains(node)).count();
    TURN.saturating_mul(u32::try_from(there).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_are_waited_for_that_could_give_the_keys_and_are_there() {
        let [a, b, c] = [1, 2, 3].map(|n| NodeId([n; 32]));
        assert_eq!(wait(&[], &[a, b, c]), Duration::ZERO);
        assert_eq!(wait(&[a, b], &[c]), Duration::ZERO);
        assert_eq!(wait(&[a, b], &[b, c]), TURN);
        assert_eq!(wait(&[a, b], &[a, b, c]), 2 * TURN);
    }
}
