//! What peers may not do, and what may happen to them.

mod world;

use p2pdb_dag::{BlockNo, ChainId, Cover, Frontier, Tip, Want};
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_sync::*;
use serde_bytes::ByteBuf;
use world::*;

fn pair() -> World {
    let mut w = World::new(2, 1);
    w.connect(0, 1);
    w.run_for(100);
    w
}

/// Sends this from node 0 to node 1 and says what node 1 holds against it.
fn check(lane: Lane, bytes: Vec<u8>, want: &str) {
    let mut w = pair();
    w.transmit(0, 1, lane, bytes);
    w.run_for(100);
    match want {
        "" => assert_eq!(w.nodes[1].offences, [] as [String; 0]),
        want => {
            let offences = &w.nodes[1].offences;
            assert!(offences.iter().any(|o| o.contains(want)), "{want:?} is not in {offences:?}");
            assert!(w.links.is_empty(), "the peer is cut off");
        }
    }
}

#[test]
fn garbage_gets_a_peer_banned() {
    check(Lane::Control, b"garbage".to_vec(), "malformed");
    check(Lane::Control, vec![], "malformed");
    check(Lane::Bulk, vec![0xff; 1000], "malformed");
    check(Lane::Control, vec![0; CONTROL_MESSAGE_BYTES_MAX + 1], "a message of");
    check(Lane::Join, vec![0; JOIN_MESSAGE_BYTES_MAX + 1], "a message of");
    let w = pair();
    let mut block = WireBlock::clone(&w.genesis.wire);
    block.0.push(0);
    check(Lane::Control, Message::Push(vec![block]).encode(), "malformed");
}

#[test]
fn a_block_with_another_body_gets_a_peer_banned() {
    let mut w = pair();
    let (_, wire) = w.seal(0, 70);
    let mut wire = WireBlock::clone(&wire);
    let last = wire.1[0].len() - 1;
    wire.1[0][last] ^= 1;
    w.transmit(0, 1, Lane::Control, Message::Push(vec![wire]).encode());
    w.run_for(10);
    assert_eq!(w.nodes[1].offences, ["bad bodies"]);
}

#[test]
fn a_bundle_that_nobody_asked_for_is_ignored() {
    let (data, raw) = pack(vec![]).expect("packed");
    let bundle = Bundle { round: 9, number: 0, raw_bytes: raw as u32, last: true, data: ByteBuf::from(data) };
    check(Lane::Bulk, Message::Bundle(bundle).encode(), "");
}

#[test]
fn bundle_bombs_are_refused_before_they_take_memory() {
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).expect("compressed");
    assert!(bomb.len() < 10_000);
    for raw_bytes in [0, 100, BUNDLE_RAW_BYTES_MAX] {
        assert!(matches!(unpack(&bomb, raw_bytes), Err(Error::Compression(_))), "{raw_bytes}");
    }
    assert!(matches!(unpack(&bomb, 64 << 20), Err(Error::TooLarge(_))));
    assert!(matches!(unpack(&bomb, usize::MAX), Err(Error::TooLarge(_))));
    let short = zstd::bulk::compress(&[0; 10], 3).expect("compressed");
    assert!(matches!(unpack(&short, 11), Err(Error::WrongLength { .. })));
    let list =
        zstd::bulk::compress(&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 3).expect("compressed");
    assert!(matches!(unpack(&list, 9), Err(Error::Malformed { .. })));
}

#[test]
fn bundles_beyond_the_credit_get_a_peer_banned() {
    let mut w = pair();
    w.nodes[1].asleep = true;
    for _ in 0..5_000 {
        w.seal(0, 70);
    }
    // Node 1 asks, and gets no further than its credit while its engine sleeps.
    w.run_for(2 * DIGEST_INTERVAL_MS);
    assert_eq!(w.nodes[1].waiting.len(), CREDITS as usize);
    assert!(w.nodes[1].offences.is_empty());
    let (data, raw) = pack(vec![]).expect("packed");
    let bundle =
        Bundle { round: 1, number: CREDITS, raw_bytes: raw as u32, last: false, data: ByteBuf::from(data) };
    w.transmit(0, 1, Lane::Bulk, Message::Bundle(bundle).encode());
    w.run_for(10);
    assert_eq!(w.nodes[1].offences, ["sends bundles without credit"]);
}

