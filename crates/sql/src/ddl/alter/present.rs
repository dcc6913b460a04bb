//! What the rows and the references that are there say to an ALTER TABLE: the queries that fail, or find a row, where they do not
//! allow it.

use p2pdb_model::catalog::{Column, Table, physical_column};
use p2pdb_model::schema::*;
use p2pdb_model::types::SqlType;
use p2pdb_model::{CellKind, ColumnTag};

use super::super::column::ColumnSpec;
use super::super::conversion;
use super::super::draft::{Draft, Part};
use crate::error::SqlError;
use crate::plan::ColumnTarget;
use crate::schema_text::column_type;
use crate::session::SqlMode;
use crate::statement::Context;
use crate::zone::Zone;

/// Rows that are there would need a value that only a statement can make.
pub(super) fn not_filled(
    cx: &Context<'_>,
    (t, temporary): (&Table, bool),
    name: &str,
    spec: &ColumnSpec,
    checks: &mut Vec<(String, SqlError)>,
) {
    let any_row = format!("SELECT 1 FROM {} LIMIT 1", t.physical());
    let mode = cx.session.sql_mode;
    let zero = match &spec.def.ty {
        SqlType::Date => Some(("date", "0000-00-00")),
        SqlType::DateTime { .. } => Some(("datetime", "0000-00-00 00:00:00")),
        _ => None,
    };
    let implicit = matches!(spec.def.default, None | Some(DefaultValue::Nothing))
        && !spec.def.nullable
        && spec.def.generated.is_none();
    if let (Some((kind, value)), true) = (zero, implicit && mode.strict() && mode.has(SqlMode::NO_ZERO_DATE))
    {
        let message = format!("Incorrect {kind} value: '{value}' for column '{name}' at row 1");
        checks.push((any_row.clone(), SqlError::new(1292, "22007", message)));
    }
    let varies = match &spec.def.default {
        Some(default @ DefaultValue::Expression(_)) => super::super::defaults::literal_of(default).is_none(),
        _ => false,
    };
    if varies || spec.def.auto_increment && temporary {
        let what = if varies { "a default that is not constant" } else { "AUTO_INCREMENT" };
        let what = format!("ADD COLUMN {name} with {what} in a table that has rows");
        checks.push((any_row, SqlError::unsupported(what)));
    }
}

/// A column that becomes a `[set]` or `[map]` holds arrays, or objects, so far. `value`: the SQL of what it holds, in the
/// new type.
pub(super) fn tagged(
    t: &Table,
    (was, value): (&Column, &str),
    name: &str,
    def: &ColumnDef,
    checks: &mut Vec<(String, SqlError)>,
) {
    let kind = CellKind::of(&def.ty, &def.comment);
    let (json, wants) = match kind {
        CellKind::Set => ("array", "a [set] takes a JSON array"),
        CellKind::Map => ("object", "a [map] takes a JSON object"),
        _ => return,
    };
    if kind == was.cell_kind() {
        return;
    }
    let sql = format!(
        "SELECT 1 FROM {} WHERE {value} IS NOT NULL AND json_type({value})<>'{json}' LIMIT 1",
        t.physical()
    );
    let message = format!("Invalid JSON value for column '{name}': {wants}.");
    checks.push((sql, SqlError::new(3140, "22032", message)));
}

