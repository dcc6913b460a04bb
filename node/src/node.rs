//! Making a node, and running one.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use ed25519_dalek::SigningKey;
use p2pdb_access::admission_signature;
use p2pdb_block::node_id;
use p2pdb_block::sign::public_key;
use p2pdb_engine::{Engine, EngineConfig, NewRealm, create_joiner, create_realm};
use p2pdb_model::ids::{PublicKey, hex, unhex};
use p2pdb_model::{NodeId, Value};
use p2pdb_sync::AdmissionRequest;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::admin::RunInfo;
use crate::app::{App, BLOCKED_FILE, Damaged, NOT_THE_KEY, REMOVED, is_removed};
use crate::client_file::ClientFile;
use crate::clock::{SystemClock, SystemEntropy};
use crate::config::{Config, TlsMode};
use crate::datadir::{DataDir, DataDirError, JOINING_KEY, NODE_KEY, RESTORING};
use crate::door::{Door, Logins, tls};
use crate::hard_stop::{Doubt, SYNCED, Synced};
use crate::net::{self, NetConfig, NetError};
use crate::network_key;
use crate::password;
use crate::ports::{self, bind};
use crate::replicate::{self, Bearer, Join, Parts, Replication, Shared};
use crate::ticket::Ticket;
use crate::unserved::Stall;

/// Looks at what the configuration names, before anything is made that would stay where it cannot be used.
///
/// # Errors
/// When it cannot be read.
pub fn can_begin(config: &Config) -> anyhow::Result<()> {
    let network_key = config.network_key.as_deref().map(network_key::read).transpose()?;
    network_key::usable(&config.peer_listen, network_key.is_some()).map(drop)
}

/// The first account of a realm.
pub const ROOT: &str = "root";
/// The ticket of a node that is not a member yet.
pub const TICKET_FILE: &str = "ticket";
/// What is left of the ticket by which a node was admitted.
pub const ADMISSION_FILE: &str = "admission.json";
const TOKEN_FILE: &str = "admin.token";
const TOKEN_BYTES: usize = 32;
/// Where a running node can be reached.
pub const RUN_FILE: &str = "run.json";
const PEERS_FILE: &str = "peers.json";
/// Least time between two writes of that file.
const PEERS_PAUSE: Duration = Duration::from_secs(1);
/// Between two attempts when it cannot be written.
const PEERS_RETRY: Duration = Duration::from_secs(60);
/// Makes a realm of its own in this directory, with a `root` account.
///
/// # Errors
/// When there is a node already or something cannot be written.
pub fn init(dir: &DataDir, config: &Config) -> anyhow::Result<()> {
    if dir.is_initialised() {
        bail!(DataDirError::Occupied(dir.root().to_owned()));
    }
    remove_unfinished(dir)?;
    let node_key = key_of_making(dir)?;
    let account_key = SigningKey::from_bytes(&rand::random());
    let realm = create_realm(NewRealm {
        name: &config.realm_name,
        node_name: &config.node_name,
        directory: dir.root(),
        node_key: &node_key,
        account_key: &account_key,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    })
    .with_context(|| format!("cannot make a realm in {}", dir.root().display()))?;
    dir.write_account_key(ROOT, &account_key)?;
    write_login(dir, config)?;
    // Last: with it the directory counts as a node's.
    dir.write_node_key(&node_key)?;
    dir.remove(JOINING_KEY);
    info!(%realm, node = %node_id(&node_key), "made a realm");
    Ok(())
}

/// Makes a node that will join the ticket's realm.
///
/// # Errors
/// When there is a node already or something cannot be written.
pub fn init_joiner(dir: &DataDir, config: &Config, ticket: &Ticket) -> anyhow::Result<()> {
    if dir.is_initialised() {
        bail!(DataDirError::Occupied(dir.root().to_owned()));
    }
    remove_unfinished(dir)?;
    let node_key = key_of_making(dir)?;
    create_joiner(dir.root(), ticket.realm)
        .with_context(|| format!("cannot make a store in {}", dir.root().display()))?;
    dir.write_secret(TICKET_FILE, ticket.encode().as_bytes())?;
    write_login(dir, config)?;
    dir.write_node_key(&node_key)?;
    dir.remove(JOINING_KEY);
    Ok(())
}

