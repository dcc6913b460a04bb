//! Accounts in a world: who acts for whom, what is granted and taken back, on several nodes at once. Beside them several owners
//! who remove members, and foreign keys that come and go.
//!
//! Worlds that have them have the accounts `u1` and `u2`, which clients work as, `boss`, which may do everything and is not
//! the realm's first account, and the role `crew`. What they were given in the beginning is in [`setup`]; afterwards root and boss
//! give and take, here and there, and a node's delegation is withdrawn now and then. Everything in it an oracle judges by a code of
//! its own (`oracle::verdicts`), so that what is not known there is not written here: boss and root alone give and take (but for keys of one's own), nobody
//! takes anything from root, and from boss root alone.

use crate::generate::FIRST_MS;
use crate::plan::{Plan, Step, Timed, Transaction};
use crate::random::Random;
use crate::time::wall;

/// What a client needs for its work.
const WORK: &str = "SELECT, INSERT, UPDATE, DELETE, EXECUTE";
/// Accounts that clients work as.
const WORKERS: [&str; 2] = ["u1", "u2"];
/// The account of a node's owner who has patched it.
const MALLORY: &str = "mallory";
/// Of a hundred worlds with accounts, those with such a node.
const PATCHED: u64 = 30;
/// Times that something is given or taken, least and greatest.
const DEEDS: (u64, u64) = (2, 9);

/// What the founder writes before anybody joins.
pub fn setup() -> Vec<String> {
    vec![
        "CREATE ROLE crew".to_owned(),
        "CREATE USER u1 IDENTIFIED BY 'a', u2 IDENTIFIED BY 'b', boss IDENTIFIED BY 'c'".to_owned(),
        "GRANT ALL ON *.* TO boss WITH GRANT OPTION".to_owned(),
        format!("GRANT {WORK} ON w.* TO u1"),
        format!("GRANT {WORK} ON w.* TO crew"),
        "GRANT crew TO u2".to_owned(),
    ]
}

/// Adds accounts to a plan.
pub fn add(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "accounts");
    plan.accounts = true;
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    let nodes = plan.nodes.len() as u64;
    for timed in &mut plan.steps {
        if let Step::Work { transaction, .. } = &mut timed.step
            && r.percent(55)
        {
            transaction.account = Some((*r.pick(&WORKERS)).to_owned());
        }
    }
    let mut steps = Vec::new();
    let mut say = |at_ms: u64, node: u64, account: Option<&str>, statement: String| {
        let account = account.map(str::to_owned);
        let transaction = Transaction { id: 0, statements: vec![statement], rollback: false, account };
        steps.push(Timed { at_ms, step: Step::Work { node: node as usize, client: 0, transaction } });
    };
    for node in 1..nodes {
        for account in ["u1", "u2", "boss"] {
            // As soon as it is there; some later, some never.
            let at_ms = match r.below(10) {
                0 => continue,
                1 => r.between(FIRST_MS, end_ms),
                _ => FIRST_MS.max(plan.nodes[node as usize].joins_ms + 1_000),
            };
            say(at_ms, node, None, format!("ALTER USER {account} IDENTIFIED BY 'here'"));
        }
    }
    if r.percent(40) {
        // What boss takes, and nobody may do any more, comes back.
        let at_ms = r.between(FIRST_MS, end_ms);
        let what = *r.pick(&["crew FROM u2", "SELECT, INSERT, UPDATE, DELETE, EXECUTE ON w.* FROM u1"]);
        say(at_ms, r.below(nodes), Some("boss"), format!("REVOKE {what}"));
        let statement = "REVOKE ALL PRIVILEGES, GRANT OPTION FROM boss KEEP THROUGH ''";
        say(at_ms + r.between(0, 6_000), r.below(nodes), None, statement.to_owned());
    }
    let mut withdrawn = Vec::new();
    for _ in 0..r.between(DEEDS.0, DEEDS.1) {
        let (at_ms, node) = (r.between(FIRST_MS, end_ms), r.below(nodes));
        if r.percent(20) {
            let account = (*r.pick(&["u1", "u2", "u1", "boss"])).to_owned();
            let gone = r.below(nodes) as usize;
            let step = Step::Withdraw { by: node as usize, account: account.clone(), node: gone };
            withdrawn.push(Timed { at_ms, step });
            if r.percent(50) {
                let later_ms = at_ms + r.between(500, 10_000);
                say(later_ms, gone as u64, None, format!("ALTER USER {account} IDENTIFIED BY 'again'"));
            }
            continue;
        }
        let boss = r.percent(50).then_some("boss");
        let account = *r.pick(&WORKERS);
        let statement = match r.below(15) {
            0 | 1 => format!("REVOKE {WORK} ON w.* FROM {account}"),
            2 | 3 => "REVOKE crew FROM u2".to_owned(),
            4 => format!("REVOKE {} ON w.* FROM {account}", r.pick(&["INSERT", "UPDATE", "DELETE"])),
            5 => format!("REVOKE {} ON w.* FROM crew", r.pick(&["INSERT", "UPDATE, DELETE"])),
            6 => format!("REVOKE {WORK} ON w.* FROM {account} KEEP THROUGH ''"),
            7 | 8 => format!("GRANT {WORK} ON w.* TO {account}"),
            9 => format!("GRANT crew TO {account}"),
            10 => format!("GRANT {WORK} ON w.* TO crew"),
            11 => {
                let table = &r.pick(&plan.tables).name;
                match r.percent(50) {
                    true => format!("GRANT INSERT, UPDATE ON w.{table} TO {account}"),
                    false => format!("REVOKE UPDATE ON w.{table} FROM {account}"),
                }
            }
            12 => format!("DROP USER {account}"),
            _ => {
                // What boss has taken comes back, or boss itself does.
                let statement = match r.below(3) {
                    0 => "GRANT ALL ON *.* TO boss WITH GRANT OPTION",
                    1 => "REVOKE ALL PRIVILEGES, GRANT OPTION FROM boss",
                    _ => "REVOKE ALL PRIVILEGES, GRANT OPTION FROM boss KEEP THROUGH ''",
                };
                say(at_ms, node, None, statement.to_owned());
                continue;
            }
        };
        let again = statement.starts_with("DROP USER");
        say(at_ms, node, boss, statement);
        if again {
            let later_ms = at_ms + r.between(100, 5_000);
            say(later_ms, node, None, format!("CREATE USER {account} IDENTIFIED BY 'new'"));
            say(later_ms + 100, node, boss, format!("GRANT {WORK} ON w.* TO {account}"));
        }
    }
    plan.steps.append(&mut steps);
    plan.steps.append(&mut withdrawn);
    plan.steps.sort_by_key(|t| t.at_ms);
}

