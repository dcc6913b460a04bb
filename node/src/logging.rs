//! Log lines by `tracing`, to standard error, as text or JSON.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// What is quiet by default, because it speaks of every packet.
const QUIET: &str = "libp2p=warn,libp2p_swarm=warn,yamux=warn,quinn=warn,rustls=warn,hickory_proto=warn,netlink_proto=warn,libp2p_mdns=error,libp2p_kad=error,multistream_select=warn";

/// Sets up logging for the process.
///
/// # Errors
/// When the filter cannot be parsed.
pub fn start(filter: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{filter}")).with_context(|| {
        format!("--log-level: '{filter}' is not a filter; write error, warn, info, debug or trace")
    })?;
    // Where a log line cannot be written (a full disk), there is nowhere to say so: a complaint on standard error would
    // fail as well, and end the thread that wanted to log.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
