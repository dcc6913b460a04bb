//! AES_ENCRYPT and AES_DECRYPT, COMPRESS and UNCOMPRESS, RANDOM_BYTES (MySQL 8.0 manual, "Encryption and Compression
//! Functions").
//!
//! The block cipher and zlib come from libraries; here is what MySQL does with them: how a key is folded, how the last
//! block is filled (PKCS 7), the modes by their names in `block_encryption_mode`, and the length before compressed bytes.
//! Not here: keys derived by HKDF or PBKDF2 (8.0.30), which the binder refuses.

use std::io::{Read, Write};

use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256, Block};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use p2pdb_model::{Value, ValueRef};
use sha2::{Digest, Sha256};

use super::{Answer, Row, any_null, bytes_of, int_of, str_of};
use crate::error::SqlError;
use crate::execute::context;

/// Bytes of a block of AES, and of an initialization vector.
const BLOCK_BYTES: usize = 16;
/// Most bytes that RANDOM_BYTES gives.
const RANDOM_BYTES_MAX: i64 = 1024;
/// What UNCOMPRESS makes at most, bytes: `max_allowed_packet`'s greatest value.
const UNCOMPRESSED_BYTES_MAX: usize = 1 << 30;

/// The values of `block_encryption_mode`.
pub const MODES: &[&str] = &[
    "aes-128-ecb",
    "aes-192-ecb",
    "aes-256-ecb",
    "aes-128-cbc",
    "aes-192-cbc",
    "aes-256-cbc",
    "aes-128-cfb1",
    "aes-192-cfb1",
    "aes-256-cfb1",
    "aes-128-cfb8",
    "aes-192-cfb8",
    "aes-256-cfb8",
    "aes-128-cfb128",
    "aes-192-cfb128",
    "aes-256-cfb128",
    "aes-128-ofb",
    "aes-192-ofb",
    "aes-256-ofb",
];

pub(crate) const FUNCTIONS: &[Row] = &[
    // (mode, data, key[, initialization vector])
    ("p_aes_encrypt", -1, |a| aes(a, true)),
    ("p_aes_decrypt", -1, |a| aes(a, false)),
    ("p_compress", 1, compress),
    ("p_uncompress", 1, uncompress),
    ("p_uncompressed_length", 1, |a| match bytes_of(&a[0]) {
        _ if any_null(a) => Ok(Value::Null),
        [] => Ok(Value::Int(0)),
        b => match length_of(b) {
            Some(n) => Ok(Value::Int(n as i64)),
            None => {
                corrupted();
                Ok(Value::Int(0))
            }
        },
    }),
    // (seed of the statement, how many)
    ("p_random_bytes", 2, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        let count = int_of(&a[1]);
        if !(1..=RANDOM_BYTES_MAX).contains(&count) {
            return Err(SqlError::new(1690, "22003", "length value is out of range in 'random_bytes'"));
        }
        Ok(Value::Blob(random_bytes(bytes_of(&a[0]), count as usize)))
    }),
];

/// SHA-256 of seed, call and block number, block by block.
fn random_bytes(seed: &[u8], count: usize) -> Vec<u8> {
    let key = seed.iter().take(8).fold(0, |n, b| n << 8 | u64::from(*b));
    let call = super::system::random_bits(key);
    let mut out = Vec::with_capacity(count + 32);
    for block in 0u32.. {
        if out.len() >= count {
            break;
        }
        let hash = Sha256::new().chain_update(seed).chain_update(call.to_be_bytes());
        out.extend_from_slice(&hash.chain_update(block.to_be_bytes()).finalize());
    }
    out.truncate(count);
    out
}

// ---- AES

enum Aes {
    Bits128(Aes128),
    Bits192(Aes192),
    Bits256(Aes256),
}

impl Aes {
    /// A key of any length is folded: byte by byte, XOR, around and around.
    fn new(bits: &str, key: &[u8]) -> Option<Self> {
        let length = bits.parse::<usize>().ok()? / 8;
        let mut folded = vec![0; length];
        for (i, b) in key.iter().enumerate() {
            folded[i % length] ^= b;
        }
        Some(match length {
            16 => Aes::Bits128(Aes128::new_from_slice(&folded).ok()?),
            24 => Aes::Bits192(Aes192::new_from_slice(&folded).ok()?),
            _ => Aes::Bits256(Aes256::new_from_slice(&folded).ok()?),
        })
    }

