//! What can go wrong in the engine, and how a client is told.

use p2pdb_block::Refusal;
use p2pdb_sql::error::SqlError;
use p2pdb_store::StoreError;

/// ER_DISK_FULL.
pub(crate) const DISK_FULL: u16 = 1021;

/// A failure of this node (not of a statement, not of a peer).
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A block of our own could not be made.
    #[error("cannot write a block: {0}")]
    Block(#[from] Refusal),
    /// The data directory holds something else than was expected.
    #[error("{0}")]
    State(String),
    /// The caller asked for something that the realm does not allow.
    #[error("{0}")]
    Refused(String),
    /// The account was not granted what its changes need.
    #[error("the transaction would be void: {0}")]
    Denied(p2pdb_access::Reason),
    /// The disk is full, as another statement of the group found; the words for a client.
    #[error("{0}")]
    Full(String),
    /// A fault took back a group of transactions, or a block that others sent; the words of the fault.
    #[error("what was to be committed together was rolled back: {0}")]
    RolledBack(String),
    /// The engine is stopping.
    #[error("the node is shutting down")]
    Stopping,
}

impl EngineError {
    /// True where what is in the data directory is at fault.
    pub fn is_damage(&self) -> bool {
        match self {
            EngineError::Store(e) => e.is_damage(),
            EngineError::State(_) => true,
            _ => false,
        }
    }

    /// As a MySQL client sees it.
    pub fn to_sql(&self) -> SqlError {
        match self {
            EngineError::Store(e) => store_to_sql(e),
            EngineError::Full(text) => SqlError::new(DISK_FULL, "HY000", text.clone()),
            EngineError::Stopping => SqlError::new(1053, "08S01", "Server shutdown in progress"),
            EngineError::Block(Refusal::TooLarge { .. }) => transaction_too_large(),
            EngineError::Block(_) | EngineError::State(_) | EngineError::RolledBack(_) => {
                SqlError::new(1105, "HY000", self.to_string())
            }
            EngineError::Denied(_) => SqlError::new(1142, "42000", format!("Command denied: {self}")),
            EngineError::Refused(why) => SqlError::new(1290, "HY000", why.clone()),
        }
    }
}

/// 1197: a transaction is one part of a block, and what it changes is kept in memory until it is committed.
pub(crate) fn transaction_too_large() -> SqlError {
    let max = p2pdb_block::limits::BLOCK_BODY_BYTES_TOTAL_MAX >> 20;
    let message = format!(
        "Multi-statement transaction required more than {max} MiB of storage, which is the most that one transaction may \
         change; commit in smaller parts"
    );
    SqlError::new(1197, "HY000", message)
}

/// A fault of the store as a MySQL error. Constraint violations are worded where the statement is known.
pub(crate) fn store_to_sql(e: &StoreError) -> SqlError {
    match e {
        StoreError::Full(_) => SqlError::new(
            DISK_FULL,
            "HY000",
            "Disk full; the statement changed nothing. Free some space, then try again",
        ),
        StoreError::CaptureFull { .. } => transaction_too_large(),
        StoreError::Owner(_) => SqlError::new(1348, "HY000", e.to_string()),
        StoreError::Interrupted => SqlError::new(1317, "70100", "Query execution was interrupted"),
        StoreError::StepBudget(_) => SqlError::new(
            3024,
            "HY000",
            "Query execution was interrupted, maximum statement execution time exceeded",
        ),
        e => {
            let text = e.to_string();
            match TOO_LARGE.iter().any(|t| text.contains(t)) {
                true => SqlError::new(
                    1436,
                    "HY000",
                    "Thread stack overrun: the statement is too large. Send it in several, or put its values into a table",
                ),
                false => SqlError::new(1105, "HY000", text),
            }
        }
    }
}

/// How SQLite says that a statement has too many values, terms or levels.
const TOO_LARGE: [&str; 6] = [
    "variable number must be",
    "Expression tree is too large",
    "Recursion limit",
    "parser stack overflow",
    "too many terms",
    "too many columns",
];