/// The node that will join from this directory: its key is made, and kept until it does.
///
/// # Errors
/// When there is a node already that has joined, or the key cannot be written.
pub fn joiner(dir: &DataDir, config: &Config) -> anyhow::Result<NodeId> {
    if dir.is_initialised() {
        must_not_have_joined(dir, config)?;
        return Ok(node_id(&dir.read_node_key()?));
    }
    dir.must_not_be_half_restored()?;
    Ok(node_id(&key_of_making(dir)?))
}

/// The key of the node that is made here. Until it is whole its key lies in `joining.key`: with that file a directory is one
/// whose making broke off, or that waits for a ticket.
fn key_of_making(dir: &DataDir) -> anyhow::Result<SigningKey> {
    if let Some(key) = dir.read_joining_key()? {
        return Ok(key);
    }
    let key = SigningKey::from_bytes(&rand::random());
    dir.write_joining_key(&key)?;
    Ok(key)
}

/// The node here has asked with a ticket, and nothing of a realm has come to it.
fn must_not_have_joined(dir: &DataDir, config: &Config) -> anyhow::Result<()> {
    let asked = dir.read_text(TICKET_FILE)?.is_some();
    let holds = || open_engine(dir, config, None).map(|engine| engine.status().blocks > 0);
    if !asked || (dir.path(p2pdb_engine::realm::FILE).exists() && holds()?) {
        bail!(DataDirError::Occupied(dir.root().to_owned()));
    }
    Ok(())
}

/// After a join that was refused, or never answered: nothing is left but the node's key, which a ticket may name.
///
/// # Errors
/// When the node has joined, or a file cannot be written.
pub fn back_to_key(dir: &DataDir, config: &Config) -> anyhow::Result<()> {
    must_not_have_joined(dir, config)?;
    dir.write_joining_key(&dir.read_node_key()?)?;
    // From here on it is a directory whose making broke off.
    for name in [NODE_KEY, TICKET_FILE, ADMISSION_FILE, PEERS_FILE] {
        dir.remove(name);
    }
    Ok(())
}

/// Takes away the store of a directory without a node key whose making broke off: one beside the key of its making, or that holds
/// no block. Another may be that of a node whose key was lost.
fn remove_unfinished(dir: &DataDir) -> anyhow::Result<()> {
    dir.must_not_be_half_restored()?;
    let part = p2pdb_engine::realm::part_of_store(dir.root());
    if let Some(part) = part.filter(|_| p2pdb_engine::realm::may_hold_blocks(dir.root()))
        && dir.read_joining_key()?.is_none()
    {
        bail!(
            "{} exists, but there is no node.key: it was lost\n  hint: put node.key back from a backup, or move the directory away to begin anew",
            part.display()
        );
    }
    p2pdb_store::remove_store(&p2pdb_engine::realm::file(dir.root()))?;
    dir.forget_run();
    Ok(())
}

fn write_login(dir: &DataDir, config: &Config) -> anyhow::Result<()> {
    password::make(dir, config.mysql_listen)?;
    dir.write_secret("node.name", config.node_name.as_bytes())?;
    Ok(())
}

/// The name given when the directory was made.
pub fn node_name(dir: &DataDir, config: &Config) -> anyhow::Result<String> {
    Ok(dir.read_text("node.name")?.unwrap_or_else(|| config.node_name.clone()))
}

/// Opens the engine of a directory; its writer does not run yet. `port`: where MySQL clients are served, if they are.
///
/// # Errors
/// When there is no node, or its store cannot be opened.
pub fn open_engine(dir: &DataDir, config: &Config, port: Option<u16>) -> anyhow::Result<Engine> {
    opened(dir, engine_config(dir, config, port)?, Engine::open)
}

/// [`open_engine`] where nothing can be written.
///
/// # Errors
/// As there.
pub fn open_engine_reading(dir: &DataDir, config: &Config) -> anyhow::Result<Engine> {
    opened(dir, engine_config(dir, config, None)?, Engine::open_reading)
}

fn opened(
    dir: &DataDir,
    (config, doubt): (EngineConfig, Option<Doubt>),
    open: impl FnOnce(EngineConfig) -> Result<Engine, p2pdb_engine::EngineError>,
) -> anyhow::Result<Engine> {
    let engine =
        open(config).with_context(|| format!("cannot open the store in {}", dir.root().display()))?;
    dir.settle(doubt, engine.synced_blocks());
    Ok(engine)
}

