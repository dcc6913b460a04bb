//! The data directory: what lies where, with which permissions, and who holds the lock.
//!
//! Secrets are files of mode 0600 in a directory of mode 0700. A file is replaced by writing a new one beside it,
//! syncing it and renaming it, so a crash leaves the old one or the new one. Not here: the database, which the engine
//! keeps in the same directory.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use parking_lot::{Mutex, MutexGuard};

/// Longest file of ours that is read into memory, in bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What is wrong with a data directory.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made or written.
    #[error(
        "cannot use the data directory {path}: {source}\n  hint: choose another with --data-dir, or make it writable for this user"
    )]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {path} is in use by another process{pid}\n  hint: stop that one, or give this one a directory of its own with --data-dir"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// ` (pid N)`, if known.
        pid: String,
    },
    /// There is no node in it.
    #[error(
        "there is no node in {0}\n  hint: `p2pdb-node init` makes a realm of its own, `p2pdb-node join TICKET` joins one"
    )]
    Empty(PathBuf),
    /// There is one already.
    #[error(
        "{0} already holds a node\n  hint: `p2pdb-node run` starts it; choose another directory with --data-dir for a new one"
    )]
    Occupied(PathBuf),
    /// A restore into it has failed, or broke off.
    #[error(
        "{root} holds what a restore left that failed or broke off, and no node is made there\n  hint: `p2pdb-node restore` with a whole backup; to begin anew without what was in it, choose another directory with --data-dir"
    )]
    HalfRestored {
        /// The directory.
        root: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {verb} {path}: {source}")]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} is damaged: {reason}\n  hint: put the file back from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Paths in a data directory.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
    /// What is lost, where it could not be written there.
    unnoted: Arc<Mutex<Option<String>>>,
}

/// The lock on a data directory; held until dropped.
#[derive(Debug)]
pub struct Lock {
    /// None where there was no file and none could be made.
    _file: Option<File>,
    /// What was in the directory before; `None`: there was none.
    before: Option<HashSet<OsString>>,
}

/// Makes a directory for its owner alone (mode 0700), and those above it if need be: keys and passwords are in it.
///
/// # Errors
/// [`DataDirError::Unusable`].
pub fn private_dir(path: &Path) -> Result<(), DataDirError> {
    let unusable = |source| DataDirError::Unusable { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(unusable)?;
    // One that was there keeps its mode while there is something else in it.
    if fs::read_dir(path).map_err(unusable)?.next().is_none() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(unusable)?;
    }
    Ok(())
}

