//! Merging one row: in place where the change is an ordinary one, else from the log.
//!
//! In place: an increment of a counter is added; an update of a row without deletes in its history compares, per column, with the version that wrote the
//! cell; a delete whose author had seen every change of the row removes it. Everything else (concurrent inserts,
//! deletes against edits, verdicts) recomputes the row from the change index by `p2pdb_merge`. Both give the same, and
//! tests compare them.

use p2pdb_merge::cell::{amount, counted};
use p2pdb_merge::{Cell, Standing, Unit};
use p2pdb_model::catalog::{COLUMN_OVERRIDES, COLUMN_VERSION, physical_column};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::ColumnTag;
use p2pdb_model::{CellEdit, CellKind, Value};

use crate::apply::{LayoutPlan, owner_of};
use crate::displaced::{BIRTHS, HISTORY, Image, MISFIT, Reason, Run, SIBLINGS, Stored, WEAK, WHOLE, hidden};
use crate::error::{Result, StoreError};
use crate::index::{At, LOST_DELETE, Loaded, OUTVOTED, Origin, saw, tx_sql};
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::materialize_plan::TablePlan;

impl Run<'_> {
    /// An update that arrived.
    pub(crate) fn update(
        &mut self,
        plan: &TablePlan,
        layout: &mut LayoutPlan,
        values: &[Value],
        ident: &Ident,
        origin: &Origin,
        at: At,
    ) -> Result<()> {
        let Some(stored) = self.merged_in_place(plan, ident, HISTORY | BIRTHS, origin, at)? else {
            return self.recompute(plan, ident);
        };
        let mut image = stored.image.clone();
        let mut constrained = false;
        for (i, place) in layout.places.iter().enumerate() {
            let Some(value) = place.and_then(|p| values.get(p)) else { continue };
            let tag = plan.columns[i].tag;
            let writer = image.writers[i];
            if plan.columns[i].kind.is_edited() {
                // What it overrules, the log says.
                return self.recompute(plan, ident);
            }
            if self.meets_joined(plan, &image, i, (origin, at))? {
                return self.recompute(plan, ident);
            }
            let plain = plan.columns[i].kind == CellKind::Register;
            if !plain && image.flags & SIBLINGS != 0 {
                return self.recompute(plan, ident);
            }
            if writer != TxNo(0) && writer != at.tx {
                let seen = self.saw_write((origin, at), writer, 0)?;
                if !seen && (!plain || image.flags & WEAK != 0) {
                    return self.recompute(plan, ident);
                }
                if !seen {
                    // Concurrent: the greater write wins, the other is a sibling.
                    image.flags |= SIBLINGS;
                    let kept = !fault::on(Fault::LoserForgotten);
                    let before = self.db.origin(writer)?;
                    if before.order(0) > origin.order(at.offset) && !fault::on(Fault::CellsByArrival) {
                        if kept {
                            self.db.put_sibling(plan.no, ident, TxNo(0), i64::from(tag.0), at)?;
                        }
                        continue;
                    }
                    let lost = self.last_write(plan, ident, writer, tag)?;
                    if kept {
                        self.db.put_sibling(plan.no, ident, TxNo(0), i64::from(tag.0), lost)?;
                    }
                }
            }
            let (value, misfit) = self.present(&plan.columns[i], value, (origin, at))?;
            image.writers[i] = at.tx;
            if plan.owner != Some(i) {
                image.values[i] = value;
                image.flags |= if misfit { MISFIT } else { 0 };
            }
            constrained |= plan.constrained[i];
        }
        if stored.image.flags & SIBLINGS != 0 {
            for (tag, sibling) in self.db.siblings_of(plan.no, ident)? {
                let written = layout.places.iter().zip(&plan.columns);
                if sibling == at
                    || !written.into_iter().any(|(p, c)| p.is_some() && i64::from(c.tag.0) == tag)
                {
                    continue;
                }
                if self.saw_write((origin, at), sibling.tx, sibling.offset)? {
                    self.db.drop_sibling(plan.no, ident, tag, sibling)?;
                }
            }
        }
        if image.flags & SIBLINGS != 0 && self.db.siblings_of(plan.no, ident)?.is_empty() {
            image.flags &= !SIBLINGS;
        }
        self.replace(plan, layout, &stored, &image, constrained)
    }

    /// A CHECK joins registers to this column, and the author of this change of it has not seen who wrote one of them; or what they
    /// hold together is not decided by registers alone.
    fn meets_joined(
        &self,
        plan: &TablePlan,
        image: &Image,
        i: usize,
        (origin, at): (&Origin, At),
    ) -> Result<bool> {
        let Some(whole) = plan.whole_of(i) else { return Ok(false) };
        if !whole.registers.contains(&i) {
            return Ok(true);
        }
        let mut last = at.tx;
        for &j in &whole.registers {
            let writer = image.writers[j];
            if writer == TxNo(0) || writer == at.tx || writer == last {
                continue;
            }
            last = writer;
            if !self.saw_write((origin, at), writer, 0)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Had the author of this change seen what `tx` wrote at `offset`?
    fn saw_write(&self, (origin, at): (&Origin, At), tx: TxNo, offset: u32) -> Result<bool> {
        match self.has_seen {
            Some((block, below)) if block == origin.block && tx < below => Ok(true),
            _ => saw((origin, at.offset), (&self.db.origin(tx)?, offset), self.is_ancestor),
        }
    }

    /// The visible row, where a change of it can be merged without its history: it has none of these flags, and its author
    /// is known to have meant it (else it may be one that a verdict has taken away).
    fn merged_in_place(
        &self,
        plan: &TablePlan,
        ident: &Ident,
        flags: u8,
        origin: &Origin,
        at: At,
    ) -> Result<Option<Stored>> {
        match self.visible_of(plan, ident)? {
            Some(stored) if stored.image.flags & flags == 0 => {
                Ok(self.saw_some_writer(&stored.image, origin, at)?.then_some(stored))
            }
            _ => Ok(None),
        }
    }

    /// Edits that arrived. Increments of a counter are added in place: they commute, and no assignment that is here can
    /// have seen them.
    pub(crate) fn edit(
        &mut self,
        plan: &TablePlan,
        layout: &mut LayoutPlan,
        edits: &[CellEdit],
        ident: &Ident,
        origin: &Origin,
        at: At,
    ) -> Result<()> {
        let Some(stored) = self.merged_in_place(plan, ident, HISTORY | SIBLINGS, origin, at)? else {
            return self.recompute(plan, ident);
        };
        let mut image = stored.image.clone();
        let mut constrained = false;
        let mut checks: Vec<usize> = Vec::new();
        for (i, place) in layout.places.iter().enumerate() {
            let Some(edit) = place.and_then(|p| edits.get(p)) else { continue };
            let column = &plan.columns[i];
            let counter = column.kind == CellKind::Counter && column.history.is_none();
            let Some(by) = amount(&column.ty, edit).filter(|_| counter) else {
                return self.recompute(plan, ident);
            };
            if fault::on(Fault::IncrementLost) {
                continue;
            }
            let value = counted(&column.ty, &image.values[i], &by);
            let writer = image.writers[i];
            if writer == TxNo(0) || self.db.origin(writer)?.order(0) < origin.order(at.offset) {
                image.writers[i] = at.tx;
            }
            image.values[i] = value;
            constrained |= plan.constrained[i];
            if let Some(whole) = plan.whole_of(i) {
                checks.extend(&whole.checks);
            }
        }
        // It may hold as a whole.
        if !checks.is_empty() && self.would_violate(plan, &image, &checks)? {
            return self.recompute(plan, ident);
        }
        self.replace(plan, layout, &stored, &image, constrained)
    }

    /// Writes a visible row anew; `constrained`: a column of a key or CHECK is among those that changed.
    fn replace(
        &mut self,
        plan: &TablePlan,
        layout: &mut LayoutPlan,
        stored: &Stored,
        image: &Image,
        constrained: bool,
    ) -> Result<()> {
        if *image == stored.image {
            return Ok(());
        }
        let differ = |c: &usize| image.values[*c] != stored.image.values[*c];
        if constrained && plan.references.iter().any(|r| r.bends && r.columns.iter().any(differ)) {
            return self.recompute(plan, &image.ident);
        }
        if constrained || plan.misfit(image).is_some() {
            self.remove(plan, stored)?;
            self.left(plan, &stored.image, stored.place)?;
            return self.put_pending(plan, image);
        }
        self.overwrite(plan, layout, stored, image)
    }

    /// The author of this change had seen the row, or what it came from.
    fn saw_some_writer(&self, image: &Image, origin: &Origin, at: At) -> Result<bool> {
        let mut last = TxNo(0);
        for &writer in &image.writers {
            if writer == TxNo(0) || writer == last {
                continue;
            }
            last = writer;
            if writer == at.tx || self.saw_write((origin, at), writer, 0)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes the layout's columns of a visible row; none of them is of a key.
    fn overwrite(
        &mut self,
        plan: &TablePlan,
        layout: &mut LayoutPlan,
        stored: &Stored,
        image: &Image,
    ) -> Result<()> {
        let columns: Vec<usize> = (0..plan.columns.len()).filter(|i| layout.places[*i].is_some()).collect();
        let sql = layout.update.get_or_insert_with(|| {
            let mut sql =
                format!("UPDATE {} SET {COLUMN_VERSION} = ?2, {COLUMN_OVERRIDES} = ?3", plan.sql.name);
            for (n, i) in columns.iter().enumerate() {
                sql += &format!(", {} = ?{}", physical_column(plan.columns[*i].tag), n + 4);
            }
            sql + " WHERE rowid = ?1"
        });
        let (version, overrides) = hidden(plan, &image.writers, image.flags);
        let mut params = vec![
            p2pdb_model::ValueRef::Int(stored.rowid),
            tx_sql(version),
            overrides.as_deref().map_or(p2pdb_model::ValueRef::Null, p2pdb_model::ValueRef::Blob),
        ];
        params.extend(columns.iter().map(|i| p2pdb_model::ValueRef::from(&image.values[*i])));
        self.db.execute(sql, params)?;
        let before = self.hash(plan, &stored.image, stored.place)?;
        let after = self.hash(plan, image, stored.place)?;
        self.subtract(plan, before);
        self.add(plan, after);
        Ok(())
    }

    /// Where transaction `tx` last wrote this column of the row.
    pub(crate) fn last_write(&self, plan: &TablePlan, ident: &Ident, tx: TxNo, tag: ColumnTag) -> Result<At> {
        let mut of_tx = self.db.changes_of(plan.no, ident)?;
        of_tx.retain(|at| at.tx == tx);
        for at in of_tx.into_iter().rev() {
            if self.db.load_change(at)?.write.columns.contains(&tag) {
                return Ok(at);
            }
        }
        Err(StoreError::Corrupt(format!(
            "transaction {} wrote a cell of {}, and the change index does not say where",
            tx.0, plan.sql.name
        )))
    }

    /// A delete that arrived.
    pub(crate) fn delete(&mut self, plan: &TablePlan, ident: &Ident, origin: &Origin, at: At) -> Result<()> {
        let stored = match self.visible_of(plan, ident)? {
            Some(stored) if stored.image.flags & (HISTORY | BIRTHS) == 0 => stored,
            _ => return self.recompute(plan, ident),
        };
        for other in self.db.changes_of(plan.no, ident)? {
            if other == at {
                continue;
            }
            let seen = self.saw_write((origin, at), other.tx, other.offset)?;
            if !seen && !fault::on(Fault::DeleteWins) {
                return self.recompute(plan, ident);
            }
        }
        if stored.image.flags & SIBLINGS != 0 {
            self.db.drop_siblings(plan.no, ident)?;
        }
        self.remove(plan, &stored)?;
        self.left(plan, &stored.image, stored.place)
    }

    /// Merges a row from all its accepted changes and writes it anew.
    pub(crate) fn recompute(&mut self, plan: &TablePlan, ident: &Ident) -> Result<()> {
        let mut lying = self.displaced_of(plan, ident)?;
        if fault::on(Fault::DisplacedUnseen) && !lying.is_empty() {
            return Ok(());
        }
        lying.extend(self.visible_of(plan, ident)?);
        for stored in &lying {
            self.remove(plan, stored)?;
            self.left(plan, &stored.image, stored.place)?;
        }
        let outvoted = self.db.outvoted_of(plan.no, ident)?;
        self.db.drop_siblings(plan.no, ident)?;
        self.unbend(plan, ident)?;
        let (loaded, not_counting) = self.unsettled(plan, ident)?;
        let merged = self.merged(plan, &loaded)?;
        let joint = |tag| plan.is_joint(tag);
        self.adrift += merged.adrift.len() as u64;
        let inserts = |l: &&Loaded| matches!(l.write.kind, p2pdb_merge::WriteKind::Insert { .. });
        let deleted = loaded.iter().any(|l| l.write.kind == p2pdb_merge::WriteKind::Delete);
        let births = loaded.iter().filter(inserts).count();
        // Without deletes every increment can be merged in place, with one insert every update, too.
        let mut simple = !deleted && merged.adrift.is_empty() && (births <= 1 || merged.units.len() == 1);
        simple &= not_counting.is_empty() && !loaded.iter().any(|l| l.cause.is_some());
        // A column that is a plain register now and has edits in its history. One that is gone is in nobody's way.
        let turned = |cells: &Vec<Cell>| {
            cells.first().is_some_and(|c| plan.column(c.column).is_some() && !joint(c.column))
        };
        simple &= !merged.units.iter().any(|u| u.joint.iter().any(turned));
        let now = self.not_standing((plan.table.id, ident), (&loaded, &merged), &not_counting)?;
        for (at, origin) in &now {
            self.db.put_sibling(plan.no, ident, TxNo(0), OUTVOTED, *at)?;
            if !outvoted.contains(at) {
                self.reconsider_effects((plan.table.id, ident), origin)?;
            }
        }
        for at in outvoted.iter().filter(|at| !now.iter().any(|(now, _)| now == *at)) {
            self.reconsider_effects((plan.table.id, ident), &self.db.origin(at.tx)?)?;
        }
        for unit in &merged.units {
            let (mut image, mut lost) = self.unit_image(plan, ident, unit, &loaded)?;
            let whole = match unit.standing {
                Standing::Primary => self.as_a_whole(plan, unit, &loaded, &image)?,
                _ => None,
            };
            if let Some(unit) = &whole {
                (image, lost) = self.unit_image(plan, ident, unit, &loaded)?;
                image.flags |= HISTORY | WHOLE;
            }
            let unit = whole.as_ref().unwrap_or(unit);
            image.flags |= match simple {
                false => HISTORY,
                true if births > 1 => BIRTHS,
                true => 0,
            };
            image.flags |= if unit.weak { WEAK } else { 0 };
            let no = match unit.standing {
                Standing::Primary => TxNo(0),
                _ => loaded[unit.founder].at.tx,
            };
            for s in unit.siblings.iter().chain(&lost).filter(|s| plan.stores(s.column)) {
                self.db.put_sibling(plan.no, ident, no, i64::from(s.column.0), loaded[s.change].at)?;
            }
            for d in &unit.lost_deletes {
                self.db.put_sibling(plan.no, ident, no, LOST_DELETE, loaded[*d].at)?;
            }
            match unit.standing {
                Standing::Primary => {
                    self.bend(plan, &mut image)?;
                    self.put_merged(plan, &image)?;
                }
                Standing::Generated => self.displace(plan, &image, Reason::Generated, no).map(drop)?,
                Standing::Superseded => self.displace(plan, &image, Reason::Superseded, no).map(drop)?,
            }
        }
        Ok(())
    }
}

impl Run<'_> {
    /// Shows a row that nothing stands in the way of; another one waits until [`Run::settle`] has decided.
    pub(crate) fn put_merged(&mut self, plan: &TablePlan, image: &Image) -> Result<()> {
        if self.has_parents(plan, image)?
            && let Some(rowid) = self.show_if_free(plan, image)?
        {
            return self.shown(plan, image, rowid, false);
        }
        self.put_pending(plan, image)
    }

    /// What the unit's cells hold, and what of those that are no plain registers has lost.
    pub(crate) fn unit_image(
        &self,
        plan: &TablePlan,
        ident: &Ident,
        unit: &Unit,
        loaded: &[Loaded],
    ) -> Result<(Image, Vec<Cell>)> {
        let mut image = self.image_of(plan, ident, unit, loaded)?;
        let lost = self.joint_cells(plan, unit, loaded, &mut image)?;
        if let Some(i) = plan.owner {
            image.values[i] = owner_of(ident)?;
        }
        Ok((image, lost))
    }

    /// What the unit's plain cells hold.
    pub(crate) fn image_of(
        &self,
        plan: &TablePlan,
        ident: &Ident,
        unit: &Unit,
        loaded: &[Loaded],
    ) -> Result<Image> {
        let has_siblings =
            unit.siblings.iter().any(|s| plan.stores(s.column)) || !unit.lost_deletes.is_empty();
        let mut image = Image {
            ident: ident.clone(),
            values: plan.columns.iter().map(|c| c.unwritten.clone()).collect(),
            writers: vec![TxNo(0); plan.columns.len()],
            flags: if has_siblings { SIBLINGS } else { 0 },
        };
        for cell in &unit.cells {
            let from = &loaded[cell.change];
            let column = plan.column(cell.column).filter(|i| plan.columns[*i].stored);
            if let (Some(i), Some(value)) = (column, from.values.get(cell.place)) {
                let (value, misfit) = self.present(&plan.columns[i], value, (&from.origin, from.at))?;
                image.values[i] = value;
                image.writers[i] = from.at.tx;
                image.flags |= if misfit { MISFIT } else { 0 };
            }
        }
        Ok(image)
    }
}
