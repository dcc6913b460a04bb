//! What the tests of this crate share.

use p2pdb_model::Value;
use tempfile::TempDir;

use crate::{NEXT, Options, Params, Writer};

/// A fresh directory and options for a store in it.
pub(crate) fn scratch() -> (TempDir, Options) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut options = Options::new(dir.path().join("realm.db"));
    options.durable = false;
    (dir, options)
}

/// A new store in a fresh directory.
pub(crate) fn new_store() -> (TempDir, Writer) {
    let (dir, options) = scratch();
    let writer = Writer::create(&options).expect("a new store");
    (dir, writer)
}

/// All rows of a query.
pub(crate) fn rows(c: &crate::Connection, sql: &str) -> Vec<Vec<Value>> {
    rows_with(c, sql, ())
}

/// All rows of a query with parameters.
pub(crate) fn rows_with(c: &crate::Connection, sql: &str, params: impl Params) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    c.query(sql, params, |r| {
        all.push(r.to_values()?);
        Ok(NEXT)
    })
    .expect("a query");
    all
}

/// The integer that a query gives.
pub(crate) fn int(c: &crate::Connection, sql: &str) -> i64 {
    c.query_one(sql, (), |r| r.int(0)).expect("a query").expect("a row")
}
