//! DELETE of one table and of several, and TRUNCATE.

use std::sync::Arc;

use p2pdb_model::Privileges;
use sqlparser::ast::{Expr, TableWithJoins};
use sqlparser::tokenizer::Token;

use super::update::{find, where_clause, writing_binder, written_of};
use super::with::Common;
use super::{
    full_name, not_read_inside, not_updatable, order_and_limit, safe, single, table_references, target, used,
    with_notes,
};
use crate::bind::{Binder, Scope};
use crate::error::SqlError;
use crate::plan::{Modify, ModifyStep, Plan, PlanKind, ReadSet, SessionCommand};
use crate::schema_text::quote;
use crate::statement::{Context, Cursor};

/// DELETE.
pub fn delete(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    delete_with(c, cx, None)
}

/// DELETE behind WITH.
pub(super) fn delete_with(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    mut common: Option<Common>,
) -> Result<Plan, SqlError> {
    c.expect("delete")?;
    let mut ignore = false;
    while let Some(word) = c.eat_one(&["low_priority", "quick", "ignore"]) {
        ignore |= word == "ignore";
    }
    if !c.eat("from") {
        // DELETE a, b FROM …
        let names = c.list(deleted)?;
        c.expect("from")?;
        let mut refs = table_references(c)?;
        let mut selection = if c.eat("where") { Some(c.expr()?) } else { None };
        if let Some(common) = &mut common {
            common.put_into(&mut refs)?;
            common.put_into(&mut selection)?;
        }
        return several(cx, &names, &refs, selection.as_ref(), ignore);
    }
    let mark = c.mark();
    let names = c.list(deleted)?;
    if c.eat("using") {
        let mut refs = table_references(c)?;
        let mut selection = if c.eat("where") { Some(c.expr()?) } else { None };
        if let Some(common) = &mut common {
            common.put_into(&mut refs)?;
            common.put_into(&mut selection)?;
        }
        return several(cx, &names, &refs, selection.as_ref(), ignore);
    }
    c.back(mark);
    let refs = table_references(c)?;
    let Some((name, alias)) = single(&refs) else { return Err(c.error()) };
    let mut selection = if c.eat("where") { Some(c.expr()?) } else { None };
    let (mut order, limit) = order_and_limit(c)?;
    if let Some(common) = &mut common {
        if common.names(name.0.as_deref(), &name.1) {
            return Err(not_updatable(&name.1, "DELETE"));
        }
        common.put_into(&mut selection)?;
        common.put_into(&mut order)?;
    }
    safe(cx, selection.as_ref(), limit.as_ref())?;
    if let Some(view) = super::joined::find(cx, (name.0.as_deref(), &name.1), &alias, "DELETE")? {
        let message = format!("Can not delete from join view '{}'", view.name);
        return Err(SqlError::new(1395, "HY000", message));
    }
    let written = target(cx, name, "DELETE")?;
    let table = written.table.clone();
    not_read_inside(cx, &written, &selection.iter().collect::<Vec<_>>())?;
    cx.source.needs.writes(&table, Privileges::DELETE);

    let mut b = Binder::new(cx.catalog, cx.session, cx.source);
    let physical = table.physical();
    let mut collect = false;
    let sql = if ignore {
        // Each row can fail by itself.
        collect = true;
        b.read_table(table.id);
        find(&mut b, &written, &alias, selection.as_ref(), &order, limit.as_ref())?
    } else if !order.is_empty() || limit.is_some() {
        let found = find(&mut b, &written, &alias, selection.as_ref(), &order, limit.as_ref())?;
        b.read_table(table.id);
        format!("DELETE FROM {physical} WHERE rowid IN ({found})")
    } else {
        let sql_alias = b.alias('t');
        let (relation, in_view) = written.relation(&mut b, &alias, &sql_alias)?;
        let scope = Scope::of(vec![relation], "where clause");
        let condition = where_clause(&mut b, selection.as_ref(), &scope, in_view)?;
        written.reads(&mut b, selection.as_ref(), &scope)?;
        format!("DELETE FROM {physical} AS {sql_alias}{condition}")
    };
    let done = b.finish();
    let (table, slots) = (table.id, used(&sql, done.slots));
    let step = if collect {
        let delete = format!("DELETE FROM {physical} WHERE rowid=?1");
        ModifyStep {
            table,
            sql: delete,
            slots: Vec::new(),
            collect: Some((sql, slots)),
            adds: Arc::default(),
            blind: Arc::default(),
            sets_id: false,
            seals: Arc::default(),
        }
    } else {
        ModifyStep {
            table,
            sql,
            slots,
            collect: None,
            adds: Arc::default(),
            blind: Arc::default(),
            sets_id: false,
            seals: Arc::default(),
        }
    };
    let modify = Modify {
        steps: vec![step],
        update: false,
        ignore,
        truncate: false,
        reads: done.reads,
        row_checks: Vec::new(),
    };
    Ok(with_notes(PlanKind::Modify(modify), done.notes))
}

