//! The catalog: the merged schema as one immutable value, with names resolved.
//!
//! [`Catalog::build`] is a pure function of the live schema objects, so every node that holds the same blocks
//! has the same catalog. It also fixes the physical names under which the store keeps tables, which are made
//! from ids and therefore survive every RENAME.
//!
//! Two live objects may carry one name after a merge (two tables created apart, one renamed to the other's
//! name). The one whose name was written first keeps it; the others are shown as `name#<id>` until somebody
//! renames them. Nothing is lost and nothing is decided by arrival.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::cell::CellKind;
use crate::change::{SchemaChange, WriteOrder};
use crate::ids::{ColumnTag, ObjectId, ObjectKind, hex};
use crate::schema::*;
use crate::types::SqlType;

/// Hidden column: local number of the version that wrote the row's cells (never leaves the node).
pub const COLUMN_VERSION: &str = "_v";
/// Hidden column: versions of the cells that differ from [`COLUMN_VERSION`], or NULL.
pub const COLUMN_OVERRIDES: &str = "_o";
/// Hidden column: the encoded row key, where it is not the row's present primary key; never NULL in a table
/// without primary key.
pub const COLUMN_KEY: &str = "_k";

/// A live schema object as the merge of its changes.
#[derive(Clone, Debug)]
pub struct ObjectState {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
    /// Where it stands.
    pub parent: ObjectId,
    /// Its name.
    pub name: String,
    /// When that name was written: decides who keeps a name that two objects carry.
    pub named: WriteOrder,
    /// Its definition.
    pub definition: Definition,
    /// A column's place.
    pub position: u64,
}

/// The merged schema.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Grows by one with every change of the schema on this node; caches of statements are keyed by it.
    pub epoch: u64,
    databases: BTreeMap<String, Arc<Database>>,
    tables: HashMap<ObjectId, Arc<Table>>,
    routines: HashMap<ObjectId, Arc<Routine>>,
    referenced_by: HashMap<ObjectId, Vec<(ObjectId, usize)>>,
    freed: HashMap<(ObjectId, String), Vec<u8>>,
    /// Which of the tables are one session's own (see [`Catalog::with_temporary`]).
    temporary: HashSet<ObjectId>,
}

/// A MySQL schema with its tables and views.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its id.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: DatabaseDef,
    tables: BTreeMap<String, Arc<Table>>,
    views: BTreeMap<String, Arc<View>>,
    temporary: BTreeMap<String, Arc<Table>>,
    /// By kind and name in lower case.
    routines: BTreeMap<(ObjectKind, String), Arc<Routine>>,
}

/// A base table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its id.
    pub id: ObjectId,
    /// Its database's name.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: TableDef,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Its indexes: the primary key first, then by name's first writing.
    pub indexes: Vec<Index>,
    /// Its foreign keys, in the order in which they were made.
    pub foreign_keys: Vec<ForeignKey>,
    /// Its CHECK constraints, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Its triggers, in the order in which those of one time and event fire.
    pub triggers: Vec<Arc<Trigger>>,
    /// When it was named, milliseconds since the Unix epoch; 0 for a temporary table.
    pub created_ms: u64,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its id.
    pub id: ObjectId,
    /// Its tag.
    pub tag: ColumnTag,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: ColumnDef,
    /// Its place; columns are in ascending order of it.
    pub position: u64,
}

/// An index.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its id.
    pub id: ObjectId,
    /// Its name; `PRIMARY` for the primary key.
    pub name: String,
    /// Its definition; parts whose column is gone are left out, and there is no unique index without one of its columns.
    pub def: IndexDef,
}

/// A foreign key, resolved where its parent exists.
#[derive(Clone, Debug)]
pub struct ForeignKey {
    /// Its id.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: ForeignKeyDef,
    /// The parent table and its columns; `None` while the parent does not exist (the key then holds nothing).
    pub parent: Option<(ObjectId, Vec<ColumnTag>)>,
}

/// A CHECK constraint.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its id.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: CheckDef,
}

