//! CALL, and statements of stored programs that may also stand alone: SIGNAL, RESIGNAL, GET DIAGNOSTICS.

use std::sync::Arc;

use p2pdb_model::Value;
use p2pdb_model::ids::ObjectKind;
use sqlparser::ast::{Expr, Value as AstValue};
use sqlparser::tokenizer::Token;

use super::{Context, Cursor, plan};
use crate::error::SqlError;
use crate::front::source::Source as Text;
use crate::plan::{Coerce, OutTarget, Plan, PlanKind, ProgramCall, Scalar, Slot, Source};
use crate::routine::{self, Kind, Mode, Program};

/// `CALL [database.]name [(argument, …)]`.
pub(super) fn call(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.expect("call")?;
    let (database, name) = c.table_name()?;
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
    Ok(plan(PlanKind::Program(ProgramCall::Procedure { routine: found.id, args, targets })))
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
    let keeps_warnings = c.is("get") || c.is("resignal");
    let source: &Text<'_> = cx.source;
    let (program, _) = routine::body(c, source, Kind::Procedure, cx.session.collation, Program::default())?;
    let call = ProgramCall::Alone(Arc::new(program));
    Ok(Plan { keeps_warnings, ..plan(PlanKind::Program(call)) })
}
