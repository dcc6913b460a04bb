//! The engine as its embedder holds it: shared state, the writer's loop, sessions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use lru::LruCache;
use p2pdb_access::{Access, Asker, Columns};
use p2pdb_block::SigningKey;
use p2pdb_dag::{BlockNo, Branch, Dag, Frontier, Head};
use p2pdb_model::{AccountId, Catalog, Cid, NodeId, Privileges, RealmId, Value};
use p2pdb_sql::account::{AccountName, host_matches, host_rank};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::front::{Front, LiteralKind};
use p2pdb_sql::plan::Plan;
use p2pdb_sql::session::SessionState;
use p2pdb_sql::variables::Globals;
use p2pdb_store::{LogSync, Merger, PooledReader, ReaderPool};
use parking_lot::Mutex;

use crate::accounts::Logins;
use crate::api::{Clock, Entropy, SessionOptions};
use crate::arrive::Announced;
use crate::calls::Calls;
use crate::core::{Core, Handle};
use crate::error::EngineError;
use crate::queue::{Queue, Todo};
use crate::realm::Start;
use crate::roles;
use crate::rules::Keeps;
use crate::sealing::Committed;
use crate::session::Session;
use crate::statement::Statement;
use crate::syncs::Syncs;
use crate::tally::{Counted, Tally};
use crate::temporary::Temporary;
use crate::told::Told;
use crate::writer::Writer;

/// Plan caches; a session uses the one that its id falls on.
const FRONTS: usize = 8;
/// Places in the memory of which plans ran for long.
const COSTS: usize = 1_024;
/// A statement that took more steps of SQLite's machine than this is long.
const LONG_STEPS: u64 = 50_000;
/// Read connections.
const READERS_MAX: usize = 2_048;
/// Random bytes drawn at once.
const RANDOM_POOL_BYTES: usize = 1_024;
/// Fingerprints remembered with their frontiers, to be compared with peers'.
const PROOFS_MAX: NonZeroUsize = NonZeroUsize::new(1_000).expect("invariant: not zero");

/// What everybody may look at without asking the writer: the state after the last commit.
pub(crate) struct Published {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) access: Arc<Access>,
    pub(crate) heads: Arc<[Head]>,
    pub(crate) blocks: u64,
    pub(crate) pending: u64,
    /// Blocks are not applied any more.
    pub(crate) kept: Option<Keeps>,
    realm: RealmId,
    branches: Vec<Branch>,
    /// Made when somebody asks: there is a new state after each commit, and few are looked at.
    dag: OnceLock<Dag>,
    frontier: OnceLock<(Frontier, [u8; 32])>,
}

impl Published {
    pub(crate) fn new(
        catalog: Arc<Catalog>,
        access: Arc<Access>,
        dag: &Dag,
        pending: u64,
        kept: Option<Keeps>,
    ) -> Self {
        Published {
            kept,
            catalog,
            access,
            heads: dag.heads().copied().collect(),
            blocks: dag.next_no().0 - 1,
            pending,
            realm: dag.realm(),
            branches: dag.branches().to_vec(),
            dag: OnceLock::new(),
            frontier: OnceLock::new(),
        }
    }

    pub(crate) fn dag(&self) -> &Dag {
        self.dag.get_or_init(|| {
            let next = BlockNo(self.blocks + 1);
            Dag::load(self.realm, next, self.branches.clone(), self.heads.to_vec())
        })
    }

    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier_and_digest().0
    }

    pub(crate) fn frontier_digest(&self) -> [u8; 32] {
        self.frontier_and_digest().1
    }

    fn frontier_and_digest(&self) -> &(Frontier, [u8; 32]) {
        self.frontier.get_or_init(|| {
            let frontier = self.dag().frontier();
            let digest = frontier.digest();
            (frontier, digest)
        })
    }
}

/// Refused blocks remembered.
const REFUSED_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("invariant: not zero");

