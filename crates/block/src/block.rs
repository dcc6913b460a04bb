//! The block's types, from any bytes to a block with all its bodies, and sealing, which makes one.
//!
//! Constructors are private to this file, so a [`VerifiedBlock`] exists only where a signature was checked
//! (its own, or that of a verified successor in its chain), and a [`FullBlock`] only with the right bodies.

use std::collections::HashMap;
use std::ops::Deref;

use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{Cid, NodeId};
use p2pdb_model::{Body, RealmId, Stamp};

use crate::body::{BuiltBody, ChangeIndex, decode_body};
use crate::cid::{self, CID_BYTES};
use crate::header::{BodyRef, Header};
use crate::limits::*;
use crate::refusal::Refusal;
use crate::sign::{self, Domain, Signature, SigningKey, node_id};

/// What follows the header in an envelope: the head of a 64-byte string, and the signature.
const SIGNATURE_TAIL_BYTES: usize = 66;

/// Bytes that claim to be a block's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawBlock(pub Vec<u8>);

/// A header with its name and bytes: what all stages of a block have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    cid: Cid,
    header: Header,
    bytes: Vec<u8>,
}

impl Block {
    /// The block's name: the CID of its envelope.
    pub fn cid(&self) -> Cid {
        self.cid
    }
    /// What its author signed.
    pub fn header(&self) -> &Header {
        &self.header
    }
    /// Its envelope's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Its author.
    pub fn author(&self) -> NodeId {
        self.header.author
    }
    /// Its number in its chain.
    pub fn seq(&self) -> u64 {
        self.header.seq
    }
    /// Its clock.
    pub fn stamp(&self) -> Stamp {
        self.header.stamp
    }
    /// The author's signature.
    pub fn signature(&self) -> &[u8] {
        &self.bytes[self.bytes.len() - 64..]
    }

    fn header_bytes(&self) -> &[u8] {
        &self.bytes[1..self.bytes.len() - SIGNATURE_TAIL_BYTES]
    }
}

/// A block in its canonical encoding, within limits; nobody has checked who wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodedBlock(Block);

/// How a block came to be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its own signature was checked. Chains are served only up to such a block.
    Signature,
    /// A verified later block of its chain names it.
    Vouched,
}

/// A block that its author signed, by itself or by a later block of its chain.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedBlock {
    block: Block,
    proof: Proof,
}

/// A body block: the bytes behind a [`BodyRef`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyPart {
    /// Its name.
    pub cid: Cid,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A verified block with all its bodies, unread: what can be said of a block whose rules number is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct WholeBlock {
    block: VerifiedBlock,
    parts: Vec<BodyPart>,
}

/// A verified block with all its bodies, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct FullBlock {
    whole: WholeBlock,
    body: Body,
    index: ChangeIndex,
}

impl Deref for DecodedBlock {
    type Target = Block;
    fn deref(&self) -> &Block {
        &self.0
    }
}

impl Deref for VerifiedBlock {
    type Target = Block;
    fn deref(&self) -> &Block {
        &self.block
    }
}

impl Deref for WholeBlock {
    type Target = VerifiedBlock;
    fn deref(&self) -> &VerifiedBlock {
        &self.block
    }
}

impl Deref for FullBlock {
    type Target = WholeBlock;
    fn deref(&self) -> &WholeBlock {
        &self.whole
    }
}

impl RawBlock {
    /// Decodes; refuses what is too large, not canonical or contradicts itself.
    pub fn decode(self) -> Result<DecodedBlock, Refusal> {
        let bytes = self.0;
        Refusal::check_max("bytes of an envelope", bytes.len(), HEADER_BYTES_MAX)?;
        let inner = bytes.len().checked_sub(SIGNATURE_TAIL_BYTES).filter(|n| *n > 1);
        let inner = inner.ok_or_else(|| Refusal::malformed("envelope", "too short"))?;
        if bytes[0] != 0x82 || bytes[inner..inner + 2] != [0x58, 0x40] {
            return Err(Refusal::malformed("envelope", "not an array of a header and a 64-byte signature"));
        }
        let header = Header::decode(&bytes[1..inner])?;
        Ok(DecodedBlock(Block { cid: cid::of_dag_cbor(&bytes), header, bytes }))
    }

    /// Decodes bytes that were asked for or stored under this CID.
    pub fn decode_as(self, cid: &Cid) -> Result<DecodedBlock, Refusal> {
        let block = self.decode()?;
        if block.cid != *cid {
            return Err(Refusal::WrongCid { should: *cid });
        }
        Ok(block)
    }
}

