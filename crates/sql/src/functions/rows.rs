//! Rows as one value, for LATERAL: a JSON array with a text for each row, which holds the row's cells in hexadecimal digits.

use p2pdb_model::ids::{hex, unhex};
use p2pdb_model::{Value, ValueRef};

use super::aggregate::Accumulator;
use super::{Answer, bytes_of};
use crate::error::SqlError;

/// What the rows of one LATERAL table may take for one row to its left, bytes (`max_allowed_packet`).
const ROWS_BYTES_MAX: usize = 64 << 20;

/// `p_rows(a, b, …)`.
#[derive(Default)]
pub(crate) struct Rows(String);

impl Accumulator for Rows {
    fn step(&mut self, args: &[ValueRef<'_>]) -> Result<(), SqlError> {
        let mut row = Vec::new();
        for v in args {
            let (tag, bytes) = match v {
                ValueRef::Null => (b'n', Vec::new()),
                ValueRef::Int(i) => (b'i', i.to_be_bytes().to_vec()),
                ValueRef::Real(r) => (b'r', r.to_be_bytes().to_vec()),
                ValueRef::Text(t) => (b't', t.as_bytes().to_vec()),
                v => (b'b', bytes_of(v).to_vec()),
            };
            row.push(tag);
            row.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            row.extend_from_slice(&bytes);
        }
        self.0.push_str(if self.0.is_empty() { "[\"" } else { ",\"" });
        self.0.push_str(&hex(&row));
        self.0.push('"');
        if self.0.len() > ROWS_BYTES_MAX {
            let message = "The rows of a LATERAL table are too many for one row to its left";
            return Err(SqlError::new(1038, "HY001", message));
        }
        Ok(())
    }

    fn inverse(&mut self, _: &[ValueRef<'_>]) -> Result<(), SqlError> {
        Err(SqlError::unsupported("LATERAL over a window"))
    }

    fn value(&self) -> Answer {
        Ok(Value::Text(if self.0.is_empty() { "[]".to_owned() } else { format!("{}]", self.0) }))
    }
}

/// The n-th cell of a row.
pub(super) fn cell(row: &str, n: i64) -> Value {
    let Some(bytes) = unhex(row) else { return Value::Null };
    let mut rest = bytes.as_slice();
    let mut next = || {
        let (tag, tail) = rest.split_first()?;
        let (len, tail) = tail.split_first_chunk::<4>()?;
        let (bytes, tail) = tail.split_at_checked(u32::from_be_bytes(*len) as usize)?;
        rest = tail;
        Some((*tag, bytes))
    };
    for _ in 0..n {
        next();
    }
    let Some((tag, bytes)) = next() else { return Value::Null };
    let number = || bytes.try_into().map(u64::from_be_bytes).unwrap_or_default();
    match tag {
        b'i' => Value::Int(number() as i64),
        b'r' => Value::Real(f64::from_bits(number())),
        b't' => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        b'b' => Value::Blob(bytes.to_vec()),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were() {
        let cells = [
            Value::Null,
            Value::Int(-5),
            Value::Real(0.25),
            Value::Text("ä\"]".to_owned()),
            Value::Blob(vec![0, 255]),
        ];
        let args: Vec<ValueRef<'_>> = cells.iter().map(ValueRef::from).collect();
        let mut rows = Rows::default();
        assert_eq!(rows.value().ok(), Some(Value::Text("[]".to_owned())));
        rows.step(&args).expect("fits");
        let Ok(Value::Text(all)) = rows.value() else { panic!("a text") };
        let row = all.trim_start_matches("[\"").trim_end_matches("\"]");
        for (n, want) in cells.iter().enumerate() {
            assert_eq!(cell(row, n as i64), *want, "{n}");
        }
        assert_eq!(cell(row, 9), Value::Null);
    }
}