fn engine_config(
    dir: &DataDir,
    config: &Config,
    port: Option<u16>,
) -> anyhow::Result<(EngineConfig, Option<Doubt>)> {
    dir.must_be_initialised()?;
    let node_key = dir.read_node_key()?;
    // A making that broke off at its very end: from here on the store is not to be taken for a beginning.
    dir.remove(JOINING_KEY);
    let doubt = dir.look_at_log();
    let account_keys = dir.read_account_key(ROOT)?.into_iter().collect();
    let config = EngineConfig {
        rules: p2pdb_model::RULES,
        directory: dir.root().to_owned(),
        variables: variables(dir, config, &node_id(&node_key), port),
        node_key,
        account_keys,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        idle_transaction_ms: config.idle_transaction_timeout.as_millis() as u64,
        lock_wait_ms: config.lock_wait_timeout.as_millis() as u64,
        disk: None,
    };
    Ok((config, doubt))
}

/// This node is the realm's first member.
fn made_realm(engine: &Engine) -> bool {
    engine.members().first().is_some_and(|m| m.node == engine.node())
}

/// Settings that clients see as system variables.
fn variables(dir: &DataDir, config: &Config, node: &NodeId, port: Option<u16>) -> Vec<(&'static str, Value)> {
    // MySQL counts these in whole seconds.
    let seconds = |t: std::time::Duration| Value::from_u64(t.as_secs().max(1));
    let wait = seconds(config.wait_timeout);
    let text = |t: String| Value::Text(t);
    let tls = if config.mysql_tls == TlsMode::Off { "DISABLED" } else { "YES" };
    let root = std::path::absolute(dir.root()).unwrap_or_else(|_| dir.root().to_owned());
    vec![
        ("port", Value::from_u64(port.unwrap_or_else(|| config.mysql_listen.port()).into())),
        ("bind_address", text(config.mysql_listen.ip().to_string())),
        ("hostname", text(rustix::system::uname().nodename().to_string_lossy().into_owned())),
        ("server_uuid", text(server_uuid(node))),
        ("datadir", text(format!("{}/", root.display()))),
        ("have_ssl", text(tls.to_owned())),
        ("have_openssl", text(tls.to_owned())),
        ("require_secure_transport", Value::Int((config.mysql_tls == TlsMode::Required).into())),
        ("wait_timeout", wait.clone()),
        ("interactive_timeout", wait),
        ("connect_timeout", seconds(config.connect_timeout)),
        ("net_write_timeout", seconds(config.write_timeout)),
        ("max_prepared_stmt_count", Value::from_u64(config.max_prepared_statements as u64)),
        ("max_connections", Value::from_u64(config.max_connections as u64)),
        ("max_allowed_packet", Value::from_u64(config.max_allowed_packet_bytes as u64)),
    ]
}

/// The node's key as a UUID of version 8 (RFC 9562): the same as long as the node has its key.
fn server_uuid(node: &NodeId) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&node.0[..16]);
    bytes[6] = 0x80 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    let h = p2pdb_model::ids::hex(&bytes);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}

/// The engine's writer on its thread.
pub struct WriterThread {
    engine: Engine,
    thread: Option<std::thread::JoinHandle<()>>,
    runs: Arc<AtomicBool>,
}

impl WriterThread {
    /// Starts it.
    ///
    /// # Errors
    /// When no thread can be made.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let runs = Arc::new(AtomicBool::new(true));
        let (e, flag) = (engine.clone(), runs.clone());
        let thread = std::thread::Builder::new().name("p2pdb-writer".into()).spawn(move || {
            let end = EndFlag(flag);
            // A commit waits for its sync on a thread of its own, if it can be had.
            std::thread::scope(|s| {
                let syncer = std::thread::Builder::new().name("p2pdb-sync-log".into());
                if let Err(why) = syncer.spawn_scoped(s, || e.run_syncer()) {
                    warn!("no thread for syncing, writes will be slower: {why}");
                }
                e.run_writer();
            });
            drop(end);
        })?;
        Ok(Self { engine: engine.clone(), thread: Some(thread), runs })
    }

    /// True until it ends, also by a panic.
    pub fn runs(&self) -> Arc<AtomicBool> {
        self.runs.clone()
    }

    /// Lets what waits be done, ends it, and notes the clean stop.
    pub fn stop(mut self) {
        self.engine.stop();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        if let Some(Err(_)) = ended {
            error!("the writer thread has panicked; please report this with the log");
            return;
        }
        if let Err(e) = self.engine.close() {
            error!("cannot note the clean stop: {e}");
        }
    }
}

