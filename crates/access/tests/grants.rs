//! Stories of grants and revocations (`docs/security.md`, sections 3 to 6), each with the verdict on every step, in a dozen
//! orders of arrival. Account 0 is root, 1 is ann, 2 is bob.

mod common;

use common::*;
use p2pdb_access::{Reason, Verdict};
use p2pdb_model::change::{AccessChange, Delegate, Rights, Role, SchemaChange};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::schema::{Definition, ForeignKeyDef, ReferentialAction, ViewDef};
use p2pdb_model::{AccountId, Change, Privileges};

/// Nodes 1 and 2 write for ann and bob, who have nothing yet; `shop.till` and `other` are there. Gives the last block.
fn clinic() -> (World, usize) {
    let mut w = World::new();
    let mut changes = vec![];
    for n in [1, 2] {
        changes.push(w.admit(n, Role::Writer, None));
        changes.push(new_account(n, false));
        changes.push(w.delegate(n, Delegate::Node(node(n)), None));
        changes.push(w.delegate(0, Delegate::Node(node(n)), None));
    }
    w.write(0, &[], 0, access(&changes));
    w.write(0, &[], 0, create_database("shop"));
    w.write(0, &[], 0, create_database("other"));
    let last = w.write(0, &[], 0, create_table("shop", "till"));
    (w, last)
}

fn shop() -> Option<ObjectId> {
    Some(database("shop"))
}

fn till() -> Option<ObjectId> {
    Some(table("shop", "till"))
}

fn whole(p: Privileges) -> Rights {
    Rights::whole(p)
}

fn of_a(p: Privileges) -> Rights {
    Rights::columns([(column("a").tag(), p)])
}

const DML: Privileges = Privileges(Privileges::INSERT.0 | Privileges::UPDATE.0 | Privileges::DELETE.0);

#[test]
fn a_grant_covers_its_object_and_what_was_made_in_it() {
    for (on, covers) in [(None, [true, true]), (shop(), [true, false]), (till(), [true, false])] {
        let (mut w, last) = clinic();
        let before = w.write(1, &[last], 1, row());
        let g = w.write(0, &[last], 0, access(&[grant(account(1), on, whole(DML))]));
        let concurrent = w.write(1, &[], 1, row());
        let mut cases =
            vec![(before, void(Reason::NotGranted)), (g, OK), (concurrent, void(Reason::NotGranted))];
        for (changes, ok) in [
            (row(), covers[0]),
            (insert(), covers[0]),
            (update_a(), covers[0]),
            (update_all(), covers[0]),
            (refer(), covers[0]),
            (other_row(), covers[1]),
        ] {
            let verdict = if ok { OK } else { void(Reason::NotGranted) };
            cases.push((w.write(1, &[g], 1, changes), verdict));
        }
        expect(&w, &cases);
    }
}

#[test]
fn a_grant_on_columns_covers_changes_of_these_alone() {
    let (mut w, last) = clinic();
    let g = grant(account(1), till(), of_a(Privileges::UPDATE));
    let g = w.write(0, &[last], 0, access(&[g]));
    let mut case =
        |changes, ok| (w.write(1, &[g], 1, changes), if ok { OK } else { void(Reason::NotGranted) });
    let cases = [
        case(update_a(), true),
        case(update_all(), false),
        case(refer(), true),
        case(insert(), false),
        case(row(), false),
    ];
    // The other columns come from elsewhere.
    let others = [column("id").tag(), column("b").tag()].map(|tag| (tag, Privileges::UPDATE));
    let others = [
        new_role("nurse"),
        grant(role("nurse"), till(), Rights::columns(others)),
        AccessChange::GrantRole { role: role("nurse"), to: account(1), admin: false, until_ms: None },
    ];
    let others = w.write(0, &[], 0, access(&others));
    let together = w.write(1, &[others], 1, update_all());
    expect(&w, &[&cases[..], &[(others, OK), (together, OK)]].concat());
}

