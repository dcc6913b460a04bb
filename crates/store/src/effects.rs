//! Foreign keys' effects on merged rows: what a parent that goes, or changes its key, does to children that its author
//! had not seen, and what becomes of the effects that are in the log when the parent stays after all (`docs/merge.md`).
//!
//! * *Effects in the log.* CASCADE and SET NULL are logged by the statement, each with its cause. The effect of a delete
//!   counts as long as the delete does: when an edit elsewhere keeps the parent, its children stay as well.
//! * *Effects that nobody logged.* A row that refers to a key which no live row has any more is *bent*: its columns read
//!   the new key of the row that was born with that key, or NULL where the constraint says SET NULL. What was written is
//!   in the log; `bent` says which rows these are and what they referred to, so that they are found when a parent comes.
//!
//! The first depends on what was done to the deleted row (decision 0017), the second on which rows are live and on what they hold,
//! neither on which are visible, so that nothing that is displaced later feeds back. A constraint whose columns would come back to itself bends nothing; its orphans
//! are displaced, like those of CASCADE.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use p2pdb_merge::{MergedRow, RowWrite, WriteKind, merge_row};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::schema::ReferentialAction;
use p2pdb_model::{Change, Value, ValueRef};

use crate::connection::Connection;
use crate::displaced::{HISTORY, Image, Place, Run};
use crate::error::{Result, StoreError};
use crate::index::{At, Cause, Loaded, Origin};
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::log_read::StoredBody;
use crate::materialize_plan::{Dependent, Reference, TablePlan};
use crate::query::NEXT;

/// A row whose columns of a foreign key read otherwise than they were written.
pub(crate) struct Bent {
    pub ident: Ident,
    /// The foreign key.
    pub constraint: ObjectId,
    /// What was written.
    pub key: Ident,
    /// What the columns read instead.
    pub reads: Ident,
}

impl Connection {
    fn bend(
        &self,
        plan: &TablePlan,
        ident: &Ident,
        reference: &Reference,
        key: &[Value],
        reads: &[Value],
    ) -> Result<()> {
        let exact = !key.iter().any(|v| matches!(v, Value::Text(_) | Value::Real(_)));
        let (key, reads) = (Ident::of(key), Ident::of(reads));
        self.execute(
            "INSERT OR REPLACE INTO bent (tbl, ident, fk, key, reads, exact) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            [
                ValueRef::Int(plan.no),
                ident.sql(),
                ValueRef::Blob(&reference.id.0),
                key.sql(),
                reads.sql(),
                ValueRef::Int(i64::from(exact)),
            ],
        )
        .map(drop)
    }

    fn unbend(&self, table: i64, ident: &Ident) -> Result<()> {
        let params = [ValueRef::Int(table), ident.sql()];
        self.execute("DELETE FROM bent WHERE tbl = ?1 AND ident = ?2", params).map(drop)
    }

    fn bent(&self, sql: &str, params: &[ValueRef<'_>]) -> Result<Vec<Bent>> {
        let mut found = Vec::new();
        self.query(&format!("SELECT ident, key, reads, fk FROM bent {sql}"), params, |r| {
            let part = |n| Ident::from_sql(r.get(n)?);
            let constraint = r.blob(3)?.try_into();
            let constraint = constraint
                .map(ObjectId)
                .map_err(|_| StoreError::Corrupt("a bent row without its foreign key".to_owned()))?;
            found.push(Bent { ident: part(0)?, constraint, key: part(1)?, reads: part(2)? });
            Ok(NEXT)
        })?;
        Ok(found)
    }

    /// How this row is bent, by each of its foreign keys.
    pub(crate) fn bent_row(&self, table: i64, ident: &Ident) -> Result<Vec<Bent>> {
        self.bent("WHERE tbl = ?1 AND ident = ?2", &[ValueRef::Int(table), ident.sql()])
    }

    pub(crate) fn bent_of_table(&self, table: i64) -> Result<Vec<Ident>> {
        let found = self.bent("WHERE tbl = ?1 ORDER BY ident", &[ValueRef::Int(table)])?;
        Ok(found.into_iter().map(|b| b.ident).collect())
    }

    /// The rows that this foreign key bends.
    pub(crate) fn bent_by(&self, fk: ObjectId) -> Result<Vec<Bent>> {
        self.bent("WHERE fk = ?1 ORDER BY tbl, ident", &[ValueRef::Blob(&fk.0)])
    }

    pub(crate) fn bends_any(&self, fk: ObjectId) -> Result<bool> {
        let found =
            self.query_one("SELECT 1 FROM bent WHERE fk = ?1 LIMIT 1", [ValueRef::Blob(&fk.0)], |_| Ok(()))?;
        Ok(found.is_some())
    }

    pub(crate) fn is_bent(&self, table: i64, ident: &Ident) -> Result<bool> {
        let params = [ValueRef::Int(table), ident.sql()];
        let sql = "SELECT 1 FROM bent WHERE tbl = ?1 AND ident = ?2 LIMIT 1";
        Ok(self.query_one(sql, params, |_| Ok(()))?.is_some())
    }
}

