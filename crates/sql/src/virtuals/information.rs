//! `information_schema`: the catalog as tables (MySQL 8.0 manual, chapter "INFORMATION_SCHEMA Tables").
//!
//! Tables about things that do not exist here (events, partitions) are there and empty, because
//! clients join them.

use std::sync::Arc;

use p2pdb_model::catalog::{Column, Table};
use p2pdb_model::types::{Collation, IntSize, LobSize, SqlType};

use super::{Col, Cx, Def, Row, Ty, count, maybe, text};
use crate::field::{Field, FieldKind, FieldType};
use crate::schema_text as show;

use Ty::{Int, Long, Text, UInt, When};
use p2pdb_model::Value;
use p2pdb_model::Value::Null;

pub(super) const SCHEMA: &str = "information_schema";

const SCHEMATA: &[Col] = &[
    ("CATALOG_NAME", Text(64), true),
    ("SCHEMA_NAME", Text(64), true),
    ("DEFAULT_CHARACTER_SET_NAME", Text(64), true),
    ("DEFAULT_COLLATION_NAME", Text(64), true),
    ("SQL_PATH", Text(10), false),
    ("DEFAULT_ENCRYPTION", Text(3), true),
];

/// Every database with its default collation, as SHOW DATABASES lists them.
pub(super) fn databases(cx: &Cx<'_>) -> Vec<(String, Collation)> {
    let own = cx.catalog.databases().map(|d| (d.name.clone(), d.def.collation));
    let fixed = super::DATABASES.iter().map(|d| ((*d).to_owned(), Collation::Utf8mb4_0900AiCi));
    let mut all: Vec<_> = own.chain(fixed).collect();
    all.sort();
    all
}

fn schemata(cx: &Cx<'_>) -> Vec<Row> {
    let row = |(name, c): (String, Collation)| {
        vec![text("def"), text(name), text(c.charset()), text(c.name()), Null, text("NO")]
    };
    databases(cx).into_iter().map(row).collect()
}

const TABLES_COLUMNS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("TABLE_TYPE", Text(11), true),
    ("ENGINE", Text(64), false),
    ("VERSION", Int, false),
    ("ROW_FORMAT", Text(10), false),
    ("TABLE_ROWS", UInt, false),
    ("AVG_ROW_LENGTH", UInt, false),
    ("DATA_LENGTH", UInt, false),
    ("MAX_DATA_LENGTH", UInt, false),
    ("INDEX_LENGTH", UInt, false),
    ("DATA_FREE", UInt, false),
    ("AUTO_INCREMENT", UInt, false),
    ("CREATE_TIME", When, false),
    ("UPDATE_TIME", When, false),
    ("CHECK_TIME", When, false),
    ("TABLE_COLLATION", Text(64), false),
    ("CHECKSUM", Int, false),
    ("CREATE_OPTIONS", Text(256), false),
    ("TABLE_COMMENT", Text(2048), false),
];

/// One row of TABLES for a base table, from ENGINE on as SHOW TABLE STATUS shows it.
pub(super) fn table_status(cx: &Cx<'_>, t: &Table) -> Row {
    let (rows, bytes) = cx.environment.table_size(t.id);
    let next = t.auto_increment().map(|_| count(cx.environment.auto_increment(t.id)));
    vec![
        text("InnoDB"),
        Value::Int(10),
        text("Dynamic"),
        count(rows),
        count(bytes.checked_div(rows).unwrap_or(0)),
        count(bytes),
        count(0),
        count(0),
        count(0),
        next.unwrap_or_default(),
        Null,
        Null,
        Null,
        text(t.def.collation.name()),
        Null,
        text(t.def.options.join(" ").to_lowercase()),
        text(&t.def.comment),
    ]
}

/// The same for a view (SHOW TABLE STATUS: all NULL but the comment).
pub(super) fn view_status() -> Row {
    let mut row = vec![Null; 16];
    row.push(text("VIEW"));
    row
}

fn tables(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    let head = |db: &str, name: &str, kind: &str| vec![text("def"), text(db), text(name), text(kind)];
    for db in cx.catalog.databases() {
        for t in db.tables() {
            all.push([head(&db.name, &t.name, "BASE TABLE"), table_status(cx, t)].concat());
        }
        for v in db.views() {
            all.push([head(&db.name, &v.name, "VIEW"), view_status()].concat());
        }
    }
    for db in super::DATABASES {
        for name in super::tables(db) {
            let mut row = head(db, name, "SYSTEM VIEW");
            row.resize(20, Null);
            row.push(text(""));
            all.push(row);
        }
    }
    all
}