struct EndFlag(Arc<AtomicBool>);

impl Drop for EndFlag {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// How long the writer may take after statements were given up; then it is cut off in what it does.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// How a run may end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// By a signal.
    Stopped,
    /// Once it has joined and caught up.
    Joined,
}

/// Runs the node in this directory until SIGTERM or SIGINT. `lock` is held by the caller.
///
/// # Errors
/// When something that is needed cannot be had: a port, the store, the network.
pub fn run(dir: &DataDir, config: &Config, until: Until) -> anyhow::Result<()> {
    // There is a node: where it came by a restore, that has come to its end.
    dir.remove(RESTORING);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if config.worker_threads > 0 {
        builder.worker_threads(config.worker_threads);
    }
    // A client that does not read its result blocks a thread for a while; never more than there are clients.
    builder.max_blocking_threads(config.max_connections + 64);
    let runtime = builder.enable_all().thread_name("p2pdb").build().context("cannot start the runtime")?;
    let result = runtime.block_on(run_async(dir, config, until));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Files that a session may have open at once: its socket, a connection to the store and that one's write-ahead log.
const FILES_PER_SESSION: u64 = 3;
/// Files that everything else may have open: the store, its log, peers, HTTP.
const FILES_BESIDE: u64 = 300;

/// Asks for as many open files as the sessions may take; says how many sessions the files that it got are enough for.
fn sessions_possible(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let need = (wanted as u64).saturating_mul(FILES_PER_SESSION).saturating_add(FILES_BESIDE);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|have| have >= need) {
        return wanted;
    }
    let raised = limit.maximum.map_or(need, |most| most.min(need)).max(limit.current.unwrap_or(0));
    let got = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }) {
        Ok(()) => raised,
        Err(_) => limit.current.unwrap_or(0),
    };
    wanted.min((got.saturating_sub(FILES_BESIDE) / FILES_PER_SESSION) as usize).max(1)
}

