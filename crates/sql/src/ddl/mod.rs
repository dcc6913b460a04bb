//! Schema statements: from text to [`Ddl`], the schema changes that go into the log.
//!
//! Definitions are checked here against the catalog, present rows by the queries of [`Ddl::checks`]. Ids come from
//! names ([`p2pdb_model::Catalog::new_id`]), so the same migration on two cut-off nodes gives the same objects.

use p2pdb_model::catalog::{Database, Table};
use p2pdb_model::change::SchemaChange;
use p2pdb_model::ids::{ObjectId, ObjectKind};
use p2pdb_model::schema::*;
use sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::plan::{Ddl, Note, Plan, PlanKind};
use crate::statement::{Context, Cursor, note};
use crate::virtuals;

pub(crate) mod account;
mod alter;
pub mod canonical;
pub mod column;
pub mod conversion;
pub mod defaults;
pub mod draft;
pub mod generated;
pub mod keys;
mod numbered;
mod rename;
mod reseal;
pub mod routine;
pub mod table;
pub mod types;
mod view;

pub use crate::dml::lower_check;
pub use defaults::unwritten;
use rename::rename_draft;

/// CREATE, ALTER, DROP and RENAME of schema objects; `None` (with the cursor where it was) for other statements.
///
/// # Errors
/// 1064, 1235 and those of definitions.
pub fn compile(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Option<Plan>, SqlError> {
    let mark = c.mark();
    let mut notes = Vec::new();
    let ddl = match statement(c, cx, &mut notes)? {
        Some(ddl) => ddl,
        None => {
            c.back(mark);
            return Ok(None);
        }
    };
    Ok(Some(Plan { notes, ..Plan::new(PlanKind::Ddl(ddl)) }))
}

fn statement(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    notes: &mut Vec<Note>,
) -> Result<Option<Ddl>, SqlError> {
    if c.eat("create") {
        if c.eat("database") || c.eat("schema") {
            return create_database(c, cx, notes).map(Some);
        }
        if c.eat("table") {
            return table::create(c, cx, notes, false).map(Some);
        }
        if c.eat("temporary table") {
            return table::create(c, cx, notes, true).map(Some);
        }
        if c.is("spatial index") {
            return Err(SqlError::unsupported("SPATIAL indexes"));
        }
        if c.eat("fulltext index") {
            return alter::create_index(c, cx, false, true).map(Some);
        }
        let unique = c.eat("unique");
        if c.eat("index") {
            return alter::create_index(c, cx, unique, false).map(Some);
        }
        if unique {
            return Err(c.error());
        }
        if let Some(ddl) = routine::create(c, cx, notes)? {
            return Ok(Some(ddl));
        }
        return view::create(c, cx);
    }
    if c.eat("alter") {
        if c.is("procedure") || c.is("function") {
            return routine::alter(c, cx).map(Some);
        }
        if c.eat("database") || c.eat("schema") {
            return alter_database(c, cx).map(Some);
        }
        if c.eat("table") {
            return alter::alter(c, cx, notes).map(Some);
        }
        return view::alter(c, cx);
    }
    if c.eat("drop") {
        if c.eat("database") || c.eat("schema") {
            return drop_database(c, cx, notes).map(Some);
        }
        let temporary = c.eat("temporary");
        if c.eat("table") || c.eat("tables") {
            return drop_tables(c, cx, notes, temporary).map(Some);
        }
        if temporary {
            return Err(c.error());
        }
        if c.eat("view") {
            return view::drop(c, cx, notes).map(Some);
        }
        if c.eat("index") {
            return alter::drop_index(c, cx).map(Some);
        }
        if c.is("procedure") || c.is("function") || c.is("trigger") {
            return routine::drop(c, cx, notes).map(Some);
        }
        if c.eat("event") {
            return drop_event(c, notes).map(Some);
        }
        return Ok(None);
    }
    if c.eat("rename table") || c.eat("rename tables") {
        return rename::rename(c, cx).map(Some);
    }
    Ok(None)
}

/// There are no events here, so none can be dropped.
fn drop_event(c: &mut Cursor<'_, '_>, notes: &mut Vec<Note>) -> Result<Ddl, SqlError> {
    let if_exists = c.eat("if exists");
    let (_, name) = c.table_name()?;
    let error = SqlError::new(1539, "HY000", format!("Unknown event '{name}'"));
    if !if_exists {
        return Err(error);
    }
    notes.push(note(error));
    Ok(Ddl::default())
}

/// `[[DEFAULT] CHARACTER SET x | COLLATE y | ENCRYPTION 'N'] …`
fn database_options(c: &mut Cursor<'_, '_>) -> Result<Option<p2pdb_model::types::Collation>, SqlError> {
    let mut collation = None;
    loop {
        c.eat("default");
        if c.eat("character set") || c.eat("charset") || c.eat("char set") {
            c.eat_token(&Token::Eq);
            let set = types::column_charset(&c.word_or_string()?)?;
            collation = Some(crate::variables::collation_of_definition(set));
        } else if c.eat("collate") {
            c.eat_token(&Token::Eq);
            collation = Some(crate::variables::collation(&c.word_or_string()?)?);
        } else if c.eat("encryption") {
            c.eat_token(&Token::Eq);
            if !c.string()?.eq_ignore_ascii_case("n") {
                return Err(SqlError::unsupported("ENCRYPTION"));
            }
        } else if c.is("read only") {
            return Err(SqlError::unsupported("READ ONLY databases"));
        } else {
            return Ok(collation);
        }
    }
}

fn create_database(c: &mut Cursor<'_, '_>, cx: &Context<'_>, notes: &mut Vec<Note>) -> Result<Ddl, SqlError> {
    let if_not_exists = c.eat("if not exists");
    let name = c.name()?;
    let collation = database_options(c)?;
    if name.is_empty() || name.ends_with(' ') || name.starts_with('$') {
        return Err(SqlError::new(1102, "42000", format!("Incorrect database name '{name}'")));
    }
    if let Some(name) = virtuals::database_name(&name) {
        return Err(SqlError::database_denied(&cx.session.account, name));
    }
    if cx.catalog.database(&name).is_some() {
        let message = format!("Can't create database '{name}'; database exists");
        let error = SqlError::new(1007, "HY000", message);
        if !if_not_exists {
            return Err(error);
        }
        notes.push(note(error));
        return Ok(Ddl::default());
    }
    let collation = collation.unwrap_or(p2pdb_model::types::Collation::Utf8mb4_0900AiCi);
    let change = SchemaChange::Put {
        id: cx.catalog.new_id(ObjectKind::Database, ObjectId::ROOT, &name),
        kind: ObjectKind::Database,
        parent: ObjectId::ROOT,
        name: Some(name),
        definition: Some(Box::new(Definition::Database(DatabaseDef { collation }))),
        position: None,
        after: None,
    };
    Ok(Ddl { changes: vec![change], affected: 1, ..Ddl::default() })
}

fn alter_database(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Ddl, SqlError> {
    const OPTIONS: [&str; 6] = ["default", "character", "charset", "collate", "encryption", "read"];
    let unnamed = OPTIONS.iter().any(|w| c.is(w));
    let name = if unnamed { cx.database(None)? } else { c.name()? };
    let db = table::database(cx, &name)?;
    let collation = database_options(c)?.unwrap_or(db.def.collation);
    if collation == db.def.collation {
        return Ok(Ddl::default());
    }
    let change = SchemaChange::Put {
        id: db.id,
        kind: ObjectKind::Database,
        parent: ObjectId::ROOT,
        name: None,
        definition: Some(Box::new(Definition::Database(DatabaseDef { collation }))),
        position: None,
        after: None,
    };
    Ok(Ddl { changes: vec![change], ..Ddl::default() })
}

fn drop_database(c: &mut Cursor<'_, '_>, cx: &Context<'_>, notes: &mut Vec<Note>) -> Result<Ddl, SqlError> {
    let if_exists = c.eat("if exists");
    let name = c.name()?;
    if let Some(name) = virtuals::database_name(&name) {
        return Err(SqlError::database_denied(&cx.session.account, name));
    }
    let Some(db) = cx.catalog.database(&name) else {
        let message = format!("Can't drop database '{name}'; database doesn't exist");
        let error = SqlError::new(1008, "HY000", message);
        if !if_exists {
            return Err(error);
        }
        notes.push(note(error));
        return Ok(Ddl::default());
    };
    let tables: Vec<&Table> = db.tables().map(|t| t.as_ref()).collect();
    let mut changes = release_children(cx, &tables)?;
    changes.push(SchemaChange::Drop { id: db.id });
    let affected = (tables.len() + db.views().count()) as u64;
    Ok(Ddl { changes, affected, ..Ddl::default() })
}

/// Tables that go: no foreign key of another table may point at them (3730), unless checks are off; then those keys
/// keep the names of what they pointed at, and hold again when it comes back.
fn release_children(cx: &Context<'_>, going: &[&Table]) -> Result<Vec<SchemaChange>, SqlError> {
    let mut changes = Vec::new();
    for t in going {
        for (child, n) in cx.catalog.referenced_by(t.id) {
            if going.iter().any(|g| g.id == *child) {
                continue;
            }
            let Some(child) = cx.catalog.table_by_id(*child) else { continue };
            let Some(k) = child.foreign_keys.get(*n) else { continue };
            if cx.session.foreign_key_checks {
                let message = format!(
                    "Cannot drop table '{}' referenced by a foreign key constraint '{}' on table '{}'.",
                    t.name, k.name, child.name
                );
                return Err(SqlError::new(3730, "HY000", message));
            }
            let mut def = k.def.clone();
            def.parent_names = crate::schema_text::parent_names(cx.catalog, k);
            (def.parent, def.parent_columns) = (None, Vec::new());
            changes.push(SchemaChange::Put {
                id: k.id,
                kind: ObjectKind::ForeignKey,
                parent: child.id,
                name: None,
                definition: Some(Box::new(Definition::ForeignKey(def))),
                position: None,
                after: None,
            });
        }
    }
    Ok(changes)
}

/// `DROP [TEMPORARY] TABLE`; the words were read. A name means the session's temporary table first.
fn drop_tables(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    notes: &mut Vec<Note>,
    temporary: bool,
) -> Result<Ddl, SqlError> {
    let if_exists = c.eat("if exists");
    let names = c.list(|c| {
        let (db, name) = c.table_name()?;
        Ok((cx.database(db)?, name))
    })?;
    c.eat_one(&["restrict", "cascade"]);
    let mut going: Vec<&Table> = Vec::new();
    let mut missing = Vec::new();
    for (db, name) in &names {
        if virtuals::database_name(db).is_some() {
            return Err(SqlError::database_denied(&cx.session.account, db));
        }
        let found = cx.catalog.table(db, name).filter(|t| !temporary || cx.catalog.is_temporary(t.id));
        match found {
            Some(t) if going.iter().any(|g| g.id == t.id) => {
                return Err(SqlError::new(1066, "42000", format!("Not unique table/alias: '{name}'")));
            }
            Some(t) => going.push(t),
            None => {
                if cx.catalog.database(db).is_none() && !if_exists && !temporary {
                    return Err(SqlError::unknown_database(db));
                }
                missing.push(format!("{db}.{name}"));
            }
        }
    }
    if !missing.is_empty() && !if_exists {
        return Err(SqlError::unknown_table(missing.join(",")));
    }
    notes.extend(missing.into_iter().map(|m| note(SqlError::unknown_table(m))));
    let (own, going): (Vec<&Table>, Vec<&Table>) =
        going.into_iter().partition(|t| cx.catalog.is_temporary(t.id));
    let dropped = |all: &[&Table]| all.iter().map(|t| SchemaChange::Drop { id: t.id }).collect::<Vec<_>>();
    let mut changes = release_children(cx, &going)?;
    changes.extend(dropped(&going));
    Ok(Ddl { changes, temporary: dropped(&own), quiet: temporary, ..Ddl::default() })
}

/// The columns that a stored expression names.
pub fn check_columns(expression: &str) -> Vec<String> {
    match crate::statement::expression_text(expression) {
        Ok(e) => canonical::columns_of(&e),
        Err(_) => Vec::new(),
    }
}

/// An expression of the schema in which columns have other names: what `name` gives for the name of one, if it gives something.
pub fn renamed(expression: &str, name: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let renamed = crate::statement::expression_text(expression).ok().and_then(|mut e| {
        let changed = canonical::rename_columns(&mut e, name);
        changed.then(|| canonical::expression(&e))
    });
    renamed.unwrap_or_else(|| expression.to_owned())
}

/// An expression as MySQL writes it, without the tables of its columns.
pub(crate) fn canonical_text(e: &sqlparser::ast::Expr) -> String {
    canonical::expression(e)
}

/// True when a table or view of this name stands in the database; among temporary tables only, when it is for one.
fn is_taken(db: &Database, name: &str, temporary: bool) -> bool {
    match temporary {
        true => db.temporary_table(name).is_some(),
        false => db.permanent_table(name).is_some() || db.permanent_view(name).is_some(),
    }
}
