//! Types of expressions: how they follow from columns, literals and from each other.
//!
//! A [`FieldType`] describes a value to the client; its [`Class`] says how the value is laid into SQLite's storage
//! classes (see `p2pdb_model::value`) and therefore which conversion it needs. A [`TypeCode`] is what generated SQL
//! hands to conversion functions so that they know what they convert from.
//!
//! Not here: conversions themselves ([`crate::execute::convert`]).

use p2pdb_model::types::{Collation, IntSize, LobSize, SqlType};

use crate::field::{FieldKind, FieldType};

/// `decimals` of types without a fixed number of digits after the point.
pub const DECIMALS_NOT_FIXED: u8 = 31;
/// Greatest number of digits of a DECIMAL.
pub const DECIMAL_DIGITS_MAX: u32 = 65;
/// Greatest number of digits after the point of a DECIMAL.
pub const DECIMAL_SCALE_MAX: u8 = 30;
/// Length in bytes of a user variable that holds none but NULL or bytes.
const VARIABLE_BYTES: u32 = 16_777_215;
/// Length in characters of text whose length is not known.
pub const TEXT_LENGTH_UNKNOWN: u32 = 65_535;

/// How values of a type are stored and computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Only NULL.
    Null = 0,
    /// Signed integer.
    Int = 1,
    /// Unsigned integer, 8-byte blob above 2^63-1 (BIGINT UNSIGNED and what is computed with it).
    UInt = 2,
    /// Double.
    Real = 3,
    /// Float: a double rounded to single precision.
    Float = 4,
    /// Decimal.
    Decimal = 5,
    /// Text.
    Text = 6,
    /// Bytes.
    Bytes = 7,
    /// Date.
    Date = 8,
    /// DATETIME.
    DateTime = 9,
    /// TIMESTAMP, in UTC.
    Timestamp = 10,
    /// TIME.
    Time = 11,
    /// YEAR.
    Year = 12,
    /// BIT(n).
    Bit = 13,
    /// ENUM.
    Enum = 14,
    /// SET.
    Set = 15,
    /// JSON.
    Json = 16,
}

impl Class {
    const ALL: [Class; 17] = [
        Class::Null,
        Class::Int,
        Class::UInt,
        Class::Real,
        Class::Float,
        Class::Decimal,
        Class::Text,
        Class::Bytes,
        Class::Date,
        Class::DateTime,
        Class::Timestamp,
        Class::Time,
        Class::Year,
        Class::Bit,
        Class::Enum,
        Class::Set,
        Class::Json,
    ];

    /// DATE, DATETIME, TIMESTAMP.
    pub fn has_date(self) -> bool {
        matches!(self, Class::Date | Class::DateTime | Class::Timestamp)
    }

    /// DATE, DATETIME, TIMESTAMP, TIME.
    pub fn is_temporal(self) -> bool {
        self.has_date() || self == Class::Time
    }

    /// Stored and computed as an integer that is a number to SQL.
    pub fn is_integer(self) -> bool {
        matches!(self, Class::Int | Class::UInt | Class::Year | Class::Bit)
    }

    /// Compared as text under a collation.
    pub fn is_text(self) -> bool {
        matches!(self, Class::Text | Class::Enum | Class::Set)
    }

    /// Numbers.
    pub fn is_number(self) -> bool {
        self.is_integer() || matches!(self, Class::Real | Class::Float | Class::Decimal)
    }
}

/// What a conversion function must know of the type it converts from, packed into one integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeCode {
    /// Class.
    pub class: Class,
    /// Digits after the point.
    pub decimals: u8,
    /// Display length; only kept for ZEROFILL and BIT.
    pub width: u8,
    /// Fill with zeros up to `width`.
    pub zerofill: bool,
}

impl TypeCode {
    /// A class without details.
    pub fn of(class: Class) -> Self {
        TypeCode { class, decimals: 0, width: 0, zerofill: false }
    }

