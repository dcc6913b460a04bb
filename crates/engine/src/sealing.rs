//! Sealed columns at work: the keys that this node can open, which of them values are sealed with, and who is given them
//! (`docs/security.md`, section 7).
//!
//! Keys come from the log, wrapped for this node, and are opened when a cell asks for them. A writer chooses the key of a column
//! before its statement runs ([`Writer::ready_to_seal`]); one that it makes goes into the log behind the transaction that
//! uses it, in the same commit. The cryptography is in `crates/access`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Weak};

use p2pdb_access::{Access, Asker, ColumnKey, Columns, Epochs, LOOK_BYTES, LookKey, SealedColumn};
use p2pdb_block::{SigningKey, node_id};
use p2pdb_model::catalog::Table;
use p2pdb_model::change::{AccessChange, Role};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::EpochId;
use p2pdb_model::sealed::{self, KeyWrap};
use p2pdb_model::{AccountId, Change, ColumnTag, NodeId, ObjectId, Privileges, RealmId, Stamp, Value};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute::{self, Sealer};
use p2pdb_store::{self as store, Refill};
use parking_lot::{Mutex, RwLock};

use crate::api::Entropy;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::writer::Writer;

/// How long a choice of key holds without a look at grants that may have ended, milliseconds.
const CHOICE_MS: u64 = 1_000;

/// Goes up when other values are found by something else than before (`p2pdb_sql::execute::looks`).
const LOOKS_VERSION: u8 = 1;

/// A sealed column, by table.
type At = (ObjectId, ColumnTag);
/// Accounts on nodes of theirs.
type Readers = BTreeSet<(AccountId, NodeId)>;

/// The column keys of this node.
pub(crate) struct Keyring {
    realm: RealmId,
    node: NodeId,
    key: SigningKey,
    entropy: Arc<dyn Entropy>,
    look: LookKey,
    keys: RwLock<HashMap<EpochId, Arc<ColumnKey>>>,
    /// Columns of which there was a key for this node.
    held: RwLock<HashSet<At>>,
    /// Columns of which keys came that were not there, and whether those were the first, since the last commit.
    arrived: Mutex<BTreeMap<At, Refill>>,
    /// Keys that came with blocks, and columns of which they are the first, since the last commit.
    coming: RwLock<(HashSet<EpochId>, HashSet<At>)>,
    /// What was not needed yet.
    wrapped: Mutex<HashMap<EpochId, Vec<(SealedColumn, KeyWrap)>>>,
    /// The state of access in which no reader lacks a key that is here ([`Engine::givers_of_keys`]).
    nobody_lacks: Mutex<Weak<Access>>,
    /// What values are sealed with in the transaction that runs.
    current: RwLock<HashMap<At, EpochId>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.read().len()).finish_non_exhaustive()
    }
}

impl Keyring {
    pub(crate) fn new(realm: RealmId, key: SigningKey, entropy: Arc<dyn Entropy>) -> Self {
        Keyring {
            look: LookKey::new(realm, &key),
            realm,
            node: node_id(&key),
            key,
            entropy,
            keys: RwLock::default(),
            held: RwLock::default(),
            arrived: Mutex::default(),
            coming: RwLock::default(),
            wrapped: Mutex::default(),
            nobody_lacks: Mutex::default(),
            current: RwLock::default(),
        }
    }

    fn column(&self, (table, column): At) -> SealedColumn {
        SealedColumn { realm: self.realm, table, column }
    }

    /// Takes what these changes, of a block that is not committed yet, hold for this node, whatever the verdict: what was sealed
    /// with it stays readable.
    pub(crate) fn note(&self, changes: &[Change]) {
        self.take(changes, |at, epoch| {
            let mut coming = self.coming.write();
            coming.0.insert(epoch);
            if !self.held.read().contains(&at) {
                coming.1.insert(at);
            }
        });
    }

    /// The same of the log.
    pub(crate) fn note_logged(&self, changes: &[Change]) {
        self.take(changes, |_, _| ());
    }

