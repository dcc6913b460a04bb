//! The laws of merging (`apply_laws`) in worlds where most of what happens meets in the columns that CHECKs join.
//!
//! There is one table, with few rows: two registers and a counter of one CHECK, a unique column and a reference of others that
//! share a column with it. The CHECKs come and go, and so do a unique key and a type. Local statements keep the CHECKs that
//! their node knows, as those of the engine do; what else a row shows does not move by them.

use std::collections::{BTreeMap, BTreeSet};

use p2pdb_model::Value;
use p2pdb_model::change::SchemaChange;
use p2pdb_model::schema::*;

use crate::apply_laws::{NODES, Played, Step, delivered_alike, law, voided_and_back};
use crate::apply_testing::*;

const CHECKS: [(&str, &str); 3] = [
    ("room", "{lo} <= {hi} + {n}"),
    ("level", "{k} IS NULL OR {k} <= {hi}"),
    ("above", "{up} IS NULL OR {up} <= {lo} + 9"),
];
const COLUMNS: [&str; 6] = ["id", "lo", "hi", "k", "up", "n"];

fn made(node: &Node) -> Vec<SchemaChange> {
    let mut ddl = Ddl::new(node.merger.catalog());
    let d = ddl.database();
    let columns = [("id", int()), ("lo", int()), ("hi", int()), ("k", int()), ("up", int())];
    let stay = ddl.table(d, "stay", &columns, &["id"], &[&["k"]]);
    let n = ColumnDef { comment: "[counter]".to_owned(), ..ColumnDef::new(int()) };
    ddl.put(stay, "n", Definition::Column(n), 6);
    ddl.foreign_key((stay, "up"), (stay, "id"), ReferentialAction::SetNull);
    for (name, expression) in CHECKS {
        ddl.put(stay, name, check(expression, true), 0);
    }
    ddl.changes
}

fn check(expression: &str, enforced: bool) -> Definition {
    Definition::Check(CheckDef { expression: expression.to_owned(), enforced })
}

fn changed(node: &Node, s: Step) -> Vec<SchemaChange> {
    let catalog = node.merger.catalog().clone();
    let Some(stay) = catalog.table("d", "stay") else { return Vec::new() };
    let mut ddl = Ddl::new(&catalog);
    match s.x % 8 {
        0 => match stay.index("ul") {
            Some(index) => return vec![SchemaChange::Drop { id: index.id }],
            None => drop(ddl.index(stay.id, "ul", &["lo"], true)),
        },
        1 => {
            let Some(lo) = stay.column("lo") else { return Vec::new() };
            let ty = if lo.def.ty == tiny() { int() } else { tiny() };
            ddl.put(stay.id, "lo", Definition::Column(ColumnDef::new(ty)), lo.position);
        }
        n => {
            let (name, expression) = CHECKS[usize::from(n) % CHECKS.len()];
            let known = stay.checks.iter().find(|c| c.name == name);
            match known {
                Some(known) if s.y.is_multiple_of(3) => return vec![SchemaChange::Drop { id: known.id }],
                known => {
                    let enforced = known.is_some_and(|c| c.def.enforced);
                    ddl.put(stay.id, name, check(expression, !enforced), 0);
                }
            }
        }
    }
    ddl.changes
}

/// The CHECKs that this node knows, of a row that holds these expressions in some columns, and what it held in the others.
fn holds(node: &Node, given: &[(&str, String)]) -> String {
    let catalog = node.merger.catalog();
    let Some(stay) = catalog.table("d", "stay") else { return "0".to_owned() };
    let mut all = vec!["1".to_owned()];
    for check in stay.checks.iter().filter(|c| c.def.enforced) {
        let mut sql = check.def.expression.clone();
        for column in COLUMNS {
            let value = given.iter().find(|(c, _)| *c == column).map(|(_, v)| v.clone());
            let value = value.unwrap_or_else(|| format!("{{stay.{column}}}"));
            sql = sql.replace(&format!("{{{column}}}"), &value);
        }
        all.push(format!("({sql})"));
    }
    all.join(" AND ")
}