/// See [`Engine::status_by`].
pub(crate) type ServedStatus = Box<dyn Fn(u64, bool) -> Vec<(&'static str, String)> + Send + Sync>;

/// Called after each commit that added blocks, with the blocks made here. Must not block.
pub type CommitHook = Box<dyn Fn(&Announced) + Send + Sync>;

pub(crate) struct Inner {
    pub(crate) directory: PathBuf,
    pub(crate) realm: RealmId,
    pub(crate) node: NodeId,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// The state after the last commit: what readers of this node see.
    pub(crate) published: ArcSwap<Published>,
    /// The state after the last commit that is durable: what peers hear of.
    pub(crate) durable: ArcSwap<Published>,
    pub(crate) syncs: Syncs,
    pub(crate) log_sync: LogSync,
    /// The disk has refused a sync, and how: nothing is written any more.
    pub(crate) unsyncable: OnceLock<String>,
    pub(crate) queue: Queue,
    pub(crate) calls: Calls,
    pub(crate) writer: Mutex<Writer>,
    pub(crate) readers: ReaderPool,
    pub(crate) hooks: Mutex<Vec<CommitHook>>,
    pub(crate) counters: Counters,
    pub(crate) health: Mutex<Health>,
    pub(crate) started_us: u64,
    pub(crate) account_keys: Vec<SigningKey>,
    pub(crate) keyring: Arc<crate::sealing::Keyring>,
    /// Fingerprints at frontiers that this node was at.
    pub(crate) proofs: Mutex<LruCache<[u8; 32], [u8; 32]>>,
    /// Reads fingerprints; made anew when the schema changes.
    pub(crate) reckoner: Mutex<Option<(u64, Merger)>>,
    /// What of the fingerprint members and verdicts make, as it was last worked out.
    pub(crate) judgements: Mutex<Option<crate::status::Judgements>>,
    /// Blocks that wait for parents or for their time.
    pub(crate) waiting: Mutex<HashSet<Cid>>,
    pub(crate) told: Mutex<Told>,
    /// This node has lost count of its AUTO_INCREMENT values and has not said so.
    pub(crate) tells_lost_count: AtomicBool,
    /// Chains, by their first blocks, whose authors had not lost count when they began them.
    pub(crate) counted: Mutex<HashSet<Cid>>,
    /// Blocks that were refused for what is in them, so that they are not fetched again and again.
    pub(crate) refused: Mutex<LruCache<Cid, ()>>,
    /// Members that are connected, as the node says.
    pub(crate) connected: Mutex<HashSet<NodeId>>,
    /// How it came to its store.
    pub(crate) start: Start,
    /// Which file the store is.
    pub(crate) place: Option<Vec<u8>>,
    /// The newest rules number that is understood.
    pub(crate) rules: u32,
    globals: Arc<Globals>,
    fronts: [Mutex<Front>; FRONTS],
    costs: Box<[AtomicU64]>,
    sessions: Mutex<HashMap<u64, Arc<Handle>>>,
    /// What the sessions have run that are gone.
    pub(crate) ended: Arc<Tally>,
    /// Status counters of whoever serves clients.
    pub(crate) served: OnceLock<ServedStatus>,
    pub(crate) logins: OnceLock<Arc<dyn Logins>>,
    pub(crate) when_synced: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
    random: Mutex<(Vec<u8>, usize)>,
    lock_wait_us: u64,
    /// Nobody runs the writer: see [`Engine::drive_by_hand`].
    pub(crate) by_hand: AtomicBool,
}

/// Why writes are refused, and what alarms are raised.
#[derive(Clone, Default)]
pub(crate) struct Health {
    pub(crate) refuses_writes: Option<String>,
    pub(crate) alarm: Option<String>,
    /// Peers whose tables differ from ours, though they hold the same blocks.
    pub(crate) differs: BTreeMap<String, Differs>,
    /// Numbers of blocks that are damaged on this disk, as far as somebody has asked for them.
    pub(crate) damaged: BTreeSet<u64>,
    /// Unix milliseconds at which a group could not be committed last, and why.
    pub(crate) failed: Option<(u64, String)>,
}

/// What is wrong between this node and a peer.
#[derive(Clone)]
pub(crate) struct Differs {
    pub(crate) message: String,
    /// Unix milliseconds at which the log told of it last.
    pub(crate) told_ms: u64,
}

/// Counts since the start.
#[derive(Default)]
pub struct Counters {
    /// Groups committed.
    pub groups: AtomicU64,
    /// Groups that could not be committed: nothing of them was.
    pub groups_failed: AtomicU64,
    /// Local transactions committed.
    pub transactions: AtomicU64,
    /// Blocks made here.
    pub blocks_made: AtomicU64,
    /// Blocks that came from peers and were applied.
    pub blocks_applied: AtomicU64,
    /// Blocks that were refused.
    pub blocks_refused: AtomicU64,
    /// Transactions that ended with 1213.
    pub conflicts: AtomicU64,
    /// Waits for the writer that ended with 1205.
    pub lock_timeouts: AtomicU64,
}

/// A node's database engine. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Parts {
    pub(crate) directory: PathBuf,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) writer: Writer,
    pub(crate) readers: p2pdb_store::Options,
    pub(crate) idle_transaction_ms: u64,
    pub(crate) lock_wait_ms: u64,
    pub(crate) variables: Vec<(&'static str, Value)>,
    pub(crate) account_keys: Vec<SigningKey>,
    pub(crate) start: Start,
}

