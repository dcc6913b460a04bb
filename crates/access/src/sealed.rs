//! The keys of sealed columns as the log has them: who may read a column, and which epochs of its key there are
//! (`docs/security.md`, section 7).

use std::collections::{BTreeMap, BTreeSet};

use p2pdb_model::change::{AccessChange, Delegate};
use p2pdb_model::ids::{ColumnTag, EpochId, NodeId, ObjectId};
use p2pdb_model::sealed::KeyWrap;
use p2pdb_model::{AccountId, Privileges, Stamp};

use crate::fold::Access;
use crate::index::Ref;
use crate::judge::At;
use crate::needs::Need;

/// One key of a column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// Whom it was wrapped to.
    pub readers: BTreeSet<(AccountId, NodeId)>,
}

/// The keys of a column that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// All of them.
    pub all: BTreeMap<EpochId, Epoch>,
    /// Those that no other one knows of.
    pub newest: Vec<EpochId>,
}

impl Access {
    /// Who may read the column, and on which nodes of theirs.
    pub fn readers(&self, table: ObjectId, column: ColumnTag, now: Stamp) -> BTreeSet<(AccountId, NodeId)> {
        self.readers_or(table, column, now, |_| false)
    }

    /// The same if this account, or role, might read it.
    pub fn readers_with(
        &self,
        table: ObjectId,
        column: ColumnTag,
        now: Stamp,
        also: AccountId,
    ) -> BTreeSet<(AccountId, NodeId)> {
        let also = self.ever_holders(also);
        self.readers_or(table, column, now, |account| also.contains(&account))
    }

    fn readers_or(
        &self,
        table: ObjectId,
        column: ColumnTag,
        now: Stamp,
        also: impl Fn(AccountId) -> bool,
    ) -> BTreeSet<(AccountId, NodeId)> {
        let need = Need::reading(table, vec![column]);
        self.with_now(now, |at| {
            let mut out = BTreeSet::new();
            for (account, delegations) in &self.by.delegations {
                let exists = self.existing(*account, at).is_ok_and(|a| !a.is_role);
                let granted = || self.granted(*account, std::slice::from_ref(&need), at).is_ok();
                if !exists || !(also(*account) || granted()) {
                    continue;
                }
                for r in delegations {
                    if let AccessChange::Delegate { to: Delegate::Node(node), .. } = &self.item(*r).1.change
                        && !out.contains(&(*account, *node))
                        && self.reads_on(*account, *node, at)
                    {
                        out.insert((*account, *node));
                    }
                }
            }
            out
        })
    }

    /// The account may read the column on this node.
    pub fn is_reader(
        &self,
        account: AccountId,
        node: NodeId,
        table: ObjectId,
        column: ColumnTag,
        now: Stamp,
    ) -> bool {
        let need = Need::reading(table, vec![column]);
        self.with_now(now, |at| {
            self.reads_on(account, node, at) && self.granted(account, std::slice::from_ref(&need), at).is_ok()
        })
    }

    /// The node is a member, and the account itself named it.
    fn reads_on(&self, account: AccountId, node: NodeId, at: &At<'_>) -> bool {
        self.membership(node, at).is_ok()
            && self.existing(account, at).is_ok()
            && self.delegated(node, None, account, at).is_ok()
    }

