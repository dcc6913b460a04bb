//! What a block is and what is not one: round trips, refusals, limits, signatures.

mod common;

use common::*;
use p2pdb_block::*;
use p2pdb_model::change::{Position, RowChange};
use p2pdb_model::value::{RowKey, Value};
use p2pdb_model::{AccountId, CellEdit, Change, RealmId};
use quickcheck::{Arbitrary, Gen, QuickCheck};

fn one_row() -> FullBlock {
    second(&[(account(), vec![layout()], vec![insert(1, "ann")])])
}

fn parts(b: &FullBlock) -> Vec<Vec<u8>> {
    b.parts().iter().map(|p| p.bytes.clone()).collect()
}

fn head(major: u8, n: u64) -> Vec<u8> {
    // A long form on purpose: eight bytes whatever the number.
    let mut out = vec![major << 5 | 27];
    out.extend(n.to_be_bytes());
    out
}

#[derive(Clone, Debug)]
struct SomeValue(Value);

impl Arbitrary for SomeValue {
    fn arbitrary(g: &mut Gen) -> Self {
        SomeValue(match u8::arbitrary(g) % 5 {
            0 => Value::Null,
            1 => Value::Int(i64::arbitrary(g)),
            2 => Value::Text(String::arbitrary(g)),
            3 => Value::Blob(Vec::arbitrary(g)),
            _ => {
                let f = f64::arbitrary(g);
                Value::Real(if f.is_finite() && f != 0.0 { f } else { 0.5 })
            }
        })
    }
}

/// (account, (row change kind, layout, values)) per transaction.
type SomeTransactions = Vec<(u8, Vec<(u8, u8, Vec<SomeValue>)>)>;

fn build(transactions: &SomeTransactions) -> BuiltBody {
    let mut b = BodyBuilder::new();
    for (n, changes) in transactions {
        let account = AccountId([n % 3; 16]);
        let mut layouts = Vec::new();
        let mut made = Vec::new();
        for (kind, table, values) in changes {
            let mut l = layout();
            l.0.0[0] = table % 4;
            let values: Vec<Value> = values.iter().map(|v| v.0.clone()).collect();
            l.2 = (0..values.len() as u32).map(p2pdb_model::ColumnTag).collect();
            l.1 = if values.is_empty() { 0 } else { 1 };
            let layout = layouts.len() as u32;
            let key = RowKey(vec![Value::Int(i64::from(*kind))]);
            let cause = (kind / 3 % 3 == 1).then_some(made.len() as u32).and_then(|n| n.checked_sub(1));
            made.push(Change::Row(match kind % 3 {
                0 => {
                    let key = values.is_empty().then_some(key);
                    RowChange::Insert { layout, key, generated: kind % 2 == 0, values }
                }
                1 => RowChange::Update { layout, key, values, cause },
                _ => RowChange::Delete { layout, key, cause },
            }));
            layouts.push(l);
        }
        let before = b.clone().finish();
        match b.push(account, &layouts, made.clone()) {
            Ok(_) => assert_eq!(b.encoded_bytes(), b.clone().finish().bytes().len()),
            Err(_) => {
                assert!(made.is_empty());
                assert_eq!(before, b.clone().finish(), "a refused transaction leaves no trace");
            }
        }
    }
    b.finish()
}

#[test]
fn built_bodies_decode_to_themselves_and_every_change_is_found_by_its_place() {
    fn law(transactions: SomeTransactions) -> bool {
        let built = build(&transactions);
        if built.body().transactions().is_empty() {
            return built.bytes().is_empty();
        }
        assert_eq!(
            serde_ipld_dagcbor::to_vec(built.body()).unwrap(),
            built.bytes(),
            "what serde would write"
        );
        let (body, index) = decode_body(built.bytes()).unwrap();
        assert_eq!((&body, &index), (built.body(), built.index()));
        assert_eq!(decode_layouts(built.bytes()).unwrap(), body.layouts());
        for (t, tx) in body.transactions().iter().enumerate() {
            assert_eq!(index.transaction(t as u32).len(), tx.changes().len());
            for (c, change) in tx.changes().iter().enumerate() {
                let at = Position { transaction: t as u32, change: c as u32 };
                let span = index.get(at).unwrap();
                assert_eq!(&decode_change(&built.bytes()[span.range()]).unwrap(), change);
                assert_eq!(&decode_change_at(built.bytes(), span.offset).unwrap(), change);
            }
            let past_the_end = Position { transaction: t as u32, change: tx.changes().len() as u32 };
            assert_eq!(index.get(past_the_end), None);
        }
        true
    }
    QuickCheck::new().rng(Gen::new(8)).tests(200).quickcheck(law as fn(SomeTransactions) -> bool);
}

