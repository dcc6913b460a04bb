//! The answers of a [`Connection`]: OK, errors, rows, prepared statements, and the small commands' own forms.
//!
//! Invariant: an answer is given in turn or the caller is at fault; the last one of a command lets the next
//! command be parsed.

use super::{Answering, Connection, Phase};
use crate::constants::{Capabilities, StatusFlags};
use crate::error::{EncodeError, ServerError};
use crate::response::{OkPacket, put_column, put_eof, put_error, put_ok, put_prepare_ok, put_rows_end};
use crate::row::{ColumnCode, RowWriter, put_default};
use crate::value::{Cell, ColumnDef};
use crate::wire::put_lenenc;

/// ER_CLIENT_INTERACTION_TIMEOUT.
const IDLE_TOO_LONG: u16 = 4031;

impl Connection {
    /// Answers OK: to a login, or to a command without rows. With [`StatusFlags::MORE_RESULTS_EXISTS`] another
    /// answer must follow.
    pub fn ok(&mut self, ok: &OkPacket<'_>) {
        match &self.phase {
            Phase::Login(exchange) if exchange.is_done() => {
                assert!(!ok.status.contains(StatusFlags::MORE_RESULTS_EXISTS), "a login has one answer");
            }
            Phase::Answering(Answering::Result(_)) => {}
            other => panic!("ok out of turn: {other:?}"),
        }
        let capabilities = self.capabilities;
        self.packet(|out| put_ok(out, capabilities, ok));
        if let Phase::Login(exchange) = &mut self.phase {
            self.login = Some(exchange.login.clone());
            self.frames.set_packet_bytes_max(self.max_allowed_packet_bytes);
        }
        self.after_result(ok.status);
    }

    /// Answers an error: to a login at any point of it (which closes), to a command, or in the midst of rows.
    pub fn error(&mut self, error: &ServerError) {
        self.packet(|out| put_error(out, error));
        match &self.phase {
            Phase::Answering(_) => {
                self.end_answer();
                self.answered_error = error.code;
            }
            Phase::Login(_) => self.phase = Phase::Closed,
            other => panic!("error out of turn: {other:?}"),
        }
    }

    /// Sends an error at any time and closes: shutdown (1053), KILL (1317), timeouts (4031), faults (1105).
    ///
    /// Between two commands it is numbered as the answer to the next one: that is when clients read it, and most of them take
    /// nothing that is numbered otherwise. 4031 is numbered 0 as in MySQL, so that they see a lost connection.
    ///
    /// Who was told so by the last answer (a KILL ended the statement, too) is not told twice.
    pub fn close_with(&mut self, error: &ServerError) {
        if matches!(self.phase, Phase::Idle) && self.answered_error == error.code {
            self.phase = Phase::Closed;
        } else if !self.is_closed() {
            if matches!(self.phase, Phase::Idle) && error.code != IDLE_TOO_LONG {
                let sequence = self.frames.sequence();
                *sequence = (*sequence).max(1);
            }
            self.packet(|out| put_error(out, error));
            self.phase = Phase::Closed;
        }
    }

    /// Begins a result with rows: its columns. Rows follow by [`Self::rows`], then [`Self::end_rows`].
    pub fn begin_rows<'c, C>(&mut self, columns: C)
    where
        C: IntoIterator<Item = ColumnDef<'c>, IntoIter: ExactSizeIterator>,
    {
        self.begin_flagged_rows(columns, StatusFlags::empty());
    }

    /// [`Self::begin_rows`] of a result whose every status carries these flags as well: clients know the OUT parameters
    /// of a prepared CALL by [`StatusFlags::PS_OUT_PARAMS`] behind the columns.
    pub fn begin_flagged_rows<'c, C>(&mut self, columns: C, flags: StatusFlags)
    where
        C: IntoIterator<Item = ColumnDef<'c>, IntoIter: ExactSizeIterator>,
    {
        let Phase::Answering(Answering::Result(format)) = self.phase else {
            panic!("begin_rows out of turn: {:?}", self.phase);
        };
        let columns = columns.into_iter();
        let count = columns.len() as u64;
        assert!(count > 0, "a result has columns");
        self.packet(|out| put_lenenc(out, count));
        self.columns.clear();
        for column in columns {
            self.packet(|out| put_column(out, &column));
            self.columns.push(ColumnCode::of(&column));
        }
        self.old_eof(flags);
        self.phase = Phase::Answering(Answering::Rows(format));
    }

