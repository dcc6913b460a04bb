//! Which rows somebody wrote to beside a drop of their table, or of a column of it: the drop's author had not seen it.
//!
//! `beside (tbl, ident)` names them, so that nobody who asks for conflicts walks through what was ever dropped. It holds,
//!
//! * of a table that is gone by drops that count: the rows with a change that one of these drops had not seen;
//! * of a table that is there and has lost columns to such drops: the rows with a change that gives such a column something,
//!   and that one of its drops had not seen.
//!
//! Void changes are in it too, so it depends on no verdict but those of schema changes. It is a function of the blocks held,
//! and costs nothing where nothing was dropped. What becomes of the rows is in `dropped`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use p2pdb_model::ValueRef;
use p2pdb_model::catalog::ObjectState;
use p2pdb_model::change::{Layout, RowChange, SchemaChange};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};

use crate::connection::Connection;
use crate::displaced::Run;
use crate::error::Result;
use crate::index::{At, Origin, saw, tx_sql};
use crate::index_ident::Ident;
use crate::log::{BlockNo, TxNo};
use crate::objects::{Held, Schema};
use crate::query::NEXT;

/// Made wherever it is missing: a store of before has none, and gets it filled by [`crate::Merger::index_drops`].
pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS beside (tbl INTEGER NOT NULL, ident NOT NULL, PRIMARY KEY (tbl, ident)) WITHOUT ROWID;
";

/// A drop that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DropAt {
    pub at: At,
    pub origin: Origin,
}

impl DropAt {
    pub(crate) fn place(&self) -> (&Origin, u32) {
        (&self.origin, self.at.offset)
    }
}

/// What drops have taken of a table, each in write order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// The table is gone by these, of itself or of its database.
    pub table: Vec<DropAt>,
    /// The table is there, and these columns are gone.
    pub columns: BTreeMap<ColumnTag, Vec<DropAt>>,
}

/// What each object is and where it was named last; by changes that count, where it has any.
pub(crate) fn homes(held: &[Held]) -> HashMap<ObjectId, (ObjectKind, ObjectId)> {
    let mut homes: HashMap<ObjectId, (ObjectKind, ObjectId)> = HashMap::new();
    for counting in [true, false] {
        let mut of_these: HashMap<ObjectId, (ObjectKind, ObjectId)> = HashMap::new();
        for h in held.iter().filter(|h| h.accepted == counting) {
            let SchemaChange::Put { id, kind, parent, name, .. } = &*h.change else { continue };
            let home = of_these.entry(*id).or_insert((*kind, *parent));
            if home.0 == *kind && name.is_some() {
                home.1 = *parent;
            }
        }
        for (id, home) in of_these {
            homes.entry(id).or_insert(home);
        }
    }
    homes
}

/// What is gone by drops that count, by table; `held` in write order.
pub(crate) fn dropped(held: &[Held], live: &[ObjectState]) -> HashMap<ObjectId, Dropped> {
    let mut out: HashMap<ObjectId, Dropped> = HashMap::new();
    let drops: Vec<(ObjectId, DropAt)> = held
        .iter()
        .filter(|h| h.accepted)
        .filter_map(|h| match &*h.change {
            SchemaChange::Drop { id } => Some((*id, DropAt { at: h.at, origin: h.origin })),
            SchemaChange::Put { .. } => None,
        })
        .collect();
    if drops.is_empty() {
        return out;
    }
    let lives: HashSet<ObjectId> = live.iter().map(|o| o.id).collect();
    let homes = homes(held);
    let mut tables: HashMap<ObjectId, Vec<ObjectId>> = HashMap::new();
    for (id, (kind, parent)) in &homes {
        if *kind == ObjectKind::Table && !lives.contains(id) {
            tables.entry(*parent).or_default().push(*id);
        }
    }
    for (id, drop) in drops {
        match homes.get(&id) {
            Some((ObjectKind::Table, _)) if !lives.contains(&id) => {
                out.entry(id).or_default().table.push(drop);
            }
            Some((ObjectKind::Database, _)) => {
                for table in tables.get(&id).into_iter().flatten() {
                    out.entry(*table).or_default().table.push(drop);
                }
            }
            Some((ObjectKind::Column, table)) if !lives.contains(&id) && lives.contains(table) => {
                out.entry(*table).or_default().columns.entry(id.tag()).or_default().push(drop);
            }
            _ => {}
        }
    }
    out
}

/// The change gives this column something.
pub(crate) fn gives(change: &RowChange, layout: &Layout, tag: ColumnTag) -> bool {
    let Some(place) = layout.columns().iter().rposition(|t| *t == tag) else { return false };
    match change {
        RowChange::Insert { values, .. } | RowChange::Update { values, .. } => {
            values.get(place).is_some_and(|v| !v.is_null())
        }
        RowChange::Edit { .. } => true,
        RowChange::Delete { .. } => false,
    }
}

impl Connection {
    pub(crate) fn put_beside(&self, table: i64, ident: &Ident) -> Result<()> {
        let params = [ValueRef::Int(table), ident.sql()];
        self.execute("INSERT OR IGNORE INTO beside (tbl, ident) VALUES (?1, ?2)", params).map(drop)
    }

    /// The rows of a table that were written to beside a drop.
    pub(crate) fn beside(&self, table: i64) -> Result<Vec<Ident>> {
        let mut found = Vec::new();
        let sql = "SELECT ident FROM beside WHERE tbl = ?1 ORDER BY ident";
        self.query(sql, [ValueRef::Int(table)], |r| {
            found.push(Ident::from_sql(r.get(0)?)?);
            Ok(NEXT)
        })?;
        Ok(found)
    }

