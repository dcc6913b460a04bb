//! Fixed keys and sample content shared by the tests of the block format.
#![allow(dead_code, missing_docs)]

use p2pdb_block::{BodyBuilder, BuiltBody, Draft, FullBlock, SigningKey, node_id, seal};
use p2pdb_model::change::*;
use p2pdb_model::decimal::Decimal;
use p2pdb_model::ids::{Cid, EpochId, NodeId, ObjectKind, PublicKey};
use p2pdb_model::schema::*;
use p2pdb_model::sealed::{KeyWrap, WRAPPED_BYTES};
use p2pdb_model::types::{Collation, IntSize};
use p2pdb_model::value::{RowKey, Value};
use p2pdb_model::{AccountId, CellEdit, Change, ColumnTag, ObjectId, Privileges, RealmId, SqlType, Stamp};

/// Test keys: never use them for anything else.
pub fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

pub fn public(n: u8) -> PublicKey {
    PublicKey(key(n).verifying_key().to_bytes())
}

pub fn account() -> AccountId {
    AccountId::derive("root", "%", &public(2))
}

pub fn table() -> ObjectId {
    let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
    ObjectId::derive(ObjectKind::Table, db, "till", None)
}

pub fn layout() -> Layout {
    let tag = |name| ObjectId::derive(ObjectKind::Column, table(), name, None).tag();
    Layout(table(), 1, vec![tag("id"), tag("who"), tag("sum")])
}

pub fn keyless() -> Layout {
    Layout(table(), 0, vec![ColumnTag(7)])
}

pub fn insert(id: i64, who: &str) -> Change {
    let values = vec![Value::Int(id), Value::Text(who.to_owned()), Value::Real(1.5)];
    Change::Row(RowChange::Insert { layout: 0, key: None, generated: false, values })
}

pub fn draft(seq: u64, prev: Option<Cid>, parents: &[Cid], ms: u64) -> Draft {
    let stamp = Stamp::from_millis(1_700_000_000_000 + ms);
    Draft { rules: 1, seq, prev, parents: parents.to_vec(), stamp }
}

pub fn body(transactions: &[(AccountId, Vec<Layout>, Vec<Change>)]) -> BuiltBody {
    let mut b = BodyBuilder::new();
    for (account, layouts, changes) in transactions {
        b.push(*account, layouts, changes.clone()).unwrap();
    }
    b.finish()
}

pub fn genesis() -> FullBlock {
    let changes = vec![
        Change::Access(AccessChange::Genesis { name: "vectors".into(), nonce: [9; 16] }),
        Change::Access(AccessChange::Account {
            id: account(),
            name: "root".into(),
            host: "%".into(),
            key: public(2),
            owner: true,
        }),
        Change::Access(AccessChange::Delegate {
            account: account(),
            to: Delegate::Node(node_id(&key(1))),
            until_ms: None,
            signature: vec![0xab; 64],
        }),
    ];
    seal(draft(1, None, &[], 0), body(&[(account(), vec![], changes)]), &key(1), None).unwrap()
}

pub fn realm() -> RealmId {
    RealmId(genesis().cid())
}

/// The second block of the genesis author's chain.
pub fn second(transactions: &[(AccountId, Vec<Layout>, Vec<Change>)]) -> FullBlock {
    let g = genesis().cid();
    seal(draft(2, Some(g), &[], 10), body(transactions), &key(1), Some(&RealmId(g))).unwrap()
}

/// Edits of every kind; they came after the vector with one change of every kind was frozen.
pub fn edits() -> Vec<Change> {
    let text = |t: &str| t.to_owned();
    let edit = |edits: [CellEdit; 3]| {
        Change::Row(RowChange::Edit { layout: 0, key: RowKey::int(1), edits: edits.to_vec() })
    };
    let tenth = Decimal::parse("-0.1").unwrap();
    vec![
        edit([
            CellEdit::Add(Value::Int(-3)),
            CellEdit::Set { added: vec![text("1"), text("\"ä\"")], removed: vec![text("null")] },
            CellEdit::Map { put: vec![(text("a"), text("{\"b\": 1}"))], removed: vec![text("")] },
        ]),
        edit([
            CellEdit::Add(p2pdb_model::cell::delta(&tenth)),
            CellEdit::Set { added: vec![], removed: vec![] },
            CellEdit::Map { put: vec![], removed: vec![] },
        ]),
    ]
}

