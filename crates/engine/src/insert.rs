//! INSERT and REPLACE at the writer: rows are made ready, written, and what became of each is told as MySQL tells it.

use p2pdb_model::catalog::Table;
use p2pdb_model::schema::TriggerEvent;
use p2pdb_model::{CellKind, ColumnTag, Privileges, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{self, coerce};
use p2pdb_sql::plan::{Insert, InsertMode, InsertRows};
use p2pdb_store::{CaptureOp, Captured, StoreError};

use crate::api::Outcome;
use crate::constraints::{BoundCheck, bind_checks, check, clash, duplicate, duplicate_seen, gone};
use crate::core::Core;
use crate::local::{args, bind, collect, lent, note_adds, or_skip, ready_to_seal, strictly};
use crate::program::{functions, triggers};
use crate::run;
use crate::statement::Bound;
use crate::tables::Tables;
use crate::taken::Ids;

/// Rows that one statement of SQLite writes, where that makes no difference.
const ROWS_AT_ONCE: usize = 16;
/// Parameters of a row, beyond which rows are written one by one.
const WIDTH_AT_ONCE_MAX: usize = 128;

pub(crate) fn insert(
    w: &mut dyn Tables,
    core: &mut Core,
    bound: &Bound,
    plan: &Insert,
) -> Result<Outcome, SqlError> {
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
    ready_to_seal(w, core, table, &plan.seals)?;
    let lends = bound.statement.compiled().plan.functions;
    let last_id = LastId::Value(0);
    let left_out = w.left_out(table).map_err(|e| e.to_sql())?;
    let (skipped, given_back, rows) = (0, 0, 0);
    let many = Many::of(plan, table, lends);
    let at = |tag: ColumnTag| plan.columns.iter().position(|c| *c == tag);
    let sealed = table.columns.iter().filter(|c| c.is_sealed());
    let sealed = sealed.filter_map(|c| Some((at(c.tag)?, c.tag))).collect();
    let mut run = InsertRun {
        lends,
        plan,
        table,
        left_out,
        sealed,
        extra,
        row_checks,
        outcome,
        skipped,
        given_back,
        rows,
        last_id,
        ids: Ids::of(w, table),
        many,
    };
    match &plan.rows {
        InsertRows::Values(rows) => {
            for row in rows {
                execute::context::set_row(run.rows + 1);
                let values: Result<Vec<Value>, SqlError> = {
                    let args = args(w, core, bound, execute::nth_random(seed, run.rows));
                    row.iter().map(|slot| strictly(execute::bind_slot(slot, &args))).collect()
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
                run.row(w, core, coerced)?;
            }
        }
    }
    run.write_held(w, core)?;
    let last_id = run.last_id(w, core)?;
    // A row that was there, as it was to be, was found.
    run.outcome.found += run.outcome.affected;
    if plan.sets_id {
        run.ids.written(w, core)?;
    }
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
    /// What the account may not give, which must be this.
    left_out: Vec<(ColumnTag, Value)>,
    /// The sealed columns, with their places among the values.
    sealed: Vec<(usize, ColumnTag)>,
    extra: Vec<Value>,
    row_checks: Vec<BoundCheck>,
    outcome: Outcome,
    skipped: u64,
    /// Values that were drawn for rows that did not come to be: the statement's next rows take them.
    given_back: u64,
    rows: u64,
    last_id: LastId,
    ids: Ids<'a>,
    /// None where each row is written for itself.
    many: Option<Many>,
}

/// Rows that wait to be written together: those of which nothing is asked but that they can be written.
struct Many {
    sql: String,
    /// The parameters of one row.
    width: usize,
    /// The parameters of the rows that wait.
    held: Vec<Value>,
    /// What was drawn for each of them.
    drawn: Vec<Option<u64>>,
}

impl Many {
    fn of(plan: &Insert, table: &Table, lends: bool) -> Option<Self> {
        let rows = match &plan.rows {
            InsertRows::Values(rows) => rows.len(),
            InsertRows::Select { .. } => usize::MAX,
        };
        let plain = plan.mode == InsertMode::Plain && !plan.upsert && table.triggers.is_empty() && !lends;
        let width = plan.columns.len() + 1 + usize::from(plan.needs_key);
        if !plain || rows < ROWS_AT_ONCE || width > WIDTH_AT_ONCE_MAX {
            return None;
        }
        let row = format!("({})", vec!["?"; width].join(","));
        let sql = format!("{} VALUES {}", plan.into, vec![row; ROWS_AT_ONCE].join(","));
        Some(Many { sql, width, held: Vec::with_capacity(width * ROWS_AT_ONCE), drawn: Vec::new() })
    }
}

/// The AUTO_INCREMENT value of the last row that was written.
enum LastId {
    /// Drawn or given; 0 if there is none.
    Value(u64),
    /// That of a row that was there and was updated: the column's place in the plan, and SQLite's rowid.
    OfRow(usize, i64),
}

impl InsertRun<'_> {
    /// Writes a row, or holds it to be written with others; what fails about it is told after what fails about those before it.
    fn row(
        &mut self,
        w: &mut dyn Tables,
        core: &mut Core,
        values: Result<Vec<Value>, SqlError>,
    ) -> Result<(), SqlError> {
        let ready = values.and_then(|values| self.ready(w, core, values));
        let (mut values, drawn) = match ready {
            Ok(ready) => ready,
            Err(e) => return self.write_held(w, core).and(Err(e)),
        };
        let Some(many) = &mut self.many else { return self.write(w, core, values, drawn) };
        many.held.append(&mut values);
        many.drawn.push(drawn);
        if many.drawn.len() == ROWS_AT_ONCE { self.write_held(w, core) } else { Ok(()) }
    }

    /// Writes the rows that wait.
    fn write_held(&mut self, w: &mut dyn Tables, core: &mut Core) -> Result<(), SqlError> {
        let Some(many) = self.many.as_mut().filter(|many| !many.drawn.is_empty()) else { return Ok(()) };
        let (held, drawn) = (std::mem::take(&mut many.held), std::mem::take(&mut many.drawn));
        let width = many.width;
        if drawn.len() == ROWS_AT_ONCE {
            match w.execute(&many.sql, &held) {
                Ok(_) => {
                    for (row, drawn) in held.chunks(width).zip(drawn) {
                        self.inserted(w, row, drawn);
                    }
                    return Ok(());
                }
                // SQLite has taken all of them back; which of them it is shows one by one.
                Err(StoreError::Constraint(_)) => {}
                Err(e) => return Err(run::failed(&e, core)),
            }
        }
        let mut held = held.into_iter();
        drawn.into_iter().try_for_each(|drawn| {
            let row = held.by_ref().take(width).collect();
            self.write(w, core, row, drawn)
        })
    }

    /// A row is in the table that was not there.
    fn inserted(&mut self, w: &mut dyn Tables, values: &[Value], drawn: Option<u64>) {
        self.outcome.affected += 1;
        if let Some(id) = drawn {
            w.note_generated(self.table.id, id);
            if self.outcome.last_insert_id == 0 {
                self.outcome.last_insert_id = id;
            }
        }
        if let Some(i) = self.plan.auto_increment {
            self.last_id = LastId::Value(values[i].as_u64().unwrap_or(0));
        }
    }

    /// The parameters of a row's statement, and the AUTO_INCREMENT value that was drawn for it.
    fn ready(
        &mut self,
        w: &mut dyn Tables,
        core: &mut Core,
        mut values: Vec<Value>,
    ) -> Result<(Vec<Value>, Option<u64>), SqlError> {
        let table = self.table;
        let besides = values.split_off(values.len().min(self.plan.columns.len()));
        if !table.triggers.is_empty() {
            triggers::before_insert(w, core, table, &mut values, self.plan.auto_increment)?;
        }
        let drawn = match self.plan.auto_increment {
            Some(i) => self.draw_id(w, core, &mut values[i])?,
            None => None,
        };
        self.name_owner(w, &mut values)?;
        self.holds_what_is_left_out(core, &values)?;
        self.seal(w, core, &mut values)?;
        let version = w.version().map_err(|e| e.to_sql())?;
        values.push(Value::Int(version.0 as i64));
        if self.plan.needs_key {
            values.push(Value::Blob(w.random().to_vec()));
        }
        values.extend(besides);
        values.extend(self.extra.iter().cloned());
        self.rows += 1;
        Ok((values, drawn))
    }

    fn write(
        &mut self,
        w: &mut dyn Tables,
        core: &mut Core,
        mut values: Vec<Value>,
        drawn: Option<u64>,
    ) -> Result<(), SqlError> {
        let table = self.table;
        let others = (self.plan.upsert && triggers::fires(table, TriggerEvent::Update))
            || (self.plan.mode == InsertMode::Replace && triggers::fires(table, TriggerEvent::Delete));
        let written = self.plan.columns.len();
        let plan = self.plan;
        let lends = self.lends;
        let once = |w: &mut dyn Tables, core: &mut Core| {
            let mark = w.db().capture_mark();
            match functions::lend(lent(w, core, lends), core, w.db(), || w.execute(&plan.sql, &values)) {
                Ok(_) => {
                    note_adds(w, mark, &self.plan.adds);
                    let one_key = table.indexes.iter().filter(|i| i.def.unique).count() == 1;
                    let effect =
                        |all: &[Captured]| (effect_of(all, one_key), all.last().map(|c| c.new_rowid));
                    Ok(w.db().captured_since(mark, effect))
                }
                Err(StoreError::Constraint(c)) if plan.upsert => Err(duplicate_seen(w.db(), table, &c)),
                Err(StoreError::Constraint(c)) => Err(clash(w, table, &plan.columns, &values[..written])
                    .unwrap_or_else(|| duplicate(w.db(), table, &c, &plan.columns, &values[..written]))),
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
                self.given_back += u64::from(drawn.is_some());
                return Ok(());
            };
            effect
        } else {
            write(w, core)?
        };
        let values_of_row = &values[..written];
        match effect {
            Effect::None | Effect::Updated => self.given_back += u64::from(drawn.is_some()),
            Effect::Inserted | Effect::Replaced(_) => self.inserted(w, values_of_row, drawn),
        }
        match effect {
            Effect::None if plan.upsert => self.outcome.found += 1,
            Effect::None => {
                self.skipped += 1;
                if plan.mode == InsertMode::Ignore {
                    let met = clash(w, table, &plan.columns, values_of_row);
                    let message = met.map_or_else(|| "Duplicate entry".to_owned(), |e| e.message);
                    execute::context::warn(1062, message);
                }
            }
            Effect::Inserted => {}
            Effect::Updated => {
                self.outcome.affected += 2;
                let values = !matches!(plan.rows, InsertRows::Select { values: false, .. });
                if let (Some(i), true) = (plan.auto_increment, values) {
                    self.last_id = LastId::OfRow(i, rowid.unwrap_or(0));
                }
            }
            Effect::Replaced(old) => self.outcome.affected += old,
        }
        if matches!(effect, Effect::Inserted | Effect::Replaced(_)) && !table.triggers.is_empty() {
            values.truncate(written);
            triggers::fire(w, core, table, false, TriggerEvent::Insert, &mut values, &[])?;
        }
        Ok(())
    }

    /// Seals the values of sealed columns.
    fn seal(&self, w: &mut dyn Tables, core: &Core, values: &mut [Value]) -> Result<(), SqlError> {
        for (i, tag) in &self.sealed {
            if !values[*i].is_null() {
                ready_to_seal(w, core, self.table, &[*tag])?;
                let sealer = core.state.sealer.as_ref().ok_or_else(execute::sealed::not_ready)?;
                values[*i] = sealer.seal(self.table.id, *tag, &values[*i])?;
            }
        }
        Ok(())
    }

    /// Whose row it is, by the account's id.
    fn name_owner(&self, w: &mut dyn Tables, values: &mut [Value]) -> Result<(), SqlError> {
        let owner = self.table.columns.iter().find(|c| c.cell_kind() == CellKind::Owner);
        let at = owner.and_then(|o| self.plan.columns.iter().position(|c| *c == o.tag));
        let (Some(i), Some(writer)) = (at, w.writer()) else { return Ok(()) };
        let named = writer.owner_named(&values[i]).ok_or_else(|| {
            let name = if let Value::Text(t) = &values[i] { t.as_str() } else { "" };
            SqlError::new(3523, "HY000", format!("Unknown authorization ID `{name}`"))
        })?;
        values[i] = Value::Text(named.to_hex());
        Ok(())
    }

    /// A column that the account may not insert is not in the log, so it holds on every node what it was made with.
    fn holds_what_is_left_out(&self, core: &Core, values: &[Value]) -> Result<(), SqlError> {
        for (tag, held) in &self.left_out {
            let at = self.plan.columns.iter().position(|c| c == tag);
            let Some(column) = self.table.column_by_tag(*tag) else { continue };
            if column.cell_kind() != CellKind::Owner && at.is_some_and(|i| values[i] != *held) {
                let column = column.name.as_str();
                let own = core.state.user_at_host();
                return Err(SqlError::column_denied(&own, Privileges::INSERT, column, &self.table.name));
            }
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
        &mut self,
        w: &mut dyn Tables,
        core: &mut Core,
        value: &mut Value,
    ) -> Result<Option<u64>, SqlError> {
        let zero_draws = !core.state.sql_mode.has(p2pdb_sql::session::SqlMode::NO_AUTO_VALUE_ON_ZERO);
        let draws = value.is_null() || (zero_draws && matches!(value, Value::Int(0)));
        let share = self.ids.share(w, core)?;
        if !draws {
            if let (Some(id), Some((floor, high))) = (value.as_u64(), share)
                && id > floor
                && id <= high
            {
                self.ids.raise(w, core, id);
                self.given_back = 0;
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
        let (id, taken) = match core.state.insert_id.take() {
            Some(id) => (id, id),
            None => match share {
                None => {
                    return Err(failed(
                        ": no values were dealt to this node yet. Another member that writes deals some by itself; if this node was restored and nobody has what it wrote since the backup, CALL p2pdb.keep_ids()",
                    ));
                }
                Some((floor, high)) if floor >= high => return Err(failed("")),
                Some((floor, _)) => (floor + 1 - self.given_back, floor + 1),
            },
        };
        self.ids.raise(w, core, taken);
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

/// `one_key`: the table has one unique key, so that REPLACE by the same row is no more than a look at it.
fn effect_of(captured: &[Captured], one_key: bool) -> Effect {
    if let [gone, put] = captured
        && (one_key, gone.op, put.op) == (true, CaptureOp::Delete, CaptureOp::Insert)
        && gone.old == put.new
    {
        return Effect::Inserted;
    }
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
