//! The store as `dag` reads it.

use std::cell::RefCell;
use std::collections::HashMap;

use p2pdb_dag::{
    BlockNo, Branch, BranchNo, ChainId, Dag, DagStore, Found, Head, Past, Place, Placed, Tip, Unseen,
};
use p2pdb_model::catalog::Table;
use p2pdb_model::change::IdClass;
use p2pdb_model::ids::Cid;
use p2pdb_model::{RealmId, SqlType, Value};
use p2pdb_store::{self as store, Connection, StoreError};

/// A connection as the DAG's view of the log.
pub(crate) struct Logged<'a>(pub(crate) &'a Connection);

pub(crate) fn no(n: BlockNo) -> store::BlockNo {
    store::BlockNo(n.0)
}

pub(crate) fn place(r: &store::BlockRecord) -> Place {
    Place { no: BlockNo(r.no.0), branch: BranchNo(r.branch.0), seq: r.seq }
}

impl DagStore for Logged<'_> {
    type Error = StoreError;

    fn find(&self, cid: &Cid) -> Result<Option<Found>, StoreError> {
        let record = self.0.block_by_cid(cid)?;
        Ok(record.map(|r| Found { place: place(&r), stamp: r.stamp, author: r.author }))
    }

    fn unseen(&self, n: BlockNo) -> Result<Unseen, StoreError> {
        Unseen::from_bytes(&self.0.unseen(no(n))?)
            .ok_or_else(|| StoreError::Corrupt(format!("the unseen list of block {}", n.0)))
    }

    fn last_seq_at(&self, branch: BranchNo, n: BlockNo) -> Result<u64, StoreError> {
        self.0.last_seq_at(store::BranchNo(branch.0), no(n))
    }

    fn block_at(&self, branch: BranchNo, seq: u64) -> Result<Option<(BlockNo, Cid)>, StoreError> {
        let found = self.0.block_at(store::BranchNo(branch.0), seq)?;
        Ok(found.map(|(n, cid)| (BlockNo(n.0), cid)))
    }
}

/// The DAG as the store kept it.
pub(crate) fn load_dag(realm: RealmId, db: &Connection) -> Result<Dag, StoreError> {
    let mut branches = Vec::new();
    for b in db.branches()? {
        let fork = match b.fork {
            None => None,
            Some(n) => {
                let record = db.block_record(n)?;
                let lost = || StoreError::Corrupt(format!("the fork point of branch {}", b.no.0));
                Some(place(&record.ok_or_else(lost)?))
            }
        };
        branches.push(Branch {
            no: BranchNo(b.no.0),
            chain: ChainId { author: b.author, first: b.first },
            fork,
            first_seq: b.first_seq,
            tip: Tip { seq: b.tip.seq, cid: b.tip.cid },
            tip_no: BlockNo(b.tip.no.0),
            tip_stamp: b.tip.stamp,
        });
    }
    let heads = db.heads()?;
    let heads = heads.iter().map(|r| Head { cid: r.cid, place: place(r), stamp: r.stamp, author: r.author });
    let heads = heads.collect();
    let next = BlockNo(db.last_block()?.0 + 1);
    Ok(Dag::load(realm, next, branches, heads))
}

/// What the store writes down of a new branch.
pub(crate) fn new_branch(placed: &Placed) -> Option<store::NewBranch> {
    placed.new_branch.map(|b| store::NewBranch {
        no: store::BranchNo(b.no.0),
        author: b.chain.author,
        first: b.chain.first,
        fork: b.fork.map(|f| no(f.no)),
        first_seq: b.first_seq,
    })
}

/// Answers whether one block lies in another's past; remembers what it looked up. Made for one batch.
pub(crate) struct Ancestry<'a> {
    dag: &'a Dag,
    db: &'a Connection,
    places: RefCell<HashMap<u64, Place>>,
    /// The pasts of the blocks that were asked for last, the latest at the end: a row that several blocks changed asks for theirs in turn.
    pasts: RefCell<Vec<Past>>,
}

/// How many pasts are remembered.
const PASTS_MAX: usize = 16;

impl<'a> Ancestry<'a> {
    pub(crate) fn new(dag: &'a Dag, db: &'a Connection) -> Self {
        Ancestry { dag, db, places: RefCell::default(), pasts: RefCell::default() }
    }

    fn place(&self, n: store::BlockNo) -> Result<Place, StoreError> {
        if let Some(place) = self.places.borrow().get(&n.0) {
            return Ok(*place);
        }
        let lost = || StoreError::NotFound(format!("block {}", n.0));
        let found = place(&self.db.block_record(n)?.ok_or_else(lost)?);
        self.places.borrow_mut().insert(n.0, found);
        Ok(found)
    }

    /// Is `earlier` a strict ancestor of `later`? A block that is not in the log yet has seen everything.
    pub(crate) fn ask(&self, earlier: store::BlockNo, later: store::BlockNo) -> Result<bool, StoreError> {
        if earlier >= later {
            return Ok(false);
        }
        if later.0 >= self.dag.next_no().0 {
            return Ok(true);
        }
        let a = self.place(earlier)?;
        let mut pasts = self.pasts.borrow_mut();
        if let Some(i) = pasts.iter().rposition(|p| p.no().0 == later.0) {
            let answer = pasts[i].contains(a);
            pasts[i..].rotate_left(1);
            return Ok(answer);
        }
        let past = self.dag.past(self.place(later)?, &Logged(self.db))?;
        let answer = past.contains(a);
        if pasts.len() == PASTS_MAX {
            pasts.remove(0);
        }
        pasts.push(past);
        Ok(answer)
    }
}

/// The greatest value that a table's AUTO_INCREMENT column can hold.
pub(crate) fn id_max(table: &Table) -> u64 {
    match table.auto_increment().map(|c| &c.def.ty) {
        Some(SqlType::Int { size, unsigned, .. }) => u64::try_from(size.range(*unsigned).1).unwrap_or(0),
        // MySQL allows it on FLOAT and DOUBLE, too: whole numbers there are exact up to 2^24 and 2^53.
        Some(SqlType::Float { .. }) => 1 << 24,
        Some(_) => IdClass::SHARED_MAX,
        None => 0,
    }
}

/// The SQLite names of the tables that a table's rows are in: displaced ones, too.
pub(crate) fn rows_of(table: &Table) -> [String; 2] {
    [table.physical(), table.physical_displaced()]
}

/// The greatest value in a table's AUTO_INCREMENT column that is greater than `low` and at most `high` in any of these
/// tables of SQLite; where there is none, what `AUTO_INCREMENT = n` says, or `low`.
pub(crate) fn greatest_id(
    db: &Connection,
    table: &Table,
    names: &[String],
    low: u64,
    high: u64,
) -> Result<u64, StoreError> {
    let Some(column) = table.auto_increment() else { return Ok(low) };
    let option = match table.def.auto_increment {
        Some(n) if db.meta(&store::meta::emptied(table.id))?.is_none_or(|of| of != n.to_be_bytes()) => n - 1,
        _ => 0,
    };
    let mut greatest = if option <= high { low.max(option) } else { low };
    let c = column.physical();
    for name in names {
        let sql = format!("SELECT max({c}) FROM {name} WHERE {c} > ?1 AND {c} <= ?2");
        let bounds = [Value::from_u64(low), Value::from_u64(high)];
        let found = db.query_one(&sql, bounds, |r| Ok(r.get(0)?.to_value()))?;
        greatest = greatest.max(found.and_then(|v| v.as_u64()).unwrap_or(0));
    }
    Ok(greatest)
}
