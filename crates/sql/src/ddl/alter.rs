//! ALTER TABLE, CREATE INDEX, DROP INDEX: actions on a draft, in MySQL's order (drops, columns, keys, options, name),
//! and the queries that say whether the present rows allow them.
//!
//! DDL writes no rows to the log: when a column changes its type, the statement only looks whether the present values
//! can be converted, and every node converts what the log holds ([`conversion`]).

use p2pdb_model::catalog::{Column, Table, physical_column, same_name};
use p2pdb_model::schema::*;
use p2pdb_model::types::{Collation, SqlType};
use p2pdb_model::{CellKind, ColumnTag};
use sqlparser::tokenizer::Token;

use super::column::{self, CheckSpec, ColumnSpec, Under};
use super::conversion;
use super::draft::{Draft, Part};
use super::keys::{ForeignKeySpec, IndexSpec};
use super::numbered;
use super::reseal::{self, Resealed};
use super::table::{self, Element, Options};
use crate::error::SqlError;
use crate::plan::{ColumnTarget, Ddl, Note};
use crate::schema_text::column_type;
use crate::session::SqlMode;
use crate::statement::{Context, Cursor};
use crate::zone::Zone;

mod once;

#[derive(Debug)]
enum Place {
    First,
    After(String),
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
enum Action {
    Add(Element, Option<Place>),
    Change(String, String, Box<ColumnSpec>, Option<Place>),
    RenameColumn(String, String),
    SetDefault(String, Option<DefaultValue>),
    Visible(String, bool),
    DropColumn(String),
    DropIndex(String),
    DropPrimary,
    DropForeignKey(String),
    DropCheck(String),
    DropConstraint(String),
    AlterIndex(String, bool),
    AlterCheck(String, bool),
    RenameIndex(String, String),
    Rename(Option<String>, String),
    Options(Options),
}

/// ALTER TABLE; `ALTER TABLE` was read.
pub fn alter(c: &mut Cursor<'_, '_>, cx: &Context<'_>, notes: &mut Vec<Note>) -> Result<Ddl, SqlError> {
    let (db, name) = c.table_name()?;
    let db = cx.database(db)?;
    let t = base_table(cx, &db, &name)?;
    let under = Under { collation: t.def.collation, mode: cx.session.sql_mode };
    let mut actions = Vec::new();
    if c.is("partition by") {
        return Err(SqlError::unsupported("partitions"));
    }
    if !c.at_end() {
        loop {
            action(c, t, under, &mut actions, notes)?;
            if !c.eat_token(&Token::Comma) {
                break;
            }
        }
    }
    if c.is("partition") || c.is("remove partitioning") {
        return Err(SqlError::unsupported("partitions"));
    }
    run(cx, t, actions)
}

/// The base table of this name.
///
/// # Errors
/// 1146, 1049, 1347 for a view, 1044 for virtual tables.
pub fn base_table<'c>(cx: &Context<'c>, db: &str, name: &str) -> Result<&'c Table, SqlError> {
    let database = table::database(cx, db)?;
    if database.view(name).is_some() {
        return Err(SqlError::new(1347, "HY000", format!("'{db}.{name}' is not BASE TABLE")));
    }
    database.table(name).map(|t| t.as_ref()).ok_or_else(|| SqlError::no_table(db, name))
}

/// `CREATE [UNIQUE | FULLTEXT] INDEX`; the words up to INDEX were read.
pub fn create_index(
    c: &mut Cursor<'_, '_>,
    cx: &Context<'_>,
    unique: bool,
    fulltext: bool,
) -> Result<Ddl, SqlError> {
    let mut spec = IndexSpec { name: Some(c.name()?), unique, fulltext, ..IndexSpec::default() };
    super::keys::index_type(c)?;
    c.expect("on")?;
    let (db, name) = c.table_name()?;
    let t = base_table(cx, &cx.database(db)?, &name)?;
    spec.parts = super::keys::parts(c)?;
    super::keys::index_options(c, &mut spec)?;
    algorithm_and_lock(c)?;
    run(cx, t, vec![Action::Add(Element::Index(spec), None)])
}