/// Keys of accounts are dropped, here and there; mostly the account is given another one.
pub fn add_lost_keys(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "lost keys");
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    let nodes = plan.nodes.len() as u64;
    for _ in 0..r.between(1, 4) {
        let at_ms = r.between(FIRST_MS, end_ms);
        let account = (*r.pick(&["u1", "u2", "u1", "u2", "boss"])).to_owned();
        let acting = match r.below(10) {
            0..=3 if account != "boss" => Some("boss".to_owned()),
            4..=6 => Some(account.clone()),
            _ => None,
        };
        let (by, nth, from_the_beginning) = (r.below(nodes) as usize, r.below(4) as usize, r.percent(30));
        let again = format!("ALTER USER {account} IDENTIFIED BY 'again'");
        let step = Step::DropKey { by, acting, account, nth, from_the_beginning };
        plan.steps.push(Timed { at_ms, step });
        if r.percent(70) {
            let transaction = Transaction { id: 0, statements: vec![again], rollback: false, account: None };
            let step = Step::Work { node: r.below(nodes) as usize, client: 0, transaction };
            plan.steps.push(Timed { at_ms: at_ms + r.between(0, 6_000), step });
        }
    }
    if let Some(by) = plan.patched {
        let account = (*r.pick(&["u1", "u2", "boss"])).to_owned();
        let (acting, nth, from_the_beginning) =
            (Some(MALLORY.to_owned()), r.below(4) as usize, r.percent(50));
        let step = Step::DropKey { by, acting, account, nth, from_the_beginning };
        plan.steps.push(Timed { at_ms: r.between(FIRST_MS, end_ms), step });
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}

/// A node whose owner has patched it: what its clients say as accounts is signed, granted or not.
pub fn add_patched(plan: &mut Plan) {
    if Random::named(plan.seed, "some are patched").percent(PATCHED) {
        patch(plan);
    }
}

