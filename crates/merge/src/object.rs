//! The schema as the merge of its changes: which objects live, and what their registers hold.
//!
//! * An object has three registers, each the greatest write in write order: its name (with its parent), its
//!   definition, its position.
//! * A drop removes what its author had seen. An object lives while some put of it was removed by no drop. A table,
//!   its columns, indexes and constraints are one unit: a put of a part that a drop of the table had not seen keeps the
//!   whole table. A drop of a database drops its tables and views one by one, as far as its author had seen them.
//! * What a drop had not seen and is built on the object keeps it like a change of it: `meant`.
//! * A foreign key has an index on both sides. Nobody may drop the last one, so it is missing only where one side gave another
//!   index a definition that serves the key, and dropped the one that had, and the other side gave that index another definition
//!   again. Then the drop of the one that was defined last does not count.
//! * A part also needs its table, a table its database: dropping them hides it, and it is there again if they revive.
//! * A name that a drop or a rename gave up is *freed*; the next object of that name is another object. `freed` names
//!   the greatest such change. It is a function of the changes held, which on the node that writes the next block is
//!   that block's causal past.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use p2pdb_model::catalog::ObjectState;
use p2pdb_model::change::{SchemaChange, WriteOrder};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::schema::Definition;

use crate::meant::{Built, Meant, Parts};

/// A schema change of the log.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// When.
    pub order: WriteOrder,
    /// What.
    pub change: &'a SchemaChange,
    /// It counts. One that does not tells at most what a name meant.
    pub accepted: bool,
}

/// The columns that an expression names.
pub type NamesIn<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// The merged schema.
#[derive(Clone, Debug, Default)]
pub struct MergedSchema {
    /// The live objects, in ascending order of their ids.
    pub live: Vec<ObjectState>,
    /// Names given up: (parent, name; lower case for columns and indexes) to the change that last did so.
    pub freed: HashMap<(ObjectId, String), Vec<u8>>,
    /// Per column, its definition in its first put: what cells hold that no change ever wrote.
    pub births: HashMap<ObjectId, (WriteOrder, Definition)>,
    /// Per table, whether its primary key was ever anything but what it was made with.
    pub rekeyed: HashMap<ObjectId, bool>,
    /// Per check and generated column the columns that its expression means, where that may not be those of the names.
    pub meant: HashMap<ObjectId, Meant>,
}

#[derive(Clone, Default)]
pub(crate) struct History {
    pub puts: Vec<usize>,
    pub drops: Vec<usize>,
}

/// Merges the schema changes, given in ascending write order.
///
/// `saw(a, b)` is asked only with `a > b`, and only where something was dropped or renamed.
pub fn merge_schema<E>(
    changes: &[Said<'_>],
    names: NamesIn<'_>,
    saw: &mut dyn FnMut(usize, usize) -> Result<bool, E>,
) -> Result<MergedSchema, E> {
    let mut objects: BTreeMap<ObjectId, History> = BTreeMap::new();
    let mut kinds: HashMap<ObjectId, ObjectKind> = HashMap::new();
    for (i, said) in changes.iter().enumerate().filter(|(_, said)| said.accepted) {
        match said.change {
            SchemaChange::Put { id, kind, .. } => {
                // An id is made from its kind, so a put of another kind under the same id is nobody's honest work.
                if *kinds.entry(*id).or_insert(*kind) == *kind {
                    objects.entry(*id).or_default().puts.push(i);
                }
            }
            SchemaChange::Drop { id } => objects.entry(*id).or_default().drops.push(i),
        }
    }
    let mut m = Merge {
        changes,
        names,
        saw,
        objects,
        kinds,
        states: HashMap::new(),
        parts: HashMap::new(),
        of_tables: Parts::default(),
        built_on: HashMap::new(),
    };
    m.registers();
    m.sort_parts();
    m.built_on = m.built_on()?;
    let mut out = MergedSchema { freed: m.freed()?, ..MergedSchema::default() };
    m.births(&mut out);
    let ids: Vec<ObjectId> = m.objects.keys().copied().collect();
    let mut known = HashMap::new();
    let mut live = BTreeSet::new();
    for id in ids {
        if m.lives(id, &mut known)? && m.states.contains_key(&id) {
            live.insert(id);
        }
    }
    m.serve_foreign_keys(&mut live);
    out.live.extend(live.iter().filter_map(|id| m.states.get(id).cloned()));
    out.meant = m.meant(&live)?;
    Ok(out)
}

pub(crate) struct Merge<'a, E> {
    pub changes: &'a [Said<'a>],
    pub names: NamesIn<'a>,
    pub saw: &'a mut dyn FnMut(usize, usize) -> Result<bool, E>,
    /// Of changes that count.
    pub objects: BTreeMap<ObjectId, History>,
    kinds: HashMap<ObjectId, ObjectKind>,
    pub states: HashMap<ObjectId, ObjectState>,
    /// Objects by the parent that their registers hold.
    parts: HashMap<ObjectId, Vec<ObjectId>>,
    pub of_tables: Parts,
    /// Changes that are built on dropped objects.
    built_on: HashMap<ObjectId, Vec<Built>>,
}

