//! Rows from the engine into the connection's buffer, and from there to the socket.
//!
//! The engine calls this from inside a statement, so it cannot await. A buffer that reaches [`FLUSH_BYTES`] is
//! written as far as the socket takes it; the rest is waited for in `block_in_place`, with a time limit, so a slow
//! reader holds neither the reactor nor memory.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use p2pdb_engine::{Outcome, ResultEnd, Sink};
use p2pdb_model::ValueRef;
use p2pdb_mysql::{Capabilities, Connection, EncodeError, OkPacket, StatusFlags};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;
use p2pdb_sql::zone::Zone;
use tokio::io::AsyncWriteExt;

use super::control::Control;
use super::params::Charset;
use super::stats::Stats;
use super::stream::Stream;
use super::track::of_transaction;
use super::{FLUSH_BYTES, cells};

/// Why rows could not be given to the client.
pub(super) enum Failure {
    /// The client is gone, or does not read.
    Socket(io::Error),
    /// A cell does not fit its column: a fault of ours.
    Encode(EncodeError),
}

/// See the module.
pub(super) struct Answer<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) stream: &'a mut Stream,
    pub(super) stats: &'a Stats,
    pub(super) control: &'a Control,
    pub(super) zone: Zone,
    pub(super) charset: Charset,
    pub(super) results: Option<u16>,
    pub(super) write_timeout: Duration,
    pub(super) failure: Option<Failure>,
    /// Rows were begun and not ended.
    pub(super) open: bool,
    /// The session has NO_BACKSLASH_ESCAPES.
    pub(super) raw: bool,
}

/// Whether an OK packet tells of changes to the session; the end of `rows` is one for newer clients only.
pub(super) fn tells(client: Capabilities, rows: bool) -> bool {
    client.contains(Capabilities::SESSION_TRACK) && (!rows || client.contains(Capabilities::DEPRECATE_EOF))
}

impl Answer<'_> {
    /// The OUT parameters of a prepared CALL, as a result of their own.
    pub(super) fn out_parameters(&mut self, outcome: &Outcome, end: &ResultEnd) {
        if !self.connection.capabilities().contains(Capabilities::PS_MULTI_RESULTS) {
            return;
        }
        let fields: Vec<Field> = outcome.out.iter().map(|(f, _)| f.clone()).collect();
        let values: Vec<ValueRef<'_>> = outcome.out.iter().map(|(_, v)| v.into()).collect();
        // Every status of this result says what it is, also the one behind the columns.
        let flags = StatusFlags::MORE_RESULTS_EXISTS | StatusFlags::PS_OUT_PARAMS;
        self.begin(&fields, flags);
        if self.row(&fields, &values).is_continue() {
            let mut status = flags;
            status.set(StatusFlags::IN_TRANS, end.in_transaction);
            status.set(StatusFlags::IN_TRANS_READONLY, end.read_only);
            status.set(StatusFlags::AUTOCOMMIT, end.autocommit);
            status.set(StatusFlags::NO_BACKSLASH_ESCAPES, self.raw);
            self.connection.end_rows(&OkPacket { status, ..OkPacket::default() });
            self.open = false;
        }
    }

    /// Ends the rows of one of several results.
    pub(super) fn end_rows(&mut self, outcome: &Outcome, end: &ResultEnd) {
        let mut status = StatusFlags::MORE_RESULTS_EXISTS;
        status.set(StatusFlags::IN_TRANS, end.in_transaction);
        status.set(StatusFlags::IN_TRANS_READONLY, end.read_only);
        status.set(StatusFlags::AUTOCOMMIT, end.autocommit);
        status.set(StatusFlags::NO_BACKSLASH_ESCAPES, self.raw);
        let changes: Vec<_> = of_transaction(&end.news).collect();
        let ok = OkPacket { status, warnings: outcome.warnings, changes: &changes, ..OkPacket::default() };
        self.connection.end_rows(&ok);
        self.open = false;
    }

    fn begin(&mut self, fields: &[Field], flags: StatusFlags) {
        if self.open {
            // Its statement failed, and a handler of the stored procedure went on.
            self.end_rows(&Outcome::default(), &ResultEnd::default());
        }
        self.connection.begin_flagged_rows(fields.iter().map(|f| cells::column(f, self.results)), flags);
        self.open = true;
    }

    fn flush(&mut self) -> io::Result<()> {
        let output = self.connection.output();
        self.stats.sent(output.len());
        self.control.sent.fetch_add(output.len() as u64, Ordering::Relaxed);
        let written = self.stream.try_write(output)?;
        let rest = &output[written..];
        if !rest.is_empty() {
            let write = tokio::time::timeout(self.write_timeout, self.stream.write_all(rest));
            let done = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(write));
            done.map_err(|_| {
                io::Error::new(io::ErrorKind::TimedOut, "the client does not read its result")
            })??;
        }
        self.connection.clear_output();
        Ok(())
    }
}

impl Sink for Answer<'_> {
    fn columns(&mut self, fields: &[Field]) -> Result<(), SqlError> {
        self.begin(fields, StatusFlags::empty());
        Ok(())
    }

    fn row(&mut self, fields: &[Field], row: &[ValueRef<'_>]) -> ControlFlow<()> {
        let mut rows = self.connection.rows();
        cells::put_row(&mut rows, fields, row, self.zone, self.charset);
        let ended = rows.end();
        let full = rows.buffered_bytes() >= FLUSH_BYTES;
        drop(rows);
        if let Err(e) = ended {
            self.failure = Some(Failure::Encode(e));
            return ControlFlow::Break(());
        }
        if full && let Err(e) = self.flush() {
            self.failure = Some(Failure::Socket(e));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn tells(&self) -> bool {
        tells(self.connection.capabilities(), true)
    }

    fn end(&mut self, outcome: &Outcome, end: ResultEnd) -> ControlFlow<()> {
        self.end_rows(outcome, &end);
        if self.connection.output().len() >= FLUSH_BYTES
            && let Err(e) = self.flush()
        {
            self.failure = Some(Failure::Socket(e));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
