//! `run`, `init` and `join`.

use std::io::Read;

use anyhow::{Context, bail};
use clap::Args;

use super::{Context_, WrongArguments, print_out};
use crate::config::Config;
use crate::node::{self, TICKET_FILE, Until};
use crate::ticket::Ticket;

/// `join`.
#[derive(Debug, Args)]
pub(super) struct Join {
    /// The ticket that `p2pdb-node invite` printed; `-`: read from standard input, so that no list of processes shows it
    #[arg(required_unless_present = "show_key")]
    ticket: Option<String>,
    /// Make the node's key, print it and leave: for a ticket that admits this node alone (`p2pdb-node invite --node KEY`)
    #[arg(long, conflicts_with_all = ["ticket", "peer", "no_run"])]
    show_key: bool,
    /// Address of a member, beside those in the ticket (may be repeated)
    #[arg(long, value_name = "MULTIADDR", value_parser = super::values::peer_address)]
    peer: Vec<libp2p::Multiaddr>,
    /// Leave once the node has joined and caught up
    #[arg(long)]
    no_run: bool,
}

fn can_begin(config: &Config) -> anyhow::Result<()> {
    node::can_begin(config)
        .map_err(|e| e.context(WrongArguments("the configuration cannot be used".to_owned())))
}

pub(super) fn run(c: &Context_) -> anyhow::Result<()> {
    can_begin(&c.config)?;
    let lock = c.dir.lock()?;
    if !c.dir.is_initialised() {
        c.dir.make(&lock, || node::init(&c.dir, &c.config))?;
    }
    node::run(&c.dir, &c.config, Until::Stopped)
}

pub(super) fn init(c: &Context_) -> anyhow::Result<()> {
    let lock = c.dir.lock()?;
    c.dir.make(&lock, || node::init(&c.dir, &c.config))?;
    let password = crate::password::unseen(&c.dir).unwrap_or_default();
    println!("made a node with a realm of its own in {}", c.dir.root().display());
    println!("  account  root, password {password}  (shown this once; kept in client.cnf)");
    println!("  next     p2pdb-node run --data-dir {}", c.dir.root().display());
    Ok(())
}

pub(super) fn join(c: &Context_, args: &Join) -> anyhow::Result<()> {
    let Some(text) = &args.ticket else {
        let lock = c.dir.lock()?;
        return print_out(&format!("{}\n", c.dir.make(&lock, || node::joiner(&c.dir, &c.config))?.to_hex()));
    };
    let piped = if text == "-" { Some(piped_ticket()?) } else { None };
    let text = piped.as_ref().unwrap_or(text);
    let ticket = Ticket::decode(text).map_err(|e| WrongArguments(e.to_string()))?;
    let mut config = c.config.clone();
    config.bootstrap.extend(args.peer.iter().cloned());
    if ticket.addresses.is_empty() && config.bootstrap.is_empty() && !config.mdns {
        bail!(
            "the ticket names no address, and there is no other way to find a member\n  hint: add --peer /ip4/…/tcp/7306"
        );
    }
    can_begin(&config)?;
    let mut lock = c.dir.lock()?;
    // The same ticket again: an earlier join broke off, or has not been answered yet.
    let same = c.dir.read_text(TICKET_FILE)?.is_some_and(|t| t.trim() == text.trim());
    if !(c.dir.is_initialised() && same) {
        if c.dir.is_initialised() {
            node::back_to_key(&c.dir, &config)?;
            // The key is of what was there, whatever comes of the rest.
            drop(lock);
            lock = c.dir.lock()?;
        }
        c.dir.make(&lock, || node::init_joiner(&c.dir, &config, &ticket))?;
    }
    let until = if args.no_run { Until::Joined } else { Until::Stopped };
    node::run(&c.dir, &config, until)?;
    if args.no_run {
        println!(
            "joined realm {} as {}; start it with: p2pdb-node run --data-dir {}",
            ticket.realm,
            ticket.role.name(),
            c.dir.root().display()
        );
    }
    Ok(())
}

/// Longest ticket that is read, bytes.
const TICKET_BYTES_MAX: u64 = 64 << 10;

fn piped_ticket() -> anyhow::Result<String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(TICKET_BYTES_MAX).read_to_string(&mut text);
    read.context("cannot read the ticket from standard input")?;
    match text.trim() {
        "" => bail!("there is no ticket on standard input"),
        text => Ok(text.to_owned()),
    }
}
