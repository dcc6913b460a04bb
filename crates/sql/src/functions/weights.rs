//! WEIGHT_STRING: the bytes by which values are sorted.
//!
//! Under `binary`, `utf8mb4_bin`, `utf8mb4_0900_bin` and `utf8mb4_general_ci` they are MySQL's. Under the Unicode collations they
//! are those of the collator that sorts here ([`crate::collate`]): they order and equal as the texts do, but are others than MySQL's.

use p2pdb_model::types::Collation;
use p2pdb_model::{Value, ValueRef};

use super::{Answer, Row, any_null, bits_of, int_of};

/// The bit that makes negative numbers less than others.
const SIGN: u64 = 1 << 63;

/// `p_weight_string(value, characters or -1, collation)`.
pub(crate) const FUNCTIONS: &[Row] = &[
    ("p_weight_unsigned", 1, |a| match a[0] {
        ValueRef::Null => Ok(Value::Null),
        n => Ok(Value::Blob(bits_of(&n).to_be_bytes().to_vec())),
    }),
    ("p_weight_string", 3, |a| -> Answer {
        if any_null(&a[..1]) {
            return Ok(Value::Null);
        }
        let chars = usize::try_from(int_of(&a[1])).ok();
        Ok(match a[0] {
            ValueRef::Text(t) => {
                let collation = crate::collate::by_id(int_of(&a[2]));
                let fitted = chars.map(|n| {
                    let kept: String = t.chars().take(n).collect();
                    let fill =
                        if collation == Collation::Utf8mb4_0900Bin { 0 } else { n - kept.chars().count() };
                    kept + &" ".repeat(fill)
                });
                Value::Blob(crate::collate::weights(fitted.as_deref().unwrap_or(t), collation))
            }
            ValueRef::Blob(b) => Value::Blob(b.iter().copied().take(chars.unwrap_or(usize::MAX)).collect()),
            ValueRef::Int(i) => Value::Blob((i as u64 ^ SIGN).to_be_bytes().to_vec()),
            _ => Value::Null,
        })
    }),
];
