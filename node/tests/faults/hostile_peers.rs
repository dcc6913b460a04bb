//! Peers that mean ill or are broken, over real sockets: members whose keys the test holds, who say what no correct node
//! says, strangers, and sockets that are no peers at all. Each gets one clear answer, changes nothing it must not, and the
//! node goes on serving its clients and an honest peer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use p2pdb_access::admission_signature;
use p2pdb_block::sign::{node_id, public_key};
use p2pdb_block::{BodyBuilder, Draft, FullBlock, SigningKey, seal};
use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{AccountId, Cid, NodeId, ObjectId};
use p2pdb_model::{Change, ColumnTag, RULES, RealmId, Stamp, Value};
use p2pdb_node::net::{self, Access, Lane, NetConfig, NetEvent, NetEvents, NetHandle, SendError};
use p2pdb_node::ticket::Ticket;
use p2pdb_sync::{AdmissionAnswer, AdmissionRequest, Digest, Hello, Message, PROTOCOL_VERSION, WireBlock};
use serde_bytes::ByteBuf;

use crate::common::*;

/// Longest wait for one thing.
const WAIT: Duration = Duration::from_secs(20);

/// The test as a peer.
struct Impostor {
    key: SigningKey,
    /// It takes the victim for a member, and offers it a member's streams.
    admitted: Arc<AtomicBool>,
    net: NetHandle,
    events: NetEvents,
    victim: NodeId,
    realm: RealmId,
}

