//! Registers that a CHECK joins, where what was written to them at the same time does not hold together.
//!
//! Cells merge one by one. Where a row that is merged so violates a CHECK over several registers, and some of these were
//! written by changes that had not seen each other, they are decided as a whole: they hold what the author of the last of these
//! changes saw, with it. That author's statement was held to the CHECK. Where it does not hold all the same (it knew no such
//! CHECK, or a counter took the room), the change before it is asked, and if none holds the row stays as it was merged, and is
//! displaced. What others had written is a sibling, like any write that lost.
//!
//! This depends on the row's own changes and on the table's definition: references are taken as they were written, whatever they
//! read (`effects`). It is decided whenever a row is merged from the log, and what might decide it otherwise makes
//! it be merged from the log: a change of one of the columns whose author had not seen who wrote the others (`apply_row`), any change of a
//! row that has [`crate::displaced::WHOLE`] (`apply_row`, `finalize`), and a change of the table (`materialize`).

use p2pdb_merge::{Cell, Unit};

use crate::displaced::{Image, Run};
use crate::error::Result;
use crate::index::Loaded;
use crate::materialize_plan::{TablePlan, Whole};

impl Run<'_> {
    /// The unit with the cells that CHECKs decide as a whole; `None` where they do not. `image`: what it holds, cell by cell.
    pub(crate) fn as_a_whole(
        &mut self,
        plan: &TablePlan,
        unit: &Unit,
        loaded: &[Loaded],
        image: &Image,
    ) -> Result<Option<Unit>> {
        let mut decided: Option<Unit> = None;
        for whole in &plan.wholes {
            let writers = self.writers(plan, whole, unit, loaded)?;
            if writers.is_empty() || !self.would_violate(plan, image, &whole.checks)? {
                continue;
            }
            let before = decided.take();
            let base = before.as_ref().unwrap_or(unit);
            for by in writers {
                let Some(seen) = self.as_seen(plan, whole, base, loaded, by)? else { continue };
                let (held, _) = self.unit_image(plan, &image.ident, &seen, loaded)?;
                if !self.would_violate(plan, &held, &whole.checks)? {
                    decided = Some(seen);
                    break;
                }
            }
            decided = decided.or(before);
        }
        Ok(decided)
    }

    /// The changes that the whole's registers are of, the last first; none where that one had seen all others.
    fn writers(&self, plan: &TablePlan, whole: &Whole, unit: &Unit, loaded: &[Loaded]) -> Result<Vec<usize>> {
        let cells = unit.cells.iter().filter(|c| is_of(plan, &whole.registers, c));
        let mut writers: Vec<usize> = cells.map(|c| c.change).collect();
        writers.sort_unstable_by(|a, b| b.cmp(a));
        writers.dedup();
        let Some((last, others)) = writers.split_first() else { return Ok(Vec::new()) };
        for other in others {
            if !self.saw_loaded(&loaded[*last], &loaded[*other])? {
                return Ok(writers);
            }
        }
        Ok(Vec::new())
    }

    /// The unit with the whole as the author of this change left it; what else is maximal there are siblings.
    fn as_seen(
        &self,
        plan: &TablePlan,
        whole: &Whole,
        unit: &Unit,
        loaded: &[Loaded],
        by: usize,
    ) -> Result<Option<Unit>> {
        // Of each change that the author had seen, and of this one, its place among all.
        let mut places = Vec::with_capacity(by + 1);
        for earlier in 0..by {
            if self.saw_loaded(&loaded[by], &loaded[earlier])? {
                places.push(earlier);
            }
        }
        places.push(by);
        let past: Vec<Loaded> = places.iter().map(|i| loaded[*i].clone()).collect();
        let own = |u: &Unit| u.cells.iter().any(|c| places[c.change] == by);
        let Some(known) = self.merged(plan, &past)?.units.into_iter().find(own) else { return Ok(None) };
        let known = known.cells.into_iter().map(|c| Cell { change: places[c.change], ..c });
        let known: Vec<Cell> = known.filter(|c| is_of(plan, &whole.held, c)).collect();
        let (maximal, mut cells): (Vec<Cell>, Vec<Cell>) =
            unit.cells.iter().partition(|c| is_of(plan, &whole.held, c));
        let mut siblings = unit.siblings.clone();
        siblings.extend(maximal);
        siblings.retain(|c| !known.contains(c));
        cells.extend(known);
        cells.sort_unstable();
        siblings.sort_unstable();
        Ok(Some(Unit { cells, siblings, ..unit.clone() }))
    }
}

fn is_of(plan: &TablePlan, columns: &[usize], cell: &Cell) -> bool {
    columns.iter().any(|i| plan.columns[*i].tag == cell.column)
}