    /// As one integer, for SQL text.
    pub fn pack(self) -> i64 {
        i64::from(self.class as u8)
            | i64::from(self.decimals) << 8
            | i64::from(self.width) << 16
            | i64::from(self.zerofill) << 24
    }

    /// Reads what [`Self::pack`] wrote.
    pub fn unpack(code: i64) -> Self {
        TypeCode {
            class: Class::ALL.get((code & 0xff) as usize).copied().unwrap_or(Class::Null),
            decimals: (code >> 8 & 0xff) as u8,
            width: (code >> 16 & 0xff) as u8,
            zerofill: code >> 24 & 1 == 1,
        }
    }
}

impl TypeCode {
    /// A type whose values have this form: that of a user variable.
    pub fn field_type(self, collation: Collation) -> FieldType {
        match self.class {
            Class::Null => FieldType::bytes(VARIABLE_BYTES),
            Class::Int => FieldType::int(),
            Class::UInt => FieldType::uint(),
            Class::Real => FieldType::double(),
            Class::Decimal => FieldType::decimal(DECIMAL_DIGITS_MAX, self.decimals),
            Class::Bytes => FieldType::bytes(VARIABLE_BYTES),
            _ => FieldType::text(TEXT_LENGTH_UNKNOWN, collation),
        }
    }
}

impl FieldType {
    /// The number of its type in the protocol, by which bytes name their type in JSON; `None` for what is not bytes there.
    pub fn json_bytes_type(&self) -> Option<u8> {
        Some(match (&self.kind, self.length) {
            (FieldKind::Bit, _) => 16,
            (FieldKind::VarBinary, _) => 15,
            (FieldKind::Binary, _) => 254,
            (FieldKind::Blob, ..=255) => 249,
            (FieldKind::Blob, ..=65_535) => 252,
            (FieldKind::Blob, ..=16_777_215) => 250,
            (FieldKind::Blob, _) => 251,
            _ => return None,
        })
    }

    fn new(kind: FieldKind, unsigned: bool, length: u32, decimals: u8) -> Self {
        FieldType { kind, unsigned, length, decimals, collation: Collation::Binary, zerofill: false }
    }

    /// The type of a user variable that takes such a value: integer, decimal, double, bytes or text.
    pub fn of_variable(&self) -> FieldType {
        match self.class() {
            Class::Int | Class::Year => Self::int(),
            Class::UInt | Class::Bit => Self::uint(),
            Class::Real | Class::Float => Self::double(),
            Class::Decimal => self.clone(),
            Class::Bytes => Self::bytes(VARIABLE_BYTES),
            Class::Null => Self::bytes(VARIABLE_BYTES),
            class => {
                let collation =
                    if class == Class::Text { self.collation } else { Collation::Utf8mb4_0900AiCi };
                Self::text(TEXT_LENGTH_UNKNOWN, collation)
            }
        }
    }

    /// The same as an expression that is no column: the digits of a text are not fixed.
    pub fn of_expression(self) -> Self {
        let decimals = if self.class() == Class::Text { DECIMALS_NOT_FIXED } else { self.decimals };
        FieldType { decimals, ..self }
    }

    /// The same without ZEROFILL, as what chooses between values has it.
    pub fn without_zerofill(self) -> Self {
        FieldType { zerofill: false, ..self }
    }

    /// The type of NULL.
    pub fn null() -> Self {
        Self::new(FieldKind::Null, false, 0, 0)
    }

    /// BIGINT.
    pub fn int() -> Self {
        Self::new(FieldKind::LongLong, false, 21, 0)
    }

    /// The result of a comparison or condition.
    pub fn boolean() -> Self {
        Self::new(FieldKind::LongLong, false, 1, 0)
    }

    /// BIGINT UNSIGNED.
    pub fn uint() -> Self {
        Self::new(FieldKind::LongLong, true, 21, 0)
    }

