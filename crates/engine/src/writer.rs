//! The writer's state: log, DAG, access, catalog, and the block that is being filled.
//!
//! Everything here happens inside one SQLite transaction at a time ([`Writer::begin`] … [`Writer::commit`]). Local
//! transactions collect in an *open block*; it is sealed when the group ends, and before arriving blocks are applied
//! behind it, so that a block's causal past is exactly the state that its transactions ran on. After a failure the state
//! in memory is read anew from what is committed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use p2pdb_access::{Access, Site};
use p2pdb_block::{BodyBuilder, Draft, FullBlock, SigningKey, WholeBlock, node_id, seal};
use p2pdb_dag::{Dag, Pending, Placed};
use p2pdb_model::catalog::Table;
use p2pdb_model::change::{IdClass, Layout, Position, SchemaChange};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::schema::Definition;
use p2pdb_model::{
    AccountId, Catalog, CellKind, Change, Cid, ColumnTag, NodeId, ObjectId, RealmId, Stamp, Value,
    WeakInserts,
};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_store::{
    self as store, ForeignKeys, Local, LocalChanges, Merger, NewTransaction, Savepoint, TxNo, Verdict,
};

use crate::api::{Clock, Entropy};
use crate::arrive::Arriving;
use crate::core::Core;
use crate::engine::Published;
use crate::error::EngineError;
use crate::forks::Forked;
use crate::functions::{self, by_rules};
use crate::judging::access_positions;
use crate::logged::{self, Ancestry, Logged};
use crate::read_set::{Blind, Reads, Seen};
use crate::sealing::{Keyring, NewKeys, Sealing};
use crate::tables::{Cells, Mended};
use crate::taken::{Drawn, Floors};

/// A block is sealed when its body has grown to this, bytes; the next transaction goes into another one.
const BLOCK_BYTES_FULL: usize = 512 << 10;

/// What the changes of a transaction may take, bytes; the rest of its block is for accounts and layouts.
const TRANSACTION_BYTES_MAX: usize = p2pdb_block::limits::BLOCK_BODY_BYTES_TOTAL_MAX - (64 << 10);

/// The block that local transactions of this group go into.
struct OpenBlock {
    stamp: Stamp,
    body: BodyBuilder,
    first_tx: TxNo,
    /// Per transaction, whose it is, and which of its inserts are weak.
    accounts: Vec<(AccountId, WeakInserts)>,
    /// Per transaction, what the store keeps of it until the changes have their places in the body.
    finalized: Vec<LocalChanges>,
    access: Vec<(u32, AccountId, Vec<Change>)>,
    /// What was not granted and is signed all the same (`fault::is_patched`), and why not; of access that is said later.
    ungranted: BTreeMap<u32, Option<p2pdb_access::Reason>>,
    /// Holds changes whose effects are not in the tables yet: of the schema, and decisions about conflicts.
    merges: bool,
}

/// A transaction that holds the writer.
struct Leased {
    savepoint: Savepoint,
    mark: usize,
    account: AccountId,
    named: Vec<(String, Savepoint)>,
    /// Ids drawn from AUTO_INCREMENT.
    drawn: Drawn,
    /// How its statements had them.
    foreign_keys: ForeignKeys,
    /// Up to this mark the changes take so many bytes of a block.
    measured: (usize, usize),
    /// Keys of sealed columns that it brings along.
    keys: NewKeys,
}

/// See the module.
pub(crate) struct Writer {
    pub(crate) db: store::Writer,
    pub(crate) dag: Dag,
    pub(crate) access: Arc<Access>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) merger: Merger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) pending: Pending<Arriving>,
    key: SigningKey,
    node: NodeId,
    realm: RealmId,
    /// First block of the chain that this node extends; none: the next block begins one.
    chain: Option<Cid>,
    open: Option<OpenBlock>,
    leased: Option<Leased>,
    made: Vec<FullBlock>,
    /// Whose transactions came and are void, and why, since somebody last asked.
    pub(crate) voided: Vec<(NodeId, p2pdb_access::Reason)>,
    /// Forks that came to light since the last commit.
    forked: Vec<Forked>,
    touched: HashMap<ObjectId, u64>,
    /// Why the group can only be rolled back.
    broken: Option<String>,
    /// DAG, access or schema have changed since the last commit.
    dirty: bool,
    epoch: u64,
    /// Greatest AUTO_INCREMENT value in use of this node's share, per table.
    ids: Floors,
    /// This node's share, once somebody asked.
    id_class: Option<Option<IdClass>>,
    /// This node may have drawn values of its share that it does not know of: see `recount`.
    ids_lost: bool,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) sealing: Sealing,
    /// The newest rules number that is understood.
    pub(crate) rules_known: u32,
    /// Where the log's end begins that is kept and not applied.
    pub(crate) kept: Option<store::Kept>,
}

/// What identifies a transaction while it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TxSite {
    pub(crate) no: TxNo,
    pub(crate) stamp: Stamp,
    pub(crate) position: u32,
}

