//! What a transaction has read, and whether it still holds when the transaction comes to write.
//!
//! Rows that were looked up by their whole primary key are kept as keys: they hold when the row's hidden version is the
//! same in the transaction's snapshot and in the newest state (or the row is absent in both). Everything else is kept
//! as tables: they hold when no commit has touched them since. Bounded: past [`KEYS_MAX`] keys of one table the table
//! itself is kept instead.

use std::collections::{HashMap, HashSet};

use p2pdb_model::catalog::{COLUMN_OVERRIDES, COLUMN_VERSION};
use p2pdb_model::{Catalog, ObjectId, Value};
use p2pdb_store::{Connection, StoreError, TxNo};

use crate::writer::Writer;

/// Keys kept per table before the whole table counts as read.
const KEYS_MAX: usize = 4_096;

/// See the module.
#[derive(Default)]
pub(crate) struct Reads {
    keys: HashMap<ObjectId, HashSet<Vec<Value>>>,
    tables: HashSet<ObjectId>,
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

    /// Anything of this table may have been read.
    pub(crate) fn table(&mut self, table: ObjectId) {
        self.keys.remove(&table);
        self.tables.insert(table);
    }

    /// True when nothing that was read at `commit` has changed in the newest state.
    pub(crate) fn still_hold(
        &self,
        catalog: &Catalog,
        commit: TxNo,
        snapshot: &Connection,
        writer: &Writer,
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
        Ok(true)
    }
}
