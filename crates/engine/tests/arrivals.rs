//! Blocks that no correct node sends, and blocks that come at the wrong time: one clear answer each, nothing changes
//! that must not, and the engine goes on.

mod support;

use p2pdb_block::car::{CarReader, CarWriter};
use p2pdb_block::{BodyBuilder, Draft, RawBlock, SigningKey, seal};
use p2pdb_model::change::{Layout, Role, RowChange};
use p2pdb_model::{Change, Cid, ColumnTag, RULES, Stamp, Value};
use p2pdb_sync::{BlockSource, Received};
use support::{Node, TestDir, converge};

fn two() -> (Node, Node) {
    let a = Node::begin(1);
    a.session().run(
        "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 10)",
    );
    let b = a.join(2);
    (a, b)
}

fn still_works(node: &Node) {
    node.session().run("UPDATE d.t SET v = v + 1 WHERE id = 1");
}

#[test]
fn a_block_with_a_bad_signature_is_refused() {
    let (a, b) = two();
    b.session().run("INSERT INTO d.t VALUES (2, 20)");
    let mut blocks = a.missing_from(&b);
    let mut bytes = blocks[0].block.bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    blocks[0].block = RawBlock(bytes).decode().expect("canonical still");
    let before = a.fingerprint();
    let arrived = a.engine.ingest(blocks).block();
    assert_eq!((arrived.applied.len(), arrived.refused.len()), (0, 1));
    assert!(arrived.refused[0].1.contains("signature"), "{}", arrived.refused[0].1);
    assert_eq!(a.fingerprint(), before);
    converge(&[&a, &b]);
    still_works(&a);
}

#[test]
fn blocks_of_another_realm_are_refused() {
    let (a, _b) = two();
    let stranger = Node::begin(9);
    stranger.session().run("CREATE DATABASE x");
    let blocks = a.missing_from(&stranger);
    assert!(blocks.len() >= 2);
    let n = blocks.len();
    let before = a.fingerprint();
    let arrived = a.engine.ingest(blocks).block();
    assert_eq!((arrived.applied.len(), arrived.refused.len()), (0, n), "{:?}", arrived.refused);
    assert_eq!(a.fingerprint(), before);
    still_works(&a);
}

#[test]
fn what_a_node_writes_that_was_never_admitted_is_void() {
    let (a, b) = two();
    let status = a.engine.status();
    let mut s = a.session();
    let account = p2pdb_model::AccountId::from_slice(&[7; 16]).expect("16 bytes");
    let table = p2pdb_model::ids::ObjectId([3; 16]);
    let mut body = BodyBuilder::new();
    let change = RowChange::Insert {
        layout: 0,
        key: None,
        generated: false,
        values: vec![Value::Int(66), Value::Int(66)],
    };
    body.push(account, &[Layout(table, 1, vec![ColumnTag(1), ColumnTag(2)])], vec![Change::Row(change)])
        .expect("a body");
    let draft = Draft {
        rules: RULES,
        seq: 1,
        prev: None,
        parents: status.heads.clone(),
        stamp: Stamp(status.stamp.0 + 1),
    };
    let key = SigningKey::from_bytes(&[77; 32]);
    let full = seal(draft, body.finish(), &key, Some(&a.engine.realm())).expect("a block");
    let received = Received {
        block: RawBlock(full.bytes().to_vec()).decode().expect("a block"),
        bodies: full.parts().iter().map(|p| p.bytes.clone()).collect(),
    };
    let arrived = a.engine.ingest(vec![received]).block();
    assert_eq!(arrived.fault, None);
    // It is in the log, as every node would have it, and counts nowhere.
    let reasons = s.rows("SELECT reason FROM p2pdb.voided");
    assert_eq!(reasons.len(), 1);
    assert!(reasons[0].contains("member"), "{reasons:?}");
    converge(&[&a, &b]);
    still_works(&a);
}

