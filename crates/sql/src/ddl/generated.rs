//! Generated columns in CREATE and ALTER TABLE: what an expression may hold, and what may not change.
//!
//! What they are worth is `bind/generated.rs`.

use std::sync::Arc;

use p2pdb_model::catalog::{Column, HIDDEN_PREFIX, Table, is_hidden, physical_column, same_name};
use p2pdb_model::schema::{CheckDef, ColumnDef, DefaultValue, Generated};
use p2pdb_model::types::SqlType;
use p2pdb_model::{ColumnTag, Stamp, Value};
use sqlparser::ast::Expr;
use sqlparser::tokenizer::Token;

use super::canonical::{self, Unfit};
use super::column::ColumnSpec;
use super::draft::{Draft, Part};
use crate::bind::{RelColumn, Relation, coercibility, generated};
use crate::error::SqlError;
use crate::field::{Field, FieldType};
use crate::plan::ColumnTarget;
use crate::statement::Cursor;

/// `(expression) [VIRTUAL | STORED]`; AS was read.
pub(super) fn read(c: &mut Cursor<'_, '_>, name: &str) -> Result<Generated, SqlError> {
    c.expect_token(&Token::LParen)?;
    let expr = c.expr()?;
    c.expect_token(&Token::RParen)?;
    let disallowed = |of: &str| {
        let message = format!("Expression of generated column '{name}' contains a disallowed function{of}.");
        SqlError::new(if of.is_empty() { 3102 } else { 3763 }, "HY000", message)
    };
    match canonical::unfit(&expr) {
        Some(Unfit::Form("a variable")) => {
            let message =
                format!("Default value expression of column '{name}' cannot refer user or system variables.");
            return Err(SqlError::new(3772, "HY000", message));
        }
        Some(Unfit::Form("an aggregate")) => {
            return Err(SqlError::new(1111, "HY000", "Invalid use of group function"));
        }
        Some(Unfit::Form(_)) => return Err(disallowed("")),
        Some(Unfit::Function(f)) => return Err(disallowed(&format!(": {f}"))),
        None => {}
    }
    let stored = c.eat("stored");
    if !stored {
        c.eat("virtual");
    }
    Ok(Generated { expression: canonical::expression(&expr), stored })
}

/// A generated column has nothing else that gives it a value.
pub(super) fn plain(spec: &ColumnSpec) -> Result<(), SqlError> {
    let def = &spec.def;
    let Some(g) = &def.generated else { return Ok(()) };
    let odd = [
        (def.default.is_some(), "DEFAULT"),
        (def.on_update_now, "ON UPDATE"),
        (def.auto_increment, "AUTO_INCREMENT"),
    ];
    if let Some((_, what)) = odd.iter().find(|o| o.0) {
        let message = format!("Incorrect usage of {what} and generated column");
        return Err(SqlError::new(1221, "HY000", message));
    }
    if spec.primary && !g.stored {
        return Err(not_supported("Defining a virtual generated column as primary key"));
    }
    Ok(())
}

pub(super) fn not_supported(what: &str) -> SqlError {
    SqlError::new(3106, "HY000", format!("'{what}' is not supported for generated columns."))
}

/// MODIFY and CHANGE: a column stays generated, in its way, or stays what statements write.
pub(super) fn stays(was: Option<&Column>, name: &str, def: &ColumnDef) -> Result<(), SqlError> {
    let before = was.and_then(|c| c.def.generated.as_ref()).map(|g| g.stored);
    let after = def.generated.as_ref().map(|g| g.stored);
    match (before, after) {
        _ if was.is_none() || before == after => Ok(()),
        (Some(true), None) | (None, Some(true)) => {
            Err(SqlError::unsupported(format!("MODIFY that makes column '{name}' generated, or not")))
        }
        _ => Err(not_supported("Changing the STORED status")),
    }
}

