//! What a client hears of its session with an OK packet (MySQL manual, section 7.1.18, "Server Tracking of Client Session State"):
//! what it has asked for by the variables `session_track_…`.

use p2pdb_engine::{Outcome, TransactionNews};
use p2pdb_model::Value;
use p2pdb_mysql::SessionChange;
use p2pdb_sql::session::SessionState;

/// What one statement has changed, as far as the client wants to hear of it.
pub(super) struct Heard<'a> {
    variables: Vec<(&'a str, &'a str)>,
    schema: Option<&'a str>,
    state: bool,
    gtids: Option<String>,
    transaction: TransactionNews,
}

impl<'a> Heard<'a> {
    pub(super) fn of(outcome: &'a Outcome, transaction: TransactionNews, session: &SessionState) -> Self {
        let mut variables = Vec::new();
        if !outcome.variables_changed.is_empty() {
            let tracked =
                Tracked::of(&text(session, "session_track_system_variables", false).unwrap_or_default());
            let changed = outcome.variables_changed.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            variables.extend(changed.filter(|(n, _)| tracked.has(n)));
        }
        let schema = outcome.schema_changed.as_deref().filter(|_| {
            let tracked = session.system_variable("session_track_schema", false);
            tracked.is_ok_and(|v| v.as_u64() == Some(1))
        });
        let gtids = outcome.gtid.as_deref().and_then(|own| {
            // Asked only where there is a commit.
            match text(session, "session_track_gtids", false)?.as_str() {
                "OWN_GTID" => Some(own.to_owned()),
                "ALL_GTIDS" => text(session, "gtid_executed", true),
                _ => None,
            }
        });
        Heard { variables, schema, state: outcome.state_changed, gtids, transaction }
    }

    pub(super) fn changes(&self) -> Vec<SessionChange<'_>> {
        let mut changes = Vec::new();
        changes
            .extend(self.variables.iter().map(|(name, value)| SessionChange::SystemVariable { name, value }));
        changes.extend(self.schema.map(SessionChange::Schema));
        changes.extend(self.state.then_some(SessionChange::StateChanged));
        changes.extend(self.gtids.as_deref().map(SessionChange::Gtids));
        changes.extend(of_transaction(&self.transaction));
        changes
    }
}

/// What changes by news of the transaction.
pub(super) fn of_transaction(news: &TransactionNews) -> impl Iterator<Item = SessionChange<'_>> {
    let characteristics = news.characteristics.as_deref().map(SessionChange::TransactionCharacteristics);
    characteristics.into_iter().chain(news.state.as_deref().map(SessionChange::TransactionState))
}

fn text(session: &SessionState, name: &str, global: bool) -> Option<String> {
    match session.system_variable(name, global) {
        Ok(Value::Text(t)) => Some(t),
        _ => None,
    }
}

/// The system variables of which a client hears when they change.
enum Tracked {
    All,
    These(Vec<String>),
}

impl Tracked {
    fn of(list: &str) -> Self {
        match list.trim() {
            "*" => Tracked::All,
            list => Tracked::These(list.split(',').map(|n| n.trim().to_ascii_lowercase()).collect()),
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Tracked::All => true,
            Tracked::These(names) => names.iter().any(|n| n == name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_variables_that_a_list_names_clients_hear() {
        for (list, name, hears) in [
            ("time_zone, SQL_MODE", "sql_mode", true),
            ("time_zone,sql_mode", "time_zone", true),
            ("time_zone,sql_mode", "autocommit", false),
            ("", "autocommit", false),
            ("*", "autocommit", true),
        ] {
            assert_eq!(Tracked::of(list).has(name), hears, "{list} {name}");
        }
    }
}
