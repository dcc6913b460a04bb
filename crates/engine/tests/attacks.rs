//! What a member may try with blocks that no correct node makes, and what comes of it (`docs/security.md`, section 10). Mallory's
//! node is a member that writes; her account `lab` may read all, and insert results. She holds her keys and says what she likes.
//!
//! In each story nothing that an honest node shows has changed, the honest work beside it is there, all nodes agree, and
//! `verify` finds nothing. Attacks on the protocol are in `node/tests/faults/hostile_peers.rs` and `crates/sync/tests/offences.rs`.

mod support;

use p2pdb_access::{admission_signature, delegation};
use p2pdb_block::sign::{node_id, public_key};
use p2pdb_block::{BodyBuilder, Draft, FullBlock, RawBlock, SigningKey, seal};
use p2pdb_engine::Invitation;
use p2pdb_model::change::{AccessChange, Delegate, Layout, Rights, Role, RowChange, SchemaChange};
use p2pdb_model::ids::{ObjectKind, PublicKey};
use p2pdb_model::{
    AccountId, CellEdit, Change, Cid, ColumnTag, NodeId, ObjectId, Privileges, RULES, RowKey, Stamp, Value,
};
use p2pdb_sql::account::AccountName;
use p2pdb_sync::Received;
use support::*;

