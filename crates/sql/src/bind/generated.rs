//! Generated columns. Nothing is stored of one, STORED or VIRTUAL: where a statement names it, its expression stands,
//! converted to the column's type. So it is right on every node whatever was merged into the columns that it names.
//!
//! The expression is bound without the session that reads it, under the default sql_mode and collation: it means the
//! same for everybody. A statement that writes evaluates it once more, with the errors of an assignment
//! ([`errors_of`]). Not here: what is allowed in an expression (`ddl/generated.rs`).

use std::sync::Arc;

use p2pdb_model::Catalog;
use p2pdb_model::catalog::{Column, Table};

use super::scope::{RelColumn, Relation};
use super::{Binder, Scope, column_target};
use crate::error::SqlError;
use crate::plan::ColumnTarget;
use crate::session::SessionState;
use crate::variables::Globals;

thread_local! {
    static NOBODY: SessionState = SessionState::new(Arc::new(Globals::default()), 0, "", "", "");
}

/// Binds what the schema says of rows: the same for everybody, and no table or stored function is in sight.
pub(crate) fn by_nobody<T>(bind: impl FnOnce(Binder<'_>) -> T) -> T {
    NOBODY.with(|session| bind(Binder::without_text(&Catalog::default(), session)))
}

/// Gives the generated columns of a base table their SQL, made of that of its other columns.
pub(crate) fn fill_in(relation: &mut Relation) {
    let Some(table) = relation.table.clone() else { return };
    for (n, column) in table.columns.iter().enumerate().filter(|(_, c)| c.def.generated.is_some()) {
        let target = ColumnTarget { nullable: true, quiet: true, ..(*column_target(column)).clone() };
        // What it names may be gone since: then there is no value.
        let sql =
            value(&table, n, &relation.columns, &Arc::new(target)).unwrap_or_else(|_| "NULL".to_owned());
        if let Some(c) = relation.columns.iter_mut().find(|c| c.tag == Some(column.tag)) {
            c.sql = sql;
            c.field.not_null = false;
        }
    }
}

/// SQL that fails as an assignment to the generated columns of a row would, one text for each; `row` is what SQLite
/// calls the table.
///
/// # Errors
/// Those of binding.
pub fn errors_of(table: &Arc<Table>, row: &str) -> Result<Vec<String>, SqlError> {
    if table.columns.iter().all(|c| c.def.generated.is_none()) {
        return Ok(Vec::new());
    }
    let relation = Relation::of_table(table, &table.name, row);
    let generated = table.columns.iter().enumerate().filter(|(_, c)| c.def.generated.is_some());
    generated.map(|(n, c)| value(table, n, &relation.columns, &column_target(c))).collect()
}

/// A query that gives the generated columns of a row whose other columns, in their order, are its parameters; `None`
/// where the table has none.
pub fn values_of(table: &Arc<Table>) -> Option<String> {
    if table.columns.iter().all(|c| c.def.generated.is_none()) {
        return None;
    }
    let relation = Relation::of_table(table, &table.name, "r");
    let all = table.columns.iter().zip(&relation.columns);
    let values: Vec<&str> =
        all.filter(|(c, _)| c.def.generated.is_some()).map(|(_, r)| r.sql.as_str()).collect();
    let stored: Vec<String> =
        table.columns.iter().filter(|c| c.def.generated.is_none()).map(Column::physical).collect();
    let places: Vec<String> = (1..=stored.len()).map(|n| format!("?{n}")).collect();
    // The table, of which no row is taken, lends the columns' collations.
    Some(format!(
        "SELECT {} FROM (SELECT {} FROM {} WHERE 0 UNION ALL SELECT {}) r",
        values.join(","),
        stored.join(","),
        table.physical(),
        places.join(",")
    ))
}

/// The value of the n-th column, as it goes into `target`.
fn value(
    table: &Table,
    n: usize,
    columns: &[RelColumn],
    target: &Arc<ColumnTarget>,
) -> Result<String, SqlError> {
    let column = &table.columns[n];
    let text = column.def.generated.as_ref().map_or("NULL", |g| g.expression.as_str());
    let may_name = |c: &Column, at: usize| c.def.generated.is_none() || at < n;
    let visible = table.columns.iter().enumerate().filter(|(at, c)| may_name(c, *at));
    let tags: Vec<_> = visible.map(|(_, c)| c.tag).collect();
    let columns = columns.iter().filter(|c| c.tag.is_some_and(|t| tags.contains(&t))).cloned();
    bound(text, &table.name, columns.collect(), target)
}

/// An expression over these columns, as it goes into `target`.
///
/// # Errors
/// Those of binding: 1054, 1305, types.
pub(crate) fn bound(
    text: &str,
    table: &str,
    columns: Vec<RelColumn>,
    target: &Arc<ColumnTarget>,
) -> Result<String, SqlError> {
    let expr = crate::statement::expression_text(text)?;
    let relation = Relation::derived(table, None, "", columns);
    if crate::ddl::canonical::unfit(&expr).is_some() {
        return Err(SqlError::unsupported("a generated column of more than the row"));
    }
    by_nobody(|mut b| {
        let bound = b.expr(&expr, &Scope::of(vec![relation], "generated column function"))?;
        let sql = b.assign_checked(&bound, target);
        crate::dml::inline(&sql, &b.finish().slots)
    })
}
