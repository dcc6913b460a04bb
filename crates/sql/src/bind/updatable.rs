//! Views that can be written through: a SELECT of columns of one table, or of one such view, whose rows are rows of that
//! table (MySQL 8.0 manual, "Updatable and Insertable Views").
//!
//! Such a view is merged into the statement: it becomes the table's own relation with the view's columns, and a condition.
//! Not here: views that join tables. UPDATE through them is `dml/joined.rs`, INSERT is 1235.

use std::ops::ControlFlow;
use std::sync::Arc;

use p2pdb_model::catalog::{Table, View, same_name};
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, TableFactor, Visit, Visitor,
    visit_relations,
};
use sqlparser::parser::Parser;

use super::{Binder, Bound, RelColumn, Relation, Repr, Scope, coercibility};
use crate::error::SqlError;
use crate::front::{dialect, tokens};
use crate::session::SqlMode;

/// A view as a table to write to.
#[derive(Debug)]
pub(crate) struct Writable {
    /// The base table.
    pub(crate) table: Arc<Table>,
    /// The table under the view's columns. Those that are no columns of the table have no tag.
    pub(crate) relation: Relation,
    /// What rows of the table are in the view, as SQL.
    pub(crate) condition: Option<String>,
    /// What CHECK OPTION asks of a row that is written.
    pub(crate) check: Option<String>,
    /// Every column is one of the table, and none is there twice.
    pub(crate) insertable: bool,
}

/// Both conditions.
fn both(a: Option<String>, b: Option<String>) -> Option<String> {
    match (a, b) {
        (Some(a), Some(b)) => Some(format!("({a}) AND ({b})")),
        (a, b) => a.or(b),
    }
}

/// Something that makes one row of several, or looks at others: aggregates, window functions.
fn gathers(e: &Expr) -> bool {
    /// How deep in subqueries, whose own aggregates do not count.
    struct Search(usize);
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
        fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 -= 1;
            ControlFlow::Continue(())
        }
        fn pre_visit_expr(&mut self, e: &Expr) -> ControlFlow<()> {
            match e {
                Expr::Function(f) if self.0 == 0 => {
                    let name = f.name.to_string().to_uppercase();
                    match f.over.is_some() || super::aggregate::is_aggregate(&name) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    e.visit(&mut Search(0)).is_break()
}

/// The expressions of a SELECT each of whose rows is one of its tables' rows: nothing groups them, cuts them off or looks at others.
/// `None` for another one, and for `*`, which no stored view has.
pub(crate) fn rows_of_tables<'a>(query: &Query, select: &'a Select) -> Option<Vec<&'a Expr>> {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(e, m) if e.is_empty() && m.is_empty());
    let distinct = matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_)));
    if query.with.is_some() || query.limit_clause.is_some() || grouped || distinct || select.having.is_some()
    {
        return None;
    }
    let expression = |item: &'a SelectItem| match item {
        SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => Some(e),
        _ => None,
    };
    let expressions: Vec<&Expr> = select.projection.iter().map(expression).collect::<Option<_>>()?;
    (!expressions.iter().any(|e| gathers(e))).then_some(expressions)
}

