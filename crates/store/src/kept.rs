//! The end of the log that is kept and not applied, because its rules number is not known to this program.
//!
//! While it is so, those blocks are in the log like all others, with no transactions recorded: they are served to peers
//! and are in the frontier. A note says where they begin and which heads the log had there. A program that knows the
//! rules cuts the log off at that place ([`Writer::cut_kept`]) and takes the blocks in anew, in the order in which they
//! came; until the last one is in, they wait in tables of their own, so that a crash in between loses none.

use p2pdb_block::Proof;
use p2pdb_model::ValueRef;

use crate::connection::Connection;
use crate::connection_writer::Writer;
use crate::error::{Result, StoreError};
use crate::log::{BlockNo, body_no};
use crate::meta;
use crate::query::{NEXT, STOP};

const TABLES: &str =
    "CREATE TABLE IF NOT EXISTS kept (no INTEGER PRIMARY KEY, checked INTEGER NOT NULL, envelope BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS kept_body (no INTEGER PRIMARY KEY, bytes BLOB NOT NULL);";

/// Where the kept end of the log begins.
///
/// There may be blocks in those tables, too: an older program came between two starts of a newer one, and has taken a
/// part of them back into the log. Their numbers are greater than those in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its first block.
    pub from: BlockNo,
    /// The heads of the log before it.
    pub heads: Vec<BlockNo>,
}

/// A block that was cut off: envelope and bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutBlock {
    /// The number that it had.
    pub no: BlockNo,
    /// How it was verified.
    pub proof: Proof,
    /// Its envelope.
    pub envelope: Vec<u8>,
    /// Its bodies.
    pub bodies: Vec<Vec<u8>>,
}

impl Connection {
    /// Where the kept end of the log begins, if there is one.
    pub fn kept(&self) -> Result<Option<Kept>> {
        let Some(bytes) = self.meta(meta::KEPT)? else { return Ok(None) };
        let (numbers, []) = bytes.as_chunks::<8>() else {
            return Err(StoreError::Corrupt("the note of where the kept blocks begin".to_owned()));
        };
        let mut numbers = numbers.iter().map(|n| BlockNo(u64::from_be_bytes(*n)));
        let from = numbers.next();
        let from = from.ok_or_else(|| StoreError::Corrupt("an empty note of kept blocks".to_owned()))?;
        Ok(Some(Kept { from, heads: numbers.collect() }))
    }

    /// True when blocks were cut off that have not all been taken in anew.
    pub fn has_cut(&self) -> Result<bool> {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'kept'";
        Ok(self.query_one(sql, (), |r| r.int(0))? == Some(1))
    }

    /// The first of the blocks that were cut off, until their bytes reach `bytes_max`; at least one, if there is any.
    pub fn cut_blocks(&self, bytes_max: usize) -> Result<Vec<CutBlock>> {
        let mut found: Vec<CutBlock> = Vec::new();
        let mut bytes = 0;
        self.query("SELECT no, checked, envelope FROM kept ORDER BY no", (), |r| {
            if bytes >= bytes_max && !found.is_empty() {
                return Ok(STOP);
            }
            let (no, envelope) = (BlockNo(r.int(0)? as u64), r.blob(2)?.to_vec());
            let proof = if r.int(1)? == 1 { Proof::Signature } else { Proof::Vouched };
            let mut bodies = Vec::new();
            let range = [body_no(no, 0), body_no(BlockNo(no.0 + 1), 0) - 1].map(ValueRef::Int);
            self.query("SELECT bytes FROM kept_body WHERE no BETWEEN ?1 AND ?2 ORDER BY no", range, |r| {
                bodies.push(r.blob(0)?.to_vec());
                Ok(NEXT)
            })?;
            bytes += envelope.len() + bodies.iter().map(Vec::len).sum::<usize>();
            found.push(CutBlock { no, proof, envelope, bodies });
            Ok(NEXT)
        })?;
        Ok(found)
    }
}

impl Writer {
    /// Notes where the kept end of the log begins; inside a transaction.
    pub fn put_kept(&self, kept: &Kept) -> Result<()> {
        let numbers = std::iter::once(&kept.from).chain(&kept.heads);
        let bytes: Vec<u8> = numbers.flat_map(|n| n.0.to_be_bytes()).collect();
        self.put_meta(meta::KEPT, &bytes)
    }

    /// Cuts the kept end off the log, which is then as if those blocks had never come; inside a transaction.
    pub fn cut_kept(&mut self, kept: &Kept) -> Result<()> {
        let no = [ValueRef::Int(kept.from.0 as i64)];
        let body = [ValueRef::Int(body_no(kept.from, 0))];
        self.execute_batch(TABLES)?;
        self.execute("INSERT INTO kept SELECT no, checked, envelope FROM block WHERE no >= ?1", no)?;
        self.execute("INSERT INTO kept_body SELECT no, bytes FROM body WHERE no >= ?1", body)?;
        self.execute("DELETE FROM block WHERE no >= ?1", no)?;
        self.execute("DELETE FROM body WHERE no >= ?1", body)?;
        self.execute("DELETE FROM branch WHERE no NOT IN (SELECT branch FROM block)", ())?;
        self.execute("DELETE FROM head", ())?;
        for head in &kept.heads {
            let sql = "INSERT INTO head (cid, block) SELECT cid, no FROM block WHERE no = ?1";
            self.execute(sql, [ValueRef::Int(head.0 as i64)])?;
        }
        self.remove_meta(meta::KEPT)?;
        self.forget_log();
        Ok(())
    }

    /// These blocks, and all before them, were taken in anew; inside a transaction. After the last one the tables go.
    pub fn drop_cut(&self, upto: BlockNo) -> Result<()> {
        self.execute("DELETE FROM kept WHERE no <= ?1", [ValueRef::Int(upto.0 as i64)])?;
        let body = body_no(BlockNo(upto.0 + 1), 0);
        self.execute("DELETE FROM kept_body WHERE no < ?1", [ValueRef::Int(body)])?;
        if self.query_one("SELECT count(*) FROM kept", (), |r| r.int(0))? == Some(0) {
            self.execute("DROP TABLE kept", ())?;
            self.execute("DROP TABLE kept_body", ())?;
        }
        Ok(())
    }
}
