//! Opening the realm's file: what kind of file it is, its settings, its tables.
//!
//! A file is created in one SQLite transaction, so it is either empty or whole. It carries our application id and
//! format number; a foreign or newer file is refused before anything is read from it. Every connection gets the
//! same functions and collations, because indexes depend on them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::config::DbConfig;

use crate::capture::{CAPTURE_BYTES_MAX, Capture};
use crate::connection::Connection;
use crate::connection_reader::Reader;
use crate::connection_writer::Writer;
use crate::disk::Disk;
use crate::error::{Result, StoreError};
use crate::functions::Functions;
use crate::lock::DirLock;
use crate::log::LogState;
use crate::meta;

/// Marks the file as ours (`PRAGMA application_id`): "p2pd".
pub const APPLICATION_ID: i64 = 0x7032_7064;

/// The format that this build writes and reads (`PRAGMA user_version`, and `format` in `meta`).
pub const FORMAT: i64 = 1;

/// Pages in the write-ahead log after which the writer runs a checkpoint before its next transaction.
pub const CHECKPOINT_PAGES: u64 = 1000;

/// The same where something else runs checkpoints in the background: the bound on the log's growth (64 MiB).
pub const CHECKPOINT_PAGES_BOUND: u64 = 16 * 1024;

/// After a checkpoint that empties the write-ahead log its file is cut to this many bytes.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// The file. Its lock file lies beside it, with `.lock` added to the name.
    pub path: PathBuf,
    /// A file system of the embedder's own; `None` for the system's.
    pub disk: Option<Arc<dyn Disk>>,
    /// Functions and collations to register.
    pub functions: Arc<Functions>,
    /// The writer's page cache, bytes.
    pub writer_cache_bytes: u64,
    /// A reader's page cache, bytes.
    pub reader_cache_bytes: u64,
    /// How much of the file is read through a memory map, bytes; 0 for none.
    pub mmap_bytes: u64,
    /// How long a connection waits for a lock that another one holds.
    pub busy_timeout: Duration,
    /// Pages in the write-ahead log after which the writer runs a checkpoint.
    pub checkpoint_pages: u64,
    /// The most that one SQLite transaction may capture, bytes.
    pub capture_bytes_max: usize,
    /// The file may grow to this many pages (4 KiB each).
    pub pages_max: Option<u64>,
    /// Commits survive a power cut. `false` only for scratch files that are thrown away.
    pub durable: bool,
    /// The disk takes no writes: nothing is changed, and what would be is an error. Nobody may write to the file meanwhile by
    /// another way.
    pub reads_only: bool,
}

impl Options {
    /// Which file it is, whatever it is called: another one when it was copied. `None` where that is not known.
    pub fn place(&self) -> Option<Vec<u8>> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let real = self.disk.is_none().then(|| std::fs::metadata(&self.path).ok());
            real.flatten().map(|m| m.ino().to_be_bytes().to_vec())
        }
        #[cfg(not(unix))]
        None
    }

    /// For the file at `path`, with everything else as it should be in production.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            disk: None,
            functions: Arc::default(),
            // Not more: when a B-tree is balanced, SQLite looks through the whole cache at the commit.
            writer_cache_bytes: 16 << 20,
            reader_cache_bytes: 8 << 20,
            mmap_bytes: 0,
            busy_timeout: Duration::from_secs(5),
            checkpoint_pages: CHECKPOINT_PAGES,
            capture_bytes_max: CAPTURE_BYTES_MAX,
            pages_max: None,
            durable: true,
            reads_only: false,
        }
    }

    /// The lock file.
    pub fn lock_path(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".lock");
        name.into()
    }

    /// True when there is a file at the path that is not empty: it may be ours, foreign or damaged.
    pub fn exists(&self) -> bool {
        self.path.metadata().is_ok_and(|m| m.len() > 0)
    }

    /// What is there of a store: its file, or the log of one whose file is gone, which SQLite would take for a new one's.
    pub fn found(&self) -> Option<PathBuf> {
        if self.exists() { Some(self.path.clone()) } else { crate::backup::unmoved(&self.path) }
    }

    /// Commits are made durable by [`crate::LogSync`], not by the commit itself.
    pub(crate) fn syncs_apart(&self) -> bool {
        self.durable
    }
}

/// How full the write-ahead log is.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    pages: Arc<AtomicU64>,
    /// Where the last checkpoint left off: due again when as many pages have come since.
    floor: u64,
}

impl Checkpoints {
    pub(crate) fn is_due(&mut self, limit: u64) -> bool {
        let pages = self.pages.load(Relaxed);
        if pages < self.floor {
            self.floor = 0; // the log began anew
        }
        limit > 0 && pages >= self.floor + limit
    }

