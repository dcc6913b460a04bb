//! Rows that wait in a session: those of open cursors, as they were when they were opened, and those of queries whose
//! functions write, until the writer is free and the client can take them.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use p2pdb_model::{Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::{Field, FieldType};

use super::Result;
use crate::api::Sink;

/// What all waiting rows of a session take at most, bytes.
const ROWS_BYTES_MAX: usize = 64 << 20;

/// What the waiting rows of a session take together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Kept {
    fields: Vec<Field>,
    rows: Vec<Vec<Value>>,
    bytes: usize,
    budget: Budget,
}

impl Kept {
    pub(crate) fn new(budget: &Budget) -> Self {
        Kept { fields: Vec::new(), rows: Vec::new(), bytes: 0, budget: budget.clone() }
    }

    /// These rows, to be carried on; 1114 when the session holds more than it may.
    pub(crate) fn whole(self) -> Result<Arc<Self>> {
        if self.is_too_much() {
            let message = format!(
                "The rows of open cursors, and of queries that also write, take more than {ROWS_BYTES_MAX} bytes"
            );
            return Err(SqlError::new(1114, "HY000", message));
        }
        Ok(Arc::new(self))
    }

    fn is_too_much(&self) -> bool {
        self.budget.0.load(Ordering::Relaxed) > ROWS_BYTES_MAX
    }

    /// Gives them to the client.
    pub(crate) fn give(&self, sink: &mut dyn Sink) -> Result<()> {
        sink.columns(&self.fields)?;
        for row in &self.rows {
            let row: Vec<ValueRef<'_>> = row.iter().map(Into::into).collect();
            if sink.row(&self.fields, &row).is_break() {
                return Err(crate::engine::interrupted());
            }
        }
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        (&self.fields, &self.rows) == (&other.fields, &other.rows)
    }
}

impl Sink for Kept {
    fn columns(&mut self, fields: &[Field]) -> Result<()> {
        self.fields = fields.to_vec();
        Ok(())
    }

    fn row(&mut self, _: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        let row: Vec<Value> = row.iter().map(|v| v.to_value()).collect();
        let bytes = row.iter().map(|v| v.size_bytes() + size_of::<Value>()).sum::<usize>();
        self.bytes += bytes;
        self.budget.0.fetch_add(bytes, Ordering::Relaxed);
        self.rows.push(row);
        if self.is_too_much() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// An open cursor.
pub(super) struct Cursor {
    /// Which of the program's.
    pub(super) number: usize,
    rows: Arc<Kept>,
    next: usize,
}

impl Cursor {
    pub(super) fn new(number: usize, rows: Arc<Kept>) -> Self {
        Cursor { number, rows, next: 0 }
    }

    /// The next row, which must have so many columns.
    pub(super) fn next(&mut self, columns: usize) -> Result<Vec<(Value, FieldType)>> {
        let fields = &self.rows.fields;
        if columns != fields.len() {
            return Err(SqlError::new(1328, "HY000", "Incorrect number of FETCH variables"));
        }
        let row = self.rows.rows.get(self.next).ok_or_else(|| {
            SqlError::new(1329, "02000", "No data - zero rows fetched, selected, or processed")
        })?;
        self.next += 1;
        Ok(row.iter().cloned().zip(fields.iter().map(|f| f.ty.clone())).collect())
    }
}

/// 1326.
pub(super) fn not_open() -> SqlError {
    SqlError::new(1326, "24000", "Cursor is not open")
}
