//! What it costs to judge a transaction, with one account and with 1,000 accounts that have 10,000 grants.
//!
//! `cargo bench -p p2pdb-access --bench judge`

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;
use std::time::Instant;

use common::*;
use p2pdb_access::{Access, Site, delegation};
use p2pdb_block::SigningKey;
use p2pdb_block::sign::public_key;
use p2pdb_dag::{BlockNo, BranchNo, Past, Place, Unseen};
use p2pdb_model::change::{AccessChange, Delegate, Layout, Rights};
use p2pdb_model::ids::Cid;
use p2pdb_model::{AccountId, Change, Privileges, Stamp};

/// Accounts beside root.
const ACCOUNTS: u64 = 1_000;
/// Grants that each of them has.
const GRANTS: usize = 10;
/// Judgements per measurement.
const ROUNDS: u32 = 200_000;

fn key(n: u64) -> SigningKey {
    let mut seed = [7; 32];
    seed[..8].copy_from_slice(&n.to_be_bytes());
    SigningKey::from_bytes(&seed)
}

fn site(no: u64) -> Site {
    let place = Place { no: BlockNo(no), branch: BranchNo(0), seq: no };
    let (block, chain) = (Cid::default(), Cid::default());
    let stamp = Stamp::from_millis(1_000 + no);
    Site { block, author: node(0), stamp, chain, past: Past::new(place, Unseen::NONE) }
}

fn main() {
    let w = World::new();
    let mut o = Observer::new(&w);
    o.apply(&w, 0);
    let mut access: Access = o.access;
    let layouts = vec![Layout(table("shop", "till"), 1, vec![column("id").tag(), column("a").tag()])];
    let changes = insert();
    let mut no = 2;
    let mut give = |access: &mut Access, changes: Vec<AccessChange>| {
        let changes: Vec<Change> = changes.into_iter().map(Change::Access).collect();
        let mut at = site(no);
        // A name of its own.
        at.block = p2pdb_block::cid::of_raw(&no.to_be_bytes());
        no += 1;
        let judged = access.insert::<()>(at, 0, account(0), &changes, |_| Ok(None)).expect("no store");
        assert!(judged.verdict.is_accepted(), "{:?}", judged.verdict);
    };
    let measure = |what: &str, access: &Access, who: AccountId| {
        let at = site(1 << 40);
        assert!(access.judge_rows(&at, 0, who, &layouts, &changes).is_accepted(), "{what}");
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            black_box(access.judge_rows(black_box(&at), 0, who, &layouts, &changes));
        }
        println!("{what}: {} ns a transaction", begun.elapsed().as_nanos() / u128::from(ROUNDS));
    };
    measure("root, alone", &access, account(0));
    let begun = Instant::now();
    let mut last = account(0);
    for n in 0..ACCOUNTS {
        let public = public_key(&key(n));
        let name = format!("user{n}");
        let id = AccountId::derive(&name, "%", &public);
        let mut changes = vec![
            AccessChange::Account { id, name, host: "%".to_owned(), key: public, owner: false },
            delegation(id, Delegate::Node(node(0)), None, &key(n), Some(&w.realm)),
        ];
        for g in 0..GRANTS {
            let on = if g == 0 { table("shop", "till") } else { table("shop", &format!("t{g}")) };
            changes.push(grant(id, Some(on), Rights::whole(Privileges::INSERT | Privileges::SELECT)));
        }
        give(&mut access, changes);
        last = id;
    }
    let all = ACCOUNTS as usize * GRANTS;
    println!("{ACCOUNTS} accounts and {all} grants taken in: {} ms", begun.elapsed().as_millis());
    measure("root, among them", &access, account(0));
    measure("one of them", &access, last);
    let begun = Instant::now();
    give(&mut access, vec![revoke(last, Some(table("shop", "t1")), Rights::whole(Privileges::INSERT))]);
    println!("a revocation: {} us", begun.elapsed().as_micros());
}
