//! The list of access transactions and the state computed from it.

use std::collections::{BTreeMap, HashMap};

use p2pdb_dag::{BlockNo, BranchNo, Past, Place, Placed, Unseen};
use p2pdb_model::change::{AccessChange, Delegate, Position, WriteOrder};
use p2pdb_model::ids::{Cid, NodeId, PublicKey};
use p2pdb_model::{AccountId, Change, RealmId, Stamp};

use crate::judge::{At, Pass};
use crate::keys;
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
/// at or below a tip in `covered`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejudge {
    /// By this author.
    pub author: Option<NodeId>,
    /// For this account.
    pub account: Option<AccountId>,
    /// What keeps its verdict: (first block of the chain, past of the tip).
    pub covered: Vec<(Cid, Past)>,
}

impl Rejudge {
    /// True when a transaction for `account` in this author's block must be judged again. `chain` is the first
    /// block of the block's chain.
    pub fn concerns(&self, author: NodeId, account: AccountId, chain: Cid, place: Place) -> bool {
        self.author.is_none_or(|a| a == author)
            && self.account.is_none_or(|a| a == account)
            && !covers(&self.covered, chain, place)
    }
}

pub(crate) fn covers(seen: &[(Cid, Past)], chain: Cid, place: Place) -> bool {
    seen.iter().any(|(c, tip)| *c == chain && tip.contains_or_is(place))
}

/// One change of an access transaction.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its index in the transaction.
    pub position: u32,
    pub change: AccessChange,
    /// For removals and undelegations: the tips named that lie in its past.
    pub seen: Vec<(Cid, Past)>,
    /// For delegations and admissions with a ticket: the signature holds.
    pub signed: bool,
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
    /// Result of the first pass.
    pub first: Result<(), Reason>,
    /// Result of the second pass.
    pub verdict: Verdict,
}

impl Tx {
    pub fn removes(&self) -> bool {
        self.items.iter().any(|i| is_removal(&i.change))
    }
}

pub(crate) fn is_removal(c: &AccessChange) -> bool {
    matches!(c, AccessChange::Remove { .. } | AccessChange::Undelegate { .. })
}

/// An item by its indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ref {
    pub tx: usize,
    pub item: usize,
}