/// A procedure, a function and a trigger, as CREATE writes them.
pub fn routines() -> Vec<Change> {
    let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
    let scope = BodyScope {
        sql_mode: "ANSI_QUOTES,STRICT_TRANS_TABLES".into(),
        charset_client: "utf8mb4".into(),
        collation_connection: Collation::Utf8mb4_0900AiCi,
        database_collation: Collation::Utf8mb4Bin,
    };
    let routine = |parameters: &str, returns: Option<&str>, body: &str| RoutineDef {
        parameters: parameters.into(),
        returns: returns.map(str::to_owned),
        body: body.into(),
        deterministic: returns.is_some(),
        data_access: if returns.is_some() { "NO SQL" } else { "CONTAINS SQL" }.into(),
        invoker: returns.is_none(),
        comment: "schön".into(),
        definer: "root@%".into(),
        scope: scope.clone(),
    };
    let put = |kind, parent, name: &str, definition| {
        let id = ObjectId::derive(kind, parent, name, None);
        let (name, definition) = (Some(name.to_owned()), Some(Box::new(definition)));
        Change::Schema(SchemaChange::Put { id, kind, parent, name, definition, position: None, after: None })
    };
    let procedure = routine("IN a INT, OUT b INT", None, "BEGIN\n  SET b = a * 2;\nEND");
    let function = routine("a INT", Some("VARCHAR(9) CHARSET utf8mb4"), "RETURN CONCAT(a, '!')");
    let trigger = TriggerDef {
        before: true,
        event: TriggerEvent::Update,
        body: "SET NEW.v = OLD.v + 1".into(),
        definer: "root@%".into(),
        scope,
    };
    vec![
        put(ObjectKind::Procedure, db, "twice", Definition::Routine(procedure)),
        put(ObjectKind::Function, db, "loud", Definition::Routine(function)),
        put(ObjectKind::Trigger, table(), "grows", Definition::Trigger(trigger)),
    ]
}

