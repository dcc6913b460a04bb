//! Indexes on sealed columns: where equal values are found, on nodes that can read them (`docs/security.md`, section 7).
//!
//! For each such index there is a table `n_…` beside the visible table: the row's number, and its *look*, which is made by a
//! function of whoever opens the store ([`crate::Meaning`]): the same for values that are equal, keyed with a secret that is not
//! in the file; another where the cell cannot be opened; NULL, for which there is no entry, where nothing is to be kept on this
//! node. SQLite's own triggers keep it, as with [`crate::search`]. What is found by it is compared again, so it may hold too
//! much and must not hold too little.
//!
//! It is this node's own: in no log, comparison, fingerprint or backup. [`crate::Writer::fill_looks`] makes it anew.

use p2pdb_model::catalog::{Index, Table, physical_column, physical_look};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::sealed::LOOK_UNOPENED;

use crate::connection::Connection;
use crate::connection_writer::Writer;
use crate::derived;
use crate::error::Result;
use crate::meaning::Meaning;

/// What the names of all that belongs to these indexes begin with.
pub(crate) const PREFIX: &str = "n_";

/// What SQLite has to keep of an index.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Looks {
    column: ColumnTag,
    /// The look of the column's cell, over the visible table.
    look: String,
}

impl Looks {
    /// `None` for an index that is not on a sealed column.
    pub(crate) fn of(table: &Table, index: &Index, meaning: &Meaning) -> Option<Self> {
        let column = table.looked_up(index)?;
        Some(Looks { column: column.tag, look: (meaning.look)(table, column) })
    }

    /// Makes the index over the rows that are there.
    pub(crate) fn create(&self, db: &Connection, table: &str, name: &str) -> Result<()> {
        let c = physical_column(self.column);
        let rows = format!("SELECT rowid AS doc, {} AS look FROM {table} WHERE {c} IS NOT NULL", self.look);
        let put = format!(
            "INSERT OR REPLACE INTO {name} (row, look) SELECT doc, look FROM {name}_rows WHERE doc = new.rowid AND look IS NOT NULL;"
        );
        let take = format!("DELETE FROM {name} WHERE row = old.rowid;");
        let changed = format!("old.rowid IS NOT new.rowid OR old.{c} IS NOT new.{c}");
        db.execute_batch(&format!(
            "CREATE TABLE {name} (row INTEGER PRIMARY KEY, look BLOB NOT NULL);
             CREATE VIEW {name}_rows AS {rows};
             INSERT INTO {name} (row, look) SELECT doc, look FROM {name}_rows WHERE look IS NOT NULL;
             CREATE INDEX {name}_look ON {name} (look);
             {}",
            derived::triggers(name, table, &changed, &take, &put)
        ))
    }
}

/// The name of an index in SQLite.
pub(crate) fn name(index: &Index) -> String {
    physical_look(index.id)
}

/// Takes an index away.
pub(crate) fn drop(db: &Connection, name: &str) -> Result<()> {
    db.execute_batch(&format!(
        "{} DROP VIEW IF EXISTS {name}_rows; DROP TABLE IF EXISTS {name};",
        derived::drop_triggers(name)
    ))
}

/// Takes all indexes of a visible table away, before the table itself.
pub(crate) fn drop_all(db: &Connection, table: &str) -> Result<()> {
    derived::of_table(db, PREFIX, table)?.iter().try_for_each(|name| drop(db, name))
}

/// Empties all of them, so that nothing of what was in them can be found in the file.
pub(crate) fn wipe(db: &Connection) -> Result<()> {
    db.execute_batch("PRAGMA secure_delete = ON")?;
    derived::all(db, PREFIX)?.iter().try_for_each(|name| db.execute_batch(&format!("DELETE FROM {name}")))
}

/// There are some.
pub(crate) fn any(db: &Connection) -> Result<bool> {
    Ok(!derived::all(db, PREFIX)?.is_empty())
}

/// What is to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Every row: nothing was kept before.
    All,
    /// The cells that could not be opened.
    Unopened,
}

impl Writer {
    /// Makes the looks of a table anew, since cells can be opened that could not before; inside a transaction.
    ///
    /// # Errors
    /// SQLite's.
    pub fn fill_looks(&self, table: ObjectId, what: Refill) -> Result<()> {
        let names = derived::of_table(self, PREFIX, &p2pdb_model::catalog::physical_table(table))?;
        names.iter().try_for_each(|name| fill(self, name, what))
    }

    /// There are indexes on sealed columns.
    ///
    /// # Errors
    /// SQLite's.
    pub fn has_looks(&self) -> Result<bool> {
        any(self)
    }

    /// Makes all looks anew; inside a transaction.
    ///
    /// # Errors
    /// SQLite's.
    pub fn fill_all_looks(&self) -> Result<()> {
        derived::all(self, PREFIX)?.iter().try_for_each(|name| fill(self, name, Refill::All))
    }
}

fn fill(db: &Connection, name: &str, what: Refill) -> Result<()> {
    db.execute_batch(&match what {
        Refill::All => format!(
            "DELETE FROM {name};
             INSERT INTO {name} (row, look) SELECT doc, look FROM {name}_rows WHERE look IS NOT NULL;"
        ),
        Refill::Unopened => format!(
            "INSERT OR REPLACE INTO {name} (row, look) SELECT doc, look FROM {name}_rows
             WHERE doc IN (SELECT row FROM {name} WHERE look >= x'{LOOK_UNOPENED:02x}') AND look IS NOT NULL;"
        ),
    })
}
