//! What equal values of sealed columns are found by on a node that can read them: a hash under a key of that node alone
//! (`docs/security.md`, section 7).

use std::fmt;

use p2pdb_block::SigningKey;
use p2pdb_model::RealmId;
use p2pdb_model::ids::{ColumnTag, ObjectId};
use sha2::{Digest, Sha256};

const DOMAIN: &[u8] = b"p2pdb/sealed-look/v1\0";

/// Bytes of a look.
pub const LOOK_BYTES: usize = 16;

/// The key, made from the node's.
#[derive(Clone)]
pub struct LookKey(Sha256);

impl fmt::Debug for LookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookKey")
    }
}

fn cut(hash: Sha256) -> [u8; LOOK_BYTES] {
    let mut out = [0; LOOK_BYTES];
    out.copy_from_slice(&hash.finalize()[..LOOK_BYTES]);
    out
}

impl LookKey {
    /// That of a node in a realm.
    pub fn new(realm: RealmId, node: &SigningKey) -> Self {
        let secret = Sha256::new().chain_update(DOMAIN).chain_update(node.to_bytes());
        let key = secret.chain_update(realm.0.to_bytes()).finalize();
        // A block of the hash, so that what follows costs one more.
        LookKey(Sha256::new().chain_update(key).chain_update([0; 32]))
    }

    /// The look of a value of a column, as the bytes that are the same for all that are equal to it.
    pub fn of(&self, table: ObjectId, column: ColumnTag, value: &[u8]) -> [u8; LOOK_BYTES] {
        cut(self.0.clone().chain_update(table.0).chain_update(column.0.to_be_bytes()).chain_update(value))
    }

    /// Tells keys apart, and says nothing about them.
    pub fn mark(&self) -> [u8; LOOK_BYTES] {
        cut(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use p2pdb_model::ids::Cid;

    use super::*;

    #[test]
    fn it_is_of_a_value_a_column_a_node_and_a_realm() {
        let named = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
        let realms = [Cid::default(), named.parse().expect("a CID")].map(RealmId);
        let realm = |n: usize| realms[n - 1];
        let node = |n: u8| SigningKey::from_bytes(&[n; 32]);
        let look = |r, k, t: u8, c, v: &[u8]| {
            LookKey::new(realm(r), &node(k)).of(ObjectId([t; 16]), ColumnTag(c), v)
        };
        let one = look(1, 1, 1, 1, b"a");
        assert_eq!(one, look(1, 1, 1, 1, b"a"));
        let others = [
            look(2, 1, 1, 1, b"a"),
            look(1, 2, 1, 1, b"a"),
            look(1, 1, 2, 1, b"a"),
            look(1, 1, 1, 2, b"a"),
            look(1, 1, 1, 1, b"b"),
        ];
        assert!(others.iter().all(|o| *o != one));
        assert_ne!(LookKey::new(realm(1), &node(1)).mark(), LookKey::new(realm(1), &node(2)).mark());
    }
}
