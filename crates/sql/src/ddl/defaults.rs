//! Column defaults: from the text of a statement to what the schema keeps, and from there to stored values.

use p2pdb_model::schema::{ColumnDef, DefaultValue};
use p2pdb_model::temporal::DateTime;
use p2pdb_model::types::SqlType;
use p2pdb_model::{Catalog, Stamp, Value};

use crate::error::SqlError;
use crate::execute::{self, assign, assign::implicit_default, convert};
use crate::field::{Field, FieldType};
use crate::front::{Literal, LiteralKind};
use crate::plan::ColumnTarget;
use crate::schema_text::is_lob;
use crate::session::{SessionState, SqlMode};
use crate::statement::view_fields;
use crate::virtuals::{default_of_result, type_of_result};

/// Runs a conversion outside any statement, strictly; warnings are failures.
fn converted(value: Value, from: &FieldType, to: &ColumnTarget, mode: SqlMode) -> Option<Value> {
    let outer = execute::leave();
    let sql_mode = SqlMode(mode.0 | SqlMode::STRICT_ALL_TABLES.0);
    execute::enter(execute::Context { sql_mode, writes: true, ..execute::Context::default() });
    let result = assign(value, from, to);
    let inner = execute::leave();
    execute::enter(outer);
    let clean = inner.warnings.iter().all(|w| w.level == crate::plan::NoteLevel::Note);
    result.ok().filter(|_| clean)
}

/// What the schema keeps for `DEFAULT literal` on a column of this type.
///
/// # Errors
/// 1067 when the literal is no value of the type, 1101 for types that take no literal default.
pub fn literal_default(
    column: &str,
    ty: &SqlType,
    literal: Literal,
    mode: SqlMode,
) -> Result<DefaultValue, SqlError> {
    if literal.value.is_null() {
        return Ok(DefaultValue::Null);
    }
    if is_lob(ty) {
        let message = format!("BLOB, TEXT, GEOMETRY or JSON column '{column}' can't have a default value");
        return Err(SqlError::new(1101, "42000", message));
    }
    let invalid = || SqlError::invalid_default(column);
    let from = literal.kind.field_type(p2pdb_model::types::Collation::Utf8mb4_0900AiCi);
    let stored = converted(literal.value, &from, &ColumnTarget::plain("", ty.clone()), taking(ty, mode))
        .ok_or_else(invalid)?;
    let field = FieldType::of_column(ty);
    if let SqlType::Bit { .. } = ty {
        let n = stored.as_u64().ok_or_else(invalid)?;
        return Ok(DefaultValue::Bits(format!("b'{n:b}'")));
    }
    if let (SqlType::Binary { .. } | SqlType::VarBinary { .. }, Value::Blob(bytes)) = (ty, &stored) {
        let padding = if matches!(ty, SqlType::Binary { .. }) { '\0' } else { 'x' };
        return Ok(match std::str::from_utf8(bytes) {
            // BINARY(n) is padded with zero bytes.
            Ok(text) if !text.trim_end_matches(padding).contains('\0') => {
                DefaultValue::Literal(text.to_owned())
            }
            _ => DefaultValue::Bits(format!("0x{}", p2pdb_model::ids::hex(bytes).to_uppercase())),
        });
    }
    let code = match ty {
        // The text of a TIMESTAMP default is in the time of the session that inserts.
        SqlType::Timestamp { fsp } => FieldType::datetime(*fsp).code(),
        _ => field.code(),
    };
    let text = match (ty, &stored) {
        (SqlType::Enum { values, .. }, Value::Int(n)) => convert::enum_text(values, *n).to_owned(),
        (SqlType::Set { values, .. }, v) => convert::set_text(values, v.into()),
        (_, v) => convert::to_text(v.into(), code).ok().flatten().ok_or_else(invalid)?.into_owned(),
    };
    Ok(DefaultValue::Literal(text))
}

/// The stored value of a constant default; `None` where it is not constant (CURRENT_TIMESTAMP, expressions), or is read
/// in the session's time zone (TIMESTAMP).
pub fn constant(def: &ColumnDef) -> Option<Value> {
    let literal = literal_of(def.default.as_ref()?)?;
    if matches!(def.ty, SqlType::Timestamp { .. }) && !literal.value.is_null() {
        return None;
    }
    stored(&def.ty, literal)
}

/// The literal of a default that is one.
pub fn literal_of(default: &DefaultValue) -> Option<Literal> {
    match default {
        DefaultValue::Null | DefaultValue::Nothing => Some(Literal::null()),
        DefaultValue::Literal(text) => Some(Literal::text(text.clone())),
        DefaultValue::Bits(text) => {
            let bytes = crate::front::tokens::bits(text)?;
            Some(Literal { kind: LiteralKind::Hex, value: Value::Blob(bytes) })
        }
        DefaultValue::Expression(text) => literal_expression(text),
        DefaultValue::Now(_) => None,
    }
}

