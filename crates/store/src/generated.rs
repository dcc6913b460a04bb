//! Generated columns that are part of keys.
//!
//! Nothing is stored of a generated column in the visible table. An index over one is an SQLite index over its expression,
//! so that local statements meet unique keys at once, whatever they change. A displaced row has no such index to keep its
//! claims: what its generated columns of unique keys are worth is written into it ([`Run::fill`]).
//!
//! The expression may fail on the values of a row. No statement could have written such a row, but merging can: it is
//! displaced as one that its table cannot hold ([`Reason::Type`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use p2pdb_model::catalog::{Table, physical_column, sqlite_collation};
use p2pdb_model::ids::ColumnTag;
use p2pdb_model::schema::IndexPart;
use p2pdb_model::{Value, ValueRef};

use crate::displaced::{Image, Place, Reason, Run, Stored};
use crate::error::Result;
use crate::materialize_plan::TablePlan;
use crate::meaning::Meaning;
use crate::query::NEXT;

/// The generated columns of a table that are parts of its indexes, with their expressions. `None`: no value any more.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Generated {
    columns: BTreeMap<ColumnTag, GeneratedColumn>,
}

#[derive(Clone, Debug, PartialEq)]
struct GeneratedColumn {
    expression: Option<String>,
    collation: Option<&'static str>,
    /// Part of a unique key.
    unique: bool,
}

impl Generated {
    pub(crate) fn of(table: &Arc<Table>, meaning: &Meaning) -> Self {
        let mut columns = BTreeMap::new();
        for c in table.columns.iter().filter(|c| c.def.generated.is_some()) {
            let mut of =
                table.indexes.iter().filter(|i| i.def.parts.iter().any(|p| p.column == c.tag)).peekable();
            if of.peek().is_some() {
                let expression = (meaning.generated)(table, c.tag);
                let (collation, unique) = (sqlite_collation(&c.def.ty), of.any(|i| i.def.unique));
                columns.insert(c.tag, GeneratedColumn { expression, collation, unique });
            }
        }
        Generated { columns }
    }

    /// There are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// All parts of an index have values.
    pub(crate) fn has_values(&self, parts: &[IndexPart]) -> bool {
        parts.iter().all(|p| self.columns.get(&p.column).is_none_or(|c| c.expression.is_some()))
    }

    /// The column's value in the visible table as SQL.
    pub(crate) fn operand(&self, tag: ColumnTag) -> String {
        match self.columns.get(&tag) {
            Some(GeneratedColumn { expression: Some(sql), collation: Some(collation), .. }) => {
                format!("({sql}) COLLATE \"{collation}\"")
            }
            Some(GeneratedColumn { expression: Some(sql), .. }) => format!("({sql})"),
            _ => physical_column(tag),
        }
    }

    /// The columns of unique keys with their expressions.
    pub(crate) fn unique(&self) -> impl Iterator<Item = (ColumnTag, &str)> {
        self.expressions().filter(|(tag, _)| self.is_unique(*tag))
    }

    pub(crate) fn is_unique(&self, tag: ColumnTag) -> bool {
        self.columns.get(&tag).is_some_and(|c| c.unique && c.expression.is_some())
    }

    /// The columns that have values, with their expressions.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = (ColumnTag, &str)> {
        self.columns.iter().filter_map(|(tag, c)| Some((*tag, c.expression.as_deref()?)))
    }

    /// The expressions as a list.
    pub(crate) fn list(&self) -> String {
        self.expressions().map(|(_, sql)| format!("({sql})")).collect::<Vec<_>>().join(", ")
    }
}

impl Run<'_> {
    /// Writes into a displaced row what its generated columns of unique keys are worth; NULL where they fail.
    pub(crate) fn fill(&self, plan: &TablePlan, rowid: i64) -> Result<()> {
        let Some(sql) = &plan.sql.fill_displaced else { return Ok(()) };
        match self.db.execute(sql, [ValueRef::Int(rowid)]) {
            Err(e) if e.is_of_function() => Ok(()),
            done => done.map(drop),
        }
    }

    /// The generated columns of keys have no values in this displaced row.
    pub(crate) fn ungenerated(&self, plan: &TablePlan, stored: &Stored) -> Result<Option<Reason>> {
        let (Some(sql), Place::Displaced { .. }) = (&plan.sql.generate_displaced, stored.place) else {
            return Ok(None);
        };
        match self.db.query_one(sql, [ValueRef::Int(stored.rowid)], |_| Ok(())) {
            Err(e) if e.is_of_function() => Ok(Some(Reason::Type)),
            done => done.map(|_| None),
        }
    }

    /// Every visible row has values for the generated columns of keys.
    pub(crate) fn all_generate(&self, plan: &TablePlan) -> Result<bool> {
        if plan.generated.is_empty() {
            return Ok(true);
        }
        let counts: Vec<String> =
            plan.generated.expressions().map(|(_, sql)| format!("count({sql})")).collect();
        if counts.is_empty() {
            return Ok(true);
        }
        let sql = format!("SELECT {} FROM {}", counts.join(", "), plan.sql.name);
        match self.db.query_one(&sql, (), |_| Ok(())) {
            Err(e) if e.is_of_function() => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// After the keys changed: writes all displaced rows' generated columns again.
    pub(crate) fn refill(&self, plan: &TablePlan) -> Result<()> {
        let all = plan.columns.iter().filter(|c| !c.stored);
        let clear: Vec<String> = all.map(|c| format!("{} = NULL", physical_column(c.tag))).collect();
        if clear.is_empty() {
            return Ok(());
        }
        self.db.execute(&format!("UPDATE {} SET {}", plan.sql.displaced, clear.join(", ")), ())?;
        let mut rowids = Vec::new();
        self.db.query(&format!("SELECT rowid FROM {}", plan.sql.displaced), (), |r| {
            rowids.push(r.int(0)?);
            Ok(NEXT)
        })?;
        rowids.into_iter().try_for_each(|rowid| self.fill(plan, rowid))
    }

    /// The row with its generated columns of unique keys, which captured rows do not have; NULL where they fail.
    pub(crate) fn generate(&self, plan: &TablePlan, image: &Image) -> Result<Image> {
        let mut image = image.clone();
        let Some(sql) = &plan.sql.generate else { return Ok(image) };
        let row = match self.db.query_one(sql, &image.values[..], |r| r.to_values()) {
            Err(e) if e.is_of_function() => None,
            done => done?,
        };
        let mut row = row.into_iter().flatten();
        for (tag, _) in plan.generated.unique() {
            if let Some(i) = plan.column(tag) {
                image.values[i] = row.next().unwrap_or(Value::Null);
            }
        }
        Ok(image)
    }

    /// The key of the visible row with this rowid, unless a part is NULL or the row is gone.
    pub(crate) fn key_at(&self, plan: &TablePlan, unique: usize, rowid: i64) -> Result<Option<Vec<Value>>> {
        let Some(stored) = self.visible(plan, rowid)? else { return Ok(None) };
        let key = plan.key_of(&plan.uniques[unique].columns, &stored.image);
        Ok(key.map(|key| key.into_iter().map(|v| v.to_value()).collect()))
    }
}
