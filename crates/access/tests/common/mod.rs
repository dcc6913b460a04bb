//! A realm with a few nodes that write blocks on what they have seen, and observers that judge them.
#![allow(dead_code, missing_docs)]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use p2pdb_access::*;
use p2pdb_block::sign::public_key;
use p2pdb_block::{BodyBuilder, BuiltBody, Draft, FullBlock, SigningKey, node_id, seal};
use p2pdb_dag::{Dag, DagStore, MemStore};
use p2pdb_model::change::*;
use p2pdb_model::ids::{Cid, NodeId, ObjectId, ObjectKind, PublicKey};
use p2pdb_model::value::{RowKey, Value};
use p2pdb_model::{AccountId, Change, RealmId, Stamp};

pub fn node_key(n: usize) -> SigningKey {
    SigningKey::from_bytes(&[n as u8 + 1; 32])
}

pub fn node(n: usize) -> NodeId {
    node_id(&node_key(n))
}

pub fn account_key(n: usize) -> SigningKey {
    SigningKey::from_bytes(&[n as u8 + 101; 32])
}

pub fn ticket_key(n: usize) -> SigningKey {
    SigningKey::from_bytes(&[n as u8 + 201; 32])
}

pub fn ticket(n: usize) -> PublicKey {
    public_key(&ticket_key(n))
}

/// The public half of [`account_key`].
pub fn key(n: usize) -> PublicKey {
    public_key(&account_key(n))
}

const NAMES: [&str; 3] = ["root", "ann", "bob"];

pub fn account(n: usize) -> AccountId {
    AccountId::derive(NAMES[n], "%", &public_key(&account_key(n)))
}

pub fn new_account(n: usize, owner: bool) -> AccessChange {
    let (name, host, key) = (NAMES[n].to_owned(), "%".to_owned(), public_key(&account_key(n)));
    AccessChange::Account { id: account(n), name, host, key, owner }
}

pub fn database(name: &str) -> ObjectId {
    ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, name, None)
}

pub fn table(db: &str, name: &str) -> ObjectId {
    ObjectId::derive(ObjectKind::Table, database(db), name, None)
}

/// The column of `shop.till`.
pub fn column(name: &str) -> ObjectId {
    ObjectId::derive(ObjectKind::Column, table("shop", "till"), name, None)
}

/// The layouts of every block here: `shop.till` with columns `id`, `a`, `b`; with `a` alone; with none; `other.till`.
fn layouts() -> Vec<Layout> {
    let till = table("shop", "till");
    let tag = |name| column(name).tag();
    vec![
        Layout(till, 1, vec![tag("id"), tag("a"), tag("b")]),
        Layout(till, 0, vec![tag("a")]),
        Layout(till, 0, vec![]),
        Layout(table("other", "till"), 0, vec![]),
    ]
}

/// A row of `shop.till` deleted.
pub fn row() -> Vec<Change> {
    vec![Change::Row(RowChange::Delete { layout: 0, key: RowKey::int(1), cause: None })]
}

/// A row of `other.till` deleted.
pub fn other_row() -> Vec<Change> {
    vec![Change::Row(RowChange::Delete { layout: 3, key: RowKey::int(1), cause: None })]
}

pub fn insert() -> Vec<Change> {
    let values = vec![Value::Int(1); 3];
    vec![Change::Row(RowChange::Insert { layout: 0, key: None, generated: false, values })]
}

/// `a` alone gets another value.
pub fn update_a() -> Vec<Change> {
    let (key, values) = (RowKey::int(1), vec![Value::Int(2)]);
    vec![Change::Row(RowChange::Update { layout: 1, key, values, cause: None })]
}

/// `id`, `a` and `b` get other values.
pub fn update_all() -> Vec<Change> {
    let (key, values) = (RowKey::int(1), vec![Value::Int(2); 3]);
    vec![Change::Row(RowChange::Update { layout: 0, key, values, cause: None })]
}

