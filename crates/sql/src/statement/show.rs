//! SHOW, DESCRIBE, and the maintenance statements that answer with a table.
//!
//! Each becomes a SELECT over one virtual table ([`crate::virtuals::show`]); `WHERE` is bound by the ordinary binder
//! against that table's columns.

use std::sync::Arc;

use p2pdb_model::ids::ObjectKind;
use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, SetExpr, TableFactor};
use sqlparser::tokenizer::Token;

use crate::account::Who;
use crate::ddl::account;
use crate::error::SqlError;
use crate::plan::{Coerce, EarlierWarnings, Plan, PlanKind, Query, ReadSet, Slot, Source};
use crate::statement::{Context, Cursor, compile_query, query_text};
use crate::virtuals::{self, SHOW, VirtualTable, show::Show};

/// SHOW.
pub(super) fn show(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.expect("show")?;
    let extended = c.eat("extended");
    let full = c.eat("full");
    let flags: &[&str] = if full { &["full"] } else { &[] };
    if c.eat("columns") || c.eat("fields") {
        let (db, table) = from_table(c, cx)?;
        exists(cx, &db, &table)?;
        let mut args = vec![db.as_str(), table.as_str()];
        args.extend(flags);
        return filtered(c, cx, Show::new("columns", &args));
    }
    if c.eat("tables") {
        let db = from_database(c, cx)?;
        let mut args = vec![db.as_str()];
        args.extend(flags);
        return filtered(c, cx, Show::new("tables", &args));
    }
    if c.eat("processlist") {
        return filtered(c, cx, Show::new("processlist", flags));
    }
    if full {
        return Err(c.error());
    }
    if c.eat_one(&["index", "indexes", "keys"]).is_some() {
        let (db, table) = from_table(c, cx)?;
        exists(cx, &db, &table)?;
        return filtered(c, cx, Show::new("index", &[&db, &table]));
    }
    if extended {
        return Err(c.error());
    }
    if c.eat("databases") || c.eat("schemas") {
        return filtered(c, cx, Show::new("databases", &[]));
    }
    if c.eat("create") {
        return create(c, cx);
    }
    if c.eat("table status") {
        let db = from_database(c, cx)?;
        return filtered(c, cx, Show::new("table status", &[&db]));
    }
    if let Some(what) = c.eat_one(&["open tables", "triggers", "events"]) {
        let db = from_database(c, cx)?;
        return filtered(c, cx, Show::new(what, &[&db]));
    }
    let scope = c.eat_one(&["global", "session", "local"]);
    if let Some(what) = c.eat_one(&["variables", "status"]) {
        let scope = if scope == Some("global") { "global" } else { "session" };
        return filtered(c, cx, Show::new(what, &[scope]));
    }
    if scope.is_some() {
        return Err(c.error());
    }
    if let Some(what) = c.eat_one(&["warnings", "errors"]) {
        let limit = limit(c)?;
        let mut plan = direct(cx, Show::new(what, &[]))?;
        if let (PlanKind::Query(query), Some((offset, rows))) = (&mut plan.kind, limit) {
            query.sql.push_str(&format!(" LIMIT {rows} OFFSET {offset}"));
        }
        return Ok(Plan { earlier_warnings: EarlierWarnings::Kept, ..plan });
    }
    if c.eat("count") {
        for token in [Token::LParen, Token::Mul, Token::RParen] {
            c.expect_token(&token)?;
        }
        let what = c.eat_one(&["warnings", "errors"]).ok_or_else(|| c.error())?;
        let plan = direct(cx, Show::new(&format!("count {what}"), &[]))?;
        return Ok(Plan { earlier_warnings: EarlierWarnings::Kept, ..plan });
    }
    if c.eat("grants") {
        return grants(c, cx);
    }
    if c.eat("storage engines") || c.eat("engines") {
        return direct(cx, Show::new("engines", &[]));
    }
    if c.eat("collation") {
        return filtered(c, cx, Show::new("collation", &[]));
    }
    if c.eat("character set") || c.eat("charset") {
        return filtered(c, cx, Show::new("charset", &[]));
    }
    if let Some(what) = c.eat_one(&["privileges", "plugins", "profiles", "master status"]) {
        return direct(cx, Show::new(what, &[]));
    }
    if let Some(what) = c.eat_one(&["procedure status", "function status"]) {
        return filtered(c, cx, Show::new(what, &[]));
    }
    if c.eat("slave status") || c.eat("replica status") {
        if c.eat("for channel") {
            c.string()?;
        }
        return direct(cx, Show::new("replica status", &[]));
    }
    if c.eat("slave hosts") || c.eat("replicas") {
        return direct(cx, Show::new("replicas", &[]));
    }
    if c.eat("binary logs") || c.eat("master logs") {
        return Err(SqlError::new(1381, "HY000", "You are not using binary logging"));
    }
    const REFUSED: [&str; 7] = [
        "binlog events",
        "relaylog events",
        "engine",
        "function code",
        "procedure code",
        "profile",
        "parse_tree",
    ];
    match REFUSED.iter().find(|words| c.is(words)) {
        Some(words) => Err(SqlError::unsupported(format!("SHOW {}", words.to_uppercase()))),
        None => Err(c.error()),
    }
}

