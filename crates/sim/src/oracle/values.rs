//! No lost value, and nothing that comes back: read from the log's bytes and from what SQL shows, with an ancestry of
//! this crate's own.
//!
//! Values that are written once in the whole world are looked for: those of `note` and `mark`, whatever becomes of these columns, and of sets and maps those elements and
//! members that carry a note.

use std::collections::{BTreeMap, BTreeSet};

use p2pdb_block::FullBlock;
use p2pdb_model::change::{Layout, RowChange, SchemaChange};
use p2pdb_model::ids::{ColumnTag, ObjectKind};
use p2pdb_model::value::RowKey;
use p2pdb_model::{CellEdit, Change, ObjectId, Value};

use super::log::{At, Log};
use super::{Failure, Judged, Picture};

/// What a change did to a row.
#[derive(Default)]
struct Deed {
    at: At,
    void: bool,
    deletes: bool,
    /// Makes a row, another one if there was one before.
    inserts: bool,
    /// Its key came from AUTO_INCREMENT: another row's insert is not of this one.
    generated: bool,
    /// Makes a row, and may not overwrite another one.
    weak: bool,
    /// Says something of the row: more than that it is needed, or that it goes.
    says: bool,
    /// The values of `note` and `mark`, as text.
    notes: Vec<(ColumnTag, String)>,
    /// Columns among them that it writes, to NULL too.
    wrote: Vec<ColumnTag>,
    /// What went into its sets and maps, and what the author took out.
    cells: Vec<(ColumnTag, Cell)>,
}

/// What a change did to a set or map. Of a set the slots are the elements, of a map the keys.
#[derive(Default)]
struct Cell {
    /// Everything before goes.
    whole: bool,
    /// Slot and value.
    put: Vec<(String, String)>,
    /// Slots.
    taken: Vec<String>,
}

/// What to look for in a table.
#[derive(Default)]
struct Watched {
    notes: BTreeSet<ColumnTag>,
    cells: BTreeSet<ColumnTag>,
}

impl Cell {
    fn whole(value: &Value) -> Cell {
        let text = if let Value::Text(text) = value { text.as_str() } else { "null" };
        let put = match serde_json::from_str(text).unwrap_or_default() {
            serde_json::Value::Array(all) => all.iter().map(|e| (e.to_string(), e.to_string())).collect(),
            serde_json::Value::Object(all) => all.iter().map(|(k, v)| (k.clone(), v.to_string())).collect(),
            _ => Vec::new(),
        };
        Cell { whole: true, put, taken: Vec::new() }
    }

    fn edit(edit: &CellEdit) -> Cell {
        match edit {
            CellEdit::Add(_) => Cell::default(),
            CellEdit::Set { added, removed } => {
                let put = added.iter().map(|e| (e.clone(), e.clone())).collect();
                Cell { whole: false, put, taken: removed.clone() }
            }
            CellEdit::Map { put, removed } => {
                // Who writes a key overrules the values that they saw there.
                let taken = removed.iter().chain(put.iter().map(|(k, _)| k)).cloned().collect();
                Cell { whole: false, put: put.clone(), taken }
            }
        }
    }

    fn takes(&self, slot: &str) -> bool {
        self.whole || self.taken.iter().any(|t| t == slot)
    }
}

impl Deed {
    fn of(at: At, void: bool, row: &RowChange, layout: &Layout, watched: &Watched) -> Deed {
        let inserts = matches!(row, RowChange::Insert { .. });
        let generated = matches!(row, RowChange::Insert { generated: true, .. });
        let says = inserts || !layout.columns().is_empty();
        let mut deed = Deed { at, void, inserts, generated, says, ..Deed::default() };
        match row {
            RowChange::Delete { .. } => (deed.deletes, deed.says) = (true, false),
            RowChange::Insert { values, .. } | RowChange::Update { values, .. } => {
                for (tag, value) in layout.columns().iter().zip(values) {
                    if watched.notes.contains(tag) {
                        deed.wrote.push(*tag);
                    }
                    match value {
                        Value::Text(text) if watched.notes.contains(tag) => {
                            deed.notes.push((*tag, number(text).to_owned()));
                        }
                        Value::Int(n) if watched.notes.contains(tag) => {
                            deed.notes.push((*tag, n.to_string()))
                        }
                        value if watched.cells.contains(tag) => deed.cells.push((*tag, Cell::whole(value))),
                        _ => {}
                    }
                }
            }
            RowChange::Edit { edits, .. } => {
                let cells = layout.columns().iter().zip(edits).filter(|(tag, _)| watched.cells.contains(tag));
                deed.cells = cells.map(|(tag, edit)| (*tag, Cell::edit(edit))).collect();
            }
        }
        deed
    }

