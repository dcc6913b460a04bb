//! IP addresses: INET6_ATON and its family, sets of GTIDs, and small functions of sets of bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use p2pdb_model::{GtidSet, Value, ValueRef};

use crate::error::SqlError;

use super::{Answer, Row, any_null, bits_of, bytes_of, int_of, str_of, text, truth};

macro_rules! strict {
    ($f:expr) => {
        |a| if any_null(a) { Ok(Value::Null) } else { $f(a) }
    };
}

/// Reads a set of GTIDs.
fn gtids(v: &ValueRef<'_>) -> Result<GtidSet, SqlError> {
    let t = str_of(v);
    GtidSet::parse(t).ok_or_else(|| SqlError::malformed_gtid_set(t))
}

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_gtid_subset", 2, strict!(|a: &[ValueRef<'_>]| truth(gtids(&a[0])?.is_subset(&gtids(&a[1])?)))),
    (
        "p_gtid_subtract",
        2,
        strict!(|a: &[ValueRef<'_>]| text(gtids(&a[0])?.minus(&gtids(&a[1])?).to_string())),
    ),
    (
        "p_inet6_aton",
        1,
        strict!(|a: &[ValueRef<'_>]| Ok(match str_of(&a[0]).parse() {
            Ok(IpAddr::V4(ip)) => Value::Blob(ip.octets().to_vec()),
            Ok(IpAddr::V6(ip)) => Value::Blob(ip.octets().to_vec()),
            Err(_) => Value::Null,
        })),
    ),
    (
        "p_inet6_ntoa",
        1,
        strict!(|a: &[ValueRef<'_>]| match address(&a[0]) {
            Some(IpAddr::V6(ip)) => text(ipv6_text(ip)),
            Some(ip) => text(ip.to_string()),
            None => Ok(Value::Null),
        }),
    ),
    ("p_is_ipv4", 1, strict!(|a: &[ValueRef<'_>]| truth(str_of(&a[0]).parse::<Ipv4Addr>().is_ok()))),
    ("p_is_ipv6", 1, strict!(|a: &[ValueRef<'_>]| truth(str_of(&a[0]).parse::<Ipv6Addr>().is_ok()))),
    (
        "p_is_ipv4_compat",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            let embedded = |ip: Ipv6Addr| ip.octets()[..12] == [0; 12] && u128::from(ip) > 1;
            truth(matches!(address(&a[0]), Some(IpAddr::V6(ip)) if embedded(ip)))
        }),
    ),
    (
        "p_is_ipv4_mapped",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            truth(matches!(address(&a[0]), Some(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some()))
        }),
    ),
    ("p_make_set", -1, |a| {
        if matches!(a[0], ValueRef::Null) {
            return Ok(Value::Null);
        }
        let bits = bits_of(&a[0]);
        let chosen = a[1..].iter().take(64).enumerate();
        let words: Vec<&str> = chosen
            .filter(|(i, v)| bits >> i & 1 == 1 && !matches!(v, ValueRef::Null))
            .map(|(_, v)| str_of(v))
            .collect();
        text(words.join(","))
    }),
    ("p_export_set", -1, strict!(export_set)),
    (
        "p_format_bytes",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
            let n = super::real_of(&a[0]);
            text(match UNITS.iter().enumerate().rev().find(|(i, _)| n.abs() >= 1024f64.powi(*i as i32 + 1)) {
                Some((i, unit)) => format!("{:.2} {unit}", n / 1024f64.powi(i as i32 + 1)),
                None => format!("{n:4.0} bytes"),
            })
        }),
    ),
    (
        "p_format_pico_time",
        1,
        strict!(|a: &[ValueRef<'_>]| {
            const UNITS: [(f64, &str); 7] = [
                (86_400e12, "d"),
                (3_600e12, "h"),
                (60e12, "min"),
                (1e12, "s"),
                (1e9, "ms"),
                (1e6, "us"),
                (1e3, "ns"),
            ];
            let n = super::real_of(&a[0]);
            text(match UNITS.iter().find(|(size, _)| n.abs() >= *size) {
                Some((size, "d")) if n.abs() / size >= 1e5 => {
                    let number = format!("{:.2e}", n / size);
                    let (digits, power) = number.split_once('e').unwrap_or((&number, "0"));
                    format!("{digits}e+{power:0>2} d")
                }
                Some((size, unit)) => format!("{:.2} {unit}", n / size),
                None => format!("{:3} ps", n.trunc()),
            })
        }),
    ),
];

/// As MySQL writes it: what holds an IPv4 address ends like one.
fn ipv6_text(ip: Ipv6Addr) -> String {
    let octets = ip.octets();
    match octets.split_last_chunk::<4>() {
        Some((head, tail)) if head.iter().all(|b| *b == 0) && (tail[0], tail[1]) != (0, 0) => {
            format!("::{}", Ipv4Addr::from(*tail))
        }
        _ => ip.to_string(),
    }
}

fn address(v: &ValueRef<'_>) -> Option<IpAddr> {
    let b = bytes_of(v);
    match b.len() {
        4 => <[u8; 4]>::try_from(b).ok().map(|b| IpAddr::V4(b.into())),
        16 => <[u8; 16]>::try_from(b).ok().map(|b| IpAddr::V6(b.into())),
        _ => None,
    }
}

/// (bits, on, off, separator, number of bits)
fn export_set(a: &[ValueRef<'_>]) -> Answer {
    let bits = bits_of(&a[0]);
    let (on, off) = (str_of(&a[1]), str_of(&a[2]));
    let separator = a.get(3).map_or(",", str_of);
    let count = a.get(4).map_or(64, |n| usize::try_from(int_of(n)).map_or(64, |n| n.min(64)));
    let words: Vec<&str> = (0..count).map(|i| if bits >> i & 1 == 1 { on } else { off }).collect();
    text(words.join(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let f = FUNCTIONS.iter().find(|f| f.0 == "p_format_pico_time").unwrap().2;
        for (n, want) in [
            (0.0, "  0 ps"),
            (12.7, " 12 ps"),
            (999_999.0, "1000.00 ns"),
            (60e12, "1.00 min"),
            (86_400e12 * 99_999.0, "99999.00 d"),
            (86_400e12 * 1e5, "1.00e+05 d"),
        ] {
            assert_eq!(f(&[ValueRef::Real(n)]).unwrap(), Value::Text(want.to_owned()), "{n}");
        }
    }

    #[test]
    fn sizes_have_units() {
        let f = FUNCTIONS.iter().find(|f| f.0 == "p_format_bytes").unwrap().2;
        for (n, want) in
            [(0.0, "   0 bytes"), (512.0, " 512 bytes"), (1024.0, "1.00 KiB"), (18e18, "15.61 EiB")]
        {
            assert_eq!(f(&[ValueRef::Real(n)]).unwrap(), Value::Text(want.to_owned()), "{n}");
        }
    }
}