/// The same in any case.
pub fn patch(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "patched");
    let node = r.below(plan.nodes.len() as u64) as usize;
    plan.patched = Some(node);
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    let begins_ms = FIRST_MS.max(plan.nodes[node].joins_ms + 1_000);
    for timed in &mut plan.steps {
        if let Step::Work { node: n, transaction, .. } = &mut timed.step
            && *n == node
            && transaction.account.as_deref().is_none_or(|a| WORKERS.contains(&a))
            && r.percent(60)
        {
            transaction.account = Some(MALLORY.to_owned());
        }
    }
    let mut say = |at_ms: u64, account: Option<&str>, statement: String| {
        let account = account.map(str::to_owned);
        let transaction = Transaction { id: 0, statements: vec![statement], rollback: false, account };
        plan.steps.push(Timed { at_ms, step: Step::Work { node, client: 0, transaction } });
    };
    // An account like others, which nobody ever grants anything.
    for later_ms in [0, 2_000, 6_000] {
        say(begins_ms + later_ms, None, format!("CREATE USER IF NOT EXISTS {MALLORY} IDENTIFIED BY 'm'"));
    }
    for _ in 0..r.between(4, 12) {
        let table = &r.pick(&plan.tables).name.clone();
        let statement = match r.below(16) {
            0 => format!("GRANT ALL ON *.* TO {MALLORY} WITH GRANT OPTION"),
            1 => format!("GRANT {WORK} ON w.* TO {MALLORY}"),
            2 => "REVOKE ALL PRIVILEGES, GRANT OPTION FROM boss KEEP THROUGH ''".to_owned(),
            3 => format!("REVOKE {WORK} ON w.* FROM u1 KEEP THROUGH ''"),
            4 => format!("GRANT crew TO {MALLORY}"),
            5 => "REVOKE crew FROM u2".to_owned(),
            6 => "DROP USER u1".to_owned(),
            7 => "ALTER USER boss IDENTIFIED BY 'mine'".to_owned(),
            8 => "CREATE USER friend IDENTIFIED BY 'f'".to_owned(),
            9 => format!("DROP TABLE {table}"),
            10 => format!("ALTER TABLE {table} ADD COLUMN hers INT NOT NULL DEFAULT 7"),
            11 => format!("ALTER TABLE {table} DROP COLUMN note"),
            12 => format!("RENAME TABLE {table} TO {table}_hers"),
            13 => "CREATE TABLE hers (id INT PRIMARY KEY)".to_owned(),
            14 => format!("TRUNCATE TABLE {table}"),
            _ => "DROP DATABASE w".to_owned(),
        };
        let account = *r.pick(&[MALLORY, MALLORY, "u1"]);
        let at_ms = r.between(begins_ms + 200, end_ms.max(begins_ms + 201));
        say(at_ms, Some(account), statement);
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}

/// Grants on columns, and such as end by themselves: mostly of what was taken before, so that they alone permit it.
pub fn add_parts(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "parts of grants");
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    for _ in 0..r.between(1, 5) {
        let account = *r.pick(&WORKERS);
        let table = r.pick(&plan.tables);
        let cells = table.cells.iter().chain(&table.columns).map(|c| c.name.clone());
        let columns: Vec<String> = cells.chain(["note".to_owned()]).filter(|_| r.percent(60)).collect();
        let columns = if columns.is_empty() { "note".to_owned() } else { columns.join(", ") };
        let on = format!("w.{}", table.name);
        let mut at_ms = r.between(FIRST_MS, end_ms);
        let until = format!("UNTIL '{}'", wall(at_ms + r.between(500, 20_000)));
        let statements = match r.below(6) {
            0 => vec![
                format!("REVOKE UPDATE ON w.* FROM {account}"),
                format!("GRANT UPDATE ({columns}) ON {on} TO {account}"),
                format!("REVOKE UPDATE (note) ON {on} FROM {account}"),
            ],
            1 => vec![
                format!("REVOKE UPDATE ON w.* FROM {account}"),
                format!("GRANT UPDATE ({columns}) ON {on} TO {account} {until}"),
            ],
            2 => vec![
                format!("GRANT UPDATE ({columns}) ON {on} TO crew"),
                format!("REVOKE UPDATE ON w.* FROM crew"),
                format!("REVOKE UPDATE ON {on} FROM crew"),
            ],
            3 => vec![
                format!("REVOKE {WORK} ON w.* FROM {account}"),
                format!("GRANT {WORK} ON w.* TO {account} {until}"),
            ],
            4 => vec![format!("REVOKE crew FROM u2"), format!("GRANT crew TO u2 {until}")],
            _ => vec![
                format!("REVOKE INSERT, UPDATE ON w.* FROM {account}"),
                format!("GRANT INSERT, UPDATE ON {on} TO {account} {until}"),
                format!("GRANT INSERT, UPDATE ON w.* TO {account}"),
            ],
        };
        for statement in statements {
            let account = r.percent(50).then(|| "boss".to_owned());
            let transaction = Transaction { id: 0, statements: vec![statement], rollback: false, account };
            let node = r.below(plan.nodes.len() as u64) as usize;
            plan.steps.push(Timed { at_ms, step: Step::Work { node, client: 0, transaction } });
            at_ms += r.between(0, 3_000);
        }
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}

