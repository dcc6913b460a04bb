//! No value is lost: each `note` in the log is visible, was overwritten or deleted by somebody who had seen it, or is in
//! `p2pdb.conflicts`.
//!
//! Read from the log's bytes with an ancestry of its own: for each block a set of all blocks before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use p2pdb_block::FullBlock;
use p2pdb_model::change::{RowChange, SchemaChange};
use p2pdb_model::ids::ColumnTag;
use p2pdb_model::value::RowKey;
use p2pdb_model::{Change, Cid, ObjectId, Value};

use super::{Failure, Judged, Picture};

/// Where in the log: block (in causal order) and change.
type At = (usize, usize);
/// What was done to each row: values of `note`, or a delete.
type Done = BTreeMap<(ObjectId, RowKey), Vec<(At, Option<String>)>>;

/// For each block the blocks before it, as bits.
struct Past(Vec<Vec<u64>>);

impl Past {
    fn of(blocks: &[FullBlock]) -> Result<Past, Failure> {
        let mut index: HashMap<Cid, usize> = HashMap::new();
        let mut past: Vec<Vec<u64>> = Vec::with_capacity(blocks.len());
        for (n, block) in blocks.iter().enumerate() {
            let mut mine = vec![0u64; n / 64 + 1];
            for parent in block.header().all_parents() {
                let Some(&p) = index.get(parent) else {
                    let what = format!("block {} stands before its parent {parent}", block.cid());
                    return Err(Failure::new("causal", what));
                };
                mine[p / 64] |= 1 << (p % 64);
                for (to, from) in mine.iter_mut().zip(&past[p]) {
                    *to |= from;
                }
            }
            past.push(mine);
            index.insert(block.cid(), n);
        }
        Ok(Past(past))
    }

    fn saw(&self, a: At, b: At) -> bool {
        if a.0 == b.0 {
            return a.1 > b.1;
        }
        self.0[a.0].get(b.0 / 64).is_some_and(|bits| bits & (1 << (b.0 % 64)) != 0)
    }
}

/// Looks for values that are nowhere. `blocks` are all of the log, in its order.
///
/// # Errors
/// The first that is lost.
pub fn lost_values(blocks: &[FullBlock], picture: &Picture) -> Judged {
    let past = Past::of(blocks)?;
    let mut notes: BTreeSet<(ObjectId, ColumnTag)> = BTreeSet::new();
    let mut rows = Done::new();
    for (b, block) in blocks.iter().enumerate() {
        let body = block.body();
        let changes = body.transactions().iter().flat_map(|t| t.changes());
        for (c, change) in changes.enumerate() {
            match change {
                Change::Schema(SchemaChange::Put { id, parent, name: Some(name), .. }) if name == "note" => {
                    notes.insert((*parent, id.tag()));
                }
                Change::Row(row) => {
                    let layout = &body.layouts()[row.layout()];
                    let Some(key) = row.key(layout) else { continue };
                    let (RowChange::Insert { values, .. } | RowChange::Update { values, .. }) = row else {
                        rows.entry((layout.table(), key)).or_default().push(((b, c), None));
                        continue;
                    };
                    for (tag, value) in layout.columns().iter().zip(values) {
                        if let (true, Value::Text(text)) = (notes.contains(&(layout.table(), *tag)), value) {
                            let done = ((b, c), Some(text.clone()));
                            rows.entry((layout.table(), key.clone())).or_default().push(done);
                        }
                    }
                }
                Change::Schema(_) | Change::Access(_) => {}
            }
        }
    }
    let visible: BTreeSet<&str> = picture
        .tables
        .values()
        .flat_map(|(_, rows)| rows.iter().flatten().flatten())
        .map(String::as_str)
        .collect();
    let conflicts: Vec<&str> = picture.conflicts.iter().flatten().flatten().map(String::as_str).collect();
    for ((table, key), done) in &rows {
        for (at, value) in done {
            let Some(value) = value else { continue };
            let there = visible.contains(value.as_str())
                || done.iter().any(|(other, _)| past.saw(*other, *at))
                || conflicts.iter().any(|c| c.contains(value.as_str()));
            if !there {
                let block = blocks[at.0].cid();
                let what = format!(
                    "'{value}' of row {key:?} in {table}, written in block {block} by {}, is nowhere",
                    blocks[at.0].author()
                );
                return Err(Failure::new("lost value", what));
            }
        }
    }
    Ok(())
}
