//! Values of arguments. What is none is a wrong command line (exit status 2), told before anything is looked at or done.

use std::time::Duration;

use libp2p::Multiaddr;
use p2pdb_model::NodeId;
use p2pdb_model::change::Role;

use crate::units::parse_duration;

/// How long something holds; `None` is without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lasting(pub(super) Option<Duration>);

/// What a node is to become.
pub(super) fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| "roles are owner, writer, reader and relay".to_owned())
}

/// A duration of at least a second, with its unit; or `never`.
pub(super) fn lasting(text: &str) -> Result<Lasting, String> {
    let number = text.trim();
    // Days, hours? Too different to guess.
    if number.parse::<u64>().is_ok() {
        return Err(format!("it has no unit; write a number with s, m, h or d, such as {number}d, or never"));
    }
    match text {
        "never" => Ok(Lasting(None)),
        text => match parse_duration(text)? {
            time if time < Duration::from_secs(1) => Err("it is less than a second".to_owned()),
            time => Ok(Lasting(Some(time))),
        },
    }
}

/// A node's key.
pub(super) fn node_key(text: &str) -> Result<NodeId, String> {
    NodeId::from_hex(text.trim()).filter(crate::net::can_be_held).ok_or_else(|| {
        "it is not a node's key: 64 hexadecimal digits, as `p2pdb-node join --show-key` and `members --json` print them"
            .to_owned()
    })
}

/// Where peers are reached.
pub(super) fn peer_address(text: &str) -> Result<Multiaddr, String> {
    text.parse().map_err(|_| "it is not a peer address, such as /ip4/192.0.2.7/tcp/7306".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_an_end_has_a_word() {
        assert_eq!(lasting("never"), Ok(Lasting(None)));
        assert_eq!(lasting("2h"), Ok(Lasting(Some(Duration::from_secs(7200)))));
        for wrong in ["", "7", " 7 ", "0d", "1ms", "tomorrow", "-1d"] {
            assert!(lasting(wrong).is_err(), "{wrong}");
        }
    }
}
