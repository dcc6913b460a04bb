//! The temporary tables of one session: what CREATE TEMPORARY TABLE and ALTER TABLE make of them.
//!
//! They are changed by the same [`SchemaChange`]s as tables of the catalog, but one after the other, by one session, in
//! one place: nothing is merged. Names of other sessions' tables mean nothing here; the same name may stand for a
//! permanent table, which is hidden meanwhile ([`Catalog::with_temporary`]).

use std::sync::Arc;

use crate::catalog::{Catalog, Check, Column, ForeignKey, Index, Table};
use crate::change::SchemaChange;
use crate::ids::ObjectId;
use crate::schema::Definition;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct TemporaryTables(Vec<Arc<Table>>);

/// What changes made of a table.
#[derive(Clone, Debug)]
pub struct Altered {
    /// As it was; `None`: it is new.
    pub before: Option<Arc<Table>>,
    /// As it is now; `None`: it is gone.
    pub after: Option<Arc<Table>>,
}

impl TemporaryTables {
    /// All of them, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies a statement's changes; `catalog` knows the databases. Gives each table that is another now.
    pub fn apply(&mut self, changes: &[SchemaChange], catalog: &Catalog) -> Vec<Altered> {
        let before = self.0.clone();
        for change in changes {
            match change {
                SchemaChange::Put { id, parent, name, definition, position, .. } => {
                    let (name, definition) = (name.as_deref(), definition.as_deref());
                    match self.0.iter_mut().find(|t| t.id == *id || t.id == *parent) {
                        Some(t) if t.id == *id => {
                            let t = Arc::make_mut(t);
                            if let Some(db) = database(catalog, *parent) {
                                t.database = db;
                            }
                            put(&mut t.name, &mut t.def, name, definition, |d| match d {
                                Definition::Table(d) => Some(d.clone()),
                                _ => None,
                            });
                        }
                        Some(t) => Arc::make_mut(t).put_part(*id, name, definition, *position),
                        None => {
                            if let (Some(Definition::Table(def)), Some(name), Some(db)) =
                                (definition, name, database(catalog, *parent))
                            {
                                self.0.push(Arc::new(Table::empty(*id, db, name.to_owned(), def.clone())));
                            }
                        }
                    }
                }
                SchemaChange::Drop { id } => {
                    self.0.retain(|t| t.id != *id);
                    for t in &mut self.0 {
                        if t.has_part(*id) {
                            Arc::make_mut(t).drop_part(*id);
                        }
                    }
                }
            }
        }
        for t in &mut self.0 {
            let as_was = before.iter().any(|b| Arc::ptr_eq(b, t));
            if !as_was {
                let t = Arc::make_mut(t);
                t.columns.sort_by_key(|c| (c.position, c.id));
                t.indexes.sort_by_key(|i| i.name != "PRIMARY");
            }
        }
        let find = |all: &[Arc<Table>], id: ObjectId| all.iter().find(|t| t.id == id).cloned();
        let changed = |b: &Arc<Table>| match find(&self.0, b.id) {
            Some(after) if Arc::ptr_eq(b, &after) => None,
            after => Some(Altered { before: Some(b.clone()), after }),
        };
        let mut altered: Vec<Altered> = before.iter().filter_map(changed).collect();
        let new = self.0.iter().filter(|t| find(&before, t.id).is_none());
        altered.extend(new.map(|t| Altered { before: None, after: Some(t.clone()) }));
        altered
    }
}

fn database(catalog: &Catalog, id: ObjectId) -> Option<String> {
    catalog.databases().find(|d| d.id == id).map(|d| d.name.clone())
}

/// Puts the parts of a change into a name and a definition.
fn put<D>(
    name: &mut String,
    def: &mut D,
    new_name: Option<&str>,
    new: Option<&Definition>,
    of: impl Fn(&Definition) -> Option<D>,
) {
    if let Some(n) = new_name {
        *name = n.to_owned();
    }
    if let Some(d) = new.and_then(of) {
        *def = d;
    }
}

impl Table {
    fn has_part(&self, id: ObjectId) -> bool {
        self.columns.iter().any(|c| c.id == id)
            || self.indexes.iter().any(|i| i.id == id)
            || self.foreign_keys.iter().any(|k| k.id == id)
            || self.checks.iter().any(|k| k.id == id)
    }

    fn drop_part(&mut self, id: ObjectId) {
        self.columns.retain(|c| c.id != id);
        self.indexes.retain(|i| i.id != id);
        self.foreign_keys.retain(|k| k.id != id);
        self.checks.retain(|k| k.id != id);
        let Table { columns, indexes, .. } = self;
        for i in indexes.iter_mut() {
            i.def.parts.retain(|p| columns.iter().any(|c| c.tag == p.column));
        }
        indexes.retain(|i| !i.def.parts.is_empty());
    }

