//! Limits of the block format, in bytes or counts. They are part of the format: a block beyond one is refused
//! by every node, so a change of any of them needs a new format or rules number.

/// Greatest length of an envelope (header and signature), bytes.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Greatest number of parents other than `prev`.
pub const PARENTS_MAX: usize = 64;

/// Greatest number of body blocks of one block.
pub const BODIES_MAX: usize = 128;

/// Greatest length of one body block, bytes. A longer body is cut into chunks of exactly this length, the
/// last one shorter. Bitswap and `ipfs dag import` take blocks up to 1 MiB without complaint.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Greatest length of a block's whole body, bytes.
pub const BLOCK_BODY_BYTES_TOTAL_MAX: usize = BODIES_MAX * BODY_BYTES_MAX;

/// Greatest sequence number of a block in its chain: what a signed 64-bit column can hold.
pub const SEQ_MAX: u64 = i64::MAX as u64;
