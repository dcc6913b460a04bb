//! One connection, server side: bytes in, events out; answers in, bytes out.
//!
//! ```text
//! new ─▶ greeting ─▶ [UpgradeTls] ─▶ Login ─▶ … ─▶ LoginProven ─▶ ok() ─▶ Command ─▶ answers ─▶ Command …
//! ```
//!
//! Invariants: one command is at hand at a time, and the next is not even parsed before the last answer of it
//! is given; a [`ProtocolError`] queues its ERR packet and closes; nothing is emitted after that. Calling an
//! answer out of turn is a bug of the caller and panics; no bytes of a peer can cause it.

mod answers;

use crate::auth::{AuthPlugin, Password, SALT_BYTES, salt_from_random};
use crate::command::{Command, Parsed, parse};
use crate::constants::{Capabilities, StatusFlags};
use crate::error::{ProtocolError, ServerError};
use crate::frame::{FrameReader, begin_packet, end_packet};
use crate::handshake::{
    FirstPacket, Greeting, LOGIN_PACKET_BYTES_MAX, Login, parse_change_user, parse_first_packet,
    put_auth_more_data, put_auth_switch, put_greeting,
};
use crate::login::{Credentials, Exchange, Step};
use crate::response::{OkPacket, put_error, put_ok};
use crate::row::{ColumnCode, RowFormat};
use crate::statements::Statements;

/// Largest value of `max_allowed_packet` (1 GiB), as in MySQL.
pub const PACKET_BYTES_MAX: usize = 1 << 30;
/// Capacity that an empty output buffer may keep.
const OUTPUT_KEEP_BYTES: usize = 1 << 20;
/// Plugin data of caching_sha2_password: the scramble fits.
const FAST_AUTH_OK: u8 = 3;
/// Plugin data of caching_sha2_password: send the password.
const FULL_AUTH: u8 = 4;

/// What a connection needs to know from the start.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// `VERSION()`; must begin with `8.0.` for clients that branch on it, and hold no zero byte.
    pub server_version: String,
    /// `CONNECTION_ID()`.
    pub connection_id: u32,
    /// 20 random bytes, new for every connection, from a cryptographic generator.
    pub salt: [u8; SALT_BYTES],
    /// Where the client comes from, for error 1045: `localhost` or an address.
    pub client_host: String,
    /// Whether TLS can be offered.
    pub tls_available: bool,
    /// Session status in the greeting.
    pub status: StatusFlags,
    /// Longest packet a logged-in client may send; at most [`PACKET_BYTES_MAX`].
    pub max_allowed_packet_bytes: usize,
    /// Prepared statements of this connection.
    pub statements_max: usize,
    /// Bytes sent ahead by COM_STMT_SEND_LONG_DATA, all statements together.
    pub long_data_bytes_max: usize,
}

impl ServerConfig {
    /// The defaults: 64 MiB packets and long data (MySQL 8's `max_allowed_packet`), 16382 statements, no TLS.
    pub fn new(
        server_version: impl Into<String>,
        connection_id: u32,
        salt: [u8; SALT_BYTES],
    ) -> ServerConfig {
        ServerConfig {
            server_version: server_version.into(),
            connection_id,
            salt,
            client_host: "localhost".into(),
            tls_available: false,
            status: StatusFlags::AUTOCOMMIT,
            max_allowed_packet_bytes: 64 << 20,
            statements_max: 16_382,
            long_data_bytes_max: 64 << 20,
        }
    }
}

/// What happened, and what the shell must do about it.
#[derive(Debug)]
pub enum Event {
    /// Start TLS on the stream, then call [`Connection::tls_established`]. Feed `early_bytes` to TLS first:
    /// they came in the same read as the request.
    UpgradeTls {
        /// Bytes already received that belong to TLS.
        early_bytes: Vec<u8>,
    },
    /// Somebody wants to log in (also by COM_CHANGE_USER). Answer [`Connection::credentials`].
    Login(Login),
    /// The account has no SHA-256 verifier and this, sent over TLS, is said to be its password. Answer
    /// [`Connection::password_checked`]; if it is right, store [`crate::Verifiers::of_password`].
    CheckPassword(Password),
    /// The client is who it says. Open its session and database, then answer [`Connection::ok`] or
    /// [`Connection::error`] (which closes).
    LoginProven,
    /// The login failed; error 1045 is queued and the connection closed.
    LoginDenied,
    /// A command to answer.
    Command(Command),
}