#[test]
fn an_engine_that_is_busy_for_long_is_neither_flooded_nor_blamed() {
    let mut w = pair();
    w.nodes[1].asleep = true;
    for _ in 0..10_000 {
        w.seal(0, 70);
    }
    w.run_for(10 * ANSWER_TIMEOUT_MS);
    assert!(w.nodes[1].waiting.len() <= CREDITS as usize);
    w.wake(1);
    w.converge(60_000);
    assert!(w.nodes.iter().all(|n| n.offences.is_empty()));
}

#[test]
fn a_server_that_goes_silent_is_asked_ever_more_seldom_and_another_helps() {
    let mut w = World::new(3, 1);
    for _ in 0..2_000 {
        w.seal(0, 70);
    }
    w.connect(0, 2);
    w.converge_some(&[0, 2], 60_000);
    w.cut(0, 2);
    w.connect(0, 1);
    w.run_for(2);
    // From here on node 0 says nothing more.
    w.mute(0);
    w.connect(1, 2);
    w.converge_some(&[1, 2], 60_000);
    assert!(w.nodes[1].offences.is_empty());
}

impl World {
    /// Its side of all sessions stays up, but nothing comes.
    fn mute(&mut self, n: usize) {
        let config = Config::new(self.nodes[n].id, self.realm, 1, 1);
        self.nodes[n].sync = Sync::new(config);
    }
}

#[test]
fn a_stranger_gets_an_answer_about_admission_and_nothing_else() {
    let mut w = World::new(2, 1);
    w.seal(0, 70);
    let (host, guest) = (w.nodes[0].id, w.nodes[1].id);
    w.links.insert((0, 1));
    w.event(0, Event::PeerConnected { peer: guest, standing: NodePeer::NotMember });
    w.event(1, Event::PeerConnected { peer: host, standing: NodePeer::NotMember });
    let request = AdmissionRequest {
        node: guest,
        realm: w.realm.0,
        ticket: p2pdb_model::ids::PublicKey([3; 32]),
        signature: ByteBuf::from(vec![4; 64]),
        name: "guest".to_owned(),
    };
    w.event(1, Event::RequestAdmission { peer: host, request: request.clone() });
    w.run_for(10);
    let asked = w.nodes[0].actions.iter().any(
        |a| matches!(a, Action::AdmissionRequested { peer, request: r } if *peer == guest && *r == request),
    );
    assert!(asked);
    let answer = AdmissionAnswer::Refused { reason: "the ticket has expired".to_owned() };
    w.event(0, Event::AnswerAdmission { peer: guest, answer: answer.clone() });
    w.run_for(10);
    let answered = w.nodes[1]
        .actions
        .iter()
        .any(|a| matches!(a, Action::AdmissionAnswered { answer: r, .. } if *r == answer));
    assert!(answered);
    // A ticket of another realm is nothing for the host to look up.
    let elsewhere = AdmissionRequest { realm: Cid::default(), ..request };
    w.event(1, Event::RequestAdmission { peer: host, request: elsewhere });
    w.run_for(10);
    let asked = |a: &&Action| matches!(a, Action::AdmissionRequested { .. });
    assert_eq!(w.nodes[0].actions.iter().filter(asked).count(), 1);
    let told =
        |a: &Action| matches!(a, Action::AdmissionAnswered { answer: AdmissionAnswer::OtherRealm, .. });
    assert!(w.nodes[1].actions.iter().any(told));
    // Whatever else it says is not answered.
    let before = w.messages.clone();
    for message in [Message::GetFrontier, Message::GetTips(host)] {
        w.transmit(1, 0, Lane::Control, message.encode());
    }
    w.run_for(10 * DIGEST_INTERVAL_MS);
    assert!(!w.messages.contains_key("frontier") && !w.messages.contains_key("tips"), "{before:?}");
    assert!(!w.messages.contains_key("hello") && !w.messages.contains_key("digest"));
}

