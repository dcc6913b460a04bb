//! A small world of nodes for the tests of merging: the real store, the real log, signed blocks, and a DAG of sets.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use p2pdb_block::{BodyBuilder, Draft, FullBlock, SigningKey, node_id, seal};
use p2pdb_model::change::SchemaChange;
use p2pdb_model::ids::{Cid, ObjectId, ObjectKind};
use p2pdb_model::schema::*;
use p2pdb_model::types::{Collation, IntSize};
use p2pdb_model::{
    AccountId, Catalog, Change, ColumnTag, RealmId, SqlType, Stamp, Value, ValueRef, WeakInserts,
};
use tempfile::TempDir;

use crate::displaced::{Place, Run};
use crate::open_testing::scratch;
use crate::*;

/// In a statement: it adds to the counters that it changes, rather than assigning to them.
pub(crate) const ADDS: &str = "/* adds */";

const ACCOUNT: AccountId = AccountId([1; 16]);

/// All blocks that were ever written, with their causal pasts.
#[derive(Default)]
pub(crate) struct World {
    pub blocks: Vec<FullBlock>,
    numbers: HashMap<Cid, usize>,
    past: Vec<HashSet<usize>>,
    /// Blocks whose inserts are weak.
    pub adding: BTreeSet<usize>,
    realm: Option<RealmId>,
}

impl World {
    fn add(&mut self, block: FullBlock) -> usize {
        let mut past = HashSet::new();
        for parent in block.header().all_parents() {
            let n = self.numbers[parent];
            past.insert(n);
            past.extend(&self.past[n]);
        }
        let n = self.blocks.len();
        self.numbers.insert(block.cid(), n);
        self.past.push(past);
        self.blocks.push(block);
        n
    }
}

/// A node.
pub(crate) struct Node {
    _dir: TempDir,
    pub writer: Writer,
    pub merger: Merger,
    world: Rc<RefCell<World>>,
    key: SigningKey,
    /// Blocks in the order of application: `held[no - 1]`.
    pub held: Vec<usize>,
    /// Keys of the next inserts come from AUTO_INCREMENT.
    pub generated: bool,
    /// The next inserts are weak.
    pub adding: bool,
    /// The next inserts name no column that holds what nobody has to write.
    pub leaves_out: bool,
    prev: Option<usize>,
    branches: HashMap<Cid, u32>,
}

/// A collation that folds ASCII case, under a name that the schema knows.
pub(crate) fn functions() -> Functions {
    let fold = |a: &str, b: &str| a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase());
    let bytes = |a: &str, b: &str| a.cmp(b);
    let collation = |of: Collation, compare: fn(&str, &str) -> std::cmp::Ordering| CollationSequence {
        name: of.name().to_owned(),
        compare: Arc::new(compare),
    };
    let collations =
        vec![collation(Collation::Utf8mb4GeneralCi, fold), collation(Collation::Utf8mb4Bin, bytes)];
    Functions { collations, ..Functions::default() }
}

