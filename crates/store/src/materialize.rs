//! From the catalog to SQLite's tables and indexes: makes, alters, rewrites and drops what a schema change asks for.
//!
//! * A new column is added without touching a row; rows older than it have no version for it and hold its first
//!   default. A dropped column, index or table is dropped here too: the log keeps what was written, and if the object
//!   revives, or a change of type, collation or primary key makes rows lie otherwise, the table is written again from
//!   the change index.
//! * NOT NULL, CHECK and foreign keys do not exist in SQLite; statements are checked before, merged rows after. Where a
//!   table asks more of its rows than before, all are looked at again.
//! * Rows that clash under a new unique key are put aside and decided like any others; making the index cannot fail.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use p2pdb_model::catalog::{
    COLUMN_KEY, COLUMN_OVERRIDES, COLUMN_VERSION, Table, physical_column, physical_displaced, physical_index,
    physical_table, sqlite_collation,
};
use p2pdb_model::change::WriteOrder;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId, hex};
use p2pdb_model::schema::{Definition, IndexPart, ReferentialAction};
use p2pdb_model::types::SqlType;
use p2pdb_model::{CellKind, Value, ValueRef};

use crate::connection::Connection;
use crate::displaced::{Place, Reason, Run, WHOLE};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::generated::Generated;
use crate::index::tx_sql;
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::looks::{self, Looks};
use crate::materialize_plan::{
    COLUMN_REASON, COLUMN_UNIT, TablePlan, feeds_itself, index_columns, key_index,
};
use crate::meaning::{ColumnHistory, Meaning};
use crate::objects::Schema;
use crate::query::NEXT;
use crate::search::{self, Search};
use crate::settled::SettledRows;

/// The plans of the tables of one schema, made when first asked for.
pub(crate) struct PlanCache {
    pub schema: Arc<Schema>,
    pub meaning: Meaning,
    plans: HashMap<ObjectId, Arc<TablePlan>>,
    names: HashMap<String, ObjectId>,
    /// Of rows of this schema.
    pub settled: SettledRows,
}

impl PlanCache {
    pub(crate) fn new(schema: Arc<Schema>, meaning: Meaning) -> Self {
        let mut cache = Self {
            schema: Arc::default(),
            meaning,
            plans: HashMap::new(),
            names: HashMap::new(),
            settled: SettledRows::default(),
        };
        cache.set_schema(schema);
        cache
    }

    pub(crate) fn set_schema(&mut self, schema: Arc<Schema>) {
        self.names = schema.catalog.tables().map(|t| (t.physical(), t.id)).collect();
        self.plans.clear();
        self.settled.clear();
        self.schema = schema;
    }

    /// The plan of a live table.
    pub(crate) fn plan(&mut self, db: &Connection, id: ObjectId) -> Result<Option<Arc<TablePlan>>> {
        if let Some(plan) = self.plans.get(&id) {
            return Ok(Some(plan.clone()));
        }
        let Some(table) = self.schema.catalog.table_by_id(id) else { return Ok(None) };
        let plan = Arc::new(TablePlan::build(db, table, &self.schema, &self.meaning, true)?);
        self.plans.insert(id, plan.clone());
        Ok(Some(plan))
    }

    /// The table that SQLite knows by this name.
    pub(crate) fn by_name(&self, name: &str) -> Option<ObjectId> {
        self.names.get(name).copied()
    }

    /// A table's shape changed under its plan.
    fn forget(&mut self, id: ObjectId) {
        self.plans.remove(&id);
    }
}

/// The conditions of the table's enforced CHECKs.
pub(crate) fn checks(meaning: &Meaning, t: &Arc<Table>) -> BTreeMap<ObjectId, String> {
    let enforced = t.checks.iter().filter(|c| c.def.enforced);
    enforced.filter_map(|c| Some((c.id, (meaning.check)(t, c)?))).collect()
}

/// What a column's cells hold that no change ever wrote, in its first type.
pub(crate) fn born(schema: &Schema, meaning: &Meaning, column: ObjectId) -> Value {
    match schema.births.get(&column) {
        // Nobody sealed anything yet.
        Some((_, Definition::Column(def))) if def.is_sealed() => Value::Null,
        Some((at, Definition::Column(def))) => (meaning.default)(def, at.stamp),
        _ => Value::Null,
    }
}