const COLUMNS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), false),
    ("ORDINAL_POSITION", UInt, true),
    ("COLUMN_DEFAULT", Long, false),
    ("IS_NULLABLE", Text(3), true),
    ("DATA_TYPE", Long, false),
    ("CHARACTER_MAXIMUM_LENGTH", Int, false),
    ("CHARACTER_OCTET_LENGTH", Int, false),
    ("NUMERIC_PRECISION", UInt, false),
    ("NUMERIC_SCALE", UInt, false),
    ("DATETIME_PRECISION", UInt, false),
    ("CHARACTER_SET_NAME", Text(64), false),
    ("COLLATION_NAME", Text(64), false),
    ("COLUMN_TYPE", Long, true),
    ("COLUMN_KEY", Text(3), true),
    ("EXTRA", Text(256), false),
    ("PRIVILEGES", Text(154), false),
    ("COLUMN_COMMENT", Long, true),
    ("GENERATION_EXPRESSION", Long, true),
    ("SRS_ID", UInt, false),
];

/// What one may do with a column.
pub(super) const PRIVILEGES: &str = "select,insert,update,references";

/// Length in characters and bytes, precision, scale, fsp.
pub(super) fn measures(ty: &SqlType) -> [Option<u64>; 5] {
    let none = [None; 5];
    let number = |p: u64, s: Option<u64>| [None, None, Some(p), s, None];
    let chars = |n: u64, width: u64| [Some(n), Some(n.saturating_mul(width)), None, None, None];
    let longest = |values: &[String]| values.iter().map(|v| v.chars().count() as u64).max().unwrap_or(0);
    match ty {
        SqlType::Int { size, unsigned, .. } => {
            let digits = match size {
                IntSize::Tiny => 3,
                IntSize::Small => 5,
                IntSize::Medium => 7,
                IntSize::Int => 10,
                IntSize::Big => 19,
            };
            number(digits + u64::from(*size == IntSize::Big && *unsigned), Some(0))
        }
        SqlType::Decimal { precision, scale, .. } => number(u64::from(*precision), Some(u64::from(*scale))),
        SqlType::Float { digits, .. } => {
            digits.map_or(number(12, None), |(m, d)| number(u64::from(m), Some(u64::from(d))))
        }
        SqlType::Double { digits, .. } => {
            digits.map_or(number(22, None), |(m, d)| number(u64::from(m), Some(u64::from(d))))
        }
        SqlType::Bit { bits } => number(u64::from(*bits), None),
        SqlType::Time { fsp } | SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => {
            [None, None, None, None, Some(u64::from(*fsp))]
        }
        SqlType::Date | SqlType::Year | SqlType::Json => none,
        SqlType::Char { chars: n, .. } | SqlType::VarChar { chars: n, .. } => chars(u64::from(*n), 4),
        SqlType::Text { size, .. } | SqlType::Blob { size } => chars(size.bytes_max(), 1),
        SqlType::Binary { bytes } | SqlType::VarBinary { bytes } => chars(u64::from(*bytes), 1),
        SqlType::Enum { values, .. } => chars(longest(values), 4),
        SqlType::Set { values, .. } => {
            let all: u64 = values.iter().map(|v| v.chars().count() as u64 + 1).sum();
            chars(all.saturating_sub(1), 4)
        }
    }
}

fn column(t: &Table, n: usize, c: &Column) -> Row {
    let collation = c.def.ty.collation().filter(|c| *c != Collation::Binary);
    let mut row = vec![
        text("def"),
        text(&t.database),
        text(&t.name),
        text(&c.name),
        count(n as u64 + 1),
        maybe(show::default_raw(c)),
        text(if c.def.nullable { "YES" } else { "NO" }),
        text(show::data_type(&c.def.ty)),
    ];
    row.extend(measures(&c.def.ty).map(|m| m.map_or(Null, count)));
    row.extend([
        maybe(collation.map(Collation::charset)),
        maybe(collation.map(Collation::name)),
        text(show::column_type(&c.def.ty)),
        text(show::column_key(t, c)),
        text(show::extra(c)),
        text(PRIVILEGES),
        text(&c.def.comment),
        text(c.def.generated.as_ref().map_or_else(String::new, |g| show::escaped(&g.expression))),
        Null,
    ]);
    row
}

