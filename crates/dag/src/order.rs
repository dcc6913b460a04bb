//! Causal order of a set of blocks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use p2pdb_block::Block;
use p2pdb_model::Stamp;
use p2pdb_model::ids::{Cid, NodeId};

/// The indexes of `blocks` in causal order: every parent that is in the set comes before its children; among
/// blocks that may come next the least in write order (stamp, author, CID) does. Repetitions of a block are left
/// out. A hash cannot name its own successor, so there are no cycles and nothing else is left out.
pub fn causal_order<B: std::ops::Deref<Target = Block>>(blocks: &[B]) -> Vec<usize> {
    let mut index: HashMap<Cid, usize> = HashMap::with_capacity(blocks.len());
    for (i, b) in blocks.iter().enumerate() {
        index.entry(b.cid()).or_insert(i);
    }
    let mut waits = vec![0usize; blocks.len()];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
    for (&cid, &i) in &index {
        debug_assert_eq!(cid, blocks[i].cid());
        for p in blocks[i].header().all_parents().filter_map(|p| index.get(p)) {
            waits[i] += 1;
            children[*p].push(i);
        }
    }
    let key = |i: usize| -> Reverse<(Stamp, NodeId, Cid, usize)> {
        let b = &blocks[i];
        Reverse((b.stamp(), b.author(), b.cid(), i))
    };
    let mut ready: BinaryHeap<_> = index.values().filter(|i| waits[**i] == 0).map(|i| key(*i)).collect();
    let mut order = Vec::with_capacity(index.len());
    while let Some(Reverse((_, _, _, i))) = ready.pop() {
        order.push(i);
        for &c in &children[i] {
            waits[c] -= 1;
            if waits[c] == 0 {
                ready.push(key(c));
            }
        }
    }
    order
}
