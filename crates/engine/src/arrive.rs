//! Blocks that come from elsewhere: decoded and verified by the caller's thread, applied by the writer.
//!
//! A block waits (bounded) while a parent is missing or its stamp is far in the future. One that can be applied is put
//! into the log with its verdicts, merged into the tables, and may let others in. Changes of members and accounts may
//! turn verdicts on transactions that were applied before; those are merged anew.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use p2pdb_access::{Reason, Site};
use p2pdb_block::{DecodedBlock, FullBlock, Refusal, VerifiedBlock, WholeBlock, verify_runs};
use p2pdb_dag::{Placed, Waits};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::{Cid, NodeId, Stamp, WeakInserts};
use p2pdb_store::{self as store, NewTransaction};

use p2pdb_sync::Received;

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::job::{After, Job, TaskJob};
use crate::judging::access_positions;
use crate::logged::Logged;
use crate::told::Thing;
use crate::wait::{Giver, Taker, Wait, handoff};
use crate::writer::Writer;

/// Blocks that were made here and are committed.
pub struct Announced {
    /// In the order of their making.
    pub made: Vec<Arc<FullBlock>>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Blocks held from now on, by this batch or let in by it: applied, or kept (their rules number is not known).
    pub applied: Vec<Cid>,
    /// Blocks that were held already.
    pub known: usize,
    /// Blocks that came too early, and waited for a parent or for their time; some may have been let in by what came after them.
    pub waiting: usize,
    /// Parents that are missing.
    pub missing: Vec<Cid>,
    /// Blocks that are refused, each with the reason; every node refuses them.
    pub refused: Vec<(Option<Cid>, String)>,
    /// The least rules number of those: a peer whose program does not know it passes them on in good faith.
    pub refused_rules: Option<u32>,
    /// A fault of this node: nothing of the batch was committed.
    pub fault: Option<String>,
}

impl Arrived {
    fn refuse(&mut self, cid: Option<Cid>, rules: u32, why: String) {
        self.refused_rules = Some(self.refused_rules.map_or(rules, |r| r.min(rules)));
        self.refused.push((cid, why));
    }
}

/// The result of [`Engine::ingest`], when it is there.
pub struct Ingest(Taker<Arrived>);

impl Ingest {
    /// To be told when the result is there.
    pub fn wait(&self) -> Wait {
        Wait::on(&self.0)
    }

    /// The result, if it is there; taken once.
    pub fn take(&self) -> Option<Arrived> {
        self.0.take()
    }

    /// Blocks until the result is there.
    pub fn block(self) -> Arrived {
        self.0.wait()
    }
}

/// Missing parents reported per batch.
const MISSING_REPORTED_MAX: usize = 1_024;

impl Engine {
    /// Takes in blocks, in any order (causal order is cheapest). The checks that need no state happen here, in the
    /// caller's thread; the rest waits for the writer.
    pub fn ingest(&self, batch: Vec<Received>) -> Ingest {
        let (giver, taker) = handoff();
        let mut arrived = Arrived::default();
        let full = self.inner.check(batch, &mut arrived);
        if full.is_empty() {
            giver.give(arrived);
            return Ingest(taker);
        }
        let inner = self.inner.clone();
        let task = TaskJob { run: Box::new(move |writer| inner.take_in(writer, full, arrived, giver)) };
        // A full queue: the giver is dropped with the job and the caller asks again later.
        if let Err(Job::Task(task)) = self.inner.queue.push(Job::Task(task)) {
            drop(task);
            let (giver, taker) = handoff();
            giver.give(Arrived {
                fault: Some("the queue of writes is full".to_owned()),
                ..Arrived::default()
            });
            return Ingest(taker);
        }
        Ingest(taker)
    }

    /// Blocks that waited for their time may be due: call it now and then.
    pub fn tick(&self) {
        let inner = self.inner.clone();
        if self.inner.published.load().pending > 0 {
            let run = move |writer: &mut Writer| -> After {
                let mut arrived = Arrived::default();
                let due = writer.pending.due(inner.clock.now_ms());
                for (_, block) in due {
                    inner.take_one(writer, block, &mut arrived);
                }
                inner.note_waiting(writer);
                inner.tell_voids(&std::mem::take(&mut writer.voided));
                Box::new(|_| ())
            };
            // If there is no room now there will be at the next tick.
            let _ = self.inner.queue.push(Job::Task(TaskJob { run: Box::new(run) }));
        }
    }
}

