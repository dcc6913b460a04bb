//! The judgement of one transaction at its place, in one of the two passes (see the crate's page).

use std::collections::HashSet;

use p2pdb_dag::Past;
use p2pdb_model::AccountId;
use p2pdb_model::change::{AccessChange, Delegate, Role, WriteOrder};
use p2pdb_model::ids::{NodeId, PublicKey};

use crate::fold::{Access, Item, Ref, Site, Tx, covers, is_removal};
use crate::ids::{Deal, IdState};
use crate::reason::Reason;

/// What counts against a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Its causal past and the order of tickets alone.
    First,
    /// Also removals that it does not know of.
    Second,
}

/// A place in the log from which the state is looked at.
pub(crate) struct At<'a> {
    pub site: &'a Site,
    /// (transaction, change).
    pub position: (u32, u32),
    /// The transaction under judgement: its earlier changes count.
    pub current: Option<usize>,
    /// Its write order; `None`: after everything.
    pub order: Option<WriteOrder>,
    pub pass: Pass,
}

impl<'a> At<'a> {
    pub fn new(site: &'a Site, transaction: u32, pass: Pass) -> Self {
        At { site, position: (transaction, 0), current: None, order: None, pass }
    }
}

/// A member as seen from a place.
pub(crate) struct Membership {
    pub role: Role,
    /// The admissions that hold.
    pub admissions: Vec<Ref>,
}

/// An author acting for an account.
pub(crate) struct Acting {
    pub role: Role,
    /// The account holds all privileges.
    pub owner_account: bool,
}

fn refs<K: Eq + std::hash::Hash>(map: &std::collections::HashMap<K, Vec<Ref>>, key: &K) -> Vec<Ref> {
    map.get(key).cloned().unwrap_or_default()
}

impl Access {
    pub(crate) fn item(&self, r: Ref) -> (&Tx, &Item) {
        let tx = &self.txs[r.tx];
        (tx, &tx.items[r.item])
    }

    /// The change counts and lies before the place.
    pub(crate) fn holds(&self, r: Ref, at: &At<'_>) -> bool {
        self.precedes(r, at) && self.stands(r, at)
    }

    fn stands(&self, r: Ref, at: &At<'_>) -> bool {
        if at.current == Some(r.tx) {
            return true;
        }
        match at.pass {
            Pass::First => self.txs[r.tx].first.is_ok(),
            Pass::Second => self.txs[r.tx].verdict.is_accepted(),
        }
    }

    fn precedes(&self, r: Ref, at: &At<'_>) -> bool {
        let (tx, item) = self.item(r);
        let place = tx.site.place();
        at.site.past.contains(place)
            || (place.no == at.site.place().no
                && (tx.order.position.transaction, item.position) < at.position)
    }

    /// `a` lies before `b`.
    fn before(&self, a: Ref, b: Ref) -> bool {
        let (tx, item) = self.item(b);
        let position = (tx.order.position.transaction, item.position);
        self.precedes(a, &At { position, ..At::new(&tx.site, 0, Pass::First) })
    }

    /// What a removal does to a transaction at this place, unless the thing removed was given again knowing of it.
    fn cut(&self, removal: Ref, at: &At<'_>) -> Option<Cut> {
        let effective = at.current == Some(removal.tx) || self.txs[removal.tx].first.is_ok();
        if !effective {
            return None;
        }
        if self.precedes(removal, at) {
            return Some(Cut::Known);
        }
        let (_, item) = self.item(removal);
        let beyond = at.pass == Pass::Second && !covers(&item.seen, at.site.chain, at.site.place());
        beyond.then_some(Cut::Beyond)
    }

    /// The node's admissions that hold at this place.
    pub(crate) fn membership(&self, node: NodeId, at: &At<'_>) -> Result<Membership, Reason> {
        let mut admissions = refs(&self.admissions, &node);
        admissions.retain(|m| self.holds(*m, at));
        if admissions.is_empty() {
            return Err(Reason::NotMember);
        }
        let mut reason = Reason::Removed;
        for &r in self.removals.get(&node).into_iter().flatten() {
            if let Some(cut) = self.cut(r, at) {
                admissions.retain(|m| self.before(r, *m));
                if cut == Cut::Beyond {
                    reason = Reason::BeyondRemoval;
                }
            }
        }
        let role = admissions.iter().map(|m| self.role_given(*m)).max().ok_or(reason)?;
        Ok(Membership { role, admissions })
    }

