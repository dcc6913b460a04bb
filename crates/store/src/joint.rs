//! Cells that are no plain registers, merged from all their writes, also where the column has had several types.
//!
//! What the writes amount to says `p2pdb_merge::cell`. Where types changed, each kind is converted as its meaning asks:
//!
//! * Registers, greatest and least values, sets and maps: every assignment is brought to the present type first.
//! * Counters: a change of type converts the number that its author saw, increments included, and later increments are
//!   added to what came of it ([`ColumnHistory::count`]).
//! * Sets and maps whose column is not JSON any more: they are merged as JSON, and the whole is converted.

use p2pdb_merge::cell::{StandingWrites, kind_in_effect, standing_writes};
use p2pdb_merge::{Cell, CellRule, MergedCell, Unit, Write, merge_cell};
use p2pdb_model::{CellEdit, CellKind, SqlType, Value};

use crate::displaced::{Image, MISFIT, Run, SIBLINGS};
use crate::error::Result;
use crate::index::{Loaded, saw};
use crate::materialize_plan::{PlanColumn, TablePlan};
use crate::meaning::ColumnHistory;

/// The writes of one cell.
struct Writes<'a> {
    of: Vec<&'a Loaded>,
    what: Vec<Write<'a>>,
}

impl Run<'_> {
    /// Merges the cells of a row that are no plain registers into the image; gives the writes of them that lost.
    pub(crate) fn joint_cells(
        &self,
        plan: &TablePlan,
        unit: &Unit,
        loaded: &[Loaded],
        image: &mut Image,
    ) -> Result<Vec<Cell>> {
        let mut all_lost = Vec::new();
        for cells in &unit.joint {
            let cells: Vec<Cell> =
                cells.iter().filter(|c| loaded[c.change].cell(c.place).is_some()).copied().collect();
            let Some(first) = cells.first() else { continue };
            let Some(i) = plan.column(first.column).filter(|i| plan.columns[*i].stored) else { continue };
            let writes = Writes {
                of: cells.iter().map(|c| &loaded[c.change]).collect(),
                what: cells.iter().filter_map(|c| loaded[c.change].cell(c.place)).collect(),
            };
            let (merged, misfit) = self.joint_cell(&plan.columns[i], &writes)?;
            // Whose row it is nobody writes.
            let misfit = misfit && plan.owner != Some(i);
            image.values[i] = merged.value;
            image.writers[i] = writes.of[merged.version].at.tx;
            image.flags |= if misfit { MISFIT } else { 0 };
            all_lost.extend(merged.lost.iter().map(|w| cells[*w]));
        }
        if !all_lost.is_empty() {
            image.flags |= SIBLINGS;
        }
        Ok(all_lost)
    }

    fn joint_cell(&self, column: &PlanColumn, writes: &Writes<'_>) -> Result<(MergedCell, bool)> {
        let mut ask = |a: usize, b: usize| self.saw_change(writes.of[a], writes.of[b]);
        let rule = column.rule();
        let Some(history) = &column.history else {
            return Ok((merge_cell(rule, &writes.what, &mut ask)?, false));
        };
        match kind_in_effect(column.kind, &writes.what, &mut ask)? {
            CellKind::Counter => self.counter(column, history, writes),
            kind @ (CellKind::Set | CellKind::Map) if column.ty != SqlType::Json => {
                let rule = CellRule { kind, ty: &SqlType::Json, unwritten: &column.born };
                let mut merged = merge_cell(rule, &writes.what, &mut ask)?;
                let edit = writes.what.iter().rposition(|w| matches!(w, Write::Edit(_)));
                let author = writes.of[edit.unwrap_or(merged.version)];
                let misfit;
                (merged.value, misfit) = self.present(column, &merged.value, (&author.origin, author.at))?;
                Ok((merged, misfit))
            }
            kind => {
                let mut present = Vec::with_capacity(writes.what.len());
                for (l, w) in writes.of.iter().zip(&writes.what) {
                    present.push(match w {
                        Write::Assign(value) => self.present(column, value, (&l.origin, l.at))?,
                        Write::Edit(_) => (Value::Null, false),
                    });
                }
                let brought = writes.what.iter().zip(&present).map(|(w, (value, _))| match w {
                    Write::Assign(_) => Write::Assign(value),
                    Write::Edit(edit) => Write::Edit(edit),
                });
                let merged = merge_cell(rule, &brought.collect::<Vec<_>>(), &mut ask)?;
                let misfit = if kind.is_edited() {
                    standing_writes(&writes.what, &mut ask)?.assigned.iter().any(|w| present[*w].1)
                } else {
                    present[merged.version].1
                };
                Ok((merged, misfit))
            }
        }
    }

    fn saw_change(&self, later: &Loaded, earlier: &Loaded) -> Result<bool> {
        saw((&later.origin, later.at.offset), (&earlier.origin, earlier.at.offset), self.is_ancestor)
    }

    fn counter(
        &self,
        column: &PlanColumn,
        history: &ColumnHistory,
        writes: &Writes<'_>,
    ) -> Result<(MergedCell, bool)> {
        let mut ask = |a: usize, b: usize| self.saw_change(writes.of[a], writes.of[b]);
        let StandingWrites { assigned: mut lost, edited } = standing_writes(&writes.what, &mut ask)?;
        let base = lost.pop();
        let (known, value) = match (base, base.map(|b| writes.what[b])) {
            (Some(b), Some(Write::Assign(value))) => {
                (self.known(history, (&writes.of[b].origin, writes.of[b].at))?, value)
            }
            _ => (0, &column.born),
        };
        // Equal values are no conflict.
        lost.retain(|w| !matches!(writes.what[*w], Write::Assign(v) if base.is_some() && v == value));
        let adds: Vec<(usize, &CellEdit)> = edited
            .into_iter()
            .filter_map(|w| match writes.what[w] {
                Write::Edit(edit @ CellEdit::Add(_)) => Some((w, edit)),
                _ => None,
            })
            .collect();
        let counted = history.count(known, value.clone(), base, adds, &mut |d, w| {
            let change = (&writes.of[w].origin, writes.of[w].at.offset);
            saw((&d.origin, d.at.offset), change, self.is_ancestor)
        })?;
        lost.extend(counted.lost);
        lost.sort_unstable();
        let version = writes.what.len().saturating_sub(1);
        Ok((MergedCell { value: counted.value, version, lost }, counted.misfit))
    }
}
