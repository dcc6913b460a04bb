//! Commands of the command phase: what a packet asks for.

use crate::constants::Capabilities;
use crate::error::{ProtocolError, ServerError};
use crate::params::parse_query_attributes;
use crate::statements::{Statements, WithCount, unknown_statement};
use crate::value::{Attribute, Param};
use crate::wire::{Reader, text};

/// Execute flags: the number of parameters is sent, too (query attributes).
const PARAMETER_COUNT_AVAILABLE: u8 = 8;

/// What the client asks for. Every command but [`Command::Quit`] and [`Command::CloseStatement`] must be
/// answered before the next one is polled.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// COM_QUERY: answer results, OK or an error.
    Query(Query),
    /// COM_STMT_PREPARE: answer [`crate::Connection::prepared`] or an error.
    Prepare(Query),
    /// COM_STMT_EXECUTE: answer results, OK or an error.
    Execute(Execute),
    /// COM_STMT_CLOSE of a statement that existed; no answer.
    CloseStatement {
        /// Its id.
        statement_id: u32,
    },
    /// COM_INIT_DB: change the default database; answer OK or an error.
    InitDb(String),
    /// COM_FIELD_LIST: answer [`crate::Connection::field`] for each column and [`crate::Connection::eof`], or an error.
    FieldList {
        /// Name of the table in the default database.
        table: String,
        /// LIKE pattern for the columns; empty for all.
        wildcard: String,
    },
    /// COM_PING: answer OK.
    Ping,
    /// COM_STATISTICS: answer [`crate::Connection::statistics`].
    Statistics,
    /// COM_PROCESS_INFO: answer rows as for SHOW PROCESSLIST.
    ProcessInfo,
    /// COM_PROCESS_KILL: answer OK or an error.
    ProcessKill {
        /// The connection to end.
        connection_id: u32,
    },
    /// COM_DEBUG: answer [`crate::Connection::eof`] or an error.
    Debug,
    /// COM_RESET_CONNECTION: forget session state (statements are already forgotten here); answer OK.
    ResetConnection,
    /// COM_QUIT: the connection is closed; no answer.
    Quit,
}

/// The text of a statement, in the client's character set.
#[derive(Clone, PartialEq)]
pub struct Query {
    packet: Vec<u8>,
    start: usize,
    /// Query attributes sent with it.
    pub attributes: Vec<Attribute>,
}

impl Query {
    /// The statement, or several for clients with [`Capabilities::MULTI_STATEMENTS`].
    pub fn sql(&self) -> &[u8] {
        &self.packet[self.start..]
    }
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("sql", &String::from_utf8_lossy(self.sql()))
            .field("attributes", &self.attributes)
            .finish()
    }
}

/// The execution of a prepared statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Execute {
    /// Id of the statement.
    pub statement_id: u32,
    /// One value for each `?`.
    pub params: Vec<Param>,
    /// Query attributes sent with it.
    pub attributes: Vec<Attribute>,
    /// Whether the client asked for a cursor. Rows are sent at once all the same, as MySQL does where it
    /// cannot open one.
    pub cursor_requested: bool,
}

/// A packet of the command phase, parsed.
pub(crate) enum Parsed {
    /// For the shell.
    Command(Command),
    /// COM_CHANGE_USER: the rest of the packet is a login.
    ChangeUser(Vec<u8>),
    /// COM_SET_OPTION: multi-statements on or off. Answered with EOF.
    SetMultiStatements(bool),
    /// COM_STMT_RESET, done. Answered with OK.
    StatementReset,
    /// Done, and without an answer.
    Silent,
    /// Answered with an error; the connection goes on.
    Refused(ServerError),
}

