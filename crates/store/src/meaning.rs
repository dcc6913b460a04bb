//! What the store must be told of MySQL: defaults, what CHECKs say, and what becomes of values when a column's type changes.
//!
//! A column's cells stay in the log as they were written. When its type changes, the rows are written again with
//! each value converted from the type that its author knew ([`ColumnHistory`]); nothing of that is logged. Which
//! conversions there are is said by whoever knows MySQL's types ([`Meaning`]).
//!
//! * The definitions of a column that its present one rests on, each of them the greatest that the next one's author had
//!   seen, are its *path*. A value goes along the path from the definition that its author knew; one that was written
//!   under a definition beside the path is converted to the present type directly.
//! * A value that a change of type had seen is converted as MySQL does without strict mode, since the author of the
//!   change was told. One that is concurrent with it and does not fit stays as it was, to be tried on the next type; if
//!   there is none, its row is a misfit, which is displaced ([`Reason::Type`](crate::Reason)).

use std::sync::Arc;

use p2pdb_merge::cell::{amount, counted};
use p2pdb_model::catalog::{Check, Column, Index, Table};
use p2pdb_model::cell::number_as;
use p2pdb_model::decimal::Decimal;
use p2pdb_model::ids::ColumnTag;
use p2pdb_model::schema::ColumnDef;
use p2pdb_model::types::SqlType;
use p2pdb_model::{CellEdit, CellKind, Stamp, Value};

use crate::displaced::Run;
use crate::error::Result;
use crate::index::{At, IsAncestor, Origin, saw};
use crate::materialize_plan::PlanColumn;
use crate::objects::Typed;

/// The stored form of what a column's cells hold where nothing was ever written: its DEFAULT, or the type's implicit
/// default. `Stamp` is when the column was first made, for CURRENT_TIMESTAMP.
pub type DefaultOf = Arc<dyn Fn(&ColumnDef, Stamp) -> Value + Send + Sync>;

/// A value in another type.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted {
    /// It.
    pub value: Value,
    /// Strict mode would have refused it.
    pub lossy: bool,
}

/// What becomes of the values of one type in another.
pub type Conversion = Arc<dyn Fn(&Value) -> Converted + Send + Sync>;

/// The conversion between two types of a column; `None` where every value stays as it is.
pub type ConversionOf = Arc<dyn Fn(&SqlType, &SqlType) -> Option<Conversion> + Send + Sync>;

/// A CHECK as SQLite text over the columns of the physical table: 0 where it is violated, 1 or NULL where it holds. `None` for
/// one that says nothing any more, since a column is gone. The same on every node under one rules number.
pub type CheckOf = Arc<dyn Fn(&Arc<Table>, &Check) -> Option<String> + Send + Sync>;

/// A generated column as SQLite text over the columns of the physical table, which it names without the table; may stand
/// in an index. `None` for one that has no value any more, since a column is gone. The same on every node under one rules
/// number, and evaluated alike in every session.
pub type GeneratedOf = Arc<dyn Fn(&Arc<Table>, ColumnTag) -> Option<String> + Send + Sync>;

/// The words of each column of a FULLTEXT index, as SQLite text over the columns of the physical table: keys of words with
/// blanks between them, each of small ASCII letters and digits (what FTS5 takes for one word, and gives back as it is).
/// `None` for other indexes, and where a column is such that nothing can be found in it. The same on every node under one
/// rules number.
pub type WordsOf = Arc<dyn Fn(&Table, &Index) -> Option<Vec<String>> + Send + Sync>;

/// The look of a cell of a sealed column, as SQLite text over the columns of the physical table: see [`crate::looks`].
pub type LookOf = Arc<dyn Fn(&Table, &Column) -> String + Send + Sync>;
/// An expression of the schema with other names for its columns: what is given a name that it uses says the new one, if there is
/// one. Where there is none the text stays as it is.
pub type RenamedIn = Arc<dyn Fn(&str, &mut dyn FnMut(&str) -> Option<String>) -> String + Send + Sync>;

/// See the module. All of it must be the same on every node.
#[derive(Clone)]
pub struct Meaning {
    /// Defaults.
    pub default: DefaultOf,
    /// Conversions.
    pub conversion: ConversionOf,
    /// CHECKs.
    pub check: CheckOf,
    /// Generated columns.
    pub generated: GeneratedOf,
    /// FULLTEXT indexes.
    pub words: WordsOf,
    /// Indexes on sealed columns. (What the function gives is this node's own; that it is asked is not.)
    pub look: LookOf,
    /// Names in expressions.
    pub renamed: RenamedIn,
}