pub(crate) fn is_part(kind: ObjectKind) -> bool {
    matches!(
        kind,
        ObjectKind::Column
            | ObjectKind::Index
            | ObjectKind::ForeignKey
            | ObjectKind::Check
            | ObjectKind::Trigger
    )
}

fn may_stand_in(kind: ObjectKind, parent: Option<ObjectKind>) -> bool {
    match kind {
        ObjectKind::Database => parent.is_none(),
        ObjectKind::Table | ObjectKind::View | ObjectKind::Procedure | ObjectKind::Function => {
            parent == Some(ObjectKind::Database)
        }
        _ => parent == Some(ObjectKind::Table),
    }
}

/// A name as it is compared.
pub(crate) fn name_key(kind: ObjectKind, name: &str) -> String {
    if kind.ignores_case() { name.to_lowercase() } else { name.to_owned() }
}

impl<E> Merge<'_, E> {
    fn put(&self, i: usize) -> (&ObjectId, Option<&String>, Option<&Definition>, Option<u64>) {
        match self.changes[i].change {
            SchemaChange::Put { parent, name, definition, position, .. } => {
                (parent, name.as_ref(), definition.as_deref(), *position)
            }
            SchemaChange::Drop { .. } => unreachable!("invariant: puts are collected by kind"),
        }
    }

    fn registers(&mut self) {
        for (id, history) in &self.objects {
            let (mut place, mut definition, mut position) = (None, None, 0);
            for &i in &history.puts {
                let (parent, name, def, pos) = self.put(i);
                if let Some(name) = name {
                    // The same name written again leaves its first writing in force.
                    let same = matches!(&place, Some((p, n, _)) if p == parent && n == name);
                    if !same {
                        place = Some((*parent, name.clone(), self.changes[i].order));
                    }
                }
                definition = def.or(definition);
                position = pos.unwrap_or(position);
            }
            if let (Some((parent, name, named)), Some(definition), Some(kind)) =
                (place, definition, self.kinds.get(id))
            {
                let (id, kind, definition) = (*id, *kind, definition.clone());
                self.parts.entry(parent).or_default().push(id);
                self.states.insert(id, ObjectState { id, kind, parent, name, named, definition, position });
            }
        }
    }

    fn births(&self, out: &mut MergedSchema) {
        for (id, history) in &self.objects {
            let first = history.puts.iter().find_map(|i| self.put(*i).2.map(|d| (self.changes[*i].order, d)));
            let (Some((at, definition)), Some(state)) = (first, self.states.get(id)) else { continue };
            match definition {
                Definition::Column(_) => {
                    out.births.insert(*id, (at, definition.clone()));
                }
                Definition::Index(made_with) if state.name == "PRIMARY" => {
                    let original = *id == ObjectId::derive(ObjectKind::Index, state.parent, "primary", None);
                    let same = history
                        .puts
                        .iter()
                        .filter_map(|i| self.put(*i).2)
                        .all(|d| matches!(d, Definition::Index(d) if d.parts == made_with.parts));
                    *out.rekeyed.entry(state.parent).or_default() |= !(original && same);
                }
                _ => {}
            }
        }
    }

    fn freed(&mut self) -> Result<HashMap<(ObjectId, String), Vec<u8>>, E> {
        let mut freed: HashMap<(ObjectId, String), (WriteOrder, Vec<u8>)> = HashMap::new();
        let ids: Vec<ObjectId> = self.objects.keys().copied().collect();
        for id in ids {
            let Some(kind) = self.kinds.get(&id).copied() else { continue };
            let named: Vec<(usize, ObjectId, String)> = self.objects[&id]
                .puts
                .iter()
                .filter_map(|i| {
                    let (parent, name, ..) = self.put(*i);
                    name.map(|n| (*i, *parent, name_key(kind, n)))
                })
                .collect();
            let mut ends: Vec<(usize, Option<(ObjectId, String)>)> =
                self.objects[&id].drops.iter().map(|d| (*d, None)).collect();
            if named.iter().any(|n| (n.1, &n.2) != (named[0].1, &named[0].2)) {
                ends.extend(named.iter().map(|(i, p, n)| (*i, Some((*p, n.clone())))));
            }
            for (end, becomes) in ends {
                for (i, parent, name) in named.iter().rev() {
                    if *i >= end || !(self.saw)(end, *i)? {
                        continue;
                    }
                    let gives_up = becomes.as_ref().is_none_or(|b| (b.0, &b.1) != (*parent, name));
                    if gives_up {
                        let order = self.changes[end].order;
                        let slot = freed.entry((*parent, name.clone()));
                        let held = slot.or_insert_with(|| (order, change_bytes(&order)));
                        if held.0 < order {
                            *held = (order, change_bytes(&order));
                        }
                    }
                    break;
                }
            }
        }
        Ok(freed.into_iter().map(|(k, v)| (k, v.1)).collect())
    }

    fn lives(&mut self, id: ObjectId, known: &mut HashMap<ObjectId, bool>) -> Result<bool, E> {
        if let Some(known) = known.get(&id) {
            return Ok(*known);
        }
        let lives = self.lives_uncached(id, known)?;
        known.insert(id, lives);
        Ok(lives)
    }

    fn lives_uncached(&mut self, id: ObjectId, known: &mut HashMap<ObjectId, bool>) -> Result<bool, E> {
        let Some(state) = self.states.get(&id) else { return Ok(false) };
        let (kind, parent) = (state.kind, state.parent);
        let parent_kind = if parent == ObjectId::ROOT { None } else { self.kinds.get(&parent).copied() };
        if !may_stand_in(kind, parent_kind) || (parent != ObjectId::ROOT && parent_kind.is_none()) {
            return Ok(false);
        }
        Ok(self.kept(id, kind, parent)? && (parent == ObjectId::ROOT || self.lives(parent, known)?))
    }

    /// Adds the dropped indexes without which live foreign keys would have none.
    fn serve_foreign_keys(&self, live: &mut BTreeSet<ObjectId>) {
        let mut needed: Vec<(ObjectId, &[ColumnTag])> = Vec::new();
        for state in live.iter().filter_map(|id| self.states.get(id)) {
            if let Definition::ForeignKey(key) = &state.definition {
                needed.push((state.parent, &key.columns));
                needed.extend(key.parent.map(|parent| (parent, &key.parent_columns[..])));
            }
        }
        needed.retain(|(table, _)| live.contains(table));
        for (table, columns) in needed {
            let of_table = self.of_tables.indexes.get(&table).into_iter().flatten();
            let serve = |id: &&ObjectId| {
                let state = self.states.get(id).filter(|state| state.parent == table);
                state.is_some_and(|s| matches!(&s.definition, Definition::Index(def) if def.leads(columns)))
            };
            let serving: Vec<ObjectId> = of_table.filter(serve).copied().collect();
            if serving.iter().any(|id| live.contains(id)) {
                continue;
            }
            let defined = |id: &ObjectId| {
                let puts = self.objects.get(id).map(|h| h.puts.as_slice()).unwrap_or_default();
                puts.iter().rev().copied().find(|put| self.defines(*put))
            };
            live.extend(serving.into_iter().max_by_key(defined));
        }
    }

    /// Some put of the object, or of what is below it or built on it, was removed by no drop that reaches it.
    fn kept(&mut self, id: ObjectId, kind: ObjectKind, parent: ObjectId) -> Result<bool, E> {
        let mut drops = self.objects[&id].drops.clone();
        let in_database = !is_part(kind) && kind != ObjectKind::Database;
        if in_database && let Some(database) = self.objects.get(&parent) {
            drops.extend(&database.drops);
        }
        if drops.is_empty() {
            return Ok(true);
        }
        let mut below = vec![id];
        if !is_part(kind) {
            let mut next = 0;
            while let Some(parts) = below.get(next).map(|o| self.parts.get(o)) {
                below.extend(parts.into_iter().flatten());
                next += 1;
            }
        }
        for object in below {
            let puts = self.objects.get(&object).map(|h| h.puts.clone()).unwrap_or_default();
            for &put in puts.iter().rev() {
                let mut removed = false;
                for &drop in drops.iter().filter(|d| **d > put) {
                    removed = removed || (self.saw)(drop, put)?;
                }
                if !removed {
                    return Ok(true);
                }
            }
            for built in self.built_on.get(&object).cloned().unwrap_or_default() {
                let mut removed = false;
                for &drop in &drops {
                    removed = removed || self.overrules(drop, &built)?;
                }
                if !removed {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// A change as the preimage of an id: its block's CID bytes and its position, big-endian.
fn change_bytes(order: &WriteOrder) -> Vec<u8> {
    let mut bytes = order.block.to_bytes();
    bytes.extend(order.position.transaction.to_be_bytes());
    bytes.extend(order.position.change.to_be_bytes());
    bytes
}
