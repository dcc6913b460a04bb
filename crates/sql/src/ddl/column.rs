//! Column definitions as CREATE and ALTER TABLE write them.

use p2pdb_model::schema::{ColumnDef, DefaultValue};
use p2pdb_model::types::{Collation, SqlType};
use p2pdb_model::{CellKind, Value, decimal::Decimal};
use sqlparser::ast::Expr;
use sqlparser::tokenizer::Token;

use super::{canonical, defaults, types};
use crate::error::SqlError;
use crate::front::{Literal, LiteralKind};
use crate::plan::{Note, NoteLevel};
use crate::session::SqlMode;
use crate::statement::Cursor;

/// A CHECK before it has a name.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// Its name, if it was given.
    pub name: Option<String>,
    /// The condition.
    pub expr: Expr,
    /// ENFORCED.
    pub enforced: bool,
    /// The column it stands on.
    pub column: Option<String>,
}

/// A column definition.
#[derive(Clone, Debug)]
pub struct ColumnSpec {
    /// What the schema keeps.
    pub def: ColumnDef,
    /// PRIMARY KEY.
    pub primary: bool,
    /// UNIQUE.
    pub unique: bool,
    /// CHECKs on the column.
    pub checks: Vec<CheckSpec>,
}

/// What a definition is read under.
#[derive(Clone, Copy, Debug)]
pub struct Under {
    /// The table's collation.
    pub collation: Collation,
    /// sql_mode.
    pub mode: SqlMode,
}

/// Reads the definition of the column `name`, from its type on.
///
/// # Errors
/// 1064, 1067, 1101, 1171, 1294, those of types and of generated columns.
pub fn read(
    c: &mut Cursor<'_, '_>,
    name: &str,
    under: Under,
    notes: &mut Vec<Note>,
) -> Result<ColumnSpec, SqlError> {
    let parsed = types::read(c, name, under.collation, notes)?;
    let mut spec = ColumnSpec {
        def: ColumnDef { collation_given: parsed.collation_given, ..ColumnDef::new(parsed.ty) },
        primary: false,
        unique: parsed.serial,
        checks: Vec::new(),
    };
    let mut null_given = None;
    if parsed.serial {
        (spec.def.nullable, spec.def.auto_increment) = (false, true);
    }
    while attribute(c, name, under.mode, &mut spec, &mut null_given)? {}
    super::generated::plain(&spec)?;
    if let Some((word, tag)) = CellKind::mistyped(&spec.def.comment) {
        let message = format!(
            "[{word}] in the comment of column '{name}' is no tag and has no effect on how it merges; {tag} was perhaps meant"
        );
        notes.push(Note { level: NoteLevel::Warning, code: 1105, message });
    }
    let def = &mut spec.def;
    if def.auto_increment || spec.primary {
        if null_given == Some(true) && spec.primary {
            let message =
                "All parts of a PRIMARY KEY must be NOT NULL; if you need NULL in a key, use UNIQUE instead";
            return Err(SqlError::new(1171, "42000", message));
        }
        def.nullable = false;
    }
    let contradicts = def.default == Some(DefaultValue::Null) && !def.nullable;
    if contradicts || (def.auto_increment && def.default.is_some()) {
        return Err(SqlError::invalid_default(name));
    }
    Ok(spec)
}

