//! Sealed columns: who may publish keys and give values, who reads where, which keys are the newest (`docs/security.md`, section 7).
//! Account 0 is root, 1 is ann, 2 is bob.

mod common;

use common::*;
use p2pdb_access::Reason;
use p2pdb_model::change::{AccessChange, Delegate, Rights, Role, SchemaChange};
use p2pdb_model::ids::{EpochId, ObjectId, ObjectKind};
use p2pdb_model::schema::{ColumnDef, Definition};
use p2pdb_model::sealed::{KeyWrap, WRAPPED_BYTES};
use p2pdb_model::types::IntSize;
use p2pdb_model::{Change, Privileges, SqlType, Stamp};

fn till() -> Option<ObjectId> {
    Some(table("shop", "till"))
}

/// `a` of `shop.till` is made, sealed.
fn sealed_a() -> Vec<Change> {
    let ty = SqlType::Int { size: IntSize::Int, unsigned: false, width: None, zerofill: false };
    let def = ColumnDef { comment: "[sealed]".to_owned(), ..ColumnDef::new(ty) };
    vec![Change::Schema(SchemaChange::Put {
        id: column("a"),
        kind: ObjectKind::Column,
        parent: table("shop", "till"),
        name: Some("a".to_owned()),
        definition: Some(Box::new(Definition::Column(def))),
        position: None,
        after: None,
    })]
}

/// Nodes 1 and 2 write for ann and bob; `shop.till` is there, its column `a` sealed. Gives the last block.
fn clinic() -> (World, usize) {
    let mut w = World::new();
    let mut changes = vec![];
    for n in [1, 2] {
        changes.push(w.admit(n, Role::Writer, None));
        changes.push(new_account(n, false));
        changes.push(w.delegate(n, Delegate::Node(node(n)), None));
    }
    w.write(0, &[], 0, access(&changes));
    w.write(0, &[], 0, create_database("shop"));
    w.write(0, &[], 0, create_table("shop", "till"));
    let last = w.write(0, &[], 0, sealed_a());
    (w, last)
}

fn key(epoch: u8, begins: bool, readers: &[usize]) -> Vec<Change> {
    let wrap = |n: &usize| KeyWrap { account: account(*n), node: node(*n), wrapped: [0; WRAPPED_BYTES] };
    access(&[AccessChange::ColumnKey {
        table: table("shop", "till"),
        column: column("a").tag(),
        epoch: EpochId([epoch; 16]),
        begins,
        wraps: readers.iter().map(wrap).collect(),
    }])
}

fn of_a(p: Privileges) -> Rights {
    Rights::columns([(column("a").tag(), p)])
}

#[test]
fn keys_and_values_are_published_by_readers_alone() {
    let (mut w, last) = clinic();
    let no = void(Reason::NotGranted);
    let writes = w.write(0, &[last], 0, access(&[grant(account(1), till(), of_a(Privileges::UPDATE))]));
    let mut cases = vec![
        (w.write(1, &[writes], 1, update_a()), no),
        (w.write(1, &[writes], 1, key(1, true, &[1])), no),
        (w.write(0, &[writes], 0, update_a()), OK),
        (w.write(0, &[writes], 0, key(2, true, &[0])), OK),
    ];
    let reads = w.write(0, &[writes], 0, access(&[grant(account(1), till(), of_a(Privileges::SELECT))]));
    cases.push((w.write(1, &[reads], 1, update_a()), OK));
    cases.push((w.write(1, &[reads], 1, key(3, true, &[1])), OK));
    // One that may read and not write gives no values.
    cases.push((w.write(0, &[reads], 0, access(&[grant(account(2), till(), of_a(Privileges::SELECT))])), OK));
    let bob = cases.last().map(|c| c.0).unwrap();
    cases.push((w.write(2, &[bob], 2, update_a()), no));
    cases.push((w.write(2, &[bob], 2, key(4, false, &[2])), OK));
    expect(&w, &cases);
}