impl DataDir {
    /// The directory at this path, which need not exist.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), unnoted: Arc::default() }
    }

    pub(crate) fn unnoted(&self) -> MutexGuard<'_, Option<String>> {
        self.unnoted.lock()
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The node key.
    pub fn node_key_path(&self) -> PathBuf {
        self.path(NODE_KEY)
    }

    /// The option file for MySQL clients.
    pub fn client_cnf_path(&self) -> PathBuf {
        self.path("client.cnf")
    }

    /// True when a node was made here.
    pub fn is_initialised(&self) -> bool {
        self.node_key_path().exists()
    }

    /// Makes the directory (mode 0700) if need be, and takes its lock.
    ///
    /// # Errors
    /// [`DataDirError::Unusable`], [`DataDirError::Locked`].
    pub fn lock(&self) -> Result<Lock, DataDirError> {
        let unusable = |source| DataDirError::Unusable { path: self.root.clone(), source };
        let before = self.names();
        if !self.root.is_dir() {
            private_dir(&self.root)?;
        }
        let path = self.path(LOCK);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                let pid = match file.read_to_string(&mut pid) {
                    Ok(_) if !pid.trim().is_empty() => format!(" (pid {})", pid.trim()),
                    _ => String::new(),
                };
                return Err(DataDirError::Locked { path: self.root.clone(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(unusable(e)),
        }
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        let lock = Lock { _file: Some(file), before };
        match written {
            Ok(()) => Ok(lock),
            Err(e) => {
                self.remove_since(&lock);
                Err(unusable(e))
            }
        }
    }

    /// Who has taken the lock last, where that is written there.
    pub fn holder(&self) -> Option<u32> {
        self.read_text(LOCK).ok().flatten()?.trim().parse().ok()
    }

    /// Somebody holds the lock now: [`Self::holder`], once it has written who it is.
    pub fn is_held(&self) -> bool {
        let is_locked = |file: File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        File::open(self.path(LOCK)).is_ok_and(is_locked)
    }

    /// True where the directory's file system is mounted for reading only.
    pub fn is_on_a_disk_for_reading(&self) -> bool {
        rustix::fs::statvfs(&self.root)
            .is_ok_and(|disk| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
    }

    /// Takes the lock where nothing can be written, if the file is there.
    ///
    /// # Errors
    /// [`DataDirError::Unusable`], [`DataDirError::Locked`].
    pub fn lock_reading(&self) -> Result<Lock, DataDirError> {
        let before = self.names();
        let file = match File::open(self.path(LOCK)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Lock { _file: None, before }),
            Err(source) => return Err(DataDirError::Unusable { path: self.root.clone(), source }),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(DataDirError::Locked { path: self.root.clone(), pid: String::new() })
            }
            // Some file systems lock only what can be written: nobody writes there.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Lock { _file: Some(file), before }),
        }
    }

    /// Does what makes a node here, or nothing: when it fails (a full disk), what has come into the directory since it was
    /// locked is removed, and the directory, too, if it was not there before.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn make<T, E>(&self, lock: &Lock, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        make().inspect_err(|_| self.remove_since(lock))
    }

    /// The names of what is in the directory; `None` when it cannot be read.
    fn names(&self) -> Option<HashSet<OsString>> {
        let entries = fs::read_dir(&self.root).ok()?;
        Some(entries.filter_map(|e| Some(e.ok()?.file_name())).collect())
    }

    fn remove_since(&self, lock: &Lock) {
        let none = HashSet::new();
        let before = lock.before.as_ref().unwrap_or(&none);
        let new = self.names().unwrap_or_default();
        for name in new.difference(before) {
            let path = self.root.join(name);
            // Left behind it harms nobody, and a later start names it.
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        if lock.before.is_none() {
            let _ = fs::remove_dir(&self.root);
        }
    }

    /// Bytes that this user may still write to the disk under the directory; `None` where the system does not say.
    pub fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.root).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Fails unless a node was made here.
    ///
    /// # Errors
    /// [`DataDirError::Empty`]; [`DataDirError::Unusable`] where this user may not look.
    pub fn must_be_initialised(&self) -> Result<(), DataDirError> {
        match self.node_key_path().try_exists() {
            Ok(true) => Ok(()),
            Err(source) if source.kind() == io::ErrorKind::PermissionDenied => {
                Err(DataDirError::Unusable { path: self.root.clone(), source })
            }
            _ => Err(DataDirError::Empty(self.root.clone())),
        }
    }

    /// Writes a secret (mode 0600), durably and at once.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_secret(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let path = self.path(name);
        let write = || -> io::Result<()> {
            let parent = path.parent().unwrap_or(&self.root);
            let fresh = path.with_extension("new");
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            // An old file of that name may have been left with other permissions.
            file.set_permissions(fs::Permissions::from_mode(0o600))?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(parent)?.sync_all()
        };
        write().map_err(|source| DataDirError::File { verb: "write", path: path.clone(), source })
    }

    /// Reads a file; `None` when there is none.
    ///
    /// # Errors
    /// [`DataDirError::File`]; [`DataDirError::Damaged`] when it is not text or absurdly long.
    pub fn read_text(&self, name: &str) -> Result<Option<String>, DataDirError> {
        let path = self.path(name);
        let bytes = match File::open(&path).and_then(|f| {
            let mut bytes = Vec::new();
            f.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        }) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(DataDirError::File { verb: "read", path, source }),
        };
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let reason = format!("it is longer than {FILE_BYTES_MAX} bytes");
            return Err(DataDirError::Damaged { path, reason });
        }
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| DataDirError::Damaged { path, reason: "it is not UTF-8 text".into() })
    }

    /// Reads a JSON file; `None` when there is none.
    ///
    /// # Errors
    /// As [`Self::read_text`]; [`DataDirError::Damaged`] when it is not what was written.
    pub fn read_json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, DataDirError> {
        let Some(text) = self.read_text(name)? else {
            return Ok(None);
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|e| DataDirError::Damaged { path: self.path(name), reason: e.to_string() })
    }

    /// Writes a JSON file (mode 0600).
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_json<T: serde::Serialize>(&self, name: &str, value: &T) -> Result<(), DataDirError> {
        let bytes = serde_json::to_vec_pretty(value).expect("invariant: our own types are JSON");
        self.write_secret(name, &bytes)
    }

    /// Reads a JSON file that [`Self::write_checked`] has written, or an earlier version without a checksum.
    ///
    /// # Errors
    /// As [`Self::read_json`]; [`DataDirError::Damaged`] when it is not what was written, to the last bit.
    pub fn read_checked<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, DataDirError> {
        let Some(value) = self.read_json::<serde_json::Value>(name)? else {
            return Ok(None);
        };
        let damaged = |reason: String| DataDirError::Damaged { path: self.path(name), reason };
        let checked = value.get(CHECKSUM).and_then(|c| c.as_str()).zip(value.get(ENTRIES));
        let entries = match checked {
            Some((sum, entries)) if entries.is_object() => {
                if sum != checksum(entries) {
                    let reason =
                        "its checksum is not that of what is in it, so the disk or somebody has changed it";
                    return Err(damaged(reason.to_owned()));
                }
                entries
            }
            _ => &value,
        };
        T::deserialize(entries).map(Some).map_err(|e| damaged(e.to_string()))
    }

    /// Writes a JSON file (mode 0600) with a checksum of its content.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_checked<T: serde::Serialize>(&self, name: &str, entries: &T) -> Result<(), DataDirError> {
        let entries = serde_json::to_value(entries).expect("invariant: our own types are JSON");
        self.write_json(name, &serde_json::json!({ CHECKSUM: checksum(&entries), ENTRIES: entries }))
    }

    /// What is wrong with the files that have a checksum, a sentence for each that is damaged, and what to do.
    pub fn damaged_files(&self) -> Vec<String> {
        self.unread_files().into_iter().map(|(damage, what)| format!("{damage}{what}")).collect()
    }

    /// The same, each with what is said behind it; also files that this user may not read.
    pub(crate) fn unread_files(&self) -> Vec<(DataDirError, &'static str)> {
        use std::collections::BTreeMap;
        type Objects = BTreeMap<String, serde_json::Map<String, serde_json::Value>>;
        let accounts = self.read_checked::<BTreeMap<String, String>>(ACCOUNTS_FILE).err();
        let keys = self.read_checked::<Objects>(crate::keystore::FILE).err();
        let logins = self.read_checked::<Objects>(crate::door::LOGINS_FILE).err();
        let all = [(accounts, ""), (keys, crate::keystore::WITHOUT), (logins, "")];
        all.into_iter().filter_map(|(damage, what)| Some((damage?, what))).collect()
    }

    /// What is wrong and keeps nobody from going on: damaged files, and commits that may be lost.
    pub fn warnings(&self) -> Vec<String> {
        self.damaged_files().into_iter().chain(self.lost()).collect()
    }

    /// Removes a file if it is there.
    pub fn remove(&self, name: &str) {
        // Nothing depends on it being gone; the next start overwrites it.
        let _ = fs::remove_file(self.path(name));
    }

    /// A restore begins: until it ends no node is made here, whatever becomes of it.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn begin_restoring(&self) -> Result<(), DataDirError> {
        let path = self.path(RESTORING);
        // There it says enough, also on a full disk.
        let begun = File::create(&path).and_then(|_| File::open(&self.root)?.sync_all());
        begun.map_err(|source| DataDirError::File { verb: "write", path, source })
    }

    /// Fails where a restore has begun that did not come to its end.
    ///
    /// # Errors
    /// [`DataDirError::HalfRestored`].
    pub fn must_not_be_half_restored(&self) -> Result<(), DataDirError> {
        if self.is_initialised() || !self.path(RESTORING).exists() {
            return Ok(());
        }
        Err(DataDirError::HalfRestored { root: self.root.clone() })
    }

    /// Writes the node key.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_node_key(&self, key: &SigningKey) -> Result<(), DataDirError> {
        self.write_secret(NODE_KEY, key_text(key).as_bytes())
    }

    /// Reads the node key.
    ///
    /// # Errors
    /// [`DataDirError::Empty`] when there is none; [`DataDirError::Damaged`] when it is not a key.
    pub fn read_node_key(&self) -> Result<SigningKey, DataDirError> {
        let text = self.read_text(NODE_KEY)?.ok_or_else(|| DataDirError::Empty(self.root.clone()))?;
        self.make_private(NODE_KEY);
        self.key_of(NODE_KEY, &text)
    }

    /// Writes the key that a node shows before it joins.
    ///
    /// # Errors
    /// [`DataDirError::File`].
    pub fn write_joining_key(&self, key: &SigningKey) -> Result<(), DataDirError> {
        self.write_secret(JOINING_KEY, key_text(key).as_bytes())
    }

    /// Reads the key that a node showed before it joined, if it did.
    ///
    /// # Errors
    /// [`DataDirError::File`]; [`DataDirError::Damaged`] when it is not a key.
    pub fn read_joining_key(&self) -> Result<Option<SigningKey>, DataDirError> {
        let Some(text) = self.read_text(JOINING_KEY)? else { return Ok(None) };
        self.make_private(JOINING_KEY);
        self.key_of(JOINING_KEY, &text).map(Some)
    }

    fn key_of(&self, name: &str, text: &str) -> Result<SigningKey, DataDirError> {
        key_from_text(text).ok_or_else(|| DataDirError::Damaged {
            path: self.path(name),
            reason: "it does not hold the 64 hexadecimal digits of an ed25519 key".into(),
        })
    }

    /// Takes a secret's rights away from everybody but its owner, and says so, when a copy or an editor gave them.
    fn make_private(&self, name: &str) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = self.path(name);
            let Ok(meta) = path.metadata() else { return };
            if meta.permissions().mode() & 0o077 == 0 {
                return;
            }
            match fs::set_permissions(&path, fs::Permissions::from_mode(0o600)) {
                Ok(()) => {
                    tracing::warn!("{} was readable by others; now it is its owner's alone", path.display())
                }
                Err(e) => {
                    tracing::warn!("{} is readable by others, and that cannot be mended: {e}", path.display())
                }
            }
        }
    }

    /// The keystore's key of an account, by user name.
    ///
    /// # Errors
    /// As [`Self::read_checked`].
    pub fn read_account_key(&self, user: &str) -> Result<Option<SigningKey>, DataDirError> {
        let keys: std::collections::BTreeMap<String, String> =
            self.read_checked(ACCOUNTS_FILE)?.unwrap_or_default();
        let Some(text) = keys.get(user) else {
            return Ok(None);
        };
        key_from_text(text).map(Some).ok_or_else(|| DataDirError::Damaged {
            path: self.path(ACCOUNTS_FILE),
            reason: format!("the key of '{user}' is not 64 hexadecimal digits"),
        })
    }

    /// Keeps an account's key in the keystore.
    ///
    /// # Errors
    /// As [`Self::read_checked`] and [`Self::write_checked`].
    pub fn write_account_key(&self, user: &str, key: &SigningKey) -> Result<(), DataDirError> {
        let mut keys: std::collections::BTreeMap<String, String> =
            self.read_checked(ACCOUNTS_FILE)?.unwrap_or_default();
        keys.insert(user.to_owned(), key_text(key));
        self.write_checked(ACCOUNTS_FILE, &keys)
    }
}