/// What is known of deletes, of rows as they are now, by the table's number and the row and by the transaction.
#[derive(Default)]
pub(crate) struct Standing {
    /// Whether the delete counts.
    known: HashMap<(i64, Ident), HashMap<TxNo, bool>>,
    /// All deletes of a row.
    deletes: HashMap<(i64, Ident), Deletes>,
}

/// The deletes of a row, by the transaction: whether something keeps the row from it, and the delete that it is an effect of.
type Deletes = HashMap<TxNo, (bool, Option<Cause>)>;

/// What a foreign key did to another row.
#[derive(Debug)]
pub(crate) struct Effect {
    pub table: ObjectId,
    pub ident: Ident,
    /// The columns that it wrote; none: it took the row along.
    pub columns: Vec<ColumnTag>,
}

/// The effects that a block's changes had, by the transaction's position and the row that they began at.
pub(crate) type Effects = HashMap<(u32, ObjectId, Ident), Vec<Effect>>;

impl StoredBody {
    /// The effects of this transaction's change of a row.
    pub(crate) fn effects_of(&self, position: u32, row: (ObjectId, &Ident)) -> &[Effect] {
        let all = self.effects.get_or_init(|| {
            let mut all = Effects::new();
            for (position, tx) in (0..).zip(self.body.transactions()) {
                let named = |n: usize| match tx.changes().get(n) {
                    Some(Change::Row(change)) => {
                        let layout = self.body.layouts().get(change.layout())?;
                        Some((layout.table(), Ident::of(&change.key(layout)?.0)))
                    }
                    _ => None,
                };
                for (n, change) in tx.changes().iter().enumerate() {
                    if let Change::Row(change) = change
                        && let Some(cause) = change.cause()
                        && let (Some((table, ident)), Some(on)) = (named(cause as usize), named(n))
                        && let Some(layout) = self.body.layouts().get(change.layout())
                    {
                        let columns = layout.columns().to_vec();
                        let effect = Effect { table: on.0, ident: on.1, columns };
                        all.entry((position, table, ident)).or_default().push(effect);
                    }
                }
            }
            all
        });
        if all.is_empty() {
            return &[];
        }
        all.get(&(position, row.0, row.1.clone())).map_or(&[], Vec::as_slice)
    }
}

