//! A realm that goes over to newer rules, seen by programs that know them and by one that does not. "Knowing" is a
//! number of the engine's configuration here: no second set of rules exists yet.

mod support;

use p2pdb_block::{BodyBuilder, BuiltBody, Draft, RawBlock, SigningKey, seal};
use p2pdb_engine::Status;
use p2pdb_model::change::AccessChange;
use p2pdb_model::{AccountId, Change, Stamp, ValueRef};
use p2pdb_sync::Received;
use support::{Node, converge};

/// What the programs know that are newer.
const NEWER: u32 = 2;

/// An owner and two writers with a table: `a` and `c` know the newer rules, `b` does not.
fn realm() -> (Node, Node, Node) {
    let a = Node::begin(1).restart_knowing(NEWER);
    a.session().run(
        "CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v INT); INSERT INTO d.t VALUES (1, 10)",
    );
    let b = a.join(2);
    let c = a.join(3).restart_knowing(NEWER);
    converge(&[&a, &b, &c]);
    (a, b, c)
}

fn store(file: std::path::PathBuf) -> p2pdb_store::Writer {
    p2pdb_store::Writer::open(&p2pdb_store::Options::new(file)).expect("the store")
}

fn rows(node: &Node) -> Vec<String> {
    node.session().rows("SELECT id, v FROM d.t ORDER BY id")
}

fn status(node: &Node) -> Status {
    node.engine.status()
}

fn is_sound(node: &Node) {
    let report = node.engine.verify(&mut |_| std::ops::ControlFlow::Continue(())).expect("a report");
    assert!(report.is_clean(), "{report:?}");
}

/// A block on top of everything that `node` holds.
fn block(node: &Node, key: &SigningKey, rules: u32, body: BuiltBody) -> Received {
    let at = status(node);
    let draft = Draft { rules, seq: 1, prev: None, parents: at.heads, stamp: Stamp(at.stamp.0 + 1) };
    let full = seal(draft, body, key, Some(&node.engine.realm())).expect("a block");
    Received {
        block: RawBlock(full.bytes().to_vec()).decode().expect("a block"),
        bodies: full.parts().iter().map(|p| p.bytes.clone()).collect(),
    }
}

/// `b` writes while it does not know of the switch; after it has met `a` it stops, and serves what it cannot read.
#[test]
fn a_program_that_does_not_know_the_rules_keeps_serves_and_says_so_until_a_newer_one_takes_over() {
    let (a, b, c) = realm();
    a.engine.switch_rules(NEWER).expect("an owner switches");
    a.session().run("INSERT INTO d.t VALUES (2, 20); UPDATE d.t SET v = 11 WHERE id = 1");
    b.session().run("INSERT INTO d.t VALUES (3, 30)");

    b.fetch(&a);
    assert_eq!(rows(&b), ["1|10", "3|30"], "nothing behind the switch is applied");
    let stopped = status(&b);
    assert_eq!(stopped.kept_blocks, 2);
    let why = stopped.refuses_writes.expect("a reason");
    assert!(why.contains("rules 2") && why.contains("newer p2pdb-node"), "{why}");
    assert_eq!(b.session().error("INSERT INTO d.t VALUES (4, 40)"), 1290);
    assert!(b.engine.switch_rules(NEWER).is_err());
    assert_eq!(b.session().rows("SELECT COUNT(*) FROM d.t"), ["2"], "reading goes on");
    assert!(b.engine.log(2).expect("the log").iter().all(|e| e.kept));
    is_sound(&b);

    // What it keeps it gives to others; `c` never meets `a`.
    c.fetch(&b);
    assert_eq!(rows(&c), ["1|11", "2|20", "3|30"]);
    c.session().run("INSERT INTO d.t VALUES (5, 50)");
    b.fetch(&c);
    let (mut car, held) = (Vec::new(), status(&b).blocks);
    assert_eq!(b.engine.export_car(&mut car, |_, _| ()).expect("an export"), held);
    assert_eq!(a.engine.import_car(car.as_slice(), |_| ()).expect("an import").applied.len(), 2);
    assert_eq!(a.fingerprint(), c.fingerprint());
    assert_eq!(status(&a).frontier_digest, status(&b).frontier_digest, "what is kept is held");
    assert_ne!(status(&a).fingerprint, status(&b).fingerprint);
    let proof = p2pdb_sync::BlockSource::state(&b.engine.log_view().expect("a view")).expect("a state");
    assert_eq!(proof, None, "tables that are behind their frontier prove nothing against others");

    let b = b.restart();
    assert_eq!((rows(&b), status(&b).kept_blocks), (vec!["1|10".to_owned(), "3|30".to_owned()], 3));
    assert_eq!(b.session().error("INSERT INTO d.t VALUES (4, 40)"), 1290);
    is_sound(&b);

    let b = b.restart_knowing(NEWER);
    assert_eq!(b.fingerprint(), a.fingerprint());
    assert_eq!((status(&b).kept_blocks, status(&b).refuses_writes), (0, None));
    b.session().run("INSERT INTO d.t VALUES (4, 40)");
    converge(&[&a, &b, &c]);
    for node in [&a, &b, &c] {
        is_sound(node);
    }
    assert_eq!(rows(&a), ["1|11", "2|20", "3|30", "4|40", "5|50"]);
}