/// One change of every kind and shape, rows with layout 0 = [`layout`], 1 = [`keyless`].
pub fn every_change() -> Vec<Change> {
    let cid = genesis().cid();
    let node = node_id(&key(3));
    let tip = SeenTip { chain: cid, seq: 1, tip: cid };
    let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
    let column = ObjectId::derive(ObjectKind::Column, table(), "id", None);
    let put = |id, kind, parent, name: Option<&str>, definition: Option<Definition>, position| {
        let (name, definition) = (name.map(str::to_owned), definition.map(Box::new));
        Change::Schema(SchemaChange::Put { id, kind, parent, name, definition, position, after: None })
    };
    let collation = Collation::Utf8mb4_0900AiCi;
    let int = SqlType::Int { size: IntSize::Int, unsigned: false, width: None, zerofill: false };
    let column_def = ColumnDef {
        ty: int,
        nullable: false,
        default: Some(DefaultValue::Literal("1".into())),
        on_update_now: false,
        auto_increment: true,
        generated: None,
        comment: String::new(),
        invisible: false,
        collation_given: false,
    };
    let object = |kind, name| ObjectId::derive(kind, table(), name, None);
    let part = IndexPart { column: column.tag(), prefix: None, descending: false };
    let index = IndexDef {
        unique: true,
        parts: vec![part],
        comment: String::new(),
        invisible: false,
        fulltext: false,
        implied: false,
    };
    let foreign_key = ForeignKeyDef {
        columns: vec![column.tag()],
        parent: Some(table()),
        parent_columns: vec![column.tag()],
        parent_names: None,
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::NoAction,
    };
    let view = ViewDef {
        select: "select `shop`.`till`.`id` AS `id` from `shop`.`till`".into(),
        columns: vec![],
        definer: "root@%".into(),
        invoker: false,
        check_option: "NONE".into(),
    };
    let table_def = TableDef { collation, comment: "till".into(), auto_increment: Some(10), options: vec![] };
    let row = Change::Row;
    let values = |n: i64| vec![Value::Int(n), Value::Null, Value::Blob(vec![0, 255])];
    let mut all = vec![
        row(RowChange::Insert { layout: 0, key: None, generated: false, values: values(i64::MIN) }),
        row(RowChange::Insert { layout: 0, key: None, generated: true, values: values(i64::MAX) }),
        row(RowChange::Insert {
            layout: 1,
            key: Some(RowKey(vec![Value::Blob(vec![1; 16])])),
            generated: false,
            values: vec![Value::Real(-0.25)],
        }),
        row(RowChange::Update { layout: 0, key: RowKey::int(-1), values: values(1 << 33), cause: None }),
        row(RowChange::Delete {
            layout: 0,
            key: RowKey(vec![Value::Text("schön".into()), Value::Int(0)]),
            cause: None,
        }),
        put(
            db,
            ObjectKind::Database,
            ObjectId::ROOT,
            Some("shop"),
            Some(Definition::Database(DatabaseDef { collation })),
            None,
        ),
        put(table(), ObjectKind::Table, db, Some("till"), Some(Definition::Table(table_def)), None),
        put(
            column,
            ObjectKind::Column,
            table(),
            Some("id"),
            Some(Definition::Column(column_def)),
            Some(1 << 32),
        ),
        put(
            object(ObjectKind::Index, "primary"),
            ObjectKind::Index,
            table(),
            Some("PRIMARY"),
            Some(Definition::Index(index)),
            None,
        ),
        put(
            object(ObjectKind::ForeignKey, "fk"),
            ObjectKind::ForeignKey,
            table(),
            Some("fk"),
            Some(Definition::ForeignKey(foreign_key)),
            None,
        ),
        put(
            object(ObjectKind::Check, "positive"),
            ObjectKind::Check,
            table(),
            Some("positive"),
            Some(Definition::Check(CheckDef { expression: "`id` > 0".into(), enforced: true })),
            None,
        ),
        put(
            ObjectId::derive(ObjectKind::View, db, "v", None),
            ObjectKind::View,
            db,
            Some("v"),
            Some(Definition::View(view)),
            None,
        ),
        put(table(), ObjectKind::Table, db, Some("renamed"), None, None),
        Change::Schema(SchemaChange::Drop { id: table() }),
    ];
    let access = [
        AccessChange::Ticket {
            key: public(4),
            role: Role::Writer,
            expires_ms: Some(1_800_000_000_000),
            uses: 3,
            node: None,
        },
        AccessChange::Ticket { key: public(5), role: Role::Relay, expires_ms: None, uses: 1, node: None },
        AccessChange::Admit {
            node,
            role: Role::Writer,
            ticket: Some((public(4), vec![0xcd; 64])),
            ids: Some(IdClass { offset: 1, stride: 8 }),
            dealer_ids: Some(IdClass { offset: 0, stride: 8 }),
            name: "till 3".into(),
        },
        AccessChange::Admit {
            node,
            role: Role::Reader,
            ticket: None,
            ids: None,
            dealer_ids: None,
            name: String::new(),
        },
        AccessChange::Remove { node, seen: vec![tip] },
        AccessChange::Account {
            id: account(),
            name: "root".into(),
            host: "%".into(),
            key: public(2),
            owner: false,
        },
        AccessChange::Delegate {
            account: account(),
            to: Delegate::Ticket(public(4)),
            until_ms: Some(1_900_000_000_000),
            signature: vec![0xef; 64],
        },
        AccessChange::Undelegate { account: account(), from: Delegate::Node(node), seen: vec![tip] },
        AccessChange::Rules { rules: 2 },
        AccessChange::DealIds { node, ids: IdClass { offset: 2, stride: 8 }, dealer_ids: None },
        AccessChange::Genesis { name: String::new(), nonce: [0; 16] },
    ];
    all.extend(access.map(Change::Access));
    all
}

