//! Plans from seeds: a schema, statements that fit it, and faults.
//!
//! Keys and unique values are drawn from few, so that nodes collide; `note` holds a value that is written once in the
//! whole world, so that the oracles can look for it. Statements are made without a look at any table: many of them change
//! nothing or fail, as on a real server.

use crate::disk::DiskError;
use crate::generate_access as access;
use crate::plan::{Column, Kind, Member, Network, Plan, Reference, Step, Table, Timed, Transaction};
use crate::random::Random;

/// Keys that statements draw from.
const KEYS: u64 = 5;
/// Keys that some rows are inserted under, beside those: so that most inserts find room.
const NEW_KEYS: u64 = 12;
/// Values of columns that statements draw from.
const VALUES: u64 = 7;

/// What checked columns hold at most.
const CHECKED: u64 = 4;
/// Rows of each table at the beginning.
const ROWS: u64 = 4;

/// How large worlds are, and what happens in them.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Nodes, least and greatest.
    pub nodes: (u64, u64),
    /// Transactions, least and greatest.
    pub transactions: (u64, u64),
    /// Other steps, least and greatest.
    pub faults: (u64, u64),
}

impl Default for Size {
    fn default() -> Self {
        Size { nodes: (2, 5), transactions: (20, 60), faults: (4, 24) }
    }
}

/// The plan of a seed.
pub fn plan(seed: u64, size: &Size) -> Plan {
    let mut r = Random::named(seed, "plan");
    let count = r.between(size.nodes.0, size.nodes.1) as usize;
    let tables = tables(&mut Random::named(seed, "schema"));
    let late = r.percent(30);
    let skewed = r.percent(50);
    let mut faults = Random::named(seed, "faults");
    let kinds = Kinds::some(&mut faults);
    let newer = kinds.contains(&Kinds::Rules);
    let nodes: Vec<Member> = (0..count)
        .map(|n| Member {
            joins_ms: if n > 1 && late && r.percent(60) { r.between(2_000, 20_000) } else { 0 },
            wrong_by_ms: if skewed { r.between(0, 8_000) as i64 - 4_000 } else { 0 },
            older: newer && n > 0 && r.percent(60),
            owner: false,
        })
        .collect();
    let noisy = r.percent(30);
    let network = Network {
        latency_ms: *r.pick(&[(0, 2), (1, 20), (20, 200), (100, 900)]),
        loss_percent: if noisy { r.between(0, 10) } else { 0 },
        duplicate_percent: if noisy { r.between(0, 10) } else { 0 },
        reorder: noisy && r.percent(50),
    };
    let clients = r.between(1, 3) as usize;
    let length_ms = r.between(6_000, 50_000);
    let bursts: Vec<u64> = (0..4).map(|_| r.between(FIRST_MS, length_ms)).collect();
    let mut steps = Vec::new();
    if r.percent(35) {
        // Everybody alone for most of the time.
        let until_ms = r.between(length_ms / 2, length_ms);
        for from in 0..count {
            for to in (0..count).filter(|to| *to != from) {
                steps.push(Timed { at_ms: FIRST_MS + 500, step: Step::Cut { from, to } });
                steps.push(Timed { at_ms: until_ms, step: Step::Heal { from, to } });
            }
        }
    }
    let random = Random::named(seed, "statements");
    let mut writer = Statements { random, tables: &tables, notes: 0, ddl: 0, programs: r.percent(40) };
    let programs = if writer.programs { programs(&tables) } else { Vec::new() };
    let rows = writer.rows();
    let transactions = r.between(size.transactions.0, size.transactions.1);
    for id in 1..=transactions {
        let (node, client) = (r.below(count as u64) as usize, r.below(clients as u64) as usize);
        // Often together with others, so that nobody has seen anybody.
        let at_ms = if r.percent(75) {
            (*r.pick(&bursts) + r.between(0, 40)).min(length_ms)
        } else {
            r.between(FIRST_MS, length_ms)
        };
        steps.push(Timed { at_ms, step: Step::Work { node, client, transaction: writer.transaction(id) } });
    }
    if newer {
        let switched_ms = faults.between(FIRST_MS, length_ms);
        steps.push(Timed { at_ms: switched_ms, step: Step::Rules });
        for node in (0..count).filter(|n| nodes[*n].older) {
            // Some before the switch, most after it, some only at the end.
            let at_ms = faults.between(FIRST_MS, length_ms + 10_000);
            if at_ms < length_ms {
                steps.push(Timed { at_ms, step: Step::Upgrade { node } });
            }
        }
    }
    for _ in 0..faults.between(size.faults.0, size.faults.1) {
        fault(&mut faults, &kinds, count, length_ms, &mut steps);
    }
    let wanted: Vec<(usize, u64)> = steps.iter().filter_map(|s| wants_work(s, &mut faults)).collect();
    for (id, (node, at_ms)) in (transactions + 1..).zip(wanted) {
        let transaction = writer.transaction(id);
        steps.push(Timed { at_ms, step: Step::Work { node, client: 0, transaction } });
    }
    steps.sort_by_key(|t| t.at_ms);
    let counted = !programs.is_empty();
    let accounts = false;
    let tables = tables.clone();
    let mut plan = Plan {
        seed,
        nodes,
        clients,
        network,
        programs,
        counted,
        newer,
        accounts,
        sealed: false,
        watched: true,
        patched: None,
        rows,
        tables,
        steps,
    };
    // Drawn beside everything else, so that a world is as it was before there was such a thing.
    let mut more = Random::named(seed, "more");
    if more.percent(25) {
        access::add_keys(&mut plan);
    }
    if more.percent(35) {
        access::add(&mut plan);
    }
    if more.percent(25) {
        access::add_owners(&mut plan);
    }
    if plan.accounts && more.percent(50) {
        access::add_parts(&mut plan);
    }
    if plan.accounts && more.percent(50) {
        crate::generate_sealed::add(&mut plan);
    }
    if Random::named(seed, "goes").percent(25) {
        access::add_drops(&mut plan);
    }
    if Random::named(seed, "wider").percent(50) {
        crate::generate_wide::add(&mut plan);
    }
    if Random::named(seed, "built").percent(30) {
        crate::generate_builds::add(&mut plan);
    }
    if plan.accounts && !plan.sealed {
        access::add_patched(&mut plan);
    }
    if plan.accounts && Random::named(seed, "some keys are lost").percent(40) {
        access::add_lost_keys(&mut plan);
    }
    plan
}

