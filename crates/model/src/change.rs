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

use crate::cell::CellEdit;
use crate::ids::{AccountId, Cid, ColumnTag, NodeId, ObjectId, ObjectKind, PublicKey};
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
    },
    /// The object goes with all below it, as far as the author had seen it.
    Drop {
        /// The object.
        id: ObjectId,
    },
}

/// A member's role.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Role {
    /// Stores and serves, holds no rows in tables of its own use; writes nothing.
    Relay = 0,
    /// Reads; writes nothing.
    Reader = 1,
    /// Reads and writes.
    Writer = 2,
    /// Writes, and changes members.
    Owner = 3,
}

impl Role {
    /// The role with this number in the log.
    pub fn from_u8(n: u8) -> Option<Self> {
        [Role::Relay, Role::Reader, Role::Writer, Role::Owner].into_iter().find(|r| *r as u8 == n)
    }

    /// The role's name, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Role::Relay => "relay",
            Role::Reader => "reader",
            Role::Writer => "writer",
            Role::Owner => "owner",
        }
    }

    /// The role of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        (0..=3).filter_map(Role::from_u8).find(|r| r.name() == name)
    }

    /// May author transactions.
    pub fn writes(self) -> bool {
        self >= Role::Writer
    }
}

/// A share of every table's AUTO_INCREMENT values, which one writer draws from (stride 1: all of them).
///
/// Shares are dealt and split like residue classes (`offset` modulo `stride`; the parts of a class are the classes of a
/// multiple of its stride that lie in it), but they stand for *intervals* of a column's values ([`IdClass::interval`]), so
/// that every writer's values are dense, and the first writer's begin at 1 whoever joins later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct IdClass {
    /// Residue, less than `stride`.
    pub offset: u64,
    /// Modulus, at least 1.
    pub stride: u64,
}

impl IdClass {
    /// Every id: the class of a realm's only writer.
    pub const ALL: IdClass = IdClass { offset: 0, stride: 1 };

    /// The greatest value that is shared out where a column could hold more: 2^53-1, which every client language
    /// represents exactly.
    pub const SHARED_MAX: u64 = (1 << 53) - 1;

    /// The values of this share in a column that holds at most `max`: those greater than the first number and at most
    /// the second. `None` for a stride that is no power of two, which nobody deals.
    ///
    /// The bits of the residue, reversed, are the interval's place: so the parts of a class lie inside its interval.
    pub fn interval(self, max: u64) -> Option<(u64, u64)> {
        if self.stride == 1 {
            return Some((0, max));
        }
        if !self.stride.is_power_of_two() {
            return None;
        }
        let place = self.offset.reverse_bits() >> (u64::BITS - self.stride.trailing_zeros());
        let max = u128::from(max.min(Self::SHARED_MAX));
        let bound = |n: u64| (max * u128::from(n) / u128::from(self.stride)) as u64;
        Some((bound(place), bound(place + 1)))
    }
}

/// How far a chain had been seen, as a removal writes it down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct SeenTip {
    /// CID of the chain's first block.
    pub chain: Cid,
    /// The last sequence number seen.
    pub seq: u64,
    /// The block at that number.
    pub tip: Cid,
}

/// An effect on members, accounts, delegations or the rules.
#[derive(Clone, Debug, PartialEq)]
pub enum AccessChange {
    /// The realm begins (only in its genesis block): its name; the author becomes its first owner.
    Genesis {
        /// A name for people.
        name: String,
        /// 16 random bytes, so that two realms are never one.
        nonce: [u8; 16],
    },
    /// A ticket is enrolled: whoever holds its private key may be admitted.
    Ticket {
        /// The ticket's public key.
        key: PublicKey,
        /// The role that it gives.
        role: Role,
        /// Not after, milliseconds since the Unix epoch (judged by the admission's stamp).
        expires_ms: Option<u64>,
        /// How many nodes it may admit.
        uses: u32,
    },
    /// A node becomes a member.
    Admit {
        /// The node.
        node: NodeId,
        /// Its role.
        role: Role,
        /// The ticket it came with and the ticket key's signature over the node
        /// (domain `p2pdb/admission/v1`); none when an owner admits a node by its key.
        ticket: Option<(PublicKey, Vec<u8>)>,
        /// The AUTO_INCREMENT class dealt to it, for writers.
        ids: Option<IdClass>,
        /// The dealer's own class from here on.
        dealer_ids: Option<IdClass>,
        /// A name for people.
        name: String,
    },
    /// A node is removed: what it wrote beyond `seen` is void.
    Remove {
        /// The node.
        node: NodeId,
        /// Its chains as the remover had seen them.
        seen: Vec<SeenTip>,
    },
    /// An account begins.
    Account {
        /// Its id, [`AccountId::derive`]d.
        id: AccountId,
        /// User name.
        name: String,
        /// Host pattern, `%` for any.
        host: String,
        /// Its first public key.
        key: PublicKey,
        /// Holds all privileges (the realm's creator).
        owner: bool,
    },
    /// An account's key says: this node, or the bearer of this ticket, may act for the account.
    Delegate {
        /// The account.
        account: AccountId,
        /// To whom.
        to: Delegate,
        /// Not after, milliseconds since the Unix epoch.
        until_ms: Option<u64>,
        /// The account key's signature (domain `p2pdb/delegation/v1`).
        signature: Vec<u8>,
    },
    /// A delegation ends; what was done by it beyond `seen` is void.
    Undelegate {
        /// The account.
        account: AccountId,
        /// From whom it is taken.
        from: Delegate,
        /// The node's chains as seen.
        seen: Vec<SeenTip>,
    },
    /// The realm goes over to another rules number.
    Rules {
        /// The new number.
        rules: u32,
    },
    /// A member starts another chain after a restore and asks for nothing, or is dealt a fresh class.
    DealIds {
        /// The writer.
        node: NodeId,
        /// Its new class.
        ids: IdClass,
        /// The dealer's own class from here on.
        dealer_ids: Option<IdClass>,
    },
}