impl Run<'_> {
    /// The accepted changes of a row that count, in write order, and those that do not: effects of deletes that do not stand.
    pub(crate) fn counting(&mut self, no: i64, ident: &Ident) -> Result<(Vec<Loaded>, Vec<Loaded>)> {
        let loaded = self.db.load_changes(no, ident, self.is_ancestor)?;
        if loaded.iter().all(|l| l.cause.is_none()) {
            return Ok((loaded, Vec::new()));
        }
        let (mut counting, mut not) = (Vec::with_capacity(loaded.len()), Vec::new());
        for l in loaded {
            let counts = match l.cause_that_deletes() {
                Some(cause) => self.stands(cause, l.at.tx)?,
                None => true,
            };
            if counts { counting.push(l) } else { not.push(l) }
        }
        Ok((counting, not))
    }

    /// The delete of this row by transaction `tx` counts, and so its effects do: nothing that it had not seen keeps the row from it,
    /// and the delete that it is an effect of, if it is one, counts as well.
    ///
    /// What keeps a row from a delete is asked of the row's own changes alone, whichever of them that are effects count: so nothing
    /// leads back to where it was asked, and what a delete of one transaction does hangs on no effect of another one.
    pub(crate) fn stands(&mut self, delete: &Cause, tx: TxNo) -> Result<bool> {
        let mut chain = Vec::new();
        let mut next = Some(delete.clone());
        // A cause stands before its effects, so this ends; however long somebody has made it.
        let stands = loop {
            let Some(delete) = next else { break true };
            let Some(no) = self.db.table_no_if_known(delete.table)? else { break true };
            let row = (no, delete.ident);
            if let Some(known) = self.standing.known.get(&row).and_then(|deletes| deletes.get(&tx)) {
                break *known;
            }
            if !self.standing.deletes.contains_key(&row) {
                let loaded = self.db.load_changes(no, &row.1, self.is_ancestor)?;
                let deletes = self.deletes_among(&loaded)?;
                self.standing.deletes.insert(row.clone(), deletes);
            }
            let own = self.standing.deletes.get(&row).and_then(|deletes| deletes.get(&tx)).cloned();
            chain.push(row);
            match own {
                None => break true,
                Some((true, _)) => break false,
                Some((false, cause)) => next = cause,
            }
        };
        for row in chain {
            self.standing.known.entry(row).or_default().insert(tx, stands);
        }
        Ok(stands)
    }

    /// This effect of that transaction takes its row along if it counts: nothing keeps the row from it.
    pub(crate) fn takes_along(&mut self, no: i64, effect: &Effect, origin: &Origin) -> Result<bool> {
        let loaded = self.db.load_changes(no, &effect.ident, self.is_ancestor)?;
        Ok(self.deletes_among(&loaded)?.get(&origin.tx).is_some_and(|(kept, _)| !kept))
    }

    /// The deletes among all accepted changes of a row.
    fn deletes_among(&self, loaded: &[Loaded]) -> Result<Deletes> {
        let is_delete = |l: &Loaded| l.write.kind == WriteKind::Delete;
        let mut found = HashMap::new();
        if !loaded.iter().any(is_delete) {
            return Ok(found);
        }
        let writes: Vec<RowWrite> = loaded.iter().map(|l| l.write.clone()).collect();
        let mut ask = |a: usize, b: usize| self.saw_loaded(&loaded[a], &loaded[b]);
        // No cell is looked at.
        let merged = merge_row::<StoreError>(&writes, &|_| true, &mut ask)?;
        for (n, l) in loaded.iter().enumerate().filter(|(_, l)| is_delete(l)) {
            let delete = (merged.outvoted.contains(&n), l.cause_that_deletes().cloned());
            // Of several that somebody has signed in one transaction the first.
            found.entry(l.at.tx).or_insert(delete);
        }
        Ok(found)
    }

    /// The deletes that do not count, of all accepted changes of a row in two parts: what they make of it, and what is not in that.
    pub(crate) fn not_standing(
        &mut self,
        row: (ObjectId, &Ident),
        (loaded, merged): (&[Loaded], &MergedRow),
        not_counting: &[Loaded],
    ) -> Result<Vec<(At, Origin)>> {
        let place = |l: &Loaded| (l.at, l.origin);
        let is_effect = |l: &Loaded| l.write.kind == WriteKind::Delete && l.cause_that_deletes().is_some();
        if not_counting.is_empty() && !loaded.iter().any(is_effect) {
            return Ok(merged.outvoted.iter().map(|d| place(&loaded[*d])).collect());
        }
        let mut found = Vec::new();
        let deletes = loaded.iter().chain(not_counting).filter(|l| l.write.kind == WriteKind::Delete);
        for l in deletes {
            let own = Cause { table: row.0, ident: row.1.clone(), is_delete: true };
            if !self.stands(&own, l.at.tx)? {
                found.push(place(l));
            }
        }
        Ok(found)
    }

    /// A row has one change more, so what was found out about deletes from its changes may be so no more.
    pub(crate) fn forget_standing(&mut self, no: i64, ident: &Ident) {
        // Of whatever hangs on it, it was found out, too.
        if !self.standing.deletes.is_empty() && self.standing.deletes.remove(&(no, ident.clone())).is_some() {
            self.standing.known.clear();
        }
    }

    /// The effects of this row's delete by that transaction are to be looked at again.
    pub(crate) fn reconsider_effects(&mut self, row: (ObjectId, &Ident), origin: &Origin) -> Result<()> {
        let stored = self.db.body(origin.block)?;
        let mut effects: Vec<&Effect> = stored.effects_of(origin.position, row).iter().collect();
        let mut seen = HashSet::new();
        while let Some(Effect { table, ident, .. }) = effects.pop() {
            if self.plans.plan(self.db, *table)?.is_some() {
                self.todo.effect(*table, ident.clone());
            } else if seen.insert((*table, ident)) {
                // Nothing says of this row what its own delete did to others.
                effects.extend(stored.effects_of(origin.position, (*table, ident)));
            }
        }
        Ok(())
    }

    /// All effects of all deletes of these rows, and theirs, are to be looked at again: where a table was written anew nothing says any
    /// more which of them counted.
    pub(crate) fn reconsider_all_effects(&mut self, rows: BTreeSet<(ObjectId, Ident)>) -> Result<()> {
        let mut seen: HashSet<(TxNo, ObjectId, Ident)> = HashSet::new();
        let mut again: BTreeSet<(ObjectId, Ident)> = BTreeSet::new();
        for (table, ident) in rows {
            let Some(no) = self.db.table_no_if_known(table)? else { continue };
            for l in self.db.load_changes(no, &ident, self.is_ancestor)? {
                if l.write.kind != WriteKind::Delete {
                    continue;
                }
                let stored = self.db.body(l.origin.block)?;
                let mut open = vec![(table, ident.clone())];
                while let Some((table, ident)) = open.pop() {
                    if seen.insert((l.origin.tx, table, ident.clone())) {
                        let effects = stored.effects_of(l.origin.position, (table, &ident)).iter();
                        let rows: Vec<_> = effects.map(|e| (e.table, e.ident.clone())).collect();
                        open.extend_from_slice(&rows);
                        again.extend(rows);
                    }
                }
            }
        }
        again.into_iter().for_each(|(table, ident)| self.todo.effect(table, ident));
        Ok(())
    }

    /// A change came to a row whose table is gone: the effects of the deletes for which that makes a difference are to be looked at
    /// again. Nothing is kept there that would say which of them counted.
    pub(crate) fn came_to_absent(&mut self, no: i64, row: (ObjectId, &Ident), at: At) -> Result<()> {
        if fault::on(Fault::AbsentForgotten) {
            return Ok(());
        }
        let loaded = self.db.load_changes(no, row.1, self.is_ancestor)?;
        let before: Vec<Loaded> = loaded.iter().filter(|l| l.at != at).cloned().collect();
        let (was, is) = (self.deletes_among(&before)?, self.deletes_among(&loaded)?);
        for l in before.iter().filter(|l| l.write.kind == WriteKind::Delete) {
            let kept = |of: &Deletes| of.get(&l.at.tx).map(|d| d.0);
            if kept(&was) != kept(&is) {
                self.reconsider_effects(row, &l.origin)?;
            }
        }
        Ok(())
    }

    /// Is there any bent row?
    pub(crate) fn any_bent(&mut self) -> Result<bool> {
        if let Some(known) = self.bent {
            return Ok(known);
        }
        let any = self.db.query_one("SELECT 1 FROM bent LIMIT 1", (), |_| Ok(()))?.is_some();
        self.bent = Some(any);
        Ok(any)
    }

    /// Forgets that the row is bent, before it is merged anew.
    pub(crate) fn unbend(&mut self, plan: &TablePlan, ident: &Ident) -> Result<()> {
        if self.any_bent()? { self.db.unbend(plan.no, ident) } else { Ok(()) }
    }

    /// Lets a row that was just merged read what its references lead to.
    pub(crate) fn bend(&mut self, plan: &TablePlan, image: &mut Image) -> Result<()> {
        for reference in plan.references.iter().filter(|r| r.bends) {
            let key = plan.key_of(&reference.columns, image);
            let Some(key) = key.map(|k| k.iter().map(|v| v.to_value()).collect::<Vec<_>>()) else { continue };
            // The row itself is in no table at this moment.
            let own = (reference.parent == plan.table.id).then_some(&*image);
            let Some(reads) = self.reads(reference, &key, own)? else { continue };
            self.db.bend(plan, &image.ident, reference, &key, &reads)?;
            self.bent = Some(true);
            image.flags |= HISTORY;
            for (i, value) in reference.columns.iter().zip(reads) {
                image.values[*i] = value;
            }
        }
        Ok(())
    }

    /// What the columns of a reference to this key read, if not the key. `own`: a row of the parent's table besides those
    /// that are in it.
    pub(crate) fn reads(
        &mut self,
        reference: &Reference,
        key: &[Value],
        own: Option<&Image>,
    ) -> Result<Option<Vec<Value>>> {
        let Some(parent) = self.plans.plan(self.db, reference.parent)? else { return Ok(None) };
        let of_parent = |image: &Image| -> Option<Vec<Value>> {
            let at = reference.parent_columns.iter().map(|c| parent.column(*c));
            at.map(|i| i.map(|i| image.values[i].clone())).collect()
        };
        let own_key = own.and_then(of_parent);
        let is_own = match &own_key {
            Some(own) => {
                let both: Vec<Value> = own.iter().chain(key).cloned().collect();
                self.db.query_one(&reference.same_key, both, |_| Ok(()))?.is_some()
            }
            None => false,
        };
        if is_own || self.is_live(reference, key)? {
            return Ok(None);
        }
        let moved = match born_with(&parent, &reference.parent_columns, key) {
            Some(born) => {
                let values = |ident: &Ident| match own {
                    Some(own) if own.ident == *ident => Ok(of_parent(own)),
                    _ => Ok::<_, StoreError>(self.live_of(&parent, ident)?.and_then(|i| of_parent(&i))),
                };
                match values(&born)? {
                    Some(values) => Some(values),
                    None => match self.born_alike(&parent, reference, key, own)? {
                        Some(ident) => values(&ident)?,
                        None => None,
                    },
                }
            }
            None => None,
        };
        let nulls = || Some(vec![Value::Null; key.len()]);
        Ok(match moved {
            Some(_) if reference.on_update == ReferentialAction::SetNull => nulls(),
            Some(values) => Some(values),
            None if reference.on_delete == ReferentialAction::SetNull => nulls(),
            None => None,
        })
    }

    /// The first live row that was born with this key in other words: equal by the collations of its columns.
    fn born_alike(
        &self,
        parent: &TablePlan,
        reference: &Reference,
        key: &[Value],
        own: Option<&Image>,
    ) -> Result<Option<Ident>> {
        let Some(moved) = &reference.moved else { return Ok(None) };
        let mut idents: BTreeSet<Ident> = own.map(|own| own.ident.clone()).into_iter().collect();
        for sql in moved {
            self.db.query(sql, (), |r| {
                idents.insert(Ident::from_sql(r.get(0)?)?);
                Ok(NEXT)
            })?;
        }
        for ident in idents {
            let Some(mut both) = birth_key(parent, &reference.parent_columns, &ident)? else { continue };
            both.extend_from_slice(key);
            if self.db.query_one(&reference.same_key, both, |_| Ok(()))?.is_some() {
                return Ok(Some(ident));
            }
        }
        Ok(None)
    }

    fn is_live(&self, reference: &Reference, key: &[Value]) -> Result<bool> {
        let found = |sql: &str| Ok::<_, StoreError>(self.db.query_one(sql, key, |_| Ok(()))?.is_some());
        Ok(found(&reference.parent_exists)? || found(&reference.parent_waits)?)
    }

    /// The visible row that is referred to.
    pub(crate) fn parent(
        &mut self,
        reference: &Reference,
        key: &[Value],
    ) -> Result<Option<(Arc<TablePlan>, Image)>> {
        let Some(plan) = self.plans.plan(self.db, reference.parent)? else { return Ok(None) };
        let found = self.visible_where(&plan, &reference.find_parent, &refs(key))?;
        Ok(found.into_iter().next().map(|s| (plan, s.image)))
    }

    /// The live row of this identity.
    pub(crate) fn live_of(&self, plan: &TablePlan, ident: &Ident) -> Result<Option<Image>> {
        if let Some(stored) = self.visible_of(plan, ident)? {
            return Ok(Some(stored.image));
        }
        let waiting =
            |s: &crate::displaced::Stored| matches!(s.place, Place::Displaced { unit: TxNo(0), .. });
        Ok(self.displaced_of(plan, ident)?.into_iter().find(waiting).map(|s| s.image))
    }

    /// A live row came to these values, or lost them: its children may read something else. Also the key with which
    /// it was born, by which children may follow it.
    pub(crate) fn keys_changed(&mut self, plan: &TablePlan, image: &Image) -> Result<()> {
        for (n, dependent) in plan.dependents.iter().enumerate() {
            let Some(key) = plan.key_of(&dependent.columns, image) else { continue };
            let key: Vec<Value> = key.iter().map(|v| v.to_value()).collect();
            let columns: Vec<_> = dependent.columns.iter().map(|c| plan.columns[*c].tag).collect();
            if let Some(born) = born_with(plan, &columns, &key)
                && born != image.ident
                && let Some(birth_key) = birth_key(plan, &columns, &image.ident)?
            {
                self.todo.key(plan.table.id, n, birth_key);
            }
            self.todo.key(plan.table.id, n, key);
        }
        Ok(())
    }

    /// Carries out what rows that came, went or changed their keys mean for others. Before anything else is decided.
    pub(crate) fn settle_effects(&mut self) -> Result<()> {
        for (table, rowid) in self.todo.open_checks() {
            let Some(plan) = self.plans.plan(self.db, table)? else { continue };
            let Some(stored) = self.visible(&plan, rowid)? else { continue };
            for reference in plan.references.iter().filter(|r| r.bends) {
                let Some(key) = plan.key_of(&reference.columns, &stored.image) else { continue };
                let key: Vec<Value> = key.iter().map(|v| v.to_value()).collect();
                if !self.is_live(reference, &key)? {
                    self.recompute(&plan, &stored.image.ident)?;
                    break;
                }
            }
        }
        loop {
            if let Some((table, ident)) = self.todo.next_effect() {
                if let Some(plan) = self.plans.plan(self.db, table)? {
                    self.recompute(&plan, &ident)?;
                }
            } else if let Some((table, n, key)) = self.todo.next_key() {
                let Some(plan) = self.plans.plan(self.db, table)? else { continue };
                if let Some(dependent) = plan.dependents.get(n) {
                    self.reconsider_children(dependent, &key)?;
                }
            } else {
                return Ok(());
            }
        }
    }

    /// The rows that this reference bends from one of these keys, and that are to read something else by now. Texts are equal by their
    /// collation, which SQLite knows: all are looked at, or those `alike`.
    pub(crate) fn bent_otherwise<'k>(
        &mut self,
        reference: &Reference,
        keys: impl IntoIterator<Item = &'k Ident>,
        alike: bool,
    ) -> Result<Vec<Ident>> {
        let mut idents = Vec::new();
        if !self.any_bent()? {
            return Ok(idents);
        }
        let fk = ValueRef::Blob(&reference.id.0);
        let inexact = self.db.bent("WHERE fk = ?1 AND exact = 0", &[fk])?;
        let (mut bent, mut left) = if alike { (Vec::new(), inexact) } else { (inexact, Vec::new()) };
        for key in keys {
            bent.extend(self.db.bent("WHERE fk = ?1 AND exact = 1 AND key = ?2", &[fk, key.sql()])?);
            let mut others = Vec::with_capacity(left.len());
            for b in left {
                let both = [b.key.to_key()?.0, key.to_key()?.0].concat();
                let same = self.db.query_one(&reference.same_key, both, |_| Ok(()))?.is_some();
                if same { bent.push(b) } else { others.push(b) }
            }
            left = others;
        }
        for bent in bent {
            let reads = self.reads(reference, &bent.key.to_key()?.0, None)?;
            if reads.map(|r| Ident::of(&r)) != Some(bent.reads) {
                idents.push(bent.ident);
            }
        }
        Ok(idents)
    }

    fn reconsider_children(&mut self, dependent: &Dependent, key: &[Value]) -> Result<()> {
        let Some(child) = self.plans.plan(self.db, dependent.child)? else { return Ok(()) };
        let Some(reference) = child.references.iter().find(|r| r.id == dependent.id && r.bends) else {
            return Ok(());
        };
        let mut idents = self.bent_otherwise(reference, [&Ident::of(key)], false)?;
        let reads = self.reads(reference, key, None)?;
        // Those that read these values because they are bent have been looked at, if the key is not what they follow.
        if reads.is_some() || (self.any_bent()? && !self.is_live(reference, key)?) {
            let mut found = self.visible_where(&child, &dependent.all_visible, &refs(key))?;
            if self.any_displaced(&child)? {
                found.extend(self.displaced_where(&child, &dependent.all_displaced, &refs(key))?);
            }
            for stored in found {
                if reads.is_some() || self.db.is_bent(child.no, &stored.image.ident)? {
                    idents.push(stored.image.ident);
                }
            }
        }
        idents.sort();
        idents.dedup();
        for ident in idents {
            self.recompute(&child, &ident)?;
        }
        Ok(())
    }

    /// Merges these rows anew.
    pub(crate) fn reconsider_bent(&mut self, table: ObjectId, bent: &[Bent]) -> Result<()> {
        let Some(plan) = self.plans.plan(self.db, table)? else { return Ok(()) };
        for b in bent {
            self.recompute(&plan, &b.ident)?;
        }
        Ok(())
    }
}

