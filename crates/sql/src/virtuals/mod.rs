//! Virtual tables: `information_schema`, `performance_schema`, `mysql` and `p2pdb`, and the rows of SHOW.
//!
//! A virtual table has a fixed list of columns ([`describe`]). The lowered SQL of a query that names one reads
//! `json_each(?n)` with a slot [`crate::plan::Source::Virtual`]; when the statement runs, [`rows_json`] makes the rows
//! from the catalog, the session and what the engine tells through [`Environment`].
//!
//! SHOW reads the same way from the database [`SHOW`], whose table names carry the arguments (see [`crate::statement`]),
//! so that `SHOW … WHERE` is an ordinary SELECT.

use std::sync::Arc;

use p2pdb_model::types::Collation;
use p2pdb_model::{Catalog, Value};

use crate::collate::wildcard;
use crate::error::SqlError;
use crate::field::{Field, FieldKind, FieldType};
use crate::session::SessionState;

mod grants;
mod information;
mod p2pdb;
mod performance;
mod programs;
pub(crate) mod show;

pub use information::{default_of_result, type_of_field, type_of_result};

/// The databases that hold virtual tables only.
pub const DATABASES: [&str; 4] = ["information_schema", "mysql", "p2pdb", "performance_schema"];
/// Those of them that SHOW DATABASES lists. Programs that dump all databases leave out these two and no others, and what
/// is in `mysql` and `p2pdb` is not to be loaded anywhere.
pub const LISTED: [&str; 2] = ["information_schema", "performance_schema"];
/// The database of the tables behind SHOW; no client can list it.
pub const SHOW: &str = "$show";

/// The canonical name of a virtual database (its name ignores case), or `None` for others.
pub fn database_name(name: &str) -> Option<&'static str> {
    DATABASES.into_iter().find(|d| d.eq_ignore_ascii_case(name))
}

/// True for the name of a database of virtual tables, in any case.
pub fn is_virtual_database(name: &str) -> bool {
    database_name(name).is_some()
}

/// A column of a virtual table.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualColumn {
    /// Its name as results show it (upper case in `information_schema`).
    pub name: String,
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
    /// Its canonical name; with the database it is the name in [`crate::plan::Source::Virtual`].
    pub name: String,
    /// Its columns; column `i` of a row is `json_extract(value, '$[i]')`.
    pub columns: Vec<VirtualColumn>,
}

impl VirtualTable {
    /// The result columns of `SELECT *`.
    pub fn fields(&self) -> Vec<Field> {
        let shown = if self.database == SHOW { "" } else { self.name.as_str() };
        let field = |c: &VirtualColumn| Field {
            org_name: c.name.clone(),
            table: shown.to_owned(),
            org_table: shown.to_owned(),
            database: if shown.is_empty() { String::new() } else { self.database.to_owned() },
            not_null: c.not_null,
            ..Field::expression(&c.name, c.ty.clone())
        };
        self.columns.iter().map(field).collect()
    }

    /// `SELECT *` as SQLite text over `?1`.
    pub fn select_all(&self) -> String {
        let columns: Vec<_> =
            (0..self.columns.len()).map(|i| format!("json_extract(value,'$[{i}]')")).collect();
        format!("SELECT {} FROM json_each(?1)", columns.join(","))
    }

    /// The name in [`crate::plan::Source::Virtual`].
    pub fn source_name(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }
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
    /// What the client says of itself: names and values, in its order.
    pub attributes: Vec<(String, String)>,
}

/// What virtual tables need to know besides catalog and session. The engine implements it.
pub trait Environment {
    /// The sessions that the asking account may see.
    fn processes(&self) -> Vec<Process>;
    /// Status counters by MySQL's name (`Uptime`, `Threads_connected`, `Questions`, …): those of all sessions, or of this one.
    fn status(&self, session: u64, global: bool) -> Vec<(String, String)>;
    /// The accounts of the realm, as (user, host).
    fn accounts(&self) -> Vec<(String, String)>;
    /// What the accounts and roles that the asking account may know of were granted, each by itself, in the order of creation.
    fn granted(&self) -> Vec<crate::account::Granted>;
    /// Rows of a table of the database `p2pdb`, in the order of the columns of [`describe`].
    ///
    /// # Errors
    /// When they cannot be read.
    fn p2pdb(&self, table: &str) -> Result<Vec<Vec<Value>>, SqlError>;
    /// Every version of the row with this key (as text, column by column), in the order of the columns of
    /// `CALL p2pdb.history`.
    ///
    /// # Errors
    /// 1146, or when they cannot be read.
    fn history(&self, database: &str, table: &str, key: &[String]) -> Result<Vec<Vec<Value>>, SqlError>;
    /// Rows in a table, exact or estimated, and bytes that it takes.
    fn table_size(&self, table: p2pdb_model::ObjectId) -> (u64, u64);
    /// The next AUTO_INCREMENT value of a table.
    fn auto_increment(&self, table: p2pdb_model::ObjectId) -> u64;
}

