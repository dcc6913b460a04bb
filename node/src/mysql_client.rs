//! A blocking MySQL client on a TCP socket, for `sql` and the testnet's load.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use p2pdb_mysql::client::{Client, ClientConfig, ClientEvent, UseTls};
use tokio_rustls::rustls::{self, ClientConnection};

use crate::client_file::ClientFile;

/// What is read from the socket at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
const COM_QUIT: u8 = 1;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// TLS, or none: `None` speaks in the clear, as on one machine; else it is used where the server offers it.
pub type Tls = Option<Arc<rustls::ClientConfig>>;

struct Stream {
    socket: TcpStream,
    tls: Option<ClientConnection>,
}

impl Stream {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match &mut self.tls {
            None => self.socket.read(into),
            Some(tls) => rustls::Stream::new(tls, &mut self.socket).read(into),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.tls {
            None => self.socket.write_all(bytes),
            Some(tls) => rustls::Stream::new(tls, &mut self.socket).write_all(bytes),
        }
    }
}

/// A connection that is logged in.
pub struct MysqlClient {
    client: Client,
    stream: Stream,
    buffer: Vec<u8>,
}

impl MysqlClient {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When nobody listens there, or the login is refused.
    pub fn open(file: &ClientFile, database: Option<String>, program: &str) -> anyhow::Result<Self> {
        Self::open_with(file, database, program, &None)
    }

    /// [`Self::open`], with TLS.
    ///
    /// # Errors
    /// Those of [`Self::open`]; when the certificate is not the one that is expected.
    pub fn open_with(
        file: &ClientFile,
        database: Option<String>,
        program: &str,
        tls: &Tls,
    ) -> anyhow::Result<Self> {
        let name = format!("{}:{}", file.host, file.port);
        let addresses = std::net::ToSocketAddrs::to_socket_addrs(&(file.host.as_str(), file.port))
            .with_context(|| format!("cannot find {name}"))?;
        let socket = addresses
            .map(|a| TcpStream::connect_timeout(&a, CONNECT_TIMEOUT))
            .reduce(|a, b| a.or(b))
            .with_context(|| format!("cannot find {name}"))?
            .with_context(|| {
                format!("cannot connect to {name}\n  hint: is the node running? `p2pdb-node run` starts it")
            })?;
        socket.set_nodelay(true)?;
        let mut config = ClientConfig::new(file.user.clone(), file.password.clone());
        config.database = database;
        config.attributes = vec![("program_name".into(), program.to_owned())];
        if tls.is_some() {
            config.tls = UseTls::IfOffered;
        }
        let stream = Stream { socket, tls: None };
        let mut connection = Self { client: Client::new(config), stream, buffer: vec![0; READ_BYTES] };
        let mut answer = connection.event()?;
        if let (ClientEvent::UpgradeTls, Some(tls)) = (&answer, tls) {
            let host = rustls::pki_types::ServerName::try_from(file.host.clone())?;
            connection.stream.tls = Some(ClientConnection::new(tls.clone(), host)?);
            connection.client.tls_established();
            answer = connection.event().with_context(|| format!("cannot start TLS with {name}"))?;
        }
        match answer {
            ClientEvent::Ready(_) => Ok(connection),
            ClientEvent::Error(e) => bail!("{e}"),
            other => bail!("unexpected answer to the login: {other:?}"),
        }
    }

    /// The protocol's side: to send commands.
    pub fn protocol(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.stream.socket
    }

    /// Sends what is queued and gives the next event.
    ///
    /// # Errors
    /// When the connection breaks or the node speaks nonsense.
    pub fn event(&mut self) -> anyhow::Result<ClientEvent> {
        loop {
            let event = self.client.poll()?;
            let mut output = Vec::new();
            self.client.take_output(&mut output);
            self.stream.write_all(&output).context("the connection broke")?;
            if let Some(event) = event {
                return Ok(event);
            }
            let n = self.stream.read(&mut self.buffer).context("the connection broke")?;
            if n == 0 {
                bail!("the node closed the connection");
            }
            self.client.receive(&self.buffer[..n])?;
        }
    }

    /// Runs a statement; gives its rows as text, or the statement's error.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn run(&mut self, sql: &str) -> anyhow::Result<Result<Rows, p2pdb_mysql::ServerError>> {
        self.client.query(sql.as_bytes());
        let mut rows = Vec::new();
        loop {
            match self.event()? {
                ClientEvent::Row(row) => rows.push(row),
                ClientEvent::Done(done)
                    if done.status.contains(p2pdb_mysql::StatusFlags::MORE_RESULTS_EXISTS) => {}
                ClientEvent::Done(_) => return Ok(Ok(rows)),
                ClientEvent::Error(e) => return Ok(Err(e)),
                _ => {}
            }
        }
    }
}

impl Drop for MysqlClient {
    /// Takes leave, so that the node does not count it as a client that was cut off.
    fn drop(&mut self) {
        // In the middle of an answer there is no leave to take.
        if self.client.is_idle() {
            self.client.silent_command(COM_QUIT, &[]);
            let mut output = Vec::new();
            self.client.take_output(&mut output);
            let _ = self.stream.write_all(&output);
        }
    }
}

/// Rows of a result as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<Vec<u8>>>>;
