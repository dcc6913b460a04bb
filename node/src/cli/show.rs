//! `status` and `log`.

use std::collections::HashSet;

use clap::Args;

use super::access::Access;
use super::{Context_, print_json, print_out};
use crate::admin::{BlockReport, StatusReport};
use crate::graph::{self, Node};
use crate::ops;
use crate::table::Table;
use crate::units::{counted, show_duration, show_utc};

/// Characters of a CID that tell blocks apart: its end, as the beginning is the same for all.
const CID_SHOWN: usize = 10;

/// `log`.
#[derive(Debug, Args)]
pub(super) struct Log {
    /// How many blocks
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn status(c: &Context_, json: bool) -> anyhow::Result<()> {
    match Access::open_reading(&c.dir, &c.config)? {
        Access::Running(client) => {
            let report: StatusReport = client.get("status")?;
            if json { print_json(&report) } else { print_out(&status_text(&report)) }
        }
        Access::Stopped(node) => {
            let s = node.engine.status();
            if json {
                return print_json(&serde_json::json!({
                    "running": false,
                    "realm": s.realm.to_string(),
                    "node": s.node.to_hex(),
                    "role": s.role.map(|r| r.name()),
                    "blocks": s.blocks,
                    "heads": s.heads.iter().map(ToString::to_string).collect::<Vec<_>>(),
                    "frontier": s.gtid_executed,
                    "frontier_digest": s.frontier_digest,
                    "fingerprint": s.fingerprint,
                    "warnings": c.dir.warnings(),
                }));
            }
            let heads: Vec<String> = s.heads.iter().map(|h| short_cid(&h.to_string())).collect();
            let removed = node.engine.members().iter().any(|m| m.node == s.node && m.removed);
            let stopped_role = if removed { "removed" } else { "not a member" };
            let mut lines = vec![
                ("state", "stopped".to_owned()),
                ("realm", s.realm.to_string()),
                ("node", s.node.to_hex()),
                ("role", s.role.map_or(stopped_role, |r| r.name()).to_owned()),
                ("blocks", s.blocks.to_string()),
                ("heads", heads.join(" ")),
                ("frontier", short(&s.frontier_digest)),
                ("fingerprint", short(&s.fingerprint)),
            ];
            lines.extend(c.dir.warnings().into_iter().map(|w| ("warning", w)));
            print_out(&aligned(&lines))
        }
    }
}

fn aligned(lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|l| l.0.len()).max().unwrap_or(0);
    let below = format!("\n{:width$}  ", "");
    lines.iter().map(|(name, value)| format!("{name:width$}  {}\n", value.replace('\n', &below))).collect()
}

fn short(hex: &str) -> String {
    hex.chars().take(16).collect()
}

fn short_cid(cid: &str) -> String {
    cid.chars().skip(cid.chars().count().saturating_sub(CID_SHOWN)).collect()
}

fn status_text(s: &StatusReport) -> String {
    let state = if s.ready { "ready".to_owned() } else { format!("NOT READY: {}", s.reasons.join("; ")) };
    let uptime = show_duration(std::time::Duration::from_secs(s.uptime_s));
    let heads: Vec<String> = s.heads.iter().map(|h| short_cid(h)).collect();
    let mut lines = vec![
        ("state", format!("{state} (pid {}, up {uptime}, version {})", s.pid, s.version)),
        ("node", format!("{} · {}", s.name, s.node)),
        ("realm", s.realm.clone()),
        (
            "role",
            s.role.clone().unwrap_or_else(|| if s.removed { "removed" } else { "not a member" }.to_owned()),
        ),
        (
            "MySQL",
            format!(
                "{} ({}, {})",
                s.mysql,
                counted(s.clients as u64, "client"),
                counted(s.statements, "statement")
            ),
        ),
        ("HTTP", s.http.clone().unwrap_or_else(|| "off".to_owned())),
        ("peers at", s.listening.join("\n")),
        ("blocks", format!("{} ({} waiting), newest {}", s.blocks, s.pending_blocks, ops::ago(s.newest_ms))),
        ("heads", heads.join(" ")),
        ("frontier", short(&s.frontier_digest)),
        ("fingerprint", short(&s.fingerprint)),
    ];
    lines.extend(s.warnings.iter().map(|w| ("warning", w.clone())));
    lines.extend(s.failed.iter().map(|(at, why)| ("failed", format!("a commit, {}: {why}", ops::ago(*at)))));
    let mut text = aligned(&lines);
    if s.peers.is_empty() {
        text += "\nno peer is connected\n";
        return text;
    }
    let mut table = Table::new(["peer", "node", "equal", "to fetch", "round trip", "clock", "address"]);
    for p in &s.peers {
        table.row([
            if p.name.is_empty() { p.access.clone() } else { p.name.clone() },
            short(&p.node),
            match p.equal {
                _ if p.tables_differ => "ALARM: other tables",
                Some(true) => "yes",
                Some(false) => "no",
                None => "?",
            }
            .to_owned(),
            p.fetching.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            p.round_trip_ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.1} ms")),
            p.clock_offset_ms.map_or_else(|| "?".to_owned(), |ms| format!("{ms:+} ms")),
            p.addresses.first().cloned().unwrap_or_default(),
        ]);
    }
    text += "\n";
    text += &table.to_string();
    text
}

