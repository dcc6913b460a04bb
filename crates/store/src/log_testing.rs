//! Blocks to fill a log with: two authors, a fork, a merge block, access changes, several transactions, chunks.

use p2pdb_block::{
    BodyBuilder, DecodedBlock, Draft, FullBlock, Proof, RawBlock, SigningKey, VerifiedBlock, node_id, seal,
};
use p2pdb_model::change::{AccessChange, Layout, Position, RowChange};
use p2pdb_model::ids::{Cid, ObjectId};
use p2pdb_model::{AccountId, Change, ColumnTag, RealmId, RowKey, Stamp, Value, WeakInserts};

use crate::*;

pub(crate) const ACCOUNTS: [AccountId; 2] = [AccountId([1; 16]), AccountId([2; 16])];

pub(crate) fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

/// A row insert into the one table of these tests.
pub(crate) fn insert(id: i64, text: &str) -> Change {
    let values = vec![Value::Int(id), Value::Text(text.to_owned())];
    Change::Row(RowChange::Insert { layout: 0, key: None, generated: false, values })
}

pub(crate) fn delete(id: i64) -> Change {
    Change::Row(RowChange::Delete { layout: 0, key: RowKey::int(id), cause: None })
}

pub(crate) fn layouts() -> Vec<Layout> {
    vec![Layout(ObjectId([7; 16]), 1, vec![ColumnTag(1), ColumnTag(2)])]
}

/// Seals a block with these transactions (account, changes).
pub(crate) fn block(
    key: &SigningKey,
    realm: Option<&RealmId>,
    prev: Option<&FullBlock>,
    parents: &[&FullBlock],
    stamp: u64,
    transactions: &[(usize, Vec<Change>)],
) -> FullBlock {
    let mut body = BodyBuilder::default();
    for (account, changes) in transactions {
        body.push(ACCOUNTS[*account], &layouts(), changes.clone()).expect("a good transaction");
    }
    let draft = Draft {
        rules: 1,
        seq: prev.map_or(1, |p| p.seq() + 1),
        prev: prev.map(|p| p.cid()),
        parents: parents.iter().map(|p| p.cid()).collect(),
        stamp: Stamp(stamp),
    };
    seal(draft, body.finish(), key, realm).expect("a good block")
}

/// The same block as one that only its successor vouches for.
pub(crate) fn vouched(b: &FullBlock) -> VerifiedBlock {
    let decoded: DecodedBlock = RawBlock(b.bytes().to_vec()).decode().expect("a good block");
    decoded.trusted(Proof::Vouched)
}

/// Appends a block inside the open transaction.
pub(crate) fn append(
    w: &mut Writer,
    branch: u32,
    full: &FullBlock,
    verified: &VerifiedBlock,
    unseen: Unseen<'_>,
) -> TxNo {
    let (no, _) = w.next_numbers().expect("numbers");
    let body = full.body();
    let mut access = Vec::new();
    for (t, transaction) in body.transactions().iter().enumerate() {
        for (c, change) in transaction.changes().iter().enumerate() {
            if change.bears_on_verdicts() {
                access.push(Position { transaction: t as u32, change: c as u32 });
            }
        }
    }
    let transactions: Vec<NewTransaction> = body
        .transactions()
        .iter()
        .map(|t| NewTransaction {
            account: body.accounts()[t.account()],
            verdict: Verdict::ACCEPTED,
            weak: WeakInserts::NONE,
        })
        .collect();
    let heads_gone: Vec<Cid> = full.header().all_parents().copied().collect();
    w.append_block(&NewBlock {
        no,
        block: verified,
        bodies: full.parts(),
        branch: BranchNo(branch),
        unseen,
        heads_gone: &heads_gone,
        arrived_ms: 1_700_000_000_000 + no.0,
        transactions: &transactions,
        access: &access,
    })
    .expect("appended")
}

/// A log with everything in it; the blocks in the order of application.
pub(crate) struct World {
    pub(crate) realm: RealmId,
    pub(crate) blocks: Vec<FullBlock>,
}

/// Length of the large value in the third block: its body spans two body blocks.
pub(crate) const LARGE_BYTES: usize = 1_100_000;

/// Fills an empty store.
///
/// | no | branch | what |
/// | --- | --- | --- |
/// | 1 | 0 | a genesis |
/// | 2 | 0 | a: two transactions of two accounts |
/// | 3 | 1 | b: a large one, vouched for by 5 |
/// | 4 | 0 | a: merges nothing, a head |
/// | 5 | 1 | b: merge block of 3 and 4 |
/// | 6 | 2 | a forks after 2, does not know 3 to 5 |
/// | 7 | 2 | a goes on with the fork, same unseen list as 6 |
pub(crate) fn fill(w: &mut Writer) -> World {
    fill_sized(w, LARGE_BYTES)
}

/// The same with a value of this length in the third block.
pub(crate) fn fill_sized(w: &mut Writer, bytes: usize) -> World {
    let (a, b) = (key(1), key(2));
    let genesis = Change::Access(AccessChange::Genesis { name: "test".to_owned(), nonce: [9; 16] });
    let b1 = block(&a, None, None, &[], 1, &[(0, vec![genesis])]);
    let realm = RealmId(b1.cid());
    let r = Some(&realm);
    let b2 = block(
        &a,
        r,
        Some(&b1),
        &[],
        2,
        &[(0, vec![insert(1, "one"), insert(2, "two")]), (1, vec![delete(1)])],
    );
    let b3 = block(&b, r, None, &[&b2], 3, &[(1, vec![insert(3, &"x".repeat(bytes))])]);
    let b4 = block(&a, r, Some(&b2), &[], 4, &[(0, vec![insert(4, "four")])]);
    let b5 = block(&b, r, Some(&b3), &[&b4], 5, &[]);
    let b6 = block(&a, r, Some(&b2), &[], 6, &[(0, vec![insert(6, "six")])]);
    let b7 = block(&a, r, Some(&b6), &[], 7, &[(0, vec![insert(7, "seven")])]);
    let blocks = vec![b1, b2, b3, b4, b5, b6, b7];
    w.begin().expect("begun");
    let first = |n: usize| blocks[n - 1].cid();
    let branch = |w: &mut Writer, no, key: &SigningKey, first, fork, first_seq| {
        let author = node_id(key);
        w.add_branch(&NewBranch { no: BranchNo(no), author, first, fork, first_seq }).expect("added");
    };
    branch(w, 0, &a, first(1), None, 1);
    let unseen = [1, 2, 3];
    for (i, full) in blocks.iter().enumerate() {
        let (no, unseen) = match i + 1 {
            3 => (1, Unseen::Nothing),
            5 => (1, Unseen::Nothing),
            6 => (2, Unseen::List(&unseen)),
            7 => (2, Unseen::SameAs(BlockNo(6))),
            _ => (0, Unseen::Nothing),
        };
        match i + 1 {
            3 => branch(w, 1, &b, first(3), None, 1),
            6 => branch(w, 2, &a, first(1), Some(BlockNo(2)), 3),
            _ => {}
        }
        let verified = if i + 1 == 3 { vouched(full) } else { full.verified().clone() };
        append(w, no, full, &verified, unseen);
    }
    w.commit().expect("committed");
    World { realm, blocks }
}
