//! Errors: what a peer did wrong on the wire ([`ProtocolError`]), what a statement is answered with
//! ([`ServerError`]), and what this program asked the encoder that has no encoding ([`EncodeError`]).

use thiserror::Error;

/// The peer broke the protocol. The connection has already queued the ERR packet; send it and close.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The handshake response or SSLRequest cannot be read.
    #[error("Bad handshake")]
    BadHandshake,
    /// The client does not speak the 4.1 protocol with 4.1 authentication.
    #[error(
        "Client does not support authentication protocol requested by server; consider upgrading MySQL client"
    )]
    OldClient,
    /// The client says that it compresses, which was not offered: it would not understand any further answer.
    #[error("This version of MySQL doesn't yet support 'compression of the connection'")]
    Compression,
    /// The sequence number of a packet is not the next one.
    #[error("Got packets out of order")]
    OutOfOrder,
    /// A packet, or what is buffered of one, is longer than allowed.
    #[error("Got a packet bigger than 'max_allowed_packet' bytes")]
    TooLarge,
    /// A packet ends too early, has bytes left over, or holds a value that does not exist.
    #[error("Malformed communication packet")]
    Malformed,
    /// The peer goes on sending without reading answers, beyond [`crate::frame::BACKLOG_BYTES_MAX`].
    #[error("Got more commands than can be queued; read the answers first")]
    Backlog,
    /// Bytes arrived after the connection was closed.
    #[error("The connection is closed")]
    Closed,
}

impl ProtocolError {
    /// MySQL's error number and SQLSTATE for this error.
    pub fn code(&self) -> (u16, &'static str) {
        match self {
            ProtocolError::BadHandshake => (1043, "08S01"),
            ProtocolError::OldClient => (1251, "08004"),
            ProtocolError::Compression => (1235, "42000"),
            ProtocolError::OutOfOrder => (1156, "08S01"),
            ProtocolError::TooLarge => (1153, "08S01"),
            ProtocolError::Malformed => (1835, "HY000"),
            ProtocolError::Backlog => (1835, "HY000"),
            ProtocolError::Closed => (1053, "08S01"),
        }
    }
}

/// An error as a client sees it: number, SQLSTATE, text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("ERROR {code} ({sqlstate}): {message}")]
pub struct ServerError {
    /// MySQL's error number.
    pub code: u16,
    /// Five characters of SQLSTATE.
    pub sqlstate: String,
    /// The text; more than [`crate::response::ERROR_MESSAGE_BYTES_MAX`] bytes are cut.
    pub message: String,
}

impl ServerError {
    /// An error from its parts.
    pub fn new(code: u16, sqlstate: &str, message: impl Into<String>) -> ServerError {
        ServerError { code, sqlstate: sqlstate.to_owned(), message: message.into() }
    }
}

impl From<&ProtocolError> for ServerError {
    fn from(error: &ProtocolError) -> ServerError {
        let (code, sqlstate) = error.code();
        ServerError::new(code, sqlstate, error.to_string())
    }
}

/// A row that cannot be encoded: a fault of the caller, never of the peer. The row was taken back; answer an
/// error (1105) instead of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The cell has no representation in the column's type, or would change its value in it.
    #[error("column {column}: a {cell} does not fit the column type {column_type}")]
    Mismatch {
        /// Index of the column, from 0.
        column: usize,
        /// Kind of the cell.
        cell: &'static str,
        /// Name of the column type.
        column_type: String,
    },
    /// The row has more or fewer cells than the result has columns.
    #[error("a row of {cells} cells for {columns} columns")]
    CellCount {
        /// Cells given.
        cells: usize,
        /// Columns announced.
        columns: usize,
    },
}
