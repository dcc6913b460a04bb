//! Real swarms on loopback.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::time::timeout;

use super::*;

/// Generous: these tests run beside others on small machines.
const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    net: NetHandle,
    events: NetEvents,
    id: NodeId,
    address: Multiaddr,
}

fn everybody() -> Arc<dyn Gate> {
    Arc::new(|_: &NodeId| Access::Member)
}

async fn node(seed: u8, listen: &str, bootstrap: &[&Node], gate: Arc<dyn Gate>) -> Node {
    node_on(seed, &[listen], bootstrap, gate).await
}

async fn node_on(seed: u8, listen: &[&str], bootstrap: &[&Node], gate: Arc<dyn Gate>) -> Node {
    let config = NetConfig {
        node_key: [seed; 32],
        listen: listen.iter().map(|address| address.parse().expect("an address")).collect(),
        bootstrap: bootstrap.iter().map(|n| n.address.clone()).collect(),
        realm: "test".to_owned(),
        mdns: false,
        private_addresses: true,
        network_key: None,
    };
    let (net, mut events) = start(config, gate).expect("the network starts");
    let address = loop {
        match timeout(PATIENCE, events.recv()).await.expect("in time") {
            Some(NetEvent::Listening { address }) => break address,
            Some(_) => {}
            None => panic!("stopped"),
        }
    };
    Node { id: net.local(), net, events, address }
}

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