fn refs(key: &[Value]) -> Vec<ValueRef<'_>> {
    key.iter().map(Into::into).collect()
}

/// The identity of a row that was born with these values of the columns, if they are its primary key.
fn born_with(plan: &TablePlan, columns: &[p2pdb_model::ColumnTag], key: &[Value]) -> Option<Ident> {
    if plan.rekeyed || plan.key.is_empty() || plan.key.len() != columns.len() {
        return None;
    }
    let of_key =
        |k: &usize| columns.iter().position(|c| *c == plan.columns[*k].tag).map(|at| key[at].clone());
    plan.key.iter().map(of_key).collect::<Option<Vec<_>>>().map(|k| Ident::of(&k))
}

/// The other way about: the values of the columns with which a row of this identity was born.
pub(crate) fn birth_key(
    plan: &TablePlan,
    columns: &[p2pdb_model::ColumnTag],
    ident: &Ident,
) -> Result<Option<Vec<Value>>> {
    let key = ident.to_key()?.0;
    if key.len() != plan.key.len() {
        return Ok(None);
    }
    let of_column = |c: &p2pdb_model::ColumnTag| {
        plan.key.iter().position(|k| plan.columns[*k].tag == *c).map(|at| key[at].clone())
    };
    Ok(columns.iter().map(of_column).collect())
}
