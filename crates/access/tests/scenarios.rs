//! Stories of a realm, each with the verdict on every step, in a dozen orders of arrival.

mod common;

use common::*;
use p2pdb_access::{IdState, Reason, Verdict};
use p2pdb_model::change::{AccessChange, Delegate, IdClass, Rights, Role};
use p2pdb_model::{Change, Privileges, Stamp};

fn enrol(n: usize, role: Role, uses: u32, expires_ms: Option<u64>) -> AccessChange {
    AccessChange::Ticket { key: ticket(n), role, expires_ms, uses, node: None }
}

/// Account 1, which may write everywhere.
fn writing_ann() -> [AccessChange; 2] {
    let rights = Privileges::INSERT | Privileges::UPDATE | Privileges::DELETE;
    [new_account(1, false), grant(account(1), None, Rights::whole(rights))]
}

/// Node 0 admits node 1 as writer (or what is given) and root delegates to it. Returns the admitting block.
fn with_member(w: &mut World, who: usize, role: Role) -> usize {
    let changes = [w.admit(who, role, None), w.delegate(0, Delegate::Node(node(who)), None)];
    w.write(0, &[], 0, access(&changes))
}

#[test]
fn only_a_member_that_writes_for_an_account_that_delegated_to_it_is_accepted() {
    let mut w = World::new();
    let own = w.write(0, &[], 0, row());
    let stranger = w.write(9, &[own], 0, row());
    let m = with_member(&mut w, 1, Role::Writer);
    let member = w.write(1, &[m], 0, row());
    let early = w.write(2, &[own], 0, row());
    let bare = w.admit(3, Role::Writer, None);
    let bare = w.write(0, &[], 0, access(&[bare]));
    let undelegated = w.write(3, &[bare], 0, row());
    let nobody = w.write(0, &[], 1, row());
    let r = with_member(&mut w, 4, Role::Reader);
    let reader = w.write(4, &[r], 0, row());
    let relay = with_member(&mut w, 5, Role::Relay);
    let relay = w.write(5, &[relay], 0, row());
    expect(
        &w,
        &[
            (0, OK),
            (own, OK),
            (stranger, void(Reason::NotMember)),
            (m, OK),
            (member, OK),
            (early, void(Reason::NotMember)),
            (undelegated, void(Reason::NoDelegation)),
            (nobody, void(Reason::UnknownAccount)),
            (reader, void(Reason::RoleDoesNotWrite)),
            (relay, void(Reason::RoleDoesNotWrite)),
        ],
    );
}

