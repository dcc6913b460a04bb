//! Tables of more kinds, beside those that a seed makes (`generate`): what few programs have in one table, and all that is done to
//! tables as wholes.
//!
//! Five kits, of which a world has some: `wt` with counters whose default is not 0, `[max]` and `[min]`, DECIMAL, dates and
//! bytes, whose columns change type and tag; `wk` with keys of bytes; `wg` with generated columns and UNIQUE keys over them; `wa`
//! and `wb`, which refer to each other, by a key of two columns on one side; `wu`, in which many rows wait for a unique value, and
//! their keys are used again. Each of them is emptied, renamed, dropped and made
//! anew while others write there. `mark` holds, as `note` does, a value that is written once in the whole world.

use crate::generate::FIRST_MS;
use crate::plan::{Plan, Step, Timed, Transaction};
use crate::random::Random;

/// Keys that statements draw from.
const KEYS: u64 = 6;
/// The first value of `mark`.
const MARKS: u64 = 1_000_000;
/// Work for each kit, least and greatest.
const WORK: (u64, u64) = (8, 24);
/// Nodes that are to write against each other are alone for so long, milliseconds.
const ALONE_MS: u64 = 400;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kit {
    Types,
    Bytes,
    Generated,
    Circle,
    Waits,
}

struct Writer {
    random: Random,
    written: u64,
    /// Actions of foreign keys, in order.
    actions: [&'static str; 4],
}

/// Adds some kits to a plan.
pub(crate) fn add(plan: &mut Plan) {
    let mut w = Writer { random: Random::named(plan.seed, "wide"), written: 0, actions: ["CASCADE"; 4] };
    let actions = ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"];
    // A key of NOT NULL columns cannot be set to NULL, so those who refer take it.
    w.actions = [(); 4].map(|()| *w.random.pick(&actions));
    let end_ms = plan.steps.last().map_or(FIRST_MS, |t| t.at_ms) + 1;
    let number = |t: &Timed| if let Step::Work { transaction, .. } = &t.step { transaction.id } else { 0 };
    let mut id = plan.steps.iter().map(number).max().unwrap_or(0);
    let kits: Vec<Kit> = [Kit::Types, Kit::Bytes, Kit::Generated, Kit::Circle, Kit::Waits]
        .into_iter()
        .filter(|_| w.random.percent(45))
        .collect();
    for kit in kits {
        plan.rows.extend(w.begins(kit));
        let met_ms = w.random.between(FIRST_MS, end_ms);
        // Schema changes would end what waits: mostly they are decisions about single rows there.
        let (more, changes) = if kit == Kit::Waits { (WORK.1, 12) } else { (0, 18) };
        if kit == Kit::Waits && w.random.percent(70) {
            apart(&mut w, plan, met_ms);
        }
        for _ in 0..w.random.between(WORK.0, WORK.1) + more {
            let lone = w.random.percent(45);
            let transaction = if w.random.percent(changes) {
                let change = w.schema(kit);
                Transaction::lone(vec![change])
            } else if lone {
                Transaction::lone(vec![w.statement(kit)])
            } else {
                id += 1;
                let statements = (0..w.random.between(1, 3)).map(|_| w.statement(kit)).collect();
                Transaction { id, statements, rollback: w.random.percent(8), account: None }
            };
            let at_ms = match w.random.percent(65) {
                true => met_ms + w.random.below(80),
                false => w.random.between(FIRST_MS, end_ms),
            };
            let node = w.random.below(plan.nodes.len() as u64) as usize;
            let client = w.random.below(plan.clients as u64) as usize;
            plan.steps.push(Timed { at_ms, step: Step::Work { node, client, transaction } });
        }
    }
    plan.steps.sort_by_key(|t| t.at_ms);
}

/// Each node is alone for a while, so that many rows wait; and once they do, somebody writes beside them and to their keys.
fn apart(w: &mut Writer, plan: &mut Plan, met_ms: u64) {
    let nodes = plan.nodes.len();
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from) {
            plan.steps.push(Timed { at_ms: met_ms, step: Step::Cut { from, to } });
            plan.steps.push(Timed { at_ms: met_ms + ALONE_MS, step: Step::Heal { from, to } });
        }
    }
    for _ in 0..12 {
        let at_ms = met_ms + ALONE_MS + 3_000 + w.random.below(6_000);
        let (node, client) =
            (w.random.below(nodes as u64) as usize, w.random.below(plan.clients as u64) as usize);
        let (key, k) = (w.random.between(1, 9), w.random.between(400, 999));
        let statement = match w.random.percent(60) {
            true => format!("UPDATE wu SET k = {k} WHERE id = {key}"),
            false => {
                let (mark, note) = (w.mark(), w.note());
                format!("INSERT INTO wu VALUES ({key}, {}, {k}, {mark}, {note})", k - 200)
            }
        };
        plan.steps.push(Timed {
            at_ms,
            step: Step::Work { node, client, transaction: Transaction::lone(vec![statement]) },
        });
    }
}

