//! The change index: per row, every change that ever named it, in the order of application.
//!
//! `chg (tbl, ident, tx, off)`: table (this node's number for it), row key, transaction, and the byte of the block's
//! body at which the change begins. Written with every block in the same SQLite transaction, for void transactions and
//! unknown tables too, so that a row can be recomputed from the log whenever a verdict or the schema changes. Schema
//! changes are in it as rows of table 0, their key being the object's id.
//!
//! `sibling`: maximal writes of a cell that did not win, and deletes overruled by a concurrent edit (column
//! [`LOST_DELETE`]), per row and incarnation (`unit`: 0 for the visible one, else the transaction of its founder).
//!
//! Everything here is derived from the log and can be written again by replaying it.

use std::collections::HashMap;

use p2pdb_block::decode_change_at;
use p2pdb_merge::{RowWrite, Write, WriteKind};
use p2pdb_model::change::{Layout, RowChange, SchemaChange, WriteOrder};
use p2pdb_model::ids::{Cid, NodeId, ObjectId};
use p2pdb_model::{AccountId, CellEdit, Change, Stamp, Value, ValueRef};

use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::index_ident::Ident;
use crate::log::{BlockNo, TxNo, TxRecord};
use crate::query::{NEXT, STOP};

pub(crate) const SCHEMA: &str = "
CREATE TABLE tbl (no INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);
CREATE TABLE chg (
    tbl INTEGER NOT NULL, ident NOT NULL, tx INTEGER NOT NULL, off INTEGER NOT NULL,
    PRIMARY KEY (tbl, ident, tx, off)
) WITHOUT ROWID;
CREATE TABLE sibling (
    tbl INTEGER NOT NULL, ident NOT NULL, unit INTEGER NOT NULL, tag INTEGER NOT NULL,
    tx INTEGER NOT NULL, off INTEGER NOT NULL,
    PRIMARY KEY (tbl, ident, unit, tag, tx, off)
) WITHOUT ROWID;
CREATE TABLE col (
    tbl INTEGER NOT NULL, tag INTEGER NOT NULL, added INTEGER NOT NULL,
    PRIMARY KEY (tbl, tag)
) WITHOUT ROWID;
";

/// Made wherever it is missing: a store of before has none.
pub(crate) const BENT_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS bent (
    tbl INTEGER NOT NULL, ident NOT NULL, fk BLOB NOT NULL, key NOT NULL, reads NOT NULL,
    exact INTEGER NOT NULL,
    PRIMARY KEY (tbl, ident, fk)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS bent_key ON bent (fk, exact, key);
";

/// The number under which schema changes are indexed.
pub(crate) const SCHEMA_TABLE: i64 = 0;

/// In place of a column tag: the sibling is a delete that lost.
pub(crate) const LOST_DELETE: i64 = -1;

/// In place of a column tag: a delete of something that lives on, whether anybody has seen that or not. Its effects on
/// other rows do not count. No conflict by itself.
pub(crate) const OUTVOTED: i64 = -2;

/// Per table, the greatest key that the change index has of it, of tables whose keys are integers; see
/// [`Connection::is_beyond`]. What is rolled back may stay in it: then it is greater than it need be.
pub(crate) type GreatestKeys = HashMap<i64, Option<i64>>;

/// Entries that one statement writes.
const INDEXED_AT_ONCE: usize = 16;
const INDEX_SOME: &str = "INSERT OR IGNORE INTO chg (tbl, ident, tx, off) VALUES (?,?,?,?),(?,?,?,?),(?,?,?,?),(?,?,?,?),\
                          (?,?,?,?),(?,?,?,?),(?,?,?,?),(?,?,?,?),(?,?,?,?),(?,?,?,?),(?,?,?,?),(?,?,?,?),(?,?,?,?),\
                          (?,?,?,?),(?,?,?,?),(?,?,?,?)";

/// Is block `earlier` a strict ancestor of block `later`? Answered by whoever owns the DAG.
pub type IsAncestor<'a> = &'a dyn Fn(BlockNo, BlockNo) -> Result<bool>;

/// What a version number stands for: the transaction's place in write order, and its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The transaction.
    pub tx: TxNo,
    /// Its block.
    pub block: BlockNo,
    /// The block's clock.
    pub stamp: Stamp,
    /// The block's author.
    pub author: NodeId,
    /// The block's name; the default while a local block is not sealed.
    pub cid: Cid,
    /// Its index in the block.
    pub position: u32,
}

