//! Making a failing plan smaller: whatever can be left out while the same oracle still fails is left out.

use crate::plan::{Plan, Step};
use crate::run::run;

/// Runs at most, so that shrinking ends.
const RUNS_MAX: usize = 400;

struct Shrinker {
    oracle: &'static str,
    runs: usize,
}

impl Shrinker {
    fn still_fails(&mut self, plan: &Plan) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        run(plan, false).result.is_err_and(|f| f.oracle == self.oracle)
    }

    /// Leaves out pieces of the steps, large ones first.
    fn steps(&mut self, plan: &mut Plan) {
        let mut piece = plan.steps.len().div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at < plan.steps.len() {
                let mut less = plan.clone();
                less.steps.drain(at..(at + piece).min(less.steps.len()));
                if self.still_fails(&less) {
                    *plan = less;
                } else {
                    at += piece;
                }
            }
            piece /= 2;
        }
    }

    /// Leaves out the last node as often as it goes.
    fn nodes(&mut self, plan: &mut Plan) {
        while plan.nodes.len() > 1 {
            let mut less = plan.clone();
            let gone = less.nodes.len() - 1;
            less.nodes.pop();
            less.steps.retain(|t| !t.step.nodes().contains(&gone));
            if !self.still_fails(&less) {
                return;
            }
            *plan = less;
        }
    }

    /// Leaves out single statements.
    fn statements(&mut self, plan: &mut Plan) {
        for i in 0..plan.steps.len() {
            let mut at = 0;
            loop {
                let mut less = plan.clone();
                let Step::Work { transaction, .. } = &mut less.steps[i].step else { break };
                if at >= transaction.statements.len() {
                    break;
                }
                transaction.statements.remove(at);
                if self.still_fails(&less) {
                    *plan = less;
                } else {
                    at += 1;
                }
            }
        }
    }

    /// A calmer network, true clocks, fewer tables.
    fn surroundings(&mut self, plan: &mut Plan) {
        let mut less = plan.clone();
        less.network.loss_percent = 0;
        less.network.duplicate_percent = 0;
        less.network.reorder = false;
        if less != *plan && self.still_fails(&less) {
            *plan = less;
        }
        let mut less = plan.clone();
        less.nodes.iter_mut().for_each(|n| n.wrong_by_ms = 0);
        if less != *plan && self.still_fails(&less) {
            *plan = less;
        }
        for i in (0..plan.tables.len()).rev() {
            let mut less = plan.clone();
            let gone = less.tables.remove(i);
            let wanted = less.tables.iter().any(|t| t.references.iter().any(|r| r.table == gone.name));
            if !wanted && self.still_fails(&less) {
                *plan = less;
            }
        }
    }
}

/// The smallest plan found that this oracle finds fault with, as `plan` does; and how many runs it took.
pub fn shrink(plan: &Plan, oracle: &'static str) -> (Plan, usize) {
    let mut shrinker = Shrinker { oracle, runs: 0 };
    let mut small = plan.clone();
    shrinker.nodes(&mut small);
    shrinker.steps(&mut small);
    shrinker.surroundings(&mut small);
    shrinker.statements(&mut small);
    shrinker.nodes(&mut small);
    shrinker.steps(&mut small);
    (small, shrinker.runs)
}
