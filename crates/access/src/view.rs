//! The state as of everything held: for `p2pdb.members`, login, invitations, and to decide who is served.

use std::collections::{BTreeMap, HashMap, HashSet};

use p2pdb_dag::Place;
use p2pdb_model::change::{AccessChange, Delegate, Rights, Role};
use p2pdb_model::ids::{NodeId, ObjectId, PublicKey};
use p2pdb_model::{AccountId, Privileges, Stamp};

use crate::fold::{Access, Site};
use crate::ids::{Deal, IdState, Shares};
use crate::index::{Ref, listed};
use crate::judge::{At, Enrolled};
use crate::needs::{Columns, Need};

/// How an account is shown whose name another one has.
fn also_called(name: &str, id: AccountId) -> String {
    format!("{name}~{}", &id.to_hex()[..8])
}

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

/// An account or role.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountView {
    /// Its id.
    pub id: AccountId,
    /// User name. Of two accounts with one name and host the first in write order has it; another one's is followed by `~` and
    /// the first eight digits of its id.
    pub name: String,
    /// Host pattern.
    pub host: String,
    /// It is a role: it has no keys.
    pub is_role: bool,
    /// The key that it began with; none for a role.
    pub key: Option<PublicKey>,
    /// Further keys.
    pub further_keys: Vec<PublicKey>,
    /// Has every privilege on the realm, with GRANT OPTION.
    pub owner: bool,
    /// To whom it was delegated, in write order, whether or not that was taken back.
    pub delegates: Vec<Delegate>,
}

/// What an account or role was granted itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrantsView {
    /// What, by object; `None`: on the realm.
    pub on: BTreeMap<Option<ObjectId>, Rights>,
    /// That of it which was granted without an end.
    pub for_good: BTreeMap<Option<ObjectId>, Rights>,
    /// That of it which opens of sealed columns only what is written later.
    pub from_now_on: BTreeMap<Option<ObjectId>, Rights>,
    /// What was granted until some time, beyond what is granted for good.
    pub until: Vec<Ending>,
    /// Its roles, in the order of their ids.
    pub roles: Vec<RoleView>,
    /// The roles that its sessions begin with; `None`: all.
    pub default_roles: Option<Vec<AccountId>>,
}

/// Rights that end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// On what; `None`: on the realm.
    pub on: Option<ObjectId>,
    /// Until when, milliseconds since the Unix epoch.
    pub until_ms: u64,
    /// Of sealed columns with what was written before.
    pub history: bool,
    /// What.
    pub rights: Rights,
}

/// A role that somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleView {
    /// Which.
    pub role: AccountId,
    /// WITH ADMIN OPTION.
    pub admin: bool,
    /// Until when, milliseconds since the Unix epoch, unless for good.
    pub until_ms: Option<u64>,
}

/// Who asks whether something is allowed.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The account.
    pub account: AccountId,
    /// The roles that its session has activated.
    pub roles: &'a [AccountId],
    /// As judged by a block with this stamp.
    pub now: Stamp,
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
    /// How many nodes it may admit.
    pub uses: u32,
    /// How many it has admitted.
    pub used: u32,
    /// The only node that it admits, if it names one.
    pub node: Option<NodeId>,
}