/// A view.
#[derive(Clone, Debug)]
pub struct View {
    /// Its id.
    pub id: ObjectId,
    /// Its database's name.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: ViewDef,
    /// When it was named, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

/// A stored procedure or function.
#[derive(Clone, Debug)]
pub struct Routine {
    /// Its id.
    pub id: ObjectId,
    /// Its database's name.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: RoutineDef,
    /// When it was named, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Routine {
    /// PROCEDURE or FUNCTION.
    pub fn kind(&self) -> ObjectKind {
        if self.def.returns.is_none() { ObjectKind::Procedure } else { ObjectKind::Function }
    }
}

/// A trigger.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its id.
    pub id: ObjectId,
    /// Its name.
    pub name: String,
    /// Its definition.
    pub def: TriggerDef,
    /// Its place among the triggers of the table.
    pub position: u64,
    /// When it was named, milliseconds since the Unix epoch.
    pub created_ms: u64,
}

impl Column {
    /// The column's name in SQLite.
    pub fn physical(&self) -> String {
        physical_column(self.tag)
    }

    /// Its cells are sealed.
    pub fn is_sealed(&self) -> bool {
        self.def.is_sealed()
    }

    /// It stands for an expression that is part of an index, and nobody sees it.
    pub fn is_hidden(&self) -> bool {
        is_hidden(&self.name)
    }

    /// How its cells merge; those of a generated column never do.
    pub fn cell_kind(&self) -> CellKind {
        match self.def.generated {
            Some(_) => CellKind::Register,
            None if self.is_sealed() => CellKind::Register,
            None => CellKind::of(&self.def.ty, &self.def.comment),
        }
    }
}

/// Columns of a table (MySQL 8.0 Reference Manual, Limits on Table Column Count: InnoDB). Where two sides together add more,
/// the last by position are not shown.
pub const COLUMNS_MAX: usize = 1017;

/// How often the id of a new object is hashed on at most, while others have what comes out.
const HASHED_ON_MAX: usize = 64;

/// What the name of a column begins with that stands for an expression in an index (as in MySQL).
pub const HIDDEN_PREFIX: &str = "!hidden!";

/// A column of this name is hidden; see [`Column::is_hidden`].
pub fn is_hidden(name: &str) -> bool {
    name.starts_with(HIDDEN_PREFIX)
}

/// A column's name in SQLite.
pub fn physical_column(tag: ColumnTag) -> String {
    format!("c_{tag}")
}

/// A table's name in SQLite.
pub fn physical_table(id: ObjectId) -> String {
    format!("t_{}", hex(&id.0))
}

/// The table whose rows, or displaced rows, lie in SQLite under this name.
pub fn table_of_physical(name: &str) -> Option<ObjectId> {
    ObjectId::from_hex(name.strip_prefix("t_").or(name.strip_prefix("x_"))?)
}

/// The SQLite name of the table that holds a table's displaced rows.
pub fn physical_displaced(id: ObjectId) -> String {
    format!("x_{}", hex(&id.0))
}

/// The name of a FULLTEXT index in SQLite, from which those of its parts are made.
pub fn physical_search(id: ObjectId) -> String {
    format!("m_{}", hex(&id.0))
}

/// The name in SQLite of the table by which readers find the rows of an index on a sealed column.
pub fn physical_look(id: ObjectId) -> String {
    format!("n_{}", hex(&id.0))
}

/// An index's name in SQLite.
pub fn physical_index(id: ObjectId) -> String {
    format!("i_{}", hex(&id.0))
}