/// Members, accounts, delegations and the verdicts on access transactions.
#[derive(Clone, Debug)]
pub struct Access {
    pub(crate) realm: RealmId,
    pub(crate) txs: Vec<Tx>,
    pub(crate) by_order: BTreeMap<WriteOrder, usize>,
    pub(crate) by_place: HashMap<(Cid, u32), usize>,
    /// Admissions by node; the genesis is its author's.
    pub(crate) admissions: HashMap<NodeId, Vec<Ref>>,
    pub(crate) removals: HashMap<NodeId, Vec<Ref>>,
    pub(crate) tickets: HashMap<PublicKey, Vec<Ref>>,
    /// Admissions by ticket.
    pub(crate) uses: HashMap<PublicKey, Vec<Ref>>,
    pub(crate) accounts: HashMap<AccountId, Vec<Ref>>,
    pub(crate) delegations: HashMap<AccountId, Vec<Ref>>,
    pub(crate) undelegations: HashMap<AccountId, Vec<Ref>>,
    /// Deals by dealer and by receiver.
    pub(crate) deals: HashMap<NodeId, Vec<Ref>>,
    pub(crate) rules: Vec<Ref>,
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
            admissions: HashMap::new(),
            removals: HashMap::new(),
            tickets: HashMap::new(),
            uses: HashMap::new(),
            accounts: HashMap::new(),
            delegations: HashMap::new(),
            undelegations: HashMap::new(),
            deals: HashMap::new(),
            rules: Vec::new(),
            first_rules: 1,
        }
    }

    /// The genesis block was written under this rules number.
    pub fn begin_rules(&mut self, rules: u32) {
        self.first_rules = rules;
    }

    /// The state of these transactions alone, which are in causal order and closed under it.
    pub(crate) fn of<'a>(&self, txs: impl Iterator<Item = &'a Tx>) -> Access {
        let mut access = Access { first_rules: self.first_rules, ..Access::new(self.realm) };
        for tx in txs {
            let id = access.txs.len();
            access.index(id, tx);
            access.by_order.insert(tx.order, id);
            access.by_place.insert((tx.site.block, tx.order.position.transaction), id);
            access.txs.push(tx.clone());
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

    /// Takes in an access transaction. Transactions come in causal order (the order of block numbers), otherwise in
    /// any. `resolve` gives the causal past of an applied block by its CID, `None` when it is not held; its error is
    /// a fault of the store and leaves the state as it was. Inserting one again changes nothing.
    pub fn insert<E>(
        &mut self,
        site: Site,
        transaction: u32,
        account: AccountId,
        changes: &[Change],
        mut resolve: impl FnMut(&Cid) -> Result<Option<Past>, E>,
    ) -> Result<Judged, E> {
        if let Some(i) = self.by_place.get(&(site.block, transaction)) {
            let verdict = self.txs[*i].verdict;
            return Ok(Judged { verdict, flips: Vec::new(), rejudge: Vec::new() });
        }
        let mut items = Vec::new();
        for (position, change) in changes.iter().enumerate() {
            let Change::Access(change) = change else { continue };
            let seen = self.resolve_seen(change, &site, &mut resolve)?;
            let signed = self.check_signature(change, &site, &items);
            items.push(Item { position: position as u32, change: change.clone(), seen, signed });
        }
        let order = WriteOrder {
            stamp: site.stamp,
            author: site.author,
            block: site.block,
            position: Position { transaction, change: 0 },
        };
        let mixed = items.len() != changes.len();
        let id = self.txs.len();
        let tx = Tx {
            order,
            site,
            account,
            items,
            mixed,
            first: Err(Reason::NotMember),
            verdict: Verdict::Void(Reason::NotMember),
        };
        self.index(id, &tx);
        self.by_order.insert(order, id);
        self.by_place.insert((tx.site.block, transaction), id);
        self.txs.push(tx);
        Ok(self.settle(id))
    }

    fn resolve_seen<E>(
        &self,
        change: &AccessChange,
        site: &Site,
        resolve: &mut impl FnMut(&Cid) -> Result<Option<Past>, E>,
    ) -> Result<Vec<(Cid, Past)>, E> {
        let (AccessChange::Remove { seen, .. } | AccessChange::Undelegate { seen, .. }) = change else {
            return Ok(Vec::new());
        };
        let mut out = Vec::with_capacity(seen.len());
        for tip in seen {
            if let Some(past) = resolve(&tip.tip)?
                && past.place().seq == tip.seq
                && site.past.contains(past.place())
            {
                out.push((tip.chain, past));
            }
        }
        Ok(out)
    }

    fn check_signature(&self, change: &AccessChange, site: &Site, before: &[Item]) -> bool {
        match change {
            AccessChange::Delegate { account, to, until_ms, signature } => {
                let realm = (site.block != self.realm.0).then_some(&self.realm);
                let known = self.accounts.get(account).into_iter().flatten();
                let known = known.map(|r| &self.txs[r.tx].items[r.item].change);
                let key = known.chain(before.iter().map(|i| &i.change)).find_map(|c| match c {
                    AccessChange::Account { id, name, host, key, .. }
                        if id == account && AccountId::derive(name, host, key) == *id =>
                    {
                        Some(*key)
                    }
                    _ => None,
                });
                key.is_some_and(|key| {
                    keys::check_delegation(account, to, *until_ms, signature, &key, realm).is_ok()
                })
            }
            AccessChange::Admit { node, ticket: Some((key, signature)), .. } => {
                keys::check_admission(key, &self.realm, node, signature).is_ok()
            }
            _ => true,
        }
    }

    fn index(&mut self, tx: usize, t: &Tx) {
        for (item, i) in t.items.iter().enumerate() {
            let r = Ref { tx, item };
            match &i.change {
                AccessChange::Genesis { .. } => {
                    self.admissions.entry(t.site.author).or_default().push(r);
                    self.deals.entry(t.site.author).or_default().push(r);
                }
                AccessChange::Ticket { key, .. } => self.tickets.entry(*key).or_default().push(r),
                AccessChange::Admit { node, ticket, ids, .. } => {
                    self.admissions.entry(*node).or_default().push(r);
                    if let Some((key, _)) = ticket {
                        self.uses.entry(*key).or_default().push(r);
                    }
                    if ids.is_some() {
                        self.index_deal(t.site.author, *node, r);
                    }
                }
                AccessChange::Remove { node, .. } => self.removals.entry(*node).or_default().push(r),
                AccessChange::Account { id, .. } => self.accounts.entry(*id).or_default().push(r),
                AccessChange::Delegate { account, .. } => {
                    self.delegations.entry(*account).or_default().push(r);
                }
                AccessChange::Undelegate { account, .. } => {
                    self.undelegations.entry(*account).or_default().push(r);
                }
                AccessChange::Rules { .. } => self.rules.push(r),
                AccessChange::DealIds { node, .. } => self.index_deal(t.site.author, *node, r),
            }
        }
    }

    fn index_deal(&mut self, dealer: NodeId, receiver: NodeId, r: Ref) {
        self.deals.entry(dealer).or_default().push(r);
        if receiver != dealer {
            self.deals.entry(receiver).or_default().push(r);
        }
    }

    /// Judges what is new and whatever that changes.
    fn settle(&mut self, new: usize) -> Judged {
        let last = self.by_order.last_key_value().is_some_and(|(_, id)| *id == new);
        if last && !self.txs[new].removes() {
            // Nothing depends on it yet, and it cuts nothing.
            self.txs[new].first = self.evaluate(new, Pass::First);
            self.txs[new].verdict = to_verdict(self.evaluate(new, Pass::Second));
            return Judged { verdict: self.txs[new].verdict, flips: Vec::new(), rejudge: Vec::new() };
        }
        let before: Vec<_> = self.txs.iter().map(|t| (t.first.is_ok(), t.verdict)).collect();
        self.judge_all();
        let mut judged = Judged { verdict: self.txs[new].verdict, flips: Vec::new(), rejudge: Vec::new() };
        for (id, (first, verdict)) in before.into_iter().enumerate() {
            let tx = &self.txs[id];
            if tx.verdict != verdict && id != new {
                let transaction = tx.order.position.transaction;
                judged.flips.push(Flip { block: tx.site.block, transaction, verdict: tx.verdict });
            }
            let cuts = tx.removes() && tx.first.is_ok() != first;
            let counts = id != new && tx.verdict.is_accepted() != verdict.is_accepted();
            if cuts || counts {
                for item in &tx.items {
                    self.rejudge_after(item, tx, &mut judged.rejudge);
                }
            }
        }
        judged
    }

    fn judge_all(&mut self) {
        let order: Vec<usize> = self.by_order.values().copied().collect();
        for &id in &order {
            self.txs[id].first = self.evaluate(id, Pass::First);
        }
        for &id in &order {
            self.txs[id].verdict = to_verdict(self.evaluate(id, Pass::Second));
        }
    }

    /// Which transactions depend on this change.
    fn rejudge_after(&self, item: &Item, tx: &Tx, out: &mut Vec<Rejudge>) {
        let mut add = |author: Option<NodeId>, account: Option<AccountId>| {
            let r = Rejudge { author, account, covered: item.seen.clone() };
            if !out.contains(&r) {
                out.push(r);
            }
        };
        match &item.change {
            AccessChange::Genesis { .. } => add(Some(tx.site.author), None),
            AccessChange::Admit { node, .. } | AccessChange::Remove { node, .. } => add(Some(*node), None),
            AccessChange::Account { id, .. } => add(None, Some(*id)),
            AccessChange::Delegate { account, to, .. }
            | AccessChange::Undelegate { account, from: to, .. } => match to {
                Delegate::Node(n) => add(Some(*n), Some(*account)),
                Delegate::Ticket(k) => {
                    for node in self.bearers(k) {
                        add(Some(node), Some(*account));
                    }
                }
            },
            AccessChange::Ticket { .. } | AccessChange::Rules { .. } | AccessChange::DealIds { .. } => {}
        }
    }

    /// The nodes that any admission with this ticket names.
    pub(crate) fn bearers(&self, ticket: &PublicKey) -> Vec<NodeId> {
        let uses = self.uses.get(ticket).into_iter().flatten();
        let mut nodes: Vec<NodeId> = uses
            .filter_map(|r| match &self.txs[r.tx].items[r.item].change {
                AccessChange::Admit { node, .. } => Some(*node),
                _ => None,
            })
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// The verdict on a transaction. One with access changes must have been inserted; its verdict is the fold's.
    /// For another the answer is computed from the site: a few look-ups.
    pub fn judge(&self, site: &Site, transaction: u32, account: AccountId, changes: &[Change]) -> Verdict {
        if Self::is_access(changes) {
            let known = self.by_place.get(&(site.block, transaction));
            return known.map_or(Verdict::Void(Reason::NotMember), |i| self.txs[*i].verdict);
        }
        self.judge_rows(site, transaction, account)
    }

    /// The verdict on a transaction without access changes.
    pub fn judge_rows(&self, site: &Site, transaction: u32, account: AccountId) -> Verdict {
        let at = At::new(site, transaction, Pass::Second);
        to_verdict(self.acting(site.author, account, &at).map(|_| ()))
    }

    /// The verdict that a local access transaction would get if it were written now; changes nothing.
    pub fn would_be<E>(
        &self,
        site: &Site,
        account: AccountId,
        changes: &[Change],
        resolve: impl FnMut(&Cid) -> Result<Option<Past>, E>,
    ) -> Result<Verdict, E> {
        Ok(self.clone().insert(site.clone(), 0, account, changes, resolve)?.verdict)
    }
}

pub(crate) fn to_verdict(r: Result<(), Reason>) -> Verdict {
    match r {
        Ok(()) => Verdict::Accepted,
        Err(reason) => Verdict::Void(reason),
    }
}
