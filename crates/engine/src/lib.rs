//! The corridor: sessions, transactions, sealing, judging, merging, replay; the embedding API.
//!
//! The engine is synchronous and has no threads, sockets or clocks of its own. Whoever embeds it calls
//! [`Engine::run_writer`] on a thread (or [`Engine::step_writer`] in a simulator) and feeds it arriving blocks
//! ([`Engine::ingest`]). Waiting is a [`Wait`]: blocked on, or called back. What a session may rely on is in
//! `docs/transactions.md`.

pub mod accounts;
mod api;
mod arrive;
mod calls;
mod car;
mod check;
mod constraints;
mod core;
mod decide;
mod engine;
mod environment;
mod error;
mod forks;
mod functions;
mod insert;
mod job;
mod judging;
mod local;
mod logged;
mod members;
mod powers;
mod program;
mod queue;
mod read_set;
pub mod realm;
mod recount;
mod roles;
mod row_notes;
mod rules;
mod run;
mod sealing;
mod session;
mod source;
mod statement;
mod status;
mod syncs;
mod tables;
mod taken;
mod tally;
mod temporary;
mod told;
mod turns;
mod wait;
mod words;
mod writer;

pub use accounts::Logins;
pub use api::*;
pub use arrive::{Announced, Arrived, Ingest};
pub use check::{Finding, Progress as VerifyProgress, Report, verify_unopened};
pub use engine::{CommitHook, Counters, Engine, Step};
pub use error::EngineError;
pub use members::{ActsFor, Admission, Invitation, NODE_NAME_BYTES_MAX};
pub use realm::{NewRealm, Start, create_joiner, create_realm};
pub use session::{Progress, Session, TransactionNews};
pub use source::LogView;
pub use statement::Statement;
pub use wait::Wait;
pub use words::text;
