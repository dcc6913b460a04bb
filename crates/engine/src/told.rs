//! What a node says of others' blocks in its log: once, and not again for a while, however many such blocks come.

use std::collections::HashMap;

use p2pdb_access::Reason;
use p2pdb_model::NodeId;

/// So long a thing is not said again, milliseconds.
const SILENCE_MS: u64 = 600_000;

/// So many things are remembered as said; what does not find room is not said.
const THINGS_MAX: usize = 1_000;

/// What is said of an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Thing {
    /// Its blocks wait for their time.
    Future,
    /// Its blocks wait for blocks before them.
    Early,
    /// What it wrote is void.
    Void(Reason),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Told(HashMap<(NodeId, Thing), u64>);

impl Told {
    /// True when it is to be said now.
    pub(crate) fn is_due(&mut self, author: NodeId, thing: Thing, now_ms: u64) -> bool {
        let recent = |said: u64| now_ms.abs_diff(said) < SILENCE_MS;
        if self.0.get(&(author, thing)).is_some_and(|said| recent(*said)) {
            return false;
        }
        if self.0.len() >= THINGS_MAX {
            self.0.retain(|_, said| recent(*said));
        }
        let room = self.0.len() < THINGS_MAX;
        if room {
            self.0.insert((author, thing), now_ms);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_in_a_while_of_each_author() {
        let (a, b) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut told = Told::default();
        assert!(told.is_due(a, Thing::Early, 5));
        assert!(!told.is_due(a, Thing::Early, 6));
        assert!(told.is_due(a, Thing::Void(Reason::NotMember), 6));
        assert!(told.is_due(b, Thing::Early, 6));
        assert!(told.is_due(a, Thing::Early, 5 + SILENCE_MS));
    }

    #[test]
    fn many_authors_find_no_room_without_end() {
        let mut told = Told::default();
        let author = |n: usize| NodeId(std::array::from_fn(|i| n.to_be_bytes().get(i).copied().unwrap_or(0)));
        let said = (0..2 * THINGS_MAX).filter(|n| told.is_due(author(*n), Thing::Future, 0)).count();
        assert_eq!(said, THINGS_MAX);
        assert!(told.is_due(author(THINGS_MAX), Thing::Future, SILENCE_MS), "room again after a while");
    }
}
