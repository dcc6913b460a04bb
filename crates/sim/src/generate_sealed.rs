//! A sealed column in a world: who may read it changes, here and there, while several write it.
//!
//! The table stands in a database of its own, `x`, which the other oracles do not look at; every value that is written to it is written
//! by one statement in the whole world, and looks like no other text. `oracle::sealed` judges who could have read what.

use crate::generate::FIRST_MS;
use crate::plan::{Plan, Step, Timed, Transaction};
use crate::random::Random;

/// The database of the table.
pub const DATABASE: &str = "x";
/// The table.
pub const TABLE: &str = "secret";
/// What every sealed value begins with; four digits follow.
pub const VALUE: &str = "sealed-";
/// Accounts that may come to read it.
pub const READERS: [&str; 4] = ["root", "boss", "u1", "u2"];

/// Keys of rows.
const IDS: u64 = 6;
/// Values written, least and greatest.
const WRITES: (u64, u64) = (8, 20);
/// Times that somebody may read it, or not any more, least and greatest.
const DEEDS: (u64, u64) = (3, 9);

fn value(n: u64) -> String {
    format!("{VALUE}{n:04}")
}

/// What the founder writes before anybody joins, behind the accounts.
pub fn setup() -> Vec<String> {
    let work = "SELECT, INSERT, UPDATE, DELETE";
    vec![
        format!("CREATE DATABASE {DATABASE}"),
        format!(
            "CREATE TABLE {DATABASE}.{TABLE} (id INT PRIMARY KEY, v VARCHAR(40) COMMENT '[sealed]', KEY (v))"
        ),
        format!("INSERT INTO {DATABASE}.{TABLE} VALUES (1, '{}'), (2, '{}'), (3, NULL)", value(1), value(2)),
        format!("GRANT {work} ON {DATABASE}.{TABLE} TO u1"),
        format!("GRANT {work} ON {DATABASE}.{TABLE} TO crew"),
    ]
}

/// Adds it to a plan that has accounts.
pub fn add(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "sealed");
    plan.sealed = true;
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    let nodes = plan.nodes.len() as u64;
    let mut say = |at_ms: u64, node: u64, account: &str, statement: String| {
        let account = (account != "root").then(|| account.to_owned());
        let transaction = Transaction { id: 0, statements: vec![statement], rollback: false, account };
        plan.steps.push(Timed { at_ms, step: Step::Work { node: node as usize, client: 0, transaction } });
    };
    let on = format!("{DATABASE}.{TABLE}");
    for n in 3..3 + r.between(WRITES.0, WRITES.1) {
        let (at_ms, node, id) = (r.between(FIRST_MS, end_ms), r.below(nodes), r.between(1, IDS));
        // Root reads on the founder alone.
        let account = if node == 0 { *r.pick(&READERS) } else { *r.pick(&READERS[1..]) };
        let v = value(n);
        let statement = match r.below(8) {
            0..=2 => format!("UPDATE {on} SET v = '{v}' WHERE id = {id}"),
            3..=5 => format!("INSERT INTO {on} VALUES ({id}, '{v}') ON DUPLICATE KEY UPDATE v = VALUES(v)"),
            6 => format!("UPDATE {on} SET v = '{v}' WHERE v = '{}'", value(r.between(1, n))),
            _ => format!("DELETE FROM {on} WHERE id = {id}"),
        };
        say(at_ms, node, account, statement);
    }
    for _ in 0..r.between(DEEDS.0, DEEDS.1) {
        let (at_ms, node) = (r.between(FIRST_MS, end_ms), r.below(nodes));
        let by = if r.percent(60) { "root" } else { "boss" };
        let who = *r.pick(&["u1", "u2", "crew", "u1"]);
        let statement = match r.below(8) {
            0..=2 => format!("REVOKE SELECT ON {on} FROM {who}"),
            3 | 4 => format!("GRANT SELECT ON {on} TO {who}"),
            5 => format!("GRANT SELECT (v), UPDATE ON {on} TO {who}"),
            6 => format!("GRANT SELECT ON {on} TO {who} WITHOUT HISTORY"),
            _ => "REVOKE crew FROM u2".to_owned(),
        };
        say(at_ms, node, by, statement);
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}