#[test]
fn changes_of_access_need_the_right_role_account_or_signature() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let ann = w.write(0, &[m], 0, access(&[new_account(1, false)]));
    let d = w.delegate(1, Delegate::Node(node(1)), None);
    let ann = w.write(0, &[ann], 0, access(&[d]));
    let mut cases = Vec::new();
    let mut by = |w: &mut World, author, account, changes: Vec<Change>, v| {
        cases.push((w.write(author, &[ann], account, changes), v));
    };
    use Reason::*;
    by(&mut w, 1, 0, access(&[enrol(0, Role::Writer, 1, None)]), void(NotOwner));
    let c = w.admit(5, Role::Writer, None);
    by(&mut w, 1, 0, access(&[c]), void(NotOwner));
    let c = w.remove(0, &[ann]);
    by(&mut w, 1, 0, c, void(NotOwner));
    by(&mut w, 1, 0, access(&[AccessChange::Rules { rules: 2 }]), void(NotOwner));
    by(&mut w, 1, 1, access(&[new_account(2, true)]), void(AccountNotOwner));
    by(&mut w, 1, 0, access(&[new_account(2, false)]), OK);
    let mut forged = new_account(2, false);
    if let AccessChange::Account { name, .. } = &mut forged {
        name.push('x');
    }
    by(&mut w, 1, 0, access(&[forged]), void(BadAccountId));
    let mut forged = w.delegate(1, Delegate::Node(node(2)), None);
    if let AccessChange::Delegate { to, .. } = &mut forged {
        *to = Delegate::Node(node(3));
    }
    by(&mut w, 1, 0, access(&[forged]), void(BadDelegation));
    let mut other_realm = w.delegate(1, Delegate::Node(node(2)), None);
    if let AccessChange::Delegate { signature, .. } = &mut other_realm {
        let elsewhere = p2pdb_model::RealmId(w.blocks[1].cid());
        let key = account_key(1);
        let d = p2pdb_access::delegation(account(1), Delegate::Node(node(2)), None, &key, Some(&elsewhere));
        if let AccessChange::Delegate { signature: s, .. } = d {
            *signature = s;
        }
    }
    by(&mut w, 1, 0, access(&[other_realm]), void(BadDelegation));
    by(
        &mut w,
        0,
        0,
        access(&[AccessChange::Genesis { name: String::new(), nonce: [0; 16] }]),
        void(NotGenesis),
    );
    by(&mut w, 0, 0, access(&[AccessChange::Rules { rules: 1 }]), void(RulesNotNext));
    let c = w.admit(6, Role::Writer, Some(3));
    by(&mut w, 1, 0, access(&[c]), void(UnknownTicket));
    let mixed = [w.remove(1, &[ann]), row()].concat();
    by(&mut w, 0, 0, mixed, void(MixedRemoval));
    let u = AccessChange::Undelegate { account: account(0), from: Delegate::Node(node(1)), seen: vec![] };
    by(&mut w, 1, 1, access(&[u]), void(NotGranted));
    let half = [access(&[new_account(2, false), enrol(0, Role::Writer, 1, None)]), row()].concat();
    by(&mut w, 1, 0, half, void(MixedAccess));
    expect(&w, &cases);
}

#[test]
fn a_removal_voids_what_it_had_not_seen_and_nothing_else() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let a = w.write(1, &[m], 0, row());
    let b = w.write(1, &[], 0, row());
    let r = w.remove(1, &[b]);
    let r = w.write(0, &[b], 0, r);
    let unaware = w.write(1, &[], 0, row());
    let aware = w.write(1, &[r], 0, row());
    let back = with_member(&mut w, 1, Role::Writer);
    let again = w.write(1, &[back], 0, row());
    expect(
        &w,
        &[
            (a, OK),
            (b, OK),
            (r, OK),
            (unaware, void(Reason::BeyondRemoval)),
            (aware, void(Reason::Removed)),
            (back, OK),
            (again, OK),
        ],
    );
}

#[test]
fn what_a_removed_owner_gave_beyond_the_cut_falls_with_it_and_an_admission_unaware_of_the_removal_does_not_help()
 {
    let mut w = World::new();
    let o = with_member(&mut w, 1, Role::Owner);
    let cut = w.write(1, &[o], 0, row());
    let r = w.remove(1, &[cut]);
    let r = w.write(0, &[cut], 0, r);
    // Unaware: node 1 admits node 2, which writes.
    let give = [w.admit(2, Role::Writer, None), w.delegate(0, Delegate::Node(node(2)), None)];
    let give = w.write(1, &[], 0, access(&give));
    let gift = w.write(2, &[give], 0, row());
    // And itself once more.
    let selfish = w.admit(1, Role::Owner, None);
    let selfish = w.write(1, &[], 0, access(&[selfish]));
    let late = w.write(1, &[], 0, row());
    expect(
        &w,
        &[
            (cut, OK),
            (r, OK),
            (give, void(Reason::BeyondRemoval)),
            (gift, void(Reason::NotMember)),
            (selfish, void(Reason::BeyondRemoval)),
            (late, void(Reason::BeyondRemoval)),
        ],
    );
}

