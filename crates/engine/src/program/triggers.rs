//! Triggers: what runs before and after each row that a local statement writes.
//!
//! They run only where the statement runs: the rows that they write travel with its transaction, and merging fires
//! nothing. Rows are written one by one then. Which rows an UPDATE or DELETE means, and what they become, is found by
//! letting SQLite do it and taking it back; then each is done again with the triggers around it.

use std::sync::Arc;

use p2pdb_model::catalog::{Catalog, Table, Trigger, physical_column};
use p2pdb_model::schema::TriggerEvent;
use p2pdb_model::{ColumnTag, ObjectId, Value};
use p2pdb_sql::bind::{column_target, lenient};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::coerce;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::plan::{Coerce, ReadSet, Slot};
use p2pdb_store::{CaptureOp, Captured};

use super::inside::{self, At, Inside};
use super::{Machine, Result};
use crate::core::Core;
use crate::error::store_to_sql;
use crate::run;
use crate::tables::Tables;

/// A row as its table's columns are ordered.
type Row = Vec<Value>;

/// The table has triggers of this event.
pub(crate) fn fires(table: &Table, event: TriggerEvent) -> bool {
    table.triggers.iter().any(|t| t.def.event == event)
}

fn fires_at(table: &Table, before: bool, event: TriggerEvent) -> impl Iterator<Item = &Trigger> {
    let fits = move |t: &&Trigger| t.def.before == before && t.def.event == event;
    table.triggers.iter().map(|t| &**t).filter(fits)
}

/// Runs the triggers of this time and event. Those BEFORE may change `new`.
pub(crate) fn fire(
    w: &mut dyn Tables,
    core: &mut Core,
    table: &Table,
    before: bool,
    event: TriggerEvent,
    new: &mut Row,
    old: &[Value],
) -> Result<()> {
    let catalog = core.catalog(&w.base());
    // Generated columns show what they are before the triggers change others.
    let mut old = old.to_vec();
    if fires_at(table, before, event).next().is_some() {
        generate(w, core, &catalog, table, new)?;
        generate(w, core, &catalog, table, &mut old)?;
    }
    for trigger in fires_at(table, before, event) {
        let loaded = core.programs.trigger(&catalog, table, trigger)?;
        let types = loaded.program.variables.iter().map(|v| v.ty.clone());
        let values = new.iter().chain(&old).cloned();
        let args: Vec<(Value, FieldType)> = values.zip(types).collect();
        let mut host = Inside { core, at: At::Writer(w), word: "trigger", bound: None };
        inside::run(&mut host, |host| Machine::start(host, loaded, args, Vec::new()))?;
        if before && event != TriggerEvent::Delete {
            let row = std::mem::take(&mut core.row);
            *new = row.into_iter().take(new.len()).collect();
        }
    }
    // Nothing is stored of them.
    for (_, v) in table.columns.iter().zip(new).filter(|(c, _)| c.def.generated.is_some()) {
        *v = Value::Null;
    }
    Ok(())
}

/// Gives the generated columns of a row their values.
fn generate(w: &dyn Tables, core: &Core, catalog: &Catalog, table: &Table, row: &mut [Value]) -> Result<()> {
    let sql = match catalog.table_by_id(table.id) {
        Some(table) if !row.is_empty() => p2pdb_sql::bind::generated::values_of(table),
        _ => None,
    };
    let Some(sql) = sql else { return Ok(()) };
    let stored = table.columns.iter().zip(&*row).filter(|(c, _)| c.def.generated.is_none());
    let params: Vec<Value> = stored.map(|(_, v)| v.clone()).collect();
    let found = w.db().query_one(&sql, &params, |row| row.to_values());
    let values = found.map_err(|e| run::failed(&e, core))?.unwrap_or_default();
    let places = table.columns.iter().zip(row).filter(|(c, _)| c.def.generated.is_some());
    for ((_, place), v) in places.zip(values) {
        *place = v;
    }
    Ok(())
}

