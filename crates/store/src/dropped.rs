//! What was written beside a drop: rows of a table that is gone, and values of a column that is.
//!
//! A drop of a table deletes every row as its author had seen it, a drop of a column what its author had seen there. What nobody's
//! drop had seen is in no table; `p2pdb.conflicts` shows it, from the log, by the index that `beside` keeps. It is read as the
//! table would show it if it were there with all columns that it ever had: its *ghost*.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use p2pdb_merge::{Cell, RowWrite, WriteKind};
use p2pdb_model::catalog::Table;
use p2pdb_model::change::{Layout, RowChange, SchemaChange};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::{CellKind, RowKey, Value};

use crate::apply::{Merger, owner_of};
use crate::beside::{DropAt, homes};
use crate::conflicts::{Conflict, Rule, Side, key_now, side};
use crate::connection::Connection;
use crate::displaced::{Image, Run};
use crate::error::Result;
use crate::index::{IsAncestor, Loaded, saw};
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::materialize::PlanCache;
use crate::materialize_plan::TablePlan;
use crate::meaning::Meaning;
use crate::objects::{Held, Schema, Typed};
use crate::query::{Flow, NEXT, STOP};
use crate::resolve::Found;

/// See the module.
struct Ghost {
    schema: Schema,
    table: Arc<Table>,
    /// The columns that are gone.
    columns: BTreeMap<ColumnTag, Vec<DropAt>>,
}

impl Ghost {
    fn plan(&self, db: &Connection, meaning: &Meaning) -> Result<TablePlan> {
        TablePlan::build(db, &self.table, &self.schema, meaning, false)
    }

    /// With the names that its columns had; several may have had one.
    fn named(&self) -> Arc<Table> {
        let mut table = Table::clone(&self.table);
        for column in &mut table.columns {
            if let Some(state) = self.schema.live.iter().find(|o| o.id == column.id) {
                column.name.clone_from(&state.name);
            }
        }
        Arc::new(table)
    }
}

impl Schema {
    /// The definitions of a table's columns of which the type has changed, of those that are gone, too.
    pub(crate) fn types_of(
        &self,
        table: ObjectId,
        is_ancestor: IsAncestor<'_>,
    ) -> Result<HashMap<ColumnTag, Arc<[Typed]>>> {
        let mut found = HashMap::new();
        let ghost = self.ghost(table, is_ancestor)?;
        let there = self.catalog.table_by_id(table).map(|table| (self, table));
        let of = ghost.as_ref().map(|ghost| (&ghost.schema, &ghost.table)).into_iter().chain(there);
        for (schema, table) in of {
            for column in &table.columns {
                if let Some(typed) = schema.types.get(&column.id) {
                    found.insert(column.tag, typed.clone());
                }
            }
        }
        Ok(found)
    }

    fn ghost(&self, table: ObjectId, is_ancestor: IsAncestor<'_>) -> Result<Option<Ghost>> {
        let homes = homes(&self.held);
        let Some((_, database)) = homes.get(&table).copied() else { return Ok(None) };
        let is_put = |h: &&Held| matches!(&*h.change, SchemaChange::Put { .. });
        let id_of = |h: &Held| match &*h.change {
            SchemaChange::Put { id, .. } | SchemaChange::Drop { id } => *id,
        };
        let counting: HashSet<ObjectId> =
            self.held.iter().filter(is_put).filter(|h| h.accepted).map(id_of).collect();
        let counts = |h: &Held| h.accepted || !counting.contains(&id_of(h));
        let of_table = |h: &Held| {
            let id = id_of(h);
            let part = homes.get(&id).filter(|home| home.1 == table).map(|home| home.0);
            match &*h.change {
                SchemaChange::Put { .. } => {
                    let kept = matches!(part, Some(ObjectKind::Column | ObjectKind::Index));
                    (id == table || id == database || kept) && counts(h)
                }
                SchemaChange::Drop { .. } => part == Some(ObjectKind::Index) && h.accepted,
            }
        };
        let held = self.held.iter().filter(|h| of_table(h)).cloned();
        let held: Vec<Held> = held.map(|h| Held { accepted: true, ..h }).collect();
        let expressions = self.expressions.clone();
        let schema = Schema { held, expressions, ..Schema::default() }.merged(is_ancestor)?;
        let Some(found) = schema.catalog.table_by_id(table).cloned() else { return Ok(None) };
        let mut columns = BTreeMap::new();
        for column in &found.columns {
            let is_it = |h: &&Held| id_of(h) == column.id;
            let of_column = || self.held.iter().filter(is_it).filter(|h| counts(h));
            let drops = of_column().filter(|h| !is_put(h)).filter(|h| h.accepted);
            let drops: Vec<DropAt> = drops.map(|h| DropAt { at: h.at, origin: h.origin }).collect();
            let mut kept = drops.is_empty();
            for put in of_column().filter(is_put) {
                let mut removed = false;
                for drop in &drops {
                    removed = removed || saw(drop.place(), (&put.origin, put.at.offset), is_ancestor)?;
                }
                kept |= !removed;
            }
            if !kept {
                columns.insert(column.tag, drops);
            }
        }
        Ok(Some(Ghost { schema, table: found, columns }))
    }
}

