//! The law: whatever the order of arrival, the same members, accounts, tickets and verdicts; and the verdicts
//! kept along the way, changed only where the fold says so, are those that would be judged afresh.

mod common;

use std::collections::BTreeSet;

use common::*;
use p2pdb_access::*;
use p2pdb_model::change::*;
use p2pdb_model::{AccountId, Change, ObjectId, Privileges};
use quickcheck::{Arbitrary, Gen, QuickCheck};

const NODES: usize = 5;
/// Those that may write at first.
const WRITERS: usize = 4;

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
    Deal { to: usize },
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
        let act = match n(39) {
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
            36..=38 => Act::Deal { to: n(NODES) },
            34..=35 => Act::DropKey { account: n(2), keep: n(2) == 0 },
            7..=9 => Act::Admit { who: n(NODES), role: n(4) as u8, ticket: [None, Some(0), Some(1)][n(3)] },
            10 => Act::Ticket { ticket: n(2), role: 2 + n(2) as u8 },
            11..=12 => Act::Remove { who: n(NODES) },
            13 => Act::Account { n: n(3), owner: n(2) == 0 },
            14 => Act::Delegate { account: n(2), to: to(&mut n) },
            _ => Act::Undelegate { account: n(2), from: to(&mut n) },
        };
        // The genesis author and root act most, so that not everything is void.
        let author = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4][n(13)];
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

/// What is dealt in a world: what its dealers have to deal then, or what nobody has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deals {
    Own,
    Nobodys,
}

/// What a world came to, and from which class each writer could draw whenever it wrote: (writer, block, class).
struct Told {
    world: World,
    drawn: Vec<(usize, usize, IdClass)>,
}

fn world(steps: &[Step]) -> World {
    told(steps, Deals::Own).world
}