/// What comes of a block.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Every node refuses it, with these words.
    Refused(&'static str),
    /// It stands in the log and counts nowhere, for this reason.
    Void(&'static str),
    /// It waits, and is not in the log.
    Waits,
    /// It counts, and nothing shows of it that the author was not granted.
    Harmless,
}
use Outcome::*;

struct World {
    /// The clinic: began the realm.
    a: Node,
    /// Another honest member.
    b: Node,
    /// Mallory's key.
    key: SigningKey,
    root: AccountId,
    lab: AccountId,
    lab_key: SigningKey,
    /// Of a ticket that admits one node alone, which has not come yet.
    ticket: SigningKey,
    db: ObjectId,
    /// What the clinic held when all this was granted: its stamp and heads.
    granted: (Stamp, Vec<Cid>),
}

fn tag(table: ObjectId, column: &str) -> ColumnTag {
    ObjectId::derive(ObjectKind::Column, table, column, None).tag()
}

fn received(block: &FullBlock) -> Received {
    Received {
        block: RawBlock(block.bytes().to_vec()).decode().expect("a block"),
        bodies: block.parts().iter().map(|p| p.bytes.clone()).collect(),
    }
}

/// The same block with its envelope changed.
fn bent(block: &FullBlock, bend: impl FnOnce(&mut Vec<u8>)) -> Vec<Received> {
    let mut bytes = block.bytes().to_vec();
    bend(&mut bytes);
    vec![Received { block: RawBlock(bytes).decode().expect("it decodes"), ..received(block) }]
}

impl World {
    fn new() -> World {
        let a = Node::begin(1);
        a.session().run(
            "CREATE DATABASE clinic; USE clinic;
             CREATE TABLE patient (id INT PRIMARY KEY, name VARCHAR(20) UNIQUE, phone VARCHAR(20));
             CREATE TABLE result (id INT PRIMARY KEY, patient INT, value INT, code VARCHAR(9) UNIQUE, n INT COMMENT '[counter]');
             INSERT INTO patient VALUES (1, 'Ann', '11'), (2, 'Bob', '22');
             INSERT INTO result VALUES (1, 1, 70, 'A1', 0)",
        );
        let b = a.join(2);
        let m = a.join(3);
        let root = a.engine.account("root", "%").expect("root").id;
        let lab_key = SigningKey::from_bytes(&[42; 32]);
        let did = public_key(&lab_key).to_did();
        a.session().run(&format!(
            "CREATE USER lab IDENTIFIED WITH p2pdb_key AS '{did}';
             GRANT SELECT ON clinic.* TO lab; GRANT INSERT ON clinic.result TO lab"
        ));
        let name = AccountName { user: "root".to_owned(), host: "%".to_owned() };
        a.engine.withdraw_delegation(&name, m.engine.node()).expect("withdrawn");
        let lab = a.engine.account("lab", "%").expect("lab").id;
        let to = Delegate::Node(m.engine.node());
        let AccessChange::Delegate { signature, .. } =
            delegation(lab, to, None, &lab_key, Some(&a.engine.realm()))
        else {
            unreachable!("a delegation")
        };
        a.engine.delegate(lab, m.engine.node(), None, signature).expect("delegated");
        let ticket = SigningKey::from_bytes(&[43; 32]);
        let awaited = Some(NodeId([7; 32]));
        a.engine
            .invite(Invitation { node: awaited, ..Invitation::of(public_key(&ticket), Role::Writer) })
            .expect("a ticket");
        let at = a.engine.status();
        a.session().run("INSERT INTO clinic.result VALUES (2, 2, 80, 'A2', 0)");
        converge(&[&a, &b, &m]);
        let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "clinic", None);
        let key = m.node_key();
        World { a, b, key, root, lab, lab_key, ticket, db, granted: (at.stamp, at.heads) }
    }

    fn table(&self, name: &str) -> ObjectId {
        ObjectId::derive(ObjectKind::Table, self.db, name, None)
    }

    fn draft(&self) -> Draft {
        let at = self.a.engine.status();
        Draft { rules: RULES, seq: 1, prev: None, parents: at.heads, stamp: Stamp(at.stamp.0 + 1) }
    }

    fn sealed(
        &self,
        draft: Draft,
        account: AccountId,
        layouts: &[Layout],
        changes: Vec<Change>,
    ) -> FullBlock {
        let mut body = BodyBuilder::new();
        body.push(account, layouts, changes).expect("a body");
        seal(draft, body.finish(), &self.key, Some(&self.a.engine.realm())).expect("a block")
    }

    /// A block on top of all that the clinic holds.
    fn block(&self, account: AccountId, layouts: &[Layout], changes: Vec<Change>) -> FullBlock {
        self.sealed(self.draft(), account, layouts, changes)
    }

    fn rows(&self, account: AccountId, table: &str, change: RowChange, columns: &[&str]) -> Vec<Received> {
        let table = self.table(table);
        let keys = u32::from(matches!(change, RowChange::Insert { .. }));
        let layout = Layout(table, keys, columns.iter().map(|c| tag(table, c)).collect());
        vec![received(&self.block(account, &[layout], vec![Change::Row(change)]))]
    }

    fn access(&self, account: AccountId, change: AccessChange) -> Vec<Received> {
        vec![received(&self.block(account, &[], vec![Change::Access(change)]))]
    }

    fn schema(&self, change: SchemaChange) -> Vec<Received> {
        vec![received(&self.block(self.lab, &[], vec![Change::Schema(change)]))]
    }

    fn result(&self, id: i64, code: &str) -> (Layout, RowChange) {
        let table = self.table("result");
        let columns = ["id", "patient", "value", "code", "n"];
        let layout = Layout(table, 1, columns.iter().map(|c| tag(table, c)).collect());
        let values =
            vec![Value::Int(id), Value::Int(1), Value::Int(-1), Value::Text(code.to_owned()), Value::Int(0)];
        (layout, RowChange::Insert { layout: 0, key: None, generated: false, values })
    }

    /// A block of `lab` that is in order.
    fn honest(&self, draft: Draft) -> FullBlock {
        let (layout, change) = self.result(500, "M500");
        self.sealed(draft, self.lab, &[layout], vec![Change::Row(change)])
    }
}

fn key_of(id: i64) -> RowKey {
    RowKey(vec![Value::Int(id)])
}

