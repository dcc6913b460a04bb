//! The rules number: under which rules a block is, and what becomes of blocks under rules that this program does not
//! know.
//!
//! A realm begins with the rules number of its genesis block; an owner's change switches a newer one on. A block is
//! under the greatest number switched on in its causal past, and its header says so: one that says something else is
//! refused by every node. A program that does not know the number in force refuses writes, and says so. From the first
//! block under such a number on it stores and serves blocks, but applies none, whatever their number: the tables stay as
//! they were. A program that knows the number takes those blocks in anew when it opens the store.

use std::sync::Arc;

use p2pdb_block::{Block, RawBlock, WholeBlock};
use p2pdb_model::change::AccessChange;
use p2pdb_model::{AccountId, Cid};
use p2pdb_store::{self as store, BlockNo};

use crate::arrive::{ApplyError, Arriving};
use crate::error::EngineError;
use crate::logged;
use crate::writer::Writer;

/// Bytes of blocks that are taken in anew with one commit.
const RETAKE_BYTES: usize = 8 << 20;

/// Blocks are kept and not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keeps {
    /// The rules number in force.
    rules: u32,
    /// The newest one that is known.
    known: u32,
    /// How many blocks are kept.
    pub(crate) blocks: u64,
    /// The first of them; none came yet after the switch.
    from: Option<BlockNo>,
}

impl Keeps {
    /// For people: why nothing is written and nothing new is seen.
    pub(crate) fn why(&self) -> String {
        let Keeps { rules, known, blocks, .. } = self;
        format!(
            "the realm has gone over to rules {rules}, this program knows rules up to {known}: {blocks} blocks are kept \
             and not applied until a newer p2pdb-node is started here"
        )
    }

    /// True for a block of the log that is kept.
    pub(crate) fn contains(&self, no: BlockNo) -> bool {
        self.from.is_some_and(|from| no >= from)
    }
}

impl Writer {
    /// What is kept, if blocks are not applied any more.
    pub(crate) fn keeps(&self) -> Option<Keeps> {
        let rules = self.access.rules();
        let from = self.kept.as_ref().map(|k| k.from);
        let blocks = from.map_or(0, |from| self.dag.next_no().0 - from.0);
        let stopped = rules > self.rules_known || from.is_some();
        stopped.then_some(Keeps { rules, known: self.rules_known, blocks, from })
    }

    /// Takes in a block whose parents are in the log: applies it, or keeps it. True when it was applied.
    pub(crate) fn take(&mut self, block: Arriving) -> Result<bool, ApplyError> {
        if self.kept.is_none() {
            let (says, author) = (block.header().rules, block.author());
            let rules = self.rules_of(&block)?;
            if says != rules {
                return Err(ApplyError::Refused(format!(
                    "it says that it is under rules {says}, but its causal past is under rules {rules}"
                )));
            }
            if says <= self.rules_known {
                let full = block.decode().map_err(|e| ApplyError::Refused(e.to_string()))?;
                self.apply_block(&full)?;
                return Ok(true);
            }
            if !self.dag.is_empty() && !self.access.is_member(author) {
                // Who was removed cannot stop this node; a program that knows the rules may take it in.
                return Err(ApplyError::Refused(format!(
                    "it is under rules {says}, which are not known here, and its author is no member"
                )));
            }
        }
        self.keep(&block)?;
        Ok(false)
    }

    /// The rules number that a block, whose parents are all applied, is under. The first block says it itself.
    fn rules_of(&self, block: &Block) -> Result<u32, store::StoreError> {
        match self.dag.is_empty() {
            true => Ok(block.header().rules),
            false => self.rules_behind(block.header().all_parents()),
        }
    }

    /// The rules number that a block with these parents is under.
    pub(crate) fn rules_behind<'a>(
        &self,
        parents: impl Iterator<Item = &'a Cid>,
    ) -> Result<u32, store::StoreError> {
        if !self.access.has_switches() {
            return Ok(self.access.rules());
        }
        let mut pasts = Vec::new();
        for parent in parents {
            pasts.extend(self.past_of(parent)?);
        }
        Ok(self.access.rules_after(&pasts))
    }

    /// Puts a block into the log that is not read.
    fn keep(&mut self, block: &WholeBlock) -> Result<(), ApplyError> {
        let heads: Vec<BlockNo> = self.dag.heads().map(|h| logged::no(h.place.no)).collect();
        self.place(block, |w, placed| {
            if w.kept.is_none() {
                let kept = store::Kept { from: logged::no(placed.place.no), heads };
                w.db.put_kept(&kept)?;
                w.kept = Some(kept);
            }
            Ok(w.log_placed(block, placed, &[], &[])?)
        })
    }

    /// The genesis block says which rules the realm begins with.
    pub(crate) fn begin_rules(&mut self, genesis: &Block) {
        Arc::make_mut(&mut self.access).begin_rules(genesis.header().rules);
    }

    /// Switches newer rules on, for everybody; `account` is an owner's.
    pub(crate) fn switch_rules(&mut self, account: AccountId, rules: u32) -> Result<(), EngineError> {
        if rules > self.rules_known {
            return Err(EngineError::Refused(format!(
                "rules {rules} are not known to this program, which would stop here: it knows rules up to {}",
                self.rules_known
            )));
        }
        self.access(account, vec![AccessChange::Rules { rules }])
    }

    /// Takes the kept blocks in, if their rules are known now. `progress` hears how many are done.
    pub(crate) fn retake(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), EngineError> {
        if let Some(kept) = self.kept.take_if(|_| self.access.rules() <= self.rules_known) {
            self.db.begin()?;
            self.db.cut_kept(&kept)?;
            self.db.commit()?;
            self.reload()?;
        }
        let mut done = 0;
        while self.db.has_cut()? {
            let blocks = self.db.cut_blocks(RETAKE_BYTES)?;
            let Some(last) = blocks.last().map(|b| b.no) else {
                return Err(store::StoreError::Corrupt("the table of kept blocks is empty".to_owned()).into());
            };
            self.begin()?;
            for block in blocks {
                done += 1;
                self.retake_block(block)?;
            }
            self.db.drop_cut(last)?;
            self.commit()?;
            progress(done);
        }
        Ok(())
    }

    fn retake_block(&mut self, cut: store::CutBlock) -> Result<(), EngineError> {
        let no = cut.no.0;
        let whole = RawBlock(cut.envelope).decode().and_then(|b| b.trusted(cut.proof).with_parts(cut.bodies));
        let taken = whole.map_err(|e| ApplyError::Refused(e.to_string()));
        match taken.and_then(|whole| self.take(Arriving::Unread(whole))) {
            Ok(_) => Ok(()),
            // With its rules known it proves to be none of the log's. (Were it damaged, the peers would give it again.)
            Err(ApplyError::Refused(why)) => {
                tracing::warn!("the kept block {no} is refused: {why}");
                Ok(())
            }
            Err(ApplyError::Fault(e)) => Err(e),
        }
    }
}
