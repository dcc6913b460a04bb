//! `CALL p2pdb.resolve`: what a person decides about a conflict. How it is carried out is the store's (`store::resolve`).

use p2pdb_sql::error::SqlError;
use p2pdb_sql::plan::Resolve;
use p2pdb_store::Decision;

use crate::api::Outcome;
use crate::core::Core;
use crate::tables::Tables;
use crate::words;

/// The table that is there is asked first, then those of its name that are gone.
pub(crate) fn resolve(w: &mut dyn Tables, core: &mut Core, r: &Resolve) -> Result<Outcome, SqlError> {
    let catalog = core.catalog(&w.base());
    let there = catalog.table(&r.database, &r.table).cloned();
    let gone = w.dropped_named(&r.database, &r.table).map_err(|e| e.to_sql())?;
    let how = if r.keep { Decision::Keep } else { Decision::Discard };
    let mut wrong = None;
    for table in there.into_iter().chain(gone) {
        match words::key(&table, &r.key) {
            Ok(key) if w.resolve(table.id, &key, how).map_err(|e| e.to_sql())? => {
                return Ok(Outcome { affected: 1, ..Outcome::default() });
            }
            Ok(_) => {
                let message =
                    format!("Can't find record in '{}' (a conflict of this row to decide)", table.name);
                wrong = Some(SqlError::new(1032, "HY000", message));
            }
            Err(e) => wrong = wrong.or(Some(e)),
        }
    }
    Err(wrong.unwrap_or_else(|| SqlError::no_table(&r.database, &r.table)))
}
