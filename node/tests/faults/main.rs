//! What machines, disks and peers do to a real node. One program, because linking one costs more than running it.

#[path = "../common/mod.rs"]
mod common;
mod damaged;
mod data_dir;
mod discovery;
mod disk_full;
mod hostile_peers;
mod namespace;
mod power_cut;
