//! CHECKSUM TABLE: a number that is the same for the same rows, on every node and in whatever order they stand.
//!
//! It is the sum of a number for each row, made of the CRC-32 of each of its values; MySQL's is another, which follows its row
//! format. Sealed columns do not count: not every node can read them.

use sqlparser::parser::Parser;

use super::{Context, Cursor};
use crate::error::SqlError;
use crate::field::FieldType;
use crate::front::dialect::P2pdbDialect;
use crate::plan::{Note, NoteLevel, Plan};
use crate::virtuals;

/// Characters of a name as the answer's type says them.
const NAME_CHARS: u32 = 384;

/// `CHECKSUM TABLE name, … [QUICK | EXTENDED]`.
pub(super) fn checksum(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    c.expect("checksum")?;
    if !c.eat("table") {
        c.expect("tables")?;
    }
    let names = c.list(|c| {
        let (database, table) = c.table_name()?;
        let database = cx.database(database)?;
        Ok(match virtuals::database_name(&database) {
            Some("information_schema") => (database, table.to_uppercase()),
            _ => (database, table),
        })
    })?;
    // No live checksums are kept.
    let quick = c.eat("quick");
    if !quick {
        c.eat("extended");
    }
    let (mut parts, mut notes) = (Vec::new(), Vec::new());
    for (database, table) in &names {
        let sum = match expression(cx, database, table) {
            Ok(sum) if !quick => sum,
            Ok(_) => "NULL".to_owned(),
            Err(e) => {
                notes.push(Note { level: NoteLevel::Error, code: e.code, message: e.message });
                "NULL".to_owned()
            }
        };
        let shown = format!("{database}.{table}").replace('\\', "\\\\").replace('\'', "''");
        parts.push(format!("SELECT '{shown}' AS `Table`, {sum} AS `Checksum`"));
    }
    let text = parts.join(" UNION ALL ");
    let parsed = Parser::new(&P2pdbDialect).try_with_sql(&text).and_then(|mut p| p.parse_query());
    let query = parsed.map_err(|e| SqlError::new(1105, "HY000", e.to_string()))?;
    let mut plan = crate::bind::statement::plan(&query, cx)?;
    let mut fields = plan.fields.to_vec();
    if let [name, sum] = fields.as_mut_slice() {
        name.ty = FieldType::text(NAME_CHARS, name.ty.collation);
        name.not_null = false;
        sum.ty = FieldType { length: 22, ..FieldType::int() };
    }
    plan.fields = fields.into();
    plan.notes.extend(notes);
    Ok(plan)
}

/// The sum over the rows of a base table.
fn expression(cx: &Context<'_>, database: &str, name: &str) -> Result<String, SqlError> {
    let view = || SqlError::new(1347, "HY000", format!("'{database}.{name}' is not BASE TABLE"));
    if virtuals::database_name(database).is_some() || cx.catalog.view(database, name).is_some() {
        return Err(view());
    }
    if cx.catalog.database(database).is_none() {
        return Err(SqlError::unknown_database(database));
    }
    let Some(table) = cx.catalog.table(database, name) else {
        return Err(SqlError::no_table(database, name));
    };
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let cells: Vec<String> = table
        .columns
        .iter()
        .filter(|c| !c.is_sealed())
        .map(|c| format!("IFNULL(CRC32(CAST(t.{} AS BINARY)), 'N')", quoted(&c.name)))
        .collect();
    Ok(format!(
        "(SELECT CAST(IFNULL(SUM(CRC32(CONCAT_WS(',', {}, ''))), 0) % 4294967296 AS SIGNED) FROM {}.{} AS t)",
        if cells.is_empty() { "''".to_owned() } else { cells.join(", ") },
        quoted(database),
        quoted(name),
    ))
}
