//! Blocks out of a CAR file, whatever order its sections are in.
//!
//! An export of ours has each envelope followed by its bodies. Other tools may order a file as they like, so bodies
//! that come early are kept (bounded) until an envelope asks for them, and envelopes wait for bodies that come late.

use std::collections::{HashMap, VecDeque};
use std::io::Read;

use p2pdb_block::car::{CarError, CarReader};
use p2pdb_block::{DecodedBlock, RawBlock};
use p2pdb_model::ids::Cid;
use p2pdb_sync::Received;

/// Blocks in a batch.
const BATCH_BLOCKS: usize = 1_024;
/// Bytes of bodies in a batch, and of bodies kept for envelopes that are yet to come.
const BATCH_BYTES: usize = 32 << 20;
const KEPT_BYTES_MAX: usize = 512 << 20;

/// The file's blocks in batches, each block with all its bodies; an error at the end when bodies are missing.
pub(crate) fn batches<R: Read>(car: &mut CarReader<R>) -> Batches<'_, R> {
    Batches { car, bodies: HashMap::new(), bytes: 0, envelopes: VecDeque::new(), ended: false }
}

pub(crate) struct Batches<'a, R> {
    car: &'a mut CarReader<R>,
    bodies: HashMap<Cid, Vec<u8>>,
    bytes: usize,
    envelopes: VecDeque<DecodedBlock>,
    ended: bool,
}

impl<R: Read> Batches<'_, R> {
    fn next_batch(&mut self) -> Result<Option<Vec<Received>>, CarError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while !self.ended && batch.len() < BATCH_BLOCKS && bytes < BATCH_BYTES {
            match self.car.next().transpose()? {
                None => self.ended = true,
                Some((cid, section)) => match RawBlock(section.clone()).decode() {
                    Ok(block) => self.envelopes.push_back(block),
                    Err(_) => {
                        self.bytes += section.len();
                        if self.bytes > KEPT_BYTES_MAX {
                            let why = "too many bodies come before their headers";
                            return Err(CarError::Invalid(why.to_owned()));
                        }
                        self.bodies.insert(cid, section);
                    }
                },
            }
            while let Some(block) = self.envelopes.front() {
                if !block.header().bodies.iter().all(|b| self.bodies.contains_key(&b.cid)) {
                    break;
                }
                let Some(block) = self.envelopes.pop_front() else { break };
                let mut bodies = Vec::with_capacity(block.header().bodies.len());
                for reference in &block.header().bodies {
                    if let Some(body) = self.bodies.remove(&reference.cid) {
                        self.bytes -= body.len();
                        bytes += body.len();
                        bodies.push(body);
                    }
                }
                if bodies.len() == block.header().bodies.len() {
                    batch.push(Received { block, bodies });
                }
            }
        }
        if batch.is_empty() && self.ended {
            return match self.envelopes.front() {
                None => Ok(None),
                Some(block) => {
                    let why = format!("bodies of block {} are missing", block.cid());
                    self.envelopes.clear();
                    Err(CarError::Invalid(why))
                }
            };
        }
        Ok(Some(batch))
    }
}

impl<R: Read> Iterator for Batches<'_, R> {
    type Item = Result<Vec<Received>, CarError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
