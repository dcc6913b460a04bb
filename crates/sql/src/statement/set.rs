//! SET in all its forms.
//!
//! A constant, `@x` or `@@x` becomes a slot; any other expression becomes a SQLite query with one column. Names and
//! scopes are checked here, values when the command runs.

use p2pdb_model::Value;
use sqlparser::ast::{Expr, Query, SelectItem, SetExpr, UnaryOperator, Value as AstValue, ValueWithSpan};
use sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::plan::{
    CallFunction, Coerce, OutTarget, Plan, PlanKind, Scalar, ScalarQuery, SessionCommand, Slot, Source,
};
use crate::session::Isolation;
use crate::statement::transaction::eat_user_variable;
use crate::statement::{Context, Cursor, commands, compile_query};
use crate::variables;

/// A constant that is its own type: an integer, a double, text or NULL.
pub(super) fn constant(value: Value) -> Scalar {
    Scalar::Slot(Slot { source: Source::Const(value), coerce: Coerce::None })
}

fn text(value: &str) -> Scalar {
    constant(Value::Text(value.to_owned()))
}

/// SET.
pub(super) fn set(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.expect("set")?;
    if c.eat("transaction") {
        return Ok(commands(set_transaction(c, None)?));
    }
    if c.is("password") || c.is("role") || c.is("default role") || c.is("resource group") {
        // Only the word: what follows may be a password.
        let what =
            c.rest().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_uppercase();
        return Err(SqlError::unsupported(format!("SET {what}")));
    }
    if let Some(plan) = of_function(c, cx)? {
        return Ok(plan);
    }
    let mut all = Vec::new();
    let mut global = false;
    loop {
        one(c, cx, &mut global, &mut all)?;
        if !c.eat_token(&Token::Comma) {
            return Ok(commands(all));
        }
    }
}