impl Table {
    /// The column of this name (names of columns ignore case), unless it is hidden.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| same_name(&c.name, name) && !c.is_hidden())
    }

    /// The column with this tag.
    pub fn column_by_tag(&self, tag: ColumnTag) -> Option<&Column> {
        self.columns.iter().find(|c| c.tag == tag)
    }

    /// The index of this name (names of indexes ignore case).
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|i| same_name(&i.name, name))
    }

    /// The sealed column that an index is on, if it is one by which equal values are found: of that column alone, not unique.
    pub fn looked_up(&self, index: &Index) -> Option<&Column> {
        match index.def.parts.as_slice() {
            [part] if !index.def.unique && !index.def.fulltext => {
                self.column_by_tag(part.column).filter(|c| c.is_sealed())
            }
            _ => None,
        }
    }

    /// The primary key, if there is one.
    pub fn primary(&self) -> Option<&Index> {
        self.indexes.iter().find(|i| i.name == "PRIMARY" && !i.def.parts.is_empty())
    }

    /// The primary key's columns; empty when there is none.
    pub fn primary_columns(&self) -> Vec<&Column> {
        let parts = self.primary().map(|i| i.def.parts.as_slice()).unwrap_or_default();
        parts.iter().filter_map(|p| self.column_by_tag(p.column)).collect()
    }

    /// The primary key column that is SQLite's rowid: the only one, whole, of a type that always fits.
    pub fn rowid_column(&self) -> Option<&Column> {
        match self.primary()?.def.parts.as_slice() {
            [part] if part.prefix.is_none() => {
                self.column_by_tag(part.column).filter(|c| c.def.ty.is_rowid())
            }
            _ => None,
        }
    }

    /// The AUTO_INCREMENT column.
    pub fn auto_increment(&self) -> Option<&Column> {
        self.columns.iter().find(|c| c.def.auto_increment)
    }

    /// The table's name in SQLite.
    pub fn physical(&self) -> String {
        physical_table(self.id)
    }

    /// The SQLite name of the table that holds its displaced rows.
    pub fn physical_displaced(&self) -> String {
        physical_displaced(self.id)
    }
}

impl Database {
    /// The table that this name means (case counts, as on Linux): the session's temporary one, if it has one, hides
    /// tables and views of the same name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.temporary.get(name).or_else(|| self.tables.get(name))
    }

    /// The table of this name that belongs to everybody.
    pub fn permanent_table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// The session's temporary table of this name.
    pub fn temporary_table(&self, name: &str) -> Option<&Arc<Table>> {
        self.temporary.get(name)
    }

    /// The view that this name means.
    pub fn view(&self, name: &str) -> Option<&Arc<View>> {
        self.permanent_view(name).filter(|_| !self.temporary.contains_key(name))
    }

    /// The view of this name, hidden or not.
    pub fn permanent_view(&self, name: &str) -> Option<&Arc<View>> {
        self.views.get(name)
    }

    /// The stored procedure or function of this name (names of routines ignore case).
    pub fn routine(&self, kind: ObjectKind, name: &str) -> Option<&Arc<Routine>> {
        self.routines.get(&(kind, name.to_lowercase()))
    }

    /// All stored procedures and functions: functions behind procedures, by name.
    pub fn routines(&self) -> impl Iterator<Item = &Arc<Routine>> {
        self.routines.values()
    }

    /// The trigger of this name with its table (case counts).
    pub fn trigger(&self, name: &str) -> Option<(&Arc<Table>, &Arc<Trigger>)> {
        self.triggers().find(|(_, t)| t.name == name)
    }

    /// All triggers with their tables.
    pub fn triggers(&self) -> impl Iterator<Item = (&Arc<Table>, &Arc<Trigger>)> {
        self.tables.values().flat_map(|table| table.triggers.iter().map(move |t| (table, t)))
    }

    /// All tables by name, without temporary ones.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// All views by name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.views.values()
    }
}

