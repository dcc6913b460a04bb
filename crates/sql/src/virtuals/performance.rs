//! The tables of `performance_schema` and `mysql` that clients ask for; the others do not exist (1146).

use std::collections::BTreeMap;

use super::{Col, Cx, Def, Row, Ty, count, maybe, text};
use crate::variables;

use Ty::{Int, Long, Text, UInt};

const VARIABLE: &[Col] = &[("VARIABLE_NAME", Text(64), true), ("VARIABLE_VALUE", Text(1024), false)];

const THREADS: &[Col] = &[
    ("THREAD_ID", UInt, true),
    ("NAME", Text(128), true),
    ("TYPE", Text(10), true),
    ("PROCESSLIST_ID", UInt, false),
    ("PROCESSLIST_USER", Text(32), false),
    ("PROCESSLIST_HOST", Text(255), false),
    ("PROCESSLIST_DB", Text(64), false),
    ("PROCESSLIST_COMMAND", Text(16), false),
    ("PROCESSLIST_TIME", UInt, false),
    ("PROCESSLIST_STATE", Text(64), false),
    ("PROCESSLIST_INFO", Long, false),
];

const ATTRIBUTES: &[Col] = &[
    ("PROCESSLIST_ID", UInt, true),
    ("ATTR_NAME", Text(32), true),
    ("ATTR_VALUE", Text(1024), false),
    ("ORDINAL_POSITION", Int, false),
];

const USER: &[Col] = &[
    ("Host", Text(255), true),
    ("User", Text(32), true),
    ("plugin", Text(64), true),
    ("account_locked", Text(1), true),
];

fn variables(cx: &Cx<'_>, global: bool) -> Vec<Row> {
    variables::show(cx.session, global).into_iter().map(|(n, v)| vec![text(n), text(v)]).collect()
}

/// SHOW STATUS and the status tables.
pub(super) fn status(cx: &Cx<'_>, global: bool) -> Vec<Row> {
    let all: BTreeMap<_, _> = cx.environment.status(cx.session.connection_id, global).into_iter().collect();
    all.into_iter().map(|(n, v)| vec![text(n), text(v)]).collect()
}

fn threads(cx: &Cx<'_>) -> Vec<Row> {
    cx.environment
        .processes()
        .into_iter()
        .map(|p| {
            vec![
                count(p.id),
                text("thread/sql/one_connection"),
                text("FOREGROUND"),
                count(p.id),
                text(p.user),
                text(p.host),
                maybe(p.database),
                text(p.command),
                count(p.time_s),
                text(p.state),
                maybe(p.info),
            ]
        })
        .collect()
}

/// What clients say of themselves: all, or those of the account that asks.
fn attributes(cx: &Cx<'_>, of_account: bool) -> Vec<Row> {
    let processes = cx.environment.processes();
    let shown = processes.into_iter().filter(|p| !of_account || p.user == cx.session.user);
    let rows = |p: super::Process| {
        let row = move |(at, (name, value)): (u64, (String, String))| {
            vec![count(p.id), text(name), text(value), count(at)]
        };
        (0..).zip(p.attributes).map(row)
    };
    shown.flat_map(rows).collect()
}

fn users(cx: &Cx<'_>) -> Vec<Row> {
    let row = |(user, host): (String, String)| {
        vec![text(host), text(user), text("caching_sha2_password"), text("N")]
    };
    cx.environment.accounts().into_iter().map(row).collect()
}

macro_rules! table {
    ($database:literal, $name:literal, $columns:expr, $rows:expr) => {
        Def { database: $database, name: $name, columns: $columns, rows: Some($rows) }
    };
}

/// The tables.
pub(super) const TABLES: &[Def] = &[
    table!("performance_schema", "global_status", VARIABLE, |cx| status(cx, true)),
    table!("performance_schema", "global_variables", VARIABLE, |cx| variables(cx, true)),
    table!("performance_schema", "session_account_connect_attrs", ATTRIBUTES, |cx| attributes(cx, true)),
    table!("performance_schema", "session_connect_attrs", ATTRIBUTES, |cx| attributes(cx, false)),
    table!("performance_schema", "session_status", VARIABLE, |cx| status(cx, false)),
    table!("performance_schema", "session_variables", VARIABLE, |cx| variables(cx, false)),
    table!("performance_schema", "threads", THREADS, threads),
    table!("mysql", "user", USER, users),
];