#[derive(Debug)]
enum Phase {
    /// The greeting is out.
    AwaitFirstPacket,
    /// The shell starts TLS.
    AwaitTls,
    /// An exchange is under way.
    Login(Box<Exchange>),
    /// Waiting for a command.
    Idle,
    /// A command is being answered.
    Answering(Answering),
    Closed,
}

/// What may be answered now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answering {
    /// The first or next result.
    Result(RowFormat),
    /// Rows of a result begun.
    Rows(RowFormat),
    Prepare,
}

/// The server side of one connection.
#[derive(Debug)]
pub struct Connection {
    frames: FrameReader,
    out: Vec<u8>,
    phase: Phase,
    salt: [u8; SALT_BYTES],
    client_host: String,
    offered: Capabilities,
    capabilities: Capabilities,
    tls: bool,
    /// The login in force; what COM_CHANGE_USER begins from.
    login: Option<Login>,
    max_allowed_packet_bytes: usize,
    statements: Statements,
    columns: Vec<ColumnCode>,
    /// Status flags of the last answer, for the answers given here.
    status: StatusFlags,
    /// What an answer of the shell led to, for the next poll.
    pending: Option<Event>,
    /// The number of the error that was the last command's answer; 0 for any other answer.
    answered_error: u16,
}

impl Connection {
    /// A new connection; its greeting is in the output.
    pub fn new(config: ServerConfig) -> Connection {
        let mut offered = Capabilities::SERVER;
        offered.set(Capabilities::SSL, config.tls_available);
        let mut connection = Connection {
            frames: FrameReader::new(LOGIN_PACKET_BYTES_MAX),
            out: Vec::new(),
            phase: Phase::AwaitFirstPacket,
            salt: salt_from_random(config.salt),
            client_host: config.client_host,
            offered,
            capabilities: Capabilities::empty(),
            tls: false,
            login: None,
            max_allowed_packet_bytes: config.max_allowed_packet_bytes.min(PACKET_BYTES_MAX),
            statements: Statements::new(config.statements_max, config.long_data_bytes_max),
            columns: Vec::new(),
            status: config.status,
            pending: None,
            answered_error: 0,
        };
        let greeting = Greeting {
            server_version: &config.server_version,
            connection_id: config.connection_id,
            salt: &connection.salt.clone(),
            capabilities: offered,
            status: config.status,
        };
        connection.packet(|out| put_greeting(out, &greeting));
        connection
    }

    /// The bytes that turn a client away before any greeting (1040 `Too many connections`, 1129 …).
    pub fn refusal(error: &ServerError) -> Vec<u8> {
        let mut out = Vec::new();
        let start = begin_packet(&mut out);
        put_error(&mut out, error);
        end_packet(&mut out, start, &mut 0);
        out
    }

