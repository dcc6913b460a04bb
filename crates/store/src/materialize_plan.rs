//! A table's plan: everything about its physical form that rows are read and written with, and the SQLite text
//! for it, worked out once per schema change.

use std::sync::Arc;

use p2pdb_merge::CellRule;
use p2pdb_model::catalog::{
    COLUMN_KEY, COLUMN_OVERRIDES, COLUMN_VERSION, ForeignKey, Table, physical_column, physical_displaced,
    physical_table, sqlite_collation,
};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId, hex};
use p2pdb_model::schema::{IndexPart, ReferentialAction};
use p2pdb_model::types::SqlType;
use p2pdb_model::{Catalog, CellKind, Value};

use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::generated::Generated;
use crate::log::TxNo;
use crate::materialize::{born, checks, unwritten};
use crate::meaning::{ColumnHistory, Meaning};
use crate::objects::Schema;
use crate::query::NEXT;

/// Hidden column of displaced rows: why.
pub(crate) const COLUMN_REASON: &str = "_r";
/// Hidden column of displaced rows: which incarnation (0: the visible one if nothing stood against it).
pub(crate) const COLUMN_UNIT: &str = "_i";

/// A column of the physical table.
#[derive(Clone, Debug)]
pub(crate) struct PlanColumn {
    pub tag: ColumnTag,
    /// Holds values that statements give (a generated column does not).
    pub stored: bool,
    /// What a cell holds that no change ever wrote.
    pub unwritten: Value,
    /// Rows written by earlier transactions have no version for it.
    pub added: TxNo,
    /// How its cells merge.
    pub kind: CellKind,
    /// Its type.
    pub ty: SqlType,
    /// It may hold NULL.
    pub nullable: bool,
    /// Its cells are sealed.
    pub sealed: bool,
    /// Where values of the log are converted.
    pub history: Option<ColumnHistory>,
    /// What `unwritten` is in the column's first type.
    pub born: Value,
}

impl PlanColumn {
    pub(crate) fn rule(&self) -> CellRule<'_> {
        CellRule { kind: self.kind, ty: &self.ty, unwritten: &self.unwritten }
    }

    /// A cell may hold this: of its type, or anything that has the shape of a sealed cell.
    pub(crate) fn holds(&self, value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Blob(cell) if self.sealed => p2pdb_model::sealed::epoch_of(cell).is_some(),
            _ => !self.sealed && self.ty.holds(value),
        }
    }
}

/// A CHECK.
#[derive(Clone, Debug)]
pub(crate) struct PlanCheck {
    pub id: ObjectId,
    /// The columns that it reads.
    pub columns: Vec<usize>,
    /// Does the visible, the displaced row with rowid ?1 violate it?
    pub violated_visible: String,
    pub violated_displaced: String,
}

/// Columns that CHECKs join, directly or over others, two registers at least; see `whole`.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    /// All columns that the CHECKs read (indexes into the plan's).
    pub reads: Vec<usize>,
    /// The registers among them.
    pub registers: Vec<usize>,
    /// Those that may be held back: none of a unique key, as when that was written decides which of two rows has a value.
    pub held: Vec<usize>,
    /// The CHECKs (indexes into the plan's).
    pub checks: Vec<usize>,
}

/// A unique key.
#[derive(Clone, Debug)]
pub(crate) struct Unique {
    /// The index.
    pub id: ObjectId,
    /// Its columns (indexes into the plan's).
    pub columns: Vec<usize>,
    /// What is written to them counts for the row's priority: its columns, and those that generated ones are made of.
    pub sources: Vec<usize>,
    /// Some of its columns are generated.
    pub generated: bool,
    /// `… WHERE` that finds rows with this key, values as `?1…`.
    pub find_visible: String,
    pub find_displaced: String,
}

/// A foreign key, from the child's side.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Index into the table's `foreign_keys`.
    pub number: usize,
    pub columns: Vec<usize>,
    /// The constraint.
    pub id: ObjectId,
    pub parent: ObjectId,
    /// The parent's columns.
    pub parent_columns: Vec<ColumnTag>,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
    /// A parent that goes or changes its key may change what the columns read (`effects`).
    pub bends: bool,
    /// Is there a visible parent with these values?
    pub parent_exists: String,
    /// The visible parent.
    pub find_parent: String,
    /// Is there a live one that is displaced?
    pub parent_waits: String,
    /// Is the first half of the parameters the same key as the second?
    pub same_key: String,
    /// The identities of the live rows of the parent's table that may have been born with another key than they have now, where a
    /// key may be written in several ways.
    pub moved: Option<[String; 2]>,
}

