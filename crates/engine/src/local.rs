//! Running a statement that writes, at the writer, inside a local transaction.
//!
//! Values are coerced in Rust, rows are written by the lowered SQLite statements, and what changed is read off the
//! capture: affected rows, references, claims of displaced rows, CHECKs. What a change means for other nodes is decided
//! later, when the transaction ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use p2pdb_model::catalog::{HIDDEN_PREFIX, Index, Table, physical_column, sqlite_collation};
use p2pdb_model::schema::TriggerEvent;
use p2pdb_model::{Catalog, ColumnTag, ObjectId, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{self, Args, coerce};
use p2pdb_sql::plan::{Ddl, Insert, InsertMode, InsertRows, Modify, PlanKind, RowCheck, Slot};
use p2pdb_store::{CaptureOp, Captured, Connection, Decision, NEXT, StoreError};

use crate::api::Outcome;
use crate::core::Core;
use crate::error::store_to_sql;
use crate::functions::by_rules;
use crate::program::{functions, triggers};
use crate::row_notes::RowNotes;
use crate::run;
use crate::statement::Bound;
use crate::tables::Tables;
use crate::words;

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
fn bind(
    w: &dyn Tables,
    core: &Core,
    slots: &[Slot],
    bound: &Bound,
    random: [u8; 16],
) -> Result<Vec<Value>, SqlError> {
    let args = args(w, core, bound, random);
    slots.iter().map(|slot| execute::bind_slot(slot, &args)).collect()
}

fn args<'a>(w: &dyn Tables, core: &'a Core, bound: &'a Bound, random: [u8; 16]) -> Args<'a> {
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
fn lent(w: &dyn Tables, core: &Core, functions: bool) -> Option<Arc<Catalog>> {
    functions.then(|| core.catalog(&w.base()))
}

/// The rows of a query that the statement reads whole before it writes.
fn collect(
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

// ---- INSERT and REPLACE

fn insert(w: &mut dyn Tables, core: &mut Core, bound: &Bound, plan: &Insert) -> Result<Outcome, SqlError> {
    let catalog = core.catalog(&w.base());
    let table = catalog.table_by_id(plan.table).ok_or_else(|| gone("table"))?;
    triggers::may_write(core, table)?;
    if !table.triggers.is_empty() {
        triggers::use_tables(core, table.id, &plan.reads);
    }
    let seed = w.random();
    let extra = bind(w, core, &plan.extra, bound, seed)?;
    let row_checks = bind_checks(w, core, bound, &plan.row_checks, seed)?;
    let start = w.db().capture_mark();
    let outcome = Outcome::default();
    let lends = bound.statement.compiled().plan.functions;
    let last_id = LastId::Value(0);
    let mut run = InsertRun { lends, plan, table, extra, row_checks, outcome, skipped: 0, rows: 0, last_id };
    match &plan.rows {
        InsertRows::Values(rows) => {
            for row in rows {
                execute::context::set_row(run.rows + 1);
                let values = {
                    let args = args(w, core, bound, execute::nth_random(seed, run.rows));
                    let values: Result<Vec<Value>, SqlError> =
                        row.iter().map(|slot| execute::bind_slot(slot, &args)).collect();
                    values?
                };
                run.row(w, core, values)?;
            }
        }
        InsertRows::Select { query, types, coerce: targets, .. } => {
            let params = bind(w, core, &query.slots, bound, seed)?;
            let rows = collect(w, core, bound, &query.sql, &params)?;
            for values in rows {
                execute::context::set_row(run.rows + 1);
                let coerced: Result<Vec<Value>, SqlError> = values
                    .into_iter()
                    .zip(targets)
                    .enumerate()
                    .map(|(i, (v, target))| match types.get(i) {
                        Some(from) => coerce::apply(target, v, from),
                        None => Err(SqlError::value_count(1)),
                    })
                    .collect();
                run.row(w, core, coerced?)?;
            }
        }
    }
    let last_id = run.last_id(w, core)?;
    let row_checks = run.row_checks;
    let mut outcome = run.outcome;
    if run.rows > 1 || matches!(plan.rows, InsertRows::Select { values: false, .. }) {
        let duplicates = match plan.mode {
            InsertMode::Replace => outcome.affected.saturating_sub(run.rows),
            _ if plan.upsert => outcome.affected.saturating_sub(run.rows),
            _ => run.skipped,
        };
        outcome.info = format!(
            "Records: {}  Duplicates: {duplicates}  Warnings: {}",
            run.rows,
            execute::context::read(|c| c.warning_count)
        );
    }
    if outcome.last_insert_id != 0 {
        // An id that was drawn counts more than LAST_INSERT_ID(n).
        execute::context::forget_last_insert_id();
        core.state.last_insert_id = outcome.last_insert_id;
    } else {
        // Only for the client's mysql_insert_id(): LAST_INSERT_ID() stays what it was.
        outcome.last_insert_id = last_id;
    }
    if plan.mode != InsertMode::Ignore {
        check(w, core, start, &row_checks)?;
    }
    Ok(outcome)
}

struct InsertRun<'a> {
    /// What is done about duplicates calls stored functions.
    lends: bool,
    plan: &'a Insert,
    table: &'a Table,
    extra: Vec<Value>,
    row_checks: Vec<BoundCheck>,
    outcome: Outcome,
    skipped: u64,
    rows: u64,
    last_id: LastId,
}

/// The AUTO_INCREMENT value of the last row that was written.
enum LastId {
    /// Drawn or given; 0 if there is none.
    Value(u64),
    /// That of a row that was there and was updated: the column's place in the plan, and SQLite's rowid.
    OfRow(usize, i64),
}

impl InsertRun<'_> {
    fn row(&mut self, w: &mut dyn Tables, core: &mut Core, mut values: Vec<Value>) -> Result<(), SqlError> {
        let table = self.table;
        if !table.triggers.is_empty() {
            triggers::before_insert(w, core, table, &mut values, self.plan.auto_increment)?;
        }
        let others = (self.plan.upsert && triggers::fires(table, TriggerEvent::Update))
            || (self.plan.mode == InsertMode::Replace && triggers::fires(table, TriggerEvent::Delete));
        let generated = match self.plan.auto_increment {
            Some(i) => self.draw_id(w, core, &mut values[i])?,
            None => None,
        };
        let version = w.version().map_err(|e| e.to_sql())?;
        let written = values.len();
        values.push(Value::Int(version.0 as i64));
        if self.plan.needs_key {
            values.push(Value::Blob(w.random().to_vec()));
        }
        values.extend(self.extra.iter().cloned());
        self.rows += 1;
        let plan = self.plan;
        let lends = self.lends;
        let once = |w: &mut dyn Tables, core: &mut Core| {
            let mark = w.db().capture_mark();
            match functions::lend(lent(w, core, lends), core, w.db(), || w.execute(&plan.sql, &values)) {
                Ok(_) => {
                    note_adds(w, mark, &self.plan.adds);
                    Ok(w.db().captured_since(mark, |all| (effect_of(all), all.last().map(|c| c.new_rowid))))
                }
                Err(StoreError::Constraint(c)) if plan.upsert => Err(duplicate_seen(w.db(), table, &c)),
                Err(StoreError::Constraint(c)) => {
                    Err(duplicate(w.db(), table, &c, &plan.columns, &values[..written]))
                }
                Err(e) => Err(run::failed(&e, core)),
            }
        };
        let write = |w: &mut dyn Tables, core: &mut Core| {
            if !others {
                return once(w, core);
            }
            let captured = triggers::tried(w, core, once)?;
            let rowid = captured.last().map(|c| c.new_rowid);
            let deleted = captured.iter().filter(|c| c.op == CaptureOp::Delete).count() as u64;
            match triggers::in_the_way(w, core, table, captured, &plan.adds)? {
                Some(true) => Ok((Effect::Updated, rowid)),
                Some(false) => Ok((Effect::None, rowid)),
                None if deleted > 0 => {
                    let (_, rowid) = once(w, core)?;
                    Ok((Effect::Replaced(deleted), rowid))
                }
                None => once(w, core),
            }
        };
        let (effect, rowid) = if self.plan.mode == InsertMode::Ignore {
            let Some(effect) = or_skip(w, core, &self.row_checks, write)? else {
                self.skipped += 1;
                return Ok(());
            };
            effect
        } else {
            write(w, core)?
        };
        if let Some(id) = generated {
            w.note_generated(self.table.id, id);
        }
        if let Some(i) = self.plan.auto_increment {
            match effect {
                Effect::None => {}
                Effect::Updated => self.last_id = LastId::OfRow(i, rowid.unwrap_or(0)),
                _ => self.last_id = LastId::Value(values[i].as_u64().unwrap_or(0)),
            }
        }
        if matches!(effect, Effect::Inserted | Effect::Replaced(_)) && !table.triggers.is_empty() {
            values.truncate(written);
            triggers::fire(w, core, table, false, TriggerEvent::Insert, &mut values, &[])?;
        }
        match effect {
            Effect::None if self.plan.upsert => self.outcome.found += 1,
            Effect::None => {
                self.skipped += 1;
                if self.plan.mode == InsertMode::Ignore {
                    let message = match clashing(w, self.table, &self.plan.columns, &values[..written]) {
                        Some(index) => {
                            let (columns, values) =
                                with_generated(w.db(), self.table, &self.plan.columns, &values[..written]);
                            words::duplicate(self.table, index, &columns, &values).message
                        }
                        None => "Duplicate entry".to_owned(),
                    };
                    execute::context::warn(1062, message);
                }
            }
            Effect::Inserted => self.outcome.affected += 1,
            Effect::Updated => self.outcome.affected += 2,
            Effect::Replaced(old) => self.outcome.affected += 1 + old,
        }
        if let Some(id) = generated
            && !matches!(effect, Effect::None | Effect::Updated)
            && self.outcome.last_insert_id == 0
        {
            self.outcome.last_insert_id = id;
        }
        Ok(())
    }

    fn last_id(&self, w: &dyn Tables, core: &Core) -> Result<u64, SqlError> {
        let (column, rowid) = match self.last_id {
            LastId::Value(id) => return Ok(id),
            LastId::OfRow(column, rowid) => (self.plan.columns[column], ValueRef::Int(rowid)),
        };
        let column = p2pdb_model::catalog::physical_column(column);
        let sql = format!("SELECT {column} FROM {} WHERE rowid = ?1", self.table.physical());
        let id = w.db().query_one(&sql, [rowid], |row| Ok(row.to_values()?.first().and_then(Value::as_u64)));
        Ok(id.map_err(|e| run::failed(&e, core))?.flatten().unwrap_or(0))
    }

    /// NULL and 0 draw an id; a value that is given raises the floor. Gives the id that was drawn.
    fn draw_id(
        &self,
        w: &mut dyn Tables,
        core: &mut Core,
        value: &mut Value,
    ) -> Result<Option<u64>, SqlError> {
        let zero_draws = !core.state.sql_mode.has(p2pdb_sql::session::SqlMode::NO_AUTO_VALUE_ON_ZERO);
        let draws = value.is_null() || (zero_draws && matches!(value, Value::Int(0)));
        let temporary = w.base().table_by_id(self.table.id).is_none();
        let share = match temporary {
            true => core.temporary.id_share(w.db(), self.table).map(Some),
            false => w.id_share(self.table),
        };
        let share = share.map_err(|e| store_to_sql(&e))?;
        let raise = |w: &mut dyn Tables, core: &mut Core, id| match temporary {
            true => core.temporary.raise_id_floor(self.table.id, id),
            false => w.raise_id_floor(self.table.id, id),
        };
        if !draws {
            if let (Some(id), Some((floor, high))) = (value.as_u64(), share)
                && id > floor
                && id <= high
            {
                raise(w, core, id);
            }
            return Ok(None);
        }
        let failed = |why: &str| {
            SqlError::new(
                1467,
                "HY000",
                format!("Failed to read auto-increment value from storage engine{why}"),
            )
        };
        let id = match core.state.insert_id.take() {
            Some(id) => id,
            None => match share {
                None => {
                    return Err(failed(
                        ": no values were dealt to this node yet (after a restore another member has to deal them anew)",
                    ));
                }
                Some((floor, high)) if floor >= high => return Err(failed("")),
                Some((floor, _)) => floor + 1,
            },
        };
        raise(w, core, id);
        *value = Value::from_u64(id);
        Ok(Some(id))
    }
}

/// What a row's statement did.
enum Effect {
    None,
    Inserted,
    Updated,
    /// This many old rows made room.
    Replaced(u64),
}

/// What was captured since `mark` came from a statement that adds to these counters.
pub(crate) fn note_adds(w: &dyn Tables, mark: usize, adds: &Arc<[p2pdb_model::ColumnTag]>) {
    if !adds.is_empty() {
        w.db().mark_adjusted(mark, adds);
    }
}

fn effect_of(captured: &[Captured]) -> Effect {
    let (mut inserted, mut deleted, mut updated) = (0u64, 0u64, 0u64);
    for c in captured {
        match c.op {
            CaptureOp::Insert => inserted += 1,
            CaptureOp::Delete => deleted += 1,
            CaptureOp::Update => updated += u64::from(c.old != c.new),
        }
    }
    match (inserted, deleted, updated) {
        (0, 0, 0) => Effect::None,
        (0, _, _) => Effect::Updated,
        (_, 0, _) => Effect::Inserted,
        (_, old, _) => Effect::Replaced(old),
    }
}

fn changed_rows(captured: &[Captured]) -> u64 {
    captured.iter().filter(|c| c.op != CaptureOp::Update || c.old != c.new).count() as u64
}

/// Writes a row under IGNORE: when it violates a constraint it is taken back alone, with a warning.
fn or_skip<T>(
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

fn modify(w: &mut dyn Tables, core: &mut Core, bound: &Bound, plan: &Modify) -> Result<Outcome, SqlError> {
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
        outcome.info = format!(
            "Rows matched: {}  Changed: {changed}  Warnings: {}",
            outcome.found,
            execute::context::read(|c| c.warning_count)
        );
    } else {
        outcome.found = outcome.affected;
    }
    if plan.truncate {
        if let Some(step) = plan.steps.first() {
            w.forget_ids(step.table);
            core.temporary.forget_ids(step.table);
        }
        outcome = Outcome::default();
    }
    Ok(outcome)
}

// ---- schema

fn ddl(w: &mut dyn Tables, core: &mut Core, plan: &Ddl) -> Result<Outcome, SqlError> {
    if let Some(r) = &plan.resolve {
        let catalog = core.catalog(&w.base());
        let table = catalog.table_by_id(r.table).ok_or_else(|| SqlError::no_table("", ""))?;
        let key = words::key(table, &r.key)?;
        let how = if r.keep { Decision::Keep } else { Decision::Discard };
        return match w.resolve(r.table, &key, how).map_err(|e| e.to_sql())? {
            true => Ok(Outcome { affected: 1, ..Outcome::default() }),
            false => {
                let message =
                    format!("Can't find record in '{}' (a conflict of this row to decide)", table.name);
                Err(SqlError::new(1032, "HY000", message))
            }
        };
    }
    for (sql, error) in &plan.checks {
        let found = w.db().query_one(sql, (), |row| row.to_values());
        if let Some(row) = found.map_err(|e| of_index(None, run::failed(&e, core)))? {
            return Err(with_values(error, &row));
        }
    }
    if !plan.changes.is_empty() {
        w.schema(plan.changes.clone()).map_err(|e| e.to_sql())?;
    }
    let info = if plan.counts { "Records: 0  Duplicates: 0  Warnings: 0" } else { "" };
    Ok(Outcome { affected: plan.affected, info: info.to_owned(), ..Outcome::default() })
}

/// The error of a check, with the values of the row that was found.
pub(crate) fn with_values(error: &SqlError, row: &[Value]) -> SqlError {
    let mut error = error.clone();
    for (i, v) in row.iter().enumerate() {
        error.message = error.message.replace(&format!("{{{i}}}"), &words::plain(v));
    }
    error
}

// ---- checks on what was captured

/// What CHECK OPTION of a view asks, with its values; the first stands for the row.
struct BoundCheck {
    physical: String,
    view: String,
    sql: String,
    params: Vec<Value>,
    /// The statement calls stored functions.
    lends: bool,
}

fn bind_checks(
    w: &dyn Tables,
    core: &Core,
    bound: &Bound,
    checks: &[RowCheck],
    seed: [u8; 16],
) -> Result<Vec<BoundCheck>, SqlError> {
    let catalog = core.catalog(&w.base());
    let bind_one = |c: &RowCheck| {
        let table = catalog.table_by_id(c.table).ok_or_else(|| gone("table"))?;
        let mut params = vec![Value::Null];
        params.extend(bind(w, core, &c.slots, bound, seed)?);
        let lends = bound.statement.compiled().plan.functions;
        Ok(BoundCheck { physical: table.physical(), view: c.view.clone(), sql: c.sql.clone(), params, lends })
    };
    checks.iter().map(bind_one).collect()
}

/// 1369 for a row written since `mark` that the view does not show.
fn check_options(
    w: &mut dyn Tables,
    core: &mut Core,
    mark: usize,
    checks: &[BoundCheck],
) -> Result<(), SqlError> {
    for check in checks {
        let written: Vec<i64> = w.db().captured_since(mark, |all| {
            let own = all.iter().filter(|c| *c.table == *check.physical && c.op != CaptureOp::Delete);
            own.filter(|c| c.op == CaptureOp::Insert || c.old != c.new).map(|c| c.new_rowid).collect()
        });
        let mut params = check.params.clone();
        for rowid in written {
            params[0] = Value::Int(rowid);
            let ask = || w.db().query_one(&check.sql, &params, |_| Ok(()));
            let outside = functions::lend(lent(w, core, check.lends), core, w.db(), ask);
            if outside.map_err(|e| run::failed(&e, core))?.is_some() {
                let message = format!("CHECK OPTION failed '{}'", check.view);
                return Err(SqlError::new(1369, "HY000", message));
            }
        }
    }
    Ok(())
}

/// Views, references, claims of displaced rows and CHECKs over what the statement wrote since `mark`.
fn check(
    w: &mut dyn Tables,
    core: &mut Core,
    mark: usize,
    row_checks: &[BoundCheck],
) -> Result<(), SqlError> {
    check_options(w, core, mark, row_checks)?;
    let catalog = core.catalog(&w.base());
    let violation = w.violation(mark, core.state.foreign_key_checks);
    let error = match violation.map_err(|e| run::failed(&e, core))? {
        Some(v) => Some(words::violation(&catalog, &v)),
        None => checks(w, core, &catalog, mark)?,
    };
    error.map_or(Ok(()), Err)
}

/// What is asked of the rows of one table that a statement wrote.
struct Asked {
    name: Arc<str>,
    table: Option<Arc<Table>>,
    /// Its evaluation fails where a generated column has no value that fits.
    values: Option<String>,
    checks: Vec<(ObjectId, String)>,
}

impl Asked {
    fn of(w: &mut dyn Tables, core: &Core, catalog: &Catalog, name: Arc<str>) -> Result<Self, SqlError> {
        let checks = w.checks(catalog, &name).map_err(|e| run::failed(&e, core))?;
        let table = checks.as_ref().and_then(|c| catalog.table_by_id(c.table)).cloned();
        let values = match &table {
            Some(t) => p2pdb_sql::bind::generated::errors_of(t, &name)?,
            None => Vec::new(),
        };
        let values =
            (!values.is_empty()).then(|| format!("SELECT {} FROM {name} WHERE rowid = ?1", values.join(",")));
        Ok(Asked { name, table, values, checks: checks.map(|c| c.violated).unwrap_or_default() })
    }
}

/// The first CHECK that a written row violates (3819), by the same rules as when it is merged; generated columns fail with
/// the errors of an assignment.
fn checks(
    w: &mut dyn Tables,
    core: &Core,
    catalog: &Catalog,
    mark: usize,
) -> Result<Option<SqlError>, SqlError> {
    let written: Vec<(Arc<str>, i64)> = w.db().captured_since(mark, |all| {
        all.iter().filter(|c| c.op != CaptureOp::Delete).map(|c| (c.table.clone(), c.new_rowid)).collect()
    });
    let mut last: Option<Asked> = None;
    for (row, (name, rowid)) in (1..).zip(written) {
        let asked = match last.take() {
            Some(asked) if asked.name == name => asked,
            _ => Asked::of(w, core, catalog, name)?,
        };
        let of_row = [ValueRef::Int(rowid)];
        if let Some(sql) = &asked.values {
            execute::context::set_row(row);
            let found = w.db().query_one(sql, of_row, |row| row.to_values());
            found.map_err(|e| of_index(asked.table.as_deref(), run::failed(&e, core)))?;
        }
        for (check, sql) in &asked.checks {
            let violated =
                by_rules(|| w.db().query_one(sql, of_row, |_| Ok(())).map_err(|e| run::failed(&e, core)))?;
            if violated.is_some() {
                let check = asked.table.iter().flat_map(|t| &t.checks).find(|c| c.id == *check);
                let name = check.map_or("", |c| c.name.as_str());
                let message = format!("Check constraint '{name}' is violated.");
                return Ok(Some(SqlError::new(3819, "HY000", message)));
            }
        }
        last = Some(asked);
    }
    Ok(None)
}

/// An error of the value of an expression in an index, which has no column that MySQL could name.
fn of_index(table: Option<&Table>, e: SqlError) -> SqlError {
    let Some((_, rest)) = e.message.split_once(&format!("'{HIDDEN_PREFIX}")) else { return e };
    let hidden = rest.split('\'').next().unwrap_or_default();
    let of_column = table.and_then(|t| {
        let name = format!("{HIDDEN_PREFIX}{hidden}");
        let column = t.columns.iter().find(|c| c.name == name)?.tag;
        let index = t.indexes.iter().find(|i| i.def.parts.iter().any(|p| p.column == column));
        index.map(|i| i.name.clone())
    });
    // The column is named by the index for which it was made.
    let made_for = || hidden.rsplitn(3, '!').last().unwrap_or_default().to_owned();
    let name = of_column.unwrap_or_else(made_for);
    let at = e.message.find(" at row ").map_or("", |at| &e.message[at..]);
    match e.code {
        1406 => SqlError::new(3907, "22001", format!("Data too long for functional index '{name}'.")),
        1265 => SqlError::new(3751, "01000", format!("Data truncated for functional index '{name}'{at}")),
        1264 => {
            SqlError::new(3752, "22003", format!("Value is out of range for functional index '{name}'{at}"))
        }
        _ => e,
    }
}

/// 1062 for a unique key that SQLite found taken; with the values of the row that was written, where they are known.
fn duplicate(
    db: &Connection,
    table: &Table,
    constraint: &p2pdb_store::ConstraintError,
    columns: &[p2pdb_model::ColumnTag],
    values: &[Value],
) -> SqlError {
    match violated_index(table, constraint) {
        Some(index) => {
            let (columns, values) = with_generated(db, table, columns, values);
            words::duplicate(table, index, &columns, &values)
        }
        None => SqlError::new(1062, "23000", format!("Duplicate entry for a unique key of '{}'", table.name)),
    }
}

/// A row's values, with those of the generated columns of its keys.
fn with_generated(
    db: &Connection,
    table: &Table,
    columns: &[ColumnTag],
    values: &[Value],
) -> (Vec<ColumnTag>, Vec<Value>) {
    let (mut tags, mut all) = (columns.to_vec(), values.to_vec());
    let is_generated = |tag: &ColumnTag| table.column_by_tag(*tag).is_some_and(|c| c.def.generated.is_some());
    let parts = table.indexes.iter().flat_map(|i| &i.def.parts).map(|p| p.column);
    let generated: BTreeSet<ColumnTag> = parts.filter(is_generated).collect();
    if generated.is_empty() {
        return (tags, all);
    }
    let shared = Arc::new(table.clone());
    let given = columns.iter().zip(1..).filter(|(tag, _)| !is_generated(tag)).map(|(tag, n)| {
        let collation = table.column_by_tag(*tag).and_then(|c| sqlite_collation(&c.def.ty));
        let collate = collation.map_or_else(String::new, |c| format!(" COLLATE \"{c}\""));
        format!("?{n}{collate} AS {}", physical_column(*tag))
    });
    let given = given.collect::<Vec<_>>().join(", ");
    for tag in generated {
        let Some(sql) = p2pdb_sql::bind::generated::indexed(&shared, tag) else { continue };
        // SQLite counts parameters by the greatest that is named.
        let sql = format!("SELECT {sql} FROM (SELECT {given}) WHERE ?{0} IS ?{0}", values.len());
        let Ok(Some(mut row)) = db.query_one(&sql, values, |row| row.to_values()) else { continue };
        let Some(value) = row.pop() else { continue };
        match tags.iter().position(|t| *t == tag) {
            Some(at) => all[at] = value,
            None => {
                tags.push(tag);
                all.push(value);
            }
        }
    }
    (tags, all)
}

/// The same for a row that is being updated: its values were noted on their way into the key.
fn duplicate_seen(db: &Connection, table: &Table, constraint: &p2pdb_store::ConstraintError) -> SqlError {
    let seen = execute::context::read(|c| c.seen.clone());
    let (columns, values): (Vec<_>, Vec<_>) =
        seen.into_iter().filter_map(|(at, v)| Some((table.columns.get(at)?.tag, v))).unzip();
    duplicate(db, table, constraint, &columns, &values)
}

/// The index that SQLite's message means: it names the columns.
fn violated_index<'t>(table: &'t Table, constraint: &p2pdb_store::ConstraintError) -> Option<&'t Index> {
    if let Some(name) = constraint.index() {
        return table.indexes.iter().find(|i| p2pdb_model::catalog::physical_index(i.id) == name);
    }
    let named: Vec<&str> = constraint.columns().into_iter().map(|(_, c)| c).collect();
    table.indexes.iter().filter(|i| i.def.unique).find(|i| {
        i.def.parts.len() == named.len()
            && i.def
                .parts
                .iter()
                .zip(&named)
                .all(|(p, n)| p2pdb_model::catalog::physical_column(p.column) == **n)
    })
}

