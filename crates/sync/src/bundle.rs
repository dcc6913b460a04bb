//! Bundles: blocks cut into parts, encoded and compressed.
//!
//! Before compression a bundle is DAG-CBOR: a list of parts `[n, bytes]`, where `n` is the number of bodies for an
//! envelope and null for a body. The bodies of a block follow its envelope, if need be in later bundles, so a
//! bundle's size does not depend on the largest block. zstd at level 3: single blocks do not compress, a bundle of
//! 50 one-row blocks shrinks to about 60 %, as keys, names and layouts repeat (hashes and signatures do not).

use std::collections::VecDeque;

use p2pdb_block::{BODIES_MAX, BODY_BYTES_MAX, HEADER_BYTES_MAX};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::error::Error;
use crate::message::WireBlock;
use crate::source::Received;
use crate::{BUNDLE_BLOCKS_MAX, BUNDLE_RAW_BYTES, BUNDLE_RAW_BYTES_MAX};

const LEVEL: i32 = 3;
/// What a part costs beside its bytes, at most.
const PART_OVERHEAD_BYTES: usize = 8;

/// An envelope with the number of its bodies, or a body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part(Option<u8>, ByteBuf);

/// Parts of blocks that wait to be packed.
#[derive(Debug, Default)]
pub(crate) struct Cutter(VecDeque<Part>);

impl Cutter {
    pub(crate) fn push(&mut self, block: WireBlock) {
        let bodies = u8::try_from(block.1.len()).expect("invariant: a block has at most 128 bodies");
        self.0.push_back(Part(Some(bodies), block.0));
        self.0.extend(block.1.into_iter().map(|b| Part(None, b)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Enough for a bundle.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= BUNDLE_BLOCKS_MAX
            || self.0.iter().map(|p| p.1.len()).sum::<usize>() >= BUNDLE_RAW_BYTES
    }

    /// The parts of the next bundle.
    pub(crate) fn take(&mut self) -> Vec<Part> {
        let (mut out, mut bytes) = (Vec::new(), 0);
        while let Some(part) = self.0.pop_front() {
            bytes += part.1.len() + PART_OVERHEAD_BYTES;
            out.push(part);
            if bytes >= BUNDLE_RAW_BYTES || out.len() >= BUNDLE_BLOCKS_MAX {
                break;
            }
        }
        out
    }
}

/// Encodes and compresses parts: the data and the length before compression.
pub(crate) fn pack_parts(parts: &[Part]) -> Result<(Vec<u8>, usize), Error> {
    let raw = serde_ipld_dagcbor::to_vec(parts).map_err(|e| Error::malformed("bundle", e))?;
    if raw.len() > BUNDLE_RAW_BYTES_MAX {
        return Err(Error::TooLarge(raw.len()));
    }
    let data = zstd::bulk::compress(&raw, LEVEL).map_err(|e| Error::Compression(e.to_string()))?;
    Ok((data, raw.len()))
}

fn unpack_parts(data: &[u8], raw_bytes: usize) -> Result<Vec<Part>, Error> {
    if raw_bytes > BUNDLE_RAW_BYTES_MAX {
        return Err(Error::TooLarge(raw_bytes));
    }
    // Decompresses into a buffer of exactly the announced length; more data than that is an error, not memory.
    let raw = zstd::bulk::decompress(data, raw_bytes).map_err(|e| Error::Compression(e.to_string()))?;
    if raw.len() != raw_bytes {
        return Err(Error::WrongLength { is: raw.len(), should: raw_bytes });
    }
    let parts: Vec<Part> = serde_ipld_dagcbor::from_slice(&raw).map_err(|e| Error::malformed("bundle", e))?;
    Ok(parts)
}

/// Puts parts together again; keeps a block that is not whole between bundles.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    open: Option<(WireBlock, usize)>,
}

impl Assembler {
    /// Takes a bundle; returns the blocks that are now whole.
    pub(crate) fn add(&mut self, data: &[u8], raw_bytes: usize) -> Result<Vec<Received>, Error> {
        let mut out = Vec::new();
        for Part(kind, bytes) in unpack_parts(data, raw_bytes)? {
            let (block, missing) = match (kind, self.open.take()) {
                (Some(bodies), None) => {
                    let bodies = usize::from(bodies);
                    if bytes.len() > HEADER_BYTES_MAX || bodies > BODIES_MAX {
                        return Err(Error::OutOfOrder);
                    }
                    (WireBlock(bytes, Vec::with_capacity(bodies)), bodies)
                }
                (None, Some((mut block, missing))) if missing > 0 && bytes.len() <= BODY_BYTES_MAX => {
                    block.1.push(bytes);
                    (block, missing - 1)
                }
                _ => return Err(Error::OutOfOrder),
            };
            if missing == 0 {
                out.push(block.decode()?);
            } else {
                self.open = Some((block, missing));
            }
        }
        Ok(out)
    }

    /// True when no block is half here.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none()
    }
}

/// Packs blocks into one bundle: the compressed data and the length before compression, in bytes.
///
/// # Errors
/// When they are too many for one bundle.
pub fn pack(blocks: Vec<WireBlock>) -> Result<(Vec<u8>, usize), Error> {
    let mut cutter = Cutter::default();
    blocks.into_iter().for_each(|b| cutter.push(b));
    pack_parts(&cutter.0.into_iter().collect::<Vec<_>>())
}

/// Unpacks what [`pack`] made.
///
/// # Errors
/// When it is larger than announced or allowed, malformed, or holds anything but whole, canonical blocks.
pub fn unpack(data: &[u8], raw_bytes: usize) -> Result<Vec<Received>, Error> {
    let mut assembler = Assembler::default();
    let blocks = assembler.add(data, raw_bytes)?;
    if assembler.is_idle() { Ok(blocks) } else { Err(Error::OutOfOrder) }
}