#[test]
fn a_revocation_leaves_what_it_had_seen_and_voids_what_lies_beyond_and_needs_it() {
    let (mut w, last) = clinic();
    let both = [grant(account(1), shop(), whole(DML)), grant(account(1), till(), whole(Privileges::INSERT))];
    let g = w.write(0, &[last], 0, access(&both));
    let seen = w.write(1, &[g], 1, row());
    let r = w.write(0, &[seen], 0, access(&[revoke(account(1), shop(), whole(DML))]));
    let unaware = w.write(1, &[], 1, row());
    let not_needed = w.write(1, &[], 1, insert());
    let aware = w.write(1, &[r], 1, row());
    let again = w.write(0, &[], 0, access(&[grant(account(1), shop(), whole(Privileges::DELETE))]));
    let back = w.write(1, &[again], 1, row());
    let others = w.write(1, &[], 1, update_a());
    expect(
        &w,
        &[
            (seen, OK),
            (r, OK),
            (unaware, void(Reason::BeyondRevocation)),
            (not_needed, OK),
            (aware, void(Reason::Revoked)),
            (back, OK),
            (others, void(Reason::Revoked)),
        ],
    );
}

#[test]
fn keep_through_moves_the_cut_back_and_a_grant_unaware_of_the_revocation_does_not_help() {
    let (mut w, last) = clinic();
    let g = w.write(0, &[last], 0, access(&[grant(account(1), till(), whole(DML))]));
    let honest = w.write(1, &[g], 1, row());
    let stolen = w.write(1, &[], 1, row());
    let keep = Some(w.seen(1, &w.below(&[honest])));
    let r = AccessChange::Revoke { from: account(1), on: till(), rights: whole(DML), keep };
    let unaware = w.write(0, &[], 0, access(&[grant(account(1), till(), whole(DML))]));
    let r = w.write(2, &[stolen], 0, access(&[r]));
    let late = w.write(1, &[unaware, r], 1, row());
    expect(
        &w,
        &[
            (honest, OK),
            (stolen, void(Reason::BeyondRevocation)),
            (unaware, OK),
            (r, OK),
            (late, void(Reason::Revoked)),
        ],
    );
}

#[test]
fn a_table_privilege_taken_back_is_taken_from_its_columns_and_not_from_above() {
    let (mut w, last) = clinic();
    let g = [
        grant(account(1), till(), of_a(Privileges::UPDATE)),
        grant(account(2), shop(), whole(Privileges::UPDATE)),
    ];
    let g = w.write(0, &[last], 0, access(&g));
    let update = whole(Privileges::UPDATE);
    let r = [revoke(account(1), till(), update.clone()), revoke(account(2), till(), update)];
    let r = w.write(0, &[g], 0, access(&r));
    let ann = w.write(1, &[r], 1, update_a());
    let bob = w.write(2, &[r], 2, update_a());
    expect(&w, &[(r, OK), (ann, void(Reason::Revoked)), (bob, OK)]);
}

#[test]
fn grants_and_roles_end_when_they_say() {
    let (mut w, last) = clinic();
    let until_ms = Some(w.blocks[last].stamp().millis() + 2);
    let nurse = role("nurse");
    let g = [
        AccessChange::Grant { to: account(1), on: till(), rights: whole(DML), until_ms, history: true },
        new_role("nurse"),
        grant(nurse, till(), whole(DML)),
        AccessChange::GrantRole { role: nurse, to: account(2), admin: false, until_ms },
    ];
    let g = w.write(0, &[last], 0, access(&g));
    let mut cases = Vec::new();
    for n in [1, 2] {
        cases.push((w.write(n, &[g], n, row()), OK));
        cases.push((w.write(n, &[g], n, row()), void(Reason::GrantExpired)));
    }
    expect(&w, &cases);
}

