//! Cell values: the five SQLite storage classes, in the canonical form that MySQL types are stored in.
//!
//! One form serves the table, the log and the comparison of two cells, so nothing is converted on the way
//! from a statement to a peer's table. How each MySQL type is laid into these classes (rules 1):
//!
//! | MySQL type | stored as |
//! | --- | --- |
//! | TINYINT … BIGINT, YEAR, BOOL | `Int` |
//! | BIGINT UNSIGNED, BIT | `Int` up to 2^63-1; above that `Blob` of 8 bytes big-endian (integers sort before blobs) |
//! | DECIMAL | `Blob`, the order-preserving form of `decimal` (scale-free: 1.5 and 1.50 are one value) |
//! | FLOAT, DOUBLE | `Real`, finite, never negative zero (FLOAT rounded to single precision) |
//! | DATE, DATETIME | `Int`, packed as in `temporal`: sorts, holds zero and partial dates, DATE = DATETIME at midnight |
//! | TIMESTAMP | `Int`, packed like DATETIME, in UTC |
//! | TIME | `Int`, signed microseconds |
//! | CHAR, VARCHAR, TEXT, JSON | `Text` (JSON normalised) |
//! | BINARY, VARBINARY, BLOB | `Blob` |
//! | ENUM | `Int`, the 1-based index; 0 is the error value `''` |
//! | SET | `Int`, the bit mask (as BIGINT UNSIGNED) |

use std::cmp::Ordering;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::AccountId;

/// The value of one cell.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// SQL NULL.
    #[default]
    Null,
    /// A 64-bit signed integer.
    Int(i64),
    /// A finite 64-bit float.
    Real(f64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl Value {
    /// True for SQL NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// Approximate size in memory and on the wire, in bytes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Value::Null => 1,
            Value::Int(_) | Value::Real(_) => 9,
            Value::Text(s) => 5 + s.len(),
            Value::Blob(b) => 5 + b.len(),
        }
    }

    /// An unsigned 64-bit integer in its stored form.
    pub fn from_u64(n: u64) -> Value {
        match i64::try_from(n) {
            Ok(i) => Value::Int(i),
            Err(_) => Value::Blob(n.to_be_bytes().to_vec()),
        }
    }

    /// Reads the stored form of an unsigned 64-bit integer; `None` for anything else.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Int(i) => u64::try_from(*i).ok(),
            Value::Blob(b) => Some(u64::from_be_bytes(b.as_slice().try_into().ok()?)),
            _ => None,
        }
    }

    fn class(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Int(_) | Value::Real(_) => 1,
            Value::Text(_) => 2,
            Value::Blob(_) => 3,
        }
    }
}

/// A [`Value`] that is borrowed, as a row of SQLite gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// SQL NULL.
    Null,
    /// A 64-bit signed integer.
    Int(i64),
    /// A 64-bit float.
    Real(f64),
    /// UTF-8 text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
}

impl ValueRef<'_> {
    /// A copy that stands alone.
    pub fn to_value(self) -> Value {
        match self {
            ValueRef::Null => Value::Null,
            ValueRef::Int(i) => Value::Int(i),
            ValueRef::Real(r) => Value::Real(r),
            ValueRef::Text(t) => Value::Text(t.to_owned()),
            ValueRef::Blob(b) => Value::Blob(b.to_vec()),
        }
    }
}

impl<'a> From<&'a Value> for ValueRef<'a> {
    fn from(v: &'a Value) -> Self {
        match v {
            Value::Null => ValueRef::Null,
            Value::Int(i) => ValueRef::Int(*i),
            Value::Real(r) => ValueRef::Real(*r),
            Value::Text(t) => ValueRef::Text(t),
            Value::Blob(b) => ValueRef::Blob(b),
        }
    }
}

/// Identity of stored values: same class, same bits. (Not SQL equality: no collation, NULL equals NULL.)
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Real(a), Value::Real(b)) => a.to_bits() == b.to_bits(),
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Blob(a), Value::Blob(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Value::Null => {}
            Value::Int(i) => i.hash(state),
            Value::Real(r) => r.to_bits().hash(state),
            Value::Text(s) => s.hash(state),
            Value::Blob(b) => b.hash(state),
        }
    }
}