/// The same in its present type.
pub(crate) fn unwritten(schema: &Schema, meaning: &Meaning, column: ObjectId) -> Result<Value> {
    let value = born(schema, meaning, column);
    let typed = schema.types.get(&column);
    match typed.and_then(|typed| ColumnHistory::of(typed, &meaning.conversion)) {
        Some(history) => history.unwritten(value),
        None => Ok(value),
    }
}

#[derive(Clone, Debug, PartialEq)]
struct ColumnShape {
    id: ObjectId,
    collation: Option<&'static str>,
    unwritten: Value,
    kind: CellKind,
    /// Other values fit then.
    sealed: bool,
    /// Of a counter: a merged value may fit another type, or not.
    range: Option<SqlType>,
    /// Where values are converted: the definitions that say how.
    types: Vec<(WriteOrder, SqlType, Option<usize>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct IndexShape {
    /// CREATE INDEX, without the name of the unique key's parts.
    sql: String,
    /// Over the displaced rows, if they need it: its name and CREATE INDEX.
    displaced: Option<(String, String)>,
    unique: Option<Vec<IndexPart>>,
}

/// A foreign key as resolved.
#[derive(Clone, Debug, PartialEq)]
struct ReferenceShape {
    id: ObjectId,
    columns: Vec<ColumnTag>,
    parent: ObjectId,
    parent_columns: Vec<ColumnTag>,
    actions: (ReferentialAction, ReferentialAction),
    bends: bool,
}

/// Everything about a table that SQLite sees.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    columns: BTreeMap<ColumnTag, ColumnShape>,
    rowid: Option<ColumnTag>,
    /// The columns that make the identity of new rows.
    key: Vec<IndexPart>,
    indexes: BTreeMap<String, IndexShape>,
    /// What a cell may hold: its type, and whether NULL.
    cells: BTreeMap<ColumnTag, (SqlType, bool)>,
    /// CHECKs.
    checks: BTreeMap<ObjectId, String>,
    /// Generated columns that are parts of indexes.
    generated: Generated,
    /// FULLTEXT indexes by their names in SQLite.
    searches: BTreeMap<String, Search>,
    /// Indexes on sealed columns by their names in SQLite.
    looks: BTreeMap<String, Looks>,
    /// Foreign keys as resolved.
    references: Vec<ReferenceShape>,
}

impl Shape {
    fn of(schema: &Schema, meaning: &Meaning, t: &Arc<Table>) -> Result<Self> {
        let mut columns = BTreeMap::new();
        for c in &t.columns {
            let typed = schema.types.get(&c.id);
            let typed = typed.filter(|t| ColumnHistory::of(t, &meaning.conversion).is_some());
            let types = typed.iter().flat_map(|t| t.iter());
            let types = types.map(|t| (t.origin.order(t.at.offset), t.ty.clone(), t.before));
            let kind = c.cell_kind();
            let shape = ColumnShape {
                id: c.id,
                collation: sqlite_collation(&c.def.ty),
                unwritten: unwritten(schema, meaning, c.id)?,
                kind,
                sealed: c.is_sealed(),
                range: (kind == CellKind::Counter).then(|| c.def.ty.clone()),
                types: types.collect(),
            };
            columns.insert(c.tag, shape);
        }
        let rowid = t.rowid_column().map(|c| c.tag);
        let mut indexes = BTreeMap::new();
        let (name, displaced) = (t.physical(), t.physical_displaced());
        let generated = Generated::of(t, meaning);
        let searched = t.indexes.iter().filter(|i| i.def.fulltext);
        let searches = searched.filter_map(|i| Some((search::name(i), Search::of(t, i, meaning)?))).collect();
        let looks =
            t.indexes.iter().filter_map(|i| Some((looks::name(i), Looks::of(t, i, meaning)?))).collect();
        for i in t.indexes.iter().filter(|i| !i.def.fulltext && t.looked_up(i).is_none()) {
            let physical = physical_index(i.id);
            if !generated.has_values(&i.def.parts) {
                indexes.insert(physical, IndexShape { sql: String::new(), displaced: None, unique: None });
                continue;
            }
            let on = index_columns(t, &i.def.parts, i.def.unique, &generated);
            let on_displaced = index_columns(t, &i.def.parts, i.def.unique, &Generated::default());
            let j = format!("j_{}", hex(&i.id.0));
            let over_displaced = format!("CREATE INDEX {j} ON {displaced} ({on_displaced})");
            let is_rowid = rowid.is_some() && i.name == "PRIMARY";
            let unique = if i.def.unique { "UNIQUE " } else { "" };
            // The rowid needs no index, the displaced rows' copy of it does.
            let sql = if is_rowid {
                String::new()
            } else {
                format!("CREATE {unique}INDEX {physical} ON {name} ({on})")
            };
            let cut = i.def.parts.iter().any(|p| p.prefix.is_some());
            let whole = index_columns(t, &i.def.parts, false, &generated);
            if i.def.unique && cut && whole != on {
                // A unique key on prefixes finds no rows by whole values.
                let w = format!("w_{}", hex(&i.id.0));
                let sql = format!("CREATE INDEX {w} ON {name} ({whole})");
                indexes.insert(w, IndexShape { sql, displaced: None, unique: None });
            }
            let displaced = i.def.unique.then_some((j, over_displaced));
            let unique = (i.def.unique && !is_rowid).then(|| i.def.parts.clone());
            indexes.insert(physical, IndexShape { sql, displaced, unique });
        }
        let mut references = Vec::new();
        for (number, fk) in t.foreign_keys.iter().enumerate() {
            let Some((parent, parent_columns)) = &fk.parent else { continue };
            references.push(ReferenceShape {
                id: fk.id,
                columns: fk.def.columns.clone(),
                parent: *parent,
                parent_columns: parent_columns.clone(),
                actions: (fk.def.on_delete, fk.def.on_update),
                bends: !feeds_itself(&schema.catalog, t.id, number),
            });
            let on = fk.def.columns.iter().map(|c| physical_column(*c)).collect::<Vec<_>>().join(", ");
            let g = format!("g_{}", hex(&fk.id.0));
            let over_displaced = format!("CREATE INDEX {g} ON {displaced} ({on})");
            let served = t.indexes.iter().filter(|i| !i.def.fulltext).any(|i| {
                let leading = i.def.parts.iter().take(fk.def.columns.len());
                i.def.parts.len() >= fk.def.columns.len()
                    && leading.zip(&fk.def.columns).all(|(p, c)| p.column == *c && p.prefix.is_none())
            });
            let f = format!("f_{}", hex(&fk.id.0));
            let sql = if served { String::new() } else { format!("CREATE INDEX {f} ON {name} ({on})") };
            indexes.insert(f, IndexShape { sql, displaced: Some((g, over_displaced)), unique: None });
        }
        let key = t.primary().map(|p| p.def.parts.clone()).unwrap_or_default();
        let checks = checks(meaning, t);
        let cells = t.columns.iter().map(|c| (c.tag, (c.def.ty.clone(), c.def.nullable))).collect();
        Ok(Shape { columns, rowid, key, indexes, cells, checks, generated, searches, looks, references })
    }

