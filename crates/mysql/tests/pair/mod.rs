//! A client and a server wired together without sockets, and helpers for packets made by hand.

// Each test file uses its own part of this.
#![allow(dead_code)]

use p2pdb_mysql::client::{Client, ClientConfig, ClientEvent};
use p2pdb_mysql::{
    AuthPlugin, ColumnDef, ColumnType, Command, Connection, Credentials, Event, OkPacket, Param,
    ServerConfig, StatusFlags, Verifiers,
};

pub const SALT: [u8; 20] = *b"abcdefghijklmnopqrst";

pub const OK: OkPacket<'static> = OkPacket {
    affected_rows: 0,
    last_insert_id: 0,
    status: StatusFlags::AUTOCOMMIT,
    warnings: 0,
    info: "",
    changes: &[],
};

pub fn config() -> ServerConfig {
    ServerConfig::new("8.0.42-p2pdb", 7, SALT)
}

/// The account store of the tests: every account but `open` has the password `geheim`.
pub fn account(user: &str) -> Credentials {
    let mut verifiers = Verifiers::of_password(b"geheim");
    let plugin = match user {
        "both" => AuthPlugin::CachingSha2,
        "native" => {
            verifiers.sha2 = None;
            AuthPlugin::Native
        }
        "sha2" => {
            verifiers.native = None;
            AuthPlugin::CachingSha2
        }
        // Came without the SHA-256 verifier: the password itself is needed once.
        "cold" => {
            verifiers.native = None;
            verifiers.sha2 = None;
            AuthPlugin::CachingSha2
        }
        "open" => return Credentials::NoPassword,
        _ => return Credentials::Unknown,
    };
    Credentials::Password { plugin, verifiers }
}

/// Client, server and the wire between them.
pub struct Pair {
    pub client: Client,
    pub server: Connection,
    /// Bytes handed over at once.
    pub chunk_bytes: usize,
    /// Events that the server's side saw, in short.
    pub log: Vec<String>,
}

impl Pair {
    pub fn new(client: ClientConfig, server: ServerConfig) -> Pair {
        Pair {
            client: Client::new(client),
            server: Connection::new(server),
            chunk_bytes: 1 << 20,
            log: Vec::new(),
        }
    }

    /// A pair that is logged in as `both`.
    pub fn logged_in() -> Pair {
        Pair::logged_in_with(|_| {}, |_| {})
    }

    pub fn logged_in_with(
        client: impl FnOnce(&mut ClientConfig),
        server: impl FnOnce(&mut ServerConfig),
    ) -> Pair {
        let mut client_config = ClientConfig::new("both", "geheim");
        let mut server_config = config();
        client(&mut client_config);
        server(&mut server_config);
        let mut pair = Pair::new(client_config, server_config);
        let events = pair.run(|_, event| panic!("no command was sent: {event:?}"));
        assert!(matches!(events[..], [ClientEvent::Ready(_)]), "{events:?}");
        pair
    }

    /// Carries bytes until nothing moves; `answer` answers commands. Returns what the client saw.
    pub fn run(&mut self, mut answer: impl FnMut(&mut Connection, Event)) -> Vec<ClientEvent> {
        let mut seen = Vec::new();
        let mut bytes = Vec::new();
        loop {
            let mut moved = false;
            bytes.clear();
            self.client.take_output(&mut bytes);
            for chunk in bytes.chunks(self.chunk_bytes) {
                moved = true;
                self.server.receive(chunk).expect("the client keeps the protocol");
                self.serve(&mut answer);
            }
            bytes.clear();
            self.server.take_output(&mut bytes);
            for chunk in bytes.chunks(self.chunk_bytes) {
                moved = true;
                self.client.receive(chunk).expect("the server keeps the protocol");
                while let Some(event) = self.client.poll().expect("the server keeps the protocol") {
                    seen.push(event);
                }
            }
            if matches!(seen.last(), Some(ClientEvent::UpgradeTls)) {
                seen.pop();
                // The client's request has to arrive first.
                self.client.take_output(&mut bytes);
                let request = bytes.split_off(bytes.len() - 36);
                self.server.receive(&request).unwrap();
                let event = self.server.poll().unwrap();
                assert!(matches!(&event, Some(Event::UpgradeTls { early_bytes }) if early_bytes.is_empty()));
                self.server.tls_established();
                self.client.tls_established();
                moved = true;
            }
            if !moved {
                return seen;
            }
        }
    }

