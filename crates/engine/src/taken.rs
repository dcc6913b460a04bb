//! Which AUTO_INCREMENT values of a table are taken, wherever the table is: temporary ones count for their session alone.

use std::collections::{BTreeMap, HashMap};

use p2pdb_model::ObjectId;
use p2pdb_model::catalog::Table;
use p2pdb_sql::error::SqlError;

use crate::core::Core;
use crate::error::store_to_sql;
use crate::logged;
use crate::tables::Tables;

/// The values of one table.
pub(crate) struct Ids<'a> {
    table: &'a Table,
    temporary: bool,
}

impl<'a> Ids<'a> {
    pub(crate) fn of(w: &dyn Tables, table: &'a Table) -> Self {
        Ids { table, temporary: w.base().table_by_id(table.id).is_none() }
    }

    /// The greatest value that is taken, and the greatest possible; `None` where this node has none to give.
    pub(crate) fn share(&self, w: &mut dyn Tables, core: &mut Core) -> Result<Option<(u64, u64)>, SqlError> {
        let share = match self.temporary {
            true => core.temporary.id_share(w.db(), self.table).map(Some),
            false => w.id_share(self.table),
        };
        share.map_err(|e| store_to_sql(&e))
    }

    /// A value was given out or written.
    pub(crate) fn raise(&self, w: &mut dyn Tables, core: &mut Core, id: u64) {
        match self.temporary {
            true => core.temporary.raise_id_floor(self.table.id, id),
            false => w.raise_id_floor(self.table.id, id),
        }
    }

    /// An UPDATE wrote to the column: AUTO_INCREMENT goes on after it (MySQL 8.0 manual, "InnoDB AUTO_INCREMENT Counter
    /// Initialization").
    ///
    /// # Errors
    /// Those of reading the table.
    pub(crate) fn written(&self, w: &mut dyn Tables, core: &mut Core) -> Result<(), SqlError> {
        let Some((floor, high)) = self.share(w, core)? else { return Ok(()) };
        let names = match self.temporary {
            true => vec![self.table.physical()],
            false => logged::rows_of(self.table).to_vec(),
        };
        let id =
            logged::greatest_id(w.db(), self.table, &names, floor, high).map_err(|e| store_to_sql(&e))?;
        self.raise(w, core, id);
        Ok(())
    }
}

/// Per table, the greatest AUTO_INCREMENT value of this node's share that is taken, as far as somebody asked.
#[derive(Default)]
pub(crate) struct Floors(HashMap<ObjectId, Floor>);

struct Floor {
    greatest: u64,
    /// Rows came from elsewhere, or the schema changed: greater ones may be there.
    stale: bool,
}

impl Floors {
    /// Of a table with this share; `read` gives the greatest value in the table that is greater than the given one, or that.
    pub(crate) fn of<E>(
        &mut self,
        table: ObjectId,
        (low, high): (u64, u64),
        read: impl FnOnce(u64) -> Result<u64, E>,
    ) -> Result<u64, E> {
        let known = self.0.get(&table);
        if let Some(Floor { greatest, stale: false }) = known {
            return Ok(*greatest);
        }
        // Never back: what was given out is not given again because its row is gone.
        let greatest = read(known.map_or(low, |k| k.greatest.clamp(low, high)))?;
        self.0.insert(table, Floor { greatest, stale: false });
        Ok(greatest)
    }

    /// A value was given out or written.
    pub(crate) fn raise(&mut self, table: ObjectId, id: u64) {
        if let Some(known) = self.0.get_mut(&table) {
            known.greatest = known.greatest.max(id);
        }
    }

    /// Rows of the table came from elsewhere.
    pub(crate) fn read_again(&mut self, table: ObjectId) {
        if let Some(known) = self.0.get_mut(&table) {
            known.stale = true;
        }
    }

    pub(crate) fn read_all_again(&mut self) {
        self.0.values_mut().for_each(|known| known.stale = true);
    }

    /// The table's values begin anew.
    pub(crate) fn forget(&mut self, table: ObjectId) {
        self.0.remove(&table);
    }
}

/// AUTO_INCREMENT values that a transaction drew: runs of them, by where they begin.
#[derive(Default)]
pub(crate) struct Drawn(BTreeMap<(ObjectId, u64), u64>);

impl Drawn {
    pub(crate) fn note(&mut self, table: ObjectId, id: u64) {
        match self.0.range_mut((table, 0)..=(table, id)).next_back() {
            Some((_, last)) if *last >= id => {}
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => {
                self.0.insert((table, id), id);
            }
        }
    }

    pub(crate) fn has(&self, table: ObjectId, id: u64) -> bool {
        self.0.range((table, 0)..=(table, id)).next_back().is_some_and(|(_, last)| *last >= id)
    }
}
