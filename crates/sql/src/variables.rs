//! System variables: names, scopes, types, defaults (MySQL 8.0 manual, section "Server System Variables").
//!
//! The table holds what clients, ORMs and dump programs read or set. A variable that steers something is a field of
//! [`SessionState`]; the rest are values that are kept, checked by type and shown, because their absence (1193) breaks
//! clients while their effect belongs to another server's engine (`sort_buffer_size`, `innodb_…`). What a variable
//! does is said in the user's book; a setting that would promise something we do not do is read only, or takes the one value
//! that it has.

use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use p2pdb_model::decimal::Decimal;
use p2pdb_model::types::Collation;
use p2pdb_model::{GtidSet, Value};

use crate::error::SqlError;
use crate::field::{FieldKind, FieldType};
use crate::plan::{Note, NoteLevel};
use crate::session::{Isolation, SessionState, SqlMode, TimeZone};

pub use crate::variable_table::{Kind, Scope, VARIABLES, Variable};

/// What `VERSION()` says.
pub const VERSION: &str = concat!("8.0.40-p2pdb-", env!("CARGO_PKG_VERSION"));
/// `@@version_comment`.
pub const VERSION_COMMENT: &str = "p2pdb, a decentralised database (Apache-2.0)";

/// The variable of this name (lower case).
pub fn find(name: &str) -> Option<&'static Variable> {
    let at = VARIABLES.binary_search_by(|v| v.name.cmp(name)).ok()?;
    VARIABLES.get(at)
}

/// The global values that differ from the defaults, and those that the node fixes at its start (`port`, `hostname`).
#[derive(Default)]
pub struct Globals {
    set: RwLock<HashMap<&'static str, Value>>,
    fixed: HashMap<&'static str, Value>,
    executed: OnceLock<Box<dyn Fn() -> GtidSet + Send + Sync>>,
}

impl std::fmt::Debug for Globals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Globals").field("set", &self.set).field("fixed", &self.fixed).finish_non_exhaustive()
    }
}

impl Globals {
    /// Global values with these given by the node; unknown names are left out.
    pub fn new<'a>(fixed: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        let fixed = fixed.into_iter().filter_map(|(n, v)| Some((find(n)?.name, v))).collect();
        Globals { set: RwLock::default(), fixed, executed: OnceLock::new() }
    }

    /// Says once where `@@gtid_executed` comes from.
    pub fn executed_by(&self, executed: impl Fn() -> GtidSet + Send + Sync + 'static) {
        // Whoever comes later would say the same.
        let _ = self.executed.set(Box::new(executed));
    }

    /// The value of a variable.
    pub fn get(&self, v: &Variable) -> Value {
        if v.name == "gtid_executed"
            && let Some(executed) = self.executed.get()
        {
            return Value::Text(executed().to_string());
        }
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.get(v.name).or_else(|| self.fixed.get(v.name)).cloned().unwrap_or_else(|| v.default_value())
    }

    /// The values that were set or fixed.
    pub fn changed(&self) -> Vec<(&'static str, Value)> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        let fixed = self.fixed.iter().filter(|(n, _)| !set.contains_key(*n));
        fixed.chain(set.iter()).map(|(n, v)| (*n, v.clone())).collect()
    }

    fn put(&self, name: &'static str, value: Option<Value>) {
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(v) => set.insert(name, v),
            None => set.remove(name),
        };
    }
}

/// The type that `SELECT @@name` has.
pub fn field_type(v: &Variable) -> FieldType {
    let (kind, unsigned, length, decimals) = match v.kind {
        Kind::Bool => (FieldKind::LongLong, false, 1, 0),
        Kind::Int { .. } => (FieldKind::LongLong, true, 21, 0),
        Kind::Real { .. } => (FieldKind::Double, false, 23, 6),
        _ => (FieldKind::VarChar, false, 65_535 / 3, 31),
    };
    let text = kind == FieldKind::VarChar;
    let collation = if text { Collation::Utf8mb4_0900AiCi } else { Collation::Binary };
    FieldType { kind, unsigned, length, decimals, collation, zerofill: false }
}

