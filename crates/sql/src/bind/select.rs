//! One SELECT.

use std::collections::HashSet;
use std::rc::Rc;

use p2pdb_model::catalog::{COLUMN_OVERRIDES, COLUMN_VERSION, same_name};
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, GroupByWithModifier, JoinConstraint, JoinOperator, LimitClause, OrderBy,
    Select, SelectItem, SelectItemQualifiedWildcardKind, TableWithJoins, Value as Ast,
};

use super::compare::strip;
use super::from::conjuncts;
use super::query::{
    BoundQuery, collate_clause, expression_field, having_scope, order_expressions, with_aliases,
};
use super::scope::{Aliases, Group};
use super::{Binder, Bound, Repr, Scope};
use crate::error::SqlError;
use crate::field::Field;
use crate::plan::{Coerce, ConditionRead, Slot, Source};
use crate::session::SqlMode;
use crate::types::Class;

/// Columns of a result (SQLite's limit is 2000).
const COLUMNS_MAX: usize = 2000;

/// An item of the select list.
pub(super) struct Item<'e> {
    pub(super) name: String,
    pub(super) bound: Bound,
    pub(super) expr: Option<&'e Expr>,
    pub(super) alias: bool,
}

impl Binder<'_> {
    /// One SELECT with the ORDER BY and LIMIT of its query.
    pub(crate) fn select(
        &mut self,
        q: &Select,
        order: Option<&OrderBy>,
        limit: Option<&LimitClause>,
        outer: Option<&Rc<Scope>>,
    ) -> Result<BoundQuery, SqlError> {
        refuse(q)?;
        let relevance = std::mem::take(&mut self.relevance);
        // Only this SELECT, not those inside of it, is the recursive part of a WITH.
        let recursion = self.recursion.take();
        if recursion.is_some() {
            self.recursion = recursion.clone();
        }
        let (from_sql, from_scope) = self.from(&q.from, outer)?;
        let recursion = if recursion.is_some() { self.recursion.take() } else { None };
        self.relevance = relevance;
        let result = self.select_from(q, order, limit, outer, from_sql, from_scope, recursion.as_ref());
        if recursion.is_some() {
            self.recursion = recursion;
        }
        result
    }

    #[allow(clippy::too_many_arguments)]
    fn select_from(
        &mut self,
        q: &Select,
        order: Option<&OrderBy>,
        limit: Option<&LimitClause>,
        outer: Option<&Rc<Scope>>,
        from_sql: String,
        from_scope: Rc<Scope>,
        recursion: Option<&super::query::Recursion>,
    ) -> Result<BoundQuery, SqlError> {
        let pinned = self.pin_literals;
        let by_relevance = std::mem::take(&mut self.relevance);
        let group_asts = self.group_expressions(q, &from_scope)?;
        if group_asts.iter().any(|e| !matches!(strip(e), Expr::Identifier(_) | Expr::CompoundIdentifier(_))) {
            // Expressions of GROUP BY are found again by their text.
            self.pin_literals = true;
        }
        let mut conditions = Vec::new();
        let mut short = false;
        let mut relevance = None;
        if let Some(e) = &q.selection {
            let pin = std::mem::replace(&mut self.pin_literals, pinned);
            let s = from_scope.in_clause("where clause");
            short = self.key_lookup(e, &s)?;
            let condition = self.condition(e, &s)?;
            if !short {
                self.condition_read(&condition, &s);
            }
            conditions.push(condition);
            if by_relevance && group_asts.is_empty() {
                relevance = self.by_relevance(e, &s)?;
            }
            self.pin_literals = pin;
        }
        let base =
            Scope { windows: Rc::new(q.named_window.clone()), aggregates: true, ..(*from_scope).clone() };
        // Grouping.
        let only_full = self.mode().has(SqlMode::ONLY_FULL_GROUP_BY);
        let mut groups = Vec::new();
        let group_scope = Rc::new(Scope { aggregates: false, clause: "group statement", ..base.clone() });
        for e in &group_asts {
            groups.push(self.expr(e, &group_scope)?);
        }
        let mut fields_scope = Scope { clause: "field list", ..base };
        if !groups.is_empty() {
            let expressions: Vec<String> = groups.iter().map(|g| self.sql(g)).collect();
            let determined =
                if only_full { determined(q, &from_scope, &expressions, self)? } else { HashSet::new() };
            if rolled_up(q) {
                let group_by = self.group_list(&groups);
                let levels = super::rollup::Levels {
                    q,
                    order,
                    limit,
                    from_sql: &from_sql,
                    conditions: &conditions,
                    base: fields_scope,
                    groups: &groups,
                    asts: &group_asts,
                    group_by: &group_by,
                    expressions,
                    determined,
                    top: outer.is_none() && self.text.is_some(),
                };
                let out = self.rollup(levels);
                self.pin_literals = pinned;
                return out;
            }
            fields_scope.group = Some(Rc::new(Group { expressions, determined, rolled: None }));
        }
        let fields_scope = Rc::new(fields_scope);
        let items = self.items(q, &fields_scope, outer.is_none() && self.text.is_some())?;
        if items.len() > COLUMNS_MAX {
            return Err(SqlError::new(1117, "HY000", "Too many columns"));
        }
        let names: Rc<Vec<(String, Bound)>> =
            Rc::new(items.iter().map(|i| (i.name.clone(), i.bound.clone())).collect());
        let having_scope = having_scope(&fields_scope, &names, &groups);
        let having = q.having.as_ref().map(|e| self.expr(e, &having_scope)).transpose()?;
        let distinct = match &q.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => return Err(SqlError::syntax("DISTINCT ON", 1)),
        };
        let mut keys = self.order_keys(order, &items, &names, &fields_scope, distinct && only_full)?;
        let aggregated = groups.is_empty()
            && (items.iter().any(|i| i.bound.aggregate)
                || having.as_ref().is_some_and(|h| h.aggregate)
                || keys.iter().any(|k| k.1.aggregate));
        if only_full && (aggregated || !groups.is_empty()) {
            let texts = |n: usize| n + 1;
            for (n, i) in items.iter().enumerate() {
                check_group(&i.bound, from_scope.id, aggregated, texts(n), "SELECT list")?;
            }
            if aggregated {
                // One row needs no order.
                keys.clear();
            }
            for (n, k) in keys.iter().enumerate() {
                check_group(&k.1, from_scope.id, aggregated, texts(n), "ORDER BY")?;
            }
        }
        self.pin_literals = pinned;
        // Output.
        let mut outputs = Vec::new();
        let mut columns = Vec::new();
        let mut levels = Vec::new();
        for (n, i) in items.iter().enumerate() {
            let mut b = i.bound.clone();
            if let Some(r) = recursion {
                let Some(ty) = r.types.get(n) else {
                    return Err(SqlError::new(
                        1222,
                        "21000",
                        "The used SELECT statements have a different number of columns",
                    ));
                };
                b = self.to(&b, ty);
            }
            let collate = if distinct { collate_clause(&b.ty) } else { String::new() };
            outputs.push(format!("{}{collate} AS c{n}", self.sql(&b)));
            levels.push(b.coercibility);
            columns.push(match &i.bound.field {
                Some(f) => Field { name: i.name.clone(), ..(**f).clone() },
                None => expression_field(&i.name, &b),
            });
        }
        if let Some(r) = recursion {
            if r.types.len() != items.len() {
                return Err(SqlError::new(
                    1222,
                    "21000",
                    "The used SELECT statements have a different number of columns",
                ));
            }
            if let (true, Some(alias)) = (r.depth, &r.alias) {
                outputs.push(format!("p_depth({alias}.d)"));
            }
        }
        let mut tail = String::new();
        if !from_sql.is_empty() {
            tail += &format!(" FROM {from_sql}");
        }
        let mut having_sql = None;
        if let Some(h) = &having {
            let sql = self.truth(h);
            if aggregated || !groups.is_empty() {
                having_sql = Some(sql);
            } else if h.window {
                let written = q.having.as_ref().map(ToString::to_string).unwrap_or_default();
                let alias = items.iter().find(|i| i.bound.window && i.alias && written.contains(&i.name));
                return Err(match alias {
                    Some(i) => {
                        let message = format!(
                            "You cannot use the alias '{}' of an expression containing a window function in this \
                             context.'",
                            i.name
                        );
                        SqlError::new(3594, "HY000", message)
                    }
                    None => {
                        SqlError::new(3593, "HY000", "You cannot use a window function in this context.'")
                    }
                });
            } else {
                conditions.push(sql);
            }
        }
        if !conditions.is_empty() {
            tail += &format!(" WHERE {}", conditions.join(" AND "));
        }
        if !groups.is_empty() {
            let mut list = self.group_list(&groups);
            if from_scope.relations.len() > 1 && !conditions.is_empty() {
                // Without statistics SQLite takes the order of an index on the groups for worth more than what WHERE leaves
                // of the join, and reads it from end to end. A sign makes it no column of an index.
                let columns = || from_scope.relations.iter().flat_map(|r| &r.columns);
                for (sql, g) in list.iter_mut().zip(&groups) {
                    if g.as_sql().is_some_and(|g| columns().any(|c| c.sql == g)) {
                        sql.insert(0, '+');
                    }
                }
            }
            tail += &format!(" GROUP BY {}", list.join(","));
        }
        if let Some(h) = having_sql {
            tail += &format!(" HAVING {h}");
        }
        let word = if distinct { "SELECT DISTINCT" } else { "SELECT" };
        let mut unlimited = format!("{word} {}{tail}", outputs.join(","));
        if aggregated && having.is_some() && !items.iter().any(|i| i.bound.aggregate) {
            // SQLite takes HAVING only beside an aggregate.
            let list: Vec<String> = (0..items.len()).map(|i| format!("c{i}")).collect();
            let inner = format!("SELECT {},count(*) AS n{tail}", outputs.join(","));
            unlimited = format!("SELECT {} FROM ({inner})", list.join(","));
        }
        let mut sql = unlimited.clone();
        if let Some(relevance) = relevance.filter(|_| keys.is_empty() && !aggregated && !distinct) {
            sql += &format!(" ORDER BY {relevance}");
        }
        if !keys.is_empty() {
            let list: Vec<&str> = keys.iter().map(|k| k.0.as_str()).collect();
            sql += &format!(" ORDER BY {}", list.join(","));
        }
        let mut single_row = (aggregated || from_sql.is_empty()) && recursion.is_none();
        if outer.is_some()
            && limits_to_one(limit)
            && let Some(LimitClause::LimitOffset { limit: Some(Expr::Value(v)), .. }) = limit
        {
            self.literal_value(v)?;
            single_row = true;
        }
        sql += &self.limit(limit)?;
        let found = q.select_modifiers.as_ref().is_some_and(|m| m.sql_calc_found_rows);
        let mut free: Vec<_> = items.iter().flat_map(|i| i.bound.free.clone()).collect();
        free.extend(having.iter().flat_map(|h| h.free.clone()));
        free.retain(|f| f.scope != from_scope.id);
        Ok(BoundQuery {
            sql,
            columns,
            coercibility: levels,
            single_row,
            free,
            locking: None,
            found_rows: found.then(|| format!("SELECT count(*) FROM ({unlimited})")),
            by_key: short,
        })
    }

    /// Groups as GROUP BY names them.
    fn group_list(&mut self, groups: &[Bound]) -> Vec<String> {
        let one = |g: &Bound| {
            let sql = self.sql(g);
            let sql = if g.is_slot() { format!("({sql}||'')") } else { sql };
            format!("{sql}{}", collate_clause(&g.ty))
        };
        groups.iter().map(one).collect()
    }

    /// The expressions of GROUP BY, with positions and names of the select list replaced.
    fn group_expressions<'e>(&mut self, q: &'e Select, s: &Rc<Scope>) -> Result<Vec<&'e Expr>, SqlError> {
        let GroupByExpr::Expressions(all, modifiers) = &q.group_by else {
            return Err(SqlError::syntax("GROUP BY ALL", 1));
        };
        if !modifiers.iter().all(|m| matches!(m, GroupByWithModifier::Rollup)) {
            return Err(SqlError::syntax(&q.group_by.to_string(), 1));
        }
        let mut out = Vec::new();
        for e in all {
            if matches!(e, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)) {
                return Err(SqlError::unsupported("ROLLUP"));
            }
            let item = match self.position(e, q.projection.len(), "group statement")? {
                Some(n) => match &q.projection[n] {
                    SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => Some(e),
                    _ => return Err(SqlError::unsupported("a position in GROUP BY beside *")),
                },
                None => match e {
                    Expr::Identifier(i) if s.resolve(&[&i.value]).is_err() => {
                        q.projection.iter().find_map(|p| match p {
                            SelectItem::ExprWithAlias { expr, alias }
                                if same_name(&alias.value, &i.value) =>
                            {
                                Some(expr)
                            }
                            _ => None,
                        })
                    }
                    _ => None,
                },
            };
            out.push(item.unwrap_or(e));
        }
        Ok(out)
    }

    pub(super) fn items<'e>(
        &mut self,
        q: &'e Select,
        s: &Rc<Scope>,
        top: bool,
    ) -> Result<Vec<Item<'e>>, SqlError> {
        let source = self.text;
        let texts = source.map(|t| t.select_items(q.select_token.0.span)).unwrap_or_default();
        let texts = if texts.len() == q.projection.len() { texts } else { Vec::new() };
        let mut out = Vec::new();
        for (n, p) in q.projection.iter().enumerate() {
            match p {
                SelectItem::UnnamedExpr(e) => {
                    let text = texts.get(n);
                    let bound = self.item(e, s, top)?;
                    let name = match (strip_value(e), &bound.field) {
                        (_, Some(f)) if is_name(e) => f.name.clone(),
                        (Some(t), _) => {
                            if let (Some((range, _)), Some(source)) = (text, source) {
                                source.pin_range(range.clone());
                            }
                            t.trim_start().to_owned()
                        }
                        _ => match (super::call_server::given_name(e), text, source) {
                            (Some(name), ..) => name,
                            (None, Some((range, t)), Some(source)) => {
                                source.pin_range(range.clone());
                                (*t).to_owned()
                            }
                            _ => e.to_string(),
                        },
                    };
                    out.push(Item { name, bound, expr: Some(e), alias: false });
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    let bound = self.item(expr, s, top)?;
                    out.push(Item { name: alias.value.clone(), bound, expr: Some(expr), alias: true });
                }
                SelectItem::Wildcard(_) => {
                    if s.relations.is_empty() {
                        return Err(SqlError::new(1096, "HY000", "No tables used"));
                    }
                    for (r, c) in s.star() {
                        out.push(star_item(s, r, c));
                    }
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let parts: Vec<String> = name
                        .0
                        .iter()
                        .map(|p| p.as_ident().map(|i| i.value.clone()).unwrap_or_default())
                        .collect();
                    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                    let Some(r) = s.relation(&parts) else {
                        let message = format!("Unknown table '{}'", parts.join("."));
                        return Err(SqlError::new(1051, "42S02", message));
                    };
                    for (c, column) in s.relations[r].columns.iter().enumerate() {
                        if !column.invisible {
                            out.push(star_item(s, r, c));
                        }
                    }
                }
                other => return Err(SqlError::syntax(&other.to_string(), 1)),
            }
        }
        Ok(out)
    }

    /// An item of the select list; a bare literal's exact length shows in the result.
    fn item(&mut self, e: &Expr, s: &Rc<Scope>, top: bool) -> Result<Bound, SqlError> {
        if let (true, Expr::Value(v)) = (top, strip(e))
            && !matches!(v.value, Ast::Null | Ast::Boolean(_) | Ast::Placeholder(_))
        {
            let l = self.literal_value(v)?;
            let mut b = self.constant_literal(&l);
            b.free.clear();
            return Ok(b);
        }
        self.expr(e, s)
    }

    fn order_keys(
        &mut self,
        order: Option<&OrderBy>,
        items: &[Item<'_>],
        names: &Rc<Vec<(String, Bound)>>,
        s: &Rc<Scope>,
        distinct: bool,
    ) -> Result<Vec<(String, Bound)>, SqlError> {
        let mut keys = Vec::new();
        for (k, o) in order_expressions(order)?.iter().enumerate() {
            let mut place = self.position(&o.expr, items.len(), "order clause")?;
            if place.is_none()
                && let Expr::Identifier(i) = &o.expr
            {
                place = items.iter().position(|x| x.alias && same_name(&x.name, &i.value));
            }
            if let Some(n) = place {
                let b = &items[n].bound;
                let desc = if matches!(o.options.sort, Some(sqlparser::ast::OrderBySort::Desc)) {
                    " DESC"
                } else {
                    ""
                };
                // The number of a result column.
                let key = if b.class() == Class::Json {
                    super::query::sort_sql(&self.sql(&b.clone()), &b.ty)
                } else {
                    format!("{}{}", n + 1, collate_clause(&b.ty))
                };
                keys.push((format!("{key}{desc}"), b.clone()));
                continue;
            }
            let how = if matches!(o.expr, Expr::Identifier(_)) { Aliases::First } else { Aliases::Last };
            let scope = with_aliases(s, "order clause", names, how);
            let b = self.expr(&o.expr, &scope)?;
            if distinct && !b.free.is_empty() {
                let sql = self.sql(&b);
                let mut found = false;
                for i in items {
                    found |= self.sql(&i.bound) == sql || i.expr == Some(&o.expr);
                }
                if !found
                    && b.free
                        .iter()
                        .any(|f| !items.iter().any(|i| matches!(&i.bound.repr, Repr::Sql(x) if *x == f.sql)))
                {
                    return Err(SqlError::new(
                        3065,
                        "HY000",
                        format!(
                            "Expression #{} of ORDER BY clause is not in SELECT list, references column '{}' which is not \
                             in SELECT list; this is incompatible with DISTINCT",
                            k + 1,
                            b.free[0].name
                        ),
                    ));
                }
            }
            keys.push((self.order_key(&b, o)?, b));
        }
        Ok(keys)
    }

    /// Notes a lookup by the whole primary key of the only table; true if it is one.
    fn key_lookup(&mut self, selection: &Expr, s: &Rc<Scope>) -> Result<bool, SqlError> {
        let [rel] = s.relations.as_slice() else { return Ok(false) };
        let Some(table) = rel.table.clone() else { return Ok(false) };
        let Some(primary) = table.primary() else { return Ok(false) };
        let mut slots: Vec<Option<Slot>> = vec![None; primary.def.parts.len()];
        for c in conjuncts(selection) {
            let Expr::BinaryOp { left, op: sqlparser::ast::BinaryOperator::Eq, right } = c else { continue };
            for (column, value) in [(left, right), (right, left)] {
                let name = match strip(column) {
                    Expr::Identifier(i) => vec![i.value.as_str()],
                    Expr::CompoundIdentifier(p) => p.iter().map(|i| i.value.as_str()).collect(),
                    _ => continue,
                };
                let Expr::Value(v) = strip(value) else { continue };
                let Ok(b) = s.resolve(&name) else { continue };
                let Repr::Sql(sql) = &b.repr else { continue };
                let at = primary.def.parts.iter().position(|p| {
                    p.prefix.is_none() && rel.columns.iter().any(|c| c.tag == Some(p.column) && c.sql == *sql)
                });
                let Some(at) = at else { continue };
                if matches!(b.class(), Class::Text | Class::Enum | Class::Set | Class::Json) {
                    return Ok(false);
                }
                let Repr::Slot(slot) = self.literal(v)?.repr else { continue };
                slots[at] = Some(Slot { source: slot.source, coerce: Coerce::Compare(b.ty.clone()) });
            }
        }
        let Some(slots) = slots.into_iter().collect::<Option<Vec<_>>>() else { return Ok(false) };
        // FROM noted the table as read; that note goes, unless another part of the statement may have made it too.
        if self.scopes == 1 {
            self.reads.tables.retain(|t| *t != table.id);
        }
        self.reads.keys.push((table.id, slots));
        Ok(true)
    }

    /// Notes that of the only table only the rows that this condition selects are read.
    fn condition_read(&mut self, condition: &str, s: &Scope) {
        let [rel] = s.relations.as_slice() else { return };
        let Some(table) = &rel.table else { return };
        // Stored functions are not at hand when it is asked again whether the condition holds.
        // How well a row matches depends on the others.
        if crate::plan::calls_functions(condition) || condition.contains("p_ft_") {
            return;
        }
        let random = |slot: &Slot| matches!(slot.source, Source::Random(_));
        // With a second scope another part of the statement may read the table too.
        if self.scopes != 1 || self.slots.iter().any(random) {
            return;
        }
        let params = self.slots.len();
        // SQLite counts parameters by the greatest that is named.
        let named = if params > 0 { format!(" AND ?{params} IS ?{params}") } else { String::new() };
        let sql = format!(
            "SELECT {a}.rowid,{a}.{COLUMN_VERSION},{a}.{COLUMN_OVERRIDES} FROM {} AS {a} WHERE {condition}{named}",
            table.physical(),
            a = rel.sql
        );
        self.reads.tables.retain(|t| *t != table.id);
        self.reads.conditions.push(ConditionRead { table: table.id, sql: sql.into(), params });
    }
}