    /// Rows that may be visible under `before` may not be any more.
    fn asks_more_than(&self, before: &Shape) -> bool {
        let changed = |(tag, cell)| before.cells.get(tag).is_some_and(|b| b != cell);
        self.cells.iter().any(changed)
            || self.checks.iter().any(|(id, sql)| before.checks.get(id) != Some(sql))
    }

    /// What CHECKs of this shape have decided as a whole may be decided otherwise.
    fn joins_otherwise_than(&self, next: &Shape) -> bool {
        let same =
            self.checks == next.checks && self.indexes == next.indexes && self.generated == next.generated;
        !self.checks.is_empty() && !same
    }

    /// The rows must be written again to go from `self` to `next`.
    fn needs_rewrite(&self, next: &Shape, old: &Schema) -> bool {
        let moved = |(tag, c): (&ColumnTag, &ColumnShape)| match self.columns.get(tag) {
            Some(before) => before != c,
            // A column that was there before: rows may hold values for it in the log.
            None => old.holds(&c.id) || matches!(&c.unwritten, Value::Text(t) if t.contains('\0')),
        };
        // Rows may be displaced for a value of a column that goes, or keep a history for its sake.
        let mut gone = self.columns.iter().filter(|(tag, _)| !next.columns.contains_key(tag));
        self.rowid != next.rowid
            || self.key != next.key
            || gone.any(|(_, c)| !c.types.is_empty() || (!c.kind.is_edited() && old.was_edited(&c.id)))
            || next.columns.iter().any(moved)
    }
}

/// A table on its way from one shape to another.
struct Reshaped {
    table: Arc<Table>,
    /// `None`: the table is new here.
    before: Option<Shape>,
    after: Shape,
    /// It is empty; its rows are written again from the change index.
    anew: bool,
}

/// A value as a SQLite literal.
fn literal(v: &Value) -> String {
    match v {
        Value::Null => "NULL".to_owned(),
        Value::Int(n) => n.to_string(),
        Value::Real(r) => format!("{r:?}"),
        Value::Text(t) => format!("'{}'", t.replace('\'', "''")),
        Value::Blob(b) => format!("x'{}'", hex(b)),
    }
}

fn column_sql(tag: ColumnTag, c: &ColumnShape) -> String {
    let collation = c.collation.filter(|_| !fault::on(Fault::UniqueByBytes));
    let collate = collation.map(|n| format!(" COLLATE \"{n}\"")).unwrap_or_default();
    format!("{}{collate}", physical_column(tag))
}

impl Run<'_> {
    /// Goes over to another schema: reshapes every table whose shape differs. Rows that are there have versions below
    /// `newer`.
    ///
    /// First every table takes its columns, since what becomes of a row may depend on rows of any other table; then rows are
    /// put aside and written again.
    pub(crate) fn reshape(&mut self, next: Arc<Schema>, newer: TxNo) -> Result<()> {
        // Open decisions name keys of the old schema by number.
        self.settle()?;
        let old = self.plans.schema.clone();
        let meaning = self.plans.meaning.clone();
        for table in old.catalog.tables() {
            if next.catalog.table_by_id(table.id).is_none() {
                self.drop_table(table.id)?;
            }
        }
        self.plans.set_schema(next.clone());
        let mut reshaped = Vec::new();
        let mut tables: Vec<_> = next.catalog.tables().collect();
        tables.sort_by_key(|t| t.id);
        for table in tables {
            let after = Shape::of(&next, &meaning, table)?;
            let before = match old.catalog.table_by_id(table.id) {
                // Most tables are the very same.
                Some(before) => match Shape::of(&old, &meaning, before)? {
                    before if before == after => continue,
                    before => Some(before),
                },
                None => None,
            };
            let mut r = Reshaped { table: table.clone(), before, after, anew: true };
            self.take_columns(&mut r, &old, newer)?;
            reshaped.push(r);
        }
        for r in &mut reshaped {
            self.take_indexes(r)?;
        }
        for r in reshaped.iter().filter(|r| r.anew) {
            self.rewrite(r.table.id)?;
        }
        for r in &reshaped {
            self.look_again(r.table.id, r.before.as_ref(), &r.after)?;
        }
        for r in reshaped.iter().filter(|r| r.anew && r.before.is_some()) {
            self.look_at_children(r.table.id)?;
        }
        Ok(())
    }

