//! Which statements may stand in which body.

use super::Kind;
use crate::error::SqlError;
use crate::statement::Cursor;

/// 1422.
pub(super) fn no_commit() -> SqlError {
    let message = "Explicit or implicit commit is not allowed in stored function or trigger.";
    SqlError::new(1422, "HY000", message)
}

/// 1415.
pub fn no_rows(kind: Kind) -> SqlError {
    SqlError::new(1415, "0A000", format!("Not allowed to return a result set from a {}", kind.word()))
}

/// The statement at the cursor's place may stand in such a body; true when it writes, or may.
///
/// # Errors
/// 1303, 1314, 1336, 1415, 1422.
pub(super) fn check(c: &Cursor<'_, '_>, kind: Kind) -> Result<bool, SqlError> {
    let not_allowed =
        |what: &str| Err(SqlError::new(1314, "0A000", format!("{what} is not allowed in stored procedures")));
    for (words, what) in [
        ("use", "USE"),
        ("lock table", "LOCK"),
        ("lock tables", "LOCK"),
        ("unlock table", "UNLOCK"),
        ("unlock tables", "UNLOCK"),
        ("load data", "LOAD DATA"),
        ("load xml", "LOAD XML"),
        ("alter view", "ALTER VIEW"),
    ] {
        if c.is(words) {
            return not_allowed(what);
        }
    }
    if c.is("create") || c.is("alter") || c.is("drop") {
        // `CREATE DEFINER = a PROCEDURE`
        let what = ["procedure", "function", "trigger", "event"].into_iter().find(|w| {
            (1..8)
                .take_while(|n| !matches!(c.token(*n), sqlparser::tokenizer::Token::LParen))
                .any(|n| c.is_at(n, w))
        });
        let table = c.is_at(1, "table") || c.is_at(1, "temporary");
        if let Some(what) = what.filter(|_| !table) {
            if c.is("create") {
                let message =
                    format!("Can't create a {} from within another stored routine", what.to_uppercase());
                return Err(SqlError::new(1303, "2F003", message));
            }
            let message =
                format!("Can't drop or alter a {} from within another stored routine", what.to_uppercase());
            return Err(SqlError::new(1357, "HY000", message));
        }
    }
    let first = |words: &[&str]| words.iter().any(|w| c.is(w));
    if kind != Kind::Procedure {
        let commits = [
            "commit",
            "rollback",
            "start transaction",
            "begin",
            "create",
            "alter",
            "drop",
            "rename",
            "truncate",
            "grant",
            "revoke",
            "analyze",
            "optimize",
            "check table",
            "flush",
            "lock",
            "unlock",
        ];
        let temporary = c.is("create temporary") || c.is("drop temporary");
        let to_savepoint = c.is("rollback to") || c.is("rollback work to");
        if first(&commits) && !temporary && !to_savepoint {
            return Err(no_commit());
        }
        if first(&["prepare", "execute", "deallocate prepare", "drop prepare"]) {
            return Err(SqlError::new(
                1336,
                "0A000",
                "Dynamic SQL is not allowed in stored function or trigger",
            ));
        }
        if first(&["show", "describe", "desc", "explain", "table", "values"]) {
            return Err(no_rows(kind));
        }
        if first(&["select", "with"]) || c.token(0) == &sqlparser::tokenizer::Token::LParen {
            let into = (0..).take_while(|n| !ends(c.token(*n))).any(|n| c.is_at(n, "into"));
            if !into {
                return Err(no_rows(kind));
            }
        }
    }
    Ok(!first(&["select", "with", "set", "do", "table", "values", "show", "(", "describe", "explain"]))
}

fn ends(token: &sqlparser::tokenizer::Token) -> bool {
    use sqlparser::tokenizer::Token;
    matches!(token, Token::EOF | Token::SemiColon)
}
