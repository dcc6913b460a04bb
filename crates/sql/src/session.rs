//! The state of one client session, as far as the meaning of SQL depends on it.
//!
//! The engine owns one [`SessionState`] per connection and hands it out by reference: while a statement is compiled
//! (current database, sql_mode), while slots are bound (clock zone, variables, LAST_INSERT_ID) and to the virtual
//! tables. It changes only through the methods here and through the engine's bookkeeping after a statement. Variables
//! that steer compilation or binding are fields; all others live in a table keyed by name ([`crate::variables`]).
//!
//! Not here: transactions, snapshots, prepared statements and locks, which are the engine's.

use std::collections::HashMap;
use std::sync::Arc;

use p2pdb_model::types::Collation;
use p2pdb_model::{AccountId, Catalog, Value};

use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::plan::{EarlierWarnings, Note, NoteLevel};
use crate::variables::{self, Globals, Scope};
use crate::zone::Zone;

/// How many warnings of one statement are kept (`max_error_count`).
pub const WARNINGS_MAX: usize = 1024;

/// The bits of `sql_mode` (values of MySQL 8.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SqlMode(pub u64);

impl SqlMode {
    /// REAL means FLOAT.
    pub const REAL_AS_FLOAT: SqlMode = SqlMode(1);
    /// `||` concatenates.
    pub const PIPES_AS_CONCAT: SqlMode = SqlMode(1 << 1);
    /// `"` quotes names.
    pub const ANSI_QUOTES: SqlMode = SqlMode(1 << 2);
    /// Space is allowed before the parenthesis of a function call.
    pub const IGNORE_SPACE: SqlMode = SqlMode(1 << 3);
    /// Errors 1055, 1140, 3065.
    pub const ONLY_FULL_GROUP_BY: SqlMode = SqlMode(1 << 5);
    /// A subtraction of unsigned operands may be negative.
    pub const NO_UNSIGNED_SUBTRACTION: SqlMode = SqlMode(1 << 6);
    /// Ignored, as there are no directories in CREATE TABLE.
    pub const NO_DIR_IN_CREATE: SqlMode = SqlMode(1 << 7);
    /// The combination ANSI was chosen.
    pub const ANSI: SqlMode = SqlMode(1 << 18);
    /// 0 is an ordinary value of an AUTO_INCREMENT column.
    pub const NO_AUTO_VALUE_ON_ZERO: SqlMode = SqlMode(1 << 19);
    /// `\` is an ordinary character.
    pub const NO_BACKSLASH_ESCAPES: SqlMode = SqlMode(1 << 20);
    /// Bad values are errors.
    pub const STRICT_TRANS_TABLES: SqlMode = SqlMode(1 << 21);
    /// Bad values are errors.
    pub const STRICT_ALL_TABLES: SqlMode = SqlMode(1 << 22);
    /// Dates with a zero month or day are refused (strict) or warned about.
    pub const NO_ZERO_IN_DATE: SqlMode = SqlMode(1 << 23);
    /// The date 0000-00-00 is refused (strict) or warned about.
    pub const NO_ZERO_DATE: SqlMode = SqlMode(1 << 24);
    /// Only the ranges of month (1 to 12) and day (1 to 31) are checked.
    pub const ALLOW_INVALID_DATES: SqlMode = SqlMode(1 << 25);
    /// Division by zero warns (1365), and is an error when written in strict mode.
    pub const ERROR_FOR_DIVISION_BY_ZERO: SqlMode = SqlMode(1 << 26);
    /// The combination TRADITIONAL was chosen.
    pub const TRADITIONAL: SqlMode = SqlMode(1 << 27);
    /// NOT binds like `!`.
    pub const HIGH_NOT_PRECEDENCE: SqlMode = SqlMode(1 << 29);
    /// An unknown ENGINE is an error.
    pub const NO_ENGINE_SUBSTITUTION: SqlMode = SqlMode(1 << 30);
    /// CHAR values are read with their padding.
    pub const PAD_CHAR_TO_FULL_LENGTH: SqlMode = SqlMode(1 << 31);
    /// Fractional seconds are cut, not rounded.
    pub const TIME_TRUNCATE_FRACTIONAL: SqlMode = SqlMode(1 << 32);

