//! Sealed columns, from outside: with the keys of all nodes at hand, and a judgement of its own of who might read (`verdicts`).
//!
//! * No value is in the open in a node's files, or in the log.
//! * A value that counts is sealed with a key that was given, as far as its author knew, to nobody but who might read it then.
//! * A node shows a value to an account that may read it exactly if the log holds the value's key for that node; nobody sees another value.
//! * What is found by equality is what is seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use p2pdb_access::{ColumnKey, SealedColumn};
use p2pdb_block::{FullBlock, SigningKey};
use p2pdb_engine::Engine;
use p2pdb_model::change::{AccessChange, RowChange};
use p2pdb_model::ids::{ColumnTag, EpochId, NodeId};
use p2pdb_model::sealed::KeyWrap;
use p2pdb_model::{Change, ObjectId, RealmId, Value};

use super::log::Log;
use super::verdicts::Place;
use super::{Failure, Judged, ask, cell};
use crate::generate_sealed::{DATABASE, READERS, TABLE, VALUE};
use crate::node::session_as;

const ORACLE: &str = "sealed";

fn holds(bytes: &[u8]) -> bool {
    // Four digits follow; statements that were refused are in no file.
    let digits = |at: usize| bytes.get(at..at + 4).is_some_and(|d| d.iter().all(u8::is_ascii_digit));
    bytes.windows(VALUE.len()).enumerate().any(|(i, w)| w == VALUE.as_bytes() && digits(i + VALUE.len()))
}

/// No value stands in the open in a node's files.
///
/// # Errors
/// The file that it stands in.
pub fn files(n: usize, directory: &Path) -> Judged {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for path in entries.flatten().map(|e| e.path()).filter(|p| p.is_file()) {
        if std::fs::read(&path).is_ok_and(|bytes| holds(&bytes)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(Failure::new(ORACLE, format!("n{n} has a sealed value in the open in {name}")));
        }
    }
    Ok(())
}

/// A key of the column in the log.
struct Given<'a> {
    at: Place,
    epoch: EpochId,
    wraps: &'a [KeyWrap],
}

/// What the log says of the sealed column.
pub struct Sealed<'a> {
    blocks: &'a [FullBlock],
    column: Option<(ObjectId, ColumnTag)>,
    given: Vec<Given<'a>>,
    /// The cells, and where they were written.
    cells: Vec<(Place, EpochId, &'a [u8])>,
    /// By the values in the cells, their keys.
    epochs: BTreeMap<String, BTreeSet<EpochId>>,
}

