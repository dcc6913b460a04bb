//! Statements about accounts: names become ids, and what they say becomes changes of access, judged before they are written.
//!
//! What stays on this node (passwords, keys under them) is the embedder's, behind [`Logins`].

use std::sync::Arc;

use p2pdb_access::{Access, AccountView, DelegationView, Reason, delegation};
use p2pdb_block::SigningKey;
use p2pdb_block::sign::public_key;
use p2pdb_model::change::{AccessChange, Delegate, Keep, Rights, SeenTip};
use p2pdb_model::fault;
use p2pdb_model::ids::{NodeId, ObjectId, ObjectKind, PublicKey};
use p2pdb_model::privileges::Level;
use p2pdb_model::temporal::{DateRules, DateTime, Parsed};
use p2pdb_model::{AccountId, Catalog, ColumnTag, GtidSet, Privileges, Stamp};
use p2pdb_sql::account::{AccountName, AccountStatement, Asked, Identified, On, ROW_OWNER, Roles, Who};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::execute;
use p2pdb_sql::plan::NoteLevel;

use crate::api::Outcome;
use crate::core::Core;
use crate::powers::lacking;
use crate::tables::Tables;
use crate::writer::Writer;

/// What a node keeps of accounts by itself: how one logs in as them, and their keys. Nothing of it is ever replicated.
pub trait Logins: Send + Sync {
    /// One logs in here as this account with this password from now on; its key is kept, locked with it.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn put(&self, name: &AccountName, id: AccountId, password: &str, key: &[u8; 32]) -> Result<(), String>;
    /// Another password, for who gives the present one; false when that is another one.
    ///
    /// # Errors
    /// As [`Logins::put`].
    fn change(
        &self,
        name: &AccountName,
        id: AccountId,
        present: &str,
        password: &str,
    ) -> Result<bool, String>;
    /// The account has another name.
    ///
    /// # Errors
    /// As [`Logins::put`].
    fn rename(&self, from: &AccountName, to: &AccountName) -> Result<(), String>;
    /// Nobody logs in here as this account any more, and its key is forgotten.
    ///
    /// # Errors
    /// As [`Logins::put`].
    fn remove(&self, name: &AccountName) -> Result<(), String>;
}

/// Numbers of notes: an authorization id is not there, or is there already.
const NOT_THERE: u16 = 3162;
const ALREADY_THERE: u16 = 3163;

/// Runs a statement about accounts.
pub(crate) fn run(
    w: &mut dyn Tables,
    core: &mut Core,
    statement: &AccountStatement,
) -> Result<Outcome, SqlError> {
    let inner = core.inner.clone();
    let Some(w) = w.writer() else {
        return Err(SqlError::new(1105, "HY000", "a statement about accounts outside of the writer"));
    };
    let account = core.account;
    Accounts { w: &mut *w, core, logins: inner.logins.get().cloned() }.run(statement)?;
    // Others may read now, or fewer. What was said stands, whatever comes of this.
    if let Err(e) = w.keep_keys(account, true) {
        tracing::warn!(error = %e, "keys of sealed columns could not be given on");
    }
    Ok(Outcome::default())
}

/// Nothing is kept here beside it.
fn nothing(_: &dyn Logins) -> Result<(), String> {
    Ok(())
}

fn not_kept(why: String) -> SqlError {
    SqlError::new(1105, "HY000", format!("the node cannot keep its logins: {why}"))
}

struct Accounts<'a> {
    w: &'a mut Writer,
    core: &'a mut Core,
    logins: Option<Arc<dyn Logins>>,
}

fn shown(name: &AccountName) -> String {
    name.to_string()
}

fn failed(what: &str, names: &[String]) -> SqlError {
    SqlError::new(1396, "HY000", format!("Operation {what} failed for {}", names.join(",")))
}

fn failed_because(name: &AccountName, why: String) -> SqlError {
    SqlError::new(1396, "HY000", format!("Operation ALTER USER failed for {name}: {why}"))
}

fn note(code: u16, name: &AccountName, state: &str) {
    execute::context::note(NoteLevel::Note, code, format!("Authorization ID {name} {state}."));
}

