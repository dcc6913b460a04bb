//! Ctrl-C while a statement runs: the node is asked to stop it (KILL QUERY, by a connection of its own), as the mysql client does, so
//! that it does not go on there unseen. A second one leaves without waiting.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::cli::EXIT_INTERRUPTED;
use crate::client_file::ClientFile;
use crate::mysql_client::{MysqlClient, Tls};

enum Statement {
    None,
    Runs,
    /// By who asks the node, which may not answer.
    IsStopped(Option<JoinHandle<()>>),
}

/// From its making on, SIGINT no longer ends the program by itself.
pub(super) struct Interrupt(Arc<Mutex<Statement>>);

impl Interrupt {
    /// `leaves`: also where no statement runs. (A line editor reads Ctrl-C as a key; one between two of its lines is late, and means
    /// nothing any more.)
    pub(super) fn of(connection: u32, file: ClientFile, tls: Tls, leaves: bool) -> anyhow::Result<Self> {
        let now = Arc::new(Mutex::new(Statement::None));
        let mut signals = Signals::new([SIGINT])?;
        let seen = now.clone();
        std::thread::spawn(move || {
            for _ in &mut signals {
                let mut now = seen.lock();
                match &*now {
                    Statement::None if !leaves => {}
                    Statement::None | Statement::IsStopped(_) => std::process::exit(EXIT_INTERRUPTED),
                    Statement::Runs => {
                        eprintln!("^C: the node is asked to stop the statement; once more to leave at once");
                        let (file, tls) = (file.clone(), tls.clone());
                        let asks = std::thread::spawn(move || {
                            if let Err(e) = stop(connection, &file, &tls) {
                                eprintln!("it was not told: {e:#}");
                            }
                        });
                        *now = Statement::IsStopped(Some(asks));
                    }
                }
            }
        });
        Ok(Interrupt(now))
    }

    /// Runs a statement; also says whether it was to be stopped.
    pub(super) fn during<T>(&self, run: impl FnOnce() -> T) -> (T, bool) {
        *self.0.lock() = Statement::Runs;
        let result = run();
        let mut now = self.0.lock();
        let asks = match &mut *now {
            Statement::IsStopped(asks) => asks.take(),
            ended => {
                *ended = Statement::None;
                return (result, false);
            }
        };
        drop(now);
        // Until the node has heard: the statement after this one is not meant. A second Ctrl-C leaves here, too.
        if let Some(asks) = asks {
            // A panic there has been printed, and the statement is over.
            let _ = asks.join();
        }
        *self.0.lock() = Statement::None;
        (result, true)
    }
}

fn stop(connection: u32, file: &ClientFile, tls: &Tls) -> anyhow::Result<()> {
    let mut second = MysqlClient::open_with(file, None, "p2pdb-node sql", tls)?;
    Ok(second.run(&format!("KILL QUERY {connection}"))?.map(drop)?)
}
