//! `p2pdb-sim`: runs worlds of seeds, shows what happens in one, makes failing ones smaller.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use p2pdb_sim::generate::{self, Size};
use p2pdb_sim::plan::Plan;
use p2pdb_sim::run::run;
use p2pdb_sim::shrink::shrink;

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
    /// Runs each world twice and compares.
    #[arg(long)]
    twice: bool,
    /// Makes the first failing plan smaller and writes it there.
    #[arg(long)]
    shrink: Option<PathBuf>,
    /// Goes on after a failure.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> anyhow::Result<()> {
    let a = Arguments::parse();
    let plans: Box<dyn Iterator<Item = Plan>> = match &a.plan {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Box::new(std::iter::once(serde_json::from_str(&text)?))
        }
        None => Box::new((a.seed..a.seed + a.worlds).map(|s| generate::plan(s, &Size::default()))),
    };
    let start = Instant::now();
    let (mut worlds, mut failed) = (0u64, 0u64);
    let (mut events, mut blocks, mut acknowledged, mut conflicts) = (0, 0, 0, 0);
    for plan in plans {
        if a.seconds.is_some_and(|s| start.elapsed() > Duration::from_secs(s)) {
            break;
        }
        if a.print {
            println!("{}", serde_json::to_string_pretty(&plan)?);
            continue;
        }
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
                conflicts += c.conflicts;
            }
            Err(failure) => {
                failed += 1;
                println!("seed {} fails: {failure}", plan.seed);
                if let Some(path) = a.shrink.as_ref().filter(|_| failed == 1) {
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
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{worlds} worlds in {seconds:.1} s ({:.0} a minute), {failed} failed; {events} events, {blocks} blocks, \
         {acknowledged} transactions acknowledged, {conflicts} conflicts",
        worlds as f64 * 60.0 / seconds.max(0.001)
    );
    if failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}