/// Reads a packet of the command phase.
pub(crate) fn parse(
    packet: Vec<u8>,
    capabilities: Capabilities,
    statements: &mut Statements,
) -> Result<Parsed, ProtocolError> {
    let mut reader = Reader::new(&packet);
    let Ok(code) = reader.u8() else {
        return Ok(Parsed::Refused(unknown_command()));
    };
    let with_attributes = capabilities.contains(Capabilities::QUERY_ATTRIBUTES);
    Ok(Parsed::Command(match code {
        0x01 => Command::Quit,
        0x02 => match text(reader.rest()) {
            Ok(name) => Command::InitDb(name),
            Err(_) => return Ok(Parsed::Refused(invalid_utf8())),
        },
        0x03 => {
            let attributes = if with_attributes { parse_query_attributes(&mut reader)? } else { Vec::new() };
            let start = packet.len() - reader.remaining();
            Command::Query(Query { packet, start, attributes })
        }
        0x04 => {
            let table = text(reader.nul_terminated_or_rest());
            let wildcard = text(reader.rest());
            match (table, wildcard) {
                (Ok(table), Ok(wildcard)) => Command::FieldList { table, wildcard },
                _ => return Ok(Parsed::Refused(invalid_utf8())),
            }
        }
        0x09 => Command::Statistics,
        0x0A => Command::ProcessInfo,
        0x0C => Command::ProcessKill { connection_id: reader.u32()? },
        0x0D => Command::Debug,
        0x0E => Command::Ping,
        0x11 => return Ok(Parsed::ChangeUser(packet)),
        0x16 => match statements.check_room() {
            Ok(()) => Command::Prepare(Query { packet, start: 1, attributes: Vec::new() }),
            Err(error) => return Ok(Parsed::Refused(error)),
        },
        0x17 => match parse_execute(&mut reader, with_attributes, statements)? {
            Ok(execute) => Command::Execute(execute),
            Err(error) => return Ok(Parsed::Refused(error)),
        },
        0x18 => {
            let (id, param) = (reader.u32()?, reader.u16()?);
            statements.append_long_data(id, param, reader.rest());
            return Ok(Parsed::Silent);
        }
        0x19 => {
            let statement_id = reader.u32()?;
            if !statements.remove(statement_id) {
                return Ok(Parsed::Silent);
            }
            Command::CloseStatement { statement_id }
        }
        0x1A => {
            let id = reader.u32()?;
            return Ok(if statements.reset(id) {
                Parsed::StatementReset
            } else {
                Parsed::Refused(unknown_statement(id, "reset"))
            });
        }
        0x1B => {
            return Ok(match reader.u16()? {
                0 => Parsed::SetMultiStatements(true),
                1 => Parsed::SetMultiStatements(false),
                _ => Parsed::Refused(unknown_command()),
            });
        }
        0x1C => {
            let message = format!("The statement ({}) has no open cursor.", reader.u32()?);
            return Ok(Parsed::Refused(ServerError::new(1421, "HY000", message)));
        }
        0x1F => {
            statements.clear();
            Command::ResetConnection
        }
        _ => return Ok(Parsed::Refused(unknown_command())),
    }))
}

fn parse_execute(
    reader: &mut Reader<'_>,
    with_attributes: bool,
    statements: &mut Statements,
) -> Result<Result<Execute, ServerError>, ProtocolError> {
    let statement_id = reader.u32()?;
    let flags = reader.u8()?;
    reader.u32()?; // iteration count, always 1
    let with_count = with_attributes.then_some(if flags & PARAMETER_COUNT_AVAILABLE != 0 {
        WithCount::Always
    } else {
        WithCount::IfParams
    });
    let bound = match statements.bind(statement_id, with_count, reader)? {
        Ok(bound) => bound,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(Execute {
        statement_id,
        params: bound.params,
        attributes: bound.attributes,
        cursor_requested: flags & !PARAMETER_COUNT_AVAILABLE != 0,
    }))
}

fn unknown_command() -> ServerError {
    ServerError::new(1047, "08S01", "Unknown command")
}

fn invalid_utf8() -> ServerError {
    ServerError::new(1300, "HY000", "Invalid utf8mb4 character string in a name")
}
