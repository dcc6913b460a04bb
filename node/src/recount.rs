//! AUTO_INCREMENT values for nodes that have none, or lost count of theirs (see the engine's room of this name).
//!
//! Looked at every few moments. Which of those that can deal does it needs no vote: each waits longer than the one before
//! it in the order of node ids. Two deals to one node are no harm, they cost values.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use p2pdb_engine::{Engine, EngineError, MemberInfo};
use p2pdb_model::NodeId;
use parking_lot::Mutex;
use tracing::{info, warn};

/// How much longer each node waits than the one before it.
const TURN: Duration = Duration::from_secs(5);
/// How long nothing is tried after something could not be done.
const REST: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Default)]
pub(crate) struct Recount {
    busy: Arc<AtomicBool>,
    /// Since when it is known of whom.
    noticed: Arc<Mutex<HashMap<NodeId, Instant>>>,
    rests_since: Arc<Mutex<Option<Instant>>>,
    /// What was said last of why it cannot be done.
    said: Arc<Mutex<Option<String>>>,
}

impl Recount {
    /// Tells others that this node lost count, or deals values to those that did, or have none. Both wait for a commit, so they are not
    /// waited for here.
    pub(crate) fn look(&self, engine: &Engine) {
        if engine.role().is_none_or(|r| !r.writes())
            || self.rests_since.lock().is_some_and(|since| since.elapsed() < REST)
            || self.busy.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let (engine, busy, noticed) = (engine.clone(), self.busy.clone(), self.noticed.clone());
        let (rests_since, said) = (self.rests_since.clone(), self.said.clone());
        tokio::task::spawn_blocking(move || {
            let done = match engine.has_to_tell_lost_count() {
                true => tell(&engine),
                false => deal(&engine, &mut noticed.lock()),
            };
            let why = done.as_ref().err().map(ToString::to_string);
            if let Some(e) = why.as_ref().filter(|e| said.lock().as_ref() != Some(e)) {
                warn!("AUTO_INCREMENT values cannot be dealt, or asked for, now: {e}");
            }
            *said.lock() = why;
            *rests_since.lock() = done.is_err().then(Instant::now);
            busy.store(false, Ordering::Release);
        });
    }
}

fn tell(engine: &Engine) -> Result<(), EngineError> {
    engine.tell_lost_count()?;
    warn!(
        "this node may have drawn AUTO_INCREMENT values that it does not know of: it draws none until another member deals it new ones"
    );
    Ok(())
}

fn deal(engine: &Engine, noticed: &mut HashMap<NodeId, Instant>) -> Result<(), EngineError> {
    let without = engine.without_ids()?;
    noticed.retain(|node, _| without.contains(node));
    for node in without {
        let since = *noticed.entry(node).or_insert_with(Instant::now);
        let own = engine.node();
        let before = |m: &MemberInfo| !m.removed && m.role.writes() && m.node < own && m.node != node;
        let turn = engine.members().iter().filter(|m| before(m)).count();
        if since.elapsed() < TURN.saturating_mul(u32::try_from(turn).unwrap_or(u32::MAX)) {
            continue;
        }
        engine.deal_ids(node)?;
        info!(%node, "dealt AUTO_INCREMENT values to a member that has none, or lost count of its own");
    }
    Ok(())
}
