//! What need not be read again of rows that come and go.
//!
//! A delete that had seen all earlier changes of its row, and that all later ones had seen, settles them: the row is what came
//! after it (`p2pdb_merge::settled_prefix`). Where it stands is remembered for rows with a long history, so that one that is
//! deleted and inserted again and again, as by REPLACE, costs the same each time. It is no part of the store: who remembers
//! nothing reads the whole history, and gets the same.

use std::num::NonZeroUsize;

use lru::LruCache;
use p2pdb_merge::{RowWrite, settled_prefix};

use crate::displaced::Run;
use crate::error::{Result, StoreError};
use crate::index::{At, Loaded};
use crate::index_ident::Ident;
use crate::materialize_plan::TablePlan;

/// Rows remembered.
const ROWS_MAX: NonZeroUsize = NonZeroUsize::new(4_096).expect("invariant: not zero");
/// A shorter history is read as fast as looked up; tests have short ones.
const CHANGES_MIN: usize = if cfg!(debug_assertions) { 2 } else { 8 };

/// How far a row's changes are settled.
struct Settled {
    /// The delete.
    delete: At,
    /// What comes behind it in write order, in order of application.
    later: Vec<At>,
    /// The last change, in order of application, that this knows of.
    upto: At,
}

/// By the table's number and the row.
pub(crate) struct SettledRows(LruCache<(i64, Ident), Settled>);

impl Default for SettledRows {
    fn default() -> Self {
        SettledRows(LruCache::new(ROWS_MAX))
    }
}

impl SettledRows {
    /// Verdicts, the schema or the log are not what they were.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Run<'_> {
    /// The changes of a row that count and those that do not, as [`Run::counting`] gives them, without what is known to be settled.
    pub(crate) fn unsettled(
        &mut self,
        plan: &TablePlan,
        ident: &Ident,
    ) -> Result<(Vec<Loaded>, Vec<Loaded>)> {
        let row = (plan.no, ident.clone());
        if let Some(known) = self.plans.settled.0.get(&row) {
            let mut some = vec![known.delete];
            some.extend(&known.later);
            self.db.changes_since(plan.no, ident, known.upto, &mut some)?;
            let upto = some.iter().copied().max().unwrap_or(known.upto);
            let delete = known.delete;
            if let Some((loaded, settled)) = self.settled_by(delete, &some)? {
                self.remember(row, &loaded, settled, upto);
                return Ok((loaded, Vec::new()));
            }
            self.plans.settled.0.pop(&row);
        }
        let (loaded, not_counting) = self.counting(plan.no, ident)?;
        if loaded.len() >= CHANGES_MIN && not_counting.is_empty() {
            let all = self.db.changes_of(plan.no, ident)?;
            let plain = loaded.len() == all.len() && loaded.iter().all(|l| l.cause.is_none());
            if let Some(upto) = all.into_iter().max().filter(|_| plain) {
                let settled = self.settled(&loaded)?;
                self.remember(row, &loaded, settled, upto);
            }
        }
        Ok((loaded, not_counting))
    }

    /// These changes in write order and how many of them are settled, if this delete still settles all that is not among them.
    fn settled_by(&self, delete: At, some: &[At]) -> Result<Option<(Vec<Loaded>, usize)>> {
        let mut loaded = Vec::with_capacity(some.len());
        for &at in some {
            let (change, accepted) = self.db.load_judged(at)?;
            if !accepted || change.cause.is_some() {
                return Ok(None);
            }
            loaded.push(change);
        }
        loaded.sort_by_key(|c| c.origin.order(c.at.offset));
        if loaded.first().is_none_or(|l| l.at != delete) {
            return Ok(None);
        }
        let settled = self.settled(&loaded)?;
        Ok((settled > 0).then_some((loaded, settled)))
    }

    fn settled(&self, loaded: &[Loaded]) -> Result<usize> {
        let writes: Vec<RowWrite> = loaded.iter().map(|l| l.write.clone()).collect();
        settled_prefix::<StoreError>(&writes, &mut |a, b| self.saw_loaded(&loaded[a], &loaded[b]))
    }

    fn remember(&mut self, row: (i64, Ident), loaded: &[Loaded], settled: usize, upto: At) {
        let Some(last) = settled.checked_sub(1) else { return };
        let mut later: Vec<At> = loaded[last + 1..].iter().map(|l| l.at).collect();
        later.sort_unstable();
        self.plans.settled.0.put(row, Settled { delete: loaded[last].at, later, upto });
    }
}
