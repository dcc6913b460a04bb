//! The list of access transactions and the state computed from it.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use p2pdb_dag::{BlockNo, BranchNo, Past, Place, Placed, Unseen};
use p2pdb_model::change::{AccessChange, Delegate, Layout, Position, SeenTip, WriteOrder};
use p2pdb_model::ids::{Cid, ColumnTag, NodeId, ObjectId, PublicKey};
use p2pdb_model::{AccountId, Change, Privileges, RealmId, Stamp, WeakInserts};

use crate::grants::overwriting;
use crate::homes::{self, Homes};
use crate::ids::Shares;
use crate::index::{Indexes, Ref, listed, named};
use crate::judge::{At, OWN};
use crate::keys;
use crate::needs::{Columns, Need};
use crate::reason::{Reason, Verdict};

/// A block as verdicts see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Its name.
    pub block: Cid,
    /// Its author.
    pub author: NodeId,
    /// Its clock.
    pub stamp: Stamp,
    /// First block of its chain.
    pub chain: Cid,
    /// Its causal past (which knows its place).
    pub past: Past,
}

impl Site {
    /// Of an applied block.
    pub fn of(placed: &Placed) -> Self {
        Site {
            block: placed.cid,
            author: placed.author,
            stamp: placed.stamp,
            chain: placed.chain.first,
            past: placed.past(),
        }
    }

    /// Of a block that would be written now by this author, after everything that is held.
    pub fn now(author: NodeId, stamp: Stamp) -> Self {
        let place = Place { no: BlockNo(u64::MAX), branch: BranchNo::NONE, seq: 0 };
        let none = Cid::default();
        Site { block: none, author, stamp, chain: none, past: Past::new(place, Unseen::NONE) }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        self.past.place()
    }
}

/// How far a revocation lets stand what was done by what it takes away.
#[derive(Clone, Debug, PartialEq)]
pub enum Horizon {
    /// Whatever lies in the revocation's causal past.
    Past(Past),
    /// What is one of these tips or lies below one on its chain: (first block of the chain, past of the tip).
    Tips(Vec<(Cid, Past)>),
}

impl Horizon {
    /// Lets nothing stand.
    pub const NOTHING: Horizon = Horizon::Tips(Vec::new());

    /// The place lies within it. `chain` is the first block of the place's chain.
    pub fn covers(&self, chain: Cid, place: Place) -> bool {
        match self {
            Horizon::Past(past) => past.contains(place),
            Horizon::Tips(tips) => tips.iter().any(|(c, tip)| *c == chain && tip.contains_or_is(place)),
        }
    }
}

/// What an access transaction brought about.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The verdict on the transaction itself.
    pub verdict: Verdict,
    /// Access transactions inserted earlier whose verdict is another one now.
    pub flips: Vec<Flip>,
    /// Which other transactions held must be judged again.
    pub rejudge: Vec<Rejudge>,
}

impl Judged {
    fn only(verdict: Verdict) -> Self {
        Judged { verdict, flips: Vec::new(), rejudge: Vec::new() }
    }
}

/// An access transaction whose verdict changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// Its block.
    pub block: Cid,
    /// Its index in the block.
    pub transaction: u32,
    /// The verdict from now on.
    pub verdict: Verdict,
}

/// Transactions whose verdict may have changed: those of this author and account (`None`: of any) that do not lie
/// within the horizon.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejudge {
    /// By this author.
    pub author: Option<NodeId>,
    /// For this account.
    pub account: Option<AccountId>,
    /// What keeps its verdict.
    pub horizon: Horizon,
}

impl Rejudge {
    /// True when a transaction for `account` in this author's block must be judged again. `chain` is the first
    /// block of the block's chain.
    pub fn concerns(&self, author: NodeId, account: AccountId, chain: Cid, place: Place) -> bool {
        self.author.is_none_or(|a| a == author)
            && self.account.is_none_or(|a| a == account)
            && !self.horizon.covers(chain, place)
    }
}

