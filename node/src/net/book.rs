//! Whom to dial, and when: addresses per peer, exponential back-off, at once after a heal.
//!
//! Pure: time is an argument, jitter is a number that the caller draws.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Peers whose addresses are kept.
const PEERS_MAX: usize = 1024;
/// Addresses kept for one peer.
const ADDRESSES_PER_PEER_MAX: usize = 16;
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// A bootstrap peer that is down is found again within this time.
const BACKOFF_MAX_BOOTSTRAP: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A peer that was only heard of is forgotten after so many failures in a row.
const FAILURES_MAX: u32 = 8;
/// A connection that ends sooner counts as a failure: the peer does not want us, as after a removal.
const LASTS: Duration = Duration::from_secs(5);
/// A dial that reports neither success nor failure counts as failed after this time.
const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Target {
    addresses: BTreeSet<Multiaddr>,
    bootstrap: bool,
    /// Since when.
    connected: Option<Instant>,
    failures: u32,
    due: Instant,
}

/// A peer to dial, by id or (a bootstrap address without one) by address alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Whom {
    Peer(PeerId),
    Address(Multiaddr),
}

/// The address book.
#[derive(Debug, Default)]
pub(super) struct Book {
    targets: HashMap<Whom, Target>,
    /// Which peer answered at a bootstrap address that named none.
    answered: HashMap<Multiaddr, PeerId>,
}

/// The address without its trailing `/p2p/<id>`, and that id.
pub(super) fn split(address: &Multiaddr) -> (Multiaddr, Option<PeerId>) {
    let mut bare = address.clone();
    match bare.pop() {
        Some(Protocol::P2p(peer)) => (bare, Some(peer)),
        _ => (address.clone(), None),
    }
}

impl Book {
    /// Adds an address to stay connected to.
    pub(super) fn add_bootstrap(&mut self, address: &Multiaddr, now: Instant) {
        let (bare, peer) = split(address);
        let whom = peer.map_or_else(|| Whom::Address(bare.clone()), Whom::Peer);
        let target = self.targets.entry(whom).or_insert_with(|| Target::new(now));
        target.bootstrap = true;
        target.due = now;
        target.add(bare);
    }

    /// Adds addresses that were heard of (mDNS, identify, Kademlia).
    pub(super) fn add_heard(
        &mut self,
        peer: PeerId,
        addresses: impl IntoIterator<Item = Multiaddr>,
        now: Instant,
    ) {
        if self.targets.len() >= PEERS_MAX && !self.targets.contains_key(&Whom::Peer(peer)) {
            return;
        }
        let mut addresses = addresses.into_iter().map(|a| split(&a).0).peekable();
        if addresses.peek().is_none() {
            return;
        }
        let target = self.targets.entry(Whom::Peer(peer)).or_insert_with(|| Target::new(now));
        addresses.for_each(|a| target.add(a));
    }

    /// A connection stands. `dialled` is the address, when the connection is ours.
    pub(super) fn connected(&mut self, peer: PeerId, dialled: Option<&Multiaddr>, now: Instant) {
        if let Some(address) = dialled {
            let bare = split(address).0;
            if let Some(target) = self.targets.get_mut(&Whom::Address(bare.clone())) {
                target.connected.get_or_insert(now);
                self.answered.insert(bare, peer);
            }
        }
        if let Some(target) = self.targets.get_mut(&Whom::Peer(peer)) {
            target.connected.get_or_insert(now);
        }
    }

    /// The last connection to this peer is gone.
    pub(super) fn disconnected(&mut self, peer: PeerId, now: Instant, jitter: f64) {
        let by_address =
            self.answered.iter().filter(|(_, p)| **p == peer).map(|(a, _)| Whom::Address(a.clone()));
        for whom in by_address.chain([Whom::Peer(peer)]) {
            let Some(target) = self.targets.get_mut(&whom) else { continue };
            match target.connected.take() {
                Some(since) if now.saturating_duration_since(since) < LASTS => target.fails(now, jitter),
                _ => {
                    target.failures = 0;
                    target.due = now + BACKOFF_MIN;
                }
            }
        }
    }

    /// A dial has failed.
    ///
    /// True where it is a bootstrap peer, and has answered until now.
    pub(super) fn failed(&mut self, whom: &Whom, now: Instant, jitter: f64) -> bool {
        let Some(target) = self.targets.get_mut(whom) else {
            return false;
        };
        target.fails(now, jitter);
        let is_news = target.bootstrap && target.failures == 1 && target.connected.is_none();
        if target.failures >= FAILURES_MAX && !target.bootstrap && target.connected.is_none() {
            self.targets.remove(whom);
        }
        is_news
    }

    /// Where this peer was looked for.
    pub(super) fn addresses(&self, whom: &Whom) -> Vec<Multiaddr> {
        match (whom, self.targets.get(whom)) {
            (Whom::Address(address), _) => vec![address.clone()],
            (_, Some(target)) => target.addresses.iter().cloned().collect(),
            (_, None) => Vec::new(),
        }
    }

    /// Dial this peer now, whatever happened before.
    pub(super) fn hurry(&mut self, peer: PeerId, now: Instant) {
        let by_address =
            self.answered.iter().filter(|(_, p)| **p == peer).map(|(a, _)| Whom::Address(a.clone()));
        for whom in by_address.chain([Whom::Peer(peer)]) {
            if let Some(target) = self.targets.get_mut(&whom) {
                target.failures = 0;
                target.due = now;
            }
        }
    }

