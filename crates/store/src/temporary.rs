//! Temporary tables: they live in SQLite's own temporary database of one session's reader and are gone with it.
//!
//! * The reader is the session's from then on; it never goes back to the pool. It still cannot write the realm's file:
//!   SQLite's authorizer forbids it where `query_only` did before.
//! * They are written inside the reader's snapshot, or outside of any. A snapshot ends when the session wants to see
//!   newer rows, which must not undo writes; so those are kept as captured changes until the session's transaction ends, and
//!   ROLLBACK plays them backwards ([`Reader::undo`]).
//! * The writer sees them as copies that live for one statement ([`Connection::copy_temporary`]); what that statement
//!   changes in a copy is captured there and played forwards here ([`Reader::redo`]).
//!
//! They have the columns of other tables, the hidden ones too, so that the same SQL fits both.
//! Not here: which tables there are, and what the names of theirs mean (engine).

use std::collections::HashMap;
use std::sync::Arc;

use p2pdb_model::catalog::{
    COLUMN_KEY, COLUMN_OVERRIDES, COLUMN_VERSION, Table, physical_index, sqlite_collation,
};
use p2pdb_model::schema::ColumnDef;
use p2pdb_model::{ObjectId, Value};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::capture::{CAPTURE_BYTES_MAX, Capture, CaptureOp, Captured};
use crate::connection::Connection;
use crate::connection_reader::Reader;
use crate::connection_writer::Savepoint;
use crate::error::{Result, StoreError};
use crate::generated::Generated;
use crate::materialize_plan::index_columns;
use crate::query::NEXT;

/// The most that one session's temporary tables may take, bytes.
pub const TEMPORARY_BYTES_MAX: u64 = 1 << 30;

/// SQLite's page in a temporary database, bytes.
const PAGE_BYTES: u64 = 4096;

/// What a column's new cells hold where rows are there already.
pub type NewCell<'a> = &'a dyn Fn(&ColumnDef) -> Value;

/// CREATE TABLE and the indexes, in SQLite's temporary database.
fn create_sql(t: &Table) -> String {
    let rowid = t.rowid_column().map(|c| c.tag);
    let column = |c: &p2pdb_model::catalog::Column| {
        let collate = sqlite_collation(&c.def.ty).map(|n| format!(" COLLATE \"{n}\"")).unwrap_or_default();
        let key = if rowid == Some(c.tag) { " INTEGER PRIMARY KEY" } else { collate.as_str() };
        format!("{}{key}, ", c.physical())
    };
    let columns: String = t.columns.iter().map(column).collect();
    let name = t.physical();
    let mut sql = format!(
        "CREATE TABLE temp.{name} ({columns}{COLUMN_VERSION} INTEGER, {COLUMN_OVERRIDES} BLOB, {COLUMN_KEY});"
    );
    for i in &t.indexes {
        if rowid.is_some() && i.name == "PRIMARY" {
            continue;
        }
        let unique = if i.def.unique { "UNIQUE " } else { "" };
        let on = index_columns(t, &i.def.parts, i.def.unique, &Generated::default());
        sql.push_str(&format!("CREATE {unique}INDEX temp.{} ON {name} ({on});", physical_index(i.id)));
    }
    sql
}

/// The columns of a table but its rowid's, in SQLite's order; hidden ones last.
fn columns_but_rowid(t: &Table) -> Vec<String> {
    let rowid = t.rowid_column().map(|c| c.tag);
    let visible = t.columns.iter().filter(|c| rowid != Some(c.tag)).map(|c| c.physical());
    visible.chain([COLUMN_VERSION, COLUMN_OVERRIDES, COLUMN_KEY].map(str::to_owned)).collect()
}

impl Connection {
    /// Makes an empty temporary table. Not while capture is on.
    pub fn create_temporary(&self, t: &Table) -> Result<()> {
        self.execute_batch(&create_sql(t))
    }

    /// Drops a temporary table, if it is there.
    pub fn drop_temporary(&self, id: ObjectId) -> Result<()> {
        self.execute_batch(&format!("DROP TABLE IF EXISTS temp.{}", p2pdb_model::catalog::physical_table(id)))
    }

    /// Makes a copy of another connection's temporary table with all its rows.
    pub fn copy_temporary(&self, from: &Connection, t: &Table) -> Result<()> {
        let capture = self.set_capture(false);
        let copied = self.create_temporary(t).and_then(|()| {
            let columns = columns_but_rowid(t);
            let (list, params) = (columns.join(", "), params(columns.len() + 1));
            let name = t.physical();
            let insert = format!("INSERT INTO temp.{name} (rowid, {list}) VALUES ({params})");
            from.query(&format!("SELECT rowid, {list} FROM temp.{name}"), (), |row| {
                self.execute(&insert, &row.to_values()?)?;
                Ok(NEXT)
            })
        });
        self.set_capture(capture);
        copied.map(drop)
    }
}

fn params(n: usize) -> String {
    (1..=n).map(|i| format!("?{i}")).collect::<Vec<_>>().join(", ")
}