#[test]
fn sealed_blocks_come_back_whole() {
    fn law(transactions: SomeTransactions) -> bool {
        let built = build(&transactions);
        let g = genesis().cid();
        let b = seal(draft(2, Some(g), &[], 1), built, &key(1), Some(&realm())).unwrap();
        let again = RawBlock(b.bytes().to_vec()).decode_as(&b.cid()).unwrap().verify(&realm()).unwrap();
        again.with_bodies(parts(&b)).unwrap() == b
    }
    QuickCheck::new().rng(Gen::new(8)).tests(50).quickcheck(law as fn(SomeTransactions) -> bool);
}

#[test]
fn no_flipped_bit_of_an_envelope_or_body_is_accepted() {
    let b = one_row();
    for bit in 0..b.bytes().len() * 8 {
        let mut bytes = b.bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let verified = RawBlock(bytes).decode().and_then(|d| {
            assert_ne!(d.cid(), b.cid());
            d.verify(&realm())
        });
        assert!(verified.is_err(), "bit {bit} of the envelope");
    }
    for bit in 0..b.parts()[0].bytes.len() * 8 {
        let mut bodies = parts(&b);
        bodies[0][bit / 8] ^= 1 << (bit % 8);
        let r = b.verified().clone().with_bodies(bodies);
        assert!(matches!(r, Err(Refusal::WrongCid { .. })), "bit {bit} of the body");
    }
}

#[test]
fn any_bytes_are_refused_without_a_panic() {
    fn law(bytes: Vec<u8>, at: usize) -> bool {
        let _ = decode_body(&bytes);
        let _ = decode_layouts(&bytes);
        let _ = decode_change_at(&bytes, at as u32 % 64);
        // Junk in the middle of something true reaches deeper.
        let b = one_row();
        let mut mixed = b.bytes().to_vec();
        let at = at % mixed.len();
        for (i, byte) in bytes.iter().enumerate().take(mixed.len() - at) {
            mixed[at + i] = *byte;
        }
        let same = mixed == b.bytes();
        let body = b.parts()[0].bytes.clone();
        let mut mixed_body = body.clone();
        let at = at % mixed_body.len();
        mixed_body.truncate(at);
        mixed_body.extend(&bytes);
        let _ = decode_body(&mixed_body);
        RawBlock(mixed).decode().and_then(|d| d.verify(&realm())).is_ok() == same
            && RawBlock(bytes).decode().is_err()
    }
    QuickCheck::new().tests(500).quickcheck(law as fn(Vec<u8>, usize) -> bool);
}

/// Puts `header` (as given, canonical or not) into a correctly signed envelope.
fn signed(header: &[u8]) -> RawBlock {
    let signature = sign::sign(Domain::Block, Some(&realm()), header, &key(1));
    let mut bytes = vec![0x82];
    bytes.extend(header);
    bytes.extend([0x58, 0x40]);
    bytes.extend(signature);
    RawBlock(bytes)
}

fn encode<T: serde::Serialize>(v: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(v).unwrap()
}