impl FieldType {
    /// The type of a value whose storage class tells it: integer, double, text, bytes or NULL.
    pub fn of_plain(value: &Value) -> FieldType {
        match value {
            Value::Null => FieldType::null(),
            Value::Int(_) => FieldType::int(),
            Value::Real(_) => FieldType::double(),
            Value::Text(t) => {
                let chars = u32::try_from(t.chars().count()).unwrap_or(u32::MAX);
                FieldType::text(chars, Collation::Utf8mb4_0900AiCi)
            }
            Value::Blob(b) => FieldType::bytes(u32::try_from(b.len()).unwrap_or(u32::MAX)),
        }
    }
}

/// The value of `@@name` or `@@global.name`.
pub(crate) fn read(s: &SessionState, name: &str, global: bool) -> Result<Value, SqlError> {
    let v = find(name).ok_or_else(|| SqlError::unknown_variable(name))?;
    if global {
        if v.scope == Scope::Session {
            return Err(SqlError::new(1238, "HY000", format!("Variable '{name}' is a SESSION variable")));
        }
        return Ok(s.globals.get(v));
    }
    if v.scope == Scope::Global {
        return Ok(s.globals.get(v));
    }
    Ok(session_field(s, v.name)
        .or_else(|| s.variables.get(v.name).cloned())
        .unwrap_or_else(|| s.globals.get(v)))
}

fn session_field(s: &SessionState, name: &str) -> Option<Value> {
    let text = |t: &str| Value::Text(t.to_owned());
    let flag = |b: bool| Value::Int(b.into());
    Some(match name {
        "autocommit" => flag(s.autocommit),
        "character_set_client" => text(s.charset_client),
        "character_set_connection" => text(s.charset_connection),
        "character_set_results" => s.charset_results.map_or(Value::Null, text),
        "collation_connection" if s.charset_connection == "binary" => text("binary"),
        "collation_connection" => text(s.collation.name()),
        "cte_max_recursion_depth" => Value::from_u64(s.cte_max_recursion_depth),
        "div_precision_increment" => Value::Int(s.div_precision_increment.into()),
        "error_count" => Value::from_u64(s.error_count()),
        "foreign_key_checks" => flag(s.foreign_key_checks),
        "group_concat_max_len" => Value::from_u64(s.group_concat_max_len),
        "identity" | "last_insert_id" => Value::from_u64(s.last_insert_id),
        "insert_id" => Value::from_u64(s.insert_id.unwrap_or(0)),
        "max_execution_time" => Value::from_u64(s.max_execution_time_ms),
        "pseudo_thread_id" => Value::from_u64(s.connection_id),
        "sql_mode" => Value::Text(s.sql_mode.to_string()),
        "sql_notes" => flag(s.sql_notes),
        "sql_safe_updates" => flag(s.safe_updates),
        "sql_select_limit" => Value::from_u64(s.select_limit),
        "time_zone" => text(&s.time_zone.name),
        "timestamp" => Value::Real(s.timestamp_us? as f64 / 1e6),
        "transaction_isolation" | "tx_isolation" => text(s.isolation.name()),
        "transaction_read_only" | "tx_read_only" => flag(s.read_only),
        "unique_checks" => flag(s.unique_checks),
        "warning_count" => Value::from_u64(s.warning_count),
        _ => return None,
    })
}

/// Every variable with its value as SHOW VARIABLES shows it, in order of name.
pub fn show(s: &SessionState, global: bool) -> Vec<(&'static str, String)> {
    VARIABLES
        .iter()
        .filter(|v| if global { v.scope != Scope::Session } else { true })
        .map(|v| (v.name, shown(v, read(s, v.name, global).unwrap_or_default())))
        .collect()
}

/// The session's value of a variable as SHOW VARIABLES shows it; empty for one that there is not.
pub fn shown_value(s: &SessionState, name: &str) -> String {
    match find(name) {
        Some(v) => shown(v, read(s, v.name, false).unwrap_or_default()),
        None => String::new(),
    }
}

