//! `key`: account keys that live in files, and delegations by them. A key in a file never reaches the node: what it signs does.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ed25519_dalek::SigningKey;
use p2pdb_access::delegation;
use p2pdb_model::change::{AccessChange, Delegate};
use p2pdb_model::ids::{PublicKey, hex, unhex};
use p2pdb_model::{AccountId, NodeId};

use super::access::Access;
use super::values::{self, Lasting};
use super::{Context_, password, print_out};
use crate::admin::{AccountReport, AccountRequest, DelegateRequest, KeyRequest};
use crate::clock::SystemClock;
use crate::door::{Logins, login_named};
use crate::keystore::Keystore;
use crate::network_key;
use crate::ops;

/// `key`.
#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(subcommand)]
    verb: KeyVerb,
}

#[derive(Debug, Subcommand)]
enum KeyVerb {
    /// Make a key in a new file (mode 0600), for CREATE USER … IDENTIFIED WITH p2pdb_key AS 'did:key:…'
    New {
        /// The file to write; must not exist. Whoever has it can act as the account
        file: PathBuf,
    },
    /// Make the key of a private network in a new file (mode 0600), for `network-key`; every member needs a copy
    Network {
        /// The file to write; must not exist
        file: PathBuf,
    },
    /// Show the public half of a key
    Show {
        /// The file
        file: PathBuf,
    },
    /// Let a node act for an account whose key is in a file
    Delegate(DelegateArgs),
    /// Write the key of an account that was made on this node to a new file; the account's password is read from the first line
    /// of standard input
    Export {
        /// The account, `name` or `name@host`
        user: String,
        /// The file to write; must not exist. Whoever has it can act as the account
        file: PathBuf,
    },
    /// Keep the key of an account in this node's keystore, locked with the password that is read from the first line of
    /// standard input; the account logs in here with that password
    Import {
        /// The account, `name` or `name@host`
        user: String,
        /// The key's file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct DelegateArgs {
    /// The account, `name` or `name@host`
    user: String,
    /// The key's file
    file: PathBuf,
    /// The node that may act for the account, by its key (hexadecimal, see `members`); default: this one
    #[arg(long, value_name = "NODE", value_parser = values::node_key)]
    to: Option<NodeId>,
    /// For how long, such as 8h or 30d; `never` for no end
    #[arg(long, value_name = "TIME", default_value = "never", value_parser = values::lasting)]
    expires: Lasting,
}

pub(super) fn key(c: &Context_, args: &Key) -> anyhow::Result<()> {
    match &args.verb {
        KeyVerb::New { file } => {
            let mut seed = [0; 32];
            rand::fill(&mut seed);
            let key = SigningKey::from_bytes(&seed);
            write(file, &key)?;
            print_out(&format!("{}\n", did(&key)))
        }
        KeyVerb::Network { file } => {
            let mut key = [0; 32];
            rand::fill(&mut key);
            write_text(file, &network_key::text(&key))?;
            print_out(&format!(
                "wrote {}; give it to each member, and start each with --network-key\n",
                file.display()
            ))
        }
        KeyVerb::Show { file } => print_out(&format!("{}\n", did(&read(file)?))),
        KeyVerb::Delegate(args) => delegate(c, args),
        KeyVerb::Export { user, file } => {
            c.dir.must_be_initialised()?;
            let Some(key) = Keystore::at(&c.dir).open(&login_named(user), &password::read()?)? else {
                bail!("{}", ops::no_key(user));
            };
            let key = SigningKey::from_bytes(&key);
            write(file, &key)?;
            print_out(&format!("{}\n", did(&key)))
        }
        KeyVerb::Import { user, file } => {
            let key = read(file)?;
            let password = password::read()?;
            let access = Access::open(&c.dir, &c.config)?;
            known(&account(&access, user)?, &key, user)?;
            let request = KeyRequest { user: user.clone(), password, key: hex(&key.to_bytes()) };
            match &access {
                Access::Running(client) => client.post::<()>("key", &request)?,
                Access::Stopped(node) => ops::import_key(&node.engine, &Logins::open(&c.dir)?, &request)?,
            }
            print_out(&format!(
                "  kept     the key of {user}, locked with the password, which is the login's from now on\n"
            ))
        }
    }
}

fn delegate(c: &Context_, args: &DelegateArgs) -> anyhow::Result<()> {
    let key = read(&args.file)?;
    let access = Access::open(&c.dir, &c.config)?;
    let report = account(&access, &args.user)?;
    known(&report, &key, &args.user)?;
    let damaged = || anyhow::anyhow!("the node gives an answer that is none");
    let realm = ops::realm_from_text(&report.realm).ok_or_else(damaged)?;
    let id = AccountId::from_hex(&report.account).ok_or_else(damaged)?;
    let to = match args.to {
        Some(node) => node,
        None => NodeId::from_hex(&report.node).ok_or_else(damaged)?,
    };
    let until_ms = args.expires.0.map(|time| {
        SystemClock.wall_ms().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    });
    let AccessChange::Delegate { signature, .. } =
        delegation(id, Delegate::Node(to), until_ms, &key, Some(&realm))
    else {
        bail!("a delegation cannot be signed");
    };
    let request =
        DelegateRequest { account: report.account, to: to.to_hex(), until_ms, signature: hex(&signature) };
    match &access {
        Access::Running(client) => client.post::<()>("delegate", &request)?,
        Access::Stopped(node) => ops::delegate(&node.engine, &request)?,
    }
    print_out(&format!("  {} may be served by node {to}\n", args.user))
}

fn account(access: &Access, user: &str) -> anyhow::Result<AccountReport> {
    let request = AccountRequest { user: user.to_owned() };
    match access {
        Access::Running(client) => client.post("account", &request),
        Access::Stopped(node) => ops::account(&node.engine, &request),
    }
}

/// The key is one of the account's.
fn known(report: &AccountReport, key: &SigningKey, user: &str) -> anyhow::Result<()> {
    if !report.keys.contains(&did(key)) {
        bail!("the key in the file is none of '{user}', whose keys are {}", report.keys.join(", "));
    }
    Ok(())
}

fn did(key: &SigningKey) -> String {
    PublicKey(key.verifying_key().to_bytes()).to_did()
}

fn write(file: &Path, key: &SigningKey) -> anyhow::Result<()> {
    write_text(file, &format!("{}\n", hex(&key.to_bytes())))
}

fn write_text(file: &Path, text: &str) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", file.display());
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.write(true).create_new(true).mode(0o600).open(file).with_context(cannot)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).with_context(cannot)
}

fn read(file: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bytes = unhex(text.trim()).and_then(|b| <[u8; 32]>::try_from(b).ok());
    let bytes =
        bytes.with_context(|| format!("{} holds no key, which is 64 hexadecimal digits", file.display()))?;
    Ok(SigningKey::from_bytes(&bytes))
}
