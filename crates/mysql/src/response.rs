//! The payloads of answers: OK, ERR, EOF, column definitions, PREPARE_OK.
//!
//! Only bytes are made here; which of them may be sent when is `connection`'s business.

use crate::constants::{Capabilities, ColumnFlags, ColumnType, StatusFlags};
use crate::error::ServerError;
use crate::value::ColumnDef;
use crate::wire::{put_lenenc, put_lenenc_bytes};

/// Longest error text; clients have buffers of this size (`MYSQL_ERRMSG_SIZE`).
pub const ERROR_MESSAGE_BYTES_MAX: usize = 511;

const OK_HEADER: u8 = 0x00;
const EOF_HEADER: u8 = 0xFE;
const ERR_HEADER: u8 = 0xFF;

/// Success: of a statement without rows, or behind the last row of a result.
#[derive(Debug, Clone, Copy, Default)]
pub struct OkPacket<'a> {
    /// Rows changed, or found if the client asked for [`Capabilities::FOUND_ROWS`].
    pub affected_rows: u64,
    /// First AUTO_INCREMENT id the statement made, or 0.
    pub last_insert_id: u64,
    /// State of the session. With [`StatusFlags::MORE_RESULTS_EXISTS`] another answer must follow.
    pub status: StatusFlags,
    /// Number of warnings.
    pub warnings: u16,
    /// Text such as `Rows matched: 1  Changed: 1  Warnings: 0`, or empty.
    pub info: &'a str,
    /// What changed in the session; sent if the client tracks it.
    pub changes: &'a [SessionChange<'a>],
}

