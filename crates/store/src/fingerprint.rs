//! The fingerprint: an additive multiset hash over all merged rows, so that two nodes can compare their whole
//! state in 32 bytes.
//!
//! Each row (visible or displaced) is hashed with its table, key, standing and, per written cell, its value and version
//! in wire form (stamp, author, place of the transaction in its block); the hashes are added as four 64-bit lanes, modulo
//! 2^64. A row that changes subtracts its old hash and adds its new one. Kept per table; a MySQL schema's fingerprint
//! is the sum of its tables' and of its objects'. Cells that no change ever wrote are not hashed, so that adding a column
//! costs nothing.
//!
//! It guards against divergence, not against an adversary who forges a sum.

use p2pdb_model::catalog::{Catalog, ObjectState};
use p2pdb_model::ids::{ColumnTag, NodeId, ObjectId, ObjectKind};
use p2pdb_model::{Stamp, ValueRef};
use sha2::{Digest, Sha256};

use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::index_ident::Ident;
use crate::query::NEXT;

pub(crate) const SCHEMA: &str = "
CREATE TABLE fingerprint (tbl INTEGER PRIMARY KEY, value BLOB NOT NULL);
";

/// An additive multiset hash: four lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u64; 4]);

impl Fingerprint {
    /// Length of [`Fingerprint::to_bytes`].
    pub const BYTES: usize = 32;

    /// The sum of two multisets.
    pub fn plus(self, other: Self) -> Self {
        self.lanes(other, u64::wrapping_add)
    }

    /// Takes a multiset out of one that contains it.
    pub fn minus(self, other: Self) -> Self {
        self.lanes(other, u64::wrapping_sub)
    }

    fn lanes(self, other: Self, f: fn(u64, u64) -> u64) -> Self {
        let mut out = self;
        out.0.iter_mut().zip(other.0).for_each(|(a, b)| *a = f(*a, b));
        out
    }

    /// The hash of one element.
    pub fn of(element: impl AsRef<[u8]>) -> Self {
        Self::from_digest(Sha256::digest(element).into())
    }

    fn from_digest(digest: [u8; 32]) -> Self {
        let lane = |i: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&digest[8 * i..8 * i + 8]);
            u64::from_be_bytes(bytes)
        };
        Fingerprint([lane(0), lane(1), lane(2), lane(3)])
    }

    /// Big-endian lanes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out.chunks_exact_mut(8).zip(self.0).for_each(|(b, l)| b.copy_from_slice(&l.to_be_bytes()));
        out
    }

    /// Reads [`Fingerprint::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_digest(bytes.try_into().ok()?))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&p2pdb_model::ids::hex(&self.to_bytes()))
    }
}

/// A version in wire form, shortened to 64 bits.
pub(crate) fn version_digest(stamp: Stamp, author: &NodeId, position: u32) -> u64 {
    let mut h = Sha256::new();
    h.update(stamp.0.to_be_bytes());
    h.update(author.0);
    h.update(position.to_be_bytes());
    Fingerprint::from_digest(h.finalize().into()).0[0]
}

/// Collects one row's bytes.
pub(crate) struct RowHash(Vec<u8>);

impl RowHash {
    pub(crate) fn new(mut buffer: Vec<u8>, table: ObjectId, ident: &Ident, standing: u8) -> Self {
        buffer.clear();
        buffer.extend(table.0);
        match ident {
            Ident::Int(n) => {
                buffer.push(0);
                buffer.extend(n.to_be_bytes());
            }
            Ident::Bytes(b) => {
                buffer.push(1);
                buffer.extend((b.len() as u32).to_be_bytes());
                buffer.extend_from_slice(b);
            }
        }
        buffer.push(standing);
        RowHash(buffer)
    }

    /// A written cell. Cells are added in ascending order of their tags.
    pub(crate) fn cell(&mut self, tag: ColumnTag, value: ValueRef<'_>, version: u64) {
        let b = &mut self.0;
        b.extend(tag.0.to_be_bytes());
        b.extend(version.to_be_bytes());
        match value {
            ValueRef::Null => b.push(0),
            ValueRef::Int(n) => {
                b.push(1);
                b.extend(n.to_be_bytes());
            }
            ValueRef::Real(r) => {
                b.push(2);
                b.extend(r.to_bits().to_be_bytes());
            }
            ValueRef::Text(t) => {
                b.push(3);
                b.extend((t.len() as u32).to_be_bytes());
                b.extend(t.as_bytes());
            }
            ValueRef::Blob(v) => {
                b.push(4);
                b.extend((v.len() as u32).to_be_bytes());
                b.extend(v);
            }
        }
    }

