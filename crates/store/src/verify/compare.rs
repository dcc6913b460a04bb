//! Two stores, table by table and row by row: what is in one and not in the other.
//!
//! Rows of a table with a rowid column or a primary key are matched by it; of other tables, whose rowids are an
//! accident of order, by all columns. Index entries are not looked at here: within one store they are checked
//! against their rows by [`super::verify_file`], and what indexes a table has is part of its definition. So it is with full-text
//! indexes and the tables in which they are kept.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use p2pdb_model::Value;

use super::{OnProgress, PROGRESS_ROWS, Part, Progress, Report, quote, quote_text};
use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::query::NEXT;
use crate::sqlite::from_sql;

/// Columns that differ between two nodes that hold the same: when a block arrived, and what goes with that.
/// `*` stands for the whole table.
pub const NODE_LOCAL: &[(&str, &str)] =
    &[("block", "arrived"), ("block", "checked"), ("block", "sum"), ("meta", "*")];

/// A block's unseen list. Which of two blocks with the same list holds it, and which one points there, depends on
/// when the node was started; the list does not.
const UNSEEN: &str = "CASE typeof(unseen) WHEN 'integer'
    THEN (SELECT holder.unseen FROM block AS holder WHERE holder.no = block.unseen) ELSE unseen END";

/// How to compare.
#[derive(Clone, Copy, Debug)]
pub struct Compare<'a> {
    /// What to call the first store in findings.
    pub a: &'a str,
    /// What to call the second one.
    pub b: &'a str,
    /// Columns to pass over: table and column, `*` for all columns.
    pub ignore: &'a [(&'a str, &'a str)],
}

impl Default for Compare<'_> {
    fn default() -> Self {
        Compare { a: "the live store", b: "the replayed log", ignore: NODE_LOCAL }
    }
}

/// Compares definitions and rows of all tables.
pub fn compare(a: &Connection, b: &Connection, how: Compare<'_>, progress: OnProgress<'_>) -> Result<Report> {
    let mut report = Report::default();
    let (mut tables_a, mut tables_b) = Default::default();
    for (c, name, tables) in [(a, how.a, &mut tables_a), (b, how.b, &mut tables_b)] {
        let read = schema(c).map(|found| *tables = found);
        if let Err(StoreError::Corrupt(problem)) = &read {
            report.add(Part::Table, "sqlite_schema", format!("of {name} cannot be read: {problem}"));
            return Ok(report);
        }
        read?;
    }
    let names: BTreeSet<&String> = tables_a.keys().chain(tables_b.keys()).collect();
    let total = names.len() as u64;
    for (done, name) in names.into_iter().enumerate() {
        let step = Progress { step: name, done: done as u64, total };
        if progress(step).is_break() {
            report.stopped = true;
            return Ok(report);
        }
        match (tables_a.get(name), tables_b.get(name)) {
            (Some((kind, in_a)), Some((_, in_b))) => {
                if in_a != in_b {
                    report.add(Part::Table, name, format!("it is defined differently in {}", how.b));
                } else if kind == "table"
                    && !name.starts_with(crate::search::PREFIX)
                    && !name.starts_with(crate::looks::PREFIX)
                    && !how.ignore.contains(&(name.as_str(), "*"))
                {
                    let result = rows(a, b, name, how, &mut report, progress);
                    report.absorb(Part::Table, name, result)?;
                }
            }
            (Some(_), None) => report.add(Part::Table, name, format!("it is not in {}", how.b)),
            (None, _) => report.add(Part::Table, name, format!("it is not in {}", how.a)),
        }
        if report.stopped {
            break;
        }
    }
    Ok(report)
}

/// Tables, indexes and views by name, with kind and definition.
fn schema(c: &Connection) -> Result<BTreeMap<String, (String, String)>> {
    let mut found = BTreeMap::new();
    let sql = "SELECT name, type, tbl_name || ' ' || coalesce(sql, '') FROM sqlite_schema
               WHERE name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'";
    c.query(sql, (), |r| {
        found.insert(r.text(0)?.to_owned(), (r.text(1)?.to_owned(), r.text(2)?.to_owned()));
        Ok(NEXT)
    })?;
    Ok(found)
}

/// How the rows of a table are read and matched.
struct Plan {
    sql: String,
    columns: Vec<String>,
    /// Indexes of the columns that rows are matched by, in order.
    key: Vec<usize>,
}

