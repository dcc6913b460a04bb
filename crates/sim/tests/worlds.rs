//! Worlds in the test run: fixed seeds, plans that once failed, and that two runs of a seed are one.

use std::path::Path;

use p2pdb_sim::generate::{Size, plan};
use p2pdb_sim::plan::Plan;
use p2pdb_sim::run::run;

/// Seeds that every run of the tests has.
const SEEDS: std::ops::Range<u64> = 1..21;

#[test]
fn a_seed_run_twice_gives_the_same_trace() {
    let mut digests = std::collections::BTreeSet::new();
    for seed in SEEDS.take(8) {
        let plan = plan(seed, &Size::default());
        let (one, two) = (run(&plan, false), run(&plan, false));
        if let Some((a, b)) = one.lines.iter().zip(&two.lines).find(|(a, b)| a != b) {
            panic!("seed {seed}:\n  {a}\n  {b}");
        }
        assert_eq!(one.digest, two.digest, "seed {seed}");
        digests.insert(one.digest);
    }
    assert_eq!(digests.len(), 8, "different seeds give different worlds");
}

#[test]
fn worlds_of_fixed_seeds_keep_every_promise() {
    for seed in SEEDS {
        let outcome = run(&plan(seed, &Size::default()), false);
        if let Err(failure) = outcome.result {
            panic!("seed {seed} fails: {failure}\n{}", outcome.lines.join("\n"));
        }
    }
}

#[test]
fn plans_that_once_failed_do_not_fail_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of plans")
        .map(|e| e.expect("a readable entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable plan");
        let plan: Plan = serde_json::from_str(&text).expect("a plan");
        let outcome = run(&plan, false);
        if let Err(failure) = outcome.result {
            panic!("{} fails: {failure}\n{}", file.display(), outcome.lines.join("\n"));
        }
    }
}