impl Writer {
    pub(crate) fn load(
        db: store::Writer,
        realm: RealmId,
        key: SigningKey,
        rules_known: u32,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, EngineError> {
        let mut writer = Writer {
            rules_known,
            kept: None,
            dag: Dag::new(realm),
            access: Arc::new(Access::new(realm)),
            merger: Merger::load(&db, &|_, _| Ok(false), functions::meaning())?,
            catalog: Arc::default(),
            pending: Pending::new(),
            node: node_id(&key),
            db,
            clock,
            keyring: Arc::new(Keyring::new(realm, key.clone(), entropy.clone())),
            sealing: Sealing::default(),
            entropy,
            key,
            realm,
            chain: None,
            open: None,
            leased: None,
            made: Vec::new(),
            voided: Vec::new(),
            forked: Vec::new(),
            touched: HashMap::new(),
            broken: None,
            dirty: false,
            epoch: 0,
            ids: Floors::default(),
            id_class: None,
            ids_lost: false,
        };
        writer.reload()?;
        if writer.db.meta(store::meta::MERGED)?.as_deref() != Some(store::MERGE.to_be_bytes().as_slice()) {
            writer.merge_anew()?;
        }
        Ok(writer)
    }

    /// The tables of a store that an earlier version merged by other rules.
    fn merge_anew(&mut self) -> Result<(), EngineError> {
        if !self.dag.is_empty() {
            tracing::info!(
                "the tables are made anew from the log, by the rules of this version; this is done once"
            );
        }
        self.db.begin()?;
        let ancestry = Ancestry::new(&self.dag, &self.db);
        let ask = |a, b| ancestry.ask(a, b);
        let merged = by_rules(|| self.merger.merge_anew(&self.db, &ask));
        drop(ancestry);
        let noted = merged.and_then(|()| {
            // Sealed values are looked at again when their keys are there.
            self.db.remove_meta(store::meta::LOOKS)?;
            self.db.put_meta(store::meta::DROPS_INDEXED, store::meta::SET)?;
            self.db.put_meta(store::meta::MERGED, &store::MERGE.to_be_bytes())
        });
        match noted {
            Ok(()) => {
                self.db.commit()?;
                self.reload()
            }
            Err(e) => {
                self.db.rollback()?;
                Err(e.into())
            }
        }
    }

    /// Reads DAG, access state and catalog from what is committed.
    pub(crate) fn reload(&mut self) -> Result<(), EngineError> {
        self.sealing.closed();
        self.sealing.state += 1;
        self.open = None;
        self.leased = None;
        self.broken = None;
        self.made.clear();
        self.ids.read_all_again();
        self.id_class = None;
        self.ids_lost = self.db.meta(store::meta::IDS_LOST)?.is_some();
        self.kept = self.db.kept()?;
        self.chain = crate::realm::meta_cid(&self.db, store::meta::CHAIN)?;
        self.dag = logged::load_dag(self.realm, &self.db)?;
        self.access = Arc::new(self.load_access()?);
        let ancestry = Ancestry::new(&self.dag, &self.db);
        self.merger = Merger::load(&self.db, &|a, b| ancestry.ask(a, b), functions::meaning())?;
        self.adopt_catalog();
        self.dirty = false;
        Ok(())
    }

    /// The merger's catalog under an epoch of this writer, which never goes back: plans are cached under it.
    fn adopt_catalog(&mut self) {
        self.epoch += 1;
        let mut catalog = Catalog::clone(self.merger.catalog());
        catalog.epoch = self.epoch;
        self.catalog = Arc::new(catalog);
        self.db.forget_statements();
    }

    fn load_access(&self) -> Result<Access, EngineError> {
        let mut access = Access::new(self.realm);
        if let Some(genesis) = self.db.block(store::BlockNo(1))? {
            access.begin_rules(genesis.header().rules);
        }
        let mut places: Vec<(store::BlockNo, u32)> = Vec::new();
        self.db.scan_access(|at| {
            if places.last() != Some(&(at.block, at.position.transaction)) {
                places.push((at.block, at.position.transaction));
            }
            Ok(store::NEXT)
        })?;
        for (no, transaction) in places {
            let lost =
                || store::StoreError::Corrupt(format!("block {} of an access change is missing", no.0));
            let record = self.db.block_record(no)?.ok_or_else(lost)?;
            let body = self.db.body(no)?;
            let tx = body.body.transactions().get(transaction as usize).ok_or_else(lost)?;
            let account = *body.body.accounts().get(tx.account()).ok_or_else(lost)?;
            let site = self.site_of(&record)?;
            access.note_objects(&site, transaction, account, body.body.layouts(), tx.changes());
            if Access::is_access(tx.changes()) {
                self.keyring.note_logged(tx.changes());
                access.insert(site, transaction, account, tx.changes(), |cid| self.past_of(cid))?;
            }
        }
        Ok(access)
    }

    pub(crate) fn site_of(&self, record: &store::BlockRecord) -> Result<Site, store::StoreError> {
        let place = logged::place(record);
        let chain = self.dag.branch(place.branch).map_or(record.cid, |b| b.chain.first);
        let past = self.dag.past(place, &Logged(&self.db))?;
        Ok(Site { block: record.cid, author: record.author, stamp: record.stamp, chain, past })
    }

    /// The causal past of an applied block.
    pub(crate) fn past_of(&self, cid: &Cid) -> Result<Option<p2pdb_dag::Past>, store::StoreError> {
        past_of(&self.dag, &self.db, cid)
    }

    pub(crate) fn realm(&self) -> RealmId {
        self.realm
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn to_publish(&self) -> Published {
        Published::new(
            self.catalog.clone(),
            self.access.clone(),
            &self.dag,
            self.pending.len() as u64,
            self.keeps(),
        )
    }

    /// True when a commit after transaction `tx` has changed this table.
    pub(crate) fn touched_since(&self, table: ObjectId, tx: TxNo) -> bool {
        self.touched.get(&table).is_some_and(|t| *t > tx.0)
    }

    /// Notes that the transaction, or a change of verdicts at this point, wrote to a table.
    pub(crate) fn touch(&mut self, table: ObjectId, tx: TxNo) {
        let last = self.touched.entry(table).or_default();
        *last = (*last).max(tx.0);
    }

    // ---- the group

    pub(crate) fn begin(&mut self) -> Result<(), EngineError> {
        self.db.begin()?;
        // When the last group was taken back, what is committed could not be read.
        if self.dirty
            && !fault::on(Fault::StaleState)
            && let Err(e) = self.reload()
        {
            self.db.rollback()?;
            return Err(e);
        }
        Ok(())
    }

    /// Seals what is open and commits with one sync; gives the blocks made here.
    pub(crate) fn commit(&mut self) -> Result<Vec<FullBlock>, EngineError> {
        let made = self.commit_unsynced()?;
        self.db.log_sync().sync()?;
        Ok(made)
    }

    /// Seals what is open and commits; gives the blocks made here. Nobody may hear of it before the log is synced. On an
    /// error nothing was committed, and the state is that of the last commit.
    pub(crate) fn commit_unsynced(&mut self) -> Result<Vec<FullBlock>, EngineError> {
        let sealed = self.seal_open().and_then(|()| self.fill_looks());
        match sealed.and_then(|()| Ok(self.db.commit_unsynced()?)) {
            Ok(()) => {
                self.looks_are_filled();
                self.merger.committed();
                self.dirty = false;
                Ok(std::mem::take(&mut self.made))
            }
            Err(e) => {
                self.rollback();
                Err(e)
            }
        }
    }

    /// The forks that came to light with what was committed.
    pub(crate) fn take_forked(&mut self) -> Vec<Forked> {
        std::mem::take(&mut self.forked)
    }

    /// Takes the group back.
    pub(crate) fn rollback(&mut self) {
        self.forked.clear();
        if let Err(e) = self.db.rollback() {
            tracing::error!(error = %e, "a rollback failed");
        }
        if !self.dirty {
            // Nothing but rows was touched, and those are SQLite's.
            self.sealing.closed();
            self.open = None;
            self.leased = None;
            self.broken = None;
            return;
        }
        if let Err(e) = self.reload() {
            // Nothing is applied on a state that is not known: who begins next reads it, or fails the same way.
            tracing::error!(error = %e, "the committed state cannot be read");
        }
    }

    // ---- local transactions

    fn open_block(&mut self) -> Result<&mut OpenBlock, EngineError> {
        if self.open.as_ref().is_some_and(|o| o.body.encoded_bytes() >= BLOCK_BYTES_FULL) {
            self.seal_open()?;
        }
        if self.open.is_none() {
            if let Some(keeps) = self.keeps() {
                return Err(EngineError::Refused(keeps.why()));
            }
            // Before its stamp is drawn: the block comes after the blocks that tie heads.
            self.tie_heads()?;
            self.open_chain()?;
            let (_, first_tx) = self.db.next_numbers()?;
            let stamp = self.next_stamp();
            self.open = Some(OpenBlock {
                stamp,
                body: BodyBuilder::new(),
                first_tx,
                accounts: Vec::new(),
                finalized: Vec::new(),
                access: Vec::new(),
                ungranted: BTreeMap::new(),
                merges: false,
            });
        }
        Ok(self.open.as_mut().expect("invariant: opened above"))
    }

    /// The number, clock and place that the transaction being run will have.
    pub(crate) fn tx_site(&mut self) -> Result<TxSite, EngineError> {
        let open = self.open_block()?;
        let position = open.body.len() as u32;
        Ok(TxSite { no: TxNo(open.first_tx.0 + u64::from(position)), stamp: open.stamp, position })
    }

    /// Runs one local transaction inside the group. When `f` fails nothing of it stays.
    pub(crate) fn transaction<T>(
        &mut self,
        account: AccountId,
        f: impl FnOnce(&mut Writer) -> Result<T, SqlError>,
    ) -> Result<T, SqlError> {
        self.enter(account).map_err(|e| e.to_sql())?;
        let ended = f(self).and_then(|t| self.fits().map(|()| t));
        match ended.and_then(|t| self.leave().map(|()| t).map_err(|e| e.to_sql())) {
            Ok(t) => Ok(t),
            Err(e) => {
                self.undo();
                Err(e)
            }
        }
    }

    /// Begins a local transaction.
    pub(crate) fn enter(&mut self, account: AccountId) -> Result<(), EngineError> {
        self.tx_site()?;
        self.keyring.begin();
        let savepoint = self.db.savepoint()?;
        self.db.set_capture(true);
        let mark = self.db.capture_mark();
        self.leased = Some(Leased {
            savepoint,
            mark,
            account,
            named: Vec::new(),
            drawn: Drawn::default(),
            foreign_keys: ForeignKeys::default(),
            measured: (mark, 0),
            keys: NewKeys::new(),
        });
        Ok(())
    }

    /// 1197 when the statement that has just run makes the transaction larger than a block may be.
    pub(crate) fn fits(&mut self) -> Result<(), SqlError> {
        let Writer { leased, merger, db, .. } = self;
        let Some(leased) = leased else { return Ok(()) };
        let (mark, before) = leased.measured;
        let bytes = db.captured_since(mark, |new| merger.log_bytes(db, new));
        let mut bytes = before + bytes.map_err(|e| crate::error::store_to_sql(&e))?;
        if bytes > TRANSACTION_BYTES_MAX {
            // Rows that were written several times are one change each.
            let net = db.captured_since(leased.mark, |all| merger.net_log_bytes(db, all));
            bytes = net.map_err(|e| crate::error::store_to_sql(&e))?;
        }
        if bytes > TRANSACTION_BYTES_MAX {
            return Err(crate::error::transaction_too_large());
        }
        leased.measured = (db.capture_mark(), bytes);
        Ok(())
    }

    /// Ends a local transaction well: its net changes go into the open block. When that fails it is still entered, to be undone.
    pub(crate) fn leave(&mut self) -> Result<(), EngineError> {
        let leased = self.leased.take().expect("invariant: a transaction is left that was entered");
        match self.push_leased(&leased) {
            Ok(()) => Ok(self.db.release(leased.savepoint)?),
            Err(e) => {
                self.leased = Some(leased);
                Err(e)
            }
        }
    }

    fn push_leased(&mut self, leased: &Leased) -> Result<(), EngineError> {
        let site = self.tx_site()?;
        self.db.set_capture(false);
        let captured = self.db.take_captured(leased.mark);
        if !captured.is_empty() {
            let (block, _) = self.db.next_numbers()?;
            let origin = store::Origin {
                tx: site.no,
                block,
                stamp: site.stamp,
                author: self.node,
                cid: Cid::default(),
                position: site.position,
            };
            let generated =
                |table: ObjectId, key: &Value| key.as_u64().is_some_and(|id| leased.drawn.has(table, id));
            let foreign_keys = leased.foreign_keys;
            let (access, account) = (self.access.clone(), leased.account);
            let now = Site::now(self.node, site.stamp);
            let weak = |table: ObjectId, columns: &[ColumnTag], owner: Option<AccountId>| {
                access.inserts_weakly(&now, account, table, columns, owner == Some(account))
            };
            let unnamed = |table: ObjectId, columns: &[ColumnTag], owner: Option<AccountId>| {
                access.not_insertable(&now, account, table, columns, owner == Some(account))
            };
            let generated = &generated;
            let ancestry = Ancestry::new(&self.dag, &self.db);
            let is_ancestor = |a, b| ancestry.ask(a, b);
            let is_ancestor = &is_ancestor;
            let local =
                Local { origin, is_ancestor, foreign_keys, generated, weak: &weak, not_insertable: &unnamed };
            let mut net = self.merger.finalize(&self.db, &local, captured)?;
            for layout in &net.layouts {
                self.touch(layout.table(), site.no);
            }
            if !net.changes.is_empty() {
                let (layouts, changes) = (std::mem::take(&mut net.layouts), std::mem::take(&mut net.changes));
                self.push(leased.account, &layouts, changes, Some(net))?;
                self.push_keys(leased.account, &leased.keys)?;
            }
        }
        Ok(())
    }

    /// The account of the transaction that is entered.
    pub(crate) fn writes_for(&self) -> Option<AccountId> {
        self.leased.as_ref().map(|l| l.account)
    }

    /// The keys of sealed columns that it brings along.
    pub(crate) fn new_keys(&self) -> &NewKeys {
        static NONE: NewKeys = NewKeys::new();
        self.leased.as_ref().map_or(&NONE, |l| &l.keys)
    }

    pub(crate) fn bring_keys(
        &mut self,
        at: (ObjectId, ColumnTag),
        changes: Vec<p2pdb_model::change::AccessChange>,
    ) {
        if let Some(leased) = &mut self.leased {
            leased.keys.entry(at).or_default().extend(changes);
        }
    }

    /// Whom a value of a column means that says whose rows they are: NULL whoever writes, else an account's id, or its name.
    pub(crate) fn owner_named(&self, value: &Value) -> Option<AccountId> {
        let text = match value {
            Value::Null => return self.leased.as_ref().map(|l| l.account),
            Value::Text(text) => text.as_str(),
            _ => return None,
        };
        if text.len() == 32
            && let Some(id) = AccountId::from_hex(text)
        {
            return Some(id);
        }
        let (name, host) = text.rsplit_once('@').unwrap_or((text, "%"));
        let accounts = self.access.accounts();
        let found = accounts.iter().find(|a| !a.is_role && a.name == name && a.host == host);
        found.map(|a| a.id)
    }

    /// See [`crate::tables::Tables::left_out`].
    pub(crate) fn left_out(&mut self, table: &Table) -> Result<Vec<(ColumnTag, Value)>, EngineError> {
        let Some(account) = self.leased.as_ref().map(|l| l.account) else { return Ok(Vec::new()) };
        let now = Site::now(self.node, self.tx_site()?.stamp);
        let key = table.primary().map(|p| p.def.parts.as_slice()).unwrap_or_default();
        let given = table.columns.iter().filter(|c| c.def.generated.is_none()).map(|c| c.tag);
        let given: Vec<ColumnTag> = given.filter(|c| key.iter().all(|p| p.column != *c)).collect();
        let owned = table.columns.iter().any(|c| c.cell_kind() == CellKind::Owner);
        let not = self.access.not_insertable(&now, account, table.id, &given, owned);
        if not.is_empty() {
            return Ok(Vec::new());
        }
        let mut unwritten = self.merger.unwritten(&self.db, table.id)?;
        unwritten.retain(|(tag, _)| not.contains(tag));
        Ok(unwritten)
    }

    /// Takes a local transaction back.
    pub(crate) fn undo(&mut self) {
        let Some(leased) = self.leased.take() else { return };
        self.db.set_capture(false);
        // The ids that it drew are not given out again, as in MySQL.
        if self.db.check().is_ok()
            && !fault::on(Fault::UndoForgotten)
            && let Err(e) =
                self.db.rollback_to(leased.savepoint).and_then(|()| self.db.release(leased.savepoint))
        {
            tracing::error!(error = %e, "a transaction could not be rolled back to its savepoint");
        }
    }

    /// Adds a transaction with these changes to the open block.
    pub(crate) fn push(
        &mut self,
        account: AccountId,
        layouts: &[Layout],
        changes: Vec<Change>,
        finalized: Option<LocalChanges>,
    ) -> Result<(), EngineError> {
        let (node, known) = (self.node, self.access.clone());
        let open = self.open_block()?;
        let access = Access::is_access(&changes).then(|| changes.clone());
        let site = Site::now(node, open.stamp);
        let mut ungranted = (fault::is_patched() && access.is_some()).then_some(None);
        let weak = match access {
            Some(_) => WeakInserts::NONE,
            None => match known.rows_allowed(&site, 0, account, layouts, &changes) {
                Ok(weak) => weak,
                Err(why) if fault::is_patched() => {
                    ungranted = Some(Some(why));
                    WeakInserts::NONE
                }
                Err(why) => return Err(EngineError::Denied(why)),
            },
        };
        // Only now: a transaction that is refused must leave those that share the block as they are.
        let merges = changes.iter().any(|c| matches!(c, Change::Schema(_)));
        let n = open.body.push(account, layouts, changes)?;
        open.merges |= merges;
        open.accounts.push((account, weak));
        open.ungranted.extend(ungranted.map(|why| (n, why)));
        open.finalized.extend(finalized);
        if let Some(changes) = access {
            open.access.push((n, account, changes));
        }
        Ok(())
    }

    /// What was captured since `mark` overwrote a row that the transaction has read in its snapshot and that someone else has
    /// changed since.
    pub(crate) fn overwrote(
        &mut self,
        mark: usize,
        reads: &Reads,
        snapshot: TxNo,
        reader: Option<&store::Reader>,
        core: &Core,
    ) -> Result<bool, SqlError> {
        let own = self.tx_site().map_err(|e| e.to_sql())?.no;
        let newer = self.merger.newer_than(&self.db, mark, snapshot, own);
        let newer = newer.map_err(|e| crate::error::store_to_sql(&e))?;
        let Some(reader) = reader.filter(|_| !newer.is_empty()) else { return Ok(false) };
        execute::enter(execute::Context::new(&core.state, self.clock.now_us() as i64));
        let read = reads.include(&newer, &self.catalog, reader, &core.state);
        execute::leave();
        read.map_err(|e| crate::error::store_to_sql(&e))
    }

    /// In READ COMMITTED: what was captured since `mark` gave a value to a cell that the transaction has seen, without looking at
    /// it again, and someone else has changed that cell since.
    pub(crate) fn overwrote_blindly(
        &mut self,
        mark: usize,
        seen: &Seen,
        blind: &Blind,
    ) -> Result<bool, SqlError> {
        if seen.is_empty() || blind.is_empty() {
            return Ok(false);
        }
        let own = self.tx_site().map_err(|e| e.to_sql())?.no;
        let newer = self.merger.newer_than(&self.db, mark, seen.oldest(), own);
        let newer = newer.map_err(|e| crate::error::store_to_sql(&e))?;
        Ok(newer.iter().any(|row| seen.loses(row, blind)))
    }

    /// SAVEPOINT.
    pub(crate) fn set_savepoint(&mut self, name: &str) -> Result<(), SqlError> {
        let savepoint = self.db.savepoint().map_err(|e| crate::error::store_to_sql(&e))?;
        if let Some(leased) = &mut self.leased {
            // The older one of this name is forgotten, as MySQL does; its place in the stack stays.
            leased.named.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
            leased.named.push((name.to_owned(), savepoint));
        }
        Ok(())
    }

    /// ROLLBACK TO (`undo`) or RELEASE; false when there is no such savepoint.
    pub(crate) fn end_savepoint(&mut self, name: &str, undo: bool) -> Result<bool, SqlError> {
        let Some(leased) = &mut self.leased else { return Ok(false) };
        let Some(i) = leased.named.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)) else {
            return Ok(false);
        };
        let savepoint = leased.named[i].1;
        leased.named.truncate(if undo { i + 1 } else { i });
        if undo {
            leased.measured = (leased.mark, 0);
        }
        let ended = if undo { self.db.rollback_to(savepoint) } else { self.db.release(savepoint) };
        ended.map_err(|e| crate::error::store_to_sql(&e))?;
        Ok(true)
    }