/// Defaults are integers or texts; CHECKs are SQLite text with `{column}` for the columns. Integers become their text; of
/// texts every third number fits no integer. JSON and texts are the same.
pub(crate) fn meaning() -> Meaning {
    let default: DefaultOf = Arc::new(|def, _| match &def.default {
        Some(DefaultValue::Literal(text)) => text.parse().map_or(Value::Text(text.clone()), Value::Int),
        _ => Value::Null,
    });
    let check: CheckOf = Arc::new(|table, check| {
        let mut sql = check.def.expression.clone();
        for c in &table.columns {
            sql = sql.replace(&format!("{{{}}}", c.name), &c.physical());
        }
        (!sql.contains('{')).then_some(sql)
    });
    let conversion: ConversionOf = Arc::new(|from, to| {
        let (from, to) = (from.clone(), to.clone());
        let range = |ty: &SqlType| match ty {
            SqlType::Int { size, unsigned, .. } => Some(size.range(*unsigned)),
            _ => None,
        };
        let is_text = |ty: &SqlType| matches!(ty, SqlType::VarChar { .. });
        let converts = match (range(&from), range(&to)) {
            (Some(from), Some(to)) => from.0 < to.0 || from.1 > to.1,
            (None, None) => is_text(&from) != is_text(&to),
            _ => true,
        };
        let convert: Conversion = Arc::new(move |value| {
            let number = match value {
                Value::Int(n) => Some(*n),
                Value::Text(t) => t.parse().ok().filter(|n| n % 3 != 0),
                _ => return Converted { value: Value::Null, lossy: false },
            };
            match (range(&to), value) {
                (Some((least, greatest)), _) => {
                    let wanted = i128::from(number.unwrap_or(-1));
                    let held = wanted.clamp(least, greatest);
                    let lossy = number.is_none() || held != wanted;
                    Converted { value: Value::Int(held as i64), lossy }
                }
                (None, Value::Int(n)) => Converted { value: Value::Text(n.to_string()), lossy: false },
                (None, other) => Converted { value: other.clone(), lossy: false },
            }
        });
        converts.then_some(convert)
    });
    let generated: GeneratedOf = Arc::new(|table, tag| {
        let column = table.column_by_tag(tag)?;
        let mut sql = column.def.generated.as_ref()?.expression.clone();
        for c in table.columns.iter().filter(|c| c.def.generated.is_none()) {
            sql = sql.replace(&format!("{{{}}}", c.name), &c.physical());
        }
        (!sql.contains('{')).then_some(sql)
    });
    let words: crate::meaning::WordsOf = Arc::new(|_, index| {
        let columns = index
            .def
            .parts
            .iter()
            .map(|p| format!("lower(hex({}))", p2pdb_model::catalog::physical_column(p.column)));
        index.def.fulltext.then(|| columns.collect())
    });
    let look = Arc::new(|_: &_, column: &p2pdb_model::catalog::Column| column.physical());
    let renamed: RenamedIn = Arc::new(|text, name| {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            out += before;
            rest = behind;
            match behind.split_once('}') {
                Some((column, after)) if column.chars().all(char::is_alphanumeric) => {
                    out += &format!("{{{}}}", name(column).unwrap_or_else(|| column.to_owned()));
                    rest = after;
                }
                _ => out.push('{'),
            }
        }
        out + rest
    });
    Meaning { default, conversion, check, generated, words, look, renamed }
}

pub(crate) fn world() -> Rc<RefCell<World>> {
    Rc::default()
}

impl Node {
    pub(crate) fn new(n: u8, world: &Rc<RefCell<World>>) -> Self {
        let (dir, mut options) = scratch();
        options.functions = Arc::new(functions());
        let writer = Writer::create(&options).expect("a new store");
        let nothing = |_, _| Ok(false);
        let merger = Merger::load(&writer, &nothing, meaning()).expect("an empty schema");
        let key = SigningKey::from_bytes(&[n; 32]);
        let world = world.clone();
        let (held, branches) = (Vec::new(), HashMap::new());
        Node {
            _dir: dir,
            writer,
            merger,
            world,
            key,
            held,
            generated: false,
            adding: false,
            leaves_out: false,
            prev: None,
            branches,
        }
    }

    /// A new node in the same world.
    pub(crate) fn another(&self, n: u8) -> Node {
        Node::new(n, &self.world)
    }

    fn heads(&self) -> Vec<usize> {
        let world = self.world.borrow();
        let inner: HashSet<usize> = self.held.iter().flat_map(|h| &world.past[*h]).copied().collect();
        self.held.iter().copied().filter(|h| !inner.contains(h)).collect()
    }

    fn draft(&self, clock: u64) -> Draft {
        let world = self.world.borrow();
        let floor = self.held.iter().map(|h| world.blocks[*h].stamp().0).max().unwrap_or(0);
        Draft {
            rules: 1,
            seq: self.prev.map_or(1, |p| world.blocks[p].seq() + 1),
            prev: self.prev.map(|p| world.blocks[p].cid()),
            parents: self.heads().into_iter().map(|h| world.blocks[h].cid()).collect(),
            stamp: Stamp(floor.max(clock) + 1),
        }
    }

