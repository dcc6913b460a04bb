//! What a local statement must respect of rows whose references it brings back, or moves along.
//!
//! A row whose reference reads otherwise than it was written (`effects`) does not claim what was written. When a
//! statement makes the key that was written again, the reference is back with the commit, and where its column is of a unique key
//! two visible rows may then have one value. Merging takes one of them out; a statement that was answered with OK must not.
//! So rows that this statement brings back, or that earlier ones of the transaction did, are put back for a moment, and asked; then
//! those that refer to them. The same of waiting rows that follow a parent to the key that this statement gives it: their write is
//! older than what the statement did to the visible ones.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use p2pdb_model::Value;
use p2pdb_model::catalog::{physical_column, physical_table};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::ObjectId;
use p2pdb_model::schema::ReferentialAction;

use crate::apply::Merger;
use crate::capture::{CaptureOp, Captured};
use crate::claims::{Violation, columns, key};
use crate::connection::Connection;
use crate::displaced::{Image, Run, Stored};
use crate::effects::birth_key;
use crate::error::Result;
use crate::index_ident::Ident;
use crate::log::TxNo;
use crate::materialize_plan::TablePlan;

type Plans = HashMap<Arc<str>, Arc<TablePlan>>;

/// What a statement wrote, as far as references are concerned.
#[derive(Default)]
struct Written {
    /// Values that references may come back for: the child's table, the constraint, the key.
    keys: BTreeSet<(ObjectId, ObjectId, Ident)>,
    /// Keys that parents gave up for others.
    left: Vec<Left>,
    /// Rows whose unique values were written, by the table and the rowid.
    rows: HashSet<(ObjectId, i64)>,
    /// Who the rows are that the transaction has written, by the table and the rowid; `None`: new ones. Their keys may not say so.
    who: HashMap<(ObjectId, i64), Option<Ident>>,
    /// The other way about.
    places: HashMap<(ObjectId, Ident), i64>,
    /// Transactions of the block that is open: they come after all others.
    unsealed: HashSet<TxNo>,
}

/// A key that a parent gave up for another.
struct Left {
    /// The parent's table and rowid.
    parent: (ObjectId, i64),
    /// Place among the dependents of the table.
    dependent: usize,
    old: Vec<Value>,
    new: Vec<Value>,
}

/// A row that is to be put back: where it lies, and as it will be.
struct Back {
    plan: Arc<TablePlan>,
    stored: Stored,
    image: Image,
}

impl Merger {
    /// The first unique value that two rows would have when references come back, by what was captured since `mark`.
    pub(crate) fn returns(&mut self, db: &Connection, mark: usize) -> Result<Option<Violation>> {
        let never = |_, _| Ok(false);
        let mut run = Run::new(db, &never, &mut self.cache);
        let Some(capture) = &db.capture else { return Ok(None) };
        if fault::on(Fault::ReturnsUnasked) {
            return Ok(None);
        }
        let (mut plans, mut asked) = (Plans::new(), HashSet::new());
        for name in capture.with(mark, tables) {
            let Some(plan) = run.plan_of(&name)? else { continue };
            let mut here = Vec::new();
            for dependent in &plan.dependents {
                if run.is_bending(dependent.id)? || run.may_follow(dependent.child)? {
                    here.push(dependent.id);
                }
            }
            for reference in plan.references.iter().filter(|r| r.bends) {
                if run.is_bending(reference.id)? {
                    here.push(reference.id);
                }
            }
            if !here.is_empty() {
                plans.insert(name, plan);
                asked.extend(here);
            }
        }
        if plans.is_empty() {
            return Ok(None);
        }
        let mut written = capture.with(mark, |list| written(list, &plans, &asked));
        if written.keys.is_empty() && written.left.is_empty() && written.rows.is_empty() {
            return Ok(None);
        }
        for name in capture.with(0, tables) {
            if !plans.contains_key(&name)
                && let Some(plan) = run.plan_of(&name)?
            {
                plans.insert(name, plan);
            }
        }
        capture.with(0, |list| who(list, &plans, &mut written))?;
        written.unsealed = self.unsealed.iter().map(|o| o.tx).collect();
        run.add_own_keys(&mut written)?;
        let mut back = run.following(&written)?;
        back.extend(run.coming_back(&written)?);
        if back.is_empty() {
            return Ok(None);
        }
        let was_on = capture.set(false);
        db.execute("SAVEPOINT returns", ())?;
        let found = run.put_back(back, &mut written);
        let undone = db.execute("ROLLBACK TO returns", ()).and_then(|_| db.execute("RELEASE returns", ()));
        capture.set(was_on);
        undone?;
        found
    }
}