    /// A schema change, as a transaction of its own.
    pub(crate) fn schema(&mut self, changes: Vec<SchemaChange>) -> Result<(), EngineError> {
        let account = self.leased.as_ref().map(|l| l.account).expect("invariant: a transaction is entered");
        let capture = self.db.set_capture(false);
        // It goes the way of an arriving block: sealed first, then applied.
        self.seal_open()?;
        // AUTO_INCREMENT = n may be lower than what was given out, as in MySQL.
        let options = |change: &SchemaChange| match change {
            SchemaChange::Put { id, definition: Some(d), .. } if matches!(**d, Definition::Table(_)) => {
                Some(*id)
            }
            _ => None,
        };
        let altered: Vec<ObjectId> = changes.iter().filter_map(options).collect();
        let shown = |change| Change::Schema(self.catalog.show_home(change));
        let changes = changes.into_iter().map(shown).collect();
        self.push(account, &[], changes, None)?;
        self.seal_open()?;
        altered.into_iter().for_each(|table| self.forget_ids(table));
        self.db.set_capture(capture);
        Ok(())
    }

    /// A decision about a conflict, as a transaction of its own.
    pub(crate) fn resolve(
        &mut self,
        table: ObjectId,
        key: &[Value],
        how: store::Decision,
    ) -> Result<store::Found<()>, EngineError> {
        let account = self.leased.as_ref().map(|l| l.account).expect("invariant: a transaction is entered");
        let capture = self.db.set_capture(false);
        self.seal_open()?;
        let ancestry = Ancestry::new(&self.dag, &self.db);
        let ask = |a, b| ancestry.ask(a, b);
        let decided = by_rules(|| self.merger.decide(&self.db, &ask, table, key, how))?;
        drop(ancestry);
        let found = match decided {
            store::Found::Nothing => store::Found::Nothing,
            store::Found::Several => store::Found::Several,
            store::Found::One((layout, change)) => {
                self.push(account, &[layout], vec![Change::Row(change)], None)?;
                // It goes the way of an arriving block, as it is not in the tables yet.
                if let Some(open) = &mut self.open {
                    open.merges = true;
                }
                self.seal_open()?;
                store::Found::One(())
            }
        };
        self.db.set_capture(capture);
        Ok(found)
    }

