//! LOCK TABLES: on one node writers wait for each other anyway, and those of other nodes no lock reaches. What is left of it is that it
//! commits, and that a session does not write what it has locked for reading.

use p2pdb_model::ObjectId;
use p2pdb_model::change::SchemaChange;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::plan::PlanKind;

/// The locks of a session, as long as they are in force.
#[derive(Debug, Default)]
pub(super) struct Locked(Option<Vec<(ObjectId, String)>>);

impl Locked {
    /// These are locked for reading, others perhaps for writing.
    pub fn lock(&mut self, read: Vec<(ObjectId, String)>) {
        self.0 = Some(read);
    }

    /// None is any more.
    pub fn unlock(&mut self) {
        self.0 = None;
    }

    /// LOCK TABLES was said, and UNLOCK TABLES not yet.
    pub fn in_force(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the statement leaves alone what is locked for reading.
    ///
    /// # Errors
    /// 1099: the statement changes a table that is locked for reading.
    pub fn may_write(&self, statement: &PlanKind) -> Result<(), SqlError> {
        let Some(read) = self.0.as_ref().filter(|read| !read.is_empty()) else { return Ok(()) };
        let changes = |table: &ObjectId| match statement {
            PlanKind::Insert(insert) => insert.table == *table,
            PlanKind::Modify(modify) => modify.steps.iter().any(|step| step.table == *table),
            PlanKind::Ddl(ddl) => ddl.changes.iter().any(|change| match change {
                SchemaChange::Put { id, parent, .. } => id == table || parent == table,
                SchemaChange::Drop { id } => id == table,
            }),
            _ => false,
        };
        match read.iter().find(|(table, _)| changes(table)) {
            Some((_, name)) => {
                let message = format!("Table '{name}' was locked with a READ lock and can't be updated");
                Err(SqlError::new(1099, "HY000", message))
            }
            None => Ok(()),
        }
    }
}
