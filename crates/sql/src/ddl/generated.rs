//! Generated columns in CREATE and ALTER TABLE: what an expression may hold, and what may not change.
//!
//! What they are worth is `bind/generated.rs`.

use std::sync::Arc;

use p2pdb_model::catalog::{Column, same_name};
use p2pdb_model::schema::{ColumnDef, Generated};
use sqlparser::tokenizer::Token;

use super::canonical::{self, Unfit};
use super::column::ColumnSpec;
use super::draft::Draft;
use crate::bind::{RelColumn, coercibility, generated};
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

fn not_supported(what: &str) -> SqlError {
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
    /// No generated column names the column.
    ///
    /// # Errors
    /// 3108.
    pub fn not_generating(&self, name: &str) -> Result<(), SqlError> {
        for g in self.columns.iter().filter_map(|c| c.def.generated.as_ref()) {
            if super::check_columns(&g.expression).iter().any(|c| same_name(c, name)) {
                let message = format!("Column '{name}' has a generated column dependency.");
                return Err(SqlError::new(3108, "HY000", message));
            }
        }
        Ok(())
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
            let target =
                Arc::new(ColumnTarget { quiet: true, ..ColumnTarget::plain(&c.name, c.def.ty.clone()) });
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
