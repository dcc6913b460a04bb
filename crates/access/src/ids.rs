//! AUTO_INCREMENT values: who draws from which class, and who has which to deal (`docs/merge.md`, section 10).
//!
//! The genesis author owns every value. A dealer deals only from its own. The first time it deals it splits its
//! class `(offset, stride)` into [`SPLIT`] parts of stride `SPLIT * stride`: one it keeps and draws from, one it
//! deals, the others are its pool. From then on it deals from the pool, without a split, until the pool is empty;
//! then it splits what it keeps again. So ten invitations by one node multiply its stride by 64, not by 1,024.
//!
//! In the log a deal with `dealer_ids` is a split (`dealer_ids` is the part kept, `ids` the part dealt, all other
//! parts go to the pool), and one without takes a part out of the pool. A member that is dealt a class anew (after
//! a restore) draws from that one; its old class and pool are given up, because a backup may have forgotten what
//! it dealt.
//!
//! [`Shares`] goes through the deals held in write order. Deals decide no verdict. One of what is not its dealer's gives
//! nothing. Any other takes the values from its dealer for good, whatever becomes of its transaction; they are its receiver's
//! while the transaction counts. So values that somebody may have drawn from come back to nobody.

use std::collections::HashMap;

use p2pdb_model::change::{AccessChange, IdClass};
use p2pdb_model::ids::NodeId;

use crate::fold::Access;
use crate::index::Ref;

/// Into how many parts [`IdState::deal`] splits a class.
pub const SPLIT: u64 = 8;
/// Greatest number of parts that the log may split a class into at once.
const SPLIT_MAX: u64 = 64;
/// Greatest stride, as the encoding of a class has it.
const STRIDE_MAX: u64 = 1 << 32;

/// What one node owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdState {
    /// The class that it draws from; none when nothing was dealt to it.
    pub own: Option<IdClass>,
    /// Parts that it may deal before it has to split again, in ascending order of offsets.
    pub pool: Vec<IdClass>,
}

/// A deal to be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    /// The receiver's class.
    pub ids: IdClass,
    /// The dealer's own class from here on; none when it does not change.
    pub dealer_ids: Option<IdClass>,
}

impl IdState {
    /// The next deal: from the pool, or by a split. `None` when the node owns nothing, or its stride has grown to
    /// the limit.
    pub fn deal(&self) -> Option<Deal> {
        if let Some(ids) = self.pool.first() {
            return Some(Deal { ids: *ids, dealer_ids: None });
        }
        let own = self.own?;
        let stride = own.stride.checked_mul(SPLIT).filter(|s| *s <= STRIDE_MAX)?;
        let part = |i: u64| IdClass { offset: own.offset + i * own.stride, stride };
        Some(Deal { ids: part(1), dealer_ids: Some(part(0)) })
    }

    /// The dealer's state after this deal; `None` when the values are not its own.
    pub fn after(&self, deal: Deal) -> Option<IdState> {
        let Deal { ids, dealer_ids } = deal;
        let Some(kept) = dealer_ids else {
            let mut pool = self.pool.clone();
            pool.remove(pool.iter().position(|p| *p == ids)?);
            return Some(IdState { own: self.own, pool });
        };
        let own = self.own?;
        let parts = kept.stride / own.stride;
        let is_part = |c: &IdClass| {
            c.stride == kept.stride && c.offset < c.stride && c.offset % own.stride == own.offset
        };
        if kept.stride % own.stride != 0
            || !(2..=SPLIT_MAX).contains(&parts)
            || kept.stride > STRIDE_MAX
            || !is_part(&kept)
            || !is_part(&ids)
            || kept == ids
        {
            return None;
        }
        let rest = (0..parts).map(|i| IdClass { offset: own.offset + i * own.stride, stride: kept.stride });
        let mut pool = self.pool.clone();
        pool.extend(rest.filter(|c| *c != kept && *c != ids));
        pool.sort_unstable_by_key(|c| (c.stride, c.offset));
        Some(IdState { own: Some(kept), pool })
    }

    /// The receiver's state after a class was dealt to it.
    pub fn received(ids: IdClass) -> IdState {
        IdState { own: Some(ids), pool: Vec::new() }
    }
}

