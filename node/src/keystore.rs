//! The keys of accounts that were made on this node, each locked with the account's password. Kept in `keys.json`.
//!
//! A key is needed only to delegate to further nodes; to write here the delegation to this node suffices. So it can
//! stay locked: who steals the disk cannot take the account along. Argon2id ([RFC 9106]) makes a key of the password,
//! XChaCha20-Poly1305 seals the account's key under it.
//!
//! [RFC 9106]: https://www.rfc-editor.org/rfc/rfc9106

use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use p2pdb_model::ids::{hex, unhex};
use serde::{Deserialize, Serialize};

use crate::datadir::{DataDir, DataDirError};

/// The file's name in the data directory.
pub const FILE: &str = "keys.json";
/// What it means that the file cannot be read, behind what is wrong with it.
pub(crate) const WITHOUT: &str = "; until then logins and what they do go on, and no account is made, renamed, dropped or delegated here, nor its password changed. Without a backup remove the file: the keys in it are given up then, and the accounts act on by the nodes that they are delegated to";

/// Memory of one computation, KiB (RFC 9106, section 4, second recommended option).
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes over it.
const PASSES: u32 = 3;
/// Lanes.
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 24;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Locked {
    /// Argon2id: memory in KiB, passes, lanes.
    argon2id: (u32, u32, u32),
    salt: String,
    nonce: String,
    sealed: String,
}

/// See the module.
#[derive(Debug)]
pub struct Keystore<'a> {
    dir: &'a DataDir,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// What is in it.
    #[error("the key of '{0}' in {FILE} is damaged")]
    Damaged(String),
    /// The cipher or the key derivation refuses.
    #[error("a key cannot be locked: {0}")]
    Cipher(&'static str),
}

fn cipher(password: &str, salt: &[u8], argon2id: (u32, u32, u32)) -> Option<XChaCha20Poly1305> {
    let params = Params::new(argon2id.0, argon2id.1, argon2id.2, Some(32)).ok()?;
    let mut key = [0; 32];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.as_bytes(), salt, &mut key).ok()?;
    Some(XChaCha20Poly1305::new(&key.into()))
}

/// What the seal is for.
const PURPOSE: &[u8] = b"p2pdb/keystore/v1\0";

impl<'a> Keystore<'a> {
    /// That of a data directory.
    pub fn at(dir: &'a DataDir) -> Self {
        Keystore { dir }
    }

    fn read(&self) -> Result<BTreeMap<String, Locked>, KeystoreError> {
        Ok(self.dir.read_checked(FILE)?.unwrap_or_default())
    }

    fn write(&self, all: &BTreeMap<String, Locked>) -> Result<(), KeystoreError> {
        Ok(self.dir.write_checked(FILE, all)?)
    }

    /// Keeps an account's key, locked with a password, in place of what was kept before.
    ///
    /// # Errors
    /// When the file cannot be read or written; then nothing has changed.
    pub fn put(&self, name: &str, password: &str, key: &[u8; 32]) -> Result<(), KeystoreError> {
        let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
        rand::fill(&mut salt);
        rand::fill(&mut nonce);
        let argon2id = (MEMORY_KIB, PASSES, LANES);
        let cipher = cipher(password, &salt, argon2id).ok_or(KeystoreError::Cipher("Argon2id"))?;
        let payload = Payload { msg: key, aad: PURPOSE };
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| KeystoreError::Cipher("XChaCha20-Poly1305"))?;
        let locked = Locked { argon2id, salt: hex(&salt), nonce: hex(&nonce), sealed: hex(&sealed) };
        let mut all = self.read()?;
        all.insert(name.to_owned(), locked);
        self.write(&all)
    }

    /// An account's key; `None` when there is none, or the password is another one.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn open(&self, name: &str, password: &str) -> Result<Option<[u8; 32]>, KeystoreError> {
        let Some(locked) = self.read()?.remove(name) else { return Ok(None) };
        let damaged = || KeystoreError::Damaged(name.to_owned());
        let bytes = |text: &str| unhex(text).ok_or_else(damaged);
        let (salt, nonce, sealed) = (bytes(&locked.salt)?, bytes(&locked.nonce)?, bytes(&locked.sealed)?);
        if nonce.len() != NONCE_BYTES || locked.argon2id.0 > MEMORY_KIB * 16 {
            return Err(damaged());
        }
        let cipher = cipher(password, &salt, locked.argon2id).ok_or_else(damaged)?;
        let payload = Payload { msg: &sealed, aad: PURPOSE };
        let Ok(key) = cipher.decrypt(XNonce::from_slice(&nonce), payload) else { return Ok(None) };
        key.as_slice().try_into().map(Some).map_err(|_| damaged())
    }

    /// The account is called otherwise.
    ///
    /// # Errors
    /// As [`Keystore::put`].
    pub fn rename(&self, from: &str, to: &str) -> Result<(), KeystoreError> {
        let mut all = self.read()?;
        let Some(locked) = all.remove(from) else { return Ok(()) };
        all.insert(to.to_owned(), locked);
        self.write(&all)
    }

    /// Forgets an account's key.
    ///
    /// # Errors
    /// As [`Keystore::put`].
    pub fn remove(&self, name: &str) -> Result<(), KeystoreError> {
        let mut all = self.read()?;
        if all.remove(name).is_some() {
            self.write(&all)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_with_its_password_alone() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        let keys = Keystore::at(&dir);
        assert_eq!(keys.open("ann", "x").expect("nothing there"), None);
        keys.put("ann", "geheim", &[7; 32]).expect("write");
        assert_eq!(keys.open("ann", "geheim").expect("read"), Some([7; 32]));
        assert_eq!(keys.open("ann", "Geheim").expect("read"), None);
        let text = dir.read_text(FILE).expect("read").expect("there");
        assert!(!text.contains(&hex(&[7; 32])), "it is not there in clear");
        keys.rename("ann", "anna").expect("write");
        assert_eq!(keys.open("ann", "geheim").expect("read"), None);
        assert_eq!(keys.open("anna", "geheim").expect("read"), Some([7; 32]));
        keys.remove("anna").expect("write");
        assert_eq!(keys.open("anna", "geheim").expect("read"), None);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        Keystore::at(&dir).put("ann", "geheim", &[7; 32]).expect("write");
        let mut all = Keystore::at(&dir).read().expect("read");
        all.get_mut("ann").expect("there").nonce.push_str("zz");
        Keystore::at(&dir).write(&all).expect("write");
        let damaged = Keystore::at(&dir).open("ann", "geheim").expect_err("damaged");
        assert!(damaged.to_string().contains("'ann'"), "{damaged}");
    }
}
