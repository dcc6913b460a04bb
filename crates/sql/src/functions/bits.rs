//! Bit operations on binary strings, byte by byte (MySQL 8.0 manual, "Bit Functions and Operators").

use p2pdb_model::{Value, ValueRef};

use super::aggregate::Accumulator;
use super::{Answer, Row, any_null, bytes_of, int_of};
use crate::error::SqlError;

/// Longest operand of the aggregates, bytes.
const AGGREGATE_BYTES_MAX: usize = 511;

fn unequal() -> SqlError {
    SqlError::new(3513, "HY000", "Binary operands of bitwise operators must be of equal length")
}

fn zip(a: &[ValueRef<'_>], op: fn(u8, u8) -> u8) -> Answer {
    if any_null(a) {
        return Ok(Value::Null);
    }
    let (x, y) = (bytes_of(&a[0]), bytes_of(&a[1]));
    if x.len() != y.len() {
        return Err(unequal());
    }
    Ok(Value::Blob(x.iter().zip(y).map(|(x, y)| op(*x, *y)).collect()))
}

/// Moves bits to the left, or to the right where `n` is negative.
fn shift(b: &[u8], left: bool, n: u64) -> Vec<u8> {
    let bits = b.len() as u64 * 8;
    let mut out = vec![0; b.len()];
    if n >= bits {
        return out;
    }
    let (whole, part) = ((n / 8) as usize, (n % 8) as u32);
    for (i, o) in out.iter_mut().enumerate() {
        let at = |i: Option<usize>| u16::from(i.and_then(|i| b.get(i)).copied().unwrap_or(0));
        *o = if left {
            let pair = at(i.checked_add(whole)) << 8 | at(i.checked_add(whole + 1));
            (pair << part >> 8) as u8
        } else {
            let pair = at(i.checked_sub(whole + 1)) << 8 | at(i.checked_sub(whole));
            (pair >> part) as u8
        };
    }
    out
}

pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_bytes_and", 2, |a| zip(a, |x, y| x & y)),
    ("p_bytes_or", 2, |a| zip(a, |x, y| x | y)),
    ("p_bytes_xor", 2, |a| zip(a, |x, y| x ^ y)),
    ("p_bytes_not", 1, |a| {
        if any_null(a) {
            Ok(Value::Null)
        } else {
            Ok(Value::Blob(bytes_of(&a[0]).iter().map(|b| !b).collect()))
        }
    }),
    // (bytes, n, 1 to the left)
    ("p_bytes_shift", 3, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        // A negative number is a huge one.
        Ok(Value::Blob(shift(bytes_of(&a[0]), int_of(&a[2]) == 1, int_of(&a[1]) as u64)))
    }),
    ("p_bytes_count", 1, |a| {
        if any_null(a) {
            return Ok(Value::Null);
        }
        Ok(Value::Int(bytes_of(&a[0]).iter().map(|b| i64::from(b.count_ones())).sum()))
    }),
];

/// BIT_AND, BIT_OR and BIT_XOR of binary strings; NULL where there are no rows.
pub(super) struct ByteBits {
    pub(super) op: fn(u8, u8) -> u8,
    pub(super) state: Option<Vec<u8>>,
}

impl Accumulator for ByteBits {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        if any_null(args) {
            return Ok(());
        }
        let b = bytes_of(&args[0]);
        if b.len() > AGGREGATE_BYTES_MAX {
            let message = "Aggregate bitwise functions cannot accept arguments longer than 511 bytes; consider using \
                           the SUBSTRING() function";
            return Err(SqlError::new(3515, "HY000", message));
        }
        match &mut self.state {
            None => self.state = Some(b.to_vec()),
            Some(s) if s.len() == b.len() => s.iter_mut().zip(b).for_each(|(s, b)| *s = (self.op)(*s, *b)),
            Some(_) => return Err(unequal()),
        }
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        Err(SqlError::unsupported("bit operations on binary strings over a window"))
    }

    fn value(&self) -> Answer {
        Ok(self.state.clone().map_or(Value::Null, Value::Blob))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_move_across_bytes() {
        for (from, left, n, to) in [
            ([0x01, 0x80], true, 1, [0x03, 0x00]),
            ([0x01, 0x80], false, 4, [0x00, 0x18]),
            ([0xff, 0x00], true, 8, [0x00, 0x00]),
            ([0xff, 0x00], false, 8, [0x00, 0xff]),
            ([0xff, 0xff], true, 16, [0x00, 0x00]),
            ([0x12, 0x34], true, 0, [0x12, 0x34]),
        ] {
            assert_eq!(shift(&from, left, n), to, "{from:x?} {left} {n}");
        }
    }
}
