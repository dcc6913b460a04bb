//! What names mean at a place in a query.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::ColumnTag;
use p2pdb_model::catalog::{COLUMN_VERSION, Table, is_hidden, physical_column, same_name};
use sqlparser::ast::{Expr, NamedWindowDefinition, visit_expressions};

use super::{Bound, Free, coercibility};
use crate::error::SqlError;
use crate::execute::sealed;
use crate::field::{Field, FieldType};
use crate::needs::Used;
use crate::types::Class;

/// A column of a relation.
#[derive(Clone, Debug)]
pub struct RelColumn {
    /// Its name.
    pub name: String,
    /// Its SQL.
    pub sql: String,
    /// Its description.
    pub field: Field,
    /// Its tag, when the relation is a base table.
    pub tag: Option<ColumnTag>,
    /// `*` leaves it out.
    pub invisible: bool,
    /// Its coercibility as text.
    pub coercibility: u8,
}

/// A table, view, derived table or table expression in FROM.
#[derive(Clone, Debug, Default)]
pub struct Relation {
    /// What the query calls it.
    pub alias: String,
    /// Its database, for `database.table.column`; `None` for derived tables.
    pub database: Option<String>,
    /// What generated SQL calls it.
    pub sql: String,
    /// Its columns.
    pub columns: Vec<RelColumn>,
    /// The base table.
    pub table: Option<Arc<Table>>,
    /// The columns that stand for expressions of indexes.
    pub hidden: Vec<RelColumn>,
    /// Takes down which of its columns are looked at, where that has to be granted.
    pub used: Option<Used>,
}

impl Relation {
    /// The relation of rows that are no base table's.
    pub fn derived(alias: &str, database: Option<&str>, sql_alias: &str, columns: Vec<RelColumn>) -> Self {
        Relation {
            alias: alias.to_owned(),
            database: database.map(str::to_owned),
            sql: sql_alias.to_owned(),
            columns,
            ..Relation::default()
        }
    }

    /// The relation of a base table.
    pub fn of_table(table: &Arc<Table>, alias: &str, sql_alias: &str) -> Self {
        let mut relation = Relation::with_hidden(table, alias, sql_alias);
        if relation.columns.iter().any(|c| is_hidden(&c.name)) {
            let (hidden, seen) = relation.columns.into_iter().partition(|c| is_hidden(&c.name));
            (relation.hidden, relation.columns) = (hidden, seen);
        }
        relation
    }

    /// The same with hidden columns among the others.
    pub(crate) fn with_hidden(table: &Arc<Table>, alias: &str, sql_alias: &str) -> Self {
        let key = |tag: ColumnTag| {
            let (mut primary, mut unique, mut multiple) = (false, false, false);
            for i in &table.indexes {
                match i.def.parts.iter().position(|p| p.column == tag) {
                    Some(_) if i.name == "PRIMARY" => primary = true,
                    Some(0) if i.def.unique && i.def.parts.len() == 1 => unique = true,
                    Some(0) => multiple = true,
                    _ => {}
                }
            }
            (primary, unique, multiple)
        };
        let columns = table
            .columns
            .iter()
            .map(|c| {
                let (primary_key, unique_key, multiple_key) = key(c.tag);
                RelColumn {
                    name: c.name.clone(),
                    sql: format!("{sql_alias}.{}", physical_column(c.tag)),
                    field: Field {
                        name: c.name.clone(),
                        org_name: c.name.clone(),
                        table: alias.to_owned(),
                        org_table: table.name.clone(),
                        database: table.database.clone(),
                        ty: FieldType::of_column(&c.def.ty),
                        not_null: !c.def.nullable,
                        primary_key,
                        unique_key,
                        multiple_key,
                        auto_increment: c.def.auto_increment,
                    },
                    tag: Some(c.tag),
                    invisible: c.def.invisible,
                    coercibility: coercibility::COLUMN,
                }
            })
            .collect();
        let mut relation = Relation {
            alias: alias.to_owned(),
            database: Some(table.database.clone()),
            sql: sql_alias.to_owned(),
            columns,
            table: Some(table.clone()),
            hidden: Vec::new(),
            used: None,
        };
        super::generated::fill_in(&mut relation);
        relation
    }

