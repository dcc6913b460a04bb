//! What ON DUPLICATE KEY UPDATE takes from the SELECT whose rows are inserted: columns of its tables, besides those of
//! the row that is there and of the row that is new (MySQL 8.0 Reference Manual, INSERT ... ON DUPLICATE KEY UPDATE).
//!
//! They are added to the select list, and each row brings their values as parameters. Of a UNION, and of a query that is
//! grouped, there are none. Subqueries in the assignments see none of them.

use std::ops::ControlFlow;

use p2pdb_model::catalog::{Table, same_name};
use sqlparser::ast::{Expr, GroupByExpr, Ident, Query, Select, SelectItem, SetExpr, VisitMut, VisitorMut};

use super::insert::{VALUES_ALIAS, values_calls};
use super::{Assignment, Given};
use crate::bind::statement;
use crate::bind::{Binder, RelColumn, Relation, coercibility};
use crate::error::SqlError;
use crate::field::Field;
use crate::statement::Context;

/// What these columns are columns of; no name of MySQL begins like this.
const SOURCE_ALIAS: &str = "\u{1}source";

/// Names that were added to the select list.
#[derive(Default)]
pub(super) struct Sources {
    names: Vec<Expr>,
    columns: Vec<Field>,
}

impl Sources {
    /// Looks for columns of the query's tables in the assignments, and adds them to its select list. `own`: the table
    /// that is written, and what the statement calls it.
    ///
    /// # Errors
    /// 1052 for a name that both have.
    pub(super) fn take(
        cx: &Context<'_>,
        query: &mut Query,
        own: (&Table, &str),
        assignments: &mut [Assignment],
    ) -> Result<Self, SqlError> {
        let mut sources = Sources::default();
        let Some(select) = plain(query) else { return Ok(sources) };
        let probe =
            Probe { cx, query: Query { order_by: None, limit_clause: None, ..query.clone() }, select };
        for a in assignments {
            if let Given::Expr(e) = &mut a.value {
                values_calls(e);
                let mut visit = Names { probe: &probe, own, sources: &mut sources, depth: 0 };
                if let ControlFlow::Break(error) = VisitMut::visit(e, &mut visit) {
                    return Err(error);
                }
            }
        }
        let mut body = query.body.as_mut();
        while let SetExpr::Query(inner) = body {
            body = inner.body.as_mut();
        }
        if let SetExpr::Select(select) = body {
            select.projection.extend(sources.names.iter().cloned().map(SelectItem::UnnamedExpr));
        }
        Ok(sources)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// What they are, as the query was bound.
    pub(super) fn bound(&mut self, columns: &[Field]) {
        self.columns = columns.to_vec();
    }

    /// They as a relation; the first of them is parameter `first`.
    pub(super) fn relation(&self, first: usize) -> Relation {
        let column = |(n, f): (usize, &Field)| RelColumn {
            name: source_name(n),
            sql: format!("?{}", first + n),
            field: f.clone(),
            tag: None,
            invisible: false,
            coercibility: coercibility::COLUMN,
        };
        Relation::derived(SOURCE_ALIAS, None, "", self.columns.iter().enumerate().map(column).collect())
    }
}

fn source_name(n: usize) -> String {
    format!("{SOURCE_ALIAS}{n}")
}

/// The SELECT whose tables' columns can be named.
fn plain(query: &Query) -> Option<Select> {
    let mut body = query.body.as_ref();
    while let SetExpr::Query(inner) = body {
        if inner.with.is_some() || inner.order_by.is_some() || inner.limit_clause.is_some() {
            return None;
        }
        body = inner.body.as_ref();
    }
    let SetExpr::Select(select) = body else { return None };
    let grouped = match &select.group_by {
        GroupByExpr::Expressions(all, _) => !all.is_empty(),
        GroupByExpr::All(_) => true,
    };
    (!grouped && select.having.is_none() && !select.from.is_empty()).then(|| (**select).clone())
}

/// Asks whether the query's tables have a column.
struct Probe<'a> {
    cx: &'a Context<'a>,
    query: Query,
    select: Select,
}

impl Probe<'_> {
    fn has(&self, name: &Expr) -> bool {
        let projection = vec![SelectItem::UnnamedExpr(name.clone())];
        let select = Select { projection, selection: None, distinct: None, ..self.select.clone() };
        let query = Query { body: Box::new(SetExpr::Select(Box::new(select))), ..self.query.clone() };
        let cx = self.cx;
        let found = statement::bound(&query, || Binder::new(cx.catalog, cx.session, cx.source));
        found.is_ok_and(|(bound, _)| bound.columns.iter().all(|f| !f.table.is_empty()))
    }
}

struct Names<'a> {
    probe: &'a Probe<'a>,
    own: (&'a Table, &'a str),
    sources: &'a mut Sources,
    /// Of subqueries.
    depth: u32,
}

impl Names<'_> {
    /// Does the query have this column, and not the table that is written?
    fn is_source(&self, e: &Expr) -> Result<bool, SqlError> {
        let (table, alias) = self.own;
        Ok(match e {
            Expr::Identifier(i) if i.quote_style.is_none() && i.value.starts_with('@') => false,
            Expr::Identifier(i) => {
                let found = self.probe.has(e);
                if found && table.column(&i.value).is_some() {
                    let message = format!("Column '{}' in field list is ambiguous", i.value);
                    return Err(SqlError::new(1052, "23000", message));
                }
                found
            }
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [.., qualifier, _] => {
                    !same_name(&qualifier.value, alias)
                        && qualifier.value != VALUES_ALIAS
                        && self.probe.has(e)
                }
                _ => false,
            },
            _ => false,
        })
    }
}

impl VisitorMut for Names<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, e: &mut Expr) -> ControlFlow<SqlError> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match self.is_source(e) {
            Err(error) => return ControlFlow::Break(error),
            Ok(false) => return ControlFlow::Continue(()),
            Ok(true) => {}
        }
        let at = self.sources.names.iter().position(|n| n == e).unwrap_or_else(|| {
            self.sources.names.push(e.clone());
            self.sources.names.len() - 1
        });
        *e = Expr::CompoundIdentifier(vec![Ident::new(SOURCE_ALIAS), Ident::new(source_name(at))]);
        ControlFlow::Continue(())
    }
}
