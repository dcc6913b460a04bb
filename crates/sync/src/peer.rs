//! What is remembered of one peer during a session.

use std::collections::{BTreeMap, HashSet, VecDeque};

use p2pdb_dag::{BlockNo, ChainId, Cover, Frontier};
use p2pdb_model::ids::Cid;

use crate::bundle::{Assembler, Cutter};
use crate::event::NodePeer;
use crate::{BACKOFF_MS, OFFENCE_POINTS_MAX};

/// CIDs remembered per peer as known to it.
const KNOWN_MAX: usize = 2_048;
/// Offence points that are forgiven, and how often (milliseconds).
const FORGIVE: (u32, u64) = (1, 10_000);
/// Requests that a peer may make at once, and per second.
const REQUESTS: (u64, u64) = (200, 50);
/// CIDs whose arrival is awaited before a peer is asked.
pub(crate) const AWAITED_MAX: usize = 256;

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) standing: NodePeer,
    /// Our session, as we named it in Hello.
    pub(crate) session: u64,
    /// The peer's session.
    pub(crate) their_session: Option<u64>,
    pub(crate) greeted: bool,
    pub(crate) hello_due_ms: u64,
    /// To this peer we are a stranger: it is not greeted.
    pub(crate) to_it_strange: bool,
    /// It has asked for admission.
    pub(crate) asked: bool,
    pub(crate) rules: u32,
    pub(crate) clock_offset_ms: Option<i64>,
    /// Their last known frontier digest.
    pub(crate) their_digest: Option<[u8; 32]>,
    /// When we last sent our frontier, and its digest.
    pub(crate) sent_frontier: Option<(u64, [u8; 32])>,
    /// We asked for the peer's frontier; the answer is due by then.
    pub(crate) frontier_due_ms: Option<u64>,
    pub(crate) fetch: Option<Fetch>,
    pub(crate) round: u32,
    /// Something that the peer has is being fetched from another; ask again when that is over.
    pub(crate) deferred: bool,
    pub(crate) serve: Option<Serve>,
    known: Known,
    /// Blocks that should come, or be applied, by themselves.
    pub(crate) awaited: Vec<Cid>,
    pub(crate) awaited_due_ms: Option<u64>,
    /// Our heads may be news to the peer.
    pub(crate) announce_due_ms: Option<u64>,
    /// It does not take what we send; no pushes until then.
    pub(crate) clogged_until_ms: Option<u64>,
    pub(crate) pushed_bytes: usize,
    pub(crate) failures: u32,
    pub(crate) not_before_ms: u64,
    points: u32,
    points_at_ms: u64,
    /// Requests that it may make now, and when that was computed.
    requests: (u64, u64),
    /// A round that we could not go on serving; said when it takes messages again.
    pub(crate) broken_serve: Option<u32>,
}

/// A round in which we receive.
#[derive(Debug)]
pub(crate) struct Fetch {
    pub(crate) round: u32,
    pub(crate) theirs: Frontier,
    /// Chains that are being fetched here, up to this seq.
    pub(crate) claims: BTreeMap<ChainId, u64>,
    /// Gaps that the server asked about.
    pub(crate) narrows: u32,
    pub(crate) credits: u32,
    /// Number of the next bundle.
    pub(crate) next_bundle: u32,
    pub(crate) unconsumed: u32,
    pub(crate) last: bool,
    pub(crate) assembler: Assembler,
    pub(crate) progress_ms: u64,
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
    pub(crate) wanted: u64,
}

/// A round in which we send.
#[derive(Debug)]
pub(crate) struct Serve {
    pub(crate) round: u32,
    pub(crate) cover: Cover,
    /// `None` when the log's end was reached; what is cut may still wait.
    pub(crate) next: Option<BlockNo>,
    pub(crate) cutter: Cutter,
    /// Number of the next bundle.
    pub(crate) next_bundle: u32,
    pub(crate) credits: u32,
    pub(crate) narrows: u32,
    /// Waiting for closer rungs: nothing is sent.
    pub(crate) narrowing: bool,
    pub(crate) progress_ms: u64,
}

/// A bounded set of CIDs, oldest forgotten first.
#[derive(Debug, Default)]
pub(crate) struct Known {
    set: HashSet<Cid>,
    order: VecDeque<Cid>,
}

impl Known {
    pub(crate) fn contains(&self, cid: &Cid) -> bool {
        self.set.contains(cid)
    }

    /// True when it was not there.
    pub(crate) fn insert(&mut self, cid: Cid) -> bool {
        if !self.set.insert(cid) {
            return false;
        }
        self.order.push_back(cid);
        if self.order.len() > KNOWN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
        true
    }

    pub(crate) fn remove(&mut self, cid: &Cid) {
        if self.set.remove(cid) {
            self.order.retain(|c| c != cid);
        }
    }
}

