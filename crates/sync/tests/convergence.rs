//! Nodes become equal: whatever is lost, doubled, late, forked, or cut in the middle.

mod world;

use p2pdb_sync::*;
use quickcheck::{QuickCheck, TestResult};
use world::*;

#[test]
fn a_new_block_is_on_every_connected_node_after_one_hop() {
    let mut w = World::new(3, 1);
    w.connect_all();
    w.run_for(100);
    for n in 0..9 {
        w.write(n % 3, 70);
        assert_eq!(w.converge(10), 10, "one hop is one millisecond here; ten is the test's step");
    }
    assert_eq!(w.messages["push"], 18);
    assert!(!w.messages.contains_key("want"), "no rounds: {:?}", w.messages);
}

#[test]
fn a_line_of_nodes_passes_blocks_on() {
    let mut w = World::new(4, 1);
    for n in 0..3 {
        w.connect(n, n + 1);
    }
    w.run_for(100);
    w.write(0, 70);
    assert!(w.converge(5_000) <= 600);
}

#[test]
fn an_empty_node_catches_up_in_few_messages() {
    let mut w = World::new(2, 1);
    for _ in 0..10_000 {
        w.seal(0, 70);
    }
    w.connect(0, 1);
    w.converge(5_000);
    assert_eq!(w.nodes[1].duplicates, 0);
    let raw: usize = w.nodes[0].log.blocks().map(|b| b.wire.size_bytes()).sum();
    let (wire, raw) = (w.total_bytes() / 10_000, raw / 10_000);
    println!(
        "10,000 one-row blocks: {wire} bytes each on the wire, {raw} bytes each as blocks: {:?}",
        w.messages
    );
    assert!(wire < 300, "{wire} bytes a block on the wire, of {raw}");
    let messages: u64 = w.messages.values().sum();
    assert!(messages < 60, "never a round trip per block: {:?}", w.messages);
}

#[test]
fn two_nodes_that_are_both_ahead_exchange_both_ways_at_once_and_nothing_twice() {
    let mut w = World::new(2, 1);
    for _ in 0..3_000 {
        w.seal(0, 70);
        w.seal(1, 70);
    }
    w.connect(0, 1);
    w.converge(5_000);
    assert_eq!((w.nodes[0].duplicates, w.nodes[1].duplicates), (0, 0));
}

#[test]
fn equally_long_chains_that_forked_converge() {
    for depth in [1, 2, 63, 64, 65, 200, 3_000] {
        let mut w = World::new(2, depth);
        for _ in 0..300 {
            w.seal(1, 70);
        }
        w.connect(0, 1);
        w.converge(5_000);
        w.cut(0, 1);
        let held = w.nodes[1].log.len();
        for _ in 0..depth {
            w.write(1, 70);
        }
        // The first history reached node 0; then node 1 is restored from its backup and writes as many again.
        w.connect(0, 1);
        w.converge(5_000);
        w.cut(0, 1);
        w.restore(1, held);
        for _ in 0..depth {
            w.seal(1, 70);
        }
        assert_eq!(w.nodes[0].log.len(), w.nodes[1].log.len());
        let before = w.nodes[1].duplicates + w.nodes[0].duplicates;
        w.connect(0, 1);
        let took = w.converge(5_000);
        assert_eq!(w.nodes[0].log.dag().forks().len(), 1);
        let twice = w.nodes[1].duplicates + w.nodes[0].duplicates - before;
        println!("fork of {depth}: {took} ms, {twice} blocks sent twice, {:?}", w.messages);
        let asked = w.messages.contains_key("narrow");
        assert_eq!(asked, depth > 2 * NARROW_GAP_BLOCKS, "a shallow fork needs no further question");
        assert!(twice <= 2 * NARROW_GAP_BLOCKS, "{twice} blocks were sent twice for a fork of {depth}");
    }
}

#[test]
fn a_chain_that_forked_below_a_longer_one_converges() {
    let mut w = World::new(2, 7);
    for _ in 0..2_000 {
        w.seal(1, 70);
    }
    w.connect(0, 1);
    w.converge(5_000);
    w.cut(0, 1);
    w.restore(1, 500);
    for _ in 0..3 {
        w.seal(1, 70);
    }
    w.connect(0, 1);
    w.converge(5_000);
    assert_eq!(w.nodes[0].log.dag().forks().len(), 1);
}

#[test]
fn a_catch_up_that_breaks_off_goes_on_where_it_was() {
    let mut w = World::new(2, 1);
    for _ in 0..20_000 {
        w.seal(0, 70);
    }
    w.faults.latency_ms = (40, 40);
    w.connect(0, 1);
    let mut breaks = 0;
    while !w.is_equal() {
        w.run_for(180);
        if !w.is_equal() {
            w.cut(0, 1);
            w.connect(0, 1);
            breaks += 1;
        }
        assert!(breaks < 60, "no progress: {}", w.nodes[1].log.len());
    }
    assert!(breaks > 1, "the test cuts in the middle");
    assert_eq!(w.nodes[1].duplicates, 0);
}