/// Reads other rows.
fn has_subquery<V: Visit>(e: &V) -> bool {
    struct Search;
    impl Visitor for Search {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    e.visit(&mut Search).is_break()
}

impl Binder<'_> {
    /// Runs `f` on the query of a view, in the view's own database and sql_mode.
    ///
    /// # Errors
    /// 1356 when it does not bind any more, 1462.
    pub(super) fn in_view<T>(
        &mut self,
        view: &View,
        f: impl FnOnce(&mut Self, &Query) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        let invalid = || {
            SqlError::new(
                1356,
                "HY000",
                format!(
                    "View '{}.{}' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack \
                     rights to use them",
                    view.database, view.name
                ),
            )
        };
        self.enter_view(view)?;
        let tokens = tokens::tokenize(&view.def.select, SqlMode(0), false)?;
        let mut parser = Parser::new(&dialect::P2pdbDialect).with_tokens_with_locations(tokens.tokens);
        let query = parser.parse_query().map_err(|_| invalid())?;
        let text = self.text.take();
        let ctes = std::mem::take(&mut self.ctes);
        let database = self.default_database.replace(view.database.clone());
        let needs = self.needs;
        self.needs = needs.filter(|_| view.def.invoker);
        let result = f(self, &query);
        self.needs = needs;
        self.text = text;
        self.ctes = ctes;
        self.default_database = database;
        self.views -= 1;
        result.map_err(|e| if matches!(e.code, 1054 | 1146 | 1049 | 1305) { invalid() } else { e })
    }

    /// The view as a table to write to, under these names; `None` where it cannot be one.
    ///
    /// # Errors
    /// 1235 for a view that joins tables, 1356.
    pub(crate) fn writable(
        &mut self,
        view: &View,
        alias: &str,
        sql_alias: &str,
    ) -> Result<Option<Writable>, SqlError> {
        self.writable_under(view, alias, sql_alias, false)
    }

    /// `cascaded`: a view above has WITH CASCADED CHECK OPTION.
    fn writable_under(
        &mut self,
        view: &View,
        alias: &str,
        sql_alias: &str,
        cascaded: bool,
    ) -> Result<Option<Writable>, SqlError> {
        self.in_view(view, |b, query| b.merged(view, query, alias, sql_alias, cascaded))
    }

    fn merged(
        &mut self,
        view: &View,
        query: &Query,
        alias: &str,
        sql_alias: &str,
        cascaded: bool,
    ) -> Result<Option<Writable>, SqlError> {
        let SetExpr::Select(select) = query.body.as_ref() else { return Ok(None) };
        let Some(expressions) = rows_of_tables(query, select) else { return Ok(None) };
        let [from] = select.from.as_slice() else {
            return if select.from.is_empty() { Ok(None) } else { Err(joins(view)) };
        };
        if !from.joins.is_empty() {
            return Err(joins(view));
        }
        let TableFactor::Table { name, alias: inner, .. } = &from.relation else { return Ok(None) };
        let (database, table) = self.split_name(name)?;
        let inner = inner.as_ref().map_or_else(|| table.clone(), |a| a.name.value.clone());
        let own_check = view.def.check_option.as_str();
        let cascades = cascaded || own_check == "CASCADED";
        let under = match self.view(&database, &table) {
            Some(v) => match self.writable_under(&v, &inner, sql_alias, cascades)? {
                Some(under) => under,
                None => return Ok(None),
            },
            None => {
                let Some(found) =
                    self.catalog.database(&database).and_then(|d| d.permanent_table(&table)).cloned()
                else {
                    return Ok(None);
                };
                self.read_table(found.id);
                let relation = Relation::of_table(&found, &inner, sql_alias).opened();
                Writable { table: found, relation, condition: None, check: None, insertable: true }
            }
        };
        // A subquery that reads the table would see it change.
        if let Some(e) = &select.selection {
            let again = visit_relations(e, |r| {
                let same = self.split_name(r).is_ok_and(|(d, t)| {
                    (d == under.table.database && t == under.table.name) || (d == database && t == table)
                });
                if same { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if again.is_break() {
                return Ok(None);
            }
        }
        let scope = Scope::of(vec![under.relation], "field list");
        let condition = match &select.selection {
            Some(e) => Some(self.condition(e, &scope.in_clause("where clause"))?),
            None => None,
        };
        let mut columns: Vec<RelColumn> = Vec::new();
        let mut insertable = under.insertable;
        for (n, (e, item)) in expressions.iter().zip(&select.projection).enumerate() {
            let name = match (view.def.columns.get(n), item) {
                (Some(name), _) => name.clone(),
                (None, SelectItem::ExprWithAlias { alias, .. }) => alias.value.clone(),
                (None, _) => match e {
                    Expr::Identifier(i) => i.value.clone(),
                    Expr::CompoundIdentifier(path) => {
                        path.last().map_or_else(String::new, |i| i.value.clone())
                    }
                    e => e.to_string(),
                },
            };
            let bound = self.expr(e, &scope)?;
            let tag = column_of(&scope.relations[0], e, &bound);
            insertable &= tag.is_some() && !columns.iter().any(|c| c.tag == tag) && !has_subquery(*e);
            let field = crate::field::Field {
                name: name.clone(),
                table: alias.to_owned(),
                ..super::query::expression_field(&name, &bound)
            };
            columns.push(RelColumn {
                name,
                sql: self.sql(&bound),
                field,
                tag,
                invisible: false,
                coercibility: coercibility::COLUMN,
            });
        }
        let relation = Relation {
            alias: alias.to_owned(),
            database: Some(view.database.clone()),
            sql: sql_alias.to_owned(),
            columns,
            table: Some(under.table.clone()),
            ..Relation::default()
        };
        let asks = cascades || own_check == "LOCAL";
        let check = both(under.check, condition.clone().filter(|_| asks));
        let condition = both(under.condition, condition);
        Ok(Some(Writable { table: under.table, relation, condition, check, insertable }))
    }
}

/// Which column of the table this plainly is.
fn column_of(relation: &Relation, e: &Expr, bound: &Bound) -> Option<p2pdb_model::ColumnTag> {
    let name = match e {
        Expr::Identifier(i) => &i.value,
        Expr::CompoundIdentifier(path) => &path.last()?.value,
        _ => return None,
    };
    matches!(bound.repr, Repr::Sql(_)).then_some(())?;
    relation.columns.iter().find(|c| same_name(&c.name, name)).and_then(|c| c.tag)
}

fn joins(view: &View) -> SqlError {
    SqlError::unsupported(format!("writing through a view that joins tables: {}", view.name))
}
