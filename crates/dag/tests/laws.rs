//! Laws: whatever the order of delivery, with duplicates, and loss followed by repair, a node has the same heads,
//! frontier and ancestry as brute force.

mod common;

use std::collections::BTreeSet;

use common::*;
use p2pdb_dag::*;
use quickcheck::{Gen, QuickCheck};

fn check(law: fn(Vec<Step>, u64, u64) -> bool) {
    QuickCheck::new().rng(Gen::new(40)).tests(150).quickcheck(law);
}

/// A node that got the world's blocks in an order of this seed: some twice, some only at the end.
fn deliver(w: &World, seed: u64) -> Node {
    let mut node = Node::new(w.realm);
    let mut order: Vec<usize> = (0..w.blocks.len()).collect();
    order.extend(0..w.blocks.len() / 3);
    shuffle(&mut order, seed);
    let (mut lost, kept): (Vec<usize>, Vec<usize>) =
        order.iter().partition(|i| (**i as u64).wrapping_mul(seed | 1).is_multiple_of(5));
    for (n, i) in kept.iter().enumerate() {
        node.receive(&w.blocks[*i], u64::MAX);
        if n as u64 % 7 == seed % 7 {
            node.reload();
        }
    }
    lost.extend(0..w.blocks.len());
    for i in lost {
        node.receive(&w.blocks[i], u64::MAX);
    }
    node
}

#[test]
fn any_delivery_gives_the_heads_frontier_and_ancestry_of_brute_force() {
    fn law(steps: Vec<Step>, one: u64, two: u64) -> bool {
        let w = World::run(&steps);
        let all: BTreeSet<usize> = (0..w.blocks.len()).collect();
        let mut heads: Vec<_> = w.maximal(&all).into_iter().map(|i| w.blocks[i].cid()).collect();
        heads.sort_unstable();
        let frontier = w.frontier(&all);
        for seed in [one, two] {
            let mut node = deliver(&w, seed);
            assert!(node.pending.is_empty());
            assert_eq!(node.dag.heads().map(|h| h.cid).collect::<Vec<_>>(), heads);
            assert_eq!(node.dag.frontier(), frontier);
            assert_eq!(node.dag.frontier().digest(), frontier.digest());
            for fresh in [false, true] {
                if fresh {
                    node.reload();
                }
                for (b, past) in w.pasts.iter().enumerate() {
                    let at_b = node.placed[&w.blocks[b].cid()].place;
                    let memo = node.dag.past(at_b, &node.store).unwrap();
                    for a in 0..w.blocks.len() {
                        let at_a = node.placed[&w.blocks[a].cid()].place;
                        let is = past.contains(&a);
                        assert_eq!(memo.contains(at_a), is, "{a} in the past of {b}");
                        assert_eq!(node.dag.is_ancestor(at_a, at_b, &node.store), Ok(is));
                    }
                }
            }
            let now = node.dag.past_of_now();
            assert!(node.placed.values().all(|p| now.contains(p.place)));
        }
        true
    }
    check(law);
}

#[test]
fn stored_unseen_lists_and_references_to_them_say_the_same() {
    fn law(steps: Vec<Step>, seed: u64, _: u64) -> bool {
        let node = deliver(&World::run(&steps), seed);
        let by_no: std::collections::BTreeMap<_, _> = node.placed.values().map(|p| (p.place.no, p)).collect();
        node.placed.values().all(|p| {
            let stored = Unseen::from_bytes(&p.unseen.to_bytes()).unwrap();
            let referred = p.unseen_same_as.map(|no| by_no[&no]);
            assert!(referred.is_none_or(|r| r.unseen_same_as.is_none() && r.unseen == p.unseen));
            stored == p.unseen
        })
    }
    check(law);
}

