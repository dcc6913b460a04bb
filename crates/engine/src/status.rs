//! What an operator asks: how far, how well, what is in the log.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use p2pdb_access::Access;
use p2pdb_block::Header;
use p2pdb_block::car::{CarError, CarReader, CarWriter};
use p2pdb_dag::CLOCK_DRIFT_MS_MAX;
use p2pdb_model::change::{AccessChange, Delegate, RowChange};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::hex;
use p2pdb_model::{Catalog, Change, Cid, Stamp};
use p2pdb_store::{
    self as store, BlockRecord, Fingerprint, Merger, NEXT, PooledReader, STOP, StoreError, StoredBody, TxNo,
};
use p2pdb_sync::{BlockSource, StateProof};

use crate::api::{LogEntry, LogTransaction, Status};
use crate::engine::{Differs, Engine, Health, Inner, Published};
use crate::error::EngineError;
use crate::logged::Ancestry;
use crate::rules::Keeps;

/// A snapshot and what is published for it are looked for so often: a commit is published moments after it, and they
/// seldom come that fast.
const SNAPSHOT_TRIES_MAX: u32 = 1_000;
/// So often without a pause.
const SNAPSHOT_TRIES_AT_ONCE: u32 = 100;
/// Then with one.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(1);

/// The log tells again of tables that differ after so long.
const ALARM_REMINDER_MS: u64 = 3_600_000;

/// What the tables are at a frontier.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) frontier: [u8; 32],
    pub(crate) fingerprint: [u8; 32],
    pub(crate) schemas: Vec<(String, [u8; 32])>,
    /// All blocks of the frontier are applied, so that nodes with the same frontier must have the same fingerprint.
    pub(crate) comparable: bool,
}

impl Inner {
    /// Why nobody may write here, if so; the gravest reason.
    pub(crate) fn refuses_writes(&self, keeps: Option<Keeps>) -> Option<String> {
        let unsyncable = self.unsyncable.get().cloned();
        let told = || self.health.lock().refuses_writes.clone();
        unsyncable.or_else(|| keeps.map(|k| k.why())).or_else(told).or_else(|| self.ahead_of_clock())
    }

    /// The log is stamped further ahead of this machine's clock than other nodes take: what would be written now, they would
    /// see only then. So it was when the clock was wrong and has been set right since.
    pub(crate) fn ahead_of_clock(&self) -> Option<String> {
        let newest = self.published.load().heads.iter().map(|h| h.stamp.millis()).max()?;
        let ahead_ms = newest.checked_sub(self.clock.now_ms()).filter(|ms| *ms > CLOCK_DRIFT_MS_MAX)?;
        // Nobody else is there to wait for that time.
        if self.published.load().access.members().iter().all(|m| m.node == self.node || m.role.is_none()) {
            return None;
        }
        Some(format!(
            "the newest block here is stamped {} s ahead of this machine's clock: the clock is wrong, or it was when that was \
             written; other nodes would see what is written now only when that time comes, and writes are taken again then",
            ahead_ms / 1_000
        ))
    }

    /// Begins a snapshot; gives what was published with the commit that it shows.
    fn with_snapshot(&self, reader: &mut PooledReader) -> Result<Arc<Published>, EngineError> {
        // A commit may come between the two looks; then once more, with the newer one.
        for tried in 0..SNAPSHOT_TRIES_MAX {
            let shown = self.published.load().blocks;
            reader.begin()?;
            let published = self.published.load_full();
            let held = reader.last_block()?.0;
            if held == published.blocks {
                return Ok(published);
            }
            reader.end()?;
            if held < shown {
                return Err(EngineError::State(format!(
                    "block {shown} is shown to readers, and the store ends with block {held}"
                )));
            }
            match tried < SNAPSHOT_TRIES_AT_ONCE {
                true => std::thread::yield_now(),
                false => std::thread::sleep(SNAPSHOT_PAUSE),
            }
        }
        Err(EngineError::State("what is committed is not shown to readers".to_owned()))
    }

