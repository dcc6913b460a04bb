//! `information_schema`: the catalog as tables (MySQL 8.0 manual, chapter "INFORMATION_SCHEMA Tables").

mod absent;
mod constraints;
mod objects;
mod server;

use super::{Def, Ty, programs};
use crate::virtuals::grants;

pub(super) use objects::{PRIVILEGES, databases, measures, statistics, table_status, view_status};
pub use objects::{default_of_result, type_of_field, type_of_result};
pub(super) use server::{character_sets, collations, engines, plugins, processlist};

pub(super) const SCHEMA: &str = "information_schema";

macro_rules! table {
    ($name:literal, $columns:expr, $rows:expr) => {
        Def { database: SCHEMA, name: $name, columns: $columns, rows: Some($rows) }
    };
    ($name:literal, $columns:expr) => {
        table!($name, $columns, |_| Vec::new())
    };
}

/// The tables.
pub(super) const TABLES: &[Def] = &[
    table!("CHARACTER_SETS", server::CHARACTER_SETS, server::character_sets),
    table!("CHECK_CONSTRAINTS", constraints::CHECK_CONSTRAINTS, constraints::check_constraints),
    table!("COLLATIONS", server::COLLATIONS, server::collations),
    table!("COLLATION_CHARACTER_SET_APPLICABILITY", server::APPLICABILITY, server::applicability),
    table!("COLUMNS", objects::COLUMNS, objects::columns),
    table!("COLUMN_PRIVILEGES", server::COLUMN_PRIVILEGES, grants::columns),
    table!("COLUMN_STATISTICS", absent::COLUMN_STATISTICS),
    table!("ENGINES", server::ENGINES, server::engines),
    table!("EVENTS", absent::EVENTS),
    table!("FILES", absent::FILES),
    table!("KEYWORDS", server::KEYWORDS, server::keywords),
    table!("KEY_COLUMN_USAGE", constraints::KEY_COLUMN_USAGE, constraints::key_column_usage),
    table!("PARAMETERS", programs::PARAMETERS, programs::parameters),
    table!("PARTITIONS", absent::PARTITIONS, absent::partitions),
    table!("PLUGINS", server::PLUGINS, server::plugins),
    table!("PROCESSLIST", server::PROCESSLIST, server::processlist),
    table!("REFERENTIAL_CONSTRAINTS", constraints::REFERENTIAL, constraints::referential),
    table!("ROUTINES", programs::ROUTINES, programs::routines),
    table!("SCHEMATA", objects::SCHEMATA, objects::schemata),
    table!("SCHEMA_PRIVILEGES", server::SCHEMA_PRIVILEGES, grants::databases),
    table!("STATISTICS", objects::STATISTICS, objects::all_statistics),
    table!("TABLES", objects::TABLES_COLUMNS, objects::tables),
    table!("TABLE_CONSTRAINTS", constraints::TABLE_CONSTRAINTS, constraints::table_constraints),
    table!("TABLE_PRIVILEGES", server::TABLE_PRIVILEGES, grants::tables),
    table!("TRIGGERS", programs::TRIGGERS, programs::triggers),
    table!("USER_PRIVILEGES", server::USER_PRIVILEGES, grants::users),
    table!("VIEWS", objects::VIEWS, objects::views),
];
