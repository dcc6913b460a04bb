//! Stored programs in information_schema and SHOW: ROUTINES, PARAMETERS, TRIGGERS, SHOW CREATE.

use p2pdb_model::Value;
use p2pdb_model::Value::Null;
use p2pdb_model::catalog::{Routine, Table, Trigger};
use p2pdb_model::ids::ObjectKind;
use p2pdb_model::schema::BodyScope;
use p2pdb_model::temporal::DateTime;
use p2pdb_model::types::{Collation, SqlType};

use super::Ty::{Count, Enum, Int, Long, Set, Stamp, Text, UInt};
use super::{Col, Cx, Row, count, information, maybe, stamp, text};
use crate::error::SqlError;
use crate::routine;
use crate::schema_text::{self, quote};

const ACCESS: &[&str] = &["CONTAINS SQL", "NO SQL", "READS SQL DATA", "MODIFIES SQL DATA"];

/// The modes of sql_mode in the order of their bits in MySQL.
pub(super) const SQL_MODES: &[&str] = &[
    "REAL_AS_FLOAT",
    "PIPES_AS_CONCAT",
    "ANSI_QUOTES",
    "IGNORE_SPACE",
    "NOT_USED",
    "ONLY_FULL_GROUP_BY",
    "NO_UNSIGNED_SUBTRACTION",
    "NO_DIR_IN_CREATE",
    "NOT_USED_9",
    "NOT_USED_10",
    "NOT_USED_11",
    "NOT_USED_12",
    "NOT_USED_13",
    "NOT_USED_14",
    "NOT_USED_15",
    "NOT_USED_16",
    "NOT_USED_17",
    "NOT_USED_18",
    "ANSI",
    "NO_AUTO_VALUE_ON_ZERO",
    "NO_BACKSLASH_ESCAPES",
    "STRICT_TRANS_TABLES",
    "STRICT_ALL_TABLES",
    "NO_ZERO_IN_DATE",
    "NO_ZERO_DATE",
    "ALLOW_INVALID_DATES",
    "ERROR_FOR_DIVISION_BY_ZERO",
    "TRADITIONAL",
    "NOT_USED_29",
    "HIGH_NOT_PRECEDENCE",
    "NO_ENGINE_SUBSTITUTION",
    "PAD_CHAR_TO_FULL_LENGTH",
    "TIME_TRUNCATE_FRACTIONAL",
    "INTERPRET_UTF8_AS_UTF8MB4",
];

pub(super) const ROUTINES: &[Col] = &[
    ("SPECIFIC_NAME", Text(64), true),
    ("ROUTINE_CATALOG", Text(64), true),
    ("ROUTINE_SCHEMA", Text(64), true),
    ("ROUTINE_NAME", Text(64), true),
    ("ROUTINE_TYPE", Enum(&["FUNCTION", "PROCEDURE", "LIBRARY"]), true),
    ("DATA_TYPE", Long, false),
    ("CHARACTER_MAXIMUM_LENGTH", Int, false),
    ("CHARACTER_OCTET_LENGTH", Int, false),
    ("NUMERIC_PRECISION", Count, false),
    ("NUMERIC_SCALE", Count, false),
    ("DATETIME_PRECISION", Count, false),
    ("CHARACTER_SET_NAME", Text(64), false),
    ("COLLATION_NAME", Text(64), false),
    ("DTD_IDENTIFIER", Long, false),
    ("ROUTINE_BODY", Text(3), true),
    ("ROUTINE_DEFINITION", Long, false),
    ("EXTERNAL_NAME", Text(10), false),
    ("EXTERNAL_LANGUAGE", Text(64), true),
    ("PARAMETER_STYLE", Text(3), true),
    ("IS_DETERMINISTIC", Text(3), true),
    ("SQL_DATA_ACCESS", Enum(ACCESS), true),
    ("SQL_PATH", Text(10), false),
    ("SECURITY_TYPE", Enum(&["DEFAULT", "INVOKER", "DEFINER"]), true),
    ("CREATED", Stamp, true),
    ("LAST_ALTERED", Stamp, true),
    ("SQL_MODE", Set(SQL_MODES), true),
    ("ROUTINE_COMMENT", Long, true),
    ("DEFINER", Text(288), true),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
    ("DATABASE_COLLATION", Text(64), true),
];