/// A block written before its author heard of the switch is under the older rules, wherever it arrives.
#[test]
fn blocks_beside_the_switch_are_under_the_rules_that_their_author_knew_of() {
    let (a, b, c) = realm();
    a.engine.switch_rules(NEWER).expect("an owner switches");
    c.session().run("INSERT INTO d.t VALUES (3, 30)");
    b.fetch(&a);
    assert_eq!(b.session().error("INSERT INTO d.t VALUES (4, 40)"), 1290);
    b.fetch(&c);
    assert_eq!(rows(&b), ["1|10", "3|30"], "it is read, and nothing under newer rules has come yet");
    a.fetch(&c);
    assert_eq!(rows(&a), ["1|10", "3|30"]);
    a.session().run("INSERT INTO d.t VALUES (2, 20)");
    c.session().run("UPDATE d.t SET v = 31 WHERE id = 3");
    b.fetch(&a);
    b.fetch(&c);
    assert_eq!(rows(&b), ["1|10", "3|30"], "from then on no block is applied, whatever its rules");
    assert_eq!(status(&b).kept_blocks, 2);
    let b = b.restart_knowing(NEWER);
    converge(&[&a, &b, &c]);
    is_sound(&b);
}

#[test]
fn a_switch_is_an_owners_and_goes_forward_to_what_the_program_knows() {
    let (a, _b, c) = realm();
    let refused = |node: &Node, rules: u32| node.engine.switch_rules(rules).expect_err("refused").to_string();
    assert!(refused(&a, 1).contains("not the next"), "{}", refused(&a, 1));
    assert!(refused(&a, 3).contains("up to 2"), "{}", refused(&a, 3));
    assert!(refused(&c, 2).contains("owner"), "{}", refused(&c, 2));
    a.engine.switch_rules(2).expect("an owner switches");
    assert!(refused(&a, 2).contains("not the next"));
}

/// Otherwise any member could stop every node with one block.
#[test]
fn a_block_under_rules_that_its_past_has_not_switched_on_is_refused_by_every_program() {
    let (a, b, c) = realm();
    let mut body = BodyBuilder::new();
    // Nobody's account, no member: void, so it switches nothing.
    let switch = Change::Access(AccessChange::Rules { rules: NEWER });
    body.push(AccountId::from_slice(&[7; 16]).expect("16 bytes"), &[], vec![switch]).expect("a body");
    let void = block(&a, &SigningKey::from_bytes(&[77; 32]), 1, body.finish());
    for node in [&a, &b, &c] {
        assert_eq!(node.engine.ingest(vec![void.clone()]).block().applied.len(), 1);
        assert_eq!(status(node).refuses_writes, None);
    }
    let forged = block(&a, &SigningKey::from_bytes(&[78; 32]), NEWER, BuiltBody::default());
    for node in [&a, &b, &c] {
        let arrived = node.engine.ingest(vec![forged.clone()]).block();
        assert_eq!((arrived.applied.len(), arrived.refused.len()), (0, 1));
        assert!(arrived.refused[0].1.contains("under rules 2"), "{:?}", arrived.refused);
        node.session().run("UPDATE d.t SET v = v + 1");
    }
    a.engine.switch_rules(NEWER).expect("an owner switches");
    let late = block(&a, &SigningKey::from_bytes(&[79; 32]), 1, BuiltBody::default());
    let arrived = a.engine.ingest(vec![late]).block();
    assert!(arrived.refused[0].1.contains("under rules 1"), "older rules do not come back: {arrived:?}");
}