const ACCOUNTS_FILE: &str = "accounts.json";
/// The members of a file with a checksum: SHA-256 of the other one, in hexadecimal digits; and what is kept.
const CHECKSUM: &str = "checksum";
const ENTRIES: &str = "entries";

fn checksum(entries: &serde_json::Value) -> String {
    use sha2::{Digest, Sha256};
    let bytes = serde_json::to_vec(entries).expect("invariant: a value is JSON");
    p2pdb_model::ids::hex(&Sha256::digest(bytes))
}

/// There from the beginning of a restore to its end.
pub const RESTORING: &str = "restoring";
/// The key that a node showed before it joined.
pub const JOINING_KEY: &str = "joining.key";
/// File with the node's key.
pub const NODE_KEY: &str = "node.key";
/// Held by the process that uses the directory, with its id in it.
const LOCK: &str = "LOCK";

fn key_text(key: &SigningKey) -> String {
    p2pdb_model::ids::hex(&key.to_bytes())
}

fn key_from_text(text: &str) -> Option<SigningKey> {
    let bytes: [u8; 32] = p2pdb_model::ids::unhex(text.trim())?.try_into().ok()?;
    Some(SigningKey::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, DataDir) {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path().join("node"));
        (temp, dir)
    }

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder() {
        let (_temp, dir) = directory();
        let lock = dir.lock().expect("first");
        let text = dir.lock().expect_err("second").to_string();
        assert!(text.contains("in use by another process (pid "), "{text}");
        assert!(text.contains("--data-dir"), "{text}");
        drop(lock);
        dir.lock().expect("after the first is gone");
    }

    #[test]
    fn a_making_that_fails_leaves_only_what_was_there_before() {
        let (temp, dir) = directory();
        let fail = |dir: &DataDir| {
            let lock = dir.lock().expect("lock");
            let made: Result<(), DataDirError> = dir.make(&lock, || {
                dir.write_secret("accounts.json", b"{}")?;
                fs::create_dir(dir.path("tls")).expect("a directory");
                fs::write(dir.path("tls/key"), b"x").expect("a file");
                Err(DataDirError::Empty(dir.root().to_owned()))
            });
            made.expect_err("it fails");
        };
        fail(&dir);
        assert!(!dir.root().exists());
        private_dir(dir.root()).expect("a directory");
        fs::write(dir.path("p2pdb.toml"), b"").expect("write");
        fail(&dir);
        assert_eq!(dir.names(), Some(HashSet::from(["p2pdb.toml".into()])));
        let lock = dir.lock().expect("lock");
        dir.make(&lock, || dir.write_secret(NODE_KEY, b"k")).expect("it works");
        assert!(dir.path(NODE_KEY).exists() && dir.path("LOCK").exists());
        assert!(temp.path().exists());
    }

    #[test]
    fn secrets_are_for_the_user_alone_and_come_back() {
        let (_temp, dir) = directory();
        let _lock = dir.lock().expect("lock");
        assert!(matches!(dir.read_node_key(), Err(DataDirError::Empty(_))));
        let key = SigningKey::from_bytes(&[7; 32]);
        fs::write(dir.path("node.new"), b"left by a crash").expect("write");
        dir.write_node_key(&key).expect("write");
        dir.write_account_key("root", &key).expect("write");
        assert_eq!(dir.read_node_key().expect("read").to_bytes(), key.to_bytes());
        assert!(dir.read_account_key("root").expect("read").is_some());
        assert!(dir.read_account_key("toor").expect("read").is_none());
        for name in [NODE_KEY, ACCOUNTS_FILE, "LOCK"] {
            let mode = fs::metadata(dir.path(name)).expect("metadata").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert_eq!(fs::metadata(dir.root()).expect("metadata").permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_damaged_key_is_named_with_what_to_do() {
        let (_temp, dir) = directory();
        let _lock = dir.lock().expect("lock");
        for text in ["", "abc", "zz", &"0".repeat(63)] {
            fs::write(dir.node_key_path(), text).expect("write");
            let error = dir.read_node_key().expect_err("damaged").to_string();
            assert!(error.contains("node.key is damaged") && error.contains("backup"), "{error}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_checked_file_is_noticed() {
        let (_temp, dir) = directory();
        let _lock = dir.lock().expect("lock");
        let key = SigningKey::from_bytes(&[0xab; 32]);
        dir.write_account_key("root", &key).expect("write");
        let good = fs::read(dir.path(ACCOUNTS_FILE)).expect("read");
        assert_eq!(dir.damaged_files(), Vec::<String>::new());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(dir.path(ACCOUNTS_FILE), &bad).expect("write");
            let error = dir.read_account_key("root").expect_err("damaged").to_string();
            assert!(error.contains("accounts.json is damaged"), "bit {bit}: {error}");
            assert_eq!(dir.write_account_key("ann", &key).expect_err("damaged").to_string(), error);
            assert_eq!(fs::read(dir.path(ACCOUNTS_FILE)).expect("read"), bad, "it is left as it is");
            assert_eq!(dir.damaged_files().len(), 1);
        }
    }

    #[test]
    fn a_file_of_before_checksums_is_read_and_gets_one() {
        let (_temp, dir) = directory();
        let _lock = dir.lock().expect("lock");
        let key = SigningKey::from_bytes(&[7; 32]);
        let old = std::collections::BTreeMap::from([("root", key_text(&key))]);
        dir.write_json(ACCOUNTS_FILE, &old).expect("write");
        assert_eq!(dir.read_account_key("root").expect("read"), Some(key.clone()));
        dir.write_account_key("ann", &key).expect("write");
        assert!(dir.read_text(ACCOUNTS_FILE).expect("read").is_some_and(|t| t.contains(CHECKSUM)));
        assert_eq!(dir.read_account_key("root").expect("read"), Some(key));
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_refused() {
        let (temp, _) = directory();
        let file = temp.path().join("file");
        fs::write(&file, b"").expect("write");
        let text = DataDir::at(file.join("below")).lock().expect_err("no directory").to_string();
        assert!(text.starts_with("cannot use the data directory") && text.contains("hint:"), "{text}");
    }
}