/// A total order, consistent with [`Eq`]: class, then content; the order of SQLite with binary collation
/// where that is defined.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
            (Value::Int(a), Value::Real(b)) => (*a as f64).total_cmp(b).then(Ordering::Less),
            (Value::Real(a), Value::Int(b)) => a.total_cmp(&(*b as f64)).then(Ordering::Greater),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
            _ => self.class().cmp(&other.class()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => s.serialize_none(),
            Value::Int(i) => s.serialize_i64(*i),
            Value::Real(r) => s.serialize_f64(*r),
            Value::Text(t) => s.serialize_str(t),
            Value::Blob(b) => s.serialize_bytes(b),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("null, a 64-bit signed integer, a finite float, text or bytes")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_none<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_i64<E>(self, v: i64) -> Result<Value, E> {
                Ok(Value::Int(v))
            }
            fn visit_u64<E: de::Error>(self, v: u64) -> Result<Value, E> {
                i64::try_from(v).map(Value::Int).map_err(|_| E::custom("integer over 63 bits"))
            }
            fn visit_f64<E: de::Error>(self, v: f64) -> Result<Value, E> {
                if v.is_finite() && !(v == 0.0 && v.is_sign_negative()) {
                    Ok(Value::Real(v))
                } else {
                    Err(E::custom("a float that is not finite, or negative zero"))
                }
            }
            fn visit_str<E>(self, v: &str) -> Result<Value, E> {
                Ok(Value::Text(v.to_owned()))
            }
            fn visit_string<E>(self, v: String) -> Result<Value, E> {
                Ok(Value::Text(v))
            }
            fn visit_bytes<E>(self, v: &[u8]) -> Result<Value, E> {
                Ok(Value::Blob(v.to_vec()))
            }
            fn visit_byte_buf<E>(self, v: Vec<u8>) -> Result<Value, E> {
                Ok(Value::Blob(v))
            }
        }
        d.deserialize_any(V)
    }
}

/// A row's identity inside its table: its primary key at birth, or a hidden 16-byte id where the table
/// has none. It never changes, even when the key does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowKey(pub Vec<Value>);

impl RowKey {
    /// The key of a row with a single integer primary key.
    pub fn int(n: i64) -> Self {
        RowKey(vec![Value::Int(n)])
    }

    /// Whose row it is, in a table whose rows have owners: the key ends with it, so that every change of the row says it, and
    /// none can say another.
    pub fn owner(&self) -> Option<AccountId> {
        match self.0.last() {
            Some(Value::Blob(b)) => AccountId::from_slice(b.strip_prefix(OWNER)?),
            _ => None,
        }
    }

    /// What the key of such a row ends with.
    pub fn owner_part(account: AccountId) -> Value {
        Value::Blob([OWNER, &account.0[..]].concat())
    }
}

/// What stands before an account's id at the end of a row's key.
const OWNER: &[u8] = b"owner:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_row_it_is() {
        let ann = AccountId([7; 16]);
        let key = RowKey(vec![Value::Int(1), RowKey::owner_part(ann)]);
        assert_eq!(key.owner(), Some(ann));
        for none in [
            vec![],
            vec![Value::Int(1)],
            vec![Value::Blob(ann.0.to_vec())],
            vec![Value::Blob(b"owner:".to_vec())],
        ] {
            assert_eq!(RowKey(none).owner(), None);
        }
    }

    #[test]
    fn unsigned_integers_keep_their_order_over_the_whole_range() {
        let mut all =
            [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX].map(Value::from_u64);
        let sorted = all.clone();
        all.reverse();
        all.sort();
        assert_eq!(all, sorted);
        assert_eq!(sorted[5].as_u64(), Some(u64::MAX));
        assert_eq!(Value::Int(-1).as_u64(), None);
    }
}