impl Engine {
    pub(crate) fn from_parts(parts: Parts) -> Self {
        let Parts {
            directory,
            clock,
            entropy,
            writer,
            readers,
            idle_transaction_ms,
            lock_wait_ms,
            mut variables,
            account_keys,
            start,
        } = parts;
        let place = readers.place();
        // MySQL counts this one in whole seconds.
        variables.push(("innodb_lock_wait_timeout", Value::from_u64((lock_wait_ms / 1_000).max(1))));
        crate::check::remove_leftovers(&directory);
        let started_us = clock.now_us();
        let published = Arc::new(writer.to_publish());
        if let Some(keeps) = &published.kept {
            tracing::error!("{}", keeps.why());
        }
        let tells_lost_count = writer.ids_lost() && writer.chain().is_none();
        let inner = Inner {
            durable: ArcSwap::new(published.clone()),
            syncs: Syncs::default(),
            log_sync: writer.db.log_sync(),
            unsyncable: OnceLock::new(),
            directory,
            realm: writer.realm(),
            node: writer.node(),
            clock,
            entropy,
            published: ArcSwap::new(published),
            rules: writer.rules_known,
            keyring: writer.keyring.clone(),
            queue: Queue::new(idle_transaction_ms.saturating_mul(1_000)),
            calls: Calls::default(),
            writer: Mutex::new(writer),
            readers: ReaderPool::new(readers, READERS_MAX),
            hooks: Mutex::default(),
            counters: Counters::default(),
            health: Mutex::default(),
            started_us,
            account_keys,
            proofs: Mutex::new(LruCache::new(PROOFS_MAX)),
            reckoner: Mutex::default(),
            judgements: Mutex::default(),
            waiting: Mutex::default(),
            told: Mutex::default(),
            tells_lost_count: AtomicBool::new(tells_lost_count),
            counted: Mutex::default(),
            refused: Mutex::new(LruCache::new(REFUSED_MAX)),
            connected: Mutex::default(),
            start,
            place,
            globals: Arc::new(Globals::new(variables)),
            fronts: Default::default(),
            costs: (0..COSTS).map(|_| AtomicU64::new(0)).collect(),
            sessions: Mutex::default(),
            ended: Arc::default(),
            served: OnceLock::new(),
            logins: OnceLock::new(),
            when_synced: OnceLock::new(),
            random: Mutex::new((vec![0; RANDOM_POOL_BYTES], RANDOM_POOL_BYTES)),
            lock_wait_us: lock_wait_ms.saturating_mul(1_000),
            by_hand: AtomicBool::new(false),
        };
        let inner = Arc::new(inner);
        let of = Arc::downgrade(&inner);
        inner.globals.executed_by(move || {
            of.upgrade().map(|inner| inner.published.load().frontier().gtid_set()).unwrap_or_default()
        });
        Engine { inner }
    }

    /// Opens a session for an account that this node may act for. The caller has authenticated the client.
    ///
    /// # Errors
    /// 1045 when no such account is delegated to this node, 1049 for an unknown database.
    pub fn session(&self, options: &SessionOptions) -> Result<Session, SqlError> {
        let core = self.inner.new_core(options)?;
        Ok(Session::new(self.inner.clone(), core))
    }