    /// A table was written again: rows that refer to it may have lost their parents, or found them.
    fn look_at_children(&mut self, id: ObjectId) -> Result<()> {
        let Some(plan) = self.plans.plan(self.db, id)? else { return Ok(()) };
        for dependent in &plan.dependents {
            let Some(child) = self.plans.plan(self.db, dependent.child)? else { continue };
            let sql = format!("SELECT rowid FROM {}", child.sql.name);
            let todo = &mut self.todo;
            self.db.query(&sql, (), |r| {
                todo.check(dependent.child, r.int(0)?);
                Ok(NEXT)
            })?;
            for stored in self.displaced_where(&child, &child.sql.all_displaced, &[])? {
                self.recompute(&child, &stored.image.ident)?;
            }
        }
        Ok(())
    }

    pub(crate) fn drop_table(&mut self, id: ObjectId) -> Result<()> {
        let no = self.db.table_no(id)?;
        let db = self.db;
        search::drop_all(db, &physical_table(id))?;
        looks::drop_all(db, &physical_table(id))?;
        db.execute_batch(&format!(
            "DROP TABLE IF EXISTS {}; DROP TABLE IF EXISTS {};",
            physical_table(id),
            physical_displaced(id)
        ))?;
        for of_table in [
            "sibling WHERE tbl = ?1",
            "bent WHERE tbl = ?1",
            "fingerprint WHERE tbl = ?1",
            "col WHERE tbl = ?1 AND added > 0",
        ] {
            db.execute(&format!("DELETE FROM {of_table}"), [ValueRef::Int(no)])?;
        }
        self.forget_table(no);
        self.plans.forget(id);
        Ok(())
    }