/// What becomes of a counter.
pub(crate) struct Counted {
    pub value: Value,
    /// It does not fit the present type.
    pub misfit: bool,
    /// Increments of which the value shows nothing.
    pub lost: Vec<usize>,
}

/// The definitions that a column has had, in write order, and how values go from one to the next.
#[derive(Clone)]
pub(crate) struct ColumnHistory {
    definitions: Arc<[Typed]>,
    /// Where a value goes from each definition but the last.
    next: Vec<Option<usize>>,
    conversion: ConversionOf,
}

impl std::fmt::Debug for ColumnHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ColumnHistory").field("definitions", &self.definitions).finish()
    }
}

impl ColumnHistory {
    /// `None` where no value is ever converted.
    pub(crate) fn of(definitions: &Arc<[Typed]>, conversion: &ConversionOf) -> Option<Self> {
        let last = definitions.len().checked_sub(1)?;
        let mut next: Vec<Option<usize>> = vec![Some(last); last];
        next.push(None);
        let mut on_path = last;
        while let Some(before) = definitions[on_path].before {
            next[before] = Some(on_path);
            on_path = before;
        }
        let converts = next.iter().enumerate().any(|(from, to)| {
            to.is_some_and(|to| conversion(&definitions[from].ty, &definitions[to].ty).is_some())
        });
        let (definitions, conversion) = (definitions.clone(), conversion.clone());
        converts.then_some(ColumnHistory { definitions, next, conversion })
    }

    fn ty(&self, definition: usize) -> &SqlType {
        &self.definitions[definition].ty
    }

    fn convert(&self, from: usize, to: usize, value: &Value) -> Option<Converted> {
        (self.conversion)(self.ty(from), self.ty(to)).map(|convert| convert(value))
    }

    /// What stands in the row for a value that does not fit: itself where everybody sees that it is none of the type.
    fn misfit(&self, value: Value, cut: Value) -> Value {
        match self.definitions.last() {
            Some(last) if last.ty.holds(&value) => cut,
            _ => value,
        }
    }

    /// The value from a definition on. Of each lossy step `concurrent` says whether its author had not seen the value:
    /// such a step is passed over, and the value is a misfit if it was the last.
    fn bring(
        &self,
        from: usize,
        mut value: Value,
        mut concurrent: impl FnMut(&Typed) -> Result<bool>,
    ) -> Result<(Value, bool)> {
        let (mut at, mut held, mut misfit) = (from, from, None);
        while let Some(to) = self.next[at] {
            misfit = None;
            match self.convert(held, to, &value) {
                Some(c) if c.lossy && concurrent(&self.definitions[to])? => misfit = Some(c.value),
                Some(c) => (value, held) = (c.value, to),
                None => held = to,
            }
            at = to;
        }
        Ok(match misfit {
            Some(cut) => (self.misfit(value, cut), true),
            None => (value, false),
        })
    }

