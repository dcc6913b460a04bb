//! The only owner of SQLite: one file per realm with its log, its tables and what is derived from them.
//!
//! * [`Writer`]: the one connection that writes. A SQLite transaction holds a group of local transactions or a
//!   batch of blocks; log, rows and everything derived are committed together, or not at all.
//! * [`Reader`], [`ReaderPool`]: snapshots that wait for nobody.
//! * `capture`: what local statements changed, row by row.
//! * `log`, `log_read`: blocks, bodies, transactions, branches, heads.
//! * `verify`, `compare`: what a flipped bit would be found by.
//!
//! Must never know: what a statement means, who may do what, the network. Functions, collations, verdicts and
//! unseen lists pass through without being understood. An error here is a fault of this machine.

mod backup;
mod capture;
#[cfg(test)]
mod capture_tests;
mod connection;
mod connection_reader;
mod connection_writer;
mod error;
mod functions;
mod lock;
mod log;
mod log_read;
pub mod meta;
mod open;
#[cfg(test)]
mod open_testing;
#[cfg(test)]
mod open_tests;
mod query;
mod sqlite;
pub mod verify;

pub use backup::{backup, restore};
pub use capture::{CAPTURE_BYTES_MAX, CaptureOp, Captured};
pub use connection::{Connection, Cost, InterruptHandle, PROGRESS_STEPS, STATEMENTS_MAX};
pub use connection_reader::{PooledReader, Reader, ReaderPool};
pub use connection_writer::{CheckpointReport, Savepoint, Writer};
pub use error::{ConstraintError, ConstraintKind, FunctionError, Result, StoreError};
pub use functions::{
    AggregateFn, AggregateFunction, AggregateState, CollationFn, CollationSequence, Functions, ScalarFn,
    ScalarFunction, VARIADIC,
};
pub use lock::DirLock;
pub use log::{
    BlockNo, BlockRecord, BranchNo, BranchRecord, NewBlock, NewBranch, NewTransaction, TxNo, TxRecord,
    Unseen, Verdict,
};
pub use log_read::{AccessAt, StoredBlock, StoredBody};
pub use open::{APPLICATION_ID, CHECKPOINT_PAGES, CHECKPOINT_PAGES_BOUND, FORMAT, Options};
pub use query::{Flow, NEXT, Params, Row, STOP};

/// Tables that every store has, in the order in which they are made: each module that owns tables lists its own.
pub(crate) const SCHEMAS: &[&str] = &[meta::SCHEMA, log::SCHEMA];
