//! Statements that change the session or its transaction and touch no table: BEGIN to SAVEPOINT, USE, KILL, LOCK
//! TABLES, FLUSH, and PREPARE in text.

use p2pdb_model::Privileges;
use sqlparser::ast::{CastKind, DataType, Expr};
use sqlparser::tokenizer::Token;

use crate::error::SqlError;
use crate::plan::{Plan, Scalar, SessionCommand, Slot, Source};
use crate::statement::{Context, Cursor, commands};

/// BEGIN, START TRANSACTION, COMMIT, ROLLBACK, SAVEPOINT, RELEASE SAVEPOINT.
pub(super) fn transaction(c: &mut Cursor<'_, '_>) -> Result<Plan, SqlError> {
    let command = if c.eat("begin") {
        c.eat("work");
        SessionCommand::Begin { read_only: None, snapshot: false }
    } else if c.eat("start transaction") {
        start(c)?
    } else if c.eat("start") {
        return Err(SqlError::unsupported(format!("START {}", c.word_or_string()?.to_uppercase())));
    } else if c.eat("commit") {
        c.eat("work");
        let (chain, release) = completion(c)?;
        SessionCommand::Commit { chain, release }
    } else if c.eat("rollback") {
        c.eat("work");
        if c.eat("to") {
            c.eat("savepoint");
            SessionCommand::RollbackTo(c.name()?)
        } else {
            let (chain, release) = completion(c)?;
            SessionCommand::Rollback { chain, release }
        }
    } else if c.eat("savepoint") {
        SessionCommand::Savepoint(c.name()?)
    } else {
        c.expect("release savepoint")?;
        SessionCommand::Release(c.name()?)
    };
    Ok(commands(vec![command]))
}

fn start(c: &mut Cursor<'_, '_>) -> Result<SessionCommand, SqlError> {
    let (mut read_only, mut read_write, mut snapshot) = (false, false, false);
    if !c.at_end() {
        c.list(|c| {
            if c.eat("with consistent snapshot") {
                snapshot = true;
            } else if c.eat("read only") {
                read_only = true;
            } else {
                c.expect("read write")?;
                read_write = true;
            }
            Ok(())
        })?;
    }
    if read_only && read_write {
        return Err(c.error());
    }
    let read_only = (read_only || read_write).then_some(read_only);
    Ok(SessionCommand::Begin { read_only, snapshot })
}

/// `[AND [NO] CHAIN] [[NO] RELEASE]`
fn completion(c: &mut Cursor<'_, '_>) -> Result<(bool, bool), SqlError> {
    let chain = c.eat("and chain");
    if !chain {
        c.eat("and no chain");
    }
    let release = c.eat("release");
    if !release {
        c.eat("no release");
    }
    if chain && release { Err(c.error()) } else { Ok((chain, release)) }
}

