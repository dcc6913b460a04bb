//! What a session's account may do, asked before a statement runs ([`p2pdb_sql::needs`]).

use std::sync::Arc;

use p2pdb_access::{Access, Asker, Columns};
use p2pdb_model::change::SchemaChange;
use p2pdb_model::fault;
use p2pdb_model::ids::{ObjectId, ObjectKind};
use p2pdb_model::{AccountId, Catalog, NodeId, Privileges, Stamp};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::needs::Need;
use p2pdb_sql::session::SessionState;

/// Remembers that the account may do everything, as long as nobody's rights change.
#[derive(Debug, Default)]
pub(crate) struct Powers {
    everything: Option<Arc<Access>>,
}

/// What an account has that need not be asked for anything on a table.
const EVERYTHING: Privileges = Privileges(
    Privileges::SELECT.0
        | Privileges::INSERT.0
        | Privileges::UPDATE.0
        | Privileges::DELETE.0
        | Privileges::DROP.0
        | Privileges::EXECUTE.0
        | Privileges::CREATE_TEMPORARY_TABLES.0
        | Privileges::LOCK_TABLES.0,
);

/// What may be granted to the owners of rows.
const OF_ROWS: Privileges = Privileges(Privileges::INSERT.0 | Privileges::UPDATE.0 | Privileges::DELETE.0);

impl Powers {
    /// Everything that is needed is granted.
    ///
    /// # Errors
    /// 1142, 1143, 1370.
    pub(crate) fn check(
        &mut self,
        access: &Arc<Access>,
        account: AccountId,
        state: &SessionState,
        now: Stamp,
        needs: &[Need],
        node: NodeId,
    ) -> Result<(), SqlError> {
        // Who may read a sealed column does so on nodes of its own; others have no key.
        for need in needs.iter().filter(|n| n.sealed) {
            let Some(table) = need.on else { continue };
            let reads = |tag| access.is_reader(account, node, table, tag, now);
            if let Some((_, column)) = need.columns.iter().find(|(tag, _)| !reads(*tag)) {
                let own = state.user_at_host();
                return Err(SqlError::column_denied(&own, need.privilege, column, &need.name));
            }
        }
        if fault::is_patched() {
            return Ok(());
        }
        if needs.is_empty() || self.everything.as_ref().is_some_and(|known| Arc::ptr_eq(known, access)) {
            return Ok(());
        }
        self.everything = None;
        // Its own, without an end, so that it need not be looked at again.
        if access.grants(account, Stamp(u64::MAX)).on.get(&None).is_some_and(|r| r.whole.contains(EVERYTHING))
        {
            self.everything = Some(access.clone());
            return Ok(());
        }
        let roles: Vec<AccountId> = state.roles.iter().map(|(id, _)| *id).collect();
        let asker = Asker { account, roles: &roles, now };
        for need in needs.iter().filter(|n| !n.sealed) {
            let allows = |columns| access.allows(&asker, need.on, need.privilege, columns);
            let columns = match need.columns.as_slice() {
                [] if need.any_column => Columns::Any,
                [] => Columns::No,
                all => Columns::Each(all.iter().map(|(tag, _)| *tag).collect()),
            };
            if allows(columns.clone()) {
                continue;
            }
            // Perhaps of rows that are the account's own: which they are shows when they are written.
            if need.privilege.intersects(OF_ROWS)
                && let Some(table) = need.on
                && access.allows_owners(table, need.privilege, columns, now)
            {
                continue;
            }
            let own = access.grants(account, now).on;
            let some_column = own.get(&need.on).is_some_and(|r| !r.columns.is_empty());
            let lacking = need.columns.iter().find(|(tag, _)| !allows(Columns::Each(vec![*tag])));
            return Err(denied(state, need, lacking.filter(|_| some_column).map(|(_, name)| name.as_str())));
        }
        Ok(())
    }
}

/// 1227: none of these privileges is granted on everything.
pub(crate) fn lacking(privileges: &str) -> SqlError {
    let message =
        format!("Access denied; you need (at least one of) the {privileges} privilege(s) for this operation");
    SqlError::new(1227, "42000", message)
}

fn denied(state: &SessionState, need: &Need, column: Option<&str>) -> SqlError {
    let own = state.user_at_host();
    match column {
        _ if need.name.is_empty() => SqlError::database_denied(&own, &need.database),
        _ if need.privilege == Privileges::EXECUTE => {
            SqlError::routine_denied(&own, "execute", format!("{}.{}", need.database, need.name))
        }
        Some(column) => SqlError::column_denied(&own, need.privilege, column, &need.name),
        None => SqlError::table_denied(&own, need.privilege, &need.name),
    }
}

/// What a schema statement says that was not granted (MySQL's words name the first object).
pub(crate) fn schema_denied(state: &SessionState, catalog: &Catalog, changes: &[SchemaChange]) -> SqlError {
    let own = state.user_at_host();
    let account = state.account.as_str();
    let definers = changes.iter().filter_map(|c| match c {
        SchemaChange::Put { definition: Some(d), .. } => p2pdb_access::definer(d),
        _ => None,
    });
    if definers.into_iter().any(|d| d != account) {
        return lacking("SUPER or SET_ANY_DEFINER");
    }
    let database_of = |id: ObjectId| catalog.databases().find(|d| d.id == id).map(|d| d.name.clone());
    let table_of = |id: ObjectId| catalog.table_by_id(id).map(|t| t.name.clone());
    let (command, database, table) = match changes.first() {
        Some(SchemaChange::Put { id, kind, parent, name, .. }) => {
            let named = name.clone().unwrap_or_default();
            let there = database_of(*id).or_else(|| table_of(*id));
            match kind {
                ObjectKind::Database => ("CREATE", Some(there.unwrap_or(named)), None),
                ObjectKind::Procedure | ObjectKind::Function => {
                    ("CREATE ROUTINE", database_of(*parent), None)
                }
                ObjectKind::Table if there.is_some() => ("ALTER", None, there),
                ObjectKind::Table => ("CREATE", None, Some(named)),
                ObjectKind::View => ("CREATE VIEW", None, Some(named)),
                ObjectKind::Trigger => ("TRIGGER", None, table_of(*parent)),
                ObjectKind::Index => ("INDEX", None, table_of(*parent)),
                ObjectKind::Column | ObjectKind::ForeignKey | ObjectKind::Check => {
                    ("ALTER", None, table_of(*parent))
                }
            }
        }
        Some(SchemaChange::Drop { id }) => ("DROP", database_of(*id), table_of(*id)),
        None => ("CREATE", None, None),
    };
    match database {
        Some(db) => SqlError::database_denied(&own, db),
        None => SqlError::table_denied(&own, command, table.unwrap_or_default()),
    }
}