/// A change of session state for clients that track it (`enum_session_state_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange<'a> {
    /// A system variable has a new value.
    SystemVariable {
        /// Its name.
        name: &'a str,
        /// Its value as text.
        value: &'a str,
    },
    /// The default database changed.
    Schema(&'a str),
    /// Some tracked state changed (`session_track_state_change`).
    StateChanged,
    /// GTIDs of the transaction just committed, as a GTID set.
    Gtids(&'a str),
    /// Statements that would restore the transaction's characteristics.
    TransactionCharacteristics(&'a str),
    /// Eight characters of transaction state (`session_track_transaction_info`), for example `T_______`.
    TransactionState(&'a str),
}

impl SessionChange<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let mut data = Vec::new();
        let kind = match self {
            SessionChange::SystemVariable { name, value } => {
                put_lenenc_bytes(&mut data, name.as_bytes());
                put_lenenc_bytes(&mut data, value.as_bytes());
                0
            }
            SessionChange::Schema(name) => {
                put_lenenc_bytes(&mut data, name.as_bytes());
                1
            }
            SessionChange::StateChanged => {
                // The manual says that its length stands before it; servers have always sent it alone.
                data.push(b'1');
                2
            }
            SessionChange::Gtids(set) => {
                data.push(0); // encoding specification: the set as text
                put_lenenc_bytes(&mut data, set.as_bytes());
                3
            }
            SessionChange::TransactionCharacteristics(statements) => {
                put_lenenc_bytes(&mut data, statements.as_bytes());
                4
            }
            SessionChange::TransactionState(state) => {
                put_lenenc_bytes(&mut data, state.as_bytes());
                5
            }
        };
        out.push(kind);
        put_lenenc_bytes(out, &data);
    }
}

/// Payload of an OK packet.
pub(crate) fn put_ok(out: &mut Vec<u8>, capabilities: Capabilities, ok: &OkPacket<'_>) {
    put_ok_with_header(out, OK_HEADER, capabilities, ok);
}

/// Payload of what ends rows: an OK packet with the header of EOF, or EOF itself for older clients.
pub(crate) fn put_rows_end(out: &mut Vec<u8>, capabilities: Capabilities, ok: &OkPacket<'_>) {
    if capabilities.contains(Capabilities::DEPRECATE_EOF) {
        put_ok_with_header(out, EOF_HEADER, capabilities, ok);
    } else {
        put_eof(out, ok.status, ok.warnings);
    }
}

fn put_ok_with_header(out: &mut Vec<u8>, header: u8, capabilities: Capabilities, ok: &OkPacket<'_>) {
    let tracks = capabilities.contains(Capabilities::SESSION_TRACK);
    let changed = tracks && !ok.changes.is_empty();
    let mut status = ok.status;
    status.set(StatusFlags::SESSION_STATE_CHANGED, changed);
    out.push(header);
    put_lenenc(out, ok.affected_rows);
    put_lenenc(out, ok.last_insert_id);
    out.extend_from_slice(&status.bits().to_le_bytes());
    out.extend_from_slice(&ok.warnings.to_le_bytes());
    // The manual says that without SESSION_TRACK the info runs to the end of the packet; servers have always
    // sent its length, too, and clients expect it.
    if changed || !ok.info.is_empty() {
        put_lenenc_bytes(out, ok.info.as_bytes());
    }
    if changed {
        let mut changes = Vec::new();
        ok.changes.iter().for_each(|change| change.put(&mut changes));
        put_lenenc_bytes(out, &changes);
    }
}

/// Payload of an EOF packet.
pub(crate) fn put_eof(out: &mut Vec<u8>, status: StatusFlags, warnings: u16) {
    out.push(EOF_HEADER);
    out.extend_from_slice(&warnings.to_le_bytes());
    out.extend_from_slice(&status.bits().to_le_bytes());
}

/// Payload of an ERR packet.
pub(crate) fn put_error(out: &mut Vec<u8>, error: &ServerError) {
    out.push(ERR_HEADER);
    out.extend_from_slice(&error.code.to_le_bytes());
    out.push(b'#');
    let mut state = *b"HY000";
    if let Ok(given) = <[u8; 5]>::try_from(error.sqlstate.as_bytes()) {
        state = given;
    }
    out.extend_from_slice(&state);
    let mut end = error.message.len().min(ERROR_MESSAGE_BYTES_MAX);
    while !error.message.is_char_boundary(end) {
        end -= 1;
    }
    out.extend_from_slice(&error.message.as_bytes()[..end]);
}

/// Payload of a column definition (`ColumnDefinition41`).
pub(crate) fn put_column(out: &mut Vec<u8>, column: &ColumnDef<'_>) {
    let (column_type, flag) = type_in_results(column.column_type);
    put_lenenc_bytes(out, b"def");
    for name in [column.schema, column.table, column.org_table, column.name, column.org_name] {
        put_lenenc_bytes(out, name.as_bytes());
    }
    out.push(0x0C); // length of the fixed fields
    out.extend_from_slice(&column.charset.to_le_bytes());
    out.extend_from_slice(&column.length.to_le_bytes());
    out.push(column_type as u8);
    out.extend_from_slice(&column.flags.union(flag).bits().to_le_bytes());
    out.push(column.decimals);
    out.extend_from_slice(&[0, 0]);
}

/// Payload of the first packet that answers COM_STMT_PREPARE.
pub(crate) fn put_prepare_ok(out: &mut Vec<u8>, statement_id: u32, columns: u16, params: u16, warnings: u16) {
    out.push(OK_HEADER);
    out.extend_from_slice(&statement_id.to_le_bytes());
    out.extend_from_slice(&columns.to_le_bytes());
    out.extend_from_slice(&params.to_le_bytes());
    out.push(0);
    out.extend_from_slice(&warnings.to_le_bytes());
}

/// Types that only exist in storage or in parameters are sent as the type clients expect.
fn type_in_results(column_type: ColumnType) -> (ColumnType, ColumnFlags) {
    use ColumnType::*;
    let none = ColumnFlags::empty();
    match column_type {
        Decimal => (NewDecimal, none),
        VarChar => (VarString, none),
        NewDate => (Date, none),
        Timestamp2 => (Timestamp, none),
        DateTime2 => (DateTime, none),
        Time2 => (Time, none),
        Enum => (String, ColumnFlags::ENUM),
        Set => (String, ColumnFlags::SET),
        TinyBlob | MediumBlob => (Blob, ColumnFlags::BLOB),
        other => (other, none),
    }
}
