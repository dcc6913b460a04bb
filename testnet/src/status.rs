//! `status`: one line for each node.

use std::path::Path;

use p2pdb_node::admin::StatusReport;
use p2pdb_node::explain::explain;
use p2pdb_node::table::Table;
use p2pdb_node::units::{counted, show_duration};
use serde::Serialize;

use crate::state::State;

/// A node with what it says of itself.
#[derive(Serialize)]
struct Row {
    node: u32,
    pid: Option<u32>,
    mysql_port: u16,
    peer_port: u16,
    http_port: u16,
    data_dir: String,
    /// Blocks fewer than the node that holds most.
    blocks_behind: Option<u64>,
    /// It holds other blocks than the node that holds most.
    differs: Option<bool>,
    /// How much older its newest block is than the newest of all, milliseconds.
    ms_behind: Option<u64>,
    status: Option<StatusReport>,
    error: Option<String>,
}

pub(crate) fn status(dir: &Path, json: bool) -> anyhow::Result<()> {
    let state = State::must_load(dir)?;
    let mut rows: Vec<Row> = state
        .nodes
        .iter()
        .map(|n| {
            let pid = state.running(n.number);
            let asked = pid.map(|_| state.admin(n.number).and_then(|a| a.get::<StatusReport>("status")));
            let (status, error) = match asked {
                Some(Ok(status)) => (Some(status), None),
                Some(Err(e)) => (None, Some(explain(&e))),
                None => (None, None),
            };
            Row {
                node: n.number,
                pid,
                mysql_port: n.mysql_port,
                peer_port: n.peer_port,
                http_port: n.http_port,
                data_dir: state.data_dir(n.number).root().display().to_string(),
                blocks_behind: None,
                differs: None,
                ms_behind: None,
                status,
                error,
            }
        })
        .collect();
    let reports = || rows.iter().filter_map(|r| r.status.as_ref());
    let most = reports().map(|s| s.blocks).max().unwrap_or(0);
    let newest = reports().map(|s| s.newest_ms).max().unwrap_or(0);
    let fullest = reports().max_by_key(|s| s.blocks).map(|s| s.frontier_digest.clone());
    for row in &mut rows {
        row.differs = row.status.as_ref().map(|s| Some(&s.frontier_digest) != fullest.as_ref());
        row.blocks_behind = row.status.as_ref().map(|s| most - s.blocks);
        // One without a block is not old.
        let dated = row.status.as_ref().filter(|s| s.newest_ms > 0);
        row.ms_behind = dated.map(|s| newest - s.newest_ms);
    }
    if json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&rows)?));
    }
    let mut text = table(&rows).to_string();
    for row in &rows {
        let problems = row.status.iter().flat_map(|s| &s.reasons).chain(&row.error);
        problems.for_each(|p| text += &format!("node {}: {p}\n", row.node));
    }
    print(&text)
}

/// A reader that has closed the pipe (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(()),
    }
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "node",
        "state",
        "mysql",
        "peers at",
        "http",
        "links",
        "blocks",
        "heads",
        "frontier",
        "fingerprint",
        "lag",
    ]);
    for r in rows {
        let ports = [r.mysql_port, r.peer_port, r.http_port].map(|p| p.to_string());
        let [mysql, peer, http] = ports;
        match &r.status {
            Some(s) => {
                let state = match (s.ready, s.blocked.is_empty()) {
                    (true, true) => "ready",
                    (true, false) => "cut off",
                    (false, _) => "not ready",
                };
                let lag = match (r.blocks_behind.unwrap_or(0), r.ms_behind) {
                    (0, _) if r.differs == Some(true) => "other blocks".to_owned(),
                    (0, _) => "-".to_owned(),
                    (blocks, None) => counted(blocks, "block"),
                    (blocks, Some(ms)) => {
                        format!(
                            "{}, {}",
                            counted(blocks, "block"),
                            show_duration(std::time::Duration::from_millis(ms))
                        )
                    }
                };
                table.row([
                    r.node.to_string(),
                    state.to_owned(),
                    mysql,
                    peer,
                    http,
                    s.peers.len().to_string(),
                    s.blocks.to_string(),
                    s.heads.len().to_string(),
                    s.frontier_digest.chars().take(12).collect(),
                    s.fingerprint.chars().take(12).collect(),
                    lag,
                ]);
            }
            None => {
                let state = if r.pid.is_some() { "no answer" } else { "stopped" };
                table.row([r.node.to_string(), state.to_owned(), mysql, peer, http]);
            }
        }
    }
    table
}
