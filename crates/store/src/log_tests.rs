//! What is appended is read back, by every way there is to read it.

use p2pdb_block::{Proof, node_id};
use p2pdb_model::WeakInserts;
use p2pdb_model::change::Position;

use crate::log_testing::*;
use crate::open_testing::*;
use crate::*;

fn at(transaction: u32, change: u32) -> Position {
    Position { transaction, change }
}

#[test]
fn blocks_are_found_by_name_number_branch_and_order() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let r = Reader::open(w.options()).unwrap();
    assert_eq!((r.last_block().unwrap(), r.last_tx().unwrap()), (BlockNo(7), TxNo(7)));
    for (i, b) in world.blocks.iter().enumerate() {
        let no = BlockNo(i as u64 + 1);
        let record = r.block_by_cid(&b.cid()).unwrap().unwrap();
        assert_eq!((record.no, record.cid, record.author), (no, b.cid(), b.author()));
        assert_eq!((record.seq, record.stamp), (b.seq(), b.stamp()));
        assert_eq!(record.arrived_ms, 1_700_000_000_000 + no.0);
        assert_eq!(r.block_record(no).unwrap(), Some(record));
        let block = r.block(no).unwrap().unwrap();
        assert_eq!(block.bytes(), b.bytes());
        let proof = if i == 2 { Proof::Vouched } else { Proof::Signature };
        assert_eq!((record.proof, block.proof()), (proof, proof));
        assert_eq!(r.block_at(record.branch, b.seq()).unwrap(), Some((no, b.cid())));
        assert_eq!(r.body(no).unwrap().body, *b.body());
        let parts: Vec<Vec<u8>> = b.parts().iter().map(|p| p.bytes.clone()).collect();
        assert_eq!(r.bodies(no).unwrap(), parts);
    }
    assert_eq!(r.bodies(BlockNo(3)).unwrap().len(), 2);
    assert_eq!(r.block_record(BlockNo(8)).unwrap(), None);
    assert!(r.block(BlockNo(0)).unwrap().is_none());
    let mut seen = Vec::new();
    r.scan_blocks(BlockNo(5), |b| {
        seen.push((b.record.no.0, b.envelope.len()));
        Ok(if b.record.no.0 == 6 { STOP } else { NEXT })
    })
    .unwrap();
    assert_eq!(seen, [5, 6].map(|n| (n, world.blocks[n as usize - 1].bytes().len())));
    let mut seqs = Vec::new();
    r.scan_branch(BranchNo(0), 2, |b| {
        seqs.push(b.record.seq);
        Ok(NEXT)
    })
    .unwrap();
    assert_eq!(seqs, [2, 3]);
}

#[test]
fn branches_heads_and_unseen_lists_come_back_as_the_dag_needs_them() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let branches = w.branches().unwrap();
    let short: Vec<_> = branches
        .iter()
        .map(|b| (b.no.0, b.author, b.first, b.fork.map(|f| f.0), b.first_seq, b.tip.no.0))
        .collect();
    let (a, b) = (node_id(&key(1)), node_id(&key(2)));
    let cid = |n: usize| world.blocks[n - 1].cid();
    let expected = [(0, a, cid(1), None, 1, 4), (1, b, cid(3), None, 1, 5), (2, a, cid(1), Some(2), 3, 7)];
    assert_eq!(short, expected);
    let mut heads: Vec<u64> = w.heads().unwrap().iter().map(|h| h.no.0).collect();
    heads.sort_unstable();
    assert_eq!(heads, [5, 7]);
    let unseen: Vec<Vec<u8>> = (1..=7).map(|n| w.unseen(BlockNo(n)).unwrap()).collect();
    assert!(unseen[..5].iter().all(Vec::is_empty));
    assert_eq!(unseen[5..], [vec![1, 2, 3], vec![1, 2, 3]]);
}

#[test]
fn the_last_seq_at_a_block_is_that_of_a_linear_search() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let (a, b) = (key(1), key(2));
    // Interleave two branches unevenly.
    let (mut prev_a, mut prev_b) = (world.blocks[6].clone(), world.blocks[4].clone());
    w.begin().unwrap();
    for n in 0..200u64 {
        if n * n % 7 < 3 {
            prev_a = block(&a, Some(&world.realm), Some(&prev_a), &[], 100 + n, &[]);
            append(&mut w, 2, &prev_a, &prev_a.verified().clone(), Unseen::Nothing);
        } else {
            prev_b = block(&b, Some(&world.realm), Some(&prev_b), &[], 100 + n, &[]);
            append(&mut w, 1, &prev_b, &prev_b.verified().clone(), Unseen::Nothing);
        }
    }
    w.commit().unwrap();
    for branch in 0..4u32 {
        for no in 0..=w.last_block().unwrap().0 {
            let sql =
                format!("SELECT coalesce(max(seq), 0) FROM block WHERE branch = {branch} AND no <= {no}");
            let expected = int(&w, &sql) as u64;
            assert_eq!(w.last_seq_at(BranchNo(branch), BlockNo(no)).unwrap(), expected, "{branch} {no}");
        }
    }
}

