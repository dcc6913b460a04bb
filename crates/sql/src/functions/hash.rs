//! Hashes, base 64, UUIDs and addresses.

use md5::Md5;
use p2pdb_model::ids::hex;
use p2pdb_model::{Value, ValueRef};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{Answer, Row, any_null, bytes_of, int_of, str_of, text, truth};
use crate::error::SqlError;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters in a line of TO_BASE64.
const LINE_CHARS: usize = 76;

macro_rules! strict {
    ($f:expr) => {
        |a| if any_null(a) { Ok(Value::Null) } else { $f(a) }
    };
}

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_md5", 1, strict!(|a: &[ValueRef<'_>]| text(hex(&Md5::digest(bytes_of(&a[0])))))),
    ("p_sha1", 1, strict!(|a: &[ValueRef<'_>]| text(hex(&Sha1::digest(bytes_of(&a[0])))))),
    (
        "p_sha2",
        2,
        strict!(|a: &[ValueRef<'_>]| {
            let b = bytes_of(&a[0]);
            match int_of(&a[1]) {
                0 | 256 => text(hex(&Sha256::digest(b))),
                224 => text(hex(&Sha224::digest(b))),
                384 => text(hex(&Sha384::digest(b))),
                512 => text(hex(&Sha512::digest(b))),
                _ => Ok(Value::Null),
            }
        }),
    ),
    ("p_crc32", 1, strict!(|a: &[ValueRef<'_>]| Ok(Value::Int(i64::from(crc32fast::hash(bytes_of(&a[0]))))))),
    ("p_to_base64", 1, strict!(|a: &[ValueRef<'_>]| text(to_base64(bytes_of(&a[0]))))),
    (
        "p_from_base64",
        1,
        strict!(|a: &[ValueRef<'_>]| { Ok(from_base64(str_of(&a[0])).map_or(Value::Null, Value::Blob)) }),
    ),
    (
        "p_inet_aton",
        1,
        strict!(|a: &[ValueRef<'_>]| Ok(inet_aton(str_of(&a[0])).map_or(Value::Null, Value::Int))),
    ),
    (
        "p_inet_ntoa",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            match u32::try_from(int_of(&a[0])) {
                Ok(n) => text(std::net::Ipv4Addr::from(n).to_string()),
                Err(_) => Ok(Value::Null),
            }
        }),
    ),
    ("p_is_uuid", 1, strict!(|a: &[ValueRef<'_>]| truth(uuid_bytes(str_of(&a[0])).is_some()))),
    ("p_uuid_to_bin", -1, strict!(uuid_to_bin)),
    ("p_bin_to_uuid", -1, strict!(bin_to_uuid)),
];

pub(super) fn to_base64(b: &[u8]) -> String {
    let mut out = String::new();
    for chunk in b.chunks(3) {
        let n = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            if (out.len() + 1).is_multiple_of(LINE_CHARS + 1) {
                out.push('\n');
            }
            let digit = ALPHABET[(n >> (18 - 6 * i) & 63) as usize];
            out.push(if i > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    out
}

fn from_base64(t: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = t.bytes().filter(|c| !c.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::new();
    for (i, chunk) in digits.chunks(4).enumerate() {
        let last = (i + 1) * 4 == digits.len();
        let pad = chunk.iter().rev().take_while(|c| **c == b'=').count();
        if pad > 2 || (pad > 0 && !last) {
            return None;
        }
        let mut n = 0u32;
        for c in &chunk[..4 - pad] {
            n = n << 6 | ALPHABET.iter().position(|a| a == c)? as u32;
        }
        n <<= 6 * pad;
        out.extend_from_slice(&n.to_be_bytes()[1..4 - pad]);
    }
    Some(out)
}

fn inet_aton(t: &str) -> Option<i64> {
    let parts: Vec<&str> = t.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    let mut numbers = Vec::new();
    for p in &parts {
        numbers.push(p.parse::<u8>().ok()?);
    }
    let (last, head) = numbers.split_last()?;
    let mut n = head.iter().fold(0i64, |n, b| n << 8 | i64::from(*b));
    n <<= 8 * (4 - parts.len());
    Some(n << 8 | i64::from(*last))
}

fn uuid_bytes(t: &str) -> Option<[u8; 16]> {
    let t = t.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(t);
    let plain: String = match t.len() {
        32 => t.to_owned(),
        36 => {
            let b = t.as_bytes();
            if [8, 13, 18, 23].iter().any(|i| b[*i] != b'-') {
                return None;
            }
            t.replace('-', "")
        }
        _ => return None,
    };
    p2pdb_model::ids::unhex(&plain)?.try_into().ok()
}

fn uuid_to_bin(a: &[ValueRef<'_>]) -> Answer {
    let t = str_of(&a[0]);
    let Some(b) = uuid_bytes(t) else {
        let message = format!("Incorrect string value: '{t}' for function uuid_to_bin");
        return Err(SqlError::new(1411, "HY000", message));
    };
    if a.get(1).map_or(0, int_of) == 0 {
        return Ok(Value::Blob(b.to_vec()));
    }
    Ok(Value::Blob([&b[6..8], &b[4..6], &b[..4], &b[8..]].concat()))
}

fn bin_to_uuid(a: &[ValueRef<'_>]) -> Answer {
    let b = bytes_of(&a[0]);
    if b.len() != 16 {
        let message =
            format!("Incorrect string value: '{}' for function bin_to_uuid", String::from_utf8_lossy(b));
        return Err(SqlError::new(1411, "HY000", message));
    }
    let b = if a.get(1).map_or(0, int_of) == 0 {
        b.to_vec()
    } else {
        [&b[4..8], &b[2..4], &b[..2], &b[8..]].concat()
    };
    let h = hex(&b);
    text(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]))
}