impl Rejudge {
    /// The same for an access transaction, whose verdict may also hang on the nodes and accounts that it names.
    fn concerns_access(&self, tx: &Tx) -> bool {
        let names = |change| {
            let (node, accounts) = named(change);
            let node = self.author.is_some_and(|a| node == Some(a));
            node || self.account.is_some_and(|a| accounts.contains(&Some(a)))
        };
        let (chain, place) = (tx.site.chain, tx.site.place());
        self.concerns(tx.site.author, tx.account, chain, place)
            || (!self.horizon.covers(chain, place) && tx.items.iter().any(|i| names(&i.change)))
    }
}

/// One change of an access transaction.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its index in the transaction.
    pub position: u32,
    pub change: AccessChange,
    /// For revocations: what they let stand. Of the tips named only those that lie in its past count.
    pub horizon: Horizon,
    /// For delegations: the key that signed it. For admissions with a ticket: the ticket's, if it signed.
    pub signer: Option<PublicKey>,
}

/// One access transaction.
#[derive(Clone, Debug)]
pub(crate) struct Tx {
    pub order: WriteOrder,
    pub site: Site,
    pub account: AccountId,
    pub items: Vec<Item>,
    /// It also holds changes that are not of access.
    pub mixed: bool,
    /// Decides between revocations.
    pub rank: Rank,
    /// What its own causal past says.
    pub own: Result<(), Reason>,
    /// The result of each pass.
    pub results: Vec<Result<(), Reason>>,
}

impl Tx {
    pub fn revokes(&self) -> bool {
        self.items.iter().any(|i| is_revocation(&i.change))
    }

    /// What counts in the end.
    pub fn verdict(&self) -> Verdict {
        to_verdict(self.results.last().copied().unwrap_or(Err(Reason::NotMember)))
    }
}

pub(crate) fn is_revocation(c: &AccessChange) -> bool {
    tips(c).is_some()
}

/// The tips that a revocation names; `None` within: none are named, its past is meant. `None`: no revocation.
fn tips(c: &AccessChange) -> Option<Option<&[SeenTip]>> {
    match c {
        AccessChange::Remove { seen, .. } | AccessChange::Undelegate { seen, .. } => Some(Some(seen)),
        AccessChange::DropKey { keep, .. }
        | AccessChange::DropAccount { keep, .. }
        | AccessChange::Revoke { keep, .. }
        | AccessChange::RevokeRole { keep, .. } => Some(keep.as_deref()),
        _ => None,
    }
}

/// How many steps its account and its node are away from those that began the realm; less is more. A step is a gift (an
/// account made, a privilege or role granted), or an admission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub account: u32,
    pub node: u32,
}

/// Members, accounts, delegations, grants, and the verdicts on access transactions.
#[derive(Clone, Debug)]
pub struct Access {
    pub(crate) realm: RealmId,
    pub(crate) txs: Vec<Tx>,
    pub(crate) by_order: BTreeMap<WriteOrder, usize>,
    pub(crate) by_place: HashMap<(Cid, u32), usize>,
    pub(crate) by: Indexes,
    /// The ranks of the revocations held, ascending: pass n heeds those of the first n that are not known.
    pub(crate) ranks: Vec<Rank>,
    pub(crate) homes: Homes,
    /// As the verdicts are now; read when it is asked for.
    pub(crate) shares: OnceLock<Shares>,
    /// The rules number that the realm began with.
    pub(crate) first_rules: u32,
}

impl Access {
    /// The empty state of this realm.
    pub fn new(realm: RealmId) -> Self {
        Access {
            realm,
            txs: Vec::new(),
            by_order: BTreeMap::new(),
            by_place: HashMap::new(),
            by: Indexes::default(),
            ranks: Vec::new(),
            homes: Homes::default(),
            shares: OnceLock::new(),
            first_rules: 1,
        }
    }

    /// The genesis block was written under this rules number.
    pub fn begin_rules(&mut self, rules: u32) {
        self.first_rules = rules;
    }