    /// Takes bytes from the stream; at most [`crate::frame::BACKLOG_BYTES_MAX`] at once. On an error send the
    /// output and close.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if matches!(self.phase, Phase::Closed) {
            return Err(ProtocolError::Closed);
        }
        // Plain bytes must never be taken for what came out of TLS.
        assert!(!matches!(self.phase, Phase::AwaitTls), "bytes received while TLS is being started");
        let received = self.frames.receive(bytes);
        self.fail_on_error(received)
    }

    /// Whether more bytes are of use now. While it is false, do not read from the stream: a client that sends
    /// faster than it is answered then waits in its own socket.
    pub fn wants_read(&self) -> bool {
        !self.is_closed() && !self.frames.is_blocked()
    }

    /// The next event. `None`: answer what is at hand, or feed more bytes. On an error send the output and
    /// close.
    pub fn poll(&mut self) -> Result<Option<Event>, ProtocolError> {
        if let Some(event) = self.pending.take() {
            return Ok(Some(event));
        }
        while !self.is_closed() {
            let next = self.frames.next_packet();
            let Some(packet) = self.fail_on_error(next)? else {
                return Ok(None);
            };
            let event = self.on_packet(packet);
            if let Some(event) = self.fail_on_error(event)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// Moves the bytes to send behind those in `into`.
    pub fn take_output(&mut self, into: &mut Vec<u8>) {
        if into.is_empty() {
            std::mem::swap(&mut self.out, into);
        } else {
            into.append(&mut self.out);
        }
    }

    /// The bytes to send; take them with [`Self::take_output`], or call [`Self::clear_output`] once sent.
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// Forgets the output after it was sent.
    pub fn clear_output(&mut self) {
        self.out.clear();
        self.out.shrink_to(OUTPUT_KEEP_BYTES);
    }

    /// Whether the stream must be closed once the output is sent.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether a command or a login waits for its answer.
    pub fn is_answering(&self) -> bool {
        matches!(self.phase, Phase::Answering(_) | Phase::Login(_))
    }

    /// What both sides can do; empty before the login. [`Capabilities::MULTI_STATEMENTS`] follows
    /// COM_SET_OPTION.
    pub fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// Whether the stream is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Number of prepared statements.
    pub fn statement_count(&self) -> usize {
        self.statements.len()
    }

    /// Bytes of input held, sent-ahead parameter data included: for metrics and for tests of the limits.
    pub fn input_bytes(&self) -> usize {
        self.frames.buffered_bytes() + self.statements.long_data_bytes()
    }

    /// Changes the limit for packets to come (`max_allowed_packet` of the session).
    pub fn set_max_allowed_packet_bytes(&mut self, bytes: usize) {
        self.max_allowed_packet_bytes = bytes.min(PACKET_BYTES_MAX);
        if self.login.is_some() {
            self.frames.set_packet_bytes_max(self.max_allowed_packet_bytes);
        }
    }

    /// TLS stands: what is received from now on comes out of it.
    pub fn tls_established(&mut self) {
        assert!(matches!(self.phase, Phase::AwaitTls), "tls_established without UpgradeTls");
        self.tls = true;
        self.phase = Phase::AwaitFirstPacket;
        self.frames.release();
    }

    /// Answers [`Event::Login`]: what the account store knows. Poll for what follows.
    pub fn credentials(&mut self, credentials: Credentials) {
        let salt = self.salt;
        let exchange = self.exchange();
        assert!(exchange.awaits_credentials(), "credentials without Login");
        let step = exchange.on_credentials(credentials, &salt);
        self.pending = self.on_step(step);
    }

    /// Answers [`Event::CheckPassword`]. Poll for what follows.
    pub fn password_checked(&mut self, right: bool) {
        let exchange = self.exchange();
        assert!(exchange.awaits_verdict(), "password_checked without CheckPassword");
        let step = exchange.on_verdict(right);
        self.pending = self.on_step(step);
    }

    fn on_packet(&mut self, packet: Vec<u8>) -> Result<Option<Event>, ProtocolError> {
        match &mut self.phase {
            Phase::AwaitFirstPacket => self.on_first_packet(&packet),
            Phase::Login(exchange) => {
                let step = exchange.on_packet(packet, &self.salt)?;
                Ok(self.on_step(step))
            }
            Phase::Idle => self.on_command(packet),
            Phase::AwaitTls | Phase::Answering(_) | Phase::Closed => {
                unreachable!("invariant: no packet is taken while an answer is awaited")
            }
        }
    }

    fn on_first_packet(&mut self, packet: &[u8]) -> Result<Option<Event>, ProtocolError> {
        match parse_first_packet(packet, self.offered, self.tls)? {
            FirstPacket::SslRequest => {
                self.phase = Phase::AwaitTls;
                Ok(Some(Event::UpgradeTls { early_bytes: self.frames.take_unread() }))
            }
            FirstPacket::Login(packet) => {
                self.capabilities = packet.login.capabilities;
                Ok(Some(self.begin_login(Exchange::new(*packet))))
            }
        }
    }

    fn begin_login(&mut self, exchange: Exchange) -> Event {
        let event = Event::Login(exchange.login.clone());
        self.phase = Phase::Login(Box::new(exchange));
        event
    }

    fn exchange(&mut self) -> &mut Exchange {
        match &mut self.phase {
            Phase::Login(exchange) => exchange,
            other => panic!("no login is under way: {other:?}"),
        }
    }

    fn on_step(&mut self, step: Step) -> Option<Event> {
        match step {
            Step::Switch(plugin) => {
                let salt = self.salt;
                self.packet(|out| put_auth_switch(out, plugin, &salt));
                self.frames.release();
                None
            }
            Step::AskPassword => {
                self.packet(|out| put_auth_more_data(out, FULL_AUTH));
                self.frames.release();
                None
            }
            Step::CheckPassword(password) => Some(Event::CheckPassword(password)),
            Step::Proven { fast } => {
                if fast {
                    self.packet(|out| put_auth_more_data(out, FAST_AUTH_OK));
                }
                Some(Event::LoginProven)
            }
            Step::Denied => {
                let exchange = self.exchange();
                let user = exchange.login.user.clone();
                let using = if exchange.used_password() { "YES" } else { "NO" };
                let message = format!(
                    "Access denied for user '{user}'@'{}' (using password: {using})",
                    self.client_host
                );
                self.close_with(&ServerError::new(1045, "28000", message));
                Some(Event::LoginDenied)
            }
            Step::Unsupported => {
                self.close_with(&ServerError::from(&ProtocolError::OldClient));
                Some(Event::LoginDenied)
            }
        }
    }

    fn on_command(&mut self, packet: Vec<u8>) -> Result<Option<Event>, ProtocolError> {
        let command = match parse(packet, self.capabilities, &mut self.statements)? {
            Parsed::Command(command) => command,
            Parsed::ChangeUser(packet) => {
                let before = self.login.as_ref().expect("invariant: a command follows a login");
                let exchange = Exchange::new(parse_change_user(&packet[1..], before)?);
                self.statements.clear();
                self.frames.set_packet_bytes_max(LOGIN_PACKET_BYTES_MAX);
                return Ok(Some(self.begin_login(exchange)));
            }
            Parsed::SetMultiStatements(on) => {
                self.capabilities.set(Capabilities::MULTI_STATEMENTS, on);
                self.bare_eof(self.status, 0);
                self.end_answer();
                return Ok(None);
            }
            Parsed::StatementReset => {
                let ok = OkPacket { status: self.status, ..OkPacket::default() };
                let capabilities = self.capabilities;
                self.packet(|out| put_ok(out, capabilities, &ok));
                self.end_answer();
                return Ok(None);
            }
            Parsed::Silent => {
                self.end_answer();
                return Ok(None);
            }
            Parsed::Refused(error) => {
                self.packet(|out| put_error(out, &error));
                self.end_answer();
                return Ok(None);
            }
        };
        match &command {
            Command::Quit => self.phase = Phase::Closed,
            Command::CloseStatement { .. } => self.end_answer(),
            Command::Prepare(_) => self.phase = Phase::Answering(Answering::Prepare),
            Command::Execute(_) => {
                self.phase = Phase::Answering(Answering::Result(RowFormat::Binary));
            }
            _ => self.phase = Phase::Answering(Answering::Result(RowFormat::Text)),
        }
        Ok(Some(Event::Command(command)))
    }

    fn packet(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let start = begin_packet(&mut self.out);
        put(&mut self.out);
        end_packet(&mut self.out, start, self.frames.sequence());
    }

    fn fail_on_error<T>(&mut self, result: Result<T, ProtocolError>) -> Result<T, ProtocolError> {
        if let Err(error) = &result {
            self.close_with(&ServerError::from(error));
        }
        result
    }
}

/// The plugin named in the greeting.
pub const GREETING_PLUGIN: AuthPlugin = AuthPlugin::CachingSha2;
