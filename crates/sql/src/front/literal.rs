//! Literals and parameters: values that are known when a statement is executed, with the kind that typing needs.

use p2pdb_model::Value;
use p2pdb_model::types::Collation;

use crate::field::FieldType;

/// Digits and sign of the longest integer of 31 bits.
const SMALL_LENGTH: u32 = 11;

/// What a literal is to the typing of a statement. Statements that differ only in the values of their literals,
/// not in their kinds, share one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiteralKind {
    /// A parameter whose type is not known yet (PREPARE).
    Unknown,
    /// NULL, only as a parameter (in text it is a keyword).
    Null,
    /// An integer of at most 31 bits.
    SmallInt,
    /// An integer up to 2^63-1.
    Int,
    /// An integer from 2^63 to 2^64-1.
    UInt,
    /// A number with a point: total digits, digits after the point.
    Decimal(u8, u8),
    /// A number with an exponent.
    Double,
    /// Text; the length in characters is at most 2 to the power of this.
    Text(u8),
    /// `x'…'`, `b'…'`, binary parameters: bytes that are a number in number context.
    Hex,
    /// Bytes sent as a binary parameter.
    Bytes,
    /// A DATE parameter.
    Date,
    /// A TIME parameter with microseconds.
    Time,
    /// A DATETIME parameter with microseconds.
    DateTime,
}

impl LiteralKind {
    /// The kind of text of this length.
    pub fn text(text: &str) -> Self {
        let chars = if text.len() < 8 { text.len() } else { text.chars().count() };
        LiteralKind::Text((usize::BITS - chars.saturating_sub(1).leading_zeros()) as u8)
    }

    /// The type of expression that it makes under the connection's collation.
    pub fn field_type(self, collation: Collation) -> FieldType {
        match self {
            LiteralKind::Unknown => FieldType::text(255, collation),
            LiteralKind::Null => FieldType::null(),
            LiteralKind::SmallInt => FieldType { length: SMALL_LENGTH, ..FieldType::int() },
            LiteralKind::Int => FieldType::int(),
            LiteralKind::UInt => FieldType { length: 20, ..FieldType::uint() },
            LiteralKind::Decimal(precision, scale) => FieldType::decimal(u32::from(precision), scale),
            LiteralKind::Double => FieldType::double(),
            LiteralKind::Text(bits) => FieldType::text(1u32 << bits.min(30), collation),
            LiteralKind::Hex | LiteralKind::Bytes => FieldType::bytes(255),
            LiteralKind::Date => FieldType::date(),
            LiteralKind::Time => FieldType::time(6),
            LiteralKind::DateTime => FieldType::datetime(6),
        }
    }
}

/// A literal or parameter: its kind, and its value in the stored form of that kind's type.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// What it is to typing.
    pub kind: LiteralKind,
    /// The value.
    pub value: Value,
}

impl Literal {
    /// SQL NULL.
    pub fn null() -> Self {
        Literal { kind: LiteralKind::Null, value: Value::Null }
    }

    /// A signed integer.
    pub fn int(n: i64) -> Self {
        let small = i32::try_from(n).is_ok();
        Literal { kind: if small { LiteralKind::SmallInt } else { LiteralKind::Int }, value: Value::Int(n) }
    }

    /// An unsigned integer.
    pub fn uint(n: u64) -> Self {
        match i64::try_from(n) {
            Ok(n) => Literal::int(n),
            Err(_) => Literal { kind: LiteralKind::UInt, value: Value::from_u64(n) },
        }
    }

    /// A double. Of a text's literals only finite ones come further than the front door.
    pub fn double(n: f64) -> Self {
        Literal { kind: LiteralKind::Double, value: Value::Real(n + 0.0) }
    }

    /// Text.
    pub fn text(text: String) -> Self {
        Literal { kind: LiteralKind::text(&text), value: Value::Text(text) }
    }

    /// Bytes.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Literal { kind: LiteralKind::Bytes, value: Value::Blob(bytes) }
    }
}