pub(super) const PARAMETERS: &[Col] = &[
    ("SPECIFIC_CATALOG", Text(64), true),
    ("SPECIFIC_SCHEMA", Text(64), true),
    ("SPECIFIC_NAME", Text(64), true),
    ("ORDINAL_POSITION", UInt, true),
    ("PARAMETER_MODE", Text(5), false),
    ("PARAMETER_NAME", Text(64), false),
    ("DATA_TYPE", Long, false),
    ("CHARACTER_MAXIMUM_LENGTH", Int, false),
    ("CHARACTER_OCTET_LENGTH", Int, false),
    ("NUMERIC_PRECISION", Count, false),
    ("NUMERIC_SCALE", Int, false),
    ("DATETIME_PRECISION", Count, false),
    ("CHARACTER_SET_NAME", Text(64), false),
    ("COLLATION_NAME", Text(64), false),
    ("DTD_IDENTIFIER", Long, true),
    ("ROUTINE_TYPE", Enum(&["FUNCTION", "PROCEDURE", "LIBRARY"]), true),
];

pub(super) const TRIGGERS: &[Col] = &[
    ("TRIGGER_CATALOG", Text(64), true),
    ("TRIGGER_SCHEMA", Text(64), true),
    ("TRIGGER_NAME", Text(64), true),
    ("EVENT_MANIPULATION", Enum(&["INSERT", "UPDATE", "DELETE"]), true),
    ("EVENT_OBJECT_CATALOG", Text(64), true),
    ("EVENT_OBJECT_SCHEMA", Text(64), true),
    ("EVENT_OBJECT_TABLE", Text(64), true),
    ("ACTION_ORDER", Count, true),
    ("ACTION_CONDITION", Long, false),
    ("ACTION_STATEMENT", Long, true),
    ("ACTION_ORIENTATION", Text(3), true),
    ("ACTION_TIMING", Enum(&["BEFORE", "AFTER"]), true),
    ("ACTION_REFERENCE_OLD_TABLE", Text(10), false),
    ("ACTION_REFERENCE_NEW_TABLE", Text(10), false),
    ("ACTION_REFERENCE_OLD_ROW", Text(3), true),
    ("ACTION_REFERENCE_NEW_ROW", Text(3), true),
    ("CREATED", Stamp, true),
    ("SQL_MODE", Set(SQL_MODES), true),
    ("DEFINER", Text(288), true),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
    ("DATABASE_COLLATION", Text(64), true),
];

fn kind_name(kind: ObjectKind) -> &'static str {
    if kind == ObjectKind::Function { "FUNCTION" } else { "PROCEDURE" }
}

fn when(cx: &Cx<'_>, unix_ms: u64) -> Value {
    let utc_us = i64::try_from(unix_ms.saturating_mul(1000)).unwrap_or(0);
    let local_us = cx.session.time_zone.zone.local_us(utc_us);
    Value::Int(DateTime::from_unix_us(local_us).truncated(0).pack())
}

/// Character set of the client, collation of the connection and of the database.
fn scope_row(scope: &BodyScope) -> [Value; 3] {
    [
        text(&scope.charset_client),
        text(scope.collation_connection.name()),
        text(scope.database_collation.name()),
    ]
}

/// DATA_TYPE to DTD_IDENTIFIER.
fn type_row(ty: &SqlType) -> Row {
    let [chars, bytes, precision, scale, fsp] = information::measures(ty);
    let collation = ty.collation().filter(|c| *c != Collation::Binary);
    let number = |n: Option<u64>| n.map(count).unwrap_or_default();
    vec![
        text(schema_text::data_type(ty)),
        number(chars),
        number(bytes),
        number(precision),
        number(scale),
        number(fsp),
        maybe(collation.map(Collation::charset)),
        maybe(collation.map(Collation::name)),
        text(schema_text::column_type(ty)),
    ]
}

