//! Reading the log, on any connection: by name, by number, along a chain, along the order of application.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use lru::LruCache;
use p2pdb_block::{BODIES_MAX, ChangeIndex, Proof, RawBlock, VerifiedBlock, decode_body, decode_change_at};
use p2pdb_model::change::Position;
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_model::{AccountId, Body, Change, Stamp, ValueRef, WeakInserts};

use crate::connection::Connection;
use crate::effects::Effects;
use crate::error::{Result, StoreError};
use crate::log::*;
use crate::query::{Flow, NEXT, Row};

/// Transactions' places kept in memory per connection.
const TRANSACTIONS_CACHED_MAX: usize = 4096;

/// Decoded bodies kept in memory per connection, as long as they are small.
const BODIES_CACHED_MAX: usize = 128;

/// A larger body is kept only until the SQLite transaction ends, bytes.
const BODY_CACHED_BYTES_MAX: usize = 64 << 10;

/// Larger bodies kept at once, bytes of their encoding together; decoded they take about five times as much. The last one is
/// kept whatever its size.
const LARGE_BODIES_BYTES_MAX: usize = 64 << 20;

/// What never changes once it is in the log, remembered. Emptied by a rollback.
pub(crate) struct LogCache {
    transactions: LruCache<TxNo, TxRecord>,
    bodies: LruCache<BlockNo, Arc<StoredBody>>,
    /// The last bodies that are too large for `bodies`, the newest at the end, until the SQLite transaction ends: whoever
    /// merges rows asks for the changes of the same few blocks, row after row.
    large: Vec<(BlockNo, Arc<StoredBody>)>,
    authors: HashMap<BranchNo, NodeId>,
    accounts: HashMap<i64, AccountId>,
    newest: Option<Appended>,
}

/// The block that this connection has appended last.
#[derive(Clone)]
struct Appended {
    no: BlockNo,
    transactions: std::ops::Range<u64>,
    /// Whoever wrote it had seen all blocks before it.
    has_seen_all: bool,
}

impl Default for LogCache {
    fn default() -> Self {
        Self {
            // With a capacity they would take all their memory at once, on every connection.
            transactions: LruCache::unbounded(),
            bodies: LruCache::unbounded(),
            large: Vec::new(),
            authors: HashMap::new(),
            accounts: HashMap::new(),
            newest: None,
        }
    }
}

impl LogCache {
    /// A block was appended, with these transactions.
    pub(crate) fn appended(
        &mut self,
        no: BlockNo,
        transactions: Vec<TxRecord>,
        first: TxNo,
        has_seen_all: bool,
    ) {
        let end = first.0 + transactions.len() as u64;
        self.newest = Some(Appended { no, transactions: first.0..end, has_seen_all });
        for tx in transactions {
            remember(&mut self.transactions, TRANSACTIONS_CACHED_MAX, tx.no, tx);
        }
    }
}

/// Adds to a cache and keeps it within its bound.
fn remember<K: std::hash::Hash + Eq, V>(cache: &mut LruCache<K, V>, max: usize, key: K, value: V) {
    cache.put(key, value);
    if cache.len() > max {
        cache.pop_lru();
    }
}

/// A block's content with its bytes.
#[derive(Debug)]
pub struct StoredBody {
    /// The transactions.
    pub body: Body,
    /// Where each change lies in `bytes`.
    pub index: ChangeIndex,
    /// The whole body, chunks put together.
    pub bytes: Vec<u8>,
    /// What changes did to other rows; found when first asked for.
    pub(crate) effects: OnceLock<Effects>,
}

/// A block as it is stored, inside a scan.
#[derive(Clone, Copy, Debug)]
pub struct StoredBlock<'a> {
    /// What the log knows of it.
    pub record: BlockRecord,
    /// Its envelope.
    pub envelope: &'a [u8],
}

/// Where a change of members, accounts or delegations is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessAt {
    /// The block.
    pub block: BlockNo,
    /// Where in the block.
    pub position: Position,
}

/// A statement that gives what [`Connection::record`] reads, and the envelope in column 8.
macro_rules! records {
    ($rest:literal) => {
        concat!("SELECT no, cid, branch, seq, stamp, arrived, checked, first_tx, envelope FROM block ", $rest)
    };
}

impl Connection {
    /// The last block's number; 0 in an empty log.
    pub fn last_block(&self) -> Result<BlockNo> {
        let no = self.query_one("SELECT max(no) FROM block", (), |r| r.int_or_null(0))?;
        Ok(BlockNo(unsigned(no.flatten().unwrap_or(0))?))
    }