/// The world of a seed with accounts, and with a node whose owner has patched it; none where there are sealed columns.
pub fn patched(seed: u64, size: &Size) -> Option<Plan> {
    let mut plan = plan(seed, size);
    if plan.sealed {
        return None;
    }
    if !plan.accounts {
        access::add(&mut plan);
    }
    if plan.patched.is_none() {
        access::patch(&mut plan);
    }
    Some(plan)
}

/// Faults that show only where somebody writes at that time: where and when. A node that comes from a backup writes before it has heard
/// from anybody; the power goes in the middle of a commit; who is removed goes on writing.
fn wants_work(step: &Timed, r: &mut Random) -> Option<(usize, u64)> {
    match step.step {
        Step::Restore { node, .. } => Some((node, step.at_ms + r.between(0, 3_000))),
        Step::PowerCut { node, .. } => Some((node, step.at_ms + r.between(0, 30))),
        Step::Remove { node, .. } => Some((node, step.at_ms + r.between(0, 400))),
        _ => None,
    }
}

/// When clients begin: most members have joined by then.
pub(crate) const FIRST_MS: u64 = 1_500;

/// Kinds of faults. A world has some of them, so that they are seen alone, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinds {
    Partitions,
    OneWay,
    Crashes,
    /// Of backups, as they should be.
    Restores,
    /// Old files are copied back and nobody says so.
    Copies,
    Clocks,
    Disks,
    Slow,
    Forgers,
    /// Members are removed while they write.
    Removals,
    /// Newer rules are switched on, which not every program knows.
    Rules,
}

