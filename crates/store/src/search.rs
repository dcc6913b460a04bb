//! FULLTEXT indexes: FTS5 tables beside the visible tables, kept by SQLite's own triggers.
//!
//! For each index `m_…` there are
//! * `m_…_rows`, a view: the words of the indexed columns of each visible row, as keys (`Meaning::words`) with blanks between,
//! * `m_…`, an FTS5 table over that view, which stores nothing but the index,
//! * `m_…_words`, where every word stands in which row (`fts5vocab`),
//! * triggers on the visible table. Statements and merging change rows by many ways (upserts, REPLACE, cascades); all of
//!   them come by here. A row goes out of the index before it changes and comes in after that.
//!
//! Displaced rows are in no index. How an index lies in its segments is an accident of the order of writes, so two stores are
//! not compared by it; [`verify`] compares each index with the rows of its own store. Not here: what a query means (`sql`).

use p2pdb_model::catalog::{Index, Table, physical_column, physical_search};
use p2pdb_model::ids::ColumnTag;

use crate::connection::Connection;
use crate::derived;
use crate::error::Result;
use crate::meaning::Meaning;
use crate::query::NEXT;
use crate::verify::{Part, Report};

/// What the names of all that belongs to these indexes begin with.
pub(crate) const PREFIX: &str = "m_";

/// Entries of one index that are reported one by one.
const ENTRIES_SHOWN_MAX: usize = 20;

/// What SQLite has to keep of an index.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Search {
    /// The columns, and the words of each as SQL over the visible table.
    columns: Vec<(ColumnTag, String)>,
}

impl Search {
    /// `None` for an index that is no FULLTEXT index, or finds nothing as long as its columns are what they are.
    pub(crate) fn of(table: &Table, index: &Index, meaning: &Meaning) -> Option<Self> {
        let words = (meaning.words)(table, index)?;
        Some(Search { columns: index.def.parts.iter().map(|p| p.column).zip(words).collect() })
    }

    /// Makes the index over the rows that are there.
    pub(crate) fn create(&self, db: &Connection, table: &str, name: &str) -> Result<()> {
        let columns: Vec<String> = self.columns.iter().map(|(tag, _)| physical_column(*tag)).collect();
        let list = columns.join(", ");
        let words: Vec<String> =
            self.columns.iter().map(|(tag, sql)| format!("{sql} AS {}", physical_column(*tag))).collect();
        let words = words.join(", ");
        // Texts that are equal to their column need not be the same words.
        let differ: Vec<String> =
            columns.iter().map(|c| format!("old.{c} IS NOT new.{c} COLLATE BINARY")).collect();
        let changed = format!("old.rowid IS NOT new.rowid OR {}", differ.join(" OR "));
        let take = format!(
            "INSERT INTO {name} ({name}, rowid, {list}) SELECT 'delete', doc, {list} FROM {name}_rows WHERE doc = old.rowid;"
        );
        let put = format!(
            "INSERT INTO {name} (rowid, {list}) SELECT doc, {list} FROM {name}_rows WHERE doc = new.rowid;"
        );
        db.execute_batch(&format!(
            "CREATE VIEW {name}_rows AS SELECT rowid AS doc, {words} FROM {table};
             CREATE VIRTUAL TABLE {name} USING fts5({list}, content='{name}_rows', content_rowid='doc', columnsize=0, tokenize='ascii');
             CREATE VIRTUAL TABLE {name}_words USING fts5vocab({name}, 'instance');
             INSERT INTO {name} ({name}) VALUES ('rebuild');
             {}",
            derived::triggers(name, table, &changed, &take, &put)
        ))
    }
}

/// The name of an index in SQLite.
pub(crate) fn name(index: &Index) -> String {
    physical_search(index.id)
}

/// Takes an index away.
pub(crate) fn drop(db: &Connection, name: &str) -> Result<()> {
    db.execute_batch(&format!(
        "{} DROP TABLE IF EXISTS {name}_words; DROP TABLE IF EXISTS {name}; DROP VIEW IF EXISTS {name}_rows;",
        derived::drop_triggers(name)
    ))
}

/// Takes all indexes of a visible table away, before the table itself.
pub(crate) fn drop_all(db: &Connection, table: &str) -> Result<()> {
    derived::of_table(db, PREFIX, table)?.iter().try_for_each(|name| drop(db, name))
}

/// Compares every index with the rows that it is over.
pub(crate) fn verify(db: &Connection, report: &mut Report) -> Result<()> {
    for name in derived::all(db, PREFIX)? {
        let mut columns = Vec::new();
        let sql =
            format!("SELECT name FROM pragma_table_xinfo('{name}_rows') WHERE name <> 'doc' ORDER BY cid");
        db.query(&sql, (), |r| {
            columns.push(r.text(0)?.to_owned());
            Ok(NEXT)
        })?;
        let of_column = |c: &String| {
            format!(
                "SELECT w.value AS term, r.doc AS doc, '{c}' AS col, w.key AS offset FROM {name}_rows AS r, \
                 json_each('[\"' || replace(r.{c}, ' ', '\",\"') || '\"]') AS w WHERE r.{c} <> ''"
            )
        };
        let rows = columns.iter().map(of_column).collect::<Vec<_>>().join(" UNION ALL ");
        let index = format!("SELECT term, doc, col, offset FROM {name}_words");
        for (all, but, problem) in [
            (&rows, &index, "a word of it is not in the index"),
            (&index, &rows, "the index has a word that it has not"),
        ] {
            let sql = format!(
                "SELECT doc, count(*) FROM (SELECT * FROM ({all}) EXCEPT SELECT * FROM ({but})) GROUP BY doc LIMIT {ENTRIES_SHOWN_MAX}"
            );
            db.query(&sql, (), |r| {
                report.add(Part::File, format!("index {name}, row {}", r.int(0)?), problem);
                Ok(NEXT)
            })?;
        }
    }
    Ok(())
}
