//! The only owner of SQLite: one file per realm with its log, its tables and what is derived from them.
//!
//! * [`Writer`]: the one connection that writes. A SQLite transaction holds a group of local transactions or a
//!   batch of blocks; log, rows and everything derived are committed together, or not at all.
//! * [`Reader`], [`ReaderPool`]: snapshots that wait for nobody.
//! * `capture`: what local statements changed, row by row.
//! * `log`, `log_read`: blocks, bodies, transactions, branches, heads.
//! * [`Merger`] with `objects`, `materialize`, `apply`, `displaced`, `finalize`, `index`, `fingerprint`: the merged
//!   tables, their change index and what keeps them equal on every node (`docs/merge.md`).
//! * `temporary`: tables that belong to one session.
//! * `verify`, `compare`: what a flipped bit would be found by.
//!
//! Must never know: what a statement means, who may do what, the network. Functions, collations, verdicts and
//! unseen lists pass through without being understood. An error here is a fault of this machine.

mod adrift;
#[cfg(test)]
mod adrift_tests;
mod apply;
#[cfg(test)]
mod apply_laws;
mod apply_row;
#[cfg(test)]
mod apply_testing;
#[cfg(test)]
mod apply_tests;
mod backup;
#[cfg(test)]
mod backup_tests;
mod beside;
mod capture;
#[cfg(test)]
mod capture_tests;
mod claims;
mod claims_bent;
mod collation;
mod conflicts;
mod connection;
mod connection_reader;
mod connection_writer;
mod derived;
mod disk;
mod displaced;
mod displaced_settle;
mod dropped;
#[cfg(test)]
mod dropped_tests;
mod effects;
#[cfg(test)]
mod effects_tests;
mod error;
mod finalize;
mod fingerprint;
mod functions;
mod generated;
mod index;
mod index_ident;
mod joint;
mod kept;
mod lock;
mod log;
mod log_damage;
mod log_read;
#[cfg(test)]
mod log_testing;
#[cfg(test)]
mod log_tests;
mod looks;
mod materialize;
mod materialize_plan;
mod meaning;
mod measure;
mod mend;
pub mod meta;
mod newer;
mod objects;
mod obstacles;
mod open;
#[cfg(test)]
mod open_testing;
#[cfg(test)]
mod open_tests;
mod query;
mod resolve;
mod search;
mod settled;
mod sound;
#[cfg(test)]
mod sound_tests;
mod sqlite;
mod sync;
mod temporary;
#[cfg(test)]
mod temporary_tests;
pub mod verify;
#[cfg(test)]
mod verify_tests;
#[cfg(test)]
mod visible_testing;
mod whole;
#[cfg(test)]
mod whole_laws;

pub use apply::{Applied, MERGE, Merger};
pub use backup::{Ids, backup, remove_store, restore, restore_checked, unmoved};
pub use capture::{CAPTURE_BYTES_MAX, CaptureOp, Captured};
pub use claims::{CASCADE_DEPTH_MAX, TableChecks, Violation};
pub use conflicts::{Conflict, RowCell, Rule, Side, Version};
pub use connection::{
    CheckpointReport, Connection, Cost, InterruptHandle, OneState, PROGRESS_STEPS, STATEMENTS_MAX,
};
pub use connection_reader::{PooledReader, Reader, ReaderPool};
pub use connection_writer::{Savepoint, Writer};
pub use disk::Disk;
pub use displaced::Reason;
pub use error::{ConstraintError, ConstraintKind, FunctionError, Result, StoreError};
pub use finalize::{ForeignKeys, Local, LocalChanges, OfInserts};
pub use fingerprint::Fingerprint;
pub use functions::{
    AggregateFn, AggregateFunction, AggregateState, CollationFn, CollationSequence, Functions, ScalarFn,
    ScalarFunction, VARIADIC,
};
pub use index::{IsAncestor, Origin};
pub use index_ident::HIDDEN_KEY_BYTES;
pub use kept::{CutBlock, Kept};
pub use lock::DirLock;
pub use log::{
    BlockNo, BlockRecord, BranchNo, BranchRecord, NewBlock, NewBranch, NewTransaction, TxNo, TxRecord,
    Unseen, Verdict,
};
pub use log_damage::{Left, log_damage};
pub use log_read::{AccessAt, StoredBlock, StoredBody};
pub use looks::Refill;
pub use meaning::{
    CheckOf, Conversion, ConversionOf, Converted, DefaultOf, GeneratedOf, LookOf, Meaning, RenamedIn,
};
pub use mend::{Mending, Standing, Waiting};
pub use newer::Newer;
pub use obstacles::Obstacle;
pub use open::{APPLICATION_ID, CHECKPOINT_PAGES, CHECKPOINT_PAGES_BOUND, FORMAT, Options};
pub use query::{Flow, NEXT, Params, Row, STOP};
pub use resolve::{Decision, Found};
pub use sync::LogSync;
pub use temporary::{TEMPORARY_BYTES_MAX, TemporaryWriter};

/// Tables that every store has, in the order in which they are made: each module that owns tables lists its own.
pub(crate) const SCHEMAS: &[&str] = &[
    meta::SCHEMA,
    log::SCHEMA,
    log::ADDS_SCHEMA,
    index::SCHEMA,
    index::BENT_SCHEMA,
    beside::SCHEMA,
    fingerprint::SCHEMA,
];
