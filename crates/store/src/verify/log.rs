//! The log against itself: what was signed decides, every other column must follow from it.
//!
//! Not found here but by replay and [`super::compare`]: a wrong verdict or unseen list (both are other crates'
//! arithmetic; the row's sum notices damage in the list all the same).

use std::collections::{HashMap, HashSet};

use p2pdb_block::{BODIES_MAX, Block, DecodedBlock, Proof, RawBlock, decode_body};
use p2pdb_model::ids::{AccountId, Cid};
use p2pdb_model::{Body, ObjectId, RealmId, ValueRef};

use super::{OnProgress, PROGRESS_ROWS, Part, Progress, Report};
use crate::connection::Connection;
use crate::error::Result;
use crate::log::{BlockNo, SUMMED, body_no, digest, sum};
use crate::meta;
use crate::open::FORMAT;
use crate::query::{NEXT, Row, STOP};

/// Checks every block, body, transaction, branch and head.
pub fn verify_log(c: &Connection, realm: &RealmId, progress: OnProgress<'_>) -> Result<Report> {
    let mut check = Check::new(c, realm)?;
    // Only for the progress: what is wrong with it comes up below.
    let total = c.last_block().map_or(0, |no| no.0);
    let mut stopped = false;
    let mut last = None;
    let sql = "SELECT no, cid, branch, seq, stamp, arrived, checked, first_tx, unseen, sum, envelope
               FROM block ORDER BY no";
    let scan = c.query(sql, (), |r| {
        let no = check.expected_no;
        if no % PROGRESS_ROWS == 1 && progress(Progress { step: "log", done: no - 1, total }).is_break() {
            stopped = true;
            return Ok(STOP);
        }
        if let Ok(ValueRef::Int(no)) = r.get(0) {
            // In a damaged table a scan may come back to where it was.
            if let Some(before) = last.replace(no).filter(|before| no <= *before) {
                check.report.add(
                    Part::Block,
                    no,
                    format!("it stands behind {before}: the table is out of order"),
                );
                return Ok(STOP);
            }
        }
        check.block(r)?;
        Ok(NEXT)
    });
    check.report.absorb(Part::Block, "table", scan.map(drop))?;
    if stopped {
        check.report.stopped = true;
        return Ok(check.report);
    }
    let done = check.vouching();
    check.report.absorb(Part::Block, "table", done)?;
    let done = check.branches();
    check.report.absorb(Part::Branch, "table", done)?;
    let done = check.heads();
    check.report.absorb(Part::Head, "table", done)?;
    let done = check.leftovers();
    check.report.absorb(Part::Block, "table", done)?;
    let done = check.notes();
    check.report.absorb(Part::Note, "table", done)?;
    Ok(check.report)
}

/// What is known of a branch from its blocks.
struct Run {
    first_no: u64,
    first_seq: u64,
    first: Option<Cid>,
    fork: Option<u64>,
    author: [u8; 32],
    next_seq: u64,
}

struct Check<'a> {
    c: &'a Connection,
    realm: RealmId,
    report: Report,
    expected_no: u64,
    expected_tx: i64,
    /// A block that only its successors vouch for was seen.
    vouched: bool,
    runs: HashMap<i64, Run>,
    heads: HashMap<Vec<u8>, u64>,
    accounts: HashMap<i64, AccountId>,
    accounts_used: HashSet<i64>,
    accesses: u64,
    /// From this block on nothing is applied, their rules being unknown to whoever wrote the file.
    kept_from: Option<u64>,
}

