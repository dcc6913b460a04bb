//! Bugs that are put in on purpose are found: each within the seeds that the table in `docs/simulation.md` says.
#![cfg(debug_assertions)]

use std::path::Path;

use p2pdb_model::fault::Fault;
use p2pdb_sim::generate::{Size, plan};
use p2pdb_sim::plan::Plan;
use p2pdb_sim::run::run_with;

/// So many times the seeds of the table are looked at before a fault counts as missed: which of them finds it changes
/// with everything that moves a world.
const MARGIN: u64 = 4;

/// What finds a fault.
enum By {
    /// One of so many seeds.
    Seeds(u64),
    /// This plan, which a seed was made smaller to.
    Plan(String),
}

/// The table's rows: the fault's name and what finds it, if anything does.
fn table() -> Vec<(String, Option<By>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation.md");
    let text = std::fs::read_to_string(page).expect("the page about the simulation");
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let by = cells.nth(1)?;
        let plan = || Some(By::Plan(by.strip_prefix("`")?.strip_suffix("`")?.to_owned()));
        let by = by.parse().map(By::Seeds).ok().or_else(plan);
        Some((name, by))
    };
    text.lines().filter_map(row).collect()
}

fn finds(fault: Fault, plan: &Plan) -> bool {
    // That the simulator itself cannot go on is no finding.
    run_with(fault, plan).result.is_err_and(|f| f.oracle != "simulator")
}

fn of_seed(seed: u64) -> Plan {
    plan(seed, &Size::default())
}

fn committed(name: &str) -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans").join(name).with_extension("json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("a plan")).expect("a plan")
}

#[test]
fn every_deliberate_fault_is_found_within_the_seeds_that_the_docs_say() {
    let table = table();
    let (mut missed, mut found) = (Vec::new(), 0);
    for (fault, name, _) in Fault::ALL {
        let Some((_, by)) = table.iter().find(|(n, _)| n == name) else {
            missed.push(format!("{name} is not in the table"));
            continue;
        };
        let Some(by) = by else { continue };
        found += 1;
        let is_found = match by {
            // The one that found it when the table was made; after a change of the engine it may be another.
            By::Seeds(n) => {
                finds(*fault, &of_seed(*n)) || (1..=*n * MARGIN).any(|seed| finds(*fault, &of_seed(seed)))
            }
            By::Plan(name) => finds(*fault, &committed(name)),
        };
        if !is_found {
            missed.push(format!("{name} is not found any more by what found it"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(found >= 20, "only {found} faults are found");
}
