//! Capture: which rows a local statement changed, as SQLite's preupdate hook reports them.
//!
//! The hook is installed before any statement is prepared (otherwise `DELETE FROM t` takes a short cut around
//! it) and stays. While capture is on it records every change of a user table (`t_…`), temporary ones marked: old and
//! new rowid, old and new values of all columns. The list follows the transaction: a statement that fails and a savepoint that is
//! rolled back take their changes out again ([`Capture::truncate`]).
//!
//! What SQLite does, held by the tests: REPLACE reports a delete and an insert, an UPDATE of the primary key one
//! update, an upsert the update that it became; ALTER reports nothing; the column that is the rowid shows it.
//!
//! With `collation` the only file of the workspace with `unsafe`: the hook's C interface.
//! Not here: what a change means (engine), displaced rows and other tables of ours (they are derived).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use p2pdb_model::{ColumnTag, Value};
use rusqlite::ffi;

use crate::error::{Result, StoreError};

/// The most that one SQLite transaction may capture, in bytes of values and bookkeeping.
pub const CAPTURE_BYTES_MAX: usize = 256 << 20;

/// What a change costs besides its values, in bytes.
const CHANGE_OVERHEAD_BYTES: usize = 96;

/// User tables begin with this; everything else is bookkeeping and is not captured.
const USER_TABLE_PREFIX: &[u8] = b"t_";

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureOp {
    /// A new row.
    Insert,
    /// A row changed, perhaps also its rowid.
    Update,
    /// A row went.
    Delete,
}

/// One change of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    /// The table's name in SQLite.
    pub table: Arc<str>,
    /// It is a temporary one.
    pub temporary: bool,
    /// What happened.
    pub op: CaptureOp,
    /// Rowid before; 0 for an insert.
    pub old_rowid: i64,
    /// Rowid after; 0 for a delete.
    pub new_rowid: i64,
    /// All columns before, hidden ones too, in the order of CREATE TABLE; empty for an insert.
    pub old: Vec<Value>,
    /// All columns after; empty for a delete.
    pub new: Vec<Value>,
    /// The columns that the statement changed by adding to what they hold; see [`Capture::adjusted`].
    pub adjusted: Option<Arc<[ColumnTag]>>,
    /// The captured change, by its place in the list, of which this is the effect through a foreign key.
    pub cause: Option<usize>,
}

impl Captured {
    fn bytes(&self) -> usize {
        let values: usize = self.old.iter().chain(&self.new).map(Value::size_bytes).sum();
        let slots = (self.old.len() + self.new.len()) * size_of::<Value>();
        CHANGE_OVERHEAD_BYTES + slots + values
    }
}

#[derive(Debug, Clone)]
enum Fault {
    /// The list was full; true of the list from this length on.
    Full { at: usize },
    /// The hook itself failed: nothing more can be said about this transaction.
    Failed(String),
}

#[derive(Debug)]
struct State {
    on: bool,
    bytes: usize,
    bytes_max: usize,
    changes: Vec<Captured>,
    fault: Option<Fault>,
    tables: Vec<Arc<str>>,
    #[cfg(test)]
    panic_at: Option<usize>,
}

/// The list of captured changes of one connection.
#[derive(Debug)]
pub(crate) struct Capture {
    state: Mutex<State>,
}

