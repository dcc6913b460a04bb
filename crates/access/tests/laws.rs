//! The law: whatever the order of arrival, the same members, accounts, tickets and verdicts; and the verdicts
//! kept along the way, changed only where the fold says so, are those that would be judged afresh.

mod common;

use std::collections::BTreeSet;

use common::*;
use p2pdb_access::*;
use p2pdb_model::change::*;
use p2pdb_model::{AccountId, ObjectId, Privileges};
use quickcheck::{Arbitrary, Gen, QuickCheck};

const NODES: usize = 4;

#[derive(Clone, Debug)]
enum Act {
    Row,
    Admit { who: usize, role: u8, ticket: Option<usize> },
    Ticket { ticket: usize, role: u8 },
    Remove { who: usize },
    Account { n: usize, owner: bool },
    Delegate { account: usize, to: Result<usize, usize> },
    Undelegate { account: usize, from: Result<usize, usize> },
    Rows(usize),
    Create { other: bool },
    Grant { to: usize, on: usize, what: usize, option: bool },
    Revoke { from: usize, on: usize, what: usize, keep: bool },
    Role,
    GrantRole { to: usize, admin: bool },
    RevokeRole { from: usize, keep: bool },
    Drop { account: usize },
    Key { account: usize },
    DropKey { account: usize, keep: bool },
}

/// Accounts 0 to 2, a role, whoever owns the row.
fn holder(n: usize) -> AccountId {
    match n {
        0..=2 => account(n),
        3 => role("nurse"),
        _ => AccountId::ROW_OWNER,
    }
}

fn object(n: usize) -> Option<ObjectId> {
    [None, Some(database("shop")), Some(table("shop", "till")), Some(database("other"))][n]
}

fn rights(n: usize, option: bool) -> Rights {
    let whole = [Privileges::DELETE, Privileges::INSERT, Privileges::UPDATE, Privileges::ALL][n % 4];
    match n {
        4 => Rights::columns([(column("a").tag(), Privileges::UPDATE)]),
        5 => Rights::columns([
            (column("a").tag(), Privileges::UPDATE),
            (column("b").tag(), Privileges::SELECT),
        ]),
        _ if option => Rights::whole(whole | Privileges::GRANT_OPTION),
        _ => Rights::whole(whole),
    }
}

/// (author, learn from, account, act).
#[derive(Clone, Debug)]
struct Step(usize, Option<usize>, usize, Act);

impl Arbitrary for Step {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut n = |max: usize| usize::arbitrary(g) % max;
        let to = |n: &mut dyn FnMut(usize) -> usize| if n(2) == 0 { Ok(n(NODES)) } else { Err(n(2)) };
        let act = match n(36) {
            0..=6 => Act::Row,
            16..=20 => Act::Rows(n(5)),
            21 => Act::Create { other: n(2) == 0 },
            22..=25 => Act::Grant { to: 1 + n(4), on: n(4), what: n(6), option: n(2) == 0 },
            26..=28 => Act::Revoke { from: n(5), on: n(4), what: n(6), keep: n(2) == 0 },
            29 => Act::Role,
            30 => Act::GrantRole { to: 1 + n(2), admin: n(2) == 0 },
            31 => Act::RevokeRole { from: 1 + n(2), keep: n(2) == 0 },
            32 => Act::Drop { account: 1 + n(3) },
            33 => Act::Key { account: n(2) },
            34..=35 => Act::DropKey { account: n(2), keep: n(2) == 0 },
            7..=9 => Act::Admit { who: n(NODES), role: n(4) as u8, ticket: [None, Some(0), Some(1)][n(3)] },
            10 => Act::Ticket { ticket: n(2), role: 2 + n(2) as u8 },
            11..=12 => Act::Remove { who: n(NODES) },
            13 => Act::Account { n: n(3), owner: n(2) == 0 },
            14 => Act::Delegate { account: n(2), to: to(&mut n) },
            _ => Act::Undelegate { account: n(2), from: to(&mut n) },
        };
        // The genesis author and root act most, so that not everything is void.
        let author = [0, 0, 1, 1, 2, 3][n(6)];
        let learn = (n(3) > 0).then(|| n(NODES));
        Step(author, learn, [0, 0, 0, 1, 1, 2][n(6)], act)
    }
}

fn delegate(to: &Result<usize, usize>) -> Delegate {
    match to {
        Ok(n) => Delegate::Node(node(*n)),
        Err(t) => Delegate::Ticket(ticket(*t)),
    }
}

