//! Expressions and queries as the schema keeps them: MySQL text with names in backquotes, every operator in its own
//! parentheses, and (queries) every table under its database.
//!
//! The text is read again by this crate, on every node; a form that the printer does not know is printed as
//! `sqlparser` does.

use std::fmt::Display;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Query, SetExpr, UnaryOperator, Value, ValueWithSpan, VisitMut, VisitorMut,
    visit_expressions, visit_expressions_mut, visit_relations, visit_relations_mut,
};

use crate::error::SqlError;
use crate::front::forms;
use crate::schema_text::{literal, quote};

/// Turns `||` as PIPES_AS_CONCAT has it into CONCAT(), which means the same in every mode.
///
/// # Errors
/// None that a caller could cause.
pub fn without_pipes(query: &mut Query) -> Result<(), SqlError> {
    let concat = crate::statement::expression_text("concat(1,2)")?;
    let _ = visit_expressions_mut(query, |e| {
        if let Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } = e {
            let mut call = concat.clone();
            if let Expr::Function(f) = &mut call
                && let FunctionArguments::List(l) = &mut f.args
            {
                l.args = [left, right]
                    .map(|side| FunctionArg::Unnamed(FunctionArgExpr::Expr(side.as_ref().clone())))
                    .to_vec();
            }
            *e = call;
        }
        ControlFlow::<()>::Continue(())
    });
    Ok(())
}

/// The canonical text of an expression.
pub fn expression(e: &Expr) -> String {
    let list = |all: &[Expr]| all.iter().map(expression).collect::<Vec<_>>().join(",");
    let not = |negated: &bool| if *negated { "not " } else { "" };
    match e {
        Expr::Nested(inner) => expression(inner),
        Expr::Identifier(i) if i.value.starts_with('@') => i.value.clone(),
        Expr::Identifier(i) => quote(&i.value),
        // The table of a column in a CHECK or DEFAULT is the table itself.
        Expr::CompoundIdentifier(parts) => parts.last().map(|i| quote(&i.value)).unwrap_or_default(),
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(s) | Value::DoubleQuotedString(s) => format!("_utf8mb4{}", literal(s)),
            Value::Boolean(b) => b.to_string(),
            Value::Null => "NULL".to_owned(),
            Value::HexStringLiteral(s) => format!("0x{}", s.to_uppercase()),
            other => other.to_string(),
        },
        Expr::Prefixed { prefix, value } => {
            let text = match value.as_ref() {
                Expr::Value(v) => match &v.value {
                    Value::SingleQuotedString(s) | Value::DoubleQuotedString(s) => literal(s),
                    other => other.to_string(),
                },
                other => expression(other),
            };
            format!("{}{text}", prefix.value.to_lowercase())
        }
        Expr::IsNull(x) => format!("({} is null)", expression(x)),
        Expr::IsNotNull(x) => format!("({} is not null)", expression(x)),
        Expr::IsTrue(x) => format!("({} is true)", expression(x)),
        Expr::IsNotTrue(x) => format!("({} is not true)", expression(x)),
        Expr::IsFalse(x) => format!("({} is false)", expression(x)),
        Expr::IsNotFalse(x) => format!("({} is not false)", expression(x)),
        Expr::InList { expr, list: all, negated } => {
            format!("({} {}in ({}))", expression(expr), not(negated), list(all))
        }
        Expr::Between { expr, negated, low, high } => {
            format!(
                "({} {}between {} and {})",
                expression(expr),
                not(negated),
                expression(low),
                expression(high)
            )
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
            format!("({} {}like {})", expression(expr), not(negated), expression(pattern))
        }
        Expr::RLike { negated, expr, pattern, .. } => {
            format!("({} {}regexp {})", expression(expr), not(negated), expression(pattern))
        }
        // So that it means the same without PIPES_AS_CONCAT.
        Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } => {
            format!("concat({},{})", expression(left), expression(right))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Arrow, right } => {
            format!("json_extract({},{})", expression(left), expression(right))
        }
        Expr::BinaryOp { left, op: BinaryOperator::LongArrow, right } => {
            format!("json_unquote(json_extract({},{}))", expression(left), expression(right))
        }
        Expr::BinaryOp { left, op, right } => {
            let op = match op {
                BinaryOperator::And => "and".to_owned(),
                BinaryOperator::Or => "or".to_owned(),
                BinaryOperator::Xor => "xor".to_owned(),
                BinaryOperator::MyIntegerDivide => "DIV".to_owned(),
                other => other.to_string(),
            };
            format!("({} {op} {})", expression(left), expression(right))
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => format!("(not({}))", expression(expr)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(_) => format!("-{}", expression(expr)),
            _ => format!("-({})", expression(expr)),
        },
        Expr::Function(f) if f.over.is_none() && f.filter.is_none() && f.within_group.is_empty() => {
            let name = f.name.to_string().to_lowercase();
            match &f.args {
                FunctionArguments::None => name,
                FunctionArguments::List(l) if l.duplicate_treatment.is_none() && l.clauses.is_empty() => {
                    let args: Option<Vec<_>> = l
                        .args
                        .iter()
                        .map(|a| match a {
                            FunctionArg::Unnamed(FunctionArgExpr::Expr(x)) => Some(expression(x)),
                            _ => None,
                        })
                        .collect();
                    match args {
                        Some(args) => format!("{name}({})", args.join(",")),
                        None => printed(e),
                    }
                }
                _ => printed(e),
            }
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            let mut out = "(case".to_owned();
            if let Some(x) = operand {
                out += &format!(" {}", expression(x));
            }
            for c in conditions {
                out += &format!(" when {} then {}", expression(&c.condition), expression(&c.result));
            }
            if let Some(x) = else_result {
                out += &format!(" else {}", expression(x));
            }
            out + " end)"
        }
        Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None, .. } => {
            format!("cast({} as {})", expression(expr), data_type.to_string().to_lowercase())
        }
        other => printed(other),
    }
}

