//! The client's side of a connection, sans-IO and small: for the `sql` subcommand and for tests.
//!
//! Login by both password methods, TLS, text queries with any number of results, prepared statements. Deliberately not
//! here: query attributes, LOCAL INFILE, compression, password exchange by RSA.

mod packets;

use packets::{execute_payload, param_type, parse_column, parse_error, put_login_head};

use crate::auth::{AuthPlugin, SALT_BYTES, scramble};
use crate::connection::PACKET_BYTES_MAX;
use crate::constants::{Capabilities, ColumnFlags, ColumnType, StatusFlags};
use crate::error::{ProtocolError, ServerError};
use crate::frame::{FrameReader, begin_packet, end_packet};
use crate::params::{ParamType, parse_value};
use crate::value::Param;
use crate::wire::{NULL_CELL, Reader, put_lenenc_bytes, put_nul_terminated, text};

/// Whether TLS is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseTls {
    /// No.
    Never,
    /// Where the server offers it.
    IfOffered,
    /// The login fails if the server has none.
    Always,
}

/// How to log in.
#[derive(Clone)]
pub struct ClientConfig {
    /// Account name.
    pub user: String,
    /// Password; empty for none.
    pub password: Vec<u8>,
    /// Database to open.
    pub database: Option<String>,
    /// Whether TLS is started.
    pub tls: UseTls,
    /// Method to begin with; `None` for the server's.
    pub plugin: Option<AuthPlugin>,
    /// What to ask for; what the server does not offer is left out.
    pub capabilities: Capabilities,
    /// Connection attributes.
    pub attributes: Vec<(String, String)>,
}

impl ClientConfig {
    /// The defaults: multi-statements, session tracking, no TLS, no database.
    pub fn new(user: impl Into<String>, password: impl Into<Vec<u8>>) -> ClientConfig {
        ClientConfig {
            user: user.into(),
            password: password.into(),
            database: None,
            tls: UseTls::Never,
            plugin: None,
            capabilities: Capabilities::LONG_PASSWORD
                .union(Capabilities::LONG_FLAG)
                .union(Capabilities::PROTOCOL_41)
                .union(Capabilities::TRANSACTIONS)
                .union(Capabilities::SECURE_CONNECTION)
                .union(Capabilities::MULTI_STATEMENTS)
                .union(Capabilities::MULTI_RESULTS)
                .union(Capabilities::PS_MULTI_RESULTS)
                .union(Capabilities::PLUGIN_AUTH)
                .union(Capabilities::PLUGIN_AUTH_LENENC)
                .union(Capabilities::CONNECT_ATTRS)
                .union(Capabilities::SESSION_TRACK)
                .union(Capabilities::DEPRECATE_EOF),
            attributes: Vec::new(),
        }
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Database of the table.
    pub schema: String,
    /// Alias of the table.
    pub table: String,
    /// Name of the table.
    pub org_table: String,
    /// Alias of the column.
    pub name: String,
    /// Name of the column.
    pub org_name: String,
    /// Collation number.
    pub charset: u16,
    /// Display length.
    pub length: u32,
    /// Type.
    pub column_type: ColumnType,
    /// Flags.
    pub flags: ColumnFlags,
    /// Fraction digits.
    pub decimals: u8,
}

/// What an OK or EOF packet says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows changed or found.
    pub affected_rows: u64,
    /// First id made.
    pub last_insert_id: u64,
    /// Session state.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
    /// Text for people.
    pub info: String,
    /// Session changes: kind and undecoded data.
    pub changes: Vec<(u8, Vec<u8>)>,
}

/// What came from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientEvent {
    /// Send the output, start TLS on the stream, then call [`Client::tls_established`].
    UpgradeTls,
    /// Logged in.
    Ready(Done),
    /// A result begins.
    Columns(Vec<Column>),
    /// A row of a text result; `None` is NULL.
    Row(Vec<Option<Vec<u8>>>),
    /// A row of a prepared statement's result.
    BinaryRow(Vec<Param>),
    /// A result ends, or there was none. More follow if the status says so.
    Done(Done),
    /// A statement is prepared.
    Prepared {
        /// Its id.
        statement_id: u32,
        /// Number of `?`.
        params: u16,
        /// Columns of its result.
        columns: Vec<Column>,
    },
    /// The server, or this client (numbers 2000 and up), refuses.
    Error(ServerError),
}

