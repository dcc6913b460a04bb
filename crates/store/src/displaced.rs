//! Merged rows where they lie: visible ones in `t_…`, displaced ones in `x_…`.
//!
//! Both tables have the same columns; `x_…` has no unique keys and says in `_r` why a row is there. A row is in exactly
//! one of them. Its hidden columns `_v` and `_o` together give each cell's version, the number of the transaction that
//! wrote it: `_v` for all columns but those that `_o` lists. A cell that no change ever wrote (its column was added
//! later) has version 0 and holds the column's first default.
//!
//! While changes are being applied a row whose keys are in question lies in `x_…` as [`Reason::Pending`];
//! `displaced_settle` decides before the transaction ends.

use std::collections::HashMap;

use p2pdb_merge::Priority;
use p2pdb_model::fault::{self, Fault};
use p2pdb_model::{Value, ValueRef};

use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::fingerprint::{Fingerprint, RowHash, version_digest};
use crate::index::{IsAncestor, Origin, tx_sql};
use crate::index_ident::Ident;
use crate::log::{BlockNo, TxNo};
use crate::materialize::PlanCache;
use crate::materialize_plan::{PlanCheck, PlanColumn, Slot, TablePlan, Whole};
use crate::query::{NEXT, Row};

/// Why a merged row is not in its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Not decided yet; only inside a transaction.
    Pending = 0,
    /// Another row owns one of its unique values.
    Unique = 1,
    /// A row that it refers to is not visible.
    Reference = 2,
    /// Another row with the same generated key was there first, or one whose key is of other columns.
    Generated = 3,
    /// Its key was deleted and inserted again by someone who had not seen a concurrent edit of it.
    Superseded = 4,
    /// A value that its table cannot hold.
    Type = 5,
    /// NULL where its table allows none.
    Null = 6,
    /// It violates a CHECK.
    Check = 7,
}

/// Rows with a reason up to this keep their claims to unique values.
pub(crate) const CLAIMS_MAX: u8 = Reason::Reference as u8;

impl Reason {
    /// What the row holds is the reason, whatever other rows hold (step 4).
    pub(crate) fn is_its_own(self) -> bool {
        matches!(self, Reason::Type | Reason::Null | Reason::Check)
    }

    pub(crate) fn from_i64(n: i64) -> Result<Self> {
        use Reason::*;
        let found = [Pending, Unique, Reference, Generated, Superseded, Type, Null, Check].into_iter();
        found
            .into_iter()
            .find(|r| *r as i64 == n)
            .ok_or_else(|| StoreError::Corrupt(format!("a displaced row with the unknown reason {n}")))
    }
}

/// Flag in `_o`: the row's history has deletes or several incarnations, so that changes are merged from the log.
pub(crate) const HISTORY: u8 = 1;
/// Flag in `_o`: the row may have siblings.
pub(crate) const SIBLINGS: u8 = 2;
/// Flag in `_o`: several inserts of its key, which nobody deleted, are one row. Increments still merge in place.
pub(crate) const BIRTHS: u8 = 8;

/// Flag in `_o`: the row is a weak insert's. Its claims to unique values are, as long as that insert's cells are in them.
pub(crate) const WEAK: u8 = 16;

/// Flag in `_o`: a value of the row does not fit the type that its column has since.
pub(crate) const MISFIT: u8 = 4;

/// Flag in `_o`: of columns that a CHECK joins some are as the author of the last write to them saw them, and not what was written last
/// (`whole`). Always with [`HISTORY`].
pub(crate) const WHOLE: u8 = 32;

/// A merged row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Image {
    pub ident: Ident,
    pub values: Vec<Value>,
    /// Per column, who wrote it; 0: nobody.
    pub writers: Vec<TxNo>,
    pub flags: u8,
}

/// Where a merged row lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Visible,
    Displaced { reason: Reason, unit: TxNo },
}

/// A merged row where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub rowid: i64,
    pub image: Image,
    pub place: Place,
}

impl Stored {
    /// It waits by itself, and not behind a visible row of its key, with which it would go.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.place, Place::Displaced { unit: TxNo(0), .. })
    }

    /// Not decided yet, and not in the fingerprint.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.place, Place::Displaced { reason: Reason::Pending, .. })
    }
}