#[test]
fn a_switch_of_the_rules_counts_where_it_is_known_and_its_authors_removal_is_not() {
    let mut w = World::new();
    let o = with_member(&mut w, 1, Role::Owner);
    let m = with_member(&mut w, 2, Role::Writer);
    let before = w.write(2, &[m], 0, row());
    let switch = w.write(1, &[o], 0, access(&[AccessChange::Rules { rules: 2 }]));
    let behind = w.write(2, &[switch], 0, row());
    // Unaware: its author is removed, and somebody who may not switches further.
    let r = w.remove(1, &[o]);
    let r = w.write(0, &[before], 0, r);
    let not_an_owner = w.write(2, &[], 0, access(&[AccessChange::Rules { rules: 3 }]));
    let both = w.write(0, &[behind], 0, row());
    expect(
        &w,
        &[
            (switch, void(Reason::BeyondRemoval)),
            (behind, OK),
            (r, OK),
            (not_an_owner, void(Reason::NotOwner)),
        ],
    );
    let seen = Observer::run(&w, 1);
    let rules = |i: usize| seen.access.rules_after(std::slice::from_ref(&seen.sites[&i].past));
    assert_eq!([before, switch, behind, r, not_an_owner, both].map(rules), [1, 2, 2, 1, 2, 1]);
    assert_eq!(seen.access.rules(), 1);
}

/// Of two uses of a ticket for one the earlier in write order holds; who has not heard of it builds on the later one.
#[test]
fn the_rules_of_a_block_do_not_depend_on_a_ticket_that_it_has_not_heard_of() {
    let mut w = World::new();
    let t = w.write(0, &[], 0, access(&[enrol(0, Role::Owner, 1, None)]));
    let m = with_member(&mut w, 1, Role::Writer);
    let early = w.admit(5, Role::Owner, Some(0));
    let early = w.write(1, &[t, m], 0, access(&[early]));
    let late = [w.admit(6, Role::Owner, Some(0)), w.delegate(0, Delegate::Node(node(6)), None)];
    let late = w.write(0, &[t], 0, access(&late));
    let switch = w.write(6, &[late], 0, access(&[AccessChange::Rules { rules: 2 }]));
    let behind = w.write(0, &[switch], 0, row());
    let heard = w.write(0, &[early], 0, row());
    expect(&w, &[(early, OK), (behind, OK), (heard, OK)]);
    let seen = Observer::run(&w, 1);
    let rules = |i: usize| seen.access.rules_after(std::slice::from_ref(&seen.sites[&i].past));
    assert_eq!([early, behind, heard].map(rules), [1, 2, 1]);
}

#[test]
fn two_owners_of_one_rank_that_remove_each_other_are_both_out() {
    let mut w = World::new();
    let o = [with_member(&mut w, 1, Role::Owner), with_member(&mut w, 2, Role::Owner)];
    let p = [w.write(1, &o, 0, row()), w.write(2, &o, 0, row())];
    let (one, two) = (w.remove(2, &p), w.remove(1, &p));
    let one = w.write(1, &p, 0, one);
    let two = w.write(2, &p, 0, two);
    let after_one = w.write(1, &[], 0, row());
    let after_two = w.write(2, &[], 0, row());
    let beyond = void(Reason::BeyondRemoval);
    expect(&w, &[(one, OK), (two, OK), (after_one, beyond), (after_two, beyond)]);
    let o = Observer::run(&w, 5);
    assert_eq!((o.access.role(node(1)), o.access.role(node(2))), (None, None));
}

#[test]
fn of_two_owners_that_remove_each_other_the_senior_stays() {
    let mut w = World::new();
    let o = with_member(&mut w, 1, Role::Owner);
    let p = w.write(1, &[o], 0, row());
    let senior = w.remove(1, &[p]);
    let junior = w.remove(0, &[p]);
    let junior = w.write(1, &[p], 0, junior);
    let senior = w.write(0, &[p], 0, senior);
    let after_junior = w.write(1, &[], 0, row());
    let after_senior = w.write(0, &[], 0, row());
    let beyond = void(Reason::BeyondRemoval);
    expect(&w, &[(senior, OK), (junior, beyond), (after_junior, beyond), (after_senior, OK)]);
}

