//! What the DAG refuses, what it lets wait, and what gives way when too much waits.

mod common;

use common::*;
use p2pdb_block::{Draft, PARENTS_MAX, VerifiedBlock};
use p2pdb_dag::*;
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_model::{RealmId, Stamp};

fn draft(seq: u64, prev: Option<Cid>, parents: &[Cid], stamp: u64) -> Draft {
    Draft { rules: 1, seq, prev, parents: parents.to_vec(), stamp: Stamp(stamp) }
}

/// Genesis g, then a by author 0 on g, b by author 1 on g.
fn small() -> (Node, RealmId, [VerifiedBlock; 3]) {
    let g = genesis();
    let realm = RealmId(g.cid());
    let a = verified(draft(2, Some(g.cid()), &[], 10), 0, Some(&realm));
    let b = verified(draft(1, None, &[g.cid()], 10), 1, Some(&realm));
    let mut node = Node::new(realm);
    for x in [&g, &a, &b] {
        node.receive(x, u64::MAX);
    }
    (node, realm, [g, a, b])
}

#[test]
fn blocks_that_break_a_rule_are_refused_and_change_nothing() {
    let (mut node, realm, [g, a, b]) = small();
    let (g, a, b) = (g.cid(), a.cid(), b.cid());
    let cases = [
        (draft(3, Some(b), &[], 20), 0, Refusal::ForeignPrev),
        (draft(4, Some(a), &[], 20), 0, Refusal::SeqGap { is: 4, prev: 2 }),
        (draft(2, Some(a), &[], 20), 0, Refusal::SeqGap { is: 2, prev: 2 }),
        (draft(3, Some(a), &[], 10), 0, Refusal::StampNotAfter(a)),
        (draft(3, Some(a), &[b], 10), 0, Refusal::StampNotAfter(a)),
        (draft(3, Some(a), &[g], 20), 0, Refusal::RedundantParent(g)),
        (draft(1, None, &[g, b], 20), 2, Refusal::RedundantParent(g)),
    ];
    for (d, author, refusal) in cases {
        let block = verified(d, author, Some(&realm));
        let before = (node.dag.frontier(), node.dag.next_no(), node.dag.heads().count());
        assert_eq!(node.dag.append(&block, &node.store), Err(Error::Refused(refusal)));
        assert_eq!(before, (node.dag.frontier(), node.dag.next_no(), node.dag.heads().count()));
    }
    let other = verified(Draft { stamp: Stamp(2), ..draft(1, None, &[], 2) }, 1, None);
    assert_eq!(node.dag.append(&other, &node.store), Err(Error::Refused(Refusal::OtherGenesis)));
    assert_eq!(node.dag.check(&other, 0, &node.store), Err(Error::Refused(Refusal::OtherGenesis)));
    let orphan = verified(draft(9, Some(other.cid()), &[], 20), 1, Some(&realm));
    assert_eq!(node.dag.append(&orphan, &node.store), Err(Error::MissingParent(other.cid())));
    let known = verified(draft(2, Some(g), &[], 10), 0, Some(&realm));
    assert_eq!(node.dag.append(&known, &node.store), Err(Error::Known(known.cid())));
}

#[test]
fn a_store_that_is_newer_than_the_dag_tells_of_branches_that_the_dag_does_not_know() {
    let (older, ..) = small();
    let (mut newer, realm, [g, a, _]) = small();
    let fork = verified(draft(2, Some(g.cid()), &[], 11), 0, Some(&realm));
    let other = verified(draft(1, None, &[g.cid()], 12), 2, Some(&realm));
    for x in [&fork, &other] {
        newer.receive(x, u64::MAX);
    }
    let theirs = newer.dag.frontier();
    let cover = older.dag.cover(&theirs, &newer.store).expect("an answer");
    let mut unknown: Vec<Cid> = cover.unknown().iter().map(|(_, tip)| tip.cid).collect();
    let mut want = vec![fork.cid(), other.cid()];
    unknown.sort_unstable();
    want.sort_unstable();
    assert_eq!(unknown, want);
    let held = older.dag.find(&a.cid(), &older.store).expect("an answer").expect("it is held");
    assert!(cover.covers(held.place));
}

#[test]
fn prev_may_lie_in_the_past_of_another_parent() {
    let (mut node, realm, [_, a, b]) = small();
    let c = verified(draft(2, Some(b.cid()), &[a.cid()], 20), 1, Some(&realm));
    node.receive(&c, u64::MAX);
    let d = verified(draft(3, Some(a.cid()), &[c.cid()], 30), 0, Some(&realm));
    node.receive(&d, u64::MAX);
    assert_eq!(node.dag.heads().map(|h| h.cid).collect::<Vec<_>>(), [d.cid()]);
}

#[test]
fn a_block_from_the_future_waits_for_the_clock() {
    let (mut node, realm, [_, a, _]) = small();
    let now_ms = 1_000_000;
    let ahead = |ms: u64| Stamp::from_millis(now_ms + CLOCK_DRIFT_MS_MAX + ms).0;
    let near = verified(draft(3, Some(a.cid()), &[], ahead(0)), 0, Some(&realm));
    let far = verified(draft(4, Some(near.cid()), &[], ahead(1)), 0, Some(&realm));
    let next = verified(draft(5, Some(far.cid()), &[], ahead(1) + 1), 0, Some(&realm));
    node.receive(&next, now_ms);
    node.receive(&far, now_ms);
    node.receive(&near, now_ms);
    assert_eq!((node.placed.len(), node.pending.len()), (4, 2), "near is within the drift");
    assert_eq!(node.dag.frontier().tips(&node.placed[&a.cid()].chain)[0].cid, near.cid());
    assert_eq!(node.pending.next_due_ms(), Some(now_ms + 1));
    assert!(node.pending.due(now_ms).is_empty());
    let due = node.pending.due(now_ms + 1);
    assert_eq!(due.iter().map(|d| d.0).collect::<Vec<_>>(), [far.cid()], "the other also waits for a parent");
    node.receive(&due[0].1, now_ms + 1);
    assert_eq!((node.placed.len(), node.pending.len()), (6, 0));
}

