//! The log's tables: blocks in the order of application, their bodies, transactions, branches, heads.
//!
//! * `block.no` is dense from 1 in the order of application, a causal order: parents have smaller numbers. `tx.no`
//!   is dense from 1 over all transactions in that order; it is the version number in the hidden column `_v`.
//!   Both are this node's own.
//! * A block's name is kept as the digest of its CID: every block is CIDv1, dag-cbor, sha2-256.
//! * Header and bodies are apart, so that walking the log reads no bodies.
//! * `block.sum` covers the columns that only this node knows (arrival, how it was verified, unseen list), so that
//!   damage in them is found too.
//! * A branch's tip is not stored: it is the last block of the branch.
//!
//! Writing is here; reading, which works on any connection, is in `log_read`. What a branch or an unseen list
//! means is `dag`'s, what a verdict means is `access`'s: both are opaque here.

use std::collections::HashMap;

use p2pdb_block::cid::{DAG_CBOR, SHA2_256};
use p2pdb_block::{BODIES_MAX, BodyPart, Proof, VerifiedBlock};
use p2pdb_model::change::{Position, WriteOrder};
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_model::{AccountId, Stamp, ValueRef, WeakInserts};

use crate::connection_writer::Writer;
use crate::error::{Result, StoreError};

pub(crate) const SCHEMA: &str = "
CREATE TABLE block (
    no INTEGER PRIMARY KEY,
    cid BLOB NOT NULL UNIQUE,
    branch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    stamp INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    checked INTEGER NOT NULL,
    first_tx INTEGER NOT NULL,
    unseen,
    sum INTEGER NOT NULL,
    envelope BLOB NOT NULL
);
CREATE UNIQUE INDEX block_branch ON block (branch, seq);
CREATE TABLE body (no INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE tx (
    no INTEGER PRIMARY KEY,
    block INTEGER NOT NULL,
    position INTEGER NOT NULL,
    account INTEGER NOT NULL,
    verdict INTEGER NOT NULL
);
CREATE INDEX tx_void ON tx (no) WHERE verdict <> 0;
CREATE TABLE account (no INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);
CREATE TABLE branch (
    no INTEGER PRIMARY KEY,
    author BLOB NOT NULL,
    first BLOB NOT NULL,
    fork INTEGER,
    first_seq INTEGER NOT NULL
);
CREATE TABLE head (cid BLOB PRIMARY KEY NOT NULL, block INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE access (
    block INTEGER NOT NULL,
    tx INTEGER NOT NULL,
    change INTEGER NOT NULL,
    PRIMARY KEY (block, tx, change)
) WITHOUT ROWID;
";

/// Which inserts of an accepted transaction are weak. Made wherever it is missing: a store of before has none.
pub(crate) const ADDS_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS adds (tx INTEGER PRIMARY KEY, weak BLOB NOT NULL);
";

/// In place of a verdict: accepted, and `adds` says which of its inserts are weak.
pub(crate) const ADDS: u16 = 256;

/// A body's rowid is `block * BODIES_MAX + its place`, so that bodies need no index of their own.
const _: () = assert!(BODIES_MAX == 128, "the numbers of bodies are part of the file's format");

/// Length of a digest that names a block, bytes.
pub(crate) const DIGEST_BYTES: usize = 32;

/// A block's number on this node, from 1, in the order of application. 0 stands for none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BlockNo(pub u64);

/// A transaction's number on this node, from 1, in the order of application: the version in `_v`. 0 stands for
/// none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TxNo(pub u64);

/// A branch's number on this node, from 0, in the order of appearance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BranchNo(pub u32);

/// An outcome of judging: 0 is accepted, anything else a reason for being void. The reasons are `access`'s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Verdict(pub u16);

impl Verdict {
    /// The transaction counts.
    pub const ACCEPTED: Verdict = Verdict(0);

    /// True for [`Verdict::ACCEPTED`].
    pub fn is_accepted(self) -> bool {
        self == Verdict::ACCEPTED
    }
}

/// A block to append.
#[derive(Clone, Copy, Debug)]
pub struct NewBlock<'a> {
    /// The number that the caller has reckoned for it: must be the next one.
    pub no: BlockNo,
    /// The block.
    pub block: &'a VerifiedBlock,
    /// Its bodies, in the order of the header.
    pub bodies: &'a [BodyPart],
    /// Its branch; new ones are added with [`Writer::add_branch`] first.
    pub branch: BranchNo,
    /// What it had not seen.
    pub unseen: Unseen<'a>,
    /// Heads that it replaces.
    pub heads_gone: &'a [Cid],
    /// When it came to this node, milliseconds since the Unix epoch.
    pub arrived_ms: u64,
    /// Its transactions, in order; none while its rules are unknown.
    pub transactions: &'a [NewTransaction],
    /// Where its changes of members, accounts and delegations are.
    pub access: &'a [Position],
}

/// A transaction of a block to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTransaction {
    /// Whose it is.
    pub account: AccountId,
    /// How it was judged.
    pub verdict: Verdict,
    /// Which of its inserts are weak, where it is accepted.
    pub weak: WeakInserts,
}

