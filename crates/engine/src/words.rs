//! MySQL's words for what was found wrong with rows (MySQL 8.0 Error Message Reference: 1062, 1451, 1452, 3008).

use p2pdb_model::catalog::{Column, ForeignKey, Index, Table};
use p2pdb_model::schema::{ColumnDef, DefaultValue, ReferentialAction};
use p2pdb_model::types::SqlType;
use p2pdb_model::{Catalog, ColumnTag, Value, ValueRef};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::convert;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::present::{self, Cell};
use p2pdb_sql::zone::Zone;
use p2pdb_store::Violation;

/// A value as an error message shows it.
pub(crate) fn shown(value: &Value, ty: &SqlType) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    text(&FieldType::of_column(ty), value.into())
}

/// A value in stored form as the text protocol shows it (in UTC); NULL as `NULL`, bytes that are no text lossily.
pub fn text(ty: &FieldType, value: ValueRef<'_>) -> String {
    match present::cell(ty, value, Zone::default()) {
        Cell::Null => "NULL".to_owned(),
        Cell::Int(n) => n.to_string(),
        Cell::UInt(n) => n.to_string(),
        Cell::Text(t) => t.into_owned(),
        Cell::Bytes(b) => String::from_utf8_lossy(&b).into_owned(),
        Cell::Float(_) | Cell::Double(_) | Cell::Date(_) | Cell::DateTime(..) | Cell::Time(..) => {
            match convert::to_text(value, ty.code()) {
                Ok(Some(t)) => t.into_owned(),
                _ => plain(&value.to_value()),
            }
        }
    }
}

/// A value as `p2pdb.conflicts` and the history show it, so that nothing of it is lost: bytes as a literal of SQL, `0x…`.
pub(crate) fn whole(value: &Value, ty: &SqlType) -> String {
    match (value, present::cell(&FieldType::of_column(ty), value.into(), Zone::default())) {
        (Value::Null, _) => "NULL".to_owned(),
        (_, Cell::Bytes(b)) if !b.is_empty() => format!("0x{}", p2pdb_model::ids::hex(&b).to_uppercase()),
        _ => shown(value, ty),
    }
}

/// Who a row is: its primary key at birth, column by column; of a table without one the hidden id.
pub(crate) fn row_key(table: Option<&Table>, key: &[Value]) -> String {
    let columns = table.map(Table::primary_columns).unwrap_or_default();
    let part = |(n, value): (usize, &Value)| match columns.get(n) {
        Some(c) if c.def.ty.holds(value) => whole(value, &c.def.ty),
        _ => plain(value),
    };
    key.iter().enumerate().map(part).collect::<Vec<_>>().join(",")
}

/// The bytes that a key of bytes has, where it is given as `0x…`.
fn key_bytes(ty: &SqlType, text: &str) -> Option<Value> {
    let mut bytes = p2pdb_model::ids::unhex(text.strip_prefix("0x")?)?;
    match ty {
        SqlType::Binary { bytes: n } => bytes.resize((*n as usize).max(bytes.len()), 0),
        SqlType::VarBinary { .. } | SqlType::Blob { .. } => {}
        SqlType::Bit { .. } if bytes.len() <= 8 => {
            return Some(Value::Int(bytes.iter().fold(0, |n, b| n << 8 | i64::from(*b))));
        }
        _ => return None,
    }
    Some(Value::Blob(bytes))
}

/// The stored form of a primary key that was given as text, column by column, bytes as `0x…`; of a table without one the hidden
/// id, as `p2pdb.conflicts` shows it.
pub(crate) fn key(table: &Table, texts: &[String]) -> Result<Vec<Value>, SqlError> {
    let columns = table.primary_columns();
    let wrong = || {
        let message = format!("Incorrect arguments: '{}' is no key of {}", texts.join(","), table.name);
        SqlError::new(1210, "HY000", message)
    };
    if columns.is_empty() {
        return match texts {
            [hex] => Ok(vec![Value::Blob(p2pdb_model::ids::unhex(hex).ok_or_else(wrong)?)]),
            _ => Err(wrong()),
        };
    }
    if columns.len() != texts.len() {
        return Err(wrong());
    }
    let stored = crate::functions::meaning().default;
    let one = |(c, t): (&&Column, &String)| {
        if let Some(bytes) = key_bytes(&c.def.ty, t) {
            return if c.def.ty.holds(&bytes) { Ok(bytes) } else { Err(wrong()) };
        }
        let default = Some(DefaultValue::Literal(t.clone()));
        let value = stored(&ColumnDef { default, nullable: true, ..c.def.clone() }, Default::default());
        if value.is_null() { Err(wrong()) } else { Ok(value) }
    };
    columns.iter().zip(texts).map(one).collect()
}