fn shown(v: &Variable, value: Value) -> String {
    match (v.kind, value) {
        (Kind::Bool, Value::Int(n)) => if n != 0 { "ON" } else { "OFF" }.to_owned(),
        (_, Value::Null) => String::new(),
        (Kind::Real { .. }, Value::Real(r)) => format!("{r:.6}"),
        (_, Value::Int(n)) => n.to_string(),
        (_, Value::Real(r)) => r.to_string(),
        (_, Value::Text(t)) => t,
        (_, blob @ Value::Blob(_)) => blob.as_u64().unwrap_or(u64::MAX).to_string(),
    }
}

/// SET [GLOBAL] name = value.
pub(crate) fn write(
    s: &mut SessionState,
    global: bool,
    name: &str,
    value: Option<(&Value, &FieldKind)>,
) -> Result<Vec<Note>, SqlError> {
    let v = find(name).ok_or_else(|| SqlError::unknown_variable(name))?;
    writable(v, global)?;
    let mut notes = Vec::new();
    let checked = match value {
        Some((value, kind)) => {
            let value = acceptable(s, v, value, kind, &mut notes)?;
            Some(if v.fixed { v.default_value() } else { value })
        }
        None if global => None,
        None if v.no_default() => {
            return Err(no_default(name));
        }
        None => Some(s.globals.get(v)),
    };
    match (global, checked) {
        (true, None) => s.globals.put(v.name, None),
        (true, Some(value)) => {
            // A dry run on a copy: what the session would refuse must not become the default of new sessions.
            if v.scope != Scope::Global {
                store_session(&mut s.clone(), v.name, value.clone())?;
            }
            s.globals.put(v.name, Some(value));
        }
        (false, Some(value)) => store_session(s, v.name, value)?,
        (false, None) => {}
    }
    if let Some(warning) = v.deprecated {
        notes.push(Note { level: NoteLevel::Warning, code: 1287, message: warning.to_owned() });
    }
    Ok(notes)
}

/// What [`write`] would refuse, before anything of its statement is done.
pub(crate) fn may_write(
    s: &SessionState,
    global: bool,
    name: &str,
    value: Option<(&Value, &FieldKind)>,
) -> Result<(), SqlError> {
    let v = find(name).ok_or_else(|| SqlError::unknown_variable(name))?;
    writable(v, global)?;
    match value {
        Some((value, kind)) => {
            let value = acceptable(s, v, value, kind, &mut Vec::new())?;
            // On a copy: some are refused only where they take effect.
            if v.scope == Scope::Global { Ok(()) } else { store_session(&mut s.clone(), v.name, value) }
        }
        None if !global && v.no_default() => Err(no_default(name)),
        None => Ok(()),
    }
}

fn no_default(name: &str) -> SqlError {
    SqlError::new(1230, "42000", format!("Variable '{name}' doesn't have a default value"))
}

fn acceptable(
    s: &SessionState,
    v: &Variable,
    value: &Value,
    kind: &FieldKind,
    notes: &mut Vec<Note>,
) -> Result<Value, SqlError> {
    let value = check(s, v, value, kind, notes)?;
    if v.fixed && !is_in_force(v, &value) {
        return Err(SqlError::unsupported(format!("another value of {} than it has", v.name)));
    }
    Ok(value)
}

/// Nothing changes by it: the value that a fixed variable has, or, of a list of settings, some of them.
fn is_in_force(v: &Variable, value: &Value) -> bool {
    match (value, v.default_value()) {
        (Value::Text(said), Value::Text(has)) if v.kind == Kind::Text => {
            said.split(',').all(|part| has.split(',').any(|h| h.eq_ignore_ascii_case(part.trim())))
        }
        (said, has) => *said == has,
    }
}

