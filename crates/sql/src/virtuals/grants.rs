//! SHOW GRANTS and the privilege tables of `information_schema`.

use std::collections::BTreeSet;

use p2pdb_model::change::Rights;
use p2pdb_model::ids::ObjectId;
use p2pdb_model::privileges::Level;
use p2pdb_model::temporal::DateTime;
use p2pdb_model::{Catalog, Privileges};

use super::{Cx, Row, text};
use crate::account::{AccountName, Granted};
use crate::error::SqlError;
use crate::schema_text::quote;

/// What a grant stands on, as SQL names it.
enum Place {
    Realm,
    Database(String),
    /// Of a view, too.
    Table(String, String),
    Routine(&'static str, String, String),
}

impl Place {
    fn of(catalog: &Catalog, id: Option<ObjectId>) -> Option<Place> {
        let Some(id) = id else { return Some(Place::Realm) };
        if let Some(t) = catalog.table_by_id(id) {
            return Some(Place::Table(t.database.clone(), t.name.clone()));
        }
        if let Some(r) = catalog.routine_by_id(id) {
            let kind =
                if r.kind() == p2pdb_model::ids::ObjectKind::Procedure { "PROCEDURE " } else { "FUNCTION " };
            return Some(Place::Routine(kind, r.database.clone(), r.name.clone()));
        }
        catalog.databases().find_map(|db| {
            if db.id == id {
                return Some(Place::Database(db.name.clone()));
            }
            let view = db.views().find(|v| v.id == id)?;
            Some(Place::Table(db.name.clone(), view.name.clone()))
        })
    }

    fn level(&self) -> Level {
        match self {
            Place::Realm => Level::Realm,
            Place::Database(_) => Level::Database,
            Place::Table(..) => Level::Table,
            Place::Routine(..) => Level::Routine,
        }
    }

