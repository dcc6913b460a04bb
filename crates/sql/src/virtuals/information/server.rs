//! What a server offers: collations, engines, plugins, words, privileges; and who is connected.

use p2pdb_model::Value;
use p2pdb_model::Value::Null;
use p2pdb_model::types::Collation;

use super::Ty::{Count, Enum, Int, Long, Text, UInt};
use crate::virtuals::{Col, Cx, Process, Row, count, maybe, text};

pub(super) const COLLATIONS: &[Col] = &[
    ("COLLATION_NAME", Text(64), true),
    ("CHARACTER_SET_NAME", Text(64), true),
    ("ID", UInt, true),
    ("IS_DEFAULT", Text(3), true),
    ("IS_COMPILED", Text(3), true),
    ("SORTLEN", Count, true),
    ("PAD_ATTRIBUTE", Enum(&["PAD SPACE", "NO PAD"]), true),
];

/// The rows of COLLATIONS in order of name.
pub(in crate::virtuals) fn collations(_: &Cx<'_>) -> Vec<Row> {
    let mut all = Collation::ALL.to_vec();
    all.sort_by_key(|c| c.name());
    let row = |c: Collation| {
        let default = matches!(c, Collation::Utf8mb4_0900AiCi | Collation::Binary);
        let sort_len = match c {
            Collation::Utf8mb4UnicodeCi | Collation::Utf8mb4Unicode520Ci => 8,
            Collation::Utf8mb4_0900AiCi | Collation::Utf8mb4_0900AsCs => 0,
            _ => 1,
        };
        vec![
            text(c.name()),
            text(c.charset()),
            count(c.id().into()),
            text(if default { "Yes" } else { "" }),
            text("Yes"),
            count(sort_len),
            text(if c.pads() { "PAD SPACE" } else { "NO PAD" }),
        ]
    };
    all.into_iter().map(row).collect()
}

pub(super) const CHARACTER_SETS: &[Col] = &[
    ("CHARACTER_SET_NAME", Text(64), true),
    ("DEFAULT_COLLATE_NAME", Text(64), true),
    ("DESCRIPTION", Text(2048), true),
    ("MAXLEN", Count, true),
];

/// The rows of CHARACTER_SETS: those that columns may have.
pub(in crate::virtuals) fn character_sets(_: &Cx<'_>) -> Vec<Row> {
    let row = |name: &str, collation: &str, description: &str, bytes| {
        vec![text(name), text(collation), text(description), count(bytes)]
    };
    vec![
        row("binary", "binary", "Binary pseudo charset", 1),
        row("utf8mb4", "utf8mb4_0900_ai_ci", "UTF-8 Unicode", 4),
    ]
}

pub(super) const APPLICABILITY: &[Col] =
    &[("COLLATION_NAME", Text(64), true), ("CHARACTER_SET_NAME", Text(64), true)];

pub(super) fn applicability(cx: &Cx<'_>) -> Vec<Row> {
    collations(cx).into_iter().map(|r| r.into_iter().take(2).collect()).collect()
}

pub(super) const ENGINES: &[Col] = &[
    ("ENGINE", Text(64), true),
    ("SUPPORT", Text(8), true),
    ("COMMENT", Text(80), true),
    ("TRANSACTIONS", Text(3), false),
    ("XA", Text(3), false),
    ("SAVEPOINTS", Text(3), false),
];

/// The rows of ENGINES.
pub(in crate::virtuals) fn engines(_: &Cx<'_>) -> Vec<Row> {
    let comment = "Replicated tables with transactions and foreign keys (the name is kept for clients)";
    let words = ["InnoDB", "DEFAULT", comment, "YES", "NO", "YES"];
    vec![words.map(text).to_vec()]
}

pub(super) const PROCESSLIST: &[Col] = &[
    ("ID", UInt, true),
    ("USER", Text(32), true),
    ("HOST", Text(261), true),
    ("DB", Text(64), false),
    ("COMMAND", Text(16), true),
    ("TIME", Int, true),
    ("STATE", Text(64), false),
    ("INFO", Long, false),
];

/// The rows of PROCESSLIST.
pub(in crate::virtuals) fn processlist(cx: &Cx<'_>) -> Vec<Row> {
    let row = |p: Process| {
        vec![
            count(p.id),
            text(p.user),
            text(p.host),
            maybe(p.database),
            text(p.command),
            count(p.time_s),
            text(p.state),
            maybe(p.info),
        ]
    };
    cx.environment.processes().into_iter().map(row).collect()
}

pub(super) const USER_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

pub(super) const SCHEMA_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

pub(super) const TABLE_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

pub(super) const COLUMN_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

pub(super) const PLUGINS: &[Col] = &[
    ("PLUGIN_NAME", Text(64), true),
    ("PLUGIN_VERSION", Text(20), true),
    ("PLUGIN_STATUS", Text(10), true),
    ("PLUGIN_TYPE", Text(80), true),
    ("PLUGIN_TYPE_VERSION", Text(20), true),
    ("PLUGIN_LIBRARY", Text(64), false),
    ("PLUGIN_LIBRARY_VERSION", Text(20), false),
    ("PLUGIN_AUTHOR", Text(64), false),
    ("PLUGIN_DESCRIPTION", Long, false),
    ("PLUGIN_LICENSE", Text(80), false),
    ("LOAD_OPTION", Text(64), true),
];

/// The rows of PLUGINS.
pub(in crate::virtuals) fn plugins(_: &Cx<'_>) -> Vec<Row> {
    let row = |name: &str, kind: &str, description: &str| {
        vec![
            text(name),
            text("1.0"),
            text("ACTIVE"),
            text(kind),
            text("80040.0"),
            Null,
            Null,
            text("p2pdb"),
            text(description),
            text("Apache-2.0"),
            text("FORCE"),
        ]
    };
    vec![
        row("caching_sha2_password", "AUTHENTICATION", "Caching SHA-2 authentication"),
        row("mysql_native_password", "AUTHENTICATION", "Native MySQL authentication"),
        row("InnoDB", "STORAGE ENGINE", "Replicated tables"),
    ]
}

pub(super) const KEYWORDS: &[Col] = &[("WORD", Text(128), false), ("RESERVED", Int, false)];

pub(super) fn keywords(_: &Cx<'_>) -> Vec<Row> {
    crate::statement::reserved::words().iter().map(|w| vec![text(*w), Value::Int(1)]).collect()
}