impl Accounts<'_> {
    fn find(&self, name: &AccountName) -> Option<AccountView> {
        self.w.access.accounts().into_iter().find(|a| name.is(&a.name, &a.host))
    }

    /// An account or role that must be there, or who owns the row.
    fn id(&self, name: &AccountName, missing: impl Fn() -> SqlError) -> Result<AccountId, SqlError> {
        if name.user == ROW_OWNER && name.host == "%" {
            return Ok(AccountId::ROW_OWNER);
        }
        self.find(name).map(|a| a.id).ok_or_else(missing)
    }

    fn role(&self, name: &AccountName) -> Result<AccountId, SqlError> {
        let unknown = || SqlError::new(3523, "HY000", format!("Unknown authorization ID {}", name.ticked()));
        self.find(name).filter(|a| a.is_role).map(|a| a.id).ok_or_else(unknown)
    }

    /// Writes these changes, all of a statement at once: behind them nothing may fail, because a block that is in the log stays
    /// there. What the account may not do is said as `denied` has it. In between comes what this node keeps for itself.
    fn write(
        &mut self,
        changes: Vec<AccessChange>,
        keep: impl FnOnce(&dyn Logins) -> Result<(), String>,
        denied: impl Fn(&Self) -> SqlError,
    ) -> Result<(), SqlError> {
        if changes.is_empty() {
            return Ok(());
        }
        let refused = [
            Reason::NotGranted,
            Reason::GrantExpired,
            Reason::Revoked,
            Reason::NotGrantable,
            Reason::AccountNotOwner,
        ];
        match self.w.would_be(self.core.account, &changes).map_err(|e| e.to_sql())? {
            None => {}
            Some(_) if fault::is_patched() => {}
            Some(why) if refused.contains(&why) => return Err(denied(self)),
            Some(why) => return Err(SqlError::new(1227, "42000", format!("Access denied; {why}"))),
        }
        if let Some(logins) = &self.logins {
            keep(&**logins).map_err(not_kept)?;
        }
        self.w.write_access(self.core.account, changes).map_err(|e| e.to_sql())
    }

    fn need(&self, privilege: &str) -> SqlError {
        lacking(privilege)
    }

    /// Somebody keeps passwords and keys here.
    fn local(&self) -> Result<Arc<dyn Logins>, SqlError> {
        let nowhere = || SqlError::unsupported("an account with a password on a node that keeps none");
        self.logins.clone().ok_or_else(nowhere)
    }

    fn new_key(&self) -> SigningKey {
        let mut seed = [0; 32];
        self.w.entropy.fill(&mut seed);
        SigningKey::from_bytes(&seed)
    }

    fn run(&mut self, statement: &AccountStatement) -> Result<(), SqlError> {
        match statement {
            AccountStatement::CreateUsers { quiet, users, roles } => self.create_users(*quiet, users, roles),
            AccountStatement::AlterUsers { quiet, users } => self.alter_users(*quiet, users),
            AccountStatement::CreateRoles { quiet, roles } => self.create_roles(*quiet, roles),
            AccountStatement::Withdraw { quiet, user, node, keep } => {
                self.withdraw(*quiet, user, *node, keep)
            }
            AccountStatement::DropKey { quiet, user, key, keep } => self.drop_key(*quiet, user, key, keep),
            AccountStatement::Drop { quiet, roles, names, keep } => self.drop(*quiet, *roles, names, keep),
            AccountStatement::Rename(pairs) => self.rename(pairs),
            AccountStatement::Grant { what, on, to, history, until } => {
                self.grant(what, on, to, *history, until.as_deref())
            }
            AccountStatement::Revoke { quiet, what, from, keep } => {
                self.revoke(*quiet, what.as_ref(), from, keep)
            }
            AccountStatement::GrantRoles { roles, to, admin, until } => {
                self.grant_roles(roles, to, *admin, until.as_deref())
            }
            AccountStatement::RevokeRoles { quiet, roles, from, keep } => {
                self.revoke_roles(*quiet, roles, from, keep)
            }
            AccountStatement::SetDefaultRoles { roles, to } => self.set_default_roles(roles, to),
        }
    }

    // ---- accounts

    fn create_users(
        &mut self,
        quiet: bool,
        users: &[(AccountName, Identified)],
        roles: &[AccountName],
    ) -> Result<(), SqlError> {
        let taken = |a: &Self, name: &AccountName| a.find(name).is_some() || name.user == ROW_OWNER;
        let there: Vec<_> =
            users.iter().filter(|(name, _)| taken(self, name)).map(|(name, _)| name).collect();
        if !quiet && !there.is_empty() {
            return Err(failed("CREATE USER", &there.into_iter().map(shown).collect::<Vec<_>>()));
        }
        there.iter().for_each(|name| note(ALREADY_THERE, name, "already exists"));
        let given: Vec<AccountId> = roles.iter().map(|r| self.role(r)).collect::<Result<_, _>>()?;
        let realm = self.w.realm();
        let node = Delegate::Node(self.w.node());
        let (mut changes, mut made) = (Vec::new(), Vec::new());
        for (name, identified) in users.iter().filter(|(name, _)| !there.contains(&name)) {
            let (key, local) = match identified {
                Identified::Key(key) => (*key, None),
                Identified::By { .. } | Identified::Not => {
                    let password = match identified {
                        Identified::By { password, .. } => password.as_str(),
                        _ => "",
                    };
                    self.local()?;
                    let key = self.new_key();
                    (public_key(&key), Some((key, password)))
                }
            };
            let id = AccountId::derive(&name.user, &name.host, &key);
            let (user, host) = (name.user.clone(), name.host.clone());
            changes.push(AccessChange::Account { id, name: user, host, key, owner: false });
            if let Some((key, password)) = local {
                changes.push(delegation(id, node, None, &key, Some(&realm)));
                made.push((name, id, password, key));
            }
            if !given.is_empty() {
                changes.push(AccessChange::DefaultRoles { account: id, roles: Some(given.clone()) });
            }
        }
        let put = |logins: &dyn Logins| {
            made.iter()
                .try_for_each(|(name, id, password, key)| logins.put(name, *id, password, &key.to_bytes()))
        };
        self.write(changes, put, |a| a.need("CREATE USER"))
    }

    fn alter_users(&mut self, quiet: bool, users: &[(Who, Identified)]) -> Result<(), SqlError> {
        let (realm, node) = (self.w.realm(), Delegate::Node(self.w.node()));
        let (mut changes, mut made, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for (who, identified) in users {
            let account = match who {
                Who::Current => self.w.access.accounts().into_iter().find(|a| a.id == self.core.account),
                Who::Named(name) => self.find(name),
            };
            let Some(account) = account.filter(|a| !a.is_role) else {
                match who {
                    Who::Named(name) if quiet => note(NOT_THERE, name, "does not exist"),
                    Who::Named(name) => missing.push(shown(name)),
                    Who::Current => missing.push(String::new()),
                }
                continue;
            };
            let name = AccountName { user: account.name.clone(), host: account.host.clone() };
            match identified {
                Identified::Not => {}
                Identified::Key(key) => changes.push(AccessChange::AddKey { account: account.id, key: *key }),
                Identified::By { password, replace: Some(present) } if account.id == self.core.account => {
                    if !self.local()?.change(&name, account.id, present, password).map_err(not_kept)? {
                        let message = "Incorrect current password. Specify the correct password which has to be replaced.";
                        return Err(SqlError::new(3891, "HY000", message));
                    }
                }
                // The present key is locked with a password that nobody gave: the account gets another one.
                Identified::By { password, .. } => {
                    self.local()?;
                    let key = self.new_key();
                    changes.push(AccessChange::AddKey { account: account.id, key: public_key(&key) });
                    changes.push(delegation(account.id, node, None, &key, Some(&realm)));
                    made.push((name, account.id, password.as_str(), key));
                }
            }
        }
        if !missing.is_empty() {
            return Err(failed("ALTER USER", &missing));
        }
        let put = |logins: &dyn Logins| {
            made.iter()
                .try_for_each(|(name, id, password, key)| logins.put(name, *id, password, &key.to_bytes()))
        };
        self.write(changes, put, |a| {
            // Who gives an account a key has what it will ever be granted: CREATE USER is not enough for that.
            let now = a.w.access.grants(a.core.account, Stamp(0)).on;
            let creates = now.get(&None).is_some_and(|r| r.whole.contains(Privileges::CREATE_USER));
            a.need(if creates { "SYSTEM_USER" } else { "CREATE USER" })
        })
    }

    fn create_roles(&mut self, quiet: bool, roles: &[AccountName]) -> Result<(), SqlError> {
        let taken = |a: &Self, name: &AccountName| a.find(name).is_some() || name.user == ROW_OWNER;
        let there: Vec<_> = roles.iter().filter(|name| taken(self, name)).collect();
        if !quiet && !there.is_empty() {
            return Err(failed("CREATE ROLE", &there.into_iter().map(shown).collect::<Vec<_>>()));
        }
        there.iter().for_each(|name| note(ALREADY_THERE, name, "already exists"));
        let new = roles.iter().filter(|name| !there.contains(name));
        let changes = new.map(|name| AccessChange::NewRole {
            id: AccountId::derive_role(&name.user, &name.host),
            name: name.user.clone(),
            host: name.host.clone(),
        });
        self.write(changes.collect(), nothing, |a| a.need("CREATE ROLE, CREATE USER"))
    }

    /// The account that ALTER USER is about; `None`, with a note, where IF EXISTS lets it be nobody.
    fn altered(&self, quiet: bool, who: &Who) -> Result<Option<AccountView>, SqlError> {
        let account = match who {
            Who::Current => self.w.access.accounts().into_iter().find(|a| a.id == self.core.account),
            Who::Named(name) => self.find(name),
        };
        match (account.filter(|a| !a.is_role), who) {
            (None, Who::Named(name)) if quiet => {
                note(NOT_THERE, name, "does not exist");
                Ok(None)
            }
            (None, Who::Named(name)) => Err(failed("ALTER USER", &[shown(name)])),
            (None, Who::Current) => Err(failed("ALTER USER", &[String::new()])),
            (account, _) => Ok(account),
        }
    }

    /// The node acts for the account no more: what it wrote for it beyond what is seen here, or beyond KEEP THROUGH, is void.
    fn withdraw(
        &mut self,
        quiet: bool,
        user: &Who,
        node: NodeId,
        keep: &Option<String>,
    ) -> Result<(), SqlError> {
        let Some(account) = self.altered(quiet, user)? else { return Ok(()) };
        let seen = match self.keep(keep)? {
            Some(kept) => kept,
            None => crate::members::seen_of(self.w, node),
        };
        let from = Delegate::Node(node);
        let changes = vec![AccessChange::Undelegate { account: account.id, from, seen }];
        let name = AccountName { user: account.name, host: account.host };
        self.leaves_itself_a_node(account.id, &name, &changes)?;
        self.write(changes, nothing, |a| a.need("CREATE USER"))
    }

    /// Nobody takes the last node from the own account: it could never come back by itself, and nobody could help the realm's only
    /// owner. With KEEP THROUGH also what came later falls, such as another key.
    fn leaves_itself_a_node(
        &mut self,
        of: AccountId,
        name: &AccountName,
        changes: &[AccessChange],
    ) -> Result<(), SqlError> {
        let (own, now) = (self.core.account, self.now());
        if of != own || fault::is_patched() {
            return Ok(());
        }
        let after = self.w.access_after(own, changes).map_err(|e| e.to_sql())?;
        // Who takes a node from afar, which was stolen perhaps, has this one left.
        if after.may_act(self.w.node(), own, now) {
            return Ok(());
        }
        // The greatest role of a node that acts: who may do everything needs an owner's for some of it.
        let greatest = |access: &Access| {
            let acts = |d: &DelegationView| d.account == own && d.ended.is_none();
            let nodes = access.delegations(now).into_iter().filter(acts).filter_map(|d| d.node);
            nodes.filter_map(|n| access.role(n)).filter(|r| r.writes()).max()
        };
        let has_all = after.accounts().iter().any(|a| a.id == own && a.owner);
        match greatest(&after) {
            Some(role) if !has_all || Some(role) >= greatest(&self.w.access) => return Ok(()),
            _ => {}
        }
        let why = "no node, or none of an owner, would act for your own account any more: let one act by another key first (ALTER USER … IDENTIFIED BY there; or ADD KEY, then p2pdb-node key delegate), or leave it to an account with all privileges";
        Err(failed_because(name, why.to_owned()))
    }

    /// The key is the account's no more: what was done by delegations that it alone has signed, beyond what is seen here or beyond
    /// KEEP THROUGH, is void.
    fn drop_key(
        &mut self,
        quiet: bool,
        user: &Who,
        key: &PublicKey,
        keep: &Option<String>,
    ) -> Result<(), SqlError> {
        let Some(account) = self.altered(quiet, user)? else { return Ok(()) };
        let keys: Vec<PublicKey> = account.key.into_iter().chain(account.further_keys).collect();
        let name = AccountName { user: account.name, host: account.host };
        if !keys.contains(key) {
            return Err(failed_because(&name, format!("{} is no key of it", key.to_did())));
        }
        let (node, now) = (self.w.node(), self.now());
        let acted = self.w.access.may_act(node, account.id, now);
        let changes = vec![AccessChange::DropKey { account: account.id, key: *key, keep: self.keep(keep)? }];
        self.leaves_itself_a_node(account.id, &name, &changes)?;
        self.write(changes, nothing, |a| a.need("CREATE USER"))?;
        if acted && !self.w.access.may_act(node, account.id, now) {
            let message =
                format!("No other key of {name} has delegated to this node, which writes for it no more");
            execute::context::note(NoteLevel::Warning, 1105, message);
        }
        Ok(())
    }

    fn drop(
        &mut self,
        quiet: bool,
        roles: bool,
        names: &[AccountName],
        keep: &Option<String>,
    ) -> Result<(), SqlError> {
        let what = if roles { "DROP ROLE" } else { "DROP USER" };
        let missing: Vec<_> = names.iter().filter(|n| self.find(n).is_none()).collect();
        if !quiet && !missing.is_empty() {
            return Err(failed(what, &missing.into_iter().map(shown).collect::<Vec<_>>()));
        }
        missing.iter().for_each(|name| note(NOT_THERE, name, "does not exist"));
        let keep = self.keep(keep)?;
        let there: Vec<AccountView> = names.iter().filter_map(|n| self.find(n)).collect();
        let changes = there.iter().map(|a| AccessChange::DropAccount { account: a.id, keep: keep.clone() });
        let remove = |logins: &dyn Logins| {
            let users = there.iter().filter(|a| !a.is_role);
            let mut names = users.map(|a| AccountName { user: a.name.clone(), host: a.host.clone() });
            names.try_for_each(|name| logins.remove(&name))
        };
        let privilege = if roles { "DROP ROLE, CREATE USER" } else { "CREATE USER" };
        self.write(changes.collect(), remove, |a| a.need(privilege))
    }

    fn rename(&mut self, pairs: &[(AccountName, AccountName)]) -> Result<(), SqlError> {
        let mut changes = Vec::new();
        let mut users = Vec::new();
        for (n, (from, to)) in pairs.iter().enumerate() {
            // One that this statement gives away is not there any more, and one that it takes is taken.
            let taken = pairs[..n].iter().any(|(f, t)| f == from || t == to);
            let free = self.find(to).is_none() && to.user != ROW_OWNER && !taken;
            let Some(account) = self.find(from).filter(|_| free) else {
                return Err(failed("RENAME USER", &[shown(from)]));
            };
            let (name, host) = (to.user.clone(), to.host.clone());
            changes.push(AccessChange::RenameAccount { account: account.id, name, host });
            if !account.is_role {
                users.push((from, to));
            }
        }
        let rename = |logins: &dyn Logins| users.iter().try_for_each(|(from, to)| logins.rename(from, to));
        self.write(changes, rename, |a| a.need("CREATE USER"))
    }

    // ---- grants

    fn grant(
        &mut self,
        what: &Asked,
        on: &On,
        to: &[AccountName],
        history: bool,
        until: Option<&str>,
    ) -> Result<(), SqlError> {
        let (id, rights) = self.rights(what, on)?;
        let until_ms = self.until(until)?;
        let none = || SqlError::new(1410, "42000", "You are not allowed to create a user with GRANT");
        let to: Vec<AccountId> = to.iter().map(|name| self.id(name, none)).collect::<Result<_, _>>()?;
        if rights == Rights::default() {
            return Ok(());
        }
        let history = history || rights.reading() == Rights::default();
        let grant = |to: &AccountId| AccessChange::Grant {
            to: *to,
            on: id,
            rights: rights.clone(),
            until_ms,
            history,
        };
        let mut changes: Vec<AccessChange> = to.iter().map(grant).collect();
        if !history {
            let catalog = self.w.catalog.clone();
            let covers = |table: ObjectId| {
                let database = || catalog.table_by_id(table).and_then(|t| catalog.database(&t.database));
                id.is_none_or(|id| id == table || database().is_some_and(|d| d.id == id))
            };
            let reads = |(table, tag): (ObjectId, ColumnTag)| {
                covers(table) && (rights.whole | rights.on_column(tag)).contains(Privileges::SELECT)
            };
            for to in &to {
                let fresh = self.w.keys_without_history(self.core.account, *to, reads);
                changes.extend(fresh.map_err(|(table, tag)| {
                    let table = catalog.table_by_id(table);
                    let column = table.and_then(|t| t.column_by_tag(tag)).map_or("", |c| c.name.as_str());
                    let table = table.map_or("", |t| t.name.as_str());
                    SqlError::column_denied(&self.core.state.account, "SELECT", column, table)
                })?);
            }
        }
        self.write(changes, nothing, |a| a.denied("GRANT", on))
    }

    fn revoke(
        &mut self,
        quiet: bool,
        what: Option<&(Asked, On)>,
        from: &[AccountName],
        keep: &Option<String>,
    ) -> Result<(), SqlError> {
        let keep = self.keep(keep)?;
        let now = self.now();
        let mut changes = Vec::new();
        for name in from {
            let undefined = || no_such_grant(name, what.map(|(_, on)| on));
            let account = match self.id(name, undefined) {
                Ok(account) => account,
                Err(_) if quiet => {
                    note(NOT_THERE, name, "does not exist");
                    continue;
                }
                Err(e) => return Err(e),
            };
            let held = self.w.access.grants(account, now);
            match what {
                Some((asked, on)) => {
                    let (id, rights) = self.rights(asked, on)?;
                    let has = held.on.get(&id).is_some_and(|h| {
                        h.whole.intersects(rights.whole)
                            || h.columns
                                .iter()
                                .any(|(t, p)| p.intersects(rights.whole | rights.on_column(*t)))
                    });
                    // Usage is nothing, and what is not there cannot be taken.
                    match has {
                        true => changes.push(AccessChange::Revoke {
                            from: account,
                            on: id,
                            rights,
                            keep: keep.clone(),
                        }),
                        false if quiet || rights == Rights::default() || *on == On::Realm => {}
                        false => return Err(undefined()),
                    }
                }
                None => {
                    let all = held.on.into_iter().map(|(on, rights)| AccessChange::Revoke {
                        from: account,
                        on,
                        rights,
                        keep: keep.clone(),
                    });
                    changes.extend(all);
                }
            }
        }
        let on = what.map_or(&On::Realm, |(_, on)| on);
        self.write(changes, nothing, |a| a.denied("REVOKE", on))
    }

    fn grant_roles(
        &mut self,
        roles: &[AccountName],
        to: &[AccountName],
        admin: bool,
        until: Option<&str>,
    ) -> Result<(), SqlError> {
        let until_ms = self.until(until)?;
        let mut changes = Vec::new();
        for to in to {
            let unknown =
                || SqlError::new(3523, "HY000", format!("Unknown authorization ID {}", to.ticked()));
            let to = self.id(to, unknown)?;
            for role in roles {
                changes.push(AccessChange::GrantRole { role: self.role(role)?, to, admin, until_ms });
            }
        }
        self.write(changes, nothing, |a| a.need("WITH ADMIN, ROLE_ADMIN, SUPER"))
    }

    fn revoke_roles(
        &mut self,
        quiet: bool,
        roles: &[AccountName],
        from: &[AccountName],
        keep: &Option<String>,
    ) -> Result<(), SqlError> {
        let keep = self.keep(keep)?;
        let mut changes = Vec::new();
        for from in from {
            let unknown =
                || SqlError::new(3523, "HY000", format!("Unknown authorization ID {}", from.ticked()));
            for role in roles {
                match (self.role(role), self.id(from, unknown)) {
                    (Ok(role), Ok(from)) => {
                        changes.push(AccessChange::RevokeRole { role, from, keep: keep.clone() });
                    }
                    _ if quiet => {}
                    (Err(e), _) | (_, Err(e)) => return Err(e),
                }
            }
        }
        self.write(changes, nothing, |a| a.need("WITH ADMIN, ROLE_ADMIN, SUPER"))
    }

    fn set_default_roles(&mut self, roles: &Roles, to: &[AccountName]) -> Result<(), SqlError> {
        let mut changes = Vec::new();
        for name in to {
            let unknown = || failed("SET DEFAULT ROLE", &[shown(name)]);
            let account = self.id(name, unknown)?;
            let has = self.w.access.grants(account, self.now()).roles;
            let roles = match roles {
                Roles::All(except) if except.is_empty() => None,
                Roles::None | Roles::Default | Roles::All(_) => Some(Vec::new()),
                Roles::These(names) => {
                    let mut ids = Vec::new();
                    for role in names {
                        let id = self.role(role)?;
                        if !has.iter().any(|r| r.role == id) {
                            let message = format!("{} is not granted to {}", role.ticked(), name.ticked());
                            return Err(SqlError::new(3530, "HY000", message));
                        }
                        ids.push(id);
                    }
                    Some(ids)
                }
            };
            changes.push(AccessChange::DefaultRoles { account, roles });
        }
        self.write(changes, nothing, |a| a.need("CREATE USER"))
    }

    // ---- what the words mean

    fn now(&self) -> Stamp {
        Stamp::next(self.w.dag.stamp_floor(), self.w.clock.now_ms())
    }

    /// The object and the rights on it.
    fn rights(&self, asked: &Asked, on: &On) -> Result<(Option<ObjectId>, Rights), SqlError> {
        let catalog: &Catalog = &self.w.catalog;
        let (level, id) = match on {
            On::Realm => (Level::Realm, None),
            On::Database(db) => (Level::Database, Some(database_id(catalog, db))),
            On::Table(db, name) => {
                let table = catalog.table(db, name).map(|t| t.id);
                let view =
                    catalog.database(db).and_then(|d| d.views().find(|v| v.name == *name)).map(|v| v.id);
                let id = table.or(view).ok_or_else(|| SqlError::no_table(db, name))?;
                (Level::Table, Some(id))
            }
            On::Routine(kind, db, name) => {
                let missing = || {
                    let what = if *kind == ObjectKind::Procedure { "PROCEDURE" } else { "FUNCTION" };
                    SqlError::new(1305, "42000", format!("{what} {name} does not exist"))
                };
                (Level::Routine, Some(catalog.routine(*kind, db, name).ok_or_else(missing)?.id))
            }
        };
        let possible = Privileges::grantable_at(level);
        let wrong = || match level {
            Level::Database => {
                SqlError::new(1221, "HY000", "Incorrect usage of DB GRANT and GLOBAL PRIVILEGES")
            }
            _ => SqlError::new(
                1144,
                "42000",
                "Illegal GRANT/REVOKE command; please consult the manual to see which privileges can be used",
            ),
        };
        if !possible.contains(asked.whole) {
            return Err(wrong());
        }
        let mut whole = asked.whole;
        if asked.all {
            whole |= Privileges::all_at(level);
        }
        let mut columns = Vec::new();
        for (privilege, names) in &asked.columns {
            let (On::Table(db, name), Some(_)) = (on, id) else { return Err(wrong()) };
            if !Privileges::all_at(Level::Column).contains(*privilege) {
                return Err(wrong());
            }
            let table = catalog
                .table(db, name)
                .ok_or_else(|| SqlError::unsupported("privileges on columns of a view"))?;
            for column in names {
                let found = table.column(column).ok_or_else(|| {
                    SqlError::new(1054, "42S22", format!("Unknown column '{column}' in '{name}'"))
                })?;
                columns.push((found.tag, *privilege));
            }
        }
        let mut rights = Rights::columns(columns);
        rights.whole = whole;
        Ok((id, rights))
    }

    fn until(&self, text: Option<&str>) -> Result<Option<u64>, SqlError> {
        let Some(text) = text else { return Ok(None) };
        let wrong = || SqlError::new(1525, "HY000", format!("Incorrect DATETIME value: '{text}'"));
        let whole =
            |p: &Parsed| !p.truncated && p.offset_seconds.is_none() && p.value.is_valid(DateRules::LENIENT);
        let parsed = DateTime::parse(text).filter(whole).ok_or_else(wrong)?;
        let utc = self.core.state.time_zone.zone.to_utc(parsed.value);
        u64::try_from(utc.unix_us() / 1_000).map(Some).map_err(|_| wrong())
    }

    /// The tips of these GTIDs, as far as they are held.
    fn keep(&self, text: &Option<String>) -> Result<Keep, SqlError> {
        let Some(text) = text else { return Ok(None) };
        let set = GtidSet::parse(text).ok_or_else(|| {
            SqlError::new(1772, "HY000", format!("Malformed GTID set specification '{text}'."))
        })?;
        let mut tips = Vec::new();
        let mut held = GtidSet::default();
        for branch in self.w.dag.branches() {
            held.add(branch.chain.uuid().0, 1, i64::MAX as u64);
        }
        let unknown = set.minus(&held);
        if unknown != GtidSet::default() {
            let message = format!("KEEP THROUGH names chains of which this node holds nothing: {unknown}");
            return Err(SqlError::new(1772, "HY000", message));
        }
        for branch in self.w.dag.branches() {
            let Some(last) = set.last(branch.chain.uuid().0) else { continue };
            let seq = last.min(branch.tip.seq);
            let mut tip = None;
            let scanned = self.w.db.scan_branch(p2pdb_store::BranchNo(branch.no.0), seq, |b| {
                tip = (b.record.seq == seq).then_some(b.record.cid);
                Ok(p2pdb_store::STOP)
            });
            scanned.map_err(|e| crate::error::store_to_sql(&e))?;
            tips.extend(tip.map(|tip| SeenTip { chain: branch.chain.first, seq, tip }));
        }
        Ok(Some(tips))
    }

    fn denied(&self, command: &str, on: &On) -> SqlError {
        let account = &self.core.state.account;
        match on {
            On::Realm => SqlError::access_denied(account),
            On::Database(db) => SqlError::database_denied(account, db),
            On::Table(_, name) => SqlError::table_denied(account, command, name),
            On::Routine(_, db, name) => {
                SqlError::routine_denied(account, command.to_lowercase(), format!("{db}.{name}"))
            }
        }
    }
}

/// Databases may be granted before they are there.
fn database_id(catalog: &Catalog, name: &str) -> ObjectId {
    let found = catalog.database(name).map(|d| d.id);
    found.unwrap_or_else(|| catalog.new_id(ObjectKind::Database, ObjectId::ROOT, name))
}

fn no_such_grant(name: &AccountName, on: Option<&On>) -> SqlError {
    let AccountName { user, host } = name;
    let of = format!("There is no such grant defined for user '{user}' on host '{host}'");
    match on {
        Some(On::Table(_, table)) => SqlError::new(1147, "42000", format!("{of} on table '{table}'")),
        Some(On::Routine(_, _, routine)) => {
            SqlError::new(1403, "42000", format!("{of} on routine '{routine}'"))
        }
        _ => SqlError::new(1141, "42000", of),
    }
}
