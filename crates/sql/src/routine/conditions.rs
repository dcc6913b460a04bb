//! Conditions: what handlers handle, SIGNAL raises and GET DIAGNOSTICS tells.

use crate::error::SqlError;

/// What a handler handles, or a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// A MySQL error number.
    Code(u16),
    /// An SQLSTATE.
    State(String),
    /// SQLWARNING: states that begin with 01.
    Warning,
    /// NOT FOUND: states that begin with 02.
    NotFound,
    /// SQLEXCEPTION: all others.
    Exception,
}

impl Condition {
    /// How closely it names this error: the greatest counts. `None`: not at all.
    pub fn fits(&self, error: &SqlError) -> Option<u8> {
        let class = &error.state[..2.min(error.state.len())];
        match self {
            Condition::Code(code) => (*code == error.code).then_some(3),
            Condition::State(state) => (*state == error.state).then_some(2),
            Condition::Warning => (class == "01").then_some(1),
            Condition::NotFound => (class == "02").then_some(1),
            Condition::Exception => (!matches!(class, "00" | "01" | "02")).then_some(1),
        }
    }
}

/// Items of SIGNAL and of GET DIAGNOSTICS … CONDITION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// CLASS_ORIGIN.
    ClassOrigin,
    /// SUBCLASS_ORIGIN.
    SubclassOrigin,
    /// RETURNED_SQLSTATE, only to read.
    ReturnedState,
    /// MESSAGE_TEXT.
    MessageText,
    /// MYSQL_ERRNO.
    Errno,
    /// CONSTRAINT_CATALOG.
    ConstraintCatalog,
    /// CONSTRAINT_SCHEMA.
    ConstraintSchema,
    /// CONSTRAINT_NAME.
    ConstraintName,
    /// CATALOG_NAME.
    CatalogName,
    /// SCHEMA_NAME.
    SchemaName,
    /// TABLE_NAME.
    TableName,
    /// COLUMN_NAME.
    ColumnName,
    /// CURSOR_NAME.
    CursorName,
}

impl Item {
    /// Names and items.
    pub const NAMES: [(&'static str, Item); 13] = [
        ("class_origin", Item::ClassOrigin),
        ("subclass_origin", Item::SubclassOrigin),
        ("returned_sqlstate", Item::ReturnedState),
        ("message_text", Item::MessageText),
        ("mysql_errno", Item::Errno),
        ("constraint_catalog", Item::ConstraintCatalog),
        ("constraint_schema", Item::ConstraintSchema),
        ("constraint_name", Item::ConstraintName),
        ("catalog_name", Item::CatalogName),
        ("schema_name", Item::SchemaName),
        ("table_name", Item::TableName),
        ("column_name", Item::ColumnName),
        ("cursor_name", Item::CursorName),
    ];

    /// MySQL's name.
    pub fn name(self) -> String {
        Item::NAMES.iter().find(|(_, i)| *i == self).map_or(String::new(), |(n, _)| n.to_uppercase())
    }
}

/// SIGNAL or RESIGNAL.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// RESIGNAL.
    pub again: bool,
    /// The SQLSTATE; none: RESIGNAL of what is being handled.
    pub state: Option<String>,
    /// SET: items and the pieces that give their values.
    pub items: Vec<(Item, usize)>,
}

/// Where GET DIAGNOSTICS puts a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A local variable.
    Local(usize),
    /// A user variable.
    User(String),
}

/// GET DIAGNOSTICS.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostics {
    /// STACKED: what the handler handles.
    pub stacked: bool,
    /// What to read.
    pub what: Wanted,
}

/// What GET DIAGNOSTICS reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// Of the statement: NUMBER (true) or ROW_COUNT.
    Statement(Vec<(Target, bool)>),
    /// Of the condition with this number (a piece).
    Condition(usize, Vec<(Target, Item)>),
}

/// The SQLSTATE of an error or warning that is known by its number only.
pub fn state_of(code: u16, warning: bool) -> &'static str {
    match code {
        1022 | 1048 | 1052 | 1062 | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1586 | 1761 | 1762 => "23000",
        1036 | 1099 | 1290 | 1792 => "HY000",
        1044 | 1049 | 1059 | 1061 | 1063..=1075 | 1091 | 1103 | 1113 | 1115 | 1148 => "42000",
        1050 => "42S01",
        1051 | 1109 | 1146 => "42S02",
        1054 => "42S22",
        1060 => "42S21",
        1058 | 1136 => "21S01",
        1172 | 1222 | 1241 | 1242 => {
            if code == 1172 {
                "42000"
            } else {
                "21000"
            }
        }
        1213 => "40001",
        1235 | 1304 | 1305 | 1318 => "42000",
        1264 | 1690 => "22003",
        1292 | 1411 => "22007",
        1317 => "70100",
        1329 | 1643 => "02000",
        1365 => "22012",
        1367 => "22007",
        1406 => "22001",
        1265 => "01000",
        1642 => "01000",
        _ if warning => "01000",
        _ => "HY000",
    }
}
