//! The key of a private network: a file in the form that libp2p's implementations share (`swarm.key`; libp2p's spec
//! `pnet/Private-Networks-PSK-V1.md`), and which addresses can be used with it.

use std::path::Path;

use anyhow::{Context, bail};
use p2pdb_model::ids::{hex, unhex};

use crate::net::Multiaddr;

const HEAD: &str = "/key/swarm/psk/1.0.0/";
const BASE16: &str = "/base16/";

/// The text of a key's file.
pub(crate) fn text(key: &[u8; 32]) -> String {
    format!("{HEAD}\n{BASE16}\n{}\n", hex(key))
}

/// Reads a key's file.
///
/// # Errors
/// When it cannot be read or is of another form.
pub(crate) fn read(file: &Path) -> anyhow::Result<[u8; 32]> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the network key in {}", file.display()))?;
    parse(&text).with_context(|| {
        format!(
            "{} holds no network key\n  hint: it has three lines, {HEAD}, {BASE16} and 64 hexadecimal digits; `p2pdb-node key network FILE` makes one",
            file.display()
        )
    })
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let mut lines = text.lines().map(str::trim_end);
    let (head, base, key) = (lines.next()?, lines.next()?, lines.next()?);
    let rest_is_empty = lines.all(str::is_empty);
    let known = head == HEAD && base == BASE16 && rest_is_empty;
    unhex(key).filter(|_| known)?.try_into().ok()
}

/// The addresses to listen on: a private network has no QUIC.
///
/// # Errors
/// When none is left.
pub(crate) fn usable(addresses: &[Multiaddr], private: bool) -> anyhow::Result<Vec<Multiaddr>> {
    if !private {
        return Ok(addresses.to_vec());
    }
    let tcp: Vec<Multiaddr> = addresses.iter().filter(|a| a.to_string().contains("/tcp/")).cloned().collect();
    if tcp.is_empty() {
        bail!("a private network (network-key) needs an address with /tcp/ in peer-listen");
    }
    Ok(tcp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written_and_others_are_not() {
        let key = [0xa5; 32];
        assert_eq!(parse(&text(&key)), Some(key));
        assert_eq!(parse(&text(&key).replace('\n', "\r\n")), Some(key));
        let digits = hex(&key);
        for bad in [
            String::new(),
            digits.clone(),
            format!("{HEAD}\n/base64/\n{digits}"),
            format!("{HEAD}\n{BASE16}\n{}", &digits[2..]),
            format!("{HEAD}\n{BASE16}\n{digits}00"),
            format!("{HEAD}\n{BASE16}\n{digits}\nmore"),
        ] {
            assert_eq!(parse(&bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_private_network_listens_on_tcp_alone() {
        let all: Vec<Multiaddr> = ["/ip4/0.0.0.0/tcp/1", "/ip4/0.0.0.0/udp/1/quic-v1"]
            .iter()
            .map(|a| a.parse().expect("an address"))
            .collect();
        assert_eq!(usable(&all, false).expect("all"), all);
        assert_eq!(usable(&all, true).expect("one"), all[..1]);
        assert!(usable(&all[1..], true).is_err());
    }
}