impl Access {
    pub(crate) fn with_now<T>(&self, now: Stamp, f: impl FnOnce(&At<'_>) -> T) -> T {
        let site = Site::now(NodeId([0; 32]), now);
        f(&At::new(&site, 0, self.last_pass()))
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
            for (&node, admissions) in &self.by.admissions {
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
                    ids: self.ids(node),
                });
            }
            members.sort_by_key(|m| (m.since, m.node));
            members
        })
    }

    /// The AUTO_INCREMENT values of a node.
    pub fn ids(&self, node: NodeId) -> IdState {
        self.shares().of(node)
    }

    /// Members that write and have no AUTO_INCREMENT values, in the order of their ids.
    pub fn without_ids(&self) -> Vec<NodeId> {
        let none = |n: &NodeId| self.ids(*n).own.is_none() && self.role(*n).is_some_and(Role::writes);
        let mut nodes: Vec<NodeId> = self.by.admissions.keys().copied().filter(none).collect();
        nodes.sort_unstable();
        nodes
    }

    /// Others have dealt values to this node behind the block at this place.
    pub fn is_dealt_since(&self, node: NodeId, place: Place) -> bool {
        self.shares().dealt_to(node).iter().any(|(deal, counts)| {
            let site = &self.txs[deal.tx].site;
            *counts && site.author != node && site.past.contains(place)
        })
    }

    /// How often one node has dealt values to another, beside admitting it.
    pub fn deals_between(&self, dealer: NodeId, to: NodeId) -> usize {
        let deals = self.shares().dealt_to(to).iter().map(|(deal, _)| self.item(*deal));
        deals
            .filter(|(tx, item)| {
                tx.site.author == dealer && matches!(item.change, AccessChange::DealIds { .. })
            })
            .count()
    }

    /// What this dealer would deal next; `None` when it owns nothing to deal.
    pub fn deal(&self, dealer: NodeId) -> Option<Deal> {
        self.ids(dealer).deal()
    }

    fn shares(&self) -> &Shares {
        self.shares.get_or_init(|| self.read_shares())
    }

    /// Every account and role that is there, in the order of creation.
    pub fn accounts(&self) -> Vec<AccountView> {
        self.with_now(Stamp(0), |at| {
            let mut accounts = Vec::new();
            for (id, begun) in &self.by.accounts {
                if self.existing(*id, at).is_err() {
                    continue;
                }
                if let Some(first) = self.first_of(begun, at) {
                    accounts
                        .push(((self.txs[first.tx].order, first.item), self.account_view(*id, first, at)));
                }
            }
            accounts.sort_by_key(|(order, _)| *order);
            let mut taken: HashSet<(String, String)> = HashSet::new();
            let mut out: Vec<AccountView> = accounts.into_iter().map(|(_, view)| view).collect();
            for view in &mut out {
                if !taken.insert((view.name.clone(), view.host.clone())) {
                    view.name = also_called(&view.name, view.id);
                }
            }
            out
        })
    }

    /// What every account and role that ever began is called, `name@host`: those that are gone as they were called last, with a part
    /// of the id where somebody else has the name now.
    pub fn account_names(&self) -> HashMap<AccountId, String> {
        let mut names: HashMap<AccountId, String> = HashMap::new();
        let mut taken: HashSet<String> = HashSet::new();
        for account in self.accounts() {
            let name = format!("{}@{}", account.name, account.host);
            taken.insert(name.clone());
            names.insert(account.id, name);
        }
        self.with_now(Stamp(0), |at| {
            let mut gone: Vec<_> = Vec::new();
            for (id, begun) in self.by.accounts.iter().filter(|(id, _)| !names.contains_key(id)) {
                // What began nothing at least says its name, if the id is that of the name.
                let said = |r: &&Ref| match &self.item(**r).1.change {
                    AccessChange::Account { name, host, key, .. } => {
                        AccountId::derive(name, host, key) == *id
                    }
                    AccessChange::NewRole { name, host, .. } => AccountId::derive_role(name, host) == *id,
                    _ => false,
                };
                let key = |r: &Ref| (self.txs[r.tx].order, r.item);
                let first = self.first_of(begun, at);
                let first = first.or_else(|| begun.iter().filter(said).copied().min_by_key(key));
                gone.extend(first.map(|first| (key(&first), *id, first)));
            }
            gone.sort_unstable_by_key(|(order, id, _)| (*order, *id));
            for (_, id, first) in gone {
                let (name, host) = self.name_of(id, first, at);
                let plain = format!("{name}@{host}");
                let free = taken.insert(plain.clone());
                names.insert(id, if free { plain } else { format!("{}@{host}", also_called(&name, id)) });
            }
        });
        names
    }

    fn first_of(&self, refs: &[Ref], at: &At<'_>) -> Option<Ref> {
        let held = refs.iter().filter(|r| self.holds(**r, at));
        held.min_by_key(|r| (self.txs[r.tx].order, r.item)).copied()
    }

    fn last_of(&self, refs: &[Ref], at: &At<'_>) -> Option<Ref> {
        let held = refs.iter().filter(|r| self.holds(**r, at));
        held.max_by_key(|r| (self.txs[r.tx].order, r.item)).copied()
    }

    /// True for a name as views, routines and triggers have it, `name@host`, that the account has at this place, or is shown
    /// with because another one has it too.
    pub(crate) fn is_called(&self, id: AccountId, called: &str, at: &At<'_>) -> bool {
        let Some(first) = self.by.accounts.get(&id).and_then(|begun| self.first_of(begun, at)) else {
            return false;
        };
        let (name, host) = self.name_of(id, first, at);
        [name.clone(), also_called(&name, id)].iter().any(|n| format!("{n}@{host}") == called)
    }

    fn name_of(&self, id: AccountId, first: Ref, at: &At<'_>) -> (String, String) {
        let renamed = self.last_of(listed(&self.by.renames, &id), at);
        match &self.item(renamed.unwrap_or(first)).1.change {
            AccessChange::Account { name, host, .. }
            | AccessChange::NewRole { name, host, .. }
            | AccessChange::RenameAccount { name, host, .. } => (name.clone(), host.clone()),
            _ => Default::default(),
        }
    }

    fn account_view(&self, id: AccountId, first: Ref, at: &At<'_>) -> AccountView {
        let (name, host) = self.name_of(id, first, at);
        let key = match &self.item(first).1.change {
            AccessChange::Account { key, .. } => Some(*key),
            _ => None,
        };
        let mut delegations = listed(&self.by.delegations, &id).to_vec();
        delegations.sort_unstable_by_key(|r| (self.txs[r.tx].order, r.item));
        let mut delegates: Vec<Delegate> = Vec::new();
        for d in delegations.iter().filter(|d| self.holds(**d, at)) {
            if let AccessChange::Delegate { to, .. } = &self.item(*d).1.change
                && !delegates.contains(to)
            {
                delegates.push(*to);
            }
        }
        let is_left = |r: Ref, key: PublicKey| self.cut_by(self.key_drops(id, key).iter(), r, at).is_none();
        let key = key.filter(|key| is_left(first, *key));
        let further = self.keys_given(id, at).filter(|(r, k)| Some(*k) != key && is_left(*r, *k));
        let mut further_keys: Vec<PublicKey> = further.map(|(_, key)| key).collect();
        further_keys.sort_unstable();
        further_keys.dedup();
        let is_role = matches!(self.item(first).1.change, AccessChange::NewRole { .. });
        AccountView { id, name, host, is_role, key, further_keys, owner: self.has_all(id, at), delegates }
    }

    /// The account, with these of its roles in force, has one of `any` on this object (none: on the realm) or above. Where it
    /// has none there, each of the columns is enough; with `any_column` one of all.
    pub fn allows(&self, asker: &Asker<'_>, on: Option<ObjectId>, any: Privileges, columns: Columns) -> bool {
        self.with_now(asker.now, |at| {
            let has: Vec<AccountId> = self.in_force(asker.account, at);
            let mut holders = vec![(asker.account, None)];
            for role in asker.roles.iter().filter(|r| has.contains(r)) {
                holders.extend(self.in_force(*role, at).into_iter().map(|h| (h, None)));
            }
            self.one_granted(&holders, &Need { on, any, columns, own: false }, at).is_ok()
        })
    }

    /// Whoever owns a row has one of `any` there.
    pub fn allows_owners(&self, on: ObjectId, any: Privileges, columns: Columns, now: Stamp) -> bool {
        let need = Need { on: Some(on), any, columns, own: true };
        self.with_now(now, |at| self.one_granted(&[], &need, at).is_ok())
    }

    fn in_force(&self, account: AccountId, at: &At<'_>) -> Vec<AccountId> {
        self.holders(account, at).into_iter().filter(|(_, lost)| lost.is_none()).map(|(h, _)| h).collect()
    }

    /// What an account or role was granted itself, as judged by a block with this stamp.
    pub fn grants(&self, holder: AccountId, now: Stamp) -> GrantsView {
        self.with_now(now, |at| {
            let mut view = GrantsView { default_roles: Some(Vec::new()), ..GrantsView::default() };
            for ((_, on), _) in self.by.grants.range((holder, None)..).take_while(|((h, _), _)| *h == holder)
            {
                let (mut for_good, mut later) = (Rights::default(), Rights::default());
                let mut ending = BTreeMap::<(u64, bool), Rights>::new();
                let rights = self.held_with(holder, *on, at, |given, rights| match given.until_ms {
                    None if given.history => for_good.add(rights),
                    None => {
                        later.add(&rights.reading());
                        for_good.add(&rights.without(&rights.reading()));
                    }
                    Some(ms) => ending.entry((ms, given.history)).or_default().add(rights),
                });
                if rights.rights != Rights::default() {
                    view.on.insert(*on, rights.rights);
                    let later = later.without(&for_good);
                    let with_history = for_good.clone();
                    for_good.add(&later);
                    for ((until_ms, history), rights) in ending {
                        let known = if history { &with_history } else { &for_good };
                        let rights = rights.without(known);
                        if rights != Rights::default() {
                            let history = history || rights.reading() == Rights::default();
                            view.until.push(Ending { on: *on, until_ms, history, rights });
                        }
                    }
                    if later != Rights::default() {
                        view.from_now_on.insert(*on, later);
                    }
                    view.for_good.insert(*on, for_good);
                }
            }
            for &r in listed(&self.by.roles, &holder) {
                let AccessChange::GrantRole { role, admin, until_ms, .. } = &self.item(r).1.change else {
                    continue;
                };
                if !self.holds(r, at) || self.role_lost(r, *role, holder, *until_ms, at).is_some() {
                    continue;
                }
                match view.roles.iter_mut().find(|v| v.role == *role) {
                    Some(v) => {
                        v.admin |= *admin;
                        v.until_ms = v.until_ms.zip(*until_ms).map(|(a, b)| a.max(b));
                    }
                    None => {
                        view.roles.push(RoleView { role: *role, admin: *admin, until_ms: *until_ms });
                    }
                }
            }
            view.roles.sort_unstable();
            if let Some(r) = self.last_of(listed(&self.by.default_roles, &holder), at)
                && let AccessChange::DefaultRoles { roles, .. } = &self.item(r).1.change
            {
                view.default_roles = roles.clone();
            }
            view
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
                .by
                .tickets
                .keys()
                .filter_map(|key| {
                    let Enrolled { role, expires_ms, uses, node } = self.ticket_at(key, at)?;
                    let used = self.admitted_with(key, at).len() as u32;
                    (used < uses).then_some(TicketView { key: *key, role, expires_ms, uses, used, node })
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