/// What rows are made from.
pub(crate) struct Cx<'a> {
    pub catalog: &'a Catalog,
    pub session: &'a SessionState,
    pub environment: &'a dyn Environment,
}

/// A row of a virtual table.
pub(crate) type Row = Vec<Value>;

/// Types of virtual columns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ty {
    /// VARCHAR of this many characters.
    Text(u32),
    /// LONGTEXT.
    Long,
    /// BIGINT.
    Int,
    /// BIGINT UNSIGNED.
    UInt,
    /// INT.
    Short,
    /// INT UNSIGNED.
    Count,
    /// DATETIME.
    When,
    /// TIMESTAMP; rows hold it in UTC.
    Stamp,
    /// ENUM; rows hold the member's text.
    Enum(&'static [&'static str]),
    /// SET; rows hold the members as one text.
    Set(&'static [&'static str]),
}

impl Ty {
    /// The result type.
    pub(crate) fn field(self) -> FieldType {
        let of = |kind, unsigned, length, decimals| FieldType {
            kind,
            unsigned,
            length,
            decimals,
            collation: Collation::Binary,
            zerofill: false,
        };
        let text =
            |kind, length| FieldType { collation: Collation::Utf8mb4GeneralCi, ..of(kind, false, length, 0) };
        match self {
            Ty::Text(n) => text(FieldKind::VarChar, n),
            Ty::Long => text(FieldKind::Text, u32::MAX / 4),
            Ty::Int => of(FieldKind::LongLong, false, 20, 0),
            Ty::UInt => of(FieldKind::LongLong, true, 20, 0),
            Ty::Short => of(FieldKind::Long, true, 5, 0),
            Ty::Count => of(FieldKind::Long, true, 10, 0),
            Ty::When => of(FieldKind::DateTime, false, 19, 0),
            Ty::Stamp => of(FieldKind::Timestamp, false, 19, 0),
            Ty::Enum(m) => {
                let longest = m.iter().map(|m| m.len()).max().unwrap_or(0);
                text(FieldKind::Enum(members(m)), longest as u32)
            }
            Ty::Set(m) => {
                let all: usize = m.iter().map(|m| m.len() + 1).sum();
                text(FieldKind::Set(members(m)), all.saturating_sub(1) as u32)
            }
        }
    }
}

fn members(m: &[&str]) -> Arc<[String]> {
    m.iter().map(|m| (*m).to_owned()).collect()
}

/// The stored form of a value that rows hold as text.
fn stored(ty: Ty, v: Value) -> Value {
    match (ty, v) {
        (Ty::Enum(m), Value::Text(t)) => {
            Value::Int(m.iter().position(|m| *m == t).map_or(0, |n| n as i64 + 1))
        }
        (Ty::Set(m), Value::Text(t)) => {
            let bit = |t: &str| m.iter().position(|m| *m == t).map_or(0, |n| 1_i64 << n);
            Value::Int(t.split(',').map(bit).fold(0, |a, b| a | b))
        }
        (_, v) => v,
    }
}

/// A column: name, type, NOT NULL.
pub(crate) type Col = (&'static str, Ty, bool);

/// A virtual table: database, name, columns, and who makes the rows.
pub(crate) struct Def {
    pub database: &'static str,
    pub name: &'static str,
    pub columns: &'static [Col],
    /// None: the engine makes them ([`Environment::p2pdb`]).
    pub rows: Option<fn(&Cx<'_>) -> Vec<Row>>,
}

/// Text as a value.
pub(crate) fn text(t: impl Into<String>) -> Value {
    Value::Text(t.into())
}

/// Optional text as a value.
pub(crate) fn maybe(t: Option<impl Into<String>>) -> Value {
    t.map_or(Value::Null, |t| Value::Text(t.into()))
}

/// A time in UTC, as a TIMESTAMP is stored.
pub(crate) fn stamp(unix_ms: u64) -> Value {
    let utc_us = i64::try_from(unix_ms.saturating_mul(1000)).unwrap_or(0);
    Value::Int(p2pdb_model::temporal::DateTime::from_unix_us(utc_us).truncated(0).pack())
}

/// A count as a value (above 2^63-1 the greatest).
pub(crate) fn count(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn defs() -> impl Iterator<Item = &'static Def> {
    information::TABLES.iter().chain(performance::TABLES).chain(p2pdb::TABLES)
}

fn find(database: &str, table: &str) -> Option<&'static Def> {
    let database = database_name(database)?;
    defs().find(|d| d.database == database && d.name.eq_ignore_ascii_case(table))
}

/// The names of the tables of a virtual database.
pub fn tables(database: &str) -> Vec<&'static str> {
    let Some(database) = database_name(database) else {
        return Vec::new();
    };
    let mut all: Vec<_> = defs().filter(|d| d.database == database).map(|d| d.name).collect();
    all.sort_unstable();
    all
}

