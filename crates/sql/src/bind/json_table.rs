//! JSON_TABLE in FROM: its columns become a description that [`crate::functions::json::table`] makes rows by.
//!
//! The document may name what stands to its left, like a LATERAL table: the rows come as one value, which json_each
//! takes apart. Paths and defaults are literals by grammar and part of the plan.

use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::Value;
use p2pdb_model::catalog::same_name;
use p2pdb_model::types::SqlType;
use sqlparser::ast::{
    DataType, Expr, JsonTableColumn, JsonTableColumnErrorHandling, JsonTableNamedColumn, TableAlias,
    ValueWithSpan,
};

use super::{Binder, Bound, RelColumn, Relation, Scope, coercibility};
use crate::error::SqlError;
use crate::field::{Field, FieldType};
use crate::functions::json::table::{Columns, Otherwise, Shows};
use crate::functions::json::{check_path, normalise};
use crate::plan::ColumnTarget;
use crate::types::Class;

/// The display length of FOR ORDINALITY.
const ORDINALITY_CHARS: u32 = 10;

/// The display length of an integer that JSON_VALUE returns.
const INTEGER_CHARS: u32 = 21;

impl Binder<'_> {
    pub(super) fn json_table(
        &mut self,
        document: &Expr,
        path: &ValueWithSpan,
        columns: &[JsonTableColumn],
        alias: Option<&TableAlias>,
        s: &mut Scope,
    ) -> Result<String, SqlError> {
        let Some(alias) = alias else {
            return Err(SqlError::new(3667, "42000", "Every table function must have an alias"));
        };
        if !alias.columns.is_empty() {
            return Err(SqlError::syntax("(", 1));
        }
        let outer = self.left.clone().map(Rc::new).or_else(|| s.outer.clone());
        let around = Scope { outer, clause: "a table function argument", ..Scope::empty(s.id) };
        let bound = self.expr(document, &Rc::new(around))?;
        if bound.class() != Class::Bytes && !matches!(bound.class(), Class::Text | Class::Json | Class::Null)
        {
            return Err(SqlError::new(
                3146,
                "22032",
                "Invalid data type for JSON data in argument 1 to function json_table; a JSON string or JSON type is \
                 required.",
            ));
        }
        let document = self.json_argument(&bound, "JSON_TABLE");
        let document = self.sql(&document);
        let mut fields = Vec::new();
        let described = self.json_columns(path, columns, &mut fields)?;
        let description = self.constant(Value::Text(described.describe()));
        let sql_alias = self.alias('a');
        let shown = alias.name.value.clone();
        let columns = fields.into_iter().enumerate().map(|(n, (name, ty))| RelColumn {
            name: name.clone(),
            sql: format!("p_cell({sql_alias}.value,{n})"),
            field: Field { org_name: name.clone(), table: shown.clone(), ..Field::expression(&name, ty) },
            tag: None,
            invisible: false,
            coercibility: coercibility::COLUMN,
        });
        let columns = columns.collect();
        s.relations.push(Rc::new(Relation::derived(&shown, None, &sql_alias, columns)));
        Ok(format!("json_each(p_json_table({document},{description})) AS {sql_alias}"))
    }

    /// JSON_VALUE(document, path RETURNING type).
    pub(super) fn json_value_as(&mut self, args: &[Bound], ty: &DataType) -> Result<Bound, SqlError> {
        let [document, path] = args else { return Err(super::call::wrong_count("JSON_VALUE")) };
        let text = match ty {
            DataType::Signed | DataType::SignedInteger => "BIGINT".to_owned(),
            DataType::Unsigned | DataType::UnsignedInteger => "BIGINT UNSIGNED".to_owned(),
            DataType::Char(Some(n)) => format!("VARCHAR({n})"),
            DataType::Char(None) => "LONGTEXT".to_owned(),
            ty => ty.to_string(),
        };
        let ty = crate::routine::returned(&text, self.mode(), self.session.collation)?;
        let target = ColumnTarget::plain("", ty.clone());
        let spec = self.constant(Value::Text(crate::functions::assign_spec(&target)));
        let document = self.json_argument(document, "JSON_VALUE");
        let (document, path) = (self.sql(&document), self.text_of(path));
        let sql = format!("p_json_value_as({document},{},{spec})", self.sql(&path));
        let mut field = FieldType::of_column(&ty);
        if matches!(ty, SqlType::Int { .. }) {
            field.length = INTEGER_CHARS;
        }
        let mut out = Bound::new(sql, field).with_parts(args);
        out.coercibility = coercibility::LITERAL;
        Ok(out)
    }

    fn json_columns(
        &mut self,
        path: &ValueWithSpan,
        columns: &[JsonTableColumn],
        fields: &mut Vec<(String, FieldType)>,
    ) -> Result<Columns, SqlError> {
        let mut out = Columns { path: self.json_path(path)?, ..Columns::default() };
        for column in columns {
            match column {
                JsonTableColumn::ForOrdinality(name) => {
                    let ty = FieldType { length: ORDINALITY_CHARS, ..FieldType::int() };
                    out.own.push((fields.len(), Shows::Ordinality));
                    add(fields, &name.value, ty)?;
                }
                JsonTableColumn::Named(c) => {
                    let ty = self.json_column_type(c)?;
                    let target = ColumnTarget::plain(&c.name.value, ty.clone());
                    let (path, target) = (self.json_path(&c.path)?, Arc::new(target));
                    let shows = if c.exists {
                        if c.on_empty.is_some() || c.on_error.is_some() {
                            return Err(SqlError::syntax("ON", 1));
                        }
                        Shows::Exists(path, target)
                    } else {
                        let on_empty = self.otherwise(c.on_empty.as_ref())?;
                        let on_error = self.otherwise(c.on_error.as_ref())?;
                        Shows::Path { path, target, on_empty, on_error }
                    };
                    out.own.push((fields.len(), shows));
                    add(fields, &c.name.value, FieldType::of_column(&ty))?;
                }
                JsonTableColumn::Nested(n) => {
                    let nested = self.json_columns(&n.path, &n.columns, fields)?;
                    out.nested.push(nested);
                }
            }
        }
        Ok(out)
    }

    fn json_column_type(&mut self, c: &JsonTableNamedColumn) -> Result<SqlType, SqlError> {
        let text = c.r#type.to_string();
        crate::routine::returned(&text, self.mode(), self.session.collation)
    }

    fn json_path(&mut self, path: &ValueWithSpan) -> Result<String, SqlError> {
        let bound = self.literal(path)?;
        let text = self.constant_text(&bound).ok_or_else(|| SqlError::syntax(&path.to_string(), 1))?;
        check_path(&text)?;
        Ok(text)
    }

    fn otherwise(&mut self, given: Option<&JsonTableColumnErrorHandling>) -> Result<Otherwise, SqlError> {
        Ok(match given {
            None | Some(JsonTableColumnErrorHandling::Null) => Otherwise::Null,
            Some(JsonTableColumnErrorHandling::Error) => Otherwise::Error,
            Some(JsonTableColumnErrorHandling::Default(v)) => {
                let bound = self.literal(v)?;
                let Some(text) = self.constant_text(&bound) else {
                    let what = "non-string DEFAULT value for a column in a JSON_TABLE expression";
                    return Err(SqlError::unsupported(what));
                };
                let normal =
                    normalise(&text).map_err(|wrong| crate::functions::json::no_json(wrong, "JSON_TABLE"))?;
                Otherwise::Default(normal)
            }
        })
    }
}

fn add(fields: &mut Vec<(String, FieldType)>, name: &str, ty: FieldType) -> Result<(), SqlError> {
    if fields.iter().any(|(n, _)| same_name(n, name)) {
        return Err(SqlError::new(1060, "42S21", format!("Duplicate column name '{name}'")));
    }
    fields.push((name.to_owned(), ty));
    Ok(())
}
