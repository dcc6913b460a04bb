//! The log as the oracles read it: who saw whom, and which blocks count, by code of their own.
//!
//! Which transactions count is in `verdicts`.

use std::collections::{BTreeSet, HashMap};

use p2pdb_block::FullBlock;
use p2pdb_model::change::{RowChange, SchemaChange};
use p2pdb_model::{Change, Cid, ObjectId, Value};

use super::Failure;
use super::verdicts::{Place, Verdicts};

/// Where in the log: block (in causal order) and change.
pub type At = (usize, usize);

/// See the module.
pub struct Log<'a> {
    blocks: &'a [FullBlock],
    /// For each block the blocks before it, as bits.
    past: Vec<Vec<u64>>,
    void: BTreeSet<Place>,
    /// Transactions that count and may only add to these tables.
    adding: BTreeSet<(Place, ObjectId)>,
    /// Transactions with a number, and where they are.
    witnesses: Vec<(Place, u64)>,
}

pub(super) fn has(bits: &[u64], block: usize) -> bool {
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
        let mut log =
            Log { blocks, past, void: BTreeSet::new(), adding: BTreeSet::new(), witnesses: Vec::new() };
        log.judge(&index);
        log.look_for_witnesses();
        Ok(log)
    }

    fn judge(&mut self, index: &HashMap<Cid, usize>) {
        let verdicts = Verdicts::read(self.blocks, &self.past, index);
        let mut void = BTreeSet::new();
        for (b, block) in self.blocks.iter().enumerate() {
            let all = 0..block.body().transactions().len();
            void.extend(all.map(|t| (b, t)).filter(|at| !verdicts.accepted(*at)));
        }
        self.void = void;
        for (b, block) in self.blocks.iter().enumerate() {
            let body = block.body();
            for (t, tx) in
                body.transactions().iter().enumerate().filter(|(t, _)| !self.void.contains(&(b, *t)))
            {
                let inserted = tx.changes().iter().filter_map(|c| match c {
                    Change::Row(RowChange::Insert { layout, .. }) => {
                        Some(body.layouts()[*layout as usize].table())
                    }
                    _ => None,
                });
                let inserted: BTreeSet<ObjectId> = inserted.collect();
                let adds = inserted.into_iter().filter(|table| verdicts.adds_only((b, t), *table));
                self.adding.extend(adds.map(|table| ((b, t), table)));
            }
        }
    }

    fn look_for_witnesses(&mut self) {
        let mut table: Option<ObjectId> = None;
        for (b, block) in self.blocks.iter().enumerate() {
            let body = block.body();
            let numbered = body.transactions().iter().enumerate();
            for (t, change) in numbered.flat_map(|(t, tx)| tx.changes().iter().map(move |c| (t, c))) {
                match change {
                    Change::Schema(SchemaChange::Put { id, name: Some(name), .. }) if name == "w_a" => {
                        table = Some(*id);
                    }
                    Change::Row(row @ RowChange::Insert { layout, .. }) => {
                        let layout = &body.layouts()[*layout as usize];
                        if Some(layout.table()) == table
                            && let Some([Value::Int(id)]) = row.key(layout).as_ref().map(|k| k.0.as_slice())
                        {
                            self.witnesses.push(((b, t), *id as u64));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Asks what counts in the log as its author knew it who wrote this block, the block itself included. The second argument says
    /// where a place of this log is in that.
    ///
    /// # Errors
    /// None, if this log could be read.
    pub fn as_known_to<T>(
        &self,
        block: usize,
        ask: impl FnOnce(&Verdicts<'_>, &dyn Fn(Place) -> Place) -> T,
    ) -> Result<T, Failure> {
        let known: Vec<usize> = (0..=block).filter(|b| *b == block || has(&self.past[block], *b)).collect();
        let blocks: Vec<FullBlock> = known.iter().map(|b| self.blocks[*b].clone()).collect();
        let mut index = HashMap::new();
        let past = pasts(&blocks, &mut index)?;
        let mut verdicts = Verdicts::read(&blocks, &past, &index);
        // How long a choice of key is kept without a look at ends.
        verdicts.slack_ms = 1_000;
        let place = |(b, t): Place| (known.binary_search(&b).unwrap_or_default(), t);
        Ok(ask(&verdicts, &place))
    }

    /// Change `a` was written in sight of `b`.
    pub fn saw(&self, a: At, b: At) -> bool {
        if a.0 == b.0 { a.1 > b.1 } else { has(&self.past[a.0], b.0) }
    }

    /// The transaction does not count.
    pub fn is_void(&self, at: Place) -> bool {
        self.void.contains(&at)
    }

    /// What the transaction inserts into this table may not overwrite anything.
    pub fn adds_only(&self, at: Place, table: ObjectId) -> bool {
        self.adding.contains(&(at, table))
    }

    /// Those that do not count: block and transaction.
    pub fn void(&self) -> BTreeSet<(String, u64)> {
        self.void.iter().map(|at| self.named(*at)).collect()
    }

    fn named(&self, at: Place) -> (String, u64) {
        (self.blocks[at.0].cid().to_string(), at.1 as u64)
    }

    /// Numbered transactions that count, and that do not.
    pub fn witnessed(&self) -> (BTreeSet<u64>, BTreeSet<u64>) {
        let of = |void| {
            let some = self.witnesses.iter().filter(move |(at, _)| self.is_void(*at) == void);
            some.map(|(_, id)| *id).collect()
        };
        (of(false), of(true))
    }
}