    fn role_given(&self, admission: Ref) -> Role {
        match self.item(admission).1.change {
            AccessChange::Admit { role, .. } => role,
            _ => Role::Owner,
        }
    }

    /// The author may write for the account at this place.
    pub(crate) fn acting(&self, author: NodeId, account: AccountId, at: &At<'_>) -> Result<Acting, Reason> {
        let member = self.membership(author, at)?;
        if !member.role.writes() {
            return Err(Reason::RoleDoesNotWrite);
        }
        let owner_account = self.account_at(account, at).ok_or(Reason::UnknownAccount)?;
        self.delegated(author, &member, account, at)?;
        Ok(Acting { role: member.role, owner_account })
    }

    /// Whether the account holds all privileges; `None` when it does not exist.
    fn account_at(&self, account: AccountId, at: &At<'_>) -> Option<bool> {
        let known = self.accounts.get(&account).into_iter().flatten().filter(|r| self.holds(**r, at));
        known.map(|r| matches!(self.item(*r).1.change, AccessChange::Account { owner: true, .. })).max()
    }

    pub(crate) fn delegated(
        &self,
        node: NodeId,
        member: &Membership,
        account: AccountId,
        at: &At<'_>,
    ) -> Result<(), Reason> {
        // The complaint is the greatest, so that it does not depend on which delegation arrived first.
        let mut complaint = Reason::NoDelegation;
        for &d in self.delegations.get(&account).into_iter().flatten() {
            let AccessChange::Delegate { to, until_ms, .. } = &self.item(d).1.change else { continue };
            if !self.reaches(to, node, member) || !self.holds(d, at) {
                continue;
            }
            let against = match until_ms.is_some_and(|ms| at.site.stamp.millis() > ms) {
                true => Some(Reason::DelegationExpired),
                false => self.withdrawn(d, account, to, node, at).map(Cut::of_delegation),
            };
            match against {
                None => return Ok(()),
                Some(reason) => complaint = complaint.max(reason),
            }
        }
        Err(complaint)
    }

    /// What undelegations do to a delegation at this place; a known one outweighs those beyond the horizon.
    fn withdrawn(
        &self,
        delegation: Ref,
        account: AccountId,
        to: &Delegate,
        node: NodeId,
        at: &At<'_>,
    ) -> Option<Cut> {
        let cuts = self.undelegations.get(&account).into_iter().flatten().filter_map(|u| {
            let AccessChange::Undelegate { from, .. } = &self.item(*u).1.change else { return None };
            let concerns = from == to || *from == Delegate::Node(node);
            (concerns && !self.before(*u, delegation)).then(|| self.cut(*u, at)).flatten()
        });
        cuts.min()
    }

    /// The delegation names the node, or a ticket that one of its admissions used.
    fn reaches(&self, to: &Delegate, node: NodeId, member: &Membership) -> bool {
        match to {
            Delegate::Node(n) => *n == node,
            Delegate::Ticket(k) => member.admissions.iter().any(|m| {
                matches!(&self.item(*m).1.change, AccessChange::Admit { ticket: Some((t, _)), .. } if t == k)
            }),
        }
    }

    /// Judges an inserted transaction.
    pub(crate) fn evaluate(&self, id: usize, pass: Pass) -> Result<(), Reason> {
        let tx = &self.txs[id];
        if tx.items.iter().any(|i| matches!(i.change, AccessChange::Genesis { .. })) {
            return self.is_genesis(tx).then_some(()).ok_or(Reason::NotGenesis);
        }
        if tx.removes() {
            if tx.mixed || !tx.items.iter().all(|i| is_removal(&i.change)) {
                return Err(Reason::MixedRemoval);
            }
            // Decided by its own past, once and for all.
            if pass == Pass::Second {
                return tx.first;
            }
        }
        let at = |change: u32| At {
            site: &tx.site,
            position: (tx.order.position.transaction, change),
            current: Some(id),
            order: Some(tx.order),
            pass,
        };
        let acting = self.acting(tx.site.author, tx.account, &at(0))?;
        tx.items.iter().try_for_each(|i| self.permitted(tx, i, &acting, &at(i.position)))
    }

