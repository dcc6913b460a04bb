//! `p2pdb-sim`: runs worlds of seeds, shows what happens in one, makes failing ones smaller.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use p2pdb_sim::generate::{self, Size};
use p2pdb_sim::light::figures::{Figures, table};
use p2pdb_sim::light::scenario::{SCENARIOS, play};
use p2pdb_sim::plan::Plan;
use p2pdb_sim::run::run;
use p2pdb_sim::shrink::shrink;
use parking_lot::Mutex;

/// Runs seeded worlds of several nodes and says what is wrong with them.
#[derive(Parser)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, from the first on.
    #[arg(long, default_value_t = 1)]
    worlds: u64,
    /// Ends after so many seconds, whatever is left.
    #[arg(long)]
    seconds: Option<u64>,
    /// Runs a plan from a file instead of a seed's.
    #[arg(long)]
    plan: Option<PathBuf>,
    /// Prints every event.
    #[arg(long)]
    show: bool,
    /// Prints the plan and runs nothing.
    #[arg(long)]
    print: bool,
    /// A world that has not ended after so many seconds is given up, and with it the run: something in it waits for ever.
    #[arg(long, default_value_t = 300)]
    patience: u64,
    /// Runs each world twice and compares.
    #[arg(long)]
    twice: bool,
    /// Makes the first failing plan smaller and writes it there.
    #[arg(long)]
    shrink: Option<PathBuf>,
    /// For each deliberate fault, the first of so many seeds that finds it, as a table for the docs (not in release builds).
    #[arg(long)]
    faults: Option<u64>,
    /// Only the fault of this name.
    #[arg(long)]
    only: Option<String>,
    /// With this deliberate fault (not in release builds).
    #[arg(long)]
    fault: Option<String>,
    /// In every world there is a node whose owner has patched it (nothing else in release builds)
    #[arg(long)]
    patched: bool,
    /// Goes on after a failure.
    #[arg(long)]
    keep_going: bool,
    /// Plays the scenarios of large worlds with so many light nodes (at least 20), and prints what they cost.
    #[arg(long, value_name = "NODES", value_parser = clap::value_parser!(u64).range(20..=10_000))]
    light: Option<u64>,
    /// Only the scenario of this name.
    #[arg(long, requires = "light")]
    scenario: Option<String>,
    /// The figures as JSON, a line for each scenario.
    #[arg(long, requires = "light")]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let a = Arguments::parse();
    if let Some(seeds) = a.faults {
        return faults(a.seed, seeds, a.only.as_deref());
    }
    if let Some(nodes) = a.light {
        return light(usize::try_from(nodes)?, &a);
    }
    if let Some(name) = &a.fault {
        switch_on(name)?;
    }
    // A panic of an engine is a finding, and told as one.
    std::panic::set_hook(Box::new(|_| ()));
    let plans: Box<dyn Iterator<Item = Plan>> = match &a.plan {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Box::new(std::iter::once(serde_json::from_str(&text)?))
        }
        None if a.patched => {
            let plans = (a.seed..).filter_map(|s| generate::patched(s, &Size::default()));
            Box::new(plans.take(usize::try_from(a.worlds)?))
        }
        None => Box::new((a.seed..a.seed + a.worlds).map(|s| generate::plan(s, &Size::default()))),
    };
    let start = Instant::now();
    let running = Arc::new(Mutex::new((0, start)));
    give_up_on(running.clone(), Duration::from_secs(a.patience));
    let (mut worlds, mut failed) = (0u64, 0u64);
    let (mut events, mut blocks, mut acknowledged, mut held, mut conflicts, mut void) = (0, 0, 0, 0, 0, 0);
    for plan in plans {
        if a.seconds.is_some_and(|s| start.elapsed() > Duration::from_secs(s)) {
            break;
        }
        if a.print {
            println!("{}", serde_json::to_string_pretty(&plan)?);
            continue;
        }
        *running.lock() = (plan.seed, Instant::now());
        let outcome = run(&plan, a.show);
        worlds += 1;
        if a.twice {
            let again = run(&plan, false);
            anyhow::ensure!(again.digest == outcome.digest, "seed {}: two runs differ", plan.seed);
        }
        match outcome.result {
            Ok(c) => {
                events += c.events;
                blocks += c.blocks;
                acknowledged += c.acknowledged;
                held += c.held;
                conflicts += c.conflicts;
                void += c.void;
            }
            Err(failure) => {
                failed += 1;
                println!("seed {} fails: {failure}", plan.seed);
                if let Some(path) = a.shrink.as_ref().filter(|_| failed == 1) {
                    *running.lock() = (plan.seed, Instant::now() + SHRINKING);
                    let (small, runs) = shrink(&plan, failure.oracle);
                    std::fs::write(path, serde_json::to_string_pretty(&small)? + "\n")?;
                    println!(
                        "  made smaller in {runs} runs: {} nodes, {} steps, {} statements; in {}",
                        small.nodes.len(),
                        small.steps.len(),
                        small.statements(),
                        path.display()
                    );
                }
                if !a.keep_going {
                    break;
                }
            }
        }
    }
    if a.print {
        return Ok(());
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{worlds} worlds in {seconds:.1} s ({:.0} a minute), {failed} failed; {events} events, {blocks} blocks, \
         {acknowledged} transactions acknowledged, {held} statements held against what is shown, {conflicts} conflicts, {void} void",
        worlds as f64 * 60.0 / seconds.max(0.001)
    );
    if failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// Shrinking takes many worlds.
