//! Peers that cannot give what they hold, by their own word: a block on their disk is damaged.
//!
//! Who catches up from them alone waits for ever, and must hear why. Another member that holds the same log is enough.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use p2pdb_model::NodeId;
use parking_lot::RwLock;

/// So long a join waits, with no other peer in reach and without a new block: time to find another member.
const PATIENCE: Duration = Duration::from_secs(5);

/// What they say.
#[derive(Debug, Default)]
pub struct Unserved(RwLock<HashMap<NodeId, String>>);

impl Unserved {
    /// A peer says so; true when it is news.
    pub fn note(&self, peer: NodeId, reason: &str) -> bool {
        self.0.write().insert(peer, reason.to_owned()).as_deref() != Some(reason)
    }

    /// It has given what it was asked for, or has left.
    pub fn forget(&self, peer: &NodeId) {
        self.0.write().remove(peer);
    }

    /// What one of all peers says.
    pub fn any(&self) -> Option<String> {
        self.0.read().iter().min().map(|(peer, reason)| said(peer, reason))
    }

    /// What one of these peers says, where none of them can serve; `None` also where there are none.
    pub fn by_all<'a>(&self, peers: impl Iterator<Item = &'a NodeId>) -> Option<String> {
        let all = self.0.read();
        let mut first = None;
        for peer in peers {
            let reason = all.get(peer)?;
            first.get_or_insert_with(|| said(peer, reason));
        }
        first
    }
}

fn said(peer: &NodeId, reason: &str) -> String {
    format!("member {peer} cannot give all that it holds, it says of itself: {reason}")
}

/// Whether a join still gets on.
#[derive(Debug)]
pub struct Stall {
    blocks: u64,
    since: Instant,
}

impl Stall {
    /// It begins.
    pub fn new(now: Instant) -> Self {
        Self { blocks: 0, since: now }
    }

    /// So many blocks are held, and this is why no more come, if so; true once that has lasted.
    pub fn lasts(&mut self, blocks: u64, is_unserved: bool, now: Instant) -> bool {
        if blocks != self.blocks || !is_unserved {
            *self = Self { blocks, since: now };
        }
        now.duration_since(self.since) >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_join_is_stuck_when_every_peer_is_and_nothing_comes_for_a_while() {
        let (a, b) = (NodeId([1; 32]), NodeId([2; 32]));
        let unserved = Unserved::default();
        assert!(unserved.note(a, "block 7") && !unserved.note(a, "block 7"));
        assert_eq!(unserved.by_all([].iter()), None);
        assert_eq!(unserved.by_all([a, b].iter()), None, "the other may help");
        assert!(unserved.by_all([a].iter()).is_some_and(|why| why.contains("block 7")));
        let begun = Instant::now();
        let at = |s| begun + Duration::from_secs(s);
        let mut stall = Stall::new(begun);
        assert!(!stall.lasts(0, true, at(4)) && !stall.lasts(3, true, at(6)), "blocks came");
        assert!(!stall.lasts(3, false, at(10)) && !stall.lasts(3, true, at(14)));
        assert!(stall.lasts(3, true, at(15)));
        unserved.forget(&a);
        assert!(unserved.note(a, "block 7"));
    }
}