/// A value of no known type.
pub(crate) fn plain(v: &Value) -> String {
    match v {
        Value::Null => "NULL".to_owned(),
        Value::Int(i) => i.to_string(),
        Value::Real(r) => r.to_string(),
        Value::Text(t) => t.clone(),
        Value::Blob(b) => p2pdb_model::ids::hex(b),
    }
}

/// 1062: the values of the row in the columns of the key.
pub(crate) fn duplicate(table: &Table, index: &Index, columns: &[ColumnTag], values: &[Value]) -> SqlError {
    let parts = index.def.parts.iter().map(|part| {
        let value = columns.iter().position(|c| *c == part.column).and_then(|i| values.get(i));
        match (value, table.column_by_tag(part.column)) {
            (Some(Value::Blob(b)), Some(c)) if part.prefix.is_some_and(|n| (n as usize) < b.len()) => {
                let n = part.prefix.unwrap_or_default() as usize;
                shown(&Value::Blob(b[..n].to_vec()), &c.def.ty)
            }
            (Some(v), Some(c)) => {
                let text = shown(v, &c.def.ty);
                match part.prefix {
                    Some(n) => text.chars().take(n as usize).collect(),
                    None => text,
                }
            }
            (Some(v), None) => plain(v),
            (None, _) => "?".to_owned(),
        }
    });
    let entry = parts.collect::<Vec<_>>().join("-");
    SqlError::duplicate_entry(entry, format_args!("{}.{}", table.name, index.name))
}

/// A violation that the store found.
pub(crate) fn violation(catalog: &Catalog, v: &Violation) -> SqlError {
    match v {
        Violation::NoParent { table, foreign_key, .. } => foreign_key_error(
            catalog,
            *table,
            *foreign_key,
            (1452, "Cannot add or update a child row: a foreign key constraint fails"),
        ),
        Violation::HasChildren { table, foreign_key, .. } => foreign_key_error(
            catalog,
            *table,
            *foreign_key,
            (1451, "Cannot delete or update a parent row: a foreign key constraint fails"),
        ),
        Violation::Claimed { table, index, values } => {
            let found = catalog.table_by_id(*table);
            let index = found.and_then(|t| t.indexes.iter().find(|i| i.id == *index).map(|i| (t, i)));
            let Some((table, index)) = index else {
                return SqlError::new(1062, "23000", "Duplicate entry (claimed by a row in p2pdb.conflicts)");
            };
            let columns: Vec<ColumnTag> = index.def.parts.iter().map(|p| p.column).collect();
            let mut error = duplicate(table, index, &columns, values);
            error.message.push_str(" (claimed by a row that waits in p2pdb.conflicts)");
            error
        }
        Violation::TooDeep { table } => {
            let name = catalog.table_by_id(*table).map_or_else(String::new, |t| t.name.clone());
            SqlError::new(
                3008,
                "HY000",
                format!("Foreign key cascade delete/update exceeds max depth of 15 (at table '{name}')."),
            )
        }
    }
}

fn foreign_key_error(
    catalog: &Catalog,
    table: p2pdb_model::ObjectId,
    number: usize,
    (code, text): (u16, &str),
) -> SqlError {
    let found = catalog.table_by_id(table).and_then(|t| t.foreign_keys.get(number).map(|k| (t, k)));
    let Some((table, key)) = found else { return SqlError::new(code, "23000", text) };
    SqlError::new(code, "23000", format!("{text} ({})", constraint(catalog, table, key)))
}

/// ``db`.`t`, CONSTRAINT `k` FOREIGN KEY (`a`) REFERENCES `p` (`b`) ON DELETE CASCADE`.
fn constraint(catalog: &Catalog, table: &Table, key: &ForeignKey) -> String {
    let names = |t: &Table, tags: &[ColumnTag]| {
        let name = |tag: &ColumnTag| {
            let column = t.column_by_tag(*tag).map_or("?", |c| c.name.as_str());
            format!("`{column}`")
        };
        tags.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "`{}`.`{}`, CONSTRAINT `{}` FOREIGN KEY ({})",
        table.database,
        table.name,
        key.name,
        names(table, &key.def.columns)
    );
    if let Some((database, parent, columns)) = p2pdb_sql::schema_text::parent_names(catalog, key) {
        let columns = columns.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
        match database == table.database {
            true => text.push_str(&format!(" REFERENCES `{parent}` ({columns})")),
            false => text.push_str(&format!(" REFERENCES `{database}`.`{parent}` ({columns})")),
        }
    }
    for (event, action) in [("DELETE", key.def.on_delete), ("UPDATE", key.def.on_update)] {
        let action = match action {
            ReferentialAction::NoAction => continue,
            ReferentialAction::Restrict => "RESTRICT",
            ReferentialAction::Cascade => "CASCADE",
            ReferentialAction::SetNull => "SET NULL",
        };
        text.push_str(&format!(" ON {event} {action}"));
    }
    text
}
