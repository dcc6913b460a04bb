//! Changes: the content of the log (rules 1). What is encoded here is frozen; see `docs/block-format.md`.
//!
//! A body is `[accounts, layouts, transactions]`. A layout names a table and some of its columns once, so
//! that a row change is only `[op, layout, …values]`. A transaction is `[account, changes]`; a third element,
//! a map, is reserved (delegation used, versions replaced, the row's owner account) and refused until a rules
//! number gives it a meaning.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::access;
pub use crate::access::{AccessChange, Delegate, Keep, Rights, Role, SeenTip};
use crate::cell::CellEdit;
pub use crate::id_class::IdClass;
use crate::ids::{AccountId, Cid, ColumnTag, NodeId, ObjectId, ObjectKind};
use crate::schema::Definition;
use crate::stamp::Stamp;
use crate::value::{RowKey, Value};

/// The content of one block: transactions with what they share written once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Body(
    /// The accounts that transactions name by index.
    pub Vec<AccountId>,
    /// The layouts that row changes name by index.
    pub Vec<Layout>,
    /// The transactions, in the order in which they ran.
    pub Vec<Transaction>,
);

impl Body {
    /// The accounts that transactions name by index.
    pub fn accounts(&self) -> &[AccountId] {
        &self.0
    }
    /// The layouts that row changes name by index.
    pub fn layouts(&self) -> &[Layout] {
        &self.1
    }
    /// The transactions, in the order in which they ran.
    pub fn transactions(&self) -> &[Transaction] {
        &self.2
    }
}

/// A table and some of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout(
    /// The table.
    pub ObjectId,
    /// How many leading columns form the row key of an insert; 0: the key is written out.
    pub u32,
    /// The columns, in the order of the values of a row change.
    pub Vec<ColumnTag>,
);

impl Layout {
    /// The table.
    pub fn table(&self) -> ObjectId {
        self.0
    }
    /// How many leading columns form the row key of an insert; 0: the key is written out.
    pub fn key_columns(&self) -> usize {
        self.1 as usize
    }
    /// The columns.
    pub fn columns(&self) -> &[ColumnTag] {
        &self.2
    }
}

/// The changes of one COMMIT by one account; judged and applied whole or not at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transaction(
    /// Index into the body's accounts.
    pub u32,
    /// The changes, in order.
    pub Vec<Change>,
);

impl Transaction {
    /// Index into the body's accounts.
    pub fn account(&self) -> usize {
        self.0 as usize
    }
    /// The changes, in order.
    pub fn changes(&self) -> &[Change] {
        &self.1
    }
}

/// One logical effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// On a row.
    Row(RowChange),
    /// On a schema object.
    Schema(SchemaChange),
    /// On members, accounts, delegations or the rules.
    Access(AccessChange),
}

impl Change {
    /// Where a schema object was made, if this change makes it and its id follows from that ([`ObjectId::derive`]): the
    /// object, its kind, what it was made in.
    pub fn shown_home(&self) -> Option<(ObjectId, ObjectKind, ObjectId)> {
        let Change::Schema(SchemaChange::Put { id, kind, parent, name: Some(name), after, .. }) = self else {
            return None;
        };
        let name = if kind.ignores_case() { name.to_lowercase() } else { name.clone() };
        let derived = ObjectId::derive(*kind, *parent, &name, after.as_deref());
        (derived == *id).then_some((*id, *kind, *parent))
    }

    /// Verdicts on others hang on it: a change of access, or one that shows where an object was made.
    pub fn bears_on_verdicts(&self) -> bool {
        matches!(self, Change::Access(_)) || self.shown_home().is_some()
    }
}

/// An effect on one row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// A new row.
    Insert {
        /// Index into the body's layouts; lists every column that is given.
        layout: u32,
        /// The row key, when the layout says that it is written out; else the leading values are the key.
        key: Option<RowKey>,
        /// The key was drawn from AUTO_INCREMENT: concurrent inserts of it are two rows, not one.
        generated: bool,
        /// One value per column of the layout.
        values: Vec<Value>,
    },
    /// New values for some columns of a row.
    Update {
        /// Index into the body's layouts; lists the columns that change.
        layout: u32,
        /// Which row.
        key: RowKey,
        /// One value per column of the layout. No column: the row is only referred to, and is to be kept.
        values: Vec<Value>,
        /// The change of this transaction, by its index, of which this is the effect through a foreign key.
        cause: Option<u32>,
    },
    /// Edits of some cells of a row: of counters, sets and maps.
    Edit {
        /// Index into the body's layouts; lists the columns that are edited.
        layout: u32,
        /// Which row.
        key: RowKey,
        /// One edit per column of the layout.
        edits: Vec<CellEdit>,
    },
    /// The row goes.
    Delete {
        /// Index into the body's layouts (its columns are not used).
        layout: u32,
        /// Which row.
        key: RowKey,
        /// The change of this transaction, by its index, of which this is the effect through a foreign key.
        cause: Option<u32>,
    },
}

