//! CALL, and statements of stored programs that may also stand alone: SIGNAL, RESIGNAL, GET DIAGNOSTICS.

use std::sync::Arc;

use p2pdb_model::Value;
use p2pdb_model::ids::ObjectKind;
use sqlparser::ast::{Expr, Value as AstValue};
use sqlparser::tokenizer::Token;

use super::{Context, Cursor};
use crate::error::SqlError;
use crate::front::source::Source as Text;
use crate::plan::{
    Coerce, Ddl, EarlierWarnings, OutTarget, Plan, PlanKind, ProgramCall, Resolve, Scalar, Slot, Source,
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
        ("history", [of, key @ ..]) if !key.is_empty() => {
            let (database, table) = table(of)?;
            let mut all = vec![database.as_str(), &table];
            all.extend(key.iter().map(String::as_str));
            super::show::direct(cx, Show::new("history", &all))
        }
        ("resolve", [of, how, key @ ..]) if !key.is_empty() => {
            let keep = match how.to_lowercase().as_str() {
                "keep" => true,
                "discard" => false,
                _ => {
                    let message =
                        format!("Incorrect arguments to p2pdb.resolve: '{how}' is neither keep nor discard");
                    return Err(SqlError::new(1210, "HY000", message));
                }
            };
            let (database, table) = table(of)?;
            let resolve = Resolve { database, table, keep, key: key.to_vec() };
            Ok(Plan::new(PlanKind::Ddl(Ddl { resolve: Some(resolve), ..Ddl::default() })))
        }
        ("keep_ids", []) => Ok(Plan::new(PlanKind::Ddl(Ddl { keep_ids: true, ..Ddl::default() }))),
        ("history", _) => Err(wrong("2 or more")),
        ("resolve", _) => Err(wrong("3 or more")),
        ("keep_ids", _) => Err(wrong("0")),
        _ => Err(SqlError::new(1305, "42000", format!("PROCEDURE p2pdb.{name} does not exist"))),
    }
}

/// A literal as text; bytes as `0x…`.
fn literal(c: &mut Cursor<'_, '_>) -> Result<String, SqlError> {
    if let Some(text) = c.eat_string() {
        return Ok(text);
    }
    let minus = c.eat_token(&Token::Minus);
    match c.token(0).clone() {
        Token::Number(digits, _) => {
            c.skip();
            Ok(format!("{}{digits}", if minus { "-" } else { "" }))
        }
        Token::HexStringLiteral(digits) if !minus => {
            c.skip();
            Ok(format!("0x{digits}"))
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