#[test]
fn a_revoked_reader_is_cut_where_the_revoker_had_not_seen_it() {
    let (mut w, last) = clinic();
    let rights = of_a(Privileges::SELECT | Privileges::UPDATE);
    let g = w.write(0, &[last], 0, access(&[grant(account(1), till(), rights)]));
    let seen = w.write(1, &[g], 1, update_a());
    let r = w.write(0, &[seen], 0, access(&[revoke(account(1), till(), of_a(Privileges::SELECT))]));
    let value = w.write(1, &[seen], 1, update_a());
    let epoch = w.write(1, &[value], 1, key(1, true, &[1]));
    let cut = void(Reason::BeyondRevocation);
    expect(&w, &[(seen, OK), (r, OK), (value, cut), (epoch, cut)]);
    let o = Observer::run(&w, 1);
    let (table, column) = (table("shop", "till"), column("a").tag());
    assert!(o.access.epochs(table, column).newest.is_empty(), "a void key counts for nothing");
    assert_eq!(o.access.wraps_for(node(1), table, column).count(), 1, "but opens what was sealed with it");
}

#[test]
fn readers_are_accounts_on_nodes_that_they_named_themselves() {
    let (mut w, last) = clinic();
    let (table, column) = (table("shop", "till"), column("a").tag());
    let now = Stamp::from_millis(5_000);
    let readers = |w: &World| {
        let o = Observer::run(w, 7);
        let of = |n: usize| move |m: usize| (account(n), node(m));
        let all = o.access.readers(table, column, now);
        for n in 0..3 {
            for m in 0..5 {
                let (a, at) = of(n)(m);
                assert_eq!(
                    o.access.is_reader(a, at, table, column, now),
                    all.contains(&(a, at)),
                    "{n} on {m}"
                );
            }
        }
        all.into_iter().collect::<Vec<_>>()
    };
    let mut expected = vec![(account(0), node(0))];
    assert_eq!(readers(&w), expected);
    // By a role, and on two nodes of which one came with a ticket of root's.
    let r = role("nurse");
    let given = AccessChange::GrantRole { role: r, to: account(1), admin: false, until_ms: None };
    let ticket_of = w.delegate(0, Delegate::Ticket(ticket(0)), None);
    let enrolled =
        AccessChange::Ticket { key: ticket(0), role: Role::Writer, expires_ms: None, uses: 1, node: None };
    w.write(0, &[last], 0, access(&[new_role("nurse"), enrolled, ticket_of]));
    let more = [grant(r, till(), of_a(Privileges::SELECT)), given, w.admit(3, Role::Writer, Some(0))];
    let g = w.write(0, &[], 0, access(&more));
    expected.push((account(1), node(1)));
    expected.sort();
    assert_eq!(readers(&w), expected, "root is no reader on node 3, where it acts by a ticket");
    let to_3 = w.delegate(1, Delegate::Node(node(3)), None);
    let d = w.write(1, &[g], 1, access(&[to_3]));
    expected.push((account(1), node(3)));
    expected.sort();
    assert_eq!(readers(&w), expected);
    let removed = w.remove(3, &[d]);
    w.write(0, &[d], 0, removed);
    expected.retain(|r| r.1 != node(3));
    assert_eq!(readers(&w), expected, "a node that is no member reads nothing more");
    w.write(0, &[], 0, access(&[revoke(r, till(), of_a(Privileges::SELECT))]));
    expected.retain(|r| r.0 == account(0));
    assert_eq!(readers(&w), expected);
    judge_all(&w);
}

#[test]
fn the_newest_keys_are_those_that_no_other_knows_of() {
    let (mut w, last) = clinic();
    let (table, column) = (table("shop", "till"), column("a").tag());
    let g = w.write(0, &[last], 0, access(&[grant(account(1), till(), of_a(Privileges::SELECT))]));
    let newest = |w: &World| -> Vec<u8> {
        let o = Observer::run(w, 3);
        o.access.epochs(table, column).newest.iter().map(|e| e.0[0]).collect()
    };
    let one = w.write(0, &[g], 0, key(1, true, &[0, 1]));
    assert_eq!(newest(&w), [1]);
    // Two rotations that do not know of each other.
    let two = w.write(0, &[one], 0, key(2, true, &[0]));
    let three = w.write(1, &[one], 1, key(3, true, &[1]));
    assert_eq!(newest(&w), [2, 3]);
    // Given on, it is no newer.
    let on = w.write(0, &[two], 0, key(1, false, &[2]));
    assert_eq!(newest(&w), [2, 3]);
    let four = w.write(1, &[three, on], 1, key(4, true, &[0, 1]));
    assert_eq!(newest(&w), [4]);
    // An old one that is begun again does not come back: there is none then, and a writer makes a fresh one.
    w.write(1, &[four], 1, key(1, true, &[1]));
    assert_eq!(newest(&w), [0; 0]);
    w.write(1, &[], 1, key(5, true, &[1]));
    assert_eq!(newest(&w), [5]);
    judge_all(&w);
}