impl RowChange {
    /// Index into the body's layouts.
    pub fn layout(&self) -> usize {
        match self {
            RowChange::Insert { layout, .. }
            | RowChange::Update { layout, .. }
            | RowChange::Edit { layout, .. }
            | RowChange::Delete { layout, .. } => *layout as usize,
        }
    }

    /// The change of its transaction, by its index, of which this is the effect through a foreign key.
    pub fn cause(&self) -> Option<u32> {
        match self {
            RowChange::Update { cause, .. } | RowChange::Delete { cause, .. } => *cause,
            RowChange::Insert { .. } | RowChange::Edit { .. } => None,
        }
    }

    /// Whose row it is, where its key says so ([`RowKey::owner`]); such a key is always written out.
    pub fn owner(&self) -> Option<AccountId> {
        match self {
            RowChange::Insert { key, .. } => key.as_ref()?.owner(),
            RowChange::Update { key, .. } | RowChange::Edit { key, .. } | RowChange::Delete { key, .. } => {
                key.owner()
            }
        }
    }

    /// The identity of the row, or `None` when an insert has fewer values than its layout's key columns
    /// (a malformed body).
    pub fn key(&self, layout: &Layout) -> Option<RowKey> {
        match self {
            RowChange::Insert { key: Some(key), .. } => Some(key.clone()),
            RowChange::Insert { key: None, values, .. } => {
                let n = layout.key_columns();
                (n > 0).then(|| values.get(..n).map(|v| RowKey(v.to_vec()))).flatten()
            }
            RowChange::Update { key, .. } | RowChange::Edit { key, .. } | RowChange::Delete { key, .. } => {
                Some(key.clone())
            }
        }
    }
}

/// An effect on a schema object: registers of an object that exists from its first `Put` on.
#[derive(Clone, Debug, PartialEq)]
pub enum SchemaChange {
    /// Sets some registers; the object lives from here.
    Put {
        /// The object.
        id: ObjectId,
        /// What it is.
        kind: ObjectKind,
        /// Where it stands: the database of a table or view, the table of the rest.
        parent: ObjectId,
        /// Its name (RENAME TABLE to another database writes `parent` with it).
        name: Option<String>,
        /// Its definition.
        definition: Option<Box<Definition>>,
        /// A column's place: columns are shown in ascending order of it.
        position: Option<u64>,
        /// What the id was derived after ([`ObjectId::derive`]), where that was something. With it the first `Put` of an
        /// object shows that the object was made in `parent`, which nobody can claim of another one.
        after: Option<Vec<u8>>,
    },
    /// The object goes with all below it, as far as the author had seen it.
    Drop {
        /// The object.
        id: ObjectId,
    },
}

/// Where in the log a change stands; with [`WriteOrder`] the identity of a version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// Index of the transaction in its body.
    pub transaction: u32,
    /// Index of the change in its transaction.
    pub change: u32,
}

/// The total order of writes: (stamp, author, block CID, position in block), the same everywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WriteOrder {
    /// The block's stamp.
    pub stamp: Stamp,
    /// The block's author.
    pub author: NodeId,
    /// The block.
    pub block: Cid,
    /// Where in the block.
    pub position: Position,
}

/// Numbers of change kinds in the log. 5..=15 are kept for what is still to come on rows, such as TRUNCATE.
pub mod op {
    /// Row insert.
    pub const INSERT: u8 = 0;
    /// Row update.
    pub const UPDATE: u8 = 1;
    /// Row delete.
    pub const DELETE: u8 = 2;
    /// Row insert whose key AUTO_INCREMENT generated.
    pub const INSERT_GENERATED: u8 = 3;
    /// Edits of cells.
    pub const EDIT: u8 = 4;
    /// Schema object put.
    pub const PUT: u8 = 16;
    /// Schema object drop.
    pub const DROP: u8 = 17;
    /// Genesis.
    pub const GENESIS: u8 = 32;
    /// Ticket enrolled.
    pub const TICKET: u8 = 33;
    /// Member admitted.
    pub const ADMIT: u8 = 34;
    /// Member removed.
    pub const REMOVE: u8 = 35;
    /// Account begun.
    pub const ACCOUNT: u8 = 36;
    /// Delegation.
    pub const DELEGATE: u8 = 37;
    /// Delegation ended.
    pub const UNDELEGATE: u8 = 38;
    /// Rules number.
    pub const RULES: u8 = 39;
    /// AUTO_INCREMENT class dealt.
    pub const DEAL_IDS: u8 = 40;
    /// A key more for an account.
    pub const ADD_KEY: u8 = 41;
    /// A key less.
    pub const DROP_KEY: u8 = 42;
    /// Role begun.
    pub const NEW_ROLE: u8 = 43;
    /// Account or role dropped.
    pub const DROP_ACCOUNT: u8 = 44;
    /// Account or role renamed.
    pub const RENAME_ACCOUNT: u8 = 45;
    /// Privileges granted.
    pub const GRANT: u8 = 46;
    /// Privileges revoked.
    pub const REVOKE: u8 = 47;
    /// Role granted.
    pub const GRANT_ROLE: u8 = 48;
    /// Role revoked.
    pub const REVOKE_ROLE: u8 = 49;
    /// Default roles.
    pub const DEFAULT_ROLES: u8 = 50;
    /// The key of a sealed column.
    pub const COLUMN_KEY: u8 = 51;
    /// Ticket enrolled for one node.
    pub const TICKET_FOR: u8 = 52;
    /// Privileges granted, of sealed columns without what was written before.
    pub const GRANT_FROM_NOW_ON: u8 = 53;
}

