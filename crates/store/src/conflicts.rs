//! What lost: `p2pdb.conflicts` and the history of a row, read from the merged state and the log.
//!
//! Every line is a function of the blocks held. Two concurrent writes of one value are kept as siblings but are no
//! conflict, so they are left out here. Not here: how a value of some MySQL type is shown (`sql`).

use std::collections::BTreeSet;

use p2pdb_merge::cell::lost_value;
use p2pdb_merge::{Write, WriteKind};
use p2pdb_model::change::{Layout, RowChange};
use p2pdb_model::ids::{Cid, ColumnTag, NodeId, ObjectId};
use p2pdb_model::{AccountId, CellKind, RowKey, SqlType, Stamp, Value, ValueRef};

use crate::adrift::void_inserts;
use crate::apply::Merger;
use crate::connection::Connection;
use crate::displaced::{Image, MISFIT, Place, Run, Stored};
use crate::error::{Result, StoreError};
use crate::index::{At, IsAncestor, LOST_DELETE, Loaded, OUTVOTED};
use crate::index_ident::Ident;
use crate::log::{TxNo, Verdict};
use crate::materialize_plan::TablePlan;
use crate::meaning::known_of;
use crate::obstacles::Obstacle;
use crate::query::{Flow, NEXT};

/// By which rule something lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Two writes of a cell that had not seen each other: the greater in write order won.
    ConcurrentWrite,
    /// A delete and an edit that had not seen each other: the edit kept the row; or a row that was deleted and
    /// inserted again, against an edit of the old one.
    ConcurrentDelete,
    /// Two rows with one value of a unique key: the one whose keys were written first keeps it.
    Unique,
    /// A row that it refers to is not visible.
    Reference,
    /// Two rows with one generated key: the first keeps it.
    GeneratedKey,
    /// Two rows of one key that is of other columns in each: the first keeps it.
    PrimaryKey,
    /// A value that the table cannot hold.
    Type,
    /// NULL in a column that takes none.
    NotNull,
    /// A CHECK that the merged row violates.
    Check,
    /// A row that somebody changed, and whose INSERT is void.
    VoidInsert,
    /// A row of a table whose CREATE is void.
    VoidTable,
    /// A row of a table that is gone, written beside its drop.
    DroppedTable,
    /// A value that was written to a column beside its drop.
    DroppedColumn,
}

impl Rule {
    /// As `p2pdb.conflicts` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::ConcurrentWrite => "concurrent write",
            Rule::ConcurrentDelete => "concurrent delete",
            Rule::Unique => "unique",
            Rule::Reference => "reference",
            Rule::GeneratedKey => "generated key",
            Rule::PrimaryKey => "primary key",
            Rule::Type => "type",
            Rule::NotNull => "not null",
            Rule::Check => "check",
            Rule::VoidInsert => "void insert",
            Rule::VoidTable => "void table",
            Rule::DroppedTable => "dropped table",
            Rule::DroppedColumn => "dropped column",
        }
    }
}

/// A write, and who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The value, in stored form; `None` for a delete or a whole row.
    pub value: Option<Value>,
    /// The type in which its author wrote it, where the value is given as it was written, and not in the column's present type:
    /// it would not read the same there.
    pub ty: Option<SqlType>,
    /// The node.
    pub author: NodeId,
    /// The account.
    pub account: AccountId,
    /// The block's clock.
    pub stamp: Stamp,
    /// The block.
    pub block: Cid,
}

/// One line of `p2pdb.conflicts`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The table.
    pub table: ObjectId,
    /// The row's identity.
    pub key: RowKey,
    /// The key that it has now, by which statements and decisions find it; its identity, where it has none.
    pub now: RowKey,
    /// The columns that it is about: one of a cell; those of the unique or foreign key; none for a whole row.
    pub columns: Vec<ColumnTag>,
    /// By which rule.
    pub rule: Rule,
    /// What won, if there is something.
    pub winner: Option<Side>,
    /// What lost.
    pub loser: Option<Side>,
    /// A displaced row, whole.
    pub row: Option<Vec<RowCell>>,
    /// The row that it gave way to, whole.
    pub kept_row: Option<Vec<RowCell>>,
}

/// What a column of a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCell {
    /// The column.
    pub tag: ColumnTag,
    /// The value, in stored form.
    pub value: Value,
    /// As in [`Side::ty`].
    pub ty: Option<SqlType>,
}

/// One version of a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Who wrote it, when, in which block.
    pub by: Side,
    /// Whether it counts.
    pub verdict: Verdict,
    /// What the change's values stand for.
    pub layout: Layout,
    /// Per column of the layout, the type that its author knew, where that is known and there were several.
    pub types: Vec<Option<SqlType>>,
    /// The change.
    pub change: RowChange,
}

