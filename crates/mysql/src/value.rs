//! Values at the door: [`Cell`] leaves (one cell of a row), [`Param`] arrives (one parameter of an execute),
//! [`ColumnDef`] describes a result column. Deliberately not `model`'s values: the node converts.

use crate::constants::{ColumnFlags, ColumnType, DECIMALS_NOT_FIXED, charset};

/// One cell of a result row, borrowed from wherever it lies. DECIMAL, JSON, ENUM, SET and BIT are `Bytes`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A single-precision number; must be finite.
    Float(f32),
    /// A double-precision number; must be finite.
    Double(f64),
    /// Text in the result character set, or bytes.
    Bytes(&'a [u8]),
    /// A date; zero dates are 0, 0, 0.
    Date {
        /// 0 to 9999.
        year: u16,
        /// 0 to 12.
        month: u8,
        /// 0 to 31.
        day: u8,
    },
    /// A date with time (DATETIME, TIMESTAMP in the session's zone).
    DateTime {
        /// 0 to 9999.
        year: u16,
        /// 0 to 12.
        month: u8,
        /// 0 to 31.
        day: u8,
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
        /// 0 to 59.
        second: u8,
        /// Microseconds, 0 to 999999.
        micros: u32,
    },
    /// A duration or time of day; hours beyond 23 are carried in `days`.
    Time {
        /// Negative.
        negative: bool,
        /// Whole days.
        days: u32,
        /// 0 to 23.
        hours: u8,
        /// 0 to 59.
        minutes: u8,
        /// 0 to 59.
        seconds: u8,
        /// Microseconds, 0 to 999999.
        micros: u32,
    },
}

impl Cell<'_> {
    /// The kind of cell, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Cell::Null => "NULL",
            Cell::Int(_) => "signed integer",
            Cell::UInt(_) => "unsigned integer",
            Cell::Float(_) => "float",
            Cell::Double(_) => "double",
            Cell::Bytes(_) => "string",
            Cell::Date { .. } => "date",
            Cell::DateTime { .. } => "datetime",
            Cell::Time { .. } => "time",
        }
    }
}

/// A parameter of COM_STMT_EXECUTE or a query attribute, as the client typed it.
///
/// The fields of dates and times are as sent and unchecked (month 13 is possible): as in MySQL, a bad date is
/// an error of the statement (1292), not of the connection, so whoever binds the value checks it.
#[derive(Debug, Clone, PartialEq)]
pub enum Param {
    /// NULL.
    Null,
    /// A signed integer of any width.
    Int(i64),
    /// An unsigned integer of any width; YEAR comes so too.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL, as its text.
    Decimal(Vec<u8>),
    /// A string type (CHAR, VARCHAR, ENUM, SET, JSON), in the client's character set.
    Text(Vec<u8>),
    /// A BLOB type, BIT or GEOMETRY: bytes without a character set.
    Bytes(Vec<u8>),
    /// DATE.
    Date {
        /// Year as sent.
        year: u16,
        /// Month as sent.
        month: u8,
        /// Day as sent.
        day: u8,
    },
    /// DATETIME or TIMESTAMP.
    DateTime {
        /// Year as sent.
        year: u16,
        /// Month as sent.
        month: u8,
        /// Day as sent.
        day: u8,
        /// Hours as sent.
        hour: u8,
        /// As sent.
        minute: u8,
        /// As sent.
        second: u8,
        /// Microseconds as sent.
        micros: u32,
    },
    /// TIME.
    Time {
        /// Negative.
        negative: bool,
        /// Whole days.
        days: u32,
        /// Hours as sent.
        hours: u8,
        /// As sent.
        minutes: u8,
        /// As sent.
        seconds: u8,
        /// Microseconds as sent.
        micros: u32,
    },
}

/// A query attribute: a named value beside a statement (`mysql_query_attribute_string()` reads it).
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Its name; may be empty.
    pub name: String,
    /// Its value.
    pub value: Param,
}

/// The description of one result column or statement parameter (`ColumnDefinition41`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnDef<'a> {
    /// Database of the table, or empty.
    pub schema: &'a str,
    /// Alias of the table in the statement, or empty.
    pub table: &'a str,
    /// Name of the table itself, or empty.
    pub org_table: &'a str,
    /// Alias of the column: what clients show.
    pub name: &'a str,
    /// Name of the column in its table, or empty for expressions.
    pub org_name: &'a str,
    /// Collation number; [`charset::BINARY`] for numbers, dates and bytes.
    pub charset: u16,
    /// Greatest display length in bytes (strings: characters times bytes per character).
    pub length: u32,
    /// Type; decides the binary encoding of cells.
    pub column_type: ColumnType,
    /// Flags; UNSIGNED and ZEROFILL decide the encoding of cells.
    pub flags: ColumnFlags,
    /// Fraction digits: of DECIMAL, of DATETIME / TIME (0 to 6), of FLOAT / DOUBLE if fixed, else
    /// [`DECIMALS_NOT_FIXED`].
    pub decimals: u8,
}

impl<'a> ColumnDef<'a> {
    /// A column of `column_type` named `name`, with the charset, length and decimals usual for the type.
    pub fn new(name: &'a str, column_type: ColumnType) -> ColumnDef<'a> {
        let (length, decimals, flags) = match column_type {
            ColumnType::Tiny => (4, 0, ColumnFlags::BINARY),
            ColumnType::Short => (6, 0, ColumnFlags::BINARY),
            ColumnType::Int24 => (9, 0, ColumnFlags::BINARY),
            ColumnType::Long => (11, 0, ColumnFlags::BINARY),
            ColumnType::LongLong => (21, 0, ColumnFlags::BINARY),
            ColumnType::Year => (4, 0, ColumnFlags::UNSIGNED.union(ColumnFlags::ZEROFILL)),
            ColumnType::Float => (12, DECIMALS_NOT_FIXED, ColumnFlags::BINARY),
            ColumnType::Double => (23, DECIMALS_NOT_FIXED, ColumnFlags::BINARY),
            ColumnType::Date => (10, 0, ColumnFlags::BINARY),
            ColumnType::Time => (10, 0, ColumnFlags::BINARY),
            ColumnType::DateTime | ColumnType::Timestamp => (19, 0, ColumnFlags::BINARY),
            ColumnType::Null => (0, 0, ColumnFlags::BINARY),
            ColumnType::NewDecimal | ColumnType::Decimal => (11, 0, ColumnFlags::BINARY),
            ColumnType::Json => (u32::MAX, 0, ColumnFlags::BLOB.union(ColumnFlags::BINARY)),
            ColumnType::Blob => (262_140, 0, ColumnFlags::BLOB),
            _ => (1020, 0, ColumnFlags::empty()),
        };
        let charset = match column_type {
            ColumnType::VarChar
            | ColumnType::VarString
            | ColumnType::String
            | ColumnType::Enum
            | ColumnType::Set
            | ColumnType::TinyBlob
            | ColumnType::MediumBlob
            | ColumnType::LongBlob
            | ColumnType::Blob => charset::UTF8MB4_0900_AI_CI,
            _ => charset::BINARY,
        };
        ColumnDef {
            schema: "",
            table: "",
            org_table: "",
            name,
            org_name: "",
            charset,
            length,
            column_type,
            flags,
            decimals,
        }
    }

    /// How MySQL describes a `?` without a type at PREPARE.
    pub fn parameter() -> ColumnDef<'static> {
        ColumnDef {
            charset: charset::BINARY,
            length: 0,
            flags: ColumnFlags::BINARY,
            ..ColumnDef::new("?", ColumnType::VarString)
        }
    }
}
