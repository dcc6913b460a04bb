//! What the actions of one ALTER TABLE call a column: a column that the table has before, and each by one action alone.

use p2pdb_model::catalog::{Table, same_name};

use super::Action;
use crate::error::SqlError;

/// As in MySQL, no action names what another one has made, given another name or definition, or dropped.
///
/// # Errors
/// 1054.
pub(super) fn each_once(t: &Table, actions: &[Action]) -> Result<(), SqlError> {
    let mut taken: Vec<&str> = Vec::new();
    taken.extend(actions.iter().filter_map(|a| match a {
        Action::DropColumn(name) => Some(name.as_str()),
        _ => None,
    }));
    for action in actions {
        let (Action::Change(name, ..)
        | Action::RenameColumn(name, _)
        | Action::SetDefault(name, _)
        | Action::Visible(name, _)) = action
        else {
            continue;
        };
        if t.column(name).is_none() || taken.iter().any(|n| same_name(n, name)) {
            return Err(SqlError::unknown_column(name, &t.name));
        }
        taken.push(name);
    }
    Ok(())
}
