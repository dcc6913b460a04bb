//! CAR v1 (Content Addressable aRchive): how a log leaves and enters a node as one file that
//! `ipfs dag import` takes too. Source: <https://ipld.io/specs/transport/car/carv1/>.
//!
//! A file is a frame with the header `{roots: [heads], version: 1}` and then a frame per block: `varint(length)
//! ‖ CID ‖ bytes`. Both sides stream; neither holds more than one frame. The reader checks each block's hash.

use std::io::{self, Read, Write};

use p2pdb_model::ids::Cid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cid::{self, CID_BYTES};
use crate::limits::{BODY_BYTES_MAX, HEADER_BYTES_MAX};

/// Greatest length of the file's header, bytes: some 20,000 roots.
pub const CAR_HEADER_BYTES_MAX: usize = 1 << 20;
const SECTION_BYTES_MAX: usize =
    CID_BYTES + if BODY_BYTES_MAX > HEADER_BYTES_MAX { BODY_BYTES_MAX } else { HEADER_BYTES_MAX };

/// Why a CAR file could not be read or written.
#[derive(Debug, Error)]
pub enum CarError {
    /// The stream failed.
    #[error("reading or writing the CAR file failed: {0}")]
    Io(#[from] io::Error),
    /// Not a CAR file of version 1, or not one of ours.
    #[error("not a valid CAR v1 file: {0}")]
    Invalid(String),
    /// A block does not hash to its CID.
    #[error("the CAR file is damaged: the block {0} does not hash to its CID")]
    WrongHash(Cid),
}

#[derive(Serialize, Deserialize)]
struct CarHeader {
    roots: Vec<Cid>,
    version: u64,
}

/// Writes a CAR file.
pub struct CarWriter<W> {
    out: W,
}

impl<W: Write> CarWriter<W> {
    /// Begins the file; `roots` are the heads.
    pub fn new(mut out: W, roots: &[Cid]) -> Result<Self, CarError> {
        let header = serde_ipld_dagcbor::to_vec(&CarHeader { roots: roots.to_vec(), version: 1 })
            .map_err(|e| CarError::Invalid(e.to_string()))?;
        if header.len() > CAR_HEADER_BYTES_MAX {
            return Err(CarError::Invalid(format!("a header of {} bytes", header.len())));
        }
        write_varint(&mut out, header.len() as u64)?;
        out.write_all(&header)?;
        Ok(Self { out })
    }

    /// Adds a block: an envelope or a body.
    pub fn write(&mut self, cid: &Cid, bytes: &[u8]) -> Result<(), CarError> {
        write_varint(&mut self.out, (cid.encoded_len() + bytes.len()) as u64)?;
        cid.write_bytes(&mut self.out).map_err(|e| CarError::Io(io::Error::other(e)))?;
        Ok(self.out.write_all(bytes)?)
    }

    /// Flushes and gives the stream back.
    pub fn finish(mut self) -> Result<W, CarError> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Reads a CAR file: an iterator over (CID, bytes), each checked. Ends after the first error.
pub struct CarReader<R> {
    input: R,
    roots: Vec<Cid>,
    done: bool,
}

impl<R: Read> CarReader<R> {
    /// Reads the file's header.
    pub fn new(mut input: R) -> Result<Self, CarError> {
        let n = read_varint(&mut input)?.ok_or_else(|| CarError::Invalid("an empty file".into()))?;
        let bytes = read_frame(&mut input, n, CAR_HEADER_BYTES_MAX)?;
        let header: CarHeader =
            serde_ipld_dagcbor::from_slice(&bytes).map_err(|_| CarError::Invalid("no CAR header".into()))?;
        if header.version != 1 {
            return Err(CarError::Invalid(format!("version {}", header.version)));
        }
        Ok(Self { input, roots: header.roots, done: false })
    }

    /// The roots that the file names: the heads of the log in it.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    fn read_next(&mut self) -> Result<Option<(Cid, Vec<u8>)>, CarError> {
        let Some(n) = read_varint(&mut self.input)? else { return Ok(None) };
        let mut bytes = read_frame(&mut self.input, n, SECTION_BYTES_MAX)?;
        let cid = bytes.get(..CID_BYTES).and_then(|b| Cid::read_bytes(b).ok());
        let ours = |c: &Cid| cid::is_ours(c, cid::DAG_CBOR) || cid::is_ours(c, cid::RAW);
        let cid = cid.filter(ours).ok_or_else(|| {
            CarError::Invalid("a block whose CID is not CIDv1, dag-cbor or raw, sha2-256".into())
        })?;
        bytes.drain(..CID_BYTES);
        if !cid::names(&cid, &bytes) {
            return Err(CarError::WrongHash(cid));
        }
        Ok(Some((cid, bytes)))
    }
}

impl<R: Read> Iterator for CarReader<R> {
    type Item = Result<(Cid, Vec<u8>), CarError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.read_next().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

fn write_varint(out: &mut impl Write, mut n: u64) -> io::Result<()> {
    let mut bytes = [0u8; 10];
    let mut len = 0;
    while n >= 0x80 {
        bytes[len] = n as u8 | 0x80;
        n >>= 7;
        len += 1;
    }
    bytes[len] = n as u8;
    out.write_all(&bytes[..=len])
}

/// An unsigned varint; `None` at the end of the stream.
fn read_varint(input: &mut impl Read) -> Result<Option<u64>, CarError> {
    let mut n = 0u64;
    for shift in (0..35).step_by(7) {
        let mut byte = [0u8];
        match input.read_exact(&mut byte) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && shift == 0 => return Ok(None),
            other => other?,
        }
        n |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(Some(n));
        }
    }
    Err(CarError::Invalid("a length over 32 bits".into()))
}

fn read_frame(input: &mut impl Read, bytes: u64, max: usize) -> Result<Vec<u8>, CarError> {
    if bytes > max as u64 {
        return Err(CarError::Invalid(format!("a frame of {bytes} bytes, at most {max} are allowed")));
    }
    let mut frame = vec![0; bytes as usize];
    input.read_exact(&mut frame).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => CarError::Invalid("it ends in the middle of a block".into()),
        _ => CarError::Io(e),
    })?;
    Ok(frame)
}