    fn append(&mut self, n: usize, verdict: Verdict) -> (BlockNo, TxNo) {
        let block = self.world.borrow().blocks[n].clone();
        let header = block.header();
        let branch = match header.prev.and_then(|p| self.branches.get(&p).copied()) {
            Some(branch) => branch,
            None => {
                let no = self.branches.values().max().map_or(0, |b| b + 1);
                let author = header.author;
                self.writer
                    .add_branch(&NewBranch {
                        no: BranchNo(no),
                        author,
                        first: block.cid(),
                        fork: None,
                        first_seq: header.seq,
                    })
                    .expect("added");
                no
            }
        };
        self.branches.insert(block.cid(), branch);
        let (no, _) = self.writer.next_numbers().expect("numbers");
        let weak = self.weak_of(n);
        let has_seen_all = self.held.iter().all(|held| self.world.borrow().past[n].contains(held));
        let new = |_| NewTransaction { account: ACCOUNT, verdict, weak: weak.clone() };
        let transactions: Vec<NewTransaction> = block.body().transactions().iter().map(new).collect();
        let gone: Vec<Cid> = header.all_parents().copied().collect();
        let first = self
            .writer
            .append_block(&NewBlock {
                no,
                block: block.verified(),
                bodies: block.parts(),
                branch: BranchNo(branch),
                unseen: if has_seen_all { Unseen::Nothing } else { Unseen::List(&[0, 0]) },
                heads_gone: &gone,
                arrived_ms: 0,
                transactions: &transactions,
                access: &[],
            })
            .expect("appended");
        self.held.push(n);
        (no, first)
    }

    fn weak_of(&self, n: usize) -> WeakInserts {
        let world = self.world.borrow();
        let layouts = world.blocks[n].body().layouts().iter().map(|l| l.table());
        let layouts = layouts.flat_map(|t| [(t, false), (t, true)]);
        if world.adding.contains(&n) { layouts.collect() } else { WeakInserts::NONE }
    }

