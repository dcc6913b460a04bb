//! Bodies: transactions as bytes, built up one by one and read back one change at a time.
//!
//! A body is the DAG-CBOR of [`Body`]: `[accounts, layouts, transactions]`. It is put together by hand from
//! its outer arrays and from changes encoded by serde, so that where each change lies is known while it is
//! written, at no further cost. The store keeps those places and later decodes one change, not the block.
//!
//! Canonical form, checked by [`decode_body`]: the only DAG-CBOR encoding; accounts and layouts are unique and
//! in the order of their first use, and each is used; no empty transaction; a row change has as many values as
//! its layout has columns, and a written-out key exactly where the layout asks for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use p2pdb_model::change::{Layout, Position, RowChange};
use p2pdb_model::{AccountId, Body, Change, Transaction};

use crate::cbor::{self, ARRAY, BYTES};
use crate::limits::*;
use crate::refusal::Refusal;

/// Where a change lies in its body's bytes (the chunks of a chunked body put together).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub offset: u32,
    /// Length in bytes.
    pub bytes: u32,
}

impl Span {
    /// As a range of indexes.
    pub fn range(self) -> std::ops::Range<usize> {
        self.offset as usize..self.offset as usize + self.bytes as usize
    }
}

/// Where each change of a body lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeIndex {
    spans: Vec<Span>,
    /// Per transaction, the index of its first change in `spans`.
    starts: Vec<u32>,
}

impl ChangeIndex {
    /// Where this change lies; `None` when there is no such change.
    pub fn get(&self, at: Position) -> Option<Span> {
        let start = *self.starts.get(at.transaction as usize)?;
        let end = self.starts.get(at.transaction as usize + 1).map_or(self.spans.len(), |e| *e as usize);
        let i = (start as usize).checked_add(at.change as usize)?;
        (i < end).then(|| self.spans[i])
    }

    /// Where each change of this transaction lies, in order; empty when there is no such transaction.
    pub fn transaction(&self, transaction: u32) -> &[Span] {
        let t = transaction as usize;
        let Some(start) = self.starts.get(t) else { return &[] };
        let end = self.starts.get(t + 1).map_or(self.spans.len(), |e| *e as usize);
        &self.spans[*start as usize..end]
    }
}

/// A body with its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuiltBody {
    body: Body,
    bytes: Vec<u8>,
    index: ChangeIndex,
}

impl BuiltBody {
    /// The transactions.
    pub fn body(&self) -> &Body {
        &self.body
    }
    /// Their bytes; empty when there are no transactions.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Where each change lies in them.
    pub fn index(&self) -> &ChangeIndex {
        &self.index
    }
    pub(crate) fn into_parts(self) -> (Body, Vec<u8>, ChangeIndex) {
        (self.body, self.bytes, self.index)
    }
}

/// Puts a body together from transactions.
#[derive(Clone, Debug, Default)]
pub struct BodyBuilder {
    accounts: Vec<AccountId>,
    layouts: Vec<Layout>,
    layout_index: HashMap<Layout, u32>,
    /// The layouts' encodings, without the array's head.
    layout_bytes: Vec<u8>,
    transactions: Vec<Transaction>,
    /// The transactions' encodings, without the array's head.
    transaction_bytes: Vec<u8>,
    /// Spans relative to `transaction_bytes`.
    index: ChangeIndex,
}