impl Kinds {
    /// Each with how many of a hundred worlds have it.
    const ALL: [(Kinds, u64); 11] = [
        (Kinds::Partitions, 60),
        (Kinds::OneWay, 30),
        (Kinds::Crashes, 55),
        (Kinds::Restores, 25),
        (Kinds::Copies, 10),
        (Kinds::Clocks, 25),
        (Kinds::Disks, 20),
        (Kinds::Slow, 25),
        (Kinds::Forgers, 10),
        (Kinds::Removals, 25),
        (Kinds::Rules, 15),
    ];

    fn some(r: &mut Random) -> Vec<Kinds> {
        let some: Vec<Kinds> =
            Self::ALL.iter().filter(|(_, percent)| r.percent(*percent)).map(|k| k.0).collect();
        if some.is_empty() { vec![Kinds::Partitions] } else { some }
    }
}

/// Disk operations until the power goes: mostly within the next few commits.
const OPERATIONS: (u64, u64) = (1, 24);

fn fault(r: &mut Random, kinds: &[Kinds], nodes: usize, length_ms: u64, steps: &mut Vec<Timed>) {
    let node = r.below(nodes as u64) as usize;
    let other = (node + 1 + r.below(nodes as u64 - 1) as usize) % nodes;
    let at_ms = r.between(FIRST_MS, length_ms);
    let later_ms = at_ms + if r.percent(70) { r.between(200, 10_000) } else { r.between(10_000, 30_000) };
    let mut add = |at_ms, step| steps.push(Timed { at_ms, step });
    if r.percent(30) {
        return add(at_ms, Step::Observe { node });
    }
    match r.pick(kinds) {
        Kinds::Partitions => {
            // A group on each side.
            let inside: Vec<bool> = (0..nodes).map(|_| r.percent(50)).collect();
            for from in 0..nodes {
                for to in (0..nodes).filter(|to| inside[from] != inside[*to]) {
                    add(at_ms, Step::Cut { from, to });
                    add(later_ms, Step::Heal { from, to });
                }
            }
        }
        Kinds::OneWay => {
            add(at_ms, Step::Cut { from: node, to: other });
            add(later_ms, Step::Heal { from: node, to: other });
        }
        Kinds::Crashes => {
            let step = match r.below(7) {
                0 => Step::Kill { node },
                1 => Step::Stop { node },
                2 | 3 => Step::PowerCut { node, operations: 0 },
                _ => Step::PowerCut { node, operations: r.between(OPERATIONS.0, OPERATIONS.1) },
            };
            add(at_ms, step);
            add(later_ms, Step::Start { node });
        }
        kind @ (Kinds::Restores | Kinds::Copies) => {
            add(at_ms, Step::Backup { node });
            let properly = *kind == Kinds::Restores;
            if properly && r.percent(60) {
                // Who was told that it is restored need not hear it from others.
                for peer in (0..nodes).filter(|n| *n != node) {
                    for (from, to) in [(node, peer), (peer, node)] {
                        add(later_ms, Step::Cut { from, to });
                        add(later_ms + 6_000, Step::Heal { from, to });
                    }
                }
            }
            add(later_ms, Step::Restore { node, properly });
            add(later_ms + r.between(0, 1_500), Step::Start { node });
        }
        Kinds::Clocks => add(at_ms, Step::Clock { node, by_ms: r.between(0, 40_000) as i64 - 20_000 }),
        Kinds::Disks => {
            let error = *r.pick(&[DiskError::Full, DiskError::Write, DiskError::Sync, DiskError::Read]);
            add(at_ms, Step::Disk { node, error });
            // Whoever met it stops taking writes until it is started again.
            add(later_ms, Step::Kill { node });
            add(later_ms + r.between(0, 2_000), Step::Start { node });
        }
        Kinds::Slow => {
            add(at_ms, Step::Slow { node, by_ms: r.between(200, 3_000) });
            add(later_ms, Step::Slow { node, by_ms: 0 });
        }
        Kinds::Forgers => add(at_ms, Step::Forge { node, to: other }),
        Kinds::Removals => {
            // The founder stays, and mostly somebody else.
            let gone = r.between(1, nodes as u64 - 1) as usize;
            if r.percent(50) {
                add(at_ms, Step::Remove { node: gone, by: 0 });
                if r.percent(60) {
                    // It does not hear of it, and goes on for a while.
                    add(at_ms - 300, Step::Cut { from: 0, to: gone });
                    add(later_ms, Step::Heal { from: 0, to: gone });
                }
                add(later_ms, Step::Observe { node: gone });
            }
        }
        Kinds::Rules => add(at_ms, Step::Observe { node }),
    }
}

