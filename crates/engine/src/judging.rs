//! Judging at the writer: changes of access go into the fold, and what they turn is merged anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use p2pdb_access::{Access, Judged, Reason, Rejudge, Site, Verdict};
use p2pdb_block::FullBlock;
use p2pdb_dag::Placed;
use p2pdb_model::change::{AccessChange, Position};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::{AccountId, Body, Change, WeakInserts};
use p2pdb_store::{self as store, TxNo};

use crate::error::EngineError;
use crate::functions::by_rules;
use crate::logged::{self, Ancestry};
use crate::writer::{Writer, past_of};

/// A verdict, and which inserts of the transaction are weak.
type Judgement = (store::Verdict, WeakInserts);

impl Writer {
    /// Changes of members, accounts and delegations, as a transaction of its own. Refused, with nothing written, when
    /// they would be void.
    pub(crate) fn access(
        &mut self,
        account: AccountId,
        changes: Vec<AccessChange>,
    ) -> Result<(), EngineError> {
        if let Some(reason) = self.would_be(account, &changes)? {
            return Err(EngineError::Refused(reason.to_string()));
        }
        self.write_access(account, changes)
    }

    /// The same for changes that are known to count ([`Writer::would_be`]).
    pub(crate) fn write_access(
        &mut self,
        account: AccountId,
        changes: Vec<AccessChange>,
    ) -> Result<(), EngineError> {
        let changes = changes.into_iter().map(Change::Access).collect();
        // What it voids or brings back is merged, not written by anybody.
        let capture = self.db.set_capture(false);
        self.push(account, &[], changes, None)?;
        // The fold wants the real block.
        self.seal_open()?;
        self.db.set_capture(capture);
        Ok(())
    }

    /// Why these changes would be void if they were written now; changes nothing.
    pub(crate) fn would_be(
        &mut self,
        account: AccountId,
        changes: &[AccessChange],
    ) -> Result<Option<Reason>, EngineError> {
        let site = self.tx_site()?;
        let changes: Vec<Change> = changes.iter().cloned().map(Change::Access).collect();
        let now = Site::now(self.node(), site.stamp);
        let Writer { access, dag, db, .. } = self;
        let access = Arc::make_mut(access);
        Ok(match access.would_be(&now, account, &changes, |cid| past_of(dag, db, cid))? {
            Verdict::Void(reason) => Some(reason),
            Verdict::Accepted => None,
        })
    }

    /// Members, accounts and what they may, as they would be if these changes, which count, were written now.
    pub(crate) fn access_after(
        &mut self,
        account: AccountId,
        changes: &[AccessChange],
    ) -> Result<Access, EngineError> {
        let site = Site::now(self.node(), self.tx_site()?.stamp);
        let changes: Vec<Change> = changes.iter().cloned().map(Change::Access).collect();
        let Writer { access, dag, db, .. } = self;
        let mut after = Access::clone(access);
        after.insert(site, 0, account, &changes, |cid| past_of(dag, db, cid))?;
        Ok(after)
    }

    /// Takes note of where schema objects are made, if these changes make any.
    pub(crate) fn note_objects(&mut self, site: &Site, n: u32, body: &Body) {
        let tx = &body.transactions()[n as usize];
        if tx.changes().iter().any(|c| c.shown_home().is_some()) {
            let account = body.accounts()[tx.account()];
            let access = Arc::make_mut(&mut self.access);
            access.note_objects(site, n, account, body.layouts(), tx.changes());
        }
    }

    pub(crate) fn insert_access(
        &mut self,
        placed: &Placed,
        transaction: u32,
        account: AccountId,
        changes: &[Change],
    ) -> Result<Judged, EngineError> {
        self.keyring.note(changes);
        self.sealing.state += 1;
        let Writer { access, dag, db, .. } = self;
        // The first change after a commit copies what is published; those behind it change the copy. Should one fail
        // half done, its group is broken and everything is read anew.
        let judged =
            Arc::make_mut(access)
                .insert(Site::of(placed), transaction, account, changes, |cid| past_of(dag, db, cid))?;
        self.forget_shares();
        Ok(judged)
    }

    /// What access changes brought about: other verdicts on what was applied before.
    pub(crate) fn follow(&mut self, judged: Vec<Judged>) -> Result<(), EngineError> {
        // Several reasons to look at a transaction again are one.
        let mut turned: BTreeMap<TxNo, Judgement> = BTreeMap::new();
        let flips = judged.iter().flat_map(|j| &j.flips);
        for flip in flips.filter(|_| !fault::on(Fault::FlipForgotten)) {
            if let Some(record) = self.db.block_by_cid(&flip.block)? {
                let tx = TxNo(record.first_tx.0 + u64::from(flip.transaction));
                turned.insert(tx, (store::Verdict(flip.verdict.code().into()), WeakInserts::NONE));
            }
        }
        let looked_back = !fault::on(Fault::RemovalNotLookedBack);
        for j in &judged {
            let holders = if fault::on(Fault::HoldersForgotten) { 1 } else { usize::MAX };
            for r in j.rejudge.iter().take(holders).filter(|_| looked_back) {
                self.judge_again(r, &mut turned)?;
            }
        }
        self.turn(&turned)
    }