impl BodyBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// True while it holds no transaction.
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// How many transactions it holds.
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Length of the encoding so far, bytes (0 when empty).
    pub fn encoded_bytes(&self) -> usize {
        if self.is_empty() { 0 } else { self.prefix_bytes() + self.transaction_bytes.len() }
    }

    fn prefix_bytes(&self) -> usize {
        let head = |n: usize| cbor::head_bytes(n as u64);
        1 + head(self.accounts.len())
            + self.accounts.len() * (1 + AccountId::LEN)
            + head(self.layouts.len())
            + self.layout_bytes.len()
            + head(self.transactions.len())
    }

    /// Adds a transaction and returns its number in the block. The `layout` of each row change indexes
    /// `layouts`; the builder writes a layout that several transactions share only once.
    ///
    /// Refused, with nothing added, when it has no changes, contradicts its layouts or makes the body longer
    /// than [`BLOCK_BODY_BYTES_TOTAL_MAX`].
    pub fn push(
        &mut self,
        account: AccountId,
        layouts: &[Layout],
        changes: Vec<Change>,
    ) -> Result<u32, Refusal> {
        let before = (
            self.accounts.len(),
            self.layouts.len(),
            self.layout_bytes.len(),
            self.transaction_bytes.len(),
            self.index.spans.len(),
        );
        let n = self.transactions.len();
        let pushed = self.try_push(account, layouts, changes).and_then(|()| {
            Refusal::check_max("bytes of a block's body", self.encoded_bytes(), BLOCK_BODY_BYTES_TOTAL_MAX)
        });
        if let Err(e) = pushed {
            self.accounts.truncate(before.0);
            for l in self.layouts.drain(before.1..) {
                self.layout_index.remove(&l);
            }
            self.layout_bytes.truncate(before.2);
            self.transaction_bytes.truncate(before.3);
            self.index.spans.truncate(before.4);
            self.index.starts.truncate(n);
            self.transactions.truncate(n);
            return Err(e);
        }
        Ok(n as u32)
    }

    fn try_push(
        &mut self,
        account: AccountId,
        layouts: &[Layout],
        mut changes: Vec<Change>,
    ) -> Result<(), Refusal> {
        if changes.is_empty() {
            return Err(Refusal::Body("a transaction without changes"));
        }
        // The latest account is the likeliest.
        let account = match self.accounts.iter().rposition(|a| *a == account) {
            Some(i) => i as u32,
            None => {
                self.accounts.push(account);
                self.accounts.len() as u32 - 1
            }
        };
        let out = &mut self.transaction_bytes;
        self.index.starts.push(self.index.spans.len() as u32);
        cbor::write_head(out, ARRAY, 2);
        cbor::write_head(out, 0, u64::from(account));
        cbor::write_head(out, ARRAY, changes.len() as u64);
        let mut interned: Vec<Option<u32>> = vec![None; layouts.len()];
        for (n, change) in changes.iter_mut().enumerate() {
            if let Change::Row(row) = change {
                let local = row.layout();
                let layout = layouts.get(local).ok_or(Refusal::Body("a row change without its layout"))?;
                check_row(row, layout, n)?;
                let global = match interned[local] {
                    Some(n) => n,
                    None => intern(layout, &mut self.layouts, &mut self.layout_index, &mut self.layout_bytes),
                };
                interned[local] = Some(global);
                set_layout(row, global);
            }
            write_change(out, change, &mut self.index)?;
        }
        self.transactions.push(Transaction(account, changes));
        Ok(())
    }

    /// The body, its bytes and where its changes lie.
    pub fn finish(self) -> BuiltBody {
        if self.is_empty() {
            return BuiltBody::default();
        }
        let mut bytes = Vec::with_capacity(self.encoded_bytes());
        cbor::write_head(&mut bytes, ARRAY, 3);
        cbor::write_head(&mut bytes, ARRAY, self.accounts.len() as u64);
        for a in &self.accounts {
            cbor::write_head(&mut bytes, BYTES, AccountId::LEN as u64);
            bytes.extend_from_slice(&a.0);
        }
        cbor::write_head(&mut bytes, ARRAY, self.layouts.len() as u64);
        bytes.extend_from_slice(&self.layout_bytes);
        cbor::write_head(&mut bytes, ARRAY, self.transactions.len() as u64);
        let shift = bytes.len() as u32;
        bytes.extend_from_slice(&self.transaction_bytes);
        let mut index = self.index;
        for s in &mut index.spans {
            s.offset += shift;
        }
        BuiltBody { body: Body(self.accounts, self.layouts, self.transactions), bytes, index }
    }
}

fn intern(
    layout: &Layout,
    layouts: &mut Vec<Layout>,
    index: &mut HashMap<Layout, u32>,
    bytes: &mut Vec<u8>,
) -> u32 {
    match index.entry(layout.clone()) {
        Entry::Occupied(e) => *e.get(),
        Entry::Vacant(e) => {
            serde_ipld_dagcbor::to_writer(bytes, layout)
                .expect("invariant: a layout is plain data and writing to memory does not fail");
            layouts.push(layout.clone());
            *e.insert(layouts.len() as u32 - 1)
        }
    }
}

fn set_layout(row: &mut RowChange, n: u32) {
    match row {
        RowChange::Insert { layout, .. }
        | RowChange::Update { layout, .. }
        | RowChange::Edit { layout, .. }
        | RowChange::Delete { layout, .. } => *layout = n,
    }
}

fn write_change(out: &mut Vec<u8>, change: &Change, index: &mut ChangeIndex) -> Result<(), Refusal> {
    let offset = out.len();
    serde_ipld_dagcbor::to_writer(&mut *out, change).map_err(|e| Refusal::malformed("body", e))?;
    // Also keeps offsets within 32 bits: one change more than the limit is never followed by another.
    Refusal::check_max("bytes of a block's body", out.len(), BLOCK_BODY_BYTES_TOTAL_MAX)?;
    index.spans.push(Span { offset: offset as u32, bytes: (out.len() - offset) as u32 });
    Ok(())
}