    fn encrypt(&self, block: &mut [u8]) {
        let block = Block::from_mut_slice(block);
        match self {
            Aes::Bits128(c) => c.encrypt_block(block),
            Aes::Bits192(c) => c.encrypt_block(block),
            Aes::Bits256(c) => c.encrypt_block(block),
        }
    }

    fn decrypt(&self, block: &mut [u8]) {
        let block = Block::from_mut_slice(block);
        match self {
            Aes::Bits128(c) => c.decrypt_block(block),
            Aes::Bits192(c) => c.decrypt_block(block),
            Aes::Bits256(c) => c.decrypt_block(block),
        }
    }
}

fn aes(a: &[ValueRef<'_>], encrypts: bool) -> Answer {
    let name = if encrypts { "aes_encrypt" } else { "aes_decrypt" };
    let mut parts = str_of(&a[0]).split('-').skip(1);
    let (bits, mode) = (parts.next().unwrap_or("128"), parts.next().unwrap_or("ecb"));
    let iv: [u8; BLOCK_BYTES] = match (mode, a.get(3)) {
        ("ecb", given) => {
            if given.is_some() {
                context::warn(1618, "<IV> option ignored".to_owned());
            }
            [0; BLOCK_BYTES]
        }
        (_, None) => {
            let message = format!("Incorrect parameter count in the call to native function '{name}'");
            return Err(SqlError::new(1582, "42000", message));
        }
        (_, Some(ValueRef::Null)) => return Err(short_iv(name)),
        (_, Some(iv)) => {
            let given = bytes_of(iv).get(..BLOCK_BYTES).ok_or_else(|| short_iv(name))?;
            let mut iv = [0; BLOCK_BYTES];
            iv.copy_from_slice(given);
            iv
        }
    };
    if any_null(&a[1..3]) {
        return Ok(Value::Null);
    }
    let Some(cipher) = Aes::new(bits, bytes_of(&a[2])) else { return Ok(Value::Null) };
    let data = bytes_of(&a[1]);
    Ok(match mode {
        "ecb" | "cbc" => blocks(&cipher, data, mode == "cbc", iv, encrypts).map_or(Value::Null, Value::Blob),
        "cfb1" => Value::Blob(bitwise(&cipher, data, iv, encrypts)),
        "cfb8" => Value::Blob(feedback(&cipher, data, iv, 1, Some(encrypts))),
        "cfb128" => Value::Blob(feedback(&cipher, data, iv, BLOCK_BYTES, Some(encrypts))),
        _ => Value::Blob(feedback(&cipher, data, iv, BLOCK_BYTES, None)),
    })
}

fn short_iv(name: &str) -> SqlError {
    let message = format!(
        "The initialization vector supplied to {name} is too short. Must be at least {BLOCK_BYTES} bytes long"
    );
    SqlError::new(1882, "HY000", message)
}

/// ECB, or CBC where `chained`; `None` for what was not encrypted so.
fn blocks(
    cipher: &Aes,
    data: &[u8],
    chained: bool,
    iv: [u8; BLOCK_BYTES],
    encrypts: bool,
) -> Option<Vec<u8>> {
    let mut out = data.to_vec();
    let mut last = iv;
    let mix = |block: &mut [u8], last: &[u8; BLOCK_BYTES]| {
        if chained {
            block.iter_mut().zip(last).for_each(|(b, l)| *b ^= l);
        }
    };
    if encrypts {
        let fill = BLOCK_BYTES - data.len() % BLOCK_BYTES;
        out.resize(data.len() + fill, fill as u8);
        for block in out.chunks_exact_mut(BLOCK_BYTES) {
            mix(block, &last);
            cipher.encrypt(block);
            last.copy_from_slice(block);
        }
        return Some(out);
    }
    if data.is_empty() || !data.len().is_multiple_of(BLOCK_BYTES) {
        return None;
    }
    for block in out.chunks_exact_mut(BLOCK_BYTES) {
        let mut before = [0; BLOCK_BYTES];
        before.copy_from_slice(block);
        cipher.decrypt(block);
        mix(block, &last);
        last = before;
    }
    let fill = usize::from(*out.last()?);
    let whole = out.len().checked_sub(fill).filter(|_| (1..=BLOCK_BYTES).contains(&fill))?;
    if out[whole..].iter().any(|b| usize::from(*b) != fill) {
        return None;
    }
    out.truncate(whole);
    Some(out)
}

/// CFB with `step` bytes of feedback, or OFB where nobody `encrypts`.
fn feedback(
    cipher: &Aes,
    data: &[u8],
    mut register: [u8; BLOCK_BYTES],
    step: usize,
    encrypts: Option<bool>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for chunk in data.chunks(step) {
        let mut stream = register;
        cipher.encrypt(&mut stream);
        let made: Vec<u8> = chunk.iter().zip(stream).map(|(a, b)| a ^ b).collect();
        let fed = match encrypts {
            Some(true) => &made[..],
            Some(false) => chunk,
            None => &stream[..chunk.len()],
        };
        register.rotate_left(fed.len());
        register[BLOCK_BYTES - fed.len()..].copy_from_slice(fed);
        out.extend(made);
    }
    out
}

/// CFB with one bit of feedback.
fn bitwise(cipher: &Aes, data: &[u8], iv: [u8; BLOCK_BYTES], encrypts: bool) -> Vec<u8> {
    let mut register = u128::from_be_bytes(iv);
    let mut out = vec![0; data.len()];
    for (i, byte) in data.iter().enumerate() {
        for bit in (0..8).rev() {
            let mut stream = register.to_be_bytes();
            cipher.encrypt(&mut stream);
            let given = byte >> bit & 1;
            let made = given ^ stream[0] >> 7;
            out[i] |= made << bit;
            register = register << 1 | u128::from(if encrypts { made } else { given });
        }
    }
    out
}

// ---- zlib

fn corrupted() {
    context::warn(1259, "ZLIB: Input data corrupted".to_owned());
}

/// The length of what was compressed: four bytes, the lowest first.
fn length_of(b: &[u8]) -> Option<usize> {
    let (head, rest) = b.split_first_chunk::<4>()?;
    (!rest.is_empty()).then_some((u32::from_le_bytes(*head) & 0x3fff_ffff) as usize)
}

fn compress(a: &[ValueRef<'_>]) -> Answer {
    if any_null(a) {
        return Ok(Value::Null);
    }
    let data = bytes_of(&a[0]);
    if data.is_empty() {
        return Ok(Value::Blob(Vec::new()));
    }
    let Ok(length) = u32::try_from(data.len()) else { return Ok(Value::Null) };
    let mut encoder = ZlibEncoder::new(length.to_le_bytes().to_vec(), Compression::default());
    let done = encoder.write_all(data).and_then(|()| encoder.finish());
    let mut out = done.expect("invariant: nothing fails that is written to memory");
    // Where trailing blanks get lost nothing else may.
    if out.last() == Some(&b' ') {
        out.push(b'.');
    }
    Ok(Value::Blob(out))
}

fn uncompress(a: &[ValueRef<'_>]) -> Answer {
    if any_null(a) {
        return Ok(Value::Null);
    }
    let data = bytes_of(&a[0]);
    if data.is_empty() {
        return Ok(Value::Blob(Vec::new()));
    }
    let Some(length) = length_of(data).filter(|n| *n <= UNCOMPRESSED_BYTES_MAX) else {
        corrupted();
        return Ok(Value::Null);
    };
    let mut out = Vec::new();
    // One byte more than it may be tells a wrong length.
    let read = ZlibDecoder::new(&data[4..]).take(length as u64 + 1).read_to_end(&mut out);
    if read.is_err() || out.len() > length {
        corrupted();
        return Ok(Value::Null);
    }
    Ok(Value::Blob(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_gives_back_what_it_took() {
        for mode in MODES {
            for data in
                [&b""[..], b"abc", b"0123456789abcdef", b"0123456789abcdef and more of it, again and again"]
            {
                let (key, iv) = (ValueRef::Text("key"), ValueRef::Blob(b"0123456789abcdef"));
                let sealed = aes(&[ValueRef::Text(mode), ValueRef::Blob(data), key, iv], true).unwrap();
                let args = [ValueRef::Text(mode), (&sealed).into(), key, iv];
                assert_eq!(aes(&args, false).unwrap(), Value::Blob(data.to_vec()), "{mode}");
            }
        }
    }

    #[test]
    fn random_bytes_differ_from_call_to_call() {
        let (a, b) = (random_bytes(b"0123456789abcdef", 100), random_bytes(b"0123456789abcdef", 100));
        assert_eq!(a.len(), 100);
        assert_ne!(a, b);
        assert_ne!(a[..32], a[32..64]);
    }
}
