//! Rows with owners, keys that AUTO_INCREMENT gives, and inserts that may not overwrite (`docs/security.md`, section 3). Account 0 is
//! root, 1 is ann, 2 is bob.

mod common;

use common::*;
use p2pdb_access::Reason;
use p2pdb_model::change::{Delegate, Rights, Role, RowChange, SchemaChange};
use p2pdb_model::ids::{ObjectId, ObjectKind};
use p2pdb_model::schema::{ColumnDef, Definition};
use p2pdb_model::types::IntSize;
use p2pdb_model::{AccountId, Change, Privileges, RowKey, SqlType, Value};

/// Nodes 1 and 2 write for ann and bob, who have nothing yet; `shop.till` is there. Gives the last block.
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
    let last = w.write(0, &[], 0, create_table("shop", "till"));
    (w, last)
}

fn till() -> Option<ObjectId> {
    Some(table("shop", "till"))
}

fn of_a(p: Privileges) -> Rights {
    Rights::columns([(column("a").tag(), p)])
}

/// The key of row 1 of this account, or of nobody.
fn key(owner: Option<AccountId>) -> RowKey {
    RowKey([Some(Value::Int(1)), owner.map(RowKey::owner_part)].into_iter().flatten().collect())
}

fn update(owner: Option<AccountId>) -> Vec<Change> {
    let values = vec![Value::Int(2)];
    vec![Change::Row(RowChange::Update { layout: 1, key: key(owner), values, cause: None })]
}

fn delete(owner: Option<AccountId>) -> Vec<Change> {
    vec![Change::Row(RowChange::Delete { layout: 2, key: key(owner), cause: None })]
}

fn insert_a(owner: Option<AccountId>) -> Vec<Change> {
    let (key, values) = (Some(key(owner)), vec![Value::Int(2)]);
    vec![Change::Row(RowChange::Insert { layout: 1, key, generated: false, values })]
}

#[test]
fn what_owners_may_do_they_may_in_their_own_rows_until_it_is_taken_back() {
    let (mut w, last) = clinic();
    let (ann, bob) = (account(1), account(2));
    let mut rights = of_a(Privileges::UPDATE);
    rights.whole = Privileges::INSERT | Privileges::DELETE;
    let g = w.write(0, &[last], 0, access(&[grant(AccountId::ROW_OWNER, till(), rights.clone())]));
    let no = void(Reason::NotGranted);
    let mut cases = vec![(w.write(1, &[last], 1, update(Some(ann))), no)];
    for make in [update, delete, insert_a] {
        cases.push((w.write(1, &[g], 1, make(Some(ann))), OK));
        cases.push((w.write(1, &[g], 1, make(Some(bob))), no));
        cases.push((w.write(1, &[g], 1, make(None)), no));
        cases.push((w.write(2, &[g], 2, make(Some(bob))), OK));
    }
    cases.push((w.write(0, &[g], 0, access(&[revoke(AccountId::ROW_OWNER, till(), rights)])), OK));
    cases.push((w.write(1, &[g], 1, update(Some(ann))), void(Reason::BeyondRevocation)));
    for case in &mut cases[1..13] {
        // None of it had the revoker seen.
        case.1 = if case.1 == OK { void(Reason::BeyondRevocation) } else { case.1 };
    }
    expect(&w, &cases);
}

#[test]
fn who_may_give_some_columns_gives_rows_to_nobody_else() {
    let (mut w, last) = clinic();
    let (ann, bob) = (account(1), account(2));
    let g = w.write(0, &[last], 0, access(&[grant(ann, till(), of_a(Privileges::INSERT))]));
    let whole = Rights::whole(Privileges::INSERT);
    let all = w.write(0, &[last], 0, access(&[grant(bob, till(), whole)]));
    let cases = [
        (w.write(1, &[g], 1, insert_a(None)), OK),
        (w.write(1, &[g], 1, insert_a(Some(ann))), OK),
        (w.write(1, &[g], 1, insert_a(Some(bob))), void(Reason::NotGranted)),
        (w.write(2, &[all], 2, insert_a(Some(ann))), OK),
    ];
    expect(&w, &cases);
}

/// `id` of `shop.till` is made, with AUTO_INCREMENT.
fn drawn_id() -> Vec<Change> {
    let ty = SqlType::Int { size: IntSize::Int, unsigned: false, width: None, zerofill: false };
    let def = ColumnDef { auto_increment: true, ..ColumnDef::new(ty) };
    vec![Change::Schema(SchemaChange::Put {
        id: column("id"),
        kind: ObjectKind::Column,
        parent: table("shop", "till"),
        name: Some("id".to_owned()),
        definition: Some(Box::new(Definition::Column(def))),
        position: None,
        after: None,
    })]
}

#[test]
fn a_key_that_was_drawn_needs_no_grant_where_who_might_made_its_column_so() {
    let (mut w, last) = clinic();
    let privileges = ["a", "b"].map(|c| (column(c).tag(), Privileges::INSERT));
    let g = w.write(0, &[last], 0, access(&[grant(account(1), till(), Rights::columns(privileges))]));
    let drawn = || {
        let values = vec![Value::Int(1); 3];
        vec![Change::Row(RowChange::Insert { layout: 0, key: None, generated: true, values })]
    };
    let no = void(Reason::NotGranted);
    let before = w.write(1, &[g], 1, drawn());
    let own = w.write(1, &[before], 1, drawn_id());
    let claimed = w.write(1, &[own], 1, drawn());
    let made = w.write(0, &[g], 0, drawn_id());
    let after = w.write(1, &[claimed, made], 1, drawn());
    let given = w.write(1, &[after], 1, insert());
    expect(&w, &[(before, no), (own, no), (claimed, no), (made, OK), (after, OK), (given, no)]);
}
