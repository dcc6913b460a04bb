//! The state as of everything held: for `p2pdb.members`, login, invitations, and to decide who is served.

use p2pdb_model::change::{AccessChange, Delegate, Role};
use p2pdb_model::ids::{NodeId, PublicKey};
use p2pdb_model::{AccountId, Stamp};

use crate::fold::{Access, Ref, Site};
use crate::ids::{Deal, IdState};
use crate::judge::{At, Pass};

/// A node that was ever admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberView {
    /// The node.
    pub node: NodeId,
    /// Its role; `None` when it was removed.
    pub role: Option<Role>,
    /// A name for people, from its latest admission; the realm's name for the genesis author.
    pub name: String,
    /// The stamp of its first admission.
    pub since: Stamp,
    /// Its AUTO_INCREMENT values.
    pub ids: IdState,
}

/// An account.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// User name.
    pub name: String,
    /// Host pattern.
    pub host: String,
    /// Its key.
    pub key: PublicKey,
    /// Holds all privileges.
    pub owner: bool,
    /// To whom it was delegated, in write order, whether or not that was taken back.
    pub delegates: Vec<Delegate>,
}

/// A ticket.
#[derive(Clone, Debug, PartialEq)]
pub struct TicketView {
    /// Its public key.
    pub key: PublicKey,
    /// The role it gives.
    pub role: Role,
    /// Not after, milliseconds since the Unix epoch.
    pub expires_ms: Option<u64>,
    /// How many nodes it may still admit.
    pub uses_left: u32,
}

impl Access {
    fn with_now<T>(&self, now: Stamp, f: impl FnOnce(&At<'_>) -> T) -> T {
        let site = Site::now(NodeId([0; 32]), now);
        f(&At::new(&site, 0, Pass::Second))
    }

    /// The role of a present member.
    pub fn role(&self, node: NodeId) -> Option<Role> {
        self.with_now(Stamp(0), |at| self.membership(node, at).ok().map(|m| m.role))
    }

    /// True for a present member, whatever its role: only members are served.
    pub fn is_member(&self, node: NodeId) -> bool {
        self.role(node).is_some()
    }

    /// Every node ever admitted, in the order of admission.
    pub fn members(&self) -> Vec<MemberView> {
        self.with_now(Stamp(0), |at| {
            let mut members: Vec<MemberView> = Vec::new();
            for (&node, admissions) in &self.admissions {
                let held: Vec<Ref> = admissions.iter().copied().filter(|r| self.holds(*r, at)).collect();
                let key = |r: &&Ref| (self.txs[r.tx].order, r.item);
                let (Some(first), Some(last)) = (held.iter().min_by_key(key), held.iter().max_by_key(key))
                else {
                    continue;
                };
                let name = match &self.item(*last).1.change {
                    AccessChange::Admit { name, .. } | AccessChange::Genesis { name, .. } => name.clone(),
                    _ => String::new(),
                };
                members.push(MemberView {
                    node,
                    role: self.membership(node, at).ok().map(|m| m.role),
                    name,
                    since: self.txs[first.tx].order.stamp,
                    ids: self.id_state_at(node, at),
                });
            }
            members.sort_by_key(|m| (m.since, m.node));
            members
        })
    }

    /// The AUTO_INCREMENT values of a node.
    pub fn ids(&self, node: NodeId) -> IdState {
        self.with_now(Stamp(0), |at| self.id_state_at(node, at))
    }

    /// What this dealer would deal next; `None` when it owns nothing to deal.
    pub fn deal(&self, dealer: NodeId) -> Option<Deal> {
        self.ids(dealer).deal()
    }

    /// Every account, in the order of creation (of two with one name the first is the one to log in to).
    pub fn accounts(&self) -> Vec<AccountView> {
        self.with_now(Stamp(0), |at| {
            let mut accounts = Vec::new();
            for (id, made) in &self.accounts {
                let held: Vec<Ref> = made.iter().copied().filter(|r| self.holds(*r, at)).collect();
                let Some(first) = held.iter().min_by_key(|r| (self.txs[r.tx].order, r.item)) else {
                    continue;
                };
                let AccessChange::Account { name, host, key, .. } = &self.item(*first).1.change else {
                    continue;
                };
                let owner =
                    |r: &Ref| matches!(self.item(*r).1.change, AccessChange::Account { owner: true, .. });
                let mut delegations = self.delegations.get(id).cloned().unwrap_or_default();
                delegations.sort_unstable_by_key(|r| (self.txs[r.tx].order, r.item));
                let mut delegates: Vec<Delegate> = Vec::new();
                for d in delegations.iter().filter(|d| self.holds(**d, at)) {
                    if let AccessChange::Delegate { to, .. } = &self.item(*d).1.change
                        && !delegates.contains(to)
                    {
                        delegates.push(*to);
                    }
                }
                let view = AccountView {
                    id: *id,
                    name: name.clone(),
                    host: host.clone(),
                    key: *key,
                    owner: held.iter().any(owner),
                    delegates,
                };
                accounts.push(((self.txs[first.tx].order, first.item), view));
            }
            accounts.sort_by_key(|(order, _)| *order);
            accounts.into_iter().map(|(_, view)| view).collect()
        })
    }

    /// True when the node may write for the account now (as [`Access::judge_rows`] of a block with this stamp).
    pub fn may_act(&self, node: NodeId, account: AccountId, now: Stamp) -> bool {
        self.with_now(now, |at| self.acting(node, account, at).is_ok())
    }

    /// The enrolled tickets that are not used up, in no particular order of keys.
    pub fn tickets(&self) -> Vec<TicketView> {
        self.with_now(Stamp(0), |at| {
            let mut tickets: Vec<TicketView> = self
                .tickets
                .keys()
                .filter_map(|key| {
                    let (role, expires_ms, uses) = self.ticket_at(key, at)?;
                    let used = self.admitted_with(key, at).len() as u32;
                    let uses_left = uses.saturating_sub(used);
                    (uses_left > 0).then_some(TicketView { key: *key, role, expires_ms, uses_left })
                })
                .collect();
            tickets.sort_by_key(|t| t.key);
            tickets
        })
    }

    /// The node was admitted with this ticket, whether or not it is still a member.
    pub fn has_used(&self, ticket: &PublicKey, node: NodeId) -> bool {
        self.with_now(Stamp(0), |at| self.admitted_with(ticket, at).contains(&node))
    }

    /// The rules number in force; greater than [`p2pdb_model::RULES`] means that this build must stop applying.
    pub fn rules(&self) -> u32 {
        self.with_now(Stamp(0), |at| self.rules_at(at))
    }
}
