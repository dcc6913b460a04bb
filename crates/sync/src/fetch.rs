//! The receiving side of catch-up.

use std::collections::{BTreeMap, BTreeSet};

use p2pdb_dag::{ChainFrontier, ChainId, Frontier, Tip, Want, ladder};
use p2pdb_model::ids::{Cid, NodeId};

use crate::bundle::Assembler;
use crate::event::{Action, Delivery, Now, Outcome, Token};
use crate::machine::{DeliveryKind, DeliveryState, POINTS_GARBAGE, POINTS_OUT_OF_PLACE, Sync};
use crate::message::{Bundle, Gap, Message};
use crate::peer::Fetch;
use crate::source::{BlockSource, Received};
use crate::*;

/// Evenly spaced rungs inside a gap that the server asked about, beside the ladder.
const SPACED_RUNGS: u64 = 32;
/// Own branches of a chain that rungs are given for.
const BRANCHES_MAX: usize = 4;

impl Sync {
    pub(crate) fn on_frontier<S: BlockSource>(
        &mut self,
        peer: NodeId,
        theirs: &Frontier,
        now: Now,
        source: &S,
    ) {
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        p.frontier_due_ms = None;
        p.their_digest = Some(theirs.digest());
        let (wants, mine) = (self.read(source.wants(theirs)), self.read(source.frontier()));
        let (Some(wants), Some(mine)) = (wants, mine) else {
            return;
        };
        self.offer_frontier(peer, theirs, &mine, now, source);
        if !wants.is_empty() {
            self.start_fetch(peer, theirs, &mine, &wants, now, source);
        } else if let Some(p) = self.peers.get_mut(&peer) {
            p.succeed();
        }
    }

    /// Shows our frontier to a peer that lacks something, unless it has seen it, or another one a moment ago.
    fn offer_frontier<S: BlockSource>(
        &mut self,
        peer: NodeId,
        theirs: &Frontier,
        mine: &Frontier,
        now: Now,
        source: &S,
    ) {
        // A lower tip of ours is most likely in the past of theirs; if it is a fork after all, they ask when they hear our digest.
        let news = |w: &Want| {
            let highest = theirs.tips(&w.chain).iter().map(|t| t.seq).max().unwrap_or(0);
            w.tip.seq >= highest || mine.tips(&w.chain).len() > 1
        };
        if !theirs.lacks(mine).iter().any(news) {
            return;
        }
        let Some(digest) = self.read(source.frontier_digest()) else {
            return;
        };
        let Some(p) = self.peers.get(&peer) else {
            return;
        };
        let seen = p
            .sent_frontier
            .is_some_and(|(at, sent)| sent == digest || now.mono_ms < at + FRONTIER_INTERVAL_MS);
        if !seen && p.serve.is_none() {
            self.send_frontier(peer, now, source);
        }
    }

    fn start_fetch<S: BlockSource>(
        &mut self,
        peer: NodeId,
        theirs: &Frontier,
        mine: &Frontier,
        wants: &[Want],
        now: Now,
        source: &S,
    ) {
        let elsewhere = self.claimed_elsewhere(peer);
        let fetches = self.peers.values().filter(|p| p.fetch.is_some()).count();
        let is_claimed = |w: &Want| elsewhere.get(&w.chain).is_some_and(|seq| *seq >= w.tip.seq);
        let (claimed, open): (Vec<Want>, Vec<Want>) = wants.iter().partition(|w| is_claimed(w));
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        if p.fetch.is_some() {
            return;
        }
        p.deferred |= !claimed.is_empty();
        if open.is_empty() || fetches >= FETCHES_MAX || p.not_before_ms > now.mono_ms {
            p.deferred = true;
            return;
        }
        p.round = p.round.wrapping_add(1);
        let mut claims: BTreeMap<ChainId, u64> = BTreeMap::new();
        for w in &open {
            let seq = claims.entry(w.chain).or_default();
            *seq = (*seq).max(w.tip.seq);
        }
        let wanted = open.iter().map(|w| w.tip.seq.saturating_sub(w.from_seq) + 1).sum();
        let round = p.round;
        p.fetch = Some(Fetch {
            round,
            theirs: theirs.clone(),
            claims,
            narrows: 0,
            credits: CREDITS,
            next_bundle: 0,
            unconsumed: 0,
            last: false,
            assembler: Assembler::default(),
            progress_ms: now.mono_ms,
            blocks: 0,
            bytes: 0,
            wanted,
        });
        if let Some(have) = self.have(theirs, mine, wants, &open, &[], source) {
            self.send(peer, &Message::Want { round, have, credits: CREDITS });
        }
    }

