//! Passwords: what is stored ([`Verifiers`]), what is sent (scrambles), and how one proves the other.
//!
//! * `mysql_native_password` stores `SHA1(SHA1(p))`; the client sends `SHA1(p) XOR SHA1(salt ‖ SHA1(SHA1(p)))`.
//! * `caching_sha2_password` keeps `SHA256(SHA256(p))` in its cache; the client sends
//!   `SHA256(p) XOR SHA256(SHA256(SHA256(p)) ‖ salt)`. MySQL loses that cache at every restart and then asks
//!   for the password itself; an account here keeps the cached value for good, so the password is asked for
//!   only if an account came without it.
//!
//! Comparisons take constant time. Which account has which verifiers is the caller's business.

use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of the salt in the greeting.
pub const SALT_BYTES: usize = 20;

/// The authentication methods this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuthPlugin {
    /// `caching_sha2_password`, the default of MySQL 8.
    CachingSha2,
    /// `mysql_native_password`, for old drivers.
    Native,
}

impl AuthPlugin {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            AuthPlugin::CachingSha2 => "caching_sha2_password",
            AuthPlugin::Native => "mysql_native_password",
        }
    }

    /// The plugin of that name, if it is known.
    pub fn from_name(name: &str) -> Option<AuthPlugin> {
        [AuthPlugin::CachingSha2, AuthPlugin::Native].into_iter().find(|plugin| plugin.name() == name)
    }
}

/// What an account keeps of its password, by method. A method without a verifier cannot be used, but for
/// `caching_sha2_password` over TLS, where the password itself can be asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifiers {
    /// `SHA1(SHA1(password))`.
    pub native: Option<[u8; 20]>,
    /// `SHA256(SHA256(password))`.
    pub sha2: Option<[u8; 32]>,
}

impl Verifiers {
    /// Both verifiers of a password.
    ///
    /// ```
    /// use p2pdb_mysql::Verifiers;
    /// let verifiers = Verifiers::of_password(b"password");
    /// assert_eq!(verifiers.native_hash().unwrap(), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    /// ```
    pub fn of_password(password: &[u8]) -> Verifiers {
        Verifiers { native: Some(sha1(&[&sha1(&[password])])), sha2: Some(sha256(&[&sha256(&[password])])) }
    }

    /// Whether this is the password (the full exchange of `caching_sha2_password`). False without verifiers.
    pub fn check_password(&self, password: &[u8]) -> bool {
        let given = Verifiers::of_password(password);
        match (&self.sha2, &self.native) {
            (Some(sha2), _) => given.sha2.is_some_and(|g| g.ct_eq(sha2).into()),
            (None, Some(native)) => given.native.is_some_and(|g| g.ct_eq(native).into()),
            (None, None) => false,
        }
    }

    /// The verifier in a hash as MySQL prints it (`*` and 40 hexadecimal digits), or `None` if it is not one.
    /// The account can then only be used by `mysql_native_password`, or once over TLS.
    pub fn from_native_hash(hash: &str) -> Option<Verifiers> {
        let digits = hash.strip_prefix('*')?.as_bytes();
        if digits.len() != 40 {
            return None;
        }
        let mut native = [0; 20];
        for (byte, pair) in native.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
        }
        Some(Verifiers { native: Some(native), sha2: None })
    }

    /// The native verifier as MySQL prints it: `*` and 40 hexadecimal digits.
    pub fn native_hash(&self) -> Option<String> {
        use std::fmt::Write;
        let native = self.native?;
        let mut text = String::from("*");
        for byte in native {
            write!(text, "{byte:02X}").expect("invariant: writing to a String cannot fail");
        }
        Some(text)
    }
}

impl std::fmt::Debug for Verifiers {
    /// Says which verifiers exist, never what they are.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifiers")
            .field("native", &self.native.is_some())
            .field("sha2", &self.sha2.is_some())
            .finish()
    }
}

/// A password in the clear; wiped from memory when dropped, hidden from `Debug`.
#[derive(Clone)]
pub struct Password(Zeroizing<Vec<u8>>);