    /// The same of a counter: `value`, which write `base` assigned, and the increments that are added to it. A step
    /// converts the value with the increments that its author had seen; the others are added to what comes of it. Where
    /// nothing can be added any more all are added before. `saw` says of a definition and a write whether the definition's
    /// author had seen it.
    pub(crate) fn count(
        &self,
        from: usize,
        mut value: Value,
        base: Option<usize>,
        mut adds: Vec<(usize, &CellEdit)>,
        saw: &mut dyn FnMut(&Typed, usize) -> Result<bool>,
    ) -> Result<Counted> {
        let is_exact = |ty: &SqlType| CellKind::Counter.allows(ty);
        let add = |ty: &SqlType, value: Value, adds: &[(usize, &CellEdit)]| {
            let amounts = adds.iter().filter_map(|(_, edit)| amount(ty, edit));
            let sum = amounts.reduce(|a, b| a.add(&b));
            sum.map_or(value.clone(), |sum| counted(ty, &value, &sum))
        };
        let (mut at, mut held, mut misfit) = (from, from, None);
        while let Some(to) = self.next[at] {
            let step = &self.definitions[to];
            if is_exact(self.ty(held)) {
                let (mut seen, mut later) = (Vec::new(), Vec::new());
                for (w, edit) in adds {
                    let now = !is_exact(&step.ty) || saw(step, w)?;
                    if now { &mut seen } else { &mut later }.push((w, edit));
                }
                value = add(self.ty(held), value, &seen);
                adds = later;
            }
            misfit = None;
            // A number that was out of range is kept as its digits, and may be in range now.
            let beyond = match &value {
                Value::Text(digits) if is_exact(self.ty(held)) && is_exact(&step.ty) => {
                    Decimal::parse(digits)
                }
                _ => None,
            };
            let converted = match beyond {
                Some(n) => {
                    let value = number_as(&step.ty, &n).unwrap_or_else(|| value.clone());
                    Some(Converted { value, lossy: false })
                }
                None => self.convert(held, to, &value),
            };
            match converted {
                Some(c) if c.lossy && base.map_or(Ok(false), |w| saw(step, w).map(|s| !s))? => {
                    misfit = Some(c.value);
                }
                Some(c) => (value, held) = (c.value, to),
                None => held = to,
            }
            at = to;
        }
        if is_exact(self.ty(held)) {
            value = add(self.ty(held), value, &std::mem::take(&mut adds));
            // With what was added it may fit.
            if let Some(c) = misfit.take().and_then(|_| self.convert(held, at, &value)) {
                if !c.lossy {
                    value = c.value;
                } else {
                    misfit = Some(c.value);
                }
            }
        }
        let lost = adds.into_iter().map(|(w, _)| w).collect();
        Ok(match misfit {
            Some(cut) => Counted { value: self.misfit(value, cut), misfit: true, lost },
            None => Counted { value, misfit: false, lost },
        })
    }

    /// What a value under this definition is in the present type tells what it was: it would be the same again if it went back.
    fn tells(&self, known: usize, value: &Value, brought: &Value) -> bool {
        let last = self.definitions.len() - 1;
        match self.convert(last, known, brought) {
            Some(back) => back.value == *value,
            None => brought == value,
        }
    }

    /// What cells hold that no change ever wrote, from the first definition's type.
    pub(crate) fn unwritten(&self, value: Value) -> Result<Value> {
        Ok(self.bring(0, value, |_| Ok(false))?.0)
    }
}

/// The greatest of a column's definitions that a change's author had seen.
pub(crate) fn known_of(
    definitions: &[Typed],
    change: (&Origin, At),
    is_ancestor: IsAncestor<'_>,
) -> Result<usize> {
    for (n, d) in definitions.iter().enumerate().rev() {
        if saw((change.0, change.1.offset), (&d.origin, d.at.offset), is_ancestor)? {
            return Ok(n);
        }
    }
    Ok(0)
}

impl Run<'_> {
    /// The greatest of the definitions that a change's author had seen.
    pub(crate) fn known(&self, history: &ColumnHistory, change: (&Origin, At)) -> Result<usize> {
        known_of(&history.definitions, change, self.is_ancestor)
    }

    /// A value of the log in the present type of its column, and whether it does not fit there.
    pub(crate) fn present(
        &self,
        column: &PlanColumn,
        value: &Value,
        change: (&Origin, At),
    ) -> Result<(Value, bool)> {
        let Some(history) = &column.history else { return Ok((value.clone(), false)) };
        let known = self.known(history, change)?;
        let change = (change.0, change.1.offset);
        let (value, misfit) = history
            .bring(known, value.clone(), |d| Ok(!saw((&d.origin, d.at.offset), change, self.is_ancestor)?))?;
        // Text that is no JSON counts as the set of itself, the map with itself.
        let counts = matches!(column.kind, CellKind::Set | CellKind::Map)
            && column.ty == SqlType::Json
            && matches!(value, Value::Text(_));
        Ok((value, misfit && !counts))
    }

    /// A value of the log in the present type, and the type in which its author wrote it where the present one does not tell what
    /// they wrote.
    pub(crate) fn told(
        &self,
        column: &PlanColumn,
        value: &Value,
        change: (&Origin, At),
    ) -> Result<(Value, Option<SqlType>)> {
        let (brought, misfit) = self.present(column, value, change)?;
        let Some(history) = &column.history else { return Ok((brought, None)) };
        let known = self.known(history, change)?;
        let told = !misfit && history.tells(known, value, &brought);
        Ok((brought, (!told).then(|| history.ty(known).clone())))
    }
}