/// The unique index on which these values meet another row.
fn clashing<'t>(
    w: &dyn Tables,
    table: &'t Table,
    columns: &[p2pdb_model::ColumnTag],
    values: &[Value],
) -> Option<&'t Index> {
    let (columns, values) = with_generated(w.db(), table, columns, values);
    // Only generated columns want it: this is asked for each row that IGNORE skips.
    let shared = std::cell::OnceCell::new();
    table.indexes.iter().filter(|i| i.def.unique).find(|index| {
        let mut sql = format!("SELECT 1 FROM {} WHERE ", table.physical());
        let mut params = Vec::new();
        for part in &index.def.parts {
            let Some(i) = columns.iter().position(|c| *c == part.column) else { return false };
            let Some(value) = values.get(i) else { return false };
            if !params.is_empty() {
                sql.push_str(" AND ");
            }
            params.push(value.clone());
            let generated = table.column_by_tag(part.column).is_some_and(|c| c.def.generated.is_some());
            let column = match generated {
                true => match p2pdb_sql::bind::generated::indexed(
                    shared.get_or_init(|| Arc::new(table.clone())),
                    part.column,
                ) {
                    Some(sql) => format!("({sql})"),
                    None => return false,
                },
                false => physical_column(part.column),
            };
            let (own, given) =
                (table.part_sql(part, &column), table.part_sql(part, &format!("?{}", params.len())));
            sql.push_str(&format!("{own} = {given}"));
        }
        matches!(w.db().query_one(&sql, &params, |_| Ok(())), Ok(Some(())))
    })
}

fn gone(what: &str) -> SqlError {
    SqlError::new(
        1412,
        "HY000",
        format!("Table definition has changed, please retry transaction (the {what} is gone)"),
    )
}
