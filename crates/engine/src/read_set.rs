//! What a transaction has read, and whether it still holds when the transaction comes to write, or to read on.
//!
//! Rows that were looked up by their whole primary key are kept as keys: they hold when the row's hidden version is the
//! same in the transaction's snapshot and in the newest state (or the row is absent in both). A query of one table with
//! a condition is kept as that condition: it holds when it selects the same versions of the same rows in both
//! (precision locking: Jordan, Banerjee, Batman, SIGMOD 1981). Everything else is kept as tables: they hold when no
//! commit has touched them since. Bounded: past [`KEYS_MAX`] keys or [`CONDITIONS_MAX`] conditions of one table the
//! table itself is kept instead, and so it is for a condition that selects more than [`ROWS_MAX`] rows.

mod seen;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use p2pdb_model::catalog::{COLUMN_OVERRIDES, COLUMN_VERSION};
use p2pdb_model::{Catalog, ObjectId, Value, ValueRef};
use p2pdb_sql::plan::ConditionRead;
use p2pdb_sql::session::{SessionState, SqlMode};
use p2pdb_sql::zone::Zone;
use p2pdb_store::{Connection, NEXT, Newer, STOP, StoreError, TxNo};

pub(crate) use self::seen::{Blind, Seen};
use crate::writer::Writer;

/// Keys kept per table before the whole table counts as read.
const KEYS_MAX: usize = 4_096;
/// Conditions kept per table before the whole table counts as read.
const CONDITIONS_MAX: usize = 256;
/// Rows compared per condition; one that selects more holds only when its table was not touched.
const ROWS_MAX: usize = 1_024;

/// See the module.
#[derive(Default)]
pub(crate) struct Reads {
    keys: HashMap<ObjectId, HashSet<Vec<Value>>>,
    conditions: HashMap<ObjectId, Vec<Condition>>,
    tables: HashSet<ObjectId>,
}

/// A condition as it was read.
struct Condition {
    sql: Arc<str>,
    params: Vec<Value>,
    meaning: Meaning,
}

/// What besides its parameters decides which rows a condition selects.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Meaning(SqlMode, Zone);

impl Meaning {
    fn of(session: &SessionState) -> Self {
        Meaning(session.sql_mode, session.time_zone.zone)
    }
}

impl Reads {
    /// A row of this table was looked up by this primary key.
    pub(crate) fn key(&mut self, table: ObjectId, key: Vec<Value>) {
        if self.tables.contains(&table) {
            return;
        }
        let keys = self.keys.entry(table).or_default();
        keys.insert(key);
        if keys.len() > KEYS_MAX {
            self.table(table);
        }
    }

    /// The rows that a condition selects were read, with these parameters.
    pub(crate) fn condition(&mut self, read: &ConditionRead, params: &[Value], session: &SessionState) {
        if self.tables.contains(&read.table) {
            return;
        }
        let Some(params) = params.get(..read.params) else { return self.table(read.table) };
        let all = self.conditions.entry(read.table).or_default();
        let meaning = Meaning::of(session);
        all.push(Condition { sql: read.sql.clone(), params: params.to_vec(), meaning });
        if all.len() > CONDITIONS_MAX {
            self.table(read.table);
        }
    }

    /// Anything of this table may have been read.
    pub(crate) fn table(&mut self, table: ObjectId) {
        self.keys.remove(&table);
        self.conditions.remove(&table);
        self.tables.insert(table);
    }