const SHRINKING: Duration = Duration::from_secs(24 * 3_600);

/// Ends the program when the world of this seed has not ended in this time: an engine that waits for ever has no event
/// by which the world could tell.
fn give_up_on(running: Arc<Mutex<(u64, Instant)>>, patience: Duration) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let (seed, since) = *running.lock();
            if since.elapsed() > patience {
                println!("seed {seed} fails: livelock: it has not ended after {} s", patience.as_secs());
                std::process::exit(1);
            }
        }
    });
}

/// Plays scenarios with light nodes and prints their figures.
fn light(nodes: usize, a: &Arguments) -> anyhow::Result<()> {
    let asked = |name: &str| a.scenario.as_deref().is_none_or(|only| only == name);
    anyhow::ensure!(
        SCENARIOS.iter().any(|s| asked(s.name)),
        "no such scenario; there are {}",
        SCENARIOS.map(|s| s.name).join(", ")
    );
    let (mut all, mut failed) = (Vec::new(), 0);
    for seed in a.seed..a.seed + a.worlds {
        for scenario in SCENARIOS.iter().filter(|s| asked(s.name)) {
            let start = Instant::now();
            let outcome = play(scenario, nodes, seed, a.show);
            if a.twice {
                let digest = |o: &Result<_, _>| o.as_ref().ok().map(|f: &Figures| f.trace.clone());
                let again = play(scenario, nodes, seed, false);
                anyhow::ensure!(digest(&outcome) == digest(&again), "seed {seed}: two runs differ");
            }
            match outcome {
                Ok(figures) if a.json => println!("{}", serde_json::to_string(&figures)?),
                Ok(figures) => {
                    let seconds = start.elapsed().as_secs_f64();
                    eprintln!("seed {seed}, {}: {}; {seconds:.0} s", scenario.name, scenario.what);
                    all.push(figures);
                }
                Err(failure) => {
                    failed += 1;
                    println!("seed {seed}, {} fails: {failure}", scenario.name);
                }
            }
        }
    }
    if !a.json {
        println!("{}", table(&all));
    }
    anyhow::ensure!(failed == 0, "{failed} scenarios failed");
    Ok(())
}

/// Switches a deliberate fault on.
#[cfg(debug_assertions)]
fn switch_on(name: &str) -> anyhow::Result<()> {
    use p2pdb_model::fault::{Fault, switch};
    let known = Fault::ALL.iter().find(|f| f.1 == name);
    switch(Some(known.with_context(|| format!("there is no fault {name}"))?.0));
    Ok(())
}

/// Refuses.
#[cfg(not(debug_assertions))]
fn switch_on(_: &str) -> anyhow::Result<()> {
    anyhow::bail!("a release build has no deliberate faults")
}

/// Prints the table of faults.
#[cfg(debug_assertions)]
fn faults(first: u64, seeds: u64, only: Option<&str>) -> anyhow::Result<()> {
    std::panic::set_hook(Box::new(|_| ()));
    let mut missed = 0;
    println!("| fault | what goes wrong | seeds until found | oracle |\n| --- | --- | --- | --- |");
    let asked = |name: &str| only.is_none_or(|only| only == name);
    for (fault, name, what) in p2pdb_model::fault::Fault::ALL.iter().filter(|f| asked(f.1)) {
        let found = (first..first + seeds).find_map(|seed| {
            let outcome = p2pdb_sim::run::run_with(*fault, &generate::plan(seed, &Size::default()));
            // That the simulator itself cannot go on is no finding.
            let found = outcome.result.err().filter(|f| f.oracle != "simulator");
            found.map(|f| (seed - first + 1, f.oracle))
        });
        match found {
            Some((n, oracle)) => println!("| `{name}` | {what} | {n} | {oracle} |"),
            None => {
                missed += 1;
                println!("| `{name}` | {what} | not in {seeds} | |");
            }
        }
    }
    anyhow::ensure!(missed == 0, "{missed} faults were not found");
    Ok(())
}

#[cfg(not(debug_assertions))]
fn faults(_: u64, _: u64, _: Option<&str>) -> anyhow::Result<()> {
    anyhow::bail!("a release build has no deliberate faults: run it without --release")
}
