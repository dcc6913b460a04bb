//! The serving side of catch-up.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use p2pdb_dag::{ChainId, Cover, Frontier};
use p2pdb_model::ids::NodeId;
use serde_bytes::ByteBuf;

use crate::bundle::{Cutter, pack_parts};
use crate::event::{Action, Now};
use crate::machine::Sync;
use crate::message::{Bundle, GAPS_MAX, Gap, Message};
use crate::peer::Serve;
use crate::source::BlockSource;
use crate::*;

impl Sync {
    pub(crate) fn on_want<S: BlockSource>(
        &mut self,
        peer: NodeId,
        round: u32,
        have: &Frontier,
        credits: u32,
        now: Now,
        source: &S,
    ) {
        if !source.serves() {
            return self.send(peer, &Message::stopped(round, None));
        }
        let Some(p) = self.peers.get(&peer) else {
            return;
        };
        let narrows = p.serve.as_ref().filter(|s| s.round == round).map_or(0, |s| s.narrows);
        let Some(cover) = self.read(source.cover(have)) else {
            return;
        };
        let Some(next) = self.read(source.first_uncovered(&cover)) else {
            return;
        };
        let gaps =
            if next.is_some() && narrows < NARROW_ROUNDS_MAX { gaps(have, &cover) } else { Vec::new() };
        let narrowing = !gaps.is_empty();
        let credits = credits.min(CREDITS);
        let serve = Serve {
            round,
            cover,
            next,
            cutter: Cutter::default(),
            next_bundle: 0,
            credits,
            narrows: narrows + u32::from(narrowing),
            narrowing,
            progress_ms: now.mono_ms,
        };
        if let Some(p) = self.peers.get_mut(&peer) {
            p.serve = Some(serve);
        }
        if narrowing {
            self.send(peer, &Message::Narrow { round, gaps });
        }
    }

    pub(crate) fn on_credit(&mut self, peer: NodeId, round: u32, bundles: u32, now: Now) {
        let serve = self.peers.get_mut(&peer).and_then(|p| p.serve.as_mut());
        if let Some(serve) = serve.filter(|s| s.round == round) {
            serve.credits = serve.credits.saturating_add(bundles).min(CREDITS);
            serve.progress_ms = now.mono_ms;
        }
    }

    pub(crate) fn on_stop(
        &mut self,
        peer: NodeId,
        round: u32,
        server: bool,
        reason: Option<String>,
        now: Now,
    ) {
        let Some(p) = self.peers.get_mut(&peer) else {
            return;
        };
        if !server {
            p.serve = p.serve.take().filter(|s| s.round != round);
        } else if p.fetch.as_ref().is_some_and(|f| f.round == round) {
            self.drop_fetch(peer, false);
            if let Some(reason) = reason {
                let reason = reason.replace(char::is_control, " ");
                self.actions.push_back(Action::NotServed { peer, reason });
            }
            self.retry_later(peer, now);
        }
    }

    /// Makes one bundle for the next peer in turn that has credit.
    pub(crate) fn serve_next<S: BlockSource>(&mut self, now: Now, source: &S) {
        let has_credit = |p: &crate::peer::Peer| {
            p.clogged_until_ms.is_none() && p.serve.as_ref().is_some_and(|s| s.credits > 0 && !s.narrowing)
        };
        let after = self.served_last.map_or(Bound::Unbounded, Bound::Excluded);
        let turn = self.peers.range((after, Bound::Unbounded)).chain(self.peers.iter());
        let Some(peer) = turn.filter(|(_, p)| has_credit(p)).map(|(n, _)| *n).next() else {
            return;
        };
        self.served_last = Some(peer);
        // Taken out while it is worked on; put back below unless the round is over.
        let Some(mut serve) = self.peers.get_mut(&peer).and_then(|p| p.serve.take()) else {
            return;
        };
        while !serve.cutter.is_full()
            && let Some(from) = serve.next
        {
            let scan = source.scan(&serve.cover, from, BUNDLE_RAW_BYTES, BUNDLE_BLOCKS_MAX);
            let scan = match scan {
                Ok(scan) => scan,
                // The peer waits for blocks that this node has named: it hears why none come.
                Err(e) => {
                    let stop = Message::stopped(serve.round, Some(e.to_string()));
                    self.read(Err::<(), _>(e));
                    return self.send(peer, &stop);
                }
            };
            scan.blocks.into_iter().for_each(|b| serve.cutter.push(b));
            serve.next = scan.next.filter(|next| *next > from);
        }
        let (data, raw_bytes) = match pack_parts(&serve.cutter.take()) {
            Ok(packed) => packed,
            Err(e) => {
                self.actions.push_back(Action::Fault { reason: format!("cannot pack a bundle: {e}") });
                return self.send(peer, &Message::stopped(serve.round, None));
            }
        };
        let last = serve.next.is_none() && serve.cutter.is_empty();
        let raw_bytes = u32::try_from(raw_bytes).expect("invariant: a bundle is at most 2 MiB");
        let (round, number) = (serve.round, serve.next_bundle);
        let bundle = Bundle { round, number, raw_bytes, last, data: ByteBuf::from(data) };
        serve.next_bundle += 1;
        serve.credits -= 1;
        serve.progress_ms = now.mono_ms;
        if !last && let Some(p) = self.peers.get_mut(&peer) {
            p.serve = Some(serve);
        }
        self.send(peer, &Message::Bundle(bundle));
    }
}

/// Where the other side's branch and ours part by more blocks than it is worth to send twice.
fn gaps(have: &Frontier, cover: &Cover) -> Vec<Gap> {
    let mut unknown: BTreeMap<ChainId, BTreeSet<u64>> = BTreeMap::new();
    for (chain, tip) in cover.unknown() {
        unknown.entry(*chain).or_default().insert(tip.seq);
    }
    let mut gaps = Vec::new();
    for (chain, seqs) in unknown {
        let Some(&differs) = seqs.first() else {
            continue;
        };
        // Every tip below the least unknown one is known.
        let known = have.tips(&chain).iter().map(|t| t.seq).filter(|seq| *seq < differs);
        let common = known.max().unwrap_or(0);
        if differs - common > NARROW_GAP_BLOCKS + 1 {
            gaps.push(Gap { chain, common, differs });
        }
    }
    gaps.truncate(GAPS_MAX);
    gaps
}