/// BEFORE INSERT, with what only then can be found wrong. The AUTO_INCREMENT column at `generated` is 0 until a value is
/// drawn.
pub(crate) fn before_insert(
    w: &mut dyn Tables,
    core: &mut Core,
    table: &Table,
    new: &mut Row,
    generated: Option<usize>,
) -> Result<()> {
    let draws = generated.filter(|i| new.get(*i).is_some_and(Value::is_null));
    if let Some(i) = draws {
        new[i] = Value::Int(0);
    }
    fire(w, core, table, true, TriggerEvent::Insert, new, &[])?;
    if let Some(i) = draws
        && new[i] == Value::Int(0)
    {
        new[i] = Value::Null;
    }
    not_null(table, new)
}

/// What becomes of NULL that a BEFORE trigger has left in a column that takes none: 1048, or the type's zero where
/// sql_mode is not strict.
fn not_null(table: &Table, row: &mut [Value]) -> Result<()> {
    for (c, v) in table.columns.iter().zip(row) {
        if v.is_null() && !c.def.nullable && !c.def.auto_increment && c.def.generated.is_none() {
            let to = Coerce::Column(lenient(column_target(&table.name, c)));
            *v = coerce::apply(&to, Value::Null, &FieldType::null())?;
        }
    }
    Ok(())
}

/// The tables that a statement uses, which its triggers may not write (1442).
pub(crate) fn use_tables(core: &mut Core, table: ObjectId, reads: &ReadSet) {
    core.busy.push(table);
    core.busy.extend(&reads.tables);
    core.busy.extend(reads.keys.iter().map(|k: &(ObjectId, Vec<Slot>)| k.0));
    core.busy.extend(reads.conditions.iter().map(|c| c.table));
}

/// 1442 when a statement in a trigger would write a table that the statement around uses.
pub(crate) fn may_write(core: &Core, table: &Table) -> Result<()> {
    if core.inside == 0 || !core.busy.contains(&table.id) {
        return Ok(());
    }
    let message = format!(
        "Can't update table '{}' in stored function/trigger because it is already used by statement which invoked \
         this stored function/trigger.",
        table.name
    );
    Err(SqlError::new(1442, "HY000", message))
}

/// A captured row in the order of the table's columns.
struct Order(Vec<Option<usize>>);

impl Order {
    fn of(w: &dyn Tables, table: &Table) -> Result<Self> {
        let sql = format!("SELECT * FROM {} LIMIT 0", table.physical());
        let names = w.db().columns(&sql).map_err(|e| store_to_sql(&e))?;
        let place = |tag| {
            let name = physical_column(tag);
            names.iter().position(|n| *n == name)
        };
        Ok(Order(table.columns.iter().map(|c| place(c.tag)).collect()))
    }

    fn row(&self, captured: &[Value]) -> Row {
        let value = |at: &Option<usize>| at.and_then(|at| captured.get(at)).cloned().unwrap_or(Value::Null);
        self.0.iter().map(value).collect()
    }
}

/// Lets `write` write and takes it back; gives the rows that it captured.
pub(crate) fn tried<T>(
    w: &mut dyn Tables,
    core: &mut Core,
    write: impl FnOnce(&mut dyn Tables, &mut Core) -> Result<T>,
) -> Result<Vec<Captured>> {
    let savepoint = w.savepoint().map_err(|e| store_to_sql(&e))?;
    let mark = w.db().capture_mark();
    let written = write(w, core);
    if !w.is_alive() {
        return written.map(|_| Vec::new());
    }
    let captured = w.db().captured_since(mark, <[Captured]>::to_vec);
    w.rollback_to(savepoint).map_err(|e| store_to_sql(&e))?;
    w.release(savepoint).map_err(|e| store_to_sql(&e))?;
    written.map(|_| captured)
}

