//! The rows of an open cursor: all of them, as they were when it was opened.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use p2pdb_model::{Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::{Field, FieldType};

use crate::api::Sink;

/// What one cursor holds at most, bytes.
const ROWS_BYTES_MAX: usize = 64 << 20;

/// See the module.
#[derive(Default)]
pub(crate) struct Rows {
    types: Vec<FieldType>,
    rows: VecDeque<Vec<Value>>,
    bytes: usize,
}

impl Rows {
    /// It held more than it may.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > ROWS_BYTES_MAX
    }

    /// The next row, which must have so many columns.
    pub(super) fn next(&mut self, columns: usize) -> Result<Vec<(Value, FieldType)>, SqlError> {
        if columns != self.types.len() {
            return Err(SqlError::new(1328, "HY000", "Incorrect number of FETCH variables"));
        }
        let row = self.rows.pop_front();
        let row = row.ok_or_else(|| {
            SqlError::new(1329, "02000", "No data - zero rows fetched, selected, or processed")
        })?;
        Ok(row.into_iter().zip(self.types.iter().cloned()).collect())
    }
}

impl Sink for Rows {
    fn columns(&mut self, fields: &[Field]) -> Result<(), SqlError> {
        self.types = fields.iter().map(|f| f.ty.clone()).collect();
        Ok(())
    }

    fn row(&mut self, _: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        let row: Vec<Value> = row.iter().map(|v| v.to_value()).collect();
        self.bytes += row.iter().map(|v| v.size_bytes() + size_of::<Value>()).sum::<usize>();
        self.rows.push_back(row);
        if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// 1326.
pub(super) fn not_open() -> SqlError {
    SqlError::new(1326, "24000", "Cursor is not open")
}

/// A cursor that holds too much.
pub(crate) fn too_large() -> SqlError {
    SqlError::new(1114, "HY000", format!("The rows of a cursor take more than {ROWS_BYTES_MAX} bytes"))
}
