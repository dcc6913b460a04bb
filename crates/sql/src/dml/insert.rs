//! INSERT and REPLACE.
//!
//! Rows of literals, parameters and session values are [`InsertRows::Values`]; anything that SQLite must evaluate makes
//! the whole statement an [`InsertRows::Select`] whose columns are already made fit for the table.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use p2pdb_model::catalog::{COLUMN_KEY, COLUMN_VERSION, Column, Table, View, physical_column, same_name};
use p2pdb_model::schema::{IndexPart, TriggerEvent};
use p2pdb_model::{ColumnTag, Privileges, Value};
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, visit_expressions,
    visit_expressions_mut,
};
use sqlparser::tokenizer::Token;

use super::sources::Sources;
use super::{
    Assignment, Filled, Given, Target, Written, assignments, bind_assignments, column_not_updatable,
    fill_fired, filled_sql, given, not_insertable, set_list, target, used, with_notes,
};
use crate::bind::{
    Binder, Bound, RelColumn, Relation, Repr, Scope, coercibility, fired_target, is_bytes_type, lenient,
};
use crate::error::SqlError;
use crate::field::{Field, FieldType};
use crate::plan::{
    self, Coerce, Insert, InsertMode, InsertRows, Note, NoteLevel, Plan, PlanKind, ReadSet, Slot,
};
use crate::schema_text::sorted_indexes;
use crate::statement::{Context, Cursor};
use crate::types::Class;

/// What `VALUES(column)` is called while it is bound; no name of MySQL begins like this.
pub(super) const VALUES_ALIAS: &str = "\u{1}values";

/// Where rows come from.
enum Rows {
    Values(Vec<Vec<Given>>),
    Query(Box<Query>),
}

/// INSERT or REPLACE.
pub fn insert(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let replace = c.eat("replace");
    if !replace {
        c.expect("insert")?;
    }
    c.eat_one(&["low_priority", "delayed", "high_priority"]);
    let ignore = !replace && c.eat("ignore");
    c.eat("into");
    let name = c.table_name()?;
    let written = target(cx, name, "INSERT")?;
    let missing = written.view.as_ref().map(|v| {
        let message = format!(
            "Field of view '{}.{}' underlying table doesn't have a default value",
            v.database, v.name
        );
        SqlError::new(1423, "HY000", message)
    });
    let result = insert_into(c, cx, written, replace, ignore);
    let Some(missing) = missing else { return result };
    let mut plan = result.map_err(|e| if e.code == 1364 { missing.clone() } else { e })?;
    for note in plan.notes.iter_mut().filter(|n| n.code == 1364) {
        (note.code, note.message) = (missing.code, missing.message.clone());
    }
    Ok(plan)
}