    /// Runs `f` with this node's merger and an oracle of ancestry.
    pub(crate) fn merging<T>(
        &mut self,
        f: impl FnOnce(&mut Merger, &Writer, IsAncestor<'_>) -> Result<T>,
    ) -> T {
        let world = self.world.borrow();
        let held = &self.held;
        let is_ancestor = |a: BlockNo, b: BlockNo| {
            let (a, b) = (held[a.0 as usize - 1], held[b.0 as usize - 1]);
            Ok(world.past[b].contains(&a))
        };
        f(&mut self.merger, &self.writer, &is_ancestor).expect("merged")
    }

    /// Applies a block of another node, if everything before it is here.
    pub(crate) fn receive(&mut self, n: usize) -> bool {
        self.receive_judged(n, Verdict::ACCEPTED)
    }

    pub(crate) fn receive_judged(&mut self, n: usize, verdict: Verdict) -> bool {
        let known = self.held.contains(&n) || {
            let world = self.world.borrow();
            !world.past[n].iter().all(|p| self.held.contains(p))
        };
        if known {
            return false;
        }
        self.writer.begin().expect("begun");
        let (no, _) = self.append(n, verdict);
        let block = self.world.borrow().blocks[n].clone();
        self.merging(|m, w, a| m.apply(w, a, no, block.body(), block.index()));
        self.writer.commit().expect("committed");
        self.merger.committed();
        true
    }

    /// Everything that another node holds, in its order.
    pub(crate) fn pull(&mut self, other: &Node) {
        for n in other.held.clone() {
            self.receive(n);
        }
    }

    fn write(
        &mut self,
        layouts: &[p2pdb_model::change::Layout],
        changes: Vec<Change>,
        draft: Draft,
    ) -> usize {
        let mut body = BodyBuilder::new();
        body.push(ACCOUNT, layouts, changes).expect("a good transaction");
        self.seal(body, draft)
    }

    fn seal(&mut self, body: BodyBuilder, draft: Draft) -> usize {
        let mut world = self.world.borrow_mut();
        let realm = world.realm;
        let genesis = draft.prev.is_none() && draft.parents.is_empty();
        let realm = if genesis { None } else { realm };
        let block = seal(draft, body.finish(), &self.key, realm.as_ref()).expect("a good block");
        if genesis && world.realm.is_none() {
            world.realm = Some(RealmId(block.cid()));
        }
        let n = world.add(block);
        self.prev = Some(n);
        n
    }

    /// Writes schema changes as one transaction.
    pub(crate) fn ddl(&mut self, changes: Vec<SchemaChange>) -> usize {
        self.changes(&[], changes.into_iter().map(Change::Schema).collect())
    }

    /// Writes changes as they are, and applies them like a stranger's.
    pub(crate) fn changes(&mut self, layouts: &[p2pdb_model::change::Layout], changes: Vec<Change>) -> usize {
        let draft = self.draft(0);
        let n = self.write(layouts, changes, draft);
        assert!(self.receive(n));
        n
    }

    /// Runs statements as one local transaction. `?v` stands for the version. Statements that are refused have no
    /// effect. Gives the block, if anything changed.
    pub(crate) fn run(&mut self, statements: &[&str]) -> Option<usize> {
        self.run_with(&[statements], true)
    }

    /// Runs several transactions into one block.
    pub(crate) fn run_with(&mut self, transactions: &[&[&str]], foreign_keys: bool) -> Option<usize> {
        self.run_at(transactions, foreign_keys, 0)
    }

    /// The same with a clock that may be ahead.
    pub(crate) fn run_at(
        &mut self,
        transactions: &[&[&str]],
        foreign_keys: bool,
        clock: u64,
    ) -> Option<usize> {
        let draft = self.draft(clock);
        self.writer.begin().expect("begun");
        let (block, first) = self.writer.next_numbers().expect("numbers");
        let mut body = BodyBuilder::new();
        let mut done = Vec::new();
        for statements in transactions {
            let tx = TxNo(first.0 + done.len() as u64);
            self.writer.set_capture(true);
            let start = self.writer.capture_mark();
            for statement in *statements {
                let savepoint = self.writer.savepoint().expect("a savepoint");
                let mark = self.writer.capture_mark();
                let sql = statement.replace("?v", &tx.0.to_string());
                let ran = self.writer.execute(&sql, ());
                let violation = match ran {
                    Ok(_) => match self.merger.check(&self.writer, mark, foreign_keys) {
                        Ok(v) => v.is_some(),
                        Err(StoreError::Constraint(_)) => true,
                        Err(e) => panic!("{sql}: {e}"),
                    },
                    Err(StoreError::Constraint(_)) => true,
                    Err(e) => panic!("{sql}: {e}"),
                };
                if statement.contains(ADDS) {
                    let tables = self.merger.catalog().tables();
                    let columns = tables.flat_map(|t| &t.columns).map(|c| c.tag);
                    self.writer.mark_adjusted(mark, &columns.collect());
                }
                if violation {
                    self.writer.rollback_to(savepoint).expect("rolled back");
                }
                self.writer.release(savepoint).expect("released");
            }
            self.writer.set_capture(false);
            let captured = self.writer.take_captured(start);
            let origin = Origin {
                tx,
                block,
                stamp: draft.stamp,
                author: node_id(&self.key),
                cid: Cid::default(),
                position: done.len() as u32,
            };
            let (drawn, adding) = (self.generated, self.adding);
            let leaves_out = self.leaves_out;
            let not = |_: ObjectId, all: &[ColumnTag], _: Option<AccountId>| match leaves_out {
                true => all.to_vec(),
                false => Vec::new(),
            };
            let mut checks = ForeignKeys::default();
            checks.note(foreign_keys);
            let changes = self.merging(|merger, writer, is_ancestor| {
                let local = Local {
                    origin,
                    is_ancestor,
                    foreign_keys: checks,
                    generated: &|_, _| drawn,
                    weak: &|_, _, _| adding,
                    not_insertable: &not,
                };
                merger.finalize(writer, &local, captured)
            });
            if changes.changes.is_empty() {
                continue;
            }
            body.push(ACCOUNT, &changes.layouts, changes.changes.clone()).expect("a good transaction");
            done.push(changes);
        }
        if done.is_empty() {
            self.writer.rollback().expect("rolled back");
            self.merger.rolled_back();
            return None;
        }
        let n = self.seal(body, draft);
        if self.adding {
            self.world.borrow_mut().adding.insert(n);
        }
        self.append(n, Verdict::ACCEPTED);
        let full = self.world.borrow().blocks[n].clone();
        self.merging(|m, w, a| m.record(w, a, done, full.index()));
        self.writer.commit().expect("committed");
        self.merger.committed();
        Some(n)
    }

    /// Changes the verdict on all transactions of a block that is held.
    pub(crate) fn judge(&mut self, n: usize, verdict: Verdict) {
        let Some(no) = self.held.iter().position(|h| *h == n) else { return };
        self.writer.begin().expect("begun");
        let txs: Vec<TxNo> =
            self.writer.transactions_of(BlockNo(no as u64 + 1)).expect("in the log").map(TxNo).collect();
        let weak = self.weak_of(n);
        for tx in &txs {
            self.writer.set_verdict(*tx, verdict, &weak).expect("set");
        }
        self.merging(|m, w, a| m.rejudge(w, a, &txs));
        self.writer.commit().expect("committed");
        self.merger.committed();
    }

    /// The whole merged state, in a form that does not depend on this node's numbers.
    pub(crate) fn state(&mut self) -> BTreeSet<String> {
        let mut tables: Vec<ObjectId> = self.merger.catalog().tables().map(|t| t.id).collect();
        tables.sort();
        let fingerprints = self.merger.fingerprints(&self.writer).expect("fingerprints");
        let mut lines: BTreeSet<String> =
            fingerprints.into_iter().map(|(n, f)| format!("fingerprint {n} {f}")).collect();
        let mut conflicts = Vec::new();
        for table in tables {
            let (kept, counted) = self.merging(|m, w, a| m.recount(w, a, table));
            assert_eq!(kept, counted, "the fingerprint of a table is that of its rows");
            lines.extend(self.merging(|m, w, a| {
                let mut lines = Vec::new();
                let mut run = Run::new(w, a, &mut m.cache);
                let plan = run.plans.plan(w, table)?.expect("a live table");
                run.each_row(&plan, &mut |run, s| {
                    let wire = |tx: TxNo| match tx {
                        TxNo(0) => Ok("-".to_owned()),
                        tx => run.db.origin(tx).map(|o| format!("{}/{}/{}", o.stamp.0, o.author, o.position)),
                    };
                    let place = match s.place {
                        Place::Visible => "visible".to_owned(),
                        Place::Displaced { reason, unit } => format!("{reason:?} {}", wire(unit)?),
                    };
                    let mut cells = Vec::new();
                    for &i in &plan.by_tag {
                        cells.push(format!("{:?}@{}", s.image.values[i], wire(s.image.writers[i])?));
                    }
                    let key = s.image.ident.to_key()?;
                    lines.push(format!("{} {key:?} {place} {cells:?}", plan.table.name));
                    Ok(())
                })?;
                w.query(
                    "SELECT ident, unit, tag, tx, off FROM sibling WHERE tbl = ?1",
                    [ValueRef::Int(plan.no)],
                    |r| {
                        let wire = |n: i64| match n {
                            0 => Ok("-".to_owned()),
                            n => w.origin(TxNo(n as u64)).map(|o| format!("{}/{}", o.stamp.0, o.author)),
                        };
                        lines.push(format!(
                            "sibling {:?} {} {} {} {}",
                            r.get(0)?.to_value(),
                            wire(r.int(1)?)?,
                            r.int(2)?,
                            wire(r.int(3)?)?,
                            r.int(4)?
                        ));
                        Ok(NEXT)
                    },
                )?;
                for bent in w.bent_of_table(plan.no)? {
                    lines.push(format!("bent {} {bent:?}", plan.table.name));
                }
                Ok(lines)
            }));
        }
        self.merging(|m, w, a| {
            m.conflicts(w, a, None, &mut |c| {
                conflicts.push(format!("conflict {c:?}"));
                Ok(NEXT)
            })
        });
        lines.extend(conflicts);
        lines
    }

    /// Visible rows of a table by name, as text.
    pub(crate) fn rows(&self, table: &str) -> Vec<Vec<Value>> {
        let t = self.merger.catalog().table("d", table).expect("a table").clone();
        let columns: Vec<String> = t.columns.iter().map(|c| c.physical()).collect();
        crate::open_testing::rows(
            &self.writer,
            &format!("SELECT {0} FROM {1} ORDER BY {0}", columns.join(", "), t.physical()),
        )
    }

    /// The conflicts, as (table, rule, winner's value, loser's value).
    pub(crate) fn conflicts(&mut self) -> Vec<Conflict> {
        let mut found = Vec::new();
        self.merging(|m, w, a| {
            m.conflicts(w, a, None, &mut |c| {
                found.push(c.clone());
                Ok(NEXT)
            })
        });
        found
    }

    /// SQL with `{table}` and `{table.column}` put into physical names.
    pub(crate) fn sql(&self, text: &str) -> String {
        self.try_sql(text).expect("tables and columns that are there")
    }

    /// The same; `None` where a table or column is not there.
    pub(crate) fn try_sql(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            let (table, column) = name.split_once('.').map_or((name, None), |(t, c)| (t, Some(c)));
            let t = self.merger.catalog().table("d", table)?;
            out += before;
            out += &match column {
                None => t.physical(),
                Some(c) => t.column(c)?.physical(),
            };
            rest = after;
        }
        Some(out + rest)
    }