/// A table to delete from: `[database.]name[.*]`.
fn deleted(c: &mut Cursor<'_, '_>) -> Result<Vec<String>, SqlError> {
    let mut name = vec![c.name()?];
    while c.eat_token(&Token::Period) {
        if c.eat_token(&Token::Mul) {
            break;
        }
        name.push(c.name_after_point()?);
    }
    Ok(name)
}

/// DELETE from several tables: the rows of each are collected from the join before any goes.
fn several(
    cx: &Context<'_>,
    names: &[Vec<String>],
    refs: &[TableWithJoins],
    selection: Option<&Expr>,
    ignore: bool,
) -> Result<Plan, SqlError> {
    let mut notes = Vec::new();
    let mut steps: Vec<ModifyStep> = Vec::new();
    let mut read = ReadSet::default();
    for name in names {
        let mut b = writing_binder(cx);
        let (from, scope) = b.from(refs, None)?;
        let parts: Vec<&str> = name.iter().map(String::as_str).collect();
        let unknown = || {
            let name = parts.last().copied().unwrap_or_default();
            SqlError::new(1109, "42S02", format!("Unknown table '{name}' in MULTI DELETE"))
        };
        // `db.t` may name the table `t` without alias.
        let at = scope.relation(&parts).ok_or_else(unknown)?;
        let relation = scope.relations[at].clone();
        let written = written_of(&b, &relation).ok_or_else(|| not_updatable(&relation.alias, "DELETE"))?;
        let table = written.table.clone();
        not_read_inside(cx, &written, &selection.iter().copied().collect::<Vec<_>>())?;
        cx.source.needs.writes(&table, Privileges::DELETE);
        let condition = match selection {
            Some(e) => format!("({}) AND ", b.condition(e, &scope.in_clause("where clause"))?),
            None => String::new(),
        };
        let rowid = format!("{}.rowid", relation.sql);
        let collect = format!("SELECT DISTINCT {rowid} FROM {from} WHERE {condition}{rowid} IS NOT NULL");
        let sql = format!("DELETE FROM {} WHERE rowid=?1", table.physical());
        let done = b.finish();
        notes.extend(done.notes);
        read = done.reads;
        steps.push(ModifyStep {
            table: table.id,
            sql,
            slots: Vec::new(),
            collect: Some((collect.clone(), used(&collect, done.slots))),
            adds: Arc::default(),
            blind: Arc::default(),
            sets_id: false,
            seals: Arc::default(),
        });
    }
    let modify =
        Modify { steps, update: false, ignore, truncate: false, reads: read, row_checks: Vec::new() };
    Ok(with_notes(PlanKind::Modify(modify), notes))
}

/// The tables of `performance_schema` that may be emptied hold what the server has counted; nothing is counted there.
fn counts_only(database: Option<&str>, table: &str) -> bool {
    let table = table.to_lowercase();
    let counts = table == "host_cache" || table.starts_with("events_") || table.contains("_summary_by_");
    counts && database.is_some_and(|d| d.eq_ignore_ascii_case("performance_schema"))
}

/// `TRUNCATE [TABLE] t`.
///
/// # Errors
/// 1701 when a foreign key of another table points at it.
pub fn truncate(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.expect("truncate")?;
    c.eat("table");
    let name = c.table_name()?;
    if counts_only(name.0.as_deref(), &name.1) {
        return Ok(Plan::new(PlanKind::Session(vec![SessionCommand::Nothing])));
    }
    let table = target(cx, name, "TRUNCATE")?.table;
    cx.source.needs.writes(&table, Privileges::DROP);
    if cx.session.foreign_key_checks {
        for (child, n) in cx.catalog.referenced_by(table.id).iter().filter(|(child, _)| *child != table.id) {
            let child = cx.catalog.table_by_id(*child);
            if let Some((child, k)) = child.and_then(|c| Some((c, c.foreign_keys.get(*n)?))) {
                let message = format!(
                    "Cannot truncate a table referenced in a foreign key constraint ({}, CONSTRAINT {})",
                    full_name(child),
                    quote(&k.name)
                );
                return Err(SqlError::new(1701, "42000", message));
            }
        }
    }
    let step = ModifyStep {
        table: table.id,
        sql: format!("DELETE FROM {}", table.physical()),
        slots: Vec::new(),
        collect: None,
        adds: Arc::default(),
        blind: Arc::default(),
        sets_id: false,
        seals: Arc::default(),
    };
    let reads = ReadSet { tables: vec![table.id], ..ReadSet::default() };
    let modify = Modify {
        steps: vec![step],
        update: false,
        ignore: false,
        truncate: true,
        reads,
        row_checks: Vec::new(),
    };
    Ok(with_notes(PlanKind::Modify(modify), Vec::new()))
}