    pub(crate) fn pages(&self) -> u64 {
        self.pages.load(Relaxed)
    }

    pub(crate) fn done(&mut self, log_pages: u64) {
        self.floor = log_pages;
    }
}

impl Writer {
    /// Makes a new store. [`StoreError::Exists`] when there is one.
    pub fn create(options: &Options) -> Result<Writer> {
        let (lock, connection) = writing(options)?;
        match kind(&connection, &options.path)? {
            Kind::Empty => {}
            Kind::Store => return Err(StoreError::Exists(options.path.clone())),
        }
        connection.execute("BEGIN IMMEDIATE", ())?;
        let made = make(&connection).and_then(|()| connection.execute("COMMIT", ()).map(drop));
        if let Err(e) = made {
            if !connection.db.is_autocommit() {
                connection.execute("ROLLBACK", ())?;
            }
            return Err(e);
        }
        if options.durable {
            sync_directory(&options.path)?;
        }
        finish(options, lock, connection)
    }

    /// Opens an existing store. [`StoreError::Missing`] or [`StoreError::Empty`] when there is none.
    pub fn open(options: &Options) -> Result<Writer> {
        if !options.exists() {
            return Err(StoreError::none_at(&options.path));
        }
        let (lock, connection) = writing(options)?;
        match kind(&connection, &options.path)? {
            Kind::Empty => return Err(StoreError::Empty(options.path.clone())),
            Kind::Store => {}
        }
        if options.reads_only {
            return finish(options, lock, connection);
        }
        settle_log(&connection);
        connection.execute_batch(crate::log::ADDS_SCHEMA)?;
        connection.execute_batch(crate::index::BENT_SCHEMA)?;
        connection.execute_batch(crate::beside::SCHEMA)?;
        finish(options, lock, connection)
    }
}

impl Reader {
    /// Opens a connection for reading an existing store, while its writer is open.
    pub fn open(options: &Options) -> Result<Reader> {
        let connection = connect(options, None)?;
        set(&connection, "cache_size", kibibytes(options.reader_cache_bytes))?;
        set(&connection, "query_only", 1)?;
        match kind(&connection, &options.path)? {
            Kind::Empty => Err(StoreError::Empty(options.path.clone())),
            Kind::Store => Ok(Reader::new(connection)),
        }
    }
}

/// Moves what an earlier run left in the write-ahead log into the database file.
///
/// Where a sync failed, the system may show what it read from its cache and has marked as written, though the disk does not
/// hold it (<https://lwn.net/Articles/752063/>). Commits appended behind such a hole would be synced and still be lost
/// with the power, since SQLite takes the log only up to its first torn frame. Written to the other file it is
/// synced anew.
fn settle_log(connection: &Connection) {
    let settled = connection.query("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(crate::query::NEXT));
    if let Err(e) = settled {
        tracing::warn!(error = %e, "the write-ahead log of the last run could not be taken into the database file");
    }
}

fn writing(options: &Options) -> Result<(Option<DirLock>, Connection)> {
    let lock = if options.reads_only {
        DirLock::acquire_reading(&options.lock_path())?
    } else {
        let lock = DirLock::acquire(&options.lock_path())?;
        make_private(&options.path)?;
        Some(lock)
    };
    let capture = Capture::new(options.capture_bytes_max);
    let connection = connect(options, Some(capture))?;
    Ok((lock, connection))
}

fn finish(options: &Options, lock: Option<DirLock>, mut connection: Connection) -> Result<Writer> {
    set(&connection, "cache_size", kibibytes(options.writer_cache_bytes))?;
    if let Some(pages) = options.pages_max {
        set(&connection, "max_page_count", i64::try_from(pages).unwrap_or(i64::MAX))?;
    }
    if options.syncs_apart() {
        set(&connection, "synchronous", 1)?;
    }
    let checkpoints = Checkpoints::default();
    let pages = checkpoints.pages.clone();
    connection.db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, n: i32| {
        pages.store(u64::try_from(n).unwrap_or_default(), Relaxed);
        Ok(())
    }))?;
    let log = LogState::default();
    Ok(Writer::new(connection, options.clone(), checkpoints, log, lock))
}