/// Updates one row with its triggers; true when it is another now.
fn update_row(
    w: &mut dyn Tables,
    core: &mut Core,
    table: &Table,
    rowid: i64,
    old: &[Value],
    mut new: Row,
    adds: &Arc<[ColumnTag]>,
) -> Result<bool> {
    let asked = (!adds.is_empty()).then(|| new.clone());
    fire(w, core, table, true, TriggerEvent::Update, &mut new, old)?;
    not_null(table, &mut new)?;
    // What a trigger has set is no longer what the statement adds up to.
    let kept = |tag: &ColumnTag| {
        let at = table.columns.iter().position(|c| c.tag == *tag);
        at.is_some_and(|i| asked.as_ref().is_none_or(|a| a.get(i) == new.get(i)))
    };
    let adds: Arc<[ColumnTag]> = match adds.iter().all(kept) {
        true => adds.clone(),
        false => adds.iter().copied().filter(kept).collect(),
    };
    let stored = table.columns.iter().zip(&new).filter(|(c, _)| c.def.generated.is_none());
    let (names, mut values): (Vec<String>, Vec<Value>) =
        stored.map(|(c, v)| (c.physical(), v.clone())).unzip();
    let set: Vec<String> = names.iter().enumerate().map(|(i, n)| format!("{n}=?{}", i + 1)).collect();
    let sql = format!("UPDATE {} SET {} WHERE rowid=?{}", table.physical(), set.join(","), set.len() + 1);
    values.push(Value::Int(rowid));
    let columns: Vec<_> = table.columns.iter().map(|c| c.tag).collect();
    let mark = w.db().capture_mark();
    crate::local::execute(w, core, table, &sql, &values, &columns, &new)?;
    crate::local::note_adds(w, mark, &adds);
    let changed = new != *old;
    fire(w, core, table, false, TriggerEvent::Update, &mut new, old)?;
    Ok(changed)
}

fn delete_row(w: &mut dyn Tables, core: &mut Core, table: &Table, rowid: i64, old: &[Value]) -> Result<()> {
    fire(w, core, table, true, TriggerEvent::Delete, &mut Vec::new(), old)?;
    let sql = format!("DELETE FROM {} WHERE rowid=?1", table.physical());
    crate::local::execute(w, core, table, &sql, &[Value::Int(rowid)], &[], &[])?;
    fire(w, core, table, false, TriggerEvent::Delete, &mut Vec::new(), old)
}

/// What an UPDATE or DELETE of a table with triggers does: rows found, rows changed.
pub(crate) fn modify(
    w: &mut dyn Tables,
    core: &mut Core,
    table: &Table,
    captured: Vec<Captured>,
    adds: &Arc<[ColumnTag]>,
) -> Result<(u64, u64)> {
    let order = Order::of(w, table)?;
    let (mut found, mut changed) = (0, 0);
    for (n, c) in captured.into_iter().enumerate() {
        p2pdb_sql::execute::context::set_row(n as u64 + 1);
        found += 1;
        let old = order.row(&c.old);
        match c.op {
            CaptureOp::Update => {
                let new = order.row(&c.new);
                changed += u64::from(update_row(w, core, table, c.old_rowid, &old, new, adds)?);
            }
            CaptureOp::Delete => {
                delete_row(w, core, table, c.old_rowid, &old)?;
                changed += 1;
            }
            CaptureOp::Insert => {}
        }
    }
    Ok((found, changed))
}

/// What an INSERT does to rows that are in its way: ON DUPLICATE KEY UPDATE updates one, REPLACE deletes them. Gives
/// whether it is done, and whether it has changed a row.
pub(crate) fn in_the_way(
    w: &mut dyn Tables,
    core: &mut Core,
    table: &Table,
    captured: Vec<Captured>,
    adds: &Arc<[ColumnTag]>,
) -> Result<Option<bool>> {
    let order = Order::of(w, table)?;
    for c in captured {
        let old = order.row(&c.old);
        match c.op {
            CaptureOp::Update => {
                let new = order.row(&c.new);
                return update_row(w, core, table, c.old_rowid, &old, new, adds).map(Some);
            }
            CaptureOp::Delete => delete_row(w, core, table, c.old_rowid, &old)?,
            CaptureOp::Insert => {}
        }
    }
    Ok(None)
}