/// Refuses what may not be set: 1238 read only, 1621 read only in a session, 1229 GLOBAL needed, 1228 SESSION only.
pub(crate) fn writable(v: &Variable, global: bool) -> Result<(), SqlError> {
    let name = v.name;
    if v.read_only {
        return Err(SqlError::new(1238, "HY000", format!("Variable '{name}' is a read only variable")));
    }
    if !global && v.session_read_only() {
        let message = format!("SESSION variable '{name}' is read-only. Use SET GLOBAL to assign the value");
        return Err(SqlError::new(1621, "HY000", message));
    }
    match (v.scope, global) {
        (Scope::Global, false) => Err(SqlError::new(
            1229,
            "HY000",
            format!("Variable '{name}' is a GLOBAL variable and should be set with SET GLOBAL"),
        )),
        (Scope::Session, true) => Err(SqlError::new(
            1228,
            "HY000",
            format!("Variable '{name}' is a SESSION variable and can't be used with SET GLOBAL"),
        )),
        _ => Ok(()),
    }
}

fn bad_value(name: &str, value: impl std::fmt::Display) -> SqlError {
    SqlError::new(1231, "42000", format!("Variable '{name}' can't be set to the value of '{value}'"))
}

fn bad_type(name: &str) -> SqlError {
    SqlError::new(1232, "42000", format!("Incorrect argument type to variable '{name}'"))
}

/// The value in the variable's own form.
fn check(
    s: &SessionState,
    v: &Variable,
    value: &Value,
    kind: &FieldKind,
    notes: &mut Vec<Note>,
) -> Result<Value, SqlError> {
    let name = v.name;
    let whole = whole_number(value, kind);
    match v.kind {
        Kind::Bool => match (value, whole) {
            (_, Some(0)) => Ok(Value::Int(0)),
            (_, Some(1)) => Ok(Value::Int(1)),
            (_, Some(n)) => Err(bad_value(name, n)),
            (Value::Text(t), _) => match t.to_ascii_lowercase().as_str() {
                "on" | "true" => Ok(Value::Int(1)),
                "off" | "false" => Ok(Value::Int(0)),
                _ => Err(bad_value(name, t)),
            },
            (Value::Null, _) => Err(bad_value(name, "NULL")),
            _ => Err(bad_type(name)),
        },
        Kind::Int { min, max } => {
            let n = whole.ok_or_else(|| bad_type(name))?;
            let fit = n.clamp(i128::from(min), i128::from(max));
            if fit != n {
                if s.sql_mode.has(SqlMode::STRICT_ALL_TABLES) {
                    return Err(bad_value(name, n));
                }
                let message = format!("Truncated incorrect {name} value: '{n}'");
                notes.push(Note { level: NoteLevel::Warning, code: 1292, message });
            }
            Ok(Value::from_u64(u64::try_from(fit).unwrap_or(0)))
        }
        Kind::Real { min, max } => {
            let n = number(value, kind).ok_or_else(|| bad_type(name))?;
            Ok(Value::Real(n.clamp(min, max)))
        }
        Kind::Enum(words) => match (value, whole) {
            (_, Some(n)) => {
                let word = usize::try_from(n).ok().and_then(|n| words.get(n));
                Ok(Value::Text((*word.ok_or_else(|| bad_value(name, n))?).to_owned()))
            }
            (Value::Text(t), _) => {
                let word = words.iter().find(|w| w.eq_ignore_ascii_case(t));
                Ok(Value::Text((*word.ok_or_else(|| bad_value(name, t))?).to_owned()))
            }
            (Value::Null, _) => Err(bad_value(name, "NULL")),
            _ => Err(bad_type(name)),
        },
        Kind::Text => match value {
            Value::Text(t) => Ok(Value::Text(t.clone())),
            Value::Blob(b) if !matches!(kind, FieldKind::Decimal | FieldKind::LongLong) => {
                Ok(Value::Text(String::from_utf8_lossy(b).into_owned()))
            }
            Value::Null if v.nullable => Ok(Value::Null),
            Value::Null => Err(bad_value(name, "NULL")),
            _ => Err(bad_type(name)),
        },
        Kind::SqlMode => {
            let mode = match (value, whole) {
                (_, Some(n)) => u64::try_from(n).map_err(|_| n.to_string()).and_then(SqlMode::from_bits),
                (Value::Text(t), _) => SqlMode::parse(t),
                (Value::Null, _) => Err("NULL".to_owned()),
                _ => return Err(bad_type(name)),
            };
            Ok(Value::Text(mode.map_err(|m| bad_value(name, m))?.to_string()))
        }
        Kind::Charset => match (value, whole) {
            (Value::Text(t), _) => Ok(Value::Text(charset(t)?.to_owned())),
            (Value::Null, _) if v.nullable => Ok(Value::Null),
            (Value::Null, _) => Err(bad_value(name, "NULL")),
            (_, Some(n)) => Err(SqlError::unknown_charset(n)),
            _ => Err(bad_type(name)),
        },
        Kind::Collation => match (value, whole) {
            (Value::Text(t), _) => Ok(Value::Text(collation(t)?.name().to_owned())),
            (_, Some(n)) => {
                let found = Collation::ALL.into_iter().find(|c| i128::from(c.id()) == n);
                Ok(Value::Text(found.ok_or_else(|| SqlError::unknown_collation(n))?.name().to_owned()))
            }
            (Value::Null, _) => Err(bad_value(name, "NULL")),
            _ => Err(bad_type(name)),
        },
        Kind::TimeZone => match value {
            Value::Text(t) => Ok(Value::Text(TimeZone::parse(t)?.name)),
            Value::Null => Err(bad_value(name, "NULL")),
            _ => Err(bad_type(name)),
        },
    }
}

