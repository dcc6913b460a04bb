//! CREATE, ALTER, DROP and RENAME USER and ROLE, GRANT, REVOKE, SET PASSWORD and SET ROLE (MySQL 8.0 manual, section 15.7.1).
//!
//! Beyond MySQL: `IDENTIFIED WITH p2pdb_key AS 'did:key:…'`, `ALTER USER … ADD KEY 'did:key:…'`, `… DROP KEY 'did:key:…'`, `… WITHDRAW NODE 'id'`,
//! `GRANT … UNTIL 'time'`, `REVOKE … KEEP THROUGH 'gtid set'`, and the name `p2pdb_owner`. What MySQL has and this has not is refused by name (1235).

use p2pdb_model::Privileges;
use p2pdb_model::ids::{NodeId, ObjectKind, PublicKey};
use sqlparser::tokenizer::Token;

use crate::account::{AccountName, AccountStatement, Asked, Identified, On, Roles, Who};
use crate::error::SqlError;
use crate::plan::{Ddl, Plan, PlanKind, SessionCommand};
use crate::statement::{Context, Cursor};

/// Longest user name, characters (MySQL 8.0 manual, section 11.2.1).
const USER_CHARS_MAX: usize = 32;
/// Longest host pattern, characters.
const HOST_CHARS_MAX: usize = 255;
/// Longest password, bytes.
const PASSWORD_BYTES_MAX: usize = 256;

fn plan(statement: AccountStatement) -> Plan {
    Plan::new(PlanKind::Ddl(Ddl { account: Some(Box::new(statement)), ..Ddl::default() }))
}

/// An account statement; `None` (with the cursor where it was) for others.
///
/// # Errors
/// 1064, 1235, 1470.
pub fn compile(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<Option<Plan>, SqlError> {
    let statement = if c.eat("create user") {
        create_users(c)?
    } else if c.eat("create role") {
        let quiet = c.eat("if not exists");
        AccountStatement::CreateRoles { quiet, roles: c.list(name)? }
    } else if c.eat("alter user") {
        alter_users(c)?
    } else if let Some(what) = c.eat_one(&["drop user", "drop role"]) {
        let (quiet, names) = (c.eat("if exists"), c.list(name)?);
        AccountStatement::Drop { quiet, roles: what == "drop role", names, keep: keep(c)? }
    } else if c.eat("rename user") {
        AccountStatement::Rename(c.list(|c| {
            let from = name(c)?;
            c.expect("to")?;
            Ok((from, name(c)?))
        })?)
    } else if c.eat("grant") {
        grant(c, cx)?
    } else if c.eat("revoke") {
        revoke(c, cx)?
    } else if c.eat("set password") {
        set_password(c)?
    } else if c.eat("set default role") {
        let roles = roles(c)?;
        c.expect("to")?;
        AccountStatement::SetDefaultRoles { roles, to: c.list(name)? }
    } else if c.eat("set role") {
        return Ok(Some(Plan::new(PlanKind::Session(vec![SessionCommand::SetRole(roles(c)?)]))));
    } else {
        return Ok(None);
    };
    Ok(Some(plan(statement)))
}

fn too_long(what: &str, max: usize, text: &str) -> SqlError {
    let message = format!("String '{text}' is too long for {what} (should be no longer than {max})");
    SqlError::new(1470, "HY000", message)
}

/// `user[@host]`.
pub(crate) fn name(c: &mut Cursor<'_, '_>) -> Result<AccountName, SqlError> {
    let (user, host) = super::view::account_parts(c)?;
    if user.chars().count() > USER_CHARS_MAX {
        return Err(too_long("user name", USER_CHARS_MAX, &user));
    }
    if host.chars().count() > HOST_CHARS_MAX {
        return Err(too_long("host name", HOST_CHARS_MAX, &host));
    }
    Ok(AccountName { user, host: host.to_lowercase() })
}

/// The same, or CURRENT_USER.
pub(crate) fn who(c: &mut Cursor<'_, '_>) -> Result<Who, SqlError> {
    for word in ["current_user", "user"] {
        if c.is_at(0, word) && (word == "current_user" || c.token(1) == &Token::LParen) {
            c.skip();
            if c.eat_token(&Token::LParen) {
                c.expect_token(&Token::RParen)?;
            }
            return Ok(Who::Current);
        }
    }
    name(c).map(Who::Named)
}

fn password(c: &mut Cursor<'_, '_>) -> Result<String, SqlError> {
    let password = c.string()?;
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(too_long("password", PASSWORD_BYTES_MAX, "***"));
    }
    Ok(password)
}

/// `'did:key:…'`.
fn key(c: &mut Cursor<'_, '_>) -> Result<PublicKey, SqlError> {
    let text = c.string()?;
    PublicKey::from_did(&text).ok_or_else(|| {
        let message = format!("'{text}' is no did:key of an ed25519 key (did:key:z6Mk…)");
        SqlError::new(1105, "HY000", message)
    })
}