    fn create(&mut self, table: &Table, shape: &Shape) -> Result<()> {
        let hidden = format!("{COLUMN_VERSION} INTEGER, {COLUMN_OVERRIDES} BLOB, {COLUMN_KEY}");
        let (mut visible, mut displaced) = (String::new(), String::new());
        for c in &table.columns {
            let plain = column_sql(c.tag, &shape.columns[&c.tag]);
            let of_table = if shape.rowid == Some(c.tag) {
                format!("{} INTEGER PRIMARY KEY", physical_column(c.tag))
            } else {
                plain.clone()
            };
            visible += &format!("{of_table}, ");
            displaced += &format!("{plain}, ");
        }
        let (t, x) = (table.physical(), table.physical_displaced());
        let key = key_index(table.id);
        self.db.execute_batch(&format!(
            "CREATE TABLE {t} ({visible}{hidden});
             CREATE UNIQUE INDEX {key} ON {t} ({COLUMN_KEY}) WHERE {COLUMN_KEY} IS NOT NULL;
             CREATE TABLE {x} ({displaced}{hidden}, {COLUMN_REASON} INTEGER NOT NULL, {COLUMN_UNIT} INTEGER NOT NULL);
             CREATE INDEX l{key} ON {x} ({COLUMN_KEY});"
        ))?;
        for index in shape.indexes.values() {
            self.db.execute_batch(&index.sql)?;
            if let Some((_, sql)) = &index.displaced {
                self.db.execute_batch(sql)?;
            }
        }
        shape.searches.iter().try_for_each(|(name, search)| search.create(self.db, &t, name))?;
        shape.looks.iter().try_for_each(|(name, looks)| looks.create(self.db, &t, name))
    }

    /// Gives a table its columns, and takes away what is on them and goes. One that is new, or whose rows are to be written again,
    /// is empty then, and has its indexes.
    fn take_columns(&mut self, r: &mut Reshaped, old: &Schema, newer: TxNo) -> Result<()> {
        let (table, after) = (&r.table, &r.after);
        let Some(before) = &r.before else { return self.create(table, after) };
        if before.needs_rewrite(after, old) || self.strays(table.id, before, after)? {
            self.drop_table(table.id)?;
            return self.create(table, after);
        }
        r.anew = false;
        let db = self.db;
        let no = db.table_no(table.id)?;
        let (t, x) = (table.physical(), table.physical_displaced());
        for (name, index) in &before.indexes {
            if after.indexes.get(name) == Some(index) {
                continue;
            }
            db.execute_batch(&format!("DROP INDEX IF EXISTS {name}"))?;
            if let Some((name, _)) = &index.displaced {
                db.execute_batch(&format!("DROP INDEX IF EXISTS {name}"))?;
            }
        }
        for (name, search) in &before.searches {
            if after.searches.get(name) != Some(search) {
                search::drop(db, name)?;
            }
        }
        for (name, looks) in &before.looks {
            if after.looks.get(name) != Some(looks) {
                looks::drop(db, name)?;
            }
        }
        for tag in before.columns.keys().filter(|t| !after.columns.contains_key(t)) {
            let c = physical_column(*tag);
            db.execute_batch(&format!("ALTER TABLE {t} DROP COLUMN {c}; ALTER TABLE {x} DROP COLUMN {c};"))?;
            let of_column = [ValueRef::Int(no), ValueRef::Int(i64::from(tag.0))];
            db.execute("DELETE FROM sibling WHERE tbl = ?1 AND tag = ?2", of_column)?;
            db.execute("DELETE FROM col WHERE tbl = ?1 AND tag = ?2", of_column)?;
        }
        for (tag, c) in after.columns.iter().filter(|(t, _)| !before.columns.contains_key(t)) {
            let (sql, default) = (column_sql(*tag, c), literal(&c.unwritten));
            db.execute_batch(&format!(
                "ALTER TABLE {t} ADD COLUMN {sql} DEFAULT {default}; ALTER TABLE {x} ADD COLUMN {sql} DEFAULT {default};"
            ))?;
            db.execute(
                "INSERT OR REPLACE INTO col (tbl, tag, added) VALUES (?1, ?2, ?3)",
                [ValueRef::Int(no), ValueRef::Int(i64::from(tag.0)), tx_sql(newer)],
            )?;
        }
        Ok(())
    }

