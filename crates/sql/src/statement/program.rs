//! CALL, and statements of stored programs that may also stand alone: SIGNAL, RESIGNAL, GET DIAGNOSTICS.

use std::sync::Arc;

use p2pdb_model::catalog::Table;
use p2pdb_model::ids::ObjectKind;
use p2pdb_model::{CellKind, ColumnTag, Privileges, Value};
use sqlparser::ast::{Expr, Value as AstValue};
use sqlparser::tokenizer::Token;

use super::{Context, Cursor};
use crate::error::SqlError;
use crate::front::source::Source as Text;
use crate::plan::{
    Coerce, Ddl, Decide, EarlierWarnings, OutTarget, Plan, PlanKind, ProgramCall, Resolve, Scalar, Slot,
    Source,
};
use crate::routine::{self, Kind, Mode, Program};
use crate::virtuals::{self, show::Show};

/// `CALL [database.]name [(argument, …)]`.
pub(super) fn call(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.expect("call")?;
    let (database, name) = c.table_name()?;
    if database.as_deref().and_then(virtuals::database_name) == Some("p2pdb") {
        cx.source.needs.reads_everything("p2pdb", &name);
        return built_in(c, cx, &name);
    }
    let database = cx.database(database)?;
    let mut given = Vec::new();
    if c.eat_token(&Token::LParen) && !c.eat_token(&Token::RParen) {
        given = c.list(Cursor::expr)?;
        c.expect_token(&Token::RParen)?;
    }
    let Some(found) = cx.catalog.routine(ObjectKind::Procedure, &database, &name) else {
        let message = format!("PROCEDURE {database}.{name} does not exist");
        return Err(SqlError::new(1305, "42000", message));
    };
    cx.source.needs.calls(found.id, &database, &found.name);
    let parameters = routine::parameters_of(found)?;
    if parameters.len() != given.len() {
        let message = format!(
            "Incorrect number of arguments for PROCEDURE {database}.{}; expected {}, got {}",
            found.name,
            parameters.len(),
            given.len()
        );
        return Err(SqlError::new(1318, "42000", message));
    }
    let (mut args, mut targets) = (Vec::new(), Vec::new());
    for (n, (p, e)) in parameters.iter().zip(&given).enumerate() {
        if p.mode == Mode::In {
            args.push(super::scalar(e, cx)?);
            targets.push(None);
            continue;
        }
        let Some(target) = target(e, cx) else {
            let message = format!(
                "OUT or INOUT argument {} for routine {database}.{} is not a variable or NEW pseudo-variable in \
                 BEFORE trigger",
                n + 1,
                found.name
            );
            return Err(SqlError::new(1414, "42000", message));
        };
        args.push(match p.mode {
            Mode::Out => Scalar::Slot(Slot { source: Source::Const(Value::Null), coerce: Coerce::None }),
            _ => super::scalar(e, cx)?,
        });
        targets.push(Some(target));
    }
    Ok(Plan::new(PlanKind::Program(ProgramCall::Procedure { routine: found.id, args, targets })))
}

/// The procedures of the database `p2pdb`. They take literals.
fn built_in(c: &mut Cursor<'_, '_>, cx: &Context<'_>, name: &str) -> Result<Plan, SqlError> {
    let mut args = Vec::new();
    if c.eat_token(&Token::LParen) && !c.eat_token(&Token::RParen) {
        args = c.list(literal)?;
        c.expect_token(&Token::RParen)?;
    }
    // NULL is a value that a column may be given, and nothing else.
    let given = args;
    let args: Vec<String> = given.iter().map(text).collect();
    let is_null = |from: usize, to: usize| given[from..to].contains(&Value::Null);
    let wrong = |expected: &str| {
        let message = format!(
            "Incorrect number of arguments for PROCEDURE p2pdb.{}; expected {expected}, got {}",
            name.to_lowercase(),
            args.len()
        );
        SqlError::new(1318, "42000", message)
    };
    let table = |name: &str| {
        let (database, table) = match name.split_once('.') {
            Some((d, t)) => (Some(d.to_owned()), t),
            None => (None, name),
        };
        // It may be gone, and have left rows: whether it ever was the engine knows.
        Ok::<_, SqlError>((cx.database(database)?, table.to_owned()))
    };
    match (name.to_lowercase().as_str(), args.as_slice()) {
        ("history", [of, key @ ..]) if !key.is_empty() && !is_null(0, given.len()) => {
            let (database, table) = table(of)?;
            let mut all = vec![database.as_str(), &table];
            all.extend(key.iter().map(String::as_str));
            super::show::direct(cx, Show::new("history", &all))
        }
        ("resolve", [of, how, key @ ..]) if !key.is_empty() => {
            let (database, table) = table(of)?;
            let mut key = key.to_vec();
            let decision = match how.to_lowercase().as_str() {
                "keep" => Decide::Keep,
                "discard" => Decide::Discard,
                "set" => {
                    let Some(there) = cx.catalog.table(&database, &table) else {
                        return Err(SqlError::no_table(&database, &table));
                    };
                    let parts = there.primary_columns().len().max(1);
                    if key.len() < parts + 2 || !(key.len() - parts).is_multiple_of(2) {
                        return Err(wrong(&format!("{} or more, columns and values in turn", parts + 4)));
                    }
                    key.truncate(parts);
                    let cells =
                        args[2 + parts..].iter().step_by(2).zip(given[2 + parts..].iter().skip(1).step_by(2));
                    Decide::Set(
                        cells
                            .map(|(name, value)| given_value(cx, there, name, value))
                            .collect::<Result<_, _>>()?,
                    )
                }
                _ => {
                    let message = format!(
                        "Incorrect arguments to p2pdb.resolve: '{how}' is none of keep, discard and set"
                    );
                    return Err(SqlError::new(1210, "HY000", message));
                }
            };
            let names = if matches!(decision, Decide::Set(_)) { 2 + key.len() } else { given.len() };
            if is_null(0, names) {
                return Err(SqlError::new(
                    1210,
                    "HY000",
                    "Incorrect arguments to p2pdb.resolve: NULL is no key",
                ));
            }
            let resolve = Resolve { database, table, decision, key };
            Ok(Plan::new(PlanKind::Ddl(Ddl { resolve: Some(resolve), ..Ddl::default() })))
        }
        ("keep_ids", []) => Ok(Plan::new(PlanKind::Ddl(Ddl { keep_ids: true, ..Ddl::default() }))),
        ("history", _) => Err(wrong("2 or more")),
        ("resolve", _) => Err(wrong("3 or more")),
        ("keep_ids", _) => Err(wrong("0")),
        _ => Err(SqlError::new(1305, "42000", format!("PROCEDURE p2pdb.{name} does not exist"))),
    }
}