    fn take(&self, changes: &[Change], before: impl Fn(At, EpochId)) {
        for change in changes {
            let Change::Access(AccessChange::ColumnKey { table, column, epoch, wraps, .. }) = change else {
                continue;
            };
            if self.keys.read().contains_key(epoch) {
                continue;
            }
            let at = (*table, *column);
            let column = self.column(at);
            let own = wraps.iter().filter(|w| w.node == self.node);
            let mut own = own.map(|w| (column, w.clone())).peekable();
            if own.peek().is_some() {
                before(at, *epoch);
                self.wrapped.lock().entry(*epoch).or_default().extend(own);
                self.comes(at);
            }
        }
    }

    /// A key of the column is here that was not.
    fn comes(&self, at: At) {
        let first = self.held.write().insert(at);
        let mut arrived = self.arrived.lock();
        let what = arrived.entry(at).or_insert(Refill::Unopened);
        if first {
            *what = Refill::All;
        }
    }

    /// What arrived is committed, and found by its values.
    fn is_here(&self) {
        self.arrived.lock().clear();
        *self.coming.write() = Default::default();
    }

    fn get(&self, epoch: EpochId) -> Option<Arc<ColumnKey>> {
        if let Some(key) = self.keys.read().get(&epoch) {
            return Some(key.clone());
        }
        // Where one wrap is junk, another may be good.
        let wraps = self.wrapped.lock().remove(&epoch)?;
        let open = |(column, wrap)| ColumnKey::unwrap(column, epoch, &wrap, &self.key);
        let key = Arc::new(wraps.into_iter().find_map(open)?);
        self.keys.write().insert(epoch, key.clone());
        Some(key)
    }

    /// A transaction begins: it chooses its keys itself.
    pub(crate) fn begin(&self) {
        if !self.current.read().is_empty() {
            self.current.write().clear();
        }
    }

    /// Values of the column are sealed with this key from here on.
    fn use_key(&self, at: At, epoch: EpochId) {
        if self.current.read().get(&at) != Some(&epoch) {
            self.current.write().insert(at, epoch);
        }
    }

    pub(crate) fn fill(&self, buffer: &mut [u8]) {
        self.entropy.fill(buffer);
    }

    /// A fresh key, for these readers.
    fn mint(&self, at: At, readers: &Readers) -> AccessChange {
        let key = Arc::new(ColumnKey::generate(self.column(at), &mut |b| self.fill(b)));
        self.keys.write().insert(key.epoch(), key.clone());
        if !self.held.read().contains(&at) {
            self.comes(at);
        }
        self.wrap(at, &key, true, readers.iter())
    }

    fn wrap<'a>(
        &self,
        (table, column): At,
        key: &ColumnKey,
        begins: bool,
        readers: impl Iterator<Item = &'a (AccountId, NodeId)>,
    ) -> AccessChange {
        let wraps = readers.filter_map(|(account, node)| key.wrap(*account, *node, &mut |b| self.fill(b)));
        AccessChange::ColumnKey { table, column, epoch: key.epoch(), begins, wraps: wraps.collect() }
    }

    /// What readers lack: all that is here; of who was granted it without the history only what was begun later, what is newest,
    /// and what that account has on another node.
    fn lacking<'a>(
        &self,
        epochs: &'a Epochs,
        readers: &'a Readers,
        later: &'a BTreeMap<AccountId, BTreeSet<EpochId>>,
    ) -> impl Iterator<Item = (Arc<ColumnKey>, Vec<&'a (AccountId, NodeId)>)> {
        epochs.all.iter().filter_map(move |(epoch, given)| {
            let newest = epochs.newest.contains(epoch);
            let has = |account| {
                given.readers.range((account, NodeId([0; 32]))..).next().is_some_and(|r| r.0 == account)
            };
            let may =
                |account| later.get(&account).is_none_or(|l| newest || l.contains(epoch) || has(account));
            let lacking: Vec<_> =
                readers.iter().filter(|r| !given.readers.contains(*r) && may(r.0)).collect();
            if lacking.is_empty() { None } else { Some((self.get(*epoch)?, lacking)) }
        })
    }

    fn gifts(&self, access: &Access, at: At, readers: &Readers, now: Stamp) -> (Epochs, Vec<AccessChange>) {
        let (epochs, later) = (access.epochs(at.0, at.1), access.from_now_on(at.0, at.1, readers, now));
        let wrap = |(key, to): (Arc<ColumnKey>, Vec<_>)| self.wrap(at, &key, false, to.into_iter());
        let mut out: Vec<AccessChange> = self.lacking(&epochs, readers, &later).map(wrap).collect();
        out.retain(|c| !matches!(c, AccessChange::ColumnKey { wraps, .. } if wraps.is_empty()));
        (epochs, out)
    }

    /// The one newest key, if it is here and was given to nobody but present readers.
    fn usable(&self, epochs: &Epochs, readers: &Readers) -> Option<EpochId> {
        let [newest] = epochs.newest.as_slice() else { return None };
        let given = epochs.all.get(newest)?;
        let right = given.readers.is_subset(readers) || fault::on(Fault::ReadersKept);
        (right && self.get(*newest).is_some()).then_some(*newest)
    }
}