/// Puts a checked value where the session keeps it.
pub(crate) fn store_session(s: &mut SessionState, name: &'static str, value: Value) -> Result<(), SqlError> {
    let flag = matches!(value, Value::Int(1));
    let whole = value.as_u64().unwrap_or(0);
    let word = if let Value::Text(t) = &value { t.as_str() } else { "" };
    match name {
        "autocommit" => s.autocommit = flag,
        // Names are always quoted.
        "sql_quote_show_create" if !flag => {
            return Err(SqlError::unsupported("sql_quote_show_create = 0"));
        }
        "character_set_client" => {
            let set = charset(word)?;
            s.charset_client = set;
        }
        "character_set_results" => {
            s.charset_results = if value.is_null() { None } else { Some(charset(word)?) };
        }
        "character_set_connection" => {
            let set = charset(word)?;
            s.charset_connection = set;
            s.collation = default_collation(set);
        }
        "collation_connection" => {
            let found = collation(word)?;
            s.charset_connection = found.charset();
            s.collation = of_connection(found);
        }
        "cte_max_recursion_depth" => s.cte_max_recursion_depth = whole,
        "div_precision_increment" => s.div_precision_increment = whole.min(30) as u8,
        "foreign_key_checks" => s.foreign_key_checks = flag,
        "group_concat_max_len" => s.group_concat_max_len = whole,
        "identity" | "last_insert_id" => s.last_insert_id = whole,
        "insert_id" => s.insert_id = Some(whole).filter(|n| *n != 0),
        "max_execution_time" => s.max_execution_time_ms = whole,
        "pseudo_thread_id" => {}
        "sql_mode" => {
            let mode = SqlMode::parse(word).map_err(|m| bad_value(name, m))?;
            for (unbuilt, what) in [
                (SqlMode::HIGH_NOT_PRECEDENCE, "sql_mode HIGH_NOT_PRECEDENCE"),
                (SqlMode::PAD_CHAR_TO_FULL_LENGTH, "sql_mode PAD_CHAR_TO_FULL_LENGTH"),
            ] {
                if mode.has(unbuilt) && !s.sql_mode.has(unbuilt) {
                    return Err(SqlError::unsupported(what));
                }
            }
            s.sql_mode = mode;
        }
        "sql_notes" => s.sql_notes = flag,
        "sql_safe_updates" => s.safe_updates = flag,
        "sql_select_limit" => s.select_limit = whole,
        "time_zone" => s.time_zone = TimeZone::parse(word)?,
        "timestamp" => {
            let seconds = if let Value::Real(r) = value { r } else { 0.0 };
            s.timestamp_us = (seconds > 0.0).then_some((seconds * 1e6).round() as i64);
        }
        "transaction_isolation" | "tx_isolation" => {
            s.isolation = Isolation::from_name(word).ok_or_else(|| bad_value(name, word))?;
        }
        "transaction_read_only" | "tx_read_only" => s.read_only = flag,
        "unique_checks" => s.unique_checks = flag,
        _ => {
            s.variables.insert(name, value);
        }
    }
    Ok(())
}

