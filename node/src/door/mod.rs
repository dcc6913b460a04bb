//! The MySQL door: a listener, a task per client, and what they share.
//!
//! The protocol is `p2pdb-mysql`'s, the meaning of statements the engine's; here are sockets, limits and time.
//! Short statements run on the task's own thread; long ones in `block_in_place`, so that they do not stall the
//! reactor. Rows go straight into the connection's output buffer, which is flushed at [`FLUSH_BYTES`]; a client that
//! does not read holds a thread and a snapshot no longer than `write-timeout`.
//!
//! Time limits are enforced by one janitor that looks at every connection once a second, so that a statement costs
//! no timer.

mod answer;
mod cells;
mod client;
mod control;
mod login;
mod params;
mod stats;
mod status;
mod stream;
pub mod tls;
mod track;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use p2pdb_engine::Engine;
use p2pdb_mysql::{Connection, ServerError};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use self::control::{Control, End};
pub use login::Logins;
pub(crate) use login::{FILE as LOGINS_FILE, named as login_named};
pub use stats::{Kind, LATENCY_BOUNDS_US, Stats};

use crate::config::{Config, TlsMode};

/// Output is sent when it reaches this size, in bytes.
pub const FLUSH_BYTES: usize = 64 * 1024;
/// How often the janitor looks at the connections.
const JANITOR_PERIOD: Duration = Duration::from_secs(1);
/// After an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What VERSION() and the greeting say.
pub const SERVER_VERSION: &str = p2pdb_sql::variables::VERSION;

/// What the connections share.
pub struct Door {
    engine: Engine,
    logins: Arc<Logins>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    stats: Arc<Stats>,
    connections: Mutex<HashMap<u32, Arc<Control>>>,
    last_id: AtomicU32,
    closing: AtomicBool,
    started: Instant,
}

struct Limits {
    connections: usize,
    packet_bytes: usize,
    statements: usize,
    connect: Duration,
    wait: Duration,
    write: Duration,
    /// A client that does not read while its transaction holds the writer is cut as early as an idle one.
    write_in_transaction: Duration,
    tls_required: bool,
}

impl Door {
    /// A door to this engine.
    pub fn new(config: &Config, engine: Engine, logins: Arc<Logins>, tls: Option<TlsAcceptor>) -> Arc<Self> {
        let door = Arc::new(Self {
            engine,
            logins,
            tls,
            limits: Limits {
                connections: config.max_connections,
                packet_bytes: config.max_allowed_packet_bytes,
                statements: config.max_prepared_statements,
                connect: config.connect_timeout,
                wait: config.wait_timeout,
                write: config.write_timeout,
                write_in_transaction: config.write_timeout.min(config.idle_transaction_timeout),
                tls_required: config.mysql_tls == TlsMode::Required,
            },
            stats: Arc::default(),
            connections: Mutex::default(),
            last_id: AtomicU32::new(0),
            closing: AtomicBool::new(false),
            started: Instant::now(),
        });
        door.tell_status();
        door
    }

    /// Counters, for metrics.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// Clients connected now.
    pub fn connected(&self) -> usize {
        self.connections.lock().len()
    }

    /// Accepts clients until [`Self::close`]. Must run on a multi-threaded runtime.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let janitor = tokio::spawn(self.clone().janitor());
        loop {
            match listener.accept().await {
                Ok(_) if self.closing.load(Ordering::Acquire) => break,
                Ok((socket, peer)) => self.accept(socket, peer),
                // The client went away again before it was accepted.
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::ConnectionAborted | std::io::ErrorKind::ConnectionReset
                    ) => {}
                Err(e) => {
                    warn!(
                        "cannot accept MySQL clients: {e}; trying again (raise `ulimit -n` if this goes on)"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        janitor.abort();
    }

    fn accept(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr) {
        let id = loop {
            let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
            if id != 0 {
                break id;
            }
        };
        let control = Arc::new(Control::new(self.started));
        let connected = {
            let mut connections = self.connections.lock();
            let room = connections.len() < self.limits.connections;
            room.then(|| {
                connections.insert(id, control.clone());
                connections.len()
            })
        };
        let Some(connected) = connected else {
            self.stats.refused();
            debug!(%peer, "refused a MySQL client: max-connections reached");
            let bytes = Connection::refusal(&ServerError::new(1040, "08004", "Too many connections"));
            // A fresh socket takes these few bytes at once or not at all.
            let _ = socket.try_write(&bytes);
            return;
        };
        self.stats.connected(connected);
        let door = self.clone();
        tokio::spawn(async move {
            let end = client::serve(&door, socket, peer, id, &control).await;
            door.connections.lock().remove(&id);
            match end {
                Ok(()) => debug!(id, %peer, "a MySQL client left"),
                Err(e) => debug!(id, %peer, "a MySQL client was cut: {e}"),
            }
        });
    }

    async fn janitor(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(JANITOR_PERIOD);
        loop {
            ticks.tick().await;
            let now = self.started.elapsed();
            for control in self.connections.lock().values() {
                control.check_time(now, self.limits.connect, self.limits.wait);
            }
        }
    }

    /// Stops accepting, lets running statements finish for `grace`, then interrupts them, and waits until all
    /// clients are gone.
    pub async fn close(&self, address: SocketAddr, grace: Duration) {
        self.closing.store(true, Ordering::Release);
        // Wakes the accept loop; nobody else can be waiting for this connection.
        let _ = TcpStream::connect(address).await;
        let all: Vec<Arc<Control>> = self.connections.lock().values().cloned().collect();
        if !all.is_empty() {
            info!("letting {} MySQL clients finish their statements", all.len());
        }
        all.iter().for_each(|c| c.end(End::Shutdown));
        let deadline = Instant::now() + grace;
        while self.connected() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let ids: Vec<u32> = self.connections.lock().keys().copied().collect();
        for id in &ids {
            self.engine.kill(u64::from(*id), false);
        }
        let deadline = Instant::now() + grace.max(Duration::from_secs(1));
        while self.connected() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Somebody was killed, perhaps while idle: every connection looks whether it was itself.
    fn after_kill(&self) {
        self.connections.lock().values().for_each(|c| c.attention.notify_one());
    }

    fn statistics(&self) -> String {
        let seconds = self.started.elapsed().as_secs();
        let questions = self.engine.questions();
        let per_second = questions as f64 / seconds.max(1) as f64;
        format!(
            "Uptime: {seconds}  Threads: {}  Questions: {questions}  Slow queries: {}  Opens: 0  Flush tables: 0  Open tables: 0  Queries per second avg: {per_second:.3}",
            self.connected(),
            self.stats.slow_statements()
        )
    }
}
