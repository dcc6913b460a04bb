//! The node: configuration, command line, tasks and sockets around the engine. It makes no decisions about data:
//! what a statement means, which block is accepted and how rows merge is the business of the crates.

pub mod admin;
pub mod admin_client;
pub mod app;
pub mod cli;
pub mod client_file;
pub mod clock;
pub mod config;
pub mod datadir;
pub mod door;
pub mod explain;
pub mod graph;
pub mod hard_stop;
mod http;
pub mod keystore;
pub mod logging;
pub mod mysql_client;
pub mod net;
mod network_key;
pub mod node;
pub mod ops;
pub mod password;
pub mod ports;
pub mod progress;
mod recount;
pub mod replicate;
mod sharing;
pub mod table;
pub mod ticket;
pub mod units;
pub mod unserved;
