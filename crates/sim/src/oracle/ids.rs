//! AUTO_INCREMENT values: none is drawn by two nodes, nor again by one that began another chain, whatever became of the deals
//! that they had them from.
//!
//! Also of transactions that do not count: they may again.

use std::collections::{BTreeMap, HashMap};

use p2pdb_block::FullBlock;
use p2pdb_model::change::RowChange;
use p2pdb_model::{Change, Cid, ObjectId, RowKey};

use super::{Failure, Judged};

/// Looks for values that were drawn for one table on two chains. `blocks` are in an order in which parents come first.
///
/// # Errors
/// The first.
pub fn drawn_once(blocks: &[FullBlock]) -> Judged {
    let mut chains: HashMap<Cid, Cid> = HashMap::new();
    let mut drawn: BTreeMap<(ObjectId, RowKey), (Cid, Cid)> = BTreeMap::new();
    for block in blocks {
        let before = block.header().prev.and_then(|prev| chains.get(&prev));
        let chain = *before.unwrap_or(&block.cid());
        chains.insert(block.cid(), chain);
        let body = block.body();
        for change in body.transactions().iter().flat_map(|tx| tx.changes()) {
            let Change::Row(row @ RowChange::Insert { generated: true, .. }) = change else { continue };
            let layout = &body.layouts()[row.layout()];
            let Some(key) = row.key(layout) else { continue };
            let (first, by) = *drawn.entry((layout.table(), key.clone())).or_insert((chain, block.cid()));
            if first != chain {
                let what = format!("{key:?} is drawn in {by} and on another chain in {}", block.cid());
                return Err(Failure::new("ids", what));
            }
        }
    }
    Ok(())
}
