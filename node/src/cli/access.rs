//! How a command reaches the node: by its admin interface if it runs, else by opening the store.

use crate::admin_client::AdminClient;
use crate::config::Config;
use crate::datadir::{DataDir, DataDirError, Lock};
use crate::node::{self, WriterThread};
use p2pdb_engine::Engine;

/// See the module.
pub(super) enum Access {
    Running(AdminClient),
    Stopped(Stopped),
}

/// A store that a command has opened by itself. The clean stop is noted when it is dropped.
pub(super) struct Stopped {
    pub(super) engine: Engine,
    writer: Option<WriterThread>,
    _lock: Lock,
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.stop();
        }
    }
}

impl Access {
    /// For what may change something.
    pub(super) fn open(dir: &DataDir, config: &Config) -> anyhow::Result<Self> {
        dir.must_be_initialised()?;
        Self::with(dir, dir.lock(), |lock| {
            let engine = node::open_engine(dir, config, None)?;
            let writer = Some(WriterThread::start(&engine)?);
            Ok(Stopped { engine, writer, _lock: lock })
        })
    }

    /// For what changes nothing: also where nothing can be written, on a disk that is mounted for reading.
    pub(super) fn open_reading(dir: &DataDir, config: &Config) -> anyhow::Result<Self> {
        dir.must_be_initialised()?;
        if !dir.is_on_a_disk_for_reading() {
            return Self::open(dir, config);
        }
        Self::with(dir, dir.lock_reading(), |lock| {
            let engine = node::open_engine_reading(dir, config)?;
            Ok(Stopped { engine, writer: None, _lock: lock })
        })
    }

    fn with(
        dir: &DataDir,
        lock: Result<Lock, DataDirError>,
        stopped: impl FnOnce(Lock) -> anyhow::Result<Stopped>,
    ) -> anyhow::Result<Self> {
        match lock {
            Ok(lock) => Ok(Access::Stopped(stopped(lock)?)),
            Err(DataDirError::Locked { .. }) => Ok(Access::Running(AdminClient::of(dir)?)),
            Err(e) => Err(e.into()),
        }
    }
}