impl Impostor {
    /// Connects with this key; the victim takes it for a stranger.
    async fn stranger(seed: u8, ticket: &Ticket) -> Impostor {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let config = NetConfig {
            node_key: key.to_bytes(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            bootstrap: ticket.addresses.clone(),
            realm: ticket.realm.to_string(),
            mdns: false,
            private_addresses: true,
            network_key: None,
        };
        let admitted = Arc::new(AtomicBool::new(false));
        let seen = admitted.clone();
        let gate = move |_: &NodeId| match seen.load(Ordering::SeqCst) {
            true => Access::Member,
            false => Access::Stranger,
        };
        let (net, mut events) = net::start(config, Arc::new(gate)).expect("a swarm");
        let victim = loop {
            if let NetEvent::Connected { node, .. } = next(&mut events).await {
                break node;
            }
        };
        Impostor { key, admitted, net, events, victim, realm: ticket.realm }
    }

    /// Uses the ticket, and greets as members do.
    async fn member(seed: u8, ticket: &Ticket) -> Impostor {
        let mut me = Impostor::stranger(seed, ticket).await;
        let node = node_id(&me.key);
        let request = Message::Admit(AdmissionRequest {
            node,
            realm: me.realm.0,
            ticket: public_key(&ticket.key),
            signature: ByteBuf::from(admission_signature(&ticket.key, &me.realm, &node)),
            name: format!("impostor {seed}"),
        });
        me.until("the way to join", Lane::Join, request.encode()).await;
        loop {
            if let NetEvent::Frame { lane: Lane::Join, frame, .. } = next(&mut me.events).await {
                let answer = Message::decode(frame.bytes()).expect("an answer");
                let wanted = AdmissionAnswer::Admitted { genesis: me.realm.0 };
                if answer == Message::Admission(AdmissionAnswer::Stranger) {
                    // Every stranger hears that first.
                    continue;
                }
                assert_eq!(answer, Message::Admission(wanted));
                break;
            }
        }
        me.admitted.store(true, Ordering::SeqCst);
        me.net.recheck().await.expect("running");
        let hello = Message::Hello(Hello {
            version: PROTOCOL_VERSION,
            realm: me.realm.0,
            rules: RULES,
            session: u64::from(seed),
            seen: None,
            digest: Digest { frontier: [seed; 32], state: None, wall_ms: now_ms() },
        });
        me.until("membership", Lane::Control, hello.encode()).await;
        me.greeted().await;
        me
    }

    /// Sends as soon as there is such a lane.
    async fn until(&mut self, what: &str, lane: Lane, bytes: Vec<u8>) {
        let send = async {
            while let Err(e) = self.net.try_send(&self.victim, lane, bytes.clone()) {
                assert_eq!(e, SendError::NotConnected);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WAIT, send).await.unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    /// The victim has answered the greeting on this connection; what it said before that is passed over.
    async fn greeted(&mut self) {
        loop {
            if let NetEvent::Frame { lane: Lane::Control, frame, .. } = next(&mut self.events).await
                && matches!(Message::decode(frame.bytes()), Ok(Message::Hello(_)))
            {
                return;
            }
        }
    }

    fn say(&self, lane: Lane, bytes: Vec<u8>) {
        self.net.try_send(&self.victim, lane, bytes).expect("queued");
    }

    fn push(&self, blocks: &[&FullBlock]) {
        self.say(Lane::Control, Message::Push(blocks.iter().map(|b| wire(b)).collect()).encode());
    }

    /// A block of this author that writes one row for an account that has delegated nothing to it.
    fn block(
        &self,
        seq: u64,
        prev: Option<Cid>,
        parents: &[Cid],
        stamp_ms: u64,
        realm: &RealmId,
    ) -> FullBlock {
        let account = AccountId::from_slice(&[7; 16]).expect("16 bytes");
        let row = RowChange::Insert { layout: 0, key: None, generated: false, values: vec![Value::Int(66)] };
        let mut body = BodyBuilder::new();
        let layouts = [Layout(ObjectId([3; 16]), 1, vec![ColumnTag(1)])];
        body.push(account, &layouts, vec![Change::Row(row)]).expect("a body");
        let stamp = Stamp::from_millis(stamp_ms);
        let draft = Draft { rules: RULES, seq, prev, parents: parents.to_vec(), stamp };
        seal(draft, body.finish(), &self.key, Some(realm)).expect("a block")
    }
}

async fn next(events: &mut NetEvents) -> NetEvent {
    let event = tokio::time::timeout(WAIT, events.recv()).await.expect("an event in time");
    event.expect("the swarm runs")
}

fn wire(block: &FullBlock) -> WireBlock {
    WireBlock::new(block.bytes().to_vec(), block.parts().iter().map(|p| p.bytes.clone()).collect())
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_millis() as u64
}

fn heads(node: &Node) -> Vec<Cid> {
    let cid = |text: &String| Cid::try_from(text.as_str()).expect("a CID");
    let mut heads: Vec<Cid> = node.status().heads.iter().map(cid).collect();
    heads.sort_by_key(|c| c.to_bytes());
    heads
}

fn bans(node: &Node) -> u64 {
    let metrics = http_get(node, "/metrics", None).1;
    let line = metrics.lines().find(|l| l.starts_with("p2pdb_peer_bans_total ")).expect("the metric");
    line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")
}

/// The fingerprints of the schemas: that of `p2pdb` says also which transactions are void.
fn tables(node: &Node) -> Vec<(String, String)> {
    node.status().fingerprints.into_iter().filter(|(name, _)| name != "p2pdb").collect()
}

#[test]
fn members_that_misbehave_are_cut_off_and_change_nothing() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    a.query("CREATE DATABASE d").expect("a database");
    a.query("CREATE TABLE d.t (id INT PRIMARY KEY, x LONGTEXT)").expect("a table");
    let ticket = Ticket::decode(&a.ticket("writer", 20)).expect("a ticket");
    let honest = Node::join(&temp.path().join("honest"), &ticket.encode(), &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");

    let elsewhere = RealmId(heads(&a)[0]);
    type Crime = fn(&Impostor, &[Cid], &RealmId);
    let crimes: [(&str, &str, Crime); 7] = [
        ("garbage", "malformed message", |me, _, _| me.say(Lane::Control, b"garbage".to_vec())),
        ("garbage in bulk", "malformed message", |me, _, _| me.say(Lane::Bulk, vec![0xff; 100_000])),
        ("an oversized block", "envelope bytes", |me, _, _| {
            let block = WireBlock::new(vec![0x82; 20_000], Vec::new());
            me.say(Lane::Control, Message::Push(vec![block]).encode());
        }),
        ("a malformed block", "malformed", |me, _, _| {
            let block = WireBlock::new(vec![0x82, 0x89], Vec::new());
            me.say(Lane::Control, Message::Push(vec![block]).encode());
        }),
        ("a bad signature", "the signature does not hold", |me, heads, _| {
            let block = me.block(1, None, heads, now_ms(), &me.realm);
            let mut wire = wire(&block);
            let last = wire.0.len() - 1;
            wire.0[last] ^= 1;
            me.say(Lane::Control, Message::Push(vec![wire]).encode());
        }),
        ("a block of another realm", "the signature does not hold", |me, heads, elsewhere| {
            me.push(&[&me.block(1, None, heads, now_ms(), elsewhere)]);
        }),
        ("a number that does not follow", "seq", |me, heads, _| {
            let first = me.block(1, None, heads, now_ms(), &me.realm);
            me.push(&[&first, &me.block(5, Some(first.cid()), &[], now_ms() + 5, &me.realm)]);
        }),
    ];
    for (n, (crime, complaint, commit)) in crimes.iter().enumerate() {
        let before = bans(&a);
        let me = runtime.block_on(Impostor::member(100 + n as u8, &ticket));
        let tables = tables(&a);
        commit(&me, &heads(&a), &elsewhere);
        eventually(&format!("{crime} gets a peer banned"), || (bans(&a) > before).then_some(()));
        let log = a.log();
        let line =
            log.lines().rev().find(|l| l.contains("peer banned for an offence")).expect("it is logged");
        assert!(line.contains(complaint), "{crime}: {line}");
        assert_eq!(self::tables(&a), tables, "{crime} has changed the tables");
        runtime.block_on(me.net.shutdown());
        a.query(&format!("INSERT INTO d.t VALUES ({n}, 'on it goes')")).expect("the node goes on");
    }
    assert!(a.status().alarm.is_none() && a.status().ready);
    assert!(honest.log().lines().all(|l| !l.contains("peer banned")), "an honest node blamed one");

    too_early_or_without_right(&runtime, &a, &ticket);
    a_member_that_stops_reading(&runtime, &a, &honest, &ticket);
    wait_equal(&[&a, &honest]);
    assert!(a.stop() && honest.stop());
}

/// Blocks that are no offence, but do not count, or not yet: from the future, before their parents, without a delegation.
fn too_early_or_without_right(runtime: &tokio::runtime::Runtime, a: &Node, ticket: &Ticket) {
    let before = bans(a);
    let me = runtime.block_on(Impostor::member(200, ticket));
    let blocks = a.status().blocks;
    let void = || {
        let rows = a.query("SELECT reason FROM p2pdb.voided").expect("rows");
        rows.into_iter().map(|r| r[0].clone()).collect::<Vec<_>>()
    };
    let void_before = void().len();
    let first = me.block(1, None, &heads(a), now_ms(), &me.realm);
    let second = me.block(2, Some(first.cid()), &[], now_ms() + 10, &me.realm);
    let future = me.block(3, Some(second.cid()), &[], now_ms() + 600_000, &me.realm);
    me.push(&[&second]);
    eventually("the second block waits for the first", || (a.status().pending_blocks == 1).then_some(()));
    let author = node_id(&me.key);
    let logged = |what: &str| {
        let line = format!("{author} {what}");
        eventually(&format!("it is logged that {line}"), || a.log().contains(&line).then_some(()));
    };
    logged("came before blocks that they build on");
    assert_eq!(a.status().blocks, blocks);
    me.push(&[&first]);
    eventually("both are in the log", || (a.status().blocks == blocks + 2).then_some(()));
    // No account has delegated to this author: in the log, and void.
    let voided = void();
    assert_eq!(voided.len(), void_before + 2, "{voided:?}");
    assert!(voided.iter().all(|v| v == "void: the account does not exist"), "{voided:?}");
    logged("stand in the log and do not count: the account does not exist");
    me.push(&[&future]);
    eventually("the block from the future waits", || (a.status().pending_blocks == 1).then_some(()));
    logged("are stamped ");
    assert_eq!((a.status().blocks, bans(a)), (blocks + 2, before));

    // A stranger's block, brought by a member: in the log, and void.
    let stranger = Impostor { key: SigningKey::from_bytes(&[222; 32]), ..me };
    // Its parents are stamped up to 10 ms ahead.
    let block = stranger.block(1, None, &heads(a), now_ms() + 20, &stranger.realm);
    stranger.push(&[&block]);
    eventually("it is void", || void().iter().any(|v| v.contains("member")).then_some(()));
    let line = format!("{} stand in the log and do not count: the author is", node_id(&stranger.key));
    eventually("and logged", || a.log().contains(&line).then_some(()));
    runtime.block_on(stranger.net.shutdown());
}

/// It takes nothing off the wire any more: others are served, and clients wait for nobody.
fn a_member_that_stops_reading(runtime: &tokio::runtime::Runtime, a: &Node, honest: &Node, ticket: &Ticket) {
    let me = runtime.block_on(Impostor::member(201, ticket));
    // Its events are not read from here on, so its streams are not, either.
    for n in 1_000..1_030 {
        a.query(&format!("INSERT INTO d.t VALUES ({n}, REPEAT('{n}', 250000))"))
            .expect("clients do not wait");
    }
    wait_equal(&[a, honest]);
    let line = format!(
        "the peer does not take what it is sent; it has to ask for it later peer={}",
        node_id(&me.key)
    );
    eventually("it is logged", || a.log().contains(&line).then_some(()));
    runtime.block_on(me.net.shutdown());
}

#[test]
fn strangers_and_sockets_that_are_no_peers_are_in_nobodys_way() {
    let temp = tempfile::tempdir().expect("a directory");
    let a = Node::start(&temp.path().join("a"), &[]);
    let ticket = Ticket::decode(&a.ticket("writer", 1)).expect("a ticket");
    let address = ticket.addresses[0].to_string();
    let port: u16 = address.split('/').nth(4).and_then(|p| p.parse().ok()).expect("a port");
    let connect = || TcpStream::connect(("127.0.0.1", port)).expect("connected");
    // Some say nothing and read nothing, some say garbage, some begin well and then say garbage.
    let mut sockets: Vec<TcpStream> = (0..30).map(|_| connect()).collect();
    for (n, socket) in sockets.iter_mut().enumerate() {
        let said: &[u8] = match n % 3 {
            0 => b"",
            1 => &[0xff; 4096],
            _ => b"\x13/multistream/1.0.0\n\x07/noise\n\xff\xff\xff\xff\xff\xff\xff\xff",
        };
        let _ = socket.write_all(said);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let blocks = a.status().blocks;
    let stranger = runtime.block_on(Impostor::stranger(77, &ticket));
    let block = stranger.block(1, None, &heads(&a), now_ms(), &stranger.realm);
    let push = Message::Push(vec![wire(&block)]).encode();
    for _ in 0..10 {
        let _ = stranger.net.try_send(&stranger.victim, Lane::Join, push.clone());
    }
    eventually("the stranger is banned", || a.log().contains("a stranger sends push").then_some(()));
    assert_eq!(a.status().blocks, blocks, "a stranger's block is not taken");
    // An honest node joins while all of this is going on.
    let b = Node::join(&temp.path().join("b"), &ticket.encode(), &[]);
    wait_equal(&[&a, &b]);
    // Garbage does not keep a connection open.
    let mut byte = [0; 64];
    sockets[1].set_read_timeout(Some(WAIT)).expect("set");
    while matches!(sockets[1].read(&mut byte), Ok(n) if n > 0) {}
    runtime.block_on(stranger.net.shutdown());
    eventually("it is told", || a.log().contains("did not speak as a peer does").then_some(()));
    assert!(a.status().ready);
}