/// The SQL of a column's values in another type, and the query that fails as soon as one of them does not fit.
pub(super) fn convert(
    cx: &Context<'_>,
    t: &Table,
    was: &Column,
    name: &str,
    new: &SqlType,
) -> Result<Option<(String, String)>, SqlError> {
    let old = &was.def.ty;
    if conversion::keeps(old, new) {
        return Ok(None);
    }
    let stamps = [old, new].iter().filter(|t| matches!(t, SqlType::Timestamp { .. })).count();
    if stamps == 1 && cx.session.time_zone.zone != Zone::default() {
        // Every node converts the values, and must do so alike.
        let (from, to) = (column_type(old), column_type(new));
        let what = format!(
            "ALTER TABLE: changing column '{name}' from {from} to {to} in another time zone than UTC"
        );
        return Err(SqlError::unsupported(what));
    }
    if matches!(old, SqlType::Time { .. })
        && matches!(new, SqlType::Date | SqlType::DateTime { .. } | SqlType::Timestamp { .. })
    {
        // It would take today's date, which is another one on every node.
        let what = format!(
            "ALTER TABLE: changing column '{name}' from {} to {}",
            column_type(old),
            column_type(new)
        );
        return Err(SqlError::unsupported(what));
    }
    let spec = |ty: &SqlType| {
        let target = ColumnTarget { lenient_null: true, ..ColumnTarget::plain(name, ty.clone()) };
        crate::functions::assign_spec(&target).replace('\'', "''")
    };
    let sql = |column: &str| format!("p_convert({column},'{}','{}')", spec(old), spec(new));
    let (looked_at, value) = (sql("v"), sql(&was.physical()));
    let query = format!(
        "SELECT count({looked_at}) FROM (SELECT {} AS v,row_number() OVER (ORDER BY rowid) AS n FROM {}) \
         WHERE p_row(n) HAVING count(*)<0",
        was.physical(),
        t.physical()
    );
    Ok(Some((value, query)))
}

/// MySQL would write the table anew, and count its rows (manual, section 17.12.1): here no row is written.
pub(super) fn copies(draft: &Draft<'_>, t: &Table) -> bool {
    /// A length of so many bytes at most takes one byte.
    const SHORT_BYTES_MAX: u32 = 255;
    let in_place = |old: &SqlType, new: &SqlType| match (old, new) {
        (SqlType::VarChar { chars: a, .. }, SqlType::VarChar { chars: b, .. }) => {
            a <= b && (a * 4 <= SHORT_BYTES_MAX) == (b * 4 <= SHORT_BYTES_MAX)
        }
        (SqlType::VarBinary { bytes: a }, SqlType::VarBinary { bytes: b }) => {
            a <= b && (*a <= SHORT_BYTES_MAX) == (*b <= SHORT_BYTES_MAX)
        }
        (SqlType::Enum { values: a, .. }, SqlType::Enum { values: b, .. })
        | (SqlType::Set { values: a, .. }, SqlType::Set { values: b, .. }) => b.starts_with(a),
        (old, new) => {
            let mut new = new.clone();
            if let (Some(new), Some(old)) = (new.collation_mut(), old.collation()) {
                *new = old;
            }
            *old == new
        }
    };
    draft.columns.iter().any(|c| match t.column_by_tag(c.id.tag()) {
        Some(was) => !in_place(&was.def.ty, &c.def.ty),
        None => c.def.generated.as_ref().is_some_and(|g| g.stored),
    }) || draft.foreign_keys.iter().any(|k| t.foreign_keys.iter().all(|o| o.id != k.id))
        || draft.checks.iter().any(|k| t.checks.iter().all(|o| o.id != k.id))
}

/// Columns that foreign keys join are still of one type.
pub(super) fn still_comparable(cx: &Context<'_>, draft: &Draft<'_>, t: &Table) -> Result<(), SqlError> {
    let changed = |tag: ColumnTag| {
        let (was, is) = (t.column_by_tag(tag), draft.by_tag(tag));
        was.zip(is).filter(|(was, is)| was.def.ty != is.def.ty).map(|(_, is)| (&is.def.ty, &is.name))
    };
    let check = |child: (&SqlType, &String), parent: (&SqlType, &String), key: &str| {
        let text = child.0.collation().is_some() && parent.0.collation().is_some();
        if super::super::keys::comparable(child.0, parent.0) || text && !cx.session.foreign_key_checks {
            return Ok(());
        }
        let message = format!(
            "Referencing column '{}' and referenced column '{}' in foreign key constraint '{key}' are incompatible.",
            child.1, parent.1
        );
        Err(SqlError::new(3780, "HY000", message))
    };
    for k in &draft.foreign_keys {
        let Some(parent) = k.def.parent else { continue };
        for (child, theirs) in k.def.columns.iter().zip(&k.def.parent_columns) {
            let own = draft.by_tag(*child).map(|c| (&c.def.ty, &c.name));
            let of_parent = if parent == draft.id {
                draft.by_tag(*theirs).map(|c| (&c.def.ty, &c.name))
            } else {
                let table = cx.catalog.table_by_id(parent);
                table.and_then(|p| p.column_by_tag(*theirs)).map(|c| (&c.def.ty, &c.name))
            };
            if let (Some(own), Some(of_parent)) = (own, of_parent)
                && (changed(*child).is_some() || parent == draft.id && changed(*theirs).is_some())
            {
                check(own, of_parent, &k.name)?;
            }
        }
    }
    for (child, number) in cx.catalog.referenced_by(t.id) {
        let Some(child) = cx.catalog.table_by_id(*child).filter(|c| c.id != t.id) else { continue };
        let Some(k) = child.foreign_keys.get(*number) else { continue };
        for (theirs, own) in k.def.columns.iter().zip(&k.def.parent_columns) {
            if let (Some(parent), Some(c)) = (changed(*own), child.column_by_tag(*theirs)) {
                check((&c.def.ty, &c.name), parent, &k.name)?;
            }
        }
    }
    Ok(())
}

