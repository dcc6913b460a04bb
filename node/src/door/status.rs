//! The status variables (SHOW STATUS) of what the door counts; statements are counted by the engine.

use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;

use super::Door;
use super::control::Control;

impl Door {
    /// Lets the engine ask for them.
    pub(super) fn tell_status(self: &std::sync::Arc<Self>) {
        let door: Weak<Door> = std::sync::Arc::downgrade(self);
        self.engine.status_by(move |session, global| {
            door.upgrade().map(|door| door.status(session, global)).unwrap_or_default()
        });
    }

    /// Those of one client, or of all together; what is no one client's is the same in both.
    fn status(&self, session: u64, global: bool) -> Vec<(&'static str, String)> {
        let (connected, running, prepared, own) = {
            let connections = self.connections.lock();
            let running = connections.values().filter(|c| c.is_busy()).count();
            let prepared: u64 = connections.values().map(|c| c.prepared.load(Relaxed)).sum();
            let own = u32::try_from(session).ok().and_then(|id| connections.get(&id).cloned());
            (connections.len(), running, prepared, own)
        };
        let of = |all: u64, one: fn(&Control) -> u64| match &own {
            Some(own) if !global => one(own),
            _ if global => all,
            _ => 0,
        };
        let (received, sent) = self.stats.bytes();
        let (accepted, refused, _) = self.stats.connections();
        let (aborted_connects, aborted_clients) = self.stats.aborted();
        let tls = own.as_ref().and_then(|own| own.tls.get());
        let numbers = [
            ("Aborted_clients", aborted_clients),
            ("Aborted_connects", aborted_connects),
            ("Bytes_received", of(received, |c| c.received.load(Relaxed))),
            ("Bytes_sent", of(sent, |c| c.sent.load(Relaxed))),
            ("Connection_errors_max_connections", refused),
            ("Connections", accepted + refused),
            ("Max_used_connections", self.stats.connected_max()),
            ("Prepared_stmt_count", prepared),
            ("Slow_queries", of(self.stats.slow_statements(), |c| c.slow.load(Relaxed))),
            ("Threads_connected", connected as u64),
            ("Threads_running", running as u64),
        ];
        let mut all: Vec<_> = numbers.into_iter().map(|(name, n)| (name, n.to_string())).collect();
        all.push(("Compression", "OFF".to_owned()));
        all.push(("Ssl_cipher", tls.map_or_else(String::new, |t| t.cipher.clone())));
        all.push(("Ssl_version", tls.map_or_else(String::new, |t| t.version.clone())));
        all
    }
}
