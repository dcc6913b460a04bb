//! Taking ports, and saying what to do when somebody has them already.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use anyhow::Context;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use tokio::net::TcpListener;

use crate::net::NetError;

/// The exit status of a node that could not have a port.
pub const EXIT_TAKEN: u8 = 3;
/// How many ports behind one that is taken are looked at.
const TRIES: u16 = 100;

/// Somebody has a port already.
#[derive(Debug, thiserror::Error)]
#[error(
    "port {port} for {what} is taken by another program ({})\n  hint: stop that one, or choose another port: --{flag} {other} (0 takes a free one); a second node on this machine needs --mysql-listen, --http-listen and --peer-listen of its own",
    if flag == "mysql-listen" { "another node, or MySQL / MariaDB itself?" } else { "another node?" }
)]
pub struct PortTaken {
    port: u16,
    what: String,
    flag: String,
    other: SocketAddr,
}

/// Whether a node has failed because somebody has one of its ports.
pub fn is_taken(error: &anyhow::Error) -> bool {
    let for_peers = |e: &NetError| matches!(e, NetError::Taken(_));
    error.chain().any(|e| e.is::<PortTaken>() || e.downcast_ref().is_some_and(for_peers))
}

/// Takes a port for a TCP service, with a hint when it is taken.
///
/// # Errors
/// When it cannot be had.
pub async fn bind(address: SocketAddr, what: &str, flag: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            let (ip, port) = (address.ip(), address.port());
            let other = SocketAddr::new(ip, next_free(ip, port));
            Err(PortTaken { port, what: what.to_owned(), flag: flag.to_owned(), other }.into())
        }
        Err(e) => Err(e).with_context(|| format!("cannot listen on {address} for {what} (--{flag})")),
    }
}

/// A flag with the addresses for peers that are free, for when these are not.
pub fn peer_hint(listen: &[Multiaddr]) -> String {
    let others: Vec<String> = listen.iter().map(|a| other_peer_port(a).to_string()).collect();
    format!(
        "hint: stop the program that has the port (another node?), or choose other ports: --peer-listen {} (port 0 takes a free one)",
        others.join(",")
    )
}

fn other_peer_port(address: &Multiaddr) -> Multiaddr {
    let mut ip = IpAddr::from([0, 0, 0, 0]);
    let other = address.iter().map(|part| match part {
        Protocol::Ip4(v4) => {
            ip = v4.into();
            part
        }
        Protocol::Ip6(v6) => {
            ip = v6.into();
            part
        }
        Protocol::Tcp(port) if port != 0 => Protocol::Tcp(next_free(ip, port)),
        Protocol::Udp(port) if port != 0 => Protocol::Udp(next_free(ip, port)),
        part => part,
    });
    other.collect()
}

/// The next port that nobody uses for TCP or UDP now; 0, for any, when there is none near.
fn next_free(ip: IpAddr, port: u16) -> u16 {
    let free = |p: &u16| std::net::TcpListener::bind((ip, *p)).is_ok() && UdpSocket::bind((ip, *p)).is_ok();
    (1..=TRIES).filter_map(|n| port.checked_add(n)).find(free).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_names_ports_that_can_be_had() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let listen: Vec<Multiaddr> = ["tcp/PORT", "udp/PORT/quic-v1", "tcp/0"]
            .map(|t| format!("/ip4/127.0.0.1/{}", t.replace("PORT", &port.to_string())))
            .iter()
            .map(|t| t.parse().expect("an address"))
            .collect();
        let hint = peer_hint(&listen);
        let flag = hint.split("--peer-listen ").nth(1).and_then(|t| t.split(' ').next()).expect("a flag");
        let others: Vec<Multiaddr> = flag.split(',').map(|t| t.parse().expect("an address")).collect();
        assert_eq!(others.len(), 3, "{hint}");
        assert!(!hint.contains(&format!("/{port}")) && flag.ends_with("/tcp/0"), "{hint}");
    }
}