/// Foreign keys still have their indexes.
pub(super) fn still_indexed(draft: &Draft<'_>, t: &Table) -> Result<(), SqlError> {
    for i in &t.indexes {
        if draft.indexes.iter().any(|kept| kept.id == i.id && kept.def.parts == i.def.parts) {
            continue;
        }
        let needs = |tags: &[p2pdb_model::ColumnTag]| i.def.leads(tags) && !draft.has_index_for(tags);
        let own = draft.foreign_keys.iter().any(|k| needs(&k.def.columns));
        if own || draft.referencing().any(|tags| needs(&tags)) {
            let message = format!("Cannot drop index '{}': needed in a foreign key constraint", i.name);
            return Err(SqlError::new(1553, "HY000", message));
        }
    }
    Ok(())
}

/// The queries over the rows that are there: of new and changed columns, keys, references and CHECKs.
pub(super) fn data_checks(
    cx: &Context<'_>,
    draft: &Draft<'_>,
    t: &Table,
    checks: &mut Vec<(String, SqlError)>,
) -> Result<(), SqlError> {
    checks.extend(draft.without_values(t));
    let recomputed = draft.recomputed(t);
    for i in &draft.indexes {
        let was = t.indexes.iter().find(|o| o.id == i.id);
        let retyped = |p: &IndexPart| {
            if draft.by_tag(p.column).is_some_and(|c| c.def.generated.is_some()) {
                return recomputed;
            }
            let (was, is) = (t.column_by_tag(p.column), draft.by_tag(p.column));
            was.zip(is).is_some_and(|(was, is)| {
                was.def.ty.collation() != is.def.ty.collation()
                    || draft.converted.iter().any(|(tag, _)| *tag == p.column)
            })
        };
        let same = was.is_some_and(|w| w.def.unique && w.def.parts == i.def.parts)
            && !i.def.parts.iter().any(retyped);
        if same {
            continue;
        }
        checks.extend(draft.duplicates(i));
        if i.name == "PRIMARY" {
            for p in &i.def.parts {
                let was = t.column_by_tag(p.column);
                if let Some(was) = was.filter(|c| c.def.nullable) {
                    let c = physical_column(was.tag);
                    let sql = format!("SELECT 1 FROM {} WHERE {c} IS NULL LIMIT 1", t.physical());
                    checks.push((sql, SqlError::new(1138, "22004", "Invalid use of NULL value")));
                }
            }
        }
    }
    for k in draft.foreign_keys.iter().filter(|k| t.foreign_keys.iter().all(|o| o.id != k.id)) {
        checks.extend(draft.orphans(cx, k));
    }
    let changed = recomputed || !draft.converted.is_empty();
    let held = |k: &Part<CheckDef>| !changed && t.checks.iter().any(|o| o.id == k.id && o.def.enforced);
    for k in draft.checks.iter().filter(|k| k.def.enforced && !held(k)) {
        checks.extend(draft.violating(k)?);
    }
    Ok(())
}

impl Draft<'_> {
    /// The columns that other tables' foreign keys refer to.
    fn referencing(&self) -> impl Iterator<Item = Vec<p2pdb_model::ColumnTag>> + '_ {
        let own = self.foreign_keys.iter();
        let own = own.filter(|k| k.def.parent == Some(self.id)).map(|k| k.def.parent_columns.clone());
        own.chain(self.parents_of_others())
    }
}