/// How the rows of a captured table are written again.
struct RowSql {
    insert: String,
    delete: String,
    update: String,
    /// Where the column is that is the rowid.
    rowid: Option<usize>,
}

impl RowSql {
    /// `None` when the table is gone.
    fn of(db: &Connection, table: &str) -> Result<Option<Self>> {
        let mut columns = Vec::new();
        let mut rowid = None;
        let sql = format!("SELECT name, pk FROM pragma_table_info('{table}', 'temp') ORDER BY cid");
        db.query(&sql, (), |row| {
            if row.int(1)? != 0 {
                rowid = Some(columns.len());
            }
            columns.push(row.text(0)?.to_owned());
            Ok(NEXT)
        })?;
        if columns.is_empty() {
            return Ok(None);
        }
        if let Some(at) = rowid {
            columns.remove(at);
        }
        let sets = columns.iter().zip(3..).map(|(c, n)| format!(", {c} = ?{n}")).collect::<String>();
        let list = columns.iter().map(|c| format!(", {c}")).collect::<String>();
        Ok(Some(RowSql {
            insert: format!("INSERT INTO temp.{table} (rowid{list}) VALUES ({})", params(columns.len() + 1)),
            delete: format!("DELETE FROM temp.{table} WHERE rowid = ?1"),
            update: format!("UPDATE temp.{table} SET rowid = ?2{sets} WHERE rowid = ?1"),
            rowid,
        }))
    }

    fn values(&self, lead: &[i64], row: &[Value]) -> Vec<Value> {
        let rest = row.iter().enumerate().filter(|(i, _)| self.rowid != Some(*i)).map(|(_, v)| v.clone());
        lead.iter().map(|n| Value::Int(*n)).chain(rest).collect()
    }

    fn apply(&self, db: &Connection, c: &Captured) -> Result<()> {
        match c.op {
            CaptureOp::Insert => db.execute(&self.insert, self.values(&[c.new_rowid], &c.new)),
            CaptureOp::Delete => db.execute(&self.delete, &[Value::Int(c.old_rowid)]),
            CaptureOp::Update => db.execute(&self.update, self.values(&[c.old_rowid, c.new_rowid], &c.new)),
        }
        .map(drop)
    }
}

fn inverse(c: &Captured) -> Captured {
    let op = match c.op {
        CaptureOp::Insert => CaptureOp::Delete,
        CaptureOp::Delete => CaptureOp::Insert,
        CaptureOp::Update => CaptureOp::Update,
    };
    Captured {
        table: c.table.clone(),
        temporary: c.temporary,
        op,
        old_rowid: c.new_rowid,
        new_rowid: c.old_rowid,
        old: c.new.clone(),
        new: c.old.clone(),
        adjusted: None,
        cause: None,
    }
}

