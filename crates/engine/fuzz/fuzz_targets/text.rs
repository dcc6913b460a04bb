//! Any bytes as statements, run to their end: see crates/engine/tests/fuzz/mod.rs.
#![no_main]

#[path = "../../tests/fuzz/mod.rs"]
mod body;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::cell::RefCell;

use body::World;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|bytes: &[u8]| WORLD.with(|w| w.borrow_mut().text(bytes)));
