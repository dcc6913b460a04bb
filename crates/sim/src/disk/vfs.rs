//! Between SQLite and the file system: the system's own VFS, with every write and sync shown to the node's [`Disk`] first.
//!
//! The only file of this crate with `unsafe`: SQLite's C interface (<https://sqlite.org/vfs.html>). One VFS is registered
//! for the process; which disk a file belongs to follows from its directory.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Once, Weak};

use parking_lot::Mutex;
use rusqlite::ffi;

use super::{Answer, Change, Disk, DiskError};

/// The VFS's name.
pub(super) const NAME: &str = "p2pdb-sim";
const NAME_C: &CStr = c"p2pdb-sim";

static BASE: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());
static DISKS: Mutex<BTreeMap<PathBuf, Weak<Disk>>> = Mutex::new(BTreeMap::new());

/// Our part of an open file; the system's follows at [`REAL_AT`].
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// Null for temporary files.
    shown: *mut Shown,
}

/// Whom to show what is done to a file.
struct Shown {
    disk: Arc<Disk>,
    path: PathBuf,
}

const REAL_AT: usize = size_of::<File>().next_multiple_of(16);

/// Files of this disk's directory are shown to it from now on.
pub(super) fn register(disk: &Arc<Disk>) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: SQLite gives its default VFS, which lives for as long as the process.
        let base = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!base.is_null(), "SQLite has no VFS");
        BASE.store(base, Ordering::Release);
        // SAFETY: `base` points to a VFS. The copy shares its data (`pAppData`) and its functions; those that are not
        // replaced use neither the name nor the size of the files.
        let mut vfs = unsafe { *base };
        vfs.zName = NAME_C.as_ptr();
        vfs.pNext = std::ptr::null_mut();
        vfs.szOsFile += REAL_AT as c_int;
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // SAFETY: the VFS is leaked, so SQLite may keep it.
        let registered = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 0) };
        assert_eq!(registered, ffi::SQLITE_OK, "SQLite does not take the VFS");
    });
    let mut disks = DISKS.lock();
    disks.retain(|_, d| d.strong_count() > 0);
    disks.insert(disk.directory.clone(), Arc::downgrade(disk));
}

fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    DISKS.lock().get(path.parent()?)?.upgrade()
}

/// SAFETY: `name` is null or a string that ends with a zero.
unsafe fn path_of(name: *const c_char) -> Option<PathBuf> {
    if name.is_null() {
        return None;
    }
    // SAFETY: see above.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes();
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

fn code(error: DiskError) -> c_int {
    match error {
        DiskError::Full => ffi::SQLITE_FULL,
        DiskError::Write => ffi::SQLITE_IOERR_WRITE,
        DiskError::Sync => ffi::SQLITE_IOERR_FSYNC,
        DiskError::Read => ffi::SQLITE_IOERR_READ,
    }
}

/// The system's part of a file of ours.
///
/// SAFETY: `file` was opened by [`open`], or is being opened by it.
unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite gave `szOsFile` bytes, which is REAL_AT more than the system's part needs.
    unsafe { file.cast::<u8>().add(REAL_AT).cast() }
}

/// SAFETY: `file` was opened by [`open`] and is not closed.
unsafe fn shown<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Shown> {
    // SAFETY: [`open`] has set it to null or to a box that [`close`] frees.
    unsafe { (*file.cast::<File>()).shown.as_ref() }
}