fn tables(r: &mut Random) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    // Few tables mostly, so that clients meet in them.
    for n in 0..*r.pick(&[1, 1, 2, 2, 3, 4]) {
        let name = format!("t{n}");
        let key: Vec<String> = match r.below(10) {
            0 => Vec::new(),
            1 => vec!["k".to_owned()],
            2 => vec!["id".to_owned(), "k".to_owned()],
            _ => vec!["id".to_owned()],
        };
        let generated = key == ["id"] && r.percent(35);
        let mut columns = Vec::new();
        for c in 0..r.between(1, 4) {
            let kind = *r.pick(&[Kind::Int, Kind::Int, Kind::Binary, Kind::Caseless]);
            columns.push(Column { name: format!("c{c}"), kind, nullable: r.percent(70) });
        }
        let mut references = Vec::new();
        // Keys to refer to: primary ones, and unique ones beside them.
        let unique = |t: &Table| {
            let of = t
                .uniques
                .iter()
                .filter_map(|u| if let [one] = u.as_slice() { Some(one.clone()) } else { None });
            of.filter(|c| t.kind(c) == Some(Kind::Int)).map(|c| (t.name.clone(), c)).collect::<Vec<_>>()
        };
        let mut parents: Vec<(String, String)> = tables.iter().flat_map(unique).collect();
        let primary = tables.iter().filter(|t| t.key == ["id"]).map(|t| t.name.clone());
        let primary = primary.chain((key == ["id"]).then(|| name.clone()));
        parents.extend(primary.map(|name| (name, "id".to_owned())));
        for i in 0..2 {
            if !parents.is_empty() && r.percent(if i == 0 { 55 } else { 15 }) {
                let column = format!("r{i}");
                let nullable = r.percent(70);
                columns.push(Column { name: column.clone(), kind: Kind::Int, nullable });
                let actions: &[&str] = match nullable {
                    true => &["RESTRICT", "NO ACTION", "CASCADE", "SET NULL"],
                    false => &["RESTRICT", "NO ACTION", "CASCADE"],
                };
                let (table, target) = r.pick(&parents).clone();
                let own = table == name;
                references.push(Reference {
                    column,
                    table,
                    target,
                    on_delete: (*r.pick(actions)).to_owned(),
                    // A cascade of updates into the same table is refused by MySQL when it comes to it.
                    on_update: if own { "RESTRICT".to_owned() } else { (*r.pick(actions)).to_owned() },
                });
            }
        }
        let names: Vec<String> = columns.iter().map(|c| c.name.clone()).collect();
        let mut uniques = Vec::new();
        for _ in 0..2 {
            if r.percent(45) {
                let mut of = vec![r.pick(&names).clone()];
                if r.percent(35) {
                    let other = r.pick(&names).clone();
                    if !of.contains(&other) {
                        of.push(other);
                    }
                }
                if !uniques.contains(&of) {
                    uniques.push(of);
                }
            }
        }
        let own = |c: &&Column| c.kind == Kind::Int && references.iter().all(|r| r.column != c.name);
        let ints: Vec<&Column> = columns.iter().filter(own).collect();
        let check = match ints.as_slice() {
            [a, b, ..] if r.percent(60) => Some(format!("{} <= {}", a.name, b.name)),
            [a, ..] if r.percent(30) => Some(format!("{} <= {CHECKED}", a.name)),
            _ => None,
        };
        let mut cells = Vec::new();
        for (name, kind) in [("s0", Kind::Set), ("m0", Kind::Map)] {
            if r.percent(35) {
                cells.push(Column { name: name.to_owned(), kind, nullable: true });
            }
        }
        tables.push(Table { name, key, generated, columns, cells, uniques, references, check });
    }
    tables
}

/// What tells a row from others, as an expression.
fn own_part(t: &Table) -> String {
    if t.key.is_empty() { "''".to_owned() } else { t.key.join(", '_', ") }
}