    /// MySQL 8's default.
    pub const DEFAULT: SqlMode = SqlMode(
        SqlMode::ONLY_FULL_GROUP_BY.0
            | SqlMode::STRICT_TRANS_TABLES.0
            | SqlMode::NO_ZERO_IN_DATE.0
            | SqlMode::NO_ZERO_DATE.0
            | SqlMode::ERROR_FOR_DIVISION_BY_ZERO.0
            | SqlMode::NO_ENGINE_SUBSTITUTION.0,
    );

    /// Names and bits, in the order in which MySQL shows them.
    const NAMES: [(&'static str, SqlMode); 21] = [
        ("REAL_AS_FLOAT", SqlMode::REAL_AS_FLOAT),
        ("PIPES_AS_CONCAT", SqlMode::PIPES_AS_CONCAT),
        ("ANSI_QUOTES", SqlMode::ANSI_QUOTES),
        ("IGNORE_SPACE", SqlMode::IGNORE_SPACE),
        ("ONLY_FULL_GROUP_BY", SqlMode::ONLY_FULL_GROUP_BY),
        ("NO_UNSIGNED_SUBTRACTION", SqlMode::NO_UNSIGNED_SUBTRACTION),
        ("NO_DIR_IN_CREATE", SqlMode::NO_DIR_IN_CREATE),
        ("ANSI", SqlMode::ANSI),
        ("NO_AUTO_VALUE_ON_ZERO", SqlMode::NO_AUTO_VALUE_ON_ZERO),
        ("NO_BACKSLASH_ESCAPES", SqlMode::NO_BACKSLASH_ESCAPES),
        ("STRICT_TRANS_TABLES", SqlMode::STRICT_TRANS_TABLES),
        ("STRICT_ALL_TABLES", SqlMode::STRICT_ALL_TABLES),
        ("NO_ZERO_IN_DATE", SqlMode::NO_ZERO_IN_DATE),
        ("NO_ZERO_DATE", SqlMode::NO_ZERO_DATE),
        ("ALLOW_INVALID_DATES", SqlMode::ALLOW_INVALID_DATES),
        ("ERROR_FOR_DIVISION_BY_ZERO", SqlMode::ERROR_FOR_DIVISION_BY_ZERO),
        ("TRADITIONAL", SqlMode::TRADITIONAL),
        ("HIGH_NOT_PRECEDENCE", SqlMode::HIGH_NOT_PRECEDENCE),
        ("NO_ENGINE_SUBSTITUTION", SqlMode::NO_ENGINE_SUBSTITUTION),
        ("PAD_CHAR_TO_FULL_LENGTH", SqlMode::PAD_CHAR_TO_FULL_LENGTH),
        ("TIME_TRUNCATE_FRACTIONAL", SqlMode::TIME_TRUNCATE_FRACTIONAL),
    ];

    /// Every bit of `other` is set.
    pub fn has(self, other: SqlMode) -> bool {
        self.0 & other.0 == other.0
    }

    /// STRICT_TRANS_TABLES or STRICT_ALL_TABLES.
    pub fn strict(self) -> bool {
        self.0 & (SqlMode::STRICT_TRANS_TABLES.0 | SqlMode::STRICT_ALL_TABLES.0) != 0
    }

    /// Parses a comma separated list; the first unknown name is the error (for 1231).
    pub fn parse(text: &str) -> Result<SqlMode, String> {
        let mut bits = 0;
        for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let found = SqlMode::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
            bits |= found.ok_or_else(|| word.to_owned())?.1.0;
        }
        SqlMode(bits).expanded()
    }

    /// The mode with this number, as `SET sql_mode = 1411383296` gives it.
    pub fn from_bits(bits: u64) -> Result<SqlMode, String> {
        let known = SqlMode::NAMES.iter().fold(0, |all, (_, m)| all | m.0);
        if bits & !known != 0 { Err(bits.to_string()) } else { SqlMode(bits).expanded() }
    }