    /// The last transaction's number; 0 in an empty log.
    pub fn last_tx(&self) -> Result<TxNo> {
        let no = self.query_one("SELECT max(no) FROM tx", (), |r| r.int_or_null(0))?;
        Ok(TxNo(unsigned(no.flatten().unwrap_or(0))?))
    }

    /// The block of this name.
    pub fn block_by_cid(&self, cid: &Cid) -> Result<Option<BlockRecord>> {
        let sql = records!("WHERE cid = ?1");
        self.query_one(sql, [ValueRef::Blob(digest(cid))], |r| self.record(r))
    }

    /// The block with this number.
    pub fn block_record(&self, no: BlockNo) -> Result<Option<BlockRecord>> {
        let sql = records!("WHERE no = ?1");
        self.query_one(sql, [ValueRef::Int(no.0 as i64)], |r| self.record(r))
    }

    /// The block with this number, decoded.
    pub fn block(&self, no: BlockNo) -> Result<Option<VerifiedBlock>> {
        let sql = records!("WHERE no = ?1");
        self.query_one(sql, [ValueRef::Int(no.0 as i64)], |r| {
            let record = self.record(r)?;
            let block = RawBlock(r.blob(8)?.to_vec()).decode_as(&record.cid);
            Ok(block.map_err(|why| StoreError::BlockAt { no: no.0, why })?.trusted(record.proof))
        })
    }

    /// Walks the log in the order of application, from `from` on.
    pub fn scan_blocks(
        &self,
        from: BlockNo,
        mut each: impl FnMut(StoredBlock<'_>) -> Result<Flow>,
    ) -> Result<()> {
        let sql = records!("WHERE no >= ?1 ORDER BY no");
        self.query(sql, [ValueRef::Int(from.0 as i64)], |r| {
            each(StoredBlock { record: self.record(r)?, envelope: r.blob(8)? })
        })
        .map(drop)
    }

    /// Walks a branch from `from_seq` on.
    pub fn scan_branch(
        &self,
        branch: BranchNo,
        from_seq: u64,
        mut each: impl FnMut(StoredBlock<'_>) -> Result<Flow>,
    ) -> Result<()> {
        let sql = records!("WHERE branch = ?1 AND seq >= ?2 ORDER BY seq");
        let params = [i64::from(branch.0), signed(from_seq)].map(ValueRef::Int);
        self.query(sql, params, |r| each(StoredBlock { record: self.record(r)?, envelope: r.blob(8)? }))
            .map(drop)
    }

    /// The block at this seq of this branch.
    pub fn block_at(&self, branch: BranchNo, seq: u64) -> Result<Option<(BlockNo, Cid)>> {
        let sql = "SELECT no, cid FROM block WHERE branch = ?1 AND seq = ?2";
        let params = [i64::from(branch.0), signed(seq)].map(ValueRef::Int);
        self.query_one(sql, params, |r| Ok((BlockNo(unsigned(r.int(0)?)?), cid(r.blob(1)?)?)))
    }

    /// The greatest seq of a block of this branch numbered at most `no`; 0 when there is none.
    ///
    /// Both grow together along a branch: found by steps that double from the tip back, then by halving.
    pub fn last_seq_at(&self, branch: BranchNo, no: BlockNo) -> Result<u64> {
        let ends = "SELECT min(seq), max(seq) FROM (SELECT seq FROM block WHERE branch = ?1 AND seq = (
                        SELECT min(seq) FROM block WHERE branch = ?1) UNION ALL SELECT max(seq) FROM block WHERE branch = ?1)";
        let ends = self.query_one(ends, [ValueRef::Int(i64::from(branch.0))], |r| {
            Ok((r.int_or_null(0)?, r.int_or_null(1)?))
        })?;
        let Some((Some(first), Some(tip))) = ends else { return Ok(0) };
        let (first, tip) = (unsigned(first)?, unsigned(tip)?);
        let number = |seq: u64| -> Result<BlockNo> {
            let sql = "SELECT no FROM block WHERE branch = ?1 AND seq = ?2";
            let params = [i64::from(branch.0), signed(seq)].map(ValueRef::Int);
            let found = self.query_one(sql, params, |r| r.int(0))?;
            let gap = || StoreError::Corrupt(format!("branch {} lacks seq {seq}", branch.0));
            Ok(BlockNo(unsigned(found.ok_or_else(gap)?)?))
        };
        // Invariant: number(above) > no.
        let (mut above, mut step) = (tip + 1, 1);
        let mut below = loop {
            let seq = (above - 1).saturating_sub(step - 1).max(first);
            if number(seq)? <= no {
                break seq;
            }
            above = seq;
            if seq == first {
                return Ok(0);
            }
            step *= 2;
        };
        while above - below > 1 {
            let middle = below + (above - below) / 2;
            if number(middle)? <= no {
                below = middle;
            } else {
                above = middle;
            }
        }
        Ok(below)
    }