impl Reference {
    /// A row that refers to a parent keeps it against those who have not seen that.
    pub(crate) fn holds_on(&self) -> bool {
        matches!(self.on_delete, ReferentialAction::NoAction | ReferentialAction::Restrict)
    }
}

/// A foreign key, from the parent's side.
#[derive(Clone, Debug)]
pub(crate) struct Dependent {
    pub child: ObjectId,
    /// Index into the child's `foreign_keys`.
    pub number: usize,
    /// The parent's columns.
    pub columns: Vec<usize>,
    /// The child's columns.
    pub child_columns: Vec<ColumnTag>,
    /// Which of them hold no NULL.
    pub required: Vec<bool>,
    pub on_delete: ReferentialAction,
    pub on_update: ReferentialAction,
    /// Rowids of visible and of displaced children with these values.
    pub find_visible: String,
    pub find_displaced: String,
    /// The constraint.
    pub id: ObjectId,
    /// Visible children with these values, whole, and displaced ones that are live for whatever reason.
    pub all_visible: String,
    pub all_displaced: String,
}

/// What a place of a captured row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Column(usize),
    Version,
    Overrides,
    Key,
    Other,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct TablePlan {
    pub table: Arc<Table>,
    pub no: i64,
    pub columns: Vec<PlanColumn>,
    /// The column that is SQLite's rowid.
    pub rowid: Option<usize>,
    /// The primary key's columns, where a row's identity is its primary key unless `_k` says otherwise.
    pub key: Vec<usize>,
    /// The primary key is not what the table was made with: new rows write their identity out.
    pub rekeyed: bool,
    /// The column that says whose row it is; rows' keys end with that.
    pub owner: Option<usize>,
    pub uniques: Vec<Unique>,
    /// By the ids of the constraints.
    pub references: Vec<Reference>,
    /// Foreign keys whose parent is not there, by their place in the table's list, with their columns: merging asks nothing of them.
    pub parentless: Vec<(usize, Vec<usize>)>,
    pub dependents: Vec<Dependent>,
    /// The order of columns in SQLite.
    pub slots: Vec<Slot>,
    pub checks: Vec<PlanCheck>,
    /// Generated columns that are parts of keys.
    pub generated: Generated,
    /// What CHECKs join; no column is in two.
    pub wholes: Vec<Whole>,
    /// Columns whose change may displace a row or bring one back.
    pub constrained: Vec<bool>,
    /// Columns in ascending order of their tags.
    pub by_tag: Vec<usize>,
    /// Counters, each with its place in a captured row.
    pub counters: Vec<(usize, usize)>,
    pub sql: PlanSql,
}

#[derive(Debug)]
pub(crate) struct PlanSql {
    pub name: String,
    /// `SELECT rowid, _v, _o, _k, columns… FROM t WHERE rowid = ?1`
    pub get: String,
    /// The same by `_k`.
    pub get_by_ident: String,
    /// The same by primary key; empty where the identity is not the key.
    pub get_by_key: String,
    /// Does nothing where a unique key is taken.
    pub insert_if_free: String,
    pub delete: String,
    pub all: String,
    pub set_hidden: String,
    pub get_displaced: String,
    pub get_displaced_by_ident: String,
    pub any_displaced: String,
    /// The identities of all displaced rows.
    pub waiting: String,
    pub insert_displaced: String,
    pub delete_displaced: String,
    pub all_displaced: String,
    pub set_reason: String,
    /// The table of displaced rows.
    pub displaced: String,
    /// Computes the generated columns of keys for the displaced row with rowid ?1, and writes those of unique keys into it.
    pub generate_displaced: Option<String>,
    pub fill_displaced: Option<String>,
    /// The generated columns of unique keys for the values of all columns, `?1…`.
    pub generate: Option<String>,
}