/// The row is only referred to.
pub fn refer() -> Vec<Change> {
    vec![Change::Row(RowChange::Update { layout: 2, key: RowKey::int(1), values: vec![], cause: None })]
}

pub fn put(id: ObjectId, kind: ObjectKind, parent: ObjectId, name: Option<&str>) -> Change {
    let name = name.map(str::to_owned);
    let (definition, position, after) = (None, None, None);
    Change::Schema(SchemaChange::Put { id, kind, parent, name, definition, position, after })
}

/// CREATE TABLE `db`.`name` with a column.
pub fn create_table(db: &str, name: &str) -> Vec<Change> {
    let t = table(db, name);
    let id = ObjectId::derive(ObjectKind::Column, t, "id", None);
    vec![put(t, ObjectKind::Table, database(db), Some(name)), put(id, ObjectKind::Column, t, Some("id"))]
}

/// CREATE DATABASE.
pub fn create_database(name: &str) -> Vec<Change> {
    vec![put(database(name), ObjectKind::Database, ObjectId::ROOT, Some(name))]
}

pub fn role(name: &str) -> AccountId {
    AccountId::derive_role(name, "%")
}

pub fn new_role(name: &str) -> AccessChange {
    AccessChange::NewRole { id: role(name), name: name.to_owned(), host: "%".to_owned() }
}

pub fn grant(to: AccountId, on: Option<ObjectId>, rights: Rights) -> AccessChange {
    AccessChange::Grant { to, on, rights, until_ms: None, history: true }
}

pub fn revoke(from: AccountId, on: Option<ObjectId>, rights: Rights) -> AccessChange {
    AccessChange::Revoke { from, on, rights, keep: None }
}

pub fn access(changes: &[AccessChange]) -> Vec<Change> {
    changes.iter().cloned().map(Change::Access).collect()
}

/// Blocks with their causal past; nobody has judged them.
pub struct World {
    pub realm: RealmId,
    pub blocks: Vec<FullBlock>,
    pub pasts: Vec<BTreeSet<usize>>,
    pub index: HashMap<Cid, usize>,
    tips: HashMap<usize, usize>,
}

impl World {
    pub fn new() -> Self {
        let spec = GenesisSpec { name: "test", nonce: [1; 16], user: NAMES[0], host: "%", node: node(0) };
        let (root, changes) = genesis_changes(spec, &account_key(0));
        assert_eq!(root, account(0));
        let draft = Draft { rules: 1, seq: 1, prev: None, parents: vec![], stamp: Stamp::from_millis(1_000) };
        let g = seal(draft, body(root, changes), &node_key(0), None).unwrap();
        World {
            realm: RealmId(g.cid()),
            index: [(g.cid(), 0)].into(),
            blocks: vec![g],
            pasts: vec![BTreeSet::new()],
            tips: [(0, 0)].into(),
        }
    }

    /// Author `author` writes on what it has written before and on these blocks with all below them.
    pub fn write(&mut self, author: usize, on: &[usize], account: usize, changes: Vec<Change>) -> usize {
        let mut held: BTreeSet<usize> = BTreeSet::new();
        for i in on.iter().copied().chain(self.tips.get(&author).copied()) {
            held.insert(i);
            held.extend(self.pasts[i].iter().copied());
        }
        self.write_on(author, held, account, changes)
    }

    pub fn write_on(
        &mut self,
        author: usize,
        held: BTreeSet<usize>,
        by: usize,
        changes: Vec<Change>,
    ) -> usize {
        let inner: BTreeSet<usize> = held.iter().flat_map(|i| self.pasts[*i].clone()).collect();
        let parents = held.iter().filter(|i| !inner.contains(i)).map(|i| self.blocks[*i].cid()).collect();
        let tip = self.tips.get(&author).map(|t| &self.blocks[*t]);
        let floor = held.iter().map(|i| self.blocks[*i].stamp().millis()).max().unwrap_or(0);
        let stamp = Stamp::from_millis(floor + 1);
        let (prev, seq) = (tip.map(|t| t.cid()), tip.map_or(1, |t| t.seq() + 1));
        let draft = Draft { rules: 1, seq, prev, parents, stamp };
        let b = seal(draft, body(account(by), changes), &node_key(author), Some(&self.realm)).unwrap();
        let i = self.blocks.len();
        self.index.insert(b.cid(), i);
        self.blocks.push(b);
        self.pasts.push(held);
        self.tips.insert(author, i);
        i
    }

