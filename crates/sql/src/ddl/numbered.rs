//! ALTER TABLE … ADD COLUMN … AUTO_INCREMENT: the rows that are there are numbered.
//!
//! A schema change writes no rows. So the column comes without its keys first, taking NULL; the rows get their numbers as
//! from an UPDATE, in the order of the primary key, or else as they came; then the column becomes what the statement says,
//! and gets its keys. All of it in one group: readers of this node see it whole, or nothing of it when a step fails.

use p2pdb_model::catalog::Table;
use p2pdb_model::schema::{DefaultValue, IndexDef, TriggerEvent};
use p2pdb_model::types::SqlType;
use p2pdb_model::{ColumnTag, Privileges};

use super::draft::{Draft, Part};
use crate::error::SqlError;
use crate::plan::{Numbering, Then};
use crate::schema_text::{column_type, literal, quote};
use crate::statement::Context;

/// A column whose rows are to be numbered.
pub(super) struct Numbered {
    numbering: Numbering,
    /// What ALTER TABLE does with it afterwards.
    actions: Vec<String>,
}

/// Takes from the draft what can come only when the rows have numbers.
///
/// # Errors
/// 1235 where triggers would see the UPDATE, and for keys over expressions.
pub(super) fn part(cx: &Context<'_>, draft: &mut Draft<'_>, t: &Table) -> Result<Option<Numbered>, SqlError> {
    let is_new = |c: &&mut Part<_>| t.column_by_tag(c.id.tag()).is_none();
    let Some(c) = draft.columns.iter_mut().filter(is_new).find(|c| c.def.auto_increment) else {
        return Ok(None);
    };
    if draft.temporary {
        return Ok(None);
    }
    if t.triggers.iter().any(|t| t.def.event == TriggerEvent::Update) {
        let what = "ADD COLUMN with AUTO_INCREMENT in a table with triggers for UPDATE";
        return Err(SqlError::unsupported(what));
    }
    cx.source.needs.writes(t, Privileges::SELECT);
    cx.source.needs.writes(t, Privileges::UPDATE);
    let column = c.id.tag();
    let mut text = format!("{} {} NOT NULL AUTO_INCREMENT", quote(&c.name), column_type(&c.def.ty));
    if c.def.invisible {
        text.push_str(" INVISIBLE");
    }
    if !c.def.comment.is_empty() {
        text.push_str(&format!(" COMMENT {}", literal(&c.def.comment)));
    }
    let greatest = match &c.def.ty {
        SqlType::Int { size, unsigned, .. } => u64::try_from(size.range(*unsigned).1).unwrap_or(u64::MAX),
        _ => u64::MAX,
    };
    c.def.auto_increment = false;
    c.def.nullable = true;
    c.def.default = Some(DefaultValue::Null);
    let mut actions = vec![format!("MODIFY {text}")];
    let of_column = |i: &Part<IndexDef>| i.def.parts.iter().any(|p| p.column == column);
    let (moved, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut draft.indexes).into_iter().partition(of_column);
    draft.indexes = kept;
    for i in &moved {
        actions.push(format!("ADD {}", key(draft, i)?));
    }
    let primary = t.primary().map(|i| i.def.parts.iter().map(|p| p.column).collect()).unwrap_or_default();
    let order: Vec<ColumnTag> = primary;
    let first = draft.def.auto_increment.unwrap_or(1).max(1);
    Ok(Some(Numbered { numbering: Numbering { table: t.id, column, order, first, greatest }, actions }))
}

fn key(draft: &Draft<'_>, i: &Part<IndexDef>) -> Result<String, SqlError> {
    let mut parts = Vec::new();
    for p in &i.def.parts {
        let c = draft.by_tag(p.column).filter(|c| !p2pdb_model::catalog::is_hidden(&c.name));
        let c = c.ok_or_else(|| {
            SqlError::unsupported("a key over an expression and a new AUTO_INCREMENT column")
        })?;
        let prefix = p.prefix.map(|n| format!("({n})")).unwrap_or_default();
        parts.push(format!("{}{prefix}{}", quote(&c.name), if p.descending { " DESC" } else { "" }));
    }
    let parts = parts.join(",");
    let mut out = match (i.name.as_str(), i.def.unique) {
        ("PRIMARY", _) => format!("PRIMARY KEY ({parts})"),
        (name, true) => format!("UNIQUE KEY {} ({parts})", quote(name)),
        (name, false) => format!("KEY {} ({parts})", quote(name)),
    };
    if !i.def.comment.is_empty() {
        out.push_str(&format!(" COMMENT {}", literal(&i.def.comment)));
    }
    if i.def.invisible {
        out.push_str(" INVISIBLE");
    }
    Ok(out)
}

impl Numbered {
    /// The steps behind the column.
    pub(super) fn then(self, draft: &Draft<'_>) -> Vec<Then> {
        let table = format!("{}.{}", quote(&draft.database.1), quote(&draft.name));
        // Columns that were dropped by this statement order nothing.
        let order = self.numbering.order.iter().copied().filter(|tag| draft.by_tag(*tag).is_some()).collect();
        vec![
            Then::Number(Numbering { order, ..self.numbering }),
            Then::Statement(format!("ALTER TABLE {table} {}", self.actions.join(", "))),
        ]
    }
}