    /// Gives a table with rows the indexes that it has not.
    fn take_indexes(&mut self, r: &mut Reshaped) -> Result<()> {
        let (table, after) = (&r.table, &r.after);
        let Some(before) = r.before.as_ref().filter(|_| !r.anew) else { return Ok(()) };
        let (db, t) = (self.db, table.physical());
        if before.generated != after.generated
            && let Some(plan) = self.plans.plan(db, table.id)?
        {
            if !self.all_generate(&plan)? {
                // Rows without values are found one by one.
                self.drop_table(table.id)?;
                self.create(table, after)?;
                r.anew = true;
                return Ok(());
            }
            self.refill(&plan)?;
        }
        if before.columns.keys().any(|t| !after.columns.contains_key(t)) {
            self.recount(table.id)?;
        }
        for (name, index) in &after.indexes {
            if before.indexes.get(name) == Some(index) {
                continue;
            }
            if let Some((_, sql)) = &index.displaced {
                db.execute_batch(sql)?;
            }
            if let Some(parts) = &index.unique {
                self.put_clashes_aside(table, parts)?;
            }
            db.execute_batch(&index.sql)?;
        }
        for (name, search) in &after.searches {
            if before.searches.get(name) != Some(search) {
                search.create(db, &t, name)?;
            }
        }
        for (name, looks) in &after.looks {
            if before.looks.get(name) != Some(looks) {
                looks.create(db, &t, name)?;
            }
        }
        Ok(())
    }

