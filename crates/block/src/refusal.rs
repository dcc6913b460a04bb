//! Why bytes are not a block. A refusal is a property of the bytes: every node gives the same one.

use p2pdb_model::ids::Cid;
use thiserror::Error;

/// Why a block, a body or a signature was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not DAG-CBOR of the expected shape.
    #[error("malformed {what}: {detail}")]
    Malformed {
        /// Envelope, header or body.
        what: &'static str,
        /// What the decoder met.
        detail: String,
    },
    /// Decodes, but encodes to other bytes.
    #[error("the {0} is not in its canonical encoding")]
    NotCanonical(&'static str),
    /// Another format than this build reads.
    #[error("unknown block format {0}")]
    UnknownFormat(u64),
    /// Something is longer or more than its limit.
    #[error("{what}: {is}, at most {max} are allowed")]
    TooLarge {
        /// What is too large, with its unit.
        what: &'static str,
        /// How large it is.
        is: u64,
        /// The limit.
        max: u64,
    },
    /// The header contradicts itself.
    #[error("{0}")]
    Header(&'static str),
    /// The body contradicts itself.
    #[error("{0}")]
    Body(&'static str),
    /// The author's key is not an ed25519 public key, or of small order.
    #[error("the author's key is not a valid ed25519 key")]
    BadKey,
    /// The signature does not hold (also: signed for another realm).
    #[error("the signature does not hold")]
    BadSignature,
    /// The block that should vouch does not name this one as its `prev`.
    #[error("the successor does not vouch for this block")]
    NotVouched,
    /// No parents, yet not the realm's genesis block.
    #[error("a block without parents that is not the genesis block of this realm")]
    OtherGenesis,
    /// The bytes hash to something else.
    #[error("the bytes do not hash to {should}")]
    WrongCid {
        /// The CID they were given for.
        should: Cid,
    },
    /// The bodies given are not those that the header lists.
    #[error("{is} bodies were given, the header lists {should}")]
    BodyCount {
        /// How many were given.
        is: usize,
        /// How many the header lists.
        should: usize,
    },
}

impl Refusal {
    pub(crate) fn malformed(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Refusal::Malformed { what, detail: detail.to_string() }
    }

    pub(crate) fn check_max(what: &'static str, is: usize, max: usize) -> Result<(), Self> {
        if is > max { Err(Refusal::TooLarge { what, is: is as u64, max: max as u64 }) } else { Ok(()) }
    }
}