/// `SET @x = f()` of a stored function that writes is `SELECT f() INTO @x`; nothing is taken when it is not.
fn of_function(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Option<Plan>, SqlError> {
    if !cx.catalog.has_routines() {
        return Ok(None);
    }
    let mark = c.mark();
    let name = eat_user_variable(c)?;
    let Some(name) = name.filter(|_| c.eat_assign()) else {
        c.back(mark);
        return Ok(None);
    };
    let expr = c.expr()?;
    if c.at_end() {
        let mut query = select_of(vec![expr]);
        let calls = super::calls::take(&mut query, cx)?;
        if calls.iter().any(|c| matches!(c.function, CallFunction::Routine(_))) {
            let mut plan = crate::bind::statement::plan(&query, cx)?;
            let ty = plan.fields.first().map(|f| f.ty.clone());
            if let (PlanKind::Query(q), Some(ty)) = (&mut plan.kind, ty) {
                q.into = vec![(OutTarget::User(name), ty)];
            }
            return Ok(Some(Plan { calls, fields: std::sync::Arc::from([]), ..plan }));
        }
    }
    c.back(mark);
    Ok(None)
}

fn one(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    global: &mut bool,
    all: &mut Vec<SessionCommand>,
) -> Result<(), SqlError> {
    if c.eat("names") {
        let charset = c.word_or_string()?;
        let collation = if c.eat("collate") { Some(c.word_or_string()?) } else { None };
        let set = if charset.eq_ignore_ascii_case("default") { "utf8mb4" } else { charset.as_str() };
        let set = variables::charset(set)?;
        if let Some(name) = &collation {
            variables::collation_of_charset(name, set)?;
        }
        all.push(SessionCommand::SetNames(set.to_owned(), collation));
        return Ok(());
    }
    if c.eat("character set") || c.eat("charset") {
        let name = c.word_or_string()?;
        let set = if name.eq_ignore_ascii_case("default") { "utf8mb4" } else { variables::charset(&name)? };
        for (name, value) in [
            ("character_set_client", set),
            ("character_set_results", set),
            ("collation_connection", "utf8mb4_0900_ai_ci"),
        ] {
            let value = Some(text(value));
            all.push(SessionCommand::SetVariable { global: false, name: name.to_owned(), value });
        }
        return Ok(());
    }
    if let Some(name) = eat_user_variable(c)? {
        if !c.eat_assign() {
            return Err(c.error());
        }
        let expr = c.expr()?;
        all.push(SessionCommand::SetUser { name, value: scalar(&expr, cx)? });
        return Ok(());
    }
    let name = match eat_system_variable(c)? {
        Some((scope, name)) => {
            return assign(c, cx, scope == Some(true), name, all);
        }
        None => {
            match c.eat_one(&["global", "persist", "persist_only", "session", "local"]) {
                Some("persist" | "persist_only") => return Err(SqlError::unsupported("SET PERSIST")),
                Some("global") => *global = true,
                Some(_) => *global = false,
                None => {}
            }
            if c.eat("transaction") {
                all.extend(set_transaction(c, Some(*global))?);
                return Ok(());
            }
            // The deprecated `SET GLOBAL @@name` is not MySQL's; a name follows.
            let name = c.name()?;
            if c.token(0) == &Token::Period {
                let whole = format!("{name}.{}", {
                    c.skip();
                    c.name_after_point()?
                });
                return Err(SqlError::unknown_variable(whole));
            }
            name
        }
    };
    assign(c, cx, *global, name.to_lowercase(), all)
}

/// `@@[global.|session.|local.]name`: the scope that was said (true: global) and the name in lower case.
pub(super) fn eat_system_variable(
    c: &mut Cursor<'_, '_>,
) -> Result<Option<(Option<bool>, String)>, SqlError> {
    let first = match (c.token(0), c.token(1)) {
        (Token::Word(w), _) if w.quote_style.is_none() && w.value.starts_with("@@") => {
            let word = w.value[2..].to_owned();
            c.skip();
            word
        }
        (Token::AtAt, _) => {
            c.skip();
            String::new()
        }
        _ => return Ok(None),
    };
    let first = if first.is_empty() { c.name_after_point()? } else { first };
    let first = match first.split_once('.') {
        Some((scope, name)) => {
            let global = match scope.to_ascii_lowercase().as_str() {
                "global" => true,
                "persist" | "persist_only" => return Err(SqlError::unsupported("SET PERSIST")),
                "session" | "local" => false,
                _ => return Err(SqlError::unknown_variable(first)),
            };
            return Ok(Some((Some(global), name.to_lowercase())));
        }
        None => first,
    };
    let scope = match first.to_ascii_lowercase().as_str() {
        "global" => Some(true),
        "persist" | "persist_only" => return Err(SqlError::unsupported("SET PERSIST")),
        "session" | "local" => Some(false),
        _ => None,
    };
    if c.eat_token(&Token::Period) {
        let name = c.name_after_point()?;
        if scope.is_none() {
            return Err(SqlError::unknown_variable(format!("{first}.{name}")));
        }
        return Ok(Some((scope, name.to_lowercase())));
    }
    Ok(Some((None, first.to_lowercase())))
}

fn assign(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    global: bool,
    name: String,
    all: &mut Vec<SessionCommand>,
) -> Result<(), SqlError> {
    if !c.eat_assign() {
        return Err(c.error());
    }
    let variable = variables::find(&name).ok_or_else(|| SqlError::unknown_variable(&name))?;
    let value = if c.eat("default") {
        None
    } else if let Some(word) = bare_word(c) {
        Some(text(&word))
    } else {
        let expr = c.expr()?;
        Some(match &expr {
            Expr::Identifier(i) if !i.value.starts_with('@') => text(&i.value),
            _ => scalar(&expr, cx)?,
        })
    };
    variables::writable(variable, global)?;
    all.push(SessionCommand::SetVariable { global, name, value });
    Ok(())
}

/// A word that stands alone as the value: `ON`, `BINARY`, `ANSI`, …
fn bare_word(c: &mut Cursor<'_, '_>) -> Option<String> {
    let Token::Word(w) = c.token(0) else {
        return None;
    };
    let keeps_meaning = ["true", "false", "null"].iter().any(|k| w.value.eq_ignore_ascii_case(k));
    let ends = matches!(c.token(1), Token::Comma | Token::EOF | Token::SemiColon);
    if keeps_meaning || !ends || w.value.starts_with('@') {
        return None;
    }
    let word = w.value.clone();
    c.skip();
    Some(word)
}

/// `TRANSACTION` was read: `ISOLATION LEVEL …`, `READ WRITE`, `READ ONLY`. `global` is the scope that was said.
fn set_transaction(c: &mut Cursor<'_, '_>, global: Option<bool>) -> Result<Vec<SessionCommand>, SqlError> {
    let (mut level, mut read_only) = (None, None);
    c.list(|c| {
        if level.is_none() && c.eat("isolation level") {
            let found = Isolation::ALL.into_iter().find(|i| c.eat(&i.name().replace('-', " ")));
            level = Some(found.ok_or_else(|| c.error())?);
        } else if read_only.is_none() && c.eat("read write") {
            read_only = Some(false);
        } else if read_only.is_none() && c.eat("read only") {
            read_only = Some(true);
        } else {
            return Err(c.error());
        }
        Ok(())
    })?;
    let Some(global) = global else {
        let isolation = level.map(|l| l.name().to_owned());
        return Ok(vec![SessionCommand::NextTransaction { isolation, read_only }]);
    };
    let mut all = Vec::new();
    let mut put = |name: &str, value| {
        all.push(SessionCommand::SetVariable { global, name: name.to_owned(), value: Some(value) });
    };
    if let Some(level) = level {
        put("transaction_isolation", text(level.name()));
    }
    if let Some(read_only) = read_only {
        put("transaction_read_only", constant(Value::Int(read_only.into())));
    }
    Ok(all)
}

/// A value to be computed when the statement runs.
pub(crate) fn scalar(expr: &Expr, cx: &Context<'_>) -> Result<Scalar, SqlError> {
    if let Some(slot) = plain(expr) {
        return Ok(slot);
    }
    if let (Expr::Identifier(i), Some(locals)) = (expr, cx.session.locals_in_sight())
        && let Some(at) = locals.names.find(&i.value)
    {
        return Ok(Scalar::Slot(Slot { source: Source::Local(at), coerce: Coerce::None }));
    }
    let (query, fields) = compile_query(&select_of(vec![expr.clone()]), cx)?;
    let [field] = fields.as_slice() else {
        return Err(SqlError::new(1241, "21000", "Operand should contain 1 column(s)"));
    };
    let query = ScalarQuery { query, field: field.clone() };
    Ok(Scalar::Query(Box::new(query)))
}

/// Constants whose stored form tells their type, and variables.
fn plain(expr: &Expr) -> Option<Scalar> {
    let source = match expr {
        Expr::Nested(inner) => return plain(inner),
        Expr::Value(ValueWithSpan { value, .. }) => Source::Const(match value {
            AstValue::SingleQuotedString(s) | AstValue::DoubleQuotedString(s) => Value::Text(s.clone()),
            AstValue::Number(n, _) => Value::Int(n.parse().ok()?),
            AstValue::Null => Value::Null,
            AstValue::Boolean(b) => Value::Int((*b).into()),
            _ => return None,
        }),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(ValueWithSpan { value: AstValue::Number(n, _), .. }) => {
                Source::Const(Value::Int(-n.parse::<i64>().ok()?))
            }
            _ => return None,
        },
        Expr::Identifier(i) if i.quote_style.is_none() && i.value.starts_with('@') => {
            let name = i.value.to_lowercase();
            if let Some(name) = name.strip_prefix("@@") {
                variables::find(name)?;
                Source::SystemVariable { name: name.to_owned(), global: false }
            } else {
                Source::UserVariable(name.strip_prefix('@').filter(|n| !n.is_empty())?.to_owned())
            }
        }
        Expr::CompoundIdentifier(parts) => {
            let [scope, name] = parts.as_slice() else { return None };
            let global = match scope.value.to_lowercase().as_str() {
                "@@global" => true,
                "@@session" | "@@local" => false,
                _ => return None,
            };
            let name = name.value.to_lowercase();
            variables::find(&name)?;
            Source::SystemVariable { name, global }
        }
        _ => return None,
    };
    Some(Scalar::Slot(Slot { source, coerce: Coerce::None }))
}

/// `SELECT expr, …`.
pub(super) fn select_of(all: Vec<Expr>) -> Query {
    let mut query = crate::statement::query_text("SELECT 1").unwrap_or_else(|_| unreachable!());
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = all.into_iter().map(SelectItem::UnnamedExpr).collect();
    }
    query
}
