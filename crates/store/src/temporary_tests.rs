//! Temporary tables on a reader: what is undone, what is done again, and that the realm's file is out of reach.

use p2pdb_model::Value;
use p2pdb_model::catalog::{Column, Index, Table};
use p2pdb_model::ids::{ObjectId, ObjectKind};
use p2pdb_model::schema::{ColumnDef, IndexDef, IndexPart, TableDef};
use p2pdb_model::types::{Collation, IntSize, SqlType};

use crate::connection_reader::Reader;
use crate::connection_writer::Writer;
use crate::error::StoreError;
use crate::open::Options;

fn column(table: ObjectId, name: &str, position: u64) -> Column {
    let id = ObjectId::derive(ObjectKind::Column, table, name, None);
    let def =
        ColumnDef::new(SqlType::Int { size: IntSize::Int, unsigned: false, zerofill: false, width: None });
    Column { id, tag: id.tag(), name: name.to_owned(), def, position }
}

/// `CREATE TEMPORARY TABLE t (a INT PRIMARY KEY, b INT UNIQUE)`, or without any key.
fn table(keys: bool) -> Table {
    let id = ObjectId::derive(ObjectKind::Table, ObjectId::ROOT, "t", Some(b"temporary"));
    let columns = vec![column(id, "a", 1), column(id, "b", 2)];
    let index = |name: &str, c: &Column| {
        let part = IndexPart { column: c.tag, prefix: None, descending: false };
        let def = IndexDef {
            unique: true,
            parts: vec![part],
            comment: String::new(),
            invisible: false,
            fulltext: false,
            implied: false,
        };
        Index { id: ObjectId::derive(ObjectKind::Index, id, name, None), name: name.to_owned(), def }
    };
    let indexes =
        if keys { vec![index("PRIMARY", &columns[0]), index("b", &columns[1])] } else { Vec::new() };
    let def = TableDef {
        collation: Collation::Utf8mb4_0900AiCi,
        comment: String::new(),
        auto_increment: None,
        options: Vec::new(),
    };
    Table {
        id,
        database: "d".to_owned(),
        name: "t".to_owned(),
        def,
        columns,
        indexes,
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        triggers: Vec::new(),
        created_ms: 0,
    }
}

struct Pair {
    _temp: tempfile::TempDir,
    writer: Writer,
    reader: Reader,
    table: Table,
}

fn pair(keys: bool) -> Pair {
    let temp = tempfile::tempdir().unwrap();
    let options = Options::new(temp.path().join("db"));
    let writer = Writer::create(&options).unwrap();
    let mut reader = Reader::open(&options).unwrap();
    reader.hold_temporary().unwrap();
    let table = table(keys);
    reader.create_temporary(&table).unwrap();
    Pair { _temp: temp, writer, reader, table }
}

impl Pair {
    fn sql(&self, sql: &str) -> String {
        let (a, b) = (self.table.columns[0].physical(), self.table.columns[1].physical());
        sql.replace('#', &self.table.physical()).replace("$a", &a).replace("$b", &b)
    }

    fn write(&mut self, sql: &str) -> Result<u64, StoreError> {
        let sql = self.sql(sql);
        let writer = self.reader.write_temporary().unwrap();
        let written = writer.db().execute(&sql, ());
        writer.end(written.is_ok()).unwrap();
        written
    }

    fn rows(&self) -> Vec<(i64, i64)> {
        rows(&self.reader, &self.sql("SELECT $a, $b FROM # ORDER BY rowid"))
    }
}

fn rows(db: &crate::Connection, sql: &str) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    db.query(sql, (), |row| {
        all.push((row.int(0)?, row.int(1)?));
        Ok(crate::NEXT)
    })
    .unwrap();
    all
}