    /// What the block had not seen, as `dag` wrote it; empty for nothing.
    pub fn unseen(&self, no: BlockNo) -> Result<Vec<u8>> {
        let sql = "SELECT unseen FROM block WHERE no = ?1";
        enum Stored {
            Here(Vec<u8>),
            At(i64),
        }
        let read = |no: i64| {
            let found = self.query_one(sql, [ValueRef::Int(no)], |r| match r.get(0)? {
                ValueRef::Null => Ok(Stored::Here(Vec::new())),
                ValueRef::Blob(b) => Ok(Stored::Here(b.to_vec())),
                ValueRef::Int(n) => Ok(Stored::At(n)),
                _ => Err(StoreError::Corrupt(format!("the unseen list of block {no}"))),
            })?;
            found.ok_or_else(|| StoreError::NotFound(format!("block {no}")))
        };
        match read(no.0 as i64)? {
            Stored::Here(bytes) => Ok(bytes),
            Stored::At(other) => match read(other)? {
                Stored::Here(bytes) => Ok(bytes),
                Stored::At(_) => Err(StoreError::Corrupt(format!("the unseen list of block {}", no.0))),
            },
        }
    }

    /// All branches in the order of their numbers, each with its tip.
    pub fn branches(&self) -> Result<Vec<BranchRecord>> {
        let mut found = Vec::new();
        let sql = "SELECT no, author, first, fork, first_seq,
                   (SELECT b.no FROM block b WHERE b.branch = branch.no ORDER BY b.seq DESC LIMIT 1)
                   FROM branch ORDER BY no";
        self.query(sql, (), |r| {
            let no = BranchNo(branch_no(r.int(0)?)?);
            let fork = r.int_or_null(3)?.map(unsigned).transpose()?.map(BlockNo);
            let empty = || StoreError::Corrupt(format!("branch {} has no block", no.0));
            let tip = BlockNo(unsigned(r.int_or_null(5)?.ok_or_else(empty)?)?);
            let tip = self.block_record(tip)?.ok_or_else(empty)?;
            found.push(BranchRecord {
                no,
                author: node(r.blob(1)?)?,
                first: cid(r.blob(2)?)?,
                fork,
                first_seq: unsigned(r.int(4)?)?,
                tip,
            });
            Ok(NEXT)
        })?;
        Ok(found)
    }

    /// The heads, ascending by CID.
    pub fn heads(&self) -> Result<Vec<BlockRecord>> {
        let mut found = Vec::new();
        self.query("SELECT block FROM head ORDER BY cid", (), |r| {
            let no = BlockNo(unsigned(r.int(0)?)?);
            let lost = || StoreError::Corrupt(format!("head {} is not in the log", no.0));
            found.push(self.block_record(no)?.ok_or_else(lost)?);
            Ok(NEXT)
        })?;
        Ok(found)
    }

