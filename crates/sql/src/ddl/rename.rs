//! RENAME TABLE, and the new name in ALTER TABLE.

use std::collections::HashMap;

use p2pdb_model::catalog::{Table, View};
use p2pdb_model::change::SchemaChange;
use p2pdb_model::ids::{ObjectId, ObjectKind};

use super::draft::Draft;
use super::{is_taken, table};
use crate::error::SqlError;
use crate::plan::Ddl;
use crate::statement::{Context, Cursor};

#[derive(Clone, Copy)]
enum Object<'c> {
    Table(&'c Table),
    View(&'c View),
}

type Name = (String, String);

/// `RENAME TABLE a TO b, …`: one after the other, so that two tables may swap names; the words were read.
pub fn rename(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Ddl, SqlError> {
    let pairs = c.list(|c| {
        let from = c.table_name()?;
        if !c.eat("to") {
            c.expect("as")?;
        }
        let to = c.table_name()?;
        table::table_name_ok(&to.1)?;
        Ok(((cx.database(from.0)?, from.1), (cx.database(to.0)?, to.1)))
    })?;
    // Where names stand after the steps so far: an object, or nothing.
    let mut now: HashMap<Name, Option<Object<'_>>> = HashMap::new();
    for (from, to) in pairs {
        table::database(cx, &from.0)?;
        let object = look(cx, &now, &from).ok_or_else(|| SqlError::no_table(&from.0, &from.1))?;
        table::database(cx, &to.0)?;
        if look(cx, &now, &to).is_some() {
            return Err(SqlError::table_exists(&to.1));
        }
        now.insert(from, None);
        now.insert(to, Some(object));
    }
    let mut changes = Vec::new();
    let mut moved: Vec<_> = now.into_iter().filter_map(|(name, o)| Some((name, o?))).collect();
    moved.sort_by(|a, b| a.0.cmp(&b.0));
    for ((db, name), object) in moved {
        let parent = table::database(cx, &db)?;
        match object {
            Object::Table(t) => {
                if (t.database == db) && t.name == name {
                    continue;
                }
                let home = table::database(cx, &t.database)?;
                let mut draft = Draft::of(cx.catalog, home.id, t);
                put_name(&mut draft, (parent.id, db), &name);
                changes.extend(draft.changes());
            }
            Object::View(v) => {
                if v.database != db {
                    let message = format!("Changing schema from '{}' to '{db}' is not allowed.", v.database);
                    return Err(SqlError::new(1450, "HY000", message));
                }
                changes.push(SchemaChange::Put {
                    id: v.id,
                    kind: ObjectKind::View,
                    parent: parent.id,
                    name: Some(name),
                    definition: None,
                    position: None,
                    after: None,
                });
            }
        }
    }
    Ok(Ddl { changes, ..Ddl::default() })
}

fn look<'c>(cx: &Context<'c>, now: &HashMap<Name, Option<Object<'c>>>, name: &Name) -> Option<Object<'c>> {
    if let Some(found) = now.get(name) {
        return *found;
    }
    // Temporary tables are renamed by ALTER TABLE only.
    let db = cx.catalog.database(&name.0)?;
    let t = db.permanent_table(&name.1).map(|t| Object::Table(t));
    t.or_else(|| db.permanent_view(&name.1).map(|v| Object::View(v)))
}

/// The new name of ALTER TABLE … RENAME.
pub fn rename_draft(
    cx: &Context<'_>,
    draft: &mut Draft<'_>,
    db: Option<String>,
    name: &str,
) -> Result<(), SqlError> {
    table::table_name_ok(name)?;
    let db = db.unwrap_or_else(|| draft.database.1.clone());
    let to = table::database(cx, &db)?;
    if (db == draft.database.1) && name == draft.name {
        return Ok(());
    }
    if is_taken(to, name, cx.catalog.is_temporary(draft.id)) {
        return Err(SqlError::table_exists(name));
    }
    put_name(draft, (to.id, db), name);
    Ok(())
}

/// Sets the name; generated names of constraints follow it, as in MySQL.
fn put_name(draft: &mut Draft<'_>, database: (ObjectId, String), name: &str) {
    let old = std::mem::replace(&mut draft.name, name.to_owned());
    draft.database = database;
    let follow = |own: &mut String, kind: &str| {
        let rest = own.strip_prefix(&format!("{old}_{kind}_"));
        if let Some(n) = rest.filter(|n| n.parse::<u64>().is_ok()) {
            *own = format!("{name}_{kind}_{n}");
        }
    };
    draft.foreign_keys.iter_mut().for_each(|k| follow(&mut k.name, "ibfk"));
    draft.checks.iter_mut().for_each(|k| follow(&mut k.name, "chk"));
}
