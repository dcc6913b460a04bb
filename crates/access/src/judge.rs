//! The judgement of one transaction at its place, in one of the passes (see the crate's page).

use std::collections::HashSet;

use p2pdb_dag::Past;
use p2pdb_model::change::{AccessChange, Delegate, Role, WriteOrder};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{NodeId, PublicKey};
use p2pdb_model::{AccountId, Privileges};

use crate::fold::{Access, Item, Site, Tx, is_revocation};
use crate::index::{Ref, listed};
use crate::needs::Need;
use crate::reason::Reason;

/// Not a pass among the others: what a transaction's own causal past says, and nothing else. It never changes.
pub(crate) const OWN: usize = usize::MAX;

/// A place in the log from which the state is looked at.
pub(crate) struct At<'a> {
    pub site: &'a Site,
    /// (transaction, change).
    pub position: (u32, u32),
    /// The transaction under judgement: its earlier changes count.
    pub current: Option<usize>,
    /// Its write order; `None`: after everything.
    pub order: Option<WriteOrder>,
    /// Revocations that the place does not know count where they are of one of the first so many ranks; in the last pass all.
    pub pass: usize,
}

impl<'a> At<'a> {
    pub fn new(site: &'a Site, transaction: u32, pass: usize) -> Self {
        At { site, position: (transaction, 0), current: None, order: None, pass }
    }
}

/// A member as seen from a place.
pub(crate) struct Membership {
    pub role: Role,
    /// The admissions that hold.
    pub admissions: Vec<Ref>,
}