    /// The author's next block goes on from this one of its own, or begins a new chain.
    pub fn rewind(&mut self, author: usize, to: Option<usize>) {
        match to {
            Some(i) => self.tips.insert(author, i),
            None => self.tips.remove(&author),
        };
    }

    /// The last block of an author among these and all below them.
    pub fn seen(&self, author: usize, on: &BTreeSet<usize>) -> Vec<SeenTip> {
        let mut own: Vec<usize> =
            on.iter().copied().filter(|i| self.blocks[*i].author() == node(author)).collect();
        own.sort_by_key(|i| self.blocks[*i].seq());
        let Some(tip) = own.last() else { return Vec::new() };
        let (first, tip) = (&self.blocks[own[0]], &self.blocks[*tip]);
        vec![SeenTip { chain: first.cid(), seq: tip.seq(), tip: tip.cid() }]
    }

    pub fn below(&self, on: &[usize]) -> BTreeSet<usize> {
        on.iter().flat_map(|i| self.pasts[*i].iter().copied().chain([*i])).collect()
    }

    pub fn remove(&self, who: usize, seen: &[usize]) -> Vec<Change> {
        access(&[AccessChange::Remove { node: node(who), seen: self.seen(who, &self.below(seen)) }])
    }

    pub fn delegate(&self, a: usize, to: Delegate, until_ms: Option<u64>) -> AccessChange {
        delegation(account(a), to, until_ms, &account_key(a), Some(&self.realm))
    }

    /// A delegation of account `a`, signed by key `n`.
    pub fn delegate_by(&self, a: usize, n: usize, to: Delegate) -> AccessChange {
        delegation(account(a), to, None, &account_key(n), Some(&self.realm))
    }

    pub fn admit(&self, who: usize, role: Role, ticket_no: Option<usize>) -> AccessChange {
        let signature = |n| admission_signature(&ticket_key(n), &self.realm, &node(who));
        AccessChange::Admit {
            node: node(who),
            role,
            ticket: ticket_no.map(|n| (ticket(n), signature(n))),
            ids: None,
            dealer_ids: None,
            name: format!("node {who}"),
        }
    }
}

fn body(account: AccountId, changes: Vec<Change>) -> BuiltBody {
    let mut b = BodyBuilder::new();
    b.push(account, &layouts(), changes).unwrap();
    b.finish()
}

/// A node that applies blocks and keeps verdicts as the engine does: changed only where the fold says so.
pub struct Observer {
    pub dag: Dag,
    pub store: MemStore,
    pub access: Access,
    pub sites: BTreeMap<usize, Site>,
    pub verdicts: BTreeMap<usize, Verdict>,
}

impl Observer {
    pub fn new(w: &World) -> Self {
        Observer {
            dag: Dag::new(w.realm),
            store: MemStore::new(),
            access: Access::new(w.realm),
            sites: BTreeMap::new(),
            verdicts: BTreeMap::new(),
        }
    }

