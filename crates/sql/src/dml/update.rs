//! UPDATE of one table and of several.

use std::rc::Rc;

use p2pdb_model::catalog::same_name;
use sqlparser::ast::{Expr, TableWithJoins};

use super::with::Common;
use super::{
    Assignment, Given, Written, adds, assignments, bind_assignments, blind, not_read_inside, not_updatable,
    order_and_limit, safe, set_list, sets_id, single, table_references, target, used, with_notes,
};
use crate::bind::{Binder, Relation, Scope};
use crate::error::SqlError;
use crate::plan::{Modify, ModifyStep, Plan, PlanKind};
use crate::statement::{Context, Cursor};

/// UPDATE.
pub fn update(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    update_with(c, cx, None)
}

/// UPDATE behind WITH.
pub(super) fn update_with(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    common: Option<Common>,
) -> Result<Plan, SqlError> {
    c.expect("update")?;
    c.eat("low_priority");
    let ignore = c.eat("ignore");
    let mut refs = table_references(c)?;
    c.expect("set")?;
    let mut all = assignments(c)?;
    let mut selection = if c.eat("where") { Some(c.expr()?) } else { None };
    let (mut order, limit) = order_and_limit(c)?;
    if let Some(mut common) = common {
        common.put_into(&mut refs)?;
        for a in &mut all {
            if let Given::Expr(e) = &mut a.value {
                common.put_into(e)?;
            }
        }
        common.put_into(&mut selection)?;
        common.put_into(&mut order)?;
    }
    safe(cx, selection.as_ref(), limit.as_ref())?;
    let Some((name, alias)) = single(&refs) else {
        if !order.is_empty() || limit.is_some() {
            let what = if order.is_empty() { "LIMIT" } else { "ORDER BY" };
            return Err(SqlError::new(1221, "HY000", format!("Incorrect usage of UPDATE and {what}")));
        }
        return several(cx, &refs, all, selection.as_ref(), (ignore, None));
    };
    if let Some(view) = super::joined::find(cx, (name.0.as_deref(), &name.1), &alias, "UPDATE")? {
        if !order.is_empty() || limit.is_some() {
            let what = if order.is_empty() { "LIMIT" } else { "ORDER BY" };
            return Err(SqlError::new(1221, "HY000", format!("Incorrect usage of UPDATE and {what}")));
        }
        let selection = view.rewrite(&mut all, selection)?;
        return several(cx, &view.from, all, selection.as_ref(), (ignore, Some(&view.name)));
    }
    let written = target(cx, name, "UPDATE")?;
    let table = written.table.clone();
    let mut inside: Vec<&Expr> = selection.iter().collect();
    inside.extend(all.iter().filter_map(|a| if let Given::Expr(e) = &a.value { Some(e) } else { None }));
    not_read_inside(cx, &written, &inside)?;

    let mut notes = Vec::new();
    let mut b = Binder::new(cx.catalog, cx.session, cx.source);
    // With ORDER BY the rows are found first and changed in that order; with IGNORE each can fail by itself.
    let ordered = !order.is_empty() || ignore;
    if ordered {
        b.reserve(1);
    }
    let sql_alias = b.alias('t');
    let (relation, in_view) = written.relation(&mut b, &alias, &sql_alias)?;
    let scope = Scope::of(vec![relation], "where clause");
    let adds = adds(&table, &scope.relations[0], &all);
    let blind = blind(&table, &scope.relations[0], &all, selection.as_ref());
    let set = bind_assignments(&mut b, &scope, 0, &table, all, ignore, &mut notes)?;
    let seals = super::seals(&table, &set);
    let head =
        format!("UPDATE {} AS {sql_alias} SET {}", table.physical(), set_list(&table, &sql_alias, &set));
    let (sql, collect) = if ordered {
        let mut finder = Binder::new(cx.catalog, cx.session, cx.source);
        let found = find(&mut finder, &written, &alias, selection.as_ref(), &order, limit.as_ref())?;
        written.reads(&mut finder, selection.as_ref(), &scope)?;
        let done = finder.finish();
        notes.extend(done.notes);
        b.reads = done.reads;
        let slots = used(&found, done.slots);
        (format!("{head} WHERE {sql_alias}.rowid=?1"), Some((found, slots)))
    } else if limit.is_some() {
        let found = find(&mut b, &written, &alias, selection.as_ref(), &order, limit.as_ref())?;
        b.read_table(table.id);
        (format!("{head} WHERE {sql_alias}.rowid IN ({found})"), None)
    } else {
        let condition = where_clause(&mut b, selection.as_ref(), &scope, in_view)?;
        written.reads(&mut b, selection.as_ref(), &scope)?;
        (format!("{head}{condition}"), None)
    };
    let done = b.finish();
    notes.extend(done.notes);
    let slots = used(&sql, done.slots).into_iter().skip(usize::from(ordered)).collect();
    let sets_id = sets_id(&table, &set);
    let step = ModifyStep { table: table.id, sql, slots, collect, adds, blind, sets_id, seals };
    let modify = Modify {
        steps: vec![step],
        update: true,
        ignore,
        truncate: false,
        reads: done.reads,
        row_checks: written.row_checks(cx)?,
    };
    Ok(with_notes(PlanKind::Modify(modify), notes))
}

