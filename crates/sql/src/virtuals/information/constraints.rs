//! Keys, references and CHECKs.

use p2pdb_model::Value;
use p2pdb_model::Value::Null;
use p2pdb_model::catalog::Column;

use super::Ty::{Count, Enum, Long, Text};
use super::objects::sorted;
use crate::schema_text as show;
use crate::virtuals::{Col, Cx, Row, count, maybe, text};

pub(super) const KEY_COLUMN_USAGE: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), false),
    ("TABLE_CATALOG", Text(64), true),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("COLUMN_NAME", Text(64), false),
    ("ORDINAL_POSITION", Count, true),
    ("POSITION_IN_UNIQUE_CONSTRAINT", Count, false),
    ("REFERENCED_TABLE_SCHEMA", Text(64), false),
    ("REFERENCED_TABLE_NAME", Text(64), false),
    ("REFERENCED_COLUMN_NAME", Text(64), false),
];

pub(super) fn key_column_usage(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for t in sorted(cx) {
        let row = |constraint: &str, c: &Column, n: usize, parent: [Value; 4]| {
            let mut row = vec![text("def"), text(&t.database), text(constraint)];
            row.extend([text("def"), text(&t.database), text(&t.name), text(&c.name), count(n as u64 + 1)]);
            row.extend(parent);
            row
        };
        for i in show::sorted_indexes(t).into_iter().filter(|i| i.def.unique) {
            for (n, part) in i.def.parts.iter().enumerate() {
                if let Some(c) = t.column_by_tag(part.column).filter(|c| !c.is_hidden()) {
                    all.push(row(&i.name, c, n, [Null, Null, Null, Null]));
                }
            }
        }
        for k in &t.foreign_keys {
            let Some((db, parent, columns)) = show::parent_names(cx.catalog, k) else { continue };
            for (n, (tag, referenced)) in k.def.columns.iter().zip(columns).enumerate() {
                if let Some(c) = t.column_by_tag(*tag) {
                    let parent = [count(n as u64 + 1), text(&db), text(&parent), text(referenced)];
                    all.push(row(&k.name, c, n, parent));
                }
            }
        }
    }
    all
}

const RULES: &[&str] = &["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"];

pub(super) const REFERENTIAL: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), false),
    ("UNIQUE_CONSTRAINT_CATALOG", Text(64), true),
    ("UNIQUE_CONSTRAINT_SCHEMA", Text(64), true),
    ("UNIQUE_CONSTRAINT_NAME", Text(64), false),
    ("MATCH_OPTION", Enum(&["NONE", "PARTIAL", "FULL"]), true),
    ("UPDATE_RULE", Enum(RULES), true),
    ("DELETE_RULE", Enum(RULES), true),
    ("TABLE_NAME", Text(64), true),
    ("REFERENCED_TABLE_NAME", Text(64), true),
];

pub(super) fn referential(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for t in sorted(cx) {
        for k in &t.foreign_keys {
            let Some((db, parent, _)) = show::parent_names(cx.catalog, k) else { continue };
            let unique = k.parent.as_ref().and_then(|(id, tags)| {
                let parent = cx.catalog.table_by_id(*id)?;
                let same = |i: &&p2pdb_model::catalog::Index| {
                    i.def.unique && i.def.parts.iter().map(|p| p.column).eq(tags.iter().copied())
                };
                parent.indexes.iter().find(same).map(|i| i.name.clone())
            });
            all.push(vec![
                text("def"),
                text(&t.database),
                text(&k.name),
                text("def"),
                text(db),
                maybe(unique),
                text("NONE"),
                text(show::action(k.def.on_update)),
                text(show::action(k.def.on_delete)),
                text(&t.name),
                text(parent),
            ]);
        }
    }
    all
}

pub(super) const TABLE_CONSTRAINTS: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), false),
    ("TABLE_SCHEMA", Text(64), true),
    ("TABLE_NAME", Text(64), true),
    ("CONSTRAINT_TYPE", Text(11), true),
    ("ENFORCED", Text(3), true),
];

pub(super) fn table_constraints(cx: &Cx<'_>) -> Vec<Row> {
    let mut all = Vec::new();
    for t in sorted(cx) {
        let mut push = |name: &str, kind: &str, enforced: bool| {
            let mut row = vec![text("def"), text(&t.database), text(name), text(&t.database), text(&t.name)];
            row.extend([text(kind), text(if enforced { "YES" } else { "NO" })]);
            all.push(row);
        };
        for i in show::sorted_indexes(t).into_iter().filter(|i| i.def.unique) {
            push(&i.name, if i.name == "PRIMARY" { "PRIMARY KEY" } else { "UNIQUE" }, true);
        }
        t.foreign_keys.iter().for_each(|k| push(&k.name, "FOREIGN KEY", true));
        t.checks.iter().for_each(|k| push(&k.name, "CHECK", k.def.enforced));
    }
    all
}

pub(super) const CHECK_CONSTRAINTS: &[Col] = &[
    ("CONSTRAINT_CATALOG", Text(64), true),
    ("CONSTRAINT_SCHEMA", Text(64), true),
    ("CONSTRAINT_NAME", Text(64), true),
    ("CHECK_CLAUSE", Long, true),
];

pub(super) fn check_constraints(cx: &Cx<'_>) -> Vec<Row> {
    let checks = sorted(cx).into_iter().flat_map(|t| t.checks.iter().map(move |k| (t, k)));
    checks
        .map(|(t, k)| {
            vec![text("def"), text(&t.database), text(&k.name), text(show::escaped(&k.def.expression))]
        })
        .collect()
}