/// What a block had not seen of the blocks before it, in the bytes that `dag` makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen<'a> {
    /// Nothing was missed.
    Nothing,
    /// The same as that block, which has a list of its own.
    SameAs(BlockNo),
    /// This list.
    List(&'a [u8]),
}

/// A branch to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewBranch {
    /// Its number: must be the next one.
    pub no: BranchNo,
    /// The chain's author.
    pub author: NodeId,
    /// CID of the chain's first block.
    pub first: Cid,
    /// The block of another branch that it goes on from, when it began with a fork.
    pub fork: Option<BlockNo>,
    /// Seq of its first block.
    pub first_seq: u64,
}

/// What the log knows of a block without reading its envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// Its number.
    pub no: BlockNo,
    /// Its name.
    pub cid: Cid,
    /// Its branch.
    pub branch: BranchNo,
    /// Its author.
    pub author: NodeId,
    /// Its number in its chain.
    pub seq: u64,
    /// Its clock.
    pub stamp: Stamp,
    /// When it came to this node, milliseconds since the Unix epoch.
    pub arrived_ms: u64,
    /// How it was verified.
    pub proof: Proof,
    /// Number of its first transaction (of the next block's first, if it has none).
    pub first_tx: TxNo,
}

/// A branch, with its tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchRecord {
    /// Its number.
    pub no: BranchNo,
    /// The chain's author.
    pub author: NodeId,
    /// CID of the chain's first block.
    pub first: Cid,
    /// The block of another branch that it goes on from.
    pub fork: Option<BlockNo>,
    /// Seq of its first block.
    pub first_seq: u64,
    /// Its last block.
    pub tip: BlockRecord,
}

/// Where a transaction stands; never changes once it is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxRecord {
    /// Its number.
    pub no: TxNo,
    /// Its block.
    pub block: BlockNo,
    /// Its index in the block.
    pub position: u32,
    /// Whose it is.
    pub account: AccountId,
    /// The block's branch.
    pub branch: BranchNo,
    /// The block's number in its chain.
    pub seq: u64,
    /// The block's clock.
    pub stamp: Stamp,
    /// The block's author.
    pub author: NodeId,
    /// The block's name.
    pub cid: Cid,
}

impl TxRecord {
    /// Where this change of the transaction stands in the order of writes.
    pub fn write_order(&self, change: u32) -> WriteOrder {
        let position = Position { transaction: self.position, change };
        WriteOrder { stamp: self.stamp, author: self.author, block: self.cid, position }
    }
}

/// Numbers that the writer gives out; read again from the tables after a rollback.
#[derive(Debug, Default)]
pub(crate) struct LogState {
    next: Option<(BlockNo, TxNo)>,
    accounts: HashMap<AccountId, i64>,
    /// The open transaction has written to the log.
    written: bool,
}

impl LogState {
    /// A transaction begins.
    pub(crate) fn begun(&mut self) {
        self.written = false;
    }

    /// Something was rolled back: forgets what may have been among it. False when nothing of the log was.
    pub(crate) fn rolled_back(&mut self) -> bool {
        if self.written {
            self.next = None;
            self.accounts.clear();
        }
        self.written
    }
}

impl Writer {
    /// The numbers that the next block and the next transaction in the log will get.
    pub fn next_numbers(&mut self) -> Result<(BlockNo, TxNo)> {
        if let Some(next) = self.log.next {
            return Ok(next);
        }
        let next = (BlockNo(self.last_block()?.0 + 1), TxNo(self.last_tx()?.0 + 1));
        self.log.next = Some(next);
        Ok(next)
    }

    /// Adds a branch.
    pub fn add_branch(&mut self, b: &NewBranch) -> Result<()> {
        self.log.written = true;
        let next = self.query_one("SELECT count(*) FROM branch", (), |r| r.int(0))?;
        assert_eq!(next, Some(i64::from(b.no.0)), "branches are added in the order of their numbers");
        self.execute(
            "INSERT INTO branch (no, author, first, fork, first_seq) VALUES (?1, ?2, ?3, ?4, ?5)",
            [
                ValueRef::Int(i64::from(b.no.0)),
                ValueRef::Blob(&b.author.0),
                ValueRef::Blob(digest(&b.first)),
                b.fork.map_or(ValueRef::Null, |n| ValueRef::Int(n.0 as i64)),
                ValueRef::Int(b.first_seq as i64),
            ],
        )?;
        Ok(())
    }