/// Makes some members owners, and lets them remove others, each other too.
pub fn add_owners(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "owners");
    let nodes = plan.nodes.len();
    for member in plan.nodes.iter_mut().skip(1) {
        member.owner = r.percent(60);
    }
    let owners: Vec<usize> = (1..nodes).filter(|n| plan.nodes[*n].owner).collect();
    for timed in &mut plan.steps {
        if let Step::Remove { node, by } = &mut timed.step
            && !owners.is_empty()
            && r.percent(60)
        {
            *by = *r.pick(&owners);
            if *by == *node {
                *by = 0;
            }
        }
    }
    let [one, rest @ ..] = owners.as_slice() else { return };
    if let Some(two) = rest.last()
        && r.percent(50)
    {
        // Each removes the other, mostly before it hears of it.
        let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
        let at_ms = r.between(FIRST_MS, end_ms);
        let later_ms = at_ms + r.below(60);
        plan.steps.push(Timed { at_ms, step: Step::Remove { node: *one, by: *two } });
        plan.steps.push(Timed { at_ms: later_ms, step: Step::Remove { node: *two, by: *one } });
        plan.steps.sort_by_key(|t| t.at_ms);
    }
}

/// Lets foreign keys come and go, and NULL in their columns.
pub fn add_keys(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "keys");
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    let of = |t: &crate::plan::Table| (0..t.references.len()).map(|i| (t.clone(), i)).collect::<Vec<_>>();
    let keys: Vec<_> = plan.tables.iter().flat_map(of).collect();
    if keys.is_empty() {
        return;
    }
    for _ in 0..r.between(2, 6) {
        let (table, i) = r.pick(&keys);
        let (name, column) = (&table.name, &table.references[*i].column);
        let statement = match r.below(8) {
            0..=2 => format!("ALTER TABLE {name} DROP FOREIGN KEY {name}_f{i}"),
            3..=5 => format!("ALTER TABLE {name} ADD {}", table.foreign_key(*i)),
            6 => format!("ALTER TABLE {name} MODIFY {column} INT NOT NULL"),
            _ => format!("ALTER TABLE {name} MODIFY {column} INT"),
        };
        let transaction = Transaction { id: 0, statements: vec![statement], rollback: false, account: None };
        let node = r.below(plan.nodes.len() as u64) as usize;
        let at_ms = r.between(FIRST_MS, end_ms);
        plan.steps.push(Timed { at_ms, step: Step::Work { node, client: 0, transaction } });
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}

/// Lets a table go, and a column, while others write there; both may be made anew.
pub fn add_drops(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "drops");
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    for table in ["gone", "less"] {
        plan.rows.push(format!("CREATE TABLE {table} (id INT PRIMARY KEY, v INT, note VARCHAR(60))"));
        plan.rows.push(format!("INSERT INTO {table} VALUES (1, 0, 'd{table}1e'), (2, 0, 'd{table}2e')"));
    }
    let dropped_ms = r.between(FIRST_MS, end_ms);
    for n in 3..r.between(10, 24) {
        let table = *r.pick(&["gone", "less"]);
        let (note, id) = (format!("d{table}{n}e"), r.between(1, 6));
        let statement = match r.below(10) {
            0 => format!("DROP TABLE {}", if table == "less" { "IF EXISTS gone" } else { table }),
            1 => "ALTER TABLE less DROP COLUMN note".to_owned(),
            2 => format!("CREATE TABLE IF NOT EXISTS {table} (id INT PRIMARY KEY, v INT, note VARCHAR(60))"),
            3 => format!("DELETE FROM {table} WHERE id = {id}"),
            4 => format!("UPDATE {table} SET v = {n} WHERE id = {id}"),
            5 | 6 => format!("UPDATE {table} SET note = '{note}' WHERE id = {id}"),
            _ => format!("INSERT INTO {table} VALUES ({id}, {n}, '{note}')"),
        };
        // Mostly about when the others do, so that nobody has seen it.
        let at_ms = if r.percent(70) { dropped_ms + r.below(60) } else { r.between(FIRST_MS, end_ms) };
        let transaction = Transaction { id: 0, statements: vec![statement], rollback: false, account: None };
        let node = r.below(plan.nodes.len() as u64) as usize;
        plan.steps.push(Timed { at_ms, step: Step::Work { node, client: 0, transaction } });
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}
