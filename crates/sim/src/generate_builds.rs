//! Schema changes that meet: tables and columns go while others build on them, rename them, or make them anew.
//!
//! `house` is there from the beginning, rooms refer to it, beds to rooms. Who drops a house with its rooms has not seen the
//! bed that somebody else makes meanwhile.

use crate::generate::FIRST_MS;
use crate::plan::{Plan, Step, Timed, Transaction};
use crate::random::Random;

/// What somebody refers to.
const HOUSE: &str = "house (id INT PRIMARY KEY, v INT, note VARCHAR(60), UNIQUE uv (v))";

/// Statements, at most.
const STATEMENTS_MAX: u64 = 36;

/// Lets tables and columns go while others build on them.
pub fn add(plan: &mut Plan) {
    let mut r = Random::named(plan.seed, "builds");
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    plan.rows.push(format!("CREATE TABLE {HOUSE}"));
    plan.rows.push("INSERT INTO house VALUES (1, 1, 'dhouse1e'), (2, 2, 'dhouse2e')".to_owned());
    if r.percent(60) {
        plan.rows.push(format!("CREATE TABLE {}", room(&mut r, 0)));
        plan.rows.push("INSERT INTO room0 VALUES (1, 1, 1, 'droom1e'), (2, 2, 2, 'droom2e')".to_owned());
        if r.percent(50) {
            plan.rows.push(format!("CREATE TABLE {}", bed(&mut r, 0)));
            plan.rows.push("INSERT INTO bed VALUES (1, 1, 'dbed1e'), (2, 2, 'dbed2e')".to_owned());
        }
    }
    let met_ms = r.between(FIRST_MS, end_ms);
    for n in 3..r.between(12, STATEMENTS_MAX) {
        let statements = if r.percent(60) { schema(&mut r) } else { vec![row(&mut r, n)] };
        // Mostly about when the others do, so that nobody has seen it.
        let at_ms = if r.percent(75) { met_ms + r.below(60) } else { r.between(FIRST_MS, end_ms) };
        let transaction = Transaction::lone(statements);
        let node = r.below(plan.nodes.len() as u64) as usize;
        plan.steps.push(Timed { at_ms, step: Step::Work { node, client: 0, transaction } });
    }
    if r.percent(50) {
        from_under(&mut r, plan, met_ms);
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}

fn actions(r: &mut Random) -> String {
    let all = ["RESTRICT", "NO ACTION", "CASCADE", "SET NULL"];
    format!("ON DELETE {} ON UPDATE {}", r.pick(&all), r.pick(&all))
}

fn room(r: &mut Random, n: u64) -> String {
    let to = if r.percent(70) { "house (id)" } else { "house (v)" };
    let actions = actions(r);
    format!(
        "room{n} (id INT PRIMARY KEY, house INT, w INT, note VARCHAR(60), \
         CONSTRAINT room{n}_f FOREIGN KEY (house) REFERENCES {to} {actions})"
    )
}

fn bed(r: &mut Random, n: u64) -> String {
    let actions = actions(r);
    format!(
        "bed (id INT PRIMARY KEY, room INT, note VARCHAR(60), \
         CONSTRAINT bed_f FOREIGN KEY (room) REFERENCES room{n} (id) {actions})"
    )
}

/// In a chain of three tables a row goes with what refers to it, and one of the tables after it, from under what referred to that. At the
/// same time others write to these rows.
fn from_under(r: &mut Random, plan: &mut Plan, met_ms: u64) {
    let chain = ["hall", "shelf", "book"];
    for (n, table) in chain.into_iter().enumerate() {
        let key = match n.checked_sub(1) {
            Some(up) => {
                let action = *r.pick(&["CASCADE", "SET NULL"]);
                format!(
                    ", CONSTRAINT {table}_f FOREIGN KEY (up) REFERENCES {} (id) ON DELETE {action}",
                    chain[up]
                )
            }
            None => String::new(),
        };
        plan.rows.push(format!("CREATE TABLE {table} (id INT PRIMARY KEY, up INT, note VARCHAR(60){key})"));
        plan.rows.push(format!("INSERT INTO {table} VALUES (1, 1, 'd{table}1e'), (2, 2, 'd{table}2e')"));
    }
    let gone = r.below(2) as usize;
    let (first, second) = (r.below(2) as usize, r.below(2) as usize);
    let goes = [
        format!("DELETE FROM {} WHERE id = 1", chain[0]),
        format!("ALTER TABLE {0} DROP FOREIGN KEY {0}_f", chain[gone + 1]),
        format!("DROP TABLE {}", chain[gone]),
    ];
    let writes = [
        format!("UPDATE {0} SET note = 'd{0}3e' WHERE id = 1", chain[first]),
        format!("UPDATE {0} SET note = 'd{0}4e' WHERE id = 1", chain[second]),
    ];
    let nodes = plan.nodes.len() as u64;
    let node = r.below(nodes);
    let others = [0, 1].map(|n| (node + 1 + n % (nodes - 1)) % nodes);
    let all = goes.into_iter().map(|s| (node, s)).chain(others.into_iter().zip(writes));
    for (n, (node, statement)) in (0..).zip(all) {
        let (at_ms, transaction) = (met_ms + 2 * (n % 3), Transaction::lone(vec![statement]));
        plan.steps.push(Timed { at_ms, step: Step::Work { node: node as usize, client: 0, transaction } });
    }
}

/// One side's: what it drops, it drops as a person would, children first.
fn schema(r: &mut Random) -> Vec<String> {
    let (n, m) = (r.below(2), r.below(2));
    let one = match r.below(20) {
        0..=2 => {
            let all = ["bed", "room0", "room1", "house"].map(|t| format!("DROP TABLE IF EXISTS {t}"));
            return all.to_vec();
        }
        // From under what refers to it, which stays.
        18 => {
            let mut all = vec![format!("DELETE FROM house WHERE id = {}", r.between(1, 4))];
            all.extend((0..2).map(|n| format!("ALTER TABLE room{n} DROP FOREIGN KEY room{n}_f")));
            all.push("DROP TABLE house".to_owned());
            return all;
        }
        19 => {
            let delete =
                format!("DELETE FROM {} WHERE id = {}", *r.pick(&["house", "room0"]), r.between(1, 4));
            return vec![
                delete,
                "ALTER TABLE bed DROP FOREIGN KEY bed_f".to_owned(),
                format!("DROP TABLE room{n}"),
            ];
        }
        3 => "DROP TABLE house".to_owned(),
        4 => format!("DROP TABLE room{n}"),
        5..=7 => format!("CREATE TABLE IF NOT EXISTS {}", room(r, n)),
        8 | 9 => format!("CREATE TABLE IF NOT EXISTS {}", bed(r, n)),
        10 => format!("CREATE TABLE IF NOT EXISTS {HOUSE}"),
        11 => format!(
            "ALTER TABLE {} DROP COLUMN {}",
            *r.pick(&["house", "room0"]),
            *r.pick(&["v", "w", "house"])
        ),
        12 => format!("ALTER TABLE house RENAME COLUMN {}", *r.pick(&["v TO u", "u TO v"])),
        13 => format!("ALTER TABLE house ADD CONSTRAINT house_k CHECK (v <= {})", r.between(3, 9)),
        14 => "ALTER TABLE house ADD COLUMN g INT AS (v + 1) STORED, ADD KEY kg (g)".to_owned(),
        15 => format!("RENAME TABLE {}", *r.pick(&["house TO home", "home TO house", "room0 TO room1"])),
        16 => format!("ALTER TABLE room{n} DROP FOREIGN KEY room{m}_f"),
        _ => format!("ALTER TABLE room{n} ADD CONSTRAINT room{n}_w FOREIGN KEY (w) REFERENCES house (v)"),
    };
    vec![one]
}

fn row(r: &mut Random, n: u64) -> String {
    let table = *r.pick(&["house", "house", "room0", "room1", "bed"]);
    let (note, id, of) = (format!("d{table}{n}e"), r.between(1, 5), r.between(1, 4));
    match (r.below(9), table) {
        (8, "house") => format!("UPDATE house SET note = '{note}' WHERE id = {id}"),
        (0, _) => format!("DELETE FROM {table} WHERE id = {id}"),
        (1, "house") => format!("UPDATE house SET v = {of} WHERE id = {id}"),
        (1 | 2, _) => format!("UPDATE {table} SET note = '{note}' WHERE id = {id}"),
        (3, "house") => format!("UPDATE house SET id = {} WHERE id = {id}", id + 5),
        (_, "house") => format!("INSERT INTO house (id, v, note) VALUES ({id}, {of}, '{note}')"),
        (_, "bed") => format!("INSERT INTO bed VALUES ({id}, {of}, '{note}')"),
        _ => format!("INSERT INTO {table} (id, house, w, note) VALUES ({id}, {of}, {of}, '{note}')"),
    }
}
