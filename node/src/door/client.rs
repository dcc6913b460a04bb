//! One client: its socket, its protocol state, its session.
//!
//! A point select costs one read and one write of the socket, no timer, and no task switch: the loop reads, polls the
//! protocol for commands, runs each in the session, and sends what has gathered.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use p2pdb_engine::{Outcome, Progress, Session, SessionOptions, Statement, TransactionNews};
use p2pdb_model::AccountId;
use p2pdb_mysql::{
    Capabilities, ColumnDef, Command, Connection, Event, Execute, Login, OkPacket, ProtocolError,
    ServerConfig, ServerError, StatusFlags, charset,
};
use p2pdb_sql::command::Command as StatementKind;
use p2pdb_sql::error::SqlError;
use p2pdb_sql::front::{Literal, binary};
use p2pdb_sql::session::SqlMode;
use p2pdb_sql::virtuals::NamePattern;
use p2pdb_sql::zone::Zone;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tracing::{debug, error};

use super::answer::{self, Answer, Failure};
use super::control::{Control, End};
use super::params::{Charset, literal, results_collation};
use super::stats::Kind;
use super::stream::Stream;
use super::track::Heard;
use super::{Door, FLUSH_BYTES, SERVER_VERSION, cells};

/// What is read from the socket at once, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// A buffer that grew beyond this for one answer is given back, in bytes.
const BUFFER_KEPT_BYTES: usize = 256 * 1024;

/// Why a client was cut.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("{0}")]
    Socket(#[from] io::Error),
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
}

type Result<T> = std::result::Result<T, ClientError>;

/// A prepared statement.
struct Prepared {
    statement: Statement,
    kind: Kind,
}

struct Client<'a> {
    door: &'a Arc<Door>,
    control: &'a Arc<Control>,
    id: u32,
    host: String,
    connection: Connection,
    stream: Stream,
    session: Option<Session>,
    login: Option<Login>,
    /// What the account that logs in is called among the logins of this node, and its id.
    login_name: (String, Option<AccountId>),
    statements: HashMap<u32, Prepared>,
    found_rows: bool,
    /// Statements that take longer are slow.
    slow: Duration,
    leaving: Leaving,
}

/// How far a client has come in its life.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    /// It has not logged in.
    Stranger,
    /// It is served.
    Served,
    /// It has taken leave, or was sent away.
    Gone,
}

/// How long a client that was told to go is still listened to when it says nothing.
const LINGER: Duration = Duration::from_millis(200);
/// How long it is listened to in all.
const PARTING: Duration = Duration::from_secs(10);
/// How much it may still say, in bytes: more than a client sends before it looks for an answer.
const PARTING_BYTES_MAX: usize = 64 << 20;

/// Serves one client until it leaves or is cut.
pub(super) async fn serve(
    door: &Arc<Door>,
    socket: TcpStream,
    peer: SocketAddr,
    id: u32,
    control: &Arc<Control>,
) -> Result<()> {
    socket.set_nodelay(true)?;
    let host = if peer.ip().is_loopback() { "localhost".to_owned() } else { peer.ip().to_string() };
    let mut config = ServerConfig::new(SERVER_VERSION, id, rand::random());
    config.client_host.clone_from(&host);
    config.tls_available = door.tls.is_some();
    config.max_allowed_packet_bytes = door.limits.packet_bytes;
    config.long_data_bytes_max = door.limits.packet_bytes;
    config.statements_max = door.limits.statements;
    let mut client = Client {
        door,
        control,
        id,
        host,
        connection: Connection::new(config),
        stream: Stream::Plain(socket),
        session: None,
        login: None,
        login_name: (String::new(), None),
        statements: HashMap::new(),
        found_rows: false,
        slow: Duration::MAX,
        leaving: Leaving::Stranger,
    };
    let result = client.run().await;
    match client.leaving {
        Leaving::Stranger => door.stats.aborted_connect(),
        Leaving::Served => door.stats.aborted_client(),
        Leaving::Gone => {}
    }
    // A slow rollback must not hold up the reactor.
    if let Some(session) = client.session.take() {
        if session.in_transaction() {
            tokio::task::block_in_place(|| drop(session));
        } else {
            drop(session);
        }
    }
    result
}

