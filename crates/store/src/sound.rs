//! Blocks as they leave this disk: to a peer, into an export, into a backup and out of one. Their hashes are looked at,
//! so that damage stays where it is and is named where it is. So are, at each start, those that say what all others mean.

use std::collections::BTreeSet;

use p2pdb_block::{Proof, RawBlock};
use p2pdb_model::ValueRef;
use p2pdb_model::change::{AccessChange, Change};
use p2pdb_model::ids::{Cid, NodeId};

use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::index::SCHEMA_TABLE;
use crate::log::BlockNo;
use crate::query::{NEXT, STOP};

impl Connection {
    /// The bodies of a block whose envelope was read, once both are what its name and its header say.
    ///
    /// # Errors
    /// [`StoreError::BlockAt`] where they are not.
    pub fn sound_bodies(&self, no: BlockNo, cid: &Cid, envelope: &[u8]) -> Result<Vec<Vec<u8>>> {
        let damaged = |why| StoreError::BlockAt { no: no.0, why };
        let block = RawBlock(envelope.to_vec()).decode_as(cid).map_err(damaged)?;
        let bodies = self.bodies(no)?;
        // How it was verified does not matter for what it holds.
        block.trusted(Proof::Vouched).check_bodies(bodies.iter().map(Vec::as_slice)).map_err(damaged)?;
        Ok(bodies)
    }

    /// Looks at the hashes of all blocks and bodies, and that none is missing.
    ///
    /// # Errors
    /// [`StoreError::BlockAt`] with the first that is damaged, [`StoreError::Corrupt`] with the first that is missing.
    pub fn check_blocks(&self) -> Result<()> {
        let mut expected = 1;
        self.scan_blocks(BlockNo(0), |b| {
            if b.record.no.0 != expected {
                return Err(StoreError::Corrupt(format!("block {expected} of the log is missing")));
            }
            expected += 1;
            self.sound_bodies(b.record.no, &b.record.cid, b.envelope)?;
            Ok(NEXT)
        })
    }

    /// Looks at the hashes of the blocks by which a node reads all others: those that change the schema, members, accounts and
    /// grants. They are few; a bit flipped in one that can still be decoded would give columns other names, or accounts other
    /// rights.
    ///
    /// # Errors
    /// As [`Self::check_blocks`].
    pub fn check_rules(&self) -> Result<()> {
        let mut blocks = BTreeSet::new();
        let sql = "SELECT DISTINCT tx.block FROM chg JOIN tx ON tx.no = chg.tx WHERE chg.tbl = ?1";
        self.query(sql, [ValueRef::Int(SCHEMA_TABLE)], |r| {
            blocks.insert(BlockNo(r.int(0)? as u64));
            Ok(NEXT)
        })?;
        self.scan_access(|at| {
            blocks.insert(at.block);
            Ok(NEXT)
        })?;
        for no in blocks {
            // That it is there is for whoever reads it to see.
            if let Some(block) = self.block(no)? {
                self.sound_bodies(no, &block.cid(), block.bytes())?;
            }
        }
        Ok(())
    }

    /// True when the log knows this node: it wrote a block, or was admitted.
    pub fn knows_node(&self, node: &NodeId) -> Result<bool> {
        if self.branches()?.iter().any(|b| b.author == *node) {
            return Ok(true);
        }
        let mut found = false;
        self.scan_access(|at| {
            let change = self.change(at.block, at.position)?;
            found = matches!(&change, Change::Access(AccessChange::Admit { node: n, .. }) if n == node);
            Ok(if found { STOP } else { NEXT })
        })?;
        Ok(found)
    }
}