impl Sealer for Keyring {
    fn open(&self, table: ObjectId, column: ColumnTag, cell: &[u8]) -> Option<Value> {
        let key = self.get(sealed::epoch_of(cell)?)?;
        (key.column() == self.column((table, column))).then(|| key.open(cell))?
    }

    fn holds(&self, table: ObjectId, column: ColumnTag) -> bool {
        self.held.read().contains(&(table, column))
    }

    fn look(&self, table: ObjectId, column: ColumnTag, value: &[u8]) -> [u8; LOOK_BYTES] {
        self.look.of(table, column, value)
    }

    fn seal(&self, table: ObjectId, column: ColumnTag, value: &Value) -> Result<Value, SqlError> {
        let epoch = self.current.read().get(&(table, column)).copied();
        let key = epoch.and_then(|e| self.get(e)).ok_or_else(execute::sealed::not_ready)?;
        Ok(key.seal(value, &mut |b| self.fill(b)))
    }
}

/// What sessions have of the keys: those that came with a block once it is committed. Before, what is read by them would not be
/// found by its value.
#[derive(Debug)]
pub(crate) struct Committed(pub(crate) Arc<Keyring>);

impl Sealer for Committed {
    fn open(&self, table: ObjectId, column: ColumnTag, cell: &[u8]) -> Option<Value> {
        let coming = self.0.coming.read().0.contains(&sealed::epoch_of(cell)?);
        (!coming).then(|| self.0.open(table, column, cell))?
    }

    fn holds(&self, table: ObjectId, column: ColumnTag) -> bool {
        self.0.holds(table, column) && !self.0.coming.read().1.contains(&(table, column))
    }

    fn look(&self, table: ObjectId, column: ColumnTag, value: &[u8]) -> [u8; LOOK_BYTES] {
        Sealer::look(&*self.0, table, column, value)
    }

    fn seal(&self, table: ObjectId, column: ColumnTag, value: &Value) -> Result<Value, SqlError> {
        self.0.seal(table, column, value)
    }
}

/// What the writer knows of keys besides the log.
#[derive(Debug, Default)]
pub(crate) struct Sealing {
    /// Keys in the open block.
    pushed: HashMap<At, EpochId>,
    /// Keys of the log that were found good for an account that writes: since when, and in which state of access.
    chosen: HashMap<(At, AccountId), (EpochId, u64, u64)>,
    /// Goes up when access changes.
    pub(crate) state: u64,
}

impl Sealing {
    /// What was open is in the log, or taken back.
    pub(crate) fn closed(&mut self) {
        self.pushed.clear();
        self.chosen.clear();
    }
}

/// Keys that a transaction brings along.
pub(crate) type NewKeys = BTreeMap<At, Vec<AccessChange>>;

fn begun(changes: &[AccessChange]) -> Option<EpochId> {
    changes.iter().find_map(|c| match c {
        AccessChange::ColumnKey { epoch, begins: true, .. } => Some(*epoch),
        _ => None,
    })
}

