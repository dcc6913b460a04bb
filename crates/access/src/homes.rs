//! Where schema objects were made.
//!
//! A grant on a database covers what was made in it. An object's id is a hash of its kind, its name, what it was made in and
//! what freed the name before ([`ObjectId::derive`]), so a change that creates it and from which the id follows *shows* where it
//! was made, and nobody can show anything else. It counts where such a change lies in the causal past, void or not.

use std::collections::HashMap;

use p2pdb_dag::{Past, Place};
use p2pdb_model::Change;
use p2pdb_model::ids::{ObjectId, ObjectKind};

/// What an object is and where it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home {
    pub kind: ObjectKind,
    pub parent: ObjectId,
}

/// The homes of all objects that showed theirs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Homes(HashMap<ObjectId, (Home, Vec<Place>)>);

/// The home that this change shows.
pub(crate) fn shown(change: &Change) -> Option<(ObjectId, Home)> {
    change.shown_home().map(|(id, kind, parent)| (id, Home { kind, parent }))
}

impl Homes {
    pub fn note(&mut self, past: &Past, changes: &[Change]) {
        for (id, home) in changes.iter().filter_map(shown) {
            let (_, places) = self.0.entry(id).or_insert_with(|| (home, Vec::new()));
            // Whoever knows this one knows an earlier one that it knows.
            if !places.iter().any(|p| past.contains_or_is(*p)) {
                places.push(past.place());
            }
        }
    }

    /// The home of an object that was made in this past.
    pub fn known(&self, id: ObjectId, past: &Past) -> Option<Home> {
        let (home, places) = self.0.get(&id)?;
        places.iter().any(|p| past.contains(*p)).then_some(*home)
    }
}