/// The column type that a result column would be declared with, for columns of views and virtual tables.
pub fn type_of_field(ty: &FieldType) -> SqlType {
    let fsp = if ty.decimals > 6 { 0 } else { ty.decimals };
    let collation = ty.collation;
    let unsigned = ty.unsigned;
    let int = |size| SqlType::Int {
        size,
        unsigned,
        width: (size == IntSize::Tiny && ty.length == 1).then_some(1),
        zerofill: ty.zerofill,
    };
    let values = |m: &Arc<[String]>| m.to_vec();
    let lob = |length: u32, width: u32| {
        let bytes = u64::from(length).saturating_mul(u64::from(width));
        let sizes = [LobSize::Tiny, LobSize::Normal, LobSize::Medium, LobSize::Long];
        sizes.into_iter().find(|s| bytes <= s.bytes_max()).unwrap_or(LobSize::Long)
    };
    match &ty.kind {
        FieldKind::Tiny => int(IntSize::Tiny),
        FieldKind::Short => int(IntSize::Small),
        FieldKind::Int24 => int(IntSize::Medium),
        FieldKind::Long => int(IntSize::Int),
        FieldKind::LongLong => int(IntSize::Big),
        FieldKind::Year => SqlType::Year,
        FieldKind::Bit => SqlType::Bit { bits: ty.length.clamp(1, 64) as u8 },
        FieldKind::Float => SqlType::Float { unsigned, digits: None },
        FieldKind::Double => SqlType::Double { unsigned, digits: None },
        FieldKind::Decimal => {
            let scale = ty.decimals.min(30);
            // The display length holds a sign and a point besides the digits.
            let extra = u32::from(!unsigned) + u32::from(scale > 0);
            let precision = ty.length.saturating_sub(extra).clamp(u32::from(scale).max(1), 65) as u8;
            SqlType::Decimal { precision, scale, unsigned }
        }
        FieldKind::Date => SqlType::Date,
        FieldKind::Time => SqlType::Time { fsp },
        FieldKind::DateTime => SqlType::DateTime { fsp },
        FieldKind::Timestamp => SqlType::Timestamp { fsp },
        FieldKind::Char => SqlType::Char { chars: ty.length.min(255), collation },
        FieldKind::Null => SqlType::Binary { bytes: 0 },
        FieldKind::VarChar if ty.length <= 16_383 => SqlType::VarChar { chars: ty.length, collation },
        FieldKind::VarChar => SqlType::Text { size: LobSize::Long, collation },
        FieldKind::Text => SqlType::Text { size: lob(ty.length, 4), collation },
        FieldKind::Binary => SqlType::Binary { bytes: ty.length.min(255) },
        FieldKind::VarBinary if ty.length <= 65_535 => SqlType::VarBinary { bytes: ty.length },
        FieldKind::VarBinary => SqlType::Blob { size: LobSize::Long },
        FieldKind::Blob => SqlType::Blob { size: lob(ty.length, 1) },
        FieldKind::Enum(m) => SqlType::Enum { values: values(m), collation },
        FieldKind::Set(m) => SqlType::Set { values: values(m), collation },
        FieldKind::Json => SqlType::Json,
    }
}

fn field_column(db: &str, table: &str, n: usize, f: &Field) -> Row {
    let ty = type_of_field(&f.ty);
    let collation = ty.collation().filter(|c| *c != Collation::Binary);
    let mut row = vec![
        text("def"),
        text(db),
        text(table),
        text(&f.name),
        count(n as u64 + 1),
        Null,
        text(if f.not_null { "NO" } else { "YES" }),
        text(show::data_type(&ty)),
    ];
    row.extend(measures(&ty).map(|m| m.map_or(Null, count)));
    row.extend([
        maybe(collation.map(Collation::charset)),
        maybe(collation.map(Collation::name)),
        text(show::column_type(&ty)),
        text(""),
        text(""),
        text(PRIVILEGES),
        text(""),
        text(""),
        Null,
    ]);
    row
}

fn columns(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for db in cx.catalog.databases() {
        for t in db.tables() {
            all.extend(t.columns.iter().enumerate().map(|(n, c)| column(t, n, c)));
        }
        for v in db.views() {
            let fields = crate::statement::view_fields(cx.catalog, cx.session, v).unwrap_or_default();
            all.extend(fields.iter().enumerate().map(|(n, f)| field_column(&db.name, &v.name, n, f)));
        }
    }
    for db in super::DATABASES {
        for name in super::tables(db) {
            let fields = super::describe(db, name).map(|t| t.fields()).unwrap_or_default();
            all.extend(fields.iter().enumerate().map(|(n, f)| field_column(db, name, n, f)));
        }
    }
    all
}