#[test]
fn transactions_know_their_place_and_order_of_writing() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let b2 = &world.blocks[1];
    for _ in 0..2 {
        // The second time from memory.
        let tx = w.tx(TxNo(3)).unwrap().unwrap();
        assert_eq!((tx.block, tx.position, tx.account), (BlockNo(2), 1, ACCOUNTS[1]));
        assert_eq!((tx.branch, tx.seq, tx.author, tx.cid), (BranchNo(0), 2, b2.author(), b2.cid()));
        let order = tx.write_order(4);
        assert_eq!((order.stamp, order.author, order.block), (b2.stamp(), b2.author(), b2.cid()));
        assert_eq!(order.position, at(1, 4));
    }
    assert_eq!(w.tx(TxNo(8)).unwrap(), None);
    let ranges: Vec<_> = (1..=7).map(|n| w.transactions_of(BlockNo(n)).unwrap()).collect();
    assert_eq!(ranges, [1..2, 2..4, 4..5, 5..6, 6..6, 6..7, 7..8]);
    assert!(w.transactions_of(BlockNo(8)).is_err());
}

#[test]
fn single_changes_are_read_by_place_and_by_byte() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let r = Reader::open(w.options()).unwrap();
    for (i, b) in world.blocks.iter().enumerate() {
        let no = BlockNo(i as u64 + 1);
        for (t, transaction) in b.body().transactions().iter().enumerate() {
            for (c, change) in transaction.changes().iter().enumerate() {
                let place = at(t as u32, c as u32);
                let offset = b.index().get(place).unwrap().offset;
                assert_eq!(r.change_at(no, offset).unwrap(), *change);
                assert_eq!(w.change(no, place).unwrap(), *change);
                assert_eq!(w.change_at(no, offset).unwrap(), *change);
            }
        }
    }
    assert!(matches!(w.change(BlockNo(2), at(2, 0)), Err(StoreError::NotFound(_))));
    assert!(matches!(r.change_at(BlockNo(2), 1 << 20), Err(StoreError::NotFound(_))));
}

#[test]
fn verdicts_change_and_void_transactions_are_listed() {
    let (_dir, mut w) = new_store();
    fill(&mut w);
    w.begin().unwrap();
    w.set_verdict(TxNo(3), Verdict(5), &WeakInserts::NONE).unwrap();
    w.set_verdict(TxNo(5), Verdict(u16::MAX), &WeakInserts::NONE).unwrap();
    w.set_verdict(TxNo(6), Verdict(1), &WeakInserts::NONE).unwrap();
    w.set_verdict(TxNo(6), Verdict::ACCEPTED, &WeakInserts::NONE).unwrap();
    assert!(matches!(w.set_verdict(TxNo(99), Verdict(1), &WeakInserts::NONE), Err(StoreError::NotFound(_))));
    w.commit().unwrap();
    let mut void = Vec::new();
    w.scan_void(TxNo(0), |tx, v| {
        void.push((tx.0, v.0));
        Ok(NEXT)
    })
    .unwrap();
    assert_eq!(void, [(3, 5), (5, u16::MAX)]);
    assert_eq!(w.verdict(TxNo(6)).unwrap(), Some(Verdict::ACCEPTED));
    assert!(w.verdict(TxNo(6)).unwrap().unwrap().is_accepted());
    assert_eq!(w.verdict(TxNo(99)).unwrap(), None);
}

#[test]
fn places_of_access_changes_are_listed_in_order() {
    let (_dir, mut w) = new_store();
    fill(&mut w);
    let mut all = Vec::new();
    w.scan_access(|a| {
        all.push(a);
        Ok(NEXT)
    })
    .unwrap();
    assert_eq!(all, [AccessAt { block: BlockNo(1), position: at(0, 0) }]);
}

#[test]
fn a_rolled_back_block_leaves_no_trace_and_its_numbers_are_given_out_again() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let b = key(2);
    let first = block(&b, Some(&world.realm), Some(&world.blocks[4]), &[], 50, &[(0, vec![insert(50, "a")])]);
    let other = block(&b, Some(&world.realm), Some(&world.blocks[4]), &[], 51, &[(1, vec![insert(51, "b")])]);
    for savepoint in [false, true] {
        w.begin().unwrap();
        let s = w.savepoint().unwrap();
        assert_eq!(append(&mut w, 1, &first, first.verified(), Unseen::Nothing), TxNo(8));
        assert_eq!(w.next_numbers().unwrap(), (BlockNo(9), TxNo(9)));
        // Into the caches.
        assert_eq!(w.tx(TxNo(8)).unwrap().unwrap().cid, first.cid());
        assert_eq!(w.body(BlockNo(8)).unwrap().body, *first.body());
        if savepoint {
            w.rollback_to(s).unwrap();
        } else {
            w.rollback().unwrap();
            w.begin().unwrap();
        }
        assert_eq!(w.next_numbers().unwrap(), (BlockNo(8), TxNo(8)));
        assert_eq!(append(&mut w, 1, &other, other.verified(), Unseen::Nothing), TxNo(8));
        assert_eq!(w.tx(TxNo(8)).unwrap().unwrap().cid, other.cid());
        assert_eq!(w.body(BlockNo(8)).unwrap().body, *other.body());
        w.rollback().unwrap();
        assert_eq!(w.last_block().unwrap(), BlockNo(7));
    }
}

#[test]
#[should_panic(expected = "in the order of their numbers")]
fn a_block_with_a_wrong_number_is_a_bug_that_is_caught() {
    let (_dir, mut w) = new_store();
    let world = fill(&mut w);
    let b = block(&key(2), Some(&world.realm), Some(&world.blocks[4]), &[], 50, &[]);
    w.begin().unwrap();
    let _ = w.append_block(&NewBlock {
        no: BlockNo(9),
        block: b.verified(),
        bodies: &[],
        branch: BranchNo(1),
        unseen: Unseen::Nothing,
        heads_gone: &[],
        arrived_ms: 0,
        transactions: &[],
        access: &[],
    });
}