    /// DOUBLE.
    pub fn double() -> Self {
        Self::new(FieldKind::Double, false, 23, DECIMALS_NOT_FIXED)
    }

    /// DOUBLE that is shown with so many digits behind the point; 31: with as many as it takes.
    pub fn double_of(decimals: u8) -> Self {
        const WHOLE_CHARS: u32 = 17;
        if decimals >= DECIMALS_NOT_FIXED {
            return Self::double();
        }
        Self::new(FieldKind::Double, false, WHOLE_CHARS + u32::from(decimals), decimals)
    }

    /// The digits behind the point that a double shows which is computed of this; 31: as many as it takes.
    pub fn fixed_decimals(&self) -> u8 {
        match self.class() {
            Class::Real | Class::Float => self.decimals,
            Class::Decimal => self.scale(),
            c if c.is_integer() => 0,
            _ => DECIMALS_NOT_FIXED,
        }
    }

    /// DECIMAL(precision, scale), cut to what a DECIMAL can hold.
    pub fn decimal(precision: u32, scale: u8) -> Self {
        let scale = scale.min(DECIMAL_SCALE_MAX);
        let precision = precision.clamp(u32::from(scale).max(1), DECIMAL_DIGITS_MAX);
        let length = precision + u32::from(scale > 0) + 1;
        Self::new(FieldKind::Decimal, false, length, scale)
    }

    /// VARCHAR of `length` characters.
    pub fn text(length: u32, collation: Collation) -> Self {
        if collation == Collation::Binary {
            return Self::bytes(length);
        }
        let kind = if length > 16_383 { FieldKind::Text } else { FieldKind::VarChar };
        FieldType { collation, ..Self::new(kind, false, length, DECIMALS_NOT_FIXED) }
    }

    /// VARBINARY of `length` bytes.
    pub fn bytes(length: u32) -> Self {
        let kind = if length > 65_535 { FieldKind::Blob } else { FieldKind::VarBinary };
        Self::new(kind, false, length, DECIMALS_NOT_FIXED)
    }

    /// DATE.
    pub fn date() -> Self {
        Self::new(FieldKind::Date, false, 10, 0)
    }

    /// DATETIME(fsp).
    pub fn datetime(fsp: u8) -> Self {
        Self::new(FieldKind::DateTime, false, 19 + fraction_length(fsp), fsp)
    }

    /// TIME(fsp).
    pub fn time(fsp: u8) -> Self {
        Self::new(FieldKind::Time, false, 10 + fraction_length(fsp), fsp)
    }

    /// JSON.
    pub fn json() -> Self {
        FieldType {
            collation: Collation::Utf8mb4Bin,
            ..Self::new(FieldKind::Json, false, u32::MAX / 4, DECIMALS_NOT_FIXED)
        }
    }

