//! The tables behind SHOW, CHECK TABLE and their like.
//!
//! Such a table is named by a [`Show`] written as JSON; [`describe`] gives its columns under the names that MySQL shows,
//! [`rows`] its rows.

use p2pdb_model::Value;
use p2pdb_model::Value::Null;
use p2pdb_model::ids::ObjectKind;
use p2pdb_model::types::Collation;

use super::{
    Cx, NamePattern, Row, SHOW, Ty, VirtualColumn, VirtualTable, count, grants, information, maybe,
    performance, programs, text,
};
use crate::error::SqlError;
use crate::field::Field;
use crate::plan::NoteLevel;
use crate::schema_text;
use crate::variables;

use Ty::{Int, Long, Short, Stamp, Text, UInt, When};

/// What is shown: a word and its arguments.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Show {
    /// Which SHOW.
    pub what: String,
    /// Its arguments: names of objects, `full`.
    pub args: Vec<String>,
    /// LIKE.
    pub like: Option<String>,
}

impl Show {
    /// SHOW `what` with these arguments.
    pub fn new(what: &str, args: &[&str]) -> Self {
        Show { what: what.to_owned(), args: args.iter().map(|a| (*a).to_owned()).collect(), like: None }
    }

    /// With a pattern.
    pub fn like(self, like: Option<String>) -> Self {
        Show { like, ..self }
    }

    /// The table.
    pub fn table(&self) -> Option<VirtualTable> {
        describe(&serde_json::to_string(self).ok()?)
    }

    fn arg(&self, n: usize) -> &str {
        self.args.get(n).map(String::as_str).unwrap_or_default()
    }

    fn full(&self) -> bool {
        self.args.iter().any(|a| a == "full")
    }
}

const VARIABLE: &[(&str, Ty)] = &[("Variable_name", Text(64)), ("Value", Text(1024))];