    /// Those to dial now: every unconnected bootstrap peer, and others while `room` for them is left.
    pub(super) fn due(&mut self, now: Instant, mut room: usize) -> Vec<(Whom, Vec<Multiaddr>)> {
        let mut out = Vec::new();
        for (whom, target) in &mut self.targets {
            if target.connected.is_some() || target.due > now || (!target.bootstrap && room == 0) {
                continue;
            }
            room -= usize::from(!target.bootstrap);
            // Until the outcome is known.
            target.due = now + DIAL_TIMEOUT;
            out.push((whom.clone(), target.addresses.iter().cloned().collect()));
        }
        out
    }
}

impl Target {
    fn new(now: Instant) -> Self {
        Self { addresses: BTreeSet::new(), bootstrap: false, connected: None, failures: 0, due: now }
    }

    fn fails(&mut self, now: Instant, jitter: f64) {
        self.failures += 1;
        let max = if self.bootstrap { BACKOFF_MAX_BOOTSTRAP } else { BACKOFF_MAX };
        let wait = (BACKOFF_MIN * 2u32.pow(self.failures.min(12) - 1)).min(max);
        self.due = now + wait.mul_f64(0.75 + 0.5 * jitter.clamp(0.0, 1.0));
    }

    fn add(&mut self, address: Multiaddr) {
        if self.addresses.len() < ADDRESSES_PER_PEER_MAX {
            self.addresses.insert(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")
    }

    #[test]
    fn a_failing_bootstrap_address_is_tried_ever_more_slowly_but_never_forgotten() {
        let (mut book, mut now) = (Book::default(), Instant::now());
        book.add_bootstrap(&address(1), now);
        let whom = Whom::Address(address(1));
        let mut waits = Vec::new();
        for _ in 0..20 {
            assert_eq!(book.due(now, 0).len(), 1);
            assert!(book.due(now, 0).is_empty(), "not again while the dial is open");
            book.failed(&whom, now, 0.5);
            let start = now;
            while book.targets[&whom].due > now {
                now += Duration::from_millis(10);
            }
            waits.push(now - start);
        }
        assert_eq!(waits[0], BACKOFF_MIN);
        assert!(waits.is_sorted() && waits[19] == BACKOFF_MAX_BOOTSTRAP);
    }

    #[test]
    fn a_peer_that_hangs_up_at_once_is_dialled_ever_more_slowly_until_a_connection_lasts() {
        let (mut book, mut now, peer) = (Book::default(), Instant::now(), PeerId::random());
        let whom = Whom::Peer(peer);
        book.add_heard(peer, [address(1)], now);
        let mut wait = Duration::ZERO;
        for _ in 0..6 {
            book.connected(peer, None, now);
            book.disconnected(peer, now + Duration::from_millis(30), 0.5);
            let next = book.targets[&whom].due - now;
            assert!(next > wait, "{next:?} after {wait:?}");
            wait = next;
            now += wait;
        }
        book.connected(peer, None, now);
        now += LASTS;
        book.disconnected(peer, now, 0.5);
        assert_eq!(book.targets[&whom].due, now + BACKOFF_MIN);
    }

    #[test]
    fn a_peer_that_was_only_heard_of_is_forgotten_when_it_never_answers() {
        let (mut book, mut now, peer) = (Book::default(), Instant::now(), PeerId::random());
        book.add_heard(peer, [address(1)], now);
        for _ in 0..FAILURES_MAX {
            assert_eq!(book.due(now, 9).len(), 1);
            book.failed(&Whom::Peer(peer), now, 0.0);
            now += BACKOFF_MAX;
        }
        assert!(book.due(now, 9).is_empty());
    }

    #[test]
    fn a_lost_peer_behind_a_nameless_bootstrap_address_is_dialled_again_and_at_once_when_hurried() {
        let (mut book, now, peer) = (Book::default(), Instant::now(), PeerId::random());
        book.add_bootstrap(&address(1), now);
        book.due(now, 0);
        book.connected(peer, Some(&address(1)), now);
        assert!(book.due(now + DIAL_TIMEOUT, 0).is_empty(), "connected");
        book.disconnected(peer, now + LASTS, 0.5);
        assert!(book.due(now, 0).is_empty(), "waits a little");
        book.hurry(peer, now);
        assert_eq!(book.due(now, 0), [(Whom::Address(address(1)), vec![address(1)])]);
    }

    #[test]
    fn no_more_peers_are_dialled_than_there_is_room_for() {
        let (mut book, now) = (Book::default(), Instant::now());
        for port in 0..9 {
            book.add_heard(PeerId::random(), [address(port)], now);
        }
        assert_eq!(book.due(now, 4).len(), 4);
    }

    #[test]
    fn limits_hold_on_peers_and_on_addresses_of_one_peer() {
        let (mut book, now, peer) = (Book::default(), Instant::now(), PeerId::random());
        book.add_heard(peer, (0..99).map(address), now);
        assert_eq!(book.targets[&Whom::Peer(peer)].addresses.len(), ADDRESSES_PER_PEER_MAX);
        for _ in 0..PEERS_MAX + 9 {
            book.add_heard(PeerId::random(), [address(1)], now);
        }
        assert_eq!(book.targets.len(), PEERS_MAX);
    }
}
