//! How a cell of a sealed column is sealed and opened, and how its key gets to its readers (`docs/security.md`, section 7;
//! the bytes: `docs/block-format.md`).
//!
//! Cells: XChaCha20-Poly1305 with a random nonce. Keys: HPKE in base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305, to the node's ed25519 key mapped to X25519. Randomness is an argument.

use std::convert::Infallible;
use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use p2pdb_block::{SigningKey, VerifyingKey};
use p2pdb_model::ids::{ColumnTag, EpochId, NodeId, ObjectId};
use p2pdb_model::sealed::{self, CELL_HEAD_BYTES, CELL_VERSION, KeyWrap, NONCE_BYTES, WRAPPED_BYTES};
use p2pdb_model::{AccountId, RealmId, Value};
use sha2::{Digest, Sha256};

const KEY_DOMAIN: &[u8] = b"p2pdb/column-key/v1\0";
const CELL_DOMAIN: &[u8] = b"p2pdb/sealed-cell/v1\0";
/// Bytes of HPKE's encapsulated key.
const ENCAPPED_BYTES: usize = 32;

/// Fills with random bytes.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]);

/// A sealed column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SealedColumn {
    /// The realm.
    pub realm: RealmId,
    /// The table.
    pub table: ObjectId,
    /// The column.
    pub column: ColumnTag,
}

impl SealedColumn {
    fn bytes(&self, domain: &[u8], rest: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        out.extend_from_slice(domain);
        out.extend_from_slice(&self.realm.0.to_bytes());
        out.extend_from_slice(&self.table.0);
        out.extend_from_slice(&self.column.0.to_be_bytes());
        rest.iter().for_each(|r| out.extend_from_slice(r));
        out
    }
}

/// The key of a sealed column, in one epoch.
#[derive(Clone)]
pub struct ColumnKey {
    column: SealedColumn,
    key: [u8; 32],
    epoch: EpochId,
    cipher: XChaCha20Poly1305,
    /// The associated data of its cells.
    bound: Vec<u8>,
}

impl fmt::Debug for ColumnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColumnKey").field("column", &self.column).field("epoch", &self.epoch).finish()
    }
}

/// A node's key as one for HPKE; none where it is no point on the curve, or one of the few without order.
fn public(node: NodeId) -> Option<<X25519HkdfSha256 as Kem>::PublicKey> {
    let key = VerifyingKey::from_bytes(&node.0).ok().filter(|k| !k.is_weak())?;
    <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(&key.to_montgomery().0).ok()
}

impl ColumnKey {
    /// The key in these bytes.
    pub fn new(column: SealedColumn, key: [u8; 32]) -> Self {
        let hash = Sha256::digest(column.bytes(KEY_DOMAIN, &[&key]));
        let mut epoch = EpochId([0; EpochId::LEN]);
        epoch.0.copy_from_slice(&hash[..EpochId::LEN]);
        let cipher = XChaCha20Poly1305::new(&key.into());
        let bound = column.bytes(CELL_DOMAIN, &[&epoch.0]);
        ColumnKey { column, key, epoch, cipher, bound }
    }

    /// A new one.
    pub fn generate(column: SealedColumn, fill: Fill<'_>) -> Self {
        let mut key = [0; 32];
        fill(&mut key);
        ColumnKey::new(column, key)
    }

    /// Its name.
    pub fn epoch(&self) -> EpochId {
        self.epoch
    }

    /// The column that it is for.
    pub fn column(&self) -> SealedColumn {
        self.column
    }