impl Writer {
    /// At the start: what equal values of sealed columns are found by is made anew where it was made with another key, or by
    /// nobody yet.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn looks_are_own(&mut self) -> Result<(), EngineError> {
        // What the log held was looked at with these keys.
        self.keyring.is_here();
        if !self.db.has_looks()? {
            return Ok(());
        }
        let mut mark = self.keyring.look.mark().to_vec();
        mark.push(LOOKS_VERSION);
        if self.db.meta(store::meta::LOOKS)?.as_ref() != Some(&mark) {
            self.db.begin()?;
            self.db.fill_all_looks()?;
            self.db.put_meta(store::meta::LOOKS, &mark)?;
            self.db.commit()?;
        }
        Ok(())
    }

    /// Before a commit: cells are found by their values that can be opened from now on.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn fill_looks(&mut self) -> Result<(), EngineError> {
        let arrived = self.keyring.arrived.lock().clone();
        if fault::on(Fault::LooksForgotten) {
            return Ok(());
        }
        for ((table, _), what) in arrived {
            self.db.fill_looks(table, what)?;
        }
        Ok(())
    }

    /// After a commit.
    pub(crate) fn looks_are_filled(&self) {
        self.keyring.is_here();
    }

    /// Makes keys ready for values of these sealed columns; gives one that the transaction's account cannot read here.
    ///
    /// # Errors
    /// Those of opening a block.
    pub(crate) fn ready_to_seal(
        &mut self,
        table: &Table,
        columns: impl Iterator<Item = ColumnTag>,
    ) -> Result<Option<ColumnTag>, EngineError> {
        let (stamp, node) = (self.tx_site()?.stamp, self.node());
        let Some(account) = self.writes_for() else { return Ok(None) };
        for column in columns {
            let at = (table.id, column);
            let now_ms = self.clock.now_ms();
            let still = |(_, since, state): &(EpochId, u64, u64)| {
                *state == self.sealing.state && now_ms.abs_diff(*since) < CHOICE_MS
            };
            let chosen = self.sealing.chosen.get(&(at, account)).copied().filter(still).map(|c| c.0);
            let known = self.new_keys().get(&at).and_then(|c| begun(c)).or(chosen);
            let epoch = match known {
                Some(epoch) => epoch,
                None if !self.access.is_reader(account, node, table.id, column, stamp) => {
                    return Ok(Some(column));
                }
                None => match self.sealing.pushed.get(&at) {
                    Some(epoch) => *epoch,
                    None => self.choose(at, account, stamp, now_ms),
                },
            };
            self.keyring.use_key(at, epoch);
        }
        Ok(None)
    }

    fn choose(&mut self, at: At, account: AccountId, stamp: Stamp, now_ms: u64) -> EpochId {
        let readers = self.access.readers(at.0, at.1, stamp);
        let (epochs, mut changes) = self.keyring.gifts(&self.access, at, &readers, stamp);
        let epoch = match self.keyring.usable(&epochs, &readers) {
            Some(epoch) => {
                self.sealing.chosen.insert((at, account), (epoch, now_ms, self.sealing.state));
                epoch
            }
            None => {
                let fresh = self.keyring.mint(at, &readers);
                let epoch = begun(std::slice::from_ref(&fresh));
                changes.push(fresh);
                epoch.expect("invariant: a fresh key begins an epoch")
            }
        };
        if !changes.is_empty() {
            self.bring_keys(at, changes);
        }
        epoch
    }

    /// Puts the keys that a transaction made into the open block, behind it.
    pub(crate) fn push_keys(&mut self, account: AccountId, keys: &NewKeys) -> Result<(), EngineError> {
        let changes: Vec<Change> = keys.values().flatten().cloned().map(Change::Access).collect();
        if changes.is_empty() {
            return Ok(());
        }
        // The values that are sealed with them are in the block already.
        self.push(account, &[], changes, None).inspect_err(|e| self.set_broken(e))?;
        let begun = keys.iter().filter_map(|(at, changes)| Some((*at, begun(changes)?)));
        self.sealing.pushed.extend(begun);
        Ok(())
    }

    /// After who may read what has changed: gives keys on, and with `rotate` makes a fresh one where somebody has the newest who
    /// may read no more. Of the columns that the account may read here.
    ///
    /// # Errors
    /// Those of writing.
    pub(crate) fn keep_keys(&mut self, account: AccountId, rotate: bool) -> Result<bool, EngineError> {
        let (stamp, node) = (Stamp::next(self.dag.stamp_floor(), self.clock.now_ms()), self.node());
        let columns: Vec<At> = self.access.sealed_columns().collect();
        let mut changes = Vec::new();
        for at in columns {
            if !self.access.is_reader(account, node, at.0, at.1, stamp) {
                continue;
            }
            let readers = self.access.readers(at.0, at.1, stamp);
            let (epochs, gifts) = self.keyring.gifts(&self.access, at, &readers, stamp);
            changes.extend(gifts);
            let here = epochs.newest.iter().any(|e| self.keyring.get(*e).is_some());
            if rotate && here && self.keyring.usable(&epochs, &readers).is_none() {
                changes.push(self.keyring.mint(at, &readers));
            }
        }
        let any = !changes.is_empty();
        if any {
            self.access(account, changes)?;
        }
        Ok(any)
    }

    /// A fresh key for each column that a grant to this account or role opens, given to those who will read it then; the
    /// keys before are not.
    ///
    /// # Errors
    /// A column that the account cannot read here: whoever can would give the keys before, too.
    pub(crate) fn keys_without_history(
        &self,
        account: AccountId,
        to: AccountId,
        grants: impl Fn(At) -> bool,
    ) -> Result<Vec<AccessChange>, At> {
        let stamp = Stamp::next(self.dag.stamp_floor(), self.clock.now_ms());
        let mut fresh = Vec::new();
        for at in self.access.sealed_columns().filter(|at| grants(*at)) {
            let asker = Asker { account: to, roles: &[], now: stamp };
            // Who may read it has had the choice.
            if self.access.allows(&asker, Some(at.0), Privileges::SELECT, Columns::Each(vec![at.1])) {
                continue;
            }
            let readers = self.access.readers_with(at.0, at.1, stamp, to);
            if !self.access.is_reader(account, self.node(), at.0, at.1, stamp) {
                return Err(at);
            }
            fresh.push(self.keyring.mint(at, &readers));
        }
        Ok(fresh)
    }
}