/// The rest of the statement, which writes to this.
fn insert_into(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    written: Written,
    replace: bool,
    ignore: bool,
) -> Result<Plan, SqlError> {
    let table = written.table.clone();
    if c.is("partition") {
        return Err(SqlError::unsupported("PARTITION"));
    }
    let mut columns: Vec<String> = Vec::new();
    let mut listed = false;
    let is_list = c.token(0) == &Token::LParen
        && !["select", "with", "values", "table"].iter().any(|w| c.is_at(1, w))
        && c.token(1) != &Token::LParen;
    if is_list {
        listed = true;
        c.skip();
        if !c.eat_token(&Token::RParen) {
            columns = c.list(column_name)?;
            c.expect_token(&Token::RParen)?;
        }
    }
    let mut rows = if !listed && c.eat("set") {
        let all = assignments(c)?;
        columns = all.iter().filter_map(|a| a.name.last().cloned()).collect();
        listed = true;
        Rows::Values(vec![all.into_iter().map(|a| a.value).collect()])
    } else if (c.is("values") && !c.is_at(1, "row")) || c.is("value") {
        c.skip();
        Rows::Values(c.list(row)?)
    } else if c.eat("values") {
        Rows::Values(c.list(|c| {
            c.expect("row")?;
            row(c)
        })?)
    } else if let Some(table) = table_before_on(c) {
        Rows::Query(Box::new(table?))
    } else {
        Rows::Query(Box::new(c.query()?))
    };
    let alias = if c.eat("as") {
        let name = c.name()?;
        let names = if c.token(0) == &Token::LParen { c.parenthesized(|c| c.name())? } else { Vec::new() };
        Some((name, names))
    } else {
        None
    };
    let mut upsert = if !replace && c.eat("on duplicate key update") { Some(assignments(c)?) } else { None };
    let mut sources = match (&mut rows, &mut upsert) {
        (Rows::Query(q), Some(all)) => Sources::take(cx, q, (&table, written.name()), all)?,
        _ => Sources::default(),
    };
    let targets = match &written.view {
        None => targets(&table, listed, &columns)?,
        Some(view) => view_targets(cx, &table, view, listed, &columns)?,
    };
    let mut calls = Vec::new();
    if let Rows::Values(all) = &mut rows {
        check_counts(all, targets.len(), listed)?;
        for given in all.iter_mut().flatten() {
            if let Given::Expr(e) = given {
                crate::statement::calls::take_stored(e, cx, &mut calls)?;
            }
        }
    }
    let mut notes = Vec::new();
    let mode = match (replace, ignore) {
        (true, _) => InsertMode::Replace,
        (_, true) => InsertMode::Ignore,
        _ => InsertMode::Plain,
    };
    cx.source.needs.writes_columns(&table, Privileges::INSERT, targets.iter().map(|t| t.tag));
    cx.source.needs.seals(&table, targets.iter().map(|t| t.tag));
    if replace {
        cx.source.needs.writes(&table, Privileges::DELETE);
    }
    let mut b = Binder::new(cx.catalog, cx.session, cx.source);
    b.insert_into = Some(table.clone());
    let (rows, mut reads) = match rows {
        Rows::Values(all) => values(b, cx, &table, &targets, all, ignore, &mut notes)?,
        Rows::Query(q) => {
            let bound;
            (bound, b) = crate::bind::statement::bound(&q, || {
                let mut b = Binder::new(cx.catalog, cx.session, cx.source);
                b.insert_into = Some(table.clone());
                b
            })?;
            if bound.columns.len() != targets.len() + sources.len() {
                return Err(SqlError::value_count(1));
            }
            sources.bound(&bound.columns[targets.len()..]);
            let alias = b.alias('q');
            b.per_row = true;
            let mut list = Vec::new();
            let mut made = Vec::new();
            for column in &table.columns {
                let ty = FieldType::of_column(&column.def.ty);
                let (sql, ty, coerce) = match targets.iter().position(|t| t.tag == column.tag) {
                    Some(_) if column.def.generated.is_some() => {
                        generated_given(cx, table.as_ref(), column, &mut notes)?;
                        ("NULL".to_owned(), ty, Coerce::None)
                    }
                    Some(i) => {
                        let value = bound.column(i, &format!("{alias}.c{i}"));
                        let target = lenient(fired_target(&table, column, TriggerEvent::Insert));
                        let latin1 = is_bytes_type(&target.ty) && b.is_latin1(&value);
                        if latin1 || matches!(value.class(), Class::Enum | Class::Set) {
                            // Members are turned into text, or their number, where they are known.
                            (b.assign(&value, &target), ty, Coerce::None)
                        } else {
                            (b.sql(&value), value.ty.clone(), Coerce::Column(target))
                        }
                    }
                    None => {
                        let f = fill_fired(&mut b, cx.session, &table, column, ignore, &mut notes)?;
                        (filled_sql(&mut b, f), ty, Coerce::None)
                    }
                };
                list.push(sql);
                made.push((ty, coerce));
            }
            for i in targets.len()..bound.columns.len() {
                let value = bound.column(i, &format!("{alias}.c{i}"));
                list.push(b.sql(&value));
                made.push((value.ty.clone(), Coerce::None));
            }
            let sql = format!("SELECT {} FROM ({}) {alias}", list.join(","), bound.sql);
            select(b, sql, made, &mut notes, false)
        }
    };
    let needs_key = table.primary().is_none();
    let n = table.columns.len() + 1 + usize::from(needs_key);
    let mut heads: Vec<String> = table.columns.iter().map(Column::physical).collect();
    heads.push(COLUMN_VERSION.to_owned());
    if needs_key {
        heads.push(COLUMN_KEY.to_owned());
    }
    let places: Vec<String> = (1..=n).map(|i| format!("?{i}")).collect();
    let or = match mode {
        InsertMode::Plain => "",
        InsertMode::Ignore if upsert.is_none() => " OR IGNORE",
        InsertMode::Ignore => "",
        InsertMode::Replace => " OR REPLACE",
    };
    let physical = table.physical();
    let into = format!("INSERT{or} INTO {physical} ({})", heads.join(","));
    let mut sql = format!("{into} VALUES ({})", places.join(","));
    let mut extra = Vec::new();
    let is_upsert = upsert.is_some();
    let mut of_duplicates = Duplicate::default();
    if let Some(all) = upsert {
        let mut b = Binder::new(cx.catalog, cx.session, cx.source);
        let reserved = n + sources.len();
        b.reserve(reserved);
        let sources = (sources.len() > 0).then(|| sources.relation(n + 1));
        of_duplicates = duplicate(&mut b, cx, &written, &targets, all, (alias, sources), ignore, &mut notes)?;
        sql.push_str(&on_conflict(&table, &of_duplicates.set));
        let done = b.finish();
        extra = used(&sql, done.slots).into_iter().skip(reserved).collect();
        merge(&mut reads, done.reads);
        notes.extend(done.notes);
    }
    let insert = Insert {
        table: table.id,
        columns: table.columns.iter().map(|c| c.tag).collect(),
        into,
        sql,
        extra,
        needs_key,
        rows,
        mode,
        upsert: is_upsert,
        adds: of_duplicates.adds,
        blind: of_duplicates.blind,
        sets_id: of_duplicates.sets_id,
        seals: of_duplicates.seals,
        auto_increment: table.columns.iter().position(|c| c.def.auto_increment),
        reads,
        row_checks: written.row_checks(cx)?,
    };
    Ok(Plan { calls, ..with_notes(PlanKind::Insert(insert), notes) })
}