    /// A value, sealed. NULL stays NULL.
    pub fn seal(&self, value: &Value, fill: Fill<'_>) -> Value {
        if value.is_null() {
            return Value::Null;
        }
        let mut nonce = [0; NONCE_BYTES];
        fill(&mut nonce);
        let plain = serde_ipld_dagcbor::to_vec(value).expect("invariant: a value can be written");
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: &self.bound })
            .expect("invariant: a cell is shorter than the cipher's limit of 256 GiB");
        let mut cell = Vec::with_capacity(CELL_HEAD_BYTES + sealed.len());
        cell.push(CELL_VERSION);
        cell.extend_from_slice(&self.epoch.0);
        cell.extend_from_slice(&nonce);
        cell.extend_from_slice(&sealed);
        Value::Blob(cell)
    }

    /// The value in a cell, if it was sealed with this key.
    pub fn open(&self, cell: &[u8]) -> Option<Value> {
        if sealed::epoch_of(cell)? != self.epoch {
            return None;
        }
        let (head, sealed) = cell.split_at(CELL_HEAD_BYTES);
        let nonce: [u8; NONCE_BYTES] = head[1 + EpochId::LEN..].try_into().ok()?;
        let plain = self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: &self.bound });
        let value: Value = serde_ipld_dagcbor::from_slice(&plain.ok()?).ok()?;
        (!value.is_null()).then_some(value)
    }

    /// A key can be wrapped to this node's key.
    pub fn can_be_given_to(node: NodeId) -> bool {
        public(node).is_some()
    }

    /// The key for a reader; none where the node's key is no point on the curve, or one of the few without order.
    pub fn wrap(&self, account: AccountId, node: NodeId, fill: Fill<'_>) -> Option<KeyWrap> {
        let public = public(node)?;
        let info = self.info(account, node);
        let (encapped, sealed) = hpke::single_shot_seal_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &public, &info, &self.key, &[], &mut Filled(fill))
        .ok()?;
        let mut wrapped = [0; WRAPPED_BYTES];
        wrapped[..ENCAPPED_BYTES].copy_from_slice(&encapped.to_bytes());
        wrapped[ENCAPPED_BYTES..].copy_from_slice(&sealed);
        Some(KeyWrap { account, node, wrapped })
    }

    fn info(&self, account: AccountId, node: NodeId) -> Vec<u8> {
        info(&self.column, self.epoch, account, node)
    }

    /// The key in a wrap for the node of this key; none if it is not for it, or not the key that the epoch is named after.
    pub fn unwrap(
        column: SealedColumn,
        epoch: EpochId,
        wrap: &KeyWrap,
        node_key: &SigningKey,
    ) -> Option<Self> {
        type Private = <X25519HkdfSha256 as Kem>::PrivateKey;
        let private = Private::from_bytes(&node_key.to_scalar_bytes()).ok()?;
        let (encapped, sealed) = wrap.wrapped.split_at(ENCAPPED_BYTES);
        let encapped = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapped).ok()?;
        let info = info(&column, epoch, wrap.account, wrap.node);
        let key = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &private,
            &encapped,
            &info,
            sealed,
            &[],
        );
        let key = ColumnKey::new(column, key.ok()?.try_into().ok()?);
        (key.epoch == epoch).then_some(key)
    }
}

fn info(column: &SealedColumn, epoch: EpochId, account: AccountId, node: NodeId) -> Vec<u8> {
    column.bytes(KEY_DOMAIN, &[&epoch.0, &account.0, &node.0])
}

/// Randomness from outside, as HPKE wants it.
struct Filled<'a>(Fill<'a>);

impl TryRng for Filled<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(dst);
        Ok(())
    }
}