/// A value for a column of a row that waits, as UPDATE would take it.
fn given_value(
    cx: &Context<'_>,
    table: &Table,
    name: &str,
    value: &Value,
) -> Result<(ColumnTag, Slot), SqlError> {
    let Some(column) = table.column(name) else {
        return Err(SqlError::unknown_column(name, "field list"));
    };
    if column.def.generated.is_some() {
        return Err(SqlError::generated_value(&column.name, &table.name));
    }
    if column.is_sealed() {
        return Err(SqlError::unsupported(
            "p2pdb.resolve with a value for a sealed column: discard the row, and INSERT it again",
        ));
    }
    if column.cell_kind() == CellKind::Owner {
        // It is part of who the row is.
        return Err(SqlError::new(1348, "HY000", format!("Column '{}' is not updatable", column.name)));
    }
    cx.source.needs.writes_columns(table, Privileges::UPDATE, [column.tag]);
    let target = crate::bind::column_target(&table.name, column);
    Ok((column.tag, Slot { source: Source::Const(value.clone()), coerce: Coerce::Column(target) }))
}

/// A literal as text; bytes as `0x…`.
fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => format!("0x{}", p2pdb_model::ids::hex(bytes)),
        _ => String::new(),
    }
}

/// A literal: text, bytes, or NULL.
fn literal(c: &mut Cursor<'_, '_>) -> Result<Value, SqlError> {
    if let Some(text) = c.eat_string() {
        return Ok(Value::Text(text));
    }
    let minus = c.eat_token(&Token::Minus);
    match c.token(0).clone() {
        Token::Number(digits, _) => {
            c.skip();
            Ok(Value::Text(format!("{}{digits}", if minus { "-" } else { "" })))
        }
        Token::HexStringLiteral(digits) if !minus => {
            c.skip();
            let bytes = p2pdb_model::ids::unhex(&digits);
            bytes.map(Value::Blob).ok_or_else(|| SqlError::unsupported("bytes of half a digit"))
        }
        Token::Word(w) if !minus && w.quote_style.is_none() && w.value.eq_ignore_ascii_case("null") => {
            c.skip();
            Ok(Value::Null)
        }
        _ => Err(SqlError::unsupported("arguments of the procedures of p2pdb that are no literals")),
    }
}

fn target(e: &Expr, cx: &Context<'_>) -> Option<OutTarget> {
    let locals = cx.session.locals_in_sight();
    match e {
        Expr::Identifier(i) if i.value.starts_with("@@") => None,
        Expr::Identifier(i) if i.value.starts_with('@') && i.quote_style.is_none() => {
            Some(OutTarget::User(i.value[1..].trim_matches(['`', '\'', '"']).to_lowercase()))
        }
        Expr::Identifier(i) => locals?.names.find(&i.value).map(OutTarget::Local),
        Expr::CompoundIdentifier(parts) => {
            let name: Vec<&str> = parts.iter().map(|p| p.value.as_str()).collect();
            locals?.names.find(&name.join(".")).map(OutTarget::Local)
        }
        Expr::Value(v) if matches!(v.value, AstValue::Placeholder(_)) => match cx.source.lifted(v.span)? {
            crate::front::tokens::Lifted::Param(n) => Some(OutTarget::Param(n)),
            crate::front::tokens::Lifted::Literal(_) => None,
        },
        _ => None,
    }
}

/// SIGNAL, RESIGNAL or GET DIAGNOSTICS outside of a stored program.
pub(super) fn alone(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    if c.is("get") && !["get diagnostics", "get current", "get stacked"].iter().any(|w| c.is(w)) {
        return Err(c.error());
    }
    let earlier_warnings = match c.is("get") || c.is("resignal") {
        true => EarlierWarnings::Kept,
        false => EarlierWarnings::Cleared,
    };
    let source: &Text<'_> = cx.source;
    let (program, _) = routine::body(c, source, Kind::Procedure, cx.session.collation, Program::default())?;
    let call = ProgramCall::Alone(Arc::new(program));
    Ok(Plan { earlier_warnings, ..Plan::new(PlanKind::Program(call)) })
}
