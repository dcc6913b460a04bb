//! The DAG of blocks: heads, chains and forks, causal order, ancestry, frontiers, and blocks that wait.
//!
//! A node numbers the blocks it applies 1, 2, 3 … in the order in which it applies them ([`BlockNo`]), which is
//! a causal order: parents first. A linear run of one author's chain is a *branch* with a local [`BranchNo`];
//! where a second block extends the same `prev`, the chain forks and another branch of it begins. Both numbers
//! are this node's own and never leave it. What leaves it is made of CIDs ([`Frontier`]).
//!
//! **Ancestry** (`is a in the causal past of b?`) is answered from the numbers: everything applied before `b` is
//! in its past, but for what `b` had not seen, which is a short list kept per block ([`Past`]). Why a list of
//! what is *missing* and not a vector clock of what is seen: `docs/decisions/0002-ancestry-by-what-is-unseen.md`.
//!
//! [`Dag`] holds what is needed at hand (heads, branch tips, recent blocks); the rest is read through
//! [`DagStore`]. It never writes: [`Dag::append`] returns what to persist. Not here: disk, SQL, bodies, verdicts.

mod dag;
mod frontier;
mod heads;
mod ids;
mod order;
mod past;
mod pending;
mod store;

pub use dag::{Branch, Dag, Error, Fork, Placed, Refusal};
pub use frontier::{ChainFrontier, Cover, Frontier, Tip, Want, ladder};
pub use heads::{Head, merge_groups};
pub use ids::{BlockNo, BranchNo, ChainId, Place};
pub use order::causal_order;
pub use past::{Past, Unseen};
pub use pending::{PENDING_BLOCKS_MAX, PENDING_BLOCKS_PER_AUTHOR_MAX, PENDING_BYTES_MAX, Pending, Waits};
pub use store::{DagStore, Found, MemStore};

/// A block whose stamp lies further ahead of the local clock than this waits, milliseconds.
pub const CLOCK_DRIFT_MS_MAX: u64 = 60_000;