    /// A writer for the rows of the result begun.
    pub fn rows(&mut self) -> RowWriter<'_> {
        let Phase::Answering(Answering::Rows(format)) = self.phase else {
            panic!("rows out of turn: {:?}", self.phase);
        };
        RowWriter::new(&mut self.out, self.frames.sequence(), &self.columns, format)
    }

    /// Ends the rows. With [`StatusFlags::MORE_RESULTS_EXISTS`] another answer must follow.
    pub fn end_rows(&mut self, ok: &OkPacket<'_>) {
        let Phase::Answering(Answering::Rows(format)) = self.phase else {
            panic!("end_rows out of turn: {:?}", self.phase);
        };
        let capabilities = self.capabilities;
        self.packet(|out| put_rows_end(out, capabilities, ok));
        self.phase = Phase::Answering(Answering::Result(format));
        self.after_result(ok.status);
    }

    /// Answers [`crate::Command::Prepare`]; says the id of the statement. `None`: there were more than 65535
    /// parameters or columns, and error 1390 or 1117 was sent.
    pub fn prepared<'c, P, C>(&mut self, params: P, columns: C, warnings: u16) -> Option<u32>
    where
        P: IntoIterator<Item = ColumnDef<'c>, IntoIter: ExactSizeIterator>,
        C: IntoIterator<Item = ColumnDef<'c>, IntoIter: ExactSizeIterator>,
    {
        assert!(
            matches!(self.phase, Phase::Answering(Answering::Prepare)),
            "prepared out of turn: {:?}",
            self.phase
        );
        let (params, columns) = (params.into_iter(), columns.into_iter());
        let Ok(param_count) = u16::try_from(params.len()) else {
            let message = "Prepared statement contains too many placeholders";
            self.error(&ServerError::new(1390, "HY000", message));
            return None;
        };
        let Ok(column_count) = u16::try_from(columns.len()) else {
            self.error(&ServerError::new(1117, "HY000", "Too many columns"));
            return None;
        };
        let id = self.statements.insert(param_count);
        self.packet(|out| put_prepare_ok(out, id, column_count, param_count, warnings));
        self.definitions(params);
        self.definitions(columns);
        self.end_answer();
        Some(id)
    }

    /// The next column that [`crate::Command::FieldList`] asks for, with its default value. [`Self::eof`] ends them.
    ///
    /// # Errors
    /// The value does not fit the column; it is NULL then.
    pub fn field(&mut self, column: &ColumnDef<'_>, default: Cell<'_>) -> Result<(), EncodeError> {
        self.assert_result("field");
        let mut fits = Ok(());
        self.packet(|out| {
            put_column(out, column);
            fits = put_default(out, column, default);
        });
        fits
    }

    /// Answers [`crate::Command::Statistics`]: one line for people.
    pub fn statistics(&mut self, line: &str) {
        self.assert_result("statistics");
        self.packet(|out| out.extend_from_slice(line.as_bytes()));
        self.end_answer();
    }

    /// Answers with an EOF packet, in the form the client knows ([`crate::Command::Debug`], [`crate::Command::FieldList`]).
    pub fn eof(&mut self, status: StatusFlags, warnings: u16) {
        self.assert_result("eof");
        self.bare_eof(status, warnings);
        self.end_answer();
    }

    fn assert_result(&self, what: &str) {
        assert!(
            matches!(self.phase, Phase::Answering(Answering::Result(_))),
            "{what} out of turn: {:?}",
            self.phase
        );
    }

    fn after_result(&mut self, status: StatusFlags) {
        self.status = status.difference(StatusFlags::MORE_RESULTS_EXISTS | StatusFlags::PS_OUT_PARAMS);
        if !status.contains(StatusFlags::MORE_RESULTS_EXISTS) {
            self.end_answer();
        }
    }

    pub(super) fn end_answer(&mut self) {
        self.phase = Phase::Idle;
        self.answered_error = 0;
        self.frames.release_for_command();
    }

    fn definitions<'c>(&mut self, columns: impl ExactSizeIterator<Item = ColumnDef<'c>>) {
        if columns.len() == 0 {
            return;
        }
        for column in columns {
            self.packet(|out| put_column(out, &column));
        }
        self.old_eof(StatusFlags::empty());
    }

    /// The EOF behind column definitions, for clients that still expect it.
    fn old_eof(&mut self, flags: StatusFlags) {
        if !self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            let status = self.status | flags;
            self.packet(|out| put_eof(out, status, 0));
        }
    }

    pub(super) fn bare_eof(&mut self, status: StatusFlags, warnings: u16) {
        let capabilities = self.capabilities;
        let ok = OkPacket { status, warnings, ..OkPacket::default() };
        self.packet(|out| put_rows_end(out, capabilities, &ok));
    }
}