/// `place`: the change's index in its transaction.
fn check_row(row: &RowChange, layout: &Layout, place: usize) -> Result<(), Refusal> {
    if row.cause().is_some_and(|cause| cause as usize >= place) {
        return Err(Refusal::Body("an effect that does not come after its cause"));
    }
    if layout.key_columns() > layout.columns().len() {
        return Err(Refusal::Body("a layout with more key columns than columns"));
    }
    let values = match row {
        RowChange::Insert { values, key, .. } => {
            if key.is_some() != (layout.key_columns() == 0) {
                return Err(Refusal::Body("an insert whose key is not where its layout puts it"));
            }
            values.len()
        }
        RowChange::Update { values, .. } => values.len(),
        RowChange::Edit { edits, .. } => {
            edits.iter().try_for_each(|e| e.check().map_err(Refusal::Body))?;
            edits.len()
        }
        RowChange::Delete { .. } => return Ok(()),
    };
    if values != layout.columns().len() {
        return Err(Refusal::Body("a row change with another number of values than its layout has columns"));
    }
    Ok(())
}

/// Decodes a whole body and finds where each change lies. Refuses what is not canonical.
pub fn decode_body(bytes: &[u8]) -> Result<(Body, ChangeIndex), Refusal> {
    Refusal::check_max("bytes of a block's body", bytes.len(), BLOCK_BODY_BYTES_TOTAL_MAX)?;
    let body: Body = serde_ipld_dagcbor::from_slice(bytes).map_err(|e| Refusal::malformed("body", e))?;
    let (again, index) = encode(&body, bytes.len())?;
    if again != bytes {
        return Err(Refusal::NotCanonical("body"));
    }
    Ok((body, index))
}

/// Encodes a decoded body again, checking its inner references on the way.
fn encode(body: &Body, capacity: usize) -> Result<(Vec<u8>, ChangeIndex), Refusal> {
    let Body(accounts, layouts, transactions) = body;
    if transactions.is_empty() {
        return Err(Refusal::Body("a body without transactions"));
    }
    let mut out = Vec::with_capacity(capacity);
    let mut index = ChangeIndex::default();
    cbor::write_head(&mut out, ARRAY, 3);
    for part in [serde_ipld_dagcbor::to_vec(accounts), serde_ipld_dagcbor::to_vec(layouts)] {
        out.extend_from_slice(&part.map_err(|e| Refusal::malformed("body", e))?);
    }
    cbor::write_head(&mut out, ARRAY, transactions.len() as u64);
    let (mut accounts_used, mut layouts_used) = (0, 0);
    for Transaction(account, changes) in transactions {
        first_use(*account as usize, &mut accounts_used, accounts.len())?;
        if changes.is_empty() {
            return Err(Refusal::Body("a transaction without changes"));
        }
        index.starts.push(index.spans.len() as u32);
        cbor::write_head(&mut out, ARRAY, 2);
        cbor::write_head(&mut out, 0, u64::from(*account));
        cbor::write_head(&mut out, ARRAY, changes.len() as u64);
        for (n, change) in changes.iter().enumerate() {
            if let Change::Row(row) = change {
                first_use(row.layout(), &mut layouts_used, layouts.len())?;
                check_row(row, &layouts[row.layout()], n)?;
            }
            write_change(&mut out, change, &mut index)?;
        }
    }
    if accounts_used != accounts.len() || layouts_used != layouts.len() {
        return Err(Refusal::Body("an account or layout that nothing uses"));
    }
    check_unique(accounts)?;
    check_unique(layouts)?;
    Ok((out, index))
}

fn first_use(n: usize, used: &mut usize, len: usize) -> Result<(), Refusal> {
    if n >= len || n > *used {
        return Err(Refusal::Body("a number of an account or layout that is out of range or out of order"));
    }
    *used = (*used).max(n + 1);
    Ok(())
}

fn check_unique<T: Eq + std::hash::Hash>(items: &[T]) -> Result<(), Refusal> {
    let mut seen = std::collections::HashSet::with_capacity(items.len());
    if items.len() > 1 && !items.iter().all(|i| seen.insert(i)) {
        return Err(Refusal::Body("an account or layout that is listed twice"));
    }
    Ok(())
}

/// Decodes the bytes of one change, as cut out by a [`Span`].
pub fn decode_change(bytes: &[u8]) -> Result<Change, Refusal> {
    serde_ipld_dagcbor::from_slice(bytes).map_err(|e| Refusal::malformed("body", e))
}

/// Decodes the change that begins at `offset` of a body's bytes.
pub fn decode_change_at(body: &[u8], offset: u32) -> Result<Change, Refusal> {
    let end = cbor::skip(body, offset as usize)?;
    decode_change(&body[offset as usize..end])
}

/// Decodes only the layouts of a body; `bytes` may end after them.
pub fn decode_layouts(bytes: &[u8]) -> Result<Vec<Layout>, Refusal> {
    let (major, n, at) = cbor::read_head(bytes, 0)?;
    if (major, n) != (ARRAY, 3) {
        return Err(Refusal::malformed("body", "not an array of three"));
    }
    let start = cbor::skip(bytes, at)?;
    let end = cbor::skip(bytes, start)?;
    serde_ipld_dagcbor::from_slice(&bytes[start..end]).map_err(|e| Refusal::malformed("body", e))
}