/// WITH ROLLUP.
fn rolled_up(q: &Select) -> bool {
    matches!(&q.group_by, GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty())
}

fn star_item<'e>(s: &Scope, r: usize, c: usize) -> Item<'e> {
    let bound = s.column(r, c);
    Item { name: s.relations[r].columns[c].name.clone(), bound, expr: None, alias: false }
}

fn is_name(e: &Expr) -> bool {
    matches!(strip(e), Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// The text of a string literal.
fn strip_value(e: &Expr) -> Option<&str> {
    match e {
        Expr::Value(v) => match &v.value {
            Ast::SingleQuotedString(s) => Some(s),
            Ast::NationalStringLiteral(s) => Some(s),
            _ => None,
        },
        // An introduced text is named by what it says.
        Expr::Prefixed { value, .. } => strip_value(value),
        _ => None,
    }
}

fn limits_to_one(limit: Option<&LimitClause>) -> bool {
    matches!(
        limit,
        Some(LimitClause::LimitOffset { limit: Some(Expr::Value(v)), .. })
            if matches!(&v.value, Ast::Number(n, _) if n == "1")
    )
}

fn refuse(q: &Select) -> Result<(), SqlError> {
    if q.into.is_some() {
        return Err(SqlError::unsupported("SELECT ... INTO"));
    }
    let odd = q.top.is_some()
        || q.exclude.is_some()
        || !q.lateral_views.is_empty()
        || q.prewhere.is_some()
        || !q.connect_by.is_empty()
        || !q.cluster_by.is_empty()
        || !q.distribute_by.is_empty()
        || !q.sort_by.is_empty()
        || q.qualify.is_some()
        || q.value_table_mode.is_some();
    if odd { Err(SqlError::syntax(&q.to_string(), 1)) } else { Ok(()) }
}

/// 1055, 1140: a column that GROUP BY does not determine.
pub(super) fn check_group(
    b: &Bound,
    scope: usize,
    implicit: bool,
    n: usize,
    list: &str,
) -> Result<(), SqlError> {
    let Some(f) = b.free.iter().find(|f| f.scope == scope) else { return Ok(()) };
    Err(if implicit {
        SqlError::new(
            1140,
            "42000",
            format!(
                "In aggregated query without GROUP BY, expression #{n} of {list} contains nonaggregated column '{}'; this \
                 is incompatible with sql_mode=only_full_group_by",
                f.name
            ),
        )
    } else {
        let what = if list == "ORDER BY" { "ORDER BY clause" } else { list };
        SqlError::new(
            1055,
            "42000",
            format!(
                "Expression #{n} of {what} is not in GROUP BY clause and contains nonaggregated column '{}' which is not \
                 functionally dependent on columns in GROUP BY clause; this is incompatible with \
                 sql_mode=only_full_group_by",
                f.name
            ),
        )
    })
}

/// The columns that the grouping columns determine: by whole keys, and by equalities in WHERE and inner joins.
fn determined(
    q: &Select,
    s: &Rc<Scope>,
    groups: &[String],
    binder: &mut Binder<'_>,
) -> Result<HashSet<String>, SqlError> {
    let mut known: HashSet<String> = groups.iter().cloned().collect();
    let mut equalities: Vec<&Expr> = Vec::new();
    if let Some(e) = &q.selection {
        equalities.extend(conjuncts(e));
    }
    fn inner<'e>(t: &'e TableWithJoins, out: &mut Vec<&'e Expr>) {
        for j in &t.joins {
            if let JoinOperator::Join(JoinConstraint::On(e))
            | JoinOperator::Inner(JoinConstraint::On(e))
            | JoinOperator::CrossJoin(JoinConstraint::On(e))
            | JoinOperator::StraightJoin(JoinConstraint::On(e))
            // The right side of a left join is NULL or equal: determined too.
            | JoinOperator::Left(JoinConstraint::On(e))
            | JoinOperator::LeftOuter(JoinConstraint::On(e)) = &j.join_operator
            {
                out.extend(conjuncts(e));
            }
        }
    }
    q.from.iter().for_each(|t| inner(t, &mut equalities));
    let mut pairs = Vec::new();
    for e in equalities {
        let Expr::BinaryOp { left, op: sqlparser::ast::BinaryOperator::Eq, right } = e else { continue };
        let side = |e: &Expr| -> Option<Option<String>> {
            let parts: Vec<&str> = match strip(e) {
                Expr::Identifier(i) => vec![&i.value],
                Expr::CompoundIdentifier(p) => p.iter().map(|i| i.value.as_str()).collect(),
                Expr::Value(_) => return Some(None),
                _ => return None,
            };
            match s.resolve(&parts).ok()?.repr {
                Repr::Sql(sql) => Some(Some(sql)),
                Repr::Slot(_) => Some(None),
            }
        };
        match (side(left), side(right)) {
            (Some(Some(a)), Some(Some(b))) => pairs.push((a, b)),
            (Some(Some(a)), Some(None)) | (Some(None), Some(Some(a))) => {
                known.insert(a);
            }
            _ => {}
        }
    }
    // USING and NATURAL: the hidden column equals the shown one.
    for (r, c) in &s.merged {
        let hidden = &s.relations[*r].columns[*c];
        for (x, y) in &s.first {
            let shown = &s.relations[*x].columns[*y];
            if same_name(&hidden.name, &shown.name) {
                pairs.push((hidden.sql.clone(), shown.sql.clone()));
            }
        }
    }
    let _ = binder;
    loop {
        let before = known.len();
        for (a, b) in &pairs {
            if known.contains(a) {
                known.insert(b.clone());
            }
            if known.contains(b) {
                known.insert(a.clone());
            }
        }
        for rel in &s.relations {
            let Some(table) = &rel.table else { continue };
            let sql_of =
                |tag| rel.columns.iter().find(|c| c.tag == Some(tag)).map(|c| (&c.sql, c.field.not_null));
            let whole = table.indexes.iter().any(|i| {
                i.def.unique
                    && i.def.parts.iter().all(|p| {
                        p.prefix.is_none()
                            && sql_of(p.column).is_some_and(|(sql, not_null)| not_null && known.contains(sql))
                    })
            });
            if whole {
                known.extend(rel.columns.iter().map(|c| c.sql.clone()));
            }
        }
        if known.len() == before {
            return Ok(known);
        }
    }
}