impl Draft<'_> {
    /// Makes the column that stands for an expression in an index.
    ///
    /// # Errors
    /// 1054, 1111, 3753, 3754, 3756, 3757, 3758, 3762, 3772, 3800.
    pub(super) fn add_hidden(
        &mut self,
        index: &str,
        part: usize,
        expr: &Expr,
        primary: bool,
    ) -> Result<ColumnTag, SqlError> {
        let fail = |code: u16, message: String| Err(SqlError::new(code, "HY000", message));
        let disallowed = || {
            fail(3758, format!("Expression of functional index '{index}' contains a disallowed function."))
        };
        if primary {
            return fail(3756, "The primary key cannot be a functional index".to_owned());
        }
        match expr {
            Expr::Identifier(i) if !i.value.starts_with('@') => {
                let message =
                    "Functional index on a column is not supported. Consider using a regular index instead.";
                return fail(3762, message.to_owned());
            }
            Expr::Tuple(_) => {
                let message =
                    format!("Expression of functional index '{index}' cannot refer to a row value.");
                return fail(3800, message);
            }
            _ => {}
        }
        match canonical::unfit(expr) {
            Some(Unfit::Form("a variable")) => {
                let message = format!(
                    "Default value expression of column '{index}' cannot refer user or system variables."
                );
                return fail(3772, message);
            }
            Some(Unfit::Form("an aggregate")) => {
                return Err(SqlError::new(1111, "HY000", "Invalid use of group function"));
            }
            Some(_) => return disallowed(),
            None => {}
        }
        for name in canonical::columns_of(expr) {
            let Some(column) = self.column(&name).map(|at| &self.columns[at]) else {
                return Err(SqlError::unknown_column(&name, "functional index"));
            };
            if column.def.auto_increment {
                let message = format!("Functional index '{index}' cannot refer to an auto-increment column.");
                return fail(3754, message);
            }
        }
        let ty = match self.type_of(expr) {
            Err(e) if e.code == 1305 => return disallowed(),
            ty => ty?,
        };
        let ty = match ty {
            SqlType::Json => {
                let message =
                    "Cannot create a functional index on a function that returns a JSON or GEOMETRY value.";
                return Err(SqlError::new(3753, "42000", message));
            }
            SqlType::Text { .. } | SqlType::Blob { .. } => {
                let message = "Cannot create a functional index on an expression that returns a BLOB or TEXT. \
                               Please consider using CAST.";
                return fail(3757, message.to_owned());
            }
            ty => ty,
        };
        let expression = canonical::expression(expr);
        let generated = Some(Generated { expression, stored: false });
        let def = ColumnDef { generated, nullable: true, invisible: true, ..ColumnDef::new(ty) };
        let name = (0u32..)
            .map(|n| format!("{HIDDEN_PREFIX}{index}!{part}!{n}"))
            .find(|name| self.columns.iter().all(|c| c.name != *name))
            .unwrap_or_default();
        self.add_column(&name, def, None)?;
        Ok(self.columns.last().map_or(ColumnTag(0), |c| c.id.tag()))
    }

    fn type_of(&self, expr: &Expr) -> Result<SqlType, SqlError> {
        let columns = self.columns.iter().map(|c| readable(&c.name, &c.def)).collect();
        generated::type_of(expr, &self.name, columns).map(|ty| crate::virtuals::type_of_field(&ty))
    }

    /// No generated column names the column.
    ///
    /// # Errors
    /// 3108, 3837.
    pub fn not_generating(&self, name: &str) -> Result<(), SqlError> {
        let names = |c: &&Part<ColumnDef>| {
            let g = c.def.generated.as_ref();
            g.is_some_and(|g| super::check_columns(&g.expression).iter().any(|c| same_name(c, name)))
        };
        let (hidden, seen): (Vec<_>, Vec<_>) =
            self.columns.iter().filter(names).partition(|c| is_hidden(&c.name));
        if !seen.is_empty() {
            let message = format!("Column '{name}' has a generated column dependency.");
            return Err(SqlError::new(3108, "HY000", message));
        }
        if !hidden.is_empty() {
            let message = format!(
                "Column '{name}' has a functional index dependency and cannot be dropped or renamed."
            );
            return Err(SqlError::new(3837, "HY000", message));
        }
        Ok(())
    }

    /// What a column of the draft holds in the rows that are there, as SQL over the table as it was; `None` where that is
    /// not known.
    pub(super) fn present_value(&self, tag: ColumnTag) -> Option<String> {
        self.value_of(tag, false)
    }

    /// The queries that fail where a row that is there has no value for a generated column: for one of a key, if the key is
    /// new or any column changes, and for a STORED one, if it is new or changes itself.
    pub(super) fn without_values(&self, old: &Table) -> Vec<(String, SqlError)> {
        let again = self.recomputed(old);
        let asked = |tag: ColumnTag| {
            let mut keys = self.indexes.iter().filter(|i| i.def.parts.iter().any(|p| p.column == tag));
            keys.any(|i| again || old.indexes.iter().all(|o| o.id != i.id))
        };
        let stored = |c: &Part<ColumnDef>| {
            let was = old.column_by_tag(c.id.tag());
            let same = was.is_some_and(|w| w.def.ty == c.def.ty && w.def.generated == c.def.generated);
            c.def.generated.as_ref().is_some_and(|g| g.stored) && !same
        };
        let is_generated = |c: &&Part<ColumnDef>| c.def.generated.is_some();
        let mut checks = Vec::new();
        for c in self.columns.iter().filter(is_generated).filter(|c| stored(c) || asked(c.id.tag())) {
            let Some(sql) = self.value_of(c.id.tag(), true) else { continue };
            let query = format!(
                "SELECT count({sql}) FROM (SELECT *,row_number() OVER (ORDER BY rowid) AS n FROM {}) \
                 WHERE p_row(n) HAVING count(*)<0",
                old.physical()
            );
            // Fails by itself.
            checks.push((query, SqlError::new(1265, "01000", "Data truncated")));
        }
        checks
    }

    /// Generated columns may have other values than before.
    pub(super) fn recomputed(&self, old: &Table) -> bool {
        self.columns.iter().any(|c| {
            let was = old.column_by_tag(c.id.tag());
            was.is_some_and(|was| was.def.ty != c.def.ty || was.def.generated != c.def.generated)
        })
    }

    /// See [`Draft::present_value`]. `assigned`: with the errors of an assignment.
    fn value_of(&self, tag: ColumnTag, assigned: bool) -> Option<String> {
        let end = self.columns.iter().position(|c| c.id.tag() == tag)?;
        self.present(end + 1, assigned.then_some(tag))?.pop().map(|c| c.sql)
    }

    /// The columns of the draft, of generated ones those before `end`, as SQL over the table as it was. That of `assigned`
    /// fails as an assignment would.
    fn present(&self, end: usize, assigned: Option<ColumnTag>) -> Option<Vec<RelColumn>> {
        let old = self.old?;
        let mut columns: Vec<RelColumn> = Vec::new();
        let is_plain = |c: &&Part<ColumnDef>| c.def.generated.is_none();
        let plain = self.columns.iter().filter(is_plain);
        for c in plain.chain(self.columns[..end].iter().filter(|c| c.def.generated.is_some())) {
            let mut column = readable(&c.name, &c.def);
            let own = c.id.tag();
            let converted = self.converted.iter().rev().find(|(tag, _)| *tag == own);
            column.sql = match (&c.def.generated, converted) {
                (Some(g), _) => {
                    let assigned = assigned == Some(own);
                    let nullable = !assigned || c.def.nullable;
                    let target = ColumnTarget { quiet: !assigned, nullable, ..target(&c.name, &c.def) };
                    let target = Arc::new(target);
                    let sql = generated::bound(&g.expression, &self.name, columns.clone(), &target).ok()?;
                    format!("({})", if assigned { sql } else { crate::functions::by_rules(&sql) })
                }
                (None, Some((_, sql))) => sql.clone(),
                (None, None) if old.column_by_tag(own).is_some() => physical_column(own),
                (None, None) => self.made_value(c).unwrap_or_else(|| "NULL".to_owned()),
            };
            columns.push(column);
        }
        Some(columns)
    }

    /// The query that finds a row that is there and breaks a CHECK; none where the CHECK names a column of which no row
    /// has its value yet. In a temporary table no row may be there then.
    pub(super) fn violating(&self, check: &Part<CheckDef>) -> Result<Option<(String, SqlError)>, SqlError> {
        let is_late = |c: &Part<ColumnDef>| {
            let made = self.old.is_some_and(|old| old.column_by_tag(c.id.tag()).is_none());
            made && c.def.generated.is_none() && self.made_value(c).is_none()
        };
        let late = |name: &String| self.column(name).is_some_and(|at| is_late(&self.columns[at]));
        if super::check_columns(&check.def.expression).iter().any(late) {
            // Of a permanent table the merged rows tell.
            let asked = self.old.filter(|_| self.temporary).map(|old| {
                let what = "a CHECK over a column that the same ALTER TABLE adds to rows of a temporary table with the time of then";
                (format!("SELECT 1 FROM {} LIMIT 1", old.physical()), SqlError::unsupported(what))
            });
            return Ok(asked);
        }
        let (Some(old), Some(columns)) = (self.old, self.present(self.columns.len(), None)) else {
            return Ok(None);
        };
        let relation = Relation::derived(&self.name, None, "", columns);
        let condition = crate::dml::condition_over(relation, &check.def.expression)?;
        let sql = format!("SELECT 1 FROM {} WHERE NOT ({condition}) LIMIT 1", old.physical());
        let message = format!("Check constraint '{}' is violated.", check.name);
        Ok(Some((sql, SqlError::new(3819, "HY000", message))))
    }

    /// What a column that this statement makes holds in the rows that are there, where that is one constant known by now: not the time,
    /// nor a number for each.
    pub(super) fn made_value(&self, c: &Part<ColumnDef>) -> Option<String> {
        let made = self.old?.column_by_tag(c.id.tag()).is_none();
        let late = c.def.auto_increment || matches!(c.def.default, Some(DefaultValue::Now(_)));
        if !made || late || c.def.generated.is_some() {
            return None;
        }
        // A bare number would be the number of a column in GROUP BY.
        Some(match super::unwritten(&c.def, Stamp(0)) {
            Value::Null => "NULL".to_owned(),
            Value::Int(n) => format!("CAST({n} AS INTEGER)"),
            Value::Real(r) => format!("CAST('{:e}' AS REAL)", r),
            Value::Text(t) => format!("'{}'", t.replace('\'', "''")),
            Value::Blob(b) => format!("x'{}'", b.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        })
    }

    /// Every generated column can be computed from the columns that it may name.
    pub(super) fn generated_columns(&self) -> Result<(), SqlError> {
        for (n, c) in self.columns.iter().enumerate() {
            let Some(g) = &c.def.generated else { continue };
            for name in super::check_columns(&g.expression) {
                let Some(at) = self.column(&name) else {
                    return Err(SqlError::unknown_column(&name, "generated column function"));
                };
                if self.columns[at].def.auto_increment {
                    let message =
                        format!("Generated column '{}' cannot refer to auto-increment column.", c.name);
                    return Err(SqlError::new(3109, "HY000", message));
                }
                if at >= n && self.columns[at].def.generated.is_some() {
                    let message = "Generated column can refer only to generated columns defined prior to it.";
                    return Err(SqlError::new(3107, "HY000", message));
                }
            }
            let columns = self.columns.iter().map(|c| readable(&c.name, &c.def)).collect();
            let target = Arc::new(target(&c.name, &c.def));
            generated::bound(&g.expression, &self.name, columns, &target).map_err(|e| match e.code {
                1305 => {
                    let f = e.message.split_whitespace().nth(1).unwrap_or_default().to_owned();
                    let message = format!(
                        "Expression of generated column '{}' contains a disallowed function: `{f}`.",
                        c.name
                    );
                    SqlError::new(3763, "HY000", message)
                }
                _ => e,
            })?;
        }
        Ok(())
    }
}

/// A generated column as its expression is assigned to it.
fn target(name: &str, def: &ColumnDef) -> ColumnTarget {
    ColumnTarget { quiet: true, ..ColumnTarget::plain(name, def.ty.clone()) }
}

/// A column that an expression is tried on.
fn readable(name: &str, def: &ColumnDef) -> RelColumn {
    RelColumn {
        name: name.to_owned(),
        sql: "NULL".to_owned(),
        field: Field { org_name: name.to_owned(), ..Field::expression(name, FieldType::of_column(&def.ty)) },
        tag: None,
        invisible: false,
        coercibility: coercibility::COLUMN,
    }
}