/// `DROP INDEX`; the words were read.
pub fn drop_index(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Ddl, SqlError> {
    let index = c.name()?;
    c.expect("on")?;
    let (db, name) = c.table_name()?;
    let t = base_table(cx, &cx.database(db)?, &name)?;
    algorithm_and_lock(c)?;
    let action = if same_name(&index, "PRIMARY") { Action::DropPrimary } else { Action::DropIndex(index) };
    run(cx, t, vec![action])
}

fn algorithm_and_lock(c: &mut Cursor<'_, '_>) -> Result<bool, SqlError> {
    let mut any = false;
    while c.eat("algorithm") || c.eat("lock") {
        c.eat_token(&Token::Eq);
        c.word_or_string()?;
        any = true;
    }
    Ok(any)
}

fn place(c: &mut Cursor<'_, '_>) -> Result<Option<Place>, SqlError> {
    if c.eat("first") {
        return Ok(Some(Place::First));
    }
    if c.eat("after") {
        return Ok(Some(Place::After(c.name()?)));
    }
    Ok(None)
}

fn action(
    c: &mut Cursor<'_, '_>,
    t: &Table,
    under: Under,
    out: &mut Vec<Action>,
    notes: &mut Vec<Note>,
) -> Result<(), SqlError> {
    if c.eat("add") {
        return add(c, under, out, notes);
    }
    if c.eat("modify") {
        c.eat("column");
        let name = c.name()?;
        let spec = column::read(c, &name, under, notes)?;
        out.push(Action::Change(name.clone(), name, Box::new(spec), place(c)?));
    } else if c.eat("change") {
        c.eat("column");
        let (old, new) = (c.name()?, c.name()?);
        table::column_name_ok(&new)?;
        let spec = column::read(c, &new, under, notes)?;
        out.push(Action::Change(old, new, Box::new(spec), place(c)?));
    } else if c.eat("drop") {
        out.push(drop(c)?);
    } else if c.eat("alter") {
        out.push(alter_part(c, t, under)?);
    } else if c.eat("rename") {
        if c.eat("column") {
            let old = c.name()?;
            c.expect("to")?;
            let new = c.name()?;
            table::column_name_ok(&new)?;
            out.push(Action::RenameColumn(old, new));
        } else if c.eat("index") || c.eat("key") {
            let old = c.name()?;
            c.expect("to")?;
            out.push(Action::RenameIndex(old, c.name()?));
        } else {
            if !c.eat("to") && !c.eat("as") {
                c.eat_token(&Token::Eq);
            }
            let (db, name) = c.table_name()?;
            out.push(Action::Rename(db, name));
        }
    } else if c.eat("convert to") {
        let mut options = Options { convert: true, ..Options::default() };
        options.collation = super::types::collation_clause(c)?.0;
        if options.collation.is_none() {
            return Err(c.error());
        }
        out.push(Action::Options(options));
    } else if algorithm_and_lock(c)? || c.eat("force") || c.eat("enable keys") || c.eat("disable keys") {
        // Nothing to choose here.
    } else if c.eat("order by") {
        c.list(|c| {
            c.name()?;
            c.eat_one(&["asc", "desc"]);
            Ok(())
        })?;
    } else if c.eat("with validation") || c.eat("without validation") {
    } else {
        let mut options = Options::default();
        let mut any = false;
        while table::option(c, &t.name, &mut options, notes)? {
            any = true;
        }
        if !any {
            const REFUSED: [&str; 4] = ["discard", "import", "exchange", "upgrade"];
            return Err(match REFUSED.iter().find(|w| c.is(w)) {
                Some(w) => SqlError::unsupported(format!("ALTER TABLE … {}", w.to_uppercase())),
                None => c.error(),
            });
        }
        out.push(Action::Options(options));
    }
    Ok(())
}

fn add(
    c: &mut Cursor<'_, '_>,
    under: Under,
    out: &mut Vec<Action>,
    notes: &mut Vec<Note>,
) -> Result<(), SqlError> {
    if c.is("partition") {
        return Err(SqlError::unsupported("partitions"));
    }
    if !c.is("column")
        && let Some(key) = table::key_element(c)?
    {
        out.push(Action::Add(key, None));
        return Ok(());
    }
    c.eat("column");
    let mut one = |c: &mut Cursor<'_, '_>, placed: bool| {
        if placed || c.at_name() {
            let name = c.name()?;
            table::column_name_ok(&name)?;
            let spec = column::read(c, &name, under, notes)?;
            let place = if placed { place(c)? } else { None };
            out.push(Action::Add(Element::Column(name, Box::new(spec)), place));
            return Ok(());
        }
        let key = table::key_element(c)?.ok_or_else(|| c.error())?;
        out.push(Action::Add(key, None));
        Ok(())
    };
    if c.token(0) == &Token::LParen {
        c.parenthesized(|c| one(c, false))?;
        return Ok(());
    }
    one(c, true)
}

fn drop(c: &mut Cursor<'_, '_>) -> Result<Action, SqlError> {
    if c.eat("primary key") {
        return Ok(Action::DropPrimary);
    }
    if c.eat("foreign key") {
        return Ok(Action::DropForeignKey(c.name()?));
    }
    if c.eat("index") || c.eat("key") {
        let name = c.name()?;
        return Ok(if same_name(&name, "PRIMARY") { Action::DropPrimary } else { Action::DropIndex(name) });
    }
    if c.eat("check") {
        return Ok(Action::DropCheck(c.name()?));
    }
    if c.eat("constraint") {
        return Ok(Action::DropConstraint(c.name()?));
    }
    if c.is("partition") {
        return Err(SqlError::unsupported("partitions"));
    }
    c.eat("column");
    let name = c.name()?;
    c.eat_one(&["restrict", "cascade"]);
    Ok(Action::DropColumn(name))
}

fn alter_part(c: &mut Cursor<'_, '_>, t: &Table, under: Under) -> Result<Action, SqlError> {
    if c.eat("index") {
        let name = c.name()?;
        let invisible = c.eat_one(&["invisible", "visible"]).ok_or_else(|| c.error())? == "invisible";
        return Ok(Action::AlterIndex(name, invisible));
    }
    if c.eat("check") || c.eat("constraint") {
        let name = c.name()?;
        let enforced = c.eat_one(&["not enforced", "enforced"]).ok_or_else(|| c.error())? == "enforced";
        return Ok(Action::AlterCheck(name, enforced));
    }
    c.eat("column");
    let name = c.name()?;
    if c.eat("drop default") {
        return Ok(Action::SetDefault(name, None));
    }
    c.expect("set")?;
    if let Some(word) = c.eat_one(&["visible", "invisible"]) {
        return Ok(Action::Visible(name, word == "visible"));
    }
    c.expect("default")?;
    let known = t.column(&name).ok_or_else(|| SqlError::unknown_column(&name, &t.name))?;
    let value = column::default(c, &name, &known.def.ty, under.mode)?;
    if value == DefaultValue::Null && !known.def.nullable {
        return Err(SqlError::invalid_default(name));
    }
    Ok(Action::SetDefault(name, Some(value)))
}

fn run(cx: &Context<'_>, t: &Table, actions: Vec<Action>) -> Result<Ddl, SqlError> {
    let db = table::database(cx, &t.database)?;
    once::each_once(t, &actions)?;
    let mut draft = Draft::of(cx.catalog, db.id, t);
    let mut checks = Vec::new();
    let mut indexes: Vec<IndexSpec> = Vec::new();
    let mut foreign_keys: Vec<ForeignKeySpec> = Vec::new();
    let mut new_checks: Vec<CheckSpec> = Vec::new();
    let mut rename = None;
    let mut resealed = None;
    let counts = !matches!(actions.as_slice(), [Action::Rename(..)]);
    let alone = actions.len() == 1;
    let (drops, rest): (Vec<_>, Vec<_>) = actions.into_iter().partition(|a| {
        use Action::*;
        matches!(
            a,
            DropForeignKey(_) | DropCheck(_) | DropConstraint(_) | DropIndex(_) | DropPrimary | DropColumn(_)
        )
    });
    // Foreign keys and checks first: columns and indexes may go once they are gone.
    let (keys, mut others): (Vec<_>, Vec<_>) = drops.into_iter().partition(|a| {
        matches!(a, Action::DropForeignKey(_) | Action::DropCheck(_) | Action::DropConstraint(_))
    });
    // Indexes before the columns that their expressions name, generated columns before those that theirs do.
    others.sort_by_key(|a| {
        let generated = |n: &String| t.column(n).is_some_and(|c| c.def.generated.is_some());
        match a {
            Action::DropIndex(_) => 0,
            Action::DropColumn(n) if generated(n) => 1,
            _ => 2,
        }
    });
    for a in keys.into_iter().chain(others) {
        drop_part(&mut draft, a)?;
    }
    rename_columns(&mut draft, &rest)?;
    for a in rest {
        match a {
            Action::Add(Element::Column(name, spec), place) => {
                let at = position(&draft, place.as_ref())?;
                if spec.def.is_sealed() && !spec.def.nullable {
                    return Err(SqlError::unsupported("ALTER TABLE: a new column [sealed] and NOT NULL"));
                }
                not_filled(cx, (t, draft.temporary), &name, &spec, &mut checks);
                table::add_column(&mut draft, name, *spec, at, &mut indexes, &mut new_checks)?;
            }
            Action::Add(Element::Index(spec), _) => indexes.push(spec),
            Action::Add(Element::ForeignKey(spec), _) => foreign_keys.push(spec),
            Action::Add(Element::Check(spec), _) => new_checks.push(spec),
            Action::Change(_, new, spec, place) => {
                change(cx, &mut draft, t, &new, &spec, (&mut checks, &mut resealed))?;
                if let Some(place) = place {
                    move_column(&mut draft, &new, &place)?;
                }
                if resealed.is_some() && (!alone || spec.primary || spec.unique || !spec.checks.is_empty()) {
                    let what = "ALTER TABLE that seals or opens a column, and does something else";
                    return Err(SqlError::unsupported(what));
                }
                for primary in [true, false] {
                    if (primary && spec.primary) || (!primary && spec.unique) {
                        let part = super::draft::KeyPart::of(&new);
                        indexes.push(IndexSpec {
                            unique: true,
                            primary,
                            parts: vec![part],
                            ..IndexSpec::default()
                        });
                    }
                }
                new_checks.extend(spec.checks);
            }
            Action::SetDefault(name, value) => {
                let table = draft.name.clone();
                let at = draft.column(&name).ok_or_else(|| SqlError::unknown_column(&name, table))?;
                if draft.columns[at].def.generated.is_some() {
                    let message = "Incorrect usage of DEFAULT and generated column";
                    return Err(SqlError::new(1221, "HY000", message));
                }
                let def = &mut draft.columns[at].def;
                // A column that takes no NULL has nothing else to fall back on.
                def.default = value.or_else(|| def.nullable.then_some(DefaultValue::Nothing));
            }
            Action::Visible(name, visible) => {
                let table = draft.name.clone();
                let at = draft.column(&name).ok_or_else(|| SqlError::unknown_column(&name, table))?;
                draft.columns[at].def.invisible = !visible;
            }
            Action::AlterIndex(name, invisible) => {
                let at = draft.index(&name).ok_or_else(|| no_key(&name, &draft.name))?;
                if draft.indexes[at].name == "PRIMARY" && invisible {
                    return Err(SqlError::new(3522, "HY000", "A primary key index cannot be invisible"));
                }
                draft.indexes[at].def.invisible = invisible;
            }
            Action::AlterCheck(name, enforced) => {
                let found = draft.checks.iter_mut().find(|k| same_name(&k.name, &name));
                let k = found.ok_or_else(|| no_check(&name))?;
                k.def.enforced = enforced;
            }
            Action::RenameIndex(old, new) => {
                let at = draft.index(&old).ok_or_else(|| no_key(&old, &draft.name))?;
                if draft.index(&new).is_some_and(|other| other != at) {
                    return Err(SqlError::duplicate_key_name(new));
                }
                if [&old, &new].iter().any(|n| same_name(n, "PRIMARY")) {
                    return Err(SqlError::new(1280, "42000", "Incorrect index name 'PRIMARY'"));
                }
                draft.indexes[at].name = new;
            }
            Action::Rename(db, name) => rename = Some((db, name)),
            Action::Options(options) => apply(&mut draft, options)?,
            _ => {}
        }
    }
    for spec in indexes {
        table::add_index(&mut draft, spec)?;
    }
    for spec in foreign_keys {
        draft.add_foreign_key(cx, spec)?;
    }
    for spec in new_checks {
        draft.add_check(cx, spec)?;
    }
    draft.validate()?;
    still_indexed(&draft, t)?;
    still_comparable(cx, &draft, t)?;
    let numbered = numbered::part(cx, &mut draft, t)?;
    data_checks(cx, &draft, t, &mut checks)?;
    if let Some((db, name)) = rename {
        super::rename_draft(cx, &mut draft, db, &name)?;
    }
    let copied = copies(&draft, t).then(|| format!("SELECT count(*) FROM {}", t.physical()));
    let (changes, temporary) = match draft.temporary {
        true => (Vec::new(), draft.changes()),
        false => (draft.changes(), Vec::new()),
    };
    let mut then = resealed.map_or_else(Vec::new, |resealed| reseal::then(&draft, &resealed));
    then.extend(numbered.map(|n| n.then(&draft)).transpose()?.into_iter().flatten());
    let whole = (!changes.is_empty()).then_some((t.id, cx.session.foreign_key_checks));
    Ok(Ddl { changes, temporary, checks, counts, copied, then, whole, ..Ddl::default() })
}

/// Rows that are there would need a value that only a statement can make.
fn not_filled(
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
        Some(default @ DefaultValue::Expression(_)) => super::defaults::literal_of(default).is_none(),
        _ => false,
    };
    if varies || spec.def.auto_increment && temporary {
        let what = if varies { "a default that is not constant" } else { "AUTO_INCREMENT" };
        let what = format!("ADD COLUMN {name} with {what} in a table that has rows");
        checks.push((any_row, SqlError::unsupported(what)));
    }
}