/// What all nodes own, as the deals held say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    of: HashMap<NodeId, IdState>,
    /// By receiver, the deals whose values were their dealer's; and whether their transactions count.
    dealt: HashMap<NodeId, Vec<(Ref, bool)>>,
}

impl Shares {
    pub fn of(&self, node: NodeId) -> IdState {
        self.of.get(&node).cloned().unwrap_or_default()
    }

    /// The deals to this node, beside those that had nothing to give.
    pub fn dealt_to(&self, node: NodeId) -> &[(Ref, bool)] {
        self.dealt.get(&node).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Access {
    /// Goes through all deals.
    pub(crate) fn read_shares(&self) -> Shares {
        let mut deals = self.by.deals.clone();
        deals.sort_unstable_by_key(|r| (self.txs[r.tx].order, r.item));
        let mut shares = Shares::default();
        for r in deals {
            let (tx, item) = self.item(r);
            let counts = tx.verdict().is_accepted();
            let (to, ids, dealer_ids) = match &item.change {
                AccessChange::Genesis { .. } if counts => {
                    shares.of.insert(tx.site.author, IdState::received(IdClass::ALL));
                    continue;
                }
                AccessChange::Admit { node, role, ids: Some(ids), dealer_ids, .. } if role.writes() => {
                    (*node, *ids, *dealer_ids)
                }
                AccessChange::DealIds { node, ids, dealer_ids } => (*node, *ids, *dealer_ids),
                _ => continue,
            };
            let Some(dealer) = shares.of.get_mut(&tx.site.author) else { continue };
            let Some(after) = dealer.after(Deal { ids, dealer_ids }) else { continue };
            *dealer = after;
            shares.dealt.entry(to).or_default().push((r, counts));
            if counts {
                shares.of.insert(to, IdState::received(ids));
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(a: IdClass, b: IdClass) -> bool {
        let lcm = a.stride.max(b.stride);
        assert_eq!(lcm % a.stride.min(b.stride), 0, "strides divide each other");
        a.offset % a.stride.min(b.stride) == b.offset % a.stride.min(b.stride)
    }

    #[test]
    fn deals_never_overlap_and_ten_invitations_cost_two_splits() {
        let mut states = vec![IdState::received(IdClass::ALL)];
        for n in 0..40 {
            let dealer = if n < 10 { 0 } else { n % 7 };
            let deal = states[dealer].deal().unwrap();
            states[dealer] = states[dealer].after(deal).unwrap();
            states.push(IdState::received(deal.ids));
            if n == 9 {
                assert_eq!(states[0].own.unwrap().stride, SPLIT * SPLIT);
            }
        }
        let all: Vec<IdClass> = states.iter().flat_map(|s| s.own.into_iter().chain(s.pool.clone())).collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert!(!overlap(*a, *b), "{a:?} {b:?}");
            }
        }
        let share: f64 = all.iter().map(|c| 1.0 / c.stride as f64).sum();
        assert!((share - 1.0).abs() < 1e-9, "nothing is lost: {share}");
    }

    #[test]
    fn what_is_not_the_dealers_cannot_be_dealt() {
        let c = |offset, stride| IdClass { offset, stride };
        let state = IdState::received(c(1, 8));
        let cases = [
            (c(2, 8), None),
            (c(1, 8), None),
            (c(1, 64), Some(c(1, 64))),
            (c(2, 64), Some(c(1, 64))),
            (c(9, 64), Some(c(2, 64))),
            (c(9, 32), Some(c(1, 64))),
            (c(9, 16), Some(c(1, 8))),
            (c(9, 8 * 128), Some(c(1, 8 * 128))),
        ];
        for (ids, dealer_ids) in cases {
            let deal = Deal { ids, dealer_ids };
            assert_eq!(state.after(deal), None, "{deal:?}");
        }
        assert!(state.after(Deal { ids: c(9, 16), dealer_ids: Some(c(1, 16)) }).is_some());
        assert_eq!(IdState::default().deal(), None);
        assert_eq!(IdState::received(c(0, 1 << 31)).deal(), None, "the stride is bounded");
    }
}
