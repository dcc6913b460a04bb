//! Which privileges an account has at a place: grants, roles, and what was taken back.

use p2pdb_model::change::{AccessChange, Layout, Rights, RowChange};
use p2pdb_model::ids::{ColumnTag, NodeId, ObjectId};
use p2pdb_model::{AccountId, Change, Privileges, WeakInserts};

use crate::fold::{Access, Rank, Tx};
use crate::index::{Ref, listed};
use crate::judge::{At, Cut};
use crate::needs::{Columns, Need};
use crate::reason::Reason;

/// Privileges on an object, with those that one would have if nothing had been taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub rights: Rights,
    /// What was granted once, by why it counts no more.
    lost: Vec<(Reason, Rights)>,
}

impl Held {
    fn lose(&mut self, reason: Reason, rights: Rights) {
        if rights != Rights::default() {
            self.lost.push((reason, rights));
        }
    }
}

/// How something was granted.
#[derive(Clone, Copy)]
pub(crate) struct Given {
    pub grant: Ref,
    pub until_ms: Option<u64>,
    /// Of sealed columns with what was written before.
    pub history: bool,
}

/// Splits rights into what a revocation takes and what it leaves.
pub(crate) fn split(rights: &Rights, taken: &Rights) -> (Rights, Rights) {
    let whole = rights.whole & taken.whole;
    let mut gone = Rights::whole(whole);
    let mut left = Rights::whole(rights.whole & !whole);
    for (tag, p) in &rights.columns {
        let take = *p & (taken.whole | taken.on_column(*tag));
        if !take.is_empty() {
            gone.columns.push((*tag, take));
        }
        if *p != take {
            left.columns.push((*tag, *p & !take));
        }
    }
    (gone, left)
}

fn permits(rights: &Rights, need: &Need) -> bool {
    rights.whole.intersects(need.any)
        || match &need.columns {
            Columns::No => false,
            Columns::Any => rights.columns.iter().any(|(_, p)| p.intersects(need.any)),
            Columns::Each(tags) => {
                !tags.is_empty() && tags.iter().all(|t| rights.on_column(*t).intersects(need.any))
            }
        }
}

/// What an insert of these columns needs to be no weak one.
pub(crate) fn overwriting(table: ObjectId, columns: &[ColumnTag], own: bool) -> Need {
    Need { on: Some(table), any: Privileges::UPDATE, columns: Columns::Each(columns.to_vec()), own }
}

/// Ranks are told apart up to here: each one costs a pass over all access transactions.
const RANK_MAX: u32 = 7;

impl Access {
    /// The account and the roles that it has at this place, through other roles too.
    pub(crate) fn holders(&self, account: AccountId, at: &At<'_>) -> Vec<(AccountId, Option<Reason>)> {
        // A role that was taken back is listed with the reason, so that a refusal can say it.
        let mut out: Vec<(AccountId, Option<Reason>)> = vec![(account, None)];
        if self.by.roles.is_empty() {
            return out;
        }
        let mut next = 0;
        while let Some(&(holder, lost)) = out.get(next) {
            next += 1;
            for &r in listed(&self.by.roles, &holder) {
                let AccessChange::GrantRole { role, until_ms, .. } = &self.item(r).1.change else { continue };
                if !self.holds(r, at) {
                    continue;
                }
                let why = lost.or_else(|| self.role_lost(r, *role, holder, *until_ms, at));
                let Some(i) = out.iter().position(|(a, _)| a == role) else {
                    out.push((*role, why));
                    continue;
                };
                let known = out[i].1;
                // One way that was not taken back is enough; of several reasons the greatest is given.
                let both = known.zip(why).map(|(a, b)| a.max(b));
                if both != known {
                    out[i].1 = both;
                    // What hangs on it is looked at again.
                    next = next.min(i);
                }
            }
        }
        out
    }

    pub(crate) fn role_lost(
        &self,
        grant: Ref,
        role: AccountId,
        to: AccountId,
        until_ms: Option<u64>,
        at: &At<'_>,
    ) -> Option<Reason> {
        if until_ms.is_some_and(|ms| at.site.stamp.millis() > ms) {
            return Some(Reason::GrantExpired);
        }
        let revokes = listed(&self.by.role_revokes, &(role, to)).iter();
        let drops = listed(&self.by.drops, &role).iter().chain(listed(&self.by.drops, &to));
        self.cut_by(revokes.chain(drops), grant, at).map(Cut::of_grant)
    }