/// The tables of these captured changes.
fn tables(list: &[Captured]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for c in list {
        if !names.contains(&c.table) {
            names.push(c.table.clone());
        }
    }
    names
}

/// What these captured changes mean for references by the constraints that are asked about.
fn written(list: &[Captured], plans: &Plans, asked: &HashSet<ObjectId>) -> Written {
    let mut written = Written::default();
    for c in list.iter().filter(|c| c.op != CaptureOp::Delete) {
        let Some(plan) = plans.get(&c.table) else { continue };
        let (old, new) = (columns(plan, &c.old), columns(plan, &c.new));
        let changed = |of: &[usize]| c.op == CaptureOp::Insert || of.iter().any(|i| old[*i] != new[*i]);
        for (n, dependent) in plan.dependents.iter().enumerate() {
            if asked.contains(&dependent.id) && changed(&dependent.columns) {
                let Some(new) = key(&new, &dependent.columns) else { continue };
                written.keys.insert((dependent.child, dependent.id, Ident::of(&new)));
                let old = if old.is_empty() { None } else { key(&old, &dependent.columns) };
                let parent = (plan.table.id, c.new_rowid);
                written.left.extend(old.map(|old| Left { parent, dependent: n, old, new }));
            }
        }
        let is_unique = plan.uniques.iter().any(|u| changed(&u.sources));
        for reference in plan.references.iter().filter(|r| r.bends && asked.contains(&r.id)) {
            if is_unique && let Some(key) = key(&new, &reference.columns) {
                written.keys.insert((plan.table.id, reference.id, Ident::of(&key)));
            }
        }
        if is_unique {
            written.rows.insert((plan.table.id, c.new_rowid));
        }
    }
    written
}

/// Who the rows are that the transaction has written so far.
fn who(list: &[Captured], plans: &Plans, written: &mut Written) -> Result<()> {
    let mut dead: HashSet<(ObjectId, Ident)> = HashSet::new();
    for c in list {
        let Some(plan) = plans.get(&c.table) else { continue };
        let table = plan.table.id;
        let before = match c.op {
            // A row that the transaction deleted is taken up again by an insert of its key.
            CaptureOp::Insert => {
                let ident = plan.implied_ident(&columns(plan, &c.new));
                ident.filter(|ident| dead.remove(&(table, ident.clone())))
            }
            _ => match written.who.remove(&(table, c.old_rowid)) {
                Some(known) => known,
                None => Some(plan.captured(&c.old)?.ident),
            },
        };
        match c.op {
            CaptureOp::Delete => dead.extend(before.map(|ident| (table, ident))),
            _ => drop(written.who.insert((table, c.new_rowid), before)),
        }
    }
    let known =
        written.who.iter().filter_map(|((table, rowid), ident)| Some(((*table, ident.clone()?), *rowid)));
    written.places = known.collect();
    Ok(())
}