#[test]
fn many_catch_ups_at_once_share_the_work() {
    let mut w = World::new(4, 3);
    for n in 0..3 {
        for _ in 0..2_000 {
            w.seal(n, 70);
        }
    }
    w.connect_all();
    w.converge(10_000);
    let (blocks, twice): (usize, u64) = (6_000, w.nodes[3].duplicates);
    assert!(twice < blocks as u64 / 10, "{twice} of {blocks} blocks came more than once");
}

#[test]
fn what_two_peers_have_is_fetched_from_one_of_them() {
    let mut w = World::new(3, 3);
    for _ in 0..5_000 {
        w.seal(0, 70);
    }
    w.connect(0, 1);
    w.converge_some(&[0, 1], 10_000);
    w.faults.latency_ms = (5, 5);
    w.connect(0, 2);
    w.connect(1, 2);
    w.converge(10_000);
    assert_eq!(w.nodes[2].duplicates, 0);
}

#[test]
fn a_block_larger_than_a_bundle_arrives_whole() {
    let mut w = World::new(2, 1);
    w.connect(0, 1);
    w.run_for(100);
    for size in [GOSSIP_BYTES_MAX - 1_000, GOSSIP_BYTES_MAX, PUSH_BYTES_MAX, 5 * BUNDLE_RAW_BYTES_MAX] {
        w.write(0, size);
        let took = w.converge(1_000);
        assert!(took <= 20, "{size} bytes took {took} ms");
    }
    assert_eq!(w.nodes[1].duplicates, 0);
}

#[test]
fn what_was_written_while_a_peer_was_catching_up_reaches_it_too() {
    let mut w = World::new(2, 1);
    for _ in 0..10_000 {
        w.seal(0, 70);
    }
    w.faults.latency_ms = (20, 20);
    w.connect(0, 1);
    for _ in 0..300 {
        w.write(0, 70);
        w.run_for(1);
    }
    w.converge(5_000);
}

#[test]
fn a_lost_block_is_repaired_by_the_next_digest_at_the_latest() {
    let mut w = World::new(2, 1);
    w.connect(0, 1);
    w.run_for(100);
    w.faults.loss_percent = 100;
    w.write(0, 70);
    w.run_for(10);
    w.faults.loss_percent = 0;
    assert!(w.converge(2 * DIGEST_INTERVAL_MS) > 0);
}

#[test]
fn a_gap_is_asked_for_at_once_when_the_next_block_shows_it() {
    let mut w = World::new(2, 1);
    w.connect(0, 1);
    w.run_for(100);
    w.faults.loss_percent = 100;
    w.write(0, 70);
    w.faults.loss_percent = 0;
    w.write(0, 70);
    assert!(w.converge(1_000) <= 100);
}

/// Node 0 writes, the last node knows only the eight between them.
fn eight_between() -> World {
    let mut w = World::new(10, 1);
    for n in 1..9 {
        w.connect(0, n);
        w.connect(n, 9);
    }
    w.run_for(100);
    w
}

#[test]
fn of_many_that_announce_a_block_one_is_asked() {
    let mut w = eight_between();
    w.write(0, 70);
    w.converge(1_000);
    w.run_for(1_000);
    for name in ["get-frontier", "frontier", "want"] {
        assert_eq!(w.messages[name], 1, "{name} of {:?}", w.messages);
    }
    assert_eq!(w.nodes[9].duplicates, 0);
}

#[test]
fn when_the_one_that_is_asked_is_silent_another_is_asked() {
    let mut w = eight_between();
    w.write(0, 70);
    while !w.messages.contains_key("get-frontier") {
        w.run_for(1);
    }
    w.faults.loss_percent = 100;
    w.run_for(10);
    w.faults.loss_percent = 0;
    assert!(!w.is_equal());
    let took = w.converge(10_000);
    assert!(took <= ANSWER_PATIENCE_MS + 2 * COMING_GRACE_MS, "{took} ms");
}

#[test]
fn a_newcomer_among_equals_asks_one_of_them() {
    let mut w = World::new(9, 1);
    for _ in 0..1_000 {
        w.seal(0, 70);
    }
    let log = w.nodes[0].log.prefix(usize::MAX);
    (1..8).for_each(|n| w.nodes[n].log = log.prefix(usize::MAX));
    w.faults.latency_ms = (20, 20);
    for n in 0..8 {
        w.connect(n, 8);
    }
    w.converge(5_000);
    w.run_for(1_000);
    assert_eq!((w.messages["want"], w.messages.get("get-frontier")), (1, None), "{:?}", w.messages);
}

