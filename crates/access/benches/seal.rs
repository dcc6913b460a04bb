//! What it costs to seal and open a cell, and to give a column key to 1,000 readers.
//!
//! `cargo bench -p p2pdb-access --bench seal`

use std::hint::black_box;
use std::time::Instant;

use p2pdb_access::{ColumnKey, SealedColumn};
use p2pdb_block::{SigningKey, node_id};
use p2pdb_model::change::AccessChange;
use p2pdb_model::ids::{Cid, ColumnTag, ObjectId};
use p2pdb_model::sealed::KeyWrap;
use p2pdb_model::{AccountId, Change, RealmId, Value};

/// Cells per measurement.
const ROUNDS: u32 = 200_000;
/// Readers of the column.
const READERS: usize = 1_000;

fn fill(buffer: &mut [u8]) {
    // As cheap as a pool of random bytes: what is measured is the sealing.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let n = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed);
    buffer.iter_mut().zip(n.to_le_bytes().into_iter().cycle()).for_each(|(b, r)| *b = r);
}

fn main() {
    let column =
        SealedColumn { realm: RealmId(Cid::default()), table: ObjectId([1; 16]), column: ColumnTag(2) };
    let key = ColumnKey::generate(column, &mut fill);
    for bytes in [16, 100, 1_000] {
        let value = Value::Text("x".repeat(bytes));
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            black_box(key.seal(black_box(&value), &mut fill));
        }
        let sealing = begun.elapsed() / ROUNDS;
        let Value::Blob(cell) = key.seal(&value, &mut fill) else { unreachable!("it is sealed") };
        let begun = Instant::now();
        for _ in 0..ROUNDS {
            black_box(key.open(black_box(&cell)));
        }
        let opening = begun.elapsed() / ROUNDS;
        println!(
            "text of {bytes:>4} bytes: sealed in {sealing:?}, opened in {opening:?}, {} bytes",
            cell.len()
        );
    }
    let nodes: Vec<SigningKey> = (0..READERS)
        .map(|n| {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&n.to_be_bytes());
            SigningKey::from_bytes(&seed)
        })
        .collect();
    let begun = Instant::now();
    let wraps: Vec<KeyWrap> = nodes
        .iter()
        .map(|k| key.wrap(AccountId([3; 16]), node_id(k), &mut fill).expect("a node's key"))
        .collect();
    let wrapping = begun.elapsed();
    let begun = Instant::now();
    for (k, wrap) in nodes.iter().zip(&wraps) {
        black_box(ColumnKey::unwrap(column, key.epoch(), wrap, k).expect("the key"));
    }
    let unwrapping = begun.elapsed() / READERS as u32;
    let (table, column) = (column.table, column.column);
    let change = AccessChange::ColumnKey { table, column, epoch: key.epoch(), begins: true, wraps };
    let bytes = serde_ipld_dagcbor::to_vec(&Change::Access(change)).expect("it can be written").len();
    println!(
        "a key for {READERS} readers: {bytes} bytes ({} a reader), wrapped in {wrapping:?}, unwrapped by each in {unwrapping:?}",
        bytes / READERS
    );
}
