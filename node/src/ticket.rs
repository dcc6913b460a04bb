//! Tickets as text: `p2pdb-ticket-` and base32 of what a joining node needs.
//!
//! A ticket holds a secret: whoever has it may join the realm in its role until it is used up or expires. Its public
//! half is enrolled in the log. Layout before base32 (RFC 4648, lower case, no padding):
//!
//! ```text
//! version 1 │ role │ secret key 32 │ realm CID length, CID │ count │ { length u16, address }* │ checksum 4
//! ```
//!
//! The checksum (first bytes of SHA-256 over what is before it) catches a ticket copied in part.

use ed25519_dalek::SigningKey;
use libp2p::Multiaddr;
use p2pdb_model::change::Role;
use p2pdb_model::{Cid, RealmId};
use sha2::{Digest, Sha256};

const PREFIX: &str = "p2pdb-ticket-";
const VERSION: u8 = 1;
/// Greatest number of addresses in a ticket.
pub const ADDRESSES_MAX: usize = 16;
/// Longest ticket that is read, in characters.
const TEXT_MAX: usize = 8 * 1024;
const CHECKSUM_BYTES: usize = 4;

/// An invitation.
#[derive(Clone)]
pub struct Ticket {
    /// The realm to join.
    pub realm: RealmId,
    /// What the joining node becomes.
    pub role: Role,
    /// The ticket's secret key.
    pub key: SigningKey,
    /// Where members can be reached, with their `/p2p/ID`.
    pub addresses: Vec<Multiaddr>,
}

/// Why a text is not a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It does not begin like one.
    #[error("this is not a ticket: one begins with p2pdb-ticket-")]
    Prefix,
    /// Letters are missing or changed.
    #[error("the ticket is damaged: copy it again, whole and on one line")]
    Damaged,
    /// Made by a newer program.
    #[error("the ticket has version {0}, which this program does not know: install a newer p2pdb-node")]
    Version(u8),
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticket").field("realm", &self.realm).field("role", &self.role).finish_non_exhaustive()
    }
}

impl Ticket {
    /// The text to give to the joining node.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION, self.role as u8];
        bytes.extend_from_slice(&self.key.to_bytes());
        let cid = self.realm.0.to_bytes();
        bytes.push(cid.len() as u8);
        bytes.extend_from_slice(&cid);
        let addresses = &self.addresses[..self.addresses.len().min(ADDRESSES_MAX)];
        bytes.push(addresses.len() as u8);
        for address in addresses {
            bytes.extend_from_slice(&(address.len() as u16).to_be_bytes());
            bytes.extend_from_slice(address.as_ref());
        }
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        format!("{PREFIX}{}", data_encoding::BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }

    /// Reads a ticket; blanks around it do not matter.
    ///
    /// # Errors
    /// [`TicketError`].
    pub fn decode(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        let rest = text.strip_prefix(PREFIX).ok_or(TicketError::Prefix)?;
        if rest.len() > TEXT_MAX {
            return Err(TicketError::Damaged);
        }
        let bytes = data_encoding::BASE32_NOPAD
            .decode(rest.to_ascii_uppercase().as_bytes())
            .map_err(|_| TicketError::Damaged)?;
        let split = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(TicketError::Damaged)?;
        let (content, sum) = bytes.split_at(split);
        if sum != checksum(content) {
            return Err(TicketError::Damaged);
        }
        let (version, rest) = content.split_first().ok_or(TicketError::Damaged)?;
        if *version != VERSION {
            return Err(TicketError::Version(*version));
        }
        Self::decode_content(rest).ok_or(TicketError::Damaged)
    }

    fn decode_content(mut rest: &[u8]) -> Option<Self> {
        let mut take = |n: usize| -> Option<&[u8]> {
            let (head, tail) = rest.split_at_checked(n)?;
            rest = tail;
            Some(head)
        };
        let role = Role::from_u8(take(1)?[0])?;
        let key = SigningKey::from_bytes(take(32)?.try_into().ok()?);
        let n = usize::from(take(1)?[0]);
        let realm = RealmId(Cid::try_from(take(n)?).ok()?);
        let count = usize::from(take(1)?[0]);
        let mut addresses = Vec::new();
        for _ in 0..count.min(ADDRESSES_MAX) {
            let n = u16::from_be_bytes(take(2)?.try_into().ok()?);
            addresses.push(Multiaddr::try_from(take(usize::from(n))?.to_vec()).ok()?);
        }
        rest.is_empty().then_some(Self { realm, role, key, addresses })
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(bytes);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(addresses: usize) -> Ticket {
        Ticket {
            realm: RealmId(p2pdb_block::cid::of_dag_cbor(b"genesis")),
            role: Role::Writer,
            key: SigningKey::from_bytes(&[9; 32]),
            addresses: (0..addresses)
                .map(|n| format!("/ip4/192.0.2.{n}/tcp/7306").parse().expect("multiaddr"))
                .collect(),
        }
    }

    #[test]
    fn a_ticket_comes_back_as_it_was() {
        for n in [0, 1, ADDRESSES_MAX] {
            let before = ticket(n);
            let text = before.encode();
            let after = Ticket::decode(&format!("  {text}\n")).expect("a good ticket");
            assert_eq!((after.realm, after.role), (before.realm, before.role));
            assert_eq!(after.key.to_bytes(), before.key.to_bytes());
            assert_eq!(after.addresses, before.addresses);
        }
    }

    #[test]
    fn every_cut_and_every_changed_letter_is_noticed() {
        let text = ticket(2).encode();
        for cut in PREFIX.len()..text.len() {
            assert!(Ticket::decode(&text[..cut]).is_err(), "{cut}");
        }
        for at in PREFIX.len()..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).expect("ascii");
            assert!(Ticket::decode(&changed).is_err(), "{changed}");
        }
        assert!(matches!(Ticket::decode("hello"), Err(TicketError::Prefix)));
    }

    #[test]
    fn a_newer_version_says_so_and_debug_hides_the_key() {
        let mut bytes = vec![2, 0];
        bytes.extend_from_slice(&checksum(&bytes.clone()));
        let text = format!("{PREFIX}{}", data_encoding::BASE32_NOPAD.encode(&bytes));
        assert!(matches!(Ticket::decode(&text), Err(TicketError::Version(2))));
        assert!(!format!("{:?}", ticket(1)).contains("key"));
    }
}