/// The literal that an expression default consists of: `('')`, `(_binary'abc')`, `(-1)`.
fn literal_expression(text: &str) -> Option<Literal> {
    use sqlparser::ast::{Expr, UnaryOperator, Value as Token};
    let number = |n: &str| match n.parse::<i64>() {
        Ok(n) => Some(Literal::int(n)),
        // Exact or not: as text it keeps its digits until the column's type is known.
        Err(_) => Some(Literal::text(n.to_owned())),
    };
    let mut expr = crate::statement::expression_text(text).ok()?;
    while let Expr::Nested(inner) = expr {
        expr = *inner;
    }
    match expr {
        Expr::Value(v) => match v.value {
            Token::SingleQuotedString(s) => Some(Literal::text(s)),
            Token::Number(n, _) => number(&n),
            Token::Null => Some(Literal::null()),
            Token::Boolean(b) => Some(Literal::int(i64::from(b))),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match *expr {
            Expr::Value(v) => match v.value {
                Token::Number(n, _) => number(&format!("-{n}")),
                _ => None,
            },
            _ => None,
        },
        Expr::Prefixed { prefix, value } => match *value {
            Expr::Value(v) => match (prefix.value.to_lowercase().as_str(), v.value) {
                ("_utf8mb4" | "_utf8mb3" | "_utf8", Token::SingleQuotedString(s)) => Some(Literal::text(s)),
                ("_binary", Token::SingleQuotedString(s)) => Some(Literal::bytes(s.into_bytes())),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// A TIMESTAMP is a date that there is, in every mode.
fn taking(ty: &SqlType, mode: SqlMode) -> SqlMode {
    match ty {
        SqlType::Timestamp { .. } => SqlMode(mode.0 & !SqlMode::ALLOW_INVALID_DATES.0),
        _ => mode,
    }
}

fn stored(ty: &SqlType, literal: Literal) -> Option<Value> {
    if literal.value.is_null() {
        return Some(Value::Null);
    }
    let from = literal.kind.field_type(p2pdb_model::types::Collation::Utf8mb4_0900AiCi);
    // What was taken as a default is one, whatever the mode was.
    converted(
        literal.value,
        &from,
        &ColumnTarget::plain("", ty.clone()),
        taking(ty, SqlMode::ALLOW_INVALID_DATES),
    )
}

/// What a row written before the column existed shows in it: the constant default the column was **added** with, for
/// CURRENT_TIMESTAMP the time of that (`added`, in UTC), else NULL, else the type's zero. A later change of the default
/// does not change it, so it must be taken from the first definition of the column.
pub fn unwritten(first: &ColumnDef, added: Stamp) -> Value {
    if first.generated.is_some() {
        return Value::Null;
    }
    if let Some(DefaultValue::Now(fsp)) = first.default {
        let us = i64::try_from(added.millis() * 1000).unwrap_or(i64::MAX);
        return Value::Int(DateTime::from_unix_us(us).truncated(fsp).pack());
    }
    let constant = first.default.as_ref().and_then(literal_of).and_then(|l| stored(&first.ty, l));
    constant.unwrap_or_else(|| empty(&first.ty, first.nullable))
}

/// What COM_FIELD_LIST shows as the defaults of these columns, all of one table or view of the current database: the values
/// in MySQL's default record. A column has its constant default there, else NULL, else the type's zero, also where an
/// expression or CURRENT_TIMESTAMP would fill it. A TIMESTAMP is as it was written, in the time of whoever inserts.
pub fn of_fields(catalog: &Catalog, session: &SessionState, table: &str, fields: &[Field]) -> Vec<Value> {
    let database = session.database.as_deref().unwrap_or_default();
    if let Some(t) = catalog.table(database, table) {
        let of = |f: &Field| {
            let def = &t.column(&f.name)?.def;
            Some(in_record(&def.ty, def.default.as_ref(), def.nullable))
        };
        return fields.iter().map(|f| of(f).unwrap_or(Value::Null)).collect();
    }
    // A view's columns are known by the tables that they come from.
    let shown = catalog.view(database, table).map(|v| view_fields(catalog, session, v));
    let shown = shown.and_then(Result::ok).unwrap_or_else(|| fields.to_vec());
    let of = |f: &Field| {
        let ty = type_of_result(f, false);
        in_record(&ty, default_of_result(catalog, f, &ty).as_ref(), !f.not_null)
    };
    shown.iter().map(of).collect()
}

fn in_record(ty: &SqlType, default: Option<&DefaultValue>, nullable: bool) -> Value {
    let written = match ty {
        SqlType::Timestamp { fsp } => SqlType::DateTime { fsp: *fsp },
        ty => ty.clone(),
    };
    let constant = default.filter(|d| !matches!(d, DefaultValue::Expression(_)));
    let value = constant.and_then(literal_of).and_then(|l| stored(&written, l));
    value.filter(|v| nullable || !v.is_null()).unwrap_or_else(|| empty(ty, nullable))
}

/// NULL, or the zero of a type that cannot be NULL.
pub fn empty(ty: &SqlType, nullable: bool) -> Value {
    if nullable { Value::Null } else { implicit_default(ty) }
}