    /// Anything was written to a table beside a drop.
    pub(crate) fn has_beside(&self, table: i64) -> Result<bool> {
        let sql = "SELECT 1 FROM beside WHERE tbl = ?1 LIMIT 1";
        Ok(self.query_one(sql, [ValueRef::Int(table)], |_| Ok(()))?.is_some())
    }

    pub(crate) fn is_beside(&self, table: i64, ident: &Ident) -> Result<bool> {
        let sql = "SELECT 1 FROM beside WHERE tbl = ?1 AND ident = ?2";
        Ok(self.query_one(sql, [ValueRef::Int(table), ident.sql()], |_| Ok(()))?.is_some())
    }
}

impl Run<'_> {
    /// Brings the index from one schema to another. `applying`: the transaction that is being applied, of the last block in
    /// the log, of which nothing later is indexed yet.
    pub(crate) fn index_drops(&self, old: &Schema, next: &Schema, applying: Option<TxNo>) -> Result<()> {
        let none = Dropped::default();
        let tables: BTreeSet<ObjectId> = old.dropped.keys().chain(next.dropped.keys()).copied().collect();
        for table in tables {
            let before = old.dropped.get(&table).unwrap_or(&none);
            let after = next.dropped.get(&table).unwrap_or(&none);
            if before == after {
                continue;
            }
            let no = self.db.table_no(table)?;
            let kept = |old: &[DropAt], new: &[DropAt]| old.iter().all(|d| new.contains(d));
            let empty = Vec::new();
            let grows = before.table.is_empty() == after.table.is_empty()
                && kept(&before.table, &after.table)
                && before
                    .columns
                    .iter()
                    .all(|(tag, all)| kept(all, after.columns.get(tag).unwrap_or(&empty)));
            if !grows {
                self.db.execute("DELETE FROM beside WHERE tbl = ?1", [ValueRef::Int(no)])?;
            }
            let known = |of: &[DropAt], drop: &DropAt| grows && of.contains(drop);
            for drop in after.table.iter().filter(|d| !known(&before.table, d)) {
                self.index_beside(no, drop, None, applying)?;
            }
            for (tag, drops) in &after.columns {
                let before = before.columns.get(tag).unwrap_or(&empty);
                for drop in drops.iter().filter(|d| !known(before, d)) {
                    self.index_beside(no, drop, Some(*tag), applying)?;
                }
            }
        }
        Ok(())
    }

    /// The rows of a table that its drop, or that of a column, had not seen written.
    fn index_beside(
        &self,
        no: i64,
        drop: &DropAt,
        column: Option<ColumnTag>,
        applying: Option<TxNo>,
    ) -> Result<()> {
        if fault::on(Fault::BesideForgotten) {
            return Ok(());
        }
        let mut from = TxNo(0);
        if applying == Some(drop.at.tx) {
            match self.first_unseen(&drop.origin)? {
                Some(first) => from = first,
                None => return Ok(()),
            }
        }
        let mut later: Vec<(Ident, At)> = Vec::new();
        let sql = "SELECT ident, tx, off FROM chg WHERE tbl = ?1 AND tx >= ?2";
        self.db.query(sql, [ValueRef::Int(no), tx_sql(from)], |r| {
            let at = At { tx: TxNo(r.int(1)? as u64), offset: r.int(2)? as u32 };
            later.push((Ident::from_sql(r.get(0)?)?, at));
            Ok(NEXT)
        })?;
        let mut origins: HashMap<TxNo, Origin> = HashMap::new();
        for (ident, at) in later {
            let origin = match origins.get(&at.tx) {
                Some(origin) => *origin,
                None => *origins.entry(at.tx).or_insert(self.db.origin(at.tx)?),
            };
            if saw(drop.place(), (&origin, at.offset), self.is_ancestor)? {
                continue;
            }
            if let Some(tag) = column {
                let (layout, change) = self.db.row_change(&origin, at.offset)?;
                if !gives(&change, &layout, tag) {
                    continue;
                }
            }
            self.db.put_beside(no, &ident)?;
        }
        Ok(())
    }

    /// The first transaction, but for those of the block itself, that the author of this block had not seen. Along a branch
    /// who had not seen a block had seen none after it.
    fn first_unseen(&self, of: &Origin) -> Result<Option<TxNo>> {
        let mut first: Option<TxNo> = None;
        for branch in self.db.branches()? {
            let block = |seq: u64| -> Result<BlockNo> {
                let found = self.db.block_at(branch.no, seq)?;
                let gap = || crate::StoreError::Corrupt(format!("branch {} lacks seq {seq}", branch.no.0));
                Ok(found.ok_or_else(gap)?.0)
            };
            let seen =
                |no: BlockNo| Ok::<_, crate::StoreError>(no == of.block || (self.is_ancestor)(no, of.block)?);
            if seen(branch.tip.no)? {
                continue;
            }
            let (mut below, mut above) = (branch.first_seq - 1, branch.tip.seq);
            while above - below > 1 {
                let middle = below + (above - below) / 2;
                if seen(block(middle)?)? { below = middle } else { above = middle }
            }
            let unseen = TxNo(self.db.transactions_of(block(above)?)?.start);
            first = Some(first.map_or(unseen, |f| f.min(unseen)));
        }
        Ok(first)
    }
}