    /// The type of a column.
    pub fn of_column(ty: &SqlType) -> Self {
        match ty {
            SqlType::Int { size, unsigned, width, zerofill } => {
                let (kind, length) = match size {
                    IntSize::Tiny => (FieldKind::Tiny, if *unsigned { 3 } else { 4 }),
                    IntSize::Small => (FieldKind::Short, if *unsigned { 5 } else { 6 }),
                    IntSize::Medium => (FieldKind::Int24, if *unsigned { 8 } else { 9 }),
                    IntSize::Int => (FieldKind::Long, if *unsigned { 10 } else { 11 }),
                    IntSize::Big => (FieldKind::LongLong, 20),
                };
                let length = width.map_or(length, u32::from);
                FieldType { zerofill: *zerofill, ..Self::new(kind, *unsigned, length, 0) }
            }
            SqlType::Decimal { precision, scale, unsigned } => FieldType {
                unsigned: *unsigned,
                length: u32::from(*precision) + u32::from(*scale > 0) + u32::from(!unsigned),
                ..Self::decimal(u32::from(*precision), *scale)
            },
            SqlType::Float { unsigned, digits } => Self::new(
                FieldKind::Float,
                *unsigned,
                digits.map_or(12, |d| u32::from(d.0)),
                digits.map_or(DECIMALS_NOT_FIXED, |d| d.1),
            ),
            SqlType::Double { unsigned, digits } => Self::new(
                FieldKind::Double,
                *unsigned,
                digits.map_or(22, |d| u32::from(d.0)),
                digits.map_or(DECIMALS_NOT_FIXED, |d| d.1),
            ),
            SqlType::Bit { bits } => Self::new(FieldKind::Bit, true, u32::from(*bits), 0),
            SqlType::Date => Self::date(),
            SqlType::Time { fsp } => Self::time(*fsp),
            SqlType::DateTime { fsp } => Self::datetime(*fsp),
            SqlType::Timestamp { fsp } => FieldType { kind: FieldKind::Timestamp, ..Self::datetime(*fsp) },
            SqlType::Year => Self::new(FieldKind::Year, true, 4, 0),
            SqlType::Char { chars, collation } => FieldType {
                kind: FieldKind::Char,
                length: *chars,
                collation: *collation,
                decimals: 0,
                ..Self::text(0, *collation)
            },
            SqlType::VarChar { chars, collation } => FieldType {
                kind: FieldKind::VarChar,
                length: *chars,
                collation: *collation,
                decimals: 0,
                ..Self::text(0, *collation)
            },
            SqlType::Text { size, collation } => FieldType {
                kind: FieldKind::Text,
                length: lob_length(*size) / if *size == LobSize::Long { 4 } else { 1 },
                collation: *collation,
                decimals: 0,
                ..Self::text(0, *collation)
            },
            SqlType::Binary { bytes } => Self::new(FieldKind::Binary, false, *bytes, 0),
            SqlType::VarBinary { bytes } => Self::new(FieldKind::VarBinary, false, *bytes, 0),
            SqlType::Blob { size } => Self::new(FieldKind::Blob, false, lob_length(*size), 0),
            SqlType::Enum { values, collation } => {
                let length = values.iter().map(|v| v.chars().count()).max().unwrap_or(0) as u32;
                let kind = FieldKind::Enum(values.as_slice().into());
                FieldType { collation: *collation, ..Self::new(kind, false, length, 0) }
            }
            SqlType::Set { values, collation } => {
                let sum: usize = values.iter().map(|v| v.chars().count() + 1).sum();
                let kind = FieldKind::Set(values.as_slice().into());
                let length = sum.saturating_sub(1) as u32;
                FieldType { collation: *collation, ..Self::new(kind, false, length, 0) }
            }
            SqlType::Json => Self::json(),
        }
    }

    /// How its values are stored.
    pub fn class(&self) -> Class {
        match &self.kind {
            FieldKind::Null => Class::Null,
            FieldKind::LongLong if self.unsigned => Class::UInt,
            FieldKind::Tiny | FieldKind::Short | FieldKind::Int24 | FieldKind::Long | FieldKind::LongLong => {
                Class::Int
            }
            FieldKind::Year => Class::Year,
            FieldKind::Bit => Class::Bit,
            FieldKind::Float => Class::Float,
            FieldKind::Double => Class::Real,
            FieldKind::Decimal => Class::Decimal,
            FieldKind::Date => Class::Date,
            FieldKind::Time => Class::Time,
            FieldKind::DateTime => Class::DateTime,
            FieldKind::Timestamp => Class::Timestamp,
            FieldKind::Char | FieldKind::VarChar | FieldKind::Text => Class::Text,
            FieldKind::Binary | FieldKind::VarBinary | FieldKind::Blob => Class::Bytes,
            FieldKind::Enum(_) => Class::Enum,
            FieldKind::Set(_) => Class::Set,
            FieldKind::Json => Class::Json,
        }
    }