impl Origin {
    pub(crate) fn of(t: &TxRecord) -> Self {
        let TxRecord { no, block, position, stamp, author, cid, .. } = *t;
        Origin { tx: no, block, stamp, author, cid, position }
    }

    /// The write order of the change at this byte of the body.
    pub(crate) fn order(&self, offset: u32) -> WriteOrder {
        let position = p2pdb_model::change::Position { transaction: self.position, change: offset };
        WriteOrder { stamp: self.stamp, author: self.author, block: self.cid, position }
    }
}

/// Where a change is in the log of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct At {
    pub tx: TxNo,
    pub offset: u32,
}

/// A change of a row, read back from the log.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub at: At,
    pub table: ObjectId,
    /// Whose row it is.
    pub owner: Option<AccountId>,
    pub origin: Origin,
    pub write: RowWrite,
    /// One per column of the write; none of edits.
    pub values: Vec<Value>,
    /// One per column of edits.
    pub edits: Vec<CellEdit>,
    /// Of which change it is the effect.
    pub cause: Option<Cause>,
}

/// A change that had an effect on another row, through a foreign key.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub table: ObjectId,
    pub ident: Ident,
    pub is_delete: bool,
}

impl Loaded {
    /// The delete that it is an effect of, if it is one's.
    pub(crate) fn cause_that_deletes(&self) -> Option<&Cause> {
        self.cause.as_ref().filter(|cause| cause.is_delete)
    }

    /// What it does to the column that it lists at this place.
    pub(crate) fn cell(&self, place: usize) -> Option<Write<'_>> {
        match self.write.kind {
            WriteKind::Edit => self.edits.get(place).map(Write::Edit),
            _ => self.values.get(place).map(Write::Assign),
        }
    }
}

/// Had the author of the change at `b` (in `later`) seen the change at `a`?
pub(crate) fn saw(
    later: (&Origin, u32),
    earlier: (&Origin, u32),
    is_ancestor: IsAncestor<'_>,
) -> Result<bool> {
    if later.0.block == earlier.0.block {
        return Ok((earlier.0.position, earlier.1) < (later.0.position, later.1));
    }
    is_ancestor(earlier.0.block, later.0.block)
}

impl Connection {
    pub(crate) fn origin(&self, tx: TxNo) -> Result<Origin> {
        let record = self.tx(tx)?.ok_or_else(|| StoreError::NotFound(format!("transaction {}", tx.0)))?;
        Ok(Origin::of(&record))
    }

    pub(crate) fn is_accepted(&self, tx: TxNo) -> Result<bool> {
        Ok(self.verdict(tx)?.is_some_and(|v| v.is_accepted()))
    }

    /// This node's number for a table; gives one out where there is none.
    pub(crate) fn table_no(&self, id: ObjectId) -> Result<i64> {
        if let Some(no) = self.table_no_if_known(id)? {
            return Ok(no);
        }
        self.execute("INSERT INTO tbl (id) VALUES (?1)", [ValueRef::Blob(&id.0)])?;
        Ok(self.last_insert_rowid())
    }

    pub(crate) fn table_no_if_known(&self, id: ObjectId) -> Result<Option<i64>> {
        self.query_one("SELECT no FROM tbl WHERE id = ?1", [ValueRef::Blob(&id.0)], |r| r.int(0))
    }

