//! Values on their way between the model and SQLite.

use p2pdb_model::{Value, ValueRef};
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value as OwnedSql, ValueRef as Sql};

use crate::error::{Result, StoreError};

/// A value to bind; borrows, SQLite makes the copy.
pub(crate) struct Bind<'a>(pub ValueRef<'a>);

impl ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            ValueRef::Null => Sql::Null,
            ValueRef::Int(i) => Sql::Integer(i),
            ValueRef::Real(r) => Sql::Real(r),
            ValueRef::Text(t) => Sql::Text(t.as_bytes()),
            ValueRef::Blob(b) => Sql::Blob(b),
        }))
    }
}

/// A value that SQLite gave; text that is not UTF-8 is damage, for only UTF-8 is ever written.
pub(crate) fn from_sql(v: Sql<'_>) -> Result<ValueRef<'_>> {
    Ok(match v {
        Sql::Null => ValueRef::Null,
        Sql::Integer(i) => ValueRef::Int(i),
        Sql::Real(r) => ValueRef::Real(r),
        Sql::Text(t) => ValueRef::Text(
            std::str::from_utf8(t).map_err(|_| StoreError::Corrupt("stored text is not UTF-8".to_owned()))?,
        ),
        Sql::Blob(b) => ValueRef::Blob(b),
    })
}

/// A value for SQLite to keep.
pub(crate) fn into_sql(v: Value) -> OwnedSql {
    match v {
        Value::Null => OwnedSql::Null,
        Value::Int(i) => OwnedSql::Integer(i),
        Value::Real(r) => OwnedSql::Real(r),
        Value::Text(t) => OwnedSql::Text(t),
        Value::Blob(b) => OwnedSql::Blob(b),
    }
}