pub(super) fn log(c: &Context_, args: &Log) -> anyhow::Result<()> {
    let blocks: Vec<BlockReport> = match Access::open_reading(&c.dir, &c.config)? {
        Access::Running(client) => client.get(&format!("log?limit={}", args.limit))?,
        Access::Stopped(node) => ops::log(&node.engine, args.limit)?,
    };
    if args.json {
        return print_json(&blocks);
    }
    print_out(&log_text(&blocks))?;
    if is_cut(&blocks) {
        let shown = blocks.len();
        print_out(&format!("({shown} newest blocks; there are older ones: `--limit N` shows more)\n"))?;
    }
    Ok(())
}

/// There are older blocks than these: parents of theirs.
fn is_cut(blocks: &[BlockReport]) -> bool {
    let shown: HashSet<&str> = blocks.iter().map(|b| b.cid.as_str()).collect();
    blocks.iter().flat_map(|b| &b.parents).any(|p| !shown.contains(p.as_str()))
}

fn log_text(blocks: &[BlockReport]) -> String {
    let shown: HashSet<&str> = blocks.iter().map(|b| b.cid.as_str()).collect();
    let nodes: Vec<Node<String>> = blocks
        .iter()
        .map(|b| {
            let author = if b.author_name.is_empty() {
                b.author.chars().take(8).collect()
            } else {
                b.author_name.clone()
            };
            let head = if b.head { "  (head)" } else { "" };
            let mut text =
                vec![format!("{} {author} #{} {}{head}", short_cid(&b.cid), b.seq, show_utc(b.time_ms))];
            for t in &b.transactions {
                let void = t
                    .void
                    .as_ref()
                    .map(|v| format!("VOID ({}) ", v.trim_start_matches("void: ")))
                    .unwrap_or_default();
                text.push(format!("    {void}{}", if t.summary.is_empty() { "(empty)" } else { &t.summary }));
            }
            if b.kept {
                text.push("    kept unread: its rules are newer than this program".to_owned());
            } else if b.transactions.is_empty() {
                text.push("    ties heads together".to_owned());
            }
            // Older blocks than those shown have no line of their own.
            let parents = b.parents.iter().filter(|p| shown.contains(p.as_str())).cloned().collect();
            Node { id: b.cid.clone(), parents, text }
        })
        .collect();
    graph::draw(&nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cid: &str, parents: &[&str], head: bool) -> BlockReport {
        BlockReport {
            cid: format!("bafyrei{cid:a>20}"),
            parents: parents.iter().map(|p| format!("bafyrei{p:a>20}")).collect(),
            author: "00ff".repeat(16),
            author_name: "one".into(),
            seq: 3,
            time_ms: 0,
            head,
            kept: false,
            transactions: vec![crate::admin::TransactionReport {
                account: String::new(),
                void: None,
                summary: "INSERT shop.till".into(),
            }],
        }
    }

    #[test]
    fn the_log_shows_blocks_heads_and_what_they_did() {
        let text = log_text(&[block("c", &["a"], true), block("b", &["a"], true), block("a", &["0"], false)]);
        let expected = "\
*  aaaaaaaaac one #3 1970-01-01 00:00:00  (head)
|      INSERT shop.till
| *  aaaaaaaaab one #3 1970-01-01 00:00:00  (head)
| |      INSERT shop.till
|/
*  aaaaaaaaaa one #3 1970-01-01 00:00:00
       INSERT shop.till
";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn a_log_that_does_not_reach_the_beginning_is_known_as_cut() {
        let mut blocks = vec![block("b", &["a"], true), block("a", &["0"], false)];
        assert!(is_cut(&blocks));
        blocks[1].parents.clear();
        assert!(!is_cut(&blocks));
    }
}