fn plan(c: &Connection, table: &str, ignore: &[(&str, &str)]) -> Result<Plan> {
    let (mut columns, mut primary) = (Vec::new(), Vec::new());
    let sql = format!("SELECT name, pk FROM pragma_table_xinfo({})", quote_text(table));
    c.query(&sql, (), |r| {
        let name = r.text(0)?.to_owned();
        if !ignore.contains(&(table, name.as_str())) {
            if r.int(1)? > 0 {
                primary.push((r.int(1)?, columns.len()));
            }
            columns.push(name);
        }
        Ok(NEXT)
    })?;
    primary.sort_unstable();
    let mut key: Vec<usize> = primary.into_iter().map(|(_, i)| i).collect();
    if key.is_empty() {
        key = (0..columns.len()).collect();
    }
    let list: Vec<String> = columns.iter().map(|c| quote(c)).collect();
    // Binary, whatever the column's collation: two values that differ must not count as one.
    let order: Vec<String> = key.iter().map(|i| format!("{} COLLATE BINARY", list[*i])).collect();
    let read: Vec<&str> =
        list.iter().map(|c| if table == "block" && c == "\"unseen\"" { UNSEEN } else { c }).collect();
    let sql =
        format!("SELECT {} FROM {} NOT INDEXED ORDER BY {}", read.join(", "), quote(table), order.join(", "));
    Ok(Plan { sql, columns, key })
}

fn rows(
    a: &Connection,
    b: &Connection,
    table: &str,
    how: Compare<'_>,
    report: &mut Report,
    progress: OnProgress<'_>,
) -> Result<()> {
    let plan = plan(a, table, how.ignore)?;
    if plan.columns.is_empty() {
        return Ok(());
    }
    let mut statements = (a.db.prepare(&plan.sql)?, b.db.prepare(&plan.sql)?);
    let (mut rows_a, mut rows_b) = (statements.0.raw_query(), statements.1.raw_query());
    let n = plan.columns.len();
    let (mut left, mut right) = (next(a, &mut rows_a, n)?, next(b, &mut rows_b, n)?);
    let mut done = 0u64;
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(l), Some(r)) => compare_keys(&plan.key, l, r),
        };
        let name = |row: &Option<Vec<Value>>| {
            let row = row.as_deref().unwrap_or_default();
            let key: Vec<String> = plan.key.iter().map(|i| show(&row[*i])).collect();
            format!("{table} ({})", key.join(", "))
        };
        match order {
            Ordering::Less => {
                report.add(Part::Table, name(&left), format!("the row is not in {}", how.b));
                left = next(a, &mut rows_a, n)?;
            }
            Ordering::Greater => {
                report.add(Part::Table, name(&right), format!("the row is not in {}", how.a));
                right = next(b, &mut rows_b, n)?;
            }
            Ordering::Equal => {
                if left != right {
                    let (l, r) = (left.as_deref().unwrap_or_default(), right.as_deref().unwrap_or_default());
                    for (i, column) in plan.columns.iter().enumerate().filter(|(i, _)| l[*i] != r[*i]) {
                        let (l, r) = (show(&l[i]), show(&r[i]));
                        let problem = format!("column {column} is {l} in {}, {r} in {}", how.a, how.b);
                        report.add(Part::Table, name(&left), problem);
                    }
                }
                left = next(a, &mut rows_a, n)?;
                right = next(b, &mut rows_b, n)?;
            }
        }
        done += 1;
        if done.is_multiple_of(PROGRESS_ROWS) && progress(Progress { step: table, done, total: 0 }).is_break()
        {
            report.stopped = true;
            return Ok(());
        }
    }
}

fn compare_keys(key: &[usize], l: &[Value], r: &[Value]) -> Ordering {
    let orders = key.iter().map(|i| l[*i].cmp(&r[*i]));
    orders.fold(Ordering::Equal, Ordering::then)
}

fn next(c: &Connection, rows: &mut rusqlite::Rows<'_>, n: usize) -> Result<Option<Vec<Value>>> {
    let Some(row) = rows.next().map_err(|e| c.fault(e))? else { return Ok(None) };
    let values: Result<Vec<Value>> = (0..n).map(|i| Ok(from_sql(row.get_ref(i)?)?.to_value())).collect();
    values.map(Some)
}

/// Bytes and characters of a value shown in a finding.
const SHOWN_MAX: usize = 40;

fn show(v: &Value) -> String {
    match v {
        Value::Null => "NULL".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Real(r) => r.to_string(),
        Value::Text(t) => {
            let cut: String = t.chars().take(SHOWN_MAX).collect();
            let dots = if cut.len() < t.len() { "…" } else { "" };
            format!("{cut:?}{dots}")
        }
        Value::Blob(b) => {
            let dots = if b.len() > SHOWN_MAX { "…" } else { "" };
            format!("x'{}{dots}'", p2pdb_model::ids::hex(&b[..b.len().min(SHOWN_MAX)]))
        }
    }
}
