//! INSERT, REPLACE, UPDATE, DELETE, TRUNCATE: lowered to SQLite statements on the physical tables.
//!
//! A row is identified by SQLite's `rowid`. UPDATE and DELETE of one table are one SQLite statement; with ORDER BY, and
//! for several tables, the rows are collected first and then changed one by one ([`ModifyStep::collect`]). What goes
//! into a column passes the coercion of [`crate::execute::assign`]; CHECK and foreign keys are the engine's, after
//! capture.
//!
//! [`ModifyStep::collect`]: crate::plan::ModifyStep::collect

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::catalog::{Check, Column, Index, Table, View, physical_column, same_name};
use p2pdb_model::schema::{DefaultValue, TriggerEvent};
use p2pdb_model::types::SqlType;
use p2pdb_model::{CellKind, ColumnTag, Privileges, Value};
use sqlparser::ast::{
    BinaryOperator, Expr, LimitClause, OrderByExpr, TableFactor, TableWithJoins, Value as Ast, Visit,
    Visitor, visit_expressions,
};
use sqlparser::tokenizer::Token;

use crate::bind::statement::used;
use crate::bind::{self, Binder, Relation, Repr, Scope, column_target, fired_target, lenient};
use crate::ddl::{canonical, defaults};
use crate::error::SqlError;
use crate::execute::sealed;
use crate::field::FieldType;
use crate::plan::{Coerce, ColumnTarget, Note, NoteLevel, NowKind, Plan, PlanKind, RowCheck, Slot, Source};
use crate::schema_text::quote;
use crate::session::SessionState;
use crate::statement::{Context, Cursor, expression_text};
use crate::types::Class;
use crate::virtuals;

mod delete;
mod insert;
mod joined;
mod sources;
mod update;
mod with;

pub use delete::{delete, truncate};
pub use insert::insert;
pub use update::update;
pub use with::with;

/// What a statement writes to: a base table, by itself or through a view.
struct Written {
    table: Arc<Table>,
    view: Option<Arc<View>>,
}

impl Written {
    /// What the statement calls it.
    fn name(&self) -> &str {
        self.view.as_ref().map_or(&self.table.name, |v| &v.name)
    }

    /// Its relation under these names, and what rows of the table are in it.
    fn relation(
        &self,
        b: &mut Binder<'_>,
        alias: &str,
        sql_alias: &str,
    ) -> Result<(Relation, Option<String>), SqlError> {
        if let (Some(needs), Some(view)) = (b.needs, &self.view) {
            needs.reads_view(view);
        }
        match &self.view {
            None => {
                b.note_alias(sql_alias, alias, Some(self.table.id));
                Ok((b.written_relation(&self.table, alias, sql_alias), None))
            }
            Some(view) => match b.writable(view, alias, sql_alias)? {
                Some(w) => Ok((w.relation, w.condition)),
                None => Err(not_updatable(&view.name, "UPDATE")),
            },
        }
    }

    /// What CHECK OPTION asks of its rows.
    fn row_checks(&self, cx: &Context<'_>) -> Result<Vec<RowCheck>, SqlError> {
        let check = self.view.as_ref().map(|view| row_check(cx, view)).transpose()?;
        Ok(check.flatten().into_iter().collect())
    }

    /// Notes what WHERE reads of it.
    fn reads(&self, b: &mut Binder<'_>, selection: Option<&Expr>, scope: &Rc<Scope>) -> Result<(), SqlError> {
        // The columns of a view may have other names.
        reads(b, &self.table, selection.filter(|_| self.view.is_none()), scope)
    }
}

/// What CHECK OPTION of a view asks of a row of its table.
fn row_check(cx: &Context<'_>, view: &View) -> Result<Option<RowCheck>, SqlError> {
    let mut b = Binder::new(cx.catalog, cx.session, cx.source);
    b.reserve(1);
    let alias = b.alias('t');
    let Some(w) = b.writable(view, &view.name, &alias)? else { return Ok(None) };
    let Some(check) = w.check else { return Ok(None) };
    let sql = format!(
        "SELECT 1 FROM {} {alias} WHERE {alias}.rowid=?1 AND NOT coalesce(({check}),0)",
        w.table.physical()
    );
    let slots = used(&sql, b.finish().slots).into_iter().skip(1).collect();
    let view = format!("{}.{}", view.database, view.name);
    Ok(Some(RowCheck { table: w.table.id, view, sql, slots }))
}