/// USE, KILL, LOCK and UNLOCK TABLES, FLUSH, PREPARE, EXECUTE, DEALLOCATE.
pub(super) fn session(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Plan, SqlError> {
    let command = if c.eat("use") {
        SessionCommand::Use(c.name()?)
    } else if c.eat("kill") {
        let query_only = c.eat("query");
        if !query_only {
            c.eat("connection");
        }
        if c.at_end() {
            return Err(c.error());
        }
        let expr = Box::new(c.expr()?);
        let id = Expr::Cast { kind: CastKind::Cast, expr, data_type: DataType::Signed, format: None };
        SessionCommand::Kill { id: super::set::scalar(&id, cx)?, query_only }
    } else if c.eat("lock") {
        lock(c, cx)?
    } else if c.eat("unlock") {
        if c.eat("instance") {
            return Err(SqlError::unsupported("UNLOCK INSTANCE"));
        }
        if !c.eat("tables") {
            c.expect("table")?;
        }
        SessionCommand::UnlockTables
    } else if c.eat("flush") {
        return flush(c).map(commands);
    } else if c.eat("prepare") {
        let name = c.name()?.to_lowercase();
        c.expect("from")?;
        let text = match c.eat_string() {
            Some(text) => super::set::constant(p2pdb_model::Value::Text(text)),
            None => Scalar::Slot(Slot {
                source: Source::UserVariable(user_variable(c)?),
                coerce: Default::default(),
            }),
        };
        SessionCommand::Prepare { name, text }
    } else if c.eat("execute") {
        let name = c.name()?.to_lowercase();
        let using = if c.eat("using") { c.list(user_variable)? } else { Vec::new() };
        SessionCommand::Execute { name, using }
    } else {
        c.expect("deallocate prepare")?;
        SessionCommand::Deallocate(c.name()?.to_lowercase())
    };
    Ok(commands(vec![command]))
}

fn lock(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<SessionCommand, SqlError> {
    if c.eat("instance") {
        return Err(SqlError::unsupported("LOCK INSTANCE"));
    }
    if !c.eat("tables") {
        c.expect("table")?;
    }
    let (mut reads, mut writes, mut read, mut names) = (false, false, Vec::new(), Vec::new());
    c.list(|c| {
        let (db, name) = c.table_name()?;
        let db = cx.database(db)?;
        let table = cx.catalog.table(&db, &name);
        let known = table.is_some() || cx.catalog.view(&db, &name).is_some();
        if !known && crate::virtuals::describe(&db, &name).is_none() {
            return Err(SqlError::no_table(db, name));
        }
        let needs = &cx.source.needs;
        if let Some(database) = cx.catalog.database(&db) {
            needs.in_database(database, Privileges::LOCK_TABLES);
        }
        if let Some(table) = table {
            drop(needs.reads(table));
        } else if let Some(view) = cx.catalog.view(&db, &name) {
            needs.reads_view(view);
        }
        let read_or_write = |c: &Cursor<'_, '_>| c.is("read") || c.is("write") || c.is("low_priority");
        let aliased = c.eat("as") || !read_or_write(c);
        let called = (db, if aliased { c.name()? } else { name.clone() });
        if names.contains(&called) {
            return Err(SqlError::new(1066, "42000", format!("Not unique table/alias: '{}'", called.1)));
        }
        names.push(called);
        if c.eat("read") {
            c.eat("local");
            reads = true;
            read.extend(table.filter(|_| !aliased).map(|t| (t.id, name)));
        } else {
            c.eat("low_priority");
            c.expect("write")?;
            writes = true;
        }
        Ok(())
    })?;
    Ok(SessionCommand::LockTables { reads, writes, read })
}

/// What statements do that commit what is open.
fn commit_first() -> SessionCommand {
    SessionCommand::Commit { chain: false, release: false }
}

/// Before FLUSH does anything.
const RELOAD: SessionCommand = SessionCommand::Holds(Privileges::RELOAD, "RELOAD");

/// FLUSH: it commits. Nothing else to do, but for FLUSH STATUS, and FLUSH TABLES WITH READ LOCK, which gives the session one snapshot to read from until
/// UNLOCK TABLES.
fn flush(c: &mut Cursor<'_, '_>) -> Result<Vec<SessionCommand>, SqlError> {
    if c.eat_one(&["no_write_to_binlog", "local"]).is_some() && c.at_end() {
        return Err(c.error());
    }
    if c.eat("tables") || c.eat("table") {
        while !c.at_end() {
            if c.eat("with read lock") {
                return Ok(vec![RELOAD, SessionCommand::ReadLock]);
            }
            if c.eat("for export") {
                return Err(SqlError::unsupported("FLUSH TABLES FOR EXPORT"));
            }
            if !c.eat_token(&Token::Comma) {
                c.table_name()?;
            }
        }
        return Ok(vec![commit_first(), RELOAD]);
    }
    const WORDS: [&str; 12] = [
        "privileges",
        "status",
        "hosts",
        "logs",
        "binary logs",
        "engine logs",
        "error logs",
        "general logs",
        "relay logs",
        "slow logs",
        "user_resources",
        "optimizer_costs",
    ];
    let mut all = vec![commit_first(), RELOAD];
    c.list(|c| {
        let word = c.eat_one(&WORDS).ok_or_else(|| c.error())?;
        if word == "status" {
            all.push(SessionCommand::FlushStatus);
        }
        Ok(())
    })?;
    Ok(all)
}

/// `@name`, however it was cut into tokens; gives the name in lower case.
pub(super) fn user_variable(c: &mut Cursor<'_, '_>) -> Result<String, SqlError> {
    eat_user_variable(c)?.ok_or_else(|| c.error())
}

/// As [`user_variable`], if one stands here.
pub(crate) fn eat_user_variable(c: &mut Cursor<'_, '_>) -> Result<Option<String>, SqlError> {
    let name = match (c.token(0), c.token(1)) {
        (Token::Word(w), _) if w.quote_style.is_none() && w.value.starts_with('@') => {
            if w.value.starts_with("@@") {
                return Ok(None);
            }
            let name = w.value[1..].to_owned();
            c.skip();
            if !name.is_empty() {
                // `@a.b` is one name.
                let mut name = name;
                while c.token(0) == &Token::Period {
                    c.skip();
                    name = format!("{name}.{}", c.name_after_point()?);
                }
                return Ok(Some(name.to_lowercase()));
            }
            c.word_or_string()?
        }
        (Token::AtSign, _) => {
            if c.token(1) == &Token::AtSign || matches!(c.token(1), Token::AtAt) {
                return Ok(None);
            }
            c.skip();
            c.word_or_string()?
        }
        _ => return Ok(None),
    };
    Ok(Some(name.to_lowercase()))
}