#[test]
fn headers_that_are_not_canonical_or_contradict_themselves_are_refused() {
    let b = one_row();
    let header = &b.bytes()[1..b.bytes().len() - 66];
    assert!(signed(header).decode().is_ok(), "the helper makes what seal makes");

    let g = genesis().cid();
    let (p, q) = (b.cid(), second(&[(account(), vec![layout()], vec![insert(2, "b")])]).cid());
    let (low, high) = (p.min(q), p.max(q));
    let author = node_id(&key(1));
    let body = b.header().bodies[0];
    let raw = cid::of_raw(b"x");
    let none: Option<u8> = None;
    let h = |rules: u32, seq: u64, prev: Option<_>, parents: Vec<_>, bodies: Vec<(u32, cid::Cid, u64)>| {
        encode(&(1u8, rules, author, seq, prev, parents, 5u64, bodies, none))
    };
    assert!(signed(&h(1, 2, Some(g), vec![low, high], vec![(0, body.cid, 9)])).decode().is_ok());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a longer number", {
            let mut x = vec![header[0]];
            x.extend([0x18, 0x01]);
            x.extend(&header[2..]);
            x
        }),
        ("an array of indefinite length", {
            let mut x = vec![0x9f];
            x.extend(&header[1..]);
            x.push(0xff);
            x
        }),
        ("a head of eight bytes", [head(4, 9), header[1..].to_vec()].concat()),
        ("trailing bytes", [header, &[0xf6]].concat()),
        ("too few elements", encode(&(1u8, 1u8, author))),
        ("another format", encode(&(2u8, 1u8, author, 1u8, none, none, 5u8, none, none))),
        ("rules 0", h(0, 2, Some(g), vec![], vec![])),
        ("seq 0", h(1, 0, None, vec![g], vec![])),
        ("seq 1 with prev", h(1, 1, Some(g), vec![], vec![])),
        ("seq 2 without prev", h(1, 2, None, vec![g], vec![])),
        ("seq over the limit", h(1, SEQ_MAX + 1, Some(g), vec![], vec![])),
        ("unsorted parents", h(1, 2, Some(g), vec![high, low], vec![])),
        ("a parent twice", h(1, 2, Some(g), vec![low, low], vec![])),
        ("prev among the parents", h(1, 2, Some(low), vec![low], vec![])),
        ("a raw parent", h(1, 2, Some(g), vec![raw], vec![])),
        ("a reserved scope", h(1, 2, Some(g), vec![], vec![(1, body.cid, 9)])),
        ("an empty body", h(1, 2, Some(g), vec![], vec![(0, body.cid, 0)])),
        ("a body too long", h(1, 2, Some(g), vec![], vec![(0, body.cid, BODY_BYTES_MAX as u64 + 1)])),
        ("a single raw body", h(1, 2, Some(g), vec![], vec![(0, raw, 9)])),
        ("a short chunk", h(1, 2, Some(g), vec![], vec![(0, raw, 9), (0, raw, 9)])),
        ("mixed chunks", h(1, 2, Some(g), vec![], vec![(0, raw, BODY_BYTES_MAX as u64), (0, body.cid, 9)])),
        ("too many bodies", h(1, 2, Some(g), vec![], vec![(0, raw, BODY_BYTES_MAX as u64); BODIES_MAX + 1])),
        ("an extension map", {
            let ext = std::collections::BTreeMap::from([("a", 1u8)]);
            encode(&(1u8, 1u8, author, 2u8, Some(g), Vec::<cid::Cid>::new(), 5u8, [0u8; 0], ext))
        }),
    ];
    for (name, header) in cases {
        assert!(signed(&header).decode().is_err(), "{name}");
    }
    assert_eq!(
        signed(&encode(&(2u8, 1u8, author, 1u8, none, none, 5u8, none, none))).decode(),
        Err(Refusal::UnknownFormat(2))
    );
}

