//! `CALL p2pdb.resolve`: what a person decides about a conflict. How it is carried out is the store's (`store::resolve`).

use p2pdb_model::catalog::Table;
use p2pdb_model::{Catalog, ColumnTag, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::coerce;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::plan::{Decide, Resolve, Slot, Source};
use p2pdb_store::{Decision, Found, Obstacle, Rule, Standing, Violation};

use crate::api::Outcome;
use crate::core::Core;
use crate::local::strictly;
use crate::run;
use crate::tables::{Mended, Tables};
use crate::words;

/// The table that is there is asked first, then those of its name that are gone.
pub(crate) fn resolve(w: &mut dyn Tables, core: &mut Core, r: &Resolve) -> Result<Outcome, SqlError> {
    let catalog = core.catalog(&w.base());
    let there = catalog.table(&r.database, &r.table).cloned();
    let gone = w.dropped_named(&r.database, &r.table).map_err(|e| e.to_sql())?;
    let how = match &r.decision {
        Decide::Keep => Decision::Keep,
        Decide::Discard => Decision::Discard,
        Decide::Set(slots) => {
            let table = there.ok_or_else(|| SqlError::no_table(&r.database, &r.table))?;
            return set(w, core, &catalog, &table, &r.key, slots);
        }
    };
    let mut wrong = None;
    for table in there.into_iter().chain(gone) {
        match words::key(&table, &r.key) {
            Ok(key) => match w.resolve(table.id, &key, how).map_err(|e| e.to_sql())? {
                Found::One(()) => return Ok(Outcome { affected: 1, ..Outcome::default() }),
                Found::Several => return Err(waits_not(&table, SEVERAL)),
                Found::Nothing => wrong = Some(waits_not(&table, "a conflict of this row to decide")),
            },
            Err(e) => wrong = wrong.or(Some(e)),
        }
    }
    Err(wrong.unwrap_or_else(|| SqlError::no_table(&r.database, &r.table)))
}

/// The displaced row of this key gets these values, and must fit its table with them.
fn set(
    w: &mut dyn Tables,
    core: &mut Core,
    catalog: &Catalog,
    table: &Table,
    key: &[String],
    slots: &[(ColumnTag, Slot)],
) -> Result<Outcome, SqlError> {
    let key = words::key(table, key)?;
    let now_us = w.now_us();
    let cells: Vec<(ColumnTag, Value)> = run::in_context(
        core,
        now_us,
        |c| c.writes = true,
        |_| {
            let one = |(tag, slot): &(ColumnTag, Slot)| {
                let Source::Const(value) = &slot.source else { return Ok((*tag, Value::Null)) };
                let from = FieldType::of_plain(value);
                Ok((*tag, coerce::apply(&slot.coerce, value.clone(), &from)?))
            };
            strictly(slots.iter().map(one).collect())
        },
    )?;
    let checks = core.state.foreign_key_checks;
    match w.mend(table.id, &key, &cells, checks).map_err(|e| e.to_sql())? {
        Mended::Written(Standing::Visible) => Ok(Outcome { affected: 1, ..Outcome::default() }),
        Mended::Written(Standing::Waits(all)) => Err(match all.first() {
            Some(obstacle) => meets(catalog, table, obstacle),
            None => waits_not(table, "a row that waits under this key"),
        }),
        Mended::Visible => Err(waits_not(
            table,
            "a row that waits under this key; the row that has it is visible: UPDATE it",
        )),
        Mended::Several => Err(waits_not(table, SEVERAL)),
        Mended::Nothing => Err(waits_not(table, "a row that waits under this key")),
    }
}

const SEVERAL: &str = "one row: several wait under this key; p2pdb.history shows the key that each was born with, by which it is found";

fn waits_not(table: &Table, what: &str) -> SqlError {
    SqlError::new(1032, "HY000", format!("Can't find record in '{}' ({what})", table.name))
}

/// What a statement that gives a row such values is answered.
pub(crate) fn meets(catalog: &Catalog, table: &Table, o: &Obstacle) -> SqlError {
    let first =
        || o.columns.first().and_then(|tag| table.column_by_tag(*tag)).map_or("?", |c| c.name.as_str());
    match o.rule {
        Rule::Unique => match table.indexes.iter().find(|i| Some(i.id) == o.object) {
            Some(index) => words::duplicate(table, index, &o.columns, &o.values),
            None => SqlError::duplicate_entry("?", "PRIMARY"),
        },
        Rule::Reference => {
            let number = table.foreign_keys.iter().position(|f| Some(f.id) == o.object).unwrap_or_default();
            words::violation(
                catalog,
                &Violation::NoParent { table: table.id, foreign_key: number, values: o.values.clone() },
            )
        }
        Rule::Check => {
            let name = table.checks.iter().find(|c| Some(c.id) == o.object).map_or("?", |c| c.name.as_str());
            SqlError::new(3819, "HY000", format!("Check constraint '{name}' is violated."))
        }
        Rule::NotNull => SqlError::new(1048, "23000", format!("Column '{}' cannot be null", first())),
        _ => SqlError::new(1264, "22003", format!("Out of range value for column '{}' at row 1", first())),
    }
}