#[test]
fn a_member_that_its_peer_does_not_know_hears_so_and_waits_to_be_greeted() {
    let mut w = World::new(2, 1);
    w.seal(0, 70);
    let (host, guest) = (w.nodes[0].id, w.nodes[1].id);
    w.links.insert((0, 1));
    w.event(0, Event::PeerConnected { peer: guest, standing: NodePeer::NotMember });
    w.event(1, Event::PeerConnected { peer: host, standing: NodePeer::Member });
    w.run_for(10 * DIGEST_INTERVAL_MS);
    let told = |a: &Action| matches!(a, Action::AdmissionAnswered { peer, answer: AdmissionAnswer::Stranger } if *peer == host);
    assert!(w.nodes[1].actions.iter().any(told));
    // One Hello may have been on its way; more would get it banned.
    assert!(w.messages.get("hello").is_none_or(|n| *n <= 1), "{:?}", w.messages);
    assert!(!w.nodes[0].actions.iter().any(|a| matches!(a, Action::Ban { .. })));
    // The host hears of its admission: it greets, and is answered.
    w.event(0, Event::PeerConnected { peer: guest, standing: NodePeer::Member });
    w.converge(10_000);
}

#[test]
fn asking_for_admission_in_another_name_gets_a_peer_banned() {
    let w = pair();
    let request = AdmissionRequest {
        node: NodeId([9; 32]),
        realm: w.realm.0,
        ticket: p2pdb_model::ids::PublicKey([3; 32]),
        signature: ByteBuf::from(vec![4; 64]),
        name: "guest".to_owned(),
    };
    check(Lane::Join, Message::Admit(request).encode(), "another node's name");
}

#[test]
fn another_realm_is_no_offence_but_no_business_either() {
    let mut w = pair();
    let hello = |w: &World| Hello {
        version: PROTOCOL_VERSION,
        realm: w.genesis.block.cid(),
        rules: 1,
        session: 77,
        seen: None,
        digest: Digest0::of(w),
    };
    let mut other = hello(&w);
    let (cid, _) = w.seal(0, 70);
    other.realm = cid;
    w.transmit(0, 1, Lane::Control, Message::Hello(other).encode());
    w.run_for(10);
    assert!(w.nodes[1].offences.is_empty());
    assert!(w.nodes[1].actions.iter().any(|a| matches!(a, Action::Incompatible { .. })));
}

struct Digest0;

impl Digest0 {
    fn of(w: &World) -> Digest {
        Digest { frontier: w.nodes[0].log.dag().frontier().digest(), state: None, wall_ms: 0 }
    }
}

#[test]
fn clocks_fingerprints_and_own_tips_are_reported() {
    let mut w = World::new(2, 1);
    w.seal(0, 70);
    let state = StateProof { frontier: [1; 32], fingerprint: [2; 32] };
    w.nodes[0].log.state = Some(state);
    let author = w.nodes[0].id;
    w.connect(0, 1);
    w.event(1, Event::AskTips { author });
    w.run_for(100);
    let has = |f: &dyn Fn(&Action) -> bool| w.nodes[1].actions.iter().any(f);
    assert!(has(&|a| matches!(a, Action::CompareFingerprint { state: s, .. } if *s == state)));
    assert!(has(&|a| matches!(a, Action::ClockOffset { offset_ms, .. } if offset_ms.abs() <= 5)));
    assert!(has(&|a| matches!(a, Action::TipsOf { tips, .. } if tips.len() == 1 && tips[0].1.seq == 2)));
}

