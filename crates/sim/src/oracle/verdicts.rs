//! Which transactions count: `docs/security.md` sections 4 to 6, for what happens in worlds, by a code of its own.
//!
//! In worlds the founder is never removed, the realm's first account (root) loses nothing, and beside it only the account
//! `boss` gives and takes; from boss only root takes. So the ranks of those who take are known beforehand: root before boss, and of
//! each the founder's node before others. Whether a taking counts is asked heeding those of lesser ranks, and those that it knows of;
//! everything else heeds all takings that count. Each answer rests on earlier places or lesser ranks, so there is an end to it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use p2pdb_block::FullBlock;
use p2pdb_model::change::{AccessChange, Delegate, RowChange, SeenTip};
use p2pdb_model::ids::NodeId;
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
    /// What a taking lets stand; none: its causal past.
    keep: Option<&'a [SeenTip]>,
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
            members: RefCell::default(),
            counting: RefCell::default(),
        };
        for (b, block) in blocks.iter().enumerate() {
            for (t, tx) in block.body().transactions().iter().enumerate() {
                for change in tx.changes() {
                    if let Change::Access(change) = change {
                        all.note((b, t), block.author(), change);
                    }
                }
            }
        }
        all
    }

    fn note(&mut self, at: Place, author: NodeId, change: &'a AccessChange) {
        let every = Privileges::EVERY;
        let mut gives = |what, bits| self.given.push(Item { at, what, bits, keep: None });
        let mut takes = |what, bits, keep| self.taken.push(Item { at, what, bits, keep });
        let mut wants = |account: &AccountId| self.wants.entry(at).or_default().push(*account);
        match change {
            AccessChange::DropAccount { account, .. }
            | AccessChange::Delegate { account, .. }
            | AccessChange::Undelegate { account, .. }
            | AccessChange::AddKey { account, .. }
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
            AccessChange::Delegate { account, to: Delegate::Node(node), .. } => {
                gives(What::Delegation(*account, *node), every);
            }
            AccessChange::Undelegate { account, from: Delegate::Node(node), seen } => {
                takes(What::Delegation(*account, *node), every, Some(seen));
            }
            AccessChange::Grant { to, on, rights, .. } => gives(What::Rights(*to, *on), rights.whole),
            AccessChange::Revoke { from, on, rights, keep } => {
                takes(What::Rights(*from, *on), rights.whole, keep.as_deref());
            }
            AccessChange::GrantRole { role, to, .. } => gives(What::Role(*role, *to), every),
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
    fn left(&self, given: &Item<'_>, at: Place, limit: Limit) -> Privileges {
        if !self.before(given.at, at) || !self.counts(given.at, limit) {
            return Privileges::NONE;
        }
        let takings = self.taken.iter().filter(|t| t.what == given.what && !self.before(t.at, given.at));
        let takings =
            takings.filter(|t| self.reaches(t, at, limit) && self.counts(t.at, Some(self.rank(t.at))));
        takings.fold(given.bits, |left, t| left & !t.bits)
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
            let may = Some(actor) == self.root
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

    /// What the account may do to rows of a table; all other objects that are granted are above it.
    fn rights(
        &self,
        account: AccountId,
        table: ObjectId,
        tables: &BTreeSet<ObjectId>,
        at: Place,
    ) -> Privileges {
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
                && on.is_none_or(|on| on == table || !tables.contains(&on)))
        };
        self.given.iter().filter(on).fold(Privileges::NONE, |all, g| all | self.left(g, at, None))
    }

    /// What the transaction inserts into this table may not overwrite anything.
    pub fn adds_only(&self, at: Place, table: ObjectId, tables: &BTreeSet<ObjectId>) -> bool {
        let actor = self.actor(at);
        Some(actor) != self.root && !self.rights(actor, table, tables, at).contains(Privileges::UPDATE)
    }

    /// The transaction counts.
    pub fn accepted(&self, at: Place, tables: &BTreeSet<ObjectId>) -> bool {
        let block = &self.blocks[at.0];
        let tx = &block.body().transactions()[at.1];
        let actor = self.actor(at);
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
            let need = match row {
                RowChange::Insert { .. } => Privileges::INSERT,
                RowChange::Delete { .. } => Privileges::DELETE,
                RowChange::Update { .. } if layout.columns().is_empty() => {
                    Privileges::SELECT | Privileges::INSERT | Privileges::UPDATE | Privileges::DELETE
                }
                RowChange::Update { .. } | RowChange::Edit { .. } => Privileges::UPDATE,
            };
            self.rights(actor, layout.table(), tables, at).intersects(need)
        };
        self.acts(at, None) && tx.changes().iter().all(allowed)
    }
}
