//! The roles that a session has activated (MySQL 8.0 manual, section 8.2.10).
//!
//! They restrain what the session's own node lets through. Other nodes count every role that the account has.

use p2pdb_access::{Access, AccountView};
use p2pdb_model::{AccountId, Stamp};
use p2pdb_sql::account::{AccountName, Roles};
use p2pdb_sql::error::SqlError;

/// Roles with their names as CURRENT_ROLE() gives them, in the order of names.
pub(crate) type Active = Vec<(AccountId, String)>;

fn named(access: &Access, ids: &[AccountId]) -> Active {
    let accounts = access.accounts().into_iter().filter(|a| ids.contains(&a.id));
    let name = |a: AccountView| (a.id, AccountName { user: a.name, host: a.host }.ticked());
    let mut active: Active = accounts.map(name).collect();
    active.sort_by(|a, b| a.1.cmp(&b.1));
    active
}

/// Those that a session of the account begins with.
pub(crate) fn begin(access: &Access, account: AccountId, now: Stamp) -> Active {
    let view = access.grants(account, now);
    if view.roles.is_empty() {
        return Active::new();
    }
    let has = |id: &AccountId| view.roles.iter().any(|r| r.role == *id);
    let ids: Vec<AccountId> = match view.default_roles {
        Some(ids) => ids.into_iter().filter(has).collect(),
        None => view.roles.iter().map(|r| r.role).collect(),
    };
    named(access, &ids)
}

/// SET ROLE.
///
/// # Errors
/// 3530 for one that the account does not have.
pub(crate) fn set(
    access: &Access,
    account: AccountId,
    account_name: &str,
    roles: &Roles,
    now: Stamp,
) -> Result<Active, SqlError> {
    let has: Vec<AccountId> = access.grants(account, now).roles.iter().map(|r| r.role).collect();
    let accounts = access.accounts();
    let find = |name: &AccountName| {
        let found = accounts.iter().find(|a| name.is(&a.name, &a.host));
        found.map(|a| a.id).filter(|id| has.contains(id)).ok_or_else(|| {
            let (user, host) = account_name.rsplit_once('@').unwrap_or((account_name, "%"));
            let message = format!("{} is not granted to `{user}`@`{host}`", name.ticked());
            SqlError::new(3530, "HY000", message)
        })
    };
    let ids: Vec<AccountId> = match roles {
        Roles::Default => return Ok(begin(access, account, now)),
        Roles::None => Vec::new(),
        Roles::All(except) => {
            let except: Vec<AccountId> = except.iter().filter_map(|n| find(n).ok()).collect();
            has.iter().copied().filter(|id| !except.contains(id)).collect()
        }
        Roles::These(names) => names.iter().map(find).collect::<Result<_, _>>()?,
    };
    Ok(named(access, &ids))
}