#[test]
fn with_many_members_a_block_goes_by_gossip_and_a_verdict_is_given_once() {
    let mut w = World::new(PEERS_DIRECT_MAX + 2, 1);
    for n in 1..w.nodes.len() {
        w.connect(0, n);
    }
    w.run_for(100);
    w.write(0, 70);
    let publish = w.nodes[0].actions.iter().find_map(|a| match a {
        Action::Publish { bytes } => Some(bytes.clone()),
        _ => None,
    });
    let bytes = publish.expect("published");
    let peer = w.nodes[0].id;
    for _ in 0..2 {
        w.event(1, Event::Gossip { peer, id: 5, bytes: bytes.clone() });
    }
    let verdicts: Vec<_> = w.nodes[1]
        .actions
        .iter()
        .filter_map(|a| match a {
            Action::GossipVerdict { id: 5, forward, .. } => Some(*forward),
            _ => None,
        })
        .collect();
    assert_eq!(verdicts, [Some(true), None]);
    assert_eq!(w.nodes[1].log.len(), 2);
    let (_, forged) = w.seal(0, 70);
    let mut forged = WireBlock::clone(&forged);
    let last = forged.1[0].len() - 1;
    forged.1[0][last] ^= 1;
    w.event(2, Event::Gossip { peer, id: 6, bytes: Message::Push(vec![forged]).encode() });
    w.event(1, Event::Gossip { peer, id: 6, bytes: b"junk".to_vec() });
    for n in [1, 2] {
        let is_rejected = |a: &Action| matches!(a, Action::GossipVerdict { id: 6, forward: Some(false), .. });
        assert!(w.nodes[n].actions.iter().any(is_rejected), "neither junk nor a false body is forwarded");
    }
    assert_eq!(w.nodes[2].log.len(), 1);
}

#[test]
fn a_round_whose_bundle_could_not_be_sent_begins_again_soon() {
    let mut w = World::new(2, 1);
    for _ in 0..10_000 {
        w.seal(0, 70);
    }
    w.nodes[1].asleep = true;
    w.connect(0, 1);
    w.run_for(100);
    let peer = w.nodes[1].id;
    w.event(0, Event::SendFailed { peer });
    w.wake(1);
    let took = w.converge(10_000);
    assert!(took < 5_000, "{took} ms");
    assert!(w.nodes[0].offences.is_empty() && w.nodes[1].offences.is_empty());
}

#[test]
fn a_lost_bundle_breaks_the_round_off_without_blame() {
    let mut w = pair();
    for _ in 0..5_000 {
        w.seal(0, 70);
    }
    w.nodes[1].asleep = true;
    w.run_for(2 * DIGEST_INTERVAL_MS);
    let (data, raw) = pack(vec![]).expect("packed");
    let number = CREDITS + 1;
    let bundle = Bundle { round: 1, number, raw_bytes: raw as u32, last: false, data: ByteBuf::from(data) };
    w.transmit(0, 1, Lane::Bulk, Message::Bundle(bundle).encode());
    w.run_for(10);
    w.wake(1);
    w.converge(10_000);
    assert!(w.nodes[1].offences.is_empty());
}

#[test]
fn requests_without_pause_get_a_peer_banned() {
    let mut w = pair();
    for _ in 0..1_000 {
        w.transmit(0, 1, Lane::Control, Message::GetFrontier.encode());
    }
    w.run_for(10);
    assert!(w.nodes[1].offences[0].contains("without pause"), "{:?}", w.nodes[1].offences);
    assert!(w.messages["frontier"] < 500);
}

/// A log whose blocks cannot be read any more.
struct Unreadable<'a>(&'a MemoryLog);

