//! What a transaction's changes need to be granted (`docs/security.md`, section 3).

use std::collections::HashMap;

use p2pdb_model::change::{Layout, RowChange, SchemaChange};
use p2pdb_model::ids::{ColumnTag, ObjectId, ObjectKind};
use p2pdb_model::schema::Definition;
use p2pdb_model::{AccountId, Change, Privileges};

use crate::fold::Access;
use crate::homes::{self, Home};
use crate::judge::At;

/// A privilege that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// On this object or above; `None`: the realm.
    pub on: Option<ObjectId>,
    /// One of these is enough.
    pub any: Privileges,
    pub columns: Columns,
    /// It is about rows that are the account's own: what was granted to `p2pdb_owner` counts.
    pub own: bool,
}

/// Which columns may stand for the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// None do.
    No,
    /// All these together.
    Each(Vec<ColumnTag>),
    /// Any one.
    Any,
}

impl Need {
    pub fn on(on: Option<ObjectId>, any: Privileges) -> Self {
        Need { on, any, columns: Columns::No, own: false }
    }

    /// These columns are read.
    pub fn reading(table: ObjectId, columns: Vec<ColumnTag>) -> Self {
        Need { on: Some(table), any: Privileges::SELECT, columns: Columns::Each(columns), own: false }
    }
}

/// Whose row it is, as seen by an account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It has no owner.
    Nobodys,
    Own,
    Others,
}

impl Whose {
    fn of(row: &RowChange, account: AccountId) -> Self {
        match row.owner() {
            None => Whose::Nobodys,
            Some(owner) if owner == account => Whose::Own,
            Some(_) => Whose::Others,
        }
    }
}

/// A reference to a row needs any of these on its table or on a column of it.
pub(crate) const REFERRING: Privileges = Privileges(
    Privileges::SELECT.0
        | Privileges::INSERT.0
        | Privileges::UPDATE.0
        | Privileges::DELETE.0
        | Privileges::REFERENCES.0,
);
const ALTER_OR_INDEX: Privileges = Privileges(Privileges::ALTER.0 | Privileges::INDEX.0);

impl Access {
    /// What these changes need; each once. A layout's index is the body's.
    pub(crate) fn needs(
        &self,
        account: AccountId,
        layouts: &[Layout],
        changes: &[Change],
        at: &At<'_>,
    ) -> Vec<Need> {
        let mut rows: Vec<(usize, u8, Whose)> = Vec::new();
        let mut out: Vec<Need> = Vec::new();
        let mut made: HashMap<ObjectId, Home> = HashMap::new();
        for change in changes {
            let need = match change {
                Change::Row(row) => {
                    let (n, kind, whose) = (row.layout(), kind_of(row), Whose::of(row, account));
                    if rows.contains(&(n, kind, whose)) {
                        continue;
                    }
                    rows.push((n, kind, whose));
                    match layouts.get(n) {
                        Some(layout) => {
                            let sealed = self.sealed_need(row, layout, at);
                            out.extend(sealed.filter(|need| !out.contains(need)));
                            self.row_need(row, whose, layout, at)
                        }
                        None => Need::on(None, Privileges::NONE),
                    }
                }
                Change::Schema(schema) => {
                    let moves = self.moving(schema, &made, at);
                    for need in moves.into_iter().chain(self.pointing(account, schema, &made, at)) {
                        if !out.contains(&need) {
                            out.push(need);
                        }
                    }
                    match self.schema_need(schema, change, &mut made, at) {
                        Some(need) => need,
                        None => continue,
                    }
                }
                Change::Access(_) => continue,
            };
            if !out.contains(&need) {
                out.push(need);
            }
        }
        out
    }

    /// Who gives sealed columns values may read them.
    fn sealed_need(&self, row: &RowChange, layout: &Layout, at: &At<'_>) -> Option<Need> {
        if matches!(row, RowChange::Delete { .. }) {
            return None;
        }
        let (table, past) = (layout.table(), &at.site.past);
        let named = layout.columns().iter().copied();
        let sealed: Vec<ColumnTag> = named.filter(|c| self.homes.is_sealed(table, *c, past)).collect();
        (!sealed.is_empty()).then(|| Need::reading(table, sealed))
    }

    fn row_need(&self, row: &RowChange, whose: Whose, layout: &Layout, at: &At<'_>) -> Need {
        let (on, own) = (Some(layout.table()), whose == Whose::Own);
        let each = || Columns::Each(layout.columns().to_vec());
        match row {
            RowChange::Insert { generated, .. } => {
                // A key that was drawn is no value that the account gives.
                let key = layout.columns().first().filter(|_| *generated);
                let drawn = |c: &&ColumnTag| self.homes.is_drawn(layout.table(), **c, &at.site.past);
                let columns = match layout.columns().get(usize::from(key.filter(drawn).is_some())..) {
                    // Who may give some columns gives rows to nobody else.
                    _ if whose == Whose::Others => Columns::No,
                    None | Some([]) => Columns::Any,
                    Some(given) => Columns::Each(given.to_vec()),
                };
                Need { on, any: Privileges::INSERT, columns, own }
            }
            RowChange::Update { .. } if layout.columns().is_empty() => {
                Need { on, any: REFERRING, columns: Columns::Any, own }
            }
            RowChange::Update { .. } | RowChange::Edit { .. } => {
                Need { on, any: Privileges::UPDATE, columns: each(), own }
            }
            RowChange::Delete { .. } => Need { own, ..Need::on(on, Privileges::DELETE) },
        }
    }