#[test]
fn a_fork_below_the_cut_and_a_new_chain_are_beyond_it() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let a = w.write(1, &[m], 0, row());
    let b = w.write(1, &[], 0, row());
    let c = w.write(1, &[], 0, row());
    let r = w.remove(1, &[c]);
    let r = w.write(0, &[c], 0, r);
    w.rewind(1, Some(a));
    let two = w.write(1, &[], 0, access(&[new_account(1, false)]));
    let forked = w.write(1, &[], 0, row());
    w.rewind(1, None);
    let chain = w.write(1, &[m], 0, access(&[new_account(1, true)]));
    let beyond = void(Reason::BeyondRemoval);
    expect(&w, &[(a, OK), (b, OK), (c, OK), (r, OK), (two, beyond), (forked, beyond), (chain, beyond)]);
}

#[test]
fn a_tip_that_the_remover_cannot_have_seen_covers_nothing() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let a = w.write(1, &[m], 0, row());
    let b = w.write(1, &[], 0, row());
    // Names b, but has only a in its past.
    let changes = w.remove(1, &[b]);
    let r = w.write(0, &[a], 0, changes);
    expect(&w, &[(r, OK), (a, void(Reason::BeyondRemoval)), (b, void(Reason::BeyondRemoval))][..1]);
    let verdicts = judge_all(&w);
    assert_eq!(verdicts[&b], void(Reason::BeyondRemoval));
}

#[test]
fn a_ticket_admits_as_many_as_it_may_and_the_first_in_write_order() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let changes = [
        enrol(0, Role::Writer, 1, None),
        enrol(1, Role::Reader, 9, Some(1_004)),
        w.delegate(0, Delegate::Ticket(ticket(0)), None),
    ];
    let t = w.write(0, &[m], 0, access(&changes));
    let one = w.admit(2, Role::Writer, Some(0));
    let two = w.admit(3, Role::Writer, Some(0));
    let twice = one.clone();
    // Concurrent: the stamps are equal, so the lesser node id is first; by hand it is made certain.
    let one = w.write(0, &[t], 0, access(&[one]));
    let pause = w.write(1, &[t], 0, row());
    let two = w.write(1, &[pause], 0, access(&[two]));
    let twice = w.write(1, &[], 0, access(&[twice]));
    let first = w.write(2, &[one], 0, row());
    let second = w.write(3, &[two], 0, row());
    let wrong_role = w.admit(4, Role::Owner, Some(0));
    let wrong_role = w.write(1, &[], 0, access(&[wrong_role]));
    let late = w.admit(4, Role::Reader, Some(1));
    let late = w.write(1, &[], 0, access(&[late]));
    let mut stolen = w.admit(5, Role::Writer, Some(0));
    if let AccessChange::Admit { node: n, .. } = &mut stolen {
        *n = node(6);
    }
    let stolen = w.write(1, &[], 0, access(&[stolen]));
    expect(
        &w,
        &[
            (one, OK),
            (two, void(Reason::TicketUsedUp)),
            (twice, OK),
            (first, OK),
            (second, void(Reason::NotMember)),
            (wrong_role, void(Reason::TicketRole)),
            (late, void(Reason::TicketExpired)),
            (stolen, void(Reason::BadAdmission)),
        ],
    );
    assert!(Observer::run(&w, 3).access.tickets().iter().all(|t| t.role == Role::Reader));
}

