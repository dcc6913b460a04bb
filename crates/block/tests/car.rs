//! CAR files: what is written is read, and what is damaged is refused.

mod common;

use common::*;
use p2pdb_block::car::{CarError, CarReader, CarWriter};
use p2pdb_block::cid::{self, Cid};
use p2pdb_block::{BODY_BYTES_MAX, FullBlock};

fn sections(blocks: &[FullBlock]) -> Vec<(Cid, Vec<u8>)> {
    let mut out = Vec::new();
    for b in blocks {
        out.push((b.cid(), b.bytes().to_vec()));
        out.extend(b.parts().iter().map(|p| (p.cid, p.bytes.clone())));
    }
    out
}

fn write(roots: &[Cid], sections: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut w = CarWriter::new(Vec::new(), roots).unwrap();
    for (cid, bytes) in sections {
        w.write(cid, bytes).unwrap();
    }
    w.finish().unwrap()
}

type Contents = (Vec<Cid>, Vec<(Cid, Vec<u8>)>);

fn read(bytes: &[u8]) -> Result<Contents, CarError> {
    let r = CarReader::new(bytes)?;
    let roots = r.roots().to_vec();
    Ok((roots, r.collect::<Result<_, _>>()?))
}

fn sample() -> Contents {
    let b = second(&[(account(), vec![layout()], vec![insert(1, "ann")])]);
    (vec![b.cid()], sections(&[genesis(), b]))
}

#[test]
fn a_log_round_trips() {
    let (roots, sections) = sample();
    assert_eq!(read(&write(&roots, &sections)).unwrap(), (roots, sections));
    assert_eq!(read(&write(&[], &[])).unwrap(), (vec![], vec![]));
    let chunk = vec![5; BODY_BYTES_MAX];
    let full = vec![(cid::of_raw(&chunk), chunk)];
    assert_eq!(read(&write(&[], &full)).unwrap().1, full, "a body at the limit");
}

#[test]
fn the_header_is_as_the_specification_has_it() {
    // {"roots": [link], "version": 1} in DAG-CBOR, after its length.
    let bytes = write(&[genesis().cid()], &[]);
    let mut expected = vec![0x3a, 0xa2, 0x65];
    expected.extend(b"roots");
    expected.extend([0x81, 0xd8, 0x2a, 0x58, 0x25, 0x00]);
    expected.extend(genesis().cid().to_bytes());
    expected.push(0x67);
    expected.extend(b"version");
    expected.push(1);
    assert_eq!(bytes, expected);
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let (roots, sections) = sample();
    let good = write(&roots, &sections);
    let ends: Vec<usize> = (0..=sections.len()).map(|n| write(&roots, &sections[..n]).len()).collect();
    for n in 0..good.len() {
        // Cut between two blocks a file is shorter, but whole; the engine then misses parents.
        assert_eq!(read(&good[..n]).is_ok(), ends.contains(&n), "cut at {n}");
    }
    let header = write(&roots, &[]).len();
    for bit in header * 8..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&bytes).is_err(), "bit {bit}");
    }
    let long = [&good[..header], &[0xff, 0xff, 0xff, 0x7f]].concat();
    assert!(matches!(read(&long), Err(CarError::Invalid(_))), "no gigabytes for a length");
    assert!(matches!(read(&[0xff; 64]), Err(CarError::Invalid(_))));
    assert!(matches!(read(&[]), Err(CarError::Invalid(_))));
    let mut version_2 = good.clone();
    version_2[header - 1] = 2;
    assert!(matches!(read(&version_2), Err(CarError::Invalid(_))));
}