    fn claimed_elsewhere(&self, peer: NodeId) -> BTreeMap<ChainId, u64> {
        let mut all = BTreeMap::new();
        for fetch in self.peers.iter().filter(|(n, _)| **n != peer).filter_map(|(_, p)| p.fetch.as_ref()) {
            for (chain, seq) in &fetch.claims {
                let most: &mut u64 = all.entry(*chain).or_default();
                *most = (*most).max(*seq);
            }
        }
        all
    }

    /// What we have, in terms of the other side's frontier: its tips that we hold (or that come from elsewhere);
    /// where we lack some, our own tips, and rungs of our branches where ours may differ from its.
    fn have<S: BlockSource>(
        &mut self,
        theirs: &Frontier,
        mine: &Frontier,
        wants: &[Want],
        open: &[Want],
        gaps: &[Gap],
        source: &S,
    ) -> Option<Frontier> {
        let mut lacks: BTreeMap<ChainId, Vec<&Want>> = BTreeMap::new();
        for want in wants {
            lacks.entry(want.chain).or_default().push(want);
        }
        let open: BTreeSet<ChainId> = open.iter().map(|w| w.chain).collect();
        let gaps: BTreeMap<ChainId, &Gap> = gaps.iter().map(|g| (g.chain, g)).collect();
        let mut chains = Vec::with_capacity(theirs.chains().len());
        for c in theirs.chains() {
            let mut tips: Vec<Tip> = c.tips.clone();
            if let Some(lacking) = lacks.get(&c.chain).filter(|_| open.contains(&c.chain)) {
                tips.retain(|t| !lacking.iter().any(|w| w.tip == *t));
                let own = mine.tips(&c.chain);
                tips.extend_from_slice(&own[own.len().saturating_sub(BRANCHES_MAX)..]);
                for seqs in rungs_wanted(lacking, gaps.get(&c.chain).copied()) {
                    for tip in own.iter().rev().take(BRANCHES_MAX) {
                        tips.extend(self.read(source.rungs(&c.chain, tip, &seqs))?);
                    }
                }
                tips.sort_unstable();
                tips.dedup();
                tips.truncate(FRONTIER_TIPS_MAX);
            }
            if !tips.is_empty() {
                chains.push(ChainFrontier { chain: c.chain, tips });
            }
        }
        Some(Frontier::new(chains))
    }

    pub(crate) fn on_narrow<S: BlockSource>(
        &mut self,
        peer: NodeId,
        round: u32,
        gaps: &[Gap],
        now: Now,
        source: &S,
    ) {
        let fetch = self.peers.get_mut(&peer).and_then(|p| p.fetch.as_mut());
        let Some(fetch) = fetch.filter(|f| f.round == round) else {
            return;
        };
        fetch.narrows += 1;
        fetch.progress_ms = now.mono_ms;
        if fetch.narrows > NARROW_ROUNDS_MAX {
            let reason = "asks for rungs without end".to_owned();
            return self.offence(peer, POINTS_OUT_OF_PLACE, reason, now);
        }
        let (theirs, claims) = (fetch.theirs.clone(), fetch.claims.clone());
        let (wants, mine) = (self.read(source.wants(&theirs)), self.read(source.frontier()));
        let (Some(wants), Some(mine)) = (wants, mine) else {
            return;
        };
        let open: Vec<Want> = wants.iter().filter(|w| claims.contains_key(&w.chain)).copied().collect();
        if let Some(have) = self.have(&theirs, &mine, &wants, &open, gaps, source) {
            self.send(peer, &Message::Want { round, have, credits: CREDITS });
        }
    }