/// DESCRIBE or EXPLAIN of a table: `table [column | 'pattern']`.
pub(super) fn describe(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let (db, table) = c.table_name()?;
    let db = cx.database(db)?;
    exists(cx, &db, &table)?;
    let pattern = match c.eat_string() {
        Some(pattern) => Some(pattern),
        None if c.at_name() => Some(c.name()?.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")),
        None => None,
    };
    direct(cx, Show::new("columns", &[&db, &table]).like(pattern))
}

/// `CHECK | ANALYZE | OPTIMIZE | REPAIR TABLE …`, which commits.
pub(super) fn maintain(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let op = c.eat_one(&["check", "analyze", "optimize", "repair"]).ok_or_else(|| c.error())?;
    if op != "check" {
        c.eat_one(&["no_write_to_binlog", "local"]);
    }
    if !c.eat("table") {
        c.expect("tables")?;
    }
    let mut show = Show::new("admin", &[op]);
    c.list(|c| {
        let (db, table) = c.table_name()?;
        show.args.extend([cx.database(db)?, table]);
        Ok(())
    })?;
    if op == "check" {
        while c.eat_one(&["for upgrade", "quick", "fast", "medium", "extended", "changed"]).is_some() {}
    } else if op == "repair" {
        while c.eat_one(&["quick", "extended", "use_frm"]).is_some() {}
    } else if c.is("update histogram") || c.is("drop histogram") {
        return Err(SqlError::unsupported("ANALYZE TABLE … HISTOGRAM"));
    }
    Ok(Plan { commits: true, ..direct(cx, show)? })
}

/// `FROM | IN [database.]table [FROM | IN database]`.
fn from_table(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<(String, String), SqlError> {
    if !c.eat("from") {
        c.expect("in")?;
    }
    let (db, table) = c.table_name()?;
    let db = if c.eat("from") || c.eat("in") { Some(c.name()?) } else { db };
    Ok((cx.database(db)?, table))
}

/// `[FROM | IN database]`, which must exist.
fn from_database(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<String, SqlError> {
    let name = if c.eat("from") || c.eat("in") { Some(c.name()?) } else { None };
    let name = cx.database(name)?;
    known_database(cx, &name)
}

/// The database's name as it is written, or 1049.
pub(super) fn known_database(cx: &Context<'_>, name: &str) -> Result<String, SqlError> {
    match virtuals::database_name(name) {
        Some(canonical) => Ok(canonical.to_owned()),
        None if cx.catalog.database(name).is_some() => Ok(name.to_owned()),
        None => Err(SqlError::unknown_database(name)),
    }
}

/// The table, view or virtual table must exist.
fn exists(cx: &Context<'_>, db: &str, table: &str) -> Result<(), SqlError> {
    let own = cx.catalog.table(db, table).is_some() || cx.catalog.view(db, table).is_some();
    if own || virtuals::describe(db, table).is_some() {
        return Ok(());
    }
    known_database(cx, db)?;
    Err(SqlError::no_table(db, table))
}

fn limit(c: &mut Cursor<'_, '_>) -> Result<Option<(u64, u64)>, SqlError> {
    if !c.eat("limit") {
        return Ok(None);
    }
    let first = c.number()?;
    if c.eat_token(&Token::Comma) {
        return Ok(Some((first, c.number()?)));
    }
    let offset = if c.eat("offset") { c.number()? } else { 0 };
    Ok(Some((offset, first)))
}

fn create(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    if c.eat("database") || c.eat("schema") {
        let condition = if c.eat("if not exists") { "if not exists" } else { "" };
        let name = known_database(cx, &c.name()?)?;
        return direct(cx, Show::new("create database", &[&name, condition]));
    }
    if let Some(what) = c.eat_one(&["procedure", "function", "trigger", "event", "user"]) {
        let (db, name) = c.table_name()?;
        let kind = match what {
            "procedure" => Some(ObjectKind::Procedure),
            "function" => Some(ObjectKind::Function),
            _ => None,
        };
        if let Some(kind) = kind {
            let db = cx.database(db)?;
            if cx.catalog.routine(kind, &db, &name).is_some() {
                return direct(cx, Show::new(&format!("create {what}"), &[&db, &name]));
            }
        } else if what == "trigger" {
            let db = cx.database(db)?;
            if cx.catalog.database(&db).is_some_and(|d| d.trigger(&name).is_some()) {
                return direct(cx, Show::new("create trigger", &[&db, &name]));
            }
        }
        return Err(match what {
            "trigger" => SqlError::new(1360, "HY000", "Trigger does not exist"),
            "event" => SqlError::new(1539, "HY000", format!("Unknown event '{name}'")),
            "user" => SqlError::unsupported("SHOW CREATE USER"),
            _ => {
                let message = format!("{} {name} does not exist", what.to_uppercase());
                SqlError::new(1305, "42000", message)
            }
        });
    }
    let view = c.eat("view");
    if !view {
        c.expect("table")?;
    }
    let (db, name) = c.table_name()?;
    let db = cx.database(db)?;
    exists(cx, &db, &name)?;
    if cx.catalog.view(&db, &name).is_some() {
        return direct(cx, Show::new("create view", &[&db, &name]));
    }
    if view {
        return Err(SqlError::new(1347, "HY000", format!("'{db}.{name}' is not VIEW")));
    }
    if virtuals::database_name(&db).is_some() {
        return Err(SqlError::unsupported("SHOW CREATE TABLE of a virtual table"));
    }
    direct(cx, Show::new("create table", &[&db, &name]))
}

fn grants(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let who = if c.eat("for") { account::who(c)? } else { Who::Current };
    let using = if c.eat("using") { c.list(account::name)? } else { Vec::new() };
    let whose = match who {
        Who::Current => cx.session.account.clone(),
        Who::Named(name) => format!("{}@{}", name.user, name.host),
    };
    let using: Vec<String> = using.iter().map(|r| format!("{}@{}", r.user, r.host)).collect();
    let args: Vec<&str> = [whose.as_str()].into_iter().chain(using.iter().map(String::as_str)).collect();
    direct(cx, Show::new("grants", &args))
}

/// With `LIKE 'pattern'` or `WHERE expression` if they follow.
fn filtered(c: &mut Cursor<'_, '_>, cx: &Context<'_>, show: Show) -> Result<Plan, SqlError> {
    if c.eat("like") {
        let pattern = c.string()?;
        return direct(cx, show.like(Some(pattern)));
    }
    if !c.eat("where") {
        return direct(cx, show);
    }
    let condition = c.expr()?;
    let table = table(&show)?;
    let mut query = query_text("SELECT * FROM x")?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = Some(condition);
        if let Some(TableFactor::Table { name, .. }) = select.from.first_mut().map(|t| &mut t.relation) {
            let parts =
                [SHOW, table.name.as_str()].map(|p| ObjectNamePart::Identifier(Ident::with_quote('`', p)));
            *name = ObjectName(parts.to_vec());
        }
    }
    let (query, mut fields) = compile_query(&query, cx)?;
    for f in &mut fields {
        (f.table, f.org_table, f.database) = Default::default();
    }
    Ok(Plan { fields: Arc::from(fields), ..Plan::new(PlanKind::Query(query)) })
}

fn table(show: &Show) -> Result<VirtualTable, SqlError> {
    show.table().ok_or_else(|| SqlError::unsupported(format!("SHOW {}", show.what.to_uppercase())))
}

/// The whole virtual table.
pub(super) fn direct(_: &Context<'_>, show: Show) -> Result<Plan, SqlError> {
    let table = table(&show)?;
    let source = Source::Virtual(table.source_name(), Vec::new());
    let query = Query {
        sql: table.select_all(),
        slots: vec![Slot { source, coerce: Coerce::None }],
        reads: ReadSet::default(),
        locking: None,
        short: false,
        found_rows: None,
        into: Vec::new(),
        explain: None,
        functions: false,
    };
    Ok(Plan { fields: Arc::from(table.fields()), ..Plan::new(PlanKind::Query(query)) })
}
