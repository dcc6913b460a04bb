//! MySQL text to typed statements and SQLite text.
//!
//! The pipeline: a small lexer lifts the literals out of a statement ([`front`]); what remains is the key of a cache
//! of compiled statements. A miss is parsed with `sqlparser`, bound against the catalog with MySQL's types, and lowered
//! to SQLite SQL ([`plan::Plan`]). SQLite stores, finds and joins; it does not decide what a MySQL expression means:
//! that is done by typed lowering and by the functions in [`functions`].
//!
//! This crate knows neither sockets nor SQLite's API. It never executes anything.

pub mod account;
pub mod bind;
pub mod charset;
pub mod collate;
pub mod command;
pub mod ddl;
pub mod dml;
pub mod error;
pub mod execute;
pub mod explain;
pub mod field;
pub mod front;
pub mod functions;
pub mod needs;
pub mod plan;
pub mod present;
pub mod routine;
pub mod schema_text;
pub mod session;
pub mod statement;
pub mod types;
mod variable_table;
pub mod variables;
pub mod virtuals;
pub mod zone;