    /// No change has ever named this row: its key is greater than all that the index has of its table. Only the writer knows
    /// that; false where it would have to be looked up.
    pub(crate) fn is_beyond(&self, table: i64, ident: &Ident) -> Result<bool> {
        let Ident::Int(n) = ident else { return Ok(false) };
        if let Some(known) = self.greatest.borrow().get(&table) {
            return Ok(known.is_some_and(|greatest| *n > greatest));
        }
        let sql = "SELECT ident FROM chg WHERE tbl = ?1 ORDER BY ident DESC LIMIT 1";
        let last = self.query_one(sql, [ValueRef::Int(table)], |r| Ident::from_sql(r.get(0)?))?;
        let greatest = match last {
            None => Some(i64::MIN),
            Some(Ident::Int(n)) => Some(n),
            Some(Ident::Bytes(_)) => None,
        };
        self.greatest.borrow_mut().insert(table, greatest);
        Ok(greatest.is_some_and(|greatest| *n > greatest))
    }

    fn note_key(&self, table: i64, ident: &Ident) {
        if let Some(known) = self.greatest.borrow_mut().get_mut(&table) {
            *known = match ident {
                Ident::Int(n) => known.map(|greatest| greatest.max(*n)),
                Ident::Bytes(_) => None,
            };
        }
    }

    /// As [`Self::index_change`], for many.
    pub(crate) fn index_changes(&self, all: &[(i64, &Ident, At)]) -> Result<()> {
        let mut chunks = all.chunks_exact(INDEXED_AT_ONCE);
        for chunk in chunks.by_ref() {
            let mut params = Vec::with_capacity(4 * INDEXED_AT_ONCE);
            for (table, ident, at) in chunk {
                self.note_key(*table, ident);
                params.extend([
                    ValueRef::Int(*table),
                    ident.sql(),
                    tx_sql(at.tx),
                    ValueRef::Int(i64::from(at.offset)),
                ]);
            }
            self.execute(INDEX_SOME, params)?;
        }
        chunks.remainder().iter().try_for_each(|(table, ident, at)| self.index_change(*table, ident, *at))
    }

    pub(crate) fn index_change(&self, table: i64, ident: &Ident, at: At) -> Result<()> {
        self.note_key(table, ident);
        // A hostile block may name a row twice at one place no more than once: offsets differ. IGNORE costs nothing
        // and lets an index be written again.
        self.execute(
            "INSERT OR IGNORE INTO chg (tbl, ident, tx, off) VALUES (?1, ?2, ?3, ?4)",
            [ValueRef::Int(table), ident.sql(), tx_sql(at.tx), ValueRef::Int(i64::from(at.offset))],
        )?;
        Ok(())
    }

    /// True when some change before transaction `before` has named this row.
    pub(crate) fn has_changes(&self, table: i64, ident: &Ident, before: TxNo) -> Result<bool> {
        let sql = "SELECT 1 FROM chg WHERE tbl = ?1 AND ident = ?2 AND tx < ?3 LIMIT 1";
        let params = [ValueRef::Int(table), ident.sql(), tx_sql(before)];
        Ok(self.query_one(sql, params, |_| Ok(()))?.is_some())
    }

    /// As [`Self::has_changes`], but void ones do not count.
    pub(crate) fn has_counting_changes(&self, table: i64, ident: &Ident, before: TxNo) -> Result<bool> {
        if !self.has_changes(table, ident, before)? {
            return Ok(false);
        }
        // Most often the first.
        let sql = "SELECT tx FROM chg WHERE tbl = ?1 AND ident = ?2 AND tx < ?3";
        let mut counts = false;
        self.query(sql, [ValueRef::Int(table), ident.sql(), tx_sql(before)], |r| {
            counts = self.verdict(TxNo(r.int(0)? as u64))?.is_none_or(|v| v.is_accepted());
            Ok(if counts { STOP } else { NEXT })
        })?;
        Ok(counts)
    }