/// What a ticket's enrolment says of it.
pub(crate) struct Enrolled {
    pub role: Role,
    pub expires_ms: Option<u64>,
    pub uses: u32,
    pub node: Option<NodeId>,
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
        self.stood(r.tx, at.pass)
    }

    /// The transaction's result in this pass.
    fn stood(&self, tx: usize, pass: usize) -> bool {
        if pass == OWN {
            return self.txs[tx].own.is_ok();
        }
        self.txs[tx].results.get(pass).is_some_and(|r| r.is_ok())
    }

    fn precedes(&self, r: Ref, at: &At<'_>) -> bool {
        let (tx, item) = self.item(r);
        let place = tx.site.place();
        at.site.past.contains(place)
            || (place.no == at.site.place().no
                && (tx.order.position.transaction, item.position) < at.position)
    }

    /// `a` lies before `b`.
    pub(crate) fn before(&self, a: Ref, b: Ref) -> bool {
        let (tx, item) = self.item(b);
        let position = (tx.order.position.transaction, item.position);
        self.precedes(a, &At { position, ..At::new(&tx.site, 0, 0) })
    }

    /// What a revocation does to a transaction at this place, unless the thing revoked was given again knowing of it.
    pub(crate) fn cut(&self, revocation: Ref, at: &At<'_>) -> Option<Cut> {
        if at.current == Some(revocation.tx) {
            // What it takes it needs to be there itself.
            return self.precedes(revocation, at).then_some(Cut::Known);
        }
        if !self.stood(revocation.tx, at.pass) {
            return None;
        }
        if self.precedes(revocation, at) {
            return Some(Cut::Known);
        }
        let (tx, item) = self.item(revocation);
        let heeded = at.pass != OWN && self.ranks.get(at.pass).is_none_or(|rank| tx.rank < *rank);
        (heeded && !item.horizon.covers(at.site.chain, at.site.place())).then_some(Cut::Beyond)
    }

    /// The node's admissions that hold at this place.
    pub(crate) fn membership(&self, node: NodeId, at: &At<'_>) -> Result<Membership, Reason> {
        let mut admissions = listed(&self.by.admissions, &node).to_vec();
        admissions.retain(|m| self.holds(*m, at));
        if admissions.is_empty() {
            return Err(Reason::NotMember);
        }
        let mut reason = Reason::Removed;
        for &r in listed(&self.by.removals, &node) {
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

    /// The author may write for the account at this place; its role.
    pub(crate) fn acting(&self, author: NodeId, account: AccountId, at: &At<'_>) -> Result<Role, Reason> {
        let member = self.membership(author, at)?;
        if !member.role.writes() {
            return Err(Reason::RoleDoesNotWrite);
        }
        if self.existing(account, at)?.is_role {
            return Err(Reason::RoleActs);
        }
        self.delegated(author, Some(&member), account, at)?;
        Ok(member.role)
    }

    /// The account or role as it is at this place.
    pub(crate) fn existing(&self, account: AccountId, at: &At<'_>) -> Result<Existing, Reason> {
        let mut begun = listed(&self.by.accounts, &account).to_vec();
        begun.retain(|r| self.holds(*r, at));
        if begun.is_empty() {
            return Err(Reason::UnknownAccount);
        }
        let drops = listed(&self.by.drops, &account);
        let mut cuts: Vec<Cut> = Vec::new();
        begun.retain(|b| self.cut_by(drops.iter(), *b, at).map(|cut| cuts.push(cut)).is_none());
        match begun.first() {
            Some(b) => {
                Ok(Existing { is_role: matches!(self.item(*b).1.change, AccessChange::NewRole { .. }) })
            }
            None if cuts.contains(&Cut::Known) => Err(Reason::Dropped),
            None => Err(Reason::BeyondDrop),
        }
    }

    /// What became of the account's key, the one that it began with or a further one: `None` when it is none, then whether it
    /// was taken away.
    pub(crate) fn key_cut(&self, account: AccountId, key: PublicKey, at: &At<'_>) -> Option<Option<Cut>> {
        let given = self.keys_given(account, at).filter(|(_, k)| *k == key);
        let drops = self.key_drops(account, key);
        // One that was not taken away is enough.
        given.map(|(r, _)| self.cut_by(drops.iter(), r, at)).min_by_key(|cut| (cut.is_some(), *cut))
    }

    /// What takes the key from the account.
    pub(crate) fn key_drops(&self, account: AccountId, key: PublicKey) -> &[Ref] {
        if fault::on(Fault::DroppedKeyKept) { &[] } else { listed(&self.by.dropped_keys, &(account, key)) }
    }

    /// What gave the account keys at this place, the one that it began with and further ones, taken away since or not.
    pub(crate) fn keys_given(
        &self,
        account: AccountId,
        at: &At<'_>,
    ) -> impl Iterator<Item = (Ref, PublicKey)> {
        let first = listed(&self.by.accounts, &account).iter();
        let further = listed(&self.by.keys, &account).iter();
        first.chain(further).filter_map(|r| match &self.item(*r).1.change {
            AccessChange::Account { key, .. } | AccessChange::AddKey { key, .. } => {
                self.holds(*r, at).then_some((*r, *key))
            }
            _ => None,
        })
    }

    /// A delegation by the account to the node holds: one that names it, or with a `member` one to a ticket of that, too.
    pub(crate) fn delegated(
        &self,
        node: NodeId,
        member: Option<&Membership>,
        account: AccountId,
        at: &At<'_>,
    ) -> Result<(), Reason> {
        // The complaint is the greatest, so that it does not depend on which delegation arrived first.
        let mut complaint = Reason::NoDelegation;
        for &d in listed(&self.by.delegations, &account) {
            let AccessChange::Delegate { to, .. } = &self.item(d).1.change else { continue };
            if !self.reaches(to, node, member) || !self.holds(d, at) {
                continue;
            }
            match self.ended(d, account, Some(node), at) {
                None => return Ok(()),
                Some(reason) => complaint = complaint.max(reason),
            }
        }
        Err(complaint)
    }

    /// Why the node does not act for the account by this delegation, which reaches it and counts; `None` when it does. Without a
    /// node: why nobody would whom it reached later.
    pub(crate) fn ended(
        &self,
        delegation: Ref,
        account: AccountId,
        node: Option<NodeId>,
        at: &At<'_>,
    ) -> Option<Reason> {
        let (_, item) = self.item(delegation);
        let (AccessChange::Delegate { to, until_ms, .. }, Some(key)) = (&item.change, item.signer) else {
            return Some(Reason::NoDelegation);
        };
        let Some(key_cut) = self.key_cut(account, key, at) else { return Some(Reason::NoDelegation) };
        if until_ms.is_some_and(|ms| at.site.stamp.millis() > ms) {
            return Some(Reason::DelegationExpired);
        }
        let cut = self.withdrawn(delegation, account, key, to, node, at);
        cut.into_iter().chain(key_cut).min().map(Cut::of_delegation)
    }

    /// What undelegations, and the loss of the key that signed it, do to a delegation at this place.
    fn withdrawn(
        &self,
        delegation: Ref,
        account: AccountId,
        key: PublicKey,
        to: &Delegate,
        node: Option<NodeId>,
        at: &At<'_>,
    ) -> Option<Cut> {
        let undelegations = listed(&self.by.undelegations, &account).iter().filter(|u| {
            let AccessChange::Undelegate { from, .. } = &self.item(**u).1.change else { return false };
            from == to || node.is_some_and(|node| *from == Delegate::Node(node))
        });
        self.cut_by(undelegations.chain(self.key_drops(account, key)), delegation, at)
    }

    /// The delegation names the node, or a ticket that one of its admissions used.
    pub(crate) fn reaches(&self, to: &Delegate, node: NodeId, member: Option<&Membership>) -> bool {
        match to {
            Delegate::Node(n) => *n == node,
            Delegate::Ticket(k) => member.iter().flat_map(|m| &m.admissions).any(|m| {
                matches!(&self.item(*m).1.change, AccessChange::Admit { ticket: Some((t, _)), .. } if t == k)
            }),
        }
    }

    /// Judges a listed transaction in a pass.
    pub(crate) fn evaluate(&self, id: usize, pass: usize) -> Result<(), Reason> {
        let tx = &self.txs[id];
        if tx.items.iter().any(|i| matches!(i.change, AccessChange::Genesis { .. })) {
            return self.is_genesis(tx).then_some(()).ok_or(Reason::NotGenesis);
        }
        if tx.revokes() && (tx.mixed || !tx.items.iter().all(|i| is_revocation(&i.change))) {
            return Err(Reason::MixedRemoval);
        }
        if tx.mixed {
            return Err(Reason::MixedAccess);
        }
        let at = |change: u32| At {
            site: &tx.site,
            position: (tx.order.position.transaction, change),
            current: Some(id),
            order: Some(tx.order),
            pass,
        };
        let role = self.acting(tx.site.author, tx.account, &at(0))?;
        tx.items.iter().try_for_each(|i| self.permitted(tx, i, role, &at(i.position)))
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
                *account == tx.account && *to == Delegate::Node(tx.site.author) && delegate.signer.is_some()
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

    fn permitted(&self, tx: &Tx, item: &Item, role: Role, at: &At<'_>) -> Result<(), Reason> {
        let require = |ok: bool, reason| if ok { Ok(()) } else { Err(reason) };
        let all = || require(self.has_all(tx.account, at), Reason::AccountNotOwner);
        // What is done to the realm itself needs an owner's node and an account with all privileges.
        let owner = || require(role == Role::Owner, Reason::NotOwner).and_then(|()| all());
        let manages = |other| {
            self.existing(other, at)?;
            require(self.may_manage(tx.account, other, at), Reason::NotGranted)
        };
        let own_or_managed = |other| if other == tx.account { Ok(()) } else { manages(other) };
        let has =
            |p: Privileges| require(self.realm_privileges(tx.account, at).intersects(p), Reason::NotGranted);
        match &item.change {
            AccessChange::Genesis { .. } => Err(Reason::NotGenesis),
            AccessChange::Ticket { .. } => owner(),
            AccessChange::Admit { node, role, ticket, .. } => match ticket {
                None => owner(),
                Some((key, _)) => self.ticket_admits(key, *node, *role, item, at),
            },
            // Of what is not its own a dealer gives nothing (see `ids`).
            AccessChange::DealIds { .. } => Ok(()),
            AccessChange::Remove { node, .. } if *node == tx.site.author => Ok(()),
            AccessChange::Remove { .. } => owner(),
            AccessChange::Account { id, name, host, key, owner } => {
                if *owner { all() } else { has(Privileges::CREATE_USER) }?;
                require(AccountId::derive(name, host, key) == *id, Reason::BadAccountId)
            }
            AccessChange::NewRole { id, name, host } => {
                has(Privileges::CREATE_USER | Privileges::CREATE_ROLE)?;
                require(AccountId::derive_role(name, host) == *id, Reason::BadAccountId)
            }
            AccessChange::DropAccount { account, .. } => {
                let is_role = self.existing(*account, at)?.is_role;
                if is_role && has(Privileges::DROP_ROLE).is_ok() { Ok(()) } else { manages(*account) }
            }
            AccessChange::RenameAccount { account, .. } => manages(*account),
            AccessChange::AddKey { account, .. } => {
                // A key opens all that the account will ever get: who may not grant that may not add one.
                if *account != tx.account {
                    require(self.has_all(tx.account, at), Reason::NotGranted)?;
                }
                require(!self.existing(*account, at)?.is_role, Reason::RoleActs)
            }
            AccessChange::DropKey { account, .. } | AccessChange::Undelegate { account, .. } => {
                own_or_managed(*account)
            }
            AccessChange::Delegate { account, .. } => {
                // Not anybody's: an old one would bring back what was taken back since.
                self.existing(*account, at)?;
                require(item.signer.is_some(), Reason::BadDelegation)?;
                own_or_managed(*account)
            }
            AccessChange::Grant { to, on, rights, .. } => {
                self.grantee(*to, at)?;
                self.may_give(tx.account, rights, *on, at)
            }
            AccessChange::Revoke { on, rights, .. } => {
                if all().is_ok() {
                    Ok(())
                } else {
                    self.may_give(tx.account, rights, *on, at)
                }
            }
            AccessChange::GrantRole { role, to, .. } => {
                require(self.existing(*role, at)?.is_role, Reason::UnknownAccount)?;
                self.existing(*to, at)?;
                require(self.may_give_role(tx.account, *role, at), Reason::NotGrantable)
            }
            AccessChange::RevokeRole { role, .. } => {
                require(self.may_give_role(tx.account, *role, at), Reason::NotGrantable)
            }
            AccessChange::DefaultRoles { account, .. } => own_or_managed(*account),
            AccessChange::ColumnKey { table, column, .. } => {
                self.granted(tx.account, &[Need::reading(*table, vec![*column])], at)
            }
            AccessChange::Rules { rules } => {
                owner()?;
                require(*rules == self.rules_at(at).saturating_add(1), Reason::RulesNotNext)
            }
        }
    }

    /// To whom something can be granted.
    fn grantee(&self, to: AccountId, at: &At<'_>) -> Result<(), Reason> {
        if to == AccountId::ROW_OWNER { Ok(()) } else { self.existing(to, at).map(|_| ()) }
    }

    fn ticket_admits(
        &self,
        key: &PublicKey,
        node: NodeId,
        role: Role,
        item: &Item,
        at: &At<'_>,
    ) -> Result<(), Reason> {
        let ticket = self.ticket_at(key, at).ok_or(Reason::UnknownTicket)?;
        if role != ticket.role {
            return Err(Reason::TicketRole);
        }
        if ticket.node.is_some_and(|named| named != node) {
            return Err(Reason::TicketOfAnother);
        }
        if ticket.expires_ms.is_some_and(|ms| at.site.stamp.millis() > ms) {
            return Err(Reason::TicketExpired);
        }
        if item.signer.is_none() {
            return Err(Reason::BadAdmission);
        }
        // A ticket that had admitted it does not bring back who was removed.
        let enrolment = self.enrolment(key, at);
        let removed = listed(&self.by.removals, &node)
            .iter()
            .any(|r| self.holds(*r, at) && enrolment.is_none_or(|enrolment| !self.before(*r, enrolment)));
        if removed {
            return Err(Reason::Removed);
        }
        let mut others = self.admitted_with(key, at);
        others.remove(&node);
        if others.len() >= ticket.uses as usize { Err(Reason::TicketUsedUp) } else { Ok(()) }
    }

    /// The ticket by its first enrolment that holds.
    pub(crate) fn ticket_at(&self, key: &PublicKey, at: &At<'_>) -> Option<Enrolled> {
        match self.item(self.enrolment(key, at)?).1.change {
            AccessChange::Ticket { role, expires_ms, uses, node, .. } => {
                Some(Enrolled { role, expires_ms, uses, node })
            }
            _ => None,
        }
    }

    fn enrolment(&self, key: &PublicKey, at: &At<'_>) -> Option<Ref> {
        let enrolments = listed(&self.by.tickets, key).iter().filter(|r| self.holds(**r, at));
        enrolments.min_by_key(|r| (self.txs[r.tx].order, r.item)).copied()
    }

    /// The nodes admitted with the ticket earlier in write order, known here or not.
    pub(crate) fn admitted_with(&self, key: &PublicKey, at: &At<'_>) -> HashSet<NodeId> {
        let uses = listed(&self.by.uses, key).iter().filter(|r| {
            if at.current == Some(r.tx) {
                return self.precedes(**r, at);
            }
            if at.pass == OWN {
                return self.holds(**r, at);
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
        let switches = self.by.rules.iter().filter(|r| self.holds(**r, at));
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
        !self.by.rules.is_empty()
    }
}

/// An account or role.
pub(crate) struct Existing {
    pub is_role: bool,
}

/// What a revocation does. A known one outweighs those beyond the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cut {
    /// The removal is in the past.
    Known,
    /// The place lies beyond what the removal had seen.
    Beyond,
}

impl Cut {
    pub(crate) fn of_grant(self) -> Reason {
        match self {
            Cut::Known => Reason::Revoked,
            Cut::Beyond => Reason::BeyondRevocation,
        }
    }

    fn of_delegation(self) -> Reason {
        match self {
            Cut::Known => Reason::Undelegated,
            Cut::Beyond => Reason::BeyondUndelegation,
        }
    }
}
