//! CIDs of blocks and bodies: CIDv1, sha2-256, codec dag-cbor for envelopes and whole bodies, raw for chunks.

use multihash_codetable::{Code, MultihashDigest};
pub use p2pdb_model::ids::Cid;

/// Multicodec of DAG-CBOR.
pub const DAG_CBOR: u64 = 0x71;
/// Multicodec of raw bytes.
pub const RAW: u64 = 0x55;
/// Multihash code of sha2-256.
pub const SHA2_256: u64 = 0x12;
/// Length of our CIDs in bytes: version, codec, hash code, digest length, digest.
pub const CID_BYTES: usize = 36;

/// The CID of DAG-CBOR bytes.
pub fn of_dag_cbor(bytes: &[u8]) -> Cid {
    Cid::new_v1(DAG_CBOR, Code::Sha2_256.digest(bytes))
}

/// The CID of raw bytes.
pub fn of_raw(bytes: &[u8]) -> Cid {
    Cid::new_v1(RAW, Code::Sha2_256.digest(bytes))
}

/// True for a CID as we make them, with this codec.
pub fn is_ours(cid: &Cid, codec: u64) -> bool {
    cid.version() == ::cid::Version::V1
        && cid.codec() == codec
        && cid.hash().code() == SHA2_256
        && cid.hash().size() == 32
}

/// True when the bytes hash to this CID (of one of our two codecs).
pub fn names(cid: &Cid, bytes: &[u8]) -> bool {
    match cid.codec() {
        DAG_CBOR => of_dag_cbor(bytes) == *cid,
        RAW => of_raw(bytes) == *cid,
        _ => false,
    }
}