/// What is done about a duplicate, for each key in MySQL's order: a row that meets several others changes the one that the
/// first key names (MySQL 8.0 Reference Manual, INSERT ... ON DUPLICATE KEY UPDATE). SQLite takes its clauses one by one.
///
/// A duplicate in a key that holds the whole primary key is one there first. (And SQLite knows no clause for a key of its rowid
/// and something else.)
fn on_conflict(table: &Table, set: &str) -> String {
    let mut sql = String::new();
    let primary = table.primary().filter(|p| p.def.parts.iter().all(|p| p.prefix.is_none()));
    let holds_primary = |parts: &[IndexPart]| {
        primary.is_some_and(|p| {
            p.def.parts.iter().all(|of| parts.iter().any(|p| p.column == of.column && p.prefix.is_none()))
        })
    };
    let mut keys: Vec<_> = sorted_indexes(table).into_iter().filter(|i| i.def.unique).collect();
    keys.retain(|i| primary.is_some_and(|p| p.id == i.id) || !holds_primary(&i.def.parts));
    let is_generated = |tag| table.column_by_tag(tag).is_some_and(|c| c.def.generated.is_some());
    // Of those with generated columns any comes first, after the others.
    let named = keys.iter().take_while(|i| !i.def.parts.iter().any(|p| is_generated(p.column)));
    let named: Vec<_> = if keys.len() > 1 { named.collect() } else { Vec::new() };
    for key in &named {
        let parts = key.def.parts.iter().map(|p| table.part_sql(p, &physical_column(p.column)));
        let parts: Vec<String> = parts.collect();
        sql.push_str(&format!(" ON CONFLICT ({}) DO UPDATE SET {set}", parts.join(", ")));
    }
    if named.is_empty() || named.len() < keys.len() {
        sql.push_str(&format!(" ON CONFLICT DO UPDATE SET {set}"));
    }
    sql
}