    fn is_genesis(&self, tx: &Tx) -> bool {
        let [genesis, account, delegate] = tx.items.as_slice() else { return false };
        let account_ok = match &account.change {
            AccessChange::Account { id, name, host, key, owner } => {
                *owner && *id == tx.account && AccountId::derive(name, host, key) == *id
            }
            _ => false,
        };
        let delegate_ok = match &delegate.change {
            AccessChange::Delegate { account, to, .. } => {
                *account == tx.account && *to == Delegate::Node(tx.site.author) && delegate.signed
            }
            _ => false,
        };
        tx.site.block == self.realm.0
            && tx.order.position.transaction == 0
            && !tx.mixed
            && matches!(genesis.change, AccessChange::Genesis { .. })
            && account_ok
            && delegate_ok
    }

    fn permitted(&self, tx: &Tx, item: &Item, acting: &Acting, at: &At<'_>) -> Result<(), Reason> {
        let owner = acting.role == Role::Owner;
        let require = |ok: bool, reason| if ok { Ok(()) } else { Err(reason) };
        match &item.change {
            AccessChange::Genesis { .. } => Err(Reason::NotGenesis),
            AccessChange::Ticket { .. } => require(owner, Reason::NotOwner),
            AccessChange::Admit { node, role, ticket, ids, dealer_ids, .. } => {
                match ticket {
                    None => require(owner, Reason::NotOwner)?,
                    Some((key, _)) => self.ticket_admits(key, *node, *role, item, at)?,
                }
                match ids {
                    Some(ids) => {
                        require(role.writes(), Reason::DealtToStranger)?;
                        self.may_deal(tx.site.author, Deal { ids: *ids, dealer_ids: *dealer_ids }, at)
                    }
                    None => require(dealer_ids.is_none(), Reason::IdsNotTheDealers),
                }
            }
            AccessChange::Remove { node, .. } => require(owner || *node == tx.site.author, Reason::NotOwner),
            AccessChange::Account { id, name, host, key, .. } => {
                require(acting.owner_account, Reason::AccountNotOwner)?;
                require(AccountId::derive(name, host, key) == *id, Reason::BadAccountId)
            }
            AccessChange::Delegate { account, .. } => {
                require(self.account_at(*account, at).is_some(), Reason::UnknownAccount)?;
                require(item.signed, Reason::BadDelegation)
            }
            AccessChange::Undelegate { account, .. } => {
                let own = *account == tx.account;
                require(own || acting.owner_account || owner, Reason::AccountNotOwner)
            }
            AccessChange::Rules { rules } => {
                require(owner, Reason::NotOwner)?;
                require(*rules == self.rules_at(at).saturating_add(1), Reason::RulesNotNext)
            }
            AccessChange::DealIds { node, ids, dealer_ids } => {
                let writes = self.membership(*node, at).is_ok_and(|m| m.role.writes());
                require(writes, Reason::DealtToStranger)?;
                self.may_deal(tx.site.author, Deal { ids: *ids, dealer_ids: *dealer_ids }, at)
            }
        }
    }

    fn may_deal(&self, dealer: NodeId, deal: Deal, at: &At<'_>) -> Result<(), Reason> {
        self.id_state_at(dealer, at).after(deal).map(|_| ())
    }

    fn ticket_admits(
        &self,
        key: &PublicKey,
        node: NodeId,
        role: Role,
        item: &Item,
        at: &At<'_>,
    ) -> Result<(), Reason> {
        let (given, expires_ms, uses) = self.ticket_at(key, at).ok_or(Reason::UnknownTicket)?;
        if role != given {
            return Err(Reason::TicketRole);
        }
        if expires_ms.is_some_and(|ms| at.site.stamp.millis() > ms) {
            return Err(Reason::TicketExpired);
        }
        if !item.signed {
            return Err(Reason::BadAdmission);
        }
        let mut others = self.admitted_with(key, at);
        others.remove(&node);
        if others.len() >= uses as usize { Err(Reason::TicketUsedUp) } else { Ok(()) }
    }