const STATISTICS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("NON_UNIQUE", Int, true),
    ("INDEX_SCHEMA", Text(64), true),
    ("INDEX_NAME", Text(64), false),
    ("SEQ_IN_INDEX", UInt, true),
    ("COLUMN_NAME", Text(64), false),
    ("COLLATION", Text(1), false),
    ("CARDINALITY", Int, false),
    ("SUB_PART", Int, false),
    ("PACKED", Text(10), false),
    ("NULLABLE", Text(3), true),
    ("INDEX_TYPE", Text(11), true),
    ("COMMENT", Text(8), true),
    ("INDEX_COMMENT", Text(2048), true),
    ("IS_VISIBLE", Text(3), true),
    ("EXPRESSION", Long, false),
];

/// The rows of STATISTICS of one table, from NON_UNIQUE on without INDEX_SCHEMA.
pub(super) fn statistics(cx: &Cx<'_>, t: &Table) -> Vec<Row> {
    let rows = cx.environment.table_size(t.id).0;
    let mut all = Vec::new();
    for i in show::sorted_indexes(t) {
        for (n, part) in i.def.parts.iter().enumerate() {
            let Some(c) = t.column_by_tag(part.column) else { continue };
            all.push(vec![
                Value::Int((!i.def.unique).into()),
                text(&i.name),
                count(n as u64 + 1),
                text(&c.name),
                text(if part.descending { "D" } else { "A" }),
                count(rows),
                part.prefix.map_or(Null, |p| count(p.into())),
                Null,
                text(if c.def.nullable { "YES" } else { "" }),
                text("BTREE"),
                text(""),
                text(&i.def.comment),
                text(if i.def.invisible { "NO" } else { "YES" }),
                Null,
            ]);
        }
    }
    all
}

fn all_statistics(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for t in sorted(cx) {
        for mut row in statistics(cx, t) {
            row.splice(0..0, [text("def"), text(&t.database), text(&t.name)]);
            row.insert(4, text(&t.database));
            all.push(row);
        }
    }
    all
}

fn sorted<'a>(cx: &Cx<'a>) -> Vec<&'a Arc<Table>> {
    cx.catalog.databases().flat_map(|d| d.tables()).collect()
}

const KEY_COLUMN_USAGE: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), false),
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), false),
    ("ORDINAL_POSITION", UInt, true),
    ("POSITION_IN_UNIQUE_CONSTRAINT", UInt, false),
    ("REFERENCED_TABLE_SCHEMA", Text(64), false),
    ("REFERENCED_TABLE_NAME", Text(64), false),
    ("REFERENCED_COLUMN_NAME", Text(64), false),
];

fn key_column_usage(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for t in sorted(cx) {
        let row = |constraint: &str, c: &Column, n: usize, parent: [Value; 4]| {
            let mut row = vec![text("def"), text(&t.database), text(constraint)];
            row.extend([text("def"), text(&t.database), text(&t.name), text(&c.name), count(n as u64 + 1)]);
            row.extend(parent);
            row
        };
        for i in show::sorted_indexes(t).into_iter().filter(|i| i.def.unique) {
            for (n, part) in i.def.parts.iter().enumerate() {
                if let Some(c) = t.column_by_tag(part.column) {
                    all.push(row(&i.name, c, n, [Null, Null, Null, Null]));
                }
            }
        }
        for k in &t.foreign_keys {
            let Some((db, parent, columns)) = show::parent_names(cx.catalog, k) else { continue };
            for (n, (tag, referenced)) in k.def.columns.iter().zip(columns).enumerate() {
                if let Some(c) = t.column_by_tag(*tag) {
                    let parent = [count(n as u64 + 1), text(&db), text(&parent), text(referenced)];
                    all.push(row(&k.name, c, n, parent));
                }
            }
        }
    }
    all
}

const REFERENTIAL: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), false),
    ("UNIQUE_CONSTRAINT_CATALOG", Text(64), true),
    ("UNIQUE_CONSTRAINT_SCHEMA", Text(64), true),
    ("UNIQUE_CONSTRAINT_NAME", Text(64), false),
    ("MATCH_OPTION", Text(7), true),
    ("UPDATE_RULE", Text(11), true),
    ("DELETE_RULE", Text(11), true),
    ("TABLE_NAME", Text(64), true),
    ("REFERENCED_TABLE_NAME", Text(64), true),
];

