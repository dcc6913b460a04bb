//! Which transactions count: `docs/security.md` sections 4 to 6, for what happens in worlds, by a code of its own.
//!
//! In worlds the founder is never removed, the realm's first account (root) loses nothing, and beside it only the account
//! `boss` gives and takes; from boss only root takes. So the ranks of those who take are known beforehand: root before boss, and of
//! each the founder's node before others. Whether a taking counts is asked heeding those of lesser ranks, and those that it knows of;
//! everything else heeds all takings that count. Each answer rests on earlier places or lesser ranks, so there is an end to it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use p2pdb_block::FullBlock;
use p2pdb_model::change::{AccessChange, Delegate, RowChange, SchemaChange, SeenTip};
use p2pdb_model::ids::{ColumnTag, NodeId, ObjectKind, PublicKey};
use p2pdb_model::schema::Definition;
use p2pdb_model::{AccountId, Change, Cid, ObjectId, Privileges};

use super::log::has;

/// Where in the log: block (in causal order) and transaction.
pub type Place = (usize, usize);

/// What may be given and taken.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Admission(NodeId),
    Account(AccountId),
    Delegation(AccountId, NodeId),
    Key(AccountId, PublicKey),
    /// To whom, on what.
    Rights(AccountId, Option<ObjectId>),
    /// Which, to whom.
    Role(AccountId, AccountId),
}

/// Heeded are takings of lesser ranks; none: all. Account and node, 0 for those that began the realm.
type Limit = Option<(u8, u8)>;

struct Item<'a> {
    at: Place,
    what: What,
    /// Of rights; otherwise all.
    bits: Privileges,
    /// Of rights, those on columns.
    columns: &'a [(ColumnTag, Privileges)],
    /// Nothing is left of it at later stamps.
    until_ms: Option<u64>,
    /// What a taking lets stand; none: its causal past.
    keep: Option<&'a [SeenTip]>,
    /// Of a delegation, the key that has signed it.
    signer: Option<PublicKey>,
}

impl Item<'_> {
    /// This takes what that gives, or the key that has signed it.
    fn takes(&self, given: &Item<'_>) -> bool {
        let signed = |key| matches!(given.what, What::Delegation(a, _) if self.what == What::Key(a, key));
        self.what == given.what || given.signer.is_some_and(signed)
    }
}

/// Rights on an object, and on columns of it.
#[derive(Clone, Default)]
struct Rights {
    whole: Privileges,
    columns: BTreeMap<ColumnTag, Privileges>,
}

impl Rights {
    fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.columns.values().all(|p| p.is_empty())
    }

    fn add(&mut self, other: Rights) {
        self.whole |= other.whole;
        for (column, p) in other.columns {
            let all = self.columns.entry(column).or_insert(Privileges::NONE);
            *all |= p;
        }
    }

    /// Taken from the whole, a right is taken from each column too.
    fn take(&mut self, taken: &Item<'_>) {
        self.whole = self.whole & !taken.bits;
        for (column, p) in &mut self.columns {
            let of_column = taken.columns.iter().find(|(c, _)| c == column);
            *p = *p & !(taken.bits | of_column.map_or(Privileges::NONE, |(_, p)| *p));
        }
    }

    /// Any of these, on the whole or on each of some columns.
    fn permits(&self, need: Privileges, columns: &[ColumnTag]) -> bool {
        let on = |c: &ColumnTag| self.columns.get(c).is_some_and(|p| p.intersects(need));
        self.whole.intersects(need) || (!columns.is_empty() && columns.iter().all(on))
    }
}

/// See the module.
pub struct Verdicts<'a> {
    blocks: &'a [FullBlock],
    past: &'a [Vec<u64>],
    index: &'a HashMap<Cid, usize>,
    given: Vec<Item<'a>>,
    taken: Vec<Item<'a>>,
    root: Option<AccountId>,
    boss: BTreeSet<AccountId>,
    /// Per transaction, the accounts that must be there for what it does.
    wants: HashMap<Place, Vec<AccountId>>,
    /// Where tables were made.
    homes: HashMap<ObjectId, ObjectId>,
    /// The sealed columns.
    sealed: BTreeSet<ColumnTag>,
    /// What was given until some time is left so much longer, milliseconds.
    pub slack_ms: u64,
    members: RefCell<HashMap<(usize, Limit), bool>>,
    counting: RefCell<HashMap<(Place, Limit), bool>>,
}

