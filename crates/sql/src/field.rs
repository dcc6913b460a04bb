//! Result columns: names and types as the MySQL protocol describes them.

use p2pdb_model::types::Collation;

/// A column of a result set.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name or alias.
    pub name: String,
    /// The column's own name, when it comes from a table.
    pub org_name: String,
    /// The table's alias.
    pub table: String,
    /// The table's own name.
    pub org_table: String,
    /// The database.
    pub database: String,
    /// Its type.
    pub ty: FieldType,
    /// NOT NULL.
    pub not_null: bool,
    /// Part of the primary key.
    pub primary_key: bool,
    /// Part of a unique key.
    pub unique_key: bool,
    /// Part of another key.
    pub multiple_key: bool,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
}

impl Field {
    /// What comes from no table: an expression, or a column of rows that are not stored.
    pub fn expression(name: &str, ty: FieldType) -> Self {
        Field {
            name: name.to_owned(),
            org_name: String::new(),
            table: String::new(),
            org_table: String::new(),
            database: String::new(),
            ty,
            not_null: false,
            primary_key: false,
            unique_key: false,
            multiple_key: false,
            auto_increment: false,
        }
    }
}

/// The type of an expression or result column.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldType {
    /// The type.
    pub kind: FieldKind,
    /// UNSIGNED.
    pub unsigned: bool,
    /// Display length in characters (of numbers, dates) or greatest length in characters (of text, bytes).
    pub length: u32,
    /// Digits after the point; 31 where not fixed.
    pub decimals: u8,
    /// Collation of character types; `Binary` for the rest.
    pub collation: Collation,
    /// ZEROFILL.
    pub zerofill: bool,
}

/// Types of expressions; the stored form of each is in [`p2pdb_model::value`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// NULL literal.
    Null,
    /// TINYINT.
    Tiny,
    /// SMALLINT.
    Short,
    /// MEDIUMINT.
    Int24,
    /// INT.
    Long,
    /// BIGINT.
    LongLong,
    /// YEAR.
    Year,
    /// BIT.
    Bit,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL.
    Decimal,
    /// DATE.
    Date,
    /// TIME.
    Time,
    /// DATETIME.
    DateTime,
    /// TIMESTAMP (stored in UTC; shown in the session's time zone).
    Timestamp,
    /// CHAR.
    Char,
    /// VARCHAR and text expressions.
    VarChar,
    /// TEXT types by length.
    Text,
    /// BINARY.
    Binary,
    /// VARBINARY.
    VarBinary,
    /// BLOB types by length.
    Blob,
    /// ENUM with its members.
    Enum(std::sync::Arc<[String]>),
    /// SET with its members.
    Set(std::sync::Arc<[String]>),
    /// JSON.
    Json,
}