/// `WHERE …`: what the statement asks, and what the view does that it writes through.
pub(super) fn where_clause(
    b: &mut Binder<'_>,
    selection: Option<&Expr>,
    scope: &Rc<Scope>,
    in_view: Option<String>,
) -> Result<String, SqlError> {
    let asked = selection.map(|e| b.condition(e, scope)).transpose()?;
    Ok(match (asked, in_view) {
        (Some(asked), Some(in_view)) => format!(" WHERE ({in_view}) AND ({asked})"),
        (Some(one), None) | (None, Some(one)) => format!(" WHERE {one}"),
        (None, None) => String::new(),
    })
}

/// A binder in whose FROM views can be written to.
pub(super) fn writing_binder<'a>(cx: &Context<'a>) -> Binder<'a> {
    let mut b = Binder::new(cx.catalog, cx.session, cx.source);
    b.written = Some(Vec::new());
    b
}

/// The table or view in FROM that is to be written; `None` where it cannot be.
pub(super) fn written_of(b: &Binder<'_>, relation: &Relation) -> Option<Written> {
    let table = relation.table.clone()?;
    let views = b.written.as_deref().unwrap_or_default();
    let view = views.iter().find(|(sql, _)| *sql == relation.sql).map(|(_, v)| v.clone());
    Some(Written { table, view })
}

/// `SELECT rowid …` of the rows that WHERE, ORDER BY and LIMIT name.
pub(super) fn find(
    b: &mut Binder<'_>,
    written: &Written,
    alias: &str,
    selection: Option<&Expr>,
    order: &[sqlparser::ast::OrderByExpr],
    limit: Option<&sqlparser::ast::LimitClause>,
) -> Result<String, SqlError> {
    let inner = b.alias('t');
    let (relation, in_view) = written.relation(b, alias, &inner)?;
    let scope = Scope::of(vec![relation], "where clause");
    let condition = where_clause(b, selection, &scope, in_view)?;
    let order = b.order_by(order, &scope)?;
    let limit = b.limit(limit)?;
    Ok(format!("SELECT {inner}.rowid FROM {} {inner}{condition}{order}{limit}", written.table.physical()))
}