    /// The same for statements: what they read of sealed columns is opened.
    #[must_use]
    pub fn opened(mut self) -> Self {
        let Some(table) = &self.table else { return self };
        for column in table.columns.iter().filter(|c| c.is_sealed()) {
            if let Some(c) = self.columns.iter_mut().find(|c| c.tag == Some(column.tag)) {
                c.sql = sealed::opened(&c.sql, table.id, column.tag);
                // What cannot be opened is NULL.
                c.field.not_null = false;
            }
        }
        self
    }

    /// The SQL of the hidden version column.
    pub fn version(&self) -> String {
        format!("{}.{COLUMN_VERSION}", self.sql)
    }
}

/// GROUP BY, as far as the columns outside of aggregates must obey it.
#[derive(Debug, Default)]
pub struct Group {
    /// SQL of the grouping expressions.
    pub expressions: Vec<String>,
    /// SQL of the columns that they determine.
    pub determined: HashSet<String>,
    /// WITH ROLLUP: the grouping expressions from this one on are NULL.
    pub rolled: Option<usize>,
}

/// Whether names of the select list are in sight, and before or after columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aliases {
    /// Not in sight.
    No,
    /// A name of the select list wins.
    First,
    /// A column wins.
    Last,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Tells the scopes of a statement apart.
    pub id: usize,
    /// Relations in FROM.
    pub relations: Vec<Rc<Relation>>,
    /// Columns that `USING` or `NATURAL` hid behind another: (relation, column).
    pub merged: HashSet<(usize, usize)>,
    /// Columns that `*` gives first: those named by USING.
    pub first: Vec<(usize, usize)>,
    /// The query around.
    pub outer: Option<Rc<Scope>>,
    /// Names of the select list.
    pub names: Rc<Vec<(String, Bound)>>,
    /// How they are used.
    pub aliases: Aliases,
    /// The clause, for messages (`where clause`).
    pub clause: &'static str,
    /// HAVING sees no other columns of its own query outside of aggregates: the SQL of those that are selected or grouped by.
    pub having: Option<Rc<HashSet<String>>>,
    /// Aggregates are allowed.
    pub aggregates: bool,
    /// GROUP BY or implicit grouping.
    pub group: Option<Rc<Group>>,
    /// Windows by name.
    pub windows: Rc<Vec<NamedWindowDefinition>>,
}

impl Scope {
    /// A scope without anything in it.
    pub fn empty(id: usize) -> Self {
        Scope {
            id,
            relations: Vec::new(),
            merged: HashSet::new(),
            first: Vec::new(),
            outer: None,
            names: Rc::default(),
            aliases: Aliases::No,
            clause: "field list",
            having: None,
            aggregates: false,
            group: None,
            windows: Rc::default(),
        }
    }

    /// The scope of these relations, for `clause` (`where clause`, `field list`, …).
    pub fn of(relations: Vec<Relation>, clause: &'static str) -> Rc<Self> {
        let relations = relations.into_iter().map(Rc::new).collect();
        Rc::new(Scope { relations, clause, ..Scope::empty(0) })
    }

    /// The same scope for another clause.
    pub fn in_clause(&self, clause: &'static str) -> Rc<Self> {
        Rc::new(Scope { clause, ..self.clone() })
    }

    /// The columns that `*` gives, in order.
    pub fn star(&self) -> Vec<(usize, usize)> {
        let mut all = self.first.clone();
        for (r, rel) in self.relations.iter().enumerate() {
            for (c, column) in rel.columns.iter().enumerate() {
                if !column.invisible && !self.merged.contains(&(r, c)) && !all.contains(&(r, c)) {
                    all.push((r, c));
                }
            }
        }
        all
    }

    /// The hidden column that holds this expression of the columns of one table, for an index to serve it.
    pub fn hidden(&self, e: &Expr) -> Option<Bound> {
        let mut with_hidden = self.relations.iter().enumerate().filter(|(_, rel)| !rel.hidden.is_empty());
        let (r, rel) = with_hidden.next()?;
        // Literals are not part of what a plan is kept for.
        let literal = visit_expressions(e, |e| match e {
            Expr::Value(_) | Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        });
        if literal.is_break() || with_hidden.next().is_some() || self.relations.len() > 1 {
            return None;
        }
        let table = rel.table.as_ref()?;
        let text = crate::ddl::canonical_text(e);
        let column = rel.hidden.iter().find(|h| {
            let def = h.tag.and_then(|tag| table.column_by_tag(tag)).map(|c| &c.def);
            def.and_then(|d| d.generated.as_ref()).is_some_and(|g| g.expression == text)
        })?;
        Some(self.bound_column(r, column))
    }

