//! Calls that the session answers itself because they may wait: SLEEP and the locks by name; and DO.
//!
//! They are lifted out of a SELECT without tables and answered, from left to right, before SQLite runs what is left of
//! it. That is right only where each of them is evaluated exactly once, whatever the others give: anywhere else (a
//! SELECT with tables, inside of IF, CASE, AND, OR, in a statement that writes) the binder refuses them by name.

use std::sync::Arc;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    ObjectName, Query, SelectItem, SetExpr,
};

use super::set::{scalar, select_of};
use super::{Context, Cursor};
use crate::error::SqlError;
use crate::plan::{Call, CallFunction, Plan};
use p2pdb_model::catalog::Routine;
use p2pdb_model::ids::ObjectKind;

/// What a call is named while it is bound, with its number behind; no name of MySQL begins like this.
pub(crate) const CALL: &str = "\u{1}CALL";

/// `DO expression, …`: a SELECT whose row nobody sees.
pub(super) fn do_(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.expect("do")?;
    let all = c.list(Cursor::expr)?;
    let mut query = select_of(all);
    let calls = take(&mut query, cx)?;
    let plan = crate::bind::statement::plan(&query, cx)?;
    Ok(Plan { fields: Arc::from([]), calls, ..plan })
}

/// Takes the calls out of a SELECT without tables.
///
/// # Errors
/// 1582 and those of binding their arguments.
pub(crate) fn take(query: &mut Query, cx: &Context<'_>) -> Result<Vec<Call>, SqlError> {
    let mut calls = Vec::new();
    let bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    if let SetExpr::Select(select) = query.body.as_mut()
        && bare
        && select.from.is_empty()
        && select.selection.is_none()
        && select.having.is_none()
        && matches!(&select.group_by, GroupByExpr::Expressions(e, _) if e.is_empty())
    {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } = item {
                lift(e, cx, &mut calls)?;
            }
        }
    }
    Ok(calls)
}

fn lift(e: &mut Expr, cx: &Context<'_>, calls: &mut Vec<Call>) -> Result<(), SqlError> {
    match e {
        Expr::Function(f) => {
            let name = f.name.to_string().to_uppercase();
            if let Some(routine) = stored(f, cx) {
                cx.source.needs.calls(routine.id, &routine.database, &routine.name);
                return lift_stored(f, &routine, cx, calls);
            }
            let Some((function, count)) = CallFunction::named(&name) else {
                if let ("COALESCE" | "IFNULL", [first, ..]) = (name.as_str(), args_mut(f)) {
                    return arg_mut(first).map_or(Ok(()), |e| lift(e, cx, calls));
                }
                return Ok(());
            };
            if function != CallFunction::WaitForGtids {
                cx.source.is_unsafe.set(true);
            }
            let args = args_mut(f);
            if !count.contains(&args.len()) {
                let message = format!("Incorrect parameter count in the call to native function '{name}'");
                return Err(SqlError::new(1582, "42000", message));
            }
            let args =
                args.iter_mut().filter_map(arg_mut).map(|e| scalar(e, cx)).collect::<Result<_, _>>()?;
            // What it gives: a truth value, an unsigned integer, one that is never NULL, or both of these.
            let letter = match function {
                CallFunction::GetLock | CallFunction::ReleaseLock | CallFunction::IsFreeLock => "B",
                CallFunction::IsUsedLock => "U",
                CallFunction::ReleaseAllLocks => "V",
                CallFunction::Sleep => "N",
                _ => "",
            };
            f.name = ObjectName::from(vec![Ident::new(format!("{CALL}{}{letter}", calls.len()))]);
            f.args = FunctionArguments::None;
            calls.push(Call { function, args });
            Ok(())
        }
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => Ok(()),
        Expr::BinaryOp { left, right, .. } => {
            lift(left, cx, calls)?;
            lift(right, cx, calls)
        }
        Expr::Nested(e)
        | Expr::UnaryOp { expr: e, .. }
        | Expr::Cast { expr: e, .. }
        | Expr::IsNull(e)
        | Expr::IsNotNull(e)
        | Expr::IsTrue(e)
        | Expr::IsNotTrue(e)
        | Expr::IsFalse(e)
        | Expr::IsNotFalse(e) => lift(e, cx, calls),
        _ => Ok(()),
    }
}

/// The stored function that is called, if it is one that writes.
fn stored(f: &Function, cx: &Context<'_>) -> Option<Arc<Routine>> {
    if !cx.catalog.has_routines() {
        return None;
    }
    let parts: Vec<&str> = f.name.0.iter().filter_map(|p| p.as_ident()).map(|i| i.value.as_str()).collect();
    let (database, name) = match parts.as_slice() {
        [name] => (cx.session.database.as_deref()?, *name),
        [database, name] => (*database, *name),
        _ => return None,
    };
    let routine = cx.catalog.routine(ObjectKind::Function, database, name)?;
    crate::routine::writes(cx.catalog, routine).then(|| routine.clone())
}

fn lift_stored(
    f: &mut Function,
    routine: &Routine,
    cx: &Context<'_>,
    calls: &mut Vec<Call>,
) -> Result<(), SqlError> {
    let args = args_mut(f);
    let wanted = crate::routine::parameters_of(routine)?.len();
    if args.len() != wanted {
        let message = format!(
            "Incorrect number of arguments for FUNCTION {}.{}; expected {wanted}, got {}",
            routine.database,
            routine.name,
            args.len()
        );
        return Err(SqlError::new(1318, "42000", message));
    }
    let args = args.iter_mut().filter_map(arg_mut).map(|e| scalar(e, cx)).collect::<Result<_, _>>()?;
    f.name = ObjectName::from(vec![Ident::new(format!("{CALL}{}:{}", calls.len(), routine.id.to_hex()))]);
    f.args = FunctionArguments::None;
    calls.push(Call { function: CallFunction::Routine(routine.id), args });
    Ok(())
}

/// Takes the stored functions that write out of a value of an INSERT, which is evaluated once.
pub(crate) fn take_stored(e: &mut Expr, cx: &Context<'_>, calls: &mut Vec<Call>) -> Result<(), SqlError> {
    if !cx.catalog.has_routines() {
        return Ok(());
    }
    match e {
        Expr::Function(f) => match stored(f, cx) {
            Some(routine) => lift_stored(f, &routine, cx, calls),
            None => Ok(()),
        },
        Expr::Nested(e) | Expr::Cast { expr: e, .. } | Expr::UnaryOp { expr: e, .. } => {
            take_stored(e, cx, calls)
        }
        Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. } => Ok(()),
        Expr::BinaryOp { left, right, .. } => {
            take_stored(left, cx, calls)?;
            take_stored(right, cx, calls)
        }
        _ => Ok(()),
    }
}

fn args_mut(f: &mut Function) -> &mut [FunctionArg] {
    match &mut f.args {
        FunctionArguments::List(l) => &mut l.args,
        _ => &mut [],
    }
}

fn arg_mut(a: &mut FunctionArg) -> Option<&mut Expr> {
    match a {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
        _ => None,
    }
}