    /// True when nothing that was read at `commit` has changed in the newest state.
    pub(crate) fn still_hold(
        &self,
        catalog: &Catalog,
        commit: TxNo,
        snapshot: &Connection,
        writer: &Writer,
        session: &SessionState,
    ) -> Result<bool, StoreError> {
        if self.tables.iter().any(|t| writer.touched_since(*t, commit)) {
            return Ok(false);
        }
        for (table, keys) in &self.keys {
            if !writer.touched_since(*table, commit) {
                continue;
            }
            // The table was altered or dropped meanwhile.
            let (Some(then), Some(now)) = (catalog.table_by_id(*table), writer.catalog.table_by_id(*table))
            else {
                return Ok(false);
            };
            let key_of = |t: &p2pdb_model::catalog::Table| {
                t.primary_columns().iter().map(|c| c.physical()).collect::<Vec<_>>()
            };
            let columns = key_of(then);
            if columns != key_of(now) {
                return Ok(false);
            }
            let mut sql =
                format!("SELECT {COLUMN_VERSION}, {COLUMN_OVERRIDES} FROM {} WHERE ", now.physical());
            for (i, column) in columns.iter().enumerate() {
                let and = if i == 0 { "" } else { " AND " };
                sql.push_str(&format!("{and}{column} = ?{}", i + 1));
            }
            for key in keys {
                let version = |c: &Connection| c.query_one(&sql, key, |row| row.to_values());
                if version(snapshot)? != version(&writer.db)? {
                    return Ok(false);
                }
            }
        }
        for (table, conditions) in &self.conditions {
            if !writer.touched_since(*table, commit) {
                continue;
            }
            // Its SQL is of the schema that it was read under.
            if catalog.epoch != writer.catalog.epoch {
                return Ok(false);
            }
            for condition in conditions {
                if condition.meaning != Meaning::of(session) || !condition.holds(snapshot, &writer.db)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

impl Reads {
    /// True when one of these rows, which were changed after the snapshot, is one that was read in it.
    pub(crate) fn include(
        &self,
        rows: &[Newer],
        catalog: &Catalog,
        snapshot: &Connection,
        session: &SessionState,
    ) -> Result<bool, StoreError> {
        for row in rows {
            if self.tables.contains(&row.table)
                || self.keys.get(&row.table).is_some_and(|keys| keys.contains(&row.key))
            {
                return Ok(true);
            }
            let Some(conditions) = self.conditions.get(&row.table) else { continue };
            let Some(table) = catalog.table_by_id(row.table) else { return Ok(true) };
            // Where the rowid is not the key, merging may have given the row another one.
            let rowid = if table.rowid_column().is_some() || row.key.is_empty() {
                Some(row.rowid)
            } else {
                let key: Vec<String> = table.primary_columns().iter().map(|c| c.physical()).collect();
                let sql = format!(
                    "SELECT rowid FROM {} WHERE {}",
                    table.physical(),
                    key.iter().zip(1..).map(|(c, n)| format!("{c} = ?{n}")).collect::<Vec<_>>().join(" AND ")
                );
                snapshot.query_one(&sql, &row.key, |r| r.int(0))?
            };
            let Some(rowid) = rowid else { continue };
            for c in conditions {
                if c.meaning != Meaning::of(session) || c.selects(rowid, snapshot)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Condition {
    /// True also when it selects too many rows to look through.
    fn selects(&self, rowid: i64, snapshot: &Connection) -> Result<bool, StoreError> {
        let (mut found, mut seen) = (false, 0);
        snapshot.query(&self.sql, &self.params, |row| {
            seen += 1;
            found = seen > ROWS_MAX || row.int(0)? == rowid;
            Ok(if found { STOP } else { NEXT })
        })?;
        Ok(found)
    }

    fn holds(&self, then: &Connection, now: &Connection) -> Result<bool, StoreError> {
        let mut rows: Vec<Vec<Value>> = Vec::new();
        then.query(&self.sql, &self.params, |row| {
            rows.push(row.to_values()?);
            Ok(if rows.len() > ROWS_MAX { STOP } else { NEXT })
        })?;
        if rows.len() > ROWS_MAX {
            return Ok(false);
        }
        let mut seen = 0;
        let mut equal = true;
        now.query(&self.sql, &self.params, |row| {
            let before = rows.get(seen);
            seen += 1;
            let Some(before) = before else {
                equal = false;
                return Ok(STOP);
            };
            for (i, value) in before.iter().enumerate() {
                equal &= ValueRef::from(value) == row.get(i)?;
            }
            Ok(if equal { NEXT } else { STOP })
        })?;
        Ok(equal && seen == rows.len())
    }
}