fn identified(c: &mut Cursor<'_, '_>) -> Result<Identified, SqlError> {
    if !c.eat("identified") {
        return Ok(Identified::Not);
    }
    if c.eat("with") {
        let plugin = c.word_or_string()?.to_lowercase();
        if plugin == "p2pdb_key" {
            c.expect("as")?;
            return Ok(Identified::Key(key(c)?));
        }
        if !["caching_sha2_password", "mysql_native_password", "sha256_password"].contains(&plugin.as_str()) {
            return Err(SqlError::new(1524, "HY000", format!("Plugin '{plugin}' is not loaded")));
        }
        if c.is("as") {
            return Err(SqlError::unsupported(
                "IDENTIFIED WITH … AS 'hash' (a key is locked with the password itself)",
            ));
        }
        if !c.is("by") {
            return Ok(Identified::By { password: String::new(), replace: None });
        }
    }
    c.expect("by")?;
    if c.is("random password") {
        return Err(SqlError::unsupported("IDENTIFIED BY RANDOM PASSWORD"));
    }
    let password = password(c)?;
    let replace = if c.eat("replace") { Some(c.string()?) } else { None };
    if c.is("retain current password") {
        return Err(SqlError::unsupported("RETAIN CURRENT PASSWORD"));
    }
    Ok(Identified::By { password, replace })
}

/// What may follow the accounts: what is MySQL's default says nothing, the rest is refused.
fn options(c: &mut Cursor<'_, '_>) -> Result<(), SqlError> {
    loop {
        let nothing = [
            "require none",
            "account unlock",
            "password expire never",
            "password expire default",
            "password history default",
            "password reuse interval default",
            "password require current default",
            "password require current optional",
        ];
        if c.eat_one(&nothing).is_some() {
            continue;
        }
        let refused = [
            "require",
            "with",
            "account lock",
            "password",
            "failed_login_attempts",
            "password_lock_time",
            "comment",
            "attribute",
        ];
        return match refused.iter().find(|w| c.is(w)) {
            Some(word) => Err(SqlError::unsupported(format!("{} of an account", word.to_uppercase()))),
            None => Ok(()),
        };
    }
}

fn create_users(c: &mut Cursor<'_, '_>) -> Result<AccountStatement, SqlError> {
    let quiet = c.eat("if not exists");
    let users = c.list(|c| {
        let user = name(c)?;
        Ok((user, identified(c)?))
    })?;
    let roles = if c.eat("default role") { c.list(name)? } else { Vec::new() };
    options(c)?;
    Ok(AccountStatement::CreateUsers { quiet, users, roles })
}

fn alter_users(c: &mut Cursor<'_, '_>) -> Result<AccountStatement, SqlError> {
    let quiet = c.eat("if exists");
    let mark = c.mark();
    let first = who(c)?;
    if c.eat("default role") {
        let Who::Named(to) = first else {
            return Err(SqlError::unsupported("ALTER USER USER() DEFAULT ROLE"));
        };
        return Ok(AccountStatement::SetDefaultRoles { roles: roles(c)?, to: vec![to] });
    }
    if c.eat("withdraw node") {
        let text = c.string()?;
        let node = NodeId::from_hex(&text).ok_or_else(|| {
            let message = format!("'{text}' is no node's id as p2pdb.members shows it");
            SqlError::new(1105, "HY000", message)
        })?;
        return Ok(AccountStatement::Withdraw { quiet, user: first, node, keep: keep(c)? });
    }
    if c.eat("drop key") {
        let key = key(c)?;
        return Ok(AccountStatement::DropKey { quiet, user: first, key, keep: keep(c)? });
    }
    if c.eat("add key") {
        let users = vec![(first, Identified::Key(key(c)?))];
        return Ok(AccountStatement::AlterUsers { quiet, users });
    }
    c.back(mark);
    let users = c.list(|c| {
        let user = who(c)?;
        if c.is("add") || c.is("modify") || c.is("drop") || c.is("discard") {
            return Err(SqlError::unsupported("several passwords of one account"));
        }
        Ok((user, identified(c)?))
    })?;
    options(c)?;
    Ok(AccountStatement::AlterUsers { quiet, users })
}

fn set_password(c: &mut Cursor<'_, '_>) -> Result<AccountStatement, SqlError> {
    let user = if c.eat("for") { who(c)? } else { Who::Current };
    if c.eat("to random") {
        return Err(SqlError::unsupported("SET PASSWORD TO RANDOM"));
    }
    c.expect_token(&Token::Eq)?;
    let password = password(c)?;
    let replace = if c.eat("replace") { Some(c.string()?) } else { None };
    let users = vec![(user, Identified::By { password, replace })];
    Ok(AccountStatement::AlterUsers { quiet: false, users })
}

/// DEFAULT, NONE, ALL, ALL EXCEPT or a list.
fn roles(c: &mut Cursor<'_, '_>) -> Result<Roles, SqlError> {
    if c.eat("default") {
        return Ok(Roles::Default);
    }
    if c.eat("none") {
        return Ok(Roles::None);
    }
    if c.eat("all") {
        return Ok(Roles::All(if c.eat("except") { c.list(name)? } else { Vec::new() }));
    }
    c.list(name).map(Roles::These)
}

