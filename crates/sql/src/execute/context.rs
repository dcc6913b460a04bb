//! The thread-local context of the running statement.

use std::cell::RefCell;
use std::sync::Arc;

use p2pdb_model::Value;

use crate::error::SqlError;
use crate::plan::{Note, NoteLevel};
use crate::session::{SessionState, SqlMode, WARNINGS_MAX};
use crate::types::TypeCode;
use crate::zone::Zone;

/// What functions may ask about the running statement, and what they leave behind.
#[derive(Clone, Debug)]
pub struct Context {
    /// `sql_mode`.
    pub sql_mode: SqlMode,
    /// The session's time zone.
    pub zone: Zone,
    /// Microseconds since the Unix epoch, UTC.
    pub now_us: i64,
    /// `group_concat_max_len`, bytes.
    pub group_concat_bytes_max: usize,
    /// `cte_max_recursion_depth`.
    pub cte_depth_max: u64,
    /// The statement writes: division by zero and the like are errors in strict mode.
    pub writes: bool,
    /// IGNORE: errors of assignments are warnings.
    pub ignore: bool,
    /// Number of the row that is being written, from 1, for messages.
    pub row: u64,
    /// Warnings raised, at most [`WARNINGS_MAX`].
    pub warnings: Vec<Note>,
    /// Warnings raised, kept or not.
    pub warning_count: u64,
    /// The error that a function failed with.
    pub error: Option<SqlError>,
    /// Of the row that is being updated, what is to be part of unique keys: places of columns in the table, and values.
    pub seen: Vec<(usize, Value)>,
    /// User variables that the statement assigned: name, value, type.
    pub variables: Vec<(String, Value, TypeCode)>,
    /// What LAST_INSERT_ID(n) was called with last.
    pub last_insert_id: Option<u64>,
    /// Where the sequences of RAND(seed) are, by call.
    pub random: Vec<(i64, (u64, u64))>,
    /// Seals and opens cells of sealed columns.
    pub sealer: Option<Arc<dyn super::Sealer>>,
}

impl Default for Context {
    fn default() -> Self {
        Context {
            sql_mode: SqlMode::DEFAULT,
            zone: Zone::default(),
            now_us: 0,
            group_concat_bytes_max: 1024,
            cte_depth_max: 1000,
            writes: false,
            ignore: false,
            row: 1,
            warnings: Vec::new(),
            warning_count: 0,
            error: None,
            seen: Vec::new(),
            variables: Vec::new(),
            last_insert_id: None,
            random: Vec::new(),
            sealer: None,
        }
    }
}

