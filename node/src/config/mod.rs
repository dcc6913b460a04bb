//! Configuration: one table of keys, four sources.
//!
//! A value is taken from the command line; failing that from the environment; failing that from one TOML file;
//! failing that from the default. The names are the same in all of them: `--wait-timeout`, `P2PDB_WAIT_TIMEOUT`,
//! `wait-timeout = "8h"`. `--help` and `docs/configuration.md` are made from [`KEYS`]; a test compares the page.

mod keys;
mod sources;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

pub use keys::{KEYS, Key, env_name};
pub use sources::{CONFIG_VARIABLE, ConfigError, Source, Sources};

use crate::units::{parse_bytes, parse_duration};

/// Least `max-allowed-packet`: what MySQL takes as its least, bytes.
const PACKET_BYTES_MIN: u64 = 1024;
/// Greatest `max-connections`, as in MySQL.
const CONNECTIONS_MAX: u64 = 100_000;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether MySQL clients may, must or cannot use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Not offered.
    Off,
    /// Offered.
    On,
    /// Logins without it are refused.
    Required,
}

/// The whole configuration, parsed. Each field is the key of the same name in [`KEYS`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the keys' table documents every field")]
pub struct Config {
    pub data_dir: PathBuf,
    pub node_name: String,
    pub realm_name: String,
    pub mysql_listen: SocketAddr,
    pub mysql_tls: TlsMode,
    pub peer_listen: Vec<Multiaddr>,
    pub bootstrap: Vec<Multiaddr>,
    pub network_key: Option<PathBuf>,
    pub mdns: bool,
    pub private_addresses: bool,
    pub http_listen: Option<SocketAddr>,
    pub log_level: String,
    pub log_format: LogFormat,
    pub max_connections: usize,
    pub max_allowed_packet_bytes: usize,
    pub max_prepared_statements: usize,
    pub connect_timeout: Duration,
    pub wait_timeout: Duration,
    pub write_timeout: Duration,
    pub shutdown_timeout: Duration,
    pub lock_wait_timeout: Duration,
    pub idle_transaction_timeout: Duration,
    pub clock_skew_max: Duration,
    pub worker_threads: usize,
    pub testnet: bool,
}

impl Config {
    /// Parses every key.
    ///
    /// # Errors
    /// The first value that cannot be used, with the place it came from.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let s = sources;
        Ok(Self {
            data_dir: s.parse("data-dir", |t| match t {
                "" => Err("a path is needed".into()),
                path => Ok(PathBuf::from(path)),
            })?,
            node_name: s.parse("node-name", name)?,
            realm_name: s.parse("realm-name", name)?,
            mysql_listen: s.parse("mysql-listen", socket)?,
            mysql_tls: s.parse("mysql-tls", |t| match t {
                "off" => Ok(TlsMode::Off),
                "on" => Ok(TlsMode::On),
                "required" => Ok(TlsMode::Required),
                _ => Err(format!("'{t}' is none of on, required, off")),
            })?,
            peer_listen: s.parse_list("peer-listen", peer_listen)?,
            bootstrap: s.parse_list("bootstrap", multiaddr)?,
            network_key: s.parse("network-key", |t| Ok((!t.is_empty()).then(|| PathBuf::from(t))))?,
            mdns: s.parse("mdns", switch)?,
            private_addresses: s.parse("private-addresses", switch)?,
            http_listen: s.parse("http-listen", |t| match t {
                "off" => Ok(None),
                t => loopback(t).map(Some),
            })?,
            log_level: s.parse("log-level", log_filter)?,
            log_format: s.parse("log-format", |t| match t {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err(format!("'{t}' is neither text nor json")),
            })?,
            max_connections: s.parse("max-connections", |t| count(t, 1, CONNECTIONS_MAX))? as usize,
            max_allowed_packet_bytes: s.parse("max-allowed-packet", |t| {
                let bytes = parse_bytes(t)?;
                let max = p2pdb_mysql::PACKET_BYTES_MAX as u64;
                if (PACKET_BYTES_MIN..=max).contains(&bytes) {
                    Ok(bytes as usize)
                } else {
                    Err("a packet limit is between 1KiB and 1GiB".to_owned())
                }
            })?,
            max_prepared_statements: s.parse("max-prepared-statements", |t| count(t, 1, 1 << 20))? as usize,
            connect_timeout: s.parse("connect-timeout", timeout)?,
            wait_timeout: s.parse("wait-timeout", timeout)?,
            write_timeout: s.parse("write-timeout", timeout)?,
            shutdown_timeout: s.parse("shutdown-timeout", parse_duration)?,
            lock_wait_timeout: s.parse("lock-wait-timeout", timeout)?,
            idle_transaction_timeout: s.parse("idle-transaction-timeout", timeout)?,
            clock_skew_max: s.parse("clock-skew-max", timeout)?,
            worker_threads: s.parse("worker-threads", |t| count(t, 0, 1024))? as usize,
            testnet: s.parse("testnet", switch)?,
        })
    }
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("'{text}' is not an address; write IP:PORT, such as 127.0.0.1:3306"))
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = socket(text)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{address} is not a loopback address; the admin interface listens on this machine only (put a proxy before it to publish /metrics)"
        ))
    }
}

fn multiaddr(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|e| {
        format!("'{text}' is not a peer address ({e}); write a multiaddr, such as /ip4/192.0.2.7/tcp/7306")
    })
}