/// A whole number in stored form; `None` for text and fractions.
fn whole_number(value: &Value, kind: &FieldKind) -> Option<i128> {
    match value {
        Value::Int(n) => Some(i128::from(*n)),
        Value::Blob(_) if matches!(kind, FieldKind::LongLong | FieldKind::Bit) => {
            value.as_u64().map(i128::from)
        }
        _ => None,
    }
}

fn number(value: &Value, kind: &FieldKind) -> Option<f64> {
    match value {
        Value::Real(r) => Some(*r),
        Value::Blob(b) if matches!(kind, FieldKind::Decimal) => Some(Decimal::decode(b)?.to_f64()),
        _ => whole_number(value, kind).map(|n| n as f64),
    }
}

/// The character set of this name, of those that a connection may use.
///
/// # Errors
/// 1115.
pub fn charset(name: &str) -> Result<&'static str, SqlError> {
    const KNOWN: [(&str, &str); 6] = [
        ("utf8mb4", "utf8mb4"),
        ("utf8", "utf8mb3"),
        ("utf8mb3", "utf8mb3"),
        ("latin1", "latin1"),
        ("ascii", "ascii"),
        ("binary", "binary"),
    ];
    let found = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, set)| *set).ok_or_else(|| SqlError::unknown_charset(name))
}

/// How a connection of this collation compares its literals. Those of `binary` stay texts and are compared by their bytes, which
/// gives way to a column's collation.
pub(crate) fn of_connection(collation: Collation) -> Collation {
    match collation {
        Collation::Binary => Collation::Utf8mb4_0900Bin,
        other => other,
    }
}

/// The collation that a connection with this character set compares with.
pub fn default_collation(charset: &str) -> Collation {
    match charset {
        "binary" => of_connection(Collation::Binary),
        // Their defaults (general_ci, swedish_ci) ignore case and pad.
        "utf8mb3" | "latin1" | "ascii" => Collation::Utf8mb4GeneralCi,
        _ => Collation::Utf8mb4_0900AiCi,
    }
}

/// The collation that a definition with this character set has: bytes are no text.
pub fn collation_of_definition(charset: &str) -> Collation {
    match charset {
        "binary" => Collation::Binary,
        _ => default_collation(charset),
    }
}

/// The collation of this name; those of `latin1` and `ascii` stand for their nearest utf8mb4 sisters.
///
/// # Errors
/// 1273.
pub fn collation(name: &str) -> Result<Collation, SqlError> {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "latin1_swedish_ci" | "latin1_general_ci" | "ascii_general_ci" => Ok(Collation::Utf8mb4GeneralCi),
        "latin1_bin" | "ascii_bin" => Ok(Collation::Utf8mb4Bin),
        _ => Collation::from_name(&lower).ok_or_else(|| SqlError::unknown_collation(name)),
    }
}

