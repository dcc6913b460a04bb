//! ALTER TABLE of a column that becomes `[sealed]`, or is it no more.
//!
//! What is sealed is so by its column's first definition (`docs/security.md`, section 7), so a new column takes the place,
//! the name and the keys of the one that was; the values are written to it by an UPDATE, as by anybody, and the old column is dropped.
//! All of it in one group: readers of this node see it whole, or nothing of it when a step fails.

use p2pdb_model::catalog::{Column, Table};
use p2pdb_model::schema::{ColumnDef, DefaultValue, Definition};
use p2pdb_model::{CellKind, Privileges};

use super::draft::{Draft, Part, sealed_but};
use crate::error::SqlError;
use crate::plan::Then;
use crate::schema_text::quote;
use crate::statement::Context;
use crate::statement::cursor::NAME_CHARS_MAX;

/// A column that another takes the place of.
pub(super) struct Resealed {
    /// What it is called until it goes.
    old: String,
    new: String,
    /// Rows that are there hold NULL in the new column.
    holds_null: bool,
}

/// Puts a column with this definition into the place of the one at `at`.
///
/// # Errors
/// 1063 where foreign keys of other tables refer to it; 1235 for NOT NULL and sealed, AUTO_INCREMENT, and other tags.
pub(super) fn replace(
    cx: &Context<'_>,
    draft: &mut Draft<'_>,
    t: &Table,
    (was, at): (&Column, usize),
    def: ColumnDef,
    checks: &mut Vec<(String, SqlError)>,
) -> Result<Resealed, SqlError> {
    if def.is_sealed() && !def.nullable {
        return Err(SqlError::unsupported(
            "[sealed] and NOT NULL for a column that is there: MODIFY it twice",
        ));
    }
    // An UPDATE assigns: what was counted, put together or owned is another thing then.
    if [&was.def, &def].iter().any(|d| CellKind::tags_in(&d.comment).next().is_some()) {
        let what = "[sealed] for, or no more for, a column with another tag: take or give that by a statement of its own";
        return Err(SqlError::unsupported(what));
    }
    if def.auto_increment {
        return Err(SqlError::unsupported("AUTO_INCREMENT for a column that was sealed: MODIFY it twice"));
    }
    if !def.nullable {
        let sql = format!("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", t.physical(), was.physical());
        checks.push((sql, SqlError::new(1138, "22004", "Invalid use of NULL value")));
    }
    if draft.parents_of_others().any(|tags| tags.contains(&was.tag)) {
        return Err(sealed_but(&was.name, "is part of a foreign key"));
    }
    // The UPDATE is not asked again.
    cx.source.needs.writes(t, Privileges::SELECT);
    cx.source.needs.writes(t, Privileges::UPDATE);
    cx.source.needs.seals(t, [was.tag]);
    let new = draft.columns[at].name.clone();
    let old = spare_name(draft, &new, was.is_sealed());
    old.clone_into(&mut draft.columns[at].name);
    let no_default = matches!(def.default, None | Some(DefaultValue::Null | DefaultValue::Nothing));
    let holds_null = def.nullable && no_default;
    let id = draft.new_id(&new, &Definition::Column(def.clone()));
    draft.columns.insert(at, Part { id, name: new.clone(), def, position: 0 });
    draft.place(at);
    for part in draft.indexes.iter_mut().flat_map(|i| &mut i.def.parts).filter(|p| p.column == was.tag) {
        part.column = id.tag();
    }
    for tag in draft.foreign_keys.iter_mut().flat_map(|k| &mut k.def.columns).filter(|c| **c == was.tag) {
        *tag = id.tag();
    }
    Ok(Resealed { old, new, holds_null })
}

/// A name that tells what the column was, for `p2pdb.conflicts`: somebody may write to it while it goes.
fn spare_name(draft: &Draft<'_>, name: &str, sealed: bool) -> String {
    let what = if sealed { "sealed" } else { "in the open" };
    let names = (1..).map(|n: u32| {
        let suffix = if n == 1 { format!(" ({what})") } else { format!(" ({what} {n})") };
        let kept = NAME_CHARS_MAX - suffix.chars().count();
        format!("{}{suffix}", name.chars().take(kept).collect::<String>())
    });
    names.into_iter().find(|n| draft.column(n).is_none()).unwrap_or_default()
}

/// The statements that move the values and drop the column that was.
pub(super) fn then(draft: &Draft<'_>, Resealed { old, new, holds_null }: &Resealed) -> Vec<Then> {
    let table = format!("{}.{}", quote(&draft.database.1), quote(&draft.name));
    let old = quote(old);
    let mut set = vec![format!("{}={old}", quote(new))];
    // Nobody has changed anything.
    let stamped = draft.columns.iter().filter(|c| c.def.on_update_now && c.name != *new);
    set.extend(stamped.map(|c| format!("{0}={0}", quote(&c.name))));
    let some = if *holds_null { format!("{old} IS NOT NULL") } else { "TRUE".to_owned() };
    vec![
        Then::Statement(format!("UPDATE {table} SET {} WHERE {some}", set.join(","))),
        Then::Statement(format!("ALTER TABLE {table} DROP COLUMN {old}")),
    ]
}
