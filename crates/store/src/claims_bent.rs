//! What a local statement must respect of rows whose references it brings back.
//!
//! A row whose reference reads otherwise than it was written (`effects`) does not claim what was written. When a
//! statement makes the key that was written again, the reference is back with the commit, and where its column is of a unique key
//! two visible rows may then have one value. Merging takes one of them out; a statement that was answered with OK must not.
//! So rows that this statement brings back, or that earlier ones of the transaction did, are put back for a moment, and asked.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use p2pdb_model::Value;
use p2pdb_model::catalog::{physical_column, physical_table};
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::ids::ObjectId;

use crate::apply::Merger;
use crate::capture::CaptureOp;
use crate::claims::{Violation, columns, key};
use crate::connection::Connection;
use crate::displaced::{Image, Run, Stored};
use crate::error::Result;
use crate::index_ident::Ident;
use crate::materialize_plan::TablePlan;

/// What a statement wrote, as far as references are concerned.
#[derive(Default)]
struct Written {
    /// By the constraint, the child's table and values that references to them may come back for.
    keys: HashMap<ObjectId, (ObjectId, HashSet<Ident>)>,
    /// The rows, by the table and the rowid.
    rows: HashSet<(ObjectId, i64)>,
}

impl Written {
    fn key(&mut self, constraint: ObjectId, child: ObjectId, key: Ident) {
        self.keys.entry(constraint).or_insert_with(|| (child, HashSet::new())).1.insert(key);
    }
}

impl Merger {
    /// The first unique value that a row takes from another one when its references come back, by what was captured since `mark`.
    pub(crate) fn returns(&mut self, db: &Connection, mark: usize) -> Result<Option<Violation>> {
        let never = |_, _| Ok(false);
        let mut run = Run::new(db, &never, &mut self.cache);
        if !run.any_bent()? || fault::on(Fault::ReturnsUnasked) {
            return Ok(None);
        }
        let Some(capture) = &db.capture else { return Ok(None) };
        let mut names: Vec<Arc<str>> = Vec::new();
        capture.with(mark, |list| {
            for c in list.iter().filter(|c| c.op != CaptureOp::Delete) {
                if !names.contains(&c.table) {
                    names.push(c.table.clone());
                }
            }
        });
        let mut plans: HashMap<Arc<str>, Arc<TablePlan>> = HashMap::new();
        for name in names {
            if let Some(id) = run.plans.by_name(&name)
                && let Some(plan) = run.plans.plan(db, id)?
            {
                plans.insert(name, plan);
            }
        }
        let mut written = Written::default();
        capture.with(mark, |list| {
            for c in list.iter().filter(|c| c.op != CaptureOp::Delete) {
                let Some(plan) = plans.get(&c.table) else { continue };
                let values = columns(plan, &c.new);
                for dependent in &plan.dependents {
                    if let Some(key) = key(&values, &dependent.columns) {
                        written.key(dependent.id, dependent.child, Ident::of(&key));
                    }
                }
                for reference in plan.references.iter().filter(|r| r.bends) {
                    if let Some(key) = key(&values, &reference.columns) {
                        written.key(reference.id, plan.table.id, Ident::of(&key));
                    }
                    written.rows.insert((plan.table.id, c.new_rowid));
                }
            }
        });
        let back = run.coming_back(&mut written)?;
        if back.is_empty() {
            return Ok(None);
        }
        let was_on = capture.set(false);
        db.execute("SAVEPOINT returns", ())?;
        let found = run.put_back(back, &written);
        let undone = db.execute("ROLLBACK TO returns", ()).and_then(|_| db.execute("RELEASE returns", ()));
        capture.set(was_on);
        undone?;
        found
    }
}