    /// Gives the displaced row of this key other values, as a transaction of its own, and says where it is then. When the caller
    /// is not content, it takes the whole group back.
    pub(crate) fn mend(
        &mut self,
        table: ObjectId,
        key: &[Value],
        cells: &Cells,
        foreign_key_checks: bool,
    ) -> Result<Mended, EngineError> {
        let account = self.leased.as_ref().map(|l| l.account).expect("invariant: a transaction is entered");
        let capture = self.db.set_capture(false);
        self.seal_open()?;
        let ancestry = Ancestry::new(&self.dag, &self.db);
        let ask = |a, b| ancestry.ask(a, b);
        let mending = by_rules(|| self.merger.mend(&self.db, &ask, table, key, cells, foreign_key_checks))?;
        drop(ancestry);
        let mended = match mending {
            store::Mending::Nothing => Mended::Nothing,
            store::Mending::Several => Mended::Several,
            store::Mending::Visible => Mended::Visible,
            store::Mending::Changes(key, layouts, changes) => {
                self.push(account, &layouts, changes.into_iter().map(Change::Row).collect(), None)?;
                if let Some(open) = &mut self.open {
                    open.merges = true;
                }
                self.seal_open()?;
                let ancestry = Ancestry::new(&self.dag, &self.db);
                let ask = |a, b| ancestry.ask(a, b);
                Mended::Written(by_rules(|| self.merger.standing(&self.db, &ask, table, &key))?)
            }
        };
        self.db.set_capture(capture);
        Ok(mended)
    }

