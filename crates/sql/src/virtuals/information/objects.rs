//! Databases, tables, columns, indexes and views.

use std::sync::Arc;

use p2pdb_model::Value::Null;
use p2pdb_model::catalog::{Column, Table, View};
use p2pdb_model::decimal::Decimal;
use p2pdb_model::schema::DefaultValue;
use p2pdb_model::types::{Collation, IntSize, LobSize, SqlType};
use p2pdb_model::{Catalog, Value};

use super::Ty::{Count, Enum, Int, Long, Stamp, Text, UInt, When};
use crate::field::{Field, FieldKind, FieldType};
use crate::schema_text as show;
use crate::virtuals::{self, Col, Cx, Row, count, maybe, text};

pub(super) const SCHEMATA: &[Col] = &[
    ("CATALOG_NAME", Text(64), true),
    ("SCHEMA_NAME", Text(64), true),
    ("DEFAULT_CHARACTER_SET_NAME", Text(64), true),
    ("DEFAULT_COLLATION_NAME", Text(64), true),
    ("SQL_PATH", Text(10), false),
    ("DEFAULT_ENCRYPTION", Enum(&["NO", "YES"]), true),
];

/// Every database with its default collation, as SHOW DATABASES lists them.
pub(in crate::virtuals) fn databases(cx: &Cx<'_>) -> Vec<(String, Collation)> {
    let own = cx.catalog.databases().map(|d| (d.name.clone(), d.def.collation));
    let fixed = virtuals::LISTED.iter().map(|d| ((*d).to_owned(), Collation::Utf8mb4_0900AiCi));
    let mut all: Vec<_> = own.chain(fixed).collect();
    all.sort();
    all
}

pub(super) fn schemata(cx: &Cx<'_>) -> Vec<Row> {
    let row = |(name, c): (String, Collation)| {
        vec![text("def"), text(name), text(c.charset()), text(c.name()), Null, text("NO")]
    };
    databases(cx).into_iter().map(row).collect()
}

const ROW_FORMATS: &[&str] = &["Fixed", "Dynamic", "Compressed", "Redundant", "Compact", "Paged"];

pub(super) const TABLES_COLUMNS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("TABLE_TYPE", Enum(&["BASE TABLE", "VIEW", "SYSTEM VIEW"]), true),
    ("ENGINE", Text(64), false),
    ("VERSION", Int, false),
    ("ROW_FORMAT", Enum(ROW_FORMATS), false),
    ("TABLE_ROWS", UInt, false),
    ("AVG_ROW_LENGTH", UInt, false),
    ("DATA_LENGTH", UInt, false),
    ("MAX_DATA_LENGTH", UInt, false),
    ("INDEX_LENGTH", UInt, false),
    ("DATA_FREE", UInt, false),
    ("AUTO_INCREMENT", UInt, false),
    ("CREATE_TIME", Stamp, false),
    ("UPDATE_TIME", When, false),
    ("CHECK_TIME", When, false),
    ("TABLE_COLLATION", Text(64), false),
    ("CHECKSUM", Int, false),
    ("CREATE_OPTIONS", Text(256), false),
    ("TABLE_COMMENT", Text(2048), false),
];

/// One row of TABLES for a base table, from ENGINE on as SHOW TABLE STATUS shows it.
pub(in crate::virtuals) fn table_status(cx: &Cx<'_>, t: &Table) -> Row {
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
        created(t.created_ms),
        Null,
        Null,
        text(t.def.collation.name()),
        Null,
        text(t.def.options.join(" ").to_lowercase()),
        text(&t.def.comment),
    ]
}

/// CREATE_TIME; NULL of what nobody has named.
fn created(unix_ms: u64) -> Value {
    if unix_ms == 0 { Null } else { virtuals::stamp(unix_ms) }
}

/// The same for a view (SHOW TABLE STATUS: all NULL but the time and the comment).
pub(in crate::virtuals) fn view_status(v: &View) -> Row {
    const CREATE_TIME: usize = 10;
    let mut row = vec![Null; 16];
    row[CREATE_TIME] = created(v.created_ms);
    row.push(text("VIEW"));
    row
}

