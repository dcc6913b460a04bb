//! WITH before UPDATE and DELETE.
//!
//! Where the statement names a common table expression, the query behind it is put in its place as a derived table, so
//! that everything else reads the statement as if it had been written that way.

use std::ops::ControlFlow;

use sqlparser::ast::{Ident, ObjectName, Query, TableAlias, TableFactor, VisitMut, VisitorMut, With};
use sqlparser::keywords::Keyword;

use super::{delete, update};
use crate::error::SqlError;
use crate::plan::Plan;
use crate::statement::{Context, Cursor, query_text};

/// `WITH … UPDATE` and `WITH … DELETE`.
///
/// # Errors
/// 1064 before anything else; those of the statement.
pub fn with(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let parsed = parse(c);
    let with = parsed.map_err(|e| c.parser_error(&e))?;
    let common = Common { with, hidden: Vec::new() };
    if c.is("update") {
        update::update_with(c, cx, Some(common))
    } else if c.is("delete") {
        delete::delete_with(c, cx, Some(common))
    } else {
        Err(c.error())
    }
}

fn parse(c: &mut Cursor<'_, '_>) -> Result<With, sqlparser::parser::ParserError> {
    let parser = c.parser();
    let with_token = parser.peek_token().into();
    parser.expect_keyword(Keyword::WITH)?;
    let recursive = parser.parse_keyword(Keyword::RECURSIVE);
    let cte_tables = parser.parse_comma_separated(|p| p.parse_cte())?;
    Ok(With { with_token, recursive, cte_tables })
}

/// The common table expressions of the statement.
pub(super) struct Common {
    with: With,
    /// The names that queries around the place define themselves.
    hidden: Vec<Vec<String>>,
}

fn names(with: Option<&With>) -> Vec<String> {
    let all = with.into_iter().flat_map(|w| &w.cte_tables);
    all.map(|cte| cte.alias.name.value.to_lowercase()).collect()
}

impl Common {
    /// Puts the queries where `node` names them.
    ///
    /// # Errors
    /// None that a statement could cause.
    pub(super) fn put_into<T: VisitMut>(&mut self, node: &mut T) -> Result<(), SqlError> {
        match node.visit(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(e) => Err(e),
        }
    }

    /// This is the name of one of them.
    pub(super) fn names(&self, database: Option<&str>, table: &str) -> bool {
        database.is_none() && names(Some(&self.with)).contains(&table.to_lowercase())
    }

    /// `(WITH … SELECT * FROM name) AS alias`.
    fn derived(&self, name: &Ident, alias: Option<TableAlias>) -> Result<TableFactor, SqlError> {
        let mut query = query_text(&format!("SELECT * FROM {}", crate::schema_text::quote(&name.value)))?;
        query.with = Some(self.with.clone());
        let alias = alias.unwrap_or_else(|| TableAlias {
            explicit: false,
            name: name.clone(),
            columns: Vec::new(),
            at: None,
        });
        Ok(TableFactor::Derived {
            lateral: false,
            subquery: Box::new(query),
            alias: Some(alias),
            sample: None,
        })
    }
}

impl VisitorMut for Common {
    type Break = SqlError;

    fn pre_visit_query(&mut self, q: &mut Query) -> ControlFlow<SqlError> {
        self.hidden.push(names(q.with.as_ref()));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<SqlError> {
        self.hidden.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, t: &mut TableFactor) -> ControlFlow<SqlError> {
        let TableFactor::Table { name: ObjectName(parts), alias, args: None, .. } = t else {
            return ControlFlow::Continue(());
        };
        let [only] = parts.as_slice() else { return ControlFlow::Continue(()) };
        let Some(name) = only.as_ident() else { return ControlFlow::Continue(()) };
        let hidden = self.hidden.iter().flatten().any(|h| *h == name.value.to_lowercase());
        if hidden || !self.names(None, &name.value) {
            return ControlFlow::Continue(());
        }
        match self.derived(name, alias.take()) {
            Ok(derived) => *t = derived,
            Err(e) => return ControlFlow::Break(e),
        }
        ControlFlow::Continue(())
    }
}
