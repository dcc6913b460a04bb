//! Indexes that SQLite's own triggers keep beside a visible table: `search` (full text) and `looks` (sealed columns).
//!
//! Each has a name of its own, which all that belongs to it begins with, and rows that a view computes from the table's.

use p2pdb_model::ValueRef;

use crate::connection::Connection;
use crate::error::Result;
use crate::query::NEXT;

/// The triggers of an index: `take` what it has of the old row, `put` what it is to have of the new one. An update that is not
/// `changed` moves nothing.
pub(crate) fn triggers(name: &str, table: &str, changed: &str, take: &str, put: &str) -> String {
    format!(
        "CREATE TRIGGER {name}_insert AFTER INSERT ON {table} BEGIN {put} END;
         CREATE TRIGGER {name}_delete BEFORE DELETE ON {table} BEGIN {take} END;
         CREATE TRIGGER {name}_before BEFORE UPDATE ON {table} WHEN {changed} BEGIN {take} END;
         CREATE TRIGGER {name}_after AFTER UPDATE ON {table} WHEN {changed} BEGIN {put} END;"
    )
}

/// Takes them away.
pub(crate) fn drop_triggers(name: &str) -> String {
    let of = ["insert", "delete", "before", "after"];
    of.map(|when| format!("DROP TRIGGER IF EXISTS {name}_{when};")).concat()
}

/// The indexes of this kind over a table.
pub(crate) fn of_table(db: &Connection, prefix: &str, table: &str) -> Result<Vec<String>> {
    named(
        db,
        "_insert",
        "type = 'trigger' AND tbl_name = ?2",
        &[ValueRef::Text(prefix), ValueRef::Text(table)],
    )
}

/// All indexes of this kind.
pub(crate) fn all(db: &Connection, prefix: &str) -> Result<Vec<String>> {
    named(db, "_rows", "type = 'view'", &[ValueRef::Text(prefix)])
}

/// Those of which SQLite's schema has what is called so.
fn named(db: &Connection, suffix: &str, which: &str, params: &[ValueRef<'_>]) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let sql =
        format!("SELECT name FROM sqlite_schema WHERE name GLOB ?1 || '*{suffix}' AND {which} ORDER BY name");
    db.query(&sql, params, |r| {
        names.extend(r.text(0)?.strip_suffix(suffix).map(str::to_owned));
        Ok(NEXT)
    })?;
    Ok(names)
}