    /// Appends a block with its bodies and transactions; says the number of its first transaction.
    ///
    /// # Panics
    /// When its number is not the next one: a bug of the caller.
    pub fn append_block(&mut self, new: &NewBlock<'_>) -> Result<TxNo> {
        let (no, first_tx) = self.next_numbers()?;
        assert_eq!(no, new.no, "blocks are appended in the order of their numbers");
        assert!(new.bodies.len() <= BODIES_MAX, "no more bodies than a header may list");
        self.log.written = true;
        let (block, n) = (new.block, no.0 as i64);
        let cid = block.cid();
        let mut row = [
            ValueRef::Int(n),
            ValueRef::Blob(digest(&cid)),
            ValueRef::Int(i64::from(new.branch.0)),
            ValueRef::Int(block.seq() as i64),
            ValueRef::Int(block.stamp().0 as i64),
            ValueRef::Int(new.arrived_ms as i64),
            ValueRef::Int(i64::from(block.proof() == Proof::Signature)),
            ValueRef::Int(first_tx.0 as i64),
            match new.unseen {
                Unseen::Nothing => ValueRef::Null,
                Unseen::SameAs(no) => ValueRef::Int(no.0 as i64),
                Unseen::List(bytes) => ValueRef::Blob(bytes),
            },
            ValueRef::Null,
            ValueRef::Blob(block.bytes()),
        ];
        row[SUMMED] = ValueRef::Int(sum(&row[..SUMMED]));
        self.execute(
            "INSERT INTO block (no, cid, branch, seq, stamp, arrived, checked, first_tx, unseen, sum, envelope)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            row,
        )?;
        for (i, body) in new.bodies.iter().enumerate() {
            self.execute(
                "INSERT INTO body (no, bytes) VALUES (?1, ?2)",
                [ValueRef::Int(body_no(no, i)), ValueRef::Blob(&body.bytes)],
            )?;
        }
        let mut transactions = Vec::with_capacity(new.transactions.len());
        for (i, tx) in new.transactions.iter().enumerate() {
            let account = self.account_no(&tx.account)?;
            self.execute(
                "INSERT INTO tx (no, block, position, account, verdict) VALUES (?1, ?2, ?3, ?4, ?5)",
                [first_tx.0 as i64 + i as i64, n, i as i64, account, stored_verdict(tx.verdict, &tx.weak)]
                    .map(ValueRef::Int),
            )?;
            let tx_no = TxNo(first_tx.0 + i as u64);
            self.put_weak(tx_no, tx.verdict, &tx.weak)?;
            transactions.push(TxRecord {
                no: tx_no,
                block: no,
                position: i as u32,
                account: tx.account,
                branch: new.branch,
                seq: block.seq(),
                stamp: block.stamp(),
                author: block.author(),
                cid,
            });
        }
        for at in new.access {
            self.execute(
                "INSERT INTO access (block, tx, change) VALUES (?1, ?2, ?3)",
                [n, i64::from(at.transaction), i64::from(at.change)].map(ValueRef::Int),
            )?;
        }
        for gone in new.heads_gone {
            self.execute("DELETE FROM head WHERE cid = ?1", [ValueRef::Blob(digest(gone))])?;
        }
        self.execute(
            "INSERT INTO head (cid, block) VALUES (?1, ?2)",
            [ValueRef::Blob(digest(&cid)), ValueRef::Int(n)],
        )?;
        let next_tx = TxNo(first_tx.0 + new.transactions.len() as u64);
        self.log.next = Some((BlockNo(no.0 + 1), next_tx));
        let has_seen_all = new.unseen == Unseen::Nothing;
        self.log_cache.borrow_mut().appended(no, transactions, first_tx, has_seen_all);
        Ok(first_tx)
    }

    /// Changes a transaction's verdict, and which of its inserts are weak.
    pub fn set_verdict(&mut self, tx: TxNo, verdict: Verdict, weak: &WeakInserts) -> Result<()> {
        let params = [ValueRef::Int(tx.0 as i64), ValueRef::Int(stored_verdict(verdict, weak))];
        match self.execute("UPDATE tx SET verdict = ?2 WHERE no = ?1", params)? {
            1 => {}
            _ => return Err(StoreError::NotFound(format!("transaction {}", tx.0))),
        }
        self.execute("DELETE FROM adds WHERE tx = ?1", [ValueRef::Int(tx.0 as i64)])?;
        self.put_weak(tx, verdict, weak)
    }