impl Catalog {
    /// The catalog of these live objects. `freed` names, per (parent, name), the change that last freed the name
    /// by a drop or rename (the `after` of [`ObjectId::derive`]).
    pub fn build(
        epoch: u64,
        mut objects: Vec<ObjectState>,
        freed: HashMap<(ObjectId, String), Vec<u8>>,
    ) -> Self {
        objects.sort_by_key(|o| (o.named, o.id));
        let mut children: HashMap<ObjectId, Vec<ObjectState>> = HashMap::new();
        for o in objects {
            children.entry(o.parent).or_default().push(o);
        }
        let mut catalog = Catalog { epoch, freed, ..Catalog::default() };
        let mut names = Names::default();
        for o in children.remove(&ObjectId::ROOT).unwrap_or_default() {
            let Definition::Database(def) = o.definition else {
                continue;
            };
            let name = names.claim(o.name, o.id, false);
            let mut db = Database {
                id: o.id,
                name,
                def,
                tables: BTreeMap::new(),
                views: BTreeMap::new(),
                temporary: BTreeMap::new(),
                routines: BTreeMap::new(),
            };
            let mut names = Names::default();
            let mut routine_names = [Names::default(), Names::default()];
            let mut part_names = PartNames::default();
            for o in children.remove(&db.id).unwrap_or_default() {
                match o.definition {
                    Definition::Table(def) => {
                        let parts = children.remove(&o.id).unwrap_or_default();
                        let name = names.claim(o.name, o.id, false);
                        let table = Table::build(o.id, db.name.clone(), name, def, parts, &mut part_names);
                        let table = Arc::new(Table { created_ms: o.named.stamp.millis(), ..table });
                        catalog.tables.insert(o.id, table.clone());
                        db.tables.insert(table.name.clone(), table);
                    }
                    Definition::View(def) => {
                        let name = names.claim(o.name, o.id, false);
                        let database = db.name.clone();
                        let created_ms = o.named.stamp.millis();
                        let view = View { id: o.id, database, name: name.clone(), def, created_ms };
                        db.views.insert(name, Arc::new(view));
                    }
                    Definition::Routine(def) => {
                        let names = &mut routine_names[usize::from(def.returns.is_some())];
                        let name = names.claim(o.name, o.id, true);
                        let (database, created_ms) = (db.name.clone(), o.named.stamp.millis());
                        let routine = Routine { id: o.id, database, name, def, created_ms };
                        catalog.routines.insert(o.id, Arc::new(routine.clone()));
                        db.routines.insert((routine.kind(), routine.name.to_lowercase()), Arc::new(routine));
                    }
                    _ => {}
                }
            }
            catalog.databases.insert(db.name.clone(), Arc::new(db));
        }
        catalog.resolve_foreign_keys();
        catalog
    }

    fn resolve_foreign_keys(&mut self) {
        let resolved: Vec<_> = self
            .tables
            .values()
            .filter(|t| !t.foreign_keys.is_empty())
            .map(|t| {
                let mut t = Table::clone(t);
                for i in 0..t.foreign_keys.len() {
                    t.foreign_keys[i].parent = self.parent_of(&t.foreign_keys[i].def);
                }
                Arc::new(t)
            })
            .collect();
        for t in resolved {
            for (n, fk) in t.foreign_keys.iter().enumerate() {
                if let Some((parent, _)) = &fk.parent {
                    self.referenced_by.entry(*parent).or_default().push((t.id, n));
                }
            }
            if let Some(db) = self.databases.get_mut(&t.database) {
                Arc::make_mut(db).tables.insert(t.name.clone(), t.clone());
            }
            self.tables.insert(t.id, t);
        }
        for children in self.referenced_by.values_mut() {
            children.sort_unstable();
        }
    }

    fn parent_of(&self, def: &ForeignKeyDef) -> Option<(ObjectId, Vec<ColumnTag>)> {
        let found = self.named_parent_of(def)?;
        // Of generated columns nothing is stored that could be looked for.
        let parent = self.tables.get(&found.0)?;
        let stored = |tag| parent.column_by_tag(tag).is_some_and(|c| c.def.generated.is_none());
        found.1.iter().all(|tag| stored(*tag)).then_some(found)
    }

    fn named_parent_of(&self, def: &ForeignKeyDef) -> Option<(ObjectId, Vec<ColumnTag>)> {
        if let Some(parent) = def.parent.and_then(|id| self.tables.get(&id)) {
            let all = def.parent_columns.iter().all(|t| parent.column_by_tag(*t).is_some());
            let stands = all && def.parent_columns.len() == def.columns.len();
            return stands.then(|| (parent.id, def.parent_columns.clone()));
        }
        let (db, table, columns) = def.parent_names.as_ref()?;
        if columns.len() != def.columns.len() {
            return None;
        }
        let parent = self.table(db, table)?;
        let tags: Option<Vec<_>> = columns.iter().map(|c| parent.column(c).map(|c| c.tag)).collect();
        Some((parent.id, tags?))
    }

    /// The database of this name (case counts).
    pub fn database(&self, name: &str) -> Option<&Arc<Database>> {
        self.databases.get(name)
    }

    /// All databases by name.
    pub fn databases(&self) -> impl Iterator<Item = &Arc<Database>> {
        self.databases.values()
    }