/// Calls the system's function of this name on its part of the file.
macro_rules! system {
    ($file:expr, $name:ident $(, $argument:expr)*) => {{
        // SAFETY: SQLite calls us with a file that is open; the system's part is then open, too, and its methods
        // have every function up to those of version 2, since its log in shared memory is in use.
        unsafe {
            let real = real($file);
            match (*(*real).pMethods).$name {
                Some(function) => function(real $(, $argument)*),
                None => Default::default(),
            }
        }
    }};
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let base = BASE.load(Ordering::Acquire);
    let kept = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL;
    // SAFETY: SQLite gives a name that ends with a zero, or none.
    let path = if flags & kept != 0 { unsafe { path_of(name) } } else { None };
    let shown = path.and_then(|path| disk_of(&path).map(|disk| Shown { disk, path }));
    let ours = file.cast::<File>();
    // SAFETY: `file` has `szOsFile` bytes that nobody else uses yet; `base` is the system's VFS.
    unsafe {
        (*ours).base.pMethods = std::ptr::null();
        (*ours).shown = std::ptr::null_mut();
        if shown.as_ref().is_some_and(|s| s.disk.is_off()) {
            return ffi::SQLITE_IOERR;
        }
        let Some(system) = (*base).xOpen else { return ffi::SQLITE_CANTOPEN };
        let answer = system(base, name, real(file), flags, out);
        if answer != ffi::SQLITE_OK {
            return answer;
        }
        if let Some(shown) = shown {
            shown.disk.opened(&shown.path);
            (*ours).shown = Box::into_raw(Box::new(shown));
        }
        (*ours).base.pMethods = &METHODS;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    let base = BASE.load(Ordering::Acquire);
    // SAFETY: SQLite gives a name that ends with a zero.
    let path = unsafe { path_of(name) };
    let disk = path.as_deref().and_then(disk_of);
    if disk.as_ref().is_some_and(|d| d.is_off()) {
        return ffi::SQLITE_IOERR_DELETE;
    }
    // SAFETY: `base` is the system's VFS.
    let answer = unsafe { (*base).xDelete.map_or(ffi::SQLITE_ERROR, |system| system(base, name, sync)) };
    if let (Some(disk), Some(path), ffi::SQLITE_OK) = (disk, path, answer) {
        disk.removed(&path);
    }
    answer
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let answer = system!(file, xClose);
    let ours = file.cast::<File>();
    // SAFETY: [`open`] made the box, and a file is closed once.
    unsafe {
        let shown = std::mem::replace(&mut (*ours).shown, std::ptr::null_mut());
        if !shown.is_null() {
            drop(Box::from_raw(shown));
        }
    }
    answer
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, to: *mut c_void, bytes: c_int, at: i64) -> c_int {
    // SAFETY: SQLite reads open files only.
    if let Some(s) = unsafe { shown(file) } {
        let mut state = s.disk.state.lock();
        if state.off {
            return ffi::SQLITE_IOERR_READ;
        }
        if state.error == Some(DiskError::Read) {
            (state.error, state.failed) = (None, true);
            return ffi::SQLITE_IOERR_READ;
        }
    }
    system!(file, xRead, to, bytes, at)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    bytes: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite writes open files only, and `from` points to so many bytes.
    let (shown, data) =
        unsafe { (shown(file), std::slice::from_raw_parts(from.cast::<u8>(), bytes.max(0) as usize)) };
    if let Some(s) = shown {
        if let Answer::Fail(error) = s.disk.ask(&[DiskError::Write, DiskError::Full]) {
            return code(error);
        }
        s.disk.wrote(&s.path, Change::Write(at.max(0) as u64, data.to_vec()));
    }
    system!(file, xWrite, from, bytes, at)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, bytes: i64) -> c_int {
    // SAFETY: SQLite cuts open files only.
    if let Some(s) = unsafe { shown(file) } {
        if let Answer::Fail(error) = s.disk.ask(&[DiskError::Write]) {
            return code(error);
        }
        s.disk.wrote(&s.path, Change::Truncate(bytes.max(0) as u64));
    }
    system!(file, xTruncate, bytes)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite syncs open files only.
    match unsafe { shown(file) } {
        // What is durable is ours to say; the real file lies in a folder that goes with the world.
        Some(s) => s.disk.synced(&s.path).map_or_else(code, |()| ffi::SQLITE_OK),
        None => system!(file, xSync, flags),
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, out: *mut i64) -> c_int {
    system!(file, xFileSize, out)
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    system!(file, xLock, level)
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    system!(file, xUnlock, level)
}

unsafe extern "C" fn check_lock(file: *mut ffi::sqlite3_file, out: *mut c_int) -> c_int {
    system!(file, xCheckReservedLock, out)
}

unsafe extern "C" fn control(file: *mut ffi::sqlite3_file, what: c_int, argument: *mut c_void) -> c_int {
    system!(file, xFileControl, what, argument)
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    system!(file, xSectorSize)
}

unsafe extern "C" fn characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    system!(file, xDeviceCharacteristics)
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    system!(file, xShmMap, page, bytes, extend, out)
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, at: c_int, n: c_int, flags: c_int) -> c_int {
    system!(file, xShmLock, at, n, flags)
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    system!(file, xShmBarrier)
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    system!(file, xShmUnmap, delete)
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_lock),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
