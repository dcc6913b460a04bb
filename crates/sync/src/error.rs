//! Why bytes from a peer are neither a message nor a bundle. No correct node sends such bytes.

use p2pdb_block::Refusal;
use thiserror::Error;

/// Why bytes were refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Not DAG-CBOR of the expected shape.
    #[error("malformed {what}: {detail}")]
    Malformed {
        /// Message or bundle.
        what: &'static str,
        /// What the decoder met.
        detail: String,
    },
    /// Something in a message is over its limit.
    #[error("{0} over the limit in a message")]
    OverLimit(&'static str),
    /// A bundle would be larger than allowed when decompressed, in bytes.
    #[error("a bundle of {0} bytes, more than the limit")]
    TooLarge(usize),
    /// zstd failed: not its format, or more data than announced.
    #[error("compression: {0}")]
    Compression(String),
    /// A bundle decompressed to another length than announced.
    #[error("a bundle of {is} bytes was announced with {should}")]
    WrongLength {
        /// Real length.
        is: usize,
        /// Announced length.
        should: usize,
    },
    /// Parts of a bundle in an order that makes no blocks.
    #[error("parts of a bundle out of order")]
    OutOfOrder,
    /// A block in it is none.
    #[error("{0}")]
    Block(Box<Refusal>),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Block(Box::new(refusal))
    }
}

impl Error {
    pub(crate) fn malformed(what: &'static str, detail: impl std::fmt::Display) -> Self {
        Error::Malformed { what, detail: detail.to_string() }
    }

    /// A block of a format that this build does not know: its sender is newer, not guilty.
    pub(crate) fn unknown_format(&self) -> Option<u64> {
        match self {
            Error::Block(refusal) => match **refusal {
                Refusal::UnknownFormat(n) => Some(n),
                _ => None,
            },
            _ => None,
        }
    }
}