/// A row of a table that is gone.
struct DroppedRow {
    image: Image,
    conflicts: Vec<Conflict>,
}

impl DropAt {
    /// The drop as a delete of a row.
    fn as_delete(&self, table: ObjectId) -> Loaded {
        Loaded {
            at: self.at,
            table,
            owner: None,
            origin: self.origin,
            write: RowWrite {
                kind: WriteKind::Delete,
                columns: Vec::new(),
                key_columns: Vec::new(),
                effect: false,
                weak: false,
                orphan: false,
            },
            values: Vec::new(),
            edits: Vec::new(),
            cause: None,
        }
    }
}

impl Run<'_> {
    /// None of the drops had seen the change.
    fn is_unseen(&self, drops: &[DropAt], l: &Loaded) -> Result<bool> {
        for drop in drops {
            if saw(drop.place(), (&l.origin, l.at.offset), self.is_ancestor)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn dropper(&self, drops: &[DropAt]) -> Result<Option<Side>> {
        drops.last().map(|drop| side(self.db, drop.at.tx, None)).transpose()
    }

    /// The rows of this key that live though each drop of the table deletes what its author had seen, with what is shown of them.
    fn dropped_rows(
        &mut self,
        ghost: &Ghost,
        plan: &TablePlan,
        drops: &[DropAt],
        ident: &Ident,
    ) -> Result<Vec<DroppedRow>> {
        let (mut loaded, _) = self.counting(plan.no, ident)?;
        loaded.extend(drops.iter().map(|d| d.as_delete(plan.table.id)));
        loaded.sort_by_key(|l| l.origin.order(l.at.offset));
        let merged = self.merged(plan, &loaded)?;
        let mut rows = Vec::new();
        for unit in &merged.units {
            let written = unit.cells.iter().chain(&unit.siblings).chain(unit.joint.iter().flatten());
            let mut last = None;
            for change in written.map(|c| c.change).chain([unit.founder]) {
                let l = &loaded[change];
                if !l.write.effect && Some(change) > last && self.is_unseen(drops, l)? {
                    last = Some(change);
                }
            }
            let Some(last) = last else { continue };
            let mut image = self.image_of(plan, ident, unit, &loaded)?;
            let lost = self.joint_cells(plan, unit, &loaded, &mut image)?;
            let row =
                self.whole_dropped(ghost, plan, drops, &mut image, loaded[last].at.tx, Rule::DroppedTable)?;
            let mut conflicts = vec![row];
            for s in unit.siblings.iter().chain(&lost) {
                conflicts.extend(self.dropped_sibling(ghost, plan, drops, (s, &loaded[s.change]), &image)?);
            }
            rows.push(DroppedRow { image, conflicts });
        }
        if rows.is_empty()
            && let Some((mut image, last)) = self.hanging(plan, ident, loaded)?
        {
            let row = self.whole_dropped(ghost, plan, drops, &mut image, last, Rule::VoidInsert)?;
            rows.push(DroppedRow { image, conflicts: vec![row] });
        }
        Ok(rows)
    }

    fn whole_dropped(
        &self,
        ghost: &Ghost,
        plan: &TablePlan,
        drops: &[DropAt],
        image: &mut Image,
        last: TxNo,
        rule: Rule,
    ) -> Result<Conflict> {
        if let Some(i) = plan.owner {
            image.values[i] = owner_of(&image.ident)?;
        }
        let mut row = self.whole_row(plan, image)?;
        for (tag, drops) in &ghost.columns {
            let writer = plan.column(*tag).map(|i| image.writers[i]).filter(|w| *w != TxNo(0));
            let mut unseen = writer.is_some();
            for drop in drops {
                let Some(writer) = writer else { break };
                unseen = unseen && !saw(drop.place(), (&self.db.origin(writer)?, 0), self.is_ancestor)?;
            }
            row.retain(|held| held.tag != *tag || (unseen && !held.value.is_null()));
        }
        Ok(Conflict {
            table: plan.table.id,
            key: image.ident.to_key()?,
            now: key_now(plan, image)?,
            columns: Vec::new(),
            rule,
            winner: self.dropper(drops)?,
            loser: Some(side(self.db, last, None)?),
            row: Some(row),
            kept_row: None,
        })
    }

    /// A value that lost in a row of a table that is gone.
    fn dropped_sibling(
        &self,
        ghost: &Ghost,
        plan: &TablePlan,
        drops: &[DropAt],
        (cell, lost): (&Cell, &Loaded),
        image: &Image,
    ) -> Result<Option<Conflict>> {
        let Some(i) = plan.column(cell.column).filter(|i| plan.columns[*i].stored) else { return Ok(None) };
        if !self.is_unseen(drops, lost)?
            || !self.is_unseen(ghost.columns.get(&cell.column).map_or(&[], Vec::as_slice), lost)?
        {
            return Ok(None);
        }
        let kind = if lost.write.weak { CellKind::Register } else { plan.columns[i].kind };
        if matches!(kind, CellKind::Owner | CellKind::Max | CellKind::Min) {
            return Ok(None);
        }
        let Some((value, ty)) = self.lost_cell(plan, i, kind, lost, image)? else { return Ok(None) };
        let winner = (image.writers[i] != TxNo(0))
            .then(|| side(self.db, image.writers[i], Some(image.values[i].clone())));
        Ok(Some(Conflict {
            table: plan.table.id,
            key: image.ident.to_key()?,
            now: key_now(plan, image)?,
            columns: vec![cell.column],
            rule: Rule::ConcurrentWrite,
            winner: winner.transpose()?,
            loser: Some(Side { ty, ..side(self.db, lost.at.tx, Some(value))? }),
            row: None,
            kept_row: None,
        }))
    }

    /// What was written to a row beside the drop of a column, until somebody who saw both changes the row.
    fn dropped_cells(&mut self, ghost: &Ghost, plan: &TablePlan, ident: &Ident) -> Result<Vec<Conflict>> {
        let (loaded, _) = self.counting(plan.no, ident)?;
        let merged = self.merged(plan, &loaded)?;
        let mut found = Vec::new();
        for unit in &merged.units {
            let mut whole = self.image_of(plan, ident, unit, &loaded)?;
            self.joint_cells(plan, unit, &loaded, &mut whole)?;
            for (tag, drops) in &ghost.columns {
                let Some(i) = plan.column(*tag).filter(|i| plan.columns[*i].stored) else { continue };
                let of_column = |c: &&Cell| c.column == *tag;
                let plain = unit.cells.iter().chain(&unit.siblings).filter(of_column);
                let joint: Vec<&Cell> = unit.joint.iter().flatten().filter(of_column).collect();
                let mut open = Vec::new();
                for cell in plain.chain(joint.iter().copied()) {
                    if self.is_open(drops, &loaded, cell.change)? {
                        open.push(cell);
                    }
                }
                open.sort_unstable();
                open.dedup();
                let is_new = |v: &Value| !v.is_null() && *v != plan.columns[i].unwritten;
                if !joint.is_empty() {
                    // What the cell would hold.
                    let value = &whole.values[i];
                    if let Some(last) = open.last().filter(|_| is_new(value)) {
                        let at = loaded[last.change].at;
                        let lost = side(self.db, at.tx, Some(value.clone()))?;
                        found.push(self.dropped_cell(plan, &whole, *tag, drops, lost)?);
                    }
                    continue;
                }
                for cell in open {
                    let l = &loaded[cell.change];
                    let Some(value) = l.values.get(cell.place) else { continue };
                    let (brought, ty) = self.told(&plan.columns[i], value, (&l.origin, l.at))?;
                    let value = if ty.is_some() { value.clone() } else { brought };
                    if ty.is_some() || is_new(&value) {
                        let lost = Side { ty, ..side(self.db, l.at.tx, Some(value))? };
                        found.push(self.dropped_cell(plan, &whole, *tag, drops, lost)?);
                    }
                }
            }
        }
        Ok(found)
    }

    fn dropped_cell(
        &self,
        plan: &TablePlan,
        image: &Image,
        tag: ColumnTag,
        drops: &[DropAt],
        lost: Side,
    ) -> Result<Conflict> {
        Ok(Conflict {
            table: plan.table.id,
            key: image.ident.to_key()?,
            now: key_now(plan, image)?,
            columns: vec![tag],
            rule: Rule::DroppedColumn,
            winner: self.dropper(drops)?,
            loser: Some(lost),
            row: None,
            kept_row: None,
        })
    }

    /// No drop had seen this write, and nobody who had seen it and a drop has changed the row.
    fn is_open(&self, drops: &[DropAt], loaded: &[Loaded], change: usize) -> Result<bool> {
        let write = &loaded[change];
        if write.write.effect || !self.is_unseen(drops, write)? {
            return Ok(false);
        }
        for later in &loaded[change + 1..] {
            let w = &later.write;
            // Neither who needs the row nor who may only add has decided.
            let decides = w.kind != WriteKind::Delete && !w.columns.is_empty() && !w.weak && !w.effect;
            if !decides
                || !saw((&later.origin, later.at.offset), (&write.origin, write.at.offset), self.is_ancestor)?
            {
                continue;
            }
            for drop in drops {
                if saw((&later.origin, later.at.offset), drop.place(), self.is_ancestor)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Of a table that is there: the ghost, where it has lost columns beside which somebody wrote.
    fn ghost_of_columns(&self, table: ObjectId, no: i64) -> Result<Option<(Ghost, TablePlan)>> {
        let schema = &self.plans.schema;
        if schema.dropped.get(&table).is_none_or(|d| d.columns.is_empty()) || !self.db.has_beside(no)? {
            return Ok(None);
        }
        let Some(ghost) = schema.ghost(table, self.is_ancestor)? else { return Ok(None) };
        let plan = ghost.plan(self.db, &self.plans.meaning)?;
        Ok(Some((ghost, plan)))
    }

    /// What was written to a table's columns beside their drops.
    pub(crate) fn column_conflicts(
        &mut self,
        (table, no): (ObjectId, i64),
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<Flow> {
        let Some((ghost, plan)) = self.ghost_of_columns(table, no)? else { return Ok(NEXT) };
        for ident in self.db.beside(no)? {
            for conflict in self.dropped_cells(&ghost, &plan, &ident)? {
                if each(&conflict)?.is_break() {
                    return Ok(STOP);
                }
            }
        }
        Ok(NEXT)
    }

    /// Something was written to this row beside the drop of a column, and nobody has decided about it.
    pub(crate) fn has_dropped_cells(&mut self, (table, no): (ObjectId, i64), ident: &Ident) -> Result<bool> {
        if !self.db.is_beside(no, ident)? {
            return Ok(false);
        }
        let Some((ghost, plan)) = self.ghost_of_columns(table, no)? else { return Ok(false) };
        Ok(!self.dropped_cells(&ghost, &plan, ident)?.is_empty())
    }
}

/// Asks about the rows of a table that is gone.
struct Gone<'a> {
    db: &'a Connection,
    is_ancestor: IsAncestor<'a>,
    /// Has no tables: whatever it is asked, it reads from the log.
    cache: PlanCache,
    ghost: Ghost,
    plan: TablePlan,
    drops: Vec<DropAt>,
}

impl Gone<'_> {
    fn rows(&mut self, ident: &Ident) -> Result<Vec<DroppedRow>> {
        let mut run = Run::new(self.db, self.is_ancestor, &mut self.cache);
        run.dropped_rows(&self.ghost, &self.plan, &self.drops, ident)
    }
}

impl Merger {
    /// The index of what was written beside drops, of a store that had none.
    pub fn index_drops(&mut self, db: &Connection, is_ancestor: IsAncestor<'_>) -> Result<()> {
        let schema = self.cache.schema.clone();
        Run::new(db, is_ancestor, &mut self.cache).index_drops(&Schema::default(), &schema, None)
    }

    fn gone<'a>(
        &self,
        db: &'a Connection,
        is_ancestor: IsAncestor<'a>,
        table: ObjectId,
    ) -> Result<Option<Gone<'a>>> {
        let Some(dropped) = self.cache.schema.dropped.get(&table).filter(|d| !d.table.is_empty()) else {
            return Ok(None);
        };
        let Some(no) = db.table_no_if_known(table)? else { return Ok(None) };
        if !db.has_beside(no)? {
            return Ok(None);
        }
        let Some(ghost) = self.cache.schema.ghost(table, is_ancestor)? else { return Ok(None) };
        let plan = ghost.plan(db, &self.cache.meaning)?;
        let cache = PlanCache::new(Arc::default(), self.cache.meaning.clone());
        Ok(Some(Gone { db, is_ancestor, cache, ghost, plan, drops: dropped.table.clone() }))
    }

    /// Rows of tables that are gone, and that no drop had seen as they are.
    pub(crate) fn dropped_tables(
        &self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        void: &[ObjectId],
        each: &mut dyn FnMut(&Conflict) -> Result<Flow>,
    ) -> Result<Flow> {
        let mut tables: Vec<ObjectId> = self.cache.schema.dropped.keys().copied().collect();
        tables.retain(|t| !void.contains(t));
        tables.sort_unstable();
        for table in tables {
            let Some(mut gone) = self.gone(db, is_ancestor, table)? else { continue };
            for ident in db.beside(gone.plan.no)? {
                for conflict in gone.rows(&ident)?.iter().flat_map(|row| &row.conflicts) {
                    if each(conflict)?.is_break() {
                        return Ok(STOP);
                    }
                }
            }
        }
        Ok(NEXT)
    }

    /// Tables of which conflicts may tell that the catalog does not know, or not with all columns: with all that they ever had,
    /// by the names that these had last.
    pub fn ghosts(
        &self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
    ) -> Result<HashMap<ObjectId, Arc<Table>>> {
        let mut found = HashMap::new();
        for table in self.cache.schema.dropped.keys() {
            if let Some(no) = db.table_no_if_known(*table)?
                && db.has_beside(no)?
                && let Some(ghost) = self.cache.schema.ghost(*table, is_ancestor)?
            {
                found.insert(*table, ghost.named());
            }
        }
        Ok(found)
    }

    /// A table, there or gone, with all columns that it ever had.
    pub fn ghost(&self, is_ancestor: IsAncestor<'_>, table: ObjectId) -> Result<Option<Arc<Table>>> {
        Ok(self.cache.schema.ghost(table, is_ancestor)?.map(|ghost| ghost.named()))
    }

    /// The tables of this name that are gone by drops that count.
    pub fn dropped_named(
        &self,
        is_ancestor: IsAncestor<'_>,
        database: &str,
        name: &str,
    ) -> Result<Vec<Arc<Table>>> {
        let schema = &self.cache.schema;
        let mut found: Vec<Arc<Table>> = Vec::new();
        let mut asked = HashSet::new();
        for h in &schema.held {
            let SchemaChange::Put { id, name: Some(n), kind: ObjectKind::Table, .. } = &*h.change else {
                continue;
            };
            let gone = schema.dropped.get(id).is_some_and(|d| !d.table.is_empty());
            if n == name
                && gone
                && asked.insert(*id)
                && let Some(ghost) = schema.ghost(*id, is_ancestor)?
                && ghost.table.name == name
                && ghost.table.database == database
            {
                found.push(ghost.named());
            }
        }
        Ok(found)
    }

    /// The identities that a row with this primary key may have in a table that is gone.
    pub(crate) fn dropped_identities(
        &self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &[Value],
    ) -> Result<Vec<RowKey>> {
        let is_gone = self.cache.schema.dropped.get(&table).is_some_and(|d| !d.table.is_empty());
        let Some(no) = db.table_no_if_known(table)?.filter(|_| is_gone) else { return Ok(Vec::new()) };
        let born = Ident::of(key);
        let mut found = Vec::new();
        if db.has_changes(no, &born, TxNo(i64::MAX as u64))? {
            found.push(born.to_key()?);
        }
        if db.is_beside(no, &born)? {
            return Ok(found);
        }
        // Perhaps one whose key was changed.
        if let Some(mut gone) = self.gone(db, is_ancestor, table)? {
            let columns: Vec<usize> =
                gone.plan.table.primary_columns().iter().filter_map(|c| gone.plan.column(c.tag)).collect();
            for ident in db.beside(no)? {
                let is_it = |row: &DroppedRow| {
                    columns.len() == key.len()
                        && columns.iter().zip(key).all(|(i, v)| row.image.values[*i] == *v)
                };
                if !columns.is_empty() && gone.rows(&ident)?.iter().any(is_it) {
                    found.push(ident.to_key()?);
                }
            }
        }
        Ok(found)
    }

    /// The delete of a row of a table that is gone.
    pub(crate) fn discard_dropped(
        &self,
        db: &Connection,
        is_ancestor: IsAncestor<'_>,
        table: ObjectId,
        key: &[Value],
    ) -> Result<Found<(Layout, RowChange)>> {
        let Some(mut gone) = self.gone(db, is_ancestor, table)? else { return Ok(Found::Nothing) };
        let (mut now, mut born) = (Vec::new(), Vec::new());
        for ident in db.beside(gone.plan.no)? {
            let identity = ident.to_key()?;
            let rows = gone.rows(&ident)?;
            if rows.iter().any(|row| row.conflicts.iter().any(|c| c.now.0 == key)) {
                now.push(identity);
            } else if identity.0 == key && !rows.is_empty() {
                born.push(identity);
            }
        }
        Ok(Found::of(now, born).map(|key| {
            let change = RowChange::Delete { layout: 0, key, cause: None };
            (Layout(table, 0, Vec::new()), change)
        }))
    }
}
