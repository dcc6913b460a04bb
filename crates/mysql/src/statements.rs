//! The prepared statements of one connection, as far as the protocol knows them: parameter counts, the types
//! of the last execute, data sent ahead. What they mean is the engine's business.
//!
//! Limits: statements per connection, bytes of data sent ahead per connection.

use std::collections::{BTreeMap, HashMap};

use crate::error::{ProtocolError, ServerError};
use crate::params::{Bound, ParamType, parse_execute_params};
use crate::wire::Reader;

/// What an entry of data sent ahead counts beside its bytes, so that empty ones are limited, too.
const LONG_DATA_ENTRY_BYTES: usize = 64;

/// One statement.
#[derive(Debug, Default)]
struct Statement {
    param_count: usize,
    types: Vec<ParamType>,
    long_data: BTreeMap<u16, Vec<u8>>,
    /// What went wrong with data sent ahead: that command has no answer, so the next execute reports it.
    long_data_error: Option<ServerError>,
}

/// All statements of a connection.
#[derive(Debug)]
pub(crate) struct Statements {
    by_id: HashMap<u32, Statement>,
    last_id: u32,
    count_max: usize,
    long_data_bytes: usize,
    long_data_bytes_max: usize,
}

/// Error 1243, as MySQL words it.
pub(crate) fn unknown_statement(id: u32, command: &str) -> ServerError {
    let message = format!("Unknown prepared statement handler ({id}) given to mysqld_stmt_{command}");
    ServerError::new(1243, "HY000", message)
}

impl Statements {
    pub(crate) fn new(count_max: usize, long_data_bytes_max: usize) -> Statements {
        Statements { by_id: HashMap::new(), last_id: 0, count_max, long_data_bytes: 0, long_data_bytes_max }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn long_data_bytes(&self) -> usize {
        self.long_data_bytes
    }

    /// Error 1461 if there is no room for another.
    pub(crate) fn check_room(&self) -> Result<(), ServerError> {
        if self.by_id.len() < self.count_max {
            return Ok(());
        }
        let message = format!(
            "Can't create more than max_prepared_stmt_count statements (current value: {})",
            self.count_max
        );
        Err(ServerError::new(1461, "42000", message))
    }

    /// Adds a statement; says its id.
    pub(crate) fn insert(&mut self, param_count: u16) -> u32 {
        // 0 is never an id, and MariaDB gives u32::MAX a meaning of its own.
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id == 0 || self.last_id == u32::MAX {
                self.last_id = 1;
            }
            if !self.by_id.contains_key(&self.last_id) {
                break;
            }
        }
        let statement = Statement { param_count: usize::from(param_count), ..Statement::default() };
        self.by_id.insert(self.last_id, statement);
        self.last_id
    }

    /// Removes a statement; says whether there was one.
    pub(crate) fn remove(&mut self, id: u32) -> bool {
        self.reset(id);
        self.by_id.remove(&id).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.by_id.clear();
        self.long_data_bytes = 0;
    }

    /// Forgets data sent ahead; says whether there is such a statement.
    pub(crate) fn reset(&mut self, id: u32) -> bool {
        let Some(statement) = self.by_id.get_mut(&id) else {
            return false;
        };
        self.long_data_bytes -= held_bytes(&statement.long_data);
        statement.long_data.clear();
        statement.long_data_error = None;
        true
    }

    /// Data sent ahead for one parameter; appended to what came before. Unknown statements are ignored, as in
    /// MySQL: the command has no answer.
    pub(crate) fn append_long_data(&mut self, id: u32, param: u16, data: &[u8]) {
        let Some(statement) = self.by_id.get_mut(&id) else {
            return;
        };
        if usize::from(param) >= statement.param_count {
            let message = "Incorrect arguments to mysqld_stmt_send_long_data";
            statement.long_data_error = Some(ServerError::new(1210, "HY000", message));
            return;
        }
        let is_new = !statement.long_data.contains_key(&param);
        let added = data.len() + if is_new { LONG_DATA_ENTRY_BYTES } else { 0 };
        if self.long_data_bytes + added > self.long_data_bytes_max {
            let message = "Parameter of prepared statement which is set through \
                           mysql_send_long_data() is longer than 'max_allowed_packet' bytes";
            self.reset(id);
            if let Some(statement) = self.by_id.get_mut(&id) {
                statement.long_data_error = Some(ServerError::new(1105, "HY000", message));
            }
            return;
        }
        self.long_data_bytes += added;
        statement.long_data.entry(param).or_default().extend_from_slice(data);
    }

    /// Reads the parameters of an execute; data sent ahead is used up. The inner error is the statement's,
    /// the outer one the connection's.
    pub(crate) fn bind(
        &mut self,
        id: u32,
        with_count: Option<WithCount>,
        reader: &mut Reader<'_>,
    ) -> Result<Result<Bound, ServerError>, ProtocolError> {
        let Some(statement) = self.by_id.get_mut(&id) else {
            return Ok(Err(unknown_statement(id, "execute")));
        };
        if let Some(error) = statement.long_data_error.take() {
            self.reset(id);
            return Ok(Err(error));
        }
        let mut long_data = std::mem::take(&mut statement.long_data);
        self.long_data_bytes -= held_bytes(&long_data);
        let total = match with_count {
            Some(WithCount::Always) => Some(reader.lenenc()?),
            Some(WithCount::IfParams) if statement.param_count > 0 => Some(reader.lenenc()?),
            _ => None,
        };
        parse_execute_params(reader, statement.param_count, total, &mut statement.types, &mut long_data)
            .map(Ok)
    }
}

fn held_bytes(long_data: &BTreeMap<u16, Vec<u8>>) -> usize {
    long_data.values().map(|data| data.len() + LONG_DATA_ENTRY_BYTES).sum()
}

/// When an execute of a client with query attributes carries the number of its parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WithCount {
    /// The flag PARAMETER_COUNT_AVAILABLE is set.
    Always,
    /// It is not.
    IfParams,
}