    /// Judges transactions again that were applied before.
    fn judge_again(
        &mut self,
        what: &Rejudge,
        turned: &mut BTreeMap<TxNo, Judgement>,
    ) -> Result<(), EngineError> {
        let branches: Vec<_> = self
            .dag
            .branches()
            .iter()
            .filter(|b| what.author.is_none_or(|a| a == b.chain.author))
            .map(|b| (b.no, b.chain))
            .collect();
        for (branch, chain) in branches {
            let mut blocks = Vec::new();
            self.db.scan_branch(store::BranchNo(branch.0), 0, |b| {
                if !what.horizon.covers(chain.first, logged::place(&b.record)) {
                    blocks.push(b.record);
                }
                Ok(store::NEXT)
            })?;
            for record in blocks {
                let site = self.site_of(&record)?;
                let body = self.db.body(record.no)?;
                for (i, tx) in body.body.transactions().iter().enumerate() {
                    let account = body.body.accounts()[tx.account()];
                    if what.account.is_some_and(|a| a != account) || Access::is_access(tx.changes()) {
                        continue;
                    }
                    let layouts = body.body.layouts();
                    let allowed = self.access.rows_allowed(&site, i as u32, account, layouts, tx.changes());
                    let no = TxNo(record.first_tx.0 + i as u64);
                    let judged = match allowed {
                        Ok(weak) => (store::Verdict::ACCEPTED, weak),
                        Err(why) => (store::Verdict(Verdict::Void(why).code().into()), WeakInserts::NONE),
                    };
                    if self.db.judgement(no)?.as_ref() != Some(&judged) {
                        turned.insert(no, judged);
                    }
                }
            }
        }
        Ok(())
    }

    /// Of these transactions of an own block, those that are void like any other member's.
    pub(crate) fn as_others_judge(
        &self,
        ungranted: impl Iterator<Item = u32>,
        first_tx: TxNo,
        placed: &Placed,
        full: &FullBlock,
    ) -> BTreeMap<TxNo, Judgement> {
        let mut own = BTreeMap::new();
        let (site, body) = (Site::of(placed), full.body());
        for n in ungranted {
            let tx = &body.transactions()[n as usize];
            let (account, changes) = (body.accounts()[tx.account()], tx.changes());
            let verdict = self.access.judge(&site, n, account, body.layouts(), changes);
            if let Verdict::Void(why) = verdict {
                let void = (store::Verdict(Verdict::Void(why).code().into()), WeakInserts::NONE);
                own.insert(TxNo(first_tx.0 + u64::from(n)), void);
            }
        }
        own
    }

    /// These transactions' verdicts are others now: what they wrote is merged anew.
    pub(crate) fn turn(&mut self, turned: &BTreeMap<TxNo, Judgement>) -> Result<(), EngineError> {
        if turned.is_empty() {
            return Ok(());
        }
        let mut numbers = Vec::with_capacity(turned.len());
        for (no, (verdict, weak)) in turned {
            self.db.set_verdict(*no, *verdict, weak)?;
            if !(fault::on(Fault::VoidForEver) && *verdict == store::Verdict::ACCEPTED) {
                numbers.push(*no);
            }
        }
        if fault::on(Fault::VoidKept) {
            return Ok(());
        }
        let ancestry = Ancestry::new(&self.dag, &self.db);
        let ask = |a, b| ancestry.ask(a, b);
        let applied = by_rules(|| self.merger.rejudge(&self.db, &ask, &numbers))?;
        self.after_merge(applied);
        // Rare, and any table may be meant.
        let last_tx = self.db.last_tx()?;
        let tables: Vec<_> = self.catalog.tables().map(|t| t.id).collect();
        for table in tables {
            self.touch(table, last_tx);
            self.read_ids_again(table);
        }
        Ok(())
    }
}

/// Where a block's changes of members, accounts and delegations are.
pub(crate) fn access_positions(full: &FullBlock) -> Vec<Position> {
    let mut found = Vec::new();
    for (t, tx) in full.body().transactions().iter().enumerate() {
        for (c, change) in tx.changes().iter().enumerate() {
            if change.bears_on_verdicts() {
                found.push(Position { transaction: t as u32, change: c as u32 });
            }
        }
    }
    found
}