pub(super) fn tables(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    let head = |db: &str, name: &str, kind: &str| vec![text("def"), text(db), text(name), text(kind)];
    for db in cx.catalog.databases() {
        for t in db.tables() {
            all.push([head(&db.name, &t.name, "BASE TABLE"), table_status(cx, t)].concat());
        }
        for v in db.views() {
            all.push([head(&db.name, &v.name, "VIEW"), view_status(v)].concat());
        }
    }
    for db in virtuals::DATABASES {
        for name in virtuals::tables(db) {
            let mut row = head(db, name, "SYSTEM VIEW");
            row.resize(20, Null);
            row.push(text(""));
            all.push(row);
        }
    }
    all
}

pub(super) const COLUMNS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), false),
    ("ORDINAL_POSITION", Count, true),
    ("COLUMN_DEFAULT", Long, false),
    ("IS_NULLABLE", Text(3), true),
    ("DATA_TYPE", Long, false),
    ("CHARACTER_MAXIMUM_LENGTH", Int, false),
    ("CHARACTER_OCTET_LENGTH", Int, false),
    ("NUMERIC_PRECISION", UInt, false),
    ("NUMERIC_SCALE", UInt, false),
    ("DATETIME_PRECISION", Count, false),
    ("CHARACTER_SET_NAME", Text(64), false),
    ("COLLATION_NAME", Text(64), false),
    ("COLUMN_TYPE", Long, true),
    ("COLUMN_KEY", Enum(&["", "PRI", "UNI", "MUL"]), true),
    ("EXTRA", Text(256), false),
    ("PRIVILEGES", Text(154), false),
    ("COLUMN_COMMENT", Long, true),
    ("GENERATION_EXPRESSION", Long, true),
    ("SRS_ID", Count, false),
];

/// What one may do with a column.
pub(in crate::virtuals) const PRIVILEGES: &str = "select,insert,update,references";