    fn sql(&self) -> String {
        match self {
            Place::Realm => "*.*".to_owned(),
            Place::Database(db) => format!("{}.*", quote(db)),
            Place::Table(db, name) => format!("{}.{}", quote(db), quote(name)),
            Place::Routine(kind, db, name) => format!("{kind}{}.{}", quote(db), quote(name)),
        }
    }
}

fn named(name: &AccountName) -> String {
    format!("{}@{}", quote(&name.user), quote(&name.host))
}

/// What the asking account may see: what it has itself with its roles, and for who may read everything, everything.
fn visible(cx: &Cx<'_>) -> Vec<Granted> {
    let mut all = cx.environment.granted();
    let is_own =
        |g: &Granted| g.name.as_ref().is_some_and(|n| format!("{}@{}", n.user, n.host) == cx.session.account);
    let own = all.iter().find(|g| is_own(g)).cloned().unwrap_or_default();
    let reads_all = own.on.get(&None).is_some_and(|r| r.whole.contains(Privileges::SELECT));
    if !reads_all {
        all.retain(|g| is_own(g) || own.roles.iter().any(|(r, _)| Some(r) == g.name.as_ref()));
    }
    all
}

/// `GRANT …` lines for an account, with what these roles add.
///
/// # Errors
/// 1141, 3530.
pub(super) fn show(cx: &Cx<'_>, whose: &str, using: &[String]) -> Result<Vec<Row>, SqlError> {
    let (all, known) = (visible(cx), cx.environment.granted());
    let is_called =
        |g: &Granted, text: &str| g.name.as_ref().is_some_and(|n| format!("{}@{}", n.user, n.host) == text);
    let called = |text: &str| all.iter().find(|g| is_called(g, text));
    let (user, host) = whose.rsplit_once('@').unwrap_or((whose, "%"));
    let undefined = || {
        let message = format!("There is no such grant defined for user '{user}' on host '{host}'");
        SqlError::new(1141, "42000", message)
    };
    if called(whose).is_none() && known.iter().any(|g| is_called(g, whose)) {
        return Err(SqlError::database_denied(&cx.session.account, "mysql"));
    }
    let own = called(whose).ok_or_else(undefined)?;
    let mut shown: Vec<&Granted> = vec![own];
    let mut ending = own.until.clone();
    for role in using {
        let has = called(role).filter(|r| own.roles.iter().any(|(n, _)| Some(n) == r.name.as_ref()));
        let Some(role) = has else {
            let (r, h) = role.rsplit_once('@').unwrap_or((role, "%"));
            let message =
                format!("{}@{} is not granted to {}@{}", quote(r), quote(h), quote(user), quote(host));
            return Err(SqlError::new(3530, "HY000", message));
        };
        shown.push(role);
        ending.extend(role.until.iter().cloned());
    }
    let to = own.name.as_ref().map(named).unwrap_or_default();
    let mut objects: BTreeSet<Option<ObjectId>> =
        shown.iter().flat_map(|g| g.for_good.keys().copied()).collect();
    objects.insert(None);
    let mut lines = Vec::new();
    for on in objects {
        let Some(place) = Place::of(cx.catalog, on) else { continue };
        let (mut rights, mut later) = together(&shown, on);
        let mut without = "";
        // What is not read is the same with the history and without it.
        if later != Rights::default() && rights.reading() == Rights::default() {
            rights.add(&std::mem::take(&mut later));
            without = WITHOUT_HISTORY;
        }
        // Rights on columns that are gone are none.
        rights = of_what_is_there(cx.catalog, &place, rights);
        later = of_what_is_there(cx.catalog, &place, later);
        if on.is_none() || rights != Rights::default() {
            lines.push(format!("{}{without}", line(cx.catalog, &place, Some(&rights), &to)));
        }
        if later != Rights::default() {
            lines.push(format!("{}{WITHOUT_HISTORY}", line(cx.catalog, &place, Some(&later), &to)));
        }
    }
    let end = |ms: u64| {
        let utc = DateTime::from_unix_us((ms as i64).saturating_mul(1_000));
        let mut end = String::new();
        let _ = cx.session.time_zone.zone.to_local(utc).format(0, &mut end);
        format!(" UNTIL '{end}'")
    };
    for (on, ms, history, rights) in &ending {
        let Some(place) = Place::of(cx.catalog, *on) else { continue };
        let rights = of_what_is_there(cx.catalog, &place, rights.clone());
        if rights != Rights::default() {
            let without = if *history { "" } else { WITHOUT_HISTORY };
            lines.push(format!("{}{}{without}", line(cx.catalog, &place, Some(&rights), &to), end(*ms)));
        }
    }
    let ends = |role: &AccountName| own.role_ends.iter().find(|(n, _)| n == role).map(|(_, ms)| *ms);
    for admin in [false, true] {
        let option = if admin { " WITH ADMIN OPTION" } else { "" };
        let all = || own.roles.iter().filter(|r| r.1 == admin).map(|(n, _)| n);
        let roles: Vec<String> = all().filter(|n| ends(n).is_none()).map(named).collect();
        if !roles.is_empty() {
            lines.push(format!("GRANT {} TO {to}{option}", roles.join(",")));
        }
        for (role, ms) in all().filter_map(|n| Some((n, ends(n)?))) {
            lines.push(format!("GRANT {} TO {to}{option}{}", named(role), end(ms)));
        }
    }
    Ok(lines.into_iter().map(|l| vec![text(l)]).collect())
}

const WITHOUT_HISTORY: &str = " WITHOUT HISTORY";

/// What these have on an object together: what opens all of sealed columns, or is not about reading, and what opens of them only
/// what is written later.
fn together(all: &[&Granted], on: Option<ObjectId>) -> (Rights, Rights) {
    let (mut rights, mut later) = (Rights::default(), Rights::default());
    for g in all {
        let own = g.from_now_on.get(&on).cloned().unwrap_or_default();
        rights.add(&g.for_good.get(&on).cloned().unwrap_or_default().without(&own));
        later.add(&own);
    }
    let later = later.without(&rights);
    (rights, later)
}

fn of_what_is_there(catalog: &Catalog, place: &Place, mut rights: Rights) -> Rights {
    let table = if let Place::Table(db, name) = place { catalog.table(db, name) } else { None };
    rights.columns.retain(|(tag, _)| table.is_some_and(|t| t.column_by_tag(*tag).is_some()));
    rights
}

fn line(catalog: &Catalog, place: &Place, rights: Option<&Rights>, to: &str) -> String {
    let none = Rights::default();
    let rights = rights.unwrap_or(&none);
    let all = Privileges::all_at(place.level());
    let mut what: Vec<String> = Vec::new();
    if rights.whole.contains(all) {
        what.push("ALL PRIVILEGES".to_owned());
    } else {
        let table = match place {
            Place::Table(db, name) => catalog.table(db, name),
            _ => None,
        };
        for privilege in all.iter() {
            let name = privilege.to_string();
            if rights.whole.contains(privilege) {
                what.push(name);
                continue;
            }
            let of_table = table.into_iter().flat_map(|t| &t.columns);
            let with = of_table.filter(|c| rights.on_column(c.tag).contains(privilege));
            let columns: Vec<String> = with.map(|c| quote(&c.name)).collect();
            if !columns.is_empty() {
                what.push(format!("{name} ({})", columns.join(", ")));
            }
        }
    }
    if what.is_empty() {
        what.push("USAGE".to_owned());
    }
    let option = if rights.whole.contains(Privileges::GRANT_OPTION) { " WITH GRANT OPTION" } else { "" };
    format!("GRANT {} ON {} TO {to}{option}", what.join(", "), place.sql())
}

fn grantee(g: &Granted) -> String {
    g.name.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn grantable(rights: &Rights) -> &'static str {
    if rights.whole.contains(Privileges::GRANT_OPTION) { "YES" } else { "NO" }
}

/// `USER_PRIVILEGES`.
pub(super) fn users(cx: &Cx<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for g in visible(cx) {
        let rights = g.on.get(&None).cloned().unwrap_or_default();
        let mut names: Vec<&str> = (rights.whole & Privileges::ALL).names().collect();
        if names.is_empty() {
            names.push("USAGE");
        }
        let row = |name: &str| vec![text(grantee(&g)), text("def"), text(name), text(grantable(&rights))];
        rows.extend(names.into_iter().map(row));
    }
    rows
}

fn rows(cx: &Cx<'_>, mut each: impl FnMut(&Granted, &Place, &Rights)) {
    for g in visible(cx) {
        for (on, rights) in &g.on {
            if let Some(place) = Place::of(cx.catalog, *on) {
                each(&g, &place, rights);
            }
        }
    }
}

/// `SCHEMA_PRIVILEGES`.
pub(super) fn databases(cx: &Cx<'_>) -> Vec<Row> {
    let mut out = Vec::new();
    rows(cx, |g, place, rights| {
        let Place::Database(db) = place else { return };
        for name in (rights.whole & Privileges::ALL).names() {
            let row =
                [grantee(g), "def".to_owned(), db.clone(), name.to_owned(), grantable(rights).to_owned()];
            out.push(row.into_iter().map(text).collect());
        }
    });
    out
}

/// `TABLE_PRIVILEGES`.
pub(super) fn tables(cx: &Cx<'_>) -> Vec<Row> {
    let mut out = Vec::new();
    rows(cx, |g, place, rights| {
        let Place::Table(db, table) = place else { return };
        for name in (rights.whole & Privileges::ALL).names() {
            let row = [grantee(g), "def".to_owned(), db.clone(), table.clone(), name.to_owned()];
            let row = row.into_iter().chain([grantable(rights).to_owned()]);
            out.push(row.map(text).collect());
        }
    });
    out
}

/// `COLUMN_PRIVILEGES`.
pub(super) fn columns(cx: &Cx<'_>) -> Vec<Row> {
    let mut out = Vec::new();
    rows(cx, |g, place, rights| {
        let Place::Table(db, table) = place else { return };
        for (tag, privileges) in &rights.columns {
            let found = cx.catalog.table(db, table).and_then(|t| t.column_by_tag(*tag));
            let Some(column) = found.map(|c| c.name.clone()) else { continue };
            for name in privileges.names() {
                let row = [grantee(g), "def".to_owned(), db.clone(), table.clone(), column.clone()];
                let row = row.into_iter().chain([name.to_owned(), grantable(rights).to_owned()]);
                out.push(row.map(text).collect());
            }
        }
    });
    out
}