fn write_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// `_v` and `_o` for these versions. `_v` is the version that most cells share.
pub(crate) fn hidden(plan: &TablePlan, writers: &[TxNo], flags: u8) -> (TxNo, Option<Vec<u8>>) {
    // Where all is merged from the log anyway, how many births there were does not matter.
    let flags = if flags & HISTORY != 0 { flags & !BIRTHS } else { flags };
    let count = |w: TxNo| writers.iter().filter(|o| **o == w).count();
    let first = writers.first().copied().unwrap_or_default();
    let version = if writers.iter().all(|w| *w == first) {
        first
    } else {
        let counted = writers.iter().copied().filter(|w| w.0 > 0).map(|w| (count(w), w));
        counted.max().map(|c| c.1).unwrap_or_default()
    };
    let mut out = Vec::new();
    for (i, w) in writers.iter().enumerate() {
        if *w != plan.implied(i, version) {
            if out.is_empty() {
                out.push(flags);
            }
            out.extend(plan.columns[i].tag.0.to_be_bytes());
            write_varint(&mut out, w.0);
        }
    }
    if out.is_empty() && flags != 0 {
        out.push(flags);
    }
    (version, (!out.is_empty()).then_some(out))
}

/// Versions and flags from `_v` and `_o`.
pub(crate) fn unhide(plan: &TablePlan, version: TxNo, overrides: ValueRef<'_>) -> Result<(Vec<TxNo>, u8)> {
    let mut writers: Vec<TxNo> = (0..plan.columns.len()).map(|i| plan.implied(i, version)).collect();
    let damaged =
        || StoreError::Corrupt(format!("the versions of a row of {} cannot be read", plan.sql.name));
    let mut bytes = match overrides {
        ValueRef::Null => return Ok((writers, 0)),
        ValueRef::Blob(b) => b,
        _ => return Err(damaged()),
    };
    let (flags, rest) = bytes.split_first().ok_or_else(damaged)?;
    bytes = rest;
    while !bytes.is_empty() {
        let (tag, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
        bytes = rest;
        let writer = TxNo(read_varint(&mut bytes).ok_or_else(damaged)?);
        // A column that was dropped since is passed over.
        if let Some(i) = plan.column(p2pdb_model::ColumnTag(u32::from_be_bytes(*tag))) {
            writers[i] = writer;
        }
    }
    Ok((writers, *flags))
}

impl TablePlan {
    /// What CHECKs join this column to, if that is decided as a whole.
    pub(crate) fn whole_of(&self, column: usize) -> Option<&Whole> {
        self.wholes.iter().find(|w| w.reads.contains(&column))
    }

    /// The identity of a row that says nothing else: its primary key.
    pub(crate) fn implied_ident(&self, values: &[Value]) -> Option<Ident> {
        match self.key.as_slice() {
            [] => None,
            [k] => match &values[*k] {
                Value::Null => None,
                Value::Int(n) => Some(Ident::Int(*n)),
                v => Some(Ident::of(std::slice::from_ref(v))),
            },
            key => {
                let key: Vec<Value> = key.iter().map(|k| values[*k].clone()).collect();
                (!key.iter().any(Value::is_null)).then(|| Ident::of(&key))
            }
        }
    }

    /// Reads `rowid, _v, _o, _k, columns…`.
    fn image(&self, row: &Row<'_>) -> Result<(i64, Image)> {
        let values =
            (0..self.columns.len()).map(|i| Ok(row.get(i + 4)?.to_value())).collect::<Result<Vec<_>>>()?;
        let version = TxNo(row.int_or_null(1)?.unwrap_or(0) as u64);
        let (writers, flags) = unhide(self, version, row.get(2)?)?;
        let ident = self.ident(row.get(3)?, &values)?;
        Ok((row.int(0)?, Image { ident, values, writers, flags }))
    }

    /// The identity of a row from `_k` and its values.
    pub(crate) fn ident(&self, key: ValueRef<'_>, values: &[Value]) -> Result<Ident> {
        match key {
            ValueRef::Null => self
                .implied_ident(values)
                .ok_or_else(|| StoreError::Corrupt(format!("a row of {} without identity", self.sql.name))),
            key => Ident::from_sql(key),
        }
    }

    /// A captured row of the visible table. A row without primary key and `_k` cannot be told apart.
    pub(crate) fn captured(&self, row: &[Value]) -> Result<Image> {
        let mut values = vec![Value::Null; self.columns.len()];
        let (mut version, mut overrides, mut key) = (TxNo(0), ValueRef::Null, ValueRef::Null);
        for (slot, value) in self.slots.iter().zip(row) {
            match slot {
                Slot::Column(i) => values[*i] = value.clone(),
                Slot::Version => {
                    if let Value::Int(n) = value {
                        version = TxNo(*n as u64);
                    }
                }
                Slot::Overrides => overrides = value.into(),
                Slot::Key => key = value.into(),
                Slot::Other => {}
            }
        }
        let (writers, flags) = unhide(self, version, overrides)?;
        let ident = self.ident(key, &values)?;
        Ok(Image { ident, values, writers, flags })
    }

    /// The values of these columns, unless one is NULL.
    pub(crate) fn key_of<'a>(&self, columns: &[usize], image: &'a Image) -> Option<Vec<ValueRef<'a>>> {
        let key: Vec<ValueRef<'_>> = columns.iter().map(|c| (&image.values[*c]).into()).collect();
        (!key.contains(&ValueRef::Null)).then_some(key)
    }

    /// Why the visible table cannot hold the row, CHECKs apart.
    pub(crate) fn misfit(&self, image: &Image) -> Option<Reason> {
        if image.flags & MISFIT != 0 {
            return Some(Reason::Type);
        }
        let one = |(c, v): (&PlanColumn, &Value)| match v {
            _ if !c.stored => None,
            Value::Null if !c.nullable => Some(Reason::Null),
            v if !c.holds(v) => Some(Reason::Type),
            _ => None,
        };
        if self.rowid.is_some_and(|i| !matches!(image.values[i], Value::Int(_))) {
            return Some(Reason::Type);
        }
        self.columns.iter().zip(&image.values).find_map(one)
    }
}