    fn expanded(self) -> Result<SqlMode, String> {
        let mut bits = self.0;
        if self.has(SqlMode::ANSI) {
            bits |= SqlMode::REAL_AS_FLOAT.0
                | SqlMode::PIPES_AS_CONCAT.0
                | SqlMode::ANSI_QUOTES.0
                | SqlMode::IGNORE_SPACE.0
                | SqlMode::ONLY_FULL_GROUP_BY.0;
        }
        if self.has(SqlMode::TRADITIONAL) {
            bits |= SqlMode::STRICT_TRANS_TABLES.0
                | SqlMode::STRICT_ALL_TABLES.0
                | SqlMode::NO_ZERO_IN_DATE.0
                | SqlMode::NO_ZERO_DATE.0
                | SqlMode::ERROR_FOR_DIVISION_BY_ZERO.0
                | SqlMode::NO_ENGINE_SUBSTITUTION.0;
        }
        Ok(SqlMode(bits))
    }
}

impl std::fmt::Display for SqlMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut first = true;
        for (name, _) in SqlMode::NAMES.iter().filter(|(_, bit)| self.has(*bit)) {
            f.write_str(if first { "" } else { "," })?;
            f.write_str(name)?;
            first = false;
        }
        Ok(())
    }
}

/// A session's time zone. `SYSTEM` is UTC, on every node alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone {
    /// As `@@time_zone` shows it.
    pub name: String,
    /// What it means.
    pub zone: Zone,
}

impl TimeZone {
    /// `SYSTEM`.
    pub fn system() -> Self {
        TimeZone { name: "SYSTEM".to_owned(), zone: Zone::default() }
    }

    /// See [`Zone::parse`].
    ///
    /// # Errors
    /// 1298.
    pub fn parse(text: &str) -> Result<Self, SqlError> {
        Zone::parse(text).map(|(name, zone)| TimeZone { name, zone })
    }
}

/// Isolation levels. Every transaction reads on a snapshot; the level is kept to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ (the default).
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

impl Isolation {
    /// Every level, in MySQL's order.
    pub const ALL: [Isolation; 4] = [
        Isolation::ReadUncommitted,
        Isolation::ReadCommitted,
        Isolation::RepeatableRead,
        Isolation::Serializable,
    ];

    /// MySQL's spelling with dashes.
    pub fn name(self) -> &'static str {
        match self {
            Isolation::ReadUncommitted => "READ-UNCOMMITTED",
            Isolation::ReadCommitted => "READ-COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE-READ",
            Isolation::Serializable => "SERIALIZABLE",
        }
    }

    /// The level of this name, with dashes or blanks.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace(' ', "-");
        Self::ALL.into_iter().find(|i| i.name().eq_ignore_ascii_case(&name))
    }
}

/// A user variable: a value in the stored form of its type.
#[derive(Clone, Debug, PartialEq)]
pub struct UserVariable {
    /// The value.
    pub value: Value,
    /// Its type.
    pub ty: FieldType,
}

impl UserVariable {
    /// Longest name, in characters.
    pub const NAME_CHARS_MAX: usize = 64;

    /// Reading one of any name is reading one that is not there; giving it a value takes a name that can be had.
    ///
    /// # Errors
    /// 3061 for an empty name, one that is too long, and one that ends in a space.
    pub fn check_name(name: &str) -> Result<(), SqlError> {
        if name.is_empty() || name.ends_with(' ') || name.chars().count() > Self::NAME_CHARS_MAX {
            return Err(SqlError::new(3061, "42000", format!("User variable name '{name}' is illegal")));
        }
        Ok(())
    }
}

/// A condition that SIGNAL raised.
#[derive(Clone, Debug, PartialEq)]
pub struct Signalled {
    /// Number, SQLSTATE and message.
    pub error: SqlError,
    /// The other items that were set, by MySQL's names.
    pub items: Vec<(String, String)>,
}

/// The warnings that were there when the statement began.
#[derive(Clone, Copy, Debug, Default)]
struct Earlier {
    count: u64,
    /// So many of the list go when the statement ends.
    forget: usize,
}