    fn takes(&self, column: ColumnTag, slot: &str) -> bool {
        self.cells.iter().any(|(tag, cell)| *tag == column && cell.takes(slot))
    }
}

/// Columns whose values are written once in the whole world.
fn is_watched(column: &str) -> bool {
    matches!(column, "note" | "mark")
}

/// A whole number as such, also of a column with digits behind the point.
fn number(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|b| b == b'0') => whole,
        _ => text,
    }
}

/// Written once in the whole world: `"n17e…z"`.
fn is_own(value: &str) -> bool {
    value.starts_with("\"n") && value.ends_with("z\"")
}

/// What drops that count have taken, wherever something was: who has seen a value and drops what it is in has decided.
#[derive(Default)]
struct Drops {
    /// Of a table, and of the database that it was made in.
    tables: BTreeMap<ObjectId, Vec<At>>,
    /// Of a column `note` or `mark`, and the table that it is of.
    notes: BTreeMap<(ObjectId, ColumnTag), Vec<At>>,
}

impl Drops {
    fn read(blocks: &[FullBlock], log: &Log<'_>) -> Drops {
        let (mut drops, mut notes) = (Drops::default(), BTreeMap::new());
        let mut databases: BTreeMap<ObjectId, Vec<ObjectId>> = BTreeMap::new();
        for (b, block) in blocks.iter().enumerate() {
            let numbered = block.body().transactions().iter().enumerate();
            let all = numbered.flat_map(|(t, tx)| tx.changes().iter().map(move |c| (t, c)));
            for (c, (t, change)) in all.enumerate() {
                match change {
                    Change::Schema(SchemaChange::Put { id, parent, kind, name, .. }) => match kind {
                        ObjectKind::Table => databases.entry(*parent).or_default().push(*id),
                        ObjectKind::Column if name.as_deref().is_some_and(is_watched) => {
                            notes.insert(*id, *parent);
                        }
                        _ => {}
                    },
                    Change::Schema(SchemaChange::Drop { id }) if !log.is_void((b, t)) => {
                        let of_database = databases.get(id).into_iter().flatten();
                        for table in of_database.chain([id]) {
                            drops.tables.entry(*table).or_default().push((b, c));
                        }
                        if let Some(table) = notes.get(id) {
                            drops.notes.entry((*table, id.tag())).or_default().push((b, c));
                        }
                    }
                    _ => {}
                }
            }
        }
        drops
    }
}

fn read(blocks: &[FullBlock], log: &Log<'_>) -> BTreeMap<(ObjectId, RowKey), Vec<Deed>> {
    let mut watched: BTreeMap<ObjectId, Watched> = BTreeMap::new();
    let mut rows: BTreeMap<(ObjectId, RowKey), Vec<Deed>> = BTreeMap::new();
    for (b, block) in blocks.iter().enumerate() {
        let body = block.body();
        let numbered = body.transactions().iter().enumerate();
        let all = numbered.flat_map(|(t, tx)| tx.changes().iter().map(move |c| (t, c)));
        for (c, (t, change)) in all.enumerate() {
            match change {
                Change::Schema(SchemaChange::Put { id, parent, name: Some(name), .. }) => {
                    let table = watched.entry(*parent).or_default();
                    match name.as_str() {
                        name if is_watched(name) => drop(table.notes.insert(id.tag())),
                        "s0" | "m0" => drop(table.cells.insert(id.tag())),
                        _ => {}
                    }
                }
                Change::Row(row) => {
                    let layout = &body.layouts()[row.layout()];
                    let (Some(key), Some(watched)) = (row.key(layout), watched.get(&layout.table())) else {
                        continue;
                    };
                    let mut deed = Deed::of((b, c), log.is_void((b, t)), row, layout, watched);
                    deed.weak = deed.inserts && log.adds_only((b, t), layout.table());
                    rows.entry((layout.table(), key)).or_default().push(deed);
                }
                Change::Schema(_) | Change::Access(_) => {}
            }
        }
    }
    rows
}

