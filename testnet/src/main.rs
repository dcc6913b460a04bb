//! The testnet.
fn main() {}