fn columns(s: &Show) -> Option<Vec<(String, Ty)>> {
    let pattern = s.like.as_ref().map(|p| format!(" ({p})")).unwrap_or_default();
    let fixed: &[(&str, Ty)] = match s.what.as_str() {
        "databases" => return Some(vec![(format!("Database{pattern}"), Text(64))]),
        "tables" => {
            let mut all = vec![(format!("Tables_in_{}{pattern}", s.arg(0)), Text(64))];
            if s.full() {
                all.push(("Table_type".to_owned(), Text(11)));
            }
            return Some(all);
        }
        "history" => &[
            ("version", Int),
            ("row_key", Long),
            ("change", Text(16)),
            ("values", Long),
            ("author", Text(64)),
            ("account", Text(128)),
            ("stamp", UInt),
            ("written_ms", UInt),
            ("block", Text(64)),
            ("verdict", Text(64)),
        ],
        "grants" => return Some(vec![(format!("Grants for {}", s.arg(0)), Text(1024))]),
        "columns" if s.full() => &[
            ("Field", Text(64)),
            ("Type", Long),
            ("Collation", Text(64)),
            ("Null", Text(3)),
            ("Key", Text(3)),
            ("Default", Long),
            ("Extra", Text(256)),
            ("Privileges", Text(154)),
            ("Comment", Long),
        ],
        "columns" => &[
            ("Field", Text(64)),
            ("Type", Long),
            ("Null", Text(3)),
            ("Key", Text(3)),
            ("Default", Long),
            ("Extra", Text(256)),
        ],
        "index" => &[
            ("Table", Text(64)),
            ("Non_unique", Int),
            ("Key_name", Text(64)),
            ("Seq_in_index", UInt),
            ("Column_name", Text(64)),
            ("Collation", Text(1)),
            ("Cardinality", Int),
            ("Sub_part", Int),
            ("Packed", Text(10)),
            ("Null", Text(3)),
            ("Index_type", Text(11)),
            ("Comment", Text(8)),
            ("Index_comment", Text(2048)),
            ("Visible", Text(3)),
            ("Expression", Long),
        ],
        "create table" => &[("Table", Text(64)), ("Create Table", Text(1024))],
        "create view" => &[
            ("View", Text(64)),
            ("Create View", Long),
            ("character_set_client", Text(64)),
            ("collation_connection", Text(64)),
        ],
        "create database" => &[("Database", Text(64)), ("Create Database", Long)],
        "create procedure" => &[
            ("Procedure", Text(64)),
            ("sql_mode", Long),
            ("Create Procedure", Long),
            ("character_set_client", Text(64)),
            ("collation_connection", Text(64)),
            ("Database Collation", Text(64)),
        ],
        "create function" => &[
            ("Function", Text(64)),
            ("sql_mode", Long),
            ("Create Function", Long),
            ("character_set_client", Text(64)),
            ("collation_connection", Text(64)),
            ("Database Collation", Text(64)),
        ],
        "create trigger" => &[
            ("Trigger", Text(64)),
            ("sql_mode", Long),
            ("SQL Original Statement", Long),
            ("character_set_client", Text(64)),
            ("collation_connection", Text(64)),
            ("Database Collation", Text(64)),
            ("Created", When),
        ],
        "table status" => &[
            ("Name", Text(64)),
            ("Engine", Text(64)),
            ("Version", Int),
            ("Row_format", Text(10)),
            ("Rows", UInt),
            ("Avg_row_length", UInt),
            ("Data_length", UInt),
            ("Max_data_length", UInt),
            ("Index_length", UInt),
            ("Data_free", UInt),
            ("Auto_increment", UInt),
            ("Create_time", Stamp),
            ("Update_time", When),
            ("Check_time", When),
            ("Collation", Text(64)),
            ("Checksum", Int),
            ("Create_options", Text(256)),
            ("Comment", Text(2048)),
        ],
        "variables" | "status" => VARIABLE,
        "warnings" | "errors" => &[("Level", Text(7)), ("Code", Short), ("Message", Text(512))],
        "count warnings" => &[("@@session.warning_count", UInt)],
        "count errors" => &[("@@session.error_count", UInt)],
        "processlist" => &[
            ("Id", UInt),
            ("User", Text(32)),
            ("Host", Text(261)),
            ("db", Text(64)),
            ("Command", Text(16)),
            ("Time", Int),
            ("State", Text(64)),
            ("Info", Long),
        ],
        "engines" => &[
            ("Engine", Text(64)),
            ("Support", Text(8)),
            ("Comment", Text(80)),
            ("Transactions", Text(3)),
            ("XA", Text(3)),
            ("Savepoints", Text(3)),
        ],
        "collation" => &[
            ("Collation", Text(64)),
            ("Charset", Text(64)),
            ("Id", UInt),
            ("Default", Text(3)),
            ("Compiled", Text(3)),
            ("Sortlen", UInt),
            ("Pad_attribute", Text(9)),
        ],
        "charset" => &[
            ("Charset", Text(64)),
            ("Description", Text(2048)),
            ("Default collation", Text(64)),
            ("Maxlen", UInt),
        ],
        "privileges" => &[("Privilege", Text(64)), ("Context", Text(64)), ("Comment", Text(256))],
        "plugins" => &[
            ("Name", Text(64)),
            ("Status", Text(10)),
            ("Type", Text(80)),
            ("Library", Text(64)),
            ("License", Text(80)),
        ],
        "triggers" => &[
            ("Trigger", Text(64)),
            ("Event", Text(6)),
            ("Table", Text(64)),
            ("Statement", Long),
            ("Timing", Text(6)),
            ("Created", When),
            ("sql_mode", Long),
            ("Definer", Text(288)),
            ("character_set_client", Text(64)),
            ("collation_connection", Text(64)),
            ("Database Collation", Text(64)),
        ],
        "procedure status" | "function status" => &[
            ("Db", Text(64)),
            ("Name", Text(64)),
            ("Type", Text(9)),
            ("Definer", Text(288)),
            ("Modified", When),
            ("Created", When),
            ("Security_type", Text(7)),
            ("Comment", Long),
            ("character_set_client", Text(64)),
            ("collation_connection", Text(64)),
            ("Database Collation", Text(64)),
        ],
        "events" => &[
            ("Db", Text(64)),
            ("Name", Text(64)),
            ("Definer", Text(288)),
            ("Time zone", Text(64)),
            ("Type", Text(9)),
            ("Execute at", When),
            ("Interval value", Text(256)),
            ("Interval field", Text(18)),
            ("Starts", When),
            ("Ends", When),
            ("Status", Text(21)),
            ("Originator", UInt),
            ("character_set_client", Text(64)),
            ("collation_connection", Text(64)),
            ("Database Collation", Text(64)),
        ],
        "open tables" => {
            &[("Database", Text(64)), ("Table", Text(64)), ("In_use", Int), ("Name_locked", Int)]
        }
        "master status" => &[
            ("File", Text(255)),
            ("Position", UInt),
            ("Binlog_Do_DB", Text(255)),
            ("Binlog_Ignore_DB", Text(255)),
            ("Executed_Gtid_Set", Long),
        ],
        "replica status" => &[("Replica_IO_State", Text(14))],
        "replicas" => &[
            ("Server_Id", UInt),
            ("Host", Text(255)),
            ("Port", UInt),
            ("Source_Id", UInt),
            ("Replica_UUID", Text(36)),
        ],
        "profiles" => &[("Query_ID", UInt), ("Duration", Text(16)), ("Query", Text(300))],
        "admin" => &[("Table", Text(128)), ("Op", Text(10)), ("Msg_type", Text(10)), ("Msg_text", Long)],
        _ => return None,
    };
    Some(fixed.iter().map(|(n, ty)| ((*n).to_owned(), *ty)).collect())
}

