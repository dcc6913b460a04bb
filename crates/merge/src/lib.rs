//! The laws of convergence: pure functions from accepted changes to state.
//!
//! * [`row`]: which incarnation of a row lives and what its cells hold (DESIGN §6 steps 1 and 3).
//! * [`cell`]: counters, sets, maps, greatest and least values (step 3).
//! * [`object`]: which schema objects live and what their registers hold.
//! * [`meant`]: what they are built on, and which columns their expressions mean.
//! * [`claim`]: who owns a unique value (step 5).
//! * [`visible`]: which of all live rows are visible (steps 4 to 6).
//!
//! Every function takes the changes and an oracle `saw(a, b)`: had the author of change `a` seen change `b` when
//! writing `a`? That is: `b`'s block is an ancestor of `a`'s, or both stand in one block and `b` before `a`. Write order
//! must be a linear extension of `saw`, which the stamps of the log guarantee. Nothing depends on the order in which
//! changes are handed in, on time, or on anything local to a node. The rules with examples are in `docs/merge.md`.
//!
//! Not here: where changes come from, tables, SQL, verdicts (only accepted changes are handed in), and deciding only the rows
//! that a change concerns (the store).

pub mod cell;
pub mod claim;
pub mod meant;
pub mod object;
pub mod row;
#[cfg(test)]
mod row_laws;
pub mod visible;

pub use cell::{CellRule, MergedCell, Write, assigned, merge_cell};
pub use claim::Priority;
pub use row::{Cell, MergedRow, RowWrite, Standing, Unit, WriteKind, merge_row, settled_prefix};
