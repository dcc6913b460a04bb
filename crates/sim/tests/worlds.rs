//! Worlds in the test run: fixed seeds, plans that once failed, and that two runs of a seed are one.

use std::path::Path;

use p2pdb_block::limits::PARENTS_MAX;
use p2pdb_sim::generate::{Size, plan};
use p2pdb_sim::plan::{Column, Kind, Member, Network, Plan, Step, Table, Timed, Transaction};
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

/// A node whose owner has patched it signs what nobody granted: no other node, nor what it shows of itself, counts it. In debug
/// builds: others have no such node.
#[test]
#[cfg(debug_assertions)]
fn who_patches_their_own_node_gains_nothing() {
    let mut void = 0;
    for plan in (300..330).filter_map(|seed| p2pdb_sim::generate::patched(seed, &Size::default())).take(14) {
        let outcome = run(&plan, false);
        match outcome.result {
            Ok(summary) => void += summary.void,
            Err(failure) => panic!("seed {} fails: {failure}\n{}", plan.seed, outcome.lines.join("\n")),
        }
    }
    assert!(void > 70, "{void} transactions were void");
}

/// More nodes write at once than a block may name parents.
#[test]
fn more_heads_than_a_block_may_name_are_tied() {
    let nodes = PARENTS_MAX + 6;
    let mut crowd = plan(77, &Size { nodes: (2, 2), transactions: (0, 0), faults: (0, 0) });
    crowd.nodes = vec![Member { joins_ms: 0, wrong_by_ms: 0, older: false, owner: false }; nodes];
    crowd.network = Network { latency_ms: (600, 900), loss_percent: 0, duplicate_percent: 0, reorder: false };
    (crowd.clients, crowd.accounts, crowd.newer, crowd.counted) = (1, false, false, false);
    (crowd.sealed, crowd.watched) = (false, false);
    crowd.programs.clear();
    crowd.rows.clear();
    crowd.tables = vec![Table {
        name: "t0".to_owned(),
        key: vec!["id".to_owned()],
        generated: false,
        columns: vec![Column { name: "c0".to_owned(), kind: Kind::Int, nullable: true }],
        cells: Vec::new(),
        uniques: vec![vec!["c0".to_owned()]],
        references: Vec::new(),
        check: None,
    }];
    let work = |at_ms, node: usize, id: usize, statements: Vec<String>| {
        let transaction = Transaction { id: id as u64, statements, rollback: false, account: None };
        Timed { at_ms, step: Step::Work { node, client: 0, transaction } }
    };
    // All before anybody has heard of anybody; every other unique value is wanted twice.
    let all = (0..nodes).map(|n| {
        let row = format!("INSERT INTO t0 (id, c0, note) VALUES ({}, {}, 'n{n}e')", n + 1, n * 3 / 4);
        work(30_000, n, n + 1, vec![row])
    });
    let later = (0..nodes).step_by(7).map(|n| {
        let row = format!("UPDATE t0 SET note = 'n{}e' WHERE id = {}", n + 1_000, n + 1);
        work(36_000, n, n + 1_000, vec![row])
    });
    crowd.steps = all.chain(later).collect();
    let outcome = run(&crowd, false);
    match outcome.result {
        // Its own predecessor beside them.
        Ok(counts) => assert_eq!(counts.parents, PARENTS_MAX + 1),
        Err(failure) => panic!("{failure}\n{}", outcome.lines.join("\n")),
    }
}

/// One statement among many is wrong, here by a deliberate fault that only it meets: it is what is left.
#[cfg(debug_assertions)]
#[test]
fn a_failing_plan_shrinks_to_the_step_that_fails() {
    use p2pdb_model::fault::{Fault, switch};
    let mut large = plan(5, &Size { nodes: (2, 3), transactions: (12, 12), faults: (3, 3) });
    large.steps.retain(|t| match &t.step {
        Step::Work { transaction, .. } => {
            transaction.statements.iter().all(|s| !s.starts_with("DELETE") && !s.starts_with("CALL"))
        }
        _ => true,
    });
    let bad = Transaction::lone(vec!["DELETE FROM w.tally WHERE id = 2".to_owned()]);
    let at_ms = large.steps[large.steps.len() / 2].at_ms;
    let node = 0;
    large.steps.insert(
        large.steps.len() / 2,
        Timed { at_ms, step: Step::Work { node, client: 0, transaction: bad.clone() } },
    );
    let (steps, statements) = (large.steps.len(), large.statements());
    assert!(steps > 12 && statements > 12, "{steps} steps with {statements} statements");
    switch(Some(Fault::DeleteNotLogged));
    let failure = run(&large, false).result.expect_err("the fault is met");
    let (small, runs) = p2pdb_sim::shrink::shrink(&large, failure.oracle);
    let again = run(&small, false).result;
    switch(None);
    assert_eq!(again.expect_err("it still fails").oracle, failure.oracle);
    let left: Vec<&Step> = small.steps.iter().map(|t| &t.step).collect();
    assert_eq!(left, [&Step::Work { node, client: 0, transaction: bad }], "after {runs} runs");
    assert!(run(&small, false).result.is_ok(), "without the fault it does not fail");
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
