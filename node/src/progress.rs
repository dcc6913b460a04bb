//! Progress of long steps: one line on standard error, redrawn, only on a terminal.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// Between two redraws.
const REDRAW: Duration = Duration::from_millis(100);
/// Steps shorter than this show nothing.
const PATIENCE: Duration = Duration::from_millis(300);

/// See the module.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    begun: Instant,
    drawn: Option<Instant>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Nothing shown yet.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), begun: Instant::now(), drawn: None }
    }

    /// Shows how far it is; `total` 0: not known.
    pub fn show(&mut self, step: &str, done: u64, total: u64) {
        let now = Instant::now();
        let due = self.drawn.is_none_or(|d| now - d >= REDRAW) && now - self.begun >= PATIENCE;
        if !self.terminal || !due {
            return;
        }
        self.drawn = Some(now);
        let text = line(step, done, total);
        let _ = write!(std::io::stderr(), "\r\x1b[K{text}").and_then(|()| std::io::stderr().flush());
    }

    /// Runs a step that does not say how far it is: shows for how long it has run.
    pub fn waiting<T>(&mut self, step: &str, run: impl FnOnce() -> T) -> T {
        std::thread::scope(|threads| {
            let (done, waits) = std::sync::mpsc::channel::<()>();
            let shows = threads.spawn(move || {
                while waits.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                    self.show(&format!("{step}, seconds so far:"), self.begun.elapsed().as_secs(), 0);
                }
                self.finish();
            });
            let result = run();
            drop(done);
            // It only shows: a panic of it is no reason to lose the result.
            let _ = shows.join();
            result
        })
    }

    /// Wipes the line.
    pub fn finish(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K").and_then(|()| std::io::stderr().flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn line(step: &str, done: u64, total: u64) -> String {
    match (done * 100).checked_div(total) {
        Some(percent) => format!("{step} {done} of {total} ({}%)", percent.min(100)),
        None => format!("{step} {done}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn progress_says_what_how_much_and_of_how_many() {
        assert_eq!(super::line("blocks", 5, 20), "blocks 5 of 20 (25%)");
        assert_eq!(super::line("blocks", 5, 0), "blocks 5");
    }
}
