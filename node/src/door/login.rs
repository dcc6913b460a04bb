//! Who may log in here: accounts and the verifiers of their passwords. Kept in `logins.json`, never replicated.
//!
//! Which accounts exist and what they may do stands in the log; this is only how a client proves to *this* node that
//! it is one of them. The keys of accounts that were made here are in the [`Keystore`], locked with the same passwords.

use std::collections::BTreeMap;

use p2pdb_model::AccountId;
use p2pdb_model::ids::{hex, unhex};
use p2pdb_mysql::{AuthPlugin, Credentials, Verifiers};
use p2pdb_sql::account::AccountName;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::datadir::{DataDir, DataDirError};
use crate::keystore::Keystore;

pub(crate) const FILE: &str = "logins.json";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    /// `SHA1(SHA1(password))`, hexadecimal.
    native: String,
    /// `SHA256(SHA256(password))`, hexadecimal; not there until the password itself was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha2: Option<String>,
    /// The account's id, hexadecimal. Without it the password is that of whatever account has the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
}

/// What is known of one login.
#[derive(Clone, Debug)]
struct Known {
    verifiers: Verifiers,
    /// The account whose password it is; another one that comes to have the name is not opened by it.
    account: Option<AccountId>,
}

/// See the module.
#[derive(Debug)]
pub struct Logins {
    dir: DataDir,
    /// By user name; with `@host` behind it where that is not `%`.
    users: RwLock<BTreeMap<String, Known>>,
}

/// What an account is called in the files of this node.
pub(super) fn file_name(name: &AccountName) -> String {
    if name.host == "%" { name.user.clone() } else { format!("{}@{}", name.user, name.host) }
}

/// The login that `name` or `name@host` means.
pub(crate) fn named(text: &str) -> String {
    let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
    file_name(&AccountName { user: user.to_owned(), host: host.to_owned() })
}

impl Logins {
    /// Reads the file, which must be there.
    ///
    /// # Errors
    /// Also when it is missing: nobody could log in.
    pub fn load(dir: &DataDir) -> Result<Self, DataDirError> {
        if dir.read_text(FILE)?.is_none() {
            let reason = "it is missing, and nobody could log in; put it back from a backup, or set a new password with `p2pdb-node password`".to_owned();
            return Err(DataDirError::Damaged { path: dir.path(FILE), reason });
        }
        Self::open(dir)
    }

