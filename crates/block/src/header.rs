//! The header of a block: `[format, rules, author, seq, prev, parents, stamp, bodies, ext]`.
//!
//! Everything that can be checked on one header alone is checked here, so a [`Header`] that came out of
//! [`Header::decode`] keeps its invariants: the encoding is canonical, parents are sorted and unique, body
//! references have one of the two allowed shapes, and all limits hold.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_model::{RULES, Stamp};

use crate::cid::{DAG_CBOR, RAW, is_ours};
use crate::limits::*;
use crate::refusal::Refusal;

/// The block format that this build writes and reads.
pub const FORMAT: u64 = 1;

/// One body block, as a header lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyRef {
    /// The scope; 0 under rules 1.
    pub scope: u32,
    /// Its CID: dag-cbor for a whole body, raw for a chunk.
    pub cid: Cid,
    /// Its length in bytes.
    pub bytes: u32,
}

/// What a block's author signs.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The rules number under which the block was written.
    pub rules: u32,
    /// The author's node key.
    pub author: NodeId,
    /// Number in its chain, from 1.
    pub seq: u64,
    /// The block before it in its chain; `None` in the first.
    pub prev: Option<Cid>,
    /// The other heads it was written on: sorted, unique, without `prev`.
    pub parents: Vec<Cid>,
    /// Its hybrid logical clock.
    pub stamp: Stamp,
    /// Its bodies: none (a merge block), one, or the chunks of one in order.
    pub bodies: Vec<BodyRef>,
    /// Kept for rules numbers to come; `None` under rules 1.
    pub ext: Option<BTreeMap<String, Ipld>>,
}

type Wire = (
    u64,
    u32,
    NodeId,
    u64,
    Option<Cid>,
    Vec<Cid>,
    Stamp,
    Vec<(u32, Cid, u32)>,
    Option<BTreeMap<String, Ipld>>,
);

impl Header {
    /// All parents: `prev` first, then the others.
    pub fn all_parents(&self) -> impl Iterator<Item = &Cid> {
        self.prev.iter().chain(&self.parents)
    }

    /// True when it names no block before it; only a genesis block may.
    pub fn is_root(&self) -> bool {
        self.prev.is_none() && self.parents.is_empty()
    }

    /// Length of the whole body in bytes.
    pub fn body_bytes(&self) -> u64 {
        self.bodies.iter().map(|b| u64::from(b.bytes)).sum()
    }

    /// True under the rules that this code was written for: there, what the format reserves must be unused.
    fn rules_known(&self) -> bool {
        self.rules <= RULES
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let bodies: Vec<_> = self.bodies.iter().map(|b| (b.scope, b.cid, b.bytes)).collect();
        serde_ipld_dagcbor::to_vec(&(
            FORMAT,
            self.rules,
            self.author,
            self.seq,
            self.prev,
            &self.parents,
            self.stamp,
            bodies,
            &self.ext,
        ))
        .expect("invariant: a header holds nothing that DAG-CBOR cannot encode, and memory does not fail")
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        // The format comes first, so that a later one is named instead of called malformed.
        if let [_, format @ 0..=23, ..] = bytes
            && u64::from(*format) != FORMAT
        {
            return Err(Refusal::UnknownFormat(u64::from(*format)));
        }
        let (format, rules, author, seq, prev, parents, stamp, bodies, ext): Wire =
            serde_ipld_dagcbor::from_slice(bytes).map_err(|e| Refusal::malformed("header", e))?;
        if format != FORMAT {
            return Err(Refusal::UnknownFormat(format));
        }
        let bodies = bodies.into_iter().map(|(scope, cid, bytes)| BodyRef { scope, cid, bytes }).collect();
        let header = Header { rules, author, seq, prev, parents, stamp, bodies, ext };
        header.check()?;
        if header.encode() != bytes {
            return Err(Refusal::NotCanonical("header"));
        }
        Ok(header)
    }

    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.rules == 0 {
            return Err(Refusal::Header("rules are numbered from 1"));
        }
        if self.seq == 0 || self.seq > SEQ_MAX {
            return Err(Refusal::Header("the sequence number is out of range"));
        }
        if (self.seq == 1) != self.prev.is_none() {
            return Err(Refusal::Header("exactly the first block of a chain has no prev"));
        }
        Refusal::check_max("parents", self.parents.len(), PARENTS_MAX)?;
        if !self.parents.windows(2).all(|w| w[0] < w[1]) {
            return Err(Refusal::Header("the parents are not sorted and unique"));
        }
        if self.prev.is_some_and(|p| self.parents.contains(&p)) {
            return Err(Refusal::Header("prev is named among the parents again"));
        }
        if !self.all_parents().all(|c| is_ours(c, DAG_CBOR)) {
            return Err(Refusal::Header("a parent that is not CIDv1, dag-cbor, sha2-256"));
        }
        self.check_bodies()?;
        if self.rules_known() && self.ext.is_some() {
            return Err(Refusal::Header("the extension map is reserved"));
        }
        Ok(())
    }

    fn check_bodies(&self) -> Result<(), Refusal> {
        Refusal::check_max("bodies", self.bodies.len(), BODIES_MAX)?;
        if self.rules_known() && self.bodies.iter().any(|b| b.scope != 0) {
            return Err(Refusal::Header("scopes other than 0 are reserved"));
        }
        for b in &self.bodies {
            Refusal::check_max("bytes of a body", b.bytes as usize, BODY_BYTES_MAX)?;
            if b.bytes == 0 {
                return Err(Refusal::Header("an empty body"));
            }
        }
        if !self.rules_known() {
            let known = |b: &BodyRef| is_ours(&b.cid, DAG_CBOR) || is_ours(&b.cid, RAW);
            return match self.bodies.iter().all(known) {
                true => Ok(()),
                false => Err(Refusal::Header("a body that is not CIDv1, dag-cbor or raw, sha2-256")),
            };
        }
        match self.bodies.as_slice() {
            [] => Ok(()),
            [one] if is_ours(&one.cid, DAG_CBOR) => Ok(()),
            [_] => Err(Refusal::Header("a single body that is not CIDv1, dag-cbor, sha2-256")),
            [full @ .., _] => {
                if !self.bodies.iter().all(|b| is_ours(&b.cid, RAW)) {
                    return Err(Refusal::Header("a chunk that is not CIDv1, raw, sha2-256"));
                }
                if full.iter().any(|b| b.bytes as usize != BODY_BYTES_MAX) {
                    return Err(Refusal::Header("a chunk before the last that is not full"));
                }
                Ok(())
            }
        }
    }
}