    /// The state of these transactions alone, which are in causal order and closed under it.
    pub(crate) fn of<'a>(&self, txs: impl Iterator<Item = &'a Tx>) -> Access {
        let mut access =
            Access { first_rules: self.first_rules, homes: self.homes.clone(), ..Access::new(self.realm) };
        for tx in txs {
            access.add(tx.clone());
        }
        access.judge_all();
        access
    }

    /// The realm.
    pub fn realm(&self) -> RealmId {
        self.realm
    }

    /// True when a transaction with these changes belongs into the fold.
    pub fn is_access(changes: &[Change]) -> bool {
        changes.iter().any(|c| matches!(c, Change::Access(_)))
    }

    /// Takes note of where the schema objects that a transaction makes are made, whatever its verdict, and of the columns that draw
    /// their values from AUTO_INCREMENT, or are sealed. Transactions come in causal order.
    pub fn note_objects(
        &mut self,
        site: &Site,
        transaction: u32,
        account: AccountId,
        layouts: &[Layout],
        changes: &[Change],
    ) {
        self.homes.note(&site.past, changes);
        if changes.iter().any(|c| homes::traits(c).next().is_some()) {
            let at = At::new(site, transaction, OWN);
            if self.rows_permitted(site.author, account, layouts, changes, &at).is_ok() {
                self.homes.note_traits(&site.past, changes);
            }
        }
    }

    /// Takes in an access transaction. Transactions come in causal order (the order of block numbers), otherwise in
    /// any. `resolve` gives the causal past of an applied block by its CID, `None` when it is not held; its error is
    /// a fault of the store and leaves the state as it was. Inserting one again changes nothing.
    pub fn insert<E>(
        &mut self,
        site: Site,
        transaction: u32,
        account: AccountId,
        changes: &[Change],
        resolve: impl FnMut(&Cid) -> Result<Option<Past>, E>,
    ) -> Result<Judged, E> {
        if let Some(i) = self.by_place.get(&(site.block, transaction)) {
            return Ok(Judged::only(self.txs[*i].verdict()));
        }
        let tx = self.read(site, transaction, account, changes, resolve)?;
        let passes = self.last_pass();
        let id = self.add(tx);
        self.shares.take();
        Ok(self.settle(id, passes == self.last_pass()))
    }

    /// The verdict that a local access transaction would get if it were written now. What is held stays as it is.
    pub fn would_be<E>(
        &mut self,
        site: &Site,
        account: AccountId,
        changes: &[Change],
        resolve: impl FnMut(&Cid) -> Result<Option<Past>, E>,
    ) -> Result<Verdict, E> {
        let tx = self.read(site.clone(), 0, account, changes, resolve)?;
        let ranks = self.ranks.clone();
        let id = self.add(tx);
        self.ranks = ranks;
        // It knows of everything; a revocation is settled in the pass of its rank.
        let pass = self.settled_in(id).unwrap_or(self.last_pass());
        let verdict = to_verdict(self.evaluate(id, pass));
        if let Some(tx) = self.txs.pop() {
            self.by.take_back(id, &tx);
            self.by_order.remove(&tx.order);
            self.by_place.remove(&(tx.site.block, tx.order.position.transaction));
        }
        Ok(verdict)
    }

    fn read<E>(
        &self,
        site: Site,
        transaction: u32,
        account: AccountId,
        changes: &[Change],
        mut resolve: impl FnMut(&Cid) -> Result<Option<Past>, E>,
    ) -> Result<Tx, E> {
        let mut items: Vec<Item> = Vec::new();
        for (position, change) in changes.iter().enumerate() {
            let Change::Access(change) = change else { continue };
            let horizon = self.read_horizon(change, &site, &mut resolve)?;
            let signer = self.signer(change, &site, &items);
            items.push(Item { position: position as u32, change: change.clone(), horizon, signer });
        }
        let position = Position { transaction, change: 0 };
        let order = WriteOrder { stamp: site.stamp, author: site.author, block: site.block, position };
        let mixed = items.len() != changes.len();
        Ok(Tx {
            order,
            site,
            account,
            items,
            mixed,
            rank: Rank::default(),
            own: Err(Reason::NotMember),
            results: Vec::new(),
        })
    }

    fn read_horizon<E>(
        &self,
        change: &AccessChange,
        site: &Site,
        resolve: &mut impl FnMut(&Cid) -> Result<Option<Past>, E>,
    ) -> Result<Horizon, E> {
        let Some(tips) = tips(change) else { return Ok(Horizon::NOTHING) };
        let Some(tips) = tips else { return Ok(Horizon::Past(site.past.clone())) };
        let mut out = Vec::with_capacity(tips.len());
        for tip in tips {
            if let Some(past) = resolve(&tip.tip)?
                && past.place().seq == tip.seq
                && site.past.contains(past.place())
            {
                out.push((tip.chain, past));
            }
        }
        Ok(Horizon::Tips(out))
    }

    /// Which key of those in the causal past signed it.
    fn signer(&self, change: &AccessChange, site: &Site, before: &[Item]) -> Option<PublicKey> {
        match change {
            AccessChange::Delegate { account, to, until_ms, signature } => {
                let realm = (site.block != self.realm.0).then_some(&self.realm);
                let of = |c: &AccessChange| match c {
                    AccessChange::Account { id, name, host, key, .. }
                        if id == account && AccountId::derive(name, host, key) == *id =>
                    {
                        Some(*key)
                    }
                    AccessChange::AddKey { account: a, key } if a == account => Some(*key),
                    _ => None,
                };
                // The first key is bound by the account's id; further ones count only where they are known.
                let first = listed(&self.by.accounts, account).iter();
                let further = listed(&self.by.keys, account).iter();
                let further = further.filter(|r| site.past.contains_or_is(self.txs[r.tx].site.place()));
                let held = first.chain(further).map(|r| &self.item(*r).1.change);
                held.chain(before.iter().map(|i| &i.change))
                    .filter_map(of)
                    .find(|key| keys::check_delegation(account, to, *until_ms, signature, key, realm).is_ok())
            }
            AccessChange::Admit { node, ticket: Some((key, signature)), .. } => {
                keys::check_admission(key, &self.realm, node, signature).is_ok().then_some(*key)
            }
            _ => None,
        }
    }

    /// Lists a transaction without judging it.
    fn add(&mut self, mut tx: Tx) -> usize {
        let id = self.txs.len();
        tx.rank = self.rank_of(&tx);
        let rank = tx.rank;
        self.by.add(id, &tx);
        self.by_order.insert(tx.order, id);
        self.by_place.insert((tx.site.block, tx.order.position.transaction), id);
        self.txs.push(tx);
        self.txs[id].own = self.evaluate(id, OWN);
        if self.txs[id].revokes()
            && self.txs[id].own.is_ok()
            && let Err(i) = self.ranks.binary_search(&rank)
        {
            self.ranks.insert(i, rank);
        }
        id
    }

    /// The pass that counts.
    pub(crate) fn last_pass(&self) -> usize {
        self.ranks.len()
    }

    /// Judges what is new and whatever that changes. `same_passes`: it brings no rank that there was not before.
    fn settle(&mut self, new: usize, same_passes: bool) -> Judged {
        if same_passes && !self.changes_others(new) {
            self.judge_one(new);
            return Judged::only(self.txs[new].verdict());
        }
        if same_passes && self.txs[new].revokes() {
            let mut judged = Judged::only(Verdict::Accepted);
            for item in &self.txs[new].items {
                self.rejudge_after(item, &self.txs[new], &mut judged.rejudge);
            }
            let concerns = |t: &Tx| judged.rejudge.iter().any(|r| r.concerns_access(t));
            if !self.txs.iter().take(new).any(concerns) {
                self.judge_one(new);
                judged.verdict = self.txs[new].verdict();
                if !judged.verdict.is_accepted() {
                    judged.rejudge.clear();
                }
                return judged;
            }
        }
        let before: Vec<_> = self.txs.iter().map(|t| (t.results.last().copied(), t.verdict())).collect();
        self.judge_all();
        let mut judged = Judged::only(self.txs[new].verdict());
        for (id, (result, verdict)) in before.into_iter().enumerate() {
            let tx = &self.txs[id];
            if id != new && tx.verdict() != verdict {
                let transaction = tx.order.position.transaction;
                judged.flips.push(Flip { block: tx.site.block, transaction, verdict: tx.verdict() });
            }
            let counted = result.is_some_and(|r| r.is_ok());
            if tx.verdict().is_accepted() != counted && (id != new || tx.revokes()) {
                for item in &tx.items {
                    self.rejudge_after(item, tx, &mut judged.rejudge);
                }
            }
        }
        judged
    }

    /// Whether a transaction that came last can change the verdict on any that is held. None of them has it in its
    /// past; so only what counts against those that do not know it can: a revocation, and the earlier use of a ticket.
    fn changes_others(&self, new: usize) -> bool {
        let tx = &self.txs[new];
        tx.revokes()
            || tx.items.iter().any(|i| match &i.change {
                AccessChange::Admit { ticket: Some((key, _)), .. } => {
                    listed(&self.by.uses, key).iter().any(|r| r.tx != new)
                }
                _ => false,
            })
    }

    fn judge_one(&mut self, id: usize) {
        self.txs[id].results.clear();
        for pass in 0..=self.last_pass() {
            let result = self.evaluate_or_keep(id, pass);
            self.txs[id].results.push(result);
        }
    }

    pub(crate) fn judge_all(&mut self) {
        let order: Vec<usize> = self.by_order.values().copied().collect();
        for tx in &mut self.txs {
            tx.results.clear();
        }
        for pass in 0..=self.last_pass() {
            // What is settled comes first: it counts also against what stands before it.
            let (settled, open): (Vec<usize>, Vec<usize>) =
                order.iter().partition(|id| self.settled_in(**id).is_some_and(|p| p < pass));
            for id in settled.into_iter().chain(open) {
                let result = self.evaluate_or_keep(id, pass);
                self.txs[id].results.push(result);
            }
        }
    }

    /// The pass in which it is decided whether a revocation holds.
    fn settled_in(&self, id: usize) -> Option<usize> {
        let tx = &self.txs[id];
        tx.revokes().then(|| self.ranks.partition_point(|r| *r < tx.rank))
    }

    fn evaluate_or_keep(&self, id: usize, pass: usize) -> Result<(), Reason> {
        match self.settled_in(id) {
            Some(settled) if settled < pass => self.txs[id].results[settled],
            _ => self.evaluate(id, pass),
        }
    }

    /// Which transactions depend on this change.
    fn rejudge_after(&self, item: &Item, tx: &Tx, out: &mut Vec<Rejudge>) {
        let mut add = |author: Option<NodeId>, account: Option<AccountId>| {
            let r = Rejudge { author, account, horizon: item.horizon.clone() };
            if !out.contains(&r) {
                out.push(r);
            }
        };
        match &item.change {
            AccessChange::Genesis { .. } => add(Some(tx.site.author), None),
            AccessChange::Admit { node, .. } | AccessChange::Remove { node, .. } => add(Some(*node), None),
            AccessChange::Delegate { account, to, .. }
            | AccessChange::Undelegate { account, from: to, .. } => match to {
                Delegate::Node(n) => add(Some(*n), Some(*account)),
                Delegate::Ticket(k) => {
                    for node in self.bearers(k) {
                        add(Some(node), Some(*account));
                    }
                }
            },
            AccessChange::Account { id: account, .. }
            | AccessChange::NewRole { id: account, .. }
            | AccessChange::DropAccount { account, .. }
            | AccessChange::AddKey { account, .. }
            | AccessChange::DropKey { account, .. }
            | AccessChange::Grant { to: account, .. }
            | AccessChange::Revoke { from: account, .. }
            | AccessChange::GrantRole { to: account, .. }
            | AccessChange::RevokeRole { from: account, .. } => {
                if *account == AccountId::ROW_OWNER {
                    add(None, None);
                } else {
                    for holder in self.ever_holders(*account) {
                        add(None, Some(holder));
                    }
                }
            }
            AccessChange::Ticket { .. }
            | AccessChange::Rules { .. }
            | AccessChange::DealIds { .. }
            | AccessChange::RenameAccount { .. }
            | AccessChange::DefaultRoles { .. }
            | AccessChange::ColumnKey { .. } => {}
        }
    }

    /// The account itself, and whoever was ever given it as a role.
    pub(crate) fn ever_holders(&self, account: AccountId) -> Vec<AccountId> {
        let mut out = vec![account];
        let mut next = 0;
        while let Some(&role) = out.get(next) {
            next += 1;
            for (to, refs) in &self.by.roles {
                let gives = |r: &Ref| matches!(&self.item(*r).1.change, AccessChange::GrantRole { role: given, .. } if *given == role);
                if !out.contains(to) && refs.iter().any(gives) {
                    out.push(*to);
                }
            }
        }
        out
    }

    /// The nodes that any admission with this ticket names.
    pub(crate) fn bearers(&self, ticket: &PublicKey) -> Vec<NodeId> {
        let uses = listed(&self.by.uses, ticket).iter();
        let mut nodes: Vec<NodeId> = uses
            .filter_map(|r| match &self.item(*r).1.change {
                AccessChange::Admit { node, .. } => Some(*node),
                _ => None,
            })
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// The verdict on a transaction. One with access changes must have been inserted; its verdict is the fold's.
    /// For another the answer is computed from the site: a few look-ups. `layouts` are its body's.
    pub fn judge(
        &self,
        site: &Site,
        transaction: u32,
        account: AccountId,
        layouts: &[Layout],
        changes: &[Change],
    ) -> Verdict {
        if Self::is_access(changes) {
            let known = self.by_place.get(&(site.block, transaction));
            return known.map_or(Verdict::Void(Reason::NotMember), |i| self.txs[*i].verdict());
        }
        self.judge_rows(site, transaction, account, layouts, changes)
    }

    /// The verdict on a transaction without access changes.
    pub fn judge_rows(
        &self,
        site: &Site,
        transaction: u32,
        account: AccountId,
        layouts: &[Layout],
        changes: &[Change],
    ) -> Verdict {
        to_verdict(self.rows_allowed(site, transaction, account, layouts, changes).map(drop))
    }

    /// The same; where it is accepted, with those of its inserts that are weak (`docs/security.md`, section 3).
    ///
    /// # Errors
    /// The reason why it is void.
    pub fn rows_allowed(
        &self,
        site: &Site,
        transaction: u32,
        account: AccountId,
        layouts: &[Layout],
        changes: &[Change],
    ) -> Result<WeakInserts, Reason> {
        let at = At::new(site, transaction, self.last_pass());
        self.rows_permitted(site.author, account, layouts, changes, &at)
    }

    /// Those of these columns that an insert by the account at this site may not give values to, of a row that is its own or not.
    pub fn not_insertable(
        &self,
        site: &Site,
        account: AccountId,
        table: ObjectId,
        columns: &[ColumnTag],
        own: bool,
    ) -> Vec<ColumnTag> {
        let at = At::new(site, 0, self.last_pass());
        if self.realm_privileges(account, &at).contains(Privileges::ALL) {
            return Vec::new();
        }
        let holders = self.holders(account, &at);
        let may = |columns| {
            let need = Need { on: Some(table), any: Privileges::INSERT, columns, own };
            self.one_granted(&holders, &need, &at).is_ok()
        };
        let reads = |c: ColumnTag| {
            !self.homes.is_sealed(table, c, &site.past)
                || self.one_granted(&holders, &Need::reading(table, vec![c]), &at).is_ok()
        };
        let whole = may(Columns::No);
        columns.iter().copied().filter(|c| !reads(*c) || !(whole || may(Columns::Each(vec![*c])))).collect()
    }

    /// Whether an insert of these columns by the account at this site would be weak.
    pub fn inserts_weakly(
        &self,
        site: &Site,
        account: AccountId,
        table: ObjectId,
        columns: &[ColumnTag],
        own: bool,
    ) -> bool {
        let at = At::new(site, 0, self.last_pass());
        !self.realm_privileges(account, &at).contains(Privileges::ALL)
            && self.granted(account, &[overwriting(table, columns, own)], &at).is_err()
    }
}

pub(crate) fn to_verdict(r: Result<(), Reason>) -> Verdict {
    match r {
        Ok(()) => Verdict::Accepted,
        Err(reason) => Verdict::Void(reason),
    }
}
