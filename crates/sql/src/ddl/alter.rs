//! ALTER TABLE, CREATE INDEX, DROP INDEX: actions on a draft, in MySQL's order (drops, columns, keys, options, name);
//! whether the rows that are there allow them says [`present`].
//!
//! DDL writes no rows to the log: when a column changes its type, the statement only looks whether the present values
//! can be converted, and every node converts what the log holds ([`super::conversion`]).

use p2pdb_model::CellKind;
use p2pdb_model::catalog::{Table, same_name};
use p2pdb_model::schema::*;
use p2pdb_model::types::Collation;
use sqlparser::tokenizer::Token;

use super::column::{self, CheckSpec, ColumnSpec, Under};
use super::draft::Draft;
use super::keys::{ForeignKeySpec, IndexSpec};
use super::numbered;
use super::reseal::{self, Resealed};
use super::table::{self, Element, Options};
use crate::error::SqlError;
use crate::plan::{Ddl, Note};
use crate::statement::{Context, Cursor};

mod once;
mod present;

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
                present::not_filled(cx, (t, draft.temporary), &name, &spec, &mut checks);
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
    present::still_indexed(&draft, t)?;
    present::still_comparable(cx, &draft, t)?;
    let numbered = numbered::part(cx, &mut draft, t)?;
    present::data_checks(cx, &draft, t, &mut checks)?;
    if let Some((db, name)) = rename {
        super::rename_draft(cx, &mut draft, db, &name)?;
    }
    let copied = present::copies(&draft, t).then(|| format!("SELECT count(*) FROM {}", t.physical()));
    let (changes, temporary) = match draft.temporary {
        true => (Vec::new(), draft.changes()),
        false => (draft.changes(), Vec::new()),
    };
    let mut then = resealed.map_or_else(Vec::new, |resealed| reseal::then(&draft, &resealed));
    then.extend(numbered.map(|n| n.then(&draft)).transpose()?.into_iter().flatten());
    let whole = (!changes.is_empty()).then_some((t.id, cx.session.foreign_key_checks));
    Ok(Ddl { changes, temporary, checks, counts, copied, then, whole, ..Ddl::default() })
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
        if let Some((value, query)) = present::convert(cx, t, was, new, &def.ty)? {
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
        present::tagged(t, (was, &value), new, &def, checks);
    }
    draft.columns[at].def = def;
    Ok(())
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
