//! Frozen bytes: each block under `testdata/v1/` is made again from its description and compared, and read back.
//! The files are never edited. A missing one is written when `P2PDB_NEW_VECTORS=1`; an existing one never is.

mod common;

use common::*;
use p2pdb_block::{BODY_BYTES_MAX, FullBlock, RawBlock, seal};
use p2pdb_model::Change;
use p2pdb_model::change::RowChange;
use p2pdb_model::ids::{hex, unhex};
use p2pdb_model::value::{RowKey, Value};
use serde_json::{Value as Json, json};

/// Bodies longer than this are in the files by CID and length only.
const INLINE_BYTES_MAX: usize = 8_192;

fn vectors() -> Vec<(&'static str, &'static str, FullBlock)> {
    let root = account();
    let other = p2pdb_model::AccountId::derive("ann", "localhost", &public(6));
    let row = |change| vec![(root, vec![layout()], vec![change])];
    let update = Change::Row(RowChange::Update {
        layout: 0,
        key: RowKey::int(1),
        values: vec![Value::Int(1), Value::Text("eve".into()), Value::Null],
        cause: None,
    });
    let delete = Change::Row(RowChange::Delete { layout: 0, key: RowKey::int(1), cause: None });
    let several = vec![
        (root, vec![layout()], vec![insert(1, "ann"), insert(2, "bob")]),
        (other, vec![layout()], vec![insert(3, "eve")]),
        (root, vec![], vec![every_change().remove(13)]),
    ];
    let long = Change::Row(RowChange::Update {
        layout: 0,
        key: RowKey(vec![Value::Blob(vec![1; 16])]),
        values: vec![Value::Blob((0..2 * BODY_BYTES_MAX + 5).map(|i| (i % 251) as u8).collect())],
        cause: None,
    });
    let g = genesis().cid();
    let parents: Vec<_> = (1..=3).map(|n| second(&row(insert(n, "x"))).cid()).collect();
    let merge = seal(draft(2, Some(g), &parents, 99), Default::default(), &key(1), Some(&realm())).unwrap();
    let chain = seal(draft(1, None, &[g], 5), body(&row(insert(9, "new"))), &key(3), Some(&realm())).unwrap();
    vec![
        (
            "genesis",
            "the genesis block: realm, root account, delegation (its signature is a filler)",
            genesis(),
        ),
        (
            "insert",
            "one row inserted, second block of the genesis author's chain",
            second(&row(insert(1, "ann"))),
        ),
        ("update", "one row updated", second(&row(update))),
        ("delete", "one row deleted", second(&row(delete))),
        ("several", "three transactions by two accounts sharing a layout", second(&several)),
        ("merge", "an empty block with three parents besides prev", merge),
        ("chain", "the first block of another author's chain", chain),
        (
            "chunks",
            "a body of more than 2 MiB in three chunks",
            second(&[(root, vec![keyless()], vec![long])]),
        ),
        ("changes", "one change of every kind", second(&[(root, vec![layout(), keyless()], every_change())])),
        ("routines", "a procedure, a function and a trigger", second(&[(root, vec![], routines())])),
        ("edits", "edits of a counter, a set and a map", second(&[(root, vec![layout()], edits())])),
        ("grants", "keys, roles, grants and revocations", second(&[(root, vec![], grants())])),
        ("bound", "a ticket for one node", second(&[(root, vec![], bound())])),
        ("later", "a grant without what was written before", second(&[(root, vec![], later())])),
        ("sealed", "keys of a sealed column", second(&[(root, vec![], sealed())])),
    ]
}

fn describe(description: &str, b: &FullBlock) -> Json {
    let h = b.header();
    let bodies: Vec<_> = b
        .parts()
        .iter()
        .map(|p| {
            let bytes = (p.bytes.len() <= INLINE_BYTES_MAX).then(|| hex(&p.bytes));
            json!({ "cid": p.cid.to_string(), "length": p.bytes.len(), "hex": bytes })
        })
        .collect();
    json!({
        "description": description,
        "realm": realm().to_string(),
        "cid": b.cid().to_string(),
        "author": h.author.to_hex(),
        "seq": h.seq,
        "prev": h.prev.map(|c| c.to_string()),
        "parents": h.parents.iter().map(|c| c.to_string()).collect::<Vec<_>>(),
        "stamp": h.stamp.0.to_string(),
        "envelope": hex(b.bytes()),
        "bodies": bodies,
    })
}

#[test]
fn frozen_blocks_are_made_and_read_as_ever() {
    for (name, description, block) in vectors() {
        let path = format!("{}/testdata/v1/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let made = describe(description, &block);
        if !std::path::Path::new(&path).exists() && std::env::var_os("P2PDB_NEW_VECTORS").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let frozen: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(made, frozen, "{name}: what is made today is not what was frozen");

        let envelope = unhex(frozen["envelope"].as_str().unwrap()).unwrap();
        let decoded = RawBlock(envelope).decode().unwrap();
        assert_eq!(decoded.cid().to_string(), frozen["cid"].as_str().unwrap());
        let bodies = frozen["bodies"].as_array().unwrap();
        let parts = bodies.iter().zip(block.parts()).map(|(b, p)| match b["hex"].as_str() {
            Some(text) => unhex(text).unwrap(),
            None => p.bytes.clone(),
        });
        let read = decoded.verify(&realm()).unwrap().with_bodies(parts.collect()).unwrap();
        assert_eq!(read, block, "{name}");
    }
}

#[test]
fn every_kind_of_change_is_among_the_vectors() {
    let ops: std::collections::BTreeSet<u8> = every_change()
        .iter()
        .chain(&edits())
        .chain(&grants())
        .chain(&sealed())
        .chain(&bound())
        .chain(&later())
        .map(|c| serde_ipld_dagcbor::to_vec(c).unwrap())
        .map(|bytes| if bytes[1] == 0x18 { bytes[2] } else { bytes[1] })
        .collect();
    let all: std::collections::BTreeSet<u8> = [0..=4, 16..=17, 32..=53].into_iter().flatten().collect();
    assert_eq!(ops, all);
}
