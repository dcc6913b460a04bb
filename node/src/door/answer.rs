//! Rows from the engine into the connection's buffer, and from there to the socket.
//!
//! The engine calls this from inside a statement, so it cannot await. A buffer that reaches [`FLUSH_BYTES`] is
//! written as far as the socket takes it; the rest is waited for in `block_in_place`, with a time limit, so a slow
//! reader holds neither the reactor nor memory.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use p2pdb_engine::Sink;
use p2pdb_model::ValueRef;
use p2pdb_mysql::{Connection, EncodeError};
use p2pdb_sql::error::SqlError;
use p2pdb_sql::field::Field;
use p2pdb_sql::zone::Zone;
use tokio::io::AsyncWriteExt;

use super::params::Charset;
use super::stats::Stats;
use super::stream::Stream;
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
    pub(super) zone: Zone,
    pub(super) charset: Charset,
    pub(super) results: Option<u16>,
    pub(super) write_timeout: Duration,
    pub(super) failure: Option<Failure>,
}

impl Answer<'_> {
    fn flush(&mut self) -> io::Result<()> {
        let output = self.connection.output();
        self.stats.sent(output.len());
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
        self.connection.begin_rows(fields.iter().map(|f| cells::column(f, self.results)));
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
}
