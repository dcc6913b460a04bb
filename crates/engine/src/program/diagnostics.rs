//! SIGNAL, RESIGNAL and GET DIAGNOSTICS.

use p2pdb_model::Value;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::FieldType;
use p2pdb_sql::plan::{Note, NoteLevel};
use p2pdb_sql::routine::conditions::{Target, Wanted, state_of};
use p2pdb_sql::routine::{Diagnostics, Item, Signal};
use p2pdb_sql::session::{SessionState, Signalled, UserVariable};

use super::{Host, Loaded, Result, assigned, lost};
use crate::words;

/// Characters of MESSAGE_TEXT.
const MESSAGE_CHARS_MAX: usize = 128;

/// A note of the warning list as the error that it stands for.
pub(super) fn of_note(state: &SessionState, note: &Note) -> SqlError {
    if let Some(s) = signalled(state, note) {
        return s.error.clone();
    }
    let sqlstate = state_of(note.code, note.level != NoteLevel::Error);
    SqlError::new(note.code, sqlstate, note.message.clone())
}

fn signalled<'s>(state: &'s SessionState, note: &Note) -> Option<&'s Signalled> {
    let raised = state.raised.iter().rev();
    raised.into_iter().find(|s| s.error.code == note.code && s.error.message == note.message)
}

/// What SIGNAL and RESIGNAL raise; none: a warning, which is noted.
pub(super) fn signal(
    host: &mut dyn Host,
    loaded: &Loaded,
    signal: &Signal,
    handled: Option<&SqlError>,
) -> Result<Option<SqlError>> {
    if signal.again && handled.is_none() {
        return Err(SqlError::new(1645, "0K000", "RESIGNAL when handler not active"));
    }
    let mut error = match (&signal.state, handled) {
        (None, Some(e)) => e.clone(),
        (None, None) => return Err(lost()),
        (Some(state), handled) => {
            let (code, what) = match &state[..2] {
                "01" => (1642, "warning"),
                "02" => (1643, "not found"),
                _ => (1644, "exception"),
            };
            let message = match handled.filter(|_| signal.again) {
                Some(e) => e.message.clone(),
                None => format!("Unhandled user-defined {what} condition"),
            };
            let code = handled.filter(|_| signal.again).map_or(code, |e| e.code);
            SqlError::new(code, state.clone(), message)
        }
    };
    let mut items = match handled {
        Some(e) => host.core().state.raised.iter().rev().find(|s| s.error == *e).map(|s| s.items.clone()),
        None => None,
    }
    .filter(|_| signal.again)
    .unwrap_or_default();
    for (item, piece) in &signal.items {
        let (value, ty) = loaded.value(host, *piece)?;
        if value.is_null() {
            let message = format!("Variable '{}' can't be set to the value of 'NULL'", item.name());
            return Err(SqlError::new(1231, "42000", message));
        }
        let text = words::text(&ty, (&value).into());
        match item {
            Item::Errno => {
                let code = text.parse::<u16>().ok().filter(|n| *n > 0);
                error.code = code.ok_or_else(|| {
                    let message = format!("Variable 'MYSQL_ERRNO' can't be set to the value of '{text}'");
                    SqlError::new(1231, "42000", message)
                })?;
            }
            Item::MessageText => {
                if text.chars().count() > MESSAGE_CHARS_MAX && host.core().state.sql_mode.strict() {
                    let message = "Data too long for condition item 'MESSAGE_TEXT'";
                    return Err(SqlError::new(1648, "HY000", message));
                }
                error.message = text.chars().take(MESSAGE_CHARS_MAX).collect();
            }
            item => {
                let name = item.name();
                items.retain(|(n, _)| *n != name);
                items.push((name, text));
            }
        }
    }
    let state = &mut host.core().state;
    if !signal.again {
        state.clear_warnings();
        state.raised.clear();
    }
    // No more than a handler of a handler needs.
    if state.raised.len() >= 16 {
        state.raised.remove(0);
    }
    state.raised.push(Signalled { error: error.clone(), items });
    if error.state.starts_with("01") {
        let note = Note { level: NoteLevel::Warning, code: error.code, message: error.message };
        state.warn(note);
        return Ok(None);
    }
    Ok(Some(error))
}

/// GET DIAGNOSTICS.
pub(super) fn get(
    host: &mut dyn Host,
    loaded: &Loaded,
    wanted: &Diagnostics,
    stacked: Option<Vec<Note>>,
) -> Result<()> {
    let notes = match (wanted.stacked, stacked) {
        (false, _) => host.core().state.warnings.clone(),
        (true, Some(notes)) => notes,
        (true, None) => {
            let message = "GET STACKED DIAGNOSTICS when handler not active";
            return Err(SqlError::new(3004, "0Z002", message));
        }
    };
    let mut found: Vec<(&Target, Value, FieldType)> = Vec::new();
    match &wanted.what {
        Wanted::Statement(all) => {
            for (target, number) in all {
                let n = if *number { notes.len() as i64 } else { host.core().state.row_count };
                found.push((target, Value::Int(n), FieldType::int()));
            }
        }
        Wanted::Condition(number, all) => {
            let (n, _) = loaded.value(host, *number)?;
            let state = &host.core().state;
            let note = match n {
                Value::Int(n) => usize::try_from(n).ok().and_then(|n| notes.get(n.checked_sub(1)?)),
                _ => None,
            };
            let Some(note) = note else {
                // Said, but no reason to fail.
                let message = "Invalid condition number".to_owned();
                host.core().state.warn(Note { level: NoteLevel::Error, code: 1758, message });
                return Ok(());
            };
            let error = of_note(state, note);
            let items = signalled(state, note).map(|s| s.items.clone()).unwrap_or_default();
            for (target, item) in all {
                let text = match item {
                    Item::Errno => {
                        found.push((target, Value::Int(error.code.into()), FieldType::uint()));
                        continue;
                    }
                    Item::ReturnedState => error.state.to_string(),
                    Item::MessageText => error.message.clone(),
                    item => {
                        let set = items.iter().find(|(n, _)| *n == item.name()).map(|(_, v)| v.clone());
                        set.unwrap_or_else(|| origin(*item, &error.state).to_owned())
                    }
                };
                let ty = FieldType::text(text.chars().count() as u32, state.collation);
                found.push((target, Value::Text(text), ty));
            }
        }
    }
    let inner = host.inner();
    let core = host.core();
    for (target, value, ty) in found {
        match target {
            Target::User(name) => {
                core.state.user_variables.insert(name.clone(), UserVariable { value, ty });
            }
            Target::Local(at) => {
                let to = loaded.program.variables.get(*at).ok_or_else(lost)?;
                let value = assigned(core, &inner, to, value, &ty)?;
                if let Some(locals) = &mut core.state.locals {
                    locals.values[*at] = value;
                }
            }
        }
    }
    Ok(())
}

/// Where a class or subclass of SQLSTATE comes from (MySQL 8.0 Reference Manual, SIGNAL Condition Information Items).
fn origin(item: Item, state: &str) -> &'static str {
    let standard = |c: Option<u8>| c.is_some_and(|c| matches!(c, b'0'..=b'4' | b'A'..=b'H'));
    let bytes = state.as_bytes();
    let iso = match item {
        Item::ClassOrigin => standard(bytes.first().copied()),
        Item::SubclassOrigin => standard(bytes.first().copied()) && standard(bytes.get(2).copied()),
        _ => return "",
    };
    if iso { "ISO 9075" } else { "MySQL" }
}
