//! Visible rows keep the schema's promises: checked here by other code than the engine's.

use std::collections::{BTreeMap, BTreeSet};

use super::Picture;
use crate::plan::{Kind, Table};

/// A promise about visible rows, also of merged ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// PRIMARY KEY and UNIQUE.
    Unique,
    /// FOREIGN KEY.
    Reference,
    /// NOT NULL.
    NotNull,
    /// CHECK.
    Check,
}

/// What `docs/merge.md` promises today.
pub const PROMISED: &[Promise] = &[Promise::Unique, Promise::Reference, Promise::NotNull, Promise::Check];

fn folded(value: &str, kind: Option<Kind>) -> String {
    if kind == Some(Kind::Caseless) { value.to_lowercase() } else { value.to_owned() }
}

pub(super) fn check(picture: &Picture, tables: &[Table]) -> Result<(), String> {
    for promise in PROMISED {
        for table in tables.iter().filter(|t| picture.tables.contains_key(&t.name)) {
            match promise {
                Promise::Unique => unique(picture, table)?,
                Promise::Reference => references(picture, table)?,
                Promise::NotNull => not_null(picture, table)?,
                Promise::Check => check_clause(picture, table)?,
            }
        }
    }
    Ok(())
}

fn unique(picture: &Picture, table: &Table) -> Result<(), String> {
    let live = picture.uniques.iter().filter(|(t, _)| *t == table.name).map(|(_, c)| c.clone());
    let mut keys: BTreeSet<Vec<String>> = table.uniques.iter().cloned().chain(live).collect();
    if !table.key.is_empty() {
        keys.insert(table.key.clone());
    }
    let (_, rows) = &picture.tables[&table.name];
    for key in keys {
        let Some(places) = key.iter().map(|c| picture.column(&table.name, c)).collect::<Option<Vec<usize>>>()
        else {
            continue;
        };
        let mut seen: BTreeMap<Vec<String>, &Vec<Option<String>>> = BTreeMap::new();
        for row in rows {
            let value = |(c, i): (&String, &usize)| row[*i].as_deref().map(|v| folded(v, table.kind(c)));
            let Some(values) = key.iter().zip(&places).map(value).collect::<Option<Vec<_>>>() else {
                continue;
            };
            if let Some(other) = seen.insert(values, row) {
                return Err(format!("{} ({key:?}) is not unique: {other:?} and {row:?}", table.name));
            }
        }
    }
    Ok(())
}

fn references(picture: &Picture, table: &Table) -> Result<(), String> {
    let (_, rows) = &picture.tables[&table.name];
    for (_, column, parent, target) in picture.references.iter().filter(|(t, ..)| *t == table.name) {
        let Some((_, parents)) = picture.tables.get(parent) else { continue };
        let (Some(from), Some(to)) = (picture.column(&table.name, column), picture.column(parent, target))
        else {
            continue;
        };
        let there: BTreeSet<&str> = parents.iter().filter_map(|p| p[to].as_deref()).collect();
        if let Some(row) = rows.iter().find(|r| r[from].as_deref().is_some_and(|v| !there.contains(v))) {
            return Err(format!("{}: {row:?} refers by {column} to nothing", table.name));
        }
    }
    Ok(())
}

fn not_null(picture: &Picture, table: &Table) -> Result<(), String> {
    let (columns, rows) = &picture.tables[&table.name];
    for (i, column) in columns.iter().enumerate() {
        if picture.not_null.contains(&(table.name.clone(), column.clone()))
            && let Some(row) = rows.iter().find(|r| r[i].is_none())
        {
            return Err(format!("{}: {row:?} has NULL in {column}", table.name));
        }
    }
    Ok(())
}

/// Generated checks are all of the form `column <= column or number`.
fn check_clause(picture: &Picture, table: &Table) -> Result<(), String> {
    let (_, rows) = &picture.tables[&table.name];
    for (_, left, right) in picture.checks.iter().filter(|(t, ..)| *t == table.name) {
        let number = |row: &Vec<Option<String>>, of: &str| -> Option<i64> {
            match picture.column(&table.name, of) {
                Some(i) => row[i].as_deref()?.parse().ok(),
                None => of.parse().ok(),
            }
        };
        let wrong = |r: &&Vec<Option<String>>| {
            number(r, left).zip(number(r, right)).is_some_and(|(left, right)| left > right)
        };
        if let Some(row) = rows.iter().find(wrong) {
            return Err(format!("{}: {row:?} breaks CHECK ({left} <= {right})", table.name));
        }
    }
    Ok(())
}