/// An address that the transports there are, TCP and QUIC, can listen on.
fn peer_listen(text: &str) -> Result<Multiaddr, String> {
    let address = multiaddr(text)?;
    let mut parts = address.iter();
    let ip = matches!(parts.next(), Some(Protocol::Ip4(_) | Protocol::Ip6(_)));
    let port = match parts.next() {
        Some(Protocol::Tcp(_)) => true,
        Some(Protocol::Udp(_)) => matches!(parts.next(), Some(Protocol::QuicV1)),
        _ => false,
    };
    let end = match parts.next() {
        None => true,
        Some(Protocol::P2p(_)) => parts.next().is_none(),
        Some(_) => false,
    };
    if ip && port && end {
        return Ok(address);
    }
    Err(format!(
        "'{text}' is not an address that peers can be listened for on; write /ip4/ADDRESS/tcp/PORT for TCP or /ip4/ADDRESS/udp/PORT/quic-v1 for QUIC, or the same with /ip6"
    ))
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "on" | "yes" | "1" => Ok(true),
        "false" | "off" | "no" | "0" => Ok(false),
        _ => Err(format!("'{text}' is neither true nor false")),
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// A level, or levels of parts of the program. A word that is neither would be taken for a part and silence the rest.
fn log_filter(text: &str) -> Result<String, String> {
    let is_level = |t: &str| LEVELS.iter().any(|l| t.eq_ignore_ascii_case(l));
    for word in text.split(',').map(str::trim) {
        let good = match word.rsplit_once('=') {
            Some((part, level)) => !part.is_empty() && !part.contains(char::is_whitespace) && is_level(level),
            None => is_level(word),
        };
        if !good {
            return Err(format!(
                "'{word}' is no level; write {} or off, or PART=LEVEL with commas between, such as info,p2pdb_node=debug",
                LEVELS[..5].join(", ")
            ));
        }
    }
    Ok(text.to_owned())
}

fn count(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let n: Option<u64> = text.parse().ok().filter(|n| (min..=max).contains(n));
    n.ok_or_else(|| format!("'{text}' is not a whole number between {min} and {max}"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() { Err("a timeout must not be zero".to_owned()) } else { Ok(duration) }
}

/// Longest name of a node or realm, in bytes.
const NAME_BYTES_MAX: usize = 64;

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!(
            "'{text}' is not a name: 1 to {NAME_BYTES_MAX} bytes without control characters"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        let config = Config::load(&Sources::default()).expect("defaults");
        assert_eq!(config.mysql_listen, "127.0.0.1:3306".parse().expect("address"));
        assert_eq!(config.max_allowed_packet_bytes, 64 << 20);
        assert_eq!(config.wait_timeout, Duration::from_secs(8 * 3600));
        assert!(!config.testnet);
    }

    #[test]
    fn levels_and_levels_of_parts_are_taken() {
        for good in ["info", "WARN", "off", "info,p2pdb_node=debug", "libp2p_swarm=trace, error", "a::b=off"]
        {
            assert_eq!(log_filter(good).as_deref(), Ok(good));
        }
    }

    #[test]
    fn the_stronger_source_wins_for_every_key() {
        for key in KEYS {
            let mut sources = Sources::default();
            let mut last = sources.get(key.name).0;
            for source in [Source::File, Source::Environment, Source::Flag] {
                let value = format!("{}-{source:?}", key.name);
                sources.set(source, key.name, value.clone()).expect("known key");
                assert_ne!(last, value);
                assert_eq!(sources.get(key.name), (value.clone(), source));
                last = value;
            }
        }
    }

    #[test]
    fn a_bad_value_is_refused_with_its_source_and_what_to_write() {
        for (key, value, hint) in [
            ("mysql-listen", "3306", "IP:PORT"),
            ("peer-listen", "127.0.0.1:7306", "not a peer address"),
            ("peer-listen", "/ip4/0.0.0.0/udp/0", "/udp/PORT/quic-v1"),
            ("peer-listen", "/ip4/0.0.0.0/tcp/0,/ip4/0.0.0.0/udp/0/quic", "/udp/PORT/quic-v1"),
            ("peer-listen", "/ip4/0.0.0.0", "/tcp/PORT"),
            ("peer-listen", "/ip4/0.0.0.0/tcp/0/ws", "/tcp/PORT"),
            ("peer-listen", "/dns4/localhost/tcp/0", "/ip4/ADDRESS/tcp/PORT"),
            ("wait-timeout", "soon", "such as 30s"),
            ("max-allowed-packet", "2GiB", "between 1KiB and 1GiB"),
            ("http-listen", "0.0.0.0:7380", "this machine only"),
            ("mdns", "maybe", "neither true nor false"),
            ("log-level", "loud", "'loud' is no level; write error, warn, info, debug, trace"),
            ("log-level", "info,p2pdb_node", "PART=LEVEL"),
            ("log-level", "info,p2pdb_node=loud", "PART=LEVEL"),
            ("log-level", "", "is no level"),
            ("log-format", "xml", "neither text nor json"),
            ("mysql-tls", "maybe", "none of"),
            ("max-connections", "0", "between 1 and"),
            ("write-timeout", "0s", "must not be zero"),
            ("node-name", "", "not a name"),
        ] {
            for (source, place) in [
                (Source::Flag, format!("--{key}")),
                (Source::Environment, env_name(key)),
                (Source::File, format!("'{key}' in")),
            ] {
                let mut sources = Sources::default();
                sources.set(source, key, value.to_owned()).expect("known key");
                let text = Config::load(&sources).expect_err(key).to_string();
                assert!(text.contains(hint) && text.contains(&place), "{text}");
            }
        }
    }
}