/// One run of changes over the tables, with what is still to be decided at its end.
pub(crate) struct Run<'a> {
    pub db: &'a Connection,
    pub is_ancestor: IsAncestor<'a>,
    /// A block whose author had seen every transaction numbered below this one.
    pub has_seen: Option<(BlockNo, TxNo)>,
    pub plans: &'a mut PlanCache,
    pub todo: crate::displaced_settle::Todo,
    /// Versions by number, shortened.
    versions: HashMap<TxNo, u64>,
    /// What is to be added to the tables' fingerprints.
    sums: HashMap<i64, Fingerprint>,
    /// Tables that are known to have, or not to have, displaced rows.
    displaced: HashMap<i64, bool>,
    /// There are rows, or none, that references bend (`effects`).
    pub bent: Option<bool>,
    /// Which deletes count (`effects`).
    pub standing: crate::effects::Standing,
    buffer: Vec<u8>,
    /// Changes that could not be applied: no such table or row.
    pub adrift: u64,
}

impl<'a> Run<'a> {
    pub(crate) fn new(db: &'a Connection, is_ancestor: IsAncestor<'a>, plans: &'a mut PlanCache) -> Self {
        Run {
            db,
            is_ancestor,
            has_seen: None,
            plans,
            todo: Default::default(),
            versions: HashMap::new(),
            sums: HashMap::new(),
            displaced: HashMap::new(),
            bent: None,
            standing: Default::default(),
            buffer: Vec::new(),
            adrift: 0,
        }
    }

    /// Says what a version number stands for before the log does.
    pub(crate) fn know(&mut self, o: &Origin) {
        self.versions.insert(o.tx, version_digest(o.stamp, &o.author, o.position));
    }

    fn version(&mut self, tx: TxNo) -> Result<u64> {
        if let Some(v) = self.versions.get(&tx) {
            return Ok(*v);
        }
        let o = self.db.origin(tx)?;
        self.know(&o);
        Ok(version_digest(o.stamp, &o.author, o.position))
    }

    /// The row's hash in the fingerprint.
    pub(crate) fn hash(&mut self, plan: &TablePlan, image: &Image, place: Place) -> Result<Fingerprint> {
        let standing = match place {
            Place::Visible => 0,
            Place::Displaced { .. } if fault::on(Fault::DisplacedUnseen) => return Ok(Fingerprint::default()),
            Place::Displaced { reason, .. } => reason as u8,
        };
        let buffer = std::mem::take(&mut self.buffer);
        let mut hash = RowHash::new(buffer, plan.table.id, &image.ident, standing);
        let mut last = (TxNo(0), 0);
        for &i in &plan.by_tag {
            let writer = image.writers[i];
            if writer == TxNo(0) {
                continue;
            }
            if writer != last.0 {
                last = (writer, self.version(writer)?);
            }
            hash.cell(plan.columns[i].tag, (&image.values[i]).into(), last.1);
        }
        let (f, buffer) = hash.finish();
        self.buffer = buffer;
        Ok(f)
    }