fn attribute(
    c: &mut Cursor<'_, '_>,
    name: &str,
    mode: SqlMode,
    spec: &mut ColumnSpec,
    null_given: &mut Option<bool>,
) -> Result<bool, SqlError> {
    let def = &mut spec.def;
    if c.eat("not null") {
        *null_given = Some(false);
        def.nullable = false;
    } else if c.eat("null") {
        *null_given = Some(true);
        def.nullable = true;
    } else if c.eat("serial default value") {
        (def.nullable, def.auto_increment, spec.unique) = (false, true, true);
    } else if c.eat("default") {
        def.default = Some(default(c, name, &def.ty, mode)?);
    } else if c.eat("on update") {
        if !matches!(now(c)?, Some(fsp) if Some(fsp) == fsp_of(&def.ty)) {
            let message = format!("Invalid ON UPDATE clause for '{name}' column");
            return Err(SqlError::new(1294, "HY000", message));
        }
        def.on_update_now = true;
    } else if c.eat("auto_increment") {
        def.auto_increment = true;
    } else if c.eat("unique") {
        c.eat("key");
        spec.unique = true;
    } else if c.eat("primary key") || c.eat("key") {
        spec.primary = true;
    } else if c.eat("comment") {
        def.comment = c.string()?;
    } else if c.is("collate") || c.is("character set") || c.is("charset") {
        let (collation, _) = types::collation_clause(c)?;
        set_collation(&mut def.ty, collation);
        def.collation_given |= def.ty.collation().is_some();
    } else if c.eat("invisible") {
        def.invisible = true;
    } else if c.eat("visible") {
        def.invisible = false;
    } else if c.eat("generated always as") || c.eat("as") {
        def.generated = Some(super::generated::read(c, name)?);
    } else if c.is("check") || c.is("constraint") {
        let given = if c.eat("constraint") && !c.is("check") { Some(c.name()?) } else { None };
        c.expect("check")?;
        let mut check = check(c, given)?;
        check.column = Some(name.to_owned());
        spec.checks.push(check);
    } else if c.eat("references") {
        // MySQL 8 reads a reference on a column and forgets it.
        super::keys::references(c)?;
    } else if c.eat("column_format") || c.eat("storage") {
        c.word_or_string()?;
    } else if c.is("srid") || c.is("engine_attribute") || c.is("secondary_engine_attribute") {
        return Err(SqlError::unsupported(c.word_or_string()?.to_uppercase()));
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// Sets the collation of a character type.
pub fn set_collation(ty: &mut SqlType, to: Option<Collation>) {
    let Some(to) = to else { return };
    match ty {
        SqlType::Char { collation, .. }
        | SqlType::VarChar { collation, .. }
        | SqlType::Text { collation, .. }
        | SqlType::Enum { collation, .. }
        | SqlType::Set { collation, .. } => *collation = to,
        _ => {}
    }
}

/// `(expression) [[NOT] ENFORCED]`; CHECK was read.
pub fn check(c: &mut Cursor<'_, '_>, name: Option<String>) -> Result<CheckSpec, SqlError> {
    c.expect_token(&Token::LParen)?;
    let expr = c.expr()?;
    c.expect_token(&Token::RParen)?;
    let enforced = !c.eat("not enforced");
    if enforced {
        c.eat("enforced");
    }
    Ok(CheckSpec { name, expr, enforced, column: None })
}

fn fsp_of(ty: &SqlType) -> Option<u8> {
    match ty {
        SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => Some(*fsp),
        _ => None,
    }
}

/// `CURRENT_TIMESTAMP[(n)]` and its synonyms.
fn now(c: &mut Cursor<'_, '_>) -> Result<Option<u8>, SqlError> {
    let Some(word) = c.eat_one(&["current_timestamp", "now", "localtime", "localtimestamp"]) else {
        return Ok(None);
    };
    if !c.eat_token(&Token::LParen) {
        return if word == "now" { Err(c.error()) } else { Ok(Some(0)) };
    }
    let fsp = c.eat_number().unwrap_or(0);
    c.expect_token(&Token::RParen)?;
    u8::try_from(fsp).ok().filter(|n| *n <= 6).map(Some).ok_or_else(|| {
        let message = format!("Too-big precision {fsp} specified for 'now'. Maximum is 6.");
        SqlError::new(1426, "42000", message)
    })
}

/// The value after DEFAULT.
///
/// # Errors
/// 1067, 1101, 1064.
pub fn default(
    c: &mut Cursor<'_, '_>,
    name: &str,
    ty: &SqlType,
    mode: SqlMode,
) -> Result<DefaultValue, SqlError> {
    if c.eat_token(&Token::LParen) {
        let expr = c.expr()?;
        c.expect_token(&Token::RParen)?;
        if canonical::forbidden(&expr).is_some() {
            let message =
                format!("Default value expression of column '{name}' contains a disallowed function.");
            return Err(SqlError::new(3770, "HY000", message));
        }
        if !canonical::columns_of(&expr).is_empty() {
            return Err(SqlError::unsupported("a default that names columns"));
        }
        return Ok(DefaultValue::Expression(canonical::expression(&expr)));
    }
    if let Some(fsp) = now(c)? {
        return match fsp_of(ty) {
            Some(n) if n == fsp => Ok(DefaultValue::Now(fsp)),
            _ => Err(SqlError::invalid_default(name)),
        };
    }
    let literal = literal(c)?;
    defaults::literal_default(name, ty, literal, mode)
}

/// A literal of the text, with its sign.
fn literal(c: &mut Cursor<'_, '_>) -> Result<Literal, SqlError> {
    for (word, value) in [("null", None), ("true", Some(1)), ("false", Some(0))] {
        if c.eat(word) {
            return Ok(value.map_or_else(Literal::null, Literal::int));
        }
    }
    if let Some(text) = c.eat_string() {
        return Ok(Literal::text(text));
    }
    let minus = c.eat_token(&Token::Minus);
    if !minus {
        c.eat_token(&Token::Plus);
    }
    let literal = match c.token(0) {
        Token::Number(n, _) => {
            let n = if minus { format!("-{n}") } else { n.clone() };
            match n.parse::<i64>() {
                Ok(n) => Literal::int(n),
                Err(_) if n.contains(['e', 'E']) => {
                    let value: f64 = n.parse().unwrap_or(0.0);
                    if !value.is_finite() {
                        return Err(SqlError::illegal_double(&n));
                    }
                    Literal::double(value)
                }
                Err(_) => {
                    let d = Decimal::parse_prefix(&n).0;
                    let scale = d.scale().min(30);
                    let precision = (d.whole_digits() + scale).clamp(1, 65);
                    let kind = LiteralKind::Decimal(precision as u8, scale as u8);
                    Literal { kind, value: Value::Blob(d.encode()) }
                }
            }
        }
        Token::HexStringLiteral(hex) if !minus => {
            let bytes = p2pdb_model::ids::unhex(hex).ok_or_else(|| c.error())?;
            Literal { kind: LiteralKind::Hex, value: Value::Blob(bytes) }
        }
        _ => return Err(c.error()),
    };
    c.skip();
    Ok(literal)
}