#[test]
fn roles_give_what_they_have_until_they_are_taken_back_or_dropped() {
    let (mut w, last) = clinic();
    let [nurse, ward] = [role("nurse"), role("ward")];
    let give = |role, to| AccessChange::GrantRole { role, to, admin: false, until_ms: None };
    let g = [
        new_role("nurse"),
        new_role("ward"),
        grant(ward, till(), whole(DML)),
        give(ward, nurse),
        give(nurse, account(1)),
        give(ward, account(2)),
    ];
    let g = w.write(0, &[last], 0, access(&g));
    let ann = w.write(1, &[g], 1, row());
    let bob = w.write(2, &[g], 2, row());
    let no_keys = w.delegate(0, Delegate::Node(node(1)), None);
    let no_keys = match no_keys {
        AccessChange::Delegate { to, until_ms, signature, .. } => {
            AccessChange::Delegate { account: nurse, to, until_ms, signature }
        }
        other => other,
    };
    let no_keys = w.write(0, &[g], 0, access(&[no_keys]));
    let r = AccessChange::RevokeRole { role: nurse, from: account(1), keep: None };
    let r = w.write(0, &[ann], 0, access(&[r]));
    let ann_unaware = w.write(1, &[], 1, row());
    let ann_aware = w.write(1, &[r], 1, row());
    let d = w.write(0, &[bob], 0, access(&[AccessChange::DropAccount { account: ward, keep: None }]));
    let bob_unaware = w.write(2, &[], 2, row());
    // The same name again is the same role, with nothing in it.
    let again = w.write(0, &[d], 0, access(&[new_role("ward"), give(ward, account(2))]));
    let bob_again = w.write(2, &[again], 2, row());
    let refill = w.write(0, &[], 0, access(&[grant(ward, till(), whole(DML))]));
    let bob_refilled = w.write(2, &[refill], 2, row());
    expect(
        &w,
        &[
            (ann, OK),
            (bob, OK),
            (no_keys, void(Reason::BadDelegation)),
            (r, OK),
            (ann_unaware, void(Reason::BeyondRevocation)),
            (ann_aware, void(Reason::Revoked)),
            (d, OK),
            (bob_unaware, void(Reason::BeyondRevocation)),
            (again, OK),
            (bob_again, void(Reason::Revoked)),
            (bob_refilled, OK),
        ],
    );
}

#[test]
fn who_gives_a_privilege_has_it_with_grant_option() {
    let (mut w, last) = clinic();
    let option = DML | Privileges::GRANT_OPTION;
    let g = [grant(account(1), shop(), whole(option)), grant(account(2), till(), whole(DML))];
    let g = w.write(0, &[last], 0, access(&g));
    let mut cases = Vec::new();
    let mut by = |w: &mut World, n: usize, change, ok| {
        let verdict = if ok { OK } else { void(Reason::NotGrantable) };
        cases.push((w.write(n, &[g], n, access(&[change])), verdict));
    };
    by(&mut w, 1, grant(account(2), till(), whole(Privileges::DELETE)), true);
    by(&mut w, 1, grant(account(2), till(), of_a(Privileges::INSERT)), true);
    by(&mut w, 1, grant(account(2), shop(), whole(Privileges::GRANT_OPTION)), true);
    by(&mut w, 1, grant(account(2), till(), whole(Privileges::SELECT)), false);
    by(&mut w, 1, grant(account(2), Some(database("other")), whole(Privileges::DELETE)), false);
    by(&mut w, 1, grant(account(2), None, whole(Privileges::DELETE)), false);
    by(&mut w, 2, grant(account(1), till(), whole(Privileges::DELETE)), false);
    by(&mut w, 2, revoke(account(1), shop(), whole(Privileges::DELETE)), false);
    let everything = w.write(1, &[g], 1, access(&[new_account(2, true)]));
    let nobody = grant(AccountId([9; 16]), till(), whole(Privileges::DELETE));
    let nobody = w.write(0, &[g], 0, access(&[nobody]));
    cases.push((everything, void(Reason::AccountNotOwner)));
    cases.push((nobody, void(Reason::UnknownAccount)));
    expect(&w, &cases);
}

