//! What stands between a displaced row and its table: all of it, not what was found first.
//!
//! One obstacle for each unique value that another row has, each parent that is not there, each CHECK, and for the columns that
//! are NULL or of another type. Not here: which rows are displaced (`displaced_settle`); that asks only whether there is one.

use p2pdb_model::ids::{ColumnTag, ObjectId};
use p2pdb_model::{Value, ValueRef};

use crate::conflicts::Rule;
use crate::displaced::{Image, Place, Reason, Run, Stored};
use crate::error::Result;
use crate::materialize_plan::{PlanColumn, TablePlan};

/// One thing that keeps a row out of its table.
#[derive(Clone, Debug, PartialEq)]
pub struct Obstacle {
    /// By which rule.
    pub rule: Rule,
    /// The columns that it is about.
    pub columns: Vec<ColumnTag>,
    /// What the row holds there.
    pub values: Vec<Value>,
    /// The key, foreign key or CHECK.
    pub object: Option<ObjectId>,
    /// The row that it gives way to.
    pub(crate) winner: Option<Image>,
}

impl Run<'_> {
    /// All that the row meets; what displaced it first. Empty for a row that is not decided yet.
    pub(crate) fn obstacles(&mut self, plan: &TablePlan, stored: &Stored) -> Result<Vec<Obstacle>> {
        let Place::Displaced { reason, unit } = stored.place else { return Ok(Vec::new()) };
        let image = &stored.image;
        let about = |rule, columns: &[usize], object: Option<ObjectId>, winner| Obstacle {
            rule,
            columns: columns.iter().map(|c| plan.columns[*c].tag).collect(),
            values: columns.iter().map(|c| image.values[*c].clone()).collect(),
            object,
            winner,
        };
        let own = match reason {
            Reason::Pending => return Ok(Vec::new()),
            Reason::Generated | Reason::Superseded => {
                let winner = self.row_of(plan, &image.ident, crate::log::TxNo(0))?;
                let rule = match reason {
                    Reason::Generated if self.has_other_key(plan, &image.ident, unit)? => Rule::PrimaryKey,
                    Reason::Generated => Rule::GeneratedKey,
                    _ => Rule::ConcurrentDelete,
                };
                return Ok(vec![about(rule, &[], None, winner)]);
            }
            Reason::Unique => Rule::Unique,
            Reason::Reference => Rule::Reference,
            Reason::Type => Rule::Type,
            Reason::Null => Rule::NotNull,
            Reason::Check => Rule::Check,
        };
        let mut all = Vec::new();
        let that = |wrong: &dyn Fn(&PlanColumn, &Value) -> bool| -> Vec<usize> {
            let cells = plan.columns.iter().zip(&image.values).enumerate();
            cells.filter(|(_, (c, v))| c.stored && wrong(c, v)).map(|(i, _)| i).collect()
        };
        let columns = that(&|c, v| !v.is_null() && !c.holds(v));
        if !columns.is_empty() || reason == Reason::Type {
            all.push(about(Rule::Type, &columns, None, None));
        }
        let columns = that(&|c, v| !c.nullable && v.is_null());
        if !columns.is_empty() || reason == Reason::Null {
            all.push(about(Rule::NotNull, &columns, None, None));
        }
        for check in &plan.checks {
            if self.is_violated(check, stored)? {
                all.push(about(Rule::Check, &check.columns, Some(check.id), None));
            }
        }
        let mine = self.priority(plan, image)?;
        for unique in &plan.uniques {
            let Some(key) = plan.key_of(&unique.columns, image) else { continue };
            let mut owner = None;
            for other in self.contenders(plan, unique, &key)? {
                let priority = self.priority(plan, &other.image)?;
                if priority < mine && owner.as_ref().is_none_or(|(p, _)| priority < *p) {
                    owner = Some((priority, other.image));
                }
            }
            if let Some((_, owner)) = owner {
                all.push(about(Rule::Unique, &unique.columns, Some(unique.id), Some(owner)));
            }
        }
        for reference in &plan.references {
            if let Some(key) = plan.key_of(&reference.columns, image)
                && self.db.query_one(&reference.parent_exists, key, |_| Ok(()))?.is_none()
            {
                all.push(about(Rule::Reference, &reference.columns, Some(reference.id), None));
            }
        }
        if !all.iter().any(|o| o.rule == own) {
            // It is decided so, whatever is found of it now.
            all.insert(0, about(own, &[], None, None));
        }
        // What displaced it first.
        all.sort_by_key(|o| o.rule != own);
        Ok(all)
    }

    /// The row does not satisfy the CHECK, or no function of it takes the row's values.
    pub(crate) fn is_violated(
        &self,
        check: &crate::materialize_plan::PlanCheck,
        stored: &Stored,
    ) -> Result<bool> {
        let sql = match stored.place {
            Place::Visible => &check.violated_visible,
            Place::Displaced { .. } => &check.violated_displaced,
        };
        match self.db.query_one(sql, [ValueRef::Int(stored.rowid)], |_| Ok(())) {
            Ok(found) => Ok(found.is_some()),
            // No statement would have got past it.
            Err(e) if e.is_of_function() => Ok(true),
            Err(e) => Err(e),
        }
    }
}
