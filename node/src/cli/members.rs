//! `invite` and `members`.

use clap::{Args, Subcommand};
use libp2p::Multiaddr;
use p2pdb_model::NodeId;
use p2pdb_model::change::Role;

use super::access::Access;
use super::values::{self, Lasting};
use super::{Context_, password, print_json, print_out};
use crate::admin::{InviteFor, InviteReport, InviteRequest, MemberReport, NodesRequest};
use crate::node::ROOT;
use crate::ops;
use crate::table::Table;
use crate::units::{counted, show_utc};

/// `invite`.
#[derive(Debug, Args)]
pub(super) struct Invite {
    /// What the joining node becomes: owner, writer, reader or relay
    #[arg(long, default_value = "writer", value_parser = values::role)]
    role: Role,
    /// The account that the joining node may write for, NAME or NAME@HOST; its key is in this node's keystore, and its password is
    /// read from the first line of standard input. Without it: every account whose key this node holds in clear, which is root on
    /// the node that made the realm. Who runs the joining node can do whatever that account may
    #[arg(long = "as", value_name = "ACCOUNT")]
    account: Option<String>,
    /// Let the joining node write for nobody, until an account's key delegates to it (`p2pdb-node key delegate --to`)
    #[arg(long, conflicts_with = "account")]
    no_account: bool,
    /// How many nodes the ticket admits
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    uses: u32,
    /// Admit the node with this key alone, as `p2pdb-node join --show-key` prints it there
    #[arg(long, value_name = "KEY", value_parser = values::node_key)]
    node: Option<NodeId>,
    /// How long the ticket holds, such as 30m, 8h or 7d; `never` for no end
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = values::lasting)]
    expires: Lasting,
    /// Address to put into the ticket instead of those the node listens on (may be repeated)
    #[arg(long, value_name = "MULTIADDR", value_parser = values::peer_address)]
    address: Vec<Multiaddr>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `members`.
#[derive(Debug, Args)]
pub(super) struct Members {
    #[command(subcommand)]
    verb: Option<MembersVerb>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum MembersVerb {
    /// Remove a member; what it writes from now on is void
    Remove {
        /// Its name, or the beginning of its key, at least 8 digits
        member: String,
    },
}

pub(super) fn invite(c: &Context_, args: &Invite) -> anyhow::Result<()> {
    let acts_for = match &args.account {
        Some(user) => Some(InviteFor::Account { user: user.clone(), password: password::read()? }),
        None => args.no_account.then_some(InviteFor::Nobody),
    };
    let request = InviteRequest {
        role: args.role.name().to_owned(),
        expires_s: args.expires.0.map(|time| time.as_secs()),
        uses: args.uses,
        node: args.node.map(|node| node.to_hex()),
        acts_for,
        addresses: args.address.iter().map(ToString::to_string).collect(),
    };
    let report: InviteReport = match Access::open(&c.dir, &c.config)? {
        Access::Running(client) => client.post("invite", &request)?,
        Access::Stopped(node) => {
            // Of a stopped node only fixed addresses are known; an unspecified one or port 0 leads nowhere.
            let fixed = |a: &&Multiaddr| {
                let text = a.to_string();
                !text.contains("/0.0.0.0/")
                    && !text.contains("/ip6/::/")
                    && !text.contains("/tcp/0")
                    && !text.contains("/udp/0")
            };
            let listening: Vec<_> = c.config.peer_listen.iter().filter(fixed).cloned().collect();
            ops::invite(&node.engine, &c.dir, &request, &listening)?
        }
    };
    if args.json {
        return print_json(&report);
    }
    let until = report.expires_ms.map_or_else(|| "never".to_owned(), |ms| format!("{} UTC", show_utc(ms)));
    // The ticket alone on standard output, so that a script can take it.
    print_out(&format!("{}\n", report.ticket))?;
    let admits = match &report.node {
        Some(node) => format!("the node {node}"),
        None => counted(u64::from(report.uses), "node"),
    };
    eprintln!("  role     {}\n  admits   {admits}\n  expires  {until}", report.role);
    if args.role.writes() {
        let accounts = match report.acts_for.as_slice() {
            [] => "nobody, until an account's key delegates to it".to_owned(),
            names => format!("{}; who runs the node can do whatever that account may", names.join(", ")),
        };
        eprintln!("  for      {accounts}");
    }
    if report.addresses.is_empty() {
        eprintln!(
            "  WARNING  no address is in it: start the node before you invite, or add --address, or `join … --peer` there"
        );
    }
    let whose = match &report.node {
        Some(_) => "on the machine with that key; nobody else can use the ticket",
        None => "on the other machine; who has the ticket can join: send it like a password",
    };
    eprintln!("  next     p2pdb-node join TICKET   ({whose})");
    Ok(())
}

pub(super) fn members(c: &Context_, args: &Members) -> anyhow::Result<()> {
    let access = match &args.verb {
        None => Access::open_reading(&c.dir, &c.config)?,
        Some(_) => Access::open(&c.dir, &c.config)?,
    };
    let rows: Vec<MemberReport> = match (&args.verb, &access) {
        (None, Access::Running(client)) => client.get("members")?,
        (None, Access::Stopped(node)) => ops::members(&node.engine),
        (Some(MembersVerb::Remove { member }), Access::Running(client)) => {
            client.post("members/remove", &NodesRequest { nodes: vec![member.clone()] })?
        }
        (Some(MembersVerb::Remove { member }), Access::Stopped(node)) => {
            ops::remove_member(&node.engine, member)?;
            ops::members(&node.engine)
        }
    };
    if let Some(MembersVerb::Remove { member }) = &args.verb
        && rows.iter().any(|m| {
            m.removed && m.role == Role::Owner.name() && (m.name == *member || m.node.starts_with(member))
        })
        && c.dir.read_account_key(ROOT).is_ok_and(|key| key.is_none())
    {
        eprintln!(
            "  WARNING  this node holds no key of {ROOT}: unless another owner's does, keep accounts.json of {member}, or no further node can be invited to write for {ROOT}"
        );
    }
    if args.json {
        return print_json(&rows);
    }
    let mut table = Table::new(["", "name", "role", "node", "seq", "last block"]);
    for m in &rows {
        table.row([
            if m.local { "*" } else { "" }.to_owned(),
            m.name.clone(),
            if m.removed { "removed".to_owned() } else { m.role.clone() },
            m.node.chars().take(16).collect(),
            m.seq.to_string(),
            m.last_seen_ms.map_or_else(|| "-".to_owned(), ops::ago),
        ]);
    }
    print_out(&table.to_string())
}
