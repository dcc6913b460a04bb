//! A shell that answers whatever comes, for streams of any bytes: used by the tests of hostile peers and by the
//! cargo-fuzz target `wire` in `crates/engine/fuzz`.

use p2pdb_mysql::frame::RESERVE_BYTES_MAX;
use p2pdb_mysql::{
    Cell, ColumnDef, ColumnType, Command, Connection, Event, LOGIN_PACKET_BYTES_MAX, ServerConfig,
};

use super::pair::{OK, account, config};

pub const PACKET_BYTES: usize = 4096;
pub const LONG_DATA_BYTES: usize = 2048;
pub const STATEMENTS: usize = 4;

pub fn small_config() -> ServerConfig {
    ServerConfig {
        max_allowed_packet_bytes: PACKET_BYTES,
        long_data_bytes_max: LONG_DATA_BYTES,
        statements_max: STATEMENTS,
        tls_available: true,
        ..config()
    }
}

/// Feeds a stream in chunks and answers whatever comes, as a shell would. Says whether the limits held.
pub fn survive(server: &mut Connection, stream: &[u8], chunk_bytes: usize) -> bool {
    for chunk in stream.chunks(chunk_bytes.max(1)) {
        if server.receive(chunk).is_err() {
            break;
        }
        while let Ok(Some(event)) = server.poll() {
            answer(server, event);
        }
        // A vector may have grown to twice of what it holds.
        let held_max = 2 * (PACKET_BYTES.max(LOGIN_PACKET_BYTES_MAX) + chunk_bytes)
            + LONG_DATA_BYTES
            + RESERVE_BYTES_MAX;
        if server.input_bytes() > held_max || server.statement_count() > STATEMENTS {
            return false;
        }
        if server.is_closed() {
            break;
        }
        server.clear_output();
    }
    // After an error nothing is heard or said any more.
    !server.is_closed() || (server.receive(b"x").is_err() && matches!(server.poll(), Ok(None)))
}

pub fn answer(server: &mut Connection, event: Event) {
    match event {
        Event::UpgradeTls { early_bytes } => {
            server.tls_established();
            let _ = server.receive(&early_bytes);
        }
        Event::Login(login) => server.credentials(account(&login.user)),
        Event::CheckPassword(_) => server.password_checked(false),
        Event::LoginProven => server.ok(&OK),
        Event::LoginDenied => {}
        Event::Command(command) => match command {
            Command::Prepare(query) => {
                let params = query.sql().iter().filter(|&&byte| byte == b'?').count();
                server.prepared(vec![ColumnDef::parameter(); params], [], 0);
            }
            Command::Query(_) | Command::Execute(_) | Command::ProcessInfo => {
                server.begin_rows([ColumnDef::new("c", ColumnType::Long)]);
                server.rows().row([Cell::Int(1)]).expect("a number fits");
                server.end_rows(&OK);
            }
            Command::FieldList { .. } => server.eof(OK.status, 0),
            Command::Statistics => server.statistics("x"),
            Command::Debug => server.eof(OK.status, 0),
            Command::CloseStatement { .. } | Command::Quit => {}
            Command::InitDb(_) | Command::Ping | Command::ProcessKill { .. } | Command::ResetConnection => {
                server.ok(&OK)
            }
        },
    }
}