/// What is written upon a switch of an owner who was removed stops nobody who knows of the removal.
#[test]
fn a_removed_owner_stops_nobody_with_a_switch_from_before_its_removal() {
    let (a, b, c) = realm();
    let d = a.join_as(4, p2pdb_model::change::Role::Owner).restart_knowing(NEWER);
    a.engine.remove_member(d.engine.node()).expect("an owner removes");
    b.fetch(&a);
    d.engine.switch_rules(NEWER).expect("it does not know yet");
    d.session().run("INSERT INTO d.t VALUES (66, 66)");
    for block in b.missing_from(&d) {
        let arrived = b.engine.ingest(vec![block]).block();
        assert_eq!(arrived.fault, None);
    }
    assert_eq!((status(&b).kept_blocks, status(&b).refuses_writes), (0, None));
    b.session().run("INSERT INTO d.t VALUES (2, 20)");
    // Who knows the rules takes all of it, and it counts nowhere.
    a.fetch(&d);
    a.fetch(&b);
    assert_eq!(rows(&a), ["1|10", "2|20"]);
    let b = b.restart_knowing(NEWER);
    converge(&[&a, &b, &c]);
    for node in [&a, &b, &c] {
        is_sound(node);
    }
}

/// A block that ties heads names a part of them, and may stand before the switch.
#[test]
fn blocks_that_tie_many_heads_are_under_the_rules_of_those_that_they_name() {
    let (a, b, c) = realm();
    let stranger =
        |n: u16| SigningKey::from_bytes(&[n.to_be_bytes(); 16].concat().try_into().expect("32 bytes"));
    let heads: Vec<Received> = (0..500).map(|n| block(&a, &stranger(n), 1, BuiltBody::default())).collect();
    a.engine.switch_rules(NEWER).expect("an owner switches");
    // The switch is one head among many, and not the node's own last block.
    assert_eq!(c.engine.ingest(heads).block().applied.len(), 500);
    c.fetch(&a);
    c.session().run("INSERT INTO d.t VALUES (2, 20)");
    a.fetch(&c);
    assert_eq!(rows(&a), ["1|10", "2|20"]);
    is_sound(&c);
    b.fetch(&a);
    let b = b.restart_knowing(NEWER);
    converge(&[&a, &b, &c]);
    is_sound(&b);
}

/// What was kept unread may prove to be no block at all once it can be read.
#[test]
fn a_kept_block_that_the_newer_program_refuses_is_left_out() {
    let (a, b, c) = realm();
    a.engine.switch_rules(NEWER).expect("an owner switches");
    b.fetch(&a);
    a.session().run("INSERT INTO d.t VALUES (6, 60)");
    b.fetch(&a);
    let wrong = block(&b, &SigningKey::from_bytes(&[78; 32]), 9, BuiltBody::default());
    assert_eq!(b.engine.ingest(vec![wrong.clone()]).block().applied.len(), 1, "it cannot tell");
    assert_eq!(a.engine.ingest(vec![wrong]).block().refused.len(), 1);
    a.session().run("INSERT INTO d.t VALUES (2, 20)");
    b.fetch(&a);
    assert_eq!(status(&b).kept_blocks, 3);
    let b = b.restart_knowing(NEWER);
    assert_eq!(b.fingerprint(), a.fingerprint());
    converge(&[&a, &b, &c]);
    is_sound(&b);
}