/// Length in characters and bytes, precision, scale, fsp.
pub(in crate::virtuals) fn measures(ty: &SqlType) -> [Option<u64>; 5] {
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

pub(super) fn column(t: &Table, n: usize, c: &Column) -> Row {
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

/// The default of a column made of a result column: that of the table's column that it shows, else the type's zero
/// where it cannot be NULL.
pub fn default_of_result(catalog: &Catalog, f: &Field, ty: &SqlType) -> Option<DefaultValue> {
    let shown = catalog.table(&f.database, &f.org_table).and_then(|t| t.column(&f.org_name));
    if let Some(column) = shown.filter(|c| !c.def.auto_increment && c.def.generated.is_none()) {
        return column.def.default.clone();
    }
    if !f.not_null {
        return None;
    }
    let fraction = |fsp: u8| if fsp == 0 { String::new() } else { format!(".{}", "0".repeat(fsp.into())) };
    Some(DefaultValue::Literal(match ty {
        SqlType::Int { .. } | SqlType::Float { .. } | SqlType::Double { .. } => "0".to_owned(),
        SqlType::Decimal { scale, .. } => Decimal::ZERO.to_text(*scale),
        SqlType::Time { fsp } => format!("00:00:00{}", fraction(*fsp)),
        SqlType::Date => "0000-00-00".to_owned(),
        SqlType::DateTime { fsp } | SqlType::Timestamp { fsp } => {
            format!("0000-00-00 00:00:00{}", fraction(*fsp))
        }
        SqlType::Char { .. } | SqlType::VarChar { .. } => String::new(),
        _ => return None,
    }))
}

/// The column type of a result column: whole numbers that are computed take an INT where their digits fit one, as MySQL
/// counts them (`Item_func::tmp_table_field`; `function`: of a call or operator, which may have one digit more).
pub fn type_of_result(f: &Field, function: bool) -> SqlType {
    const DIGITS_MAX: u32 = 9;
    let digits_max = if function { DIGITS_MAX + 2 } else { DIGITS_MAX };
    let computed = f.org_table.is_empty() && f.ty.kind == FieldKind::LongLong;
    if computed && f.ty.length <= digits_max {
        return type_of_field(&FieldType { kind: FieldKind::Long, ..f.ty.clone() });
    }
    type_of_field(&f.ty)
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
    let digits = (ty.decimals <= 30).then(|| (ty.length.min(255) as u8, ty.decimals));
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
        FieldKind::Float => SqlType::Float { unsigned, digits },
        FieldKind::Double => SqlType::Double { unsigned, digits },
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
        FieldKind::Null => SqlType::VarBinary { bytes: 0 },
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

/// A column of a view (`catalog` is given) or of rows that are not stored.
pub(super) fn field_column(catalog: Option<&Catalog>, db: &str, table: &str, n: usize, f: &Field) -> Row {
    let ty = type_of_result(f, false);
    let default = catalog.and_then(|c| default_of_result(c, f, &ty));
    let default = default.and_then(|d| show::default_text(&ty, &d));
    let collation = ty.collation().filter(|c| *c != Collation::Binary);
    let mut row = vec![
        text("def"),
        text(db),
        text(table),
        text(&f.name),
        count(n as u64 + 1),
        maybe(default),
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

pub(super) fn columns(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for db in cx.catalog.databases() {
        for t in db.tables() {
            let seen = t.columns.iter().filter(|c| !c.is_hidden());
            all.extend(seen.enumerate().map(|(n, c)| column(t, n, c)));
        }
        for v in db.views() {
            let fields = crate::statement::view_fields(cx.catalog, cx.session, v).unwrap_or_default();
            all.extend(
                fields
                    .iter()
                    .enumerate()
                    .map(|(n, f)| field_column(Some(cx.catalog), &db.name, &v.name, n, f)),
            );
        }
    }
    for db in virtuals::DATABASES {
        for name in virtuals::tables(db) {
            let fields = virtuals::describe(db, name).map(|t| t.fields()).unwrap_or_default();
            all.extend(fields.iter().enumerate().map(|(n, f)| field_column(None, db, name, n, f)));
        }
    }
    all
}

pub(super) const STATISTICS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("NON_UNIQUE", Int, true),
    ("INDEX_SCHEMA", Text(64), true),
    ("INDEX_NAME", Text(64), false),
    ("SEQ_IN_INDEX", Count, true),
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
pub(in crate::virtuals) fn statistics(cx: &Cx<'_>, t: &Table) -> Vec<Row> {
    let rows = cx.environment.table_size(t.id).0;
    let mut all = Vec::new();
    for i in show::sorted_indexes(t) {
        for (n, part) in i.def.parts.iter().enumerate() {
            let Some(c) = t.column_by_tag(part.column) else { continue };
            all.push(vec![
                Value::Int((!i.def.unique).into()),
                text(&i.name),
                count(n as u64 + 1),
                if c.is_hidden() { Null } else { text(&c.name) },
                match (i.def.fulltext, part.descending) {
                    (true, _) => Null,
                    (false, descending) => text(if descending { "D" } else { "A" }),
                },
                count(rows),
                part.prefix.map_or(Null, |p| count(p.into())),
                Null,
                text(if c.def.nullable { "YES" } else { "" }),
                text(if i.def.fulltext { "FULLTEXT" } else { "BTREE" }),
                text(""),
                text(&i.def.comment),
                text(if i.def.invisible { "NO" } else { "YES" }),
                match &c.def.generated {
                    Some(g) if c.is_hidden() => text(show::escaped(&g.expression)),
                    _ => Null,
                },
            ]);
        }
    }
    all
}

pub(super) fn all_statistics(cx: &Cx<'_>) -> Vec<Row> {
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

pub(super) const VIEWS: &[Col] = &[
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("VIEW_DEFINITION", Long, false),
    ("CHECK_OPTION", Enum(&["NONE", "LOCAL", "CASCADED"]), false),
    ("IS_UPDATABLE", Enum(&["NO", "YES"]), false),
    ("DEFINER", Text(288), false),
    ("SECURITY_TYPE", Text(7), false),
    ("CHARACTER_SET_CLIENT", Text(64), true),
    ("COLLATION_CONNECTION", Text(64), true),
];

pub(super) fn views(cx: &Cx<'_>) -> Vec<Row> {
    let all = cx.catalog.databases().flat_map(|d| d.views());
    let updatable = |v: &View| {
        let mut b = crate::bind::Binder::without_text(cx.catalog, cx.session);
        b.writable(v, &v.name, &v.name).is_ok_and(|w| w.is_some())
    };
    all.map(|v| {
        let check = if v.def.check_option.is_empty() { "NONE" } else { &v.def.check_option };
        vec![
            text("def"),
            text(&v.database),
            text(&v.name),
            text(&v.def.select),
            text(check),
            text(if updatable(v) { "YES" } else { "NO" }),
            text(&v.def.definer),
            text(if v.def.invoker { "INVOKER" } else { "DEFINER" }),
            text("utf8mb4"),
            text("utf8mb4_0900_ai_ci"),
        ]
    })
    .collect()
}

pub(super) fn sorted<'a>(cx: &Cx<'a>) -> Vec<&'a Arc<Table>> {
    cx.catalog.databases().flat_map(|d| d.tables()).collect()
}

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