/// UPDATE of several tables: for each, its rows with their new values are collected from the join, then written.
fn several(
    cx: &Context<'_>,
    refs: &[TableWithJoins],
    all: Vec<Assignment>,
    selection: Option<&Expr>,
    (ignore, view): (bool, Option<&str>),
) -> Result<Plan, SqlError> {
    let mut notes = Vec::new();
    let mut names = writing_binder(cx);
    let (_, scope) = names.from(refs, None)?;
    let mut groups: Vec<(usize, Vec<Assignment>)> = Vec::new();
    for a in all {
        let at = relation_of(&scope, &a.name)?;
        match groups.iter_mut().find(|(r, _)| *r == at) {
            Some((_, group)) => group.push(a),
            None => groups.push((at, vec![a])),
        }
    }
    if let (Some(view), true) = (view, groups.len() > 1) {
        let message = format!("Can not modify more than one base table through a join view '{view}'");
        return Err(SqlError::new(1393, "HY000", message));
    }
    let mut steps = Vec::new();
    let mut row_checks = Vec::new();
    let mut read = crate::plan::ReadSet::default();
    for (at, group) in groups {
        let mut b = writing_binder(cx);
        let (from, scope) = b.from(refs, None)?;
        let relation = scope.relations[at].clone();
        let written = written_of(&b, &relation).ok_or_else(|| not_updatable(&relation.alias, "UPDATE"))?;
        let table = written.table.clone();
        row_checks.extend(written.row_checks(cx)?);
        let mut inside: Vec<&Expr> = selection.iter().copied().collect();
        inside
            .extend(group.iter().filter_map(|a| if let Given::Expr(e) = &a.value { Some(e) } else { None }));
        not_read_inside(cx, &written, &inside)?;
        let adds = adds(&table, &relation, &group);
        let blind = blind(&table, &relation, &group, selection);
        let set = bind_assignments(&mut b, &scope, at, &table, group, ignore, &mut notes)?;
        let seals = super::seals(&table, &set);
        let condition = match selection {
            Some(e) => format!("({}) AND ", b.condition(e, &scope.in_clause("where clause"))?),
            None => String::new(),
        };
        let list: Vec<_> = set.iter().map(|(_, sql)| format!(",{sql}")).collect();
        let rowid = format!("{}.rowid", relation.sql);
        let collect = format!(
            "SELECT {rowid}{} FROM {from} WHERE {condition}{rowid} IS NOT NULL GROUP BY {rowid}",
            list.concat()
        );
        let places: Vec<_> =
            set.iter().enumerate().map(|(n, (c, _))| (c.clone(), format!("?{}", n + 2))).collect();
        let physical = table.physical();
        let list = set_list(&table, &physical, &places);
        let sql = format!("UPDATE {physical} SET {list} WHERE rowid=?1");
        let done = b.finish();
        notes.extend(done.notes);
        if read == crate::plan::ReadSet::default() {
            read = done.reads;
        }
        steps.push(ModifyStep {
            table: table.id,
            sql,
            slots: Vec::new(),
            collect: Some((collect.clone(), used(&collect, done.slots))),
            adds,
            blind,
            sets_id: sets_id(&table, &set),
            seals,
        });
    }
    let modify = Modify { steps, update: true, ignore, truncate: false, reads: read, row_checks };
    Ok(with_notes(PlanKind::Modify(modify), notes))
}

/// Which relation a column that is assigned belongs to.
fn relation_of(scope: &Rc<Scope>, name: &[String]) -> Result<usize, SqlError> {
    let unknown = || SqlError::unknown_column(name.join("."), "field list");
    let (column, qualifier) = name.split_last().ok_or_else(unknown)?;
    let mut found = Vec::new();
    for (r, relation) in scope.relations.iter().enumerate() {
        let fits = match qualifier {
            [] => true,
            [t] => relation.alias == *t,
            [d, t] => relation.alias == *t && relation.database.as_ref() == Some(d),
            _ => false,
        };
        if fits && relation.columns.iter().any(|c| same_name(&c.name, column)) {
            found.push(r);
        }
    }
    match found.as_slice() {
        [] => Err(unknown()),
        [r] => Ok(*r),
        _ => {
            let message = format!("Column '{}' in field list is ambiguous", name.join("."));
            Err(SqlError::new(1052, "23000", message))
        }
    }
}