    pub(crate) fn on_bundle(&mut self, peer: NodeId, bundle: &Bundle, now: Now) {
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        let session = p.session;
        // A bundle of a round that is over may still have been on its way.
        let Some(fetch) = p.fetch.as_mut().filter(|f| f.round == bundle.round) else {
            return;
        };
        if bundle.number < fetch.next_bundle {
            return;
        }
        if bundle.number > fetch.next_bundle {
            // One was lost on the way: no offence, but no use going on either.
            return self.break_off(peer, now);
        }
        fetch.next_bundle += 1;
        if fetch.credits == 0 || fetch.last {
            return self.offence(peer, POINTS_GARBAGE, "sends bundles without credit".to_owned(), now);
        }
        fetch.credits -= 1;
        fetch.progress_ms = now.mono_ms;
        fetch.last = bundle.last;
        fetch.bytes += bundle.data.len() as u64;
        let blocks = match fetch.assembler.add(&bundle.data, bundle.raw_bytes as usize) {
            Ok(blocks) => blocks,
            Err(e) if e.unknown_format().is_some() => {
                self.drop_fetch(peer, false);
                self.peers.remove(&peer);
                let reason = format!("{e}, which this version cannot read");
                self.actions.push_back(Action::Incompatible { peer, reason });
                return self.ask_deferred(now);
            }
            Err(e) => return self.offence(peer, POINTS_GARBAGE, e.to_string(), now),
        };
        if bundle.last && !fetch.assembler.is_idle() {
            let reason = "ends a round in the middle of a block".to_owned();
            return self.offence(peer, POINTS_GARBAGE, reason, now);
        }
        fetch.blocks += blocks.len() as u64;
        fetch.unconsumed += 1;
        // An empty bundle goes this way too, so that the end of a round comes after all that is before it.
        self.deliver(peer, session, DeliveryKind::Round(bundle.round), blocks);
    }

    pub(crate) fn deliver(&mut self, peer: NodeId, session: u64, kind: DeliveryKind, blocks: Vec<Received>) {
        self.next_token += 1;
        let token = Token(self.next_token);
        let cids = match kind {
            DeliveryKind::Push(_) => blocks.iter().map(|b| b.block.cid()).collect(),
            DeliveryKind::Round(_) => Vec::new(),
        };
        self.deliveries.insert(token, DeliveryState { peer, session, kind, cids });
        let catch_up = matches!(kind, DeliveryKind::Round(_));
        self.actions.push_back(Action::Deliver(Delivery { peer, token, catch_up, blocks }));
    }

    pub(crate) fn on_consumed<S: BlockSource>(
        &mut self,
        token: Token,
        outcome: Outcome,
        now: Now,
        source: &S,
    ) {
        let Some(delivery) = self.deliveries.remove(&token) else {
            return;
        };
        let peer = delivery.peer;
        for cid in &delivery.cids {
            self.delivered.remove(cid);
        }
        let Some(p) = self.peers.get_mut(&peer).filter(|p| p.session == delivery.session) else {
            return;
        };
        if let DeliveryKind::Push(bytes) = delivery.kind {
            p.pushed_bytes = p.pushed_bytes.saturating_sub(bytes);
        }
        let knows = p.rules;
        match outcome {
            Outcome::Refused { rules, reason } if rules <= knows => {
                self.offence(peer, POINTS_GARBAGE, reason, now);
            }
            Outcome::Offence(reason) => self.offence(peer, POINTS_GARBAGE, reason, now),
            Outcome::Fault(reason) => {
                self.actions.push_back(Action::Fault { reason });
                if let DeliveryKind::Round(_) = delivery.kind {
                    self.break_off(peer, now);
                }
            }
            Outcome::Refused { .. } => self.consumed(peer, delivery.kind, Vec::new(), now, source),
            Outcome::Done { waiting } => self.consumed(peer, delivery.kind, waiting, now, source),
        }
    }

