//! Packets on the stream: `length: u24, sequence: u8, payload`. A payload of 16 MiB - 1 or more is split into
//! full frames and a shorter (maybe empty) last one.
//!
//! Invariants: no more memory is taken than bytes have arrived (a length in a header reserves nothing beyond
//! [`RESERVE_BYTES_MAX`]); one packet is at most the limit in force; what arrives behind a complete packet
//! waits in a backlog of at most [`BACKLOG_BYTES_MAX`].

use crate::error::ProtocolError;

/// Payload bytes of a full frame; a shorter frame ends the packet.
pub const FRAME_BYTES_MAX: usize = 0xFF_FFFF;
/// Bytes that may wait behind the packet at hand. A shell that does not read while
/// [`crate::Connection::wants_read`] is false never meets it with chunks of up to this size.
pub const BACKLOG_BYTES_MAX: usize = 4 << 20;
/// Bytes reserved at once on the word of a header.
pub const RESERVE_BYTES_MAX: usize = 64 << 10;
/// Capacity that an idle backlog may keep.
const BACKLOG_KEEP_BYTES: usize = 64 << 10;

const HEADER_BYTES: usize = 4;

/// Joins frames into packets and checks their sequence numbers.
#[derive(Debug)]
pub(crate) struct FrameReader {
    header: [u8; HEADER_BYTES],
    header_len: usize,
    /// Payload bytes of the current frame still to come; meaningful when the header is complete.
    missing: usize,
    payload: Vec<u8>,
    complete: bool,
    /// The packet is too large: what is left of it is passed over.
    skipping: bool,
    /// A packet was taken and its answer is not finished: nothing more is parsed.
    held: bool,
    backlog: Vec<u8>,
    /// Bytes of the backlog already parsed: they are removed in large pieces, not packet by packet.
    backlog_used: usize,
    packet_bytes_max: usize,
    sequence: u8,
}

impl FrameReader {
    pub(crate) fn new(packet_bytes_max: usize) -> FrameReader {
        FrameReader {
            header: [0; HEADER_BYTES],
            header_len: 0,
            missing: 0,
            payload: Vec::new(),
            complete: false,
            skipping: false,
            held: false,
            backlog: Vec::new(),
            backlog_used: 0,
            packet_bytes_max,
            sequence: 0,
        }
    }

    /// Changes the limit for the packets that begin from now on.
    pub(crate) fn set_packet_bytes_max(&mut self, bytes: usize) {
        self.packet_bytes_max = bytes;
    }

    /// The sequence number that the next frame, in either direction, must have.
    pub(crate) fn sequence(&mut self) -> &mut u8 {
        &mut self.sequence
    }

    /// Lets the next packet be parsed; its sequence number goes on counting.
    pub(crate) fn release(&mut self) {
        self.held = false;
    }

    /// Lets the next packet be parsed; it must begin a command (sequence number 0).
    pub(crate) fn release_for_command(&mut self) {
        self.sequence = 0;
        self.held = false;
    }