impl<'a> Check<'a> {
    fn new(c: &'a Connection, realm: &RealmId) -> Result<Self> {
        let mut check = Check {
            c,
            realm: *realm,
            report: Report::default(),
            expected_no: 1,
            expected_tx: 1,
            vouched: false,
            runs: HashMap::new(),
            heads: HashMap::new(),
            accounts: HashMap::new(),
            accounts_used: HashSet::new(),
            accesses: 0,
            // A damaged note is found with the other notes.
            kept_from: c.kept().ok().flatten().map(|k| k.from.0),
        };
        let mut found = Vec::new();
        let scan = c.query("SELECT no, id FROM account", (), |r| {
            found.push((r.int(0)?, r.to_values()?.pop()));
            Ok(NEXT)
        });
        check.report.absorb(Part::Account, "table", scan.map(drop))?;
        for (no, id) in found {
            let id = match &id {
                Some(p2pdb_model::Value::Blob(b)) => AccountId::from_slice(b),
                _ => None,
            };
            match id {
                Some(id) => drop(check.accounts.insert(no, id)),
                None => check.report.add(Part::Account, no, "its id is not 16 bytes"),
            }
        }
        Ok(check)
    }

    /// One row of `block`, and all that hangs on it.
    fn block(&mut self, r: &Row<'_>) -> Result<()> {
        let no = match r.get(0)? {
            ValueRef::Int(n) if n == self.expected_no as i64 => self.expected_no,
            ValueRef::Int(n) => {
                let lost = format!("its number should be {}: blocks are missing", self.expected_no);
                self.report.add(Part::Block, n, lost);
                n as u64
            }
            _ => {
                // Only a damaged schema does this: `no` is no longer the rowid.
                self.report.add(Part::Block, self.expected_no, "its number is not an integer");
                self.expected_no
            }
        };
        self.expected_no = no + 1;
        let mut columns = [ValueRef::Null; SUMMED];
        for (i, column) in columns.iter_mut().enumerate() {
            *column = match r.get(i) {
                Ok(v) => v,
                Err(e) => {
                    self.report.add(Part::Block, no, e);
                    return Ok(());
                }
            };
        }
        if r.get(SUMMED).ok() != Some(ValueRef::Int(sum(&columns))) {
            self.report.add(Part::Block, no, "its record does not match its sum");
        }
        let ValueRef::Blob(envelope) = r.get(SUMMED + 1).unwrap_or(ValueRef::Null) else {
            self.report.add(Part::Block, no, "its envelope is not bytes");
            return self.skip(no, &columns);
        };
        let block = match RawBlock(envelope.to_vec()).decode() {
            Ok(block) => block,
            Err(e) => {
                self.report.add(Part::Block, no, e);
                return self.skip(no, &columns);
            }
        };
        self.record(no, &columns, &block);
        self.signature(no, &columns, &block);
        self.links(no, &columns, &block)?;
        let body = self.body(no, &block)?;
        self.transactions(no, body.as_ref())?;
        self.access(no, body.as_ref())?;
        Ok(())
    }

