//! The keys of the configuration: names, defaults, and what they mean.

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name: the flag without dashes, and the name in the TOML file.
    pub name: &'static str,
    /// What stands for its value in `--help`.
    pub value: &'static str,
    /// Its default, as it would be written; empty: see the text.
    pub default: &'static str,
    /// Several values: the flag may be repeated, the environment separates by commas, TOML takes an array.
    pub list: bool,
    /// What it does.
    pub help: &'static str,
}

/// The environment variable of a key.
pub fn env_name(key: &str) -> String {
    format!("P2PDB_{}", key.to_ascii_uppercase().replace('-', "_"))
}

const fn key(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default, list: false, help }
}

const fn list(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default, list: true, help }
}

/// Every key, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key(
        "data-dir",
        "DIR",
        "",
        "Where the node keeps everything it has: keys, logins, the database. Default: $XDG_DATA_HOME/p2pdb, or ~/.local/share/p2pdb, or ./p2pdb-data without a home directory",
    ),
    key(
        "node-name",
        "NAME",
        "",
        "Name of this node for people; fixed when the data directory is made. Default: the host's name",
    ),
    key(
        "realm-name",
        "NAME",
        "p2pdb",
        "Name of the realm for people; used when `init` or a first `run` makes one",
    ),
    key("mysql-listen", "IP:PORT", "127.0.0.1:3306", "Address for MySQL clients; port 0 takes a free one"),
    key(
        "mysql-tls",
        "MODE",
        "on",
        "TLS for MySQL clients: `on` (offered), `required`, or `off`. Certificate and key are made at first start in DIR/tls and may be replaced there",
    ),
    list(
        "peer-listen",
        "MULTIADDR",
        "/ip4/0.0.0.0/tcp/7306,/ip4/0.0.0.0/udp/7306/quic-v1",
        "Addresses for peers (TCP and QUIC); port 0 takes a free one",
    ),
    list(
        "bootstrap",
        "MULTIADDR",
        "",
        "Peers to stay connected to, with or without /p2p/ID. Default: none; peers met before are remembered",
    ),
    key(
        "network-key",
        "FILE",
        "",
        "File with the key of a private network (`p2pdb-node key network FILE` makes one; that of Kubo, `swarm.key`, has the same form): nodes without it cannot connect. TCP only: QUIC addresses are not used. Default: none",
    ),
    key("mdns", "BOOL", "true", "Find peers on the local network by multicast DNS"),
    key("private-addresses", "BOOL", "true", "Dial loopback and private addresses that peers tell us"),
    key(
        "http-listen",
        "IP:PORT",
        "127.0.0.1:7380",
        "Loopback address for /healthz, /readyz, /metrics and the admin interface that the other subcommands talk to; `off` for none, port 0 takes a free one",
    ),
    key(
        "log-level",
        "FILTER",
        "info",
        "What is logged: error, warn, info, debug, trace, or a filter such as info,p2pdb_node=debug",
    ),
    key("log-format", "FORMAT", "text", "How log lines look: `text` or `json`"),
    key("max-connections", "N", "1000", "MySQL clients connected at once; more are refused with error 1040"),
    key("max-allowed-packet", "SIZE", "64MiB", "Longest statement or value a MySQL client may send"),
    key(
        "max-prepared-statements",
        "N",
        "16382",
        "Prepared statements of one connection; more are refused with error 1461",
    ),
    key("connect-timeout", "TIME", "10s", "A MySQL client that has not logged in by then is cut"),
    key("wait-timeout", "TIME", "8h", "A MySQL client without a statement for so long is cut"),
    key("write-timeout", "TIME", "60s", "A MySQL client that does not read its result for so long is cut"),
    key("shutdown-timeout", "TIME", "5s", "How long running statements may go on after SIGTERM or SIGINT"),
    key(
        "lock-wait-timeout",
        "TIME",
        "50s",
        "How long a statement waits for the writer (error 1205 after it)",
    ),
    key(
        "idle-transaction-timeout",
        "TIME",
        "10s",
        "A transaction that has written and holds the writer without a statement for so long is rolled back",
    ),
    key(
        "clock-skew-max",
        "TIME",
        "60s",
        "A clock that differs more than this from the clocks of more than half of the connected peers (two at least) stops writes until it is right again, and until the time of what it wrote meanwhile. Blocks stamped more than 60s in the future wait, whatever is set here",
    ),
    key("worker-threads", "N", "0", "Threads that serve clients and peers; 0: as many as cores"),
    key(
        "testnet",
        "BOOL",
        "false",
        "Allow partitions and a wrong clock by the admin interface; for test networks only",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/configuration.md");

    #[test]
    fn the_page_of_the_book_documents_every_key_and_no_other() {
        for key in KEYS {
            let default =
                if key.default.is_empty() { "–".to_owned() } else { format!("`{}`", key.default) };
            let row = format!("| `{}` | `{}` | {default} | {} |", key.name, env_name(key.name), key.help);
            assert!(PAGE.contains(&row), "docs/configuration.md lacks or differs in:\n{row}");
        }
        let rows = PAGE.lines().filter(|l| l.contains("| `P2PDB_")).count();
        assert_eq!(rows, KEYS.len(), "docs/configuration.md documents a key that does not exist");
    }

    #[test]
    fn names_differ_and_are_words_with_dashes() {
        for (i, key) in KEYS.iter().enumerate() {
            assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            assert!(KEYS[..i].iter().all(|k| k.name != key.name));
        }
    }
}