    /// The table `database.name`.
    pub fn table(&self, database: &str, name: &str) -> Option<&Arc<Table>> {
        self.databases.get(database)?.table(name)
    }

    /// The view `database.name`.
    pub fn view(&self, database: &str, name: &str) -> Option<&Arc<View>> {
        self.databases.get(database)?.view(name)
    }

    /// This catalog as a session with these temporary tables sees it, under an epoch of its own. One whose database is
    /// gone is not to be seen.
    pub fn with_temporary<'t>(
        &self,
        epoch: u64,
        tables: impl IntoIterator<Item = &'t Arc<Table>>,
    ) -> Catalog {
        let mut catalog = Catalog { epoch, ..self.clone() };
        for t in tables {
            let Some(db) = catalog.databases.get_mut(&t.database) else { continue };
            Arc::make_mut(db).temporary.insert(t.name.clone(), t.clone());
            catalog.tables.insert(t.id, t.clone());
            catalog.temporary.insert(t.id);
        }
        catalog
    }

    /// The table with this id is a temporary one.
    pub fn is_temporary(&self, id: ObjectId) -> bool {
        self.temporary.contains(&id)
    }

    /// The id for a new temporary table: another one than that of any table, permanent or temporary, that it may hide or
    /// outlive.
    pub fn new_temporary_id(&self, database: ObjectId, name: &str) -> ObjectId {
        let mut after = b"temporary".to_vec();
        after.extend_from_slice(&self.epoch.to_be_bytes());
        ObjectId::derive(ObjectKind::Table, database, name, Some(&after))
    }

    /// The table with this id, temporary ones included.
    pub fn table_by_id(&self, id: ObjectId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// The stored procedure or function `database.name`.
    pub fn routine(&self, kind: ObjectKind, database: &str, name: &str) -> Option<&Arc<Routine>> {
        self.databases.get(database)?.routine(kind, name)
    }

    /// There are stored procedures or functions.
    pub fn has_routines(&self) -> bool {
        !self.routines.is_empty()
    }

    /// The stored procedure or function with this id.
    pub fn routine_by_id(&self, id: ObjectId) -> Option<&Arc<Routine>> {
        self.routines.get(&id)
    }

    /// Every table, temporary ones included.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// The foreign keys that point at this table: (child table, index into its `foreign_keys`).
    pub fn referenced_by(&self, parent: ObjectId) -> &[(ObjectId, usize)] {
        self.referenced_by.get(&parent).map(Vec::as_slice).unwrap_or_default()
    }

    /// A change as the log has it: one that makes an object says what its id was derived after.
    pub fn show_home(&self, mut change: SchemaChange) -> SchemaChange {
        let SchemaChange::Put { id, kind, parent, name: Some(name), definition: Some(made), after, .. } =
            &mut change
        else {
            return change;
        };
        let mut next = self.derived_after(*kind, *parent, name, Some(made));
        let name = if kind.ignores_case() { name.to_lowercase() } else { name.clone() };
        // An id that was taken is hashed on.
        for _ in 0..HASHED_ON_MAX {
            let derived = ObjectId::derive(*kind, *parent, &name, next.as_deref());
            if derived == *id {
                *after = next;
                break;
            }
            next = Some(derived.0.to_vec());
        }
        change
    }

    /// The id for a new object of this name: another one than any dropped or renamed before it.
    pub fn new_id(&self, kind: ObjectKind, parent: ObjectId, name: &str) -> ObjectId {
        self.new_id_of(kind, parent, name, None)
    }

    /// The same for a part of a table with this definition: of one name, constraints that ask different things are different
    /// objects.
    pub fn new_id_of(
        &self,
        kind: ObjectKind,
        parent: ObjectId,
        name: &str,
        made: Option<&Definition>,
    ) -> ObjectId {
        let after = self.derived_after(kind, parent, name, made);
        let name = if kind.ignores_case() { name.to_lowercase() } else { name.to_owned() };
        ObjectId::derive(kind, parent, &name, after.as_deref())
    }

    /// What the id of a new object is derived after: what freed its name, and what it asks if it is a constraint.
    fn derived_after(
        &self,
        kind: ObjectKind,
        parent: ObjectId,
        name: &str,
        made: Option<&Definition>,
    ) -> Option<Vec<u8>> {
        let is_told_apart = match kind {
            ObjectKind::Index => !same_name(name, "PRIMARY"),
            ObjectKind::Column => is_hidden(name),
            _ => true,
        };
        let name = if kind.ignores_case() { name.to_lowercase() } else { name.to_owned() };
        let freed = self.freed.get(&(parent, name)).cloned();
        match made.filter(|_| is_told_apart).and_then(Definition::promise) {
            None => freed,
            Some(promise) => Some([freed.unwrap_or_default(), promise].concat()),
        }
    }
}