impl Run<'_> {
    fn plan_of(&mut self, name: &str) -> Result<Option<Arc<TablePlan>>> {
        match self.plans.by_name(name) {
            Some(id) => self.plans.plan(self.db, id),
            None => Ok(None),
        }
    }

    /// The constraint bends some row.
    fn is_bending(&mut self, constraint: ObjectId) -> Result<bool> {
        Ok(self.any_bent()? && self.db.bends_any(constraint)?)
    }

    /// Rows of this table wait, and may follow a parent.
    fn may_follow(&mut self, table: ObjectId) -> Result<bool> {
        match self.plans.plan(self.db, table)? {
            Some(plan) => self.any_displaced(&plan),
            None => Ok(false),
        }
    }

    /// Rows that were written may be bent themselves, and others be bent from the same key.
    fn add_own_keys(&mut self, written: &mut Written) -> Result<()> {
        for (table, rowid) in &written.rows {
            let Some(plan) = self.plans.plan(self.db, *table)? else { continue };
            let Some(Some(ident)) = written.who.get(&(*table, *rowid)) else { continue };
            for bent in self.db.bent_row(plan.no, ident)? {
                written.keys.insert((*table, bent.constraint, bent.key));
            }
        }
        Ok(())
    }

    /// The visible row of this identity, in the middle of the transaction.
    fn visible_now(&self, plan: &TablePlan, ident: &Ident, written: &Written) -> Result<Option<Stored>> {
        let table = plan.table.id;
        let found = match written.places.get(&(table, ident.clone())) {
            Some(rowid) => self.visible(plan, *rowid)?,
            None => {
                // A new row may have taken its key.
                let is_old = |s: &Stored| !written.who.contains_key(&(table, s.rowid));
                let by_ident = || self.visible_where(plan, &plan.sql.get_by_ident, &[ident.sql()]);
                match self.visible_of(plan, ident)? {
                    Some(new) if !is_old(&new) => by_ident()?.into_iter().find(is_old),
                    found => found,
                }
            }
        };
        Ok(found.map(|mut stored| {
            stored.image.ident = ident.clone();
            stored
        }))
    }

    /// Rows whose references read otherwise at the commit than they do now, because of the keys that were written.
    fn coming_back(&mut self, written: &Written) -> Result<Vec<Back>> {
        let mut keys: BTreeMap<(ObjectId, ObjectId), Vec<&Ident>> = BTreeMap::new();
        for (child, constraint, key) in &written.keys {
            keys.entry((*child, *constraint)).or_default().push(key);
        }
        let mut idents: BTreeSet<(ObjectId, Ident)> = BTreeSet::new();
        for ((child, constraint), keys) in keys {
            let Some(plan) = self.plans.plan(self.db, child)? else { continue };
            if let Some(reference) = plan.references.iter().find(|r| r.id == constraint && r.bends) {
                let bent = self.bent_otherwise(reference, keys, true)?;
                idents.extend(bent.into_iter().map(|ident| (child, ident)));
            }
        }
        let mut back = Vec::new();
        for (table, ident) in idents {
            let Some(plan) = self.plans.plan(self.db, table)? else { continue };
            let mut found = self.displaced_of(&plan, &ident)?;
            found.retain(Stored::waits);
            found.extend(self.visible_now(&plan, &ident, written)?);
            for stored in found {
                let image = self.unbent(&plan, &stored.image)?;
                back.extend(image.map(|image| Back { plan: plan.clone(), stored, image }));
            }
        }
        Ok(back)
    }

    /// Waiting rows that follow a parent from the key which it gave up: those that refer to the key that it was born with.
    fn following(&mut self, written: &Written) -> Result<Vec<Back>> {
        let mut back = Vec::new();
        for Left { parent, dependent, old, new } in &written.left {
            let Some(Some(born)) = written.who.get(parent) else { continue };
            let Some(parent) = self.plans.plan(self.db, parent.0)? else { continue };
            let dependent = &parent.dependents[*dependent];
            let columns: Vec<_> = dependent.columns.iter().map(|c| parent.columns[*c].tag).collect();
            let Some(born) = birth_key(&parent, &columns, born)? else { continue };
            let Some(plan) = self.plans.plan(self.db, dependent.child)? else { continue };
            let reference = plan.references.iter().find(|r| r.id == dependent.id && r.bends);
            let Some(reference) = reference.filter(|r| r.on_update != ReferentialAction::SetNull) else {
                continue;
            };
            let old: Vec<_> = old.iter().map(Into::into).collect();
            for stored in self.displaced_where(&plan, &dependent.all_displaced, &old)? {
                let mut image = stored.image.clone();
                let bent = self.db.bent_row(plan.no, &image.ident)?;
                let referred = match bent.into_iter().find(|b| b.constraint == reference.id) {
                    Some(bent) => Some(bent.key),
                    None => key(&image.values, &reference.columns).map(|key| Ident::of(&key)),
                };
                if referred == Some(Ident::of(&born)) {
                    reference.columns.iter().zip(new).for_each(|(c, v)| image.values[*c] = v.clone());
                    back.push(Back { plan: plan.clone(), stored, image });
                }
            }
        }
        Ok(back)
    }

    /// The row as its references read now, if that is not what it holds.
    fn unbent(&mut self, plan: &TablePlan, image: &Image) -> Result<Option<Image>> {
        let mut unbent = image.clone();
        for bent in self.db.bent_row(plan.no, &image.ident)? {
            let Some(reference) = plan.references.iter().find(|r| r.id == bent.constraint) else { continue };
            let held: Vec<Value> = reference.columns.iter().map(|c| image.values[*c].clone()).collect();
            // What was written since is what counts.
            if Ident::of(&held) != bent.reads {
                continue;
            }
            let written = bent.key.to_key()?.0;
            let reads = self.reads(reference, &written, None)?.unwrap_or(written);
            for (c, value) in reference.columns.iter().zip(reads) {
                unbent.values[*c] = value;
            }
        }
        Ok((unbent.values != image.values).then_some(unbent))
    }

    /// Puts these rows back, and those that refer to them, and says which value one of them and a visible row would have both.
    fn put_back(&mut self, mut back: Vec<Back>, written: &mut Written) -> Result<Option<Violation>> {
        let mut asked = std::mem::take(&mut written.keys);
        while !back.is_empty() {
            // Those that are to stay visible first.
            back.sort_by_key(|b| (b.plan.no, b.stored.waits(), b.stored.rowid));
            let mut came = BTreeSet::new();
            for Back { plan, stored, image } in back {
                let image = self.generate(&plan, &image)?;
                if let Some(violation) = self.taken(&plan, &stored, &image, written)? {
                    return Ok(Some(violation));
                }
                if stored.waits() {
                    continue;
                }
                self.db.put_values(&plan, stored.rowid, &image)?;
                for dependent in &plan.dependents {
                    if let Some(key) = key(&image.values, &dependent.columns) {
                        came.insert((dependent.child, dependent.id, Ident::of(&key)));
                    }
                }
            }
            written.keys = came.difference(&asked).cloned().collect();
            asked.extend(came);
            back = self.coming_back(written)?;
        }
        Ok(None)
    }

    /// The first unique value of a row that is put back that another one has, so that one of them would have to go.
    fn taken(
        &mut self,
        plan: &TablePlan,
        stored: &Stored,
        image: &Image,
        written: &Written,
    ) -> Result<Option<Violation>> {
        for unique in &plan.uniques {
            let Some(key) = plan.key_of(&unique.columns, image) else { continue };
            for other in self.contenders(plan, unique, &key)? {
                let one_goes = match (stored.waits(), other.waits()) {
                    (mine, others) if mine == others && stored.rowid == other.rowid => false,
                    (false, false) => true,
                    (true, true) => false,
                    (false, true) => self.is_first(plan, (&other.image, image), written)?,
                    (true, false) => {
                        written.rows.contains(&(plan.table.id, other.rowid))
                            || self.is_first(plan, (image, &other.image), written)?
                    }
                };
                if one_goes {
                    let values = key.iter().map(|v| v.to_value()).collect();
                    return Ok(Some(Violation::Claimed { table: plan.table.id, index: unique.id, values }));
                }
            }
        }
        Ok(None)
    }

    /// The first of these two rows has the stronger claim.
    fn is_first(&self, plan: &TablePlan, (a, b): (&Image, &Image), written: &Written) -> Result<bool> {
        let is_open = |image: &Image| {
            let mut sources = plan.uniques.iter().flat_map(|u| &u.sources);
            sources.any(|c| written.unsealed.contains(&image.writers[*c]))
        };
        Ok(match (is_open(a), is_open(b)) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => self.priority(plan, a)? < self.priority(plan, b)?,
        })
    }
}

impl Connection {
    /// Writes the columns of a visible row that foreign keys are over.
    fn put_values(&self, plan: &TablePlan, rowid: i64, image: &Image) -> Result<()> {
        let places: BTreeSet<usize> =
            plan.references.iter().flat_map(|r| r.columns.iter().copied()).collect();
        let set: Vec<String> = (1..)
            .zip(&places)
            .map(|(n, c)| format!("{} = ?{n}", physical_column(plan.columns[*c].tag)))
            .collect();
        let mut params: Vec<Value> = places.iter().map(|c| image.values[*c].clone()).collect();
        params.push(Value::Int(rowid));
        let (table, set) = (physical_table(plan.table.id), set.join(", "));
        // The keys are free, or this is refused.
        self.execute(&format!("UPDATE OR IGNORE {table} SET {set} WHERE rowid = ?{}", params.len()), params)?;
        Ok(())
    }
}
