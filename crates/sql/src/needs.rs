//! Which privileges a statement needs of its session's account (MySQL manual, section 8.2.2), for a refusal that says so.
//!
//! What is *written* is judged by every node from the log; asking first gives MySQL's numbers and names. What is
//! *read* leaves nothing in the log: the node that one is connected to asks, here.
//!
//! A view with definer rights needs SELECT on the view alone.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use p2pdb_model::catalog::{Database, Table, View};
use p2pdb_model::{Catalog, ColumnTag, ObjectId, Privileges};

/// What is needed on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The table, view, routine or database; `None`: the realm.
    pub on: Option<ObjectId>,
    /// Which privilege.
    pub privilege: Privileges,
    /// On these columns at least; none: on any of them when it reads no column at all, else on the object.
    pub columns: Vec<(ColumnTag, String)>,
    /// A privilege on any column is enough.
    pub any_column: bool,
    /// The columns are sealed: the account must be a reader of them on this node.
    pub sealed: bool,
    /// Its database.
    pub database: String,
    /// Its name; empty: it is the database.
    pub name: String,
}

/// The columns of a table that a statement looks at.
pub type Used = Rc<RefCell<BTreeSet<ColumnTag>>>;

#[derive(Debug)]
enum Asked {
    /// A table that is read.
    Read(Read),
    /// Everything else.
    Need(Need),
}

#[derive(Debug)]
struct Read {
    on: ObjectId,
    database: String,
    name: String,
    columns: Vec<(ColumnTag, String)>,
    sealed: Vec<ColumnTag>,
    used: Used,
    /// It is read only if a column is looked at.
    perhaps: bool,
}

/// Takes needs down while a statement is compiled.
#[derive(Debug, Default)]
pub struct Recorder(RefCell<Vec<Asked>>);

fn plain(on: ObjectId, privilege: Privileges, database: &str, name: &str) -> Need {
    Need {
        on: Some(on),
        privilege,
        columns: Vec::new(),
        any_column: false,
        sealed: false,
        database: database.to_owned(),
        name: name.to_owned(),
    }
}

impl Recorder {
    /// A table is read: the columns that are put into what this gives.
    pub fn reads(&self, table: &Table) -> Used {
        self.read(table, false)
    }

    /// The same of a table of which perhaps nothing is read.
    pub fn may_read(&self, table: &Table) -> Used {
        self.read(table, true)
    }

    fn read(&self, table: &Table, perhaps: bool) -> Used {
        let used = Used::default();
        let read = Read {
            on: table.id,
            database: table.database.clone(),
            name: table.name.clone(),
            columns: table.columns.iter().map(|c| (c.tag, c.name.clone())).collect(),
            sealed: table.columns.iter().filter(|c| c.is_sealed()).map(|c| c.tag).collect(),
            used: used.clone(),
            perhaps,
        };
        self.0.borrow_mut().push(Asked::Read(read));
        used
    }

    /// A view is read.
    pub fn reads_view(&self, view: &View) {
        self.need(plain(view.id, Privileges::SELECT, &view.database, &view.name));
    }

    /// Something is done to a table as a whole.
    pub fn writes(&self, table: &Table, privilege: Privileges) {
        self.need(plain(table.id, privilege, &table.database, &table.name));
    }

    /// Something is done to columns of a table.
    pub fn writes_columns(
        &self,
        table: &Table,
        privilege: Privileges,
        tags: impl IntoIterator<Item = ColumnTag>,
    ) {
        let tags: BTreeSet<ColumnTag> = tags.into_iter().collect();
        let named = table.columns.iter().filter(|c| tags.contains(&c.tag));
        let columns = named.map(|c| (c.tag, c.name.clone())).collect();
        self.need(Need { columns, ..plain(table.id, privilege, &table.database, &table.name) });
    }

    /// Columns of a table are given values: those that are sealed one must be able to read.
    pub fn seals(&self, table: &Table, tags: impl IntoIterator<Item = ColumnTag>) {
        let tags: BTreeSet<ColumnTag> = tags.into_iter().collect();
        let sealed = table.columns.iter().filter(|c| c.is_sealed() && tags.contains(&c.tag));
        let columns: Vec<_> = sealed.map(|c| (c.tag, c.name.clone())).collect();
        if !columns.is_empty() {
            let need = plain(table.id, Privileges::SELECT, &table.database, &table.name);
            self.need(Need { columns: columns.clone(), ..need.clone() });
            self.need(Need { columns, sealed: true, ..need });
        }
    }

    /// What only who may read everything reads: `database.name` is not a table of the realm.
    pub fn reads_everything(&self, database: &str, name: &str) {
        let need = plain(ObjectId::ROOT, Privileges::SELECT, database, name);
        self.need(Need { on: None, ..need });
    }

    /// A procedure or function is called.
    pub fn calls(&self, id: ObjectId, database: &str, name: &str) {
        self.need(plain(id, Privileges::EXECUTE, database, name));
    }

    fn need(&self, need: Need) {
        self.0.borrow_mut().push(Asked::Need(need));
    }

    /// Something is done in a database as a whole.
    pub fn in_database(&self, database: &Database, privilege: Privileges) {
        self.need(plain(database.id, privilege, &database.name, ""));
    }

    /// Everything that was taken down, each once. A session does with its temporary tables what it likes.
    pub fn take(&self, catalog: &Catalog) -> Vec<Need> {
        let mut out: Vec<Need> = Vec::new();
        let add = |out: &mut Vec<Need>, need: Need| {
            let same =
                |n: &&mut Need| (n.on, n.privilege, n.sealed) == (need.on, need.privilege, need.sealed);
            match out.iter_mut().find(same) {
                Some(known) if known.columns.is_empty() == need.columns.is_empty() => {
                    known.columns.extend(need.columns);
                    known.columns.sort();
                    known.columns.dedup();
                }
                _ => out.push(need),
            }
        };
        for asked in self.0.take() {
            let need = match asked {
                Asked::Need(need) => need,
                Asked::Read(read) => {
                    let used = read.used.borrow();
                    if read.perhaps && used.is_empty() {
                        continue;
                    }
                    let columns: Vec<_> =
                        read.columns.into_iter().filter(|(tag, _)| used.contains(tag)).collect();
                    // `SELECT COUNT(*)` looks at no column: any will do.
                    let any_column = columns.is_empty();
                    let need = plain(read.on, Privileges::SELECT, &read.database, &read.name);
                    let sealed: Vec<_> =
                        columns.iter().filter(|(tag, _)| read.sealed.contains(tag)).cloned().collect();
                    if !sealed.is_empty() {
                        add(&mut out, Need { columns: sealed, sealed: true, ..need.clone() });
                    }
                    Need { columns, any_column, ..need }
                }
            };
            add(&mut out, need);
        }
        out.retain(|need| need.on.is_none_or(|on| !catalog.is_temporary(on)));
        out
    }
}
