//! Definitions of schema objects: what a CREATE or ALTER says, as it stands in the log.
//!
//! An object is three registers, each merged by write order like a cell: its name, its definition and
//! (columns) its place. References between objects are by id; names are resolved in [`crate::catalog`].

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{ColumnTag, ObjectId, ObjectKind};
use crate::types::{Collation, SqlType};

/// The definition of a schema object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Definition {
    /// A MySQL schema.
    Database(DatabaseDef),
    /// A base table.
    Table(TableDef),
    /// A column.
    Column(ColumnDef),
    /// An index.
    Index(IndexDef),
    /// A foreign key.
    ForeignKey(ForeignKeyDef),
    /// A CHECK constraint.
    Check(CheckDef),
    /// A view.
    View(ViewDef),
    /// A stored procedure or function.
    Routine(RoutineDef),
    /// A trigger.
    Trigger(TriggerDef),
}

impl Definition {
    /// The kind of object that this defines.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Definition::Database(_) => ObjectKind::Database,
            Definition::Table(_) => ObjectKind::Table,
            Definition::Column(_) => ObjectKind::Column,
            Definition::Index(_) => ObjectKind::Index,
            Definition::ForeignKey(_) => ObjectKind::ForeignKey,
            Definition::Check(_) => ObjectKind::Check,
            Definition::View(_) => ObjectKind::View,
            Definition::Routine(r) if r.returns.is_none() => ObjectKind::Procedure,
            Definition::Routine(_) => ObjectKind::Function,
            Definition::Trigger(_) => ObjectKind::Trigger,
        }
    }

    /// What a constraint asks of rows, hashed; `None` of what asks nothing. Two of one name that ask the same are one, as when one
    /// migration ran on two sides; two that ask different things are two, and none of them is lost.
    pub(crate) fn promise(&self) -> Option<Vec<u8>> {
        let mut h = Sha256::new();
        let mut part = |bytes: &[u8]| {
            h.update((bytes.len() as u64).to_be_bytes());
            h.update(bytes);
        };
        match self {
            Definition::Index(key) => {
                part(&[u8::from(key.unique), u8::from(key.fulltext)]);
                for p in &key.parts {
                    part(&p.column.0.to_be_bytes());
                    part(&p.prefix.unwrap_or_default().to_be_bytes());
                }
            }
            Definition::ForeignKey(key) => {
                for tags in [&key.columns, &key.parent_columns] {
                    part(&tags.iter().flat_map(|t| t.0.to_be_bytes()).collect::<Vec<_>>());
                }
                part(&key.parent.map_or([0; 16], |p| p.0));
                if let Some((database, table, columns)) = &key.parent_names {
                    part(database.as_bytes());
                    part(table.as_bytes());
                    columns.iter().for_each(|c| part(c.as_bytes()));
                }
            }
            Definition::Check(check) => part(check.expression.as_bytes()),
            // One that stands for an expression in a key.
            Definition::Column(column) => part(column.generated.as_ref()?.expression.as_bytes()),
            _ => return None,
        }
        Some(h.finalize().to_vec())
    }
}

/// A MySQL schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseDef {
    /// Default collation of its tables.
    pub collation: Collation,
}

/// A base table, without its columns and keys, which are objects of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDef {
    /// Default collation of its columns.
    pub collation: Collation,
    /// COMMENT.
    pub comment: String,
    /// `AUTO_INCREMENT = n`: the least value to give out.
    pub auto_increment: Option<u64>,
    /// ROW_FORMAT and similar options that are kept to be shown, as `NAME=value`.
    pub options: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDef {
    /// Its type.
    pub ty: SqlType,
    /// May hold NULL.
    pub nullable: bool,
    /// DEFAULT.
    pub default: Option<DefaultValue>,
    /// ON UPDATE CURRENT_TIMESTAMP.
    pub on_update_now: bool,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
    /// GENERATED ALWAYS AS.
    pub generated: Option<Generated>,
    /// COMMENT, with its tags.
    pub comment: String,
    /// INVISIBLE.
    pub invisible: bool,
    /// The collation was named on the column itself (SHOW CREATE TABLE then shows it).
    pub collation_given: bool,
}

impl ColumnDef {
    /// A column of this type of which nothing else was said.
    pub fn new(ty: SqlType) -> Self {
        ColumnDef {
            ty,
            nullable: true,
            default: None,
            on_update_now: false,
            auto_increment: false,
            generated: None,
            comment: String::new(),
            invisible: false,
            collation_given: false,
        }
    }

    /// Its cells are sealed ([`crate::sealed`]).
    pub fn is_sealed(&self) -> bool {
        self.generated.is_none() && crate::sealed::is_in(&self.comment)
    }
}

/// A column's DEFAULT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultValue {
    /// `DEFAULT NULL`, written out.
    Null,
    /// A literal, as MySQL shows it (`'1'`, without the quotes).
    Literal(String),
    /// A bit or hexadecimal literal, as written (`b'1'`).
    Bits(String),
    /// `CURRENT_TIMESTAMP` with this many digits.
    Now(u8),
    /// An expression in parentheses, as canonical MySQL text without the outer parentheses.
    Expression(String),
    /// None at all, not even NULL (ALTER COLUMN … DROP DEFAULT): whoever inserts gives a value.
    Nothing,
}