fn all_routines<'c>(cx: &'c Cx<'_>) -> impl Iterator<Item = &'c Routine> {
    cx.catalog.databases().flat_map(|d| d.routines().map(|r| &**r))
}

/// information_schema.ROUTINES.
pub(super) fn routines(cx: &Cx<'_>) -> Vec<Row> {
    let row = |r: &Routine| {
        let kind = kind_name(r.kind());
        let mut row = vec![text(&r.name), text("def"), text(&r.database), text(&r.name), text(kind)];
        match routine::returns_of(r).ok().flatten() {
            Some(ty) => row.extend(type_row(&ty)),
            None => {
                row.push(text(""));
                row.extend(vec![Null; 8]);
            }
        }
        row.extend([text("SQL"), text(&r.def.body), Null, text("SQL"), text("SQL")]);
        row.push(text(if r.def.deterministic { "YES" } else { "NO" }));
        row.extend([text(&r.def.data_access), Null]);
        row.push(text(if r.def.invoker { "INVOKER" } else { "DEFINER" }));
        row.extend([stamp(r.created_ms), stamp(r.created_ms)]);
        row.extend([text(&r.def.scope.sql_mode), text(&r.def.comment), text(&r.def.definer)]);
        row.extend(scope_row(&r.def.scope));
        row
    };
    all_routines(cx).map(row).collect()
}

/// information_schema.PARAMETERS.
pub(super) fn parameters(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for r in all_routines(cx) {
        let mut push = |n: usize, mode: Value, name: Value, ty: &SqlType| {
            let mut row = vec![text("def"), text(&r.database), text(&r.name), count(n as u64), mode, name];
            row.extend(type_row(ty));
            row.push(text(kind_name(r.kind())));
            all.push(row);
        };
        if let Ok(Some(ty)) = routine::returns_of(r) {
            push(0, Null, Null, &ty);
        }
        for (n, p) in routine::parameters_of(r).unwrap_or_default().iter().enumerate() {
            push(n + 1, text(p.mode.name()), text(&p.name), &p.ty);
        }
    }
    all
}

/// Every trigger with its table and its place among those of one time and event, from 1.
fn all_triggers<'c>(cx: &'c Cx<'_>) -> Vec<(&'c Table, &'c Trigger, u64)> {
    let mut all = Vec::new();
    for table in cx.catalog.databases().flat_map(|d| d.tables()) {
        for (n, t) in table.triggers.iter().enumerate() {
            let same =
                |o: &&std::sync::Arc<Trigger>| o.def.before == t.def.before && o.def.event == t.def.event;
            all.push((&**table, &**t, 1 + table.triggers[..n].iter().filter(same).count() as u64));
        }
    }
    all
}

fn timing(t: &Trigger) -> Value {
    text(if t.def.before { "BEFORE" } else { "AFTER" })
}

/// information_schema.TRIGGERS.
pub(super) fn triggers(cx: &Cx<'_>) -> Vec<Row> {
    let row = |(table, t, order): (&Table, &Trigger, u64)| {
        let mut row = vec![text("def"), text(&table.database), text(&t.name), text(t.def.event.name())];
        row.extend([text("def"), text(&table.database), text(&table.name), count(order), Null]);
        row.extend([text(&t.def.body), text("ROW"), timing(t), Null, Null, text("OLD"), text("NEW")]);
        row.extend([stamp(t.created_ms), text(&t.def.scope.sql_mode), text(&t.def.definer)]);
        row.extend(scope_row(&t.def.scope));
        row
    };
    all_triggers(cx).into_iter().map(row).collect()
}