    pub fn apply(&mut self, w: &World, i: usize) {
        let b = &w.blocks[i];
        let placed = self.dag.append(b.verified(), &self.store).unwrap();
        self.store.insert(&placed);
        let site = Site::of(&placed);
        self.sites.insert(i, site.clone());
        let (account, changes) = (b.body().accounts()[0], b.body().transactions()[0].changes());
        self.access.note_objects(&site, 0, account, b.body().layouts(), changes);
        if !Access::is_access(changes) {
            self.verdicts.insert(i, self.access.judge(&site, 0, account, b.body().layouts(), changes));
            return;
        }
        let (dag, store) = (&self.dag, &self.store);
        let resolve = |cid: &Cid| match store.find(cid)? {
            Some(f) => dag.past(f.place, store).map(Some),
            None => Ok(None),
        };
        let judged = self.access.insert(site, 0, account, changes, resolve).unwrap();
        self.verdicts.insert(i, judged.verdict);
        for f in judged.flips {
            assert_eq!(f.transaction, 0);
            let old = self.verdicts.insert(w.index[&f.block], f.verdict);
            assert_ne!(old, Some(f.verdict));
        }
        for r in judged.rejudge {
            for (j, site) in &self.sites {
                let b = &w.blocks[*j];
                let (account, changes) = (b.body().accounts()[0], b.body().transactions()[0].changes());
                if !Access::is_access(changes) && r.concerns(site.author, account, site.chain, site.place()) {
                    let verdict = self.access.judge(site, 0, account, b.body().layouts(), changes);
                    self.verdicts.insert(*j, verdict);
                }
            }
        }
    }

    /// Applies everything in a causal order chosen by the seed.
    pub fn run(w: &World, mut seed: u64) -> Self {
        let mut o = Observer::new(w);
        let mut left: Vec<usize> = (0..w.blocks.len()).collect();
        while !left.is_empty() {
            let ready: Vec<usize> = (0..left.len())
                .filter(|n| w.pasts[left[*n]].iter().all(|p| o.sites.contains_key(p)))
                .collect();
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pick = left.remove(ready[(seed >> 33) as usize % ready.len()]);
            o.apply(w, pick);
        }
        o
    }

    /// All verdicts judged afresh.
    pub fn fresh(&self, w: &World) -> BTreeMap<usize, Verdict> {
        let judge = |i: &usize| {
            let b = &w.blocks[*i];
            let (account, changes) = (b.body().accounts()[0], b.body().transactions()[0].changes());
            self.access.judge(&self.sites[i], 0, account, b.body().layouts(), changes)
        };
        self.sites.keys().map(|i| (*i, judge(i))).collect()
    }
}

/// The verdicts, which must not depend on the order of arrival.
pub fn judge_all(w: &World) -> BTreeMap<usize, Verdict> {
    let first = Observer::run(w, 0);
    for seed in 1..12 {
        let o = Observer::run(w, seed);
        assert_eq!(o.verdicts, first.verdicts, "order {seed}");
        assert_eq!(o.verdicts, o.fresh(w), "what was kept is what would be judged now, order {seed}");
        assert_eq!(o.access.members(), first.access.members());
        assert_eq!(o.access.accounts(), first.access.accounts());
        assert_eq!(o.access.tickets(), first.access.tickets());
        assert_eq!(o.access.rules(), first.access.rules());
        let now = Stamp::from_millis(5_000);
        let grants = |o: &Observer| -> Vec<_> {
            o.access.accounts().iter().map(|a| o.access.grants(a.id, now)).collect()
        };
        assert_eq!(grants(&o), grants(&first));
        let columns: Vec<_> = first.access.sealed_columns().collect();
        assert_eq!(o.access.sealed_columns().collect::<Vec<_>>(), columns);
        for (table, column) in columns {
            assert_eq!(o.access.epochs(table, column), first.access.epochs(table, column));
            let readers = |o: &Observer| o.access.readers(table, column, now);
            assert_eq!(readers(&o), readers(&first));
        }
        for (i, site) in &o.sites {
            let rules = |o: &Observer| o.access.rules_after(std::slice::from_ref(&o.sites[i].past));
            assert_eq!(rules(&o), rules(&first), "behind block {i}, order {seed}, at {:?}", site.block);
        }
    }
    first.verdicts
}

pub const OK: Verdict = Verdict::Accepted;

pub fn void(r: Reason) -> Verdict {
    Verdict::Void(r)
}

#[track_caller]
pub fn expect(w: &World, expected: &[(usize, Verdict)]) {
    let verdicts = judge_all(w);
    for (i, v) in expected {
        assert_eq!(verdicts[i], *v, "block {i}");
    }
}