/// Keys, roles, grants and revocations, of every kind and shape; and a table that shows where it was made.
pub fn grants() -> Vec<Change> {
    let cid = genesis().cid();
    let tips = Some(vec![SeenTip { chain: cid, seq: 1, tip: cid }]);
    let role = AccountId::derive_role("nurse", "%");
    let to = account();
    let tag = |name| ObjectId::derive(ObjectKind::Column, table(), name, None).tag();
    let columns = Rights::columns([(tag("who"), Privileges::UPDATE), (tag("sum"), Privileges::SELECT)]);
    let all = Rights::whole(Privileges::EVERY);
    let db = ObjectId::derive(ObjectKind::Database, ObjectId::ROOT, "shop", None);
    let after = cid.to_bytes();
    let access = [
        AccessChange::AddKey { account: to, key: public(7) },
        AccessChange::DropKey { account: to, key: public(7), keep: tips.clone() },
        AccessChange::NewRole { id: role, name: "nurse".into(), host: "%".into() },
        AccessChange::Grant { to, on: None, rights: all.clone(), until_ms: None, history: true },
        AccessChange::Grant {
            to: role,
            on: Some(table()),
            rights: columns.clone(),
            until_ms: Some(1_900_000_000_000),
            history: true,
        },
        AccessChange::Grant {
            to: AccountId::ROW_OWNER,
            on: Some(table()),
            rights: columns.clone(),
            until_ms: None,
            history: true,
        },
        AccessChange::Revoke { from: role, on: Some(table()), rights: columns, keep: None },
        AccessChange::Revoke { from: to, on: None, rights: all, keep: tips.clone() },
        AccessChange::GrantRole { role, to, admin: true, until_ms: Some(1_900_000_000_000) },
        AccessChange::RevokeRole { role, from: to, keep: None },
        AccessChange::DefaultRoles { account: to, roles: None },
        AccessChange::DefaultRoles { account: to, roles: Some(vec![role]) },
        AccessChange::RenameAccount { account: role, name: "doctor".into(), host: "localhost".into() },
        AccessChange::DropAccount { account: role, keep: None },
    ];
    let again = SchemaChange::Put {
        id: ObjectId::derive(ObjectKind::Table, db, "till", Some(&after)),
        kind: ObjectKind::Table,
        parent: db,
        name: Some("till".into()),
        definition: None,
        position: None,
        after: Some(after),
    };
    access.map(Change::Access).into_iter().chain([Change::Schema(again)]).collect()
}

/// A grant without what was written before.
pub fn later() -> Vec<Change> {
    let column = ObjectId::derive(ObjectKind::Column, table(), "who", None).tag();
    let rights = Rights::columns([(column, Privileges::SELECT)]);
    let (to, on) = (account(), Some(table()));
    vec![Change::Access(AccessChange::Grant {
        to,
        on,
        rights,
        until_ms: Some(1_800_000_000_000),
        history: false,
    })]
}

/// A ticket that admits one node alone.
pub fn bound() -> Vec<Change> {
    vec![Change::Access(AccessChange::Ticket {
        key: public(4),
        role: Role::Reader,
        expires_ms: Some(1_800_000_000_000),
        uses: 1,
        node: Some(NodeId(public(3).0)),
    })]
}

/// A column key that begins, and one given on.
pub fn sealed() -> Vec<Change> {
    let column = ObjectId::derive(ObjectKind::Column, table(), "who", None).tag();
    let wrap = |n| KeyWrap { account: account(), node: NodeId(public(n).0), wrapped: [n; WRAPPED_BYTES] };
    let of = |epoch, begins, wraps| {
        let epoch = EpochId([epoch; 16]);
        Change::Access(AccessChange::ColumnKey { table: table(), column, epoch, begins, wraps })
    };
    vec![of(1, true, vec![wrap(1), wrap(3)]), of(1, false, vec![wrap(7)]), of(2, true, vec![])]
}