impl Capture {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                on: false,
                bytes: 0,
                bytes_max,
                changes: Vec::new(),
                fault: None,
                tables: Vec::new(),
                #[cfg(test)]
                panic_at: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is recorded as a fault by the hook; the list itself stays well formed.
        self.state.lock().unwrap_or_else(|p| p.into_inner())
    }

    /// Turns recording on or off; says what it was.
    pub(crate) fn set(&self, on: bool) -> bool {
        std::mem::replace(&mut self.lock().on, on)
    }

    /// How many changes are recorded: the place to truncate to later.
    pub(crate) fn mark(&self) -> usize {
        self.lock().changes.len()
    }

    /// Forgets what was recorded after `mark`.
    pub(crate) fn truncate(&self, mark: usize) {
        let state = &mut *self.lock();
        if mark < state.changes.len() {
            let gone: usize = state.changes[mark..].iter().map(Captured::bytes).sum();
            state.bytes -= gone;
            state.changes.truncate(mark);
        }
        if matches!(state.fault, Some(Fault::Full { at }) if mark <= at) {
            state.fault = None;
        }
    }

    /// Forgets everything, faults too: the transaction is over.
    pub(crate) fn reset(&self) {
        let state = &mut *self.lock();
        state.changes.clear();
        state.bytes = 0;
        state.fault = None;
    }

    /// Takes what was recorded from `mark` on. Savepoints older than this call must not be rolled back to
    /// without [`Capture::truncate`]; marks stay valid because the taken changes are the last ones.
    pub(crate) fn take(&self, mark: usize) -> Vec<Captured> {
        let state = &mut *self.lock();
        let mark = mark.min(state.changes.len());
        let mut taken = state.changes.split_off(mark);
        state.bytes -= taken.iter().map(Captured::bytes).sum::<usize>();
        taken.iter_mut().for_each(|c| c.cause = c.cause.and_then(|n| n.checked_sub(mark)));
        taken
    }

    /// Says of what was recorded from `mark` on that it is an effect of the change at `cause`.
    pub(crate) fn effects(&self, mark: usize, cause: usize) {
        let state = &mut *self.lock();
        for change in state.changes.iter_mut().skip(mark) {
            change.cause = Some(cause);
        }
    }

    /// Says of what was recorded from `mark` on that it came from a statement that adds to these columns.
    pub(crate) fn adjusted(&self, mark: usize, columns: &Arc<[ColumnTag]>) {
        let state = &mut *self.lock();
        for change in state.changes.iter_mut().skip(mark) {
            change.adjusted = Some(columns.clone());
        }
    }

    /// Takes the changes of temporary tables out of what was recorded from `mark` on.
    pub(crate) fn take_temporary(&self, mark: usize) -> Vec<Captured> {
        let state = &mut *self.lock();
        if !state.changes.get(mark..).unwrap_or_default().iter().any(|c| c.temporary) {
            return Vec::new();
        }
        let (taken, rest): (Vec<_>, Vec<_>) =
            state.changes.split_off(mark).into_iter().partition(|c| c.temporary);
        state.bytes -= taken.iter().map(Captured::bytes).sum::<usize>();
        state.changes.extend(rest);
        taken
    }

    /// Looks at what was recorded from `mark` on.
    pub(crate) fn with<T>(&self, mark: usize, f: impl FnOnce(&[Captured]) -> T) -> T {
        let state = self.lock();
        f(state.changes.get(mark..).unwrap_or_default())
    }

    /// The fault that forbids a commit, if there is one.
    pub(crate) fn check(&self) -> Result<()> {
        let state = self.lock();
        match &state.fault {
            None => Ok(()),
            Some(Fault::Full { .. }) => Err(StoreError::CaptureFull { bytes_max: state.bytes_max }),
            Some(Fault::Failed(what)) => Err(StoreError::CaptureFailed(what.clone())),
        }
    }

    fn fail(&self, what: String) {
        let state = &mut *self.lock();
        state.fault = Some(Fault::Failed(what));
    }

    #[cfg(test)]
    pub(crate) fn panic_at(&self, at: usize) {
        self.lock().panic_at = Some(at);
    }
}

