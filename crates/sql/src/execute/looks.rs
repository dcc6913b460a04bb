//! Equality on an indexed sealed column: what a cell is found by on a node that can read it, and what a condition asks for
//! (`docs/security.md`, section 7; the tables are `store::looks`).
//!
//! `WHERE column = value` keeps its meaning by the comparison itself; beside it stands the condition that the row is among
//! those with the same look, by which SQLite finds them. A look may be that of too many values, never of too few.
//!
//! Cells that cannot be opened are found by none. As a look at all of them would do, one of them is looked at, so that the
//! statement warns, or fails, as it does without an index.

use p2pdb_model::catalog::{Column, Table, physical_look};
use p2pdb_model::sealed::{LOOK_OPENED, LOOK_UNOPENED};
use p2pdb_model::types::Collation;
use p2pdb_model::{ColumnTag, ObjectId, Value, ValueRef, sealed};

use super::Sealer;
use super::sealed::not_opened;
use crate::collate;
use crate::functions::{Answer, bytes_of, int_of};

/// Of a cell, for the index: `p_look(cell, table, column, collation)`.
pub const OF_CELL: &str = "p_look";
/// Of a value, for a condition: `p_look_of(value, table, column, collation)`.
pub const OF_VALUE: &str = "p_look_of";

fn call(name: &str, what: &str, table: ObjectId, column: &Column) -> String {
    let collation = column.def.ty.collation().unwrap_or(Collation::Binary);
    format!("{name}({what},x'{}',{},{})", table.to_hex(), column.tag.0, collation.id())
}

/// The SQL of the look of a column's cell in the table itself.
pub fn of_cell(table: &Table, column: &Column) -> String {
    call(OF_CELL, &column.physical(), table.id, column)
}

/// The condition that a row of `alias` may hold one of these values in an indexed sealed column; `None` without an index.
pub(crate) fn among(table: &Table, alias: &str, column: ColumnTag, values: &[&str]) -> Option<String> {
    let column = table.column_by_tag(column)?;
    let index = table.indexes.iter().find(|i| table.looked_up(i).is_some_and(|c| c.tag == column.tag))?;
    let looks = physical_look(index.id);
    let asked: Vec<String> = values.iter().map(|v| call(OF_VALUE, v, table.id, column)).collect();
    let asked = match asked.as_slice() {
        [one] => format!("={one}"),
        all => format!(" IN ({})", all.join(",")),
    };
    Some(format!(
        "{alias}.rowid IN (SELECT row FROM {looks} WHERE look{asked} \
         UNION ALL SELECT * FROM (SELECT row FROM {looks} WHERE look>=x'{LOOK_UNOPENED:02x}' LIMIT 1))"
    ))
}

/// Bytes that are the same for values which SQLite finds equal under the collation.
fn normal(value: &ValueRef<'_>, collation: Collation) -> Vec<u8> {
    let tagged = |tag: u8, bytes: &[u8]| {
        let mut out = Vec::with_capacity(1 + bytes.len());
        out.push(tag);
        out.extend_from_slice(bytes);
        out
    };
    match value {
        ValueRef::Null => tagged(0, &[]),
        ValueRef::Int(n) => tagged(1, &n.to_be_bytes()),
        // Within the integers a double is equal to one of them.
        ValueRef::Real(r) if r.trunc() == *r && (-9.2e18..9.2e18).contains(r) => {
            tagged(1, &(*r as i64).to_be_bytes())
        }
        ValueRef::Real(r) => tagged(2, &r.to_bits().to_be_bytes()),
        ValueRef::Text(t) => tagged(3, &collate::equal_key(t, collation)),
        ValueRef::Blob(b) => tagged(4, b),
    }
}

struct Asked {
    table: ObjectId,
    column: ColumnTag,
    collation: Collation,
}

impl Asked {
    fn of(a: &[ValueRef<'_>]) -> Self {
        Asked {
            table: ObjectId::from_slice(bytes_of(&a[1])).unwrap_or(ObjectId::ROOT),
            column: ColumnTag(u32::try_from(int_of(&a[2])).unwrap_or_default()),
            collation: collate::by_id(int_of(&a[3])),
        }
    }

    fn look(&self, sealer: &dyn Sealer, value: &ValueRef<'_>) -> Value {
        let mut out = vec![LOOK_OPENED];
        out.extend_from_slice(&sealer.look(self.table, self.column, &normal(value, self.collation)));
        Value::Blob(out)
    }
}

/// What [`OF_CELL`] does. NULL where the node is no reader's.
///
/// # Errors
/// None; the type is that of all functions.
pub fn cell(sealer: Option<&dyn Sealer>, a: &[ValueRef<'_>]) -> Answer {
    let asked = Asked::of(a);
    let Some(sealer) = sealer.filter(|s| s.holds(asked.table, asked.column)) else { return Ok(Value::Null) };
    let ValueRef::Blob(cell) = &a[0] else { return Ok(Value::Null) };
    if let Some(value) = sealer.open(asked.table, asked.column, cell) {
        return Ok(asked.look(sealer, &ValueRef::from(&value)));
    }
    let mut out = vec![LOOK_UNOPENED];
    out.extend(sealed::epoch_of(cell).iter().flat_map(|e| e.0));
    Ok(Value::Blob(out))
}

/// What [`OF_VALUE`] does.
///
/// # Errors
/// In a statement that writes, where the node has no key of the column at all.
pub fn value(sealer: Option<&dyn Sealer>, a: &[ValueRef<'_>]) -> Answer {
    let asked = Asked::of(a);
    match sealer {
        Some(sealer) if sealer.holds(asked.table, asked.column) => match a[0] {
            ValueRef::Null => Ok(Value::Null),
            _ => Ok(asked.look(sealer, &a[0])),
        },
        // Nothing was kept to find anything by.
        _ => not_opened(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_has_one_form() {
        let same = |a: ValueRef<'_>, b: ValueRef<'_>, c| normal(&a, c) == normal(&b, c);
        let text = ValueRef::Text;
        for (a, b, collation) in [
            (text("Ann"), text("aNN"), Collation::Utf8mb4_0900AiCi),
            (text("Zoë"), text("ZOE"), Collation::Utf8mb4_0900AiCi),
            (text("a\u{301}"), text("á"), Collation::Utf8mb4_0900AsCs),
            (text("Ann  "), text("ann"), Collation::Utf8mb4GeneralCi),
            (text("Ann \u{a0}"), text("ann"), Collation::Utf8mb4UnicodeCi),
            (text("x "), text("x"), Collation::Utf8mb4Bin),
            (ValueRef::Int(5), ValueRef::Real(5.0), Collation::Binary),
            (ValueRef::Int(0), ValueRef::Real(-0.0), Collation::Binary),
        ] {
            assert!(same(a, b, collation), "{a:?} {b:?} {collation:?}");
        }
        for (a, b, collation) in [
            (text("Ann"), text("Anna"), Collation::Utf8mb4_0900AiCi),
            (text("Ann "), text("Ann"), Collation::Utf8mb4_0900AiCi),
            (text("Ann"), text("ann"), Collation::Utf8mb4_0900AsCs),
            (text("Ann"), text("ann"), Collation::Utf8mb4Bin),
            (text("5"), ValueRef::Int(5), Collation::Binary),
            (text("a"), ValueRef::Blob(b"a"), Collation::Binary),
            (ValueRef::Real(0.5), ValueRef::Int(0), Collation::Binary),
        ] {
            assert!(!same(a, b, collation), "{a:?} {b:?} {collation:?}");
        }
    }
}
