//! What changes of the schema are built on: the columns that an expression means, and what a drop therefore does not take away.
//!
//! * A name in an expression means the column that had this name for its author: as it was called in what the author had seen. So
//!   it follows the column when somebody else renames it, and is never that of a column that took the name over.
//! * A change of a key, check, foreign key or generated column is *built on* the columns that it names, and on those that the
//!   generated ones among them are made of; a foreign key also on the table that it refers to, and on the indexes that serve it
//!   on both sides. To a drop of these that has not seen it, it is as a change of them is: they stay.
//! * A table that stays needs what its own foreign keys refer to. So a change of it, or what is built on it, is built on that as
//!   well, and so on: to drops whose authors had dropped the table before, and not these keys for themselves.
//! * What an author saw is taken from the changes that count. Only where the name is nobody's there, it is looked for among those
//!   that do not count: a rename that its author saw and that became void later.

use std::collections::{BTreeSet, HashMap};

use p2pdb_model::change::{SchemaChange, WriteOrder};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind, hex};
use p2pdb_model::schema::{Definition, ForeignKeyDef};

use crate::object::{History, Merge, is_part, name_key};

/// The columns that an expression names, per object: each name with the column that it means, if there was one.
pub type Meant = Vec<(String, Option<ObjectId>)>;

/// A change that is built on an object.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The change.
    pub put: usize,
    /// Tables that stay by it, each with the foreign key over which it needs the next one, or the object. With none the change
    /// itself names the object.
    path: Vec<(ObjectId, ObjectId)>,
}

/// Parts of tables, dropped ones included.
#[derive(Default)]
pub(crate) struct Parts {
    /// Columns by table, void ones included.
    columns: HashMap<ObjectId, Vec<ObjectId>>,
    /// All changes of columns, void ones included.
    all: HashMap<ObjectId, History>,
    /// Indexes by table.
    pub(crate) indexes: HashMap<ObjectId, Vec<ObjectId>>,
    /// Foreign keys by table.
    foreign_keys: HashMap<ObjectId, Vec<ObjectId>>,
}

fn expression(definition: &Definition) -> Option<&str> {
    match definition {
        Definition::Check(check) => Some(&check.expression),
        Definition::Column(column) => column.generated.as_ref().map(|g| g.expression.as_str()),
        _ => None,
    }
}

