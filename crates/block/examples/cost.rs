//! Measures what a block costs: `cargo run --release -p p2pdb-block --example cost`.

use std::hint::black_box;
use std::time::Instant;

use p2pdb_block::{BodyBuilder, BuiltBody, Draft, RawBlock, SigningKey, seal, verify_runs};
use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::value::Value;
use p2pdb_model::{AccountId, Change, ColumnTag, ObjectId, RealmId, Stamp};

fn rows(n: usize) -> BuiltBody {
    let layout = Layout(ObjectId([7; 16]), 1, (0..4).map(|n| ColumnTag(0x1234_5678 + n)).collect());
    let mut b = BodyBuilder::new();
    for i in 0..n {
        let text = |len| Value::Text("x".repeat(len));
        let values = vec![Value::Int(100_000 + i as i64), Value::Int(i as i64), text(30), text(30)];
        let change = Change::Row(RowChange::Insert { layout: 0, key: None, generated: true, values });
        b.push(AccountId([1; 16]), std::slice::from_ref(&layout), vec![change]).expect("a small transaction");
    }
    b.finish()
}

fn time<T>(name: &str, times: u32, mut f: impl FnMut() -> T) {
    let start = Instant::now();
    for _ in 0..times {
        black_box(f());
    }
    println!("{name:<42} {:>9.2} us", start.elapsed().as_nanos() as f64 / f64::from(times) / 1_000.0);
}

fn main() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let draft = |seq, prev| Draft { rules: 1, seq, prev, parents: vec![], stamp: Stamp(1 << 56) };
    let genesis = seal(draft(1, None), rows(1), &key, None).expect("a genesis block");
    let realm = RealmId(genesis.cid());
    for n in [1, 100] {
        let block = seal(draft(2, Some(realm.0)), rows(n), &key, Some(&realm)).expect("a block");
        let (envelope, body) = (block.bytes().to_vec(), block.parts()[0].bytes.clone());
        println!("{n} rows, one a transaction: envelope {} bytes, body {} bytes", envelope.len(), body.len());
        let decoded = || RawBlock(envelope.clone()).decode().expect("canonical");
        let verified = decoded().verify(&realm).expect("signed");
        time("build the body", 2_000, || rows(n));
        time("seal", 2_000, || seal(draft(2, Some(realm.0)), rows(n), &key, Some(&realm)));
        time("decode the envelope", 20_000, decoded);
        time("verify the signature", 2_000, || decoded().verify(&realm));
        time("check and decode the body", 5_000, || verified.clone().with_bodies(vec![body.clone()]));
    }
    let mut prev = realm.0;
    let chain: Vec<_> = (2..1_002)
        .map(|seq| {
            let b = seal(draft(seq, Some(prev)), rows(1), &key, Some(&realm)).expect("a block");
            prev = b.cid();
            RawBlock(b.bytes().to_vec()).decode().expect("canonical")
        })
        .collect();
    time("verify a run of 1,000 by its last signature", 20, || verify_runs(chain.clone(), &realm));
}
