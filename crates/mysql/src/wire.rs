//! The basic types of the protocol: fixed-length and length-encoded integers and strings, read from a packet
//! ([`Reader`]) and appended to a buffer (`put_…`).
//!
//! Invariant: a reader never reads past its packet; everything that would is [`ProtocolError::Malformed`].

use crate::error::ProtocolError;

/// First byte of a text row's cell that is NULL.
pub(crate) const NULL_CELL: u8 = 0xFB;

/// A cursor over the payload of one packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

type Read<T> = Result<T, ProtocolError>;

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(ProtocolError::Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk::<N>().ok_or(ProtocolError::Malformed)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length-encoded integer. 0xFB (NULL in rows) and 0xFF are not numbers.
    pub(crate) fn lenenc(&mut self) -> Read<u64> {
        Ok(match self.u8()? {
            byte @ 0..=0xFA => u64::from(byte),
            0xFC => u64::from(self.u16()?),
            0xFD => {
                let [a, b, c] = self.array()?;
                u64::from(u32::from_le_bytes([a, b, c, 0]))
            }
            0xFE => self.u64()?,
            0xFB | 0xFF => return Err(ProtocolError::Malformed),
        })
    }

    /// A string with its length in front.
    pub(crate) fn lenenc_bytes(&mut self) -> Read<&'a [u8]> {
        let length = self.lenenc()?;
        self.take(usize::try_from(length).map_err(|_| ProtocolError::Malformed)?)
    }

    /// A string up to a zero byte, which is consumed.
    pub(crate) fn nul_terminated(&mut self) -> Read<&'a [u8]> {
        let end = self.bytes.iter().position(|&byte| byte == 0).ok_or(ProtocolError::Malformed)?;
        let taken = self.take(end)?;
        self.take(1)?;
        Ok(taken)
    }

    /// A string up to a zero byte, or up to the end of the packet where old clients leave the zero out.
    pub(crate) fn nul_terminated_or_rest(&mut self) -> &'a [u8] {
        self.nul_terminated().unwrap_or_else(|_| self.rest())
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }
}

/// UTF-8 or malformed.
pub(crate) fn text(bytes: &[u8]) -> Read<String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ProtocolError::Malformed)
}

pub(crate) fn put_lenenc(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xFA => out.push(bytes[0]),
        0xFB..=0xFFFF => {
            out.push(0xFC);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xFF_FFFF => {
            out.push(0xFD);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xFE);
            out.extend_from_slice(&bytes);
        }
    }
}

pub(crate) fn put_lenenc_bytes(out: &mut Vec<u8>, value: &[u8]) {
    put_lenenc(out, value.len() as u64);
    out.extend_from_slice(value);
}

pub(crate) fn put_nul_terminated(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(value);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_encoded_integers_round_trip_in_the_shortest_form() {
        for (value, bytes) in [
            (0, 1),
            (250, 1),
            (251, 3),
            (65_535, 3),
            (65_536, 4),
            (16_777_215, 4),
            (16_777_216, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Vec::new();
            put_lenenc(&mut out, value);
            assert_eq!(out.len(), bytes, "{value}");
            let mut reader = Reader::new(&out);
            assert_eq!(reader.lenenc(), Ok(value));
            assert!(reader.is_empty());
            for cut in 0..out.len() {
                assert!(Reader::new(&out[..cut]).lenenc().is_err());
            }
        }
    }

    #[test]
    fn a_length_beyond_the_packet_is_malformed() {
        let bytes = [0xFE, 255, 255, 255, 255, 255, 255, 255, 255, b'x'];
        assert_eq!(Reader::new(&bytes).lenenc_bytes(), Err(ProtocolError::Malformed));
    }
}
