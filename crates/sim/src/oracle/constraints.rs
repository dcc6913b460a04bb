//! Visible rows keep the schema's promises: checked here by other code than the engine's.

use std::collections::{BTreeMap, BTreeSet};

use super::Picture;
use crate::plan::Table;

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

pub(super) fn check(picture: &Picture, tables: &[Table]) -> Result<(), String> {
    for promise in PROMISED {
        for name in picture.tables.keys() {
            match promise {
                Promise::Unique => unique(picture, name, tables.iter().find(|t| t.name == *name))?,
                Promise::Reference => references(picture, name)?,
                Promise::NotNull => not_null(picture, name)?,
                Promise::Check => check_clause(picture, name)?,
            }
        }
    }
    Ok(())
}

/// The keys that it has now, and those that it had at the beginning, which nobody drops.
fn unique(picture: &Picture, name: &str, made: Option<&Table>) -> Result<(), String> {
    let live = picture.uniques.iter().filter(|(t, _)| t == name).map(|(_, c)| c.clone());
    let first = made.into_iter().flat_map(|t| t.uniques.iter().chain([&t.key])).cloned();
    let keys: BTreeSet<Vec<String>> = first.chain(live).filter(|k| !k.is_empty()).collect();
    let (_, rows) = &picture.tables[name];
    for key in keys {
        let Some(places) = key.iter().map(|c| picture.column(name, c)).collect::<Option<Vec<usize>>>() else {
            continue;
        };
        let is = |of: &BTreeSet<(String, String)>, c: &String| of.contains(&(name.to_owned(), c.clone()));
        if key.iter().any(|c| is(&picture.opaque, c)) {
            continue;
        }
        let mut seen: BTreeMap<Vec<String>, &Vec<Option<String>>> = BTreeMap::new();
        for row in rows {
            let value = |(c, i): (&String, &usize)| {
                let v = row[*i].as_deref()?;
                Some(if is(&picture.caseless, c) { v.to_lowercase() } else { v.to_owned() })
            };
            let Some(values) = key.iter().zip(&places).map(value).collect::<Option<Vec<_>>>() else {
                continue;
            };
            if let Some(other) = seen.insert(values, row) {
                return Err(format!("{name} ({key:?}) is not unique: {other:?} and {row:?}"));
            }
        }
    }
    Ok(())
}

fn references(picture: &Picture, name: &str) -> Result<(), String> {
    let (_, rows) = &picture.tables[name];
    for (_, columns, parent, target) in picture.references.iter().filter(|(t, ..)| t == name) {
        let Some((_, parents)) = picture.tables.get(parent) else { continue };
        let places = |table: &str, of: &[String]| {
            of.iter().map(|c| picture.column(table, c)).collect::<Option<Vec<usize>>>()
        };
        let (Some(from), Some(to)) = (places(name, columns), places(parent, target)) else { continue };
        let values = |row: &Vec<Option<String>>, of: &[usize]| {
            of.iter().map(|i| row[*i].as_deref().map(str::to_lowercase)).collect::<Option<Vec<_>>>()
        };
        let there: BTreeSet<Vec<String>> = parents.iter().filter_map(|p| values(p, &to)).collect();
        if let Some(row) = rows.iter().find(|r| values(r, &from).is_some_and(|v| !there.contains(&v))) {
            return Err(format!("{name}: {row:?} refers by {columns:?} to nothing"));
        }
    }
    Ok(())
}

fn not_null(picture: &Picture, name: &str) -> Result<(), String> {
    let (columns, rows) = &picture.tables[name];
    for (i, column) in columns.iter().enumerate() {
        if picture.not_null.contains(&(name.to_owned(), column.clone()))
            && let Some(row) = rows.iter().find(|r| r[i].is_none())
        {
            return Err(format!("{name}: {row:?} has NULL in {column}"));
        }
    }
    Ok(())
}

/// Generated checks are all of the form `column <= column or number`.
fn check_clause(picture: &Picture, name: &str) -> Result<(), String> {
    let (_, rows) = &picture.tables[name];
    for (_, left, right) in picture.checks.iter().filter(|(t, ..)| t == name) {
        let number = |row: &Vec<Option<String>>, of: &str| -> Option<i64> {
            match picture.column(name, of) {
                Some(i) => row[i].as_deref()?.parse().ok(),
                None => of.parse().ok(),
            }
        };
        let wrong = |r: &&Vec<Option<String>>| {
            number(r, left).zip(number(r, right)).is_some_and(|(left, right)| left > right)
        };
        if let Some(row) = rows.iter().find(wrong) {
            return Err(format!("{name}: {row:?} breaks CHECK ({left} <= {right})"));
        }
    }
    Ok(())
}