#[test]
fn schema_changes_need_what_they_do_and_nobody_claims_a_table_for_another_database() {
    let (mut w, last) = clinic();
    let create = grant(account(1), Some(database("other")), whole(Privileges::CREATE));
    let alter = grant(account(2), till(), whole(Privileges::ALTER));
    let g = w.write(0, &[last], 0, access(&[create, alter]));
    let part = |kind, name: &str| {
        let id = ObjectId::derive(kind, table("shop", "till"), name, None);
        vec![put(id, kind, table("shop", "till"), Some(name))]
    };
    let drop = |id| vec![Change::Schema(p2pdb_model::change::SchemaChange::Drop { id })];
    let mut cases = Vec::new();
    let mut by = |w: &mut World, n: usize, changes, ok| {
        let verdict = if ok { OK } else { void(Reason::NotGranted) };
        cases.push((w.write(n, &[g], n, changes), verdict));
    };
    by(&mut w, 1, create_table("other", "till"), true);
    by(&mut w, 1, create_table("shop", "more"), false);
    by(&mut w, 1, create_database("third"), false);
    // The table is said to stand in `other`; its id says where it was made.
    let claimed = put(table("shop", "till"), ObjectKind::Table, database("other"), Some("till"));
    by(&mut w, 1, vec![claimed], false);
    let claimed = put(column("a"), ObjectKind::Column, table("other", "till"), Some("a"));
    by(&mut w, 1, [create_table("other", "t2"), vec![claimed]].concat(), false);
    by(&mut w, 1, part(ObjectKind::Column, "new"), false);
    by(&mut w, 1, drop(table("shop", "till")), false);
    by(&mut w, 2, part(ObjectKind::Column, "new"), true);
    by(&mut w, 2, part(ObjectKind::Index, "new"), true);
    by(&mut w, 2, part(ObjectKind::Trigger, "new"), false);
    by(
        &mut w,
        2,
        vec![put(table("shop", "till"), ObjectKind::Table, database("shop"), Some("renamed"))],
        true,
    );
    by(
        &mut w,
        2,
        vec![put(table("shop", "till"), ObjectKind::Table, database("other"), Some("moved"))],
        false,
    );
    by(&mut w, 2, drop(table("shop", "till")), false);
    by(&mut w, 2, create_table("other", "x"), false);
    expect(&w, &cases);
}

#[test]
fn a_table_made_again_after_a_drop_shows_its_database_too() {
    let (mut w, last) = clinic();
    let g = w.write(0, &[last], 0, access(&[grant(account(1), shop(), whole(DML | Privileges::CREATE))]));
    let again = |after: &[u8]| {
        let id = ObjectId::derive(ObjectKind::Table, database("shop"), "till", Some(b"freed"));
        let (kind, parent, name) = (ObjectKind::Table, database("shop"), Some("till".to_owned()));
        let (definition, position, after) = (None, None, Some(after.to_vec()));
        Change::Schema(p2pdb_model::change::SchemaChange::Put {
            id,
            kind,
            parent,
            name,
            definition,
            position,
            after,
        })
    };
    let right = w.write(1, &[g], 1, vec![again(b"freed")]);
    let wrong = w.write(1, &[g], 1, vec![again(b"never")]);
    expect(&w, &[(right, OK), (wrong, OK)][..1]);
    let verdicts = judge_all(&w);
    // It knows of the right one, which is there by then.
    assert_eq!(verdicts[&wrong], void(Reason::NotGranted));
}