impl Password {
    pub(crate) fn new(bytes: &[u8]) -> Password {
        Password(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes as typed, in the client's character set.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// Whether `response` proves the password behind a native verifier.
pub fn check_native(response: &[u8], salt: &[u8; SALT_BYTES], verifier: &[u8; 20]) -> bool {
    let Ok(response) = <&[u8; 20]>::try_from(response) else {
        return false;
    };
    let stage1 = xor(response, &sha1(&[salt, verifier]));
    sha1(&[&stage1]).ct_eq(verifier).into()
}

/// Whether `response` proves the password behind a SHA-256 verifier.
pub fn check_sha2(response: &[u8], salt: &[u8; SALT_BYTES], verifier: &[u8; 32]) -> bool {
    let Ok(response) = <&[u8; 32]>::try_from(response) else {
        return false;
    };
    let stage1 = xor(response, &sha256(&[verifier, salt]));
    sha256(&[&stage1]).ct_eq(verifier).into()
}

/// The same for clients that hash the salt first, as sqlx does. MySQL finds that wrong and asks for the password itself; it
/// proves as much, that the client knows `SHA256(p)`.
pub fn check_sha2_salt_first(response: &[u8], salt: &[u8; SALT_BYTES], verifier: &[u8; 32]) -> bool {
    let Ok(response) = <&[u8; 32]>::try_from(response) else {
        return false;
    };
    let stage1 = xor(response, &sha256(&[salt, verifier]));
    sha256(&[&stage1]).ct_eq(verifier).into()
}

/// What a client sends for `password`; nothing for an empty one.
pub fn scramble(plugin: AuthPlugin, password: &[u8], salt: &[u8; SALT_BYTES]) -> Vec<u8> {
    if password.is_empty() {
        return Vec::new();
    }
    match plugin {
        AuthPlugin::Native => {
            let stage1 = sha1(&[password]);
            xor(&stage1, &sha1(&[salt, &sha1(&[&stage1])])).to_vec()
        }
        AuthPlugin::CachingSha2 => {
            let stage1 = sha256(&[password]);
            xor(&stage1, &sha256(&[&sha256(&[&stage1]), salt])).to_vec()
        }
    }
}

/// Makes random bytes into a salt: 7-bit characters without zero and `$`, as in MySQL (clients read it as a
/// zero-terminated string).
pub(crate) fn salt_from_random(mut random: [u8; SALT_BYTES]) -> [u8; SALT_BYTES] {
    for byte in &mut random {
        *byte &= 0x7F;
        if *byte == 0 || *byte == b'$' {
            *byte += 1;
        }
    }
    random
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn xor<const N: usize>(a: &[u8; N], b: &[u8; N]) -> [u8; N] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scramble_proves_its_password_and_no_other() {
        let salt = salt_from_random([0xA5; 20]);
        let other = salt_from_random([0x5A; 20]);
        let verifiers = Verifiers::of_password(b"geheim");
        let native = scramble(AuthPlugin::Native, b"geheim", &salt);
        let sha2 = scramble(AuthPlugin::CachingSha2, b"geheim", &salt);
        assert!(check_native(&native, &salt, &verifiers.native.unwrap()));
        assert!(check_sha2(&sha2, &salt, &verifiers.sha2.unwrap()));
        assert!(!check_native(&native, &other, &verifiers.native.unwrap()));
        assert!(!check_sha2(&sha2, &other, &verifiers.sha2.unwrap()));
        let wrong = Verifiers::of_password(b"Geheim");
        assert!(!check_native(&native, &salt, &wrong.native.unwrap()));
        assert!(!check_sha2(&sha2, &salt, &wrong.sha2.unwrap()));
        for cut in 0..20 {
            assert!(!check_native(&native[..cut], &salt, &verifiers.native.unwrap()));
            assert!(!check_sha2(&sha2[..cut], &salt, &verifiers.sha2.unwrap()));
        }
        let stage1 = sha256(&[b"geheim"]);
        let salt_first = xor(&stage1, &sha256(&[&salt, &sha256(&[&stage1])]));
        assert!(check_sha2_salt_first(&salt_first, &salt, &verifiers.sha2.unwrap()), "as sqlx sends it");
        assert!(!check_sha2_salt_first(&salt_first, &other, &verifiers.sha2.unwrap()));
        assert!(verifiers.check_password(b"geheim"));
        assert!(!verifiers.check_password(b""));
    }

    #[test]
    fn salts_hold_no_zero_and_no_dollar() {
        for byte in 0..=255 {
            let salt = salt_from_random([byte; 20]);
            assert!(salt.iter().all(|b| (1..128).contains(b) && *b != b'$'));
        }
    }

    #[test]
    fn native_hashes_read_back() {
        let verifiers = Verifiers::of_password(b"geheim");
        let hash = verifiers.native_hash().unwrap();
        let read = Verifiers::from_native_hash(&hash).unwrap();
        assert_eq!((read.native, read.sha2), (verifiers.native, None));
        assert!(read.check_password(b"geheim") && !read.check_password(b"x"));
        for bad in [
            "",
            "*",
            &hash[1..],
            &hash[..40],
            &format!("{hash}0"),
            &hash.replace('*', "**"),
            "*ä000000000000000000000000000000000000000",
        ] {
            assert_eq!(Verifiers::from_native_hash(bad), None, "{bad}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?} {:?}", Verifiers::of_password(b"x"), Password::new(b"geheim"));
        assert_eq!(text, "Verifiers { native: true, sha2: true } Password(hidden)");
    }
}