/// One session.
#[derive(Clone, Debug)]
pub struct SessionState {
    /// CONNECTION_ID().
    pub connection_id: u64,
    /// The name the client logged in with.
    pub user: String,
    /// The host the client comes from.
    pub client_host: String,
    /// The account that matched, `name@host`, for CURRENT_USER().
    pub account: String,
    /// The current database.
    pub database: Option<String>,
    /// `sql_mode`.
    pub sql_mode: SqlMode,
    /// `time_zone`.
    pub time_zone: TimeZone,
    /// `autocommit`.
    pub autocommit: bool,
    /// `transaction_isolation`.
    pub isolation: Isolation,
    /// `transaction_read_only`.
    pub read_only: bool,
    /// `character_set_client`: `utf8mb4`, `utf8mb3`, `latin1`, `ascii` or `binary`.
    pub charset_client: &'static str,
    /// `character_set_results`; `None` (NULL) is `binary`: results as they are.
    pub charset_results: Option<&'static str>,
    /// `character_set_connection`.
    pub charset_connection: &'static str,
    /// `collation_connection`: the collation of literals.
    pub collation: Collation,
    /// `foreign_key_checks`.
    pub foreign_key_checks: bool,
    /// `unique_checks`.
    pub unique_checks: bool,
    /// `sql_safe_updates`.
    pub safe_updates: bool,
    /// `sql_select_limit`; `u64::MAX` is no limit.
    pub select_limit: u64,
    /// `max_execution_time` in milliseconds; 0 is no limit.
    pub max_execution_time_ms: u64,
    /// `group_concat_max_len` in bytes.
    pub group_concat_max_len: u64,
    /// `div_precision_increment`.
    pub div_precision_increment: u8,
    /// `cte_max_recursion_depth`.
    pub cte_max_recursion_depth: u64,
    /// `sql_notes`: notes are recorded.
    pub sql_notes: bool,
    /// `timestamp` set by the client: microseconds since the Unix epoch that NOW() gives.
    pub timestamp_us: Option<i64>,
    /// `insert_id`: the next AUTO_INCREMENT value.
    pub insert_id: Option<u64>,
    /// LAST_INSERT_ID().
    pub last_insert_id: u64,
    /// ROW_COUNT() of the statement before; -1 after a result set.
    pub row_count: i64,
    /// FOUND_ROWS() of the statement before.
    pub found_rows: u64,
    /// What the calls of the running statement gave ([`crate::plan::Plan::calls`]).
    pub calls: Vec<(Value, FieldType)>,
    /// Local variables of the stored program that is running.
    pub locals: Option<Box<crate::routine::Locals>>,
    /// What SIGNAL raised, as long as a handler or GET DIAGNOSTICS may ask.
    pub raised: Vec<Signalled>,
    /// What SELECT … INTO assigned to local variables.
    pub assigned: Vec<(usize, Value)>,
    /// Seals and opens cells of sealed columns.
    pub sealer: Option<Arc<dyn crate::execute::Sealer>>,
    /// The roles in force, with their names as CURRENT_ROLE() gives them.
    pub roles: Vec<(AccountId, String)>,
    /// What SHOW WARNINGS shows.
    pub warnings: Vec<Note>,
    /// How many warnings there were, kept or not (`@@warning_count`).
    pub warning_count: u64,
    earlier_warnings: Earlier,
    /// User variables by lower-case name.
    pub user_variables: HashMap<String, UserVariable>,
    /// The other session variables that differ from the global value at connect.
    pub(crate) variables: HashMap<&'static str, Value>,
    /// The global values.
    pub globals: Arc<Globals>,
}