/// A statement, and the columns that it gives values to, of which row; none of one that may do more.
fn statement(node: &Node, s: Step) -> (String, Option<(u8, Vec<&'static str>)>) {
    let (id, v) = (s.x % 2, i32::from(s.y / 4 % 16));
    let update = |given: &[(&'static str, String)], adds: &str| {
        let set: Vec<String> = given.iter().map(|(c, v)| format!("{{stay.{c}}} = {v}")).collect();
        let guard = holds(node, given);
        let sql =
            format!("UPDATE {{stay}} SET {} WHERE {{stay.id}} = {id} AND ({guard}) {adds}", set.join(", "));
        (sql, Some((id, given.iter().map(|g| g.0).collect())))
    };
    let some = |value: i32| if s.y.is_multiple_of(5) { "NULL".to_owned() } else { value.to_string() };
    match s.action / 20 % 12 {
        0 => {
            let values = [id.into(), v, v + i32::from(s.y % 4) * 4].map(|v: i32| v.to_string());
            let given = ["id", "lo", "hi"].into_iter().zip(values);
            let given: Vec<(&str, String)> = given
                .chain([("k", "NULL".to_owned()), ("up", "NULL".to_owned()), ("n", "0".to_owned())])
                .collect();
            let names: Vec<String> = given.iter().map(|(c, _)| format!("{{stay.{c}}}")).collect();
            let values: Vec<&str> = given.iter().map(|(_, v)| v.as_str()).collect();
            let (names, values) = (names.join(", "), values.join(", "));
            (
                format!(
                    "INSERT INTO {{stay}} ({names}, _v) SELECT {values}, ?v WHERE {}",
                    holds(node, &given)
                ),
                None,
            )
        }
        1 if s.x.is_multiple_of(3) => (format!("DELETE FROM {{stay}} WHERE {{stay.id}} = {id}"), None),
        1..=4 => update(&[("lo", v.to_string())], ""),
        5..=7 => update(&[("hi", v.to_string())], ""),
        8 => update(&[("k", some(v))], ""),
        9 => update(&[("up", some(i32::from(s.y % 2)))], ""),
        10 => update(&[("lo", v.to_string()), ("hi", (v + 3).to_string())], ""),
        _ => update(&[("n", format!("{{stay.n}} + {}", i32::from(s.y % 8) - 4))], ADDS),
    }
}

fn shown(node: &Node) -> BTreeMap<Value, Vec<Value>> {
    node.rows("stay").into_iter().map(|row| (row[0].clone(), row)).collect()
}

/// Nothing moved by an update but what it said; a reference may find what it waited for.
fn assert_as_said(before: &BTreeMap<Value, Vec<Value>>, node: &Node, (id, given): &(u8, Vec<&str>)) {
    let after = shown(node);
    for (key, row) in before {
        let Some(now) = after.get(key) else { panic!("row {key:?} is gone by an update of {id}") };
        for (n, column) in COLUMNS.iter().enumerate().filter(|(_, c)| **c != "up") {
            let said = *key == Value::Int(i64::from(*id)) && given.contains(column);
            assert!(
                said || row[n] == now[n],
                "{column} of {key:?}: {row:?} became {now:?} by {given:?} of {id}"
            );
        }
    }
}

fn play(steps: &[Step]) -> Played {
    let world = world();
    let mut nodes: Vec<Node> = (0..NODES).map(|n| Node::new(n as u8 + 1, &world)).collect();
    let first = made(&nodes[0]);
    let first = nodes[0].ddl(first);
    nodes[1..].iter_mut().for_each(|node| assert!(node.receive(first)));
    for (clock, s) in steps.iter().enumerate() {
        let n = usize::from(s.node) % NODES;
        let clock = (clock as u64 + u64::from(s.y % 7)) * 10;
        match s.action % 20 {
            0..16 => {
                let (text, said) = statement(&nodes[n], *s);
                let Some(sql) = nodes[n].try_sql(&text) else { continue };
                let before = shown(&nodes[n]);
                if nodes[n].run_at(&[&[&sql]], true, clock).is_some()
                    && let Some(said) = said
                {
                    assert_as_said(&before, &nodes[n], &said);
                }
            }
            16 if s.y.is_multiple_of(2) => {
                let changes = changed(&nodes[n], *s);
                if !changes.is_empty() {
                    nodes[n].ddl(changes);
                }
            }
            _ => hear(&mut nodes, n, s.x, s.y),
        }
    }
    (world, nodes)
}

#[test]
fn equal_blocks_give_equal_tables_where_checks_join_columns() {
    law((|steps, a, b| delivered_alike(play(&more(steps)), (a, b))) as fn(Vec<Step>, u64, u64) -> bool);
}

#[test]
fn voiding_gives_the_state_without_where_checks_join_columns() {
    law((|steps, picks, seed| voided_and_back(play(&more(steps)), picks, seed))
        as fn(Vec<Step>, Vec<u8>, u64) -> bool);
}

/// The first rows, and then the steps.
fn more(steps: Vec<Step>) -> Vec<Step> {
    let first = [0, 1].map(|x| Step { node: 0, action: 0, x, y: 3 });
    let spread = (0..NODES as u8).map(|node| Step { node, action: 19, x: 1, y: 0 });
    first.into_iter().chain(spread.clone()).chain(spread).chain(steps).collect()
}

#[test]
fn something_is_held_back_in_these_worlds() {
    use quickcheck::{Arbitrary, Gen};
    let mut g = Gen::from_size_and_seed(60, 1);
    let mut held = 0;
    for _ in 0..40 {
        let steps: Vec<Step> = (0..60).map(|_| Step::arbitrary(&mut g)).collect();
        let (_, nodes) = play(&more(steps));
        for node in &nodes {
            let t = node.merger.catalog().table("d", "stay").expect("the table").physical();
            let sql = format!("SELECT _o FROM {t} WHERE _o IS NOT NULL");
            let flags: BTreeSet<u8> = crate::open_testing::rows(&node.writer, &sql)
                .into_iter()
                .filter_map(|row| if let [Value::Blob(b)] = &row[..] { b.first().copied() } else { None })
                .collect();
            held += usize::from(flags.iter().any(|f| f & crate::displaced::WHOLE != 0));
        }
    }
    assert!(held > 4, "{held} nodes of 120");
}