    /// What comes to stand elsewhere than where it was made needs what its beginning there would.
    fn moving(&self, schema: &SchemaChange, made: &HashMap<ObjectId, Home>, at: &At<'_>) -> Option<Need> {
        let SchemaChange::Put { id, parent, name: Some(_), .. } = schema else { return None };
        let home = self.homes.known(*id, &at.site.past).or_else(|| made.get(id).copied())?;
        let there = Home { kind: home.kind, parent: *parent };
        (home.parent != *parent && home.kind != ObjectKind::Database).then(|| beginning(*id, there))
    }

    /// What a definition points at needs something of its own: a foreign key's parent, and another's name as definer.
    fn pointing(
        &self,
        account: AccountId,
        schema: &SchemaChange,
        made: &HashMap<ObjectId, Home>,
        at: &At<'_>,
    ) -> Option<Need> {
        let SchemaChange::Put { definition: Some(definition), .. } = schema else { return None };
        if let Definition::ForeignKey(fk) = &**definition {
            let parent = fk.parent.filter(|p| !made.contains_key(p))?;
            let columns = Columns::Each(fk.parent_columns.clone());
            return Some(Need { on: Some(parent), any: Privileges::REFERENCES, columns, own: false });
        }
        let definer = definer(definition)?;
        (!self.is_called(account, definer, at)).then(|| Need::on(None, Privileges::SUPER))
    }

    /// `None`: nothing more than what the transaction had to have already.
    fn schema_need(
        &self,
        schema: &SchemaChange,
        change: &Change,
        made: &mut HashMap<ObjectId, Home>,
        at: &At<'_>,
    ) -> Option<Need> {
        let id = match schema {
            SchemaChange::Put { id, .. } | SchemaChange::Drop { id } => *id,
        };
        let known = self.homes.known(id, &at.site.past);
        if let Some((_, home)) = homes::shown(change)
            && known.is_none()
        {
            let first = made.insert(id, home).is_none();
            // The parts of a table that is made here are part of its making; what else stands in it is not.
            let inside = of_kind(home.kind).is_none() && made.contains_key(&home.parent);
            return (first && !inside).then(|| beginning(id, home));
        }
        if made.contains_key(&id) {
            return None;
        }
        Some(match (known, schema) {
            // Of an object that nobody has seen being made the realm decides.
            (None, SchemaChange::Put { .. }) => Need::on(None, Privileges::ALTER),
            (None, SchemaChange::Drop { .. }) => Need::on(None, Privileges::DROP),
            // Made again, while somebody's making of it, void perhaps, is known: as if it were not.
            (Some(home), SchemaChange::Put { .. }) if homes::shown(change).is_some() => {
                let (begin, alter) = (beginning(id, home), altering(id, home));
                Need::on(alter.on, begin.any | alter.any)
            }
            (Some(home), SchemaChange::Put { .. }) => altering(id, home),
            (Some(home), SchemaChange::Drop { .. }) => ending(id, home),
        })
    }
}

/// The account in whose name a view, routine or trigger reads, `name@host`.
pub fn definer(definition: &Definition) -> Option<&str> {
    match definition {
        Definition::View(v) => Some(&v.definer),
        Definition::Routine(r) => Some(&r.definer),
        Definition::Trigger(t) => Some(&t.definer),
        _ => None,
    }
}

fn kind_of(row: &RowChange) -> u8 {
    match row {
        RowChange::Insert { generated: false, .. } => 0,
        RowChange::Insert { generated: true, .. } => 4,
        RowChange::Update { .. } => 1,
        RowChange::Edit { .. } => 2,
        RowChange::Delete { .. } => 3,
    }
}

/// What the kind of an object that is no part of a table needs: to begin, to be altered, to end.
fn of_kind(kind: ObjectKind) -> Option<(Privileges, Privileges, Privileges)> {
    use ObjectKind::*;
    match kind {
        Database | Table => Some((Privileges::CREATE, Privileges::ALTER, Privileges::DROP)),
        View => Some((Privileges::CREATE_VIEW, Privileges::CREATE_VIEW, Privileges::DROP)),
        Procedure | Function => {
            Some((Privileges::CREATE_ROUTINE, Privileges::ALTER_ROUTINE, Privileges::ALTER_ROUTINE))
        }
        Trigger => Some((Privileges::TRIGGER, Privileges::TRIGGER, Privileges::TRIGGER)),
        Column | Index | ForeignKey | Check => None,
    }
}

fn of_part(home: Home) -> Need {
    let any = if home.kind == ObjectKind::Index { ALTER_OR_INDEX } else { Privileges::ALTER };
    Need::on(Some(home.parent), any)
}

fn beginning(id: ObjectId, home: Home) -> Need {
    match of_kind(home.kind) {
        // A database may be granted before it is there.
        Some((begin, ..)) if home.kind == ObjectKind::Database => Need::on(Some(id), begin),
        Some((begin, ..)) => Need::on(Some(home.parent), begin),
        None => of_part(home),
    }
}

fn altering(id: ObjectId, home: Home) -> Need {
    match of_kind(home.kind) {
        Some((_, alter, _)) => Need::on(Some(standing(id, home)), alter),
        None => of_part(home),
    }
}

fn ending(id: ObjectId, home: Home) -> Need {
    match of_kind(home.kind) {
        Some((.., end)) => Need::on(Some(standing(id, home)), end),
        None => of_part(home),
    }
}

/// What a privilege on the object is granted on: a trigger has none of its own.
fn standing(id: ObjectId, home: Home) -> ObjectId {
    if home.kind == ObjectKind::Trigger { home.parent } else { id }
}
