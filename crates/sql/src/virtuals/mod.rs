//! Virtual tables: `information_schema`, `performance_schema`, `mysql` and `p2pdb`, and the rows of SHOW.
//!
//! A virtual table has a fixed list of columns ([`describe`]). The lowered SQL of a query that names one reads
//! `json_each(?n)` with a slot [`crate::plan::Source::Virtual`]; when the statement runs, [`rows_json`] makes the rows
//! from the catalog, the session and what the engine tells through [`Environment`].

use p2pdb_model::{Catalog, Value};

use crate::error::SqlError;
use crate::field::FieldType;
use crate::session::SessionState;

/// The databases that hold virtual tables only.
pub const DATABASES: [&str; 4] = ["information_schema", "mysql", "p2pdb", "performance_schema"];

/// The canonical name of a virtual database (its name ignores case), or `None` for others.
pub fn database_name(name: &str) -> Option<&'static str> {
    DATABASES.into_iter().find(|d| d.eq_ignore_ascii_case(name))
}

/// A column of a virtual table.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualColumn {
    /// Its name as results show it (upper case in `information_schema`).
    pub name: &'static str,
    /// Its type. Values are laid out in JSON so that `json_extract` gives the stored form: integers as numbers, text
    /// as strings, NULL as null; other storage classes do not occur.
    pub ty: FieldType,
    /// NOT NULL.
    pub not_null: bool,
}

/// A virtual table.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualTable {
    /// Its database, canonical.
    pub database: &'static str,
    /// Its canonical name.
    pub name: &'static str,
    /// Its columns; column `i` of a row is `json_extract(value, '$[i]')`.
    pub columns: Vec<VirtualColumn>,
}

/// A running session, for the process list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// CONNECTION_ID().
    pub id: u64,
    /// User name.
    pub user: String,
    /// Client host with port.
    pub host: String,
    /// Current database.
    pub database: Option<String>,
    /// `Query`, `Sleep`, `Execute`, …
    pub command: String,
    /// Seconds in this state.
    pub time_s: u64,
    /// What it does.
    pub state: String,
    /// The statement's text.
    pub info: Option<String>,
}

/// What virtual tables need to know besides catalog and session. The engine implements it.
pub trait Environment {
    /// The sessions that the asking account may see.
    fn processes(&self) -> Vec<Process>;
    /// Status counters by MySQL's name (`Uptime`, `Threads_connected`, `Questions`, …).
    fn status(&self, global: bool) -> Vec<(String, String)>;
    /// The accounts of the realm, as (user, host).
    fn accounts(&self) -> Vec<(String, String)>;
    /// Rows of a table of the database `p2pdb`, in the order of the columns of [`describe`].
    fn p2pdb(&self, table: &str) -> Vec<Vec<Value>>;
    /// Rows in a table, exact or estimated, and bytes that it takes.
    fn table_size(&self, table: p2pdb_model::ObjectId) -> (u64, u64);
    /// The next AUTO_INCREMENT value of a table.
    fn auto_increment(&self, table: p2pdb_model::ObjectId) -> u64;
}

/// The virtual table of this name in this virtual database (both ignore case).
pub fn describe(database: &str, table: &str) -> Option<VirtualTable> {
    let _ = (database, table);
    None
}

/// The rows of `Source::Virtual(name, args)` as a JSON array of arrays. `name` is `database.table`, canonical, or
/// `show.<what>`.
///
/// # Errors
/// Those of SHOW at execution (1146, 1049 …).
pub fn rows_json(
    name: &str,
    args: &[Option<String>],
    catalog: &Catalog,
    session: &SessionState,
    environment: &dyn Environment,
) -> Result<String, SqlError> {
    let _ = (name, args, catalog, session, environment);
    Ok("[]".to_owned())
}
