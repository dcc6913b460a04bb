//! Access changes: members, tickets, accounts, delegations, grants, the rules number, and their bytes (rules 1; frozen).
//!
//! What they bring about is judged in `crates/access`; `docs/security.md` says the rules, `docs/block-format.md` the bytes.

use serde::de::{self, SeqAccess};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::change::{need, op, seq};
use crate::id_class::IdClass;
use crate::ids::{AccountId, Cid, ColumnTag, EpochId, NodeId, ObjectId, PublicKey};
use crate::privileges::{Level, Privileges};
use crate::sealed::KeyWrap;

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

/// How far a revocation lets stand what was done by what it takes away: up to these tips (KEEP THROUGH), or, for none, whatever
/// lies in the revocation's causal past.
pub type Keep = Option<Vec<SeenTip>>;

/// Privileges on an object, and on columns of it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rights {
    /// On the whole object.
    pub whole: Privileges,
    /// On columns of it, in ascending order of tags.
    pub columns: Vec<(ColumnTag, Privileges)>,
}

impl Rights {
    /// On the whole object.
    pub fn whole(whole: Privileges) -> Self {
        Rights { whole, columns: Vec::new() }
    }

    /// On these columns, put in order.
    pub fn columns(columns: impl IntoIterator<Item = (ColumnTag, Privileges)>) -> Self {
        let mut all = std::collections::BTreeMap::<ColumnTag, Privileges>::new();
        for (tag, p) in columns {
            *all.entry(tag).or_default() |= p;
        }
        Rights { whole: Privileges::NONE, columns: all.into_iter().collect() }
    }

    /// With these, too.
    pub fn add(&mut self, more: &Rights) {
        self.whole |= more.whole;
        if !more.columns.is_empty() {
            self.columns = Rights::columns(self.columns.iter().chain(&more.columns).copied()).columns;
        }
    }

    /// What is given or taken on this column alone.
    pub fn on_column(&self, tag: ColumnTag) -> Privileges {
        let found = self.columns.binary_search_by_key(&tag, |(t, _)| *t);
        found.map_or(Privileges::NONE, |i| self.columns[i].1)
    }

    /// What is left of these when others are taken away: rights on the whole object from its columns, too.
    pub fn without(&self, taken: &Rights) -> Rights {
        let left = self.columns.iter().map(|(tag, p)| (*tag, *p & !(taken.whole | taken.on_column(*tag))));
        Rights { whole: self.whole & !taken.whole, columns: left.filter(|(_, p)| !p.is_empty()).collect() }
    }

    /// Of these rights SELECT alone.
    pub fn reading(&self) -> Rights {
        let of = |p: Privileges| p & Privileges::SELECT;
        let columns = self.columns.iter().map(|(tag, p)| (*tag, of(*p))).filter(|(_, p)| !p.is_empty());
        Rights { whole: of(self.whole), columns: columns.collect() }
    }