impl Writer {
    fn key(&mut self) -> u64 {
        self.random.between(1, KEYS)
    }

    fn note(&mut self) -> String {
        self.written += 1;
        format!("'x{}e'", self.written)
    }

    fn mark(&mut self) -> u64 {
        self.written += 1;
        MARKS + self.written
    }

    fn bytes(&mut self) -> &'static str {
        const ALL: [&str; 5] = ["X'00FF'", "X'6101'", "X'80'", "X'C3A9'", "X'0001FE'"];
        ALL[self.random.below(ALL.len() as u64) as usize]
    }

    fn create(&self, kit: Kit) -> Vec<String> {
        let [a, b, c, d] = self.actions;
        let all: &[String] = match kit {
            Kit::Types => &["CREATE TABLE IF NOT EXISTS wt (id INT PRIMARY KEY, hits INT NOT NULL DEFAULT 3 COMMENT '[counter]', \
                 price DECIMAL(8,2) DEFAULT 1.50, best INT COMMENT '[max]', since DATE COMMENT '[min]', at DATETIME(3), \
                 raw VARBINARY(12), mark BIGINT, note VARCHAR(60))"
                .to_owned()],
            Kit::Bytes => &["CREATE TABLE IF NOT EXISTS wk (k VARBINARY(8) PRIMARY KEY, v VARBINARY(16), u BINARY(4) UNIQUE, \
                 mark BIGINT, note VARCHAR(60))"
                .to_owned()],
            Kit::Generated => &["CREATE TABLE IF NOT EXISTS wg (id INT PRIMARY KEY, a INT, b INT NOT NULL DEFAULT 0, name VARCHAR(20), \
                 s INT AS (a + b) STORED, v INT AS (b * 2) VIRTUAL, low VARCHAR(20) AS (LOWER(name)) STORED, \
                 mark BIGINT, note VARCHAR(60), UNIQUE KEY us (s), UNIQUE KEY ul (low))"
                .to_owned()],
            Kit::Waits => &["CREATE TABLE IF NOT EXISTS wu (id INT PRIMARY KEY, a INT UNIQUE, k INT NOT NULL DEFAULT 900, mark BIGINT, \
                 note VARCHAR(60), CONSTRAINT wu_c CHECK (a <= k))"
                .to_owned()],
            Kit::Circle => &[
                "CREATE TABLE IF NOT EXISTS wa (id INT PRIMARY KEY, a INT NOT NULL, b VARCHAR(10) NOT NULL, peer INT, mark BIGINT, \
                 note VARCHAR(60), UNIQUE KEY ab (a, b))"
                    .to_owned(),
                format!(
                    "CREATE TABLE IF NOT EXISTS wb (id INT PRIMARY KEY, a INT, b VARCHAR(10), mark BIGINT, note VARCHAR(60), \
                     CONSTRAINT wb_f FOREIGN KEY (a, b) REFERENCES wa (a, b) ON DELETE {a} ON UPDATE {b})"
                ),
                format!(
                    "ALTER TABLE wa ADD CONSTRAINT wa_f FOREIGN KEY (peer) REFERENCES wb (id) ON DELETE {c} ON UPDATE {d}"
                ),
            ],
        };
        all.to_vec()
    }

    fn begins(&mut self, kit: Kit) -> Vec<String> {
        let mut all = self.create(kit);
        for i in 1..=3 {
            let (mark, note) = (self.mark(), self.note());
            all.push(match kit {
                Kit::Types => format!("INSERT INTO wt (id, best, mark, note) VALUES ({i}, {i}, {mark}, {note})"),
                Kit::Bytes => {
                    format!("INSERT INTO wk VALUES (X'0{i}FF', X'80', X'0{i}', {mark}, {note})")
                }
                Kit::Generated => format!(
                    "INSERT INTO wg (id, a, b, name, mark, note) VALUES ({i}, {i}0, 0, 'N{i}', {mark}, {note})"
                ),
                Kit::Waits => format!("INSERT INTO wu VALUES ({i}, {i}, 900, {mark}, {note})"),
                Kit::Circle => format!("INSERT INTO wa VALUES ({i}, {i}, 'b', NULL, {mark}, {note})"),
            });
            if kit == Kit::Circle {
                let (mark, note) = (self.mark(), self.note());
                all.push(format!("INSERT INTO wb VALUES ({i}, {i}, 'b', {mark}, {note})"));
                all.push(format!("UPDATE wa SET peer = {i} WHERE id = {i}"));
            }
        }
        all
    }

    fn statement(&mut self, kit: Kit) -> String {
        match kit {
            Kit::Types => self.types(),
            Kit::Bytes => self.of_bytes(),
            Kit::Generated => self.generated(),
            Kit::Circle => self.circle(),
            Kit::Waits => self.waits(),
        }
    }

    /// What all tables have done to them.
    fn common(&mut self, table: &str) -> String {
        let (key, mark, note) = (self.key(), self.mark(), self.note());
        match self.random.below(5) {
            0 => format!("DELETE FROM {table} WHERE id = {key}"),
            1 => format!("UPDATE {table} SET note = {note} WHERE id = {key}"),
            2 => format!("UPDATE {table} SET note = {note}, mark = {mark} WHERE id = {key}"),
            3 => format!("UPDATE {table} SET id = {} WHERE id = {key}", key + self.random.below(3)),
            _ => format!("UPDATE {table} SET mark = {mark} WHERE id = {key}"),
        }
    }

    fn types(&mut self) -> String {
        let (key, mark, note) = (self.key(), self.mark(), self.note());
        let (n, day) = (self.random.below(50), self.random.between(10, 28));
        let bytes = self.bytes();
        match self.random.below(12) {
            0 | 1 => format!("INSERT INTO wt (id, mark, note) VALUES ({key}, {mark}, {note})"),
            2 => format!(
                "INSERT INTO wt VALUES ({key}, {n}, {n}.25, {n}, '2026-01-{day}', '2026-01-{day} 10:00:00.125', {bytes}, {mark}, {note})"
            ),
            3 | 4 => {
                format!(
                    "INSERT INTO wt (id, hits) VALUES ({key}, {n}) ON DUPLICATE KEY UPDATE hits = hits + {n}"
                )
            }
            5 => format!("UPDATE wt SET hits = hits + {n} WHERE id = {key}"),
            6 => format!("UPDATE wt SET best = {n} WHERE id = {key}"),
            7 => format!(
                "UPDATE wt SET since = '2026-01-{day}', at = '2026-02-{day} 00:00:00.500' WHERE id = {key}"
            ),
            8 => format!("UPDATE wt SET price = {n}.75, raw = {bytes} WHERE id = {key}"),
            9 => format!("REPLACE INTO wt (id, best, mark, note) VALUES ({key}, {n}, {mark}, {note})"),
            _ => self.common("wt"),
        }
    }

    fn of_bytes(&mut self) -> String {
        let (key, mark, note) = (self.key(), self.mark(), self.note());
        let (bytes, other) = (self.bytes(), self.bytes());
        match self.random.below(9) {
            0..=2 => format!("INSERT INTO wk VALUES (X'0{key}FF', {bytes}, {other}, {mark}, {note})"),
            3 => format!("INSERT INTO wk VALUES ({bytes}, {other}, NULL, {mark}, {note})"),
            4 => format!("UPDATE wk SET u = {bytes} WHERE k = X'0{key}FF'"),
            5 => format!("UPDATE wk SET v = {bytes}, note = {note} WHERE k = X'0{key}FF'"),
            6 => format!("UPDATE wk SET k = {bytes} WHERE k = X'0{key}FF'"),
            7 => format!("REPLACE INTO wk VALUES (X'0{key}FF', {bytes}, {other}, {mark}, {note})"),
            _ => format!("DELETE FROM wk WHERE k = X'0{key}FF'"),
        }
    }

    fn generated(&mut self) -> String {
        let (key, mark, note) = (self.key(), self.mark(), self.note());
        let (a, b) = (self.random.below(4) * 10, self.random.below(3));
        let name = *self.random.pick(&["'N1'", "'n2'", "'Z'", "'z'", "NULL"]);
        let row = format!("(id, a, b, name, mark, note) VALUES ({key}, {a}, {b}, {name}, {mark}, {note})");
        match self.random.below(10) {
            0..=2 => format!("INSERT INTO wg {row}"),
            3 => format!("REPLACE INTO wg {row}"),
            4 => format!("INSERT INTO wg {row} ON DUPLICATE KEY UPDATE b = VALUES(b), note = VALUES(note)"),
            5 => format!("UPDATE wg SET a = {a} WHERE id = {key}"),
            6 => format!("UPDATE wg SET b = {b} WHERE id = {key}"),
            7 => format!("UPDATE wg SET name = {name} WHERE id = {key}"),
            _ => self.common("wg"),
        }
    }

    fn circle(&mut self) -> String {
        let (key, other) = (self.key(), self.key());
        let (mark, note) = (self.mark(), self.note());
        match self.random.below(12) {
            0 => format!("INSERT INTO wa VALUES ({key}, {other}, 'b', NULL, {mark}, {note})"),
            1 => format!("INSERT INTO wa VALUES ({key}, {key}, 'B', {other}, {mark}, {note})"),
            2 | 3 => format!("INSERT INTO wb VALUES ({key}, {other}, 'b', {mark}, {note})"),
            4 => format!("INSERT INTO wb VALUES ({key}, NULL, NULL, {mark}, {note})"),
            5 => format!("UPDATE wa SET peer = {other} WHERE id = {key}"),
            6 => format!("UPDATE wa SET a = {} WHERE id = {key}", other + 2),
            7 => format!("UPDATE wb SET a = {other}, b = 'b' WHERE id = {key}"),
            8 => format!("DELETE FROM wa WHERE id = {key}"),
            9 => self.common("wa"),
            _ => self.common("wb"),
        }
    }

    fn waits(&mut self) -> String {
        let (mark, note) = (self.mark(), self.note());
        let r = &mut self.random;
        let (key, other) = (r.between(1, 9), r.between(1, 9));
        let (few, many, k) = (r.between(1, 5), r.between(100, 300), r.between(400, 999));
        let a = if r.percent(55) { few } else { many };
        match r.below(13) {
            0..=4 => format!("INSERT INTO wu VALUES ({key}, {a}, {k}, {mark}, {note})"),
            5 => format!(
                "INSERT IGNORE INTO wu VALUES ({key}, {a}, {k}, {mark}, {note}), ({other}, {many}, {k}, {mark}, {note})"
            ),
            6 => format!("REPLACE INTO wu VALUES ({key}, {a}, {k}, {mark}, {note})"),
            7 => format!(
                "INSERT INTO wu (id, a, mark, note) VALUES ({key}, {a}, {mark}, {note}) ON DUPLICATE KEY UPDATE k = {k}"
            ),
            8 | 9 => format!("UPDATE wu SET k = {k} WHERE id = {key}"),
            10 => format!("UPDATE wu SET a = {a} WHERE id = {key}"),
            11 => format!("UPDATE wu SET id = {other} WHERE id = {key}"),
            _ => self.common("wu"),
        }
    }

    /// What is done to a table as a whole.
    fn schema(&mut self, kit: Kit) -> String {
        let table = match kit {
            Kit::Types => "wt",
            Kit::Bytes => "wk",
            Kit::Generated => "wg",
            Kit::Circle => *self.random.pick(&["wa", "wb"]),
            Kit::Waits => "wu",
        };
        let r = &mut self.random;
        if kit == Kit::Waits && r.percent(70) {
            let key = r.between(1, 9);
            return match r.percent(50) {
                true => format!("CALL p2pdb.resolve('w.wu', 'set', {key}, 'a', {})", r.between(1, 300)),
                false => format!("CALL p2pdb.resolve('w.wu', 'discard', {key})"),
            };
        }
        match r.below(14) {
            0 => format!("TRUNCATE TABLE {table}"),
            1 => format!("RENAME TABLE {table} TO {table}_r"),
            2 | 3 => format!("RENAME TABLE {table}_r TO {table}"),
            4 => format!("DROP TABLE {table}"),
            5 | 6 => {
                let all = self.create(kit);
                self.random.pick(&all).clone()
            }
            7 => format!("ALTER TABLE {table} DROP COLUMN mark"),
            8 => format!("ALTER TABLE {table} ADD COLUMN mark BIGINT"),
            9 | 10 => {
                let ty =
                    *r.pick(&["BIGINT", "INT", "VARCHAR(20)", "DECIMAL(14,2)", "SMALLINT", "VARCHAR(3)"]);
                format!("ALTER TABLE {table} MODIFY mark {ty}")
            }
            _ => self.own_schema(kit),
        }
    }

    fn own_schema(&mut self, kit: Kit) -> String {
        let [.., c, d] = self.actions;
        let r = &mut self.random;
        let all: &[&str] = match kit {
            Kit::Types => &[
                "ALTER TABLE wt MODIFY best INT COMMENT '[max]'",
                "ALTER TABLE wt MODIFY best INT COMMENT '[min]'",
                "ALTER TABLE wt MODIFY best BIGINT",
                "ALTER TABLE wt MODIFY hits INT NOT NULL DEFAULT 3",
                "ALTER TABLE wt MODIFY hits BIGINT NOT NULL DEFAULT 3 COMMENT '[counter]'",
                "ALTER TABLE wt MODIFY hits TINYINT NOT NULL DEFAULT 3 COMMENT '[counter]'",
                "ALTER TABLE wt MODIFY price DECIMAL(8,1)",
                "ALTER TABLE wt MODIFY price DECIMAL(12,4)",
                "ALTER TABLE wt MODIFY since DATETIME COMMENT '[min]'",
                "ALTER TABLE wt MODIFY since DATE COMMENT '[min]'",
                "ALTER TABLE wt MODIFY at DATE",
                "ALTER TABLE wt MODIFY raw VARBINARY(2)",
                "ALTER TABLE wt ADD UNIQUE KEY ub (best)",
                "ALTER TABLE wt DROP KEY ub",
            ],
            Kit::Bytes => &[
                "ALTER TABLE wk MODIFY v VARBINARY(2)",
                "ALTER TABLE wk MODIFY v BLOB",
                "ALTER TABLE wk DROP KEY u",
                "ALTER TABLE wk ADD UNIQUE KEY u (u)",
            ],
            Kit::Generated => &[
                "ALTER TABLE wg DROP KEY us",
                "ALTER TABLE wg ADD UNIQUE KEY us (s)",
                "ALTER TABLE wg ADD UNIQUE KEY uv (v)",
                "ALTER TABLE wg DROP KEY uv",
                "ALTER TABLE wg DROP COLUMN low",
                "ALTER TABLE wg ADD COLUMN low VARCHAR(20) AS (LOWER(name)) STORED",
                "ALTER TABLE wg MODIFY a BIGINT",
                "ALTER TABLE wg MODIFY a TINYINT",
                "ALTER TABLE wg MODIFY name VARCHAR(1)",
            ],
            Kit::Waits => &[
                "ALTER TABLE wu DROP KEY a",
                "ALTER TABLE wu ADD UNIQUE KEY a (a)",
                "ALTER TABLE wu DROP CHECK wu_c",
                "ALTER TABLE wu ADD CONSTRAINT wu_c CHECK (a <= k)",
            ],
            Kit::Circle => {
                &["ALTER TABLE wb DROP FOREIGN KEY wb_f", "ALTER TABLE wa DROP FOREIGN KEY wa_f", ""]
            }
        };
        match *r.pick(all) {
            "" => format!(
                "ALTER TABLE wa ADD CONSTRAINT wa_f FOREIGN KEY (peer) REFERENCES wb (id) ON DELETE {c} ON UPDATE {d}"
            ),
            text => text.to_owned(),
        }
    }
}
