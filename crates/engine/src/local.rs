//! Running a statement that writes, at the writer, inside a local transaction.
//!
//! Values are coerced in Rust, rows are written by the lowered SQLite statements, and what changed is read off the
//! capture: affected rows, references, claims of displaced rows, CHECKs. What a change means for other nodes is decided
//! later, when the transaction ends.

use std::sync::Arc;

use p2pdb_model::catalog::{COLUMN_KEY, Table, physical_column};
use p2pdb_model::schema::TriggerEvent;
use p2pdb_model::{Catalog, ColumnTag, Privileges, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{self, Args};
use p2pdb_sql::plan::{Ddl, InsertMode, Modify, Numbering, PlanKind, Slot};
use p2pdb_store::{CaptureOp, Captured, Decision, NEXT, StoreError};

use crate::api::Outcome;
use crate::constraints::{BoundCheck, bind_checks, check, duplicate, duplicate_seen, gone, present};
use crate::core::Core;
use crate::error::{EngineError, store_to_sql};
use crate::insert::insert;
use crate::program::{functions, triggers};
use crate::row_notes::RowNotes;
use crate::run;
use crate::statement::Bound;
use crate::tables::Tables;
use crate::taken::Ids;
use crate::words;
use crate::{decide, powers};

/// Rows that an INSERT … SELECT or a multi-table statement may collect before it writes, bytes.
const COLLECT_BYTES_MAX: usize = 256 << 20;

/// What a row may violate under IGNORE: it is skipped then (MySQL 8.0 Reference Manual, The Effect of IGNORE on
/// Statement Execution).
const IGNORED: [u16; 5] = [1062, 1369, 1451, 1452, 3819];

/// Runs the statement. On an error the caller takes back what it did.
pub(crate) fn run(w: &mut dyn Tables, core: &mut Core, bound: &Bound) -> Result<Outcome, SqlError> {
    let statement = bound.statement.clone();
    let plan = &statement.compiled().plan;
    if functions::writes(&plan.calls) {
        functions::before(w, core, bound)?;
        if let PlanKind::Query(_) = &plan.kind {
            return functions::query(w, core, bound);
        }
    }
    let now_us = w.now_us();
    let ignore = match &plan.kind {
        PlanKind::Insert(i) => i.mode == InsertMode::Ignore,
        PlanKind::Modify(m) => m.ignore,
        _ => false,
    };
    let prepare = |c: &mut execute::Context| {
        c.writes = true;
        c.ignore = ignore;
    };
    for note in &plan.notes {
        core.state.warn(note.clone());
    }
    let busy = core.busy.len();
    if let Some(blind) = &mut core.blind {
        match &plan.kind {
            PlanKind::Insert(i) if i.mode == InsertMode::Replace => blind.assigned(i.table, &i.columns),
            PlanKind::Insert(i) => blind.assigned(i.table, &i.blind),
            PlanKind::Modify(m) => m.steps.iter().for_each(|s| blind.assigned(s.table, &s.blind)),
            _ => {}
        }
    }
    let result = run::in_context(core, now_us, prepare, |core| {
        let mut outcome = match &plan.kind {
            PlanKind::Insert(i) => insert(w, core, bound, i),
            PlanKind::Modify(m) => modify(w, core, bound, m),
            PlanKind::Ddl(d) => ddl(w, core, d),
            PlanKind::Query(_) | PlanKind::Session(_) | PlanKind::Program(_) => {
                Err(SqlError::new(1105, "HY000", "not a statement that writes"))
            }
        }?;
        strictly(Ok(()))?;
        if let Some(id) = execute::context::read(|c| c.last_insert_id) {
            outcome.last_insert_id = id;
        }
        Ok(outcome)
    });
    core.busy.truncate(busy);
    result
}

/// Runs one statement of a transaction; when it fails only it is taken back.
pub(crate) fn statement(w: &mut dyn Tables, core: &mut Core, bound: &Bound) -> Result<Outcome, SqlError> {
    atomic(w, |w| run(w, core, bound))
}

/// Does something that is taken back as a whole when it fails.
pub(crate) fn atomic<W: Tables + ?Sized, T>(
    w: &mut W,
    f: impl FnOnce(&mut W) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let savepoint = w.savepoint().map_err(|e| store_to_sql(&e))?;
    let result = f(w);
    if !w.is_alive() {
        return result;
    }
    let ended = if result.is_err() { w.rollback_to(savepoint) } else { Ok(()) };
    ended.and_then(|()| w.release(savepoint)).map_err(|e| store_to_sql(&e))?;
    result
}

/// Writes one row by its own statement; `columns` and `values` are what 1062 names.
pub(crate) fn execute(
    w: &mut dyn Tables,
    core: &Core,
    table: &Table,
    sql: &str,
    params: &[Value],
    columns: &[p2pdb_model::ColumnTag],
    values: &[Value],
) -> Result<(), SqlError> {
    match w.execute(sql, params) {
        Ok(_) => Ok(()),
        Err(StoreError::Constraint(c)) => Err(duplicate(w.db(), table, &c, columns, values)),
        Err(e) => Err(run::failed(&e, core)),
    }
}

/// Values of slots, for this execution.
pub(crate) fn bind(
    w: &dyn Tables,
    core: &Core,
    slots: &[Slot],
    bound: &Bound,
    random: [u8; 16],
) -> Result<Vec<Value>, SqlError> {
    let args = args(w, core, bound, random);
    slots.iter().map(|slot| strictly(execute::bind_slot(slot, &args))).collect()
}

/// What a conversion says where the statement is strict.
pub(crate) fn strictly<T>(made: Result<T, SqlError>) -> Result<T, SqlError> {
    let said = execute::take_error();
    made.and_then(|made| said.map_or(Ok(made), Err))
}

pub(crate) fn args<'a>(w: &dyn Tables, core: &'a Core, bound: &'a Bound, random: [u8; 16]) -> Args<'a> {
    Args {
        literals: &bound.statement.compiled().literals,
        params: &bound.params,
        session: &core.state,
        now_us: w.now_us() as i64,
        random,
        drawn: Default::default(),
        virtuals: &run::no_virtuals,
    }
}

/// What stored functions that SQLite calls see, if it calls any.
pub(crate) fn lent(w: &dyn Tables, core: &Core, functions: bool) -> Option<Arc<Catalog>> {
    functions.then(|| core.catalog(&w.base()))
}

/// The rows of a query that the statement reads whole before it writes.
pub(crate) fn collect(
    w: &mut dyn Tables,
    core: &mut Core,
    bound: &Bound,
    sql: &str,
    params: &[Value],
) -> Result<Vec<Vec<Value>>, SqlError> {
    let mut rows = Vec::new();
    let mut bytes = 0;
    let lent = lent(w, core, bound.statement.compiled().plan.functions);
    let read = || {
        w.db().query(sql, params, |row| {
            let values = row.to_values()?;
            bytes += values.iter().map(Value::size_bytes).sum::<usize>();
            if bytes > COLLECT_BYTES_MAX {
                return Err(StoreError::CaptureFull { bytes_max: COLLECT_BYTES_MAX });
            }
            rows.push(values);
            Ok(NEXT)
        })
    };
    let cost = functions::lend(lent, core, w.db(), read);
    cost.map_err(|e| run::failed(&e, core))?;
    Ok(rows)
}

/// Makes keys ready for values of sealed columns.
pub(crate) fn ready_to_seal(
    w: &mut dyn Tables,
    core: &Core,
    table: &Table,
    columns: &[ColumnTag],
) -> Result<(), SqlError> {
    let Some(writer) = w.writer().filter(|_| !columns.is_empty()) else { return Ok(()) };
    match writer.ready_to_seal(table, columns.iter().copied()).map_err(|e| e.to_sql())? {
        None => Ok(()),
        Some(tag) => {
            let name = table.column_by_tag(tag).map_or("", |c| c.name.as_str());
            let own = core.state.user_at_host();
            Err(SqlError::column_denied(&own, Privileges::SELECT, name, &table.name))
        }
    }
}

/// What was captured since `mark` came from a statement that adds to these counters.
pub(crate) fn note_adds(w: &dyn Tables, mark: usize, adds: &Arc<[p2pdb_model::ColumnTag]>) {
    if !adds.is_empty() {
        w.db().mark_adjusted(mark, adds);
    }
}

fn changed_rows(captured: &[Captured]) -> u64 {
    captured.iter().filter(|c| c.op != CaptureOp::Update || c.old != c.new).count() as u64
}

/// Writes a row under IGNORE: when it violates a constraint it is taken back alone, with a warning.
pub(crate) fn or_skip<T>(
    w: &mut dyn Tables,
    core: &mut Core,
    row_checks: &[BoundCheck],
    write: impl FnOnce(&mut dyn Tables, &mut Core) -> Result<T, SqlError>,
) -> Result<Option<T>, SqlError> {
    let savepoint = w.savepoint().map_err(|e| store_to_sql(&e))?;
    let mark = w.db().capture_mark();
    let result = write(w, core).and_then(|t| check(w, core, mark, row_checks).map(|()| t));
    let skip = matches!(&result, Err(e) if IGNORED.contains(&e.code));
    if skip {
        w.rollback_to(savepoint).map_err(|e| store_to_sql(&e))?;
    }
    if w.is_alive() {
        w.release(savepoint).map_err(|e| store_to_sql(&e))?;
    }
    match result {
        Ok(t) => Ok(Some(t)),
        Err(e) if skip => {
            execute::context::warn(e.code, e.message);
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

// ---- UPDATE and DELETE

/// Rows that wait for a parent or in a conflict are no rows of a table that is emptied; they would come back later.
fn discard_waiting(w: &mut dyn Tables, table: &Table) -> Result<(), SqlError> {
    let mut columns: Vec<String> = table.primary_columns().iter().map(|c| c.physical()).collect();
    if columns.is_empty() {
        columns.push(COLUMN_KEY.to_owned());
    }
    let sql = format!("SELECT {} FROM {}", columns.join(","), table.physical_displaced());
    let mut keys = Vec::new();
    let read = w.db().query(&sql, (), |row| {
        keys.push(row.to_values()?);
        Ok(NEXT)
    });
    read.map_err(|e| store_to_sql(&e))?;
    for key in keys {
        w.resolve(table.id, &key, Decision::DiscardOne).map_err(|e| e.to_sql())?;
    }
    Ok(())
}

fn modify(w: &mut dyn Tables, core: &mut Core, bound: &Bound, plan: &Modify) -> Result<Outcome, SqlError> {
    if let Some(step) = plan.steps.first().filter(|_| plan.truncate) {
        let catalog = core.catalog(&w.base());
        let table = catalog.table_by_id(step.table).ok_or_else(|| gone("table"))?;
        if !catalog.is_temporary(table.id) {
            discard_waiting(w, table)?;
        }
    }
    for step in plan.steps.iter().filter(|s| !s.seals.is_empty()) {
        let catalog = core.catalog(&w.base());
        let table = catalog.table_by_id(step.table).ok_or_else(|| gone("table"))?;
        ready_to_seal(w, core, table, &step.seals)?;
    }
    let seed = w.random();
    let mut collected: Vec<Option<(Vec<Vec<Value>>, RowNotes)>> = Vec::new();
    for step in &plan.steps {
        let Some((sql, slots)) = &step.collect else {
            collected.push(None);
            continue;
        };
        let (params, notes, wrong) = RowNotes::or_error(|| bind(w, core, slots, bound, seed))?;
        let rows = collect(w, core, bound, sql, &params)?;
        if let Some(e) = wrong.filter(|_| !rows.is_empty()) {
            return Err(e);
        }
        collected.push(Some((rows, notes)));
    }
    let mut outcome = Outcome::default();
    let row_checks = bind_checks(w, core, bound, &plan.row_checks, seed)?;
    let start = w.db().capture_mark();
    let catalog = core.catalog(&w.base());
    let event = if plan.update { TriggerEvent::Update } else { TriggerEvent::Delete };
    for step in &plan.steps {
        let table = catalog.table_by_id(step.table).ok_or_else(|| gone("table"))?;
        triggers::may_write(core, table)?;
        if !table.triggers.is_empty() {
            triggers::use_tables(core, table.id, &plan.reads);
        }
    }
    for (step, rows) in plan.steps.iter().zip(collected) {
        let table = catalog.table_by_id(step.table).ok_or_else(|| gone("table"))?;
        let fires = !plan.truncate && triggers::fires(table, event);
        let (params, notes, wrong) = RowNotes::or_error(|| bind(w, core, &step.slots, bound, seed))?;
        let one_by_one = rows.is_some();
        let (sets, of_rows) = match rows {
            None => (vec![params], None),
            Some((rows, notes)) => {
                let with_params = |mut row: Vec<Value>| {
                    row.extend(params.iter().cloned());
                    row
                };
                (rows.into_iter().map(with_params).collect(), Some(notes))
            }
        };
        for (row, values) in (1..).zip(sets) {
            if one_by_one {
                execute::context::set_row(row);
                of_rows.iter().for_each(|n| n.tell(row));
                notes.tell(row);
            }
            let once = |w: &mut dyn Tables, core: &mut Core| {
                let mark = w.db().capture_mark();
                let lends = bound.statement.compiled().plan.functions;
                match functions::lend(lent(w, core, lends), core, w.db(), || w.execute(&step.sql, &values)) {
                    Ok(found) => {
                        note_adds(w, mark, &step.adds);
                        Ok((found, w.db().captured_since(mark, changed_rows)))
                    }
                    Err(StoreError::Constraint(c)) => Err(duplicate_seen(w.db(), table, &c)),
                    Err(e) => Err(run::failed(&e, core)),
                }
            };
            let write = |w: &mut dyn Tables, core: &mut Core| {
                if !fires {
                    return once(w, core);
                }
                let captured = triggers::tried(w, core, once)?;
                triggers::modify(w, core, table, captured, &step.adds)
            };
            let (found, changed) = if plan.ignore {
                // The row was found, whether it is skipped or not.
                or_skip(w, core, &row_checks, write)?.unwrap_or((1, 0))
            } else {
                match (write(w, core), &wrong) {
                    (Ok((0, changed)), _) => (0, changed),
                    (_, Some(wrong)) => return Err(wrong.clone()),
                    (written, None) => written?,
                }
            };
            if !one_by_one {
                notes.tell_all(found);
            }
            outcome.found += found;
            outcome.affected += changed;
        }
    }
    let changed = outcome.affected;
    if !plan.ignore {
        check(w, core, start, &row_checks)?;
    }
    if plan.update {
        for step in plan.steps.iter().filter(|s| s.sets_id) {
            let table = catalog.table_by_id(step.table).ok_or_else(|| gone("table"))?;
            Ids::of(w, table).written(w, core)?;
        }
        outcome.info = format!(
            "Rows matched: {}  Changed: {changed}  Warnings: {}",
            outcome.found,
            execute::context::read(|c| c.warning_count)
        );
    } else {
        outcome.found = outcome.affected;
    }
    if plan.truncate {
        if let Some(table) = plan.steps.first().and_then(|step| catalog.table_by_id(step.table)) {
            w.restart_ids(table).map_err(|e| store_to_sql(&e))?;
            core.temporary.restart_ids(table.id);
        }
        outcome = Outcome::default();
    }
    Ok(outcome)
}

// ---- schema

fn ddl(w: &mut dyn Tables, core: &mut Core, plan: &Ddl) -> Result<Outcome, SqlError> {
    if let Some(r) = &plan.resolve {
        return decide::resolve(w, core, r);
    }
    if plan.keep_ids {
        return crate::recount::keep(w, core);
    }
    if let Some(statement) = &plan.account {
        return crate::accounts::run(w, core, statement);
    }
    present(w.db(), &plan.checks, |e| run::failed(e, core))?;
    let count = plan.copied.as_ref().map(|sql| w.db().query_one(sql, (), |row| row.int(0)));
    let count = count.transpose().map_err(|e| run::failed(&e, core))?;
    let rows = count.flatten().unwrap_or(0).unsigned_abs();
    if !plan.changes.is_empty() {
        w.schema(plan.changes.clone()).map_err(|e| match e {
            EngineError::Denied(_) => powers::schema_denied(&core.state, &w.base(), &plan.changes),
            e => e.to_sql(),
        })?;
    }
    let warnings = execute::context::read(|c| c.warning_count);
    let info = match plan.counts {
        true => format!("Records: {rows}  Duplicates: 0  Warnings: {warnings}"),
        false => String::new(),
    };
    Ok(Outcome { affected: plan.affected + rows, info, ..Outcome::default() })
}

/// Numbers the rows of a table, which meet its constraints with that as with an UPDATE.
pub(crate) fn number(w: &mut dyn Tables, core: &mut Core, n: &Numbering) -> Result<(), SqlError> {
    let catalog = core.catalog(&w.base());
    let table = catalog.table_by_id(n.table).ok_or_else(|| gone("table"))?;
    let order = n.order.iter().filter(|tag| table.column_by_tag(**tag).is_some());
    let order: Vec<String> = order.map(|tag| physical_column(*tag)).chain(["rowid".to_owned()]).collect();
    let sql = format!("SELECT rowid FROM {} ORDER BY {}", table.physical(), order.join(","));
    let mut rows = Vec::new();
    let read = w.db().query(&sql, (), |row| {
        rows.push(row.int(0)?);
        Ok(NEXT)
    });
    read.map_err(|e| run::failed(&e, core))?;
    let mark = w.db().capture_mark();
    let sql = format!("UPDATE {} SET {}=?1 WHERE rowid=?2", table.physical(), physical_column(n.column));
    for (id, row) in (n.first..).zip(rows) {
        if id > n.greatest {
            let message = "Failed to read auto-increment value from storage engine";
            return Err(SqlError::new(1467, "HY000", message));
        }
        w.execute(&sql, &[Value::from_u64(id), Value::Int(row)]).map_err(|e| run::failed(&e, core))?;
    }
    check(w, core, mark, &[])
}

/// The error of a check, with the values of the row that was found.
pub(crate) fn with_values(error: &SqlError, row: &[Value]) -> SqlError {
    let mut error = error.clone();
    for (i, v) in row.iter().enumerate() {
        error.message = error.message.replace(&format!("{{{i}}}"), &words::plain(v));
    }
    error
}