/// The columns of an index, as CREATE INDEX takes them.
///
/// An index that is not unique takes columns of bounded length whole: SQLite would not use one over a prefix, since
/// under most collations equal texts need not have equal prefixes (`ß` = `ss`).
pub(crate) fn index_columns(
    table: &Table,
    parts: &[IndexPart],
    unique: bool,
    generated: &Generated,
) -> String {
    let bounded = |p: &IndexPart| {
        table.column_by_tag(p.column).is_some_and(|c| {
            matches!(
                c.def.ty,
                SqlType::Char { .. }
                    | SqlType::VarChar { .. }
                    | SqlType::Binary { .. }
                    | SqlType::VarBinary { .. }
            )
        })
    };
    let part = |p: &IndexPart| {
        let order = if p.descending { " DESC" } else { "" };
        let column = generated.operand(p.column);
        let sql = if !unique && bounded(p) { column } else { table.part_sql(p, &column) };
        format!("{sql}{order}")
    };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// `a = ?1 AND b = ?2` over index parts.
fn equals(table: &Table, parts: &[IndexPart], generated: &Generated) -> String {
    let one = |(n, p): (usize, &IndexPart)| {
        let column = generated.operand(p.column);
        format!("{} = {}", table.part_sql(p, &column), table.part_sql(p, &format!("?{}", n + 1)))
    };
    parts.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
}

/// `a = ?1 AND b = ?2` over whole columns.
pub(crate) fn equals_columns(tags: &[ColumnTag]) -> String {
    let one = |(n, t): (usize, &ColumnTag)| format!("{} = ?{}", physical_column(*t), n + 1);
    tags.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND ")
}

impl TablePlan {
    /// Works the plan out for a table; `is_made`: it exists in SQLite.
    pub(crate) fn build(
        db: &Connection,
        table: &Arc<Table>,
        schema: &Schema,
        meaning: &Meaning,
        is_made: bool,
    ) -> Result<Self> {
        let (catalog, rekeyed) = (&schema.catalog, schema.rekeyed.contains(&table.id));
        let checks = checks(meaning, table);
        let generated = Generated::of(table, meaning);
        let no = db.table_no(table.id)?;
        let mut added = std::collections::HashMap::new();
        db.query("SELECT tag, added FROM col WHERE tbl = ?1", [p2pdb_model::ValueRef::Int(no)], |r| {
            added.insert(r.int(0)?, TxNo(r.int(1)? as u64));
            Ok(NEXT)
        })?;
        let mut columns: Vec<PlanColumn> = Vec::new();
        for c in &table.columns {
            let history = schema.types.get(&c.id);
            columns.push(PlanColumn {
                tag: c.tag,
                stored: c.def.generated.is_none(),
                unwritten: unwritten(schema, meaning, c.id)?,
                added: added.get(&i64::from(c.tag.0)).copied().unwrap_or_default(),
                kind: c.cell_kind(),
                ty: c.def.ty.clone(),
                nullable: c.def.nullable,
                sealed: c.is_sealed(),
                history: history.and_then(|typed| ColumnHistory::of(typed, &meaning.conversion)),
                born: born(schema, meaning, c.id),
            });
        }
        let at = |tag: ColumnTag| columns.iter().position(|c| c.tag == tag);
        let all_at = |tags: &[ColumnTag]| tags.iter().map(|t| at(*t)).collect::<Option<Vec<_>>>();
        let rowid = table.rowid_column().and_then(|c| at(c.tag));
        let primary = table.primary();
        let key = match primary {
            Some(p) if p.def.parts.iter().all(|p| p.prefix.is_none()) => {
                p.def.parts.iter().filter_map(|p| at(p.column)).collect()
            }
            _ => Vec::new(),
        };
        let (name, displaced) = (physical_table(table.id), physical_displaced(table.id));
        let fields = fields(table);
        let (from_t, from_x) = select_from(table, &generated);
        let claims = format!("{COLUMN_UNIT} = 0 AND {COLUMN_REASON} <= {}", crate::displaced::CLAIMS_MAX);
        let uniques = table
            .indexes
            .iter()
            .filter(|i| i.def.unique && generated.has_values(&i.def.parts))
            .filter_map(|i| {
                let key = i.def.parts.iter().map(|p| at(p.column)).collect::<Option<Vec<_>>>()?;
                let (same, same_displaced) = (
                    equals(table, &i.def.parts, &generated),
                    equals(table, &i.def.parts, &Generated::default()),
                );
                let of_key =
                    generated.unique().filter(|(tag, _)| i.def.parts.iter().any(|p| p.column == *tag));
                let expressions: Vec<&str> = of_key.map(|(_, sql)| sql).collect();
                let made_of = |c: &PlanColumn| expressions.iter().any(|e| reads(e, &physical_column(c.tag)));
                let mut sources = key.clone();
                sources.extend((0..columns.len()).filter(|c| made_of(&columns[*c])));
                Some(Unique {
                    id: i.id,
                    columns: key,
                    sources,
                    generated: !expressions.is_empty(),
                    find_visible: format!("{from_t} WHERE {same}"),
                    find_displaced: format!("{from_x} WHERE {same_displaced} AND {claims}"),
                })
            })
            .collect::<Vec<_>>();
        let mut references = table
            .foreign_keys
            .iter()
            .enumerate()
            .filter_map(|(number, fk)| {
                let (parent, parent_columns) = fk.parent.as_ref()?;
                let parent_table = physical_table(*parent);
                let same = equals_columns(parent_columns);
                let plain = Generated::default();
                let (parent_row, _) = catalog.table_by_id(*parent).map(|t| select_from(t, &plain))?;
                Some(Reference {
                    number,
                    columns: all_at(&fk.def.columns)?,
                    id: fk.id,
                    parent: *parent,
                    parent_columns: parent_columns.clone(),
                    on_delete: fk.def.on_delete,
                    on_update: fk.def.on_update,
                    bends: !feeds_itself(catalog, table.id, number),
                    same_key: same_key(catalog.table_by_id(*parent)?, parent_columns),
                    moved: moved(catalog.table_by_id(*parent)?, parent_columns),
                    find_parent: format!("{parent_row} WHERE {same}"),
                    parent_waits: format!(
                        "SELECT 1 FROM {} WHERE {same} AND {COLUMN_UNIT} = 0 LIMIT 1",
                        physical_displaced(*parent)
                    ),
                    parent_exists: format!(
                        "SELECT 1 FROM {parent_table} WHERE {} LIMIT 1",
                        equals_columns(parent_columns)
                    ),
                })
            })
            .collect::<Vec<_>>();
        let is_parentless = |(number, fk): (usize, &ForeignKey)| {
            let there = fk.parent.as_ref().is_some_and(|(parent, _)| catalog.table_by_id(*parent).is_some());
            Some((number, all_at(&fk.def.columns)?)).filter(|_| !there)
        };
        let parentless = table.foreign_keys.iter().enumerate().filter_map(is_parentless).collect();
        references.sort_by_key(|r| r.id);
        let mut dependents = Vec::new();
        for (child, number) in catalog.referenced_by(table.id) {
            let Some(child_table) = catalog.table_by_id(*child) else { continue };
            let fk = &child_table.foreign_keys[*number];
            let Some(columns) = fk.parent.as_ref().and_then(|(_, c)| all_at(c)) else { continue };
            let same = equals_columns(&fk.def.columns);
            let (child_row, child_displaced) = select_from(child_table, &Generated::default());
            dependents.push(Dependent {
                id: fk.id,
                all_visible: format!("{child_row} WHERE {same}"),
                all_displaced: format!("{child_displaced} WHERE {same} AND {COLUMN_UNIT} = 0"),
                child: *child,
                number: *number,
                columns,
                child_columns: fk.def.columns.clone(),
                required: {
                    let column = |tag: &ColumnTag| child_table.column_by_tag(*tag);
                    fk.def.columns.iter().map(|tag| column(tag).is_some_and(|c| !c.def.nullable)).collect()
                },
                on_delete: fk.def.on_delete,
                on_update: fk.def.on_update,
                find_visible: format!("SELECT rowid FROM {} WHERE {same}", physical_table(*child)),
                find_displaced: format!(
                    "SELECT rowid FROM {} WHERE {same} AND {COLUMN_UNIT} = 0 AND {COLUMN_REASON} = {}",
                    physical_displaced(*child),
                    crate::displaced::Reason::Reference as i64
                ),
            });
        }
        let checks: Vec<PlanCheck> = checks
            .iter()
            .map(|(id, condition)| {
                let read = |c: &PlanColumn| reads(condition, &physical_column(c.tag));
                // The condition may name the table.
                let violated =
                    |t: &str| format!("SELECT 1 FROM {t} AS {name} WHERE rowid = ?1 AND NOT ({condition})");
                PlanCheck {
                    id: *id,
                    columns: (0..columns.len()).filter(|i| read(&columns[*i])).collect(),
                    violated_visible: violated(&name),
                    violated_displaced: violated(&displaced),
                }
            })
            .collect();
        let unique: Vec<usize> = uniques.iter().flat_map(|u| u.sources.iter().copied()).collect();
        let wholes = wholes(&columns, &checks, &unique);
        let mut constrained = vec![false; columns.len()];
        for (_, expression) in generated.expressions() {
            for (i, c) in columns.iter().enumerate() {
                constrained[i] |= reads(expression, &physical_column(c.tag));
            }
        }
        let unique_columns = uniques.iter().flat_map(|u| &u.columns);
        let reference_columns = references.iter().flat_map(|r| &r.columns);
        let parent_columns = dependents.iter().flat_map(|d| &d.columns);
        let checked_columns = checks.iter().flat_map(|c| &c.columns);
        let keys = unique_columns.chain(reference_columns).chain(parent_columns).chain(&key);
        for c in keys.chain(checked_columns) {
            constrained[*c] = true;
        }
        let slots = if is_made { slots(db, &name, &columns)? } else { Vec::new() };
        let counters = slots.iter().enumerate().filter_map(|(at, slot)| match slot {
            Slot::Column(i) if columns[*i].kind == CellKind::Counter => Some((*i, at)),
            _ => None,
        });
        let counters = counters.collect();
        let mut by_tag: Vec<usize> = (0..columns.len()).collect();
        by_tag.sort_by_key(|i| columns[*i].tag);
        let params =
            |from: usize, n: usize| (from..from + n).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ");
        let by_key: Vec<ColumnTag> = key.iter().map(|k| columns[*k].tag).collect();
        let sql = PlanSql {
            get: format!("{from_t} WHERE rowid = ?1"),
            get_by_ident: format!("{from_t} WHERE {COLUMN_KEY} = ?1"),
            get_by_key: if key.is_empty() {
                String::new()
            } else {
                format!("{from_t} WHERE {}", equals_columns(&by_key))
            },
            insert_if_free: format!(
                "INSERT INTO {name} ({fields}) VALUES ({}) ON CONFLICT DO NOTHING",
                (0..columns.len() + 3)
                    .map(|n| match n.checked_sub(3).is_some_and(|i| !columns[i].stored) {
                        true => format!("nullif(?{0}, ?{0})", n + 1),
                        false => format!("?{}", n + 1),
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            delete: format!("DELETE FROM {name} WHERE rowid = ?1"),
            all: from_t,
            set_hidden: format!(
                "UPDATE {name} SET {COLUMN_VERSION} = ?2, {COLUMN_OVERRIDES} = ?3, {COLUMN_KEY} = ?4 WHERE rowid = ?1"
            ),
            get_displaced: format!("{from_x} WHERE rowid = ?1"),
            get_displaced_by_ident: format!("{from_x} WHERE {COLUMN_KEY} = ?1"),
            any_displaced: format!("SELECT 1 FROM {displaced} LIMIT 1"),
            waiting: format!("SELECT {COLUMN_KEY} FROM {displaced}"),
            insert_displaced: format!(
                "INSERT INTO {displaced} ({fields}, {COLUMN_REASON}, {COLUMN_UNIT}) VALUES ({})",
                params(1, columns.len() + 5)
            ),
            delete_displaced: format!("DELETE FROM {displaced} WHERE rowid = ?1"),
            all_displaced: from_x,
            set_reason: format!("UPDATE {displaced} SET {COLUMN_REASON} = ?2 WHERE rowid = ?1"),
            generate_displaced: (generated.expressions().next().is_some())
                .then(|| format!("SELECT {} FROM {displaced} WHERE rowid = ?1", generated.list())),
            fill_displaced: generated.unique().next().is_some().then(|| {
                let sets = generated.unique().map(|(tag, sql)| format!("{} = ({sql})", physical_column(tag)));
                format!("UPDATE {displaced} SET {} WHERE rowid = ?1", sets.collect::<Vec<_>>().join(", "))
            }),
            generate: generated.unique().next().is_some().then(|| {
                let given = table.columns.iter().zip(1..).map(|(c, n)| {
                    let collation = sqlite_collation(&c.def.ty);
                    let collate = collation.map_or_else(String::new, |c| format!(" COLLATE \"{c}\""));
                    format!("?{n}{collate} AS {}", physical_column(c.tag))
                });
                let given = given.collect::<Vec<_>>().join(", ");
                let list =
                    generated.unique().map(|(_, sql)| format!("({sql})")).collect::<Vec<_>>().join(", ");
                format!("SELECT {list} FROM (SELECT {given})")
            }),
            displaced,
            name,
        };
        let owns = |i: &usize| columns[*i].stored && columns[*i].kind == CellKind::Owner;
        let owner = (0..columns.len()).filter(owns).min_by_key(|i| columns[*i].tag);
        Ok(Self {
            table: table.clone(),
            no,
            columns,
            rowid,
            key,
            rekeyed,
            owner,
            uniques,
            references,
            parentless,
            dependents,
            checks,
            generated,
            wholes,
            slots,
            constrained,
            by_tag,
            counters,
            sql,
        })
    }

    /// The version of column `i` in a row whose `_v` is `version`, unless `_o` says otherwise. 0: never written.
    pub(crate) fn implied(&self, i: usize, version: TxNo) -> TxNo {
        let c = &self.columns[i];
        if !c.stored || version < c.added { TxNo(0) } else { version }
    }

    pub(crate) fn column(&self, tag: ColumnTag) -> Option<usize> {
        self.columns.iter().position(|c| c.tag == tag)
    }

    /// The column is no plain register: all its writes are merged together.
    pub(crate) fn is_joint(&self, tag: ColumnTag) -> bool {
        self.column(tag).is_some_and(|i| self.columns[i].kind != CellKind::Register)
    }

    /// There is such a column, and statements give its values.
    pub(crate) fn stores(&self, tag: ColumnTag) -> bool {
        self.columns.iter().any(|c| c.tag == tag && c.stored)
    }
}

/// The condition names this column.
fn reads(condition: &str, column: &str) -> bool {
    condition.match_indices(column).any(|(at, _)| {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (before, after) = (&condition[..at], &condition[at + column.len()..]);
        !before.ends_with(word) && !after.starts_with(word)
    })
}

/// `SELECT 1 WHERE ?1 = ?3 … AND ?2 = ?4 …`, each by the collation of its column.
fn same_key(table: &Table, columns: &[ColumnTag]) -> String {
    let one = |(n, tag): (usize, &ColumnTag)| {
        let collation = table.column_by_tag(*tag).and_then(|c| sqlite_collation(&c.def.ty));
        let collate = collation.map(|c| format!(" COLLATE \"{c}\"")).unwrap_or_default();
        format!("?{} = ?{}{collate}", n + 1, n + 1 + columns.len())
    };
    format!("SELECT 1 WHERE {}", columns.iter().enumerate().map(one).collect::<Vec<_>>().join(" AND "))
}

/// See [`Reference::moved`].
fn moved(table: &Table, columns: &[ColumnTag]) -> Option<[String; 2]> {
    let folds = |tag| table.column_by_tag(tag).is_some_and(|c| sqlite_collation(&c.def.ty).is_some());
    let (t, x) = (physical_table(table.id), physical_displaced(table.id));
    columns.iter().any(|tag| folds(*tag)).then(|| {
        [
            format!("SELECT {COLUMN_KEY} FROM {t} WHERE {COLUMN_KEY} IS NOT NULL"),
            format!("SELECT {COLUMN_KEY} FROM {x} WHERE {COLUMN_UNIT} = 0"),
        ]
    })
}

/// The fields of a row as [`select_from`] lists them, without its rowid.
fn fields(table: &Table) -> String {
    let list: String = table.columns.iter().map(|c| format!(", {}", physical_column(c.tag))).collect();
    format!("{COLUMN_VERSION}, {COLUMN_OVERRIDES}, {COLUMN_KEY}{list}")
}

/// SELECT of whole rows, visible and displaced, as far as WHERE. Of generated columns the visible table holds nothing: those
/// of unique keys are computed where they are `generated`.
fn select_from(table: &Arc<Table>, generated: &Generated) -> (String, String) {
    let fields = fields(table);
    let (t, x) = (physical_table(table.id), physical_displaced(table.id));
    let read = |tag: ColumnTag| match generated.is_unique(tag) {
        true => format!(", {}", generated.operand(tag)),
        false => format!(", {}", physical_column(tag)),
    };
    let list: String = table.columns.iter().map(|c| read(c.tag)).collect();
    (
        format!("SELECT rowid, {COLUMN_VERSION}, {COLUMN_OVERRIDES}, {COLUMN_KEY}{list} FROM {t}"),
        format!("SELECT rowid, {fields}, {COLUMN_REASON}, {COLUMN_UNIT} FROM {x}"),
    )
}

/// What this foreign key does to the child's columns may come back to it: other keys refer to these columns, and so on, as far
/// as the columns that it refers to itself.
pub(crate) fn feeds_itself(catalog: &Catalog, child: ObjectId, number: usize) -> bool {
    let mut seen = vec![(child, number)];
    let mut next = 0;
    while let Some(&(table, n)) = seen.get(next) {
        next += 1;
        let Some(columns) = catalog.table_by_id(table).and_then(|t| t.foreign_keys.get(n)) else { continue };
        for (fed, m) in catalog.referenced_by(table) {
            let fk = catalog.table_by_id(*fed).and_then(|t| t.foreign_keys.get(*m));
            let Some((_, read)) = fk.and_then(|fk| fk.parent.as_ref()) else { continue };
            if !read.iter().any(|c| columns.def.columns.contains(c)) {
                continue;
            }
            if (*fed, *m) == (child, number) {
                return true;
            }
            if !seen.contains(&(*fed, *m)) {
                seen.push((*fed, *m));
            }
        }
    }
    false
}

fn wholes(columns: &[PlanColumn], checks: &[PlanCheck], unique: &[usize]) -> Vec<Whole> {
    let mut group: Vec<usize> = (0..columns.len()).collect();
    for check in checks {
        let Some(first) = check.columns.iter().map(|c| group[*c]).min() else { continue };
        let met: Vec<usize> = check.columns.iter().map(|c| group[*c]).collect();
        group.iter_mut().filter(|g| met.contains(g)).for_each(|g| *g = first);
    }
    let one = |g: usize| {
        let of_group = |c: &PlanCheck| c.columns.first().is_some_and(|c| group[*c] == g);
        let reads: Vec<usize> = (0..columns.len()).filter(|c| group[*c] == g).collect();
        let plain = |i: &usize| columns[*i].stored && columns[*i].kind == CellKind::Register;
        let registers: Vec<usize> = reads.iter().copied().filter(plain).collect();
        let held = |i: &usize| !unique.contains(i) || fault::on(Fault::UniqueWrittenAlong);
        let held: Vec<usize> = registers.iter().copied().filter(held).collect();
        let checks = (0..checks.len()).filter(|n| of_group(&checks[*n])).collect();
        (registers.len() > 1 && !held.is_empty()).then_some(Whole { reads, registers, held, checks })
    };
    let mut groups: Vec<usize> = checks.iter().flat_map(|c| c.columns.first()).map(|c| group[*c]).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.into_iter().filter_map(one).collect()
}

fn slots(db: &Connection, name: &str, columns: &[PlanColumn]) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    let pragma = format!("SELECT name FROM pragma_table_xinfo('{name}') ORDER BY cid");
    db.query(&pragma, (), |r| {
        let p2pdb_model::ValueRef::Text(column) = r.get(0)? else { return Ok(NEXT) };
        slots.push(match column {
            COLUMN_VERSION => Slot::Version,
            COLUMN_OVERRIDES => Slot::Overrides,
            COLUMN_KEY => Slot::Key,
            _ => columns
                .iter()
                .position(|c| physical_column(c.tag) == column)
                .map_or(Slot::Other, Slot::Column),
        });
        Ok(NEXT)
    })?;
    let held = slots.iter().filter(|s| matches!(s, Slot::Column(_))).count();
    if held != columns.len() {
        return Err(StoreError::Corrupt(format!("table {name} does not have the columns of the schema")));
    }
    Ok(slots)
}

/// The name of the index that finds rows by their identity.
pub(crate) fn key_index(id: ObjectId) -> String {
    format!("k_{}", hex(&id.0))
}