    /// The block's bodies, in order. Fewer than its header lists where one is missing.
    pub fn bodies(&self, no: BlockNo) -> Result<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        let sql = "SELECT bytes FROM body WHERE no BETWEEN ?1 AND ?2 ORDER BY no";
        let params = [body_no(no, 0), body_no(no, BODIES_MAX - 1)].map(ValueRef::Int);
        self.query(sql, params, |r| {
            parts.push(r.blob(0)?.to_vec());
            Ok(NEXT)
        })?;
        Ok(parts)
    }

    /// The block's content, decoded. Empty for a merge block.
    pub fn body(&self, no: BlockNo) -> Result<Arc<StoredBody>> {
        if let Some(body) = self.cached_body(no) {
            return Ok(body);
        }
        let mut parts = self.bodies(no)?;
        let bytes = if parts.len() == 1 { parts.remove(0) } else { parts.concat() };
        let (body, index) = if bytes.is_empty() {
            Default::default()
        } else {
            decode_body(&bytes).map_err(|why| StoreError::BlockAt { no: no.0, why })?
        };
        let body = Arc::new(StoredBody { body, index, bytes, effects: OnceLock::new() });
        if body.bytes.len() <= BODY_CACHED_BYTES_MAX {
            remember(&mut self.log_cache.borrow_mut().bodies, BODIES_CACHED_MAX, no, body.clone());
        } else {
            let large = &mut self.log_cache.borrow_mut().large;
            large.push((no, body.clone()));
            let mut bytes: usize = large.iter().map(|(_, b)| b.bytes.len()).sum();
            while bytes > LARGE_BODIES_BYTES_MAX && large.len() > 1 {
                bytes -= large.remove(0).1.bytes.len();
            }
        }
        Ok(body)
    }

    fn cached_body(&self, no: BlockNo) -> Option<Arc<StoredBody>> {
        let cache = &mut *self.log_cache.borrow_mut();
        if let Some(i) = cache.large.iter().rposition(|(n, _)| *n == no) {
            // The last one that was asked for stands at the end.
            cache.large[i..].rotate_left(1);
            return cache.large.last().map(|(_, body)| body.clone());
        }
        cache.bodies.get(&no).cloned()
    }

    /// The SQLite transaction is over.
    pub(crate) fn forget_large_body(&self) {
        self.log_cache.borrow_mut().large = Vec::new();
    }

    /// One change of a block.
    pub fn change(&self, no: BlockNo, at: Position) -> Result<Change> {
        let stored = self.body(no)?;
        let transaction = stored.body.transactions().get(at.transaction as usize);
        let change = transaction.and_then(|t| t.changes().get(at.change as usize));
        change.cloned().ok_or_else(|| {
            StoreError::NotFound(format!("change {}.{} of block {}", at.transaction, at.change, no.0))
        })
    }

    /// The change that begins at this byte of a block's body, without decoding the others.
    pub fn change_at(&self, no: BlockNo, offset: u32) -> Result<Change> {
        let decoded = |bytes: &[u8]| {
            decode_change_at(bytes, offset).map_err(|why| StoreError::BlockAt { no: no.0, why })
        };
        if let Some(body) = self.cached_body(no) {
            return decoded(&body.bytes);
        }
        let bytes = self.bodies(no)?.concat();
        if bytes.len() <= offset as usize {
            return Err(StoreError::NotFound(format!("byte {offset} of the body of block {}", no.0)));
        }
        decoded(&bytes)
    }

    /// The transaction with this number.
    pub fn tx(&self, no: TxNo) -> Result<Option<TxRecord>> {
        if let Some(tx) = self.log_cache.borrow_mut().transactions.get(&no) {
            return Ok(Some(*tx));
        }
        let sql = "SELECT tx.block, tx.position, tx.account, b.branch, b.seq, b.stamp, b.cid
                   FROM tx JOIN block b ON b.no = tx.block WHERE tx.no = ?1";
        let found = self.query_one(sql, [ValueRef::Int(no.0 as i64)], |r| {
            let branch = BranchNo(branch_no(r.int(3)?)?);
            Ok(TxRecord {
                no,
                block: BlockNo(unsigned(r.int(0)?)?),
                position: branch_no(r.int(1)?)?,
                account: self.account(r.int(2)?)?,
                branch,
                seq: unsigned(r.int(4)?)?,
                stamp: Stamp(r.int(5)? as u64),
                author: self.author(branch)?,
                cid: cid(r.blob(6)?)?,
            })
        })?;
        if let Some(tx) = found {
            remember(&mut self.log_cache.borrow_mut().transactions, TRANSACTIONS_CACHED_MAX, no, tx);
        }
        Ok(found)
    }

    /// The numbers of a block's transactions.
    pub fn transactions_of(&self, no: BlockNo) -> Result<std::ops::Range<u64>> {
        if let Some(newest) = self.log_cache.borrow().newest.as_ref().filter(|newest| newest.no == no) {
            return Ok(newest.transactions.clone());
        }
        let lost = || StoreError::NotFound(format!("block {}", no.0));
        let first = self.block_record(no)?.ok_or_else(lost)?.first_tx.0;
        let end = match self.block_record(BlockNo(no.0 + 1))? {
            Some(next) => next.first_tx.0,
            None => self.last_tx()?.0 + 1,
        };
        Ok(first..end)
    }

    /// The block was appended last, by this connection, and whoever wrote it had seen all blocks before it. False where that would have
    /// to be looked up.
    pub(crate) fn has_seen_all(&self, no: BlockNo) -> bool {
        let cache = self.log_cache.borrow();
        cache.newest.as_ref().is_some_and(|newest| newest.no == no && newest.has_seen_all)
    }

    /// How the transaction was judged.
    pub fn verdict(&self, no: TxNo) -> Result<Option<Verdict>> {
        Ok(self.judgement(no)?.map(|(verdict, _)| verdict))
    }

    /// How the transaction was judged, and which of its inserts are weak.
    pub fn judgement(&self, no: TxNo) -> Result<Option<(Verdict, WeakInserts)>> {
        let no = [ValueRef::Int(no.0 as i64)];
        let stored = self.query_one("SELECT verdict FROM tx WHERE no = ?1", no, |r| r.int(0))?;
        let Some(stored) = stored else { return Ok(None) };
        if stored != i64::from(ADDS) {
            return Ok(Some((verdict(stored)?, WeakInserts::NONE)));
        }
        let weak = self.query_one("SELECT weak FROM adds WHERE tx = ?1", no, |r| {
            Ok(WeakInserts::from_bytes(r.blob(0)?))
        })?;
        let lost = || StoreError::Corrupt("which inserts of a transaction are weak".to_owned());
        Ok(Some((Verdict::ACCEPTED, weak.flatten().ok_or_else(lost)?)))
    }

    /// Walks all transactions after this one that are not accepted, in the order of application.
    pub fn scan_void(&self, after: TxNo, mut each: impl FnMut(TxNo, Verdict) -> Result<Flow>) -> Result<()> {
        let sql = "SELECT no, verdict FROM tx WHERE verdict <> 0 AND verdict <> ?2 AND no > ?1 ORDER BY no";
        self.query(sql, [after.0 as i64, i64::from(ADDS)].map(ValueRef::Int), |r| {
            each(TxNo(unsigned(r.int(0)?)?), verdict(r.int(1)?)?)
        })
        .map(drop)
    }

    /// Walks all places of changes of members, accounts and delegations, in the order of application.
    pub fn scan_access(&self, mut each: impl FnMut(AccessAt) -> Result<Flow>) -> Result<()> {
        self.query("SELECT block, tx, change FROM access ORDER BY block, tx, change", (), |r| {
            let position = Position { transaction: branch_no(r.int(1)?)?, change: branch_no(r.int(2)?)? };
            each(AccessAt { block: BlockNo(unsigned(r.int(0)?)?), position })
        })
        .map(drop)
    }

    fn record(&self, r: &Row<'_>) -> Result<BlockRecord> {
        let branch = BranchNo(branch_no(r.int(2)?)?);
        Ok(BlockRecord {
            no: BlockNo(unsigned(r.int(0)?)?),
            cid: cid(r.blob(1)?)?,
            branch,
            author: self.author(branch)?,
            seq: unsigned(r.int(3)?)?,
            stamp: Stamp(r.int(4)? as u64),
            arrived_ms: unsigned(r.int(5)?)?,
            proof: if r.int(6)? == 1 { Proof::Signature } else { Proof::Vouched },
            first_tx: TxNo(unsigned(r.int(7)?)?),
        })
    }

    fn author(&self, branch: BranchNo) -> Result<NodeId> {
        if let Some(author) = self.log_cache.borrow().authors.get(&branch) {
            return Ok(*author);
        }
        let sql = "SELECT author FROM branch WHERE no = ?1";
        let found = self.query_one(sql, [ValueRef::Int(i64::from(branch.0))], |r| node(r.blob(0)?))?;
        let author = found.ok_or_else(|| StoreError::Corrupt(format!("branch {} is missing", branch.0)))?;
        self.log_cache.borrow_mut().authors.insert(branch, author);
        Ok(author)
    }

    fn account(&self, no: i64) -> Result<AccountId> {
        if let Some(id) = self.log_cache.borrow().accounts.get(&no) {
            return Ok(*id);
        }
        let found = self.query_one("SELECT id FROM account WHERE no = ?1", [ValueRef::Int(no)], |r| {
            let id = AccountId::from_slice(r.blob(0)?);
            id.ok_or_else(|| StoreError::Corrupt(format!("the id of account number {no}")))
        })?;
        let id = found.ok_or_else(|| StoreError::Corrupt(format!("account number {no} is missing")))?;
        self.log_cache.borrow_mut().accounts.insert(no, id);
        Ok(id)
    }
}

/// For bounds given by callers: what is beyond a column's range is beyond every row.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> Result<u64> {
    u64::try_from(n).map_err(|_| StoreError::Corrupt(format!("a negative number {n} in the log")))
}

fn branch_no(n: i64) -> Result<u32> {
    u32::try_from(n).map_err(|_| StoreError::Corrupt(format!("number {n} in the log is out of range")))
}

fn verdict(n: i64) -> Result<Verdict> {
    let n = u16::try_from(n).map_err(|_| StoreError::Corrupt(format!("verdict {n}")))?;
    Ok(Verdict(n))
}

fn node(bytes: &[u8]) -> Result<NodeId> {
    NodeId::from_slice(bytes).ok_or_else(|| StoreError::Corrupt("an author's key".to_owned()))
}
