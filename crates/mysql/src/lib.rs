//! The MySQL wire protocol, sans-IO.
//!
//! [`Connection`] is the server's side of one client: feed it bytes, poll it for events, answer them, send its
//! output. It opens no socket, reads no clock, draws no random number, and knows nothing of SQL; the salt and
//! all limits are arguments. [`client`] is the other side, small, for the `sql` subcommand and for tests.
//!
//! What is deliberately not here: TLS itself (the shell wraps the stream), accounts, the meaning of
//! statements, compression, LOAD DATA LOCAL INFILE (never advertised), cursors (rows are sent at once, as MySQL
//! does where it cannot open one), replication commands (error 1047), and the RSA exchange of passwords:
//! accounts keep the SHA-256 verifier, so the password is not needed, and the `rsa` crate leaks its key through
//! timing (RUSTSEC-2023-0071). An account without that verifier logs in over TLS, or by its native verifier.
//!
//! ```
//! use p2pdb_mysql::{Cell, ColumnDef, ColumnType, Command, Connection, Credentials, Event, OkPacket, ServerConfig};
//!
//! /// Feeds bytes to a connection whose database answers 42 to everything.
//! fn serve(connection: &mut Connection, bytes: &[u8]) -> Result<(), p2pdb_mysql::ProtocolError> {
//!     connection.receive(bytes)?;
//!     while let Some(event) = connection.poll()? {
//!         match event {
//!             Event::Login(_) => connection.credentials(Credentials::NoPassword),
//!             Event::LoginProven => connection.ok(&OkPacket::default()),
//!             Event::Command(Command::Query(_)) => {
//!                 connection.begin_rows([ColumnDef::new("answer", ColumnType::LongLong)]);
//!                 connection.rows().row([Cell::Int(42)]).expect("an integer fits");
//!                 connection.end_rows(&OkPacket::default());
//!             }
//!             _ => return Ok(()),
//!         }
//!     }
//!     Ok(())
//! }
//! # let mut connection = Connection::new(ServerConfig::new("8.0.42-p2pdb", 1, [7; 20]));
//! # serve(&mut connection, &[]).unwrap();
//! # assert!(connection.output().len() > 50);
//! ```

mod auth;
pub mod client;
mod command;
mod connection;
mod constants;
mod error;
pub mod frame;
mod handshake;
mod login;
mod number;
mod params;
pub mod response;
mod row;
mod statements;
mod temporal;
mod value;
mod wire;

pub use auth::{AuthPlugin, Password, SALT_BYTES, Verifiers, check_native, check_sha2, scramble};
pub use command::{Command, Execute, Query};
pub use connection::{Connection, Event, GREETING_PLUGIN, PACKET_BYTES_MAX, ServerConfig};
pub use constants::{Capabilities, ColumnFlags, ColumnType, DECIMALS_NOT_FIXED, StatusFlags, charset};
pub use error::{EncodeError, ProtocolError, ServerError};
pub use handshake::{
    CONNECT_ATTRIBUTES_BYTES_MAX, CONNECT_ATTRIBUTES_MAX, LOGIN_NAME_BYTES_MAX, LOGIN_PACKET_BYTES_MAX, Login,
};
pub use login::Credentials;
pub use params::PARAMS_MAX;
pub use response::{OkPacket, SessionChange};
pub use row::{RowFormat, RowWriter};
pub use value::{Attribute, Cell, ColumnDef, Param};