#[test]
fn limits_hold_at_the_limit_and_not_beyond() {
    let g = genesis().cid();
    let parents: Vec<_> = (0..PARENTS_MAX as u64 + 1).map(|n| cid::of_dag_cbor(&n.to_be_bytes())).collect();
    let seal_with = |parents: &[cid::Cid]| {
        seal(draft(2, Some(g), parents, 1), BuiltBody::default(), &key(1), Some(&realm()))
    };
    let full = seal_with(&parents[1..]).unwrap();
    assert!(RawBlock(full.bytes().to_vec()).decode().is_ok());
    assert!(matches!(seal_with(&parents), Err(Refusal::TooLarge { what: "parents", .. })));

    let blob = |bytes: usize| {
        let value = Value::Blob(vec![7; bytes]);
        vec![Change::Row(RowChange::Update {
            layout: 0,
            key: RowKey::int(1),
            values: vec![value],
            cause: None,
        })]
    };
    let mut b = BodyBuilder::new();
    b.push(account(), &[keyless()], blob(1)).unwrap();
    let overhead = b.encoded_bytes() - 2;
    // A blob of a megabyte has a head of five bytes instead of one.
    let one = |n: usize| second(&[(account(), vec![keyless()], blob(n))]);
    let fits = one(BODY_BYTES_MAX - overhead - 5);
    assert_eq!((fits.parts().len(), fits.parts()[0].bytes.len()), (1, BODY_BYTES_MAX));
    let split = one(BODY_BYTES_MAX - overhead - 4);
    assert_eq!(split.header().bodies.iter().map(|b| b.bytes).collect::<Vec<_>>(), [1 << 20, 1]);
    let whole = split.verified().clone().with_bodies(parts(&split)).unwrap();
    assert_eq!(whole, split);
    let mut swapped = parts(&split);
    swapped.swap(0, 1);
    assert!(split.verified().clone().with_bodies(swapped).is_err());
    assert!(matches!(
        split.verified().clone().with_bodies(vec![]),
        Err(Refusal::BodyCount { is: 0, should: 2 })
    ));

    let mut b = BodyBuilder::new();
    b.push(account(), &[keyless()], blob(1)).unwrap();
    let before = b.encoded_bytes();
    let r = b.push(account(), &[layout(), keyless()], blob(BLOCK_BODY_BYTES_TOTAL_MAX));
    assert!(r.is_err());
    assert_eq!(b.encoded_bytes(), before, "a transaction that does not fit leaves no trace");
    assert!(RawBlock(vec![0x82; HEADER_BYTES_MAX + 1]).decode().is_err());
}

#[test]
fn bodies_that_are_not_canonical_or_contradict_themselves_are_refused() {
    use p2pdb_model::change::Layout;
    use p2pdb_model::{Body, Transaction};
    let (a, l) = (account(), layout());
    let row = |layout: u32| match insert(1, "x") {
        Change::Row(RowChange::Insert { key, generated, values, .. }) => {
            Change::Row(RowChange::Insert { layout, key, generated, values })
        }
        other => other,
    };
    let short = Change::Row(RowChange::Update {
        layout: 0,
        key: RowKey::int(1),
        values: vec![Value::Null],
        cause: None,
    });
    let keyed = Change::Row(RowChange::Insert {
        layout: 0,
        key: Some(RowKey::int(1)),
        generated: false,
        values: vec![Value::Null; 3],
    });
    let b = AccountId([1; 16]);
    let tx = |account, changes| Transaction(account, changes);
    let other = Layout(l.0, 0, vec![]);
    let wide = Layout(l.0, 4, l.2.clone());
    let cases: Vec<(&str, Body)> = vec![
        ("no transactions", Body(vec![], vec![], vec![])),
        ("an empty transaction", Body(vec![a], vec![], vec![tx(0, vec![])])),
        ("an account out of range", Body(vec![a], vec![l.clone()], vec![tx(1, vec![row(0)])])),
        ("a layout out of range", Body(vec![a], vec![], vec![tx(0, vec![row(0)])])),
        ("an unused account", Body(vec![a, b], vec![l.clone()], vec![tx(0, vec![row(0)])])),
        ("an unused layout", Body(vec![a], vec![l.clone(), other], vec![tx(0, vec![row(0)])])),
        (
            "accounts out of order",
            Body(vec![a, b], vec![l.clone()], vec![tx(1, vec![row(0)]), tx(0, vec![row(0)])]),
        ),
        (
            "an account twice",
            Body(vec![a, a], vec![l.clone()], vec![tx(0, vec![row(0)]), tx(1, vec![row(0)])]),
        ),
        ("a layout twice", Body(vec![a], vec![l.clone(), l.clone()], vec![tx(0, vec![row(0), row(1)])])),
        ("too few values", Body(vec![a], vec![l.clone()], vec![tx(0, vec![short])])),
        ("a key written twice", Body(vec![a], vec![l.clone()], vec![tx(0, vec![keyed])])),
        ("more key columns than columns", Body(vec![a], vec![wide], vec![tx(0, vec![row(0)])])),
    ];
    for (name, body) in cases {
        assert!(decode_body(&encode(&body)).is_err(), "{name}");
    }
    let good = one_row().parts()[0].bytes.clone();
    assert!(decode_body(&good).is_ok());
    let one_and_a_half = [0xfb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0];
    let at = good.windows(9).position(|w| w == one_and_a_half).unwrap();
    let patched = |to: &[u8]| [&good[..at], to, &good[at + 9..]].concat();
    let cases: [(&str, Vec<u8>); 9] = [
        ("NaN", patched(&[0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0])),
        ("infinity", patched(&[0xfb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0])),
        ("negative zero", patched(&[0xfb, 0x80, 0, 0, 0, 0, 0, 0, 0])),
        ("a half float", patched(&[0xf9, 0x3e, 0])),
        ("undefined", patched(&[0xf7])),
        ("a tag", patched(&[0xc1, 0x00])),
        ("an integer of 64 bits", patched(&[0x1b, 0xff, 255, 255, 255, 255, 255, 255, 255])),
        ("a string of indefinite length", patched(&[0x7f, 0x61, b'a', 0xff])),
        ("trailing bytes", [good.as_slice(), &[0]].concat()),
    ];
    for (name, bytes) in cases {
        assert!(decode_body(&bytes).is_err(), "{name}");
    }
}

