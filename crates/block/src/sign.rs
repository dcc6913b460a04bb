//! Signatures: ed25519 (RFC 8032) over `"p2pdb/<kind>/v1\0" ‖ genesis CID bytes ‖ content`.
//!
//! The kind keeps a signature of one use from passing for another, the genesis CID one of another realm. In
//! the genesis block itself the CID is not known yet; there the genesis CID bytes are empty. Keys arrive as
//! arguments; nothing here makes or keeps one.

use ed25519_dalek::Signer;
pub use ed25519_dalek::{SigningKey, VerifyingKey};
use p2pdb_model::RealmId;
use p2pdb_model::ids::{NodeId, PublicKey};

use crate::refusal::Refusal;

/// An ed25519 signature.
pub type Signature = [u8; 64];

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// A block's header, by its author.
    Block,
    /// A delegation, by the account's key.
    Delegation,
    /// A node's admission, by the ticket's key.
    Admission,
}

impl Domain {
    fn prefix(self) -> &'static [u8] {
        match self {
            Domain::Block => b"p2pdb/block/v1\0",
            Domain::Delegation => b"p2pdb/delegation/v1\0",
            Domain::Admission => b"p2pdb/admission/v1\0",
        }
    }
}

/// The node id of this key.
pub fn node_id(key: &SigningKey) -> NodeId {
    NodeId(key.verifying_key().to_bytes())
}

/// The public key of this key.
pub fn public_key(key: &SigningKey) -> PublicKey {
    PublicKey(key.verifying_key().to_bytes())
}

fn preimage(domain: Domain, realm: Option<&RealmId>, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + crate::cid::CID_BYTES + content.len());
    out.extend_from_slice(domain.prefix());
    if let Some(realm) = realm {
        out.extend_from_slice(&realm.0.to_bytes());
    }
    out.extend_from_slice(content);
    out
}

/// Signs `content`; `realm` is `None` inside a genesis block.
pub fn sign(domain: Domain, realm: Option<&RealmId>, content: &[u8], key: &SigningKey) -> Signature {
    key.sign(&preimage(domain, realm, content)).to_bytes()
}

/// Checks a signature (strictly: no key of small order, no second signature for the same content).
pub fn verify(
    domain: Domain,
    realm: Option<&RealmId>,
    content: &[u8],
    key: &[u8; 32],
    signature: &[u8],
) -> Result<(), Refusal> {
    let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| Refusal::BadSignature)?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| Refusal::BadKey)?;
    key.verify_strict(&preimage(domain, realm, content), &signature).map_err(|_| Refusal::BadSignature)
}