impl DecodedBlock {
    /// Checks the author's signature for this realm.
    pub fn check_signature(&self, realm: &RealmId) -> Result<(), Refusal> {
        let genesis = self.cid == realm.0;
        if self.0.header.is_root() && !genesis {
            return Err(Refusal::OtherGenesis);
        }
        let realm = (!genesis).then_some(realm);
        if fault::on(Fault::SignatureSkipped) {
            return Ok(());
        }
        sign::verify(Domain::Block, realm, self.header_bytes(), &self.0.header.author.0, self.signature())
    }

    /// Verified by its own signature.
    pub fn verify(self, realm: &RealmId) -> Result<VerifiedBlock, Refusal> {
        self.check_signature(realm)?;
        Ok(VerifiedBlock { block: self.0, proof: Proof::Signature })
    }

    /// Verified because `by`, the next block of its chain, is verified and names it. A block without parents
    /// is never vouched for: only [`DecodedBlock::verify`] knows which realm's genesis it may be.
    pub fn vouched(self, by: &VerifiedBlock) -> Result<VerifiedBlock, Refusal> {
        let next = &by.header;
        let linked = next.prev == Some(self.cid) && next.author == self.0.header.author;
        if !linked || self.0.header.is_root() || self.0.header.seq.checked_add(1) != Some(next.seq) {
            return Err(Refusal::NotVouched);
        }
        Ok(VerifiedBlock { block: self.0, proof: Proof::Vouched })
    }

    /// For blocks read back from one's own log, which they entered only as a [`VerifiedBlock`].
    pub fn trusted(self, proof: Proof) -> VerifiedBlock {
        VerifiedBlock { block: self.0, proof }
    }
}

impl VerifiedBlock {
    /// How it was verified.
    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// Puts the bodies to it, in the order of the header: lengths and hashes are checked.
    pub fn with_parts(self, parts: Vec<Vec<u8>>) -> Result<WholeBlock, Refusal> {
        self.check_bodies(parts.iter().map(Vec::as_slice))?;
        let parts = self.header.bodies.iter().zip(parts);
        let parts = parts.map(|(r, bytes)| BodyPart { cid: r.cid, bytes }).collect();
        Ok(WholeBlock { block: self, parts })
    }

    /// Puts the bodies to it and decodes them.
    pub fn with_bodies(self, parts: Vec<Vec<u8>>) -> Result<FullBlock, Refusal> {
        self.with_parts(parts)?.decode()
    }

    /// Checks bodies against the header: number, lengths, hashes.
    pub fn check_bodies<'a>(&self, parts: impl ExactSizeIterator<Item = &'a [u8]>) -> Result<(), Refusal> {
        let refs = &self.header.bodies;
        if parts.len() != refs.len() {
            return Err(Refusal::BodyCount { is: parts.len(), should: refs.len() });
        }
        for (r, bytes) in refs.iter().zip(parts) {
            check_body(r, bytes)?;
        }
        Ok(())
    }
}

/// Checks one body block against its reference.
fn check_body(r: &BodyRef, bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() != r.bytes as usize {
        return Err(Refusal::Body("a body of another length than the header says"));
    }
    if !cid::names(&r.cid, bytes) {
        return Err(Refusal::WrongCid { should: r.cid });
    }
    Ok(())
}

impl WholeBlock {
    /// Reads the transactions. Only for a block whose rules number is known: under another one the same bytes may mean
    /// something else.
    pub fn decode(self) -> Result<FullBlock, Refusal> {
        let (body, index) = match self.parts.as_slice() {
            [] => Default::default(),
            [one] => decode_body(&one.bytes)?,
            chunks => decode_body(&chunks.iter().map(|p| p.bytes.as_slice()).collect::<Vec<_>>().concat())?,
        };
        Ok(FullBlock { whole: self, body, index })
    }
    /// The body blocks, in order.
    pub fn parts(&self) -> &[BodyPart] {
        &self.parts
    }
    /// The block without its bodies.
    pub fn verified(&self) -> &VerifiedBlock {
        &self.block
    }
}

impl FullBlock {
    /// The transactions; empty for a merge block.
    pub fn body(&self) -> &Body {
        &self.body
    }
    /// Where each change lies in the body's bytes.
    pub fn index(&self) -> &ChangeIndex {
        &self.index
    }
    /// Takes it apart: block, body blocks, transactions, where their changes lie.
    pub fn into_parts(self) -> (VerifiedBlock, Vec<BodyPart>, Body, ChangeIndex) {
        (self.whole.block, self.whole.parts, self.body, self.index)
    }
}