    fn consumed<S: BlockSource>(
        &mut self,
        peer: NodeId,
        kind: DeliveryKind,
        waiting: Vec<Cid>,
        now: Now,
        source: &S,
    ) {
        match kind {
            DeliveryKind::Push(_) => self.await_blocks(peer, waiting, now),
            DeliveryKind::Round(round) => self.go_on(peer, round, now, source),
        }
    }

    /// A bundle was consumed: grants credit, or ends the round.
    fn go_on<S: BlockSource>(&mut self, peer: NodeId, round: u32, now: Now, source: &S) {
        let fetch = self.peers.get_mut(&peer).and_then(|p| p.fetch.as_mut());
        let Some(fetch) = fetch.filter(|f| f.round == round) else {
            return;
        };
        fetch.unconsumed = fetch.unconsumed.saturating_sub(1);
        fetch.progress_ms = now.mono_ms;
        if !fetch.last {
            fetch.credits += 1;
            self.send(peer, &Message::Credit { round, bundles: 1 });
        } else if fetch.unconsumed == 0 {
            let (barren, theirs, claims) = (fetch.blocks == 0, fetch.theirs.clone(), fetch.claims.clone());
            self.drop_fetch(peer, true);
            // What came may wait for blocks that another peer was to send and does not: asking at once would only bring it again.
            let wants = self.read(source.wants(&theirs)).unwrap_or_default();
            let waits = wants.iter().any(|w| claims.contains_key(&w.chain));
            if let Some(p) = self.peers.get_mut(&peer) {
                p.deferred |= waits;
                if barren || waits { p.fail(now.mono_ms) } else { p.succeed() }
            }
            self.send_digest(peer, now, source);
            self.forget_equal(source);
            self.ask_deferred(now);
        }
    }

    /// The round has failed; asks again later.
    pub(crate) fn break_off(&mut self, peer: NodeId, now: Now) {
        let round = self.peers.get(&peer).and_then(|p| p.fetch.as_ref()).map(|f| f.round);
        self.drop_fetch(peer, false);
        if let Some(round) = round {
            self.send(peer, &Message::Stop { round, server: false, reason: None });
        }
        self.retry_later(peer, now);
    }

    /// Asks others now and this peer after a while.
    pub(crate) fn retry_later(&mut self, peer: NodeId, now: Now) {
        if let Some(p) = self.peers.get_mut(&peer) {
            p.fail(now.mono_ms);
        }
        self.ask_deferred(now);
        if let Some(p) = self.peers.get_mut(&peer) {
            p.deferred = true;
        }
    }

    /// Forgets a round and says so.
    pub(crate) fn drop_fetch(&mut self, peer: NodeId, complete: bool) {
        if let Some(fetch) = self.peers.get_mut(&peer).and_then(|p| p.fetch.take()) {
            let (blocks, bytes) = (fetch.blocks, fetch.bytes);
            self.actions.push_back(Action::Fetched { peer, blocks, bytes, complete });
        }
    }
}

/// Seqs at which to show our branch of a chain.
fn rungs_wanted(lacking: &[&Want], gap: Option<&Gap>) -> Vec<Vec<u64>> {
    if let Some(gap) = gap {
        let width = gap.differs.saturating_sub(gap.common);
        let mut seqs = ladder(gap.differs.saturating_sub(1).max(1), gap.common.max(1));
        let spaced = (1..SPACED_RUNGS).map(|n| u128::from(width) * u128::from(n) / u128::from(SPACED_RUNGS));
        // At most `differs`, so it fits.
        seqs.extend(spaced.map(|d| gap.common + d as u64).filter(|s| *s > 0));
        return vec![seqs];
    }
    lacking.iter().filter(|w| w.forked).map(|w| ladder(w.tip.seq, 1)).collect()
}