#[test]
fn what_waits_for_the_blocks_of_a_silent_peer_is_not_fetched_again_and_again() {
    let mut w = World::new(3, 1);
    (0..10).for_each(|_| drop(w.seal(0, 70)));
    w.nodes[1].log = w.nodes[0].log.prefix(usize::MAX);
    (0..10).for_each(|_| drop(w.seal(1, 70)));
    w.connect(0, 2);
    while !w.messages.contains_key("want") {
        w.run_for(1);
    }
    // Node 0 is gone, and node 2 has not noticed. Node 1 has all, but what it need not send is claimed from node 0.
    w.links.remove(&(0, 2));
    w.connect(1, 2);
    w.run_for(10_000);
    assert!(w.messages["want"] <= 8, "{:?}", w.messages);
    w.converge_some(&[1, 2], 20_000);
}

#[test]
fn what_is_pushed_to_a_node_with_many_peers_goes_on_by_gossip() {
    for (peers, published) in [(PEERS_DIRECT_MAX, 0), (PEERS_DIRECT_MAX + 1, 1)] {
        let mut w = World::new(peers + 1, 1);
        for n in 1..=peers {
            w.connect(0, n);
        }
        w.run_for(100);
        let (cid, wire) = w.seal(1, 70);
        let push = Message::Push(vec![WireBlock::clone(&wire)]).encode();
        w.event(1, Event::Sealed { blocks: vec![(cid, wire)] });
        // Also when it comes twice.
        w.transmit(1, 0, Lane::Control, push.clone());
        w.run_for(50);
        let gossip: Vec<_> = w.nodes[0]
            .actions
            .iter()
            .filter_map(|a| match a {
                Action::Publish { bytes } => Some(bytes.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(gossip, vec![push; published], "with {peers} peers");
    }
}

#[test]
fn a_pushed_block_with_a_bad_signature_is_not_gossiped() {
    let mut w = World::new(PEERS_DIRECT_MAX + 2, 1);
    for n in 1..PEERS_DIRECT_MAX + 2 {
        w.connect(0, n);
    }
    w.run_for(100);
    let (_, wire) = w.seal(1, 70);
    let mut bad = WireBlock::clone(&wire);
    let last = bad.0.len() - 1;
    bad.0[last] ^= 1;
    w.transmit(1, 0, Lane::Control, Message::Push(vec![bad]).encode());
    w.run_for(50);
    assert!(!w.nodes[0].actions.iter().any(|a| matches!(a, Action::Publish { .. })));
    assert_eq!(w.nodes[0].offences.len(), 1);
}

fn any_faults(seed: u64) -> TestResult {
    let mut rng = Rng(seed);
    let count = 2 + rng.below(4) as usize;
    let mut w = World::new(count, seed);
    w.faults = Faults {
        loss_percent: rng.below(30),
        duplicate_percent: rng.below(30),
        latency_ms: (1, 1 + rng.below(300)),
    };
    let mut backup = None;
    for step in 0..60 {
        let (a, b) = (rng.below(count as u64) as usize, rng.below(count as u64) as usize);
        match rng.below(10) {
            0..=4 => w.write(a, 1 << rng.below(17)),
            5 if a != b => w.cut(a, b),
            6 | 7 if a != b => w.connect(a, b),
            8 if a != 0 && backup.is_none() => backup = Some((a, w.nodes[a].log.len(), step)),
            _ => w.run_for(rng.below(500)),
        }
    }
    if let Some((n, held, _)) = backup {
        for other in 0..count {
            if other != n {
                w.cut(n, other);
            }
        }
        w.restore(n, held);
        w.write(n, 70);
    }
    // Faults end; then everything must be everywhere.
    w.faults = Faults { latency_ms: (1, 20), ..Faults::default() };
    w.connect_all();
    w.converge(200_000);
    let guilty: Vec<&String> = w.nodes.iter().flat_map(|n| &n.offences).collect();
    assert!(guilty.is_empty(), "seed {seed}: honest nodes were banned: {guilty:?}");
    // And then there is silence but for digests.
    w.run_for(60_000);
    let before = w.messages.clone();
    w.run_for(60_000);
    for (name, count) in &w.messages {
        let more = count - before.get(name).copied().unwrap_or(0);
        assert!(*name == "digest" || more == 0, "seed {seed}: {more} {name} messages between equal nodes");
    }
    TestResult::passed()
}

#[test]
fn any_history_of_faults_ends_in_equal_nodes_and_silence() {
    for seed in [0, 1, 2, 3, 4, 5] {
        any_faults(seed);
    }
    QuickCheck::new().tests(40).quickcheck(any_faults as fn(u64) -> TestResult);
}