fn position(draft: &Draft<'_>, place: Option<&Place>) -> Result<Option<usize>, SqlError> {
    match place {
        None => Ok(None),
        Some(Place::First) => Ok(Some(0)),
        Some(Place::After(name)) => {
            let at = draft.column(name).ok_or_else(|| SqlError::unknown_column(name, &draft.name))?;
            Ok(Some(at + 1))
        }
    }
}

fn move_column(draft: &mut Draft<'_>, name: &str, place: &Place) -> Result<(), SqlError> {
    let Some(from) = draft.column(name) else { return Ok(()) };
    let column = draft.columns.remove(from);
    match position(draft, Some(place)) {
        Ok(at) => {
            let at = at.unwrap_or(draft.columns.len());
            draft.columns.insert(at, column);
            if at != from {
                draft.place(at);
            }
            Ok(())
        }
        Err(e) => Err(e),
    }
}

fn no_key(name: &str, table: &str) -> SqlError {
    SqlError::new(1176, "42000", format!("Key '{name}' doesn't exist in table '{table}'"))
}

fn no_check(name: &str) -> SqlError {
    SqlError::new(3821, "HY000", format!("Check constraint '{name}' is not found in the table."))
}

fn drop_part(draft: &mut Draft<'_>, action: Action) -> Result<(), SqlError> {
    match action {
        Action::DropColumn(name) => draft.drop_column(&name),
        Action::DropPrimary => {
            let at = draft.index("PRIMARY").ok_or_else(|| SqlError::cannot_drop("PRIMARY"))?;
            draft.indexes.remove(at);
            draft.drop_unused_hidden();
            Ok(())
        }
        Action::DropIndex(name) => {
            let at = draft.index(&name).ok_or_else(|| SqlError::cannot_drop(&name))?;
            draft.indexes.remove(at);
            draft.drop_unused_hidden();
            Ok(())
        }
        Action::DropForeignKey(name) => {
            let at = draft.foreign_keys.iter().position(|k| same_name(&k.name, &name));
            draft.foreign_keys.remove(at.ok_or_else(|| SqlError::cannot_drop(&name))?);
            Ok(())
        }
        Action::DropCheck(name) => {
            let at = draft.checks.iter().position(|k| same_name(&k.name, &name));
            draft.checks.remove(at.ok_or_else(|| no_check(&name))?);
            Ok(())
        }
        Action::DropConstraint(name) => {
            if let Some(at) = draft.foreign_keys.iter().position(|k| same_name(&k.name, &name)) {
                draft.foreign_keys.remove(at);
            } else if let Some(at) = draft.checks.iter().position(|k| same_name(&k.name, &name)) {
                draft.checks.remove(at);
            } else if let Some(at) = draft.index(&name).filter(|at| draft.indexes[*at].def.unique) {
                draft.indexes.remove(at);
                draft.drop_unused_hidden();
            } else {
                return Err(SqlError::new(3940, "HY000", format!("Constraint '{name}' does not exist.")));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Gives columns their new names, all at once: two may change places.
fn rename_columns(draft: &mut Draft<'_>, actions: &[Action]) -> Result<(), SqlError> {
    let mut renamed: Vec<(usize, &str)> = Vec::new();
    for action in actions {
        let (Action::Change(old, new, ..) | Action::RenameColumn(old, new)) = action else { continue };
        let at = draft.column(old).ok_or_else(|| SqlError::unknown_column(old, &draft.name))?;
        if draft.columns[at].name != *new {
            draft.not_checked(old)?;
            draft.not_generating(old)?;
            renamed.push((at, new));
        }
    }
    for (at, new) in &renamed {
        (*new).clone_into(&mut draft.columns[*at].name);
    }
    match renamed.iter().find(|(at, new)| {
        draft.columns.iter().enumerate().any(|(other, c)| other != *at && same_name(&c.name, new))
    }) {
        Some((_, new)) => Err(SqlError::duplicate_column(new)),
        None => Ok(()),
    }
}

/// MODIFY and CHANGE.
fn change(
    cx: &Context<'_>,
    draft: &mut Draft<'_>,
    t: &Table,
    new: &str,
    spec: &ColumnSpec,
    (checks, resealed): (&mut Vec<(String, SqlError)>, &mut Option<Resealed>),
) -> Result<(), SqlError> {
    let Some(at) = draft.column(new) else { return Ok(()) };
    let id = draft.columns[at].id;
    let def = spec.def.clone();
    let was = t.columns.iter().find(|c| c.id == id);
    super::generated::stays(was, new, &def)?;
    if let Some(was) = was.filter(|was| was.is_sealed() != def.is_sealed()) {
        *resealed = Some(reseal::replace(cx, draft, t, (was, at), def, checks)?);
        return Ok(());
    }
    if let Some(was) = was.filter(|w| w.def.generated.is_none() && def.generated.is_none()) {
        if let Some((value, query)) = convert(cx, t, was, new, &def.ty)? {
            // Fails by itself.
            checks.push((query, SqlError::new(1265, "01000", "Data truncated")));
            draft.converted.push((id.tag(), value));
        }
        if was.def.nullable && !def.nullable {
            let sql = format!("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", t.physical(), was.physical());
            checks.push((sql, SqlError::new(1138, "22004", "Invalid use of NULL value")));
        }
    }
    let owns = CellKind::of(&def.ty, &def.comment) == CellKind::Owner;
    if was.is_some_and(|was| (was.cell_kind() == CellKind::Owner) != owns) {
        return Err(SqlError::unsupported("[owner] for, or no more for, a column that is there"));
    }
    if was.is_some_and(|was| was.is_sealed() && was.def.ty != def.ty) {
        return Err(SqlError::unsupported("another type for a sealed column"));
    }
    if let Some(was) = was {
        let converted = draft.converted.iter().rev().find(|(tag, _)| *tag == id.tag());
        let value = converted.map_or_else(|| was.physical(), |(_, value)| value.clone());
        tagged(t, (was, &value), new, &def, checks);
    }
    draft.columns[at].def = def;
    Ok(())
}

/// A column that becomes a `[set]` or `[map]` holds arrays, or objects, so far. `value`: the SQL of what it holds, in the
/// new type.
fn tagged(
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
fn convert(
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
fn copies(draft: &Draft<'_>, t: &Table) -> bool {
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

fn apply(draft: &mut Draft<'_>, options: Options) -> Result<(), SqlError> {
    if let Some(collation) = options.collation.filter(|_| options.convert) {
        if collation == Collation::Binary {
            return Err(SqlError::unsupported("CONVERT TO CHARACTER SET binary"));
        }
        for c in &mut draft.columns {
            if let Some(own) = c.def.ty.collation_mut() {
                *own = collation;
                c.def.collation_given = false;
            }
        }
    }
    let before = draft.def.collation;
    options.apply(&mut draft.def);
    if draft.def.collation != before {
        // What the columns took from the table is theirs from now on, as SHOW CREATE TABLE then says.
        let kept = draft.columns.iter_mut().filter(|c| c.def.ty.collation() == Some(before));
        kept.for_each(|c| c.def.collation_given = true);
    }
    Ok(())
}

/// Columns that foreign keys join are still of one type.
fn still_comparable(cx: &Context<'_>, draft: &Draft<'_>, t: &Table) -> Result<(), SqlError> {
    let changed = |tag: ColumnTag| {
        let (was, is) = (t.column_by_tag(tag), draft.by_tag(tag));
        was.zip(is).filter(|(was, is)| was.def.ty != is.def.ty).map(|(_, is)| (&is.def.ty, &is.name))
    };
    let check = |child: (&SqlType, &String), parent: (&SqlType, &String), key: &str| {
        let text = child.0.collation().is_some() && parent.0.collation().is_some();
        if super::keys::comparable(child.0, parent.0) || text && !cx.session.foreign_key_checks {
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
fn still_indexed(draft: &Draft<'_>, t: &Table) -> Result<(), SqlError> {
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

fn data_checks(
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