    /// Adds to a table's fingerprint.
    pub(crate) fn add(&mut self, plan: &TablePlan, f: Fingerprint) {
        let sum = self.sums.entry(plan.no).or_default();
        *sum = sum.plus(f);
    }

    /// Takes out of a table's fingerprint.
    pub(crate) fn subtract(&mut self, plan: &TablePlan, f: Fingerprint) {
        if fault::on(Fault::FingerprintDrifts) {
            return;
        }
        let sum = self.sums.entry(plan.no).or_default();
        *sum = sum.minus(f);
    }

    /// Writes the fingerprints. The last step of a run.
    pub(crate) fn finish(mut self) -> Result<u64> {
        for (table, sum) in self.sums.drain() {
            if sum != Fingerprint::default() {
                let held = self.db.table_fingerprint(table)?;
                self.db.put_table_fingerprint(table, held.plus(sum))?;
            }
        }
        Ok(self.adrift)
    }

    /// A table was dropped or is written anew.
    pub(crate) fn forget_table(&mut self, table: i64) {
        self.sums.remove(&table);
        self.displaced.remove(&table);
    }

    pub(crate) fn any_displaced(&mut self, plan: &TablePlan) -> Result<bool> {
        if let Some(known) = self.displaced.get(&plan.no) {
            return Ok(*known);
        }
        let any = self.db.query_one(&plan.sql.any_displaced, (), |_| Ok(()))?.is_some();
        self.displaced.insert(plan.no, any);
        Ok(any)
    }

    /// The visible row with this rowid.
    pub(crate) fn visible(&self, plan: &TablePlan, rowid: i64) -> Result<Option<Stored>> {
        let found = self.db.query_one(&plan.sql.get, [ValueRef::Int(rowid)], |r| plan.image(r))?;
        Ok(found.map(|(rowid, image)| Stored { rowid, image, place: Place::Visible }))
    }

    /// The visible row of this identity.
    pub(crate) fn visible_of(&self, plan: &TablePlan, ident: &Ident) -> Result<Option<Stored>> {
        let is_it = |found: Option<(i64, Image)>| {
            found.filter(|f| f.1.ident == *ident).map(|(rowid, image)| Stored {
                rowid,
                image,
                place: Place::Visible,
            })
        };
        let by_key = match ident {
            Ident::Int(n) if plan.rowid.is_some() => {
                self.db.query_one(&plan.sql.get, [ValueRef::Int(*n)], |r| plan.image(r))?
            }
            _ if plan.key.is_empty() => None,
            _ => {
                let key = ident.to_key()?;
                if key.0.len() == plan.key.len() {
                    self.db.query_one(&plan.sql.get_by_key, &key.0[..], |r| plan.image(r))?
                } else {
                    None
                }
            }
        };
        if let Some(found) = is_it(by_key) {
            return Ok(Some(found));
        }
        Ok(is_it(self.db.query_one(&plan.sql.get_by_ident, [ident.sql()], |r| plan.image(r))?))
    }

    pub(crate) fn displaced(&self, plan: &TablePlan, rowid: i64) -> Result<Option<Stored>> {
        let found = self.displaced_where(plan, &plan.sql.get_displaced, &[ValueRef::Int(rowid)])?;
        Ok(found.into_iter().next())
    }

    /// Every displaced row of this identity.
    pub(crate) fn displaced_of(&self, plan: &TablePlan, ident: &Ident) -> Result<Vec<Stored>> {
        self.displaced_where(plan, &plan.sql.get_displaced_by_ident, &[ident.sql()])
    }

    pub(crate) fn displaced_where(
        &self,
        plan: &TablePlan,
        sql: &str,
        params: &[ValueRef<'_>],
    ) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        let n = plan.columns.len();
        self.db.query(sql, params, |r| {
            let (rowid, image) = plan.image(r)?;
            let reason = Reason::from_i64(r.int(n + 4)?)?;
            let unit = TxNo(r.int(n + 5)? as u64);
            found.push(Stored { rowid, image, place: Place::Displaced { reason, unit } });
            Ok(NEXT)
        })?;
        Ok(found)
    }

