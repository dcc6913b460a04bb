//! What a large world cost: counts, and the table that shows them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

/// Messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Frames sent.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What went over the network.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// By kind of message.
    pub kinds: BTreeMap<&'static str, Count>,
    /// Blocks that arrived, each time.
    pub copies: u64,
    /// Blocks of others that were applied.
    pub applied: u64,
    /// Rounds of catch-up.
    pub rounds: u64,
    /// Rounds that broke off.
    pub rounds_broken: u64,
}

impl Traffic {
    /// A frame is sent.
    pub fn count(&mut self, kind: &'static str, bytes: usize) {
        let count = self.kinds.entry(kind).or_default();
        count.messages += 1;
        count.bytes += bytes as u64;
    }

    /// All frames but those that are sent also when nothing happens.
    pub fn total(&self) -> Count {
        let caused = self.kinds.iter().filter(|(kind, _)| **kind != "digest");
        caused.fold(Count::default(), |sum, (_, c)| Count {
            messages: sum.messages + c.messages,
            bytes: sum.bytes + c.bytes,
        })
    }
}

const KINDS: [(&[u8], &str); 13] = [
    (b"Hello", "hello"),
    (b"Digest", "digest"),
    (b"GetFrontier", "get-frontier"),
    (b"Frontier", "frontier"),
    (b"Want", "want"),
    (b"Narrow", "narrow"),
    (b"Bundle", "bundle"),
    (b"Credit", "credit"),
    (b"Stop", "stop"),
    (b"Push", "push"),
    (b"Announce", "announce"),
    (b"GetTips", "get-tips"),
    (b"Tips", "tips"),
];

/// The kind of a message, from its first bytes (DAG-CBOR: a text, or a map of one text), without decoding it.
pub fn kind(bytes: &[u8]) -> &'static str {
    let text = bytes.strip_prefix(&[0xa1]).unwrap_or(bytes);
    let name = match text.split_first() {
        Some((head, rest)) if head & 0xe0 == 0x60 => rest.get(..usize::from(head & 0x1f)).unwrap_or_default(),
        _ => &[],
    };
    KINDS.iter().find(|(n, _)| *n == name).map_or("other", |(_, kind)| kind)
}

/// A distribution, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// The middle.
    pub median_ms: u64,
    /// The greatest.
    pub most_ms: u64,
}

impl Spread {
    /// Of these, microseconds; `None` when there are none.
    pub fn of(mut us: Vec<u64>) -> Option<Self> {
        us.sort_unstable();
        let (median, most) = (*us.get(us.len() / 2)?, *us.last()?);
        Some(Spread { median_ms: median.div_ceil(1_000), most_ms: most.div_ceil(1_000) })
    }
}

/// What came of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Its name.
    pub scenario: &'static str,
    /// Nodes.
    pub nodes: usize,
    /// The seed.
    pub seed: u64,
    /// Blocks that were to spread.
    pub blocks: usize,
    /// Their bytes.
    pub block_bytes: u64,
    /// From writing a block to half of the nodes, 99 of a hundred, and all: over the blocks. Not where nodes are away.
    pub reached: [Option<Spread>; 3],
    /// From the event that the scenario is about (the last write, the join, the heal) to equal nodes, milliseconds.
    pub equal_ms: u64,
    /// Messages, but digests.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blocks applied: a block at each node that came to hold it.
    pub applied: u64,
    /// Blocks that arrived where they were already, or were on their way.
    pub duplicates: u64,
    /// Rounds of catch-up.
    pub rounds: u64,
    /// Those that broke off.
    pub rounds_broken: u64,
    /// How often catch-up sent one block to one node, at most.
    pub served_most: u8,
    /// Bytes that the node sent that sent most.
    pub busiest_bytes: u64,
    /// Blocks that waited for parents on one node, at most.
    pub waiting_peak: usize,
    /// Blocks that waited for the engine on one node, at most.
    pub inbox_peak: usize,
    /// By kind of message.
    pub kinds: BTreeMap<&'static str, Count>,
    /// Virtual time of the world, milliseconds.
    pub virtual_ms: u64,
    /// Events.
    pub events: u64,
    /// The hash of the trace.
    pub trace: String,
}

impl Figures {
    /// Messages and bytes for a block at a node.
    pub fn per_block(&self) -> (f64, f64) {
        let n = self.applied.max(1) as f64;
        (self.messages as f64 / n, self.bytes as f64 / n)
    }
}

/// The table for people.
pub fn table(all: &[Figures]) -> String {
    let mut out = String::from(
        "| scenario | blocks | 50 % | 99 % | all | equal after | messages | bytes | twice | rounds | busiest |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for f in all {
        let [half, most, whole] = f.reached.map(|s| s.map_or_else(String::new, spread));
        let (messages, bytes) = f.per_block();
        let twice = f.duplicates as f64 / f.applied.max(1) as f64;
        let (equal, busiest) = (f.equal_ms as f64 / 1_000.0, f.busiest_bytes as f64 / 1e6);
        // A string takes whatever is written.
        let _ = writeln!(
            out,
            "| {} | {} | {half} | {most} | {whole} | {equal:.1} s | {messages:.1} | {bytes:.0} | {twice:.2} | {} | {busiest:.1} MB |",
            f.scenario, f.blocks, f.rounds,
        );
    }
    out
}

fn spread(s: Spread) -> String {
    format!("{} / {} ms", s.median_ms, s.most_ms)
}