    /// The column of a relation as an expression.
    pub fn column(&self, r: usize, c: usize) -> Bound {
        self.bound_column(r, &self.relations[r].columns[c])
    }

    fn bound_column(&self, r: usize, column: &RelColumn) -> Bound {
        let rel = &self.relations[r];
        if let (Some(used), Some(tag)) = (&rel.used, column.tag) {
            used.borrow_mut().insert(tag);
        }
        let ty = column.field.ty.clone();
        let has_collation = ty.class().is_text() || matches!(ty.class(), Class::Bytes | Class::Json);
        let mut b = Bound::new(column.sql.clone(), ty);
        b.not_null = column.field.not_null;
        b.coercibility = if has_collation { column.coercibility } else { coercibility::NUMERIC };
        b.field = Some(Box::new(column.field.clone()));
        let determined = self.group.as_ref().is_some_and(|g| g.determined.contains(&column.sql));
        if !determined {
            let database = rel.database.as_deref().map(|d| format!("{d}.")).unwrap_or_default();
            let name = format!("{database}{}.{}", rel.alias, column.name);
            b.free.push(Free { scope: self.id, sql: column.sql.clone(), name });
        }
        b
    }

    fn matches(&self, qualifier: &[&str], name: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (r, rel) in self.relations.iter().enumerate() {
            let fits = match qualifier {
                [] => true,
                [t] => {
                    rel.alias == *t
                        || (rel.database.is_none() && same_name(&rel.alias, t))
                        || virtual_name(rel, t)
                }
                [d, t] => {
                    rel.database
                        .as_deref()
                        .is_some_and(|x| x == *d || virtual_name(rel, t) && same_name(x, d))
                        && (rel.alias == *t || virtual_name(rel, t))
                }
                _ => false,
            };
            if !fits {
                continue;
            }
            for (c, column) in rel.columns.iter().enumerate() {
                let hidden = qualifier.is_empty() && self.merged.contains(&(r, c));
                if same_name(&column.name, name) && !hidden {
                    found.push((r, c));
                }
            }
        }
        found
    }

    fn by_alias(&self, name: &str) -> Option<&Bound> {
        self.names.iter().find(|(n, _)| same_name(n, name)).map(|(_, b)| b)
    }

    /// The expression that a name stands for.
    ///
    /// # Errors
    /// 1052, 1054.
    pub fn resolve(&self, parts: &[&str]) -> Result<Bound, SqlError> {
        let Some((name, qualifier)) = parts.split_last() else {
            return Err(SqlError::unknown_column("", self.clause));
        };
        let mut scope = Some(self);
        while let Some(s) = scope {
            if qualifier.is_empty()
                && s.aliases == Aliases::First
                && let Some(b) = s.by_alias(name)
            {
                return Ok(b.clone());
            }
            match s.matches(qualifier, name).as_slice() {
                [] => {}
                [(r, c)] => {
                    let column = s.column(*r, *c);
                    let seen = |all: &HashSet<String>| column.as_sql().is_some_and(|sql| all.contains(sql));
                    if !std::ptr::eq(s, self) || s.having.as_deref().is_none_or(seen) {
                        return Ok(column);
                    }
                }
                _ => {
                    let message = format!("Column '{}' in {} is ambiguous", parts.join("."), self.clause);
                    return Err(SqlError::new(1052, "23000", message));
                }
            }
            if qualifier.is_empty()
                && s.aliases == Aliases::Last
                && let Some(b) = s.by_alias(name)
            {
                return Ok(b.clone());
            }
            scope = s.outer.as_deref();
        }
        Err(SqlError::unknown_column(parts.join("."), self.clause))
    }

    /// The relation of this name, for `t.*`.
    pub fn relation(&self, qualifier: &[&str]) -> Option<usize> {
        self.relations.iter().position(|rel| match qualifier {
            [t] => rel.alias == *t || virtual_name(rel, t),
            [d, t] => rel.database.as_deref() == Some(*d) && rel.alias == *t,
            _ => false,
        })
    }
}

/// Names of virtual tables ignore case.
fn virtual_name(rel: &Relation, name: &str) -> bool {
    rel.table.is_none() && same_name(&rel.alias, name)
}
