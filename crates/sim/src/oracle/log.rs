//! The log as the oracles read it: who saw whom, and which blocks count, by code of their own.
//!
//! Worlds have one owner, the founder, who alone removes members and is never removed. So a block counts when its author is the
//! founder, or when an admission of its author that counts lies in its past, and no removal of the author does, nor does
//! the block lie beyond what a removal had seen. Not here: verdicts of single transactions (all accounts may do all).

use std::collections::{BTreeSet, HashMap};

use p2pdb_block::FullBlock;
use p2pdb_model::change::{AccessChange, RowChange, SchemaChange, SeenTip};
use p2pdb_model::ids::NodeId;
use p2pdb_model::{Change, Cid, ObjectId, Value};

use super::Failure;

/// Where in the log: block (in causal order) and change.
pub type At = (usize, usize);

/// See the module.
pub struct Log<'a> {
    blocks: &'a [FullBlock],
    /// For each block the blocks before it, as bits.
    past: Vec<Vec<u64>>,
    void: BTreeSet<usize>,
    /// Transactions with a number, by the block that they are in.
    witnesses: Vec<(usize, u64)>,
}

fn has(bits: &[u64], block: usize) -> bool {
    bits.get(block / 64).is_some_and(|b| b & (1 << (block % 64)) != 0)
}

fn pasts(blocks: &[FullBlock], index: &mut HashMap<Cid, usize>) -> Result<Vec<Vec<u64>>, Failure> {
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
    Ok(past)
}

impl<'a> Log<'a> {
    /// Reads it; `blocks` are in an order in which parents come first.
    ///
    /// # Errors
    /// When they are not.
    pub fn read(blocks: &'a [FullBlock]) -> Result<Log<'a>, Failure> {
        let mut index = HashMap::new();
        let past = pasts(blocks, &mut index)?;
        let mut log = Log { blocks, past, void: BTreeSet::new(), witnesses: Vec::new() };
        log.judge(&index);
        log.look_for_witnesses();
        Ok(log)
    }

    fn judge(&mut self, index: &HashMap<Cid, usize>) {
        let mut admissions: Vec<(usize, NodeId)> = Vec::new();
        let mut removals: Vec<(usize, NodeId, &[SeenTip])> = Vec::new();
        for (b, block) in self.blocks.iter().enumerate() {
            for change in block.body().transactions().iter().flat_map(|t| t.changes()) {
                match change {
                    Change::Access(AccessChange::Admit { node, .. }) => admissions.push((b, *node)),
                    Change::Access(AccessChange::Remove { node, seen }) => removals.push((b, *node, seen)),
                    _ => {}
                }
            }
        }
        let founder = self.blocks.first().map(|b| b.author());
        for (b, block) in self.blocks.iter().enumerate() {
            let author = block.author();
            if Some(author) == founder {
                continue;
            }
            let past = &self.past[b];
            let admitted =
                admissions.iter().any(|(a, node)| *node == author && has(past, *a) && !self.void.contains(a));
            let covered =
                |tip: &SeenTip| index.get(&tip.tip).is_some_and(|t| *t == b || has(&self.past[*t], b));
            let cut = removals
                .iter()
                .any(|(r, node, seen)| *node == author && (has(past, *r) || !seen.iter().any(covered)));
            if !admitted || cut {
                self.void.insert(b);
            }
        }
    }

    fn look_for_witnesses(&mut self) {
        let mut table: Option<ObjectId> = None;
        for (b, block) in self.blocks.iter().enumerate() {
            let body = block.body();
            for change in body.transactions().iter().flat_map(|t| t.changes()) {
                match change {
                    Change::Schema(SchemaChange::Put { id, name: Some(name), .. }) if name == "w_a" => {
                        table = Some(*id);
                    }
                    Change::Row(row @ RowChange::Insert { layout, .. }) => {
                        let layout = &body.layouts()[*layout as usize];
                        if Some(layout.table()) == table
                            && let Some([Value::Int(id)]) = row.key(layout).as_ref().map(|k| k.0.as_slice())
                        {
                            self.witnesses.push((b, *id as u64));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Change `a` was written in sight of `b`.
    pub fn saw(&self, a: At, b: At) -> bool {
        if a.0 == b.0 { a.1 > b.1 } else { has(&self.past[a.0], b.0) }
    }

    /// The block's transactions do not count.
    pub fn is_void(&self, block: usize) -> bool {
        self.void.contains(&block)
    }

    /// Numbered transactions that count, and that do not.
    pub fn witnessed(&self) -> (BTreeSet<u64>, BTreeSet<u64>) {
        let of = |void| {
            let some = self.witnesses.iter().filter(move |(b, _)| self.is_void(*b) == void);
            some.map(|(_, id)| *id).collect()
        };
        (of(false), of(true))
    }
}