    /// Stops what another connection is doing, or closes it; false when there is none with this id.
    pub fn kill(&self, connection_id: u64, query_only: bool) -> bool {
        self.inner.kill(connection_id, query_only)
    }

    /// Runs the writer until [`Engine::stop`]; for a thread of its own.
    pub fn run_writer(&self) {
        let _ended = self.inner.syncs.writer_runs();
        loop {
            match self.step_writer() {
                Step::Did => {}
                Step::Idle(until_us) => self.inner.queue.sleep(self.inner.clock.now_us(), until_us),
                Step::Stopped => return,
            }
        }
    }

    /// No thread runs the writer, and none will: who would wait for it ([`Engine::invite`] and the like) steps it itself,
    /// together with what was committed and not synced. For a simulator that has one thread for everything.
    pub fn drive_by_hand(&self) {
        self.inner.by_hand.store(true, Ordering::Relaxed);
    }

    /// Does one thing at the writer, if there is one to do; never waits.
    pub fn step_writer(&self) -> Step {
        let inner = &self.inner;
        let now_us = inner.clock.now_us();
        inner.calls.executed(|| inner.published.load().frontier().gtid_set());
        let ring_us = inner.calls.ring(now_us);
        match inner.queue.next(now_us) {
            Todo::Wait(until_us) => {
                return Step::Idle(match (until_us, ring_us) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                });
            }
            Todo::Stop => return Step::Stopped,
            Todo::TimedOut(job) => {
                inner.counters.lock_timeouts.fetch_add(1, Ordering::Relaxed);
                job.fail(SqlError::new(
                    1205,
                    "HY000",
                    "Lock wait timeout exceeded; try restarting transaction",
                ));
            }
            Todo::Grant(job, lease) => inner.grant(job, lease),
            Todo::Group(job) => inner.group(job),
            Todo::End(end) => inner.end_lease(end),
            Todo::Expire => {
                inner.counters.conflicts.fetch_add(1, Ordering::Relaxed);
                inner.expire_lease();
            }
        }
        Step::Did
    }

    /// No new work; what waits is still done. [`Engine::run_writer`] returns then.
    pub fn stop(&self) {
        self.inner.queue.stop();
    }

    /// Calls back after each commit that added blocks.
    pub fn on_commit(&self, hook: CommitHook) {
        self.inner.hooks.lock().push(hook);
    }

    /// Counts since the start.
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// The realm.
    pub fn realm(&self) -> RealmId {
        self.inner.realm
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.inner.node
    }

    /// A peer is connected from now on, or is not any more: `p2pdb.members` shows it.
    pub fn set_connected(&self, peer: NodeId, connected: bool) {
        let mut all = self.inner.connected.lock();
        if connected {
            all.insert(peer);
        } else {
            all.remove(&peer);
        }
    }

    /// Says once where the status counters come from that the embedder counts: given a session's id, and whether those of
    /// all sessions are asked for. They go before the engine's own of the same name.
    pub fn status_by(
        &self,
        served: impl Fn(u64, bool) -> Vec<(&'static str, String)> + Send + Sync + 'static,
    ) {
        // Whoever comes later would say the same.
        let _ = self.inner.served.set(Box::new(served));
    }

    /// Says once what keeps the logins and keys of accounts that are made here. Without it CREATE USER refuses passwords.
    pub fn keep_logins(&self, logins: Arc<dyn Logins>) {
        // Whoever comes later would keep the same.
        let _ = self.inner.logins.set(logins);
    }

    /// Says once who is told how many blocks are synced, before anybody else hears of them: by the thread that syncs, which waits
    /// for it.
    pub fn when_synced(&self, told: impl Fn(u64) + Send + Sync + 'static) {
        // Whoever comes later would do the same.
        let _ = self.inner.when_synced.set(Box::new(told));
    }

    /// How many blocks of the log are synced.
    pub fn synced_blocks(&self) -> u64 {
        self.inner.durable.load().blocks
    }

    /// Why the log is ahead of this machine's clock further than other nodes take, if it is. Writes are refused as long.
    pub fn ahead_of_clock(&self) -> Option<String> {
        self.inner.ahead_of_clock()
    }

    /// Whose password a client from this host has to know that gives this user name.
    pub fn login_name(&self, user: &str, host: &str) -> Option<(AccountName, p2pdb_model::AccountId)> {
        let found = self.inner.login(&self.inner.published.load(), user, host)?;
        Some((AccountName { user: found.name, host: found.host }, found.id))
    }

    /// Statements that clients have sent.
    pub fn questions(&self) -> u64 {
        self.inner.tally(None).questions()
    }

    /// Open sessions.
    pub fn sessions(&self) -> usize {
        self.inner.sessions.lock().len()
    }
}