/// What the writer of a block decides, but for its content.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The rules number.
    pub rules: u32,
    /// Number in its chain.
    pub seq: u64,
    /// The block before it in its chain.
    pub prev: Option<Cid>,
    /// The other heads, in any order; `prev` and repetitions are taken out.
    pub parents: Vec<Cid>,
    /// Its clock.
    pub stamp: Stamp,
}

/// Makes a block: cuts the body into body blocks, signs the header. `realm` is `None` for a genesis block only.
///
/// Refused: a draft that contradicts itself or is beyond a limit.
pub fn seal(
    draft: Draft,
    body: BuiltBody,
    key: &SigningKey,
    realm: Option<&RealmId>,
) -> Result<FullBlock, Refusal> {
    let (body, bytes, index) = body.into_parts();
    let parts = if bytes.len() <= BODY_BYTES_MAX {
        match bytes.is_empty() {
            true => Vec::new(),
            false => vec![BodyPart { cid: cid::of_dag_cbor(&bytes), bytes }],
        }
    } else {
        let chunks = bytes.chunks(BODY_BYTES_MAX);
        chunks.map(|c| BodyPart { cid: cid::of_raw(c), bytes: c.to_vec() }).collect()
    };
    let mut parents = draft.parents;
    parents.sort_unstable();
    parents.dedup();
    parents.retain(|p| Some(*p) != draft.prev);
    let header = Header {
        rules: draft.rules,
        author: node_id(key),
        seq: draft.seq,
        prev: draft.prev,
        parents,
        stamp: draft.stamp,
        bodies: parts.iter().map(|p| BodyRef { scope: 0, cid: p.cid, bytes: p.bytes.len() as u32 }).collect(),
        ext: None,
    };
    header.check()?;
    if header.is_root() != realm.is_none() {
        return Err(Refusal::Header("exactly a genesis block has no parents"));
    }
    let encoded = header.encode();
    let signature: Signature = sign::sign(Domain::Block, realm, &encoded, key);
    let mut bytes = Vec::with_capacity(1 + encoded.len() + SIGNATURE_TAIL_BYTES);
    bytes.push(0x82);
    bytes.extend_from_slice(&encoded);
    bytes.extend_from_slice(&[0x58, 0x40]);
    bytes.extend_from_slice(&signature);
    Refusal::check_max("bytes of an envelope", bytes.len(), HEADER_BYTES_MAX)?;
    let block = Block { cid: cid::of_dag_cbor(&bytes), header, bytes };
    debug_assert_eq!(block.cid.encoded_len(), CID_BYTES);
    let block = VerifiedBlock { block, proof: Proof::Signature };
    Ok(FullBlock { whole: WholeBlock { block, parts }, body, index })
}

/// Verifies a batch from catch-up with as few signatures as possible: only the last block of each chain's run
/// in the batch is checked by its signature, the others by the block after them. Where the last one's signature
/// is bad, the check falls back to the one before it, and so on (a bad signature is not the sender's offence).
///
/// Results are in the order of the input; a refused block comes with its CID.
pub fn verify_runs(blocks: Vec<DecodedBlock>, realm: &RealmId) -> Vec<Result<VerifiedBlock, (Cid, Refusal)>> {
    let place: HashMap<Cid, usize> = blocks.iter().enumerate().map(|(i, b)| (b.cid, i)).collect();
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(blocks[*i].seq()));
    let mut verdicts: Vec<Option<Result<Proof, Refusal>>> = vec![None; blocks.len()];
    for i in order {
        let block = &blocks[i];
        let vouched = verdicts[i].is_some() && !block.0.header.is_root();
        if !vouched {
            verdicts[i] = Some(block.check_signature(realm).map(|()| Proof::Signature));
        }
        if let (Some(Ok(_)), Some(prev)) = (&verdicts[i], block.0.header.prev)
            && let Some(&p) = place.get(&prev)
            && blocks[p].author() == block.author()
            && blocks[p].seq() + 1 == block.seq()
        {
            verdicts[p] = Some(Ok(Proof::Vouched));
        }
    }
    let verdicts = verdicts.into_iter().map(|v| v.expect("invariant: every block was visited"));
    let mut out = Vec::new();
    for (b, verdict) in blocks.into_iter().zip(verdicts) {
        out.push(match verdict {
            Ok(proof) => Ok(VerifiedBlock { block: b.0, proof }),
            Err(e) => Err((b.cid, e)),
        });
    }
    out
}