impl Merger {
    /// Gives every conflict of one table, or of all, to `each`.
    pub fn conflicts(
        &mut self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: Option<ObjectId>,
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<()> {
        let mut tables: Vec<ObjectId> = match table {
            Some(table) => vec![table],
            None => self.catalog().tables().map(|t| t.id).collect(),
        };
        tables.sort_unstable();
        let void = void_inserts(db)?;
        let none = BTreeSet::new();
        let mut run = Run::new(db, is_ancestor, &mut self.cache);
        for table in tables {
            let Some(plan) = run.plans.plan(db, table)? else { continue };
            if run.cell_conflicts(&plan, each)?.is_break()
                || run.bent_conflicts(&plan, each)?.is_break()
                || run.row_conflicts(&plan, each)?.is_break()
                || run.void_row_conflicts(&plan, void.get(&plan.table.id).unwrap_or(&none), each)?.is_break()
                || run.column_conflicts((plan.table.id, plan.no), each)?.is_break()
            {
                return Ok(());
            }
        }
        match table {
            Some(_) => Ok(()),
            None if self.void_tables(db, is_ancestor, each)?.is_break() => Ok(()),
            None => {
                let void =
                    self.cache.schema.with_void(is_ancestor)?.map(|(_, void)| void).unwrap_or_default();
                self.dropped_tables(db, is_ancestor, &void, each).map(drop)
            }
        }
    }

    /// Every version of a row that the log holds, void ones too, in the order of application.
    pub fn history(
        &self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &RowKey,
    ) -> Result<Vec<Version>> {
        let Some(no) = db.table_no_if_known(table)? else { return Ok(Vec::new()) };
        // Versions may name columns that are gone.
        let types = self.cache.schema.types_of(table, is_ancestor)?;
        let mut versions = Vec::new();
        for at in db.changes_of(no, &Ident::of(&key.0))? {
            let origin = db.origin(at.tx)?;
            let (layout, change) = db.row_change(&origin, at.offset)?;
            let verdict = db.verdict(at.tx)?.unwrap_or_default();
            let known = |tag: &ColumnTag| {
                let Some(typed) = types.get(tag) else { return Ok(None) };
                let n = known_of(typed, (&origin, at), is_ancestor)?;
                Ok(typed.get(n).map(|t| t.ty.clone()))
            };
            let types = layout.columns().iter().map(known).collect::<Result<_>>()?;
            versions.push(Version { by: side(db, at.tx, None)?, verdict, layout, types, change });
        }
        Ok(versions)
    }
}

pub(crate) fn side(db: &Connection, tx: TxNo, value: Option<Value>) -> Result<Side> {
    let t = db.tx(tx)?.ok_or_else(|| StoreError::NotFound(format!("transaction {}", tx.0)))?;
    Ok(Side { value, ty: None, author: t.author, account: t.account, stamp: t.stamp, block: t.cid })
}

/// The primary key that a row has now; its identity, where it has none.
pub(crate) fn key_now(plan: &TablePlan, image: &Image) -> Result<RowKey> {
    let columns = plan.table.primary_columns();
    let of_key = columns.iter().map(|c| plan.column(c.tag).map(|i| image.values[i].clone()));
    match of_key.collect::<Option<Vec<_>>>() {
        Some(key) if !key.is_empty() && !key.iter().any(Value::is_null) => Ok(RowKey(key)),
        _ => image.ident.to_key(),
    }
}

impl Run<'_> {
    /// What the row's columns hold, generated ones apart. A value that its column cannot hold is given as it was written.
    pub(crate) fn whole_row(&self, plan: &TablePlan, image: &Image) -> Result<Vec<RowCell>> {
        let mut row = Vec::with_capacity(plan.columns.len());
        for (i, column) in plan.columns.iter().enumerate().filter(|(_, c)| c.stored) {
            let mut held = RowCell { tag: column.tag, value: image.values[i].clone(), ty: None };
            if image.flags & MISFIT != 0
                && column.history.is_some()
                && matches!(column.kind, CellKind::Register | CellKind::Max | CellKind::Min)
                && image.writers[i] != TxNo(0)
            {
                let written = self.last_write(plan, &image.ident, image.writers[i], column.tag)?;
                let written = self.db.load_change(written)?;
                let place = written.write.columns.iter().rposition(|c| *c == column.tag);
                if let Some(Write::Assign(value)) = place.and_then(|place| written.cell(place)) {
                    let change = (&written.origin, written.at);
                    if self.present(column, value, change)?.1
                        && let (_, Some(ty)) = self.told(column, value, change)?
                    {
                        held = RowCell { value: value.clone(), ty: Some(ty), ..held };
                    }
                }
            }
            row.push(held);
        }
        Ok(row)
    }