    /// What conversion functions must know of it.
    pub fn code(&self) -> TypeCode {
        let class = self.class();
        let width = match class {
            Class::Bit => self.length.min(64) as u8,
            _ if self.zerofill => self.length.min(255) as u8,
            _ => 0,
        };
        TypeCode { class, decimals: self.decimals, width, zerofill: self.zerofill }
    }

    /// Total digits, when it is read as a DECIMAL.
    pub fn precision(&self) -> u32 {
        match self.class() {
            Class::Decimal => {
                let sign = u32::from(!self.unsigned);
                self.length.saturating_sub(sign + u32::from(self.decimals > 0))
            }
            Class::Int | Class::UInt => match self.kind {
                FieldKind::Tiny => 3,
                FieldKind::Short => 5,
                FieldKind::Int24 => 8,
                FieldKind::Long => 10,
                _ if self.unsigned => self.length.min(20),
                _ => self.length.saturating_sub(1).clamp(1, 20),
            },
            Class::Year => 4,
            Class::Date => 8,
            Class::DateTime | Class::Timestamp => 14 + u32::from(self.decimals),
            Class::Time => 7 + u32::from(self.decimals),
            _ => 20,
        }
    }

    /// Fractional second digits, when it is read as a date or time.
    pub fn fsp(&self) -> u8 {
        match self.class() {
            Class::DateTime | Class::Timestamp | Class::Time => self.decimals.min(6),
            Class::Int | Class::UInt | Class::Bit | Class::Date | Class::Year => 0,
            Class::Decimal => self.decimals.min(6),
            _ => 6,
        }
    }

    /// Digits after the point, when it is read as a DECIMAL.
    pub fn scale(&self) -> u8 {
        match self.class() {
            Class::Decimal | Class::DateTime | Class::Timestamp | Class::Time => {
                self.decimals.min(DECIMAL_SCALE_MAX)
            }
            _ => 0,
        }
    }

    /// Length in characters, when it is read as text.
    pub fn text_length(&self) -> u32 {
        match self.class() {
            Class::Null => 0,
            Class::Real | Class::Float => 23,
            Class::Bit => self.length.div_ceil(8),
            _ => self.length,
        }
    }
}

fn fraction_length(fsp: u8) -> u32 {
    if fsp == 0 { 0 } else { u32::from(fsp) + 1 }
}

fn lob_length(size: LobSize) -> u32 {
    size.bytes_max().min(u64::from(u32::MAX)) as u32
}

/// The least number of bits that hold every magnitude of an integer type; 64 when nothing is known.
pub fn magnitude_bits(ty: &FieldType) -> u8 {
    match ty.kind {
        FieldKind::Tiny => 8,
        FieldKind::Short | FieldKind::Year => 16,
        FieldKind::Int24 => 24,
        FieldKind::Long => 32,
        FieldKind::LongLong if ty.length == 1 => 1,
        _ => 64,
    }
}

