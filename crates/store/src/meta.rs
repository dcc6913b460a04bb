//! Facts about the store itself, by name. Secrets of the node are not kept here.

use p2pdb_model::{ObjectId, ValueRef};

use crate::connection::Connection;
use crate::connection_writer::Writer;
use crate::error::Result;
use crate::query::NEXT;

pub(crate) const SCHEMA: &str = "CREATE TABLE meta (
    name TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) WITHOUT ROWID;";

/// The file's format number, 8 bytes big-endian.
pub const FORMAT: &str = "format";

/// The realm's CID.
pub const REALM: &str = "realm";

/// CID of the first block of the chain that this node extends; absent before its first block.
pub const CHAIN: &str = "chain";

/// Present when what was written beside drops is indexed ([`crate::Merger::index_drops`]): a store of before has no such index.
pub const DROPS_INDEXED: &str = "drops-indexed";

/// By which number of the merge's code the tables stand ([`crate::MERGE`], 4 bytes big-endian); absent in a store of before there was one.
pub const MERGED: &str = "merged";

/// Present when the node was stopped properly: [`SET`], or which file it was then ([`crate::Options::place`]).
pub const CLEAN: &str = "clean";

/// The value of a note that is only there or not.
pub const SET: &[u8] = b"1";

/// Present when the end of the log is kept unread, its rules number being unknown: see [`crate::Kept`].
pub const KEPT: &str = "kept";

/// Present when this node may have drawn AUTO_INCREMENT values that the file does not know of: none are drawn before others
/// have dealt some anew.
pub const IDS_LOST: &str = "ids-lost";

/// Present when the file was restored from a backup and no new chain has been begun since.
pub const RESTORED: &str = "restored";

/// [`RESTORED`]'s value when AUTO_INCREMENT values are drawn on ([`crate::Ids::DrawOn`]).
pub const RESTORED_WITH_IDS: &[u8] = b"ids";

/// What the looks of sealed columns on this node were made with; see [`crate::looks`].
pub const LOOKS: &str = "looks";

/// Bytes of its value.
pub const LOOKS_BYTES: usize = 17;

/// Begins the name of a note about a table that was emptied here by TRUNCATE: the AUTO_INCREMENT that it was declared with (u64,
/// big-endian) does not count on this node any more. The table's id follows, in hexadecimal digits.
pub const EMPTIED: &str = "emptied:";

/// The name of the note that a table was emptied ([`EMPTIED`]).
pub fn emptied(table: ObjectId) -> String {
    format!("{EMPTIED}{}", table.to_hex())
}

impl Connection {
    /// The value under this name.
    pub fn meta(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let params = [ValueRef::Text(name)];
        self.query_one("SELECT value FROM meta WHERE name = ?1", params, |r| Ok(r.blob(0)?.to_vec()))
    }
}

impl Connection {
    /// All notes: names and values.
    pub(crate) fn notes(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let mut notes = Vec::new();
        self.query("SELECT name, value FROM meta", (), |r| {
            notes.push((r.text(0)?.to_owned(), r.blob(1)?.to_vec()));
            Ok(NEXT)
        })?;
        Ok(notes)
    }
}

impl Writer {
    /// Puts a value under this name, inside the transaction.
    pub fn put_meta(&self, name: &str, value: &[u8]) -> Result<()> {
        self.check()?;
        put(self, name, value)
    }

    /// Removes a name, inside the transaction.
    pub fn remove_meta(&self, name: &str) -> Result<()> {
        self.execute("DELETE FROM meta WHERE name = ?1", [ValueRef::Text(name)]).map(drop)
    }
}

pub(crate) fn put(connection: &Connection, name: &str, value: &[u8]) -> Result<()> {
    let sql =
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    connection.execute(sql, [ValueRef::Text(name), ValueRef::Blob(value)]).map(drop)
}