fn referential(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for t in sorted(cx) {
        for k in &t.foreign_keys {
            let Some((db, parent, _)) = show::parent_names(cx.catalog, k) else { continue };
            let unique = k.parent.as_ref().and_then(|(id, tags)| {
                let parent = cx.catalog.table_by_id(*id)?;
                let same = |i: &&p2pdb_model::catalog::Index| {
                    i.def.unique && i.def.parts.iter().map(|p| p.column).eq(tags.iter().copied())
                };
                parent.indexes.iter().find(same).map(|i| i.name.clone())
            });
            all.push(vec![
                text("def"),
                text(&t.database),
                text(&k.name),
                text("def"),
                text(db),
                maybe(unique),
                text("NONE"),
                text(show::action(k.def.on_update)),
                text(show::action(k.def.on_delete)),
                text(&t.name),
                text(parent),
            ]);
        }
    }
    all
}

const TABLE_CONSTRAINTS: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), false),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("CONSTRAINT_TYPE", Text(11), true),
    ("ENFORCED", Text(3), true),
];

fn table_constraints(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for t in sorted(cx) {
        let mut push = |name: &str, kind: &str, enforced: bool| {
            let mut row = vec![text("def"), text(&t.database), text(name), text(&t.database), text(&t.name)];
            row.extend([text(kind), text(if enforced { "YES" } else { "NO" })]);
            all.push(row);
        };
        for i in show::sorted_indexes(t).into_iter().filter(|i| i.def.unique) {
            push(&i.name, if i.name == "PRIMARY" { "PRIMARY KEY" } else { "UNIQUE" }, true);
        }
        t.foreign_keys.iter().for_each(|k| push(&k.name, "FOREIGN KEY", true));
        t.checks.iter().for_each(|k| push(&k.name, "CHECK", k.def.enforced));
    }
    all
}

const CHECK_CONSTRAINTS: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), true),
    ("CHECK_CLAUSE", Long, true),
];

fn check_constraints(cx: &Cx<'_>) -> Vec<Row> {
    let checks = sorted(cx).into_iter().flat_map(|t| t.checks.iter().map(move |k| (t, k)));
    checks
        .map(|(t, k)| {
            vec![text("def"), text(&t.database), text(&k.name), text(show::escaped(&k.def.expression))]
        })
        .collect()
}

const VIEWS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("VIEW_DEFINITION", Long, false),
    ("CHECK_OPTION", Text(8), false),
    ("IS_UPDATABLE", Text(3), false),
    ("DEFINER", Text(288), false),
    ("SECURITY_TYPE", Text(7), false),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
];

fn views(cx: &Cx<'_>) -> Vec<Row> {
    let all = cx.catalog.databases().flat_map(|d| d.views());
    all.map(|v| {
        let check = if v.def.check_option.is_empty() { "NONE" } else { &v.def.check_option };
        vec![
            text("def"),
            text(&v.database),
            text(&v.name),
            text(&v.def.select),
            text(check),
            text("NO"),
            text(&v.def.definer),
            text(if v.def.invoker { "INVOKER" } else { "DEFINER" }),
            text("utf8mb4"),
            text("utf8mb4_0900_ai_ci"),
        ]
    })
    .collect()
}

const COLLATIONS: &[Col] = &[
    ("COLLATION_NAME", Text(64), true),
    ("CHARACTER_SET_NAME", Text(64), true),
    ("ID", UInt, true),
    ("IS_DEFAULT", Text(3), true),
    ("IS_COMPILED", Text(3), true),
    ("SORTLEN", UInt, true),
    ("PAD_ATTRIBUTE", Text(9), true),
];