    /// A block that cannot be read: keep count of what it should have held, so that not all that follows is
    /// reported as well.
    fn skip(&mut self, no: u64, columns: &[ValueRef<'_>; SUMMED]) -> Result<()> {
        if let (ValueRef::Int(branch), ValueRef::Int(seq)) = (columns[2], columns[3])
            && let Some(run) = self.runs.get_mut(&branch)
        {
            run.next_seq = seq as u64 + 1;
        }
        if let ValueRef::Blob(cid) = columns[1] {
            self.heads.insert(cid.to_vec(), no);
        }
        let params = [ValueRef::Int(no as i64)];
        let count = self.c.query_one("SELECT count(*) FROM tx WHERE block = ?1", params, |r| r.int(0))?;
        self.expected_tx += count.unwrap_or(0);
        let count = self.c.query_one("SELECT count(*) FROM access WHERE block = ?1", params, |r| r.int(0))?;
        self.accesses += count.unwrap_or(0) as u64;
        Ok(())
    }

    /// The record against the envelope.
    fn record(&mut self, no: u64, columns: &[ValueRef<'_>; SUMMED], block: &Block) {
        let cid = block.cid();
        if columns[1] != ValueRef::Blob(digest(&cid)) {
            self.report.add(Part::Block, no, format!("its bytes have the CID {cid}, not the recorded one"));
        }
        if columns[3] != ValueRef::Int(block.seq() as i64) {
            self.report.add(Part::Block, no, "the recorded seq is not the signed one");
        }
        if columns[4] != ValueRef::Int(block.stamp().0 as i64) {
            self.report.add(Part::Block, no, "the recorded stamp is not the signed one");
        }
        if !matches!(columns[5], ValueRef::Int(0..)) {
            self.report.add(Part::Block, no, "its time of arrival is no time");
        }
        if columns[7] != ValueRef::Int(self.expected_tx) {
            let problem = format!("its first transaction should be number {}", self.expected_tx);
            self.report.add(Part::Block, no, problem);
        }
        if no == 1 && cid != self.realm.0 {
            self.report.add(Part::Block, no, format!("it is not the genesis block {}", self.realm));
        }
    }

    fn signature(&mut self, no: u64, columns: &[ValueRef<'_>; SUMMED], block: &DecodedBlock) {
        match columns[6] {
            ValueRef::Int(1) => {
                if let Err(e) = block.check_signature(&self.realm) {
                    self.report.add(Part::Block, no, e);
                }
            }
            ValueRef::Int(0) => self.vouched = true,
            _ => self.report.add(Part::Block, no, "it is not recorded how it was verified"),
        }
    }

    /// Parents, chain and branch.
    fn links(&mut self, no: u64, columns: &[ValueRef<'_>; SUMMED], block: &Block) -> Result<()> {
        let ValueRef::Int(branch) = columns[2] else {
            self.report.add(Part::Block, no, "its branch is no number");
            return Ok(());
        };
        let header = block.header();
        let sql = "SELECT no, branch, seq, stamp FROM block WHERE cid = ?1";
        let mut prev_at = None;
        for parent in header.all_parents() {
            let found = self.c.query_one(sql, [ValueRef::Blob(digest(parent))], |r| {
                Ok((r.int(0)? as u64, r.int(1)?, r.int(2)? as u64, r.int(3)? as u64))
            });
            match found {
                Ok(Some(at)) if at.0 < no => {
                    if at.3 >= header.stamp.0 {
                        self.report.add(Part::Block, no, format!("its stamp is not above that of {parent}"));
                    }
                    if header.prev == Some(*parent) {
                        prev_at = Some(at);
                    }
                }
                Ok(_) => self.report.add(Part::Block, no, format!("its parent {parent} is not before it")),
                Err(e) => self.report.add(Part::Block, no, e),
            }
            self.heads.remove(digest(parent));
        }
        self.heads.insert(digest(&block.cid()).to_vec(), no);
        if let Some((_, _, seq, _)) = prev_at
            && seq + 1 != header.seq
        {
            self.report.add(Part::Block, no, "its seq does not follow that of the block before it");
        }
        match self.runs.get_mut(&branch) {
            Some(run) => {
                if run.author != header.author.0 {
                    self.report.add(Part::Block, no, format!("branch {branch} is another author's"));
                }
                if run.next_seq != header.seq || prev_at.is_some_and(|p| p.1 != branch) {
                    self.report.add(Part::Block, no, format!("it does not continue branch {branch}"));
                }
                run.next_seq = header.seq + 1;
            }
            None => {
                let run = Run {
                    first_no: no,
                    first_seq: header.seq,
                    first: (header.seq == 1).then(|| block.cid()),
                    fork: prev_at.map(|p| p.0),
                    author: header.author.0,
                    next_seq: header.seq + 1,
                };
                self.runs.insert(branch, run);
            }
        }
        Ok(())
    }

    /// The bodies against the header; the decoded content where it was applied.
    fn body(&mut self, no: u64, block: &DecodedBlock) -> Result<Option<Body>> {
        let mut parts = match self.c.bodies(BlockNo(no)) {
            Ok(parts) => parts,
            Err(e) => {
                self.report.add(Part::Body, no, e);
                return Ok(None);
            }
        };
        // The proof does not matter here: only the bodies' lengths and CIDs are asked for.
        let verified = block.clone().trusted(Proof::Vouched);
        if let Err(e) = verified.check_bodies(parts.iter().map(Vec::as_slice)) {
            self.report.add(Part::Body, no, e);
            return Ok(None);
        }
        if !parts.is_empty() && !self.numbered(no, parts.len())? {
            self.report.add(Part::Body, no, "its bodies are not numbered as they should be");
        }
        if parts.is_empty() || self.kept_from.is_some_and(|from| no >= from) {
            return Ok(Some(Body::default()));
        }
        let bytes = if parts.len() == 1 { parts.remove(0) } else { parts.concat() };
        match decode_body(&bytes) {
            Ok((body, _)) => Ok(Some(body)),
            Err(e) => {
                self.report.add(Part::Body, no, e);
                Ok(None)
            }
        }
    }

    /// True when the block's bodies, which are right in number, are numbered without a gap.
    fn numbered(&self, no: u64, count: usize) -> Result<bool> {
        let (first, last) = (body_no(BlockNo(no), 0), body_no(BlockNo(no), BODIES_MAX - 1));
        let sql = "SELECT max(no) FROM body WHERE no BETWEEN ?1 AND ?2";
        let found = self.c.query_one(sql, [first, last].map(ValueRef::Int), |r| r.int_or_null(0))?;
        Ok(found.flatten() == Some(body_no(BlockNo(no), count - 1)))
    }

    fn transactions(&mut self, no: u64, body: Option<&Body>) -> Result<()> {
        let mut records = Vec::new();
        let first = self.expected_tx;
        // By number, where they must be, and by block, where they say they are.
        let expected = body.map_or(0, |b| b.transactions().len() as i64);
        let sql =
            "SELECT no, block, position, account, verdict FROM tx WHERE no >= ?1 AND no < ?2 ORDER BY no";
        let end = match body {
            Some(_) => first + expected,
            None => {
                let sql = "SELECT first_tx FROM block WHERE no = ?1";
                let next = self.c.query_one(sql, [ValueRef::Int(no as i64 + 1)], |r| r.int(0))?;
                next.unwrap_or(self.c.last_tx()?.0 as i64 + 1)
            }
        };
        let scan = self.c.query(sql, [first, end].map(ValueRef::Int), |r| {
            records.push(r.to_values()?);
            Ok(NEXT)
        });
        self.report.absorb(Part::Transaction, format!("of block {no}"), scan.map(drop))?;
        let mut records = records.into_iter().peekable();
        for (i, number) in (first..end).enumerate() {
            let int = |v: &p2pdb_model::Value| match v {
                p2pdb_model::Value::Int(n) => Some(*n),
                _ => None,
            };
            let Some(record) = records.next_if(|r| int(&r[0]) == Some(number)) else {
                self.report.add(Part::Transaction, number, format!("it is missing (block {no})"));
                continue;
            };
            if int(&record[1]) != Some(no as i64) || int(&record[2]) != Some(i as i64) {
                let problem = format!("it should be number {i} of block {no}");
                self.report.add(Part::Transaction, number, problem);
            }
            if int(&record[4]).is_none_or(|v| u16::try_from(v).is_err()) {
                self.report.add(Part::Transaction, number, "its verdict is out of range");
            }
            let account = int(&record[3]).and_then(|n| {
                self.accounts_used.insert(n);
                self.accounts.get(&n)
            });
            let signed = body.and_then(|b| b.accounts().get(b.transactions()[i].account()));
            if body.is_some() && (account.is_none() || account != signed) {
                self.report.add(Part::Transaction, number, "the recorded account is not the signed one");
            }
        }
        self.expected_tx = end;
        Ok(())
    }

    fn access(&mut self, no: u64, body: Option<&Body>) -> Result<()> {
        let mut recorded = Vec::new();
        let sql = "SELECT tx, change FROM access WHERE block = ?1 ORDER BY tx, change";
        self.c.query(sql, [ValueRef::Int(no as i64)], |r| {
            recorded.push((r.int(0)?, r.int(1)?));
            Ok(NEXT)
        })?;
        self.accesses += recorded.len() as u64;
        let Some(body) = body else { return Ok(()) };
        let mut signed = Vec::new();
        for (t, transaction) in body.transactions().iter().enumerate() {
            for (i, change) in transaction.changes().iter().enumerate() {
                if change.bears_on_verdicts() {
                    signed.push((t as i64, i as i64));
                }
            }
        }
        if recorded != signed {
            self.report.add(
                Part::Access,
                format!("of block {no}"),
                "the recorded places are not the signed ones",
            );
        }
        Ok(())
    }

    /// Blocks that were not checked by their own signature must have a checked descendant in their chain.
    fn vouching(&mut self) -> Result<()> {
        if !self.vouched {
            return Ok(());
        }
        let mut vouched_for: HashSet<Cid> = HashSet::new();
        let sql = "SELECT no, checked, envelope FROM block ORDER BY no DESC";
        let (c, report) = (self.c, &mut self.report);
        let mut last = i64::MAX;
        c.query(sql, (), |r| {
            // What is out of order has been reported.
            if std::mem::replace(&mut last, r.int(0)?) <= last {
                return Ok(STOP);
            }
            // What cannot be read has been reported.
            let Ok(block) = RawBlock(r.blob(2)?.to_vec()).decode() else { return Ok(NEXT) };
            let by_successor = vouched_for.remove(&block.cid());
            if r.int(1)? == 1 || by_successor {
                vouched_for.extend(block.header().prev);
            } else {
                report.add(Part::Block, r.int(0)?, "neither its signature nor a later one vouches for it");
            }
            Ok(NEXT)
        })
        .map(drop)
    }

    fn branches(&mut self) -> Result<()> {
        let mut records = Vec::new();
        let sql = "SELECT no, author, first, fork, first_seq FROM branch ORDER BY no";
        let scan = self.c.query(sql, (), |r| {
            records.push(r.to_values()?);
            Ok(NEXT)
        });
        self.report.absorb(Part::Branch, "table", scan.map(drop))?;
        use p2pdb_model::Value::{Blob, Int, Null};
        for (expected, record) in records.iter().enumerate() {
            let Int(no) = record[0] else {
                self.report.add(Part::Branch, expected, "its number is not an integer");
                continue;
            };
            if no != expected as i64 {
                self.report.add(Part::Branch, no, format!("its number should be {expected}"));
            }
            let Some(run) = self.runs.remove(&no) else {
                self.report.add(Part::Branch, no, "no block is in it");
                continue;
            };
            if record[1] != Blob(run.author.to_vec()) {
                self.report.add(Part::Branch, no, "the recorded author is not the signed one");
            }
            if record[4] != Int(run.first_seq as i64) {
                self.report.add(Part::Branch, no, "the recorded first seq is not the signed one");
            }
            if record[3] != run.fork.map_or(Null, |n| Int(n as i64)) {
                self.report.add(Part::Branch, no, "the recorded fork is not where it goes on from");
            }
            // A branch that forked belongs to the chain of the branch it left.
            let first = match (run.first, run.fork) {
                (Some(first), _) => Some(digest(&first).to_vec()),
                (None, Some(fork)) => {
                    let sql = "SELECT branch.first FROM block JOIN branch ON branch.no = block.branch
                               WHERE block.no = ?1";
                    self.c.query_one(sql, [ValueRef::Int(fork as i64)], |r| Ok(r.blob(0)?.to_vec()))?
                }
                (None, None) => None,
            };
            if first.map(Blob).as_ref() != Some(&record[2]) {
                self.report.add(Part::Branch, no, "the recorded first block is not that of its chain");
            }
        }
        for (no, run) in std::mem::take(&mut self.runs) {
            let problem = format!("it is not recorded, yet block {} is in it", run.first_no);
            self.report.add(Part::Branch, no, problem);
        }
        Ok(())
    }

    fn heads(&mut self) -> Result<()> {
        let mut records = Vec::new();
        let scan = self.c.query("SELECT cid, block FROM head", (), |r| {
            records.push(r.to_values()?);
            Ok(NEXT)
        });
        self.report.absorb(Part::Head, "table", scan.map(drop))?;
        use p2pdb_model::Value::{Blob, Int};
        for record in records {
            let (Blob(cid), Int(block)) = (&record[0], &record[1]) else {
                self.report.add(Part::Head, "?", "its record is malformed");
                continue;
            };
            match self.heads.remove(cid) {
                Some(no) if no == *block as u64 => {}
                Some(no) => self.report.add(Part::Head, block, format!("it should be block {no}")),
                None => {
                    self.report.add(Part::Head, block, "another block names it as parent, or it is unknown")
                }
            }
        }
        for no in std::mem::take(&mut self.heads).into_values() {
            self.report.add(Part::Head, no, "it is a head but not recorded as one");
        }
        Ok(())
    }

    /// Rows that belong to no block.
    fn leftovers(&mut self) -> Result<()> {
        let count = |sql: &str, n: i64| -> Result<i64> {
            Ok(self.c.query_one(sql, [ValueRef::Int(n)], |r| r.int(0))?.unwrap_or(0))
        };
        let beyond = body_no(BlockNo(self.expected_no - 1), BODIES_MAX - 1);
        let first = body_no(BlockNo(1), 0);
        let bodies = count("SELECT count(*) FROM body WHERE no > ?1", beyond)?
            + count("SELECT count(*) FROM body WHERE no < ?1", first)?;
        let transactions = count("SELECT count(*) FROM tx WHERE no >= ?1", self.expected_tx)?
            + count("SELECT count(*) FROM tx WHERE no < ?1", 1)?;
        let accesses = count("SELECT count(*) FROM access WHERE ?1", 1)? - self.accesses as i64;
        for (part, n) in [(Part::Body, bodies), (Part::Transaction, transactions), (Part::Access, accesses)] {
            if n != 0 {
                self.report.add(part, "table", format!("{n} rows belong to no block"));
            }
        }
        let unused: Vec<i64> =
            self.accounts.keys().filter(|no| !self.accounts_used.contains(no)).copied().collect();
        for no in unused {
            self.report.add(Part::Account, no, "no transaction names it");
        }
        Ok(())
    }

    /// The facts about the store itself: each is one that is known, and what it can only be.
    fn notes(&mut self) -> Result<()> {
        let notes = self.c.notes()?;
        for (name, value) in &notes {
            let right = match name.as_str() {
                meta::FORMAT => value.as_slice() == FORMAT.to_be_bytes(),
                meta::REALM => *value == self.realm.0.to_bytes(),
                meta::CHAIN => self.begins_chain(value)?,
                meta::KEPT => self.c.kept()?.is_some_and(|k| {
                    (1..self.expected_no).contains(&k.from.0) && k.heads.iter().all(|h| *h < k.from)
                }),
                meta::CLEAN => value == meta::SET || value.len() == size_of::<u64>(),
                meta::LOOKS => value.len() == meta::LOOKS_BYTES,
                meta::MERGED => value.as_slice() == crate::MERGE.to_be_bytes(),
                meta::IDS_LOST | meta::DROPS_INDEXED => value == meta::SET,
                meta::RESTORED => value == meta::SET || value == meta::RESTORED_WITH_IDS,
                name if name.strip_prefix(meta::EMPTIED).and_then(ObjectId::from_hex).is_some() => {
                    value.len() == size_of::<u64>()
                }
                _ => {
                    self.report.add(Part::Note, name, "no such fact is kept");
                    continue;
                }
            };
            if !right {
                self.report.add(Part::Note, name, "it is not what it can only be");
            }
        }
        if !notes.iter().any(|(name, _)| name == meta::FORMAT) {
            self.report.add(Part::Note, meta::FORMAT, "is missing");
        }
        Ok(())
    }

    /// Is this the CID of the first block of a chain? (The branches were looked at before.)
    fn begins_chain(&self, cid: &[u8]) -> Result<bool> {
        let Ok(cid) = Cid::try_from(cid) else { return Ok(false) };
        let sql = "SELECT 1 FROM branch WHERE first = ?1 AND fork IS NULL";
        Ok(self.c.query_one(sql, [ValueRef::Blob(digest(&cid))], |_| Ok(()))?.is_some())
    }
}
