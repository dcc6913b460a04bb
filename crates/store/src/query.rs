//! Parameters in, rows out.

use std::ops::ControlFlow;

use p2pdb_model::{Value, ValueRef};

use crate::error::{Result, StoreError};
use crate::sqlite::from_sql;

/// Parameters of a statement, bound to `?1, ?2, …` in order.
///
/// `()` is none; slices and arrays of [`Value`] or [`ValueRef`] are what they say.
pub trait Params {
    /// How many.
    fn count(&self) -> usize;
    /// The `i`-th, from 0.
    fn at(&self, i: usize) -> ValueRef<'_>;
}

impl Params for () {
    fn count(&self) -> usize {
        0
    }
    fn at(&self, _: usize) -> ValueRef<'_> {
        ValueRef::Null
    }
}

impl Params for [Value] {
    fn count(&self) -> usize {
        self.len()
    }
    fn at(&self, i: usize) -> ValueRef<'_> {
        (&self[i]).into()
    }
}

impl Params for [ValueRef<'_>] {
    fn count(&self) -> usize {
        self.len()
    }
    fn at(&self, i: usize) -> ValueRef<'_> {
        self[i]
    }
}

impl<P: Params + ?Sized> Params for &P {
    fn count(&self) -> usize {
        (**self).count()
    }
    fn at(&self, i: usize) -> ValueRef<'_> {
        (**self).at(i)
    }
}

impl<T, const N: usize> Params for [T; N]
where
    [T]: Params,
{
    fn count(&self) -> usize {
        N
    }
    fn at(&self, i: usize) -> ValueRef<'_> {
        self.as_slice().at(i)
    }
}

impl<T> Params for Vec<T>
where
    [T]: Params,
{
    fn count(&self) -> usize {
        self.len()
    }
    fn at(&self, i: usize) -> ValueRef<'_> {
        self.as_slice().at(i)
    }
}

/// Whether a callback wants the next row.
pub type Flow = ControlFlow<()>;

/// Give me the next row.
pub const NEXT: Flow = ControlFlow::Continue(());

/// I have seen enough.
pub const STOP: Flow = ControlFlow::Break(());

/// One row of a result, valid inside the callback; nothing is copied.
pub struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    columns: usize,
}

impl<'a> Row<'a> {
    pub(crate) fn new(row: &'a rusqlite::Row<'a>, columns: usize) -> Self {
        Self { row, columns }
    }

    /// How many columns.
    pub fn len(&self) -> usize {
        self.columns
    }

    /// True for a row without columns (there is none).
    pub fn is_empty(&self) -> bool {
        self.columns == 0
    }

    /// The value in column `i`, from 0.
    pub fn get(&self, i: usize) -> Result<ValueRef<'_>> {
        from_sql(self.row.get_ref(i)?)
    }

    /// All values, copied.
    pub fn to_values(&self) -> Result<Vec<Value>> {
        (0..self.columns).map(|i| Ok(self.get(i)?.to_value())).collect()
    }

    /// The integer in column `i`.
    pub fn int(&self, i: usize) -> Result<i64> {
        match self.get(i)? {
            ValueRef::Int(n) => Ok(n),
            other => Err(unexpected(i, "an integer", other)),
        }
    }

    /// The integer in column `i`, or `None` for NULL.
    pub fn int_or_null(&self, i: usize) -> Result<Option<i64>> {
        match self.get(i)? {
            ValueRef::Null => Ok(None),
            ValueRef::Int(n) => Ok(Some(n)),
            other => Err(unexpected(i, "an integer", other)),
        }
    }

    /// The bytes in column `i`.
    pub fn blob(&self, i: usize) -> Result<&[u8]> {
        match self.get(i)? {
            ValueRef::Blob(b) => Ok(b),
            other => Err(unexpected(i, "bytes", other)),
        }
    }

    /// The bytes in column `i`, or `None` for NULL.
    pub fn blob_or_null(&self, i: usize) -> Result<Option<&[u8]>> {
        match self.get(i)? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(b) => Ok(Some(b)),
            other => Err(unexpected(i, "bytes", other)),
        }
    }

    /// The text in column `i`.
    pub fn text(&self, i: usize) -> Result<&str> {
        match self.get(i)? {
            ValueRef::Text(t) => Ok(t),
            other => Err(unexpected(i, "text", other)),
        }
    }
}

/// Our own tables always hold what we wrote; another class of value is damage.
fn unexpected(column: usize, wanted: &str, found: ValueRef<'_>) -> StoreError {
    let found = match found {
        ValueRef::Null => "NULL",
        ValueRef::Int(_) => "an integer",
        ValueRef::Real(_) => "a float",
        ValueRef::Text(_) => "text",
        ValueRef::Blob(_) => "bytes",
    };
    StoreError::Corrupt(format!("result column {column} holds {found}, not {wanted}"))
}
