//! Which AUTO_INCREMENT values of a table are taken, wherever the table is: temporary ones count for their session alone.

use p2pdb_model::ObjectId;
use p2pdb_model::catalog::Table;
use p2pdb_sql::error::SqlError;

use crate::core::Core;
use crate::error::store_to_sql;
use crate::logged;
use crate::tables::Tables;

fn is_temporary(w: &dyn Tables, table: ObjectId) -> bool {
    w.base().table_by_id(table).is_none()
}

/// The greatest value that is taken, and the greatest possible; `None` where this node has none to give.
pub(crate) fn share(
    w: &mut dyn Tables,
    core: &mut Core,
    table: &Table,
) -> Result<Option<(u64, u64)>, SqlError> {
    let share = match is_temporary(w, table.id) {
        true => core.temporary.id_share(w.db(), table).map(Some),
        false => w.id_share(table),
    };
    share.map_err(|e| store_to_sql(&e))
}

/// A value was given out or written.
pub(crate) fn raise(w: &mut dyn Tables, core: &mut Core, table: ObjectId, id: u64) {
    match is_temporary(w, table) {
        true => core.temporary.raise_id_floor(table, id),
        false => w.raise_id_floor(table, id),
    }
}

/// An UPDATE wrote to the column: AUTO_INCREMENT goes on after it (MySQL 8.0 manual, "InnoDB AUTO_INCREMENT Counter Initialization").
///
/// # Errors
/// Those of reading the table.
pub(crate) fn written(w: &mut dyn Tables, core: &mut Core, table: &Table) -> Result<(), SqlError> {
    let Some((floor, high)) = share(w, core, table)? else { return Ok(()) };
    let names = match is_temporary(w, table.id) {
        true => vec![table.physical()],
        false => logged::rows_of(table).to_vec(),
    };
    let id = logged::greatest_id(w.db(), table, &names, floor, high).map_err(|e| store_to_sql(&e))?;
    raise(w, core, table.id, id);
    Ok(())
}