/// Who may act for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delegate {
    /// This node.
    Node(NodeId),
    /// A node admitted with this ticket.
    Ticket(PublicKey),
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
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // Every change is an array that begins with its op; elements follow in the order of the fields.
        macro_rules! seq {
            ($($item:expr),+ $(,)?) => {{
                let mut q = s.serialize_seq(Some([$(seq!(@one $item)),+].len()))?;
                $(q.serialize_element(&$item)?;)+
                q.end()
            }};
            (@one $item:expr) => { () };
        }
        match self {
            Change::Row(RowChange::Insert { layout, key, generated, values }) => {
                let op = if *generated { op::INSERT_GENERATED } else { op::INSERT };
                match key {
                    None => seq!(op, layout, values),
                    Some(key) => seq!(op, layout, values, key),
                }
            }
            Change::Row(RowChange::Update { layout, key, values, cause }) => match cause {
                None => seq!(op::UPDATE, layout, values, key),
                Some(cause) => seq!(op::UPDATE, layout, values, key, cause),
            },
            Change::Row(RowChange::Edit { layout, key, edits }) => seq!(op::EDIT, layout, edits, key),
            Change::Row(RowChange::Delete { layout, key, cause }) => match cause {
                None => seq!(op::DELETE, layout, key),
                Some(cause) => seq!(op::DELETE, layout, key, cause),
            },
            Change::Schema(SchemaChange::Put { id, kind, parent, name, definition, position }) => {
                seq!(op::PUT, id, *kind as u8, parent, name, definition, position)
            }
            Change::Schema(SchemaChange::Drop { id }) => seq!(op::DROP, id),
            Change::Access(a) => match a {
                AccessChange::Genesis { name, nonce } => {
                    seq!(op::GENESIS, name, serde_bytes::Bytes::new(nonce))
                }
                AccessChange::Ticket { key, role, expires_ms, uses } => {
                    seq!(op::TICKET, key, *role as u8, expires_ms, uses)
                }
                AccessChange::Admit { node, role, ticket, ids, dealer_ids, name } => {
                    let ticket = ticket.as_ref().map(|(k, s)| (k, serde_bytes::Bytes::new(s)));
                    seq!(op::ADMIT, node, *role as u8, ticket, pair(ids), pair(dealer_ids), name)
                }
                AccessChange::Remove { node, seen } => seq!(op::REMOVE, node, tips(seen)),
                AccessChange::Account { id, name, host, key, owner } => {
                    seq!(op::ACCOUNT, id, name, host, key, owner)
                }
                AccessChange::Delegate { account, to, until_ms, signature } => {
                    let (kind, key) = to.parts();
                    let signature = serde_bytes::Bytes::new(signature);
                    seq!(op::DELEGATE, account, kind, key, until_ms, signature)
                }
                AccessChange::Undelegate { account, from, seen } => {
                    let (kind, key) = from.parts();
                    seq!(op::UNDELEGATE, account, kind, key, tips(seen))
                }
                AccessChange::Rules { rules } => seq!(op::RULES, rules),
                AccessChange::DealIds { node, ids, dealer_ids } => {
                    seq!(op::DEAL_IDS, node, pair(&Some(*ids)), pair(dealer_ids))
                }
            },
        }
    }
}

impl Delegate {
    fn parts(&self) -> (u8, PublicKey) {
        match self {
            Delegate::Node(n) => (0, PublicKey(n.0)),
            Delegate::Ticket(k) => (1, *k),
        }
    }

    fn from_parts(kind: u8, key: PublicKey) -> Option<Self> {
        match kind {
            0 => Some(Delegate::Node(NodeId(key.0))),
            1 => Some(Delegate::Ticket(key)),
            _ => None,
        }
    }
}

fn pair(c: &Option<IdClass>) -> Option<(u64, u64)> {
    c.map(|c| (c.offset, c.stride))
}

fn class(p: Option<(u64, u64)>) -> Result<Option<IdClass>, &'static str> {
    match p {
        None => Ok(None),
        Some((offset, stride)) if (1..=1 << 32).contains(&stride) && offset < stride => {
            Ok(Some(IdClass { offset, stride }))
        }
        Some(_) => Err("an AUTO_INCREMENT class whose residue is not below its modulus"),
    }
}