impl Inner {
    /// Everything that can be checked without the log: bytes, bodies, signatures.
    fn check(&self, batch: Vec<Received>, arrived: &mut Arrived) -> Vec<Arriving> {
        let mut decoded: Vec<DecodedBlock> = Vec::with_capacity(batch.len());
        let mut bodies = Vec::with_capacity(batch.len());
        for r in batch {
            decoded.push(r.block);
            bodies.push(r.bodies);
        }
        let mut full = Vec::with_capacity(decoded.len());
        for (verified, bodies) in verify_runs(decoded, &self.realm).into_iter().zip(bodies) {
            match verified {
                Ok(v) => {
                    let (cid, rules) = (v.cid(), v.header().rules);
                    if self.refused.lock().contains(&cid) {
                        arrived.known += 1;
                        continue;
                    }
                    let whole = match v.with_parts(bodies) {
                        Ok(whole) => whole,
                        // Bodies that are not the block's are the sender's doing, and say nothing about the block.
                        Err(e) => {
                            arrived.refuse(Some(cid), 0, e.to_string());
                            continue;
                        }
                    };
                    let read = match rules <= self.rules {
                        true => whole.decode().map(Arriving::Read),
                        false => Ok(Arriving::Unread(whole)),
                    };
                    match read {
                        Ok(block) => full.push(block),
                        Err(e) => {
                            self.refused.lock().put(cid, ());
                            arrived.refuse(Some(cid), rules, e.to_string());
                        }
                    }
                }
                // What is signed does not depend on rules.
                Err((cid, e)) => arrived.refuse(Some(cid), 0, e.to_string()),
            }
        }
        full
    }

    fn take_in(
        &self,
        writer: &mut Writer,
        full: Vec<Arriving>,
        mut arrived: Arrived,
        giver: Giver<Arrived>,
    ) -> After {
        // Local transactions before this point did not see these blocks.
        if let Err(e) = writer.seal_open() {
            arrived.fault = Some(e.to_string());
        }
        for block in full {
            if arrived.fault.is_some() {
                break;
            }
            self.take_one(writer, block, &mut arrived);
        }
        arrived.missing = writer.pending.wanted(MISSING_REPORTED_MAX);
        self.note_waiting(writer);
        self.tell_voids(&std::mem::take(&mut writer.voided));
        self.counters.blocks_refused.fetch_add(arrived.refused.len() as u64, Ordering::Relaxed);
        for (cid, why) in &arrived.refused {
            let block = cid.map_or_else(|| "a block".to_owned(), |c| format!("block {c}"));
            tracing::warn!("{block} is refused: {why}");
        }
        Box::new(move |committed| {
            if let Err(e) = committed {
                arrived = Arrived { fault: Some(e.to_string()), ..Arrived::default() };
            }
            giver.give(arrived);
        })
    }

    /// Lets readers of the log know which blocks wait, so that sync does not ask for them again.
    fn note_waiting(&self, writer: &Writer) {
        let mut waiting = self.waiting.lock();
        waiting.clear();
        waiting.extend(writer.pending.cids());
    }

    /// Says what blocks of an author wait for.
    fn tell_waits(&self, author: NodeId, stamp: Stamp, waits: &Waits, now_ms: u64) {
        let mut told = self.told.lock();
        if waits.until_ms.is_some() && told.is_due(author, Thing::Future, now_ms) {
            let ahead_s = stamp.millis().saturating_sub(now_ms) / 1_000;
            tracing::warn!(
                "blocks of {author} are stamped {ahead_s} s ahead of this machine's clock and wait until then: one of the two \
                 clocks is wrong"
            );
        }
        if !waits.missing.is_empty() && told.is_due(author, Thing::Early, now_ms) {
            tracing::info!("blocks of {author} came before blocks that they build on, and wait for them");
        }
    }

    /// Says that what somebody wrote is void.
    fn tell_voids(&self, voids: &[(NodeId, Reason)]) {
        let mut told = self.told.lock();
        for (author, reason) in voids {
            if told.is_due(*author, Thing::Void(*reason), self.clock.now_ms()) {
                tracing::warn!("transactions of {author} stand in the log and do not count: {reason}");
            }
        }
    }

    /// One block, and those that it lets in.
    fn take_one(&self, writer: &mut Writer, block: Arriving, arrived: &mut Arrived) {
        let mut ready = vec![block];
        while let Some(block) = ready.pop() {
            let (cid, rules) = (block.cid(), block.header().rules);
            let now_ms = self.clock.now_ms();
            let refuse = |arrived: &mut Arrived, why: String| {
                self.refused.lock().put(cid, ());
                arrived.refuse(Some(cid), rules, why);
            };
            let refused = self.refused.lock();
            let parent = block.header().all_parents().find(|p| refused.contains(*p)).copied();
            drop(refused);
            if let Some(parent) = parent {
                let why = format!("it builds on the block {parent}, which is refused");
                refuse(arrived, why);
                continue;
            }
            match writer.dag.check(block.verified(), now_ms, &Logged(&writer.db)) {
                Ok(waits) if waits.missing.is_empty() && waits.until_ms.is_none() => {}
                Ok(waits) => {
                    self.tell_waits(block.author(), block.stamp(), &waits, now_ms);
                    arrived.waiting += 1;
                    let bytes =
                        block.bytes().len() + block.parts().iter().map(|p| p.bytes.len()).sum::<usize>();
                    let (author, stamp) = (block.author(), block.stamp());
                    for (gone, _) in writer.pending.insert(cid, author, stamp, bytes, waits, block) {
                        tracing::debug!(
                            "block {gone} waits no longer: too many blocks wait; it is asked for again"
                        );
                    }
                    continue;
                }
                Err(p2pdb_dag::Error::Known(_)) => {
                    arrived.known += 1;
                    continue;
                }
                Err(p2pdb_dag::Error::Fault(e)) => {
                    arrived.fault = Some(e.to_string());
                    return;
                }
                Err(e) => {
                    refuse(arrived, e.to_string());
                    continue;
                }
            }
            match writer.take(block) {
                Ok(applied) => {
                    arrived.applied.push(cid);
                    self.counters.blocks_applied.fetch_add(u64::from(applied), Ordering::Relaxed);
                }
                Err(ApplyError::Refused(why)) => {
                    refuse(arrived, why);
                    continue;
                }
                Err(ApplyError::Fault(e)) => {
                    arrived.fault = Some(e.to_string());
                    return;
                }
            }
            ready.extend(writer.pending.arrived(&cid).into_iter().map(|(_, b)| b));
        }
    }
}

