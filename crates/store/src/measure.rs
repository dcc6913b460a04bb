//! How much of a block captured changes will take, before they are finalized: a transaction that will not fit is told at the
//! statement that goes too far, not at its end.
//!
//! Counted from above, but for the rows that references keep, which are few bytes each; the block's own limit stands behind it.

use std::collections::HashMap;

use p2pdb_model::{CellKind, Value};

use crate::apply::Merger;
use crate::capture::{CaptureOp, Captured};
use crate::connection::Connection;
use crate::error::Result;
use crate::materialize_plan::{Slot, TablePlan};

/// A change's kind, layout and list heads, and the cause of an effect, bytes.
const CHANGE_BYTES: usize = 24;
/// The lists of what is put in and taken out of a set or a map, bytes.
const EDIT_BYTES: usize = 24;

impl Merger {
    /// What these changes take one by one, bytes.
    pub fn log_bytes(&mut self, db: &Connection, captured: &[Captured]) -> Result<usize> {
        let mut bytes = 0;
        for c in captured.iter().filter(|c| !c.temporary) {
            let (old, new) = match c.op {
                CaptureOp::Insert => (None, Some(&c.new)),
                CaptureOp::Update => (Some(&c.old), Some(&c.new)),
                CaptureOp::Delete => (Some(&c.old), None),
            };
            bytes += self.row_bytes(db, &c.table, old, new)?;
        }
        Ok(bytes)
    }

    /// What they take when they are joined to one change a row, bytes.
    pub fn net_log_bytes(&mut self, db: &Connection, captured: &[Captured]) -> Result<usize> {
        type Images<'a> = (Option<&'a Vec<Value>>, Option<&'a Vec<Value>>);
        let mut rows: Vec<(&str, Images<'_>)> = Vec::new();
        let mut at: HashMap<(&str, i64), usize> = HashMap::new();
        for c in captured.iter().filter(|c| !c.temporary) {
            let known = (c.op != CaptureOp::Insert).then(|| at.remove(&(&*c.table, c.old_rowid))).flatten();
            let n = known.unwrap_or_else(|| {
                rows.push((&c.table, ((c.op != CaptureOp::Insert).then_some(&c.old), None)));
                rows.len() - 1
            });
            rows[n].1.1 = (c.op != CaptureOp::Delete).then_some(&c.new);
            if c.op != CaptureOp::Delete {
                at.insert((&c.table, c.new_rowid), n);
            }
        }
        rows.into_iter().map(|(table, (old, new))| self.row_bytes(db, table, old, new)).sum()
    }

    fn row_bytes(
        &mut self,
        db: &Connection,
        table: &str,
        old: Option<&Vec<Value>>,
        new: Option<&Vec<Value>>,
    ) -> Result<usize> {
        let Some(id) = self.cache.by_name(table) else { return Ok(0) };
        let Some(plan) = self.cache.plan(db, id)? else { return Ok(0) };
        Ok(CHANGE_BYTES
            + match (old, new) {
                (None, Some(new)) => {
                    key_bytes(&plan, new) + columns(&plan, new).map(|(_, v)| value_bytes(v)).sum::<usize>()
                }
                (Some(old), Some(new)) => key_bytes(&plan, old) + changed_bytes(&plan, old, new),
                (Some(old), None) => key_bytes(&plan, old),
                (None, None) => return Ok(0),
            })
    }
}

/// The columns of a captured row that statements write.
fn columns<'a>(plan: &'a TablePlan, row: &'a [Value]) -> impl Iterator<Item = (usize, &'a Value)> {
    plan.slots.iter().zip(row).filter_map(|(slot, value)| match slot {
        Slot::Column(n) if plan.columns[*n].stored => Some((*n, value)),
        _ => None,
    })
}

/// A row's identity, written out.
fn key_bytes(plan: &TablePlan, row: &[Value]) -> usize {
    let own = plan.slots.iter().zip(row).find(|(slot, _)| **slot == Slot::Key).map(|(_, v)| v);
    let columns = columns(plan, row).filter(|(n, _)| plan.key.contains(n)).map(|(_, v)| value_bytes(v));
    own.map_or(0, value_bytes) + columns.sum::<usize>()
}

fn changed_bytes(plan: &TablePlan, old: &[Value], new: &[Value]) -> usize {
    let pairs: Vec<(usize, &Value, &Value)> =
        columns(plan, old).zip(columns(plan, new)).map(|((n, o), (_, v))| (n, o, v)).collect();
    let changed: Vec<usize> = pairs.iter().filter(|(_, o, v)| o != v).map(|(n, ..)| *n).collect();
    // What a CHECK joins to them may go along; see `whole`.
    let along = |n: usize| plan.whole_of(n).is_some_and(|w| w.reads.iter().any(|j| changed.contains(j)));
    let written = |n: usize| changed.contains(&n) || along(n);
    let one = |(n, old, new): &(usize, &Value, &Value)| match plan.columns[*n].kind {
        CellKind::Set | CellKind::Map => EDIT_BYTES + value_bytes(old) + value_bytes(new),
        CellKind::Counter => EDIT_BYTES + value_bytes(new),
        _ => value_bytes(new),
    };
    pairs.iter().filter(|(n, ..)| written(*n)).map(one).sum()
}

/// A value in DAG-CBOR.
fn value_bytes(value: &Value) -> usize {
    let head = |n: u64| match n {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        0x1_0000..0x1_0000_0000 => 5,
        _ => 9,
    };
    match value {
        Value::Null => 1,
        Value::Int(n) => head(n.unsigned_abs()),
        Value::Real(_) => 9,
        Value::Text(t) => head(t.len() as u64) + t.len(),
        Value::Blob(b) => head(b.len() as u64) + b.len(),
    }
}
