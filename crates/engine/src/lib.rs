//! The corridor: sessions, transactions, sealing, judging, merging, replay; the embedding API.
//!
//! The engine is synchronous and has no threads, sockets or clocks of its own. Whoever embeds it calls
//! [`Engine::run_writer`] on a thread (or [`Engine::step_writer`] in a simulator) and feeds it arriving blocks.

pub mod api;

pub use api::*;
