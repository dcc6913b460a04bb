//! Node ids and libp2p peer ids name the same ed25519 key: a peer id is the identity multihash of the key.

use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};
use p2pdb_model::ids::NodeId;

/// Multihash code of the identity function, which keys of up to 42 bytes use (libp2p peer id specification).
const IDENTITY: u64 = 0;

/// The peer id of a node; `None` when the bytes are not a point of the curve.
pub fn peer_of(node: &NodeId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(&node.0).ok()?;
    Some(PeerId::from_public_key(&PublicKey::from(key)))
}

/// Somebody may hold the private part of this key: the bytes are a point of the curve, written in the one right way, and none of
/// the eight points of small order.
pub fn can_be_held(node: &NodeId) -> bool {
    // 2^255 - 19, above which the same point is written a second time.
    let (low, high) = (node.0[0], node.0[31] & 0x7f);
    let is_reduced = low < 0xed || high != 0x7f || node.0[1..31].iter().any(|b| *b != 0xff);
    let key = ed25519_dalek::VerifyingKey::from_bytes(&node.0);
    is_reduced && key.is_ok_and(|key| !key.is_weak())
}

/// The node of a peer id; `None` when its key is not ed25519.
pub fn node_of(peer: &PeerId) -> Option<NodeId> {
    let hash = peer.as_ref();
    if hash.code() != IDENTITY {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(NodeId(key.try_into_ed25519().ok()?.to_bytes()))
}

#[cfg(test)]
mod tests {
    use libp2p::identity::Keypair;

    use super::*;

    #[test]
    fn a_node_and_its_peer_id_convert_into_each_other() {
        let peer = Keypair::generate_ed25519().public().to_peer_id();
        let node = node_of(&peer).expect("ed25519");
        assert_eq!(peer_of(&node), Some(peer));
    }

    #[test]
    fn what_nobody_can_hold_is_no_key() {
        let node = node_of(&Keypair::generate_ed25519().public().to_peer_id()).expect("ed25519");
        assert!(can_be_held(&node));
        let mut one = [0; 32];
        one[0] = 1;
        for bytes in [[0; 32], [0xff; 32], [2; 32], one] {
            assert!(!can_be_held(&NodeId(bytes)), "{bytes:?}");
        }
    }

    #[test]
    fn a_peer_id_of_another_kind_of_key_is_no_node() {
        assert_eq!(node_of(&PeerId::random()), None);
    }
}
