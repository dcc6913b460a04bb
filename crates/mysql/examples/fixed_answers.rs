//! A server of fixed answers on std::net, to try real clients against the protocol: one thread per client, the
//! account `app` with the password `geheim`, no TLS, no SQL.
//!
//! `cargo run -p p2pdb-mysql --example fixed_answers -- 127.0.0.1:3999`

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use p2pdb_mysql::{
    AuthPlugin, Cell, ColumnDef, ColumnFlags, ColumnType, Command, Connection, Credentials, Event, OkPacket,
    Param, ServerConfig, ServerError, SessionChange, StatusFlags, Verifiers, charset,
};

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for (id, stream) in (1_u32..).zip(listener.incoming()) {
        let stream = stream?;
        std::thread::spawn(move || {
            if let Err(error) = serve(stream, id) {
                eprintln!("connection {id}: {error}");
            }
        });
    }
    Ok(())
}

fn serve(mut stream: TcpStream, id: u32) -> Result<(), Box<dyn std::error::Error>> {
    stream.set_nodelay(true)?;
    // Good enough for an example; a server draws from a cryptographic generator.
    let mut salt = [0; 20];
    for chunk in salt.chunks_mut(8) {
        let random = RandomState::new().build_hasher().finish().to_le_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
    let mut connection = Connection::new(ServerConfig::new("8.0.42-p2pdb", id, salt));
    let mut statements = std::collections::HashMap::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        stream.write_all(connection.output())?;
        connection.clear_output();
        if connection.is_closed() {
            return Ok(());
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let result = drive(&mut connection, &buffer[..count], &mut statements);
        if let Err(error) = result {
            stream.write_all(connection.output())?;
            return Err(error.into());
        }
    }
}

type Texts = std::collections::HashMap<u32, String>;

fn drive(
    connection: &mut Connection,
    bytes: &[u8],
    statements: &mut Texts,
) -> Result<(), p2pdb_mysql::ProtocolError> {
    connection.receive(bytes)?;
    while let Some(event) = connection.poll()? {
        on_event(connection, event, statements);
    }
    Ok(())
}

const OK: OkPacket<'static> = OkPacket {
    affected_rows: 0,
    last_insert_id: 0,
    status: StatusFlags::AUTOCOMMIT,
    warnings: 0,
    info: "",
    changes: &[],
};

fn on_event(connection: &mut Connection, event: Event, statements: &mut Texts) {
    eprintln!("{event:?}");
    match event {
        Event::Login(login) => {
            let plugin = if login.user == "old" { AuthPlugin::Native } else { AuthPlugin::CachingSha2 };
            let mut verifiers = Verifiers::of_password(b"geheim");
            if login.user == "old" {
                verifiers.sha2 = None;
            }
            if login.user == "new" {
                verifiers.native = None;
            }
            connection.credentials(match login.user.as_str() {
                "app" | "old" | "new" => Credentials::Password { plugin, verifiers },
                "open" => Credentials::NoPassword,
                _ => Credentials::Unknown,
            });
        }
        Event::LoginProven => connection.ok(&OK),
        Event::Command(command) => on_command(connection, command, statements),
        Event::UpgradeTls { .. } | Event::CheckPassword(_) | Event::LoginDenied => {}
    }
}

fn on_command(connection: &mut Connection, command: Command, statements: &mut Texts) {
    match command {
        Command::Query(query) => {
            let sql = String::from_utf8_lossy(query.sql()).into_owned();
            answer(connection, &sql, &[]);
        }
        Command::Prepare(query) => {
            let sql = String::from_utf8_lossy(query.sql()).into_owned();
            let params = sql.matches('?').count();
            let columns = if sql.contains("select") { columns() } else { Vec::new() };
            let params = vec![ColumnDef::parameter(); params];
            if let Some(id) = connection.prepared(params, columns, 0) {
                statements.insert(id, sql);
            }
        }
        Command::Execute(execute) => {
            let sql = statements.get(&execute.statement_id).cloned().unwrap_or_default();
            answer(connection, &sql, &execute.params);
        }
        Command::FieldList { .. } => {
            for column in columns() {
                connection.field(&column, Cell::Null).expect("NULL fits any column");
            }
            connection.eof(OK.status, 0);
        }
        Command::InitDb(name) => connection.ok(&OkPacket { changes: &[SessionChange::Schema(&name)], ..OK }),
        Command::Statistics => connection.statistics("Uptime: 1  Threads: 1"),
        Command::Ping | Command::ResetConnection | Command::ProcessKill { .. } => {
            connection.ok(&OK);
        }
        Command::Debug => connection.eof(OK.status, 0),
        Command::ProcessInfo => {
            connection.error(&ServerError::new(1235, "42000", "not in this example"));
        }
        Command::CloseStatement { statement_id } => {
            statements.remove(&statement_id);
        }
        Command::Quit => {}
    }
}