    /// The fingerprint of the tables with the frontier that it belongs to, of one and the same commit.
    pub(crate) fn state(&self) -> Result<State, EngineError> {
        let mut reader = self.reader()?;
        let published = self.with_snapshot(&mut reader)?;
        let mut reckoner = self.reckoner.lock();
        let epoch = published.catalog.epoch;
        if reckoner.as_ref().is_none_or(|(e, _)| *e != epoch) {
            let ancestry = Ancestry::new(published.dag(), &reader);
            let ask = |a, b| ancestry.ask(a, b);
            *reckoner = Some((epoch, Merger::load(&reader, &ask, crate::functions::meaning())?));
        }
        let mut schemas = match &*reckoner {
            Some((_, merger)) => merger.fingerprints(&reader)?,
            None => Vec::new(),
        };
        drop(reckoner);
        let mut judgements = self.judgements.lock();
        let last_tx = reader.last_tx()?;
        // Another thread may have looked at a newer commit meanwhile.
        let serves = |j: &Judgements| Arc::ptr_eq(&j.access, &published.access) && j.void_until <= last_tx;
        if !judgements.as_ref().is_some_and(serves) {
            *judgements = Some(Judgements::of(published.access.clone()));
        }
        if let Some(judgements) = &mut *judgements {
            schemas.push(("p2pdb".to_owned(), judgements.with_void(&reader)?));
        }
        drop(judgements);
        reader.end()?;
        let all = schemas.iter().fold(Fingerprint::default(), |sum, (_, f)| sum.plus(*f));
        let state = State {
            frontier: published.frontier_digest(),
            fingerprint: all.to_bytes(),
            schemas: schemas.into_iter().map(|(n, f)| (n, f.to_bytes())).collect(),
            comparable: published.kept.is_none(),
        };
        if state.comparable {
            self.proofs.lock().put(state.frontier, state.fingerprint);
        }
        Ok(state)
    }
}

/// The fingerprint of who may do what, and of what counts: members, accounts, delegations and void transactions.
///
/// A verdict turns only with a change of members or accounts, which makes another [`Access`]. While it is the same one, void
/// transactions are only added, and those that were counted once are not looked at again.
pub(crate) struct Judgements {
    access: Arc<Access>,
    sum: Fingerprint,
    void_until: TxNo,
}

/// Each part behind its length, so that no two lists are written alike.
fn element(parts: &[&[u8]]) -> Fingerprint {
    let bytes = parts.iter().flat_map(|p| [&(p.len() as u64).to_be_bytes()[..], p].concat());
    Fingerprint::of(bytes.collect::<Vec<u8>>())
}

impl Judgements {
    fn of(access: Arc<Access>) -> Self {
        let sum = rights(&access);
        Judgements { access, sum, void_until: TxNo(0) }
    }

    fn with_void(&mut self, reader: &PooledReader) -> Result<Fingerprint, EngineError> {
        let (mut sum, mut until) = (self.sum, self.void_until);
        reader.scan_void(self.void_until, |no, verdict| {
            let tx =
                reader.tx(no)?.ok_or_else(|| store::StoreError::NotFound(format!("transaction {}", no.0)))?;
            let (at, why) = (tx.position.to_be_bytes(), verdict.0.to_be_bytes());
            sum = sum.plus(element(&[b"void", &tx.cid.to_bytes(), &at, &why]));
            until = no;
            Ok(NEXT)
        })?;
        (self.sum, self.void_until) = (sum, until);
        Ok(sum)
    }
}

/// Members, accounts, delegations.
fn rights(access: &Access) -> Fingerprint {
    let mut elements: Vec<Fingerprint> = Vec::new();
    for m in access.members() {
        let role = [m.role.map_or(u8::MAX, |r| r as u8)];
        elements.push(element(&[b"member", &m.node.0, &role, m.name.as_bytes()]));
    }
    for a in access.accounts() {
        let kind = [u8::from(a.owner), u8::from(a.is_role)];
        let named = [a.name.as_bytes(), a.host.as_bytes()];
        elements.push(element(&[b"account", &a.id.0, named[0], named[1], &kind]));
        for key in a.key.iter().chain(&a.further_keys) {
            elements.push(element(&[b"key", &a.id.0, &key.0]));
        }
        let grants = access.grants(a.id, Stamp(0));
        for (on, rights) in &grants.on {
            let on = on.map(|id| id.0.to_vec()).unwrap_or_default();
            elements.push(element(&[b"grant", &a.id.0, &on, &rights.whole.0.to_be_bytes()]));
            for (tag, p) in &rights.columns {
                let (tag, p) = (tag.0.to_be_bytes(), p.0.to_be_bytes());
                elements.push(element(&[b"column grant", &a.id.0, &on, &tag, &p]));
            }
        }
        for r in &grants.roles {
            elements.push(element(&[b"role", &a.id.0, &r.role.0, &[u8::from(r.admin)]]));
        }
        for d in &a.delegates {
            let (kind, to) = match d {
                Delegate::Node(node) => (&b"node"[..], node.0),
                Delegate::Ticket(key) => (&b"ticket"[..], key.0),
            };
            elements.push(element(&[b"delegate", &a.id.0, kind, &to]));
        }
    }
    elements.into_iter().fold(Fingerprint::default(), Fingerprint::plus)
}