/// What came of [`Engine::step_writer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Did,
    /// Nothing to do until then (microseconds on the engine's clock), or until something new comes.
    Idle(Option<u64>),
    /// The engine was stopped and nothing is left.
    Stopped,
}

impl Inner {
    pub(crate) fn new_core(self: &Arc<Self>, options: &SessionOptions) -> Result<Box<Core>, SqlError> {
        let published = self.published.load();
        let account = self.login(&published, &options.user, &options.host);
        let Some(account) = account else {
            let why = match published.access.role(self.node) {
                None => {
                    "this node is not a member of the realm yet: a member has to be reachable and answer its ticket"
                }
                Some(_) => "this node may not act for that account",
            };
            let message = format!("Access denied for user '{}'@'{}' ({why})", options.user, options.host);
            return Err(SqlError::new(1045, "28000", message));
        };
        let name = format!("{}@{}", account.name, account.host);
        let globals = self.globals.clone();
        let mut state =
            SessionState::new(globals, options.connection_id, &options.user, &options.host, &name);
        let now = p2pdb_model::Stamp::from_millis(self.clock.now_ms());
        state.sealer = Some(Arc::new(Committed(self.keyring.clone())));
        state.roles = roles::begin(&published.access, account.id, now);
        if let Some(db) = &options.database {
            state.use_database(&published.catalog, db)?;
        }
        let counted = Counted::new(&self.ended);
        let mut handle =
            Handle::new(options.connection_id, account.id, (&options.user, &options.host), counted);
        handle.attributes.clone_from(&options.attributes);
        let handle = Arc::new(handle);
        handle.since_us.store(self.clock.now_us(), Ordering::Relaxed);
        handle.doing.lock().1 = state.database.clone();
        self.sessions.lock().insert(options.connection_id, handle.clone());
        Ok(Box::new(Core {
            state,
            account: account.id,
            handle,
            temporary: Temporary::default(),
            powers: Default::default(),
            programs: Default::default(),
            inner: self.clone(),
            inside: 0,
            deadline_us: 0,
            running: Vec::new(),
            reads: None,
            blind: None,
            copies: None,
            budget: Default::default(),
            busy: Vec::new(),
            row: Vec::new(),
            touched: Default::default(),
        }))
    }

    /// The account that a client from this host means by a user name: of several the one with the most exact host.
    fn login(&self, published: &Published, user: &str, host: &str) -> Option<p2pdb_access::AccountView> {
        let accounts = published.access.accounts().into_iter();
        let named = accounts.filter(|a| !a.is_role && a.name == user && host_matches(&a.host, host));
        named.filter(|a| self.may_act(published, a.id)).max_by_key(|a| host_rank(&a.host))
    }

    /// Readers serve logins too, though they write nothing: a delegation is not asked of them.
    pub(crate) fn may_act(&self, published: &Published, account: p2pdb_model::AccountId) -> bool {
        let now = p2pdb_model::Stamp::from_millis(self.clock.now_ms());
        let writes = published.access.role(self.node).is_some_and(|r| r.writes());
        !writes || published.access.may_act(self.node, account, now)
    }

    pub(crate) fn compile(
        &self,
        text: Arc<str>,
        state: &SessionState,
        catalog: &Catalog,
        kinds: Option<&[LiteralKind]>,
    ) -> Result<Statement, SqlError> {
        let front = &self.fronts[state.connection_id as usize % FRONTS];
        let compiled = front.lock().compile_with(&text, state, catalog, kinds)?;
        Ok(Statement::new(text, compiled, catalog.epoch))
    }