async fn run_async(dir: &DataDir, config: &Config, until: Until) -> anyhow::Result<()> {
    let possible = sessions_possible(config.max_connections);
    let limited = Config { max_connections: possible, ..config.clone() };
    if possible < config.max_connections {
        warn!(
            "this process may open so few files that it serves at most {possible} clients at once instead of {}; raise the limit (ulimit -n)",
            config.max_connections
        );
    }
    let config = &limited;
    let mysql = bind(config.mysql_listen, "MySQL clients", "mysql-listen").await?;
    let mysql_address = mysql.local_addr()?;
    let http = match config.http_listen {
        Some(address) => Some(bind(address, "HTTP", "http-listen").await?),
        None => None,
    };
    let http_address = http.as_ref().map(TcpListener::local_addr).transpose()?;
    let name = node_name(dir, config)?;
    let acceptor = match config.mysql_tls {
        TlsMode::Off => None,
        TlsMode::On | TlsMode::Required => Some(tls::acceptor(dir, &name)?),
    };
    let logins = Arc::new(Logins::load(dir)?);
    let engine = open_engine(dir, config, Some(mysql_address.port()))?;
    engine.keep_logins(logins.clone());
    match Synced::begin(dir, engine.synced_blocks()) {
        Ok(synced) => engine.when_synced(move |blocks| synced.note(blocks)),
        Err(e) => warn!("cannot write {}: {e}", dir.path(SYNCED).display()),
    }
    for damage in dir.warnings() {
        tracing::error!("{damage}");
    }
    let first_key_holds = || engine.account(ROOT, "%").is_some_and(|root| root.key.is_some());
    if dir.read_account_key(ROOT)?.is_none() && made_realm(&engine) && first_key_holds() {
        warn!(
            "accounts.json, which this node had when it made the realm, is not in its directory: no node can be invited by it to write for root; put it back from a backup"
        );
    }
    let writer = WriterThread::start(&engine).context("cannot start the writer thread")?;

    let shared = Arc::new(Shared::default());
    let mut bearer = bearer(dir, &engine, &name)?;
    if is_removed(&engine) {
        bearer.0 = None;
    }
    let mut bootstrap = config.bootstrap.clone();
    bootstrap.extend(bearer.1);
    // Only remembered for convenience: without them peers are found as at a first start.
    let known: Vec<String> = dir
        .read_json(PEERS_FILE)
        .unwrap_or_else(|e| {
            warn!("starting without the addresses of peers met before: {e}");
            None
        })
        .unwrap_or_default();
    let known: Vec<net::Multiaddr> = known.iter().filter_map(|a| a.parse().ok()).collect();
    shared.remember(&known);
    bootstrap.extend(known);
    bootstrap.dedup();
    if engine.role().is_none() {
        // A ticket that was used may still lie there.
        if is_removed(&engine) {
            warn!("{REMOVED}");
        } else if bearer.0.is_none() {
            warn!("{NOT_THE_KEY}");
        }
    }
    let network_key = config.network_key.as_deref().map(network_key::read).transpose()?;
    let listen = network_key::usable(&config.peer_listen, network_key.is_some())?;
    for address in config.peer_listen.iter().filter(|a| !listen.contains(a)) {
        warn!(%address, "not listened on: a private network has TCP only");
    }
    let net_config = NetConfig {
        node_key: dir.read_node_key()?.to_bytes(),
        listen,
        bootstrap,
        realm: engine.realm().to_string(),
        mdns: config.mdns,
        private_addresses: config.private_addresses,
        network_key,
    };
    let (net, events) = match net::start(net_config, replicate::gate(engine.clone(), shared.clone())) {
        Err(e @ NetError::Taken(_)) => Err(e).with_context(|| ports::peer_hint(&config.peer_listen))?,
        started => started?,
    };
    let blocked = if config.testnet { blocked(dir)? } else { Vec::new() };
    if !blocked.is_empty() {
        net.set_blocked(blocked.clone()).await?;
    }
    let (join_tx, join) = tokio::sync::watch::channel(match bearer.0 {
        Some(_) if engine.role().is_none() => Join::Asking,
        _ => Join::NoTicket,
    });
    let replication = Replication::start(Parts {
        engine: engine.clone(),
        net: net.clone(),
        events,
        bearer: bearer.0,
        clock_skew_max: config.clock_skew_max,
        shared: shared.clone(),
        join: join_tx,
    })
    .context("cannot start the sync thread")?;

    let remembering = tokio::spawn(keep_peers(dir.clone(), shared.clone()));
    let door = Door::new(config, engine.clone(), logins.clone(), acceptor);
    let app = Arc::new(App {
        engine: engine.clone(),
        door: door.clone(),
        logins,
        net: net.clone(),
        replication: shared.clone(),
        link: replication.link(),
        join: join.clone(),
        dir: dir.clone(),
        name: name.clone(),
        admin_token: admin_token(dir)?,
        testnet: config.testnet,
        mysql: mysql_address,
        http: http_address.map(|a| a.to_string()),
        writer_runs: writer.runs(),
        stopping: AtomicBool::new(false),
        blocked: RwLock::new(blocked),
        started: Instant::now(),
        damaged: Damaged::default(),
        found: parking_lot::Mutex::default(),
    });
    let accepting = tokio::spawn(door.clone().serve(mysql));
    let unusable = match ClientFile::read(dir) {
        Ok(Some(mut file)) if !file.password.is_empty() => {
            file.set_address(mysql_address);
            file.write(dir)?;
            None
        }
        // Written again it would be damaged for good.
        Ok(Some(_)) => Some("is damaged: there is no password in it"),
        Ok(None) => Some("is missing"),
        Err(DataDirError::Damaged { .. }) => Some("is damaged"),
        Err(e) => return Err(e.into()),
    };
    if let Some(why) = unusable {
        warn!(
            "{} {why}; put it back from a backup, or set a new password with `p2pdb-node password` (clients that know the password are served)",
            dir.client_cnf_path().display()
        );
    }
    let known_password = unusable.is_none();
    let run_info = RunInfo {
        pid: std::process::id(),
        mysql: mysql_address.to_string(),
        http: http_address.map(|a| a.to_string()),
        boot: crate::admin::boot(),
    };
    // Before the file by which others find that the node runs.
    greet(dir, &app);
    // A password that nobody will need, since the join is refused, is not shown.
    let joins = app.engine.role().is_none() && *join.borrow() != Join::NoTicket;
    if !joins {
        greet_account(dir, &app.engine, known_password);
    }
    let unshown = joins.then_some(known_password);
    // Whoever reads that it runs may stop it.
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    dir.write_json(RUN_FILE, &run_info)?;
    // Who hears by it that the node is ready finds it.
    let (http_stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let http_task = http.map(|listener| {
        let app = app.clone();
        tokio::spawn(async move {
            let stop = async move {
                let _ = stopped.await;
            };
            if let Err(e) = crate::http::serve(app, listener, stop).await {
                error!("the HTTP interface has failed: {e}");
            }
        })
    });

    let result = wait_for_end(until, signals, &app, dir, unshown).await;

    app.stopping.store(true, Ordering::Release);
    info!("stopping");
    let deadline = tokio::time::Instant::now() + config.shutdown_timeout + STOP_GRACE;
    door.close(mysql_address, config.shutdown_timeout).await;
    accepting.abort();
    let _ = http_stop.send(());
    if let Some(task) = http_task {
        let _ = tokio::time::timeout(Duration::from_secs(1), task).await;
    }
    remembering.abort();
    if let Err(e) = remember_peers(dir, &shared) {
        warn!("{e}");
    }
    let rest = async {
        net.shutdown().await;
        replication.stop().await;
        tokio::task::spawn_blocking(move || writer.stop()).await.context("stopping failed")
    };
    match tokio::time::timeout_at(deadline, rest).await {
        Ok(stopped) => {
            stopped?;
            dir.forget_run();
        }
        // As after a crash: what was acknowledged is durable, and the log is whole. The next start looks whether it still is.
        Err(_) => warn!(
            "a long merge is cut off; nothing that was acknowledged is lost, and it is done at the next start"
        ),
    }
    info!("stopped");
    result
}

/// What the node shows to be admitted, and the addresses of those who may do it. The ticket's signature over this node outlives the
/// ticket: a member shows it again where its admission was forgotten, by a node that was restored from an older backup.
fn bearer(
    dir: &DataDir,
    engine: &Engine,
    name: &str,
) -> anyhow::Result<(Option<Bearer>, Vec<net::Multiaddr>)> {
    let (node, realm) = (engine.node(), engine.realm());
    let (admission, addresses) = match dir.read_text(TICKET_FILE)? {
        Some(text) => {
            let ticket = Ticket::decode(&text).context("the ticket in the data directory is damaged")?;
            let signature = admission_signature(&ticket.key, &realm, &node);
            let admission =
                Admission { ticket: public_key(&ticket.key).to_hex(), signature: hex(&signature) };
            dir.write_json(ADMISSION_FILE, &admission)?;
            if engine.role().is_some() {
                dir.remove(TICKET_FILE);
            }
            (admission, ticket.addresses)
        }
        None => match dir.read_json(ADMISSION_FILE) {
            Ok(Some(admission)) => (admission, Vec::new()),
            Ok(None) => return Ok((None, Vec::new())),
            Err(e @ DataDirError::Damaged { .. }) if engine.role().is_some() => {
                warn!("{e}; this node, which is a member, needs it only where its admission is forgotten");
                return Ok((None, Vec::new()));
            }
            Err(e) => return Err(e.into()),
        },
    };
    let damaged = || anyhow!("{ADMISSION_FILE} is damaged; remove it if this node is a member already");
    let ticket = PublicKey::from_hex(&admission.ticket).ok_or_else(damaged)?;
    let signature = unhex(&admission.signature).ok_or_else(damaged)?;
    let signature = serde_bytes::ByteBuf::from(signature);
    let request = AdmissionRequest { node, realm: realm.0, ticket, signature, name: name.to_owned() };
    Ok((Some(Bearer { request }), addresses))
}

/// What is kept of a ticket: who holds it can admit this node and no other.
#[derive(serde::Serialize, serde::Deserialize)]
struct Admission {
    /// The ticket's public key, in hexadecimal.
    ticket: String,
    /// Its signature over this node, in hexadecimal.
    signature: String,
}

fn blocked(dir: &DataDir) -> anyhow::Result<Vec<NodeId>> {
    let names: Vec<String> = dir.read_json(BLOCKED_FILE)?.unwrap_or_default();
    Ok(names.iter().filter_map(|n| NodeId::from_hex(n)).collect())
}

fn admin_token(dir: &DataDir) -> anyhow::Result<String> {
    if let Some(token) = own_admin_token(dir)? {
        return Ok(token);
    }
    let token = p2pdb_model::ids::hex(&rand::random::<[u8; TOKEN_BYTES]>());
    dir.write_secret(TOKEN_FILE, token.as_bytes())?;
    Ok(token)
}

/// The token that the node goes on with, if there is one.
///
/// # Errors
/// When it cannot be read, or is damaged.
pub(crate) fn own_admin_token(dir: &DataDir) -> anyhow::Result<Option<String>> {
    let Some(token) = read_admin_token(dir)? else { return Ok(None) };
    // An empty one would open the door to everybody on this machine.
    let whole = token.len() == 2 * TOKEN_BYTES && token.bytes().all(|b| b.is_ascii_hexdigit());
    anyhow::ensure!(
        whole,
        "{} is damaged: {} hexadecimal digits are expected; remove it, and the node makes another",
        dir.path(TOKEN_FILE).display(),
        2 * TOKEN_BYTES
    );
    Ok(Some(token))
}

/// The token of a running node's admin interface.
///
/// # Errors
/// When it cannot be read.
pub fn read_admin_token(dir: &DataDir) -> Result<Option<String>, DataDirError> {
    Ok(dir.read_text(TOKEN_FILE)?.map(|t| t.trim().to_owned()))
}

/// Writes down where members are as soon as that changes: a node that is stopped hard must find them again.
async fn keep_peers(dir: DataDir, shared: Arc<Shared>) {
    loop {
        shared.remembers().await;
        loop {
            let (dir, shared) = (dir.clone(), shared.clone());
            match tokio::task::spawn_blocking(move || remember_peers(&dir, &shared)).await {
                Ok(Ok(())) => break,
                Ok(Err(e)) => warn!("the addresses of peers are not kept for the next start: {e}"),
                // The runtime is going.
                Err(_) => return,
            }
            tokio::time::sleep(PEERS_RETRY).await;
        }
        tokio::time::sleep(PEERS_PAUSE).await;
    }
}

fn remember_peers(dir: &DataDir, shared: &Shared) -> Result<(), DataDirError> {
    let addresses = shared.remembered();
    if addresses.is_empty() { Ok(()) } else { dir.write_json(PEERS_FILE, &addresses) }
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// What it is and where.
fn greet(dir: &DataDir, app: &App) {
    let mut text = format!(
        "p2pdb-node {} · node {} · realm {}\n",
        env!("CARGO_PKG_VERSION"),
        app.name,
        app.engine.realm()
    );
    text += &format!("  data     {}\n", absolute(dir.root()));
    text += &format!("  MySQL    {}\n", app.mysql);
    if let Some(http) = &app.http {
        text += &format!("  HTTP     http://{http}/metrics\n");
    }
    print_greeting(&text);
}

/// How to log in.
fn greet_account(dir: &DataDir, engine: &Engine, known_password: bool) {
    let quoted = |text: String| if text.contains(' ') { format!("'{text}'") } else { text };
    let client = quoted(absolute(&dir.client_cnf_path()));
    let mut text = String::new();
    let served: Vec<String> = engine.served_accounts().iter().map(crate::ops::login_of).collect();
    if !served.iter().any(|name| name == ROOT) {
        let known = Logins::open(dir).map(|l| l.users()).unwrap_or_default();
        text += &match served.first() {
            Some(name) => {
                let names = served.join(", ");
                let login = match served.iter().any(|name| known.contains(name)) {
                    true => String::new(),
                    false => {
                        let root = quoted(absolute(dir.root()));
                        format!("; to log in:  p2pdb-node password {name} --data-dir {root}")
                    }
                };
                format!("  account  this node writes for {names}, not for {ROOT}{login}\n")
            }
            None => format!(
                "  account  this node writes for nobody yet; who has an account's key lets it:  p2pdb-node key delegate ACCOUNT FILE --to {}\n",
                engine.node()
            ),
        };
        return print_greeting(&text);
    }
    if let Some(password) = password::unseen(dir) {
        text += &format!("  account  root, password {password}  (shown this once; kept in client.cnf)\n");
    }
    if known_password {
        text += &format!("  connect  mariadb --defaults-file={client}\n");
    } else {
        let root = quoted(absolute(dir.root()));
        text += &format!(
            "  account  there is no password in {client}; set a new one:  p2pdb-node password --data-dir {root}\n"
        );
    }
    print_greeting(&text);
}

fn print_greeting(text: &str) {
    // A greeting that nobody can take (a full disk behind it) is no reason not to serve.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A signal came.
fn stopped(until: Until, app: &App) -> anyhow::Result<()> {
    if until == Until::Stopped {
        return Ok(());
    }
    let why = match (&*app.join.borrow(), app.engine.role()) {
        (Join::Refused(why), _) => format!("not admitted: {why}"),
        (_, Some(_)) | (Join::Admitted, _) => "it was admitted, and has not caught up".to_owned(),
        _ => "no member has answered the ticket".to_owned(),
    };
    bail!("stopped before it had joined: {why}\n  hint: the same command again goes on");
}

/// Waits for a signal, the join's end, or the writer's. `unshown`: how to log in was not said yet, and whether the password is known.
async fn wait_for_end(
    until: Until,
    (mut terminate, mut interrupt): (Signal, Signal),
    app: &Arc<App>,
    dir: &DataDir,
    unshown: Option<bool>,
) -> anyhow::Result<()> {
    let mut join = app.join.clone();
    let mut look = tokio::time::interval(Duration::from_millis(100));
    let mut was_member = app.engine.role().is_some() && unshown.is_none();
    let mut progress = crate::progress::Progress::new();
    let mut stall = Stall::new(Instant::now());
    loop {
        tokio::select! {
            _ = terminate.recv() => return stopped(until, app),
            _ = interrupt.recv() => return stopped(until, app),
            Ok(()) = join.changed() => {
                let join = join.borrow().clone();
                if let (Until::Joined, Join::Refused(why)) = (until, join) {
                    bail!("not admitted: {why}\n  hint: ask for a fresh ticket (`p2pdb-node invite`) and join with it here; the node's key stays the same");
                }
            }
            _ = look.tick() => {
                if !app.writer_runs() {
                    bail!("the writer thread has ended unexpectedly; see the log, then restart the node");
                }
                let member = app.engine.role().is_some();
                if was_member && until == Until::Stopped {
                    continue;
                }
                let link = app.link.clone();
                let peers = tokio::task::spawn_blocking(move || link.peers()).await.unwrap_or_default();
                let behind: u64 = peers.iter().filter_map(|p| p.fetching).sum();
                if !was_member && matches!(*app.join.borrow(), Join::Asking | Join::NoTicket) {
                    let reached = peers.iter().filter(|p| p.greeted).count() as u64;
                    progress.show("asking to be admitted: peers that answer", reached, 0);
                } else if !was_member || behind > 0 {
                    let held = app.engine.status().blocks;
                    progress.show("catching up: blocks", held, held + behind);
                }
                if member && behind == 0 && !was_member {
                    was_member = true;
                    dir.remove(TICKET_FILE);
                    progress.finish();
                    info!(blocks = app.engine.status().blocks, "joined the realm and caught up");
                    if let Some(known_password) = unshown {
                        greet_account(dir, &app.engine, known_password);
                    }
                }
                let equal = peers.iter().any(|p| p.equal == Some(true));
                if until == Until::Joined && was_member && equal {
                    return Ok(());
                }
                let greeted = peers.iter().filter(|p| p.greeted).map(|p| &p.peer);
                let unserved = app.replication.unserved.by_all(greeted);
                if stall.lasts(app.engine.status().blocks, unserved.is_some(), Instant::now())
                    && let (Until::Joined, Some(why)) = (until, unserved)
                {
                    bail!("admitted, but the log does not come: {why}\n  hint: mend that node, or name another member that runs (--peer); the same command again goes on");
                }
            }
        }
    }
}