fn put(id: ObjectId, kind: ObjectKind, parent: ObjectId, name: &str) -> SchemaChange {
    SchemaChange::Put {
        id,
        kind,
        parent,
        name: Some(name.to_owned()),
        definition: None,
        position: None,
        after: None,
    }
}

type Attack = fn(&World) -> Vec<Received>;

const ATTACKS: &[(&str, Outcome, Attack)] = &[
    ("a forged signature", Refused("signature"), |w| {
        bent(&w.honest(w.draft()), |b| *b.last_mut().expect("bytes") ^= 1)
    }),
    ("another's name on her block", Refused("signature"), |w| {
        let (own, other) = (node_id(&w.key).0, w.b.engine.node().0);
        bent(&w.honest(w.draft()), |bytes| {
            let at = bytes.windows(32).position(|x| x == own).expect("the author");
            bytes[at..at + 32].copy_from_slice(&other);
        })
    }),
    ("a body that is not the one she signed", Refused("do not hash to"), |w| {
        let mut block = received(&w.honest(w.draft()));
        *block.bodies[0].last_mut().expect("bytes") ^= 1;
        vec![block]
    }),
    ("a body that is missing", Refused("bod"), |w| {
        let mut block = received(&w.honest(w.draft()));
        block.bodies.clear();
        vec![block]
    }),
    ("a number that skips", Refused("seq"), |w| {
        let first = w.honest(w.draft());
        let later = Draft { seq: 7, prev: Some(first.cid()), stamp: Stamp(first.stamp().0 + 1), ..w.draft() };
        vec![received(&first), received(&w.honest(later))]
    }),
    ("another's chain, gone on with", Refused("another author"), |w| {
        let of = w.b.engine.log(100).expect("a log");
        let theirs = of.iter().find(|e| e.author == w.a.engine.node()).expect("a block");
        let draft = Draft { seq: theirs.seq + 1, prev: Some(theirs.cid), ..w.draft() };
        vec![received(&w.honest(draft))]
    }),
    ("a stamp before its parents'", Refused("stamp"), |w| {
        vec![received(&w.honest(Draft { stamp: Stamp(1), ..w.draft() }))]
    }),
    ("a stamp from next year", Waits, |w| {
        let next_year = Stamp::from_millis(w.draft().stamp.millis() + 365 * 86_400_000);
        vec![received(&w.honest(Draft { stamp: next_year, ..w.draft() }))]
    }),
    ("a parent that she keeps to herself", Waits, |w| {
        let first = w.honest(w.draft());
        let next = Draft {
            seq: 2,
            prev: Some(first.cid()),
            parents: Vec::new(),
            stamp: Stamp(first.stamp().0 + 1),
            ..w.draft()
        };
        vec![received(&w.honest(next))]
    }),
    ("an account that is not there", Void("the account does not exist"), |w| {
        let (layout, change) = w.result(500, "M");
        let nobody = AccountId::from_slice(&[7; 16]).expect("16 bytes");
        vec![received(&w.block(nobody, &[layout], vec![Change::Row(change)]))]
    }),
    ("root's name without its delegation", Void("taken back"), |w| {
        w.rows(w.root, "patient", RowChange::Delete { layout: 0, key: key_of(1), cause: None }, &[])
    }),
    ("a delegation of root's that she signs herself", Void("not signed by the account"), |w| {
        let to = Delegate::Node(node_id(&w.key));
        w.access(w.lab, delegation(w.root, to, None, &w.key, Some(&w.a.engine.realm())))
    }),
    ("a delegation of root's that lab's key signs", Void("not signed by the account"), |w| {
        let to = Delegate::Node(node_id(&w.key));
        w.access(w.lab, delegation(w.root, to, None, &w.lab_key, Some(&w.a.engine.realm())))
    }),
    ("a new row where she may not insert", Void("not granted"), |w| {
        let values = vec![Value::Int(3), Value::Text("Eve".to_owned()), Value::Null];
        let change = RowChange::Insert { layout: 0, key: None, generated: false, values };
        w.rows(w.lab, "patient", change, &["id", "name", "phone"])
    }),
    ("another value", Void("not granted"), |w| {
        let values = vec![Value::Int(99)];
        w.rows(
            w.lab,
            "result",
            RowChange::Update { layout: 0, key: key_of(1), values, cause: None },
            &["value"],
        )
    }),
    ("another value as the effect of something that she may do", Void("not granted"), |w| {
        let (layout, insert) = w.result(500, "M");
        let table = w.table("result");
        let value = Layout(table, 0, vec![tag(table, "value")]);
        let effect =
            RowChange::Update { layout: 1, key: key_of(1), values: vec![Value::Int(99)], cause: Some(0) };
        vec![received(&w.block(w.lab, &[layout, value], vec![Change::Row(insert), Change::Row(effect)]))]
    }),
    ("an increment of a counter", Void("not granted"), |w| {
        let edits = vec![CellEdit::Add(Value::Int(5))];
        w.rows(w.lab, "result", RowChange::Edit { layout: 0, key: key_of(1), edits }, &["n"])
    }),
    ("a row that goes", Void("not granted"), |w| {
        w.rows(w.lab, "result", RowChange::Delete { layout: 0, key: key_of(1), cause: None }, &[])
    }),
    ("something permitted with something that is not, in one transaction", Void("not granted"), |w| {
        let (layout, insert) = w.result(500, "M");
        let table = w.table("patient");
        let second = Layout(table, 0, Vec::new());
        let delete = RowChange::Delete { layout: 1, key: key_of(1), cause: None };
        vec![received(&w.block(w.lab, &[layout, second], vec![Change::Row(insert), Change::Row(delete)]))]
    }),
    ("an insert used as an update", Harmless, |w| {
        let (layout, change) = w.result(1, "ZZ");
        vec![received(&w.block(w.lab, &[layout], vec![Change::Row(change)]))]
    }),
    ("a backdated insert, to win a unique value", Harmless, |w| {
        // As if she had not seen that A2 is taken.
        let (layout, change) = w.result(500, "A2");
        let draft = Draft { parents: w.granted.1.clone(), stamp: Stamp(w.granted.0.0 + 1), ..w.draft() };
        vec![received(&w.sealed(draft, w.lab, &[layout], vec![Change::Row(change)]))]
    }),
    ("a table of hers in the clinic's database", Void("not granted"), |w| {
        let id = ObjectId::derive(ObjectKind::Table, w.db, "mine", None);
        w.schema(put(id, ObjectKind::Table, w.db, "mine"))
    }),
    ("a database", Void("not granted"), |w| {
        let id = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "mine", None);
        w.schema(put(id, ObjectKind::Database, ObjectId::ROOT, "mine"))
    }),
    ("a table that goes", Void("not granted"), |w| w.schema(SchemaChange::Drop { id: w.table("patient") })),
    ("another name for a table", Void("not granted"), |w| {
        w.schema(put(w.table("patient"), ObjectKind::Table, w.db, "mine"))
    }),
    ("a column that goes", Void("not granted"), |w| {
        let table = w.table("patient");
        w.schema(SchemaChange::Drop { id: ObjectId::derive(ObjectKind::Column, table, "phone", None) })
    }),
    ("a grant to herself", Void("may not give"), |w| {
        let (to, rights) = (w.lab, Rights::whole(Privileges::UPDATE));
        w.access(
            w.lab,
            AccessChange::Grant { to, on: Some(w.table("result")), rights, until_ms: None, history: true },
        )
    }),
    ("everything, to herself", Void("may not give"), |w| {
        let (to, rights) = (w.lab, Rights::whole(Privileges::EVERY));
        w.access(w.lab, AccessChange::Grant { to, on: None, rights, until_ms: None, history: true })
    }),
    ("a revocation of root's rights", Void("may not give"), |w| {
        let rights = Rights::whole(Privileges::EVERY);
        w.access(w.lab, AccessChange::Revoke { from: w.root, on: None, rights, keep: None })
    }),
    ("an account with all privileges", Void("all privileges"), |w| {
        let key = public_key(&w.key);
        let id = AccountId::derive("eve", "%", &key);
        let (name, host) = ("eve".to_owned(), "%".to_owned());
        w.access(w.lab, AccessChange::Account { id, name, host, key, owner: true })
    }),
    ("an account under another one's id", Void(""), |w| {
        let key = public_key(&w.key);
        let (name, host) = ("root".to_owned(), "%".to_owned());
        w.access(w.lab, AccessChange::Account { id: w.root, name, host, key, owner: false })
    }),
    ("a key of hers for root", Void("not granted"), |w| {
        w.access(w.lab, AccessChange::AddKey { account: w.root, key: public_key(&w.key) })
    }),
    ("the end of root", Void(""), |w| {
        w.access(w.lab, AccessChange::DropAccount { account: w.root, keep: None })
    }),
    ("a ticket for her friends", Void("only an owner"), |w| {
        let (key, role) = (PublicKey([9; 32]), Role::Writer);
        w.access(w.lab, AccessChange::Ticket { key, role, expires_ms: None, uses: 100, node: None })
    }),
    ("a friend without a ticket", Void("only an owner"), |w| w.access(w.lab, admit(NodeId([8; 32]), None))),
    ("a friend with a ticket that she has made up", Void("ticket"), |w| {
        w.access(w.lab, admit(NodeId([8; 32]), Some((PublicKey([9; 32]), vec![1; 64]))))
    }),
    ("a friend with a ticket that is for somebody else", Void("for another node"), |w| {
        let friend = NodeId([8; 32]);
        let signature = admission_signature(&w.ticket, &w.a.engine.realm(), &friend);
        w.access(w.lab, admit(friend, Some((public_key(&w.ticket), signature))))
    }),
    ("the clinic's removal", Void("only an owner"), |w| {
        w.access(w.lab, AccessChange::Remove { node: w.a.engine.node(), seen: Vec::new() })
    }),
    ("newer rules", Void("only an owner"), |w| w.access(w.lab, AccessChange::Rules { rules: RULES + 1 })),
    ("a second genesis", Void("genesis"), |w| {
        w.access(w.lab, AccessChange::Genesis { name: "mine".to_owned(), nonce: [1; 16] })
    }),
    ("two histories", Harmless, |w| {
        let one = w.honest(w.draft());
        let (layout, change) = w.result(501, "M501");
        let two = w.sealed(w.draft(), w.lab, &[layout], vec![Change::Row(change)]);
        let next = |prev: &FullBlock, id: i64, code: &str| {
            let (layout, change) = w.result(id, code);
            let stamp = Stamp(prev.stamp().0 + 1);
            let draft = Draft { seq: 2, prev: Some(prev.cid()), parents: Vec::new(), stamp, ..w.draft() };
            w.sealed(draft, w.lab, &[layout], vec![Change::Row(change)])
        };
        let (left, right) = (next(&one, 502, "M502"), next(&one, 503, "M503"));
        vec![received(&one), received(&left), received(&right), received(&two)]
    }),
    ("the same block a thousand times", Harmless, |w| {
        let block = w.honest(w.draft());
        (0..1_000).map(|_| received(&block)).collect()
    }),
    ("a thousand heads of one row each", Harmless, |w| {
        (0..1_000)
            .map(|n| {
                let (layout, change) = w.result(1_000 + n, &format!("H{n}"));
                received(&w.block(w.lab, &[layout], vec![Change::Row(change)]))
            })
            .collect()
    }),
    ("rows of a table that nobody knows", Void("not granted"), |w| {
        let change =
            RowChange::Insert { layout: 0, key: None, generated: false, values: vec![Value::Int(1)] };
        let layout = Layout(ObjectId([3; 16]), 1, vec![ColumnTag(1)]);
        vec![received(&w.block(w.lab, &[layout], vec![Change::Row(change)]))]
    }),
];