fn tips(seen: &[SeenTip]) -> Vec<(Cid, u64, Cid)> {
    seen.iter().map(|t| (t.chain, t.seq, t.tip)).collect()
}

fn seen(tips: Vec<(Cid, u64, Cid)>) -> Vec<SeenTip> {
    tips.into_iter().map(|(chain, seq, tip)| SeenTip { chain, seq, tip }).collect()
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
        fn need<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(a: &mut A) -> Result<T, A::Error> {
            a.next_element()?.ok_or_else(|| de::Error::custom("a change with an element missing"))
        }
        fn role<E: de::Error>(n: u8) -> Result<Role, E> {
            Role::from_u8(n).ok_or_else(|| E::custom("unknown role"))
        }
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
                Change::Schema(SchemaChange::Put { id, kind, parent, name, definition, position })
            }
            op::DROP => Change::Schema(SchemaChange::Drop { id: need(&mut a)? }),
            op::GENESIS => {
                let name = need(&mut a)?;
                let nonce: serde_bytes::ByteBuf = need(&mut a)?;
                let nonce = nonce
                    .as_slice()
                    .try_into()
                    .map_err(|_| de::Error::custom("a nonce that is not 16 bytes"))?;
                Change::Access(AccessChange::Genesis { name, nonce })
            }
            op::TICKET => Change::Access(AccessChange::Ticket {
                key: need(&mut a)?,
                role: role(need(&mut a)?)?,
                expires_ms: need(&mut a)?,
                uses: need(&mut a)?,
            }),
            op::ADMIT => {
                let (node, r) = (need(&mut a)?, role(need(&mut a)?)?);
                let ticket: Option<(PublicKey, serde_bytes::ByteBuf)> = need(&mut a)?;
                let ids = class(need(&mut a)?).map_err(de::Error::custom)?;
                let dealer_ids = class(need(&mut a)?).map_err(de::Error::custom)?;
                Change::Access(AccessChange::Admit {
                    node,
                    role: r,
                    ticket: ticket.map(|(k, s)| (k, s.into_vec())),
                    ids,
                    dealer_ids,
                    name: need(&mut a)?,
                })
            }
            op::REMOVE => {
                Change::Access(AccessChange::Remove { node: need(&mut a)?, seen: seen(need(&mut a)?) })
            }
            op::ACCOUNT => Change::Access(AccessChange::Account {
                id: need(&mut a)?,
                name: need(&mut a)?,
                host: need(&mut a)?,
                key: need(&mut a)?,
                owner: need(&mut a)?,
            }),
            op::DELEGATE => {
                let account = need(&mut a)?;
                let to = Delegate::from_parts(need(&mut a)?, need(&mut a)?)
                    .ok_or_else(|| de::Error::custom("unknown kind of delegate"))?;
                let until_ms = need(&mut a)?;
                let signature: serde_bytes::ByteBuf = need(&mut a)?;
                let signature = signature.into_vec();
                Change::Access(AccessChange::Delegate { account, to, until_ms, signature })
            }
            op::UNDELEGATE => {
                let account = need(&mut a)?;
                let from = Delegate::from_parts(need(&mut a)?, need(&mut a)?)
                    .ok_or_else(|| de::Error::custom("unknown kind of delegate"))?;
                Change::Access(AccessChange::Undelegate { account, from, seen: seen(need(&mut a)?) })
            }
            op::RULES => Change::Access(AccessChange::Rules { rules: need(&mut a)? }),
            op::DEAL_IDS => {
                let node = need(&mut a)?;
                let ids = class(need(&mut a)?)
                    .map_err(de::Error::custom)?
                    .ok_or_else(|| de::Error::custom("a deal without a class"))?;
                let dealer_ids = class(need(&mut a)?).map_err(de::Error::custom)?;
                Change::Access(AccessChange::DealIds { node, ids, dealer_ids })
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_partition_the_values_and_parts_lie_inside_their_class() {
        for max in [127u64, 65_535, i32::MAX as u64, IdClass::SHARED_MAX] {
            let mut all: Vec<_> = (0..8)
                .map(|offset| IdClass { offset, stride: 8 }.interval(max).expect("a power of two"))
                .collect();
            all.sort_unstable();
            assert_eq!((all[0].0, all[7].1), (0, max));
            assert!(all.windows(2).all(|w| w[0].1 == w[1].0), "{all:?}");
            let whole = IdClass { offset: 3, stride: 8 }.interval(max).expect("a power of two");
            for part in 0..4 {
                let (lo, hi) = IdClass { offset: 3 + 8 * part, stride: 32 }.interval(max).expect("it too");
                assert!(whole.0 <= lo && hi <= whole.1);
            }
        }
        assert_eq!(IdClass::ALL.interval(u64::MAX), Some((0, u64::MAX)));
        assert_eq!(IdClass { offset: 0, stride: 8 }.interval(800), Some((0, 100)));
        assert_eq!(IdClass { offset: 1, stride: 3 }.interval(800), None);
    }
}