/// SHOW TRIGGERS of a database; LIKE is about their tables.
pub(super) fn show_triggers(cx: &Cx<'_>, database: &str) -> Vec<Row> {
    let mut all = all_triggers(cx);
    all.retain(|(table, ..)| table.database == database);
    // As they fire.
    all.sort_by_key(|(table, t, order)| (table.name.clone(), t.def.event as u8, !t.def.before, *order));
    let row = |(table, t, _): (&Table, &Trigger, u64)| {
        let mut row = vec![text(&t.name), text(t.def.event.name()), text(&table.name), text(&t.def.body)];
        row.extend([timing(t), when(cx, t.created_ms)]);
        row.extend([text(&t.def.scope.sql_mode), text(&t.def.definer)]);
        row.extend(scope_row(&t.def.scope));
        row
    };
    all.into_iter().map(row).collect()
}

/// SHOW PROCEDURE STATUS, SHOW FUNCTION STATUS.
pub(super) fn status(cx: &Cx<'_>, kind: ObjectKind) -> Vec<Row> {
    let row = |r: &Routine| {
        let mut row = vec![text(&r.database), text(&r.name), text(kind_name(kind))];
        row.extend([text(&r.def.definer), when(cx, r.created_ms), when(cx, r.created_ms)]);
        row.push(text(if r.def.invoker { "INVOKER" } else { "DEFINER" }));
        row.push(text(&r.def.comment));
        row.extend(scope_row(&r.def.scope));
        row
    };
    all_routines(cx).filter(|r| r.kind() == kind).map(row).collect()
}

fn definer(definer: &str) -> String {
    let (user, host) = definer.rsplit_once('@').unwrap_or((definer, "%"));
    format!("{}@{}", quote(user), quote(host))
}

/// SHOW CREATE PROCEDURE, SHOW CREATE FUNCTION.
pub(super) fn create_routine(
    cx: &Cx<'_>,
    kind: ObjectKind,
    database: &str,
    name: &str,
) -> Result<Row, SqlError> {
    let word = kind_name(kind);
    let missing = || SqlError::new(1305, "42000", format!("{word} {name} does not exist"));
    let r = cx.catalog.routine(kind, database, name).ok_or_else(missing)?;
    let returns = r.def.returns.as_ref().map(|t| format!(" RETURNS {t}")).unwrap_or_default();
    let mut sql = format!(
        "CREATE DEFINER={} {word} {}({}){returns}",
        definer(&r.def.definer),
        quote(&r.name),
        r.def.parameters
    );
    sql.push('\n');
    if r.def.data_access != "CONTAINS SQL" {
        sql.push_str(&format!("    {}\n", r.def.data_access));
    }
    if r.def.deterministic {
        sql.push_str("    DETERMINISTIC\n");
    }
    if r.def.invoker {
        sql.push_str("    SQL SECURITY INVOKER\n");
    }
    if !r.def.comment.is_empty() {
        sql.push_str(&format!("    COMMENT {}\n", schema_text::literal(&r.def.comment)));
    }
    sql.push_str(&r.def.body);
    let mut row = vec![text(&r.name), text(&r.def.scope.sql_mode), text(sql)];
    row.extend(scope_row(&r.def.scope));
    Ok(row)
}

/// SHOW CREATE TRIGGER.
pub(super) fn create_trigger(cx: &Cx<'_>, database: &str, name: &str) -> Result<Row, SqlError> {
    let found = cx.catalog.database(database).and_then(|d| d.trigger(name));
    let (table, t) = found.ok_or_else(|| SqlError::new(1360, "HY000", "Trigger does not exist"))?;
    let sql = format!(
        "CREATE DEFINER={} TRIGGER {} {} {} ON {} FOR EACH ROW {}",
        definer(&t.def.definer),
        quote(&t.name),
        if t.def.before { "BEFORE" } else { "AFTER" },
        t.def.event.name(),
        quote(&table.name),
        t.def.body
    );
    let mut row = vec![text(&t.name), text(&t.def.scope.sql_mode), text(sql)];
    row.extend(scope_row(&t.def.scope));
    row.push(when(cx, t.created_ms));
    Ok(row)
}
