//! Setting the password of a login of this node: at its making, and by `p2pdb-node password` on a running or a stopped one.
//!
//! The verifiers go to `logins.json`, the password itself to `client.cnf`, where local clients find it. Not here: accounts
//! and what they may do, which stand in the log.

use std::net::SocketAddr;

use anyhow::bail;

use p2pdb_model::AccountId;
use p2pdb_mysql::Verifiers;

use crate::admin::Secret;
use crate::client_file::ClientFile;
use crate::datadir::DataDir;
use crate::door::{Logins, login_named};
use crate::node::ROOT;

/// Characters of a random password; no two that look alike, none that a shell or an option file minds.
const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Length of a random password: 116 bits.
const CHARS: usize = 20;
/// Longest password that is taken, bytes.
const BYTES_MAX: usize = 256;
/// Left while the random password was made but not shown yet, because a start failed in between.
const UNSEEN_FILE: &str = "password.unseen";

/// A random password.
pub fn random() -> String {
    use rand::RngExt;
    let mut rng = rand::rng();
    (0..CHARS).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// The first account's login with a random password, which a later start shows.
///
/// # Errors
/// When the files cannot be written.
pub fn make(dir: &DataDir, mysql: SocketAddr) -> anyhow::Result<()> {
    set(dir, &Logins::open(dir)?, ROOT, &Secret::Password(random()), None, mysql)?;
    Ok(dir.write_secret(UNSEEN_FILE, b"")?)
}

/// Gives a login another password, and writes it to the option file for clients that belongs to `root`. `account`: who has
/// that name, and need not have logged in here before; without one the password is that of whoever has it.
///
/// # Errors
/// When there is no such login, the password is of no use, or the files cannot be written; also for the hash of a password of
/// `root`, whose option file needs the password itself.
pub fn set(
    dir: &DataDir,
    logins: &Logins,
    user: &str,
    secret: &Secret,
    account: Option<AccountId>,
    mysql: SocketAddr,
) -> anyhow::Result<()> {
    let user = &login_named(user);
    must_be_known(logins, user, account)?;
    let password = match secret {
        Secret::Password(password) => password,
        Secret::NativeHash(_) if user == ROOT => {
            bail!("client.cnf has the password of {ROOT}: it must be known itself, not by its hash")
        }
        Secret::NativeHash(hash) => {
            let Some(verifiers) = Verifiers::from_native_hash(hash.trim()) else {
                bail!("a hash of mysql_native_password is `*` and 40 hexadecimal digits");
            };
            if verifiers.check_password(b"") {
                bail!("this is the hash of the empty password, by which everybody would log in");
            }
            return Ok(logins.set_verifiers(user, account, verifiers)?);
        }
    };
    if password.is_empty() || password.len() > BYTES_MAX || password.chars().any(char::is_control) {
        bail!("a password has 1 to {BYTES_MAX} bytes and no control characters");
    }
    logins.set_password(user, account, password)?;
    if user == ROOT {
        let password = password.clone();
        let mut file = ClientFile { host: String::new(), port: 0, user: user.clone(), password };
        file.set_address(mysql);
        file.write(dir)?;
    }
    dir.remove(UNSEEN_FILE);
    Ok(())
}

fn must_be_known(logins: &Logins, user: &str, account: Option<AccountId>) -> anyhow::Result<()> {
    if user != ROOT && account.is_none() && !logins.users().iter().any(|u| u == user) {
        let known = logins.users().join(", ");
        bail!(
            "there is no login '{user}' on this node; there is: {}",
            if known.is_empty() { ROOT } else { &known }
        );
    }
    Ok(())
}

/// The random password, the first time this is asked; `None` also where the file that keeps it cannot be read.
pub fn unseen(dir: &DataDir) -> Option<String> {
    // Only that it is there counts.
    if !dir.path(UNSEEN_FILE).exists() {
        return None;
    }
    dir.remove(UNSEEN_FILE);
    ClientFile::read(dir).ok().flatten().map(|f| f.password).filter(|p| !p.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_for_clients_and_what_is_of_no_use_changes_nothing() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let dir = DataDir::at(temp.path());
        let logins = Logins::open(&dir).expect("empty");
        let address: SocketAddr = "127.0.0.1:3307".parse().expect("an address");
        make(&dir, address).expect("made");
        dir.write_secret(UNSEEN_FILE, b"\xff\xfe").expect("whatever stands in it");
        assert!(unseen(&dir).is_some_and(|p| p.len() == CHARS));
        assert_eq!(unseen(&dir), None, "shown once");
        let plain = |text: &str| Secret::Password(text.to_owned());
        let long = "x".repeat(BYTES_MAX);
        for good in ["x", long.as_str(), r#"a"b#c\d 'e' "#, "päss"] {
            set(&dir, &logins, ROOT, &plain(good), None, address).expect("set");
            let file = ClientFile::read(&dir).expect("read").expect("there");
            assert_eq!((file.password.as_str(), file.port), (good, 3307));
            assert!(logins.check(ROOT, None, good.as_bytes()));
        }
        for bad in ["", "a\nb", &"x".repeat(BYTES_MAX + 1)] {
            assert!(set(&dir, &logins, ROOT, &plain(bad), None, address).is_err(), "{bad:?}");
        }
        assert!(logins.check(ROOT, None, "päss".as_bytes()));
        let error =
            set(&dir, &logins, "nobody", &plain("x"), None, address).expect_err("no login").to_string();
        assert!(error.contains("'nobody'") && error.contains("root"), "{error}");
    }
}