/// A connection with all settings that readers and the writer share.
fn connect(options: &Options, capture: Option<Arc<Capture>>) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = match &options.disk {
        None if options.reads_only => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
                | OpenFlags::SQLITE_OPEN_NO_MUTEX
                | OpenFlags::SQLITE_OPEN_URI;
            rusqlite::Connection::open_with_flags(unchanging(&options.path), flags)
        }
        None => rusqlite::Connection::open_with_flags(&options.path, flags),
        Some(disk) => rusqlite::Connection::open_with_flags_and_vfs(&options.path, flags, disk.vfs()),
    };
    let db = db.map_err(|e| match StoreError::from(e) {
        StoreError::Unwritable(_) if !options.path.exists() => StoreError::Missing(options.path.clone()),
        StoreError::Unwritable(why) => StoreError::Unwritable(format!("{}: {why}", options.path.display())),
        e => e,
    })?;
    let writes = capture.is_some();
    let slot = Default::default();
    options.functions.register(&db, &slot)?;
    let connection = Connection::new(db, slot, capture)?;
    let db = &connection.db;
    db.busy_timeout(options.busy_timeout)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // Plans do not depend on the values of parameters; otherwise a statement that may use a partial index is compiled
    // again for each value.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if writes && !options.reads_only {
        let mode = connection.query_one("PRAGMA journal_mode = WAL", (), |r| Ok(r.text(0)?.to_owned()))?;
        if mode.as_deref() != Some("wal") {
            return Err(StoreError::Unwritable(format!(
                "{}: no write-ahead log is possible here",
                options.path.display()
            )));
        }
    }
    set(&connection, "synchronous", if options.durable { 2 } else { 0 })?;
    set(&connection, "foreign_keys", 0)?;
    // Rows that REPLACE takes away leave their full-text indexes, too.
    set(&connection, "recursive_triggers", 1)?;
    set(&connection, "cell_size_check", 1)?;
    set(&connection, "wal_autocheckpoint", 0)?;
    set(&connection, "journal_size_limit", WAL_BYTES_KEPT)?;
    set(&connection, "mmap_size", i64::try_from(options.mmap_bytes).unwrap_or(i64::MAX))?;
    Ok(connection)
}

/// The file for a connection that changes nothing, as a URI. Without a write-ahead log SQLite need not look for one, nor for a place
/// to share it; with one it reads that, too, where its index is there (<https://sqlite.org/wal.html#readonly>).
fn unchanging(path: &Path) -> String {
    use std::fmt::Write;
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(*byte as char),
            // A text takes all that is written to it.
            _ => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri += if crate::backup::unmoved(path).is_some() { "?mode=ro" } else { "?mode=ro&immutable=1" };
    uri
}

/// Sets a pragma.
fn set(connection: &Connection, pragma: &str, value: i64) -> Result<()> {
    // Some answer with the new value: so a query.
    connection.query(&format!("PRAGMA {pragma} = {value}"), (), |_| Ok(crate::query::NEXT)).map(drop)
}

fn get(connection: &Connection, pragma: &str) -> Result<i64> {
    let value = connection.query_one(&format!("PRAGMA {pragma}"), (), |r| r.int(0))?;
    value.ok_or_else(|| StoreError::Corrupt(format!("no answer to PRAGMA {pragma}")))
}

/// SQLite's unit for caches: negative KiB.
fn kibibytes(bytes: u64) -> i64 {
    -i64::try_from(bytes / 1024).unwrap_or(i64::MAX)
}

enum Kind {
    Empty,
    Store,
}

/// What the file is; refuses foreign and newer ones.
fn kind(connection: &Connection, path: &Path) -> Result<Kind> {
    let (application, format) = (get(connection, "application_id")?, get(connection, "user_version")?);
    if application != APPLICATION_ID {
        let objects = connection.query_one("SELECT count(*) FROM sqlite_schema", (), |r| r.int(0))?;
        return match (application, objects) {
            (0, Some(0)) => Ok(Kind::Empty),
            _ => Err(StoreError::Foreign(path.to_owned())),
        };
    }
    if format > FORMAT {
        return Err(StoreError::NewerFormat { found: format, known: FORMAT });
    }
    Ok(Kind::Store)
}

fn make(connection: &Connection) -> Result<()> {
    for schema in crate::SCHEMAS {
        connection.execute_batch(schema)?;
    }
    set(connection, "application_id", APPLICATION_ID)?;
    set(connection, "user_version", FORMAT)?;
    meta::put(connection, meta::DROPS_INDEXED, meta::SET)?;
    meta::put(connection, meta::MERGED, &crate::MERGE.to_be_bytes())?;
    meta::put(connection, meta::FORMAT, &FORMAT.to_be_bytes())
}

/// Makes the file, readable by its owner only, if it is not there; SQLite gives its helper files the same mode.
pub(crate) fn make_private(path: &Path) -> Result<()> {
    let mut open = File::options();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    match open.open(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(StoreError::io("make", path)(e)),
    }
}

/// Makes a new file's name durable.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let sync = File::open(parent).and_then(|d| d.sync_all());
    sync.map_err(StoreError::io("sync the directory", parent))
}