    /// What the strongest of these revocations does at this place to something given; one that the gift knows does nothing.
    pub(crate) fn cut_by<'a>(
        &self,
        revocations: impl Iterator<Item = &'a Ref>,
        gift: Ref,
        at: &At<'_>,
    ) -> Option<Cut> {
        revocations.filter(|r| !self.before(**r, gift)).filter_map(|r| self.cut(*r, at)).min()
    }

    /// What one account or role was granted itself on exactly this object, at this place.
    pub(crate) fn held(&self, holder: AccountId, on: Option<ObjectId>, at: &At<'_>) -> Held {
        self.held_with(holder, on, at, |_, _| {})
    }

    /// The same; each grant is given to `each`, with what is left of it.
    pub(crate) fn held_with(
        &self,
        holder: AccountId,
        on: Option<ObjectId>,
        at: &At<'_>,
        mut each: impl FnMut(Given, &Rights),
    ) -> Held {
        let mut held = Held::default();
        let revokes = listed(&self.by.revokes, &(holder, on));
        let drops = listed(&self.by.drops, &holder);
        for &g in self.by.grants.get(&(holder, on)).map(Vec::as_slice).unwrap_or_default() {
            if !self.holds(g, at) {
                continue;
            }
            let (mut rights, until_ms, history) = match &self.item(g).1.change {
                AccessChange::Grant { rights, until_ms, history, .. } => {
                    (rights.clone(), *until_ms, *history)
                }
                // The account began with all.
                _ => (Rights::whole(Privileges::EVERY), None, true),
            };
            if until_ms.is_some_and(|ms| at.site.stamp.millis() > ms) {
                held.lose(Reason::GrantExpired, rights);
                continue;
            }
            if let Some(cut) = self.cut_by(drops.iter(), g, at) {
                held.lose(cut.of_grant(), rights);
                continue;
            }
            // What is known comes first: it is the reason where both take.
            let cuts = revokes.iter().filter(|r| !self.before(**r, g));
            let mut cuts: Vec<(Cut, Ref)> = cuts.filter_map(|r| Some((self.cut(*r, at)?, *r))).collect();
            cuts.sort_unstable();
            for (cut, r) in cuts {
                let AccessChange::Revoke { rights: taken, .. } = &self.item(r).1.change else { continue };
                let (gone, left) = split(&rights, taken);
                held.lose(cut.of_grant(), gone);
                rights = left;
            }
            each(Given { grant: g, until_ms, history }, &rights);
            held.rights.add(&rights);
        }
        held
    }

    /// The objects on which a grant covers this one: itself, what it was made in, the realm.
    pub(crate) fn scopes(&self, on: Option<ObjectId>, at: &At<'_>) -> Vec<Option<ObjectId>> {
        let mut out = vec![on];
        let mut id = on;
        while let Some(home) = id.and_then(|id| self.homes.known(id, &at.site.past)) {
            if home.parent == ObjectId::ROOT {
                break;
            }
            id = Some(home.parent);
            out.push(id);
        }
        if on.is_some() {
            out.push(None);
        }
        out
    }

    /// Each need is granted to the account, itself or by a role.
    pub(crate) fn granted(&self, account: AccountId, needs: &[Need], at: &At<'_>) -> Result<(), Reason> {
        let holders = self.holders(account, at);
        needs.iter().try_for_each(|need| self.one_granted(&holders, need, at))
    }

    pub(crate) fn one_granted(
        &self,
        holders: &[(AccountId, Option<Reason>)],
        need: &Need,
        at: &At<'_>,
    ) -> Result<(), Reason> {
        // Columns may come from several grants.
        let mut all = Rights::default();
        let mut lost: Vec<(Reason, Rights)> = Vec::new();
        for on in self.scopes(need.on, at) {
            let owner = need.own.then_some((AccountId::ROW_OWNER, None));
            for (holder, gone) in holders.iter().chain(&owner) {
                let mut held = self.held(*holder, on, at);
                if on != need.on {
                    held.rights.columns.clear();
                }
                match gone {
                    None => {
                        all.add(&held.rights);
                        lost.append(&mut held.lost);
                    }
                    Some(why) => {
                        lost.push((*why, held.rights));
                        lost.extend(held.lost.into_iter().map(|(_, rights)| (*why, rights)));
                    }
                }
            }
            if permits(&all, need) {
                return Ok(());
            }
        }
        // It was granted once: why it is no more is the reason.
        lost.retain(|(_, r)| {
            r.whole.intersects(need.any) || r.columns.iter().any(|(_, p)| p.intersects(need.any))
        });
        lost.iter().for_each(|(_, r)| all.add(r));
        let why = lost.iter().map(|(why, _)| *why).max().filter(|_| permits(&all, need));
        Err(why.unwrap_or(Reason::NotGranted))
    }

    /// The account has every privilege on the realm, with GRANT OPTION.
    pub(crate) fn has_all(&self, account: AccountId, at: &At<'_>) -> bool {
        self.realm_privileges(account, at).contains(Privileges::EVERY)
    }

    pub(crate) fn realm_privileges(&self, account: AccountId, at: &At<'_>) -> Privileges {
        let holders = self.holders(account, at);
        let held = holders.iter().filter(|(_, lost)| lost.is_none());
        held.fold(Privileges::NONE, |all, (h, _)| all | self.held(*h, None, at).rights.whole)
    }

    /// The transaction's changes, none of access, are permitted; which of its inserts are weak.
    pub(crate) fn rows_permitted(
        &self,
        author: NodeId,
        account: AccountId,
        layouts: &[Layout],
        changes: &[Change],
        at: &At<'_>,
    ) -> Result<WeakInserts, Reason> {
        self.acting(author, account, at)?;
        let realm = self.realm_privileges(account, at);
        if realm.contains(Privileges::ALL) {
            return Ok(WeakInserts::NONE);
        }
        let holders = self.holders(account, at);
        let needs = self.needs(account, layouts, changes, at);
        needs.iter().try_for_each(|need| self.one_granted(&holders, need, at))?;
        let mut weak = WeakInserts::NONE;
        let mut asked: Vec<(usize, bool)> = Vec::new();
        for change in changes {
            let Change::Row(row @ RowChange::Insert { .. }) = change else { continue };
            let (n, own) = (row.layout(), row.owner() == Some(account));
            if let Some(layout) = layouts.get(n).filter(|_| !asked.contains(&(n, own))) {
                asked.push((n, own));
                let need = overwriting(layout.table(), layout.columns(), own);
                if self.one_granted(&holders, &need, at).is_err() {
                    weak.add(layout.table(), own);
                }
            }
        }
        Ok(weak)
    }

    /// Whoever gives or takes these rights has them, with GRANT OPTION, there or above.
    pub(crate) fn may_give(
        &self,
        account: AccountId,
        rights: &Rights,
        on: Option<ObjectId>,
        at: &At<'_>,
    ) -> Result<(), Reason> {
        let mut needs = vec![Need::on(on, Privileges::GRANT_OPTION)];
        needs.extend(rights.whole.iter().map(|p| Need::on(on, p)));
        for (tag, privileges) in &rights.columns {
            let of = |any| Need { on, any, columns: Columns::Each(vec![*tag]), own: false };
            needs.extend(privileges.iter().map(of));
        }
        self.granted(account, &needs, at)
            .map_err(|r| if r == Reason::NotGranted { Reason::NotGrantable } else { r })
    }

    /// The account has the role WITH ADMIN OPTION, or everything.
    pub(crate) fn may_give_role(&self, account: AccountId, role: AccountId, at: &At<'_>) -> bool {
        if self.has_all(account, at) {
            return true;
        }
        let holders = self.holders(account, at);
        holders.iter().filter(|(_, lost)| lost.is_none()).any(|(holder, _)| {
            listed(&self.by.roles, holder).iter().any(|r| match &self.item(*r).1.change {
                AccessChange::GrantRole { role: given, admin: true, until_ms, .. } if *given == role => {
                    self.holds(*r, at) && self.role_lost(*r, role, *holder, *until_ms, at).is_none()
                }
                _ => false,
            })
        })
    }

    /// May change the account's keys, drop or rename it: CREATE USER, and everything for an account that has everything.
    pub(crate) fn may_manage(&self, account: AccountId, other: AccountId, at: &At<'_>) -> bool {
        let realm = self.realm_privileges(account, at);
        realm.contains(Privileges::CREATE_USER)
            && (realm.contains(Privileges::EVERY) || !self.has_all(other, at))
    }

    /// The rank of whoever wrote this. It looks at gifts as they were when they were made, by their own causal past, and not at
    /// what became of them: so it never changes, and nobody wins one by a gift in another's name.
    pub(crate) fn rank_of(&self, tx: &Tx) -> Rank {
        let account = self.account_rank(tx, tx.account).min(RANK_MAX);
        Rank { account, node: self.node_rank(tx, tx.site.author).min(RANK_MAX) }
    }

    fn known_to<'a>(&'a self, tx: &'a Tx, refs: &'a [Ref]) -> impl Iterator<Item = &'a Tx> {
        refs.iter().map(|r| &self.txs[r.tx]).filter(|t| t.own.is_ok()).filter(|t| {
            let place = t.site.place();
            tx.site.past.contains(place)
                || (place.no == tx.site.place().no && t.order.position < tx.order.position)
        })
    }

    fn account_rank(&self, tx: &Tx, account: AccountId) -> u32 {
        let is_first = |t: &Tx| t.site.block == self.realm.0;
        let given = self.known_to(tx, listed(&self.by.gifts, &account));
        let ranks = given.map(|t| if is_first(t) { 0 } else { t.rank.account.saturating_add(1) });
        ranks.min().unwrap_or(u32::MAX)
    }

    fn node_rank(&self, tx: &Tx, node: NodeId) -> u32 {
        let admissions = listed(&self.by.admissions, &node).iter();
        let admissions = admissions.filter(|r| {
            let t = &self.txs[r.tx];
            t.own.is_ok() && tx.site.past.contains_or_is(t.site.place())
        });
        let ranks = admissions.flat_map(|r| {
            let t = &self.txs[r.tx];
            match &t.items[r.item].change {
                AccessChange::Genesis { .. } if t.site.block == self.realm.0 => vec![0],
                AccessChange::Admit { ticket: Some((key, _)), .. } => {
                    let enrolled = self.known_to(tx, listed(&self.by.tickets, key));
                    enrolled.map(|t| t.rank.node.saturating_add(1)).collect()
                }
                _ => vec![t.rank.node.saturating_add(1)],
            }
        });
        ranks.min().unwrap_or(u32::MAX)
    }
}