    /// One local transaction of statements with `{table.column}` names.
    pub(crate) fn exec(&mut self, statements: &[&str]) -> Option<usize> {
        let sql: Vec<String> = statements.iter().map(|s| self.sql(s)).collect();
        let sql: Vec<&str> = sql.iter().map(String::as_str).collect();
        self.run(&sql)
    }
}

pub(crate) fn int() -> SqlType {
    SqlType::Int { size: IntSize::Int, unsigned: false, width: None, zerofill: false }
}

pub(crate) fn text() -> SqlType {
    SqlType::VarChar { chars: 50, collation: Collation::Utf8mb4GeneralCi }
}

/// Schema changes by name, against a catalog.
pub(crate) struct Ddl<'a> {
    pub catalog: &'a Catalog,
    pub changes: Vec<SchemaChange>,
}

impl<'a> Ddl<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        Ddl { catalog, changes: Vec::new() }
    }

    pub(crate) fn put(
        &mut self,
        parent: ObjectId,
        name: &str,
        definition: Definition,
        position: u64,
    ) -> ObjectId {
        let kind = definition.kind();
        let id = self.catalog.new_id(kind, parent, name);
        self.changes.push(SchemaChange::Put {
            id,
            kind,
            parent,
            name: Some(name.to_owned()),
            definition: Some(Box::new(definition)),
            position: (kind == ObjectKind::Column).then_some(position),
            after: None,
        });
        id
    }

    pub(crate) fn database(&mut self) -> ObjectId {
        let collation = Collation::Utf8mb4GeneralCi;
        self.put(ObjectId::ROOT, "d", Definition::Database(DatabaseDef { collation }), 0)
    }

    /// A table with these columns; `primary` and `unique` name columns.
    pub(crate) fn table(
        &mut self,
        database: ObjectId,
        name: &str,
        columns: &[(&str, SqlType)],
        primary: &[&str],
        unique: &[&[&str]],
    ) -> ObjectId {
        let collation = Collation::Utf8mb4GeneralCi;
        let def = TableDef { collation, comment: String::new(), auto_increment: None, options: Vec::new() };
        let table = self.put(database, name, Definition::Table(def), 0);
        for (n, (column, ty)) in columns.iter().enumerate() {
            self.put(table, column, Definition::Column(ColumnDef::new(ty.clone())), n as u64 + 1);
        }
        if !primary.is_empty() {
            self.index(table, "PRIMARY", primary, true);
        }
        for (n, unique) in unique.iter().enumerate() {
            self.index(table, &format!("u{n}"), unique, true);
        }
        table
    }

    pub(crate) fn index(&mut self, table: ObjectId, name: &str, columns: &[&str], unique: bool) -> ObjectId {
        let part = |c: &&str| IndexPart { column: self.tag(table, c), prefix: None, descending: false };
        let parts = columns.iter().map(part).collect();
        let def = IndexDef {
            unique,
            parts,
            comment: String::new(),
            invisible: false,
            fulltext: false,
            implied: false,
        };
        self.put(table, name, Definition::Index(def), 0)
    }

    /// A FULLTEXT index; a column holds one word, as a key: small letters and digits only.
    pub(crate) fn search(&mut self, table: ObjectId, name: &str, columns: &[&str]) {
        let part = |c: &&str| IndexPart { column: self.tag(table, c), prefix: None, descending: false };
        let parts = columns.iter().map(part).collect();
        let def = IndexDef {
            unique: false,
            parts,
            comment: String::new(),
            invisible: false,
            fulltext: true,
            implied: false,
        };
        self.put(table, name, Definition::Index(def), 0);
    }

    pub(crate) fn tag(&self, table: ObjectId, column: &str) -> p2pdb_model::ColumnTag {
        let known = self.catalog.table_by_id(table).and_then(|t| t.column(column));
        known.map_or_else(|| self.catalog.new_id(ObjectKind::Column, table, column).tag(), |c| c.tag)
    }

    pub(crate) fn foreign_key(
        &mut self,
        child: (ObjectId, &str),
        parent: (ObjectId, &str),
        on_delete: ReferentialAction,
    ) {
        self.reference(child, parent, on_delete, ReferentialAction::NoAction);
    }

    /// A foreign key over columns that are given one after the other, with blanks between them.
    pub(crate) fn reference(
        &mut self,
        child: (ObjectId, &str),
        parent: (ObjectId, &str),
        on_delete: ReferentialAction,
        on_update: ReferentialAction,
    ) {
        let def = ForeignKeyDef {
            columns: child.1.split(' ').map(|c| self.tag(child.0, c)).collect(),
            parent: Some(parent.0),
            parent_columns: parent.1.split(' ').map(|c| self.tag(parent.0, c)).collect(),
            parent_names: None,
            on_delete,
            on_update,
        };
        self.put(child.0, &format!("fk_{}", child.1), Definition::ForeignKey(def), 0);
    }
}