/// The type that holds values of both (UNION, CASE, COALESCE, …); the collation is decided elsewhere.
pub fn unify(a: &FieldType, b: &FieldType) -> FieldType {
    let (ca, cb) = (a.class(), b.class());
    if ca == Class::Null {
        return b.clone();
    }
    if cb == Class::Null || a == b {
        return a.clone();
    }
    let int = |c: Class| matches!(c, Class::Int | Class::UInt | Class::Year | Class::Bit);
    match (ca, cb) {
        (x, y) if int(x) && int(y) => {
            if a.unsigned == b.unsigned {
                let wider = if magnitude_bits(a) >= magnitude_bits(b) { a } else { b };
                match (x, y) {
                    (Class::Bit, Class::Bit) => FieldType { length: a.length.max(b.length), ..a.clone() },
                    (Class::Bit, _) | (_, Class::Bit) => FieldType::uint(),
                    _ => FieldType { length: a.length.max(b.length), zerofill: false, ..wider.clone() },
                }
            } else {
                let (u, s) = if a.unsigned { (a, b) } else { (b, a) };
                if magnitude_bits(u) < 64 {
                    let kind =
                        if magnitude_bits(u) >= magnitude_bits(s) { &FieldKind::LongLong } else { &s.kind };
                    let length = match kind {
                        FieldKind::LongLong => 21,
                        _ => s.length.max(u.length + 1),
                    };
                    FieldType { kind: kind.clone(), length, ..FieldType::int() }
                } else {
                    FieldType::decimal(20, 0)
                }
            }
        }
        // MySQL's table of types: an INT makes a DOUBLE of a FLOAT, and no other integer does.
        (Class::Float, y) if int(y) && y != Class::Bit && b.kind != FieldKind::Long => a.clone(),
        (x, Class::Float) if int(x) && x != Class::Bit && a.kind != FieldKind::Long => b.clone(),
        (x, y) if x.is_number() && y.is_number() => {
            let decimals = a.fixed_decimals().max(b.fixed_decimals());
            if matches!(x, Class::Float) && matches!(y, Class::Float) {
                return FieldType { decimals, length: a.length.max(b.length), ..a.clone() };
            }
            if matches!(x, Class::Real | Class::Float) || matches!(y, Class::Real | Class::Float) {
                return FieldType::double_of(decimals);
            }
            let scale = a.scale().max(b.scale());
            let whole = (a.precision() - u32::from(a.scale())).max(b.precision() - u32::from(b.scale()));
            FieldType::decimal(whole + u32::from(scale), scale)
        }
        (Class::Json, Class::Json) => FieldType::json(),
        (Class::Time, Class::Time) => FieldType::time(a.decimals.max(b.decimals)),
        (Class::Date, Class::Date) => FieldType::date(),
        (Class::Timestamp, Class::Timestamp) => {
            if a.decimals >= b.decimals {
                a.clone()
            } else {
                b.clone()
            }
        }
        (x, y) if x.is_temporal() && y.is_temporal() => FieldType::datetime(a.fsp().max(b.fsp())),
        (x, y) => {
            let length = a.text_length().max(b.text_length());
            if x == Class::Bytes || y == Class::Bytes || x == Class::Bit || y == Class::Bit {
                let lob = a.kind == FieldKind::Blob || b.kind == FieldKind::Blob;
                let ty = FieldType::bytes(length);
                if lob { FieldType { kind: FieldKind::Blob, ..ty } } else { ty }
            } else {
                let collation = if x.is_text() { a.collation } else { b.collation };
                let collation =
                    if collation == Collation::Binary { Collation::Utf8mb4_0900AiCi } else { collation };
                let ty = FieldType::text(length, collation);
                let fixed =
                    |k: &FieldKind| matches!(k, FieldKind::Char | FieldKind::Enum(_) | FieldKind::Set(_));
                if fixed(&a.kind) && fixed(&b.kind) { FieldType { kind: FieldKind::Char, ..ty } } else { ty }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_codes_round_trip() {
        for class in Class::ALL {
            let code = TypeCode { class, decimals: 31, width: 64, zerofill: true };
            assert_eq!(TypeCode::unpack(code.pack()), code);
        }
    }

    #[test]
    fn unified_types_hold_both() {
        let c = |t: FieldType| (t.class(), t.decimals);
        let (int, uint, dec) = (FieldType::int(), FieldType::uint(), FieldType::decimal(5, 2));
        assert_eq!(c(unify(&int, &uint)), (Class::Decimal, 0));
        assert_eq!(c(unify(&int, &dec)), (Class::Decimal, 2));
        assert_eq!(c(unify(&FieldType::null(), &dec)), (Class::Decimal, 2));
        assert_eq!(c(unify(&FieldType::double(), &dec)), (Class::Real, 31));
        assert_eq!(c(unify(&FieldType::date(), &FieldType::datetime(3))), (Class::DateTime, 3));
        assert_eq!(unify(&int, &FieldType::text(3, Collation::Utf8mb4Bin)).class(), Class::Text);
    }
}