    /// Reads the file; none is an empty one.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn open(dir: &DataDir) -> Result<Self, DataDirError> {
        let entries: BTreeMap<String, Entry> = dir.read_checked(FILE)?.unwrap_or_default();
        let mut users = BTreeMap::new();
        for (user, entry) in entries {
            let bytes = |text: &str| unhex(text);
            let native = bytes(&entry.native).and_then(|b| b.try_into().ok());
            let sha2 = entry.sha2.as_deref().map(|text| bytes(text).and_then(|b| b.try_into().ok()));
            let (Some(native), None | Some(Some(_))) = (native, sha2) else {
                let reason = format!("the verifiers of '{user}' are not 40 and 64 hexadecimal digits");
                return Err(DataDirError::Damaged { path: dir.path(FILE), reason });
            };
            let verifiers = Verifiers { native: Some(native), sha2: sha2.flatten() };
            let account = match entry.account.as_deref().map(|id| unhex(id).and_then(|b| b.try_into().ok())) {
                None => None,
                Some(Some(id)) => Some(AccountId(id)),
                Some(None) => {
                    let reason = format!("the account of '{user}' is not 32 hexadecimal digits");
                    return Err(DataDirError::Damaged { path: dir.path(FILE), reason });
                }
            };
            users.insert(user, Known { verifiers, account });
        }
        Ok(Self { dir: dir.clone(), users: RwLock::new(users) })
    }

    /// Sets the password of a user and writes the file. `account`: whose it is; without one, of whatever account has the name.
    ///
    /// # Errors
    /// When it cannot be written; then nothing has changed.
    pub fn set_password(
        &self,
        user: &str,
        account: Option<AccountId>,
        password: &str,
    ) -> Result<(), DataDirError> {
        self.set_verifiers(user, account, Verifiers::of_password(password.as_bytes()))
    }

    /// As [`Self::set_password`], where only the password's verifiers are known.
    ///
    /// # Errors
    /// When it cannot be written; then nothing has changed.
    pub fn set_verifiers(
        &self,
        user: &str,
        account: Option<AccountId>,
        verifiers: Verifiers,
    ) -> Result<(), DataDirError> {
        self.change_users(|users| {
            users.insert(user.to_owned(), Known { verifiers, account });
        })
    }

    /// Whether this is the user's password, as the full exchange of `caching_sha2_password` has shown it. Then the verifier is
    /// kept that spares the next login the exchange.
    pub fn check_and_learn(&self, user: &str, account: Option<AccountId>, password: &[u8]) -> bool {
        if !self.check(user, account, password) {
            return false;
        }
        let learned = self.change_users(|users| {
            // It may be another one since.
            if let Some(known) =
                users.get_mut(user).filter(|k| k.is_of(account) && k.verifiers.check_password(password))
            {
                known.verifiers = Verifiers::of_password(password);
            }
        });
        if let Err(e) = learned {
            warn!(user, "logged in, but the next login must show its password again: {e}");
        }
        true
    }

    fn change_users(&self, change: impl FnOnce(&mut BTreeMap<String, Known>)) -> Result<(), DataDirError> {
        let mut users = self.users.write();
        let mut changed = users.clone();
        change(&mut changed);
        let entries: BTreeMap<&String, Entry> = changed
            .iter()
            .map(|(user, known)| {
                let v = &known.verifiers;
                let entry = Entry {
                    native: v.native.map(|b| hex(&b)).unwrap_or_default(),
                    sha2: v.sha2.map(|b| hex(&b)),
                    account: known.account.map(|id| hex(&id.0)),
                };
                (user, entry)
            })
            .collect();
        self.dir.write_checked(FILE, &entries)?;
        *users = changed;
        Ok(())
    }

    /// The names of all logins.
    pub fn users(&self) -> Vec<String> {
        self.users.read().keys().cloned().collect()
    }

    /// What the protocol needs to check a login as this account, `None`: as one that is not known yet.
    pub fn credentials(&self, user: &str, account: Option<AccountId>) -> Credentials {
        match self.users.read().get(user).filter(|k| k.is_of(account)).map(|k| &k.verifiers) {
            Some(v) if v.check_password(b"") => Credentials::NoPassword,
            Some(v) => Credentials::Password { plugin: AuthPlugin::CachingSha2, verifiers: v.clone() },
            None => Credentials::Unknown,
        }
    }

    /// Whether this is the user's password.
    pub fn check(&self, user: &str, account: Option<AccountId>, password: &[u8]) -> bool {
        let users = self.users.read();
        users.get(user).is_some_and(|k| k.is_of(account) && k.verifiers.check_password(password))
    }
}

impl Known {
    fn is_of(&self, account: Option<AccountId>) -> bool {
        self.account.is_none() || self.account == account
    }
}

impl p2pdb_engine::Logins for Logins {
    fn put(&self, name: &AccountName, id: AccountId, password: &str, key: &[u8; 32]) -> Result<(), String> {
        let name = file_name(name);
        let text = |e: DataDirError| e.to_string();
        Keystore::at(&self.dir).put(&name, password, key).map_err(|e| e.to_string())?;
        self.set_password(&name, Some(id), password).map_err(text)
    }

    fn change(
        &self,
        name: &AccountName,
        id: AccountId,
        present: &str,
        password: &str,
    ) -> Result<bool, String> {
        let name = file_name(name);
        if !self.check(&name, Some(id), present.as_bytes()) {
            return Ok(false);
        }
        let keystore = Keystore::at(&self.dir);
        // An account that came with the node itself has its key elsewhere.
        if let Some(key) = keystore.open(&name, present).map_err(|e| e.to_string())? {
            keystore.put(&name, password, &key).map_err(|e| e.to_string())?;
        }
        self.set_password(&name, Some(id), password).map_err(|e| e.to_string())?;
        Ok(true)
    }