#[test]
fn a_ticket_for_one_node_admits_no_other() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let bound = AccessChange::Ticket {
        key: ticket(0),
        role: Role::Writer,
        expires_ms: None,
        uses: 1,
        node: Some(node(3)),
    };
    let t = w.write(0, &[m], 0, access(&[bound]));
    let other = w.admit(2, Role::Writer, Some(0));
    let other = w.write(1, &[t], 0, access(&[other]));
    let named = w.admit(3, Role::Writer, Some(0));
    let named = w.write(1, &[], 0, access(&[named]));
    expect(&w, &[(other, void(Reason::TicketOfAnother)), (named, OK)]);
    let o = Observer::run(&w, 5);
    assert!(o.access.tickets().is_empty(), "used up by the node that it names, by no other");
}

#[test]
fn an_undelegation_cuts_the_account_and_leaves_the_member() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let ann = w.write(0, &[m], 0, access(&writing_ann()));
    let d = w.delegate(1, Delegate::Node(node(1)), Some(2_000_000));
    let d = w.write(0, &[ann], 0, access(&[d]));
    let a = w.write(1, &[d], 0, row());
    let b = w.write(1, &[], 1, row());
    let seen = w.seen(1, &w.below(&[b]));
    let u = AccessChange::Undelegate { account: account(0), from: Delegate::Node(node(1)), seen };
    let u = w.write(0, &[b], 0, access(&[u]));
    let beyond = w.write(1, &[], 0, row());
    let ann_goes_on = w.write(1, &[], 1, row());
    let known = w.write(1, &[u], 0, row());
    let again = w.delegate(0, Delegate::Node(node(1)), None);
    let again = w.write(0, &[], 0, access(&[again]));
    let back = w.write(1, &[again], 0, row());
    expect(
        &w,
        &[
            (a, OK),
            (b, OK),
            (u, OK),
            (beyond, void(Reason::BeyondUndelegation)),
            (ann_goes_on, OK),
            (known, void(Reason::Undelegated)),
            (back, OK),
        ],
    );
}

#[test]
fn of_two_undelegations_the_known_one_is_the_reason() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let m = [m, with_member(&mut w, 2, Role::Writer)];
    let from = Delegate::Node(node(1));
    let mut undelegate = |by| {
        let u = AccessChange::Undelegate { account: account(0), from, seen: vec![] };
        w.write(by, &m, 0, access(&[u]))
    };
    let (known, unknown) = (undelegate(0), undelegate(2));
    let a = w.write(1, &[known], 0, row());
    let b = w.write(1, &[], 0, row());
    let why = void(Reason::Undelegated);
    expect(&w, &[(known, OK), (unknown, OK), (a, why), (b, why)]);
}

#[test]
fn a_delegation_ends_when_it_says() {
    let mut w = World::new();
    // The genesis stands at 1,000 ms and each block a millisecond after what it was written on.
    let ann = w.write(0, &[], 0, access(&writing_ann()));
    let d = w.delegate(1, Delegate::Node(node(0)), Some(1_003));
    let d = w.write(0, &[], 0, access(&[d]));
    let a = w.write(0, &[], 1, row());
    let b = w.write(0, &[], 1, row());
    expect(&w, &[(ann, OK), (d, OK), (a, OK), (b, void(Reason::DelegationExpired))]);
    let o = Observer::run(&w, 1);
    assert!(o.access.may_act(node(0), account(1), Stamp::from_millis(1_003)));
    assert!(!o.access.may_act(node(0), account(1), Stamp::from_millis(1_004)));
}

fn class(offset: u64, stride: u64) -> IdClass {
    IdClass { offset, stride }
}

fn admit_with_ids(
    w: &World,
    who: usize,
    by_ticket: Option<usize>,
    ids: IdClass,
    kept: Option<IdClass>,
) -> AccessChange {
    match w.admit(who, Role::Writer, by_ticket) {
        AccessChange::Admit { node, role, ticket, name, .. } => {
            AccessChange::Admit { node, role, ticket, name, ids: Some(ids), dealer_ids: kept }
        }
        other => other,
    }
}

