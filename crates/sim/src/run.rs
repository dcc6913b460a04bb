//! Running a plan to its verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::oracle::Failure;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::world::{Counts, World};

/// What came of a plan.
pub struct Outcome {
    /// Counts, or what is wrong.
    pub result: Result<Counts, Failure>,
    /// The hash of everything that happened.
    pub digest: String,
    /// What happened, last.
    pub lines: Vec<String>,
}

/// Runs a plan while something is wrong on purpose.
#[cfg(debug_assertions)]
pub fn run_with(fault: p2pdb_model::fault::Fault, plan: &Plan) -> Outcome {
    p2pdb_model::fault::switch(Some(fault));
    let outcome = run(plan, false);
    p2pdb_model::fault::switch(None);
    outcome
}

/// Runs a plan; `show` prints every event.
pub fn run(plan: &Plan, show: bool) -> Outcome {
    // A world before this one may have ended in the middle of a node's turn.
    p2pdb_model::fault::patch(false);
    let mut world = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let begun = world.insert(World::new(plan, Trace::new(false, show))?);
        begun.run()
    }));
    let result = result.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("without a message");
        Err(Failure::new("panic", text))
    });
    let (digest, lines) = world
        .as_ref()
        .map_or_else(Default::default, |w| (w.trace.digest(), w.trace.lines().map(str::to_owned).collect()));
    // After a panic the engines may be in any state: they go as well as they can.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(world)));
    Outcome { result, digest, lines }
}