impl State {
    fn table(&mut self, name: &[u8]) -> Result<Arc<str>, &'static str> {
        // Statements change one table many times: look at the latest first.
        if let Some(known) = self.tables.iter().rev().find(|t| t.as_bytes() == name) {
            return Ok(known.clone());
        }
        let name = std::str::from_utf8(name).map_err(|_| "a table name that is not UTF-8")?;
        if self.tables.len() >= TABLES_MAX {
            self.tables.clear();
        }
        let name: Arc<str> = name.into();
        self.tables.push(name.clone());
        Ok(name)
    }

    fn push(&mut self, change: Captured) {
        let bytes = change.bytes();
        if self.bytes + bytes > self.bytes_max {
            self.fault = Some(Fault::Full { at: self.changes.len() });
            return;
        }
        self.bytes += bytes;
        self.changes.push(change);
    }
}

/// Table names kept for sharing.
const TABLES_MAX: usize = 64;

pub(crate) use hook::Installed;

/// The FFI.
#[allow(unsafe_code)]
mod hook {
    use super::*;

    /// Keeps the hook's context alive as long as the connection: field order in the owner matters not, because
    /// dropping it takes the hook out first.
    pub(crate) struct Installed {
        db: *mut ffi::sqlite3,
        context: *const Capture,
    }

    // SAFETY: `Installed` is only a pair of pointers that it uses in `drop`. The connection is used by one thread
    // at a time (its owner is `Send`, not `Sync`), and SQLite is built threadsafe; `Capture` is `Sync`.
    unsafe impl Send for Installed {}

    impl Installed {
        /// Installs the hook on this connection. Must be dropped before the connection is closed.
        pub(crate) fn new(db: &rusqlite::Connection, capture: &Arc<Capture>) -> Self {
            let context = Arc::into_raw(capture.clone());
            // SAFETY: `handle` is valid while `db` is open; the caller keeps it open longer than `Installed`.
            let handle = unsafe { db.handle() };
            // SAFETY: the context is a live `Capture` until `drop` has removed the hook; `on_change` has the
            // signature that SQLite asks for and never unwinds.
            unsafe {
                ffi::sqlite3_preupdate_hook(handle, Some(on_change), context as *mut c_void);
            }
            Self { db: handle, context }
        }
    }

    impl Drop for Installed {
        fn drop(&mut self) {
            // SAFETY: the connection is still open (see `new`); with no hook SQLite forgets the context, so the
            // count taken by `into_raw` can be given back.
            unsafe {
                ffi::sqlite3_preupdate_hook(self.db, None, std::ptr::null_mut());
                drop(Arc::from_raw(self.context));
            }
        }
    }

    /// SQLite calls this before each change of a row, on the thread that runs the statement.
    unsafe extern "C" fn on_change(
        context: *mut c_void,
        db: *mut ffi::sqlite3,
        op: c_int,
        schema: *const c_char,
        table: *const c_char,
        old_rowid: i64,
        new_rowid: i64,
    ) {
        // SAFETY: the context is the `Capture` given to `sqlite3_preupdate_hook`, alive until the hook is removed.
        let capture = unsafe { &*(context as *const Capture) };
        let caught = catch_unwind(AssertUnwindSafe(|| {
            // SAFETY: SQLite passes valid, NUL-terminated names that live through the call.
            let (schema, table) = unsafe { (CStr::from_ptr(schema), CStr::from_ptr(table)) };
            let temporary = schema == c"temp";
            if !(temporary || schema == c"main") || !table.to_bytes().starts_with(USER_TABLE_PREFIX) {
                return Ok(());
            }
            let state = &mut *capture.lock();
            if !state.on || state.fault.is_some() {
                return Ok(());
            }
            #[cfg(test)]
            if state.panic_at == Some(state.changes.len()) {
                panic!("a panic on purpose");
            }
            let table = state.table(table.to_bytes())?;
            let (op, has_old, has_new) = match op {
                ffi::SQLITE_INSERT => (CaptureOp::Insert, false, true),
                ffi::SQLITE_UPDATE => (CaptureOp::Update, true, true),
                ffi::SQLITE_DELETE => (CaptureOp::Delete, true, false),
                _ => return Err("an unknown operation"),
            };
            // SAFETY: called within the hook, as the function requires.
            let columns = unsafe { ffi::sqlite3_preupdate_count(db) };
            let old = if has_old { read(db, columns, ffi::sqlite3_preupdate_old)? } else { Vec::new() };
            let new = if has_new { read(db, columns, ffi::sqlite3_preupdate_new)? } else { Vec::new() };
            let old_rowid = if has_old { old_rowid } else { 0 };
            let new_rowid = if has_new { new_rowid } else { 0 };
            state.push(Captured {
                table,
                temporary,
                op,
                old_rowid,
                new_rowid,
                old,
                new,
                adjusted: None,
                cause: None,
            });
            Ok(())
        }));
        match caught {
            Ok(Ok(())) => {}
            Ok(Err(what)) => capture.fail(what.to_owned()),
            Err(_) => capture.fail("a panic in the capture".to_owned()),
        }
    }