#[test]
fn a_signature_holds_for_its_author_realm_and_use_only() {
    let b = one_row();
    let decoded = || RawBlock(b.bytes().to_vec()).decode().unwrap();
    assert_eq!(decoded().verify(&realm()).unwrap().proof(), Proof::Signature);
    let other = RealmId(b.cid());
    assert_eq!(decoded().verify(&RealmId(cid::of_dag_cbor(b"other"))), Err(Refusal::BadSignature));
    assert_eq!(decoded().verify(&other), Err(Refusal::BadSignature), "signed as a member, not as a genesis");

    let g = genesis();
    let root = RawBlock(g.bytes().to_vec()).decode().unwrap();
    assert!(root.clone().verify(&realm()).is_ok());
    assert_eq!(root.verify(&other), Err(Refusal::OtherGenesis));

    let content = b"content";
    let s = sign::sign(Domain::Delegation, Some(&realm()), content, &key(1));
    let check = |domain, realm: Option<&RealmId>, content: &[u8], n| {
        sign::verify(domain, realm, content, &public(n).0, &s)
    };
    assert_eq!(check(Domain::Delegation, Some(&realm()), content, 1), Ok(()));
    assert!(check(Domain::Admission, Some(&realm()), content, 1).is_err());
    assert!(check(Domain::Block, Some(&realm()), content, 1).is_err());
    assert!(check(Domain::Delegation, None, content, 1).is_err());
    assert!(check(Domain::Delegation, Some(&realm()), b"other", 1).is_err());
    assert!(check(Domain::Delegation, Some(&realm()), content, 2).is_err());
    // A key of small order would make one signature fit every message.
    let mut small_order = [0; 32];
    small_order[0] = 1;
    let mut forged = [0; 64];
    forged[0] = 1;
    assert!(sign::verify(Domain::Block, None, b"any", &small_order, &forged).is_err());
}

/// A chain of `n` blocks after the genesis, the signatures of those in `bad` broken.
fn chain(n: u64, bad: &[u64]) -> Vec<DecodedBlock> {
    let mut prev = genesis().cid();
    (2..2 + n)
        .map(|seq| {
            let built = body(&[(account(), vec![layout()], vec![insert(seq as i64, "x")])]);
            let b = seal(draft(seq, Some(prev), &[], seq), built, &key(1), Some(&realm())).unwrap();
            let mut bytes = b.bytes().to_vec();
            if bad.contains(&seq) {
                *bytes.last_mut().unwrap() ^= 1;
            }
            let d = RawBlock(bytes).decode().unwrap();
            prev = d.cid();
            d
        })
        .collect()
}

