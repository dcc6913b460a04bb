//! Any bytes after a login, and before one, as the wire protocol hears them: see crates/mysql/tests/survive/mod.rs.
#![no_main]

#[path = "../../../mysql/tests/pair/mod.rs"]
mod pair;
#[path = "../../../mysql/tests/survive/mod.rs"]
mod survive;

use libfuzzer_sys::fuzz_target;
use p2pdb_mysql::Connection;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, stream)) = bytes.split_first() else { return };
    let mut server = match how % 3 {
        0 => Connection::new(survive::small_config()),
        1 => pair::server_with(0x8200, survive::small_config()),
        _ => pair::server_with(0x8200 | 1 << 27 | 1 << 24, survive::small_config()),
    };
    assert!(survive::survive(&mut server, stream, usize::from(how / 3)), "more is held than the limits allow");
});
