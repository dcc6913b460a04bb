//! Where schema objects were made.
//!
//! A grant on a database covers what was made in it. An object's id is a hash of its kind, its name, what it was made in and
//! what freed the name before ([`ObjectId::derive`]), so a change that creates it and from which the id follows *shows* where it
//! was made, and nobody can show anything else. It counts where such a change lies in the causal past, void or not.
//!
//! Beside it, which columns were made with AUTO_INCREMENT, and which sealed. What a column is its id does not say: so this counts only of
//! who might make it, by the making's own causal past.

use std::collections::HashMap;

use p2pdb_dag::{Past, Place};
use p2pdb_model::Change;
use p2pdb_model::change::SchemaChange;
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::schema::Definition;

/// What an object is and where it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub kind: ObjectKind,
    pub parent: ObjectId,
}

/// The homes of all objects that showed theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Homes {
    of: HashMap<ObjectId, (Home, Vec<Place>)>,
    /// Where columns were made with a trait.
    traits: HashMap<(ObjectId, ColumnTag, Trait), Vec<Place>>,
}

/// The home that this change shows.
pub(crate) fn shown(change: &Change) -> Option<(ObjectId, Home)> {
    change.shown_home().map(|(id, kind, parent)| (id, Home { kind, parent }))
}

/// What a change shows of a column that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Trait {
    /// It draws its values from AUTO_INCREMENT.
    Drawn,
    /// Its cells are sealed.
    Sealed,
}

/// The columns, by table, that this change makes so.
pub(crate) fn traits(change: &Change) -> impl Iterator<Item = (ObjectId, ColumnTag, Trait)> {
    let made = match change {
        Change::Schema(SchemaChange::Put { definition: Some(definition), .. }) => match &**definition {
            Definition::Column(column) if column.auto_increment || column.is_sealed() => {
                shown(change).map(|(id, home)| (column, home.parent, id.tag()))
            }
            _ => None,
        },
        _ => None,
    };
    made.into_iter().flat_map(|(column, table, tag)| {
        let drawn = column.auto_increment.then_some((table, tag, Trait::Drawn));
        drawn.into_iter().chain(column.is_sealed().then_some((table, tag, Trait::Sealed)))
    })
}

impl Homes {
    pub fn note(&mut self, past: &Past, changes: &[Change]) {
        for (id, home) in changes.iter().filter_map(shown) {
            let (_, places) = self.of.entry(id).or_insert_with(|| (home, Vec::new()));
            // Whoever knows this one knows an earlier one that it knows.
            if !places.iter().any(|p| past.contains_or_is(*p)) {
                places.push(past.place());
            }
        }
    }

    /// The same of the columns that these changes make with a trait.
    pub fn note_traits(&mut self, past: &Past, changes: &[Change]) {
        for column in changes.iter().flat_map(traits) {
            let places = self.traits.entry(column).or_default();
            if !places.iter().any(|p| past.contains_or_is(*p)) {
                places.push(past.place());
            }
        }
    }

    /// The column was made with AUTO_INCREMENT in this past.
    pub fn is_drawn(&self, table: ObjectId, column: ColumnTag, past: &Past) -> bool {
        self.has(&(table, column, Trait::Drawn), past)
    }

    /// The column was made sealed in this past.
    pub fn is_sealed(&self, table: ObjectId, column: ColumnTag, past: &Past) -> bool {
        !self.traits.is_empty() && self.has(&(table, column, Trait::Sealed), past)
    }

    fn has(&self, column: &(ObjectId, ColumnTag, Trait), past: &Past) -> bool {
        self.traits.get(column).is_some_and(|places| places.iter().any(|p| past.contains(*p)))
    }

    /// The home of an object that was made in this past.
    pub fn known(&self, id: ObjectId, past: &Past) -> Option<Home> {
        let (home, places) = self.of.get(&id)?;
        places.iter().any(|p| past.contains(*p)).then_some(*home)
    }
}