    pub(crate) fn visible_where(
        &self,
        plan: &TablePlan,
        sql: &str,
        params: &[ValueRef<'_>],
    ) -> Result<Vec<Stored>> {
        let mut found = Vec::new();
        self.db.query(sql, params, |r| {
            let (rowid, image) = plan.image(r)?;
            found.push(Stored { rowid, image, place: Place::Visible });
            Ok(NEXT)
        })?;
        Ok(found)
    }

    /// Gives every merged row of a table to `each`, in chunks, so that `each` may use the run.
    pub(crate) fn each_row(
        &mut self,
        plan: &TablePlan,
        each: &mut dyn FnMut(&mut Self, Stored) -> Result<()>,
    ) -> Result<()> {
        /// Rows read at once.
        const CHUNK: i64 = 500;
        let from = |sql: &str| format!("{sql} WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2");
        let (visible, displaced) = (from(&plan.sql.all), from(&plan.sql.all_displaced));
        for shown in [true, false] {
            let mut next = Some(i64::MIN);
            while let Some(from) = next {
                let params = [ValueRef::Int(from), ValueRef::Int(CHUNK)];
                let rows = if shown {
                    self.visible_where(plan, &visible, &params)?
                } else {
                    self.displaced_where(plan, &displaced, &params)?
                };
                if !rows.iter().map(|r| r.rowid).is_sorted_by(|a, b| a < b)
                    || rows.first().is_some_and(|r| r.rowid < from)
                {
                    let name = &plan.sql.name;
                    return Err(StoreError::Corrupt(format!("the rows of {name} do not ascend")));
                }
                next = rows.last().and_then(|r| r.rowid.checked_add(1));
                for row in rows {
                    each(self, row)?;
                }
            }
        }
        Ok(())
    }

    /// Puts a row into the visible table, unless one of its unique keys is taken there (`None`).
    pub(crate) fn show_if_free(&mut self, plan: &TablePlan, image: &Image) -> Result<Option<i64>> {
        if plan.misfit(image).is_some() {
            return Ok(None);
        }
        let (version, overrides) = hidden(plan, &image.writers, image.flags);
        let implied = plan.implied_ident(&image.values).is_some_and(|i| i == image.ident);
        let mut params = Vec::with_capacity(plan.columns.len() + 3);
        params.push(tx_sql(version));
        params.push(overrides.as_deref().map_or(ValueRef::Null, ValueRef::Blob));
        params.push(if implied { ValueRef::Null } else { image.ident.sql() });
        params.extend(image.values.iter().map(ValueRef::from));
        match self.db.execute(&plan.sql.insert_if_free, params) {
            Ok(0) => return Ok(None),
            // A generated column of a key has no value.
            Err(e) if !plan.generated.is_empty() && e.is_of_function() => return Ok(None),
            done => drop(done?),
        }
        let rowid = self.db.last_insert_rowid();
        let f = self.hash(plan, image, Place::Visible)?;
        self.add(plan, f);
        Ok(Some(rowid))
    }

    /// Puts a row among the displaced.
    pub(crate) fn displace(
        &mut self,
        plan: &TablePlan,
        image: &Image,
        reason: Reason,
        unit: TxNo,
    ) -> Result<i64> {
        let (version, overrides) = hidden(plan, &image.writers, image.flags);
        let mut params = Vec::with_capacity(plan.columns.len() + 5);
        params.push(tx_sql(version));
        params.push(overrides.as_deref().map_or(ValueRef::Null, ValueRef::Blob));
        params.push(image.ident.sql());
        // Generated columns are filled in below, if they have values.
        params.extend(image.values.iter().zip(&plan.columns).map(|(v, c)| match c.stored {
            true => ValueRef::from(v),
            false => ValueRef::Null,
        }));
        params.push(ValueRef::Int(reason as i64));
        params.push(tx_sql(unit));
        self.db.execute(&plan.sql.insert_displaced, params)?;
        let rowid = self.db.last_insert_rowid();
        self.fill(plan, rowid)?;
        self.displaced.insert(plan.no, true);
        if reason != Reason::Pending {
            let f = self.hash(plan, image, Place::Displaced { reason, unit })?;
            self.add(plan, f);
        }
        Ok(rowid)
    }

    /// Would this row violate one of these CHECKs (indexes into the plan's)? It lies among the displaced while that is asked.
    pub(crate) fn would_violate(
        &mut self,
        plan: &TablePlan,
        image: &Image,
        checks: &[usize],
    ) -> Result<bool> {
        let known = self.displaced.get(&plan.no).copied();
        let place = Place::Displaced { reason: Reason::Pending, unit: TxNo(0) };
        let rowid = self.displace(plan, image, Reason::Pending, TxNo(0))?;
        let stored = Stored { rowid, image: image.clone(), place };
        let mut violated = false;
        for check in checks {
            violated = violated || self.is_violated(&plan.checks[*check], &stored)?;
        }
        self.remove(plan, &stored)?;
        match known {
            Some(known) => self.displaced.insert(plan.no, known),
            None => self.displaced.remove(&plan.no),
        };
        Ok(violated)
    }

    /// Removes a row from where it lies, and from the fingerprint.
    pub(crate) fn remove(&mut self, plan: &TablePlan, stored: &Stored) -> Result<()> {
        if !stored.is_pending() {
            let f = self.hash(plan, &stored.image, stored.place)?;
            self.subtract(plan, f);
        }
        let sql = match stored.place {
            Place::Visible => &plan.sql.delete,
            Place::Displaced { .. } => &plan.sql.delete_displaced,
        };
        self.db.execute(sql, [ValueRef::Int(stored.rowid)])?;
        Ok(())
    }

    /// Says another reason for a displaced row.
    pub(crate) fn set_reason(&mut self, plan: &TablePlan, stored: &Stored, to: Reason) -> Result<()> {
        let Place::Displaced { reason, unit } = stored.place else { return Ok(()) };
        if reason == to {
            return Ok(());
        }
        if reason != Reason::Pending {
            let f = self.hash(plan, &stored.image, stored.place)?;
            self.subtract(plan, f);
        }
        let f = self.hash(plan, &stored.image, Place::Displaced { reason: to, unit })?;
        self.add(plan, f);
        let params = [ValueRef::Int(stored.rowid), ValueRef::Int(to as i64)];
        self.db.execute(&plan.sql.set_reason, params).map(drop)
    }

    /// The row's place in the queue for unique values.
    pub(crate) fn priority(&self, plan: &TablePlan, image: &Image) -> Result<Priority> {
        let mut greatest = None;
        let mut weak = false;
        let mut last = TxNo(0);
        for &c in plan.uniques.iter().flat_map(|u| &u.sources) {
            let writer = image.writers[c];
            if writer != TxNo(0) && writer != last {
                greatest = greatest.max(Some(self.db.origin(writer)?.order(0)));
                weak = weak
                    || (image.flags & WEAK != 0
                        && self.db.is_weak_birth((plan.table.id, plan.no), &image.ident, writer)?);
                last = writer;
            }
        }
        Ok(Priority::new(greatest, weak, image.ident.bytes()))
    }

    /// What stands against the row in what it holds itself.
    pub(crate) fn misfit(&self, plan: &TablePlan, stored: &Stored) -> Result<Option<Reason>> {
        if fault::on(Fault::MisfitsShown) {
            return Ok(None);
        }
        if let Some(reason) = plan.misfit(&stored.image) {
            return Ok(Some(reason));
        }
        if let Some(reason) = self.ungenerated(plan, stored)? {
            return Ok(Some(reason));
        }
        let violated = self.violated(plan, stored)?;
        Ok(violated.map(|_| Reason::Check))
    }

    /// The first CHECK that the row violates.
    pub(crate) fn violated<'p>(&self, plan: &'p TablePlan, stored: &Stored) -> Result<Option<&'p PlanCheck>> {
        for check in &plan.checks {
            if self.is_violated(check, stored)? {
                return Ok(Some(check));
            }
        }
        Ok(None)
    }

    /// The row owns all its unique values.
    pub(crate) fn owns_its_values(&self, plan: &TablePlan, image: &Image) -> Result<bool> {
        let mut own = None;
        for unique in &plan.uniques {
            let Some(key) = plan.key_of(&unique.columns, image) else { continue };
            for other in self.contenders(plan, unique, &key)? {
                if other.image.ident == image.ident {
                    continue;
                }
                let mine = match &own {
                    Some(p) => p,
                    None => own.insert(self.priority(plan, image)?),
                };
                let first = |i: &Image| i.writers.iter().copied().max();
                let stronger = match fault::on(Fault::UniqueByArrival) {
                    true => first(&other.image) < first(image),
                    false => self.priority(plan, &other.image)? < *mine,
                };
                if stronger {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Every live row that claims this unique value.
    pub(crate) fn contenders(
        &self,
        plan: &TablePlan,
        unique: &crate::materialize_plan::Unique,
        key: &[ValueRef<'_>],
    ) -> Result<Vec<Stored>> {
        let mut found = self.visible_where(plan, &unique.find_visible, key)?;
        found.extend(self.displaced_where(plan, &unique.find_displaced, key)?);
        Ok(found)
    }
}