    /// The keys of the column.
    pub fn epochs(&self, table: ObjectId, column: ColumnTag) -> Epochs {
        let listed = self.by.column_keys.get(&(table, column));
        self.with_now(Stamp(0), |at| {
            let mut epochs = Epochs::default();
            let mut begun: Vec<(EpochId, Ref)> = Vec::new();
            for &r in listed.map(Vec::as_slice).unwrap_or_default() {
                let AccessChange::ColumnKey { epoch, begins, wraps, .. } = &self.item(r).1.change else {
                    continue;
                };
                if self.holds(r, at) {
                    let of = epochs.all.entry(*epoch).or_default();
                    of.readers.extend(wraps.iter().map(|w| (w.account, w.node)));
                    begun.extend(begins.then_some((*epoch, r)));
                }
            }
            let known = |e: &EpochId, r: Ref| begun.iter().any(|(f, later)| f != e && self.before(r, *later));
            let newest = begun.iter().filter(|(e, r)| !known(e, *r)).map(|(e, _)| *e);
            // One that was begun again behind another one is as old as it was.
            let old: BTreeSet<EpochId> =
                begun.iter().filter(|(e, r)| known(e, *r)).map(|(e, _)| *e).collect();
            epochs.newest = newest.filter(|e| !old.contains(e)).collect();
            epochs.newest.sort_unstable();
            epochs.newest.dedup();
            epochs
        })
    }

    /// Of readers who were granted it without the history, the keys that they are to be given: those that were begun knowing of
    /// their grant. (The newest they are given besides.)
    pub fn from_now_on(
        &self,
        table: ObjectId,
        column: ColumnTag,
        readers: &BTreeSet<(AccountId, NodeId)>,
        now: Stamp,
    ) -> BTreeMap<AccountId, BTreeSet<EpochId>> {
        let mut out = BTreeMap::new();
        if self.by.grants_from_now_on.is_empty() {
            return out;
        }
        let listed = self.by.column_keys.get(&(table, column)).map(Vec::as_slice).unwrap_or_default();
        let begun = |r: &Ref| match &self.item(*r).1.change {
            AccessChange::ColumnKey { epoch, begins: true, .. } => Some((*epoch, *r)),
            _ => None,
        };
        let begun: Vec<(EpochId, Ref)> = listed.iter().filter_map(begun).collect();
        self.with_now(now, |at| {
            let accounts: BTreeSet<AccountId> = readers.iter().map(|r| r.0).collect();
            for account in accounts {
                if let Some(grants) = self.grants_without_history(account, table, column, at) {
                    let known = |r: Ref| grants.iter().any(|g| self.before(*g, r));
                    let later = begun.iter().filter(|(_, r)| self.holds(*r, at) && known(*r)).map(|b| b.0);
                    out.insert(account, later.collect());
                }
            }
        });
        out
    }

    /// The grants by which the account may read the column, where none of them gives the history.
    fn grants_without_history(
        &self,
        account: AccountId,
        table: ObjectId,
        column: ColumnTag,
        at: &At<'_>,
    ) -> Option<Vec<Ref>> {
        let (mut history, mut grants) = (false, Vec::new());
        let scopes = self.scopes(Some(table), at);
        for (holder, _) in self.holders(account, at).into_iter().filter(|(_, lost)| lost.is_none()) {
            for on in &scopes {
                self.held_with(holder, *on, at, |given, rights| {
                    let of_column =
                        if *on == Some(table) { rights.on_column(column) } else { Privileges::NONE };
                    if (rights.whole | of_column).contains(Privileges::SELECT) {
                        history |= given.history;
                        grants.push(given.grant);
                    }
                });
            }
        }
        (!history).then_some(grants)
    }

    /// The sealed columns that have keys.
    pub fn sealed_columns(&self) -> impl Iterator<Item = (ObjectId, ColumnTag)> {
        self.by.column_keys.keys().copied()
    }

    /// The wraps for a node of a column's keys, void ones too: what was sealed under them stays readable.
    pub fn wraps_for(
        &self,
        node: NodeId,
        table: ObjectId,
        column: ColumnTag,
    ) -> impl Iterator<Item = (EpochId, &KeyWrap)> {
        let refs = self.by.column_keys.get(&(table, column)).into_iter().flatten();
        refs.flat_map(move |r| match &self.item(*r).1.change {
            AccessChange::ColumnKey { epoch, wraps, .. } => {
                let wraps = wraps.iter().filter(move |w| w.node == node);
                Some(wraps.map(|w| (*epoch, w)))
            }
            _ => None,
        })
        .flatten()
    }
}
