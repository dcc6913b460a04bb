//! AUTO_INCREMENT values for nodes that lost count of theirs (see the engine's room of this name).
//!
//! Looked at every few moments. Which of those that can deal does it needs no vote: each waits longer than the one before
//! it in the order of node ids. Two deals to one node are no harm, they cost values.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2pdb_engine::Engine;
use p2pdb_model::NodeId;
use parking_lot::Mutex;
use tracing::{info, warn};

/// How much longer each node waits than the one before it.
const TURN: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(crate) struct Recount {
    busy: Arc<AtomicBool>,
    /// Since when it is known of whom.
    noticed: Arc<Mutex<HashMap<NodeId, Instant>>>,
}

impl Recount {
    /// Tells others that this node lost count, or deals values to those that did. Both wait for a commit, so they are not
    /// waited for here.
    pub(crate) fn look(&self, engine: &Engine) {
        if engine.role().is_none_or(|r| !r.writes()) || self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (engine, busy, noticed) = (engine.clone(), self.busy.clone(), self.noticed.clone());
        tokio::task::spawn_blocking(move || {
            if engine.has_to_tell_lost_count() {
                match engine.tell_lost_count() {
                    Ok(()) => warn!(
                        "this node may have drawn AUTO_INCREMENT values that it does not know of: it draws none until another member deals it new ones"
                    ),
                    Err(e) => warn!("cannot begin a chain yet: {e}"),
                }
            } else {
                deal(&engine, &mut noticed.lock());
            }
            busy.store(false, Ordering::Release);
        });
    }
}

fn deal(engine: &Engine, noticed: &mut HashMap<NodeId, Instant>) {
    let lost = match engine.lost_count() {
        Ok(lost) => lost,
        Err(e) => return warn!("cannot see who lost count of AUTO_INCREMENT values: {e}"),
    };
    noticed.retain(|node, _| lost.contains(node));
    for node in lost {
        let since = *noticed.entry(node).or_insert_with(Instant::now);
        let own = engine.node();
        let before =
            |m: &p2pdb_engine::MemberInfo| !m.removed && m.role.writes() && m.node < own && m.node != node;
        let turn = engine.members().iter().filter(|m| before(m)).count();
        if since.elapsed() < TURN.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX)) {
            continue;
        }
        match engine.deal_ids(node) {
            Ok(()) => info!(%node, "dealt AUTO_INCREMENT values to a member that lost count of its own"),
            Err(e) => {
                warn!(%node, "cannot deal AUTO_INCREMENT values to a member that lost count of its own: {e}")
            }
        }
    }
}
