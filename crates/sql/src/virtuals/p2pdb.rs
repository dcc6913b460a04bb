//! The database `p2pdb`: what the log knows beside the tables. The rows are the engine's.

use super::{Col, Def, Ty};

use Ty::{Int, Long, Stamp, Text, UInt};

macro_rules! table {
    ($name:literal, $columns:expr) => {
        Def { database: "p2pdb", name: $name, columns: $columns, rows: None }
    };
}

const CONFLICTS: &[Col] = &[
    ("database", Text(64), true),
    ("table", Text(64), true),
    ("row_key", Long, true),
    ("column", Text(64), false),
    ("rule", Text(32), true),
    ("kept_value", Long, false),
    ("kept_author", Text(64), false),
    ("kept_account", Text(64), false),
    ("kept_stamp", UInt, false),
    ("kept_block", Text(64), false),
    ("lost_value", Long, false),
    ("lost_author", Text(64), false),
    ("lost_account", Text(64), false),
    ("lost_stamp", UInt, false),
    ("lost_block", Text(64), false),
];

const MEMBERS: &[Col] = &[
    ("node", Text(64), true),
    ("name", Text(64), true),
    ("role", Text(16), true),
    ("admitted", Text(32), true),
    ("removed", Text(32), false),
    ("self", Int, true),
    ("connected", Int, true),
];

const FRONTIER: &[Col] =
    &[("author", Text(64), true), ("chain", Text(64), true), ("seq", UInt, true), ("tip", Text(64), true)];

const BLOCKS: &[Col] = &[
    ("cid", Text(64), true),
    ("author", Text(64), true),
    ("chain", Text(64), true),
    ("seq", UInt, true),
    ("stamp", UInt, true),
    ("parents", Long, true),
    ("transactions", UInt, true),
    ("bytes", UInt, true),
    ("verdict", Text(64), true),
];

const FORKS: &[Col] = &[
    ("author", Text(64), true),
    ("chain", Text(64), true),
    ("seq", UInt, true),
    ("block_a", Text(64), true),
    ("block_b", Text(64), true),
];

const VOIDED: &[Col] = &[
    ("block", Text(64), true),
    ("transaction", UInt, true),
    ("author", Text(64), true),
    ("account", Text(64), true),
    ("reason", Long, true),
];

const TICKETS: &[Col] = &[
    ("ticket", Text(64), true),
    ("role", Text(16), true),
    ("expires", Stamp, false),
    ("uses", UInt, true),
    ("used", UInt, true),
    ("node", Text(64), false),
];

const ACCOUNT_KEYS: &[Col] =
    &[("account", Long, true), ("did", Text(64), true), ("since", Stamp, true), ("state", Text(16), true)];

const DELEGATIONS: &[Col] = &[
    ("account", Long, true),
    ("node", Text(64), false),
    ("ticket", Text(64), false),
    ("did", Text(64), true),
    ("since", Stamp, true),
    ("expires", Stamp, false),
    ("state", Text(128), true),
];

/// The tables.
pub(super) const TABLES: &[Def] = &[
    table!("account_keys", ACCOUNT_KEYS),
    table!("blocks", BLOCKS),
    table!("conflicts", CONFLICTS),
    table!("delegations", DELEGATIONS),
    table!("forks", FORKS),
    table!("frontier", FRONTIER),
    table!("members", MEMBERS),
    table!("tickets", TICKETS),
    table!("voided", VOIDED),
];