impl<'a> Verdicts<'a> {
    /// Reads what is given and taken.
    pub fn read(
        blocks: &'a [FullBlock],
        past: &'a [Vec<u64>],
        index: &'a HashMap<Cid, usize>,
    ) -> Verdicts<'a> {
        let mut all = Verdicts {
            blocks,
            past,
            index,
            given: Vec::new(),
            taken: Vec::new(),
            root: None,
            boss: BTreeSet::new(),
            wants: HashMap::new(),
            homes: HashMap::new(),
            sealed: BTreeSet::new(),
            slack_ms: 0,
            members: RefCell::default(),
            counting: RefCell::default(),
        };
        for (b, block) in blocks.iter().enumerate() {
            for (t, tx) in block.body().transactions().iter().enumerate() {
                // In worlds a key signs where it begins, and nowhere else.
                let mut keys = HashMap::new();
                for change in tx.changes() {
                    match change {
                        Change::Access(change) => {
                            if let AccessChange::Account { id: account, key, .. }
                            | AccessChange::AddKey { account, key } = change
                            {
                                keys.insert(*account, *key);
                            }
                            all.note((b, t), block.author(), change, &keys);
                        }
                        Change::Schema(SchemaChange::Put { id, kind, parent, definition, .. }) => {
                            if *kind == ObjectKind::Table {
                                all.homes.entry(*id).or_insert(*parent);
                            }
                            if matches!(definition.as_deref(), Some(Definition::Column(c)) if c.is_sealed()) {
                                all.sealed.insert(id.tag());
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        all
    }

    fn note(
        &mut self,
        at: Place,
        author: NodeId,
        change: &'a AccessChange,
        keys: &HashMap<AccountId, PublicKey>,
    ) {
        let every = Privileges::EVERY;
        let item =
            |what, bits| Item { at, what, bits, columns: &[], until_ms: None, keep: None, signer: None };
        let mut gives = |what, bits| self.given.push(item(what, bits));
        let mut takes = |what, bits, keep| self.taken.push(Item { keep, ..item(what, bits) });
        let mut wants = |account: &AccountId| self.wants.entry(at).or_default().push(*account);
        match change {
            AccessChange::DropAccount { account, .. }
            | AccessChange::Delegate { account, .. }
            | AccessChange::Undelegate { account, .. }
            | AccessChange::AddKey { account, .. }
            | AccessChange::DropKey { account, .. }
            | AccessChange::Grant { to: account, .. } => wants(account),
            AccessChange::GrantRole { role, to, .. } => [role, to].into_iter().for_each(wants),
            _ => {}
        }
        match change {
            AccessChange::Genesis { .. } => gives(What::Admission(author), every),
            AccessChange::Admit { node, .. } => gives(What::Admission(*node), every),
            AccessChange::Remove { node, seen } => takes(What::Admission(*node), every, Some(seen)),
            AccessChange::Account { id, name, owner, .. } => {
                if *owner {
                    self.root = Some(*id);
                } else if name == "boss" {
                    self.boss.insert(*id);
                }
                gives(What::Account(*id), every);
            }
            // A role is an account without a key.
            AccessChange::NewRole { id, .. } => gives(What::Account(*id), every),
            AccessChange::DropAccount { account, keep } => {
                takes(What::Account(*account), every, keep.as_deref())
            }
            AccessChange::Delegate { account, to: Delegate::Node(node), until_ms, .. } => {
                let what = What::Delegation(*account, *node);
                let signer = keys.get(account).copied();
                self.given.push(Item { until_ms: *until_ms, signer, ..item(what, every) });
            }
            AccessChange::DropKey { account, key, keep } => {
                takes(What::Key(*account, *key), every, keep.as_deref());
            }
            AccessChange::Undelegate { account, from: Delegate::Node(node), seen } => {
                takes(What::Delegation(*account, *node), every, Some(seen));
            }
            AccessChange::Grant { to, on, rights, until_ms, .. } => {
                let given = item(What::Rights(*to, *on), rights.whole);
                self.given.push(Item { columns: &rights.columns, until_ms: *until_ms, ..given });
            }
            AccessChange::Revoke { from, on, rights, keep } => {
                let taken = item(What::Rights(*from, *on), rights.whole);
                self.taken.push(Item { columns: &rights.columns, keep: keep.as_deref(), ..taken });
            }
            AccessChange::GrantRole { role, to, until_ms, .. } => {
                self.given.push(Item { until_ms: *until_ms, ..item(What::Role(*role, *to), every) });
            }
            AccessChange::RevokeRole { role, from, keep } => {
                takes(What::Role(*role, *from), every, keep.as_deref());
            }
            _ => {}
        }
    }

    fn before(&self, a: Place, b: Place) -> bool {
        if a.0 == b.0 { a.1 < b.1 } else { has(&self.past[b.0], a.0) }
    }

    fn founder(&self) -> Option<NodeId> {
        self.blocks.first().map(|b| b.author())
    }

    fn actor(&self, at: Place) -> AccountId {
        let body = self.blocks[at.0].body();
        body.accounts()[body.transactions()[at.1].account()]
    }

    fn rank(&self, at: Place) -> (u8, u8) {
        let is_first = Some(self.blocks[at.0].author()) == self.founder();
        (u8::from(Some(self.actor(at)) != self.root), u8::from(!is_first))
    }

    /// The taking reaches what stands at this place: it is known there, or heeded and there is no word of that in what it had seen.
    fn reaches(&self, taking: &Item<'_>, at: Place, limit: Limit) -> bool {
        let covers =
            |tip: &SeenTip| self.index.get(&tip.tip).is_some_and(|t| *t == at.0 || has(&self.past[*t], at.0));
        let stands = || match taking.keep {
            None => self.before(at, taking.at),
            Some(tips) => tips.iter().any(covers),
        };
        self.before(taking.at, at) || (limit.is_none_or(|limit| self.rank(taking.at) < limit) && !stands())
    }

    /// What is left at a place of what was given.
    fn left(&self, given: &Item<'_>, at: Place, limit: Limit) -> Rights {
        let stamp_ms = self.blocks[at.0].stamp().millis();
        let over = given.until_ms.is_some_and(|until_ms| stamp_ms > until_ms + self.slack_ms);
        if over || !self.before(given.at, at) || !self.counts(given.at, limit) {
            return Rights::default();
        }
        let takings = self.taken.iter().filter(|t| t.takes(given) && !self.before(t.at, given.at));
        let takings =
            takings.filter(|t| self.reaches(t, at, limit) && self.counts(t.at, Some(self.rank(t.at))));
        let mut left = Rights { whole: given.bits, columns: given.columns.iter().copied().collect() };
        takings.for_each(|t| left.take(t));
        left
    }

    fn holds(&self, what: What, at: Place, limit: Limit) -> bool {
        self.given.iter().any(|g| g.what == what && !self.left(g, at, limit).is_empty())
    }

    fn is_member(&self, at: Place, limit: Limit) -> bool {
        let author = self.blocks[at.0].author();
        if Some(author) == self.founder() {
            return true;
        }
        // A block has one author.
        let known = self.members.borrow().get(&(at.0, limit)).copied();
        known.unwrap_or_else(|| {
            let is = self.holds(What::Admission(author), (at.0, 0), limit);
            self.members.borrow_mut().insert((at.0, limit), is);
            is
        })
    }

    /// A transaction that gives or takes counts.
    fn counts(&self, at: Place, limit: Limit) -> bool {
        let known = self.counting.borrow().get(&(at, limit)).copied();
        known.unwrap_or_else(|| {
            let actor = self.actor(at);
            let of_realm = || self.given.iter().filter(|g| g.what == What::Rights(actor, None));
            let drops_own = |c: &Change| {
                matches!(c, Change::Access(AccessChange::DropKey { account, .. }) if *account == actor)
            };
            let may = Some(actor) == self.root
                || self.blocks[at.0].body().transactions()[at.1].changes().iter().all(drops_own)
                || (self.boss.contains(&actor) && of_realm().any(|g| !self.left(g, at, limit).is_empty()));
            // What it makes itself is there.
            let there = |account: &AccountId| {
                let makes = |g: &Item<'_>| g.at == at && g.what == What::Account(*account);
                self.given.iter().any(makes)
                    || Some(*account) == self.root
                    || self.holds(What::Account(*account), at, limit)
            };
            let counts =
                may && self.acts(at, limit) && self.wants.get(&at).is_none_or(|all| all.iter().all(there));
            self.counting.borrow_mut().insert((at, limit), counts);
            counts
        })
    }

    /// The transaction's author is a member and may act for its account.
    fn acts(&self, at: Place, limit: Limit) -> bool {
        let (actor, author) = (self.actor(at), self.blocks[at.0].author());
        self.is_member(at, limit)
            && (Some(actor) == self.root
                || (self.holds(What::Account(actor), at, limit)
                    && self.holds(What::Delegation(actor, author), at, limit)))
    }

    /// What the account may do to rows of a table, by what was granted on it, on its database, or on the realm.
    fn rights(&self, account: AccountId, table: ObjectId, at: Place) -> Rights {
        let mut holders = vec![account];
        for g in &self.given {
            if let What::Role(role, to) = g.what
                && to == account
                && !self.left(g, at, None).is_empty()
            {
                holders.push(role);
            }
        }
        let on = |g: &&Item<'_>| {
            matches!(g.what, What::Rights(to, on) if holders.contains(&to)
                && on.is_none_or(|on| on == table || self.homes.get(&table) == Some(&on)))
        };
        let mut all = Rights::default();
        self.given.iter().filter(on).for_each(|g| all.add(self.left(g, at, None)));
        all
    }

    /// The account may read the column.
    fn reads(&self, account: AccountId, table: ObjectId, column: ColumnTag, at: Place) -> bool {
        Some(account) == self.root || self.rights(account, table, at).permits(Privileges::SELECT, &[column])
    }

    /// The account might read the sealed column of this table on this node, which it had named itself.
    pub fn might_read(
        &self,
        account: AccountId,
        node: NodeId,
        (table, column): (ObjectId, ColumnTag),
        at: Place,
    ) -> bool {
        let founder = Some(node) == self.founder();
        // Root named the founder's node alone.
        let named = (founder && Some(account) == self.root)
            || (self.holds(What::Account(account), at, None)
                && self.holds(What::Delegation(account, node), at, None));
        let member = founder || self.holds(What::Admission(node), at, None);
        named && member && self.reads(account, table, column, at)
    }

    /// What the transaction inserts into this table may not overwrite anything.
    pub fn adds_only(&self, at: Place, table: ObjectId) -> bool {
        let actor = self.actor(at);
        if Some(actor) == self.root {
            return false;
        }
        let rights = self.rights(actor, table, at);
        let body = self.blocks[at.0].body();
        body.transactions()[at.1].changes().iter().any(|change| {
            let Change::Row(row @ RowChange::Insert { .. }) = change else { return false };
            let layout = &body.layouts()[row.layout()];
            layout.table() == table && !rights.permits(Privileges::UPDATE, layout.columns())
        })
    }

    /// The transaction counts.
    pub fn accepted(&self, at: Place) -> bool {
        let block = &self.blocks[at.0];
        let tx = &block.body().transactions()[at.1];
        let actor = self.actor(at);
        if matches!(tx.changes(), [Change::Access(AccessChange::DealIds { .. })]) {
            // What it gives is another matter.
            return self.acts(at, None);
        }
        let key_of = |c: &Change| match c {
            Change::Access(AccessChange::ColumnKey { table, column, .. }) => Some((*table, *column)),
            _ => None,
        };
        if let Some(keys) = tx.changes().iter().map(key_of).collect::<Option<Vec<_>>>()
            && !keys.is_empty()
        {
            // Who may read a column may give keys of it.
            let may = |(table, column): (ObjectId, ColumnTag)| self.reads(actor, table, column, at);
            return self.acts(at, None) && keys.into_iter().all(may);
        }
        if tx.changes().iter().any(|c| matches!(c, Change::Access(_))) {
            let takes = self.taken.iter().any(|t| t.at == at);
            return self.counts(at, takes.then(|| self.rank(at)));
        }
        if Some(actor) == self.root {
            return self.is_member(at, None);
        }
        let layouts = block.body().layouts();
        let allowed = |change: &Change| {
            let Change::Row(row) = change else { return false };
            let layout = &layouts[row.layout()];
            let rights = self.rights(actor, layout.table(), at);
            let sealed: Vec<ColumnTag> =
                layout.columns().iter().filter(|c| self.sealed.contains(c)).copied().collect();
            let gives = matches!(row, RowChange::Insert { .. } | RowChange::Update { .. });
            if gives && !sealed.is_empty() && !rights.permits(Privileges::SELECT, &sealed) {
                return false;
            }
            match row {
                RowChange::Insert { .. } => rights.permits(Privileges::INSERT, layout.columns()),
                RowChange::Delete { .. } => rights.permits(Privileges::DELETE, &[]),
                RowChange::Update { .. } if layout.columns().is_empty() => {
                    let any =
                        Privileges::SELECT | Privileges::INSERT | Privileges::UPDATE | Privileges::DELETE;
                    rights.whole.intersects(any) || rights.columns.values().any(|p| p.intersects(any))
                }
                RowChange::Update { .. } | RowChange::Edit { .. } => {
                    rights.permits(Privileges::UPDATE, layout.columns())
                }
            }
        };
        self.acts(at, None) && tx.changes().iter().all(allowed)
    }
}