/// Two tables with unique keys and references, one without a key, one with a unique key over a generated column, and
/// others.
pub(crate) fn shop(catalog: &Catalog) -> Vec<SchemaChange> {
    let mut ddl = Ddl::new(catalog);
    let d = ddl.database();
    let item = ddl.table(
        d,
        "item",
        &[("id", int()), ("a", int()), ("b", text()), ("v", int())],
        &["id"],
        &[&["a"], &["b"]],
    );
    // The second is there where both are text.
    ddl.search(item, "word", &["b"]);
    ddl.search(item, "words", &["b", "v"]);
    let part =
        ddl.table(d, "part", &[("k", text()), ("item", int()), ("up", text()), ("v", int())], &["k"], &[]);
    ddl.foreign_key((part, "item"), (item, "id"), ReferentialAction::Cascade);
    ddl.foreign_key((part, "up"), (part, "k"), ReferentialAction::SetNull);
    // A key of two columns, one of which refers to an item; what refers to that; and what holds on to items and its like.
    let line = ddl.table(d, "line", &[("item", int()), ("n", int()), ("v", int())], &["item", "n"], &[]);
    ddl.reference((line, "item"), (item, "id"), ReferentialAction::Cascade, ReferentialAction::Cascade);
    let mark = ddl.table(
        d,
        "mark",
        &[("id", int()), ("item", int()), ("n", int()), ("v", int())],
        &["id"],
        &[&["v"]],
    );
    ddl.reference((mark, "item n"), (line, "item n"), ReferentialAction::SetNull, ReferentialAction::Cascade);
    let hold = ddl.table(d, "hold", &[("id", int()), ("item", int()), ("up", int())], &["id"], &[]);
    ddl.reference((hold, "item"), (item, "id"), ReferentialAction::Restrict, ReferentialAction::SetNull);
    ddl.reference((hold, "up"), (hold, "id"), ReferentialAction::NoAction, ReferentialAction::NoAction);
    let ring = ddl.table(d, "ring", &[("id", int()), ("next", int()), ("v", int())], &["id"], &[]);
    ddl.reference((ring, "next"), (ring, "id"), ReferentialAction::Cascade, ReferentialAction::Cascade);
    ddl.table(d, "note", &[("v", int())], &[], &[]);
    let span = ddl.table(d, "span", &[("id", int()), ("lo", int()), ("hi", int())], &["id"], &[]);
    ddl.put(span, SPAN_CHECK, span_check(false), 0);
    let twin = ddl.table(d, "twin", &[("id", int()), ("w", int()), ("z", int())], &["id"], &[]);
    let generated = Some(Generated { expression: "({w} + {z}) % 4".to_owned(), stored: true });
    ddl.put(twin, "g", Definition::Column(ColumnDef { generated, ..ColumnDef::new(int()) }), 4);
    ddl.index(twin, "ug", &["g"], true);
    // Rows with an owner.
    let own = ddl.table(d, "own", &[("id", int())], &["id"], &[]);
    let who = ColumnDef { comment: "[owner]".to_owned(), ..ColumnDef::new(text()) };
    ddl.put(own, "who", Definition::Column(who), 2);
    ddl.put(own, "v", Definition::Column(ColumnDef::new(int())), 3);
    let stock = ddl.table(d, "stock", &[("id", int())], &["id"], &[]);
    for (n, (name, ty, tag)) in STOCK.iter().enumerate() {
        let def = ColumnDef { comment: (*tag).to_owned(), ..ColumnDef::new(ty()) };
        ddl.put(stock, name, Definition::Column(def), n as u64 + 2);
    }
    ddl.changes
}

