//! What a statement has written is held against the constraints, and what it met is named: CHECK OPTION of views, references and
//! claims of displaced rows, CHECKs, and the unique key on which a row met another one.
//!
//! Rows are read off the capture; SQLite's own refusals come here to be put into MySQL's words.

use std::collections::BTreeSet;
use std::sync::Arc;

use p2pdb_model::catalog::{HIDDEN_PREFIX, Index, Table, physical_column, sqlite_collation};
use p2pdb_model::{Catalog, ColumnTag, ObjectId, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::plan::{NoteLevel, RowCheck};
use p2pdb_store::{CaptureOp, Connection, Params, StoreError};

use crate::core::Core;
use crate::functions::by_rules;
use crate::local::{bind, lent, with_values};
use crate::program::functions;
use crate::run;
use crate::statement::Bound;
use crate::tables::Tables;
use crate::words;

/// MySQL's number of a row that does not satisfy a CHECK.
const CHECK_VIOLATED: u16 = 3819;

/// What CHECK OPTION of a view asks, with its values; the first stands for the row.
pub(crate) struct BoundCheck {
    physical: String,
    view: String,
    sql: String,
    params: Vec<Value>,
    /// The statement calls stored functions.
    lends: bool,
}

pub(crate) fn bind_checks(
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
pub(crate) fn check(
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
            Some(t) => p2pdb_sql::bind::generated::errors_of(t, &name),
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
            if is_violated(w.db(), sql, of_row, |e| run::failed(e, core))? {
                let check = asked.table.iter().flat_map(|t| &t.checks).find(|c| c.id == *check);
                let name = check.map_or("", |c| c.name.as_str());
                let message = format!("Check constraint '{name}' is violated.");
                return Ok(Some(SqlError::new(CHECK_VIOLATED, "HY000", message)));
            }
        }
        last = Some(asked);
    }
    Ok(None)
}

/// Whether this query finds a row that does not satisfy a CHECK, or a function of it does not take a row's values: then that is
/// told, too.
fn is_violated(
    db: &Connection,
    sql: &str,
    params: impl Params,
    failed: impl Fn(&StoreError) -> SqlError,
) -> Result<bool, SqlError> {
    let found =
        by_rules(|| db.query_one(sql, params, |_| Ok(())).map_err(|e| (e.is_of_function(), failed(&e))));
    match found {
        Ok(found) => Ok(found.is_some()),
        Err((true, why)) => {
            let level = match execute::context::read(|c| c.ignore) {
                true => NoteLevel::Warning,
                false => NoteLevel::Error,
            };
            execute::context::note(level, why.code, why.message);
            Ok(true)
        }
        Err((false, e)) => Err(e),
    }
}

/// What the rows that are there say to a change of the schema: the first query that finds one, or fails. CHECKs are asked as of a
/// row that is written.
pub(crate) fn present(
    db: &Connection,
    checks: &[(String, SqlError)],
    failed: impl Fn(&StoreError) -> SqlError,
) -> Result<(), SqlError> {
    for (sql, error) in checks {
        if error.code == CHECK_VIOLATED {
            if is_violated(db, sql, (), &failed)? {
                return Err(error.clone());
            }
            continue;
        }
        let found = db.query_one(sql, (), |row| row.to_values());
        if let Some(row) = found.map_err(|e| of_index(None, failed(&e)))? {
            return Err(with_values(error, &row));
        }
    }
    Ok(())
}

/// An error of the value of an expression in an index, which has no column that MySQL could name.
pub(crate) fn of_index(table: Option<&Table>, e: SqlError) -> SqlError {
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
pub(crate) fn duplicate(
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
pub(crate) fn with_generated(
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
pub(crate) fn duplicate_seen(
    db: &Connection,
    table: &Table,
    constraint: &p2pdb_store::ConstraintError,
) -> SqlError {
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

/// 1062 of a row that was to be inserted: it names the first key that it meets, in MySQL's order. `None` where it meets none.
pub(crate) fn clash(
    w: &dyn Tables,
    table: &Table,
    columns: &[ColumnTag],
    values: &[Value],
) -> Option<SqlError> {
    let (columns, values) = with_generated(w.db(), table, columns, values);
    clashing(w, table, &columns, &values).map(|index| words::duplicate(table, index, &columns, &values))
}

/// The unique index on which these values, those of generated columns included, meet another row: the first in MySQL's order.
fn clashing<'t>(
    w: &dyn Tables,
    table: &'t Table,
    columns: &[p2pdb_model::ColumnTag],
    values: &[Value],
) -> Option<&'t Index> {
    // Only generated columns want it: this is asked for each row that IGNORE skips.
    let shared = std::cell::OnceCell::new();
    p2pdb_sql::schema_text::sorted_indexes(table).into_iter().filter(|i| i.def.unique).find(|index| {
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
                    // As the index has it, with its collation: nothing else is looked up in it.
                    Some(sql) => {
                        let ty = table.column_by_tag(part.column).map(|c| &c.def.ty);
                        match ty.and_then(sqlite_collation) {
                            Some(collation) => format!("(({sql}) COLLATE \"{collation}\")"),
                            None => format!("({sql})"),
                        }
                    }
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

pub(crate) fn gone(what: &str) -> SqlError {
    SqlError::new(
        1412,
        "HY000",
        format!("Table definition has changed, please retry transaction (the {what} is gone)"),
    )
}