/// What `sqlparser` prints, with the strings as MySQL reads them: it leaves backslashes as they are, and does not know which
/// quotes are escaped already.
fn printed<T: VisitMut + Clone + Display>(node: &T) -> String {
    let mut node = node.clone();
    let _ = VisitMut::visit(&mut node, &mut Verbatim);
    node.to_string()
}

/// Puts the text of string literals in their place.
struct Verbatim;

impl VisitorMut for Verbatim {
    type Break = ();

    fn pre_visit_value(&mut self, v: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::SingleQuotedString(s) | Value::DoubleQuotedString(s) = &v.value {
            v.value = Value::Placeholder(literal(s));
        }
        ControlFlow::Continue(())
    }
}

/// The columns that an expression names, unqualified.
pub fn columns_of(e: &Expr) -> Vec<String> {
    let mut all = Vec::new();
    let _ = visit_expressions(e, |e| {
        match e {
            Expr::Identifier(i) if !i.value.starts_with('@') => all.push(i.value.clone()),
            Expr::CompoundIdentifier(parts) => all.extend(parts.last().map(|i| i.value.clone())),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    all
}

/// Gives the columns that an expression names other names, where there is one; true when there was any.
pub fn rename_columns(e: &mut Expr, name: &mut dyn FnMut(&str) -> Option<String>) -> bool {
    let mut changed = false;
    let mut rename = |i: &mut Ident| {
        if let Some(new) = name(&i.value) {
            *i = Ident::with_quote('`', new);
            changed = true;
        }
    };
    let _ = visit_expressions_mut(e, |e| {
        match e {
            Expr::Identifier(i) if !i.value.starts_with('@') => rename(i),
            Expr::CompoundIdentifier(parts) => parts.last_mut().into_iter().for_each(&mut rename),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    changed
}

/// What a CHECK or DEFAULT must not hold: subqueries, variables, parameters; gives its name.
pub fn forbidden(e: &Expr) -> Option<&'static str> {
    let mut found = None;
    let _ = visit_expressions(e, |e| {
        found = match e {
            Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => Some("a subquery"),
            Expr::Identifier(i) if i.value.starts_with('@') => Some("a variable"),
            Expr::CompoundIdentifier(p) if p.first().is_some_and(|i| i.value.starts_with('@')) => {
                Some("a variable")
            }
            Expr::Value(v) if matches!(v.value, Value::Placeholder(_)) => Some("a parameter"),
            Expr::Function(f) if f.over.is_some() => Some("a window function"),
            _ => return ControlFlow::Continue(()),
        };
        ControlFlow::Break(())
    });
    found
}

/// What an expression of a CHECK or generated column holds that is not of the row alone.
pub enum Unfit {
    /// A subquery, variable, parameter, aggregate or window function.
    Form(&'static str),
    /// A function whose value is not that of its arguments.
    Function(String),
}

/// The first thing in the expression that may not stand in a CHECK or generated column.
pub fn unfit(e: &Expr) -> Option<Unfit> {
    if let Some(form) = forbidden(e) {
        return Some(Unfit::Form(form));
    }
    let functions = functions_of(e);
    if functions.iter().any(|f| crate::bind::aggregate::is_aggregate(&f.to_uppercase())) {
        return Some(Unfit::Form("an aggregate"));
    }
    functions.into_iter().find(|f| unstable(f)).map(Unfit::Function)
}

/// Functions whose value is not that of their arguments.
fn unstable(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "benchmark",
        "connection_id",
        "curdate",
        "current_date",
        "current_role",
        "current_time",
        "current_timestamp",
        "current_user",
        "curtime",
        "database",
        "found_rows",
        "get_lock",
        "is_free_lock",
        "is_used_lock",
        "last_insert_id",
        "load_file",
        "localtime",
        "localtimestamp",
        "match",
        "name_const",
        "now",
        "rand",
        "random_bytes",
        "release_all_locks",
        "release_lock",
        "row_count",
        "schema",
        "session_user",
        "sleep",
        "statement_digest",
        "statement_digest_text",
        "sysdate",
        "system_user",
        "unix_timestamp",
        "user",
        "utc_date",
        "utc_time",
        "utc_timestamp",
        "uuid",
        "uuid_short",
        "version",
        "wait_for_executed_gtid_set",
    ];
    NAMES.binary_search(&name).is_ok()
}

/// The lower-case names of the functions that an expression calls.
pub fn functions_of(e: &Expr) -> Vec<String> {
    let mut all = Vec::new();
    let _ = visit_expressions(e, |e| {
        match e {
            Expr::Function(f) if forms::is_match(f) => all.push("match".to_owned()),
            Expr::Function(f) => all.push(f.name.to_string().to_lowercase()),
            Expr::MatchAgainst { .. } => all.push("match".to_owned()),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    all
}

/// A MATCH in the query has something else behind AGAINST than a literal, which its text would not show.
pub fn searches_for_expression(query: &Query) -> bool {
    let found = visit_expressions(query, |e| match e {
        Expr::Function(f) if forms::is_match(f) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Gives every table of a query its database; names of common table expressions stay as they are.
pub fn qualify(query: &mut Query, database: &str) {
    let mut ctes = Vec::new();
    collect_ctes(query, &mut ctes);
    let _ = visit_relations_mut(query, |name: &mut ObjectName| {
        let [ObjectNamePart::Identifier(only)] = name.0.as_slice() else {
            return ControlFlow::<()>::Continue(());
        };
        if !ctes.iter().any(|c: &String| c.eq_ignore_ascii_case(&only.value)) {
            name.0.insert(0, ObjectNamePart::Identifier(Ident::with_quote('`', database)));
        }
        ControlFlow::Continue(())
    });
}

fn collect_ctes(query: &Query, all: &mut Vec<String>) {
    if let Some(with) = &query.with {
        for cte in &with.cte_tables {
            all.push(cte.alias.name.value.clone());
            collect_ctes(&cte.query, all);
        }
    }
    if let SetExpr::Query(inner) = query.body.as_ref() {
        collect_ctes(inner, all);
    }
}

/// The tables that a query reads, as (database, name), CTEs included under their bare names.
pub fn relations(query: &Query) -> Vec<(Option<String>, String)> {
    let mut all = Vec::new();
    let _ = visit_relations(query, |name: &ObjectName| {
        let part = |p: &ObjectNamePart| p.as_ident().map(|i| i.value.clone());
        match name.0.as_slice() {
            [only] => all.extend(part(only).map(|n| (None, n))),
            [db, only] => all.extend(part(only).map(|n| (part(db), n))),
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    all
}

/// A query as text: every name in backquotes where it was not.
pub fn query(q: &Query) -> String {
    printed(q)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::dialect::MySqlDialect;
    use sqlparser::parser::Parser;

    fn parse(text: &str) -> Expr {
        let mut p = Parser::new(&MySqlDialect {}).try_with_sql(text).unwrap();
        p.parse_expr().unwrap()
    }

    #[test]
    fn expressions_are_printed_as_mysql_prints_them_and_read_back_the_same() {
        for (text, want) in [
            ("a > 0", "(`a` > 0)"),
            ("a > 0 AND (b < 5 OR t.c IS NULL)", "((`a` > 0) and ((`b` < 5) or (`c` is null)))"),
            ("status IN ('a', 'it''s')", "(`status` in (_utf8mb4'a',_utf8mb4'it''s'))"),
            ("_binary'x' = doc->>'$.a'", "(_binary'x' = json_unquote(json_extract(`doc`,_utf8mb4'$.a')))"),
            ("x BETWEEN 1 AND 2", "(`x` between 1 and 2)"),
            ("NOT LENGTH(x) = 2", "(not((length(`x`) = 2)))"),
            ("-x + -1", "(-(`x`) + -1)"),
            ("uuid()", "uuid()"),
            ("now() + INTERVAL 1 DAY", "(now() + INTERVAL 1 DAY)"),
        ] {
            let once = expression(&parse(text));
            assert_eq!(once, want);
            assert_eq!(expression(&parse(&once)), once);
        }
    }
}