    /// Takes bytes from the stream.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        let used = if self.held || !self.backlog.is_empty() { 0 } else { self.fill(bytes)? };
        let rest = &bytes[used..];
        if self.backlog.len() - self.backlog_used + rest.len() > BACKLOG_BYTES_MAX {
            return Err(ProtocolError::Backlog);
        }
        if self.backlog_used > BACKLOG_KEEP_BYTES {
            self.backlog.drain(..self.backlog_used);
            self.backlog_used = 0;
        }
        self.backlog.extend_from_slice(rest);
        Ok(())
    }

    /// The next complete packet. After one is taken there is none until a release.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Vec<u8>>, ProtocolError> {
        if self.held {
            return Ok(None);
        }
        if !self.complete && !self.backlog.is_empty() {
            let backlog = std::mem::take(&mut self.backlog);
            let used = self.fill(&backlog[self.backlog_used..]);
            self.backlog = backlog;
            self.backlog_used += used?;
            if self.backlog_used == self.backlog.len() {
                self.backlog.clear();
                self.backlog.shrink_to(BACKLOG_KEEP_BYTES);
                self.backlog_used = 0;
            }
        }
        if !self.complete {
            return Ok(None);
        }
        self.complete = false;
        self.held = true;
        Ok(Some(std::mem::take(&mut self.payload)))
    }

    /// A complete packet waits to be taken: reading more from the stream only fills the backlog.
    pub(crate) fn is_blocked(&self) -> bool {
        self.complete || self.held
    }

    /// Everything that arrived behind the last packet taken, unparsed (the first bytes of TLS).
    ///
    /// Bytes of a frame begun are put back in front, so that nothing is lost.
    pub(crate) fn take_unread(&mut self) -> Vec<u8> {
        let mut unread = self.header[..self.header_len].to_vec();
        unread.append(&mut self.payload);
        unread.extend_from_slice(&self.backlog[self.backlog_used..]);
        self.backlog.clear();
        self.backlog_used = 0;
        self.header_len = 0;
        self.missing = 0;
        self.complete = false;
        unread
    }

    /// Bytes held: for tests of the limits and for metrics.
    pub(crate) fn buffered_bytes(&self) -> usize {
        self.payload.capacity() + self.backlog.capacity()
    }

    /// Moves bytes into the packet at hand until it is complete; says how many it took.
    fn fill(&mut self, bytes: &[u8]) -> Result<usize, ProtocolError> {
        let mut rest = bytes;
        while !self.complete {
            if self.header_len < HEADER_BYTES {
                let count = rest.len().min(HEADER_BYTES - self.header_len);
                self.header[self.header_len..self.header_len + count].copy_from_slice(&rest[..count]);
                self.header_len += count;
                rest = &rest[count..];
                if self.header_len < HEADER_BYTES {
                    break;
                }
                self.begin_frame()?;
            }
            let count = rest.len().min(self.missing);
            if !self.skipping {
                self.payload.extend_from_slice(&rest[..count]);
            }
            self.missing -= count;
            rest = &rest[count..];
            if self.missing > 0 {
                break;
            }
            self.header_len = 0;
            self.complete = self.frame_len() < FRAME_BYTES_MAX;
            if self.complete && self.skipping {
                return Err(ProtocolError::TooLarge);
            }
        }
        Ok(bytes.len() - rest.len())
    }

    fn frame_len(&self) -> usize {
        let [a, b, c, _] = self.header;
        u32::from_le_bytes([a, b, c, 0]) as usize
    }

    fn begin_frame(&mut self) -> Result<(), ProtocolError> {
        let length = self.frame_len();
        if self.header[3] != self.sequence {
            return Err(ProtocolError::OutOfOrder);
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.missing = length;
        if self.skipping {
            return Ok(());
        }
        if self.payload.len() + length > self.packet_bytes_max {
            // The client waits for an answer that is numbered behind its last frame.
            if length < FRAME_BYTES_MAX {
                return Err(ProtocolError::TooLarge);
            }
            self.skipping = true;
            self.payload = Vec::new();
            return Ok(());
        }
        self.payload.reserve(length.min(RESERVE_BYTES_MAX));
        Ok(())
    }
}

/// Begins a packet at the end of `out`; give the position to [`end_packet`].
pub(crate) fn begin_packet(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    start
}

/// Writes the header of the packet begun at `start`; splits it into frames if it is long.
pub(crate) fn end_packet(out: &mut Vec<u8>, start: usize, sequence: &mut u8) {
    let length = out.len() - start - HEADER_BYTES;
    if length < FRAME_BYTES_MAX {
        put_header(&mut out[start..], length, sequence);
        return;
    }
    let payload = out.split_off(start + HEADER_BYTES);
    out.truncate(start);
    out.reserve(payload.len() + HEADER_BYTES * (payload.len() / FRAME_BYTES_MAX + 1));
    let mut rest = payload.as_slice();
    loop {
        let (frame, tail) = rest.split_at(rest.len().min(FRAME_BYTES_MAX));
        let mut header = [0; HEADER_BYTES];
        put_header(&mut header, frame.len(), sequence);
        out.extend_from_slice(&header);
        out.extend_from_slice(frame);
        rest = tail;
        // A full frame always has a successor, an empty one if need be.
        if frame.len() < FRAME_BYTES_MAX {
            break;
        }
    }
}

