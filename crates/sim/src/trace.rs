//! What happened, as one hash: two runs of a seed are the same when their hashes are.
//!
//! Each event adds a line of text. The last lines are kept for people; with `all` every one.

use std::collections::VecDeque;
use std::fmt::Arguments;

use sha2::{Digest, Sha256};

/// Lines kept for the report of a failure.
const LINES_KEPT: usize = 400;

/// See the module.
pub struct Trace {
    hash: Sha256,
    count: u64,
    lines: VecDeque<String>,
    all: bool,
    show: bool,
    left_out: Option<String>,
}

impl Trace {
    /// Nothing yet; `all` keeps every line, `show` prints each as it comes.
    pub fn new(all: bool, show: bool) -> Self {
        Trace { hash: Sha256::new(), count: 0, lines: VecDeque::new(), all, show, left_out: None }
    }

    /// This text, which differs from run to run (a folder's name), is left out of all lines.
    pub fn leave_out(&mut self, text: &str) {
        self.left_out = Some(text.to_owned());
    }

    /// Notes an event.
    pub fn note(&mut self, at_us: u64, what: Arguments<'_>) {
        let mut line = format!("{:>10}.{:03} {what}", at_us / 1_000, at_us % 1_000);
        if let Some(out) = self.left_out.as_deref().filter(|out| line.contains(*out)) {
            line = line.replace(out, "");
        }
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        self.count += 1;
        if self.show {
            println!("{line}");
        }
        if !self.all && self.lines.len() >= LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// Events noted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hash of all events, hexadecimal.
    pub fn digest(&self) -> String {
        p2pdb_model::ids::hex(&self.hash.clone().finalize())
    }

    /// The lines that are kept.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