fn world(steps: &[Step]) -> World {
    let mut w = World::new();
    // A start that lets things happen: two members more, one of them an owner, and a ticket each.
    let start = [
        w.admit(1, Role::Owner, None),
        w.delegate(0, Delegate::Node(node(1)), None),
        w.admit(2, Role::Writer, None),
        w.delegate(0, Delegate::Node(node(2)), None),
        AccessChange::Ticket { key: ticket(0), role: Role::Writer, expires_ms: None, uses: 1 },
        w.delegate(0, Delegate::Ticket(ticket(0)), None),
        new_account(1, false),
        w.delegate(1, Delegate::Node(node(1)), None),
        w.delegate(1, Delegate::Node(node(0)), None),
        grant(account(1), object(1), rights(3, true)),
        new_role("nurse"),
        w.admit(3, Role::Writer, Some(0)),
    ];
    w.write(0, &[], 0, access(&start));
    w.write(0, &[], 0, create_database("shop"));
    w.write(0, &[], 0, create_table("shop", "till"));
    let mut views: Vec<BTreeSet<usize>> = vec![[0, 1, 2, 3].into(); NODES];
    for Step(author, learn, by, act) in steps {
        if let Some(from) = learn {
            let other = views[*from].clone();
            views[*author].extend(other);
        }
        let view = views[*author].clone();
        let member_role = |n: u8| Role::from_u8(n).unwrap();
        // Up to what was written by node 1, the rest of what was seen falls.
        let keep = |keep: bool| keep.then(|| w.seen(1, &view));
        let changes = match act {
            Act::Row => row(),
            Act::Admit { who, role: r, ticket } => access(&[w.admit(*who, member_role(*r), *ticket)]),
            Act::Ticket { ticket: t, role: r } => access(&[AccessChange::Ticket {
                key: ticket(*t),
                role: member_role(*r),
                expires_ms: None,
                uses: 1 + *t as u32,
            }]),
            Act::Remove { who } => {
                access(&[AccessChange::Remove { node: node(*who), seen: w.seen(*who, &view) }])
            }
            Act::Account { n, owner } => access(&[new_account(*n, *owner)]),
            Act::Delegate { account, to } => access(&[w.delegate(*account, delegate(to), None)]),
            Act::Undelegate { account: a, from } => {
                let seen = (0..NODES).flat_map(|n| w.seen(n, &view)).collect();
                let from = delegate(from);
                access(&[AccessChange::Undelegate { account: account(*a), from, seen }])
            }
            Act::Rows(n) => [insert, update_a, update_all, refer, other_row][*n](),
            Act::Create { other: false } => create_table("shop", "till"),
            Act::Create { other: true } => create_table("other", "till"),
            Act::Grant { to, on, what, option } => {
                access(&[grant(holder(*to), object(*on), rights(*what, *option))])
            }
            Act::Revoke { from, on, what, keep: k } => access(&[AccessChange::Revoke {
                from: holder(*from),
                on: object(*on),
                rights: rights(*what, true),
                keep: keep(*k),
            }]),
            Act::Role => access(&[new_role("nurse")]),
            Act::GrantRole { to, admin } => {
                let (role, to) = (role("nurse"), account(*to));
                access(&[AccessChange::GrantRole { role, to, admin: *admin, until_ms: None }])
            }
            Act::RevokeRole { from, keep: k } => {
                let (role, from) = (role("nurse"), account(*from));
                access(&[AccessChange::RevokeRole { role, from, keep: keep(*k) }])
            }
            Act::Drop { account } => {
                access(&[AccessChange::DropAccount { account: holder(*account), keep: None }])
            }
            Act::Key { account: a } => {
                let delegate = w.delegate_by(*a, 7, Delegate::Node(node(1)));
                access(&[AccessChange::AddKey { account: account(*a), key: key(7) }, delegate])
            }
            Act::DropKey { account: a, keep: k } => {
                let key = key(if *k { 7 } else { *a });
                access(&[AccessChange::DropKey { account: account(*a), key, keep: keep(*k) }])
            }
        };
        let i = w.write_on(*author, view, *by, changes);
        views[*author].insert(i);
    }
    w
}

#[test]
fn any_order_of_arrival_gives_the_same_members_and_verdicts() {
    fn law(steps: Vec<Step>) -> bool {
        judge_all(&world(&steps));
        true
    }
    QuickCheck::new().rng(Gen::new(40)).tests(300).quickcheck(law as fn(Vec<Step>) -> bool);
}

#[test]
fn the_worlds_of_the_law_are_rich() {
    // Without this the law might hold for want of anything happening.
    let mut g = Gen::from_size_and_seed(90, 7);
    let mut seen = BTreeSet::new();
    let mut flips = 0;
    for _ in 0..150 {
        let w = world(&Vec::arbitrary(&mut g));
        let o = Observer::run(&w, 1);
        seen.extend(o.verdicts.values().map(|v| v.code()));
        let mut fresh = Observer::new(&w);
        for i in 0..w.blocks.len() {
            let before = fresh.verdicts.clone();
            fresh.apply(&w, i);
            flips += before.iter().filter(|(i, v)| fresh.verdicts[i] != **v).count();
        }
    }
    use Reason::*;
    let expected = [
        NotMember,
        RoleDoesNotWrite,
        Removed,
        BeyondRemoval,
        UnknownAccount,
        NoDelegation,
        Undelegated,
        BeyondUndelegation,
        NotOwner,
        AccountNotOwner,
        TicketUsedUp,
        NotGranted,
        Revoked,
        BeyondRevocation,
        Dropped,
        BeyondDrop,
        NotGrantable,
    ];
    for r in expected {
        assert!(seen.contains(&(r as u8)), "{r:?} never happened");
    }
    assert!(flips > 50, "only {flips} verdicts changed when blocks arrived");
}