    fn put_weak(&self, tx: TxNo, verdict: Verdict, weak: &WeakInserts) -> Result<()> {
        if stored_verdict(verdict, weak) == i64::from(ADDS) {
            let params = [ValueRef::Int(tx.0 as i64), ValueRef::Blob(&weak.to_bytes())];
            self.execute("INSERT INTO adds (tx, weak) VALUES (?1, ?2)", params)?;
        }
        Ok(())
    }

    /// Notes that a block's own signature was checked after all.
    pub fn set_checked(&mut self, block: BlockNo) -> Result<()> {
        let lost = || StoreError::NotFound(format!("block {}", block.0));
        let no = ValueRef::Int(block.0 as i64);
        let sql = "SELECT no, cid, branch, seq, stamp, arrived, 1, first_tx, unseen FROM block WHERE no = ?1";
        let row = self.query_one(sql, [no], |r| r.to_values())?.ok_or_else(lost)?;
        let row: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
        let sql = "UPDATE block SET checked = 1, sum = ?2 WHERE no = ?1";
        self.execute(sql, [no, ValueRef::Int(sum(&row))]).map(drop)
    }

    /// The end of the log was cut off: its numbers are read from the tables again.
    pub(crate) fn forget_log(&mut self) {
        self.log.written = true;
        self.log.next = None;
    }

    fn account_no(&mut self, id: &AccountId) -> Result<i64> {
        if let Some(no) = self.log.accounts.get(id) {
            return Ok(*no);
        }
        let params = [ValueRef::Blob(&id.0)];
        let no = match self.query_one("SELECT no FROM account WHERE id = ?1", params, |r| r.int(0))? {
            Some(no) => no,
            None => {
                self.execute("INSERT INTO account (id) VALUES (?1)", params)?;
                self.last_insert_rowid()
            }
        };
        self.log.accounts.insert(*id, no);
        Ok(no)
    }
}

fn stored_verdict(verdict: Verdict, weak: &WeakInserts) -> i64 {
    let adds = verdict.is_accepted() && !weak.is_empty();
    i64::from(if adds { ADDS } else { verdict.0 })
}

/// The digest in a block's name.
pub(crate) fn digest(cid: &Cid) -> &[u8] {
    cid.hash().digest()
}

/// The block's name with this digest.
pub(crate) fn cid(digest: &[u8]) -> Result<Cid> {
    if digest.len() != DIGEST_BYTES {
        return Err(StoreError::Corrupt(format!("a block's name of {} bytes", digest.len())));
    }
    // CIDv1: version, codec, hash code, length, digest.
    let mut bytes = [0u8; 4 + DIGEST_BYTES];
    bytes[..4].copy_from_slice(&[1, DAG_CBOR as u8, SHA2_256 as u8, DIGEST_BYTES as u8]);
    bytes[4..].copy_from_slice(digest);
    Cid::try_from(bytes.as_slice()).map_err(|e| StoreError::Corrupt(format!("a block's name: {e}")))
}

/// The rowid of a body.
pub(crate) fn body_no(block: BlockNo, place: usize) -> i64 {
    let no = block.0.saturating_mul(BODIES_MAX as u64).saturating_add(place as u64);
    // Beyond the range there is nothing to find; a log never gets there.
    i64::try_from(no).unwrap_or(i64::MAX)
}

/// How many leading columns of `block` the sum covers; it stands behind them.
pub(crate) const SUMMED: usize = 9;

/// FNV-1a, 32 bit, over the values. Every step is a bijection of the state, so a change within one byte never
/// goes unnoticed. Not a protection against intent: that is what CIDs and signatures are for.
pub(crate) fn sum(values: &[ValueRef<'_>]) -> i64 {
    let mut h: u32 = 0x811c_9dc5;
    let mut feed = |bytes: &[u8]| {
        for b in bytes {
            h = (h ^ u32::from(*b)).wrapping_mul(0x0100_0193);
        }
    };
    for v in values {
        match v {
            ValueRef::Null => feed(&[0]),
            ValueRef::Int(n) => feed(&n.to_be_bytes()),
            ValueRef::Real(r) => feed(&r.to_bits().to_be_bytes()),
            ValueRef::Text(t) => feed(t.as_bytes()),
            ValueRef::Blob(b) => feed(b),
        }
    }
    i64::from(h)
}