/// A value for a generated column: 3105, as MySQL. The dumps of MariaDB hold them, and are loaded under a sql_mode that is
/// not strict: there it is ignored, with MariaDB's warning.
fn generated_given(
    cx: &Context<'_>,
    table: &Table,
    column: &Column,
    notes: &mut Vec<Note>,
) -> Result<(), SqlError> {
    if cx.session.sql_mode.strict() {
        return Err(SqlError::generated_value(&column.name, &table.name));
    }
    let message = format!(
        "The value specified for generated column '{}' in table '{}' has been ignored",
        column.name, table.name
    );
    let note = Note { level: NoteLevel::Warning, code: 1906, message };
    if !notes.contains(&note) {
        notes.push(note);
    }
    Ok(())
}

/// `TABLE t ON DUPLICATE KEY UPDATE`: the parser takes ON for a part of the name.
fn table_before_on(c: &mut Cursor<'_, '_>) -> Option<Result<Query, SqlError>> {
    let length = if c.token(2) == &Token::Period { 4 } else { 2 };
    (c.is("table") && c.is_at(length, "on")).then(|| c.query_of(length))
}

/// A column's name in the list of INSERT: the table may stand before it.
fn column_name(c: &mut Cursor<'_, '_>) -> Result<String, SqlError> {
    let mut name = c.name()?;
    while c.eat_token(&Token::Period) {
        name = c.name_after_point()?;
    }
    Ok(name)
}

fn row(c: &mut Cursor<'_, '_>) -> Result<Vec<Given>, SqlError> {
    c.expect_token(&Token::LParen)?;
    if c.eat_token(&Token::RParen) {
        return Ok(Vec::new());
    }
    let all = c.list(given)?;
    c.expect_token(&Token::RParen)?;
    Ok(all)
}

/// The columns that values are given for.
fn targets<'t>(table: &'t Table, listed: bool, names: &[String]) -> Result<Vec<&'t Column>, SqlError> {
    if !listed {
        return Ok(table.columns.iter().filter(|c| !c.def.invisible).collect());
    }
    let mut all: Vec<&Column> = Vec::new();
    for name in names {
        let c = table.column(name).ok_or_else(|| SqlError::unknown_column(name, "field list"))?;
        if all.iter().any(|o| o.tag == c.tag) {
            return Err(SqlError::new(1110, "42000", format!("Column '{}' specified twice", c.name)));
        }
        all.push(c);
    }
    Ok(all)
}

/// The columns of a view that values are given for, as those of its table.
fn view_targets<'t>(
    cx: &Context<'_>,
    table: &'t Table,
    view: &View,
    listed: bool,
    names: &[String],
) -> Result<Vec<&'t Column>, SqlError> {
    let writable = Binder::new(cx.catalog, cx.session, cx.source).writable(view, &view.name, &view.name)?;
    let writable = writable.ok_or_else(|| not_insertable(&view.name))?;
    let of_view = &writable.relation.columns;
    let mut given = Vec::new();
    if listed {
        for name in names {
            let found = of_view.iter().find(|c| same_name(&c.name, name));
            given.push(found.ok_or_else(|| SqlError::unknown_column(name, "field list"))?);
        }
    } else {
        given.extend(of_view);
    }
    if let Some(c) = given.iter().find(|c| c.tag.is_none()) {
        return Err(column_not_updatable(&c.name));
    }
    if !writable.insertable {
        return Err(not_insertable(&view.name));
    }
    let mut all: Vec<&Column> = Vec::new();
    for c in given {
        let Some(column) = table.columns.iter().find(|t| Some(t.tag) == c.tag) else { continue };
        if all.iter().any(|o| o.tag == column.tag) {
            return Err(SqlError::new(1110, "42000", format!("Column '{}' specified twice", c.name)));
        }
        all.push(column);
    }
    Ok(all)
}

/// Every row has a value for every column; `VALUES ()` means all defaults.
fn check_counts(rows: &mut [Vec<Given>], columns: usize, listed: bool) -> Result<(), SqlError> {
    for (n, row) in rows.iter_mut().enumerate() {
        if row.is_empty() && (!listed || columns == 0) {
            *row = (0..columns).map(|_| Given::Default).collect();
        }
        if row.len() != columns {
            return Err(SqlError::value_count(n + 1));
        }
    }
    Ok(())
}