    /// (role, end, uses) of the ticket's first enrolment that holds.
    pub(crate) fn ticket_at(&self, key: &PublicKey, at: &At<'_>) -> Option<(Role, Option<u64>, u32)> {
        let enrolments = self.tickets.get(key).into_iter().flatten().filter(|r| self.holds(**r, at));
        let first = enrolments.min_by_key(|r| (self.txs[r.tx].order, r.item))?;
        match &self.item(*first).1.change {
            AccessChange::Ticket { role, expires_ms, uses, .. } => Some((*role, *expires_ms, *uses)),
            _ => None,
        }
    }

    /// The nodes admitted with the ticket earlier in write order, known here or not.
    pub(crate) fn admitted_with(&self, key: &PublicKey, at: &At<'_>) -> HashSet<NodeId> {
        let uses = self.uses.get(key).into_iter().flatten().filter(|r| {
            if at.current == Some(r.tx) {
                return self.precedes(**r, at);
            }
            at.order.is_none_or(|o| self.txs[r.tx].order < o) && self.stands(**r, at)
        });
        uses.filter_map(|r| match &self.item(*r).1.change {
            AccessChange::Admit { node, .. } => Some(*node),
            _ => None,
        })
        .collect()
    }

    pub(crate) fn rules_at(&self, at: &At<'_>) -> u32 {
        let switches = self.rules.iter().filter(|r| self.holds(**r, at));
        let rules = switches.filter_map(|r| match self.item(*r).1.change {
            AccessChange::Rules { rules } => Some(rules),
            _ => None,
        });
        rules.max().unwrap_or(self.first_rules)
    }

    /// The rules number that a block with these parents is under, given the parents' causal pasts: as all that lies in
    /// its past judges it, and nothing else. So it is the same on every node, whatever else that node holds; a switch
    /// whose author was removed counts only where the removal is not known.
    pub fn rules_after(&self, parents: &[Past]) -> u32 {
        // They stand in causal order, so who has seen everything up to the last one has seen all.
        let last = self.txs.last().map(|tx| tx.site.place().no);
        let all = |p: &Past| p.is_everything_before() && last.is_none_or(|last| last <= p.no());
        if !self.has_switches() || parents.iter().any(all) {
            return self.rules();
        }
        let seen = |tx: &&Tx| parents.iter().any(|p| p.contains_or_is(tx.site.place()));
        self.of(self.txs.iter().filter(seen)).rules()
    }

    /// True when somebody ever asked for other rules than the realm began with.
    pub fn has_switches(&self) -> bool {
        !self.rules.is_empty()
    }

    /// The AUTO_INCREMENT values that a node owns at this place.
    pub(crate) fn id_state_at(&self, node: NodeId, at: &At<'_>) -> IdState {
        let mut deals = refs(&self.deals, &node);
        deals.retain(|r| self.holds(*r, at));
        deals.sort_unstable_by_key(|r| (self.txs[r.tx].order, r.item));
        let mut state = IdState::default();
        for r in deals {
            let (tx, item) = self.item(r);
            let (receiver, ids, dealer_ids) = match &item.change {
                AccessChange::Genesis { .. } => {
                    state = IdState::received(p2pdb_model::change::IdClass::ALL);
                    continue;
                }
                AccessChange::Admit { node, ids: Some(ids), dealer_ids, .. } => (*node, *ids, *dealer_ids),
                AccessChange::DealIds { node, ids, dealer_ids } => (*node, *ids, *dealer_ids),
                _ => continue,
            };
            // Two branches of a forked chain may deal the same part; the first in write order has it.
            if tx.site.author == node
                && let Ok(after) = state.after(Deal { ids, dealer_ids })
            {
                state = after;
            }
            if receiver == node {
                state = IdState::received(ids);
            }
        }
        state
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cut {
    /// The removal is in the past.
    Known,
    /// The place lies beyond what the removal had seen.
    Beyond,
}

impl Cut {
    fn of_delegation(self) -> Reason {
        match self {
            Cut::Known => Reason::Undelegated,
            Cut::Beyond => Reason::BeyondUndelegation,
        }
    }
}