// Every change is an array that begins with its op; elements follow in the order of the fields.
macro_rules! seq {
    ($s:expr; $($item:expr),+ $(,)?) => {{
        let mut q = $s.serialize_seq(Some([$($crate::change::seq!(@one $item)),+].len()))?;
        $(q.serialize_element(&$item)?;)+
        q.end()
    }};
    (@one $item:expr) => { () };
}
pub(crate) use seq;

/// The next element, which must be there.
pub(crate) fn need<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(a: &mut A) -> Result<T, A::Error> {
    a.next_element()?.ok_or_else(|| de::Error::custom("a change with an element missing"))
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Change::Row(RowChange::Insert { layout, key, generated, values }) => {
                let op = if *generated { op::INSERT_GENERATED } else { op::INSERT };
                match key {
                    None => seq!(s; op, layout, values),
                    Some(key) => seq!(s; op, layout, values, key),
                }
            }
            Change::Row(RowChange::Update { layout, key, values, cause }) => match cause {
                None => seq!(s; op::UPDATE, layout, values, key),
                Some(cause) => seq!(s; op::UPDATE, layout, values, key, cause),
            },
            Change::Row(RowChange::Edit { layout, key, edits }) => seq!(s; op::EDIT, layout, edits, key),
            Change::Row(RowChange::Delete { layout, key, cause }) => match cause {
                None => seq!(s; op::DELETE, layout, key),
                Some(cause) => seq!(s; op::DELETE, layout, key, cause),
            },
            Change::Schema(SchemaChange::Put { id, kind, parent, name, definition, position, after }) => {
                let kind = *kind as u8;
                match after {
                    None => seq!(s; op::PUT, id, kind, parent, name, definition, position),
                    Some(after) => {
                        let after = serde_bytes::Bytes::new(after);
                        seq!(s; op::PUT, id, kind, parent, name, definition, position, after)
                    }
                }
            }
            Change::Schema(SchemaChange::Drop { id }) => seq!(s; op::DROP, id),
            Change::Access(a) => a.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_seq(ChangeVisitor)
    }
}

struct ChangeVisitor;

impl<'de> Visitor<'de> for ChangeVisitor {
    type Value = Change;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a change: an array that begins with its kind")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut a: A) -> Result<Change, A::Error> {
        let op: u8 = need(&mut a)?;
        let change = match op {
            op::INSERT | op::INSERT_GENERATED => Change::Row(RowChange::Insert {
                layout: need(&mut a)?,
                values: need(&mut a)?,
                key: a.next_element()?,
                generated: op == op::INSERT_GENERATED,
            }),
            op::UPDATE => Change::Row(RowChange::Update {
                layout: need(&mut a)?,
                values: need(&mut a)?,
                key: need(&mut a)?,
                cause: a.next_element()?,
            }),
            op::EDIT => Change::Row(RowChange::Edit {
                layout: need(&mut a)?,
                edits: need(&mut a)?,
                key: need(&mut a)?,
            }),
            op::DELETE => Change::Row(RowChange::Delete {
                layout: need(&mut a)?,
                key: need(&mut a)?,
                cause: a.next_element()?,
            }),
            op::PUT => {
                let id = need(&mut a)?;
                let kind = ObjectKind::from_u8(need(&mut a)?)
                    .ok_or_else(|| de::Error::custom("unknown kind of schema object"))?;
                let (parent, name) = (need(&mut a)?, need(&mut a)?);
                let definition: Option<Box<Definition>> = need(&mut a)?;
                if definition.as_ref().is_some_and(|d| d.kind() != kind) {
                    return Err(de::Error::custom("a definition of another kind of object"));
                }
                let position = need(&mut a)?;
                let after = a.next_element::<serde_bytes::ByteBuf>()?.map(serde_bytes::ByteBuf::into_vec);
                Change::Schema(SchemaChange::Put { id, kind, parent, name, definition, position, after })
            }
            op::DROP => Change::Schema(SchemaChange::Drop { id: need(&mut a)? }),
            op::GENESIS.. => Change::Access(access::read(op, &mut a)?),
            _ => {
                return Err(de::Error::custom(format_args!("unknown kind of change {op}")));
            }
        };
        match a.next_element::<de::IgnoredAny>()? {
            None => Ok(change),
            Some(_) => Err(de::Error::custom("a change with too many elements")),
        }
    }
}