/// Rows of VALUES: slots if they all are, else one SELECT.
fn values<'a>(
    mut b: Binder<'a>,
    cx: &Context<'a>,
    table: &Arc<Table>,
    targets: &[&Column],
    rows: Vec<Vec<Given>>,
    ignore: bool,
    notes: &mut Vec<Note>,
) -> Result<(InsertRows, ReadSet), SqlError> {
    let scope = Rc::new(Scope::empty(0));
    let order: Vec<(Option<usize>, &Column, Target)> = table
        .columns
        .iter()
        .map(|c| {
            let target = fired_target(table, c, TriggerEvent::Insert);
            let target = if rows.len() > 1 { lenient(target) } else { target };
            (targets.iter().position(|t| t.tag == c.tag), c, target)
        })
        .collect();
    // As the statement names them: what was given before may be named by what comes later.
    let mut given_order: Vec<usize> = (0..order.len()).collect();
    given_order.sort_by_key(|i| order[*i].0.unwrap_or(usize::MAX));
    let mut all: Vec<Vec<Cell>> = Vec::with_capacity(rows.len());
    let mut plain = true;
    for row in &rows {
        let mut cells: Vec<Option<Cell>> = order.iter().map(|_| None).collect();
        for i in &given_order {
            let (at, column, target) = &order[*i];
            let cell = match at.map(|i| &row[i]) {
                Some(Given::Expr(_)) if column.def.generated.is_some() => {
                    generated_given(cx, table, column, notes)?;
                    Cell::Slot(Slot { source: plan::Source::Const(Value::Null), coerce: Coerce::None }, None)
                }
                Some(Given::Expr(e)) => {
                    let bound = match names_column(e, table) {
                        true => {
                            let so_far = row_so_far(&mut b, cx, table, &cells);
                            b.expr(e, &so_far)?
                        }
                        false => b.expr(e, &scope)?,
                    };
                    match &bound.repr {
                        Repr::Slot(Slot { source, coerce: Coerce::None })
                            if !(bound.hex && FieldType::of_column(&target.ty).class().is_number()) =>
                        {
                            let coerce = Coerce::Column(target.clone());
                            let slot = Slot { source: source.clone(), coerce };
                            Cell::Slot(slot, Some(Box::new((bound, target.clone()))))
                        }
                        // `_binary'…'`, as dumps write it.
                        Repr::Slot(Slot { source, coerce: Coerce::Expression(ty) }) if !bound.hex => {
                            let coerce = Coerce::Through(ty.clone(), target.clone());
                            let slot = Slot { source: source.clone(), coerce };
                            Cell::Slot(slot, Some(Box::new((bound, target.clone()))))
                        }
                        _ => Cell::Sql(b.assign(&bound, target)),
                    }
                }
                Some(Given::Default) | None => {
                    // One warning a statement, not one a row.
                    let mut own = Vec::new();
                    let filled = fill_fired(&mut b, cx.session, table, column, ignore, &mut own)?;
                    own.retain(|n| !notes.contains(n));
                    notes.extend(own);
                    match filled {
                        Filled::Slot(slot) => Cell::Slot(slot, None),
                        Filled::Sql(sql) => Cell::Sql(sql),
                    }
                }
            };
            plain &= matches!(cell, Cell::Slot(..));
            cells[*i] = Some(cell);
        }
        all.push(cells.into_iter().flatten().collect());
    }
    if plain {
        let slots = |row: Vec<Cell>| {
            row.into_iter().filter_map(|c| if let Cell::Slot(s, _) = c { Some(s) } else { None }).collect()
        };
        let rows = all.into_iter().map(slots).collect();
        let done = b.finish();
        notes.extend(done.notes);
        return Ok((InsertRows::Values(rows), done.reads));
    }
    let mut parts = Vec::new();
    for (n, row) in all.into_iter().enumerate() {
        let mut list = Vec::with_capacity(row.len());
        for cell in row {
            list.push(cell.sql(&mut b));
        }
        parts.push(format!("SELECT {} WHERE p_row({})", list.join(","), n + 1));
    }
    let made = table.columns.iter().map(|c| (FieldType::of_column(&c.def.ty), Coerce::None)).collect();
    Ok(select(b, union_all(parts), made, notes, true))
}