    /// Adds the changes of a row that were applied after this one.
    pub(crate) fn changes_since(&self, table: i64, ident: &Ident, last: At, to: &mut Vec<At>) -> Result<()> {
        let sql = "SELECT tx, off FROM chg WHERE tbl = ?1 AND ident = ?2 AND (tx, off) > (?3, ?4)";
        let after = [tx_sql(last.tx), ValueRef::Int(i64::from(last.offset))];
        self.query(sql, [ValueRef::Int(table), ident.sql(), after[0], after[1]], |r| {
            to.push(At { tx: TxNo(r.int(0)? as u64), offset: r.int(1)? as u32 });
            Ok(NEXT)
        })?;
        Ok(())
    }

    pub(crate) fn changes_of(&self, table: i64, ident: &Ident) -> Result<Vec<At>> {
        let mut found = Vec::new();
        let sql = "SELECT tx, off FROM chg WHERE tbl = ?1 AND ident = ?2";
        self.query(sql, [ValueRef::Int(table), ident.sql()], |r| {
            found.push(At { tx: TxNo(r.int(0)? as u64), offset: r.int(1)? as u32 });
            Ok(NEXT)
        })?;
        Ok(found)
    }

    /// The next row keys of a table after `after`, ascending, at most `max`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where they do not ascend, as in a damaged index: whoever goes on from the last would not come to an end.
    pub(crate) fn idents_after(&self, table: i64, after: Option<&Ident>, max: i64) -> Result<Vec<Ident>> {
        let mut found = Vec::new();
        let mut each = |r: &crate::query::Row<'_>| {
            found.push(Ident::from_sql(r.get(0)?)?);
            Ok(NEXT)
        };
        match after {
            None => self.query(
                "SELECT DISTINCT ident FROM chg WHERE tbl = ?1 ORDER BY ident LIMIT ?2",
                [table, max].map(ValueRef::Int),
                &mut each,
            )?,
            Some(after) => self.query(
                "SELECT DISTINCT ident FROM chg WHERE tbl = ?1 AND ident > ?3 ORDER BY ident LIMIT ?2",
                [ValueRef::Int(table), ValueRef::Int(max), after.sql()],
                &mut each,
            )?,
        };
        if !after.into_iter().chain(&found).is_sorted_by(|a, b| a < b) {
            return Err(StoreError::Corrupt("the keys in the index of changes do not ascend".to_owned()));
        }
        Ok(found)
    }

    /// The change at this place with the layout that it names.
    pub(crate) fn row_change(&self, origin: &Origin, offset: u32) -> Result<(Layout, RowChange)> {
        let stored = self.body(origin.block)?;
        match decode_change_at(&stored.bytes, offset)? {
            Change::Row(change) => {
                let layout = stored.body.layouts().get(change.layout()).cloned();
                Ok((layout.ok_or_else(|| damaged(origin))?, change))
            }
            _ => Err(damaged(origin)),
        }
    }

    pub(crate) fn schema_change(&self, origin: &Origin, offset: u32) -> Result<SchemaChange> {
        match self.change_at(origin.block, offset)? {
            Change::Schema(change) => Ok(change),
            _ => Err(damaged(origin)),
        }
    }

    /// The accepted changes of a row in ascending write order.
    pub(crate) fn load_changes(
        &self,
        table: i64,
        ident: &Ident,
        is_ancestor: IsAncestor<'_>,
    ) -> Result<Vec<Loaded>> {
        let (mut loaded, void_inserts) = self.load_split(table, ident)?;
        loaded.sort_by_key(|c| c.origin.order(c.at.offset));
        if void_inserts.is_empty() {
            return Ok(loaded);
        }
        for l in &mut loaded {
            for insert in &void_inserts {
                let (later, earlier) = ((&l.origin, l.at.offset), (&insert.origin, insert.at.offset));
                l.write.orphan = l.write.orphan || saw(later, earlier, is_ancestor)?;
            }
        }
        Ok(loaded)
    }

    /// The inserts of a row that do not count.
    pub(crate) fn void_inserts_of(&self, table: i64, ident: &Ident) -> Result<Vec<Loaded>> {
        Ok(self.load_split(table, ident)?.1)
    }

    /// The accepted changes of a row, and its inserts that are void, in the order of application.
    fn load_split(&self, table: i64, ident: &Ident) -> Result<(Vec<Loaded>, Vec<Loaded>)> {
        let (mut loaded, mut void_inserts): (Vec<Loaded>, Vec<Loaded>) = (Vec::new(), Vec::new());
        for at in self.changes_of(table, ident)? {
            match self.load_judged(at)? {
                (change, true) => loaded.push(change),
                (change, false) if matches!(change.write.kind, WriteKind::Insert { .. }) => {
                    void_inserts.push(change);
                }
                _ => {}
            }
        }
        Ok((loaded, void_inserts))
    }

    /// A change, and whether it counts; whether one that counts is a weak insert.
    pub(crate) fn load_judged(&self, at: At) -> Result<(Loaded, bool)> {
        let mut change = self.load_change(at)?;
        let (verdict, weak) = self.judgement(at.tx)?.unwrap_or_default();
        let inserts = matches!(change.write.kind, WriteKind::Insert { .. });
        if verdict.is_accepted() && inserts && !weak.is_empty() {
            let own = self.is_own(change.owner, at.tx)?;
            change.write.weak = weak.has(change.table, own);
        }
        Ok((change, verdict.is_accepted()))
    }

    pub(crate) fn load_change(&self, at: At) -> Result<Loaded> {
        let origin = self.origin(at.tx)?;
        let (layout, change) = self.row_change(&origin, at.offset)?;
        let owner = change.owner();
        let cause = match change.cause() {
            Some(n) => self.cause(&origin, n)?,
            None => None,
        };
        // Its leading values are its key.
        let of_columns = matches!(change, RowChange::Insert { key: None, .. });
        let (kind, values, edits) = match change {
            RowChange::Insert { generated, values, .. } => {
                (WriteKind::Insert { generated }, values, Vec::new())
            }
            RowChange::Update { values, .. } => (WriteKind::Update, values, Vec::new()),
            RowChange::Edit { edits, .. } => (WriteKind::Edit, Vec::new(), edits),
            RowChange::Delete { .. } => (WriteKind::Delete, Vec::new(), Vec::new()),
        };
        let table = layout.table();
        let key_columns = layout.columns().get(..layout.key_columns()).map(<[_]>::to_vec);
        let key_columns = key_columns.filter(|_| of_columns).unwrap_or_default();
        let columns = if kind == WriteKind::Delete { Vec::new() } else { layout.2 };
        let effect = cause.is_some();
        let write = RowWrite { kind, columns, key_columns, effect, weak: false, orphan: false };
        Ok(Loaded { at, table, owner, origin, write, values, edits, cause })
    }

    /// Whether this transaction's insert of the row is weak; false where it has not inserted it.
    pub(crate) fn is_weak_birth(
        &self,
        (table, no): (ObjectId, i64),
        ident: &Ident,
        tx: TxNo,
    ) -> Result<bool> {
        let (_, weak) = self.judgement(tx)?.unwrap_or_default();
        if weak.is_empty() {
            return Ok(false);
        }
        let sql = "SELECT off FROM chg WHERE tbl = ?1 AND ident = ?2 AND tx = ?3 ORDER BY off LIMIT 1";
        let params = [ValueRef::Int(no), ident.sql(), tx_sql(tx)];
        let Some(offset) = self.query_one(sql, params, |r| r.int(0))? else { return Ok(false) };
        let (_, change) = self.row_change(&self.origin(tx)?, offset as u32)?;
        let own = self.is_own(change.owner(), tx)?;
        Ok(matches!(change, RowChange::Insert { .. }) && weak.has(table, own))
    }

    /// The owner is the account of this transaction.
    pub(crate) fn is_own(&self, owner: Option<AccountId>, tx: TxNo) -> Result<bool> {
        match owner {
            Some(owner) => Ok(self.tx(tx)?.is_some_and(|t| t.account == owner)),
            None => Ok(false),
        }
    }

    /// The change at this index of a transaction, as far as others are its effects.
    pub(crate) fn cause(&self, of: &Origin, index: u32) -> Result<Option<Cause>> {
        let stored = self.body(of.block)?;
        let tx = stored.body.transactions().get(of.position as usize);
        let Some(Change::Row(change)) = tx.and_then(|t| t.changes().get(index as usize)) else {
            return Ok(None);
        };
        let Some(layout) = stored.body.layouts().get(change.layout()) else { return Ok(None) };
        let is_delete = matches!(change, RowChange::Delete { .. });
        let key = change.key(layout);
        Ok(key.map(|k| Cause { table: layout.table(), ident: Ident::of(&k.0), is_delete }))
    }

    pub(crate) fn put_sibling(&self, table: i64, ident: &Ident, unit: TxNo, tag: i64, at: At) -> Result<()> {
        let params = [
            ValueRef::Int(table),
            ident.sql(),
            tx_sql(unit),
            ValueRef::Int(tag),
            tx_sql(at.tx),
            ValueRef::Int(i64::from(at.offset)),
        ];
        let sql =
            "INSERT OR IGNORE INTO sibling (tbl, ident, unit, tag, tx, off) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.execute(sql, params).map(drop)
    }

    pub(crate) fn drop_siblings(&self, table: i64, ident: &Ident) -> Result<()> {
        let params = [ValueRef::Int(table), ident.sql()];
        self.execute("DELETE FROM sibling WHERE tbl = ?1 AND ident = ?2", params).map(drop)
    }

    /// The deletes of a row that do not count.
    pub(crate) fn outvoted_of(&self, table: i64, ident: &Ident) -> Result<Vec<At>> {
        let mut found = Vec::new();
        let sql = "SELECT tx, off FROM sibling WHERE tbl = ?1 AND ident = ?2 AND unit = 0 AND tag = -2";
        self.query(sql, [ValueRef::Int(table), ident.sql()], |r| {
            found.push(At { tx: TxNo(r.int(0)? as u64), offset: r.int(1)? as u32 });
            Ok(NEXT)
        })?;
        Ok(found)
    }

    /// The siblings of the visible incarnation of a row: (tag, where).
    pub(crate) fn siblings_of(&self, table: i64, ident: &Ident) -> Result<Vec<(i64, At)>> {
        let mut found = Vec::new();
        let sql = "SELECT tag, tx, off FROM sibling WHERE tbl = ?1 AND ident = ?2 AND unit = 0 AND tag >= -1";
        self.query(sql, [ValueRef::Int(table), ident.sql()], |r| {
            found.push((r.int(0)?, At { tx: TxNo(r.int(1)? as u64), offset: r.int(2)? as u32 }));
            Ok(NEXT)
        })?;
        Ok(found)
    }

    pub(crate) fn drop_sibling(&self, table: i64, ident: &Ident, tag: i64, at: At) -> Result<()> {
        let params = [
            ValueRef::Int(table),
            ident.sql(),
            ValueRef::Int(tag),
            tx_sql(at.tx),
            ValueRef::Int(i64::from(at.offset)),
        ];
        let sql = "DELETE FROM sibling WHERE tbl = ?1 AND ident = ?2 AND unit = 0 AND tag = ?3 AND tx = ?4 AND off = ?5";
        self.execute(sql, params).map(drop)
    }
}

pub(crate) fn tx_sql<'a>(tx: TxNo) -> ValueRef<'a> {
    ValueRef::Int(tx.0 as i64)
}

fn damaged(origin: &Origin) -> StoreError {
    StoreError::Corrupt(format!(
        "the change index names a place in block {} where no such change is",
        origin.block.0
    ))
}