fn columns() -> Vec<ColumnDef<'static>> {
    vec![
        ColumnDef::new("id", ColumnType::LongLong),
        ColumnDef { flags: ColumnFlags::UNSIGNED, ..ColumnDef::new("tiny", ColumnType::Tiny) },
        ColumnDef::new("text", ColumnType::VarString),
        ColumnDef { charset: charset::BINARY, ..ColumnDef::new("bytes", ColumnType::Blob) },
        ColumnDef::new("real", ColumnType::Double),
        ColumnDef::new("single", ColumnType::Float),
        ColumnDef { decimals: 2, ..ColumnDef::new("price", ColumnType::NewDecimal) },
        ColumnDef::new("day", ColumnType::Date),
        ColumnDef { decimals: 6, ..ColumnDef::new("at", ColumnType::DateTime) },
        ColumnDef { decimals: 3, ..ColumnDef::new("took", ColumnType::Time) },
        // Not YEAR: mysql-connector-python cannot read it in binary rows, of any server.
        ColumnDef::new("year", ColumnType::Short),
        ColumnDef::new("doc", ColumnType::Json),
        ColumnDef::new("nothing", ColumnType::VarString),
    ]
}

fn answer(connection: &mut Connection, sql: &str, params: &[Param]) {
    if let Some(length) = sql.strip_prefix("long ").and_then(|n| n.parse().ok()) {
        connection.begin_rows([ColumnDef::new("long", ColumnType::LongBlob)]);
        let text = vec![b'x'; length];
        let row = connection.rows().row([Cell::Bytes(&text)]);
        row.expect("text fits a text column");
        connection.end_rows(&OK);
    } else if sql.starts_with("length ") {
        connection.begin_rows([ColumnDef::new("length", ColumnType::LongLong)]);
        let row = connection.rows().row([Cell::UInt(sql.len() as u64)]);
        row.expect("a number fits");
        connection.end_rows(&OK);
    } else if sql.starts_with("params") {
        let texts: Vec<String> = params.iter().map(|param| format!("{param:?}")).collect();
        let names: Vec<String> = (0..params.len()).map(|i| format!("p{i}")).collect();
        connection.begin_rows(
            names.iter().map(|name| ColumnDef::new(name, ColumnType::VarString)).collect::<Vec<_>>(),
        );
        let row = connection.rows().row(texts.iter().map(|text| Cell::Bytes(text.as_bytes())));
        row.expect("text fits a text column");
        connection.end_rows(&OK);
    } else if sql.starts_with("two") {
        for more in [StatusFlags::MORE_RESULTS_EXISTS, StatusFlags::empty()] {
            connection.begin_rows([ColumnDef::new("n", ColumnType::LongLong)]);
            let row = connection.rows().row([Cell::Int(2)]);
            row.expect("a number fits");
            connection.end_rows(&OkPacket { status: OK.status | more, ..OK });
        }
    } else if sql.to_lowercase().contains("select") {
        connection.begin_rows(columns());
        for id in [1, -2] {
            let row = connection.rows().row([
                Cell::Int(id),
                Cell::UInt(200),
                Cell::Bytes("Grüße 🌍".as_bytes()),
                Cell::Bytes(&[0, 255]),
                Cell::Double(0.1),
                Cell::Float(2.5),
                Cell::Bytes(b"12.30"),
                Cell::Date { year: 2024, month: 2, day: 29 },
                Cell::Bytes(b"2024-02-29 12:34:56.000789"),
                Cell::Time { negative: true, days: 1, hours: 2, minutes: 3, seconds: 4, micros: 500_000 },
                Cell::UInt(2024),
                Cell::Bytes(b"{\"a\": 1}"),
                Cell::Null,
            ]);
            row.expect("the row fits its columns");
        }
        connection.end_rows(&OK);
    } else if sql.starts_with("fail") {
        connection.error(&ServerError::new(1146, "42S02", "Table 'a.b' doesn't exist"));
    } else {
        connection.ok(&OkPacket {
            affected_rows: 3,
            last_insert_id: 7,
            info: "Records: 3  Duplicates: 0  Warnings: 0",
            ..OK
        });
    }
}