/// What one column of one row takes.
enum Cell {
    /// With the value before it is made fit.
    Slot(Slot, Option<Box<(Bound, Target)>>),
    Sql(String),
}

impl Cell {
    fn sql(&self, b: &mut Binder<'_>) -> String {
        match self {
            // Parameters are bound before any row; what can fail does so in its row.
            Cell::Slot(_, Some(given)) => {
                let (value, target) = &**given;
                let value = Bound { repr: Repr::Sql(b.sql(value)), ..value.clone() };
                b.assign(&value, target)
            }
            Cell::Slot(slot, None) => b.parameter(slot.clone()),
            Cell::Sql(sql) => sql.clone(),
        }
    }
}

/// Does a value of VALUES name a column of the table (or a subquery in it one of another table, of the same name)?
fn names_column(e: &Expr, table: &Table) -> bool {
    let column = |name: &Ident| table.columns.iter().any(|c| same_name(&c.name, &name.value));
    // That of DEFAULT(column) is not read.
    let (mut named, mut of_defaults) = (0, 0);
    let _ = visit_expressions(e, |e| {
        match e {
            Expr::Identifier(i) => named += u32::from(column(i)),
            Expr::CompoundIdentifier(parts) => named += u32::from(parts.last().is_some_and(column)),
            Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("default") => of_defaults += 1,
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    });
    named > of_defaults
}

/// The columns of a row of VALUES as the values to their left have made them; those without a value yet hold their defaults (MySQL 8.0
/// manual, "INSERT Statement").
fn row_so_far(b: &mut Binder<'_>, cx: &Context<'_>, table: &Arc<Table>, cells: &[Option<Cell>]) -> Rc<Scope> {
    let mut columns = Vec::with_capacity(cells.len());
    for (column, cell) in table.columns.iter().zip(cells) {
        let sql = match cell {
            // A value that is not drawn yet.
            Some(cell) if column.def.auto_increment => format!("coalesce({},0)", cell.sql(b)),
            Some(cell) => cell.sql(b),
            None if column.def.auto_increment => "0".to_owned(),
            // One that must be given holds nothing before.
            None => match fill_fired(b, cx.session, table, column, true, &mut Vec::new()) {
                Ok(filled) => filled_sql(b, filled),
                Err(_) => "NULL".to_owned(),
            },
        };
        let field = Field::expression(&column.name, FieldType::of_column(&column.def.ty));
        columns.push(RelColumn {
            name: column.name.clone(),
            sql,
            field,
            tag: None,
            invisible: false,
            coercibility: coercibility::COLUMN,
        });
    }
    Scope::of(vec![Relation::derived(&table.name, None, "", columns)], "field list")
}

/// All the rows of these queries, however many there are: SQLite takes some hundreds in one UNION.
fn union_all(mut parts: Vec<String>) -> String {
    const PARTS_MAX: usize = 400;
    while parts.len() > PARTS_MAX {
        let group = |p: &[String]| format!("SELECT * FROM ({})", p.join(" UNION ALL "));
        parts = parts.chunks(PARTS_MAX).map(group).collect();
    }
    parts.join(" UNION ALL ")
}

/// Rows of a query, with the type and coercion of each column.
fn select(
    b: Binder<'_>,
    sql: String,
    made: Vec<(FieldType, Coerce)>,
    notes: &mut Vec<Note>,
    values: bool,
) -> (InsertRows, ReadSet) {
    let done = b.finish();
    notes.extend(done.notes);
    let slots = used(&sql, done.slots);
    let query = plan::Query {
        functions: plan::calls_functions(&sql),
        sql,
        slots,
        reads: done.reads.clone(),
        locking: None,
        short: false,
        found_rows: None,
        into: Vec::new(),
        explain: None,
    };
    let (types, coerce) = made.into_iter().unzip();
    let rows = InsertRows::Select { query: Box::new(query), types, coerce, values };
    (rows, done.reads)
}

fn merge(into: &mut ReadSet, from: ReadSet) {
    into.keys.extend(from.keys);
    into.conditions.extend(from.conditions);
    for t in from.tables {
        if !into.tables.contains(&t) {
            into.tables.push(t);
        }
    }
}

/// Columns of the table.
/// ON DUPLICATE KEY UPDATE.
#[derive(Default)]
struct Duplicate {
    /// Its assignments.
    set: String,
    /// The counters that it adds to.
    adds: Arc<[ColumnTag]>,
    /// The columns that it assigns to unseen.
    blind: Arc<[ColumnTag]>,
    /// It assigns to the AUTO_INCREMENT column.
    sets_id: bool,
    /// The sealed columns that it assigns to.
    seals: Arc<[ColumnTag]>,
}

#[allow(clippy::too_many_arguments)]
fn duplicate(
    b: &mut Binder<'_>,
    cx: &Context<'_>,
    written: &Written,
    targets: &[&Column],
    mut all: Vec<Assignment>,
    (alias, sources): (Option<(String, Vec<String>)>, Option<Relation>),
    ignore: bool,
    notes: &mut Vec<Note>,
) -> Result<Duplicate, SqlError> {
    let mut changed = Vec::new();
    for a in &mut all {
        if let Given::Expr(e) = &mut a.value {
            values_calls(e);
            changed.push(e.clone());
        }
    }
    let table = &written.table;
    super::not_read_inside(cx, written, &changed.iter().collect::<Vec<_>>())?;
    let (own, _) = written.relation(b, written.name(), &table.physical())?;
    let (mut new, _) = written.relation(b, VALUES_ALIAS, "excluded")?;
    let own_names: Vec<String> = own.columns.iter().map(|c| c.name.clone()).collect();
    let mut relations = vec![own, new.clone()];
    if let Some((name, names)) = alias {
        if same_name(&name, written.name()) {
            return Err(SqlError::new(1066, "42000", format!("Not unique table/alias: '{name}'")));
        }
        new.alias = name;
        if !names.is_empty() {
            // The names stand for the columns that values are given for; no others are to be had.
            if targets.len() != names.len() {
                return Err(SqlError::value_count(1));
            }
            let renamed = targets.iter().zip(names).filter_map(|(t, name)| {
                let column = new.columns.iter().find(|c| c.tag == Some(t.tag))?;
                Some(crate::bind::RelColumn { name, ..column.clone() })
            });
            new.columns = renamed.collect();
        }
        relations.push(new);
    }
    relations.extend(sources);
    let mut scope = Scope::clone(&Scope::of(relations, "field list"));
    for (r, relation) in scope.relations.iter().enumerate().skip(1) {
        for (c, column) in relation.columns.iter().enumerate() {
            // Without a table a name means the row that is there, unless only the new row has it.
            if r == 1 || own_names.iter().any(|n| same_name(n, &column.name)) {
                scope.merged.insert((r, c));
            }
        }
    }
    let adds = super::adds(table, &scope.relations[0], &all);
    let blind = super::blind(table, &scope.relations[0], &all, None);
    b.late = true;
    let set = bind_assignments(b, &scope, 0, table, all, ignore, notes);
    b.late = false;
    let set = set?;
    let (sets_id, seals) = (super::sets_id(table, &set), super::seals(table, &set));
    Ok(Duplicate { set: set_list(table, &table.physical(), &set), adds, blind, sets_id, seals })
}

/// Turns `VALUES(column)` into a column of the new row.
pub(super) fn values_calls(e: &mut Expr) {
    let _ = visit_expressions_mut(e, |e| {
        if let Expr::Function(f) = e
            && f.name.to_string().eq_ignore_ascii_case("values")
            && let FunctionArguments::List(l) = &f.args
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))] = l.args.as_slice()
        {
            let column = match arg {
                Expr::Identifier(i) => Some(i.clone()),
                Expr::CompoundIdentifier(p) => p.last().cloned(),
                _ => None,
            };
            if let Some(column) = column {
                *e = Expr::CompoundIdentifier(vec![Ident::new(VALUES_ALIAS), column]);
            }
        }
        ControlFlow::<()>::Continue(())
    });
}