/// The table that this name stands for.
pub(super) fn describe(name: &str) -> Option<VirtualTable> {
    let show: Show = serde_json::from_str(name).ok()?;
    let columns = columns(&show)?;
    let columns =
        columns.into_iter().map(|(name, ty)| VirtualColumn { name, ty: ty.field(), not_null: false });
    Some(VirtualTable { database: SHOW, name: name.to_owned(), columns: columns.collect() })
}

/// Its rows.
pub(super) fn rows(cx: &Cx<'_>, name: &str) -> Result<Vec<Row>, SqlError> {
    let s: Show = serde_json::from_str(name).map_err(|_| SqlError::no_table(SHOW, name))?;
    let mut all = make(cx, &s)?;
    if let Some(pattern) = &s.like {
        // Of triggers the table, of routines and events the name, of all others the first column.
        let at = match s.what.as_str() {
            "triggers" => 2,
            "procedure status" | "function status" | "events" => 1,
            _ => 0,
        };
        let pattern = NamePattern::new(pattern);
        all.retain(|row| matches!(row.get(at), Some(Value::Text(t)) if pattern.matches(t)));
    }
    Ok(all)
}

fn make(cx: &Cx<'_>, s: &Show) -> Result<Vec<Row>, SqlError> {
    let pick = |rows: Vec<Row>, order: &[usize]| -> Vec<Row> {
        rows.into_iter().map(|r| order.iter().filter_map(|i| r.get(*i).cloned()).collect()).collect()
    };
    Ok(match s.what.as_str() {
        "history" => cx.environment.history(s.arg(0), s.arg(1), s.args.get(2..).unwrap_or_default())?,
        "databases" => information::databases(cx).into_iter().map(|(n, _)| vec![text(n)]).collect(),
        "tables" => tables(cx, s),
        "columns" => columns_of(cx, s)?,
        "index" => index(cx, s)?,
        "create table" => {
            let t =
                cx.catalog.table(s.arg(0), s.arg(1)).ok_or_else(|| SqlError::no_table(s.arg(0), s.arg(1)))?;
            let next = cx.environment.auto_increment(t.id);
            vec![vec![text(&t.name), text(schema_text::create_table(cx.catalog, t, next))]]
        }
        "create view" => {
            let v =
                cx.catalog.view(s.arg(0), s.arg(1)).ok_or_else(|| SqlError::no_table(s.arg(0), s.arg(1)))?;
            let sql = schema_text::create_view(v, cx.session.database.as_deref());
            vec![vec![text(&v.name), text(sql), text("utf8mb4"), text("utf8mb4_0900_ai_ci")]]
        }
        "create database" => vec![vec![text(s.arg(0)), text(create_database(cx, s)?)]],
        "table status" => table_status(cx, s),
        "triggers" => programs::show_triggers(cx, s.arg(0)),
        "procedure status" => programs::status(cx, ObjectKind::Procedure),
        "function status" => programs::status(cx, ObjectKind::Function),
        "create procedure" => {
            vec![programs::create_routine(cx, ObjectKind::Procedure, s.arg(0), s.arg(1))?]
        }
        "create function" => {
            vec![programs::create_routine(cx, ObjectKind::Function, s.arg(0), s.arg(1))?]
        }
        "create trigger" => vec![programs::create_trigger(cx, s.arg(0), s.arg(1))?],
        "variables" => {
            let all = variables::show(cx.session, s.arg(0) == "global");
            all.into_iter().map(|(n, v)| vec![text(n), text(v)]).collect()
        }
        "status" => performance::status(cx, s.arg(0) == "global"),
        "warnings" => warnings(cx, false),
        "errors" => warnings(cx, true),
        "count warnings" => vec![vec![count(cx.session.warning_count)]],
        "count errors" => vec![vec![count(cx.session.error_count())]],
        "processlist" => processlist(cx, s.full()),
        "grants" => grants::show(cx, s.arg(0), s.args.get(1..).unwrap_or_default())?,
        "engines" => information::engines(cx),
        "collation" => information::collations(cx),
        "charset" => pick(information::character_sets(cx), &[0, 2, 1, 3]),
        "privileges" => {
            let row = |name| vec![text(name), text("Server Admin"), text("")];
            p2pdb_model::Privileges::EVERY.names().map(row).collect()
        }
        "plugins" => pick(information::plugins(cx), &[0, 2, 3, 5, 9]),
        "admin" => admin(cx, s),
        _ => Vec::new(),
    })
}