fn deal(to: usize, ids: IdClass, kept: Option<IdClass>) -> Vec<Change> {
    access(&[AccessChange::DealIds { node: node(to), ids, dealer_ids: kept }])
}

#[test]
fn auto_increment_classes_are_dealt_from_ones_own() {
    let mut w = World::new();
    let o = Observer::run(&w, 0);
    let first = o.access.deal(node(0)).unwrap();
    let c = class;
    assert_eq!((first.ids, first.dealer_ids), (c(1, 8), Some(c(0, 8))));
    let m = admit_with_ids(&w, 1, None, first.ids, first.dealer_ids);
    let d = w.delegate(0, Delegate::Node(node(1)), None);
    let m = w.write(0, &[], 0, access(&[m, d]));
    let second = admit_with_ids(&w, 2, None, c(2, 8), None);
    let second = w.write(0, &[], 0, access(&[second]));
    let split = w.write(1, &[m, second], 0, deal(2, c(9, 64), Some(c(1, 64))));
    // Not their dealers' to give: they give nothing, and take nothing from anybody.
    let greedy = admit_with_ids(&w, 3, None, c(1, 8), None);
    let greedy = w.write(0, &[], 0, access(&[greedy]));
    let foreign = w.write(1, &[], 0, deal(2, c(3, 8), None));
    let reader = AccessChange::Admit {
        node: node(4),
        role: Role::Reader,
        ticket: None,
        ids: Some(c(3, 8)),
        dealer_ids: None,
        name: String::new(),
    };
    let reader = w.write(0, &[], 0, access(&[reader]));
    expect(&w, &[(m, OK), (second, OK), (split, OK), (greedy, OK), (foreign, OK), (reader, OK)]);
    let o = Observer::run(&w, 2);
    assert_eq!(
        o.access.ids(node(0)),
        IdState { own: Some(c(0, 8)), pool: (3..8).map(|i| c(i, 8)).collect() }
    );
    assert_eq!(o.access.ids(node(1)).own, Some(c(1, 64)));
    assert_eq!(o.access.ids(node(2)).own, Some(c(9, 64)), "the later deal counts");
    assert_eq!((o.access.ids(node(3)), o.access.ids(node(4))), Default::default());
    assert_eq!(o.access.without_ids(), [node(3)], "a reader needs none");
}

#[test]
fn a_member_stays_one_when_the_values_that_it_came_with_were_not_its_dealers() {
    let mut w = World::new();
    let c = class;
    let enrolled = w.write(0, &[], 0, access(&[enrol(0, Role::Writer, 1, None)]));
    let one = admit_with_ids(&w, 1, None, c(1, 8), Some(c(0, 8)));
    let two = admit_with_ids(&w, 2, None, c(2, 8), None);
    let delegations = [1, 2, 3].map(|n| w.delegate(0, Delegate::Node(node(n)), None));
    let members = w.write(0, &[enrolled], 0, access(&[vec![one, two], delegations.to_vec()].concat()));
    // Node 1 is dealt values by node 2, and admits node 3 with some of them.
    let dealt = w.write(2, &[members], 0, deal(1, c(10, 64), Some(c(2, 64))));
    let three = admit_with_ids(&w, 3, Some(0), c(10 + 64, 512), Some(c(10, 512)));
    let three = w.write(1, &[dealt], 0, access(&[three]));
    let row_before = w.write(3, &[three], 0, row());
    let o = Observer::run(&w, 0);
    assert_eq!(o.access.ids(node(3)).own, Some(c(74, 512)));
    // Node 0 knows nothing of that deal when it removes node 2.
    let removed = w.write(0, &[], 0, access(&[AccessChange::Remove { node: node(2), seen: vec![] }]));
    let row_after = w.write(3, &[removed], 0, row());
    let why = void(Reason::BeyondRemoval);
    expect(&w, &[(members, OK), (dealt, why), (three, OK), (row_before, OK), (removed, OK), (row_after, OK)]);
    let o = Observer::run(&w, 1);
    assert_eq!(o.access.role(node(3)), Some(Role::Writer));
    assert_eq!(o.access.without_ids(), [node(3)]);
    assert_eq!(o.access.ids(node(1)).own, Some(c(1, 8)), "what it had before");
    let left = o.access.ids(node(2));
    assert_eq!((left.own, left.pool.contains(&c(10, 64))), (Some(c(2, 64)), false), "given away for good");
    let next = o.access.deal(node(0)).unwrap();
    w.write(0, &[row_after], 0, deal(3, next.ids, next.dealer_ids));
    let o = Observer::run(&w, 2);
    assert_eq!(o.access.ids(node(3)).own, Some(next.ids));
    assert!(o.access.without_ids().is_empty());
}

