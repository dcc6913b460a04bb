//! Sealed columns in statements: what is read of one passes `p_open`, what is written to it [`Sealer::seal`].
//!
//! Who may read or write them is asked before (`crate::needs`); the keys are the embedder's.

use std::fmt::Debug;

use p2pdb_model::catalog::physical_column;
use p2pdb_model::{ColumnTag, ObjectId, Value, ValueRef};

use super::context;
use crate::error::SqlError;
use crate::functions::{Answer, Row, bytes_of, int_of};
use crate::plan::NoteLevel;

/// Seals and opens cells with the keys that are here.
pub trait Sealer: Debug + Send + Sync {
    /// The value in a cell; none where its key is not here, or it was not sealed with it.
    fn open(&self, table: ObjectId, column: ColumnTag, cell: &[u8]) -> Option<Value>;

    /// There was a key of the column for this node, be it one that opens nothing.
    fn holds(&self, table: ObjectId, column: ColumnTag) -> bool;

    /// What a value of the column is found by, of the bytes that are the same for all that are equal to it.
    fn look(&self, table: ObjectId, column: ColumnTag, value: &[u8]) -> [u8; 16];

    /// A cell with this value.
    ///
    /// # Errors
    /// When nothing was made ready for writing to the column.
    fn seal(&self, table: ObjectId, column: ColumnTag, value: &Value) -> Result<Value, SqlError>;
}

/// Number of the warning, and error, that a value cannot be opened (`ER_CANNOT_FIND_KEY_IN_KEYRING`).
const NO_KEY: u16 = 3185;
const NOT_OPENED: &str = "A sealed value cannot be opened: its key is not here, or it is damaged";

pub(crate) const FUNCTIONS: &[Row] = &[("p_open", 3, p_open), ("p_seal", 4, p_seal)];

/// The SQL that reads a sealed cell.
pub(crate) fn opened(cell: &str, table: ObjectId, column: ColumnTag) -> String {
    format!("p_open({cell},x'{}',{})", table.to_hex(), column.0)
}

/// The SQL that seals a value over a cell.
pub(crate) fn sealed(value: &str, cell: &str, table: ObjectId, column: ColumnTag) -> String {
    format!("p_seal({value},{cell},x'{}',{})", table.to_hex(), column.0)
}

/// The cell in SQL that reads a sealed one: what SQLite calls its table there, the table and the column.
pub(crate) fn cell_of(sql: &str) -> Option<(&str, ObjectId, ColumnTag)> {
    let (cell, rest) = sql.strip_prefix("p_open(")?.strip_suffix(')')?.split_once(",x'")?;
    let (table, column) = rest.split_once("',")?;
    let (alias, of) = cell.rsplit_once('.')?;
    let column = ColumnTag(column.parse().ok()?);
    let table = ObjectId::from_hex(table)?;
    (of == physical_column(column) && !alias.contains(['(', ' '])).then_some((alias, table, column))
}

fn column_of(table: &ValueRef<'_>, column: &ValueRef<'_>) -> (ObjectId, ColumnTag) {
    let table = ObjectId::from_slice(bytes_of(table)).unwrap_or(ObjectId::ROOT);
    (table, ColumnTag(u32::try_from(int_of(column)).unwrap_or_default()))
}

fn open(cell: &ValueRef<'_>, (table, column): (ObjectId, ColumnTag)) -> Option<Value> {
    let ValueRef::Blob(cell) = cell else { return None };
    context::read(|c| c.sealer.clone())?.open(table, column, cell)
}

fn p_open(a: &[ValueRef<'_>]) -> Answer {
    if matches!(a[0], ValueRef::Null) {
        return Ok(Value::Null);
    }
    if let Some(value) = open(&a[0], column_of(&a[1], &a[2])) {
        return Ok(value);
    }
    not_opened()
}

/// NULL, or an error, for what cannot be opened.
pub(crate) fn not_opened() -> Answer {
    // What is written must not be made of what could not be read.
    if context::read(|c| c.writes) {
        return Err(SqlError::new(NO_KEY, "HY000", NOT_OPENED));
    }
    // One warning a statement, not one a row.
    if !context::read(|c| c.warnings.iter().any(|w| w.code == NO_KEY)) {
        context::note(NoteLevel::Warning, NO_KEY, NOT_OPENED);
    }
    Ok(Value::Null)
}

/// A cell that holds the value already stays as it is, so that nothing changes.
fn p_seal(a: &[ValueRef<'_>]) -> Answer {
    let (value, at) = (a[0].to_value(), column_of(&a[2], &a[3]));
    if value.is_null() {
        return Ok(Value::Null);
    }
    if open(&a[1], at).is_some_and(|held| held == value) {
        return Ok(a[1].to_value());
    }
    let sealer = context::read(|c| c.sealer.clone()).ok_or_else(not_ready)?;
    sealer.seal(at.0, at.1, &value)
}

/// Nothing was made ready for writing to the column.
pub fn not_ready() -> SqlError {
    SqlError::new(NO_KEY, "HY000", "A value cannot be sealed: no key of the column is ready")
}
