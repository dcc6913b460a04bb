//! Statements of MySQL that are not served, each refused by its name; anything else is a syntax error.

use crate::error::SqlError;
use crate::plan::Plan;
use crate::statement::Cursor;

/// First words of statements that are refused with 1235, the longest match first.
const REFUSED: &[&str] = &[
    "alter event",
    "alter instance",
    "alter logfile group",
    "alter server",
    "alter tablespace",
    "binlog",
    "cache index",
    "change master",
    "change replication",
    "clone",
    "create aggregate function",
    "create event",
    "create logfile group",
    "create server",
    "create spatial reference system",
    "create tablespace",
    "create undo tablespace",
    "drop logfile group",
    "drop server",
    "drop spatial reference system",
    "drop tablespace",
    "drop undo tablespace",
    "handler",
    "help",
    "import table",
    "install",
    "load data",
    "load index",
    "load xml",
    "purge",
    "reset",
    "restart",
    "shutdown",
    "start group_replication",
    "start replica",
    "start slave",
    "stop",
    "uninstall",
    "xa",
];

/// What nobody else reads.
pub(super) fn refuse(c: &mut Cursor<'_, '_>) -> Result<Plan, SqlError> {
    let local =
        ["load data local", "load data low_priority local", "load data concurrent local", "load xml local"];
    if local.iter().any(|words| c.is(words)) {
        let message =
            "Loading local data is disabled; this must be enabled on both the client and server sides";
        return Err(SqlError::new(3948, "42000", message));
    }
    let mark = c.mark();
    // `CREATE [OR REPLACE] [DEFINER = …] [SQL SECURITY …] TRIGGER …`
    let verb = c.eat_one(&["create", "alter"]);
    if let Some(verb) = verb {
        c.eat("or replace");
        if c.is("definer") {
            while !c.at_end() && !c.is("event") {
                c.skip();
            }
            if c.eat("event") {
                return Err(SqlError::unsupported(format!("{verb} event").to_uppercase()));
            }
        }
        c.back(mark);
    }
    match REFUSED.iter().find(|words| c.is(words)) {
        Some(words) => Err(SqlError::unsupported(words.to_uppercase())),
        None => Err(c.error()),
    }
}