    fn cell_conflicts(
        &mut self,
        plan: &TablePlan,
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<Flow> {
        let mut siblings = Vec::new();
        let sql = "SELECT ident, unit, tag, tx, off FROM sibling WHERE tbl = ?1";
        self.db.query(sql, [ValueRef::Int(plan.no)], |r| {
            let ident = Ident::from_sql(r.get(0)?)?;
            let at = At { tx: TxNo(r.int(3)? as u64), offset: r.int(4)? as u32 };
            siblings.push((ident, TxNo(r.int(1)? as u64), r.int(2)?, at));
            Ok(NEXT)
        })?;
        for (ident, unit, tag, at) in siblings {
            if tag == OUTVOTED || (tag == LOST_DELETE && unit != TxNo(0)) {
                // The row that it did not remove is displaced, and has a line of its own.
                continue;
            }
            let Some(image) = self.row_of(plan, &ident, unit)? else { continue };
            let lost = self.db.load_change(at)?;
            let conflict = if tag == LOST_DELETE {
                let last = self.last_writer(&image)?;
                Conflict {
                    table: plan.table.id,
                    key: ident.to_key()?,
                    now: key_now(plan, &image)?,
                    columns: Vec::new(),
                    rule: Rule::ConcurrentDelete,
                    winner: last.map(|tx| side(self.db, tx, None)).transpose()?,
                    loser: Some(side(self.db, at.tx, None)?),
                    row: None,
                    kept_row: None,
                }
            } else {
                let Some(i) = plan.columns.iter().position(|c| i64::from(c.tag.0) == tag) else { continue };
                let column = plan.columns[i].tag;
                let kind = plan.columns[i].kind;
                let (_, weak) = self.db.judgement(at.tx)?.unwrap_or_default();
                let own = self.db.is_own(lost.owner, at.tx)?;
                let weak =
                    matches!(lost.write.kind, WriteKind::Insert { .. }) && weak.has(plan.table.id, own);
                if kind == CellKind::Owner {
                    continue;
                }
                if matches!(kind, CellKind::Max | CellKind::Min) && !weak {
                    // As the column's owner asked for.
                    continue;
                }
                // Of a weak value nothing is in the cell, whatever its kind.
                let kind = if weak { CellKind::Register } else { kind };
                let Some((value, ty)) = self.lost_cell(plan, i, kind, &lost, &image)? else { continue };
                let winner = (image.writers[i] != TxNo(0))
                    .then(|| side(self.db, image.writers[i], Some(image.values[i].clone())));
                Conflict {
                    table: plan.table.id,
                    key: ident.to_key()?,
                    now: key_now(plan, &image)?,
                    columns: vec![column],
                    rule: Rule::ConcurrentWrite,
                    winner: winner.transpose()?,
                    loser: Some(Side { ty, ..side(self.db, at.tx, Some(value))? }),
                    row: None,
                    kept_row: None,
                }
            };
            if each(&conflict)?.is_break() {
                return Ok(crate::query::STOP);
            }
        }
        Ok(NEXT)
    }

    /// What a change that lost wrote into this column of a row, in the column's present type; where that would not read the same
    /// as what its author wrote, as that, with the type that it was written in. `None` where it is what the row shows.
    pub(crate) fn lost_cell(
        &self,
        plan: &TablePlan,
        i: usize,
        kind: CellKind,
        lost: &Loaded,
        image: &Image,
    ) -> Result<Option<(Value, Option<SqlType>)>> {
        let column = &plan.columns[i];
        let written = |l: &Loaded| l.write.columns.iter().rposition(|c| *c == column.tag);
        let Some(write) = written(lost).and_then(|place| lost.cell(place)) else { return Ok(None) };
        let Write::Assign(value) = write else {
            return Ok(lost_value(kind, write, &image.values[i]).map(|value| (value, None)));
        };
        let change = (&lost.origin, lost.at);
        let (brought, ty) = self.told(column, value, change)?;
        let Some(ty) = ty.filter(|_| kind == CellKind::Register) else {
            return Ok(lost_value(kind, Write::Assign(&brought), &image.values[i]).map(|value| (value, None)));
        };
        // Two that wrote the same are at one, whatever has become of it.
        if brought == image.values[i] && image.writers[i] != TxNo(0) {
            let winner = self.last_write(plan, &image.ident, image.writers[i], column.tag)?;
            let winner = self.db.load_change(winner)?;
            if let Some(Write::Assign(won)) = written(&winner).and_then(|place| winner.cell(place))
                && won == value
                && self.told(column, won, (&winner.origin, winner.at))?.1.as_ref() == Some(&ty)
            {
                return Ok(None);
            }
        }
        Ok(Some((value.clone(), Some(ty))))
    }

    /// References that read NULL, because nobody has the key that they were written with.
    fn bent_conflicts(
        &mut self,
        plan: &TablePlan,
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<Flow> {
        for reference in &plan.references {
            for bent in self.db.bent_by(reference.id)? {
                let Some(image) = self.row_of(plan, &bent.ident, TxNo(0))? else { continue };
                for (i, value) in reference.columns.iter().zip(bent.key.to_key()?.0) {
                    if image.values[*i] != Value::Null {
                        continue;
                    }
                    let writer = image.writers[*i];
                    let loser = (writer != TxNo(0)).then(|| side(self.db, writer, Some(value)));
                    let conflict = Conflict {
                        table: plan.table.id,
                        key: bent.ident.to_key()?,
                        now: key_now(plan, &image)?,
                        columns: vec![plan.columns[*i].tag],
                        rule: Rule::Reference,
                        winner: None,
                        loser: loser.transpose()?,
                        row: None,
                        kept_row: None,
                    };
                    if each(&conflict)?.is_break() {
                        return Ok(crate::query::STOP);
                    }
                }
            }
        }
        Ok(NEXT)
    }

    fn row_conflicts(
        &mut self,
        plan: &TablePlan,
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<Flow> {
        for stored in self.displaced_where(plan, &plan.sql.all_displaced, &[])? {
            for obstacle in self.obstacles(plan, &stored)? {
                let conflict = self.displaced_conflict(plan, &stored, obstacle)?;
                if each(&conflict)?.is_break() {
                    return Ok(crate::query::STOP);
                }
            }
        }
        Ok(NEXT)
    }

    fn displaced_conflict(
        &self,
        plan: &TablePlan,
        stored: &Stored,
        Obstacle { rule, columns, winner, .. }: Obstacle,
    ) -> Result<Conflict> {
        let writer_of = |image: &Image| -> Result<Option<Side>> {
            self.last_writer(image)?.map(|tx| side(self.db, tx, None)).transpose()
        };
        let kept_row = winner.as_ref().map(|w| self.whole_row(plan, w)).transpose()?;
        Ok(Conflict {
            table: plan.table.id,
            key: stored.image.ident.to_key()?,
            now: key_now(plan, &stored.image)?,
            columns,
            rule,
            winner: winner.as_ref().map(writer_of).transpose()?.flatten(),
            loser: writer_of(&stored.image)?,
            row: Some(self.whole_row(plan, &stored.image)?),
            kept_row,
        })
    }

    /// The key of the row that this transaction founded was given, and is of other columns than another row's that looks the same.
    pub(crate) fn has_other_key(&self, plan: &TablePlan, ident: &Ident, founder: TxNo) -> Result<bool> {
        let mut inserts = self.db.load_changes(plan.no, ident, self.is_ancestor)?;
        inserts.retain(|l| matches!(l.write.kind, WriteKind::Insert { .. }));
        let Some(own) = inserts.iter().find(|l| l.at.tx == founder) else { return Ok(false) };
        let given = own.write.kind == WriteKind::Insert { generated: false };
        Ok(given && inserts.iter().any(|l| l.write.key_columns != own.write.key_columns))
    }

    /// The live row of this identity and incarnation, wherever it lies.
    pub(crate) fn row_of(&self, plan: &TablePlan, ident: &Ident, unit: TxNo) -> Result<Option<Image>> {
        if unit == TxNo(0)
            && let Some(visible) = self.visible_of(plan, ident)?
        {
            return Ok(Some(visible.image));
        }
        let displaced = self.displaced_of(plan, ident)?;
        let is_it = |s: &Stored| matches!(s.place, Place::Displaced { unit: u, .. } if u == unit);
        Ok(displaced.into_iter().find(is_it).map(|s| s.image))
    }

    /// Who wrote the greatest of the row's cells.
    pub(crate) fn last_writer(&self, image: &Image) -> Result<Option<TxNo>> {
        let mut last = None;
        for &writer in &image.writers {
            if writer != TxNo(0) {
                last = last.max(Some((self.db.origin(writer)?.order(0), writer)));
            }
        }
        Ok(last.map(|l| l.1))
    }
}
