//! Columns and cells on their way out: from `p2pdb-sql`'s words to the protocol's.

use std::borrow::Cow;

use p2pdb_model::ValueRef;
use p2pdb_mysql::{Cell, ColumnDef, ColumnFlags, ColumnType, RowWriter, charset};
use p2pdb_sql::field::{Field, FieldKind, FieldType};
use p2pdb_sql::present;
use p2pdb_sql::zone::Zone;

use super::params::Charset;

/// Greatest number of bytes of a character in utf8mb4.
const CHARACTER_BYTES_MAX: u32 = 4;

/// The description of a result column. Text is in the character set of results, under that set's own collation
/// whatever the column's is; without one it keeps the column's.
pub(super) fn column(field: &Field, results: Option<u16>) -> ColumnDef<'_> {
    use ColumnType as T;
    let (column_type, is_text) = match &field.ty.kind {
        FieldKind::Null => (T::Null, false),
        FieldKind::Tiny => (T::Tiny, false),
        FieldKind::Short => (T::Short, false),
        FieldKind::Int24 => (T::Int24, false),
        FieldKind::Long => (T::Long, false),
        FieldKind::LongLong => (T::LongLong, false),
        FieldKind::Year => (T::Year, false),
        FieldKind::Bit => (T::Bit, false),
        FieldKind::Float => (T::Float, false),
        FieldKind::Double => (T::Double, false),
        FieldKind::Decimal => (T::NewDecimal, false),
        FieldKind::Date => (T::Date, false),
        FieldKind::Time => (T::Time, false),
        FieldKind::DateTime => (T::DateTime, false),
        FieldKind::Timestamp => (T::Timestamp, false),
        FieldKind::Char => (T::String, true),
        FieldKind::VarChar => (T::VarString, true),
        FieldKind::Text if field.org_name.is_empty() => (T::LongBlob, true),
        FieldKind::Text => (T::Blob, true),
        FieldKind::Binary => (T::String, false),
        FieldKind::VarBinary => (T::VarString, false),
        FieldKind::Blob if field.org_name.is_empty() => (T::LongBlob, false),
        FieldKind::Blob => (T::Blob, false),
        FieldKind::Enum(_) => (T::Enum, true),
        FieldKind::Set(_) => (T::Set, true),
        // A column of JSON is bytes, an expression is text.
        FieldKind::Json => (T::Json, field.org_name.is_empty()),
    };
    let mut flags = ColumnFlags::empty();
    flags.set(ColumnFlags::NOT_NULL, field.not_null);
    flags.set(ColumnFlags::PRIMARY_KEY, field.primary_key);
    flags.set(ColumnFlags::UNIQUE_KEY, field.unique_key);
    flags.set(ColumnFlags::MULTIPLE_KEY, field.multiple_key);
    flags.set(ColumnFlags::AUTO_INCREMENT, field.auto_increment);
    flags.set(ColumnFlags::UNSIGNED, field.ty.unsigned || column_type == T::Year);
    flags.set(ColumnFlags::ZEROFILL, field.ty.zerofill || column_type == T::Year);
    flags.set(ColumnFlags::BINARY, !is_text);
    flags.set(ColumnFlags::BLOB, matches!(column_type, T::Blob | T::LongBlob | T::Json));
    flags.set(ColumnFlags::TIMESTAMP, column_type == T::Timestamp);
    let length = match column_type {
        T::Json if !is_text => u32::MAX,
        // LONGTEXT ends at the same number of bytes as LONGBLOB.
        T::Blob | T::LongBlob if is_text && field.ty.length == u32::MAX / CHARACTER_BYTES_MAX => u32::MAX,
        _ if is_text => field.ty.length.saturating_mul(CHARACTER_BYTES_MAX),
        _ => field.ty.length,
    };
    ColumnDef {
        schema: &field.database,
        table: &field.table,
        org_table: &field.org_table,
        name: &field.name,
        org_name: &field.org_name,
        charset: if is_text { results.unwrap_or(field.ty.collation.id()) } else { charset::BINARY },
        length,
        column_type,
        flags,
        decimals: if column_type == T::Json && !is_text { 0 } else { field.ty.decimals },
    }
}

/// Writes a row's cells.
pub(super) fn put_row(
    rows: &mut RowWriter<'_>,
    fields: &[Field],
    row: &[ValueRef<'_>],
    zone: Zone,
    charset: Charset,
) {
    for (field, value) in fields.iter().zip(row) {
        with_cell(&field.ty, *value, zone, charset, |cell| rows.cell(cell));
    }
}

/// Hands on a stored value as the client sees it.
pub(super) fn with_cell<R>(
    ty: &FieldType,
    value: ValueRef<'_>,
    zone: Zone,
    charset: Charset,
    then: impl FnOnce(Cell<'_>) -> R,
) -> R {
    let presented = present::cell(ty, value, zone);
    let encoded: Cow<'_, [u8]>;
    then(match &presented {
        present::Cell::Null => Cell::Null,
        present::Cell::Int(n) => Cell::Int(*n),
        present::Cell::UInt(n) => Cell::UInt(*n),
        present::Cell::Float(n) => Cell::Float(*n),
        present::Cell::Double(n) => Cell::Double(*n),
        present::Cell::Text(t) => {
            encoded = charset.encode(t);
            Cell::Bytes(&encoded)
        }
        present::Cell::Bytes(b) => Cell::Bytes(b),
        present::Cell::Date(d) => Cell::Date { year: d.year, month: d.month, day: d.day },
        present::Cell::DateTime(d, _) => Cell::DateTime {
            year: d.year,
            month: d.month,
            day: d.day,
            hour: d.hour,
            minute: d.minute,
            second: d.second,
            micros: d.micros,
        },
        present::Cell::Time(t, _) => {
            let us = t.0.unsigned_abs();
            let seconds = us / 1_000_000;
            Cell::Time {
                negative: t.0 < 0,
                days: (seconds / 86_400) as u32,
                hours: (seconds / 3_600 % 24) as u8,
                minutes: (seconds / 60 % 60) as u8,
                seconds: (seconds % 60) as u8,
                micros: (us % 1_000_000) as u32,
            }
        }
    })
}