/// The base table that a statement writes to.
///
/// # Errors
/// 1046, 1049, 1146, 1044 for virtual tables, 1288 or 1471 for views that cannot be written through.
fn target(cx: &Context<'_>, name: (Option<String>, String), verb: &str) -> Result<Written, SqlError> {
    let (db, name) = (cx.database(name.0)?, name.1);
    if let Some(db) = virtuals::database_name(&db) {
        return Err(SqlError::database_denied(&cx.session.account, db));
    }
    let database = cx.catalog.database(&db).ok_or_else(|| SqlError::unknown_database(&db))?;
    if let Some(view) = database.view(&name) {
        if verb == "TRUNCATE" {
            return Err(SqlError::no_table(db, name));
        }
        let writable = Binder::new(cx.catalog, cx.session, cx.source)
            .writable(view, &name, &name)?
            .ok_or_else(|| match verb {
                "INSERT" => not_insertable(&name),
                _ => not_updatable(&name, verb),
            })?;
        return Ok(Written { table: writable.table, view: Some(view.clone()) });
    }
    let table = database.table(&name).cloned().ok_or_else(|| SqlError::no_table(db, name))?;
    Ok(Written { table, view: None })
}

fn not_insertable(name: &str) -> SqlError {
    SqlError::new(1471, "HY000", format!("The target table {name} of the INSERT is not insertable-into"))
}

fn not_updatable(name: &str, verb: &str) -> SqlError {
    SqlError::new(1288, "HY000", format!("The target table {name} of the {verb} is not updatable"))
}

/// A value for a column.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)]
enum Given {
    /// An expression.
    Expr(Expr),
    /// DEFAULT.
    Default,
}

fn given(c: &mut Cursor<'_, '_>) -> Result<Given, SqlError> {
    if c.is("default") && c.token(1) != &Token::LParen {
        c.eat("default");
        return Ok(Given::Default);
    }
    // Most values of most statements: not worth the whole grammar of expressions.
    if matches!(c.token(0), Token::Placeholder(_)) && matches!(c.token(1), Token::Comma | Token::RParen) {
        let token = c.parser().next_token();
        if let Token::Placeholder(p) = token.token {
            return Ok(Given::Expr(Expr::Value(Ast::Placeholder(p).with_span(token.span))));
        }
    }
    Ok(Given::Expr(c.expr()?))
}

/// A column's default as a value known at execution or as SQL.
enum Filled {
    Slot(Slot),
    Sql(String),
}

/// What a column takes when nothing is given: its default, else NULL, else (with a warning, or 1364) the type's zero.
fn fill(
    b: &mut Binder<'_>,
    session: &SessionState,
    column: &Column,
    ignore: bool,
    notes: &mut Vec<Note>,
) -> Result<Filled, SqlError> {
    let constant = |v| Filled::Slot(Slot { source: Source::Const(v), coerce: Coerce::None });
    // Nothing is stored of a generated column.
    if column.def.auto_increment || column.def.generated.is_some() {
        return Ok(constant(Value::Null));
    }
    let target = column_target("", column);
    let coerced = |source| Filled::Slot(Slot { source, coerce: Coerce::Column(target.clone()) });
    match &column.def.default {
        Some(DefaultValue::Null) => Ok(constant(Value::Null)),
        Some(DefaultValue::Now(fsp)) => Ok(coerced(Source::Now(NowKind::DateTime(*fsp)))),
        Some(DefaultValue::Expression(text)) => {
            let expr = expression_text(text)?;
            let mut own = Binder::without_text(b.catalog, b.session);
            own.per_row = b.per_row;
            let bound = own.expr(&expr, &Rc::new(Scope::empty(0)))?;
            if let Repr::Slot(Slot { source, coerce: Coerce::None }) = &bound.repr {
                return Ok(coerced(source.clone()));
            }
            // Once more in the statement's own binder, whose parameters the SQL must name.
            let bound = b.expr(&expr, &Rc::new(Scope::empty(0)))?;
            Ok(Filled::Sql(b.assign(&bound, &target)))
        }
        Some(literal @ (DefaultValue::Literal(text) | DefaultValue::Bits(text))) => {
            match defaults::constant(&column.def) {
                // Whether a zero date may be stored depends on the mode.
                Some(Value::Int(0))
                    if matches!(
                        column.def.ty,
                        SqlType::Date | SqlType::DateTime { .. } | SqlType::Timestamp { .. }
                    ) =>
                {
                    Ok(coerced(Source::Const(Value::Text(text.clone()))))
                }
                Some(v) => Ok(constant(v)),
                None if matches!(literal, DefaultValue::Literal(_)) => {
                    Ok(coerced(Source::Const(Value::Text(text.clone()))))
                }
                None => Err(SqlError::invalid_default(&column.name)),
            }
        }
        None if column.def.nullable => Ok(constant(Value::Null)),
        None if matches!(column.def.ty, SqlType::Enum { .. }) => Ok(constant(Value::Int(1))),
        None | Some(DefaultValue::Nothing) => {
            let error = SqlError::no_default(&column.name);
            if session.sql_mode.strict() && !ignore {
                return Err(error);
            }
            notes.push(Note { level: NoteLevel::Warning, code: error.code, message: error.message });
            Ok(constant(defaults::empty(&column.def.ty, column.def.nullable)))
        }
    }
}

