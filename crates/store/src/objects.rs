//! The schema as the merge of its changes: the list of schema changes held, and the catalog they amount to.
//!
//! The changes themselves stay in the log; the change index finds them as rows of table 0. In memory they are kept
//! decoded, because there are few (some per table) and every schema change looks at all of them. [`Schema`] is a value:
//! applying changes makes another one, and a rollback goes back to the old.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use p2pdb_merge::meant::Meant;
use p2pdb_merge::object::{MergedSchema, Said, merge_schema};
use p2pdb_model::catalog::{ObjectState, same_name};
use p2pdb_model::change::{SchemaChange, WriteOrder};
use p2pdb_model::ids::ObjectId;
use p2pdb_model::schema::{ColumnDef, Definition};
use p2pdb_model::sealed;
use p2pdb_model::types::SqlType;
use p2pdb_model::{Catalog, CellKind};

use crate::beside::{Dropped, dropped};
use crate::connection::Connection;
use crate::error::{Result, StoreError};
use crate::index::{At, IsAncestor, Origin, SCHEMA_TABLE, saw};
use crate::index_ident::Ident;
use crate::meaning::{Meaning, RenamedIn};

/// A schema change of the log.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub at: At,
    pub origin: Origin,
    pub accepted: bool,
    pub change: Arc<SchemaChange>,
}

/// A definition of a column.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub at: At,
    pub origin: Origin,
    pub ty: SqlType,
    /// The greatest of the column's definitions that its author had seen.
    pub before: Option<usize>,
}

/// The merged schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    pub held: Vec<Held>,
    pub catalog: Arc<Catalog>,
    /// Per column, its definition in its first put and when that was written.
    pub births: HashMap<ObjectId, (WriteOrder, Definition)>,
    /// Of columns whose type has changed, all definitions in write order.
    pub types: HashMap<ObjectId, Arc<[Typed]>>,
    /// Tables whose primary key is not what they were made with.
    pub rekeyed: HashSet<ObjectId>,
    /// The live objects, for the fingerprint.
    pub live: Vec<ObjectState>,
    /// What is gone by drops that count, by table.
    pub dropped: Arc<HashMap<ObjectId, Dropped>>,
    pub expressions: Expressions,
}

/// What reads the names in expressions; none are in those of an empty schema.
#[derive(Clone, Default)]
pub(crate) struct Expressions(Option<RenamedIn>);

impl std::fmt::Debug for Expressions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expressions")
    }
}

impl Expressions {
    fn renamed(&self, text: &str, name: &mut dyn FnMut(&str) -> Option<String>) -> String {
        self.0.as_ref().map_or_else(|| text.to_owned(), |renamed| renamed(text, name))
    }

    fn names(&self, text: &str) -> Vec<String> {
        let mut names = Vec::new();
        self.renamed(text, &mut |name| {
            names.push(name.to_owned());
            None
        });
        names
    }
}

/// The expression in a definition.
fn expression(definition: &mut Definition) -> Option<&mut String> {
    match definition {
        Definition::Check(check) => Some(&mut check.expression),
        Definition::Column(column) => column.generated.as_mut().map(|g| &mut g.expression),
        _ => None,
    }
}

/// What an object change is indexed under.
pub(crate) fn object_ident(change: &SchemaChange) -> Ident {
    let (SchemaChange::Put { id, .. } | SchemaChange::Drop { id }) = change;
    Ident::Bytes(id.0.as_slice().into())
}

impl Schema {
    /// Reads the schema changes of the log and merges them.
    pub(crate) fn load(db: &Connection, is_ancestor: IsAncestor<'_>, meaning: &Meaning) -> Result<Self> {
        let mut held = Vec::new();
        let mut after = None;
        loop {
            let objects = db.idents_after(SCHEMA_TABLE, after.as_ref(), 1000)?;
            let Some(last) = objects.last() else { break };
            for object in &objects {
                for at in db.changes_of(SCHEMA_TABLE, object)? {
                    let origin = db.origin(at.tx)?;
                    let change = Arc::new(db.schema_change(&origin, at.offset)?);
                    held.push(Held { at, origin, accepted: db.is_accepted(at.tx)?, change });
                }
            }
            after = Some(last.clone());
        }
        let expressions = Expressions(Some(meaning.renamed.clone()));
        Schema { held, expressions, ..Schema::default() }.merged(is_ancestor)
    }

    /// The schema with more changes.
    pub(crate) fn with(&self, more: Vec<Held>, is_ancestor: IsAncestor<'_>) -> Result<Self> {
        let mut next = self.clone();
        next.held.extend(more);
        next.merged(is_ancestor)
    }

    /// The schema after verdicts have changed, or `None` when no schema change is among them.
    pub(crate) fn rejudged(&self, db: &Connection, is_ancestor: IsAncestor<'_>) -> Result<Option<Self>> {
        let mut next = self.clone();
        let mut changed = false;
        for held in &mut next.held {
            let accepted = db.is_accepted(held.at.tx)?;
            changed |= accepted != held.accepted;
            held.accepted = accepted;
        }
        if changed { next.merged(is_ancestor).map(Some) } else { Ok(None) }
    }

