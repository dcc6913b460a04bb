//! Registers collations with SQLite.
//!
//! A comparison runs for each key that a sort or a text index looks at, so it gets what SQLite has, the bytes, with no more
//! than a check that they are UTF-8. (`rusqlite::Connection::create_collation` looks at each text chunk by chunk for what it
//! would have to replace; that was a tenth of the time of sorted reads.) This is FFI, like the hook in `capture`.

use std::borrow::Cow;
use std::ffi::{CString, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::ffi;

use crate::error::{Result, StoreError};
use crate::functions::{CollationFn, CollationSequence};

/// Registers a collation on this connection.
#[allow(unsafe_code)]
pub(crate) fn register(db: &rusqlite::Connection, collation: &CollationSequence) -> Result<()> {
    let name = CString::new(collation.name.as_str())
        .map_err(|_| StoreError::Corrupt(format!("a collation's name with NUL: {:?}", collation.name)))?;
    let compare: Box<CollationFn> = Box::new(collation.compare.clone());
    let context = Box::into_raw(compare).cast::<c_void>();
    // SAFETY: the connection is open; the name is NUL-terminated and copied by SQLite; `context` is a live `CollationFn` until
    // SQLite calls `destroy`, which it does exactly once, when the connection closes or the name is registered anew.
    let code = unsafe {
        ffi::sqlite3_create_collation_v2(
            db.handle(),
            name.as_ptr(),
            ffi::SQLITE_UTF8,
            context,
            Some(on_compare),
            Some(on_destroy),
        )
    };
    if code == ffi::SQLITE_OK {
        return Ok(());
    }
    // SAFETY: alone among SQLite's registrations this one does not destroy the context when it fails.
    drop(unsafe { Box::from_raw(context.cast::<CollationFn>()) });
    Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into())
}

/// SQLite asks for the order of two texts.
#[allow(unsafe_code)]
unsafe extern "C" fn on_compare(
    context: *mut c_void,
    a_bytes: c_int,
    a: *const c_void,
    b_bytes: c_int,
    b: *const c_void,
) -> c_int {
    // SAFETY: the context given to `sqlite3_create_collation_v2`, alive until `on_destroy`.
    let compare = unsafe { &*context.cast::<CollationFn>() };
    // SAFETY: SQLite passes each text with its length, valid during this call.
    let (a, b) = unsafe { (text(a, a_bytes), text(b, b_bytes)) };
    // No total order comes out of a panic, but unwinding into C is worse.
    catch_unwind(AssertUnwindSafe(|| compare(&a, &b))).map_or(0, |o| o as c_int)
}

/// The connection is closing.
#[allow(unsafe_code)]
unsafe extern "C" fn on_destroy(context: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `register`, given back once.
    drop(unsafe { Box::from_raw(context.cast::<CollationFn>()) });
}

/// What is not UTF-8 compares as it would be shown.
///
/// # Safety
/// `pointer` leads to `bytes` bytes that live as long as the result is used; null only when `bytes` is 0.
#[allow(unsafe_code)]
unsafe fn text<'a>(pointer: *const c_void, bytes: c_int) -> Cow<'a, str> {
    let length = usize::try_from(bytes).unwrap_or_default();
    if pointer.is_null() || length == 0 {
        return Cow::Borrowed("");
    }
    // SAFETY: by contract.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), length) };
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn texts_are_compared_by_the_collation_also_empty_invalid_and_after_it_is_replaced() {
        let db = rusqlite::Connection::open_in_memory().expect("opens");
        let sequence = |compare: CollationFn| CollationSequence { name: "C".to_owned(), compare };
        let order = |sql: &str| db.query_row(sql, (), |r| r.get::<_, i64>(0)).expect(sql);
        register(&db, &sequence(Arc::new(|a, b| a.to_lowercase().cmp(&b.to_lowercase()))))
            .expect("registers");
        for (sql, wanted) in [
            ("SELECT 'Ä' = 'ä' COLLATE C", 1),
            ("SELECT 'a' < 'B' COLLATE C", 1),
            ("SELECT '' < 'b' COLLATE C", 1),
            ("SELECT '' = '' COLLATE C", 1),
            ("SELECT CAST(x'ff61' AS TEXT) = CAST(x'fe41' AS TEXT) COLLATE C", 1),
        ] {
            assert_eq!(order(sql), wanted, "{sql}");
        }
        register(&db, &sequence(Arc::new(|a, b| b.cmp(a)))).expect("registers again");
        assert_eq!(order("SELECT 'b' < 'a' COLLATE C"), 1);
        register(&db, &sequence(Arc::new(|_, _| panic!("on purpose")))).expect("registers again");
        assert_eq!(order("SELECT 'b' = 'a' COLLATE C"), 1, "a panic does not reach SQLite");
    }
}