#[test]
fn a_key_more_writes_and_a_key_less_takes_its_delegations_with_it() {
    let (mut w, last) = clinic();
    let g = [
        grant(account(1), till(), whole(DML)),
        w.admit(3, Role::Writer, None),
        w.admit(4, Role::Writer, None),
    ];
    let g = w.write(0, &[last], 0, access(&g));
    let foreign = w.delegate_by(1, 7, Delegate::Node(node(3)));
    let foreign = w.write(1, &[g], 1, access(&[foreign]));
    let device = [
        AccessChange::AddKey { account: account(1), key: key(7) },
        w.delegate_by(1, 7, Delegate::Node(node(3))),
    ];
    let device = w.write(1, &[], 1, access(&device));
    let phone = w.write(3, &[device], 1, row());
    // Recovery: an owner takes the first key away and gives another.
    let lost = AccessChange::DropKey { account: account(1), key: key(1), keep: None };
    let lost = w.write(0, &[phone], 0, access(&[lost]));
    let thief = w.write(1, &[], 1, row());
    let more = w.delegate_by(1, 1, Delegate::Node(node(4)));
    let more = w.write(1, &[lost], 0, access(&[more]));
    let spread = w.write(4, &[more], 1, row());
    let phone_goes_on = w.write(3, &[lost], 1, row());
    let bob = AccessChange::AddKey { account: account(1), key: key(2) };
    let bob = w.write(2, &[g], 2, access(&[bob]));
    expect(
        &w,
        &[
            (foreign, void(Reason::BadDelegation)),
            (device, OK),
            (phone, OK),
            (lost, OK),
            (thief, void(Reason::BeyondUndelegation)),
            (more, OK),
            (spread, void(Reason::Undelegated)),
            (phone_goes_on, OK),
            (bob, void(Reason::NotGranted)),
        ],
    );
}

#[test]
fn a_dropped_account_is_out_beyond_the_cut() {
    let (mut w, last) = clinic();
    let g = w.write(0, &[last], 0, access(&[grant(account(1), till(), whole(DML))]));
    let seen = w.write(1, &[g], 1, row());
    let d = w.write(0, &[seen], 0, access(&[AccessChange::DropAccount { account: account(1), keep: None }]));
    let unaware = w.write(1, &[], 1, row());
    let aware = w.write(1, &[d], 1, row());
    let root = AccessChange::DropAccount { account: account(0), keep: None };
    let users = grant(account(2), None, whole(Privileges::CREATE_USER));
    let users = w.write(0, &[], 0, access(&[users]));
    let root = w.write(2, &[users], 2, access(&[root]));
    expect(
        &w,
        &[
            (seen, OK),
            (d, OK),
            (unaware, void(Reason::BeyondDrop)),
            (aware, void(Reason::Dropped)),
            (root, void(Reason::NotGranted)),
        ],
    );
}

/// Ann and bob are admins of one rank, cut off from each other.
fn duel() -> (World, usize) {
    let (mut w, last) = clinic();
    let all = |n| grant(account(n), None, whole(Privileges::EVERY));
    let g = w.write(0, &[last], 0, access(&[all(1), all(2)]));
    (w, g)
}

fn everything_from(n: usize) -> Vec<Change> {
    access(&[revoke(account(n), None, whole(Privileges::EVERY))])
}

#[test]
fn two_admins_of_one_rank_that_revoke_each_other_are_both_out() {
    let (mut w, g) = duel();
    let a = w.write(1, &[g], 1, everything_from(2));
    let b = w.write(2, &[g], 2, everything_from(1));
    let after_a = w.write(1, &[], 1, row());
    let after_b = w.write(2, &[], 2, row());
    let beyond = void(Reason::BeyondRevocation);
    expect(&w, &[(a, OK), (b, OK), (after_a, beyond), (after_b, beyond)]);
}

#[test]
fn a_thief_that_pretends_not_to_know_of_the_revocation_does_not_revoke_its_senior() {
    let (mut w, g) = duel();
    let r = w.write(0, &[g], 0, everything_from(1));
    let revenge = w.write(1, &[g], 1, everything_from(0));
    let accomplice = w.write(1, &[], 1, everything_from(2));
    let root = w.write(0, &[], 0, row());
    let bob = w.write(2, &[g], 2, row());
    let beyond = void(Reason::BeyondRevocation);
    expect(&w, &[(r, OK), (revenge, beyond), (accomplice, beyond), (root, OK), (bob, OK)]);
}

