//! A value that one thread gives and another waits for, without saying how it waits.
//!
//! The embedder may block ([`Wait::wait`]), or be called back ([`Wait::notify`]) and wake a task of its own runtime.
//! That is all the engine knows of concurrency on the caller's side.

use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

type Callback = Box<dyn FnOnce() + Send>;

struct Inner<T> {
    slot: Mutex<(Option<T>, Option<Callback>)>,
    ready: Condvar,
}

/// The giving side.
pub(crate) struct Giver<T>(Arc<Inner<T>>);

/// The waiting side.
pub(crate) struct Taker<T>(Arc<Inner<T>>);

/// A pair of both sides.
pub(crate) fn handoff<T>() -> (Giver<T>, Taker<T>) {
    let inner = Arc::new(Inner { slot: Mutex::new((None, None)), ready: Condvar::new() });
    (Giver(inner.clone()), Taker(inner))
}

impl<T> Giver<T> {
    /// Gives the value and wakes who waits for it.
    pub(crate) fn give(self, value: T) {
        let callback = {
            let mut slot = self.0.slot.lock();
            slot.0 = Some(value);
            slot.1.take()
        };
        self.0.ready.notify_all();
        if let Some(call) = callback {
            call();
        }
    }
}

impl<T> Taker<T> {
    /// The value, if it is there.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.slot.lock().0.take()
    }

    /// Blocks until the value is there.
    pub(crate) fn wait(&self) -> T {
        let mut slot = self.0.slot.lock();
        loop {
            if let Some(value) = slot.0.take() {
                return value;
            }
            self.0.ready.wait(&mut slot);
        }
    }

    /// True when [`Self::take`] would give a value.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.slot.lock().0.is_some()
    }

    /// Calls back once when the value is there; at once if it is already.
    pub(crate) fn notify(&self, call: Callback) {
        let mut slot = self.0.slot.lock();
        if slot.0.is_some() {
            drop(slot);
            call();
        } else {
            slot.1 = Some(call);
        }
    }
}

impl<T> Clone for Taker<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Something that will be ready later; type-erased for the embedder.
pub struct Wait(Box<dyn Waits>);

trait Waits: Send + Sync {
    fn notify(&self, call: Callback);
    fn is_ready(&self) -> bool;
    fn block(&self);
}

impl<T: Send + 'static> Waits for Taker<T> {
    fn notify(&self, call: Callback) {
        Taker::notify(self, call);
    }
    fn is_ready(&self) -> bool {
        Taker::is_ready(self)
    }
    fn block(&self) {
        let mut slot = self.0.slot.lock();
        while slot.0.is_none() {
            self.0.ready.wait(&mut slot);
        }
    }
}

impl Wait {
    pub(crate) fn on<T: Send + 'static>(taker: &Taker<T>) -> Self {
        Wait(Box::new(taker.clone()))
    }

    /// Calls back once, when it is ready; at once if it is already.
    pub fn notify(&self, call: Box<dyn FnOnce() + Send>) {
        self.0.notify(call);
    }

    /// True when resuming would make progress.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    /// Blocks the thread until it is ready.
    pub fn block(&self) {
        self.0.block();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_callback_is_called_once_whether_it_comes_before_or_after_the_value() {
        let calls = Arc::new(AtomicU32::new(0));
        for before in [true, false] {
            let (giver, taker) = handoff();
            let counter = calls.clone();
            let call: Callback = Box::new(move || {
                counter.fetch_add(1, Ordering::SeqCst);
            });
            if before {
                Wait::on(&taker).notify(call);
                giver.give(7);
            } else {
                giver.give(7);
                Wait::on(&taker).notify(call);
            }
            assert_eq!(taker.wait(), 7);
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_blocked_taker_wakes_when_the_value_is_given() {
        let (giver, taker) = handoff();
        let thread = std::thread::spawn(move || taker.wait());
        giver.give("value");
        assert_eq!(thread.join().ok(), Some("value"));
    }
}
