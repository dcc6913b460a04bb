//! Row keys as SQLite keeps them: in the change index, in `_k`, among siblings.
//!
//! A key of one integer is an INTEGER. Any other is a BLOB that holds the values one after the other. The hidden
//! 16-byte id of a table without primary key is those 16 bytes and nothing else, so that a statement can bind it; no
//! other encoding has that length. Local to this node's file: not part of the log or of any id.

use p2pdb_model::{RowKey, Value, ValueRef};

use crate::error::{Result, StoreError};

/// A row key in the form in which SQLite keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Ident {
    /// A single integer.
    Int(i64),
    /// Anything else.
    Bytes(Box<[u8]>),
}

/// Length of the hidden id of a row in a table without primary key, bytes.
pub const HIDDEN_KEY_BYTES: usize = 16;

const NULL: u8 = 0;
const INT: u8 = 1;
const REAL: u8 = 2;
const TEXT: u8 = 3;
const BLOB: u8 = 4;
/// Fills up an encoding that would have the length of a hidden id.
const PAD: u8 = 5;

impl Ident {
    pub(crate) fn of(key: &[Value]) -> Self {
        match key {
            [Value::Int(n)] => return Ident::Int(*n),
            [Value::Blob(b)] if b.len() == HIDDEN_KEY_BYTES => return Ident::Bytes(b.as_slice().into()),
            _ => {}
        }
        let mut out = Vec::with_capacity(key.iter().map(|v| v.size_bytes() + 5).sum());
        for v in key {
            match v {
                Value::Null => out.push(NULL),
                Value::Int(n) => {
                    out.push(INT);
                    out.extend(n.to_be_bytes());
                }
                Value::Real(r) => {
                    out.push(REAL);
                    out.extend(r.to_bits().to_be_bytes());
                }
                Value::Text(t) => write_bytes(&mut out, TEXT, t.as_bytes()),
                Value::Blob(b) => write_bytes(&mut out, BLOB, b),
            }
        }
        if out.len() == HIDDEN_KEY_BYTES {
            out.push(PAD);
        }
        Ident::Bytes(out.into())
    }

    /// It is the key of this one value.
    pub(crate) fn is_of(&self, value: &Value) -> bool {
        match (self, value) {
            (Ident::Int(own), Value::Int(n)) => own == n,
            _ => *self == Ident::of(std::slice::from_ref(value)),
        }
    }

    /// The row key; [`StoreError::Corrupt`] when the bytes are no encoding.
    pub(crate) fn to_key(&self) -> Result<RowKey> {
        match self {
            Ident::Int(n) => Ok(RowKey::int(*n)),
            Ident::Bytes(b) if b.len() == HIDDEN_KEY_BYTES => Ok(RowKey(vec![Value::Blob(b.to_vec())])),
            Ident::Bytes(b) => {
                let decoded = decode(b).map(RowKey);
                decoded.ok_or_else(|| StoreError::Corrupt("a row key that is no encoding".to_owned()))
            }
        }
    }

    pub(crate) fn sql(&self) -> ValueRef<'_> {
        match self {
            Ident::Int(n) => ValueRef::Int(*n),
            Ident::Bytes(b) => ValueRef::Blob(b),
        }
    }

    pub(crate) fn from_sql(v: ValueRef<'_>) -> Result<Self> {
        match v {
            ValueRef::Int(n) => Ok(Ident::Int(n)),
            ValueRef::Blob(b) => Ok(Ident::Bytes(b.into())),
            _ => Err(StoreError::Corrupt("a row key that is neither integer nor blob".to_owned())),
        }
    }

    /// Bytes that tell keys apart the same way on every node.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Ident::Int(n) => n.to_be_bytes().to_vec(),
            Ident::Bytes(b) => b.to_vec(),
        }
    }
}

fn write_bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn decode(mut b: &[u8]) -> Option<Vec<Value>> {
    fn take<'a>(b: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
        let (head, rest) = b.split_at_checked(n)?;
        *b = rest;
        Some(head)
    }
    let mut out = Vec::new();
    while let Some((tag, rest)) = b.split_first() {
        b = rest;
        out.push(match *tag {
            NULL => Value::Null,
            INT => Value::Int(i64::from_be_bytes(take(&mut b, 8)?.try_into().ok()?)),
            REAL => Value::Real(f64::from_bits(u64::from_be_bytes(take(&mut b, 8)?.try_into().ok()?))),
            TEXT | BLOB => {
                let n = u32::from_be_bytes(take(&mut b, 4)?.try_into().ok()?);
                let bytes = take(&mut b, n as usize)?.to_vec();
                if *tag == TEXT { Value::Text(String::from_utf8(bytes).ok()?) } else { Value::Blob(bytes) }
            }
            PAD if b.is_empty() => return Some(out),
            _ => return None,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_round_trip_and_only_hidden_ids_have_their_length() {
        let text = |n: usize| Value::Text("x".repeat(n));
        let keys = [
            vec![Value::Int(-5)],
            vec![Value::Blob(vec![7; 16])],
            vec![text(11)], // 1 + 4 + 11 bytes: as long as a hidden id
            vec![text(3), Value::Null, Value::Real(1.5), Value::Blob(vec![1]), Value::Int(i64::MIN)],
            vec![Value::Int(1), Value::Int(2)],
            vec![],
        ];
        for key in &keys {
            let ident = Ident::of(key);
            assert_eq!(&ident.to_key().unwrap().0, key);
            assert_eq!(Ident::from_sql(ident.sql()).unwrap(), ident);
        }
        let Ident::Bytes(padded) = Ident::of(&keys[2]) else { panic!("bytes") };
        assert_ne!(padded.len(), HIDDEN_KEY_BYTES);
        assert!(Ident::Bytes(vec![9, 9].into()).to_key().is_err());
    }
}