/// What was written while the clock was wrong reaches the others when that time comes; until then nothing is written that
/// nobody would see.
#[test]
fn a_node_whose_clock_was_set_back_refuses_writes_until_its_log_is_reached() {
    let (a, b) = two();
    a.clock.advance_ms(3_600_000);
    a.session().run("INSERT INTO d.t VALUES (2, 20)");
    assert_eq!(a.engine.status().refuses_writes, None);
    a.clock.set_back_ms(3_600_000);
    let why = a.engine.status().refuses_writes.expect("writes are refused");
    assert!(why.starts_with("the newest block here is stamped 3"), "{why}");
    assert_eq!(a.session().error("INSERT INTO d.t VALUES (3, 30)"), 1290);
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM d.t"), ["2"], "reads go on");
    b.session().run("INSERT INTO d.t VALUES (4, 40)");
    a.fetch(&b);
    b.fetch(&a);
    assert_eq!(b.session().rows("SELECT COUNT(*) FROM d.t"), ["2"], "it waits there");
    for n in [&a, &b] {
        n.clock.advance_ms(3_600_000);
        n.engine.tick();
    }
    a.session().run("INSERT INTO d.t VALUES (3, 30)");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT COUNT(*) FROM d.t"), ["4"]);
}

/// Nobody else is there for whom it could be too early.
#[test]
fn a_node_that_is_alone_writes_on_when_its_clock_was_ahead() {
    let a = Node::begin(1);
    a.clock.advance_ms(3_600_000);
    a.session().run("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)");
    a.clock.set_back_ms(3_600_000);
    a.session().run("INSERT INTO d.t VALUES (1)");
    assert_eq!(a.engine.status().refuses_writes, None);
}

#[test]
fn a_block_from_the_future_waits_until_its_time_has_come() {
    let (a, b) = two();
    b.clock.advance_ms(600_000);
    b.session().run("INSERT INTO d.t VALUES (2, 20)");
    let blocks = a.missing_from(&b);
    let arrived = a.engine.ingest(blocks).block();
    assert_eq!((arrived.applied.len(), arrived.waiting), (0, 1));
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM d.t"), ["1"]);
    still_works(&a);
    a.clock.advance_ms(600_000);
    a.engine.tick();
    // The tick stands in the queue before this statement.
    still_works(&a);
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM d.t"), ["2"]);
    converge(&[&a, &b]);
}

#[test]
fn blocks_in_reverse_order_twice_and_with_a_hole_are_put_right() {
    let (a, b) = two();
    for n in 2..12 {
        b.session().run(&format!("INSERT INTO d.t VALUES ({n}, {n})"));
    }
    let mut blocks = a.missing_from(&b);
    blocks.reverse();
    let hole = blocks.pop().expect("the first block");
    let twice: Vec<Received> = blocks.iter().chain(&blocks).cloned().collect();
    let arrived = a.engine.ingest(twice).block();
    assert_eq!(arrived.applied.len(), 0);
    assert_eq!(arrived.missing, [hole.block.cid()]);
    let arrived = a.engine.ingest(vec![hole]).block();
    assert_eq!(arrived.applied.len(), 10);
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM d.t"), ["11"]);
    converge(&[&a, &b]);
}