fn tables(cx: &Cx<'_>, s: &Show) -> Vec<Row> {
    let row = |name: &str, kind: &str| {
        let mut row = vec![text(name)];
        if s.full() {
            row.push(text(kind));
        }
        row
    };
    let mut all: Vec<Row> = Vec::new();
    if let Some(db) = cx.catalog.database(s.arg(0)) {
        all.extend(db.tables().map(|t| row(&t.name, "BASE TABLE")));
        all.extend(db.views().map(|v| row(&v.name, "VIEW")));
    }
    all.extend(super::tables(s.arg(0)).into_iter().map(|n| row(n, "SYSTEM VIEW")));
    all.sort();
    all
}

fn columns_of(cx: &Cx<'_>, s: &Show) -> Result<Vec<Row>, SqlError> {
    let (db, name) = (s.arg(0), s.arg(1));
    let row = |field: &str,
               ty: String,
               collation: Option<Collation>,
               null: bool,
               rest: [Value; 3],
               comment: &str| {
        let mut row = vec![text(field), text(ty)];
        if s.full() {
            row.push(maybe(collation.filter(|c| *c != Collation::Binary).map(Collation::name)));
        }
        row.push(text(if null { "YES" } else { "NO" }));
        row.extend(rest);
        if s.full() {
            row.extend([text(information::PRIVILEGES), text(comment)]);
        }
        row
    };
    if let Some(t) = cx.catalog.table(db, name) {
        return Ok(t
            .columns
            .iter()
            .filter(|c| !c.is_hidden())
            .map(|c| {
                let rest = [
                    text(schema_text::column_key(t, c)),
                    maybe(schema_text::default_raw(c)),
                    match schema_text::extra(c) {
                        // As MySQL shows it.
                        extra if extra.is_empty() && cx.catalog.is_temporary(t.id) => Null,
                        extra => text(extra),
                    },
                ];
                let ty = schema_text::column_type(&c.def.ty);
                row(&c.name, ty, c.def.ty.collation(), c.def.nullable, rest, &c.def.comment)
            })
            .collect());
    }
    let is_view = cx.catalog.view(db, name).is_some();
    let fields: Vec<Field> = match (cx.catalog.view(db, name), super::describe(db, name)) {
        (Some(v), _) => crate::statement::view_fields(cx.catalog, cx.session, v)?,
        (None, Some(t)) => t.fields(),
        (None, None) => return Err(SqlError::no_table(db, name)),
    };
    Ok(fields
        .iter()
        .map(|f| {
            let ty = information::type_of_result(f, false);
            let collation = ty.collation();
            let default = information::default_of_result(cx.catalog, f, &ty);
            let default = default.filter(|_| is_view).and_then(|d| schema_text::default_text(&ty, &d));
            row(
                &f.name,
                schema_text::column_type(&ty),
                collation,
                !f.not_null,
                [text(""), maybe(default), text("")],
                "",
            )
        })
        .collect())
}

