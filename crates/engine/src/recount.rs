//! Nodes that have no AUTO_INCREMENT values, or lost count of those that they drew.
//!
//! A member has none when whoever admitted it had none to deal, or when those that it was dealt were not its dealer's
//! (`docs/merge.md`, section 10). Others see that, and deal it some.
//!
//! A node whose store was restored, or of whose chain a peer holds more than itself, may have drawn values of which it knows
//! nothing. It draws none until another writer deals it values anew, or somebody says that nothing is lost
//! (`CALL p2pdb.keep_ids()`, `p2pdb-node restore --keep-ids`). It says so by the first block of its next chain, which is empty; a
//! deal counts that has this block in its past. Nothing else passes between the nodes, so it also works over others. Values
//! that a statement names are written as ever.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use p2pdb_access::{Access, Asker, Columns, Deal};
use p2pdb_dag::Dag;
use p2pdb_model::change::{IdClass, Role};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::{Cid, NodeId, Privileges, Stamp};
use p2pdb_sql::error::SqlError;
use p2pdb_store::{self as store, Connection, StoreError};

use crate::api::Outcome;
use crate::core::Core;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::logged::Logged;
use crate::powers::lacking;
use crate::tables::Tables;
use crate::writer::Writer;

/// Deals by one node to one other: more come from a member that begins chains to waste the values of others.
const DEALS_MAX: usize = 16;

impl Writer {
    /// The store holds less than this node may have written.
    pub(crate) fn lose_count(&mut self) -> Result<(), StoreError> {
        self.db.put_meta(store::meta::IDS_LOST, store::meta::SET)?;
        self.set_ids_lost(true);
        Ok(())
    }

    /// Nothing is lost, somebody says who knows.
    fn keep_count(&mut self) -> Result<(), StoreError> {
        self.db.remove_meta(store::meta::IDS_LOST)?;
        self.set_ids_lost(false);
        Ok(())
    }

    /// The class that this node draws from.
    pub(crate) fn counted_class(&self) -> Result<Option<IdClass>, StoreError> {
        let own = self.access.ids(self.node()).own;
        if !self.ids_lost() || fault::on(Fault::IdsDrawnOn) {
            return Ok(own);
        }
        let counts = is_dealt_anew(&self.access, &self.dag, &self.db, self.node(), self.chain())?;
        Ok(own.filter(|_| counts))
    }

    /// What this node would deal now. Who has lost count may have dealt it already.
    pub(crate) fn next_deal(&self) -> Result<Option<Deal>, StoreError> {
        Ok(self.counted_class()?.and_then(|_| self.access.deal(self.node())))
    }
}

/// `CALL p2pdb.keep_ids()`.
///
/// # Errors
/// 1227 for who has not SUPER.
pub(crate) fn keep(w: &mut dyn Tables, core: &Core) -> Result<Outcome, SqlError> {
    let roles: Vec<_> = core.state.roles.iter().map(|(id, _)| *id).collect();
    let now = Stamp::next(Stamp(0), w.now_us() / 1_000);
    let Some(w) = w.writer() else {
        return Err(SqlError::new(1105, "HY000", "p2pdb.keep_ids outside of the writer"));
    };
    let asker = Asker { account: core.account, roles: &roles, now };
    if !w.access.allows(&asker, None, Privileges::SUPER, Columns::No) {
        return Err(lacking("SUPER"));
    }
    w.keep_count().map_err(|e| EngineError::from(e).to_sql())?;
    Ok(Outcome::default())
}

impl Engine {
    /// True while this node has lost count and has not said so.
    pub fn has_to_tell_lost_count(&self) -> bool {
        self.inner.tells_lost_count.load(Ordering::Relaxed)
    }

    /// Says that this node has lost count: begins its next chain.
    ///
    /// # Errors
    /// When it cannot write.
    pub fn tell_lost_count(&self) -> Result<(), EngineError> {
        self.command(|w, _| match w.keeps() {
            Some(keeps) => Err(EngineError::Refused(keeps.why())),
            None => w.open_chain(),
        })?;
        self.inner.tells_lost_count.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Members that write and have no values, or lost count of theirs and were dealt none since; empty when this node has none to
    /// deal.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn without_ids(&self) -> Result<Vec<NodeId>, EngineError> {
        let published = self.inner.published.load();
        let (own, access) = (self.inner.node, &published.access);
        let mut known = self.inner.counted.lock();
        let chains = published.frontier().chains().iter().map(|c| c.chain);
        let asked: Vec<_> = chains.filter(|c| c.author != own && !known.contains(&c.first)).collect();
        let mut without: BTreeSet<NodeId> = access.without_ids().into_iter().filter(|n| *n != own).collect();
        if (asked.is_empty() && without.is_empty()) || access.deal(own).is_none() {
            return Ok(Vec::new());
        }
        let reader = self.inner.reader()?;
        if reader.meta(store::meta::IDS_LOST)?.is_some() {
            let chain = crate::realm::meta_cid(&reader, store::meta::CHAIN)?;
            if !is_dealt_anew(access, published.dag(), &reader, own, chain)? {
                return Ok(Vec::new());
            }
        }
        for chain in asked {
            match begins_uncounted(published.dag(), &reader, &chain.first)? {
                None => {
                    known.insert(chain.first);
                }
                Some(place) if !access.is_dealt_since(chain.author, place) => {
                    without.insert(chain.author);
                }
                Some(_) => {}
            }
        }
        let may_have = |n: &NodeId| {
            access.role(*n).is_some_and(Role::writes) && access.deals_between(own, *n) < DEALS_MAX
        };
        without.retain(may_have);
        Ok(without.into_iter().collect())
    }
}

/// A node that has lost count was dealt values behind the beginning of the chain that it extends now.
fn is_dealt_anew(
    access: &Access,
    dag: &Dag,
    db: &Connection,
    node: NodeId,
    chain: Option<Cid>,
) -> Result<bool, StoreError> {
    let Some(began) = chain else { return Ok(false) };
    let found = dag.find(&began, &Logged(db))?;
    Ok(found.is_some_and(|f| access.is_dealt_since(node, f.place)))
}

/// Where a chain stands that begins with an empty block.
fn begins_uncounted(dag: &Dag, db: &Connection, first: &Cid) -> Result<Option<p2pdb_dag::Place>, StoreError> {
    let Some(found) = dag.find(first, &Logged(db))? else { return Ok(None) };
    let body = db.body(crate::logged::no(found.place.no))?;
    Ok(body.body.transactions().is_empty().then_some(found.place))
}
