//! How a stored value looks to a client, by the type of its column. No allocation but for text that must be made.

use std::borrow::Cow;

use p2pdb_model::ValueRef;
use p2pdb_model::temporal::{Date, DateTime, Time};

use crate::execute::convert;
use crate::field::{FieldKind, FieldType};
use crate::types::Class;
use crate::zone::Zone;

/// One cell of a result row, ready for the text or the binary protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// SQL NULL.
    Null,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// Text (also DECIMAL, ENUM, SET, JSON, and integers with ZEROFILL).
    Text(Cow<'a, str>),
    /// Bytes (also BIT).
    Bytes(Cow<'a, [u8]>),
    /// DATE.
    Date(Date),
    /// DATETIME or TIMESTAMP, in the session's time zone, with its number of fractional digits.
    DateTime(DateTime, u8),
    /// TIME with its number of fractional digits.
    Time(Time, u8),
}

/// The cell of this value of a column of type `ty`, in a session of this time zone.
///
/// A value whose storage class does not fit its type (which only a fault of ours can make) is shown by its class.
pub fn cell<'a>(ty: &'a FieldType, value: ValueRef<'a>, zone: Zone) -> Cell<'a> {
    match (value, ty.class()) {
        (ValueRef::Null, _) => Cell::Null,
        (ValueRef::Int(i), Class::Int | Class::Null) => Cell::Int(i),
        (ValueRef::Int(i), Class::UInt | Class::Year) if !ty.zerofill => {
            u64::try_from(i).map_or(Cell::Int(i), Cell::UInt)
        }
        (ValueRef::Blob(b), Class::UInt) if !ty.zerofill => match b.try_into() {
            Ok(b) => Cell::UInt(u64::from_be_bytes(b)),
            Err(_) => Cell::Bytes(Cow::Borrowed(b)),
        },
        (ValueRef::Real(r), Class::Float) => Cell::Float(r as f32),
        (ValueRef::Real(r), _) => Cell::Double(r),
        (ValueRef::Int(i), Class::Real) => Cell::Double(i as f64),
        (ValueRef::Int(i), Class::Float) => Cell::Float(i as f32),
        (ValueRef::Text(t), _) => Cell::Text(Cow::Borrowed(t)),
        (ValueRef::Int(i), Class::Date) => Cell::Date(DateTime::unpack(i).date()),
        (ValueRef::Int(i), Class::DateTime) => Cell::DateTime(DateTime::unpack(i), ty.fsp()),
        (ValueRef::Int(i), Class::Timestamp) => Cell::DateTime(zone.to_local(DateTime::unpack(i)), ty.fsp()),
        (ValueRef::Int(i), Class::Time) => Cell::Time(Time(i), ty.fsp()),
        (ValueRef::Int(_) | ValueRef::Blob(_), Class::Bit) => {
            Cell::Bytes(Cow::Owned(convert::bit_bytes(value, ty.length.min(64) as u8)))
        }
        (ValueRef::Int(i), Class::Enum) => match &ty.kind {
            FieldKind::Enum(members) => Cell::Text(Cow::Borrowed(convert::enum_text(members, i))),
            _ => Cell::Int(i),
        },
        (ValueRef::Int(_) | ValueRef::Blob(_), Class::Set) => match &ty.kind {
            FieldKind::Set(members) => Cell::Text(Cow::Owned(convert::set_text(members, value))),
            _ => Cell::Null,
        },
        (ValueRef::Blob(b), Class::Bytes | Class::Null) => Cell::Bytes(Cow::Borrowed(b)),
        (_, class) => match convert::to_text(value, ty.code()) {
            Ok(Some(t)) if class != Class::Bytes => Cell::Text(Cow::Owned(t.into_owned())),
            _ => match value {
                ValueRef::Blob(b) => Cell::Bytes(Cow::Borrowed(b)),
                ValueRef::Int(i) => Cell::Int(i),
                _ => Cell::Null,
            },
        },
    }
}