#[test]
fn what_was_written_is_undone_row_by_row_also_across_snapshots() {
    for keys in [true, false] {
        let mut p = pair(keys);
        p.write("INSERT INTO # ($a, $b) VALUES (1, 10), (2, 20), (3, 30)").unwrap();
        p.reader.keep();
        let before = p.rows();
        p.reader.begin().unwrap();
        p.write("UPDATE # SET $a = $a + 10, $b = $b + 1").unwrap();
        p.reader.end().unwrap();
        let mark = p.reader.capture_mark();
        let middle = p.rows();
        assert_eq!(middle, [(11, 11), (12, 21), (13, 31)]);
        p.write("DELETE FROM # WHERE $a = 12").unwrap();
        p.write("REPLACE INTO # ($a, $b) VALUES (11, 5)").unwrap();
        p.write("INSERT INTO # ($a, $b) VALUES (2, 2)").unwrap();
        p.reader.undo(mark).unwrap();
        assert_eq!(p.rows(), middle);
        p.reader.undo(0).unwrap();
        assert_eq!(p.rows(), before);
    }
}

#[test]
fn a_statement_that_fails_leaves_nothing_to_undo() {
    let mut p = pair(true);
    p.write("INSERT INTO # ($a, $b) VALUES (1, 10)").unwrap();
    let mark = p.reader.capture_mark();
    let clash = p.write("INSERT INTO # ($a, $b) VALUES (2, 20), (1, 30)");
    assert!(matches!(clash, Err(StoreError::Constraint(_))), "{clash:?}");
    assert_eq!((p.reader.capture_mark(), p.rows()), (mark, vec![(1, 10)]));
}

#[test]
fn a_copy_at_the_writer_is_changed_there_and_the_changes_are_done_again_here() {
    let mut p = pair(true);
    p.write("INSERT INTO # ($a, $b) VALUES (1, 10), (2, 20)").unwrap();
    p.reader.keep();
    let change = p.sql("UPDATE # SET $b = $b + $a");
    let before = p.rows();
    p.writer.begin().unwrap();
    p.writer.copy_temporary(&p.reader, &p.table).unwrap();
    p.writer.set_capture(true);
    p.writer.execute(&change, ()).unwrap();
    let changes = p.writer.take_temporary(0);
    p.writer.set_capture(false);
    p.writer.drop_temporary(p.table.id).unwrap();
    p.writer.rollback().unwrap();
    assert_eq!((changes.len(), p.rows()), (2, before.clone()));
    p.reader.redo(&changes).unwrap();
    assert_eq!(p.rows(), [(1, 11), (2, 22)]);
    p.reader.undo(0).unwrap();
    assert_eq!(p.rows(), before);
}

#[test]
fn a_new_shape_keeps_the_cells_of_the_columns_that_stay() {
    let mut p = pair(true);
    p.write("INSERT INTO # ($a, $b) VALUES (1, 10), (2, 20)").unwrap();
    p.reader.keep();
    let mut after = p.table.clone();
    let c = column(after.id, "c", 3);
    let name = c.physical();
    after.columns.push(c);
    after.indexes.clear();
    let before = std::mem::replace(&mut p.table, after);
    p.reader.reshape_temporary(&before, &p.table, &|_| Value::Int(7)).unwrap();
    let sql = p.sql(&format!("SELECT $a + $b, {name} FROM # ORDER BY rowid"));
    assert_eq!(rows(&p.reader, &sql), [(11, 7), (22, 7)]);
    p.write("INSERT INTO # ($a, $b) VALUES (1, 10)").unwrap();
}

#[test]
fn the_realms_file_stays_out_of_reach() {
    let mut p = pair(true);
    for sql in [
        "CREATE TABLE main.x (a)",
        "DELETE FROM main.meta",
        "INSERT INTO meta VALUES ('k', x'00')",
        "UPDATE main.meta SET value = x'00'",
    ] {
        assert!(p.write(sql).is_err(), "{sql}");
    }
}

#[test]
fn too_many_rows_are_refused_and_the_rest_stays() {
    let mut p = pair(false);
    p.write("INSERT INTO # ($a, $b) VALUES (1, 10)").unwrap();
    p.reader.query("PRAGMA temp.max_page_count = 20", (), |_| Ok(crate::NEXT)).unwrap();
    let full = p.write(
        "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO # ($a, $b) SELECT i, i FROM n",
    );
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    assert_eq!(p.rows(), [(1, 10)]);
}