impl<'a> Sealed<'a> {
    /// Reads it. `keys` are those of all nodes.
    ///
    /// # Errors
    /// A value in the open.
    pub fn read(
        blocks: &'a [FullBlock],
        realm: RealmId,
        keys: &BTreeMap<NodeId, SigningKey>,
    ) -> Result<Sealed<'a>, Failure> {
        let mut all =
            Sealed { blocks, column: None, given: Vec::new(), cells: Vec::new(), epochs: BTreeMap::new() };
        for (b, block) in blocks.iter().enumerate() {
            if block.parts().iter().any(|p| holds(&p.bytes)) {
                return Err(Failure::new(ORACLE, format!("block {} holds a value in the open", block.cid())));
            }
            let body = block.body();
            for (t, tx) in body.transactions().iter().enumerate() {
                for change in tx.changes() {
                    match change {
                        Change::Access(AccessChange::ColumnKey {
                            table, column: tag, epoch, wraps, ..
                        }) => {
                            all.column = Some((*table, *tag));
                            all.given.push(Given { at: (b, t), epoch: *epoch, wraps });
                        }
                        Change::Row(RowChange::Insert { values, .. } | RowChange::Update { values, .. }) => {
                            for value in values {
                                if let Value::Blob(cell) = value
                                    && let Some(epoch) = p2pdb_model::sealed::epoch_of(cell)
                                {
                                    all.cells.push(((b, t), epoch, cell));
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        let Some((table, column)) = all.column else { return Ok(all) };
        let column = SealedColumn { realm, table, column };
        let mut opened: HashMap<EpochId, ColumnKey> = HashMap::new();
        for given in &all.given {
            let one = |w: &KeyWrap| ColumnKey::unwrap(column, given.epoch, w, keys.get(&w.node)?);
            if !opened.contains_key(&given.epoch)
                && let Some(key) = given.wraps.iter().find_map(one)
            {
                opened.insert(given.epoch, key);
            }
        }
        for (_, epoch, cell) in &all.cells {
            if let Some(Value::Text(value)) = opened.get(epoch).and_then(|k| k.open(cell)) {
                all.epochs.entry(value).or_default().insert(*epoch);
            }
        }
        Ok(all)
    }

    /// Each value that counts was sealed with a key that nobody had, as far as its author knew, who might not read it.
    ///
    /// # Errors
    /// One that was.
    pub fn were_for_readers(&self, log: &Log<'_>) -> Judged {
        let Some(column) = self.column else { return Ok(()) };
        let mut looked: BTreeSet<(usize, EpochId)> = BTreeSet::new();
        for (at, epoch, _) in &self.cells {
            if log.is_void(*at) || !looked.insert((at.0, *epoch)) {
                continue;
            }
            let known =
                |g: &&Given<'_>| g.epoch == *epoch && (g.at.0 == at.0 || log.saw((at.0, 0), (g.at.0, 0)));
            let given: Vec<_> = self.given.iter().filter(known).collect();
            let wrong = log.as_known_to(at.0, |verdicts, place| {
                let counting = given.iter().filter(|g| verdicts.accepted(place(g.at)));
                let mut wraps = counting.flat_map(|g| g.wraps);
                wraps.find(|w| !verdicts.might_read(w.account, w.node, column, place(*at))).cloned()
            })?;
            if let Some(wrap) = wrong {
                let what = format!(
                    "block {} is sealed with a key that {} has for {}, who might not read then",
                    self.blocks[at.0].cid(),
                    wrap.node,
                    wrap.account
                );
                return Err(Failure::new(ORACLE, what));
            }
        }
        Ok(())
    }

    /// What accounts see on these nodes.
    ///
    /// # Errors
    /// What they may not, or what they do not.
    pub fn are_shown(&self, nodes: &[(usize, NodeId, Engine)]) -> Judged {
        let mut rows: BTreeMap<String, String> = BTreeMap::new();
        let mut unread: Vec<(usize, &str, String, BTreeSet<EpochId>)> = Vec::new();
        for (n, id, engine) in nodes {
            let has: BTreeSet<EpochId> = self
                .given
                .iter()
                .filter(|g| g.wraps.iter().any(|w| w.node == *id))
                .map(|g| g.epoch)
                .collect();
            for account in READERS {
                let Ok(mut s) = session_as(engine, account, u64::MAX - 5, None) else { continue };
                let all = match crate::client::run(
                    engine,
                    &mut s,
                    &format!("SELECT id, v FROM {DATABASE}.{TABLE}"),
                ) {
                    Ok(all) => all,
                    // Not granted, or no reader here.
                    Err(e) if [1142, 1143, 1044, 1049, 1146].contains(&e.code) => continue,
                    Err(e) => return Err(Failure::new(ORACLE, format!("n{n}, {account}: {e}"))),
                };
                let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
                for row in &all {
                    let (row_id, v) = (cell(row, 0), row.get(1).cloned().flatten());
                    let Some(v) = v else {
                        unread.push((*n, account, row_id, has.clone()));
                        continue;
                    };
                    let epochs = self.epochs.get(&v);
                    if epochs.is_none_or(|epochs| epochs.is_disjoint(&has)) {
                        let what =
                            format!("n{n} shows {account} '{v}', whose key {epochs:?} it was not given");
                        return Err(Failure::new(ORACLE, what));
                    }
                    if let Some(other) = rows.insert(row_id.clone(), v.clone()).filter(|o| *o != v) {
                        let what =
                            format!("n{n} shows {account} '{v}' in row {row_id}, others see '{other}'");
                        return Err(Failure::new(ORACLE, what));
                    }
                    found.entry(v).or_default().insert(row_id);
                }
                for (v, ids) in &found {
                    let by =
                        ask(engine, &mut s, &format!("SELECT id FROM {DATABASE}.{TABLE} WHERE v = '{v}'"))?;
                    let by: BTreeSet<String> = by.iter().map(|r| cell(r, 0)).collect();
                    if by != *ids {
                        let what =
                            format!("n{n} finds '{v}' for {account} in rows {by:?} and shows it in {ids:?}");
                        return Err(Failure::new(ORACLE, what));
                    }
                }
            }
        }
        for (n, account, row_id, has) in unread {
            if let Some(v) = rows.get(&row_id)
                && self.epochs.get(v).is_some_and(|epochs| epochs.is_subset(&has))
            {
                let what = format!("n{n} shows {account} NULL in row {row_id}, whose key it has: '{v}'");
                return Err(Failure::new(ORACLE, what));
            }
        }
        Ok(())
    }
}
