//! What the commands tell, and what people tell them meanwhile.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use signal_hook::consts::TERM_SIGNALS;

/// Prints a line. A reader that has closed the pipe (`| head`) stops nothing that is under way.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// [`line`], with [`format!`]'s arguments.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::line(&format!($($text)*)) };
}
pub(crate) use say;

/// Ctrl-C and SIGTERM do not end the program at once while this is there: what it has begun is ended in order. A second one does.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub(crate) fn awaited() -> anyhow::Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in TERM_SIGNALS {
            signal_hook::flag::register_conditional_shutdown(*signal, 1, flag.clone())?;
            signal_hook::flag::register(*signal, flag.clone())?;
        }
        Ok(Interrupt(flag))
    }

    /// # Errors
    /// When it came.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }
}