impl Engine {
    /// Frontier, heads, fingerprint, health.
    pub fn status(&self) -> Status {
        let inner = &self.inner;
        let (state, unreadable) = match inner.state() {
            Ok(state) => (state, None),
            Err(e) => {
                tracing::error!(error = %e, "the fingerprints cannot be read");
                (State::default(), Some(format!("the tables cannot be read: {e}")))
            }
        };
        let published = inner.published.load();
        let Health { alarm, failed, differs, .. } = inner.health.lock().clone();
        let alarm = alarm.or_else(|| differs.values().next().map(|d| d.message.clone()));
        Status {
            realm: inner.realm,
            node: inner.node,
            role: published.access.role(inner.node),
            blocks: published.blocks,
            heads: published.heads.iter().map(|h| h.cid).collect(),
            gtid_executed: published.frontier().gtid_set().to_string(),
            frontier_digest: hex(&state.frontier),
            fingerprint: hex(&state.fingerprint),
            fingerprints: state.schemas.into_iter().map(|(n, f)| (n, hex(&f))).collect(),
            stamp: published.heads.iter().map(|h| h.stamp).max().unwrap_or(Stamp(0)),
            pending_blocks: published.pending,
            kept_blocks: published.kept.map_or(0, |k| k.blocks),
            forks: published.dag().forks().iter().map(|f| f.branches.len() as u64 - 1).sum(),
            refuses_writes: inner.refuses_writes(published.kept),
            alarm: alarm.or(unreadable),
            differs: differs.into_keys().collect(),
            failed,
        }
    }

    /// Readers are shown no block that the store has not; true also where nothing can be read.
    pub fn holds_what_it_shows(&self) -> bool {
        let shown = self.inner.published.load().blocks;
        let held = self.inner.reader().and_then(|reader| Ok(reader.last_block()?));
        held.map_or(true, |held| held.0 >= shown)
    }

    /// A message about SQLite's tables (`t_…`, `x_…`) with the names that people know them by.
    pub fn with_names(&self, message: &str) -> String {
        let catalog = self.inner.published.load().catalog.clone();
        let mut message = message.to_owned();
        for t in catalog.tables() {
            let known = format!("{}.{}", t.database, t.name);
            for physical in [t.physical(), t.physical_displaced()] {
                if message.contains(&physical) {
                    message = message.replace(&physical, &format!("{known} [{physical}]"));
                }
            }
        }
        message
    }

    /// Refuses writes from now on, with this reason, or allows them again.
    pub fn set_refuses_writes(&self, why: Option<String>) {
        self.inner.health.lock().refuses_writes = why;
    }

    /// A peer says what its tables are at a frontier. If this node was at that frontier and had other tables, something
    /// is badly wrong: an alarm is raised, and true is returned.
    ///
    /// It comes with every message of the peer: the log says it when it begins, when it is over, and once in a long while.
    pub fn compare(&self, peer: &str, theirs: &StateProof) -> bool {
        let Some(mine) = self.inner.proofs.lock().get(&theirs.frontier).copied() else { return false };
        let health = &mut *self.inner.health.lock();
        if mine == theirs.fingerprint {
            if health.differs.remove(peer).is_some() {
                tracing::info!("the tables are those of {peer} again");
            }
            return false;
        }
        let message = format!(
            "the tables differ from those of {peer} although both hold the same blocks (frontier {}): \
             run `p2pdb-node verify` on both",
            hex(&theirs.frontier[..8])
        );
        let now_ms = self.inner.clock.now_ms();
        let told = health.differs.get(peer).map(|d| d.told_ms);
        let is_due = told.is_none_or(|at| now_ms.abs_diff(at) >= ALARM_REMINDER_MS);
        if is_due {
            tracing::error!("{message}");
        }
        let told_ms = if is_due { now_ms } else { told.unwrap_or(now_ms) };
        health.differs.insert(peer.to_owned(), Differs { message, told_ms });
        true
    }

    /// What was said of this peer's tables is over with its membership.
    pub fn forget_compared(&self, peer: &str) {
        self.inner.health.lock().differs.remove(peer);
    }