#[test]
fn a_successor_vouches_and_nobody_else_does() {
    let blocks = chain(3, &[2, 3]);
    let last = blocks[2].clone().verify(&realm()).unwrap();
    assert_eq!(blocks[0].clone().vouched(&last), Err(Refusal::NotVouched));
    let middle = blocks[1].clone().vouched(&last).unwrap();
    assert_eq!(middle.proof(), Proof::Vouched);
    assert!(blocks[0].clone().vouched(&middle).is_ok(), "its own signature is bad, the chain's is good");
    let genesis = RawBlock(genesis().bytes().to_vec()).decode().unwrap();
    let first = chain(1, &[]).remove(0).verify(&realm()).unwrap();
    assert_eq!(genesis.vouched(&first), Err(Refusal::NotVouched));
    // Another author that names the block as prev does not vouch for it.
    let b = one_row();
    let stranger =
        seal(draft(3, Some(b.cid()), &[], 50), BuiltBody::default(), &key(7), Some(&realm())).unwrap();
    let d = RawBlock(b.bytes().to_vec()).decode().unwrap();
    assert_eq!(d.vouched(stranger.verified()), Err(Refusal::NotVouched));
}

#[test]
fn a_batch_falls_back_to_the_last_good_signature() {
    for (bad, good_upto) in
        [(vec![], 7), (vec![4], 7), (vec![7], 6), (vec![5, 6, 7], 4), ((2..8).collect(), 1)]
    {
        let mut blocks = chain(6, &bad);
        blocks.reverse();
        let verdicts = verify_runs(blocks, &realm());
        for r in verdicts {
            match r {
                Ok(b) => {
                    assert!(b.seq() <= good_upto);
                    let proof = if b.seq() == good_upto { Proof::Signature } else { Proof::Vouched };
                    assert_eq!(b.proof(), proof, "only the last good one's signature is checked");
                }
                Err((_, e)) => assert_eq!(e, Refusal::BadSignature),
            }
        }
        let oks = verify_runs(chain(6, &bad), &realm()).iter().filter(|r| r.is_ok()).count() as u64;
        assert_eq!(oks, good_upto - 1, "bad {bad:?}");
    }
}

#[test]
fn blocks_of_unknown_rules_can_be_kept_unread() {
    let g = genesis().cid();
    let built = body(&[(account(), vec![layout()], vec![insert(1, "x")])]);
    let d = Draft { rules: 9, ..draft(2, Some(g), &[], 1) };
    let b = seal(d, built, &key(1), Some(&realm())).unwrap();
    let verified = || RawBlock(b.bytes().to_vec()).decode().unwrap().verify(&realm()).unwrap();
    let whole = verified().with_parts(parts(&b)).unwrap();
    assert_eq!((whole.header().rules, whole.parts()), (9, b.parts()));
    let mut damaged = parts(&b);
    damaged[0][3] ^= 1;
    assert!(
        matches!(verified().with_parts(damaged), Err(Refusal::WrongCid { .. })),
        "hashes are checked all the same"
    );
}

#[test]
fn a_header_is_understood_before_its_bodies_arrive() {
    let b = one_row();
    let v = RawBlock(b.bytes().to_vec()).decode().unwrap().verify(&realm()).unwrap();
    assert_eq!(v.header().body_bytes(), b.parts()[0].bytes.len() as u64);
    assert_eq!(v.header().bodies[0].cid, b.parts()[0].cid);
    assert!(matches!(v.with_bodies(vec![vec![0; 3]]), Err(Refusal::Body(_))));
}

#[test]
fn an_edit_whose_text_is_not_in_normal_form_is_refused() {
    let edit = |text: &str| {
        let put = vec![("a".to_owned(), text.to_owned())];
        let edits = vec![CellEdit::Map { put, removed: vec![] }];
        let change = Change::Row(RowChange::Edit { layout: 0, key: RowKey::int(1), edits });
        let mut l = layout();
        l.2.truncate(1);
        l.1 = 0;
        (l, change)
    };
    let built = |text: &str| {
        let (l, change) = edit(text);
        let mut b = BodyBuilder::new();
        b.push(account(), &[l], vec![change]).map(|_| ())
    };
    assert_eq!(built("1"), Ok(()));
    for wrong in ["1, \"b\": 2", "}", " 1", "[1,2]", ""] {
        assert!(matches!(built(wrong), Err(Refusal::Body(_))), "{wrong}");
    }
}