fn cid(n: u64) -> Cid {
    p2pdb_block::cid::of_dag_cbor(&n.to_be_bytes())
}

#[test]
fn what_waits_is_bounded_and_the_greediest_author_gives_way() {
    let mut p: Pending<u64> = Pending::with_limits(10, 6, 1_000);
    let add = |p: &mut Pending<u64>, n: u64, author: u8, bytes: usize| {
        let waits = Waits { missing: vec![cid(10_000)], until_ms: None };
        let gone = p.insert(cid(n), NodeId([author; 32]), Stamp(n), bytes, waits, n);
        gone.into_iter().map(|g| g.1).collect::<Vec<_>>()
    };
    for n in 0..6 {
        assert!(add(&mut p, n, 1, 10).is_empty());
    }
    assert_eq!(add(&mut p, 6, 1, 10), [6], "its own newest, when the author's share is full");
    assert!(add(&mut p, 6, 2, 10).is_empty());
    for n in 20..23 {
        assert!(add(&mut p, n, 2, 10).is_empty());
    }
    assert_eq!(add(&mut p, 30, 3, 10), [5], "the author with most blocks gives way");
    assert_eq!(add(&mut p, 31, 2, 900), Vec::<u64>::from([31]), "by bytes: the greediest, the one that asks");
    assert_eq!((p.len(), p.bytes()), (10, 100));
    assert_eq!(p.wanted(5), [cid(10_000)]);
    let order: Vec<u64> = p.arrived(&cid(10_000)).into_iter().map(|x| x.1).collect();
    assert_eq!(order, [0, 1, 2, 3, 4, 6, 20, 21, 22, 30], "ready ones come in write order");
    assert_eq!((p.len(), p.bytes(), p.by_author().len()), (0, 0, 0));
    assert!(p.wanted(5).is_empty());
}

#[test]
fn more_heads_than_a_block_can_name_are_tied_by_merge_blocks() {
    let (mut node, realm, [g, a, _]) = small();
    for n in 0..2 * PARENTS_MAX + 3 {
        let x = verified(draft(1, None, &[g.cid()], 20 + n as u64), n % 3, Some(&realm));
        node.receive(&x, u64::MAX);
    }
    let heads: Vec<Cid> = node.dag.heads().map(|h| h.cid).collect();
    let groups = merge_groups(&heads, Some(a.cid()));
    assert_eq!(groups.len(), 3);
    let (mut prev, mut seq) = (a.cid(), 2);
    for g in groups {
        seq += 1;
        let stamp = node.dag.stamp_floor().0 + 1;
        let m = verified(draft(seq, Some(prev), &g, stamp), 0, Some(&realm));
        node.receive(&m, u64::MAX);
        prev = m.cid();
    }
    assert_eq!(node.dag.heads().map(|h| h.cid).collect::<Vec<_>>(), [prev]);
    assert!(node.placed[&prev].past().is_everything_before());
    assert_eq!(merge_groups(&[a.cid()], Some(a.cid())), [Vec::<Cid>::new()]);
    assert_eq!(merge_groups(&[], None), [Vec::<Cid>::new()]);
}

#[test]
fn the_ladder_goes_down_in_doubling_steps_to_the_bottom() {
    assert_eq!(ladder(20, 3), [20, 19, 18, 16, 12, 4, 3]);
    assert_eq!(ladder(5, 5), [5]);
    assert_eq!(ladder(1, 0), [1, 0]);
    assert!(ladder(u64::MAX, 1).len() <= 66);
}

#[test]
fn frontiers_compare_without_a_log() {
    let chain = |n: u64| ChainId { author: NodeId([n as u8; 32]), first: cid(n) };
    let tip = |seq, n| Tip { seq, cid: cid(n) };
    let f = |chains: &[(u64, &[Tip])]| {
        Frontier::new(chains.iter().map(|(c, t)| ChainFrontier { chain: chain(*c), tips: t.to_vec() }))
    };
    let mine = f(&[(1, &[tip(5, 15)]), (2, &[tip(7, 27)])]);
    let theirs = f(&[(1, &[tip(9, 19)]), (2, &[tip(7, 28)]), (3, &[tip(2, 32)])]);
    let wants = mine.lacks(&theirs);
    let seen: Vec<_> = wants.iter().map(|w| (w.chain, w.from_seq, w.tip.seq, w.forked)).collect();
    assert_eq!(seen, [(chain(1), 6, 9, false), (chain(2), 7, 7, true), (chain(3), 1, 2, false)]);
    assert!(mine.lacks(&mine).is_empty());
    assert_ne!(mine.digest(), theirs.digest());
    let gtid = mine.gtid_set().to_string();
    assert_eq!(gtid.split(',').count(), 2);
    let uuid = chain(1).uuid().to_string();
    assert_eq!((uuid.len(), uuid.matches('-').count()), (36, 4));
    assert!(gtid.contains(&format!("{uuid}:1-5")));
}