impl Reader {
    /// From here on it can hold temporary tables.
    pub fn hold_temporary(&mut self) -> Result<()> {
        if self.temporary {
            return Ok(());
        }
        self.connection.db.authorizer(Some(|a: AuthContext<'_>| {
            let writes = matches!(
                a.action,
                AuthAction::Insert { .. } | AuthAction::Update { .. } | AuthAction::Delete { .. }
            );
            if writes && a.database_name != Some("temp") { Authorization::Deny } else { Authorization::Allow }
        }))?;
        self.connection.install(Capture::new(CAPTURE_BYTES_MAX));
        let set = |pragma: &str| self.connection.query(pragma, (), |_| Ok(NEXT)).map(drop);
        set(&format!("PRAGMA temp.max_page_count = {}", TEMPORARY_BYTES_MAX / PAGE_BYTES))?;
        set("PRAGMA query_only = 0")?;
        self.temporary = true;
        Ok(())
    }

    /// It holds temporary tables, or did.
    pub fn holds_temporary(&self) -> bool {
        self.temporary
    }

    /// Begins to write temporary tables.
    pub fn write_temporary(&mut self) -> Result<TemporaryWriter<'_>> {
        let mut writer = TemporaryWriter { reader: self, marks: Vec::new() };
        writer.savepoint()?;
        writer.reader.connection.set_capture(true);
        Ok(writer)
    }

    /// Nothing of what was written can be taken back any more: the transaction has ended well.
    pub fn keep(&self) {
        if let Some(capture) = &self.connection.capture {
            capture.reset();
        }
    }

    /// Takes back what was written since `mark`, in the order of a stack. Tables that are gone by now stay gone.
    pub fn undo(&mut self, mark: usize) -> Result<()> {
        let captured = self.connection.take_captured(mark);
        let backwards: Vec<Captured> = captured.iter().rev().map(inverse).collect();
        self.play(&backwards, false)
    }

    /// Does once more what was captured of a copy elsewhere.
    pub fn redo(&mut self, captured: &[Captured]) -> Result<()> {
        self.play(captured, true)
    }

    fn play(&mut self, changes: &[Captured], capture: bool) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let writer = self.write_temporary()?;
        let db = &writer.reader.connection;
        db.set_capture(capture);
        let mut all: HashMap<Arc<str>, Option<RowSql>> = HashMap::new();
        let mut play = || {
            for c in changes {
                if !all.contains_key(&c.table) {
                    all.insert(c.table.clone(), RowSql::of(db, &c.table)?);
                }
                if let Some(Some(sql)) = all.get(&c.table) {
                    sql.apply(db, c)?;
                }
            }
            Ok(())
        };
        let played = play();
        drop(all);
        let ended = writer.end(played.is_ok());
        played.and(ended)
    }

    /// Goes from a table's old shape to its new one: columns that stay keep their cells, new ones take `cell`.
    pub fn reshape_temporary(&mut self, before: &Table, after: &Table, cell: NewCell<'_>) -> Result<()> {
        let writer = self.write_temporary()?;
        let db = &writer.reader.connection;
        db.set_capture(false);
        let run = || {
            let (name, old) = (after.physical(), format!("old_{}", after.physical()));
            for i in &before.indexes {
                db.execute_batch(&format!("DROP INDEX IF EXISTS temp.{}", physical_index(i.id)))?;
            }
            db.execute_batch(&format!("ALTER TABLE temp.{name} RENAME TO {old}"))?;
            db.create_temporary(after)?;
            let mut values = Vec::new();
            let mut from = Vec::new();
            let kept = after.rowid_column();
            let mut to = match kept {
                Some(_) => Vec::new(),
                None => {
                    from.push("rowid".to_owned());
                    vec!["rowid".to_owned()]
                }
            };
            for c in &after.columns {
                to.push(c.physical());
                if before.columns.iter().any(|b| b.id == c.id) {
                    from.push(c.physical());
                } else {
                    values.push(cell(&c.def));
                    from.push(format!("?{}", values.len()));
                }
            }
            for hidden in [COLUMN_VERSION, COLUMN_OVERRIDES, COLUMN_KEY] {
                to.push(hidden.to_owned());
                from.push(hidden.to_owned());
            }
            let (to, from) = (to.join(", "), from.join(", "));
            db.execute(
                &format!("INSERT INTO temp.{name} ({to}) SELECT {from} FROM temp.{old} ORDER BY rowid"),
                &values,
            )?;
            db.execute_batch(&format!("DROP TABLE temp.{old}"))
        };
        let done = run();
        let ended = writer.end(done.is_ok());
        done.and(ended)
    }
}

/// Writes the temporary tables of a reader; a stack of savepoints like the writer's.
pub struct TemporaryWriter<'r> {
    reader: &'r mut Reader,
    /// Captured changes at each open savepoint.
    marks: Vec<usize>,
}

impl TemporaryWriter<'_> {
    /// The connection.
    pub fn db(&self) -> &Connection {
        &self.reader.connection
    }

    /// [`StoreError::RolledBack`] when SQLite has ended the transaction by itself.
    pub fn check(&self) -> Result<()> {
        if self.reader.connection.db.is_autocommit() { Err(StoreError::RolledBack) } else { Ok(()) }
    }

    /// Opens a savepoint inside those that are open; says which.
    pub fn savepoint(&mut self) -> Result<Savepoint> {
        let depth = self.marks.len();
        self.reader.connection.execute(&format!("SAVEPOINT w{depth}"), ())?;
        self.marks.push(self.reader.connection.capture_mark());
        Ok(Savepoint(depth))
    }

    /// Takes back what was written since the savepoint, which stays open.
    pub fn rollback_to(&mut self, savepoint: Savepoint) -> Result<()> {
        self.check()?;
        let db = &self.reader.connection;
        db.execute(&format!("ROLLBACK TO w{}", savepoint.0), ())?;
        self.marks.truncate(savepoint.0 + 1);
        if let (Some(capture), Some(mark)) = (&db.capture, self.marks.last()) {
            capture.truncate(*mark);
        }
        Ok(())
    }

    /// Lets the savepoint, and those inside it, go.
    pub fn release(&mut self, savepoint: Savepoint) -> Result<()> {
        self.check()?;
        self.reader.connection.execute(&format!("RELEASE w{}", savepoint.0), ())?;
        self.marks.truncate(savepoint.0);
        Ok(())
    }

    /// Ends the writing; with `keep` what was written stays. [`StoreError::RolledBack`] when SQLite has taken back more
    /// than that: what was written earlier inside the reader's snapshot is gone as well.
    pub fn end(mut self, keep: bool) -> Result<()> {
        self.reader.connection.set_capture(false);
        let mark = self.marks.first().copied().unwrap_or(0);
        if self.check().is_err() {
            if let Some(capture) = &self.reader.connection.capture {
                capture.truncate(mark);
            }
            // Outside of a snapshot it was only this.
            return if self.reader.in_snapshot() { Err(StoreError::RolledBack) } else { Ok(()) };
        }
        if !keep {
            self.rollback_to(Savepoint(0))?;
        }
        self.release(Savepoint(0))
    }
}