#[derive(Debug)]
enum Phase {
    AwaitGreeting,
    AwaitTls,
    AwaitLogin,
    Idle,
    AwaitResult { binary: bool },
    AwaitColumns { binary: bool, missing: u64, columns: Vec<Column> },
    AwaitColumnsEnd { binary: bool },
    Rows { binary: bool },
    AwaitPrepared,
    AwaitDefinitions { statement_id: u32, params: u16, missing: Vec<Expected>, columns: Vec<Column> },
    Closed,
}

/// Packets behind PREPARE_OK, last one first.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Param,
    Column,
    Eof,
}

/// The client side of one connection.
pub struct Client {
    config: ClientConfig,
    frames: FrameReader,
    out: Vec<u8>,
    phase: Phase,
    capabilities: Capabilities,
    salt: [u8; SALT_BYTES],
    plugin: AuthPlugin,
    server_version: String,
    connection_id: u32,
    column_types: Vec<ParamType>,
    tls: bool,
}

impl Client {
    /// A client that waits for the greeting.
    pub fn new(config: ClientConfig) -> Client {
        Client {
            config,
            frames: FrameReader::new(PACKET_BYTES_MAX),
            out: Vec::new(),
            phase: Phase::AwaitGreeting,
            capabilities: Capabilities::empty(),
            salt: [0; SALT_BYTES],
            plugin: AuthPlugin::CachingSha2,
            server_version: String::new(),
            connection_id: 0,
            column_types: Vec::new(),
            tls: false,
        }
    }