/// The virtual table of this name in this virtual database (both ignore case).
pub fn describe(database: &str, table: &str) -> Option<VirtualTable> {
    if database == SHOW {
        return show::describe(table);
    }
    let def = find(database, table)?;
    let columns = def.columns.iter().map(|(name, ty, not_null)| VirtualColumn {
        name: (*name).to_owned(),
        ty: ty.field(),
        not_null: *not_null,
    });
    Some(VirtualTable { database: def.database, name: def.name.to_owned(), columns: columns.collect() })
}

/// The rows of `Source::Virtual(name, args)` as a JSON array of arrays; `name` is [`VirtualTable::source_name`].
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
    let _ = args;
    let cx = Cx { catalog, session, environment };
    let (database, table) = name.split_once('.').unwrap_or((name, ""));
    let rows = if database == SHOW {
        show::rows(&cx, table)?
    } else {
        let def = find(database, table).ok_or_else(|| SqlError::no_table(database, table))?;
        let rows = match def.rows {
            Some(rows) => rows(&cx),
            None => environment.p2pdb(def.name)?,
        };
        let fit = |r: Row| r.into_iter().zip(def.columns).map(|(v, (_, ty, _))| stored(*ty, v)).collect();
        rows.into_iter().map(fit).collect()
    };
    Ok(json(rows))
}

fn json(rows: Vec<Row>) -> String {
    let cell = |v| match v {
        Value::Null => serde_json::Value::Null,
        Value::Int(n) => n.into(),
        Value::Real(r) => r.into(),
        Value::Text(t) => t.into(),
        Value::Blob(b) => String::from_utf8_lossy(&b).into_owned().into(),
    };
    let rows: Vec<serde_json::Value> =
        rows.into_iter().map(|r| serde_json::Value::Array(r.into_iter().map(cell).collect())).collect();
    serde_json::Value::Array(rows).to_string()
}

/// A pattern for names, of SHOW … LIKE and COM_FIELD_LIST: LIKE without regard to case, but to accents; `\` escapes.
pub struct NamePattern(Vec<char>);

impl NamePattern {
    /// Reads a pattern; what many `%` say, one says.
    pub fn new(pattern: &str) -> Self {
        let mut folded: Vec<char> = Vec::new();
        let (mut escapes, mut is_any) = (false, false);
        for c in pattern.chars().flat_map(char::to_lowercase) {
            let repeats = is_any && c == '%';
            is_any = c == '%' && !escapes;
            escapes = c == '\\' && !escapes;
            if !repeats {
                folded.push(c);
            }
        }
        NamePattern(folded)
    }

    /// Whether the name is one of those. What it costs grows with the name, not with the pattern.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
        wildcard(&name, &self.0, |c| *c == '%', |c| *c == '_', |c| *c == '\\', |a, b| a == b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_ignore_case_and_know_their_wildcards() {
        for (text, pattern, want) in [
            ("sql_mode", "SQL%", true),
            ("sql_mode", "sql\\_mode", true),
            ("sqlxmode", "sql\\_mode", false),
            ("sqlxmode", "sql_mode", true),
            ("", "%", true),
            ("", "_", false),
            ("", "", true),
            ("a", "%%", true),
            ("a%b", "a\\%%", true),
            ("axb", "a\\%%", false),
            ("a\\", "a\\", true),
            ("version", "version", true),
            ("version_comment", "version", false),
            ("aXbXc", "%x%x%", true),
            ("Äpfel", "äPF%", true),
            ("Äpfel", "apfel", false),
            ("a", "ä", false),
            // Trying each way of cutting the text would take for ever.
            (&"a".repeat(64), &("%a".repeat(32) + "%b"), false),
            (&"ä".repeat(64), &("%_".repeat(32) + "!"), false),
            (&"a".repeat(64), &("%".repeat(1_000_000) + "ä"), false),
        ] {
            assert_eq!(NamePattern::new(pattern).matches(text), want, "{text} LIKE {pattern}");
        }
    }

    #[test]
    fn tables_are_found_in_any_case_and_columns_are_named_once() {
        assert!(describe("Information_Schema", "tables").is_some());
        assert!(describe("information_schema", "nope").is_none());
        for def in defs() {
            let mut names: Vec<_> = def.columns.iter().map(|c| c.0.to_lowercase()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), def.columns.len(), "{}", def.name);
        }
    }
}