/// Stored programs that clients call: with loops, conditions, cursors and handlers.
fn programs(tables: &[Table]) -> Vec<String> {
    let mut all = vec![
        "CREATE PROCEDURE bump(at_row INT, amount INT) UPDATE tally SET n = n + amount WHERE id = at_row"
            .to_owned(),
        "CREATE FUNCTION successor(of_what INT) RETURNS INT DETERMINISTIC RETURN of_what + 1".to_owned(),
    ];
    for t in tables.iter().filter(|t| t.key == ["id"]) {
        let name = &t.name;
        all.push(format!(
            "CREATE PROCEDURE mark_{name}(low INT, high INT, mark VARCHAR(30))
             BEGIN
               DECLARE i INT DEFAULT low;
               DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;
               WHILE i <= high DO
                 IF EXISTS (SELECT 1 FROM {name} WHERE id = i) THEN
                   UPDATE {name} SET note = CONCAT(mark, '_', i) WHERE id = i;
                 ELSE
                   INSERT INTO {name} (id, note) VALUES (i, CONCAT(mark, '_', i));
                 END IF;
                 SET i = i + 1;
               END WHILE;
             END"
        ));
        all.push(format!(
            "CREATE PROCEDURE sweep_{name}(from_id INT, mark VARCHAR(30))
             BEGIN
               DECLARE done INT DEFAULT 0;
               DECLARE one INT;
               DECLARE rest CURSOR FOR SELECT id FROM {name} WHERE id >= from_id ORDER BY id;
               DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;
               OPEN rest;
               every: LOOP
                 FETCH rest INTO one;
                 IF done = 1 THEN LEAVE every; END IF;
                 IF MOD(one, 3) = 0 THEN DELETE FROM {name} WHERE id = one;
                 ELSE UPDATE {name} SET note = CONCAT(mark, '_', one) WHERE id = one;
                 END IF;
               END LOOP;
               CLOSE rest;
             END"
        ));
    }
    all
}

/// Makes statements.
struct Statements<'a> {
    random: Random,
    tables: &'a [Table],
    notes: u64,
    ddl: u64,
    /// There are stored programs.
    programs: bool,
}