#[test]
fn a_senior_brings_back_what_a_thief_had_voided() {
    let (mut w, g) = duel();
    let honest = w.write(1, &[g], 1, row());
    let theft = w.write(1, &[], 1, everything_from(2));
    let bob = w.write(2, &[g], 2, row());
    let bob_knows = w.write(2, &[theft], 2, row());
    expect(&w, &[(bob, void(Reason::BeyondRevocation)), (bob_knows, void(Reason::Revoked))]);
    // Root saw it happen, and moves the cut to before it.
    let keep = Some(w.seen(1, &w.below(&[honest])));
    let rights = whole(Privileges::EVERY);
    let r = AccessChange::Revoke { from: account(1), on: None, rights, keep };
    let r = w.write(0, &[bob_knows], 0, access(&[r]));
    expect(&w, &[(honest, OK), (theft, void(Reason::BeyondRevocation)), (bob, OK), (bob_knows, OK), (r, OK)]);
}

#[test]
fn what_a_revoked_granter_gave_stands_as_far_as_the_revoker_had_seen() {
    let (mut w, g) = duel();
    let give = [new_role("nurse"), grant(role("nurse"), till(), whole(DML))];
    let seen = w.write(1, &[g], 1, access(&give));
    let nurse = AccessChange::GrantRole { role: role("nurse"), to: account(2), admin: false, until_ms: None };
    let unseen = [grant(AccountId::ROW_OWNER, till(), whole(DML))];
    let r = w.write(0, &[seen], 0, everything_from(1));
    let unseen = w.write(1, &[], 1, access(&unseen));
    let goes_on = w.write(0, &[], 0, access(&[nurse]));
    let bob = [everything_from(2), access(&[])].concat();
    let bob = w.write(0, &[], 0, bob);
    let by_role = w.write(2, &[bob, goes_on], 2, row());
    expect(
        &w,
        &[(seen, OK), (r, OK), (unseen, void(Reason::BeyondRevocation)), (goes_on, OK), (by_role, OK)],
    );
}

#[test]
fn an_old_delegation_or_admission_does_not_bring_back_what_was_taken_back_since() {
    let (mut w, last) = clinic();
    let ticket_of_one =
        AccessChange::Ticket { key: ticket(0), role: Role::Writer, expires_ms: None, uses: 1, node: None };
    let admit = w.admit(3, Role::Writer, Some(0));
    let delegate = w.delegate(0, Delegate::Ticket(ticket(0)), None);
    let t = w.write(0, &[last], 0, access(&[ticket_of_one, delegate, grant(account(1), till(), whole(DML))]));
    let a = w.write(1, &[t], 0, access(std::slice::from_ref(&admit)));
    let writes = w.write(3, &[a], 0, row());
    let removed = w.remove(3, &[writes]);
    let removed = w.write(0, &[writes], 0, removed);
    let replayed = w.write(1, &[removed], 0, access(&[admit]));
    let back = w.write(3, &[replayed], 0, row());
    // The same with what an account's key once signed.
    let old = w.delegate(1, Delegate::Node(node(1)), None);
    let seen = w.seen(1, &w.below(&[replayed]));
    let undelegate = AccessChange::Undelegate { account: account(1), from: Delegate::Node(node(1)), seen };
    let undelegate = w.write(0, &[replayed], 0, access(&[undelegate]));
    let again = w.write(2, &[undelegate], 2, access(std::slice::from_ref(&old)));
    let ann = w.write(1, &[again], 1, row());
    let by_root = w.write(0, &[undelegate], 0, access(&[old]));
    let ann_again = w.write(1, &[by_root], 1, row());
    expect(
        &w,
        &[
            (writes, OK),
            (removed, OK),
            (replayed, void(Reason::Removed)),
            (back, void(Reason::Removed)),
            (again, void(Reason::NotGranted)),
            (ann, void(Reason::Undelegated)),
            (by_root, OK),
            (ann_again, OK),
        ],
    );
}

