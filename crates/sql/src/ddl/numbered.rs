//! ALTER TABLE … ADD COLUMN … AUTO_INCREMENT: the rows that are there are numbered.
//!
//! A schema change writes no rows. So the column comes without its keys first, taking NULL; the rows get their numbers as
//! from an UPDATE, in the order of the primary key, or else as they came; then the column becomes what the statement says,
//! and gets its keys, and the table its references. All of it in one group: readers of this node see it whole, or nothing of
//! it when a step fails.

use p2pdb_model::catalog::{ForeignKey, Table};
use p2pdb_model::schema::{DefaultValue, ForeignKeyDef, IndexDef, TriggerEvent};
use p2pdb_model::types::SqlType;
use p2pdb_model::{ColumnTag, Privileges};

use super::draft::{Draft, Part};
use crate::error::SqlError;
use crate::plan::{Numbering, Then};
use crate::schema_text::{self, column_type, literal, quote};
use crate::statement::Context;

/// A column whose rows are to be numbered.
pub(super) struct Numbered {
    numbering: Numbering,
    /// What ALTER TABLE does with it afterwards.
    actions: Vec<String>,
    /// The references that come then: they may be over the numbers, or to them.
    references: Vec<Part<ForeignKeyDef>>,
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
    let is_new = |k: &Part<ForeignKeyDef>| t.foreign_keys.iter().all(|o| o.id != k.id);
    let (references, kept) = std::mem::take(&mut draft.foreign_keys).into_iter().partition(is_new);
    draft.foreign_keys = kept;
    let primary = t.primary().map(|i| i.def.parts.iter().map(|p| p.column).collect()).unwrap_or_default();
    let order: Vec<ColumnTag> = primary;
    let first = draft.def.auto_increment.unwrap_or(1).max(1);
    let numbering = Numbering { table: t.id, column, order, first, greatest };
    Ok(Some(Numbered { numbering, actions, references }))
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

fn reference(draft: &Draft<'_>, k: &Part<ForeignKeyDef>) -> Result<String, SqlError> {
    let names = |tags: &[ColumnTag]| -> Option<Vec<String>> {
        tags.iter().map(|tag| draft.by_tag(*tag).map(|c| c.name.clone())).collect()
    };
    let own = names(&k.def.columns);
    let parent = match k.def.parent {
        Some(id) if id == draft.id => {
            let columns = names(&k.def.parent_columns);
            columns.map(|columns| (draft.database.1.clone(), draft.name.clone(), columns))
        }
        parent => {
            let parent = parent.map(|id| (id, k.def.parent_columns.clone()));
            let key = ForeignKey { id: k.id, name: k.name.clone(), parent, def: k.def.clone() };
            schema_text::parent_names(draft.catalog, &key)
        }
    };
    let (Some(own), Some(parent)) = (own, parent) else {
        return Err(SqlError::new(1215, "HY000", "Cannot add foreign key constraint"));
    };
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    Ok(schema_text::reference(&draft.database.1, (&k.name, &own), parent, &k.def))
}

impl Numbered {
    /// The steps behind the column.
    pub(super) fn then(mut self, draft: &Draft<'_>) -> Result<Vec<Then>, SqlError> {
        for k in &self.references {
            self.actions.push(format!("ADD {}", reference(draft, k)?));
        }
        let table = format!("{}.{}", quote(&draft.database.1), quote(&draft.name));
        // Columns that were dropped by this statement order nothing.
        let order = self.numbering.order.iter().copied().filter(|tag| draft.by_tag(*tag).is_some()).collect();
        Ok(vec![
            Then::Number(Numbering { order, ..self.numbering }),
            Then::Statement(format!("ALTER TABLE {table} {}", self.actions.join(", "))),
        ])
    }
}
