//! Seeded worlds of many engines: network, disks, clocks, faults, and oracles that judge from outside.
//!
//! A seed makes a [`plan::Plan`]: a schema, SQL for several clients on several nodes, and faults. A [`world::World`]
//! carries it out with the real engine, the real store on a simulated disk, and the real sync machine, on a fake clock and
//! one thread: the same seed gives the same trace, event by event. The [`oracle`]s look at it meanwhile and at
//! the end. `docs/simulation.md` is the user's page. [`light`] has worlds of a thousand nodes without engines.
//!
//! ```
//! use p2pdb_sim::{generate, run};
//!
//! let size = generate::Size { nodes: (2, 2), transactions: (3, 3), faults: (0, 0) };
//! let outcome = run::run(&generate::plan(1, &size), false);
//! assert!(outcome.result.is_ok());
//! ```
//!
//! Not here: real time, threads, sockets, and what the node's program adds to the engine (its doors, libp2p).

pub mod client;
pub mod disk;
pub mod generate;
mod generate_access;
mod generate_builds;
pub mod generate_sealed;
mod generate_wide;
pub mod light;
pub mod network;
pub mod node;
pub mod oracle;
pub mod plan;
pub mod random;
pub mod run;
pub mod said;
pub mod shrink;
pub mod time;
pub mod trace;
pub mod world;