fn admit(node: NodeId, ticket: Option<(PublicKey, Vec<u8>)>) -> AccessChange {
    let name = "friend".to_owned();
    AccessChange::Admit { node, role: Role::Writer, ticket, ids: None, dealer_ids: None, name }
}

/// What honest people look at: everything but the rows that lab may add.
const SHOWN: [&str; 5] = [
    "SELECT * FROM clinic.patient ORDER BY id",
    "SELECT * FROM clinic.result WHERE id < 500 ORDER BY id",
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA NOT IN ('information_schema', 'p2pdb', 'mysql', 'performance_schema') ORDER BY 1, 2, 3",
    "SELECT GRANTEE, PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES ORDER BY 1, 2",
    "SELECT name, role FROM p2pdb.members ORDER BY 1",
];

fn shown(node: &Node) -> Vec<Vec<String>> {
    SHOWN.iter().map(|q| node.session().rows(q)).collect()
}

fn story(name: &str, outcome: Outcome, attack: Attack) {
    let w = World::new();
    let before = shown(&w.a);
    let void_before = w.a.session().rows("SELECT COUNT(*) FROM p2pdb.voided");
    let blocks = attack(&w);
    // Honest work that nobody of the others has seen yet.
    w.b.session().run("UPDATE clinic.patient SET phone = '23' WHERE id = 2");
    for victim in [&w.a, &w.b] {
        let arrived = victim.engine.ingest(blocks.clone()).block();
        assert_eq!(arrived.fault, None, "{name}");
        match outcome {
            Refused(why) => {
                assert!(!arrived.refused.is_empty(), "{name}: {arrived:?}");
                assert!(
                    arrived.refused.iter().all(|(_, w)| w.contains(why)),
                    "{name}: {:?}",
                    arrived.refused
                );
            }
            Waits => assert!(arrived.waiting == 1 && arrived.applied.is_empty(), "{name}: {arrived:?}"),
            Void(_) | Harmless => {
                assert!(arrived.refused.is_empty() && !arrived.applied.is_empty(), "{name}: {arrived:?}")
            }
        }
    }
    converge(&[&w.a, &w.b]);
    let mut expected = before;
    expected[0][1] = "2|Bob|23".to_owned();
    for n in [&w.a, &w.b] {
        assert_eq!(shown(n), expected, "{name} shows");
    }
    let void = w.a.session().rows("SELECT reason FROM p2pdb.voided");
    let new = void.len() - void_before[0].parse::<usize>().expect("a number");
    match outcome {
        Void(why) => assert!(new == 1 && void.iter().any(|v| v.contains(why)), "{name}: {void:?}"),
        _ => assert_eq!(new, 0, "{name}: {void:?}"),
    }
    verified(&[&w.a, &w.b]);
    w.a.session().run("INSERT INTO clinic.patient VALUES (9, 'Zoe', '99')");
    converge(&[&w.a, &w.b]);
}

#[test]
fn blocks_that_no_correct_node_makes_change_nothing_that_was_not_granted() {
    let only = std::env::var("ATTACK").ok();
    for (name, outcome, attack) in ATTACKS {
        if only.as_ref().is_none_or(|o| name.contains(o.as_str())) {
            println!("{name}");
            story(name, *outcome, *attack);
        }
    }
}

#[test]
fn the_page_about_security_lists_every_attack() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/security.md");
    let page = std::fs::read_to_string(page).expect("the page");
    for (name, _, _) in ATTACKS {
        assert!(page.contains(&format!("| {name} |")), "docs/security.md does not list: {name}");
    }
    assert!(ATTACKS.len() >= 30);
}