impl Client<'_> {
    async fn run(&mut self) -> Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            loop {
                match self.connection.poll() {
                    Ok(Some(event)) => self.on_event(event).await?,
                    Ok(None) => break,
                    Err(e) => return self.cut(e).await,
                }
                if self.connection.output().len() >= FLUSH_BYTES {
                    self.flush().await?;
                }
                if let Some(end) = self.ending() {
                    return self.leave(end).await;
                }
            }
            self.flush().await?;
            if self.connection.is_closed() {
                self.stream.shutdown().await?;
                return Ok(());
            }
            let read = loop {
                if let Some(end) = self.ending() {
                    return self.leave(end).await;
                }
                tokio::select! {
                    read = self.stream.read(&mut buffer) => break read?,
                    () = self.control.attention.notified() => {}
                }
            };
            if read == 0 {
                return Ok(());
            }
            self.door.stats.received(read);
            self.control.received.fetch_add(read as u64, Ordering::Relaxed);
            // What came after the end is not begun any more.
            if let Some(end) = self.ending() {
                return self.leave(end).await;
            }
            if let Err(e) = self.connection.receive(&buffer[..read]) {
                return self.cut(e).await;
            }
        }
    }

    fn ending(&self) -> Option<End> {
        let killed = || self.session.as_ref().is_some_and(Session::killed).then_some(End::Killed);
        // A stop ends with killing those that have not left.
        self.control
            .ending()
            .filter(|e| *e == End::Shutdown)
            .or_else(killed)
            .or_else(|| self.control.ending())
    }

    async fn leave(&mut self, end: End) -> Result<()> {
        debug!(id = self.id, "ending a MySQL client: {end:?}");
        if end == End::Shutdown {
            self.leaving = Leaving::Gone;
        }
        // MySQL closes the connection without a word: drivers that hear of an error do not connect again.
        if end != End::Killed {
            self.connection.close_with(&end.error());
        }
        self.part().await
    }

    /// Cuts a client that breaks the protocol; it has been told why.
    async fn cut(&mut self, why: ProtocolError) -> Result<()> {
        self.part().await?;
        Err(why.into())
    }

    /// Says the last words, then listens until the client leaves: what is on its way would be answered by a reset, which
    /// makes the client forget the reason.
    async fn part(&mut self) -> Result<()> {
        self.flush().await?;
        self.stream.shutdown().await?;
        let stream = &mut self.stream;
        let listen = async {
            let mut rest = [0; READ_BYTES];
            let mut left = PARTING_BYTES_MAX;
            while left > 0 {
                match tokio::time::timeout(LINGER, stream.read(&mut rest)).await {
                    Ok(Ok(n)) if n > 0 => left = left.saturating_sub(n),
                    _ => break,
                }
            }
        };
        let _ = tokio::time::timeout(PARTING, listen).await;
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let output = self.connection.output();
        if output.is_empty() {
            return Ok(());
        }
        self.door.stats.sent(output.len());
        self.control.sent.fetch_add(output.len() as u64, Ordering::Relaxed);
        let stream = &mut self.stream;
        let write = async {
            stream.write_all(output).await?;
            match stream {
                Stream::Tls(_) => stream.flush().await,
                _ => Ok(()),
            }
        };
        let done = tokio::time::timeout(self.door.limits.write, write).await;
        done.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read its answer"))??;
        let large = output.len() > BUFFER_KEPT_BYTES;
        if large {
            self.connection.take_output(&mut Vec::new());
        } else {
            self.connection.clear_output();
        }
        Ok(())
    }

    async fn on_event(&mut self, event: Event) -> Result<()> {
        match event {
            Event::UpgradeTls { early_bytes } => {
                let Some(acceptor) = &self.door.tls else {
                    return Err(io::Error::other("TLS was not offered").into());
                };
                self.stream.upgrade(acceptor, early_bytes).await?;
                self.connection.tls_established();
                if let Some(tls) = self.stream.tls() {
                    let _ = self.control.tls.set(tls);
                }
            }
            Event::Login(login) => {
                // An account that is not known here may be soon: the verifier is asked for its plain name.
                let named = self.door.engine.login_name(&login.user, &self.host);
                self.login_name = match named {
                    Some((name, id)) => (super::login::file_name(&name), Some(id)),
                    None => (login.user.clone(), None),
                };
                let credentials = self.door.logins.credentials(&self.login_name.0, self.login_name.1);
                self.login = Some(login);
                self.connection.credentials(credentials);
            }
            Event::CheckPassword(password) => {
                let (name, id) = &self.login_name;
                let logins = &self.door.logins;
                let right =
                    tokio::task::block_in_place(|| logins.check_and_learn(name, *id, password.as_bytes()));
                self.connection.password_checked(right);
            }
            Event::LoginProven => self.open_session().await,
            Event::LoginDenied => {
                self.door.stats.denied();
                self.deny();
                let user = self.login.as_ref().map_or("", |l| l.user.as_str());
                debug!(id = self.id, user, host = self.host, "login denied");
            }
            Event::Command(command) => {
                self.control.busy();
                self.on_command(command).await?;
                self.control.idle(Instant::now());
            }
        }
        Ok(())
    }

    async fn open_session(&mut self) {
        let Some(login) = self.login.clone() else {
            return;
        };
        if self.door.limits.tls_required && !self.connection.is_tls() {
            let message =
                "Connections using insecure transport are prohibited while --require_secure_transport=ON.";
            self.deny();
            return self.connection.error(&ServerError::new(3159, "HY000", message));
        }
        // COM_CHANGE_USER: the old session goes first, with its transaction and statements.
        self.session = None;
        self.statements.clear();
        self.note_prepared(None);
        self.found_rows = login.capabilities.contains(Capabilities::FOUND_ROWS);
        let options = SessionOptions {
            user: login.user,
            host: self.host.clone(),
            database: login.database,
            connection_id: u64::from(self.id),
            attributes: login.attributes,
        };
        match self.door.engine.session(&options) {
            Ok(session) => {
                self.session = Some(session);
                self.leaving = Leaving::Served;
                self.control.idle(Instant::now());
                if login.capabilities.contains(Capabilities::INTERACTIVE)
                    && self.variable("interactive_timeout") != self.variable("wait_timeout")
                    && let Err(e) = self.run_silently("SET wait_timeout = @@interactive_timeout").await
                {
                    debug!(id = self.id, "the client's idle limit was not taken: {e}");
                }
                self.note_limits();
                if let Some(names) = set_names(login.charset) {
                    // A collation that the engine does not know leaves the session at its default, as in MySQL.
                    if let Err(e) = self.run_silently(names).await {
                        debug!(id = self.id, "the client's character set was not taken: {e}");
                    }
                }
                self.answer(&Outcome::default(), false);
            }
            Err(e) => {
                self.deny();
                self.connection.error(&server_error(&e));
            }
        }
    }

    /// COM_CHANGE_USER was denied: sent away, it has not aborted anything.
    fn deny(&mut self) {
        if self.leaving == Leaving::Served {
            self.leaving = Leaving::Gone;
        }
    }

    async fn on_command(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Query(query) => match self.decode(query.sql()) {
                Ok(sql) => self.query(&sql).await,
                Err(e) => {
                    self.refuse(&e);
                    Ok(())
                }
            },
            Command::Execute(execute) => self.execute(execute).await,
            Command::Prepare(query) => {
                match self.decode(query.sql()) {
                    Ok(sql) => self.prepare(&sql),
                    Err(e) => self.refuse(&e),
                }
                Ok(())
            }
            Command::CloseStatement { statement_id } => {
                self.statements.remove(&statement_id);
                self.note_prepared(Some(StatementKind::STMT_CLOSE));
                Ok(())
            }
            Command::InitDb(name) => self.query(&format!("USE {}", quoted(&name))).await,
            Command::FieldList { table, wildcard } => {
                tokio::task::block_in_place(|| self.field_list(&table, &wildcard));
                Ok(())
            }
            Command::Ping => {
                self.answer(&Outcome::default(), false);
                Ok(())
            }
            Command::Statistics => {
                self.connection.statistics(&self.door.statistics());
                Ok(())
            }
            Command::ProcessInfo => self.query("SHOW PROCESSLIST").await,
            Command::ProcessKill { connection_id } => self.query(&format!("KILL {connection_id}")).await,
            Command::Debug => {
                let status = self.status();
                self.connection.eof(status, 0);
                Ok(())
            }
            Command::ResetConnection => {
                self.statements.clear();
                self.note_prepared(None);
                if let Some(session) = &mut self.session {
                    tokio::task::block_in_place(|| session.reset());
                    self.note_limits();
                }
                self.answer(&Outcome::default(), false);
                Ok(())
            }
            Command::Quit => {
                self.leaving = Leaving::Gone;
                Ok(())
            }
        }
    }

    async fn query(&mut self, text: &str) -> Result<()> {
        let session = self.session.as_ref().expect("invariant: commands come after the login");
        let parts = match self.connection.capabilities().contains(Capabilities::MULTI_STATEMENTS) {
            true => session.split(text),
            false => Vec::new(),
        };
        if parts.len() < 2 {
            return self.run_text(text, false).await.map(|_| ());
        }
        for (i, part) in parts.iter().enumerate() {
            if !self.run_text(part, i + 1 < parts.len()).await? {
                break;
            }
        }
        Ok(())
    }

    /// Runs one statement of text and answers it; false after an error.
    async fn run_text(&mut self, text: &str, more: bool) -> Result<bool> {
        let kind = Kind::of(text);
        let begun = Instant::now();
        let session = self.session.as_mut().expect("invariant: commands come after the login");
        match session.prepare(text) {
            Ok(statement) => self.run_statement(&statement, Vec::new(), kind, begun, more).await,
            Err(e) => {
                session.count_refused(text, &e);
                self.door.stats.statement(kind, begun.elapsed(), true);
                self.refuse(&e);
                Ok(false)
            }
        }
    }

    async fn execute(&mut self, execute: Execute) -> Result<()> {
        let begun = Instant::now();
        let charset = self.charset();
        let Some(prepared) = self.statements.get(&execute.statement_id) else {
            let id = execute.statement_id;
            let message = format!("Unknown prepared statement handler ({id}) given to mysqld_stmt_execute");
            self.connection.error(&ServerError::new(1243, "HY000", message));
            return Ok(());
        };
        let (statement, kind) = (prepared.statement.clone(), prepared.kind);
        let params: std::result::Result<Vec<Literal>, SqlError> =
            execute.params.into_iter().map(|p| literal(p, charset)).collect();
        match params {
            Ok(params) => {
                if let Some(session) = &self.session {
                    session.count_kind(StatementKind::STMT_EXECUTE);
                }
                self.run_statement(&statement, params, kind, begun, false).await.map(|_| ())
            }
            Err(e) => {
                self.door.stats.statement(kind, begun.elapsed(), true);
                self.refuse(&e);
                Ok(())
            }
        }
    }

    fn prepare(&mut self, text: &str) {
        let session = self.session.as_mut().expect("invariant: commands come after the login");
        let statement = match session.prepare_to_keep(text) {
            Ok(statement) => statement,
            Err(e) => return self.refuse(&e),
        };
        let params = (0..statement.params()).map(|_| ColumnDef::parameter());
        let results = results_collation(session.sql_state().charset_results);
        let columns = statement.fields().iter().map(|f| cells::column(f, results));
        if let Some(id) = self.connection.prepared(params, columns, 0) {
            self.statements.insert(id, Prepared { statement, kind: Kind::of(text) });
        }
        self.note_prepared(Some(StatementKind::STMT_PREPARE));
    }

    /// Statements were prepared or closed.
    fn note_prepared(&self, counted: Option<StatementKind>) {
        self.control.prepared.store(self.statements.len() as u64, Ordering::Relaxed);
        if let (Some(session), Some(counted)) = (&self.session, counted) {
            session.count(Some(counted));
        }
    }

    /// Runs a statement and answers it; false after an error. `more`: another result follows.
    async fn run_statement(
        &mut self,
        statement: &Statement,
        params: Vec<Literal>,
        kind: Kind,
        begun: Instant,
        more: bool,
    ) -> Result<bool> {
        let (result, failure) = self.drive(statement, params).await;
        let took = begun.elapsed();
        self.door.stats.statement(kind, took, result.is_err());
        if took > self.slow {
            self.door.stats.slow();
            self.control.slow.fetch_add(1, Ordering::Relaxed);
        }
        if kind == Kind::Kill {
            self.door.after_kill();
        }
        match failure {
            Some(Failure::Socket(e)) => return Err(e.into()),
            Some(Failure::Encode(e)) => {
                error!(id = self.id, "a row could not be sent, please report this: {e}");
                self.connection.error(&ServerError::new(1105, "HY000", format!("cannot send a row: {e}")));
                return Ok(false);
            }
            None => {}
        }
        match result {
            Ok(outcome) => {
                let heeded = |name: &str| matches!(name, "wait_timeout" | "long_query_time");
                if outcome.variables_changed.iter().any(|(name, _)| heeded(name)) {
                    self.note_limits();
                }
                self.answer(&outcome, more);
                Ok(true)
            }
            // It was interrupted because the node stops.
            Err(e) if e.code == INTERRUPTED && self.control.ending() == Some(End::Shutdown) => {
                self.connection.error(&End::Shutdown.error());
                Ok(false)
            }
            Err(e) => {
                self.refuse(&e);
                Ok(false)
            }
        }
    }

    async fn drive(
        &mut self,
        statement: &Statement,
        params: Vec<Literal>,
    ) -> (std::result::Result<Outcome, SqlError>, Option<Failure>) {
        let session = self.session.as_mut().expect("invariant: commands come after the login");
        let state = session.sql_state();
        let write_timeout: Duration = if session.in_transaction() {
            self.door.limits.write_in_transaction
        } else {
            self.door.limits.write
        };
        let long = session.is_long(statement);
        let mut answer = Answer {
            zone: state.time_zone.zone,
            charset: state.charset_results.map_or(Charset::Utf8, Charset::named),
            results: results_collation(state.charset_results),
            connection: &mut self.connection,
            stream: &mut self.stream,
            stats: &self.door.stats,
            control: self.control,
            write_timeout,
            failure: None,
            open: false,
            raw: state.sql_mode.has(SqlMode::NO_BACKSLASH_ESCAPES),
        };
        let mut progress = if long {
            tokio::task::block_in_place(|| session.start(statement, params, &mut answer))
        } else {
            session.start(statement, params, &mut answer)
        };
        loop {
            match progress {
                Progress::Done(result) => {
                    let end = session.result_end();
                    match &result {
                        // Rows of a statement that failed, in a procedure that went on.
                        Ok(outcome) if answer.open && !outcome.has_rows => {
                            answer.end_rows(&Outcome::default(), &end);
                        }
                        _ => {}
                    }
                    if let Ok(outcome) = &result
                        && !outcome.out.is_empty()
                        && answer.failure.is_none()
                    {
                        answer.out_parameters(outcome, &end);
                    }
                    return (result, answer.failure);
                }
                Progress::Waiting(wait) => {
                    let control = self.control.clone();
                    wait.notify(Box::new(move || control.ready.notify_one()));
                    let left = tokio::select! {
                        biased;
                        () = self.control.ready.notified() => false,
                        () = answer.stream.closed() => true,
                    };
                    if left {
                        // The caller drops the session, and with it what it waits for.
                        let gone = io::Error::new(io::ErrorKind::ConnectionAborted, "the client left");
                        return (Err(interrupted()), Some(Failure::Socket(gone)));
                    }
                    progress = if long {
                        tokio::task::block_in_place(|| session.resume(&mut answer))
                    } else {
                        session.resume(&mut answer)
                    };
                }
            }
        }
    }

    /// A system variable of the session, where it is a number.
    fn variable(&self, name: &str) -> Option<u64> {
        self.session.as_ref()?.sql_state().system_variable(name, false).ok()?.as_u64()
    }

    /// Tells the janitor how long this session may idle, and keeps which statements are slow.
    fn note_limits(&mut self) {
        self.control.set_wait(self.variable("wait_timeout").unwrap_or(0));
        let slow =
            self.session.as_ref().and_then(|s| s.sql_state().system_variable("long_query_time", false).ok());
        self.slow = match slow {
            Some(p2pdb_model::Value::Real(s)) => Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX),
            _ => Duration::MAX,
        };
    }

    /// Runs a statement of our own whose result nobody sees.
    async fn run_silently(&mut self, text: &str) -> std::result::Result<(), SqlError> {
        let session = self.session.as_mut().expect("invariant: commands come after the login");
        let statement = session.prepare(text)?;
        self.drive(&statement, Vec::new()).await.0.map(|_| ())
    }

    fn answer(&mut self, outcome: &Outcome, more: bool) {
        let mut status = self.status();
        status.set(StatusFlags::MORE_RESULTS_EXISTS, more);
        status.set(StatusFlags::DB_DROPPED, outcome.database_dropped);
        let capabilities = self.connection.capabilities();
        let session = self.session.as_mut().expect("invariant: commands come after the login");
        let transaction = match answer::tells(capabilities, outcome.has_rows) {
            true => session.transaction_news(),
            false => TransactionNews::default(),
        };
        let heard = Heard::of(outcome, transaction, session.sql_state());
        let changes = heard.changes();
        let ok = OkPacket {
            affected_rows: if self.found_rows {
                outcome.found.max(outcome.affected)
            } else {
                outcome.affected
            },
            last_insert_id: outcome.last_insert_id,
            status,
            warnings: outcome.warnings,
            info: &outcome.info,
            changes: &changes,
        };
        if outcome.has_rows {
            self.connection.end_rows(&ok);
        } else {
            self.connection.ok(&ok);
        }
    }

    fn field_list(&mut self, table: &str, wildcard: &str) {
        let status = self.status();
        let session = self.session.as_mut().expect("invariant: commands come after the login");
        match session.prepare(&format!("SELECT * FROM {} LIMIT 0", quoted(table))) {
            Ok(statement) => {
                let state = session.sql_state();
                let results = results_collation(state.charset_results);
                let charset = state.charset_results.map_or(Charset::Utf8, Charset::named);
                let defaults = session.defaults(table, statement.fields());
                let pattern = NamePattern::new(wildcard);
                for (field, default) in statement.fields().iter().zip(&defaults) {
                    if !wildcard.is_empty() && !pattern.matches(&field.name) {
                        continue;
                    }
                    let column = cells::column(field, results);
                    // Default values are in no zone, which is to say in UTC.
                    let sent =
                        cells::with_cell(&field.ty, default.into(), Zone::default(), charset, |cell| {
                            self.connection.field(&column, cell)
                        });
                    if let Err(e) = sent {
                        error!(
                            "the default value of {}.{} does not fit its column: {e}",
                            field.org_table, field.name
                        );
                    }
                }
                self.connection.eof(status, 0);
            }
            Err(e) => self.refuse(&e),
        }
    }

    fn refuse(&mut self, error: &SqlError) {
        self.connection.error(&server_error(error));
    }

    /// A statement as text; literals that are bytes become hexadecimal ones.
    fn decode<'t>(&self, bytes: &'t [u8]) -> std::result::Result<Cow<'t, str>, SqlError> {
        let charset = self.charset();
        let text = charset.decode(bytes);
        if bytes.is_ascii() || (text.is_ok() && (charset == Charset::Utf8 || !binary::names_binary(bytes))) {
            return text;
        }
        let mode = self.session.as_ref().map_or(SqlMode::DEFAULT, |s| s.sql_state().sql_mode);
        binary::to_text(bytes, mode, &|piece| charset.decode(piece).map(Cow::into_owned)).map(Cow::Owned)
    }

    fn charset(&self) -> Charset {
        self.session.as_ref().map_or(Charset::Utf8, |s| Charset::named(s.sql_state().charset_client))
    }

    fn status(&self) -> StatusFlags {
        let mut status = StatusFlags::empty();
        if let Some(session) = &self.session {
            let state = session.sql_state();
            status.set(StatusFlags::IN_TRANS, session.in_transaction());
            status.set(StatusFlags::IN_TRANS_READONLY, session.in_read_only_transaction());
            status.set(StatusFlags::AUTOCOMMIT, session.autocommit());
            let raw = state.sql_mode.has(SqlMode::NO_BACKSLASH_ESCAPES);
            status.set(StatusFlags::NO_BACKSLASH_ESCAPES, raw);
        }
        status
    }
}

/// MySQL's number for a statement that a KILL ended.
const INTERRUPTED: u16 = 1317;

fn interrupted() -> SqlError {
    SqlError::new(INTERRUPTED, "70100", "Query execution was interrupted")
}

fn server_error(e: &SqlError) -> ServerError {
    ServerError::new(e.code, &e.state, e.message.clone())
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// What a collation number in the handshake means as a statement; `None`: the default, or one we do not know.
fn set_names(collation: u16) -> Option<&'static str> {
    Some(match collation {
        charset::UTF8MB4_GENERAL_CI => "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci",
        charset::UTF8MB4_BIN => "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        224 => "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci",
        246 => "SET NAMES utf8mb4 COLLATE utf8mb4_unicode_520_ci",
        // utf8mb3, which MySQL 8 still speaks.
        charset::UTF8MB3_GENERAL_CI | 83 | 192 => "SET NAMES utf8mb3",
        charset::BINARY => "SET NAMES binary",
        // The latin1 collations.
        5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => "SET NAMES latin1",
        11 | 65 => "SET NAMES ascii",
        _ => return None,
    })
}