impl Run<'_> {
    /// Rows whose references read otherwise at the commit than they do now, as they are then, with where they lie.
    fn coming_back(&mut self, written: &mut Written) -> Result<Vec<(Arc<TablePlan>, Stored, Image)>> {
        // Rows that were written may be bent themselves, and others be bent from the same key.
        for (table, rowid) in &written.rows {
            let Some(plan) = self.plans.plan(self.db, *table)? else { continue };
            let Some(stored) = self.visible(&plan, *rowid)? else { continue };
            for bent in self.db.bent_row(plan.no, &stored.image.ident)? {
                let all = written.keys.entry(bent.constraint).or_insert_with(|| (*table, HashSet::new()));
                all.1.insert(bent.key);
            }
        }
        let mut idents: BTreeMap<ObjectId, HashSet<Ident>> = BTreeMap::new();
        for (constraint, (child, keys)) in &written.keys {
            let Some(plan) = self.plans.plan(self.db, *child)? else { continue };
            if plan.uniques.is_empty() {
                continue;
            }
            if let Some(reference) = plan.references.iter().find(|r| r.id == *constraint && r.bends) {
                idents.entry(*child).or_default().extend(self.bent_otherwise(reference, keys)?);
            }
        }
        let mut back = Vec::new();
        for (table, idents) in idents {
            let Some(plan) = self.plans.plan(self.db, table)? else { continue };
            for ident in idents {
                let mut all = self.displaced_of(&plan, &ident)?;
                all.retain(Stored::waits);
                for stored in self.visible_of(&plan, &ident)?.into_iter().chain(all) {
                    if let Some(image) = self.unbent(&plan, &stored.image)? {
                        back.push((plan.clone(), stored, image));
                    }
                }
            }
        }
        // Those that are to stay visible first.
        back.sort_by_key(|(plan, stored, _)| (plan.no, stored.waits(), stored.rowid));
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

    /// Puts these rows back, and says which value one of them and a visible row would have both.
    fn put_back(
        &mut self,
        back: Vec<(Arc<TablePlan>, Stored, Image)>,
        written: &Written,
    ) -> Result<Option<Violation>> {
        for (plan, stored, image) in back {
            let image = self.generate(&plan, &image)?;
            for unique in &plan.uniques {
                let Some(key) = plan.key_of(&unique.columns, &image) else { continue };
                for other in self.contenders(&plan, unique, &key)? {
                    let first = |a: &Image, b: &Image| {
                        Ok::<_, crate::error::StoreError>(self.priority(&plan, a)? < self.priority(&plan, b)?)
                    };
                    let one_goes = match (stored.waits(), other.waits()) {
                        _ if other.image.ident == image.ident => false,
                        (false, false) => true,
                        (true, true) => false,
                        (false, true) => first(&other.image, &image)?,
                        (true, false) => {
                            written.rows.contains(&(plan.table.id, other.rowid))
                                || first(&image, &other.image)?
                        }
                    };
                    if one_goes {
                        let values = key.iter().map(|v| v.to_value()).collect();
                        return Ok(Some(Violation::Claimed {
                            table: plan.table.id,
                            index: unique.id,
                            values,
                        }));
                    }
                }
            }
            if !stored.waits() {
                self.db.put_values(&plan, stored.rowid, &image)?;
            }
        }
        Ok(None)
    }
}

impl Connection {
    /// Writes the columns of a visible row that foreign keys are over.
    fn put_values(&self, plan: &TablePlan, rowid: i64, image: &Image) -> Result<()> {
        let mut places: Vec<usize> = plan.references.iter().flat_map(|r| r.columns.iter().copied()).collect();
        places.sort_unstable();
        places.dedup();
        let set: Vec<String> = (1..)
            .zip(&places)
            .map(|(n, c)| format!("{} = ?{n}", physical_column(plan.columns[*c].tag)))
            .collect();
        let mut params: Vec<Value> = places.iter().map(|c| image.values[*c].clone()).collect();
        params.push(Value::Int(rowid));
        let (table, set) = (physical_table(plan.table.id), set.join(", "));
        // The key is free, as far as this statement is to be answered.
        self.execute(&format!("UPDATE OR IGNORE {table} SET {set} WHERE rowid = ?{}", params.len()), params)?;
        Ok(())
    }
}