fn keep(c: &mut Cursor<'_, '_>) -> Result<Option<String>, SqlError> {
    if c.eat("keep through") { c.string().map(Some) } else { Ok(None) }
}

fn until(c: &mut Cursor<'_, '_>) -> Result<Option<String>, SqlError> {
    if c.eat("until") { c.string().map(Some) } else { Ok(None) }
}

/// Privileges up to ON; `None` (with the cursor where it was) when these are roles.
fn asked(c: &mut Cursor<'_, '_>) -> Result<Option<Asked>, SqlError> {
    let mark = c.mark();
    let mut asked = Asked::default();
    loop {
        if c.eat("all privileges") || c.eat("all") {
            asked.all = true;
        } else if c.eat("usage") {
            // Nothing.
        } else if c.is("proxy on") {
            return Err(SqlError::unsupported("GRANT PROXY"));
        } else if let Some(privilege) = privilege(c) {
            if c.token(0) == &Token::LParen {
                asked.columns.push((privilege, c.parenthesized(|c| c.name())?));
            } else {
                asked.whole |= privilege;
            }
        } else {
            c.back(mark);
            let list = c.list(name);
            if list.is_ok() && c.is("on") {
                return Err(SqlError::unsupported("dynamic privileges"));
            }
            c.back(mark);
            return Ok(None);
        }
        if !c.eat_token(&Token::Comma) {
            break;
        }
    }
    Ok(Some(asked))
}

fn privilege(c: &mut Cursor<'_, '_>) -> Option<Privileges> {
    // Of `CREATE` and `CREATE VIEW` the longer counts.
    let named = Privileges::NAMED.iter().filter(|(_, name, _)| c.is(name));
    let (privilege, name, _) = named.max_by_key(|(_, name, _)| name.len())?;
    c.eat(name).then_some(*privilege)
}

fn on(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<On, SqlError> {
    c.expect("on")?;
    let kind = c.eat_one(&["table", "procedure", "function"]);
    if c.eat_token(&Token::Mul) {
        if c.eat_token(&Token::Period) {
            c.expect_token(&Token::Mul)?;
            return Ok(On::Realm);
        }
        return Ok(On::Database(cx.database(None)?));
    }
    let first = c.name()?;
    if !c.eat_token(&Token::Period) {
        return Ok(object(kind, cx.database(None)?, first));
    }
    if c.eat_token(&Token::Mul) {
        if first.contains('%') {
            return Err(SqlError::unsupported("a pattern of databases in GRANT"));
        }
        return Ok(On::Database(first.replace("\\_", "_")));
    }
    let second = c.name_after_point()?;
    Ok(object(kind, first, second))
}

fn object(kind: Option<&str>, database: String, name: String) -> On {
    match kind {
        Some("procedure") => On::Routine(ObjectKind::Procedure, database, name),
        Some("function") => On::Routine(ObjectKind::Function, database, name),
        _ => On::Table(database, name),
    }
}

fn grant(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<AccountStatement, SqlError> {
    let Some(mut what) = asked(c)? else {
        let roles = c.list(name)?;
        c.expect("to")?;
        let to = c.list(name)?;
        let admin = c.eat("with admin option");
        return Ok(AccountStatement::GrantRoles { roles, to, admin, until: until(c)? });
    };
    let on = on(c, cx)?;
    c.expect("to")?;
    let to = c.list(|c| {
        let name = name(c)?;
        if c.is("identified") {
            return Err(c.error());
        }
        Ok(name)
    })?;
    if c.is("as") {
        return Err(SqlError::unsupported("GRANT … AS"));
    }
    if c.eat("with grant option") {
        what.whole |= Privileges::GRANT_OPTION;
    }
    let until = until(c)?;
    Ok(AccountStatement::Grant { what, on, to, history: !c.eat("without history"), until })
}

fn revoke(c: &mut Cursor<'_, '_>, cx: &Context<'_>) -> Result<AccountStatement, SqlError> {
    let mut quiet = c.eat("if exists");
    let (mut what, mut which) = (None, Vec::new());
    let mark = c.mark();
    let everything = (c.eat("all privileges") || c.eat("all"))
        && c.eat_token(&Token::Comma)
        && c.eat("grant option")
        && c.is("from");
    if !everything {
        c.back(mark);
    }
    if !everything {
        match asked(c)? {
            Some(asked) => what = Some((asked, on(c, cx)?)),
            None => which = c.list(name)?,
        }
    }
    c.expect("from")?;
    let from = c.list(name)?;
    quiet |= c.eat("ignore unknown user");
    let keep = keep(c)?;
    Ok(match which.is_empty() {
        false => AccountStatement::RevokeRoles { quiet, roles: which, from, keep },
        true => AccountStatement::Revoke { quiet, what, from, keep },
    })
}