fn told(steps: &[Step], deals: Deals) -> Told {
    let mut w = World::new();
    // A start that lets things happen: members of each kind, and a ticket each.
    let start = [
        w.admit(1, Role::Owner, None),
        w.delegate(0, Delegate::Node(node(1)), None),
        w.admit(2, Role::Writer, None),
        w.delegate(0, Delegate::Node(node(2)), None),
        AccessChange::Ticket { key: ticket(0), role: Role::Writer, expires_ms: None, uses: 1, node: None },
        w.delegate(0, Delegate::Ticket(ticket(0)), None),
        new_account(1, false),
        w.delegate(1, Delegate::Node(node(1)), None),
        w.delegate(1, Delegate::Node(node(0)), None),
        grant(account(1), object(1), rights(3, true)),
        new_role("nurse"),
        w.admit(3, Role::Writer, Some(0)),
        w.admit(4, Role::Reader, None),
        w.delegate(0, Delegate::Node(node(4)), None),
    ];
    w.write(0, &[], 0, access(&start));
    let nobodys = Deal { ids: IdClass { offset: 2, stride: 3 }, dealer_ids: None };
    w.write(0, &[], 0, create_database("shop"));
    w.write(0, &[], 0, create_table("shop", "till"));
    for to in 1..WRITERS {
        let deal = match deals {
            Deals::Own => Observer::run(&w, 0).access.deal(node(0)).unwrap_or(nobodys),
            Deals::Nobodys => nobodys,
        };
        let Deal { ids, dealer_ids } = deal;
        w.write(0, &[], 0, access(&[AccessChange::DealIds { node: node(to), ids, dealer_ids }]));
    }
    let mut views: Vec<BTreeSet<usize>> = vec![(0..w.blocks.len()).collect(); NODES];
    let mut eyes: Vec<Observer> = (0..NODES).map(|_| Observer::new(&w)).collect();
    let mut drawn = Vec::new();
    for Step(author, learn, by, act) in steps {
        if let Some(from) = learn {
            let other = views[*from].clone();
            views[*author].extend(other);
        }
        let view = views[*author].clone();
        let eye = &mut eyes[*author];
        for i in &view {
            if !eye.sites.contains_key(i) {
                eye.apply(&w, *i);
            }
        }
        let block = w.blocks.len();
        drawn.extend(eye.access.ids(node(*author)).own.map(|class| (*author, block, class)));
        let deal = match deals {
            Deals::Own => eye.access.deal(node(*author)).unwrap_or(nobodys),
            Deals::Nobodys => nobodys,
        };
        let member_role = |n: u8| Role::from_u8(n).unwrap();
        // Up to what was written by node 1, the rest of what was seen falls.
        let keep = |keep: bool| keep.then(|| w.seen(1, &view));
        let changes = match act {
            Act::Row => row(),
            Act::Admit { who, role: r, ticket } => {
                let mut admit = w.admit(*who, member_role(*r), *ticket);
                if let AccessChange::Admit { ids, dealer_ids, .. } = &mut admit {
                    (*ids, *dealer_ids) = (Some(deal.ids), deal.dealer_ids);
                }
                access(&[admit])
            }
            Act::Deal { to } => {
                let Deal { ids, dealer_ids } = deal;
                access(&[AccessChange::DealIds { node: node(*to), ids, dealer_ids }])
            }
            Act::Ticket { ticket: t, role: r } => access(&[AccessChange::Ticket {
                key: ticket(*t),
                role: member_role(*r),
                expires_ms: None,
                uses: 1 + *t as u32,
                // Some of them are for one node alone.
                node: (*r % 3 == 1).then(|| node(*t)),
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
    Told { world: w, drawn }
}

fn overlap(a: IdClass, b: IdClass) -> bool {
    let least = a.stride.min(b.stride);
    a.offset % least == b.offset % least
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
fn what_is_dealt_decides_no_verdict() {
    fn law(steps: Vec<Step>) -> bool {
        let (own, nobodys) = (told(&steps, Deals::Own).world, told(&steps, Deals::Nobodys).world);
        let none = Observer::run(&nobodys, 1);
        assert_eq!(Observer::run(&own, 1).verdicts, none.verdicts);
        assert_eq!(none.access.ids(node(0)), IdState::received(IdClass::ALL));
        (1..NODES).all(|n| none.access.ids(node(n)) == IdState::default())
    }
    QuickCheck::new().rng(Gen::new(40)).tests(300).quickcheck(law as fn(Vec<Step>) -> bool);
}

#[test]
fn two_nodes_that_do_not_see_each_other_never_draw_from_one_class() {
    fn law(steps: Vec<Step>) -> bool {
        let Told { world, drawn } = told(&steps, Deals::Own);
        // Who saw what another has drawn from a class, before a part of it was dealt, draws beyond that.
        let saw = |i: usize, j: usize| world.pasts[i].contains(&j) || world.pasts[j].contains(&i);
        for (n, (a, i, of_a)) in drawn.iter().enumerate() {
            for (b, j, of_b) in drawn[..n].iter().filter(|(b, ..)| a != b) {
                let apart = saw(*i, *j) || !overlap(*of_a, *of_b);
                assert!(apart, "node {a} drew from {of_a:?} in block {i}, node {b} from {of_b:?} in {j}");
            }
        }
        let end = Observer::run(&world, 1);
        let owns = |n: usize| {
            let IdState { own, pool } = end.access.ids(node(n));
            own.into_iter().chain(pool)
        };
        let all: Vec<IdClass> = (0..NODES).flat_map(owns).collect();
        all.iter().enumerate().all(|(i, a)| all[..i].iter().all(|b| !overlap(*a, *b)))
    }
    QuickCheck::new().rng(Gen::new(60)).tests(600).quickcheck(law as fn(Vec<Step>) -> bool);
}

#[test]
fn the_worlds_of_the_law_are_rich() {
    // Without this the law might hold for want of anything happening.
    let mut g = Gen::from_size_and_seed(90, 7);
    let mut seen = BTreeSet::new();
    let (mut flips, mut drawing, mut void_deals) = (0, 0, 0);
    for _ in 0..150 {
        let Told { world: w, drawn } = told(&Vec::arbitrary(&mut g), Deals::Own);
        drawing += drawn.iter().map(|(n, ..)| n).collect::<BTreeSet<_>>().len();
        let o = Observer::run(&w, 1);
        seen.extend(o.verdicts.values().map(|v| v.code()));
        let deals = |c: &Change| matches!(c, Change::Access(AccessChange::DealIds { .. }));
        let has_deal = |i: &usize| w.blocks[*i].body().transactions()[0].changes().iter().any(deals);
        void_deals += o.verdicts.iter().filter(|(i, v)| !v.is_accepted() && has_deal(i)).count();
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
    assert!(drawing > 400 && void_deals > 100, "{drawing} nodes drew, {void_deals} deals were void");
}