/// The same in a table with triggers BEFORE INSERT, which may still give the column a value.
fn fill_fired(
    b: &mut Binder<'_>,
    session: &SessionState,
    table: &Table,
    column: &Column,
    ignore: bool,
    notes: &mut Vec<Note>,
) -> Result<Filled, SqlError> {
    let fires = table.triggers.iter().any(|t| t.def.before && t.def.event == TriggerEvent::Insert);
    match fill(b, session, column, ignore, notes) {
        Err(e) if e.code == 1364 && fires => {
            Ok(Filled::Slot(Slot { source: Source::Const(Value::Null), coerce: Coerce::None }))
        }
        filled => filled,
    }
}

fn filled_sql(b: &mut Binder<'_>, f: Filled) -> String {
    match f {
        Filled::Slot(slot) => b.parameter(slot),
        Filled::Sql(sql) => sql,
    }
}

/// One assignment of UPDATE or ON DUPLICATE KEY UPDATE.
struct Assignment {
    /// The column as written: with or without table.
    name: Vec<String>,
    value: Given,
}

/// `[table.]column = value, …`
fn assignments(c: &mut Cursor<'_, '_>) -> Result<Vec<Assignment>, SqlError> {
    c.list(|c| {
        let mut name = vec![c.name()?];
        while c.eat_token(&Token::Period) {
            name.push(c.name_after_point()?);
        }
        if !c.eat_assign() {
            return Err(c.error());
        }
        Ok(Assignment { name, value: given(c)? })
    })
}

/// The counters to which these assignments only add: `n = n + e` and `n = n - e`, where `e` does not read `n`.
fn adds(table: &Table, relation: &Relation, all: &[Assignment]) -> Arc<[ColumnTag]> {
    let mut out: Vec<ColumnTag> = Vec::new();
    let mut others: Vec<ColumnTag> = Vec::new();
    for a in all {
        let Ok(column) = column_of(table, relation, &a.name) else { continue };
        if column.cell_kind() != CellKind::Counter {
            continue;
        }
        match &a.value {
            Given::Expr(e) if !out.contains(&column.tag) && adds_to(column, relation, e) => {
                out.push(column.tag);
            }
            _ => others.push(column.tag),
        }
    }
    out.retain(|tag| !others.contains(tag));
    out.into()
}

/// Is the AUTO_INCREMENT column among those that are assigned to, by their names in SQLite?
fn sets_id(table: &Table, set: &[(String, String)]) -> bool {
    let id = table.auto_increment().map(Column::physical);
    id.is_some_and(|id| set.iter().any(|(column, _)| *column == id))
}

