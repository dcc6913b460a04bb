//! One signed block: its bytes, its name (CID), its signature, its limits. The format is written down in
//! `docs/block-format.md` and frozen by the vectors under `testdata/v1/`.
//!
//! A block moves through types that cannot be skipped:
//!
//! ```text
//! RawBlock ──decode──▶ DecodedBlock ──verify / vouched──▶ VerifiedBlock ──with_parts──▶ WholeBlock ──decode──▶ FullBlock
//!  any bytes            canonical,      signature holds,     signed by its author         bodies held,          and
//!                       CID known       or a successor's                                  CIDs checked          decoded
//! ```
//!
//! * [`DecodedBlock`]: the bytes are the one canonical encoding, within limits. Bodies may be missing.
//! * [`VerifiedBlock`]: its author signed it, or signed a later block of the same chain that names it.
//! * [`WholeBlock`]: all bodies are here and hash to what the header says. It can be kept and relayed, whatever rules
//!   number it was written under.
//! * [`FullBlock`]: its bodies decode canonically; for blocks under rules that are known.
//!
//! ```
//! use p2pdb_block::{BuiltBody, Draft, RawBlock, SigningKey, seal};
//! use p2pdb_model::{RealmId, Stamp};
//!
//! # fn main() -> Result<(), p2pdb_block::Refusal> {
//! let key = SigningKey::from_bytes(&[1; 32]);
//! let draft = Draft { rules: 1, seq: 1, prev: None, parents: vec![], stamp: Stamp::from_millis(1) };
//! let genesis = seal(draft, BuiltBody::default(), &key, None)?;
//!
//! let realm = RealmId(genesis.cid());
//! let received = RawBlock(genesis.bytes().to_vec()).decode()?.verify(&realm)?.with_bodies(vec![])?;
//! assert_eq!(received, genesis);
//! # Ok(())
//! # }
//! ```
//!
//! Everything that can be wrong with other people's bytes is a [`Refusal`]: every node refuses the same way.
//! Not here: other blocks (is the parent held? is the seq right?), which is `dag`'s, and whether the author
//! may write, which is `access`'s. No clock, no randomness, no disk (but for the CAR codec's streams).

mod block;
mod body;
pub mod car;
mod cbor;
pub mod cid;
mod header;
pub mod limits;
mod refusal;
pub mod sign;

pub use block::{
    Block, BodyPart, DecodedBlock, Draft, FullBlock, Proof, RawBlock, VerifiedBlock, WholeBlock, seal,
    verify_runs,
};
pub use body::{
    BodyBuilder, BuiltBody, ChangeIndex, Span, decode_body, decode_change, decode_change_at, decode_layouts,
};
pub use header::{BodyRef, FORMAT, Header};
pub use limits::*;
pub use refusal::Refusal;
pub use sign::{Domain, Signature, SigningKey, VerifyingKey, node_id};