    /// A peer holds these tips of this node's own chains. If it knows more than this node does (a restore, a lost
    /// disk), the chain is left alone and the next block begins another; true then.
    pub fn peer_knows_own_tips(
        &self,
        tips: &[(p2pdb_dag::ChainId, p2pdb_dag::Tip)],
    ) -> Result<bool, EngineError> {
        let published = self.inner.published.load();
        let ahead = tips.iter().any(|(chain, tip)| {
            chain.author == self.inner.node
                && !published.frontier().tips(chain).iter().any(|t| t.seq >= tip.seq)
        });
        if ahead && !fault::on(Fault::RestoreContinues) {
            tracing::warn!("a peer holds blocks of this node that it has lost: it begins another chain");
            let mut writer = self.inner.writer.lock();
            if writer.db.in_transaction() {
                return Err(EngineError::State("a transaction is open".to_owned()));
            }
            writer.db.begin()?;
            writer.leave_chain()?;
            writer.lose_count()?;
            writer.db.commit()?;
            self.inner.tells_lost_count.store(writer.ids_lost(), std::sync::atomic::Ordering::Relaxed);
        }
        Ok(ahead)
    }

    /// The newest blocks, newest first, at most this many.
    pub fn log(&self, limit: usize) -> Result<Vec<LogEntry>, EngineError> {
        let reader = self.inner.reader()?;
        let published = self.inner.published.load();
        let last = reader.last_block()?.0;
        let from = store::BlockNo(last.saturating_sub(limit as u64) + 1);
        let mut records = Vec::new();
        reader.scan_blocks(from, |b| {
            records.push(b.record);
            Ok(if records.len() >= limit { STOP } else { NEXT })
        })?;
        let members = published.access.members();
        let mut entries = Vec::with_capacity(records.len());
        for record in records.into_iter().rev() {
            let Some(block) = reader.block(record.no)? else { continue };
            let header: &Header = block.header();
            let kept = published.kept.is_some_and(|k| k.contains(record.no));
            let transactions = match kept {
                true => Vec::new(),
                false => transactions(&reader, &record, &*reader.body(record.no)?, &published.catalog)?,
            };
            entries.push(LogEntry {
                cid: record.cid,
                parents: header.all_parents().copied().collect(),
                author: record.author,
                author_name: members
                    .iter()
                    .find(|m| m.node == record.author)
                    .map_or_else(String::new, |m| m.name.clone()),
                seq: record.seq,
                stamp: record.stamp,
                head: published.heads.iter().any(|h| h.cid == record.cid),
                kept,
                transactions,
            });
        }
        Ok(entries)
    }