impl SessionState {
    /// A session as it is after login, with the global values of all variables.
    pub fn new(globals: Arc<Globals>, connection_id: u64, user: &str, host: &str, account: &str) -> Self {
        let mut s = SessionState {
            connection_id,
            user: user.to_owned(),
            client_host: host.to_owned(),
            account: account.to_owned(),
            database: None,
            sql_mode: SqlMode::DEFAULT,
            time_zone: TimeZone::system(),
            autocommit: true,
            isolation: Isolation::RepeatableRead,
            read_only: false,
            charset_client: "utf8mb4",
            charset_results: Some("utf8mb4"),
            charset_connection: "utf8mb4",
            collation: Collation::Utf8mb4_0900AiCi,
            foreign_key_checks: true,
            unique_checks: true,
            safe_updates: false,
            select_limit: u64::MAX,
            max_execution_time_ms: 0,
            group_concat_max_len: 1024,
            div_precision_increment: 4,
            cte_max_recursion_depth: 1000,
            sql_notes: true,
            timestamp_us: None,
            insert_id: None,
            last_insert_id: 0,
            row_count: -1,
            found_rows: 0,
            calls: Vec::new(),
            locals: None,
            raised: Vec::new(),
            assigned: Vec::new(),
            sealer: None,
            roles: Vec::new(),
            warnings: Vec::new(),
            warning_count: 0,
            earlier_warnings: Earlier::default(),
            user_variables: HashMap::new(),
            variables: HashMap::new(),
            globals: globals.clone(),
        };
        for (name, value) in globals.changed() {
            if variables::find(name).is_some_and(|v| v.scope != Scope::Global) {
                // A global value passed the same checks when it was set.
                let _ = variables::store_session(&mut s, name, value);
            }
        }
        s
    }

    /// COM_RESET_CONNECTION: everything but identity and current database is as after login.
    pub fn reset(&mut self) {
        let fresh = SessionState::new(
            self.globals.clone(),
            self.connection_id,
            &self.user,
            &self.client_host,
            &self.account,
        );
        let (database, sealer) = (self.database.take(), self.sealer.take());
        *self = SessionState { database, sealer, ..fresh };
    }

    /// `name@client-host`, for USER().
    pub fn user_at_host(&self) -> String {
        format!("{}@{}", self.user, self.client_host)
    }

    /// The current database, or 1046.
    pub fn database_or_err(&self) -> Result<&str, SqlError> {
        self.database.as_deref().ok_or_else(|| SqlError::new(1046, "3D000", "No database selected"))
    }

    /// USE: checks that the database is there.
    ///
    /// # Errors
    /// 1049.
    pub fn use_database(&mut self, catalog: &Catalog, name: &str) -> Result<(), SqlError> {
        let name = crate::virtuals::database_name(name).unwrap_or(name);
        if crate::virtuals::database_name(name).is_none() && catalog.database(name).is_none() {
            return Err(SqlError::unknown_database(name));
        }
        self.database = Some(name.to_owned());
        Ok(())
    }

    /// The connection's character set is a part of utf8mb4.
    pub(crate) fn narrow_charset(&self) -> bool {
        matches!(self.charset_connection, "utf8mb3" | "latin1" | "ascii")
    }

    /// SET NAMES: character set (`default` is utf8mb4) and collation.
    ///
    /// # Errors
    /// 1115, 1273, 1253.
    pub fn set_names(&mut self, charset: &str, collation: Option<&str>) -> Result<(), SqlError> {
        let charset = if charset.eq_ignore_ascii_case("default") { "utf8mb4" } else { charset };
        let set = variables::charset(charset)?;
        let collation = match collation {
            Some(name) => variables::of_connection(variables::collation_of_charset(name, set)?),
            None => variables::default_collation(set),
        };
        self.charset_client = set;
        self.charset_results = Some(set);
        self.charset_connection = set;
        self.collation = collation;
        Ok(())
    }

    /// SET CHARACTER SET: the client's and the results' character set; the connection takes the database's.
    ///
    /// # Errors
    /// 1115.
    pub fn set_character_set(&mut self, charset: &str) -> Result<(), SqlError> {
        self.set_names(charset, None)?;
        self.charset_connection = "utf8mb4";
        self.collation = Collation::Utf8mb4_0900AiCi;
        Ok(())
    }

    /// The value of `@@name` (`name` in lower case).
    ///
    /// # Errors
    /// 1193 unknown, 1238 when there is no such scope.
    pub fn system_variable(&self, name: &str, global: bool) -> Result<Value, SqlError> {
        variables::read(self, name, global)
    }