    type ReadColumn = unsafe extern "C" fn(*mut ffi::sqlite3, c_int, *mut *mut ffi::sqlite3_value) -> c_int;

    /// All columns by `get`, which is `sqlite3_preupdate_old` or `…_new`.
    fn read(db: *mut ffi::sqlite3, columns: c_int, get: ReadColumn) -> Result<Vec<Value>, &'static str> {
        let mut values = Vec::with_capacity(usize::try_from(columns).unwrap_or_default());
        for i in 0..columns {
            let mut value = std::ptr::null_mut();
            // SAFETY: within the hook, `get` fits the operation and `i` is below the column count.
            let code = unsafe { get(db, i, &mut value) };
            if code != ffi::SQLITE_OK || value.is_null() {
                return Err("SQLite did not give a column's value");
            }
            // SAFETY: a protected value that lives until the hook returns.
            values.push(unsafe { copy(value) }?);
        }
        Ok(values)
    }

    /// Copies a value.
    ///
    /// # Safety
    /// `value` must be a valid protected `sqlite3_value`.
    unsafe fn copy(value: *mut ffi::sqlite3_value) -> Result<Value, &'static str> {
        // SAFETY (all calls): `value` is valid by contract. The pointer of text or blob is read before any other
        // call on the value could move it, and its length is asked after it, as the manual advises.
        unsafe {
            Ok(match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_NULL => Value::Null,
                ffi::SQLITE_INTEGER => Value::Int(ffi::sqlite3_value_int64(value)),
                ffi::SQLITE_FLOAT => Value::Real(ffi::sqlite3_value_double(value)),
                ffi::SQLITE_TEXT => {
                    let bytes = slice(ffi::sqlite3_value_text(value), value)?.to_vec();
                    Value::Text(String::from_utf8(bytes).map_err(|_| "text that is not UTF-8")?)
                }
                ffi::SQLITE_BLOB => {
                    let pointer = ffi::sqlite3_value_blob(value).cast();
                    // A blob of no bytes has a null pointer.
                    if ffi::sqlite3_value_bytes(value) == 0 {
                        Value::Blob(Vec::new())
                    } else {
                        Value::Blob(slice(pointer, value)?.to_vec())
                    }
                }
                _ => return Err("a value of an unknown class"),
            })
        }
    }

    /// The bytes of a text or blob.
    ///
    /// # Safety
    /// `pointer` came from `sqlite3_value_text` or `…_blob` of this `value`; no other call on it since.
    unsafe fn slice<'a>(
        pointer: *const u8,
        value: *mut ffi::sqlite3_value,
    ) -> Result<&'a [u8], &'static str> {
        if pointer.is_null() {
            return Err("out of memory");
        }
        // SAFETY: by contract `pointer` leads to as many bytes as SQLite says.
        unsafe {
            let length = ffi::sqlite3_value_bytes(value);
            Ok(std::slice::from_raw_parts(pointer, usize::try_from(length).unwrap_or_default()))
        }
    }
}
