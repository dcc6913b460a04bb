//! The node: configuration, command line, tasks and sockets around the engine. It makes no decisions about data:
//! what a statement means, which block is accepted and how rows merge is the business of the crates.

pub mod config;
pub mod datadir;
pub mod graph;
pub mod logging;
pub mod table;
pub mod ticket;
pub mod units;