impl Peer {
    pub(crate) fn new(standing: NodePeer, session: u64, now_ms: u64) -> Self {
        Self {
            standing,
            session,
            their_session: None,
            greeted: false,
            hello_due_ms: now_ms,
            to_it_strange: false,
            asked: false,
            rules: 0,
            clock_offset_ms: None,
            their_digest: None,
            sent_frontier: None,
            frontier_due_ms: None,
            fetch: None,
            round: 0,
            deferred: false,
            serve: None,
            known: Known::default(),
            awaited: Vec::new(),
            awaited_due_ms: None,
            announce_due_ms: None,
            clogged_until_ms: None,
            pushed_bytes: 0,
            failures: 0,
            not_before_ms: 0,
            points: 0,
            points_at_ms: now_ms,
            requests: (REQUESTS.0, now_ms),
            broken_serve: None,
        }
    }

    /// The peer has forgotten its last session; forget what depended on it.
    pub(crate) fn renew(&mut self) {
        self.their_digest = None;
        self.sent_frontier = None;
        self.frontier_due_ms = None;
        self.serve = None;
        self.deferred = false;
        self.known = Known::default();
        self.clogged_until_ms = None;
    }

    /// A greeted member.
    pub(crate) fn is_ready(&self) -> bool {
        self.greeted && self.standing == NodePeer::Member
    }

    pub(crate) fn knows(&self, cid: &Cid) -> bool {
        self.known.contains(cid)
    }

    pub(crate) fn learn(&mut self, cid: Cid) {
        self.known.insert(cid);
    }

    /// Counts a request that costs us reads of the log; false when there were too many.
    pub(crate) fn may_request(&mut self, now_ms: u64) -> bool {
        let (burst, per_second) = REQUESTS;
        let (left, at_ms) = self.requests;
        let new = now_ms.saturating_sub(at_ms) * per_second / 1_000;
        let at_ms = if new > 0 { now_ms } else { at_ms };
        let left = (left + new).min(burst);
        self.requests = (left.saturating_sub(1), at_ms);
        left > 0
    }

    /// It was asked, or sends blocks, and was heard of a moment ago.
    pub(crate) fn is_answering(&self, now_ms: u64) -> bool {
        let asked = self.frontier_due_ms.map(|due| due.saturating_sub(crate::ANSWER_TIMEOUT_MS));
        let fetch = self.fetch.as_ref();
        // What waits for our engine is not the peer's delay.
        let heard = fetch.map(|f| if f.awaits_peer() { f.progress_ms } else { now_ms });
        asked.max(heard).is_some_and(|at| now_ms < at + crate::ANSWER_PATIENCE_MS)
    }

    /// A round failed, by nobody's ill will.
    pub(crate) fn fail(&mut self, now_ms: u64) {
        self.failures += 1;
        let (first, most) = BACKOFF_MS;
        let wait = first.saturating_mul(1 << (self.failures - 1).min(16)).min(most);
        self.not_before_ms = now_ms + wait;
    }

    pub(crate) fn succeed(&mut self) {
        self.failures = 0;
        self.not_before_ms = 0;
    }

    /// Adds offence points; true when they are too many.
    pub(crate) fn offend(&mut self, points: u32, now_ms: u64) -> bool {
        let (forgiven, every_ms) = FORGIVE;
        let steps = now_ms.saturating_sub(self.points_at_ms) / every_ms;
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.points = self.points.saturating_sub(steps.saturating_mul(forgiven)).saturating_add(points);
        self.points_at_ms = now_ms;
        self.points >= OFFENCE_POINTS_MAX
    }

    /// It is to hear Hello, at its time; or that it is a stranger, until it asks for admission: what is said while a connection
    /// begins may be lost.
    pub(crate) fn is_to_be_greeted(&self) -> bool {
        match self.standing {
            NodePeer::Member => !self.greeted && !self.to_it_strange,
            NodePeer::NotMember => !self.asked,
        }
    }

    /// The next time at which something is to be done, if any.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let hello = self.is_to_be_greeted().then_some(self.hello_due_ms);
        let fetch =
            self.fetch.as_ref().filter(|f| f.awaits_peer()).map(|f| f.progress_ms + crate::ANSWER_TIMEOUT_MS);
        let serve = self.serve.as_ref().map(|s| s.progress_ms + crate::SERVE_TIMEOUT_MS);
        let deferred = (self.deferred && self.not_before_ms > 0).then_some(self.not_before_ms);
        [
            hello,
            fetch,
            serve,
            deferred,
            self.frontier_due_ms,
            self.awaited_due_ms,
            self.announce_due_ms,
            self.clogged_until_ms,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Fetch {
    /// The peer owes the next bundle (we, or our engine, owe it nothing).
    pub(crate) fn awaits_peer(&self) -> bool {
        !self.last && self.unconsumed == 0
    }
}