    /// The rows of this table that wait.
    pub(crate) fn waiting(&mut self, table: ObjectId) -> Result<store::Waiting, EngineError> {
        Ok(by_rules(|| self.merger.waiting(&self.db, table))?)
    }

    /// What a row of this table meets that did not wait before; see [`store::Merger::newly_waits`].
    pub(crate) fn newly_waits(
        &mut self,
        table: ObjectId,
        before: &store::Waiting,
        parents: bool,
    ) -> Result<Option<store::Obstacle>, EngineError> {
        let ancestry = Ancestry::new(&self.dag, &self.db);
        let ask = |a, b| ancestry.ask(a, b);
        Ok(by_rules(|| self.merger.newly_waits(&self.db, &ask, table, before, parents))?)
    }

    // ---- sealing

    /// Seals the open block, if it holds anything.
    pub(crate) fn seal_open(&mut self) -> Result<(), EngineError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        // What it held is known to access from here on.
        self.sealing.closed();
        if open.body.is_empty() {
            return Ok(());
        }
        let sealed = self.seal(open);
        // Log and memory may disagree now: only a rollback of the group mends that.
        sealed.inspect_err(|e| self.set_broken(e))
    }

    /// The group can only be rolled back.
    pub(crate) fn is_broken(&self) -> bool {
        self.why_broken().is_some()
    }

    /// Why the group can only be rolled back, if it is so.
    pub(crate) fn why_broken(&self) -> Option<String> {
        self.broken.clone().or_else(|| self.db.check().err().map(|e| e.to_string()))
    }

    fn own_tip(&self) -> Option<(u64, Cid)> {
        let chain = self.chain?;
        self.dag.branches_of_chain(&chain).map(|b| (b.tip.seq, b.tip.cid)).max()
    }

    fn seal(&mut self, open: OpenBlock) -> Result<(), EngineError> {
        let tip = self.own_tip();
        let draft = Draft {
            rules: self.access.rules(),
            seq: tip.map_or(1, |t| t.0 + 1),
            prev: tip.map(|t| t.1),
            parents: match fault::on(Fault::PastForgotten) && tip.is_some() {
                true => Vec::new(),
                false => self.dag.heads().map(|h| h.cid).collect(),
            },
            stamp: open.stamp,
        };
        let realm = (!self.dag.is_empty()).then_some(self.realm);
        let full = seal(draft, open.body.finish(), &self.key, realm.as_ref())?;
        let own = |(n, (account, weak))| {
            let why = open.ungranted.get(&n).copied().flatten();
            let void = |why| Verdict(p2pdb_access::Verdict::Void(why).code().into());
            NewTransaction { account, verdict: why.map_or(Verdict::ACCEPTED, void), weak }
        };
        let transactions: Vec<_> = (0..).zip(open.accounts).map(own).collect();
        let placed = self.append(&full, &transactions)?;
        if open.merges {
            let tables: Vec<ObjectId> = self.catalog.tables().map(|t| t.id).collect();
            self.merge(&placed, &full)?;
            // Whoever has read any table before may have read what is gone.
            for table in tables {
                self.touch(table, open.first_tx);
            }
            self.ids.read_all_again();
        } else {
            let ancestry = Ancestry::new(&self.dag, &self.db);
            let ask = |a, b| ancestry.ask(a, b);
            by_rules(|| self.merger.record(&self.db, &ask, open.finalized, full.index()))?;
        }
        let site = Site::of(&placed);
        for n in 0..full.body().transactions().len() {
            self.note_objects(&site, n as u32, full.body());
        }
        let mut judged = Vec::new();
        for (n, account, changes) in open.access {
            judged.push(self.insert_access(&placed, n, account, &changes)?);
        }
        let own = match open.ungranted.is_empty() {
            true => BTreeMap::new(),
            false => self.as_others_judge(open.ungranted.keys().copied(), open.first_tx, &placed, &full),
        };
        self.made.push(full);
        self.follow(judged)?;
        self.turn(&own)
    }

    /// Puts a block of our own into DAG and log.
    fn append(&mut self, full: &FullBlock, transactions: &[NewTransaction]) -> Result<Placed, EngineError> {
        self.dirty = true;
        let placed = self.dag.append(full.verified(), &Logged(&self.db)).map_err(|e| match e {
            p2pdb_dag::Error::Fault(e) => EngineError::Store(e),
            e => EngineError::State(e.to_string()),
        })?;
        self.log_placed(full, &placed, transactions, &access_positions(full))?;
        if self.chain.is_none() {
            self.begin_chain(placed.chain.first)?;
        }
        Ok(placed)
    }

    /// Puts a block that has its place in the DAG into the log.
    pub(crate) fn log_placed(
        &mut self,
        block: &WholeBlock,
        placed: &Placed,
        transactions: &[NewTransaction],
        access: &[Position],
    ) -> Result<(), EngineError> {
        if let Some(branch) = logged::new_branch(placed) {
            self.db.add_branch(&branch)?;
            self.forked.extend(Forked::by(placed, &self.db)?);
        }
        let list = placed.unseen.to_bytes();
        let unseen = match placed.unseen_same_as {
            Some(n) => store::Unseen::SameAs(logged::no(n)),
            None if list.is_empty() => store::Unseen::Nothing,
            None => store::Unseen::List(&list),
        };
        self.db.append_block(&store::NewBlock {
            no: logged::no(placed.place.no),
            block: block.verified(),
            bodies: block.parts(),
            branch: store::BranchNo(placed.place.branch.0),
            unseen,
            heads_gone: &placed.heads_gone,
            arrived_ms: self.clock.now_ms(),
            transactions,
            access,
        })?;
        Ok(())
    }

    pub(crate) fn set_dirty(&mut self) {
        self.dirty = true;
    }

    /// The group can only be rolled back. What was the first to say so is the cause of what follows.
    pub(crate) fn set_broken(&mut self, why: &impl std::fmt::Display) {
        self.broken.get_or_insert_with(|| why.to_string());
    }

    /// Merges a block that is in the log into the tables.
    pub(crate) fn merge(&mut self, placed: &Placed, full: &FullBlock) -> Result<store::Applied, EngineError> {
        let ancestry = Ancestry::new(&self.dag, &self.db);
        let no = logged::no(placed.place.no);
        let ask = |a, b| ancestry.ask(a, b);
        let applied = by_rules(|| self.merger.apply(&self.db, &ask, no, full.body(), full.index()))?;
        self.after_merge(applied);
        Ok(applied)
    }

    /// The catalog may be another one.
    pub(crate) fn after_merge(&mut self, applied: store::Applied) {
        if applied.schema_changed {
            self.adopt_catalog();
        }
    }

    /// The chain that this node extends from now on. Blocks of its own that come from others, after a restore, begin none.
    pub(crate) fn begin_chain(&mut self, first: Cid) -> Result<(), EngineError> {
        self.chain = Some(first);
        crate::realm::put_chain(&self.db, self.chain.as_ref())
    }

    /// The next local block begins another chain.
    pub(crate) fn leave_chain(&mut self) -> Result<(), EngineError> {
        self.chain = None;
        crate::realm::put_chain(&self.db, None)
    }

    /// While there are more heads than a block may name, empty blocks tie them.
    fn tie_heads(&mut self) -> Result<(), EngineError> {
        loop {
            let heads: Vec<Cid> = self.dag.heads().map(|h| h.cid).collect();
            let tip = self.own_tip().map(|t| t.1);
            let mut groups = p2pdb_dag::merge_groups(&heads, tip);
            if groups.len() <= 1 {
                return Ok(());
            }
            let parents = groups.swap_remove(0);
            self.empty_block(parents)?;
        }
    }

    /// Begins this node's chain by an empty block, if it has lost count of its AUTO_INCREMENT values.
    pub(crate) fn open_chain(&mut self) -> Result<(), EngineError> {
        if self.ids_lost && self.chain.is_none() {
            let heads = self.dag.heads().map(|h| h.cid).collect();
            self.empty_block(heads)?;
        }
        Ok(())
    }

    /// The clock of a block that is made now. The first block of another chain takes a random place in its millisecond: who is restored
    /// twice from one backup begins two chains, even where the heads are ahead of the clock. Equal blocks would be one chain that forks.
    fn next_stamp(&self) -> Stamp {
        let next = Stamp::next(self.dag.stamp_floor(), self.clock.now_ms());
        let begins_another = self.chain.is_none()
            && (self.ids_lost || self.dag.branches_of_author(self.node()).next().is_some());
        if !begins_another {
            return next;
        }
        let mut random = [0; 2];
        self.keyring.fill(&mut random);
        Stamp(next.0.saturating_add(u64::from(u16::from_le_bytes(random) / 2)))
    }

    fn empty_block(&mut self, parents: Vec<Cid>) -> Result<(), EngineError> {
        let own = self.own_tip();
        // It may name some heads only, and stand before a switch that others name.
        let rules = self.rules_behind(parents.iter().chain(own.as_ref().map(|o| &o.1)))?;
        let draft = Draft {
            rules,
            seq: own.map_or(1, |t| t.0 + 1),
            prev: own.map(|t| t.1),
            parents,
            stamp: self.next_stamp(),
        };
        let full = seal(draft, BodyBuilder::new().finish(), &self.key, Some(&self.realm))?;
        self.append(&full, &[])?;
        self.made.push(full);
        Ok(())
    }

    // ---- AUTO_INCREMENT

    fn id_class(&mut self) -> Result<Option<IdClass>, store::StoreError> {
        if self.id_class.is_none() {
            self.id_class = Some(self.counted_class()?);
        }
        Ok(self.id_class.flatten())
    }

    pub(crate) fn ids_lost(&self) -> bool {
        self.ids_lost
    }

    pub(crate) fn set_ids_lost(&mut self, lost: bool) {
        self.ids_lost = lost;
        self.forget_shares();
    }

    pub(crate) fn chain(&self) -> Option<Cid> {
        self.chain
    }

    /// This node's share of a table's AUTO_INCREMENT values: the greatest one in it that is taken, and its end.
    /// `None`: nothing was dealt to it, or not since it lost count.
    pub(crate) fn id_share(&mut self, table: &Table) -> Result<Option<(u64, u64)>, store::StoreError> {
        let Some((low, high)) = self.id_class()?.and_then(|c| c.interval(logged::id_max(table))) else {
            return Ok(None);
        };
        let db = &self.db;
        let taken = |known| logged::greatest_id(db, table, &logged::rows_of(table), known, high);
        Ok(Some((self.ids.of(table.id, (low, high), taken)?, high)))
    }

    /// The transaction that is entered drew this id from AUTO_INCREMENT.
    pub(crate) fn note_generated(&mut self, table: ObjectId, id: u64) {
        if let Some(leased) = &mut self.leased {
            leased.drawn.note(table, id);
        }
    }

    /// A statement of the transaction that is entered runs with foreign keys checked, or not.
    pub(crate) fn note_foreign_key_checks(&mut self, on: bool) {
        if let Some(leased) = &mut self.leased {
            leased.foreign_keys.note(on);
        }
    }

    /// An id was given out or written.
    pub(crate) fn raise_id_floor(&mut self, table: ObjectId, id: u64) {
        self.ids.raise(table, id);
    }

    /// The shares of AUTO_INCREMENT values may be others.
    pub(crate) fn forget_shares(&mut self) {
        self.ids = Floors::default();
        self.id_class = None;
    }

    /// Rows came from elsewhere: what was known of a table's ids is to be read again.
    pub(crate) fn read_ids_again(&mut self, table: ObjectId) {
        self.ids.read_again(table);
    }

    /// A table's ids begin anew.
    pub(crate) fn forget_ids(&mut self, table: ObjectId) {
        self.ids.forget(table);
    }
}

/// The causal past of an applied block.
pub(crate) fn past_of(
    dag: &Dag,
    db: &store::Writer,
    cid: &Cid,
) -> Result<Option<p2pdb_dag::Past>, store::StoreError> {
    let logged = Logged(db);
    match dag.find(cid, &logged)? {
        Some(found) => Ok(Some(dag.past(found.place, &logged)?)),
        None => Ok(None),
    }
}