    fn put_part(
        &mut self,
        id: ObjectId,
        name: Option<&str>,
        definition: Option<&Definition>,
        position: Option<u64>,
    ) {
        if let Some(c) = self.columns.iter_mut().find(|c| c.id == id) {
            c.position = position.unwrap_or(c.position);
            return put(&mut c.name, &mut c.def, name, definition, |d| match d {
                Definition::Column(d) => Some(d.clone()),
                _ => None,
            });
        }
        if let Some(i) = self.indexes.iter_mut().find(|i| i.id == id) {
            return put(&mut i.name, &mut i.def, name, definition, |d| match d {
                Definition::Index(d) => Some(d.clone()),
                _ => None,
            });
        }
        if let Some(k) = self.checks.iter_mut().find(|k| k.id == id) {
            return put(&mut k.name, &mut k.def, name, definition, |d| match d {
                Definition::Check(d) => Some(d.clone()),
                _ => None,
            });
        }
        let (Some(name), Some(definition)) = (name.map(str::to_owned), definition.cloned()) else { return };
        match definition {
            Definition::Column(def) => {
                self.columns.push(Column { id, tag: id.tag(), name, def, position: position.unwrap_or(0) });
            }
            Definition::Index(def) => self.indexes.push(Index { id, name, def }),
            Definition::ForeignKey(def) => {
                self.foreign_keys.push(ForeignKey { id, name, def, parent: None });
            }
            Definition::Check(def) => self.checks.push(Check { id, name, def }),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::catalog::ObjectState;
    use crate::change::{Position, WriteOrder};
    use crate::ids::{Cid, NodeId, ObjectKind};
    use crate::schema::{ColumnDef, DatabaseDef, TableDef};
    use crate::stamp::Stamp;
    use crate::types::{Collation, SqlType};

    fn catalog() -> (ObjectId, Catalog) {
        let collation = Collation::Utf8mb4_0900AiCi;
        let id = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "d", None);
        let position = Position { transaction: 0, change: 0 };
        let named = WriteOrder { stamp: Stamp(1), author: NodeId([0; 32]), block: Cid::default(), position };
        let object = ObjectState {
            id,
            kind: ObjectKind::Database,
            parent: ObjectId::ROOT,
            name: "d".to_owned(),
            named,
            definition: Definition::Database(DatabaseDef { collation }),
            position: 0,
        };
        (id, Catalog::build(7, vec![object], HashMap::new()))
    }

    fn change(id: ObjectId, parent: ObjectId, name: &str, definition: Definition, at: u64) -> SchemaChange {
        let (kind, name) = (definition.kind(), Some(name.to_owned()));
        SchemaChange::Put {
            id,
            kind,
            parent,
            name,
            definition: Some(Box::new(definition)),
            position: Some(at),
            after: None,
        }
    }

    fn column(table: ObjectId, name: &str, at: u64) -> SchemaChange {
        let def = ColumnDef::new(SqlType::Date);
        let id = ObjectId::derive(ObjectKind::Column, table, name, None);
        change(id, table, name, Definition::Column(def), at)
    }

    #[test]
    fn a_table_is_made_altered_and_dropped_and_hides_nothing_when_gone() {
        let (db, catalog) = catalog();
        let collation = Collation::Utf8mb4_0900AiCi;
        let def = TableDef { collation, comment: String::new(), auto_increment: None, options: Vec::new() };
        let id = catalog.new_temporary_id(db, "t");
        let mut all = TemporaryTables::default();
        let made = all.apply(
            &[change(id, db, "t", Definition::Table(def), 0), column(id, "b", 2), column(id, "a", 1)],
            &catalog,
        );
        let [Altered { before: None, after: Some(t) }] = &made[..] else { panic!("{made:?}") };
        assert_eq!(t.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let seen = catalog.with_temporary(100, all.iter());
        assert!(seen.is_temporary(id) && seen.table("d", "t").is_some());
        assert_eq!(seen.database("d").map(|d| d.tables().count()), Some(0), "it is in no list");
        assert_ne!(seen.new_temporary_id(db, "t"), id);

        let b = t.columns[1].id;
        let altered = all.apply(&[SchemaChange::Drop { id: b }, column(id, "c", 0)], &catalog);
        let [Altered { before: Some(_), after: Some(t) }] = &altered[..] else { panic!("{altered:?}") };
        assert_eq!(t.columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["c", "a"]);
        assert!(all.apply(&[], &catalog).is_empty());

        let dropped = all.apply(&[SchemaChange::Drop { id }], &catalog);
        assert!(matches!(&dropped[..], [Altered { before: Some(_), after: None }]));
        assert!(catalog.with_temporary(101, all.iter()).table("d", "t").is_none());
    }
}