/// The columns to which these assignments give values that are not made of what the columns hold, in a statement whose
/// WHERE does not ask for it either. What a subquery mentions does not count.
fn blind(
    table: &Table,
    relation: &Relation,
    all: &[Assignment],
    selection: Option<&Expr>,
) -> Arc<[ColumnTag]> {
    let looks = |column: &Column, e: &Expr| {
        let mut looks = false;
        let inside = visit_expressions(e, |e| {
            looks |= is_column(column, relation, e);
            match e {
                Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        looks && inside.is_continue()
    };
    let blind = all.iter().filter_map(|a| {
        let column = column_of(table, relation, &a.name).ok()?;
        let looked = selection.is_some_and(|e| looks(column, e))
            || matches!(&a.value, Given::Expr(e) if looks(column, e));
        (!looked).then_some(column.tag)
    });
    blind.collect()
}

fn is_column(column: &Column, relation: &Relation, e: &Expr) -> bool {
    let named =
        |name: &str| relation.columns.iter().any(|c| c.tag == Some(column.tag) && same_name(name, &c.name));
    match e {
        Expr::Identifier(i) => named(&i.value),
        Expr::CompoundIdentifier(path) => match path.as_slice() {
            [.., table, name] => named(&name.value) && table.value == relation.alias,
            _ => false,
        },
        _ => false,
    }
}

fn adds_to(column: &Column, relation: &Relation, e: &Expr) -> bool {
    let is_column = |e: &Expr| is_column(column, relation, e);
    let is_free = |e: &Expr| {
        let found = visit_expressions(e, |e| match is_column(e) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        found.is_continue()
    };
    match e {
        Expr::Nested(e) => adds_to(column, relation, e),
        Expr::BinaryOp { left, op: BinaryOperator::Plus, right } => {
            (is_column(left) && is_free(right)) || (is_column(right) && is_free(left))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Minus, right } => is_column(left) && is_free(right),
        _ => false,
    }
}

/// Binds assignments to the columns of `scope.relations[at]`, from left to right: what was assigned before is what a
/// later expression sees. Gives the assignments as (column, SQL), each column once, ON UPDATE columns at the end.
fn bind_assignments(
    b: &mut Binder<'_>,
    scope: &Scope,
    at: usize,
    table: &Arc<Table>,
    all: Vec<Assignment>,
    ignore: bool,
    notes: &mut Vec<Note>,
) -> Result<Vec<(String, String)>, SqlError> {
    let mut scope = scope.clone();
    scope.clause = "field list";
    let before = scope.relations[at].clone();
    let mut out: Vec<(String, String)> = Vec::new();
    for a in all {
        let column = column_of(table, &scope.relations[at], &a.name)?;
        if column.cell_kind() == CellKind::Owner {
            // It is part of who the row is.
            return Err(column_not_updatable(&column.name));
        }
        if let Some(needs) = b.needs {
            needs.writes_columns(table, Privileges::UPDATE, [column.tag]);
            needs.seals(table, [column.tag]);
        }
        let target = lenient(fired_target(table, column, TriggerEvent::Update));
        let here = Rc::new(scope.clone());
        let sql = match a.value {
            Given::Default => {
                let f = fill(b, b.session, column, ignore, notes)?;
                filled_sql(b, f)
            }
            Given::Expr(_) if column.def.generated.is_some() => {
                return Err(SqlError::generated_value(&column.name, &table.name));
            }
            Given::Expr(e) => {
                let bound = b.expr(&e, &here)?;
                b.assign(&bound, &target)
            }
        };
        let physical = column.physical();
        let cell = format!("{}.{physical}", before.sql);
        let mut relation = Relation::clone(&scope.relations[at]);
        if let Some(c) = relation.columns.iter_mut().find(|c| c.tag == Some(column.tag)) {
            c.sql = format!("({sql})");
            // The value that was assigned fits the column.
            c.field.not_null = !column.def.nullable;
        }
        scope.relations[at] = Rc::new(relation);
        out.retain(|(c, _)| *c != physical);
        let sql = match column.is_sealed() {
            true => sealed::sealed(&sql, &cell, table.id, column.tag),
            false => sql,
        };
        out.push((physical, sql));
    }
    touch(b, &before, table, &mut out);
    Ok(out)
}

/// The sealed columns among those that are assigned, by their names in SQLite.
fn seals(table: &Table, set: &[(String, String)]) -> Arc<[ColumnTag]> {
    let sealed = table.columns.iter().filter(|c| c.is_sealed());
    sealed.filter(|c| set.iter().any(|(name, _)| *name == c.physical())).map(|c| c.tag).collect()
}

/// Columns with ON UPDATE CURRENT_TIMESTAMP that were not assigned take the time if another column changes.
fn touch(b: &mut Binder<'_>, before: &Relation, table: &Arc<Table>, out: &mut Vec<(String, String)>) {
    let changed: Vec<_> =
        out.iter().map(|(c, sql)| format!("{}.{c} IS NOT ({sql}) COLLATE BINARY", before.sql)).collect();
    for column in table.columns.iter().filter(|c| c.def.on_update_now) {
        let physical = column.physical();
        if out.iter().any(|(c, _)| *c == physical) || changed.is_empty() {
            continue;
        }
        let fsp = FieldType::of_column(&column.def.ty).fsp();
        let source = Source::Now(NowKind::DateTime(fsp));
        let now = b.parameter(Slot { source, coerce: Coerce::Column(column_target(&table.name, column)) });
        let condition = changed.join(" OR ");
        out.push((
            physical.clone(),
            format!("CASE WHEN {condition} THEN {now} ELSE {}.{physical} END", before.sql),
        ));
    }
}

fn column_of<'t>(table: &'t Table, relation: &Relation, name: &[String]) -> Result<&'t Column, SqlError> {
    let unknown = || SqlError::unknown_column(name.join("."), "field list");
    let (column, qualifier) = name.split_last().ok_or_else(unknown)?;
    let fits = match qualifier {
        [] => true,
        [t] => relation.alias == *t,
        [d, t] => relation.alias == *t && relation.database.as_ref() == Some(d),
        _ => false,
    };
    let found =
        relation.columns.iter().find(|c| same_name(&c.name, column)).filter(|_| fits).ok_or_else(unknown)?;
    let tag = found.tag.ok_or_else(|| column_not_updatable(column))?;
    table.columns.iter().find(|c| c.tag == tag).ok_or_else(unknown)
}

fn column_not_updatable(name: &str) -> SqlError {
    SqlError::new(1348, "HY000", format!("Column '{name}' is not updatable"))
}

/// `column=value, …`. What becomes part of a unique key passes `p_seen`, so that error 1062 can name it; `row` is what
/// SQLite calls the row that is changed.
fn set_list(table: &Table, row: &str, all: &[(String, String)]) -> String {
    let place = |physical: &str| table.columns.iter().position(|c| c.physical() == physical);
    let mut keys: Vec<String> = Vec::new();
    for index in table.indexes.iter().filter(|i| i.def.unique) {
        let parts: Vec<String> =
            crate::bind::generated::sources(table, index).into_iter().map(physical_column).collect();
        if all.iter().any(|(c, _)| parts.contains(c)) {
            keys.extend(parts);
        }
    }
    // The rest of those keys comes from the row as it is.
    let mut rest: Vec<String> = keys.clone();
    rest.retain(|k| !all.iter().any(|(c, _)| c == k));
    rest.sort_unstable();
    rest.dedup();
    let mut out = Vec::with_capacity(all.len());
    for (c, sql) in all {
        let Some(at) = place(c).filter(|_| keys.contains(c)) else {
            out.push(format!("{c}={sql}"));
            continue;
        };
        let mut call = format!("{c}=p_seen({at},{sql}");
        for other in rest.drain(..) {
            if let Some(at) = place(&other) {
                call.push_str(&format!(",{at},{row}.{other}"));
            }
        }
        out.push(call + ")");
    }
    out.join(",")
}

/// `[ORDER BY …] [LIMIT n]` of UPDATE and DELETE.
fn order_and_limit(c: &mut Cursor<'_, '_>) -> Result<(Vec<OrderByExpr>, Option<LimitClause>), SqlError> {
    let order = if c.eat("order by") {
        c.list(|c| {
            let result = c.parser().parse_order_by_expr();
            result.map_err(|e| c.parser_error(&e))
        })?
    } else {
        Vec::new()
    };
    let limit = if c.eat("limit") {
        let limit = Some(c.expr()?);
        Some(LimitClause::LimitOffset { limit, offset: None, limit_by: Vec::new() })
    } else {
        None
    };
    Ok((order, limit))
}

/// The tables of UPDATE and DELETE.
fn table_references(c: &mut Cursor<'_, '_>) -> Result<Vec<TableWithJoins>, SqlError> {
    c.list(|c| {
        let result = c.parser().parse_table_and_joins();
        result.map_err(|e| c.parser_error(&e))
    })
}

/// The name and alias when there is one plain table.
fn single(refs: &[TableWithJoins]) -> Option<((Option<String>, String), String)> {
    let [TableWithJoins { relation, joins }] = refs else { return None };
    let TableFactor::Table { name, alias, args: None, partitions, .. } = relation else { return None };
    if !joins.is_empty() || !partitions.is_empty() {
        return None;
    }
    let part = |n: usize| Some(name.0.get(n)?.as_ident()?.value.clone());
    let name = match name.0.len() {
        1 => (None, part(0)?),
        2 => (Some(part(0)?), part(1)?),
        _ => return None,
    };
    let alias = alias.as_ref().map_or_else(|| name.1.clone(), |a| a.name.value.clone());
    Some((name, alias))
}

/// Notes what WHERE reads of the table that is written: rows by key, or all of it.
fn reads(
    b: &mut Binder<'_>,
    table: &Arc<Table>,
    selection: Option<&Expr>,
    scope: &Rc<Scope>,
) -> Result<(), SqlError> {
    if let Some(slots) = selection.map(|e| key_slots(b, table, e, scope)).transpose()?.flatten() {
        b.reads.keys.push((table.id, slots));
    } else {
        b.read_table(table.id);
    }
    Ok(())
}

/// The slots of the whole primary key, when the condition is a lookup by it.
fn key_slots(
    b: &mut Binder<'_>,
    table: &Arc<Table>,
    selection: &Expr,
    scope: &Rc<Scope>,
) -> Result<Option<Vec<Slot>>, SqlError> {
    let whole = |p: &&Index| p.def.parts.iter().all(|p| p.prefix.is_none());
    let Some(primary) = table.primary().filter(whole) else { return Ok(None) };
    let mut slots: Vec<Option<Slot>> = vec![None; primary.def.parts.len()];
    let mut todo = vec![selection];
    while let Some(e) = todo.pop() {
        match e {
            Expr::Nested(e) => todo.push(e),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                todo.extend([left.as_ref(), right.as_ref()])
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
                for (column, value) in [(left, right), (right, left)] {
                    let name = match column.as_ref() {
                        Expr::Identifier(i) => &i.value,
                        Expr::CompoundIdentifier(p) => match p.last() {
                            Some(i) => &i.value,
                            None => continue,
                        },
                        _ => continue,
                    };
                    let (Some(column), Expr::Value(v)) = (table.column(name), value.as_ref()) else {
                        continue;
                    };
                    let Some(at) = primary.def.parts.iter().position(|p| p.column == column.tag) else {
                        continue;
                    };
                    let ty = FieldType::of_column(&column.def.ty);
                    // Text is equal to other text than itself under most collations.
                    if matches!(ty.class(), Class::Text | Class::Enum | Class::Set | Class::Json) {
                        return Ok(None);
                    }
                    if let Repr::Slot(slot) = b.literal(v)?.repr {
                        slots[at] = Some(Slot { source: slot.source, coerce: Coerce::Compare(ty) });
                    }
                }
            }
            _ => {}
        }
    }
    let _ = scope;
    Ok(slots.into_iter().collect())
}

/// 1093: a subquery reads the table that is written (a derived table, which is made first, may).
fn not_read_inside(cx: &Context<'_>, written: &Written, parts: &[&Expr]) -> Result<(), SqlError> {
    struct Search<'s> {
        names: [(&'s str, &'s str); 2],
        database: Option<&'s str>,
        derived: usize,
    }
    impl Visitor for Search<'_> {
        type Break = ();
        fn pre_visit_table_factor(&mut self, t: &TableFactor) -> ControlFlow<()> {
            match t {
                TableFactor::Derived { .. } => self.derived += 1,
                TableFactor::Table { name, .. } if self.derived == 0 => {
                    let part = |n: usize| name.0.get(n).and_then(|p| p.as_ident()).map(|i| i.value.as_str());
                    let (db, table) = match name.0.len() {
                        1 => (self.database, part(0)),
                        _ => (part(0), part(1)),
                    };
                    if db.zip(table).is_some_and(|t| self.names.contains(&t)) {
                        return ControlFlow::Break(());
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        }
        fn post_visit_table_factor(&mut self, t: &TableFactor) -> ControlFlow<()> {
            if matches!(t, TableFactor::Derived { .. }) {
                self.derived -= 1;
            }
            ControlFlow::Continue(())
        }
    }
    let own = (written.table.database.as_str(), written.table.name.as_str());
    let view = written.view.as_ref().map_or(own, |v| (&v.database, &v.name));
    let mut search = Search { names: [own, view], database: cx.session.database.as_deref(), derived: 0 };
    for e in parts {
        if e.visit(&mut search).is_break() {
            let message =
                format!("You can't specify target table '{}' for update in FROM clause", written.name());
            return Err(SqlError::new(1093, "HY000", message));
        }
    }
    Ok(())
}

/// 1175 of `sql_safe_updates`.
fn safe(cx: &Context<'_>, selection: Option<&Expr>, limit: Option<&LimitClause>) -> Result<(), SqlError> {
    if cx.session.safe_updates && selection.is_none() && limit.is_none() {
        return Err(SqlError::new(
            1175,
            "HY000",
            "You are using safe update mode and you tried to update a table without a WHERE that uses a KEY column. ",
        ));
    }
    Ok(())
}

/// A plan with the notes of compiling.
fn with_notes(kind: PlanKind, notes: Vec<Note>) -> Plan {
    Plan { notes, ..Plan::new(kind) }
}

/// The condition of a CHECK as SQLite text over the columns of the physical table (no parameters): 0 where it is
/// violated, 1 or NULL where it holds. The same for everybody: no session, and nothing but the row.
///
/// # Errors
/// Those of binding, when a column is gone; 1235 for what no CHECK may hold, though a block may bring it.
pub fn lower_check(table: &Arc<Table>, check: &Check) -> Result<String, SqlError> {
    condition_over(Relation::of_table(table, &table.name, &table.physical()), &check.def.expression)
}

/// The same over columns of rows that are no base table's.
pub(crate) fn condition_over(relation: Relation, expression: &str) -> Result<String, SqlError> {
    let expr = expression_text(expression)?;
    if canonical::unfit(&expr).is_some() {
        return Err(SqlError::unsupported("a CHECK on more than the row"));
    }
    bind::generated::by_nobody(|mut b| {
        let scope = Scope::of(vec![relation], "check constraint");
        let sql = b.condition(&expr, &scope)?;
        inline(&sql, &b.finish().slots)
    })
}

/// Puts constants in the place of parameters.
pub(crate) fn inline(sql: &str, slots: &[Slot]) -> Result<String, SqlError> {
    let mut out = String::with_capacity(sql.len());
    let mut rest = sql.chars().peekable();
    let mut quoted = None;
    while let Some(ch) = rest.next() {
        match (quoted, ch) {
            (None, '\'' | '"' | '`') => quoted = Some(ch),
            (Some(q), _) if q == ch => quoted = None,
            (None, '?') => {
                let mut n = 0usize;
                while let Some(digit) = rest.peek().and_then(|d| d.to_digit(10)) {
                    n = n * 10 + digit as usize;
                    rest.next();
                }
                let slot = n.checked_sub(1).and_then(|n| slots.get(n));
                out.push_str(&constant_text(slot)?);
                continue;
            }
            _ => {}
        }
        out.push(ch);
    }
    Ok(out)
}

fn constant_text(slot: Option<&Slot>) -> Result<String, SqlError> {
    let unfit = || SqlError::unsupported("a value of the session in a CHECK");
    let slot = slot.ok_or_else(unfit)?;
    let Source::Const(value) = &slot.source else { return Err(unfit()) };
    let value = match &slot.coerce {
        Coerce::None => value.clone(),
        how => crate::execute::coerce::apply(how, value.clone(), &FieldType::of_plain(value))?,
    };
    Ok(match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(n) if n < 0 => format!("({n})"),
        Value::Int(n) => n.to_string(),
        Value::Real(r) => format!("({r:e})"),
        Value::Text(t) => format!("'{}'", t.replace('\'', "''")),
        Value::Blob(b) => format!("x'{}'", p2pdb_model::ids::hex(&b)),
    })
}

/// `database.table` in backquotes.
fn full_name(t: &Table) -> String {
    format!("{}.{}", quote(&t.database), quote(&t.name))
}

type Target = Arc<ColumnTarget>;