    fn serve(&mut self, answer: &mut impl FnMut(&mut Connection, Event)) {
        while let Some(event) = self.server.poll().expect("the client keeps the protocol") {
            self.on_event(event, answer);
        }
    }

    fn on_event(&mut self, event: Event, answer: &mut impl FnMut(&mut Connection, Event)) {
        match event {
            Event::Login(login) => {
                self.log.push(format!("login {}", login.user));
                self.server.credentials(account(&login.user));
            }
            Event::CheckPassword(password) => {
                self.log.push("check".into());
                let right = password.as_bytes() == b"geheim";
                self.server.password_checked(right);
            }
            Event::LoginProven => {
                self.log.push("proven".into());
                self.server.ok(&OK);
            }
            Event::LoginDenied => self.log.push("denied".into()),
            event => answer(&mut self.server, event),
        }
    }
}

/// One frame with its header.
pub fn frame(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes();
    bytes[3] = sequence;
    [&bytes[..], payload].concat()
}

/// The frames in a stream: sequence number and payload.
pub fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
        found.push((bytes[3], bytes[4..4 + length].to_vec()));
        bytes = &bytes[4 + length..];
    }
    found
}

/// Bytes written in hexadecimal and, between quotes, as text: `03 'def' 00`.
pub fn bytes(notation: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, part) in notation.split('\'').enumerate() {
        if index % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
        } else {
            for pair in part.split_whitespace() {
                out.push(u8::from_str_radix(pair, 16).expect("two hexadecimal digits"));
            }
        }
    }
    out
}

/// A server that is logged in, its output empty. `capabilities` as the client names them.
pub fn server_with(capabilities: u32, config: ServerConfig) -> Connection {
    let mut server = Connection::new(config);
    let mut login = capabilities.to_le_bytes().to_vec();
    login.extend_from_slice(&[0; 4]);
    login.push(255);
    login.extend_from_slice(&[0; 23]);
    login.extend_from_slice(b"open\0\0");
    server.receive(&frame(1, &login)).unwrap();
    assert!(matches!(server.poll(), Ok(Some(Event::Login(_)))));
    server.credentials(Credentials::NoPassword);
    assert!(matches!(server.poll(), Ok(Some(Event::LoginProven))));
    server.ok(&OK);
    server.clear_output();
    server
}

/// Prepares a statement with `params` parameters; says its id.
pub fn prepare(pair: &mut Pair, params: usize) -> u32 {
    pair.client.prepare(b"select ?");
    let events = pair.run(|server, _| {
        server.prepared(vec![ColumnDef::parameter(); params], [ColumnDef::new("c", ColumnType::Json)], 0);
    });
    let [ClientEvent::Prepared { statement_id, params: found, columns }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((usize::from(*found), columns.len()), (params, 1));
    *statement_id
}

/// Executes and returns what the server got.
pub fn execute(pair: &mut Pair, id: u32, params: &[Param]) -> Vec<Param> {
    pair.client.execute(id, params);
    let mut got = None;
    pair.run(|server, event| {
        let Event::Command(Command::Execute(execute)) = event else {
            panic!("{event:?}");
        };
        assert_eq!(execute.statement_id, id);
        got = Some(execute.params);
        server.ok(&OK);
    });
    got.expect("the execute arrives")
}

/// A server with one statement of `params` parameters, number 1.
pub fn prepared_server(capabilities: u32, params: usize) -> Connection {
    let mut server = server_with(capabilities, config());
    server.receive(&frame(0, b"\x16x")).unwrap();
    server.poll().unwrap();
    assert_eq!(server.prepared(vec![ColumnDef::parameter(); params], [], 0), Some(1));
    server.clear_output();
    server
}

/// Sends an execute of statement 1 whose parameters are `block`.
pub fn raw_execute_on(
    server: &mut Connection,
    block: &str,
) -> Result<Option<Event>, p2pdb_mysql::ProtocolError> {
    let packet = bytes(&format!("17 01 00 00 00 00 01 00 00 00 {block}"));
    server.receive(&frame(0, &packet))?;
    server.poll()
}

/// The payload of COM_STMT_SEND_LONG_DATA.
pub fn long_data(id: u32, param: u16, data: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &param.to_le_bytes(), data].concat()
}