    /// Takes bytes from the stream; at most [`crate::frame::BACKLOG_BYTES_MAX`] at once, and poll in between.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        self.frames.receive(bytes)
    }

    /// The next event, if it has arrived. An error ends the connection.
    pub fn poll(&mut self) -> Result<Option<ClientEvent>, ProtocolError> {
        while !self.is_closed() {
            let Some(packet) = self.frames.next_packet()? else {
                return Ok(None);
            };
            self.frames.release();
            if let Some(event) = self.on_packet(&packet)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Moves the bytes to send behind those in `into`.
    pub fn take_output(&mut self, into: &mut Vec<u8>) {
        into.append(&mut self.out);
    }

    /// Whether a command may be sent.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// The version in the greeting.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// The server's number for this connection.
    pub fn connection_id(&self) -> u32 {
        self.connection_id
    }

    /// What both sides can do.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// TLS stands; the login goes on.
    pub fn tls_established(&mut self) {
        assert!(matches!(self.phase, Phase::AwaitTls), "tls_established without UpgradeTls");
        self.tls = true;
        self.send_login();
    }

    /// Sends statements as text.
    pub fn query(&mut self, sql: &[u8]) {
        self.command(0x03, sql);
    }

    /// Prepares a statement.
    pub fn prepare(&mut self, sql: &[u8]) {
        self.command(0x16, sql);
        self.phase = Phase::AwaitPrepared;
    }

    /// Executes a prepared statement.
    pub fn execute(&mut self, statement_id: u32, params: &[Param]) {
        self.command(0x17, &execute_payload(statement_id, params));
        self.phase = Phase::AwaitResult { binary: true };
    }

    /// Sends any command that is answered by OK, an error, or text results.
    pub fn command(&mut self, code: u8, payload: &[u8]) {
        self.silent_command(code, payload);
        self.phase = Phase::AwaitResult { binary: false };
    }

    /// Sends a command without an answer (quit, close of a statement, data sent ahead).
    pub fn silent_command(&mut self, code: u8, payload: &[u8]) {
        assert!(self.is_idle(), "a command before the last answer: {:?}", self.phase);
        self.frames.release_for_command();
        self.packet(|out| {
            out.push(code);
            out.extend_from_slice(payload);
        });
        match code {
            0x01 => self.phase = Phase::Closed,
            _ => self.frames.release(),
        }
        if matches!(code, 0x18 | 0x19) {
            self.frames.release_for_command();
        }
    }

    fn on_packet(&mut self, packet: &[u8]) -> Result<Option<ClientEvent>, ProtocolError> {
        let first = *packet.first().ok_or(ProtocolError::Malformed)?;
        if first == 0xFF && !matches!(self.phase, Phase::AwaitColumns { .. }) {
            let error = parse_error(packet)?;
            let over = matches!(self.phase, Phase::AwaitGreeting | Phase::AwaitLogin | Phase::Idle);
            if over {
                self.phase = Phase::Closed;
            } else {
                self.finish();
            }
            return Ok(Some(ClientEvent::Error(error)));
        }
        let mut reader = Reader::new(packet);
        match std::mem::replace(&mut self.phase, Phase::Closed) {
            Phase::AwaitGreeting => self.on_greeting(reader),
            Phase::AwaitLogin => self.on_login_packet(first, reader),
            Phase::AwaitResult { binary } => match first {
                0x00 | 0xFE => {
                    let done = self.parse_done(packet)?;
                    Ok(Some(self.on_done(done, binary)))
                }
                _ => {
                    let missing = reader.lenenc()?;
                    let columns = Vec::new();
                    self.phase = Phase::AwaitColumns { binary, missing, columns };
                    Ok(None)
                }
            },
            Phase::AwaitColumns { binary, missing, mut columns } => {
                columns.push(parse_column(&mut reader)?);
                if missing > 1 {
                    let missing = missing - 1;
                    self.phase = Phase::AwaitColumns { binary, missing, columns };
                    return Ok(None);
                }
                self.column_types = columns.iter().map(param_type).collect();
                self.phase = if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
                    Phase::Rows { binary }
                } else {
                    Phase::AwaitColumnsEnd { binary }
                };
                Ok(Some(ClientEvent::Columns(columns)))
            }
            Phase::AwaitColumnsEnd { binary } => {
                self.phase = Phase::Rows { binary };
                Ok(None)
            }
            Phase::Rows { binary } => {
                let is_end = first == 0xFE && packet.len() < crate::frame::FRAME_BYTES_MAX;
                if is_end && (packet.len() < 9 || self.deprecates_eof()) {
                    let done = self.parse_done(packet)?;
                    return Ok(Some(self.on_done(done, binary)));
                }
                self.phase = Phase::Rows { binary };
                self.parse_row(reader, binary).map(Some)
            }
            Phase::AwaitPrepared => self.on_prepared(reader),
            Phase::AwaitDefinitions { statement_id, params, mut missing, mut columns } => {
                match missing.pop() {
                    Some(Expected::Column) => columns.push(parse_column(&mut reader)?),
                    Some(Expected::Param | Expected::Eof) | None => {}
                }
                self.phase = Phase::AwaitDefinitions { statement_id, params, missing, columns };
                Ok(self.end_of_definitions())
            }
            Phase::AwaitTls | Phase::Idle | Phase::Closed => Err(ProtocolError::OutOfOrder),
        }
    }

    fn on_greeting(&mut self, mut reader: Reader<'_>) -> Result<Option<ClientEvent>, ProtocolError> {
        if reader.u8()? != 10 {
            return Err(ProtocolError::BadHandshake);
        }
        self.server_version = String::from_utf8_lossy(reader.nul_terminated()?).into_owned();
        self.connection_id = reader.u32()?;
        self.salt[..8].copy_from_slice(reader.take(8)?);
        reader.take(1)?;
        let low = reader.u16()?;
        reader.take(3)?; // charset, status
        let high = reader.u16()?;
        reader.take(11)?; // length of the salt, reserved
        self.salt[8..].copy_from_slice(reader.take(12)?);
        reader.take(1)?;
        let offered = Capabilities::from_bits_retain(u32::from(low) | u32::from(high) << 16);
        let plugin = std::str::from_utf8(reader.nul_terminated_or_rest()).unwrap_or_default();
        self.plugin =
            self.config.plugin.or_else(|| AuthPlugin::from_name(plugin)).unwrap_or(AuthPlugin::Native);
        let mut wanted = self.config.capabilities;
        wanted.set(Capabilities::CONNECT_WITH_DB, self.config.database.is_some());
        self.capabilities = wanted.intersection(offered);
        let is_offered = offered.contains(Capabilities::SSL);
        if self.config.tls == UseTls::Never || (self.config.tls == UseTls::IfOffered && !is_offered) {
            self.send_login();
            return Ok(None);
        }
        if !is_offered {
            let message = "SSL connection error: the server does not offer TLS";
            return Ok(Some(ClientEvent::Error(ServerError::new(2026, "HY000", message))));
        }
        self.capabilities.insert(Capabilities::SSL);
        let capabilities = self.capabilities;
        self.packet(|out| put_login_head(out, capabilities));
        self.phase = Phase::AwaitTls;
        Ok(Some(ClientEvent::UpgradeTls))
    }

    fn send_login(&mut self) {
        let response = scramble(self.plugin, &self.config.password, &self.salt);
        let (capabilities, plugin) = (self.capabilities, self.plugin);
        let config = self.config.clone();
        self.packet(|out| {
            put_login_head(out, capabilities);
            put_nul_terminated(out, config.user.as_bytes());
            // At most 32 bytes: the length is one byte in both forms.
            put_lenenc_bytes(out, &response);
            if let Some(database) = &config.database
                && capabilities.contains(Capabilities::CONNECT_WITH_DB)
            {
                put_nul_terminated(out, database.as_bytes());
            }
            if capabilities.contains(Capabilities::PLUGIN_AUTH) {
                put_nul_terminated(out, plugin.name().as_bytes());
            }
            if capabilities.contains(Capabilities::CONNECT_ATTRS) {
                let mut attributes = Vec::new();
                for (name, value) in &config.attributes {
                    put_lenenc_bytes(&mut attributes, name.as_bytes());
                    put_lenenc_bytes(&mut attributes, value.as_bytes());
                }
                put_lenenc_bytes(out, &attributes);
            }
        });
        self.phase = Phase::AwaitLogin;
    }

    fn on_login_packet(
        &mut self,
        first: u8,
        mut reader: Reader<'_>,
    ) -> Result<Option<ClientEvent>, ProtocolError> {
        match first {
            0x00 => {
                let done = self.parse_done(reader.rest())?;
                self.finish();
                return Ok(Some(ClientEvent::Ready(done)));
            }
            0x01 => {
                reader.u8()?;
                if reader.u8()? == 4 {
                    if !self.tls {
                        let message = "Authentication plugin 'caching_sha2_password' reported \
                                       error: Authentication requires secure connection.";
                        let error = ServerError::new(2061, "HY000", message);
                        return Ok(Some(ClientEvent::Error(error)));
                    }
                    let password = self.config.password.clone();
                    self.packet(|out| put_nul_terminated(out, &password));
                }
            }
            0xFE => {
                reader.u8()?;
                let name = text(reader.nul_terminated()?)?;
                let Some(plugin) = AuthPlugin::from_name(&name) else {
                    let message = format!("Authentication plugin '{name}' cannot be loaded");
                    let error = ServerError::new(2059, "HY000", message);
                    return Ok(Some(ClientEvent::Error(error)));
                };
                self.plugin = plugin;
                self.salt.copy_from_slice(reader.take(SALT_BYTES)?);
                let response = scramble(plugin, &self.config.password, &self.salt);
                self.packet(|out| out.extend_from_slice(&response));
            }
            _ => return Err(ProtocolError::Malformed),
        }
        self.phase = Phase::AwaitLogin;
        Ok(None)
    }

    fn on_prepared(&mut self, mut reader: Reader<'_>) -> Result<Option<ClientEvent>, ProtocolError> {
        reader.u8()?;
        let statement_id = reader.u32()?;
        let (columns, params) = (reader.u16()?, reader.u16()?);
        let eof = !self.deprecates_eof();
        let mut missing = Vec::new();
        for (count, kind) in [(columns, Expected::Column), (params, Expected::Param)] {
            if eof && count > 0 {
                missing.push(Expected::Eof);
            }
            missing.extend(std::iter::repeat_n(kind, usize::from(count)));
        }
        self.phase = Phase::AwaitDefinitions { statement_id, params, missing, columns: Vec::new() };
        Ok(self.end_of_definitions())
    }

    fn end_of_definitions(&mut self) -> Option<ClientEvent> {
        let Phase::AwaitDefinitions { statement_id, params, missing, columns } = &mut self.phase else {
            return None;
        };
        if !missing.is_empty() {
            return None;
        }
        let event = ClientEvent::Prepared {
            statement_id: *statement_id,
            params: *params,
            columns: std::mem::take(columns),
        };
        self.finish();
        Some(event)
    }

    fn on_done(&mut self, done: Done, binary: bool) -> ClientEvent {
        if done.status.contains(StatusFlags::MORE_RESULTS_EXISTS) {
            self.phase = Phase::AwaitResult { binary };
        } else {
            self.finish();
        }
        ClientEvent::Done(done)
    }

    fn finish(&mut self) {
        self.phase = Phase::Idle;
        self.frames.release_for_command();
    }

    fn deprecates_eof(&self) -> bool {
        self.capabilities.contains(Capabilities::DEPRECATE_EOF)
    }

    /// Reads OK, EOF, or OK in the place of EOF.
    fn parse_done(&self, packet: &[u8]) -> Result<Done, ProtocolError> {
        let mut reader = Reader::new(packet);
        let header = reader.u8()?;
        if header == 0xFE && !self.deprecates_eof() {
            let warnings = reader.u16()?;
            let status = StatusFlags::from_bits_retain(reader.u16()?);
            return Ok(Done { warnings, status, ..Done::default() });
        }
        let mut done = Done {
            affected_rows: reader.lenenc()?,
            last_insert_id: reader.lenenc()?,
            status: StatusFlags::from_bits_retain(reader.u16()?),
            warnings: reader.u16()?,
            ..Done::default()
        };
        if !reader.is_empty() {
            done.info = text(reader.lenenc_bytes()?)?;
        }
        if done.status.contains(StatusFlags::SESSION_STATE_CHANGED) {
            let mut changes = Reader::new(reader.lenenc_bytes()?);
            while !changes.is_empty() {
                done.changes.push((changes.u8()?, changes.lenenc_bytes()?.to_vec()));
            }
        }
        Ok(done)
    }

    fn parse_row(&self, mut reader: Reader<'_>, binary: bool) -> Result<ClientEvent, ProtocolError> {
        let count = self.column_types.len();
        if !binary {
            let mut row = Vec::with_capacity(count);
            for _ in 0..count {
                row.push(if reader.peek() == Some(NULL_CELL) {
                    reader.u8()?;
                    None
                } else {
                    Some(reader.lenenc_bytes()?.to_vec())
                });
            }
            return Ok(ClientEvent::Row(row));
        }
        reader.u8()?;
        let nulls = reader.take((count + 2).div_ceil(8))?;
        let mut row = Vec::with_capacity(count);
        for (index, &param_type) in self.column_types.iter().enumerate() {
            let bit = index + 2;
            row.push(if nulls[bit / 8] & (1 << (bit % 8)) != 0 {
                Param::Null
            } else {
                parse_value(&mut reader, param_type)?
            });
        }
        Ok(ClientEvent::BinaryRow(row))
    }

    fn packet(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let start = begin_packet(&mut self.out);
        put(&mut self.out);
        end_packet(&mut self.out, start, self.frames.sequence());
    }
}