/// `span` holds that `lo` is not above `hi`, once that is enforced.
pub(crate) const SPAN_CHECK: &str = "ordered";

pub(crate) fn span_check(enforced: bool) -> Definition {
    Definition::Check(CheckDef { expression: "{lo} <= {hi}".to_owned(), enforced })
}

/// A column's name, type and tag.
pub(crate) type Tagged = (&'static str, fn() -> SqlType, &'static str);

/// The columns of `stock` besides its key.
pub(crate) const STOCK: [Tagged; 5] = [
    ("n", tiny, "[counter]"),
    ("s", || SqlType::Json, "[set]"),
    ("m", || SqlType::Json, "[map]"),
    ("top", int, "[max]"),
    ("low", int, "[min]"),
];

pub(crate) fn tiny() -> SqlType {
    SqlType::Int { size: IntSize::Tiny, unsigned: false, width: None, zerofill: false }
}

/// The node hears from another one, which `x` chooses, all that this one has but up to two of its last blocks.
pub(crate) fn hear(nodes: &mut [Node], n: usize, x: u8, y: u8) {
    let m = (n + 1 + usize::from(x) % (nodes.len() - 1)) % nodes.len();
    let theirs = nodes[m].held.clone();
    let upto = theirs.len() - usize::from(y % 3).min(theirs.len() - 1);
    for block in &theirs[..upto] {
        nodes[n].receive(*block);
    }
}