/// A block on its way into the log.
pub(crate) enum Arriving {
    /// Its body is read.
    Read(FullBlock),
    /// Its rules number is not known here, or it is read later.
    Unread(WholeBlock),
}

impl Arriving {
    pub(crate) fn decode(self) -> Result<FullBlock, Refusal> {
        match self {
            Arriving::Read(full) => Ok(full),
            Arriving::Unread(whole) => whole.decode(),
        }
    }
}

impl Deref for Arriving {
    type Target = WholeBlock;
    fn deref(&self) -> &WholeBlock {
        match self {
            Arriving::Read(full) => full,
            Arriving::Unread(whole) => whole,
        }
    }
}

pub(crate) enum ApplyError {
    /// The block can never be part of the log.
    Refused(String),
    /// This node failed.
    Fault(EngineError),
}

impl std::fmt::Display for ApplyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ApplyError::Refused(why) => f.write_str(why),
            ApplyError::Fault(e) => e.fmt(f),
        }
    }
}

impl<E: Into<EngineError>> From<E> for ApplyError {
    fn from(e: E) -> Self {
        ApplyError::Fault(e.into())
    }
}

impl Writer {
    /// Logs, judges and merges a block whose parents are applied.
    pub(crate) fn apply_block(&mut self, block: &FullBlock) -> Result<(), ApplyError> {
        self.place(block, |w, placed| w.apply_placed(block, placed))
    }

    /// Gives a block its place in the DAG, and `log` what follows from it.
    pub(crate) fn place(
        &mut self,
        block: &VerifiedBlock,
        log: impl FnOnce(&mut Writer, &Placed) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        self.set_dirty();
        if self.dag.is_empty() {
            self.begin_rules(block);
        }
        let placed = match self.dag.append(block, &Logged(&self.db)) {
            Ok(placed) => placed,
            Err(p2pdb_dag::Error::Fault(e)) => return Err(ApplyError::Fault(e.into())),
            Err(e) => return Err(ApplyError::Refused(e.to_string())),
        };
        // The DAG has it now: if anything fails from here on, only a rollback of the group mends that.
        log(self, &placed).inspect_err(|e| self.set_broken(e))
    }

    fn apply_placed(&mut self, block: &FullBlock, placed: &Placed) -> Result<(), ApplyError> {
        let body = block.body();
        let site = Site::of(placed);
        let mut all_judged = Vec::new();
        let mut transactions = Vec::with_capacity(body.transactions().len());
        for (i, tx) in body.transactions().iter().enumerate() {
            let account = body.accounts()[tx.account()];
            self.note_objects(&site, i as u32, body);
            let mut weak = WeakInserts::NONE;
            let verdict = if p2pdb_access::Access::is_access(tx.changes()) {
                let judged = self.insert_access(placed, i as u32, account, tx.changes())?;
                let verdict = judged.verdict;
                all_judged.push(judged);
                verdict
            } else {
                match self.access.rows_allowed(&site, i as u32, account, body.layouts(), tx.changes()) {
                    Ok(inserts) => {
                        weak = inserts;
                        p2pdb_access::Verdict::Accepted
                    }
                    Err(p2pdb_access::Reason::BeyondRemoval) if fault::on(Fault::RemovedCounted) => {
                        p2pdb_access::Verdict::Accepted
                    }
                    Err(
                        p2pdb_access::Reason::BeyondRevocation | p2pdb_access::Reason::BeyondUndelegation,
                    ) if fault::on(Fault::RevokedCounted) => p2pdb_access::Verdict::Accepted,
                    Err(why) => p2pdb_access::Verdict::Void(why),
                }
            };
            if let p2pdb_access::Verdict::Void(why) = verdict
                && self.voided.last() != Some(&(block.author(), why))
            {
                self.voided.push((block.author(), why));
            }
            let verdict = store::Verdict(verdict.code().into());
            transactions.push(NewTransaction { account, verdict, weak });
        }
        let access = access_positions(block);
        self.log_placed(block, placed, &transactions, &access)?;
        self.merge(placed, block)?;
        let last_tx = store::TxNo(self.db.next_numbers()?.1.0 - 1);
        for layout in body.layouts() {
            self.touch(layout.table(), last_tx);
            self.read_ids_again(layout.table());
        }
        Ok(self.follow(all_judged)?)
    }
}