impl Statements<'_> {
    fn transaction(&mut self, id: u64) -> Transaction {
        match self.random.below(16) {
            0 if self.programs && self.random.percent(40) => Transaction::lone(self.redefinition()),
            0 => Transaction::lone(vec![self.schema()]),
            1..=6 => Transaction::lone(vec![self.statement()]),
            _ => {
                let n = self.random.between(1, 4);
                let mut statements: Vec<String> = (0..n).map(|_| self.statement()).collect();
                if self.random.percent(40) {
                    let (by, id) = (self.random.between(1, 20), self.random.between(1, 2));
                    let at = self.random.below(statements.len() as u64 + 1) as usize;
                    statements.insert(
                        at,
                        match self.programs && self.random.percent(50) {
                            true => format!("CALL bump({id}, {by})"),
                            false => format!("UPDATE tally SET n = n + {by} WHERE id = {id}"),
                        },
                    );
                }
                Transaction { id, statements, rollback: self.random.percent(8), account: None }
            }
        }
    }

    /// Rows to begin with.
    fn rows(&mut self) -> Vec<String> {
        let tables = self.tables;
        let mut all = Vec::new();
        for t in tables {
            for i in 1..=ROWS {
                all.push(self.first_row(t, i));
            }
        }
        all
    }

    /// A row that stands in nobody's way, and whose parents are there.
    fn first_row(&mut self, t: &Table, i: u64) -> String {
        let letter = char::from(b'a' + i as u8);
        let mut names: Vec<&str> = Vec::new();
        let mut values = Vec::new();
        for key in t.key.iter().filter(|_| !t.generated) {
            names.push(key);
            values.push(if key == "k" { format!("'{letter}'") } else { i.to_string() });
        }
        for c in &t.columns {
            names.push(&c.name);
            let reference = t.references.iter().find(|r| r.column == c.name);
            values.push(match (reference, c.kind) {
                (Some(r), _) if r.table == t.name => i.to_string(),
                (Some(_), _) => self.random.between(1, ROWS).to_string(),
                // The greater side of a CHECK begins with room below it.
                (None, Kind::Int)
                    if t.check.as_ref().is_some_and(|k| k.ends_with(&format!("<= {}", c.name))) =>
                {
                    (i + VALUES).to_string()
                }
                (None, Kind::Int) => i.to_string(),
                (None, _) => format!("'{letter}'"),
            });
        }
        for c in &t.cells {
            names.push(&c.name);
            values.push(self.whole(c.kind));
        }
        names.push("note");
        values.push(format!("'{}'", self.note()));
        format!("INSERT INTO {} ({}) VALUES ({})", t.name, names.join(", "), values.join(", "))
    }

    /// Changes of the schema; what the oracles rely on stays.
    fn schema(&mut self) -> String {
        let tables = self.tables;
        let r = &mut self.random;
        let t = r.pick(tables);
        self.ddl += 1;
        let n = self.ddl;
        let column = r.pick(&t.columns);
        match r.below(14) {
            8 | 10 | 11 => format!(
                "ALTER TABLE {} ADD CONSTRAINT {}_x CHECK ({} <= {CHECKED})",
                t.name, t.name, t.columns[0].name
            ),
            9 => format!("ALTER TABLE {} DROP CHECK {}_x", t.name, t.name),
            // Against those who write NULL, or a greater number, and do not know.
            12 => format!("ALTER TABLE {} MODIFY {} {} NOT NULL", t.name, column.name, column.kind.sql()),
            13 => format!("ALTER TABLE {} MODIFY {} {}", t.name, column.name, column.kind.sql()),
            0 | 1 => format!("ALTER TABLE {} ADD COLUMN x{} INT DEFAULT {}", t.name, r.below(3), r.below(9)),
            2 => format!("ALTER TABLE {} DROP COLUMN x{}", t.name, r.below(3)),
            3 => format!("CREATE INDEX i{n} ON {} ({})", t.name, t.columns[0].name),
            4 => format!("CREATE UNIQUE INDEX ux ON {} ({})", t.name, r.pick(&t.columns).name),
            5 => format!("DROP INDEX ux ON {}", t.name),
            6 => format!(
                "CREATE TABLE IF NOT EXISTS extra{} (id INT PRIMARY KEY, note VARCHAR(60))",
                r.below(2)
            ),
            _ => format!("ALTER TABLE {} RENAME COLUMN x{} TO x{}", t.name, r.below(3), r.below(3)),
        }
    }

    /// A procedure is made anew, perhaps elsewhere too.
    fn redefinition(&mut self) -> Vec<String> {
        let tables = self.tables;
        let t = self.random.pick(tables);
        let name = format!("q{}", self.random.below(2));
        let drop = format!("DROP PROCEDURE IF EXISTS {name}");
        if self.random.percent(15) {
            return vec![drop];
        }
        let (own, condition) = (own_part(t), self.condition(t));
        let set = format!("note = CONCAT(mark, {own})");
        vec![
            drop,
            format!(
                "CREATE PROCEDURE {name}(mark VARCHAR(30)) UPDATE {} SET {set} WHERE {condition}",
                t.name
            ),
        ]
    }

    /// A call of a stored program.
    fn call(&mut self, t: &Table) -> String {
        let note = self.note();
        match self.random.below(5) {
            0 | 1 if t.key == ["id"] => {
                let low = self.random.between(1, NEW_KEYS);
                format!("CALL mark_{}({low}, {}, '{note}')", t.name, low + self.random.below(3))
            }
            2 if t.key == ["id"] => {
                format!("CALL sweep_{}({}, '{note}')", t.name, self.random.between(2, NEW_KEYS))
            }
            3 => {
                let (c, condition) = (self.random.pick(&t.columns).clone(), self.condition(t));
                let to =
                    if c.kind == Kind::Int { format!("successor({})", c.name) } else { "'s'".to_owned() };
                format!("UPDATE {} SET {} = {to} WHERE {condition}", t.name, c.name)
            }
            _ => format!("CALL q{}('{note}')", self.random.below(2)),
        }
    }

    /// A whole set or map, with one value of its own and some that others write too.
    fn whole(&mut self, kind: Kind) -> String {
        if self.random.percent(25) {
            return "NULL".to_owned();
        }
        let (note, common) = (self.note(), self.random.pick(&["a", "b", "cc"]).to_owned());
        match kind {
            Kind::Set => format!("'[\"{common}\", \"{note}z\"]'"),
            _ => format!("'{{\"{common}\": \"{note}z\"}}'"),
        }
    }

    /// Something goes into a set or map, or out of it.
    fn cell(&mut self, t: &Table, c: &Column) -> String {
        let condition = self.condition(t);
        let (name, note, own) = (&c.name, self.note(), own_part(t));
        let key = *self.random.pick(&["a", "b", "cc"]);
        let way = self.random.below(10);
        let to = match (c.kind, way) {
            (_, 0) => self.whole(c.kind),
            (Kind::Set, 1..=4) => {
                format!(
                    "JSON_ARRAY_APPEND(COALESCE({name}, JSON_ARRAY()), '$', CONCAT('{note}', {own}, 'z'))"
                )
            }
            (Kind::Set, 5) => format!("JSON_ARRAY_APPEND(COALESCE({name}, JSON_ARRAY()), '$', '{key}')"),
            (Kind::Set, 6 | 7) => format!("JSON_REMOVE({name}, '$[0]')"),
            (Kind::Set, _) => format!("JSON_REMOVE({name}, '$[1]')"),
            (_, 1..=5) => {
                format!("JSON_SET(COALESCE({name}, JSON_OBJECT()), '$.{key}', CONCAT('{note}', {own}, 'z'))")
            }
            _ => format!("JSON_REMOVE({name}, '$.{key}')"),
        };
        format!("UPDATE {} SET {name} = {to} WHERE {condition}", t.name)
    }

    fn note(&mut self) -> String {
        self.notes += 1;
        format!("n{}e", self.notes)
    }

    fn value(&mut self, kind: Kind, nullable: bool, wide: bool) -> String {
        let r = &mut self.random;
        if nullable && r.percent(20) {
            return "NULL".to_owned();
        }
        let n = if wide { r.below(1_000) } else { r.below(VALUES) };
        match kind {
            Kind::Int => n.to_string(),
            _ => {
                let upper = r.percent(50);
                let letter = char::from(b"abcdefghij"[(n % 10) as usize]);
                let letter = if upper { letter.to_ascii_uppercase() } else { letter };
                if wide { format!("'{letter}{n}'") } else { format!("'{letter}'") }
            }
        }
    }

    fn key(&mut self, name: &str) -> String {
        if name == "k" {
            self.value(Kind::Caseless, false, false)
        } else {
            self.random.between(1, KEYS).to_string()
        }
    }

    fn column(&mut self, t: &Table, c: &Column) -> String {
        if t.references.iter().any(|r| r.column == c.name) {
            if c.nullable && self.random.percent(40) {
                return "NULL".to_owned();
            }
            return self.random.between(1, ROWS).to_string();
        }
        // Unique ones collide now and then, not always.
        let unique = t.uniques.iter().any(|u| u.contains(&c.name));
        let wide = unique && self.random.percent(35);
        self.value(c.kind, c.nullable, wide)
    }

    fn insert(&mut self, t: &Table, verb: &str) -> String {
        let rows = if self.random.percent(80) { 1 } else { 3 };
        let draws = t.generated && self.random.percent(85);
        let mut names: Vec<&str> =
            if draws { Vec::new() } else { t.key.iter().map(String::as_str).collect() };
        names.extend(t.columns.iter().map(|c| c.name.as_str()));
        let cells = if self.random.percent(50) { t.cells.as_slice() } else { &[] };
        names.extend(cells.iter().map(|c| c.name.as_str()));
        names.push("note");
        let mut all = Vec::new();
        for _ in 0..rows {
            let mut values = Vec::new();
            if !draws {
                for key in &t.key {
                    let fresh = key == "id" && self.random.percent(60);
                    values.push(match fresh {
                        true => self.random.between(ROWS + 1, NEW_KEYS).to_string(),
                        false => self.key(key),
                    });
                }
            }
            for c in &t.columns {
                values.push(self.column(t, c));
            }
            for c in cells {
                values.push(self.whole(c.kind));
            }
            values.push(format!("'{}'", self.note()));
            all.push(format!("({})", values.join(", ")));
        }
        format!("{verb} INTO {} ({}) VALUES {}", t.name, names.join(", "), all.join(", "))
    }

    fn condition(&mut self, t: &Table) -> String {
        match (t.key.first(), self.random.percent(80)) {
            (Some(key), true) => format!("{key} = {}", self.key(key)),
            (Some(key), false) if key == "id" => {
                let low = self.random.between(1, KEYS);
                format!("id BETWEEN {low} AND {}", low + 2)
            }
            _ => {
                let c = self.random.pick(&t.columns).clone();
                match self.value(c.kind, c.nullable, false).as_str() {
                    "NULL" => format!("{} IS NULL", c.name),
                    v => format!("{} = {v}", c.name),
                }
            }
        }
    }

    fn assignments(&mut self, t: &Table) -> String {
        let mut sets = Vec::new();
        for _ in 0..self.random.between(0, 2) {
            let c = self.random.pick(&t.columns).clone();
            if sets.iter().all(|s: &String| !s.starts_with(&format!("{} ", c.name))) {
                sets.push(format!("{} = {}", c.name, self.column(t, &c)));
            }
        }
        if sets.is_empty() || self.random.percent(60) {
            // Each row its own value.
            let note = self.note();
            sets.push(format!("note = CONCAT('{note}', {})", own_part(t)));
        }
        sets.join(", ")
    }

    fn statement(&mut self) -> String {
        let tables = self.tables;
        let t = self.random.pick(tables);
        if !t.cells.is_empty() && self.random.percent(30) {
            let c = self.random.pick(&t.cells).clone();
            return self.cell(t, &c);
        }
        if self.programs && self.random.percent(15) {
            return self.call(t);
        }
        if let Some((low, high)) = t.check.as_ref().and_then(|c| c.split_once(" <= "))
            && self.random.percent(10)
        {
            // Each side keeps the CHECK by itself.
            let (set, to) = if self.random.percent(50) { (low, high) } else { (high, low) };
            let condition = self.condition(t);
            return match set.parse::<u64>() {
                Ok(_) => format!("UPDATE {} SET {low} = {high} WHERE {condition}", t.name),
                Err(_) => format!("UPDATE {} SET {set} = {to} WHERE {condition}", t.name),
            };
        }
        if let Some(column) = t.uniques.first().map(|u| u[0].clone())
            && self.random.percent(9)
            && let Some(c) = t.columns.iter().find(|c| c.name == column && c.kind == Kind::Int)
        {
            // Who holds a value that another claims lets go of it.
            let (free, held) = (1_000 + self.random.below(100_000), self.random.below(VALUES));
            return format!("UPDATE {} SET {} = {free} WHERE {} = {held}", t.name, c.name, c.name);
        }
        match self.random.below(24) {
            0..=7 => self.insert(t, "INSERT"),
            8 => self.insert(t, "INSERT IGNORE"),
            9 => self.insert(t, "REPLACE"),
            10 => {
                let insert = self.insert(t, "INSERT");
                let c = self.random.pick(&t.columns).name.clone();
                format!("{insert} ON DUPLICATE KEY UPDATE {c} = VALUES({c}), note = VALUES(note)")
            }
            11 => {
                let (c, condition) = (self.random.pick(&t.columns).name.clone(), self.condition(t));
                format!("UPDATE {} SET {c} = {c} WHERE {condition}", t.name)
            }
            12..=17 => {
                let (sets, condition) = (self.assignments(t), self.condition(t));
                format!("UPDATE {} SET {sets} WHERE {condition}", t.name)
            }
            18 if t.key.first().is_some_and(|k| k == "id") => {
                let (to, from) = (self.key("id"), self.key("id"));
                format!("UPDATE {} SET id = {to} WHERE id = {from}", t.name)
            }
            19..=21 => {
                let condition = self.condition(t);
                format!("DELETE FROM {} WHERE {condition}", t.name)
            }
            _ => {
                let condition = self.condition(t);
                format!("SELECT * FROM {} WHERE {condition}", t.name)
            }
        }
    }
}
