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
    pub(super) fn open(dir: &DataDir, config: &Config) -> anyhow::Result<Self> {
        dir.must_be_initialised()?;
        match dir.lock() {
            Ok(lock) => {
                let engine = node::open_engine(dir, config, None)?;
                let writer = Some(WriterThread::start(&engine)?);
                Ok(Access::Stopped(Stopped { engine, writer, _lock: lock }))
            }
            Err(DataDirError::Locked { .. }) => Ok(Access::Running(AdminClient::of(dir)?)),
            Err(e) => Err(e.into()),
        }
    }
}