/// The rows of COLLATIONS in order of name.
pub(super) fn collations(_: &Cx<'_>) -> Vec<Row> {
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

const CHARACTER_SETS: &[Col] = &[
    ("CHARACTER_SET_NAME", Text(64), true),
    ("DEFAULT_COLLATE_NAME", Text(64), true),
    ("DESCRIPTION", Text(2048), true),
    ("MAXLEN", UInt, true),
];

/// The rows of CHARACTER_SETS: those that columns may have.
pub(super) fn character_sets(_: &Cx<'_>) -> Vec<Row> {
    let row = |name: &str, collation: &str, description: &str, bytes| {
        vec![text(name), text(collation), text(description), count(bytes)]
    };
    vec![
        row("binary", "binary", "Binary pseudo charset", 1),
        row("utf8mb4", "utf8mb4_0900_ai_ci", "UTF-8 Unicode", 4),
    ]
}

const APPLICABILITY: &[Col] = &[("COLLATION_NAME", Text(64), true), ("CHARACTER_SET_NAME", Text(64), true)];

fn applicability(cx: &Cx<'_>) -> Vec<Row> {
    collations(cx).into_iter().map(|r| r.into_iter().take(2).collect()).collect()
}

const ENGINES: &[Col] = &[
    ("ENGINE", Text(64), true),
    ("SUPPORT", Text(8), true),
    ("COMMENT", Text(80), true),
    ("TRANSACTIONS", Text(3), false),
    ("XA", Text(3), false),
    ("SAVEPOINTS", Text(3), false),
];

/// The rows of ENGINES.
pub(super) fn engines(_: &Cx<'_>) -> Vec<Row> {
    let comment = "Replicated tables with transactions and foreign keys (the name is kept for clients)";
    let words = ["InnoDB", "DEFAULT", comment, "YES", "NO", "YES"];
    vec![words.map(text).to_vec()]
}

const PROCESSLIST: &[Col] = &[
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
pub(super) fn processlist(cx: &Cx<'_>) -> Vec<Row> {
    let row = |p: super::Process| {
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

/// The static privileges of MySQL 8, as an account with all of them holds them.
pub(super) const ALL_PRIVILEGES: [&str; 31] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "RELOAD",
    "SHUTDOWN",
    "PROCESS",
    "FILE",
    "REFERENCES",
    "INDEX",
    "ALTER",
    "SHOW DATABASES",
    "SUPER",
    "CREATE TEMPORARY TABLES",
    "LOCK TABLES",
    "EXECUTE",
    "REPLICATION SLAVE",
    "REPLICATION CLIENT",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "CREATE USER",
    "EVENT",
    "TRIGGER",
    "CREATE TABLESPACE",
    "CREATE ROLE",
    "DROP ROLE",
    "GRANT OPTION",
];

const USER_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

fn user_privileges(cx: &Cx<'_>) -> Vec<Row> {
    let (user, host) = cx.session.account.rsplit_once('@').unwrap_or((&cx.session.account, "%"));
    let grantee = format!("'{user}'@'{host}'");
    let granted = ALL_PRIVILEGES.iter().filter(|p| **p != "GRANT OPTION");
    granted.map(|p| vec![text(&grantee), text("def"), text(*p), text("YES")]).collect()
}

const SCHEMA_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

const TABLE_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

const COLUMN_PRIVILEGES: &[Col] = &[
    ("GRANTEE", Text(292), true),
    ("TABLE_CATALOG", Text(512), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), true),
    ("PRIVILEGE_TYPE", Text(64), true),
    ("IS_GRANTABLE", Text(3), true),
];

const ROUTINES: &[Col] = &[
    ("SPECIFIC_NAME", Text(64), true),
    ("ROUTINE_CATALOG", Text(64), true),
    ("ROUTINE_SCHEMA", Text(64), true),
    ("ROUTINE_NAME", Text(64), true),
    ("ROUTINE_TYPE", Text(9), true),
    ("DATA_TYPE", Long, false),
    ("CHARACTER_MAXIMUM_LENGTH", Int, false),
    ("CHARACTER_OCTET_LENGTH", Int, false),
    ("NUMERIC_PRECISION", UInt, false),
    ("NUMERIC_SCALE", UInt, false),
    ("DATETIME_PRECISION", UInt, false),
    ("CHARACTER_SET_NAME", Text(64), false),
    ("COLLATION_NAME", Text(64), false),
    ("DTD_IDENTIFIER", Long, false),
    ("ROUTINE_BODY", Text(3), true),
    ("ROUTINE_DEFINITION", Long, false),
    ("EXTERNAL_NAME", Text(10), false),
    ("EXTERNAL_LANGUAGE", Text(64), true),
    ("PARAMETER_STYLE", Text(3), true),
    ("IS_DETERMINISTIC", Text(3), true),
    ("SQL_DATA_ACCESS", Text(17), true),
    ("SQL_PATH", Text(10), false),
    ("SECURITY_TYPE", Text(7), true),
    ("CREATED", When, true),
    ("LAST_ALTERED", When, true),
    ("SQL_MODE", Long, true),
    ("ROUTINE_COMMENT", Long, true),
    ("DEFINER", Text(288), true),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
    ("DATABASE_COLLATION", Text(64), true),
];

const PARAMETERS: &[Col] = &[
    ("SPECIFIC_CATALOG", Text(64), true),
    ("SPECIFIC_SCHEMA", Text(64), true),
    ("SPECIFIC_NAME", Text(64), true),
    ("ORDINAL_POSITION", UInt, true),
    ("PARAMETER_MODE", Text(5), false),
    ("PARAMETER_NAME", Text(64), false),
    ("DATA_TYPE", Long, false),
    ("CHARACTER_MAXIMUM_LENGTH", Int, false),
    ("CHARACTER_OCTET_LENGTH", Int, false),
    ("NUMERIC_PRECISION", UInt, false),
    ("NUMERIC_SCALE", Int, false),
    ("DATETIME_PRECISION", UInt, false),
    ("CHARACTER_SET_NAME", Text(64), false),
    ("COLLATION_NAME", Text(64), false),
    ("DTD_IDENTIFIER", Long, true),
    ("ROUTINE_TYPE", Text(9), true),
];

const TRIGGERS: &[Col] = &[
    ("TRIGGER_CATALOG", Text(64), true),
    ("TRIGGER_SCHEMA", Text(64), true),
    ("TRIGGER_NAME", Text(64), true),
    ("EVENT_MANIPULATION", Text(6), true),
    ("EVENT_OBJECT_CATALOG", Text(64), true),
    ("EVENT_OBJECT_SCHEMA", Text(64), true),
    ("EVENT_OBJECT_TABLE", Text(64), true),
    ("ACTION_ORDER", UInt, true),
    ("ACTION_CONDITION", Long, false),
    ("ACTION_STATEMENT", Long, true),
    ("ACTION_ORIENTATION", Text(3), true),
    ("ACTION_TIMING", Text(6), true),
    ("ACTION_REFERENCE_OLD_TABLE", Text(10), false),
    ("ACTION_REFERENCE_NEW_TABLE", Text(10), false),
    ("ACTION_REFERENCE_OLD_ROW", Text(3), true),
    ("ACTION_REFERENCE_NEW_ROW", Text(3), true),
    ("CREATED", When, true),
    ("SQL_MODE", Long, true),
    ("DEFINER", Text(288), true),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
    ("DATABASE_COLLATION", Text(64), true),
];

const EVENTS: &[Col] = &[
    ("EVENT_CATALOG", Text(64), true),
    ("EVENT_SCHEMA", Text(64), true),
    ("EVENT_NAME", Text(64), true),
    ("DEFINER", Text(288), true),
    ("TIME_ZONE", Text(64), true),
    ("EVENT_BODY", Text(3), true),
    ("EVENT_DEFINITION", Long, true),
    ("EVENT_TYPE", Text(9), true),
    ("EXECUTE_AT", When, false),
    ("INTERVAL_VALUE", Text(256), false),
    ("INTERVAL_FIELD", Text(18), false),
    ("SQL_MODE", Long, true),
    ("STARTS", When, false),
    ("ENDS", When, false),
    ("STATUS", Text(21), true),
    ("ON_COMPLETION", Text(12), true),
    ("CREATED", When, true),
    ("LAST_ALTERED", When, true),
    ("LAST_EXECUTED", When, false),
    ("EVENT_COMMENT", Text(2048), true),
    ("ORIGINATOR", UInt, true),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
    ("DATABASE_COLLATION", Text(64), true),
];

const PARTITIONS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("PARTITION_NAME", Text(64), false),
    ("SUBPARTITION_NAME", Text(64), false),
    ("PARTITION_ORDINAL_POSITION", UInt, false),
    ("SUBPARTITION_ORDINAL_POSITION", UInt, false),
    ("PARTITION_METHOD", Text(13), false),
    ("SUBPARTITION_METHOD", Text(13), false),
    ("PARTITION_EXPRESSION", Text(2048), false),
    ("SUBPARTITION_EXPRESSION", Text(2048), false),
    ("PARTITION_DESCRIPTION", Long, false),
    ("TABLE_ROWS", UInt, false),
    ("AVG_ROW_LENGTH", UInt, false),
    ("DATA_LENGTH", UInt, false),
    ("MAX_DATA_LENGTH", UInt, false),
    ("INDEX_LENGTH", UInt, false),
    ("DATA_FREE", UInt, false),
    ("CREATE_TIME", When, false),
    ("UPDATE_TIME", When, false),
    ("CHECK_TIME", When, false),
    ("CHECKSUM", Int, false),
    ("PARTITION_COMMENT", Long, true),
    ("NODEGROUP", Text(256), false),
    ("TABLESPACE_NAME", Text(268), false),
];

fn partitions(cx: &Cx<'_>) -> Vec<Row> {
    let row = |t: &Arc<Table>| {
        let status = table_status(cx, t);
        let mut row = vec![text("def"), text(&t.database), text(&t.name)];
        row.resize(12, Null);
        row.extend(status[3..9].iter().cloned());
        row.extend([Null, Null, Null, Null, text(""), Null, Null]);
        row
    };
    sorted(cx).into_iter().map(row).collect()
}

const FILES: &[Col] = &[
    ("FILE_ID", Int, false),
    ("FILE_NAME", Long, false),
    ("FILE_TYPE", Text(256), false),
    ("TABLESPACE_NAME", Text(268), true),
    ("TABLE_CATALOG", Text(1), true),
    ("TABLE_SCHEMA", Text(64), false),
    ("TABLE_NAME", Text(64), false),
    ("LOGFILE_GROUP_NAME", Text(256), false),
    ("LOGFILE_GROUP_NUMBER", Int, false),
    ("ENGINE", Text(64), true),
    ("FREE_EXTENTS", Int, false),
    ("TOTAL_EXTENTS", Int, false),
    ("EXTENT_SIZE", Int, false),
    ("INITIAL_SIZE", Int, false),
    ("MAXIMUM_SIZE", Int, false),
    ("AUTOEXTEND_SIZE", Int, false),
    ("STATUS", Text(256), false),
    ("EXTRA", Text(256), false),
];

const PLUGINS: &[Col] = &[
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
pub(super) fn plugins(_: &Cx<'_>) -> Vec<Row> {
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

const KEYWORDS: &[Col] = &[("WORD", Text(128), false), ("RESERVED", Int, false)];

/// Histograms: nobody makes any.
const COLUMN_STATISTICS: &[Col] = &[
    ("SCHEMA_NAME", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), true),
    ("HISTOGRAM", Long, true),
];

fn keywords(_: &Cx<'_>) -> Vec<Row> {
    crate::statement::reserved::words().iter().map(|w| vec![text(*w), Value::Int(1)]).collect()
}

macro_rules! table {
    ($name:literal, $columns:expr, $rows:expr) => {
        Def { database: SCHEMA, name: $name, columns: $columns, rows: Some($rows) }
    };
    ($name:literal, $columns:expr) => {
        table!($name, $columns, |_| Vec::new())
    };
}

/// The tables.
pub(super) const TABLES: &[Def] = &[
    table!("CHARACTER_SETS", CHARACTER_SETS, character_sets),
    table!("CHECK_CONSTRAINTS", CHECK_CONSTRAINTS, check_constraints),
    table!("COLLATIONS", COLLATIONS, collations),
    table!("COLLATION_CHARACTER_SET_APPLICABILITY", APPLICABILITY, applicability),
    table!("COLUMNS", COLUMNS, columns),
    table!("COLUMN_PRIVILEGES", COLUMN_PRIVILEGES),
    table!("COLUMN_STATISTICS", COLUMN_STATISTICS),
    table!("ENGINES", ENGINES, engines),
    table!("EVENTS", EVENTS),
    table!("FILES", FILES),
    table!("KEYWORDS", KEYWORDS, keywords),
    table!("KEY_COLUMN_USAGE", KEY_COLUMN_USAGE, key_column_usage),
    table!("PARAMETERS", PARAMETERS, super::programs::parameters),
    table!("PARTITIONS", PARTITIONS, partitions),
    table!("PLUGINS", PLUGINS, plugins),
    table!("PROCESSLIST", PROCESSLIST, processlist),
    table!("REFERENTIAL_CONSTRAINTS", REFERENTIAL, referential),
    table!("ROUTINES", ROUTINES, super::programs::routines),
    table!("SCHEMATA", SCHEMATA, schemata),
    table!("SCHEMA_PRIVILEGES", SCHEMA_PRIVILEGES),
    table!("STATISTICS", STATISTICS, all_statistics),
    table!("TABLES", TABLES_COLUMNS, tables),
    table!("TABLE_CONSTRAINTS", TABLE_CONSTRAINTS, table_constraints),
    table!("TABLE_PRIVILEGES", TABLE_PRIVILEGES),
    table!("TRIGGERS", TRIGGERS, super::programs::triggers),
    table!("USER_PRIVILEGES", USER_PRIVILEGES, user_privileges),
    table!("VIEWS", VIEWS, views),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_fields_are_declarable() {
        for (kind, length, want) in [
            (FieldKind::LongLong, 20, "bigint"),
            (FieldKind::VarChar, 64, "varchar(64)"),
            (FieldKind::VarChar, 70_000, "longtext"),
            (FieldKind::Text, 65_535, "mediumtext"),
            (FieldKind::Blob, 65_535, "blob"),
            (FieldKind::Decimal, 12, "decimal(10,2)"),
        ] {
            let decimals = if kind == FieldKind::Decimal { 2 } else { 0 };
            let ty = FieldType {
                kind,
                unsigned: false,
                length,
                decimals,
                collation: Collation::Utf8mb4_0900AiCi,
                zerofill: false,
            };
            assert_eq!(show::column_type(&type_of_field(&ty)), want);
        }
    }
}