    /// The row's hash, and the buffer for the next.
    pub(crate) fn finish(self) -> (Fingerprint, Vec<u8>) {
        (Fingerprint::of(&self.0), self.0)
    }
}

/// The hash of one live schema object.
pub(crate) fn object_hash(o: &ObjectState) -> Result<Fingerprint> {
    let mut b = Vec::new();
    b.extend(o.id.0);
    b.push(o.kind as u8);
    b.extend(o.parent.0);
    b.extend((o.name.len() as u32).to_be_bytes());
    b.extend(o.name.as_bytes());
    b.extend(o.named.stamp.0.to_be_bytes());
    b.extend(o.named.author.0);
    b.extend(o.position.to_be_bytes());
    let definition = serde_ipld_dagcbor::to_vec(&o.definition);
    b.extend(definition.map_err(|e| StoreError::Corrupt(format!("a schema object cannot be encoded: {e}")))?);
    Ok(Fingerprint::of(&b))
}

impl Connection {
    pub(crate) fn table_fingerprint(&self, table: i64) -> Result<Fingerprint> {
        let sql = "SELECT value FROM fingerprint WHERE tbl = ?1";
        let found =
            self.query_one(sql, [ValueRef::Int(table)], |r| Ok(Fingerprint::from_bytes(r.blob(0)?)))?;
        match found {
            None => Ok(Fingerprint::default()),
            Some(Some(f)) => Ok(f),
            Some(None) => Err(StoreError::Corrupt("a fingerprint of another length".to_owned())),
        }
    }

    pub(crate) fn put_table_fingerprint(&self, table: i64, value: Fingerprint) -> Result<()> {
        if value == Fingerprint::default() {
            // An empty table has none, whatever was in it before.
            let sql = "DELETE FROM fingerprint WHERE tbl = ?1";
            return self.execute(sql, [ValueRef::Int(table)]).map(drop);
        }
        let sql = "INSERT INTO fingerprint (tbl, value) VALUES (?1, ?2)
                   ON CONFLICT DO UPDATE SET value = excluded.value";
        self.execute(sql, [ValueRef::Int(table), ValueRef::Blob(&value.to_bytes())]).map(drop)
    }
}

/// The fingerprints of all MySQL schemas, by name, from the tables' and the objects'.
pub(crate) fn by_schema(
    db: &Connection,
    catalog: &Catalog,
    live: &[ObjectState],
) -> Result<Vec<(String, Fingerprint)>> {
    let mut numbers = std::collections::HashMap::new();
    db.query("SELECT id, no FROM tbl", (), |r| {
        if let Some(id) = ObjectId::from_slice(r.blob(0)?) {
            numbers.insert(id, r.int(1)?);
        }
        Ok(NEXT)
    })?;
    let parent: std::collections::HashMap<ObjectId, ObjectId> =
        live.iter().map(|o| (o.id, o.parent)).collect();
    let mut sums: std::collections::HashMap<ObjectId, Fingerprint> = std::collections::HashMap::new();
    for o in live {
        let mut database = o.id;
        while let Some(p) = parent.get(&database).filter(|p| **p != ObjectId::ROOT) {
            database = *p;
        }
        let sum = sums.entry(database).or_default();
        *sum = sum.plus(object_hash(o)?);
        if o.kind == ObjectKind::Table
            && let Some(no) = numbers.get(&o.id)
        {
            *sum = sum.plus(db.table_fingerprint(*no)?);
        }
    }
    Ok(catalog.databases().map(|d| (d.name.clone(), sums.get(&d.id).copied().unwrap_or_default())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_and_taking_out_in_any_order_ends_where_it_began() {
        let rows: Vec<_> = (0u8..20).map(|n| Fingerprint::of([n])).collect();
        let sum = rows.iter().fold(Fingerprint::default(), |a, b| a.plus(*b));
        let back = rows.iter().rev().fold(sum, |a, b| a.minus(*b));
        assert_eq!(back, Fingerprint::default());
        assert_ne!(sum, Fingerprint::default());
        assert_eq!(Fingerprint::from_bytes(&sum.to_bytes()), Some(sum));
        assert_eq!(Fingerprint::from_bytes(&[1, 2]), None);
    }
}