    /// SET of a system variable (`None` is DEFAULT); the value stands in the stored form of `kind`.
    ///
    /// # Errors
    /// 1193, 1229, 1231, 1232, 1238 and those of the variable itself.
    pub fn set_variable(
        &mut self,
        global: bool,
        name: &str,
        value: Option<(&Value, &FieldKind)>,
    ) -> Result<Vec<Note>, SqlError> {
        variables::write(self, global, name, value)
    }

    /// There is such a variable, and it may be set there.
    ///
    /// # Errors
    /// 1193, 1228, 1229, 1238, 1621.
    pub fn is_settable(&self, global: bool, name: &str) -> Result<(), SqlError> {
        let found = variables::find(name).ok_or_else(|| SqlError::unknown_variable(name))?;
        variables::writable(found, global)
    }

    /// Whether [`Self::set_variable`] takes the value, asked of all assignments of a statement before the first is made.
    ///
    /// # Errors
    /// As there.
    pub fn may_set(
        &self,
        global: bool,
        name: &str,
        value: Option<(&Value, &FieldKind)>,
    ) -> Result<(), SqlError> {
        variables::may_write(self, global, name, value)
    }

    /// SET @name.
    ///
    /// # Errors
    /// 3061: [`UserVariable::check_name`].
    pub fn set_user_variable(&mut self, name: &str, value: Value, ty: FieldType) -> Result<(), SqlError> {
        UserVariable::check_name(name)?;
        self.user_variables.insert(name.to_owned(), UserVariable { value, ty });
        Ok(())
    }

    /// The local variables in sight.
    pub fn locals_in_sight(&self) -> Option<&crate::routine::Locals> {
        self.locals.as_deref().filter(|l| !l.hidden)
    }

    /// Forgets the warnings of the statement before.
    pub fn clear_warnings(&mut self) {
        self.warnings.clear();
        self.warning_count = 0;
    }

    /// A statement begins that does this with the warnings there are.
    pub fn begin_warnings(&mut self, earlier: EarlierWarnings) {
        if earlier == EarlierWarnings::Cleared {
            self.clear_warnings();
        }
        let forget = if earlier == EarlierWarnings::Counted { self.warnings.len() } else { 0 };
        self.earlier_warnings = Earlier { count: self.warning_count, forget };
    }

    /// The statement has ended: how many warnings are its own.
    pub fn end_warnings(&mut self) -> u64 {
        let earlier = std::mem::take(&mut self.earlier_warnings);
        let own = self.warning_count.saturating_sub(earlier.count);
        if earlier.forget > 0 {
            self.warnings.drain(..earlier.forget.min(self.warnings.len()));
            self.warning_count = own;
        }
        own
    }

    /// A statement has failed: ROW_COUNT() and the warning list say so.
    pub fn failed(&mut self, e: &SqlError) {
        self.row_count = -1;
        self.warn(Note { level: NoteLevel::Error, code: e.code, message: e.message.clone() });
    }

    /// Records a warning; beyond [`WARNINGS_MAX`] it is only counted. Notes count only with `sql_notes`.
    pub fn warn(&mut self, note: Note) {
        if note.level == NoteLevel::Note && !self.sql_notes {
            return;
        }
        self.warning_count += 1;
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(note);
        }
    }

    /// `@@error_count`.
    pub fn error_count(&self) -> u64 {
        self.warnings.iter().filter(|n| n.level == NoteLevel::Error).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_modes_expand_and_show_in_mysqls_order() {
        assert_eq!(
            SqlMode::DEFAULT.to_string(),
            "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
             ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
        );
        assert_eq!(
            SqlMode::parse("ansi").map(|m| m.to_string()),
            Ok("REAL_AS_FLOAT,PIPES_AS_CONCAT,ANSI_QUOTES,IGNORE_SPACE,ONLY_FULL_GROUP_BY,ANSI".into())
        );
        assert_eq!(SqlMode::parse("STRICT_ALL_TABLES,NO_SUCH"), Err("NO_SUCH".into()));
        assert_eq!(SqlMode::parse(" , ,"), Ok(SqlMode(0)));
    }
}