    /// Writes every block as a CAR file (v1): `ipfs dag import` takes it.
    pub fn export_car(
        &self,
        out: impl Write,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<u64, EngineError> {
        let mut reader = self.inner.reader()?;
        reader.begin()?;
        let whole = |no: store::BlockNo| {
            let missing = || StoreError::Corrupt(format!("block {} of the log is missing", no.0));
            let block = reader.block(no)?.ok_or_else(missing)?;
            let bodies = reader.sound_bodies(no, &block.cid(), block.bytes())?;
            Ok::<_, StoreError>((block, bodies))
        };
        let heads: Vec<_> = reader.heads()?.iter().map(|h| h.cid).collect();
        let total = reader.last_block()?.0;
        let mut car = CarWriter::new(out, &heads).map_err(car_error)?;
        for n in 1..=total {
            let no = store::BlockNo(n);
            let (block, bodies) = whole(no).inspect_err(|e| self.inner.tell_damage(e))?;
            car.write(&block.cid(), block.bytes()).map_err(car_error)?;
            for (body, reference) in bodies.iter().zip(&block.header().bodies) {
                car.write(&reference.cid, body).map_err(car_error)?;
            }
            progress(n, total);
        }
        car.finish().map_err(car_error)?;
        reader.end()?;
        Ok(total)
    }

    /// Takes in the blocks of a CAR file, in whatever order they are, as if a peer had sent them; says how many were new, and how
    /// many still wait at the end.
    pub fn import_car(
        &self,
        input: impl Read,
        mut progress: impl FnMut(u64),
    ) -> Result<crate::arrive::Arrived, EngineError> {
        let mut car = CarReader::new(input).map_err(car_error)?;
        let mut total = crate::arrive::Arrived::default();
        let mut seen = 0;
        // Blocks that came before one that they build on, until that comes.
        let mut early = HashSet::new();
        for batch in crate::car::batches(&mut car) {
            let batch = batch.map_err(car_error)?;
            // Its other blocks would be refused one by one, as wrongly signed.
            let begins = |r: &&p2pdb_sync::Received| {
                r.block.header().prev.is_none() && r.block.header().parents.is_empty()
            };
            if let Some(other) = batch.iter().filter(begins).find(|r| r.block.cid() != self.inner.realm.0) {
                return Err(EngineError::Refused(format!(
                    "the CAR file is of the realm {}, this node's realm is {}",
                    other.block.cid(),
                    self.inner.realm
                )));
            }
            seen += batch.len() as u64;
            let cids: Vec<Cid> = batch.iter().map(|r| r.block.cid()).collect();
            let arrived = self.ingest(batch).block();
            if let Some(fault) = arrived.fault {
                return Err(EngineError::State(fault));
            }
            if arrived.waiting > 0 {
                early.extend(cids);
            }
            for cid in &arrived.applied {
                early.remove(cid);
            }
            total.applied.extend(arrived.applied);
            total.known += arrived.known;
            total.refused.extend(arrived.refused);
            total.missing = arrived.missing;
            progress(seen);
        }
        let view = self.log_view()?;
        for cid in early {
            let refused = self.inner.refused.lock().contains(&cid);
            total.waiting += usize::from(!refused && !view.holds(&cid)?);
        }
        Ok(total)
    }

    /// A consistent copy of the store, in a new file.
    pub fn backup(&self, target: &Path) -> Result<(), EngineError> {
        let reader = self.inner.reader()?;
        store::backup(&reader, target).inspect_err(|e| self.inner.tell_damage(e))?;
        Ok(())
    }
}

impl Inner {
    /// Says that a block on this node's disk is damaged, once for each, and raises the alarm.
    pub(crate) fn tell_damage(&self, e: &StoreError) {
        let StoreError::BlockAt { no, .. } = e else { return };
        let mut health = self.health.lock();
        if health.damaged.insert(*no) {
            tracing::error!("{e}; it is given to no peer, no export and no backup");
            health.alarm.get_or_insert_with(|| e.to_string());
        }
    }
}

fn car_error(e: CarError) -> EngineError {
    EngineError::State(format!("CAR file: {e}"))
}

fn transactions(
    reader: &PooledReader,
    record: &BlockRecord,
    body: &StoredBody,
    catalog: &Catalog,
) -> Result<Vec<LogTransaction>, EngineError> {
    let mut out = Vec::new();
    for (i, tx) in body.body.transactions().iter().enumerate() {
        let verdict = reader.verdict(TxNo(record.first_tx.0 + i as u64))?;
        let void = verdict.filter(|v| !v.is_accepted()).map(|v| {
            let reason = u8::try_from(v.0).ok().and_then(p2pdb_access::Verdict::from_code);
            reason.map_or_else(|| "void".to_owned(), |r| r.to_string())
        });
        let Some(account) = body.body.accounts().get(tx.account()) else { continue };
        out.push(LogTransaction { account: *account, void, summary: summary(tx.changes(), body, catalog) });
    }
    Ok(out)
}

/// `INSERT shop.till ×3, UPDATE …`; rows that are only referred to are left out beside others.
fn summary(changes: &[Change], body: &StoredBody, catalog: &Catalog) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    // Rows that others refer to are kept by that; nobody wrote to them.
    let mut referred = 0;
    let refers = |row: &RowChange| {
        let layout = body.body.layouts().get(row.layout());
        matches!(row, RowChange::Update { .. }) && layout.is_some_and(|l| l.columns().is_empty())
    };
    for change in changes {
        let what = match change {
            Change::Row(row) if refers(row) => {
                referred += 1;
                continue;
            }
            Change::Row(row) => {
                let verb = match row {
                    RowChange::Insert { .. } => "INSERT",
                    RowChange::Update { .. } | RowChange::Edit { .. } => "UPDATE",
                    RowChange::Delete { .. } => "DELETE",
                };
                let table =
                    body.body.layouts().get(row.layout()).and_then(|l| catalog.table_by_id(l.table()));
                match table {
                    Some(t) => format!("{verb} {}.{}", t.database, t.name),
                    None => format!("{verb} (dropped table)"),
                }
            }
            Change::Schema(p2pdb_model::change::SchemaChange::Put { kind, name, .. }) => {
                format!("{kind:?} {}", name.as_deref().unwrap_or("changed"))
            }
            Change::Schema(p2pdb_model::change::SchemaChange::Drop { .. }) => "DROP".to_owned(),
            Change::Access(AccessChange::Rules { rules }) => format!("RULES {rules}"),
            Change::Access(a) => format!("{a:?}").split([' ', '{']).next().unwrap_or_default().to_uppercase(),
        };
        match counted.last_mut() {
            Some((last, n)) if *last == what => *n += 1,
            _ => counted.push((what, 1)),
        }
    }
    if counted.is_empty() && referred > 0 {
        counted.push(("REFERENCE".to_owned(), referred));
    }
    let shown: Vec<String> =
        counted.into_iter().map(|(w, n)| if n == 1 { w } else { format!("{w} ×{n}") }).collect();
    shown.join(", ")
}