    pub(crate) fn reader(&self) -> Result<PooledReader, EngineError> {
        Ok(self.readers.get()?)
    }

    pub(crate) fn lock_deadline_us(&self, state: &SessionState) -> u64 {
        let own = state.system_variable("innodb_lock_wait_timeout", false).ok().and_then(|v| v.as_u64());
        let own = own.map(|s| s.saturating_mul(1_000_000));
        self.clock.now_us().saturating_add(own.unwrap_or(self.lock_wait_us))
    }

    /// The queue is full, or the engine stops.
    pub(crate) fn no_room(&self) -> SqlError {
        SqlError::new(1053, "08S01", "Server shutdown in progress, or too many statements wait to write")
    }

    fn cost_of(&self, plan: &Arc<Plan>) -> &AtomicU64 {
        &self.costs[(Arc::as_ptr(plan) as usize >> 6) % COSTS]
    }

    pub(crate) fn note_cost(&self, plan: &Arc<Plan>, steps: u64) {
        self.cost_of(plan).store(steps + 1, Ordering::Relaxed);
    }

    /// It ran for long last time, or never ran.
    pub(crate) fn was_long(&self, plan: &Arc<Plan>) -> bool {
        let steps = self.cost_of(plan).load(Ordering::Relaxed);
        steps == 0 || steps > LONG_STEPS
    }

    pub(crate) fn random(&self) -> [u8; 16] {
        let mut pool = self.random.lock();
        if pool.1 + 16 > pool.0.len() {
            self.entropy.fill(&mut pool.0);
            pool.1 = 0;
        }
        let at = pool.1;
        let mut out = [0; 16];
        out.copy_from_slice(&pool.0[at..at + 16]);
        pool.1 += 16;
        out
    }

    pub(crate) fn kill(&self, id: u64, query_only: bool) -> bool {
        let handle = self.sessions.lock().get(&id).cloned();
        handle.is_some_and(|h| {
            h.kill(query_only);
            self.interrupt_wait(id);
            true
        })
    }

    /// Whose session this is.
    pub(crate) fn account_of(&self, id: u64) -> Option<AccountId> {
        self.sessions.lock().get(&id).map(|h| h.account)
    }

    /// The account has this privilege on everything, by itself or by its roles in force.
    pub(crate) fn holds(&self, account: AccountId, state: &SessionState, privilege: Privileges) -> bool {
        let roles: Vec<AccountId> = state.roles.iter().map(|(id, _)| *id).collect();
        let now = p2pdb_model::Stamp::from_millis(self.clock.now_ms());
        let asker = Asker { account, roles: &roles, now };
        self.published.load().access.allows(&asker, None, privilege, Columns::No)
    }

    /// Ends what a session waits for, if it waits, with 1317.
    pub(crate) fn interrupt_wait(&self, id: u64) {
        self.calls.interrupt(id);
        if let Some(job) = self.queue.withdraw(id) {
            job.fail(interrupted());
        }
    }

    pub(crate) fn forget(&self, id: u64) {
        self.sessions.lock().remove(&id);
    }

    /// What a session has run, or all of them together.
    pub(crate) fn tally(&self, session: Option<u64>) -> Tally {
        let handles = self.handles();
        match session {
            Some(id) => Tally::sum(handles.iter().filter(|h| h.id == id).map(|h| &*h.counted)),
            None => Tally::sum(handles.iter().map(|h| &*h.counted).chain([&*self.ended])),
        }
    }

    pub(crate) fn handles(&self) -> Vec<Arc<Handle>> {
        let mut all: Vec<_> = self.sessions.lock().values().cloned().collect();
        all.sort_by_key(|h| h.id);
        all
    }

    pub(crate) fn is_connected(&self, node: &NodeId) -> bool {
        self.connected.lock().contains(node)
    }
}

/// 1317: a KILL ended the statement.
pub(crate) fn interrupted() -> SqlError {
    SqlError::new(1317, "70100", "Query execution was interrupted")
}