impl<E> Merge<'_, E> {
    /// Sorts the parts of tables.
    pub(crate) fn sort_parts(&mut self) {
        let mut parts = Parts::default();
        for (i, said) in self.changes.iter().enumerate() {
            match said.change {
                SchemaChange::Put { id, kind: ObjectKind::Column, parent, .. } => {
                    let all = parts.columns.entry(*parent).or_default();
                    if !all.contains(id) {
                        all.push(*id);
                    }
                    parts.all.entry(*id).or_default().puts.push(i);
                }
                SchemaChange::Put { id, kind: ObjectKind::Index, parent, .. } if said.accepted => {
                    let all = parts.indexes.entry(*parent).or_default();
                    if !all.contains(id) {
                        all.push(*id);
                    }
                }
                SchemaChange::Put { id, kind: ObjectKind::ForeignKey, parent, .. } if said.accepted => {
                    let all = parts.foreign_keys.entry(*parent).or_default();
                    if !all.contains(id) {
                        all.push(*id);
                    }
                }
                SchemaChange::Put { .. } => {}
                SchemaChange::Drop { id } => parts.all.entry(*id).or_default().drops.push(i),
            }
        }
        self.of_tables = parts;
    }

    /// A name in this table may mean something else than the column that has it now.
    fn is_unsettled(&self, table: ObjectId) -> bool {
        let mut names: Vec<String> = Vec::new();
        for column in self.of_tables.columns.get(&table).into_iter().flatten() {
            let Some(history) = self.of_tables.all.get(column) else { continue };
            let mut own = history.puts.iter().filter_map(|i| self.name_put(*i));
            let Some(first) = own.next() else { return true };
            let void = history.puts.iter().any(|i| !self.changes[*i].accepted);
            if void || !history.drops.is_empty() || names.contains(&first) || own.any(|n| n != first) {
                return true;
            }
            names.push(first);
        }
        false
    }

    /// The name that a put of a column gives it, as names of columns are compared.
    fn name_put(&self, i: usize) -> Option<String> {
        match self.changes[i].change {
            SchemaChange::Put { kind, name, .. } => name.as_ref().map(|n| name_key(*kind, n)),
            SchemaChange::Drop { .. } => None,
        }
    }

    /// The author of `i` knew `j`, or said it in the same breath.
    fn knew(&mut self, i: usize, j: usize) -> Result<bool, E> {
        let (a, b) = (&self.changes[i].order, &self.changes[j].order);
        if a.block == b.block && a.position.transaction == b.position.transaction {
            return Ok(true);
        }
        Ok(j < i && (self.saw)(i, j)?)
    }

    /// For the author of `i` an object with these changes was there: one of its puts no drop had seen.
    fn was_there(&mut self, i: usize, history: &History) -> Result<bool, E> {
        let mut drops = Vec::new();
        for d in &history.drops {
            if self.knew(i, *d)? {
                drops.push(*d);
            }
        }
        for p in &history.puts {
            if !self.knew(i, *p)? {
                continue;
            }
            let mut removed = false;
            for d in drops.iter().filter(|d| *d > p) {
                removed = removed || (self.saw)(*d, *p)?;
            }
            if !removed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The columns of a table as the author of `i` knew them, by the names that they had there.
    fn known_columns(
        &mut self,
        i: usize,
        table: ObjectId,
        void_too: bool,
    ) -> Result<Vec<(String, ObjectId)>, E> {
        let mut known: Vec<(WriteOrder, ObjectId, String)> = Vec::new();
        for column in self.of_tables.columns.get(&table).cloned().unwrap_or_default() {
            let history = match void_too {
                true => self.of_tables.all.get(&column).cloned(),
                false => self.objects.get(&column).cloned(),
            };
            let Some(history) = history else { continue };
            if !self.was_there(i, &history)? {
                continue;
            }
            let mut named: Option<(WriteOrder, String)> = None;
            for p in history.puts {
                if let Some(name) = self.name_put(p)
                    && self.knew(i, p)?
                    && named.as_ref().is_none_or(|n| n.1 != name)
                {
                    named = Some((self.changes[p].order, name));
                }
            }
            if let Some((at, name)) = named {
                known.push((at, column, name));
            }
        }
        known.sort();
        let mut out: Vec<(String, ObjectId)> = Vec::new();
        for (_, id, name) in known {
            // As the catalog calls the second of one name.
            let taken = out.iter().any(|o| o.0 == name);
            out.push((if taken { format!("{name}#{}", hex(&id.0[..4])) } else { name }, id));
        }
        Ok(out)
    }

    /// The columns that the definition in put `i` names in its expression.
    fn meant_by(&mut self, i: usize) -> Result<Meant, E> {
        let SchemaChange::Put { parent, definition: Some(definition), .. } = self.changes[i].change else {
            return Ok(Vec::new());
        };
        let Some(text) = expression(definition) else { return Ok(Vec::new()) };
        let names = (self.names)(text);
        let mut out: Meant = Vec::with_capacity(names.len());
        if names.is_empty() {
            return Ok(out);
        }
        let find = |known: &[(String, ObjectId)], name: &str| {
            let key = name_key(ObjectKind::Column, name);
            known.iter().find(|k| k.0 == key).map(|k| k.1)
        };
        let known = self.known_columns(i, *parent, false)?;
        let mut with_void: Option<Vec<(String, ObjectId)>> = None;
        for name in names {
            let mut column = find(&known, &name);
            if column.is_none() {
                if with_void.is_none() {
                    with_void = Some(self.known_columns(i, *parent, true)?);
                }
                column = with_void.as_ref().and_then(|all| find(all, &name));
            }
            out.push((name, column));
        }
        Ok(out)
    }

    /// What the definitions of live checks and generated columns mean, as far as that may not be what has the name now.
    pub(crate) fn meant(&mut self, live: &BTreeSet<ObjectId>) -> Result<HashMap<ObjectId, Meant>, E> {
        let mut out = HashMap::new();
        let mut unsettled: HashMap<ObjectId, bool> = HashMap::new();
        for id in live {
            let Some(state) = self.states.get(id) else { continue };
            if expression(&state.definition).is_none() {
                continue;
            }
            let table = state.parent;
            let open = *unsettled.entry(table).or_insert_with(|| self.is_unsettled(table));
            let last = self.objects[id].puts.iter().rev().copied().find(|i| self.defines(*i));
            if let Some(put) = last.filter(|_| open) {
                let meant = self.meant_by(put)?;
                out.insert(*id, meant);
            }
        }
        Ok(out)
    }

    pub(crate) fn defines(&self, i: usize) -> bool {
        matches!(self.changes[i].change, SchemaChange::Put { definition: Some(_), .. })
    }

    /// The put that gave an object the definition that the author of `i` knew.
    fn known_definition(&mut self, i: usize, object: ObjectId) -> Result<Option<usize>, E> {
        let puts = self.objects.get(&object).map(|h| h.puts.clone()).unwrap_or_default();
        for put in puts.into_iter().rev() {
            if self.defines(put) && self.knew(i, put)? {
                return Ok(Some(put));
            }
        }
        Ok(None)
    }

    /// Per dropped object, the changes that are built on it.
    pub(crate) fn built_on(&mut self) -> Result<HashMap<ObjectId, Vec<Built>>, E> {
        let mut out: HashMap<ObjectId, Vec<Built>> = HashMap::new();
        if self.objects.values().all(|h| h.drops.is_empty()) {
            return Ok(out);
        }
        let mut unsettled: HashMap<ObjectId, bool> = HashMap::new();
        for i in 0..self.changes.len() {
            let SchemaChange::Put { id, kind, parent, .. } = self.changes[i].change else { continue };
            if !self.changes[i].accepted || !(is_part(*kind) || *kind == ObjectKind::Table) {
                continue;
            }
            let table = if *kind == ObjectKind::Table { *id } else { *parent };
            self.needed_by(i, table, &mut Vec::new(), &mut out)?;
            if matches!(kind, ObjectKind::Table | ObjectKind::Trigger) {
                continue;
            }
            // What is in the table keeps all of it anyway.
            if *kind != ObjectKind::ForeignKey
                && !*unsettled.entry(*parent).or_insert_with(|| self.is_unsettled(*parent))
            {
                continue;
            }
            let mut bases = Vec::new();
            if let Some(put) = self.known_definition(i, *id)? {
                self.bases(i, put, &mut bases)?;
            }
            bases.sort_unstable();
            bases.dedup();
            for base in bases.into_iter().filter(|base| base != id) {
                self.note_built(base, i, &[], &mut out);
                if base != table && self.states.get(&base).is_some_and(|s| s.kind == ObjectKind::Table) {
                    self.needed_by(i, base, &mut Vec::new(), &mut out)?;
                }
            }
        }
        Ok(out)
    }

    fn note_built(
        &self,
        base: ObjectId,
        put: usize,
        path: &[(ObjectId, ObjectId)],
        out: &mut HashMap<ObjectId, Vec<Built>>,
    ) {
        if self.objects.contains_key(&base) {
            out.entry(base).or_default().push(Built { put, path: path.to_vec() });
        }
    }

    /// What the foreign keys of a table lead to, as the author of `i` knew them, whose change keeps the table.
    fn needed_by(
        &mut self,
        i: usize,
        table: ObjectId,
        path: &mut Vec<(ObjectId, ObjectId)>,
        out: &mut HashMap<ObjectId, Vec<Built>>,
    ) -> Result<(), E> {
        // The table stays by this change only if it was dropped.
        if self.drops_of(table).is_empty() {
            return Ok(());
        }
        for key in self.of_tables.foreign_keys.get(&table).cloned().unwrap_or_default() {
            if path.contains(&(table, key)) {
                continue;
            }
            let Some(put) = self.known_definition(i, key)? else { continue };
            let SchemaChange::Put { definition: Some(definition), .. } = self.changes[put].change else {
                continue;
            };
            let Definition::ForeignKey(def) = &**definition else { continue };
            let mut bases = Vec::new();
            self.parent_bases(i, def, &mut bases)?;
            path.push((table, key));
            for base in bases {
                self.note_built(base, i, path, out);
            }
            if let Some(parent) = def.parent.filter(|parent| *parent != table) {
                self.needed_by(i, parent, path, out)?;
            }
            path.pop();
        }
        Ok(())
    }

    /// The drops of a table, with those of its database.
    fn drops_of(&self, table: ObjectId) -> Vec<usize> {
        let database = self.states.get(&table).map(|s| s.parent);
        let of = |id: ObjectId| self.objects.get(&id).into_iter().flat_map(|h| h.drops.iter().copied());
        of(table).chain(database.into_iter().flat_map(of)).collect()
    }

    /// A drop leaves what is built on its object out of account.
    pub(crate) fn overrules(&mut self, drop: usize, built: &Built) -> Result<bool, E> {
        if drop > built.put && (self.saw)(drop, built.put)? {
            return Ok(true);
        }
        for &(table, key) in &built.path {
            let mut knew_drop = false;
            for earlier in self.drops_of(table) {
                knew_drop = knew_drop || self.knew(drop, earlier)?;
            }
            for earlier in self.objects.get(&key).map(|h| h.drops.clone()).unwrap_or_default() {
                knew_drop &= !self.knew(drop, earlier)?;
            }
            if !knew_drop {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the definition in `put` is built on, for the author of `i`.
    fn bases(&mut self, i: usize, put: usize, out: &mut Vec<ObjectId>) -> Result<(), E> {
        let SchemaChange::Put { parent, definition: Some(definition), .. } = self.changes[put].change else {
            return Ok(());
        };
        let mut columns: Vec<ObjectId> = Vec::new();
        match &**definition {
            Definition::Index(index) => {
                columns.extend(index.parts.iter().filter_map(|p| self.column(*parent, p.column)));
            }
            Definition::ForeignKey(key) => {
                columns.extend(key.columns.iter().filter_map(|c| self.column(*parent, *c)));
                self.serving(i, *parent, &key.columns, out)?;
                self.parent_bases(i, key, out)?;
            }
            _ => columns.extend(self.meant_by(put)?.into_iter().filter_map(|(_, column)| column)),
        }
        for column in columns {
            if out.contains(&column) {
                continue;
            }
            out.push(column);
            if let Some(put) = self.known_definition(i, column)? {
                self.bases(i, put, out)?;
            }
        }
        Ok(())
    }

    fn parent_bases(&mut self, i: usize, key: &ForeignKeyDef, out: &mut Vec<ObjectId>) -> Result<(), E> {
        let Some(table) = key.parent else { return Ok(()) };
        out.push(table);
        out.extend(key.parent_columns.iter().filter_map(|c| self.column(table, *c)));
        self.serving(i, table, &key.parent_columns, out)
    }

    fn column(&self, table: ObjectId, tag: ColumnTag) -> Option<ObjectId> {
        self.of_tables.columns.get(&table)?.iter().copied().find(|c| c.tag() == tag)
    }

    /// The indexes of a table that begin with these columns, as the author of `i` knew them: those that were there, or, where that
    /// is none, those that they had seen dropped and that something else may have kept.
    fn serving(
        &mut self,
        i: usize,
        table: ObjectId,
        columns: &[ColumnTag],
        out: &mut Vec<ObjectId>,
    ) -> Result<(), E> {
        let (mut there, mut dropped) = (Vec::new(), Vec::new());
        for index in self.of_tables.indexes.get(&table).cloned().unwrap_or_default() {
            let Some(put) = self.known_definition(i, index)? else { continue };
            let SchemaChange::Put { definition: Some(definition), .. } = self.changes[put].change else {
                continue;
            };
            if let Definition::Index(def) = &**definition
                && def.leads(columns)
            {
                let history = self.objects.get(&index).cloned().unwrap_or_default();
                if self.was_there(i, &history)? { &mut there } else { &mut dropped }.push(index);
            }
        }
        out.extend(if there.is_empty() { dropped } else { there });
        Ok(())
    }
}