#[test]
fn of_two_deals_of_one_part_the_first_in_write_order_holds() {
    let mut w = World::new();
    let c = class;
    let members: Vec<_> = [1, 2].map(|n| w.admit(n, Role::Writer, None)).to_vec();
    let members = w.write(0, &[], 0, access(&members));
    let one = w.write(0, &[], 0, deal(1, c(1, 8), Some(c(0, 8))));
    // A copy of the node's directory goes on from where it was before.
    w.rewind(0, Some(members));
    let empty = w.write(0, &[], 0, row());
    let two = w.write(0, &[empty], 0, deal(2, c(1, 8), Some(c(0, 8))));
    expect(&w, &[(one, OK), (two, OK)]);
    let o = Observer::run(&w, 0);
    assert_eq!(o.access.ids(node(1)).own, Some(c(1, 8)));
    assert_eq!(o.access.without_ids(), [node(2)]);
}

#[test]
fn the_views_show_the_realm() {
    let mut w = World::new();
    let m = with_member(&mut w, 1, Role::Writer);
    let t = w.write(0, &[m], 0, access(&[enrol(0, Role::Reader, 2, None)]));
    let a = w.admit(2, Role::Reader, Some(0));
    w.write(1, &[t], 0, access(&[a]));
    let o = Observer::run(&w, 0);
    let members: Vec<_> = o.access.members().into_iter().map(|m| (m.node, m.role, m.name)).collect();
    let name = |s: &str| s.to_owned();
    assert_eq!(
        members,
        [
            (node(0), Some(Role::Owner), name("test")),
            (node(1), Some(Role::Writer), name("node 1")),
            (node(2), Some(Role::Reader), name("node 2")),
        ]
    );
    let accounts = o.access.accounts();
    assert_eq!((accounts.len(), accounts[0].name.as_str(), accounts[0].owner), (1, "root", true));
    assert_eq!(accounts[0].delegates, [Delegate::Node(node(0)), Delegate::Node(node(1))]);
    let left = &o.access.tickets()[0];
    assert_eq!(left.uses - left.used, 1);
    assert_eq!(o.access.rules(), 1);
    assert!(!o.access.is_member(node(7)));
    let site = p2pdb_access::Site::now(node(1), Stamp::from_millis(9_999));
    let mut access_now = o.access.clone();
    let mut would =
        |changes: &[Change]| access_now.would_be::<()>(&site, account(0), changes, |_| Ok(None)).unwrap();
    assert_eq!(would(&access(&[new_account(1, false)])), OK);
    assert_eq!(would(&access(&[AccessChange::Rules { rules: 2 }])), void(Reason::NotOwner));
}

#[test]
fn reasons_have_stable_numbers() {
    for r in Reason::ALL {
        assert_eq!(Verdict::from_code(r as u8), Some(void(r)));
        assert!(!r.text().is_empty());
    }
    assert_eq!(Verdict::from_code(0), Some(OK));
    assert_eq!(Verdict::from_code(200), None);
    assert_eq!((Reason::NotMember as u8, Reason::BeyondRemoval as u8), (1, 4));
}
