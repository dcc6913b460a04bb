//! Sealed columns, as far as everybody sees them: the tag, the shape of a sealed cell, and wrapped keys. How a cell is sealed and
//! opened is in `crates/access`; the rules are in `docs/security.md`, section 7.

use crate::ids::{AccountId, EpochId, NodeId};

/// The tag in a column's COMMENT.
pub const TAG: &str = "[sealed]";

/// Bytes of a wrapped column key: HPKE's encapsulated key (32), then the sealed key (32) and its tag (16).
pub const WRAPPED_BYTES: usize = 80;

/// The first byte of a sealed cell.
pub const CELL_VERSION: u8 = 1;
/// Bytes of its nonce.
pub const NONCE_BYTES: usize = 24;
/// Where its ciphertext begins.
pub const CELL_HEAD_BYTES: usize = 1 + EpochId::LEN + NONCE_BYTES;
/// What an index on a sealed column has of a cell begins with this where it can be opened, and with [`LOOK_UNOPENED`] where not:
/// the latter are greater than all others.
pub const LOOK_OPENED: u8 = 0;
/// See [`LOOK_OPENED`].
pub const LOOK_UNOPENED: u8 = 1;

/// The least that follows: the tag of XChaCha20-Poly1305 over one byte.
const CIPHERTEXT_BYTES_MIN: usize = 17;

/// The tag stands in a comment, upper or lower case.
pub fn is_in(comment: &str) -> bool {
    comment.contains('[') && comment.to_ascii_lowercase().contains(TAG)
}

/// The epoch under which these bytes say that they were sealed, if they have the shape of a sealed cell.
pub fn epoch_of(cell: &[u8]) -> Option<EpochId> {
    if cell.first() != Some(&CELL_VERSION) || cell.len() < CELL_HEAD_BYTES + CIPHERTEXT_BYTES_MIN {
        return None;
    }
    EpochId::from_slice(&cell[1..=EpochId::LEN])
}

/// A column key for one reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWrap {
    /// The account that may read.
    pub account: AccountId,
    /// Its node.
    pub node: NodeId,
    /// The key, wrapped to the node's key.
    pub wrapped: [u8; WRAPPED_BYTES],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_one_shape() {
        let mut cell = vec![7; CELL_HEAD_BYTES + CIPHERTEXT_BYTES_MIN];
        cell[0] = CELL_VERSION;
        assert_eq!(epoch_of(&cell), Some(EpochId([7; 16])));
        assert_eq!(epoch_of(&cell[..cell.len() - 1]), None);
        cell[0] = 2;
        assert_eq!(epoch_of(&cell), None);
        assert_eq!(epoch_of(b""), None);
    }

    #[test]
    fn the_tag_may_stand_anywhere_in_a_comment() {
        assert!(is_in("[sealed]") && is_in("name of the patient [Sealed]"));
        assert!(!is_in("sealed") && !is_in("[sealed"));
    }
}
