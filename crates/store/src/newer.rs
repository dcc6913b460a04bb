//! Which of the rows that a statement wrote someone else had changed after a snapshot.
//!
//! A transaction that has read a row in its snapshot and then writes it on the newest state must hear of it when the row is
//! another one by now; otherwise a change that it never saw is lost. Here the rows are found; what was read is the
//! engine's knowledge.

use p2pdb_model::{ColumnTag, ObjectId, Value};

use crate::apply::Merger;
use crate::capture::Captured;
use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::log::TxNo;

/// A row that was written, and changed by another transaction since the snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Newer {
    /// Its table.
    pub table: ObjectId,
    /// Its rowid before it was written.
    pub rowid: i64,
    /// Its primary key before it was written; empty without one.
    pub key: Vec<Value>,
    /// The columns whose values were changed here, and changed by the other transaction since the snapshot: which one that
    /// was. Every such column of a row that was deleted.
    pub cells: Vec<(ColumnTag, TxNo)>,
    /// It was updated rather than deleted.
    pub updated: bool,
}

impl Merger {
    /// Rows updated or deleted by what was captured since `mark` that another transaction than `own` had written after
    /// `snapshot`, the last transaction of the snapshot.
    pub fn newer_than(
        &mut self,
        db: &Connection,
        mark: usize,
        snapshot: TxNo,
        own: TxNo,
    ) -> Result<Vec<Newer>> {
        let Some(capture) = db.capture.clone() else { return Ok(Vec::new()) };
        let written: Vec<Captured> =
            capture.with(mark, |all| all.iter().filter(|c| !c.old.is_empty()).cloned().collect());
        let mut newer = Vec::new();
        for c in written {
            let id = self.cache.by_name(&c.table).ok_or_else(|| {
                StoreError::Corrupt(format!("a change of {}, which is not in the schema", c.table))
            })?;
            let Some(plan) = self.cache.plan(db, id)? else { continue };
            let image = plan.captured(&c.old)?;
            let others: Vec<usize> = (0..image.writers.len())
                .filter(|i| image.writers[*i] > snapshot && image.writers[*i] != own)
                .collect();
            if others.is_empty() {
                continue;
            }
            let updated = !c.new.is_empty();
            let now = if updated { Some(plan.captured(&c.new)?) } else { None };
            let overwritten = |i: &usize| now.as_ref().is_none_or(|n| n.values[*i] != image.values[*i]);
            let cells = others.into_iter().filter(overwritten);
            let cells = cells.map(|i| (plan.columns[i].tag, image.writers[i])).collect();
            let columns = plan.table.primary_columns();
            let key = columns.iter().filter_map(|p| plan.column(p.tag)).map(|i| image.values[i].clone());
            newer.push(Newer { table: id, rowid: c.old_rowid, key: key.collect(), cells, updated });
        }
        Ok(newer)
    }
}
