//! Names of things: realms, nodes, accounts, schema objects, columns.
//!
//! Ids are either public keys or hashes, so that two nodes that were never connected make the same
//! id for the same thing and different ids for different things. Nothing here is a local counter.

use std::fmt;

pub use cid::Cid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// The realm: the unit of replication and trust, named by the CID of its genesis block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RealmId(pub Cid);

impl fmt::Display for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RealmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealmId({})", self.0)
    }
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The id in these bytes, or `None` when there are not exactly [`Self::LEN`] of them.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Lower-case hexadecimal text.
            pub fn to_hex(&self) -> String {
                hex(&self.0)
            }

            /// Parses what [`Self::to_hex`] wrote.
            pub fn from_hex(text: &str) -> Option<Self> {
                Self::from_slice(&unhex(text)?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.to_hex())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_bytes(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let bytes = serde_bytes::ByteBuf::deserialize(d)?;
                Self::from_slice(&bytes).ok_or_else(|| {
                    serde::de::Error::invalid_length(bytes.len(), &stringify!($len))
                })
            }
        }
    };
}

byte_id! {
    /// A node: its ed25519 public key (RFC 8032), which is also its libp2p peer identity.
    NodeId, 32
}
byte_id! {
    /// An ed25519 public key that is not a node's: an account's or a ticket's.
    PublicKey, 32
}
byte_id! {
    /// The key of a sealed column, named by a hash of it ([`crate::sealed`]).
    EpochId, 16
}
byte_id! {
    /// A schema object (database, table, column, index, foreign key, check, view, procedure, function, trigger).
    ///
    /// Derived from what the object is called and where it stands ([`ObjectId::derive`]), so the same
    /// migration run on two cut-off nodes gives one table.
    ObjectId, 16
}
byte_id! {
    /// An account: a MySQL user of the realm, replicated.
    AccountId, 16
}

/// Kinds of schema objects; the number is part of the id's preimage and of the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum ObjectKind {
    /// A MySQL schema (database).
    Database = 1,
    /// A base table.
    Table = 2,
    /// A column of a table.
    Column = 3,
    /// An index of a table; the primary key is the index named `PRIMARY`.
    Index = 4,
    /// A foreign key of a table.
    ForeignKey = 5,
    /// A CHECK constraint of a table.
    Check = 6,
    /// A view.
    View = 7,
    /// A stored procedure.
    Procedure = 8,
    /// A stored function.
    Function = 9,
    /// A trigger of a table.
    Trigger = 10,
}

impl ObjectKind {
    /// The kind with this number in the log.
    pub fn from_u8(n: u8) -> Option<Self> {
        use ObjectKind::*;
        [Database, Table, Column, Index, ForeignKey, Check, View, Procedure, Function, Trigger]
            .into_iter()
            .find(|k| *k as u8 == n)
    }
}

impl ObjectKind {
    /// Names of this kind ignore case.
    pub fn ignores_case(self) -> bool {
        use ObjectKind::*;
        matches!(self, Column | Index | Procedure | Function)
    }
}

impl ObjectId {
    /// The parent of databases: the realm itself.
    pub const ROOT: ObjectId = ObjectId([0; 16]);

    /// `hash(kind, parent, name, last drop or rename of that name in the causal past)`.
    ///
    /// `after` names the change that last freed this name (its block's CID bytes and position), so that
    /// a table created again after a drop is another table. Tables and views share one name space.
    pub fn derive(kind: ObjectKind, parent: ObjectId, name: &str, after: Option<&[u8]>) -> Self {
        let mut h = Sha256::new();
        h.update(b"p2pdb/object/v1\0");
        h.update([kind as u8]);
        h.update(parent.0);
        h.update((name.len() as u64).to_be_bytes());
        h.update(name.as_bytes());
        if let Some(after) = after {
            h.update(after);
        }
        Self(truncate(h))
    }

    /// The column tag of a column object: the first four bytes of its id.
    pub fn tag(&self) -> ColumnTag {
        let [a, b, c, d, ..] = self.0;
        ColumnTag(u32::from_be_bytes([a, b, c, d]))
    }
}

/// What a multicodec-tagged ed25519 public key begins with (<https://w3c-ccg.github.io/did-key-spec/>).
const ED25519_PUB: [u8; 2] = [0xed, 0x01];

impl PublicKey {
    /// `did:key:z6Mk…`.
    pub fn to_did(&self) -> String {
        let bytes = [&ED25519_PUB[..], &self.0].concat();
        format!("did:key:{}", multibase::encode(multibase::Base::Base58Btc, bytes))
    }

    /// Reads [`PublicKey::to_did`]; `None` for anything that is no ed25519 key.
    pub fn from_did(text: &str) -> Option<Self> {
        let (base, bytes) = multibase::decode(text.strip_prefix("did:key:")?).ok()?;
        let key = bytes.strip_prefix(&ED25519_PUB)?;
        Self::from_slice(key).filter(|_| base == multibase::Base::Base58Btc)
    }
}

impl AccountId {
    /// Who owns the row at hand: `p2pdb_owner` in GRANT and REVOKE. Every account has this role for the rows it owns.
    pub const ROW_OWNER: AccountId = AccountId(*b"p2pdb-row-owner\0");

    /// The role called `name`@`host`: one role, whoever creates it.
    pub fn derive_role(name: &str, host: &str) -> Self {
        let mut h = Sha256::new();
        h.update(b"p2pdb/role/v1\0");
        for part in [name, host] {
            h.update((part.len() as u64).to_be_bytes());
            h.update(part.as_bytes());
        }
        Self(truncate(h))
    }

    /// The account called `name`@`host`, created with this first key.
    pub fn derive(name: &str, host: &str, key: &PublicKey) -> Self {
        let mut h = Sha256::new();
        h.update(b"p2pdb/account/v1\0");
        for part in [name, host] {
            h.update((part.len() as u64).to_be_bytes());
            h.update(part.as_bytes());
        }
        h.update(key.0);
        Self(truncate(h))
    }
}

/// A column inside its table, short enough to name it in every row change.
///
/// The first four bytes of the column's [`ObjectId`]. A CREATE that would give two columns of one table
/// the same tag is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnTag(pub u32);

impl fmt::Display for ColumnTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

fn truncate(h: Sha256) -> [u8; 16] {
    let digest = h.finalize();
    let mut out = [0; 16];
    out.copy_from_slice(&digest[..16]);
    out
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

/// Bytes of hexadecimal text, either case; `None` when it is not.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks(2).map(|p| p[0] << 4 | p[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_object_and_a_drop_gives_another() {
        let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
        let t = |after| ObjectId::derive(ObjectKind::Table, db, "till", after);
        assert_eq!(t(None), t(None));
        assert_ne!(t(None), t(Some(b"drop".as_slice())));
        assert_ne!(db, ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop2", None));
    }

    #[test]
    fn a_key_is_written_as_the_did_method_has_it() {
        // An example of the specification of did:key.
        let text = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        let key = PublicKey::from_did(text).unwrap();
        assert_eq!(key.to_hex(), "2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6");
        assert_eq!(key.to_did(), text);
        for wrong in ["", "did:key:", "did:key:z6Mk", "did:web:x", &text[8..], &text.replace("z6", "m6")] {
            assert_eq!(PublicKey::from_did(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hex_round_trips_and_refuses_junk() {
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
    }
}
