//! GROUP BY … WITH ROLLUP: one SELECT for each number of grouping columns that count, all in one UNION ALL.
//!
//! A grouping expression that is rolled up is NULL wherever the select list, HAVING or ORDER BY use it outside of
//! aggregates ([`Group::rolled`](super::scope::Group) says which are). Without ORDER BY the rows come in the order of the
//! groups, each followed by its total.

use std::rc::Rc;

use p2pdb_model::catalog::same_name;
use sqlparser::ast::{Expr, LimitClause, OrderBy, OrderBySort, Select};

use super::call::Call;
use super::query::{
    BoundQuery, collate_clause, expression_field, having_scope, order_expressions, sort_sql, with_aliases,
};
use super::scope::{Aliases, Group};
use super::{Binder, Bound, Repr, Scope};
use crate::error::SqlError;
use crate::field::{Field, FieldKind, FieldType};
use crate::types::Class;

/// Columns that GROUPING() takes.
const GROUPING_MAX: usize = 64;

/// The parts of a SELECT that all levels share.
pub(super) struct Levels<'q> {
    pub(super) q: &'q Select,
    pub(super) order: Option<&'q OrderBy>,
    pub(super) limit: Option<&'q LimitClause>,
    pub(super) from_sql: &'q str,
    pub(super) conditions: &'q [String],
    /// The scope of the select list, without groups.
    pub(super) base: Scope,
    pub(super) groups: &'q [Bound],
    /// The same as they were parsed; those that name one of the select list are that one.
    pub(super) asts: &'q [&'q Expr],
    /// The groups as GROUP BY names them.
    pub(super) group_by: &'q [String],
    pub(super) expressions: Vec<String>,
    pub(super) determined: std::collections::HashSet<String>,
    pub(super) top: bool,
}

