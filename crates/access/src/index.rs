//! Where the items of access transactions are found.

use std::collections::{BTreeMap, HashMap};

use p2pdb_model::AccountId;
use p2pdb_model::change::AccessChange;
use p2pdb_model::ids::{ColumnTag, NodeId, ObjectId, PublicKey};

use crate::fold::{Item, Tx};

/// An item by its indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ref {
    pub tx: usize,
    pub item: usize,
}

/// Where the items of one kind are found.
pub(crate) type Index<K> = HashMap<K, Vec<Ref>>;

/// Items by what they are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Indexes {
    /// Admissions by node; the genesis is its author's.
    pub admissions: Index<NodeId>,
    pub removals: Index<NodeId>,
    pub tickets: Index<PublicKey>,
    /// Admissions by ticket.
    pub uses: Index<PublicKey>,
    /// Accounts and roles.
    pub accounts: Index<AccountId>,
    pub renames: Index<AccountId>,
    /// Further keys.
    pub keys: Index<AccountId>,
    pub dropped_keys: Index<(AccountId, PublicKey)>,
    pub drops: Index<AccountId>,
    pub delegations: Index<AccountId>,
    pub undelegations: Index<AccountId>,
    /// Grants by who has them and where they stand. An account that began with all privileges has one on the realm.
    pub grants: BTreeMap<(AccountId, Option<ObjectId>), Vec<Ref>>,
    /// Those of them that give no history of sealed columns.
    pub grants_from_now_on: Vec<Ref>,
    pub revokes: Index<(AccountId, Option<ObjectId>)>,
    /// Grants of a role by who has it.
    pub roles: Index<AccountId>,
    /// By (role, who has it).
    pub role_revokes: Index<(AccountId, AccountId)>,
    /// What gave the account something, for its rank.
    pub gifts: Index<AccountId>,
    pub default_roles: Index<AccountId>,
    /// What deals AUTO_INCREMENT values, the genesis and admissions among it.
    pub deals: Vec<Ref>,
    pub rules: Vec<Ref>,
    /// Keys of sealed columns.
    pub column_keys: BTreeMap<(ObjectId, ColumnTag), Vec<Ref>>,
}

/// What is listed under a key.
pub(crate) fn listed<'a, K: Eq + std::hash::Hash>(index: &'a Index<K>, key: &K) -> &'a [Ref] {
    index.get(key).map(Vec::as_slice).unwrap_or_default()
}

impl Indexes {
    /// Calls `f` with every list that the item belongs into, made where it is missing.
    fn lists(&mut self, tx: &Tx, item: &Item, mut f: impl FnMut(&mut Vec<Ref>)) {
        fn of<K: Eq + std::hash::Hash>(index: &mut Index<K>, key: K) -> &mut Vec<Ref> {
            index.entry(key).or_default()
        }
        let author = tx.site.author;
        match &item.change {
            AccessChange::Genesis { .. } => {
                f(of(&mut self.admissions, author));
                f(&mut self.deals);
            }
            AccessChange::Ticket { key, .. } => f(of(&mut self.tickets, *key)),
            AccessChange::Admit { node, ticket, ids, .. } => {
                f(of(&mut self.admissions, *node));
                if let Some((key, _)) = ticket {
                    f(of(&mut self.uses, *key));
                }
                if ids.is_some() {
                    f(&mut self.deals);
                }
            }
            AccessChange::Remove { node, .. } => f(of(&mut self.removals, *node)),
            AccessChange::Account { id, owner, .. } => {
                f(of(&mut self.accounts, *id));
                f(of(&mut self.gifts, *id));
                if *owner {
                    f(self.grants.entry((*id, None)).or_default());
                }
            }
            AccessChange::NewRole { id, .. } => {
                f(of(&mut self.accounts, *id));
                f(of(&mut self.gifts, *id));
            }
            AccessChange::RenameAccount { account, .. } => f(of(&mut self.renames, *account)),
            AccessChange::DropAccount { account, .. } => f(of(&mut self.drops, *account)),
            AccessChange::AddKey { account, .. } => f(of(&mut self.keys, *account)),
            AccessChange::DropKey { account, key, .. } => f(of(&mut self.dropped_keys, (*account, *key))),
            AccessChange::Delegate { account, .. } => f(of(&mut self.delegations, *account)),
            AccessChange::Undelegate { account, .. } => f(of(&mut self.undelegations, *account)),
            AccessChange::Grant { to, on, history, .. } => {
                f(self.grants.entry((*to, *on)).or_default());
                if !history {
                    f(&mut self.grants_from_now_on);
                }
                f(of(&mut self.gifts, *to));
            }
            AccessChange::Revoke { from, on, .. } => f(of(&mut self.revokes, (*from, *on))),
            AccessChange::GrantRole { to, .. } => {
                f(of(&mut self.roles, *to));
                f(of(&mut self.gifts, *to));
            }
            AccessChange::RevokeRole { role, from, .. } => f(of(&mut self.role_revokes, (*role, *from))),
            AccessChange::DefaultRoles { account, .. } => f(of(&mut self.default_roles, *account)),
            AccessChange::Rules { .. } => f(&mut self.rules),
            AccessChange::ColumnKey { table, column, .. } => {
                f(self.column_keys.entry((*table, *column)).or_default());
            }
            AccessChange::DealIds { .. } => f(&mut self.deals),
        }
    }

    pub fn add(&mut self, no: usize, tx: &Tx) {
        for (item, i) in tx.items.iter().enumerate() {
            self.lists(tx, i, |list| list.push(Ref { tx: no, item }));
        }
    }

    /// Takes back what [`Indexes::add`] did last.
    pub fn take_back(&mut self, no: usize, tx: &Tx) {
        for i in &tx.items {
            self.lists(tx, i, |list| list.retain(|r| r.tx != no));
        }
    }
}

/// The node and the accounts that a change names.
pub(crate) fn named(change: &AccessChange) -> (Option<NodeId>, [Option<AccountId>; 2]) {
    match change {
        AccessChange::Admit { node, .. } | AccessChange::Remove { node, .. } => (Some(*node), [None, None]),
        AccessChange::Account { id: account, .. }
        | AccessChange::NewRole { id: account, .. }
        | AccessChange::DropAccount { account, .. }
        | AccessChange::RenameAccount { account, .. }
        | AccessChange::AddKey { account, .. }
        | AccessChange::DropKey { account, .. }
        | AccessChange::Delegate { account, .. }
        | AccessChange::Undelegate { account, .. }
        | AccessChange::Grant { to: account, .. }
        | AccessChange::Revoke { from: account, .. }
        | AccessChange::DefaultRoles { account, .. } => (None, [Some(*account), None]),
        AccessChange::GrantRole { role, to, .. } => (None, [Some(*role), Some(*to)]),
        AccessChange::RevokeRole { role, from, .. } => (None, [Some(*role), Some(*from)]),
        AccessChange::Genesis { .. }
        | AccessChange::Ticket { .. }
        | AccessChange::Rules { .. }
        | AccessChange::ColumnKey { .. }
        | AccessChange::DealIds { .. } => (None, [None, None]),
    }
}
