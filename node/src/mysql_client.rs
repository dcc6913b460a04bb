//! A blocking MySQL client on a TCP socket, for `sql` and the testnet's load.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};
use p2pdb_mysql::client::{Client, ClientConfig, ClientEvent};

use crate::client_file::ClientFile;

/// What is read from the socket at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
const COM_QUIT: u8 = 1;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that is logged in.
pub struct MysqlClient {
    client: Client,
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl MysqlClient {
    /// Connects and logs in.
    ///
    /// # Errors
    /// When nobody listens there, or the login is refused.
    pub fn open(file: &ClientFile, database: Option<String>, program: &str) -> anyhow::Result<Self> {
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
        let mut connection = Self { client: Client::new(config), socket, buffer: vec![0; READ_BYTES] };
        match connection.event()? {
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
        &self.socket
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
            self.socket.write_all(&output).context("the connection broke")?;
            if let Some(event) = event {
                return Ok(event);
            }
            let n = self.socket.read(&mut self.buffer).context("the connection broke")?;
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
            let _ = self.socket.write_all(&output);
        }
    }
}

/// Rows of a result as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<Vec<u8>>>>;