    fn rename(&self, from: &AccountName, to: &AccountName) -> Result<(), String> {
        let (from, to) = (file_name(from), file_name(to));
        Keystore::at(&self.dir).rename(&from, &to).map_err(|e| e.to_string())?;
        let renamed = self.change_users(|users| {
            if let Some(verifiers) = users.remove(&from) {
                users.insert(to, verifiers);
            }
        });
        renamed.map_err(|e| e.to_string())
    }

    fn remove(&self, name: &AccountName) -> Result<(), String> {
        let name = file_name(name);
        Keystore::at(&self.dir).remove(&name).map_err(|e| e.to_string())?;
        let removed = self.change_users(|users| {
            users.remove(&name);
        });
        removed.map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_survive_a_restart_and_hold_no_password() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        let logins = Logins::open(&dir).expect("empty");
        assert!(matches!(logins.credentials("root", None), Credentials::Unknown));
        assert!(matches!(Logins::load(&dir), Err(DataDirError::Damaged { .. })), "a running node needs it");
        logins.set_password("root", None, "geheim").expect("write");
        let again = Logins::open(&dir).expect("read");
        assert!(
            again.check("root", None, b"geheim")
                && !again.check("root", None, b"Geheim")
                && !again.check("toor", None, b"geheim")
        );
        assert!(!dir.read_text(FILE).expect("read").expect("there").contains("geheim"));
    }

    #[test]
    fn a_password_opens_the_account_that_it_was_set_for_and_no_other_of_the_name() {
        use p2pdb_engine::Logins as _;
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        let (ann, other) = (AccountId([1; 16]), AccountId([2; 16]));
        let name = AccountName { user: "ann".to_owned(), host: "%".to_owned() };
        Logins::open(&dir).expect("empty").put(&name, ann, "geheim", &[3; 32]).expect("kept");
        let logins = Logins::open(&dir).expect("read");
        assert!(logins.check("ann", Some(ann), b"geheim"));
        for id in [Some(other), None] {
            assert!(!logins.check("ann", id, b"geheim"));
            assert!(matches!(logins.credentials("ann", id), Credentials::Unknown));
        }
        assert!(!logins.change(&name, other, "geheim", "mine").expect("an answer"));
        assert!(logins.change(&name, ann, "geheim", "neu").expect("an answer"));
        assert!(logins.check("ann", Some(ann), b"neu") && !logins.check("ann", Some(other), b"neu"));
    }

    #[test]
    fn what_is_known_by_its_older_hash_alone_is_learned_from_the_password() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        let hash = Verifiers::of_password(b"geheim").native_hash().expect("a hash");
        let verifiers = Verifiers::from_native_hash(&hash).expect("read");
        Logins::open(&dir).expect("empty").set_verifiers("ann", None, verifiers.clone()).expect("kept");
        let sha2 = |logins: &Logins| match logins.credentials("ann", None) {
            Credentials::Password { verifiers, .. } => verifiers.sha2,
            _ => panic!("ann has a password"),
        };
        let logins = Logins::open(&dir).expect("read");
        assert!(!logins.check_and_learn("ann", None, b"Geheim") && sha2(&logins).is_none());
        assert!(logins.check_and_learn("ann", None, b"geheim") && sha2(&logins).is_some());
        assert_eq!(sha2(&Logins::open(&dir).expect("read")), sha2(&logins), "written down");
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        let account = format!(
            "{{\"root\":{{\"native\":\"{}\",\"sha2\":\"{}\",\"account\":\"7\"}}}}",
            "0".repeat(40),
            "0".repeat(64)
        );
        for text in ["{", "{\"root\":{\"native\":\"00\",\"sha2\":\"00\"}}", "[]", &account] {
            dir.write_secret(FILE, text.as_bytes()).expect("write");
            assert!(matches!(Logins::open(&dir), Err(DataDirError::Damaged { .. })), "{text}");
        }
    }
}
