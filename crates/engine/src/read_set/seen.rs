//! What a READ COMMITTED transaction has read, and when, so that it does not overwrite what it has not seen.
//!
//! Each of its statements reads the newest state, so there is no snapshot to compare with. Rows that were looked up by
//! primary key are kept with the transaction (of the log) up to which they were seen last; of every other read only that it
//! read the table, and how early. A cell that the transaction then assigns to, without looking at it in that statement, is
//! lost if another one has changed it since. Unsharp to the safe side: a table that was read counts for all its rows.
//! Once the transaction holds the writer nobody else changes anything: what it reads there is seen for good.

use std::collections::{HashMap, HashSet};

use p2pdb_model::{ColumnTag, ObjectId, Value};
use p2pdb_store::{NEXT, Newer, STOP, StoreError, TxNo};

use super::{KEYS_MAX, ROWS_MAX, Reads};
use crate::writer::Writer;

/// See the module.
#[derive(Default)]
pub(crate) struct Seen {
    tables: HashMap<ObjectId, Table>,
}

/// Columns that statements have assigned to without looking at what they hold.
#[derive(Default)]
pub(crate) struct Blind(HashMap<ObjectId, HashSet<ColumnTag>>);

impl Blind {
    pub(crate) fn assigned(&mut self, table: ObjectId, columns: &[ColumnTag]) {
        if !columns.is_empty() {
            self.0.entry(table).or_default().extend(columns);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, table: ObjectId, column: ColumnTag) -> bool {
        self.0.get(&table).is_some_and(|all| all.contains(&column))
    }
}

#[derive(Default)]
struct Table {
    /// When rows that were looked up were seen last; the newest transaction of that state.
    keys: HashMap<Vec<Value>, TxNo>,
    /// When the table was first read in another way.
    first: Option<TxNo>,
    /// Rows that were read at the writer, by rowid.
    held: HashSet<i64>,
}

impl Seen {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The newest transaction of the oldest state that was read.
    pub(crate) fn oldest(&self) -> TxNo {
        let all = self.tables.values().flat_map(|t| t.keys.values().copied().chain(t.first));
        all.min().unwrap_or_default()
    }

    /// A statement has read this, in the state that `at` was the newest transaction of.
    pub(crate) fn read(&mut self, reads: Reads, at: TxNo) {
        for (id, keys) in reads.keys {
            let table = self.tables.entry(id).or_default();
            table.keys.extend(keys.into_iter().map(|k| (k, at)));
            if table.keys.len() > KEYS_MAX {
                let oldest = table.keys.drain().map(|(_, at)| at).min();
                table.first = table.first.into_iter().chain(oldest).min();
            }
        }
        for id in reads.tables.into_iter().chain(reads.conditions.into_keys()) {
            self.tables.entry(id).or_default().first.get_or_insert(at);
        }
    }

    /// The transaction, which holds the writer, has read this there.
    pub(crate) fn read_on(&mut self, reads: &Reads, writer: &Writer) -> Result<(), StoreError> {
        for (id, keys) in &reads.keys {
            let Some(table) = self.tables.get_mut(id) else { continue };
            if table.keys.len() + keys.len() <= KEYS_MAX {
                table.keys.extend(keys.iter().map(|k| (k.clone(), TxNo(u64::MAX))));
            }
        }
        for (id, conditions) in &reads.conditions {
            let Some(table) = self.tables.get_mut(id) else { continue };
            for c in conditions {
                if table.held.len() > KEYS_MAX {
                    break;
                }
                let end = table.held.len() + ROWS_MAX;
                writer.db.query(&c.sql, &c.params, |row| {
                    table.held.insert(row.int(0)?);
                    Ok(if table.held.len() < end { NEXT } else { STOP })
                })?;
            }
        }
        Ok(())
    }

    /// True when this row was overwritten, in one of the columns of `blind`, by one who has seen an older value.
    pub(crate) fn loses(&self, row: &Newer, blind: &Blind) -> bool {
        let Some(table) = self.tables.get(&row.table) else { return false };
        if table.held.contains(&row.rowid) {
            return false;
        }
        let Some(at) = table.keys.get(&row.key).copied().or(table.first) else { return false };
        row.cells.iter().any(|(column, changed)| *changed > at && blind.has(row.table, *column))
    }
}
