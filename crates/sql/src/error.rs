//! MySQL errors: number, SQLSTATE and wording (MySQL 8.0 Error Message Reference).
//!
//! The helpers here are those that several rooms need; an error that one place raises is made there.

use std::borrow::Cow;
use std::fmt::Display;

/// An error as a MySQL client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERROR {code} ({state}): {message}")]
pub struct SqlError {
    /// MySQL error number.
    pub code: u16,
    /// Five characters of SQLSTATE.
    pub state: Cow<'static, str>,
    /// MySQL's wording.
    pub message: String,
}

/// `name@host` as messages have it.
fn quoted(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    format!("'{user}'@'{host}'")
}

impl SqlError {
    /// The same error with another word in its message.
    pub(crate) fn renamed(self, from: &str, to: &str) -> Self {
        SqlError { message: self.message.replace(from, to), ..self }
    }

    /// An error with this number, state and message.
    pub fn new(code: u16, state: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code, state: state.into(), message: message.into() }
    }

    /// 1235: a feature that is not there yet, by its name.
    pub fn unsupported(what: impl Display) -> Self {
        Self::new(1235, "42000", format!("This version of MySQL doesn't yet support '{what}'"))
    }

    /// 1772 for a text that is no set of GTIDs.
    pub fn malformed_gtid_set(text: &str) -> Self {
        Self::new(1772, "HY000", format!("Malformed GTID set specification '{text}'."))
    }

    /// 1367 for a number that no double holds.
    pub fn illegal_double(number: &str) -> Self {
        Self::new(1367, "22007", format!("Illegal double '{number}' value found during parsing"))
    }

    /// 1064 near this rest of the statement.
    pub fn syntax(near: &str, line: u64) -> Self {
        const NEAR_CHARS_MAX: usize = 80;
        let near: String = near.chars().take(NEAR_CHARS_MAX).collect();
        Self::new(
            1064,
            "42000",
            format!(
                "You have an error in your SQL syntax; check the manual that corresponds to your MySQL server \
                 version for the right syntax to use near '{near}' at line {line}"
            ),
        )
    }

    /// 1049.
    pub fn unknown_database(name: impl Display) -> Self {
        Self::new(1049, "42000", format!("Unknown database '{name}'"))
    }

    /// 1046.
    pub fn no_database() -> Self {
        Self::new(1046, "3D000", "No database selected")
    }

    /// 1146.
    pub fn no_table(database: impl Display, table: impl Display) -> Self {
        Self::new(1146, "42S02", format!("Table '{database}.{table}' doesn't exist"))
    }

    /// 1051.
    pub fn unknown_table(names: impl Display) -> Self {
        Self::new(1051, "42S02", format!("Unknown table '{names}'"))
    }

    /// 1050.
    pub fn table_exists(table: impl Display) -> Self {
        Self::new(1050, "42S01", format!("Table '{table}' already exists"))
    }

    /// 1054: `place` is `field list`, `where clause` and the like.
    pub fn unknown_column(column: impl Display, place: impl Display) -> Self {
        Self::new(1054, "42S22", format!("Unknown column '{column}' in '{place}'"))
    }

    /// 1060.
    pub fn duplicate_column(name: impl Display) -> Self {
        Self::new(1060, "42S21", format!("Duplicate column name '{name}'"))
    }

    /// 1061.
    pub fn duplicate_key_name(name: impl Display) -> Self {
        Self::new(1061, "42000", format!("Duplicate key name '{name}'"))
    }

    /// 1062.
    pub fn duplicate_entry(entry: impl Display, key: impl Display) -> Self {
        Self::new(1062, "23000", format!("Duplicate entry '{entry}' for key '{key}'"))
    }

    /// 1067.
    pub fn invalid_default(column: impl Display) -> Self {
        Self::new(1067, "42000", format!("Invalid default value for '{column}'"))
    }

    /// 1072.
    pub fn no_key_column(column: impl Display) -> Self {
        Self::new(1072, "42000", format!("Key column '{column}' doesn't exist in table"))
    }

    /// 1091.
    pub fn cannot_drop(name: impl Display) -> Self {
        Self::new(1091, "42000", format!("Can't DROP '{name}'; check that column/key exists"))
    }

    /// 1115.
    pub fn unknown_charset(name: impl Display) -> Self {
        Self::new(1115, "42000", format!("Unknown character set: '{name}'"))
    }

    /// 1273.
    pub fn unknown_collation(name: impl Display) -> Self {
        Self::new(1273, "HY000", format!("Unknown collation: '{name}'"))
    }

    /// 1193.
    pub fn unknown_variable(name: impl Display) -> Self {
        Self::new(1193, "HY000", format!("Unknown system variable '{name}'"))
    }

    /// 1044.
    pub fn database_denied(account: &str, database: impl Display) -> Self {
        let who = quoted(account);
        Self::new(1044, "42000", format!("Access denied for user {who} to database '{database}'"))
    }

    /// 1045, of somebody who is logged in.
    pub fn access_denied(account: &str) -> Self {
        Self::new(1045, "28000", format!("Access denied for user {} (using password: YES)", quoted(account)))
    }

    /// 1142.
    pub fn table_denied(account: &str, command: impl Display, table: impl Display) -> Self {
        let who = quoted(account);
        Self::new(1142, "42000", format!("{command} command denied to user {who} for table '{table}'"))
    }

    /// 1143.
    pub fn column_denied(account: &str, command: impl Display, column: &str, table: impl Display) -> Self {
        let who = quoted(account);
        let message =
            format!("{command} command denied to user {who} for column '{column}' in table '{table}'");
        Self::new(1143, "42000", message)
    }

    /// 1370. `routine` with its database.
    pub fn routine_denied(account: &str, command: impl Display, routine: impl Display) -> Self {
        let who = quoted(account);
        Self::new(1370, "42000", format!("{command} command denied to user {who} for routine '{routine}'"))
    }

    /// 1048.
    pub fn not_null(column: impl Display) -> Self {
        Self::new(1048, "23000", format!("Column '{column}' cannot be null"))
    }

    /// 1364.
    pub fn no_default(column: impl Display) -> Self {
        Self::new(1364, "HY000", format!("Field '{column}' doesn't have a default value"))
    }

    /// 1136.
    pub fn value_count(row: usize) -> Self {
        Self::new(1136, "21S01", format!("Column count doesn't match value count at row {row}"))
    }

    /// 3105.
    pub fn generated_value(column: impl Display, table: impl Display) -> Self {
        let message =
            format!("The value specified for generated column '{column}' in table '{table}' is not allowed.");
        Self::new(3105, "HY000", message)
    }
}