/// The newer program is killed after it has cut the kept blocks off the log, before it has taken them in.
#[test]
fn a_crash_while_kept_blocks_are_taken_in_loses_none() {
    let (a, b, c) = realm();
    a.engine.switch_rules(NEWER).expect("an owner switches");
    a.session().run("INSERT INTO d.t VALUES (2, 20)");
    b.fetch(&a);
    let b = b.restart_after(|file| {
        let mut db = store(file);
        let kept = db.kept().expect("a note").expect("something is kept");
        db.begin().expect("a transaction");
        db.cut_kept(&kept).expect("cut off");
        db.commit().expect("a commit");
    });
    // Even the older program may come in between.
    assert_eq!(status(&b).kept_blocks, 1);
    let b = b.restart_knowing(NEWER);
    assert_eq!(b.fingerprint(), a.fingerprint());
    converge(&[&a, &b, &c]);
    is_sound(&b);
}

/// The newer program was killed while it took kept blocks in, then the older one came between and was killed, too: a part of
/// the blocks is in the log again, and a part waits.
#[test]
fn two_programs_that_are_killed_in_turn_lose_no_kept_block() {
    let (a, b, c) = realm();
    a.engine.switch_rules(NEWER).expect("an owner switches");
    for n in 2..5 {
        a.session().run(&format!("INSERT INTO d.t VALUES ({n}, 0)"));
    }
    b.fetch(&a);
    let mut rest = Vec::new();
    let b = b.restart_after(|file| {
        let mut db = store(file);
        let kept = db.kept().expect("a note").expect("something is kept");
        db.begin().expect("a transaction");
        db.cut_kept(&kept).expect("cut off");
        rest = db.cut_blocks(usize::MAX).expect("blocks").split_off(1);
        for block in &rest {
            let no = block.no.0 as i64;
            db.execute("DELETE FROM kept WHERE no = ?1", [ValueRef::Int(no)]).expect("set aside");
            let bodies = [no * 128, no * 128 + 127].map(ValueRef::Int);
            db.execute("DELETE FROM kept_body WHERE no BETWEEN ?1 AND ?2", bodies).expect("set aside");
        }
        db.commit().expect("a commit");
    });
    assert_eq!(status(&b).kept_blocks, 1);
    let b = b.restart_after(|file| {
        let mut db = store(file);
        db.begin().expect("a transaction");
        let tables =
            "CREATE TABLE kept (no INTEGER PRIMARY KEY, checked INTEGER NOT NULL, envelope BLOB NOT NULL);
            CREATE TABLE kept_body (no INTEGER PRIMARY KEY, bytes BLOB NOT NULL);";
        db.execute_batch(tables).expect("tables");
        for block in &rest {
            let no = block.no.0 as i64;
            let row = [ValueRef::Int(no), ValueRef::Int(1), ValueRef::Blob(&block.envelope)];
            db.execute("INSERT INTO kept VALUES (?1, ?2, ?3)", row).expect("back again");
            for (i, body) in block.bodies.iter().enumerate() {
                // Bodies are numbered by 128 a block.
                let row = [ValueRef::Int(no * 128 + i as i64), ValueRef::Blob(body)];
                db.execute("INSERT INTO kept_body VALUES (?1, ?2)", row).expect("back again");
            }
        }
        db.commit().expect("a commit");
    });
    let b = b.restart_knowing(NEWER);
    assert_eq!(b.fingerprint(), a.fingerprint());
    converge(&[&a, &b, &c]);
    is_sound(&b);
}

/// A node that joins when newer rules are in force, with a program that does not know them.
#[test]
fn a_joiner_with_an_older_program_keeps_the_whole_log() {
    let (a, _b, _c) = realm();
    a.engine.switch_rules(NEWER).expect("an owner switches");
    let d = a.join(4);
    assert_eq!(status(&d).kept_blocks, 2, "its own admission came after the switch");
    let d = d.restart_knowing(NEWER);
    converge(&[&a, &d]);
    d.session().run("INSERT INTO d.t VALUES (9, 90)");
    is_sound(&d);
}
