//! `password`.

use std::io::{BufRead, IsTerminal};

use anyhow::{Context, bail};
use clap::Args;
use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use super::{Context_, EXIT_INTERRUPTED, print_out};
use crate::admin::{PasswordRequest, Secret};
use crate::admin_client::AdminClient;
use crate::datadir::DataDirError;
use crate::door::{Logins, login_named};
use crate::node::ROOT;
use crate::password;

/// `password`.
#[derive(Debug, Args)]
pub(super) struct Password {
    /// The login, NAME or NAME@HOST
    #[arg(default_value = ROOT)]
    user: String,
    /// Read the password from the first line of standard input instead of making a random one
    #[arg(long)]
    stdin: bool,
    /// Read instead the password's hash of mysql_native_password from there: `*` and 40 hexadecimal digits, as mysql.user of
    /// a MySQL server has it
    #[arg(long, conflicts_with = "stdin")]
    hash: bool,
}

pub(super) fn password(c: &Context_, args: &Password) -> anyhow::Result<()> {
    c.dir.must_be_initialised()?;
    let user = login_named(&args.user);
    let given = args.stdin || args.hash;
    let line = if given { read()? } else { password::random() };
    let secret = if args.hash { Secret::NativeHash(line.clone()) } else { Secret::Password(line.clone()) };
    match c.dir.lock() {
        Ok(_lock) => {
            password::set(&c.dir, &Logins::open(&c.dir)?, &user, &secret, None, c.config.mysql_listen)?;
        }
        Err(DataDirError::Locked { .. }) => {
            let request = PasswordRequest { user: user.clone(), secret };
            AdminClient::of(&c.dir)?.post::<()>("password", &request)?;
        }
        Err(e) => return Err(e.into()),
    }
    let shown = if given { "set".to_owned() } else { format!("{line}  (shown this once") };
    let kept = match (user == ROOT, given) {
        (true, true) => "  (kept in client.cnf)",
        (true, false) => "; kept in client.cnf)",
        (false, true) => "",
        (false, false) => ")",
    };
    print_out(&format!("  account  {user}, password {shown}{kept}\n"))
}

/// The first line of standard input.
pub(super) fn read() -> anyhow::Result<String> {
    let mut line = String::new();
    let unseen = Unseen::begin();
    let n = std::io::stdin().lock().read_line(&mut line).context("cannot read standard input")?;
    drop(unseen);
    if n == 0 {
        bail!("there is no password on standard input");
    }
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// On a terminal: what is typed is asked for, and not shown, as long as this lives.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        eprint!("password: ");
        let before = termios::tcgetattr(&stdin).ok()?;
        let shown = before.clone();
        // Ctrl-C ends the program, and leaves a terminal that shows again what is typed.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if runtime.is_ok_and(|r| r.block_on(tokio::signal::ctrl_c()).is_ok()) {
                drop(Unseen(shown));
                std::process::exit(EXIT_INTERRUPTED);
            }
        });
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&stdin, OptionalActions::Flush, &silent).ok()?;
        Some(Unseen(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
        eprintln!();
    }
}