impl Binder<'_> {
    pub(super) fn rollup(&mut self, l: Levels<'_>) -> Result<BoundQuery, SqlError> {
        if l.q.distinct.is_some() {
            return Err(SqlError::unsupported("DISTINCT with ROLLUP"));
        }
        let mut columns: Vec<Field> = Vec::new();
        let mut levels = Vec::new();
        let mut free = Vec::new();
        let mut parts = Vec::new();
        let mut keys: Vec<String> = Vec::new();
        for rolled in (0..=l.groups.len()).rev() {
            let group = Group {
                expressions: l.expressions.clone(),
                determined: l.determined.clone(),
                rolled: Some(rolled),
            };
            let scope = Rc::new(Scope { group: Some(Rc::new(group)), ..l.base.clone() });
            let mut items = self.items(l.q, &scope, l.top)?;
            // Constants and subqueries are no part of the scope's groups: they are known by their place.
            for item in &mut items {
                let is_rolled = |e: &Expr| l.asts[rolled..].iter().any(|g| std::ptr::eq(*g, e));
                if item.expr.is_some_and(is_rolled) {
                    item.bound.repr = Repr::Sql("NULL".to_owned());
                    item.bound.not_null = false;
                }
            }
            let names = Rc::new(items.iter().map(|i| (i.name.clone(), i.bound.clone())).collect::<Vec<_>>());
            let having_scope = having_scope(&scope, &names, l.groups);
            let having = l.q.having.as_ref().map(|e| self.expr(e, &having_scope)).transpose()?;
            if items.iter().any(|i| i.bound.window) {
                return Err(SqlError::unsupported("window functions with ROLLUP"));
            }
            let mut outputs = Vec::new();
            for (n, i) in items.iter().enumerate() {
                if rolled == l.groups.len() {
                    super::select::check_group(&i.bound, l.base.id, false, n + 1, "SELECT list")?;
                    let mut f = match &i.bound.field {
                        Some(f) => Field { name: i.name.clone(), ..(**f).clone() },
                        None => expression_field(&i.name, &i.bound),
                    };
                    // The totals have NULL.
                    f.not_null &= i.bound.aggregate;
                    if l.order.is_some() && i.bound.class() == Class::Int && !i.bound.aggregate {
                        f.ty.kind = FieldKind::LongLong;
                    }
                    columns.push(f);
                    levels.push(i.bound.coercibility);
                    free.extend(i.bound.free.iter().filter(|f| f.scope != l.base.id).cloned());
                }
                let b = self.to(&i.bound, &columns[n].ty.clone());
                outputs.push(format!("{} AS c{n}", self.sql(&b)));
            }
            let mut own_keys = Vec::new();
            for (k, o) in order_expressions(l.order)?.iter().enumerate() {
                let desc = if matches!(o.options.sort, Some(OrderBySort::Desc)) { " DESC" } else { "" };
                let mut place = self.position(&o.expr, items.len(), "order clause")?;
                if let (None, Expr::Identifier(i)) = (place, &o.expr) {
                    place = items.iter().position(|x| x.alias && same_name(&x.name, &i.value));
                }
                let (name, ty) = match place {
                    Some(n) => (format!("c{n}"), columns[n].ty.clone()),
                    None => {
                        let scope = with_aliases(&scope, "order clause", &names, Aliases::First);
                        let b = self.expr(&o.expr, &scope)?;
                        outputs.push(format!("{} AS o{k}", self.sql(&b)));
                        (format!("o{k}"), b.ty)
                    }
                };
                own_keys.push(format!("{}{}{desc}", sort_sql(&name, &ty), collate_clause(&ty)));
            }
            if l.order.is_none() {
                for (j, g) in l.groups.iter().enumerate() {
                    let value = if j < rolled { self.sql(g) } else { "NULL".to_owned() };
                    outputs.push(format!("{} AS r{j},{value} AS g{j}", u8::from(j >= rolled)));
                    own_keys.push(format!(
                        "r{j},{}{}",
                        sort_sql(&format!("g{j}"), &g.ty),
                        collate_clause(&g.ty)
                    ));
                }
            }
            // Makes the level without groups one row, also of an empty table.
            outputs.push("count(*) AS n".to_owned());
            let mut sql = format!("SELECT {}", outputs.join(","));
            if !l.from_sql.is_empty() {
                sql += &format!(" FROM {}", l.from_sql);
            }
            if !l.conditions.is_empty() {
                sql += &format!(" WHERE {}", l.conditions.join(" AND "));
            }
            if rolled > 0 {
                sql += &format!(" GROUP BY {}", l.group_by[..rolled].join(","));
            }
            if let Some(h) = &having {
                sql += &format!(" HAVING {}", self.truth(h));
            }
            parts.push(sql);
            keys = own_keys;
        }
        let list: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
        let unlimited = format!("SELECT {} FROM ({})", list.join(","), parts.join(" UNION ALL "));
        let sql = format!("{unlimited} ORDER BY {}{}", keys.join(","), self.limit(l.limit)?);
        let found = l.q.select_modifiers.as_ref().is_some_and(|m| m.sql_calc_found_rows);
        Ok(BoundQuery {
            sql,
            columns,
            coercibility: levels,
            single_row: false,
            free,
            locking: None,
            found_rows: found.then(|| format!("SELECT count(*) FROM ({unlimited})")),
            by_key: false,
        })
    }

    /// GROUPING(a, …): for each argument, from the last one up, a bit that says whether it is rolled up in this row.
    pub(crate) fn grouping(&mut self, call: &Call<'_>, s: &Rc<Scope>) -> Result<Bound, SqlError> {
        let wrong = |n: usize| {
            let message = format!("Argument #{n} of GROUPING function is not in GROUP BY");
            SqlError::new(3148, "HY000", message)
        };
        let Some(group) = s.group.clone() else { return Err(wrong(0)) };
        if call.args.is_empty() || call.args.len() > GROUPING_MAX {
            return Err(SqlError::syntax("GROUPING()", 1));
        }
        // Its arguments are columns and expressions of GROUP BY, not of the select list.
        let plain = Rc::new(Scope { group: None, having: None, names: Rc::default(), ..(**s).clone() });
        let mut bits = 0i64;
        for (n, e) in call.args.iter().enumerate() {
            let b = self.expr(e, &plain)?;
            let sql = match &b.repr {
                Repr::Sql(sql) => sql.clone(),
                Repr::Slot(_) => return Err(wrong(n)),
            };
            let at = group.expressions.iter().position(|g| *g == sql).ok_or_else(|| wrong(n))?;
            bits = bits << 1 | i64::from(group.rolled.is_some_and(|r| at >= r));
        }
        let mut b = self.small(bits);
        b.ty = FieldType { length: 21, ..FieldType::int() };
        // It has a value for each row of the groups only.
        b.aggregate = true;
        Ok(b)
    }
}