fn put_header(at: &mut [u8], length: usize, sequence: &mut u8) {
    let bytes = (length as u32).to_le_bytes();
    at[..3].copy_from_slice(&bytes[..3]);
    at[3] = *sequence;
    *sequence = sequence.wrapping_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let start = begin_packet(&mut out);
        out.extend_from_slice(payload);
        let mut sequence = 0;
        end_packet(&mut out, start, &mut sequence);
        out
    }

    #[test]
    fn long_packets_are_split_and_joined() {
        for (length, frames) in [
            (0, 1),
            (1, 1),
            (FRAME_BYTES_MAX - 1, 1),
            (FRAME_BYTES_MAX, 2),
            (FRAME_BYTES_MAX + 1, 2),
            (2 * FRAME_BYTES_MAX, 3),
            (33 << 20, 3),
        ] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let bytes = packet(&payload);
            assert_eq!(bytes.len(), length + frames * HEADER_BYTES, "{length}");
            let mut reader = FrameReader::new(64 << 20);
            let mut joined = None;
            for chunk in bytes.chunks(1 << 20) {
                assert!(joined.is_none());
                reader.receive(chunk).unwrap();
                joined = reader.next_packet().unwrap();
            }
            assert!(joined.unwrap() == payload, "{length}");
            assert_eq!(usize::from(*reader.sequence()), frames);
        }
    }

    #[test]
    fn byte_by_byte_is_as_good_as_at_once() {
        let bytes = packet(b"select 1");
        let mut reader = FrameReader::new(1024);
        for (i, byte) in bytes.iter().enumerate() {
            assert_eq!(reader.next_packet(), Ok(None), "{i}");
            reader.receive(&[*byte]).unwrap();
        }
        assert_eq!(reader.next_packet(), Ok(Some(b"select 1".to_vec())));
    }

    #[test]
    fn the_limit_is_exact_and_counts_joined_frames() {
        let mut reader = FrameReader::new(8);
        assert_eq!(reader.receive(&packet(&[0; 8])), Ok(()));
        let mut reader = FrameReader::new(8);
        assert_eq!(
            reader.receive(&packet(&[0; 9])[..4]),
            Err(ProtocolError::TooLarge),
            "known from the header alone"
        );
        let mut reader = FrameReader::new(FRAME_BYTES_MAX + 1);
        let long = packet(&vec![0; FRAME_BYTES_MAX + 2]);
        assert_eq!(reader.receive(&long), Err(ProtocolError::TooLarge));
    }

    #[test]
    fn a_packet_of_several_frames_that_is_too_large_is_passed_over_to_its_end() {
        let mut reader = FrameReader::new(1024);
        let long = packet(&vec![0; 2 * FRAME_BYTES_MAX + 5]);
        let mut ended = None;
        for (i, chunk) in long.chunks(1 << 16).enumerate() {
            assert_eq!(ended, None, "at its end");
            ended = reader.receive(chunk).err();
            assert!(reader.buffered_bytes() < 1 << 17, "{i}");
        }
        assert_eq!(ended, Some(ProtocolError::TooLarge));
        assert_eq!(*reader.sequence(), 3, "the number of the answer that the client expects");
    }

    #[test]
    fn a_wrong_sequence_number_is_out_of_order() {
        let mut bytes = packet(b"x");
        bytes[3] = 1;
        let mut reader = FrameReader::new(8);
        assert_eq!(reader.receive(&bytes), Err(ProtocolError::OutOfOrder));
    }

    #[test]
    fn a_header_reserves_little_and_the_backlog_ends() {
        let mut reader = FrameReader::new(1 << 30);
        reader.receive(&[0xFE, 0xFF, 0xFF, 0, 1]).unwrap();
        assert!(reader.buffered_bytes() <= 2 * RESERVE_BYTES_MAX);

        let mut reader = FrameReader::new(8);
        reader.receive(&packet(b"x")).unwrap();
        assert!(reader.is_blocked());
        reader.receive(&vec![0; BACKLOG_BYTES_MAX]).unwrap();
        assert_eq!(reader.receive(&[0]), Err(ProtocolError::Backlog));
    }
}