#[test]
fn what_a_frontier_covers_is_exactly_what_its_holder_has() {
    fn law(steps: Vec<Step>, seed: u64, cut: u64) -> bool {
        let w = World::run(&steps);
        let full = deliver(&w, seed);
        // Another node holds a prefix of some causal order.
        let mut other = Node::new(w.realm);
        let n = cut as usize % (w.blocks.len() + 1);
        for b in &w.blocks[..n] {
            other.receive(b, u64::MAX);
        }
        let cover = full.dag.cover(&other.dag.frontier(), &full.store).unwrap();
        assert!(cover.unknown().is_empty());
        let mut first = None;
        for i in 0..w.blocks.len() {
            let p = &full.placed[&w.blocks[i].cid()];
            assert_eq!(cover.covers(p.place), i < n, "block {i} of {n}");
            if i >= n {
                first = Some(first.map_or(p.place.no, |f: BlockNo| f.min(p.place.no)));
            }
        }
        assert_eq!(full.dag.first_uncovered(&cover, &full.store), Ok(first));
        // What it lacks is named, and nothing that it has.
        let wants = other.dag.wants(&full.dag.frontier(), &other.store).unwrap();
        let tips: Vec<_> = full.dag.branches().iter().map(|b| b.tip).collect();
        let missing = tips.iter().filter(|t| !other.placed.contains_key(&t.cid));
        assert_eq!(missing.count(), wants.len());
        assert!(full.dag.wants(&other.dag.frontier(), &full.store).unwrap().is_empty());
        // The other way round the tips are unknown, and all that it has is covered on chains that go on there.
        let back = other.dag.cover(&full.dag.frontier(), &other.store).unwrap();
        assert_eq!(back.unknown().len(), wants.len());
        // Sent in the order of numbers, the missing blocks need no waiting room.
        let mut missing: Vec<&Placed> = full.placed.values().filter(|p| !cover.covers(p.place)).collect();
        missing.sort_by_key(|p| p.place.no);
        for p in missing {
            other.receive(&w.blocks[w.index[&p.cid]], u64::MAX);
            assert!(other.pending.is_empty());
        }
        other.dag.frontier() == full.dag.frontier()
    }
    check(law);
}

#[test]
fn causal_order_puts_parents_first_and_forgets_nothing() {
    fn law(steps: Vec<Step>, seed: u64, other: u64) -> bool {
        let w = World::run(&steps);
        let order_of = |seed| {
            let mut blocks: Vec<_> =
                w.blocks.iter().chain(&w.blocks[..w.blocks.len() / 2]).cloned().collect();
            shuffle(&mut blocks, seed);
            let order = causal_order(&blocks);
            order.into_iter().map(|i| blocks[i].cid()).collect::<Vec<_>>()
        };
        let order = order_of(seed);
        assert_eq!(order.len(), w.blocks.len());
        assert_eq!(order, order_of(other), "the same whatever the order of the input");
        let place = |cid| order.iter().position(|c| *c == cid).unwrap();
        w.blocks.iter().all(|b| b.header().all_parents().all(|p| place(*p) < place(b.cid())))
    }
    check(law);
}

#[test]
fn forks_are_listed_with_the_last_shared_seq_and_all_tips() {
    fn law(steps: Vec<Step>, one: u64, two: u64) -> bool {
        let w = World::run(&steps);
        let all = (0..w.blocks.len()).collect();
        let forked: Vec<_> = w.frontier(&all).chains().iter().filter(|c| c.tips.len() > 1).cloned().collect();
        [one, two].iter().all(|seed| {
            let node = deliver(&w, *seed);
            let mut found: Vec<_> = node
                .dag
                .forks()
                .into_iter()
                .map(|f| {
                    assert_eq!(f.branches.iter().filter(|(shared, _)| *shared == 0).count(), 1);
                    let mut tips: Vec<_> = f.branches.iter().map(|b| b.1).collect();
                    tips.sort_unstable();
                    ChainFrontier { chain: f.chain, tips }
                })
                .collect();
            found.sort_by_key(|c| c.chain);
            found == forked
        })
    }
    check(law);
}