#[test]
fn nobody_becomes_senior_by_a_gift_in_anothers_name() {
    let mut w = World::new();
    let everything = |n| grant(account(n), None, whole(Privileges::EVERY));
    let begin = [
        w.admit(1, Role::Writer, None),
        w.admit(2, Role::Writer, None),
        new_account(1, false),
        everything(1),
    ];
    let begin = [&begin[..], &[w.delegate(1, Delegate::Node(node(1)), None)]].concat();
    let begin = w.write(0, &[], 0, access(&begin));
    // Ann makes bob an admin: he is a step further away.
    let bob = [new_account(2, false), w.delegate(2, Delegate::Node(node(2)), None), everything(2)];
    let bob = w.write(1, &[begin], 1, access(&bob));
    let forged = w.write(2, &[bob], 0, access(&[everything(2)]));
    let ann = w.write(1, &[bob], 1, everything_from(2));
    let revenge = w.write(2, &[forged], 2, everything_from(1));
    let after = w.write(1, &[], 1, row());
    let beyond = void(Reason::BeyondRevocation);
    expect(&w, &[(bob, OK), (forged, void(Reason::NoDelegation)), (ann, OK), (revenge, beyond), (after, OK)]);
}

/// Ann, who may do this in `other`, makes a table there and something in it that is then put into `to`.
fn made_and_moved(privileges: Privileges, kind: ObjectKind, to: ObjectId) -> Verdict {
    let (mut w, last) = clinic();
    let g = w.write(0, &[last], 0, access(&[grant(account(1), Some(database("other")), whole(privileges))]));
    let own = table("other", "mine");
    let id = ObjectId::derive(kind, own, "x", None);
    let parts = vec![put(id, kind, own, Some("x")), put(id, kind, to, Some("x"))];
    let made = w.write(1, &[g], 1, [create_table("other", "mine"), parts].concat());
    judge_all(&w)[&made]
}

#[test]
fn what_is_made_in_ones_own_table_is_not_moved_into_anothers() {
    let create = Privileges::CREATE | Privileges::TRIGGER;
    for kind in [ObjectKind::Column, ObjectKind::Check, ObjectKind::Index, ObjectKind::Trigger] {
        if kind != ObjectKind::Trigger {
            assert_eq!(made_and_moved(create, kind, table("other", "mine")), OK, "{kind:?}");
        }
        assert_eq!(made_and_moved(create, kind, table("shop", "till")), void(Reason::NotGranted), "{kind:?}");
    }
    // A trigger is no part of its table: it needs its privilege, on a table that is there.
    let own = table("other", "mine");
    assert_eq!(made_and_moved(Privileges::CREATE, ObjectKind::Trigger, own), void(Reason::NotGranted));
}

#[test]
fn the_view_of_grants_shows_what_is_held() {
    let (mut w, last) = clinic();
    let g = [
        grant(account(1), shop(), whole(DML)),
        grant(account(1), till(), of_a(Privileges::SELECT)),
        grant(account(1), till(), of_a(Privileges::UPDATE)),
        new_role("nurse"),
        AccessChange::GrantRole { role: role("nurse"), to: account(1), admin: true, until_ms: None },
        AccessChange::DefaultRoles { account: account(1), roles: None },
        AccessChange::RenameAccount { account: account(1), name: "anna".into(), host: "%".into() },
    ];
    let g = w.write(0, &[last], 0, access(&g));
    w.write(0, &[g], 0, access(&[revoke(account(1), shop(), whole(Privileges::DELETE))]));
    let o = Observer::run(&w, 3);
    let now = p2pdb_model::Stamp::from_millis(9_999);
    let view = o.access.grants(account(1), now);
    assert_eq!(view.on[&shop()], whole(Privileges::INSERT | Privileges::UPDATE));
    assert_eq!(view.on[&till()], of_a(Privileges::SELECT | Privileges::UPDATE));
    assert_eq!(view.roles.iter().map(|r| (r.role, r.admin)).collect::<Vec<_>>(), [(role("nurse"), true)]);
    assert_eq!(view.default_roles, None);
    let names: Vec<_> = o.access.accounts().into_iter().map(|a| (a.name, a.is_role)).collect();
    let of = |name: &str, is_role| (name.to_owned(), is_role);
    assert_eq!(names, [of("root", false), of("anna", false), of("bob", false), of("nurse", true)]);
    assert!(o.access.grants(account(0), now).on[&None].whole.contains(Privileges::EVERY));
}

