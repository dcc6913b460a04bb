//! The keys of accounts, and what they have signed, as of everything held: for `p2pdb.account_keys` and `p2pdb.delegations`.

use p2pdb_model::change::{AccessChange, Delegate};
use p2pdb_model::ids::{NodeId, PublicKey};
use p2pdb_model::{AccountId, Stamp};

use crate::fold::Access;
use crate::index::{Ref, listed};
use crate::judge::At;
use crate::reason::Reason;

/// A key that an account has, or had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// Whose.
    pub account: AccountId,
    /// The key.
    pub key: PublicKey,
    /// When it was given; the last time, where it was given again.
    pub since: Stamp,
    /// It is the account's no more.
    pub is_dropped: bool,
}

/// A delegation, and a node that it reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegationView {
    /// Whose.
    pub account: AccountId,
    /// The node that may act for the account; none as long as nobody was admitted with the ticket.
    pub node: Option<NodeId>,
    /// The ticket whose bearers it is for.
    pub ticket: Option<PublicKey>,
    /// The key that signed it.
    pub key: PublicKey,
    /// When it was given.
    pub since: Stamp,
    /// Not after, milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
    /// Why the node does not act by it; none while it does.
    pub ended: Option<Reason>,
}

impl Access {
    /// The keys that the accounts which are there have and had, by account in the order of creation, then by when they were given.
    pub fn account_keys(&self) -> Vec<KeyView> {
        self.with_now(Stamp(0), |at| {
            let mut keys = Vec::new();
            for account in self.accounts() {
                let mut own: Vec<KeyView> = Vec::new();
                for (gift, key) in self.keys_given(account.id, at) {
                    let since = self.item(gift).0.order.stamp;
                    let is_dropped = self.key_cut(account.id, key, at).is_none_or(|cut| cut.is_some());
                    let view = KeyView { account: account.id, key, since, is_dropped };
                    match own.iter_mut().find(|k| k.key == key) {
                        Some(known) => known.since = known.since.max(since),
                        None => own.push(view),
                    }
                }
                own.sort_by_key(|k| (k.since, k.key));
                keys.append(&mut own);
            }
            keys
        })
    }

    /// The delegations of the accounts that are there, once for each node that they reach, as judged by a block with this stamp: by
    /// account in the order of creation, then by when they were given.
    pub fn delegations(&self, now: Stamp) -> Vec<DelegationView> {
        self.with_now(now, |at| {
            let mut all = Vec::new();
            for account in self.accounts() {
                let mut given = listed(&self.by.delegations, &account.id).to_vec();
                given.retain(|d| self.holds(*d, at));
                given.sort_unstable_by_key(|d| (self.item(*d).0.order, d.item));
                given.into_iter().for_each(|d| self.reached_by(account.id, d, at, &mut all));
            }
            all
        })
    }

    fn reached_by(&self, account: AccountId, delegation: Ref, at: &At<'_>, out: &mut Vec<DelegationView>) {
        let (tx, item) = self.item(delegation);
        let (AccessChange::Delegate { to, until_ms, .. }, Some(key)) = (&item.change, item.signer) else {
            return;
        };
        let (nodes, ticket) = match to {
            Delegate::Node(node) => (vec![*node], None),
            // Those whom it has admitted, not who has tried.
            Delegate::Ticket(ticket) => {
                let mut nodes = self.bearers(ticket);
                nodes.retain(|node| self.has_used(ticket, *node));
                (nodes, Some(*ticket))
            }
        };
        let view = |node, ended| {
            let since = tx.order.stamp;
            DelegationView { account, node, ticket, key, since, until_ms: *until_ms, ended }
        };
        if nodes.is_empty() {
            out.push(view(None, self.ended(delegation, account, None, at)));
        }
        for node in nodes {
            let by_member = match self.membership(node, at) {
                Err(reason) => Some(reason),
                // Removed, and admitted again otherwise.
                Ok(member) => (!self.reaches(to, node, Some(&member))).then_some(Reason::Removed),
            };
            out.push(view(Some(node), self.ended(delegation, account, Some(node), at).or(by_member)));
        }
    }
}