/// A generated column's expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// Canonical MySQL text without the outer parentheses.
    pub expression: String,
    /// STORED (true) or VIRTUAL.
    pub stored: bool,
}

/// An index. The primary key is the unique index named `PRIMARY`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDef {
    /// UNIQUE (also of the primary key).
    pub unique: bool,
    /// The key parts, in order.
    pub parts: Vec<IndexPart>,
    /// COMMENT.
    pub comment: String,
    /// INVISIBLE.
    pub invisible: bool,
    /// FULLTEXT. Left out of the log where it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fulltext: bool,
    /// Nobody asked for it: a foreign key made it for its columns. It goes when another index serves them. Left out of the log
    /// where it is not (MySQL manual, FOREIGN KEY Constraints).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implied: bool,
}

impl IndexDef {
    /// A foreign key has made it, and an index that begins with these columns does its work.
    pub fn is_spare_beside(&self, columns: impl IntoIterator<Item = ColumnTag>) -> bool {
        let mut columns = columns.into_iter();
        self.implied && self.parts.iter().all(|p| columns.next() == Some(p.column))
    }

    /// It begins with these columns, whole, in this order.
    pub fn leads(&self, columns: &[ColumnTag]) -> bool {
        !self.fulltext
            && self.parts.len() >= columns.len()
            && self.parts.iter().zip(columns).all(|(p, c)| p.column == *c && p.prefix.is_none())
    }
}

/// One part of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPart {
    /// The column.
    pub column: ColumnTag,
    /// Prefix length in characters (bytes for binary types).
    pub prefix: Option<u32>,
    /// DESC.
    pub descending: bool,
}

/// What happens to a child when its parent goes or changes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReferentialAction {
    /// NO ACTION (the default; MySQL treats it as RESTRICT).
    NoAction,
    /// RESTRICT.
    Restrict,
    /// CASCADE.
    Cascade,
    /// SET NULL.
    SetNull,
}

/// A foreign key.
///
/// The parent is named by id where it existed when the key was made; a key made with
/// `foreign_key_checks = 0` before its parent carries names only and begins to hold when they resolve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKeyDef {
    /// The child's columns.
    pub columns: Vec<ColumnTag>,
    /// The parent table.
    pub parent: Option<ObjectId>,
    /// The parent's columns, as long as `columns`; empty when `parent` is absent.
    pub parent_columns: Vec<ColumnTag>,
    /// The parent's database, table and column names as written, for a parent that did not exist.
    pub parent_names: Option<(String, String, Vec<String>)>,
    /// ON DELETE.
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckDef {
    /// Canonical MySQL text without the outer parentheses.
    pub expression: String,
    /// ENFORCED.
    pub enforced: bool,
}

/// A view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewDef {
    /// The SELECT as canonical MySQL text, every table qualified with its database.
    pub select: String,
    /// Explicit column names; empty when the SELECT names them.
    pub columns: Vec<String>,
    /// The defining account, `name@host`.
    pub definer: String,
    /// SQL SECURITY INVOKER.
    pub invoker: bool,
    /// WITH CHECK OPTION: none, LOCAL or CASCADED, as MySQL names it.
    pub check_option: String,
}

/// What a body is compiled under, wherever it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyScope {
    /// `sql_mode` when it was made, as `@@sql_mode` shows it.
    pub sql_mode: String,
    /// `character_set_client` when it was made.
    pub charset_client: String,
    /// `collation_connection` when it was made.
    pub collation_connection: Collation,
    /// The collation of its database when it was made.
    pub database_collation: Collation,
}

/// A stored procedure, or a stored function when it returns something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutineDef {
    /// The parameters as written, without the parentheses around them.
    pub parameters: String,
    /// The type that a function returns, as written; none: it is a procedure.
    pub returns: Option<String>,
    /// The body as written.
    pub body: String,
    /// DETERMINISTIC.
    pub deterministic: bool,
    /// `CONTAINS SQL`, `NO SQL`, `READS SQL DATA` or `MODIFIES SQL DATA`.
    pub data_access: String,
    /// SQL SECURITY INVOKER.
    pub invoker: bool,
    /// COMMENT.
    pub comment: String,
    /// The defining account, `name@host`.
    pub definer: String,
    /// What the body is compiled under.
    pub scope: BodyScope,
}

/// What a trigger waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TriggerEvent {
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

impl TriggerEvent {
    /// MySQL's word, in capitals.
    pub fn name(self) -> &'static str {
        match self {
            TriggerEvent::Insert => "INSERT",
            TriggerEvent::Update => "UPDATE",
            TriggerEvent::Delete => "DELETE",
        }
    }
}

/// A trigger of the table that it stands in. Triggers of one time and event fire in ascending order of their positions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerDef {
    /// BEFORE rather than AFTER.
    pub before: bool,
    /// The event.
    pub event: TriggerEvent,
    /// The body as written.
    pub body: String,
    /// The defining account, `name@host`.
    pub definer: String,
    /// What the body is compiled under.
    pub scope: BodyScope,
}
