//! The shared words of p2pdb: ids, stamps, values, column types, schema objects and changes.
//!
//! Everything here is plain data with its laws. No I/O, no clocks, no SQL text, no SQLite: time and
//! randomness arrive as arguments. What is written down in [`change`] is the content of the log and
//! therefore frozen under a rules number (see `docs/block-format.md`).

pub mod access;
pub mod catalog;
pub mod cell;
pub mod change;
pub mod decimal;
pub mod fault;
pub mod fit;
pub mod gtid;
pub mod id_class;
pub mod ids;
pub mod json;
pub mod privileges;
pub mod schema;
pub mod sealed;
pub mod stamp;
pub mod temporal;
pub mod temporary;
pub mod types;
pub mod value;
pub mod weak;

pub use catalog::Catalog;
pub use cell::{CellEdit, CellKind};
pub use change::{Body, Change, Transaction};
pub use gtid::GtidSet;
pub use ids::{AccountId, Cid, ColumnTag, NodeId, ObjectId, RealmId};
pub use privileges::Privileges;
pub use stamp::Stamp;
pub use types::SqlType;
pub use value::{RowKey, Value, ValueRef};
pub use weak::WeakInserts;

/// The rules number this build writes and understands: write order, constraint rules, verdicts,
/// collation tables, conversions and deterministic functions (DESIGN: "Genesis names `rules: 1`").
pub const RULES: u32 = 1;