/// Blocks share their lists of what they had not seen as far as a program remembers them, and it forgets at its end.
#[test]
fn a_node_that_was_restarted_amid_concurrent_blocks_verifies_clean() {
    let (a, b) = two();
    a.session().run("INSERT INTO d.t VALUES (2, 20)");
    b.session().run("INSERT INTO d.t VALUES (3, 30)");
    a.fetch(&b);
    let a = a.restart();
    b.session().run("INSERT INTO d.t VALUES (4, 40)");
    a.fetch(&b);
    let report = a.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn a_block_whose_bodies_are_not_the_named_ones_is_refused() {
    let (a, b) = two();
    b.session().run("INSERT INTO d.t VALUES (2, 20)");
    let mut blocks = a.missing_from(&b);
    blocks[0].bodies[0][5] ^= 1;
    let arrived = a.engine.ingest(blocks).block();
    assert_eq!((arrived.applied.len(), arrived.refused.len()), (0, 1));
    converge(&[&a, &b]);
}

#[test]
fn a_transaction_larger_than_a_body_travels_in_chunks() {
    let (a, b) = two();
    a.session().run("CREATE TABLE d.big (id INT PRIMARY KEY, blob_ LONGBLOB)");
    a.session().run("INSERT INTO d.big VALUES (1, REPEAT('x', 3000000))");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT LENGTH(blob_) FROM d.big"), ["3000000"]);
}

#[test]
fn a_chain_that_forked_after_a_restore_converges() {
    let (a, b) = two();
    let backup = a.path().join("backup.db");
    b.engine.backup(&backup).expect("a backup");
    b.session().run("INSERT INTO d.t VALUES (2, 20)");
    converge(&[&a, &b]);
    let c = b.restored_from(&backup);
    c.session().run("INSERT INTO d.t VALUES (3, 30)");
    converge(&[&a, &c]);
    for n in [&a, &c] {
        assert_eq!(n.session().rows("SELECT id FROM d.t ORDER BY id"), ["1", "2", "3"]);
    }
}

/// The peers hold a part of what the node wrote after the backup; the rest is lost, and its numbers may not come again.
#[test]
fn a_restored_node_begins_another_chain_though_it_has_fetched_its_old_one() {
    let (a, b) = two();
    let backup = a.path().join("backup.db");
    b.engine.backup(&backup).expect("a backup");
    b.session().run("INSERT INTO d.t VALUES (2, 20)");
    a.fetch(&b);
    b.session().run("INSERT INTO d.t VALUES (3, 30)");
    let lost = a.missing_from(&b);
    let c = b.restored_from(&backup);
    c.fetch(&a);
    c.session().run("INSERT INTO d.t VALUES (4, 40)");
    a.fetch(&c);
    // Somebody finds the old disk.
    assert_eq!(a.engine.ingest(lost).block().applied.len(), 1);
    converge(&[&a, &c]);
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM p2pdb.forks"), ["0"]);
    assert_eq!(a.session().rows("SELECT id FROM d.t ORDER BY id"), ["1", "2", "3", "4"]);
}

/// What is refused for what is in it is not asked for again, nor what builds on it.
#[test]
fn a_refused_block_is_remembered_but_one_that_came_with_wrong_bodies_is_not() {
    let (a, b) = two();
    b.session().run("INSERT INTO d.t VALUES (2, 20)");
    let good = a.missing_from(&b).remove(0);
    let mut wrong = good.clone();
    wrong.bodies[0][5] ^= 1;
    assert_eq!(a.engine.ingest(vec![wrong]).block().refused.len(), 1);
    let view = a.engine.log_view().expect("a view");
    assert!(!view.knows(&good.block.cid()).expect("an answer"), "its sender is to blame, not the block");
    // A body that hashes right and is no body.
    let status = a.engine.status();
    let mut draft =
        Draft { rules: RULES, seq: 1, prev: None, parents: status.heads, stamp: Stamp(status.stamp.0 + 1) };
    let key = SigningKey::from_bytes(&[77; 32]);
    let mut seal_next = |rules: u32| {
        draft.rules = rules;
        let full =
            seal(draft.clone(), BodyBuilder::new().finish(), &key, Some(&a.engine.realm())).expect("a block");
        (draft.seq, draft.prev, draft.parents) = (draft.seq + 1, Some(full.cid()), Vec::new());
        draft.stamp = Stamp(draft.stamp.0 + 1);
        Received { block: RawBlock(full.bytes().to_vec()).decode().expect("a block"), bodies: Vec::new() }
    };
    let (bad, behind) = (seal_next(7), seal_next(RULES));
    let arrived = a.engine.ingest(vec![bad.clone(), behind.clone()]).block();
    assert_eq!((arrived.refused.len(), arrived.waiting), (2, 0));
    assert!(arrived.refused[1].1.contains("builds on"), "{arrived:?}");
    assert_eq!(arrived.refused_rules, Some(RULES));
    for block in [&bad, &behind] {
        assert!(view.knows(&block.block.cid()).expect("an answer"));
    }
    assert_eq!(a.engine.ingest(vec![bad]).block().known, 1);
    assert_eq!(a.engine.ingest(vec![good]).block().applied.len(), 1);
    still_works(&a);
}

#[test]
fn two_deletes_of_one_row_are_one_and_its_key_may_come_back() {
    let (a, b) = two();
    a.session().run("DELETE FROM d.t WHERE id = 1");
    b.session().run("DELETE FROM d.t WHERE id = 1");
    converge(&[&a, &b]);
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM d.t"), ["0"]);
    a.session().run("INSERT INTO d.t VALUES (1, 1)");
    converge(&[&a, &b]);
    assert_eq!(b.session().rows("SELECT id, v FROM d.t"), ["1|1"]);
}

#[test]
fn a_block_that_waits_is_known_but_not_held() {
    let (a, b) = two();
    b.session().run("INSERT INTO d.t VALUES (2, 20); INSERT INTO d.t VALUES (3, 30)");
    let mut blocks = a.missing_from(&b);
    let first = blocks.remove(0);
    let late: Vec<_> = blocks.iter().map(|r| r.block.cid()).collect();
    assert!(!late.is_empty());
    assert_eq!(a.engine.ingest(blocks).block().waiting, late.len());
    let view = a.engine.log_view().expect("a view of the log");
    for cid in &late {
        assert_eq!((view.knows(cid).expect("an answer"), view.holds(cid).expect("an answer")), (true, false));
    }
    assert_eq!(a.engine.ingest(vec![first]).block().applied.len(), late.len() + 1);
    let view = a.engine.log_view().expect("a view of the log");
    for cid in &late {
        assert_eq!((view.knows(cid).expect("an answer"), view.holds(cid).expect("an answer")), (true, true));
    }
}

#[test]
fn members_have_their_own_names_and_say_who_is_connected() {
    let (a, b) = two();
    let mut s = a.session();
    let members = "SELECT name, self, connected FROM p2pdb.members ORDER BY name";
    assert_eq!(s.rows(members), ["founder|1|0", "node2|0|0"]);
    a.engine.set_connected(b.engine.node(), true);
    assert_eq!(s.rows(members), ["founder|1|0", "node2|0|1"]);
    a.engine.set_connected(b.engine.node(), false);
    assert_eq!(s.rows(members), ["founder|1|0", "node2|0|0"]);
    assert_eq!(b.session().rows(members), ["founder|0|0", "node2|1|0"]);
}

const DRAW: &str = "INSERT INTO d.n (v) VALUES ('new')";

/// A node and another that wait for nothing any more, with a table whose ids are drawn.
fn two_that_draw() -> (Node, Node) {
    let (a, b) = two();
    a.session().run("CREATE TABLE d.n (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)");
    converge(&[&a, &b]);
    b.session().run(DRAW);
    (a, b)
}

/// What it wrote after the backup is on no peer that it reaches: it must not draw the same values again.
#[test]
fn a_restored_node_draws_no_ids_before_others_have_dealt_it_new_ones() {
    let (a, b) = two_that_draw();
    let backup = a.path().join("backup.db");
    b.engine.backup(&backup).expect("a backup");
    b.session().run(DRAW);
    b.session().run(DRAW);
    let lost = a.missing_from(&b);
    let c = b.restored_from(&backup);
    assert_eq!(c.session().error(DRAW), 1467);
    c.session().run("INSERT INTO d.n VALUES (1000000, 'given')");
    assert!(a.engine.without_ids().expect("an answer").is_empty(), "nothing was heard of it");
    a.fetch(&c);
    assert_eq!(a.engine.without_ids().expect("an answer"), [c.engine.node()]);
    a.engine.deal_ids(c.engine.node()).expect("a deal");
    assert!(a.engine.without_ids().expect("an answer").is_empty());
    assert_eq!(c.session().error(DRAW), 1467);
    c.fetch(&a);
    c.session().run(DRAW);
    // Somebody finds the old disk.
    a.engine.ingest(lost);
    converge(&[&a, &c]);
    assert_eq!(a.session().rows("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.n"), ["5|5"]);
    assert_eq!(a.session().rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
    // A start does not forget it, nor makes it wait again.
    let c = c.restart();
    c.session().run(DRAW);
}

#[test]
fn a_node_that_lost_count_says_so_by_itself_and_deals_to_nobody() {
    let (a, b) = two_that_draw();
    let backup = a.path().join("backup.db");
    b.engine.backup(&backup).expect("a backup");
    let c = b.restored_from(&backup);
    assert!(c.engine.has_to_tell_lost_count());
    c.engine.tell_lost_count().expect("a block");
    assert!(!c.engine.has_to_tell_lost_count());
    assert!(c.engine.deal_ids(a.engine.node()).is_err());
    a.fetch(&c);
    a.engine.deal_ids(c.engine.node()).expect("a deal");
    c.fetch(&a);
    c.session().run(DRAW);
}

/// Whom it admits meanwhile is a member, without values.
#[test]
fn a_node_that_lost_count_deals_nothing_to_those_that_it_admits() {
    let (a, b) = two_that_draw();
    let backup = a.path().join("backup.db");
    b.engine.backup(&backup).expect("a backup");
    let b = b.restored_from(&backup);
    let c = a.invite_to(&b, 3, Role::Writer);
    c.session().run("INSERT INTO d.n VALUES (1000000, 'given')");
    assert_eq!(c.session().error(DRAW), 1467);
    a.fetch(&c);
    let mut without = [b.engine.node(), c.engine.node()];
    without.sort_unstable();
    assert_eq!(a.engine.without_ids().expect("an answer"), without[..]);
    for node in without {
        a.engine.deal_ids(node).expect("a deal");
    }
    for node in [&b, &c] {
        node.fetch(&a);
        node.session().run(DRAW);
    }
    converge(&[&a, &b, &c]);
    assert!(a.engine.without_ids().expect("an answer").is_empty());
    assert_eq!(a.session().rows("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.n"), ["4|4"]);
}

/// What becomes of the values that it came with decides nothing about a member.
#[test]
fn a_member_whose_values_came_from_one_that_is_removed_stays_and_is_dealt_others() {
    let (a, d) = two_that_draw();
    let c = a.join(3);
    c.engine.deal_ids(d.engine.node()).expect("a deal");
    d.fetch(&c);
    let e = a.invite_to(&d, 4, Role::Writer);
    e.session().run(DRAW);
    d.session().run(DRAW);
    // It knows nothing of that deal.
    a.engine.remove_member(c.engine.node()).expect("a removal");
    converge(&[&a, &d, &e]);
    assert_eq!(e.engine.role(), Some(Role::Writer));
    assert_eq!(e.session().error(DRAW), 1467);
    let mut s = a.session();
    assert_eq!(s.rows("SELECT reason FROM p2pdb.voided"), ["void: written beyond the author's removal"]);
    assert_eq!(s.rows("SELECT COUNT(*) FROM d.n"), ["3"], "what they wrote stays");
    for node in [&a, &d] {
        assert_eq!(node.engine.without_ids().expect("an answer"), [e.engine.node()]);
    }
    d.session().run(DRAW);
    a.engine.deal_ids(e.engine.node()).expect("a deal");
    e.fetch(&a);
    e.session().run(DRAW);
    converge(&[&a, &d, &e]);
    assert_eq!(s.rows("SELECT COUNT(*), COUNT(DISTINCT id) FROM d.n"), ["5|5"]);
    assert_eq!(s.rows("SELECT COUNT(*) FROM p2pdb.conflicts"), ["0"]);
    support::verified(&[&a, &d, &e]);
}

/// Whether others have joined since the backup, it cannot know.
#[test]
fn a_restored_node_that_knows_no_other_writer_draws_when_somebody_says_that_nothing_is_lost() {
    let a = Node::begin(1);
    for sql in ["CREATE DATABASE d", "CREATE TABLE d.n (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)", DRAW] {
        a.session().run(sql);
    }
    let elsewhere = TestDir::new();
    let backup = elsewhere.0.join("backup.db");
    a.engine.backup(&backup).expect("a backup");
    let a = a.restored_from(&backup);
    a.engine.tell_lost_count().expect("a block");
    assert_eq!(a.session().error(DRAW), 1467);
    assert_eq!(a.session().error("CALL p2pdb.keep_ids(1)"), 1318);
    a.session().run("CALL p2pdb.keep_ids()");
    a.session().run(DRAW);
    let a = a.restart();
    a.session().run(DRAW);
    assert_eq!(a.session().rows("SELECT id FROM d.n ORDER BY id"), ["1", "2", "3"]);
}

#[test]
fn a_block_that_a_node_has_lost_shows_that_a_stranger_was_given_its_log() {
    let a = Node::begin(1);
    a.session().run("CREATE DATABASE d");
    let elsewhere = TestDir::new();
    let backup = elsewhere.0.join("backup.db");
    a.engine.backup(&backup).expect("a backup");
    let b = a.join(2);
    let held = b.engine.witness_for(a.engine.node()).expect("read").expect("a block");
    assert!(!a.engine.is_lost_block(held.clone()).expect("read"), "nothing is lost");
    let a = a.restored_from(&backup);
    assert!(a.engine.is_lost_block(held.clone()).expect("read"));
    // One that it holds again, one of another's, and one that somebody has touched, say nothing.
    let known = b.engine.witness_for(a.engine.node()).expect("read").expect("a block");
    a.fetch(&b);
    assert!(!a.engine.is_lost_block(known).expect("read"), "it came back");
    b.session().run("CREATE TABLE d.t (id INT)");
    let others = b.engine.witness_for(b.engine.node()).expect("read").expect("a block");
    let mut forged = held.clone();
    *forged.last_mut().expect("a signature") ^= 1;
    for envelope in [others, forged, Vec::new(), vec![0x82; 200]] {
        assert!(!a.engine.is_lost_block(envelope).expect("read"));
    }
}

/// What waits is counted when the whole file is read: a block that came early has not waited for anything that is missing.
#[test]
fn an_import_in_any_order_counts_what_still_waits_at_its_end() {
    let (a, b) = two();
    for id in 2..=6 {
        b.session().run(&format!("INSERT INTO d.t VALUES ({id}, 0)"));
    }
    let mut car = Vec::new();
    b.engine.export_car(&mut car, |_, _| ()).expect("an export");
    let mut reader = CarReader::new(car.as_slice()).expect("a CAR file");
    let roots = reader.roots().to_vec();
    let mut sections: Vec<_> = reader.by_ref().collect::<Result<_, _>>().expect("sections");
    sections.reverse();
    let written = |sections: &[(Cid, Vec<u8>)]| {
        let mut out = CarWriter::new(Vec::new(), &roots).expect("a CAR file");
        sections.iter().for_each(|(cid, bytes)| out.write(cid, bytes).expect("written"));
        out.finish().expect("written")
    };
    let envelope = |section: &(Cid, Vec<u8>)| RawBlock(section.1.clone()).decode().is_ok();
    let late = sections.iter().rposition(|s| envelope(s) && s.0 == a.missing_from(&b)[0].block.cid());
    let mut without = sections.clone();
    without.remove(late.expect("the first block of the five"));
    let import = |car: Vec<u8>| a.engine.import_car(car.as_slice(), |_| ()).expect("an import");

    let report = import(written(&without));
    assert_eq!((report.applied.len(), report.waiting), (0, 4), "{report:?}");
    let report = import(written(&sections));
    assert_eq!((report.applied.len(), report.waiting), (5, 0), "{report:?}");
    assert_eq!(a.fingerprint(), b.fingerprint());
}