impl Table {
    pub(crate) fn empty(id: ObjectId, database: String, name: String, def: TableDef) -> Self {
        let (columns, indexes, foreign_keys, checks, triggers) = Default::default();
        Table { id, database, name, def, columns, indexes, foreign_keys, checks, triggers, created_ms: 0 }
    }

    fn build(
        id: ObjectId,
        database: String,
        name: String,
        def: TableDef,
        parts: Vec<ObjectState>,
        names: &mut PartNames,
    ) -> Self {
        let mut table = Table::empty(id, database, name, def);
        let mut column_names = Names::default();
        let mut index_names = Names::default();
        let mut tags = HashSet::new();
        for o in parts {
            let ObjectState { id, name, definition, position, named, .. } = o;
            match definition {
                // A tag that is taken belongs to the column named first; see `ColumnTag`.
                Definition::Column(def) if tags.insert(id.tag()) => {
                    let name = column_names.claim(name, id, true);
                    table.columns.push(Column { id, tag: id.tag(), name, def, position });
                }
                Definition::Index(def) => {
                    let name = index_names.claim(name, id, true);
                    table.indexes.push(Index { id, name, def });
                }
                Definition::ForeignKey(def) => {
                    let name = names.foreign_keys.claim(name, id, true);
                    table.foreign_keys.push(ForeignKey { id, name, def, parent: None });
                }
                Definition::Check(def) => {
                    let name = names.checks.claim(name, id, true);
                    table.checks.push(Check { id, name, def });
                }
                Definition::Trigger(def) => {
                    let name = names.triggers.claim(name, id, false);
                    let created_ms = named.stamp.millis();
                    table.triggers.push(Arc::new(Trigger { id, name, def, position, created_ms }));
                }
                _ => {}
            }
        }
        table.columns.sort_by_key(|c| (c.position, c.id));
        for c in table.columns.drain(COLUMNS_MAX.min(table.columns.len())..) {
            tags.remove(&c.tag);
        }
        table.triggers.sort_by_key(|t| (t.position, t.id));
        // Nobody asked for a key of fewer columns.
        table.indexes.retain(|i| !i.def.unique || i.def.parts.iter().all(|p| tags.contains(&p.column)));
        for i in &mut table.indexes {
            i.def.parts.retain(|p| tags.contains(&p.column));
        }
        table.indexes.retain(|i| !i.def.parts.is_empty());
        table.indexes.sort_by_key(|i| i.name != "PRIMARY");
        let stands = |k: &ForeignKeyDef| !k.columns.is_empty() && k.columns.iter().all(|t| tags.contains(t));
        table.foreign_keys.retain(|k| stands(&k.def));
        table.fit();
        table
    }
}

/// Hands out names, first come first served; see the module's essay.
#[derive(Default)]
struct Names(HashSet<String>);

/// The names of parts of tables that no other table of their database has.
#[derive(Default)]
struct PartNames {
    foreign_keys: Names,
    checks: Names,
    triggers: Names,
}

impl Names {
    fn claim(&mut self, name: String, id: ObjectId, ignore_case: bool) -> String {
        let key = if ignore_case { name.to_lowercase() } else { name.clone() };
        if self.0.insert(key) { name } else { format!("{name}#{}", hex(&id.0[..4])) }
    }
}

/// Equality of names that ignore case.
pub fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

/// The SQLite collation to declare on a column of this type, if it compares as text.
pub fn sqlite_collation(ty: &SqlType) -> Option<&'static str> {
    match ty {
        SqlType::Char { collation, .. }
        | SqlType::VarChar { collation, .. }
        | SqlType::Text { collation, .. } => Some(collation.name()),
        SqlType::Json => Some("utf8mb4_bin"),
        _ => None,
    }
}