impl Context {
    /// The context of a statement of this session at this time.
    pub fn new(session: &SessionState, now_us: i64) -> Self {
        Context {
            sql_mode: session.sql_mode,
            zone: session.time_zone.zone,
            now_us: session.timestamp_us.unwrap_or(now_us),
            group_concat_bytes_max: usize::try_from(session.group_concat_max_len).unwrap_or(usize::MAX),
            cte_depth_max: session.cte_max_recursion_depth,
            sealer: session.sealer.clone(),
            ..Context::default()
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Context> = RefCell::new(Context::default());
}

/// Makes this the context of the thread.
pub fn enter(context: Context) {
    CURRENT.with(|c| *c.borrow_mut() = context);
}

/// Takes the context back, with warnings and error.
pub fn leave() -> Context {
    CURRENT.with(|c| std::mem::take(&mut *c.borrow_mut()))
}

/// The session's time zone.
pub fn zone() -> Zone {
    read(|c| c.zone)
}

/// Sets the number of the row that is being written.
pub fn set_row(row: u64) {
    CURRENT.with(|c| c.borrow_mut().row = row);
}

/// What the statement assigned to a user variable.
pub fn variable(name: &str) -> Option<(Value, TypeCode)> {
    read(|c| c.variables.iter().find(|(n, ..)| n == name).map(|(_, v, ty)| (v.clone(), *ty)))
}

/// Assigns to a user variable.
pub fn set_variable(name: &str, value: Value, ty: TypeCode) {
    CURRENT.with(|c| {
        let mut c = c.borrow_mut();
        match c.variables.iter_mut().find(|(n, ..)| n == name) {
            Some((_, v, t)) => (*v, *t) = (value, ty),
            None => c.variables.push((name.to_owned(), value, ty)),
        }
    });
}

/// LAST_INSERT_ID(n).
pub fn set_last_insert_id(id: u64) {
    CURRENT.with(|c| c.borrow_mut().last_insert_id = Some(id));
}

/// LAST_INSERT_ID(n) does not count.
pub fn forget_last_insert_id() {
    CURRENT.with(|c| c.borrow_mut().last_insert_id = None);
}

/// Where the sequence of RAND(seed) of this call is.
pub fn random_state(call: i64) -> Option<(u64, u64)> {
    read(|c| c.random.iter().find(|(n, _)| *n == call).map(|(_, s)| *s))
}

/// Notes where the sequence of RAND(seed) of this call is.
pub fn set_random_state(call: i64, state: (u64, u64)) {
    CURRENT.with(|c| {
        let mut c = c.borrow_mut();
        match c.random.iter_mut().find(|(n, _)| *n == call) {
            Some((_, s)) => *s = state,
            None => c.random.push((call, state)),
        }
    });
}

/// Notes the value that the column at this place of the table is to have.
pub fn seen(place: usize, value: Value) {
    CURRENT.with(|c| {
        let seen = &mut c.borrow_mut().seen;
        match seen.iter_mut().find(|s| s.0 == place) {
            Some(s) => s.1 = value,
            None => seen.push((place, value)),
        }
    });
}

/// Leaves the error of a failing function for the engine.
pub fn leave_error(error: SqlError) {
    CURRENT.with(|c| {
        let mut c = c.borrow_mut();
        if c.error.is_none() {
            c.error = Some(error);
        }
    });
}

/// Takes the error that a function left.
pub fn take_error() -> Option<SqlError> {
    CURRENT.with(|c| c.borrow_mut().error.take())
}

/// Does something as IGNORE does it: values that do not fit are warnings.
pub fn ignoring<T>(f: impl FnOnce() -> T) -> T {
    let was = CURRENT.with(|c| std::mem::replace(&mut c.borrow_mut().ignore, true));
    let done = f();
    CURRENT.with(|c| c.borrow_mut().ignore = was);
    done
}

/// Reads something of the context.
pub fn read<T>(f: impl FnOnce(&Context) -> T) -> T {
    CURRENT.with(|c| f(&c.borrow()))
}

/// Raises a warning.
pub fn warn(code: u16, message: impl Into<String>) {
    note(NoteLevel::Warning, code, message);
}

/// Warnings that are errors where a statement writes in strict mode, without IGNORE (MySQL 8.0 manual, "Server SQL Modes", "The Effect
/// of Strict SQL Mode on Statement Execution"), with their SQLSTATE.
const STRICT: [(u16, &str); 5] =
    [(1260, "HY000"), (1292, "22007"), (1411, "HY000"), (1441, "22008"), (3020, "2201E")];

/// Raises a warning or note.
pub fn note(level: NoteLevel, code: u16, message: impl Into<String>) {
    CURRENT.with(|c| {
        let mut c = c.borrow_mut();
        if level == NoteLevel::Warning
            && c.writes
            && !c.ignore
            && c.sql_mode.strict()
            && let Some((_, state)) = STRICT.iter().find(|(n, _)| *n == code)
        {
            c.error.get_or_insert_with(|| SqlError::new(code, *state, message.into()));
            return;
        }
        c.warning_count += 1;
        if c.warnings.len() < WARNINGS_MAX {
            c.warnings.push(Note { level, code, message: message.into() });
        }
    });
}

/// Takes away the warnings raised after there were `count`: those of them that were kept.
pub fn take_warnings_since(count: u64) -> Vec<Note> {
    CURRENT.with(|c| {
        let mut c = c.borrow_mut();
        let new = c.warning_count.saturating_sub(count);
        c.warning_count -= new;
        let keep = c.warnings.len().saturating_sub(usize::try_from(new).unwrap_or(usize::MAX));
        c.warnings.split_off(keep)
    })
}

/// Forgets the warnings raised after there were `count`; whether there were any.
pub fn drop_warnings_since(count: u64) -> bool {
    let before = read(|c| c.warning_count);
    take_warnings_since(count);
    before > count
}