    pub(crate) fn merged(mut self, is_ancestor: IsAncestor<'_>) -> Result<Self> {
        self.held.sort_by_key(|h| h.origin.order(h.at.offset));
        let said: Vec<Said<'_>> = self
            .held
            .iter()
            .map(|h| Said { order: h.origin.order(h.at.offset), change: &h.change, accepted: h.accepted })
            .collect();
        let held = &self.held;
        let mut ask = |a: usize, b: usize| {
            let (later, earlier) = (&held[a], &held[b]);
            saw((&later.origin, later.at.offset), (&earlier.origin, earlier.at.offset), is_ancestor)
        };
        let names = |text: &str| self.expressions.names(text);
        let merged: Result<MergedSchema, StoreError> = merge_schema(&said, &names, &mut ask);
        let MergedSchema { live, freed, births, rekeyed, meant } = merged?;
        let accepted: Vec<&Held> = self.held.iter().filter(|h| h.accepted).collect();
        self.types = types(&accepted, is_ancestor)?;
        self.births = births;
        let mut shown = live.clone();
        shown.iter_mut().for_each(|o| self.as_sealed_as_at_birth(o));
        let epoch = self.catalog.epoch + 1;
        let mut catalog = Catalog::build(epoch, shown.clone(), freed.clone());
        if self.say_as_now(&mut shown, &meant, &catalog) {
            catalog = Catalog::build(epoch, shown, freed);
        }
        self.catalog = Arc::new(catalog);
        self.rekeyed = rekeyed.into_iter().filter(|r| r.1).map(|r| r.0).collect();
        self.dropped = Arc::new(dropped(&self.held, &live));
        self.live = live;
        Ok(self)
    }

    /// Has the expressions name the columns that they mean by the names that these have now. What names one that is not there is
    /// not there either, until it is. True when something was changed.
    fn say_as_now(
        &self,
        shown: &mut Vec<ObjectState>,
        meant: &HashMap<ObjectId, Meant>,
        catalog: &Catalog,
    ) -> bool {
        if meant.is_empty() {
            return false;
        }
        let mut names: HashMap<ObjectId, String> = HashMap::new();
        for table in catalog.tables() {
            names.extend(table.columns.iter().map(|c| (c.id, c.name.clone())));
        }
        let mut changed = false;
        // A generated column may be what another one is made of.
        loop {
            let before = shown.len();
            shown.retain(|o| {
                let stands = |m: &Meant| m.iter().all(|(_, id)| id.is_some_and(|id| names.contains_key(&id)));
                let stands = meant.get(&o.id).is_none_or(stands);
                if !stands {
                    names.remove(&o.id);
                }
                stands
            });
            if shown.len() == before {
                break;
            }
            changed = true;
        }
        for object in shown.iter_mut() {
            let Some(meant) = meant.get(&object.id) else { continue };
            let mut now = |name: &str| {
                let (_, id) = meant.iter().find(|(n, _)| same_name(n, name))?;
                names.get(id.as_ref()?).filter(|now| !same_name(now, name)).cloned()
            };
            if let Some(text) = expression(&mut object.definition) {
                let said = self.expressions.renamed(text, &mut now);
                changed |= said != *text;
                *text = said;
            }
        }
        changed
    }

    /// A column is sealed, or not, by its first definition, and keeps its type if it is; whatever later ones say
    /// (`docs/security.md`, section 7).
    fn as_sealed_as_at_birth(&mut self, object: &mut ObjectState) {
        let Definition::Column(def) = &mut object.definition else { return };
        let Some((_, Definition::Column(birth))) = self.births.get(&object.id) else { return };
        if birth.is_sealed() {
            self.types.remove(&object.id);
            if !def.is_sealed() || def.ty != birth.ty {
                let (nullable, invisible) = (def.nullable, def.invisible);
                *def = ColumnDef { nullable, invisible, ..birth.clone() };
            }
        } else if def.is_sealed() {
            let at = def.comment.to_ascii_lowercase().find(sealed::TAG).unwrap_or_default();
            def.comment.replace_range(at..at + sealed::TAG.len(), "(not sealed)");
        }
    }

    /// True when any definition of this column, void ones too, made it one that is edited rather than assigned.
    pub(crate) fn was_edited(&self, id: &ObjectId) -> bool {
        self.held.iter().any(|h| match &*h.change {
            SchemaChange::Put { id: i, definition: Some(definition), .. } if i == id => match &**definition {
                Definition::Column(def) => CellKind::of(&def.ty, &def.comment).is_edited(),
                _ => false,
            },
            _ => false,
        })
    }

    /// True when any change held, void ones too, puts something of this kind under this parent.
    pub(crate) fn holds(&self, id: &ObjectId) -> bool {
        self.held.iter().any(|h| matches!(&*h.change, SchemaChange::Put { id: i, .. } if i == id))
    }
}

/// See [`Schema::types`].
fn types(accepted: &[&Held], is_ancestor: IsAncestor<'_>) -> Result<HashMap<ObjectId, Arc<[Typed]>>> {
    let mut columns: HashMap<ObjectId, Vec<Typed>> = HashMap::new();
    for h in accepted {
        let SchemaChange::Put { id, definition: Some(definition), .. } = &*h.change else { continue };
        if let Definition::Column(def) = &**definition {
            let typed = Typed { at: h.at, origin: h.origin, ty: def.ty.clone(), before: None };
            columns.entry(*id).or_default().push(typed);
        }
    }
    columns.retain(|_, all| all.iter().any(|t| t.ty != all[0].ty));
    let mut out = HashMap::new();
    for (id, mut all) in columns {
        for n in 1..all.len() {
            for earlier in (0..n).rev() {
                let (a, b) = (&all[n], &all[earlier]);
                if saw((&a.origin, a.at.offset), (&b.origin, b.at.offset), is_ancestor)? {
                    all[n].before = Some(earlier);
                    break;
                }
            }
        }
        out.insert(id, all.into());
    }
    Ok(out)
}