/// Looks for values that are nowhere, and for those that are there although they were taken out. `blocks` are all of the log, in its order.
///
/// # Errors
/// The first that is lost, or came back.
pub fn lost_values(blocks: &[FullBlock], log: &Log<'_>, picture: &Picture) -> Judged {
    let rows = read(blocks, log);
    let drops = Drops::read(blocks, log);
    let texts = |rows: &'_ super::Rows| rows.iter().flatten().flatten().cloned().collect::<Vec<String>>();
    let shown: Vec<String> = picture.tables.values().flat_map(|(_, rows)| texts(rows)).collect();
    let visible: BTreeSet<&str> = shown.iter().map(|v| number(v)).collect();
    let json: Vec<&str> = shown.iter().map(String::as_str).filter(|v| v.starts_with(['[', '{'])).collect();
    let conflicts = texts(&picture.conflicts);
    let waits = |value: &str| conflicts.iter().any(|c| c.contains(value));
    // Of what is shown in sets and maps: whether somebody put it in whom nobody overruled.
    let mut stands: BTreeMap<String, bool> = BTreeMap::new();
    for ((table, key), deeds) in &rows {
        let counting = || deeds.iter().filter(|d| !d.void);
        let simple = !deeds.iter().any(|d| d.deletes || d.generated);
        // Rows that share a generated key are apart: what is assigned to the one takes nothing out of the other.
        let alone = deeds.iter().filter(|d| d.inserts).count() < 2 || !deeds.iter().any(|d| d.generated);
        if simple && counting().any(|d| d.inserts && !d.weak && !d.notes.is_empty()) {
            let all = counting().filter(|d| d.weak).flat_map(|d| &d.notes);
            if let Some((_, note)) = all.clone().find(|(_, n)| visible.contains(n.as_str())) {
                let what = format!(
                    "'{note}' is shown in row {key:?} of {table}, which its author might not overwrite"
                );
                return Err(Failure::new("overwritten", what));
            }
        }
        for deed in counting() {
            let saw_it = |d: &&Deed| log.saw(d.at, deed.at);
            // The row that it meant was made by somebody who does not count: neither does it.
            let nowhere = deeds.iter().any(|d| d.void && log.saw(deed.at, d.at));
            let lost = |what: &str| {
                let block = &blocks[deed.at.0];
                let what = format!(
                    "{what} of row {key:?} in {table}, written in block {} by {}, is nowhere",
                    block.cid(),
                    block.author()
                );
                Failure::new("lost value", what)
            };
            for (column, note) in &deed.notes {
                let of_column = drops.notes.get(&(*table, *column));
                let seen_by = |of: Option<&Vec<At>>, after: &Deed| {
                    of.is_some_and(|all| all.iter().any(|d| log.saw(*d, after.at)))
                };
                // Who has seen the value and a drop of its column, and changes the row, has decided.
                let settles =
                    |d: &Deed| d.says && of_column.is_some_and(|all| all.iter().any(|x| log.saw(d.at, *x)));
                let there = nowhere
                    || seen_by(drops.tables.get(table), deed)
                    || seen_by(of_column, deed)
                    || counting().filter(saw_it).any(settles)
                    || visible.contains(note.as_str())
                    || counting().filter(saw_it).any(|d| d.deletes || d.wrote.contains(column))
                    || waits(note);
                if !there {
                    return Err(lost(&format!("'{note}'")));
                }
            }
            for (column, cell) in &deed.cells {
                for (slot, value) in cell.put.iter().filter(|(_, v)| is_own(v)) {
                    let text = value.trim_matches('"');
                    let overruled = counting().filter(saw_it).any(|d| d.takes(*column, slot));
                    // What a weak insert has lost waits as a whole until somebody writes the cell, whatever they do to it.
                    let writes = |d: &Deed| !d.weak && d.cells.iter().any(|(tag, _)| tag == column);
                    let settled = deed.weak && counting().filter(saw_it).any(writes);
                    let there = json.iter().any(|v| v.contains(text));
                    let deleted = || counting().filter(saw_it).any(|d| d.deletes);
                    if !(nowhere || there || overruled || settled || waits(text) || deleted()) {
                        return Err(lost(&format!("{value} under {slot}")));
                    }
                    if there {
                        // Behind a delete that had seen it there is another row, from which it was not taken.
                        let goes = |d: &&Deed| d.deletes && log.saw(d.at, deed.at);
                        let same = |d: &Deed| !counting().filter(goes).any(|x| log.saw(d.at, x.at));
                        let here = |d: &Deed| !d.inserts && d.takes(*column, slot) && same(d);
                        let taken = alone && counting().filter(saw_it).any(here);
                        *stands.entry(value.clone()).or_default() |= !taken || nowhere;
                    }
                }
            }
        }
    }
    match stands.iter().find(|(_, stands)| !**stands) {
        None => Ok(()),
        Some((value, _)) => {
            let what =
                format!("{value} was taken out of its set or map by somebody who saw it, and is there");
            Err(Failure::new("came back", what))
        }
    }
}