impl Engine {
    /// Gives keys of sealed columns to readers that lack them, as an account that may read them here; says whether there was
    /// anything to give.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn share_keys(&self) -> Result<bool, EngineError> {
        if !self.has_keys_to_share() {
            return Ok(false);
        }
        let node = self.inner.node;
        self.command(move |w, _| {
            let stamp = Stamp::next(w.dag.stamp_floor(), w.clock.now_ms());
            let columns: Vec<At> = w.access.sealed_columns().collect();
            let readers = columns.iter().flat_map(|at| w.access.readers(at.0, at.1, stamp));
            let own: BTreeSet<AccountId> = readers.filter(|r| r.1 == node).map(|r| r.0).collect();
            own.into_iter().try_for_each(|account| w.keep_keys(account, false).map(drop))
        })?;
        Ok(true)
    }

    /// A reader lacks a key that is here.
    pub fn has_keys_to_share(&self) -> bool {
        self.givers_of_keys().is_some()
    }

    /// Where a reader lacks a key that is here: the nodes before this one, in the order of their ids, that have been given such a
    /// key too and may write. Where nobody lacks one, nobody will as long as access stays as it is: a grant ends by time, and none begins by it.
    pub fn givers_of_keys(&self) -> Option<Arc<[NodeId]>> {
        let published = self.inner.published.load();
        let access = &published.access;
        let mut nobody_lacks = self.inner.keyring.nobody_lacks.lock();
        if std::ptr::eq(nobody_lacks.as_ptr(), Arc::as_ptr(access)) {
            return None;
        }
        let (stamp, own) = (Stamp::from_millis(self.inner.clock.now_ms()), self.inner.node);
        let mut lacks = false;
        let mut before = BTreeSet::new();
        for at in access.sealed_columns() {
            let readers = access.readers(at.0, at.1, stamp);
            if !readers.iter().any(|r| r.1 == own) {
                continue;
            }
            let (epochs, later) =
                (access.epochs(at.0, at.1), access.from_now_on(at.0, at.1, &readers, stamp));
            for (key, to) in self.inner.keyring.lacking(&epochs, &readers, &later) {
                // Whose node's key is no point on the curve cannot be given any.
                if to.iter().any(|to| ColumnKey::can_be_given_to(to.1)) {
                    lacks = true;
                    let given = epochs.all.get(&key.epoch()).into_iter().flat_map(|e| &e.readers);
                    before.extend(given.filter(|r| r.1 < own && readers.contains(*r)).map(|r| r.1));
                }
            }
        }
        before.retain(|node| access.role(*node).is_some_and(Role::writes));
        if !lacks {
            *nobody_lacks = Arc::downgrade(access);
        }
        lacks.then(|| before.into_iter().collect())
    }
}