#[test]
fn a_key_for_somebody_else_is_an_owners_to_give() {
    let (mut w, last) = clinic();
    let users = w.write(0, &[last], 0, access(&[grant(account(2), None, whole(Privileges::CREATE_USER))]));
    let bob = AccessChange::AddKey { account: account(1), key: key(7) };
    let planted = w.write(2, &[users], 2, access(std::slice::from_ref(&bob)));
    let recovery = w.write(0, &[users], 0, access(&[bob]));
    expect(&w, &[(users, OK), (planted, void(Reason::NotGranted)), (recovery, OK)]);
}

fn view_by(definer: &str) -> Change {
    let view = ViewDef {
        select: "SELECT 1".to_owned(),
        columns: Vec::new(),
        definer: definer.to_owned(),
        invoker: false,
        check_option: String::new(),
    };
    defined(ObjectKind::View, "v", shop(), Definition::View(view))
}

fn defined(kind: ObjectKind, name: &str, parent: Option<ObjectId>, definition: Definition) -> Change {
    let parent = parent.expect("an object");
    Change::Schema(SchemaChange::Put {
        id: ObjectId::derive(kind, parent, name, None),
        kind,
        parent,
        name: Some(name.to_owned()),
        definition: Some(Box::new(definition)),
        position: None,
        after: None,
    })
}

#[test]
fn nobody_defines_in_anothers_name() {
    let (mut w, last) = clinic();
    let g = w.write(0, &[last], 0, access(&[grant(account(1), shop(), whole(Privileges::CREATE_VIEW))]));
    let own = w.write(1, &[g], 1, vec![view_by("ann@%")]);
    let shown = format!("ann~{}@%", &account(1).to_hex()[..8]);
    let shown = w.write(1, &[g], 1, vec![view_by(&shown)]);
    let roots = w.write(1, &[g], 1, vec![view_by("root@%")]);
    let new_name =
        AccessChange::RenameAccount { account: account(1), name: "eve".to_owned(), host: "%".to_owned() };
    let renamed = w.write(0, &[g], 0, access(&[new_name]));
    let old = w.write(1, &[renamed], 1, vec![view_by("ann@%")]);
    let new = w.write(1, &[renamed], 1, vec![view_by("eve@%")]);
    let by_root = w.write(0, &[g], 0, vec![view_by("ann@%")]);
    let no = void(Reason::NotGranted);
    expect(&w, &[(own, OK), (shown, OK), (roots, no), (old, no), (new, OK), (by_root, OK)]);
}

#[test]
fn a_foreign_key_needs_references_on_the_table_that_it_points_at() {
    let (mut w, last) = clinic();
    let other = table("other", "made");
    let to = |columns: &[u32]| {
        let fk = ForeignKeyDef {
            columns: vec![ColumnTag(1)],
            parent: till(),
            parent_columns: columns.iter().map(|c| ColumnTag(*c)).collect(),
            parent_names: None,
            on_delete: ReferentialAction::NoAction,
            on_update: ReferentialAction::NoAction,
        };
        vec![defined(ObjectKind::ForeignKey, "f", Some(other), Definition::ForeignKey(fk))]
    };
    let g = w.write(0, &[last], 0, access(&[grant(account(1), Some(other), whole(Privileges::ALTER))]));
    let without = w.write(1, &[g], 1, to(&[5]));
    let rights = Rights::columns([(ColumnTag(5), Privileges::REFERENCES)]);
    let on_one = w.write(0, &[g], 0, access(&[grant(account(1), till(), rights)]));
    let with = w.write(1, &[on_one], 1, to(&[5]));
    let another = w.write(1, &[on_one], 1, to(&[5, 6]));
    expect(&w, &[(without, void(Reason::NotGranted)), (with, OK), (another, void(Reason::NotGranted))]);
}
