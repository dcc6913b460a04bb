//! Frames on streams: length-prefixed, with a byte budget in each direction.
//!
//! A frame is a 32-bit big-endian length and that many bytes. Outgoing frames wait in an unbounded channel whose
//! bytes are bounded by a semaphore, so queuing is one lock-free push; the writer returns the permits when the
//! transport has taken the bytes. Incoming frames take their permits *before* they are read, so a consumer that
//! falls behind stops the reading and the peer's writes, and memory stays at the budget.
//!
//! A writer that makes no progress within [`WRITE_STALL_TIMEOUT`](super::WRITE_STALL_TIMEOUT) ends its session.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use libp2p::swarm::Stream;
use p2pdb_model::ids::NodeId;
use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Access, Lane, WRITE_STALL_TIMEOUT};

/// What a frame costs beside its bytes, so that many small ones are bounded too.
const FRAME_OVERHEAD_BYTES: usize = 128;

/// Bytes that may wait in one direction of one lane of one peer.
pub(super) fn budget_bytes(lane: Lane) -> usize {
    match lane {
        Lane::Control => 2 * 1024 * 1024,
        Lane::Bulk => 2 * super::BULK_FRAME_BYTES_MAX,
        Lane::Join => 4 * super::JOIN_FRAME_BYTES_MAX,
    }
}

fn cost(len: usize) -> u32 {
    u32::try_from(len + FRAME_OVERHEAD_BYTES).unwrap_or(u32::MAX)
}

/// Received bytes with their share of the sender's budget.
#[derive(Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    _budget: OwnedSemaphorePermit,
}

impl Frame {
    pub(super) fn new(bytes: Vec<u8>, budget: OwnedSemaphorePermit) -> Self {
        Self { bytes, _budget: budget }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes and their share of the budget, which returns when the latter is dropped.
    pub(super) fn into_parts(self) -> (Vec<u8>, OwnedSemaphorePermit) {
        (self.bytes, self._budget)
    }
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no session with this peer, or it has no such lane.
    #[error("the peer is not connected")]
    NotConnected,
    /// The peer's queue is full.
    #[error("the peer does not keep up")]
    Full,
    /// The frame is over the lane's limit.
    #[error("the frame is over the lane's limit")]
    TooLarge,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    _budget: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct LaneQueue {
    lane: Lane,
    queue: mpsc::UnboundedSender<Outgoing>,
    budget: Arc<Semaphore>,
}

/// The sending side of a session.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) access: Access,
    lanes: Vec<LaneQueue>,
}

impl Outbox {
    /// An outbox with these lanes, and the queues for their writers.
    pub(super) fn new(
        access: Access,
        lanes: &[Lane],
    ) -> (Self, Vec<(Lane, mpsc::UnboundedReceiver<Outgoing>)>) {
        let mut receivers = Vec::with_capacity(lanes.len());
        let lanes = lanes
            .iter()
            .map(|&lane| {
                let (queue, receiver) = mpsc::unbounded_channel();
                receivers.push((lane, receiver));
                LaneQueue { lane, queue, budget: Arc::new(Semaphore::new(budget_bytes(lane))) }
            })
            .collect();
        (Self { access, lanes }, receivers)
    }

    fn lane(&self, lane: Lane, len: usize) -> Result<&LaneQueue, SendError> {
        if len > lane.frame_bytes_max() {
            return Err(SendError::TooLarge);
        }
        self.lanes.iter().find(|l| l.lane == lane).ok_or(SendError::NotConnected)
    }

    pub(super) fn try_send(&self, lane: Lane, bytes: Vec<u8>) -> Result<(), SendError> {
        let lane = self.lane(lane, bytes.len())?;
        let budget =
            lane.budget.clone().try_acquire_many_owned(cost(bytes.len())).map_err(|_| SendError::Full)?;
        lane.queue.send(Outgoing { bytes, _budget: budget }).map_err(|_| SendError::NotConnected)
    }

    pub(super) async fn send(&self, lane: Lane, bytes: Vec<u8>) -> Result<(), SendError> {
        let lane = self.lane(lane, bytes.len())?;
        let permits = lane.budget.clone().acquire_many_owned(cost(bytes.len()));
        let budget = tokio::select! {
            permits = permits => permits.map_err(|_| SendError::NotConnected)?,
            () = lane.queue.closed() => return Err(SendError::NotConnected),
        };
        lane.queue.send(Outgoing { bytes, _budget: budget }).map_err(|_| SendError::NotConnected)
    }

