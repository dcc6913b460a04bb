//! Generated columns. Nothing is stored of one, STORED or VIRTUAL: where a statement names it, its expression stands,
//! converted to the column's type. So it is right on every node whatever was merged into the columns that it names.
//!
//! The expression is bound without the session that reads it, under the default sql_mode and collation, and evaluated
//! outside of it, in UTC ([`crate::functions::by_rules`]): it means the same for everybody, and may stand in an index
//! ([`indexed`]). A statement that writes evaluates it once more, with the errors of an assignment ([`errors_of`]). Not
//! here: what is allowed in an expression (`ddl/generated.rs`).

use std::sync::Arc;

use p2pdb_model::catalog::{Column, Index, Table, physical_column};
use p2pdb_model::{Catalog, ColumnTag};
use sqlparser::ast::Expr;

use super::scope::{RelColumn, Relation};
use super::{Binder, Scope, column_target};
use crate::error::SqlError;
use crate::field::FieldType;
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

/// A session of nobody's, with the defaults of every variable.
pub(crate) fn nobody() -> SessionState {
    NOBODY.with(Clone::clone)
}

/// Gives the generated columns of a base table their SQL, made of that of its other columns.
pub(crate) fn fill_in(relation: &mut Relation) {
    let Some(table) = relation.table.clone() else { return };
    compute(&table, &mut relation.columns);
}

/// Says which of the generated columns have values.
fn compute(table: &Table, columns: &mut [RelColumn]) -> Vec<ColumnTag> {
    let mut valued = Vec::new();
    for (n, column) in table.columns.iter().enumerate().filter(|(_, c)| c.def.generated.is_some()) {
        let target =
            ColumnTarget { nullable: true, quiet: true, ..(*column_target(&table.name, column)).clone() };
        // What it names may be gone since: then there is no value.
        let sql = value(table, n, columns, &Arc::new(target)).ok();
        valued.extend(sql.is_some().then_some(column.tag));
        if let Some(c) = columns.iter_mut().find(|c| c.tag == Some(column.tag)) {
            c.sql = sql.map_or_else(|| "NULL".to_owned(), |sql| crate::functions::by_rules(&sql));
            c.field.not_null = false;
        }
    }
    valued
}

/// A generated column as text for an index of the physical table, whose columns it names alone. `None` when what it is
/// made of is gone.
pub fn indexed(table: &Arc<Table>, tag: ColumnTag) -> Option<String> {
    // Without its generated columns a table costs nothing to describe.
    let mut plain = Table::clone(table);
    plain.columns.iter_mut().for_each(|c| c.def.generated = None);
    let mut columns = Relation::with_hidden(&Arc::new(plain), &table.name, "").columns;
    for c in &mut columns {
        c.sql = c.tag.map(physical_column).unwrap_or_default();
    }
    let valued = compute(table, &mut columns);
    let column = columns.into_iter().find(|c| c.tag == Some(tag))?;
    valued.contains(&tag).then_some(column.sql)
}

/// The columns that decide what a row has in an index: its columns, and in the place of generated ones those that they
/// are made of.
pub(crate) fn sources(table: &Table, index: &Index) -> Vec<ColumnTag> {
    let mut out = Vec::new();
    let mut todo: Vec<ColumnTag> = index.def.parts.iter().map(|p| p.column).collect();
    while let Some(tag) = todo.pop() {
        let Some(column) = table.column_by_tag(tag) else { continue };
        match &column.def.generated {
            Some(g) => {
                let names = crate::ddl::check_columns(&g.expression);
                // Only columns before it: a circle is refused.
                let before = |c: &&Column| c.def.generated.is_none() || c.position < column.position;
                todo.extend(names.iter().filter_map(|n| table.column(n)).filter(before).map(|c| c.tag));
            }
            None if out.contains(&tag) => {}
            None => out.push(tag),
        }
    }
    out
}

/// SQL that fails as an assignment to the generated columns of a row would, one text for each that has a value; `row` is what
/// SQLite calls the table.
pub fn errors_of(table: &Arc<Table>, row: &str) -> Vec<String> {
    if table.columns.iter().all(|c| c.def.generated.is_none()) {
        return Vec::new();
    }
    let relation = Relation::of_table(table, &table.name, row);
    let generated = table.columns.iter().enumerate().filter(|(_, c)| c.def.generated.is_some());
    generated
        .filter_map(|(n, c)| value(table, n, &relation.columns, &column_target(&table.name, c)).ok())
        .collect()
}

/// A query that gives the generated columns of a row whose other columns, in their order, are its parameters; `None`
/// where the table has none.
pub fn values_of(table: &Arc<Table>) -> Option<String> {
    if table.columns.iter().all(|c| c.def.generated.is_none()) {
        return None;
    }
    let relation = Relation::with_hidden(table, &table.name, "r");
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

/// The type of an expression over these columns.
///
/// # Errors
/// Those of binding: 1054, 1305, types.
pub(crate) fn type_of(expr: &Expr, table: &str, columns: Vec<RelColumn>) -> Result<FieldType, SqlError> {
    let relation = Relation::derived(table, None, "", columns);
    by_nobody(|mut b| Ok(b.expr(expr, &Scope::of(vec![relation], "functional index"))?.ty))
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
