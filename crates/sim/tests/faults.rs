//! Bugs that are put in on purpose are found: each within the seeds that the table in `docs/simulation.md` says.
#![cfg(debug_assertions)]

use std::path::Path;

use p2pdb_model::fault::Fault;
use p2pdb_sim::generate::{Size, plan};
use p2pdb_sim::run::run_with;

/// So many times the seeds of the table are looked at before a fault counts as missed: which of them finds it changes
/// with everything that moves a world.
const MARGIN: u64 = 4;

/// The table's rows: the fault's name and the seed that finds it, if one does.
fn table() -> Vec<(String, Option<u64>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/simulation.md");
    let text = std::fs::read_to_string(page).expect("the page about the simulation");
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?.to_owned();
        let seeds = cells.nth(1)?.parse().ok();
        Some((name, seeds))
    };
    text.lines().filter_map(row).collect()
}

fn finds(fault: Fault, seed: u64) -> bool {
    // That the simulator itself cannot go on is no finding.
    run_with(fault, &plan(seed, &Size::default())).result.is_err_and(|f| f.oracle != "simulator")
}

#[test]
fn every_deliberate_fault_is_found_within_the_seeds_that_the_docs_say() {
    let table = table();
    let (mut missed, mut found) = (Vec::new(), 0);
    for (fault, name, _) in Fault::ALL {
        let Some((_, seeds)) = table.iter().find(|(n, _)| n == name) else {
            missed.push(format!("{name} is not in the table"));
            continue;
        };
        let Some(seeds) = seeds else { continue };
        found += 1;
        // The one that found it when the table was made; after a change of the engine it may be another.
        if !finds(*fault, *seeds) && !(1..=*seeds * MARGIN).any(|seed| finds(*fault, seed)) {
            missed.push(format!("{name} is not found in {seeds} seeds any more"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(found >= 20, "only {found} faults are found");
}
