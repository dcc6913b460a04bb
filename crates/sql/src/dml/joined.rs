//! UPDATE through a view that joins tables: it is made an UPDATE of the view's tables, of which it may change one
//! (MySQL 8.0 Reference Manual, "Updatable and Insertable Views").
//!
//! The view's columns are replaced by what the view says of them. So the account needs to be granted what it reads of
//! the tables, too. Not here: INSERT (1235) and DELETE (1395) through such views, and CHECK OPTION on them (1235).

use std::ops::ControlFlow;

use p2pdb_model::catalog::{View, same_name};
use sqlparser::ast::{
    Expr, JoinOperator, Query, SelectItem, SetExpr, TableFactor, TableWithJoins, VisitMut, VisitorMut,
};
use sqlparser::parser::Parser;

use super::{Assignment, Given, column_not_updatable, not_updatable};
use crate::bind::updatable::rows_of_tables;
use crate::error::SqlError;
use crate::front::{dialect, tokens};
use crate::session::SqlMode;
use crate::statement::Context;

/// See the module.
pub(super) struct Joined {
    /// Its tables.
    pub(super) from: Vec<TableWithJoins>,
    /// Its condition.
    selection: Option<Expr>,
    columns: Vec<(String, Expr)>,
    /// `database.view`.
    pub(super) name: String,
    alias: String,
}

/// The view of this name, if it joins tables.
///
/// # Errors
/// 1288 for a view that cannot be updated, 1235 for one WITH CHECK OPTION.
pub(super) fn find(
    cx: &Context<'_>,
    (db, name): (Option<&str>, &str),
    alias: &str,
    verb: &str,
) -> Result<Option<Joined>, SqlError> {
    let db = cx.database(db.map(str::to_owned))?;
    let Some(view) = cx.catalog.database(&db).and_then(|d| d.view(name)) else { return Ok(None) };
    let tokens = tokens::tokenize(&view.def.select, SqlMode(0), false)?;
    let mut parser = Parser::new(&dialect::P2pdbDialect).with_tokens_with_locations(tokens.tokens);
    let Ok(query) = parser.parse_query() else { return Ok(None) };
    let SetExpr::Select(select) = query.body.as_ref() else { return Ok(None) };
    if select.from.len() < 2 && select.from.iter().all(|t| t.joins.is_empty()) {
        return Ok(None);
    }
    let plain_table = |t: &TableFactor| matches!(t, TableFactor::Table { .. });
    let inner = |t: &TableWithJoins| {
        let joined = |o: &JoinOperator| {
            matches!(
                o,
                JoinOperator::Join(_)
                    | JoinOperator::Inner(_)
                    | JoinOperator::CrossJoin(_)
                    | JoinOperator::StraightJoin(_)
            )
        };
        plain_table(&t.relation)
            && t.joins.iter().all(|j| plain_table(&j.relation) && joined(&j.join_operator))
    };
    let expressions = rows_of_tables(&query, select).filter(|_| select.from.iter().all(inner));
    let Some(expressions) = expressions else { return Err(not_updatable(name, verb)) };
    let columns = columns(view, &select.projection, &expressions);
    if matches!(view.def.check_option.as_str(), "LOCAL" | "CASCADED") {
        let what = format!("writing through a view WITH CHECK OPTION that joins tables: {name}");
        return Err(SqlError::unsupported(what));
    }
    cx.source.needs.reads_view(view);
    Ok(Some(Joined {
        from: select.from.clone(),
        selection: select.selection.clone(),
        columns,
        name: format!("{}.{}", view.database, view.name),
        alias: alias.to_owned(),
    }))
}

/// The names of the view's columns, and what they are.
fn columns(view: &View, projection: &[SelectItem], expressions: &[&Expr]) -> Vec<(String, Expr)> {
    let named = |(n, (item, e)): (usize, (&SelectItem, &&Expr))| {
        let own = match item {
            SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
            _ => None,
        };
        let last = || match e {
            Expr::Identifier(i) => i.value.clone(),
            Expr::CompoundIdentifier(path) => path.last().map_or_else(String::new, |i| i.value.clone()),
            e => e.to_string(),
        };
        (view.def.columns.get(n).cloned().or(own).unwrap_or_else(last), Expr::clone(e))
    };
    projection.iter().zip(expressions).enumerate().map(named).collect()
}

impl Joined {
    /// The assignments and the condition, of the view's tables.
    ///
    /// # Errors
    /// 1054; 1348 for a column that is none of a table.
    pub(super) fn rewrite(
        &self,
        all: &mut [Assignment],
        selection: Option<Expr>,
    ) -> Result<Option<Expr>, SqlError> {
        for a in all {
            let unknown = || SqlError::unknown_column(a.name.join("."), "field list");
            let (name, qualifier) = a.name.split_last().ok_or_else(unknown)?;
            if qualifier.last().is_some_and(|q| !same_name(q, &self.alias)) {
                return Err(unknown());
            }
            let (_, e) = self.column(name).ok_or_else(unknown)?;
            a.name = match e {
                Expr::Identifier(i) => vec![i.value.clone()],
                Expr::CompoundIdentifier(path) => path.iter().map(|i| i.value.clone()).collect(),
                _ => return Err(column_not_updatable(name)),
            };
            if let Given::Expr(e) = &mut a.value {
                self.replace(e, "field list")?;
            }
        }
        let Some(mut own) = selection else { return Ok(self.selection.clone()) };
        self.replace(&mut own, "where clause")?;
        Ok(Some(match &self.selection {
            None => own,
            Some(of_view) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(of_view.clone()))),
                op: sqlparser::ast::BinaryOperator::And,
                right: Box::new(Expr::Nested(Box::new(own))),
            },
        }))
    }

    fn column(&self, name: &str) -> Option<&(String, Expr)> {
        self.columns.iter().find(|(n, _)| same_name(n, name))
    }

    /// Puts what the view says into the place of its columns.
    fn replace(&self, e: &mut Expr, clause: &'static str) -> Result<(), SqlError> {
        match VisitMut::visit(e, &mut Names { view: self, clause }) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }
}

struct Names<'a> {
    view: &'a Joined,
    clause: &'static str,
}

impl VisitorMut for Names<'_> {
    type Break = SqlError;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        // It might name the view's columns, and columns of its tables by accident.
        ControlFlow::Break(SqlError::unsupported("a subquery in an UPDATE through a view that joins tables"))
    }

    // Behind its parts: what is put in is not looked at again.
    fn post_visit_expr(&mut self, e: &mut Expr) -> ControlFlow<SqlError> {
        let path: Vec<&str> = match e {
            Expr::Identifier(i) if i.quote_style.is_none() && i.value.starts_with('@') => {
                return ControlFlow::Continue(());
            }
            Expr::Identifier(i) => vec![&i.value],
            Expr::CompoundIdentifier(path) => path.iter().map(|i| i.value.as_str()).collect(),
            _ => return ControlFlow::Continue(()),
        };
        let own = match path.as_slice() {
            [name] => self.view.column(name),
            [.., alias, name] if same_name(alias, &self.view.alias) => self.view.column(name),
            _ => None,
        };
        match own {
            Some((_, is)) => {
                *e = Expr::Nested(Box::new(is.clone()));
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(SqlError::unknown_column(path.join("."), self.clause)),
        }
    }
}