impl TryCryptoRng for Filled<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use p2pdb_model::ids::hex;

    fn column(n: u8) -> SealedColumn {
        let cid = "bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454";
        SealedColumn {
            realm: RealmId(cid.parse().unwrap()),
            table: ObjectId([n; 16]),
            column: ColumnTag(u32::from(n)),
        }
    }

    fn counting() -> impl FnMut(&mut [u8]) {
        let mut n = 0u8;
        move |bytes: &mut [u8]| bytes.iter_mut().for_each(|b| (*b, n) = (n, n.wrapping_add(1)))
    }

    #[test]
    fn the_bytes_are_frozen() {
        let mut fill = counting();
        let key = ColumnKey::generate(column(3), &mut fill);
        let node = SigningKey::from_bytes(&[1; 32]);
        let cell = key.seal(&Value::Text("Ann".to_owned()), &mut fill);
        let id = NodeId(node.verifying_key().to_bytes());
        let wrap = key.wrap(AccountId([2; 16]), id, &mut fill).unwrap();
        let Value::Blob(cell) = cell else { panic!("a sealed cell is a blob") };
        let made = [key.epoch().to_hex(), hex(&cell), hex(&wrap.wrapped)].join("\n");
        assert_eq!(made, include_str!("../testdata/v1/sealed.txt").trim_end());
    }

    #[test]
    fn every_value_comes_back_and_null_is_not_hidden() {
        let key = ColumnKey::generate(column(1), &mut counting());
        let long = Value::Text("ä".repeat(70_000));
        let values =
            [Value::Int(-1), Value::Real(0.5), Value::Text(String::new()), Value::Blob(vec![0, 255]), long];
        for value in values {
            let Value::Blob(cell) = key.seal(&value, &mut counting()) else { panic!("not sealed") };
            assert_eq!(sealed::epoch_of(&cell), Some(key.epoch()));
            assert_eq!(key.open(&cell), Some(value));
        }
        assert_eq!(key.seal(&Value::Null, &mut counting()), Value::Null);
    }

    #[test]
    fn nothing_of_a_cell_can_be_changed_or_moved() {
        let bytes = [9; 32];
        let key = ColumnKey::new(column(1), bytes);
        let Value::Blob(cell) = key.seal(&Value::Int(7), &mut counting()) else { panic!("not sealed") };
        for at in 0..cell.len() {
            let mut other = cell.clone();
            other[at] ^= 1;
            assert_eq!(key.open(&other), None, "byte {at}");
        }
        assert_eq!(key.open(&cell[..cell.len() - 1]), None);
        // The same key bytes for another column are another epoch.
        let elsewhere = ColumnKey::new(column(2), bytes);
        assert_ne!(elsewhere.epoch(), key.epoch());
        let mut moved = cell.clone();
        moved[1..17].copy_from_slice(&elsewhere.epoch().0);
        assert_eq!(elsewhere.open(&moved), None);
    }

    #[test]
    fn a_wrap_is_for_one_reader_of_one_epoch() {
        let key = ColumnKey::generate(column(1), &mut counting());
        let (ann, ben) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
        let node = |k: &SigningKey| NodeId(k.verifying_key().to_bytes());
        let account = AccountId([5; 16]);
        let wrap = key.wrap(account, node(&ann), &mut counting()).unwrap();
        let unwrap =
            |column, epoch, wrap: &KeyWrap, k| ColumnKey::unwrap(column, epoch, wrap, k).map(|k| k.epoch());
        assert_eq!(unwrap(column(1), key.epoch(), &wrap, &ann), Some(key.epoch()));
        assert_eq!(unwrap(column(1), key.epoch(), &wrap, &ben), None);
        assert_eq!(unwrap(column(2), key.epoch(), &wrap, &ann), None);
        assert_eq!(unwrap(column(1), EpochId([0; 16]), &wrap, &ann), None);
        let other = KeyWrap { account: AccountId([6; 16]), ..wrap.clone() };
        assert_eq!(unwrap(column(1), key.epoch(), &other, &ann), None);
        // A key that is not the one that the epoch is named after, well wrapped.
        let false_key = ColumnKey { epoch: key.epoch(), ..ColumnKey::new(column(1), [8; 32]) };
        let wrap = false_key.wrap(account, node(&ann), &mut counting()).unwrap();
        assert_eq!(unwrap(column(1), key.epoch(), &wrap, &ann), None);
        // No point, and the point of order one.
        assert_eq!(key.wrap(account, NodeId([2; 32]), &mut counting()), None);
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(key.wrap(account, NodeId(one), &mut counting()), None);
        assert!(!ColumnKey::can_be_given_to(NodeId(one)) && !ColumnKey::can_be_given_to(NodeId([2; 32])));
        assert!(ColumnKey::can_be_given_to(node(&ann)));
    }
}
