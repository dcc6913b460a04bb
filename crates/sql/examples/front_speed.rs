//! Measures the front: how long a statement takes from the cache, and without it.
//!
//! `cargo run --release -p p2pdb-sql --example front_speed`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use p2pdb_model::Catalog;
use p2pdb_sql::front::Front;
use p2pdb_sql::session::SessionState;
use p2pdb_sql::variables::Globals;

const ROUNDS: u32 = 100_000;

fn main() {
    let session = SessionState::new(Arc::new(Globals::default()), 1, "u", "h", "u@%");
    let catalog = Catalog::default();
    let text = "SELECT table_name AS c FROM information_schema.tables WHERE table_schema = 'sbtest1' AND version = 50";
    let mut front = Front::default();
    for (name, cached) in [("cached", true), ("compiled", false)] {
        let rounds = if cached { ROUNDS } else { ROUNDS / 100 };
        let start = Instant::now();
        for _ in 0..rounds {
            if !cached {
                front.clear();
            }
            if let Err(e) = front.compile(black_box(text), &session, &catalog) {
                println!("{e}");
            }
        }
        let each = start.elapsed() / rounds;
        println!("{name}: {each:?} a statement");
    }
}