impl Table {
    /// One part of a key of this table as SQLite text over `operand`, a value of its column; a prefix is cut out by
    /// characters (bytes of a blob).
    pub fn part_sql(&self, part: &IndexPart, operand: &str) -> String {
        let collation = self.column_by_tag(part.column).and_then(|c| sqlite_collation(&c.def.ty));
        match (part.prefix, collation) {
            (Some(n), Some(c)) => format!("substr({operand}, 1, {n}) COLLATE \"{c}\""),
            (Some(n), None) => format!("substr({operand}, 1, {n})"),
            (None, _) => operand.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Position;
    use crate::ids::{Cid, NodeId};
    use crate::stamp::Stamp;
    use crate::types::Collation;

    fn at(n: u64) -> WriteOrder {
        let position = Position { transaction: 0, change: 0 };
        WriteOrder { stamp: Stamp(n), author: NodeId([0; 32]), block: Cid::default(), position }
    }

    fn object(parent: ObjectId, name: &str, n: u64, definition: Definition) -> ObjectState {
        let id = ObjectId::derive(definition.kind(), parent, name, Some(&n.to_be_bytes()));
        let (kind, name) = (definition.kind(), name.to_owned());
        ObjectState { id, kind, parent, name, named: at(n), definition, position: n }
    }

    #[test]
    fn of_two_tables_with_one_name_the_first_named_keeps_it_in_any_order_of_arrival() {
        let collation = Collation::Utf8mb4_0900AiCi;
        let db = object(ObjectId::ROOT, "d", 1, Definition::Database(DatabaseDef { collation }));
        let def = TableDef { collation, comment: String::new(), auto_increment: None, options: Vec::new() };
        let a = object(db.id, "t", 2, Definition::Table(def.clone()));
        let b = object(db.id, "t", 3, Definition::Table(def));
        for order in [[&db, &a, &b], [&b, &a, &db]] {
            let c = Catalog::build(1, order.into_iter().cloned().collect(), HashMap::new());
            assert_eq!(c.table("d", "t").map(|t| t.id), Some(a.id));
            let other = format!("t#{}", hex(&b.id.0[..4]));
            assert_eq!(c.table("d", &other).map(|t| t.id), Some(b.id));
        }
    }

    #[test]
    fn of_two_checks_of_one_name_in_one_database_the_first_tables_keeps_it() {
        let collation = Collation::Utf8mb4_0900AiCi;
        let db = |name| object(ObjectId::ROOT, name, 1, Definition::Database(DatabaseDef { collation }));
        let def = TableDef { collation, comment: String::new(), auto_increment: None, options: Vec::new() };
        let (d, e) = (db("d"), db("e"));
        let tables = [(&d, "t", 2), (&d, "u", 3), (&e, "t", 4)];
        let tables = tables.map(|(db, name, n)| object(db.id, name, n, Definition::Table(def.clone())));
        let check = CheckDef { expression: "1".to_owned(), enforced: true };
        // The second table's was written first: the table decides.
        let checks = [7, 6, 5].into_iter().zip(&tables);
        let checks = checks.map(|(n, t)| object(t.id, "c", n, Definition::Check(check.clone())));
        let all = [d.clone(), e.clone()].into_iter().chain(tables.clone()).chain(checks.clone()).collect();
        let catalog = Catalog::build(1, all, HashMap::new());
        let named = |db, name| catalog.table(db, name).map(|t| t.checks[0].name.clone());
        assert_eq!((named("d", "t"), named("e", "t")), (Some("c".to_owned()), Some("c".to_owned())));
        assert!(named("d", "u").is_some_and(|name| name.starts_with("c#")));
    }

    #[test]
    fn a_name_that_was_freed_gives_a_new_id() {
        let freed = HashMap::from([((ObjectId::ROOT, "d".to_owned()), vec![1])]);
        let with = Catalog::build(1, Vec::new(), freed);
        let without = Catalog::default();
        let id = |c: &Catalog| c.new_id(ObjectKind::Database, ObjectId::ROOT, "d");
        assert_ne!(id(&with), id(&without));
        assert_eq!(id(&without), id(&Catalog::default()));
    }
}