impl Node {
    async fn until<T>(&mut self, what: &str, mut f: impl FnMut(NetEvent) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.events.recv().await.expect("running");
                if let Some(found) = f(event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: not in time"))
    }

    async fn connected(&mut self, to: NodeId, standing: Access) {
        self.until("connected", |e| match e {
            NetEvent::Connected { node, access } if node == to && access == standing => Some(()),
            _ => None,
        })
        .await;
    }

    /// Among what has come so far is this frame.
    fn has_heard(&mut self, what: u8) -> bool {
        let mut heard = false;
        while let Some(event) = self.events.try_recv() {
            heard |= matches!(event, NetEvent::Frame { frame, .. } if frame.bytes() == [what]);
        }
        heard
    }

    async fn frame(&mut self, want: Lane) -> (NodeId, Vec<u8>) {
        self.until("frame", |e| match e {
            NetEvent::Frame { node, lane, frame } if lane == want => Some((node, frame.bytes().to_vec())),
            _ => None,
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_exchange_frames_on_both_lanes_over_tcp_and_quic() {
    for listen in [TCP, QUIC] {
        let mut a = node(1, listen, &[], everybody()).await;
        let mut b = node(2, listen, &[&a], everybody()).await;
        a.connected(b.id, Access::Member).await;
        b.connected(a.id, Access::Member).await;
        for lane in [Lane::Control, Lane::Bulk] {
            for size in [0, 1, lane.frame_bytes_max()] {
                b.net.send(&a.id, lane, vec![7; size]).await.expect("queued");
                assert_eq!(a.frame(lane).await, (b.id, vec![7; size]));
                a.net.try_send(&b.id, lane, vec![8; size]).expect("queued");
                assert_eq!(b.frame(lane).await, (a.id, vec![8; size]));
            }
            let over = vec![0; lane.frame_bytes_max() + 1];
            assert_eq!(a.net.try_send(&b.id, lane, over), Err(SendError::TooLarge));
        }
        a.net.shutdown().await;
        b.net.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_that_know_one_address_become_a_full_mesh() {
    let mut a = node(1, TCP, &[], everybody()).await;
    let mut b = node(2, TCP, &[&a], everybody()).await;
    let mut c = node(3, TCP, &[&a], everybody()).await;
    let ids = HashSet::from([a.id, b.id, c.id]);
    for n in [&mut a, &mut b, &mut c] {
        let mut missing = ids.clone();
        missing.remove(&n.id);
        n.until("mesh", |e| match e {
            NetEvent::Connected { node, .. } => {
                missing.remove(&node);
                missing.is_empty().then_some(())
            }
            _ => None,
        })
        .await;
    }
    assert_eq!(a.net.peers().await.expect("running").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_goes_through_a_member_in_the_middle_once_it_was_accepted() {
    let mut hub = node(1, TCP, &[], everybody()).await;
    let left = node(2, TCP, &[&hub], everybody()).await;
    let mut right = node(3, TCP, &[&hub], everybody()).await;
    // No path between left and right but by the hub.
    left.net.set_blocked(vec![right.id]).await.expect("running");
    right.net.set_blocked(vec![left.id]).await.expect("running");
    let hub_net = hub.net.clone();
    let judge = tokio::spawn(async move {
        while let Some(event) = hub.events.recv().await {
            if let NetEvent::Gossip { node, id, .. } = event {
                hub_net.gossip_verdict(id, node, Verdict::Accept).await.expect("running");
            }
        }
    });
    let start = Instant::now();
    let publish = async {
        // The mesh takes a moment to form; each message is another one, as the same would be a duplicate.
        for n in 0u32.. {
            left.net.publish(n.to_be_bytes().to_vec()).await.expect("running");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let receive = right.until("gossip", |e| match e {
        NetEvent::Gossip { node, frame, .. } => Some((node, frame.bytes().len())),
        _ => None,
    });
    tokio::select! {
        () = publish => {}
        (node, len) = receive => {
            assert_ne!(node, left.id, "there is no direct path");
            assert_eq!(len, 4);
        }
    }
    assert!(start.elapsed() < PATIENCE);
    judge.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gossips_what_is_rejected_is_not_listened_to_for_a_while() {
    const IN_A_ROW: usize = 30;
    let mut hub = node(1, TCP, &[], everybody()).await;
    let bad = node(2, TCP, &[&hub], everybody()).await;
    let good = node(3, TCP, &[&hub], everybody()).await;
    bad.net.set_blocked(vec![good.id]).await.expect("running");
    let publish = async {
        for n in 0u32.. {
            bad.net.publish([&b"bad"[..], &n.to_be_bytes()].concat()).await.expect("running");
            good.net.publish(n.to_be_bytes().to_vec()).await.expect("running");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let judge = async {
        let (mut rejected, mut in_a_row) = (0, 0);
        while in_a_row < IN_A_ROW {
            let Some(event) = hub.events.recv().await else { panic!("stopped") };
            let NetEvent::Gossip { node, id, .. } = event else { continue };
            let verdict = if node == bad.id { Verdict::Reject } else { Verdict::Accept };
            hub.net.gossip_verdict(id, node, verdict).await.expect("running");
            match verdict {
                Verdict::Reject => (rejected, in_a_row) = (rejected + 1, 0),
                _ if rejected > 0 => in_a_row += 1,
                _ => {}
            }
        }
        rejected
    };
    tokio::select! {
        () = publish => {}
        rejected = timeout(PATIENCE, judge) => assert!(rejected.expect("it is still listened to") >= 3),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_holds_the_sender_back_and_memory_stays_bounded() {
    const FRAME: usize = 1 << 20;
    const FRAMES: usize = 100;
    for listen in [TCP, QUIC] {
        let mut reader = node(1, listen, &[], everybody()).await;
        let mut sender = node(2, listen, &[&reader], everybody()).await;
        sender.connected(reader.id, Access::Member).await;
        reader.connected(sender.id, Access::Member).await;
        let (net, to) = (sender.net.clone(), reader.id);
        let sent = Arc::new(Mutex::new(0usize));
        let count = sent.clone();
        let sending = tokio::spawn(async move {
            for n in 0..FRAMES {
                net.send(&to, Lane::Bulk, vec![n as u8; FRAME]).await.expect("queued");
                *count.lock() += 1;
            }
        });
        // Nobody reads: the sender gets no further than budgets and windows allow.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stuck = *sent.lock();
        assert!(stuck < 50, "{stuck} MiB were taken from the sender while nobody read");
        // The other lane is not in its way.
        sender.net.send(&reader.id, Lane::Control, b"hello".to_vec()).await.expect("queued");
        let mut got = 0;
        let mut hello = false;
        while got < FRAMES || !hello {
            let event = timeout(PATIENCE, reader.events.recv()).await.expect("in time").expect("running");
            if let NetEvent::Frame { lane, frame, .. } = event {
                match lane {
                    Lane::Bulk => {
                        assert_eq!((frame.bytes().len(), frame.bytes()[FRAME / 2]), (FRAME, got as u8));
                        got += 1;
                    }
                    _ => hello = true,
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        sending.await.expect("all sent");
        reader.net.shutdown().await;
        sender.net.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_cuts_links_and_a_heal_restores_them_within_a_second() {
    let mut a = node(1, TCP, &[], everybody()).await;
    let mut b = node(2, TCP, &[&a], everybody()).await;
    a.connected(b.id, Access::Member).await;
    b.connected(a.id, Access::Member).await;
    a.net.set_blocked(vec![b.id]).await.expect("running");
    b.net.set_blocked(vec![a.id]).await.expect("running");
    let (id_a, id_b) = (a.id, b.id);
    for (n, other) in [(&mut a, id_b), (&mut b, id_a)] {
        n.until("cut", |e| matches!(e, NetEvent::Disconnected { node } if node == other).then_some(())).await;
        assert_eq!(n.net.try_send(&other, Lane::Control, vec![1]), Err(SendError::NotConnected));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    while let Some(event) = a.events.try_recv() {
        assert!(!matches!(event, NetEvent::Connected { .. }), "connected through a partition");
    }
    let start = Instant::now();
    a.net.set_blocked(vec![]).await.expect("running");
    b.net.set_blocked(vec![]).await.expect("running");
    a.connected(b.id, Access::Member).await;
    b.connected(a.id, Access::Member).await;
    assert!(start.elapsed() < Duration::from_secs(1), "healed after {:?}", start.elapsed());
    // Both have dialled: the connection that is given up takes along what was queued for it.
    while !a.has_heard(1) {
        assert!(start.elapsed() < PATIENCE, "nothing is heard through the healed link");
        let _ = b.net.try_send(&a.id, Lane::Control, vec![1]);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Both dial, each by TCP and QUIC side by side: up to four connections, of which most are closed by one or the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_dial_each_other_at_once_hear_each_other() {
    const ROUNDS: u8 = 30;
    let mut a = node_on(1, &[TCP, QUIC], &[], everybody()).await;
    let mut b = node_on(2, &[TCP, QUIC], &[&a], everybody()).await;
    for round in 0..ROUNDS {
        let start = Instant::now();
        let (mut to_a, mut to_b) = (false, false);
        while !(to_a && to_b) {
            assert!(start.elapsed() < PATIENCE, "round {round}: a hears b: {to_a}, b hears a: {to_b}");
            // An error means that there is no session now; there will be one.
            let _ = a.net.try_send(&b.id, Lane::Control, vec![round]);
            let _ = b.net.try_send(&a.id, Lane::Control, vec![round]);
            tokio::time::sleep(Duration::from_millis(10)).await;
            to_a |= a.has_heard(round);
            to_b |= b.has_heard(round);
        }
        a.net.set_blocked(vec![b.id]).await.expect("running");
        b.net.set_blocked(vec![a.id]).await.expect("running");
        for (n, other) in [(&a, b.id), (&b, a.id)] {
            while n.net.try_send(&other, Lane::Control, vec![round]) != Err(SendError::NotConnected) {
                assert!(start.elapsed() < 2 * PATIENCE, "round {round}: not cut");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(u64::from(round % 3) * 200)).await;
        a.net.set_blocked(vec![]).await.expect("running");
        b.net.set_blocked(vec![]).await.expect("running");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_may_ask_for_admission_and_nothing_else_until_it_is_a_member() {
    let admitted = Arc::new(AtomicBool::new(false));
    let (seen, known) = (admitted.clone(), Arc::new(AtomicBool::new(false)));
    let gate = move |_: &NodeId| if seen.load(Ordering::SeqCst) { Access::Member } else { Access::Stranger };
    let mut host = node(1, TCP, &[], Arc::new(gate)).await;
    let sponsor_known = known.clone();
    let gate = move |_: &NodeId| match sponsor_known.load(Ordering::SeqCst) {
        true => Access::Member,
        false => Access::Stranger,
    };
    let mut guest = node(2, TCP, &[&host], Arc::new(gate)).await;
    host.connected(guest.id, Access::Stranger).await;
    guest.connected(host.id, Access::Stranger).await;
    // A message published while a stranger listens must not reach it.
    host.net.publish(b"secret".to_vec()).await.expect("running");
    for lane in [Lane::Control, Lane::Bulk] {
        assert_eq!(guest.net.try_send(&host.id, lane, vec![1]), Err(SendError::NotConnected));
    }
    guest.net.send(&host.id, Lane::Join, b"let me in".to_vec()).await.expect("queued");
    assert_eq!(host.frame(Lane::Join).await, (guest.id, b"let me in".to_vec()));
    admitted.store(true, Ordering::SeqCst);
    host.net.send(&guest.id, Lane::Join, b"welcome".to_vec()).await.expect("queued");
    host.net.recheck().await.expect("running");
    assert_eq!(guest.frame(Lane::Join).await, (host.id, b"welcome".to_vec()));
    known.store(true, Ordering::SeqCst);
    guest.net.recheck().await.expect("running");
    guest
        .until("membership", |e| match e {
            NetEvent::Gossip { .. } => panic!("a stranger was sent gossip"),
            NetEvent::Connected { access: Access::Member, .. } => Some(()),
            _ => None,
        })
        .await;
    host.connected(guest.id, Access::Member).await;
    guest.net.send(&host.id, Lane::Bulk, vec![9]).await.expect("queued");
    assert_eq!(host.frame(Lane::Bulk).await, (guest.id, vec![9]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_side_that_does_not_know_the_other_yet_is_met_again_when_it_does() {
    let knows = Arc::new(AtomicBool::new(false));
    let gate_knows = knows.clone();
    let gate = move |_: &NodeId| match gate_knows.load(Ordering::SeqCst) {
        true => Access::Member,
        false => Access::Stranger,
    };
    let mut late = node(1, TCP, &[], Arc::new(gate)).await;
    let early = node(2, TCP, &[&late], everybody()).await;
    late.connected(early.id, Access::Stranger).await;
    knows.store(true, Ordering::SeqCst);
    late.net.recheck().await.expect("running");
    late.connected(early.id, Access::Member).await;
    let send = async {
        while early.net.try_send(&late.id, Lane::Control, vec![5]) != Ok(()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, send).await.expect("in time");
    assert_eq!(late.frame(Lane::Control).await, (early.id, vec![5]));
    early.net.shutdown().await;
    late.until("gone", |e| matches!(e, NetEvent::Disconnected { .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_member_is_cut_off_and_stays_out() {
    let removed = Arc::new(AtomicBool::new(false));
    let gate_removed = removed.clone();
    let gate = move |_: &NodeId| match gate_removed.load(Ordering::SeqCst) {
        true => Access::Refused,
        false => Access::Member,
    };
    let mut host = node(1, TCP, &[], Arc::new(gate)).await;
    let mut other = node(2, TCP, &[&host], everybody()).await;
    host.connected(other.id, Access::Member).await;
    other.connected(host.id, Access::Member).await;
    removed.store(true, Ordering::SeqCst);
    host.net.recheck().await.expect("running");
    host.until("cut", |e| matches!(e, NetEvent::Disconnected { .. }).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    while let Some(event) = host.events.try_recv() {
        assert!(!matches!(event, NetEvent::Connected { .. }), "a removed member came back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_named_in_the_error() {
    let a = node(1, TCP, &[], everybody()).await;
    let config = NetConfig {
        node_key: [2; 32],
        listen: vec![a.address.clone()],
        bootstrap: vec![],
        realm: "test".to_owned(),
        mdns: false,
        private_addresses: true,
        network_key: None,
    };
    let taken = socket_of(&a.address);
    let mut config = config;
    config.listen = vec![taken.clone()];
    let error = start(config, everybody()).expect_err("the port is taken");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

fn socket_of(address: &Multiaddr) -> Multiaddr {
    book::split(address).0
}