fn index(cx: &Cx<'_>, s: &Show) -> Result<Vec<Row>, SqlError> {
    let Some(t) = cx.catalog.table(s.arg(0), s.arg(1)) else {
        return Ok(Vec::new());
    };
    let mut all = information::statistics(cx, t);
    all.iter_mut().for_each(|row| row.insert(0, text(&t.name)));
    Ok(all)
}

fn create_database(cx: &Cx<'_>, s: &Show) -> Result<String, SqlError> {
    let if_not_exists = s.arg(1) == "if not exists";
    if let Some(db) = cx.catalog.database(s.arg(0)) {
        return Ok(schema_text::create_database(db, if_not_exists));
    }
    let name = super::database_name(s.arg(0)).ok_or_else(|| SqlError::unknown_database(s.arg(0)))?;
    Ok(format!(
        "CREATE DATABASE {} /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */",
        schema_text::quote(name)
    ))
}

fn table_status(cx: &Cx<'_>, s: &Show) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    let named = |name: &str, status: Row| [vec![text(name)], status].concat();
    if let Some(db) = cx.catalog.database(s.arg(0)) {
        all.extend(db.tables().map(|t| named(&t.name, information::table_status(cx, t))));
        all.extend(db.views().map(|v| named(&v.name, information::view_status(v))));
    }
    for name in super::tables(s.arg(0)) {
        let mut status = vec![Null; 16];
        status.push(text(""));
        all.push(named(name, status));
    }
    all.sort();
    all
}

fn warnings(cx: &Cx<'_>, errors: bool) -> Vec<Row> {
    let level = |l| match l {
        NoteLevel::Note => "Note",
        NoteLevel::Warning => "Warning",
        NoteLevel::Error => "Error",
    };
    let all = cx.session.warnings.iter().filter(|n| !errors || n.level == NoteLevel::Error);
    all.map(|n| vec![text(level(n.level)), count(n.code.into()), text(&n.message)]).collect()
}

fn processlist(cx: &Cx<'_>, full: bool) -> Vec<Row> {
    /// Characters of a statement that SHOW PROCESSLIST shows without FULL.
    const INFO_CHARS_MAX: usize = 100;
    let mut all = information::processlist(cx);
    if !full {
        for row in &mut all {
            if let Some(Value::Text(info)) = row.last_mut() {
                *info = info.chars().take(INFO_CHARS_MAX).collect();
            }
        }
    }
    all
}

/// CHECK, ANALYZE, OPTIMIZE TABLE: arguments are the operation and then database and table in turn.
fn admin(cx: &Cx<'_>, s: &Show) -> Vec<Row> {
    let op = s.arg(0);
    let mut all = Vec::new();
    for pair in s.args.get(1..).unwrap_or_default().chunks(2) {
        let [db, name] = pair else { continue };
        let full = format!("{db}.{name}");
        let row = |kind: &str, message: String| vec![text(&full), text(op), text(kind), text(message)];
        let is_view = cx.catalog.view(db, name).is_some();
        if cx.catalog.table(db, name).is_none() && !(is_view && op == "check") {
            let message = if is_view {
                format!("'{full}' is not BASE TABLE")
            } else {
                format!("Table '{full}' doesn't exist")
            };
            all.push(row("Error", message));
            all.push(row("status", "Operation failed".to_owned()));
            continue;
        }
        if op == "repair" {
            let note = "The storage engine for the table doesn't support repair";
            all.push(row("note", note.to_owned()));
            continue;
        }
        if op == "optimize" {
            let note = "Table does not support optimize, doing recreate + analyze instead";
            all.push(row("note", note.to_owned()));
        }
        all.push(row("status", "OK".to_owned()));
    }
    all
}