impl BlockSource for Unreadable<'_> {
    type Error = String;

    fn frontier(&self) -> Result<Frontier, String> {
        self.0.frontier().map_err(|e| e.to_string())
    }
    fn frontier_digest(&self) -> Result<[u8; 32], String> {
        self.0.frontier_digest().map_err(|e| e.to_string())
    }
    fn state(&self) -> Result<Option<StateProof>, String> {
        self.0.state().map_err(|e| e.to_string())
    }
    fn heads(&self) -> Result<Vec<Cid>, String> {
        self.0.heads().map_err(|e| e.to_string())
    }
    fn holds(&self, cid: &Cid) -> Result<bool, String> {
        self.0.holds(cid).map_err(|e| e.to_string())
    }
    fn wants(&self, theirs: &Frontier) -> Result<Vec<Want>, String> {
        self.0.wants(theirs).map_err(|e| e.to_string())
    }
    fn cover(&self, theirs: &Frontier) -> Result<Cover, String> {
        self.0.cover(theirs).map_err(|e| e.to_string())
    }
    fn first_uncovered(&self, cover: &Cover) -> Result<Option<BlockNo>, String> {
        self.0.first_uncovered(cover).map_err(|e| e.to_string())
    }
    fn rungs(&self, chain: &ChainId, tip: &Tip, seqs: &[u64]) -> Result<Vec<Tip>, String> {
        self.0.rungs(chain, tip, seqs).map_err(|e| e.to_string())
    }
    fn scan(&self, _: &Cover, _: BlockNo, _: usize, _: usize) -> Result<Scan, String> {
        Err(format!("block 7 is\n{}", "damaged ".repeat(1_000)))
    }
}

#[test]
fn a_server_that_cannot_read_its_log_says_why_and_is_asked_again() {
    let mut w = World::new(2, 1);
    w.seal(0, 70);
    let (server, guest) = (w.nodes[0].id, w.nodes[1].id);
    let now = Now { mono_ms: w.now_ms, wall_ms: w.now_ms };
    let config = |local| Config::new(local, w.realm, 1, 3);
    let source = Unreadable(&w.nodes[0].log);
    let (mut serves, mut asks) = (Sync::new(config(server)), Sync::new(config(guest)));
    serves.handle(Event::PeerConnected { peer: guest, standing: NodePeer::Member }, now, &source);
    asks.handle(Event::PeerConnected { peer: server, standing: NodePeer::Member }, now, &w.nodes[1].log);
    let (mut stop, mut told) = (None, Vec::new());
    for _ in 0..20 {
        while let Some(action) = serves.poll(now, &source) {
            if let Action::Send { lane, bytes, .. } = action {
                if let Ok(Message::Stop { .. }) = Message::decode(&bytes) {
                    stop = Some(bytes.clone());
                }
                asks.handle(Event::Frame { peer: server, lane, bytes }, now, &w.nodes[1].log);
            }
        }
        while let Some(action) = asks.poll(now, &w.nodes[1].log) {
            match action {
                Action::Send { lane, bytes, .. } => {
                    serves.handle(Event::Frame { peer: guest, lane, bytes }, now, &source);
                }
                Action::NotServed { peer, reason } => told.push((peer, reason)),
                Action::Ban { reason, .. } => panic!("banned: {reason}"),
                _ => {}
            }
        }
    }
    assert_eq!(told.len(), 1, "asked again only after a while");
    assert!(told[0].0 == server && told[0].1.starts_with("block 7 is damaged damaged"), "{told:?}");
    assert!(asks.peers(&w.nodes[1].log)[0].failures == 1 && asks.timeout_ms().is_some());

    // A node of before reads it as what it knows, and what it sends is read here.
    #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)]
    enum Before {
        Stop { round: u32, server: bool },
    }
    let before: Before =
        serde_ipld_dagcbor::from_slice(&stop.expect("a stop")).expect("it passes over the reason");
    assert_eq!(before, Before::Stop { round: 1, server: true });
    let bytes = serde_ipld_dagcbor::to_vec(&before).expect("bytes");
    let now_read = Message::Stop { round: 1, server: true, reason: None };
    assert_eq!(Message::decode(&bytes).expect("read"), now_read);
    assert_eq!(now_read.encode(), bytes);
}