/// The collation of this name, which must belong to the character set.
///
/// # Errors
/// 1273, 1253.
pub fn collation_of_charset(name: &str, charset: &str) -> Result<Collation, SqlError> {
    let found = collation(name)?;
    let prefix = name.to_ascii_lowercase();
    let prefix = prefix.split('_').next().unwrap_or_default();
    let prefix = if prefix == "utf8" { "utf8mb3" } else { prefix };
    if prefix != charset {
        let message = format!("COLLATION '{name}' is not valid for CHARACTER SET '{charset}'");
        return Err(SqlError::new(1253, "42000", message));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn session() -> SessionState {
        SessionState::new(Arc::new(Globals::default()), 7, "root", "localhost", "root@%")
    }

    #[test]
    fn the_table_is_sorted_and_every_default_passes_its_own_check() {
        assert!(VARIABLES.windows(2).all(|w| w[0].name < w[1].name));
        let mut s = session();
        for v in VARIABLES {
            let value = v.default_value();
            let kind = if matches!(value, Value::Int(_) | Value::Blob(_)) {
                FieldKind::LongLong
            } else {
                FieldKind::VarChar
            };
            let mut notes = Vec::new();
            if !value.is_null() {
                assert_eq!(check(&s, v, &value, &kind, &mut notes), Ok(value.clone()), "{}", v.name);
                assert!(notes.is_empty(), "{}", v.name);
            }
            if v.scope != Scope::Global {
                assert_eq!(store_session(&mut s, v.name, value), Ok(()), "{}", v.name);
            }
        }
    }

    #[test]
    fn settings_are_checked_like_mysql_does() {
        let text = |t: &str| (Value::Text(t.to_owned()), FieldKind::VarChar);
        let int = |n: i64| (Value::Int(n), FieldKind::LongLong);
        for (global, name, value, want) in [
            (false, "autocommit", text("off"), Ok(Value::Int(0))),
            (false, "autocommit", int(2), Err(1231)),
            (false, "no_such", int(1), Err(1193)),
            (false, "version", text("9"), Err(1238)),
            (false, "max_connections", int(5), Err(1229)),
            (true, "max_connections", int(500), Ok(Value::Int(500))),
            (false, "max_allowed_packet", int(4096), Err(1621)),
            (false, "net_buffer_length", int(4096), Err(1621)),
            (true, "max_allowed_packet", int(4096), Ok(Value::Int(4096))),
            (true, "last_insert_id", int(5), Err(1228)),
            (false, "sql_mode", text("ANSI_QUOTES"), Ok(Value::Text("ANSI_QUOTES".into()))),
            (false, "sql_mode", text("NO_AUTO_CREATE_USER"), Err(1231)),
            (false, "sql_mode", int(4), Ok(Value::Text("ANSI_QUOTES".into()))),
            (
                false,
                "transaction_isolation",
                text("read-committed"),
                Ok(Value::Text("READ-COMMITTED".into())),
            ),
            (false, "transaction_isolation", text("none"), Err(1231)),
            (false, "wait_timeout", text("x"), Err(1232)),
            (false, "wait_timeout", int(-5), Ok(Value::Int(1))),
            (false, "character_set_client", text("utf8"), Ok(Value::Text("utf8mb3".into()))),
            (false, "character_set_client", text("koi8r"), Err(1115)),
            (false, "character_set_results", (Value::Null, FieldKind::Null), Ok(Value::Null)),
            (false, "collation_connection", text("nope"), Err(1273)),
            (false, "time_zone", text("+1:00"), Ok(Value::Text("+01:00".into()))),
            (false, "time_zone", text("Mars"), Err(1298)),
        ] {
            let mut s = session();
            let got = s
                .set_variable(global, name, Some((&value.0, &value.1)))
                .and_then(|_| s.system_variable(name, global))
                .map_err(|e| e.code);
            assert_eq!(got, want, "{name} = {value:?}");
        }
    }

    #[test]
    fn a_global_value_is_the_default_of_later_sessions_only() {
        let mut a = session();
        let one = (Value::Int(0), FieldKind::LongLong);
        assert_eq!(a.set_variable(true, "foreign_key_checks", Some((&one.0, &one.1))), Ok(vec![]));
        assert!(a.foreign_key_checks);
        let b = SessionState::new(a.globals.clone(), 8, "u", "h", "u@%");
        assert!(!b.foreign_key_checks);
    }
}
