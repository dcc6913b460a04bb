//! What an outsider knows of all blocks: who made which when, on top of what, and how many hold it.

use std::collections::HashMap;

use p2pdb_model::ids::Cid;
use p2pdb_sync::HeldBlock;

use crate::oracle::Failure;

/// A block.
#[derive(Clone, Debug)]
pub struct Entry {
    parents: Vec<u32>,
    bytes: usize,
    made_us: u64,
    holders: usize,
    /// When half of the nodes, 99 of a hundred, and all of them held it.
    pub reached_us: [Option<u64>; 3],
}

impl Entry {
    /// The same as times since it was made.
    pub fn took_us(&self) -> [Option<u64>; 3] {
        self.reached_us.map(|r| r.map(|at| at - self.made_us))
    }
}

/// What one node has, by the blocks' numbers here.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    held: Vec<u64>,
    /// How often each was sent to it by catch-up.
    pub served: Vec<u8>,
}

impl Holdings {
    fn has(&self, block: u32) -> bool {
        self.held.get(block as usize / 64).is_some_and(|w| w & (1 << (block % 64)) != 0)
    }

    fn add(&mut self, block: u32) {
        let word = block as usize / 64;
        if self.held.len() <= word {
            self.held.resize(word + 1, 0);
        }
        self.held[word] |= 1 << (block % 64);
    }

    /// The block was in a bundle.
    pub fn serve(&mut self, block: u32) {
        let block = block as usize;
        if self.served.len() <= block {
            self.served.resize(block + 1, 0);
        }
        self.served[block] = self.served[block].saturating_add(1);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Vec<Entry>,
    numbers: HashMap<Cid, u32>,
    /// Nodes that should come to hold new blocks.
    audience: usize,
}

impl Ledger {
    /// Without blocks, for so many nodes.
    pub fn new(audience: usize) -> Self {
        Ledger { audience, ..Ledger::default() }
    }

    /// How many blocks there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True before the genesis block.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The blocks from this number on.
    pub fn from(&self, first: usize) -> &[Entry] {
        &self.entries[first.min(self.entries.len())..]
    }

    /// Bytes of the blocks from this number on.
    pub fn bytes_from(&self, first: usize) -> u64 {
        self.from(first).iter().map(|e| e.bytes as u64).sum()
    }

    /// The number of a block.
    pub fn number(&self, cid: &Cid) -> Option<u32> {
        self.numbers.get(cid).copied()
    }

    /// A block is made.
    pub fn enter(&mut self, block: &HeldBlock, now_us: u64) {
        let parents = block.block.header().all_parents().filter_map(|p| self.number(p)).collect();
        let number = u32::try_from(self.entries.len()).expect("invariant: worlds are small");
        self.numbers.insert(block.block.cid(), number);
        let bytes = block.wire.size_bytes();
        self.entries.push(Entry { parents, bytes, made_us: now_us, holders: 0, reached_us: [None; 3] });
    }

    /// A node holds it from now on.
    ///
    /// # Errors
    /// When nobody made it, or its parents are not there, or it is there already.
    pub fn hold(&mut self, cid: &Cid, by: &mut Holdings, now_us: u64) -> Result<(), Failure> {
        let wrong = |what: String| Failure::new("causal", what);
        let number = self.number(cid).ok_or_else(|| wrong(format!("nobody made the block {cid}")))?;
        let entry = &mut self.entries[number as usize];
        if by.has(number) {
            return Err(wrong(format!("the block {number} is applied twice")));
        }
        if let Some(parent) = entry.parents.iter().find(|p| !by.has(**p)) {
            return Err(wrong(format!("the block {number} is applied before its parent {parent}")));
        }
        by.add(number);
        entry.holders += 1;
        let parts = [self.audience.div_ceil(2), (self.audience * 99).div_ceil(100), self.audience];
        for (part, reached) in parts.into_iter().zip(&mut entry.reached_us) {
            if entry.holders >= part {
                reached.get_or_insert(now_us);
            }
        }
        Ok(())
    }
}
