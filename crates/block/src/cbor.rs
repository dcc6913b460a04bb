//! The few pieces of CBOR (RFC 8949) written by hand: heads of arrays and strings in their shortest form, so
//! that a body can be put together from changes encoded one by one, and a scanner that finds where an item ends.

use crate::refusal::Refusal;

/// Major type of byte strings.
pub const BYTES: u8 = 2;
/// Major type of arrays.
pub const ARRAY: u8 = 4;

/// Items nested deeper are not looked into: ours nest less than half of it.
const DEPTH_MAX: usize = 64;

/// Writes the head of an item in its shortest form.
pub fn write_head(out: &mut Vec<u8>, major: u8, n: u64) {
    let m = major << 5;
    match n {
        0..=23 => out.push(m | n as u8),
        24..=0xff => out.extend([m | 24, n as u8]),
        0x100..=0xffff => {
            out.push(m | 25);
            out.extend((n as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(m | 26);
            out.extend((n as u32).to_be_bytes());
        }
        _ => {
            out.push(m | 27);
            out.extend(n.to_be_bytes());
        }
    }
}

/// Length of a head in its shortest form, bytes.
pub fn head_bytes(n: u64) -> usize {
    match n {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Reads a head at `at`: (major type, argument, where the content begins).
pub fn read_head(bytes: &[u8], at: usize) -> Result<(u8, u64, usize), Refusal> {
    let end = || Refusal::malformed("body", "the bytes end inside an item");
    let first = *bytes.get(at).ok_or_else(end)?;
    let width = match first & 31 {
        n @ 0..=23 => return Ok((first >> 5, u64::from(n), at + 1)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(Refusal::malformed("body", "an item of indefinite or reserved length")),
    };
    let argument = bytes.get(at + 1..at + 1 + width).ok_or_else(end)?;
    let n = argument.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    Ok((first >> 5, n, at + 1 + width))
}

/// Where the item that begins at `at` ends.
pub fn skip(bytes: &[u8], at: usize) -> Result<usize, Refusal> {
    skip_nested(bytes, at, DEPTH_MAX)
}

fn skip_nested(bytes: &[u8], at: usize, depth: usize) -> Result<usize, Refusal> {
    let (major, n, mut at) = read_head(bytes, at)?;
    let nested = |n: u64, mut at: usize| {
        let depth = depth.checked_sub(1).ok_or_else(|| Refusal::malformed("body", "nested too deep"))?;
        for _ in 0..n {
            at = skip_nested(bytes, at, depth)?;
        }
        Ok(at)
    };
    match major {
        0 | 1 | 7 => {}
        2 | 3 => {
            let n = usize::try_from(n).ok();
            let end = n.and_then(|n| at.checked_add(n)).filter(|end| *end <= bytes.len());
            at = end.ok_or_else(|| Refusal::malformed("body", "a string that is cut off"))?;
        }
        4 => at = nested(n, at)?,
        5 => {
            let n = n.checked_mul(2).ok_or_else(|| Refusal::malformed("body", "a map too long"))?;
            at = nested(n, at)?;
        }
        _ => at = nested(1, at)?,
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_those_of_the_library() {
        for n in [0u64, 1, 23, 24, 255, 256, 65_535, 65_536, u32::MAX as u64, u32::MAX as u64 + 1, u64::MAX] {
            let mut out = Vec::new();
            write_head(&mut out, 0, n);
            assert_eq!(out, serde_ipld_dagcbor::to_vec(&n).unwrap());
            assert_eq!(out.len(), head_bytes(n));
            assert_eq!(read_head(&out, 0), Ok((0, n, out.len())));
            assert_eq!(skip(&out, 0), Ok(out.len()));
        }
    }

    #[test]
    fn cut_off_nested_and_indefinite_items_are_refused() {
        for bytes in [&b""[..], b"\x58", b"\x43ab", b"\x82\x01", b"\x9f\xff", b"\x1c", b"\xff"] {
            assert!(skip(bytes, 0).is_err(), "{bytes:?}");
        }
        assert!(skip(&[0x81; 1000], 0).is_err());
        // A length of 2^64 - 1 neither overflows nor allocates.
        assert!(skip(&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255], 0).is_err());
        assert!(skip(&[0xbb, 255, 255, 255, 255, 255, 255, 255, 255], 0).is_err());
    }
}