    /// Written as it must be.
    fn check(self, on: Option<ObjectId>) -> Result<Self, &'static str> {
        if self.whole.is_empty() && self.columns.is_empty() {
            return Err("a grant of nothing");
        }
        let of_columns = Privileges::all_at(Level::Column);
        let sorted = self.columns.windows(2).all(|w| w[0].0 < w[1].0);
        let fits = self.columns.iter().all(|(_, p)| !p.is_empty() && of_columns.contains(*p));
        if !Privileges::EVERY.contains(self.whole)
            || !sorted
            || !fits
            || (on.is_none() && !self.columns.is_empty())
        {
            return Err("privileges that cannot be granted there, or out of order");
        }
        Ok(self)
    }
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
    /// A ticket is enrolled: whoever holds its private key may be admitted, or one node alone.
    Ticket {
        /// The ticket's public key.
        key: PublicKey,
        /// The role that it gives.
        role: Role,
        /// Not after, milliseconds since the Unix epoch (judged by the admission's stamp).
        expires_ms: Option<u64>,
        /// How many nodes it may admit.
        uses: u32,
        /// The only node that it admits; none: whichever comes.
        node: Option<NodeId>,
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
    /// The account gets one more key (a device, or a recovery).
    AddKey {
        /// The account.
        account: AccountId,
        /// The key.
        key: PublicKey,
    },
    /// A key is the account's no more: delegations that it signed end, and what was done by them beyond the horizon is void.
    DropKey {
        /// The account.
        account: AccountId,
        /// The key.
        key: PublicKey,
        /// KEEP THROUGH.
        keep: Keep,
    },
    /// A role begins: an account without keys.
    NewRole {
        /// Its id, [`AccountId::derive_role`]d.
        id: AccountId,
        /// Name.
        name: String,
        /// Host pattern, `%` for any.
        host: String,
    },
    /// An account or role goes: what it did beyond the horizon is void.
    DropAccount {
        /// The account or role.
        account: AccountId,
        /// KEEP THROUGH.
        keep: Keep,
    },
    /// RENAME USER.
    RenameAccount {
        /// The account or role.
        account: AccountId,
        /// Its name from here on.
        name: String,
        /// Its host pattern from here on.
        host: String,
    },
    /// GRANT of privileges.
    Grant {
        /// To this account or role ([`AccountId::ROW_OWNER`]: to whoever owns the row).
        to: AccountId,
        /// On this database, table or routine; none: the realm.
        on: Option<ObjectId>,
        /// What.
        rights: Rights,
        /// Not after, milliseconds since the Unix epoch (judged by the stamp of what uses it).
        until_ms: Option<u64>,
        /// Of sealed columns it opens what was written before, too. Judges nothing: readers with keys heed it when they give some.
        history: bool,
    },
    /// REVOKE of privileges: what needs them beyond the horizon is void.
    Revoke {
        /// From this account or role.
        from: AccountId,
        /// On this database, table or routine; none: the realm.
        on: Option<ObjectId>,
        /// What. A privilege of the table is taken from its columns too.
        rights: Rights,
        /// KEEP THROUGH.
        keep: Keep,
    },
    /// GRANT of a role.
    GrantRole {
        /// The role.
        role: AccountId,
        /// To this account or role.
        to: AccountId,
        /// WITH ADMIN OPTION: who has it may give it away.
        admin: bool,
        /// Not after, milliseconds since the Unix epoch.
        until_ms: Option<u64>,
    },
    /// REVOKE of a role: what needs it beyond the horizon is void.
    RevokeRole {
        /// The role.
        role: AccountId,
        /// From this account or role.
        from: AccountId,
        /// KEEP THROUGH.
        keep: Keep,
    },
    /// SET DEFAULT ROLE: what a session begins with. It restrains the account's own node, nobody else.
    DefaultRoles {
        /// The account.
        account: AccountId,
        /// The roles; none: ALL.
        roles: Option<Vec<AccountId>>,
    },
    /// The key of a sealed column, for readers of it.
    ColumnKey {
        /// The table.
        table: ObjectId,
        /// The column.
        column: ColumnTag,
        /// Which key.
        epoch: EpochId,
        /// It begins here; else it is given to more readers.
        begins: bool,
        /// The key, once for each of these readers.
        wraps: Vec<KeyWrap>,
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

impl Serialize for AccessChange {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            AccessChange::Genesis { name, nonce } => {
                seq!(s; op::GENESIS, name, serde_bytes::Bytes::new(nonce))
            }
            AccessChange::Ticket { key, role, expires_ms, uses, node: None } => {
                seq!(s; op::TICKET, key, *role as u8, expires_ms, uses)
            }
            AccessChange::Ticket { key, role, expires_ms, uses, node: Some(node) } => {
                seq!(s; op::TICKET_FOR, key, *role as u8, expires_ms, uses, node)
            }
            AccessChange::Admit { node, role, ticket, ids, dealer_ids, name } => {
                let ticket = ticket.as_ref().map(|(k, s)| (k, serde_bytes::Bytes::new(s)));
                seq!(s; op::ADMIT, node, *role as u8, ticket, pair(ids), pair(dealer_ids), name)
            }
            AccessChange::Remove { node, seen } => seq!(s; op::REMOVE, node, tips(seen)),
            AccessChange::Account { id, name, host, key, owner } => {
                seq!(s; op::ACCOUNT, id, name, host, key, owner)
            }
            AccessChange::Delegate { account, to, until_ms, signature } => {
                let (kind, key) = to.parts();
                let signature = serde_bytes::Bytes::new(signature);
                seq!(s; op::DELEGATE, account, kind, key, until_ms, signature)
            }
            AccessChange::Undelegate { account, from, seen } => {
                let (kind, key) = from.parts();
                seq!(s; op::UNDELEGATE, account, kind, key, tips(seen))
            }
            AccessChange::Rules { rules } => seq!(s; op::RULES, rules),
            AccessChange::DealIds { node, ids, dealer_ids } => {
                seq!(s; op::DEAL_IDS, node, pair(&Some(*ids)), pair(dealer_ids))
            }
            AccessChange::AddKey { account, key } => seq!(s; op::ADD_KEY, account, key),
            AccessChange::DropKey { account, key, keep } => seq!(s; op::DROP_KEY, account, key, kept(keep)),
            AccessChange::NewRole { id, name, host } => seq!(s; op::NEW_ROLE, id, name, host),
            AccessChange::DropAccount { account, keep } => seq!(s; op::DROP_ACCOUNT, account, kept(keep)),
            AccessChange::RenameAccount { account, name, host } => {
                seq!(s; op::RENAME_ACCOUNT, account, name, host)
            }
            AccessChange::Grant { to, on, rights, until_ms, history } => {
                let op = if *history { op::GRANT } else { op::GRANT_FROM_NOW_ON };
                seq!(s; op, to, on, rights.whole.0, columns(rights), until_ms)
            }
            AccessChange::Revoke { from, on, rights, keep } => {
                seq!(s; op::REVOKE, from, on, rights.whole.0, columns(rights), kept(keep))
            }
            AccessChange::GrantRole { role, to, admin, until_ms } => {
                seq!(s; op::GRANT_ROLE, role, to, admin, until_ms)
            }
            AccessChange::RevokeRole { role, from, keep } => {
                seq!(s; op::REVOKE_ROLE, role, from, kept(keep))
            }
            AccessChange::DefaultRoles { account, roles } => seq!(s; op::DEFAULT_ROLES, account, roles),
            AccessChange::ColumnKey { table, column, epoch, begins, wraps } => {
                let wraps = wraps.iter().map(|w| (w.account, w.node, serde_bytes::Bytes::new(&w.wrapped)));
                let wraps: Vec<_> = wraps.collect();
                seq!(s; op::COLUMN_KEY, table, column, epoch, begins, wraps)
            }
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

fn kept(keep: &Keep) -> Option<Vec<(Cid, u64, Cid)>> {
    keep.as_deref().map(tips)
}

fn columns(rights: &Rights) -> Vec<(ColumnTag, u64)> {
    rights.columns.iter().map(|(tag, p)| (*tag, p.0)).collect()
}

/// Reads the elements that follow the kind.
pub(crate) fn read<'de, A: SeqAccess<'de>>(op: u8, a: &mut A) -> Result<AccessChange, A::Error> {
    fn role<E: de::Error>(n: u8) -> Result<Role, E> {
        Role::from_u8(n).ok_or_else(|| E::custom("unknown role"))
    }
    fn keep<'de, A: SeqAccess<'de>>(a: &mut A) -> Result<Keep, A::Error> {
        Ok(need::<Option<Vec<(Cid, u64, Cid)>>, A>(a)?.map(seen))
    }
    fn rights<'de, A: SeqAccess<'de>>(a: &mut A, on: Option<ObjectId>) -> Result<Rights, A::Error> {
        let whole = Privileges(need(a)?);
        let columns: Vec<(ColumnTag, u64)> = need(a)?;
        let columns = columns.into_iter().map(|(tag, p)| (tag, Privileges(p))).collect();
        Rights { whole, columns }.check(on).map_err(de::Error::custom)
    }
    Ok(match op {
        op::GENESIS => {
            let name = need(a)?;
            let nonce: serde_bytes::ByteBuf = need(a)?;
            let nonce =
                nonce.as_slice().try_into().map_err(|_| de::Error::custom("a nonce that is not 16 bytes"))?;
            AccessChange::Genesis { name, nonce }
        }
        op::TICKET | op::TICKET_FOR => AccessChange::Ticket {
            key: need(a)?,
            role: role(need(a)?)?,
            expires_ms: need(a)?,
            uses: need(a)?,
            node: if op == op::TICKET_FOR { Some(need(a)?) } else { None },
        },
        op::ADMIT => {
            let (node, r) = (need(a)?, role(need(a)?)?);
            let ticket: Option<(PublicKey, serde_bytes::ByteBuf)> = need(a)?;
            let ids = class(need(a)?).map_err(de::Error::custom)?;
            let dealer_ids = class(need(a)?).map_err(de::Error::custom)?;
            AccessChange::Admit {
                node,
                role: r,
                ticket: ticket.map(|(k, s)| (k, s.into_vec())),
                ids,
                dealer_ids,
                name: need(a)?,
            }
        }
        op::REMOVE => AccessChange::Remove { node: need(a)?, seen: seen(need(a)?) },
        op::ACCOUNT => AccessChange::Account {
            id: need(a)?,
            name: need(a)?,
            host: need(a)?,
            key: need(a)?,
            owner: need(a)?,
        },
        op::DELEGATE => {
            let account = need(a)?;
            let to = Delegate::from_parts(need(a)?, need(a)?)
                .ok_or_else(|| de::Error::custom("unknown kind of delegate"))?;
            let until_ms = need(a)?;
            let signature: serde_bytes::ByteBuf = need(a)?;
            let signature = signature.into_vec();
            AccessChange::Delegate { account, to, until_ms, signature }
        }
        op::UNDELEGATE => {
            let account = need(a)?;
            let from = Delegate::from_parts(need(a)?, need(a)?)
                .ok_or_else(|| de::Error::custom("unknown kind of delegate"))?;
            AccessChange::Undelegate { account, from, seen: seen(need(a)?) }
        }
        op::RULES => AccessChange::Rules { rules: need(a)? },
        op::DEAL_IDS => {
            let node = need(a)?;
            let ids = class(need(a)?)
                .map_err(de::Error::custom)?
                .ok_or_else(|| de::Error::custom("a deal without a class"))?;
            let dealer_ids = class(need(a)?).map_err(de::Error::custom)?;
            AccessChange::DealIds { node, ids, dealer_ids }
        }

        op::ADD_KEY => AccessChange::AddKey { account: need(a)?, key: need(a)? },
        op::DROP_KEY => AccessChange::DropKey { account: need(a)?, key: need(a)?, keep: keep(a)? },
        op::NEW_ROLE => AccessChange::NewRole { id: need(a)?, name: need(a)?, host: need(a)? },
        op::DROP_ACCOUNT => AccessChange::DropAccount { account: need(a)?, keep: keep(a)? },
        op::RENAME_ACCOUNT => {
            AccessChange::RenameAccount { account: need(a)?, name: need(a)?, host: need(a)? }
        }
        op::GRANT | op::GRANT_FROM_NOW_ON => {
            let (to, on) = (need(a)?, need(a)?);
            let (rights, until_ms) = (rights(a, on)?, need(a)?);
            AccessChange::Grant { to, on, rights, until_ms, history: op == op::GRANT }
        }
        op::REVOKE => {
            let (from, on) = (need(a)?, need(a)?);
            AccessChange::Revoke { from, on, rights: rights(a, on)?, keep: keep(a)? }
        }
        op::GRANT_ROLE => {
            AccessChange::GrantRole { role: need(a)?, to: need(a)?, admin: need(a)?, until_ms: need(a)? }
        }
        op::REVOKE_ROLE => AccessChange::RevokeRole { role: need(a)?, from: need(a)?, keep: keep(a)? },
        op::DEFAULT_ROLES => AccessChange::DefaultRoles { account: need(a)?, roles: need(a)? },
        op::COLUMN_KEY => {
            let (table, column, epoch, begins) = (need(a)?, need(a)?, need(a)?, need(a)?);
            let wraps: Vec<(AccountId, NodeId, serde_bytes::ByteBuf)> = need(a)?;
            let wrap = |(account, node, wrapped): (_, _, serde_bytes::ByteBuf)| {
                let wrapped = wrapped.as_slice().try_into().ok()?;
                Some(KeyWrap { account, node, wrapped })
            };
            let wraps = wraps.into_iter().map(wrap).collect::<Option<_>>();
            let wraps = wraps.ok_or_else(|| de::Error::custom("a wrapped key of another length"))?;
            AccessChange::ColumnKey { table, column, epoch, begins, wraps }
        }
        _ => return Err(de::Error::custom(format_args!("unknown kind of change {op}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_written_in_one_way_and_only_what_a_column_can_have() {
        let (a, b) = (ColumnTag(1), ColumnTag(2));
        let on = Some(ObjectId([1; 16]));
        let rights =
            Rights::columns([(b, Privileges::SELECT), (a, Privileges::UPDATE), (b, Privileges::UPDATE)]);
        assert_eq!(rights.columns, [(a, Privileges::UPDATE), (b, Privileges::SELECT | Privileges::UPDATE)]);
        assert_eq!(rights.on_column(b), Privileges::SELECT | Privileges::UPDATE);
        assert!(rights.clone().check(on).is_ok());
        let of = |columns| Rights { whole: Privileges::NONE, columns };
        let refused = [
            (Rights::default(), on),
            (rights, None),
            (of(vec![(b, Privileges::SELECT), (a, Privileges::SELECT)]), on),
            (of(vec![(a, Privileges::SELECT), (a, Privileges::UPDATE)]), on),
            (of(vec![(a, Privileges::NONE)]), on),
            (of(vec![(a, Privileges::DELETE)]), on),
            (Rights::whole(Privileges(1 << 40)), on),
        ];
        for (rights, on) in refused {
            assert!(rights.clone().check(on).is_err(), "{rights:?}");
        }
    }
}