    pub(super) fn queued_bytes(&self, lane: Lane) -> usize {
        let lane = self.lanes.iter().find(|l| l.lane == lane);
        lane.map_or(0, |l| budget_bytes(l.lane).saturating_sub(l.budget.available_permits()))
    }
}

/// The outboxes of all sessions, shared between the network task and the handles.
#[derive(Clone, Debug, Default)]
pub(super) struct Outboxes(Arc<RwLock<HashMap<NodeId, Arc<Outbox>>>>);

impl Outboxes {
    pub(super) fn get(&self, node: &NodeId) -> Result<Arc<Outbox>, SendError> {
        self.0.read().get(node).cloned().ok_or(SendError::NotConnected)
    }

    pub(super) fn insert(&self, node: NodeId, outbox: Outbox) {
        self.0.write().insert(node, Arc::new(outbox));
    }

    pub(super) fn remove(&self, node: &NodeId) {
        self.0.write().remove(node);
    }

    pub(super) fn members(&self) -> Vec<NodeId> {
        let all = self.0.read();
        all.iter().filter(|(_, o)| o.access == Access::Member).map(|(n, _)| *n).collect()
    }
}

/// Writes queued frames until the session ends (`Ok`) or the stream fails.
pub(super) async fn write_frames(
    mut stream: Stream,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) -> io::Result<()> {
    while let Some(first) = queue.recv().await {
        let mut next = Some(first);
        while let Some(frame) = next {
            let len = u32::try_from(frame.bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
            within_stall_limit(async {
                stream.write_all(&len.to_be_bytes()).await?;
                stream.write_all(&frame.bytes).await
            })
            .await?;
            drop(frame);
            next = queue.try_recv().ok();
        }
        within_stall_limit(stream.flush()).await?;
    }
    stream.close().await
}

async fn within_stall_limit(write: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::time::timeout(WRITE_STALL_TIMEOUT, write)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer has stopped reading")))
}

/// Reads frames until the peer closes the stream (`Ok`), it fails, or `deliver` says that nobody listens any more.
pub(super) async fn read_frames(
    mut stream: impl AsyncRead + Unpin,
    lane: Lane,
    budget: Arc<Semaphore>,
    mut deliver: impl FnMut(Frame) -> bool,
) -> io::Result<()> {
    loop {
        let mut len = [0; 4];
        match stream.read_exact(&mut len).await {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(e) => return Err(e),
        }
        let len = u32::from_be_bytes(len) as usize;
        if len > lane.frame_bytes_max() {
            let text = format!("a frame of {len} bytes on the {lane:?} lane, more than its limit");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let Ok(permits) = budget.clone().acquire_many_owned(cost(len)).await else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        // Grows with what arrives, so an announced length alone costs nothing.
        (&mut stream).take(len as u64).read_to_end(&mut bytes).await?;
        if bytes.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !deliver(Frame::new(bytes, permits)) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::futures::io::Cursor;

    use super::*;

    /// Reads this as a stream's bytes; gives the frames and how it ended.
    fn read(bytes: Vec<u8>, lane: Lane) -> (Vec<Vec<u8>>, io::Result<()>) {
        let mut frames = Vec::new();
        let budget = Arc::new(Semaphore::new(budget_bytes(lane)));
        let ended = libp2p::futures::executor::block_on(read_frames(Cursor::new(bytes), lane, budget, |f| {
            frames.push(f.bytes().to_vec());
            true
        }));
        (frames, ended)
    }

    fn announced(len: usize, bytes: &[u8]) -> Vec<u8> {
        let mut all = (len as u32).to_be_bytes().to_vec();
        all.extend(bytes);
        all
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let stream = [announced(3, b"abc"), announced(0, b""), announced(1, b"d")].concat();
        let (frames, ended) = read(stream, Lane::Join);
        assert_eq!(frames, [&b"abc"[..], b"", b"d"]);
        ended.expect("a stream may end between two frames");
    }

    #[test]
    fn a_frame_beyond_the_limit_ends_the_stream_before_a_byte_of_it_is_read() {
        for lane in [Lane::Control, Lane::Bulk, Lane::Join] {
            for len in [lane.frame_bytes_max() + 1, u32::MAX as usize] {
                let stream = [announced(1, b"x"), announced(len, b"never looked at")].concat();
                let (frames, ended) = read(stream, lane);
                assert_eq!(frames, [b"x"]);
                let error = ended.expect_err("too long");
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                assert!(error.to_string().contains(&format!("a frame of {len} bytes")), "{error}");
            }
        }
    }

    #[test]
    fn a_frame_that_breaks_off_is_not_delivered() {
        for stream in [announced(5, b"abc"), vec![0, 0]] {
            let cut_in_length = stream.len() == 2;
            let (frames, ended) = read(stream, Lane::Control);
            assert!(frames.is_empty());
            // Inside a frame it is an error; inside a length nothing was said yet.
            assert_eq!(ended.is_ok(), cut_in_length);
        }
    }
}