    /// A new column had values before it was there, so that they are only in the log. Nobody's statement gives such a
    /// value, but a block may.
    fn strays(&self, id: ObjectId, before: &Shape, after: &Shape) -> Result<bool> {
        let no = self.db.table_no(id)?;
        for tag in after.columns.keys().filter(|t| !before.columns.contains_key(t)) {
            let of_column = [ValueRef::Int(no), ValueRef::Int(i64::from(tag.0))];
            let sql = "SELECT 1 FROM col WHERE tbl = ?1 AND tag = ?2 AND added = 0";
            if self.db.query_one(sql, of_column, |_| Ok(()))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Before a unique index is made: every row that would clash goes to be decided.
    fn put_clashes_aside(&mut self, table: &Table, parts: &[IndexPart]) -> Result<()> {
        let Some(plan) = self.plans.plan(self.db, table.id)? else { return Ok(()) };
        let plain: Vec<IndexPart> =
            parts.iter().map(|p| IndexPart { descending: false, ..p.clone() }).collect();
        let list = index_columns(table, &plain, true, &plan.generated);
        let filled: Vec<String> =
            parts.iter().map(|p| format!("{} IS NOT NULL", plan.generated.operand(p.column))).collect();
        let t = table.physical();
        let sql = format!(
            "SELECT rowid FROM {t} WHERE ({list}) IN
             (SELECT {list} FROM {t} WHERE {} GROUP BY {list} HAVING count(*) > 1)",
            filled.join(" AND ")
        );
        let mut clashing = Vec::new();
        self.db.query(&sql, (), |r| {
            clashing.push(r.int(0)?);
            Ok(NEXT)
        })?;
        for rowid in clashing {
            if let Some(stored) = self.visible(&plan, rowid)? {
                self.remove(&plan, &stored)?;
                self.left(&plan, &stored.image, stored.place)?;
                self.put_pending(&plan, &stored.image)?;
            }
        }
        Ok(())
    }

    /// Writes an empty table's rows from the change index.
    fn rewrite(&mut self, id: ObjectId) -> Result<()> {
        /// Row keys read at once.
        const CHUNK: i64 = 1000;
        let Some(plan) = self.plans.plan(self.db, id)? else { return Ok(()) };
        let mut after = None;
        loop {
            let idents = self.db.idents_after(plan.no, after.as_ref(), CHUNK)?;
            for ident in &idents {
                self.recompute(&plan, ident)?;
            }
            match idents.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }

    /// Works a table's fingerprint out again.
    fn recount(&mut self, id: ObjectId) -> Result<()> {
        let Some(plan) = self.plans.plan(self.db, id)? else { return Ok(()) };
        let sum = self.count(&plan)?;
        self.forget_table(plan.no);
        self.db.put_table_fingerprint(plan.no, sum)
    }

    /// A table's fingerprint from its rows.
    pub(crate) fn count(&mut self, plan: &TablePlan) -> Result<Fingerprint> {
        let mut sum = Fingerprint::default();
        let mut each = |run: &mut Self, stored: crate::displaced::Stored| -> Result<()> {
            if !stored.is_pending() {
                sum = sum.plus(run.hash(plan, &stored.image, stored.place)?);
            }
            Ok(())
        };
        self.each_row(plan, &mut each)?;
        Ok(sum)
    }

    /// The visible rows in which a CHECK has decided what some columns hold.
    fn decided_as_wholes(&self, plan: &TablePlan) -> Result<Vec<Ident>> {
        let sql = format!(
            "SELECT rowid, {COLUMN_OVERRIDES} FROM {} WHERE {COLUMN_OVERRIDES} IS NOT NULL",
            plan.sql.name
        );
        let mut rowids = Vec::new();
        self.db.query(&sql, (), |r| {
            if matches!(r.get(1)?, ValueRef::Blob([flags, ..]) if flags & WHOLE != 0) {
                rowids.push(r.int(0)?);
            }
            Ok(NEXT)
        })?;
        let mut idents = Vec::with_capacity(rowids.len());
        for rowid in rowids {
            idents.extend(self.visible(plan, rowid)?.map(|s| s.image.ident));
        }
        Ok(idents)
    }

    /// After a table was reshaped: what may be visible now, or no longer.
    fn look_again(&mut self, id: ObjectId, before: Option<&Shape>, after: &Shape) -> Result<()> {
        let Some(plan) = self.plans.plan(self.db, id)? else { return Ok(()) };
        let displaced = self.displaced_where(&plan, &plan.sql.all_displaced, &[])?;
        if before.is_none_or(|b| b.references != after.references) {
            // What the rows' references read may be something else.
            let mut idents = self.db.bent_of_table(plan.no)?;
            idents.extend(displaced.iter().map(|s| s.image.ident.clone()));
            idents.sort();
            idents.dedup();
            for ident in idents {
                self.recompute(&plan, &ident)?;
            }
        } else {
            for stored in displaced {
                let by_check = matches!(stored.place, Place::Displaced { reason: Reason::Check, .. });
                match by_check || stored.image.flags & WHOLE != 0 {
                    true => self.recompute(&plan, &stored.image.ident)?,
                    false => self.todo.seed(id, stored.image.ident),
                }
            }
        }
        if before.is_some_and(|b| b.joins_otherwise_than(after)) {
            for ident in self.decided_as_wholes(&plan)? {
                self.recompute(&plan, &ident)?;
            }
        }
        for dependent in &plan.dependents {
            let bent = self.db.bent_by(dependent.id)?;
            self.reconsider_bent(dependent.child, &bent)?;
        }
        if before.is_some_and(|b| after.asks_more_than(b)) {
            let mut violating = Vec::new();
            self.each_row(&plan, &mut |run, stored| {
                match run.misfit(&plan, &stored)? {
                    // Perhaps it holds as a whole.
                    Some(Reason::Check) if !plan.wholes.is_empty() => violating.push(stored.image.ident),
                    Some(_) => run.todo.seed(id, stored.image.ident),
                    None => {}
                }
                Ok(())
            })?;
            for ident in violating {
                self.recompute(&plan, &ident)?;
            }
        }
        for reference in &plan.references {
            let shape = after.references.iter().find(|r| r.id == reference.id);
            let new = shape.is_some_and(|s| !before.is_some_and(|b| b.references.contains(s)));
            if !new {
                continue;
            }
            let filled: Vec<String> = reference
                .columns
                .iter()
                .map(|c| format!("{} IS NOT NULL", physical_column(plan.columns[*c].tag)))
                .collect();
            let sql = format!("SELECT rowid FROM {} WHERE {}", plan.sql.name, filled.join(" AND "));
            let todo = &mut self.todo;
            self.db.query(&sql, (), |r| {
                todo.check(id, r.int(0)?);
                Ok(NEXT)
            })?;
        }
        Ok(())
    }
}
